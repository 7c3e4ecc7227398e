"""NumPy's linear algebra on traced values.

Two conventions where a derivative does not exist: the 2-norm (and every p-norm) has gradient 0 at
0, and so higher derivatives 0 there; the rank of a matrix is piecewise constant. For the
decompositions see `wengert.ops.decompose`.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import BatchedControlError, ShapeError, UnsupportedError, user_line
from wengert.ops import decompose
from wengert.ops import hermitian as he
from wengert.ops import linalg as la
from wengert.ops.contract import LABELS
from wengert.ops.control import stop_gradient
from wengert.trace.numpy import contract
from wengert.trace.numpy.table import (
    NO_VALUE,
    axes,
    axis_index,
    cast,
    deliver,
    holds,
    implements,
    traced,
)
from wengert.trace.sizes import remember

__all__ = ["EigResult", "EighResult", "QRResult", "SVDResult", "SlogdetResult"]

FACTOR_FROM = 32
"""From this order on a system keeps its LU factors for the solutions that its derivative takes."""


# NumPy's own named tuples, which it does not export
_ONE = np.eye(1)
EigResult: Any = type(np.linalg.eig(_ONE))
EighResult: Any = type(np.linalg.eigh(_ONE))
QRResult: Any = type(np.linalg.qr(_ONE))
SlogdetResult: Any = type(np.linalg.slogdet(_ONE))
SVDResult: Any = type(np.linalg.svd(_ONE))


def _floating(x: Any) -> Any:
    x = traced(x)
    return cast(x, np.float64) if x.dtype.kind in "iub" else x


def _matrices(x: Any) -> Any:
    """Return a floating array of at least two dimensions."""
    x = _floating(x)
    if x.ndim < 2:
        raise np.linalg.LinAlgError(
            f"{x.ndim}-dimensional array given. Array must be at least two-dimensional"
            + user_line()
        )
    return x


def _square(x: Any) -> Any:
    """Return a floating array of square matrices."""
    x = _matrices(x)
    if x.shape[-1] != x.shape[-2]:
        raise np.linalg.LinAlgError(
            f"Last 2 dimensions of the array must be square, not {x.shape}" + user_line()
        )
    return x


def _refuse_hermitian(name: str, hermitian: bool) -> None:
    if hermitian:
        raise UnsupportedError(
            f"np.linalg.{name} with hermitian=True is not supported on traced values; leave the "
            f"option out, or write it with np.linalg.eigh" + user_line()
        )


# --- inverse and linear systems -------------------------------------------------------------------
@implements(np.linalg.inv)
def inv(a: Any) -> Any:
    """Stand for `numpy.linalg.inv`."""
    return la.inv(_square(a))


def _spread(x: Any, lead: tuple[int, ...]) -> Any:
    shape = lead + x.shape[-2:]
    return x if x.shape == shape else np.broadcast_to(x, shape)


@implements(np.linalg.solve)
def solve(a: Any, b: Any) -> Any:
    """Stand for `numpy.linalg.solve`: a 1-d `b` is a vector, any other a stack of matrices."""
    a, b = _square(a), _floating(b)
    if b.ndim == 1:
        return solve(a, b[:, None])[..., 0]
    if b.ndim == 0 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(f"solve: shapes {a.shape} and {b.shape} do not fit" + user_line())
    n, k = b.shape[-2:]
    if a.ndim == 2:
        lead = b.shape[:-2]
        if lead:  # one matrix for all: more columns
            b = np.reshape(np.moveaxis(b, -2, 0), (n, -1))
        x = _solve_one(a, b)
        return np.moveaxis(np.reshape(x, (n, *lead, k)), 0, -2) if lead else x
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return la.solve(_spread(a, lead), _spread(b, lead))


def _solve_one(a: Any, b: Any) -> Any:
    if a.shape[-1] < FACTOR_FROM:
        return la.solve(a, b)
    if b.dtype.kind == a.dtype.kind:
        a = cast(a, np.result_type(a.dtype, b.dtype))
    lu, pivots = la.lu_factor(a)
    return la.lu_solve(a, lu, pivots, b, transposed=False)


@implements(np.linalg.tensorsolve)
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    """Stand for `numpy.linalg.tensorsolve`."""
    a, b = traced(a), traced(b)
    if axes is not None:
        moved = [axis_index(k, a.ndim) for k in axes]
        a = np.transpose(a, [k for k in range(a.ndim) if k not in moved] + moved)
    shape = a.shape[-(a.ndim - b.ndim) :]
    return np.reshape(solve(np.reshape(a, (b.size, -1)), np.ravel(b)), shape)


@implements(np.linalg.tensorinv)
def tensorinv(a: Any, ind: int = 2) -> Any:
    """Stand for `numpy.linalg.tensorinv`."""
    a = traced(a)
    if ind <= 0:
        raise ValueError("ind must be a positive integer" + user_line())
    rows = int(np.prod(a.shape[ind:], dtype=int))
    return np.reshape(inv(np.reshape(a, (-1, rows))), a.shape[ind:] + a.shape[:ind])


def _tolerance(rcond: Any, rtol: Any) -> float | None:
    if rcond is not None and rtol is not NO_VALUE and rtol is not None:
        raise ValueError("`rtol` and `rcond` can't be both set" + user_line())
    chosen = rcond if rcond is not None else rtol
    if chosen is None or chosen is NO_VALUE:
        return None
    if np.ndim(chosen):
        raise UnsupportedError("np.linalg.pinv takes one number for rtol" + user_line())
    return float(chosen)


@implements(np.linalg.pinv)
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = NO_VALUE) -> Any:
    """Stand for `numpy.linalg.pinv`; differentiated with the rank held constant."""
    _refuse_hermitian("pinv", hermitian)
    if rtol is None and traced(a).dtype.kind not in "fc":
        raise ValueError(f"data type {traced(a).dtype} not inexact" + user_line())
    a = _matrices(a)
    chosen = _tolerance(rcond, rtol)
    if chosen is None and (rtol is None):
        chosen = float(max(a.shape[-2:]) * np.finfo(a.dtype).eps)
    return la.pinv(a, rtol=chosen)


@implements(np.linalg.lstsq)
def lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    """Stand for `numpy.linalg.lstsq`, through the pseudoinverse.

    Under ``vmap`` of a tall matrix, where the rank decides the shape of the residuals, they are NaN
    for an example without full rank.
    """
    a, b = _matrices(a), _floating(b)
    if a.ndim != 2 or b.ndim not in (1, 2) or a.shape[0] != b.shape[0]:
        raise ShapeError(f"lstsq: shapes {a.shape} and {b.shape} do not fit" + user_line())
    common = np.result_type(a.dtype, b.dtype)
    if common == np.float16 or a.dtype == np.float16 or b.dtype == np.float16:
        raise TypeError("array type float16 is unsupported in linalg" + user_line())
    a, b = cast(a, common), cast(b, common)
    if holds(~np.isfinite(a)):
        raise np.linalg.LinAlgError("SVD did not converge in Linear Least Squares" + user_line())
    m, n = a.shape
    rcond = float(np.finfo(a.dtype).eps * max(m, n)) if rcond is None else max(float(rcond), 0.0)
    s = svdvals(a)
    rank = np.count_nonzero(s > rcond * s[:1]).astype(np.int32) if s.size else np.int32(0)
    x = la.pinv(a, rtol=rcond) @ b
    gap = b - a @ x
    residuals = np.atleast_1d(np.sum(np.real(gap * np.conjugate(gap)), axis=0))
    none = np.zeros(0, residuals.dtype)
    try:
        full = m > n and bool(rank == n)
    except BatchedControlError:
        return x, np.where(rank == n, residuals, np.nan), rank, s
    return x, residuals if full else none, rank, s


# --- determinants and factors ---------------------------------------------------------------------
@implements(np.linalg.det)
def det(a: Any) -> Any:
    """Stand for `numpy.linalg.det`."""
    return la.det(_square(a))


@implements(np.linalg.slogdet)
def slogdet(a: Any) -> Any:
    """Stand for `numpy.linalg.slogdet`."""
    return SlogdetResult(*la.slogdet(_square(a)))


@implements(np.linalg.cholesky)
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    """Stand for `numpy.linalg.cholesky`."""
    return he.cholesky(_square(a), lower=not upper)


@implements(np.linalg.qr)
def qr(a: Any, mode: str = "reduced") -> Any:
    """Stand for `numpy.linalg.qr` with the reduced factors."""
    a = _matrices(a)
    m, n = a.shape[-2:]
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise UnsupportedError(
            f"np.linalg.qr with mode={mode!r} of {m} x {n} matrices is not supported on traced "
            f"values (columns beyond the reduced factor are not determined); use mode='reduced'"
            + user_line()
        )
    if m >= n:
        q, r = decompose.qr(a)
    else:  # the first columns determine Q
        q, left = decompose.qr(a[..., :m])
        r = np.concatenate([left, la.adjoint(q) @ a[..., m:]], axis=-1)
    return r if mode == "r" else QRResult(q, r)


# --- eigenvalues and singular values --------------------------------------------------------------
def _lower(uplo: str) -> bool:
    chosen = uplo.upper()
    if chosen not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'" + user_line())
    return chosen == "L"


@implements(np.linalg.eigh)
def eigh(a: Any, UPLO: str = "L") -> Any:
    """Stand for `numpy.linalg.eigh`."""
    return EighResult(*decompose.eigh(_square(a), lower=_lower(UPLO))[:2])


@implements(np.linalg.eigvalsh)
def eigvalsh(a: Any, UPLO: str = "L") -> Any:
    """Stand for `numpy.linalg.eigvalsh`."""
    return eigh(a, UPLO).eigenvalues


@implements(np.linalg.eig)
def eig(a: Any) -> Any:
    """Stand for `numpy.linalg.eig`: real where all eigenvalues are, but complex under ``vmap``."""
    a = _square(a)
    w, v = decompose.eig(a)
    if a.dtype.kind == "c":
        return EigResult(w, v)
    try:
        real = bool(np.all(np.imag(w) == 0))
    except BatchedControlError:
        real = False
    return EigResult(np.real(w), np.real(v)) if real else EigResult(w, v)


@implements(np.linalg.eigvals)
def eigvals(a: Any) -> Any:
    """Stand for `numpy.linalg.eigvals`."""
    return eig(a).eigenvalues


@implements(np.linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Any:
    """Stand for `numpy.linalg.svd` with the reduced factors."""
    _refuse_hermitian("svd", hermitian)
    a = _matrices(a)
    m, n = a.shape[-2:]
    if full_matrices and compute_uv and m != n:
        raise UnsupportedError(
            f"np.linalg.svd with full_matrices=True of {m} x {n} matrices: the vectors beyond the "
            f"first {min(m, n)} are not determined; use full_matrices=False" + user_line()
        )
    u, s, vh, _ = decompose.svd(a)
    return SVDResult(u, s, vh) if compute_uv else s


@implements(np.linalg.svdvals)
def svdvals(x: Any, /) -> Any:
    """Stand for `numpy.linalg.svdvals`."""
    return decompose.svd(_matrices(x))[1]


@implements(np.linalg.matrix_rank)
def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    """Stand for `numpy.linalg.matrix_rank`: piecewise constant."""
    _refuse_hermitian("matrix_rank", hermitian)
    if tol is not None and rtol is not None:
        raise ValueError("`tol` and `rtol` can't be both set." + user_line())
    a = stop_gradient(_floating(A))
    if a.ndim < 2:
        return np.any(a != 0).astype(int)
    s = svdvals(a)
    if tol is None:
        if rtol is None:
            rtol = max(a.shape[-2:]) * np.finfo(s.dtype).eps
        tol = np.max(s, axis=-1, keepdims=True, initial=0) * np.asarray(rtol)[..., None]
    else:
        tol = np.asarray(tol)[..., None]
    return np.count_nonzero(s > tol, axis=-1)


# --- norms ----------------------------------------------------------------------------------------
def _root(power_sum: Any, root: Callable[[Any], Any]) -> Any:
    """Take the root of a sum of powers, with derivative 0 where the sum is 0."""
    zero = power_sum == 0
    return np.where(zero, 0, root(np.where(zero, 1, power_sum)))


def _two_norm(x: Any, axis: Any, keepdims: bool) -> Any:
    squares = np.real(x) ** 2 + np.imag(x) ** 2 if x.dtype.kind == "c" else x * x
    total = np.sum(squares, axis=axis, keepdims=keepdims)
    return remember(_root(total, np.sqrt), total, x, root=True, key=("norm", axis, keepdims))


def _vector_norm(x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    if order is None or order == 2:
        return _two_norm(x, axis, keepdims)
    if isinstance(order, str):
        raise ValueError(f"Invalid norm order {order!r} for vectors" + user_line())
    if order == 0:
        nonzero = (x != 0).astype(np.zeros((), x.dtype).real.dtype)
        return np.sum(nonzero, axis=axis, keepdims=keepdims)
    size = np.abs(x)
    if order == np.inf:
        return np.max(size, axis=axis, keepdims=keepdims)
    if order == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if order == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    total = np.sum(size**order, axis=axis, keepdims=keepdims)
    if not order > 0:  # a sum that is 0 has no elements, or very large ones
        return total ** (1 / order)
    return _root(total, lambda s: s ** (1 / order))


def _matrix_norm(x: Any, order: Any, axis: tuple[int, int], keepdims: bool) -> Any:
    row, column = axis
    if row == column:
        raise ValueError("Duplicate axes given." + user_line())
    if order in (None, "fro", "f"):
        return _two_norm(x, axis, keepdims)
    if order in (1, -1, np.inf, -np.inf):
        summed, other = (row, column) if abs(order) == 1 else (column, row)
        sums = np.sum(np.abs(x), axis=summed, keepdims=True)
        y = (np.max if order > 0 else np.min)(sums, axis=other, keepdims=True)
    elif order in ("nuc", 2, -2):
        s = svdvals(np.moveaxis(x, axis, (-2, -1)))
        reduce: Any = np.sum if order == "nuc" else np.max if order == 2 else np.min
        y = reduce(s, axis=-1)
        if not keepdims:
            return y
        return np.expand_dims(y, tuple(sorted(axis)))
    else:
        raise ValueError(f"Invalid norm order {order!r} for matrices" + user_line())
    return y if keepdims else np.squeeze(y, axis=axis)


@implements(np.linalg.norm)
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Stand for `numpy.linalg.norm`; the gradient at 0 is 0."""
    x = _floating(x)
    if axis is None:
        if ord is None:
            return _two_norm(x, None, keepdims)
        dims: tuple[int, ...] = tuple(range(x.ndim))
    elif isinstance(axis, (tuple, list)):
        dims = tuple(axis_index(a, x.ndim) for a in axis)
    else:
        dims = (axis_index(axis, x.ndim),)
    if len(dims) == 1:
        return _vector_norm(x, ord, dims, keepdims)
    if len(dims) == 2:
        return _matrix_norm(x, ord, (dims[0], dims[1]), keepdims)
    raise ValueError("Improper number of dimensions to norm." + user_line())


