"""Choosing, indexing and asking: NumPy functions on traced values."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ShapeError, UnsupportedError, user_line
from wengert.ops import elementwise as ew
from wengert.ops.base import Traced
from wengert.ops.control import stop_gradient
from wengert.ops.convert import select as select_op
from wengert.ops.index import getitem, index_add
from wengert.ops.order import take_along
from wengert.trace import indexing, memory
from wengert.trace.dispatch import FUNCTIONS
from wengert.trace.numbers import number_type
from wengert.trace.numpy.create import laid_out
from wengert.trace.numpy.shape import _view
from wengert.trace.numpy.table import (
    NO_VALUE,
    axis_index,
    cast,
    deliver,
    holds,
    implements,
    refuse,
    traced,
)
from wengert.trace.tracer import Tracer, lower


# --- complex parts --------------------------------------------------------------------------------
@implements(np.real)
def real(val: Any) -> Any:
    """Stand for `numpy.real`."""
    return _view(val, ew.real) if val.dtype.kind == "c" else val


@implements(np.imag)
def imag(val: Any) -> Any:
    """Stand for `numpy.imag`."""
    if val.dtype.kind == "c":
        return _view(val, ew.imag)
    made = laid_out(val, None, "A", None)
    made.flags.writeable = False
    return made


@implements(np.angle)
def angle(z: Any, deg: bool = False) -> Any:
    """Stand for `numpy.angle`."""
    # of real numbers it is 0 or pi, and so piecewise constant, at 0 too
    y = ew.angle(z) if z.dtype.kind == "c" else np.arctan2(0, stop_gradient(z))
    return np.degrees(y) if deg else y


@implements(np.real_if_close)
def real_if_close(a: Any, tol: float = 100) -> Any:
    """Stand for `numpy.real_if_close`."""
    if a.dtype.kind == "c" and tol > 1:
        tol = tol * np.finfo(a.dtype).eps
    if a.dtype.kind != "c" or not bool(np.all(np.abs(np.imag(a)) < tol)):
        return a
    return np.real(a)


# --- ufuncs with several results, and those built from others -------------------------------------
FUNCTIONS[np.divmod] = lambda a, b: (np.floor_divide(a, b), np.remainder(a, b))


def _modf(x: Any) -> Any:
    x = traced(x)
    x = cast(x, np.modf.resolve_dtypes((x.dtype, None, None))[0])
    whole = np.trunc(x)
    with np.errstate(invalid="ignore"):
        return np.where(np.isinf(x), np.copysign(np.zeros((), x.dtype), x), x - whole), whole


implements(np.modf)(_modf)


def _frexp(x: Any) -> Any:
    x = traced(x)
    x = cast(x, np.frexp.resolve_dtypes((x.dtype, None, None))[0])
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
    a, b = (x if isinstance(x, Traced) or number_type(x) else traced(x) for x in branches)
    if condition.dtype.kind != "b":
        condition = np.not_equal(condition, 0)
    return select_op(condition, a, b)


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
    return np.transpose(np.stack(nonzero(a)))


def _common(choices: list[Any]) -> list[Any]:
    """Convert choices to one dtype; Python numbers do not promote."""
    kinds = [number_type(c) for c in choices]
    arrays = [traced(c) for c in choices]
    dtype = np.result_type(
        *(
            kind(1) if kind in (int, float, complex) else c.dtype
            for kind, c in zip(kinds, arrays, strict=True)
        )
    )
    return [cast(c, dtype) for c in arrays]


@implements(np.select)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """Stand for `numpy.select`."""
    conditions = [traced(c) for c in condlist]
    if len(conditions) != len(choicelist) or not conditions:
        raise ValueError("list of cases must be as long as list of conditions" + user_line())
    for condition in conditions:
        if condition.dtype.kind != "b":
            raise TypeError("np.select takes conditions of booleans" + user_line())
    *choices, result = _common([*choicelist, default])
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        result = where(condition, choice, result)
    return result


_MODES = ("raise", "wrap", "clip")


def checked_mode(mode: Any) -> str:
    """Return what is to happen to indices out of bounds, one of NumPy's three modes."""
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {_MODES}, not {mode!r}" + user_line())
    return str(mode)


