"""Helpers for stating what stands for a NumPy function."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from wengert.errors import (
    BatchedControlError,
    ConversionError,
    ShapeError,
    UnsupportedError,
    user_line,
)
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.ops.convert import convert
from wengert.trace import memory
from wengert.trace.dispatch import CREATION, FUNCTIONS
from wengert.trace.indexing import stack_nested
from wengert.trace.numbers import number_type
from wengert.trace.tracer import Tracer, lower

__all__ = [
    "NO_VALUE",
    "axes",
    "axes_of_ufunc",
    "axis_index",
    "called_as",
    "cast",
    "decided",
    "deliver",
    "holds",
    "implements",
    "normalised",
    "ordering",
    "refuse",
    "traced",
]

NO_VALUE: Any = np._NoValue
F = TypeVar("F", bound=Callable[..., Any])


NUMBERS = frozenset({
    np.choose, np.imag, np.interp, np.linalg.cond, np.linalg.matrix_norm, np.linalg.norm,
    np.linalg.vector_norm, np.median, np.modf, np.nan_to_num, np.nanmax, np.nanmedian, np.nanmin,
    np.nanpercentile, np.nanquantile, np.nanstd, np.nanvar, np.percentile, np.quantile, np.sinc,
    np.take,
})  # fmt: skip
"""Functions whose result without axes is a number, where what they are made of gives an array. The
difference shows where a result is updated: ``y += 1`` makes another number, but changes an array
that has other names."""

ARRAYS = frozenset({
    np.block, np.fft.fftn, np.fft.ifftn, np.i0, np.linalg.tensordot, np.pad, np.real_if_close,
    np.tensordot,
})  # fmt: skip
"""Functions whose result without axes is an array, of numbers too."""


def implements(*functions: Any) -> Callable[[F], F]:
    """Say that the decorated function stands for NumPy functions on traced values."""

    def decorate(implementation: F) -> F:
        for function in functions:
            made: Callable[..., Any] = implementation
            if function in NUMBERS:
                made = _giving(_as_number, implementation)
            elif function in ARRAYS:
                made = _giving(_as_array, implementation)
            FUNCTIONS[function] = made
        return implementation

    return decorate


def called_as(function: Any, implementation: Callable[..., Any]) -> Callable[..., Any]:
    """Return an implementation, of keywords, with the parameters of a NumPy function."""
    code = function.__wrapped__.__code__
    names = code.co_varnames[: code.co_argcount]
    known = frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])

    @functools.wraps(function)
    def implementing(*args: Any, **kwargs: Any) -> Any:
        given = dict(zip(names, args, strict=False))
        if (
            len(given) < len(args)
            or not known.issuperset(kwargs)
            or not kwargs.keys().isdisjoint(given)
        ):
            function.__wrapped__(*args, **kwargs)  # says what is wrong: too many, unknown, twice
        return implementation(**given, **kwargs)

    return implementing


def _giving(kind: Callable[[Any], Any], implementation: F) -> F:
    """Return a function that makes numbers, or arrays, of results without axes."""

    @functools.wraps(implementation)
    def called(*args: Any, **kwargs: Any) -> Any:
        y = implementation(*args, **kwargs)
        if kwargs.get("out") is not None or (kind is _as_number and any(y is a for a in args)):
            return y  # an array that the caller gave
        return tuple(map(kind, y)) if type(y) is tuple else kind(y)

    return called  # type: ignore[return-value]


def _as_number(y: Any) -> Any:
    return y[()] if isinstance(y, Tracer) and not y.shape and y._is_array() else y


def _as_array(y: Any) -> Any:
    return memory.held(y) if isinstance(y, Tracer) and not y.shape and not y._is_array() else y


def optional(*names: str) -> list[Any]:
    """Return the functions of these names that this version of NumPy has."""
    return [getattr(np, name) for name in names if hasattr(np, name)]


def creates(*functions: Any) -> Callable[[F], F]:
    """Say that the decorated function stands for ``function(..., like=x)``; it takes x first."""

    def decorate(implementation: F) -> F:
        for function in functions:
            FUNCTIONS[function] = implementation
            CREATION.add(function)
        return implementation

    return decorate


def traced(x: Any) -> Any:
    """Turn an array-like, nested lists of traced values included, into an array or traced value.

    A traced Python number becomes one of NumPy's scalars, which takes part in promotion.
    """
    if isinstance(x, Traced):
        return x if number_type(x) is None else convert(x, dtype=dtype_of(x))
    if isinstance(x, (np.ndarray, np.generic)):
        return x
    return stack_nested(x) if _holds_traced(x) else np.asarray(x)


def _holds_traced(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(_holds_traced(item) for item in x)
    return isinstance(x, Traced)


def axis_index(axis: Any, rank: int) -> int:
    """Return an axis as a non-negative int."""
    if isinstance(axis, (bool, np.bool_)):
        raise TypeError("an integer is required for the axis" + user_line())
    i = operator.index(axis)
    if not -rank <= i < rank:
        raise np.exceptions.AxisError(i, rank)
    return i % rank


def axes(axis: Any, rank: int) -> tuple[int, ...]:
    """Return the axes of a reduction as a sorted tuple of non-negative ints."""
    if axis is None:
        return tuple(range(rank))
    if isinstance(axis, tuple):
        found = tuple(sorted(axis_index(a, rank) for a in axis))
        if len(set(found)) != len(found):
            raise ValueError("duplicate value in 'axis'" + user_line())
        return found
    return (axis_index(axis, rank),)


def axes_of_ufunc(axis: Any, rank: int) -> tuple[int, ...]:
    """Return the axes of a reduction by a ufunc, which has axes 0 and -1 even of a number."""
    if rank == 0 and axis is not None and not isinstance(axis, tuple):
        axis_index(axis, 1)
        return ()
    return axes(axis, rank)


def normalised(axis: Any) -> Any:
    """Return axes given in any sequence as a tuple, where NumPy takes any sequence."""
    return tuple(axis) if isinstance(axis, (list, np.ndarray)) and np.ndim(axis) == 1 else axis


def decided(condition: Any, unknown: bool = False) -> bool:
    """Decide by the values, a guard under ``jit``; `unknown` where they differ along a batch."""
    try:
        return bool(condition)
    except BatchedControlError:
        return unknown


def holds(condition: Any) -> bool:
    """Whether a condition holds anywhere, in any example of a batch: for NumPy's errors."""
    condition = np.any(condition)
    try:
        return bool(condition)
    except BatchedControlError:
        return bool(np.any(lower(condition)))


