"""The steps that a graph is scheduled into."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from wengert.backend.native.schedule.layout import Buffer, View
from wengert.ir.graph import Node, Value

__all__ = [
    "Compact",
    "Contraction",
    "Gather",
    "Host",
    "IndexTerm",
    "Loop",
    "Network",
    "Reduce",
    "Repeat",
    "Scan",
    "Search",
    "Sort",
    "Update",
    "reads",
]


class Loop:
    """A loop nest over `shape`: elementwise nodes, reductions, updates, and what is stored."""

    def __init__(self, step: int, shape: tuple[int, ...]) -> None:
        self.step = step
        self.shape = shape
        self.items: list[Any] = []  # (Node, operands) and the classes below, in order
        self.inside: set[Value] = set()
        self.stores: list[tuple[Any, View]] = []

    @property
    def elements(self) -> int:
        """Iterations of the nest."""
        return math.prod(self.shape)

    def remove(self, v: Value) -> None:
        """Take out the elementwise node that makes a value."""
        self.items = [x for x in self.items if not (type(x) is tuple and x[0].outputs[0] is v)]
        self.inside.discard(v)


class Reduce:
    """A reduction of a loop's value into memory."""

    def __init__(
        self, kind: str, x: Any, axis: tuple[int, ...], out: View, dtype: np.dtype[Any]
    ) -> None:
        self.kind = kind
        self.x = x
        self.axis = axis
        self.out = out
        self.dtype = dtype


class Scan:
    """A loop's value that goes on from the one before it along an axis.

    `memory` is where the values are stored; None where the axis is the loop's innermost, so that
    the value before stays in a register.
    """

    def __init__(
        self, kind: str, out: Value, xs: tuple[Any, ...], axis: int, memory: View | None
    ) -> None:
        self.kind = kind
        self.out = out
        self.xs = xs
        self.axis = axis
        self.memory = memory


class Network:
    """Lines of `length` elements sorted in registers, from `source` to `target`.

    Both are views of the lines' first elements; the others follow at the given steps. With
    `places`, the target gets where each element was.
    """

    def __init__(
        self, source: View, target: View, steps: tuple[int, int], length: int, places: bool
    ) -> None:
        self.source = source
        self.target = target
        self.steps = steps
        self.length = length
        self.places = places


class Sort:
    """Lines sorted in memory: the elements in `work`, and where they were in `places`.

    All four are views of the first elements of contiguous lines; the spare ones are for merging.
    """

    def __init__(
        self, work: View, spare: View, length: int, places: tuple[View, View] | None
    ) -> None:
        self.work = work
        self.spare = spare
        self.length = length
        self.places = places

    @property
    def views(self) -> list[View]:
        """All four, or the first two."""
        return [self.work, self.spare, *(self.places or ())]


class Search:
    """A loop's value `out`: where `v` belongs in the sorted array `a`."""

    def __init__(self, out: Value, a: View, v: Any, side: str) -> None:
        self.out = out
        self.a = a
        self.v = v
        self.side = side


class Compact:
    """The positions of the loop's values that are not zero, gathered in `out`, one row an axis.

    `counter` is memory for their number, which must turn out to be the length of the rows.
    """

    def __init__(self, x: Any, out: View, counter: View) -> None:
        self.x = x
        self.out = out
        self.counter = counter


class IndexTerm(NamedTuple):
    """A part of an address that is looked up: the number that `x` holds, times `stride`.

    Where it is `checked`, negative numbers count from the end of an axis of length `size`, and
    those out of range are told; else it is known to be in ``range(size)``.
    """

    x: Any
    size: int
    stride: int
    checked: bool


class Gather:
    """A loop's value `out`, read from where `source` and `index` say."""

    def __init__(self, out: Value, source: View, index: tuple[IndexTerm, ...]) -> None:
        self.out = out
        self.source = source
        self.index = index


class Update:
    """A loop's value added into, or replacing, the part of memory that `target` and `index` say."""

    def __init__(self, add: bool, x: Any, target: View, index: tuple[IndexTerm, ...] = ()) -> None:
        self.add = add
        self.x = x
        self.target = target
        self.index = index


class Contraction:
    """A product of two arrays by BLAS: rows, columns and depth with strides."""

    def __init__(
        self,
        step: int,
        a: View,
        b: View,
        out: View,
        sizes: tuple[int, ...],
        strides: Any,
        batch: Any,
    ) -> None:
        self.step = step
        self.a = a
        self.b = b
        self.out = out
        self.sizes = sizes
        self.strides = strides
        self.batch = batch


class Host:
    """A node that NumPy evaluates."""

    def __init__(self, step: int, node: Node, operands: list[Any], outs: list[View]) -> None:
        self.step = step
        self.node = node
        self.operands = operands
        self.outs = outs


class Repeat:
    """A loop or branch of the graph, whose regions run in native code.

    Attributes
    ----------
    operands : list of View or number
        Those of the node; what a loop carries is in the first of its results already.
    outs : list of View
    regions : list of Schedule
        Of its regions; none where they are written as numbers in registers.
    spare : list of View
        Second memory of what a loop carries, of which trips take turns with the first.
    scratch : Buffer or None
        Memory of the regions, which is as large as they turn out to need.
    """

    def __init__(
        self,
        step: int,
        node: Node,
        operands: list[Any],
        outs: list[View],
        regions: list[Any],
        spare: list[View],
        scratch: Buffer | None,
    ) -> None:
        self.step = step
        self.node = node
        self.operands = operands
        self.outs = outs
        self.regions = regions
        self.spare = spare
        self.scratch = scratch


def reads(item: Any) -> list[Any]:
    """Return the values, views and numbers that an item of a loop is computed from."""
    if type(item) is tuple:
        return list(item[1])
    found = [getattr(item, name) for name in ("x", "v") if hasattr(item, name)]
    return [*found, *getattr(item, "xs", ()), *(t.x for t in getattr(item, "index", ()))]
