"""The graph: a list of operations on arrays in single static assignment form.

A `Value` is one array, a `Node` applies an operation (a row of the operation table) to values and
names the values it makes, a `Graph` is a list of nodes between inputs and outputs. None of them is
changed once built, so every pass is a function from graph to graph. This is Wengert's list (1964)
with arrays for numbers.

While a function is being recorded, a value also carries its concrete `data`; a graph that is kept
carries abstract values (shape and dtype) only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

__all__ = [
    "SLOT",
    "Aval",
    "BackwardPlace",
    "Const",
    "Graph",
    "Guard",
    "GuardMiss",
    "Node",
    "Operation",
    "Place",
    "Slot",
    "TangentPlace",
    "Value",
    "aval_of",
    "dtype_name",
]


class Aval(NamedTuple):
    """What is known of an array before it is computed: its shape and its dtype.

    `weak` marks a Python scalar, which takes part in NumPy's promotion without a dtype of its own.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    weak: bool = False

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of a dense array of this shape and dtype."""
        return self.size * self.dtype.itemsize

    def __str__(self) -> str:
        """Return the text form: ``f64[3,2]``, with ``~`` before a weak scalar."""
        shape = ",".join(map(str, self.shape))
        return f"{'~' if self.weak else ''}{dtype_name(self.dtype)}[{shape}]"


def dtype_name(dtype: np.dtype[Any]) -> str:
    """Return the text form of a dtype: kind and bits, ``f64``; ``>f64`` in foreign byte order."""
    order = "" if dtype.isnative else dtype.byteorder
    kind = "o" if dtype.kind == "O" else dtype.kind
    return f"{order}{kind}{8 * dtype.itemsize}"


def aval_of(x: Any) -> Aval:
    """Return the shape and dtype of an array, a scalar, a value or a traced value."""
    found = _SCALARS.get(type(x))
    if found is not None:
        return found
    if isinstance(x, (Value, Const)):
        return x.aval
    if isinstance(x, Aval):
        return x
    if not hasattr(x, "dtype"):
        x = np.asarray(x)
    return Aval(tuple(x.shape), x.dtype)


_WEAK: tuple[type, ...] = (float, int, bool, complex)
_STRONG: tuple[type, ...] = (np.float64, np.float32, np.complex128, np.int64, np.bool_)
_SCALARS = {t: Aval((), np.dtype(t), weak=True) for t in _WEAK}
_SCALARS.update({t: Aval((), np.dtype(t)) for t in _STRONG})
"""What is known of scalars by their type: most values of scalar code are one of these."""


class Slot:
    """The place of an integer array in an index template; `SLOT` is the only one."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the mark used in text."""
        return "@"

    def __reduce__(self) -> str:
        """Copy and unpickle as the one `SLOT`."""
        return "SLOT"


SLOT = Slot()


class Operation(Protocol):
    """What a graph needs to know of an operation; rows of the operation table fit it."""

    name: str
    evaluate: Callable[..., Any]
    infer: Callable[..., Any]


