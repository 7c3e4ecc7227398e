"""What a trip of a loop does that was taken in while it ran, and what its operands are.

`wengert.trace.folding` takes trips in. A `Step` says what is expected of an operation and keeps
what differs by trip; `Writing` describes the loop to who writes it as a graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import Const, Node, Place, Value
from wengert.ops.raising import INDEXED
from wengert.trace import expected
from wengert.trace.expected import Given, Inner, Noted
from wengert.trace.tracer import Tracer

__all__ = [
    "MOVING",
    "PLAIN",
    "STILL",
    "Column",
    "Fixed",
    "Loop",
    "Outside",
    "Rows",
    "Step",
    "Writing",
    "best_start",
    "can_fold",
    "placed",
]

LARGE = 1 << 17
"""Bytes from which arrays are left alone: their time is not that of recording."""

WORTH = 128
"""Bytes less that are carried for which a trip is not taken to begin where the loop has ended."""

PLAIN, STILL, MOVING = 0, 1, 2
"""Attributes of an operation: some, an index template, one whose integers may differ by trip."""


class Column(NamedTuple):
    """An operand of an operation of a trip.

    Attributes
    ----------
    kind : str
        ``fixed``, ``carried`` or ``row``.
    what : object
        Of what is fixed, that; of what is carried, which result of a trip; of rows, all of them.
    lag : int
        How many trips ago that result was made.
    begins : sequence
        What it is before the loop, from the trip before the first one backwards in time.
    """

    kind: str
    what: Any
    lag: int = 0
    begins: Sequence[Any] = ()


class Loop(NamedTuple):
    """Trips as they were taken in.

    Attributes
    ----------
    nodes : list of Node
        A trip. Operands are values of the trip itself, or like what they are.
    columns : list of list of Column
        Of each node.
    specs : dict
        Of a node whose index template differs by trip: all templates.
    trips : int
    used : dict
        From the number of a result to the trips of which it is used after the loop.
    inputs : list of Value
        What comes from outside.
    """

    nodes: list[Node]
    columns: list[list[Column]]
    specs: dict[int, list[Any]]
    trips: int
    used: dict[int, list[int]]
    inputs: list[Value]


class Fixed:
    """An operand that is the same in each trip."""

    __slots__ = ("trace", "var")

    def __init__(self, var: Any) -> None:
        self.var = var
        self.trace: Any = None


class Rows:
    """Numbers or plain arrays, one in each trip."""

    __slots__ = ("given", "kind", "strides", "values")

    def __init__(self, kind: Any, given: Given | None) -> None:
        self.kind = kind
        self.given = given
        self.values: list[Any] = []
        self.strides: Any = None


class Step:
    """An operation of a trip.

    Attributes
    ----------
    aval : Aval or None
        Of what it makes, an object of its own; None where that is the result of an earlier one.
    like : Value
        What it has made in a trip that was recorded.
    number : int
        How many operands it has.
    specs : list
        Index templates, of an operation with a moving one.
    """

    def __init__(self, step: expected.Step, like: Any) -> None:
        self.op, self.expected, self.attrs = step.op, step, step.attrs
        self.operands = [self._operand(d) for d in step.operands or ()]
        self.number = len(self.operands)
        self.result = step.result
        self.like = like
        inner = step.inner
        self.inner = inner
        self.aval: Any = None if inner is None else type(inner.aval)(*inner.aval)
        self.is_array = inner is not None and inner.kind is np.ndarray
        self.specs: list[Any] = []
        self.spec: Any = step.attrs["spec"] if step.op in INDEXED else None
        self.form = PLAIN
        if self.spec is not None and inner is not None:
            self.form = MOVING if any(type(s) is int for s in self.spec) else STILL

    @staticmethod
    def _operand(d: Any) -> Any:
        if type(d) is int:
            return d
        if type(d) is Given:
            return Rows(np.ndarray, d)
        return Rows(d, None) if type(d) is type else Fixed(d)

    def cut(self, trips: int) -> None:
        """Drop what is of later trips."""
        del self.specs[trips:]
        for d in self.operands:
            if type(d) is Rows:
                del d.values[trips:]

    def place(self) -> Any:
        """Return a place of its own for another node of the operation."""
        return placed(self.inner)


def placed(inner: Inner | None) -> Any:
    """Return the place of an operation, for another node."""
    if inner is None:
        return None
    place: Any = tuple.__new__(Place, inner.line)
    place.calls = inner.calls
    return place


def can_fold(steps: Sequence[expected.Step], tape: bool) -> bool:
    """Whether all operations of a trip may wait."""
    return all(_may_wait(step, tape) for step in steps)


def _may_wait(step: expected.Step, tape: bool) -> bool:
    if step.operands is None:
        return False
    inner, op = step.inner, step.op
    if inner is None:
        return True
    if step.number or (tape and step.flat) or inner.fails or inner.aval.nbytes > LARGE:
        return False
    if not (op.waits if op.like is None else op.like.nout == 1):
        return False
    if inner.aval.dtype.kind not in "fc" if tape else inner.aval.dtype.kind not in "biufc":
        return False
    first = INDEXED.get(op)
    if first is None:
        return True
    if first != len(step.operands):
        return False
    return first == 1 or not any(type(s) is int for s in step.attrs["spec"])


def best_start(steps: Sequence[expected.Step], natural: int) -> int:
    """Return the operation before which the least is carried from a trip to the next.

    It is `natural` unless another one is worth the part of a trip that is left over.
    """
    period = len(steps)
    last = [-1] * period
    for k, step in enumerate(steps):
        for d in step.operands or ():
            if type(d) is int:
                slot = (k - d) % period
                last[slot] = max(last[slot], k + (slot - (k - d)))
    sizes = np.zeros(period, np.int64)
    for slot, read in enumerate(last):
        if read > slot:
            inner = steps[slot].inner
            nbytes = 8 + (inner.aval.nbytes if inner is not None else 0)
            times, rest = divmod(read - slot, period)
            sizes += times * nbytes
            sizes[(slot + 1 + np.arange(rest)) % period] += nbytes
    best = int(sizes.argmin())
    return best if sizes[natural] - sizes[best] >= WORTH else natural


class Writing:
    """Says what a trip does, and what its operands are in all trips."""

    def __init__(
        self, fold: Any, start: int, trips: int, numbers: dict[int, int], outside: Outside
    ) -> None:
        self.fold = fold
        self.start = start
        self.trips = trips
        self.numbers = numbers
        self.outside = outside
        self.period = len(fold.steps)
        # of each step, the number of the operation that is the first of its kind in the loop
        self.begin = {j: start + (j - start) % self.period for j in range(self.period)}

    def trip(self) -> tuple[list[Node], list[list[Column]], dict[int, list[Any]]]:
        """Return the nodes of a trip, what their operands are, and indices that move."""
        fold = self.fold
        results = {j: Value(None, fold.steps[j].aval) for j in self.numbers}
        nodes: list[Node] = []
        columns: list[list[Column]] = []
        specs: dict[int, list[Any]] = {}
        for j in self.numbers:
            step = fold.steps[j]
            inputs: list[Any] = []
            found: list[Column] = []
            for i, d in enumerate(step.operands):
                column, x = self._column(j, i, d)
                found.append(column)
                inputs.append(results[x] if column.kind == "carried" else x)
            attrs = step.attrs
            if step.form == MOVING:
                there = [noted.attrs["spec"] for noted in self._noted(j)]
                there = (there + step.specs)[: self.trips]
                attrs = {**attrs, "spec": there[0]}
                if any(s != there[0] for s in there):
                    specs[len(nodes)] = there
            place = step.place()
            nodes.append(Node(step.op, tuple(inputs), attrs, (results[j],), place))
            columns.append(found)
        return nodes, columns, specs

    def _noted(self, j: int) -> list[Noted]:
        """Return a step's operations of the trips that were recorded before."""
        return [self.fold.log[k] for k in range(self.begin[j], 0, self.period)]

    def _column(self, j: int, i: int, d: Any) -> tuple[Column, Any]:
        """Describe an operand; return that, and what stands in a node for it."""
        fold, outside, period = self.fold, self.outside, self.period
        if type(d) is Fixed:
            x = outside.of(d.var, d.trace)
            return Column("fixed", x), x
        if type(d) is Rows:
            values = [
                noted.inputs[i] if d.given is None else noted.node.inputs[i]  # type: ignore[union-attr]
                for noted in self._noted(j)
            ]
            values = (values + d.values)[: self.trips]
            return Column("row", values), values[0]
        # what an operation of this trip or of one before has made
        begin = self.begin[j]
        far = len(fold.log) // period + fold.keep // period + 2
        at = fold.source(begin + far * period - d, self.start)
        if type(at) is not int:
            x = outside.of(at, None)
            return Column("fixed", x), x
        lag = far - (at - self.start) // period
        begins = [
            outside.of(self._given(begin + t * period, i, d), None) for t in range(lag - 1, -1, -1)
        ]
        return Column("carried", self.numbers[at % period], lag, begins), at % period

    def _given(self, k: int, i: int, d: int) -> Any:
        """Return what an operation read that was made before the loop."""
        if k >= 0:
            return self.fold.source(k - d, self.start)
        noted = self.fold.log[k]
        x = noted.inputs[i]
        return noted.node.inputs[i] if type(x) is np.ndarray else x


class Outside:
    """What a loop reads of what was there before it."""

    def __init__(self, fold: Any) -> None:
        self.fold = fold
        self.inputs: list[Value] = []
        self.handles: list[Any] = []
        self._known: dict[int, Value] = {}

    def of(self, x: Any, trace: Any) -> Any:
        """Return what stands for it in a graph."""
        fold = self.fold
        if type(x) is Const:
            fold.recorder._as_seen(x)
            return x
        if not isinstance(x, Value):
            return x
        found = self._known.get(id(x))
        if found is None:
            if trace is None:
                is_below = type(x) is not Value or type(x.data) is not Tracer
                trace = fold.recorder if is_below else fold.trace
            handle = Tracer(trace, x)
            aval = x.data._var.aval if trace is not fold.recorder else x.aval
            found = self._known[id(x)] = Value(None, aval)
            self.inputs.append(found)
            self.handles.append(handle)
        return found
