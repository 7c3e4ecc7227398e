"""Hermitian matrices: what LAPACK reads of them, and their Cholesky factors.

NumPy reads one triangle of the argument of ``cholesky`` and ``eigh``, and of its diagonal the real
part. They are differentiated as functions of what is read: a tangent acts through that triangle,
and the gradient is zero in the other one, whatever numbers stand there. (JAX and PyTorch
differentiate another function, which takes the Hermitian part of its argument first.)

The derivative of the factor, ``dL = L Phi(L^-1 dA L^-H)`` with `Phi` taking the lower triangle and
half of the diagonal, takes 4 n^3 operations as it stands, where the factor takes n^3/3. Both passes
are done in blocks here, as the factorisation itself is, with about n^3:

- Murray, *Differentiation of the Cholesky decomposition*, arXiv:1602.07527;
- Smith, *Differentiation of the Cholesky algorithm*, J. Comput. Graph. Stat. 4, 1995.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.linalg.blas as blas

from wengert.ops import patterns
from wengert.ops.base import Jvp, Op, Transpose, dtype_of, shape_of
from wengert.ops.linalg import (
    FACTORS,
    adjoint,
    evaluate_triangular,
    per_matrix,
    real_dtype,
    row,
    same,
    solve_triangular,
)

__all__ = ["cholesky", "cholesky_pull", "cholesky_push", "hermitian"]


SMALLEST, LARGEST = 16, 32
"""Blocks up to an order between these two are differentiated by the formula: fewer operations with
smaller blocks, and more calls of NumPy, which take longer below this order."""


def _conj(x: Any) -> Any:
    return x.conj() if x.dtype.kind == "c" else x


def _adjoint(x: Any) -> Any:
    return _conj(x.T if x.ndim == 2 else x.swapaxes(-1, -2))


def _weights(n: int, below: float, diagonal: float, dtype: np.dtype[Any]) -> Any:
    """Return a lower triangle of two numbers."""
    made = np.tri(n, k=-1, dtype=dtype) * dtype.type(below)
    np.fill_diagonal(made, diagonal)
    made.flags.writeable = False
    return made


_small_weights = functools.lru_cache(maxsize=256)(_weights)


def _triangle(x: Any, below: float, diagonal: float) -> Any:
    """Return the lower triangle of each matrix, its two parts scaled; the diagonal's real part."""
    n, dtype = shape_of(x)[-1], real_dtype(x)
    weights = _small_weights if n <= LARGEST else _weights  # blocks come again, whole matrices not
    if dtype_of(x).kind == "c":
        return x * weights(n, below, 0.0, dtype) + np.real(x) * weights(n, 0.0, diagonal, dtype)
    return x * weights(n, below, diagonal, dtype)


def _full(x: Any) -> Any:
    """Return the Hermitian matrices that have the lower triangles of `x`."""
    x = _triangle(x, 1.0, 0.5)
    return x + adjoint(x)


# --- what is read of the argument -----------------------------------------------------------------
def _hermitian(t: Any, *, lower: bool, transposed: bool) -> Any:
    n = t.shape[-1]
    weights = _small_weights if n <= LARGEST else _weights
    triangle = weights(n, 1.0, 0.5, real_dtype(t))
    triangle = triangle if lower else triangle.T
    if transposed:
        return triangle * (t + _adjoint(t))
    part = triangle * t
    return part + _adjoint(part)


# hermitian(a): the Hermitian matrix that LAPACK reads from a triangle of `a`.
hermitian: Op = row(
    "hermitian",
    _hermitian,
    infer=same,
    derivative=Transpose(
        (lambda ct, t, *, lower, transposed: hermitian(ct, lower=lower, transposed=not transposed),)
    ),
    flops=per_matrix(lambda m, n: 2 * n**2),
    residual=False,
    may_raise=False,
)
hermitian.pattern = patterns.within_matrix


