"""NumPy's functions of polynomials in the old form, highest power first: roots, fits, division."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import user_line
from wengert.ops.base import shape_of
from wengert.trace.numpy.table import implements, refuse, traced

__all__: list[str] = []


@implements(np.trim_zeros)
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    """Stand for `numpy.trim_zeros` of one axis; which entries are 0 is a decision."""
    x = traced(filt)
    refuse("trim_zeros", axis=(axis, None))
    if len(shape_of(x)) != 1:
        refuse("trim_zeros", ndim=(len(shape_of(x)), 1))
    first, last = 0, shape_of(x)[0]
    kept = trim.lower()
    while "f" in kept and first < last and bool(x[first] == 0):
        first += 1
    while "b" in kept and last > first and bool(x[last - 1] == 0):
        last -= 1
    return x[first:last]


@implements(np.roots)
def roots(p: Any) -> Any:
    """Stand for `numpy.roots`: eigenvalues of the companion matrix, as NumPy computes them.

    Simple roots have derivatives; those of multiple roots are infinite or NaN.
    """
    p = np.atleast_1d(traced(p))
    if p.ndim != 1:
        raise ValueError("Input must be a rank-1 array." + user_line())
    short = trim_zeros(p, "f")
    trimmed = trim_zeros(short, "b")
    n, zeros = trimmed.shape[0], short.shape[0] - trimmed.shape[0]
    if n <= 1:
        return np.zeros(zeros if n else 0)
    if trimmed.dtype.kind not in "fc":
        trimmed = trimmed.astype(float)
    below = np.eye(n - 1, k=-1, dtype=trimmed.dtype)[1:]
    companion = np.concatenate([(-trimmed[1:] / trimmed[0])[None], below])
    found = np.linalg.eigvals(companion)
    return np.concatenate([found, np.zeros(zeros, found.dtype)])


@implements(np.poly)
def poly(seq_of_zeros: Any) -> Any:
    """Stand for `numpy.poly`."""
    zeros = np.atleast_1d(traced(seq_of_zeros))
    if zeros.ndim == 2 and zeros.shape[0] == zeros.shape[1] and zeros.shape[0]:
        zeros = np.linalg.eigvals(zeros)
    elif zeros.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array." + user_line())
    if zeros.shape[0] == 0:
        return 1.0
    made = np.ones(1, zeros.dtype)
    for k in range(zeros.shape[0]):
        made = np.convolve(made, np.stack([np.ones((), zeros.dtype), -zeros[k]]))
    if zeros.dtype.kind == "c" and bool(np.all(np.sort(zeros) == np.sort(np.conjugate(zeros)))):
        return np.real(made).copy()
    return made


@implements(np.polydiv)
def polydiv(u: Any, v: Any) -> Any:
    """Stand for `numpy.polydiv`."""
    u, v = np.atleast_1d(traced(u)) + 0.0, np.atleast_1d(traced(v)) + 0.0
    m, n = u.shape[0] - 1, v.shape[0] - 1
    scale = 1.0 / v[0]
    quotient, rest = [], u * np.ones((), np.result_type(u, v))
    for k in range(m - n + 1):
        d = scale * rest[k]
        quotient.append(d)
        rest = np.concatenate([rest[:k], rest[k : k + n + 1] - d * v, rest[k + n + 1 :]])
    while rest.shape[0] > 1 and bool(np.isclose(rest[0], 0, rtol=1e-14)):
        rest = rest[1:]
    return (np.stack(quotient) if quotient else np.zeros(1, rest.dtype)), rest


@implements(np.polyfit)
def polyfit(
    x: Any, y: Any, deg: Any, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """Stand for `numpy.polyfit`: least squares with columns of length 1, as NumPy's."""
    order = int(deg) + 1
    x, y = traced(x) + 0.0, traced(y) + 0.0
    for wrong, text in (
        (deg < 0, "expected deg >= 0"),
        (x.ndim != 1, "expected 1D vector for x"),
        (x.size == 0, "expected non-empty vector for x"),
        (y.ndim < 1 or y.ndim > 2, "expected 1D or 2D array for y"),
        (x.shape[:1] != y.shape[:1], "expected x and y to have same length"),
    ):
        if wrong:
            raise TypeError(text + user_line()) if deg >= 0 else ValueError(text + user_line())
    if rcond is None:
        rcond = len(x) * np.finfo(x.dtype).eps
    left, right = np.vander(x, order), y
    if w is not None:
        w = traced(w) + 0.0
        left = left * w[:, None]
        right = right * (w[:, None] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(left * left, axis=0))
    left = left / scale
    c, resids, rank, s = np.linalg.lstsq(left, right, rcond)
    c = (c.T / scale).T
    if full:
        return c, resids, rank, s, rcond
    if not cov:
        return c
    base = np.linalg.inv(np.dot(left.T, left)) / np.outer(scale, scale)
    factor: Any = 1
    if cov != "unscaled":
        if len(x) <= order:
            raise ValueError(
                "the number of data points must exceed order to scale the covariance matrix"
                + user_line()
            )
        factor = resids / (len(x) - order)
    return c, base * factor if y.ndim == 1 else base[:, :, None] * factor
