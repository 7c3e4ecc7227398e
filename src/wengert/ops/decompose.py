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
Eigenvalues and singular values have the first and second derivatives of their symmetric functions
(sums, products, norms) even where they are repeated, by `wengert.ops.spectral`. Vectors that belong
to values equal to rounding have none, and their derivative is NaN. The derivative of a singular
value at 0 is that of one branch of its modulus, a subgradient. The phase of complex vectors of
`eigh` and `svd` is not determined by the matrix: it is held constant (``v^H dv`` is real), so only
functions that do not depend on the phase have a derivative.

Operation counts are leading terms from Golub and Van Loan, *Matrix Computations*, 4th ed., 2013.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import ZERO, Jvp, Op, dtype_of, shape_of
from wengert.ops.hermitian import hermitian
from wengert.ops.linalg import (
    FACTORS,
    adjoint,
    inv,
    per_matrix,
    real_dtype,
    row,
    solve_triangular,
)
from wengert.ops.spectral import Framed, eigen_frames, reciprocal_gaps, singular_frames

__all__ = ["eig", "eigh", "qr", "svd"]


def _with_frames(op: Op, derivative: Framed) -> Op:
    """Give a decomposition its derivative, and the row that forward mode differentiates.

    Of that row, ``(a, t, *results)``, the frame is turned to the direction `t`, and stays so.
    """
    frames, k = derivative.frames, derivative.values

    def evaluate(a: Any, t: Any, *y: Any, **attrs: Any) -> Any:
        turned = frames.turned(y[k], y[-1], frames.direction(t, **attrs))
        return (*(x.copy() for x in y[:-1]), turned)

    op.derivative, op.pattern = derivative, patterns.within_matrix
    op.along = row(
        f"{op.name}_along",
        evaluate,
        infer=lambda a, t, *y, **_: tuple(Aval(shape_of(x), dtype_of(x)) for x in y),
        derivative=replace(derivative, free=False),
        flops=lambda out, a, *_, **__: per_matrix(lambda m, n: 2 * m * n * min(m, n))(out, a),
    )
    op.along.pattern = patterns.ByArgument({0: patterns.within_matrix})
    return op


# --- eigenvalues ----------------------------------------------------------------------------------
def _eigh(a: Any, *, lower: bool) -> tuple[Any, Any, Any]:
    w, v = np.linalg.eigh(a, "L" if lower else "U")
    return w, v, v.copy()


def _eigh_tangent(t: Any, y: Any, a: Any, *, lower: bool) -> tuple[Any, Any, Any]:
    """With dA in the basis of the eigenvectors, C = V^H dA V: dw = diag(C), dV = V (C / gaps)."""
    w, v, _ = y
    moved = hermitian(t, lower=lower, transposed=False) @ v
    return None, v @ ((adjoint(v) @ moved) * reciprocal_gaps(w)), None


eigh = _with_frames(
    row(
        "eigh",
        _eigh,
        infer=lambda a, **_: (
            Aval(shape_of(a)[:-1], real_dtype(a)),
            Aval(shape_of(a), dtype_of(a)),
            Aval(shape_of(a), dtype_of(a)),
        ),
        derivative=ZERO,
        flops=per_matrix(lambda m, n: 9 * n**3),  # section 8.3.5
        formula="9n^3",
        excess=FACTORS,
    ),
    Framed(eigen_frames, 0, _eigh_tangent, lambda y: y[1]),
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
    formula="25n^3",
    excess=FACTORS,
)


# --- singular values ------------------------------------------------------------------------------
def _svd(a: Any) -> tuple[Any, Any, Any, Any]:
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    return u, s, vh, _above(u, vh)


def _above(u: Any, vh: Any) -> Any:
    return np.concatenate([u, adjoint(vh)], axis=-2)


def _svd_tangent(t: Any, y: Any, a: Any) -> tuple[Any, Any, Any, Any]:
    """Townsend's formulas: C = U^H dA V, ds = diag(C), and the rotations that keep U and V unitary.

    ``dU = U (F * (C S + S C^H)) + (I - U U^H) dA V / S`` and ``dV = V (F * (S C + C^H S)) +
    (I - V V^H) dA^H U / S`` with ``F_ij = 1 / (s_j^2 - s_i^2)``; for complex matrices the phases of
    U take the imaginary part of diag(C) / S.
    """
    u, s, vh, _ = y
    uh, v = adjoint(u), adjoint(vh)
    m, n = shape_of(a)[-2:]
    right, left = s[..., None, :], s[..., :, None]
    moved = t @ v
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
    return du, None, adjoint(dv), None


def _infer_svd(a: Any) -> tuple[Aval, Aval, Aval, Aval]:
    *lead, m, n = shape_of(a)
    k = min(m, n)
    return (
        Aval((*lead, m, k), dtype_of(a)),
        Aval((*lead, k), real_dtype(a)),
        Aval((*lead, k, n), dtype_of(a)),
        Aval((*lead, m + n, k), dtype_of(a)),
    )


svd = _with_frames(
    row(
        "svd",
        _svd,
        infer=_infer_svd,
        derivative=ZERO,
        # Figure 8.6.1, R-SVD with U1, S and V.
        flops=per_matrix(lambda m, n: 6 * max(m, n) * min(m, n) ** 2 + 20 * min(m, n) ** 3),
        formula="6mn^2 + 20n^3",
        excess=FACTORS,
    ),
    Framed(singular_frames, 1, _svd_tangent, lambda y: _above(y[0], y[2])),
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
    formula="2(2mn^2 - 2n^3/3)",
    excess=FACTORS,
    may_raise=False,
)
