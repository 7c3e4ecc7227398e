"""Curves over a common axis, such as losses over epochs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from wengert.charts.palette import SERIES
from wengert.charts.scales import Scale
from wengert.charts.svg import Frame

__all__ = ["svg_curves"]

Curve = Sequence[tuple[float, float]]


def svg_curves(
    curves: Mapping[str, Curve],
    *,
    title: str,
    x: str,
    y: str,
    log: bool = False,
    best: tuple[float, str] | None = None,
    width: float = 720,
    height: float = 300,
) -> str:
    """Draw curves as SVG.

    Parameters
    ----------
    curves : mapping of str to list of (float, float)
        Points that are not finite, or not above 0 on a logarithmic axis, are left out.
    title, x, y : str
        Of the drawing and of its axes.
    log : bool
        Whether the vertical axis is logarithmic.
    best : (float, str), optional
        A place on the horizontal axis to be marked, and its name.
    """
    drawn = {
        name: [(a, b) for a, b in points if math.isfinite(b) and (b > 0 or not log)]
        for name, points in curves.items()
    }
    drawn = {name: points for name, points in drawn.items() if points}
    xs = [a for points in drawn.values() for a, _ in points] or [0.0]
    ys = [b for points in drawn.values() for _, b in points] or [1.0]
    low, high = min(ys), max(ys)
    if log:
        low, high = low / 1.15, high * 1.15
    else:
        room = 0.06 * ((high - low) or abs(high) or 1.0)
        low, high = (low - room if low > room or low < 0 else 0.0), high + room
    names = [(name, SERIES[i % len(SERIES)]) for i, name in enumerate(drawn)]
    first, last = min(xs), max(xs)
    across = Scale(first, last if last > first else first + 1, x, show=lambda v: f"{v:g}")
    frame = Frame(across, Scale(low, high, y, log, lambda v: f"{v:.4g}"), width, height, names)
    if best is not None:
        frame.fence(*best)
    for (_, colour), points in zip(names, drawn.values(), strict=True):
        frame.line(points, colour)
        if len(points) == 1:
            frame.dot(*points[0], colour)
    ends = [f"{name} ends at {points[-1][1]:.4g}" for name, points in drawn.items()]
    return frame.svg(title, "; ".join(ends))
