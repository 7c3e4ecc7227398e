"""Work over time on several devices, as a Gantt chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from wengert.charts import words
from wengert.charts.axes import bare
from wengert.charts.palette import BACKWARD, FORWARD, PASSES, SERIES, ink_on
from wengert.charts.scales import Scale
from wengert.charts.svg import box, drawing, key, text, wide

__all__ = ["Gantt", "Task", "plot_gantt", "svg_gantt"]


class Task(NamedTuple):
    """What a device does for a while.

    Attributes
    ----------
    row : int
        Of the device.
    start, stop : float
        Seconds.
    kind : str
        Tasks of a kind have a colour: ``forward``.
    name : str
        Written into it where there is room: ``1``.
    """

    row: int
    start: float
    stop: float
    kind: str
    name: str = ""


class Gantt(NamedTuple):
    """A chart.

    Attributes
    ----------
    rows : sequence of str
        Names of the devices.
    tasks : sequence of Task
    title : str
    """

    rows: Sequence[str]
    tasks: Sequence[Task]
    title: str = ""


def _kinds(tasks: Sequence[Task]) -> dict[str, str]:
    """Return the colour of each kind; the two passes have theirs."""
    names = dict.fromkeys(task.kind for task in tasks)
    others = [name for name in names if name not in PASSES]
    colours = [c for c in SERIES if c not in (FORWARD, BACKWARD)]
    found = {name: colours[i % len(colours)] for i, name in enumerate(others)}
    return {name: PASSES.get(name) or found[name] for name in names}


def _said(rows: Sequence[str], task: Task) -> str:
    name = f" {task.name}" if task.name else ""
    took = words.seconds(task.stop - task.start)
    return f"{rows[task.row]}: {task.kind}{name}, {took} from {words.seconds(task.start)} on"


def plot_gantt(ax: Any, gantt: Gantt) -> Any:
    """Draw on axes of matplotlib, and return them."""
    from matplotlib.ticker import FuncFormatter

    rows, tasks, title = gantt
    end = max((task.stop for task in tasks), default=1.0)
    for kind, colour in _kinds(tasks).items():
        mine = [task for task in tasks if task.kind == kind]
        ax.barh(
            [task.row for task in mine],
            [task.stop - task.start for task in mine],
            left=[task.start for task in mine],
            height=0.7, color=colour, label=kind, edgecolor="white", linewidth=0.5,
        )  # fmt: skip
        for task in mine:
            if task.name and task.stop - task.start > 0.011 * len(task.name) * end:
                ax.text(
                    (task.start + task.stop) / 2, task.row, task.name, ha="center", va="center",
                    color=ink_on(colour), fontsize="small",
                )  # fmt: skip
    ax.set_yticks(range(len(rows)), [words.shortened(row, 32) for row in rows])
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.set_xlim(0, end or 1.0)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: words.seconds(x)))
    ax.set(xlabel="time", title=title)
    ax.tick_params(axis="y", length=0)
    bare(ax)
    if tasks:
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, -0.18), ncols=4)
    return ax


def svg_gantt(gantt: Gantt, width: float = 720) -> str:
    """Draw as SVG."""
    rows, tasks, title = gantt
    end = max((task.stop for task in tasks), default=1.0) or 1.0
    labels = [words.shortened(row, 32) for row in rows]
    left = max((wide(row) for row in labels), default=0) + 18
    top, step, right = 30.0, 30.0, width - 24
    bottom = top + step * len(rows)
    scale = Scale(0.0, end)
    kinds = _kinds(tasks)
    marks, _ = key(list(kinds.items()), left, 14)
    for x in scale.ticks(6):
        place = left + scale.part(x) * (right - left)
        marks.append(f'<path class="grid" d="M{place:.1f} {top}V{bottom}"/>')
        marks.append(text(place, bottom + 15, words.seconds(x), "middle", "small"))
    for i, row in enumerate(labels):
        marks.append(text(left - 8, top + (i + 0.5) * step + 4, row, "end"))
    for task in tasks:
        a, b = (left + scale.part(t) * (right - left) for t in (task.start, task.stop))
        y = top + task.row * step + 3
        marks.append(box(a, y, b - a, step - 6, kinds[task.kind], _said(rows, task)))
        if task.name and b - a > wide(task.name) + 2:
            marks.append(
                text((a + b) / 2, y + 16, task.name, "middle", "small", ink_on(kinds[task.kind]))
            )
    marks.append(text((left + right) / 2, bottom + 34, "time", "middle"))
    about = "; ".join(_said(rows, task) for task in tasks[:40])
    return drawing(width, bottom + 42, marks, title or "work over time", about)