@implements(np.linalg.vector_norm)
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    """Stand for `numpy.linalg.vector_norm`."""
    x = _floating(x)
    return _vector_norm(x, ord, axes(axis, x.ndim), keepdims)


@implements(np.linalg.matrix_norm)
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    """Stand for `numpy.linalg.matrix_norm`."""
    x = _matrices(x)
    return _matrix_norm(x, ord, (x.ndim - 2, x.ndim - 1), keepdims)


@implements(np.linalg.cond)
def cond(x: Any, p: Any = None) -> Any:
    """Stand for `numpy.linalg.cond`."""
    x = _matrices(x)
    if 0 in x.shape[-2:]:
        raise np.linalg.LinAlgError("cond is not defined on empty arrays" + user_line())
    with np.errstate(all="ignore"):
        if p in (None, 2, -2):
            s = svdvals(x)
            y = s[..., -1] / s[..., 0] if p == -2 else s[..., 0] / s[..., -1]
        else:
            if holds(np.equal(la.slogdet(_square(x))[0], 0)):
                if x.ndim > 2:
                    raise UnsupportedError(
                        "np.linalg.cond of a stack with a singular matrix on traced values"
                        + user_line()
                    )
                if p == "nuc":
                    raise np.linalg.LinAlgError("SVD did not converge" + user_line())
                matrix_norm(x, ord=p)
                return np.full((), np.inf, x.real.dtype)[()]
            y = matrix_norm(x, ord=p) * matrix_norm(la.inv(_square(x)), ord=p)
        has_nan = np.any(np.isnan(x), axis=(-2, -1))
        return np.where(np.isnan(y) & ~has_nan, np.array(np.inf, y.dtype), y)


