"""Derivatives computed without wengert, and small helpers to compare with them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

STEP = 2.0**-9
TOLERANCE = 1e-8


def leaves(tree: Any) -> list[Any]:
    """Return the arrays of a result: one array, or nested tuples and lists of them."""
    return [np.asarray(leaf) for leaf in optree.tree_leaves(tree)]


def inexact(x: Any) -> bool:
    """Whether `x` has a derivative: it is an array of floats or complex numbers."""
    return isinstance(x, np.ndarray | np.generic) and x.dtype.kind in "fc"


def moved(xs: Sequence[Any], ts: Sequence[Any], h: Any) -> list[Any]:
    """Return ``xs + h ts``; a None tangent leaves its argument alone."""
    return [x if t is None else x + h * t for x, t in zip(xs, ts, strict=True)]


def complex_step(f: Callable[..., Any], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
    """Differentiate along `ts` without cancellation (Squire and Trapp, SIAM Review 40, 1998)."""
    return [y.imag / 1e-30 for y in leaves(f(*moved(xs, ts, 1e-30j)))]


def differences(f: Callable[..., Any], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
    """Differentiate along `ts` by central differences, extrapolated twice (Richardson, 1911)."""

    def central(h: float) -> list[Any]:
        up, down = leaves(f(*moved(xs, ts, h))), leaves(f(*moved(xs, ts, -h)))
        return [
            (a - b) / (2 * h) if inexact(a) else np.zeros(a.shape)
            for a, b in zip(up, down, strict=True)
        ]

    def extrapolated(rows: list[list[Any]], factor: int) -> list[list[Any]]:
        return [
            [(factor * fine - coarse) / (factor - 1) for fine, coarse in zip(b, a, strict=True)]
            for a, b in itertools.pairwise(rows)
        ]

    rows = [central(STEP / 2**k) for k in range(3)]
    return extrapolated(extrapolated(rows, 4), 16)[0]


def tangent(rng: np.random.Generator, x: Any) -> Any:
    """Draw a direction for `x`; None for an argument that has no derivative."""
    if not inexact(x):
        return None
    t = rng.normal(size=x.shape)
    if x.dtype.kind == "c":
        t = t + 1j * rng.normal(size=x.shape)
    return np.asarray(t, x.dtype)


def pairing(cts: Sequence[Any], ts: Sequence[Any]) -> float:
    """Return ``sum Re(ct t)``, the pairing in which reverse mode is the transpose of forward."""
    return float(
        sum(
            np.sum(np.real(np.asarray(ct, complex) * t))
            for ct, t in zip(cts, ts, strict=True)
            if ct is not None and t is not None
        )
    )


def close(actual: Any, expected: Any, tol: float = TOLERANCE, what: str = "") -> None:
    """Compare results leaf by leaf, in shape and in value relative to the largest entry."""
    got, want = leaves(actual), leaves(expected)
    assert len(got) == len(want), f"{what}: {len(got)} results, expected {len(want)}"
    for a, b in zip(got, want, strict=True):
        assert a.shape == b.shape, f"{what}: shape {a.shape}, expected {b.shape}"
        if a.dtype.kind not in "fc":
            np.testing.assert_array_equal(a, b, err_msg=what)
            continue
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b))))
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale, err_msg=what)


def same(actual: Any, expected: Any, what: str = "", units: float = 1e2) -> None:
    """Compare results in shape, dtype and value, to some units in the last place."""
    got, want = leaves(actual), leaves(expected)
    dtypes = [y.dtype for y in got], [y.dtype for y in want]
    assert dtypes[0] == dtypes[1], f"{what}: dtypes {dtypes[0]}, expected {dtypes[1]}"
    widest = max((np.finfo(y.dtype).eps for y in want if inexact(y)), default=0)
    close(actual, expected, max(float(widest) * units, 1e-13), what)


def narrow(x: Any) -> Any:
    """Halve the precision of a floating or complex array."""
    if not inexact(x):
        return x
    return x.astype(np.complex64 if x.dtype.kind == "c" else np.float32)


def widen(x: Any) -> Any:
    """Return a single-precision array in double precision."""
    if not inexact(x):
        return x
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)
