"""What a backend is: it turns a graph into something that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from wengert.ir.graph import Graph, GuardMiss, Value

__all__ = ["Backend", "Footprint", "GuardMiss", "Held", "Program", "from_handler"]


def from_handler(error: BaseException) -> bool:
    """Whether the handler of a signal raised an exception while native code ran.

    It has nothing to do with the program, which is not run in another way then.
    """
    return getattr(error, "_of_handler", False)


class Held(NamedTuple):
    """Memory of one array between the inputs and the outputs.

    Attributes
    ----------
    value : Value or None
        The array of the graph that it holds; None for what a step needs for itself.
    shape : tuple of int
    dtype : str
    nbytes : int
        Taken, with what it is rounded up by.
    first, last : int
        Steps between which it is held, both included.
    """

    value: Value | None
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    first: int
    last: int


class Footprint(NamedTuple):
    """What a program holds in between, and when.

    Attributes
    ----------
    peak : int
        Bytes of the arena.
    steps : int
        The program's steps in time.
    held : tuple of Held
    """

    peak: int
    steps: int
    held: tuple[Held, ...]


class Program(Protocol):
    """A compiled graph. Several threads may run it at once.

    A program may also have these, and a plan shows or uses them: ``backend``, the name of what runs
    it, where that is not the backend asked; ``peak``, bytes in between inputs and outputs, and
    ``footprint()``, what they hold; ``host_calls``, how often NumPy evaluates which operation;
    ``llvm()`` and ``assembly()``, its code; ``takes_outputs``, which says that `run` takes a list
    of arrays for the outputs too; ``quick()``, which returns a function that does what `run` does.
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
            compared bit for bit (`wengert.ir.keys.key`), so NaN is NaN.
        """
        ...


class Backend(Protocol):
    """A way to run graphs."""

    name: str

    def compile(self, graph: Graph) -> Program:
        """Compile a verified graph."""
        ...
