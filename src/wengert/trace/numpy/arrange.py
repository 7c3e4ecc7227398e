"""NumPy's functions that repeat, rearrange, pad and insert elements, on traced values."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from wengert.errors import UnsupportedError, user_line
from wengert.ops.base import Traced
from wengert.ops.index import SLOT, index_set
from wengert.trace import indexing
from wengert.trace.numpy.shape import broadcast_to, concatenate, reshape, swapaxes
from wengert.trace.numpy.table import (
    axes,
    axis_index,
    cast,
    holds,
    implements,
    normalised,
    refuse,
    traced,
)


@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:
    """Stand for `numpy.tile`."""
    a = traced(A)
    reps = tuple(operator.index(r) for r in (reps if np.ndim(reps) else (reps,)))
    rank = max(a.ndim, len(reps))
    reps = (1,) * (rank - len(reps)) + reps
    shape = (1,) * (rank - a.ndim) + a.shape
    spread = [n for r, m in zip(reps, shape, strict=True) for n in (r, m)]
    a = reshape(a, tuple(n for m in shape for n in (1, m)))
    return reshape(broadcast_to(a, spread), tuple(r * m for r, m in zip(reps, shape, strict=True)))


@implements(np.repeat)
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    """Stand for `numpy.repeat`."""
    a = traced(a)
    if axis is None:
        a, axis = reshape(a, -1), 0
    axis = axis_index(axis, a.ndim)
    n = a.shape[axis]
    where = np.repeat(np.arange(n), repeats)
    return indexing.along(a, where, axis)


@implements(np.roll)
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """Stand for `numpy.roll`."""
    a = traced(a)
    if axis is None:
        return reshape(roll(reshape(a, -1), shift, 0), a.shape)
    shifts, dims = np.broadcast_arrays(shift, axis)
    for s, d in zip(shifts.ravel(), dims.ravel(), strict=True):
        d = axis_index(int(d), a.ndim)
        n = a.shape[d]
        s = int(s) % n if n else 0
        if s:
            before = (slice(None),) * d
            a = concatenate([a[(*before, slice(n - s, None))], a[(*before, slice(None, n - s))]], d)
    return a


@implements(np.flip)
def flip(m: Any, axis: Any = None) -> Any:
    """Stand for `numpy.flip`."""
    m = traced(m)
    dims = axes(normalised(axis), m.ndim)
    return m[tuple(slice(None, None, -1) if i in dims else slice(None) for i in range(m.ndim))]


implements(np.flipud)(lambda m: flip(m, 0))
implements(np.fliplr)(lambda m: flip(m, 1))


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Stand for `numpy.rot90`."""
    m = traced(m)
    k %= 4
    if len(axes) != 2 or axis_index(axes[0], m.ndim) == axis_index(axes[1], m.ndim):
        raise ValueError("np.rot90 takes two different axes" + user_line())
    if k == 0:
        return m
    if k == 2:
        return flip(flip(m, axes[0]), axes[1])
    return swapaxes(flip(m, axes[1]), *axes) if k == 1 else flip(swapaxes(m, *axes), axes[1])


@implements(np.pad)
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Any:
    """Stand for `numpy.pad`: mode constant, and every mode that copies elements."""
    a = traced(array)
    if isinstance(pad_width, dict):
        pad_width = [pad_width.get(i, pad_width.get(i - a.ndim, (0, 0))) for i in range(a.ndim)]
        pad_width = [(w, w) if np.ndim(w) == 0 else w for w in pad_width]
    widths = np.asarray(pad_width)
    if widths.dtype.kind != "i":
        raise TypeError("`pad_width` must be of integral type." + user_line())
    if np.any(widths < 0):
        raise ValueError("index can't contain negative values" + user_line())
    if set(kwargs) - ({"constant_values"} if mode == "constant" else {"reflect_type"}):
        raise ValueError(f"unsupported keyword arguments for mode {mode!r}: {kwargs}" + user_line())
    widths = np.broadcast_to(widths, (a.ndim, 2))
    if (
        mode in ("edge", "reflect", "symmetric", "wrap")
        and kwargs.get("reflect_type", "even") == "even"
    ):
        for axis, (lo, hi) in enumerate(widths):
            if lo or hi:
                where = np.pad(np.arange(a.shape[axis]), (int(lo), int(hi)), mode)
                a = indexing.along(a, where, axis)
        return a
    if mode != "constant":
        raise UnsupportedError(
            f"np.pad with mode={mode!r} is not supported on traced values; use constant, edge, "
            f"reflect, symmetric or wrap" + user_line()
        )
    constant = kwargs.get("constant_values", 0)
    if a.dtype.kind == "i":  # NumPy wraps around what is written beside unsigned integers
        indexing.check_fits(constant, a.dtype)
    values = np.broadcast_to(cast(traced(constant), a.dtype), (a.ndim, 2))
    for axis, pair in enumerate(widths):
        blocks = [a]
        for side, width in enumerate(pair):
            if width:
                shape = (*a.shape[:axis], int(width), *a.shape[axis + 1 :])
                blocks.insert(len(blocks) * side, np.broadcast_to(values[axis, side], shape))
        a = concatenate(blocks, axis) if len(blocks) > 1 else a
    return a


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """Stand for `numpy.delete`."""
    a = traced(arr)
    if axis is None:
        a, axis = reshape(a, -1), 0
    axis = axis_index(axis, a.ndim)
    return indexing.along(a, _kept(a.shape[axis], obj), axis)


