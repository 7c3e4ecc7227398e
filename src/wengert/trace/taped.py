"""What tapes and recorders keep of an operation with regions."""

from __future__ import annotations

from typing import Any

from wengert.ir.build import infer
from wengert.ir.graph import Node, Value
from wengert.ops.base import RegionOp
from wengert.trace.layout import row_major
from wengert.trace.lazy import LazyValue
from wengert.trace.tracer import Tracer

__all__ = ["taped", "waiting"]


def taped(tape: Any, op: RegionOp, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """Record a loop or a branch as one that returns what its pullback reads as well."""
    inputs: list[Any] = []
    for a in args:
        if type(a) is Tracer:
            a._refresh()
            if a._trace is tape:
                inputs.append(a._var)
                continue
            if not a._trace.alive:
                raise a._trace.leaked()
        inputs.append(tape.hold(a))
    values = [x.data if type(x) is Value else x for x in inputs]
    if any(x is None for x in values):
        raise tape.let_go()
    active = [type(x) is Value and x.dtype.kind in "fc" for x in inputs]
    call, operands, kept, finish = op.derivative.taped(values, active, attrs)  # type: ignore[union-attr]
    y = call(*operands(values), **kept)
    ys = list(y) if type(y) is tuple else [y]
    outputs = tuple(map(Value, ys))
    line = None
    if tape.known is not None and tape.recorder.nodes:  # what its pullback does is for this place
        line = tape.recorder.nodes[-1].line
    tape.nodes.append(Node(call, operands(inputs), kept, outputs, line))
    made = finish(
        [
            Tracer(tape, v) if v.dtype.kind in "fc" else part
            for v, part in zip(outputs, ys, strict=True)
        ]
    )
    return tuple(made) if len(made) > 1 else made[0]


def waiting(recorder: Any, op: RegionOp, inputs: list[Any], attrs: dict[str, Any]) -> Any:
    """Append a node to a recording without evaluating it: a loop may take long."""
    avals = infer(op, inputs, attrs)
    several = len(avals) > 1
    outputs = tuple(LazyValue(a, recorder, k if several else None) for k, a in enumerate(avals))
    node = Node(op, tuple(inputs), attrs, outputs, recorder._place())
    for v in outputs:
        v.stand_for(node)
        v.strides = row_major(v.aval.shape, v.aval.dtype.itemsize)
    recorder.nodes.append(node)
    return outputs if several else outputs[0]
