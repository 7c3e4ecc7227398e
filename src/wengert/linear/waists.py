"""A Jacobian as a sparse matrix and one of low rank, taken apart at narrow values.

Accumulation (`wengert.linear.accumulate`) lists the entries of a Jacobian. In ``x * exp(sum(x))``
every entry of the result depends on every entry of x, by way of one number. Such a narrow value is
cut out: behind it, the Jacobian has a column for the value in the place of its many, and its own
row is kept. With the values z that are cut out, in the order of the program,

    dy = S dx + U dz,    dz = V dx + L dz,

where L is strictly lower triangular. So the Jacobian is ``S + U (I - L)^-1 V``: sparse where the
function is, plus as many ranks as there are narrow values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sps

from wengert.linear.accumulate import AccumulateTrace, Accumulation, accumulate_flat
from wengert.linear.entries import entries_of
from wengert.linear.terms import JacobianTerm, NotAccumulable, is_number
from wengert.ops.base import Op, dtype_of, shape_of
from wengert.trace.tracer import Tracer

__all__ = ["Bordered", "bordered"]

NARROW = 16
"""Entries of the largest value that is cut out, which has at most a quarter of the inputs' too."""

MOST_RANK = 64
"""Entries of all values that are cut out."""

SINGULAR = "the matrix is singular, or too nearly so for these numbers"


class Bordered:
    """A Jacobian ``S + U (I - L)^-1 V`` at a point.

    Attributes
    ----------
    sparse : sparse array of shape (m, n)
        S.
    left : array of shape (m, r)
        U.
    right : array of shape (r, n)
        V.
    lower : array of shape (r, r)
        L.
    """

    def __init__(self, sparse: Any, left: Any, right: Any, lower: Any) -> None:
        self.sparse, self.left, self.right, self.lower = sparse, left, right, lower

    @property
    def rank(self) -> int:
        """How many columns and rows stand beside S."""
        return int(self.lower.shape[0])

    @cached_property
    def is_diagonal(self) -> bool:
        """Whether S is a diagonal matrix."""
        s = self.sparse.tocoo()
        return s.shape[0] == s.shape[1] and bool(np.array_equal(s.row, s.col))

    @property
    def nnz(self) -> int:
        """Numbers that are stored."""
        return int(self.sparse.nnz + self.left.size + self.right.size + self.lower.size)

    @property
    def T(self) -> Bordered:
        """The transpose, with the values in the other order."""
        return Bordered(
            self.sparse.T.tocsr(), self.right.T[:, ::-1], self.left.T[::-1],
            self.lower.T[::-1, ::-1],
        )  # fmt: skip

    def _inner(self, z: Any) -> Any:
        """Return ``(I - L)^-1 z``, by substitution."""
        return np.linalg.solve(np.eye(self.rank) - self.lower, z) if self.rank else z

    def dot(self, v: Any) -> Any:
        """Return the Jacobian times a vector, or times the columns of a matrix."""
        y = self.sparse @ v
        return y + self.left @ self._inner(self.right @ v) if self.rank else y

    def diagonal(self) -> Any:
        """Return the entries on the diagonal."""
        k = min(self.sparse.shape)
        d = self.sparse.diagonal()
        if self.rank:
            d = d + np.einsum("ir,ri->i", self.left[:k], self._inner(self.right[:, :k]))
        return d

    def toarray(self) -> Any:
        """Return the matrix."""
        dense = self.sparse.toarray()
        return dense + self.left @ self._inner(self.right) if self.rank else dense

    def solve(self, b: Any) -> Any:
        """Return x with the Jacobian times x being b.

        A diagonal plus low rank is inverted by Woodbury's formula (*Inverting modified matrices*,
        1950), with one step of refinement; anything else by a sparse factorisation of the matrix
        bordered by U, V and L - I, as is the former where the diagonal is (nearly) singular.

        Raises
        ------
        numpy.linalg.LinAlgError
            For a singular matrix, or one with entries that are not finite.
        """
        parts = self.sparse.data, self.left, self.right, self.lower
        if not all(np.all(np.isfinite(x)) for x in parts):
            raise np.linalg.LinAlgError("the matrix has entries that are not finite")
        d = self.sparse.diagonal() if self.is_diagonal else np.zeros(0)
        with np.errstate(all="ignore"):
            if len(d) and np.all(d != 0):
                x = self._refined(lambda b: self._woodbury(d, b), b)
                if self._is_close(x, b):
                    return x
            x = self._refined(self._factored, b)
            if self._is_close(x, b) or not np.all(np.isfinite(b)):
                return x
        raise np.linalg.LinAlgError(SINGULAR)

    def _refined(self, solve: Callable[[Any], Any], b: Any) -> Any:
        x = solve(b)
        return x + solve(b - self.dot(x))

    def _is_close(self, x: Any, b: Any) -> bool:
        """Whether what is left over is rounding; of a singular matrix it is not."""
        return bool(np.linalg.norm(b - self.dot(x)) <= 1e-7 * np.linalg.norm(b))

    def _woodbury(self, d: Any, b: Any) -> Any:
        scaled = d if b.ndim == 1 else d[:, None]
        x = b / scaled
        if not self.rank:
            return x
        small = np.eye(self.rank) - self.lower + self.right @ (self.left / d[:, None])
        try:
            z = np.linalg.solve(small, self.right @ x)
        except np.linalg.LinAlgError:
            return np.full_like(x, np.nan)
        return x - (self.left @ z) / scaled

    @cached_property
    def _factors(self) -> Any:
        from scipy.sparse.linalg import splu

        r = self.rank
        blocks = [[self.sparse, self.left], [self.right, self.lower - np.eye(r)]]
        whole = sps.block_array(blocks) if r else self.sparse
        try:
            return splu(sps.csc_matrix(whole, dtype=np.float64))
        except RuntimeError:  # SuperLU's word for it
            raise np.linalg.LinAlgError(SINGULAR) from None

    def _factored(self, b: Any) -> Any:
        n = self.sparse.shape[0]
        right = np.zeros((n + self.rank, *b.shape[1:]))
        right[:n] = b
        return self._factors.solve(right)[:n]

    def __str__(self) -> str:
        """Return a line for people."""
        m, n = self.sparse.shape
        kind = "zero" if not self.sparse.nnz else "diagonal" if self.is_diagonal else "sparse"
        rank = f" plus rank {self.rank}" if self.rank else ""
        return f"{kind}{rank}, {m:,} x {n:,}, {self.nnz:,} numbers"


