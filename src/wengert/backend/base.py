"""What a backend is: it turns a graph into something that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from wengert.ir.graph import Graph, GuardMiss

__all__ = ["Backend", "GuardMiss", "Program"]


class Program(Protocol):
    """A compiled graph. Several threads may run it at once.

    A program may also have these, and a plan shows or uses them: ``backend``, the name of what runs
    it, where that is not the backend asked; ``peak``, bytes in between inputs and outputs, and
    ``host_calls``, how often NumPy evaluates which operation; ``llvm()`` and ``assembly()``, its
    code; ``takes_outputs``, which says that `run` takes a list of arrays for the outputs too.
    """

    @property
    def source(self) -> str:
        """Readable code of what runs."""
        ...

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run on data of the graph's input shapes and dtypes.

        Nothing that the caller holds is written to: inputs and arrays held by reference stay. Each
        output is an array of its own, which shares memory with no input, no array held by
        reference, no other output and no later run; or a scalar where NumPy makes one; or a Python
        number where the graph says that it is weak.

        Raises
        ------
        GuardMiss
            At the first guard whose outcome differs. Outcomes that are floats or complex are
            compared bit for bit (`wengert.ir.simplify.key`), so NaN is NaN.
        """
        ...


class Backend(Protocol):
    """A way to run graphs."""

    name: str

    def compile(self, graph: Graph) -> Program:
        """Compile a verified graph."""
        ...
