"""Choosing, indexing, calculus and composites of NumPy on traced values."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ConversionError, UnsupportedError, user_line
from wengert.ops import elementwise as ew
from wengert.ops.base import Traced
from wengert.ops.index import index_add
from wengert.ops.order import take_along
from wengert.trace import indexing
from wengert.trace.numpy_shape import _view
from wengert.trace.table import NO_VALUE, axis_index, deliver, implements, refuse, traced
from wengert.trace.tracer import FUNCTIONS, UFUNC_METHODS, Tracer


# --- complex parts ----------------------------------------------------------------------------------
@implements(np.real)
def real(val: Any) -> Any:
    """Stand for `numpy.real`."""
    return _view(val, ew.real) if val.dtype.kind == "c" else val


@implements(np.imag)
def imag(val: Any) -> Any:
    """Stand for `numpy.imag`."""
    return _view(val, ew.imag) if val.dtype.kind == "c" else np.zeros(val.shape, val.dtype)


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """Stand for `numpy.angle`."""
    y = ew.angle(z) if z.dtype.kind == "c" else np.arctan2(np.zeros_like(z), z)
    return np.degrees(y) if deg else y


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Stand for `numpy.real_if_close`."""
    if a.dtype.kind != "c" or not bool(np.all(np.abs(np.imag(a)) < tol * np.finfo(a.dtype).eps)):
        return a
    return np.real(a)


# --- ufuncs with several results, and those built from others -----------------------------------------
FUNCTIONS[np.divmod] = lambda a, b: (np.floor_divide(a, b), np.remainder(a, b))
FUNCTIONS[np.modf] = lambda x: (x - np.trunc(x), np.trunc(x))


def _frexp(x: Any) -> Any:
    _, exponent = np.frexp(_constant(x))
    return np.ldexp(x, -exponent), exponent


def _constant(x: Any) -> Any:
    from wengert.ops.control import stop_gradient

    y = stop_gradient(x)
    if isinstance(y, Traced):
        raise UnsupportedError("np.frexp under jit or vmap is not supported" + user_line())
    return y


FUNCTIONS[np.frexp] = _frexp


# --- choosing -----------------------------------------------------------------------------------------
@implements(np.where)
def where(condition: Any, *branches: Any) -> Any:
    """Stand for `numpy.where`."""
    condition = traced(condition)
    if not branches:
        return nonzero(condition)
    if len(branches) != 2:
        raise ValueError("either both or neither of x and y should be given" + user_line())
    a, b = (x if type(x) in (int, float, bool, complex) else traced(x) for x in branches)
    if condition.dtype.kind != "b":
        condition = np.not_equal(condition, 0)
    return ew.select(condition, a, b)


@implements(np.nonzero)
def nonzero(a: Any) -> tuple[Any, ...]:
    """Stand for `numpy.nonzero`; the number of results is a guard under ``jit``."""
    mask = np.not_equal(a, 0)
    rows = indexing.positions(mask)
    return tuple(rows[i] for i in range(a.ndim))


@implements(np.flatnonzero)
def flatnonzero(a: Any) -> Any:
    """Stand for `numpy.flatnonzero`."""
    return nonzero(np.ravel(a))[0]


