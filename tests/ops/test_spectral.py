"""Second derivatives of symmetric functions of eigenvalues and singular values, repeated or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.linalg as la
import pytest

import wengert as wg


class Function(NamedTuple):
    """A sum of one function of each value, and that function's derivatives."""

    f: Callable[..., Any]
    first: Callable[..., Any]
    second: Callable[..., Any]


FUNCTIONS = {
    "sum": Function(np.sum, np.ones_like, np.zeros_like),
    "squares": Function(lambda w: np.sum(w**2), lambda w: 2 * w, lambda w: 2 + 0 * w),
    "exponentials": Function(lambda w: np.sum(np.exp(w)), np.exp, np.exp),
    "logarithms": Function(lambda w: np.sum(np.log(w)), lambda w: 1 / w, lambda w: -1 / w**2),
}
VALUES: dict[str, list[float]] = {
    "all equal": [2.0, 2.0, 2.0],
    "the first pair": [1.0, 1.0, 3.0],
    "the last pair": [1.0, 3.0, 3.0],
    "two pairs": [0.5, 0.5, 2.0, 2.0],
    "three of five": [1.0, 2.0, 2.0, 2.0, 4.0],
    "distinct": [1.0, 2.0, 4.0],
    "one": [1.5],
}
KINDS = pytest.mark.parametrize("dtype", [float, complex], ids=["real", "complex"])
rng = np.random.default_rng(5)


def normal(*shape: int, dtype: Any = float) -> Any:
    x = rng.normal(size=shape)
    return x + 1j * rng.normal(size=shape) if dtype is complex else x


def conj_t(x: Any) -> Any:
    return np.conjugate(np.swapaxes(x, -1, -2))


def hermitian(values: list[float], dtype: Any) -> Any:
    n = len(values)
    q, _ = la.qr(normal(n, n, dtype=dtype))
    a = (q * np.array(values)) @ conj_t(q)
    return (a + conj_t(a)) / 2


def general(m: int, n: int, values: list[float], dtype: Any) -> Any:
    u, _, vh = la.svd(normal(m, n, dtype=dtype), full_matrices=False)
    return (u * np.array(values)) @ vh


def read(t: Any) -> Any:
    """Return the Hermitian matrix of which NumPy reads the lower triangle."""
    low = np.tril(t, -1)
    return low + conj_t(low) + np.diag(np.real(np.diag(t)))


def daleckii_krein(a: Any, t: Any, s: Any, first: Any, second: Any) -> float:
    """Return the second derivative of tr f(a), with exact quotients at repeated eigenvalues."""
    w, v = la.eigh(a)
    gap = w[:, None] - w
    same = np.abs(gap) < 1e-9
    g = first(w)
    middle = second((w[:, None] + w) / 2)
    quotient = np.where(same, middle, (g[:, None] - g) / np.where(same, 1, gap))
    c, d = conj_t(v) @ t @ v, conj_t(v) @ s @ v
    return float(np.real(np.sum(quotient * c * d.T)))


def dilated(x: Any) -> Any:
    """Return the Hermitian matrix whose eigenvalues are the singular values with both signs."""
    m, n = x.shape
    return np.block([[np.zeros((m, m)), x], [conj_t(x), np.zeros((n, n))]])


def pairing(ct: Any, t: Any) -> float:
    return float(np.real(np.sum(np.asarray(ct) * np.asarray(t))))


WAYS: dict[str, Callable[..., Any]] = {
    "hvp": lambda f, a, t, s: pairing(wg.hvp(f, (a,), (t,)), s),
    "forward over forward": lambda f, a, t, s: wg.jvp(
        lambda a: wg.jvp(f, (a,), (t,))[1], (a,), (s,)
    )[1],
    "reverse over forward": lambda f, a, t, s: pairing(
        wg.grad(lambda a: wg.jvp(f, (a,), (t,))[1])(a), s
    ),
    "reverse over reverse": lambda f, a, t, s: pairing(
        wg.grad(lambda a: np.real(np.sum(wg.grad(f)(a) * t)))(a), s
    ),
    "linearised reverse": lambda f, a, t, s: pairing(wg.linearize(wg.grad(f), a)[1](t), s),
    "compiled": lambda f, a, t, s: pairing(wg.jit(lambda a, t: wg.hvp(f, (a,), (t,)))(a, t), s),
    "compiled, reverse over reverse": lambda f, a, t, s: pairing(
        wg.jit(wg.grad(lambda a: np.real(np.sum(wg.grad(f)(a) * t))))(a), s
    ),
    "of a batch": lambda f, a, t, s: pairing(
        wg.vmap(lambda a, t: wg.hvp(f, (a,), (t,)))(np.stack([a, 2 * a]), np.stack([t, s]))[0], s
    ),
    "of a sum over a batch": lambda f, a, t, s: pairing(
        wg.hvp(lambda x: f(x[0]) + f(x[1]), (np.stack([2 * a, a]),), (np.stack([s, t]),))[1], s
    ),
}
MATRICES: dict[str, Callable[..., Any]] = {
    "hessian": wg.hessian,
    "jacrev of grad": lambda f: wg.jacrev(wg.grad(f)),
    "jacfwd of grad": lambda f: wg.jacfwd(wg.grad(f)),
    "compiled": lambda f: wg.jit(wg.hessian(f)),
    "of a batch": lambda f: lambda a: wg.vmap(wg.hessian(f))(np.stack([2 * a, a]))[1],
}