def integers(x: Any) -> Any:
    """Return indices, which are integers or booleans, as integers."""
    x = traced(x)
    if x.dtype.kind not in "iub" and (isinstance(x, Traced) or x.size):
        raise TypeError(f"indices have to be integers, not {x.dtype}" + user_line())
    return cast(x, np.intp)


@implements(np.choose)
def choose(a: Any, choices: Any, out: Any = None, mode: str = "raise") -> Any:
    """Stand for `numpy.choose`."""
    parts, a = _common(list(choices)), integers(a)
    n = len(parts)
    if checked_mode(mode) == "clip":
        a = np.clip(a, 0, n - 1)
    elif mode == "wrap":
        a = np.remainder(a, n)
    elif holds((a < 0) | (a >= n)):
        raise ValueError("invalid entry in choice array" + user_line())
    result = np.broadcast_to(parts[0], np.broadcast_shapes(np.shape(a), *(p.shape for p in parts)))
    for i, part in enumerate(parts[1:], 1):
        result = where(np.equal(a, i), part, result)
    if n == 1:
        result = np.copy(result, "C")
    return deliver(result, out)


@implements(np.clip)
def clip(
    a: Any,
    a_min: Any = NO_VALUE,
    a_max: Any = NO_VALUE,
    out: Any = None,
    *,
    min: Any = NO_VALUE,
    max: Any = NO_VALUE,
    **options: Any,
) -> Any:
    """Stand for `numpy.clip`."""
    old, new = (a_min, a_max), (min, max)
    if new != (NO_VALUE, NO_VALUE) and old != (NO_VALUE, NO_VALUE):
        raise ValueError("np.clip takes a_min and a_max, or min and max" + user_line())
    if (a_min is NO_VALUE) != (a_max is NO_VALUE):
        raise TypeError("np.clip takes a_max beside a_min" + user_line())
    refuse("clip", **{k: (v, None) for k, v in options.items()})
    low, high = new if a_min is NO_VALUE else old
    y = traced(a)
    low, high = (None if bound is NO_VALUE else bound for bound in (low, high))
    if y.dtype.kind in "iu":  # as in NumPy, a Python integer beyond the type bounds nothing
        limits = np.iinfo(y.dtype)
        low = None if type(low) is int and low <= limits.min else low
        high = None if type(high) is int and high >= limits.max else high
    if low is None and high is None:
        return deliver(np.positive(y), out)
    if low is not None:
        y = np.maximum(y, low)
    if high is not None:
        y = np.minimum(y, high)
    return deliver(y, out)


@implements(np.piecewise)
def piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **kwargs: Any) -> Any:
    """Stand for `numpy.piecewise`; every function is given all of `x`.

    NumPy gives a function its own elements only. A function that makes something else of those than
    of all, as their mean or their number, is refused.
    """
    x = traced(x)
    listed = isinstance(condlist, (list, tuple))
    rank = len(condlist) and 1 + np.ndim(condlist[0]) if listed else np.ndim(condlist)
    if rank == 0 or (rank == 1 and x.ndim and len(condlist)):
        condlist = [condlist]
    functions = list(funclist)
    if not len(condlist):
        raise IndexError("np.piecewise needs a condition" + user_line())
    conditions = [traced(c) for c in condlist]
    conditions = [c if c.dtype.kind == "b" else np.not_equal(c, 0) for c in conditions]
    if len(functions) not in (len(conditions), len(conditions) + 1):
        raise ValueError(
            f"with {len(conditions)} condition(s), as many functions or one more are expected"
            + user_line()
        )
    for c in conditions:
        if c.shape != x.shape:
            raise IndexError(
                f"a condition of shape {c.shape} does not fit x of shape {x.shape}" + user_line()
            )
    if len(functions) > len(conditions):
        rest = ~functools.reduce(np.logical_or, conditions)
        conditions.append(rest)
    result: Any = np.zeros(x.shape, x.dtype)
    for condition, f in zip(conditions, functions, strict=True):
        if callable(f):
            y = f(x, *args, **kwargs)
            _refuse_collective(x, condition, y, lambda v, f=f: f(v, *args, **kwargs))
        else:
            y = f
        result = where(condition, cast(traced(y), x.dtype), result)
    return result


