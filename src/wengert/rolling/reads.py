"""Reads of arrays that were updated entry by entry: what was written is taken from where it was.

``y[i] = v`` followed by ``y[i - 1]`` reads what an earlier trip wrote. As an operation on arrays
that ties each trip to the whole array; as a value it is handed on from trip to trip.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.build import Emit, infer, map_graph
from wengert.ir.graph import SLOT, Graph, Node, Value, aval_of
from wengert.ops.base import TABLE
from wengert.ops.index import getitem, index_add, index_set

__all__ = ["through_updates"]


class _Write(NamedTuple):
    """What the update that made a version did at one place."""

    number: int
    value: Any
    adds: bool


class _At(NamedTuple):
    """Where an array is indexed: behind some full slices, at integers."""

    lead: int
    places: tuple[int, ...]

    def part(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of what is there."""
        return (*shape[: self.lead], *shape[self.lead + len(self.places) :])

    @property
    def spec(self) -> tuple[Any, ...]:
        """The index template."""
        return (*(slice(None),) * self.lead, *self.places)

    def split(self, depth: int) -> tuple[_At, _At]:
        """Return where rows are, and where in such a row."""
        return self._replace(places=self.places[:depth]), self._replace(places=self.places[depth:])


class _Chain:
    """The versions of an array, each an update of the one before.

    Attributes
    ----------
    base : Value or Const
        The array before the first update.
    lead, depth : int
        Which axes the updates are indexed along.
    writes : dict
        From places to the writes there, in order.
    size : int
        How many versions there are.
    """

    def covers(self, at: _At) -> bool:
        """Whether what is there is part of one entry that updates write."""
        return at.lead == self.lead and len(at.places) >= self.depth

    def __init__(self, base: Any, at: _At) -> None:
        self.base = base
        self.lead = at.lead
        self.depth = len(at.places)
        self.writes: dict[tuple[int, ...], list[_Write]] = {}
        self.size = 0


def through_updates(graph: Graph) -> Graph:
    """Return a graph that reads entries of updated arrays without the array, where that is exact.

    Results keep every bit: ``index_add(x, v)[i]`` is ``x[i] + v``.
    """
    if not any(n.op is index_set or n.op is index_add for n in graph.nodes):
        return graph
    return map_graph(graph, _Reads({g.value for g in graph.guards}))


class _Reads:
    """A step of `map_graph`."""

    def __init__(self, guarded: Collection[Value]) -> None:
        self.guarded = guarded
        self.versions: dict[Value, tuple[_Chain, int]] = {}
        self.filled: dict[Value, Any] = {}
        self.known: dict[Any, Any] = {}

    def __call__(self, node: Node, emit: Emit) -> Sequence[Any] | None:
        op = node.op
        if op is index_set or op is index_add:
            self._update(node)
        elif op is getitem and len(node.inputs) == 1 and node.inputs[0] in self.versions:
            if node.outputs[0] not in self.guarded:
                found = self._read(node, emit)
                return None if found is None else (found,)
        elif op.name == "broadcast_to" and not isinstance(node.inputs[0], Value):
            scalar = node.inputs[0]
            if aval_of(scalar) == (((), node.outputs[0].dtype, False)):
                self.filled[node.outputs[0]] = scalar
        return None

    def _update(self, node: Node) -> None:
        x, v, *index = node.inputs
        at = None if index else _place(node.attrs["spec"], aval_of(x).shape)
        v = None if at is None else _written(node, at)
        if at is None or v is None:
            return
        chain, number = self.versions.get(x, (None, 0))
        if (
            chain is None
            or chain.size != number
            or not chain.covers(at)
            or chain.depth != len(at.places)
        ):
            chain = _Chain(x, at)
        chain.size += 1
        write = _Write(chain.size, v, node.op is index_add)
        chain.writes.setdefault(at.places, []).append(write)
        self.versions[node.outputs[0]] = chain, chain.size

    def _read(self, node: Node, emit: Emit) -> Any:
        x = node.inputs[0]
        at = _place(node.attrs["spec"], aval_of(x).shape)
        chain, number = self.versions[x]
        if at is None or not chain.covers(at):
            return None
        return self._of_version(chain, number, at, node, emit)

    def _of_version(self, chain: _Chain, number: int, at: _At, node: Node, emit: Emit) -> Any:
        row, rest = at.split(chain.depth)
        y = self._entry(chain, number, row, node, emit)
        return self._part(y, rest, node, emit) if rest.places else y

    def _entry(self, chain: _Chain, number: int, at: _At, node: Node, emit: Emit) -> Any:
        """Return what is at a place in a version."""
        writes = chain.writes.get(at.places, [])
        k = len(writes)
        while k and writes[k - 1].number > number:
            k -= 1
        start = k
        while start and writes[start - 1].adds and (chain, at, start) not in self.known:
            start -= 1
        if not start:
            y = self._from(chain.base, at, node, emit)
        elif writes[start - 1].adds:
            y = self.known[chain, at, start]
        else:
            y = writes[start - 1].value
        for j in range(start, k):
            y = _emit(TABLE["add"], (y, writes[j].value), {}, node, emit)
            self.known[chain, at, j + 1] = y
        return y

    def _from(self, base: Any, at: _At, node: Node, emit: Emit) -> Any:
        """Read the array before all updates."""
        if base in self.versions:
            chain, number = self.versions[base]
            if chain.covers(at):
                return self._of_version(chain, number, at, node, emit)
        if base in self.filled and not at.part(base.shape):
            return self.filled[base]
        return self._part(base, at, node, emit)

    def _part(self, x: Any, at: _At, node: Node, emit: Emit) -> Any:
        mark = (x, at)
        if mark not in self.known:
            self.known[mark] = _emit(getitem, (x,), {"spec": at.spec}, node, emit)
        return self.known[mark]


def _emit(op: Any, inputs: tuple[Any, ...], attrs: dict[str, Any], node: Node, emit: Emit) -> Any:
    (aval,) = infer(op, inputs, attrs)
    y = Value(aval=aval)
    emit(Node(op, inputs, attrs, (y,), node.line))
    return y


def _place(spec: tuple[Any, ...], shape: tuple[int, ...]) -> _At | None:
    """Return where an index is, if it is integers behind full slices."""
    if any(s is None or s is SLOT or s is Ellipsis for s in spec[:-1]):
        return None
    spec = spec[:-1] if spec and spec[-1] is Ellipsis else spec
    while spec and spec[-1] == slice(None):
        spec = spec[:-1]
    lead = 0
    while lead < len(spec) and spec[lead] == slice(None):
        lead += 1
    found = []
    for s, n in zip(spec[lead:], shape[lead:], strict=False):
        if type(s) is not int or not -n <= s < n:
            return None
        found.append(s % n)
    return _At(lead, tuple(found)) if found else None


def _written(node: Node, at: _At) -> Any:
    """Return what a read finds of an update; None where it is not what is written."""
    x, v = node.inputs[:2]
    kind = aval_of(x)
    part = at.part(kind.shape)
    if type(v) in (int, float) and kind.dtype.kind == "f" and not part:
        v = kind.dtype.type(v)
    value = aval_of(v)
    is_same = value == (part, kind.dtype, False) and node.outputs[0].aval == kind
    return v if is_same and isinstance(v, (Value, np.generic)) else None