@pytest.mark.share(4)
@KINDS
@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_of_functions_of_eigenvalues(name: str, values: str, dtype: Any) -> None:
    f, first, second = FUNCTIONS[name]
    a = hermitian(VALUES[values], dtype)
    t, s = (normal(*a.shape, dtype=dtype) for _ in range(2))
    want = daleckii_krein(a, read(t), read(s), first, second)

    def loss(a: Any) -> Any:
        return f(la.eigvalsh(a))

    for way, derivative in WAYS.items():
        assert derivative(loss, a, t, s) == pytest.approx(want, rel=1e-10, abs=1e-10), way
    for way, matrix in MATRICES.items() if dtype is float and name == "exponentials" else ():
        got = np.einsum("ijkl,ij,kl", matrix(loss)(a), t, s)
        assert got == pytest.approx(want, rel=1e-10, abs=1e-10), way


@pytest.mark.share(4)
@KINDS
@pytest.mark.parametrize("shape", [(0, 0), (2, 0), (0, 1)], ids=["square", "tall", "wide"])
@pytest.mark.parametrize("values", ["all equal", "the first pair", "two pairs", "one"])
@pytest.mark.parametrize("name", ["sum", "exponentials"])
def test_second_derivatives_of_functions_of_singular_values(
    name: str, values: str, shape: tuple[int, int], dtype: Any
) -> None:
    f, first, second = FUNCTIONS[name]
    k = len(VALUES[values])
    a = general(k + shape[0], k + shape[1], VALUES[values][::-1], dtype)
    t, s = (normal(*a.shape, dtype=dtype) for _ in range(2))

    def odd(w: Any) -> Any:
        size = np.abs(w)
        return np.where(size < 1e-9, 0, np.sign(w) * first(np.where(size < 1e-9, 1, size)))

    def even(w: Any) -> Any:
        return second(np.where(np.abs(w) < 1e-9, 1, np.abs(w)))

    want = 0.5 * daleckii_krein(dilated(a), dilated(t), dilated(s), odd, even)

    def loss(a: Any) -> Any:
        return f(la.svdvals(a))

    for way, derivative in WAYS.items():
        assert derivative(loss, a, t, s) == pytest.approx(want, rel=1e-10, abs=1e-9), way
    for way, matrix in (
        MATRICES.items() if (dtype, name, shape) == (float, "exponentials", (0, 0)) else ()
    ):
        got = np.einsum("ijkl,ij,kl", matrix(loss)(a), t, s)
        assert got == pytest.approx(want, rel=1e-10, abs=1e-9), way


MIXED: dict[str, Callable[..., Any]] = {
    "reverse over linearised": lambda f, a, t, s: pairing(
        wg.grad(lambda a: wg.linearize(f, a)[1](t))(a), s
    ),
    "forward over linearised": lambda f, a, t, s: wg.jvp(
        lambda a: wg.linearize(f, a)[1](t), (a,), (s,)
    )[1],
    "linearised twice": lambda f, a, t, s: wg.linearize(lambda a: wg.linearize(f, a)[1](t), a)[1](
        s
    ),
    "linearised forward": lambda f, a, t, s: wg.linearize(lambda a: wg.jvp(f, (a,), (t,))[1], a)[1](
        s
    ),
    "forward over jacfwd": lambda f, a, t, s: np.sum(wg.jvp(wg.jacfwd(f), (a,), (s,))[1] * t),
    "reverse over jacfwd": lambda f, a, t, s: pairing(
        wg.grad(lambda a: np.sum(wg.jacfwd(f)(a) * t))(a), s
    ),
    "jacfwd twice": lambda f, a, t, s: np.einsum("ijkl,ij,kl", wg.jacfwd(wg.jacfwd(f))(a), t, s),
    "jacrev over jacfwd": lambda f, a, t, s: np.einsum(
        "ijkl,ij,kl", wg.jacrev(wg.jacfwd(f))(a), t, s
    ),
    "forward over a batch of directions": lambda f, a, t, s: wg.jvp(
        lambda a: wg.vmap(lambda t: wg.jvp(f, (a,), (t,))[1])(np.stack([s, t]))[1], (a,), (s,)
    )[1],
    "reverse over a batch of directions": lambda f, a, t, s: pairing(
        wg.grad(lambda a: wg.vmap(lambda t: wg.jvp(f, (a,), (t,))[1])(np.stack([s, t]))[1])(a), s
    ),
}
RIGHT = {"reverse over linearised", "linearised forward"}


