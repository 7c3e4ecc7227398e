"""The cost of a function and its derivative, by pass, by operation and by line of the user.

The cheap gradient principle: the value and all partial derivatives of a function take at most five
times the operations of its value (Baur and Strassen, *The complexity of partial derivatives*,
Theoretical Computer Science 22, 1983; Griewank and Walther, *Evaluating Derivatives*, ch. 4).
"""

from __future__ import annotations

import linecache
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

from wengert.analysis.loops.recorder import LoopRecorder
from wengert.analysis.trips import Loop, TripCharges
from wengert.cost.count import Count, PassCounts, count_nodes, names, plus, total_of
from wengert.devices.machine import Machine, measured
from wengert.devices.roofline import Roofline, roofline
from wengert.errors import InputError, user_line
from wengert.ir.graph import BackwardPlace, Graph, Node, Place, Value
from wengert.ir.questions import EFFECTS
from wengert.jit.plan import Memory, Plan
from wengert.ops.base import TABLE
from wengert.tables import align

__all__ = [
    "BOUND",
    "LOOP_HEAD",
    "Cost",
    "Roofline",
    "Row",
    "Table",
    "backward_nodes",
    "loop_cells",
    "needed",
]

BOUND = 5.0
"""Baur and Strassen's bound on the operations of value and gradient over those of the value."""

HTML_ROWS = 40
"""Rows of a table of HTML; the most expensive ones where there are more."""

DECISIONS = 3
"""How many lines with decisions are named."""


class Row(NamedTuple):
    """What one operation on one line of the user costs, over all its evaluations.

    Attributes
    ----------
    file : str
    line : int
        Empty and 0 where the line is not known.
    op : str
        The row of the operation table. What its derivative takes is counted here too.
    calls : int
        Evaluations in the forward pass.
    forward, backward : Count
    """

    file: str
    line: int
    op: str
    calls: int
    forward: Count
    backward: Count

    @property
    def flops(self) -> int:
        """Operations, forward and backward."""
        return self.forward.flops + self.backward.flops

    @property
    def bytes(self) -> int:
        """Bytes read and written, forward and backward."""
        return self.forward.bytes + self.backward.bytes

    @property
    def ratio(self) -> float:
        """Forward and backward over forward; NaN where the forward pass only moves data."""
        return self.flops / self.forward.flops if self.forward.flops else float("nan")

    @property
    def exceeds(self) -> bool:
        """Whether the ratio is above `BOUND`."""
        return self.ratio > BOUND

    @property
    def why(self) -> str:
        """Why the ratio is above `BOUND`; empty where it is not."""
        if not self.exceeds:
            return ""
        why = self.op in TABLE and TABLE[self.op].excess
        return why or "sums for broadcast arguments, or accumulation, outweigh the value"

    @property
    def place(self) -> str:
        """``name.py:12``."""
        return _place_text(self.file, self.line)

    @property
    def source(self) -> str:
        """The line of code."""
        return linecache.getline(self.file, self.line).strip() if self.line else ""


class Table(tuple[Row, ...]):
    """Rows in the order in which the program reaches them, and sums of them."""

    __slots__ = ()

    def by_op(self) -> list[Row]:
        """Return a row for each operation, the most expensive first."""
        return self._merged(lambda row: ("", 0, row.op))

    def by_line(self) -> list[Row]:
        """Return a row for each line of the user, in the order of first use."""
        order = {(r.file, r.line): i for i, r in reversed(list(enumerate(self)))}
        rows = self._merged(lambda row: (row.file, row.line, ""))
        return sorted(rows, key=lambda r: order[r.file, r.line])

    def _merged(self, key: Callable[[Row], tuple[str, int, str]]) -> list[Row]:
        groups: dict[tuple[str, int, str], list[Row]] = {}
        for row in self:
            groups.setdefault(key(row), []).append(row)
        rows = [
            Row(
                *k, sum(r.calls for r in g), _sum(r.forward for r in g), _sum(r.backward for r in g)
            )
            for k, g in groups.items()
        ]
        return sorted(rows, key=lambda r: (-r.flops, -r.bytes))