class _Cut(NamedTuple):
    """Narrow values that were cut out: their terms, and where their columns begin."""

    shape: tuple[int, ...]
    terms: list[JacobianTerm]
    data: Any


class WaistTrace(AccumulateTrace):
    """Accumulation that gives a narrow value, on which much depends, a column of its own."""

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self.columns = 0
        self.cuts: list[_Cut] = []
        self.rank = 0

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Find the terms, and cut where they are many for a narrow value."""
        y = super().process(op, args, attrs)
        if not isinstance(y, Tracer) or y._trace is not self:
            return y
        var = y._var
        size = math.prod(shape_of(var.data))
        if size > min(NARROW, self.columns // 4):
            return y
        entries = sum(int(np.count_nonzero(t.columns)) for t in var.terms)
        if entries <= max(2 * size, self.columns // 4):
            return y
        if self.rank + size > MOST_RANK:
            raise NotAccumulable("it has too many narrow values")
        var.settle()
        start = self.columns + self.rank + 1
        numbers = np.arange(start, start + size).reshape(1, *shape_of(var.data))
        self.cuts.append(_Cut(shape_of(var.data), var.terms, var.data))
        self.rank += size
        var.terms = [JacobianTerm(1.0, numbers)]
        return y


def bordered(
    f: Callable[..., list[Any]], leaves: Sequence[Any], wrt: Sequence[int], most: int
) -> Bordered:
    """Return the Jacobian of ``f(*leaves)`` with respect to some of the leaves, taken apart.

    Parameters
    ----------
    f : callable
        Returns a list of arrays.
    leaves : sequence of plain arrays
    wrt : sequence of int
    most : int
        Entries that the terms of one value may have.

    Raises
    ------
    NotAccumulable
        For a function that mixes entries in another way.
    """
    trace = WaistTrace(most)
    trace.columns = n = sum(math.prod(shape_of(leaves[i])) for i in wrt)
    found = accumulate_flat(f, leaves, wrt, most, trace)
    cuts = Accumulation([c.data for c in trace.cuts], [c.terms for c in trace.cuts], [])
    dtype = np.result_type(*(dtype_of(leaves[i]) for i in wrt), np.float32)

    width = n + trace.rank
    top, bottom = _matrix(found, width, dtype), _matrix(cuts, width, dtype)
    used = np.diff(top[:, n:].indptr) > 0
    lower = bottom[:, n:].toarray()
    for k in reversed(range(trace.rank)):  # what nothing depends on goes
        used[k] = used[k] or bool(np.any(lower[used, k]))
    kept = np.flatnonzero(used)
    return Bordered(
        top[:, :n].tocsr(), top[:, n + kept].toarray(), bottom[kept][:, :n].toarray(),
        lower[np.ix_(kept, kept)],
    )  # fmt: skip


def _matrix(of: Accumulation, columns: int, dtype: Any) -> Any:
    """Return the entries of accumulated results as a matrix by columns."""
    entries = entries_of(of, columns)
    values = []
    for (t, shape), places in zip(entries.terms, entries.places, strict=True):
        c = t.coefficient
        if is_number(c):
            values.append(np.full(len(places), c, dtype))
            continue
        full = (t.columns.shape[0], *shape) if t.rows is None else t.rows.shape
        flat = np.broadcast_to(np.asarray(c, dtype), full).reshape(-1)
        values.append(flat if len(places) == flat.size else flat[places])
    if not values:
        return sps.csc_array(entries.shape, dtype=dtype)
    rows, cols = np.concatenate(entries.rows), np.concatenate(entries.columns)
    return sps.coo_array((np.concatenate(values), (rows, cols)), entries.shape).tocsc()