@pytest.mark.parametrize("values", VALUES)
@pytest.mark.parametrize("name", ["sum", "squares", "logarithms"])
@pytest.mark.parametrize("way", MIXED)
def test_other_orders_are_right_or_nan(way: str, name: str, values: str) -> None:
    """Where frames of two directions disagree, nothing finite comes out."""
    f, first, second = FUNCTIONS[name]
    a = hermitian(VALUES[values], float)
    t, s = normal(*a.shape), normal(*a.shape)
    want = daleckii_krein(a, read(t), read(s), first, second)
    got = MIXED[way](lambda a: f(la.eigvalsh(a)), a, t, s)
    if way in RIGHT or values in ("distinct", "one"):
        assert got == pytest.approx(want, rel=1e-10, abs=1e-10)
    else:
        assert np.isnan(got) or got == pytest.approx(want, rel=1e-10, abs=1e-10)


def test_the_hessian_of_the_sum_of_squares_is_twice_the_identity() -> None:
    of_triangle = np.diag([2.0, 0.0, 4.0, 2.0])  # an entry below the diagonal stands for two
    for a in (np.eye(2), np.zeros((2, 2)), -3 * np.eye(2)):
        h = wg.hessian(lambda a: np.sum(la.eigvalsh(a) ** 2))(a)
        np.testing.assert_allclose(h.reshape(4, 4), of_triangle, atol=1e-14)
    for a in (np.eye(2), np.diag([1.0, 0.0])):
        h = wg.hessian(lambda a: np.sum(la.svdvals(a) ** 2))(a)
        np.testing.assert_allclose(h.reshape(4, 4), 2 * np.eye(4), atol=1e-14)


@KINDS
def test_functions_that_mix_the_values(dtype: Any) -> None:
    """Products of sums have derivatives across the values as well."""
    a = hermitian([1.0, 1.0, 3.0, 3.0], dtype)
    t, s = (normal(4, 4, dtype=dtype) for _ in range(2))

    def of_matrix(a: Any) -> Any:
        a = np.tril(a) + conj_t(np.tril(a, -1))
        return np.real(np.trace(a)) * np.real(np.trace(a @ a @ a)) + np.real(np.trace(a @ a)) ** 2

    def of_values(a: Any) -> Any:
        w = la.eigvalsh(a)
        return np.sum(w) * np.sum(w**3) + np.sum(w**2) ** 2

    t, s = read(t), read(s)
    want = pairing(wg.hvp(of_matrix, (a,), (t,)), s)
    for way, derivative in WAYS.items():
        assert derivative(of_values, a, t, s) == pytest.approx(want, rel=1e-11), way


@pytest.mark.parametrize("gap", [1e-17, 1e-16, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6])
def test_values_that_are_close(gap: float) -> None:
    """The error of a quotient is the rounding of the values over their gap."""
    a = hermitian([1.0, 1.0 + gap, 2.0], float)
    t = normal(3, 3)
    want = 3 * (a @ read(t) + read(t) @ a)
    want = np.tril(want) + np.tril(want, -1)

    def loss(a: Any) -> Any:
        return np.sum(la.eigvalsh(a) ** 3)

    bound = 1e-12 + (1e-14 / gap if gap > 1e-15 else 0)
    for got in (wg.hvp(loss, (a,), (t,)), wg.grad(lambda a: np.sum(wg.grad(loss)(a) * t))(a)):
        assert np.max(np.abs(got - want)) < bound * 10


