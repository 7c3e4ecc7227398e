"""NumPy's reductions and cumulative operations on traced values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ShapeError, user_line
from wengert.ops import order as order_ops
from wengert.ops import reduce as red
from wengert.ops.base import Op
from wengert.ops.shape import reshape
from wengert.trace.dispatch import UFUNC_METHODS
from wengert.trace.numpy.table import (
    NO_VALUE,
    axes_of_ufunc,
    axis_index,
    called_as,
    cast,
    deliver,
    implements,
    traced,
)


def _keep(keepdims: Any) -> bool:
    if keepdims is NO_VALUE:
        return False
    return bool(keepdims) if isinstance(keepdims, np.bool_) else bool(operator.index(keepdims))


def where_of(where: Any, a: Any) -> Any:
    """Return ``where=`` as a mask that broadcasts to the shape of `a`; True where it leaves none.

    Raises
    ------
    TypeError
        Where it is not of booleans.
    ValueError
        Where it does not broadcast to the shape of `a`.
    """
    if where is NO_VALUE or where is True:
        return True
    mask = traced(where)
    if mask.dtype.kind != "b":
        raise TypeError(f"where= is of {mask.dtype}; it has to be of bool" + user_line())
    if np.broadcast_shapes(mask.shape, a.shape) != a.shape:
        raise ShapeError(
            f"where= of shape {mask.shape} does not broadcast to the array's shape {a.shape}"
            + user_line()
        )
    return mask


def _reduction(op: Op) -> Callable[..., Any]:
    name, folds = op.name, op.folds

    def implementation(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = NO_VALUE,
        initial: Any = NO_VALUE,
        where: Any = NO_VALUE,
    ) -> Any:
        a = traced(a)
        dims = axes_of_ufunc(axis, a.ndim)
        target = None if dtype is None or dtype is NO_VALUE else np.dtype(dtype)
        reduce, combine = op, folds
        if target is not None:
            a = cast(a, target)
            if name in ("any", "all") and target.kind != "b":
                raise TypeError("logical reductions are of dtype bool" + user_line())
            if target.kind == "b" and name in _OF_BOOLEANS:
                reduce, combine = _OF_BOOLEANS[name]
        if name == "logsumexp" and a.dtype.kind in "iub":
            a = cast(a, np.logaddexp.resolve_dtypes((a.dtype, a.dtype, None))[0])
        mask = where_of(where, a)
        if initial is NO_VALUE:
            needs_one = name in ("max", "min")
        else:
            needs_one = initial is None
        if needs_one and (mask is not True or any(a.shape[i] == 0 for i in dims)):
            raise ValueError(
                f"np.{name} of nothing has no value: an empty array, or where=, needs initial="
                + user_line()
            )
        kept = _keep(keepdims)
        if mask is not True:
            unused = initial if a.dtype.kind == "c" and name in ("max", "min") else None
            a = np.where(mask, a, red.neutral(folds, a.dtype) if unused is None else unused)
        if a.size == 0 and name in ("max", "min") and any(a.shape[i] == 0 for i in dims):
            first = _initial(initial, a.dtype)
            return deliver(np.broadcast_to(first, red.reduced(a.shape, dims, kept)) + 0, out)
        y = reduce(a, axis=dims, keepdims=kept)
        if initial is not NO_VALUE and initial is not None:
            y = combine(y, _initial(initial, y.dtype))
        return deliver(y if target is None or name in ("any", "all") else cast(y, target), out)

    return implementation


_OF_BOOLEANS: dict[str, tuple[Any, Any]] = {
    "sum": (red.reduce_any, np.logical_or),
    "prod": (red.reduce_all, np.logical_and),
}
"""What a sum and a product of booleans, added up as booleans, are."""


def _initial(initial: Any, dtype: np.dtype[Any]) -> Any:
    """Return the number to start from in the dtype of the result, as NumPy casts it."""
    first = traced(initial)
    if first.ndim:
        raise ValueError("initial= takes a number" + user_line())
    if first.dtype.kind == "c" and dtype.kind not in "cb":
        raise TypeError(f"initial= is complex, but the result is of {dtype}" + user_line())
    if type(initial) is int and dtype.kind in "iu":
        bounds = np.iinfo(dtype)
        if not bounds.min <= initial <= bounds.max:
            raise OverflowError(f"initial={initial} is out of bounds for {dtype}" + user_line())
    return cast(first, dtype)


_general = {op.name: _reduction(op) for op in red.REDUCTIONS.values()}
np_sum = implements(np.sum)(_general["sum"])
np_prod = implements(np.prod)(_general["prod"])
np_max = implements(np.max, np.amax)(called_as(np.max, _general["max"]))
np_min = implements(np.min, np.amin)(called_as(np.min, _general["min"]))
implements(np.any)(called_as(np.any, _general["any"]))
implements(np.all)(called_as(np.all, _general["all"]))


def _ufunc_reduce(name: str) -> Callable[..., Any]:
    def implementation(
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        initial: Any = NO_VALUE,
        where: Any = True,
    ) -> Any:
        return _general[name](a, axis, dtype, out, keepdims, initial, where)

    return implementation


for _ufunc, _op in red.REDUCTIONS.items():
    UFUNC_METHODS[(_ufunc, "reduce")] = _ufunc_reduce(_op.name)


def _running(op: Op, a: Any, axis: Any, dtype: Any) -> Any:
    """Apply a cumulative operation, in `dtype` where that is given."""
    if dtype is None:
        return op(a, axis=axis)
    a, target = cast(a, dtype), np.dtype(dtype)
    if target.kind == "b" and op in _OF_TRUTH:
        return np.not_equal(_OF_TRUTH[op](a.astype(np.uint8), axis=axis), 0)
    return cast(op(a, axis=axis), target)


_OF_TRUTH = {order_ops.cumsum: order_ops.cummax, order_ops.cumprod: order_ops.cummin}


def _accumulate(op: Op) -> Callable[..., Any]:
    def implementation(a: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        a = traced(a)
        if not a.ndim:
            raise TypeError("cannot accumulate on a scalar" + user_line())
        return deliver(_running(op, a, axis_index(axis, a.ndim), dtype), out)

    return implementation


for _ufunc, _op in order_ops.CUMULATIVE.items():
    UFUNC_METHODS[(_ufunc, "accumulate")] = _accumulate(_op)


def _cumulative(op: Op) -> Callable[..., Any]:
    def implementation(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        a = traced(a)
        if axis is None or not a.ndim:
            axis_index(0 if axis is None else axis, 1)
            a, axis = reshape(a, shape=(a.size,)), 0
        return deliver(_running(op, a, axis_index(axis, a.ndim), dtype), out)

    return implementation


implements(np.cumsum)(_cumulative(order_ops.cumsum))
implements(np.cumprod)(_cumulative(order_ops.cumprod))


def _include_initial(op: Op, first: float) -> Callable[..., Any]:
    def implementation(
        x: Any,
        /,
        *,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        include_initial: bool = False,
    ) -> Any:
        x = traced(x)
        if axis is None:
            if x.ndim > 1:
                raise ValueError("axis is needed for more than one dimension" + user_line())
            axis = 0
        if not x.ndim:
            raise ValueError("the array must have at least one axis" + user_line())
        axis = axis_index(axis, x.ndim)
        y = _running(op, x, axis, dtype)
        if include_initial:
            head = list(x.shape)
            head[axis] = 1
            y = np.concatenate([np.full(head, first, y.dtype), y], axis=axis)
        return deliver(y, out)

    return implementation


if hasattr(np, "cumulative_sum"):
    implements(np.cumulative_sum)(_include_initial(order_ops.cumsum, 0.0))
    implements(np.cumulative_prod)(_include_initial(order_ops.cumprod, 1.0))


# --- counting and places --------------------------------------------------------------------------
@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Stand for `numpy.count_nonzero`."""
    return np.sum(np.not_equal(traced(a), 0), axis=axis, keepdims=keepdims)


def _arg(op: Op) -> Callable[..., Any]:
    def implementation(
        a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE
    ) -> Any:
        a, kept = traced(a), _keep(keepdims)
        if axis is None or not a.ndim:
            axis_index(0 if axis is None else axis, 1)
            shape = (1,) * a.ndim
            y = op(reshape(a, shape=(a.size,)), axis=0, keepdims=False)
            return deliver(np.reshape(y, shape) if kept else y, out)
        return deliver(op(a, axis=axis_index(axis, a.ndim), keepdims=kept), out)

    return implementation


implements(np.argmax)(_arg(red.argmax))
implements(np.argmin)(_arg(red.argmin))
