"""A linearised function that computes only the entries which are read of its values.

``positions(theta)[index]`` reads a few rows of an array of many. To read first and to compute then
is the same wherever each row is made of the same row of the arguments: then reading goes back
through the operation, to all of its arguments that have these rows. What is left of the function
has a shorter derivative in every mode, as if the local Jacobian that reads had been multiplied
first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import Const, Node, Value
from wengert.ops.base import Op, RegionOp, shape_of
from wengert.ops.blocks import Labelled, Listed
from wengert.ops.index import SLOT, getitem
from wengert.ops.shape import reshape
from wengert.transform.linear import Linearized, linearize_flat, quiet
from wengert.transform.reach import is_elementwise

__all__ = ["narrowed"]

LEAST = 2000
"""Entries that need not be computed any more below which a function is left as it is."""


class Part(NamedTuple):
    """Some places along one axis.

    Attributes
    ----------
    axis : int
    entry : slice or None
    index : array or None
        Of integers, with one axis; None where `entry` says it.
    size : int
        How many places.
    mark : hashable
        The same for the same places.
    """

    axis: int
    entry: slice | None
    index: Any
    size: int
    mark: Any

    def of(self, x: Any) -> Any:
        """Read these places of an array."""
        lead = (slice(None),) * self.axis
        if self.entry is not None:
            return getitem(x, spec=(*lead, self.entry))
        return getitem(x, self.index, spec=(*lead, SLOT))

    def along(self, axis: int) -> Part:
        """Return the same places along another axis."""
        return self._replace(axis=axis)

    @property
    def key(self) -> Any:
        """What tells parts apart."""
        return self.axis, self.mark


def narrowed(lin: Linearized, leaves: Sequence[Any]) -> Linearized:
    """Return the same function at the same point with reading done first, or `lin` itself.

    Parameters
    ----------
    lin : Linearized
    leaves : sequence of arrays
        Its arguments.
    """
    nodes = lin.tape.nodes
    if not any(type(node) is Node and node.op is getitem for node in nodes):
        return lin
    if any(type(n) is not Node or isinstance(n.op, RegionOp) for n in nodes):
        return lin
    plan = _Demand(lin)
    if plan.saved < LEAST:
        return lin
    with quiet():
        return linearize_flat(plan.again, list(leaves))


class _Demand:
    """Which entries of each value are read."""

    def __init__(self, lin: Linearized) -> None:
        self.lin = lin
        self.parts: dict[Value, dict[Any, Part] | None] = {}  # None: all of it
        self.saved = 0
        for v in lin.outs:
            if v is not None:
                self.parts[v] = None
        for node in reversed(lin.tape.nodes):
            self._ask(node)

    def _ask(self, node: Node) -> None:
        """Let a node ask for entries of its arguments."""
        wanted = [v for v in node.outputs if v in self.parts]
        if not wanted:
            return
        parts = self.parts[wanted[0]] if len(node.outputs) == 1 else None
        n = math.prod(shape_of(node.outputs[0].data))
        if parts and n:
            (y,) = node.outputs
            less = sum(n // shape_of(y.data)[p.axis] * p.size for p in parts.values())
            passed = [through(node, p) for p in parts.values()] if 2 * less <= n else [None]
            if all(found is not None for found in passed):
                self.saved += n - less
                for found in passed:
                    for x, p in zip(node.inputs, found or (), strict=True):
                        self._want(x, p)
                return
            self.parts[y] = None  # it is computed whole, and read then
        read = part_read(node)
        if read is not None:
            self._want(node.inputs[0], read)
            return
        for x in node.inputs:
            self._want(x, None)

    def _want(self, x: Any, part: Part | None) -> None:
        if not isinstance(x, Value):
            return
        if part is None or self.parts.get(x, part) is None:
            self.parts[x] = None
            return
        known = self.parts.setdefault(x, {})
        assert known is not None
        known[part.key] = part

    # --- the function again -----------------------------------------------------------------------
    def again(self, *leaves: Any) -> list[Any]:
        """Apply the function to other arguments, reading first."""
        lin, parts = self.lin, self.parts
        whole: dict[Value, Any] = dict(zip(lin.roots, leaves, strict=True))
        some: dict[tuple[Value, Any], Any] = {}

        def read(place: Any, part: Part | None = None) -> Any:
            x = place
            if isinstance(x, Value):
                if part is not None and (x, part.key) in some:
                    return some[x, part.key]
                x = whole.get(x, x.data)
            elif isinstance(x, Const):
                x = x.data
            if part is None:
                return x
            made = part.of(x)
            if isinstance(place, Value):
                some[place, part.key] = made
            return made

        for node in lin.tape.nodes:
            if not any(v in parts for v in node.outputs):
                continue
            wanted = parts.get(node.outputs[0]) if len(node.outputs) == 1 else None
            if wanted:
                for p in wanted.values():
                    passed = through(node, p)
                    assert passed is not None
                    xs = [read(x, q) for x, q in zip(node.inputs, passed, strict=True)]
                    attrs = _attrs_of(node, p)
                    some[node.outputs[0], p.key] = node.op(*xs, **attrs)
                continue
            part = part_read(node)
            if part is not None and (node.inputs[0], part.key) in some:
                made = some[node.inputs[0], part.key]
                shape = shape_of(node.outputs[0].data)
                made = made if shape_of(made) == shape else reshape(made, shape=shape)
            else:
                made = node.op(*[read(x) for x in node.inputs], **node.attrs)
            results = made if isinstance(made, tuple) else (made,)
            whole.update(zip(node.outputs, results, strict=True))
        return [y if v is None else read(v) for v, y in zip(lin.outs, lin.ys, strict=True)]


# --- which places --------------------------------------------------------------------------------
def part_read(node: Node) -> Part | None:
    """Return the places along one axis that a node reads; None where it does anything else."""
    if node.op is not getitem:
        return None
    x, *index = node.inputs
    shape, found = shape_of(_plain(x)), None
    spec = list(node.attrs["spec"])
    if Ellipsis in spec:
        if spec[-1] is not Ellipsis:
            return None
        spec.pop()
    for axis, s in enumerate(spec):
        if s is None or isinstance(s, (int, np.integer)):
            return None
        if s != slice(None) if isinstance(s, slice) else True:
            if found is not None:
                return None
            found = axis, s
    if found is None:
        return None
    axis, s = found
    if isinstance(s, slice):
        places = range(*s.indices(shape[axis]))
        mark = (places.start, places.stop, places.step)
        return Part(axis, s, None, len(places), mark)
    at = _plain(index[0])
    rank, count = len(shape_of(at)), math.prod(shape_of(at))
    if not rank:
        return None
    index_ = at if rank == 1 else reshape(at, shape=(count,))
    return Part(axis, None, index_, count, id(at))


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, (Value, Const)) else x


def through(node: Node, part: Part) -> list[Part | None] | None:
    """Return the places of each argument that some places of a result are made of.

    None for an argument that is used whole, and in the place of the list where the places of the
    result are not made of the same places each.
    """
    (y,) = node.outputs
    op: Op = node.op
    if any(isinstance(a, np.ndarray) for a in node.attrs.values()):
        return None
    shape = shape_of(y.data)
    shapes = [shape_of(_plain(x)) for x in node.inputs]
    if is_elementwise(op, y.data):
        axes = [len(s) - len(shape) + part.axis for s in shapes]
        return [
            part.along(a) if a >= 0 and s[a] == shape[part.axis] else None
            for a, s in zip(axes, shapes, strict=True)
        ]
    if op is getitem:
        axis = _axis_read(node.attrs["spec"], len(shapes[0]), part.axis, shapes[1:])
        return None if axis is None else [part.along(axis), *(None for _ in shapes[1:])]
    if op is reshape:
        axis = _axis_kept(shapes[0], shape, part.axis)
        return None if axis is None else [part.along(axis)]
    if op.name == "concatenate":
        return None if node.attrs["axis"] == part.axis else [part for _ in shapes]
    found: list[Part | None] = []
    xs = [_plain(x) for x in node.inputs]
    for k in range(len(shapes)):
        block = op.local_jacobian(k, y.data, *xs, **node.attrs)
        if not isinstance(block, (Labelled, Listed)) or len(block.rows) != len(shape):
            return None
        label = block.rows[part.axis]
        if block.rows.count(label) > 1 or block.columns.count(label) > 1:
            return None
        found.append(part.along(block.columns.index(label)) if label in block.columns else None)
    if all(p is None for p in found) and "shape" not in node.attrs:
        return None
    return found


def _attrs_of(node: Node, part: Part) -> dict[str, Any]:
    """Return the attributes of an operation whose result has fewer places."""
    attrs = dict(node.attrs)
    if "shape" in attrs:
        shape = list(attrs["shape"])
        shape[part.axis] = part.size
        attrs["shape"] = tuple(shape)
    return attrs


def _axis_read(
    spec: tuple[Any, ...], rank: int, axis: int, index: Sequence[tuple[int, ...]]
) -> int | None:
    """Return the axis of what is read that becomes `axis` of the result, if all of it is read."""
    slots = [k for k, s in enumerate(spec) if s is SLOT]
    if slots and (len(slots) > 1 or any(isinstance(s, (int, np.integer)) for s in spec)):
        return None
    used = sum(s is not None and s is not Ellipsis for s in spec)
    entries: list[Any] = []
    for s in spec:
        entries += [slice(None)] * (rank - used) if s is Ellipsis else [s]
    if Ellipsis not in spec:
        entries += [slice(None)] * (rank - used)
    source = target = 0
    for s in entries:
        if s is None:
            if target == axis:
                return None
            target += 1
        elif isinstance(s, slice):
            if target == axis:
                return source if s == slice(None) else None
            source, target = source + 1, target + 1
        elif s is SLOT:
            if target <= axis < target + len(index[0]):
                return None
            source, target = source + 1, target + len(index[0])
        else:
            source += 1
    return None


def _axis_kept(before: tuple[int, ...], after: tuple[int, ...], axis: int) -> int | None:
    """Return the axis that a reshape leaves as it is, and that is `axis` of the result."""
    lead = math.prod(after[:axis])
    for k, n in enumerate(before):
        if n == after[axis] and math.prod(before[:k]) == lead:
            return k
    return None
