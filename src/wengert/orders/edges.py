"""Elimination of edges, which are finer steps than that of a vertex.

To eliminate an edge from its front is to multiply it with each edge that leads on from its target;
from its back, with each that leads to its source (Naumann, *Elimination methods in computational
graphs*, 2002). All edges that lead to a vertex, from their fronts, are the vertex.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.errors import OrderError, user_line
from wengert.loopc.loops import Floats, Ints, Longs, compiled
from wengert.orders.bounds import lower_bound
from wengert.orders.problem import EliminationGraph
from wengert.orders.search import Found, effort_of, find_order

__all__ = ["EdgeStep", "FoundEdges", "eliminate_edges", "find_edges"]

EdgeStep = tuple[int, int, bool]
"""Source and target of an edge, and whether it is eliminated from its front."""


@dataclass(frozen=True)
class FoundEdges:
    """A sequence of edges to eliminate.

    Attributes
    ----------
    steps : tuple of (source, target, front)
    multiplications : int
    method : str
    """

    steps: tuple[EdgeStep, ...]
    multiplications: int
    method: str


@compiled
def _put(at: int, made: int, kind: Ints, live: Ints, where: Ints, count: int) -> int:
    """Set the kind of an edge; return how many there are."""
    if kind[at] == 0:
        live[count] = at
        where[at] = count
        count += 1
    kind[at] = made
    return count


@compiled
def _drop(at: int, kind: Ints, live: Ints, where: Ints, count: int) -> int:
    """Take an edge away; return how many are left."""
    if kind[at] != 0:
        kind[at] = 0
        count -= 1
        last = live[count]
        live[where[at]] = last
        where[last] = where[at]
    return count


@compiled
def _decode(
    size: int, n: int, first: Ints, kind: Ints, rank: Floats, front: Ints, live: Ints, where: Ints,
    limit: int, steps: Longs,
) -> int:  # fmt: skip
    """Eliminate edges by rank, the least first; return the multiplications.

    `steps` gets twice the place of each edge in the matrix, plus 1 where it went from its front;
    its last element how many there are. Edges from an input to an output stay.
    """
    count = 0
    for i in range(size * size):
        kind[i] = 0
    for i in range(len(first) // 2):
        count = _put(first[2 * i], first[2 * i + 1], kind, live, where, count)
    total = 0
    done = 0
    going = True
    while going and total <= limit and done < len(steps) - 1:
        best = -1
        for i in range(count):
            at = live[i]
            inner = at // size < n or at % size < n
            if inner and (best < 0 or rank[at] < rank[best]):
                best = at
        if best < 0:
            going = False
        else:
            u = best // size
            v = best - u * size
            k = kind[best]
            ahead = u >= n or (v < n and front[best] == 1)
            count = _drop(best, kind, live, where, count)
            left = 0
            for x in range(size):
                from_x = v * size + x if ahead else x * size + u
                at = u * size + x if ahead else x * size + v
                a = kind[from_x]
                if a != 0:
                    if a == 2 and k == 2:
                        total += 1
                    made = max(a, k) if kind[at] == 0 else 2
                    count = _put(at, made, kind, live, where, count)
                if kind[x * size + v if ahead else u * size + x] != 0:
                    left += 1
            if left == 0:  # what only this edge needed is gone with it
                for x in range(size):
                    count = _drop(v * size + x if ahead else x * size + u, kind, live, where, count)
            steps[done] = best * 2 + (1 if ahead else 0)
            done += 1
    steps[len(steps) - 1] = done
    if going:
        return limit + 1
    return total


@compiled
def _anneal(
    size: int, n: int, first: Ints, kind: Ints, rank: Floats, front: Ints, live: Ints, where: Ints,
    state: Longs, place: Longs, new: Floats, side: Ints, allowed: Floats, steps: Longs, best: Longs,
) -> None:  # fmt: skip
    """Try other ranks of single edges; keep what adds no more than is allowed."""
    for t in range(len(place)):
        at = place[t]
        old = rank[at]
        was = front[at]
        rank[at] = new[t]
        front[at] = side[t]
        limit = state[0] + int(allowed[t])
        found = _decode(size, n, first, kind, rank, front, live, where, limit, steps)
        if found <= limit:
            state[0] = found
            if found < state[1]:
                state[1] = found
                for i in range(len(steps)):
                    best[i] = steps[i]
        else:
            rank[at] = old
            front[at] = was


def find_edges(
    graph: EliminationGraph, effort: str = "default", begin: Found | None = None
) -> FoundEdges:
    """Return a cheap sequence of edge eliminations, never worse than the best order of vertices.

    Parameters
    ----------
    graph : EliminationGraph
    effort : {"default", "high"}
    begin : Found, optional
        The order of vertices to begin with.
    """
    spend = effort_of(effort)
    start = find_order(graph, effort) if begin is None else begin
    n, size = graph.intermediates, graph.vertices
    first = [
        x
        for (u, v), general in graph.edges.items()
        for x in (u * size + v, 2 if general or not graph.unit_free else 1)
    ]
    after = np.zeros(size)
    after[list(start.order)] = np.arange(n)
    rank = np.tile(after[None, :], (size, 1))
    rank[:, n:] = after[:, None] + 0.5
    room = np.zeros((4, size * size), np.int32)
    room[1] = 1
    arrays = (np.array(first, np.int32), room[0], rank.reshape(-1), room[1], room[2], room[3])
    steps = np.zeros(16 * len(graph.edges) + 64, np.int64)
    total = int(_decode(size, n, *arrays, 1 << 60, steps))
    best = steps.copy()
    state = np.array([total, total], np.int64)
    rng = np.random.default_rng(0)
    if total <= lower_bound(graph):
        spend = spend._replace(work=0)
    tries = int(min(spend.work // (20 * max(total, 1)), 400_000))
    until = time.perf_counter() + min(spend.seconds, 30.0)
    method, hot = start.method, max(0.02 * total, 1.0)
    for done in range(0, tries, 512):
        m = min(512, tries - done)
        heat = hot * (0.1 / hot) ** ((done + np.arange(m)) / tries)
        used = steps[: steps[-1]] // 2
        place = rng.choice(used, m).astype(np.int64)
        old = arrays[2][place]
        new = old + rng.normal(0, n / 6, m)
        side = rng.integers(0, 2, m).astype(np.int32)
        _anneal(
            size, n, *arrays, state, place, new, side, heat * rng.exponential(1.0, m), steps, best
        )
        if time.perf_counter() > until:
            break
    if state[1] < total:
        method = "annealing of edges"
    found = [(int(x) // 2 // size, int(x) // 2 % size, bool(x & 1)) for x in best[: best[-1]]]
    return FoundEdges(tuple(found), int(state[1]), method)


def eliminate_edges(
    edges: dict[tuple[int, int], Any], steps: Sequence[EdgeStep], intermediates: int, times: Any
) -> tuple[dict[tuple[int, int], Any], int]:
    """Eliminate edges one by one; return what is left, and the number of products.

    Raises
    ------
    OrderError
        For a step whose edge is not there, or steps that leave an intermediate vertex.
    """
    c = dict(edges)
    count = 0
    for u, v, front in steps:
        if (u, v) not in c:
            raise OrderError(f"there is no edge from {u} to {v} to eliminate" + user_line())
        k = c.pop((u, v))
        if front:
            for w in [w for x, w in c if x == v]:
                made = times(c[v, w], k)
                count += 1
                c[u, w] = c[u, w] + made if (u, w) in c else made
            if not any(w == v for _, w in c):
                c = {(x, w): y for (x, w), y in c.items() if x != v}
        else:
            for x in [x for x, w in c if w == u]:
                made = times(k, c[x, u])
                count += 1
                c[x, v] = c[x, v] + made if (x, v) in c else made
            if not any(x == u for x, _ in c):
                c = {(x, w): y for (x, w), y in c.items() if w != u}
    if any(u < intermediates or v < intermediates for u, v in c):
        raise OrderError("the steps leave edges at intermediate vertices" + user_line())
    return c, count
