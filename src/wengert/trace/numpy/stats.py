"""NumPy's statistics on traced values: means, histograms, and what passes over NaN."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ShapeError, UnsupportedError, user_line
from wengert.ops.base import Traced
from wengert.ops.control import stop_gradient
from wengert.ops.index import SLOT, index_add
from wengert.trace.dispatch import UFUNC_METHODS
from wengert.trace.numpy.reduce import _keep, np_max, np_min, np_sum, where_of
from wengert.trace.numpy.table import (
    NO_VALUE,
    axes,
    axes_of_ufunc,
    axis_index,
    cast,
    decided,
    deliver,
    implements,
    normalised,
    refuse,
    traced,
)
from wengert.trace.orders import laid


# --- statistics ---------------------------------------------------------------------------------
def _counted_items(shape: tuple[int, ...], dims: tuple[int, ...], mask: Any, kept: bool) -> Any:
    """Return how many elements go into each mean: an int, or an array where a mask leaves some."""
    if mask is True:
        return math.prod(shape[i] for i in dims)
    return np.sum(np.broadcast_to(mask, shape), axis=dims, keepdims=kept)


def _floating_dtype(name: str, a: Any, dtype: Any) -> Any:
    """Return the dtype in which a mean adds up, None for that of the elements.

    Raises
    ------
    UnsupportedError
        Where it is of integers or loses the imaginary parts.
    """
    if dtype is None or dtype is NO_VALUE:
        return np.dtype(float) if a.dtype.kind in "iub" else None
    target = np.dtype(dtype)
    if target.kind not in "fc" or (target.kind == "f" and a.dtype.kind == "c"):
        raise UnsupportedError(
            f"numpy.{name} of {a.dtype} with dtype={target} is not supported on traced values"
            + user_line()
        )
    return target


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
    a = traced(a)
    target = _floating_dtype("mean", a, dtype)
    if target is None and a.dtype == np.float16:
        return deliver(mean(a, axis, np.float32, None, keepdims, where=where).astype(a.dtype), out)
    dims, mask, kept = axes(axis, a.ndim), where_of(where, a), _keep(keepdims)
    total = np_sum(a, dims, target, None, kept, where=mask)
    n = _counted_items(a.shape, dims, mask, kept)
    return deliver(cast(total / n, total.dtype), out)


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
    a = traced(a)
    target = _floating_dtype("var", a, dtype)
    if target is not None and target.kind == "c":
        refuse("var", dtype=(target, None))
    if correction is not NO_VALUE:
        if not (isinstance(ddof, int) and ddof == 0):
            raise ValueError("ddof and correction can't be provided simultaneously" + user_line())
        ddof = correction
    dims, mask, kept = axes(axis, a.ndim), where_of(where, a), _keep(keepdims)
    n = _counted_items(a.shape, dims, mask, kept)
    if mean is NO_VALUE:
        center = np_sum(a, dims, target, None, True, where=mask)
        center = cast(center / _counted_items(a.shape, dims, mask, True), center.dtype)
    else:
        center = traced(mean)
    d = a - center
    squares = np.real(d * np.conjugate(d)) if d.dtype.kind == "c" else d * d
    total = np_sum(squares, dims, target, None, kept, where=mask)
    free = max(n - ddof, 0) if isinstance(n, int) else np.maximum(n - ddof, 0)
    return deliver(cast(total / free, total.dtype), out)


@implements(np.std)
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *args: Any, **kwargs: Any
) -> Any:
    """Stand for `numpy.std`. Of one element it is 0, a constant."""
    y = np.sqrt(var(a, axis, dtype, None, *args, **kwargs))
    alone = not args and set(kwargs) <= {"keepdims", "axis", "dtype", "out"}
    if alone and np.size(a) == np.size(y):
        y = stop_gradient(y)
    return deliver(y, out)


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
    a, axis = traced(a), normalised(axis)
    dims, kept = axes(axis, a.ndim), _keep(keepdims)
    if weights is None:
        avg = mean(a, dims, keepdims=kept)
        n = a.size / avg.size
        return (avg, np.full(avg.shape, n, avg.dtype)) if returned else avg
    w = _spread_weights(traced(weights), a.shape, axis, dims)
    # Integers are averaged as floats; the sum of the weights is of the average's dtype.
    dtype = np.result_type(a.dtype, w.dtype, *((np.float64,) if a.dtype.kind in "iub" else ()))
    total = np.sum(w, axis=dims, keepdims=kept, dtype=dtype)
    if decided(np.any(np.equal(total, 0))):
        raise ZeroDivisionError("Weights sum to zero, can't be normalized" + user_line())
    added = np.sum(cast(a * w, dtype), axis=dims, keepdims=kept)
    avg = added / laid(total, added, "K")
    return (avg, total) if returned else avg


def _spread_weights(w: Any, shape: tuple[int, ...], axis: Any, dims: tuple[int, ...]) -> Any:
    """Give weights, of the whole array or of the axes that are averaged, the array's shape."""
    if w.shape == shape:
        return w
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ" + user_line())
    given = [axis_index(i, len(shape)) for i in (axis if isinstance(axis, tuple) else (axis,))]
    if w.shape != tuple(shape[i] for i in given):
        raise ShapeError(f"weights of shape {w.shape} do not fit a of shape {shape}" + user_line())
    w = np.transpose(w, tuple(int(i) for i in np.argsort(given)))
    w = np.reshape(w, tuple(n if i in dims else 1 for i, n in enumerate(shape)))
    return np.broadcast_to(w, shape)


