"""Chains of Jacobians: where to put the brackets, and which factors to multiply without entries.

A chain's factor is known by its products with vectors, each of which takes as many multiplications
as the factor has edges. Its entries take the least of as many products as it has rows or columns.
The best order is found by dynamic programming (Godbole, *On efficient computation of matrix chain
products*, 1973; Naumann, *A matrix-free exact Newton method*, 2023, and *Differential inversion*,
for factors that are matrix-free).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import ShapeError, user_line
from wengert.loopc.loops import Ints, Longs, compiled

__all__ = ["ChainPlan", "Factor", "plan_chain"]


class Factor(NamedTuple):
    """A Jacobian of ``m`` rows and ``n`` columns whose products take ``edges`` multiplications."""

    m: int
    n: int
    edges: int


@compiled
def _plan(count: int, m: Longs, n: Longs, work: Longs, cost: Longs, split: Ints, way: Ints) -> None:
    """Fill the tables of the least cost of the factors from i to j, the last split, and its way.

    `work` holds the edges of all factors before each one. Way 0 multiplies two matrices, 1 pushes
    the columns of the factors before through those after, 2 pulls the rows of those after.
    """
    for i in range(count):
        cost[i * count + i] = (work[i + 1] - work[i]) * min(m[i], n[i])
        split[i * count + i] = i
    for span in range(1, count):
        for i in range(count - span):
            j = i + span
            best = -1
            for k in range(i + 1, j + 1):
                before = cost[i * count + k - 1]
                after = cost[k * count + j]
                c = before + after + m[j] * n[k] * n[i]
                if best < 0 or c < best:
                    best = c
                    split[i * count + j] = k
                    way[i * count + j] = 0
                c = before + n[i] * (work[j + 1] - work[k])
                if c < best:
                    best = c
                    split[i * count + j] = k
                    way[i * count + j] = 1
                c = after + m[j] * (work[k] - work[i])
                if c < best:
                    best = c
                    split[i * count + j] = k
                    way[i * count + j] = 2
            cost[i * count + j] = best


@dataclass(frozen=True)
class ChainPlan:
    """How to accumulate a chain.

    Attributes
    ----------
    factors : tuple of Factor
        The first is applied first.
    multiplications : int
    tangent, adjoint, accumulated : int
        What it takes to push all columns, to pull all rows, and to find the entries of each factor
        and multiply from the first on.
    brackets : str
        The order: ``(J2 J1)`` is a product of matrices, ``J2 * J1`` pushes columns through J2, and
        ``J2 . J1`` pulls rows through J1.
    """

    factors: tuple[Factor, ...]
    multiplications: int
    tangent: int
    adjoint: int
    accumulated: int
    brackets: str

    def __str__(self) -> str:
        """Return lines for people."""
        return (
            f"chain of {len(self.factors)} Jacobians: {self.multiplications:,} multiplications\n"
            f"  all tangent {self.tangent:,}, all adjoint {self.adjoint:,}, accumulated and then "
            f"multiplied {self.accumulated:,}\n  {self.brackets}"
        )


def plan_chain(factors: Sequence[Factor | tuple[int, int, int]]) -> ChainPlan:
    """Return the order of the fewest multiplications.

    Parameters
    ----------
    factors : sequence of (rows, columns, edges)
        The first is applied first: its rows are the columns of the second.

    Raises
    ------
    ShapeError
        Where two neighbours do not fit, or there is no factor.

    Examples
    --------
    >>> plan_chain([(3, 3, 29), (1, 3, 14), (2, 1, 7)]).multiplications
    56
    """
    given = tuple(Factor(*map(int, f)) for f in factors)
    if not given:
        raise ShapeError("a chain has at least one factor" + user_line())
    for k in range(1, len(given)):
        if given[k].n != given[k - 1].m:
            raise ShapeError(
                f"factor {k} of the chain has {given[k].n} columns, but the factor before it "
                f"{given[k - 1].m} rows" + user_line()
            )
    count = len(given)
    m, n, edges = (np.array(x, np.int64) for x in zip(*given, strict=True))
    work = np.concatenate([[0], np.cumsum(edges)]).astype(np.int64)
    cost = np.zeros(count * count, np.int64)
    split, way = np.zeros((2, count * count), np.int32)
    _plan(count, m, n, work, cost, split, way)
    total = int(work[-1])
    accumulated = sum(f.edges * min(f.m, f.n) for f in given)
    accumulated += sum(f.m * f.n * given[0].n for f in given[1:])
    return ChainPlan(
        given,
        int(cost[count - 1]),
        total * given[0].n,
        total * given[-1].m,
        accumulated,
        _written(given, split, way),
    )


def _written(factors: Sequence[Factor], split: Any, way: Any) -> str:
    """Write the order down, without recursion."""
    count = len(factors)
    pieces: list[str] = []
    stack: list[tuple[int, int] | str] = [(0, count - 1)]
    while stack:
        top = stack.pop()
        if isinstance(top, str):
            pieces.append(top)
            continue
        i, j = top
        if i == j:
            pieces.append(f"J{i + 1}")
            continue
        k, kind = int(split[i * count + j]), int(way[i * count + j])
        before: list[tuple[int, int] | str] = [(i, k - 1)]
        after: list[tuple[int, int] | str] = [(k, j)]
        if kind == 1:
            after = [" * ".join(f"J{v + 1}" for v in range(j, k - 1, -1))]
        if kind == 2:
            before = [" . ".join(f"J{v + 1}" for v in range(k - 1, i - 1, -1))]
        stack += [")", *before, (" ", " * ", " . ")[kind], *after, "("]
    return "".join(pieces)
