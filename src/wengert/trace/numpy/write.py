"""NumPy's functions that write into an array, on traced values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ConversionError, UnsupportedError, user_line
from wengert.ops.index import index_add
from wengert.trace import indexing
from wengert.trace.dispatch import UFUNC_METHODS
from wengert.trace.numbers import number_type
from wengert.trace.numpy.misc import checked_mode, integers, lined_up
from wengert.trace.numpy.reduce import where_of
from wengert.trace.numpy.table import axis_index, cast, implements, refuse, traced
from wengert.trace.tracer import Tracer

_RANKS = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}
"""Kinds of numbers, narrower first."""


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int) -> None:
    """Stand for `numpy.put_along_axis`."""
    _needs_traced(arr, "np.put_along_axis")
    axis = axis_index(axis, arr.ndim)
    indices = lined_up(arr, indices)
    grid = [np.arange(n).reshape((n,) + (1,) * (arr.ndim - 1 - i)) for i, n in enumerate(arr.shape)]
    arr[tuple(indices if i == axis else g for i, g in enumerate(grid))] = values


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    """Stand for `numpy.copyto`."""
    _needs_traced(dst, "np.copyto")
    plain = number_type(src) is not None
    indexing.check_fits(src, dst.dtype)
    src, mask = traced(src), where_of(where, dst)
    if plain:  # a Python number has a kind only, and casts to the same or a wider one
        fits = _RANKS[src.dtype.kind] <= _RANKS[dst.dtype.kind]
    else:
        fits = np.can_cast(src.dtype, dst.dtype, casting)
    if not fits:
        raise TypeError(f"cannot cast {src.dtype} to {dst.dtype} by {casting!r}" + user_line())
    if plain and casting != "same_kind":
        refuse("copyto", casting=(casting, None))
    if plain or casting == "unsafe":
        src = cast(src, dst.dtype)
    src = np.broadcast_to(indexing.without_ones(src, dst.ndim), dst.shape)
    dst._store(src if mask is True else np.where(mask, cast(src, dst.dtype), dst))


def _to_write(name: str, values: Any, dtype: np.dtype[Any], casting: Any = "safe") -> Any:
    """Return values to write into an array of `dtype`, flattened."""
    plain = number_type(values) in (int, float, bool)
    listed = isinstance(values, (list, tuple))
    indexing.check_fits(values, dtype)
    v = traced(values)
    if v.dtype.kind == "c" and dtype.kind != "c":
        raise TypeError(f"{name} cannot write complex numbers into {dtype}" + user_line())
    if not (plain or listed or np.can_cast(v.dtype, dtype, casting)):
        raise TypeError(f"{name} cannot cast {v.dtype} to {dtype}" + user_line())
    if v.dtype.kind == "f" and dtype.kind not in "fc":
        raise UnsupportedError(
            f"{name} would cut the fractions of {v.dtype} in an array of {dtype}" + user_line()
        )
    return np.reshape(cast(v, dtype), -1)


def _cycled(v: Any, n: int) -> Any:
    """Repeat a vector up to a length."""
    return v if v.shape[0] == n else v[np.arange(n) % v.shape[0]]


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Stand for `numpy.putmask`: the values are repeated along the flattened array."""
    _needs_traced(a, "np.putmask")
    mask, v = traced(mask), _to_write("np.putmask", values, a.dtype)
    if mask.size != a.size:
        raise ValueError("putmask: mask and data must be the same size" + user_line())
    if not v.shape[0]:
        return
    mask = np.reshape(mask if mask.dtype.kind == "b" else np.not_equal(mask, 0), a.shape)
    v = v[0] if v.shape[0] == 1 else np.reshape(_cycled(v, a.size), a.shape)
    a._store(np.where(mask, v, a))


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Stand for `numpy.put`."""
    _needs_traced(a, "np.put")
    places = np.ravel(integers(ind))
    _write_flat(a, places, _to_write("np.put", v, a.dtype, "unsafe"), checked_mode(mode))


def _write_flat(a: Any, places: Any, v: Any, mode: str = "raise") -> None:
    if places.size and not a.size:
        raise IndexError("cannot replace elements of an empty array" + user_line())
    if not v.shape[0] or not places.size:
        return
    if mode == "wrap":
        places = places % a.size
    elif mode == "clip":
        places = np.clip(places, 0, a.size - 1)
    flat = np.copy(np.ravel(a))
    flat[places] = v[0] if v.shape[0] == 1 else _cycled(v, places.size)
    a._store(np.reshape(flat, a.shape))


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """Stand for `numpy.place`."""
    _needs_traced(arr, "np.place")
    mask, v = traced(mask), _to_write("np.place", vals, arr.dtype, "unsafe")
    if mask.size != arr.size:
        raise ValueError("place: mask and data must be the same size" + user_line())
    places = np.flatnonzero(mask)
    if places.size and not v.shape[0]:
        raise ValueError("Cannot insert from an empty array!" + user_line())
    _write_flat(arr, places, v)


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Stand for `numpy.fill_diagonal`: the values are repeated along the diagonal."""
    _needs_traced(a, "np.fill_diagonal")
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d" + user_line())
    end = None
    if a.ndim == 2:
        step = a.shape[1] + 1
        end = None if wrap else a.shape[1] ** 2
    elif len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length" + user_line())
    else:
        step = 1 + sum(math.prod(a.shape[:i]) for i in range(1, a.ndim))
    places = np.arange(a.size)[:end:step]
    v = _to_write("np.fill_diagonal", val, a.dtype, "unsafe")
    if places.size and not v.shape[0]:
        raise ValueError("np.fill_diagonal needs a value" + user_line())
    _write_flat(a, places, v)


def _needs_traced(target: Any, name: str) -> None:
    if not isinstance(target, Tracer):
        raise ConversionError(
            f"{name} would write a traced value into a plain array. Make the array with "
            f"np.zeros(shape, like=x)." + user_line()
        )
    if not target._is_array():
        raise TypeError(
            f"{name} writes into an array, and this is a number, of which NumPy changes a copy at "
            "most; make an array with np.atleast_1d(x)" + user_line()
        )


def _at(sign: int) -> Callable[..., Any]:
    def implementation(a: Any, index: Any, b: Any = None) -> None:
        _needs_traced(a, "ufunc.at")
        spec, arrays = indexing.parse(index, a.shape)
        a._store(index_add(a, b if sign > 0 else -traced(b), *arrays, spec=spec))

    return implementation


UFUNC_METHODS[(np.add, "at")] = _at(1)
UFUNC_METHODS[(np.subtract, "at")] = _at(-1)