@implements(np.argwhere)
def argwhere(a: Any) -> Any:
    """Stand for `numpy.argwhere`."""
    return np.stack(nonzero(a), axis=-1)


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Stand for `numpy.select`."""
    result = default
    for condition, choice in zip(reversed(list(condlist)), reversed(list(choicelist)), strict=True):
        result = where(condition, choice, result)
    return result


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """Stand for `numpy.choose`."""
    refuse("choose", mode=(mode, "raise"))
    parts = [traced(c) for c in choices]
    result = parts[0]
    for i, part in enumerate(parts[1:], 1):
        result = where(np.equal(a, i), part, result)
    return deliver(result, out)


@implements(np.clip)
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, **_: Any) -> Any:
    """Stand for `numpy.clip`."""
    low = min if a_min is None or a_min is NO_VALUE else a_min
    high = max if a_max is None or a_max is NO_VALUE else a_max
    y = a
    if low is not None and low is not NO_VALUE:
        y = np.maximum(y, low)
    if high is not None and high is not NO_VALUE:
        y = np.minimum(y, high)
    return deliver(y, out)


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Any:
    """Stand for `numpy.piecewise`; every function sees all of `x`."""
    if not isinstance(condlist, (list, tuple)) or (condlist and np.ndim(condlist[0]) == 0 and x.ndim):
        condlist = [condlist]
    functions = list(funclist)
    result: Any = np.zeros(x.shape, x.dtype)
    if len(functions) == len(condlist) + 1:
        last = functions.pop()
        result = last(x, *args, **kwargs) if callable(last) else np.full(x.shape, last, x.dtype)
    for condition, f in zip(condlist, functions, strict=True):
        result = where(condition, f(x, *args, **kwargs) if callable(f) else f, result)
    return result


@implements(np.nan_to_num)
def nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """Stand for `numpy.nan_to_num`."""
    info = np.finfo(x.dtype)
    x = np.where(np.isnan(x), nan, x)
    x = np.where(np.equal(x, np.inf), info.max if posinf is None else posinf, x)
    return np.where(np.equal(x, -np.inf), info.min if neginf is None else neginf, x)


# --- indexing functions -------------------------------------------------------------------------------
@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    """Stand for `numpy.take`."""
    a, indices = traced(a), traced(indices)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    axis = axis_index(axis, a.ndim)
    n = a.shape[axis]
    if mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    elif mode == "wrap":
        indices = indices % n
    return deliver(a[(*(slice(None),) * axis, indices)], out)


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """Stand for `numpy.take_along_axis`."""
    arr, indices = traced(arr), traced(indices)
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    return take_along(arr, indices, axis_index(axis, arr.ndim))


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """Stand for `numpy.compress`."""
    a = traced(a)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    rows = nonzero(traced(condition))[0]
    return deliver(a[(*(slice(None),) * axis_index(axis, a.ndim), rows)], out)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Stand for `numpy.extract`."""
    return np.ravel(arr)[np.ravel(condition).astype(bool)]


@implements(np.put_along_axis)
def put_along_axis(arr: Any, indices: Any, values: Any, axis: int) -> None:
    """Stand for `numpy.put_along_axis`."""
    _needs_traced(arr, "np.put_along_axis")
    axis = axis_index(axis, arr.ndim)
    grid = [np.arange(n).reshape((n,) + (1,) * (arr.ndim - 1 - i)) for i, n in enumerate(arr.shape)]
    arr[tuple(indices if i == axis else g for i, g in enumerate(grid))] = values


@implements(np.copyto)
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Stand for `numpy.copyto`."""
    _needs_traced(dst, "np.copyto")
    dst._store(np.broadcast_to(src, dst.shape) if where is True else np.where(where, src, dst))


@implements(np.putmask)
def putmask(a: Any, mask: Any, values: Any) -> None:
    """Stand for `numpy.putmask` with values that broadcast."""
    _needs_traced(a, "np.putmask")
    a._store(np.where(mask, values, a))


@implements(np.fill_diagonal)
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """Stand for `numpy.fill_diagonal`."""
    _needs_traced(a, "np.fill_diagonal")
    refuse("fill_diagonal", wrap=(wrap, False))
    n = min(a.shape)
    a[(np.arange(n),) * a.ndim] = val


def _needs_traced(target: Any, name: str) -> None:
    if not isinstance(target, Tracer):
        raise ConversionError(
            f"{name} would write a traced value into a plain array. Make the array with "
            f"np.zeros(shape, like=x)." + user_line()
        )


def _at(sign: int) -> Callable[..., Any]:
    def implementation(a: Any, index: Any, b: Any = None) -> None:
        _needs_traced(a, "ufunc.at")
        spec, arrays = indexing.parse(index)
        a._assign(index_add(a, b if sign > 0 else -traced(b), *arrays, spec=spec))

    return implementation


UFUNC_METHODS[(np.add, "at")] = _at(1)
UFUNC_METHODS[(np.subtract, "at")] = _at(-1)


# --- diagonals and triangles ----------------------------------------------------------------------------
@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Stand for `numpy.diagonal`."""
    a = np.moveaxis(traced(a), (axis1, axis2), (-2, -1))
    m, n = a.shape[-2:]
    length = max(min(m + min(offset, 0), n - max(offset, 0)), 0)
    i = np.arange(length)
    return a[..., i - min(offset, 0), i + max(offset, 0)]


@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """Stand for `numpy.diag`."""
    v = traced(v)
    if v.ndim == 2:
        return diagonal(v, k)
    if v.ndim != 1:
        raise ValueError("np.diag takes a vector or a matrix" + user_line())
    return diagflat(v, k)


@implements(np.diagflat)
def diagflat(v: Any, k: int = 0) -> Any:
    """Stand for `numpy.diagflat`."""
    v = np.ravel(traced(v))
    n = v.size + abs(k)
    i = np.arange(v.size)
    return index_add(np.zeros((n, n), v.dtype), v, i - min(k, 0), i + max(k, 0), spec=_TWO_SLOTS)


