"""What pictures are made of: rectangles, curves and texts, before a format writes them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from wengert.drawing.palette import REGIONS
from wengert.drawing.placing import Placing

__all__ = ["DASHES", "Line", "Scene", "Shape", "Text", "arrow", "fitted", "halo", "width_of"]

_WIDTHS = [
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79,
    60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63,
    63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
]  # fmt: skip
"""Of the characters from the space on, in hundredths of the size: DejaVu Sans, which is wide."""


class Shape(NamedTuple):
    """A rectangle with round corners; a circle where they are as round as can be.

    Attributes
    ----------
    x, y, w, h, r : float
        Centre, size, radius of the corners.
    fill, stroke : str
        Names of the palette's colours, or ``none``.
    opacity : float
        Of the fill.
    width : float
        Of the stroke.
    dash : str
    key : str
        What it stands for.
    """

    x: float
    y: float
    w: float
    h: float
    r: float
    fill: str
    stroke: str
    opacity: float = 1.0
    width: float = 1.2
    dash: str = ""
    key: str = ""
    title: str = ""


class Line(NamedTuple):
    """A curve: the first point, then cubic pieces of three points each; an arrow at one end.

    `of` is the node whose value it carries.
    """

    points: tuple[tuple[float, float], ...]
    stroke: str
    width: float
    dash: str
    head: tuple[tuple[float, float], ...] = ()
    title: str = ""
    of: str = ""

    def moved(self, x: float, y: float) -> Line:
        """Return the curve elsewhere."""
        return self._replace(
            points=tuple((a + x, b + y) for a, b in self.points),
            head=tuple((a + x, b + y) for a, b in self.head),
        )


class Text(NamedTuple):
    """A line of text around a point: ``middle``, or from there on: ``start``."""

    x: float
    y: float
    text: str
    size: float
    fill: str
    bold: bool = False
    anchor: str = "middle"
    of: str = ""


class Scene(NamedTuple):
    """A picture's shapes, from the back to the front."""

    w: float
    h: float
    boxes: list[Shape]
    lines: list[Line]
    shapes: list[Shape]
    texts: list[Text]
    title: str
    placing: Placing

    def add(
        self, lines: Iterable[Line], shapes: Iterable[Shape], texts: Iterable[Text],
        x: float, y: float,
    ) -> None:  # fmt: skip
        """Put more in front of it, moved."""
        self.lines.extend(line.moved(x, y) for line in lines)
        self.shapes.extend(s._replace(x=s.x + x, y=s.y + y) for s in shapes)
        self.texts.extend(t._replace(x=t.x + x, y=t.y + y) for t in texts)


def width_of(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a text, at most."""
    found = 0.0
    for c in text:
        k = ord(c) - 32
        found += _WIDTHS[k] if 0 <= k < len(_WIDTHS) else 38 if c in "²³¹⁰₀₁₂₃₄₅₆₇₈₉ᵀ′" else 84
    return found * size / 100 * (1.12 if bold else 1.0)


DASHES = {"forward": "", "backward": "7 3", "kept": "1.5 3", "read": "1.5 6", "second": "9 2 2 2"}


REGION_DASHES = ("", "6 3", "2 3", "9 3 2 3", "1 5", "12 4")
"""Around what is shaded, so that regions are told apart in grey."""


def halo(k: int, x: float, y: float, w: float, h: float) -> Shape:
    """Return the shade behind a node of region `k`."""
    colour, dash = f"region{k % REGIONS + 1}", REGION_DASHES[k % REGIONS]
    return Shape(x, y, w, h, 6.0, colour, colour, 0.3, 1.0, dash)


def arrow(curve: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return the triangle at the end of a curve."""
    (x0, y0), (x1, y1) = curve[-2], curve[-1]
    d = math.hypot(x1 - x0, y1 - y0) or 1.0
    ux, uy = (x1 - x0) / d, (y1 - y0) / d
    long, wide = 7.0, 3.2
    bx, by = x1 - long * ux, y1 - long * uy
    return (x1, y1), (bx - wide * uy, by + wide * ux), (bx + wide * uy, by - wide * ux)


def fitted(label: str, room: float) -> str:
    """Return a box's name, shortened where it is too long."""
    while len(label) > 4 and width_of(label, 10, True) > room:
        label = label[:-2].rstrip("…") + "…"
    return label
