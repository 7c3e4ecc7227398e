"""NumPy's functions that move elements, and those that make arrays like a traced one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.errors import ShapeError, UnsupportedError, user_line
from wengert.ops import elementwise as ew
from wengert.ops import shape as sh
from wengert.ops.base import Traced
from wengert.ops.index import index_set
from wengert.trace import views
from wengert.trace.table import axes, axis_index, cast, creates, deliver, implements, refuse, traced
from wengert.trace.tracer import Tracer, lower


def _view(x: Any, op: Any, **attrs: Any) -> Any:
    y = op(x, **attrs)
    if not isinstance(x, Tracer) or not isinstance(y, Tracer):
        return y
    if op is sh.reshape and not np.may_share_memory(_data(x), _data(y)):
        return y  # NumPy copied
    return views.attach(y, x, op, attrs)


def _data(x: Any) -> Any:
    data = lower(x)
    return data if isinstance(data, np.ndarray) else np.empty(0)


def full_shape(shape: Any, size: int) -> tuple[int, ...]:
    """Resolve a reshape argument with a -1."""
    dims = tuple(int(n) for n in shape) if isinstance(shape, (tuple, list)) else (int(shape),)
    if -1 in dims:
        rest = math.prod(n for n in dims if n != -1)
        if dims.count(-1) > 1 or rest == 0 or size % rest:
            raise ShapeError(f"cannot reshape an array of size {size} into shape {dims}" + user_line())
        dims = tuple(size // rest if n == -1 else n for n in dims)
    if math.prod(dims) != size:
        raise ShapeError(f"cannot reshape an array of size {size} into shape {dims}" + user_line())
    return dims


@implements(np.reshape)
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    """Stand for `numpy.reshape`."""
    a = traced(a)
    shape = full_shape(shape if shape is not None else newshape, a.size)
    if order == "F":
        flipped = transpose(reshape(transpose(a), shape[::-1]))
        return flipped
    refuse("reshape", order=("C" if order == "A" else order, "C"))
    if shape == a.shape:
        return _view(a, sh.reshape, shape=shape)
    return _view(a, sh.reshape, shape=shape)


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """Stand for `numpy.ravel`."""
    return reshape(a, -1, order if order in "CF" else "C")


@implements(np.transpose, *((np.permute_dims,) if hasattr(np, "permute_dims") else ()))
def transpose(a: Any, axes: Any = None) -> Any:
    """Stand for `numpy.transpose`."""
    a = traced(a)
    order = tuple(range(a.ndim))[::-1] if axes is None else tuple(axis_index(i, a.ndim) for i in axes)
    if sorted(order) != list(range(a.ndim)):
        raise ShapeError(f"axes {axes} do not fit an array of {a.ndim} axes" + user_line())
    return _view(a, sh.transpose, axes=order)


@implements(np.matrix_transpose) if hasattr(np, "matrix_transpose") else (lambda f: f)
def matrix_transpose(x: Any, /) -> Any:
    """Stand for `numpy.matrix_transpose`."""
    return swapaxes(x, -1, -2)


@implements(np.swapaxes)
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """Stand for `numpy.swapaxes`."""
    a = traced(a)
    order = list(range(a.ndim))
    i, j = axis_index(axis1, a.ndim), axis_index(axis2, a.ndim)
    order[i], order[j] = order[j], order[i]
    return transpose(a, order)


@implements(np.moveaxis)
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """Stand for `numpy.moveaxis`."""
    a = traced(a)
    src = [axis_index(i, a.ndim) for i in (source if isinstance(source, (tuple, list)) else [source])]
    dst = [axis_index(i, a.ndim) for i in (destination if isinstance(destination, (tuple, list)) else [destination])]
    if len(src) != len(dst):
        raise ValueError("source and destination must have the same number of elements" + user_line())
    order = [i for i in range(a.ndim) if i not in src]
    for d, s in sorted(zip(dst, src, strict=True)):
        order.insert(d, s)
    return transpose(a, order)


@implements(np.rollaxis)
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    """Stand for `numpy.rollaxis`."""
    a = traced(a)
    axis = axis_index(axis, a.ndim)
    start = start + a.ndim if start < 0 else start
    return moveaxis(a, axis, start - 1 if axis < start else start)


@implements(np.expand_dims)
def expand_dims(a: Any, axis: Any) -> Any:
    """Stand for `numpy.expand_dims`."""
    a = traced(a)
    new = axis if isinstance(axis, (tuple, list)) else (axis,)
    rank = a.ndim + len(new)
    places = {axis_index(i, rank) for i in new}
    rest = iter(a.shape)
    return reshape(a, tuple(1 if i in places else next(rest) for i in range(rank)))


@implements(np.squeeze)
def squeeze(a: Any, axis: Any = None) -> Any:
    """Stand for `numpy.squeeze`."""
    a = traced(a)
    drop = {i for i, n in enumerate(a.shape) if n == 1} if axis is None else set(axes(axis, a.ndim))
    if any(a.shape[i] != 1 for i in drop):
        raise ValueError("cannot squeeze an axis whose length is not 1" + user_line())
    return reshape(a, tuple(n for i, n in enumerate(a.shape) if i not in drop))


def _atleast(rank: int) -> Any:
    def implementation(*arys: Any) -> Any:
        made = tuple(_padded_rank(traced(a), rank) for a in arys)
        return made[0] if len(made) == 1 else made

    return implementation


def _padded_rank(a: Any, rank: int) -> Any:
    if a.ndim >= rank:
        return a
    if rank < 3 or a.ndim == 0:
        return reshape(a, (1,) * (rank - a.ndim) + a.shape)
    return reshape(a, (1, *a.shape, 1) if a.ndim == 1 else (*a.shape, 1))


implements(np.atleast_1d)(_atleast(1))
implements(np.atleast_2d)(_atleast(2))
implements(np.atleast_3d)(_atleast(3))


@implements(np.broadcast_to)
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """Stand for `numpy.broadcast_to`."""
    a = traced(array)
    shape = (int(shape),) if not isinstance(shape, (tuple, list)) else tuple(int(n) for n in shape)
    try:
        fits = np.broadcast_shapes(a.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"cannot broadcast shape {a.shape} to shape {shape}" + user_line())
    return _view(a, sh.broadcast_to, shape=shape) if shape != a.shape else a


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """Stand for `numpy.broadcast_arrays`."""
    arrays = [traced(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return tuple(broadcast_to(a, shape) for a in arrays)


# --- joining and splitting ------------------------------------------------------------------------
@implements(np.concatenate, *((np.concat,) if hasattr(np, "concat") else ()))
def concatenate(arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Stand for `numpy.concatenate`."""
    parts = [cast(traced(a), dtype) for a in arrays]
    if axis is None:
        parts, axis = [reshape(p, -1) for p in parts], 0
    rank = parts[0].ndim
    if rank == 0:
        raise ValueError("zero-dimensional arrays cannot be concatenated; use np.stack" + user_line())
    axis = axis_index(axis, rank)
    for p in parts:
        if p.ndim != rank or p.shape[:axis] + p.shape[axis + 1 :] != parts[0].shape[:axis] + parts[0].shape[axis + 1 :]:
            shapes = ", ".join(str(q.shape) for q in parts)
            raise ShapeError(f"cannot concatenate shapes {shapes} along axis {axis}" + user_line())
    dtype = np.result_type(*(p.dtype for p in parts))
    return deliver(sh.concatenate(*(cast(p, dtype) for p in parts), axis=axis), out)


