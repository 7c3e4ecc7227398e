"""Choosing, indexing and asking: NumPy functions on traced values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ConversionError, user_line
from wengert.ops import elementwise as ew
from wengert.ops.base import Traced
from wengert.ops.index import getitem, index_add
from wengert.ops.order import take_along
from wengert.trace import indexing, views
from wengert.trace.numpy_shape import _view
from wengert.trace.table import NO_VALUE, axis_index, deliver, implements, refuse, traced
from wengert.trace.tracer import FUNCTIONS, UFUNC_METHODS, Tracer


# --- complex parts --------------------------------------------------------------------------------
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


# --- ufuncs with several results, and those built from others -------------------------------------
FUNCTIONS[np.divmod] = lambda a, b: (np.floor_divide(a, b), np.remainder(a, b))
FUNCTIONS[np.modf] = lambda x: (x - np.trunc(x), np.trunc(x))


def _frexp(x: Any) -> Any:
    exponent = ew.exponent(x)
    return np.ldexp(x, -exponent), exponent


FUNCTIONS[np.frexp] = _frexp


# --- choosing -------------------------------------------------------------------------------------
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
    parts = [traced(c) for c in choices]
    if mode == "clip":
        a = np.clip(a, 0, len(parts) - 1)
    elif mode == "wrap":
        a = np.remainder(a, len(parts))
    elif not isinstance(a, Traced) and np.any((np.asarray(a) < 0) | (np.asarray(a) >= len(parts))):
        raise ValueError("invalid entry in choice array")
    result = np.broadcast_to(parts[0], np.broadcast_shapes(np.shape(a), *(p.shape for p in parts)))
    for i, part in enumerate(parts[1:], 1):
        result = where(np.equal(a, i), part, result)
    return deliver(result, out)


@implements(np.clip)
def clip(
    a: Any,
    a_min: Any = None,
    a_max: Any = None,
    out: Any = None,
    *,
    min: Any = None,
    max: Any = None,
    **_: Any,
) -> Any:
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
    if not isinstance(condlist, (list, tuple)) or (
        condlist and np.ndim(condlist[0]) == 0 and x.ndim
    ):
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
def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Stand for `numpy.nan_to_num`."""
    info = np.finfo(x.dtype)
    y = np.where(np.isnan(x), nan, x)
    y = np.where(np.equal(y, np.inf), info.max if posinf is None else posinf, y)
    y = np.where(np.equal(y, -np.inf), info.min if neginf is None else neginf, y)
    if not copy:
        x._store(y)
    return y if copy else x


# --- indexing functions ---------------------------------------------------------------------------
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
    spec, arrays = indexing.parse((*(slice(None),) * axis, indices, ...))
    return deliver(getitem(a, *arrays, spec=spec), out)


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
    return deliver(a[(*(slice(None),) * axis_index(axis, a.ndim), rows, ...)], out)


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


@implements(np.put)
def put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    """Stand for `numpy.put`."""
    _needs_traced(a, "np.put")
    refuse("put", mode=(mode, "raise"))
    where = np.ravel(traced(ind))
    flat = np.copy(np.ravel(a))
    flat[where] = np.resize(v, where.shape)
    a._store(np.reshape(flat, a.shape))


@implements(np.place)
def place(arr: Any, mask: Any, vals: Any) -> None:
    """Stand for `numpy.place`."""
    put(arr, np.flatnonzero(mask), vals)


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
        spec, arrays = indexing.parse(index, a.shape)
        a._store(index_add(a, b if sign > 0 else -traced(b), *arrays, spec=spec))

    return implementation


UFUNC_METHODS[(np.add, "at")] = _at(1)
UFUNC_METHODS[(np.subtract, "at")] = _at(-1)


@implements(np.apply_along_axis)
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """Stand for `numpy.apply_along_axis`; the function sees traced lines."""
    arr = traced(arr)
    axis = axis_index(axis, arr.ndim)
    kept = arr.shape[:axis] + arr.shape[axis + 1 :]
    lines = np.reshape(np.moveaxis(arr, axis, -1), (-1, arr.shape[axis]))
    results = np.stack([traced(func1d(lines[i], *args, **kwargs)) for i in range(lines.shape[0])])
    extra = results.ndim - 1
    y = np.reshape(results, kept + results.shape[1:])
    return np.moveaxis(
        y, tuple(range(len(kept), len(kept) + extra)), tuple(range(axis, axis + extra))
    )


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """Stand for `numpy.apply_over_axes`."""
    for axis in np.atleast_1d(axes):
        axis = axis_index(axis, a.ndim)
        y = func(a, axis)
        a = y if y.ndim == a.ndim else np.expand_dims(y, axis)
    return a


