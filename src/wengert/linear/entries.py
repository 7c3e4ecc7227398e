"""From accumulated terms to one array: the nonzeros of a sparse matrix, in order by rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.linear.accumulate import Accumulation
from wengert.linear.terms import JacobianTerm
from wengert.ops.base import Traced, shape_of
from wengert.ops.convert import convert
from wengert.ops.index import SLOT, getitem, index_add, index_set
from wengert.ops.shape import filled, reshape
from wengert.sparse.pattern import SparsityPattern

__all__ = ["Entries", "assemble", "entries_of"]

Ints = np.ndarray[Any, Any]


class Entries(NamedTuple):
    """Where the entries of all terms stand in the matrix.

    Attributes
    ----------
    terms : list of (Term, shape of the value it belongs to)
    rows, columns : list of int arrays
        One for each term, of the entries that it has.
    places : list of int arrays
        Where those entries stand in the term's flat coefficients.
    shape : (int, int)
    """

    terms: list[tuple[JacobianTerm, tuple[int, ...]]]
    rows: list[Ints]
    columns: list[Ints]
    places: list[Ints]
    shape: tuple[int, int]

    @property
    def pattern(self) -> SparsityPattern:
        """The pattern of all entries."""
        none: list[Ints] = [np.empty(0, np.int64)]
        return SparsityPattern.from_coo(
            np.concatenate(self.rows or none), np.concatenate(self.columns or none), self.shape
        )


def entries_of(found: Accumulation, columns: int) -> Entries:
    """List the entries of accumulated results, whose Jacobian has so many columns."""
    terms, rows, cols, places = [], [], [], []
    start = 0
    for y, of_y in zip(found.ys, found.terms, strict=True):
        shape = shape_of(y)
        size = math.prod(shape)
        for t in of_y:
            if t.rows is not None:
                terms.append((t, shape))
                rows.append(t.rows + start)
                cols.append(t.columns - 1)
                places.append(np.arange(len(t.rows)))
                continue
            w = t.columns.shape[0]
            flat = np.broadcast_to(t.columns, (w, *shape)).reshape(-1)
            place = np.flatnonzero(flat)
            terms.append((t, shape))
            if len(place) == len(flat):
                cols.append(flat - 1)
                row = np.arange(start, start + size)
                rows.append(row if w == 1 else np.tile(row, w))
            else:
                cols.append(flat[place] - 1)
                rows.append(place + start if w == 1 else place % size + start)
            places.append(place)
        start += size
    return Entries(terms, rows, cols, places, (start, columns))


def assemble(
    entries: Entries, pattern: SparsityPattern, dtype: np.dtype[Any], place: Ints | None = None
) -> Any:
    """Put the coefficients of all terms into the array of a pattern's entries.

    Entries that are not in the pattern are left out. Coefficients that are numbers are written
    once, now; those of the others that stand at equal distances in the array are written without
    an index.

    Parameters
    ----------
    entries : Entries
    pattern : SparsityPattern
    dtype : dtype
    place : int array, optional
        Where each entry by rows is to stand.

    Returns
    -------
    array of shape (pattern.nnz,)
        Traced where a coefficient is.
    """
    n = max(pattern.shape[1], 1)
    keys = pattern.rows.astype(np.int64) * n + pattern.indices
    template = np.zeros(pattern.nnz, dtype)
    written = np.zeros(pattern.nnz, np.bool_)
    later = []
    for (t, shape), rows, cols, places in zip(
        entries.terms, entries.rows, entries.columns, entries.places, strict=True
    ):
        wanted = rows.astype(np.int64) * n + cols
        at = np.searchsorted(keys, wanted)
        there = np.minimum(at, max(len(keys) - 1, 0))
        known = keys[there] == wanted if len(keys) else np.zeros(len(wanted), np.bool_)
        if not known.all():
            at, places = at[known], places[known]
        if not len(at):
            continue
        if place is not None:
            at = place[at]
        if isinstance(t.coefficient, (Traced, np.ndarray)):
            later.append((t, shape, at, places))
        else:
            np.add.at(template, at, t.coefficient)
            written[at] = True
    data: Any = template
    for t, shape, at, places in later:
        c = _flat(t, shape, places)
        if c.dtype != dtype:
            c = convert(c, dtype=dtype)
        step = _step(at)
        alone = not written[at].any() and (step is not None or len(np.unique(at)) == len(at))
        written[at] = True
        if alone and step == 1 and len(at) == pattern.nnz:
            data = c
            continue
        write = index_set if alone else index_add
        if step is not None:
            stop = int(at[-1]) + 1
            data = write(data, c, spec=(slice(int(at[0]), stop, step),))
        else:
            data = write(data, c, at, spec=(SLOT,))
    return data


def _flat(t: JacobianTerm, shape: tuple[int, ...], places: Ints) -> Any:
    """Return the coefficients at some places of a term."""
    full = (t.columns.shape[0], *shape) if t.rows is None else t.rows.shape
    c = t.coefficient
    if shape_of(c) != full:
        c = filled(c, shape=full)
    size = math.prod(full)
    c = reshape(c, shape=(size,))
    if len(places) == size:
        return c
    if places[-1] - places[0] + 1 == len(places):
        return getitem(c, spec=(slice(int(places[0]), int(places[-1]) + 1),))
    return getitem(c, places, spec=(SLOT,))


def _step(at: Ints) -> int | None:
    """Return the positive distance between neighbours if it is the same for all, else None."""
    if len(at) == 1:
        return 1
    distances: Sequence[Any] = np.diff(at)  # type: ignore[assignment]
    first = int(distances[0])
    return first if first > 0 and bool(np.all(np.equal(distances, first))) else None