@implements(np.stack)
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Stand for `numpy.stack`."""
    parts = [traced(a) for a in arrays]
    if len({p.shape for p in parts}) != 1:
        raise ShapeError(f"np.stack needs equal shapes, not {[p.shape for p in parts]}" + user_line())
    axis = axis_index(axis, parts[0].ndim + 1)
    shape = parts[0].shape[:axis] + (1,) + parts[0].shape[axis:]
    return concatenate([sh.reshape(p, shape=shape) for p in parts], axis, out, dtype=dtype)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Stand for `numpy.vstack`."""
    return concatenate([_padded_rank(traced(a), 2) for a in tup], 0, dtype=dtype)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Stand for `numpy.hstack`."""
    parts = [_padded_rank(traced(a), 1) for a in tup]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1, dtype=dtype)


@implements(np.dstack)
def dstack(tup: Any) -> Any:
    """Stand for `numpy.dstack`."""
    return concatenate([_padded_rank(traced(a), 3) for a in tup], 2)


@implements(np.column_stack)
def column_stack(tup: Any) -> Any:
    """Stand for `numpy.column_stack`."""
    parts = [traced(a) for a in tup]
    return concatenate([p if p.ndim >= 2 else reshape(p, (p.size, 1)) for p in parts], 1)


@implements(np.block)
def block(arrays: Any) -> Any:
    """Stand for `numpy.block`."""

    def depth(x: Any) -> int:
        return 1 + max((depth(i) for i in x), default=0) if isinstance(x, list) else 0

    def join(x: Any, level: int) -> Any:
        if not isinstance(x, list):
            return traced(x)
        parts = [join(item, level - 1) for item in x]
        rank = max(max(p.ndim for p in parts), level)
        return concatenate([_lead(p, rank) for p in parts], -level)

    return join(arrays, depth(arrays))


def _lead(p: Any, rank: int) -> Any:
    return reshape(p, (1,) * (rank - p.ndim) + p.shape) if p.ndim < rank else p


@implements(np.append)
def append(arr: Any, values: Any, axis: Any = None) -> Any:
    """Stand for `numpy.append`."""
    arr, values = traced(arr), traced(values)
    if axis is None:
        return concatenate([reshape(arr, -1), reshape(values, -1)])
    return concatenate([arr, values], axis)


@implements(np.array_split)
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Stand for `numpy.array_split`."""
    a = traced(ary)
    axis = axis_index(axis, a.ndim)
    n = a.shape[axis]
    if np.ndim(indices_or_sections):
        cuts = [int(i) for i in indices_or_sections]
    else:
        k = int(indices_or_sections)
        sizes = [n // k + (i < n % k) for i in range(k)]
        cuts = [sum(sizes[:i]) for i in range(1, k)]
    bounds = [None, *cuts, None]
    before = (slice(None),) * axis
    return [a[(*before, slice(lo, hi))] for lo, hi in zip(bounds, bounds[1:], strict=False)]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Stand for `numpy.split`."""
    a = traced(ary)
    if not np.ndim(indices_or_sections) and a.shape[axis] % int(indices_or_sections):
        raise ValueError("array split does not result in an equal division" + user_line())
    return array_split(a, indices_or_sections, axis)


def _split_along(axis: int) -> Any:
    def implementation(ary: Any, indices_or_sections: Any) -> list[Any]:
        a = traced(ary)
        return split(a, indices_or_sections, 0 if axis == 1 and a.ndim == 1 else axis)

    return implementation


implements(np.vsplit)(_split_along(0))
implements(np.hsplit)(_split_along(1))
implements(np.dsplit)(_split_along(2))
if hasattr(np, "unstack"):

    @implements(np.unstack)
    def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        """Stand for `numpy.unstack`."""
        return tuple(moveaxis(x, axis, 0))


# --- repeating and rearranging ----------------------------------------------------------------------
@implements(np.tile)
def tile(A: Any, reps: Any) -> Any:  # noqa: N803
    """Stand for `numpy.tile`."""
    a = traced(A)
    reps = (int(reps),) if not np.ndim(reps) else tuple(int(r) for r in reps)
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
    return a[(*(slice(None),) * axis, where)]


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
    dims = axes(axis, m.ndim)
    return m[tuple(slice(None, None, -1) if i in dims else slice(None) for i in range(m.ndim))]


implements(np.flipud)(lambda m: flip(m, 0))
implements(np.fliplr)(lambda m: flip(m, 1))


@implements(np.rot90)
def rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Stand for `numpy.rot90`."""
    m = traced(m)
    k %= 4
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
    widths = np.broadcast_to(np.asarray(pad_width, dtype=int), (a.ndim, 2))
    if mode in ("edge", "reflect", "symmetric", "wrap") and kwargs.get("reflect_type", "even") == "even":
        for axis, (lo, hi) in enumerate(widths):
            if lo or hi:
                where = np.pad(np.arange(a.shape[axis]), (int(lo), int(hi)), mode)
                a = a[(*(slice(None),) * axis, where)]
        return a
    if mode != "constant":
        raise UnsupportedError(
            f"np.pad with mode={mode!r} is not supported on traced values; use constant, edge, reflect, "
            f"symmetric or wrap" + user_line()
        )
    values = kwargs.get("constant_values", 0)
    if isinstance(values, Traced) or np.ndim(values):
        raise UnsupportedError("np.pad with several or traced constant_values; use np.concatenate" + user_line())
    shape = tuple(int(lo) + n + int(hi) for n, (lo, hi) in zip(a.shape, widths, strict=True))
    inside = tuple(slice(int(lo), int(lo) + n) for n, (lo, _) in zip(a.shape, widths, strict=True))
    return index_set(np.full(shape, values, a.dtype), a, spec=inside)


@implements(np.delete)
def delete(arr: Any, obj: Any, axis: Any = None) -> Any:
    """Stand for `numpy.delete`."""
    a = traced(arr)
    if axis is None:
        a, axis = reshape(a, -1), 0
    axis = axis_index(axis, a.ndim)
    keep = np.delete(np.arange(a.shape[axis]), obj)
    return a[(*(slice(None),) * axis, keep)]


@implements(np.insert)
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Any:
    """Stand for `numpy.insert` at one position."""
    a = traced(arr)
    if axis is None:
        a, axis = reshape(a, -1), 0
    axis = axis_index(axis, a.ndim)
    if np.ndim(obj):
        raise UnsupportedError("np.insert at several positions; use np.concatenate" + user_line())
    n = a.shape[axis]
    i = int(obj) + n if int(obj) < 0 else int(obj)
    before = (slice(None),) * axis
    values = traced(values)
    if values.ndim < a.ndim:
        values = broadcast_to(values, a.shape[:axis] + a.shape[axis + 1 :]) if a.ndim > 1 else reshape(values, -1)
        values = expand_dims(values, axis) if a.ndim > 1 else values
    return concatenate([a[(*before, slice(None, i))], values, a[(*before, slice(i, None))]], axis)


@implements(np.resize)
def resize(a: Any, new_shape: Any) -> Any:
    """Stand for `numpy.resize`."""
    a = reshape(traced(a), -1)
    shape = (int(new_shape),) if not np.ndim(new_shape) else tuple(int(n) for n in new_shape)
    return reshape(a[np.arange(math.prod(shape)) % max(a.size, 1)], shape)


# --- copies, types, creation ------------------------------------------------------------------------
@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """Stand for `numpy.copy`."""
    return ew.convert(a, dtype=a.dtype)


@implements(np.astype) if hasattr(np, "astype") else (lambda f: f)
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Stand for `numpy.astype`."""
    return ew.convert(x, dtype=np.dtype(dtype))


@implements(np.shape)
def shape(a: Any) -> tuple[int, ...]:
    """Stand for `numpy.shape`."""
    return traced(a).shape  # type: ignore[no-any-return]


@implements(np.ndim)
def ndim(a: Any) -> int:
    """Stand for `numpy.ndim`."""
    return traced(a).ndim  # type: ignore[no-any-return]


@implements(np.size)
def size(a: Any, axis: Any = None) -> int:
    """Stand for `numpy.size`."""
    a = traced(a)
    return a.size if axis is None else a.shape[axis]  # type: ignore[no-any-return]


@implements(np.iscomplexobj)
def iscomplexobj(x: Any) -> bool:
    """Stand for `numpy.iscomplexobj`."""
    return bool(x.dtype.kind == "c")


@implements(np.isrealobj)
def isrealobj(x: Any) -> bool:
    """Stand for `numpy.isrealobj`."""
    return bool(x.dtype.kind != "c")


@implements(np.result_type)
def result_type(*args: Any) -> Any:
    """Stand for `numpy.result_type`."""
    return np.result_type(*(a.dtype if isinstance(a, Traced) else a for a in args))  # type: ignore[attr-defined]


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Stand for `numpy.can_cast`."""
    return np.can_cast(from_.dtype if isinstance(from_, Traced) else from_, to, casting)  # type: ignore[attr-defined, arg-type]


@implements(np.may_share_memory, np.shares_memory)
def shares_memory(a: Any, b: Any, max_work: Any = None) -> bool:
    """Stand for `numpy.shares_memory`."""
    return bool(np.may_share_memory(_data(a), _data(b)))


@implements(np.zeros_like)
def zeros_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    """Stand for `numpy.zeros_like`."""
    return _made(a, np.zeros(a.shape if shape is None else shape, dtype or a.dtype))


@implements(np.ones_like)
def ones_like(a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    """Stand for `numpy.ones_like`."""
    return _made(a, np.ones(a.shape if shape is None else shape, dtype or a.dtype))


@implements(np.empty_like)
def empty_like(prototype: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    """Stand for `numpy.empty_like`."""
    return zeros_like(prototype, dtype, shape=shape)


@implements(np.full_like)
def full_like(a: Any, fill_value: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any) -> Any:
    """Stand for `numpy.full_like`."""
    shape = a.shape if shape is None else (shape if isinstance(shape, tuple) else tuple(np.atleast_1d(shape)))
    target = np.dtype(dtype or a.dtype)
    if isinstance(fill_value, Traced):
        return sh.broadcast_to(cast(fill_value, target), shape=shape)
    return _made(a, np.full(shape, fill_value, target))


def _made(like: Any, x: Any) -> Any:
    """Give a new constant array to the trace of `like`, so that traced values can be stored in it."""
    return like._trace.lift(x) if isinstance(like, Tracer) else x


def _creation(function: Any) -> Any:
    def implementation(like: Any, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(a, Traced) for a in args):
            args = tuple(a.__index__() if isinstance(a, Traced) and a.dtype.kind in "iu" else a for a in args)  # type: ignore[attr-defined]
        return _made(like, function(*args, **kwargs))

    return implementation


for _function in (np.zeros, np.ones, np.empty, np.arange, np.eye, np.identity, np.tri):
    creates(_function)(_creation(_function if _function is not np.empty else np.zeros))


@creates(np.full)
def full(like: Any, shape: Any, fill_value: Any, dtype: Any = None, **_: Any) -> Any:
    """Stand for `numpy.full` with ``like=``."""
    if isinstance(fill_value, Traced):
        return sh.broadcast_to(cast(fill_value, dtype), shape=shape if isinstance(shape, tuple) else (int(shape),))
    return _made(like, np.full(shape, fill_value, dtype))


@creates(np.array, np.asarray, np.asanyarray, np.ascontiguousarray)
def array(like: Any, a: Any, dtype: Any = None, **options: Any) -> Any:
    """Stand for `numpy.array` and its kin with ``like=``."""
    x = traced(a)
    if isinstance(x, Traced):
        return ew.convert(x, dtype=np.dtype(dtype or x.dtype))  # type: ignore[attr-defined]
    return _made(like, np.array(x, dtype))