def ordering(order: Any) -> str:
    """Return a memory order in NumPy's letters.

    Raises
    ------
    ValueError
    """
    if order is None:
        return "K"
    if order not in ("C", "F", "A", "K"):
        raise ValueError(f"order must be one of 'C', 'F', 'A' or 'K', not {order!r}" + user_line())
    return str(order)


def deliver(result: Any, out: Any) -> Any:
    """Return a result, or write it into a traced ``out=``."""
    if isinstance(out, tuple) and len(out) == 1:
        (out,) = out
    if out is None or out is NO_VALUE:
        return result
    if not isinstance(out, Tracer):
        if not isinstance(out, np.ndarray):
            raise TypeError("out= must be an array" + user_line())
        raise ConversionError(
            f"out= is a plain array of shape {np.shape(out)}, which cannot hold a traced value. "
            f"Use the returned value, or make the array with np.zeros(shape, like=x)." + user_line()
        )
    if not out._is_array():
        raise TypeError("out= must be an array, and is a number" + user_line())
    if shape_of(result) != out.shape:
        raise ShapeError(
            f"out= has shape {out.shape}, but the result has shape {shape_of(result)}" + user_line()
        )
    out._store(result)
    return out


def refuse(name: str, **options: Any) -> None:
    """Raise for the options that are set but not supported.

    Raises
    ------
    UnsupportedError
    """
    for option, (value, default) in options.items():
        if value is not default and value is not NO_VALUE and not _equals(value, default):
            raise UnsupportedError(
                f"numpy.{name} with {option}={value!r} is not supported on traced values"
                + user_line()
            )


def _equals(value: Any, default: Any) -> bool:
    return isinstance(value, type(default)) and bool(value == default)


def cast(x: Any, dtype: Any) -> Any:
    """Convert to `dtype` unless it is None or the same."""
    if dtype is None or dtype is NO_VALUE:
        return x
    target = np.dtype(dtype)
    if x.dtype == target:
        return x
    if target.kind not in "biufc":
        raise UnsupportedError(f"traced values cannot be of dtype {target}" + user_line())
    return convert(x, dtype=target)