# --- the factor -----------------------------------------------------------------------------------
def _base(n: int) -> int:
    """Return the largest block: matrices that are not tiny are halved twice."""
    return max(SMALLEST, min(LARGEST, n // 4))


def _operations(n: int, base: int) -> int:
    """Count the leading terms of either pass: triangular solves and products of blocks."""
    if n <= base:
        return 4 * n**3
    k, m = n // 2, n - n // 2
    here = 3 * m * k * k + 2 * m * m * k + m * k + 2 * m * m
    return _operations(k, base) + _operations(m, base) + here


def _flops(out: Any, x: Any, *_: Any, **__: Any) -> int:
    *lead, n = shape_of(x)[:-1]
    return math.prod(lead) * (_operations(n, _base(n)) if n else 0)


_TRSM = {
    np.dtype(np.float32): blas.strsm, np.dtype(np.float64): blas.dtrsm,
    np.dtype(np.complex64): blas.ctrsm, np.dtype(np.complex128): blas.ztrsm,
}  # fmt: skip


def _divided(factor: Any, x: Any) -> Any:
    """Return ``L^-1 x``."""
    if x.ndim == 2:
        return _TRSM[x.dtype](1.0, factor, x, lower=1)
    return evaluate_triangular(factor, x, lower=True, transposed=False)


def _adjoint_divided(factor: Any, x: Any) -> Any:
    """Return ``L^-H x``."""
    if x.ndim == 2:
        return _TRSM[x.dtype](1.0, factor, x, lower=1, trans_a=2)
    return evaluate_triangular(_conj(factor), x, lower=True, transposed=True)


def _push(t: Any, factor: Any, base: int) -> Any:
    """Return ``L Phi(L^-1 T L^-H)`` for the Hermitian T with the lower triangle of `t`."""
    n = factor.shape[-1]
    if n <= base:
        left = _divided(factor, _full(t))
        return factor @ _triangle(_divided(factor, _adjoint(left)), 1.0, 0.5)
    k = n // 2
    l21 = factor[..., k:, :k]
    y = np.zeros_like(t)
    y[..., :k, :k] = y11 = _push(t[..., :k, :k], factor[..., :k, :k], base)
    rest = t[..., k:, :k] - l21 @ _adjoint(y11)
    y[..., k:, :k] = y21 = _adjoint(_divided(factor[..., :k, :k], _adjoint(rest)))
    w = y21 @ _adjoint(l21)
    y[..., k:, k:] = _push(t[..., k:, k:] - w - _adjoint(w), factor[..., k:, k:], base)
    return y


def _pull(c: Any, factor: Any, base: int) -> Any:
    """Return the lower triangle P with ``Re tr(c^H push(T)) = Re sum(conj(P) * tril(T))``."""
    n = factor.shape[-1]
    if n <= base:
        inner = _full(_adjoint(factor) @ c)
        both = _adjoint(_adjoint_divided(factor, _adjoint(_adjoint_divided(factor, inner))))
        return _triangle(both, 1.0, 0.5)
    k = n // 2
    l21 = factor[..., k:, :k]
    p = np.zeros_like(c)
    p[..., k:, k:] = p22 = _pull(c[..., k:, k:], factor[..., k:, k:], base)
    rest = c[..., k:, :k] - (p22 + _adjoint(p22)) @ l21
    p21 = _adjoint(_adjoint_divided(factor[..., :k, :k], _adjoint(rest)))
    p[..., k:, :k] = p21
    before = c[..., :k, :k] - _adjoint(p21) @ l21
    p[..., :k, :k] = _pull(before, factor[..., :k, :k], base)
    return p


def _push_factor(s: Any, y: Any, t: Any, factor: Any) -> Any:
    """Differentiate ``F = L Phi(M)`` with respect to L: ``E Phi(M) + L Phi(dM)``."""
    e = np.tril(s)
    w = e @ solve_triangular(factor, _full(t), lower=True, transposed=False)
    inner = solve_triangular(factor, y, lower=True, transposed=False)
    return e @ inner - cholesky_push(w + adjoint(w), factor)


def _pull_factor(s: Any, y: Any, ct: Any, factor: Any) -> Any:
    """Differentiate ``S = L^-H Q(L^H C) L^-1`` with respect to L."""
    eh, low, conjugate = adjoint(np.tril(s)), _conj(y), _conj(factor)
    whole = 0.5 * (low + adjoint(low))
    v = solve_triangular(conjugate, eh @ whole, lower=True, transposed=True)
    inner = solve_triangular(conjugate, eh @ _conj(np.tril(ct)), lower=True, transposed=True)
    return cholesky_pull(_conj(inner), factor) - _conj(_triangle(v + adjoint(v), 2.0, 1.0))


def _evaluate(run: Callable[[Any, Any, int], Any], x: Any, factor: Any) -> Any:
    if x.size == 0:
        return x
    n = factor.shape[-1]
    if n <= LARGEST:
        factor = factor * _small_weights(n, 1.0, 1.0, real_dtype(factor))  # faster than tril
    else:
        factor = np.tril(factor)
    return run(x, factor, _base(n))


def _factor_row(
    name: str, evaluate: Callable[..., Any], other: Callable[[], Op], moved: Callable[..., Any]
) -> Op:
    """Register one pass; the other one is its transpose."""
    op = row(
        name,
        functools.partial(_evaluate, evaluate),
        infer=same,
        derivative=Transpose((lambda ct, t, factor: other()(ct, factor), None), jvps=(None, moved)),
        flops=_flops,
        formula="about n^3, in blocks",
        excess=FACTORS,
    )
    op.pattern = patterns.ByArgument(dict.fromkeys((0, 1), patterns.within_matrix))
    return op


# Both read lower triangles only, and are linear in the first argument.
cholesky_push: Op = _factor_row("cholesky_push", _push, lambda: cholesky_pull, _push_factor)
cholesky_pull: Op = _factor_row(
    "cholesky_pull",
    lambda ct, factor, base: _conj(_pull(_conj(ct), factor, base)),
    lambda: cholesky_push,
    _pull_factor,
)


def _cholesky_tangent(t: Any, y: Any, a: Any, *, lower: bool) -> Any:
    if lower:  # the passes read lower triangles only, as the factorisation does
        return cholesky_push(t, y)
    return adjoint(cholesky_push(adjoint(t), adjoint(y)))


cholesky = row(
    "cholesky",
    lambda a, *, lower: np.linalg.cholesky(a, upper=not lower),
    infer=same,
    derivative=Jvp((_cholesky_tangent,)),
    flops=per_matrix(lambda m, n: n**3 / 3),
    formula="n^3/3",
    excess="small factors are differentiated by full products and solves, which are more "
    "operations than in blocks and take less time",
)
