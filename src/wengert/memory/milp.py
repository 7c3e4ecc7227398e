"""What to keep and what to compute again on any small graph, as an integer program.

Jain, Jain, Nrusimha, Gholami, Abbeel, Keutzer, Stoica and Gonzalez (2020), *Checkmate: breaking the
memory wall with optimal tensor rematerialization* (MLSys), solved by HiGHS through SciPy. Stages
are the events of the backward pass instead of all operations: nothing else has to be decided there.
For graphs of any size, linear programs of single events bound what is computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Event", "Item", "Relaxation", "Solution", "relax", "replay", "solve"]


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


def solve(
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


LOOKS = 3
"""Events of which `relax` looks at each."""


class Relaxation(NamedTuple):
    """What a linear program says.

    Attributes
    ----------
    bound : float
        No plan computes again what costs less.
    held : frozenset of int
        Items that are rather held than computed again.
    fits : bool
        Whether there is room for what each event needs itself.
    """

    bound: float
    held: frozenset[int]
    fits: bool = True


def relax(
    items: Sequence[Item], events: Sequence[Event], budget: int, seconds: float = 1.0
) -> Relaxation:
    """Bound what any plan computes again, for any number of items.

    While an event runs, each item that a later one needs is in memory, or is computed again
    afterwards, and so is all that it is computed from. What fits in memory then is chosen as well
    as it can be, in fractions: a linear program for each of the events with the largest needs, of
    which one is taken at a time. Much of what a small budget costs, where items are computed again
    several times, is beyond this bound.

    Parameters
    ----------
    items, events, budget, seconds
        As `solve` takes them; the time is for each linear program.
    """
    later: list[frozenset[int]] = []  # what events after each need
    needed: frozenset[int] = frozenset()
    for event in reversed(events):
        later.insert(0, needed)
        needed |= event.needs

    def needs(e: int, ours: frozenset[int] = frozenset()) -> int:
        return events[e].during + sum(items[i].size for i in events[e].needs | ours)

    tight = [e for e in range(len(events)) if needs(e) <= budget < needs(e, later[e])]
    tight.sort(key=lambda e: -needs(e, later[e]))
    found = [_relax_at(items, events[e], later[e], budget, seconds) for e in tight[:LOOKS]]
    best = max((x for x in found if x), key=lambda x: x.bound, default=Relaxation(0.0, needed))
    return best._replace(fits=all(needs(e) <= budget for e in range(len(events))))


def _relax_at(
    items: Sequence[Item], event: Event, later: frozenset[int], budget: int, seconds: float
) -> Relaxation | None:
    """Say what is computed again at least after an event; None where there is no time for that."""
    n = len(items)
    system = _System(2 * n)  # of each item: whether it is computed again, whether it is held
    unit = max(max(x.size for x in items), 1)
    for i in later:
        system.below([(i, -1), (n + i, -1)], -1)
    for i, item in enumerate(items):
        for d in item.reads:
            system.below([(i, 1), (d, -1), (n + d, -1)], 0)
    for i in event.needs:
        system.fix(n + i, 1)
    room = (budget - event.during) / unit
    system.below([(n + i, x.size / unit) for i, x in enumerate(items)], room)
    total = sum(x.cost for x in items) or 1.0
    costs = np.array([x.cost / total for x in items] + [0.0] * n)
    found = system.minimum(costs, np.zeros(2 * n), seconds)
    if found.status != 0:
        return None
    held = frozenset(i for i in range(n) if found.x[n + i] > 0.5)
    return Relaxation(max(float(found.fun) * (1 - 1e-6), 0.0) * total, held)


def replay(items: Sequence[Item], events: Sequence[Event], held: frozenset[int]) -> list[list[int]]:
    """Return what each event computes again where some items are held, in the form of `Solution`.

    Items that are not held are computed just before the events that need them, from what there is,
    and let go unless the next event needs them too.
    """
    there = held | events[0].needs
    again = []
    for k, event in enumerate(events):
        found: set[int] = set()
        work = [i for i in event.needs if i not in there]
        while work:
            i = work.pop()
            if i not in found:
                found.add(i)
                work += [d for d in items[i].reads if d not in there]
        again.append(sorted(found))
        if k + 1 < len(events):
            there = held | ((there | found) & events[k + 1].needs)
    return again


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
        from scipy import optimize, sparse  # here, as it takes a tenth of a second to load

        entries = [(r, i, a) for r, (row, _, _) in enumerate(self.rows) for i, a in row]
        r, i, a = map(np.array, zip(*entries, strict=True))
        r, i = r.astype(np.int32), i.astype(np.int32)  # SciPy 1.13 takes no others
        matrix = sparse.csr_array((a, (r, i)), shape=(len(self.rows), self.size))
        low, high = (np.array([row[k] for row in self.rows]) for k in (1, 2))
        return optimize.milp(
            costs,
            integrality=whole,
            bounds=optimize.Bounds(self.lower, self.upper),
            constraints=optimize.LinearConstraint(matrix, low, high),
            options={"time_limit": seconds, "mip_rel_gap": 1e-4},
        )
