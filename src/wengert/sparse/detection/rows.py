"""What each entry of a value depends on: the algebra that detection works with.

The dependence of a value on n inputs is a boolean matrix with a row for each entry. `Rows` holds it
as a union of a few terms, each one array of the value's shape:

* without a table, entry i of the array is the one input that entry i of the value depends on (-1:
  none). The shifts of a stencil are such terms, and an operation that moves entries moves them;
* with a table, entry i of the array is the number of a row of a compressed matrix (-1: none), which
  many entries can share: all results of a dense product have one row.

So reshaping, slicing, broadcasting and joining cost one array operation a term, whatever the number
of nonzeros; an elementwise operation only gathers terms. Only sums over groups, such as reductions,
make new tables.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sps

from wengert.sparse.pattern import compressed, index_dtype

__all__ = [
    "Rows",
    "RowsTerm",
    "Space",
    "Table",
    "join",
    "listing_at_most",
    "total_memory",
    "union",
]

Ints = np.ndarray[Any, np.dtype[Any]]
MOST_TERMS = 12
"""A union of more terms becomes one table."""
MOST_TABLES = 2
"""So does one of more terms with tables, which are dear to unite over and over."""
NARROW_TERMS = 32
"""Terms with tables that few entries have, as in an array written one by one, may be this many."""
LONGEST_LIST = 1 << 25
"""Entries beyond this number are not listed before they are united."""

ALIKE = 1 << 12
"""Entries from which on it is worth to look for groups of the same ones before uniting them."""

BYTES_AN_ENTRY = 24
"""Memory to list an entry: its row, its column, its place."""


def total_memory() -> int | None:
    """Return the bytes of the machine's memory, None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # AttributeError: not on Windows
        return None


MEMORY = total_memory() or 1 << 34
"""Bytes of the machine's memory; 16 GiB where that is not known."""


