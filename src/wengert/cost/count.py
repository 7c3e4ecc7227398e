"""What a graph costs: operations by kind and by row of the table, and bytes, before it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wengert.cost.operation import KINDS, bytes_of, count_operation, is_literal
from wengert.ir.graph import Aval, Graph, Node, Value, aval_of
from wengert.ir.keys import key
from wengert.ir.liveness import last_reads
from wengert.ops.base import RegionOp

__all__ = [
    "Count",
    "NodeCount",
    "PassCounts",
    "RunningCount",
    "count_graph",
    "count_nodes",
    "names",
    "plus",
    "total_of",
    "updated_in_place",
]


@dataclass(frozen=True)
class Count:
    """Operations and bytes of one evaluation, of known and unknown.

    Attributes
    ----------
    flops : int
        All operations whose number is known; a multiply-add is two.
    by_kind : dict
        ``multiply`` (with divisions), ``add`` (with subtractions), ``transcendental`` (calls of
        ``exp``, ``sqrt`` and the like) and ``compare``: operations of each.
    by_op : dict
        Operations of each row of the operation table.
    bytes : int
        Bytes read and written, each operation on its own.
    unknown : dict
        Operations whose number is not known, and how often each is evaluated.
    read, written : int
        The two parts of `bytes`.
    macs : int
        Multiply-add pairs of contractions and factorisations; their operations are twice as many.
    """

    flops: int
    by_kind: dict[str, int] = field(default_factory=dict)
    by_op: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    read: int = 0
    written: int = 0
    macs: int = 0

    @property
    def intensity(self) -> float:
        """Operations for each byte read or written."""
        return self.flops / self.bytes if self.bytes else float("nan")

    def __str__(self) -> str:
        """Return a line for people."""
        kinds = ", ".join(f"{k} {n:,}" for k, n in sorted(self.by_kind.items()) if n)
        shown = f" ({kinds})" if kinds else ""
        return f"{self.flops:,} operations{plus(self.unknown)}{shown}, {self.bytes:,} bytes" + (
            f"; unknown: {names(self.unknown)}" if self.unknown else ""
        )

    def _repr_html_(self) -> str:
        """Return the operations by row of the table as bars, for a notebook."""
        from wengert.charts.bars import Bars, svg_bars
        from wengert.charts.html import figure, fragment, paragraphs

        rows = sorted(self.by_op.items(), key=lambda item: -item[1])[:BARS]
        shown = Bars([(name, (float(n),)) for name, n in rows if n], ("operations",))
        drawn = figure(svg_bars(shown)) if shown.rows else ""
        return fragment(paragraphs([str(self)]), drawn)


BARS = 20
"""Bars of a drawing; the most expensive rows where there are more."""


def plus(unknown: dict[str, int]) -> str:
    """Say that a number is not all."""
    return " + unknown" if unknown else ""


def names(unknown: dict[str, int]) -> str:
    """List operations and how often each is evaluated."""
    return ", ".join(f"{name} x{n}" for name, n in sorted(unknown.items()))


class RunningCount:
    """Adds up what the nodes of a graph cost, one after the other.

    Parameters
    ----------
    in_place : collection of int
        The ids of nodes that update their first argument without a copy; see `updated_in_place`.
    """

    def __init__(self, in_place: Collection[int] = ()) -> None:
        self.kinds: Counter[str] = Counter()
        self.ops: Counter[str] = Counter()
        self.unknown: Counter[str] = Counter()
        self.read = self.written = self.macs = 0
        self._in_place = in_place

    def add(self, node: Node, inputs: Sequence[Aval], outputs: Sequence[Aval]) -> None:
        """Add one evaluation on arrays of these shapes and dtypes; of a loop, all its trips."""
        if isinstance(node.op, RegionOp):
            for region, times in node.op.runs(**node.attrs):
                self._add_region(node, region, times)
            return
        read, written = bytes_of(node, inputs, outputs, id(node) in self._in_place)
        self.read += read
        self.written += written
        found = count_operation(node, inputs, outputs)
        if found is None:
            self.unknown[node.op.name] += 1
            return
        self.kinds.update(found.kinds)
        self.ops[node.op.name] += sum(found.kinds.get(k, 0) for k in KINDS)
        self.macs += found.macs

    def _add_region(self, node: Node, region: Graph, times: int | None) -> None:
        if times is None:
            self.unknown[node.op.name] += 1
            return
        inner = RunningCount(updated_in_place(region))
        for each in region.nodes:
            inner.add(each, [*map(aval_of, each.inputs)], [v.aval for v in each.outputs])
        for mine, found in (
            (self.kinds, inner.kinds), (self.ops, inner.ops), (self.unknown, inner.unknown),
        ):  # fmt: skip
            mine.update({k: n * times for k, n in found.items()})
        self.read += times * inner.read
        self.written += times * inner.written
        self.macs += times * inner.macs

    def total(self) -> Count:
        """Return what was added."""
        return Count(
            self.ops.total(),
            {k: self.kinds[k] for k in KINDS if self.kinds[k]},
            dict(self.ops),
            self.read + self.written,
            dict(self.unknown),
            self.read,
            self.written,
            self.macs,
        )


def updated_in_place(graph: Graph) -> set[int]:
    """Return the ids of the updates whose first argument nobody reads afterwards."""
    last = last_reads(graph.nodes, graph.outputs)
    ours = {v for node in graph.nodes for v in node.outputs if node.op.alias is None}
    return {
        id(node)
        for i, node in enumerate(graph.nodes)
        if node.inputs and node.inputs[0] in ours and last[node.inputs[0]] == i
    }


@dataclass
class PassCounts:
    """What the two passes of a function and its derivative cost.

    Attributes
    ----------
    forward, backward, total : Count
        Of the operations that the value needs, of the others, and of all.
    """

    forward: Count
    backward: Count
    total: Count

    @property
    def flops_forward(self) -> int:
        """Operations of the value."""
        return self.forward.flops

    @property
    def flops_backward(self) -> int:
        """Operations of the derivative, beside those of the value."""
        return self.backward.flops

    @property
    def flops(self) -> int:
        """All operations."""
        return self.total.flops

    @property
    def macs(self) -> int:
        """Multiply-add pairs of contractions and factorisations."""
        return self.total.macs

    @property
    def bytes(self) -> int:
        """Bytes read and written, each operation on its own."""
        return self.total.bytes

    @property
    def intensity(self) -> float:
        """Operations for each byte."""
        return self.total.intensity

    @property
    def by_op(self) -> dict[str, int]:
        """Operations of each row of the operation table, forward and backward."""
        return self.total.by_op

    @property
    def by_kind(self) -> dict[str, int]:
        """Operations of each kind, forward and backward."""
        return self.total.by_kind

    @property
    def unknown(self) -> dict[str, int]:
        """Operations that could not be counted, and how often each is evaluated."""
        return self.total.unknown

    @property
    def cheap_gradient_ratio(self) -> float:
        """All operations over those of the value; NaN where the value takes none."""
        return self.flops / self.flops_forward if self.flops_forward else float("nan")


class NodeCount(NamedTuple):
    """What one node costs, a loop with all its trips.

    Attributes
    ----------
    kinds, ops : tuple of (str, int)
        Operations by kind, and by row of the table.
    macs, read, written : int
    unknown : tuple of (str, int)
        Rows whose operations cannot be counted, and how often each is evaluated.
    """

    kinds: tuple[tuple[str, int], ...]
    ops: tuple[tuple[str, int], ...]
    macs: int
    read: int
    written: int
    unknown: tuple[tuple[str, int], ...]

    @property
    def flops(self) -> int:
        """Operations of all kinds."""
        return sum(n for kind, n in self.kinds if kind in KINDS)


def count_nodes(graph: Graph) -> tuple[list[int], list[NodeCount]]:
    """Return what the nodes of a graph cost: a number for each node, and the charges numbered so.

    A long program repeats few operations on few shapes, so each is counted once.
    """
    in_place = updated_in_place(graph)
    numbers: dict[Any, int] = {}
    found: list[NodeCount] = []
    avals: dict[Value, Aval] = {}
    each = []
    for node in graph.nodes:
        inputs = [avals.get(x) or aval_of(x) for x in node.inputs]
        outputs = [v.aval for v in node.outputs]
        avals.update(zip(node.outputs, outputs, strict=True))
        update = id(node) in in_place
        attrs = tuple([(name, key(a)) for name, a in node.attrs.items()]) if node.attrs else ()
        literals = _literals(node) if callable(node.op.counts) else None
        mark = node.op, attrs, literals, update, tuple(inputs), tuple(outputs)
        number = numbers.get(mark)
        if number is None:
            number = numbers[mark] = len(found)
            found.append(_count_node(node, inputs, outputs, update))
        each.append(number)
    return each, found


def _literals(node: Node) -> tuple[Any, ...]:
    """Return the numbers in the program among a node's operands, on which its count may depend."""
    return tuple([key(x) if is_literal(x) else None for x in node.inputs])


