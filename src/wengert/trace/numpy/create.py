"""NumPy's functions that copy, and those that make arrays like a traced one."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import ShapeError, user_line
from wengert.ops.base import Traced
from wengert.ops.index import index_set
from wengert.trace import layout, memory, views
from wengert.trace.numpy.table import cast, creates, implements, optional, ordering, traced
from wengert.trace.tracer import Tracer, lower

__all__ = ["laid_out", "with_order"]


@implements(np.copy)
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    """Stand for `numpy.copy`."""
    return memory.held(memory.converted(a, a.dtype, order))


@implements(*optional("astype"))
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    """Stand for `numpy.astype`."""
    return with_order(x, np.dtype(dtype), "K", True if copy else None)


def _data(x: Any) -> Any:
    data = lower(x)
    return data if isinstance(data, np.ndarray) else np.empty(0)


def _sharing(function: Any) -> Any:
    def implementation(a: Any, b: Any, max_work: Any = None) -> bool:
        if any(isinstance(x, Tracer) and not x._is_array() for x in (a, b)):
            return False  # NumPy makes an array of a number to look at it
        if isinstance(a, Tracer) and isinstance(b, Tracer):
            return views.overlap(function, a, b)
        return bool(function(_data(a), _data(b)))

    return implementation


implements(np.may_share_memory)(_sharing(np.may_share_memory))
implements(np.shares_memory)(_sharing(np.shares_memory))


def laid_out(a: Any, dtype: Any, order: str, shape: Any) -> Any:
    """Return zeros like `a`, in its memory order where NumPy keeps that (``order="K"``)."""
    dtype, order = np.dtype(dtype or a.dtype), ordering(order)
    if shape is None:
        shape = a.shape
    elif not isinstance(shape, (tuple, list)):
        shape = (int(shape),)
    if order not in ("K", "A") or len(shape) != len(a.shape) or not isinstance(a, Tracer):
        return np.zeros(shape, dtype, order="F" if order == "F" else "C")
    wanted = memory.order_of(a, order)
    if wanted == "C":
        return np.zeros(shape, dtype)
    made = np.zeros([shape[i] for i in wanted], dtype)
    return made.transpose(np.argsort(wanted))


@implements(np.zeros_like)
def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any
) -> Any:
    """Stand for `numpy.zeros_like`."""
    return _made(a, laid_out(a, dtype, order, shape))


@implements(np.ones_like)
def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, **_: Any
) -> Any:
    """Stand for `numpy.ones_like`."""
    return full_like(a, 1, dtype, order, shape=shape)


@implements(np.empty_like)
def empty_like(
    prototype: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    **_: Any,
) -> Any:
    """Stand for `numpy.empty_like`."""
    return zeros_like(prototype, dtype, order, shape=shape)


@implements(np.full_like)
def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    **_: Any,
) -> Any:
    """Stand for `numpy.full_like`."""
    shape = (
        a.shape
        if shape is None
        else (shape if isinstance(shape, tuple) else tuple(np.atleast_1d(shape)))
    )
    target = np.dtype(dtype or a.dtype)
    made = laid_out(a, target, order, None if shape == a.shape else shape)
    if isinstance(fill_value, Traced):
        return index_set(made, cast(fill_value, target), spec=(Ellipsis,))
    made[...] = fill_value
    return _made(a, made)


def _made(like: Any, x: Any) -> Any:
    """Give a new array to the trace of `like`, so that traced values can be stored in it."""
    return like._trace.lift(x) if isinstance(like, Tracer) else x


def _creation(function: Any) -> Any:
    def implementation(like: Any, *args: Any, **kwargs: Any) -> Any:
        if any(isinstance(a, Traced) for a in args):
            args = tuple(
                a.__index__() if isinstance(a, Tracer) and a.dtype.kind in "iu" else a for a in args
            )
        return _made(like, function(*args, **kwargs))

    return implementation


for _function in (np.zeros, np.ones, np.empty, np.arange, np.eye, np.identity, np.tri):
    creates(_function)(_creation(_function if _function is not np.empty else np.zeros))


@creates(np.full)
def full(
    like: Any, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", **_: Any
) -> Any:
    """Stand for `numpy.full` with ``like=``."""
    if isinstance(fill_value, Traced):
        dtype = np.dtype(dtype or fill_value.dtype)  # type: ignore[attr-defined]
        made = np.zeros(shape, dtype, order)  # type: ignore[call-overload]
        return index_set(made, cast(fill_value, dtype), spec=(Ellipsis,))
    return _made(like, np.full(shape, fill_value, dtype, order))  # type: ignore[call-overload]


@creates(np.asarray, np.asanyarray)
def asarray(
    like: Any, a: Any, dtype: Any = None, order: Any = None, *, device: Any = None, copy: Any = None
) -> Any:
    """Stand for `numpy.asarray` and its kin with ``like=``: no copy of a traced value."""
    return array(like, a, dtype, copy=copy, order=order)


@creates(np.ascontiguousarray)
def ascontiguousarray(like: Any, a: Any, dtype: Any = None) -> Any:
    """Stand for `numpy.ascontiguousarray` with ``like=``."""
    return array(like, a, dtype, copy=None, order="C", ndmin=1)


@creates(np.asfortranarray)
def asfortranarray(like: Any, a: Any, dtype: Any = None) -> Any:
    """Stand for `numpy.asfortranarray` with ``like=``."""
    return array(like, a, dtype, copy=None, order="F", ndmin=1)


@creates(np.require)
def require(like: Any, a: Any, dtype: Any = None, requirements: Any = None) -> Any:
    """Stand for `numpy.require` with ``like=``; a traced array is aligned and owned."""
    names = {r[0].upper() for r in ([requirements] if isinstance(requirements, str) else
             requirements or ())}  # fmt: skip
    if {"C", "F"} <= names:
        raise ValueError("Cannot specify both 'C' and 'F' order" + user_line())
    order = "F" if "F" in names else "C" if "C" in names else "A"
    y = array(like, a, dtype, copy=None, order=order)
    owned = isinstance(y, Tracer) and y._view is None
    return y if "O" not in names or owned else copy(y, order)


@creates(np.array)
def array(
    like: Any,
    a: Any,
    dtype: Any = None,
    *,
    copy: Any = True,
    order: Any = "K",
    subok: bool = False,
    ndmin: int = 0,
) -> Any:
    """Stand for `numpy.array` with ``like=``."""
    x = traced(a)
    order = order or "K"
    if not isinstance(x, Tracer):
        return _made(like, np.array(x, dtype, order=order, ndmin=ndmin))
    target = np.dtype(dtype or x.dtype)
    y = x if x is not a and order != "F" else with_order(x, target, order, copy)
    y = memory.held(cast(y, target))
    return views.reshaped(y, (1,) * (ndmin - y.ndim) + y.shape) if ndmin > y.ndim else y


def with_order(x: Any, dtype: np.dtype[Any], order: str, copy: Any) -> Any:
    """Return a handle itself where its dtype and layout fit and no copy is asked for, else a copy.

    Raises
    ------
    ValueError
        Where a copy is needed and ``copy=False``.
    """
    fits = x.dtype == dtype
    if fits and not copy and order in ("C", "F") and len(x.shape) > 0:
        own, size = memory.strides(x), x.dtype.itemsize
        fits = layout.is_c(x.shape, own, size) if order == "C" else layout.is_f(x.shape, own, size)
        views.doubt(x)
        if not fits and copy is None:
            y = memory.converted(x, dtype, order)
            views.doubt(y)
            return y
    if fits and not copy:
        return x
    if copy is False:
        raise ShapeError("Unable to avoid copy while creating an array as requested" + user_line())
    return memory.converted(x, dtype, order)
