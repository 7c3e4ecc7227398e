"""NumPy's reductions, cumulative operations and sorting on traced values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import user_line
from wengert.ops import order as order_ops
from wengert.ops import reduce as red
from wengert.ops.base import Op
from wengert.ops.shape import reshape
from wengert.trace.table import (
    NO_VALUE,
    axes,
    axis_index,
    cast,
    deliver,
    implements,
    refuse,
    traced,
)
from wengert.trace.tracer import UFUNC_METHODS


def _keep(keepdims: Any) -> bool:
    return bool(keepdims) if keepdims is not NO_VALUE else False


def _masked(a: Any, where: Any, identity: Any) -> Any:
    if where is NO_VALUE or where is True:
        return a
    return np.where(where, a, identity)


def _identity(name: str, dtype: np.dtype[Any]) -> Any:
    if name == "sum":
        return 0
    if name == "prod":
        return 1
    if name == "logsumexp":
        return -np.inf
    if name in ("any", "all"):
        return name == "all"
    low = -np.inf if dtype.kind == "f" else np.iinfo(dtype).min if dtype.kind in "iu" else False
    high = np.inf if dtype.kind == "f" else np.iinfo(dtype).max if dtype.kind in "iu" else True
    return low if name == "max" else high


_COMBINE: dict[str, Any] = {
    "sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum,
    "logsumexp": np.logaddexp, "any": np.logical_or, "all": np.logical_and,
}  # fmt: skip


def _reduction(name: str, op: Op) -> Callable[..., Any]:
    def implementation(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = NO_VALUE,
        initial: Any = NO_VALUE,
        where: Any = NO_VALUE,
    ) -> Any:
        a = cast(traced(a), dtype)
        if (
            name in ("max", "min")
            and (where is not NO_VALUE and where is not True)
            and initial is NO_VALUE
        ):
            raise ValueError(f"np.{name} with where= needs initial=" + user_line())
        a = _masked(a, where, _identity(name, a.dtype))
        dims = axes(axis, a.ndim)
        if (
            a.size == 0
            and name in ("max", "min")
            and initial is NO_VALUE
            and any(a.shape[i] == 0 for i in dims)
        ):
            raise ValueError(
                f"np.{name} of an empty array has no value; give initial=" + user_line()
            )
        if a.size == 0 and name in ("max", "min"):
            kept = red.reduced(a.shape, dims, _keep(keepdims))
            return deliver(np.full(kept, initial, a.dtype), out)
        y = op(a, axis=dims, keepdims=_keep(keepdims))
        if initial is not NO_VALUE and initial is not None:
            y = _COMBINE[name](y, initial)
        return deliver(y, out)

    return implementation


def _extremum(name: str, op: Op) -> Callable[..., Any]:
    general = _reduction(name, op)

    def implementation(
        a: Any,
        axis: Any = None,
        out: Any = None,
        keepdims: Any = NO_VALUE,
        initial: Any = NO_VALUE,
        where: Any = NO_VALUE,
    ) -> Any:
        return general(a, axis, None, out, keepdims, initial, where)

    return implementation


_general = {
    name: _reduction(name, op)
    for name, op in {
        "sum": red.reduce_sum, "prod": red.reduce_prod, "max": red.reduce_max,
        "min": red.reduce_min, "logsumexp": red.reduce_logsumexp,
        "any": red.reduce_any, "all": red.reduce_all,
    }.items()
}  # fmt: skip
np_sum = implements(np.sum)(_general["sum"])
np_prod = implements(np.prod)(_general["prod"])
np_max = implements(np.max, np.amax)(_extremum("max", red.reduce_max))
np_min = implements(np.min, np.amin)(_extremum("min", red.reduce_min))


@implements(np.any)
def np_any(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE
) -> Any:
    """Stand for `numpy.any`."""
    return _general["any"](a, axis, None, out, keepdims, NO_VALUE, where)


@implements(np.all)
def np_all(
    a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE
) -> Any:
    """Stand for `numpy.all`."""
    return _general["all"](a, axis, None, out, keepdims, NO_VALUE, where)


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


for _ufunc, _name in {
    np.add: "sum", np.multiply: "prod", np.maximum: "max", np.minimum: "min",
    np.logaddexp: "logsumexp",
    np.logical_and: "all", np.logical_or: "any",
}.items():  # fmt: skip
    UFUNC_METHODS[(_ufunc, "reduce")] = _ufunc_reduce(_name)


def _lines(a: Any, axis: Any, dtype: Any) -> Any:
    a = cast(traced(a), dtype)
    return np.moveaxis(a, axis_index(axis, a.ndim), 0)


def _fold(
    ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None,
    keepdims: bool = False, initial: Any = NO_VALUE, where: Any = True,
) -> Any:  # fmt: skip
    """Stand for ``ufunc.reduce`` of a ufunc without a reduction of its own: one step an element."""
    refuse(f"{ufunc.__name__}.reduce", where=(where, True))
    lines = _lines(a, axis, dtype)
    steps = [lines[i] for i in range(lines.shape[0])]
    if initial is not NO_VALUE:
        steps.insert(0, initial)
    if not steps:
        raise ValueError(
            f"np.{ufunc.__name__}.reduce of an empty array; give initial=" + user_line()
        )
    y = steps[0]
    for x in steps[1:]:
        y = ufunc(y, x)
    return deliver(np.expand_dims(y, axis) if keepdims else y, out)


def _scan(ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """Stand for ``ufunc.accumulate`` in the same way."""
    lines = _lines(a, axis, dtype)
    made = [lines[i] for i in range(min(lines.shape[0], 1))]
    for i in range(1, lines.shape[0]):
        made.append(ufunc(made[-1], lines[i]))
    return deliver(np.moveaxis(np.stack(made), 0, axis) if made else traced(a), out)


def _segments(
    ufunc: np.ufunc, a: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """Stand for ``ufunc.reduceat``: a reduction over each segment."""
    lines = _lines(a, axis, dtype)
    starts = [int(i) for i in indices]
    stops = [*starts[1:], lines.shape[0]]
    made = [
        ufunc.reduce(lines[i:j]) if i < j else lines[i] for i, j in zip(starts, stops, strict=True)
    ]
    return deliver(np.moveaxis(np.stack(made), 0, axis), out)


UFUNC_METHODS[(None, "reduce")] = _fold  # type: ignore[index]
UFUNC_METHODS[(None, "accumulate")] = _scan  # type: ignore[index]
UFUNC_METHODS[(None, "reduceat")] = _segments  # type: ignore[index]


def _accumulate(op: Op) -> Callable[..., Any]:
    def implementation(a: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
        a = cast(traced(a), dtype)
        return deliver(op(a, axis=axis_index(axis, a.ndim)), out)

    return implementation


for _ufunc, _op in {
    np.add: order_ops.cumsum, np.multiply: order_ops.cumprod,
    np.maximum: order_ops.cummax, np.minimum: order_ops.cummin,
}.items():  # fmt: skip
    UFUNC_METHODS[(_ufunc, "accumulate")] = _accumulate(_op)


def _cumulative(op: Op) -> Callable[..., Any]:
    def implementation(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        a = cast(traced(a), dtype)
        if axis is None:
            a, axis = reshape(a, shape=(a.size,)), 0
        return deliver(op(a, axis=axis_index(axis, a.ndim)), out)

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
        x = cast(traced(x), dtype)
        if axis is None:
            if x.ndim != 1:
                raise ValueError("axis is needed for more than one dimension" + user_line())
            axis = 0
        axis = axis_index(axis, x.ndim)
        y = op(x, axis=axis)
        if include_initial:
            head = list(x.shape)
            head[axis] = 1
            y = np.concatenate([np.full(head, first, x.dtype), y], axis=axis)
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
        a = traced(a)
        if axis is None:
            shape = (1,) * a.ndim
            y = op(reshape(a, shape=(a.size,)), axis=0, keepdims=False)
            return deliver(np.reshape(y, shape) if _keep(keepdims) else y, out)
        return deliver(op(a, axis=axis_index(axis, a.ndim), keepdims=_keep(keepdims)), out)

    return implementation


implements(np.argmax)(_arg(red.argmax))
implements(np.argmin)(_arg(red.argmin))


# --- order --------------------------------------------------------------------------------------
@implements(np.sort)
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Stand for `numpy.sort`."""
    refuse("sort", order=(order, None))
    a = traced(a)
    if axis is None:
        a, axis = reshape(a, shape=(a.size,)), 0
    return order_ops.sort(a, axis=axis_index(axis, a.ndim))


