"""Fair timing in one process: interleaved rounds, medians, and measured peaks."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

__all__ = ["as_time", "medians", "peaks"]


def as_time(seconds: float | None) -> str:
    """Return seconds with three digits and a unit, ``-`` for None."""
    if seconds is None:
        return "-"
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds * 1e6:.3g} us"


def medians(
    contestants: Mapping[str, Callable[[], Any]],
    *,
    seconds: float = 2.0,
    rounds: int = 15,
    pause: float = 0.0,
) -> dict[str, float]:
    """Time each contestant, in turns, and return the median seconds of a call.

    Parameters
    ----------
    contestants : mapping of name to callable
        Each call does the whole job and waits for its result.
    seconds : float
        About how long to spend on each. One that is slower takes three turns only.
    rounds : int
        Turns; a turn repeats a fast call often enough to be measurable.
    pause : float
        Seconds to wait before each turn, and then one call that is not timed, so that the threads
        of the contestant before are asleep and one's own data is in the caches.
    """
    repeats = {}
    turns = {}
    for name, run in contestants.items():
        run()
        start = time.perf_counter()
        run()
        once = time.perf_counter() - start
        if once < seconds / rounds:
            start = time.perf_counter()
            run()
            once = time.perf_counter() - start
        repeats[name] = max(1, round(seconds / rounds / max(once, 1e-7)))
        turns[name] = min(rounds, max(3, int(seconds / max(once, 1e-7))))
    times: dict[str, list[float]] = {name: [] for name in contestants}
    enabled = gc.isenabled()
    gc.disable()
    try:
        for turn in range(rounds):
            for name, run in contestants.items():
                if turn >= turns[name]:
                    continue
                if pause:
                    time.sleep(pause)
                    run()
                n = repeats[name]
                start = time.perf_counter()
                for _ in range(n):
                    run()
                times[name].append((time.perf_counter() - start) / n)
            gc.collect()
    finally:
        if enabled:
            gc.enable()
    return {name: statistics.median(t) for name, t in times.items()}


def peaks(cores: int) -> dict[str, float]:
    """Measure what bounds a computation: flops of a matrix product, bytes of a triad, a second."""
    found = {}
    for name, dtype in (("sgemm", np.float32), ("dgemm", np.float64)):
        a, b = np.ones((2, 2048, 2048), dtype)
        found[name] = 2.0 * 2048**3 / _best(lambda a=a, b=b: a @ b)
    a, b, c = np.ones((3, 12_000_000))
    parts = [slice(i * len(a) // cores, (i + 1) * len(a) // cores) for i in range(cores)]
    with ThreadPoolExecutor(cores) as pool:
        found["triad"] = (
            24.0
            * len(a)
            / _best(lambda: list(pool.map(lambda s: np.add(b[s], c[s], out=a[s]), parts)))
        )
    return found


def _best(run: Callable[[], Any], rounds: int = 7) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
