"""NumPy's calculus on traced values: differences, integrals, interpolation, polynomials, grids."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from wengert.errors import UnsupportedError, user_line
from wengert.ops import special
from wengert.ops.base import Traced, dtype_of
from wengert.ops.index import SLOT, getitem
from wengert.trace.numbers import number_type
from wengert.trace.numpy.table import NO_VALUE, axis_index, cast, decided, implements, traced
from wengert.trace.orders import laid


def _before(axis: int) -> tuple[slice, ...]:
    return (slice(None),) * axis


# --- differences and integrals --------------------------------------------------------------------
@implements(np.diff)
def diff(
    a: Any, n: int = 1, axis: int = -1, prepend: Any = NO_VALUE, append: Any = NO_VALUE
) -> Any:
    """Stand for `numpy.diff`."""
    a = traced(a)
    n = operator.index(n)
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n}" + user_line())
    axis = axis_index(axis, a.ndim)
    parts = [_edge(p, a, axis) for p in (prepend,) if p is not NO_VALUE] + [a]
    parts += [_edge(p, a, axis) for p in (append,) if p is not NO_VALUE]
    if len(parts) > 1:
        a = np.concatenate(parts, axis)
    for _ in range(n):
        later, earlier = a[(*_before(axis), slice(1, None))], a[(*_before(axis), slice(None, -1))]
        a = later != earlier if a.dtype.kind == "b" else later - earlier
    return a


def _edge(p: Any, a: Any, axis: int) -> Any:
    p = traced(p)
    return np.broadcast_to(p, (*a.shape[:axis], 1, *a.shape[axis + 1 :])) if p.ndim == 0 else p


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Stand for `numpy.ediff1d`."""
    a = np.ravel(traced(ary))
    if a.dtype.kind == "b":
        raise TypeError("np.ediff1d of booleans" + user_line())
    y = diff(a)
    parts = []
    for name, p in (("to_begin", to_begin), ("", y), ("to_end", to_end)):
        if p is None:
            continue
        p = np.ravel(traced(p))
        if name and not np.can_cast(p.dtype, a.dtype, "same_kind"):
            raise TypeError(f"{name} of {p.dtype} does not fit an array of {a.dtype}" + user_line())
        parts.append(cast(p, y.dtype))
    return np.concatenate(parts) if len(parts) > 1 else y


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Stand for `numpy.gradient`, with spacings or coordinates."""
    f = traced(f)
    dims = range(f.ndim) if axis is None else [axis_index(i, f.ndim) for i in np.atleast_1d(axis)]
    if len(set(dims)) != len(dims):
        raise ValueError("repeated axis in np.gradient" + user_line())
    steps = list(varargs) or [1.0]
    if len(steps) == 1 and np.ndim(steps[0]) == 0:
        steps = steps * len(dims)
    if len(steps) != len(dims):
        raise TypeError("invalid number of arguments")
    if edge_order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported" + user_line())
    if f.dtype.kind == "b":
        raise TypeError("np.gradient of booleans" + user_line())
    if f.dtype.kind not in "fc":
        f = cast(f, float)
    made = [_slopes(f, d, h, edge_order) for d, h in zip(dims, steps, strict=True)]
    return made[0] if len(made) == 1 else tuple(made)


def _gaps(h: Any, n: int) -> Any:
    """Return the distance of neighbours, or distances where they are not all the same."""
    h = traced(h) if np.ndim(h) else h
    if not np.ndim(h):
        return h
    if h.shape != (n,):
        raise ValueError(
            f"coordinates of shape {h.shape} do not fit an axis of length {n}" + user_line()
        )
    if h.dtype.kind == "b":
        raise TypeError("coordinates of np.gradient are numbers" + user_line())
    gaps = np.diff(cast(h, float) if h.dtype.kind in "iu" else h)
    if not isinstance(gaps, Traced) and np.all(gaps == gaps[0]):
        return gaps[0]
    return gaps


def _slopes(f: Any, axis: int, h: Any, edge_order: int) -> Any:
    """Differentiate along one axis with NumPy's two- and three-point formulas.

    Only the elements that NumPy reads are read: what is next to a NaN is not NaN for it.
    """
    a = np.moveaxis(f, axis, 0)
    n = a.shape[0]
    if n <= edge_order:
        raise ValueError(f"np.gradient needs {edge_order + 1} elements along each axis")
    gaps = _gaps(h, n)
    if np.ndim(gaps):
        d = np.reshape(gaps, (n - 1,) + (1,) * (a.ndim - 1))
        p, q, first, last = d[:-1], d[1:], d[:1], d[-1:]
        inner = (
            -q / (p * (p + q)) * a[:-2] + (q - p) / (p * q) * a[1:-1] + p / (q * (p + q)) * a[2:]
        )
    else:
        first = last = gaps
        inner = (a[2:] - a[:-2]) / (2.0 * gaps)
    if edge_order == 1:
        ends = (a[1:2] - a[:1]) / first, (a[-1:] - a[-2:-1]) / last
    elif np.ndim(gaps):
        p, q, r, s = d[:1], d[1:2], d[-2:-1], d[-1:]
        ends = (
            -(2.0 * p + q) / (p * (p + q)) * a[:1]
            + (p + q) / (p * q) * a[1:2]
            + -p / (q * (p + q)) * a[2:3],
            s / (r * (r + s)) * a[-3:-2]
            + -(s + r) / (r * s) * a[-2:-1]
            + (2.0 * s + r) / (s * (r + s)) * a[-1:],
        )
    else:
        ends = (
            -1.5 / gaps * a[:1] + 2.0 / gaps * a[1:2] + -0.5 / gaps * a[2:3],
            0.5 / gaps * a[-3:-2] + -2.0 / gaps * a[-2:-1] + 1.5 / gaps * a[-1:],
        )
    slopes = np.moveaxis(np.concatenate([ends[0], inner, ends[1]]), 0, axis)
    return cast(slopes, f.dtype)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """Stand for `numpy.trapezoid`."""
    y = traced(y)
    place = axis_index(axis, y.ndim)
    d: Any = dx if number_type(dx) else traced(dx)
    if x is not None:
        x = traced(x)
        d = np.diff(x, axis=-1 if x.ndim == 1 else axis)
        if x.ndim == 1:
            d = np.reshape(d, tuple(d.shape[0] if i == place else 1 for i in range(y.ndim)))
    pair = y[(*_before(place), slice(1, None))] + y[(*_before(place), slice(None, -1))]
    return np.sum(d * pair / 2.0, axis=axis)


# --- interpolation --------------------------------------------------------------------------------
@implements(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Stand for `numpy.interp`: piecewise linear; differentiable in x, xp and fp."""
    x, xp, fp = map(traced, (x, xp, fp))
    if "c" in (x.dtype.kind, xp.dtype.kind):
        raise TypeError("np.interp takes real numbers for x and xp" + user_line())
    x, xp = cast(x, float), cast(xp, float)
    fp = cast(fp, complex if fp.dtype.kind == "c" else float)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError("Data points must be 1-D sequences" + user_line())
    if xp.shape != fp.shape or not xp.size:
        raise ValueError("fp and xp are not of the same length, or empty" + user_line())
    if period is not None:
        if decided(np.equal(period, 0)):
            raise ValueError("period must be a non-zero value" + user_line())
        x, xp = x % abs(period), xp % abs(period)
        order = np.argsort(xp)
        xp, fp = _pick(xp, order), _pick(fp, order)
        xp = np.concatenate([xp[-1:] - abs(period), xp, xp[:1] + abs(period)])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    n = xp.shape[0]
    left, right = (fp[0] if left is None else left), (fp[n - 1] if right is None else right)
    if not decided(np.all(xp[1:] >= xp[:-1]), unknown=True):
        raise UnsupportedError("np.interp on traced values needs rising xp" + user_line())
    if fp.dtype.kind == "c" and not decided(np.all(np.isfinite(fp)), unknown=True):
        raise UnsupportedError("np.interp of infinite complex numbers" + user_line())
    with np.errstate(over="ignore", invalid="ignore"):  # NumPy does not warn either
        y = _between_points(x, xp, fp) if n > 1 else np.broadcast_to(fp[0], x.shape)
    return np.where(x < xp[0], left, np.where(x > xp[n - 1], right, y))