def _refuse_collective(x: Any, condition: Any, y: Any, f: Callable[..., Any]) -> None:
    """Raise if a function of all elements differs from the function of those that are its own."""
    data, mask, whole = (_example(v) for v in (x, condition, y))
    if data is None or mask is None or not mask.any():
        return
    own = _example(f(data[mask]))
    if own is None or whole is None:
        return
    with np.errstate(all="ignore"):
        there = np.broadcast_to(whole, data.shape)[mask] if np.ndim(whole) else whole
        same = np.shape(own) in ((), data[mask].shape) and np.allclose(
            own, there, rtol=1e-4, atol=0, equal_nan=True
        )
    if not same:
        raise UnsupportedError(
            "np.piecewise on traced values gives a function all of x; this one makes something "
            "else of its own elements alone. Write it with np.where" + user_line()
        )


def _example(x: Any) -> Any:
    """Return the plain array under a value, of the first example of a batch; None if unknown."""
    if not isinstance(x, Tracer):
        return np.asarray(x)
    x._refresh()
    found = memory.example(x._trace, x._var)
    if found is None and not x.shape:
        return np.asarray(lower(x))
    return found if found is not None and found.shape == x.shape else None


@implements(np.nan_to_num)
def nan_to_num(
    x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None
) -> Any:
    """Stand for `numpy.nan_to_num`."""
    if x.dtype.kind not in "fc":
        return np.copy(x) if copy else x
    info = np.finfo(x.dtype)
    high, low = (info.max if posinf is None else posinf), (info.min if neginf is None else neginf)
    for value in (nan, high, low):
        if np.broadcast_shapes(np.shape(value), x.shape) != x.shape:
            raise ShapeError(
                f"a replacement of shape {np.shape(value)} does not fit x of shape {x.shape}"
                + user_line()
            )
    if x.dtype.kind == "c":
        refuse("nan_to_num", x=("complex numbers", None))
    y = np.where(np.isnan(x), cast(traced(nan), x.dtype), x)
    y = np.where(np.equal(y, np.inf), cast(traced(high), x.dtype), y)
    y = np.where(np.equal(y, -np.inf), cast(traced(low), x.dtype), y)
    if not copy:
        x._store(y)
    if not copy:
        return x
    return y if y.shape else ew.positive(y)  # a scalar


# --- indexing functions ---------------------------------------------------------------------------
@implements(np.take)
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    """Stand for `numpy.take`."""
    a, indices = traced(a), integers(indices)
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    axis = axis_index(axis, a.ndim)
    n = a.shape[axis]
    if checked_mode(mode) != "raise" and not n and indices.size:
        raise IndexError("cannot do a non-empty take from an empty axes." + user_line())
    if mode == "clip":
        indices = np.clip(indices, 0, n - 1)
    elif mode == "wrap" and n:
        indices = indices % n
    spec, arrays = indexing.parse((*(slice(None),) * axis, indices, ...))
    return deliver(getitem(a, *arrays, spec=spec), out)


def lined_up(arr: Any, indices: Any) -> Any:
    """Return the indices of `take_along_axis`: integers with as many axes as the array."""
    indices = traced(indices)
    if indices.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array" + user_line())
    if indices.ndim != arr.ndim:
        raise ValueError(
            f"`indices` of shape {indices.shape} and `arr` of shape {arr.shape} must have the same "
            f"number of dimensions" + user_line()
        )
    return indices


