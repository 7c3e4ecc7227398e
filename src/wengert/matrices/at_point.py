"""A Jacobian or Hessian at a point, as an operator of SciPy."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse.linalg import LinearOperator

from wengert.errors import ShapeError, UnsupportedError, user_line
from wengert.linear.terms import NotAccumulable
from wengert.linear.waists import Bordered, bordered
from wengert.matrices.sweeps import push_products
from wengert.memory.dense import check_dense
from wengert.ops.base import shape_of
from wengert.transform.linear import linearize_flat, quiet

__all__ = ["MatrixOperator"]

MOST = 1 << 24
"""Entries that the terms of one value may have when the structure is looked for."""

MOST_COLUMNS = 1 << 14
"""Columns up to which a diagonal is found by a product for each."""

SEEDS = 1 << 22
"""Numbers in the directions of products that are made at once."""


class MatrixOperator(LinearOperator):  # type: ignore[misc]
    """A Jacobian or Hessian at a point, which multiplies without making a matrix.

    Of `scipy.sparse.linalg.LinearOperator` it has ``A @ v``, ``matvec``, ``rmatvec``, ``matmat``,
    ``shape`` and ``dtype``. Products are those of forward and of reverse mode. They are compiled at
    their first use, and evaluate the function anew.

    What `diagonal` and `solve` need to know of the matrix is found at their first use, and kept.
    Where the function has narrow values, such as the number ``sum(x)``, through which everything
    depends on everything, the matrix is a sparse one (often diagonal) plus one of low rank.
    """

    # `of` is the `Operator` that made it.

    def __init__(
        self,
        of: Any,
        shape: tuple[int, int],
        dtype: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        turned: MatrixOperator | None = None,
    ) -> None:
        super().__init__(dtype, shape)
        self._of = of
        self._point = args, kwargs
        self._turned = turned

    def _matvec(self, v: Any) -> Any:
        product = self._of._push if self._turned is None else self._of._pull
        return product(*self._point, np.ravel(v))

    def _rmatvec(self, u: Any) -> Any:
        product = self._of._pull if self._turned is None else self._of._push
        if self.dtype.kind != "c":
            return product(*self._point, np.ravel(u))
        return np.conj(product(*self._point, np.conj(np.ravel(u))))  # a pullback conjugates nothing

    def _transpose(self) -> MatrixOperator:
        if self._turned is None:
            self._turned_one = getattr(self, "_turned_one", None) or MatrixOperator(
                self._of, (self.shape[1], self.shape[0]), self.dtype, *self._point, turned=self
            )
            return self._turned_one
        return self._turned

    def _adjoint(self) -> MatrixOperator:
        if self.dtype.kind == "c":
            return super()._adjoint()  # type: ignore[no-any-return]
        return self._transpose()

    @cached_property
    def _found(self) -> Bordered | str:
        """The structure, or why there is none that is known."""
        if self._turned is not None:
            found = self._turned._found
            return found if isinstance(found, str) else found.T
        flat, leaves = self._of.flat(*self._point)
        try:
            with quiet():
                return bordered(flat, leaves, range(len(leaves)), MOST)
        except NotAccumulable as unfit:
            return str(unfit)

    @property
    def structure(self) -> str:
        """What is known of the matrix, as a line: ``diagonal plus rank 1, ...``."""
        found = self._found
        return f"matrix-free: {found}" if isinstance(found, str) else str(found)

    def diagonal(self) -> np.ndarray[Any, Any]:
        """Return the entries on the diagonal.

        Returns
        -------
        array
            From the structure where it is known, at the cost of a few products; else by a product
            for each column.

        Raises
        ------
        UnsupportedError
            For more than 16,384 columns without a structure.
        """
        found = self._found
        if not isinstance(found, str):
            return np.asarray(found.diagonal(), self.dtype)
        k = min(self.shape)
        if k > MOST_COLUMNS:
            raise UnsupportedError(
                f"{self._of.name}: the diagonal of this matrix of shape {self.shape} would take "
                f"{k:,} products, since no structure of it is known ({found}). Use "
                f"sparsity='auto', or estimate it from products with random signs." + user_line()
            )
        flat, leaves = self._of.flat(*self._point)
        lin = linearize_flat(flat, leaves)
        columns = sum(math.prod(shape_of(x)) for x in leaves)
        made, step = np.empty(k, self.dtype), max(1, SEEDS // max(columns, 1))
        for start in range(0, k, step):
            stop = min(start + step, k)
            seeds = np.eye(stop - start, columns, start, dtype=self.dtype)
            rows = np.asarray(push_products(lin, leaves, seeds, self.dtype))
            made[start:stop] = rows[np.arange(stop - start), np.arange(start, stop)]
        return made

    def solve(self, b: Any) -> np.ndarray[Any, Any]:
        """Return x with ``A @ x`` equal to `b`.

        Parameters
        ----------
        b : array of shape (n,) or (n, k)

        Returns
        -------
        array
            A diagonal plus low rank is inverted by Woodbury's formula, in O(n) operations; a
            sparse matrix plus low rank by a sparse factorisation of the bordered matrix, which is
            kept.

        Raises
        ------
        ShapeError
            For a matrix that is not square, or a `b` that does not fit.
        UnsupportedError
            Where no structure is known.
        numpy.linalg.LinAlgError
            For a singular matrix.
        """
        m, n = self.shape
        b = np.asarray(b)
        if m != n:
            raise ShapeError(
                f"{self._of.name}: solve takes a square matrix, and this one has shape {m, n}. "
                f"scipy.sparse.linalg.lsmr takes it as it is." + user_line()
            )
        if b.ndim not in (1, 2) or b.shape[0] != n or b.dtype.kind not in "fiub":
            raise ShapeError(
                f"{self._of.name}: solve takes real numbers of shape ({n},) or ({n}, k), not "
                f"{b.dtype} of shape {b.shape}" + user_line()
            )
        found = self._found
        if isinstance(found, str):
            raise UnsupportedError(
                f"{self._of.name}: no structure of this matrix is known that solves with it "
                f"({found}). Use an iterative method, scipy.sparse.linalg.gmres(A, b)."
                + user_line()
            )
        x = found.solve(b.astype(float))
        return np.asarray(x, np.result_type(self.dtype, b.dtype if b.dtype.kind == "f" else "f4"))

    def to_dense(self) -> np.ndarray[Any, Any]:
        """Return the matrix as an array.

        Raises
        ------
        DenseTooLargeError
            With its bytes, where it would not fit in memory.
        """
        check_dense(self.shape, self.dtype, self._of.name)
        m, n = self.shape
        if m < n:
            return np.ascontiguousarray(self._transpose().to_dense().T)
        return np.asarray(self.matmat(np.eye(n, dtype=self.dtype)), self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """Return the matrix as an array, for ``np.asarray``."""
        return np.asarray(self.to_dense(), dtype)

    def __repr__(self) -> str:
        """Return a line."""
        m, n = self.shape
        what = "transpose of " if self._turned is not None else ""
        return f"<{what}{self._of.name} as an operator, {m:,} x {n:,}, {self.dtype}>"
