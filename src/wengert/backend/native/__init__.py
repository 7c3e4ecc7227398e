"""Native code through LLVM (llvmlite), for the CPU that it runs on; no compiler is needed."""

from __future__ import annotations

from wengert.backend.base import Program
from wengert.backend.native.program import NativeProgram
from wengert.backend.native.schedule import Unsupported
from wengert.backend.numpy import NumpyBackend
from wengert.ir.graph import Graph

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
        try:
            return NativeProgram(graph, fast=self.fastmath)
        except Unsupported:
            return NumpyBackend().compile(graph)
