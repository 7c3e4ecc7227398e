"""Sparsity patterns of local Jacobians, one function per family of operations.

Each returns the row and column indices (flattened, C order) of the entries that can be nonzero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ops.base import shape_of

__all__ = ["along_axis", "by_moving", "contraction", "dense", "elementwise", "grouped", "nothing"]

Pair = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def _ids(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)


def elementwise(k: int, out: Any, *xs: Any, **_: Any) -> Pair:
    """Diagonal up to broadcasting."""
    shape = shape_of(out)
    columns = np.broadcast_to(_ids(shape_of(xs[k])), shape).ravel()
    return np.arange(columns.size), columns


def dense(k: int, out: Any, *xs: Any, **_: Any) -> Pair:
    """Every output depends on every entry of the argument."""
    m, n = math.prod(shape_of(out)), math.prod(shape_of(xs[k]))
    return np.repeat(np.arange(m), n), np.tile(np.arange(n), m)


def nothing(k: int, out: Any, *xs: Any, **_: Any) -> Pair:
    """No dependence that a derivative sees."""
    return np.empty(0, np.int64), np.empty(0, np.int64)


def by_moving(evaluate: Callable[..., Any], data: int | None = None) -> Callable[..., Pair]:
    """Operations whose outputs are copies of inputs: run them on the numbers of the elements.

    Arguments other than `k` are filled with -1; those after the first `data` are indices, used as
    they are.
    """

    def pattern(k: int, out: Any, *xs: Any, **attrs: Any) -> Pair:
        def numbers(i: int, x: Any) -> Any:
            if data is not None and i >= data:
                return x
            return _ids(shape_of(x)) if i == k else np.full(shape_of(x), -1, np.int64)

        moved = np.asarray(evaluate(*(numbers(i, x) for i, x in enumerate(xs)), **attrs)).ravel()
        rows = np.flatnonzero(moved >= 0)
        return rows, moved[rows]

    return pattern


def grouped(k: int, out: Any, x: Any, *, axis: tuple[int, ...], **_: Any) -> Pair:
    """Reductions: an output depends on the entries that it folds."""
    shape = shape_of(x)
    kept = tuple(1 if i in axis else n for i, n in enumerate(shape))
    rows = np.broadcast_to(_ids(kept), shape).ravel()
    return rows, np.arange(rows.size)


def along_axis(triangular: bool) -> Callable[..., Pair]:
    """Operations along one axis: all positions of a line mix, or only earlier into later ones."""

    def pattern(k: int, out: Any, *xs: Any, axis: int = -1, **_: Any) -> Pair:
        lines = np.moveaxis(_ids(shape_of(xs[k])), axis, -1)
        n = lines.shape[-1]
        i, j = np.tril_indices(n) if triangular else tuple(v.ravel() for v in np.indices((n, n)))
        flat = lines.reshape(math.prod(lines.shape[:-1]), n)
        return flat[:, i].ravel(), flat[:, j].ravel()

    return pattern


def contraction(k: int, out: Any, a: Any, b: Any, *, spec: str) -> Pair:
    """Pair outputs with the entries of one operand that share labels."""
    operands, result = spec.split("->")
    labels = operands.split(",")
    sizes = {
        s: n
        for term, x in zip(labels, (a, b), strict=True)
        for s, n in zip(term, shape_of(x), strict=True)
    }
    every = "".join(dict.fromkeys(result + labels[k]))
    grid = tuple(sizes[s] for s in every)

    def numbered(term: str) -> np.ndarray[Any, Any]:
        ids = _ids(tuple(sizes[s] for s in term))
        order = sorted(range(len(term)), key=lambda i: every.index(term[i]))
        ids = ids.transpose(order)
        present = [sizes[s] if s in term else 1 for s in every]
        return np.broadcast_to(ids.reshape(present), grid).ravel()

    return numbered(result), numbered(labels[k])
