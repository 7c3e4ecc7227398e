"""What to keep and what to compute again on any small graph, as an integer program.

Jain, Jain, Nrusimha, Gholami, Abbeel, Keutzer, Stoica and Gonzalez (2020), *Checkmate: breaking the
memory wall with optimal tensor rematerialization* (MLSys), solved by HiGHS through SciPy. Stages
are the events of the backward pass instead of all operations: nothing else has to be decided there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import optimize, sparse

__all__ = ["Event", "Item", "Solution", "solved"]


class Item(NamedTuple):
    """A value that may be computed again.

    Attributes
    ----------
    cost : float
    size : int
        Bytes.
    reads : tuple of int
        Items before it, by number.
    """

    cost: float
    size: int
    reads: tuple[int, ...]


class Event(NamedTuple):
    """A part of the backward pass.

    Attributes
    ----------
    needs : frozenset of int
        Items that it reads.
    before : int
        Bytes that the backward pass holds when it begins.
    during : int
        Most bytes that it holds besides what it reads.
    """

    needs: frozenset[int]
    before: int
    during: int


class Solution(NamedTuple):
    """What was found.

    Attributes
    ----------
    again : list of list of int
        Of each event, the items to compute just before it, in order; the first time around is the
        forward pass, which computes all.
    cost : float
        Of all that is computed, the forward pass included.
    bound : float
        No plan of this kind costs less.
    """

    again: list[list[int]]
    cost: float
    bound: float


def solved(
    items: Sequence[Item], events: Sequence[Event], budget: int, seconds: float = 5.0
) -> Solution | None:
    """Return the cheapest plan that was found in the time given, None without one.

    Parameters
    ----------
    items : sequence of Item
        In the order of the forward pass.
    events : sequence of Event
        In the order of the backward pass.
    budget : int
        Bytes.
    seconds : float
        At most.
    """
    n, count = len(items), len(events)
    if not n or not count:
        return None
    readers: list[list[int]] = [[k for k, y in enumerate(items) if i in y.reads] for i in range(n)]
    frees = [(k, d) for k in range(n) for d in sorted({*items[k].reads, k})]
    per = 2 * n + len(frees) + n + 1  # R, S, what is let go, bytes held after each item
    unit = max(max(x.size for x in items), 1)  # so that sizes are about 1
    system = _System(per * count)

    def run(e: int, i: int) -> int:
        return e * per + i

    def kept(e: int, i: int) -> int:
        return e * per + n + i

    def free(e: int, f: int) -> int:
        return e * per + 2 * n + f

    def held(e: int, k: int) -> int:
        return e * per + 2 * n + len(frees) + k

    limit = budget / unit
    for e, event in enumerate(events):
        for i, item in enumerate(items):
            if e == 0:
                system.fix(run(e, i), 1)
                system.fix(kept(e, i), 0)
            for d in item.reads:
                system.below([(run(e, i), 1), (run(e, d), -1), (kept(e, d), -1)], 0)
            if e + 1 < count:
                system.below([(kept(e + 1, i), 1), (run(e, i), -1), (kept(e, i), -1)], 0)
            if i in event.needs:
                system.below([(run(e, i), -1), (kept(e, i), -1)], -1)
            size = item.size / unit
            system.below([(held(e, i), 1), (run(e, i), size)], limit)
        first = [(kept(e, i), -items[i].size / unit) for i in range(n)]
        system.equal([(held(e, 0), 1), *first], event.before / unit)
        for k in range(n):
            row = [(held(e, k + 1), 1), (held(e, k), -1), (run(e, k), -items[k].size / unit)]
            row += [(free(e, f), items[d].size / unit) for f, (j, d) in enumerate(frees) if j == k]
            system.equal(row, 0)
        for f, (k, d) in enumerate(frees):
            if d in event.needs:
                system.fix(free(e, f), 0)
                continue
            system.below([(free(e, f), 1), (run(e, k), -1)], 0)
            if e + 1 < count:
                system.below([(free(e, f), 1), (kept(e + 1, d), 1)], 1)
            for j in readers[d]:
                if j > k:
                    system.below([(free(e, f), 1), (run(e, j), 1)], 1)
        system.below([(held(e, n), 1)], limit - (event.during - event.before) / unit)
    total = sum(x.cost for x in items) or 1.0
    costs = np.zeros(per * count)
    whole = np.zeros(per * count)
    for e in range(count):
        for i, item in enumerate(items):
            costs[run(e, i)] = item.cost / total
            whole[run(e, i)] = whole[kept(e, i)] = 1
        system.upper[[held(e, k) for k in range(n + 1)]] = np.inf
    found = system.minimum(costs, whole, seconds)
    if found.x is None:
        return None
    again = [[i for i in range(n) if found.x[run(e, i)] > 0.5] for e in range(count)]
    again[0] = []
    bound = found.mip_dual_bound if found.mip_dual_bound is not None else 1.0
    return Solution(again, float(found.fun) * total, float(bound) * total)


class _System:
    """Rows of a linear program, one by one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.lower = np.zeros(size)
        self.upper = np.ones(size)
        self.rows: list[tuple[list[tuple[int, float]], float, float]] = []

    def fix(self, i: int, value: float) -> None:
        self.lower[i] = self.upper[i] = value

    def below(self, row: list[tuple[int, float]], bound: float) -> None:
        self.rows.append((row, -np.inf, bound))

    def equal(self, row: list[tuple[int, float]], value: float) -> None:
        self.rows.append((row, value, value))

    def minimum(self, costs: Any, whole: Any, seconds: float) -> Any:
        entries = [(r, i, a) for r, (row, _, _) in enumerate(self.rows) for i, a in row]
        r, i, a = map(np.array, zip(*entries, strict=True))
        matrix = sparse.csr_array((a, (r, i)), shape=(len(self.rows), self.size))
        low, high = (np.array([row[k] for row in self.rows]) for k in (1, 2))
        return optimize.milp(
            costs,
            integrality=whole,
            bounds=optimize.Bounds(self.lower, self.upper),
            constraints=optimize.LinearConstraint(matrix, low, high),
            options={"time_limit": seconds, "mip_rel_gap": 1e-4},
        )
