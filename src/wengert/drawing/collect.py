"""Record a function with its derivative, and know the cotangent of each value.

A reverse pass takes each cotangent from a table once; the table used here remembers what was taken.
The recorded graph is then evaluated with NumPy, one operation after the other, for the values, the
cotangents and the time of each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import optree

from wengert import trees
from wengert.analysis.loops.recorder import LoopRecorder
from wengert.drawing.bodies import Bodies, Ran
from wengert.drawing.model import Snapshot
from wengert.drawing.snapshots import snapshot
from wengert.ir.build import computed, typed
from wengert.ir.graph import Const, Graph, Node, Value
from wengert.ir.liveness import last_reads
from wengert.jit.fastpath import OUTPUT
from wengert.jit.form import DYNAMIC, split
from wengert.jit.record import Recorded, record, without_collection
from wengert.ops.base import Traced, dtype_of, is_inexact, shape_of
from wengert.ops.convert import convert
from wengert.trace.tape import Tape
from wengert.trace.tracer import Tracer
from wengert.transform.linear import quiet
from wengert.transform.reverse import Cotangents, pull_back

__all__ = ["Collected", "collect", "collect_graph"]

REPEATS = 5
BRIEF = 0.02
"""An operation that takes less than this (seconds, all of them) is timed several times."""


class Collected(NamedTuple):
    """What is known of a function before it is drawn.

    Attributes
    ----------
    name : str
    graph : Graph
    arguments : list of str
        A name for each input.
    results : list of str
        A role for each output: ``result`` or ``gradient``.
    of : list of str
        For each output that is a gradient, the name of its argument; else empty.
    cotangents : dict
        From a value to that of its cotangent.
    values : dict
        A `Snapshot` of each value.
    bodies : dict
        What the regions of a loop or a branch did, by its first result and their number.
    seconds : list of float or None
        Time of each node.
    trips : bool
        Whether the trips of the user's loops were told apart.
    same : dict
        Values that are others, Python's numbers as NumPy's, and are not drawn.
    """

    name: str
    graph: Graph
    arguments: list[str]
    results: list[str]
    of: list[str]
    cotangents: dict[Value, Any]
    values: dict[Any, Snapshot]
    bodies: dict[tuple[Value, int], Ran]
    seconds: list[float] | None
    trips: bool
    same: dict[Value, Value]


class _Remembering(dict[Any, Any]):
    """A table of cotangents that remembers what is taken from it."""

    def __init__(self) -> None:
        super().__init__()
        self.taken: dict[Any, Any] = {}

    def pop(self, key: Any, *default: Any) -> Any:
        """Take a cotangent."""
        found = super().pop(key, *default)
        if found is not None:  # an array that nobody else holds may become part of the program
            self.taken[key] = found.copy() if isinstance(found, np.ndarray) else found
        return found


class _Kept(Cotangents):
    """Cotangents that stay known after the pass."""

    __slots__ = ()

    def __init__(self, roots: Sequence[Value] = ()) -> None:
        super().__init__(roots)
        self.table = _Remembering()


@without_collection()
def collect(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: Any,
    names: Sequence[str],
) -> Collected:
    """Record a function of the user with its derivative.

    Parameters
    ----------
    f : callable
    args, kwargs : the call
    argnums : int, sequence of int, or ()
        The arguments to differentiate; ``()`` for the function alone.
    names : sequence of str
        A name for each leaf of the arguments, of those too that are no data.
    """
    name = getattr(f, "__name__", None) or type(f).__name__
    leaves, form = split(args, kwargs)
    recorder = LoopRecorder()
    every, names = names, _of_data(args, kwargs, names)
    if isinstance(argnums, (tuple, list)) and not argnums:
        recorded = record(f, leaves, form, recorder=recorder)
        return _collected(name, recorded.graph, leaves, names, recorder.watches)
    found = _Pass()
    recorded = record(found.of(f, argnums, name), leaves, form, recorder=recorder)
    return _paired(name, recorded, leaves, names, every, found, recorder.watches)


def _of_data(args: tuple[Any, ...], kwargs: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Return the names of those leaves that are inputs of a graph."""
    leaves = trees.flatten((args, kwargs))[0]
    return [n for n, x in zip(names, leaves, strict=True) if isinstance(x, (Traced, *DYNAMIC))]