@implements(np.take_along_axis)
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    """Stand for `numpy.take_along_axis`."""
    arr = traced(arr)
    if axis is None:
        arr, axis = np.reshape(arr, -1), 0
    return take_along(arr, lined_up(arr, indices), axis_index(axis, arr.ndim))


@implements(np.compress)
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    """Stand for `numpy.compress`."""
    a, condition = traced(a), traced(condition)
    if condition.ndim != 1:
        raise ValueError("condition must be a 1-d array" + user_line())
    if axis is None:
        a, axis = np.reshape(a, -1), 0
    rows = nonzero(condition)[0]
    return deliver(indexing.along(a, rows, axis_index(axis, a.ndim)), out)


@implements(np.extract)
def extract(condition: Any, arr: Any) -> Any:
    """Stand for `numpy.extract`."""
    return np.ravel(arr)[np.ravel(condition).astype(bool)]


@implements(np.apply_along_axis)
def apply_along_axis(
    func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any
) -> Any:
    """Stand for `numpy.apply_along_axis`; the function sees traced lines."""
    arr = traced(arr)
    axis = axis_index(axis, arr.ndim)
    kept = arr.shape[:axis] + arr.shape[axis + 1 :]
    lines = np.reshape(np.moveaxis(arr, axis, -1), (math.prod(kept), arr.shape[axis]))
    results = np.stack([traced(func1d(lines[i], *args, **kwargs)) for i in range(lines.shape[0])])
    extra = results.ndim - 1
    y = np.reshape(results, kept + results.shape[1:])
    return np.moveaxis(
        y, tuple(range(len(kept), len(kept) + extra)), tuple(range(axis, axis + extra))
    )


@implements(np.apply_over_axes)
def apply_over_axes(func: Callable[..., Any], a: Any, axes: Any) -> Any:
    """Stand for `numpy.apply_over_axes`."""
    rank = a.ndim
    for axis in np.atleast_1d(axes):
        axis = int(axis) + rank if axis < 0 else int(axis)
        y = func(a, axis)
        if y.ndim != a.ndim:
            y = np.expand_dims(y, axis)
            if y.ndim != a.ndim:
                raise ValueError("function is not returning an array of the correct shape")
        a = y
    return a


# --- diagonals and triangles ----------------------------------------------------------------------
@implements(np.diag)
def diag(v: Any, k: int = 0) -> Any:
    """Stand for `numpy.diag`."""
    v = traced(v)
    if v.ndim == 2:
        return np.diagonal(v, k)
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
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1, dtype=dtype, out=out)


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


def _is_infinity(value: float) -> Callable[..., Any]:
    def implementation(x: Any, out: Any = None) -> Any:
        if x.dtype.kind == "c":
            raise TypeError("complex numbers have no signed infinities" + user_line())
        return deliver(np.equal(x, value), out)

    return implementation


implements(np.isposinf)(_is_infinity(np.inf))
implements(np.isneginf)(_is_infinity(-np.inf))
implements(np.isreal)(lambda x: np.equal(np.imag(traced(x)), 0))
implements(np.iscomplex)(lambda x: np.not_equal(np.imag(traced(x)), 0))


@implements(np.round, np.around)
def around(a: Any, decimals: int = 0, out: Any = None) -> Any:
    """Stand for `numpy.round`; piecewise constant."""
    a, decimals = traced(a), operator.index(decimals)
    if a.dtype.kind in "iu" and decimals >= 0:
        return deliver(np.positive(a), out)
    if decimals == 0:
        return deliver(np.rint(a), out)
    if a.dtype.kind not in "fc":
        raise UnsupportedError(f"np.round of {a.dtype} to {decimals} decimals" + user_line())
    scale = 10.0 ** abs(decimals) if abs(decimals) < 309 else np.inf
    if decimals < 0:
        return deliver(np.rint(a / scale) * scale, out)
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