_TWO_SLOTS = indexing.parse((np.arange(1), np.arange(1)))[0]


@implements(np.trace)
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    """Stand for `numpy.trace`."""
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype, out=out)


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """Stand for `numpy.tril`."""
    m = traced(m)
    return np.where(np.tri(*m.shape[-2:], k, dtype=bool), m, np.zeros((), m.dtype))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """Stand for `numpy.triu`."""
    m = traced(m)
    return np.where(np.tri(*m.shape[-2:], k - 1, dtype=bool), np.zeros((), m.dtype), m)


# --- calculus -------------------------------------------------------------------------------------------
@implements(np.diff)
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = NO_VALUE, append: Any = NO_VALUE) -> Any:
    """Stand for `numpy.diff`."""
    a = traced(a)
    axis = axis_index(axis, a.ndim)
    parts = [_edge(p, a, axis) for p in (prepend,) if p is not NO_VALUE] + [a]
    parts += [_edge(p, a, axis) for p in (append,) if p is not NO_VALUE]
    if len(parts) > 1:
        a = np.concatenate(parts, axis)
    before = (slice(None),) * axis
    for _ in range(n):
        a = a[(*before, slice(1, None))] - a[(*before, slice(None, -1))]
    return a


def _edge(p: Any, a: Any, axis: int) -> Any:
    p = traced(p)
    return np.broadcast_to(p, a.shape[:axis] + (1,) + a.shape[axis + 1 :]) if p.ndim == 0 else p


@implements(np.ediff1d)
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """Stand for `numpy.ediff1d`."""
    y = diff(np.ravel(ary))
    parts = [np.ravel(p) for p in (to_begin, y, to_end) if p is not None]
    return np.concatenate(parts) if len(parts) > 1 else y


@implements(np.gradient)
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Stand for `numpy.gradient` with uniform spacing."""
    f = traced(f)
    refuse("gradient", edge_order=(edge_order, 1))
    dims = range(f.ndim) if axis is None else [axis_index(i, f.ndim) for i in np.atleast_1d(axis)]
    steps = list(varargs) * len(dims) if len(varargs) == 1 else list(varargs) or [1.0] * len(dims)
    made = []
    for d, h in zip(dims, steps, strict=True):
        if np.ndim(h):
            raise UnsupportedError("np.gradient with coordinates; give a uniform spacing" + user_line())
        a = np.moveaxis(f, d, 0)
        inner = (a[2:] - a[:-2]) / (2 * h)
        first, last = (a[1:2] - a[:1]) / h, (a[-1:] - a[-2:-1]) / h
        made.append(np.moveaxis(np.concatenate([first, inner, last]), 0, d))
    return made[0] if len(made) == 1 else tuple(made)


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
    before = (slice(None),) * axis
    mid = (y[(*before, slice(1, None))] + y[(*before, slice(None, -1))]) / 2
    return np.sum(mid * d, axis=axis)


@implements(np.interp)
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    """Stand for `numpy.interp`: piecewise linear; differentiable in x, xp and fp."""
    refuse("interp", period=(period, None))
    x, xp, fp = traced(x), traced(xp), traced(fp)
    n = xp.shape[0]
    if n == 1:
        return np.broadcast_to(fp, x.shape)
    i = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, n - 2)
    x0, x1, f0, f1 = xp[i], xp[i + 1], fp[i], fp[i + 1]
    gap = x1 - x0
    y = f0 + (f1 - f0) * ((x - x0) / np.where(gap == 0, 1, gap))
    y = np.where(x < xp[0], fp[0] if left is None else left, y)
    return np.where(x > xp[n - 1], fp[n - 1] if right is None else right, y)


@implements(np.polyval)
def polyval(p: Any, x: Any) -> Any:
    """Stand for `numpy.polyval`, by Horner's scheme."""
    p = traced(p)
    y: Any = x * 0
    for i in range(p.shape[0]):
        y = y * x + p[i]
    return y


@implements(np.vander)
def vander(x: Any, N: Any = None, increasing: bool = False) -> Any:  # noqa: N803
    """Stand for `numpy.vander`."""
    x = traced(x)
    n = x.size if N is None else operator.index(N)
    powers = np.arange(n) if increasing else np.arange(n)[::-1]
    columns = [x**int(k) if k else np.ones_like(x) for k in powers]
    return np.stack(columns, axis=-1)


