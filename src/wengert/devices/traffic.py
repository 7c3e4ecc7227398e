"""What a device does of one operation: its operations, and the bytes that it moves.

Native code fuses loops: what one of them makes and uses up never is in memory, and what it reads in
several places it loads once. So bytes are those of the arrays that are in memory, once for each
loop that reads them. What views and broadcasts repeat is not read again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from wengert.cost.count import updated_in_place
from wengert.cost.operation import KINDS, bytes_of, count_operation
from wengert.devices.placement import Compute, local
from wengert.ir.graph import Const, Graph, Node, Value, aval_of
from wengert.ops.index import getitem, index_add, index_set, is_basic
from wengert.ops.shape import broadcast_to

__all__ = ["Work", "in_loops"]


class Work:
    """Counts the nodes of a graph in the shapes that devices have.

    Parameters
    ----------
    graph : Graph
    stored : collection of Value, optional
        What is in memory besides inputs, captured arrays and outputs. Without it all values are,
        and each operation reads and writes them on its own.
    """

    def __init__(self, graph: Graph, stored: Collection[Value] | None = None) -> None:
        self._in_place = updated_in_place(graph)
        self._moved = None if stored is None else _moved(graph, set(stored))[0]

    def __call__(self, step: Compute, weights: tuple[float, ...], d: int) -> tuple[int, int]:
        """Return the operations of device `d`, those of unknown number left out, and its bytes."""
        node = step.node
        pairs = zip(node.inputs, step.inputs, strict=True)
        ins = [local(aval_of(x), p, weights, d) for x, p in pairs]
        outs = [local(v.aval, step.output, weights, d) for v in node.outputs]
        found = count_operation(node, ins, outs)
        flops = 0 if found is None else sum(found.kinds.get(k, 0) for k in KINDS)
        if self._moved is None or _touches_part(node):
            return flops, sum(bytes_of(node, ins, outs, id(node) in self._in_place))
        reads, writes = self._moved[id(node)]
        arrays = [*(ins[i] for i in reads), *(outs[i] for i in writes)]
        return flops, sum(a.nbytes for a in arrays)

    def of_part(self, step: Compute, part: int, batch: int) -> tuple[int, int]:
        """Return the operations and bytes for `part` examples of a batch."""
        weights = (float(part), float(batch - part)) if part < batch else (1.0,)
        return self(step, weights, 0)


def _touches_part(node: Node) -> bool:
    """Whether it moves less than its arrays have: it reads or changes what an index names."""
    if node.op is getitem:
        return not is_basic(node.attrs["spec"])
    return node.op in (index_add, index_set)


def in_loops(graph: Graph, stored: Collection[Value]) -> Iterator[tuple[int, int | None]]:
    """Yield for each node the loop that it runs in, and its bytes; None where they are its own.

    Parameters
    ----------
    graph : Graph
    stored : collection of Value
        What is in memory besides inputs, captured arrays and outputs.
    """
    moved, loops = _moved(graph, set(stored))
    for node in graph.nodes:
        if _touches_part(node):
            yield loops[id(node)], None
            continue
        reads, writes = moved[id(node)]
        arrays = [*(node.inputs[i] for i in reads), *(node.outputs[i] for i in writes)]
        yield loops[id(node)], sum(aval_of(x).nbytes for x in arrays)


def _moved(
    graph: Graph, stored: set[Value]
) -> tuple[dict[int, tuple[list[int], list[int]]], dict[int, int]]:
    """Return for each node (by its id) which operands it loads and results it stores; its loop."""
    stored |= {y for y in graph.outputs if isinstance(y, Value)}
    solid = stored | set(graph.inputs)
    views: set[int] = set()
    for node in graph.nodes:
        base = node.inputs[0] if node.inputs else None
        is_view = node.op.alias is not None and is_basic(node.attrs.get("spec", ()))
        if is_view and (isinstance(base, Const) or base in solid):
            views.add(id(node))
            solid.update(node.outputs)
    loops = _loops(graph, stored | {v for n in graph.nodes if id(n) in views for v in n.outputs})
    flat = {v for n in graph.nodes if n.op is broadcast_to for v in n.outputs} - stored
    seen: set[tuple[Any, int]] = set()
    found: dict[int, tuple[list[int], list[int]]] = {}
    for node in graph.nodes:
        reads: list[int] = []
        for i, x in enumerate(node.inputs if id(node) not in views else ()):
            held = isinstance(x, Const) or (isinstance(x, Value) and x in solid and x not in flat)
            key = (id(x), loops[id(node)])
            if held and key not in seen:
                seen.add(key)
                reads.append(i)
        writes = [i for i, v in enumerate(node.outputs) if v in stored and id(node) not in views]
        found[id(node)] = reads, writes
    return found, loops


def _loops(graph: Graph, solid: set[Value]) -> dict[int, int]:
    """Return for each node the one in whose loop it runs: the first that needs it, and stores."""
    home: dict[int, int] = {}
    reader: dict[Value, int] = {}
    for node in reversed(graph.nodes):
        at = id(node)
        if solid.isdisjoint(node.outputs):
            at = next((reader[v] for v in node.outputs if v in reader), at)
        home[id(node)] = at
        reader.update((x, at) for x in node.inputs if isinstance(x, Value))
    return home
