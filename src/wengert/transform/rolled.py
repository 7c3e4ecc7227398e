"""The tape of a function with loops, written again with one operation for each loop.

Under `jit` a long tape is rolled before it is walked backwards, so the way back is recorded as the
loop that the reverse rule of `scan` makes of it, and not trip by trip. What the tape was made of
stays behind in the recording and is removed there where no decision reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import RAISES, Const, Graph, Node, Value, aval_of
from wengert.ops.base import RegionOp
from wengert.rolling.roll import roll
from wengert.trace.record import GraphRecorder, Tape, active_recorder
from wengert.trace.replay import as_function
from wengert.trace.tracer import Tracer

__all__ = ["rolled"]

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
    with Tape() as shorter:
        inputs = [shorter.input(v.data) for v in roots]
        ys = as_function(made)(*inputs, *reading.outside)
    if not all(isinstance(y, Tracer) and y._trace is shorter for y in ys):
        return tape, roots, outs
    reading.settle()
    return shorter, [x._var for x in inputs], [y._var for y in ys]


class _Reading:
    """Reads a tape as a graph of the arrays that a recorder knows."""

    def __init__(self, recorder: GraphRecorder, roots: Sequence[Any]) -> None:
        self.recorder = recorder
        self.values: dict[Any, Value] = {}
        self.inputs: list[Value] = []
        self.outside: list[Any] = []
        self.given: dict[Any, Value] = {}
        self.makers: dict[Any, Node] = {}
        self.roots = roots
        self.used: set[Any] = set()

    def graph(self, tape: Tape, outs: Sequence[Any]) -> Graph | None:
        """Return the graph; None where a node is not what the recorder knows as well."""
        for v in self.roots:
            if not self._is_recorded(v.data):
                return None
            self.values[v] = Value(aval=aval_of(v.data._var))
        for node in self.recorder.nodes:
            for v in node.outputs:
                self.makers[v] = node
        nodes = []
        for node in tape.nodes:
            made = self._node(node)
            if made is None:
                return None
            nodes.append(made)
        if not all(v in self.values for v in outs):
            return None
        self._mark_used(tape, outs)
        inputs = [self.values[v] for v in self.roots] + self.inputs
        return Graph(inputs, nodes, [self.values[v] for v in outs])

    def _mark_used(self, tape: Tape, outs: Sequence[Any]) -> None:
        """Note what the results are made of: it will be computed by what is written now."""
        alive = set(outs)
        for node in reversed(tape.nodes):
            if not alive.isdisjoint(node.outputs):
                alive.update(x for x in node.inputs if type(x) is Value)
                self.used.update(v.data._var for v in node.outputs)

    def settle(self) -> None:
        """Drop the marks of operations that may raise where they are done again."""
        guards = self.recorder.guards
        guards[:] = [g for g in guards if g.kind != RAISES or g.value not in self.used]

    def _is_recorded(self, x: Any) -> bool:
        return type(x) is Tracer and x._trace is self.recorder

    def _node(self, node: Any) -> Node | None:
        if type(node) is not Node or type(node.op) is RegionOp or not _is_plain(node.op):
            return None
        outputs = []
        for v in node.outputs:
            if not self._is_recorded(v.data):
                return None
            self.values[v] = value = Value(aval=aval_of(v.data._var))
            outputs.append(value)
        inputs = []
        for k, x in enumerate(node.inputs):
            found = self._operand(node, k, x)
            if found is None:
                return None
            inputs.append(found)
        return Node(node.op, tuple(inputs), node.attrs, tuple(outputs), node.line)

    def _operand(self, node: Node, k: int, x: Any) -> Any:
        if type(x) is Value:
            if x in self.values:
                return self.values[x]
            x = x.data  # an array that the tape took in
        if self._is_recorded(x):
            return self._from_outside(x._var)
        if type(x) is np.ndarray:
            return self._array(node, k)
        return None if isinstance(x, (Tracer, np.ndarray)) else x

    def _from_outside(self, var: Any) -> Any:
        """Return the input for a value that the derivative does not go through."""
        if type(var) is Const:
            self.recorder._as_seen(var)
            return var
        if var not in self.given:
            self.given[var] = made = Value(aval=aval_of(var))
            self.inputs.append(made)
            self.outside.append(Tracer(self.recorder, var))
        return self.given[var]

    def _array(self, node: Node, k: int) -> Any:
        """Return the constant that the recorder made of a plain array when it was read."""
        made = self.makers.get(node.outputs[0].data._var)
        if made is None or made.op is not node.op or len(made.inputs) != len(node.inputs):
            return None
        x = made.inputs[k]
        return self._from_outside(x) if type(x) is Const else None


def _is_plain(op: Any) -> bool:
    return not getattr(op, "custom", False) and not getattr(op, "inline", False)
