"""From NumPy's index expressions to the template and arrays of the indexing operations."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from wengert.errors import (
    BatchedControlError,
    ConversionError,
    InputError,
    UnsupportedError,
    user_line,
)
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.ops.control import nonzero, refuse_batched_mask
from wengert.ops.elementwise import real
from wengert.ops.index import SLOT, fill, getitem, index_set, may_be_view
from wengert.ops.leaves import checked
from wengert.trace import layout, memory, views
from wengert.trace.capture import READING, note_read
from wengert.trace.kinds import class_of, deny
from wengert.trace.labelled import as_numbers

__all__ = ["along", "assign", "check_fits", "parse", "read", "without_ones"]

_INT = frozenset({int})
_PLAIN_BOUNDS = frozenset({int, type(None)})


def stack_nested(x: Any) -> Any:
    """Turn nested lists that may hold traced values into one array in C order."""
    if not isinstance(x, (list, tuple)):
        return x
    parts = [stack_nested(item) for item in x]
    if any(isinstance(p, Traced) for p in parts):
        made = np.stack(parts)
        return memory.ordered(made, range(made.ndim))
    return np.asarray(parts)


def check_fits(values: Any, dtype: np.dtype[Any]) -> None:
    """Refuse Python integers, in nested lists too, that an array of integers cannot hold.

    Raises
    ------
    OverflowError
        As NumPy does.
    """
    if type(values) is int:
        limits = np.iinfo(dtype) if dtype.kind in "iu" else None
        if limits is not None and not limits.min <= values <= limits.max:
            raise OverflowError(
                f"Python integer {values} out of bounds for {dtype}; write into an array of a "
                "wider type: x.astype(int)" + user_line()
            )
    elif isinstance(values, (list, tuple)):
        for value in values:
            check_fits(value, dtype)


def parse(
    index: Any, shape: tuple[int, ...] | None = None
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Split an index expression into ``(template, integer arrays)``.

    Boolean masks are compared with `shape`, the shape of what is indexed, where that is given.
    """
    if type(index) is int:
        return (index,), ()
    parts = index if isinstance(index, tuple) else (index,)
    if _INT.issuperset(map(type, parts)):
        return parts, ()
    spec: list[Any] = []
    arrays: list[Any] = []
    masks: list[tuple[int, tuple[int, ...]]] = []  # where in the template, and the mask's shape
    wide = None
    for part in parts:
        if part is None or part is Ellipsis or type(part) is int:
            spec.append(part)
            if part is Ellipsis:
                wide = len(spec)
        elif isinstance(part, slice):
            spec.append(_plain_slice(part))
        elif isinstance(part, np.integer):
            spec.append(int(part))
        else:
            at = len(spec)
            mask = _array_part(part, spec, arrays)
            if mask:
                masks.append((at, mask))
    if arrays and any(isinstance(p, (bool, np.bool_)) for p in parts):
        raise UnsupportedError(
            "an index with True or False beside arrays is not supported on traced values"
            + user_line()
        )
    for at, mask in masks if shape is not None else ():
        _check_mask(spec, at, mask, shape, wide is not None and at >= wide)
    return tuple(spec), tuple(arrays)


def _check_mask(
    spec: list[Any], at: int, mask: tuple[int, ...], shape: Any, from_end: bool
) -> None:
    """Raise if a boolean mask has another length than the axes that it selects from."""
    if from_end:
        axis = len(shape) - sum(s is not None for s in spec[at:])
    else:
        axis = sum(s is not None for s in spec[:at])
    for i, n in enumerate(mask, axis):
        if n and 0 <= i < len(shape) and shape[i] != n:
            raise IndexError(
                f"boolean index did not match indexed array along axis {i}; size of axis is "
                f"{shape[i]} but size of corresponding boolean axis is {n}" + user_line()
            )


def _plain_slice(s: slice) -> slice:
    """Turn traced bounds into plain integers (a guard under ``jit``)."""
    bounds = (s.start, s.stop, s.step)
    if _PLAIN_BOUNDS.issuperset(map(type, bounds)):
        return s
    return slice(*(None if b is None else operator.index(b) for b in bounds))


def _array_part(part: Any, spec: list[Any], arrays: list[Any]) -> tuple[int, ...]:
    """Add one part to the template; return its shape if it is a mask."""
    part = checked(as_numbers(part), "an index of a traced value")
    if isinstance(part, (list, tuple)):
        part = stack_nested(part)
        if part.size == 0:
            part = part.astype(np.intp)
    elif not isinstance(part, (Traced, np.ndarray)):
        part = np.asarray(part)
    if READING.sets and (part.dtype.kind == "b" or part.ndim == 0):
        note_read(part)
    if part.dtype.kind != "b":
        if part.dtype.kind not in "iu":
            raise IndexError(
                f"arrays used as indices must be integers or booleans, not {part.dtype}"
                + user_line()
            )
        if isinstance(part, np.ndarray) and part.ndim == 0:
            spec.append(int(part))
        else:
            spec.append(SLOT)
            arrays.append(part)
    elif part.ndim == 0:
        if not part:
            raise UnsupportedError(
                "x[False] of a traced value; use np.where(condition, x, 0)" + user_line()
            )
        spec.append(None)
    else:
        rows = positions(part)
        for i in range(part.ndim):
            spec.append(SLOT)
            arrays.append(rows[i])
        return tuple(part.shape)
    return ()


