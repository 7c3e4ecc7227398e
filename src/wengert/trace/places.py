"""Where the code of the user was when it made an operation."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

from wengert.errors import is_users, user_frame
from wengert.ir.graph import Place

__all__ = ["place_here"]


def place_here(root: CodeType | None, known: dict[Any, tuple[Any, ...]]) -> Place | None:
    """Return the user's place that runs now, with the calls that led to it.

    Parameters
    ----------
    root : code or None
        The caller of the recorded function: calls outside of it are not told.
    known : dict
        The calls of places seen before.
    """
    seen: list[tuple[CodeType, int]] = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        code = frame.f_code
        if code is root:
            break
        if is_users(code.co_filename):
            seen.append((code, frame.f_lineno))
        frame = frame.f_back
    if not seen:
        found = user_frame()
        return None if found is None else Place(found)
    key = tuple(seen)
    calls = known.get(key)
    if calls is None:
        calls = known[key] = tuple((c.co_filename, c.co_qualname, n) for c, n in seen)
    place = Place((seen[0][0].co_filename, seen[0][1]))
    place.calls = calls
    return place
