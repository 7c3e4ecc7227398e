"""What stands in a loop beside elementwise nodes: the memory it touches, and its instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.backend.native.emit.order import merge_sort, network, search
from wengert.backend.native.emit.scan import first_of, scanned
from wengert.backend.native.schedule.layout import Buffer, View
from wengert.backend.native.schedule.steps import (
    Compact,
    Gather,
    Network,
    Reduce,
    Scan,
    Search,
    Sort,
    Update,
)
from wengert.llvm.code import BOOL, I64, TYPES

__all__ = ["WRITERS", "memory", "touched", "written"]


def memory(dtype: np.dtype[Any]) -> str:
    """LLVM type of an element in memory."""
    return "i8" if dtype == BOOL else TYPES[dtype]


def written(item: Any) -> list[Buffer]:
    """Return the buffers that an item writes."""
    if isinstance(item, (Reduce, Compact)):
        return [item.out.buffer, *([item.counter.buffer] if isinstance(item, Compact) else [])]
    if isinstance(item, (Update, Network)):
        return [item.target.buffer]
    return [v.buffer for v in item.views] if isinstance(item, Sort) else []


def touched(item: Any, shape: tuple[int, ...]) -> list[View]:
    """Return the views through which an item of a loop over `shape` reads and writes.

    Among them views of nothing, which keep axes from being merged.
    """
    if isinstance(item, Reduce):
        operands: Any = [item.out, item.x]
    elif isinstance(item, Scan):
        operands = [_apart(item.axis, shape), *item.xs]
    elif isinstance(item, Gather):
        operands = [item.source, *(t.x for t in item.index)]
    elif isinstance(item, Update):
        operands = [item.target, item.x, *(t.x for t in item.index)]
    elif isinstance(item, Network):
        operands = [item.source, item.target]
    elif isinstance(item, Sort):
        operands = item.views
    elif isinstance(item, Search):
        operands = [item.v]
    elif isinstance(item, Compact):
        operands = [item.x, *(_apart(axis, shape) for axis in range(len(shape)))]
    else:
        operands = item[1]
    return [x for x in operands if isinstance(x, View)]


def _apart(axis: int, shape: tuple[int, ...]) -> View:
    """Return a view that keeps an axis from merging with its neighbours."""
    along = tuple(int(i == axis) for i in range(len(shape)))
    return View(Buffer("probe", 0, BOOL, 0), 0, along, shape)


def _scan(w: Any, s: Scan) -> None:
    code, dtype = w.code, s.out.dtype
    xs = [w.value(x, dtype) for x in s.xs]
    d = w.nest.walked_by(s.axis)
    if s in w.scans:
        k = w.scans.index(s)
        y = scanned(code, s, f"%before{k}", xs)
        code.line(f"%after{k} = bitcast {TYPES[dtype]} {y} to {TYPES[dtype]}")
    elif d is None:
        y = scanned(code, s, first_of(s), xs)
    else:
        assert s.memory is not None
        begins = code.emit(f"icmp eq i64 {w.index[d]}, 0")
        step = code.emit(f"select i1 {begins}, i64 0, i64 {-w.nest.strides(s.memory)[d]}")
        last = w.load_from(w.at(w.address(s.memory), step, dtype), dtype)
        y = scanned(code, s, code.select(dtype, begins, first_of(s), last), xs)
    w.registers[s.out] = y, dtype


def _gather(w: Any, g: Gather) -> None:
    dtype = g.source.buffer.dtype
    w.registers[g.out] = w.load_from(w.looked_up(g.source, g.index), dtype), dtype


def _update(w: Any, u: Update) -> None:
    dtype = u.target.buffer.dtype
    value = w.value(u.x, dtype)
    address = w.looked_up(u.target, u.index)
    if u.add:
        instruction = {"f": "fadd", "b": "or"}.get(dtype.kind, "add")
        value = w.code.binary(instruction, dtype, w.load_from(address, dtype), value)
    w.store_to(address, value, dtype)
    w.loads = {k: v for k, v in w.loads.items() if k[0] != id(u.target.buffer)}


def _network(w: Any, s: Network) -> None:
    dtype, made = s.source.buffer.dtype, s.target.buffer.dtype
    base = w.address(s.source)
    xs = [w.load_from(w.at(base, k * s.steps[0], dtype), dtype) for k in range(s.length)]
    base = w.address(s.target)
    for k, y in enumerate(network(w.code, dtype, xs, s.places)):
        w.store_to(w.at(base, k * s.steps[1], made), y, made)


def _sort(w: Any, s: Sort) -> None:
    merge_sort(w.code, s, [w.address(v) for v in s.views])


def _search(w: Any, s: Search) -> None:
    dtype = s.a.buffer.dtype
    base = w.address(s.a, [0] * len(w.dims))
    (step,) = s.a.strides

    def load(i: str) -> str:
        far = i if step == 1 else w.code.emit(f"mul nsw i64 {i}, {step}")
        return str(w.load_from(w.at(base, far, dtype), dtype))

    w.registers[s.out] = search(w.code, s, load, w.value(s.v, dtype)), I64


def _compact(w: Any, c: Compact) -> None:
    """Store the position of one value if it is not zero and there is room."""
    code = w.code
    rows, length = c.out.shape
    hit = w.value(c.x, BOOL)
    counter = w.address(c.counter, [0] * len(w.dims))
    n = code.emit(f"load i64, ptr {counter}")
    room = code.emit(f"icmp slt i64 {n}, {length}")
    name = code.fresh()[1:]
    code.line(f"br i1 {hit}, label %hit{name}, label %next{name}")
    code.line(f"hit{name}:")
    code.line(f"store i64 {code.emit(f'add i64 {n}, 1')}, ptr {counter}")
    code.line(f"br i1 {room}, label %room{name}, label %next{name}")
    code.line(f"room{name}:")
    base = w.address(c.out, [0] * len(w.dims))
    for axis in range(rows):
        d = w.nest.walked_by(axis)
        to = code.emit(f"add i64 {n}, {axis * length}")
        w.store_to(w.at(base, to, I64), "0" if d is None else w.index[d], I64)
    code.line(f"br label %next{name}")
    code.line(f"next{name}:")


WRITERS: dict[type, Callable[[Any, Any], None]] = {
    Scan: _scan,
    Gather: _gather,
    Update: _update,
    Network: _network,
    Sort: _sort,
    Search: _search,
    Compact: _compact,
}
"""How the items of a loop are written."""
