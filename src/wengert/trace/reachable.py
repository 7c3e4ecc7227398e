"""Whether anybody but a recorder can change an array, by counting references to it."""

from __future__ import annotations

import sys
import weakref
from typing import Any

import numpy as np

from wengert.ir.graph import Const

__all__ = ["is_unreachable", "references"]


def references(entry: tuple[Any, ...]) -> tuple[int, int]:
    """Return how many references there are to the array of an entry, and to the one it shows."""
    return sys.getrefcount(entry[0]), sys.getrefcount(entry[0].base)


def _entry() -> tuple[Any, ...]:
    x = np.arange(2).reshape(2, 1)
    return x, Const(x), None


ALONE = references(_entry()) if sys.implementation.name == "cpython" else (-1, -1)
"""How many there are when nothing but the recorder refers to the array. Where objects do not count
their references, nothing is known."""


def is_unreachable(entry: tuple[Any, ...]) -> bool:
    """Whether nothing but the recorder refers to the array of an entry, so nobody can change it."""
    own, below = references(entry)
    if own > ALONE[0] or weakref.getweakrefcount(entry[0]):
        return False
    base = entry[0].base
    if base is None:
        return True
    plain = type(base) is np.ndarray and base.base is None
    return plain and below <= ALONE[1] and not weakref.getweakrefcount(base)
