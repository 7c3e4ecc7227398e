"""Jacobians of a function at awkward points, entry by entry, by forward and by reverse mode."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import wengert as wg
from wengert.ops.base import dtype_of

EDGES = (0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, 5e-324, 1e-300, 1e300, 0.5, 3.0)
"""Zeros of both signs, ends of domains, infinities, subnormal, tiny and huge numbers."""

FILLS: dict[str, Callable[[int], Any]] = {
    **{repr(e): lambda n, e=e: np.full(n, e) for e in EDGES},
    "mixed": lambda n: np.resize(EDGES, n),
    "beside": lambda n: np.resize([0.0, 0.5, -1.0, 3.0], n),
}
"""Contents of an array of n numbers, by name."""


UNBOUNDED = {"inf", "-inf", "1e+300", "mixed"}
"""Contents at which slopes are no numbers: there the zeros of a seed may become NaN."""


def filled(x: Any, fill: str) -> Any:
    """Return an array of the shape and dtype of `x` with other content."""
    shape = np.shape(x)
    content = FILLS[fill](math.prod(shape)).reshape(shape)
    if x.dtype.kind == "c":
        content = content * (1 + 0j)
    with np.errstate(over="ignore"):
        return content.astype(x.dtype)[()]


def _units(x: Any) -> Iterator[Any]:
    """Unit tangents of an array, those along the imaginary axis included."""
    x = np.asarray(x)
    for unit in (1.0,) if x.dtype.kind == "f" else (1.0, 1.0j):
        for i in range(x.size):
            e = np.zeros(x.size, x.dtype)
            e[i] = unit
            yield e.reshape(x.shape)[()]


def _parts(x: Any, minus: bool = False) -> np.ndarray:
    """Real numbers of an array: real parts, then imaginary parts."""
    x = np.asarray(x)
    if x.dtype.kind == "f":
        return x.ravel()
    return np.concatenate([x.real.ravel(), -x.imag.ravel() if minus else x.imag.ravel()])


def _outputs(y: Any) -> list[Any]:
    return [p for p in (y if isinstance(y, tuple) else (y,)) if dtype_of(p).kind in "fc"]


def forward(f: Callable[..., Any], xs: tuple[Any, ...]) -> np.ndarray:
    """Return the Jacobian of all results by all arguments, a column a tangent."""
    columns = []
    for k, x in enumerate(xs):
        for e in _units(x):
            ts = tuple(e if i == k else np.zeros_like(z) for i, z in enumerate(xs))
            _, t = wg.jvp(lambda *z: _outputs(f(*z)), xs, ts)
            columns.append(np.concatenate([_parts(p) for p in t]) if t else np.zeros(0))
    return np.array(columns).T


def reverse(f: Callable[..., Any], xs: tuple[Any, ...]) -> np.ndarray:
    """Return the same, a row a cotangent."""
    ys, pull = wg.vjp(lambda *z: _outputs(f(*z)), *xs)
    rows = []
    for k, y in enumerate(ys):
        for e in _units(y):
            ct = [np.conj(e) if i == k else np.zeros_like(p) for i, p in enumerate(ys)]
            rows.append(np.concatenate([_parts(c, minus=True) for c in pull(ct)]))
    return np.array(rows)


def different(a: Any, b: Any, strict: bool, seeds: bool = True) -> str:
    """Say where two arrays disagree on what is finite, and, if `strict`, on what is NaN.

    Without `seeds`, NaN passes for 0, as where the zeros of a seed meet what is no number.
    """
    a, b = np.asarray(a), np.asarray(b)
    if a.size == b.size == 0:
        return ""
    if a.shape != b.shape:
        return f"shapes {a.shape} and {b.shape}"
    wrong = np.isfinite(a) != np.isfinite(b)
    if strict:
        wrong |= np.isnan(a) != np.isnan(b)
        wrong |= np.isinf(a) & np.isinf(b) & (a != b)
    if not seeds:
        wrong &= ~((a == 0) & np.isnan(b) | (b == 0) & np.isnan(a))
    if not wrong.any():
        return ""
    at = tuple(int(i[0]) for i in np.nonzero(wrong))
    return f"{a[at]} and {b[at]} at {at}"
