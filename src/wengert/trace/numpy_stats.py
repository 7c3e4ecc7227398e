"""NumPy's statistics on traced values: means, quantiles, histograms, and what passes over NaN."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ShapeError, user_line
from wengert.ops.base import Traced
from wengert.ops.index import SLOT, index_add
from wengert.ops.order import take_along
from wengert.trace.numpy_reduce import _keep, np_max, np_min, np_sum
from wengert.trace.table import NO_VALUE, axes, cast, deliver, implements, refuse, traced
from wengert.trace.tracer import UFUNC_METHODS


# --- statistics ---------------------------------------------------------------------------------
def _count(shape: tuple[int, ...], dims: tuple[int, ...], where: Any) -> Any:
    if where is NO_VALUE or where is True:
        return math.prod(shape[i] for i in dims)
    return np.sum(np.broadcast_to(where, shape), axis=dims, keepdims=True)


@implements(np.mean)
def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: Any = NO_VALUE,
    *,
    where: Any = NO_VALUE,
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
    """Stand for `numpy.var`."""
    a = cast(traced(a), dtype)
    if a.dtype.kind in "iub":
        a = a.astype(float)
    if correction is not NO_VALUE:
        ddof = correction
    dims = axes(axis, a.ndim)
    center = (
        np.mean(a, axis=dims, keepdims=True, where=where if where is not NO_VALUE else True)
        if mean is NO_VALUE
        else mean
    )
    d = a - center
    squares = np.real(d * np.conjugate(d)) if a.dtype.kind == "c" else d * d
    total = np_sum(squares, dims, keepdims=_keep(keepdims), where=where)
    n = _count(a.shape, dims, where)
    if not isinstance(n, int):
        n = n if _keep(keepdims) else reshape_to(n, total)
        return deliver((total / np.maximum(n - ddof, 0)).astype(total.dtype), out)
    return deliver(total / max(n - ddof, 0) if n - ddof > 0 else total * np.nan, out)


@implements(np.std)
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *args: Any, **kwargs: Any
) -> Any:
    """Stand for `numpy.std`."""
    return deliver(np.sqrt(var(a, axis, dtype, None, *args, **kwargs)), out)


@implements(np.average)
def average(
    a: Any,
    axis: Any = None,
    weights: Any = None,
    returned: bool = False,
    *,
    keepdims: Any = NO_VALUE,
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
            raise ShapeError(
                f"weights of shape {w.shape} do not fit a of shape {a.shape}" + user_line()
            )
        w = np.reshape(w, tuple(a.shape[i] if i in dims else 1 for i in range(a.ndim)))
    w = np.broadcast_to(w, a.shape)
    total = np.sum(w, axis=dims, keepdims=_keep(keepdims))
    avg = np.sum(a * w, axis=dims, keepdims=_keep(keepdims)) / total
    return (avg, total) if returned else avg


# --- passing over NaN -----------------------------------------------------------------------------
def _filled(function: Any, fill: Any) -> Callable[..., Any]:
    """Put `fill` in place of NaN."""

    def implementation(a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        a = traced(a)
        return function(np.where(np.isnan(a), fill, a), axis, *args, **kwargs)

    return implementation


def _extremum(reduction: Any, fill: float) -> Callable[..., Any]:
    """Pass over NaN; NaN where there is nothing else."""
    plain = _filled(reduction, fill)

    def implementation(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE, **kwargs: Any
    ) -> Any:
        y = plain(a, axis, None, keepdims, **kwargs)
        empty = np.all(np.isnan(a), axis=axis, keepdims=_keep(keepdims))
        return deliver(np.where(empty, np.nan, y), out)

    return implementation


def _counted(function: Any) -> Callable[..., Any]:
    """Leave NaN out by ``where=``."""

    def implementation(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        a = traced(a)
        there = ~np.isnan(a)
        return function(np.where(there, a, 0), axis, dtype, out, *args, where=there, **kwargs)

    return implementation


implements(np.nansum)(_filled(np.sum, 0))
implements(np.nanprod)(_filled(np.prod, 1))
implements(np.nancumsum)(_filled(np.cumsum, 0))
implements(np.nancumprod)(_filled(np.cumprod, 1))
implements(np.nanargmax)(_filled(np.argmax, -np.inf))
implements(np.nanargmin)(_filled(np.argmin, np.inf))
np_nanmax = implements(np.nanmax)(_extremum(np_max, -np.inf))
np_nanmin = implements(np.nanmin)(_extremum(np_min, np.inf))
implements(np.nanmean)(_counted(mean))
implements(np.nanvar)(_counted(var))
implements(np.nanstd)(_counted(std))


def _passing(extremum: Any) -> Callable[..., Any]:
    def implementation(
        a: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: Any = False,
        **kwargs: Any,
    ) -> Any:
        return extremum(cast(traced(a), dtype), axis, out, keepdims, **kwargs)

    return implementation


UFUNC_METHODS[(np.fmax, "reduce")] = _passing(np_nanmax)
UFUNC_METHODS[(np.fmin, "reduce")] = _passing(np_nanmin)


@implements(np.ptp)
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE) -> Any:
    """Stand for `numpy.ptp`."""
    return deliver(np_max(a, axis, keepdims=keepdims) - np_min(a, axis, keepdims=keepdims), out)


# --- quantiles ------------------------------------------------------------------------------------
def _quantile(a: Any, q: Any, axis: Any, keepdims: bool, skip: bool) -> Any:
    """Interpolate between sorted elements; `skip` passes over NaN, which else comes out."""
    a = traced(a)
    if a.dtype.kind in "iub":
        a = a.astype(float)
    dims = axes(axis, a.ndim)
    kept = tuple(i for i in range(a.ndim) if i not in dims)
    shape = tuple(a.shape[i] for i in kept)
    lines = np.reshape(
        np.transpose(a, (*kept, *dims)), (*shape, math.prod(a.shape[i] for i in dims))
    )
    ordered = np.sort(lines, axis=-1)  # NaN last
    n: Any = lines.shape[-1]
    if skip:
        n = np.sum(~np.isnan(lines), axis=-1)
    q = np.asarray(q, dtype=a.dtype if np.ndim(q) == 0 and not hasattr(q, "dtype") else None)
    q = q.astype(np.result_type(q.dtype, np.float16 if q.dtype.kind == "f" else float))
    if not np.all((q >= 0) & (q <= 1)):
        raise ValueError("Quantiles must be in the range [0, 1]" + user_line())
    made = np.stack([_between(ordered, n, share) for share in q.ravel()])
    y = np.reshape(made, q.shape + shape)
    if not skip:
        y = np.where(np.isnan(ordered[..., -1]), np.nan, y)
    if keepdims:
        y = np.reshape(y, q.shape + tuple(1 if i in dims else m for i, m in enumerate(a.shape)))
    return y


def _between(ordered: Any, n: Any, q: Any) -> Any:
    """Read sorted lines of `n` numbers at the place ``q (n - 1)``."""
    place = q * (np.maximum(n, 1) - 1)
    low = np.floor(place).astype(np.intp)
    share = (place - low).astype(q.dtype)
    if np.ndim(n) == 0 and not isinstance(n, Traced):
        high = min(int(low) + 1, max(n - 1, 0))
        return ordered[..., int(low)] * (1 - share) + ordered[..., high] * share
    high = np.minimum(low + 1, np.maximum(n - 1, 0))
    first, last = (take_along(ordered, i[..., None], ordered.ndim - 1)[..., 0] for i in (low, high))
    return first * (1 - share) + last * share


@implements(np.quantile)
def quantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: bool = False, *, weights: Any = None,
    interpolation: Any = None,
) -> Any:  # fmt: skip
    """Stand for `numpy.quantile` with linear interpolation; `q` is a plain number or array."""
    refuse(
        "quantile",
        method=(method, "linear"),
        weights=(weights, None),
        interpolation=(interpolation, None),
    )
    return deliver(_quantile(a, q, axis, _keep(keepdims), False), out)


@implements(np.nanquantile)
def nanquantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False,
    method: str = "linear", keepdims: Any = NO_VALUE, *, weights: Any = None,
    interpolation: Any = None,
) -> Any:  # fmt: skip
    """Stand for `numpy.nanquantile` with linear interpolation."""
    refuse(
        "nanquantile",
        method=(method, "linear"),
        weights=(weights, None),
        interpolation=(interpolation, None),
    )
    return deliver(_quantile(a, q, axis, _keep(keepdims), True), out)


def _percentile(function: Any) -> Callable[..., Any]:
    def implementation(
        a: Any, q: Any, axis: Any = None, out: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        share = q / 100 if type(q) in (int, float) else np.asarray(q) / 100
        return function(a, share, axis, out, *args, **kwargs)

    return implementation


def _median(function: Any) -> Callable[..., Any]:
    def implementation(
        a: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        keepdims: Any = NO_VALUE,
    ) -> Any:
        return function(a, 0.5, axis, out, keepdims=keepdims)

    return implementation


implements(np.percentile)(_percentile(quantile))
implements(np.nanpercentile)(_percentile(nanquantile))
implements(np.median)(_median(quantile))
implements(np.nanmedian)(_median(nanquantile))


# --- covariance -----------------------------------------------------------------------------------
@implements(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """Stand for `numpy.cov`."""
    x = _observations(m, rowvar)
    if y is not None:
        x = np.concatenate([x, _observations(y, rowvar)])
    x = cast(x, np.result_type(x.dtype, np.float64) if dtype is None else dtype)
    if ddof is None:
        ddof = 0 if bias else 1
    if fweights is None and aweights is None:
        w: Any = None
        total: Any = x.shape[1]
        d = x - np.mean(x, axis=1, keepdims=True)
    else:
        w = np.multiply(1 if fweights is None else fweights, 1.0 if aweights is None else aweights)
        total = np.sum(w)
        d = x - np.sum(x * w, axis=1, keepdims=True) / total
        if aweights is not None:
            ddof = ddof * np.sum(w * aweights) / total
    c = (d if w is None else d * w) @ np.conjugate(np.transpose(d)) / (total - ddof)
    return np.squeeze(c)


def _observations(m: Any, rowvar: bool) -> Any:
    x = traced(m)
    if x.ndim > 2:
        raise ValueError("np.cov takes at most two dimensions" + user_line())
    return np.transpose(np.atleast_2d(x)) if not rowvar and x.ndim == 2 else np.atleast_2d(x)


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    """Stand for `numpy.corrcoef`."""
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    s = np.sqrt(np.real(np.diagonal(c)))
    return c / (s[:, None] * s[None, :])


# --- histograms: piecewise constant in the data, linear in the weights ----------------------------
@implements(np.bincount)
def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """Stand for `numpy.bincount`."""
    x = traced(x)
    n = max(minlength, int(np.max(x)) + 1 if x.size else 0)
    w = np.ones(x.shape, np.intp) if weights is None else cast(traced(weights), np.float64)
    return index_add(np.zeros(n, w.dtype), w, x, spec=(SLOT,))


@implements(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Stand for `numpy.histogram` with a number of bins or increasing edges."""
    a, weights = np.ravel(traced(a)), None if weights is None else np.ravel(traced(weights))
    edges = traced(bins)
    if edges.ndim == 0:
        low, high = (np.min(a), np.max(a)) if range is None else range
        edges = np.linspace(low, high, int(bins) + 1, dtype=np.result_type(a.dtype, np.float16))
    n = edges.shape[0] - 1
    place = np.searchsorted(edges, a, side="right") - 1
    place = np.where(np.equal(a, edges[n]), n - 1, place)  # the last bin is closed
    inside = (place >= 0) & (place < n)
    w = np.ones(a.shape, np.intp) if weights is None else weights
    count = index_add(
        np.zeros(n, w.dtype), np.where(inside, w, 0), np.clip(place, 0, n - 1), spec=(SLOT,)
    )
    return (count / np.diff(edges).astype(float) / np.sum(count) if density else count), edges
