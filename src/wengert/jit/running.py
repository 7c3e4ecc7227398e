"""Loops that run long while they are recorded: machine code runs them.

A recording asks for the outcome of a loop that traced values end, and evaluates it, an operation
at a time. Where that takes many trips, a program is made of the loop alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wengert.backends import make_backend
from wengert.ir.build import Builder
from wengert.ir.graph import Aval, Graph
from wengert.ops.loops import FASTER, while_loop

__all__: list[str] = []


def _program(
    test: Graph, body: Graph, consts: int
) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """Return what runs a loop; None where there is no machine code for it."""
    b = Builder()
    inputs = [b.input(Aval(v.aval.shape, v.aval.dtype)) for v in body.inputs]
    try:
        ys = b.add(while_loop, *inputs, test=test, body=body, consts=consts)
        program = make_backend("native", False).compile(b.finish(list(ys)))
    except Exception:
        return None
    if getattr(program, "backend", "native") != "native":
        return None
    return program.run


FASTER[:] = [_program]
