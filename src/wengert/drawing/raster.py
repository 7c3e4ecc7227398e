"""PNG and PDF of a drawing, by matplotlib: it draws the same shapes as the SVG has."""

from __future__ import annotations

import io
from typing import Any

from wengert.drawing.model import Diagram
from wengert.drawing.palette import DARK, LIGHT
from wengert.drawing.paper import sheets
from wengert.drawing.scene import scene
from wengert.drawing.shapes import Scene, Shape
from wengert.drawing.svg import check_theme

__all__ = ["image"]

DOTS = 144
"""Of a PNG, for each inch; a unit of the picture is a 96th of one."""


def image(
    drawing: Diagram,
    form: str,
    theme: str = "light",
    heat: str = "operations",
    equations: bool = False,
    paper: str | None = None,
) -> bytes:
    """Return a drawing as PNG or PDF."""
    check_theme(theme)
    colours: dict[str, Any] = (DARK if theme == "dark" else LIGHT)._asdict()
    colours["none"] = "none"
    if paper is None:
        figures = [_figure(scene(drawing, heat, equations), colours, 1.0)]
    else:
        figures = [
            _figure(p.scene, colours, p.scale) for p in sheets(drawing, paper, heat, equations)
        ]
    out = io.BytesIO()
    if form == "pdf":
        from matplotlib.backends.backend_pdf import PdfPages

        with PdfPages(out, metadata={"Creator": "wengert", "CreationDate": None}) as pages:
            for figure in figures:
                pages.savefig(figure, facecolor=colours["paper"])
        return out.getvalue()
    if len(figures) == 1:
        options = {"facecolor": colours["paper"], "metadata": {"Software": "wengert"}}
        figures[0].savefig(out, format=form, **options)
        return out.getvalue()
    return _stacked(figures)


def _stacked(figures: list[Any]) -> bytes:
    """Return a PNG with pages below each other."""
    import numpy as np
    from matplotlib.image import imsave

    pages = []
    for figure in figures:
        figure.canvas.draw()
        pages.append(np.asarray(figure.canvas.buffer_rgba()))
    out = io.BytesIO()
    imsave(out, np.concatenate(pages), format="png", dpi=DOTS, metadata={"Software": "wengert"})
    return out.getvalue()


def _figure(s: Scene, colours: dict[str, Any], zoom: float) -> Any:
    """Draw a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgba
    from matplotlib.figure import Figure
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path as Curve

    unit = 72 / 96
    limit = 30_000 / DOTS * 96  # Agg draws up to 2**16 dots
    scale = min(zoom, limit / max(s.w, s.h))
    figure = Figure(figsize=(s.w / 96 * scale, s.h / 96 * scale), dpi=DOTS,
                    facecolor=colours["paper"])  # fmt: skip
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, s.w)
    axes.set_ylim(s.h, 0)

    def dashes(text: str, width: float) -> Any:
        if not text:
            return "solid"
        return 0, tuple(float(x) / max(width, 0.1) for x in text.split())

    def add(shape: Shape, order: float) -> None:
        face = "none" if shape.fill == "none" else to_rgba(colours[shape.fill], shape.opacity)
        patch = PathPatch(
            Curve(*_rounded(shape)), facecolor=face, edgecolor=colours[shape.stroke],
            linewidth=shape.width * unit * scale, linestyle=dashes(shape.dash, shape.width),
            zorder=order,
        )  # fmt: skip
        axes.add_patch(patch)

    order = 0.0
    for shape in s.boxes:
        order += 1e-4
        add(shape, 1 + order)
    for line in s.lines:
        codes = [Curve.MOVETO, *[Curve.CURVE4] * (len(line.points) - 1)]
        axes.add_patch(
            PathPatch(Curve(list(line.points), codes), facecolor="none",
                      edgecolor=colours[line.stroke], linewidth=line.width * unit * scale,
                      linestyle=dashes(line.dash, line.width), zorder=2, capstyle="butt")
        )  # fmt: skip
        if line.head:
            axes.add_patch(
                Polygon(line.head, facecolor=colours[line.stroke], linewidth=0, zorder=2.1)
            )
    for shape in s.shapes:
        order += 1e-4
        add(shape, 3 + order)
    for t in s.texts:
        axes.text(
            t.x, t.y, t.text.replace("$", r"\$"), fontsize=t.size * unit * scale,
            color=colours[t.fill], weight="bold" if t.bold else "normal", zorder=5,
            ha="center" if t.anchor == "middle" else "left", va="center_baseline",
            family="DejaVu Sans",
        )  # fmt: skip
    return figure


def _rounded(s: Shape) -> tuple[list[tuple[float, float]], list[int]]:
    """Return the outline of a rectangle with round corners: points and matplotlib's codes."""
    r = min(s.r, s.w / 2, s.h / 2)
    x0, x1, y0, y1 = s.x - s.w / 2, s.x + s.w / 2, s.y - s.h / 2, s.y + s.h / 2
    c = r * (1 - 0.5523)  # a quarter of a circle as a cubic curve
    points = [
        (x0 + r, y0), (x1 - r, y0), (x1 - c, y0), (x1, y0 + c), (x1, y0 + r),
        (x1, y1 - r), (x1, y1 - c), (x1 - c, y1), (x1 - r, y1),
        (x0 + r, y1), (x0 + c, y1), (x0, y1 - c), (x0, y1 - r),
        (x0, y0 + r), (x0, y0 + c), (x0 + c, y0), (x0 + r, y0), (x0 + r, y0),
    ]  # fmt: skip
    move, line, cubic, close = 1, 2, 4, 79
    return points, [move, *[line, cubic, cubic, cubic] * 4, close]
