"""Matrix decompositions: eigenvalues, singular values, QR.

Every operation works on the matrices in the last two axes; the axes before them are a batch. All
are first-order perturbation theory:

- Magnus, *On differentiating eigenvalues and eigenvectors*, Econometric Theory 1, 1985;
- Giles, *Collected matrix derivative results*, 2008, section 3;
- Townsend, *Differentiating the singular value decomposition*, 2016;
- Walter and Lehmann, *Algorithmic differentiation of linear algebra functions with application in
  optimum experimental design*, arXiv:1001.1654 (QR).

Where derivatives do not exist
------------------------------
Eigenvalues and singular values have the derivative of their symmetric functions (sums, products,
norms) even where they are repeated. Vectors that belong to values equal to rounding have none, and
their derivative is NaN. The derivative of a singular value at 0 is that of one branch of its
modulus, a subgradient. The phase of complex vectors of `eigh` and `svd` is not determined by the
matrix: it is held constant (``v^H dv`` is real), so only functions that do not depend on the phase
have a derivative.

Operation counts are leading terms from Golub and Van Loan, *Matrix Computations*, 4th ed., 2013.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops.base import Jvp, dtype_of, shape_of
from wengert.ops.hermitian import hermitian
from wengert.ops.linalg import (
    adjoint,
    inv,
    per_matrix,
    real_dtype,
    rounding,
    row,
    solve_triangular,
)

__all__ = ["eig", "eigh", "qr", "svd"]


def reciprocal_gaps(w: Any, *, squared: bool = False) -> Any:
    """Return ``1 / (w[j] - w[i])`` at [i, j], 0 on the diagonal, NaN for values equal to rounding.

    With `squared`, the differences are ``w[j]**2 - w[i]**2``.
    """
    right, left = w[..., None, :], w[..., :, None]
    gap = right - left
    size = np.max(np.abs(w), axis=-1, keepdims=True, initial=0.0)[..., None]
    same_place = np.eye(shape_of(w)[-1], dtype=bool)
    close = (np.abs(gap) <= rounding(gap) * size) & ~same_place
    if squared:
        gap = gap * (right + left)
    return np.where(
        same_place, 0, np.where(close, np.nan, 1 / np.where(same_place | close, 1, gap))
    )


# --- eigenvalues ----------------------------------------------------------------------------------
def _eigh_tangent(t: Any, y: Any, a: Any, *, lower: bool) -> tuple[Any, Any]:
    """With dA in the basis of the eigenvectors, C = V^H dA V: dw = diag(C), dV = V (C / gaps)."""
    w, v = y
    moved = hermitian(t, lower=lower, transposed=False) @ v
    dw = np.real(np.sum(np.conjugate(v) * moved, axis=-2))
    dv = v @ ((adjoint(v) @ moved) * reciprocal_gaps(w))
    return dw, dv


eigh = row(
    "eigh",
    lambda a, *, lower: tuple(np.linalg.eigh(a, "L" if lower else "U")),
    infer=lambda a, **_: (Aval(shape_of(a)[:-1], real_dtype(a)), Aval(shape_of(a), dtype_of(a))),
    derivative=Jvp((_eigh_tangent,)),
    flops=per_matrix(lambda m, n: 9 * n**3),  # section 8.3.5
)


def complex_dtype(x: Any) -> np.dtype[Any]:
    """Return the complex dtype of the precision of `x`."""
    return np.result_type(dtype_of(x), np.complex64)


def _eig(a: Any) -> tuple[Any, Any]:
    w, v = np.linalg.eig(a)
    dtype = complex_dtype(a)
    return w.astype(dtype, copy=False), v.astype(dtype, copy=False)


def _eig_tangent(t: Any, y: Any, a: Any) -> tuple[Any, Any]:
    """With C = V^-1 dA V: dw = diag(C), dV = V (C / gaps), then LAPACK's scaling of each vector.

    LAPACK gives each vector the 2-norm 1 and makes its largest entry real, which removes from its
    tangent the multiples of itself that would change either.
    """
    w, v = y
    moved = t @ v
    back = inv(v, strict=False)
    dw = np.sum(np.swapaxes(back, -1, -2) * moved, axis=-2)
    free = v @ ((back @ moved) * reciprocal_gaps(w))
    size = np.abs(v)
    entries = np.arange(shape_of(v)[-1])[:, None]
    largest = entries == np.argmax(size, axis=-2, keepdims=True)
    stretch = np.sum(np.real(np.conjugate(v) * free), axis=-2, keepdims=True)
    turn = np.sum(np.imag(free) * largest, axis=-2, keepdims=True)
    pivot = np.sum(np.real(v) * largest, axis=-2, keepdims=True)
    return dw, free - v * stretch - (1j * v) * (turn / pivot)


eig = row(
    "eig",
    _eig,
    infer=lambda a: (
        Aval(shape_of(a)[:-1], complex_dtype(a)),
        Aval(shape_of(a), complex_dtype(a)),
    ),
    derivative=Jvp((_eig_tangent,)),
    flops=per_matrix(lambda m, n: 25 * n**3),  # section 7.5.6
)


# --- singular values ------------------------------------------------------------------------------
def _svd_tangent(t: Any, y: Any, a: Any) -> tuple[Any, Any, Any]:
    """Townsend's formulas: C = U^H dA V, ds = diag(C), and the rotations that keep U and V unitary.

    ``dU = U (F * (C S + S C^H)) + (I - U U^H) dA V / S`` and ``dV = V (F * (S C + C^H S)) +
    (I - V V^H) dA^H U / S`` with ``F_ij = 1 / (s_j^2 - s_i^2)``; for complex matrices the phases of
    U take the imaginary part of diag(C) / S.
    """
    u, s, vh = y
    uh, v = adjoint(u), adjoint(vh)
    m, n = shape_of(a)[-2:]
    right, left = s[..., None, :], s[..., :, None]
    moved = t @ v
    ds = np.sum(np.real(np.conjugate(u) * moved), axis=-2)
    c = uh @ moved
    ch = adjoint(c)
    gaps = reciprocal_gaps(s, squared=True)
    turn_u = gaps * (c * right + left * ch)
    turn_v = gaps * (left * c + ch * right)
    if dtype_of(a).kind == "c":
        turn_u = turn_u + np.eye(min(m, n), dtype=real_dtype(a)) * (c - ch) / (2 * right)
    du, dv = u @ turn_u, v @ turn_v
    if m > n:
        du = du + (moved - u @ c) / right
    if n > m:
        back = adjoint(t) @ u
        dv = dv + (back - v @ (vh @ back)) / right
    return du, ds, adjoint(dv)


def _infer_svd(a: Any) -> tuple[Aval, Aval, Aval]:
    *lead, m, n = shape_of(a)
    k = min(m, n)
    return (
        Aval((*lead, m, k), dtype_of(a)),
        Aval((*lead, k), real_dtype(a)),
        Aval((*lead, k, n), dtype_of(a)),
    )


svd = row(
    "svd",
    lambda a: tuple(np.linalg.svd(a, full_matrices=False)),
    infer=_infer_svd,
    derivative=Jvp((_svd_tangent,)),
    # Figure 8.6.1, R-SVD with U1, S and V.
    flops=per_matrix(lambda m, n: 6 * max(m, n) * min(m, n) ** 2 + 20 * min(m, n) ** 3),
)


# --- QR -------------------------------------------------------------------------------------------
def _qr_tangent(t: Any, y: Any, a: Any) -> tuple[Any, Any]:
    """Return ``dQ = dA R^-1 - Q T`` and ``dR = T R``; NaN or inf where R is singular.

    With C = Q^H dA R^-1, T is the upper triangular matrix with a real diagonal for which C - T is
    skew-Hermitian.
    """
    q, r = y
    scaled = np.swapaxes(
        solve_triangular(r, np.swapaxes(t, -1, -2), lower=False, transposed=True), -1, -2
    )
    c = adjoint(q) @ scaled
    one = np.ones(shape_of(r)[-2:], real_dtype(a))
    below = c * np.tril(one, -1)
    upper = c - below + adjoint(below)
    if dtype_of(a).kind == "c":
        upper = upper - 1j * (np.imag(c) * np.diag(np.diag(one)))
    return scaled - q @ upper, upper @ r


def _infer_qr(a: Any) -> tuple[Aval, Aval]:
    n = shape_of(a)[-1]
    return Aval(shape_of(a), dtype_of(a)), Aval((*shape_of(a)[:-2], n, n), dtype_of(a))


# The reduced factors of a matrix with at least as many rows as columns: Householder's reduction,
# and as much again to form Q (section 5.2.2).
qr = row(
    "qr",
    lambda a: tuple(np.linalg.qr(a)),
    infer=_infer_qr,
    derivative=Jvp((_qr_tangent,)),
    flops=per_matrix(lambda m, n: 2 * (2 * m * n**2 - 2 * n**3 / 3)),
)
