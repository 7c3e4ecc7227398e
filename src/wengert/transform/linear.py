"""Linearisation: a function recorded at a point, as a linear map that goes both ways.

`Linearized.push` is the Jacobian times a tangent, `Linearized.pull` a cotangent times the Jacobian;
both walk the same tape, and neither evaluates the function again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from wengert.ir.graph import Node, TangentPlace, Value
from wengert.ops.base import ZERO, is_inexact
from wengert.trace.capture import Arguments
from wengert.trace.recorder import GraphRecorder, active_recorder
from wengert.trace.tape import Tape
from wengert.trace.tracer import Tracer
from wengert.transform.forward import push, push_within
from wengert.transform.reach import (
    Reach,
    Tangents,
    has_given,
    has_nan,
    has_parts,
    is_followed,
    is_zero,
)
from wengert.transform.reverse import pull_back, with_provenance
from wengert.transform.rolled import rolled

__all__ = ["Linearized", "as_recorded", "forward", "linearize_flat", "quiet"]


class quiet(np.errstate):
    """Silence floating-point warnings while derivatives are computed.

    The function itself has already warned; a derivative is infinite or NaN where it is.
    """

    def __init__(self) -> None:
        super().__init__(all="ignore")


def as_recorded(x: Any, values: Iterable[Any]) -> Any:
    """Let a recorder follow a plain array that goes through the derivative of traced values.

    What is linear in it would be computed at full size while recording, else, and be kept.
    """
    if not isinstance(x, np.ndarray) or not x.shape or x.dtype.kind not in "fc":
        return x
    recorder = active_recorder()
    if recorder is None or not any(isinstance(v, Tracer) for v in values):
        return x
    return recorder.constant(x)


class Linearized:
    """A function's values at a point and its derivative there.

    Attributes
    ----------
    ys : list
        The function's flat results, one level down.
    """

    __slots__ = ("outs", "roots", "tape", "ys")

    def __init__(
        self, tape: Tape, roots: list[Value], outs: list[Value | None], ys: list[Any]
    ) -> None:
        self.tape = tape
        self.roots = roots
        self.outs = outs
        self.ys = ys

    def push(self, tangents: list[Any]) -> list[Any]:
        """Return the tangents of the results; None is zero, on both sides."""
        ts = [None if is_zero(t) else as_recorded(t, self.ys) for t in tangents]
        self.tape.captured.verify()

        def run(follow: bool) -> list[Any]:
            table = Tangents(follow)
            for r, t in zip(self.roots, ts, strict=True):
                table.start(r, t)
            forward(nodes, table)
            return [table.read(v) for v in self.outs]

        nodes = self.tape.nodes
        seeds = list(zip(self.roots, ts, strict=True))
        with quiet():
            if is_followed(nodes, seeds):
                return run(True)
            found = run(False)
            again = has_nan(found) and (has_parts(nodes) or has_given(seeds))
            return run(True) if again else found

    def pull(self, cotangents: list[Any]) -> list[Any]:
        """Return the cotangents of the inputs; None is zero, on both sides."""
        self.tape.captured.verify()
        seeds = [
            (v, as_recorded(ct, self.ys))
            for v, ct in zip(self.outs, cotangents, strict=True)
            if v is not None and not is_zero(ct)
        ]
        with quiet():
            return pull_back(self.tape.nodes, seeds, self.roots)


def forward(nodes: list[Any], table: Tangents) -> None:
    """Push tangents along a tape; `table` gets those of all values that have one."""
    with_provenance(_forward, nodes, table)


def _forward(nodes: list[Any], table: Tangents, recorder: GraphRecorder | None = None) -> None:
    """Walk the nodes, and tell who records this which of them the operations are for."""
    for node in nodes:
        if type(node) is not Node:
            node.forward(table, forward)
            continue
        if recorder is not None and node.line is not None:
            recorder.provenance = TangentPlace(node.line).of(node.line)
        if node.op.derivative is ZERO:
            continue
        ts = [table.get(v) if isinstance(v, Value) else None for v in node.inputs]
        if all(t is None for t in ts):
            continue
        xs = [v.data if isinstance(v, Value) else v for v in node.inputs]
        outputs = node.outputs
        y = outputs[0].data if len(outputs) == 1 else tuple(v.data for v in outputs)
        reaches = table.reaches
        if reaches is None:
            t, r = push(node.op, y, xs, ts, node.attrs), None
        else:
            rs = [reaches.get(v) if isinstance(v, Value) else None for v in node.inputs]
            t, r = push_within(node.op, y, xs, ts, rs, node.attrs)
        if t is None:
            continue
        for v, part in zip(outputs, t if isinstance(t, tuple) else (t,), strict=True):
            if part is not None:
                table[v] = part
        if isinstance(r, Reach) and reaches is not None:
            reaches[outputs[0]] = r


def linearize_flat(
    f: Callable[..., list[Any]], leaves: list[Any], kept: bool = False
) -> Linearized:
    """Record ``f(*leaves)``, which returns a list of arrays, at a point.

    Leaves of integer dtype are passed through as constants. `kept` says that the caller may change
    the leaves in place before the derivative is used.
    """
    given = Arguments(leaves)
    with Tape() as tape:
        args: list[Any] = []
        roots: list[Value] = []
        a: Any
        for x in leaves:
            if is_inexact(x):
                a = tape.input(x, kept)
                roots.append(a._var)
            else:
                a = tape.captured.keep(x) if kept and isinstance(x, np.ndarray) else x
                roots.append(Value(a))
            args.append(a)
        results = f(*args)
        given.verify(args, tape.captured)
        outs: list[Value | None] = []
        ys = []
        for y in results:
            if isinstance(y, Tracer):
                y._refresh()
                if y._trace is tape:
                    outs.append(y._var)
                    ys.append(y._var.data)
                    continue
                y._check_alive()
            outs.append(None)
            ys.append(y)
    moving = [k for k, a in enumerate(args) if isinstance(a, Tracer) and a._trace is tape]
    there = [k for k, v in enumerate(outs) if v is not None]
    shorter, ins, made = rolled(tape, [roots[k] for k in moving], [outs[k] for k in there])
    if shorter is not tape:
        for k, v in zip(moving, ins, strict=True):
            roots[k] = v
        for k, v in zip(there, made, strict=True):
            outs[k], ys[k] = v, v.data
    return Linearized(shorter, roots, outs, ys)
