"""Elimination of what `vmap` applies to many examples, a block of examples at a time.

An order of elimination has many small products. For each of many examples at once, every one is an
array as long as there are examples, and all of them together do not stay in the caches. A loop over
blocks of examples applies the function again, and accumulates its Jacobian, where they do: the
small Jacobians are accumulated ahead, observation by observation (Griewank and Walther, *Evaluating
Derivatives*, 2nd ed., section 10.2, preaccumulation).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.ir.graph import Const, Node, Value
from wengert.linear.graph import LinearGraph
from wengert.linear.values import rely_on
from wengert.ops.base import RegionOp
from wengert.orders.order import Order
from wengert.trace.recorder import GraphRecorder, active_recorder
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.control import map as mapped
from wengert.transform.linear import Linearized, linearize_flat

__all__ = ["in_blocks"]

BLOCK = 200
"""Examples of a block."""

LEAST = 4 * BLOCK
"""Examples from which on there are blocks."""


def in_blocks(
    lin: Linearized, leaves: Sequence[Any], order: Order | None = None
) -> tuple[list[list[Any]], Order] | None:
    """Return the Jacobians of many examples, as `LinearGraph.accumulate` of one does.

    Parameters
    ----------
    lin : Linearized
    leaves : sequence of arrays
        The arguments, values of `vmap`.
    order : Order, optional
        The cheapest that is found, without.

    Returns
    -------
    (list of list of array or None, Order) or None
        The Jacobians, and in which order each was multiplied; None where this is no function under
        `vmap` that is being recorded, of enough examples and without loops.
    """
    trace = _common(leaves)
    if trace is None or trace.size < LEAST or type(active_recorder()) is not GraphRecorder:
        return None
    others = _others(lin, trace)
    if others is None:
        return None
    places: list[tuple[int, int]] = []
    shape: list[int] = []
    taken: list[Order] = []

    def example(rows: list[Any]) -> list[Any]:
        own, rest = rows[: len(leaves)], rows[len(leaves) :]
        inner = dict(zip(others, rest, strict=True))
        graph = LinearGraph(linearize_flat(lambda *xs: _again(lin, xs, inner), own))
        taken[:] = [graph.order() if order is None else order]
        found = graph.accumulate(taken[0])
        rely_on(graph.indices)
        places[:] = [
            (i, k) for i, row in enumerate(found) for k, b in enumerate(row) if b is not None
        ]
        shape[:] = [len(found), len(leaves)]
        return [found[i][k] for i, k in places]

    data = [x._var.data for x in (*leaves, *others.values())]
    made = mapped(example, data, batch_size=BLOCK)
    blocks: list[list[Any]] = [[None] * shape[1] for _ in range(shape[0])]
    for (i, k), b in zip(places, made, strict=True):
        blocks[i][k] = Tracer(trace, Batched(b, True, array=True, fresh=True))
    return blocks, taken[0]


def _common(leaves: Sequence[Any]) -> BatchTrace | None:
    """Return the trace that all arguments are batches of."""
    traces = {x._trace if isinstance(x, Tracer) else None for x in leaves}
    if len(traces) != 1:
        return None
    (trace,) = traces
    if type(trace) is not BatchTrace or not all(x._var.batched for x in leaves):
        return None
    return trace


def _others(lin: Linearized, trace: BatchTrace) -> dict[int, Tracer] | None:
    """Return what else differs by example, by the identity of its variable; None with loops."""
    found: dict[int, Tracer] = {}
    for node in lin.tape.nodes:
        if type(node) is not Node or isinstance(node.op, RegionOp):
            return None
        for x in node.inputs:
            if isinstance(x, Tracer) and x._trace is trace and x._var.batched:
                found[id(x._var)] = x
    return found


def _again(lin: Linearized, leaves: Sequence[Any], others: dict[int, Any]) -> list[Any]:
    """Apply a linearised function to other arguments."""
    table: dict[Value, Any] = dict(zip(lin.roots, leaves, strict=True))

    def read(x: Any) -> Any:
        if isinstance(x, Value):
            return table.get(x, x.data)
        if isinstance(x, Const):
            return x.data
        return others.get(id(x._var), x) if isinstance(x, Tracer) else x

    for node in lin.tape.nodes:
        made = node.op(*[read(x) for x in node.inputs], **node.attrs)
        results = made if isinstance(made, tuple) else (made,)
        table.update(zip(node.outputs, results, strict=True))
    return [y if v is None else read(v) for v, y in zip(lin.outs, lin.ys, strict=True)]
