"""How much Python a call runs: a measure of its work that no other process can disturb."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import wengert

HERE = os.path.dirname(wengert.__file__) + os.sep


def lines(f: Callable[[], Any]) -> int:
    """Count the lines of wengert that a call runs; what NumPy does in one is one."""
    count = 0

    def inside(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return inside

    def entered(frame: FrameType, event: str, arg: Any) -> Any:
        return inside if frame.f_code.co_filename.startswith(HERE) else None

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        f()
    finally:
        sys.settrace(before)
    return count
