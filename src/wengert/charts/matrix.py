"""The entries of a matrix that can differ from zero, each in the colour of its product."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.charts.palette import FORWARD, colours_of, ink_on, rgb
from wengert.charts.svg import drawing, text, wide

__all__ = ["Places", "plot_matrix", "svg_matrix"]

PIXELS = (160, 1024)
"""Blocks along a side of a picture by matplotlib, at least and at most: as many as its pixels.

Where the matrix is larger, a block holds several entries.
"""
CELLS = 90
"""The same for an SVG."""
NUMBERED = 28
"""Rows and columns up to which the colours are written into the entries as numbers too."""


@dataclass(frozen=True)
class Places:
    """Entries, and how they are coloured.

    Attributes
    ----------
    rows, columns : int arrays
    shape : (int, int)
    colours : int array or None
        The number of each entry's colour, -1 for none; without, all entries have the same.
    by_column, by_row : int arrays or None
        Colours of the columns and rows themselves, -1 for none, shown beside the matrix.
    number : int
        How many colours there are.
    title : str
    """

    rows: Any
    columns: Any
    shape: tuple[int, int]
    colours: Any = None
    by_column: Any = None
    by_row: Any = None
    number: int = 0
    title: str = ""

    def palette(self) -> list[str]:
        """Return the colours by number."""
        return [FORWARD] if self.colours is None else colours_of(self.number)

    def blocks(self, most: int) -> tuple[Any, Any, Any, tuple[int, int]]:
        """Return rows, columns and colours of blocks that hold entries, and how many there are.

        Blocks are single entries unless the matrix is longer than `most`; the first entry of a
        block gives its colour.
        """
        m, n = self.shape
        scale = max(m / most, n / most, 1.0)
        down, across = (max(int(np.ceil(k / scale)), 1) for k in (m, n))
        rows = (np.asarray(self.rows) / scale).astype(np.int64)
        columns = (np.asarray(self.columns) / scale).astype(np.int64)
        place, first = np.unique(rows * across + columns, return_index=True)
        colours = np.zeros(len(first), int)
        if self.colours is not None:
            colours = np.asarray(self.colours)[first]
        return place // across, place % across, colours, (down, across)

    @property
    def is_numbered(self) -> bool:
        """Whether entries are large enough to hold a number."""
        return self.colours is not None and max(self.shape) <= NUMBERED


def _image(rows: Any, columns: Any, colours: Any, size: tuple[int, int], palette: list[str]) -> Any:
    table = np.array([[*rgb(c), 1.0] for c in palette] + [[0.55, 0.55, 0.55, 1.0]])
    picture = np.zeros((*size, 4))
    picture[rows, columns] = table[colours]
    return picture


def plot_matrix(ax: Any, places: Places) -> Any:
    """Draw on axes of matplotlib, and return them."""
    m, n = places.shape
    palette = places.palette()
    window = ax.get_window_extent()
    most = int(np.clip(0.7 * min(window.width, window.height), *PIXELS))
    rows, columns, colours, size = places.blocks(most)
    picture = _image(rows, columns, colours, size, palette)
    extent = (-0.5, max(n, 1) - 0.5, max(m, 1) - 0.5, -0.5)
    square = max(m, 1) <= 4 * max(n, 1) and max(n, 1) <= 4 * max(m, 1)
    ax.imshow(picture, extent=extent, aspect="equal" if square else "auto", interpolation="nearest")
    if max(m, n) <= 60:
        for i in range(m + 1):
            ax.axhline(i - 0.5, color="0.9", linewidth=0.6, zorder=0)
        for j in range(n + 1):
            ax.axvline(j - 0.5, color="0.9", linewidth=0.6, zorder=0)
    if places.is_numbered:
        small = "small" if max(m, n) <= 16 else "x-small"
        for i, j, c in zip(places.rows, places.columns, places.colours, strict=True):
            if c >= 0:
                ink = ink_on(palette[c])
                ax.text(j, i, str(c), ha="center", va="center", color=ink, fontsize=small)
    strips = ((places.by_column, (0, 1.015, 1, 0.03)), (places.by_row, (1.015, 0, 0.03, 1)))
    for along, (given, where) in enumerate(strips):
        if given is None or not len(given):
            continue
        table = np.array([[*rgb(c), 1.0] for c in palette] + [[0, 0, 0, 0]])
        picked = np.asarray(given)[
            np.linspace(0, len(given) - 1, min(len(given), most)).astype(int)
        ]
        strip = ax.inset_axes(where)
        image = table[picked][None] if along == 0 else table[picked][:, None]
        strip.imshow(image, aspect="auto", interpolation="nearest")
        strip.set_axis_off()
    ax.set(xlabel="column", ylabel="row")
    ax.set_title(places.title, fontsize="medium", pad=14 if places.by_column is not None else 6)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    return ax


def svg_matrix(places: Places, side: float = 360) -> str:
    """Draw as SVG: entries as squares, and a frame."""
    m, n = places.shape
    palette = [*places.palette(), "#8c8c8c"]
    rows, columns, colours, (down, across) = places.blocks(CELLS)
    cell = min(side / max(down, across), 22.0)
    left, top = 8 + wide(str(max(m - 1, 0))) + 8, 34.0
    width, height = across * cell, down * cell
    marks = []
    for number in np.unique(colours).tolist():
        path = _runs(rows[colours == number], columns[colours == number], cell, left, top)
        marks.append(f'<path fill="{palette[number]}" d="{path}"/>')
    if places.is_numbered and cell >= 11:
        for i, j, c in zip(places.rows, places.columns, places.colours, strict=True):
            if c >= 0:
                x, y = left + (j + 0.5) * cell, top + (i + 0.5) * cell + 4
                marks.append(text(x, y, str(c), "middle", "small", ink_on(palette[c])))
    frame = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}"'
    marks.append(f'<rect class="axis" {frame}/>')
    if n:
        marks.append(text(left + cell / 2, top - 6, "0", "middle", "small"))
        if n > 1:
            marks.append(text(left + width, top - 6, str(n - 1), "end", "small"))
    if m:
        marks.append(text(left - 6, top + min(cell, 12), "0", "end", "small"))
        if m > 1:
            marks.append(text(left - 6, top + height - 1, str(m - 1), "end", "small"))
    title = places.title
    if max(m, n) > CELLS:
        title += f"; squares of {max(m, n) / CELLS:.3g} rows and columns"
    whole = max(left + width + 8, wide(title) + 16)
    marks.insert(0, text(4, 13, title))
    what = f"{m} rows, {n} columns, {len(places.rows)} entries"
    if places.colours is not None:
        what += f" in {places.number} colours"
    return drawing(whole, top + height + 8, marks, places.title or "sparsity pattern", what)


def _runs(rows: Any, columns: Any, cell: float, left: float, top: float) -> str:
    """Return a path of the runs of neighbours in each row; entries are in order."""
    if not len(rows):
        return ""
    gap = min(0.12 * cell, 1.0)
    apart = cell > 6  # squares that are large enough to be seen are drawn one by one
    breaks = np.flatnonzero((np.diff(rows) != 0) | (np.diff(columns) != 1) | apart) + 1
    starts, ends = np.r_[0, breaks], np.r_[breaks, len(rows)]
    parts = []
    for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
        x, y = left + columns[a] * cell, top + rows[a] * cell
        parts.append(f"M{x:.1f} {y:.1f}h{(b - a) * cell - gap:.1f}v{cell - gap:.1f}H{x:.1f}z")
    return "".join(parts)
