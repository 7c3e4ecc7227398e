"""Simplification: fewer nodes, the same elements.

Four small passes, each from graph to graph, and `simplify`, which runs them in one walk over the
nodes and one back. A simplified graph gives the results of the original bit for bit (the bit
pattern of a NaN aside), element for element. What may change is the memory order of an intermediate
array, and with it the order in which NumPy adds up its elements.

Guards are kept one for one, in order: a guard's value is always alive and stays a value of the
graph, and the guard stands after the nodes that remain of those before it.

The original is left as it is. A simplified graph is for running: simplify with
``differentiable=True`` where derivatives of the result will be taken.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import numpy as np

from wengert.ir import checking
from wengert.ir.build import Emit, computed, map_graph, typed
from wengert.ir.graph import Const, Graph, Guard, Node, Value, aval_of
from wengert.ir.identities import IDENTITIES, Identity, Source
from wengert.ir.keys import key
from wengert.ir.questions import RAISES
from wengert.ir.regions import map_regions
from wengert.ir.verify import verify

__all__ = [
    "apply_identities",
    "fold_constants",
    "is_kept",
    "merge_common",
    "remove_dead",
    "simplify",
]


def simplify(graph: Graph, *, differentiable: bool = False) -> Graph:
    """Return a graph that gives the same results with fewer nodes.

    Parameters
    ----------
    graph : Graph
    differentiable : bool
        Keep operations that matter to derivatives only (`stop_gradient`, `instead`).

    Returns
    -------
    Graph
        Inputs and outputs are the same in number and order; an output may have become a constant
        or an input. The regions of its nodes are simplified too. The time is linear in the number
        of nodes.
    """
    skipped = ("stop_gradient", "instead") if differentiable else ()
    graph = map_regions(graph, lambda region: simplify(region, differentiable=differentiable))
    walk = _Walk(graph, [_folded, _Identities(skipped), _Common()])
    simplified = remove_dead(map_graph(graph, walk))
    return verify(simplified) if checking.is_on() else simplified


def fold_constants(graph: Graph) -> Graph:
    """Compute the nodes whose inputs are all plain scalars and whose result is one.

    What an array held by reference contains may change, so it is never folded. A computation that
    raises or warns is left to the run.
    """
    return map_graph(graph, _Walk(graph, [_folded]))


def apply_identities(graph: Graph, *, differentiable: bool = False) -> Graph:
    """Apply the table of algebraic identities."""
    skipped = ("stop_gradient", "instead") if differentiable else ()
    return map_graph(graph, _Walk(graph, [_Identities(skipped)]))


def merge_common(graph: Graph) -> Graph:
    """Compute each operation on the same inputs with the same attributes once."""
    return map_graph(graph, _Walk(graph, [_Common()]))


def remove_dead(graph: Graph) -> Graph:
    """Drop the nodes that neither an output nor a guard needs, and results that a loop can omit."""
    alive = {y for y in graph.outputs if isinstance(y, Value)}
    alive.update(g.value for g in graph.guards)
    kept: list[Node] = []
    there: set[int] = set()
    smaller = False
    for node in reversed(graph.nodes):
        if alive.isdisjoint(node.outputs) and not getattr(node.op, "effect", False):
            continue
        there.add(id(node))
        prune = getattr(node.op, "prune", None)
        found = None if prune is None else prune(node, [v in alive for v in node.outputs])
        if found is not None:
            node, smaller = found, True
        alive.update([x for x in node.inputs if isinstance(x, Value)])
        kept.append(node)
    kept.reverse()
    if len(kept) == len(graph.nodes) and not smaller:
        return graph
    return Graph(graph.inputs, kept, graph.outputs, _moved_guards(graph, there))


def _moved_guards(graph: Graph, there: Collection[int]) -> list[Guard]:
    """Put each guard after the kept ones of the nodes before it."""
    if not graph.guards:
        return []
    before = [0]
    for node in graph.nodes:
        before.append(before[-1] + (id(node) in there))
    return [g._replace(position=before[g.position]) for g in graph.guards]


# --- one walk forward -----------------------------------------------------------------------------
Rewrite: TypeAlias = Callable[[Node, Source], Any]


class _Walk:
    """Applies rewrites to each node until none fires; a step of `map_graph`.

    A rewrite returns operands that stand for the node's outputs (a tuple), a better node, or None.
    """

    def __init__(self, graph: Graph, rewrites: Collection[Rewrite]) -> None:
        self.rewrites = rewrites
        self.guarded = {g.value for g in graph.guards if g.kind != RAISES}
        self.made: dict[Value, Node] = {}

    def __call__(self, node: Node, emit: Emit) -> tuple[Any, ...] | None:
        """Rewrite one node."""
        first = node
        while not is_kept(node.op):
            found = self._fired(node)
            if isinstance(found, tuple):
                return found
            if found is None:
                break
            node = found
        for y in node.outputs:
            self.made[y] = node
        if node is first:
            return None
        emit(node)
        return node.outputs

    def _fired(self, node: Node) -> Any:
        for rewrite in self.rewrites:
            found = rewrite(node, self._source)
            if found is not None and not self._loses_a_guard(node, found):
                return found
        return None

    def _source(self, x: Any) -> Node | None:
        return self.made.get(x) if isinstance(x, Value) else None

    def _loses_a_guard(self, node: Node, found: Any) -> bool:
        """Whether a guard's value would be replaced by a constant, which cannot be checked."""
        if not self.guarded or not isinstance(found, tuple):
            return False
        pairs = zip(node.outputs, found, strict=True)
        return any(y in self.guarded and not isinstance(x, Value) for y, x in pairs)


