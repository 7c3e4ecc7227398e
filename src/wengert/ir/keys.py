"""Dictionary keys that tell plain data apart bit by bit."""

from __future__ import annotations

import struct
from collections.abc import Hashable
from typing import Any

import numpy as np

from wengert.ir.graph import Const, Graph, Value

__all__ = ["key"]

_bits = struct.Struct("d").pack


def key(x: Any) -> Any:
    """Return a dictionary key that tells apart what differs in bits, dtype or weakness.

    Values and arrays held by reference stand for themselves; ``1``, ``1.0``, ``True`` and
    ``np.float64(1)`` are four keys, 0.0 and -0.0 two. A region is known by its text.
    """
    kind = type(x)
    if kind is Value or kind is Const:
        return x
    if kind is float:
        return float, _bits(x)
    if kind is int or kind is str:
        return kind, x
    if kind is complex:
        return complex, _bits(x.real), _bits(x.imag)
    if isinstance(x, (Value, Const)):
        return x
    if isinstance(x, np.generic):
        return type(x), x.tobytes()
    if kind is Graph:
        return Graph, x.text
    if isinstance(x, tuple):
        return tuple, tuple(map(key, x))
    if isinstance(x, slice):
        return slice, x.start, x.stop, x.step
    return (type(x), x) if isinstance(x, Hashable) else (type(x), id(x))
