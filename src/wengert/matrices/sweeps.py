"""Coloured sweeps: one product with the Jacobian for each colour, many at once.

Forward sweeps multiply the Jacobian with the seeds of column colours, reverse sweeps with those of
row colours (Curtis, Powell, Reid, *On the estimation of sparse Jacobian matrices*, 1974;
Gebremedhin, Manne, Pothen, *What color is your Jacobian?*, 2005). What comes out are compressed
rows, from which every entry is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.ops.base import dtype_of, is_inexact, shape_of
from wengert.ops.convert import convert
from wengert.ops.index import SLOT, getitem
from wengert.ops.shape import concatenate, filled, reshape
from wengert.sparse.colouring.result import ColouringResult
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.linear import Linearized, linearize_flat

__all__ = ["compressed_data", "products", "pull_products", "push_products"]

Flat = Callable[..., list[Any]]


def _batched(function: Callable[[list[Any]], list[Any]], seeds: list[Any], n: int) -> list[Any]:
    """Apply a linear function to batches; None stays."""
    trace = BatchTrace(n)
    try:
        found = function([None if s is None else Tracer(trace, Batched(s, True)) for s in seeds])
    finally:
        trace.alive = False
    made: list[Any] = []
    for y in found:
        if isinstance(y, Tracer) and y._trace is trace:
            data = y._var.data
            y = data if y._var.batched else filled(data, shape=(n, *shape_of(data)))
        elif y is not None:
            y = filled(y, shape=(n, *shape_of(y)))
        made.append(y)
    return made


def _split(seeds: Any, likes: Sequence[Any]) -> list[Any]:
    """Cut seeds of shape (k, all entries) into a batch for each array."""
    parts: list[Any] = []
    start = 0
    k = shape_of(seeds)[0]
    for x in likes:
        stop = start + math.prod(shape_of(x))
        if not is_inexact(x):
            parts.append(None)
        else:
            part = getitem(seeds, spec=(slice(None), slice(start, stop)))
            part = reshape(part, shape=(k, *shape_of(x)))
            same = dtype_of(part) == dtype_of(x)
            parts.append(part if same else convert(part, dtype=dtype_of(x)))
        start = stop
    return parts


def _joined(parts: list[Any], likes: Sequence[Any], k: int, dtype: np.dtype[Any]) -> Any:
    """Join batches into one array of shape (k, all entries)."""
    flat = []
    for part, x in zip(parts, likes, strict=True):
        size = math.prod(shape_of(x))
        if part is None:
            flat.append(np.zeros((k, size), dtype))
            continue
        part = reshape(part, shape=(k, size))
        flat.append(part if dtype_of(part) == dtype else convert(part, dtype=dtype))
    return flat[0] if len(flat) == 1 else concatenate(*flat, axis=1)


def push_products(lin: Linearized, leaves: Sequence[Any], seeds: Any, dtype: Any) -> Any:
    """Return the Jacobian times each row of `seeds`, of shape (k, entries of the result)."""
    k = shape_of(seeds)[0]
    return _joined(_batched(lin.push, _split(seeds, leaves), k), lin.ys, k, dtype)


def pull_products(lin: Linearized, leaves: Sequence[Any], seeds: Any, dtype: Any) -> Any:
    """Return each row of `seeds` times the Jacobian, of shape (k, entries of the leaves)."""
    k = shape_of(seeds)[0]
    return _joined(_batched(lin.pull, _split(seeds, lin.ys), k), leaves, k, dtype)


def products(
    f: Flat, leaves: list[Any], columns: Any, rows: Any, dtype: np.dtype[Any]
) -> tuple[list[Any], list[Any]]:
    """Return the results of `f` and its products with the seeds that are there.

    Parameters
    ----------
    f : callable
        Of the differentiated leaves, returns a list of arrays.
    columns, rows : array or None
        Seeds, of shapes (k, columns) and (k, rows).
    """
    lin = linearize_flat(f, leaves)
    made = []
    if columns is not None:
        made.append(push_products(lin, leaves, columns, dtype))
    if rows is not None:
        made.append(pull_products(lin, leaves, rows, dtype))
    return lin.ys, made


def compressed_data(
    f: Flat,
    leaves: list[Any],
    colouring: ColouringResult,
    dtype: np.dtype[Any],
    place: Any = None,
) -> tuple[list[Any], Any]:
    """Return the results of `f` and the entries of its Jacobian, all colours at once.

    `place` says where each entry by rows is to stand, if not in that order.
    """
    columns = colouring.seeds_columns(dtype) if colouring.column_number else None
    rows = colouring.seeds_rows(dtype) if colouring.row_number else None
    ys, made = products(f, leaves, columns, rows, dtype)
    if not made:
        return ys, np.zeros(colouring.nnz, dtype)
    flat = [reshape(p, shape=(math.prod(shape_of(p)),)) for p in made]
    joined = flat[0] if len(flat) == 1 else concatenate(*flat, axis=0)
    source = colouring.gather
    if place is not None:
        source = np.empty_like(source)
        source[place] = colouring.gather
    return ys, getitem(joined, source, spec=(SLOT,))