class Cost(PassCounts):
    """What a function and its derivative cost; see `wengert.cost`.

    Attributes
    ----------
    name : str
    graph : Graph
        What was counted: value and derivative, simplified.
    forward, backward, total : Count
        Of the operations that the value needs, of the others, and of all.
    table : Table
        A `Row` for each operation on each line of the user.
    """

    def __init__(
        self,
        name: str,
        graph: Graph,
        backward: Collection[int],
        plan: Callable[[], Plan],
        recorder: LoopRecorder,
        stored: Callable[[Graph], Collection[Value] | None],
        machine: Machine | None = None,
    ) -> None:
        self.name = name
        self._plan = plan
        self.graph = graph
        self._machine = machine
        self._stored = stored
        self._recorder = recorder
        self._each, self._charges = count_nodes(graph)
        self._late = [id(node) in backward for node in graph.nodes]
        where = (n.line.trip if isinstance(n.line, Place) else None for n in graph.nodes)
        self._by_trip = TripCharges(
            zip(where, self._each, self._late, strict=True),
            *(self._charges, recorder.trips, recorder.by_values),
        )
        found = self._by_trip.passes(self._by_trip.total)
        super().__init__(found.forward, found.backward, found.total)

    @cached_property
    def memory(self) -> Memory:
        """Bytes of what goes in, comes out and is held in between, of the compiled plan."""
        return self.plan.memory

    @cached_property
    def plan(self) -> Plan:
        """The compiled plan of what was counted: of value and gradient, or of what was given."""
        return self._plan()

    @property
    def decisions(self) -> int:
        """Decisions of Python code on traced values: the cost holds for this path."""
        return sum(g.kind not in EFFECTS for g in self.graph.guards)

    @cached_property
    def table(self) -> Table:
        """Rows in the order in which the program reaches them."""
        found: dict[tuple[str, int, str], tuple[Counter[int], Counter[int]]] = {}
        for node, number, late in zip(self.graph.nodes, self._each, self._late, strict=True):
            found.setdefault(_origin(node), (Counter(), Counter()))[late][number] += 1
        return Table(
            Row(*key, early.total(), *(total_of(part, self._charges) for part in (early, late)))
            for key, (early, late) in found.items()
        )

    @property
    def loops(self) -> tuple[Loop, ...]:
        """Loops of the user's in which operations were made: trips, and what one trip costs."""
        return self._by_trip.loops

    @property
    def formula(self) -> str:
        """Operations forward and backward, linear in the trips of loops that values decide.

        ``1,203 + 345 k1 forward, 2,400 + 1,020 k1 backward; k1: trips of newton.py:12 (17 here)``
        """
        return self._by_trip.formula

    def at(self, *trips: int | Mapping[Any, int]) -> PassCounts:
        """Return the cost with other numbers of trips, at the same shapes.

        Parameters
        ----------
        *trips : int, or one mapping
            One number for each loop that values decide, in the order of `formula`. Or
            ``{(file, line): trips}``, or ``{"name.py:12": trips}``, for any of `loops`. A number is
            that of all trips, over all the times that the loop is entered.

        Returns
        -------
        Passes
            ``forward``, ``backward`` and ``total``, ``flops``, ``bytes`` and so on, as here.

        Raises
        ------
        InputError
            For a loop that did not run, or another number of numbers.
        """
        return self._by_trip.at(trips)

    @property
    def above(self) -> list[Row]:
        """Operations whose derivative takes more than the cheap gradient principle allows."""
        return [row for row in self.table.by_op() if row.exceeds]

    def roofline(self, machine: Machine | None = None) -> Roofline:
        """Return the least time on a machine: the one given, or this computer, measured."""
        machine = machine or self._machine or measured()
        return roofline(self.graph, self._each, self._charges, self._stored(self.graph), machine)

    def trip_notes(self) -> list[str]:
        """Say how the operations depend on the trips of loops."""
        notes = [self.formula] if any(row.by_values for row in self.loops) else []
        if not all(row.uniform for row in self.loops):
            notes.append("~ the most common trip; others cost more or less")
        return notes

    def notes(self) -> list[str]:
        """Say what the numbers hold for, and what stands out."""
        notes = [f"above {BOUND:g}: {row.op} ({row.ratio:.3g}): {row.why}" for row in self.above]
        rows = [TABLE[n] for n in sorted(self.by_op) if n in TABLE]
        formulas = [f"{op.name} {op.formula}" for op in rows if op.formula]
        if formulas:
            notes.append(f"by formula, leading term: {'; '.join(formulas)}")
        if self.unknown:
            notes.append(f"unknown, so totals are lower bounds: {names(self.unknown)}")
        if self.decisions:
            count = f"{self.decisions:,} decision{'s' * (self.decisions != 1)}"
            notes.append(
                f"counted on the path taken here, which depends on {count} of Python code on the "
                f"data: {self._decided()}"
            )
        if not self._recorder.watches:
            notes.append("loops are not told apart, since a debugger or a tracer was at work")
        return notes

    def _decided(self) -> str:
        """Name the lines on which decisions were taken."""
        places = Counter(self._recorder.decisions)
        shown = [
            f"{'?' if place is None else _place_text(*place)}{f' ({n:,} times)' * (n > 1)}"
            for place, n in list(places.items())[:DECISIONS]
        ]
        more = len(places) - len(shown)
        return ", ".join(shown) + (f" and {more:,} more line{'s' * (more != 1)}" if more else "")

    def __str__(self) -> str:
        """Return tables for people."""
        ratio = "" if not self.backward.flops else f"\n{_ratio(self)}"
        operations = [
            (r.op, f"{r.calls:,}", *_pair(r)) for r in self.table.by_op() if r.flops or _unknown(r)
        ]
        lines = [
            (r.place, *_pair(r), r.source) for r in self.table.by_line() if r.flops or _unknown(r)
        ]
        parts = [
            f"cost of {self.name}",
            _columns(["", "forward", "backward", "total"], self.summary()) + ratio,
            _columns(["operation", "calls", "forward", "backward", "ratio"], operations),
            _columns(["line", "forward", "backward", "ratio", ""], lines),
            _columns([*LOOP_HEAD, ""], [(*loop_cells(r), r.source) for r in self.loops]),
            "\n".join(self.trip_notes()),
            "\n".join(self.notes()),
            "" if self._machine is None else f"time: {self.roofline()}",
        ]
        return "\n\n".join(part for part in parts if part)

    def summary(self) -> list[tuple[str, str, str, str]]:
        """Return the totals of the passes: a name, then forward, backward and total."""
        passes = (self.forward, self.backward, self.total)
        rows: list[tuple[str, list[str]]] = [
            ("operations", [f"{c.flops:,}{plus(c.unknown)}" for c in passes])
        ]
        for kind in self.by_kind:
            rows.append((f"  {kind}", [f"{c.by_kind.get(kind, 0):,}" for c in passes]))
        if self.macs:
            rows.append(("multiply-adds", [f"{c.macs:,}" for c in passes]))
        rows.append(("bytes read", [f"{c.read:,}" for c in passes]))
        rows.append(("bytes written", [f"{c.written:,}" for c in passes]))
        rows.append(
            ("operations a byte", [f"{c.intensity:.3g}" if c.bytes else "" for c in passes])
        )
        return [(name, *cells) for name, cells in rows]  # type: ignore[misc]

    def plot(
        self,
        ax: Any = None,
        *,
        by: str = "operation",
        of: str = "operations",
        most: int = 14,
    ) -> Any:
        """Draw what operations or lines cost, forward and backward, with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.
        by : {"operation", "line"}
            A bar for each operation, the most expensive first, or for each of the user's lines, in
            the order of first use.
        of : {"operations", "bytes"}
            What is counted.
        most : int
            Bars at most; the cheapest are left out.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib: ``pip install 'wengert[plot]'``.
        InputError
            For other `by` and `of`.
        """
        from wengert.charts.axes import axes_for
        from wengert.charts.bars import plot_bars

        bars = self.bars(by, of, most)
        height = 1.4 + 0.3 * len(bars.rows)
        return plot_bars(axes_for(ax, "cost.plot()", (8.0, height)), bars)

    def bars(self, by: str = "operation", of: str = "operations", most: int = 14) -> Any:
        """Return what `plot` draws, as data: a `wengert.charts.bars.Bars`."""
        from wengert.charts import words
        from wengert.charts.bars import Bars

        if by not in ("operation", "line"):
            raise InputError(f'by={by!r}: give by="operation" or by="line"' + user_line())
        if of not in ("operations", "bytes"):
            raise InputError(f'of={of!r}: give of="operations" or of="bytes"' + user_line())

        def amount(count: Count) -> int:
            return count.flops if of == "operations" else count.bytes

        rows = self.table.by_op() if by == "operation" else self.table.by_line()
        rows = [r for r in rows if amount(r.forward) or amount(r.backward)]
        ranked = sorted(rows, key=lambda r: -amount(r.forward) - amount(r.backward))
        kept = {id(r) for r in ranked[:most]}
        rows = ranked if by == "operation" else rows
        one = len({r.file for r in rows if r.line}) < 2

        def name(row: Row) -> str:
            if by == "operation":
                return row.op
            return f"{row.line if one else row.place}  {row.source}" if row.line else "no line"

        shown = [
            (name(r), (float(amount(r.forward)), float(amount(r.backward))))
            for r in rows
            if id(r) in kept
        ]
        label = "operations" if of == "operations" else "bytes read and written"
        left = f", the {most} most expensive of {len(rows)}" if len(rows) > most else ""
        return Bars(
            shown, ("forward", "backward"), label, f"cost of {self.name} by {by}{left}",
            by == "line", words.number if of == "operations" else words.nbytes, of == "bytes",
        )  # fmt: skip

    def _repr_html_(self) -> str:
        """Return the tables of ``str`` and the bars of `plot`, for a notebook."""
        from wengert.charts.html import fragment

        return fragment(*self.html_parts())

    def html_parts(self, width: float = 720) -> list[str]:
        """Return tables and bars, so many pixels wide, as pieces of HTML."""
        from wengert.charts import words
        from wengert.charts.bars import svg_bars
        from wengert.charts.html import figure, paragraphs, table

        head = ("", "forward", "backward", "total")
        parts = [table(head, self.summary(), caption=f"cost of {self.name}")]
        if self.backward.flops:
            parts.append(paragraphs([_ratio(self)]))
        rows = [r for r in self.table.by_op() if r.flops or _unknown(r)]
        lines = [r for r in self.table.by_line() if r.flops or _unknown(r)]
        for by, shown in (("operation", rows), ("line", lines)):
            if shown:
                parts.append(figure(svg_bars(self.bars(by), width), f"operations by {by}"))
        if rows:
            named = ("operation", "calls", "forward", "backward", "ratio", "bytes")
            found = [(r.op, f"{r.calls:,}", *_pair(r), f"{r.bytes:,}") for r in rows[:HTML_ROWS]]
            parts.append(table(named, found))
        if lines:
            dearest = {id(r) for r in sorted(lines, key=lambda r: -r.flops)[:HTML_ROWS]}
            cells = [
                (r.place, *_pair(r), words.shortened(r.source, 72))
                for r in lines
                if id(r) in dearest
            ]
            placed = ("line", "forward", "backward", "ratio", "")
            parts.append(table(placed, cells, left=(0, 4), codes=(4,)))
        if self.loops:
            loops = [(*loop_cells(r), r.source) for r in self.loops[:HTML_ROWS]]
            parts.append(table((*LOOP_HEAD, ""), loops, left=(0, 4), codes=(4,)))
        for name, n in (
            ("operations", len(rows)),
            ("lines", len(lines)),
            ("loops", len(self.loops)),
        ):
            if n > HTML_ROWS:
                parts.append(paragraphs([f"{HTML_ROWS} of {n:,} {name} are shown"]))
        parts.append(paragraphs([*self.trip_notes(), *self.notes()]))
        if self._machine is not None:
            parts.append(paragraphs([f"time: {self.roofline()}"]))
        return parts

    def __repr__(self) -> str:
        """Return a line."""
        return (
            f"<Cost of {self.name}: {self.flops_forward:,} forward, "
            f"{self.flops_backward:,} backward{plus(self.unknown)}>"
        )


