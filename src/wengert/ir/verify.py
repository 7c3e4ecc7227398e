"""The verifier: a graph is well formed, its shapes and dtypes are what its operations make.

Tests run it after every pass.
"""

from __future__ import annotations

import itertools
import linecache
from typing import Any, NoReturn

import numpy as np

from wengert.errors import GraphError
from wengert.ir.build import infer
from wengert.ir.graph import Const, Graph, Guard, Node, Value, aval_of
from wengert.ir.literal import is_plain, is_scalar
from wengert.ir.questions import QUESTIONS
from wengert.ir.regions import closed, each, is_region
from wengert.ir.text import Names

__all__ = ["verify"]


def verify(graph: Graph) -> Graph:
    """Check a graph and return it.

    Every input of a node is defined before it, every value once, shapes and dtypes are what the
    operations infer, attributes are plain data or closed graphs that are well formed themselves,
    outputs are defined, and each guard is about a value that is defined at its position.

    Raises
    ------
    GraphError
        Naming the node's text and the user's line.
    """
    check = _Check(graph)
    for x in graph.inputs:
        check.define(x, "the graph's inputs")
    guards = list(graph.guards)
    check.order(guards)
    for k, node in enumerate(graph.nodes):
        while guards and guards[0].position <= k:
            check.guard(guards.pop(0))
        check.node(node)
    for guard in guards:
        check.guard(guard)
    for y in graph.outputs:
        check.operand(y, "the graph's outputs", None)
    return graph


class _Check:
    """Walks a graph, keeping the values that are defined so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.defined: set[Value] = set()

    def fail(self, message: str, node: Node | None) -> NoReturn:
        """Raise with the node's text and the user's line."""
        raise GraphError(message + ("" if node is None else _described(self.graph, node)))

    def define(self, value: Any, where: str, node: Node | None = None) -> None:
        """Note a new value."""
        if not isinstance(value, Value):
            self.fail(f"{where} hold {value!r}, which is not a value", node)
        if value in self.defined:
            self.fail(f"{where} define {self.name(value)} a second time", node)
        if value.aval.weak and value.shape:
            self.fail(f"{self.name(value)} is weak, as only a Python scalar is", node)
        self.defined.add(value)

    def name(self, value: Value) -> str:
        """Return a value's name in the text form."""
        return Names(self.graph).typed(value)

    def operand(self, x: Any, where: str, node: Node | None) -> None:
        """Check something that is read."""
        if isinstance(x, Value):
            if x not in self.defined:
                self.fail(f"{where} read {self.name(x)}, which is not defined before", node)
        elif not isinstance(x, Const) and not is_scalar(x):
            kind = type(x).__name__
            hint = "; hold it by reference, Const(array)" if isinstance(x, np.ndarray) else ""
            self.fail(f"{where} hold a {kind}, not a value, a constant or a scalar{hint}", node)

    def node(self, node: Node) -> None:
        """Check one node and note what it makes."""
        for x in node.inputs:
            self.operand(x, "the node's inputs", node)
        for name, region in each(node):
            self.region(name, region, node)
        for name, a in node.attrs.items():
            if not is_region(a) and not is_plain(a):
                self.fail(f"attribute {name} is a {type(a).__name__}, not plain data", node)
        self.results(node)
        for y in node.outputs:
            self.define(y, "the node's outputs", node)

    def region(self, name: str, region: Graph, node: Node) -> None:
        """Check a graph among a node's attributes."""
        reason = closed(region)
        if reason is not None:
            self.fail(f"the region {name} of {node.op.name} is not closed: {reason}", node)
        try:
            verify(region)
        except GraphError as error:
            raise GraphError(f"in the region {name} of {node.op.name}: {error}") from error

    def results(self, node: Node) -> None:
        """Compare the results with what the operation infers."""
        numbers = node.inputs and all(aval_of(x).weak for x in node.inputs)
        if numbers and all(y.aval.weak for y in node.outputs):
            return  # Python's own, whose type their values decide: True + True, 2 ** -1
        try:
            avals = infer(node.op, node.inputs, node.attrs)
        except GraphError as error:
            raise GraphError(f"{error}{_described(self.graph, node)}") from error
        if len(avals) != len(node.outputs):
            self.fail(f"{node.op.name} makes {len(avals)} results, not {len(node.outputs)}", node)
        for y, aval in zip(node.outputs, avals, strict=True):
            if (y.aval.shape, y.aval.dtype) != (aval.shape, aval.dtype):
                self.fail(f"{node.op.name} makes {aval} of these inputs, not {y.aval}", node)

    def order(self, guards: list[Guard]) -> None:
        """Check that guards stand in order between the first node and the last."""
        places = [0, *(g.position for g in guards), len(self.graph.nodes)]
        if any(a > b for a, b in itertools.pairwise(places)):
            self.fail(f"the guards' positions {places[1:-1]} are not in order in the graph", None)

    def guard(self, guard: Guard) -> None:
        """Check one guard at its position."""
        if guard.kind not in QUESTIONS:
            self.fail(f"there is no kind of guard {guard.kind!r}", None)
        if not isinstance(guard.value, Value) or guard.value not in self.defined:
            text = Names(self.graph).guard(guard)
            self.fail(f"'{text}' at {guard.position}: the value is not defined there", None)
        if not is_plain(guard.outcome):
            kind = type(guard.outcome).__name__
            self.fail(f"a guard's outcome is a {kind}, not plain data", None)


def _described(graph: Graph, node: Node) -> str:
    """Return a node's text and the user's line, to end a message with."""
    names = Names(graph)
    try:
        text = names.node(node)
    except GraphError:  # an attribute or input without a text form
        text = f"{', '.join(map(names.typed, node.outputs))} = {node.op.name}(...)"
    if node.line is None:
        return f"\n  in {text}"
    file, number = node.line
    source = linecache.getline(file, number).strip()
    return f"\n  in {text}\n  at {file}:{number}" + (f": {source}" if source else "")
