"""Sorting, searching and selecting: what they need of memory, and the loops that they run in."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.backend.native.schedule.layout import View
from wengert.backend.native.schedule.steps import Compact, Network, Search, Sort
from wengert.ir.graph import Aval, Const, Node, Value, aval_of
from wengert.llvm.code import TYPES

__all__ = ["NETWORK", "RUN", "SORTS", "passes", "schedule_sort"]

NETWORK = 7
"""Longest line that is sorted in registers."""

RUN = 8
"""Elements that are sorted by insertion before runs are merged."""

SORTS = ("sort", "argsort", "searchsorted", "nonzero")


def schedule_sort(schedule: Any, node: Node) -> bool:
    """Schedule an operation of `SORTS`; False where only NumPy has it."""
    inputs = [schedule._value(x) for x in node.inputs]
    avals = [aval_of(x) for x in inputs]
    arrays = isinstance(inputs[0], (Value, Const))
    if not arrays or any(a.dtype not in TYPES or 0 in a.shape for a in avals):
        return False
    if node.op.name == "searchsorted":
        return _search(schedule, node, inputs, avals)
    if node.op.name == "nonzero":
        return _nonzero(schedule, node, inputs[0])
    return _sort(schedule, node, inputs[0])


def passes(length: int) -> int:
    """Return how often a line is merged from one memory into the other."""
    count, width = 0, RUN
    while width < length:
        count, width = count + 1, 2 * width
    return count


def _new(schedule: Any, dtype: Any, shape: tuple[int, ...]) -> View:
    made: View = schedule._temporary(Value(aval=Aval(shape, np.dtype(dtype))))
    return made


def _without(view: View, axis: int) -> View:
    """View the first elements of the lines along an axis."""

    def rest(x: tuple[int, ...]) -> tuple[int, ...]:
        return x[:axis] + x[axis + 1 :]

    return View(view.buffer, view.offset, rest(view.strides), rest(view.shape), view.version)


def _sort(schedule: Any, node: Node, x: Any) -> bool:
    (v,) = node.outputs
    axis, places = node.attrs["axis"], node.op.name == "argsort"
    source = schedule.view(x, schedule.ready(x))
    n = source.shape[axis]
    if n <= NETWORK:
        out = schedule._temporary(v)
        loop = schedule._append(_without(source, axis).shape)
        steps = source.strides[axis], out.strides[axis]
        loop.items.append(Network(_without(source, axis), _without(out, axis), steps, n, places))
        source.buffer.read_at(loop.step)
        out.buffer.write_at(loop.step)
    else:
        out = _merged(schedule, source, axis, places)
    schedule._view[v] = out
    schedule._ready[v] = len(schedule.steps)
    return True


def _merged(schedule: Any, source: View, axis: int, places: bool) -> View:
    """Sort long lines, moved to the last axis; return where the result is, in its own order."""
    order = [*(a for a in range(len(source.shape)) if a != axis), axis]
    shape = tuple(source.shape[a] for a in order)
    strides = tuple(source.strides[a] for a in order)
    moved = View(source.buffer, source.offset, strides, shape, source.version)
    dtypes = [source.buffer.dtype] * 2 + [np.int64] * (2 * places)
    made = [_new(schedule, dtype, shape) for dtype in dtypes]
    schedule.copy_into(moved, made[0])
    n = shape[-1]
    loop = schedule._append((math.prod(shape[:-1]),))
    first = [View(m.buffer, 0, (n,), loop.shape) for m in made]
    loop.items.append(Sort(first[0], first[1], n, (first[2], first[3]) if places else None))
    for m in made:
        m.buffer.read_at(loop.step)
        m.buffer.write_at(loop.step)
    found = made[2 * places + passes(n) % 2]
    strides = tuple(found.strides[order.index(a)] for a in range(len(shape)))
    return View(found.buffer, 0, strides, source.shape)


def _search(schedule: Any, node: Node, inputs: list[Any], avals: list[Aval]) -> bool:
    (v,) = node.outputs
    a, x = inputs
    if avals[0].dtype != avals[1].dtype or avals[1].weak:
        return False
    earliest = max(schedule.ready(a), schedule._earliest(Node(None, (x,), {}, ()), v.shape))
    loop = schedule._join(v.shape, earliest)
    view = schedule.view(a, loop.step)
    loop.items.append(Search(v, view, schedule.operand(x, loop), node.attrs["side"]))
    loop.inside.add(v)
    schedule._loop[v] = loop
    return True


def _nonzero(schedule: Any, node: Node, x: Any) -> bool:
    (v,) = node.outputs
    shape = aval_of(x).shape
    if not shape or not v.aval.size:
        return False
    loop = schedule._append(shape)
    out, counter = schedule._temporary(v), _new(schedule, np.int64, (1,))
    for m in (out, counter):
        m.buffer.write_at(loop.step)
        m.buffer.read_at(loop.step)
    loop.items.append(Compact(schedule.operand(x, loop), out, View(counter.buffer, 0, (), ())))
    schedule._view[v] = out
    schedule._ready[v] = loop.step + 1
    return True
