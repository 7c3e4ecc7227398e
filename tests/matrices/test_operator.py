"""Matrices as operators: products, diagonals, transposes and solutions, with the structure kept."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, gmres

import wengert as wg
from wengert.errors import DenseTooLargeError, ShapeError, UnsupportedError

N = 24
RNG = np.random.default_rng(5)
X = RNG.standard_normal(N) * 0.3
B = RNG.standard_normal(N)
TALL, WIDE = RNG.standard_normal((N, 3)), RNG.standard_normal((3, N))


def standardised(x):
    return 2 * x + (x - np.mean(x)) / np.std(x)


def summed_in_a_loop(x):
    s = 0.0
    for a in x:
        s = s + a * a
    return x * s + x


@wg.custom_jvp
def own_rule(x):
    return x**2 + x


own_rule.defjvp(lambda p, t: (own_rule(p[0]), (2 * p[0] + 1) * t[0]))

INVERTIBLE = {
    "x exp(sum x)": (lambda x: x * np.exp(np.sum(x)), "diagonal plus rank 1"),
    "diagonal": (np.tanh, "diagonal, "),
    "standardised": (standardised, "diagonal plus rank"),
    "beside an encoder": (lambda x: x + TALL @ np.tanh(WIDE @ x), "diagonal plus rank 3"),
    "neighbours": (
        lambda x: np.sum(x**2) * x + np.concatenate([x[1:] ** 2, x[:1]]),
        "sparse plus rank 1",
    ),
    "waists in a row": (
        lambda x: x * np.sin(np.sum(x)) + np.sum(x * np.exp(np.prod(np.cos(x)))) * x**2,
        "diagonal plus rank",
    ),
    "masked": (
        lambda x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), x) * np.sum(x) + x,
        "diagonal plus rank 1",
    ),
    "a loop": (summed_in_a_loop, "plus rank"),
    "zeros on the diagonal": (lambda x: np.roll(x, 1) + np.sum(x**2), "sparse plus rank 1"),
    "a matrix": (
        lambda x: np.ravel(np.reshape(x, (4, 6)) * np.sum(x) + np.exp(np.reshape(x, (4, 6)))),
        "diagonal plus rank 1",
    ),
}
SINGULAR = {
    "normalised": lambda x: x / np.linalg.norm(x),
    "softmax": lambda x: np.exp(x) / np.sum(np.exp(x)),
    "an encoder": lambda x: TALL @ np.tanh(WIDE @ x),
    "zero": lambda x: np.ones(N) + 0 * x,
}
UNKNOWN = {
    "a solution": lambda x: np.linalg.solve(np.eye(N) + np.outer(x, x), x),
    "a custom rule": lambda x: own_rule(x) + np.sum(x),
    "many values": lambda x: np.concatenate([np.cumsum(x), x])[:N],
}
OTHER = {
    "tall": lambda x: np.concatenate([x * np.sum(x), x**2]),
    "wide": lambda x: x[:5] * np.sum(x),
    "a number": lambda x: np.sum(x**2),
}
EVERY = {**{k: f for k, (f, _) in INVERTIBLE.items()}, **SINGULAR, **UNKNOWN, **OTHER}


def of(f, x=X):
    return wg.jacobian(f, format="operator")(x)


@pytest.mark.parametrize("name", list(EVERY))
def test_products_diagonal_and_transpose(name):
    f = EVERY[name]
    dense = np.atleast_2d(wg.jacobian(f)(X))
    A = of(f)
    assert isinstance(A, LinearOperator)
    assert A.T.T is A
    v, u = RNG.standard_normal(A.shape[1]), RNG.standard_normal(A.shape[0])
    tol = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(A @ v, dense @ v, **tol)
    np.testing.assert_allclose(A.T @ u, dense.T @ u, **tol)
    np.testing.assert_allclose(A.H @ u, dense.T @ u, **tol)
    np.testing.assert_allclose(A.to_dense(), dense, **tol)
    np.testing.assert_allclose(np.asarray(A.T), dense.T, **tol)
    np.testing.assert_allclose(A.diagonal(), np.diagonal(dense), **tol)
    np.testing.assert_allclose(A.T.diagonal(), np.diagonal(dense), **tol)


@pytest.mark.parametrize("name", list(INVERTIBLE))
def test_solutions(name):
    f, structure = INVERTIBLE[name]
    A = of(f)
    assert structure in A.structure, A.structure
    for T in (A, A.T):
        x = T.solve(B)
        np.testing.assert_allclose(T @ x, B, rtol=1e-9, atol=1e-9)
        several = T.solve(np.stack([B, X], axis=1))
        np.testing.assert_allclose(several[:, 0], x, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(T @ several[:, 1], X, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", list(SINGULAR))
def test_singular_matrices(name):
    A = of(SINGULAR[name])
    for T in (A, A.T):
        with pytest.raises(np.linalg.LinAlgError, match="singular"):
            T.solve(B)


@pytest.mark.parametrize("name", ["a solution", "a custom rule"])
def test_where_no_structure_is_known(name):
    A = of(UNKNOWN[name])
    assert A.structure.startswith("matrix-free")
    with pytest.raises(UnsupportedError, match="gmres"):
        A.solve(B)
    x, info = gmres(A, B, rtol=1e-10)
    assert info == 0
    np.testing.assert_allclose(A @ x, B, atol=1e-7)


def test_entries_that_are_not_finite():
    with np.errstate(all="ignore"):
        for f in (lambda x: x * np.nan + x, lambda x: np.sqrt(x - X[0]) + np.sum(x)):
            with pytest.raises(np.linalg.LinAlgError, match="not finite"):
                of(f).solve(B)


def test_a_nearly_singular_diagonal():
    """Woodbury's formula divides by the diagonal, so another way is taken."""
    x = X.copy()
    x[3] = 1e-170
    A = of(lambda x: x**2 / 2 + np.sum(x), x)
    dense = np.diag(x) + 1
    np.testing.assert_allclose(A.solve(B), np.linalg.solve(dense, B), rtol=1e-8)


