"""The style sheets, which stand beside this file."""

from __future__ import annotations

import functools
from pathlib import Path

__all__ = ["style"]


@functools.cache
def style(name: str) -> str:
    """Return a style sheet: ``chart``, ``alone``, ``tables`` or ``page``."""
    text = Path(__file__).with_name(f"{name}.css").read_text(encoding="utf-8")
    return "".join(line.strip() for line in text.splitlines())
