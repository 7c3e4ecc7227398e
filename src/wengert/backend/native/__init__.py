"""Native code through LLVM (llvmlite), for the CPU that it runs on; no compiler is needed."""

from __future__ import annotations

from wengert.backend.base import Program
from wengert.backend.native.checked import CheckedProgram
from wengert.backend.native.program import NativeProgram
from wengert.backend.native.schedule import Unsupported
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