def _place_text(file: str, line: int) -> str:
    return f"{os.path.basename(file)}:{line}" if line else "?"


def _ratio(cost: Cost) -> str:
    return (
        f"value and gradient over value: {cost.cheap_gradient_ratio:.4g} "
        f"(cheap gradient principle: at most {BOUND:g})"
    )


def _unknown(row: Row) -> bool:
    return bool(row.forward.unknown or row.backward.unknown)


def _pair(row: Row) -> tuple[str, str, str]:
    """Show a row's operations and its ratio; a mark where that is above the bound."""
    ratio = "" if not row.backward.flops or not row.forward.flops else f"{row.ratio:.2f}"
    return (
        f"{row.forward.flops:,}{plus(row.forward.unknown)}",
        f"{row.backward.flops:,}{plus(row.backward.unknown)}",
        ratio + (" !" if row.exceeds and row.op else ""),
    )


LOOP_HEAD = ("loop", "trips", "forward a trip", "backward a trip")
"""Columns of `loop_cells`."""


def loop_cells(loop: Loop) -> tuple[str, str, str, str]:
    """Show a loop: a tilde where its trips do not all cost the same."""
    about = "" if loop.uniform else "~"
    forward, backward = f"{about}{loop.forward:,}", f"{about}{loop.backward:,}"
    return loop.place, f"{loop.trips:,}", forward, backward


