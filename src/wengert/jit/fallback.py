"""Calls that no recording stands for, which run as Python does."""

from __future__ import annotations

from typing import Any

from wengert.errors import UnsupportedError, user_line
from wengert.jit.record import Recorded
from wengert.trace.alarm import ALWAYS

__all__ = ["Fallbacks", "NotCompiled", "too_many", "unplannable"]

PATIENCE = 3
"""Recordings of one signature that may stand for their own call only before it is given up."""


class NotCompiled(UserWarning):
    """A jitted function does something that cannot be recorded, so it runs as Python does."""


class Fallbacks:
    """Which signatures of a function are run without compilation, and why.

    A recording may turn out to stand for its own call only: the function has caught an exception
    that an operation raises for these numbers. Where that is the case for any numbers, or was again
    and again, the signature is given up.
    """

    def __init__(self) -> None:
        self._seen: dict[Any, int] = {}
        self._given_up: set[Any] = set()
        self._repeats: dict[Any, int] = {}

    def __contains__(self, key: Any) -> bool:
        return bool(self._given_up) and key in self._given_up

    def note(self, key: Any, name: str, recorded: Recorded) -> str:
        """Count a recording that stands for its own call only.

        Returns
        -------
        str
            A warning, when the signature is given up.
        """
        self._seen[key] = self._seen.get(key, 0) + 1
        if recorded.why not in ALWAYS and self._seen[key] < PATIENCE:
            return ""
        self._given_up.add(key)
        return (
            f"{name} {reason(recorded)}. Calls with arguments of this form run without "
            f"compilation." + user_line()
        )

    def repeated(self, key: Any) -> None:
        """Count a path that was recorded again, since rounding led native code elsewhere."""
        self._repeats[key] = self._repeats.get(key, 0) + 1

    def is_settled(self, key: Any) -> bool:
        """Whether that has happened so often that paths not seen before are not recorded."""
        return self._repeats.get(key, 0) >= PATIENCE

    def clear(self) -> None:
        """Forget all."""
        self._seen.clear()
        self._given_up.clear()
        self._repeats.clear()


def reason(recorded: Recorded) -> str:
    """Say what keeps a recording from standing for other calls."""
    error = recorded.error
    shown = type(error).__name__
    if recorded.why == "raised":
        return (
            f"catches the {shown} that an operation raises for these numbers ({_first(error)}), "
            f"which a compiled program cannot do"
        )
    if recorded.why == "followed":
        return (
            f"catches the {shown} by which wengert says what it cannot follow ({_first(error)}); "
            f"plain values would not have raised it"
        )
    if recorded.why == "random":
        return (
            "draws random numbers, which a compiled program would give again at each call: draw "
            "them outside, and pass them as an argument"
        )
    if recorded.why == "integers":
        return "computes with integers of Python beyond 64 bits"
    return (
        "computes where a floating-point error is an exception (np.errstate, or warnings turned "
        "into errors), which a compiled program does not raise"
    )


def _first(error: BaseException | None) -> str:
    text = str(error).splitlines()
    return text[0].rstrip(".") if text else ""


def too_many(name: str, limit: int, paths: bool, how: str = "run without compilation") -> str:
    """Say that there are more paths through a function than are kept, or states it was in."""
    if paths:
        return (
            f"{name} takes more than {limit} different paths for one signature (a Python if, "
            f"while, int() or float() on traced values); further paths {how}. Use np.where"
        )
    return (
        f"what {name} looks up outside of its arguments (globals, variables around it, attributes, "
        f"arrays) has changed more than {limit} times; while it changes, calls {how}. Pass it as "
        f"an argument"
    )


def unplannable(name: str, recorded: Recorded) -> UnsupportedError:
    """Make the error for a plan of what no plan stands for."""
    return UnsupportedError(
        f"{name} cannot be planned at this example: it {reason(recorded)}. Call the wg.jit "
        f"function itself, which runs such calls as Python does" + user_line()
    )
