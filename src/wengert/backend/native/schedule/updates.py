"""Updates in place: when a changed array may take over the memory of the one before it.

An update ``w = x with x[i] = v`` needs no copy of `x` where nothing reads `x` afterwards. A
reverse pass asks for more: it reads a part of `x`, and the update that takes the part out stands
before. So updates are written as late as they can be, and small views of `x` that are read later
are copied out first. Then filling an array entry by entry costs an entry each time, forward and in
reverse.
"""

from __future__ import annotations

from wengert.ir.graph import Graph, Node, Value
from wengert.ir.liveness import last_reads

__all__ = ["UPDATES", "Uses", "late_updates"]

UPDATES = ("index_add", "index_set")


def late_updates(graph: Graph) -> list[Node]:
    """Return the nodes, each update of an array that is read again just before its first use."""
    last = last_reads(graph.nodes)
    order: list[Node] = []
    held: dict[Value, Node] = {}

    def release(node: Node) -> None:
        waiting = [node]
        while waiting:  # one input at a time: a held update may read another of the inputs
            x = next((x for x in waiting[-1].inputs if isinstance(x, Value) and x in held), None)
            if x is None:
                order.append(waiting.pop())
            else:
                waiting.append(held.pop(x))

    for i, node in enumerate(graph.nodes):
        x = node.inputs[0] if node.inputs else None
        if node.op.name in UPDATES and isinstance(x, Value) and last[x] > i:
            held[node.outputs[0]] = node
        else:
            release(node)
    while held:
        release(held.pop(next(iter(held))))
    return order


class Uses:
    """Which node, by its place among `nodes`, reads a value last, and which values share memory."""

    def __init__(self, graph: Graph, nodes: list[Node]) -> None:
        ends = (*graph.outputs, *(g.value for g in graph.guards))
        self._last = last_reads(nodes, ends)
        self._base: dict[Value, Value] = {}
        self._views: dict[Value, list[Value]] = {}
        for node in nodes:
            x = node.inputs[0] if node.inputs else None
            if isinstance(x, Value) and (node.op.alias is not None or node.op.identity):
                self._join(node.outputs[0], x)

    def _join(self, v: Value, base: Value) -> None:
        self._base[v] = base
        self._views.setdefault(base, []).append(v)

    def same(self, v: Value, y: Value) -> None:
        """Note that `v` is `y`."""
        if v is not y and v not in self._base:
            self._join(v, y)

    def copied(self, v: Value, y: Value) -> None:
        """Note that `v`, and with it what is a view of `v`, is in the memory of `y` from now on."""
        base = self._base.pop(v, None)
        if base is not None:
            self._views[base].remove(v)
        self._join(v, y)

    def after(self, x: Value, position: int) -> list[Value]:
        """Return what may share the memory of `x`, itself included, and is read after a node."""
        while x in self._base:
            x = self._base[x]
        waiting, found = [x], []
        while waiting:
            v = waiting.pop()
            waiting += self._views.get(v, ())
            if self._last.get(v, -1) > position:
                found.append(v)
        return found
