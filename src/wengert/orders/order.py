"""An order as data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

__all__ = ["Cost", "Order"]


@dataclass(frozen=True)
class Cost:
    """What an accumulation takes, the function's own value apart.

    Attributes
    ----------
    multiplications : int
        Of partial derivatives; a factor of 1 or -1 is none.
    additions : int
    bytes : int
        Read and written by products and sums, at eight to a number.
    time : float
        Nanoseconds, roughly: products of matrices run faster than others, and each operation of
        arrays takes a while to begin.
    """

    multiplications: int
    additions: int
    bytes: int
    time: float = 0.0

    @property
    def flops(self) -> int:
        """Multiplications and additions."""
        return self.multiplications + self.additions

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{self.multiplications:,} multiplications, {self.additions:,} additions, "
            f"{self.bytes:,} bytes"
        )


@dataclass(frozen=True)
class Order:
    """The sequence in which the vertices of a linear graph are eliminated.

    It is data: a changed sequence (`with_sequence`) can be given to `LinearGraph.accumulate`.

    Attributes
    ----------
    sequence : tuple of int
        Numbers of the intermediate vertices.
    level : {"entries", "arrays"}
        Whether a vertex is a number or an array.
    method : str
        What found it.
    cost : Cost
    key : str
        A hash of the graph that it is of.
    optimal : bool
        Whether no other order of vertices takes fewer multiplications.
    """

    sequence: tuple[int, ...]
    level: str
    method: str
    cost: Cost
    key: str
    optimal: bool = False

    def with_sequence(self, sequence: Sequence[int]) -> Order:
        """Return an order of the same graph with another sequence, whose cost is not known yet."""
        return replace(
            self, sequence=tuple(sequence), method="given", cost=Cost(0, 0, 0), optimal=False
        )

    def __iter__(self) -> Iterator[int]:
        """Go through the vertices."""
        return iter(self.sequence)

    def __len__(self) -> int:
        """Return how many vertices it names."""
        return len(self.sequence)

    def __str__(self) -> str:
        """Return lines for people."""
        shown = " ".join(map(str, self.sequence[:60])) + (" ..." if len(self) > 60 else "")
        what = "numbers" if self.level == "entries" else "arrays"
        least = ", and no order of vertices takes fewer" if self.optimal else ""
        return f"order of {len(self)} {what}, by {self.method}: {self.cost}{least}\n  {shown}"
