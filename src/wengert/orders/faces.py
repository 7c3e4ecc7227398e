"""Elimination of faces, which multiplies one pair of edges at a time.

In the dual graph an edge is a vertex, and a face is a pair of edges one after the other. Edges
between the same vertices may stay apart there, so no elimination of vertices or edges takes fewer
multiplications than the best one of faces (Naumann, *Optimal accumulation of Jacobian matrices by
elimination methods on the dual computational graph*, 2004).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.orders.bounds import lower_bound
from wengert.orders.edges import EdgeStep, FoundEdges, find_edges
from wengert.orders.problem import EliminationGraph
from wengert.orders.search import effort_of

__all__ = ["Dual", "FoundFaces", "find_faces"]


@dataclass(frozen=True)
class FoundFaces:
    """An elimination of faces.

    Attributes
    ----------
    order : tuple of (int, int, int)
        The vertices of each pair of edges: from, through, to.
    multiplications : int
    """

    order: tuple[tuple[int, int, int], ...]
    multiplications: int


class Dual:
    """The dual graph: a vertex for each edge, a face for each pair of edges one after the other.

    Attributes
    ----------
    ends : dict of int to (int, int)
        Source and target of each edge.
    before, after : dict of int to set of int
        The edges that an edge forms a face with.
    values : dict of int to number
    """

    def __init__(self, graph: EliminationGraph, values: dict[tuple[int, int], Any]) -> None:
        self.n = graph.intermediates
        self.ends: dict[int, tuple[int, int]] = {}
        self.values: dict[int, Any] = {}
        self.before: dict[int, set[int]] = {}
        self.after: dict[int, set[int]] = {}
        self.count = 0
        self.general: dict[int, bool] = {}
        into: dict[int, list[int]] = {}
        out: dict[int, list[int]] = {}
        for i, (u, v) in enumerate(graph.edges):
            self.ends[i] = u, v
            self.values[i] = values.get((u, v), 1.0)
            self.general[i] = graph.edges[u, v] or not graph.unit_free
            into.setdefault(v, []).append(i)
            out.setdefault(u, []).append(i)
        for i, (u, v) in self.ends.items():
            self.before[i] = set(into.get(u, ()))
            self.after[i] = set(out.get(v, ()))
        self.fresh = len(graph.edges)

    def eliminate(self, i: int, j: int) -> None:
        """Multiply the pair (i, j)."""
        made = self.values[j] * self.values[i]
        self.count += self.general[i] and self.general[j]
        kind = self.general[i] or self.general[j]
        ends = self.ends[i][0], self.ends[j][1]
        before, after = self.before[i], self.after[j]
        self.after[i].discard(j)
        self.before[j].discard(i)
        for k, have in self.ends.items():
            if have == ends and self.before[k] == before and self.after[k] == after:
                self.values[k] = self.values[k] + made
                self.general[k] = True
                break
        else:
            k = self.fresh
            self.fresh += 1
            self.ends[k], self.values[k], self.general[k] = ends, made, kind
            self.before[k], self.after[k] = set(before), set(after)
            for x in before:
                self.after[x].add(k)
            for x in after:
                self.before[x].add(k)
        self._tidy(i)
        self._tidy(j)

    def _tidy(self, i: int) -> None:
        """Remove an edge that leads nowhere, or add it to one with the same neighbours."""
        if i not in self.ends:
            return
        u, v = self.ends[i]
        dead = (v < self.n and not self.after[i]) or (u < self.n and not self.before[i])
        if not dead:
            for k, have in self.ends.items():
                if (
                    k != i
                    and have == (u, v)
                    and self.before[k] == self.before[i]
                    and self.after[k] == self.after[i]
                ):
                    self.values[k] = self.values[k] + self.values[i]
                    self.general[k] = True
                    dead = True
                    break
        if dead:
            near = [*self.before.pop(i), *self.after.pop(i)]
            del self.ends[i], self.values[i], self.general[i]
            for k in near:
                if k in self.ends:
                    self.after[k].discard(i)
                    self.before[k].discard(i)
            for k in near:
                self._tidy(k)

    def faces(self) -> list[tuple[int, int]]:
        """Return the pairs that are left."""
        return [(i, j) for i, after in self.after.items() for j in after]

    def result(self) -> dict[tuple[int, int], Any]:
        """Return the entries of the Jacobian."""
        found: dict[tuple[int, int], Any] = {}
        for i, pair in self.ends.items():
            found[pair] = found[pair] + self.values[i] if pair in found else self.values[i]
        return found


def _by_faces(
    graph: EliminationGraph, steps: Sequence[EdgeStep], jitter: dict[tuple[int, int, int], float]
) -> tuple[int, list[tuple[int, int, int]]]:
    """Eliminate faces in the order of a sequence of edges, some of them sooner or later."""
    when: dict[EdgeStep, float] = {}
    for t, (u, v, front) in enumerate(steps):
        when.setdefault((u, v, front), float(t))
    last = float(len(steps))
    dual = Dual(graph, {})
    order = []
    heap: list[tuple[float, int, int, int, int, int]] = []
    known: set[tuple[int, int]] = set()

    def rank(i: int, j: int) -> float:
        (u, m), (_, w) = dual.ends[i], dual.ends[j]
        given: float = min(when.get((u, m, True), last + m), when.get((m, w, False), last + m))
        return given + jitter.get((u, m, w), 0.0)

    def push() -> None:
        for i, after in dual.after.items():
            for j in after:
                if (i, j) not in known:
                    known.add((i, j))
                    (u, m), (_, w) = dual.ends[i], dual.ends[j]
                    heapq.heappush(heap, (rank(i, j), m, u, w, i, j))

    push()
    while heap:
        _, m, u, w, i, j = heapq.heappop(heap)
        if i not in dual.ends or j not in dual.after.get(i, ()):
            continue
        fresh = dual.fresh
        dual.eliminate(i, j)
        order.append((u, m, w))
        if dual.fresh != fresh:
            push()
    return dual.count, order


def find_faces(
    graph: EliminationGraph, effort: str = "default", begin: FoundEdges | None = None
) -> FoundFaces:
    """Return a cheap elimination of faces, found by a short search around one of edges."""
    spend = effort_of(effort)
    edges = find_edges(graph, effort) if begin is None else begin
    best, order = _by_faces(graph, edges.steps, {})
    rng = np.random.default_rng(0)
    jitter: dict[tuple[int, int, int], float] = {}
    until = time.perf_counter() + min(spend.seconds, 8.0)
    lower = lower_bound(graph)
    now = best
    for t in range(20 if effort == "default" else 2000):
        pick = order[int(rng.integers(0, len(order)))] if order else (0, 0, 0)
        changed = {**jitter, pick: float(rng.normal(0, len(edges.steps) / 4))}
        found, other = _by_faces(graph, edges.steps, changed)
        if found <= now + rng.exponential(0.5) * (t % 2):
            jitter, now = changed, found
            if found < best:
                best, order = found, other
        if best <= lower or time.perf_counter() > until:
            break
    return FoundFaces(tuple(order), best)
