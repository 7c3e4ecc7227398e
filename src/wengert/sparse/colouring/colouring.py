"""Colouring: which columns (or rows) of a sparse matrix can share one product.

Three nouns. A `ColouringProblem` says what is known of the matrix and what is to be coloured, a
`ColouringAlgorithm` how, and a `ColouringResult` holds the colours, makes the seeds of the products
and recovers the matrix from them. `colour` goes from one to the other. All of it sees arrays only.

=============  ===============  ============  ====================================================
structure      partition        decompress    colouring
=============  ===============  ============  ====================================================
nonsymmetric   column, row      direct        partial distance-2
nonsymmetric   bidirectional    direct        star bicolouring
nonsymmetric   bidirectional    substitution  acyclic bicolouring
symmetric      column           direct        star
symmetric      column           substitution  acyclic
=============  ===============  ============  ====================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from wengert.errors import InputError, ShapeError
from wengert.sparse.colouring import greedy, recovery
from wengert.sparse.colouring.bicolouring import bicolour, unique_entries, without_spare_symmetric
from wengert.sparse.colouring.orders import ORDERS
from wengert.sparse.colouring.search import Effort, Graph, one_side, symmetric_bound, two_coloured

__all__ = ["ColouringAlgorithm", "ColouringProblem", "ColouringResult", "colour"]

Array = NDArray[Any]

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


def _arrays(pattern: Any) -> tuple[Array, Array, tuple[int, int]]:
    """Return a pattern as row starts, column indices and a shape."""
    if isinstance(pattern, tuple) and len(pattern) == 3:
        indptr, indices, shape = pattern
    else:
        if getattr(pattern, "format", "csr") != "csr" and hasattr(pattern, "tocsr"):
            pattern = pattern.tocsr()
        if not hasattr(pattern, "indptr"):
            raise InputError(
                "a pattern is a SciPy sparse array, an object with indptr, indices and shape "
                f"by rows, or those three, not {type(pattern).__name__}"
            )
        if not getattr(pattern, "has_canonical_format", True):
            pattern = pattern.copy()
            pattern.sum_duplicates()
        indptr, indices, shape = pattern.indptr, pattern.indices, pattern.shape
    indptr, indices = np.asarray(indptr), np.asarray(indices)
    m, n = (int(size) for size in shape)
    for name, array in (("indptr", indptr), ("indices", indices)):
        if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
            raise InputError(f"{name} must be a 1-D array of integers")
    if max(m, n, len(indices)) >= 2**31 - 1:
        raise ShapeError(f"a pattern of {m} x {n} with {len(indices)} entries is too large")
    return (
        np.ascontiguousarray(indptr, dtype=np.int32),
        np.ascontiguousarray(indices, dtype=np.int32),
        (m, n),
    )


def colour(
    pattern: Any,
    problem: ColouringProblem | None = None,
    algorithm: ColouringAlgorithm | None = None,
) -> ColouringResult:
    """Colour a sparse matrix.

    Parameters
    ----------
    pattern : sparse array, or (indptr, indices, shape)
        By rows. Stored zeros count as entries.
    problem : ColouringProblem, optional
        Columns of a nonsymmetric matrix without.
    algorithm : ColouringAlgorithm, optional

    Returns
    -------
    ColouringResult

    Raises
    ------
    InputError
        If there is no such pattern or problem: a one-sided partition with substitution.
    ShapeError
        If the arrays are not a pattern, or a symmetric one is asked for and it is not.
    """
    problem = problem or ColouringProblem()
    algorithm = algorithm or ColouringAlgorithm()
    indptr, indices, shape = _arrays(pattern)
    tptr, tidx, place = transposed(indptr, indices, shape)
    rows, columns = Graph(indptr, indices), Graph(tptr, tidx)
    effort = Effort(min(algorithm.effort, (1 << 19) + 256 * len(indices)))
    orders = [algorithm.order]
    substitution = algorithm.decompression == "substitution"
    column_colours: Array | None = None
    row_colours: Array | None = None
    if problem.structure == "symmetric":
        if shape[0] != shape[1] or not (
            np.array_equal(indptr, tptr) and np.array_equal(indices, tidx)
        ):
            raise ShapeError(f"the pattern of shape {shape} is not symmetric")
        column_colours, order, bound = _symmetric(rows, place, orders, effort, algorithm)
    elif problem.partition == "bidirectional":
        kind = "acyclic" if substitution else "star"
        row_colours, column_colours, order, bound = bicolour(
            rows, columns, place, kind, algorithm.order, effort, algorithm.seed,
            algorithm.row_weight, algorithm.neutral,
        )  # fmt: skip
    elif substitution:
        raise InputError(
            "substitution is for symmetric matrices and bidirectional partitions: "
            "use decompression='direct'"
        )
    elif problem.partition == "column":
        attempt, bound = one_side(columns, rows, orders, effort, algorithm.seed)
        column_colours, order = attempt.colour, attempt.order
    else:
        attempt, bound = one_side(rows, columns, orders, effort, algorithm.seed)
        row_colours, order = attempt.colour, attempt.order
    result = ColouringResult(
        problem, algorithm, shape, indptr, indices, column_colours, row_colours, bound, order
    )
    result.__dict__["_by_columns"] = (tptr, tidx, place)
    return result


def _symmetric(
    rows: Graph, place: Array, orders: list[str], effort: Effort, algorithm: ColouringAlgorithm
) -> tuple[Array, str, int]:
    """Star or acyclic colouring of a symmetric pattern: colours, order and lower bound."""
    n = rows.size
    of_row = np.repeat(np.arange(n, dtype=np.int32), rows.degrees)
    off = of_row != rows.adj
    graph = _part(rows, off)
    members = np.flatnonzero(rows.degrees > 0).astype(np.int32)
    needed = np.zeros(n, np.bool_)  # only its own colour gives an entry of the diagonal
    needed[of_row[~off]] = True
    spare = algorithm.neutral and not needed[members].all()
    kinds = ["star"] if algorithm.decompression == "direct" else ["acyclic"]
    if not spare:
        bound = symmetric_bound(graph, kinds[0], len(members))
    else:
        part = _part(rows, off & needed[of_row] & needed[rows.adj])
        bound = symmetric_bound(part, kinds[0], int(needed.sum()))
        bound = max(bound, int(len(members) > 0))
        # Substitution does with what a star colouring without its spare colours gives.
        kinds = list(dict.fromkeys(["star", *kinds]))

    def tidy(colour: Array) -> tuple[Array, float]:
        colour = without_spare_symmetric(rows, place, colour)
        return colour, int(colour.max(initial=-1)) + 1

    tries = [
        two_coloured(
            graph, members, kind, orders, bound, effort, algorithm.seed,
            finish=tidy if spare and kind == "star" else None,
            whole=(rows.ptr, rows.adj) if kind == "star" and not spare else None,
        )
        for kind in kinds
    ]  # fmt: skip
    best = min(tries, key=lambda attempt: attempt.cost)
    return best.colour, best.order, bound


def _part(rows: Graph, chosen: Array) -> Graph:
    """Return the graph of some entries."""
    starts = np.concatenate([[0], np.cumsum(chosen)])
    return Graph(starts[rows.ptr].astype(np.int32), rows.adj[chosen])
