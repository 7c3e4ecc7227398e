"""NumPy's calculus on traced values: differences, integrals, interpolation, polynomials, grids."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from wengert.errors import UnsupportedError, user_line
from wengert.ops import elementwise as ew
from wengert.ops.base import dtype_of
from wengert.ops.index import SLOT, getitem
from wengert.trace.table import NO_VALUE, axis_index, cast, decided, implements, traced


def _before(axis: int) -> tuple[slice, ...]:
    return (slice(None),) * axis


# --- differences and integrals --------------------------------------------------------------------
@implements(np.diff)
def diff(
    a: Any, n: int = 1, axis: int = -1, prepend: Any = NO_VALUE, append: Any = NO_VALUE
) -> Any:
    """Stand for `numpy.diff`."""
    a = traced(a)
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
    y = diff(np.ravel(ary))
    parts = [cast(np.ravel(p), y.dtype) for p in (to_begin, y, to_end) if p is not None]
    return np.concatenate(parts) if len(parts) > 1 else y


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Stand for `numpy.gradient`, with spacings or coordinates."""
    f = traced(f)
    dims = range(f.ndim) if axis is None else [axis_index(i, f.ndim) for i in np.atleast_1d(axis)]
    steps = list(varargs) * len(dims) if len(varargs) == 1 else list(varargs) or [1.0] * len(dims)
    if len(steps) != len(dims):
        raise TypeError("invalid number of arguments")
    made = [_slopes(f, d, h, edge_order) for d, h in zip(dims, steps, strict=True)]
    return made[0] if len(made) == 1 else tuple(made)


def _slopes(f: Any, axis: int, h: Any, edge_order: int) -> Any:
    """Differentiate along one axis with NumPy's three-point formulas for uneven steps."""
    a = np.moveaxis(f, axis, 0)
    n = a.shape[0]
    if n <= edge_order:
        raise ValueError(f"np.gradient needs {edge_order + 1} elements along each axis")
    if np.ndim(h):
        steps = np.reshape(np.diff(traced(h)), (n - 1,) + (1,) * (a.ndim - 1))
        p, q = steps[:-1], steps[1:]
        first, last = steps[:1], steps[-1:]
        ends = (steps[:1], steps[1:2]), (steps[-2:-1], steps[-1:])
    else:
        p = q = first = last = h
        ends = (h, h), (h, h)
    y = [(a[1:2] - a[:1]) / first, a[:0], (a[-1:] - a[-2:-1]) / last]
    if n > 2:
        y[1] = (p / q * (a[2:] - a[1:-1]) + q / p * (a[1:-1] - a[:-2])) / (p + q)
    if edge_order == 2:
        (p, q), (r, s) = ends
        y[0] = (a[1:2] - a[:1]) * ((2 * p + q) / (p * (p + q))) - (a[2:3] - a[1:2]) * (
            p / (q * (p + q))
        )
        y[2] = (a[-1:] - a[-2:-1]) * ((2 * s + r) / (s * (r + s))) - (a[-2:-1] - a[-3:-2]) * (
            s / (r * (r + s))
        )
    slopes = np.moveaxis(np.concatenate(y), 0, axis)
    return cast(slopes, f.dtype if f.dtype.kind in "fc" else None)


@implements(np.trapezoid)
def trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Any:
    """Stand for `numpy.trapezoid`."""
    y = traced(y)
    axis = axis_index(axis, y.ndim)
    d: Any = dx
    if x is not None:
        x = traced(x)
        d = np.diff(x, axis=0 if x.ndim == 1 else axis)
        if x.ndim == 1:
            d = np.reshape(d, tuple(d.shape[0] if i == axis else 1 for i in range(y.ndim)))
    middle = (y[(*_before(axis), slice(1, None))] + y[(*_before(axis), slice(None, -1))]) / 2
    return np.sum(middle * d, axis=axis)


