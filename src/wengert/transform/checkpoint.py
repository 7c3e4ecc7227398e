"""Rematerialisation: keep a region's inputs only, and run it again when its derivative is needed.

The recorded operations of the region are kept, its intermediate arrays are not. What is computed
again starts behind a `barrier`, so no simplification merges it with the first run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from wengert import trees
from wengert.errors import MutationError, user_line
from wengert.follow.functions import call as call_followed
from wengert.ir.graph import BackwardPlace, Value
from wengert.ops.base import dtype_of
from wengert.ops.control import barrier
from wengert.ops.options import check_function
from wengert.trace import views
from wengert.trace.fresh import is_younger, now
from wengert.trace.lazy import LazyValue
from wengert.trace.recorder import GraphRecorder, active_recorder
from wengert.trace.tape import Tape, active_tapes
from wengert.trace.tracer import Tracer

__all__ = ["Segment", "checkpoint"]


class Segment:
    """Recorded operations whose intermediate values were let go; it stands on a tape as one node.

    Parameters
    ----------
    nodes : list of Node or Segment
    kept : set of Value
        Values that are needed outside.
    """

    __slots__ = ("external", "inner", "marks", "nodes")

    def __init__(self, nodes: list[Any], kept: set[Value]) -> None:
        self.nodes = nodes
        self.marks: dict[int, Any] = {}
        flat = list(_flat(nodes))
        defined = dict.fromkeys(v for node in flat for v in node.outputs)
        read = dict.fromkeys(v for node in flat for v in node.inputs if isinstance(v, Value))
        self.inner = [v for v in defined if v not in kept]
        self.external = [v for v in read if v not in defined]

    def remember(self) -> None:
        """Note shapes and dtypes, and what custom rules made, before the arrays go."""
        for v in self.inner:
            v.aval  # noqa: B018
        self.marks = {id(node): _mark(node) for node in self._custom()}

    def drop(self) -> None:
        """Let the intermediate arrays go."""
        for v in self.inner:
            v.data = None
        for node in self._custom():
            node.op.derivative.forget()

    def _custom(self) -> Iterator[Any]:
        return (node for node in _flat(self.nodes) if getattr(node.op, "custom", False))

    def recompute(self) -> None:
        """Run the operations again, from the values outside."""
        recorder = active_recorder()
        if recorder is None:
            self._run()
            return
        outer = recorder.provenance
        try:
            self._run(recorder)
        finally:
            recorder.provenance = outer

    def _run(self, recorder: GraphRecorder | None = None) -> None:
        """Run them, and tell who records this which of them it is."""
        if recorder is not None:
            first = next(_flat(self.nodes))
            recorder.provenance = BackwardPlace(first.line, first.op.name)
            recorder.provenance.stage = "again"
        shadow = {v: barrier(v.data) for v in self.external}
        for node in self.nodes:
            if isinstance(node, Segment):
                node.recompute()
                node.drop()
            elif any(v.data is None for v in node.outputs):
                if recorder is not None:
                    recorder.provenance = BackwardPlace(node.line, node.op.name)
                    recorder.provenance.stage = "again"
                xs = [shadow.get(v, v.data) if isinstance(v, Value) else v for v in node.inputs]
                if getattr(node.op, "custom", False):
                    y = self._called_again(node, xs)
                else:
                    y = node.op(*xs, **node.attrs)
                for v, part in zip(node.outputs, y if isinstance(y, tuple) else (y,), strict=True):
                    if v.data is None:
                        v.data = _lowered(part)

    def _called_again(self, node: Any, xs: list[Any]) -> Any:
        """Call a function with a custom rule again, which must do what it did before.

        Raises
        ------
        MutationError
        """
        y = node.op.derivative.begin(node.op, xs, _as_it_is)
        before = self.marks.get(id(node))
        if before is not None and not _agree(before, _mark_of(y, node)):
            raise MutationError(
                f"{node.op.name}, called again in the backward pass of wg.checkpoint, gave other "
                f"values than before: it reads something that has changed meanwhile, or draws "
                f"random numbers. Pass what changes as an argument." + user_line()
            )
        return y

    def backward(self, cts: Any, walk: Callable[..., None]) -> None:
        """Run the region again, then walk it backwards."""
        if any(v in cts.table for node in _flat(self.nodes) for v in node.outputs):
            self.recompute()
            walk(self.nodes, cts)
            self.drop()

    def forward(self, table: dict[Value, Any], walk: Callable[..., None]) -> None:
        """Run the region again, then push tangents through it."""
        if any(v in table for v in self.external):
            self.recompute()
            walk(self.nodes, table)
            self.drop()


def _flat(nodes: Iterable[Any]) -> Iterator[Any]:
    """Iterate over the nodes of a tape, those in segments included."""
    for node in nodes:
        if isinstance(node, Segment):
            yield from _flat(node.nodes)
        else:
            yield node


def _lowered(x: Any) -> Any:
    if isinstance(x, Tracer):
        x._refresh()
    return x


def _as_it_is(x: Any) -> Any:
    return x


def _mark(node: Any) -> Any:
    return _mark_of([v.data for v in node.outputs], node)


def _mark_of(y: Any, node: Any) -> list[tuple[float, float]]:
    """Return a few numbers by which to know results and residuals again, up to rounding."""
    marks = []
    for x in [*(y if isinstance(y, (tuple, list)) else (y,)), *node.op.derivative.held()]:
        while isinstance(x, Tracer):
            x = None if isinstance(x._var, LazyValue) else x._var.data  # not computed for this
        if x is None or dtype_of(x).kind not in "fciub":
            continue
        found = np.asarray(x)
        flat = np.abs(found.reshape(-1)) if found.dtype.kind == "c" else found.reshape(-1)
        with np.errstate(all="ignore"):
            weights = np.cos(np.arange(flat.size, dtype=float))
            marks.append((float(flat @ weights), float(np.abs(flat) @ np.abs(weights))))
    return marks


def _agree(a: list[tuple[float, float]], b: list[tuple[float, float]]) -> bool:
    """Whether marks are the same up to rounding; those that are not finite are not compared."""
    return len(a) == len(b) and all(
        not np.isfinite(p[1] + q[1]) or abs(p[0] - q[0]) <= 1e-4 * max(p[1], q[1])
        for p, q in zip(a, b, strict=True)
    )


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f` with its intermediate arrays recomputed, not stored, for reverse mode.

    Parameters
    ----------
    f : callable
        Any function of arrays or pytrees; it may close over traced values, and update them in
        place.

    Returns
    -------
    callable
        Same results and derivatives. The backward pass does the recorded operations of `f` once
        more, and between the passes only the inputs and results of `f` are held (Griewank and
        Walther, *Evaluating Derivatives*, ch. 12), and the plain arrays that it reads: a copy of a
        small one, a checksum of a large one.

    Raises
    ------
    LeakedTracerError
        When a value computed inside is used outside without being returned.
    MutationError
        In the backward pass, when a large plain array that `f` used has been changed meanwhile.
    """
    check_function(f, "checkpoint")

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tapes = list(active_tapes())
        if not tapes:
            return call_followed(f, args, kwargs)
        for x in trees.flatten((args, kwargs))[0]:
            _lowered(x)
        starts, begun = [len(t.nodes) for t in tapes], now()
        for tape in tapes:
            tape.regions += 1
        try:
            with views.watched() as moved:
                out = call_followed(f, args, kwargs)
                results = [_lowered(y) for y in trees.flatten(out)[0]]
            for y in (*results, *(handle for handle, trace, _ in moved if trace.alive)):
                _settle(y)
        finally:
            for tape in tapes:
                tape.regions -= 1
        recorded = [tape.nodes[start:] for tape, start in zip(tapes, starts, strict=True)]
        kept = _kept(tapes, recorded, results, moved, begun)
        segments = [
            Segment(nodes, found) if nodes else None
            for nodes, found in zip(recorded, kept, strict=True)
        ]
        for segment in segments:
            if segment is not None:
                segment.remember()
        for tape, start, segment in zip(tapes, starts, segments, strict=True):
            if segment is not None:
                tape.nodes[start:] = [segment]
                segment.drop()
        return out

    return wrapped