def _kept(n: int, obj: Any) -> Any:
    """Return the positions that `numpy.delete` leaves of `n`."""
    if not isinstance(obj, Traced):
        return np.delete(np.arange(n), obj)
    k: Any = obj
    if k.dtype.kind not in "iu":
        raise UnsupportedError("np.delete takes a traced mask or number as no index" + user_line())
    if holds((k < -n) | (k >= n)):
        raise IndexError(f"an index is out of bounds for an axis of size {n}" + user_line())
    if k.ndim:
        return np.delete(np.arange(n), [i.__index__() for i in np.ravel(k)])
    before = np.arange(n - 1)
    return before + (before >= np.where(k < 0, k + n, k))


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Stand for `numpy.insert`."""
    a = traced(arr)
    if axis is None:
        a, axis = reshape(a, -1), 0
    axis = axis_index(axis, a.ndim)
    n = a.shape[axis]
    if isinstance(obj, Traced):
        flat: Any = np.ravel(obj)  # type: ignore[call-overload]
        obj = np.reshape([i.__index__() for i in flat], obj.shape)  # type: ignore[attr-defined]
    if np.asarray(obj).dtype.kind == "b":
        raise UnsupportedError("np.insert takes no mask on traced values" + user_line())
    v = traced(values)
    if v.dtype.kind == "c" and a.dtype.kind != "c":
        raise TypeError(f"np.insert cannot put complex numbers into {a.dtype}" + user_line())
    v = cast(v, a.dtype)
    v = reshape(v, (1,) * (a.ndim - v.ndim) + v.shape)
    at = np.arange(n)[obj] if isinstance(obj, slice) else np.asarray(obj)
    if np.any((at < -n) | (at > n)):
        raise IndexError(
            f"index {obj} is out of bounds for axis {axis} with size {n}" + user_line()
        )
    at = np.where(at < 0, at + n, at)
    if at.ndim == 0:
        v = np.moveaxis(v, 0, axis)
        places = at + np.arange(v.shape[axis])
    else:
        places = np.empty(at.size, np.intp)
        places[np.argsort(at, kind="stable")] = np.sort(at) + np.arange(at.size)
    total = n + places.size
    spec = (*(slice(None),) * axis, SLOT)
    y = np.zeros((*a.shape[:axis], total, *a.shape[axis + 1 :]), a.dtype)
    y = index_set(y, a, np.setdiff1d(np.arange(total), places), spec=spec)
    return index_set(y, v, places, spec=spec)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """Stand for `numpy.resize`."""
    a = np.ravel(traced(a))
    shape = tuple(operator.index(n) for n in (new_shape if np.ndim(new_shape) else (new_shape,)))
    if any(n < 0 for n in shape):
        raise ValueError("all elements of `new_shape` must be non-negative" + user_line())
    if not a.size:
        return np.zeros(shape, a.dtype)
    return reshape(a[np.arange(math.prod(shape)) % a.size], shape)


# --- index arrays ---------------------------------------------------------------------------------
@implements(np.ix_)
def ix(*args: Any) -> tuple[Any, ...]:
    """Stand for `numpy.ix_`."""
    made = []
    for i, x in enumerate(traced(a) for a in args):
        if x.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional" + user_line())
        x = np.flatnonzero(x) if x.dtype.kind == "b" else x
        made.append(reshape(x, (1,) * i + (-1,) + (1,) * (len(args) - 1 - i)))
    return tuple(made)


@implements(np.unravel_index)
def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[Any, ...]:
    """Stand for `numpy.unravel_index`."""
    refuse("unravel_index", order=(order, "C"))
    i = traced(indices)
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    if i.dtype.kind not in "iu":
        raise TypeError("only int indices permitted" + user_line())
    if not sizes:
        raise UnsupportedError("np.unravel_index into no axes" + user_line())
    if holds((i < 0) | (i >= math.prod(sizes))):
        raise ValueError(f"an index is out of bounds for an array of shape {sizes}" + user_line())
    i = cast(i, np.intp)
    made = []
    for n in reversed(sizes):
        made.append(i % n)
        i = i // n
    return tuple(reversed(made))


@implements(np.ravel_multi_index)
def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> Any:
    """Stand for `numpy.ravel_multi_index`."""
    refuse("ravel_multi_index", mode=(mode, "raise"), order=(order, "C"))
    flat: Any = 0
    sizes = tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)
    if len(multi_index) != len(sizes):
        raise ValueError("parameter multi_index must have an index for each axis" + user_line())
    for i, n in zip(map(traced, multi_index), sizes, strict=True):
        if i.dtype.kind not in "iu":
            raise TypeError("only int indices permitted" + user_line())
        if holds((i < 0) | (i >= n)):
            raise ValueError("invalid entry in coordinates array" + user_line())
        flat = flat * n + cast(i, np.intp)
    return flat


for _function in (np.diag_indices_from, np.tril_indices_from, np.triu_indices_from):
    implements(_function)(lambda arr, *k, f=_function, **kw: f(np.empty(arr.shape, bool), *k, **kw))
