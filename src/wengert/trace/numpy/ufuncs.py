"""Methods of ufuncs that have no operation of their own: one step an element or a segment."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import UnsupportedError, user_line
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.trace import layout, memory
from wengert.trace.dispatch import UFUNC_METHODS, call_ufunc
from wengert.trace.numpy.reduce import where_of
from wengert.trace.numpy.table import NO_VALUE, axes_of_ufunc, axis_index, cast, deliver, traced

_UNSTATED: Any = np._NoValue


def _loop(ufunc: np.ufunc, method: str, a: Any, dtype: Any, *args: Any) -> np.dtype[Any]:
    """Ask NumPy for the dtype in which it reduces; it raises where it has no loop for that."""
    example = np.ones(2, dtype_of(a))
    found: np.dtype[Any] = getattr(ufunc, method)(example, *args, dtype=dtype).dtype
    return found


def _fold(
    ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None,
    keepdims: Any = False, initial: Any = _UNSTATED, where: Any = True,
) -> Any:  # fmt: skip
    """Stand for ``ufunc.reduce``: one step an element."""
    a = traced(a)
    target = _loop(ufunc, "reduce", a, dtype)
    dims = axes_of_ufunc(axis, a.ndim)
    if len(dims) != 1 or where_of(where, a) is not True or a.shape[dims[0]] == 0 or initial is None:
        raise UnsupportedError(
            f"np.{ufunc.__name__}.reduce of traced values of shape {a.shape} with axis={axis!r}, "
            f"where= or initial=None: on traced values it takes one axis that is not empty, and no "
            f"where=" + user_line()
        )
    lines = np.moveaxis(a, dims[0], 0)
    if target.kind != "b":
        lines = cast(lines, target)
    steps = [lines[i] for i in range(lines.shape[0])]
    if initial is not NO_VALUE:
        steps.insert(0, cast(traced(initial), target))
    elif ufunc.identity is not None and ufunc in _FROM_IDENTITY:
        steps.insert(0, np.asarray(ufunc.identity, target))
    y = steps[0] if len(steps) > 1 else memory.as_iterated(steps[0], steps)
    for x in steps[1:]:
        y = ufunc(y, x)
    return deliver(np.expand_dims(cast(y, target), dims[0]) if keepdims else cast(y, target), out)


_FROM_IDENTITY = {np.hypot, np.logical_xor}
"""Whose result for a single element is not the element itself: NumPy starts at the identity."""


def _scan(ufunc: np.ufunc, a: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Any:
    """Stand for ``ufunc.accumulate``."""
    a = traced(a)
    target = _loop(ufunc, "accumulate", a, dtype)
    axis = axis_index(axis, a.ndim)
    lines = np.moveaxis(a, axis, 0)
    if target.kind != dtype_of(a).kind and target.kind == "b":
        raise UnsupportedError(
            f"np.{ufunc.__name__}.accumulate of {dtype_of(a)} is not supported on traced values"
            + user_line()
        )
    lines = cast(lines, target)
    made = [lines[i] for i in range(min(lines.shape[0], 1))]
    for i in range(1, lines.shape[0]):
        made.append(cast(ufunc(made[-1], lines[i]), target))
    y = np.moveaxis(np.stack(made), 0, axis) if made else cast(a, target)
    return deliver(memory.as_iterated(y, (a,)), out)


def _segments(
    ufunc: np.ufunc, a: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None
) -> Any:
    """Stand for ``ufunc.reduceat``: a reduction over each segment."""
    a = traced(a)
    target = _loop(ufunc, "reduceat", a, dtype, [0])
    if target.kind == "b" and dtype_of(a).kind != "b":
        raise UnsupportedError(
            f"np.{ufunc.__name__}.reduceat of {dtype_of(a)} is not supported on traced values"
            + user_line()
        )
    axis = axis_index(axis, a.ndim)
    lines = cast(np.moveaxis(a, axis, 0), target)
    n = lines.shape[0]
    given: Any = indices if isinstance(indices, Traced) else np.asarray(indices)
    starts = [i.__index__() for i in given]
    for i in starts:
        if not 0 <= i < n:
            raise IndexError(
                f"index {i} out-of-bounds in {ufunc.__name__}.reduceat [0, {n})" + user_line()
            )
    stops = [*starts[1:], n]
    made = [
        ufunc.reduce(lines[i:j]) if i + 1 < j else lines[i]
        for i, j in zip(starts, stops, strict=True)
    ]
    if not made:
        return deliver(a[(slice(None),) * axis + (slice(0),)], out)
    y = np.moveaxis(cast(np.stack(made), target), 0, axis)
    # NumPy goes through the array without this axis, and along it through the places.
    rest, places = list(shape_of(a)), [1] * a.ndim
    rest[axis], places[axis] = 1, len(starts)
    own = memory.strides(a) if isinstance(a, Traced) else a.strides
    operands = [(tuple(rest), own), (tuple(places), (8,) * a.ndim)]
    return deliver(memory.ordered(y, layout.iterated(shape_of(y), operands)), out)


def _outer(ufunc: np.ufunc, a: Any, b: Any, **options: Any) -> Any:
    """Stand for ``ufunc.outer``."""
    a, b = traced(a), traced(b)
    return call_ufunc(ufunc, "__call__", (np.reshape(a, a.shape + (1,) * b.ndim), b), options)


UFUNC_METHODS[(None, "reduce")] = _fold  # type: ignore[index]
UFUNC_METHODS[(None, "accumulate")] = _scan  # type: ignore[index]
UFUNC_METHODS[(None, "reduceat")] = _segments  # type: ignore[index]
UFUNC_METHODS[(None, "outer")] = _outer  # type: ignore[index]