# --- passing over NaN -----------------------------------------------------------------------------
def _filled(function: Any, fill: Any) -> Callable[..., Any]:
    """Put `fill` in place of NaN."""

    def implementation(a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        a = traced(a)
        if a.dtype.kind in "fc":
            a = laid(np.where(np.isnan(a), fill, a), a, "K")
        return function(a, axis, *args, **kwargs)

    return implementation


def _real(name: str, a: Any) -> Any:
    a = traced(a)
    if a.dtype.kind == "c":
        raise UnsupportedError(
            f"numpy.{name} of complex numbers is not supported on traced values" + user_line()
        )
    return a


def _extremum(name: str, reduction: Any, fill: float) -> Callable[..., Any]:
    """Pass over NaN; NaN where there is nothing else."""

    def implementation(
        a: Any, axis: Any = None, out: Any = None, keepdims: Any = NO_VALUE,
        initial: Any = NO_VALUE, where: Any = NO_VALUE,
    ) -> Any:  # fmt: skip
        a = _real(name, a)
        if a.dtype.kind != "f":
            return reduction(a, axis, out, keepdims, initial, where)
        absent = np.isnan(a)
        start = initial
        if initial is not NO_VALUE and initial is not None:
            start = cast(traced(initial), a.dtype)
            absent = absent & np.isnan(start)
            start = np.where(np.isnan(start), fill, start)
        y = reduction(np.where(np.isnan(a), fill, a), axis, None, keepdims, start, where)
        mask = where_of(where, a)
        if mask is not True and start is not NO_VALUE and not a.ndim:
            refuse(name, where=(where, True))
        if y.size and a.size:
            absent = absent if mask is True else absent | ~mask
            dims = axes_of_ufunc(axis, a.ndim)
            empty = np.all(absent, axis=dims, keepdims=_keep(keepdims))
            if initial is NO_VALUE or initial is None or mask is True:
                y = np.where(empty, np.array(np.nan, a.dtype), y)
        return deliver(y, out)

    return implementation


def _place(function: Any, fill: float) -> Callable[..., Any]:
    """Find the place of an extremum among what is not NaN; there has to be something."""
    plain = _filled(function, fill)

    def implementation(
        a: Any, axis: Any = None, out: Any = None, *, keepdims: Any = NO_VALUE
    ) -> Any:
        a = _real(f"nan{function.__name__}", a)
        if a.dtype.kind == "f":
            dims = None if axis is None else axes_of_ufunc(axis, a.ndim)
            if decided(np.any(np.all(np.isnan(a), axis=dims))):
                raise ValueError("All-NaN slice encountered" + user_line())
        return plain(a, axis, out, keepdims=keepdims)

    return implementation


def _counted(function: Any) -> Callable[..., Any]:
    """Leave NaN out by ``where=``."""

    def implementation(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        a = traced(a)
        if a.dtype.kind not in "fc":
            return function(a, axis, dtype, out, *args, **kwargs)
        if dtype is not None and np.dtype(dtype).kind not in "fc":
            raise TypeError("If a is inexact, then dtype must be inexact" + user_line())
        there, mask = ~np.isnan(a), where_of(kwargs.pop("where", True), a)
        there = there if mask is True else there & mask
        return function(np.where(there, a, 0), axis, dtype, out, *args, where=there, **kwargs)

    return implementation


def _spread(name: str, function: Any) -> Callable[..., Any]:
    """Leave NaN out of a variance, which is NaN where no degree of freedom is left."""
    plain = _counted(function)

    def implementation(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0,
        keepdims: Any = NO_VALUE, *, where: Any = NO_VALUE, mean: Any = NO_VALUE,
        correction: Any = NO_VALUE,
    ) -> Any:  # fmt: skip
        a = traced(a)
        options = {"where": where, "mean": mean, "correction": correction}
        with np.errstate(divide="ignore", invalid="ignore"):
            y = plain(a, axis, dtype, None, ddof, keepdims, **options)
        if a.dtype.kind in "fc":
            if dtype is not None and np.dtype(dtype) != a.dtype:
                refuse(name, dtype=(dtype, None))
            there, mask = ~np.isnan(a), where_of(where, a)
            there = there if mask is True else there & mask
            n = np.sum(there, axis=axis, keepdims=_keep(keepdims))
            free = n - (ddof if correction is NO_VALUE else correction)
            y = np.where(free <= 0, np.array(np.nan, y.dtype), y)
        return deliver(y, out)

    return implementation


implements(np.nansum)(_filled(np.sum, 0))
implements(np.nanprod)(_filled(np.prod, 1))
implements(np.nancumsum)(_filled(np.cumsum, 0))
implements(np.nancumprod)(_filled(np.cumprod, 1))
implements(np.nanargmax)(_place(np.argmax, -np.inf))
implements(np.nanargmin)(_place(np.argmin, np.inf))
np_nanmax = implements(np.nanmax)(_extremum("nanmax", np_max, -np.inf))
np_nanmin = implements(np.nanmin)(_extremum("nanmin", np_min, np.inf))
implements(np.nanmean)(_counted(mean))
implements(np.nanvar)(_spread("nanvar", var))
implements(np.nanstd)(_spread("nanstd", std))


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
    y = np.subtract(np_max(a, axis, keepdims=keepdims), np_min(a, axis, keepdims=keepdims))
    return deliver(y, out)


# --- covariance -----------------------------------------------------------------------------------
@implements(np.cov)
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None,
    fweights: Any = None, aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    """Stand for `numpy.cov`."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer" + user_line())
    x = _observations(m, rowvar)
    if y is not None:
        x = np.concatenate([x, _observations(y, rowvar)])
    if not x.size:
        raise UnsupportedError("np.cov of nothing is not supported on traced values" + user_line())
    x = cast(x, np.result_type(x.dtype, np.float64) if dtype is None else dtype)
    if ddof is None:
        ddof = 0 if bias else 1
    f, a = (_weights(w, x.shape[1]) for w in (fweights, aweights))
    if f is not None and (isinstance(f, Traced) or np.any(f != np.around(f))):
        raise TypeError("fweights must be integer" + user_line())
    w = a if f is None else f if a is None else f * a
    if w is None:
        total: Any = x.shape[1]
        d = x - np.mean(x, axis=1, keepdims=True)
    else:
        total = np.sum(w)
        d = x - np.sum(x * w, axis=1, keepdims=True) / total
        if a is not None:
            ddof = ddof * np.sum(w * a) / total if ddof else 0
    free: Any = total - ddof
    free = free if isinstance(free, Traced) else np.maximum(free, 0)
    c = (d if w is None else d * w) @ np.conjugate(np.transpose(d))
    return np.squeeze(cast(c * np.true_divide(1, free), c.dtype))


def _weights(w: Any, n: int) -> Any:
    """Return the weights of `n` observations: a vector without negative numbers, or None."""
    if w is None:
        return None
    w = cast(traced(w), float)
    if w.ndim > 1:
        raise RuntimeError("cannot handle multidimensional weights" + user_line())
    if w.shape != (n,):
        raise RuntimeError("incompatible numbers of samples and weights" + user_line())
    if decided(np.any(w < 0)):
        raise ValueError("weights cannot be negative" + user_line())
    return w


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
    listed = isinstance(x, (list, tuple))
    x = traced(x)
    integers = x.dtype.kind in "iub" and x.dtype != np.uint64
    if x.ndim != 1 or not (integers or (listed and not x.size)):
        raise TypeError("np.bincount takes a vector of integers" + user_line())
    minlength = operator.index(minlength)
    if minlength < 0:
        raise ValueError("'minlength' must not be negative" + user_line())
    if x.size and decided(np.any(x < 0)):
        raise ValueError("np.bincount takes no negative numbers" + user_line())
    n = max(minlength, int(np.max(x)) + 1 if x.size else 0)
    if not x.size:
        weights = None if weights is None or np.shape(weights) == x.shape else weights
    if weights is None:
        w: Any = np.ones(x.shape, np.intp)
    else:
        w = traced(weights)
        if w.dtype.kind == "c":
            raise TypeError("the weights of np.bincount are real" + user_line())
        if w.shape != x.shape:
            raise ValueError("The weights and list don't have the same length." + user_line())
        w = cast(w, np.float64)
    return index_add(np.zeros(n, w.dtype), w, cast(x, np.intp), spec=(SLOT,))


@implements(np.histogram)
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    """Stand for `numpy.histogram` with a number of bins or increasing edges."""
    a = traced(a)
    if weights is not None:
        weights = traced(weights)
        if weights.shape != a.shape:
            raise ValueError("weights should have the same shape as a." + user_line())
        weights = np.ravel(weights)
    a = np.ravel(a)
    if a.dtype.kind in "bc":
        raise UnsupportedError(
            f"np.histogram of {a.dtype} is not supported on traced values" + user_line()
        )
    edges = _bin_edges(a, bins, range)
    n = edges.shape[0] - 1
    if n < 1:
        raise UnsupportedError("np.histogram without bins on traced values" + user_line())
    place = np.searchsorted(edges, a, side="right") - 1
    place = np.where(np.equal(a, edges[n]), n - 1, place)  # the last bin is closed
    inside = (place >= 0) & (place < n)
    w = np.ones(a.shape, np.intp) if weights is None else weights
    if w.dtype.kind == "b":
        w = cast(w, np.intp)
    count = index_add(
        np.zeros(n, w.dtype), np.where(inside, w, 0), np.clip(place, 0, n - 1), spec=(SLOT,)
    )
    if not density:
        return count, edges
    return count / cast(np.diff(edges), float) / np.sum(count), edges


def _is_traced(x: Any) -> bool:
    return isinstance(x, Traced)


def _bin_edges(a: Any, bins: Any, range: Any) -> Any:
    """Return the edges of bins: those given, or so many from the least to the greatest number."""
    if isinstance(bins, str):
        raise UnsupportedError(
            f"np.histogram with bins={bins!r} is not supported on traced values; give the number "
            f"of bins" + user_line()
        )
    edges = traced(bins)
    if edges.ndim > 1:
        raise ValueError("`bins` must be 1d, when an array" + user_line())
    if edges.ndim == 1:
        if decided(np.any(edges[:-1] > edges[1:])):
            raise ValueError("`bins` must increase monotonically, when an array" + user_line())
        return edges
    n = operator.index(bins)
    if n < 1:
        raise ValueError("`bins` must be positive, when an integer" + user_line())
    if range is not None:
        low, high = map(traced, range)
        if decided(low > high):
            raise ValueError("max must be larger than min in range parameter." + user_line())
    elif a.size:
        low, high = np.min(a), np.max(a)
    else:
        low, high = np.zeros(()), np.ones(())
    if not decided(np.isfinite(low) & np.isfinite(high), unknown=True):
        raise ValueError("the range of the bins is not finite" + user_line())
    if not decided(np.isfinite(high * 1.0 - low), unknown=True):
        raise ValueError("the range of the bins is too large" + user_line())
    ends = (low, high) if range is None else range
    plain = (type(x) if type(x) in (int, float) else traced(x).dtype for x in ends)
    dtype = np.result_type(*(0 if p is int else 0.0 if p is float else p for p in plain), a.dtype)
    dtype = np.result_type(dtype, float) if dtype.kind in "iub" else dtype
    single: Any = np.equal(low, high)
    if _is_traced(single) or single:
        half = np.where(single, np.array(0.5, low.dtype if low.dtype.kind == "f" else float), 0)
        low, high = low - half, high + half
    edges = np.linspace(low, high, n + 1, dtype=dtype)
    if decided(np.any(edges[:-1] >= edges[1:])):
        raise ValueError(f"too many bins for the data range: {n}" + user_line())
    return edges
