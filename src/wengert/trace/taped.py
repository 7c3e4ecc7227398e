"""What a tape records of an operation with regions."""

from __future__ import annotations

from typing import Any

from wengert.ir.graph import Node, Value
from wengert.ops.base import RegionOp
from wengert.trace.tracer import Tracer

__all__ = ["taped"]


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
    tape.nodes.append(Node(call, operands(inputs), kept, outputs, None))
    made = finish(
        [
            Tracer(tape, v) if v.dtype.kind in "fc" else part
            for v, part in zip(outputs, ys, strict=True)
        ]
    )
    return tuple(made) if len(made) > 1 else made[0]
