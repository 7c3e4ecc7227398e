"""Matrices to try linear algebra on."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.linalg as la

Array = np.ndarray[Any, Any]


def normal(*shape: int, dtype: Any = float, seed: int = 0) -> Any:
    rng = np.random.default_rng([seed, *shape])
    x = rng.normal(size=shape)
    if np.dtype(dtype).kind == "c":
        x = x + 1j * rng.normal(size=shape)
    return x.astype(dtype)


def conj_t(x: Any) -> Any:
    return np.conjugate(np.swapaxes(x, -1, -2))


def well(*shape: int, dtype: Any = float) -> Any:
    """Make square matrices far from singular, with distinct singular values."""
    x = normal(*shape, dtype=dtype)
    n = shape[-1]
    u, _, vh = la.svd(x)
    s = np.linspace(1, 2, n) + 0.1 * np.arange(n) ** 2
    return (u * s.astype(u.real.dtype)) @ vh


def definite(*shape: int, dtype: Any = float) -> Any:
    u = well(*shape, dtype=dtype)
    return u @ conj_t(u) + 0.5 * np.eye(shape[-1], dtype=dtype)


def of_rank(r: int, n: int, dtype: Any = float) -> Array:
    u, s, vh = la.svd(well(n, n, dtype=dtype))
    s[r:] = 0
    return (u * s) @ vh
