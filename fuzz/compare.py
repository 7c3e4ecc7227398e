"""When two results are equal, and when a program is too unstable for the question."""

from __future__ import annotations

from typing import Any

import numpy as np
import optree

from fuzz.plain import NO_ROWS, OTHER_BRANCH
from fuzz.program import Program, Raised, leaves, run
from fuzz.values import relaid, wave
from wengert.trace.tracer import Tracer

ROUNDING = {False: 1e-8, True: 2e-3}
"""Tolerated relative error of values: double precision, and where single precision takes part."""
COARSEST = 0.05
"""Largest relative error that is tolerated, of second derivatives in single precision."""

WIDER = ("The `like` argument must be an array-like", NO_ROWS, OTHER_BRANCH)
"""What plain NumPy says where wengert does more, on purpose: a number that is traced can be given
as ``like=``, so that an array can be made for it, a scan over no rows has a result, and a branch
that is not taken need not run."""
OVERFLOWING = 1e100
"""Size of a derivative beyond which another order of its factors may overflow."""


def is_sure(want: Any) -> bool:
    """Whether a derivative is the same in every order in which its factors can be multiplied."""
    return bool(np.all(np.isfinite(want))) and np.max(np.abs(want), initial=0.0) < OVERFLOWING


def difference(got: Any, want: Any, tolerance: float, dtypes: bool = True) -> str:
    """Return in words how a result differs from the expected one, or nothing."""
    if isinstance(want, Raised):
        if isinstance(got, Raised):
            return ""
        wider = any(part in str(want.error) for part in WIDER)
        return "" if wider else f"returned, where NumPy raises {want}"
    if isinstance(got, Raised):
        return f"raised {got}"
    a, b = (optree.tree_structure(x, none_is_leaf=True) for x in (got, want))
    if a != b:
        return f"structure {a} instead of {b}"
    for x, y in zip(leaves(got), leaves(want), strict=True):
        if said := _leaf_difference(x, y, tolerance, dtypes):
            return said
    return ""


def _leaf_difference(x: Any, y: Any, tolerance: float, dtypes: bool) -> str:
    if isinstance(x, Tracer):
        return "leaked a traced value"
    x, y = np.asarray(x), np.asarray(y)
    if x.shape != y.shape:
        return f"shape {x.shape} instead of {y.shape}"
    if dtypes and x.dtype != y.dtype:
        return f"dtype {x.dtype} instead of {y.dtype}"
    if y.dtype.kind not in "fc":
        return "" if np.array_equal(x, y) else f"value {_short(x)} instead of {_short(y)}"
    if not y.size:
        return ""
    finite = np.isfinite(y)
    scale = np.max(np.abs(y[finite]), initial=0.0)
    same = np.abs(x - y) <= tolerance * (1 + scale)
    same |= (x == y) | ((x != x) & (y != y))
    if np.all(same):
        return ""
    i = np.unravel_index(np.argmin(same), same.shape)
    return f"value {x[i]} instead of {y[i]} at {tuple(map(int, i))} of {y.shape}"


def _short(x: Any) -> str:
    return np.array2string(x, threshold=8, edgeitems=3).replace("\n", "")


def nudged(args: Any, k: int, size: float) -> Any:
    """Return the arguments with every floating-point number moved a little."""

    def move(x: Any) -> Any:
        if isinstance(x, float):
            return x * (1 + size * float(wave((), k)))
        if isinstance(x, np.ndarray) and x.dtype.kind in "fc":
            return relaid(x * (1 + size * wave(x.shape, k)), x)
        return x

    return optree.tree_map(move, args)


def unstable(program: Program, call: int, reference: Any, tolerance: float) -> bool:
    """Whether rounding the arguments in their last digits changes what `reference` returns.

    Such a program (a comparison of equal numbers, a nearly singular matrix) has no right answer to
    compare with.
    """
    size = 1e-6 if program.coarse else 1e-13
    args = program.args(call)
    want = run(reference, *args)
    for k in range(5):
        got = run(reference, *nudged(program.args(call), k, size))
        if isinstance(got, Raised) != isinstance(want, Raised):
            return True
        if difference(got, want, tolerance / 10):
            return True
    return False
