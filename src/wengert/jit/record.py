"""Record a call of a Python function as a graph."""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert import trees
from wengert.errors import MutationError, cause_of, user_line
from wengert.ir.build import strip
from wengert.ir.graph import Const, Graph, Value
from wengert.ir.simplify import remove_dead, simplify
from wengert.jit.fastpath import OUTPUT, builder
from wengert.jit.form import DYNAMIC, Form
from wengert.jit.state import State
from wengert.memory.lean import twice
from wengert.ops.base import Traced
from wengert.ops.constants import fold_fixed
from wengert.ops.raising import kept
from wengert.trace.capture import READING, Arguments
from wengert.trace.recorder import GraphRecorder

__all__ = ["Recorded", "Result", "record", "uncompiled", "without_collection"]

_LOCK = threading.Lock()
_PAUSES: list[bool] = []


@contextlib.contextmanager
def without_collection() -> Iterator[None]:
    """Pause the collection of cyclic garbage.

    A graph is many small objects that all stay, and the collector walks through all of them again
    and again while it grows: more than half of the time of recording a long program. It resumes
    when the last thread that paused it is done, if it was at work before.
    """
    with _LOCK:
        _PAUSES.append(gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _LOCK:
            if len(_PAUSES) > 1:
                _PAUSES.pop()  # the first one knows whether it was at work
            elif _PAUSES.pop():
                gc.enable()


class Result:
    """The form of a function's result.

    Attributes
    ----------
    spec : optree.PyTreeSpec
    still : list
        Its leaves, `OUTPUT` in the place of each that a graph computes; the others stay.
    rebuild : callable
        From a graph's outputs to the result.
    """

    def __init__(self, spec: Any, leaves: Sequence[Any], dynamic: Sequence[bool]) -> None:
        self.spec = spec
        self.still = [OUTPUT if d else y for y, d in zip(leaves, dynamic, strict=True)]
        self.rebuild: Callable[[Sequence[Any]], Any] = builder(spec, self.still) or self._unflatten

    def _unflatten(self, ys: Sequence[Any]) -> Any:
        moving = iter(ys)
        return self.spec.unflatten([next(moving) if y is OUTPUT else y for y in self.still])


class Recorded(NamedTuple):
    """A recorded call.

    Attributes
    ----------
    graph : Graph
        From the data among the arguments to the data in the result, simplified.
    result : Result
        From the graph's outputs to the function's result.
    custom : bool
        Whether the function uses one with a derivative of its own, which the graph does not show.
    why : str
        Why the graph stands for this call only (`wengert.trace.alarm.Alarm.why`); empty where it
        stands for others too.
    error : Exception or None
        What was raised, and caught by the function.
    values : list or None
        Where `why` is not empty: the graph's outputs as they were recorded, where they are the
        function's.
    laid : bool
        Whether it holds only for arguments that lie in memory like those it was made with.
    notes : sequence
        What was decided while recording; each prints itself.
    """

    graph: Graph
    result: Result
    custom: bool
    why: str = ""
    error: BaseException | None = None
    values: list[Any] | None = None
    laid: bool = False
    notes: Sequence[Any] = ()


@without_collection()
def record(
    f: Callable[..., Any],
    leaves: Sequence[Any],
    form: Form,
    *,
    differentiable: bool = False,
    recorder: GraphRecorder | None = None,
    state: State | None = None,
    whole: bool = False,
) -> Recorded:
    """Record a call of `f`.

    Parameters
    ----------
    f : callable
    leaves : sequence
        Arrays and scalars; each becomes an input of the graph.
    form : Form
        How the arguments are made from them.
    differentiable : bool
        Keep what matters to derivatives only.
    recorder : GraphRecorder, optional
        A new one that notes more than the graph.
    state : State, optional
        What `f` looks up; it is told what of that the recording has read.

    whole : bool
        Keep all operations, also those that no result needs, as they are.

    Raises
    ------
    MutationError
        When `f` changes an argument in place, which its caller would expect to see.
    """
    given = Arguments(leaves, whole=True)
    try:
        with recorder or GraphRecorder() as recorder:
            inputs = [recorder.input(x) for x in leaves]
            roots = [t._var for t in inputs]
            with watched(recorder, state):
                out = form.call(f, inputs)
            _check_unchanged(f, inputs)
            given.verify()
            results, spec = trees.flattened(out)
            dynamic = [isinstance(y, (Traced, *DYNAMIC)) for y in results]
            graph = recorder.finish(inputs, [y for y, d in zip(results, dynamic, strict=True) if d])
    except ValueError as error:
        reason = cause_of(error)
        if reason is error:
            raise
        raise reason from None
    values = None
    alarm = recorder.alarm
    if alarm.why and alarm.why != "followed":
        values = [concrete(y) for y in graph.outputs]
    recorder.store.clear()
    graph = Graph(roots, graph.nodes, graph.outputs, graph.guards)
    recorder.forget()
    if recorder.rerolled:
        graph = remove_dead(graph)  # the trips that a loop stands for
    if not whole:
        graph = kept(simplify(fold_fixed(graph), differentiable=differentiable))
    graph = strip(graph if differentiable or whole else twice(graph))
    return Recorded(
        graph, Result(spec, results, dynamic), recorder.custom, alarm.why, alarm.error, values,
        recorder.laid, tuple(recorder.notes),
    )  # fmt: skip


@contextlib.contextmanager
def watched(recorder: GraphRecorder, state: State | None) -> Iterator[None]:
    """Let a state know what a recording reads, and the recording what random numbers it draws."""
    if state is None:
        yield
        return
    recorder.sites = {}
    plainly: set[int] = set()
    state.begin()
    READING.sets.append(plainly)
    try:
        yield
    finally:
        READING.sets.pop()
    state.settle(recorder.sites, plainly)
    drawn = state.drawn()
    if drawn and not recorder.alarm.why:
        recorder.alarm.why, recorder.alarm.error = "random", None
        state.source = drawn


def concrete(x: Any) -> Any:
    """Return what an output of a recording is for its own call, as a new array."""
    x = x.data if isinstance(x, (Value, Const)) else x
    return np.array(x) if isinstance(x, np.ndarray) else x


def _check_unchanged(f: Callable[..., Any], inputs: Sequence[Any]) -> None:
    for t in inputs:
        if t._version:
            raise _changes(f, f"an argument of shape {t.shape}")


def _changes(f: Callable[..., Any], what: str) -> MutationError:
    return MutationError(
        f"{getattr(f, '__name__', 'the function')} changes {what} in place, which a compiled "
        f"function does not do to its caller's arrays. Begin with x = x.copy(), and return the "
        f"new value." + user_line()
    )


def uncompiled(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run a function itself; as in a compiled one, arguments stay and results are new.

    Raises
    ------
    MutationError
        When `f` writes into an argument, or into a view of one: NumPy is told not to.
    """
    given = args, kwargs
    args, kwargs = trees.map_leaves(trees.read_only, given)
    try:
        return trees.map_leaves(trees.renewed, f(*args, **kwargs))
    except ValueError as error:
        leaves = trees.flatten(given)[0]
        writeable = any(isinstance(x, np.ndarray) and x.flags.writeable for x in leaves)
        if not writeable or "read-only" not in str(error) or isinstance(error, MutationError):
            raise
        raise _changes(f, "an argument, or a view of one,") from error
