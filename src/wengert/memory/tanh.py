"""Hyperbolic tangents that the way back computes again, so that one array of each is kept.

The derivative of ``h = tanh(z)`` reads z, and that of ``h @ w`` reads h. Both would be held from
the way there to the way back. h is cheap to compute from z again, compared with the product that
reads it, so z alone is kept where something as large is computed in between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from wengert.ir.graph import BackwardPlace, Graph, Node, Value
from wengert.ops.elementwise import tanh
from wengert.ops.slopes import sech_squared

__all__ = ["LARGE", "twice"]

LARGE = 1 << 18
"""Bytes of an array from which on it is not kept together with its argument."""


def twice(graph: Graph) -> Graph:
    """Return a graph that computes large hyperbolic tangents again when the way back needs them."""
    nodes = graph.nodes
    chosen = {
        node.outputs[0]
        for node in nodes
        if node.op is tanh and node.outputs[0].aval.nbytes >= LARGE
    }
    chosen -= {v for v in graph.outputs if isinstance(v, Value)}
    chosen -= {guard.value for guard in graph.guards}
    if not chosen:
        return graph
    uses: dict[Value, list[int]] = defaultdict(list)
    made: dict[Value, int] = {}
    for i, node in enumerate(nodes):
        for x in node.inputs:
            if isinstance(x, Value):
                uses[x].append(i)
        made.update(dict.fromkeys(node.outputs, i))
    moved: dict[int, list[int]] = defaultdict(list)  # before which node those of the way back come
    again: dict[int, Node] = {}  # what is computed again before a node
    for i, node in enumerate(nodes):
        if node.op is tanh and node.outputs[0] in chosen:
            found = _return(nodes, i, uses, made)
            if found is not None:
                place, first, is_far = found
                moved[place].append(first)
                if is_far:
                    again[first] = node
    return _rewritten(graph, moved, again) if moved else graph


def _return(
    nodes: Sequence[Node], i: int, uses: dict[Value, list[int]], made: dict[Value, int]
) -> tuple[int, int, bool] | None:
    """Return what the way back reads a tanh for, and where that can be done first.

    Returns
    -------
    place : int
        The node before which everything else that it reads is there.
    first : int
        The first node of the way back that reads the tanh.
    is_far : bool
        Whether something as large, of as many rows, is computed in between.
    """
    x, y = nodes[i].inputs[0], nodes[i].outputs[0]
    back = [j for j in uses[y] if type(nodes[j].line) is BackwardPlace]
    if not isinstance(x, Value) or not back:
        return None
    first = back[0]
    if not any(nodes[j].op is sech_squared for j in uses[x]) or len(nodes[first].outputs) != 1:
        return None
    there = max((j for j in uses[y] if j < first), default=i)
    others = [made.get(v, -1) for v in nodes[first].inputs if isinstance(v, Value) and v is not y]
    place = max([there, *others]) + 1
    between = nodes[there + 1 : place]
    made_there = (v.aval for node in between for v in node.outputs)
    is_far = any(v.nbytes * 2 >= y.aval.nbytes and v.shape[:1] == y.shape[:1] for v in made_there)
    return place, first, is_far


def _rewritten(graph: Graph, moved: dict[int, list[int]], again: dict[int, Node]) -> Graph:
    """Write the nodes in their new order; guards come after the nodes that they came after."""
    nodes = graph.nodes
    early = {j for js in moved.values() for j in js}
    found: list[Node] = []
    before: list[int] = []
    instead: dict[Value, Value] = {}

    def emit(j: int) -> None:
        node = nodes[j]
        if j in again:
            old = again[j]
            instead[old.outputs[0]] = new = Value(aval=old.outputs[0].aval)
            inputs = tuple(_read(x, instead) for x in old.inputs)
            found.append(Node(old.op, inputs, old.attrs, (new,), node.line))
        if any(isinstance(x, Value) and x in instead for x in node.inputs):
            inputs = tuple(_read(x, instead) for x in node.inputs)
            node = Node(node.op, inputs, node.attrs, node.outputs, node.line)
        found.append(node)

    for i in range(len(nodes)):
        before.append(len(found))
        for j in moved.get(i, ()):
            emit(j)
        if i not in early:
            emit(i)
    before.append(len(found))
    guards = [guard._replace(position=before[guard.position]) for guard in graph.guards]
    return Graph(graph.inputs, found, graph.outputs, guards)


def _read(x: Any, instead: dict[Value, Value]) -> Any:
    return instead.get(x, x) if isinstance(x, Value) else x
