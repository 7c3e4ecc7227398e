"""Values of the blocks of local Jacobians: their coefficients, and blocks as dense matrices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wengert.linear.terms import uniform
from wengert.ops.base import Fold, dtype_of, shape_of
from wengert.ops.blocks import Block, Labelled
from wengert.ops.reduce import expand
from wengert.transform.forward import push

__all__ = ["coefficients", "densify"]


def coefficients(block: Labelled, y: Any, xs: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
    """Return the coefficients of a block that has a formula of them.

    Parameters
    ----------
    block : Labelled
    y : array
        The result.
    xs : sequence of arrays
        The arguments.
    attrs : mapping

    Returns
    -------
    number or array
        It broadcasts to the labels `block.inside`.
    """
    rule = block.factor
    if rule in (1, -1, 0):
        return rule
    if isinstance(block.of.op.derivative, Fold):
        y = expand(y, xs[0], attrs["axis"])
    else:
        xs = list(map(uniform, xs))
    try:
        return rule(1.0, y, *xs, **attrs)
    except ArithmeticError:  # of Python numbers: the function divides by a length that is 0
        return rule(np.float64(1.0), y, *xs, **attrs)


def densify(
    block: Block, y: Any, xs: Sequence[Any], attrs: Mapping[str, Any], part: int | None = None
) -> Any:
    """Return a block as a matrix of the flattened result and argument.

    Parameters
    ----------
    block : Block
    y : array or tuple of arrays
    xs : sequence of arrays
    attrs : mapping
    part : int, optional
        Which of several results the block is of.

    Returns
    -------
    array of shape `block.shape`
        By its formula where there is one, else column by column.
    """
    if block.is_matrix_free:
        return _by_columns(block, y, list(xs), dict(attrs), part)
    made = np.zeros(block.shape, np.result_type(dtype_of(y), dtype_of(xs[block.of.k])))
    if isinstance(block, Labelled):
        rows, columns, grid = _places(block)
        c = np.asarray(coefficients(block, y, xs, attrs))
        made[rows, columns] = np.broadcast_to(_lined(c, block), grid)
    else:
        rows, columns = block.entries()
        np.add.at(made, (rows, columns), 1)  # twice where it is added twice to a place
    return made


def _places(block: Labelled) -> tuple[Any, Any, tuple[int, ...]]:
    """Return row and column numbers over the labels of the result, and those that are summed."""
    every, sizes = block.rows + block.summed, block.sizes
    grid = tuple(sizes[s] for s in every)

    def flat(labels: str) -> Any:
        number: Any = np.zeros((1,) * len(every), np.int64)
        for s in labels:
            lengths = [sizes[s] if r == s else 1 for r in every]
            number = number * sizes[s] + np.arange(sizes[s]).reshape(lengths)
        return np.broadcast_to(number, grid)

    return flat(block.rows), flat(block.columns), grid


def _lined(c: Any, block: Labelled) -> Any:
    """Give coefficients an axis for each label of the result and each that is summed."""
    every = block.rows + block.summed
    if not c.ndim:
        return c
    have = block.inside[len(block.inside) - c.ndim :]  # it may lack leading axes
    order = [have.index(s) for s in every if s in have]
    lengths = iter(np.transpose(c, order).shape)
    return np.transpose(c, order).reshape([next(lengths) if s in have else 1 for s in every])


def _by_columns(
    block: Block, y: Any, xs: list[Any], attrs: dict[str, Any], part: int | None
) -> Any:
    k, shape = block.of.k, block.operand
    size = math.prod(shape)
    columns = []
    for i in range(size):
        t = np.zeros(size, dtype_of(xs[k]))
        t[i] = 1
        ts: list[Any] = [None] * len(xs)
        ts[k] = t.reshape(shape)[()]
        found = push(block.of.op, y, xs, ts, attrs)
        found = found if part is None or found is None else found[part]
        out = y if part is None else y[part]
        columns.append(np.zeros(shape_of(out), dtype_of(out)) if found is None else found)
    return np.stack([np.ravel(c) for c in columns], 1) if columns else np.zeros(block.shape)
