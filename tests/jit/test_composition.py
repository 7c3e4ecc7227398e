"""`jit` around and inside other transformations, recursion and methods."""

from __future__ import annotations

import numpy as np
import optree
import pytest
from jit_use import A, B, assert_same

import wengert as wg


def energy(x):
    return np.sum(np.sin(x) * x**2) if x[0] > 0 else np.sum(np.exp(x))


def inner(x):
    return np.tanh(x) * 2


def compositions():
    """Return pairs of functions that agree; made where the backend is known."""
    return {
        "jit of jit": (wg.jit(lambda x: wg.jit(inner)(x) + 1), lambda x: inner(x) + 1),
        "grad of jit": (wg.grad(wg.jit(energy)), wg.grad(energy)),
        "jit of grad": (wg.jit(wg.grad(energy)), wg.grad(energy)),
        "jit of grad of jit": (wg.jit(wg.grad(wg.jit(energy))), wg.grad(energy)),
        "value and grad": (wg.jit(wg.value_and_grad(energy)), wg.value_and_grad(energy)),
        "hessian": (wg.jit(wg.hessian(energy)), wg.hessian(energy)),
        "hessian of jit": (wg.hessian(wg.jit(energy)), wg.hessian(energy)),
        "jacfwd": (wg.jit(wg.jacfwd(inner)), wg.jacfwd(inner)),
        "jacrev": (wg.jit(wg.jacrev(inner)), wg.jacrev(inner)),
        "jvp": (wg.jit(lambda x: wg.jvp(inner, (x,), (x,))), lambda x: wg.jvp(inner, (x,), (x,))),
        "hvp": (wg.jit(lambda x: wg.hvp(energy, (x,), (x,))), lambda x: wg.hvp(energy, (x,), (x,))),
        "vmap of jit": (wg.vmap(wg.jit(inner)), wg.vmap(inner)),
        "jit of vmap of grad": (
            wg.jit(wg.vmap(wg.grad(lambda t: np.sin(t) * t))),
            lambda x: np.cos(x) * x + np.sin(x),
        ),
        "third derivative": (
            wg.jit(wg.vmap(wg.grad(wg.grad(wg.jit(wg.grad(np.sin)))))),
            lambda x: -np.cos(x),
        ),
        "linearize": (
            wg.jit(lambda x: wg.linearize(inner, x)[1](x)),
            lambda x: x * 2 / np.cosh(x) ** 2,
        ),
        "checkpoint": (wg.jit(wg.grad(wg.checkpoint(energy))), wg.grad(energy)),
    }


@pytest.mark.parametrize("name", compositions())
def test_composition(name):
    composed, expected = compositions()[name]
    for x in (A, A + 1, -A, A):
        got, want = composed(x), expected(x)
        for g, w in zip(optree.tree_leaves(got), optree.tree_leaves(want), strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-12, atol=1e-14)


def test_a_jitted_function_that_closes_over_a_traced_value():
    def f(t):
        scaled = wg.jit(lambda x: np.sum(x * t))
        return scaled(A) + scaled(B)

    assert wg.grad(f)(2.0) == pytest.approx(np.sum(A + B))
    assert wg.jit(wg.grad(f))(2.0) == pytest.approx(np.sum(A + B))
    np.testing.assert_allclose(wg.vmap(f)(np.array([1.0, 2.0])), np.sum(A + B) * np.array([1, 2]))


def test_recursion():
    @wg.jit
    def power(x, n):
        return x * power(x, n - 1) if n > 0 else x * 0 + 1

    assert_same(power(A, 5), A**0 * A * A * A * A * A)
    assert power.cache_info().traces == 1


def test_methods():
    class Model:
        def __init__(self, scale):
            self.scale = scale

        @wg.jit
        def apply(self, x):
            """Scale."""
            return x * self.scale if x[0] > 0 else x

        @staticmethod
        @wg.jit
        def fixed(x):
            return x + 1

    one, two = Model(2.0), Model(3.0)
    for _ in range(2):
        assert_same(one.apply(A), A * 2)
        assert_same(two.apply(A), A * 3)
        assert_same(Model.apply(one, B), B)
        assert_same(Model.fixed(A), A + 1)
    assert one.apply.cache_info().traces == 3
    assert one.apply.plan(A).flops == 4
    assert one.apply.__doc__ == "Scale."
    assert_same(wg.grad(lambda x: np.sum(one.apply(x)))(A), np.full(3, 2.0))
