"""Detection: the sparsity pattern of a graph's Jacobian, from its operations' patterns.

One walk over the nodes in order carries, for each value, which inputs its entries depend on
(`wengert.sparse.detection.rows`). The cost is linear in the size of the dependences, and mostly in
the number of entries of the values.

A global pattern holds for every input on the same path through the code. A local one holds at a
point: the branch of each `select`, the order of each sort, the winner of each maximum and the
values of computed indices are those of the point. Either says what it relies on, and can be checked
at other inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import InputError, ShapeError, user_line
from wengert.ir.build import evaluate, results
from wengert.ir.graph import Const, Graph, Node, Value, aval_of
from wengert.ir.keys import key
from wengert.ir.questions import QUESTIONS
from wengert.ir.simplify import remove_dead
from wengert.ops.base import ZERO, Scale
from wengert.sparse.detection.rows import Rows, Space, union
from wengert.sparse.detection.rules import spread
from wengert.sparse.detection.zeros import Zeros
from wengert.sparse.pattern import SparsityPattern

__all__ = ["Detection", "Reliance", "detect"]

MOST_ATOMS = 8
"""Linear combinations of more values than this are not searched for terms that cancel."""


class Reliance(NamedTuple):
    """Something that a pattern holds under: ``function(*inputs)`` is `outcome`.

    Attributes
    ----------
    inputs : tuple of Value, Const or scalar
        Of the graph.
    function : callable
    outcome : array
    """

    inputs: tuple[Any, ...]
    function: Callable[..., Any]
    outcome: Any


class Detection(NamedTuple):
    """A pattern and what it holds under.

    Attributes
    ----------
    pattern : SparsityPattern
        Of the Jacobian: a row for each entry of the outputs, a column for each of the chosen
        inputs, both in C order.
    graph : Graph
        Whose Jacobian it is. The pattern holds where the graph's guards do.
    relied : tuple of Reliance
        For a global pattern, the zeros and indices in constant arrays, which could be changed in
        place; for a local one, also the choices at the point.
    """

    pattern: SparsityPattern
    graph: Graph
    relied: tuple[Reliance, ...]

    def mismatch(self, inputs: Sequence[Any]) -> str | None:
        """Say why the pattern may not hold for these inputs of the graph; None where it holds.

        Returns
        -------
        str or None
            Names the first decision that differs.
        """
        guards = self.graph.guards
        needed = [g.value for g in guards] + [x for r in self.relied for x in r.inputs]
        graph = remove_dead(Graph(self.graph.inputs, self.graph.nodes, needed))
        found = iter(evaluate(graph, inputs))
        for guard in guards:
            outcome = QUESTIONS[guard.kind].ask(next(found))
            if key(outcome) != key(guard.outcome):
                return (
                    f"{guard.kind}() of a {guard.value.aval} is {outcome!r}, not {guard.outcome!r}"
                )
        for relied in self.relied:
            values = [next(found) for _ in relied.inputs]
            if not np.array_equal(relied.function(*values), relied.outcome):
                what = ", ".join(str(aval_of(x)) for x in relied.inputs)
                return f"a choice that depends on {what} is another one"
        return None


def detect(
    graph: Graph, wrt: Sequence[int] | None = None, point: Sequence[Any] | None = None
) -> Detection:
    """Find the Jacobian's sparsity pattern of a recorded function.

    Parameters
    ----------
    graph : Graph
        Simplified with ``differentiable=True``, so that `stop_gradient` is still there.
    wrt : sequence of int, optional
        The inputs that the columns stand for, in this order; all if not given.
    point : sequence of arrays, optional
        All inputs, for a local pattern.

    Returns
    -------
    Detection

    Raises
    ------
    InputError, ShapeError
        For a `wrt` that names no input, or a point that does not fit the graph.
    """
    wrt = range(len(graph.inputs)) if wrt is None else wrt
    for i in wrt:
        if not 0 <= i < len(graph.inputs):
            raise InputError(f"the graph has {len(graph.inputs)} inputs, and no input {i}")
    if len(set(wrt)) < len(wrt):
        raise InputError(f"wrt={list(wrt)} names an input twice")
    _check_point(graph, point)
    walk = _Walk(graph, wrt, point)
    for node in graph.nodes:
        walk.step(node)
    return Detection(walk.pattern(), graph, tuple(walk.relied))


def _check_point(graph: Graph, point: Sequence[Any] | None) -> None:
    if point is None:
        return
    got, want = [np.shape(x) for x in point], [x.shape for x in graph.inputs]
    if got != want:
        raise ShapeError(
            f"a local pattern takes the graph's inputs, of shapes {want}, not {got}" + user_line()
        )


class _Walk:
    """Carries dependences along a graph; what rules may read of values."""

    def __init__(self, graph: Graph, wrt: Sequence[int], point: Sequence[Any] | None) -> None:
        self.graph = graph
        self.local = point is not None
        self.relied: list[Reliance] = []
        self.rows: dict[Value, Rows] = {}
        self.space = Space(sum(graph.inputs[i].aval.size for i in wrt))
        start = 0
        for i in wrt:
            x = graph.inputs[i]
            if x.dtype.kind in "fc":
                self.rows[x] = self.space.inputs(start, x.shape)
            start += x.aval.size
        self.makers: dict[Value, Node] = {}
        self.values: dict[Value, Any] = {}
        self.varying: set[Value] = set(graph.inputs)
        self.moving = {x for x in graph.inputs if x.dtype.kind in "fc"}
        if point is not None:
            self.values.update(zip(graph.inputs, point, strict=True))
        self.sums: dict[Value, dict[Value, float]] = {}
        self.zeros = Zeros(self)

    # --- one node ---------------------------------------------------------------------------------
    def step(self, node: Node) -> None:
        """Find the dependences of a node's outputs."""
        for y in node.outputs:
            self.makers[y] = node
        if any(isinstance(x, Value) and x in self.varying for x in node.inputs):
            self.varying.update(node.outputs)
        if node.op.derivative is not ZERO and not self.moving.isdisjoint(node.inputs):
            self.moving.update(y for y in node.outputs if y.dtype.kind in "fc")
        self.zeros.step(node)
        parts = [self.rows.get(x) if isinstance(x, Value) else None for x in node.inputs]
        if all(p is None for p in parts):
            return
        found = self._cancelled(node)
        if found is None:
            found = spread(self, node, parts)
        for y, rows in zip(node.outputs, found, strict=True):
            if y.dtype.kind in "fc" and rows.terms:
                mask = self.zeros.of(y)
                self.rows[y] = rows if mask is None else rows.without(mask)

    def _cancelled(self, node: Node) -> list[Rows] | None:
        """Return what is left of a sum from which a value has cancelled, as in ``x - y + y``."""
        rules = node.op.derivative.rules if isinstance(node.op.derivative, Scale) else (None,)
        if any(r not in (1, -1) or callable(r) for r in rules):
            return None
        total: dict[Value, float] = {}
        cancelled = False
        for rule, x in zip(rules, node.inputs, strict=True):
            if isinstance(x, Value) and x in self.rows:
                for atom, factor in self.sums.get(x, {x: 1.0}).items():
                    total[atom] = total.get(atom, 0.0) + rule * factor
                    if total[atom] == 0:
                        cancelled = True
                        del total[atom]
        (y,) = node.outputs
        if len(total) <= MOST_ATOMS:
            self.sums[y] = total
        if not cancelled:
            return None
        left = [self.rows[atom].broadcast(y.shape) for atom in total]
        return [union([self.space.nothing(y.shape), *left])]

    # --- what rules may read ----------------------------------------------------------------------
    def constants(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Return the operands' arrays if they are the same for every input, else None."""
        if any(isinstance(x, Value) and x in self.varying for x in inputs):
            return None
        return [self._value(x) for x in inputs]

    def vanishing(self, x: Any) -> Any:
        """Return a mask of the operand's entries that are zero for every input, or None."""
        return self.zeros.of(x)

    def fixed(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Return the operands' arrays if they are constants, or piecewise constant at a point."""
        if not self.local or not self.moving.isdisjoint(inputs):
            return self.constants(inputs)
        return [self._value(x) for x in inputs]

    def chosen(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Return the operands' arrays if they are known at all: constants, or at a point."""
        return [self._value(x) for x in inputs] if self.local else self.constants(inputs)

    def rely(self, inputs: Sequence[Any], function: Callable[..., Any], outcome: Any) -> None:
        """Note that the result holds where ``function(*inputs)`` is `outcome`."""
        if any(isinstance(x, (Value, Const)) for x in inputs):
            self.relied.append(Reliance(tuple(inputs), function, np.array(outcome)))

    def _value(self, x: Any) -> Any:
        if isinstance(x, Const):
            return x.data
        if not isinstance(x, Value):
            return x
        waiting = [x]
        while waiting:
            value = waiting[-1]
            if value in self.values:
                waiting.pop()
                continue
            node = self.makers[value]
            missing = [v for v in node.inputs if isinstance(v, Value) and v not in self.values]
            if missing:
                waiting += missing
                continue
            given = [
                self.values[v] if isinstance(v, Value) else v.data if isinstance(v, Const) else v
                for v in node.inputs
            ]
            with np.errstate(all="ignore"):
                self.values.update(zip(node.outputs, results(node, given), strict=True))
        return self.values[x]

    # --- the end ----------------------------------------------------------------------------------
    def pattern(self) -> SparsityPattern:
        """Return the pattern of all outputs, one below the other."""
        indptr, indices = [np.zeros(1, np.int64)], [np.empty(0, self.space.dtype)]
        total = 0
        for y in self.graph.outputs:
            rows = self.rows.get(y) if isinstance(y, Value) else None
            if rows is None:
                rows = self.space.nothing(aval_of(y).shape)
            starts, columns = rows.csr()
            indptr.append(starts[1:] + total)
            indices.append(columns)
            total += len(columns)
        if len(self.graph.outputs) == 1:
            starts, joined = np.concatenate(indptr), indices[1]
        else:
            starts, joined = np.concatenate(indptr), np.concatenate(indices)
        shape = (len(starts) - 1, self.space.n)
        return SparsityPattern.trusted(starts, joined, shape)