def positions(mask: Any) -> Any:
    """Return the integer positions of a boolean mask; their number is a guard under ``jit``."""
    if not isinstance(mask, Traced):
        return np.nonzero(mask)
    try:
        size = int(np.count_nonzero(mask))  # type: ignore[call-overload]
    except BatchedControlError:
        refuse_batched_mask()
    return nonzero(mask, size=size)


def read(x: Any, index: Any) -> Any:
    """Return ``x[index]``, a view where NumPy makes one."""
    if x._view is not None:
        x._refresh()
    shape = x._trace.shape(x._var)
    if not shape:
        deny(x, "__getitem__", 4)
    kind = type(index)
    if kind is int or kind is slice:
        attrs: dict[str, Any] = {"spec": (index if kind is int else _plain_slice(index),)}
        y = x._trace.process(getitem, (x,), attrs)
        if (len(shape) > 1 or kind is slice) and type(y) is type(x):
            views.attach(y, x, getitem, attrs)
        return y
    spec, arrays = parse(index, shape)
    if arrays:
        whole = spec[-1] is Ellipsis
        if whole:
            spec = spec[:-1]  # which stands for another order of memory, see `along`
        y = getitem(x, *arrays, spec=spec)
        if len(y.shape) > 1 and views.is_batched(y):
            y = memory.as_indexed(y, x, arrays, spec)
        if may_be_view(arrays) and (y.shape or whole or Ellipsis in spec):
            views.attach(y, x, _AT, {"index": tuple(map(_still, arrays)), "spec": spec})
        return y
    attrs = {"spec": spec}
    y = x._trace.process(getitem, (x,), attrs)
    if None in spec and _has_boolean(index):
        return views.duplicate(y)
    if type(y) is type(x) and (
        y._trace.shape(y._var) or Ellipsis in [s for s in spec if type(s) is not int]
    ):
        views.attach(y, x, getitem, attrs)
    return y


# --- views at traced integers ---------------------------------------------------------------------
def _still(i: Any) -> Any:
    """Return an index that later updates in place do not move."""
    if not isinstance(i, Traced):
        return i
    i._refresh()  # type: ignore[attr-defined]
    return type(i)(i._trace, i._var)  # type: ignore[attr-defined, call-arg]


def _read_at(x: Any, *, index: tuple[Any, ...], spec: tuple[Any, ...]) -> Any:
    return getitem(x, *index, spec=spec)


def _plain_at(x: Any, *, index: tuple[Any, ...], spec: tuple[Any, ...]) -> Any:
    return x[fill(spec, index)]


def _strides_at(shape: Any, own: Any, attrs: dict[str, Any]) -> Any:
    spec = tuple([0 if s is SLOT else s for s in attrs["spec"]])
    return layout.indexed(shape, own, spec)


def _put_at(base: Any, new: Any, *, index: tuple[Any, ...], spec: tuple[Any, ...]) -> Any:
    return index_set(base, new, *index, spec=spec)


_AT = views.Along("getitem", _read_at, _plain_at, _strides_at, _put_at)
"""A read at traced integers, which stand for integers: NumPy makes a view."""


def along(x: Any, index: Any, axis: int) -> Any:
    """Return elements of one axis, in C order as `numpy.take` does."""
    return getitem(x, index, spec=(*(slice(None),) * axis, SLOT, Ellipsis))


def _has_boolean(index: Any) -> bool:
    """Whether True is an index, which makes a copy with one axis more."""
    parts = index if isinstance(index, tuple) else (index,)
    return any(getattr(p, "dtype", type(p)) in (bool, np.bool_) for p in parts)


def assign(x: Any, index: Any, value: Any) -> None:
    """Perform ``x[index] = value``."""
    if not x.shape and not x._is_array():
        x._check_alive()
        raise InputError(
            f"{class_of(x).__name__!r} object does not support item assignment: what is traced is "
            "a number and no array. Write x = ..., or make an array of it with np.atleast_1d(x)"
            + user_line()
        )
    spec, arrays = parse(index, None if type(index) is int else x.shape)
    if isinstance(value, (list, tuple)):
        check_fits(value, x.dtype)
        value = stack_nested(value)
    elif type(value) is not np.ndarray:
        value = checked(as_numbers(value), "what is stored into a traced array")
    kind = dtype_of(value).kind if isinstance(value, Traced) else ""
    if kind in ("f", "c") and x.dtype.kind not in "fc":
        raise ConversionError(
            f"a traced {dtype_of(value)} value was stored into an array of {x.dtype}, which would "
            f"cut its fraction and its derivative. Make the array with dtype=float." + user_line()
        )
    x._refresh()
    if kind == "c" and x.dtype.kind == "f":
        value = real(value)
    shape = shape_of(value)
    if (len(shape) > 1 and shape[0] == 1) or len(shape) > len(x.shape):
        rank = len(getitem.infer(x, *arrays, spec=spec).shape)
        if rank or Ellipsis in spec:  # NumPy stores no array into a single element
            value = without_ones(value, rank)
    x._assign(index_set(x, value, *arrays, spec=spec))


def without_ones(value: Any, rank: int) -> Any:
    """Return a value without the leading axes of length 1 that its place does not have."""
    shape = shape_of(value)
    extra = len(shape) - rank
    if extra > 0 and all(n == 1 for n in shape[:extra]):
        return np.reshape(value, shape[extra:])
    return value
