"""NumPy's reductions, cumulative operations and statistics on traced values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ShapeError, UnsupportedError, user_line
from wengert.ops import order as order_ops
from wengert.ops import reduce as red
from wengert.ops.base import Op
from wengert.ops.shape import reshape
from wengert.trace.table import NO_VALUE, axes, axis_index, cast, deliver, implements, refuse, traced
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
        if name in ("max", "min") and (where is not NO_VALUE and where is not True) and initial is NO_VALUE:
            raise ValueError(f"np.{name} with where= needs initial=" + user_line())
        a = _masked(a, where, _identity(name, a.dtype))
        dims = axes(axis, a.ndim)
        if a.size == 0 and name in ("max", "min") and initial is NO_VALUE and any(a.shape[i] == 0 for i in dims):
            raise ValueError(f"np.{name} of an empty array has no value; give initial=" + user_line())
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
def np_any(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE) -> Any:
    """Stand for `numpy.any`."""
    return _general["any"](a, axis, None, out, keepdims, NO_VALUE, where)


@implements(np.all)
def np_all(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE) -> Any:
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
    np.fmax: "max", np.fmin: "min", np.logaddexp: "logsumexp",
    np.logical_and: "all", np.logical_or: "any",
}.items():  # fmt: skip
    UFUNC_METHODS[(_ufunc, "reduce")] = _ufunc_reduce(_name)


def _nan_aware(name: str) -> Callable[..., Any]:
    """``fmax.reduce`` and ``fmin.reduce`` pass over NaN."""
    plain = _ufunc_reduce(name)

    def implementation(a: Any, *args: Any, **kwargs: Any) -> Any:
        if bool(np.any(np.isnan(a))):
            raise UnsupportedError(f"numpy.f{name}.reduce of an array with NaN" + user_line())
        return plain(a, *args, **kwargs)

    return implementation


UFUNC_METHODS[(np.fmax, "reduce")] = _nan_aware("max")
UFUNC_METHODS[(np.fmin, "reduce")] = _nan_aware("min")


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
        x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
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


# --- statistics ---------------------------------------------------------------------------------
def _count(shape: tuple[int, ...], dims: tuple[int, ...], where: Any) -> Any:
    if where is NO_VALUE or where is True:
        return math.prod(shape[i] for i in dims)
    return np.sum(np.broadcast_to(where, shape), axis=dims, keepdims=True)


@implements(np.mean)
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE
) -> Any:
    """Stand for `numpy.mean`."""
    a = cast(traced(a), dtype)
    if a.dtype.kind in "iub":
        a = a.astype(float)
    dims = axes(axis, a.ndim)
    n = _count(a.shape, dims, where)
    total = np_sum(a, dims, keepdims=_keep(keepdims), where=where)
    if not isinstance(n, int):
        n = n if _keep(keepdims) else reshape_to(n, total)
        return deliver((total / n).astype(a.dtype), out)
    return deliver(total / n if n else total * np.nan, out)


def reshape_to(x: Any, like: Any) -> Any:
    """Reshape `x` to the shape of `like`."""
    return np.reshape(x, like.shape)


@implements(np.var)
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: Any = NO_VALUE,
    *,
    where: Any = NO_VALUE,
    mean: Any = NO_VALUE,
    correction: Any = NO_VALUE,
) -> Any:
    """Stand for `numpy._var`."""
    a = cast(traced(a), dtype)
    if a.dtype.kind in "iub":
        a = a.astype(float)
    if correction is not NO_VALUE:
        ddof = correction
    dims = axes(axis, a.ndim)
    center = np.mean(a, axis=dims, keepdims=True, where=where if where is not NO_VALUE else True) if mean is NO_VALUE else mean
    d = a - center
    squares = np.real(d * np.conjugate(d)) if a.dtype.kind == "c" else d * d
    total = np_sum(squares, dims, keepdims=_keep(keepdims), where=where)
    n = _count(a.shape, dims, where)
    if not isinstance(n, int):
        n = n if _keep(keepdims) else reshape_to(n, total)
        return deliver((total / np.maximum(n - ddof, 0)).astype(total.dtype), out)
    return deliver(total / max(n - ddof, 0) if n - ddof > 0 else total * np.nan, out)


@implements(np.std)
def std(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Stand for `numpy.std`."""
    return deliver(np.sqrt(var(a, axis, dtype, None, *args, **kwargs)), out)