@implements(np.sinc)
def sinc(x: Any) -> Any:
    """Stand for `numpy.sinc`."""
    z = np.pi * x
    small = np.abs(z) < 1e-4
    safe = np.where(small, 1, z)
    return np.where(small, 1 - z * z / 6, np.sin(safe) / safe)


@implements(np.linspace)
def linspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None, axis: int = 0, **_: Any) -> Any:
    """Stand for `numpy.linspace`."""
    num = operator.index(num)
    start, stop = traced(start), traced(stop)
    start, stop = np.broadcast_arrays(start * 1.0, stop * 1.0)
    n = num - 1 if endpoint else num
    share = np.arange(num).reshape((num,) + (1,) * start.ndim) / max(n, 1)
    step = (stop - start) / n if n > 0 else np.nan * start
    y = start * (1 - share) + stop * share
    if axis:
        y = np.moveaxis(y, 0, axis)
    if dtype is not None:
        y = y.astype(dtype)
    return (y, step) if retstep else y


@implements(np.logspace)
def logspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0) -> Any:
    """Stand for `numpy.logspace`."""
    return np.power(base, linspace(start, stop, num, endpoint, axis=axis))


@implements(np.geomspace)
def geomspace(start: Any, stop: Any, num: Any = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> Any:
    """Stand for `numpy.geomspace` between positive numbers."""
    return np.exp(linspace(np.log(start), np.log(stop), num, endpoint, axis=axis))


@implements(np.meshgrid)
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """Stand for `numpy.meshgrid`."""
    rank = len(xi)
    grids = [np.reshape(traced(x), (1,) * i + (-1,) + (1,) * (rank - 1 - i)) for i, x in enumerate(xi)]
    if indexing == "xy" and rank > 1:
        grids = [np.swapaxes(g, 0, 1) for g in grids]
    if sparse:
        return tuple(grids)
    return tuple(np.copy(g) for g in np.broadcast_arrays(*grids))


@implements(np.cov)
def cov(m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None) -> Any:
    """Stand for `numpy.cov` without weights."""
    x = np.atleast_2d(m)
    x = x if rowvar or np.ndim(m) == 1 else np.transpose(x)
    if y is not None:
        other = np.atleast_2d(y)
        x = np.concatenate([x, other if rowvar or np.ndim(y) == 1 else np.transpose(other)])
    n = x.shape[1]
    d = x - np.mean(x, axis=1, keepdims=True)
    c = d @ np.conjugate(np.transpose(d)) / (n - ((0 if bias else 1) if ddof is None else ddof))
    return np.squeeze(c)


@implements(np.corrcoef)
def corrcoef(x: Any, y: Any = None, rowvar: bool = True) -> Any:
    """Stand for `numpy.corrcoef`."""
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    s = np.sqrt(np.diagonal(c))
    return c / (s[:, None] * s[None, :])


# --- questions and printing -----------------------------------------------------------------------------
@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Stand for `numpy.isclose`."""
    near = np.abs(np.subtract(a, b)) <= atol + rtol * np.abs(b)
    same = np.logical_or(np.equal(a, b), np.logical_and(near, np.isfinite(b)))
    return np.logical_or(same, np.logical_and(np.isnan(a), np.isnan(b))) if equal_nan else same


@implements(np.allclose)
def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Stand for `numpy.allclose`."""
    return bool(np.all(isclose(a, b, rtol, atol, equal_nan)))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """Stand for `numpy.array_equal`."""
    return traced(a1).shape == traced(a2).shape and bool(np.all(np.equal(a1, a2)))


@implements(np.isscalar) if np.isscalar in FUNCTIONS else (lambda f: f)
def isscalar(element: Any) -> bool:
    """Stand for `numpy.isscalar`."""
    return False


@implements(np.isneginf, np.isposinf)
def _infinite(x: Any, out: Any = None) -> Any:
    raise UnsupportedError("use x == np.inf or x == -np.inf" + user_line())


@implements(np.round, np.around)
def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Stand for `numpy.round`; piecewise constant."""
    if decimals == 0:
        return deliver(np.rint(a), out)
    scale = 10.0**decimals
    return deliver(np.rint(a * scale) / scale, out)


@implements(np.fix)
def fix(x: Any, out: Any = None) -> Any:
    """Stand for `numpy.fix`."""
    return deliver(np.trunc(x), out)


def _shown(function: Any) -> Callable[..., str]:
    def implementation(a: Any, *args: Any, **kwargs: Any) -> str:
        return repr(a) if isinstance(a, Traced) else function(a, *args, **kwargs)

    return implementation


for _function in (np.array_repr, np.array_str, np.array2string):
    implements(_function)(_shown(_function))

