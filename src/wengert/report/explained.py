"""The page about a function: its graph, and what it costs, holds and runs beside it."""

from __future__ import annotations

from wengert.analysis.breakdown import Cost
from wengert.charts.html import figure, fragment, paragraphs, table
from wengert.charts.stack import svg_stack
from wengert.drawing.drawing import Drawing
from wengert.drawing.model import Section
from wengert.jit.plan import Plan
from wengert.matrices import MatrixPlan
from wengert.memory.profile import Memory, size_text

__all__ = ["MARK", "explained", "planned"]

WIDTH = 420
"""Of a chart, in pixels: the sections stand beside the graph."""
MARK = "<!-- written by wengert explain -->"
"""At the end of each such page, so that one is not taken for a file of the user's."""


def explained(drawing: Drawing, cost: Cost) -> str:
    """Return the page of a drawing with its cost, its memory and its plan."""
    sections = [
        Section("Cost", fragment(*cost.html_parts(WIDTH))),
        Section("Memory", _memory(cost.plan.memory)),
        Section("Plan", _plan(cost.plan)),
    ]
    return drawing.html(sections=sections).rstrip() + f"\n{MARK}\n"


def planned(drawing: Drawing, plan: MatrixPlan) -> str:
    """Return the page of a sparse matrix: the graph of its entries, its plan and its pattern."""
    page = drawing.html(sections=[Section("Plan", plan._repr_html_())])
    return page.rstrip() + f"\n{MARK}\n"


def _memory(memory: Memory) -> str:
    sizes = [
        ("arguments", size_text(memory.inputs)),
        ("results", size_text(memory.outputs)),
        ("captured arrays", size_text(memory.constants)),
    ]
    if memory.peak is None:
        note = "NumPy allocates as it goes, so what is held in between is not known."
        return fragment(table(("", ""), sizes), paragraphs([note]))
    sizes.append(("in between, at most", size_text(memory.peak)))
    sizes.append(("kept for the derivative", size_text(memory.residuals)))
    drawn = figure(svg_stack(memory.stack(), WIDTH, 260)) if memory.timeline else ""
    return fragment(table(("", ""), sizes), drawn, memory.html_table())


def _plan(plan: Plan) -> str:
    return fragment(*plan.html_parts())
