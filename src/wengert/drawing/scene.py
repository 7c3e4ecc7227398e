"""A picture as shapes: what the writers of SVG, PNG and PDF draw, each in its own way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from wengert.drawing.levels import levels
from wengert.drawing.model import Diagram, Group, Node
from wengert.drawing.placing import Box, Path, Placing, place
from wengert.drawing.text import summary
from wengert.errors import InputError, UnsupportedError, user_line
from wengert.memory.profile import size_text

__all__ = ["HEATS", "Line", "Scene", "Shape", "Text", "heat_of", "node_size", "scene", "width_of"]

HEATS = ("operations", "time", "bytes", "none")

MOST = 2_500
"""So many nodes are the most for a picture."""

MARGIN = 28.0
CORNER = 5.0

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
    """A curve: the first point, then cubic pieces of three points each; an arrow at one end."""

    points: tuple[tuple[float, float], ...]
    stroke: str
    width: float
    dash: str
    head: tuple[tuple[float, float], ...] = ()
    title: str = ""


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


def width_of(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a text, at most."""
    found = 0.0
    for c in text:
        k = ord(c) - 32
        found += _WIDTHS[k] if 0 <= k < len(_WIDTHS) else 38 if c in "²³¹⁰₀₁₂₃₄₅₆₇₈₉ᵀ′" else 84
    return found * size / 100 * (1.12 if bold else 1.0)


def node_size(node: Node) -> tuple[float, float]:
    """Return the width and height of a node."""
    if node.kind == "operator":
        w = width_of(node.label, 12)
        return (34.0, 34.0) if w <= 27 else (round(max(34.0, w + 18), 1), 30.0)
    w = max(width_of(node.label, 12.5, bold=True), width_of(_shape(node), 9))
    return round(max(34.0, w + 14), 1), 36.0 if node.shape else 30.0


def chip_size(nbytes: int) -> tuple[float, float]:
    """Return the width and height of what says how much is kept."""
    return round(width_of(size_text(nbytes), 9) + 12, 1), 16.0


def group_size(group: Group, about: str) -> tuple[float, float]:
    """Return the width and height of a closed group."""
    w = max(width_of(group.label, 11, bold=True), width_of(about, 9))
    return round(w + 26, 1), 44.0


def _shape(node: Node) -> str:
    return "×".join(map(str, node.shape))


def colour_of(node: Node) -> str:
    """Return the name of a node's colour."""
    if node.stage == "again":
        return "again"
    return "forward" if node.order == 0 else "backward" if node.order % 2 else "second"


def heat_of(drawing: Diagram, heat: str) -> Callable[[Node], float]:
    """Return how much of the most expensive operator each one costs, from 0 to 1."""
    if heat not in HEATS:
        raise InputError(
            f"heat={heat!r} is not known; write one of: {', '.join(map(repr, HEATS))}" + user_line()
        )

    def cost(n: Node) -> float:
        if n.kind != "operator" or heat == "none":
            return 0.0
        if heat == "time":
            return n.seconds or 0.0
        return float(n.flops if heat == "operations" else n.read + n.written)

    most = max(map(cost, drawing.nodes), default=0.0) or 1.0
    return lambda n: math.sqrt(cost(n) / most)


def hidden_groups(groups: Mapping[str, Group]) -> set[str]:
    """Return the groups that are closed, and all within them."""
    found: set[str] = set()
    for g in groups.values():  # outer ones first
        if g.closed or g.parent in found:
            found.add(g.id)
    return found


