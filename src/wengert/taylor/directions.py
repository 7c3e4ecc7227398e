"""Directions along which second derivatives are taken: one axis each, or several that do not mix.

For a direction s of zeros and ones, the second derivative along s is the sum of the entries of the
Hessian at all pairs of its axes. Where those axes do not mix, it is the sum of their diagonal
entries. So a Laplacian takes as many directions as the graph of the Hessian's entries beside the
diagonal has colours, in a colouring where neighbours differ: two for Rosenbrock's function, one for
a sum of functions of one variable. The Hessian times s has the diagonal entries one by one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import DerivativeError, WengertError
from wengert.ops.base import Traced, dtype_of, is_inexact, shape_of
from wengert.sparse.colouring.colouring import colour
from wengert.sparse.colouring.problem import ColouringProblem
from wengert.sparse.detection.detect import detect
from wengert.sparse.detection.rows import listing_at_most
from wengert.sparse.pattern import SparsityPattern
from wengert.trace.region import example, record_region
from wengert.transform.linear import linearize_flat

__all__ = ["Directions", "axes", "is_plain", "separated"]

FEWEST = 16
"""Inputs from which on directions are shared."""

MOST_ENTRIES = 1 << 24
"""Entries of a pattern beyond which it is taken for full."""

FULL = 4
"""A pattern with more than one in so many entries is taken for full."""


class Directions:
    """The directions of a call, as a colour for each axis.

    Parameters
    ----------
    colours : int array of shape (n,)
    number : int
    """

    def __init__(self, colours: np.ndarray[Any, Any], number: int) -> None:
        self.colours = colours
        self.number = number

    def chunks(self, size: int | None) -> list[tuple[int, int]]:
        """Return where each chunk of the directions starts and ends."""
        n, step = self.number, size or max(self.number, 1)
        return [(start, min(start + step, n)) for start in range(0, n, step)] or [(0, 0)]

    def seeds(self, start: int, stop: int, dtype: Any) -> np.ndarray[Any, Any]:
        """Return some directions, as rows of zeros and ones."""
        made = np.zeros((stop - start, len(self.colours)), dtype)
        chosen = np.flatnonzero((self.colours >= start) & (self.colours < stop))
        made[self.colours[chosen] - start, chosen] = 1
        return made


def axes(n: int) -> Directions:
    """Return one direction for each axis."""
    return Directions(np.arange(n), n)


def separated(f: Callable[..., list[Any]], leaves: Sequence[Any]) -> Directions:
    """Return as few directions as the second derivatives of ``f(*leaves)`` are found to need.

    What is found holds for all values of the arguments and of arrays that `f` closes over. Where
    nothing can be said, as for a function that decides by its arguments, it is one for each axis.
    """
    n = sum(math.prod(shape_of(x)) for x in leaves)
    if n < FEWEST:
        return axes(n)
    pattern = _pattern(f, leaves)
    if pattern is None or pattern.nnz > pattern.shape[0] * pattern.shape[1] // FULL:
        return axes(n)
    rows, columns = pattern.rows, pattern.indices
    below = rows > columns
    edges = int(np.count_nonzero(below))
    # Two columns of a matrix with a row for each edge share a row where they are neighbours.
    ends = np.stack([columns[below], rows[below]], axis=1).astype(np.int32)
    found = colour((np.arange(0, 2 * edges + 1, 2), ends.reshape(-1), (edges, n)), COLUMNS)
    assert found.column_colours is not None
    colours = np.maximum(found.column_colours, 0)  # what has no neighbour goes with any other
    number = int(colours.max(initial=-1)) + 1
    return Directions(colours, number) if number < n else axes(n)


COLUMNS = ColouringProblem("nonsymmetric", "column")


def _pattern(f: Callable[..., list[Any]], leaves: Sequence[Any]) -> SparsityPattern | None:
    """Return where second derivatives of any result can differ from zero; None where unknown."""

    def gradient(*xs: Any) -> list[Any]:
        """Return that of the sum of all results, each times a number of its own."""
        xs, weights = xs[: len(leaves)], xs[len(leaves) :]
        lin = linearize_flat(f, list(xs))
        if len(lin.ys) != len(weights):
            raise DerivativeError("the function returned another number of results")
        return [
            np.zeros(shape_of(x), dtype_of(x)) if g is None else g
            for x, g in zip(xs, lin.pull(list(weights)), strict=True)
        ]

    examples = [example(x) for x in leaves]
    try:
        ys = record_region("laplacian", f, examples).graph.outputs
        weights = [np.ones(shape_of(y), dtype_of(y))[()] for y in ys]
        if not all(is_inexact(w) for w in weights):
            return None
        region = record_region("laplacian", gradient, [*examples, *weights])
        if region.custom:  # what a function with its own rule computes says nothing of that
            return None
        before = len(region.captured)
        with listing_at_most(MOST_ENTRIES):
            found = detect(region.graph, range(before, before + len(leaves)))
        if found.relied:
            return None
    except (WengertError, MemoryError):
        return None
    return found.pattern if found.pattern.is_symmetric else found.pattern | found.pattern.T


def is_plain(leaves: Sequence[Any]) -> bool:
    """Whether no argument is traced."""
    return not any(isinstance(x, Traced) for x in leaves)