def is_kept(op: Any) -> bool:
    """Whether an operation is never merged, folded or replaced."""
    return getattr(op, "kept", False) or getattr(op, "effect", False)


# --- folding --------------------------------------------------------------------------------------
def _folded(node: Node, source: Source) -> Any:
    inputs = node.inputs
    for x in inputs:
        if type(x) is Value or isinstance(x, (Value, Const)):
            return None
    (*rest, y) = node.outputs
    if rest or y.aval.shape or (len(inputs) > 1 and all(type(x) is int for x in inputs)):
        return None  # several results, an array, or Python integers without bound
    try:
        with np.errstate(divide="raise", over="raise", invalid="raise", under="ignore"):
            found = typed(computed(node, inputs), y.aval)
    except Exception:
        return None
    found = found[()] if isinstance(found, np.ndarray) else found
    return (found,) if aval_of(found) == y.aval else None


# --- identities -----------------------------------------------------------------------------------
def _by_operation() -> dict[str, tuple[Identity, ...]]:
    names = {name for row in IDENTITIES for name in row.ops}
    return {name: tuple(row for row in IDENTITIES if name in row.ops) for name in names}


_ROWS = _by_operation()


class _Identities:
    """The table of identities as a rewrite."""

    def __init__(self, skipped: Collection[str] = ()) -> None:
        self.rows = {name: rows for name, rows in _ROWS.items() if name not in skipped}

    def __call__(self, node: Node, source: Source) -> Any:
        """Apply the first row that fires."""
        for row in self.rows.get(node.op.name, ()):
            found = row.rule(node, source)
            if found is not None:
                return found if isinstance(found, Node) else (found,)
        return None


# --- common subexpressions ------------------------------------------------------------------------
class _Common:
    """Finds the earlier node that computes the same, as a rewrite; it has to come last."""

    def __init__(self) -> None:
        self.seen: dict[Any, Node] = {}

    def __call__(self, node: Node, source: Source) -> Any:
        """Return the outputs of the earlier node."""
        attrs: Any = node.attrs
        attrs = tuple([(name, key(a)) for name, a in sorted(attrs.items())]) if attrs else ()
        inputs = tuple([x if type(x) is Value else key(x) for x in node.inputs])
        outputs = node.outputs
        weak = outputs[0].aval.weak if len(outputs) == 1 else [y.aval.weak for y in outputs]
        k = (node.op, inputs, attrs, weak if type(weak) is bool else tuple(weak))
        earlier = self.seen.setdefault(k, node)
        return None if earlier is node else earlier.outputs