# --- diagonals and triangles ----------------------------------------------------------------------
@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Stand for `numpy.diagonal`, a read-only view."""
    a = traced(a)
    y = _diagonal(a, offset, axis1, axis2)
    return views.attach(y, a, _DIAGONAL, {"offset": offset, "axis1": axis1, "axis2": axis2})


def _diagonal(a: Any, offset: int, axis1: int, axis2: int) -> Any:
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    m, n = a.shape[-2:]
    length = max(min(m + min(offset, 0), n - max(offset, 0)), 0)
    i = np.arange(length)
    return a[..., i - min(offset, 0), i + max(offset, 0)]


_DIAGONAL = views.ReadOnly("diagonal", _diagonal, np.diagonal)


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
def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None
) -> Any:
    """Stand for `numpy.trace`."""
    return np.sum(diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype, out=out)


def _triangle(m: Any, k: int) -> Any:
    rows, columns = m.shape[-2:] if m.ndim > 1 else 2 * m.shape
    return np.tri(rows, columns, k, dtype=bool)


@implements(np.tril)
def tril(m: Any, k: int = 0) -> Any:
    """Stand for `numpy.tril`."""
    m = traced(m)
    return np.where(_triangle(m, k), m, np.zeros((), m.dtype))


@implements(np.triu)
def triu(m: Any, k: int = 0) -> Any:
    """Stand for `numpy.triu`."""
    m = traced(m)
    return np.where(_triangle(m, k - 1), np.zeros((), m.dtype), m)


# --- questions and printing -----------------------------------------------------------------------
@implements(np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Stand for `numpy.isclose`."""
    with np.errstate(invalid="ignore"):
        near = np.abs(np.subtract(a, b)) <= atol + rtol * np.abs(b)
    same = np.logical_or(np.equal(a, b), np.logical_and(near, np.isfinite(b)))
    return np.logical_or(same, np.logical_and(np.isnan(a), np.isnan(b))) if equal_nan else same


@implements(np.allclose)
def allclose(
    a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Stand for `numpy.allclose`."""
    return bool(np.all(isclose(a, b, rtol, atol, equal_nan)))


@implements(np.array_equal)
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """Stand for `numpy.array_equal`."""
    a, b = traced(a1), traced(a2)
    if a.shape != b.shape:
        return False
    same = np.equal(a, b)
    return bool(np.all(same | (np.isnan(a) & np.isnan(b)) if equal_nan else same))


@implements(np.array_equiv)
def array_equiv(a1: Any, a2: Any) -> bool:
    """Stand for `numpy.array_equiv`."""
    a, b = traced(a1), traced(a2)
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return bool(np.all(np.equal(a, b)))


@implements(np.isin)
def isin(
    element: Any,
    test_elements: Any,
    assume_unique: bool = False,
    invert: bool = False,
    *,
    kind: Any = None,
) -> Any:
    """Stand for `numpy.isin`."""
    element, test_elements = traced(element), traced(test_elements)
    if kind not in (None, "sort", "table"):
        raise ValueError(f"invalid kind: {kind!r}" + user_line())
    if kind == "table" and {element.dtype.kind, test_elements.dtype.kind} - set("iub"):
        raise ValueError("kind='table' takes integers and booleans" + user_line())
    found = np.any(np.equal(element[..., None], np.ravel(test_elements)), axis=-1)
    return np.logical_not(found) if invert else found


@implements(np.common_type)
def common_type(*arrays: Any) -> Any:
    """Stand for `numpy.common_type`."""
    return np.common_type(*(np.empty(0, x.dtype) for x in arrays))


implements(np.isposinf)(lambda x, out=None: deliver(np.equal(x, np.inf), out))
implements(np.isneginf)(lambda x, out=None: deliver(np.equal(x, -np.inf), out))
implements(np.isreal)(lambda x: np.equal(np.imag(traced(x)), 0))
implements(np.iscomplex)(lambda x: np.not_equal(np.imag(traced(x)), 0))


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
