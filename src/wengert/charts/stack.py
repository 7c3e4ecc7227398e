"""Amounts that add up, step by step: what memory holds while a program runs."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.charts import words
from wengert.charts.axes import bare, legend
from wengert.charts.palette import OTHER, SERIES
from wengert.charts.scales import Scale
from wengert.charts.svg import Frame

__all__ = ["Stack", "plot_stack", "svg_stack"]

COLUMNS = 480
"""Steps that are drawn; of more, each column shows the fullest of those that it stands for."""


class Stack(NamedTuple):
    """What is held in each step.

    Attributes
    ----------
    parts : mapping of str to sequence of int
        Bytes in each step, by name; the first lies at the bottom.
    rest : str
        Which of the names is what is left over, and grey; empty for none.
    other : (str, sequence of int) or None
        Amounts to compare with, drawn as a line.
    budget : int or None
        What it was to stay below.
    turn : int or None
        The step in which the derivative begins.
    title : str
    chosen : mapping of str to str
        Colours of parts; the others take those of the series.
    """

    parts: Mapping[str, Sequence[int]]
    rest: str = ""
    other: tuple[str, Sequence[int]] | None = None
    budget: int | None = None
    turn: int | None = None
    title: str = "memory held"
    chosen: Mapping[str, str] = {}

    @property
    def total(self) -> Any:
        """Bytes in each step."""
        return np.sum([np.asarray(p) for p in self.parts.values()], axis=0)

    def colours(self) -> dict[str, str]:
        """Return the colour of each part."""
        named = [name for name in self.parts if name != self.rest]
        found = {name: SERIES[i % (len(SERIES) - 1)] for i, name in enumerate(named)}
        return found | {self.rest: OTHER, **self.chosen}

    def columns(self, number: int = COLUMNS) -> tuple[Any, Any]:
        """Return the edges of the columns, and the step that each shows."""
        total = self.total
        edges = np.unique(np.linspace(0, len(total), min(number, len(total)) + 1).astype(int))
        shown = [a + int(np.argmax(total[a:b])) for a, b in itertools.pairwise(edges)]
        return edges, np.array(shown, int)


def _peak(stack: Stack) -> tuple[int, int]:
    total = stack.total
    step = int(np.argmax(total))
    return step, int(total[step])


def plot_stack(ax: Any, stack: Stack) -> Any:
    """Draw on axes of matplotlib, and return them."""
    edges, shown = stack.columns()
    colours = stack.colours()
    base = np.zeros(len(shown))
    step, peak = _peak(stack)
    unit, size = _unit(max(peak, stack.budget or 0))
    for name, amounts in stack.parts.items():
        top = base + np.asarray(amounts, float)[shown]
        low, high = (np.append(v, v[-1]) / size for v in (base, top))
        if np.any(top > base):
            ax.fill_between(
                edges, low, high, step="post", color=colours[name], label=name, linewidth=0
            )
        base = top
    if stack.other is not None:
        name, amounts = stack.other
        places = np.arange(len(amounts) + 1)
        heights = np.append(amounts, amounts[-1]) / size
        ax.plot(places, heights, drawstyle="steps-post", color="black", label=name, linewidth=1.4)
    if stack.budget is not None:
        ax.axhline(stack.budget / size, color="black", linestyle="--", linewidth=1)
        ax.annotate(
            f"budget {words.nbytes(stack.budget)}", (1, stack.budget / size),
            xycoords=("axes fraction", "data"), xytext=(-4, 4), textcoords="offset points",
            ha="right",
        )  # fmt: skip
    if stack.turn:
        ax.axvline(stack.turn, color=OTHER, linestyle=":", linewidth=1)
        ax.annotate(
            "derivative begins", (stack.turn, 1), xycoords=("data", "axes fraction"),
            xytext=(4, -12), textcoords="offset points", fontsize="small",
        )  # fmt: skip
    right = step < len(stack.total) / 2
    ax.plot([step + 0.5], [peak / size], "o", color="black", markersize=4)
    ax.annotate(
        f"{words.nbytes(peak)} in step {step}", (step + 0.5, peak / size),
        xytext=(6 if right else -6, 6), textcoords="offset points", ha="left" if right else "right",
    )  # fmt: skip
    ax.set(xlabel="step of the program", ylabel=f"held, {unit}", title=stack.title)
    longest = max(len(stack.total), len(stack.other[1]) if stack.other else 0, 1)
    ax.set_xlim(0, longest)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_ylim(0, 1.18 * max(peak, stack.budget or 0, 1) / size)
    bare(ax)
    legend(ax, loc="upper left", bbox_to_anchor=(0, -0.16), ncols=4, fontsize="small")
    return ax


def _unit(peak: float) -> tuple[str, int]:
    found = ("bytes", 1)
    for unit, size in (("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)):
        if peak >= 2 * size:
            found = unit, size
    return found


def svg_stack(stack: Stack, width: float = 720, height: float = 300) -> str:
    """Draw as SVG."""
    edges, shown = stack.columns()
    colours = stack.colours()
    step, peak = _peak(stack)
    names = [(n, colours[n]) for n, amounts in stack.parts.items() if np.any(np.asarray(amounts))]
    if stack.other is not None:
        names.append((stack.other[0], "currentColor"))
    top = 1.15 * max(peak, stack.budget or 0, 1)
    longest = max(len(stack.total), len(stack.other[1]) if stack.other else 0, 1)
    frame = Frame(
        Scale(0, longest, "step of the program", show=lambda v: f"{v:,.0f}"),
        Scale(0, top, "held", show=words.nbytes, binary=True),
        width, height, names,
    )  # fmt: skip
    base = np.zeros(len(shown))
    for name, amounts in stack.parts.items():
        above = base + np.asarray(amounts, float)[shown]
        if np.any(above > base):
            most = f"{name}: {words.nbytes(float(max(amounts)))} at most"
            frame.steps(edges.tolist(), base.tolist(), above.tolist(), colours[name], most)
        base = above
    if stack.other is not None:
        amounts = stack.other[1]
        points = [(float(x), float(a)) for i, a in enumerate(amounts) for x in (i, i + 1)]
        frame.line(points, "currentColor")
    if stack.turn:
        frame.fence(stack.turn, "derivative begins")
    if stack.budget is not None:
        frame.rule(stack.budget, f"budget {words.nbytes(stack.budget)}")
    frame.dot(step + 0.5, peak, "currentColor")
    frame.note(step + 0.5, peak, f"{words.nbytes(peak)} in step {step}")
    return frame.svg(stack.title, f"At most {words.nbytes(peak)} are held, in step {step}.")