def test_hessians():
    def f(x):
        return np.sum(x**2) ** 2 + np.sum(np.cos(x)) + np.log(np.sum(np.exp(x)))

    H, A = wg.hessian(f)(X), wg.hessian(f, format="operator")(X)
    assert A.structure.startswith("diagonal plus rank")
    np.testing.assert_allclose(A.to_dense(), H, atol=1e-12)
    np.testing.assert_allclose(A.diagonal(), np.diag(H), atol=1e-12)
    np.testing.assert_allclose(H @ A.solve(B), B, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_and_several_arguments(dtype):
    x, y = X.astype(dtype), B.astype(dtype)

    def f(x, y):
        return x * np.exp(np.sum(x) + np.sum(y))

    A = wg.jacobian(f, (0, 1), format="operator")(x, y)
    assert A.shape == (N, 2 * N)
    assert A.diagonal().dtype == A.dtype == dtype
    dense = np.concatenate(wg.jacobian(f, (0, 1))(x, y), axis=1)
    np.testing.assert_allclose(A.diagonal(), np.diagonal(dense), rtol=1e-5)
    g = wg.jacobian(lambda x: x * np.exp(np.sum(x)), format="operator")(x)
    assert g.solve(y).dtype == dtype


def test_the_point_stays():
    x = X.copy()
    A = of(lambda x: x * np.exp(np.sum(x)), x)
    expected = wg.jacobian(lambda x: x * np.exp(np.sum(x)))(X)
    x[:] = 7.0
    np.testing.assert_allclose(A @ B, expected @ B)
    np.testing.assert_allclose(A.diagonal(), np.diag(expected))


def test_a_million_inputs():
    n = 10**6
    x = np.linspace(-1.0, 1.0, n) / 1e3
    A = of(lambda x: x * np.exp(np.sum(x)), x)
    e = np.exp(np.sum(x))
    v = np.cos(np.arange(n))
    np.testing.assert_allclose(A @ v, e * v + x * e * np.sum(v), atol=1e-9)
    np.testing.assert_allclose(A.diagonal(), e + x * e, rtol=1e-12)
    np.testing.assert_allclose(A @ A.solve(v), v, atol=1e-9)
    for ask in (A.to_dense, A.T.to_dense, lambda: np.asarray(A)):
        with pytest.raises(DenseTooLargeError, match="8,000,000,000,000 bytes"):
            ask()


def test_what_is_refused():
    A = of(lambda x: x * np.sum(x))
    for b in (B[:-1], B[None, None], 1j * B, np.array(3.0)):
        with pytest.raises(ShapeError, match="solve takes real numbers"):
            A.solve(b)
    with pytest.raises(ShapeError, match="square"):
        of(OTHER["tall"]).solve(B)
    many = of(lambda x: np.linalg.solve(np.eye(2), x.reshape(2, -1)).ravel(), np.ones(40_000))
    with pytest.raises(UnsupportedError, match="40,000 products"):
        many.diagonal()


def test_complex_numbers():
    m = RNG.standard_normal((4, 3)) + 1j * RNG.standard_normal((4, 3))
    z = np.array([0.3 + 0.1j, -0.2j, 1.0 + 0.0j])
    A = of(lambda z: m @ z**2, z)
    dense = m * (2 * z)
    v, u = z + 1, np.array([1.0, 1j, 2 - 1j, 0.5])
    np.testing.assert_allclose(A @ v, dense @ v)
    np.testing.assert_allclose(A.T @ u, dense.T @ u)
    np.testing.assert_allclose(A.H @ u, dense.conj().T @ u)
    np.testing.assert_allclose(A.rmatvec(u), dense.conj().T @ u)
    np.testing.assert_allclose(A.T.H @ v, dense.conj() @ v)
    np.testing.assert_allclose(A.to_dense(), dense)
    np.testing.assert_allclose(A.diagonal(), np.diagonal(dense))
