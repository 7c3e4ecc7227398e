"""What is known of arrays that cannot change: indices that are slices, choices already made.

A recording refers to plain arrays, because their owner may change them. Those that nobody else can
reach any more (`Const.fixed`: an ``np.arange`` inside the function, the zeros that a derivative
starts from) are as good as numbers in the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.build import Emit, computed, map_graph
from wengert.ir.graph import SLOT, Aval, Const, Graph, Node, Value, aval_of
from wengert.ir.questions import RAISES
from wengert.ops.convert import select
from wengert.ops.index import getitem, index_add, index_set
from wengert.ops.shape import broadcast_to

__all__ = ["fold_fixed"]

LARGEST = 1 << 26
"""Bytes of the largest array that is computed beforehand."""

_INDEXING = {getitem: 1, index_add: 2, index_set: 2}
"""Where the indices begin among the arguments."""


def fold_fixed(graph: Graph) -> Graph:
    """Use what arrays contain that cannot change.

    * An operation on such arrays and plain scalars only is computed once.
    * An array of indices in equal steps is a slice.
    * An array with one value everywhere is a scalar, where other operands give the shape.
    * A choice by a mask that is the same everywhere is one of its operands.

    Results keep every bit.
    """
    if not any(c.fixed for c in graph.consts()):
        return graph
    guarded = {g.value for g in graph.guards if g.kind != RAISES}

    def step(node: Node, emit: Emit) -> Sequence[Any] | None:
        if guarded.isdisjoint(node.outputs) and any(is_fixed(x) for x in node.inputs):
            found = _computed(node)
            if found is not None:
                return (found,)
            if node.op is select and is_fixed(node.inputs[0]):
                kept = _chosen(node)
                if kept is not None:
                    return (kept,)
            better = _sliced(node)
            better = _with_scalars(better, emit)
            if better is not node:
                emit(better)
                return better.outputs
        return None

    return map_graph(graph, step)


def is_fixed(x: Any) -> bool:
    """Whether `x` is an array that cannot change."""
    return isinstance(x, Const) and x.fixed


def _computed(node: Node) -> Any:
    """Return the result of an operation on fixed arrays: a number, or an array of moderate size."""
    if node.op.kept or len(node.outputs) > 1 or getattr(node.op, "effect", False):
        return None
    aval = node.outputs[0].aval
    if aval.nbytes > LARGEST:
        return None
    if not all(is_fixed(x) or not isinstance(x, (Value, Const)) for x in node.inputs):
        return None
    values = [x.data if isinstance(x, Const) else x for x in node.inputs]
    try:
        with np.errstate(all="raise", under="ignore"):
            y = computed(node, values)
    except Exception:
        return None  # left to the run, which raises or warns
    if not aval.shape:
        y = np.asarray(y)[()]
    if aval_of(y) != aval:
        return None
    return Const(y, fixed=True) if aval.shape else y


def _chosen(node: Node) -> Any:
    """Return the operand that a mask takes everywhere."""
    mask, a, b = node.inputs
    if not mask.data.size:
        return None
    x = a if mask.data.all() else b if not mask.data.any() else None
    return x if isinstance(x, Value) and x.aval == node.outputs[0].aval else None


# --- indices --------------------------------------------------------------------------------------
def _sliced(node: Node) -> Node:
    """Replace an array of indices in equal steps, the only one of its template, by a slice."""
    first = _INDEXING.get(node.op)
    if first is None or len(node.inputs) != first + 1 or not is_fixed(node.inputs[first]):
        return node
    spec = node.attrs["spec"]
    if any(type(s) is int for s in spec):
        return node  # beside an array it counts as one, whose axes may move
    shape = aval_of(node.inputs[0]).shape
    at = spec.index(SLOT)
    axis = sum(s is not None for s in spec[:at])
    if Ellipsis in spec[:at]:
        axis = len(shape) - sum(s is not None for s in spec[at:])
    found = as_slice(node.inputs[first].data, shape[axis])
    if found is None:
        return node
    new = tuple(found if s is SLOT else s for s in spec)
    return Node(node.op, node.inputs[:first], {"spec": new}, node.outputs, node.line)


def as_slice(index: np.ndarray[Any, Any], length: int) -> slice | None:
    """Return the slice of an axis of `length` that takes the same elements, if there is one."""
    if index.ndim != 1 or not index.size:
        return None
    start, last = int(index[0]), int(index[-1])
    step = int(index[1]) - start if index.size > 1 else 1
    if step == 0 or not np.array_equal(index, start + step * np.arange(index.size)):
        return None
    if -length <= min(start, last) and max(start, last) < 0:
        start, last = start + length, last + length
    if min(start, last) < 0 or max(start, last) >= length:
        return None  # out of range, which the run is to say, or from both ends
    stop = last + (1 if step > 0 else -1)
    return slice(start, None if stop < 0 else stop, None if step == 1 else step)


# --- the same value everywhere --------------------------------------------------------------------
def uniform(x: Any) -> Any:
    """Return the scalar that a fixed array holds everywhere, else None."""
    if not is_fixed(x) or not x.data.size or not x.data.ndim or x.data.dtype.hasobject:
        return None
    data = x.data
    one = data[(0,) * data.ndim]
    if any(data.strides) and data.size > 1:
        flat = np.ascontiguousarray(data).reshape(-1).view(np.uint8).reshape(data.size, -1)
        if not (flat == flat[0]).all():
            return None
    return one if one.dtype == data.dtype else None  # a scalar has the byte order of the machine


def _with_scalars(node: Node, emit: Emit) -> Node:
    """Replace fixed arrays that hold one value by scalars, where the result's shape stays."""
    if node.op in (index_add, index_set):
        return _update_of_scalar(node, emit)
    if node.op.ufunc is None or len(node.inputs) < 2:
        return node
    shape = node.outputs[0].aval.shape
    inputs = list(node.inputs)
    for k, x in enumerate(inputs):
        scalar = uniform(x)
        others = [aval_of(o).shape for o in (*inputs[:k], *inputs[k + 1 :])]
        if scalar is not None and np.broadcast_shapes(*others) == shape and _any_value(inputs):
            inputs[k] = scalar
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return node
    return Node(node.op, tuple(inputs), node.attrs, node.outputs, node.line)


def _any_value(inputs: Sequence[Any]) -> bool:
    return any(isinstance(x, Value) for x in inputs)


def _update_of_scalar(node: Node, emit: Emit) -> Node:
    """Update an array that is filled when the program runs, not read from memory."""
    base, value, *index = node.inputs
    filled = uniform(base)
    if filled is not None:
        aval = base.aval
        out = Value(aval=Aval(aval.shape, aval.dtype))
        emit(Node(broadcast_to, (filled,), {"shape": aval.shape}, (out,), node.line))
        base = out
    scalar = uniform(value)
    if scalar is not None:
        value = scalar
    if filled is None and scalar is None:
        return node
    return Node(node.op, (base, value, *index), node.attrs, node.outputs, node.line)
