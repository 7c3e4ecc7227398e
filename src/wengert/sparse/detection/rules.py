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
from wengert.ops.base import Scale
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
    made = _by_family(known, node, node.op.pattern, parts)
    return made if isinstance(made, list) else [made]


def _by_family(known: Known, node: Node, pattern: Any, parts: Parts) -> Any:
    nothing = [known.space.nothing(y.shape) for y in node.outputs]
    if all(p is None for p in parts) or type(pattern) is patterns.Nothing:
        return nothing
    rule: Callable[..., Any] = FAMILIES.get(type(pattern), _listed)
    return rule(known, node, pattern, parts)


def _by_argument(
    known: Known, node: Node, pattern: patterns.ByArgument, parts: Parts
) -> list[Rows]:
    """Unite what comes from each argument alone."""
    found: list[list[Rows]] = [[known.space.nothing(y.shape)] for y in node.outputs]
    for k, one in pattern.which.items():
        alone = [p if i == k else None for i, p in enumerate(parts)]
        made = _by_family(known, node, one, alone)
        for rows, part in zip(found, made if isinstance(made, list) else [made], strict=True):
            rows.append(part)
    return [union(rows) for rows in found]


# --- entry by entry -------------------------------------------------------------------------------
def _elementwise(known: Known, node: Node, pattern: patterns.Elementwise, parts: Parts) -> Rows:
    shape = node.outputs[0].shape
    derivative = node.op.derivative
    rules = derivative.rules if isinstance(derivative, Scale) else (1,) * len(parts)
    found = [known.space.nothing(shape)]
    for k, part in enumerate(parts):
        if part is not None and rules[k] is not None:
            found.append(_unmasked(known, node, pattern, k, part.broadcast(shape)))
    return union(found)


def _unmasked(known: Known, node: Node, pattern: patterns.Elementwise, k: int, part: Rows) -> Rows:
    """Drop the dependences that a constant factor or a choice is known to cut."""
    for masks, read in ((pattern.zeros, known.fixed), (pattern.choices, known.chosen)):
        if k in masks:
            places, function = masks[k]
            inputs = [node.inputs[i] for i in places]
            values = read(inputs)
            if values is not None:
                mask = function(*values)
                if np.any(mask):
                    known.rely(inputs, function, mask)
                    part = part.without(mask)
            elif len(inputs) == 1 and masks is pattern.zeros and function(0.0):
                mask = known.vanishing(inputs[0])
                part = part if mask is None else part.without(mask)
    return part


def _moving(known: Known, node: Node, pattern: patterns.Moving, parts: Parts) -> Rows:
    attrs, shape = node.attrs, node.outputs[0].shape
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


# --- along axes -----------------------------------------------------------------------------------
def _grouped(known: Known, node: Node, pattern: patterns.Grouped, parts: Parts) -> Rows:
    (part,), axis = parts, node.attrs["axis"]
    assert part is not None
    if pattern.skips is not None:
        values = known.chosen(node.inputs)
        if values is not None:
            skipped = _Skipped(node, pattern.skips)
            mask = skipped(*values)
            known.rely(node.inputs, skipped, mask)
            part = part.without(mask)
    return part.reduced(axis).reshaped(node.outputs[0].shape)


class _Skipped:
    """The entries of a reduction that did not win."""

    def __init__(self, node: Node, skips: Callable[..., Any]) -> None:
        self.node = node
        self.skips = skips

    def __call__(self, x: Any) -> Any:
        """Return a mask."""
        attrs = {**self.node.attrs, "keepdims": True}
        return self.skips(x, self.node.op.evaluate(x, **attrs))


def _mixing(known: Known, node: Node, pattern: patterns.Mixing, parts: Parts) -> list[Rows]:
    found: list[list[Rows]] = [[known.space.nothing(y.shape)] for y in node.outputs]
    for part in parts:
        if part is None:
            continue
        rank = len(part.shape)
        mixed = pattern.axes(rank, node.attrs)
        reduced = part.reduced(mixed)
        for rows, y in zip(found, node.outputs, strict=True):
            if len(y.shape) == rank:
                rows.append(reduced.broadcast(y.shape))
            else:  # the axes that do not mix come first
                kept = reduced.shape[: rank - len(mixed)]
                lined = (*kept, *(1,) * (len(y.shape) - len(kept)))
                rows.append(reduced.reshaped(lined).broadcast(y.shape))
    return [union(rows) for rows in found]


def _permuting(known: Known, node: Node, pattern: patterns.Permuting, parts: Parts) -> Any:
    values = known.chosen(node.inputs)
    (part,) = parts
    assert part is not None
    if values is None:
        if pattern.earlier:
            return part.prefix(node.attrs["axis"])
        return _mixing(known, node, patterns.lines, parts)
    ordered = _Ordered(node, pattern)
    order = ordered(*values)
    known.rely(node.inputs, ordered, order)
    axis = node.attrs["axis"]
    return part.moved(lambda x: np.take_along_axis(x, order, axis), part.shape)