def _between_points(x: Any, xp: Any, fp: Any) -> Any:
    """Interpolate within the range of the points.

    Where a slope is not finite, NumPy's order of trying is followed: from the left point, from the
    right one, the value of both where they are equal; a point itself needs no neighbours.
    """
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, xp.shape[0] - 2)
    x0, f0, x1, f1 = _pick(xp, i), _pick(fp, i), _pick(xp, i + 1), _pick(fp, i + 1)
    gap = x1 - x0
    slope = (f1 - f0) / np.where(gap == 0, 1, gap)
    y = slope * (x - x0) + f0
    gaps = np.diff(xp)
    with np.errstate(all="ignore"):
        steep = np.diff(fp) / np.where(gaps == 0, 1, gaps)
        tame = np.isfinite(steep) & np.isfinite(gaps)
    if fp.dtype.kind == "f" and decided(np.all(tame)):
        return y
    y = np.where(np.isnan(y), slope * (x - x1) + f1, y)
    y = np.where(np.isnan(y) & (f0 == f1), f0, y)
    there = ~np.isfinite(y)
    y = np.where(there & (x == x0), f0, np.where(there & (x == x1), f1, y))
    return np.where(np.isnan(x), x, y)


def _pick(table: Any, i: Any) -> Any:
    """Read a vector at integers that may be traced where the vector is not."""
    return getitem(table, i, spec=(SLOT,))


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """Stand for `numpy.unwrap`; the multiples of the period are piecewise constant."""
    p = traced(p)
    axis = axis_index(axis, p.ndim)
    d = np.diff(p, axis=axis)
    dtype = np.result_type(d.dtype, period)
    half, odd = divmod(period, 2) if dtype.kind in "iu" else (period / 2, 0)
    if dtype.kind == "u" and half:
        raise OverflowError(
            f"np.unwrap of {p.dtype} needs negative numbers, which {dtype} lacks; write "
            "p.astype(int) first" + user_line()
        )
    turned = (d + half) % period - half
    if not odd:
        turned = np.where((turned == -half) & (d > 0), half, turned)
    p = cast(p, dtype)
    shift = np.where(np.abs(d) < (half if discont is None else discont), 0, turned - d)
    first, rest = p[(*_before(axis), slice(0, 1))], p[(*_before(axis), slice(1, None))]
    return np.concatenate([first, cast(rest + np.cumsum(shift, axis=axis), dtype)], axis=axis)


