"""NumPy's functions given lists with traced values: ``np.mean([x, x + 2])``.

NumPy asks the arguments themselves who computes, and not the items of a list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.follow.functions import STAND_INS, named
from wengert.ops.base import Traced
from wengert.trace.dispatch import CONVERTING
from wengert.trace.labelled import HOLDERS, numbers_of
from wengert.trace.python.created import joined_lists
from wengert.trace.python.table import find

__all__ = ["listed"]

_NAMES = (
    "concatenate", "stack", "vstack", "hstack", "dstack", "column_stack", "block", "choose",
    "select", "piecewise", "lexsort", "meshgrid", "ix_", "broadcast_arrays", "atleast_1d",
    "atleast_2d", "atleast_3d", "einsum_path", "histogramdd", "row_stack", "unravel_index",
    "ravel_multi_index", "pad", "savez",
)  # fmt: skip
_SEQUENCES = {getattr(np, name) for name in _NAMES if hasattr(np, name)} | {np.linalg.multi_dot}
"""Functions that take a sequence of arrays and ask each, or whose lists are no arrays."""

_OF_POLYNOMIALS = {np.polyadd, np.polyder, np.polyint, np.polymul, np.polysub, np.polyval}
"""Functions of objects of `numpy.poly1d`, which NumPy would make arrays of."""

_MADE: dict[Any, Callable[..., Any]] = {}


def listed(f: Any) -> Any:
    """Return what stands for a ufunc, or for a function that NumPy dispatches."""
    made = _MADE.get(f)
    if made is None:
        made = _MADE[f] = STAND_INS.get(f) or (f if f in _SEQUENCES else _asking(f))
    return made


def _asking(f: Any) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            kind = type(a)
            if kind is list or kind is tuple:
                return f(*map(_array, args), **kwargs)
            if kind is np.poly1d and f in _OF_POLYNOMIALS:
                made = f(*[p.coeffs if type(p) is np.poly1d else p for p in args], **kwargs)
                return made if f is np.polyval else np.poly1d(made)
            if kind in HOLDERS and (f in CONVERTING or f.__module__ == "numpy.linalg"):
                return f(*map(_opened, args), **kwargs)
        return f(*args, **kwargs)

    return named(call, f)


def _opened(x: Any) -> Any:
    """Return the traced numbers of a Series or DataFrame, of which NumPy would make an array."""
    if type(x) in HOLDERS:
        numbers = numbers_of(x)
        return numbers if isinstance(numbers, Traced) else x
    return x


def _array(x: Any) -> Any:
    """Return lists with traced numbers as an array; a shape with traced integers as it is."""
    t = find(x) if type(x) in (list, tuple) else None
    return x if t is None or t.dtype.kind not in "fc" else joined_lists(x)
