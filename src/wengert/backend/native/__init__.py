"""Native code for the processor that it runs on, through LLVM; no compiler is needed.

`schedule` decides the loops, `scalar` and `emit` write them, `run` calls them.
May import: ir, backend, backend.native.schedule, backend.native.run.
"""

from __future__ import annotations

from wengert.backend.base import Program
from wengert.backend.native.run.checked import CheckedProgram
from wengert.backend.native.run.program import NativeProgram
from wengert.backend.native.schedule.schedule import Unsupported
from wengert.backend.numpy import NumpyBackend
from wengert.ir import checking
from wengert.ir.graph import Graph
from wengert.ir.verify import verify

__all__ = ["NativeBackend"]


class NativeBackend:
    """Compiles graphs to native code; a graph with dtypes that it lacks runs in NumPy.

    Parameters
    ----------
    fastmath : bool
        Whether floating-point arithmetic may be reordered and contracted, and NaN, infinities and
        the sign of zero ignored.
    """

    name = "native"

    def __init__(self, fastmath: bool = False) -> None:
        self.fastmath = fastmath

    def compile(self, graph: Graph) -> Program:
        """Compile a graph."""
        kind = NativeProgram
        if checking.is_on():
            kind = CheckedProgram
            verify(graph)
        try:
            return kind(graph, fast=self.fastmath)
        except Unsupported:
            return NumpyBackend().compile(graph)
