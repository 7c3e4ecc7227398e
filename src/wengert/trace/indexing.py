"""From NumPy's index expressions to the template and arrays of the indexing operations."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import ConversionError, user_line
from wengert.ops.base import Traced
from wengert.ops.control import nonzero
from wengert.ops.index import SLOT, getitem, index_set
from wengert.trace import views

__all__ = ["assign", "parse", "read"]


def parse(index: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Split an index expression into ``(template, integer arrays)``."""
    if type(index) is int:
        return (index,), ()
    parts = index if isinstance(index, tuple) else (index,)
    spec: list[Any] = []
    arrays: list[Any] = []
    for part in parts:
        if part is None or part is Ellipsis or type(part) is int:
            spec.append(part)
        elif isinstance(part, slice):
            spec.append(_plain_slice(part))
        elif isinstance(part, np.integer):
            spec.append(int(part))
        else:
            _array_part(part, spec, arrays)
    return tuple(spec), tuple(arrays)


def _plain_slice(s: slice) -> slice:
    """Turn traced bounds into plain integers (a guard under ``jit``)."""
    bounds = (s.start, s.stop, s.step)
    if any(b is not None and type(b) is not int for b in bounds):
        return slice(*(None if b is None else b.__index__() for b in bounds))
    return s


def _array_part(part: Any, spec: list[Any], arrays: list[Any]) -> None:
    if isinstance(part, (list, tuple)):
        from wengert.trace.tracer import stack_nested

        part = stack_nested(part)
        if part.size == 0:
            part = part.astype(np.intp)
    elif not isinstance(part, (np.ndarray, Traced)):
        part = np.asarray(part)
    if part.dtype.kind != "b":
        if part.dtype.kind not in "iu":
            raise IndexError(f"arrays used as indices must be integers or booleans, not {part.dtype}" + user_line())
        if isinstance(part, np.ndarray) and part.ndim == 0:
            spec.append(int(part))
        else:
            spec.append(SLOT)
            arrays.append(part)
    elif part.ndim == 0:
        # a 0-d mask adds an axis of length 1 or 0
        spec.extend((None, SLOT))
        arrays.append(np.zeros(1 if bool(part) else 0, np.intp))
    else:
        rows = positions(part)
        for i in range(part.ndim):
            spec.append(SLOT)
            arrays.append(rows[i])


def positions(mask: Any) -> Any:
    """Return the integer positions of a boolean mask; how many there are is a guard under ``jit``."""
    if not isinstance(mask, Traced):
        return np.nonzero(mask)
    return nonzero(mask, size=int(np.count_nonzero(mask)))


def read(x: Any, index: Any) -> Any:
    """Return ``x[index]``, a view where NumPy makes one."""
    spec, arrays = parse(index)
    if arrays:
        return getitem(x, *arrays, spec=spec)
    attrs = {"spec": spec}
    y = x._trace.process(getitem, (x,), attrs)
    if type(y) is type(x) and y._var is not x._var and y.shape != ():
        y._view = (x, getitem, attrs, x._version)
    return y


def assign(x: Any, index: Any, value: Any) -> None:
    """Perform ``x[index] = value``."""
    spec, arrays = parse(index)
    if isinstance(value, (list, tuple)):
        from wengert.trace.tracer import stack_nested

        value = stack_nested(value)
    if isinstance(value, Traced) and x.dtype.kind not in "fc" and value.dtype.kind in "fc":  # type: ignore[attr-defined]
        raise ConversionError(
            f"a traced {value.dtype} value was stored into an array of {x.dtype}, which would cut its "  # type: ignore[attr-defined]
            f"fraction and its derivative. Make the array with dtype=float." + user_line()
        )
    if x._view is not None and x._view[1].alias == "readonly":
        views.write(x._view[0], x._view[1], x._view[2], value)
    x._refresh()
    if (
        isinstance(value, Traced)
        and x.dtype.kind == "f"
        and value.dtype.kind == "c"  # type: ignore[attr-defined]
    ):
        value = np.real(value)
    x._assign(index_set(x, value, *arrays, spec=spec))
