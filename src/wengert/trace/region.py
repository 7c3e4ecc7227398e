"""Recording a region: a function as a closed graph, to be the body of a loop or a branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import BatchedControlError, MutationError, user_line
from wengert.follow.functions import call
from wengert.ir import checking
from wengert.ir.build import strip
from wengert.ir.graph import Const, Graph, Node, Value
from wengert.ir.simplify import simplify
from wengert.ir.verify import verify
from wengert.ops.base import Op, Traced, dtype_of, shape_of
from wengert.ops.shape import broadcast_to
from wengert.trace import views
from wengert.trace.alarm import is_covered
from wengert.trace.capture import COPY_BYTES, checksum, duplicate
from wengert.trace.fresh import is_younger, now
from wengert.trace.numbers import NUMBERS
from wengert.trace.recorder import GraphRecorder
from wengert.trace.tracer import Tracer

__all__ = ["Region", "RegionControlError", "example", "record_region"]


class RegionControlError(BatchedControlError):
    """Python decided by a value that is another one in each run of a region."""


class Region(NamedTuple):
    """A recorded function.

    Attributes
    ----------
    graph : Graph
        Closed; its first inputs are what the function closes over.
    captured : list
        What those are: arrays and traced values.
    custom : bool
        Whether a function with a derivative of its own was met: derivatives must not be taken of
        the graph.
    """

    graph: Graph
    captured: list[Any]
    custom: bool


class RegionRecorder(GraphRecorder):
    """Records every operation; what comes from outside becomes an input.

    Parameters
    ----------
    what : str
        Whose region it is, for messages.
    own : bool
        Whether all arrays from outside are made by rules, so that nobody changes them.
    """

    def __init__(self, what: str, own: bool = False) -> None:
        super().__init__(checks=False)
        self.what = what
        self.own = own
        self.outside: dict[Any, tuple[Any, Value, Any]] = {}
        """Of each captured array or value: itself, the input for it, and its content."""
        self.refusal: RegionControlError | None = None
        """What was raised where a handler of the body may have caught it: no run goes on so."""

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Append a node; values of outer traces become inputs."""
        if any(type(a) is Tracer and a._trace is not self for a in args):
            args = tuple(self.inner(a) if type(a) is Tracer else a for a in args)
        return super().process(op, args, attrs)

    def inner(self, a: Tracer) -> Tracer:
        """Return the value of this region that stands for a traced value."""
        a._refresh()
        if a._trace is self:
            return a
        if not a._trace.alive:
            raise a._trace.leaked()
        if a._trace.level > self.level:
            raise self.outer(a)
        mark = id(a._var)
        if mark not in self.outside:
            kept = Tracer(a._trace, a._var)
            self.outside[mark] = kept, Value(example(kept)), None
        return Tracer(self, self.outside[mark][1])

    def refer(self, x: np.ndarray[Any, Any]) -> Value:  # type: ignore[override]
        """Make an input of a plain array."""
        if self.own:
            filled = self._filled(x)
            if filled is not None:
                return filled
        if id(x) not in self.outside:
            mark = duplicate(x) if x.nbytes <= COPY_BYTES else checksum(x)
            self.outside[id(x)] = x, Value(x), mark
        return self.outside[id(x)][1]

    def _filled(self, x: np.ndarray[Any, Any]) -> Value | None:
        """Return a number spread over a shape, where that is what an array is."""
        if not x.size or x.dtype.kind not in "fiub" or (x != x.flat[0]).any():
            return None
        if x.dtype.kind == "f" and (np.signbit(x) != np.signbit(x.flat[0])).any():
            return None
        value = Value(x)
        self.nodes.append(Node(broadcast_to, (x.flat[0],), {"shape": x.shape}, (value,)))
        return value

    def lift(self, x: Any) -> Tracer:
        """Make an input of a copy of a plain array."""
        return Tracer(self, self.refer(np.array(x)))

    def concrete(self, var: Any, kind: str) -> Any:
        """Answer for what is the same in each run, and refuse else."""
        for x, value, _ in self.outside.values():
            if value is var:
                return x._plain(kind) if isinstance(x, Tracer) else super().concrete(Const(x), kind)
        error = RegionControlError(
            f"the function given to {self.what} is run once, to be compiled, and decides in Python "
            f"({kind}()) by a value that may be another one in each run. Use wg.cond or "
            f"np.where(condition, a, b) for if, and wg.while_loop for while; or write the loop as "
            f"an ordinary Python loop." + user_line()
        )
        if is_covered(call.__code__):
            self.refusal = error
        raise error

    def end(self, inputs: list[Tracer], outputs: list[Any]) -> Region:
        """End recording.

        Raises
        ------
        MutationError
            Where a plain array from outside has changed.
        """
        made = []
        for y in outputs:
            if isinstance(y, Tracer):
                y = self.inner(y)._var
            elif isinstance(y, np.ndarray):
                y = self.refer(y)
            elif type(y) in NUMBERS:
                y = np.asarray(y)[()]
            made.append(y)
        for x, _, mark in self.outside.values():
            same = mark is None or (
                mark.tobytes() == x.tobytes()
                if isinstance(mark, np.ndarray)
                else mark == checksum(x)
            )
            if not same:
                raise changed(self.what, x.shape)
        self.alive = False
        given = [value for _, value, _ in self.outside.values()]
        graph = Graph([*given, *(t._var for t in inputs)], self.nodes, made)
        graph = strip(simplify(graph, differentiable=True))
        if checking.is_on():
            verify(graph)
        return Region(graph, [x for x, _, _ in self.outside.values()], self.custom)


