"""Patterns, and checkers of colourings that are nothing but the definitions."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import scipy.sparse as sp
from hypothesis import strategies as st

from wengert.sparse import ColouringResult


def csr(dense: Any) -> sp.csr_array:
    array = sp.csr_array(dense)
    array.sum_duplicates()
    return array


def banded(n: int, half: int) -> sp.csr_array:
    offsets = list(range(-half, half + 1))
    return csr(sp.diags_array([np.ones(n - abs(k)) for k in offsets], offsets=offsets))


def arrowhead(n: int) -> sp.csr_array:
    i, first = np.arange(n), np.zeros(n - 1, np.int64)
    rows, columns = np.r_[i, first, i[1:]], np.r_[i, i[1:], first]
    return csr(sp.csr_array((np.ones(3 * n - 2), (rows, columns)), shape=(n, n)))


def line(n: int, periodic: bool) -> Any:
    band = banded(n, 1).tolil()
    if periodic:
        band[0, n - 1] = band[n - 1, 0] = 1
    return band.tocsr()


def grid(*sizes: int, corners: bool = False, periodic: bool = False) -> sp.csr_array:
    """A point and its neighbours: along the axes, or with corners all around."""
    total: Any = None
    for axis in range(1 if corners else len(sizes)):
        part: Any = sp.identity(1)
        for k, n in enumerate(sizes):
            part = sp.kron(part, line(n, periodic) if corners or k == axis else sp.identity(n))
        total = part if total is None else total + part
    array = csr(total)
    array.data[:] = 1
    return array


def brusselator(n: int, *, periodic: bool = False) -> sp.csr_array:
    """Jacobian of two species on an n x n grid: each diffuses, and reacts with the other."""
    diffusion, reaction = grid(n, n, periodic=periodic), sp.identity(n * n)
    return csr(sp.block_array([[diffusion, reaction], [reaction, diffusion]]))


def framed(m: int, n: int) -> sp.csr_array:
    """The first and last two rows and columns are dense, the rest is empty."""
    dense = np.zeros((m, n))
    dense[[0, 1, -2, -1]] = 1
    dense[:, [0, 1, -2, -1]] = 1
    return csr(dense)


@st.composite
def patterns(draw: Any, most: int = 12) -> sp.csr_array:
    m, n = draw(st.integers(1, most)), draw(st.integers(1, most))
    density = draw(st.sampled_from([0.1, 0.25, 0.5, 0.9]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dense = rng.random((m, n)) < density
    if draw(st.booleans()):
        dense[rng.integers(m)] = True
    if draw(st.booleans()):
        dense[:, rng.integers(n)] = True
    return csr(dense)


@st.composite
def symmetric_patterns(draw: Any, most: int = 12) -> sp.csr_array:
    n = draw(st.integers(1, most))
    density = draw(st.sampled_from([0.1, 0.25, 0.5, 0.9]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dense = rng.random((n, n)) < density
    dense |= dense.T
    if draw(st.booleans()):
        dense[0] = dense[:, 0] = True
    diagonal = draw(st.sampled_from(["all", "none", "some"]))
    if diagonal != "some":
        np.fill_diagonal(dense, diagonal == "all")
    return csr(dense)


def assert_distance2(dense: np.ndarray, columns: np.ndarray) -> None:
    """Columns with an entry in one row differ."""
    for row in dense:
        colours = columns[np.flatnonzero(row)]
        assert (colours >= 0).all()
        assert len(set(colours.tolist())) == len(colours)


def proper(dense: np.ndarray, colours: Any) -> bool:
    edges = np.argwhere(np.triu(dense, 1))
    return all(colours[i] != colours[j] and min(colours[i], colours[j]) >= 0 for i, j in edges)


def is_star(dense: np.ndarray, colours: Any) -> bool:
    """Neighbours differ, and no path on four vertices has two colours."""
    n = len(dense)
    around = [[w for w in range(n) if dense[v, w] and v != w] for v in range(n)]
    paths = (
        (a, b, c, d)
        for b in range(n)
        for c in around[b]
        for a in around[b]
        for d in around[c]
        if len({a, b, c, d}) == 4
    )
    return proper(dense, colours) and all(len({colours[v] for v in p}) > 2 for p in paths)


def is_acyclic(dense: np.ndarray, colours: Any) -> bool:
    """Neighbours differ, and every two colours span a forest."""
    if not proper(dense, colours):
        return False
    colours = np.asarray(colours)
    for pair in combinations(sorted(set(colours.tolist())), 2):
        chosen = np.flatnonzero(np.isin(colours, pair))
        part = dense[np.ix_(chosen, chosen)]
        edges = int(np.triu(part, 1).sum())
        trees = sp.csgraph.connected_components(part, directed=False)[0]
        if edges != len(chosen) - trees:
            return False
    return True


def is_bicolouring(dense: np.ndarray, rows: Any, columns: Any) -> bool:
    """Each entry's row colour is alone in its column, or its column colour alone in its row."""
    for i, j in np.argwhere(dense):
        by_column = [k for k in np.flatnonzero(dense[i]) if columns[k] == columns[j]]
        by_row = [k for k in np.flatnonzero(dense[:, j]) if rows[k] == rows[i]]
        if not ((columns[j] >= 0 and by_column == [j]) or (rows[i] >= 0 and by_row == [i])):
            return False
    return True


def assert_recovers(pattern: sp.csr_array, result: ColouringResult, seed: int = 0) -> None:
    """Products with the seeds give back a matrix of whole numbers, to the last bit."""
    rng = np.random.default_rng(seed)
    matrix = pattern.astype(np.float64)
    matrix.data = rng.integers(-9, 10, pattern.nnz).astype(np.float64)
    if result.problem.structure == "symmetric":
        upper = sp.triu(matrix, format="csr")
        full = upper.toarray() + np.triu(upper.toarray(), 1).T
        matrix.data = full[np.repeat(np.arange(len(full)), np.diff(matrix.indptr)), matrix.indices]
    columns = result.seeds_columns() @ matrix.T
    rows = result.seeds_rows() @ matrix
    assert columns.shape == (result.column_number, matrix.shape[0])
    assert rows.shape == (result.row_number, matrix.shape[1])
    np.testing.assert_array_equal(result.indices, matrix.indices)
    np.testing.assert_array_equal(result.decompress(columns, rows), matrix.data)
