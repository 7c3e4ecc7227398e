"""Which axes an operation can be split along, and what of it is then a partial sum.

A value that several devices share is placed in one of three ways: whole on each of them, split
along one axis, or as a partial sum, of which each holds one summand of the value's shape. An
operation of the table is split along an axis of its result (each device computes a slice), or along
an axis that it sums over (each computes a summand). What no rule here knows is computed whole by
each device: the answer is right, and the plan says what it costs. The placements are those of GSPMD
(Xu et al., *GSPMD: General and Scalable Parallelization for ML Computation Graphs*, 2021).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import SLOT, Aval, Const, Node, Value, aval_of
from wengert.ops.blocks import Labelled, Listed
from wengert.ops.contract import contract
from wengert.ops.index import getitem, index_add, index_set, is_basic
from wengert.ops.patterns import Moving
from wengert.ops.reduce import reduce_sum
from wengert.ops.rows import batch_elementwise
from wengert.ops.shape import concatenate, reshape

__all__ = ["PARTIAL", "WHOLE", "Along", "Placement", "Rule", "rules", "share"]


class Along(NamedTuple):
    """A value split along an axis, whose `groups` runs of equal length are handed out in order."""

    axis: int
    groups: int

    def __str__(self) -> str:
        """Return a word for people."""
        return f"axis {self.axis}"


WHOLE = "whole"
PARTIAL = "partial sum"
Placement = Along | str


class Rule(NamedTuple):
    """One way to compute a node on several devices.

    Attributes
    ----------
    inputs : tuple
        For each operand the axis along which it is split, or `WHOLE` or `PARTIAL`.
    output : int or str
    lengths : tuple of int
        Of the axes that are split; a number of groups divides each of them.
    """

    inputs: tuple[int | str, ...]
    output: int | str
    lengths: tuple[int, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether every device does all of it."""
        return self.output == WHOLE


@lru_cache(maxsize=4096)
def share(count: int, weights: tuple[float, ...]) -> tuple[int, ...]:
    """Share `count` things in proportion to the weights, by largest remainders, at least one each.

    Parameters
    ----------
    count : int
    weights : tuple of float

    Returns
    -------
    tuple of int
        They sum to `count`.

    Raises
    ------
    ValueError
        For fewer things than weights.
    """
    if count < len(weights):
        raise ValueError(f"{count} cannot be shared by {len(weights)}")
    total = sum(weights)
    exact = [count * w / total for w in weights]
    parts = [max(int(x), 1) for x in exact]
    rest = count - sum(parts)
    if rest > 0:
        for i in sorted(range(len(parts)), key=lambda i: parts[i] - exact[i])[:rest]:
            parts[i] += 1
    for _ in range(-rest):  # taken back where one was given to who would have had none
        parts[max(range(len(parts)), key=lambda i: (parts[i] > 1, parts[i] - exact[i]))] -= 1
    return tuple(parts)


def rules(node: Node) -> list[Rule]:
    """Return the ways in which a node can be computed on several devices, whole first."""
    avals = [aval_of(x) for x in node.inputs]
    found = [Rule((WHOLE,) * len(avals), WHOLE)]
    if len(node.outputs) != 1:
        return found
    out = node.outputs[0].aval
    for rule in _rules(node, avals, out):
        if rule not in found:
            found.append(rule)
    return found


def _rules(node: Node, avals: list[Aval], out: Aval) -> Iterator[Rule]:
    op = node.op
    if op.batch is batch_elementwise:
        yield from _elementwise(avals, out)
        yield from _linear(node, avals, out)
    elif op is contract:
        yield from _contraction(node.attrs["spec"], avals)
    elif op is reshape:
        yield from _moved(avals[0], out, _kept_by_reshape(avals[0].shape, out.shape))
    elif op is concatenate:
        for a, n in enumerate(out.shape):
            if a != node.attrs["axis"]:
                yield Rule((a,) * len(avals), a, (n,))
        if all(isinstance(x, Value) for x in node.inputs):
            yield Rule((PARTIAL,) * len(avals), PARTIAL)
    elif op is getitem:
        yield from _read(node, avals, out)
    elif op in (index_add, index_set):
        yield from _update(node, avals)
    elif "axis" in node.attrs and len(avals) == 1:
        yield from _along_axis(node, avals[0], out)
    else:
        yield from _labelled(node, avals, out)


