"""From when on loops are rolled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from wengert.ir.graph import Graph, Node, aval_of

__all__ = ["ALL", "Limits", "current", "rolling"]


class Limits(NamedTuple):
    """From when on a loop is rolled.

    Attributes
    ----------
    trips : int
        The least number of trips.
    saved : int
        The least number of operations that go.
    nodes : int
        Shorter graphs are left as they are.
    large : int
        So are those that are shorter than this and work on arrays of more than `LARGE` bytes, whose
        time is that of the arrays, and of which what is kept for the way back is chosen with more
        care; and those with operations that NumPy evaluates, which make each trip of a loop a call
        from Python.
    """

    trips: int = 4
    saved: int = 200
    nodes: int = 600
    large: int = 20_000

    def leave(self, graph: Graph) -> bool:
        """Whether a graph is to be left as it is."""
        n = len(graph.nodes)
        if n < self.nodes:
            return True
        return n < self.large and any(
            _is_of_numpy(node) or any(v.aval.nbytes > LARGE for v in node.outputs)
            for node in graph.nodes
        )


def _is_of_numpy(node: Node) -> bool:
    """Whether NumPy evaluates an operation in the trips of a loop."""
    if node.op.name not in HOST:
        return False
    shape = aval_of(node.inputs[0]).shape
    return node.op.name not in SMALL or len(shape) != 2 or max(shape) > 4


LARGE = 1 << 17

HOST = frozenset(
    {
        *("inv", "lu_factor", "lu_solve", "solve", "solve_triangular", "det", "slogdet", "pinv"),
        *("adjugate", "hermitian", "cholesky", "cholesky_push", "cholesky_pull", "qr", "eig"),
        *("eigh", "eigh_along", "eigh_push", "eigh_pull", "svd", "svd_along", "svd_push"),
        *("svd_pull", "fft", "rfft", "irfft"),
    }
)
"""Operations that native code leaves to NumPy."""

SMALL = frozenset({"solve", "inv", "det", "adjugate"})
"""Of these, those that it has for matrices of up to 4 x 4 in loops."""

ALL = Limits(3, 4, 8, 8)
"""Rolls whatever can be rolled."""

_LIMITS: list[Limits | None] = [Limits()]


def current() -> Limits | None:
    """Return the limits for now; None where nothing is rolled."""
    return _LIMITS[-1]


@contextlib.contextmanager
def rolling(limits: Limits | None) -> Iterator[None]:
    """Roll from other limits on, or not at all (None), within a block."""
    _LIMITS.append(limits)
    try:
        yield
    finally:
        _LIMITS.pop()
