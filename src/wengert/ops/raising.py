"""Operations that raise for some numbers, and what is left of them where nothing uses the result.

A compiled program computes what its results need. Plain Python computes everything, and raises for
an index out of range or a singular matrix whether or not the result is used. So an operation that
may raise stays in the program, or a cheap test in its place (`kept`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from wengert.ir.build import infer
from wengert.ir.graph import SLOT, Const, Graph, Guard, Node, Value, aval_of
from wengert.ir.questions import RAISES
from wengert.ir.simplify import remove_dead
from wengert.ops.base import TABLE
from wengert.ops.elementwise import power
from wengert.ops.index import getitem, index_add, index_set

__all__ = ["INDEXED", "kept"]

INDEXED = {getitem: 1, index_add: 2, index_set: 2}
"""Where the indices begin among the arguments."""


CAUSES = {"inv": "singular", "solve": "singular", "svd": "not finite", "pinv": "not finite"}
"""Why factorisations raise, of which one tells of all others of the same matrix."""


def kept(graph: Graph) -> Graph:
    """Settle the guards of kind ``raises``, which mark the operations that may raise.

    An operation whose result is used raises by itself, and its mark is dropped. One that nothing
    uses is replaced by a test of its indices or exponents, or stays with its mark where only
    computing it can tell.

    Parameters
    ----------
    graph : Graph

    Returns
    -------
    Graph
        Without dead operations.
    """
    marks = {g.value: g for g in graph.guards if g.kind == RAISES}
    if not marks:
        return graph
    return remove_dead(_rewritten(graph, *_settled(graph, marks)))


def _settled(graph: Graph, marks: dict[Value, Guard]) -> tuple[dict[Value, Node], set[Value]]:
    """Return the marked values that are to be tested, and those that are to be computed."""
    alive = {y for y in graph.outputs if isinstance(y, Value)}
    alive.update(g.value for g in graph.guards if g.kind != RAISES)
    used: list[Node] = []
    for node in reversed(graph.nodes):
        if not alive.isdisjoint(node.outputs) or getattr(node.op, "effect", False):
            alive.update(x for x in node.inputs if isinstance(x, Value))
            used.append(node)
    inside = {(id(x), n) for node in used if node.op in INDEXED for x, n in _indices(node)}
    causes = set(map(_cause, used))
    tested: dict[Value, Node] = {}
    computed: set[Value] = set()
    for node in graph.nodes:
        mark = next((v for v in node.outputs if v in marks), None)
        if mark is None or not alive.isdisjoint(node.outputs):
            continue
        if node.op is power or (
            node.op in INDEXED and any((id(x), n) not in inside for x, n in _indices(node))
        ):
            tested[mark] = node
        elif node.op not in INDEXED and (cause := _cause(node)) not in causes:
            computed.add(mark)
            causes.add(cause)
    return tested, computed


def _cause(node: Node) -> tuple[str, int]:
    """Return what nodes have in common of which one raises where the other does."""
    reason = CAUSES.get(node.op.name)
    return ("", id(node)) if reason is None else (reason, id(node.inputs[0]))


def _rewritten(graph: Graph, tested: dict[Value, Node], computed: set[Value]) -> Graph:
    nodes: list[Node] = []
    guards: list[Guard] = []
    waiting = sorted(graph.guards, key=lambda g: g.position, reverse=True)
    seen: set[Any] = set()
    for k in range(len(graph.nodes) + 1):
        while waiting and waiting[-1].position <= k:
            guard = waiting.pop()
            if guard.kind != RAISES or guard.value in computed:
                guards.append(guard._replace(position=len(nodes)))
            elif guard.value in tested:
                for value, kind in _tests(tested[guard.value], nodes, seen):
                    guards.append(Guard(value, kind, True, len(nodes)))
        if k < len(graph.nodes):
            nodes.append(graph.nodes[k])
    return Graph(graph.inputs, nodes, graph.outputs, guards)


def _tests(node: Node, nodes: list[Node], seen: set[Any]) -> Iterator[tuple[Value, str]]:
    """Append what tests whether an operation would raise; yield each test's value and kind."""
    if node.op is power:
        x = node.inputs[1]
        if isinstance(x, (Value, Const)) and (id(x), None) not in seen:
            seen.add((id(x), None))
            yield _everywhere(_made("greater_equal", node, nodes, x, 0), node, nodes), "natural"
        return
    for x, n in _indices(node):
        if (id(x), n) in seen:
            continue
        seen.add((id(x), n))
        limits = np.iinfo(aval_of(x).dtype)
        tests = []
        if limits.min < -n:
            tests.append(_made("greater_equal", node, nodes, x, -n))
        if limits.max >= n:
            tests.append(_made("less", node, nodes, x, n))
        if not tests:
            continue
        both = tests[0] if len(tests) == 1 else _made("logical_and", node, nodes, *tests)
        yield _everywhere(both, node, nodes), "inside"


def _made(name: str, node: Node, nodes: list[Node], *inputs: Any, **attrs: Any) -> Value:
    op = TABLE[name]
    (aval,) = infer(op, inputs, attrs)
    value = Value(aval=aval)
    nodes.append(Node(op, inputs, attrs, (value,), node.line))
    return value


def _everywhere(x: Value, node: Node, nodes: list[Node]) -> Value:
    shape = x.aval.shape
    if not shape:
        return x
    return _made("all", node, nodes, x, axis=tuple(range(len(shape))), keepdims=False)


def _indices(node: Node) -> Iterator[tuple[Any, int]]:
    """Yield each index array that may change, and the length of the axis that it goes along."""
    rest = iter(node.inputs[INDEXED[node.op] :])
    sizes = aval_of(node.inputs[0]).shape
    spec = node.attrs["spec"]
    axis = 0
    for i, s in enumerate(spec):
        if s is None:
            continue
        if s is Ellipsis:
            axis = len(sizes) - sum(1 for later in spec[i + 1 :] if later is not None)
            continue
        if s is SLOT:
            x = next(rest)
            changes = isinstance(x, Value) or (isinstance(x, Const) and not x.fixed)
            if changes and aval_of(x).dtype.kind in "iu":
                yield x, sizes[axis]
        axis += 1
