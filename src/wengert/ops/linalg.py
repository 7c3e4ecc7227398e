"""Linear algebra: inverses, linear systems, determinants, pseudoinverses.

Every operation works on the matrices in the last two axes; the axes before them are a batch. The
matrix decompositions are in `wengert.ops.decompose`, the Cholesky factor in
`wengert.ops.hermitian`. Sources of the derivatives:

- Giles, *Collected matrix derivative results for forward and reverse mode algorithmic
  differentiation*, 2008 (inverse, solution, determinant);
- Golub and Pereyra, *The differentiation of pseudo-inverses and nonlinear least squares problems
  whose variables separate*, SIAM J. Numer. Anal. 10, 1973.

Operation counts are those of *LAPACK Working Note 41*, appendix C (leading terms; a complex
operation counts as one).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg.blas as blas
import scipy.linalg.lapack as lapack

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import ZERO, Derivative, Jvp, Op, Transpose, dtype_of, register, shape_of
from wengert.ops.control import stop_gradient

__all__ = [
    "adjoint",
    "adjugate",
    "det",
    "inv",
    "lu_factor",
    "lu_solve",
    "pinv",
    "slogdet",
    "solve",
    "solve_triangular",
]


# --- helpers that the rules share -----------------------------------------------------------------
def mT(x: Any) -> Any:
    """Return the transpose of each matrix."""
    return np.swapaxes(x, -1, -2)


def adjoint(x: Any) -> Any:
    """Return the conjugate transpose of each matrix."""
    x = np.swapaxes(x, -1, -2)
    return np.conjugate(x) if dtype_of(x).kind == "c" else x


def real_dtype(x: Any) -> np.dtype[Any]:
    """Return the dtype of the real part of `x`."""
    return np.zeros((), dtype_of(x)).real.dtype


def eye_like(x: Any) -> np.ndarray[Any, Any]:
    """Return the identity of the order of the matrices in `x`."""
    return np.eye(shape_of(x)[-1], dtype=dtype_of(x))


def rounding(x: Any) -> float:
    """Return the size below which an entry of a decomposition of norm 1 is rounding error."""
    return float(np.finfo(dtype_of(x)).eps) * max(10, *shape_of(x)[-2:])


def others(x: Any) -> Any:
    """Return at each place the product of all the other entries of the last axis."""
    one = np.ones((*shape_of(x)[:-1], 1), dtype_of(x))
    before = np.cumprod(np.concatenate([one, x[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([one, x[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    return before * after


def line_up(op: Op, args: tuple[Any, ...], batched: tuple[bool, ...], attrs: dict[str, Any]) -> Any:
    """Apply an operation on matrices to a batch: it is one more leading axis."""
    size = next(shape_of(a)[0] for a, b in zip(args, batched, strict=True) if b)
    lined = [
        a if b else np.broadcast_to(a, (size, *shape_of(a)))
        for a, b in zip(args, batched, strict=True)
    ]
    return op(*lined, **attrs)


def batch_columns(
    op: Op, args: tuple[Any, ...], batched: tuple[bool, ...], attrs: dict[str, Any]
) -> Any:
    """Solve with one matrix for a batch of right-hand sides: they are more columns."""
    if any(batched[:-1]):
        return line_up(op, args, batched, attrs)
    *matrix, b = args
    size, *lead, n, k = shape_of(b)
    columns = np.reshape(np.moveaxis(b, 0, -2), (*lead, n, size * k))
    x = np.reshape(op(*matrix, columns, **attrs), (*lead, n, size, k))
    return np.moveaxis(x, -2, 0)


def per_matrix(formula: Callable[[int, int], float]) -> Callable[..., int]:
    """Count the operations of a whole batch, from a formula for one m by n matrix."""

    def flops(out: Any, a: Any, *_: Any, **__: Any) -> int:
        *lead, m, n = shape_of(a)
        return math.prod(lead) * round(formula(m, n))

    return flops


def row(
    name: str,
    evaluate: Callable[..., Any],
    *,
    infer: Callable[..., Any],
    derivative: Derivative,
    flops: Callable[..., int],
    batch: Callable[..., Any] = line_up,
    residual: bool = True,
    **rest: Any,
) -> Op:
    """Register an operation on the matrices in the last two axes."""
    return register(
        Op(
            name,
            evaluate,
            infer=infer,
            derivative=derivative,
            batch=batch,
            flops=flops,
            counts="mixed",
            pattern=patterns.nothing if derivative is ZERO else patterns.within_matrix,
            residual=residual,
            **rest,
        )
    )


FACTORS = "the rule multiplies and solves with full matrices, while the formula counts triangles"
"""Why the derivative of a factorisation takes more than five times its operations."""


def same(a: Any, *_: Any, **__: Any) -> Aval:
    """Return the shape and dtype of the first argument."""
    return Aval(shape_of(a), dtype_of(a))


def _like_right(*args: Any, **_: Any) -> Aval:
    """Return the shape of the right-hand side, with the dtype of it and the matrix."""
    b = args[-1]
    return Aval(shape_of(b), np.result_type(dtype_of(args[0]), dtype_of(b)))


# --- inverse and linear systems -------------------------------------------------------------------
def _inv(a: Any, *, strict: bool = True) -> Any:
    """Invert; without `strict`, a singular matrix has an inverse of NaN instead of raising."""
    try:
        return np.linalg.inv(a)
    except np.linalg.LinAlgError:
        if strict:
            raise
    if a.ndim == 2:
        return np.full_like(a, np.nan)
    return np.stack([_inv(x, strict=False) for x in a])


inv = row(
    "inv",
    _inv,
    infer=same,
    derivative=Jvp((lambda t, y, a, **_: -(y @ t @ y),)),
    flops=per_matrix(lambda m, n: 2 * n**3),
    formula="2n^3",
)


def _solve_flops(out: Any, a: Any, *rest: Any, **_: Any) -> int:
    *lead, n, k = shape_of(rest[-1])
    return math.prod(lead) * round(2 * n**3 / 3 + 2 * n**2 * k)


def _substitution_flops(per_column: int) -> Callable[..., int]:
    def flops(out: Any, *args: Any, **_: Any) -> int:
        *lead, n, k = shape_of(args[-1])
        return math.prod(lead) * per_column * n * n * k

    return flops


# solve(a, b): a of shape (*batch, n, n), b of shape (*batch, n, k).
solve: Op = row(
    "solve",
    np.linalg.solve,
    infer=_like_right,
    derivative=Transpose(
        (None, lambda ct, a, b: solve(mT(a), ct)),
        # the sign inside: the cotangent is solved for once, for both arguments
        jvps=(lambda t, y, a, b: solve(a, -(t @ y)), None),
    ),
    batch=batch_columns,
    flops=_solve_flops,
    formula="2n^3/3 + 2n^2 for each right-hand side",
)
solve.pattern = patterns.ByArgument({0: patterns.within_matrix, 1: patterns.within_column})


def _lu_factor(a: Any) -> tuple[Any, Any]:
    """Factor P A = L U; raise for a singular matrix, as `numpy.linalg.solve` does."""
    if a.ndim > 2:
        lead = a.shape[:-2]
        flat = a.reshape(-1, *a.shape[-2:])
        lu = np.empty(flat.shape, a.dtype)
        pivots = np.empty(flat.shape[:-1], np.int32)
        for i, x in enumerate(flat):
            lu[i], pivots[i] = _lu_factor(x)
        return lu.reshape(a.shape), pivots.reshape(*lead, a.shape[-1])
    (getrf,) = lapack.get_lapack_funcs(("getrf",), (a,))
    lu, pivots, info = getrf(a)
    if info > 0:
        raise np.linalg.LinAlgError("Singular matrix")
    return lu, np.asarray(pivots, np.int32)


lu_factor = row(
    "lu_factor",
    _lu_factor,
    infer=lambda a: (Aval(shape_of(a), dtype_of(a)), Aval(shape_of(a)[:-1], np.dtype(np.int32))),
    derivative=ZERO,  # not so: `lu_solve` takes the derivative with respect to the matrix
    flops=per_matrix(lambda m, n: 2 * n**3 / 3),
    residual=False,
    formula="2n^3/3",
)


def _lu_solve(a: Any, lu: Any, pivots: Any, b: Any, *, transposed: bool) -> Any:
    """Solve ``a x = b`` (``a.T x = b``) with the factors of `a`."""
    dtype = np.result_type(lu, b)
    if b.size == 0:
        return np.zeros(b.shape, dtype)
    if b.ndim > 2:
        out = np.empty(b.shape, dtype)
        for i in np.ndindex(b.shape[:-2]):
            out[i] = _lu_solve(None, lu[i], pivots[i], b[i], transposed=transposed)
        return out
    (getrs,) = lapack.get_lapack_funcs(("getrs",), (lu, b))
    x, info = getrs(lu.astype(dtype, copy=False), pivots, b, trans=int(transposed))
    if info:
        raise ValueError(f"argument {-info} of LAPACK getrs is invalid")
    return x


def _lu_solve_matrix(
    t: Any, y: Any, a: Any, lu: Any, pivots: Any, b: Any, *, transposed: bool
) -> Any:
    return lu_solve(a, lu, pivots, -((mT(t) if transposed else t) @ y), transposed=transposed)


# The factors are data that belong to the matrix `a`, so that all solutions with it share them.
lu_solve: Op = row(
    "lu_solve",
    _lu_solve,
    infer=_like_right,
    derivative=Transpose(
        (
            None,
            None,
            None,
            lambda ct, a, lu, pivots, b, *, transposed: lu_solve(
                a, lu, pivots, ct, transposed=not transposed
            ),
        ),
        jvps=(_lu_solve_matrix, None, None, None),
    ),
    batch=batch_columns,
    flops=_substitution_flops(2),
    formula="2n^2 for each right-hand side",
)
lu_solve.pattern = patterns.ByArgument({0: patterns.within_matrix, 3: patterns.within_column})

SMALL = 16
"""Up to this order a batch of triangular systems is solved by NumPy's loop over general ones."""


