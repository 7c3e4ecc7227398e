"""What is to be coloured, and how: a problem and an algorithm."""

from __future__ import annotations

from dataclasses import dataclass

from wengert.errors import InputError
from wengert.sparse.colouring.orders import ORDERS

__all__ = ["PARTITIONS", "ColouringAlgorithm", "ColouringProblem"]

STRUCTURES = ("nonsymmetric", "symmetric")
PARTITIONS = ("column", "row", "bidirectional")
DECOMPRESSIONS = ("direct", "substitution")


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(map(repr, known))}, not {value!r}")


@dataclass(frozen=True)
class ColouringProblem:
    """What is to be coloured.

    Attributes
    ----------
    structure : "nonsymmetric" or "symmetric"
        Whether the matrix is known to equal its transpose.
    partition : "column", "row" or "bidirectional"
        Products with the matrix from the right, from the left, or both. A symmetric matrix has
        its columns coloured.
    """

    structure: str = "nonsymmetric"
    partition: str = "column"

    def __post_init__(self) -> None:
        _one_of("structure", self.structure, STRUCTURES)
        _one_of("partition", self.partition, PARTITIONS)
        if self.structure == "symmetric" and self.partition != "column":
            raise InputError("a symmetric matrix has its columns coloured: partition='column'")


@dataclass(frozen=True)
class ColouringAlgorithm:
    """How to colour.

    Attributes
    ----------
    order : str
        The order in which vertices are coloured, "natural", "largest first", "smallest last",
        "incidence degree", "dynamic largest first" or "random"; or "best", which tries them until
        a lower bound is met or `effort` is spent, and then improves on the best.
    decompression : "direct" or "substitution"
        Substitution needs fewer colours (symmetric and bidirectional only) and rounds more.
    effort : int
        Edges that may be walked beyond the first pass, about 3 ns each; less for a small pattern.
    seed : int
        Of random orders: results are the same from run to run.
    row_weight : float
        What a row colour costs where a column colour costs 1 (bidirectional only).
    neutral : bool
        Whether rows and columns may go without a colour, and colours that no entry needs are taken
        away (bidirectional, and symmetric without a full diagonal).
    """

    order: str = "best"
    decompression: str = "direct"
    effort: int = 1 << 24
    seed: int = 0
    row_weight: float = 1.0
    neutral: bool = True

    def __post_init__(self) -> None:
        _one_of("order", self.order, ("best", *ORDERS))
        _one_of("decompression", self.decompression, DECOMPRESSIONS)
        if not self.row_weight > 0:
            raise InputError(f"row_weight must be positive, not {self.row_weight}")
