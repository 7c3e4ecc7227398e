"""Rematerialisation: a derivative's graph that computes values again to stay within a budget.

The forward part is cut into stages where little is alive, and its backward part into those that
belong to them; `wengert.plan.chain` says what to keep and what to run again. The estimate is in
terms of the arrays that the backend holds, and each candidate is then measured by the backend's own
layout, so what is chosen keeps to the budget exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import Graph, Node, Value
from wengert.plan.chain import Chain
from wengert.plan.milp import solved
from wengert.plan.segments import Segments, first_backward, _flops

__all__ = ["Fitted", "fitted"]

STAGES = 64
"""Most stages: the time that planning takes grows with their third power."""

TRIES = 14
"""Most candidates that are laid out exactly, of each order of the backward part."""

DECISIONS = 200
"""Most items times events of the backward pass for which an integer program is solved."""

SECONDS = 2.0
"""Most time for each of them."""

SMALL = 4096
"""Bytes up to which a value is not worth computing again."""


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
    whole = measure(graph)
    found = [Fitted(graph, whole.peak, 0, whole.peak <= budget, 0.0)]
    if found[0].within:
        return found[0]
    before = _flops(graph.nodes)
    for ordered in _orders(graph):
        footprint = whole if ordered is graph else measure(ordered)
        if footprint.peak <= budget:
            found.append(Fitted(ordered, footprint.peak, 0, True, 0.0))
            continue
        split = Segments(ordered, footprint)
        if split.stages:
            found += _searched(split, budget, footprint.peak, before, measure)
            if ordered is not graph and not split.is_chain:
                found += _programmed(split, budget, before, measure)
    within = [x for x in found if x.within]
    if within:
        best = min(within, key=lambda x: (x.extra, x.peak))
        bounds = [x.extra - x.gap * split.forward for x in found if x.gap]
        if best.gap is None and bounds:
            best = best._replace(gap=max(best.extra - min(bounds), 0.0) / split.forward)
        return best
    return min(found, key=lambda x: x.peak)


def _searched(
    split: Segments, budget: int, peak: int, before: int, measure: Callable[[Graph], Any]
) -> list[Fitted]:
    """Bisect the budgets of the estimate for the largest whose exact peak is small enough."""
    chain = Chain(split.stages, peak)
    budgets = chain.budgets()
    found: dict[int, Fitted] = {}

    def tried(i: int) -> Fitted:
        if i not in found:
            made = split.follow(chain.schedule(budgets[i]))
            exact = measure(made).peak
            found[i] = Fitted(made, exact, _flops(made.nodes) - before, exact <= budget)
        return found[i]

    low, high = 0, len(budgets)  # those before `low` are too large
    while low < high and len(found) < TRIES:
        middle = (low + high) // 2
        if tried(middle).within:
            high = middle
        else:
            low = middle + 1
    for i in range(high - 1, max(high - 3, -1), -1):  # the estimate need not be monotone
        tried(i)
    if budgets and not any(x.within for x in found.values()):
        for i in range(len(budgets) - 1, max(len(budgets) - 4, -1), -1):
            tried(i)
    return list(found.values())


def _programmed(
    split: Segments, budget: int, before: int, measure: Callable[[Graph], Any]
) -> list[Fitted]:
    """Solve an integer program, once more with less where the exact peak is too large."""
    items, events, starts = split.program()
    if not items or len(items) * len(events) > DECISIONS:
        return []
    least = sum(x.cost for x in items)
    found: list[Fitted] = []
    limit = budget
    for _ in range(2):
        solution = solved(items, events, limit, SECONDS)
        if solution is None:
            break
        made = split.insert(solution.again, starts)
        exact = measure(made).peak
        gap = (solution.cost - solution.bound) / max(least, 1.0)
        extra = _flops(made.nodes) - before
        # The bound is one for the whole budget only.
        found.append(Fitted(made, exact, extra, exact <= budget, gap if limit == budget else None))
        if exact <= budget:
            break
        limit -= exact - budget
    return found


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
