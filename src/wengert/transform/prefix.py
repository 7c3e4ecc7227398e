"""Prefixes of rows combined by an associative function, in logarithmic depth."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert import trees
from wengert.errors import ShapeError, user_line
from wengert.follow.functions import following
from wengert.ir.graph import aval_of
from wengert.ops.base import Traced, dtype_of, shape_of

__all__ = ["associative_scan"]


def associative_scan(
    fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """Combine the rows of arrays from the first to each of them, by an associative function.

    Parameters
    ----------
    fn : callable
        ``fn(a, b)`` of two trees of arrays in the form of `elems`, with any number of rows at once.
    elems : pytree of arrays
    reverse : bool
        Whether to begin with the last row.
    axis : int
        The axis that the rows are along.

    Returns
    -------
    pytree of arrays
        In the form of `elems`. The depth grows with the logarithm of the number of rows (Blelloch,
        *Prefix sums and their applications*, 1990).
    """
    fn = following(fn)
    given, pack = trees.flatten(elems)
    arrays: list[Any] = [x if isinstance(x, Traced) else np.asarray(x) for x in given]
    leaves = [np.moveaxis(x, axis, 0) for x in arrays]
    if len({shape_of(x)[0] for x in leaves}) > 1:
        shown = ", ".join(str(aval_of(x)) for x in leaves)
        raise ShapeError(
            f"associative_scan: the arrays have other numbers of rows: {shown}" + user_line()
        )
    if reverse:
        leaves = [x[::-1] for x in leaves]

    def combined(a: list[Any], b: list[Any]) -> list[Any]:
        return trees.flatten(fn(pack(a), pack(b)))[0]

    def scanned(xs: list[Any]) -> list[Any]:
        n = shape_of(xs[0])[0]
        if n < 2:
            return xs
        pairs = combined([x[: n - 1 : 2] for x in xs], [x[1::2] for x in xs])
        odd = scanned(pairs)
        more = (n + 1) // 2 - 1
        even = combined([y[:more] for y in odd], [x[2::2] for x in xs]) if more else []
        made = []
        for k, x in enumerate(xs):
            first = x[:1]
            rest = [first, even[k]] if more else [first]
            evens = np.concatenate(rest) if more else first
            both = np.zeros((n, *shape_of(x)[1:]), dtype_of(odd[k]), like=odd[k])
            both[0::2], both[1::2] = evens, odd[k]
            made.append(both)
        return made

    ys = scanned(leaves)
    ys = [
        np.copy(y, order="C") if y is x else y for y, x in zip(ys, leaves, strict=True)
    ]  # of a single row
    if reverse:
        ys = [y[::-1] for y in ys]
    return pack([np.moveaxis(y, 0, axis) for y in ys])
