"""Colourings of grids: linear functions of the coordinates, modulo the number of colours.

Goldfarb and Toint (1984), Optimal estimation of Jacobian and Hessian matrices that arise in finite
difference calculations: stencils tile the plane, which no greedy order finds by itself. The grid
is guessed from the distances of entries to the diagonal, and every colouring is checked against
the definition before it is used, so a wrong guess costs a little time and nothing else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wengert.loopc.loops import Ints, compiled

__all__ = ["lattice"]

Array = NDArray[Any]

MOST_IN_A_ROW = 64
"""Denser rows are not of stencils."""


@compiled
def _shade(j: int, s: int, t: int, a: int, b: int, c: int, number: int) -> int:
    return (a * (j % s) + b * (j % t // s) + c * (j // t)) % number


@compiled
def _paint(
    ptr: Ints, idx: Ints, i: int, s: int, t: int, a: int, b: int, c: int, number: int, colour: Ints
) -> None:
    """Colour the columns with an entry in one row."""
    for k in range(ptr[i], ptr[i + 1]):
        colour[idx[k]] = _shade(idx[k], s, t, a, b, c, number)


@compiled
def _fits(
    ptr: Ints, idx: Ints, i: int, symmetric: bool, painted: bool,
    s: int, t: int, a: int, b: int, c: int, number: int, colour: Ints,
) -> bool:  # fmt: skip
    """Say whether the entries of one row can be read off; colour what it takes to know."""
    if not painted:
        _paint(ptr, idx, i, s, t, a, b, c, number, colour)
        if symmetric:
            colour[i] = _shade(i, s, t, a, b, c, number)
    for k in range(ptr[i], ptr[i + 1]):
        j = idx[k]
        if symmetric and j != i and colour[j] == colour[i]:
            return False
        alone = True
        for q in range(ptr[i], ptr[i + 1]):
            if q != k and colour[idx[q]] == colour[j]:
                alone = False
        if not alone:
            if not symmetric:
                return False
            if not painted:
                _paint(ptr, idx, j, s, t, a, b, c, number, colour)
            for q in range(ptr[j], ptr[j + 1]):
                if idx[q] != i and colour[idx[q]] == colour[i]:
                    return False
    return True


@compiled
def _search(
    ptr: Ints, idx: Ints, samples: Ints, symmetric: bool,
    s: int, t: int, deep: int, number: int, budget: int, found: Ints, colour: Ints,
) -> int:  # fmt: skip
    """Try all coefficients for one number of colours; return what is left of the budget.

    ``found[0]`` says whether `colour` holds a colouring.
    """
    rows = len(ptr) - 1
    for a in range(1, number // 2 + 1):
        for b in range(number if deep > 0 else 1):
            for c in range(number if deep > 1 else 1):
                good = True
                at = 0
                while good and at < len(samples):
                    i = samples[at]
                    good = _fits(ptr, idx, i, symmetric, False, s, t, a, b, c, number, colour)
                    width = ptr[i + 1] - ptr[i]
                    budget -= width * width if good else 2 * width
                    at += 1
                if good:
                    for j in range(len(colour)):
                        colour[j] = _shade(j, s, t, a, b, c, number)
                    i = 0
                    while good and i < rows:
                        good = _fits(ptr, idx, i, symmetric, True, s, t, a, b, c, number, colour)
                        i += 1
                    budget -= ptr[i] + len(colour)
                    if good:
                        found[0] = 1
                        return budget
                if budget < 0:
                    return budget
    return budget


def lattice(
    ptr: Array, idx: Array, shape: tuple[int, int], symmetric: bool, bound: int, best: int,
    effort: int,
) -> Array | None:  # fmt: skip
    """Return a colouring of the columns of a stencil with fewer colours than `best`, or None.

    Parameters
    ----------
    ptr, idx : array
        The pattern by rows.
    shape : (int, int)
    symmetric : bool
        Whether it is a star colouring that is looked for.
    bound : int
        No colouring has fewer colours.
    best : int
    effort : int
        How many pairs of entries may be looked at.
    """
    m, n = shape
    widths = np.diff(ptr)
    if m == 0 or widths.max() > MOST_IN_A_ROW or best <= bound:
        return None
    middle = np.arange(max(m // 2 - 128, 0), min(m // 2 + 128, m))
    wide = middle[np.argsort(-widths[middle], kind="stable")]
    ends = np.linspace(0, m - 1, 16).astype(np.int64)
    samples = np.concatenate([wide[:4], ends, wide[4:16]]).astype(np.int32)
    offsets = {int(d) for i in (*samples[:4], *ends) for d in abs(idx[ptr[i] : ptr[i + 1]] - i)}
    strides = sorted(d for d in offsets if 2 <= d < n)[:12]
    whole = max(n, 1)
    grids = [(whole, whole, 0)]
    grids += [(s, whole, 1) for s in strides]
    grids += [(s, t, 2) for s in strides for t in strides if t > s and t % s == 0]
    found = np.zeros(1, np.int32)
    colour = np.empty(n, np.int32)
    for number in range(max(bound, 2), best):
        for s, t, deep in grids:
            effort = _search(
                ptr, idx, samples, symmetric, s, t, deep, number, effort, found, colour
            )
            if found[0]:
                return colour
            if effort < 0:
                return None
    return None
