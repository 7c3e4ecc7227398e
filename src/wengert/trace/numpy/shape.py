"""NumPy's functions that move elements, and those that make arrays like a traced one."""

from __future__ import annotations

import itertools
import math
import operator
from typing import Any

import numpy as np

from wengert.errors import ShapeError, user_line
from wengert.ops import shape as sh
from wengert.ops.base import Traced
from wengert.trace import layout, memory, views
from wengert.trace.numbers import number_type
from wengert.trace.numpy.table import (
    axes,
    axis_index,
    cast,
    deliver,
    implements,
    optional,
    ordering,
    traced,
)
from wengert.trace.tracer import Tracer


def _view(x: Any, op: Any, **attrs: Any) -> Any:
    y = op(x, **attrs)
    return views.attach(y, x, op, attrs) if isinstance(y, Tracer) else y


def full_shape(shape: Any, size: int) -> tuple[int, ...]:
    """Resolve a reshape argument with a -1."""
    given = shape if isinstance(shape, (tuple, list)) else (shape,)
    dims = tuple(operator.index(n) for n in given)
    if -1 in dims:
        rest = math.prod(n for n in dims if n != -1)
        if dims.count(-1) > 1 or rest == 0 or size % rest:
            raise ShapeError(
                f"cannot reshape an array of size {size} into shape {dims}" + user_line()
            )
        dims = tuple(size // rest if n == -1 else n for n in dims)
    if math.prod(dims) != size:
        raise ShapeError(f"cannot reshape an array of size {size} into shape {dims}" + user_line())
    return dims


@implements(np.reshape)
def reshape(
    a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None
) -> Any:
    """Stand for `numpy.reshape`."""
    a = traced(a)
    shape = full_shape(shape if shape is not None else newshape, a.size)
    if not isinstance(a, Tracer):
        return np.reshape(a, shape, order=order)  # type: ignore[call-overload]
    if copy:
        a = memory.converted(a, a.dtype, order)
    if _is_fortran(a, order):
        made = transpose(views.reshaped(transpose(a), shape[::-1]))
    else:
        made = views.reshaped(a, shape)
    if copy is False and not views.shares(made, a):
        raise ShapeError("Unable to avoid creating a copy while reshaping." + user_line())
    return made


def _is_fortran(a: Any, order: Any) -> bool:
    """Whether ``order=`` of a reshape stands for Fortran order."""
    if order not in ("C", "F", "A"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', not {order!r}" + user_line())
    if order == "A" and len(a.shape) > 1:
        memory.decided()
        return bool(memory.order_of(a, "A") != "C")
    return order == "F"  # type: ignore[no-any-return]


@implements(np.ravel)
def ravel(a: Any, order: str = "C") -> Any:
    """Stand for `numpy.ravel`: contiguous, so a copy of a strided view even where it is flat."""
    a, order = traced(a), ordering(order)
    if not isinstance(a, Tracer):
        return np.ravel(a, order)  # type: ignore[call-overload]
    if len(a.shape) < 2:
        if not a.shape or views.is_contiguous(a):
            return views.reshaped(a, (a.size,))
        return views.flattened(a)
    if order != "C":
        a, is_view = _in_order(a, order)
    else:
        is_view = views.is_contiguous(a)
    return views.reshaped(a, (a.size,)) if is_view else views.flattened(a)


def _in_order(a: Any, order: str) -> tuple[Any, bool]:
    """Return the transpose whose C order is an order of `a`, and whether ``ravel`` is a view."""
    if order not in ("F", "A", "K"):
        raise ValueError(f"order must be one of 'C', 'F', 'A', 'K', not {order!r}" + user_line())
    if order != "F":
        memory.decided()
    own, size = memory.strides(a), a.dtype.itemsize
    wanted = memory.order_of(a, order)
    axes = list(range(a.ndim)) if wanted == "C" else list(wanted)
    turned = [own[i] for i in axes]
    is_view = layout.is_c(tuple([a.shape[i] for i in axes]), tuple(turned), size)
    if order == "K" and not is_view:  # a copy goes through the elements as NumPy's iterator does
        axes = layout.iterated(a.shape, [(a.shape, own)])
    return transpose(a, axes), is_view


@implements(np.transpose, *optional("permute_dims"))
def transpose(a: Any, axes: Any = None) -> Any:
    """Stand for `numpy.transpose`."""
    a = traced(a)
    rank = a.ndim
    if axes is None:
        order = tuple(range(rank - 1, -1, -1))
    else:
        order = tuple(axis_index(i, rank) for i in axes)
        if sorted(order) != list(range(rank)):
            raise ShapeError(f"axes {axes} do not fit an array of {rank} axes" + user_line())
    return _view(a, sh.transpose, axes=order)


@implements(*optional("matrix_transpose"))
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
    src = [
        axis_index(i, a.ndim) for i in (source if isinstance(source, (tuple, list)) else [source])
    ]
    dst = [
        axis_index(i, a.ndim)
        for i in (destination if isinstance(destination, (tuple, list)) else [destination])
    ]
    if len(src) != len(dst):
        raise ValueError(
            "source and destination must have the same number of elements" + user_line()
        )
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
    if not 0 <= start <= a.ndim:
        raise np.exceptions.AxisError(f"start of np.rollaxis is out of bounds: {start}")
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
    return _view(a if a.shape else memory.held(a), sh.broadcast_to, shape=shape)


@implements(np.broadcast_arrays)
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    """Stand for `numpy.broadcast_arrays`."""
    arrays = [traced(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    if all(a.shape == shape for a in arrays):
        return tuple(a if a.shape else memory.held(a) for a in arrays)
    whole = np.broadcast_to(False, shape)  # NumPy lets plain views be written into, with a warning
    return tuple(
        broadcast_to(a, shape) if isinstance(a, Traced) else np.broadcast_arrays(a, whole)[0]
        for a in arrays
    )


# --- joining and splitting ------------------------------------------------------------------------
@implements(np.concatenate, *optional("concat"))
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: Any = "same_kind"
) -> Any:
    """Stand for `numpy.concatenate`."""
    parts = [traced(a) for a in arrays]
    if dtype is not None or casting != "same_kind":
        for a in parts:
            if not np.can_cast(a.dtype, dtype or a.dtype, casting):
                raise TypeError(
                    f"np.concatenate cannot cast {a.dtype} to {np.dtype(dtype)} by {casting!r}"
                    + user_line()
                )
        parts = [cast(a, dtype) for a in parts]
    if axis is None:
        parts, axis = [reshape(p, -1) for p in parts], 0
    shapes = [p.shape for p in parts]
    rank = len(shapes[0])
    if rank == 0:
        raise ValueError(
            "zero-dimensional arrays cannot be concatenated; use np.stack" + user_line()
        )
    axis = axis_index(axis, rank)
    rest = shapes[0][:axis] + shapes[0][axis + 1 :]
    for s in shapes:
        if len(s) != rank or s[:axis] + s[axis + 1 :] != rest:
            shown = ", ".join(map(str, shapes))
            raise ShapeError(f"cannot concatenate shapes {shown} along axis {axis}" + user_line())
    dtypes = {p.dtype for p in parts}
    if len(dtypes) > 1:
        dtype = np.result_type(*dtypes)
        parts = [cast(p, dtype) for p in parts]
    return deliver(sh.concatenate(*parts, axis=axis), out)


@implements(np.stack)
def stack(
    arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Any:
    """Stand for `numpy.stack`."""
    parts = [traced(a) for a in arrays]
    if len({p.shape for p in parts}) != 1:
        raise ShapeError(
            f"np.stack needs equal shapes, not {[p.shape for p in parts]}" + user_line()
        )
    axis = axis_index(axis, parts[0].ndim + 1)
    shape = (*parts[0].shape[:axis], 1, *parts[0].shape[axis:])
    parts = [sh.reshape(p, shape=shape) for p in parts]
    return concatenate(parts, axis, out, dtype=dtype, casting=casting)


@implements(np.vstack)
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Stand for `numpy.vstack`."""
    return concatenate([_padded_rank(traced(a), 2) for a in tup], 0, dtype=dtype, casting=casting)


@implements(np.hstack)
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """Stand for `numpy.hstack`."""
    parts = [_padded_rank(traced(a), 1) for a in tup]
    return concatenate(parts, 0 if parts[0].ndim == 1 else 1, dtype=dtype, casting=casting)


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
        if not isinstance(x, list):
            return 0
        depths = {depth(i) for i in x}
        if len(depths) != 1:
            raise ValueError("np.block takes lists that are nested to one depth" + user_line())
        return 1 + depths.pop()

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
        cuts = [operator.index(i) for i in indices_or_sections]
    else:
        k = operator.index(indices_or_sections)
        if k <= 0:
            raise ValueError("number sections must be larger than 0." + user_line())
        sizes = [n // k + (i < n % k) for i in range(k)]
        cuts = [sum(sizes[:i]) for i in range(1, k)]
    bounds = [None, *cuts, None]
    before = (slice(None),) * axis
    return [a[(*before, slice(lo, hi))] for lo, hi in itertools.pairwise(bounds)]


@implements(np.split)
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Stand for `numpy.split`."""
    a = traced(ary)
    axis = axis_index(axis, a.ndim)
    if not np.ndim(indices_or_sections) and a.shape[axis] % operator.index(indices_or_sections):
        raise ValueError("array split does not result in an equal division" + user_line())
    return array_split(a, indices_or_sections, axis)


def _split_along(axis: int) -> Any:
    def implementation(ary: Any, indices_or_sections: Any) -> list[Any]:
        a = traced(ary)
        if a.ndim < (1 if axis == 1 else axis + 1 if axis else 2):
            raise ValueError(f"an array of {a.ndim} axes cannot be split like that" + user_line())
        return split(a, indices_or_sections, 0 if axis == 1 and a.ndim == 1 else axis)

    return implementation


implements(np.vsplit)(_split_along(0))
implements(np.hsplit)(_split_along(1))
implements(np.dsplit)(_split_along(2))


@implements(*optional("unstack"))
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Stand for `numpy.unstack`."""
    return tuple(moveaxis(x, axis, 0))


# --- what is asked of arrays ----------------------------------------------------------------------
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
    kinds = [number_type(a) if isinstance(a, Traced) else None for a in args]
    return np.result_type(
        *(
            kind(1) if kind is not None else a.dtype if isinstance(a, Traced) else a  # type: ignore[attr-defined]
            for kind, a in zip(kinds, args, strict=True)
        )
    )


@implements(np.can_cast)
def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Stand for `numpy.can_cast`."""
    return np.can_cast(from_.dtype if isinstance(from_, Traced) else from_, to, casting)  # type: ignore[attr-defined, arg-type]