def _kept(
    tapes: list[Tape],
    recorded: list[list[Any]],
    results: list[Any],
    moved: list[tuple[Any, Any, Any]],
    begun: int,
) -> list[set[Value]]:
    """Return the values of each tape that are needed outside.

    Those that the result holds, those that handles from outside stand for after an update in place,
    and those that the nodes of tapes above refer to. Arrays made after `begun` are inside.
    """
    found: list[set[Value]] = [set() for _ in tapes]
    defined = [{v for node in _flat(nodes) for v in node.outputs} for nodes in recorded]
    for handle, trace, var in moved:
        if is_younger(var, begun) or not (handle._trace.alive and trace.alive):
            continue
        before = Tracer(trace, var)
        inside = False
        for tape, inner in zip(tapes, defined, strict=True):
            values: set[Value] = set()
            _collect(before, tape, values)
            inside = inside or not inner.isdisjoint(values)
        if not inside:
            results.append(Tracer(handle._trace, handle._var))
    for k, tape in enumerate(tapes):
        for y in results:
            _collect(y, tape, found[k])
        for nodes in recorded[k + 1 :]:
            for node in _flat(nodes):
                for x in node.inputs:
                    _collect(x, tape, found[k])
    return found


def _settle(x: Any) -> None:
    """Put zeros back into a tangent, while what says where they are is still there."""
    while isinstance(x, Tracer) and x._trace.alive:
        x._refresh()
        var = x._var
        if getattr(var, "reach", None) is not None:
            var.settle()
        x = var.data


def _collect(x: Any, tape: Tape, found: set[Value]) -> None:
    """Find the values of a tape under a traced value: those of its primal and of its slopes."""
    if isinstance(x, Tracer):
        x._refresh()
        if x._trace is tape:
            found.add(x._var)
        _collect(x._var.data, tape, found)
        for t in getattr(x._var, "slopes", ()):
            _collect(t, tape, found)
