"""Variables of enclosing functions that one function has, and nothing else refers to.

What is in such a variable stays as it is unless its function changes it, so it need not be compared
at each call: a list of thousands of numbers would take longer than the program. References are
counted; those of wengert itself go through one `Pin` for each variable.
"""

from __future__ import annotations

import sys
import weakref
from typing import Any

__all__ = ["Pin", "is_alone", "pinned"]


class Pin:
    """A variable of an enclosing function and what is in it, held once for all who need it."""

    __slots__ = ("__weakref__", "cell", "held")

    def __init__(self, cell: Any, held: Any) -> None:
        self.cell = cell
        self.held = held


_PINS: weakref.WeakValueDictionary[int, Pin] = weakref.WeakValueDictionary()


def pinned(cell: Any, held: Any) -> Pin:
    """Return what holds a variable and what is in it now."""
    pin = _PINS.get(id(cell))
    if pin is None or pin.held is not held:
        pin = _PINS[id(cell)] = Pin(cell, held)
    return pin


def is_alone(f: Any, i: int) -> bool:
    """Whether only a function refers to its variable ``i``, and only that to what is in it.

    References that come and go, such as those of another thread or of a frame that is at work, make
    the answer False.
    """
    return _counts(f, i) == _ALONE


def _counts(f: Any, i: int) -> tuple[int, int]:
    try:
        held = sys.getrefcount(f.__closure__[i].cell_contents)
    except ValueError:  # it has no value yet
        return 0, 0
    cell = sys.getrefcount(f.__closure__[i])
    pin = _PINS.get(id(f.__closure__[i]))
    if pin is not None and pin.held is f.__closure__[i].cell_contents:
        return cell - 1, held - 1
    return cell, held


def _sample() -> Any:
    held: list[Any] = []
    return lambda: held


_ALONE = _counts(_sample(), 0)