class _Pass:
    """One evaluation with its reverse pass, and where its parts stand among what it returns.

    Attributes
    ----------
    results, gradients, pairs : int
        How many of each there are, in this order; a pair is a value and its cotangent.
    which : list of int
        For each gradient, the leaf that it belongs to, counted among the chosen arguments'.
    """

    def __init__(self) -> None:
        self.results = self.gradients = self.pairs = 0
        self.which: list[int] = []
        self.chosen: Any = None

    def of(self, f: Callable[..., Any], argnums: Any, name: str) -> Callable[..., Any]:
        """Return the function that is recorded."""

        def both(*args: Any, **kwargs: Any) -> list[Any]:
            chosen = self.chosen = trees.select(args, argnums, f"draw({name})")
            with Tape() as tape:
                inputs = [tape.input(x) for x in chosen.leaves]
                roots = [t._var for t in inputs]
                out = chosen.call(f, inputs, kwargs)
                ys = [trees.unwrap(y, tape) for y in optree.tree_leaves(out)]
                seeds = [_seed(y, tape) for y in optree.tree_leaves(out)]
            tape.captured.verify()
            made: list[_Kept] = []

            def kept(roots: Sequence[Value]) -> _Kept:
                made.append(_Kept(roots))
                return made[-1]

            with quiet():
                grads = pull_back(tape.nodes, [s for s in seeds if s is not None], roots, kept)
            taken = made[-1].table.taken  # type: ignore[attr-defined]
            taken.update({v: ct for v, ct in zip(roots, grads, strict=True) if ct is not None})
            pairs = [(v.data, ct) for v, ct in taken.items() if isinstance(v.data, Tracer)]
            ys = [y for y in ys if isinstance(y, (Traced, *DYNAMIC))]
            self.results, self.gradients, self.pairs = len(ys), len(grads), len(pairs)
            zeros = [
                np.zeros(shape_of(x), dtype_of(x)) if ct is None else ct
                for x, ct in zip(chosen.leaves, grads, strict=True)
            ]
            return [*ys, *zeros, *(x for pair in pairs for x in pair)]

        both.__name__ = name
        return both


def _seed(y: Any, tape: Tape) -> tuple[Value, Any] | None:
    """Return the cotangent with which the way back begins: 1 for each number of the result."""
    if not isinstance(y, Tracer) or y._trace is not tape or not is_inexact(y):
        return None
    y._refresh()
    shape, dtype = shape_of(y), dtype_of(y)
    return y._var, np.ones(shape, dtype) if shape else dtype.type(1)


def _paired(
    name: str, recorded: Recorded, leaves: Sequence[Any], names: Sequence[str],
    every: Sequence[str], found: _Pass, watched: bool,
) -> Collected:  # fmt: skip
    """Take the cotangents off the outputs of a graph."""
    graph = recorded.graph
    made = iter(graph.outputs)
    outputs = [next(made) if y is OUTPUT else y for y in recorded.result.still]
    n, m = found.results, found.results + found.gradients
    true = outputs[:m]
    pairs = dict(zip(outputs[m::2], outputs[m + 1 :: 2], strict=True))
    alive = {y for y in true if isinstance(y, Value)} | {g.value for g in graph.guards}
    nodes = []
    for node in reversed(graph.nodes):
        if not alive.isdisjoint(node.outputs):
            nodes.append(node)
            alive.update(x for x in node.inputs if isinstance(x, Value))
    alive.update(graph.inputs)
    graph = Graph(graph.inputs, nodes[::-1], true)
    argnums = found.chosen.argnums
    places = iter(every)
    by_argument = [[next(places) for _ in optree.tree_leaves(a)] for a in found.chosen.args]
    of = [name for i in argnums for name in by_argument[i]]
    cotangents = {
        v: ct for v, ct in pairs.items()
        if isinstance(v, Value) and v in alive and not (isinstance(ct, Value) and ct not in alive)
    }  # fmt: skip
    collected = _collected(name, graph, leaves, names, watched)
    renamed = {_same(v, collected.same): _same(ct, collected.same) for v, ct in cotangents.items()}
    return collected._replace(
        results=["result"] * n + ["gradient"] * (m - n),
        of=[""] * n + of,
        cotangents=renamed,
    )


