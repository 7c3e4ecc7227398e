"""What transformations make of a region: graphs again.

A region is a function (`wengert.trace.replay.as_function`), so its derivative and its batch are
recorded as those of any function are. Which inputs move decides the graph, not their values, so
each is made once and kept, for all regions with the same text and the same lines of the user's
code. Arrays that a rule makes (indices, say) are further inputs, which come first: `extra`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from wengert.ir.build import strip
from wengert.ir.graph import Graph, Node, Value, aval_of
from wengert.ir.regions import lines
from wengert.ir.simplify import simplify
from wengert.ops.base import shape_of
from wengert.ops.rows import batch_elementwise
from wengert.ops.shape import filled
from wengert.trace.region import Region, record_region
from wengert.trace.replay import as_function
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.jvp import jvp_flat
from wengert.transform.linear import linearize_flat, quiet
from wengert.transform.reverse import Cotangents, backward

__all__ = [
    "AlongBatch",
    "Pushed",
    "Split",
    "batched",
    "once",
    "over_batch",
    "pushed",
    "split",
    "widened",
    "zeros_like",
]

R = TypeVar("R")
MOST = 512
"""How many graphs are kept."""
CHEAP = frozenset({"add", "multiply", "compare", "move"})
"""Kinds of operations that a reverse pass does again rather than have their results kept."""

_MADE: dict[Any, Any] = {}
_LOCK = threading.Lock()


def once(key: tuple[Any, ...], make: Callable[[], R]) -> R:
    """Return what was made for a key before, or make it."""
    found = _MADE.get(key)
    if found is None:
        found = make()
        with _LOCK:
            while len(_MADE) >= MOST:
                del _MADE[next(iter(_MADE))]
            _MADE[key] = found
    return found


def zeros_like(x: Any) -> Any:
    """Return zeros with the shape and dtype of an array, a value or an abstract value."""
    aval = aval_of(x)
    return np.zeros(aval.shape, aval.dtype)[()]


# --- forward --------------------------------------------------------------------------------------
class Pushed(NamedTuple):
    """A region with tangents.

    Attributes
    ----------
    graph : Graph
        Its inputs are those of the region, then the tangents of the active ones; its outputs those
        of the region, then the tangents of the active ones.
    active : tuple of bool
        Which outputs have a tangent.
    extra : list of array
    """

    graph: Graph
    active: tuple[bool, ...]
    extra: list[Any]


def pushed(
    region: Graph, active: Sequence[bool], examples: Sequence[Any], wanted: Sequence[bool] = ()
) -> Pushed:
    """Push tangents of the active inputs through a region.

    Parameters
    ----------
    wanted : sequence of bool, optional
        Outputs that are to have a tangent, of zeros where the region gives them none.
    """
    active, wanted = tuple(active), tuple(wanted) or (False,) * len(region.outputs)

    def make() -> Pushed:
        n = len(region.inputs)
        flags: list[bool] = []

        def f(*xs: Any) -> list[Any]:
            moving = iter(xs[n:])
            tangents = [next(moving) if a else None for a in active]
            ys, ts, _ = jvp_flat(as_function(region), list(xs[:n]), tangents, seeds=False)
            ts = [
                zeros_like(y) if t is None and w else t
                for y, t, w in zip(ys, ts, wanted, strict=True)
            ]
            flags[:] = [t is not None for t in ts]
            return [*ys, *(t for t in ts if t is not None)]

        slopes = [x for x, a in zip(examples, active, strict=True) if a]
        made = record_region("a loop", f, [*examples, *slopes], own=True)
        return Pushed(made.graph, tuple(flags), made.captured)

    return once(("push", region.text, lines(region), active, wanted), make)


# --- batches --------------------------------------------------------------------------------------
class AlongBatch(NamedTuple):
    """A region for all examples of a batch.

    Attributes
    ----------
    graph : Graph
    flags : tuple of bool
        Which outputs have the batch as axis 0.
    extra : list of array
    """

    graph: Graph
    flags: tuple[bool, ...]
    extra: list[Any]


def batched(
    region: Graph,
    flags: Sequence[bool],
    n: int,
    examples: Sequence[Any],
    wanted: Sequence[bool] = (),
) -> AlongBatch:
    """Run a region for each example of a batch.

    Parameters
    ----------
    flags : sequence of bool
        Which inputs have the batch as axis 0.
    n : int
        Examples in the batch.
    wanted : sequence of bool, optional
        Outputs that are to have the batch as axis 0 in any case.
    """
    flags, wanted = tuple(flags), tuple(wanted) or (False,) * len(region.outputs)

    def make() -> AlongBatch:
        found: list[bool] = []

        def f(*xs: Any) -> list[Any]:
            ys, found[:] = over_batch(as_function(region), xs, flags, n)
            for k, w in enumerate(wanted):
                if w and not found[k]:
                    ys[k], found[k] = filled(ys[k], shape=(n, *shape_of(ys[k]))), True
            return ys

        made = record_region("a loop", f, widened(examples, flags, n), own=True)
        return AlongBatch(made.graph, tuple(found), made.captured)

    return once(("batch", region.text, lines(region), flags, n, wanted), make)


def widened(examples: Sequence[Any], flags: Sequence[bool], n: int) -> list[Any]:
    """Repeat what stands for one example where it is to stand for a batch."""
    return [
        np.repeat(np.asarray(x)[None], n, 0) if f else x
        for x, f in zip(examples, flags, strict=True)
    ]


def over_batch(
    f: Callable[..., Sequence[Any]], xs: Sequence[Any], flags: Sequence[bool], n: int
) -> tuple[list[Any], list[bool]]:
    """Apply a function of flat arrays along a batch; say which results have the batch as axis 0."""
    trace = BatchTrace(n)
    try:
        inputs = [
            Tracer(trace, Batched(x, True)) if b else x for x, b in zip(xs, flags, strict=True)
        ]
        ys, found = [], []
        for y in f(*inputs):
            if isinstance(y, Tracer):
                y._refresh()
            inside = isinstance(y, Tracer) and y._trace is trace
            ys.append(y._var.data if inside else y)
            found.append(inside and y._var.batched)
        return ys, found
    finally:
        trace.alive = False


# --- reverse --------------------------------------------------------------------------------------
class Split(NamedTuple):
    """A region and its derivative in reverse, in two graphs.

    Attributes
    ----------
    first : Graph
        From the region's inputs to its outputs and the residuals.
    second : Graph
        From the region's inputs, the residuals, the cotangents of the active outputs, and the sums
        so far of the cotangents of some inputs, to the cotangents of the active inputs.
    active : tuple of bool
        Which outputs have cotangents.
    residuals : int
    extra : list of array
        Both graphs take them.
    """

    first: Graph
    second: Graph
    active: tuple[bool, ...]
    residuals: int
    extra: list[Any]


def split(
    region: Graph,
    active: Sequence[bool],
    examples: Sequence[Any],
    kept: Sequence[bool],
    summed: Sequence[bool],
    wanted: Sequence[bool] = (),
) -> Split:
    """Differentiate a region in reverse.

    Parameters
    ----------
    active : sequence of bool
        Inputs whose cotangents are wanted.
    kept : sequence of bool
        Inputs that the second graph gets without their being residuals.
    summed : sequence of bool
        Active inputs whose cotangent is added to a sum, which the second graph gets.
    wanted : sequence of bool, optional
        As for `pushed`.
    """
    active, kept, summed = tuple(active), tuple(kept), tuple(summed)
    wanted = tuple(wanted)

    def make() -> Split:
        outputs = pushed(region, active, examples, wanted).active
        n, m = len(region.inputs), sum(outputs)

        def f(*xs: Any) -> list[Any]:
            primals, cts, sums = list(xs[:n]), iter(xs[n : n + m]), iter(xs[n + m :])

            def moved(*moving: Any) -> list[Any]:
                it = iter(moving)
                full = [next(it) if a else x for x, a in zip(primals, active, strict=True)]
                return as_function(region)(*full)

            lin = linearize_flat(moved, [x for x, a in zip(primals, active, strict=True) if a])
            table = Cotangents()
            roots = iter(lin.roots)
            for a, s in zip(active, summed, strict=True):
                root = next(roots) if a else None
                if root is not None and s:
                    table.table[root] = next(sums)
            for v, flag in zip(lin.outs, outputs, strict=True):
                ct = next(cts) if flag else None
                if v is not None and ct is not None:
                    table.add(v, ct)
            table.follow(lin.tape.nodes)
            with quiet():
                backward(lin.tape.nodes, table)
            found = [table.read(root) for root in lin.roots]
            return [
                *lin.ys,
                *(zeros_like(r) if c is None else c for r, c in zip(lin.roots, found, strict=True)),
            ]

        ones = [
            np.ones(aval_of(y).shape, aval_of(y).dtype)[()]
            for y, flag in zip(region.outputs, outputs, strict=True)
            if flag
        ]
        ones += [zeros_like(v) for v, s in zip(region.inputs, summed, strict=True) if s]
        whole = record_region("a loop", f, [*examples, *ones], own=True)
        return _cut(whole, n, len(region.outputs), kept, outputs)

    return once(("split", region.text, lines(region), active, kept, summed, wanted), make)


def _is_cheap(node: Node) -> bool:
    """Whether a node is elementwise, of one operation, or moves elements."""
    op = node.op
    moves = op.counts == "move" and not op.kept
    single = op.batch is batch_elementwise and sum(op.kinds.values()) == 1
    return len(node.outputs) == 1 and (moves or (single and op.kinds.keys() <= CHEAP))


def _cut(recorded: Region, n: int, count: int, kept: Sequence[bool], active: Any) -> Split:
    """Cut a graph into what depends on its first `n` inputs only, and the rest."""
    whole, extra = recorded.graph, recorded.captured
    n += len(extra)
    kept = [True] * len(extra) + list(kept)
    known: set[Any] = set(whole.inputs[:n])
    makers: dict[Value, tuple[int, Node]] = {}
    early, late = [], []
    for i, node in enumerate(whole.nodes):
        if all(not isinstance(x, Value) or x in known for x in node.inputs):
            early.append(node)
            known.update(node.outputs)
            makers.update((v, (i, node)) for v in node.outputs)
        else:
            late.append(node)
    there = {v for v, k in zip(whole.inputs, kept, strict=False) if k}
    cts = whole.outputs[count:]
    edge = dict.fromkeys(
        x
        for x in [*(x for node in late for x in node.inputs), *cts]
        if isinstance(x, Value) and x in known and x not in there
    )
    again: dict[int, Node] = {}
    redone: set[Value] = set()
    waiting = sorted((v for v in edge if v in makers), key=lambda v: -makers[v][0])
    while waiting:
        v = waiting.pop(0)
        i, node = makers[v]
        if not _is_cheap(node):
            continue
        more = {
            x
            for x in node.inputs
            if isinstance(x, Value) and x not in there and x not in edge and x not in redone
        }
        if sum(x.aval.nbytes for x in more) >= v.aval.nbytes:
            continue
        del edge[v]
        redone.add(v)
        again[i] = node
        for x in more:
            edge[x] = None
            if x in makers:
                waiting.append(x)
    residuals = list(edge)
    inputs = whole.inputs[:n]
    first = Graph(inputs, early, [*whole.outputs[:count], *residuals])
    # An input that is a residual has a value of its own in the second graph.
    own = {v: Value(aval=v.aval) for v in residuals if v in inputs}
    nodes = [again[i] for i in sorted(again)] + late
    second = Graph(
        [*(Value(aval=v.aval) if v in own else v for v in inputs), *residuals, *whole.inputs[n:]],
        nodes,
        cts,
    )
    tidy = [strip(simplify(g, differentiable=True)) for g in (first, second)]
    return Split(tidy[0], tidy[1], tuple(active), len(residuals), extra)