def _labelled(node: Node, avals: list[Aval], out: Aval) -> Iterator[Rule]:
    """Split along the diagonals of the local Jacobians: each slice is computed on its own."""
    blocks = [node.op.local_jacobian(k, out, *avals, **node.attrs) for k in range(len(avals))]
    if not blocks or not all(isinstance(b, (Labelled, Listed)) for b in blocks):
        return
    free = any(b.is_matrix_free for b in blocks)
    for axis, n in enumerate(out.shape):
        places = [
            b.columns.index(b.rows[axis]) if b.rows[axis : axis + 1] in [*b.columns] else WHOLE
            for b in blocks
        ]
        if n > 1 and not (free and all(place == WHOLE for place in places)):
            yield Rule(tuple(places), axis, (n,))
    if type(node.op.pattern) is Moving:  # the summands of what is moved are summands of the result
        yield Rule((PARTIAL,) * len(blocks), PARTIAL)


def _elementwise(avals: list[Aval], out: Aval) -> Iterator[Rule]:
    for a, n in enumerate(out.shape):
        if n < 2:
            continue
        places: list[int | str] = []
        for x in avals:
            b = a - (out.ndim - x.ndim)
            places.append(b if b >= 0 and x.shape[b] == n else WHOLE)
        yield Rule(tuple(places), a, (n,))


def _linear(node: Node, avals: list[Aval], out: Aval) -> Iterator[Rule]:
    """Partial sums that stay such: of what is linear in them, in floating point."""
    if out.dtype.kind not in "fc":
        return
    fits = [
        isinstance(x, Value) and a.dtype.kind in "fc"
        for x, a in zip(node.inputs, avals, strict=True)
    ]
    linear, together = node.op.linear_in(len(avals))
    if together and len(avals) > 1:
        if all(fits) and all(linear):
            yield Rule((PARTIAL,) * len(avals), PARTIAL)
        for k, other in enumerate(reversed(node.inputs)):
            if len(avals) == 2 and fits[k] and isinstance(other, (int, float)) and other == 0:
                yield Rule(tuple(PARTIAL if i == k else WHOLE for i in (0, 1)), PARTIAL)
        return
    for k, fit in enumerate(fits):
        if fit and linear[k]:
            yield Rule(tuple(PARTIAL if i == k else WHOLE for i in range(len(avals))), PARTIAL)


def _contraction(spec: str, avals: list[Aval]) -> Iterator[Rule]:
    terms, result = spec.split("->")
    a, b = terms.split(",")
    sizes = dict(zip(a + b, (*avals[0].shape, *avals[1].shape), strict=True))
    for s, n in sizes.items():
        if n > 1:
            places = tuple(t.index(s) if s in t else WHOLE for t in (a, b))
            yield Rule(places, result.index(s) if s in result else PARTIAL, (n,))
    yield Rule((PARTIAL, WHOLE), PARTIAL)
    yield Rule((WHOLE, PARTIAL), PARTIAL)


def _moved(
    x: Aval, out: Aval, pairs: list[tuple[int, int]], *, linear: bool = True
) -> Iterator[Rule]:
    for a, b in pairs:
        if x.shape[a] > 1 and out.shape[b] > 1:
            yield Rule((a,), b, (x.shape[a], out.shape[b]))
    if linear:
        yield Rule((PARTIAL,), PARTIAL)