# --- polynomials and special functions ------------------------------------------------------------
@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Stand for `numpy.polyval`, by Horner's scheme."""
    p, x = traced(p), traced(x)
    if not p.ndim:
        raise TypeError("np.polyval takes a sequence of coefficients" + user_line())
    y: Any = np.zeros(x.shape, x.dtype)
    for i in range(p.shape[0]):
        y = y * x + p[i]
    return y


def _lengthened(a: Any, n: int) -> Any:
    return np.concatenate([np.zeros(n - a.shape[0], a.dtype), a]) if a.shape[0] < n else a


def _termwise(combine: Any) -> Any:
    def implementation(a1: Any, a2: Any) -> Any:
        a, b = np.atleast_1d(traced(a1)), np.atleast_1d(traced(a2))
        n = max(a.shape[0], b.shape[0])
        return combine(_lengthened(a, n), _lengthened(b, n))

    return implementation


implements(np.polyadd)(_termwise(np.add))
implements(np.polysub)(_termwise(np.subtract))


def _trimmed(a: Any) -> Any:
    """Leave out leading zeros, as NumPy's polynomials do; a guard each where traced."""
    a = np.atleast_1d(traced(a))
    if a.ndim > 1:
        raise ValueError("Polynomial must be 1d only." + user_line())
    while a.shape[0] > 1 and decided(np.equal(a[0], 0)):
        a = a[1:]
    return a if a.shape[0] else np.zeros(1, a.dtype)


@implements(np.polymul)
def polymul(a1: Any, a2: Any) -> Any:
    """Stand for `numpy.polymul`."""
    return np.convolve(_trimmed(a1), _trimmed(a2))


