"""The sparsity pattern of a matrix: which entries can differ from zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sps

from wengert.errors import InputError, ShapeError, user_line
from wengert.sparse.colouring.colouring import colour

__all__ = ["SparsityPattern", "compressed", "index_dtype"]

Ints = np.ndarray[Any, np.dtype[Any]]
COLOURED = 10**6
"""Entries up to which a plot colours a pattern without being asked to."""
WIDTH, HEIGHT = 40, 20
"""Largest size of a picture, in characters."""


def index_dtype(*sizes: int) -> type[np.signedinteger[Any]]:
    """Return the smaller of int32 and int64 that holds every number up to `sizes`."""
    return np.int32 if max(sizes, default=0) <= np.iinfo(np.int32).max else np.int64


def compressed(rows: Ints, columns: Ints, shape: tuple[int, int]) -> tuple[Ints, Ints]:
    """Compress entries given one by one by rows, each kept once, columns in order.

    Parameters
    ----------
    rows, columns : int arrays of equal length
        Not checked.
    shape : (int, int)

    Returns
    -------
    indptr, indices : int arrays
        Entries of row i are ``indices[indptr[i]:indptr[i + 1]]``.
    """
    found = sps.coo_array((np.ones(len(rows), bool), (rows, columns)), shape=shape).tocsr()
    found.sum_duplicates()
    return found.indptr, found.indices


class SparsityPattern:
    """The places of an m by n matrix whose entries can differ from zero, compressed by rows.

    Immutable; two patterns are equal when they have the same shape and the same places. Make one
    with `from_coo`, `from_dense`, `from_scipy`, or from the arrays of a compressed matrix.

    Parameters
    ----------
    indptr : int array of length m + 1
    indices : int array
        Columns of row i are ``indices[indptr[i]:indptr[i + 1]]``, increasing.
    shape : (int, int)

    Raises
    ------
    InputError
        For arrays that are not integers.
    ShapeError
        For arrays that do not fit the shape, columns out of range, or not in increasing order.

    Examples
    --------
    >>> SparsityPattern.from_coo([0, 1, 1], [0, 0, 2], (2, 3))
    <SparsityPattern: 2 x 3, 3 nonzeros (50 %), bandwidth 1>
    """

    __slots__ = ("indices", "indptr", "shape")

    indices: Ints
    indptr: Ints
    shape: tuple[int, int]

    def __init__(self, indptr: Any, indices: Any, shape: tuple[int, int]) -> None:
        m, n = _checked_shape(shape)
        indptr, indices = _integers(indptr, "indptr"), _integers(indices, "indices")
        if indptr.shape != (m + 1,) or indices.ndim != 1:
            raise ShapeError(
                f"a pattern of {m} rows takes an indptr of length {m + 1} and a list of indices, "
                f"not arrays of shapes {indptr.shape} and {indices.shape}" + user_line()
            )
        if indptr[0] != 0 or indptr[-1] != len(indices) or np.any(np.diff(indptr) < 0):
            raise ShapeError(
                f"indptr must rise from 0 to the number of entries, {len(indices)}" + user_line()
            )
        _check_range(indices, n, "column")
        if len(indices) > 1:
            rising = np.diff(indices) > 0
            starts = indptr[1:-1]
            rising[starts[(starts > 0) & (starts < len(indices))] - 1] = True
            if not rising.all():
                raise ShapeError(
                    "the columns of each row must be increasing and distinct; "
                    "SparsityPattern.from_coo sorts and merges" + user_line()
                )
        self._set(indptr.copy(), indices.copy(), (m, n))

    def _set(self, indptr: Ints, indices: Ints, shape: tuple[int, int]) -> None:
        dtype = index_dtype(*shape, len(indices))
        for name, x in (("indptr", indptr), ("indices", indices)):
            x = np.ascontiguousarray(x, dtype)
            x.flags.writeable = False
            object.__setattr__(self, name, x)
        object.__setattr__(self, "shape", shape)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a SparsityPattern is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a SparsityPattern is immutable: {name} cannot be deleted")

    def __reduce__(self) -> Any:
        """Copy and pickle by the arrays."""
        return SparsityPattern, (self.indptr, self.indices, self.shape)

    # --- making -----------------------------------------------------------------------------------
    @classmethod
    def trusted(cls, indptr: Ints, indices: Ints, shape: tuple[int, int]) -> SparsityPattern:
        """Make a pattern of arrays that hold what the constructor checks, without checking."""
        made = cls.__new__(cls)
        made._set(indptr, indices, shape)
        return made

    @classmethod
    def from_coo(cls, rows: Any, columns: Any, shape: tuple[int, int]) -> SparsityPattern:
        """Make a pattern of the entries ``(rows[i], columns[i])``; repeated ones count once.

        Raises
        ------
        InputError, ShapeError
            For arrays that are not integers, differ in length, or leave the shape.
        """
        m, n = _checked_shape(shape)
        rows, columns = _integers(rows, "rows"), _integers(columns, "columns")
        if rows.ndim != 1 or rows.shape != columns.shape:
            raise ShapeError(
                f"rows and columns must be two lists of equal length, not arrays of shapes "
                f"{rows.shape} and {columns.shape}" + user_line()
            )
        _check_range(rows, m, "row")
        _check_range(columns, n, "column")
        return cls.trusted(*compressed(rows, columns, (m, n)), (m, n))

    @classmethod
    def from_dense(cls, matrix: Any) -> SparsityPattern:
        """Make a pattern of the entries of a 2-D array that differ from zero; NaN does."""
        matrix = np.asarray(matrix)
        if matrix.ndim != 2:
            raise ShapeError(
                f"a pattern is of a matrix, not of an array of shape {matrix.shape}" + user_line()
            )
        rows, columns = np.nonzero(matrix)
        return cls.from_coo(rows, columns, matrix.shape)

    @classmethod
    def from_scipy(cls, matrix: Any) -> SparsityPattern:
        """Make a pattern of the entries that a SciPy sparse array stores, explicit zeros too.

        Raises
        ------
        InputError
            For anything else.
        """
        if not sps.issparse(matrix) or len(matrix.shape) != 2:
            raise InputError(
                f"from_scipy takes a 2-D sparse array of SciPy, not a {type(matrix).__name__}; "
                f"SparsityPattern.from_dense takes a NumPy array" + user_line()
            )
        entries = matrix.tocoo()
        return cls.from_coo(entries.row, entries.col, matrix.shape)

    # --- looking ----------------------------------------------------------------------------------
    @property
    def nnz(self) -> int:
        """Number of entries that can differ from zero."""
        return len(self.indices)

    @property
    def density(self) -> float:
        """Share of such entries, from 0 to 1; 0 for a matrix without entries."""
        return self.nnz / max(self.shape[0] * self.shape[1], 1)

    @property
    def rows(self) -> Ints:
        """The row of each entry, in the order of `indices`."""
        counts = np.diff(self.indptr)
        return np.repeat(np.arange(self.shape[0], dtype=self.indices.dtype), counts)

    @property
    def bandwidth(self) -> int:
        """Largest distance of an entry from the diagonal; 0 for a diagonal or empty pattern."""
        return int(np.abs(self.rows.astype(np.int64) - self.indices).max(initial=0))

    @property
    def is_symmetric(self) -> bool:
        """Whether the pattern is its own transpose."""
        return self.shape[0] == self.shape[1] and self == self.transpose()

    def transpose(self) -> SparsityPattern:
        """Return the pattern of the transposed matrix."""
        found = self.tocsr().tocsc()  # the columns of a matrix are the rows of its transpose
        return SparsityPattern.trusted(found.indptr, found.indices, self.shape[::-1])

    @property
    def T(self) -> SparsityPattern:
        """The transposed pattern."""
        return self.transpose()

    def union(self, other: SparsityPattern) -> SparsityPattern:
        """Return the pattern of all entries that are in either.

        Raises
        ------
        ShapeError
            For patterns of different shapes.
        """
        self._check_same_shape(other, "unite")
        rows = np.concatenate([self.rows, other.rows])
        columns = np.concatenate([self.indices, other.indices])
        return SparsityPattern.trusted(*compressed(rows, columns, self.shape), self.shape)

    __or__ = union

    def covers(self, other: SparsityPattern) -> bool:
        """Whether every entry of `other` is an entry of this pattern."""
        self._check_same_shape(other, "compare")
        return (self | other).nnz == self.nnz

    def _check_same_shape(self, other: SparsityPattern, what: str) -> None:
        if self.shape != other.shape:
            raise ShapeError(
                f"cannot {what} patterns of shapes {self.shape} and {other.shape}" + user_line()
            )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SparsityPattern)
            and self.shape == other.shape
            and np.array_equal(self.indptr, other.indptr)
            and np.array_equal(self.indices, other.indices)
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.indices.tobytes()))

    # --- converting -------------------------------------------------------------------------------
    def tocsr(self, data: Any = None) -> Any:
        """Return a `scipy.sparse.csr_array` with this structure.

        Parameters
        ----------
        data : array of length `nnz`, optional
            The entries; True for each if not given. The index arrays are shared, and read-only.
        """
        data = np.ones(self.nnz, bool) if data is None else np.asarray(data)
        if data.shape != (self.nnz,):
            raise ShapeError(
                f"a pattern of {self.nnz} nonzeros takes as many entries, not an array of shape "
                f"{data.shape}" + user_line()
            )
        return sps.csr_array((data, self.indices, self.indptr), shape=self.shape, copy=False)

    def tocsc(self) -> Any:
        """Return a `scipy.sparse.csc_array` of True."""
        return self.tocsr().tocsc()

    def tocoo(self) -> Any:
        """Return a `scipy.sparse.coo_array` of True."""
        return self.tocsr().tocoo()

    def todense(self) -> Any:
        """Return a 2-D array of booleans."""
        return self.tocsr().toarray()

    # --- printing ---------------------------------------------------------------------------------
    def __repr__(self) -> str:
        """Return a line: shape, nonzeros, density, bandwidth."""
        m, n = self.shape
        return (
            f"<SparsityPattern: {m} x {n}, {self.nnz} nonzero{'s' if self.nnz != 1 else ''} "
            f"({100 * self.density:.3g} %), bandwidth {self.bandwidth}>"
        )

    def __str__(self) -> str:
        """Return the line of ``repr`` and a picture in braille, a dot where there is an entry."""
        return "\n".join([repr(self)[1:-1], *self._picture()])

    def _repr_html_(self) -> str:
        """Return the line of ``repr`` and a picture, for a notebook."""
        from wengert.charts.html import figure, fragment
        from wengert.charts.matrix import svg_matrix

        return fragment(figure(svg_matrix(self._places()), repr(self)[1:-1]))

    def plot(self, ax: Any = None, *, colouring: Any = None) -> Any:
        """Draw the entries with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.
        colouring : ColouringResult or bool, optional
            Each entry gets the colour of the product that it is read from: by default, of products
            with groups of columns (not where there are over a million entries). Or of a colouring
            of this pattern that is given; False for one colour.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib: ``pip install 'wengert[plot]'``.
        ShapeError
            For a colouring of another pattern.
        """
        from wengert.charts.axes import axes_for
        from wengert.charts.matrix import plot_matrix

        if colouring is None or colouring is True:
            colouring = colour(self) if colouring or 0 < self.nnz <= COLOURED else False
        if colouring is not False:
            same = np.array_equal(colouring.indptr, self.indptr)
            if not same or not np.array_equal(colouring.indices, self.indices):
                raise ShapeError(
                    f"this colouring is of another pattern: {colouring}; this one is "
                    f"{self!r}. Colour it with wengert.sparse.colour(pattern)" + user_line()
                )
            return colouring.plot(ax)
        return plot_matrix(axes_for(ax, "pattern.plot()", (5.4, 5.0)), self._places())

    def _places(self) -> Any:
        from wengert.charts.matrix import Places

        m, n = self.shape
        title = f"{m:,} x {n:,}, {self.nnz:,} nonzeros ({100 * self.density:.3g} %)"
        return Places(self.rows, self.indices, self.shape, title=title)

    def _picture(self) -> list[str]:
        """Draw in characters of 2 by 4 dots; a dot stands for a block of a large matrix."""
        m, n = self.shape
        if m == 0 or n == 0:
            return []
        scale = max(n / (2 * WIDTH), m / (4 * HEIGHT), 1.0)
        down, across = max(int(np.ceil(m / scale)), 1), max(int(np.ceil(n / scale)), 1)
        dots = np.zeros((-(-down // 4) * 4, -(-across // 2) * 2), bool)
        place: Callable[[Ints], Ints] = lambda i: (i / scale).astype(np.int64)  # noqa: E731
        dots[place(self.rows), place(self.indices)] = True
        cells = dots.reshape(dots.shape[0] // 4, 4, dots.shape[1] // 2, 2).transpose(0, 2, 1, 3)
        codes = 0x2800 + np.sum(cells * BRAILLE, axis=(2, 3))
        lines = ["".join(map(chr, row)) for row in codes.tolist()]
        edge = len(lines)
        left = ["⎡", *"⎢" * (edge - 2), "⎣"] if edge > 1 else ["["]
        right = ["⎤", *"⎥" * (edge - 2), "⎦"] if edge > 1 else ["]"]
        return [a + line + b for a, line, b in zip(left, lines, right, strict=True)]


BRAILLE = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""Unicode's bits of the eight dots, by row and column."""


def _checked_shape(shape: Any) -> tuple[int, int]:
    try:
        m, n = (int(k) for k in shape)
    except (TypeError, ValueError):
        m = n = -1
    if m < 0 or n < 0:
        raise ShapeError(f"the shape of a pattern is (rows, columns), not {shape!r}" + user_line())
    return m, n


def _integers(given: Any, name: str) -> Ints:
    x: Ints = np.asarray(given)
    if x.size == 0:
        return x.astype(np.int64)
    if x.dtype.kind not in "iu":
        raise InputError(f"{name} must be integers, not {x.dtype}" + user_line())
    return x


def _check_range(x: Ints, n: int, what: str) -> None:
    if x.size and (x.min() < 0 or x.max() >= n):
        wrong = x[(x < 0) | (x >= n)][0]
        raise ShapeError(f"{what} {wrong} is out of range of {n} {what}s" + user_line())
