"""Whether wengert checks what it makes: graphs after each pass, programs before they run.

The environment variable ``WENGERT_VERIFY=1`` turns it on, and the tests do. Programs then take
longer to make; native ones begin each run with memory full of signalling NaNs, so that what was
never written is seen in the results.
"""

from __future__ import annotations

import os

__all__ = ["is_on", "turn"]

_STATE = {"on": os.environ.get("WENGERT_VERIFY", "") not in ("", "0")}


def is_on() -> bool:
    """Whether what is made from now on is checked."""
    return _STATE["on"]


def turn(on: bool) -> bool:
    """Turn checking on or off; return what it was."""
    before, _STATE["on"] = _STATE["on"], on
    return before
