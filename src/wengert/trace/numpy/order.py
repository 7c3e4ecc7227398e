"""NumPy's sorting and searching on traced values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import user_line
from wengert.ops import order as order_ops
from wengert.ops.base import Op
from wengert.ops.shape import reshape
from wengert.trace.numpy.table import axis_index, decided, implements, refuse, traced

_KINDS = {"quicksort", "mergesort", "heapsort", "stable"}


def _sorting(name: str, op: Op) -> Callable[..., Any]:
    def implementation(
        a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None
    ) -> Any:
        refuse(name, order=(order, None))
        if kind is not None and (kind not in _KINDS or stable is not None):
            raise ValueError(f"{name} takes kind= of {sorted(_KINDS)}, or stable=" + user_line())
        a = traced(a)
        if axis is None or (name == "argsort" and not a.ndim):
            axis_index(0 if axis is None else axis, 1)
            a, axis = reshape(a, shape=(a.size,)), 0
        return op(a, axis=axis_index(axis, a.ndim))

    return implementation


implements(np.sort)(_sorting("sort", order_ops.sort))
implements(np.argsort)(_sorting("argsort", order_ops.argsort))


def _partition(op: Op) -> Callable[..., Any]:
    def implementation(
        a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None
    ) -> Any:
        refuse(op.name, order=(order, None), kind=(kind, "introselect"))
        a = traced(a)
        if axis is None:
            a, axis = reshape(a, shape=(a.size,)), 0
        kth = tuple(operator.index(k) for k in np.atleast_1d(kth))
        return op(a, axis=axis_index(axis, a.ndim), kth=kth)

    return implementation


implements(np.partition)(_partition(order_ops.partition))
implements(np.argpartition)(_partition(order_ops.argpartition))


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Stand for `numpy.searchsorted`."""
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right', not {side!r}" + user_line())
    a, v = traced(a), traced(v)
    if a.ndim != 1:
        raise ValueError(
            f"searchsorted takes a vector, not an array of {a.ndim} axes" + user_line()
        )
    if sorter is not None:
        sorter = traced(sorter)
        if sorter.dtype.kind not in "iub":
            raise TypeError("sorter= takes integers" + user_line())
        if sorter.shape != a.shape:
            raise ValueError("sorter.size must equal a.size" + user_line())
        if decided(np.any((sorter < 0) | (sorter >= a.shape[0]))):
            raise ValueError("Sorter index out of range." + user_line())
        a = order_ops.take_along(a, sorter.astype(np.intp), 0)
    return order_ops.searchsorted(a, v, side=side)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Stand for `numpy.digitize`: bins increase or decrease, which is a guard where traced."""
    x, bins = traced(x), traced(bins)
    if "c" in (x.dtype.kind, bins.dtype.kind):
        raise TypeError("x may not be complex" + user_line())
    if bins.ndim != 1:
        raise ValueError("bins takes a vector" + user_line())
    side = "left" if right else "right"
    if decided(np.all(bins[1:] >= bins[:-1]), unknown=True):
        return order_ops.searchsorted(bins, x, side=side)
    if not decided(np.all(bins[1:] <= bins[:-1])):
        raise ValueError("bins must be monotonically increasing or decreasing" + user_line())
    return bins.shape[0] - order_ops.searchsorted(bins[::-1], x, side=side)


@implements(np.lexsort)
def lexsort(keys: Any, axis: int = -1) -> Any:
    """Stand for `numpy.lexsort`: stable sorts, from the last key of least weight to the first."""
    parts = [traced(key) for key in keys]
    if not parts or len({p.shape for p in parts}) > 1:
        raise ValueError("np.lexsort takes keys of one shape" + user_line())
    if not parts[0].ndim:
        return np.intp(0)
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
    refuse("unique", axis=(axis, None), equal_nan=(equal_nan, True), sorted=(sorted, True))
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
