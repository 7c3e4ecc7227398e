"""Rematerialisation: keep a region's inputs only, and run it again when its derivative is needed.

The recorded operations of the region are kept, its intermediate arrays are not. What is computed
again starts behind a `barrier`, so no simplification merges it with the first run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from wengert import trees
from wengert.ir.graph import Pulled, Value
from wengert.ops.control import barrier
from wengert.ops.options import check_function
from wengert.trace.record import GraphRecorder, Tape, active_recorder, active_tapes
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

    __slots__ = ("external", "inner", "nodes")

    def __init__(self, nodes: list[Any], kept: set[Value]) -> None:
        self.nodes = nodes
        flat = list(_flat(nodes))
        defined = dict.fromkeys(v for node in flat for v in node.outputs)
        read = dict.fromkeys(v for node in flat for v in node.inputs if isinstance(v, Value))
        self.inner = [v for v in defined if v not in kept]
        self.external = [v for v in read if v not in defined]

    def drop(self) -> None:
        """Let the intermediate arrays go."""
        for v in self.inner:
            v.aval  # noqa: B018  (remembered before the data goes)
            v.data = None
        for node in _flat(self.nodes):
            if getattr(node.op, "custom", False):
                node.op.derivative.forget()

    def recompute(self) -> None:
        """Run the operations again, from the values outside."""
        recorder = active_recorder()
        if recorder is None:
            self._run()
            return
        outer = recorder.pulled
        try:
            self._run(recorder)
        finally:
            recorder.pulled = outer

    def _run(self, recorder: GraphRecorder | None = None) -> None:
        """Run them, and tell who records this which of them it is."""
        if recorder is not None:
            first = next(_flat(self.nodes))
            recorder.pulled = Pulled(first.line, first.op.name)
        shadow = {v: barrier(v.data) for v in self.external}
        for node in self.nodes:
            if isinstance(node, Segment):
                node.recompute()
                node.drop()
            elif any(v.data is None for v in node.outputs):
                if recorder is not None:
                    recorder.pulled = Pulled(node.line, node.op.name)
                xs = [shadow.get(v, v.data) if isinstance(v, Value) else v for v in node.inputs]
                y = node.op(*xs, **node.attrs)
                for v, part in zip(node.outputs, y if isinstance(y, tuple) else (y,), strict=True):
                    if v.data is None:
                        v.data = _lowered(part)

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


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return `f` with its intermediate arrays recomputed, not stored, for reverse mode.

    Parameters
    ----------
    f : callable
        Any function of arrays or pytrees; it may close over traced values.

    Returns
    -------
    callable
        Same results and derivatives. The backward pass evaluates `f` once more, and between the
        passes only the inputs and results of `f` are held (Griewank and Walther, *Evaluating
        Derivatives*, ch. 12).

    Raises
    ------
    LeakedTracerError
        When a value computed inside is used outside without being returned: `f` may not store into
        arrays from outside.
    """
    check_function(f, "checkpoint")

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tapes = list(active_tapes())
        starts = [len(t.nodes) for t in tapes]
        out = f(*args, **kwargs)
        recorded = [tape.nodes[start:] for tape, start in zip(tapes, starts, strict=True)]
        for k, tape in enumerate(tapes):
            if recorded[k]:
                kept = _kept(tape, out, recorded[k + 1 :])
                segment = tape.nodes[starts[k] :] = [Segment(recorded[k], kept)]
                segment[0].drop()
        return out

    return wrapped


def _kept(tape: Tape, out: Any, above: list[list[Any]]) -> set[Value]:
    """Return the values of a tape that the result holds, or the nodes of tapes above it."""
    found: set[Value] = set()
    for y in trees.flatten(out)[0]:
        _collect(y, tape, found)
    for nodes in above:
        for node in _flat(nodes):
            for x in node.inputs:
                _collect(x, tape, found)
    return found


def _collect(x: Any, tape: Tape, found: set[Value]) -> None:
    """Find the values of a tape under a traced value: those of its primal and of its tangent."""
    if isinstance(x, Tracer):
        x._refresh()
        if x._trace is tape:
            found.add(x._var)
        _collect(x._var.data, tape, found)
        _collect(getattr(x._var, "tangent", None), tape, found)
