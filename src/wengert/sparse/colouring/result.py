"""Colours, and how a matrix is recovered from its compressed products."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wengert.errors import InputError, ShapeError
from wengert.sparse.colouring import greedy, recovery
from wengert.sparse.colouring.bicolouring import unique_entries
from wengert.sparse.colouring.problem import ColouringAlgorithm, ColouringProblem
from wengert.sparse.colouring.search import Graph

__all__ = ["ColouringResult", "Substitution", "transposed"]

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Substitution:
    """How entries are solved for, one after the other.

    ``sums = products[source]``, and then for each ``t``: ``value = sums[by[t]]`` is the entry
    ``entry[t]``, and ``twin[entry[t]]``, and is taken from ``sums[other[t]]`` unless that is -1.

    Attributes
    ----------
    source : array of int64
        Where each sum stands in ``concatenate([columns.ravel(), rows.ravel()])``.
    entry, by, other : array of int32
        One for each unknown.
    twin : array of int32
        Of each entry: the transposed one of a symmetric matrix, or itself.
    """

    source: Array
    entry: Array
    by: Array
    other: Array
    twin: Array


@dataclass(frozen=True, eq=False)
class ColouringResult:
    """Colours, and how to recover the matrix from its compressed products.

    Attributes
    ----------
    problem : ColouringProblem
    algorithm : ColouringAlgorithm
    shape : (int, int)
    indptr, indices : array of int32
        The pattern by rows. Data come in this order.
    column_colours, row_colours : array of int32, or None
        Of each column and row; -1 for one that no product needs. None where the partition has none.
    lower_bound : int
        No colouring of this problem has fewer colours.
    order : str
        The order that led to it.
    """

    problem: ColouringProblem
    algorithm: ColouringAlgorithm
    shape: tuple[int, int]
    indptr: Array
    indices: Array
    column_colours: Array | None
    row_colours: Array | None
    lower_bound: int
    order: str

    @property
    def nnz(self) -> int:
        """Number of entries of the pattern."""
        return len(self.indices)

    @cached_property
    def column_number(self) -> int:
        """Number of column colours: products from the right (forward sweeps)."""
        return 0 if self.column_colours is None else int(self.column_colours.max(initial=-1)) + 1

    @cached_property
    def row_number(self) -> int:
        """Number of row colours: products from the left (reverse sweeps)."""
        return 0 if self.row_colours is None else int(self.row_colours.max(initial=-1)) + 1

    @property
    def number(self) -> int:
        """Number of colours."""
        return self.column_number + self.row_number

    @cached_property
    def column_groups(self) -> tuple[Array, ...]:
        """The columns of each colour."""
        return _groups(self.column_colours, self.column_number)

    @cached_property
    def row_groups(self) -> tuple[Array, ...]:
        """The rows of each colour."""
        return _groups(self.row_colours, self.row_number)

    def seeds_columns(
        self, dtype: DTypeLike = np.float64, start: int = 0, stop: int | None = None
    ) -> Array:
        """Return the directions to multiply the matrix with from the right.

        Parameters
        ----------
        dtype : dtype
        start, stop : int
            The colours wanted; all of them without.

        Returns
        -------
        array
            Shape ``(column_number, columns)``: row ``c`` is 1 in the columns of colour ``c``.
        """
        return _seeds(self.column_colours, self.shape[1], self.column_number, dtype, start, stop)

    def seeds_rows(
        self, dtype: DTypeLike = np.float64, start: int = 0, stop: int | None = None
    ) -> Array:
        """Return the directions to multiply the matrix with from the left.

        The same as `seeds_columns`, of shape ``(row_number, rows)``.
        """
        return _seeds(self.row_colours, self.shape[0], self.row_number, dtype, start, stop)

    @cached_property
    def _by_columns(self) -> tuple[Array, Array, Array]:
        tptr, tidx, place = transposed(self.indptr, self.indices, self.shape)
        return tptr, tidx, place

    @property
    def _colours(self) -> tuple[Array, Array]:
        """Colours of rows and columns, -1 for none; for a symmetric matrix they are the same."""
        m, n = self.shape
        columns = self.column_colours
        rows = columns if self.problem.structure == "symmetric" else self.row_colours
        return (
            np.full(m, -1, np.int32) if rows is None else rows,
            np.full(n, -1, np.int32) if columns is None else columns,
        )

    @property
    def _offset(self) -> int:
        """Where products from the left begin; with a symmetric matrix they are the others."""
        symmetric = self.problem.structure == "symmetric"
        return 0 if symmetric else self.column_number * self.shape[0]

    @cached_property
    def gather(self) -> Array:
        """Where each entry stands among the products (direct decompression).

        Shape ``(nnz,)``, int64: positions in ``concatenate([columns.ravel(), rows.ravel()])``.
        """
        if self.algorithm.decompression != "direct":
            raise InputError("entries are solved for, not gathered: use substitution")
        tptr, tidx, place = self._by_columns
        rows, columns = self._colours
        by_column, by_row = unique_entries(
            Graph(self.indptr, self.indices), Graph(tptr, tidx), place, rows, columns
        )
        source = np.empty(self.nnz, np.int64)
        arguments = (columns, rows, by_column, by_row, self._offset, source)
        lost = recovery.direct(self.indptr, self.indices, *arguments)
        if lost >= 0:
            raise AssertionError(f"the colouring does not recover entry {lost}")
        return source

    @cached_property
    def substitution(self) -> Substitution:
        """The order in which entries are solved for (decompression by substitution)."""
        if self.algorithm.decompression == "direct":
            raise InputError("entries are gathered, not solved for: use gather")
        tptr, tidx, place = self._by_columns
        rows, columns = self._colours
        (m, n), nnz = self.shape, self.nnz
        one, across = np.empty(nnz, np.int32), np.empty(nnz, np.int32)
        slot = np.full(max(self.column_number, self.row_number) + 1, -1, np.int32)
        total = recovery.equations(self.indptr, self.indices, columns, slot, 0, one)
        two, twin = np.empty_like(one), np.arange(nnz, dtype=np.int32)
        if self.problem.structure == "symmetric":
            twin[place] = np.arange(nnz, dtype=np.int32)
            two = one[twin]
        else:
            total = recovery.equations(tptr, tidx, rows, slot, total, across)
            two[place] = across
        row = np.repeat(np.arange(m), np.diff(self.indptr))
        source = np.zeros(total, np.int64)
        known = one >= 0
        source[one[known]] = columns[self.indices[known]].astype(np.int64) * m + row[known]
        if self.problem.structure != "symmetric":
            known = two >= 0
            at = rows[row[known]].astype(np.int64) * n + self.indices[known]
            source[two[known]] = self._offset + at
        entry, by, other = (np.empty(nnz, np.int32) for _ in range(3))
        done = recovery.schedule(
            one, two, twin, total, np.zeros(total, np.int32), np.zeros(total, np.int64),
            np.empty(total, np.int32), entry, by, other,
        )  # fmt: skip
        unknown = int(np.count_nonzero(twin >= np.arange(nnz)))
        if done != unknown:
            raise AssertionError(f"the colouring recovers {done} of {unknown} entries")
        return Substitution(
            source, entry[:done].copy(), by[:done].copy(), other[:done].copy(), twin
        )

    def decompress(self, columns: Array | None = None, rows: Array | None = None) -> Array:
        """Recover the entries of the matrix.

        Parameters
        ----------
        columns : array of shape (column_number, shape[0]), optional
            Products with `seeds_columns`: ``columns[c] = matrix @ seeds[c]``.
        rows : array of shape (row_number, shape[1]), optional
            Products with `seeds_rows`: ``rows[c] = seeds[c] @ matrix``.

        Returns
        -------
        array of shape (nnz,)
            In the order of `indices`.

        Raises
        ------
        ShapeError
            If a product is missing or has another shape.
        """
        m, n = self.shape
        parts = []
        for name, given, expected in (
            ("columns", columns, (self.column_number, m)),
            ("rows", rows, (self.row_number, n)),
        ):
            shape = (0, expected[1]) if given is None else np.shape(given)
            if shape != expected:
                raise ShapeError(f"decompress: {name} must have shape {expected}, got {shape}")
            if given is not None and given.size:
                parts.append(np.asarray(given).reshape(-1))
        products = parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0), *parts])
        if self.algorithm.decompression == "direct":
            return products.take(self.gather)
        return self._substitute(products)

    def _substitute(self, products: Array) -> Array:
        sums = products.take(self.substitution.source)
        if sums.dtype.kind == "c":
            both = self._solve(sums.real) + 1j * self._solve(sums.imag)
            return both.astype(sums.dtype)
        return self._solve(sums).astype(sums.dtype)

    def _solve(self, sums: Array) -> Array:
        order, out = self.substitution, np.empty(self.nnz)
        recovery.substitute(
            np.array(sums, np.float64), order.entry, order.by, order.other, order.twin, out
        )
        return out

    @cached_property
    def entry_colours(self) -> Array:
        """The number of the product that each entry is read from, int32, in the order of `indices`.

        Products from the right are numbered first, by column colour, then those from the left. With
        substitution, an entry that stands in one of each is given that from the right.
        """
        m, n = self.shape
        if self.algorithm.decompression == "direct":
            position = self.gather
            from_left = self.column_number + (position - self._offset) // max(n, 1)
            right = position < self.column_number * m
            return np.where(right, position // max(m, 1), from_left).astype(np.int32)
        rows, columns = self._colours
        by_column = columns[self.indices]
        by_row = np.repeat(rows, np.diff(self.indptr))
        if self.problem.structure != "symmetric":
            by_row = np.where(by_row >= 0, by_row + self.column_number, -1)
        return np.where(by_column >= 0, by_column, by_row).astype(np.int32)

    def plot(self, ax: Any = None) -> Any:
        """Draw the pattern with matplotlib, each entry in the colour of its product.

        Beside the matrix are the colours of the columns and of the rows themselves. A small one has
        the colours' numbers in its entries.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib: ``pip install 'wengert[plot]'``.
        """
        from wengert.charts.axes import axes_for
        from wengert.charts.matrix import plot_matrix

        return plot_matrix(axes_for(ax, "colouring.plot()", (5.4, 5.2)), self._places())

    def _repr_html_(self) -> str:
        """Return the line of ``str`` and a picture, for a notebook."""
        from wengert.charts.html import figure, fragment
        from wengert.charts.matrix import svg_matrix

        return fragment(figure(svg_matrix(self._places()), str(self)))

    def _places(self) -> Any:
        from wengert.charts.matrix import Places

        m, n = self.shape
        rows = self.row_colours
        if rows is not None:
            rows = np.where(rows >= 0, rows + self.column_number, -1)
        counted = [
            f"{k:,} colour{'s' * (k != 1)} of {name}"
            for k, name in ((self.column_number, "columns"), (self.row_number, "rows"))
            if k
        ]
        title = f"{m:,} x {n:,}, {self.nnz:,} nonzeros, {' and '.join(counted) or 'no colours'}"
        of_row = np.repeat(np.arange(m), np.diff(self.indptr))
        return Places(
            of_row, self.indices, self.shape, self.entry_colours,
            self.column_colours, rows, self.number, title,
        )  # fmt: skip

    def __str__(self) -> str:
        """Return one line: what was coloured, the colours and the bound."""
        m, n = self.shape
        parts = {"column": self.column_number, "row": self.row_number}
        counted = ", ".join(f"{k} {name}" for name, k in parts.items() if k)
        return (
            f"{self.problem.structure} {m} x {n}, {self.nnz} entries: {counted or 'no'} colours "
            f"(at least {self.lower_bound}), {self.algorithm.decompression}, order {self.order}"
        )


def _groups(colours: Array | None, number: int) -> tuple[Array, ...]:
    if colours is None:
        return ()
    members = np.flatnonzero(colours >= 0)
    members = members[np.argsort(colours[members], kind="stable")]
    ends = np.cumsum(np.bincount(colours[members], minlength=number))
    return tuple(np.split(members, ends[:-1])) if number else ()


def _seeds(
    colours: Array | None, size: int, number: int, dtype: DTypeLike, start: int, stop: int | None
) -> Array:
    stop = number if stop is None else min(stop, number)
    seeds = np.zeros((max(stop - start, 0), size), dtype)
    if colours is not None:
        chosen = np.flatnonzero((colours >= start) & (colours < stop))
        seeds[colours[chosen] - start, chosen] = 1
    return seeds


def transposed(indptr: Array, indices: Array, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    """Return a pattern by columns, and where each of its entries stands by rows.

    Raises
    ------
    ShapeError
        If the arrays are not a pattern: indices out of range, repeated, or not in order.
    """
    m, n = shape
    starts = indptr.astype(np.int64)
    if len(indptr) != m + 1 or starts[0] != 0 or starts[-1] != len(indices):
        raise ShapeError(f"indptr must run from 0 to {len(indices)} in {m + 1} steps")
    if np.any(np.diff(starts) < 0):
        raise ShapeError("indptr must not fall")
    if len(indices) and indices.min() < 0:
        raise ShapeError(f"column indices must be from 0 to {n - 1}")
    tptr, tidx = np.zeros(n + 1, np.int32), np.empty(len(indices), np.int32)
    place = np.empty(len(indices), np.int32)
    if not greedy.transpose(indptr, indices, m, n, tptr, tidx, place):
        raise ShapeError(
            f"the column indices of each row must rise, and be below {n}: "
            "call sum_duplicates() on a SciPy array"
        )
    return tptr, tidx, place