def scene(drawing: Diagram, heat: str = "operations", equations: bool = False) -> Scene:
    """Place a drawing, and return its shapes.

    Raises
    ------
    UnsupportedError
        Where more is to be seen than a picture can hold.
    """
    groups = {g.id: g for g in drawing.groups}
    hidden = hidden_groups(groups)
    shown = [n for n in drawing.nodes if n.group not in hidden]
    if len(shown) > MOST:
        raise UnsupportedError(
            f"the drawing of {drawing.name} shows {len(shown):,} nodes, and a picture holds at "
            f"most {MOST:,}. Write the page, whose parts open and close: "
            f'drawing.save("graph.html"); or '
            f"close groups: drawing.closed().save(...); or draw a part of the function."
            + user_line()
        )
    about = abouts_of(drawing, groups)
    nodes = drawing.by_id
    kept = {e.source: e.nbytes for e in drawing.edges if e.kind == "kept"}

    def size(key: str, kind: str) -> tuple[float, float]:
        if kind == "group":
            return group_size(groups[key], about[key])
        if kind == "chip":
            return chip_size(kept[key[2:]])
        return node_size(nodes[key])

    placing = place(levels(drawing), size, lambda g: g not in hidden)
    heats = heat_of(drawing, heat)
    dx, dy = MARGIN, MARGIN + 34.0
    boxes: list[Shape] = []
    lines: list[Line] = []
    shapes: list[Shape] = []
    texts: list[Text] = []
    for key, box in placing.boxes.items():
        box = Box(box.x + dx, box.y + dy, box.w, box.h)
        if key in groups:
            _draw_group(groups[key], box, key in hidden, about[key], boxes, shapes, texts)
        elif key.startswith("k:"):
            shapes.append(Shape(*box, 8.0, "paper", "kept", 1.0, 1.0, "2 2", key,
                                f"kept for the way back: {size_text(kept[key[2:]])}"))  # fmt: skip
            text = size_text(kept[key[2:]])
            texts.append(Text(box.x, box.y, text, 9, "kept", of=key))
        else:
            _draw_node(nodes[key], box, heats(nodes[key]), shapes, texts)
    lines += [_draw_link(path, dx, dy, nodes) for path in placing.paths]
    w, h = placing.w + 2 * MARGIN, placing.h + 2 * MARGIN + 34.0
    if equations:
        w, h = _write_equations(drawing, w, h, texts)
    h += 46.0
    w = max(w, _caption(drawing, h, heat, shapes, lines, texts))
    w, h = round(w, 1), round(h, 1)
    return Scene(w, h, boxes, lines, shapes, texts, drawing.name, placing)


def abouts_of(drawing: Diagram, groups: Mapping[str, Group]) -> dict[str, str]:
    """Say of each group what is in it."""
    counts: dict[str, list[int]] = {g: [0, 0] for g in groups}
    for n in drawing.nodes:
        here = n.group
        while here:
            counts[here][0] += n.kind == "operator"
            if "." not in n.id or groups[here].kind in ("body", "branch"):
                counts[here][1] += n.flops  # else its operator counts them
            here = groups[here].parent
    return {
        g: f"{a} operator{'s' * (a != 1)}, {_short(b)} operations" for g, (a, b) in counts.items()
    }


def _short(n: float) -> str:
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e4)):
        if n >= size:
            return f"{n / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{n:,.0f}"


def _draw_group(
    g: Group, box: Box, closed: bool, about: str, boxes: list[Shape], shapes: list[Shape],
    texts: list[Text],
) -> None:  # fmt: skip
    dash = {"loop": "", "trip": "1 4", "body": "", "again": "5 3", "chain": ""}.get(g.kind, "4 4")
    stroke = "again" if g.kind == "again" else "faint" if g.kind in ("loop", "body") else "line"
    if closed:
        shapes.append(Shape(box.x + 4, box.y - 4, box.w, box.h, CORNER, "box", "line", 1.0, 1.0))
        shapes.append(Shape(*box, CORNER, "box", "faint", 1.0, 1.2, "", g.id, about))
        texts.append(Text(box.x, box.y - 8, g.label, 11, "ink", True, of=g.id))
        texts.append(Text(box.x, box.y + 9, about, 9, "faint", of=g.id))
        return
    fill = "again" if g.kind == "again" else "box"
    opacity = 0.14 if g.kind == "again" else 0.75
    boxes.append(Shape(*box, 9.0, fill, stroke, opacity, 1.0, dash, g.id, about))
    label = g.label
    while len(label) > 4 and width_of(label, 10, True) > box.w - 16:
        label = label[:-2].rstrip("…") + "…"
    left, top = box.x - box.w / 2, box.y - box.h / 2
    texts.append(Text(left + 9, top + 12, label, 10, "faint", True, "start", g.id))


def _draw_node(n: Node, box: Box, heat: float, shapes: list[Shape], texts: list[Text]) -> None:
    colour = colour_of(n)
    title = (
        f"{n.label} = {n.formula}" if n.formula and n.kind == "variable" else n.formula or n.label
    )
    if n.kind == "operator":
        shapes.append(Shape(*box, box.h / 2, "paper", "none"))
        dash = "" if n.order == 0 and n.stage != "again" else "4 2"
        shapes.append(
            Shape(*box, box.h / 2, colour, colour, 0.06 + 0.5 * heat, 1.5, dash, n.id,
                  f"{title}  ({n.flops:,} operations)")
        )  # fmt: skip
        texts.append(Text(box.x, box.y, n.label, 12, "ink", of=n.id))
        return
    width = 2.2 if n.role in ("input", "result", "gradient", "constant") else 1.3
    shapes.append(Shape(*box, 3.0, "paper", colour, 1.0, width, "", n.id, title))
    if n.shape:
        texts.append(Text(box.x, box.y - 6, n.label, 12.5, "ink", True, of=n.id))
        texts.append(Text(box.x, box.y + 10, _shape(n), 9, "faint", of=n.id))
    else:
        texts.append(Text(box.x, box.y, n.label, 12.5, "ink", True, of=n.id))


