"""The tape of a function with loops, written again with one operation for each loop.

Under `jit` a long tape is rolled before it is walked backwards, so the way back is recorded as the
loop that the reverse rule of `scan` makes of it, and not trip by trip. What the tape was made of
stays behind in the recording and is removed there where no decision reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Const, Graph, Node, Value, aval_of
from wengert.ir.questions import RAISES
from wengert.ops.base import Op, RegionOp
from wengert.ops.loops import scan
from wengert.rolling.roll import roll
from wengert.trace.numbers import is_number
from wengert.trace.recorder import GraphRecorder, active_recorder
from wengert.trace.replay import as_function
from wengert.trace.tape import Tape
from wengert.trace.tracer import Tracer

__all__ = ["rolled"]

_NUMBERS = frozenset({float, int, np.float64})

Found = tuple[Tape, list[Any], list[Any]]


def rolled(tape: Tape, roots: list[Any], outs: list[Any]) -> Found:
    """Return a shorter tape of the same function, or the same.

    Parameters
    ----------
    tape : Tape
        Complete.
    roots : list of Value
        What the function was given.
    outs : list of Value
        What it made.

    Returns
    -------
    tape, roots, outs
    """
    recorder = active_recorder()
    if type(recorder) is not GraphRecorder or recorder.rolls is None:
        return tape, roots, outs
    if len(tape.nodes) < max(recorder.rolls.nodes // 3, 1) or recorder.level > tape.level:
        return tape, roots, outs
    reading = _Reading(recorder, roots)
    graph = reading.graph(tape, outs)
    if graph is None:
        return tape, roots, outs
    limits = recorder.rolls._replace(nodes=0, large=recorder.rolls.large // 3)
    made = roll(graph, limits, differentiable=True)
    if made is graph:
        return tape, roots, outs
    with Tape() as shorter, np.errstate(all="ignore"):  # what warns has warned
        inputs = [shorter.input(v.data) for v in roots]
        ys = as_function(made)(*inputs, *reading.outside)
    if not all(isinstance(y, Tracer) and y._trace is shorter for y in ys):
        return tape, roots, outs
    reading.settle()
    recorder.rerolled = True
    return shorter, [x._var for x in inputs], [y._var for y in ys]


class _Reading:
    """Reads a tape as a graph of arrays that are traced below it."""

    def __init__(self, recorder: GraphRecorder, roots: Sequence[Any]) -> None:
        self.recorder = recorder
        self.roots = roots
        self.values: dict[Any, Value] = {}
        self.inputs: list[Value] = []
        self.outside: list[Any] = []
        self.given: dict[int, Value] = {}
        self.seen: Counter[int] | None = None

    def graph(self, tape: Tape, outs: Sequence[Any]) -> Graph | None:
        """Return the graph; None where the tape has something that cannot be applied again."""
        alive = set(outs)
        used = []
        for node in reversed(tape.nodes):
            if type(node) is not Node:
                return None  # a part under `wengert.checkpoint`
            outputs = node.outputs
            if outputs[0] in alive if len(outputs) == 1 else not alive.isdisjoint(outputs):
                used.append(node)
                for x in node.inputs:
                    if type(x) is Value:
                        alive.add(x)
        used.reverse()
        if not all(self._is_new(v) for v in self.roots):
            return None
        nodes = []
        for node in used:
            made = self._node(node)
            if made is None:
                return None
            nodes.append(made)
        if not all(v in self.values for v in outs):
            return None
        inputs = [self.values[v] for v in self.roots] + self.inputs
        return Graph(inputs, nodes, [self.values[v] for v in outs])

    def settle(self) -> None:
        """Drop the marks of operations that may raise: they are done again."""
        guards, recorder = self.recorder.guards, self.recorder
        if any(g.kind == RAISES for g in guards):
            used = {v.data._var for v in self.values if v.data._trace is recorder}
            guards[:] = [g for g in guards if g.kind != RAISES or g.value not in used]

    def _is_new(self, v: Any) -> bool:
        """Take in a value of the tape, if it is of traced values."""
        x = v.data
        if type(x) is not Tracer:
            return False
        if x._trace is self.recorder:
            aval = x._var.aval
        else:
            aval = aval_of(x)._replace(weak=is_number(x))
        self.values[v] = Value(None, aval)
        return True

    def _node(self, node: Node) -> Node | None:
        op, outputs = node.op, node.outputs
        if type(op) is not Op and op is not scan and (type(op) is RegionOp or not _is_plain(op)):
            return None
        values, inputs = self.values, []
        for x in node.inputs:
            kind = type(x)
            found = values.get(x) if kind is Value else x if kind in _NUMBERS else None
            if found is None:
                found = self._operand(x)
                if found is None:
                    return None
            inputs.append(found)
        made = []
        for v in outputs:
            x = v.data
            if type(x) is Tracer and x._trace is self.recorder and type(x._var) is Value:
                values[v] = y = Value(None, x._var.aval)
            elif self._is_new(v):
                y = values[v]
            else:
                return None
            made.append(y)
        return Node(op, inputs, node.attrs, tuple(made), node.line)

    def _operand(self, x: Any) -> Any:
        if type(x) is Value:
            x = x.data  # an array that the tape took in
        if type(x) is Tracer:
            return self._from_outside(x)
        return self._array(x) if isinstance(x, np.ndarray) else x

    def _from_outside(self, x: Tracer) -> Any:
        """Return the input for a value that the derivative does not go through."""
        var = x._var
        if type(var) is Const and x._trace is self.recorder:
            self.recorder._as_seen(var)
            return var
        if id(var) not in self.given:
            aval = aval_of(var) if x._trace is self.recorder else aval_of(x)
            weak = aval.weak or is_number(x)
            self.given[id(var)] = made = Value(aval=aval._replace(weak=weak))
            self.inputs.append(made)
            self.outside.append(Tracer(x._trace, var))
        return self.given[id(var)]

    def _array(self, x: np.ndarray[Any, Any]) -> Const | None:
        """Return the constant for a plain array, if it had one content while this was recorded."""
        if self.seen is None:
            self.seen = Counter(id(entry[0]) for entry in self.recorder.entries.values())
        entry = self.recorder.consts.get(id(x))
        if entry is None or self.seen[id(x)] != 1 or not self.recorder._unchanged(entry):
            return None
        return entry[1]


def _is_plain(op: Any) -> bool:
    return not getattr(op, "custom", False) and not getattr(op, "inline", False)
