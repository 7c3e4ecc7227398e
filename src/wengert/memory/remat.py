"""Rematerialisation: a derivative's graph that computes values again to stay within a budget.

Candidates come from linear programs that say what to hold (`wengert.memory.milp`), from schedules
of chains of stages (`wengert.memory.chain`), and on small graphs from an integer program. They
estimate in terms of the arrays that the backend holds; each candidate is then measured by the
backend's own layout, so what is chosen keeps to the budget exactly. The linear programs also bound
what any candidate can do.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wengert.ir.graph import Graph, Node, Value
from wengert.memory.chain import Chain
from wengert.memory.lean import lean
from wengert.memory.loops import divided
from wengert.memory.milp import relax, replay, solve
from wengert.memory.segments import SMALL, Segments, first_backward, operations

__all__ = ["Fit", "fit"]

GUESSES = 4
"""Candidates chosen by how far off the estimate was; those after them halve what is left."""

TRIES = 14
"""Most candidates that are laid out exactly, of each order of the backward part."""

BESIDE = 4
"""Candidates beside the best one that are laid out too."""

FINE = 1000
"""Part of a forward pass that is not worth another layout."""

DECISIONS = 200
"""Most items times events of the backward pass for which an integer program is solved."""

SQUEEZED = (0.85, 0.7, 0.55, 0.4, 0.2)
"""Parts of a budget that linear programs are solved for, while nothing is within the whole."""

NEAR = 0.02
"""Forward passes by which a plan may exceed the bound before others are looked for."""

SECONDS = 2.0
"""Most time for each of them."""

ROUNDS = 5
"""Linear programs that are rounded."""


class Fit(NamedTuple):
    """What was found for a budget.

    Attributes
    ----------
    graph : Graph
    peak : int
        Bytes, exactly.
    extra : int
        Operations done again.
    within : bool
        Whether the peak is within the budget; if not, it is the least of what was tried.
    gap : float or None
        By how much the operations done again exceed a bound of what any plan needs, in forward
        passes; None where nothing is within the budget.
    """

    graph: Graph
    peak: int
    extra: int
    within: bool
    gap: float | None = None


def fit(graph: Graph, budget: int, measure: Callable[[Graph], Any]) -> Fit:
    """Return an equal graph whose peak is within a budget, with few operations done again.

    Parameters
    ----------
    graph : Graph
        Of a derivative. The operations on the way to each result stay the same.
    budget : int
        Bytes between inputs and outputs.
    measure : callable
        The backend's `Footprint` of a graph.

    Returns
    -------
    Fit
        Of those within the budget the one with the fewest operations; else the smallest.
    """
    orders = [(g, measure(g)) for g in _orders(graph)]
    free = [Fit(g, x.peak, 0, x.peak <= budget, 0.0) for g, x in orders]
    if any(x.within for x in free):
        return min((x for x in free if x.within), key=lambda x: x.peak)
    again = divided(graph, budget, measure)
    if again is not None:
        free.append(Fit(again.graph, again.peak, again.extra, again.peak <= budget))
        if free[-1].within:
            return free[-1]
    searches = [_Search(g, x, budget, measure) for g, x in orders]
    for g, _ in orders:
        if (light := lean(g, SMALL)) is not g:
            footprint, extra = measure(light), operations(light) - operations(g)
            free.append(Fit(light, footprint.peak, extra, footprint.peak <= budget, 0.0))
            searches.append(_Search(light, footprint, budget, measure, extra))
    searches = [x for x in searches if x.segments.stages]
    if not searches:
        return min(free, key=lambda x: x.peak)
    found = _Found(free)
    for search in searches:
        search.relax(found)
    for search in searches:
        if found.gap(searches) > NEAR:
            search.follow(found)
    for search in searches:
        if search.segments.graph is not graph and found.gap(searches) > NEAR:
            search.program(found)
    for search in searches:
        search.squeeze(found)
    best = found.best
    return best._replace(gap=found.gap(searches)) if best.within else best


class _Found(list[Fit]):
    """All candidates so far."""

    @property
    def best(self) -> Fit:
        """The one with the fewest operations of those within the budget, else the smallest."""
        within = [x for x in self if x.within]
        if within:
            return min(within, key=lambda x: (x.extra, x.peak))
        return min(self, key=lambda x: x.peak)

    @property
    def most(self) -> float:
        """Operations done again from which a candidate has nothing to offer."""
        best = self.best
        return best.extra if best.within else math.inf

    def gap(self, searches: Sequence[_Search]) -> float:
        """Return how far the best one is from what any takes, in forward passes."""
        likely = [x for x in searches if x.fits] or searches
        least = min(x.least for x in likely)
        return max(self.most - least, 0.0) / searches[0].segments.forward


class _Search:
    """Looks for graphs within a budget, of one order of the backward part.

    Attributes
    ----------
    segments : Segments
    least : float
        Operations that any plan does again, as far as is known.
    fits : bool
        Whether any plan of this order is likely.
    already : int
        Operations that the graph itself does again.
    """

    def __init__(
        self,
        graph: Graph,
        whole: Any,
        budget: int,
        measure: Callable[[Graph], Any],
        already: int = 0,
    ) -> None:
        self.segments = Segments(graph, whole)
        self.whole = whole
        self.budget = budget
        self.measure = measure
        self.already = already
        self.least = float(already)
        self.fits = True

    def relax(self, found: _Found) -> None:
        """Hold what a linear program holds, for less and less until the peak is small enough.

        This finds what is cheap to compute again in the middle of stages. The bound is that of the
        first one.
        """
        items, events, starts = self.segments.program()
        shared = [x._replace(cost=c) for x, c in zip(items, self.segments.shares(), strict=True)]
        self.items, self.events, self.starts, self.shared = items, events, starts, shared
        first = relax(shared, events, self.budget)
        self.least, self.fits = first.bound + self.already, first.fits
        if self.segments.is_chain:  # `follow` finds the best there is
            return
        limit = float(self.budget)
        for _ in range(ROUNDS):
            exact = self._rounded(limit, found)
            if exact is None or exact <= self.budget:
                break
            limit -= max(exact - self.budget, self.budget / 50)

    def squeeze(self, found: _Found) -> None:
        """Hold less and less while nothing is within the budget."""
        for part in SQUEEZED:
            if found.best.within:
                return
            self._rounded(self.budget * part, found)

    def _rounded(self, limit: float, found: _Found) -> int | None:
        """Hold what a linear program holds."""
        if not self.events:  # the backward part needs nothing of the stages
            return None
        held = relax(self.shared, self.events, int(limit)).held
        again = replay(self.shared, self.events, held)
        return self._added(*self.segments.insert(again, self.starts), found)

    def _added(self, made: Graph, extra: int, found: _Found) -> int | None:
        """Lay a candidate out and keep it; return its peak, None where it is not worth that."""
        extra += self.already
        if extra >= found.most - self.segments.forward / FINE:
            return None
        exact = int(self.measure(made).peak)
        found.append(Fit(made, exact, extra, exact <= self.budget))
        return exact

    def follow(self, found: _Found) -> None:
        """Follow the schedules of chains of stages."""
        chains = self.segments.chains(self.whole.peak)
        for chain in chains:
            self._bisect(chain, found)
        if self.segments.is_chain and math.isfinite(chains[0].cost(self.budget)):
            extra = self.segments.follow(chains[0].schedule(self.budget))[1]
            self.least = max(self.least, extra + self.already)

    def _bisect(self, chain: Chain, found: _Found) -> None:
        """Find the largest budget of the estimate whose exact peak is small enough.

        Schedules that do hardly fewer operations again than a plan that is known are not laid out.
        """
        budget = self.budget
        budgets = chain.budgets()
        peaks: dict[int, int | None] = {}

        def tried(i: int) -> bool:
            """Whether a smaller budget has nothing better to offer."""
            if i not in peaks:
                peaks[i] = self._added(*self.segments.follow(chain.schedule(budgets[i])), found)
            exact = peaks[i]
            return exact is None or exact <= budget

        low, high = 0, len(budgets)  # those before `low` are too large
        if math.isfinite(found.most):  # start with what may just be better
            left = found.most - self.already + self.segments.forward
            guess = next((i for i in reversed(range(high)) if chain.cost(budgets[i]) < left), 0)
        else:
            guess = next((i for i in range(high) if budgets[i] <= budget), high - 1)
        points: dict[bool, tuple[int, int]] = {}  # the nearest too large and not: estimate, exact
        turn = 0
        while low < high and turn < TRIES:
            i = min(max(guess, low), high - 1) if turn < GUESSES else (low + high) // 2
            enough = tried(i)
            low, high = (low, i) if enough else (i + 1, high)
            exact = peaks[i]
            if exact is None:
                guess = high - 1
                continue
            turn += 1
            points[enough] = budgets[i], exact
            aim = _interpolated(points, budget)
            guess = next((k for k in range(low, high) if budgets[k] <= aim), high)
            if False not in points:
                guess = max(guess, high - 2**turn)
        for i in range(high - 1, max(high - 1 - BESIDE, -1), -1):  # it need not be monotone
            tried(i)
        if not any(tried(i) for i in peaks):
            for i in range(len(budgets) - 1, max(len(budgets) - 4, -1), -1):
                tried(i)

    def program(self, found: _Found) -> None:
        """Solve an integer program, once more with less where the exact peak is too large."""
        if self.segments.is_chain or not 0 < len(self.items) * len(self.events) <= DECISIONS:
            return
        limit = self.budget
        for turn in range(2):
            solution = solve(self.items, self.events, limit, SECONDS)
            if solution is None:
                return
            if not turn:
                known = max(solution.bound - sum(x.cost for x in self.items), 0.0)
                self.least = max(self.least, known * self._exactly() + self.already)
            made, extra = self.segments.insert(solution.again, self.starts)
            exact = self._added(made, extra, found)
            if exact is None or exact <= self.budget:
                return
            limit -= exact - self.budget

    def _exactly(self) -> float:
        """Return what part of the costs of the integer program are operations that count once."""
        pairs = zip(self.items, self.shared, strict=True)
        return min(min(s.cost / max(x.cost, 1.0), 1.0) for x, s in pairs)


def _interpolated(points: dict[bool, tuple[int, int]], budget: int) -> float:
    """Return the estimate that is likely to belong to an exact peak."""
    if len(points) < 2:
        return max((budget - exact + estimate for estimate, exact in points.values()), default=0)
    (a, fa), (b, fb) = points[True], points[False]
    return a + (b - a) * (budget - fa) / max(fb - fa, 1)


# --- order ----------------------------------------------------------------------------------------
def _orders(graph: Graph) -> list[Graph]:
    """Return the graph, and one whose backward part computes what it can as late as it can."""
    late = _late(graph)
    return [graph] if late is None else [graph, late]


def _late(graph: Graph) -> Graph | None:
    """Move each backward node that reads nothing of the forward part to its first reader.

    A cotangent is so computed after the recomputations that come between it and its use, from one
    that is held anyway. None where guards would have to move.
    """
    start = first_backward(graph)
    if start is None or any(g.position > start for g in graph.guards):
        return None
    forward = {v for n in graph.nodes[:start] for v in n.outputs}
    waiting: dict[Value, Node] = {}
    out: list[Node] = list(graph.nodes[:start])

    def need(node: Node) -> None:
        stack = [node]
        while stack:
            n = stack[-1]
            missing = [waiting[x] for x in n.inputs if isinstance(x, Value) and x in waiting]
            if missing:
                stack += missing
                continue
            stack.pop()
            if n is node or any(v in waiting for v in n.outputs):
                for v in n.outputs:
                    waiting.pop(v, None)
                out.append(n)

    for node in graph.nodes[start:]:
        reads = any(isinstance(x, Value) and x in forward for x in node.inputs)
        if reads or getattr(node.op, "effect", False):
            need(node)
        else:
            waiting.update((v, node) for v in node.outputs)
    for node in list(waiting.values()):
        if any(v in waiting for v in node.outputs):
            need(node)
    return Graph(graph.inputs, out, graph.outputs, graph.guards)
