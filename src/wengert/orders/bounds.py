"""A number of multiplications that every order of elimination takes.

The vertices that lead to `v` when it is eliminated separate it from the inputs, so there are at
least as many as paths from inputs to `v` that share no other vertex (Menger); as many again lead on
to outputs. What `v` costs is at least the product of both numbers, whatever the order. Where edges
of +1 and -1 are free, paths count whose edge at `v` is general, as that of the last vertex before
`v` is then general too.
"""

from __future__ import annotations

from collections.abc import Callable

from wengert.orders.problem import EliminationGraph

__all__ = ["disjoint_paths", "lower_bound"]


def disjoint_paths(
    neighbours: list[list[int]], begin: list[int], ends: Callable[[int], bool]
) -> int:
    """Return how many paths lead from different vertices of `begin` to `ends`, sharing no vertex.

    Augmenting paths in the graph of which each vertex is split in two, its way in and its way out.
    """
    onward: dict[int, int] = {}  # the vertex after each one on a path; -1 at an end
    back: dict[int, int] = {}  # the vertex before it; -1 at a beginning
    found = 0
    for first in begin:
        if back.get(first) == -1:
            continue
        # a state is a vertex, and whether it was entered against the direction of its own path
        came: dict[tuple[int, bool], tuple[int, bool] | None] = {(first, False): None}
        stack = [(first, False)]
        last = None
        while stack and last is None:
            v, inside = state = stack.pop()
            on_path = v in back
            if on_path and not inside:  # only back along the path that uses it
                nexts = [(back[v], True)] if back[v] >= 0 else []
            else:
                if ends(v) and not (on_path and onward[v] == -1):
                    last = state
                    break
                nexts = [(w, False) for w in neighbours[v] if onward.get(v) != w]
                if on_path and back[v] >= 0:
                    nexts.append((back[v], True))
            for other in nexts:
                if other not in came:
                    came[other] = state
                    stack.append(other)
        if last is None:
            continue
        found += 1
        onward, back = _augmented(onward, back, came, last)
    return found


def _augmented(
    onward: dict[int, int],
    back: dict[int, int],
    came: dict[tuple[int, bool], tuple[int, bool] | None],
    last: tuple[int, bool],
) -> tuple[dict[int, int], dict[int, int]]:
    """Return the edges of all paths after one more, edges walked backwards having gone."""
    edges = set(onward.items())
    edges.add((last[0], -1))
    begins = {v for v, u in back.items() if u == -1}
    state: tuple[int, bool] | None = last
    while state is not None:
        before = came[state]
        if before is None:
            begins.add(state[0])
        elif state[1]:
            edges.discard((state[0], before[0]))
        else:
            edges.add((before[0], state[0]))
        state = before
    onward = dict(edges)
    back = dict.fromkeys(begins, -1)
    for u, w in edges:
        if w >= 0:
            back[w] = u
    return onward, back


def lower_bound(graph: EliminationGraph) -> int:
    """Return multiplications that no order of vertices goes below."""
    of, on = graph.neighbours
    inputs, outputs = set(graph.inputs), set(graph.outputs)
    free = graph.unit_free
    total = 0
    for v in range(graph.intermediates):
        first = [u for u in of[v] if not free or graph.edges[u, v]]
        last = [w for w in on[v] if not free or graph.edges[v, w]]
        if first and last:
            total += disjoint_paths(of, first, inputs.__contains__) * disjoint_paths(
                on, last, outputs.__contains__
            )
    return total