def _trsm(a: Any, b: Any, lower: bool, transposed: bool) -> Any:
    """Solve one triangular system by BLAS; a zero on the diagonal gives inf or NaN."""
    (trsm,) = blas.get_blas_funcs(("trsm",), (a, b))
    if a.flags.f_contiguous:
        return trsm(1.0, a, b, lower=lower, trans_a=transposed)
    return trsm(1.0, a.T, b, lower=not lower, trans_a=not transposed)


def evaluate_triangular(a: Any, b: Any, *, lower: bool, transposed: bool) -> Any:
    """Solve with the lower (upper) triangle of `a`, or its transpose."""
    if b.size == 0:
        return np.zeros(b.shape, np.result_type(a, b))
    if b.ndim == 2:
        return _trsm(a, b, lower, transposed)
    diagonal = np.diagonal(a, axis1=-2, axis2=-1)
    if a.shape[-1] <= SMALL and np.all(diagonal != 0):
        a = np.tril(a) if lower else np.triu(a)
        return np.linalg.solve(mT(a) if transposed else a, b)
    out = np.empty(b.shape, np.result_type(a, b))
    for i in np.ndindex(b.shape[:-2]):
        out[i] = _trsm(a[i], b[i], lower, transposed)
    return out


def _triangular_matrix(t: Any, y: Any, a: Any, b: Any, *, lower: bool, transposed: bool) -> Any:
    one = np.ones(shape_of(a)[-2:], bool)
    t = t * (np.tril(one) if lower else np.triu(one))
    return solve_triangular(
        a, -((mT(t) if transposed else t) @ y), lower=lower, transposed=transposed
    )


