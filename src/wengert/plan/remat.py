"""Rematerialisation: a derivative's graph that computes values again to stay within a budget.

The forward part is cut into stages where little is alive, and its backward part into those that
belong to them; `wengert.plan.chain` says what to keep and what to run again. The estimate is in
terms of the arrays that the backend holds, and each candidate is then measured by the backend's own
layout, so what is chosen keeps to the budget exactly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from wengert.ir.graph import Graph, Node, Value
from wengert.plan.chain import Chain
from wengert.plan.milp import Event, Item, relaxed, replayed, solved
from wengert.plan.segments import Segments, first_backward

__all__ = ["Fitted", "fitted"]

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

SECONDS = 2.0
"""Most time for each of them."""

ROUNDS = 5
"""Linear programs that are rounded."""


class Fitted(NamedTuple):
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
        passes; None where no bound is known.
    """

    graph: Graph
    peak: int
    extra: int
    within: bool
    gap: float | None = None


def fitted(graph: Graph, budget: int, measure: Callable[[Graph], Any]) -> Fitted:
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
    Fitted
        Of those within the budget the one with the fewest operations; else the smallest.
    """
    orders = [(g, measure(g)) for g in _orders(graph)]
    found = [Fitted(g, x.peak, 0, x.peak <= budget, 0.0) for g, x in orders]
    bounds: list[float] = []
    forward = 1.0
    for ordered, footprint in orders:
        if any(x.within and not x.extra for x in found):
            break
        segments = Segments(ordered, footprint)
        if not segments.stages:
            continue
        forward = segments.forward
        chains = segments.chains(footprint.peak)
        for chain in chains:
            best = min((x.extra for x in found if x.within), default=None)
            found += _searched(segments, chain, budget, best, measure)
        items, events, starts = segments.program()
        shared = [x._replace(cost=c) for x, c in zip(items, segments.shares(), strict=True)]
        least = relaxed(shared, events, budget).bound
        if segments.is_chain:
            least = max(least, _of_chain(segments, chains[0], budget))
        elif ordered is not graph and 0 < len(items) * len(events) <= DECISIONS:
            made, known = _programmed(segments, items, events, starts, budget, measure)
            found += made
            least = max(least, known * _exactly(items, shared))
        if not segments.is_chain:
            best = min((x.extra for x in found if x.within), default=None)
            found += _rounded(segments, shared, events, starts, budget, best, measure)
        bounds.append(least)
    within = [x for x in found if x.within]
    if not within:
        return min(found, key=lambda x: x.peak)
    best_of = min(within, key=lambda x: (x.extra, x.peak))
    gap = max(best_of.extra - min(bounds, default=0.0), 0.0) / forward
    return best_of._replace(gap=gap)


def _of_chain(segments: Segments, chain: Chain, budget: int) -> int:
    """Return the operations that the best schedule of a chain does again."""
    if not math.isfinite(chain.cost(budget)):
        return 0
    return segments.follow(chain.schedule(budget))[1]


def _exactly(items: list[Item], shared: list[Item]) -> float:
    """Return what part of the costs of an integer program are operations that count once."""
    return min(min(s.cost / max(x.cost, 1.0), 1.0) for x, s in zip(items, shared, strict=True))


def _searched(
    segments: Segments,
    chain: Chain,
    budget: int,
    most: int | None,
    measure: Callable[[Graph], Any],
) -> list[Fitted]:
    """Find the largest budget of the estimate whose exact peak is small enough.

    Schedules that do hardly fewer operations again than `most` are not laid out: a plan that does
    as many is known.
    """
    budgets = chain.budgets()
    found: dict[int, Fitted | None] = {}

    def tried(i: int) -> bool:
        """Whether a smaller budget has nothing better to offer."""
        nonlocal most
        if i not in found:
            made, extra = segments.follow(chain.schedule(budgets[i]))
            found[i] = None
            if most is None or extra < most - segments.forward / FINE:
                exact = measure(made).peak
                found[i] = Fitted(made, exact, extra, exact <= budget)
                most = extra if exact <= budget else most
        x = found[i]
        return x is None or x.within

    low, high = 0, len(budgets)  # those before `low` are too large
    if most is not None:  # start with what may just be better
        left = most + segments.forward
        guess = next((i for i in reversed(range(high)) if chain.cost(budgets[i]) < left), 0)
    else:
        guess = next((i for i in range(high) if budgets[i] <= budget), high - 1)
    points: dict[bool, tuple[int, int]] = {}  # of the nearest too large and not: estimate, exact
    turn = 0
    while low < high and turn < TRIES:
        i = min(max(guess, low), high - 1) if turn < GUESSES else (low + high) // 2
        enough = tried(i)
        low, high = (low, i) if enough else (i + 1, high)
        x = found[i]
        if x is None:
            guess = high - 1
            continue
        turn += 1
        points[enough] = budgets[i], x.peak
        aim = _interpolated(points, budget)
        guess = next((k for k in range(low, high) if budgets[k] <= aim), high)
        if False not in points:
            guess = max(guess, high - 2**turn)
    for i in range(high - 1, max(high - 1 - BESIDE, -1), -1):  # the estimate need not be monotone
        tried(i)
    if budgets and not any(x is None or x.within for x in found.values()):
        for i in range(len(budgets) - 1, max(len(budgets) - 4, -1), -1):
            tried(i)
    return [x for x in found.values() if x is not None]


def _interpolated(points: dict[bool, tuple[int, int]], budget: int) -> float:
    """Return the estimate that is likely to belong to an exact peak."""
    if len(points) < 2:
        return max((budget - exact + estimate for estimate, exact in points.values()), default=0)
    (a, fa), (b, fb) = points[True], points[False]
    return a + (b - a) * (budget - fa) / max(fb - fa, 1)


def _rounded(
    segments: Segments,
    items: list[Item],
    events: list[Event],
    starts: list[int],
    budget: int,
    most: int | None,
    measure: Callable[[Graph], Any],
) -> list[Fitted]:
    """Hold what a linear program holds, for smaller and smaller budgets until the peak is right.

    This finds what is cheap to compute again in the middle of stages.
    """
    found: list[Fitted] = []
    limit = float(budget)
    for _ in range(ROUNDS):
        held = relaxed(items, events, int(limit)).held
        made, extra = segments.insert(replayed(items, events, held), starts)
        if most is not None and extra >= most - segments.forward / FINE:
            break
        exact = measure(made).peak
        found.append(Fitted(made, exact, extra, exact <= budget))
        if exact <= budget:
            break
        limit -= max(exact - budget, budget / 50)
    return found


def _programmed(
    segments: Segments,
    items: list[Item],
    events: list[Event],
    starts: list[int],
    budget: int,
    measure: Callable[[Graph], Any],
) -> tuple[list[Fitted], float]:
    """Solve an integer program, once more with less where the exact peak is too large.

    Returns
    -------
    list of Fitted
    float
        No plan of this kind costs less besides the forward pass, in costs of the items.
    """
    forward = sum(x.cost for x in items)
    found: list[Fitted] = []
    least = 0.0
    limit = budget
    for _ in range(2):
        solution = solved(items, events, limit, SECONDS)
        if solution is None:
            break
        if limit == budget:
            least = max(solution.bound - forward, 0.0)
        made, extra = segments.insert(solution.again, starts)
        exact = measure(made).peak
        found.append(Fitted(made, exact, extra, exact <= budget))
        if exact <= budget:
            break
        limit -= exact - budget
    return found, least


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
