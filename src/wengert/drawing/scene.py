"""A picture as shapes: what the writers of SVG, PNG and PDF draw, each in its own way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from wengert.drawing import captions
from wengert.drawing.levels import levels
from wengert.drawing.model import Diagram, Group, Node
from wengert.drawing.placing import Box, Path, place
from wengert.drawing.shapes import DASHES, Line, Scene, Shape, Text, arrow, fitted, halo, width_of
from wengert.errors import InputError, UnsupportedError, user_line
from wengert.memory.profile import size_text

__all__ = ["HEATS", "graph", "heat_of", "node_size", "scene"]

HEATS = ("operations", "time", "bytes", "none")

MOST = 2_500
"""So many nodes are the most for a picture."""

HALO = (30.0, 14.0)
"""How much wider and higher than a node the shade of its region is."""

ABOVE = 34.0
"""Room for the title."""

CORNER = 5.0


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
    """Place a drawing, and return its shapes with the title, the legend and the equations.

    Raises
    ------
    UnsupportedError
        Where more is to be seen than a picture can hold.
    """
    made = graph(drawing, heat)
    w, h = made.w, made.h
    parts = [(captions.title(drawing), 0.0)]
    if equations:
        found = captions.equations(drawing)
        parts.append((found, h))
        h += found.h
    below = captions.legend(drawing, {line.stroke for line in made.lines}, heat)
    h += below.h
    parts.append((below, h - 26.0))
    for part, y in parts:
        w = max(w, part.w)
        made.add(part.lines, part.shapes, part.texts, 0.0, y)
    return made._replace(w=round(w, 1), h=round(h, 1))


def graph(drawing: Diagram, heat: str = "operations") -> Scene:
    """Place a drawing, and return the shapes of the graph alone; see `scene`."""
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
    margin = captions.MARGIN
    dx, dy = margin, margin + ABOVE
    boxes: list[Shape] = []
    lines: list[Line] = []
    shapes: list[Shape] = []
    texts: list[Text] = []
    halos: list[Shape] = []
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
            n = nodes[key]
            if n.region:
                wide = box.w + HALO[0], box.h + HALO[1]
                halos.append(halo(drawing.regions.index(n.region), box.x, box.y, *wide))
            _draw_node(n, box, heats(n), shapes, texts)
    boxes += halos
    lines += [_draw_link(path, dx, dy, nodes) for path in placing.paths]
    w, h = placing.w + 2 * margin, placing.h + 2 * margin + ABOVE
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
    dash = {"loop": "", "trip": "1 4", "body": "", "again": "5 3", "chain": "", "repeat": ""}.get(
        g.kind, "4 4"
    )
    stroke = (
        "again"
        if g.kind == "again"
        else "faint"
        if g.kind in ("loop", "body", "repeat")
        else "line"
    )
    if closed:
        shapes.append(Shape(box.x + 4, box.y - 4, box.w, box.h, CORNER, "box", "line", 1.0, 1.0))
        shapes.append(Shape(*box, CORNER, "box", "faint", 1.0, 1.2, "", g.id, about))
        texts.append(Text(box.x, box.y - 8, g.label, 11, "ink", True, of=g.id))
        texts.append(Text(box.x, box.y + 9, about, 9, "faint", of=g.id))
        return
    fill = "again" if g.kind == "again" else "box"
    opacity = 0.14 if g.kind == "again" else 0.75
    boxes.append(Shape(*box, 9.0, fill, stroke, opacity, 1.0, dash, g.id, about))
    label = fitted(g.label, box.w - 16)
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
def _draw_link(path: Path, dx: float, dy: float, nodes: Mapping[str, Node]) -> Line:
    link = path.link
    n = nodes[link.source]
    colour = "second" if link.kind == "backward" and not link.back else link.kind
    curve = tuple((x + dx, y + dy) for x, y in path.curve)
    title = f"{n.label}: {n.dtype}[{','.join(map(str, n.shape))}], {size_text(n.nbytes)}"
    head = arrow(curve) if path.head else ()
    return Line(curve, colour, 1.5, DASHES[colour], head, title, n.id)
