"""Where the code of the user was when it made an operation."""

from __future__ import annotations

import sys
from types import CodeType, FrameType
from typing import Any

from wengert.errors import USERS, is_users, user_frame
from wengert.ir.graph import Place

__all__ = ["Calls"]


class Calls:
    """The calls that lead to operations, from the caller of a recorded function inwards."""

    __slots__ = ("_entry", "_known", "_root")

    def __init__(self) -> None:
        self._root: CodeType | None = None
        self._entry: FrameType | None = None
        self._known: dict[tuple[Any, ...], tuple[Any, ...]] = {}

    def start(self, root: FrameType) -> None:
        """Begin, in the frame from which the function is called."""
        self._root = root.f_code

    def stop(self) -> None:
        """Let go of frames."""
        self._entry = None

    def here(self) -> Place | None:
        """Return the user's place that runs now."""
        root, entry = self._root, self._entry
        seen: list[tuple[str, str, int]] = []
        first: FrameType | None = None  # of wengert, after the last one of the user's
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame is not entry:
            code = frame.f_code
            if code is root:
                self._entry = first
                break
            name = code.co_filename
            users = USERS.get(name)
            if users or (users is None and is_users(name)):
                seen.append((name, code.co_qualname, frame.f_lineno))
                first = None
            elif first is None and seen:
                first = frame
            frame = frame.f_back
        if not seen:
            found = user_frame()
            return None if found is None else Place(found)
        calls = tuple(seen)
        place = tuple.__new__(Place, (seen[0][0], seen[0][2]))
        place.calls = self._known.setdefault(calls, calls)
        return place