def _coefficients(p: Any, m: Any) -> tuple[Any, int]:
    p, m = traced(p), operator.index(m)
    if m < 0:
        raise ValueError("the order of a derivative or integral is positive" + user_line())
    if p.ndim != 1:
        raise ValueError("Polynomial must be 1d only." + user_line())
    return p, m


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """Stand for `numpy.polyder`."""
    p, m = _coefficients(p, m)
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Stand for `numpy.polyint`."""
    p, m = _coefficients(p, m)
    constants = np.zeros(m) if k is None else np.atleast_1d(traced(k))
    if constants.shape[0] == 1 and m > 1:
        constants = np.broadcast_to(constants, (m,))
    if constants.shape[0] < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m." + user_line())
    for i in range(m):
        p = np.concatenate([p / np.arange(p.shape[0], 0, -1), constants[i : i + 1]])
    return p


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    """Stand for `numpy.vander`."""
    x = cast(traced(x), np.promote_types(dtype_of(x), int))
    n = x.size if N is None else operator.index(N)
    if x.ndim != 1 or n < 0:
        raise ValueError("np.vander takes a vector, and N >= 0" + user_line())
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    return np.power(x[:, None], powers)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """Stand for `numpy.sinc`; near zero by its Taylor series, whose derivatives do not cancel."""
    z = np.pi * traced(x)
    small = np.abs(z) < 1.5
    safe = np.where(small, 1, z)
    square = np.where(small, z * z, 0)
    series: Any = 1.0
    for k in range(SINC_TERMS, 0, -1):
        series = 1 - square / (2 * k * (2 * k + 1)) * series
    return np.where(small, series, np.sin(safe) / safe)


SINC_TERMS = 11
"""The first term left out is 1.5**24 / 25! = 1e-21."""


@implements(np.i0)
def i0(x: Any) -> Any:
    """Stand for `numpy.i0`."""
    x = traced(x)
    return cast(special.i0(x), x.dtype if x.dtype.kind == "f" else None)


# --- grids ----------------------------------------------------------------------------------------
@implements(np.linspace)
def linspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False,
    dtype: Any = None, axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    """Stand for `numpy.linspace`."""
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative." + user_line())
    start, stop = (x if number_type(x) else traced(x) for x in (start, stop))
    start, stop = start * 1.0, stop * 1.0
    n = num - 1 if endpoint else num
    gap = stop - start
    step = gap / n if n > 0 else np.nan
    kind = dtype_of(gap)
    kind = np.zeros((), kind).real.dtype
    k = np.arange(num).reshape((num,) + (1,) * np.ndim(gap)).astype(kind)
    y = k * (step if n > 0 else gap) + start
    if endpoint and num > 1:
        last = np.broadcast_to(cast(traced(stop), y.dtype), (1, *y.shape[1:]))
        y = laid(np.concatenate([y[:-1], last]), y, "K")
    if axis:
        y = np.moveaxis(y, 0, axis)
    if dtype is not None and np.dtype(dtype).kind in "iu":
        y = np.floor(y)
    y = cast(y, dtype)
    return (y, step) if retstep else y


@implements(np.logspace)
def logspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0,
    dtype: Any = None, axis: int = 0,
) -> Any:  # fmt: skip
    """Stand for `numpy.logspace`."""
    base = base if number_type(base) else traced(base)
    rank = np.ndim(base)
    if rank:
        rank = max(rank, np.ndim(traced(start)), np.ndim(traced(stop)))
        start, stop, base = (
            np.reshape(traced(x), (1,) * (rank - np.ndim(x)) + np.shape(x))
            for x in (start, stop, base)
        )
        base = np.expand_dims(base, axis)
    return cast(np.power(base, linspace(start, stop, num, endpoint, axis=axis)), dtype)


@implements(np.geomspace)
def geomspace(
    start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:
    """Stand for `numpy.geomspace` between real numbers of one sign."""
    num = operator.index(num)
    start, stop = traced(start), traced(stop)
    if "c" in (start.dtype.kind, stop.dtype.kind):
        raise UnsupportedError("np.geomspace of complex numbers on traced values" + user_line())
    if decided(np.any(np.equal(start, 0))) or decided(np.any(np.equal(stop, 0))):
        raise ValueError("Geometric sequence cannot include zero" + user_line())
    if decided(np.any(np.sign(start) * np.sign(stop) < 0)):
        raise UnsupportedError(
            "np.geomspace between numbers of different signs on traced values" + user_line()
        )
    kind = np.result_type(start.dtype, stop.dtype, np.float64)
    sign = np.sign(start) if start.dtype.kind != "b" else 1
    start, stop = cast(np.abs(start), kind), cast(np.abs(stop), kind)
    y = 10.0 ** linspace(np.log10(start), np.log10(stop), num, endpoint)
    rows = [np.broadcast_to(start, (1, *y.shape[1:])), y[1:]] if num > 0 else [y]
    if endpoint and num > 1:
        rows = [rows[0], y[1:-1], np.broadcast_to(stop, (1, *y.shape[1:]))]
    y = np.concatenate(rows) * sign
    y = np.moveaxis(y, 0, axis) if axis else y
    return cast(y, kind if dtype is None else dtype)


@implements(np.meshgrid)
def meshgrid(
    *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy"
) -> tuple[Any, ...]:
    """Stand for `numpy.meshgrid`."""
    if indexing not in ("xy", "ij"):
        raise ValueError("indexing= of np.meshgrid is 'xy' or 'ij'" + user_line())
    rank = len(xi)
    grids = [
        np.reshape(traced(x), (1,) * i + (-1,) + (1,) * (rank - 1 - i)) for i, x in enumerate(xi)
    ]
    if indexing == "xy" and rank > 1:
        grids = [np.swapaxes(g, 0, 1) for g in grids]
    if not sparse:
        grids = list(np.broadcast_arrays(*grids))
    return tuple(np.copy(g, "C") for g in grids) if copy else tuple(grids)
