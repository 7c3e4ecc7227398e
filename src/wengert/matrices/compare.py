"""Predictions beside measurements: the ways to compute a matrix, run one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from wengert.tables import align

__all__ = ["Comparison", "Measured", "as_time", "compared"]

TURNS = 9
"""Turns that the ways take; the time of a way is that of its fastest turn."""

TURN = 2e-3
"""Seconds of a turn, at least one call."""


def as_time(seconds: float) -> str:
    """Return seconds with three digits and a unit."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


class Measured(NamedTuple):
    """A way to compute a matrix, with what was predicted and what was measured.

    Attributes
    ----------
    mode : str
    predicted : float or None
        Seconds; None where nothing was predicted.
    measured : float
        Seconds of a call.
    difference : float
        The largest difference of an entry from that of the plan, over the largest entry.
    """

    mode: str
    predicted: float | None
    measured: float
    difference: float


@dataclass(frozen=True, repr=False)
class Comparison:
    """All ways to compute a matrix that suit it, measured.

    Attributes
    ----------
    name : str
    mode : str
        The way that the plan takes.
    ways : tuple of Measured
        The fastest first.
    """

    name: str
    mode: str
    ways: tuple[Measured, ...]

    def __str__(self) -> str:
        """Return a table for people."""
        rows = [("", "way", "predicted", "measured", "difference")]
        for w in self.ways:
            guess = "-" if w.predicted is None else as_time(w.predicted)
            mark = "->" if w.mode == self.mode else ""
            rows.append((mark, w.mode, guess, as_time(w.measured), f"{w.difference:.1e}"))
        return "\n".join([f"ways to {self.name}, as measured:", align(rows, left=(0, 1))])

    __repr__ = __str__


def compared(
    name: str,
    mode: str,
    runs: Mapping[str, Callable[[], Any]],
    flat: Callable[[Any], Sequence[Any]],
    predicted: Mapping[str, float | None],
) -> Comparison:
    """Run ways to a matrix, in turns.

    Parameters
    ----------
    name, mode : str
    runs : mapping of mode to callable
        Each computes the matrix at the example.
    flat : callable
        From a result to its arrays.
    predicted : mapping of mode to seconds
    """
    results = {key: [np.asarray(a) for a in flat(run())] for key, run in runs.items()}
    counts = {key: _count(run) for key, run in runs.items()}
    times: dict[str, float] = {}
    for _ in range(TURNS):
        for key, run in runs.items():
            run()
            start = time.perf_counter()
            for _ in range(counts[key]):
                run()
            took = (time.perf_counter() - start) / counts[key]
            times[key] = min(took, times.get(key, took))
    ours = results[mode]
    ways = [
        Measured(key, predicted.get(key), times[key], _difference(results[key], ours))
        for key in sorted(times, key=lambda key: times[key])
    ]
    return Comparison(name, mode, tuple(ways))


def _count(run: Callable[[], Any]) -> int:
    start = time.perf_counter()
    run()
    return max(1, int(TURN / max(time.perf_counter() - start, 1e-7)))


def _difference(some: Sequence[Any], others: Sequence[Any]) -> float:
    largest = max((float(np.max(np.abs(b), initial=0.0)) for b in others), default=0.0)
    apart = max(
        (float(np.max(np.abs(a - b), initial=0.0)) for a, b in zip(some, others, strict=True)),
        default=0.0,
    )
    return apart / largest if largest else apart
