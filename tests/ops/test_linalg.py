"""Linear algebra: derivatives against differences, closed forms and JAX, in every mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.linalg as la
import pytest
from matrices import Array, conj_t, definite, normal, of_rank, well

import wengert as wg
from wengert.errors import ShapeError, UnsupportedError
from wengert.ops.base import TABLE


class Case(NamedTuple):
    """A function of one matrix argument; `make` builds a point for a batch shape and a dtype."""

    name: str
    f: Callable[..., Any]
    make: Callable[..., Any] = well
    tail: tuple[int, int] = (3, 3)
    kinds: str = "fc"


def vec(n: int, seed: int = 7) -> Array:
    return normal(n, seed=seed)


WEIGHTS = normal(5, 5, seed=9)
PLANE = WEIGHTS[:2, :2]


def read_of(g: Any) -> Any:
    """Return the gradient in the lower triangle, given that in the whole Hermitian matrix."""
    return np.tril(g) + np.tril(g, -1)


def projectors(v: Any) -> Any:
    """Return a function of eigenvectors that does not depend on their phases."""
    n = v.shape[-1]
    return np.einsum("...ik,...jk,k->...ij", v, np.conjugate(v), WEIGHTS[0, :n])


CASES = [
    Case("inv", la.inv),
    Case("inv 1x1", la.inv, tail=(1, 1)),
    Case("solve vector", lambda a: la.solve(a, vec(3))),
    Case("solve matrix", lambda a: la.solve(a, WEIGHTS[:3, :2])),
    Case("solve itself", lambda a: la.solve(a, a @ a)),
    Case("solve rhs", lambda b: la.solve(well(3, 3), b)),
    Case("solve rhs stack", lambda b: la.solve(well(2, 3, 3), b[..., None, :, :])),
    Case("solve factored", lambda a: la.solve(a, WEIGHTS[:1].repeat(8, 1).T[:40]), tail=(40, 40)),
    Case("tensorsolve", lambda a: la.tensorsolve(np.reshape(a, (2, 2, 4)), PLANE), tail=(4, 4)),
    Case("tensorinv", lambda a: la.tensorinv(np.reshape(a, (2, 2, 4))), tail=(4, 4)),
    Case("pinv tall", la.pinv, normal, (4, 3)),
    Case("pinv wide", la.pinv, normal, (2, 4)),
    Case("lstsq tall", lambda a: la.lstsq(a, vec(4))[0], normal, (4, 3)),
    Case("lstsq wide", lambda a: la.lstsq(a, WEIGHTS[:2])[0], normal, (2, 4)),
    Case("lstsq residuals", lambda a: la.lstsq(a, vec(4))[1], normal, (4, 3)),
    Case("det", la.det),
    Case("det 1x1", la.det, tail=(1, 1)),
    Case("slogdet", lambda a: la.slogdet(a)[1]),
    Case("slogdet sign", lambda a: la.slogdet(a)[0]),
    Case("cholesky", la.cholesky, definite),
    Case("cholesky upper", lambda a: la.cholesky(a, upper=True), definite),
    Case("cholesky 1x1", la.cholesky, definite, (1, 1)),
    Case("cholesky of a triangle", lambda a: la.cholesky(np.tril(a)), definite),
    Case("cholesky of X X^H", lambda a: la.cholesky(a @ np.conjugate(np.swapaxes(a, -1, -2)))),
    Case("eigvalsh", la.eigvalsh, definite),
    Case("eigvalsh upper", lambda a: la.eigvalsh(a, "U"), definite),
    Case("eigvalsh of a triangle", lambda a: la.eigvalsh(np.triu(a), "U"), definite),
    Case("eigh vectors", lambda a: projectors(la.eigh(a).eigenvectors), definite),
    Case("eigh 1x1", lambda a: la.eigh(a)[0], definite, (1, 1)),
    Case("eig values", lambda a: np.sum(la.eig(a)[0] ** 3, -1)),
    Case("eigvals", lambda a: np.sum(np.abs(la.eigvals(a)) ** 2, -1)),
    Case("eig vectors", lambda a: np.sum(np.abs(la.eig(a)[1]) ** 4, -1)),
    Case("svd values", lambda a: la.svd(a, full_matrices=False)[1], normal, (4, 3)),
    Case("svdvals", la.svdvals, normal, (2, 3)),
    Case("svd only values", lambda a: la.svd(a, compute_uv=False), normal, (2, 3)),
    Case("svd left", lambda a: projectors(la.svd(a, full_matrices=False).U), normal, (4, 3)),
    Case("svd left square", lambda a: projectors(la.svd(a).U)),
    Case("svd right", lambda a: projectors(conj_t(la.svd(a, False).Vh)), normal, (2, 4)),
    Case("svd product", lambda a: la.svd(a)[0] @ la.svd(a)[2]),
    Case("svd 1x1", lambda a: la.svd(a)[1], tail=(1, 1)),
    Case("qr Q", lambda a: la.qr(a).Q, normal, (4, 3)),
    Case("qr R", lambda a: la.qr(a).R, normal, (4, 3)),
    Case("qr mode r", lambda a: la.qr(a, "r"), normal, (3, 3)),
    Case("qr wide", lambda a: la.qr(a)[0] @ la.qr(a)[1][..., 1:], normal, (2, 4)),
    Case("qr 1x1", lambda a: la.qr(a)[1], normal, (1, 1)),
    *(
        Case(f"norm {ord} of a vector", lambda x, ord=ord: la.norm(x, ord, axis=-1), normal, (3, 4))
        for ord in (None, 1, 2, 3, 2.5, np.inf, -np.inf, -1)
    ),
    *(
        Case(f"norm {p} of a matrix", lambda x, p=p: la.norm(x, p, (-2, -1)), normal, (3, 4))
        for p in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf)
    ),
    Case("norm keepdims", lambda x: la.norm(x, 2, (-1, -2), keepdims=True), normal, (3, 4)),
    Case("norm of all", la.norm, normal, (3, 4)),
    Case("vector_norm", lambda x: la.vector_norm(x, axis=(-2, -1), ord=3), normal, (3, 4)),
    Case("matrix_norm", lambda x: la.matrix_norm(x, ord="nuc", keepdims=True), normal, (3, 4)),
    Case("cond", la.cond),
    Case("cond fro", lambda a: la.cond(a, "fro")),
    Case("cond -2", lambda a: la.cond(a, -2)),
    Case("matrix_power 5", lambda a: la.matrix_power(a, 5)),
    Case("matrix_power -3", lambda a: la.matrix_power(a, -3)),
    Case("trace", lambda a: la.trace(a, offset=1)),
    Case("diagonal", lambda a: la.diagonal(a, offset=-1)),
    Case("matmul", lambda a: la.matmul(a, la.matrix_transpose(a))),
    Case("vecdot", lambda a: la.vecdot(a, WEIGHTS[:3, :3])),
    Case("cross", lambda a: la.cross(a, WEIGHTS[0, :3])),
    Case("tensordot", lambda a: la.tensordot(a, WEIGHTS[:3, :2], axes=1)),
]  # fmt: skip
UNBATCHED = {"tensorsolve", "tensorinv", "norm of all", "solve factored", "lstsq residuals"}
UNBATCHED |= {c.name for c in CASES if c.name.startswith("lstsq")}

case = pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
kind = pytest.mark.parametrize("dtype", [float, complex], ids=["real", "complex"])


def direction(x: Any, seed: int = 3) -> Any:
    return normal(*x.shape, dtype=x.dtype, seed=seed)


def pairing(ct: Any, t: Any) -> float:
    return float(np.real(np.sum(np.asarray(ct) * np.asarray(t))))


def difference(f: Callable[..., Any], x: Any, t: Any, h: float = 1e-4) -> Any:
    """Take the central difference of fourth order."""
    near = np.asarray(f(x + h * t)) - np.asarray(f(x - h * t))
    far = np.asarray(f(x + 2 * h * t)) - np.asarray(f(x - 2 * h * t))
    return (8 * near - far) / (12 * h)


@case
@kind
def test_tangents_are_differences_and_cotangents_their_transpose(case: Case, dtype: Any) -> None:
    for lead in [()] if case.name in UNBATCHED else [(), (2,)]:
        x = case.make(*lead, *case.tail, dtype=dtype)
        t = direction(x)
        y, dy = wg.jvp(case.f, (x,), (t,), allow_int=True)
        np.testing.assert_allclose(y, case.f(x), rtol=1e-12, atol=1e-12)
        assert y.dtype == dy.dtype == np.asarray(case.f(x)).dtype
        np.testing.assert_allclose(dy, difference(case.f, x, t), rtol=2e-6, atol=2e-6)
        ct = normal(*np.shape(y), dtype=y.dtype, seed=5)
        y, pull = wg.vjp(case.f, x, allow_int=True)
        (g,) = pull(ct)
        assert g.dtype == x.dtype
        assert g.shape == x.shape
        assert pairing(ct, dy) == pytest.approx(pairing(g, t), rel=1e-9, abs=1e-9)


@case
def test_second_order(case: Case) -> None:
    x = case.make(*case.tail)
    t = direction(x)

    def loss(x: Any) -> Any:
        y = case.f(x)
        return np.sum(np.real(y * np.conjugate(y)) * np.cos(np.arange(y.size).reshape(y.shape)))

    def gradient(x: Any) -> Any:
        return wg.grad(loss)(x)

    def along(x: Any) -> Any:
        return wg.jvp(loss, (x,), (t,), allow_int=True)[1]

    expected = difference(gradient, x, t)
    np.testing.assert_allclose(wg.hvp(loss, (x,), (t,)), expected, rtol=2e-5, atol=2e-5)
    if case.name != "solve factored":
        reverse = wg.grad(along)(x)
        np.testing.assert_allclose(reverse, expected, rtol=2e-5, atol=2e-5)


@case
def test_vmap_is_a_loop(case: Case) -> None:
    x = np.stack([case.make(*case.tail) * (1 + 0.1 * i) for i in range(3)])
    t = np.stack([direction(x[0], seed=i) for i in range(3)])

    def tangent(x: Any, t: Any) -> Any:
        return wg.jvp(case.f, (x,), (t,), allow_int=True)

    def gradient(x: Any) -> Any:
        y, pull = wg.vjp(case.f, x, allow_int=True)
        return y, pull(np.conjugate(y))[0]

    for mapped, single in ((wg.vmap(tangent)(x, t), [tangent(*p) for p in zip(x, t, strict=True)]),
                           (wg.vmap(gradient)(x), [gradient(p) for p in x])):  # fmt: skip
        for k in (0, 1):
            expected = np.stack([s[k] for s in single])
            np.testing.assert_allclose(mapped[k], expected, rtol=1e-9, atol=1e-9)


@case
@kind
def test_single_precision_stays_single(case: Case, dtype: Any) -> None:
    x = case.make(*case.tail, dtype=dtype)
    t = direction(x)
    small = np.complex64 if dtype is complex else np.float32
    y, dy = wg.jvp(case.f, (x.astype(small),), (t.astype(small),), allow_int=True)
    assert dy.dtype == y.dtype == np.asarray(case.f(x.astype(small))).dtype
    exact = wg.jvp(case.f, (x,), (t,), allow_int=True)[1]
    np.testing.assert_allclose(dy, exact, rtol=5e-3, atol=5e-3 * max(1, np.abs(exact).max()))


@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.name not in UNBATCHED and "solve rhs" not in c.name],
    ids=lambda c: c.name,
)
def test_an_empty_batch_has_empty_derivatives(case: Case) -> None:
    x = np.zeros((0, *case.tail))
    y, pull = wg.vjp(case.f, x, allow_int=True)
    assert np.shape(y)[0] == 0
    assert pull(np.zeros(np.shape(y), y.dtype))[0].shape == x.shape


# --- closed forms ---------------------------------------------------------------------------------
@kind
def test_gradients_in_closed_form(dtype: Any) -> None:
    a, s = well(3, 3, dtype=dtype), definite(3, 3, dtype=dtype)
    inverse = la.inv(a)
    _, pull = wg.vjp(la.det, a, allow_int=True)
    np.testing.assert_allclose(pull(a.dtype.type(1))[0], la.det(a) * inverse.T, rtol=1e-12)
    log = wg.grad(lambda a: la.slogdet(a)[1])(a)
    np.testing.assert_allclose(log, inverse.T, rtol=1e-12)
    v = la.eigh(s)[1]
    top = wg.grad(lambda s: la.eigvalsh(s)[-1])(s)
    expected = read_of(np.conjugate(np.outer(v[:, -1], v[:, -1].conj())))
    np.testing.assert_allclose(top, expected, atol=1e-13)
    u, _, vh = la.svd(a)
    np.testing.assert_allclose(
        wg.grad(lambda a: la.norm(a, "nuc"))(a), np.conjugate(u @ vh), atol=1e-13
    )


def test_likelihood_of_a_gaussian() -> None:
    """-d/dS log N(y; 0, S) = (S^-1 - S^-1 y y^T S^-1) / 2 for a symmetric dS, by a factor."""
    s, y = definite(4, 4), vec(4)

    def loss(s: Any) -> Any:
        factor = la.cholesky(s)
        z = la.solve(factor, y)
        return 0.5 * z @ z + np.sum(np.log(np.diagonal(factor)))

    inverse = la.inv(s)
    expected = 0.5 * (inverse - np.outer(inverse @ y, inverse @ y))
    np.testing.assert_allclose(wg.grad(loss)(s), read_of(expected), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("shape", [(20, 20), (2, 20, 20), (3, 4, 4)])
def test_cholesky_of_small_and_large_batches(shape: tuple[int, ...]) -> None:
    s = definite(*shape)
    t = direction(s) + conj_t(direction(s))
    factor, tangent = wg.jvp(la.cholesky, (s,), (t,), allow_int=True)
    product = tangent @ conj_t(factor)
    np.testing.assert_allclose(product + conj_t(product), t, atol=1e-12)
    (g,) = wg.vjp(la.cholesky, s, allow_int=True)[1](t)
    assert pairing(t, tangent) == pytest.approx(pairing(g, t), rel=1e-10)


def test_complex_step() -> None:
    a, t = well(4, 4), normal(4, 4, seed=1)
    for f in (la.inv, la.det, lambda a: la.solve(a, vec(4)), lambda a: la.matrix_power(a, 3)):
        step = np.imag(f(a + 1e-30j * t)) / 1e-30
        np.testing.assert_allclose(
            wg.jvp(f, (a,), (t,), allow_int=True)[1], step, rtol=1e-12, atol=1e-13
        )


# --- repeated values ------------------------------------------------------------------------------
def repeated(dtype: Any = float) -> Array:
    q, _ = la.qr(normal(4, 4, dtype=dtype))
    s = (q * np.array([1.0, 1.0, 1.0, 3.0])) @ conj_t(q)
    return 0.5 * (s + conj_t(s))


@kind
def test_symmetric_functions_of_repeated_values(dtype: Any) -> None:
    s = repeated(dtype)
    # tr f(S) has the gradient f'(S)^T for Hermitian S; eigvalsh reads the lower triangle
    g = wg.grad(lambda s: np.sum(la.eigvalsh(s) ** 3))(s)
    np.testing.assert_allclose(g, 3 * read_of((s @ s).T), atol=1e-12)
    g = wg.grad(lambda s: np.sum(la.svdvals(s) ** 3))(s)
    np.testing.assert_allclose(g, 3 * (s @ s).T, atol=1e-12)
    g = wg.grad(lambda s: np.real(np.sum(la.eigvals(s) ** 3)))(s)
    np.testing.assert_allclose(g, 3 * (s @ s).T, atol=1e-11)


@kind
def test_vectors_of_repeated_values_have_no_derivative(dtype: Any) -> None:
    s, t = repeated(dtype), direction(repeated(dtype))
    for f in (lambda s: la.eigh(s)[1], lambda s: la.svd(s)[0], lambda s: la.eig(s)[1]):
        dy = wg.jvp(f, (s,), (t,), allow_int=True)[1]
        assert np.isnan(dy).any()
    assert np.isnan(wg.grad(lambda s: np.sum(np.abs(la.eigh(s)[1]) ** 4))(s)).any()


def test_eigenvectors_keep_the_scaling_of_lapack() -> None:
    a = normal(4, 4, dtype=complex)
    t = normal(4, 4, dtype=complex, seed=2)
    dv = wg.jvp(lambda a: la.eig(a)[1], (a,), (t,))[1]
    np.testing.assert_allclose(dv, difference(lambda a: la.eig(a)[1], a, t), atol=1e-6)


def test_eigenvalues_of_a_real_matrix_are_real_where_they_can_be() -> None:
    a = np.array([[1.0, 2], [0.5, 3]])
    assert wg.grad(lambda a: la.eigvals(a)[0])(a).dtype == float
    w, v = wg.vmap(la.eig)(a[None])
    assert w.dtype == v.dtype == complex
    turn = np.array([[0.0, 1], [-1, 0]])
    assert wg.jvp(la.eigvals, (turn,), (turn,), allow_int=True)[1].dtype == complex


# --- triangles ------------------------------------------------------------------------------------
def _lower_from(v: Any, like: Any) -> Any:
    """Return a matrix with numbers below a fixed diagonal and zeros above it."""
    m = np.zeros((3, 3), like=like)
    m[np.diag_indices(3)] = np.array([2.0, 3.0, 5.0])
    m[np.tril_indices(3, -1)] = v
    return m


TRIANGLES: dict[str, Callable[..., Any]] = {
    "cholesky": la.cholesky,
    "cholesky upper": lambda a: la.cholesky(a, upper=True),
    "eigvalsh": la.eigvalsh,
    "eigvalsh U": lambda a: la.eigvalsh(a, "U"),
    "eigh": lambda a: projectors(la.eigh(a)[1]),
    "eigh U": lambda a: projectors(la.eigh(a, "U")[1]),
}
DIAGONAL = np.diag([2.0, 3.0, 5.0])
UNREAD = {
    "diagonal": DIAGONAL,
    "symmetric": DIAGONAL + 0.3,
    "lower triangle": np.tril(DIAGONAL + 0.3),
    "upper triangle": np.triu(DIAGONAL + 0.3),
    "nearly symmetric": DIAGONAL + 0.3 + 1e-15 * np.tri(3),
    "other numbers": DIAGONAL + 0.3 + np.tri(3, k=-1),
    "Hermitian": DIAGONAL + 0.3j * (np.tri(3) - np.tri(3).T),
    "imaginary diagonal": DIAGONAL * (1 + 1j) + 0.3,
}


@pytest.mark.parametrize("name", TRIANGLES)
@pytest.mark.parametrize("matrix", UNREAD)
def test_the_derivative_is_of_the_triangle_that_numpy_reads(name: str, matrix: str) -> None:
    """It does not depend on what stands in the other one."""
    f, s = TRIANGLES[name], UNREAD[matrix]
    weights = np.cos(np.arange(np.size(f(s)))).reshape(np.shape(f(s)))

    def loss(a: Any) -> Any:
        return np.sum(np.real(f(a)) * weights)

    for seed in range(2):
        t, u = direction(s, seed), direction(s, seed + 5)
        _, dy = wg.jvp(f, (s,), (t,), allow_int=True)
        np.testing.assert_allclose(dy, difference(f, s, t), atol=1e-8)
        assert pairing(wg.grad(loss)(s), t) == pytest.approx(np.sum(np.real(dy) * weights))
        expected = difference(wg.grad(loss), s, u)
        np.testing.assert_allclose(
            wg.jvp(wg.grad(loss), (s,), (u,), allow_int=True)[1], expected, atol=1e-7
        )
        back = wg.grad(lambda a, t=t: np.real(np.sum(wg.grad(loss)(a) * t)))(s)
        assert pairing(back, u) == pytest.approx(np.real(np.sum(expected * t)), abs=1e-7)
    upper = "U" in name or "upper" in name
    unread = np.tril(wg.grad(loss)(s), -1) if upper else np.triu(wg.grad(loss)(s), 1)
    np.testing.assert_array_equal(unread, 0)


@pytest.mark.parametrize("name", ["cholesky", "eigvalsh", "eigh"])
def test_parameters_of_one_triangle_move_all_of_the_result(name: str) -> None:
    """From a diagonal start, as of a triangle of a covariance that is fitted."""
    f = TRIANGLES[name]
    start = np.zeros(3)
    expected = difference(lambda v: f(_lower_from(v, start)), start, np.ones(3))
    for mode in (wg.jacfwd, wg.jacrev):
        jac = mode(lambda v: f(_lower_from(v, v)))(start)
        np.testing.assert_allclose(jac @ np.ones(3), expected, atol=1e-8)


# --- norms ----------------------------------------------------------------------------------------
@pytest.mark.parametrize("ord", [None, 2, 3, 1, np.inf])
@kind
def test_norms_have_gradient_zero_at_zero(ord: Any, dtype: Any) -> None:
    g = wg.grad(lambda x: la.norm(x, ord))(np.zeros(3, dtype))
    np.testing.assert_array_equal(g, 0)


def test_norm_counts_and_ranks_are_piecewise_constant() -> None:
    x = np.array([1.0, 0, 2])
    np.testing.assert_array_equal(wg.grad(lambda x: la.norm(x, 0) + np.sum(x))(x), 1)
    a = normal(3, 2)

    def ranked(a: Any) -> Any:
        return np.sum(a) * la.matrix_rank(a @ a.T)

    np.testing.assert_array_equal(wg.grad(ranked)(a), 2)
    np.testing.assert_array_equal(wg.vmap(la.matrix_rank)(np.stack([a, 0 * a])), [2, 0])


# --- several arguments, products ------------------------------------------------------------------
@pytest.mark.parametrize("n", [3, 40])
@kind
def test_both_arguments_of_solve(n: int, dtype: Any) -> None:
    a, b = well(n, n, dtype=dtype), normal(n, dtype=dtype, seed=4)
    da, db = normal(n, n, dtype=dtype, seed=5), normal(n, dtype=dtype, seed=6)
    y, dy = wg.jvp(la.solve, (a, b), (da, db), allow_int=True)
    np.testing.assert_allclose(dy, la.solve(a, db - da @ y), rtol=1e-9)
    _, pull = wg.vjp(la.solve, a, b, allow_int=True)
    ga, gb = pull(np.conjugate(y))
    left = la.solve(a.T, np.conjugate(y))
    np.testing.assert_allclose(gb, left, rtol=1e-9)
    np.testing.assert_allclose(ga, -np.outer(left, y), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("n", [3, 40])
def test_one_matrix_and_many_right_hand_sides(n: int) -> None:
    a, b = well(n, n), normal(5, n, 2, seed=4)
    np.testing.assert_allclose(wg.vmap(la.solve, (None, 0))(a, b), la.solve(a, b), rtol=1e-9)
    many = np.stack([a, 2 * a])
    np.testing.assert_allclose(
        wg.vmap(la.solve, (0, None))(many, b[0]), la.solve(many, b[0]), rtol=1e-9
    )
    jac = wg.jacobian(lambda b: la.solve(a, b))(b[0, :, 0])
    np.testing.assert_allclose(jac, la.inv(a), rtol=1e-8, atol=1e-12)
    y, pull = wg.vjp(lambda a: la.solve(a, b), a)
    expected = sum(-la.solve(a.T, np.ones((n, 2))) @ x.T for x in la.solve(a, b))
    np.testing.assert_allclose(pull(np.ones_like(y))[0], expected, rtol=1e-8)


def test_a_product_of_many_matrices() -> None:
    xs = [vec(3), normal(3, 4), normal(4, 2), normal(2, 5)]
    ts = [normal(*x.shape, seed=8) for x in xs]
    y, dy = wg.jvp(lambda *xs: la.multi_dot(xs), tuple(xs), tuple(ts))
    np.testing.assert_allclose(y, la.multi_dot(xs), rtol=1e-12)
    parts = [la.multi_dot([*xs[:i], t, *xs[i + 1 :]]) for i, t in enumerate(ts)]
    np.testing.assert_allclose(dy, sum(parts), rtol=1e-11)


def test_powers_that_are_constant_or_trivial() -> None:
    a = well(3, 3)
    np.testing.assert_array_equal(wg.grad(lambda a: np.sum(la.matrix_power(a, 1)))(a), 1)
    np.testing.assert_array_equal(
        wg.grad(lambda a: np.sum(la.matrix_power(a, 0) * a))(a), np.eye(3)
    )


def test_integers_become_floats() -> None:
    b = np.array([3.0, 4.0])
    whole = np.array([[2, 1], [1, 3]])
    np.testing.assert_allclose(wg.jacobian(lambda b: la.solve(whole, b))(b), la.inv(whole))


def test_least_squares_without_full_rank() -> None:
    a = np.stack([normal(4, 2), np.ones((4, 2))])
    x, residuals, rank, s = wg.vmap(lambda a: la.lstsq(a, vec(4)))(a)
    np.testing.assert_allclose(x[1], la.lstsq(a[1], vec(4))[0], rtol=1e-12)
    np.testing.assert_allclose(residuals[0], la.lstsq(a[0], vec(4))[1], rtol=1e-12)
    np.testing.assert_array_equal(rank, [2, 1])
    assert np.isnan(residuals[1]).all()
    assert s.shape == (2, 2)
    _, dy = wg.jvp(lambda b: la.lstsq(a[1], b), (vec(4),), (vec(4),))
    assert dy[1].shape == (0,)


# --- refusals -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "shape", "error", "words"),
    [
        (la.svd, (3, 2), UnsupportedError, "full_matrices=False"),
        (lambda a: la.svd(a, hermitian=True), (2, 2), UnsupportedError, "eigh"),
        (lambda a: la.pinv(a, hermitian=True), (2, 2), UnsupportedError, "hermitian"),
        (lambda a: la.qr(a, "complete"), (3, 2), UnsupportedError, "mode='reduced'"),
        (lambda a: la.qr(a, "raw"), (3, 2), UnsupportedError, "mode='reduced'"),
        (la.inv, (3, 2), la.LinAlgError, "square"),
        (la.det, (3,), la.LinAlgError, "two-dimensional"),
        (la.cholesky, (3, 2), la.LinAlgError, "square"),
        (lambda a: la.solve(a, np.ones(3)), (2, 2), ShapeError, "do not fit"),
        (lambda a: la.norm(a, "wrong"), (2, 2), ValueError, "wrong"),
        (lambda a: la.eigh(a, "X"), (2, 2), ValueError, "UPLO"),
        (lambda a: la.inv(0 * a), (2, 2), la.LinAlgError, "Singular"),
        (lambda a: la.solve(0 * a, np.ones(40)), (40, 40), la.LinAlgError, "Singular"),
    ],
)
def test_refusals_say_what_is_wrong(f: Any, shape: Any, error: Any, words: str) -> None:
    with pytest.raises(error, match=words):
        wg.vjp(f, np.ones(shape), allow_int=True)


# --- the rows -------------------------------------------------------------------------------------
ROWS = [
    ("inv", (4, 4), {}), ("det", (4, 4), {}), ("slogdet", (4, 4), {}), ("adjugate", (4, 4), {}),
    ("cholesky", (4, 4), {"lower": True}), ("eigh", (4, 4), {"lower": True}), ("eig", (4, 4), {}),
    ("svd", (5, 3), {}), ("svd", (3, 5), {}), ("qr", (5, 3), {}), ("pinv", (5, 3), {"rtol": None}),
    ("lu_factor", (4, 4), {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "tail", "attrs"), ROWS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_rows_state_shapes_dtypes_and_counts(name: str, tail: Any, attrs: Any, dtype: Any) -> None:
    op = TABLE[name]
    x = (definite if tail == (4, 4) else normal)(2, *tail, dtype=dtype)
    more = (np.linalg.det(x),) if name == "adjugate" else ()
    found, stated = op(x, *more, **attrs), op.infer(x, *more, **attrs)
    pairs = zip(found, stated, strict=True) if type(found) is tuple else [(found, stated)]
    for y, aval in pairs:
        assert (y.shape, y.dtype) == (aval.shape, aval.dtype)
    assert op.flops(stated, x, **attrs) == 2 * op.flops(op.infer(x[0], **attrs), x[0], **attrs) > 0


@pytest.mark.parametrize("name", ["inv", "det", "eigh", "svd"])
def test_patterns_hold_the_jacobian(name: str) -> None:
    op, x = TABLE[name], definite(2, 3, 3)
    attrs = {"lower": True} if name == "eigh" else {}
    stated = op.infer(x, **attrs)
    single = type(stated) is not tuple
    for k, aval in enumerate([stated] if single else stated[:-1]):  # not of a frame
        jac = wg.jacobian(lambda x, k=k: op(x, **attrs) if single else op(x, **attrs)[k])(x)
        pattern = np.zeros((aval.size, x.size), bool)
        rows, columns = op.pattern(0, stated, x) if single else op.pattern(0, stated, x)[k]
        pattern[rows, columns] = True
        assert not jac.reshape(pattern.shape)[~pattern].any()
        assert pattern.sum() == aval.size * x.size // 2


# --- peers ----------------------------------------------------------------------------------------
def hermitian(xp: Any, a: Any) -> Any:
    """Make a matrix Hermitian: JAX does so in its factorisations, NumPy reads one triangle."""
    return (a + xp.conj(xp.swapaxes(a, -1, -2))) / 2


PEERS: dict[str, tuple[Callable[..., Any], Callable[..., Any], tuple[int, int]]] = {
    "inv": (lambda xp, a: xp.linalg.inv(a), well, (3, 3)),
    "solve": (lambda xp, a: xp.linalg.solve(a, xp.cos(a)), well, (3, 3)),
    "det of rank 3": (
        lambda xp, a: xp.linalg.det(a),
        lambda *n, dtype: of_rank(3, 4, dtype),
        (4, 4),
    ),
    "slogdet": (lambda xp, a: xp.linalg.slogdet(a)[1], well, (3, 3)),
    "slogdet sign": (lambda xp, a: xp.linalg.slogdet(a)[0], well, (3, 3)),
    "cholesky": (lambda xp, a: xp.linalg.cholesky(hermitian(xp, a)), definite, (4, 4)),
    "eigh values": (lambda xp, a: xp.linalg.eigh(hermitian(xp, a))[0], definite, (4, 4)),
    "eigh vectors": (
        lambda xp, a: abs(xp.linalg.eigh(hermitian(xp, a))[1]) ** 2,
        definite,
        (4, 4),
    ),
    "eigvalsh of repeated": (
        lambda xp, a: xp.sum(xp.linalg.eigvalsh(hermitian(xp, a)) ** 3),
        lambda *n, dtype: repeated(dtype),
        (4, 4),
    ),
    "svd": (lambda xp, a: abs(xp.linalg.svd(a, full_matrices=False)[0]) ** 2, normal, (4, 3)),
    "svd wide": (lambda xp, a: abs(xp.linalg.svd(a, full_matrices=False)[2]) ** 2, normal, (3, 5)),
    "svd values": (lambda xp, a: xp.linalg.svd(a, compute_uv=False), normal, (3, 5)),
    "qr": (lambda xp, a: abs(xp.linalg.qr(a)[0]) ** 2, normal, (4, 3)),
    "qr R": (lambda xp, a: abs(xp.linalg.qr(a)[1]) ** 2, normal, (4, 3)),
    "pinv": (lambda xp, a: xp.linalg.pinv(a), normal, (4, 3)),
    "eigvals": (lambda xp, a: xp.sum(xp.abs(xp.linalg.eigvals(a)) ** 2), well, (3, 3)),
    "norm": (lambda xp, a: xp.linalg.norm(a), normal, (3, 4)),
    "norm 3": (lambda xp, a: xp.linalg.norm(a, 3, axis=-1), normal, (3, 4)),
    "norm nuc": (lambda xp, a: xp.linalg.norm(a, "nuc"), normal, (3, 4)),
    "norm 1": (lambda xp, a: xp.linalg.norm(a, 1), normal, (3, 4)),
    "cond": (lambda xp, a: xp.linalg.cond(a), well, (3, 3)),
    "matrix_power": (lambda xp, a: xp.linalg.matrix_power(a, -3), well, (3, 3)),
}


@pytest.mark.peers
@pytest.mark.parametrize("name", PEERS)
@kind
def test_against_jax(name: str, dtype: Any) -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    f, make, tail = PEERS[name]
    x = make(*tail, dtype=dtype)
    t = direction(x)
    y, dy = wg.jvp(lambda x: f(np, x), (x,), (t,))
    ct = normal(*np.shape(y), dtype=y.dtype, seed=5)
    (g,) = wg.vjp(lambda x: f(np, x), x)[1](ct)
    with jax.enable_x64(True):
        expected, dexpected = jax.jvp(lambda x: f(jax.numpy, x), (x,), (t,))
        (gexpected,) = jax.vjp(lambda x: f(jax.numpy, x), x)[1](jax.numpy.asarray(ct))
    np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(dy, dexpected, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(g, gexpected, rtol=1e-8, atol=1e-8)