@implements(np.average)
def average(
    a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: Any = NO_VALUE
) -> Any:
    """Stand for `numpy.average`."""
    a = traced(a)
    if weights is None:
        avg = mean(a, axis, keepdims=keepdims)
        n = a.size / max(avg.size, 1)
        return (avg, np.full(avg.shape, n)) if returned else avg
    w = traced(weights)
    dims = axes(axis, a.ndim)
    if w.shape != a.shape:
        if w.shape != tuple(a.shape[i] for i in dims):
            raise ShapeError(f"weights of shape {w.shape} do not fit a of shape {a.shape}" + user_line())
        w = np.reshape(w, tuple(a.shape[i] if i in dims else 1 for i in range(a.ndim)))
    w = np.broadcast_to(w, a.shape)
    total = np.sum(w, axis=dims, keepdims=_keep(keepdims))
    avg = np.sum(a * w, axis=dims, keepdims=_keep(keepdims)) / total
    return (avg, total) if returned else avg


def _nan(reduction: Any, fill: Any) -> Callable[..., Any]:
    def implementation(a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        a = traced(a)
        return reduction(np.where(np.isnan(a), fill, a), axis, *args, **kwargs)

    return implementation


implements(np.nansum)(_nan(np.sum, 0))
implements(np.nanprod)(_nan(np.prod, 1))
implements(np.nanmax)(_nan(np.max, -np.inf))
implements(np.nanmin)(_nan(np.min, np.inf))


@implements(np.nanmean)
def nanmean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = NO_VALUE) -> Any:
    """Stand for `numpy.nanmean`."""
    a = traced(a)
    return mean(np.where(np.isnan(a), 0, a), axis, dtype, out, keepdims, where=~np.isnan(a))


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE) -> Any:
    """Stand for `numpy.ptp`."""
    return deliver(np_max(a, axis, keepdims=keepdims) - np_min(a, axis, keepdims=keepdims), out)


@implements(np.count_nonzero)
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Stand for `numpy.count_nonzero`."""
    return np.sum(np.not_equal(traced(a), 0), axis=axis, keepdims=keepdims)


def _arg(op: Op) -> Callable[..., Any]:
    def implementation(a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE) -> Any:
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
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """Stand for `numpy.argsort`."""
    refuse("argsort", order=(order, None))
    a = traced(a)
    if axis is None:
        a, axis = reshape(a, shape=(a.size,)), 0
    return order_ops.argsort(a, axis=axis_index(axis, a.ndim))


def _partition(op: Op) -> Callable[..., Any]:
    def implementation(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Any:
        refuse(op.name, order=(order, None))
        a = traced(a)
        if axis is None:
            a, axis = reshape(a, shape=(a.size,)), 0
        kth = tuple(int(k) for k in np.atleast_1d(kth))
        return op(a, axis=axis_index(axis, a.ndim), kth=kth)

    return implementation


implements(np.partition)(_partition(order_ops.partition))
implements(np.argpartition)(_partition(order_ops.argpartition))


@implements(np.median)
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    """Stand for `numpy.median`."""
    return quantile(a, 0.5, axis, out, keepdims=keepdims)


@implements(np.quantile)
def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
    interpolation: Any = None,
) -> Any:
    """Stand for `numpy.quantile` with linear interpolation; `q` is a plain number or array."""
    refuse("quantile", method=(method, "linear"), weights=(weights, None), interpolation=(interpolation, None))
    a = traced(a)
    dims = axes(axis, a.ndim)
    kept = tuple(i for i in range(a.ndim) if i not in dims)
    lines = np.reshape(np.transpose(a, (*kept, *dims)), (*(a.shape[i] for i in kept), -1))
    ordered = np.sort(lines, axis=-1)
    n = lines.shape[-1]
    q = np.asarray(q, dtype=float)
    place = q * (n - 1)
    low = np.clip(np.floor(place).astype(int), 0, n - 1)
    high = np.clip(low + 1, 0, n - 1)
    share = (place - low).astype(a.dtype if a.dtype.kind == "f" else float)
    y = ordered[..., low] * (1 - share) + ordered[..., high] * share
    if q.ndim:
        y = np.moveaxis(y, tuple(range(len(kept), len(kept) + q.ndim)), tuple(range(q.ndim)))
    if keepdims:
        y = np.reshape(y, q.shape + tuple(1 if i in dims else a.shape[i] for i in range(a.ndim)))
    return deliver(y, out)


@implements(np.percentile)
def percentile(a: Any, q: Any, axis: Any = None, out: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Stand for `numpy.percentile`."""
    return quantile(a, np.asarray(q) / 100, axis, out, *args, **kwargs)


@implements(np.searchsorted)
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """Stand for `numpy.searchsorted`."""
    refuse("searchsorted", sorter=(sorter, None))
    return order_ops.searchsorted(traced(a), traced(v), side=side)


@implements(np.digitize)
def digitize(x: Any, bins: Any, right: bool = False) -> Any:
    """Stand for `numpy.digitize` with increasing bins."""
    return order_ops.searchsorted(traced(bins), traced(x), side="left" if right else "right")