class Table:
    """Rows of a compressed boolean matrix; rows are increasing."""

    __slots__ = ("indices", "indptr")

    def __init__(self, indptr: Ints, indices: Ints) -> None:
        self.indptr = indptr
        self.indices = indices

    @property
    def height(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    def expand(self, labels: Ints, rows: Ints) -> tuple[Ints, Ints]:
        """List the entries of some rows, each with the row's label."""
        starts = self.indptr[rows]
        counts = self.indptr[rows + 1] - starts
        ends = np.cumsum(counts, dtype=np.int64)
        total = int(ends[-1]) if len(ends) else 0
        _check_memory(total)
        places = np.arange(total) + np.repeat(starts - (ends - counts), counts)
        return np.repeat(labels, counts), self.indices[places]

    def product(self, labels: Ints, rows: Ints, n: int) -> tuple[Ints, Ints]:
        """List the same entries, each once; `n` is the number of columns.

        A label that has many rows with the same entries gets them once without their being listed,
        by a product of boolean matrices: dense ones by BLAS where they are small enough.
        """
        counts = np.diff(self.indptr)[rows]
        total, most = int(counts.sum()), int(np.bincount(labels).max(initial=1))
        if total <= LONGEST_LIST or most == 1:
            return self.expand(labels, rows)
        _check_memory(total // most)
        height, m = self.height, int(labels.max()) + 1
        some = sps.coo_array((np.ones(len(rows), np.float32), (labels, rows)), shape=(m, height))
        ones = np.ones(len(self.indices), np.float32)
        whole = sps.csr_array((ones, self.indices, self.indptr), shape=(height, n))
        if max(m * height, height * n, m * n) <= LONGEST_LIST:
            found = np.nonzero(some.toarray() @ whole.toarray())
        else:
            found = (some.tocsr().astype(bool) @ whole.astype(bool)).nonzero()
        return found[0], found[1]

    def same(self, other: Table) -> bool:
        """Whether both hold the same rows."""
        return (
            len(self.indices) == len(other.indices)
            and np.array_equal(self.indptr, other.indptr)
            and np.array_equal(self.indices, other.indices)
        )


class _Bound(threading.local):
    entries = 1 << 62


_BOUND = _Bound()


@contextlib.contextmanager
def listing_at_most(entries: int) -> Iterator[None]:
    """Refuse meanwhile, with a MemoryError, to list more entries than so many."""
    before, _BOUND.entries = _BOUND.entries, entries
    try:
        yield
    finally:
        _BOUND.entries = before


def _check_memory(entries: int) -> None:
    """Refuse what cannot be listed, before the system runs out of memory."""
    if entries * BYTES_AN_ENTRY > MEMORY or entries > _BOUND.entries:
        raise MemoryError(
            f"a sparsity pattern of {entries:,} entries would take "
            f"{entries * BYTES_AN_ENTRY / 2**30:,.0f} GiB while it is made: this Jacobian is not "
            f"sparse. Use products with it (wg.jvp, wg.vjp, wg.hvp) instead."
        )


class RowsTerm(NamedTuple):
    """One array of input numbers (no table) or of a table's row numbers; -1 is none."""

    at: Ints
    table: Table | None = None


class Space:
    """The inputs that dependences refer to.

    Parameters
    ----------
    n : int
        How many.
    """

    def __init__(self, n: int) -> None:
        self.n = n
        self.dtype = index_dtype(n)
        self._tables: dict[tuple[int, int, int], list[Table]] = {}

    def table(self, indptr: Ints, indices: Ints) -> Table:
        """Return a table with these rows: one made before, if it is the same."""
        made = Table(indptr, indices)
        middle = int(indices[len(indices) // 2]) if len(indices) else 0
        bucket = self._tables.setdefault((made.height, len(indices), middle), [])
        for other in bucket:
            if made.same(other):
                return other
        bucket.append(made)
        return made

    def inputs(self, start: int, shape: tuple[int, ...]) -> Rows:
        """Return the dependence of an input on itself; its entries are numbered from `start`."""
        numbers = np.arange(start, start + math.prod(shape), dtype=self.dtype)
        return Rows(self, shape, (RowsTerm(numbers.reshape(shape)),))

    def nothing(self, shape: tuple[int, ...]) -> Rows:
        """Return no dependence."""
        return Rows(self, shape, ())

    def listed(self, labels: Ints, columns: Ints, shape: tuple[int, ...]) -> Rows:
        """Return the dependence with the given entries, rows being numbered by flat labels."""
        m = math.prod(shape)
        if not len(labels):
            return self.nothing(shape)
        if m == 1:
            hit = np.zeros(self.n, bool)
            hit[columns] = True
            found = np.flatnonzero(hit).astype(self.dtype)
            table = self.table(np.array([0, len(found)]), found)
            return Rows(self, shape, (RowsTerm(np.zeros(shape, np.int64), table),))
        indptr, indices = compressed(labels, columns, (m, self.n))
        numbers = np.arange(m)
        full = np.diff(indptr) == self.n
        if np.count_nonzero(full) > 1:  # all of them can be one row
            at = np.cumsum(~full)
            numbers = np.where(full, at[-1], at - 1)
            starts = np.append(np.cumsum(np.append(0, np.diff(indptr)[~full])), 0)
            starts[-1] = starts[-2] + self.n
            kept = indices[~np.repeat(full, np.diff(indptr))]
            indptr, indices = starts, np.append(kept, np.arange(self.n, dtype=kept.dtype))
        return Rows(self, shape, (RowsTerm(numbers.reshape(shape), self.table(indptr, indices)),))


class Rows:
    """What each entry of a value of some shape depends on: the union of `terms`."""

    __slots__ = ("shape", "space", "terms")

    def __init__(self, space: Space, shape: tuple[int, ...], terms: tuple[RowsTerm, ...]) -> None:
        self.space = space
        self.shape = shape
        self.terms = terms

    # --- entry by entry ---------------------------------------------------------------------------
    def moved(self, move: Callable[[Ints], Ints], shape: tuple[int, ...]) -> Rows:
        """Apply a function that copies entries of an array, or fills in -1; say what it makes."""
        terms = tuple(RowsTerm(move(t.at), t.table) for t in self.terms)
        return Rows(self.space, shape, terms)

    def broadcast(self, shape: tuple[int, ...]) -> Rows:
        """Repeat along new axes and axes of length 1."""
        if shape == self.shape:
            return self
        terms = tuple(RowsTerm(np.broadcast_to(t.at, shape), t.table) for t in self.terms)
        return Rows(self.space, shape, terms)

    def reshaped(self, shape: tuple[int, ...]) -> Rows:
        """Give the entries another shape."""
        terms = tuple(RowsTerm(t.at.reshape(shape), t.table) for t in self.terms)
        return Rows(self.space, shape, terms)

    def without(self, mask: Any) -> Rows:
        """Drop the dependence of the entries where `mask` is true."""
        if not np.any(mask):
            return self
        kept = (RowsTerm(np.where(mask, -1, t.at), t.table) for t in self.terms)
        return Rows(self.space, self.shape, tuple(t for t in kept if np.any(t.at >= 0)))

    # --- sums over groups -------------------------------------------------------------------------
    def entries(self, labels: Ints) -> tuple[Ints, Ints]:
        """List pairs of an entry's label and an input that it depends on.

        Parameters
        ----------
        labels : int array
            Broadcasts to the value's shape. Entries with equal labels are one group.
        """
        labels = np.broadcast_to(labels, self.shape).reshape(-1)
        return self._pairs(labels, [t.at.reshape(-1) for t in self.terms])

    def _pairs(self, labels: Ints, arrays: Sequence[Ints]) -> tuple[Ints, Ints]:
        rows, columns = [np.empty(0, np.int64)], [np.empty(0, self.space.dtype)]
        for index, term in zip(arrays, self.terms, strict=True):
            there = index >= 0
            full = there.all()
            label, found = (labels, index) if full else (labels[there], index[there])
            if term.table is not None:
                label, found = _distinct(label, found, term.table.height)
                label, found = term.table.product(label, found, self.space.n)
            rows.append(label)
            columns.append(found)
        return np.concatenate(rows), np.concatenate(columns)

    def gathered(self, labels: Ints, source: Ints, shape: tuple[int, ...]) -> Rows:
        """Let the result's entry ``labels[i]`` depend on what the entry ``source[i]`` does.

        Both are flat numbers; this is the product with a sparse boolean matrix.
        """
        if not self.terms:
            return self.space.nothing(shape)
        arrays = [t.at.reshape(-1)[source] for t in self.terms]
        return self.space.listed(*self._pairs(labels, arrays), shape)

    def grouped(self, labels: Ints, shape: tuple[int, ...]) -> Rows:
        """Unite the entries with equal labels, which are flat numbers in the result's shape."""
        if not self.terms:
            return self.space.nothing(shape)
        return self.space.listed(*self.entries(labels), shape)

    def reduced(self, axes: Sequence[int]) -> Rows:
        """Unite the entries along some axes, which keep length 1."""
        shape = tuple(1 if i in axes else k for i, k in enumerate(self.shape))
        if shape == self.shape or not self.terms or 0 in self.shape:
            return self if shape == self.shape else self.space.nothing(shape)
        if all(0 in t.at.strides or t.at.size == 1 for t in self.terms):
            shrunk = self._shrunk(axes)
            if shrunk is not self:
                return shrunk.reduced(axes)
        folded = math.prod(self.shape) // max(math.prod(shape), 1)
        if folded * len(self.terms) <= MOST_TERMS // 2:
            return self._unrolled(axes)
        found = self._alike(axes, shape)
        if found is not None:
            return found
        labels = np.arange(math.prod(shape)).reshape(shape)
        return self.grouped(labels, shape)

    def _alike(self, axes: Sequence[int], shape: tuple[int, ...]) -> Rows | None:
        """Unite the entries along some axes, groups of the same entries once; None if few are."""
        kept = [i for i in range(len(self.shape)) if i not in axes]
        groups = math.prod(self.shape[i] for i in kept)
        members = math.prod(self.shape) // max(groups, 1)
        if groups < 2 or groups * members < ALIKE:
            return None
        lines = [t.at.transpose(*kept, *axes).reshape(groups, members) for t in self.terms]
        marks = np.zeros(groups, np.uint64)
        for k, at in enumerate(lines):
            weights = np.random.default_rng(k).integers(0, 1 << 63, members, np.uint64) * 2 + 1
            for part in _parts(groups, members):
                marks[part] += at[part].astype(np.uint64) @ weights
        _, first, kind = np.unique(marks, return_index=True, return_inverse=True)
        if 2 * len(first) > groups:
            return None
        for at in lines:
            for part in _parts(groups, members):
                if not np.array_equal(at[part], at[first[kind[part]]]):
                    return None
        terms = tuple(RowsTerm(at[first], t.table) for at, t in zip(lines, self.terms, strict=True))
        labels = np.arange(len(first))[:, None]
        some = Rows(self.space, (len(first), members), terms).grouped(labels, (len(first),))
        return some.moved(lambda x: x[kind].reshape(shape), shape)

    def _shrunk(self, axes: Sequence[int]) -> Rows:
        """Keep one entry along the axes that every term repeats."""
        at = tuple(
            slice(0, 1) if i in axes and all(t.at.strides[i] == 0 for t in self.terms)
            else slice(None)
            for i in range(len(self.shape))
        )  # fmt: skip
        shape = tuple(
            k if s == slice(None) else min(k, 1) for k, s in zip(self.shape, at, strict=True)
        )
        return self if shape == self.shape else self.moved(lambda x: x[at], shape)

    def _unrolled(self, axes: Sequence[int]) -> Rows:
        """Make the few entries along the axes terms of their own."""
        places = itertools.product(*(range(self.shape[i]) for i in axes))
        shape = tuple(1 if i in axes else k for i, k in enumerate(self.shape))
        parts = []
        for place in places:
            at: list[Any] = [slice(None)] * len(self.shape)
            for i, p in zip(axes, place, strict=True):
                at[i] = slice(p, p + 1)
            parts.append(self._part(tuple(at), shape))
        return union(parts)

    def _part(self, at: tuple[Any, ...], shape: tuple[int, ...]) -> Rows:
        return self.moved(lambda x: x[at], shape)

    def prefix(self, axis: int) -> Rows:
        """Let each entry depend on all those at the same or an earlier place along an axis."""
        length = self.shape[axis]
        if length <= 1 or not self.terms:
            return self
        lines = math.prod(self.shape) // length
        moved = np.moveaxis(np.arange(math.prod(self.shape)).reshape(self.shape), axis, -1)
        numbers = np.empty(math.prod(self.shape), np.int64)  # of line and place along it
        numbers[moved.reshape(-1)] = np.arange(len(numbers))
        label, column = self.entries(numbers.reshape(self.shape))
        if not len(label):
            return self.space.nothing(self.shape)
        line, place = np.divmod(label, length)
        order = np.lexsort((place, column, line))
        line, place, column = line[order], place[order], column[order]
        first = np.ones(len(line), bool)  # where an input comes into a line
        first[1:] = (line[1:] != line[:-1]) | (column[1:] != column[:-1])
        line, place, column = line[first], place[first], column[first]
        counts = length - place
        ends = np.cumsum(counts)
        later = np.arange(int(ends[-1])) - np.repeat(ends - counts - place, counts)
        labels = np.repeat(line * length, counts) + later
        found = self.space.listed(labels, np.repeat(column, counts), (lines, length))
        back = [k for i, k in enumerate(self.shape) if i != axis]
        return found.moved(lambda x: np.moveaxis(x.reshape(*back, length), -1, axis), self.shape)

    # --- the end ----------------------------------------------------------------------------------
    def compact(self) -> Rows:
        """Return the same as one table."""
        if not self.terms:
            return self
        numbers = np.arange(math.prod(self.shape)).reshape(self.shape)
        if all(t.table is not None for t in self.terms):
            keys = _combinations([t.at for t in self.terms])
            first = np.unique(keys, return_index=True)[1]
            if len(first) < len(keys):
                arrays = [t.at.reshape(-1)[first] for t in self.terms]
                pairs = self._pairs(np.arange(len(first)), arrays)
                some = self.space.listed(*pairs, (len(first),))
                return some.moved(lambda x: x[keys].reshape(self.shape), self.shape)
        return self.space.listed(*self.entries(numbers), self.shape)

    @property
    def is_long(self) -> bool:
        """Whether there are more terms than are worth keeping apart."""
        tables = [t.at for t in self.terms if t.table is not None]
        if len(self.terms) - len(tables) > MOST_TERMS or len(tables) > NARROW_TERMS:
            return True
        if len(tables) <= MOST_TABLES:
            return False
        return sum(8 * int(np.count_nonzero(at >= 0)) > at.size for at in tables) > MOST_TABLES

    def csr(self) -> tuple[Ints, Ints]:
        """Return the rows compressed, entries in C order: ``(indptr, indices)``."""
        m = math.prod(self.shape)
        if not self.terms or not m:
            return np.zeros(m + 1, self.space.dtype), np.empty(0, self.space.dtype)
        arrays = [t.at.reshape(-1) for t in self.terms]
        if all(t.table is None for t in self.terms):
            return _sorted_rows(arrays)
        if len(self.terms) == 1 and self.terms[0].table is not None:
            table, index = self.terms[0].table, arrays[0]
            there = np.flatnonzero(index >= 0)
            counts = np.zeros(m + 1, np.int64)
            counts[there + 1] = np.diff(table.indptr)[index[there]]
            return np.cumsum(counts), table.expand(there, index[there])[1]
        return compressed(*self.entries(np.arange(m).reshape(self.shape)), (m, self.space.n))


def _parts(groups: int, members: int) -> Iterator[slice]:
    """Cut groups into parts of about a million entries."""
    step = max((1 << 20) // max(members, 1), 1)
    return (slice(i, i + step) for i in range(0, groups, step))


def _distinct(labels: Ints, rows: Ints, height: int) -> tuple[Ints, Ints]:
    """Return each pair of a label and a table's row once, if there may be repeated ones."""
    if len(rows) <= 1 or np.all(labels[1:] > labels[:-1]):
        return labels, rows
    pairs = np.unique(labels.astype(np.int64) * height + rows)
    return np.divmod(pairs, height)


def _combinations(arrays: Sequence[Ints]) -> Ints:
    """Give each combination of entries at a place a number."""
    keys = np.zeros(arrays[0].size, np.int64)
    for x in arrays:
        flat = x.reshape(-1)
        keys = keys * (int(flat.max(initial=0)) + 2) + flat + 1
        keys = np.unique(keys, return_inverse=True)[1]
    return keys


def _sorted_rows(arrays: list[Ints]) -> tuple[Ints, Ints]:
    """Compress rows of at most one column an array; -1 is none."""
    m = len(arrays[0])
    if len(arrays) == 1:
        (x,) = arrays
        there = x >= 0
        if there.all():
            return np.arange(m + 1), x
        return np.concatenate([[0], np.cumsum(there)]), x[there]
    grid = np.stack(_in_order(arrays), axis=1)
    kept = grid >= 0
    kept[:, 1:] &= grid[:, 1:] != grid[:, :-1]
    indptr = np.zeros(m + 1, np.int64)
    np.cumsum(kept.sum(axis=1), out=indptr[1:])
    return indptr, grid[kept]


def _in_order(arrays: list[Ints]) -> list[Ints]:
    """Sort the entries at each place by exchanges of neighbours, whole arrays at a time."""
    arrays = list(arrays)
    for rest in range(len(arrays) - 1, 0, -1):
        for i in range(rest):
            low, high = arrays[i], arrays[i + 1]
            arrays[i], arrays[i + 1] = np.minimum(low, high), np.maximum(low, high)
    return arrays


# --- several values -------------------------------------------------------------------------------
def union(parts: Sequence[Rows]) -> Rows:
    """Unite dependences of one shape, entry by entry."""
    terms: list[RowsTerm] = []
    for part in parts:
        for term in part.terms:
            if not any(_same(term, have) for have in terms):
                _pack(term, terms)
    first = parts[0]
    made = Rows(first.space, first.shape, tuple(terms))
    return made.compact() if made.is_long else made


def _same(a: RowsTerm, b: RowsTerm) -> bool:
    if a.table is not b.table:
        return False
    x, y = a.at, b.at
    if x is y or not x.size:
        return True
    corner = (-1,) * x.ndim
    return bool(x[corner] == y[corner]) and np.array_equal(x, y)


def _pack(term: RowsTerm, terms: list[RowsTerm]) -> None:
    """Put a term beside another one that has nothing where it has something, else add it."""
    new = term.at
    gaps = new < 0
    partial = bool(gaps.any())
    for i, have in enumerate(terms):
        if have.table is not term.table or not (partial or (have.at < 0).any()):
            continue
        if np.all(gaps | (have.at < 0) | (new == have.at)):
            terms[i] = RowsTerm(np.where(gaps, have.at, new), have.table)
            return
    terms.append(term)


def join(
    parts: Sequence[Rows], put: Callable[[Sequence[Ints]], Ints], shape: tuple[int, ...]
) -> Rows:
    """Build a value of pieces: `put` makes its array from arrays of the pieces' shapes."""
    space = parts[0].space
    groups: dict[int, list[list[RowsTerm]]] = {}
    for k, part in enumerate(_on_one_table(parts)):
        for term in part.terms:
            if id(term.table) not in groups:
                groups[id(term.table)] = [[] for _ in parts]
            groups[id(term.table)][k].append(term)
    nothing = [np.broadcast_to(np.array(-1, space.dtype), part.shape) for part in parts]
    terms: list[RowsTerm] = []
    for pieces in groups.values():
        for layer in itertools.zip_longest(*pieces):
            arrays = [e if t is None else t.at for t, e in zip(layer, nothing, strict=True)]
            table = next(t.table for t in layer if t is not None)
            terms.append(RowsTerm(np.asarray(put(arrays)), table))
    made = Rows(space, shape, tuple(terms))
    return made.compact() if made.is_long else made


def _on_one_table(parts: Sequence[Rows]) -> Sequence[Rows]:
    """Let pieces with tables of their own refer to one table, if there are more than a few."""
    found = {id(t.table): t.table for part in parts for t in part.terms if t.table is not None}
    if len(found) <= 8:
        return parts
    tables = list(found.values())
    heights = np.cumsum([0, *(t.height for t in tables)])
    lengths = np.cumsum([0, *(len(t.indices) for t in tables)])
    starts = [t.indptr[:-1] + n for t, n in zip(tables, lengths[:-1], strict=True)]
    indptr = np.concatenate([*starts, lengths[-1:]])
    space = parts[0].space
    whole = space.table(indptr, np.concatenate([t.indices for t in tables]))
    shifts = {key: int(h) for key, h in zip(found, heights[:-1], strict=True)}

    def moved(term: RowsTerm) -> RowsTerm:
        if term.table is None:
            return term
        return RowsTerm(np.where(term.at < 0, -1, term.at + shifts[id(term.table)]), whole)

    return [Rows(p.space, p.shape, tuple(map(moved, p.terms))) for p in parts]
