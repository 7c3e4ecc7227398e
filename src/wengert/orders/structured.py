"""Orders of elimination where edges have structure, so that products cost what they cost.

The graph's edges have kinds, and an `Algebra` says of what kind the product and the sum of two are,
and what they take. With one kind of edge and products that cost 1, this is the usual elimination.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from wengert.orders.kept import Kept, save
from wengert.orders.search import Effort, effort_of, kept_order

__all__ = ["Algebra", "StructuredGraph", "find_structured"]


class Algebra(Protocol):
    """Products and sums of kinds of edges, and their costs."""

    def times(self, a: Any, b: Any) -> tuple[Any, float]:
        """Return the kind of `a` after `b`, and what the product takes."""

    def plus(self, a: Any, b: Any) -> tuple[Any, float]:
        """Return the kind of a sum, and what it takes."""

    def end(self, a: Any) -> float:
        """Return what it takes to hand out an edge from an input to an output."""


class StructuredGraph:
    """A graph without cycles whose edges have kinds.

    Parameters
    ----------
    intermediates : int
        The vertices before this number, in the order of the program.
    vertices : int
    edges : mapping of (source, target) to kind
    algebra : Algebra
    widths : sequence of float, optional
        How many numbers each vertex stands for.
    """

    def __init__(
        self,
        intermediates: int,
        vertices: int,
        edges: Mapping[tuple[int, int], Hashable],
        algebra: Algebra,
        widths: Sequence[float] | None = None,
    ) -> None:
        self.intermediates, self.vertices = intermediates, vertices
        self.algebra = algebra
        self.widths = list(widths) if widths is not None else [1.0] * vertices
        self._numbers: dict[Hashable, int] = {}
        self._kinds: list[Any] = []
        self._product: dict[tuple[int, int], tuple[int, float]] = {}
        self._sum: dict[tuple[int, int], tuple[int, float]] = {}
        self._last: dict[int, float] = {}
        self.edges = {e: self._number(kind) for e, kind in edges.items()}
        self.before: list[list[int]] = [[] for _ in range(vertices)]
        self.after: list[list[int]] = [[] for _ in range(vertices)]
        for u, v in self.edges:
            self.before[v].append(u)
            self.after[u].append(v)

    def _number(self, kind: Hashable) -> int:
        found = self._numbers.get(kind)
        if found is None:
            found = self._numbers[kind] = len(self._kinds)
            self._kinds.append(kind)
        return found

    def product(self, a: int, b: int) -> tuple[int, float]:
        """Return the number of the kind of ``a @ b``, and what it takes."""
        found = self._product.get((a, b))
        if found is None:
            kind, work = self.algebra.times(self._kinds[a], self._kinds[b])
            found = self._product[a, b] = self._number(kind), work
        return found

    def total(self, a: int, b: int) -> tuple[int, float]:
        """Return the number of the kind of a sum, and what it takes."""
        found = self._sum.get((a, b))
        if found is None:
            kind, work = self.algebra.plus(self._kinds[a], self._kinds[b])
            found = self._sum[a, b] = self._number(kind), work
        return found

    def start(self) -> Elimination:
        """Return the state before anything is eliminated."""
        return Elimination(self)

    def cost(self, order: Sequence[int], limit: float = math.inf) -> float:
        """Return what an order takes; infinity where that is more than `limit`."""
        state = self.start()
        for v in order:
            state.eliminate(v)
            if state.spent > limit:
                return math.inf
        return state.finish()


class Elimination:
    """The edges that are left, and what was spent."""

    __slots__ = ("after", "before", "edges", "graph", "spent")

    def __init__(self, graph: StructuredGraph) -> None:
        self.graph = graph
        self.edges = dict(graph.edges)
        self.before = [list(x) for x in graph.before]
        self.after = [list(x) for x in graph.after]
        self.spent = 0.0

    def copy(self) -> Elimination:
        """Return the same state."""
        made = Elimination.__new__(Elimination)
        made.graph, made.edges, made.spent = self.graph, dict(self.edges), self.spent
        made.before = [list(x) for x in self.before]
        made.after = [list(x) for x in self.after]
        return made

    def price(self, v: int) -> float:
        """Return what the elimination of `v` would take now."""
        edges, graph = self.edges, self.graph
        work = 0.0
        for u in self.before[v]:
            first = edges[u, v]
            for w in self.after[v]:
                kind, w1 = graph.product(edges[v, w], first)
                work += w1
                have = edges.get((u, w))
                if have is not None:
                    work += graph.total(have, kind)[1]
        return work

    def eliminate(self, v: int) -> None:
        """Multiply each pair of an edge in and an edge out."""
        edges, graph = self.edges, self.graph
        before, after = self.before[v], self.after[v]
        last = [(w, edges.pop((v, w))) for w in after]
        for u in before:
            first = edges.pop((u, v))
            nexts = self.after[u]
            nexts.remove(v)
            for w, second in last:
                kind, work = graph.product(second, first)
                self.spent += work
                have = edges.get((u, w))
                if have is None:
                    nexts.append(w)
                    self.before[w].append(u)
                else:
                    kind, work = graph.total(have, kind)
                    self.spent += work
                edges[u, w] = kind
        for w in after:
            self.before[w].remove(v)
        self.before[v], self.after[v] = [], []

    def finish(self) -> float:
        """Return what all took, with what is handed out."""
        graph = self.graph
        for kind in self.edges.values():
            work = graph._last.get(kind)
            if work is None:
                work = graph._last[kind] = graph.algebra.end(graph._kinds[kind])
            self.spent += work
        return self.spent


# --- orders ---------------------------------------------------------------------------------------
def cheapest_first(graph: StructuredGraph) -> list[int]:
    """Eliminate the vertex that takes least now (Markowitz, with true costs)."""
    state, left, order = graph.start(), set(range(graph.intermediates)), []
    prices = {v: state.price(v) for v in left}
    while left:
        v = min(left, key=lambda v: (prices[v], v))
        near = {*state.before[v], *state.after[v]}
        state.eliminate(v)
        order.append(v)
        left.remove(v)
        for w in near & left:
            prices[w] = state.price(w)
    return order


def separators(graph: StructuredGraph) -> list[int]:
    """Return the intermediate vertices that every path goes through, in order."""
    n = graph.intermediates
    place = {v: i for i, v in enumerate(range(n))}
    reach = -1  # the furthest that an edge from before leads
    found = []
    far = [-1] * (n + 1)
    for u, v in graph.edges:
        start = place.get(u, -1)
        stop = place.get(v, n)
        far[start + 1] = max(far[start + 1], stop)
    for v in range(n):
        reach = max(reach, far[v])
        if reach <= v:
            found.append(v)
    return found


def bracketed(graph: StructuredGraph) -> list[int] | None:
    """Return the best bracketing at the vertices that every path goes through.

    Dynamic programming over the parts between them (Godbole, *On efficient computation of matrix
    chain products*, 1973), where a part is accumulated by itself or under what comes before or
    after it (Naumann, *Optimization of generalized Jacobian chain products*, 2023).
    """
    cuts = separators(graph)
    if not cuts or len(cuts) > 40:
        return None
    parts: list[list[int]] = []
    start = 0
    for c in (*cuts, graph.intermediates):
        parts.append(list(range(start, c)))
        start = c + 1
    best: dict[tuple[int, int], tuple[float, list[int]]] = {}

    def ends(i: int, j: int) -> Elimination:
        """Return the graph of the parts from i to j alone."""
        state = graph.start()
        inside = {v for p in parts[i : j + 1] for v in p} | set(cuts[i:j])
        first = {cuts[i - 1]} if i else set(range(graph.intermediates, graph.vertices))
        last = {cuts[j]} if j < len(cuts) else set(range(graph.intermediates, graph.vertices))
        state.edges = {
            (u, v): k
            for (u, v), k in state.edges.items()
            if (u in inside or u in first) and (v in inside or v in last)
        }
        state.before = [[] for _ in range(graph.vertices)]
        state.after = [[] for _ in range(graph.vertices)]
        for u, v in state.edges:
            state.before[v].append(u)
            state.after[u].append(v)
        return state

    def priced(i: int, j: int, order: list[int]) -> float:
        state = ends(i, j)
        for v in order:
            state.eliminate(v)
        return state.finish() if i == 0 and j == len(cuts) else state.spent

    count = len(parts)
    for i in range(count):
        options = [parts[i], parts[i][::-1]]
        best[i, i] = min(((priced(i, i, o), o) for o in options), key=lambda x: x[0])
    for span in range(1, count):
        for i in range(count - span):
            j = i + span
            tried = []
            for k in range(i, j):
                low, high = best[i, k][1], best[k + 1, j][1]
                rest = [v for p in range(k + 1, j + 1) for v in (cuts[p - 1], *parts[p])]
                first = [v for p in range(i, k + 1) for v in (*parts[p], cuts[p])]
                tried += [[*low, *high, cuts[k]], [*low, *rest], [*high, *first[::-1]]]
            best[i, j] = min(((priced(i, j, o), o) for o in tried), key=lambda x: x[0])
    return best[0, count - 1][1]


def waist(graph: StructuredGraph) -> list[int] | None:
    """Accumulate both sides of the narrowest cut, each from the cut on, and then the cut.

    The cut is a set of values of least width that every path goes through (Ford and Fulkerson).
    """
    cut = minimum_cut(graph)
    if not cut:
        return None
    below: set[int] = set()
    stack = list(cut)
    while stack:
        for w in graph.after[stack.pop()]:
            if w not in below and w not in cut:
                below.add(w)
                stack.append(w)
    n = graph.intermediates
    last = [v for v in range(n) if v in below]
    first = [v for v in range(n) if v not in below and v not in cut]
    return [*reversed(first), *last, *sorted(cut)]


def minimum_cut(graph: StructuredGraph) -> set[int]:
    """Return the intermediate vertices of least total width that separate inputs from outputs.

    Empty where some edge leads past all of them.
    """
    n = graph.intermediates
    if any(u >= n and v >= n for u, v in graph.edges):
        return set()
    # vertex v is split into 2v (in) and 2v + 1 (out); the source is 2n, the sink 2n + 1
    flow: dict[int, dict[int, float]] = {i: {} for i in range(2 * n + 2)}
    for v in range(n):
        flow[2 * v][2 * v + 1] = float(graph.widths[v])
        flow[2 * v + 1].setdefault(2 * v, 0.0)
    for u, v in graph.edges:
        a = 2 * u + 1 if u < n else 2 * n
        b = 2 * v if v < n else 2 * n + 1
        flow[a][b] = math.inf
        flow[b].setdefault(a, 0.0)
    while True:
        came = {2 * n: -1}
        queue = [2 * n]
        for a in queue:
            for b, room in flow[a].items():
                if room > 0 and b not in came:
                    came[b] = a
                    queue.append(b)
        if 2 * n + 1 not in came:
            return {v for v in range(n) if 2 * v in came and 2 * v + 1 not in came}
        b, least = 2 * n + 1, math.inf
        while came[b] >= 0:
            least = min(least, flow[came[b]][b])
            b = came[b]
        b = 2 * n + 1
        while came[b] >= 0:
            flow[came[b]][b] -= least
            flow[b][came[b]] += least
            b = came[b]


def _annealed(
    graph: StructuredGraph, begin: list[int], cost: float, effort: Effort, until: float
) -> tuple[float, list[int]]:
    n = graph.intermediates
    rng = np.random.default_rng(0)
    order, best = list(begin), list(begin)
    now = least = cost
    tries = min(effort.work // (64 * max(len(graph.edges), n) * 64), 4000)
    for t in range(tries):
        heat = 0.05 * least * (1 - t / tries)
        a = int(rng.integers(0, n))
        b = int(np.clip(a + rng.integers(-max(n // 3, 2), max(n // 3, 2) + 1), 0, n - 1))
        changed = list(order)
        changed.insert(b, changed.pop(a))
        found = graph.cost(changed, now + heat * rng.exponential())
        if found < math.inf:
            order, now = changed, found
            if now < least:
                best, least = list(order), now
        if t % 16 == 0 and time.perf_counter() > until:
            break
    return least, best


RULES = {
    "forward": lambda g: list(range(g.intermediates)),
    "reverse": lambda g: list(range(g.intermediates))[::-1],
    "markowitz": cheapest_first,
    "bracketing": bracketed,
    "waist": waist,
}


def find_structured(
    graph: StructuredGraph, effort: str = "default", key: str | None = None
) -> tuple[list[int], str]:
    """Return the cheapest order that an effort finds, and what found it.

    Parameters
    ----------
    graph : StructuredGraph
    effort : {"default", "high"}
    key : str, optional
        The hash of the graph, under which the best order is kept and found again.
    """
    spend = effort_of(effort)
    n = graph.intermediates
    before = kept_order(key, n) if key is not None else None
    if before is not None and (before.effort == "high" or effort == "default"):
        return list(before.order), before.method
    tried = [] if before is None else [(graph.cost(before.order), [*before.order], before.method)]
    for name, rule in RULES.items():
        order = rule(graph)
        if order is not None:
            tried.append((graph.cost(order), order, name))
    cost, order, method = min(tried, key=lambda x: x[0])
    if 2 <= n <= (SETS if effort == "default" else SETS + 4):
        least, found = _exact(graph, cost)
        if least < cost:
            order, method = found, "exact"
    elif n > 2 and effort != "default":
        until = time.perf_counter() + min(spend.seconds, 30.0)
        least, found = _annealed(graph, order, cost, spend, until)
        if least < cost:
            order, method = found, "annealing"
    if key is not None and n > SETS:
        save(key, Kept(tuple(order), method, effort))
    return order, method


SETS = 6
"""Intermediate vertices up to which all orders are compared."""


def _exact(graph: StructuredGraph, bound: float) -> tuple[float, list[int]]:
    """Return the best order, by branch and bound over what is left after each set of vertices.

    What a set leaves depends on its order only in how terms are grouped, so a set that was reached
    for less is not gone on from.
    """
    n = graph.intermediates
    best: tuple[float, list[int]] = (bound, [])
    least: dict[int, float] = {}

    def visit(state: Elimination, mask: int, order: list[int]) -> None:
        nonlocal best
        if state.spent >= best[0] or state.spent >= least.get(mask, math.inf):
            return
        least[mask] = state.spent
        if len(order) == n:
            total = state.copy().finish()
            if total < best[0]:
                best = total, order
            return
        left = [v for v in range(n) if not mask >> v & 1]
        for _, v in sorted((state.price(v), v) for v in left):
            further = state.copy()
            further.eliminate(v)
            visit(further, mask | 1 << v, [*order, v])

    visit(graph.start(), 0, [])
    return best if best[1] else (math.inf, [])
