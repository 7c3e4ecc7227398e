"""What a backend is: it turns a graph into something that runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from wengert.ir.graph import Graph

__all__ = ["Backend", "GuardMiss", "Program"]


class GuardMiss(Exception):  # noqa: N818  (control flow, never seen by users)
    """A guard had another outcome than the graph was recorded under.

    Attributes
    ----------
    index : int
        Which of the graph's guards.
    outcome : object
        What it was this time.
    """

    def __init__(self, index: int, outcome: Any) -> None:
        super().__init__(index, outcome)
        self.index = index
        self.outcome = outcome


class Program(Protocol):
    """A compiled graph."""

    source: str
    """Readable code of what runs."""

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run on arrays of the graph's input shapes and dtypes; outputs are new arrays.

        Raises
        ------
        GuardMiss
            At the first guard whose outcome differs.
        """
        ...


class Backend(Protocol):
    """A way to run graphs."""

    name: str

    def compile(self, graph: Graph) -> Program:
        """Compile a verified graph."""
        ...
