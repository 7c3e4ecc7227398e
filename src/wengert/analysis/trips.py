"""What one trip of each loop costs, and the cost of other numbers of trips.

A loop costs as often as it runs. Most of its trips cost the same; the first and the last ones may
differ, where constants fold or the loop is left half-way. So the cost of a whole call is linear in
the number of trips, with the typical trip as the slope and what differs from it in the constant.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from wengert.analysis.loops.recorder import Trip
from wengert.analysis.loops.sites import Site
from wengert.cost.count import NodeCount, PassCounts, total_of
from wengert.errors import InputError, user_line

__all__ = ["Loop", "TripCharges"]


class Loop(NamedTuple):
    """What a loop in the user's source costs.

    Attributes
    ----------
    file : str
    line : int
    source : str
        ``while np.sum(x * x) > tol:``.
    trips : int
        Over all the times that the loop was entered.
    by_values : bool
        Whether a decision on a traced value may have ended it, so that other data may need another
        number of trips.
    forward, backward : int
        Operations of the most common trip, with those of the loops inside it.
    uniform : bool
        Whether all trips cost the same.
    """

    file: str
    line: int
    source: str
    trips: int
    by_values: bool
    forward: int
    backward: int
    uniform: bool

    @property
    def place(self) -> str:
        """``name.py:12``."""
        return f"{os.path.basename(self.file)}:{self.line}"


Charges = Counter[tuple[int, bool]]
"""How often there is each charge, in which pass (True: backward)."""


class TripCharges:
    """Charges of the nodes of a graph, by the trips that they were made in.

    Parameters
    ----------
    each : iterable of (Trip or None, int, bool)
        For each node its trip, its charge's number, and whether it belongs to the derivative.
    found : sequence of NodeCount
    trips : sequence of Trip
    by_values : collection of Site
    """

    def __init__(
        self,
        each: Iterable[tuple[Trip | None, int, bool]],
        found: Sequence[NodeCount],
        trips: Sequence[Trip] = (),
        by_values: Collection[Site] = (),
    ) -> None:
        self._found = found
        self._trips = trips
        self._by_values = by_values
        self._direct: dict[Trip | None, Charges] = {}
        self.total: Charges = Counter()
        for trip, number, late in each:
            self._direct.setdefault(trip, Counter())[number, late] += 1
        for charges in self._direct.values():
            self.total.update(charges)

    # --- loops ------------------------------------------------------------------------------------
    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """Loops in which operations were made, in the order in which they began."""
        return tuple(row for _, row in self._rows)

    @cached_property
    def _rows(self) -> list[tuple[Site, Loop]]:
        whole = {trip: Counter(self._direct.get(trip, ())) for trip in self._trips}
        for trip in reversed(self._trips):  # a trip begins before those inside it
            if trip.parent is not None and whole[trip]:
                whole[trip.parent].update(whole[trip])
        rows = []
        for site, trips in self._by_site(lambda site: True).items():
            costs = [whole[trip] for trip in trips]
            if any(costs):
                steady = self._flops(self._typical(costs))
                uniform = all(self._flops(c) == steady for c in costs)
                late = site in self._by_values
                rows.append(
                    (site, Loop(*site[:2], site.source, len(trips), late, *steady, uniform))
                )
        return rows

    @cached_property
    def symbols(self) -> list[tuple[Site, Loop]]:
        """Loops whose trips are decided by values: k1, k2, ... of the formula."""
        return [(site, row) for site, row in self._rows if row.by_values]

    def _by_site(self, wanted: Callable[[Site], bool]) -> dict[Site, list[Trip]]:
        found: dict[Site, list[Trip]] = {}
        for trip in self._trips:
            if wanted(trip.site):
                found.setdefault(trip.site, []).append(trip)
        return found

    def _flops(self, charges: Charges) -> tuple[int, int]:
        both = [0, 0]
        for (number, late), n in charges.items():
            both[late] += n * self._work[number]
        return both[0], both[1]

    @cached_property
    def _work(self) -> list[int]:
        return [charge.flops for charge in self._found]

    def _typical(self, costs: Sequence[Charges]) -> Charges:
        """Return the most common one, the one nearest to the middle where several are."""
        kinds: dict[Any, list[int]] = {}
        for i, charges in enumerate(costs):
            kinds.setdefault(frozenset((k, n) for k, n in charges.items() if n), []).append(i)
        work = Counter[tuple[int, int]]()
        for places in kinds.values():
            work[self._flops(costs[places[0]])] += len(places)
        middle = (len(costs) - 1) / 2

        def rank(places: list[int]) -> tuple[int, int, float]:
            near = min(abs(i - middle) for i in places)
            return work[self._flops(costs[places[0]])], len(places), -near

        return costs[max(kinds.values(), key=rank)[0]]

    # --- other numbers of trips -------------------------------------------------------------------
    def slopes(self, sites: Collection[Site]) -> dict[Site, Charges]:
        """Return what one trip more of each of these loops costs, without trips of the others.

        What a trip takes beside the typical one belongs to the trip around it. So, where each run
        of an inner loop has an odd last trip, that is a part of one trip of the outer loop.
        """
        around: dict[Trip, Trip | None] = {}
        own: dict[Trip, Charges] = {}
        depth: dict[Site, int] = {}
        for trip in self._trips:
            up = trip.parent
            over = up if up is None or up.site in sites else around[up]
            around[trip] = over
            if trip.site in sites:
                level = 0 if over is None else depth[over.site] + 1
                depth[trip.site] = max(depth.get(trip.site, 0), level)
                own[trip] = Counter()
        for where, charges in self._direct.items():
            place = where if where is None or where.site in sites else around[where]
            if place is not None:
                own[place].update(charges)
        found = {}
        trips = self._by_site(sites.__contains__)
        for site in sorted(trips, key=depth.__getitem__, reverse=True):
            slope = found[site] = Counter(self._typical([own[trip] for trip in trips[site]]))
            for trip in trips[site]:
                outer = around[trip]
                if outer is not None and own[trip] != slope:
                    own[outer].update(own[trip])
                    own[outer].subtract(slope)
        return found

    def predict(self, trips: Mapping[Site, int]) -> PassCounts:
        """Return the cost with these numbers of trips, those of other symbols as they are here."""
        sites = {site for site, _ in self.symbols} | trips.keys()
        here = Counter(trip.site for trip in self._trips)
        total = Counter(self.total)
        for site, slope in self.slopes(sites).items():
            more = trips.get(site, here[site]) - here[site]
            if more:
                for k, n in slope.items():
                    total[k] += more * n
        return self.passes(total)

    def passes(self, charges: Charges) -> PassCounts:
        """Add up the two passes."""
        parts: tuple[Counter[int], Counter[int]] = (Counter(), Counter())
        for (number, late), n in charges.items():
            if n:
                parts[late][number] = n
        whole = Counter(parts[0])
        whole.update(parts[1])
        return PassCounts(*(total_of(part, self._found) for part in (*parts, whole)))

    def at(self, trips: tuple[Any, ...]) -> PassCounts:
        """Return the cost with other numbers of trips; see `Cost.at`."""
        if len(trips) == 1 and isinstance(trips[0], Mapping):
            given = {self._site(where): n for where, n in trips[0].items()}
        elif len(trips) == len(self.symbols):
            given = {site: n for (site, _), n in zip(self.symbols, trips, strict=True)}
        else:
            raise InputError(
                f"at() takes a number of trips for each loop that values decide, which are "
                f"{self._listed(self.symbols)}, not {len(trips)} numbers; or a dictionary "
                f"{{(file, line): trips}}" + user_line()
            )
        for n in given.values():
            if not isinstance(n, int) or isinstance(n, bool) or n < 0:
                raise InputError(f"at(): a number of trips is an int >= 0, not {n!r}" + user_line())
        return self.predict(given)

    def _site(self, where: Any) -> Site:
        found = [
            site
            for site, row in self._rows
            if where == row.place
            or (isinstance(where, tuple) and where[1:] == (row.line,) and _same(where[0], row.file))
        ]
        if len(found) == 1:
            return found[0]
        what = "several loops" if found else "no loop"
        raise InputError(
            f"at(): there is {what} at {where!r}; the loops are {self._listed(self._rows)}"
            + user_line()
        )

    @staticmethod
    def _listed(rows: Sequence[tuple[Site, Loop]]) -> str:
        return ", ".join(row.place for _, row in rows) or "none"

    @cached_property
    def formula(self) -> str:
        """Operations as a sum over the loops whose trips are decided by values."""
        slopes = self.slopes({site for site, _ in self.symbols})
        costs = [self._flops(slopes[site]) for site, _ in self.symbols]
        texts = []
        for late, name in enumerate(("forward", "backward")):
            fixed = self._flops(self.total)[late]
            fixed -= sum(
                c[late] * row.trips for c, (_, row) in zip(costs, self.symbols, strict=True)
            )
            texts.append(f"{_sum_text(fixed, [c[late] for c in costs])} {name}")
        names = [
            f"k{i}: trips of {row.place} ({row.trips:,} here)"
            for i, (_, row) in enumerate(self.symbols, 1)
        ]
        return "; ".join([", ".join(texts), *names])


def _same(given: Any, file: str) -> bool:
    return given in (file, os.path.basename(file))


def _sum_text(fixed: int, slopes: Sequence[int]) -> str:
    """Write ``12 + 3 k1``."""
    text = f"{fixed:,}"
    for i, slope in enumerate(slopes, 1):
        if slope:
            text += f" {'-' if slope < 0 else '+'} {abs(slope):,} k{i}"
    return text
