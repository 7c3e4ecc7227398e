"""Whether the periods of a stretch are the trips of a loop, and what each operand is then.

Every trip makes as many values as every other, so the number of an operand says what it is. In all
trips it is the same value (fixed), or it lies as far from the trip's own first value (from this
trip, or carried from one before), or it is a value from before the loop that differs by trip (a
row). A stretch in which an operand changes from one of these to another is cut there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from wengert.rolling.periods import Stretch
from wengert.rolling.table import Table

__all__ = ["CARRIED", "FIXED", "ROW", "Wiring", "turned", "wired"]

FIXED, CARRIED, ROW = 0, 1, 2
"""What an operand may be; `CARRIED` also if it is of the trip itself."""

LONGEST = 64
"""The most trips that a value is carried through."""

WORTH = 128
"""Bytes less in each trip for which a loop is cut elsewhere, which leaves a part of a trip before
it and one after it."""

MULTIPLES = (1, 2, 3, 4)
"""How many periods may be one trip: loops that do one thing in even trips and another in odd."""


class Wiring(NamedTuple):
    """A loop.

    Attributes
    ----------
    start : int
        The first item of the first trip.
    period : int
        Items in a trip.
    trips : int
    base : int
        The number of the first value of the first trip.
    made : int
        Values made by a trip.
    operands : array of int, (trips, operands of a trip)
    kinds : array of int
        `FIXED`, `CARRIED` or `ROW`.
    relative : array of int
        Of what is carried: its number minus that of the first value of the trip that reads it.
    places : array of int, (trips, integers of a trip)
    """

    start: int
    period: int
    trips: int
    base: int
    made: int
    operands: Any
    kinds: Any
    relative: Any
    places: Any

    @property
    def stop(self) -> int:
        """The item after the last trip."""
        return self.start + self.period * self.trips


def wired(table: Table, stretch: Stretch, trips: int) -> Wiring | None:
    """Return the longest loop in a stretch, of at least so many trips; None if there is none."""
    best = None
    for times in MULTIPLES:
        if best is not None and times > 1 and best.stop - best.start > 0.75 * stretch.items:
            break
        found = _wired(table, stretch._replace(period=times * stretch.period), trips)
        if found is not None and (
            best is None or found.stop - found.start > 1.25 * (best.stop - best.start)
        ):
            best = found
    if best is None:
        return None
    times = _turns(best)
    if times > 1:
        longer = Stretch(best.start, best.stop, times * best.period)
        found = _wired(table, longer, trips)
        if found is not None and 4 * found.trips * found.period > 3 * longer.items:
            return found
    return best


def turned(table: Table, stretch: Stretch, loop: Wiring, trips: int) -> Wiring:
    """Let the trips of a loop begin where the least is carried from one to the next.

    A stretch that repeats may be cut into trips at any of its operations. The first one that is
    like those of later trips is often in the midst of what the program calls a trip, where more
    values are on their way.
    """
    sizes = _carried(table, loop)
    best = int(sizes.argmin())
    if sizes[0] - sizes[best] < WORTH:
        return loop
    whole = Stretch(loop.start + best, max(stretch.stop, loop.stop), loop.period)
    found = _wired(table, whole, trips)
    if found is None or found.trips < loop.trips - 1:
        return loop
    return found if _carried(table, found)[0] < sizes[0] else loop


def _carried(table: Table, loop: Wiring) -> np.ndarray[Any, Any]:
    """Return the bytes that are carried over a cut before each item of a trip."""
    period, made, start = loop.period, loop.made, loop.start
    begin, first = table.begin[start : start + period + 1], table.first[start : start + period + 1]
    readers = np.repeat(np.arange(period), np.diff(begin))
    writers = np.repeat(np.arange(period), np.diff(first))
    columns = np.flatnonzero(loop.kinds == CARRIED)
    sizes = np.zeros(period, np.int64)
    if not columns.size or not made:
        return sizes
    relative = loop.relative[columns]
    lags, slots = -(relative // made), relative % made
    last = np.full(made, -1)
    np.maximum.at(last, slots, readers[columns] + lags * period)
    for slot in np.flatnonzero(last >= 0):
        written, read = int(writers[slot]), int(last[slot])
        nbytes = 8 + table.values[loop.base + slot].aval.nbytes
        times, rest = divmod(read - written, period)
        sizes += times * nbytes
        if rest:
            after = (written + 1 + np.arange(rest)) % period
            sizes[after] += nbytes
    return sizes


def _turns(loop: Wiring) -> int:
    """Return after how many trips what differs by trip is the same again; 1 if it never is."""
    for times in MULTIPLES[1:]:
        for c in np.flatnonzero(loop.kinds == ROW):
            column = loop.operands[:, c]
            if len(column) > 2 * times and np.array_equal(column[times:], column[:-times]):
                return times
    return 1


def _wired(table: Table, stretch: Stretch, trips: int) -> Wiring | None:
    start, p, n = stretch.start, stretch.period, stretch.trips
    if n < max(trips, 2):
        return None
    stop = start + n * p
    made = int(table.first[start + p] - table.first[start])
    base = int(table.first[start])
    operands = table.operands[table.begin[start] : table.begin[stop]].reshape(n, -1)
    places = table.places[table.at[start] : table.at[stop]].reshape(n, -1)
    firsts = base + made * np.arange(n)
    relative = operands - firsts[:, None]
    moves = relative[1:] == relative[:-1]
    stays = operands[1:] == operands[:-1]
    number = np.stack([stays.sum(0), moves.sum(0), (~(moves | stays)).sum(0)])
    kinds = number.argmax(0)
    usual = np.zeros(operands.shape[1], np.int64)
    for c in np.flatnonzero(kinds == FIXED):
        usual[c] = _most(operands[1:, c][stays[:, c]])
    for c in np.flatnonzero(kinds == CARRIED):
        usual[c] = _most(relative[1:, c][moves[:, c]])
    lags = -(usual // made) if made else 0 * usual
    kinds[(kinds == CARRIED) & (lags > min(LONGEST, n - 1))] = ROW  # as far away by chance
    fixed, carried, rows = kinds == FIXED, kinds == CARRIED, kinds == ROW
    steady = (operands[:, fixed] == usual[fixed]).all(1)
    steady &= (relative[:, carried] == usual[carried]).all(1)
    lags = lags[carried]
    furthest = int(max(lags.max(initial=0), 0))
    s, e = _longest(steady)
    for first in _candidates(operands, fixed, rows, usual, base, made, s, e, furthest):
        if e - first < max(trips, furthest + 1):
            continue
        found, there = operands[first:e], base + made * first
        if _begins(found, relative[first:e], fixed, carried, rows, usual, lags, there):
            before = carried & (found < there).all(0)  # as far away in each trip, by chance
            kinds[before] = ROW
            begin = start + first * p
            return Wiring(begin, p, e - first, there, made, found, kinds, usual, places[first:e])
    return None


def _candidates(
    operands: Any, fixed: Any, rows: Any, usual: Any, base: int, made: int, s: int, e: int,
    furthest: int,
) -> Iterator[int]:  # fmt: skip
    """Yield the trips that a loop may begin with, of those from `s` to `e` that are alike.

    A few trips before these may read what is carried from before the loop; what all trips read
    may be made by the first ones, which then stay outside.
    """
    yield from range(max(s - furthest, 0), s + 1)
    last = max(usual[fixed].max(initial=-1), operands[s:e, rows].max(initial=-1))
    if last >= base and made:
        first = max(s, int((last - base) // made) + 1)
        yield from range(first, min(first + furthest + 1, e))


def _begins(
    operands: Any, relative: Any, fixed: Any, carried: Any, rows: Any, usual: Any, lags: Any,
    base: int,
) -> bool:  # fmt: skip
    """Whether a loop may begin here: what is not of the loop itself is there before it."""
    if (usual[fixed] >= base).any() or (operands[:, rows] >= base).any():
        return False
    if (operands[:, fixed] != usual[fixed]).any():
        return False
    agree = relative[:, carried] == usual[carried]
    early = (np.arange(len(operands))[:, None] < lags) & (operands[:, carried] < base)
    return bool((agree | early).all())


def _most(numbers: Any) -> int:
    """Return the number that occurs most often."""
    found, times = np.unique(numbers, return_counts=True)
    return int(found[times.argmax()])


def _longest(flags: Any) -> tuple[int, int]:
    """Return where the longest run of true flags begins and ends."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    if not edges.size:
        return 0, 0
    begins, ends = edges[::2], edges[1::2]
    k = int((ends - begins).argmax())
    return int(begins[k]), int(ends[k])
