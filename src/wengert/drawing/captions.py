"""What stands around a picture: its title and numbers, the legend, and the equations."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from wengert.drawing.model import Diagram
from wengert.drawing.shapes import DASHES, Line, Shape, Text, arrow, halo, width_of
from wengert.drawing.text import summary

__all__ = ["LEGEND", "MARGIN", "Caption", "equations", "legend", "title"]

MARGIN = 28.0
LEGEND = 46.0
"""Height of a row of the legend, with the room above it."""

SIZE, STEP = 12.5, 20.0
"""Size of equations, and distance of their lines."""


class Caption(NamedTuple):
    """Shapes around a picture, and the room that they need.

    Attributes
    ----------
    w, h : float
    lines : list of Line
    shapes : list of Shape
    texts : list of Text
    """

    w: float
    h: float
    lines: list[Line]
    shapes: list[Shape]
    texts: list[Text]


def title(drawing: Diagram, width: float = float("inf")) -> Caption:
    """Return the name and the numbers of a drawing, on two rows where one is too narrow."""
    texts = [Text(MARGIN, 26, drawing.name, 16, "ink", True, "start")]
    x, h = MARGIN + width_of(drawing.name, 16, True) + 18, 27.0
    about = " · ".join(f"{b} {a}" for a, b in summary(drawing)[:5])
    if x + width_of(about, 10.5) + MARGIN > width:
        x, h = MARGIN, 46.0
    texts.append(Text(x, h, about, 10.5, "faint", False, "start"))
    return Caption(x + width_of(about, 10.5) + MARGIN, h + 7, [], [], texts)


def legend(drawing: Diagram, used: set[str], heat: str, width: float = float("inf")) -> Caption:
    """Return what the signs of a picture mean, in as many rows as the width needs.

    Parameters
    ----------
    drawing : Diagram
    used : set of str
        The colours of its lines.
    heat : str
    width : float
    """
    lines: list[Line] = []
    shapes: list[Shape] = []
    texts: list[Text] = []
    x, y, widest = MARGIN, 0.0, 0.0

    def entry(name: str, sign: float, draw: Callable[[float, float], None]) -> None:
        nonlocal x, y, widest
        need = sign + 7 + width_of(name, 10)
        if x > MARGIN and x + need + MARGIN > width:
            x, y = MARGIN, y + 22
        draw(x, y)
        texts.append(Text(x + sign + 7, y, name, 10, "faint", False, "start"))
        x += need + 20
        widest = max(widest, x)

    def line(colour: str) -> Callable[[float, float], None]:
        def draw(x: float, y: float) -> None:
            curve = ((x, y), (x + 10, y), (x + 20, y), (x + 30, y))
            lines.append(Line(curve, colour, 1.5, DASHES[colour], arrow(curve)))

        return draw

    def box(x: float, y: float) -> None:
        shapes.append(Shape(x + 8, y, 16, 12, 3, "again", "again", 0.3, 1.0, "4 2"))

    def shade(k: int) -> Callable[[float, float], None]:
        return lambda x, y: shapes.append(halo(k, x + 10, y, 20, 14))

    def shades(x: float, y: float) -> None:
        for k in range(5):
            opacity = 0.06 + 0.125 * k
            shapes.append(Shape(x + 7 + 14 * k, y, 14, 12, 0, "faint", "line", opacity, 0.6))

    for colour, name in (
        ("forward", "forward"), ("backward", "backward"), ("kept", "kept for the way back"),
        ("read", "read again"), ("second", "derivative of that"),
    ):  # fmt: skip
        if colour in used:
            entry(name, 30, line(colour))
    if any(n.stage == "again" for n in drawing.nodes):
        entry("computed again", 15, box)
    for k, region in enumerate(drawing.regions):
        entry(region, 19, shade(k))
    if heat != "none":
        more = {"operations": "more operations", "time": "more time", "bytes": "more bytes"}[heat]
        entry(f"→ {more}", 70, shades)
    return Caption(widest, y + LEGEND, lines, shapes, texts)


def equations(drawing: Diagram, width: float = float("inf")) -> Caption:
    """Return the equations of both passes, side by side, or below each other where it is narrow."""
    columns: list[tuple[str, list[str]]] = []
    room = width - 2 * MARGIN
    for stage in ("forward", "backward"):
        found = [e.text for e in drawing.lines if e.stage == stage]
        if found:
            rows = [row for line in found for row in _wrapped(line, room)]
            columns.append((stage, rows))
    wide = [max(width_of(row, SIZE) for row in (*rows, stage)) for stage, rows in columns]
    beside = sum(wide) + 48 * (len(wide) - 1) <= room
    texts: list[Text] = []
    x, y, low, right = MARGIN, 0.0, 0.0, 0.0
    for (stage, rows), w in zip(columns, wide, strict=True):
        texts.append(Text(x, y + 6, stage, SIZE, stage, True, "start"))
        for k, row in enumerate(rows, 1):
            texts.append(Text(x, y + 6 + STEP * k, row, SIZE, "ink", False, "start"))
        low = max(low, y + 6 + STEP * len(rows))
        right = max(right, x + w)
        x, y = (x + w + 48, y) if beside else (x, low + STEP)
    return Caption(right + MARGIN, low + 18, [], [], texts)


def _wrapped(line: str, room: float) -> list[str]:
    """Break an equation before its signs, so that its rows are no wider than the room."""
    if width_of(line, SIZE) <= room:
        return [line]
    rows, row = [], ""
    for part in re.split(r"(?<=\S)(?= [+−⊙·/] )|(?<=,)(?= )", line):
        if row and width_of(row + part, SIZE) > room:
            rows.append(row)
            row = "        " + part.lstrip()
        else:
            row += part
    return [*rows, row]
