"""Axes of a chart: where a number stands, and which numbers are written beside it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from wengert.charts import words

__all__ = ["Scale", "steps"]


@dataclass(frozen=True)
class Scale:
    """One axis.

    Parameters
    ----------
    low, high : float
        What stands at either end. On a logarithmic scale both are above 0.
    label : str
    log : bool
    show : callable
        Writes a number.
    binary : bool
        Whether ticks stand at powers of two and their halves, as is read of bytes.
    """

    low: float
    high: float
    label: str = ""
    log: bool = False
    show: Callable[[float], str] = field(default=words.number)
    binary: bool = False

    def part(self, x: float) -> float:
        """Return where a number stands, 0 at the low end and 1 at the high one."""
        if self.log:
            low, high, x = math.log(self.low), math.log(self.high), math.log(x)
        else:
            low, high = self.low, self.high
        return (x - low) / ((high - low) or 1.0)

    def ticks(self, number: int = 5) -> list[float]:
        """Return about so many round numbers between the ends."""
        if self.log:
            return _powers(self.low, self.high, number)
        return steps(self.low, self.high, number, binary=self.binary)


def steps(low: float, high: float, number: int, *, binary: bool = False) -> list[float]:
    """Return about so many round numbers with equal distances from `low` to `high`."""
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    raw = span / max(number, 1)
    if binary:
        step = 2.0 ** math.ceil(math.log2(raw))
    else:
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(k * power for k in (1, 2, 5, 10) if k * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [k * step for k in range(first, math.floor(high / step + 1e-9) + 1)]


def _powers(low: float, high: float, number: int) -> list[float]:
    """Return powers of ten between the ends; with 2 and 5 between where there are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, -(-(last - first) // number))
    few = last - first <= 2
    found = [
        k * 10.0**p for p in range(first, last + 1, every) for k in ((1, 2, 5) if few else (1,))
    ]
    return [x for x in found if low * 0.999 <= x <= high * 1.001]
