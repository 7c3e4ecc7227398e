"""Arrays as sets, and functions of negative numbers that become complex."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ops.base import dtype_of
from wengert.trace.numpy.table import implements, optional, refuse, traced

__all__: list[str] = []


# --- sets: which entries are equal is a decision --------------------------------------------------
@implements(np.union1d)
def union1d(ar1: Any, ar2: Any) -> Any:
    """Stand for `numpy.union1d`."""
    return np.unique(np.concatenate([np.ravel(traced(ar1)), np.ravel(traced(ar2))]))


@implements(np.setdiff1d)
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Stand for `numpy.setdiff1d`."""
    first = np.ravel(traced(ar1)) if assume_unique else np.unique(traced(ar1))
    return first[np.isin(first, traced(ar2), invert=True)]


@implements(np.intersect1d)
def intersect1d(
    ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False
) -> Any:
    """Stand for `numpy.intersect1d`."""
    ar1, ar2 = traced(ar1), traced(ar2)
    one: Any = None
    two: Any = None
    if assume_unique:
        ar1, ar2 = np.ravel(ar1), np.ravel(ar2)
    elif return_indices:
        (ar1, one), (ar2, two) = (np.unique(x, return_index=True) for x in (ar1, ar2))
    else:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    both = np.concatenate([ar1, ar2])
    order = np.argsort(both, kind="stable")
    both = both[order]
    same = both[1:] == both[:-1]
    found = both[:-1][same]
    if not return_indices:
        return found
    first, second = order[:-1][same], order[1:][same] - ar1.shape[0]
    return (found, first, second) if one is None else (found, one[first], two[second])


@implements(np.setxor1d)
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    """Stand for `numpy.setxor1d`."""
    ar1, ar2 = np.ravel(traced(ar1)), np.ravel(traced(ar2))
    if not assume_unique:
        ar1, ar2 = np.unique(ar1), np.unique(ar2)
    both = np.sort(np.concatenate([ar1, ar2]))
    if both.shape[0] == 0:
        return both
    differ = np.concatenate([[True], both[1:] != both[:-1], [True]])
    return both[differ[1:] & differ[:-1]]


def _unique(name: str, **options: bool) -> None:
    """Let one of the functions `numpy.unique_*` return NumPy's own named tuple."""
    for f in optional(name):
        kind = type(f(np.zeros(1)))

        def stand_in(x: Any, *, sorted: bool = True, kind: Any = kind, **wrong: Any) -> Any:
            if wrong:
                raise TypeError(f"{name}() got an unexpected keyword argument {next(iter(wrong))}")
            x = traced(x)
            if dtype_of(x).kind in "fc" and bool(np.any(np.isnan(x))):
                refuse(name, equal_nan=(False, True))  # NumPy keeps each NaN
            found = np.unique(x, **options)  # type: ignore[call-overload]
            if not options:
                return found
            parts = list(found)
            if options.get("return_inverse"):
                k = 1 + bool(options.get("return_index"))
                parts[k] = np.reshape(parts[k], np.shape(x))
            return kind(*parts)

        implements(f)(stand_in)


_unique("unique_values")
_unique("unique_counts", return_counts=True)
_unique("unique_inverse", return_inverse=True)
_unique("unique_all", return_index=True, return_inverse=True, return_counts=True)


# --- numpy.lib.scimath ----------------------------------------------------------------------------
def _complex(x: Any) -> Any:
    kind = np.complex64 if dtype_of(x) in (np.float32, np.float16, np.complex64) else np.complex128
    return x if dtype_of(x).kind == "c" else x.astype(kind)


def _where_negative(x: Any) -> Any:
    return bool(np.any(x < 0))


def _outside_of_1(x: Any) -> Any:
    return bool(np.any(np.abs(x) > 1))


def _turned(x: Any, leaves: Callable[[Any], bool]) -> Any:
    """Return an array, complex where it leaves the real domain, which is a decision."""
    x = traced(x)
    return _complex(x) if dtype_of(x).kind != "c" and leaves(x) else x


def _of_domain(f: Any, leaves: Callable[[Any], bool]) -> None:
    own = getattr(np.lib.scimath, f.__name__)
    implements(own)(lambda x: f(_turned(x, leaves)))


for _name in ("sqrt", "log", "log2", "log10"):
    _of_domain(getattr(np, _name), _where_negative)
for _name in ("arccos", "arcsin", "arctanh"):
    _of_domain(getattr(np, _name), _outside_of_1)


@implements(np.lib.scimath.logn)
def logn(n: Any, x: Any) -> Any:
    """Stand for `numpy.lib.scimath.logn`."""
    return np.log(_turned(x, _where_negative)) / np.log(_turned(n, _where_negative))


@implements(np.lib.scimath.power)
def power(x: Any, p: Any) -> Any:
    """Stand for `numpy.lib.scimath.power`."""
    x, p = _turned(x, _where_negative), traced(p)
    if dtype_of(p).kind in "iu" and bool(np.any(p < 0)):
        p = p * 1.0
    return np.power(x, p)


@implements(np.einsum_path)
def einsum_path(*operands: Any, optimize: Any = "greedy", einsum_call: bool = False) -> Any:
    """Stand for `numpy.einsum_path`, which reads shapes only."""
    plain = [
        np.broadcast_to(np.zeros((), x.dtype), x.shape)
        if hasattr(x, "shape") and not isinstance(x, np.ndarray)
        else x
        for x in operands
    ]
    return np.einsum_path(*plain, optimize=optimize)
