"""The soundness probe: a sparse matrix against products that know nothing of its pattern.

A random direction is pushed and another one pulled through the function itself. An entry that the
pattern lacks, or that is in the wrong place, changes those products with probability one. Where
they disagree, `blame` looks for the operation whose pattern is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import DerivativeError
from wengert.ir.build import evaluate, results
from wengert.ir.graph import Const, Graph, Node, Value
from wengert.linear.accumulate import accumulate_flat
from wengert.linear.terms import NotAccumulable
from wengert.ops.base import ZERO, dtype_of, is_inexact, shape_of
from wengert.sparse.detection.detect import detect
from wengert.sparse.pattern import SparsityPattern
from wengert.transform.forward import push
from wengert.transform.linear import Linearized, linearize_flat, quiet

__all__ = ["applied", "blame", "disagreement", "missing_entries"]

Array = np.ndarray[Any, Any]
COLUMNS = 8
"""Columns of each operation's Jacobian that `blame` looks at."""


def disagreement(
    f: Callable[..., list[Any]],
    leaves: Sequence[Any],
    pattern: SparsityPattern,
    data: Array,
    noise: Callable[[bool, Array], Array] | None = None,
) -> Array | None:
    """Compare a matrix with a random jvp and a random vjp of a function.

    Parameters
    ----------
    f : callable
        Of the differentiated leaves, returns a list of arrays.
    leaves : sequence of arrays
        The point.
    pattern : SparsityPattern
    data : array of shape (nnz,)
        The matrix at the point.
    noise : callable, optional
        ``noise(forward, seed)`` is the size of rounding errors in the product with the seed and in
        that with the matrix; asked for where they differ.

    Returns
    -------
    array of int or None
        Rows (from the jvp), or else columns as -1 - column (from the vjp), that differ; None where
        both agree. What is not finite is not compared.
    """
    rng = np.random.default_rng(0)
    with quiet():
        matrix = pattern.tocsr(data)
        size = abs(matrix)
        lin = linearize_flat(f, list(leaves))
        eps = _precision(lin, data.dtype)
        for forward in (True, False):
            given, made = (leaves, lin.ys) if forward else (lin.ys, leaves)
            seed = rng.standard_normal(pattern.shape[1 if forward else 0])
            try:
                product = applied(lin, forward, seed, given, made)
            except DerivativeError:  # a rule of the user's for the other direction only
                continue
            a, b = (matrix, size) if forward else (matrix.T, size.T)
            found, scale = a @ seed, b @ np.abs(seed)
            wrong = _differs(np.asarray(found), product, np.asarray(scale), eps)
            if len(wrong) and noise is not None:
                gap = np.abs(np.asarray(found) - product)
                wrong = wrong[gap[wrong] > noise(forward, seed)[wrong]]
            if len(wrong):
                return wrong if forward else -1 - wrong
    return None


def _precision(lin: Linearized, dtype: np.dtype[Any]) -> float:
    """Return the relative spacing of the coarsest numbers that a derivative is computed with."""
    nodes = [n for n in lin.tape.nodes if type(n) is Node]
    dtypes = {v.dtype for n in nodes for v in n.outputs} | {dtype_of(y) for y in lin.ys} | {dtype}
    return max(float(np.finfo(d).eps) for d in dtypes if d.kind == "f")


def _differs(found: Array, product: Array, scale: Array, eps: float) -> Array:
    finite = np.isfinite(found) & np.isfinite(product)
    scale = np.where(finite, scale + np.abs(product), 0)
    bound = np.sqrt(eps) * scale + 1e3 * eps * scale.max(initial=0.0)
    return np.flatnonzero(finite & (np.abs(found - product) > bound))


def applied(
    lin: Linearized, forward: bool, seed: Array, given: Sequence[Any], made: Sequence[Any]
) -> Array:
    """Push or pull a flat direction; return the flat product."""
    parts: list[Any] = []
    start = 0
    for x in given:
        stop = start + math.prod(shape_of(x))
        part = seed[start:stop].reshape(shape_of(x)).astype(dtype_of(x))
        parts.append(part[()] if is_inexact(x) else None)
        start = stop
    found = (lin.push if forward else lin.pull)(parts)
    flat = [
        np.zeros(math.prod(shape_of(x))) if y is None else np.ravel(y)
        for y, x in zip(found, made, strict=True)
    ]
    return np.concatenate([np.zeros(0), *flat])