# --- products -------------------------------------------------------------------------------------
@implements(np.linalg.matrix_power)
def matrix_power(a: Any, n: Any) -> Any:
    """Stand for `numpy.linalg.matrix_power`: repeated squaring."""
    a = traced(a)
    n = operator.index(n)
    if n < 0:
        a, n = inv(a), -n
    elif a.ndim < 2 or a.shape[-1] != a.shape[-2]:
        _square(a)
    if n == 0:
        return np.array(np.broadcast_to(np.eye(a.shape[-1], dtype=a.dtype), a.shape))
    result = None
    while n:
        if n & 1:
            result = a if result is None else result @ a
        n >>= 1
        if n:
            a = a @ a
    return result


@implements(np.linalg.multi_dot)
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    """Stand for `numpy.linalg.multi_dot`: the order of `numpy.einsum_path`."""
    arrays = [traced(x) for x in arrays]
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays." + user_line())
    if any(x.ndim != 2 for x in arrays[1:-1]) or any(x.ndim not in (1, 2) for x in arrays):
        raise ShapeError(
            "multi_dot takes matrices; the first and the last array may be vectors" + user_line()
        )
    terms = [LABELS[i : i + 2] for i in range(len(arrays))]
    if arrays[0].ndim == 1:
        terms[0] = terms[0][1]
    if arrays[-1].ndim == 1:
        terms[-1] = terms[-1][0]
    result = terms[0][:-1] + terms[-1][1:]
    for x, y in itertools.pairwise(arrays):
        if x.shape[-1] != y.shape[0]:
            raise ShapeError(f"multi_dot: shapes {x.shape} and {y.shape} do not fit" + user_line())
    return deliver(np.einsum(",".join(terms) + "->" + result, *arrays), out)