# Solve a x = b (a.T x = b) where only the lower (upper) triangle of `a` is read.
solve_triangular: Op = row(
    "solve_triangular",
    evaluate_triangular,
    infer=_like_right,
    derivative=Transpose(
        (
            None,
            lambda ct, a, b, *, lower, transposed: solve_triangular(
                a, ct, lower=lower, transposed=not transposed
            ),
        ),
        jvps=(_triangular_matrix, None),
    ),
    batch=batch_columns,
    flops=_substitution_flops(1),
    formula="n^2 for each right-hand side",
    excess=FACTORS,
)
solve_triangular.pattern = patterns.TriangularSolve()


# --- determinants ---------------------------------------------------------------------------------
# The determinant is a polynomial, so it has a gradient at a singular matrix too: the cofactors,
# d det(A) = tr(adj(A) dA) (Jacobi). adj(A) = det(A) inv(A) where that is well conditioned; else,
# from A = U S V^H, adj(A) = det(U V^H) V adj(S) U^H, where adj(S) holds the products of the other
# singular values.
det = row(
    "det",
    np.linalg.det,
    infer=lambda a: Aval(shape_of(a)[:-2], dtype_of(a)),
    derivative=Jvp((lambda t, y, a: np.sum(mT(adjugate(a, y)) * t, axis=(-2, -1)),)),
    flops=per_matrix(lambda m, n: 2 * n**3 / 3),
    formula="2n^3/3",
    may_raise=False,
)


def _adjugate(a: Any, determinant: Any) -> Any:
    if a.size == 0:
        return np.array(a)
    determinant = np.asarray(determinant)[..., None, None]
    regular = (determinant != 0) & np.isfinite(determinant)
    inverse = np.linalg.inv(np.where(regular, a, eye_like(a)))
    y = np.where(regular, determinant, np.nan) * inverse
    largest = np.abs(a).sum(-1).max(-1) * np.abs(inverse).sum(-1).max(-1)
    well = regular[..., 0, 0] & (largest < 1 / math.sqrt(np.finfo(a.dtype).eps))
    ill = ~well & np.isfinite(a).all((-2, -1))
    if ill.any():
        u, s, vh = np.linalg.svd(a[ill])
        phase = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
        y[ill] = phase * (adjoint(vh) * others(s)[..., None, :]) @ adjoint(u)
    return y


