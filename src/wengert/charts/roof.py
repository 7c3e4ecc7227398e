"""A roofline: operations a second against operations a byte, under what a machine can do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from wengert.charts import words
from wengert.charts.palette import BACKWARD, FORWARD
from wengert.charts.scales import Scale
from wengert.charts.svg import Frame

__all__ = ["Work", "svg_roof"]


class Work(NamedTuple):
    """A point under the roof: what does so many operations on so many bytes, and how fast."""

    name: str
    flops: float
    nbytes: float
    rate: float


def svg_roof(
    peak: float, bandwidth: float, points: Sequence[Work], width: float = 720, height: float = 320
) -> str:
    """Draw as SVG.

    Parameters
    ----------
    peak, bandwidth : float
        Operations and bytes a second that the machine does at most.
    points : sequence of Work
        With `rate` in operations a second.
    """
    ridge = peak / bandwidth
    dense = [p.flops / p.nbytes for p in points]
    low = min([*dense, ridge]) / 4
    high = max([*dense, ridge]) * 6
    least = min([*(p.rate for p in points), low * bandwidth]) / 3
    frame = Frame(
        Scale(low, high, "operations a byte", True, lambda v: f"{v:g}"),
        Scale(least, peak * 2.2, "operations a second", True, lambda v: words.number(v)),
        width, height,
    )  # fmt: skip
    frame.line([(low, low * bandwidth), (ridge, peak), (high, peak)], "currentColor")
    frame.note(high / 1.05, peak, f"{words.number(peak)} operations a second")
    frame.note(low * 1.25, low * bandwidth, f"{words.nbytes(bandwidth)} a second", above=False)
    for i, point in enumerate(points):
        colour = FORWARD if i == 0 else BACKWARD
        x = point.flops / point.nbytes
        roof = min(peak, x * bandwidth)
        frame.line([(x, point.rate), (x, roof)], colour, dashed=True)
        said = f"{point.name}: {words.number(point.rate)} a second"
        frame.dot(x, point.rate, colour, said, 6)
        frame.note(x, point.rate, said, above=False)
    said = "; ".join(f"{p.name}: {words.number(p.rate)} operations a second" for p in points)
    return frame.svg("throughput against the limit of this machine", said)
