"""Dense Jacobians of which few entries differ from zero: one product for each colour.

The pattern is the product of the patterns of the local Jacobians, so it is known without running
anything. Columns that share no row are pushed at once, or rows that share no column pulled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sps

from wengert.linear.terms import NotAccumulable
from wengert.linear.values import Linear, rely_on
from wengert.matrices.sweeps import pull_products, push_products
from wengert.ops.base import shape_of
from wengert.ops.index import SLOT, getitem, index_set
from wengert.ops.shape import filled, reshape
from wengert.sparse.colouring.colouring import colour
from wengert.sparse.colouring.problem import ColouringProblem
from wengert.sparse.pattern import SparsityPattern
from wengert.transform.linear import Linearized, quiet

__all__ = ["compressed_matrix", "pattern_of"]

LEAST = 4
"""Times fewer colours than columns, or rows, from which on there is something to gain."""

MOST = 200_000
"""Entries of a local Jacobian, or of a product of them, beyond which no pattern is looked for."""


def compressed_matrix(lin: Linearized, leaves: Sequence[Any], dtype: np.dtype[Any]) -> Any:
    """Return the Jacobian of all results with respect to all leaves, as one dense matrix.

    Raises
    ------
    NotAccumulable
        For a function whose pattern is not known, or has too many colours.
    """
    graph = Linear(lin)
    pattern = pattern_of(graph)
    rows, columns = pattern.shape
    by_columns, by_rows = (
        colour(pattern, ColouringProblem("nonsymmetric", side)) for side in ("column", "row")
    )
    forward = by_columns.column_number <= by_rows.row_number
    chosen = by_columns if forward else by_rows
    number = max(chosen.column_number, chosen.row_number)
    if number * LEAST > (columns if forward else rows):
        what = f"{columns} columns" if forward else f"{rows} rows"
        raise NotAccumulable(f"{number} colours of {what} save too little")
    places = np.repeat(np.arange(rows), np.diff(pattern.indptr)) * columns + pattern.indices
    with quiet():
        if forward:
            made = push_products(lin, leaves, chosen.seeds_columns(dtype), dtype)
        else:
            made = pull_products(lin, leaves, chosen.seeds_rows(dtype), dtype)
        flat = reshape(made, shape=(math.prod(shape_of(made)),))
        data = getitem(flat, chosen.gather, spec=(SLOT,))
        empty = filled(np.zeros((), dtype)[()], shape=(rows * columns,))
        whole = index_set(empty, data, places, spec=(SLOT,))
    rely_on(graph.indices)
    return reshape(whole, shape=(rows, columns))


def pattern_of(graph: Linear) -> SparsityPattern:
    """Return which results a linear graph lets depend on which entries of its arguments.

    Raises
    ------
    NotAccumulable
        Where there are too many entries on the way.
    """
    leaves = [shape_of(v.data) for v in graph.lin.roots]
    sizes = [math.prod(shape) for shape in leaves]
    columns, start = sum(sizes), 0
    known: dict[int, Any] = {}
    for number, size in zip(graph.arguments, sizes, strict=True):
        if number is not None:
            known[number] = sps.csr_array(
                (np.ones(size, np.int8), (np.arange(size), np.arange(start, start + size))),
                shape=(size, columns),
            )
        start += size
    for e in graph.edges:
        if e.block.nnz > MOST:
            raise NotAccumulable(f"{e.block.of.op.name} mixes too many entries")
        r, c = e.block.entries()
        local = sps.csr_array((np.ones(len(r), np.int8), (r, c)), shape=e.block.shape)
        made = local @ known[e.source]
        if e.target in known:
            made = made + known[e.target]
        made.data[:] = 1
        if made.nnz > MOST or 2 * made.nnz > math.prod(made.shape):
            raise NotAccumulable(f"{e.block.of.op.name} depends on too much")
        known[e.target] = made
    parts = [
        sps.csr_array((math.prod(shape_of(y)), columns), dtype=np.int8) if k is None else known[k]
        for k, y in zip(graph.results, graph.ys, strict=True)
    ]
    return SparsityPattern.from_scipy(sps.csr_array(sps.vstack(parts)))
