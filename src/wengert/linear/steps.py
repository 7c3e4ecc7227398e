"""An order of elimination as steps: what each multiplies, and which edges it leaves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from wengert.linear.arrays import ArrayGraph
from wengert.linear.scalars import ScalarGraph
from wengert.orders.problem import EliminationGraph

__all__ = ["Step", "named", "roles_of", "steps_of"]

Pair = tuple[int, int]


class Step(NamedTuple):
    """The elimination of one vertex.

    Attributes
    ----------
    vertex : int
        Its number, as in the order.
    name : str
        The operation that made the value, and the value's number in the linear graph.
    multiplications : int
        Of local Jacobians into it with those out of it.
    made : tuple of (int, int)
        Edges between other vertices that were not there before.
    edges : tuple of (int, int)
        Those that are there after it.
    """

    vertex: int
    name: str
    multiplications: int
    made: tuple[Pair, ...]
    edges: tuple[Pair, ...]


def steps_of(graph: ScalarGraph | ArrayGraph, order: Sequence[int]) -> tuple[Step, ...]:
    """Return the steps of an order, which is known to be one of this graph."""
    names = named(graph)
    walk = _of_numbers(graph.problem, order) if isinstance(graph, ScalarGraph) else (
        (work.multiplications, kinds) for work, kinds in graph.steps(order)
    )  # fmt: skip
    before = set(graph.problem.edges)
    found = []
    for v, (multiplications, edges) in zip(order, walk, strict=True):
        made = tuple(sorted(set(edges) - before))
        before = set(edges)
        found.append(Step(v, names[v], multiplications, made, tuple(sorted(edges))))
    return tuple(found)


def _of_numbers(problem: EliminationGraph, order: Sequence[int]) -> Iterator[tuple[int, Any]]:
    """Yield what each step multiplies, and the edges after it: True where one is not +1 or -1."""
    edges = {e: general or not problem.unit_free for e, general in problem.edges.items()}
    of, on = (list(map(set, lists)) for lists in problem.neighbours)
    for v in order:
        count = 0
        for u in of[v]:
            on[u].discard(v)
            for w in on[v]:
                both = edges[u, v] and edges[v, w]
                count += both
                known = (u, w) in edges
                edges[u, w] = known or edges[u, v] or edges[v, w]
                on[u].add(w)
                of[w].add(u)
        for w in on[v]:
            of[w].discard(v)
            del edges[v, w]
        for u in of[v]:
            del edges[u, v]
        yield count, dict(edges)


def named(graph: ScalarGraph | ArrayGraph) -> list[str]:
    """Return a name for each vertex: the operation, the value's number, and the entry."""
    vertices = graph.graph.vertices
    found = []
    for label in map(str, graph.names):
        number, bracket, place = label.partition("[")
        made = vertices[int(number)].name if int(number) < len(vertices) else "result"
        found.append(f"{made} {number}{bracket}{place}")
    return found


def roles_of(graph: ScalarGraph | ArrayGraph) -> list[str]:
    """Return ``argument``, ``intermediate`` or ``result`` for each vertex."""
    problem = graph.problem
    into = {v for _, v in problem.edges}
    return [
        "intermediate" if v < problem.intermediates else "result" if v in into else "argument"
        for v in range(problem.vertices)
    ]