@implements(np.argsort)
def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
) -> Any:
    """Stand for `numpy.argsort`."""
    refuse("argsort", order=(order, None))
    a = traced(a)
    if axis is None:
        a, axis = reshape(a, shape=(a.size,)), 0
    return order_ops.argsort(a, axis=axis_index(axis, a.ndim))


def _partition(op: Op) -> Callable[..., Any]:
    def implementation(
        a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
    ) -> Any:
        refuse(op.name, order=(order, None))
        a = traced(a)
        if axis is None:
            a, axis = reshape(a, shape=(a.size,)), 0
        kth = tuple(int(k) for k in np.atleast_1d(kth))
        return op(a, axis=axis_index(axis, a.ndim), kth=kth)

    return implementation


implements(np.partition)(_partition(order_ops.partition))
implements(np.argpartition)(_partition(order_ops.argpartition))


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Stand for `numpy.searchsorted`."""
    refuse("searchsorted", sorter=(sorter, None))
    return order_ops.searchsorted(traced(a), traced(v), side=side)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Stand for `numpy.digitize`."""
    x, bins = traced(x), traced(bins)
    if bins.shape[0] > 1 and bool(bins[0] > bins[-1]):
        side = "right" if right else "left"
        return bins.shape[0] - order_ops.searchsorted(bins[::-1], x, side=side)
    return order_ops.searchsorted(bins, x, side="left" if right else "right")


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """Stand for `numpy.lexsort`: stable sorts, from the last key of least weight to the first."""
    parts = [traced(key) for key in keys]
    axis = axis_index(axis, parts[0].ndim)
    found = order_ops.argsort(parts[0], axis=axis)
    for key in parts[1:]:
        again = order_ops.argsort(order_ops.take_along(key, found, axis), axis=axis)
        found = order_ops.take_along(found, again, axis)
    return found


@implements(np.unique)
def unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: Any = None, *, equal_nan: bool = True, sorted: bool = True,
) -> Any:  # fmt: skip
    """Stand for `numpy.unique` of the flattened array."""
    refuse("unique", axis=(axis, None), equal_nan=(equal_nan, True))
    a = np.ravel(traced(ar))
    order = order_ops.argsort(a, axis=0)
    ordered = a[order]
    fresh = np.not_equal(ordered[1:], ordered[:-1]) & ~(
        np.isnan(ordered[1:]) & np.isnan(ordered[:-1])
    )
    first = np.concatenate([np.ones(min(a.size, 1), bool), fresh])
    starts = np.flatnonzero(first)
    made = [ordered[starts]]
    if return_index:
        made.append(order[starts])
    if return_inverse:
        ranks = np.cumsum(first) - 1
        made.append(np.reshape(ranks[order_ops.argsort(order, axis=0)], np.shape(ar)))
    if return_counts:
        made.append(np.diff(np.append(starts, a.size)))
    return made[0] if len(made) == 1 else tuple(made)
