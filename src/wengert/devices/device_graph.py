"""The graph that a single device runs of a placed one, and what it needs of memory as native code.

What a compiled plan holds is not what its operations hold one by one: it fuses loops, and has room
for what its kernels work on. So the graph of each device's part is written out, with the shapes
that the device has, and laid out as a plan of it would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from wengert.devices.device_costs import Key, completing_moves, eager, outputs_of
from wengert.devices.placement import Compute, Move, PlacedGraph, Step, local
from wengert.devices.sharding import PARTIAL, WHOLE, Along, Placement
from wengert.errors import GraphError, ShapeError
from wengert.ir.build import Builder
from wengert.ir.graph import Aval, Const, Graph, Value, aval_of
from wengert.memory.profile import is_backward, residual_values
from wengert.ops.elementwise import add, positive
from wengert.ops.index import getitem
from wengert.ops.shape import broadcast_to, concatenate, reshape

__all__ = ["Layout", "Measure", "Program", "of_part", "program"]

Measure = Callable[[Graph], Any]
"""Lays a graph out: an object with ``peak``, bytes in between inputs and outputs, and ``held``,
whose ``value`` are what is in memory; None for a graph that native code cannot hold."""

Local = Callable[[Aval, Placement], Aval]


class Program(NamedTuple):
    """The graph that a device runs.

    Attributes
    ----------
    graph : Graph
    places : dict
        The placement of each of its values.
    received : dict
        Its inputs that other devices, or an earlier phase, made: what they are of the whole graph.
    added_to : int
        Bytes of inputs that it adds to in place; they are counted among its outputs too.
    """

    graph: Graph
    places: dict[Value, Placement]
    received: dict[Value, Key]
    added_to: int


def program(
    placing: PlacedGraph,
    steps: Iterable[Step],
    shape: Local,
    outputs: Iterable[Key],
    *,
    inputs: Iterable[Value] | None = None,
    accumulate: bool = False,
) -> Program | None:
    """Return what one device runs of these steps; None where a step has no form of that shape.

    Communication stands there as what it leaves in memory: a gather makes an array, a reduction
    that scatters its result makes one, a reduction whose result all get is done in place.

    Parameters
    ----------
    placing : PlacedGraph
    steps : iterable of Move or Compute
    shape : callable
        ``shape(aval, placement)``: what the device has of a value.
    outputs : iterable
        Values and placements that it keeps or sends; those that it does not make are left out.
    inputs : iterable of Value, optional
        Of the graph, that it holds; all of them by default.
    accumulate : bool
        Whether partial sums are added to what earlier parts of the batch gave.
    """
    b = Builder()
    env: dict[Key, Any] = {}
    cut: dict[tuple[int, Placement], Any] = {}
    received: dict[Value, Key] = {}
    sums: list[Key] = []

    def read(key: Key) -> Any:
        if key not in env:
            env[key] = b.input(shape(key[0].aval, key[1]))
            received[env[key]] = key
        return env[key]

    def operand(x: Any, p: Placement) -> Any:
        if isinstance(x, Value):
            return read((x, p))
        if not isinstance(x, Const):
            return x
        if not isinstance(p, Along):
            return x.data
        if (id(x), p) not in cut:
            n = shape(x.aval, p).shape[p.axis]
            cut[id(x), p] = x.data[(slice(None),) * p.axis + (slice(n),)]
        return cut[id(x), p]

    for x in placing.graph.inputs if inputs is None else inputs:
        env[x, placing.inputs[x]] = b.input(shape(x.aval, placing.inputs[x]))
    ours = set(env)
    try:
        for step in steps:
            if isinstance(step, Move):
                b.line = None
                source, target = (step.value, step.source), (step.value, step.target)
                if step.source == PARTIAL and accumulate:
                    total = b.input(step.value.aval)
                    env[target] = b.add(add, total, read(source))
                    sums.append(target)
                else:
                    env[target] = _moved(b, step, read(source), shape)
                continue
            node = step.node
            b.line = node.line
            attrs = dict(node.attrs)
            want = [shape(v.aval, step.output) for v in node.outputs]
            if node.op in (reshape, broadcast_to):
                attrs["shape"] = want[0].shape
            xs = [operand(x, p) for x, p in zip(node.inputs, step.inputs, strict=True)]
            made = b.add(node.op, *xs, **attrs)
            ys = made if len(want) > 1 else (made,)
            if [y.aval[:2] for y in ys] != [a[:2] for a in want]:
                return None
            env.update({(v, step.output): y for v, y in zip(node.outputs, ys, strict=True)})
    except (GraphError, ShapeError, TypeError, ValueError, IndexError):
        return None  # an attribute that fits the whole only: its memory is counted, not laid out
    ends = list(dict.fromkeys([*outputs, *sums]))
    results = {y for y in placing.graph.outputs if isinstance(y, Value)}
    ends = [k for k in ends if k in env and (k not in ours or k[0] in results)]
    places = {y: p for (_, p), y in env.items() if isinstance(y, Value)}
    graph = b.finish([env[k] for k in ends])
    return Program(graph, places, received, sum(v.aval.nbytes for v, _ in sums))


def _moved(b: Builder, move: Move, x: Any, shape: Local) -> Any:
    aval = shape(move.value.aval, move.target)
    if move.kind == "all-reduce":
        return x
    if isinstance(move.target, Along):
        n = aval.shape[move.target.axis]
        x = b.add(getitem, x, spec=(slice(None),) * move.target.axis + (slice(0, n),))
        if move.kind == "reduce-scatter":
            x = b.add(positive, x)
    if isinstance(move.source, Along):
        a = move.source.axis
        rest = list(aval.shape)
        rest[a] -= aval_of(x).shape[a]
        x = b.add(
            concatenate, x, b.add(broadcast_to, aval.dtype.type(0), shape=tuple(rest)), axis=a
        )
    return x


def of_part(part: int, batch: int) -> Local:
    """Return the shapes of `part` examples of a batch."""

    def shape(aval: Aval, p: Placement) -> Aval:
        if not isinstance(p, Along):
            return aval
        n = aval.shape[p.axis] // batch * part
        return aval._replace(shape=(*aval.shape[: p.axis], n, *aval.shape[p.axis + 1 :]))

    return shape


class Layout:
    """Bytes that devices hold: inputs, captured arrays, outputs, and everything in between.

    Parameters
    ----------
    measure : callable or None
        Without it, and for graphs that it cannot lay out, every answer is None.
    """

    def __init__(self, measure: Measure | None) -> None:
        self.measure = measure
        self._known: dict[Any, int | None] = {}

    def _total(self, graph: Graph) -> tuple[int, Any] | None:
        found = self.measure(graph) if self.measure is not None else None
        if found is None:
            return None
        arrays = [*graph.inputs, *graph.outputs, *graph.consts()]
        return sum(aval_of(x).nbytes for x in arrays) + found.peak, found

    def _of(self, made: Program | None) -> int | None:
        found = self._total(made.graph) if made is not None else None
        return found[0] - made.added_to if found is not None and made is not None else None

    def stored(self, graph: Graph) -> set[Value] | None:
        """Return the values of a graph that are in memory between inputs and outputs."""
        found = self.measure(graph) if self.measure is not None else None
        return None if found is None else {h.value for h in found.held if h.value is not None}

    def undivided(self, graph: Graph) -> int | None:
        """Return the bytes of a whole graph, exactly those of its plan."""
        if graph not in self._known:
            found = self._total(graph)
            self._known[graph] = found[0] if found is not None else None
        return self._known[graph]

    def device(self, placing: PlacedGraph, d: int) -> int | None:
        """Return the bytes of device `d`, where all run the same program on their parts."""
        if self.measure is None:
            return None

        def shape(aval: Aval, p: Placement) -> Aval:
            return local(aval, p, placing.weights, d)

        return self._of(program(placing, eager(placing.steps), shape, outputs_of(placing)))

    def part(self, placing: PlacedGraph, part: int, batch: int) -> int | None:
        """Return the bytes for `part` examples of a batch, the parts one after the other.

        What is computed once from parameters comes before them where they read it, else after
        them; what is added up over them is there throughout, and added to in place.
        """
        if part == batch:
            return self.undivided(placing.graph)
        key = id(placing), part
        if key not in self._known:
            self._known[key] = self._phases(placing, of_part(part, batch))
        return self._known[key]

    def _phases(self, placing: PlacedGraph, shape: Local) -> int | None:
        if self.measure is None:
            return None
        steps = eager(placing.steps)
        parts: list[Step] = []
        before: list[Step] = []
        after: list[Step] = []
        read: set[Value] = set()
        for step in reversed(steps):
            if isinstance(step, Move):
                parts.append(step)
                read.update([step.value] if step.kind == "slice" else ())
            elif step.output != WHOLE:
                parts.append(step)
                read.update(x for x in step.node.inputs if isinstance(x, Value))
            elif read.isdisjoint(step.node.outputs):
                after.append(step)
            else:
                before.append(step)
                read.update(x for x in step.node.inputs if isinstance(x, Value))
        ends = outputs_of(placing)
        split = [k for k in ends if k[1] != WHOLE]
        one = program(placing, parts[::-1], shape, split, accumulate=True)
        ready = [(v, WHOLE) for s in before if isinstance(s, Compute) for v in s.node.outputs]
        found = [
            self._of(one),
            self._of(program(placing, before[::-1], shape, [k for k in ready if k[0] in read])),
        ]
        last = program(placing, after[::-1], shape, [k for k in ends if k[1] == WHOLE])
        total = self._of(last)
        if last is not None and total is not None:
            sums = sum(m.value.aval.nbytes for m in completing_moves(placing))
            there = sum(v.aval.nbytes for v in last.received)
            found.append(total + max(sums - there, 0))
        else:
            found.append(None)
        known = [x for x in found if x is not None]
        return max(known) if len(known) == len(found) else None

    def stage(
        self,
        placing: PlacedGraph,
        steps: Sequence[Step],
        outputs: Iterable[Key],
        sizes: Sequence[int],
        is_late: Callable[[Key], bool],
    ) -> int | None:
        """Return the bytes of a stage of a pipeline.

        One microbatch is laid out, forward and backward. Of the others there is what the backward
        pass reads, and the examples themselves. `is_late` says of a value that it is of the
        backward pass.
        """
        if self.measure is None:
            return None
        ours = set(placing.graph.inputs)
        used = dict.fromkeys(
            x
            for s in steps
            for x in (s.node.inputs if isinstance(s, Compute) else (s.value,))
            if isinstance(x, Value) and x in ours
        )
        ends = list(outputs)
        found = [
            self._stage(placing, steps, ends, used, n, sum(sizes), is_late) for n in set(sizes)
        ]
        known = [x for x in found if x is not None]
        return max(known) if len(known) == len(found) else None

    def _stage(
        self,
        placing: PlacedGraph,
        steps: Sequence[Step],
        outputs: Sequence[Key],
        used: Iterable[Value],
        part: int,
        batch: int,
        is_late: Callable[[Key], bool],
    ) -> int | None:
        shape = of_part(part, batch)
        many = part < batch
        made = program(placing, steps, shape, outputs, inputs=used, accumulate=many)
        found = self._total(made.graph) if made is not None else None
        if made is None or found is None:
            return None
        total = found[0] - made.added_to
        if not many:
            return total
        total += sum(x.aval.nbytes - shape(x.aval, placing.inputs[x]).nbytes for x in used)
        outs = {y for y in made.graph.outputs if isinstance(y, Value)}
        stored = {h.value for h in found[1].held if h.value is not None} | outs
        kept = residual_values(made.graph, stored)
        if any(is_backward(n) for n in made.graph.nodes):
            kept |= {x for x, key in made.received.items() if not is_late(key)}
        rest = batch - part
        alike = [v for v in kept if isinstance(made.places.get(v), Along)]
        return total + sum(v.aval.nbytes * rest // part for v in alike)
