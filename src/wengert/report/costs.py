"""What a function costs, on the terminal: `wengert cost` and `wengert explain`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.console import Console

from wengert.analysis.breakdown import BOUND, LOOP_HEAD, Cost, Row, loop_cells
from wengert.cost.count import plus
from wengert.jit.plan import Plan
from wengert.memory.profile import Memory, size_text
from wengert.report.terminal import show_lines, show_table

__all__ = ["show_cost", "show_memory", "show_plan"]

_DTYPE = re.compile(r"(float|int|uint|complex)(\d+)")
LINES = 40
"""Rows of a table; the most expensive ones where there are more."""
HEAD = ("forward", "backward", "ratio", "bytes")


def show_cost(
    console: Console, cost: Cost, most: int = LINES, rest: str = "--json has all"
) -> None:
    """Print totals, least time and memory, and what operations, lines and loops cost."""
    totals = ("", "forward", "backward", "total")
    show_table(console, f"cost of {cost.name}", totals, cost.summary())
    lines = [f"least time: {cost.roofline()}", f"memory: {cost.memory}"]
    if cost.backward.flops:
        ratio = f"value and gradient over value: {cost.cheap_gradient_ratio:.4g}"
        lines.insert(0, f"{ratio} (cheap gradient principle: at most {BOUND:g})")
    show_lines(console, lines)
    ops = [(r.op, f"{r.calls:,}", *_cells(r)) for r in cost.table.by_op()]
    _gap(console)
    show_table(console, "by operation", ("operation", "calls", *HEAD), ops[:most])
    by_line = cost.table.by_line()
    kept = {id(r) for r in sorted(by_line, key=lambda r: -r.flops)[:most]}
    rows = [(r.place, *_cells(r), r.source) for r in by_line if id(r) in kept]
    show_table(console, "by line", ("line", *HEAD, "source"), rows, left=(0, 5))
    loops = [(*loop_cells(r), r.source) for r in cost.loops]
    show_table(console, "by loop", (*LOOP_HEAD, "source"), loops[:most], left=(0, 4))
    if loops:
        show_lines(console, cost.trip_notes())
    for name, n in (("operations", len(ops)), ("lines", len(by_line)), ("loops", len(loops))):
        if n > most:
            which = "first" if name == "loops" else "most expensive"
            show_lines(console, [f"the {most} {which} of {n:,} {name}; {rest}"])
    show_lines(console, cost.notes())


def show_memory(console: Console, memory: Memory, most: int = 8) -> None:
    """Print what a run of a plan needs, and what it holds when it holds most."""
    rows = [
        ("arguments", memory.inputs),
        ("results", memory.outputs),
        ("captured arrays", memory.constants),
        ("in between, at most", memory.peak),
        ("  kept for the derivative", memory.residuals),
    ]
    shown = [(name, "unknown" if n is None else size_text(n)) for name, n in rows]
    show_table(console, "memory", (), shown)
    held = [a.cells() for a in memory.alive[:most]]
    names = ("bytes", "array", "role", "made by", "line", "source")
    show_table(console, "held when most is", names, held, left=(1, 2, 3, 4, 5))


def show_plan(console: Console, plan: Plan, most: int = 24) -> None:
    """Print what a plan runs, operation by operation."""
    show_lines(console, plan.summary())
    _gap(console)
    head = ("", "operation", "result", "part", "operations", "bytes", "kept", "line", "source")
    rows = [list(node.cells()) for node in plan.nodes[:most]]
    for row in rows:
        row[2] = _DTYPE.sub(lambda m: m[1][0] + m[2], row[2])  # f64[5,2]
    show_table(console, "", head, rows, left=(1, 2, 3, 6, 7, 8))
    if len(plan.nodes) > most:
        show_lines(console, [f"the first {most} of {len(plan.nodes):,} operations", ""])


def _gap(console: Console) -> None:
    """Leave a line between paragraphs of plain text."""
    if not console.is_terminal:
        console.print()


def _cells(row: Row) -> Sequence[str]:
    known = row.forward.flops and row.backward.flops
    return (
        f"{row.forward.flops:,}{plus(row.forward.unknown)}",
        f"{row.backward.flops:,}{plus(row.backward.unknown)}",
        f"{row.ratio:.2f}{' !' if row.exceeds and row.op else ''}" if known else "",
        f"{row.bytes:,}",
    )
