"""Elementwise results that the way back computes again: only what they are made from is held.

The derivative of ``h = tanh(z)`` reads z, and that of ``h @ w`` reads h. Both would be held from
the way there to the way back. h is cheap to compute from z again, compared with the product that
reads it, so z alone is kept where something as large is computed in between.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from wengert.ir.graph import BackwardPlace, Graph, Node, Value
from wengert.ops.base import Op
from wengert.ops.control import barrier
from wengert.ops.elementwise import tanh
from wengert.ops.rows import batch_elementwise
from wengert.ops.special import expit

__all__ = ["LARGE", "lean", "twice"]

LARGE = 1 << 18
"""Bytes of an array from which on it is not kept together with what it is cheaply made from."""

DEPTH = 4
"""Most operations one after the other to compute a value again."""


def twice(graph: Graph) -> Graph:
    """Return a graph that computes large results of tanh and expit again on the way back.

    Their derivatives read their arguments, since what can be made of their results cancels in the
    tails; so arguments and results would be kept.
    """
    return lean(graph, LARGE, lambda op: op is tanh or op is expit)


def lean(graph: Graph, least: int, chosen: Callable[[Op], bool] = lambda op: True) -> Graph:
    """Return a graph that computes elementwise results again when the way back needs them.

    Those are computed again that a few elementwise operations make from what the way back reads as
    well, or from inputs.

    Parameters
    ----------
    graph : Graph
    least : int
        Bytes from which on a value is not kept.
    chosen : callable, optional
        Whether an operation's results may be computed again.

    Returns
    -------
    Graph
        `graph` itself where there is nothing to be won.
    """
    made = _Lean(graph, least, chosen)
    return made.written() if made.places else graph


class _Lean:
    """What to compute again, and where.

    Attributes
    ----------
    again : set of Value
        What may be computed again.
    places : dict of int
        Nodes of the way back that read such values, and before which node each can come.
    far : set of int
        Those of them before which something as large is computed, so that it is worth it.
    """

    def __init__(self, graph: Graph, least: int, chosen: Callable[[Op], bool]) -> None:
        self.graph = graph
        self.least = least
        self.maker = {v: i for i, n in enumerate(graph.nodes) for v in n.outputs}
        self.places: dict[int, int] = {}
        self.far: set[int] = set()
        back = [i for i, n in enumerate(graph.nodes) if type(n.line) is BackwardPlace]
        read = {x for i in back for x in graph.nodes[i].inputs if isinstance(x, Value)}
        read = {v for v in read if v in self.maker and v.aval.nbytes >= least}
        if not read:
            return
        self.start = back[0]
        self._choose(read, chosen)
        last = dict(self.maker)  # the last node of the way there that makes or reads a value
        for i in range(self.start):
            last.update((x, i) for x in graph.nodes[i].inputs if x in self.again)
        for i in back:
            ours = [x for x in graph.nodes[i].inputs if isinstance(x, Value) and x in self.again]
            if ours:
                self._place(i, ours, min(last[x] for x in ours) + 1)

    def _choose(self, read: set[Value], chosen: Callable[[Op], bool]) -> None:
        """Find the values that a few operations make from what is held anyway."""
        fixed = {*self.graph.outputs, *(g.value for g in self.graph.guards)}
        self.again: set[Value] = set()
        self.depth: dict[Value, float] = {}  # operations to make a value from what is held
        for node in self.graph.nodes[: self.start]:
            depth = math.inf
            if _is_cheap(node):
                depth = 1 + max(map(self._depth, node.inputs), default=0)
            for v in node.outputs:
                if v in read and v not in fixed and depth <= DEPTH and chosen(node.op):
                    self.again.add(v)
                    self.depth[v] = depth
                else:
                    self.depth[v] = 0 if v in read or v in fixed else depth

    def _depth(self, x: Any) -> float:
        is_held = not isinstance(x, Value) or x.aval.nbytes < self.least
        return 0 if is_held else self.depth.get(x, 0)

    def _place(self, i: int, ours: Sequence[Value], there: int) -> None:
        """Say where a reader of values can come, after the node `there` of the way there."""
        nodes = self.graph.nodes
        node = nodes[i]
        others = [self.maker.get(x, -1) for x in node.inputs if isinstance(x, Value)]
        place = max([self.start, there, *(k + 1 for k in others)])
        size, lead = max(x.aval.nbytes for x in ours), ours[0].shape[:1]

        def is_large(n: Node) -> bool:
            return any(v.aval.nbytes * 2 >= size and v.shape[:1] == lead for v in n.outputs)

        self.places[i] = i if is_large(node) or len(node.outputs) > 1 else place
        if any(map(is_large, nodes[there:place])):
            self.far.add(i)

    def written(self) -> Graph:
        """Write the nodes in their new order; guards come after the nodes that they came after."""
        moved: dict[int, list[int]] = defaultdict(list)
        for i, place in self.places.items():
            if place < i:
                moved[place].append(i)
        self.out: list[Node] = []
        self.local: dict[Value, Value] = {}  # what was just computed again
        before: list[int] = []
        for i in range(len(self.graph.nodes)):
            before.append(len(self.out))
            for k in moved.get(i, ()):
                self._emit(k)
            if self.places.get(i, i) == i:
                self._emit(i)
        before.append(len(self.out))
        guards = [g._replace(position=before[g.position]) for g in self.graph.guards]
        return Graph(self.graph.inputs, self.out, self.graph.outputs, guards)

    def _emit(self, i: int) -> None:
        """Write a node, and before it what it reads that is computed again."""
        node = self.graph.nodes[i]
        if i in self.far:
            for x in node.inputs:
                if isinstance(x, Value) and x in self.again:
                    self._copy(x, node.line)
            inputs = tuple(self._now(x) for x in node.inputs)
            node = Node(node.op, inputs, node.attrs, node.outputs, node.line)
        self.out.append(node)
        if not _is_cheap(node):
            made = max((v.aval.nbytes for v in node.outputs), default=0)
            self.local = {v: w for v, w in self.local.items() if made * 2 < v.aval.nbytes}

    def _copy(self, v: Value, line: Any) -> None:
        """Write what makes a value from what is held, a few operations."""
        if v in self.local:
            return
        node = self.graph.nodes[self.maker[v]]
        for x in node.inputs:
            if isinstance(x, Value) and self._depth(x):
                self._copy(x, line)
        inputs = tuple(self._now(x) for x in node.inputs)
        new = tuple(Value(aval=w.aval) for w in node.outputs)
        self.local.update(zip(node.outputs, new, strict=True))
        self.out.append(Node(node.op, inputs, node.attrs, new, line))

    def _now(self, x: Any) -> Any:
        return self.local.get(x, x) if isinstance(x, Value) else x


def _is_cheap(node: Node) -> bool:
    """Whether a node works element by element, or is a view."""
    if getattr(node.op, "effect", False) or node.op is barrier:
        return False
    return node.op.batch is batch_elementwise or node.op.alias is not None
