"""Sparse matrices and operators of SciPy are constants: products and solvers have derivatives."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sps
import scipy.sparse.linalg as sl

import wengert as wg
from wengert.errors import ConversionError, InputError, ShapeError

RNG = np.random.default_rng(0)
X = RNG.normal(size=4)
M = RNG.normal(size=(4, 3))
DENSE = np.where(RNG.random((4, 4)) < 0.5, RNG.normal(size=(4, 4)), 0) + 4 * np.eye(4)
DENSE[1] = [0, 4, 0, 0]
SYMMETRIC = DENSE @ DENSE.T
WIDE = DENSE[:3]

CSR, SCSR = sps.csr_array(DENSE), sps.csr_array(SYMMETRIC)
LU = sl.splu(sps.csc_array(DENSE))
FACTORIZED = sl.factorized(sps.csc_array(DENSE))
OPERATOR = sl.aslinearoperator(DENSE)
TIGHT = {"rtol": 1e-13}


def product(kind, fmt, dense=DENSE):
    return getattr(sps, f"csr_{kind}")(dense).asformat(fmt)


FORMATS = ("csr", "csc", "coo", "dia", "bsr", "dok")

# of a sparse matrix and a value, of the dense one and the value
PRODUCTS = {
    "A @ x": (lambda a, x: a @ x, lambda d, x: d @ x, X),
    "A @ M": (lambda a, x: a @ x, lambda d, x: d @ x, M),
    "x @ A": (lambda a, x: x @ a, lambda d, x: x @ d, X),
    "M.T @ A": (lambda a, x: x.T @ a, lambda d, x: x.T @ d, M),
    "A.dot": (lambda a, x: a.dot(x), lambda d, x: d @ x, X),
    "of an expression": (lambda a, x: a @ (x * x) + 2 * x, lambda d, x: d @ (x * x) + 2 * x, X),
}

# of a value, the same with dense arrays, and the value
SOLVERS = {
    "spsolve": (lambda b: sl.spsolve(CSR.tocsc(), b), lambda b: np.linalg.solve(DENSE, b), X),
    "spsolve of columns": (
        lambda b: sl.spsolve(CSR.tocsc(), b), lambda b: np.linalg.solve(DENSE, b), M
    ),
    "splu": (lambda b: LU.solve(b), lambda b: np.linalg.solve(DENSE, b), X),
    "splu transposed": (lambda b: LU.solve(b, "T"), lambda b: np.linalg.solve(DENSE.T, b), X),
    "splu adjoint": (lambda b: LU.solve(b, trans="H"), lambda b: np.linalg.solve(DENSE.T, b), M),
    "factorized": (lambda b: FACTORIZED(b), lambda b: np.linalg.solve(DENSE, b), X),
    "cg": (lambda b: sl.cg(SCSR, b, **TIGHT)[0], lambda b: np.linalg.solve(SYMMETRIC, b), X),
    "minres": (lambda b: sl.minres(SCSR, b, **TIGHT)[0],
               lambda b: np.linalg.solve(SYMMETRIC, b), X),
    "gmres": (lambda b: sl.gmres(CSR, b, **TIGHT)[0], lambda b: np.linalg.solve(DENSE, b), X),
    "gmres of an operator": (
        lambda b: sl.gmres(OPERATOR, b, **TIGHT)[0], lambda b: np.linalg.solve(DENSE, b), X
    ),
    "matvec": (lambda x: OPERATOR.matvec(x), lambda x: DENSE @ x, X),
    "rmatvec": (lambda x: OPERATOR.rmatvec(x), lambda x: DENSE.T @ x, X),
    "operator @": (lambda x: OPERATOR @ x, lambda x: DENSE @ x, X),
    "operator *": (lambda x: OPERATOR * x, lambda x: DENSE @ x, X),
    "of a new array": (lambda x: sl.aslinearoperator(np.ones((4, 4))) @ x, np.ones((4, 4)).dot, X),
    "matmat": (lambda x: OPERATOR.matmat(x), lambda x: DENSE @ x, M),
    "operator.dot": (lambda x: OPERATOR.dot(x), lambda x: DENSE @ x, X),
}  # fmt: skip


def agree(f, g, x):
    """Compare values and derivatives of two functions, eager, compiled, batched, second order."""
    loss = lambda h: lambda x: np.sum(np.sin(h(x)) ** 2)  # noqa: E731
    close = {"rtol": 1e-7, "atol": 1e-9}
    np.testing.assert_allclose(wg.jit(f)(x), g(x), **close)
    want = wg.grad(loss(g))(x)
    for backend in ("native", "numpy"):
        np.testing.assert_allclose(wg.jit(wg.grad(loss(f)), backend=backend)(x), want, **close)
    np.testing.assert_allclose(wg.grad(loss(f))(x), want, **close)
    np.testing.assert_allclose(wg.jacfwd(f)(x), wg.jacfwd(g)(x), **close)
    many = np.stack([x, 2 * x, x - 1])
    np.testing.assert_allclose(wg.vmap(f)(many), [g(y) for y in many], **close)
    h = (loss(f), (x,), (np.ones(x.shape),))
    np.testing.assert_allclose(wg.hvp(*h), wg.hvp(loss(g), *h[1:]), **close)


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize("fmt", FORMATS)
def test_products(name, fmt):
    of_sparse, of_dense, x = PRODUCTS[name]
    a = product("array", fmt)
    agree(lambda x: of_sparse(a, x), lambda x: of_dense(DENSE, x), x)


@pytest.mark.parametrize("fmt", FORMATS)
def test_matrices_that_are_not_square(fmt):
    a = product("array", fmt, WIDE)
    agree(lambda x: a @ x, lambda x: WIDE @ x, X)
    agree(lambda x: x @ a, lambda x: x @ WIDE, X[:3])


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_older_matrices_multiply_with_a_star(fmt):
    a = product("matrix", fmt)
    agree(lambda x: a * x, lambda x: DENSE @ x, X)
    agree(lambda x: x * a, lambda x: x @ DENSE, X)


@pytest.mark.parametrize("name", SOLVERS)
def test_solvers(name):
    agree(*SOLVERS[name])


def test_the_pattern_is_that_of_the_matrix():
    j = wg.jacobian(lambda x: CSR @ np.sin(x), sparsity="auto", format="csr")(X)
    assert j.nnz == CSR.nnz
    np.testing.assert_allclose(j.toarray(), DENSE * np.cos(X))


def test_complex_matrices():
    a = sps.csr_array(DENSE * (1 + 2j))
    f = lambda x: np.sum(np.abs(a @ x) ** 2)  # noqa: E731
    g = lambda x: np.sum(np.abs((DENSE * (1 + 2j)) @ x) ** 2)  # noqa: E731
    np.testing.assert_allclose(wg.grad(f)(X), wg.grad(g)(X))
    lu = sl.splu(a.tocsc())
    f = lambda x: np.sum(np.abs(lu.solve(x)) ** 2)  # noqa: E731
    g = lambda x: np.sum(np.abs(np.linalg.solve(DENSE * (1 + 2j), x)) ** 2)  # noqa: E731
    np.testing.assert_allclose(wg.grad(f)(X), wg.grad(g)(X))


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_matrix_that_changes_is_seen(fmt):
    a = product("array", fmt, 2 * np.eye(4))
    f = wg.jit(wg.grad(lambda x: np.sum((a @ x) ** 2)))
    np.testing.assert_allclose(f(X), 8 * X)
    if hasattr(a, "data"):
        a.data *= 3
    else:
        for k in range(4):
            a[k, k] = 6.0
    np.testing.assert_allclose(f(X), 72 * X)
    a = product("array", fmt, np.eye(4))
    np.testing.assert_allclose(f(X), 2 * X)


def test_what_iterative_solvers_report():
    _, info = wg.jit(lambda b: sl.cg(SCSR, b, maxiter=1))(X)
    assert info == sl.cg(SCSR, X, maxiter=1)[1] == 1
    with pytest.raises(np.linalg.LinAlgError, match="solve of the derivative did not converge"):
        wg.grad(lambda b: np.sum(sl.cg(SCSR, b, maxiter=1)[0]))(X)


REFUSED = {
    "shape": (lambda x: CSR @ x[:3], ShapeError, r"shape \(4, 4\) does not fit .* shape \(3,\)"),
    "rhs": (lambda x: sl.spsolve(CSR.tocsc(), x[:3]), ShapeError, "spsolve: a right-hand side"),
    "lil": (lambda x: CSR.tolil() @ x, InputError, r"A = A.tocsr\(\), outside"),
    "elementwise": (lambda x: CSR * x, ConversionError, "scipy.sparse.csr_array.__mul__ turned"),
    "traced entries": (lambda x: sps.csr_array((x, ([0, 1, 2, 3], [0, 1, 2, 3]))) @ X,
                       ConversionError, "scipy.sparse.csr_array turned"),
    "traced option": (lambda x: sl.cg(SCSR, x, x0=x)[0], ConversionError, "one of them is traced"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    f, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message) as info:
        wg.grad(lambda x: np.sum(f(x)))(X)
    assert f"at {__file__}" in str(info.value)


def test_an_argument_of_a_compiled_function():
    with pytest.raises(InputError, match="refer to it as a constant from outside"):
        wg.jit(lambda a, x: a @ x)(CSR, X)
