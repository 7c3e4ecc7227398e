"""Rematerialisation: keep a region's inputs only, and run it again when its derivative is needed.

The recorded operations of the region are kept, its intermediate arrays are not. What is computed
again starts behind a `barrier`, so no simplification merges it with the first run.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from wengert import trees
from wengert.ir.graph import Value
from wengert.ops.control import barrier
from wengert.trace.record import Tape, active_tapes
from wengert.trace.tracer import Tracer

__all__ = ["Segment", "checkpoint"]


class Segment:
    """Recorded operations whose intermediate values were let go."""

    __slots__ = ("external", "inner", "nodes")

    def __init__(self, nodes: list[Any], kept: set[Value]) -> None:
        self.nodes = nodes
        defined = {v for node in nodes for v in _outputs(node)}
        self.inner = [v for v in defined if v not in kept]
        self.external = list({
            v: None for node in nodes for v in _inputs(node) if isinstance(v, Value) and v not in defined
        })

    def drop(self) -> None:
        """Let the intermediate arrays go."""
        for v in self.inner:
            v.aval  # noqa: B018  (remembered before the data goes)
            v.data = None

    def _recompute(self) -> None:
        shadow = {v: barrier(v.data) for v in self.external}
        inner = set(self.inner)
        for node in self.nodes:
            if isinstance(node, Segment):
                node._recompute()
                continue
            if not any(v in inner for v in node.outputs):
                continue
            xs = [shadow.get(v, v.data) if isinstance(v, Value) else v for v in node.inputs]
            y = node.op(*xs, **node.attrs)
            for v, part in zip(node.outputs, y if isinstance(y, tuple) else (y,), strict=True):
                if v in inner:
                    v.data = part

    def backward(self, cts: Any, walk: Callable[..., None]) -> None:
        """Run the region again, then walk it backwards."""
        if not any(v in cts.table for node in self.nodes for v in _outputs(node)):
            return
        self._recompute()
        walk(self.nodes, cts)
        self.drop()

    def forward(self, table: dict[Value, Any], walk: Callable[..., None]) -> None:
        """Run the region again, then push tangents through it."""
        if not any(v in table for v in self.external):
            return
        self._recompute()
        walk(self.nodes, table)
        self.drop()


def _outputs(node: Any) -> list[Value]:
    if isinstance(node, Segment):
        return [v for n in node.nodes for v in _outputs(n)]
    return list(node.outputs)


def _inputs(node: Any) -> list[Any]:
    if isinstance(node, Segment):
        return [v for n in node.nodes for v in _inputs(n)]
    return list(node.inputs)


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
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        tapes = list(active_tapes())
        starts = [len(t.nodes) for t in tapes]
        out = f(*args, **kwargs)
        for tape, start in zip(tapes, starts, strict=True):
            _fold(tape, start, out)
        return out

    return wrapped


def _fold(tape: Tape, start: int, out: Any) -> None:
    """Replace the nodes recorded since `start` by one segment."""
    nodes = tape.nodes[start:]
    if not nodes:
        return
    kept: set[Value] = set()
    for y in trees.flatten(out)[0]:
        while isinstance(y, Tracer):
            y._refresh()
            var = y._var
            if y._trace is tape and isinstance(var, Value):
                kept.add(var)
            y = var.data
    segment = Segment(nodes, kept)
    segment.drop()
    tape.nodes[start:] = [segment]
