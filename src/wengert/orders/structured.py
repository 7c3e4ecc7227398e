"""Orders of elimination where edges have structure, so that products cost what they cost.

The graph's edges have kinds, and an `Algebra` says of what kind the product and the sum of two are,
and what they take. With one kind of edge and products that cost 1, this is the usual elimination.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

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

    def __init__(
        self, graph: StructuredGraph, edges: Mapping[tuple[int, int], int] | None = None
    ) -> None:
        self.graph = graph
        self.edges = dict(graph.edges if edges is None else edges)
        self.before: dict[int, list[int]] = defaultdict(list)
        self.after: dict[int, list[int]] = defaultdict(list)
        for u, v in self.edges:
            self.before[v].append(u)
            self.after[u].append(v)
        self.spent = 0.0

    def copy(self) -> Elimination:
        """Return the same state."""
        made = Elimination(self.graph, self.edges)
        made.spent = self.spent
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


CUTS = 30
"""Brackets are placed at no more values than these, the narrowest ones."""


def bracketed(graph: StructuredGraph) -> list[int] | None:
    """Return the best bracketing at the vertices that every path goes through.

    Dynamic programming over the parts between them (Godbole, *On efficient computation of matrix
    chain products*, 1973). Parts are multiplied as matrices, or what lies before a part is pushed
    through it, or what lies after it pulled (Naumann's chains of matrix-free factors).
    """
    cuts = separators(graph)
    if len(cuts) > CUTS:
        cuts = sorted(sorted(cuts, key=lambda v: (graph.widths[v], v))[:CUTS])
    return _Brackets(graph, cuts).order() if cuts else None


Ends = tuple[tuple[int, int, int], ...]
"""Edges between the ends of a part: source, target, kind."""


class _Segment(NamedTuple):
    """Some parts one after the other, accumulated."""

    cost: float
    ends: Ends
    order: tuple[Any, ...]  # of vertices and of such tuples, nested


class _Brackets:
    """The table of the best ways to accumulate each run of parts."""

    def __init__(self, graph: StructuredGraph, cuts: list[int]) -> None:
        self.graph, self.cuts = graph, cuts
        bounds = [-1, *cuts, graph.intermediates]
        self.parts = [list(range(a + 1, b)) for a, b in pairwise(bounds)]
        place = {c: k for k, c in enumerate(cuts)}
        self.edges: list[dict[tuple[int, int], int]] = [{} for _ in self.parts]
        within = {v: k for k, part in enumerate(self.parts) for v in part}
        last = len(self.parts) - 1
        for (u, v), kind in graph.edges.items():
            if v in within:
                k = within[v]
            elif u in within:
                k = within[u]
            else:
                k = place[u] + 1 if u in place else place.get(v, last)
            self.edges[k][u, v] = kind
        self._through: dict[tuple[int, bool, Ends], tuple[float, Ends]] = {}

    def _run(self, edges: dict[tuple[int, int], int], order: list[int]) -> tuple[float, Ends]:
        state = Elimination(self.graph, edges)
        for v in order:
            state.eliminate(v)
        return state.spent, tuple(sorted((u, v, k) for (u, v), k in state.edges.items()))

    def _single(self, k: int) -> _Segment:
        ways = [self.parts[k], self.parts[k][::-1]]
        found = [(*self._run(self.edges[k], way), tuple(way)) for way in ways]
        return _Segment(*min(found, key=lambda f: f[0]))

    def _pass(self, k: int, forward: bool, ends: Ends) -> tuple[float, Ends]:
        """Push what lies before part k through it, or pull what lies after it."""
        found = self._through.get((k, forward, ends))
        if found is None:
            edges = {**self.edges[k], **{(u, v): kind for u, v, kind in ends}}
            found = self._through[k, forward, ends] = self._run(edges, self._steps(k, forward))
        return found

    def _steps(self, k: int, forward: bool) -> list[int]:
        part = self.parts[k]
        return [self.cuts[k - 1], *part] if forward else [self.cuts[k], *part[::-1]]

    def _product(self, low: Ends, high: Ends) -> tuple[float, Ends]:
        cost, made = 0.0, []
        for u, _, first in low:
            for _, w, second in high:
                kind, work = self.graph.product(second, first)
                cost += work
                made.append((u, w, kind))
        return cost, tuple(sorted(made))

    def order(self) -> list[int]:
        """Return the best order."""
        best: dict[tuple[int, int], _Segment] = {}
        count = len(self.parts)
        for k in range(count):
            best[k, k] = self._single(k)
        for span in range(1, count):
            for i in range(count - span):
                best[i, i + span] = self._best(best, i, i + span)
        flat: list[int] = []
        stack: list[Any] = [best[0, count - 1].order]
        while stack:
            top = stack.pop()
            if isinstance(top, tuple):
                stack.extend(reversed(top))
            else:
                flat.append(top)
        return flat

    def _best(self, best: dict[tuple[int, int], _Segment], i: int, j: int) -> _Segment:
        least: _Segment | None = None
        for k in range(i, j):
            low, high = best[i, k], best[k + 1, j]
            cost, ends = self._product(low.ends, high.ends)
            cost += low.cost + high.cost
            if least is None or cost < least.cost:
                least = _Segment(cost, ends, (low.order, high.order, self.cuts[k]))
        assert least is not None
        for k, forward, before in ((j, True, best[i, j - 1]), (i, False, best[i + 1, j])):
            if self.parts[k]:
                cost, ends = self._pass(k, forward, before.ends)
                cost += before.cost
                if cost < least.cost:
                    steps = tuple(self._steps(k, forward))
                    least = _Segment(cost, ends, (before.order, *steps))
        return least


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