def collect_graph(
    name: str,
    graph: Graph,
    args: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    names: Sequence[str] = (),
) -> Collected:
    """Take a graph as it is; without the arguments of a call it has no values and no times."""
    kwargs = kwargs or {}
    leaves: Sequence[Any] | None = split(args, kwargs)[0]
    names = _of_data(args, kwargs, names) if names else ()
    if len(leaves or ()) != len(graph.inputs):
        leaves, names = None, ()
    return _collected(name, graph, leaves, names, False)


def collect_call(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], names: Sequence[str]
) -> Collected:
    """Record what a function does, a derivative among others."""
    name = getattr(f, "__name__", None) or type(f).__name__
    leaves, form = split(args, kwargs)
    names = _of_data(args, kwargs, names)
    recorder = LoopRecorder()
    graph = record(f, leaves, form, recorder=recorder).graph
    return _collected(name, graph, leaves, names, recorder.watches)


def _collected(
    name: str, graph: Graph, leaves: Sequence[Any] | None, names: Sequence[str], watched: bool
) -> Collected:
    values: dict[Any, Snapshot] = {}
    inside: dict[tuple[Value, int], Ran] = {}
    seconds = None if leaves is None else _evaluate(graph, leaves, values, inside)
    graph, seconds, same = _without_conversions(graph, seconds)
    results = ["result"] * len(graph.outputs)
    arguments = [*names, *(f"x{k}" for k in range(len(names), len(graph.inputs)))]
    of = [""] * len(results)
    return Collected(
        name, graph, arguments, results, of, {}, values, inside, seconds, watched, same
    )


def _same(x: Any, same: dict[Value, Value]) -> Any:
    return same.get(x, x) if isinstance(x, Value) else x


def _without_conversions(
    graph: Graph, seconds: list[float] | None
) -> tuple[Graph, list[float] | None, dict[Value, Value]]:
    """Leave out what only makes a number of Python one of NumPy."""
    same: dict[Value, Value] = {}
    nodes = []
    times = []
    for k, node in enumerate(graph.nodes):
        x = node.inputs[0] if node.op is convert else None
        if isinstance(x, Value) and x.aval.weak and x.dtype == node.outputs[0].dtype:
            same[node.outputs[0]] = same.get(x, x)
            continue
        inputs = tuple([_same(x, same) for x in node.inputs])
        nodes.append(Node(node.op, inputs, node.attrs, node.outputs, node.line))
        times.append(seconds[k] if seconds else 0.0)
    if not same:
        return graph, seconds, same
    made = Graph(graph.inputs, nodes, [_same(y, same) for y in graph.outputs])
    return made, times if seconds else None, same


def _evaluate(
    graph: Graph,
    leaves: Sequence[Any],
    shots: dict[Any, Snapshot],
    inside: dict[tuple[Value, int], Ran],
) -> list[float]:
    """Run the nodes one after the other; an array is let go once nobody reads it any more."""
    bodies = Bodies()
    dying: dict[int, list[Value]] = {}
    for v, i in last_reads(graph.nodes).items():
        dying.setdefault(i, []).append(v)
    table: dict[Value, Any] = dict(zip(graph.inputs, leaves, strict=True))
    shots.update((v, snapshot(x)) for v, x in table.items())
    shots.update((c, snapshot(c.data)) for c in graph.consts())
    seconds = []
    brief = BRIEF / max(1, len(graph.nodes))
    with np.errstate(all="ignore"):
        for i, node in enumerate(graph.nodes):
            xs = [
                table[x] if isinstance(x, Value) else x.data if isinstance(x, Const) else x
                for x in node.inputs
            ]
            least = None
            for _ in range(REPEATS):
                start = time.perf_counter()
                made = computed(node, xs)
                took = time.perf_counter() - start
                least = took if least is None else min(least, took)
                if took > brief:
                    break
            seconds.append(least or 0.0)
            ys = made if isinstance(made, tuple) else (made,)
            for v, y in zip(node.outputs, ys, strict=True):
                table[v] = y = typed(y, v.aval)
                shots[v] = snapshot(y)
            for number, ran in bodies.run(node, xs, ys):
                inside[node.outputs[0], number] = ran
            for v in dying.get(i, ()):
                table.pop(v, None)
    return seconds
