"""Operations as several others, for backends that have no code of their own for them.

`expanded` writes a graph with the operations that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

import numpy as np

from wengert.ir.build import Emit, infer, map_graph
from wengert.ir.graph import Const, Graph, Node, Value, aval_of
from wengert.ops.base import TABLE
from wengert.ops.index import count

__all__ = ["EXPANSIONS", "expanded", "expansion", "node_of"]

Write = Callable[..., Any]
"""``write(name, *operands, **attrs)`` schedules an operation and returns its result."""

Expansion = Callable[[Write, Node], Any]
EXPANSIONS: dict[str, Expansion] = {}

FOLDS = ("sum", "prod", "max", "min", "any", "all")


def expansion(node: Node, dtypes: Container[Any]) -> Expansion | None:
    """Return how a node of an argument of these dtypes is written with others, or None."""
    found = EXPANSIONS.get(node.op.name)
    if found is None or aval_of(node.inputs[0]).dtype not in dtypes:
        return None
    x = aval_of(node.inputs[0])
    if node.op.name in FOLDS:
        needed = x.shape == () or (node.op.name in ("max", "min") and x.dtype.kind == "b")
        return found if needed and x.size else None
    return found if x.size else None


def expanded(graph: Graph, dtypes: Container[Any]) -> Graph:
    """Return a graph in which what can be written with others is.

    Bodies of loops stay as they are: they hold no arrays, which some of the others need.
    """

    def step(node: Node, emit: Emit) -> Any:
        how = expansion(node, dtypes)
        if how is None:
            return None

        def write(name: str, *operands: Any, **attrs: Any) -> Any:
            made = node_of(name, operands, attrs)
            made.line = node.line
            found = step(made, emit)  # which may be one of those itself
            if found is None:
                emit(made)
            return made.outputs[0] if found is None else found[0]

        return [how(write, node)]

    return map_graph(graph, step)


def node_of(name: str, inputs: tuple[Any, ...], attrs: dict[str, Any]) -> Node:
    """Make a node of a row of the operation table."""
    op = TABLE[name]
    return Node(op, inputs, attrs, tuple(Value(aval=a) for a in infer(op, inputs, attrs)))


def _fold(write: Write, node: Node) -> Any:
    """Reduce an array without axes, which leaves it as it is, or the extremum of booleans."""
    (x,) = node.inputs
    name, aval = node.op.name, aval_of(x)
    if aval.shape == ():
        return write("convert", x, dtype=node.outputs[0].dtype)
    return write({"max": "any", "min": "all"}[name], x, **node.attrs)


EXPANSIONS.update(dict.fromkeys(FOLDS, _fold))


def _logsumexp(write: Write, node: Node) -> Any:
    """Shift by the maximum, as NumPy's evaluation does; -inf where all entries are."""
    (x,) = node.inputs
    (v,) = node.outputs
    axis, keepdims = node.attrs["axis"], node.attrs["keepdims"]
    if aval_of(x).dtype != v.dtype:
        x = write("convert", x, dtype=v.dtype)
    top = write("max", x, axis=axis, keepdims=True)
    shift = write("select", write("isfinite", top), top, v.dtype.type(0))
    total = write("sum", write("exp", write("subtract", x, shift)), axis=axis, keepdims=True)
    y = write("add", write("log", total), shift)
    return y if keepdims else write("reshape", y, shape=v.shape)


EXPANSIONS["logsumexp"] = _logsumexp


def _position(write: Write, node: Node) -> Any:
    """Find an extremum, and then the first position that holds it; a NaN is one."""
    (x,) = node.inputs
    aval = aval_of(x)
    axis, keepdims = node.attrs["axis"], node.attrs["keepdims"]
    top = write(node.op.name.removeprefix("arg"), x, axis=(axis,), keepdims=True)
    hit = write("equal", x, top)
    if aval.dtype.kind == "f":
        hit = write("logical_or", hit, write("isnan", x))
    n = aval.shape[axis]
    places = Const(count((n,) + (1,) * (aval.ndim - 1 - axis)))
    found = write("select", hit, places, np.int64(n))
    return write("min", found, axis=(axis,), keepdims=keepdims)


EXPANSIONS["argmax"] = EXPANSIONS["argmin"] = _position