def _columns(head: list[str], rows: Iterable[tuple[str, ...]]) -> str:
    """Line up a table: the first column and an unnamed last one left, the others right."""
    rows = list(rows)
    last = () if head[-1] else (len(head) - 1,)
    return align([head, *rows], left=(0, *last)) if rows else ""


def _origin(node: Node) -> tuple[str, int, str]:
    """Return the line and the operation that a node is counted for."""
    file, line = node.line or ("", 0)
    return file, line, node.line.op if isinstance(node.line, BackwardPlace) else node.op.name


def _sum(counts: Iterable[Count]) -> Count:
    made = list(counts)

    def merged(field: str) -> dict[str, int]:
        total: dict[str, int] = {}
        for c in made:
            for k, n in getattr(c, field).items():
                total[k] = total.get(k, 0) + n
        return total

    return Count(
        sum(c.flops for c in made),
        merged("by_kind"),
        merged("by_op"),
        sum(c.bytes for c in made),
        merged("unknown"),
        sum(c.read for c in made),
        sum(c.written for c in made),
        sum(c.macs for c in made),
    )


# --- which pass a node belongs to -----------------------------------------------------------------
def needed(graph: Graph, outputs: Iterable[Any]) -> set[int]:
    """Return the ids of the nodes that these outputs, and decisions, are computed from."""
    alive = {y for y in outputs if isinstance(y, Value)} | {g.value for g in graph.guards}
    found = set()
    for node in reversed(graph.nodes):
        if not alive.isdisjoint(node.outputs):
            found.add(id(node))
            alive.update(x for x in node.inputs if isinstance(x, Value))
    return found


def backward_nodes(graph: Graph) -> set[int]:
    """Return the ids of the nodes that a reverse pass made."""
    return {id(n) for n in graph.nodes if isinstance(n.line, BackwardPlace)}
