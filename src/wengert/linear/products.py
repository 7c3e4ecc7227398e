"""Products with local Jacobians that have no formula of entries, by the operation's own rules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.ir.graph import Value
from wengert.linear.values import Edge
from wengert.ops.base import dtype_of, shape_of
from wengert.ops.shape import filled, reshape
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.forward import push
from wengert.transform.linear import quiet
from wengert.transform.reverse import pull_back

__all__ = ["dense_block", "pull_many", "push_many"]


def push_many(e: Edge, seeds: Any) -> Any:
    """Multiply a block with many tangents of its argument: axis 0 counts them, on both sides."""
    node, k = e.node, e.block.of.k
    n = shape_of(seeds)[0]
    trace = BatchTrace(n)
    ts: list[Any] = [None] * len(node.inputs)
    ts[k] = Tracer(trace, Batched(seeds, True))
    try:
        with quiet():
            t = push(node.op, e.results, e.inputs, ts, node.attrs)
        return _unbatched(t if e.part is None or t is None else t[e.part], e.block.result, n, e)
    finally:
        trace.alive = False


def pull_many(e: Edge, seeds: Any) -> Any:
    """Multiply many cotangents of a result with a block: axis 0 counts them, on both sides."""
    node, k = e.node, e.block.of.k
    n = shape_of(seeds)[0]
    trace = BatchTrace(n)
    out = node.outputs[e.part or 0]
    source = node.inputs[k]
    assert isinstance(source, Value)
    try:
        with quiet():
            (ct,) = pull_back([node], [(out, Tracer(trace, Batched(seeds, True)))], [source])
        return _unbatched(ct, e.block.operand, n, e)
    finally:
        trace.alive = False


def _unbatched(t: Any, shape: tuple[int, ...], n: int, e: Edge) -> Any:
    if t is None:
        return np.zeros((n, *shape), dtype_of(e.node.outputs[0].data))
    if isinstance(t, Tracer) and isinstance(t._trace, BatchTrace) and type(t._var) is Batched:
        data = t._var.data
        return data if t._var.batched else filled(data, shape=(n, *shape))
    return filled(t, shape=(n, *shape))


def dense_block(e: Edge) -> Any:
    """Return a block as a matrix of the flattened result and argument.

    By products with the identity, from the side that takes fewer.
    """
    m, n = e.block.shape
    dtype = dtype_of(e.node.outputs[0].data)
    if n <= m:
        made = push_many(e, np.eye(n, dtype=dtype).reshape(n, *e.block.operand))
        return np.transpose(reshape(made, shape=(n, m)))
    made = pull_many(e, np.eye(m, dtype=dtype).reshape(m, *e.block.result))
    return reshape(made, shape=(m, math.prod(e.block.operand)))
