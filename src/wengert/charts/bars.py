"""Horizontal bars, each of several parts: what operations, lines or contestants take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.charts import words
from wengert.charts.axes import bare, legend
from wengert.charts.palette import SERIES
from wengert.charts.scales import Scale
from wengert.charts.svg import box, drawing, key, text, wide

__all__ = ["Bars", "plot_bars", "svg_bars", "svg_ratios"]


CODE: dict[str, Any] = {"family": "monospace", "fontsize": "small"}
"""How matplotlib writes lines of code."""


class Bars(NamedTuple):
    """Rows of parts.

    Attributes
    ----------
    rows : sequence of (str, sequence of float)
        A label and its parts; the first row stands at the top.
    parts : sequence of str
        What the parts are called.
    label : str
        Of the axis.
    title : str
    code : bool
        Whether the labels are lines of code.
    show : callable
        Writes an amount.
    binary : bool
        Whether ticks stand at powers of two, as for bytes.
    """

    rows: Sequence[tuple[str, Sequence[float]]]
    parts: Sequence[str]
    label: str = ""
    title: str = ""
    code: bool = False
    show: Callable[[float], str] = words.number
    binary: bool = False


def plot_bars(ax: Any, bars: Bars) -> Any:
    """Draw on axes of matplotlib, and return them."""
    from matplotlib.ticker import FuncFormatter

    labels = [words.shortened(label, 52) for label, _ in bars.rows]
    places = np.arange(len(labels))
    base = np.zeros(len(labels))
    for k, name in enumerate(bars.parts):
        amounts = np.array([parts[k] for _, parts in bars.rows], float)
        ax.barh(
            places, amounts, left=base, height=0.72, color=SERIES[k], label=name,
            edgecolor="white", linewidth=0.6,
        )  # fmt: skip
        base = base + amounts
    for y, total in zip(places, base, strict=True):
        ax.annotate(
            bars.show(float(total)), (total, y), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize="small",
        )  # fmt: skip
    ax.set_yticks(places, labels, **(CODE if bars.code else {}))
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.set_xlim(0, 1.12 * max(base, default=1.0) or 1.0)
    ax.set_xticks(Scale(0.0, max(base, default=1.0) or 1.0, binary=bars.binary).ticks(6))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: bars.show(x)))
    ax.set(xlabel=bars.label, title=bars.title)
    ax.tick_params(axis="y", length=0)
    bare(ax)
    if len(bars.parts) > 1:
        legend(ax, loc="lower right")
    return ax


def svg_bars(bars: Bars, width: float = 720) -> str:
    """Draw as SVG."""
    labels = [words.shortened(label, 56) for label, _ in bars.rows]
    measure = (lambda label: 6.8 * len(label)) if bars.code else wide
    left = min(max((measure(label) for label in labels), default=0) + 18, 0.55 * width)
    top, step = 28.0, 22.0
    most = max((sum(parts) for _, parts in bars.rows), default=1.0) or 1.0
    right = width - 16 - 64
    scale = Scale(0.0, most, binary=bars.binary)
    marks, _ = key(list(zip(bars.parts, SERIES, strict=False)), left, 14)
    bottom = top + step * len(labels)
    for x in scale.ticks(4):
        place = left + scale.part(x) * (right - left)
        marks.append(f'<path class="grid" d="M{place:.1f} {top - 4}V{bottom}"/>')
        marks.append(text(place, bottom + 14, bars.show(x), "middle", "small"))
    for i, (label, (_, parts)) in enumerate(zip(labels, bars.rows, strict=True)):
        y, x = top + i * step, left
        marks.append(text(left - 8, y + 13, label, "end", "code" if bars.code else ""))
        for k, amount in enumerate(parts):
            long = scale.part(amount) * (right - left)
            if long > 0:
                about = f"{label}, {bars.parts[k]}: {bars.show(amount)}"
                marks.append(box(x, y, long, step - 5, SERIES[k], about))
            x += long
        marks.append(text(x + 5, y + 13, bars.show(sum(parts)), "start", "small"))
    if bars.label:
        marks.append(text((left + right) / 2, bottom + 32, bars.label, "middle"))
    height = bottom + (40 if bars.label else 22)
    said = "; ".join(f"{label}: {bars.show(sum(parts))}" for label, parts in bars.rows)
    return drawing(width, height, marks, bars.title or bars.label or "amounts", said)


def svg_ratios(
    rows: Sequence[tuple[str, Sequence[float | None]]],
    names: Sequence[str],
    *,
    title: str,
    label: str,
    width: float = 760,
) -> str:
    """Draw ratios to something that is 1 as points on a logarithmic axis, a row for each problem.

    Parameters
    ----------
    rows : sequence of (str, sequence of float or None)
        A label, and for each of `names` the ratio; None and what is not above 0 is left out.
    names : sequence of str
    title, label : str
        Of the chart, and of the axis.
    """
    found = [v for _, values in rows for v in values if v is not None and v > 0]
    low, high = min([*found, 0.8]) / 1.12, max([*found, 1.25]) * 1.12
    left = min(max((wide(name) for name, _ in rows), default=0) + 18, 0.5 * width)
    top, step, right = 62.0, 22.0, width - 24
    bottom = top + step * len(rows)
    scale = Scale(low, high, log=True)

    def across(x: float) -> float:
        return left + scale.part(x) * (right - left)

    marks = [text(4, 16, title, kind="title")]
    x = left
    for k, name in enumerate(names):
        marks.append(f'<path fill="{SERIES[k]}" d="{_shape(k)(x + 5, 36)}"/>')
        marks.append(text(x + 15, 40, name))
        x += 31 + wide(name)
    for i in range(0, len(rows), 2):
        marks.append(
            f'<rect x="0" y="{top + i * step:.1f}" width="{width}" height="{step}" '
            'fill="currentColor" fill-opacity=".05"/>'
        )
    for x in scale.ticks(7):
        if abs(x - 1) > 1e-9:
            marks.append(f'<path class="grid" d="M{across(x):.1f} {top}V{bottom}"/>')
        marks.append(text(across(x), bottom + 15, f"{x:g}", "middle", "small"))
    marks.append(f'<path class="axis" stroke-width="1.5" d="M{across(1):.1f} {top}V{bottom}"/>')
    for i, (name, values) in enumerate(rows):
        y = top + (i + 0.5) * step
        marks.append(text(left - 8, y + 4, name, "end"))
        for k, value in enumerate(values):
            if value is not None and value > 0:
                about = f"<title>{name}, {names[k]}: {value:.3g}</title>"
                shape = _shape(k)(across(value), y)
                marks.append(f'<path class="edge" fill="{SERIES[k]}" d="{shape}">{about}</path>')
    marks.append(text((left + right) / 2, bottom + 34, label, "middle"))
    return drawing(width, bottom + 42, marks, title, label)


def _shape(k: int) -> Callable[[float, float], str]:
    """Return what draws the mark of a series, so that colours are not all that tells them apart."""
    shapes = (_circle, _square, _diamond, _triangle, _drop, _cross)
    return shapes[k % len(shapes)]


def _circle(x: float, y: float, r: float = 5.0) -> str:
    return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"


def _square(x: float, y: float, r: float = 4.5) -> str:
    return f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h{-2 * r}z"


def _diamond(x: float, y: float, r: float = 6.0) -> str:
    return f"M{x:.1f} {y - r:.1f}l{r} {r}l{-r} {r}l{-r} {-r}z"


def _triangle(x: float, y: float, r: float = 5.5) -> str:
    return f"M{x:.1f} {y - r:.1f}l{r} {1.7 * r:.1f}h{-2 * r}z"


def _drop(x: float, y: float, r: float = 5.5) -> str:
    return f"M{x:.1f} {y + r:.1f}l{r} {-1.7 * r:.1f}h{-2 * r}z"


def _cross(x: float, y: float, r: float = 5.0, w: float = 1.8) -> str:
    a, b = w * 2, r - w
    return (
        f"M{x - w:.1f} {y - r:.1f}h{a}v{b:.1f}h{b:.1f}v{a}h{-b:.1f}v{b:.1f}h{-a}v{-b:.1f}"
        f"h{-b:.1f}v{-a}h{b:.1f}z"
    )
