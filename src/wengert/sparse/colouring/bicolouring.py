"""Bicolouring: some entries are recovered from row colours and the others from column colours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from wengert.sparse.colouring import recovery
from wengert.sparse.colouring.search import Effort, Graph, one_side, two_coloured

__all__ = ["bicolour", "unique_entries", "without_spare_symmetric"]

Array = NDArray[Any]

COVERS = 2
"""Splits into dense and other rows (and columns) that are tried."""


def unique_entries(
    rows: Graph, columns: Graph, place: Array, row_colour: Array, column_colour: Array
) -> tuple[Array, Array]:
    """Say of each entry whether its column's colour is alone in its row, and the other way round.

    Parameters
    ----------
    rows, columns : Graph
        The matrix by rows and by columns.
    place : array
        Where each entry by columns stands by rows.
    row_colour, column_colour : array
        The same object for a symmetric matrix.
    """
    by_column = _alone(rows, column_colour)
    if row_colour is column_colour:  # a symmetric matrix: an entry's place is the transposed one's
        return by_column, by_column[place]
    by_row = np.empty_like(by_column)
    by_row[place] = _alone(columns, row_colour)
    return by_column, by_row


def _alone(graph: Graph, colour: Array) -> Array:
    alone = np.zeros(len(graph.adj), np.bool_)
    number = int(colour.max(initial=-1)) + 1
    if number:
        recovery.unique(graph.ptr, graph.adj, colour, np.zeros(number, np.int32), alone)
    return alone


def renumbered(colour: Array) -> Array:
    """Return the same classes with colours that count from 0 without gaps."""
    present = np.zeros(int(colour.max(initial=-1)) + 1, np.int32)
    present[colour[colour >= 0]] = 1
    names = np.cumsum(present, dtype=np.int32) - 1
    return np.where(colour >= 0, names[colour] if len(names) else -1, -1).astype(np.int32)


def without_spare(
    rows: Graph, columns: Graph, place: Array, row_colour: Array, column_colour: Array
) -> tuple[Array, Array]:
    """Take away the colours that no entry needs; as many as there are.

    Montoison, Dalle, Gebremedhin (2025), Revisiting sparse matrix coloring and bicoloring, section
    on neutral colours. A class is needed by an entry that only it gives. Any other entry is given
    by a row's class or by a column's, so what is kept is a least vertex cover of a bipartite graph
    of classes, by Kőnig's theorem from a maximum matching.
    """
    by_column, by_row = unique_entries(rows, columns, place, row_colour, column_colour)
    of_row = np.repeat(np.arange(rows.size, dtype=np.int32), rows.degrees)
    c, r = column_colour[rows.adj], row_colour[of_row]
    keep_c = np.zeros(int(column_colour.max(initial=-1)) + 1, np.bool_)
    keep_r = np.zeros(int(row_colour.max(initial=-1)) + 1, np.bool_)
    keep_c[c[by_column & ~by_row]] = True
    keep_r[r[by_row & ~by_column]] = True
    open_ = by_column & by_row
    open_[open_] = ~(keep_c[c[open_]] | keep_r[r[open_]])
    if open_.any():
        pairs = coo_array(
            (np.ones(int(open_.sum()), np.int8), (c[open_], r[open_])),
            shape=(len(keep_c), len(keep_r)),
        ).tocsr()
        cover_c, cover_r = _cover(pairs)
        keep_c[cover_c] = True
        keep_r[cover_r] = True
    new_c, new_r = column_colour.copy(), row_colour.copy()
    new_c[new_c >= 0] = np.where(keep_c, np.arange(len(keep_c)), -1)[new_c[new_c >= 0]]
    new_r[new_r >= 0] = np.where(keep_r, np.arange(len(keep_r)), -1)[new_r[new_r >= 0]]
    return renumbered(new_r), renumbered(new_c)


def without_spare_symmetric(rows: Graph, place: Array, colour: Array) -> Array:
    """Take away colours that no entry of a symmetric matrix needs (as in `without_spare`).

    An entry off the diagonal is given by either of two classes, one on the diagonal only by its
    own. The classes left to be chosen from are covered greedily, the one in most pairs first.
    """
    by_column, by_row = unique_entries(rows, rows, place, colour, colour)
    of_row = np.repeat(np.arange(rows.size, dtype=np.int32), rows.degrees)
    c, r = colour[rows.adj], colour[of_row]
    number = int(colour.max(initial=-1)) + 1
    keep = np.zeros(number, np.bool_)
    keep[c[by_column & (~by_row | (of_row == rows.adj))]] = True
    keep[r[by_row & ~by_column]] = True
    open_ = ~(keep[c] | keep[r])
    pairs = np.unique(np.stack([c[open_], r[open_]]), axis=1)
    while pairs.size:
        most = np.bincount(pairs.ravel()).argmax()
        keep[most] = True
        pairs = pairs[:, (pairs != most).all(0)]
    return renumbered(np.where(keep[colour], colour, -1) if number else colour)


def _cover(pairs: Any) -> tuple[Array, Array]:
    """Return a least vertex cover of a bipartite graph, given as a matrix (Kőnig 1931)."""
    from scipy.sparse.csgraph import maximum_bipartite_matching  # slow to load, and rarely needed

    partner = maximum_bipartite_matching(pairs, perm_type="row")  # of each column, its row
    matched = np.full(pairs.shape[0], -1)
    matched[partner[partner >= 0]] = np.flatnonzero(partner >= 0)
    left = (matched < 0) & (np.diff(pairs.indptr) > 0)
    right = np.zeros(pairs.shape[1], np.bool_)
    stack = np.flatnonzero(left).tolist()
    while stack:  # along alternating paths
        i = stack.pop()
        for j in pairs.indices[pairs.indptr[i] : pairs.indptr[i + 1]]:
            if not right[j]:
                right[j] = True
                k = partner[j]
                if k >= 0 and not left[k]:
                    left[k] = True
                    stack.append(k)
    return np.flatnonzero(~left & (np.diff(pairs.indptr) > 0)), np.flatnonzero(right)


def _splits(
    rows: Graph, columns: Graph, row_weight: float, column_weight: float
) -> list[tuple[float, Array]]:
    """Return estimates of the cost of colours, with which rows would get one.

    Rows with more entries than a threshold get colours, and so do the columns with an entry in
    another row. At least as many are needed as a column has such rows, and another row entries.
    """
    widths = rows.degrees
    sizes = np.unique(widths)[::-1]
    # As rows become dense one width after another, the most of them that a column meets.
    of_row = np.repeat(widths, widths)
    met = np.zeros(columns.size, np.int64)
    order = np.argsort(-of_row, kind="stable")
    starts = np.searchsorted(-of_row[order], -sizes, side="left")
    ends = np.append(starts[1:], len(order))
    found = []
    least = float("inf")
    most = 0
    for t in range(len(sizes) - 1):
        if most * row_weight >= least or t > 64:
            break
        columns_met = rows.adj[order[starts[t] : ends[t]]]
        np.add.at(met, columns_met, 1)
        most = max(most, int(met[columns_met].max(initial=0)))
        estimate = most * row_weight + int(sizes[t + 1]) * column_weight
        found.append((estimate, widths >= sizes[t]))
        least = min(least, estimate)
    return sorted(found, key=lambda pair: pair[0])[:COVERS]


def _covers(rows: Graph, columns: Graph, row_weight: float) -> Iterator[tuple[float, Array]]:
    """Yield estimates and sets of vertices (columns, then rows) enough to recover all entries."""
    n, m = columns.size, rows.size
    for estimate, dense in _splits(rows, columns, row_weight, 1):
        other = np.zeros(n, np.bool_)
        other[rows.adj[np.repeat(~dense, rows.degrees)]] = True
        yield estimate, np.flatnonzero(np.concatenate([other, dense]))
    for estimate, dense in _splits(columns, rows, 1, row_weight):
        other = np.zeros(m, np.bool_)
        other[columns.adj[np.repeat(~dense, columns.degrees)]] = True
        yield estimate, np.flatnonzero(np.concatenate([dense, other]))


def bicolour(
    rows: Graph,
    columns: Graph,
    place: Array,
    kind: str,
    order: str,
    effort: Effort,
    seed: int,
    row_weight: float,
    neutral: bool,
) -> tuple[Array, Array, str, int]:
    """Colour rows and columns so that every entry can be recovered.

    Star bicolouring for direct recovery and acyclic bicolouring for substitution: Gebremedhin,
    Manne, Pothen (2005), What color is your Jacobian?, section 6, through star and acyclic
    colouring of the bipartite graph (Montoison, Dalle, Gebremedhin 2025).

    Without `neutral` every row and column with an entry gets a colour.

    Returns
    -------
    row_colour, column_colour : array
        -1 for none.
    order : str
    bound : int
        A number of colours that there must be.
    """
    orders = [order]
    n, m = columns.size, rows.size
    graph = Graph(
        np.concatenate([columns.ptr, rows.ptr[1:] + columns.ptr[-1]]),
        np.concatenate([columns.adj + np.int32(n), rows.adj]),
        split=n,
    )

    def cost(row_colour: Array, column_colour: Array) -> float:
        count = int(column_colour.max(initial=-1)) + 1
        return count + row_weight * (int(row_colour.max(initial=-1)) + 1)

    def tidy(sort: str, colour: Array) -> tuple[Array, float]:
        r, c = colour[n:], colour[:n]
        if sort == "star" and neutral:
            r, c = without_spare(rows, columns, place, r, c)
        else:
            r, c = renumbered(r), renumbered(c)
        return np.concatenate([c, r]), cost(r, c)

    # With k colours in all, each entry's row or column colour is alone there: a matrix of e
    # entries gives at most m numbers for a column colour and n for a row's.
    entries = len(rows.adj)
    bound = -(-entries // max(m, n)) if entries else 0
    cheapest = bound * min(1, row_weight)
    best: tuple[float, Array, Array, str] | None = None
    everything = np.flatnonzero(graph.degrees > 0)
    covers: list[tuple[float, Array]] = []
    if neutral:
        # One direction alone is a bicolouring too, where it can be better than both.
        alone: list[tuple[int, Graph, Graph, bool]] = [
            (int(rows.degrees.max(initial=0)), columns, rows, True),
            (int(columns.degrees.max(initial=0)), rows, columns, False),
        ]
        covers += list(_covers(rows, columns, row_weight))
        covers.sort(key=lambda cover: cover[0])
        least = min((estimate for estimate, _ in covers), default=np.inf)
        for limit, graph_of, back, by_columns in alone:
            if limit * (1 if by_columns else row_weight) > 2 * least:
                continue
            attempt, _ = one_side(graph_of, back, orders, Effort(effort.left), seed)
            neither = np.full(m if by_columns else n, -1, np.int32)
            r, c = (neither, attempt.colour) if by_columns else (attempt.colour, neither)
            if best is None or cost(r, c) < best[0]:
                best = (cost(r, c), r, c, attempt.order)
    # Last, as it has no estimate and can take far more colours than the others.
    for estimate, members in [*covers, (0, everything)]:
        if best is not None and (estimate >= best[0] or best[0] <= cheapest):
            continue
        if best is not None and not effort.spend(4 * len(graph.adj)):
            break
        # What a star colouring gives directly, substitution gives too.
        for sort in ("star",) if kind == "star" else ("star", "acyclic"):
            attempt = two_coloured(
                graph, members.astype(np.int32), sort, orders, cheapest,
                Effort(effort.left // 4), seed, partial(tidy, sort),
                limit=np.inf if best is None else best[0],
            )  # fmt: skip
            if best is None or attempt.cost < best[0]:
                best = (attempt.cost, attempt.colour[n:], attempt.colour[:n], attempt.order)
    assert best is not None
    return best[1], best[2], best[3], bound