def changed(what: str, shape: tuple[int, ...]) -> MutationError:
    """Make the error for an array from outside that a region writes to."""
    return MutationError(
        f"the function given to {what} changes in place an array of shape {shape} from outside of "
        f"it, and it is run once for all trips. Carry the array, and return the new one."
        + user_line()
    )


def record_region(
    what: str, f: Callable[..., Sequence[Any]], examples: Sequence[Any], own: bool = False
) -> Region:
    """Record ``f(*inputs)``, which returns a sequence of arrays, as a closed graph.

    Parameters
    ----------
    what : str
        For messages.
    f : callable
    examples : sequence
        Arrays or traced values with the shapes and dtypes of the inputs; a Python number is one in
        the recording, too. Their values are computed
        with, and decide nothing.
    own : bool
        Whether all arrays that `f` brings along are its own, which nobody changes.

    Raises
    ------
    RegionControlError
        When Python decides by a value that may be another one in each run.
    MutationError
        When `f` changes an array from outside.
    """
    recorder = RegionRecorder(what, own)
    begun = now()
    with recorder, views.watched() as moved, np.errstate(all="ignore"):
        inputs = [recorder.input(x if type(x) in NUMBERS else example(x)) for x in examples]
        outputs = list(f(*inputs))
        if recorder.refusal is not None:
            raise recorder.refusal
        for y in outputs:
            if isinstance(y, Tracer):
                y._refresh()
        region = recorder.end(inputs, outputs)
    for handle, trace, var in moved:
        outer = trace is not recorder and trace.level < recorder.level
        if outer and not is_younger(var, begun):
            raise changed(what, handle.shape)
    return region


def example(x: Any) -> Any:
    """Return a plain value for a traced one: what it is now, of one example of a batch."""
    found = _under(x) if isinstance(x, Traced) else x
    if type(found) in NUMBERS:
        found = np.asarray(found)[()]
    if isinstance(found, (np.ndarray, np.generic)) and found.shape == shape_of(x):
        return found
    return np.ones(shape_of(x), dtype_of(x))[()]


def _under(x: Any) -> Any:
    if not isinstance(x, Tracer):
        return x
    x._refresh()
    var = x._var
    data = _under(var.data)
    if getattr(var, "batched", False):
        return data[0] if data is not None and len(data) else None
    return data