@implements(np.interp)
def interp(
    x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None
) -> Any:
    """Stand for `numpy.interp`: piecewise linear; differentiable in x, xp and fp."""
    x, xp, fp = (cast(z, float) if z.dtype.kind != "c" else z for z in map(traced, (x, xp, fp)))
    if period is not None:
        x, xp = x % abs(period), xp % abs(period)
        order = np.argsort(xp)
        xp, fp = _pick(xp, order), _pick(fp, order)
        xp = np.concatenate([xp[-1:] - abs(period), xp, xp[:1] + abs(period)])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    n = xp.shape[0]
    left, right = (fp[0] if left is None else left), (fp[n - 1] if right is None else right)
    if n > 1:
        i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, n - 2)
        x0, f0, j = _pick(xp, i), _pick(fp, i), i + 1
        gap = _pick(xp, j) - x0
        y = f0 + (_pick(fp, j) - f0) * ((x - x0) / np.where(gap == 0, 1, gap))
    else:
        y = np.broadcast_to(fp[0], x.shape)
    return np.where(x < xp[0], left, np.where(x > xp[n - 1], right, y))


def _pick(table: Any, i: Any) -> Any:
    """Read a vector at integers that may be traced where the vector is not."""
    return getitem(table, i, spec=(SLOT,))


@implements(np.unwrap)
def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    """Stand for `numpy.unwrap`; the multiples of the period are piecewise constant."""
    p = traced(p)
    axis = axis_index(axis, p.ndim)
    d = np.diff(p, axis=axis)
    half = period / 2
    turned = (d + half) % period - half
    turned = np.where((turned == -half) & (d > 0), half, turned)
    shift = np.where(np.abs(d) < (half if discont is None else discont), 0, turned - d)
    first, rest = p[(*_before(axis), slice(0, 1))], p[(*_before(axis), slice(1, None))]
    return np.concatenate([first, rest + np.cumsum(shift, axis=axis)], axis=axis)


# --- polynomials and special functions ------------------------------------------------------------
@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Stand for `numpy.polyval`, by Horner's scheme."""
    p, x = traced(p), traced(x)
    y: Any = x * 0
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
implements(np.polymul)(
    lambda a1, a2: np.convolve(np.atleast_1d(traced(a1)), np.atleast_1d(traced(a2)))
)


@implements(np.polyder)
def polyder(p: Any, m: int = 1) -> Any:
    """Stand for `numpy.polyder`."""
    p = traced(p)
    for _ in range(m):
        p = p[:-1] * np.arange(p.shape[0] - 1, 0, -1)
    return p


@implements(np.polyint)
def polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    """Stand for `numpy.polyint`."""
    p = traced(p)
    constants = np.zeros(m) if k is None else np.broadcast_to(traced(k), (m,))
    for i in range(m):
        p = np.concatenate([p / np.arange(p.shape[0], 0, -1), constants[i : i + 1]])
    return p


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:
    """Stand for `numpy.vander`."""
    x = cast(traced(x), np.promote_types(dtype_of(x), int))
    n = x.size if N is None else operator.index(N)
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    return np.power(x[:, None], powers)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """Stand for `numpy.sinc`; by its Taylor series near zero."""
    z = np.pi * traced(x)
    small = np.abs(z) < 1e-3
    safe = np.where(small, 1, z)
    square = z * z
    series = 1 - square / 6 * (1 - square / 20 * (1 - square / 42))
    return np.where(small, series, np.sin(safe) / safe)


@implements(np.i0)
def i0(x: Any) -> Any:
    """Stand for `numpy.i0`."""
    return ew.i0(traced(x))


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
    start, stop = (x if type(x) in (int, float, complex) else traced(x) for x in (start, stop))
    start, stop = start * 1.0, stop * 1.0
    n = num - 1 if endpoint else num
    gap = stop - start
    step = gap / n if n > 0 else np.nan * np.abs(gap)
    k = np.arange(num).reshape((num,) + (1,) * np.ndim(gap)).astype(gap.real.dtype)
    y = k * (step if n > 0 else gap) + start
    if endpoint and num > 1:
        last = np.broadcast_to(cast(traced(stop), y.dtype), (1, *y.shape[1:]))
        y = np.concatenate([y[:-1], last])
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
    base = base if type(base) in (int, float, complex) else traced(base)
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
    return tuple(np.copy(g) for g in grids) if copy else tuple(grids)