def missing_entries(
    f: Callable[..., list[Any]], leaves: Sequence[Any], pattern: SparsityPattern, wrong: Array
) -> list[tuple[int, int]]:
    """List entries that differ from zero in a few rows (or columns) and are not in the pattern."""
    lin = linearize_flat(f, list(leaves))
    by_rows = wrong[0] >= 0
    given, made = (lin.ys, leaves) if by_rows else (leaves, lin.ys)
    turned = pattern if by_rows else pattern.T
    found = []
    for i in (wrong if by_rows else -1 - wrong)[:COLUMNS].tolist():
        seed = np.zeros(turned.shape[0])
        seed[i] = 1.0
        try:
            line = applied(lin, not by_rows, seed, given, made)
        except DerivativeError:
            return []
        known = turned.indices[turned.indptr[i] : turned.indptr[i + 1]]
        for j in np.setdiff1d(np.flatnonzero(line), known).tolist():
            found.append((i, j) if by_rows else (j, i))
    return sorted(found)


def blame(graph: Graph, inputs: Sequence[Any]) -> Node | None:
    """Find an operation whose pattern lacks an entry, by trying each one at a point.

    Parameters
    ----------
    graph : Graph
    inputs : sequence of arrays

    Returns
    -------
    Node or None
        The first one that is wrong.
    """
    rng = np.random.default_rng(0)
    wrong: list[Node] = []

    def looked_at(node: Node, xs: list[Any]) -> tuple[Any, ...]:
        ys = results(node, xs)
        made = ys if len(ys) > 1 else ys[0]
        if not wrong and node.op.derivative is not ZERO and _is_wrong(node, xs, made, rng):
            wrong.append(node)
        return ys

    with quiet():
        evaluate(graph, inputs, looked_at)
    return wrong[0] if wrong else None


def _is_wrong(node: Node, xs: list[Any], y: Any, rng: np.random.Generator) -> bool:
    for k, x in enumerate(node.inputs):
        if not isinstance(x, Value) or x.dtype.kind != "f" or not x.aval.size:
            continue
        try:
            patterns = _patterns(node, k, xs)
        except (DerivativeError, NotAccumulable):
            continue
        size = x.aval.size
        for j in rng.choice(size, min(COLUMNS, size), replace=False).tolist():
            t = np.zeros(size, x.dtype)
            t[j] = 1
            ts: list[Any] = [None] * len(xs)
            ts[k] = t.reshape(x.shape)[()]
            pushed = push(node.op, y, xs, ts, node.attrs)
            flat = pushed if isinstance(pushed, tuple) else (pushed,)
            column = np.concatenate(
                [
                    np.zeros(v.aval.size) if p is None else np.ravel(p)
                    for p, v in zip(flat, node.outputs, strict=True)
                ]
            )
            for pattern in patterns:
                rows = pattern.indices[pattern.indptr[j] : pattern.indptr[j + 1]]
                if np.setdiff1d(np.flatnonzero(column), rows).size:
                    return True
    return False


def _patterns(node: Node, k: int, xs: list[Any]) -> list[SparsityPattern]:
    """Return the columns of an operation's pattern, as detection and accumulation see it."""
    x = node.inputs[k]
    held = [v if v is x or not isinstance(v, Value) else Const(np.asarray(xs[i]))
            for i, v in enumerate(node.inputs)]  # fmt: skip
    found = [detect(Graph([x], [Node(node.op, held, node.attrs, node.outputs)], node.outputs))]
    made = [found[0].pattern.T]

    def alone(t: Any) -> list[Any]:
        given = [t if v is x else xs[i] for i, v in enumerate(node.inputs)]
        y = node.op(*given, **node.attrs)
        return list(y) if isinstance(y, tuple) else [y]

    try:
        terms = accumulate_flat(alone, [np.array(xs[k])[()]], [0], 1 << 24)
    except NotAccumulable:
        return made
    rows, cols, start = [np.empty(0, np.int64)], [np.empty(0, np.int64)], 0
    for v, of_y in zip(node.outputs, terms.terms, strict=True):
        for t in of_y:
            if t.rows is not None:
                rows.append(t.rows + start)
                cols.append(t.columns - 1)
                continue
            full = np.broadcast_to(t.columns, (t.columns.shape[0], *v.shape)).reshape(-1)
            place = np.flatnonzero(full)
            rows.append(place % max(v.aval.size, 1) + start)
            cols.append(full[place] - 1)
        start += v.aval.size
    shape = (x.aval.size, start)
    made.append(SparsityPattern.from_coo(np.concatenate(cols), np.concatenate(rows), shape))
    return made