def _kept_by_reshape(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return axes that begin after equally many elements, so that equal runs of both coincide."""
    starts: dict[int, int] = {}
    for b, n in enumerate(new):
        if n > 1:
            starts[math.prod(new[:b])] = b
    pairs = []
    for a, n in enumerate(old):
        b = starts.get(math.prod(old[:a]), -1)
        if n > 1 and b >= 0 and math.gcd(n, new[b]) > 1:
            pairs.append((a, b))
    return pairs


def _along_axis(node: Node, x: Aval, out: Aval) -> Iterator[Rule]:
    """Reductions, sums of prefixes, sorting: each along `axis`, on its own along the others."""
    axis = node.attrs["axis"]
    if axis is None:
        return
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    axes = tuple(a % x.ndim for a in axes)
    if out.ndim == x.ndim:
        kept = [(a, a) for a in range(x.ndim) if a not in axes and out.shape[a] == x.shape[a]]
    elif out.ndim == x.ndim - len(axes):
        rest = [a for a in range(x.ndim) if a not in axes]
        kept = [(a, i) for i, a in enumerate(rest) if out.shape[i] == x.shape[a]]
    else:
        return
    yield from _moved(x, out, kept, linear=node.op is reduce_sum and x.dtype.kind in "fc")
    if node.op is reduce_sum:
        yield from (Rule((a,), PARTIAL, (x.shape[a],)) for a in axes if x.shape[a] > 1)


# --- indexing -------------------------------------------------------------------------------------
class _Layout(NamedTuple):
    """Where the axes of an array, and of the arrays that index it, stand in what is read."""

    kept: list[tuple[int, int]]
    first: int
    width: int
    slots: list[int]


def _layout(spec: tuple[Any, ...], shape: tuple[int, ...], index: Sequence[Aval]) -> _Layout | None:
    """Return None where an index is of a kind that has no rule."""
    used = sum(1 for s in spec if s is not None and s is not Ellipsis)
    full: list[Any] = []
    for s in spec:
        full.extend([slice(None)] * (len(shape) - used) if s is Ellipsis else [s])
    if Ellipsis not in [s for s in spec if s is Ellipsis]:
        full.extend([slice(None)] * (len(shape) - used))
    marks = [i for i, s in enumerate(full) if s is SLOT]
    if marks and any(isinstance(s, (int, np.integer)) for s in full):
        return None
    width = max((a.ndim for a in index), default=0)
    apart = bool(marks) and marks[-1] - marks[0] + 1 != len(marks)
    kept, slots = [], []
    at, place = 0, width if apart else 0
    first = 0
    seen = apart
    for s in full:
        if s is SLOT:
            slots.append(at)
            if not seen:
                first, seen = place, True
                place += width
            at += 1
        elif s is None:
            place += 1
        elif isinstance(s, slice):
            if s.indices(shape[at]) == (0, shape[at], 1):
                kept.append((at, place))
            at += 1
            place += 1
        else:
            at += 1
    return _Layout(kept, first, width, slots)


def _rows(index: Sequence[Any], layout: _Layout, length: int) -> Iterator[tuple[int, int]]:
    """Yield ``(slot, axis of the index)`` where an index counts its own axis: row i reads row i."""
    for k, x in enumerate(index):
        data = x.data if isinstance(x, Const) else None
        if data is None or not data.size or data.size != max(np.shape(data)):
            continue
        axis = int(np.argmax(np.shape(data))) + layout.width - np.ndim(data)
        if data.size == length and np.array_equal(np.ravel(data), np.arange(length)):
            yield k, axis


def _split_index(avals: Sequence[Aval], axis: int, width: int, n: int) -> tuple[int | str, ...]:
    places: list[int | str] = []
    for x in avals:
        b = axis - (width - x.ndim)
        places.append(b if b >= 0 and x.shape[b] == n else WHOLE)
    return tuple(places)


def _read(node: Node, avals: list[Aval], out: Aval) -> Iterator[Rule]:
    x, *index = avals
    spec = node.attrs["spec"]
    layout = _layout(spec, x.shape, index)
    if layout is None:
        return
    none = (WHOLE,) * len(index)
    for a, b in layout.kept:
        if x.shape[a] > 1:
            yield Rule((a, *none), b, (x.shape[a],))
    if x.dtype.kind in "fc":
        yield Rule((PARTIAL, *none), PARTIAL)
    if is_basic(spec):
        return
    for q in range(layout.width):
        n = out.shape[layout.first + q]
        if n > 1:
            places = _split_index(index, q, layout.width, n)
            yield Rule((WHOLE, *places), layout.first + q, (n,))
    for slot, q in _counting(node.inputs[1:], layout, x.shape):
        n = x.shape[layout.slots[slot]]
        if out.shape[layout.first + q] == n:
            places = _split_index(index, q, layout.width, n)
            yield Rule((layout.slots[slot], *places), layout.first + q, (n,))


def _counting(
    index: Sequence[Any], layout: _Layout, shape: tuple[int, ...]
) -> list[tuple[int, int]]:
    return [
        (k, q)
        for k, axis in enumerate(layout.slots)
        for i, q in _rows(index[k : k + 1], layout, shape[axis])
        if i == 0 and shape[axis] > 1
    ]


def _update(node: Node, avals: list[Aval]) -> Iterator[Rule]:
    x, v, *index = avals
    spec = node.attrs["spec"]
    layout = _layout(spec, x.shape, index)
    if layout is None:
        return
    marks = [Aval(a.shape, np.dtype(np.intp)) for a in index]
    part = getitem.infer(x, *marks, spec=spec).shape
    lead = len(part) - v.ndim
    none = (WHOLE,) * len(index)

    def of_value(b: int) -> int | str:
        at = b - lead
        return at if at >= 0 and v.shape[at] == part[b] else WHOLE

    for a, b in layout.kept:
        if x.shape[a] > 1:
            yield Rule((a, of_value(b), *none), a, (x.shape[a],))
    adds = node.op is index_add and x.dtype.kind in "fc" and isinstance(node.inputs[1], Value)
    if adds:
        yield Rule((PARTIAL, PARTIAL, *none), PARTIAL)
    for slot, q in _counting(node.inputs[2:], layout, x.shape):
        axis = layout.slots[slot]
        if part[layout.first + q] == x.shape[axis]:
            places = _split_index(index, q, layout.width, x.shape[axis])
            yield Rule((axis, of_value(layout.first + q), *places), axis, (x.shape[axis],))
    if adds:
        for q in range(layout.width):
            n = part[layout.first + q]
            if n > 1:
                places = _split_index(index, q, layout.width, n)
                yield Rule((PARTIAL, of_value(layout.first + q), *places), PARTIAL, (n,))
