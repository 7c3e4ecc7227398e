"""What a function costs, on the terminal: `wengert cost` and `wengert explain`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from wengert.analysis.breakdown import BOUND, LOOP_HEAD, Cost, Row, loop_cells
from wengert.analysis.needs import Needs
from wengert.cost.count import plus
from wengert.report.terminal import show_lines, show_table

__all__ = ["show_cost", "show_memory"]

LINES = 40
"""Rows of a table; the most expensive ones where there are more."""
HEAD = ("forward", "backward", "ratio", "bytes")


def show_cost(console: Console, cost: Cost, most: int = LINES) -> None:
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
            show_lines(console, [f"the {most} {which} of {n:,} {name}; --json has all"])
    show_lines(console, cost.notes())


def show_memory(console: Console, needs: Needs, most: int = 8) -> None:
    """Print what prediction and training need, and what is held in training when most is."""
    head = ("memory", "prediction", "training")
    show_table(console, "", head, needs.summary())
    held = [a.cells() for a in needs.training.alive[:most]]
    names = ("bytes", "array", "role", "made by", "line", "source")
    show_table(console, "held in training when most is", names, held, left=(1, 2, 3, 4, 5))


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