# --- the array API's names for functions that NumPy has outside of linalg -------------------------
@implements(np.linalg.outer)
def outer(x1: Any, x2: Any, /) -> Any:
    """Stand for `numpy.linalg.outer`."""
    x1, x2 = traced(x1), traced(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ShapeError(
            f"np.linalg.outer takes vectors, not shapes {x1.shape} and {x2.shape}" + user_line()
        )
    return np.outer(x1, x2)


@implements(np.linalg.cross)
def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Stand for `numpy.linalg.cross`."""
    return np.cross(traced(x1), traced(x2), axis=axis)


@implements(np.linalg.diagonal)
def diagonal(x: Any, /, *, offset: int = 0) -> Any:
    """Stand for `numpy.linalg.diagonal`."""
    return np.diagonal(traced(x), offset, axis1=-2, axis2=-1)


@implements(np.linalg.trace)
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    """Stand for `numpy.linalg.trace`."""
    return np.trace(traced(x), offset, axis1=-2, axis2=-1, dtype=dtype)


@implements(np.linalg.matrix_transpose)
def matrix_transpose(x: Any, /) -> Any:
    """Stand for `numpy.linalg.matrix_transpose`."""
    return np.swapaxes(traced(x), -1, -2)


@implements(np.linalg.matmul)
def matmul(x1: Any, x2: Any, /) -> Any:
    """Stand for `numpy.linalg.matmul`."""
    return np.matmul(traced(x1), traced(x2))


@implements(np.linalg.tensordot)
def tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    """Stand for `numpy.linalg.tensordot`."""
    return np.tensordot(traced(x1), traced(x2), axes=axes)


@implements(np.linalg.vecdot)
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    """Stand for `numpy.linalg.vecdot`."""
    return contract.vecdot(x1, x2, axis=axis)