class _Ordered:
    """Which entry each result of an operation along an axis is."""

    def __init__(self, node: Node, pattern: patterns.Permuting) -> None:
        self.attrs = node.attrs
        self.pattern = pattern

    def __call__(self, x: Any) -> Any:
        """Return the order."""
        return self.pattern.order(x, **self.attrs)


def _prefix(known: Known, node: Node, pattern: patterns.Prefix, parts: Parts) -> Rows:
    axis = node.attrs["axis"]
    whole = union([p.broadcast(node.outputs[0].shape) for p in parts if p is not None])
    if not pattern.first:
        whole = whole.without(_first(whole.shape, axis))
    return whole.prefix(axis)


def _first(shape: tuple[int, ...], axis: int) -> Any:
    """Mark the first entry of each line."""
    lengths = [1] * len(shape)
    lengths[axis] = shape[axis]
    return np.broadcast_to((np.arange(shape[axis]) == 0).reshape(lengths), shape)


# --- linear algebra -------------------------------------------------------------------------------
def _contraction(known: Known, node: Node, pattern: patterns.Contraction, parts: Parts) -> Rows:
    operands, result = node.attrs["spec"].split("->")
    terms = operands.split(",")
    shape = node.outputs[0].shape
    found = [known.space.nothing(shape)]
    for k, part in enumerate(parts):
        if part is None:
            continue
        other = node.inputs[1 - k]
        values = known.fixed([other])
        mask = known.vanishing(other) if values is None else np.equal(values[0], 0)
        if mask is not None:
            there = ~np.asarray(mask)
            free = math.prod(
                n for s, n in zip(terms[k], part.shape, strict=True) if s not in terms[1 - k]
            )
            if not there.all() and np.count_nonzero(there) * free <= LARGEST_PRODUCT:
                if values is not None:
                    known.rely([other], _differs, there)
                found.append(_weighted(part, there, terms[k], terms[1 - k], result, shape))
                continue
        found.append(_summed(part, terms[k], result, shape))
    return union(found)


def _differs(x: Any) -> Any:
    return np.not_equal(x, 0)


def _summed(part: Rows, term: str, result: str, shape: tuple[int, ...]) -> Rows:
    """Contract with something dense: unite along the labels that are summed."""
    reduced = part.reduced([i for i, s in enumerate(term) if s not in result])
    order = [term.index(s) for s in result if s in term]
    order += [i for i, s in enumerate(term) if s not in result]
    kept = tuple(reduced.shape[term.index(s)] if s in term else 1 for s in result)
    lined = reduced.moved(lambda x: x.transpose(order).reshape(kept), kept)
    return lined.broadcast(shape)


def _weighted(
    part: Rows, there: Any, term: str, other: str, result: str, shape: tuple[int, ...]
) -> Rows:
    """Contract with a constant whose nonzeros are known: only those carry a dependence."""
    free = [s for s in term if s not in other]
    sizes = dict(zip(term, part.shape, strict=True))
    width = 1 + len(free)
    where = np.nonzero(there) if other else ()  # NumPy has no places in a number
    places = {s: i.reshape((-1,) + (1,) * len(free)) for s, i in zip(other, where, strict=True)}
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

    return part.gathered(flat(result, shape), flat(term, part.shape), shape)


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


# --- anything else --------------------------------------------------------------------------------
def _listed(known: Known, node: Node, pattern: Any, parts: Parts) -> list[Rows]:
    """List the entries of the local Jacobians."""
    avals = [aval_of(x) for x in node.inputs]
    outs = tuple(y.aval for y in node.outputs)
    found: list[list[Rows]] = [[known.space.nothing(y.shape)] for y in outs]
    for k, part in enumerate(parts):
        if part is None:
            continue
        pairs = pattern(k, outs if len(outs) > 1 else outs[0], *avals, **node.attrs)
        for rows, (i, j), y in zip(found, pairs if len(outs) > 1 else (pairs,), outs, strict=True):
            rows.append(part.gathered(i, j, y.shape))
    return [union(rows) for rows in found]


FAMILIES: dict[type, Callable[..., Any]] = {
    patterns.ByArgument: _by_argument,
    patterns.Elementwise: _elementwise,
    patterns.Moving: _moving,
    patterns.Writing: _writing,
    patterns.Grouped: _grouped,
    patterns.Mixing: _mixing,
    patterns.Permuting: _permuting,
    patterns.Prefix: _prefix,
    patterns.Contraction: _contraction,
    patterns.TriangularSolve: _triangular,
}