class Value:
    """One array of a graph. `data` is its concrete value while recording, else None."""

    __slots__ = ("_aval", "data")

    def __init__(self, data: Any = None, aval: Aval | None = None) -> None:
        self.data = data
        self._aval = aval

    @property
    def aval(self) -> Aval:
        """Shape and dtype."""
        if self._aval is None:
            self._aval = aval_of(self.data)
        return self._aval

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self.aval.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the array."""
        return self.aval.dtype


class Const:
    """An array that the graph refers to but does not own: it is held by reference.

    A change of the array in place is seen by the next run of the graph. `fixed` says that nobody
    can change it, because nothing but the graph refers to it.
    """

    __slots__ = ("data", "fixed")

    def __init__(self, data: Any, fixed: bool = False) -> None:
        self.data = data
        self.fixed = fixed

    @property
    def aval(self) -> Aval:
        """Shape and dtype."""
        return aval_of(self.data)


class Place(tuple[str, int]):
    """The user's ``(file, line)`` of an operation.

    Each operation that is recorded has an object of its own, which passes keep.

    Attributes
    ----------
    trip : object or None
        The trip of the loop that it ran in, where the recorder tells trips apart.
    calls : tuple of (str, str, int)
        File, function and line of the calls that led there, innermost first.
    stage : str
        ``value``, ``tangent``, ``backward``, or ``again`` for what is computed again on the way
        back.
    primal : Place or None
        The place of the operation whose derivative it computes, or that it computes again.
    """

    trip: Any = None
    calls: tuple[tuple[str, str, int], ...] = ()
    stage: str = "value"
    primal: Place | None = None

    def __new__(cls, place: tuple[str, int], trip: Any = None) -> Place:
        """Mark a place."""
        made = super().__new__(cls, place)
        if trip is not None:
            made.trip = trip
        return made

    def copy(self) -> Place:
        """Return the same place, for another operation."""
        made: Place = tuple.__new__(type(self), self)
        made.__dict__.update(self.__dict__)
        return made

    def of(self, place: tuple[str, int] | None) -> Any:
        """Take over what is known of the operation that this one is for."""
        if isinstance(place, Place):
            self.calls, self.primal = place.calls, place
            if place.trip is not None:
                self.trip = place.trip
        return self


class TangentPlace(Place):
    """The place of an operation whose tangent a node carries forward."""

    stage = "tangent"


class BackwardPlace(Place):
    """The place of an operation whose cotangent a node carries backwards, and its trip.

    Attributes
    ----------
    op : str
        The name of that operation.
    """

    op: str
    stage = "backward"

    def __new__(cls, place: tuple[str, int] | None, op: str) -> BackwardPlace:
        """Mark a place, the empty one where it is not known."""
        made = tuple.__new__(cls, place or ("", 0))
        made.op = op
        made.of(place)
        return made


class Node:
    """One operation: ``outputs = op(*inputs, **attrs)``.

    An attribute is plain data or a region (`wengert.ir.regions`). An input is a `Value`, a `Const`,
    or a plain Python or NumPy scalar. `line` is the user's ``(file, line)`` where it is known, a
    `BackwardPlace` one where a reverse pass made the node.
    """

    __slots__ = ("attrs", "inputs", "line", "op", "outputs")

    def __init__(
        self,
        op: Any,
        inputs: Sequence[Any],
        attrs: dict[str, Any],
        outputs: tuple[Value, ...],
        line: tuple[str, int] | None = None,
    ) -> None:
        self.op = op
        self.inputs = inputs
        self.attrs = attrs
        self.outputs = outputs
        self.line = line


class Guard(NamedTuple):
    """A decision that Python code took while it was recorded.

    `value` was asked the question `kind` (`wengert.ir.questions`), with answer `outcome`, after the
    first `position` nodes of the graph.
    """

    value: Value
    kind: str
    outcome: Any
    position: int


class GuardMiss(Exception):
    """A guard had another outcome than the graph was recorded under.

    Attributes
    ----------
    index : int
        Which of the graph's guards.
    outcome : object
        What it was this time.
    """

    def __init__(self, index: int, outcome: Any) -> None:
        super().__init__(index, outcome)
        self.index = index
        self.outcome = outcome


class Graph:
    """A function as data: inputs, nodes in program order, outputs, and the guards it holds under.

    Parameters
    ----------
    inputs : sequence of Value
    nodes : sequence of Node
        Each input of a node is defined before the node.
    outputs : sequence of Value, Const or scalar
    guards : sequence of Guard, optional
    """

    __slots__ = ("__weakref__", "_text", "guards", "inputs", "nodes", "outputs")

    def __init__(
        self,
        inputs: Sequence[Value],
        nodes: Sequence[Node],
        outputs: Sequence[Any],
        guards: Sequence[Guard] = (),
    ) -> None:
        self._text: str | None = None
        self.inputs = tuple(inputs)
        self.nodes = tuple(nodes)
        self.outputs = tuple(outputs)
        self.guards = tuple(guards)

    @property
    def text(self) -> str:
        """The text form, written once."""
        if self._text is None:
            self._text = str(self)
        return self._text

    def values(self) -> Iterator[Value]:
        """Iterate over all values in the order of their definition."""
        yield from self.inputs
        for node in self.nodes:
            yield from node.outputs

    def consts(self) -> list[Const]:
        """List the arrays held by reference, each once, in order of first use."""
        found: dict[int, Const] = {}
        for node in self.nodes:
            for x in node.inputs:
                if isinstance(x, Const):
                    found.setdefault(id(x), x)
        for x in self.outputs:
            if isinstance(x, Const):
                found.setdefault(id(x), x)
        return list(found.values())

    def __repr__(self) -> str:
        """Return a one-line summary; `wengert.ir.text` gives ``str(graph)`` the whole text."""
        sizes = f"{len(self.inputs)} inputs, {len(self.nodes)} nodes, {len(self.outputs)} outputs"
        return f"<Graph: {sizes}>"
