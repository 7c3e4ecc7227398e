"""Operations on small arrays whose elements are registers: a matter of names, or written out.

Registers are arrays of names. A reshape, a slice or a join of arrays is one of names; sums and
products of matrices are written term by term, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import SLOT, Node
from wengert.llvm.code import BOOL, MEMORY

__all__ = ["ELEMENTS", "STRUCTURE", "Memory", "TooLarge", "single"]

ELEMENTS = 64
"""Most elements of an array that is kept in registers."""

LOOKED_UP = 16
"""Most elements among which an index that changes chooses a register."""

FOLDS = {"sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum"}
TESTS = {"any": "or", "all": "and"}


class TooLarge(Exception):
    """A region is not for registers."""


class Memory:
    """An array in memory: an address, and the offset and strides of its elements from there.

    `before` is where loads may be written that every later instruction can use.
    """

    __slots__ = ("before", "cells", "dtype", "offset", "pointer", "shape", "strides")

    def __init__(
        self,
        pointer: str,
        dtype: np.dtype[Any],
        strides: tuple[int, ...],
        shape: tuple[int, ...],
        before: list[Any],
        offset: int = 0,
    ) -> None:
        self.offset = offset
        self.pointer = pointer
        self.dtype = dtype
        self.strides = strides
        self.shape = shape
        self.before = before
        self.cells: Any = None


def single(x: str) -> Any:
    """Return a register as an array without axes."""
    made = np.empty((), object)
    made[()] = x
    return made


def _whole(spec: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return an index whose result is an array."""
    return spec if any(s is Ellipsis for s in spec) else (*spec, Ellipsis)


