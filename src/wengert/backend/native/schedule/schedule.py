"""From a graph to steps: loops that fuse elementwise chains and reductions, products, host calls.

Nodes are visited in program order. An elementwise node joins the first loop over its shape that
comes after everything it needs; what it needs from the same loop stays in a register, anything else
is in memory. Reshapes, transposes, broadcasts and slices are views and cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from wengert.backend.native.scalar.lower import lowered
from wengert.backend.native.schedule.beside import concatenation
from wengert.backend.native.schedule.families import Families
from wengert.backend.native.schedule.gather import Place, located, spread
from wengert.backend.native.schedule.layout import Buffer, View, contiguous, indexed, reshaped
from wengert.backend.native.schedule.products import contraction
from wengert.backend.native.schedule.recompute import recompute
from wengert.backend.native.schedule.repeats import REPEATS, Unsupported, repeat
from wengert.backend.native.schedule.sorting import SORTS, schedule_sort
from wengert.backend.native.schedule.steps import (
    Gather,
    Host,
    IndexTerm,
    Loop,
    Reduce,
    Scan,
    Update,
)
from wengert.backend.native.schedule.updates import Uses, late_updates
from wengert.ir.graph import Const, Graph, Node, Value, aval_of
from wengert.llvm.code import TYPES
from wengert.ops.expand import expansion, node_of

__all__ = ["Schedule", "Unsupported"]

CHUNK = 400
"""Nodes of one straight-line function: compile time grows faster than the length."""

LOOP_CHUNK = 200
"""Nodes of one loop body."""

REDUCTIONS = ("sum", "prod", "max", "min", "any", "all")
SCANS = ("cumsum", "cumprod", "cummax", "cummin", "recurrence")


class Schedule:
    """The steps of a graph, and where its arrays live."""

    def __init__(
        self, graph: Graph, outer: Schedule | None = None, carried: Mapping[int, int] | None = None
    ) -> None:
        """Schedule a graph, or a region of a node of another one.

        Parameters
        ----------
        graph : Graph
        outer : Schedule, optional
            That of the other graph, which holds the constants of both.
        carried : mapping, optional
            Inputs whose memory belongs to the loop, each with the output that the next trip gets in
            its place. They may be changed, and then are that output.
        """
        self.graph = graph
        self.outer = outer
        self.carried = dict(carried or {})
        self.steps: list[Any] = []
        self.buffers: list[Buffer] = []
        self.consts: list[Const] = [] if outer is None else outer.consts
        self.outputs: list[Buffer] = []
        self.made_for: dict[int, Any] = {}  # whose elements a buffer is for, by its id
        self.guards: list[tuple[int, View]] = []  # step after which it is known, and where
        self.results: list[View] = []  # where each output of the graph is in the end
        self._canon: dict[Value, Any] = {}
        self._loop: dict[Value, Loop] = {}
        self._made: dict[Value, tuple[Node, list[Any]]] = {}
        self._view: dict[Value, View] = {}
        self._same: dict[Value, Value] = {}  # of another shape, with axes of length 1 more or fewer
        self._ready: dict[Value, int] = {}
        self._const: dict[int, View] = {}
        self._open: dict[Any, Loop] = {}  # by shape, and by family and shape
        self._stored: dict[int, int] = {}  # last step at whose end a buffer is written, by its id
        nodes = late_updates(graph)
        self._uses = Uses(graph, nodes)
        self._families = Families(nodes)
        for i, v in enumerate(graph.inputs):
            buffer = self._new("input", i, v)
            buffer.owned = i in self.carried
            self._view[v] = contiguous(buffer, v.shape)
            self._ready[v] = 0
        for position, node in enumerate(nodes):
            self._node(position, node)
        self._finish()

    # --- bookkeeping ------------------------------------------------------------------------------
    def _new(self, kind: str, index: int, like: Any) -> Buffer:
        aval = like.aval
        if aval.dtype not in TYPES and kind != "host":
            raise Unsupported(str(aval.dtype))
        buffer = Buffer(kind, index, aval.dtype, aval.size)
        self.buffers.append(buffer)
        self.made_for[id(buffer)] = like
        return buffer

    def _temporary(self, v: Any) -> View:
        return contiguous(self._new("arena", 0, v), v.aval.shape)

    def _value(self, x: Any) -> Any:
        """Follow identities."""
        while isinstance(x, Value) and x in self._canon:
            x = self._canon[x]
        return x

    def view(self, x: Any, step: int) -> View:
        """Return where `x` is in memory, for a step that reads it; store it there if it is not."""
        x = self._value(x)
        if isinstance(x, Const):
            found = self._const.get(id(x))
            if found is None:
                found = self._constant(x)
            found.buffer.read_at(step)
            return found
        view = self._view.get(x)
        if view is None:
            view = self._lined(x, step) if x in self._same else self._kept(x)
            self._view[x] = view
        view.buffer.read_at(step)
        return view

    def _kept(self, x: Value) -> View:
        """Store a value of a loop in memory of its own."""
        view = self._temporary(x)
        self._store(self._loop[x], x, view)
        return view

    def _lined(self, x: Value, step: int) -> View:
        """View another value, which has axes of length 1 more or fewer."""
        view = reshaped(self.view(self._same[x], step), x.shape)
        assert view is not None
        return view

    def _is_lined(self, x: Any, v: Value) -> bool:
        """Whether `v` is `x`, a value of a loop that is not in memory, but for axes of length 1."""
        if x not in self._loop or x in self._view:
            return False
        return [n for n in x.shape if n != 1] == [n for n in v.shape if n != 1]

    def _source(self, x: Any) -> Any:
        """Return what a value is but for axes of length 1, where it is not in memory yet."""
        while x in self._same and x not in self._view:
            x = self._same[x]
        return x

    def _constant(self, x: Const) -> View:
        data = x.data
        whole = data.flags.aligned and not any(s % data.dtype.itemsize for s in data.strides)
        if data.dtype not in TYPES or not whole:
            raise Unsupported(str(data.dtype))
        buffer = self._new("const", len(self.consts), x)
        self.consts.append(x)
        strides = tuple(s // data.dtype.itemsize for s in data.strides)
        view = View(buffer, 0, strides, data.shape)
        self._const[id(x)] = view
        return view

    def ready(self, x: Any) -> int:
        """Return the first step that can read `x` from memory."""
        x = self._value(x)
        if not isinstance(x, Value):
            return 0
        if x in self._ready:
            return self._ready[x]
        if x in self._same:
            return self.ready(self._same[x])
        return self._loop[x].step + 1

    # --- visiting ---------------------------------------------------------------------------------
    def _node(self, position: int, node: Node) -> None:
        name = node.op.name
        if node.op.identity:
            (v,) = node.outputs
            if isinstance(node.inputs[0], Value):
                self._canon[v] = self._value(node.inputs[0])
                return
        if any(v.dtype not in TYPES for v in node.outputs):
            raise Unsupported(str(node.outputs[0].dtype))
        if name in ("reshape", "transpose", "broadcast_to") or (
            name == "getitem" and len(node.inputs) == 1
        ):
            self._alias(node)
        elif expansion(node, TYPES) is not None:
            self._expand(position, node)
        elif name in REDUCTIONS and self._reducible(node):
            self._reduce(node)
        elif name in SCANS:
            self._scan(node)
        elif name in SORTS:
            if not schedule_sort(self, node):
                self._host(node)
        elif name == "contract" and node.outputs[0].dtype.kind == "f":
            contraction(self, node)
        elif name == "getitem":
            self._gather(node)
        elif name in ("index_add", "index_set"):
            self._update(position, node)
        elif name == "concatenate":
            concatenation(self, position, node)
        elif lowered(node):
            self._elementwise(node)
        elif name not in REPEATS or not repeat(self, node):
            self._host(node)

    def _alias(self, node: Node) -> None:
        (v,) = node.outputs
        x = node.inputs[0]
        if not isinstance(x, (Value, Const)):
            x = Const(np.asarray(x, v.dtype))
        y = self._source(self._value(x))
        if node.op.name == "reshape" and self._is_lined(y, v):
            self._same[v] = y  # who reads it decides whether it is in memory
            return
        step = self.ready(x)
        base = self.view(x, step)
        made: View | None
        if node.op.name == "reshape":
            made = reshaped(base, v.shape)
            if made is None:
                copied = self.copy(x, base)
                made = reshaped(copied, v.shape)
                step = self.steps[-1].step + 1
        elif node.op.name == "transpose":
            axes = node.attrs["axes"]
            strides = tuple(base.strides[a] for a in axes)
            made = View(base.buffer, base.offset, strides, v.shape, base.version)
        elif node.op.name == "broadcast_to":
            strides = base.broadcast(v.shape)
            made = View(base.buffer, base.offset, strides, v.shape, base.version)
        else:
            made = indexed(base, node.attrs["spec"])
        assert made is not None
        self._view[v] = made
        self._ready[v] = step

    def copy(self, x: Any, view: View) -> View:
        """Copy a view into new contiguous memory, in a loop of its own."""
        out = contiguous(self._new("arena", 0, x), view.shape)
        self.copy_into(view, out)
        return out

    def copy_into(self, view: View, out: View) -> Loop:
        """Copy a view into another, in a loop of its own."""
        loop = self._append(view.shape)
        view.buffer.read_at(loop.step)
        self._store(loop, view, out)
        return loop

    def _store(self, loop: Loop, x: Any, target: View) -> None:
        """Store a value at the end of a loop."""
        loop.stores.append((x, target))
        target.buffer.write_at(loop.step)
        self._stored[id(target.buffer)] = loop.step

    def _append(self, shape: tuple[int, ...]) -> Loop:
        loop = Loop(len(self.steps), shape)
        self.steps.append(loop)
        return loop

    def _join(self, shape: tuple[int, ...], earliest: int, v: Any = None) -> Loop:
        """Return the open loop over `shape` if it comes late enough, else a new one.

        The value `v` joins others only where it has to do with one of them, or is small.
        """
        family = self._families.of(v)
        loop = self._open.get(shape)
        if family is not None and loop is not None and not self._families.has(family, loop.inside):
            loop = self._open.get((family, shape))
            if loop and not all(isinstance(x, Loop) for x in self.steps[loop.step :]):
                loop = None  # it would be held while other steps run
        limit = CHUNK if shape == () else LOOP_CHUNK
        if loop is None or loop.step < earliest or len(loop.items) >= limit:
            loop = self._append(shape)
            self._open[shape] = loop
        if family is not None:
            self._open[family, shape] = loop
        return loop

    def _earliest(self, node: Node, shape: tuple[int, ...]) -> int:
        earliest = 0
        for x in node.inputs:
            x = self._value(x)
            if isinstance(x, Value):
                loop = self._loop.get(x)
                inside = loop is not None and loop.shape == shape and x.shape == shape
                earliest = max(
                    earliest, loop.step if inside and loop is not None else self.ready(x)
                )
        return earliest

    def operand(self, x: Any, loop: Loop) -> Any:
        """Return what a loop reads: a value of its own, a view, or a number."""
        x = self._value(x)
        if isinstance(x, Value) and x.shape == loop.shape:
            if x in loop.inside:
                return x
            alone = x in self._loop and x not in self._view
            if alone and recompute(x, loop, self._made, self._loop, self._view):
                return x
        return self.view(x, loop.step) if isinstance(x, (Value, Const)) else x

    def _elementwise(self, node: Node) -> None:
        (v,) = node.outputs
        loop = self._join(v.shape, self._earliest(node, v.shape), v)
        operands = [self.operand(x, loop) for x in node.inputs]
        loop.items.append((node, operands))
        loop.inside.add(v)
        self._loop[v] = loop
        self._made[v] = (node, operands)

    def _expand(self, position: int, node: Node) -> None:
        """Schedule the operations that stand for one."""

        def write(name: str, *operands: Any, **attrs: Any) -> Any:
            made = node_of(name, operands, attrs)
            self._node(position, made)
            return made.outputs[0]

        written = expansion(node, TYPES)
        assert written is not None
        (v,) = node.outputs
        y = self._value(written(write, node))
        assert y.aval[:2] == v.aval[:2]
        self._canon[v] = y
        self._uses.same(v, y)

    def _reducible(self, node: Node) -> bool:
        x = node.inputs[0]
        kind = node.op.name
        if not isinstance(x, (Value, Const)) or x.aval.dtype not in TYPES:
            return False
        if kind in ("max", "min") and (x.aval.size == 0 or x.aval.dtype.kind == "b"):
            return False
        return bool(x.aval.shape)

    def _reduce(self, node: Node) -> None:
        (v,) = node.outputs
        x = self._value(node.inputs[0])
        shape = x.aval.shape
        loop = self._join(shape, self._earliest(node, shape), x)
        axis = node.attrs["axis"]
        out = self._temporary(v)
        strides = iter(out.strides)
        spread = []
        for i in range(len(shape)):
            if i in axis:
                if node.attrs["keepdims"]:
                    next(strides)
                spread.append(0)
            else:
                spread.append(next(strides))
        target = View(out.buffer, 0, tuple(spread), shape)
        out.buffer.write_at(loop.step)
        loop.items.append(Reduce(node.op.name, self.operand(x, loop), axis, target, v.dtype))
        self._view[v] = out
        self._ready[v] = loop.step + 1

    def _scan(self, node: Node) -> None:
        (v,) = node.outputs
        axis = node.attrs["axis"]
        if any(aval_of(x).shape != v.shape or aval_of(x).dtype not in TYPES for x in node.inputs):
            self._host(node)
            return
        loop = self._join(v.shape, self._earliest(node, v.shape))
        operands = tuple(self.operand(x, loop) for x in node.inputs)
        self._loop[v] = loop
        loop.inside.add(v)
        inner = all(n == 1 for n in v.shape[axis + 1 :])
        memory = None if inner else self.view(v, loop.step)
        loop.items.append(Scan(node.op.name, v, operands, axis, memory))

    # --- updates ----------------------------------------------------------------------------------
    def _gather(self, node: Node) -> None:
        (v,) = node.outputs
        x, *index = (self._value(i) for i in node.inputs)
        step = self.ready(x)
        place = None
        if isinstance(x, (Value, Const)):
            place = located(self.view(x, step), node.attrs["spec"], tuple(index))
        if place is None:
            self._host(node)
            return
        assert place.view.shape == v.shape
        if not place.terms:
            self._view[v] = place.view
            self._ready[v] = step
            return
        loop = self._join(v.shape, max(step, self._looked_up_at(place, v.shape)))
        place.view.buffer.read_at(loop.step)
        loop.items.append(Gather(v, place.view, self._terms(place, loop)))
        loop.inside.add(v)
        self._loop[v] = loop

    def _looked_up_at(self, place: Place, shape: tuple[int, ...]) -> int:
        """Return the first step that can read the integers of an index."""
        return max(
            (
                self._loop[t.x].step if self._inside(t.x, shape) else self.ready(t.x)
                for t in place.terms
            ),
            default=0,
        )

    def _terms(self, place: Place, loop: Loop) -> tuple[IndexTerm, ...]:
        """Read the integers of an index in a loop over the result."""
        found = []
        for t in place.terms:
            x = self.operand(t.x, loop)
            found.append(t._replace(x=spread(x, place) if isinstance(x, View) else x))
        return tuple(found)

    def _update(self, position: int, node: Node) -> None:
        (v,) = node.outputs
        x, part, *index = (self._value(i) for i in node.inputs)
        spec = node.attrs["spec"]
        memory = contiguous(Buffer("probe", 0, v.dtype, v.aval.size), v.shape)
        place = _place(memory, spec, tuple(index))
        if place is None or aval_of(part).ndim > len(place.view.shape):
            self._host(node)  # NumPy drops leading axes of length 1
            return
        memory = self._take_over(position, x, v, (part, *index))
        place = _place(memory, spec, tuple(index))
        assert place is not None
        shape = place.view.shape
        buffer = memory.buffer
        touched = max(buffer.last_read, buffer.last_write)
        earliest = max(
            self.ready(part) if not self._inside(part, shape) else self._loop[part].step,
            self._looked_up_at(place, shape),
            touched,
        )
        if shape != () or place.terms or self._stored.get(id(buffer)) == touched:
            earliest = max(earliest, touched + 1)
        loop = self._join(shape, earliest)
        buffer.write_at(loop.step)
        buffer.read_at(loop.step)
        loop.items.append(
            Update(
                node.op.name == "index_add",
                self.operand(part, loop),
                place.view,
                self._terms(place, loop),
            )
        )
        self._view[v] = memory._replace(version=memory.version + 1)
        # numbers are read and written in order, so that the same loop may read it again
        self._ready[v] = loop.step + (shape != ())

    def _inside(self, x: Any, shape: tuple[int, ...]) -> bool:
        loop = self._loop.get(x) if isinstance(x, Value) else None
        return loop is not None and loop.shape == shape and x.shape == shape

    def _take_over(self, position: int, x: Any, v: Value, others: tuple[Any, ...]) -> View:
        """Return memory that holds `x` and may be changed.

        Its own, where nobody reads it later and none of the `others` lies in it.
        """
        if isinstance(x, Value):
            later = self._uses.after(x, position)
            view = self._view.get(x)
            if view is None and not later:
                view = self.view(x, self.ready(x))
            if (
                view is not None
                and (view.buffer.kind == "arena" or view.buffer.owned)
                and view.is_contiguous
                and view.buffer.size == v.aval.size
                and view.buffer.dtype == v.dtype
                and not any(self._lies_in(view.buffer, y) for y in others)
                and self._copied_out(view.buffer, later)
            ):
                return view
        if isinstance(x, (Value, Const)):
            return self.copy(v, self.view(x, self.ready(x)))
        raise Unsupported("update of a scalar")

    def _copied_out(self, buffer: Buffer, values: list[Value]) -> bool:
        """Copy what is read later of an array that is to change; False where that is too much."""
        inside = [v for v in map(self._value, values) if self._lies_in(buffer, v)]
        if sum(v.aval.size for v in inside) > buffer.size // 2:
            return False
        for v in dict.fromkeys(inside):
            loop = self._join(v.shape, self.ready(v))
            node = node_of("convert", (v,), {"dtype": v.dtype})
            (y,) = node.outputs
            loop.items.append((node, [self.view(v, loop.step)]))
            loop.inside.add(y)
            self._loop[y] = loop
            self._canon[v] = y
            self._uses.copied(v, y)
        return True

    def _lies_in(self, buffer: Buffer, x: Any) -> bool:
        view = self._view.get(self._source(x)) if isinstance(x, Value) else None
        return view is not None and view.buffer is buffer

    def _host(self, node: Node) -> None:
        if self.outer is not None:
            raise Unsupported(f"{node.op.name}, which only NumPy has, in a loop")
        step = len(self.steps)
        operands = [
            self.view(x, step) if isinstance(self._value(x), (Value, Const)) else x
            for x in node.inputs
        ]
        outs = []
        for v in node.outputs:
            out = self._temporary(v)
            out.buffer.write_at(step)
            outs.append(out)
            self._view[v] = out
            self._ready[v] = step + 1
        self.steps.append(Host(step, node, operands, outs))

    # --- results ----------------------------------------------------------------------------------
    def _finish(self) -> None:
        last = 0
        for g in self.graph.guards:
            step = self.ready(g.value)
            view = self.view(g.value, max(step - 1, 0))
            step = max(step, view.buffer.last_write + 1)  # numbers may be updated in that step
            last = max(last, step)
            view.buffer.last = max(view.buffer.last, last)
            self.guards.append((last, view))
        guarded = {id(view.buffer) for _, view in self.guards}
        for k, y in enumerate(self.graph.outputs):
            y = self._value(y)
            if not isinstance(y, (Value, Const)):
                if self.outer is None:
                    raise Unsupported("a constant result")
                y = Const(np.asarray(y))
            view = self.view(y, self.ready(y))
            whole = view.is_contiguous and view.offset == 0 and view.buffer.size == y.aval.size
            if whole and view.buffer.owned and self.carried[view.buffer.index] == k:
                self.results.append(view)  # where it was
                continue
            if view.buffer.kind == "arena" and whole and id(view.buffer) not in guarded:
                view.buffer.kind, view.buffer.index = "output", k
                self.outputs.append(view.buffer)
                self.results.append(view)
                continue
            buffer = self._new("output", k, y)
            self.outputs.append(buffer)
            self.results.append(contiguous(buffer, view.shape))
            self.copy_into(view, self.results[-1])
        for b in self.buffers:
            if b.kind == "arena" and b.first > b.last:
                b.first = b.last = max(b.last, 0)


def _place(view: View, spec: tuple[Any, ...], index: tuple[Any, ...]) -> Place | None:
    """Place any index of a view."""
    if index:
        return located(view, spec, index)
    found = indexed(view, spec)
    return None if found is None else Place(found, (), (), 0)
