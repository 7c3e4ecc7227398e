"""`roll`: a graph whose repeated stretches of operations are loops.

A Python loop is recorded trip by trip, so the graph holds its body once for every trip, and again
for every trip of the way back. Here these copies become one `scan` each. The graph computes the
same operations on the same operands as before.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Const, Graph, Guard, Node, Value, aval_of
from wengert.ir.simplify import remove_dead, simplify
from wengert.ops.base import TABLE
from wengert.ops.index import getitem
from wengert.rolling.body import LoopWriter
from wengert.rolling.decisions import Decisions
from wengert.rolling.folded import written
from wengert.rolling.limits import Limits
from wengert.rolling.periods import Stretch, stretches
from wengert.rolling.reads import through_updates
from wengert.rolling.table import Table
from wengert.rolling.wiring import Wiring, turned, wired
from wengert.rolling.writer import RefusedError, Row, Writer, together

__all__ = ["fold", "roll", "rolled_with_decisions"]

VIEWS = frozenset({"getitem", "reshape"})
"""A stretch of these alone is no loop: what they read is read in place."""

MOST = 256
"""How many loops are written in one graph."""


def roll(graph: Graph, limits: Limits | None, *, differentiable: bool = False) -> Graph:
    """Return a graph with loops in the place of what repeats; the graph itself where nothing does.

    Parameters
    ----------
    graph : Graph
        Simplified.
    limits : Limits or None
        None leaves it as it is.
    differentiable : bool
        Keep what matters to derivatives only.

    Returns
    -------
    Graph
        Of the same inputs and outputs. One guard stands for those in the trips of a loop. Loops
        within loops are rolled, too. Where it is not certain that a stretch is a loop, it stays as
        it is.
    """
    return rolled_with_decisions(graph, limits, differentiable=differentiable)[0]


def rolled_with_decisions(
    graph: Graph, limits: Limits | None, *, differentiable: bool = False
) -> tuple[Graph, list[Decisions]]:
    """Roll a graph like `roll`; return also what each guard of the rolled graph stands for."""
    if limits is None or limits.leave(graph):
        return graph, [None] * len(graph.guards)
    rolled = _rolled(through_updates(graph), limits, lambda x: Const(x, fixed=True))
    if rolled is None:
        return graph, [None] * len(graph.guards)
    made, decisions = rolled
    return simplify(made, differentiable=differentiable), decisions


def fold(loop: Any, limits: Limits) -> Graph | None:
    """Write a loop that was taken in while it ran (`wengert.rolling.folded.written`)."""
    return written(loop, limits, _within)


def _within(graph: Graph, limits: Limits) -> tuple[Graph, list[Any]]:
    """Roll the loops of a body; return also the arrays that are its first inputs then."""
    arrays: list[Any] = []
    inputs: list[Value] = []

    def constant(x: np.ndarray[Any, Any]) -> Value:
        arrays.append(x)
        inputs.append(Value(aval=aval_of(x)))
        return inputs[-1]

    rolled = _rolled(through_updates(graph), limits, constant)
    if rolled is None:
        return graph, []
    made = rolled[0]
    return Graph([*inputs, *made.inputs], made.nodes, made.outputs), arrays


def _rolled(
    graph: Graph, limits: Limits, constant: Callable[[np.ndarray[Any, Any]], Any]
) -> tuple[Graph, list[Decisions]] | None:
    table = Table(graph)
    found = _loops(table, limits)
    if not found:
        return None
    rewriter = _Rewriter(table, limits, constant)
    made = rewriter.rewrite(found)
    if not rewriter.written:
        return None
    return remove_dead(made), rewriter.decisions


def _loops(table: Table, limits: Limits) -> list[Wiring]:
    """Choose loops that do not overlap, those that stand for the most operations first."""
    waiting = [(-s.saved, s) for s in stretches(table.marks, limits.trips, limits.saved)]
    heapq.heapify(waiting)
    taken: list[Wiring] = []
    tries = 0
    while waiting and len(taken) < MOST and tries < 4 * MOST:
        _, stretch = heapq.heappop(waiting)
        tries += 1
        pieces = _free(stretch, taken)
        if pieces != [stretch]:
            for piece in pieces:
                _wait(waiting, piece, limits)
            continue
        loop = None if _is_views(table, stretch) else wired(table, stretch, limits.trips)
        if loop is None or (loop.trips - 1) * loop.period < limits.saved:
            continue
        loop = turned(table, stretch, loop, limits.trips)
        taken.append(loop)
        _wait(waiting, stretch._replace(stop=loop.start), limits)
        _wait(waiting, stretch._replace(start=loop.stop), limits)
    return sorted(taken, key=lambda loop: loop.start)


def _wait(waiting: list[Any], stretch: Stretch, limits: Limits) -> None:
    if stretch.trips >= limits.trips and stretch.saved >= limits.saved:
        heapq.heappush(waiting, (-stretch.saved, stretch))


def _free(stretch: Stretch, taken: Sequence[Wiring]) -> list[Stretch]:
    """Return the parts of a stretch outside of the loops that are there."""
    parts = [stretch]
    for loop in taken:
        parts = [
            piece
            for part in parts
            for piece in (
                [part]
                if part.stop <= loop.start or loop.stop <= part.start
                else [part._replace(stop=loop.start), part._replace(start=loop.stop)]
            )
            if piece.stop - piece.start >= 2 * piece.period
        ]
    return parts


def _is_views(table: Table, stretch: Stretch) -> bool:
    items = table.items[stretch.start : stretch.start + stretch.period]
    return all(type(x) is not Node or x.op.name in VIEWS for x in items)


class _Rewriter(Writer):
    """Writes the graph anew."""

    def __init__(
        self, table: Table, limits: Limits, constant: Callable[[np.ndarray[Any, Any]], Any]
    ) -> None:
        super().__init__(constant)
        self.table = table
        self.limits = limits
        self.guards: list[Guard] = []
        self.decisions: list[Decisions] = []
        self.stands: dict[int, Any] = {}
        self.written = 0

    def rewrite(self, loops: Sequence[Wiring]) -> Graph:
        """Write items and loops in order."""
        graph, at = self.table.graph, 0
        for loop in loops:
            self._items(at, loop.start)
            at = loop.start
            self.spare = 8 + loop.trips * loop.period // 4
            writer = LoopWriter(
                self.table, loop, self, self._operand, lambda g: _within(g, self.limits)
            )
            try:
                found = writer.write()
            except RefusedError:
                continue  # what was written by then is not used
            asked = writer.decision()
            if asked is not None:
                value, outcomes = asked
                self.guards.append(Guard(value, "int", len(outcomes), len(self.nodes)))
                self.decisions.append(outcomes)
            self.stands.update(found)
            self.written += 1
            at = loop.stop
        self._items(at, len(self.table.items))
        outputs = [
            self.read(self._operand(self.table._number(y))) if isinstance(y, Value) else y
            for y in graph.outputs
        ]
        return Graph(graph.inputs, self.nodes, outputs, self.guards)

    def _operand(self, number: int) -> Any:
        found = self.stands.get(number)
        return self.table.operand(number) if found is None else found

    def _items(self, start: int, stop: int) -> None:
        for k in range(start, stop):
            item = self.table.items[k]
            if type(item) is Guard:
                value = self.read(self._operand(int(self.table.operands[self.table.begin[k]])))
                self.decisions.append(None)
                self.guards.append(item._replace(value=value, position=len(self.nodes)))
            else:
                self._node(k, item)

    def _node(self, k: int, node: Any) -> None:
        table = self.table
        numbers = table.operands[table.begin[k] : table.begin[k + 1]].tolist()
        first = int(table.first[k])
        self.line = node.line
        if node.op is getitem and len(numbers) == 1:
            source = self.read(self._operand(numbers[0]))
            row = self.row_of(source, node.attrs["spec"], node.outputs[0].aval)
            if row is not None:
                self.stands[first] = row
                return
        operands = [self._operand(n) for n in numbers]
        if node.op.name == "reshape" and type(operands[0]) is Row:
            self.stands[first] = operands[0]._replace(aval=node.outputs[0].aval)
            return
        if node.op.name == "concatenate":
            operands = self._joined(operands, node.attrs["axis"])
        inputs = tuple([self.read(x) for x in operands])
        if len(inputs) != len(node.inputs) or any(
            a is not b for a, b in zip(inputs, node.inputs, strict=True)
        ):
            node = Node(node.op, inputs, node.attrs, node.outputs, node.line)
        self.nodes.append(node)

    def _joined(self, operands: list[Any], axis: int) -> list[Any]:
        """Take rows of one array that lie side by side together."""
        found: list[Any] = []
        k = 0
        while k < len(operands):
            n = together(operands, k)
            if n < 3 or type(operands[k]) is not Row:
                found.append(operands[k])
                k += 1
                continue
            part = operands[k : k + n]
            shape = part[0].aval.shape
            y = self.column(part, part[0].aval)
            if axis:
                order = (*range(1, axis + 1), 0, *range(axis + 1, len(shape) + 1))
                y = self.emit(TABLE["transpose"], y, axes=order)
            joined = (*shape[:axis], n * shape[axis], *shape[axis + 1 :])
            found.append(self.shaped(y, joined))
            k += n
        return found