def _adjugate_tangent(t: Any, y: Any, a: Any, determinant: Any) -> Any:
    """Differentiate A adj(A) = det(A) I where A is well conditioned, else the adjugate of S.

    adj is multiplicative, so ``d adj(A)[E] = det(U V^H) V d adj(S)[U^H E V] U^H``, and for diagonal
    S, with F = U^H E V and P_ij the product of all singular values but the i-th and the j-th,
    ``d adj(S)[F] = diag(P diag(F)) - P * F``.
    """
    if 0 in shape_of(a):
        return t
    eye = eye_like(a)
    x = stop_gradient(a)
    norms = np.max(np.sum(np.abs(x), -1), -1) * np.max(np.sum(np.abs(stop_gradient(y)), -1), -1)
    root = math.sqrt(np.finfo(dtype_of(a)).eps)
    ill = ~(np.abs(stop_gradient(determinant)) > root * norms)[..., None, None]
    inverse = inv(np.where(ill, eye, a))
    smooth = np.sum(mT(y) * t, axis=(-2, -1))[..., None, None] * inverse - y @ t @ inverse
    spread = eye * np.arange(1, len(eye) + 1)  # its singular values are apart
    u, s, vh = np.linalg.svd(np.where(ill, a, spread))
    phase = (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]
    same_place = np.eye(len(eye), dtype=bool)
    pairs = others(np.where(same_place, 1, s[..., None, :])) * ~same_place
    f = adjoint(u) @ t @ adjoint(vh)
    diagonal = np.sum(f * eye, axis=-1)[..., None]
    middle = eye * (pairs @ diagonal) - pairs * f
    return np.where(ill, phase * (adjoint(vh) @ middle @ adjoint(u)), smooth)


# The determinant is data that belongs to the matrix: it is there when its derivative is taken.
adjugate: Op = row(
    "adjugate",
    _adjugate,
    infer=same,
    derivative=Jvp((_adjugate_tangent, None)),
    flops=per_matrix(lambda m, n: 2 * n**3),
    formula="2n^3",
    may_raise=False,
    excess="the second derivative of a determinant covers singular matrices too, by singular "
    "values, which take more than the inverse",
)
adjugate.pattern = patterns.ByArgument({0: patterns.within_matrix})


def _slogdet_tangent(t: Any, y: Any, a: Any) -> tuple[Any, Any]:
    """Differentiate log det: tr(A^-1 dA); NaN at a singular matrix, where it is -inf."""
    rate = np.sum(mT(inv(a, strict=False)) * t, axis=(-2, -1))
    if dtype_of(a).kind != "c":
        return None, rate
    return y[0] * (1j * np.imag(rate)), np.real(rate)


slogdet = row(
    "slogdet",
    lambda a: tuple(np.linalg.slogdet(a)),
    infer=lambda a: (Aval(shape_of(a)[:-2], dtype_of(a)), Aval(shape_of(a)[:-2], real_dtype(a))),
    derivative=Jvp((_slogdet_tangent,)),
    flops=per_matrix(lambda m, n: 2 * n**3 / 3),
    formula="2n^3/3",
    may_raise=False,
)


# --- pseudoinverse --------------------------------------------------------------------------------
def _pinv_tangent(t: Any, y: Any, a: Any, **_: Any) -> Any:
    """Differentiate with the rank held constant (Golub and Pereyra, theorem 4.3).

    ``-A+ dA A+ + A+ A+^H dA^H (I - A A+) + (I - A+ A) dA^H A+^H A+``. Where the rank changes the
    pseudoinverse jumps.
    """
    th, yh = adjoint(t), adjoint(y)
    rows, columns = y @ yh @ th, th @ yh @ y
    return (rows - rows @ a @ y) + (columns - y @ a @ columns) - y @ t @ y


pinv = row(
    "pinv",
    lambda a, *, rtol: np.linalg.pinv(a, rtol=rtol) if rtol is not None else np.linalg.pinv(a),
    infer=lambda a, *, rtol: Aval((*shape_of(a)[:-2], *shape_of(a)[:-3:-1]), dtype_of(a)),
    derivative=Jvp((_pinv_tangent,)),
    flops=per_matrix(
        lambda m, n: 6 * max(m, n) * min(m, n) ** 2 + 20 * min(m, n) ** 3 + 2 * m * n * min(m, n)
    ),
    formula="6mn^2 + 20n^3 + 2mn^2",
    excess=FACTORS,
)