# --- links ----------------------------------------------------------------------------------------
_DASHES = {"forward": "", "backward": "7 3", "kept": "1.5 3", "read": "1.5 3", "second": "9 2 2 2"}


def _draw_link(path: Path, dx: float, dy: float, nodes: Mapping[str, Node]) -> Line:
    link = path.link
    n = nodes[link.source]
    colour = "second" if link.kind == "backward" and not link.back else link.kind
    curve = tuple((x + dx, y + dy) for x, y in path.curve)
    title = f"{n.label}: {n.dtype}[{','.join(map(str, n.shape))}], {size_text(n.nbytes)}"
    head = _head(list(curve)) if path.head else ()
    return Line(curve, colour, 1.5, _DASHES[colour], head, title)


def _head(curve: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Return the triangle at the end of a curve."""
    (x0, y0), (x1, y1) = curve[-2], curve[-1]
    d = math.hypot(x1 - x0, y1 - y0) or 1.0
    ux, uy = (x1 - x0) / d, (y1 - y0) / d
    long, wide = 7.0, 3.2
    bx, by = x1 - long * ux, y1 - long * uy
    return (x1, y1), (bx - wide * uy, by + wide * ux), (bx + wide * uy, by - wide * ux)


# --- what stands around the graph -----------------------------------------------------------------
def _write_equations(
    drawing: Diagram, w: float, h: float, texts: list[Text]
) -> tuple[float, float]:
    """Write the equations below the graph, a column for each pass; return the size of it all."""
    size, step, x, low = 12.5, 20.0, MARGIN, h
    for stage in ("forward", "backward"):
        found = [e.text for e in drawing.lines if e.stage == stage]
        if not found:
            continue
        texts.append(Text(x, h + 6, stage, 12.5, stage, True, "start"))
        for k, line in enumerate(found, 1):
            texts.append(Text(x, h + 6 + step * k, line, size, "ink", False, "start"))
        x += max(width_of(line, size) for line in (*found, stage)) + 48
        low = max(low, h + 6 + step * len(found))
    return max(w, x), low + 18


def _caption(
    drawing: Diagram, h: float, heat: str, shapes: list[Shape], lines: list[Line],
    texts: list[Text],
) -> float:  # fmt: skip
    """Add the title, the numbers and the legend; return the width that they need."""
    texts.append(Text(MARGIN, 26, drawing.name, 16, "ink", True, "start"))
    x = MARGIN + width_of(drawing.name, 16, True) + 18
    about = " · ".join(f"{b} {a}" for a, b in summary(drawing)[:5])
    texts.append(Text(x, 27, about, 10.5, "faint", False, "start"))
    need = x + width_of(about, 10.5) + MARGIN
    kinds = {e.kind for e in drawing.edges}
    x, y = MARGIN, h - 26
    for kind, text in (
        ("forward", "forward"), ("backward", "backward"), ("kept", "kept for the way back"),
        ("read", "read again"),
    ):  # fmt: skip
        if kind in kinds:
            end = x + 30
            curve = ((x, y), (x + 10, y), (x + 20, y), (end, y))
            lines.append(Line(curve, kind, 1.5, _DASHES[kind], _head(list(curve))))
            texts.append(Text(end + 7, y, text, 10, "faint", False, "start"))
            x = end + 7 + width_of(text, 10) + 20
    if any(line.stroke == "second" for line in lines):
        curve = ((x, y), (x + 10, y), (x + 20, y), (x + 30, y))
        lines.append(Line(curve, "second", 1.5, _DASHES["second"], _head(list(curve))))
        texts.append(Text(x + 37, y, "derivative of that", 10, "faint", False, "start"))
        x += 57 + width_of("derivative of that", 10)
    if any(n.stage == "again" for n in drawing.nodes):
        shapes.append(Shape(x + 8, y, 16, 12, 3, "again", "again", 0.3, 1.0, "4 2"))
        texts.append(Text(x + 22, y, "computed again", 10, "faint", False, "start"))
        x += 22 + width_of("computed again", 10) + 20
    if heat != "none":
        for k in range(5):
            shapes.append(
                Shape(x + 7 + 14 * k, y, 14, 12, 0, "faint", "line", 0.06 + 0.125 * k, 0.6)
            )
        text = {"operations": "more operations", "time": "more time", "bytes": "more bytes"}[heat]
        texts.append(Text(x + 77, y, f"→ {text}", 10, "faint", False, "start"))
        x += 77 + width_of(f"→ {text}", 10) + 20
    return max(need, x)
