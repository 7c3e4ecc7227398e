"""Stretches of a sequence that repeat with a period.

Windows of growing length are hashed, and the distance from each to the next one like it is
compared with its neighbours': a stretch with one distance has that period. Every scale takes the
time of one sort. What a hash found is compared number by number afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Stretch", "stretches"]

SCALES = 4
"""How much longer the windows of one scale are than those of the one before."""


class Stretch(NamedTuple):
    """Part of a sequence in which ``marks[k] == marks[k + period]``.

    Attributes
    ----------
    start, stop : int
    period : int
    """

    start: int
    stop: int
    period: int

    @property
    def items(self) -> int:
        """How long it is."""
        return self.stop - self.start

    @property
    def trips(self) -> int:
        """How many whole periods there are."""
        return self.items // self.period

    @property
    def saved(self) -> int:
        """How many items one loop stands for beyond those of its body."""
        return (self.trips - 1) * self.period


def stretches(marks: np.ndarray, trips: int, saved: int) -> list[Stretch]:
    """Find the stretches that repeat.

    Parameters
    ----------
    marks : array of int
    trips : int
        The least number of periods.
    saved : int
        The least number of items beyond one period.

    Returns
    -------
    list of Stretch
        They may overlap: in a loop in a loop, the trips of both repeat.
    """
    n = len(marks)
    if n < max(saved, 2):
        return []
    found: set[Stretch] = set()
    latest: dict[int, Stretch] = {}  # of each period
    prefix, powers = _hashed(marks)
    w = 1
    while w <= n // 2:
        for start, stop, period in _at_scale(marks, prefix, powers, w, trips, saved):
            known = latest.get(period)
            if known is not None and known.start <= start and stop <= known.stop:
                continue
            whole = _extended(marks, start, stop, period)
            if whole is not None and whole.trips >= trips and whole.saved >= saved:
                found.add(whole)
                latest[period] = whole
        w *= SCALES
    return sorted(found)


def _hashed(marks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return sums of which differences are hashes of windows, modulo 2**64."""
    rng = np.random.default_rng(20261128)
    names = rng.integers(1, 1 << 63, int(marks.max()) + 1, dtype=np.uint64)
    base = np.uint64(0x9E3779B97F4A7C15)
    powers = np.cumprod(np.full(len(marks) + 1, base, np.uint64), dtype=np.uint64)
    terms = names[marks] * powers[:-1]
    prefix = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
    inverse = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
    back = np.cumprod(np.full(len(marks) + 1, inverse, np.uint64), dtype=np.uint64)
    return prefix, back


def _at_scale(
    marks: np.ndarray, prefix: np.ndarray, back: np.ndarray, w: int, trips: int, saved: int
) -> list[tuple[int, int, int]]:
    """Return ``(start, stop, period)`` of stretches, of periods up to the window.

    Those that are too short are left out where they cannot be longer than they seem.
    """
    hashes = (prefix[w:] - prefix[:-w]) * back[: len(prefix) - w]
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    same = ordered[1:] == ordered[:-1]
    distance = np.zeros(len(hashes), np.int64)
    distance[order[:-1][same]] = (order[1:] - order[:-1])[same]
    distance[distance > w] = 0
    edges = np.flatnonzero(np.diff(distance)) + 1
    starts = np.concatenate([[0], edges])
    stops = np.concatenate([edges, [len(distance)]])
    periods = distance[starts]
    kept = (periods > 0) & (stops - starts + w >= 2 * periods)
    starts, periods = starts[kept], periods[kept]
    stops = np.minimum(stops[kept] - 1 + periods + w, len(marks))
    after = np.minimum(stops, len(marks) - 1)
    grows = (stops < len(marks)) & (marks[after] == marks[after - periods])
    grows |= (starts > 0) & (marks[starts - 1] == marks[starts - 1 + periods])
    size = stops - starts
    long = (size >= trips * periods) & ((size // periods - 1) * periods >= saved)
    kept = grows | long
    return list(
        zip(starts[kept].tolist(), stops[kept].tolist(), periods[kept].tolist(), strict=True)
    )


def _extended(marks: np.ndarray, start: int, stop: int, period: int) -> Stretch | None:
    """Compare number by number, and go on in both directions as far as the period holds."""
    stop = min(stop, len(marks))
    if not np.array_equal(marks[start : stop - period], marks[start + period : stop]):
        return None
    step = 1024
    while stop < len(marks):
        there = marks[stop : stop + step]
        differ = np.flatnonzero(there != marks[stop - period : stop - period + len(there)])
        stop += int(differ[0]) if differ.size else len(there)
        if differ.size:
            break
    while start > 0:
        low = max(start - step, 0)
        differ = np.flatnonzero(marks[low:start] != marks[low + period : start + period])
        start = low + int(differ[-1]) + 1 if differ.size else low
        if differ.size:
            break
    return Stretch(start, stop, period)
