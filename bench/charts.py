"""The charts of docs/benchmarks.md, made of its tables: ``python bench/charts.py``.

A chart shows ratios, which carry over from machine to machine better than times do. It is drawn
from the figures in the page, so that both say the same: whoever pastes a new table runs this script
again, and a test compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from wengert.charts.bars import Bars, svg_bars, svg_ratios
from wengert.charts.svg import alone

__all__ = ["CHARTS", "FOLDER", "PAGE", "drawn", "tables"]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
FOLDER = PAGE.parent / "charts"

Cells = Sequence[str]
Values = list[float | None]
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "": 1.0}
AS_LONG = "times as long as wengert takes: further right, wengert is faster"


# --- reading --------------------------------------------------------------------------------------
def tables(text: str) -> dict[str, list[list[Cells]]]:
    """Return the rows of each table below a heading that names a script, by the script's name.

    Of a cell that is empty because it continues the one above, the text above is taken.
    """
    found: dict[str, list[list[Cells]]] = {}
    script, rows = "", []
    for line in [*text.splitlines(), ""]:
        heading = re.match(r"## .*`bench/(\w+)\.py`", line)
        if heading:
            script = heading.group(1)
        if line.startswith("|"):
            cells = [cell.strip().replace("`", "") for cell in line.strip().strip("|").split("|")]
            if all(re.fullmatch(":?---+:?", cell) for cell in cells):
                continue
            if rows and not cells[0]:
                cells[0] = rows[-1][0]
            rows.append(cells)
        elif rows:
            found.setdefault(script, []).append(rows)
            rows = []
    return found


def number(text: str) -> float | None:
    """Return a number or a time in seconds; None for a dash and for words."""
    found = re.fullmatch(r"\(?([\d.,]+)\)? ?(s|ms|us|ns|)", text.strip())
    if not found:
        return None
    return float(found.group(1).replace(",", "")) * UNITS[found.group(2)]


def over(a: float | None, b: float | None) -> float | None:
    """Return a ratio, where both are there."""
    return a / b if a is not None and b else None


def column(k: int) -> Callable[[Cells], float | None]:
    """Return what reads a column."""
    return lambda row: number(row[k]) if k < len(row) else None


def ratio(a: int, b: int, part: int = 0) -> Callable[[Cells], float | None]:
    """Return what divides one column by another; of cells with several numbers, by place.

    Of a number and the time that it took to find, ``314 in 50 ms``, it is the number.
    """

    def read(row: Cells, k: int) -> float | None:
        cells = row[k].partition(" in ")[0].split(", ") if k < len(row) else []
        return number(cells[part]) if part < len(cells) else None

    return lambda row: over(read(row, a), read(row, b))


def inverse(k: int) -> Callable[[Cells], float | None]:
    """Return what divides 1 by a column."""
    return lambda row: over(1.0, number(row[k])) if k < len(row) else None


def bracket(k: int) -> Callable[[Cells], float | None]:
    """Return what reads the number in brackets of a column, ``1.99 ms (1.5)``."""

    def read(row: Cells) -> float | None:
        found = re.search(r"\(([\d.]+)\)", row[k]) if k < len(row) else None
        return float(found.group(1)) if found else None

    return read


# --- the charts -----------------------------------------------------------------------------------
class Chart(NamedTuple):
    """Ratios of one table.

    Attributes
    ----------
    script : str
    table : int
        Which of the tables of that script.
    series : mapping of str to callable
        What each row has of each series.
    title, label : str
    named : int
        So many columns name a row.
    """

    script: str
    table: int
    series: dict[str, Callable[[Cells], float | None]]
    title: str
    label: str = AS_LONG
    named: int = 1


def _counter(k: int) -> Callable[[Cells], float | None]:
    return lambda row: number(row[k].split(" / ")[0]) if k < len(row) else None


CHARTS = {
    "eager": Chart(
        "eager", 0, {"autograd": column(4), "PyTorch": column(5)},
        "Gradients without compilation",
    ),
    "following": Chart(
        "following", 0, {"followed": column(3)},
        "Following functions", "times as long as the function as it stands",
    ),
    "importing": Chart(
        "importing", 0, {"seconds": column(2)}, "Imports", "times as long as `import numpy`",
    ),
    "train": Chart(
        "train", 0, {"seconds": column(4)}, "Training", "times as long as scikit-learn",
    ),
    "native": Chart(
        "native", 0, {"JAX": ratio(4, 3), "PyTorch": ratio(5, 3), "C by hand": ratio(6, 3)},
        "Machine code: a call",
    ),
    "native-first": Chart("native", 0, {"JAX": ratio(2, 1)}, "Machine code: the first call"),
    "native-before": Chart(
        "native", 1, {"a call": column(3)},
        "Machine code: a call, before and now", "times as long as before: further left is better",
    ),
    "loops": Chart(
        "loops", 0, {"first result": ratio(2, 4), "a call": ratio(5, 7)},
        "Loops of Python: every trip compiled on its own, over loops found",
        "times as long as now", 2,
    ),
    "loops-peers": Chart(
        "loops", 1,
        {"first result": ratio(3, 2), "gradient": ratio(5, 4), "value": ratio(7, 6)},
        "Loops of Python: JAX's loops over them", named=2,
    ),
    "loops-folded": Chart(
        "loops", 2, {"first gradient": ratio(3, 4)},
        "Loops of Python: recorded trip by trip, over taken in while they run",
        "times as long as now", 2,
    ),
    "loops-compiled": Chart(
        "loops", 3,
        {"JAX, value": ratio(3, 2), "JAX, gradient": ratio(7, 6), "PyTorch, gradient": ratio(8, 6),
         "C, value": ratio(5, 2), "C, gradient": ratio(9, 6)},
        "Loops of Python: JAX, PyTorch and C over them", named=2,
    ),
    "scans": Chart(
        "scans", 0,
        {"JAX, value": ratio(5, 2), "JAX, gradient": ratio(6, 3), "C, value": ratio(7, 2),
         "C, gradient": ratio(8, 3)},
        "Loops as operations", named=2,
    ),
    "laplacian": Chart(
        "laplacian", 0,
        {"JAX, by hand": bracket(2), "JAX, trace": bracket(3), "JAX, jvp": bracket(4),
         "JAX, jet": bracket(5), "PyTorch, trace": bracket(6), "PyTorch, jvp": bracket(7)},
        "Laplacians",
    ),
    "cost": Chart(
        "cost", 0,
        {"wengert": _counter(2), "FlopCounterMode": _counter(3), "XLA": _counter(4),
         "fvcore": _counter(5), "calflops": _counter(6), "torchinfo": _counter(7)},
        "Counted operations of the forward pass", "times the analytic truth; 0 is left out",
    ),
    "cost-gradient": Chart(
        "cost", 1, {"products": column(2), "operations": column(3), "time": column(4)},
        "The gradient over the value", "times as much as the value", named=2,
    ),
    "modes": Chart(
        "modes", 0, {"best mode": inverse(9), "JAX": ratio(7, 2), "by hand": ratio(8, 2)},
        "The choice among modes",
        "times as long as mode=\"auto\" takes: further right, it is faster",
    ),
    "orders": Chart(
        "orders", 0,
        {"forward": ratio(2, 7), "reverse": ratio(3, 7), "Markowitz": ratio(4, 7),
         "AlphaGrad": ratio(5, 7), "annealing": ratio(6, 7), "high effort": ratio(8, 7)},
        "Orders of elimination: multiplications",
        "times as many as at default effort", named=2,
    ),
    "orders-times": Chart(
        "orders", 1, {"forward": ratio(1, 3), "reverse": ratio(2, 3)},
        "Orders of elimination: times", "times as long as elimination takes",
    ),
    "sparse": Chart(
        "sparse", 0,
        {"asdex, first": ratio(2, 1), "asdex, a call": ratio(2, 1, 1),
         "CasADi, first": ratio(3, 1), "CasADi, a call": ratio(3, 1, 1)},
        "Sparse Jacobians and Hessians",
    ),
    "sparse-large": Chart(
        "sparse", 1,
        {"asdex, first": ratio(2, 1), "asdex, a call": ratio(2, 1, 1),
         "CasADi, first": ratio(3, 1), "CasADi, a call": ratio(3, 1, 1)},
        "Large sparse Jacobians and Hessians",
    ),
}  # fmt: skip


def drawn() -> dict[str, str]:
    """Return the text of each chart's file by its name."""
    found = tables(PAGE.read_text(encoding="utf-8"))
    made = {}
    for name, chart in CHARTS.items():
        rows = []
        for row in found[chart.script][chart.table][1:]:
            values: Values = [read(row) for read in chart.series.values()]
            if any(v is not None for v in values):
                rows.append((", ".join(filter(None, row[: chart.named])), values))
        names = list(chart.series)
        svg = svg_ratios(rows, names, title=chart.title, label=chart.label)
        made[f"{name}.svg"] = alone(svg)
    made["memory.svg"] = alone(_memory(found["memory"][0]))
    return made


def _memory(rows: Sequence[Cells]) -> str:
    """Draw what was measured, in bars."""
    head = rows[0].index("measured, MiB")
    kept = [(row[0], (value,)) for row in rows[1:] if (value := number(row[head])) is not None]
    bars = Bars(kept, ("measured",), "MiB", "Memory of the gradient", show=lambda x: f"{x:.0f}")
    return svg_bars(bars, 760)


def main() -> None:
    """Write the files that differ, and say which."""
    FOLDER.mkdir(exist_ok=True)
    for name, text in drawn().items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"written: {path.relative_to(PAGE.parents[1])}")


if __name__ == "__main__":
    main()