def _count_node(node: Node, inputs: list[Aval], outputs: list[Aval], in_place: bool) -> NodeCount:
    counted = RunningCount({id(node)} if in_place else ())
    counted.add(node, inputs, outputs)
    return NodeCount(
        tuple(counted.kinds.items()),
        tuple(counted.ops.items()),
        counted.macs,
        counted.read,
        counted.written,
        tuple(counted.unknown.items()),
    )


def total_of(times: Mapping[int, int], found: Sequence[NodeCount]) -> Count:
    """Add up charges, each as often as `times` says."""
    kinds: Counter[str] = Counter()
    ops: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    read = written = macs = 0
    for number, n in times.items():
        charge = found[number]
        read += n * charge.read
        written += n * charge.written
        macs += n * charge.macs
        for counter, pairs in (
            (kinds, charge.kinds), (ops, charge.ops), (unknown, charge.unknown),
        ):  # fmt: skip
            counter.update({name: n * m for name, m in pairs})
    shown = {k: kinds[k] for k in KINDS if kinds[k]}
    moved = read + written
    return Count(ops.total(), shown, dict(ops), moved, dict(unknown), read, written, macs)


def count_graph(graph: Graph) -> Count:
    """Count the operations of a graph."""
    each, found = count_nodes(graph)
    return total_of(Counter(each), found)
