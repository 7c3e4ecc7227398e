"""An order of elimination, step by step: what each step costs, and the graph that it leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.charts import words
from wengert.charts.axes import bare
from wengert.charts.palette import BACKWARD, FORWARD, OTHER, SERIES

__all__ = ["Eliminated", "Elimination", "plot_costs", "plot_step"]

NAMED = 24
"""Steps up to which their vertices are named below the axis."""
PLACED = 80
"""Vertices up to which the graph is drawn."""

Pair = tuple[int, int]


class Eliminated(NamedTuple):
    """One step.

    Attributes
    ----------
    vertex : int
    cost : int
        Multiplications.
    made : sequence of (int, int)
        Edges that were not there before.
    edges : sequence of (int, int)
        Those that are there after it.
    """

    vertex: int
    cost: int
    made: Sequence[Pair]
    edges: Sequence[Pair]


class Elimination(NamedTuple):
    """All steps.

    Attributes
    ----------
    names : sequence of str
        Of the vertices.
    roles : sequence of str
        ``argument``, ``intermediate`` or ``result``.
    edges : sequence of (int, int)
        Before the first step.
    steps : sequence of Eliminated
    last : int
        Multiplications after the last one.
    others : mapping of str to int
        Multiplications of other orders, to compare with.
    title : str
    """

    names: Sequence[str]
    roles: Sequence[str]
    edges: Sequence[Pair]
    steps: Sequence[Eliminated]
    last: int = 0
    others: Mapping[str, int] = {}
    title: str = ""


def plot_costs(ax: Any, shown: Elimination) -> Any:
    """Draw the multiplications of each step on top of those before, and return the axes."""
    from matplotlib.ticker import FuncFormatter

    names = [shown.names[s.vertex] for s in shown.steps]
    costs = [s.cost for s in shown.steps]
    if shown.last:
        names.append("in the end")
        costs.append(shown.last)
    base = np.concatenate([[0], np.cumsum(costs)])
    places = np.arange(len(costs))
    ax.bar(places, base[:-1], width=1.0, color=FORWARD, alpha=0.18, linewidth=0, label="before")
    ax.bar(places, costs, bottom=base[:-1], width=0.86, color=FORWARD, label="in this step")
    for k, (name, total) in enumerate(shown.others.items()):
        colour = SERIES[1 + k % 6]
        ax.axhline(total, color=colour, linestyle=("--", ":", "-.")[k % 3], linewidth=1.4)
        ax.annotate(
            f"{name}: {words.number(total)}", (k % 2, total), xycoords=("axes fraction", "data"),
            xytext=(-4 if k % 2 else 4, 3), textcoords="offset points", fontsize="small",
            ha="right" if k % 2 else "left",
        )  # fmt: skip
    most = max([float(base[-1]), *map(float, shown.others.values()), 1.0])
    if len(costs) <= NAMED:
        longest = max(map(len, names), default=0)
        turned = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"}
        ax.set_xticks(places, names, fontsize="small", **(turned if longest > 2 else {}))
        for place, cost, top in zip(places, costs, base[1:], strict=True):
            ax.annotate(
                words.number(cost), (place, top), xytext=(0, 2), textcoords="offset points",
                ha="center", fontsize="x-small",
            )  # fmt: skip
    ax.set_xlim(-0.6, max(len(costs), 1) - 0.4)
    ax.set_ylim(0, 1.1 * most)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: words.number(y)))
    ax.set(xlabel="vertex that is eliminated", ylabel="multiplications", title=shown.title)
    bare(ax)
    return ax


def plot_step(ax: Any, shown: Elimination, step: int) -> Any:
    """Draw the graph after so many steps on axes of matplotlib, and return them.

    Edges that the step made are orange; what was eliminated is an empty circle.
    """
    done = shown.steps[:step]
    edges = done[-1].edges if done else shown.edges
    made = set(done[-1].made) if done else set()
    gone = {s.vertex for s in done}
    at = _placed(shown)
    for u, v in edges:
        new = (u, v) in made
        (x0, y0), (x1, y1) = at[u], at[v]
        bend = 0.0 if x1 - x0 <= 1 and not new else 0.22
        ax.annotate(
            "", (x1, y1), xytext=(x0, y0),
            arrowprops={
                "arrowstyle": "-|>", "color": BACKWARD if new else OTHER,
                "linewidth": 2.0 if new else 1.1, "connectionstyle": f"arc3,rad={-bend}",
                "shrinkA": 9, "shrinkB": 9, "mutation_scale": 11,
            },
        )  # fmt: skip
    for v, (x, y) in at.items():
        role = shown.roles[v]
        empty = v in gone
        last = bool(done) and v == done[-1].vertex
        ax.plot(
            [x], [y], "o" if role == "intermediate" else "s", markersize=13,
            markerfacecolor="none" if empty else "white",
            markeredgecolor=BACKWARD if last else OTHER if empty else FORWARD,
            markeredgewidth=1.0 if empty and not last else 1.8,
            linestyle="none", zorder=3, alpha=0.45 if empty and not last else 1.0,
        )  # fmt: skip
        ax.annotate(
            shown.names[v], (x, y), xytext=(0, -13), textcoords="offset points", ha="center",
            va="top", fontsize="small", color=OTHER if empty else None,
        )  # fmt: skip
    xs, ys = zip(*at.values(), strict=True) if at else ((0,), (0,))
    ax.set_xlim(min(xs) - 0.5, max(xs) + 0.5)
    ax.set_ylim(min(ys) - 0.9, max(ys) + 0.6)
    ax.set_axis_off()
    if done:
        cost, name = done[-1].cost, shown.names[done[-1].vertex]
        title = f"{step}. {name}: {cost:,} multiplication{'s' * (cost != 1)}"
    else:
        title = shown.title
    ax.set_title(title, fontsize="medium")
    return ax


def _placed(shown: Elimination) -> dict[int, tuple[float, float]]:
    """Return where the vertices stand: by their longest path, near what they depend on."""
    of: dict[int, list[int]] = {v: [] for v in range(len(shown.names))}
    for u, v in shown.edges:
        of[v].append(u)
    depth: dict[int, int] = {}

    def deep(v: int) -> int:
        stack = [v]
        while stack:
            top = stack[-1]
            missing = [u for u in of[top] if u not in depth]
            if missing:
                stack += missing
            else:
                depth[top] = max((depth[u] + 1 for u in of[top]), default=0)
                stack.pop()
        return depth[v]

    for v in of:
        deep(v)
    last = max(depth.values(), default=0)
    for v, role in enumerate(shown.roles):
        if role == "result":
            depth[v] = last
    layers: dict[int, list[int]] = {}
    for v in of:
        layers.setdefault(depth[v], []).append(v)
    at: dict[int, tuple[float, float]] = {}
    for x in sorted(layers):
        layer = layers[x]
        wanted = {v: np.mean([at[u][1] for u in of[v] if u in at] or [0.0]) for v in layer}
        ranked = sorted(layer, key=lambda v: (wanted[v], v))
        middle = float(np.mean([wanted[v] for v in layer])) if x else 0.0
        for k, v in enumerate(ranked):
            at[v] = (float(x), middle + (k - (len(ranked) - 1) / 2) * 1.2 + 0.17 * (x % 2))
    return at
