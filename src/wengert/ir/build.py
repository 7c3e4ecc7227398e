"""Making graphs: a builder with shape inference, and ways to rebuild and to run a graph.

A pass never changes a node: it makes a new graph, and shares with the old one the nodes and values
that stay. `map_graph` is the loop that passes have in common, `evaluate` is the reference for what
a graph means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from wengert.errors import GraphError, retold
from wengert.ir.graph import Aval, Const, Graph, Guard, GuardMiss, Node, Value, aval_of
from wengert.ir.keys import key
from wengert.ir.questions import QUESTIONS, RAISES

__all__ = [
    "Builder",
    "Emit",
    "Operand",
    "Step",
    "applied",
    "computed",
    "evaluate",
    "infer",
    "map_graph",
    "results",
    "strip",
    "substitute",
    "typed",
]

Operand: TypeAlias = Any
"""What a node can read: a `Value`, a `Const`, or a plain Python or NumPy scalar."""

Emit: TypeAlias = Callable[[Node], None]
Step: TypeAlias = Callable[[Node, Emit], Sequence[Operand] | None]

PLAIN = (bool, int, float, complex)


class Builder:
    """Builds a graph one operation at a time, inferring shapes and dtypes.

    Attributes
    ----------
    line : tuple of (str, int) or None
        The user's ``(file, line)`` that the nodes added next stand for.

    Examples
    --------
    >>> b = Builder()
    >>> x = b.input(Aval((5,), np.dtype(float)))
    >>> graph = b.finish([b.add(TABLE["sin"], x)])
    """

    def __init__(self) -> None:
        self.line: tuple[str, int] | None = None
        self._inputs: list[Value] = []
        self._nodes: list[Node] = []
        self._guards: list[Guard] = []
        self._known: set[Value] = set()
        self._consts: dict[int, Const] = {}

    def input(self, like: Any) -> Value:
        """Add an input with the shape and dtype of `like`: an `Aval`, an array or a scalar."""
        value = Value(aval=aval_of(like))
        self._inputs.append(value)
        self._known.add(value)
        return value

    def add(self, op: Any, *inputs: Any, **attrs: Any) -> Any:
        """Add a node and return the value it makes, or a tuple of values.

        Parameters
        ----------
        op : row of the operation table
        *inputs : Value, Const, array or scalar
            An array is held by reference, as one `Const` however often it is used.
        **attrs
            Plain data: numbers, strings, dtypes, and tuples of them.

        Raises
        ------
        GraphError
            For a value that is not of this graph, or inputs that the operation cannot take.
        """
        operands = tuple(self._operand(op, x) for x in inputs)
        avals = infer(op, operands, attrs)
        outputs = tuple(Value(aval=a) for a in avals)
        self._nodes.append(Node(op, operands, attrs, outputs, self.line))
        self._known.update(outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def guard(self, value: Value, kind: str, outcome: Any) -> None:
        """Add a decision, taken after the nodes added so far."""
        if value not in self._known:
            raise GraphError("a guard reads a value that is not of this graph")
        self._guards.append(Guard(value, kind, outcome, len(self._nodes)))

    def finish(self, outputs: Sequence[Any]) -> Graph:
        """Return the graph with the given outputs."""
        found = [self._operand("the result", y) for y in outputs]
        return Graph(self._inputs, self._nodes, found, self._guards)

    def _operand(self, op: Any, x: Any) -> Operand:
        if isinstance(x, Value):
            if x not in self._known:
                name = getattr(op, "name", op)
                raise GraphError(f"{name} reads a value {x.aval} that is not of this graph")
        elif isinstance(x, np.ndarray):
            return self._consts.setdefault(id(x), Const(x))
        return x


def infer(op: Any, inputs: Sequence[Operand], attrs: Mapping[str, Any]) -> tuple[Aval, ...]:
    """Return the shapes and dtypes that an operation makes of its inputs.

    Raises
    ------
    GraphError
        When the operation cannot take them.
    """
    stands = [_standing(x) for x in inputs]
    try:
        made = op.infer(*stands, **attrs)
    except Exception as error:
        shown = ", ".join(str(aval_of(x)) for x in inputs)
        reason = f"{type(error).__name__}: {error}"
        raise GraphError(f"{op.name} cannot take ({shown}) with {dict(attrs)}: {reason}") from error
    return (made,) if isinstance(made, Aval) else tuple(made)


def _standing(x: Operand) -> Any:
    """Return what stands for an operand in a shape rule: a Python scalar stands for itself."""
    if isinstance(x, (Value, Const)):
        aval = x.aval
        return aval.dtype.type(1).item() if aval.weak else aval
    return x


# --- rebuilding -----------------------------------------------------------------------------------
def map_graph(graph: Graph, step: Step, values: Mapping[Value, Operand] | None = None) -> Graph:
    """Rebuild a graph node by node.

    Parameters
    ----------
    graph : Graph
    step : callable
        ``step(node, emit)`` gets each node in order, its inputs replaced already. It returns None
        to keep the node, or the operands that stand for the node's outputs from now on; those may
        be made by nodes that it passes to ``emit``.
    values : mapping, optional
        Replacements to start with, of inputs.

    Returns
    -------
    Graph
        With the same inputs. Each guard stands after the nodes that were made of the nodes before
        it, so its value is defined where it is checked.
    """
    nodes: list[Node] = []
    guards: list[Guard] = []
    env: dict[Value, Operand] = dict(values or {})
    waiting = iter(sorted(graph.guards, key=lambda g: g.position))
    guard = next(waiting, None)
    for k, old in enumerate(graph.nodes):
        while guard is not None and guard.position <= k:
            guards += _moved(guard, env, len(nodes))
            guard = next(waiting, None)
        node = _replaced(old, env)
        found = step(node, nodes.append)
        if found is None:
            nodes.append(node)
            continue
        for value, operand in zip(old.outputs, found, strict=True):
            if value is not operand:
                env[value] = operand
    while guard is not None:
        guards += _moved(guard, env, len(nodes))
        guard = next(waiting, None)
    return Graph(graph.inputs, nodes, [_looked_up(y, env) for y in graph.outputs], guards)


def _looked_up(x: Operand, env: Mapping[Value, Operand]) -> Operand:
    return env.get(x, x) if isinstance(x, Value) else x


def _replaced(node: Node, env: Mapping[Value, Operand]) -> Node:
    for x in node.inputs:
        if isinstance(x, Value) and x in env:
            break
    else:
        return node
    inputs = tuple(_looked_up(x, env) for x in node.inputs)
    return Node(node.op, inputs, node.attrs, node.outputs, node.line)


def _moved(guard: Guard, env: Mapping[Value, Operand], position: int) -> Sequence[Guard]:
    value = _looked_up(guard.value, env)
    if not isinstance(value, Value):
        if guard.kind == RAISES:
            return ()  # it was computed beforehand, without an exception
        raise GraphError(f"a guard's value was replaced by {value!r}, which cannot be checked")
    return (Guard(value, guard.kind, guard.outcome, position),)


def substitute(graph: Graph, values: Mapping[Value, Operand]) -> Graph:
    """Return the graph with some of its inputs replaced by constants or by other inputs.

    Raises
    ------
    GraphError
        When `values` has a value that is not an input, or a replacement of another shape or dtype.
    """
    for old, new in values.items():
        if old not in graph.inputs:
            raise GraphError(f"only inputs can be substituted, not a value {old.aval} inside")
        if old.aval[:2] != aval_of(new)[:2]:
            raise GraphError(f"an input {old.aval} cannot be substituted by {aval_of(new)}")
    made = map_graph(graph, lambda node, emit: None, values)
    return Graph([x for x in made.inputs if x not in values], made.nodes, made.outputs, made.guards)


def strip(graph: Graph) -> Graph:
    """Return an equal graph whose values carry no concrete data, as a graph that is kept should."""
    new = {value: Value(aval=value.aval) for value in graph.values()}

    def renewed(x: Operand) -> Operand:
        return new[x] if isinstance(x, Value) else x

    nodes = [
        Node(n.op, tuple(map(renewed, n.inputs)), n.attrs, tuple(map(renewed, n.outputs)), n.line)
        for n in graph.nodes
    ]
    guards = [g._replace(value=new[g.value]) for g in graph.guards]
    inputs, outputs = map(renewed, graph.inputs), map(renewed, graph.outputs)
    return Graph(list(inputs), nodes, list(outputs), guards)


# --- running --------------------------------------------------------------------------------------
def results(node: Node, values: Sequence[Any]) -> tuple[Any, ...]:
    """Evaluate a node with NumPy; return its results, which are what the graph says they are."""
    made = computed(node, values)
    ys = made if isinstance(made, tuple) else (made,)
    return tuple([typed(y, v.aval) for y, v in zip(ys, node.outputs, strict=True)])


def evaluate(
    graph: Graph,
    inputs: Sequence[Any],
    apply: Callable[[Node, list[Any]], Sequence[Any]] = results,
    *,
    decide: bool = False,
) -> list[Any]:
    """Run a graph, one node after the other: the reference for what it means.

    Parameters
    ----------
    graph : Graph
    inputs : sequence of arrays or scalars
    apply : callable
        ``apply(node, values)`` returns the results of a node; by default NumPy computes them.
    decide : bool
        Whether the guards are asked again.

    Returns
    -------
    list
        The outputs.

    Raises
    ------
    GraphError
        For a wrong number of inputs.
    GuardMiss
        Where a question of a guard has another answer than recorded.
    """
    if len(inputs) != len(graph.inputs):
        raise GraphError(f"the graph has {len(graph.inputs)} inputs, not {len(inputs)}")
    env: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    guards = sorted(enumerate(graph.guards), key=_position, reverse=True) if decide else []

    def read(x: Operand) -> Any:
        return env[x] if isinstance(x, Value) else x.data if isinstance(x, Const) else x

    for i, node in enumerate(graph.nodes):
        while guards and guards[-1][1].position <= i:
            _ask(*guards.pop(), env)
        made = apply(node, [read(x) for x in node.inputs])
        env.update(zip(node.outputs, made, strict=True))
    while guards:
        _ask(*guards.pop(), env)
    return [read(y) for y in graph.outputs]


def _position(numbered: tuple[int, Guard]) -> tuple[int, int]:
    return numbered[1].position, numbered[0]


def _ask(k: int, guard: Guard, env: Mapping[Value, Any]) -> None:
    found = QUESTIONS[guard.kind].ask(env[guard.value])
    if key(found) != key(guard.outcome):
        raise GuardMiss(k, found)


_KINDS = frozenset(PLAIN)


def computed(node: Node, values: Sequence[Any]) -> Any:
    """Evaluate a node.

    Among Python numbers a node that makes a Python number stands for an operator of Python, others
    for a function of NumPy, which takes such numbers as arrays.
    """
    op = node.op
    try:
        if _KINDS.isdisjoint(map(type, values)):
            return op.evaluate(*values, **node.attrs)
        return _applied(op, values, node.attrs, node.outputs[0].aval.weak)
    except RuntimeWarning:
        by_operator = node.outputs[0].aval.weak
        return retold(partial(_applied, op, values, node.attrs, by_operator), node.line)


def applied(op: Any, values: Sequence[Any], attrs: Mapping[str, Any], by_operator: bool) -> Any:
    """Apply an operation to operands some of which are Python numbers."""
    try:
        return _applied(op, values, attrs, by_operator)
    except RuntimeWarning:
        return retold(partial(_applied, op, values, attrs, by_operator))


def _applied(op: Any, values: Sequence[Any], attrs: Mapping[str, Any], by_operator: bool) -> Any:
    if op.ufunc is None:
        if not op.by_kind:
            values = [np.asarray(x)[()] if type(x) in _KINDS else x for x in values]
    elif _KINDS.issuperset(map(type, values)):
        if by_operator and op.python is not None:
            return op.python(*values)
        return op.ufunc(*values, **attrs)
    return op.evaluate(*values, **attrs)


def typed(y: Any, aval: Aval) -> Any:
    """Make a scalar what the graph says: a Python one if it is weak, else one of its dtype."""
    if aval.weak:
        return y.item() if isinstance(y, (np.ndarray, np.generic)) else y
    return aval.dtype.type(y) if type(y) in PLAIN else y
