"""Arrays put behind or beside each other, without a copy of what was computed for them."""

from __future__ import annotations

import math
from typing import Any

from wengert.backend.native.schedule.layout import View, contiguous, reshaped
from wengert.backend.native.schedule.steps import Repeat
from wengert.ir.graph import Node, Value

__all__ = ["concatenation"]


def concatenation(schedule: Any, position: int, node: Node) -> None:
    """Let loops write what they compute where it belongs, and copy the rest."""
    (v,) = node.outputs
    axis = node.attrs["axis"]
    first = _lengthened(schedule, position, node)
    out = schedule._temporary(v) if first is None else contiguous(first.buffer, v.shape)
    start = 0
    ready = 0
    for k, x in enumerate(node.inputs):
        x = schedule._value(x)
        n = x.aval.shape[axis]
        if k == 0 and first is not None:
            start, ready = n, schedule.ready(x)
            continue
        target = View(out.buffer, out.offset + start * out.strides[axis], out.strides, x.aval.shape)
        start += n
        if x.aval.size == 0:
            continue
        y = schedule._source(x)
        loop = schedule._loop.get(y) if isinstance(y, Value) else None
        lined = None if loop is None or y in schedule._view else reshaped(target, y.shape)
        if loop is not None and lined is not None:
            schedule._store(loop, y, lined)
            ready = max(ready, loop.step + 1)
        else:
            loop = schedule.copy_into(schedule.view(x, schedule.ready(x)), target)
            ready = max(ready, loop.step + 1)
    schedule._view[v] = out
    schedule._ready[v] = ready


def _lengthened(schedule: Any, position: int, node: Node) -> View | None:
    """Return the memory of rows that a loop made, so that others can be put behind them.

    None where something else reads these rows, be it a loop that is to write behind them, or has
    them in memory of another form.
    """
    x, v = schedule._value(node.inputs[0]), node.outputs[0]
    view: View | None = schedule._view.get(x) if isinstance(x, Value) else None
    if view is None or math.prod(v.shape[: node.attrs["axis"]]) != 1:
        return None
    b = view.buffer
    whole = view.is_contiguous and view.offset == 0 and b.size == math.prod(view.shape)
    if not whole or b.kind != "arena" or b.dtype != v.dtype or b.last_write < 0:
        return None
    if type(schedule.steps[b.last_write]) is not Repeat or schedule._uses.after(x, position):
        return None
    if b.last_read >= 0 or any(schedule._lies_in(b, y) for y in node.inputs[1:]):
        return None
    b.size = math.prod(v.shape)
    schedule.made_for[id(b)] = v
    schedule._uses.copied(v, x)
    return view