def test_norms_determinants_and_pseudoinverses_of_repeated_values() -> None:
    a = general(3, 3, [2.0, 2.0, 2.0], float)
    t, s = normal(3, 3), normal(3, 3)
    inverse = la.inv(a)

    def check(f: Any, want: float) -> None:
        for way, derivative in WAYS.items():
            assert derivative(f, a, t, s) == pytest.approx(want, rel=1e-9, abs=1e-9), way

    e = (a.T @ t - t.T @ a) / 4  # the nuclear norm's: the skew part of U^H t V, over s
    h = (a.T @ s - s.T @ a) / 4
    check(lambda a: la.norm(a, "nuc"), float(np.sum(e * h)) / 2)
    check(lambda a: la.slogdet(a)[1], -float(np.trace(inverse @ t @ inverse @ s)))
    check(lambda a: np.sum(np.log(la.svdvals(a))), -float(np.trace(inverse @ t @ inverse @ s)))
    check(lambda a: la.norm(a) ** 2, 2 * float(np.sum(t * s)))
    both = inverse @ t @ inverse @ s @ inverse + inverse @ s @ inverse @ t @ inverse
    check(lambda a: np.sum(la.pinv(a)), float(np.sum(both)))


def test_what_has_no_derivative_is_nan() -> None:
    one = np.eye(3)
    t = normal(3, 3)
    for f in (
        lambda a: la.eigvalsh(a)[0],
        lambda a: la.eigvalsh(a) @ np.arange(3.0),
        lambda a: np.sum(la.eigh(a)[1] ** 4),
    ):
        assert np.isnan(wg.hvp(f, (one,), (t,))).any()
        assert np.isnan(wg.hessian(f)(one)).any()
        assert np.isnan(wg.grad(lambda a, f=f: np.sum(wg.grad(f)(a) * t))(one)).any()

    def third(a: Any) -> Any:
        return wg.hvp(lambda a: np.sum(la.eigvalsh(a) ** 3), (a,), (t,))

    assert np.isnan(wg.jvp(third, (one,), (t,))[1]).any()
    assert np.isnan(wg.grad(lambda a: np.sum(third(a)))(one)).any()


def test_third_derivatives_of_distinct_values() -> None:
    a = hermitian([1.0, 2.0, 4.0], float)
    t, s = read(normal(3, 3)), read(normal(3, 3))
    want = 3 * (t @ s + s @ t)
    want = np.tril(want) + np.tril(want, -1)

    def along(a: Any) -> Any:
        return wg.hvp(lambda a: np.sum(la.eigvalsh(a) ** 3), (a,), (t,))

    np.testing.assert_allclose(wg.jvp(along, (a,), (s,))[1], want, atol=1e-10)
    np.testing.assert_allclose(wg.grad(lambda a: np.sum(along(a) * s))(a), want, atol=1e-10)
    cubes = wg.hvp(
        lambda a: wg.hvp(lambda a: np.sum(la.svdvals(a) ** 4), (a,), (t,))[0, 1], (a,), (s,)
    )
    wanted = wg.hvp(
        lambda a: wg.hvp(lambda a: np.sum((a.T @ a) ** 2), (a,), (t,))[0, 1], (a,), (s,)
    )
    np.testing.assert_allclose(cubes, wanted, atol=1e-9)


def test_forward_mode_gives_the_derivative_along_a_line() -> None:
    """Each of repeated eigenvalues has one, though no gradient."""
    t = read(normal(3, 3))
    w, dw = wg.jvp(la.eigvalsh, (np.eye(3),), (t,))
    np.testing.assert_array_equal(w, np.ones(3))
    np.testing.assert_allclose(dw, la.eigvalsh(t), atol=1e-14)


def test_vectors_are_those_of_numpy_in_every_mode() -> None:
    a, t = np.eye(3), normal(3, 3)
    for f in (la.eigh, la.svd):
        want = f(a)
        for got in (
            wg.jvp(lambda a, f=f: f(a), (a,), (t,))[0],
            wg.vjp(lambda a, f=f: f(a), a)[0],
            wg.jit(lambda a, t, f=f: wg.jvp(f, (a,), (t,))[0])(a, t),
        ):
            for x, y in zip(got, want, strict=True):
                np.testing.assert_array_equal(x, y)


def test_empty_matrices() -> None:
    assert wg.hessian(lambda a: np.sum(la.eigvalsh(a) ** 2))(np.zeros((0, 0))).shape == (0,) * 4
    assert wg.hessian(lambda a: np.sum(la.eigvalsh(a)))(np.zeros((0, 2, 2))).shape == (0, 2, 2) * 2
    assert wg.hvp(lambda a: np.sum(la.svdvals(a) ** 2), (np.zeros((0, 3)),), (np.zeros((0, 3)),)
                  ).shape == (0, 3)  # fmt: skip
