"""Directions that several axes share: as many as second derivatives need, with the same results."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.analysis.cost import count_function as count
from wengert.errors import DenseTooLargeError
from wengert.taylor.directions import separated
from wengert.taylor.functions import EAGER

RNG = np.random.default_rng(8)
W = RNG.standard_normal((4, 4))
PLACES = RNG.permutation(24)


def rosenbrock(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def laplace_energy(x):
    u = x.reshape(4, 6)
    return np.sum((u[1:] - u[:-1]) ** 4) + np.sum((u[:, 1:] - u[:, :-1]) ** 4)


@wg.custom_jvp
def with_a_rule(x):
    return x**2


with_a_rule.defjvp(lambda p, t: (p[0] ** 2, 2 * p[0] * t[0]))

# of 24 numbers: the function, and how many directions it takes
CASES = {
    "separable": (lambda x: np.sum(np.sin(x) * x), 1),
    "linear": (lambda x: np.sum(x), 1),
    "a chain": (rosenbrock, 2),
    "a grid": (laplace_energy, 2),
    "pairs": (lambda x: np.sum(np.sin(x[:12] * x[12:])), 2),
    "triples": (lambda x: np.sum(np.prod(x.reshape(8, 3), axis=1)), 3),
    "rows": (lambda x: np.sum(np.tanh(x.reshape(6, 4) @ W), axis=1), 4),
    "permuted": (lambda x: np.sum(x[PLACES] ** 3 * x), None),
    "everything": (lambda x: np.prod(np.cos(x)), 24),
    "by a sum": (lambda x: np.sum(x) ** 3, 24),
    "several results": (lambda x: {"a": np.sum(x**3), "b": (x * np.roll(x, 1))[:5]}, None),
    "a decision": (lambda x: np.sum(x**3) if x[0] > 0 else np.sum(x**4), 24),
    "its own rule": (lambda x: np.sum(with_a_rule(x)), None),
    "sorted": (lambda x: np.sum(np.sort(x) ** 3 * np.arange(24)), None),
}
every_case = pytest.mark.parametrize("name", list(CASES))
X = RNG.standard_normal(24)


def parts(y):
    return list(y.values()) if isinstance(y, dict) else [y]


@every_case
def test_how_many(name):
    f, number = CASES[name]
    found = separated(lambda x: parts(f(x)), [X])
    assert number is None or found.number == number
    assert found.colours.shape == (24,)
    assert set(found.colours.tolist()) == set(range(found.number))


@every_case
def test_the_result_is_that_along_all_axes(name):
    f, _ = CASES[name]
    for made in (wg.laplacian, wg.hessian_diagonal):
        expected = made(f)(X)  # computed at once, along each axis
        got = wg.jit(made(f))(X)
        for a, b in zip(*map(parts, (got, expected)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_many_inputs():
    n = 50_000
    x = np.linspace(-1.0, 1.0, n)
    lap, diagonal = wg.laplacian(rosenbrock), wg.hessian_diagonal(rosenbrock)
    exact = np.zeros(n)
    exact[:-1] = 1200 * x[:-1] ** 2 - 400 * x[1:] + 2
    exact[1:] += 200
    for _ in range(2):
        np.testing.assert_allclose(lap(x), np.sum(exact), rtol=1e-12)
        np.testing.assert_allclose(diagonal(x), exact, rtol=1e-12)
    assert count(lap, x).flops < 40 * n


def test_what_changes_between_calls():
    x, w = np.linspace(0.0, 1.0, EAGER + 8), np.ones(EAGER + 8)
    lap = wg.laplacian(lambda x: np.sum(w * x**2) if x[0] >= 0 else np.sum(x) ** 2)
    assert lap(x) == 2 * x.size
    w[:] = 3
    assert lap(x) == lap(x) == 6 * x.size
    np.testing.assert_allclose(lap(-1 - x), 2 * x.size)


def test_within_a_derivative():
    x = np.linspace(0.0, 1.0, EAGER + 8)

    def f(a):
        return wg.laplacian(lambda x: a * np.sum(x**4))(x)

    np.testing.assert_allclose(wg.grad(f)(2.0), 12 * np.sum(x**2))
    np.testing.assert_allclose(wg.jit(wg.grad(f))(2.0), 12 * np.sum(x**2))
    expected = 12 * np.sum(x**2) * np.array([1.0, 2.0])
    np.testing.assert_allclose(wg.vmap(f)(np.array([1.0, 2.0])), expected)


def test_too_many_directions_are_refused():
    x = np.full(30_000, 1e-3)

    def f(x):
        return np.sum(x) ** 2

    with pytest.raises(DenseTooLargeError, match="chunk_size=64"):
        wg.laplacian(f)(x)
    part = x[:2000]
    np.testing.assert_allclose(wg.laplacian(f, chunk_size=500)(part), 2 * part.size)
    np.testing.assert_allclose(wg.hessian_diagonal(f, chunk_size=500)(part), 2)
