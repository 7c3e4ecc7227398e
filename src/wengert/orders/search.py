"""The search for a cheap order of elimination.

The least number of multiplications is hard to find (Naumann, *Optimal Jacobian accumulation is
NP-complete*, 2008). Small graphs are solved exactly; for others the best of several greedy orders
is improved by simulated annealing (Naumann and Gottschling, *Simulated annealing for optimal pivot
selection in Jacobian accumulation*, 2003), whose work is given, so that it is the same everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import InputError, user_line
from wengert.orders import loops
from wengert.orders.bounds import lower_bound
from wengert.orders.kept import Kept, load, save
from wengert.orders.problem import EliminationGraph, checked

__all__ = [
    "EFFORTS",
    "METHODS",
    "Effort",
    "Found",
    "counted",
    "effort_of",
    "find_order",
    "kept_order",
]

Array = np.ndarray[Any, Any]


class Effort(NamedTuple):
    """What may be spent.

    Attributes
    ----------
    sets : int
        Intermediate vertices up to which the least is found exactly.
    rolled : int
        Intermediate vertices up to which each next choice is tried with a greedy end.
    work : int
        Multiplications of eliminations that annealing may count, over all its runs.
    runs : int
        How often annealing begins.
    seconds : float
        When it ends in any case.
    """

    sets: int
    rolled: int
    work: int
    runs: int
    seconds: float


EFFORTS = {
    "default": Effort(12, 40, 1 << 22, 2, 2.0),
    "high": Effort(20, 300, 3 << 30, 24, 50.0),
}
"""What each `effort` stands for: milliseconds, and seconds."""


def effort_of(effort: str) -> Effort:
    """Return what an effort stands for.

    Raises
    ------
    InputError
        For one that is not known.
    """
    if not isinstance(effort, str) or effort not in EFFORTS:
        known = " or ".join(f"'{name}'" for name in EFFORTS)
        raise InputError(f"effort must be {known}, not {effort!r}" + user_line())
    return EFFORTS[effort]


@dataclass(frozen=True)
class Found:
    """An order of elimination.

    Attributes
    ----------
    order : tuple of int
    multiplications : int
    method : str
        What found it.
    optimal : bool
        Whether no order of vertices takes fewer.
    """

    order: tuple[int, ...]
    multiplications: int
    method: str
    optimal: bool = False

    def __str__(self) -> str:
        """Return a line for people."""
        least = ", the least of all" if self.optimal else ""
        return f"{self.method}: {self.multiplications:,} multiplications{least}"


# --- one method each ------------------------------------------------------------------------------
def _forward(graph: EliminationGraph) -> Found:
    return counted(graph, range(graph.intermediates), "forward")


def _reverse(graph: EliminationGraph) -> Found:
    return counted(graph, reversed(range(graph.intermediates)), "reverse")


def counted(graph: EliminationGraph, order: Iterable[int], method: str) -> Found:
    """Return an order that is made by a rule, with its multiplications."""
    given = checked(list(order), graph.intermediates)
    return Found(tuple(given.tolist()), graph.state.count(given), method)


def _markowitz(graph: EliminationGraph, rule: int = 0, backwards: bool = False) -> Found:
    n = graph.intermediates
    tie = np.arange(n, dtype=np.int32)
    if backwards:
        tie = tie[::-1].copy()
    total, order = graph.state.greedy((), rule, tie)
    name = "relative Markowitz" if rule else "Markowitz"
    return Found(tuple(order.tolist()), total, name + (", the last of equals" if backwards else ""))


def _relative(graph: EliminationGraph) -> Found:
    return _markowitz(graph, 1)


def _lookahead(graph: EliminationGraph) -> Found:
    """Take each time the vertex after which a greedy end is the cheapest."""
    n = graph.intermediates
    tie = np.arange(n, dtype=np.int32)
    given: list[int] = []
    best, kept = graph.state.greedy((), 0, tie)
    for _ in range(n):
        gone = set(given)
        least: tuple[int, int] | None = None
        for v in range(n):
            if v in gone:
                continue
            total, order = graph.state.greedy([*given, v], 0, tie)
            if least is None or total < least[0]:
                least = total, v
            if total < best:
                best, kept = total, order
        assert least is not None
        given.append(int(kept[len(given)]) if least[0] > best else least[1])
    return Found(tuple(kept.tolist()), best, "lookahead")


def _exact(graph: EliminationGraph, bound: int) -> Found | None:
    """Return the best order, by dynamic programming over the sets of what is gone.

    None where the graph has too many vertices for the bits of a number.
    """
    n, size = graph.intermediates, graph.vertices
    if size > 62:
        return None
    of, on = graph.neighbours
    sides: list[Array] = []
    for lists, forward in ((of, True), (on, False)):
        ends = [sorted(lists[v]) for v in range(n)]
        general = [
            graph.edges[(u, v) if forward else (v, u)] or not graph.unit_free
            for v in range(n)
            for u in ends[v]
        ]
        sides += [
            np.cumsum([0, *map(len, ends)], dtype=np.int32),
            np.array([u for us in ends for u in us], np.int32),
            np.array(general, np.int32),
        ]
    least = np.full(1 << n, bound + 1, np.int32)
    least[0] = 0
    came = np.zeros(1 << n, np.int32)
    room = np.zeros((4, n), np.int64)
    total = loops.exact(n, size, *sides, bound, least, came, *room)
    mask, order = (1 << n) - 1, []
    while mask:
        v = int(came[mask])
        order.append(v)
        mask ^= 1 << v
    return Found(tuple(order[::-1]), int(total), "exact", True)


METHODS = {
    "forward": _forward,
    "reverse": _reverse,
    "markowitz": _markowitz,
    "relative": _relative,
    "lookahead": _lookahead,
}
"""Orders that are one rule each, by name."""


# --- annealing ------------------------------------------------------------------------------------
CHUNK = 4096


def _annealed(
    graph: EliminationGraph, begin: Sequence[Found], effort: Effort, lower: int
) -> Iterator[Found]:
    """Yield better and better orders, until one takes no more than `lower`."""
    n = graph.intermediates
    best = begin[0]
    until = time.perf_counter() + effort.seconds
    rng = np.random.default_rng(0)
    price = max(best.multiplications, n) + 4 * len(graph.edges)
    moves = max(effort.work // (price * effort.runs), 64)
    for run in range(effort.runs):
        first = begin[run % len(begin)] if run % 3 < 2 else best
        order = np.array(first.order, np.int32)
        kept = order.copy()
        costs = np.array([first.multiplications, first.multiplications], np.int64)
        hot = max(0.04 * best.multiplications, 1.0) * (0.5 if run % 2 else 1.0)
        cold = 0.15
        done = 0
        while done < moves:
            m = min(CHUNK, moves - done)
            part = (done + np.arange(m)) / moves
            heat = hot * (cold / hot) ** part
            start = rng.integers(0, n, m).astype(np.int32)
            far = np.maximum(np.rint(rng.exponential(max(n / 6, 1.0), m)), 1).astype(np.int32)
            stop = np.clip(start + far * rng.choice([-1, 1], m), 0, n - 1).astype(np.int32)
            allowed = heat * rng.exponential(1.0, m)
            graph.state.anneal(order, kept, costs, start, stop, allowed)
            done += m
            if costs[1] <= lower or time.perf_counter() > until:
                break
        if costs[1] < best.multiplications:
            best = Found(tuple(kept.tolist()), int(costs[1]), "annealing")
            yield best
        if best.multiplications <= lower or time.perf_counter() > until:
            break


def find_order(graph: EliminationGraph, effort: str = "default", kept: bool = True) -> Found:
    """Return the cheapest order that an effort finds.

    Parameters
    ----------
    graph : EliminationGraph
    effort : {"default", "high"}
    kept : bool
        Whether to begin with the best order that was found for this graph before, by any process of
        the user, and to keep what is found. What took the same effort, or more, is taken as it is.

    Raises
    ------
    InputError
        For an effort that is not known.
    """
    spend = effort_of(effort)
    before = kept_order(graph.key, graph.intermediates) if kept else None
    known: list[Found] = []
    if before is not None:
        known = [counted(graph, before.order, before.method)]
        if before.effort == "high" or effort == "default" or before.optimal:
            return replace(known[0], optimal=before.optimal)
    found = _searched(graph, spend, known)
    if kept and graph.intermediates > EFFORTS["default"].sets:
        save(graph.key, Kept(found.order, found.method, effort, found.optimal))
    return found


def kept_order(key: str, n: int) -> Kept | None:
    """Return what is kept for a graph, if it is an order of so many vertices."""
    found = load(key)
    return found if found is not None and sorted(found.order) == list(range(n)) else None


def _searched(graph: EliminationGraph, spend: Effort, known: list[Found]) -> Found:
    n = graph.intermediates
    tried = [_forward(graph), _reverse(graph), _markowitz(graph), _relative(graph), *known]
    tried += [_markowitz(graph, backwards=True), _markowitz(graph, 1, True)]
    least = min(tried, key=lambda f: f.multiplications)
    if n <= spend.sets:
        found = _exact(graph, least.multiplications)
        if found is not None:
            return found if found.multiplications < least.multiplications else replace(
                least, optimal=True
            )  # fmt: skip
    lower = lower_bound(graph)
    if least.multiplications > lower and n <= spend.rolled:
        tried.append(_lookahead(graph))
    tried.sort(key=lambda f: f.multiplications)
    best = tried[0]
    if best.multiplications > lower:
        for better in _annealed(graph, tried[:4], spend, lower):
            best = better
    return replace(best, optimal=best.multiplications <= lower)
