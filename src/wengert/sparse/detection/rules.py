"""How dependences go through an operation: a rule for each family of patterns.

A rule gets the dependences of the arguments (None for one that the inputs do not reach) and returns
that of the result, or a list for several results. None of them lists the entries of a local
Jacobian but the last, for a pattern of no known family.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

from wengert.ir.graph import Node, aval_of
from wengert.ops import patterns
from wengert.ops.blocks import Block, Labelled, Running, Zero
from wengert.sparse.detection.rows import Rows, Space, join, union

__all__ = ["Known", "spread"]

Parts: TypeAlias = Sequence[Rows | None]
LARGEST_PRODUCT = 1 << 27
"""A product with a constant that has more nonzeros than this times others is taken as dense."""


class Known(Protocol):
    """What rules may read of values."""

    space: Space

    def constants(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Return the operands' arrays if they are the same for every input, else None."""

    def vanishing(self, x: Any) -> Any:
        """Return a mask of the operand's entries that are zero for every input, or None."""

    def fixed(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Return the operands' arrays if they are constants, or piecewise constant at a point."""

    def chosen(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Return the operands' arrays if they are known at all: constants, or at a point."""

    def rely(self, inputs: Sequence[Any], function: Callable[..., Any], outcome: Any) -> None:
        """Note that the result holds where ``function(*inputs)`` is `outcome`."""


def spread(known: Known, node: Node, parts: Parts) -> list[Rows]:
    """Return the dependences of a node's outputs, given those of its inputs."""
    nothing = [known.space.nothing(y.shape) for y in node.outputs]
    pattern = node.op.pattern
    if type(pattern) is patterns.Nothing:
        return nothing
    whole = FAMILIES.get(type(pattern))
    if whole is not None:
        return [whole(known, node, pattern, parts)]
    found = [[none] for none in nothing]
    avals = [aval_of(x) for x in node.inputs]
    out: Any = tuple(y.aval for y in node.outputs)
    out = out if len(out) > 1 else out[0]
    for k, part in enumerate(parts):
        if part is None:
            continue
        made = node.op.local_jacobian(k, out, *avals, **node.attrs)
        for rows, block in zip(found, made if type(made) is tuple else (made,), strict=True):
            if not isinstance(block, Zero):
                rows.append(_times(known, node, block, part))
    return [union(rows) for rows in found]


def _times(known: Known, node: Node, block: Block, part: Rows) -> Rows:
    """Return the dependence of a result through one argument alone."""
    if isinstance(block, (Labelled, Running)) and block.choice is not None:
        values = known.chosen(node.inputs)
        if values is not None:
            return _chosen(known, node, block.choice, values, part)
    if isinstance(block, Labelled):
        return _labelled(known, node, block, part)
    if isinstance(block, Running):
        lines = part.broadcast(block.result)
        if not block.first:
            lines = lines.without(_first(lines.shape, block.axis))
        return lines.prefix(block.axis)
    return part.gathered(*block.entries(), block.result)


# --- labels ---------------------------------------------------------------------------------------
def _labelled(known: Known, node: Node, block: Labelled, part: Rows) -> Rows:
    """Unite along the labels that are summed; drop what a coefficient is known to cut."""
    if block.weights is not None:
        found = _weighted(known, node, block, part)
        if found is not None:
            return found
    if block.is_sum and block.inside:
        return _spread_labels(block, _unmasked(known, node, block, part))
    return _unmasked(known, node, block, _spread_labels(block, part))


def _spread_labels(block: Labelled, part: Rows) -> Rows:
    """Bring a dependence from the labels of the argument to those of the result."""
    rows, columns = block.rows, block.columns
    if rows == columns:
        return part
    summed = block.summed_axes
    reduced = part.reduced(summed)
    order = [columns.index(s) for s in rows if s in columns]
    order += summed
    kept = tuple([reduced.shape[columns.index(s)] if s in columns else 1 for s in rows])
    if order != list(range(len(order))):
        reduced = reduced.moved(lambda x: x.transpose(order).reshape(kept), kept)
    return reduced.reshaped(kept).broadcast(block.result)


def _unmasked(known: Known, node: Node, block: Labelled, part: Rows) -> Rows:
    """Drop the dependences that a constant factor or a choice is known to cut."""
    for mask, read in ((block.zeros, known.fixed), (block.choices, known.chosen)):
        if mask is None:
            continue
        places, function = mask
        inputs = [node.inputs[i] for i in places]
        values = read(inputs)
        if values is not None:
            cut = function(*values)
            if np.any(cut):
                known.rely(inputs, function, cut)
                part = part.without(cut)
        elif len(inputs) == 1 and mask is block.zeros and function(0.0):
            cut = known.vanishing(inputs[0])
            part = part if cut is None else part.without(cut)
    return part


def _weighted(known: Known, node: Node, block: Labelled, part: Rows) -> Rows | None:
    """Contract with a constant whose nonzeros are known: only those carry a dependence."""
    assert block.weights is not None
    other = node.inputs[block.weights]
    values = known.fixed([other])
    mask = known.vanishing(other) if values is None else np.equal(values[0], 0)
    if mask is None:
        return None
    there = ~np.asarray(mask)
    sizes = block.sizes
    free = [s for s in block.columns if s not in block.inside]
    size = math.prod(sizes[s] for s in free)
    if there.all() or np.count_nonzero(there) * size > LARGEST_PRODUCT:
        return None
    if values is not None:
        known.rely([other], _differs, there)
    width = 1 + len(free)
    where = np.nonzero(there) if block.inside else ()  # NumPy has no places in a number
    places = {
        s: i.reshape((-1,) + (1,) * len(free)) for s, i in zip(block.inside, where, strict=True)
    }
    for k, s in enumerate(free):
        lengths = [1] * width
        lengths[k + 1] = sizes[s]
        places[s] = np.arange(sizes[s]).reshape(lengths)
    grid = (int(np.count_nonzero(there)), *(sizes[s] for s in free))

    def flat(labels: str, lengths: Sequence[int]) -> Any:
        number: Any = np.zeros((1,) * width, np.int64)
        for s, n in zip(labels, lengths, strict=True):
            number = number * n + places[s]
        return np.broadcast_to(number, grid).reshape(-1)

    columns = flat(block.columns, block.operand)
    return part.gathered(flat(block.rows, block.result), columns, block.result)


def _differs(x: Any) -> Any:
    return np.not_equal(x, 0)


def _chosen(
    known: Known, node: Node, choice: Callable[..., Any], values: list[Any], part: Rows
) -> Rows:
    """Copy the entries that are known to be chosen along an axis."""
    order = choice(*values)
    known.rely(node.inputs, choice, order)
    axis = node.attrs["axis"]
    return part.moved(lambda x: np.take_along_axis(x, order, axis), part.shape)


def _first(shape: tuple[int, ...], axis: int) -> Any:
    """Mark the first entry of each line."""
    lengths = [1] * len(shape)
    lengths[axis] = shape[axis]
    return np.broadcast_to((np.arange(shape[axis]) == 0).reshape(lengths), shape)


# --- moving and writing ---------------------------------------------------------------------------
def _moving(known: Known, node: Node, pattern: patterns.Moving, parts: Parts) -> Rows:
    attrs, shape = node.attrs, node.outputs[0].shape
    if pattern.labels is not None and parts[0] is not None:
        block = node.op.local_jacobian(0, node.outputs[0], node.inputs[0], **attrs)
        return _spread_labels(block, parts[0])
    if pattern.data is None:
        full = [
            known.space.nothing(aval_of(x).shape) if p is None else p
            for p, x in zip(parts, node.inputs, strict=True)
        ]
        return join(full, lambda arrays: pattern.evaluate(*arrays, **attrs), shape)
    (part, *_), index = parts, node.inputs[pattern.data :]
    if part is None:
        return known.space.nothing(shape)
    values = known.chosen(index)
    if values is not None:
        _rely_on(known, index, values)
    else:
        part, values = part.reduced(_indexed(attrs["spec"], part.shape)), _zeros(index)
    return part.moved(lambda x: pattern.evaluate(x, *values, **attrs), shape)


def _writing(known: Known, node: Node, pattern: patterns.Writing, parts: Parts) -> Rows:
    shape, spec = node.outputs[0].shape, node.attrs["spec"]
    x, v = (
        known.space.nothing(aval_of(given).shape) if p is None else p
        for p, given in zip(parts[:2], node.inputs, strict=False)
    )
    index = node.inputs[2:]
    values = known.chosen(index)
    if values is None:
        return union([x, _somewhere(pattern, v, index, spec, shape)])
    _rely_on(known, index, values)

    def put(arrays: Sequence[Any]) -> Any:
        return pattern.index_set(*arrays, *values, spec=spec)

    if not pattern.adds:
        return join([x, v], put, shape)
    numbers = np.arange(math.prod(shape)).reshape(shape)
    part = np.asarray(pattern.getitem(numbers, *values, spec=spec))
    if values and np.bincount(part.reshape(-1), minlength=1).max() > 1:
        return union([x, v.broadcast(part.shape).grouped(part, shape)])
    return union([x, join([known.space.nothing(shape), v], put, shape)])


def _somewhere(
    pattern: patterns.Writing, v: Rows, index: Sequence[Any], spec: Any, shape: tuple[int, ...]
) -> Rows:
    """Write at unknown places: every place along the indexed axes may get any of the entries."""
    axes = _indexed(spec, shape)
    small = tuple(1 if i in axes else n for i, n in enumerate(shape))
    numbers = np.arange(math.prod(small)).reshape(small)
    part = np.asarray(pattern.getitem(numbers, *_zeros(index), spec=spec))
    return v.broadcast(part.shape).grouped(part, small).broadcast(shape)


def _indexed(spec: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes that integer arrays index."""
    used = sum(1 for s in spec if s is not None and s is not Ellipsis)
    axes = []
    axis = 0
    for s in spec:
        if s is Ellipsis:
            axis += len(shape) - used
        elif s is not None:
            if type(s).__name__ == "Slot":
                axes.append(axis)
            axis += 1
    return tuple(axes)


def _zeros(index: Sequence[Any]) -> list[Any]:
    return [np.zeros(aval_of(i).shape, np.intp) for i in index]


def _rely_on(known: Known, inputs: Sequence[Any], values: Sequence[Any]) -> None:
    for x, value in zip(inputs, values, strict=True):
        known.rely([x], np.asarray, value)


# --- linear algebra -------------------------------------------------------------------------------
def _triangular(known: Known, node: Node, pattern: Any, parts: Parts) -> Rows:
    lower, transposed = node.attrs["lower"], node.attrs["transposed"]
    shape = node.outputs[0].shape
    a, b = parts
    found = [known.space.nothing(shape)]
    if a is not None:
        n = a.shape[-1]
        one = np.ones((n, n), bool)
        triangle = a.without(~(np.tril(one) if lower else np.triu(one)))
        rank = len(a.shape)
        lines = triangle.reduced([rank - 2 if transposed else rank - 1])
        found.append(lines.reshaped((*a.shape[:-1], 1)))
    if b is not None:
        found.append(b)
    forward = lower != transposed

    def turned(rows: Rows) -> Rows:
        return rows if forward else rows.moved(lambda x: np.flip(x, -2), rows.shape)

    return union([turned(turned(r).prefix(len(shape) - 2)).broadcast(shape) for r in found])


FAMILIES: dict[type, Callable[..., Rows]] = {
    patterns.Moving: _moving,
    patterns.Writing: _writing,
    patterns.TriangularSolve: _triangular,
}
"""Families whose arguments are put together, or make one dependence together."""