def _reshape(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    return w.cells(node.inputs[0], dtype).reshape(node.outputs[0].shape)


def _transpose(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    return w.cells(node.inputs[0], dtype).transpose(node.attrs["axes"])


def _broadcast(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    return np.broadcast_to(w.cells(node.inputs[0], dtype), node.outputs[0].shape)


def _concatenate(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    return np.concatenate([w.cells(x, dtype) for x in node.inputs], axis=node.attrs["axis"])


def _getitem(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    spec = node.attrs["spec"]
    x, *index = node.inputs
    found = w.found(x)
    if not index:
        if isinstance(found, Memory):
            return w.cells(_part(found, spec), dtype)
        return w.cells(x, dtype)[_whole(spec)]
    if isinstance(found, Memory):
        return _looked_up(w, found, spec, index)
    return _picked(w, w.cells(x, dtype), spec, index, dtype)


def _axes(x: Any, spec: tuple[Any, ...]) -> list[tuple[Any, int]]:
    """Pair the entries of an index with the axes that they go along; -1 for new ones."""
    spec = _whole(spec)
    used = sum(1 for s in spec if s is not None and s is not Ellipsis)
    pairs: list[tuple[Any, int]] = []
    axis = 0
    for s in spec:
        if s is None:
            pairs.append((s, -1))
        elif s is Ellipsis:
            for _ in range(len(x.shape) - used):
                pairs.append((slice(None), axis))
                axis += 1
        else:
            pairs.append((s, axis))
            axis += 1
    return pairs


def _part(x: Memory, spec: tuple[Any, ...]) -> Memory:
    """Return what a basic index names."""
    offset, shape, strides = x.offset, [], []
    for s, axis in _axes(x, spec):
        if s is None:
            shape.append(1)
            strides.append(0)
        elif isinstance(s, slice):
            picked = range(*s.indices(x.shape[axis]))
            offset += picked.start * x.strides[axis] if len(picked) else 0
            shape.append(len(picked))
            strides.append(picked.step * x.strides[axis])
        else:
            offset += (s + x.shape[axis] if s < 0 else s) * x.strides[axis]
    made = Memory(x.pointer, x.dtype, tuple(strides), tuple(shape), x.before, offset)
    if x.cells is not None:
        made.cells = x.cells[_whole(spec)]
    return made


def _looked_up(w: Any, x: Memory, spec: tuple[Any, ...], index: Sequence[Any]) -> Any:
    """Load what an index that changes names."""
    code = w.code
    given = iter(index)
    total = ""
    rest: list[Any] = []
    for s, axis in _axes(x, spec):
        if s is SLOT:
            i = w.position(next(given), x.shape[axis])
            far = code.emit(f"mul nsw i64 {i}, {x.strides[axis]}")
            total = code.emit(f"add nsw i64 {total}, {far}") if total else far
            rest.append(0)
        else:
            rest.append(s)
    address = code.emit(f"getelementptr inbounds {MEMORY[x.dtype]}, ptr {x.pointer}, i64 {total}")
    here: list[Any] = []
    code.lines.append(here)
    found = Memory(address, x.dtype, x.strides, x.shape, here, x.offset)
    return w.cells(_part(found, tuple(rest)), x.dtype)


def _picked(
    w: Any, cells: Any, spec: tuple[Any, ...], index: Sequence[Any], dtype: np.dtype[Any]
) -> Any:
    """Choose among registers by an index that changes."""
    axes = _axes(cells, spec)
    slots = iter([*zip([a for s, a in axes if s is SLOT], index, strict=True)][::-1])
    for axis, x in slots:
        size = cells.shape[axis]
        if size > LOOKED_UP:
            raise TooLarge
        i = w.position(x, size)
        rows = np.moveaxis(cells, axis, 0)
        made = rows[0:1].reshape(rows.shape[1:])
        for k in range(1, size):
            here = w.code.emit(f"icmp eq i64 {i}, {k}")
            made = _selected(w, here, rows[k : k + 1].reshape(made.shape), made, dtype)
        cells = np.expand_dims(made, axis)
    return cells[_whole(tuple(0 if s is SLOT else s for s in spec))]


def _selected(w: Any, here: str, a: Any, b: Any, dtype: np.dtype[Any]) -> Any:
    made = np.empty(a.shape, object)
    w.spend(made.size)
    for j in np.ndindex(*made.shape):
        made[j] = w.code.select(dtype, here, a[j], b[j])
    return made


def _update(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    x, part, *index = node.inputs
    spec = node.attrs["spec"]
    cells = np.array(w.cells(x, dtype), dtype=object)
    add = node.op.name == "index_add"
    value = w.cells(part, dtype)

    def put(spec: tuple[Any, ...], here: str | None) -> None:
        target = cells[_whole(spec)]
        if value.ndim > target.ndim:
            raise TooLarge
        new = np.broadcast_to(value, target.shape)
        for i in np.ndindex(*target.shape):
            y = new[i]
            if add:
                w.spend(1)
                instruction = {"f": "fadd", "b": "or"}.get(dtype.kind, "add")
                y = w.code.binary(instruction, dtype, target[i], y)
            if here is not None:
                w.spend(1)
                y = w.code.select(dtype, here, y, target[i])
            target[i] = y

    if not index:
        put(spec, None)
        return cells
    axes = [axis for s, axis in _axes(cells, spec) if s is SLOT]
    if len(axes) > 1 or cells.shape[axes[0]] > LOOKED_UP:
        raise TooLarge
    i = w.position(index[0], cells.shape[axes[0]])
    for k in range(cells.shape[axes[0]]):
        here = w.code.emit(f"icmp eq i64 {i}, {k}")
        put(tuple(k if s is SLOT else s for s in spec), here)
    return cells


def _fold(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    """Add up, multiply or compare the elements along some axes, in order."""
    name = node.op.name
    test = name in TESTS
    x = node.inputs[0]
    kind = BOOL if test else dtype
    cells = w.cells(x, kind)
    axis = node.attrs["axis"]
    kept = [a for a in range(cells.ndim) if a not in axis]
    rows = cells.transpose([*kept, *axis]).reshape([*(cells.shape[a] for a in kept), -1])
    if rows.shape[-1] == 0:
        raise TooLarge
    made = np.empty(rows.shape[:-1], object)
    for i in np.ndindex(*made.shape):
        y, *rest = rows[i]
        for z in rest:
            if test:
                w.spend(1)
                y = w.code.emit(f"{TESTS[name]} i1 {y}, {z}")
            else:
                y = w.apply(FOLDS[name], dtype, y, z)
        made[i] = y
    return made.reshape(node.outputs[0].shape)


def _contract(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    """Write the products of a contraction, and their sums in order."""
    if dtype.kind not in "fi":
        raise TooLarge
    operands, out = node.attrs["spec"].split("->")
    ta, tb = operands.split(",")
    a, b = (w.cells(x, dtype) for x in node.inputs)
    sizes = dict(zip(ta + tb, (*a.shape, *b.shape), strict=True))
    summed = [s for s in dict.fromkeys(ta + tb) if s not in out]
    shape = tuple(sizes[s] for s in out)
    depth = tuple(sizes[s] for s in summed)
    w.spend(2 * int(np.prod(shape)) * int(np.prod(depth)))
    if 0 in depth:
        raise TooLarge
    plus, times = ("fadd", "fmul") if dtype.kind == "f" else ("add", "mul")
    made = np.empty(shape, object)
    code = w.code
    flags = f" {code.fast}".rstrip() if dtype.kind == "f" else ""
    for i in np.ndindex(*shape):
        at = dict(zip(out, i, strict=True))
        total = ""
        for j in np.ndindex(*depth):
            at.update(zip(summed, j, strict=True))
            left, right = a[tuple(at[s] for s in ta)], b[tuple(at[s] for s in tb)]
            y = code.binary(times + flags, dtype, left, right)
            total = code.binary(plus + flags, dtype, total, y) if total else y
        made[i] = total
    return made


Structure = Callable[[Any, Node, np.dtype[Any]], Any]
STRUCTURE: dict[str, Structure] = {
    "reshape": _reshape,
    "transpose": _transpose,
    "broadcast_to": _broadcast,
    "concatenate": _concatenate,
    "getitem": _getitem,
    "index_add": _update,
    "index_set": _update,
    "contract": _contract,
    **dict.fromkeys((*FOLDS, *TESTS), _fold),
}
