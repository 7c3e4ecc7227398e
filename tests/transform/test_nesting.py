"""Derivatives inside derivatives: no perturbation is taken for another one."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg


def identity(f):
    return f


def forward(f):
    """Derivative of a function of one number, in forward mode."""
    return lambda x: wg.jvp(f, (x,), (1.0,))[1]


def reverse(f):
    return wg.grad(f)


def pullback(f):
    return lambda x: wg.vjp(f, x)[1](1.0)[0]


def pushforward(f):
    return lambda x: wg.linearize(f, x)[1](1.0)


MODES = [forward, reverse, pullback, pushforward]
pairs = [
    pytest.mark.parametrize("d1", MODES, ids=lambda m: m.__name__),
    pytest.mark.parametrize("d2", MODES, ids=lambda m: m.__name__),
]


def over_pairs(test):
    for mark in pairs:
        test = mark(test)
    return test


# --- perturbation confusion ----------------------------------------------------------------------
@over_pairs
def test_siskind_and_pearlmutter_1(d1, d2):
    """Siskind and Pearlmutter, *Perturbation confusion and referential transparency* (2005), eq. 2:
    d/dx (x d/dy (x + y)) = 1, where confusing the two gives 2.
    """
    assert d1(lambda x: x * d2(lambda y: x + y)(1.0))(1.0) == 1


@over_pairs
def test_siskind_and_pearlmutter_2(d1, d2):
    """d/dx (x d/dy (x y)) at y = 2: x * x gives 2 x."""
    assert d1(lambda x: x * d2(lambda y: x * y)(2.0))(3.0) == 6


@over_pairs
def test_a_constant_inner_function(d1, d2):
    """Nothing of the outer variable may count as the inner one's."""
    assert d1(lambda x: x * d2(lambda y: x)(3.0))(5.0) == 0
    assert d1(lambda x: d2(lambda y: x * x)(3.0) + x)(5.0) == 1


@over_pairs
def test_inner_point_depends_on_the_outer_variable(d1, d2):
    """d/dx of 3 (2 x)^2 x, with the derivative of y^3 taken at y = 2 x."""
    got = d1(lambda x: x * d2(lambda y: y**3)(2 * x))(1.5)
    assert got == pytest.approx(3 * 12 * 1.5**2)


@over_pairs
def test_manzyuk_et_al_amazing_bug(d1, d2):
    """Manzyuk, Pearlmutter et al., *Perturbation confusion in forward automatic differentiation of
    higher-order functions* (2019), section 3: s(u)(f)(x) = f(x + u) shifts a function; its
    derivative for u at 0, applied twice to h, is h''.
    """

    def shift(u):
        return lambda f: lambda x: f(x + u)

    def shift_derivative(d):  # derivative at u = 0 of a function-valued function, by eta expansion
        return lambda f: lambda x: d(lambda u: shift(u)(f)(x))(0.0)

    twice = shift_derivative(d1)(shift_derivative(d2)(np.exp))
    assert twice(1.0) == pytest.approx(np.e)
    assert shift_derivative(d1)(shift_derivative(d2)(np.sin))(0.3) == pytest.approx(-np.sin(0.3))


@over_pairs
def test_closures_over_two_levels(d1, d2):
    def f(x):
        def g(y):
            def h(z):
                return x * y * z + np.sin(x * z)

            return d1(h)(y) * x

        return d2(g)(x * x)

    h = 1e-5

    def by_hand(x):  # h'(z) = x y + x cos(x z) at z = y; g(y) = x^2 y + x^2 cos(x y)
        return x**2 - x**3 * np.sin(x**3)

    expected = (by_hand(1.1 + h) - by_hand(1.1 - h)) / (2 * h)
    assert d1(f)(1.1) == pytest.approx(expected, rel=1e-8)
    assert d2(f)(1.1) == pytest.approx(expected, rel=1e-8)
    assert f(1.1) == pytest.approx(by_hand(1.1))


@pytest.mark.parametrize("d", MODES)
@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_higher_orders_of_one_mode(d, order):
    f = np.sin
    for _ in range(order):
        f = d(f)
    assert f(0.7) == pytest.approx(np.sin(0.7 + order * np.pi / 2), abs=1e-12)


def test_every_order_of_three_modes():
    for a in MODES:
        for b in MODES:
            for c in MODES:
                assert a(b(c(lambda x: x**4)))(2.0) == pytest.approx(48.0)


# --- combinations of transformations --------------------------------------------------------------
X = np.array([0.3, -0.8, 1.1])


def scalar(x):
    return np.sum(np.sin(x) * x[::-1]) + np.prod(x) * np.exp(x[0])


def vector(x):
    return np.stack([x[0] * x[1], np.sin(x[2]) * x[0], np.sum(x**3), np.tanh(x[1])])


def numeric_jacobian(f, x, h=1e-6):
    columns = [(f(x + s) - f(x - s)) / (2 * h) for s in h * np.eye(x.size)]
    return np.stack(columns, axis=-1)


HESSIANS = {
    "hessian": wg.hessian,
    "forward over reverse": lambda f: wg.jacfwd(wg.grad(f)),
    "reverse over reverse": lambda f: wg.jacrev(wg.grad(f)),
    "forward over forward": lambda f: wg.jacfwd(wg.jacfwd(f)),
    "reverse over forward": lambda f: wg.jacrev(wg.jacfwd(f)),
    "vmap of hvp": lambda f: lambda x: wg.vmap(lambda v: wg.hvp(f, (x,), (v,)))(np.eye(x.size)),
    "vmap of vjp of grad": lambda f: lambda x: wg.vmap(wg.vjp(wg.grad(f), x)[1])(np.eye(x.size))[0],
    "vmap of linearize": lambda f: (
        lambda x: wg.vmap(wg.linearize(wg.grad(f), x)[1])(np.eye(x.size))
    ),
    "loop of grad of directional": lambda f: (
        lambda x: np.stack(
            [wg.grad(lambda z, v=v: wg.jvp(f, (z,), (v,))[1])(x) for v in np.eye(x.size)]
        )
    ),
}


@pytest.mark.parametrize("wrap", [identity, wg.jit])
@pytest.mark.parametrize("name", HESSIANS)
def test_hessians_agree(name, wrap):
    got = wrap(HESSIANS[name](scalar))(X)
    np.testing.assert_allclose(got, numeric_jacobian(wg.grad(scalar), X), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(got, wg.hessian(scalar)(X), rtol=1e-12, atol=1e-13)


def test_third_order():
    third = wg.jacfwd(wg.hessian(scalar))(X)
    assert third.shape == (3, 3, 3)
    np.testing.assert_allclose(third, np.transpose(third, (2, 0, 1)), rtol=1e-12, atol=1e-12)
    expected = numeric_jacobian(wg.hessian(scalar), X)
    np.testing.assert_allclose(third, expected, rtol=1e-6, atol=1e-7)
    for other in (wg.jacrev(wg.jacrev(wg.grad(scalar))), wg.jacrev(wg.jacfwd(wg.jacfwd(scalar)))):
        np.testing.assert_allclose(other(X), third, rtol=1e-11, atol=1e-12)


def test_hvp_is_hessian_times_v():
    rng = np.random.default_rng(0)
    h = wg.hessian(scalar)(X)
    for v in rng.normal(size=(3, 3)):
        np.testing.assert_allclose(wg.hvp(scalar, (X,), (v,)), h @ v, rtol=1e-12)
        np.testing.assert_allclose(
            wg.grad(lambda x, v=v: wg.grad(scalar)(x) @ v)(X), h @ v, rtol=1e-12
        )


def test_hvp_of_several_arguments():
    def f(a, b):
        return np.sum(np.sin(a) * b) + b @ b * a[0]

    a, b = X, X[::-1] ** 2
    got = wg.hvp(f, (a, b), (b, a))
    both = wg.hessian(lambda z: f(z[:3], z[3:]))(np.concatenate([a, b]))
    np.testing.assert_allclose(np.concatenate(got), both @ np.concatenate([b, a]), rtol=1e-12)


@pytest.mark.parametrize("wrap", [identity, wg.jit])
def test_jvp_by_two_vjps(wrap):
    """The vjp is linear in its cotangent, and its transpose is the jvp (j-towns)."""

    def jvp_by_two_vjps(x, v):
        y, pull = wg.vjp(vector, x)
        _, pull_of_pull = wg.vjp(lambda ct: pull(ct)[0], np.zeros(y.shape))
        return pull_of_pull(v)[0]

    v = np.array([0.2, -1.0, 0.7])
    expected = wg.jvp(vector, (X,), (v,))[1]
    np.testing.assert_allclose(wrap(jvp_by_two_vjps)(X, v), expected, rtol=1e-13)


def test_transposing_a_linearized_function():
    v, ct = np.array([0.2, -1.0, 0.7]), np.array([1.0, 0.5, -0.3, 2.0])
    y, push = wg.linearize(vector, X)
    np.testing.assert_array_equal(y, vector(X))
    _, transposed = wg.vjp(push, np.zeros(3))
    np.testing.assert_allclose(transposed(ct)[0], wg.vjp(vector, X)[1](ct)[0], rtol=1e-13)
    np.testing.assert_allclose(push(v), wg.jvp(vector, (X,), (v,))[1], rtol=1e-13)
    np.testing.assert_allclose(push(v + X) - push(X), push(v), rtol=1e-12)
    np.testing.assert_allclose(ct @ push(v), transposed(ct)[0] @ v, rtol=1e-13)
    for matrix in (wg.jacobian(push)(X), wg.vmap(push, out_axes=1)(np.eye(3))):
        np.testing.assert_allclose(matrix, wg.jacobian(vector)(X), rtol=1e-13)


def test_jvp_of_grad_and_grad_of_jvp():
    v = np.array([0.2, -1.0, 0.7])
    h = wg.hessian(scalar)(X)
    g, hv = wg.jvp(wg.grad(scalar), (X,), (v,))
    np.testing.assert_allclose(g, wg.grad(scalar)(X))
    np.testing.assert_allclose(hv, h @ v, rtol=1e-12)
    value, slope = wg.value_and_grad(lambda x: wg.jvp(scalar, (x,), (v,))[1])(X)
    np.testing.assert_allclose(value, g @ v)
    np.testing.assert_allclose(slope, h @ v, rtol=1e-12)
    # and for the direction, in which the jvp is linear
    np.testing.assert_allclose(wg.grad(lambda v: wg.jvp(scalar, (X,), (v,))[1])(v), g, rtol=1e-13)


def test_vjp_of_vjp():
    ct, u = np.array([1.0, 0.5, -0.3, 2.0]), np.array([0.1, 0.2, -0.4])
    _, pull = wg.vjp(lambda x, c: wg.vjp(vector, x)[1](c)[0], X, ct)
    by_x, by_c = pull(u)
    np.testing.assert_allclose(by_c, wg.jvp(vector, (X,), (u,))[1], rtol=1e-13)
    weighted = wg.hessian(lambda x: ct @ vector(x))(X)
    np.testing.assert_allclose(by_x, weighted @ u, rtol=1e-12)


# --- closures, vmap, jit --------------------------------------------------------------------------
@pytest.mark.parametrize("wrap", [identity, wg.jit])
@over_pairs
def test_a_closure_over_an_outer_value(d1, d2, wrap):
    """Newton's step x - f'(x) / f''(x), differentiated; the point is a closure."""

    def f(x):
        scale = np.exp(x)
        return d1(lambda y: scale * y**3 + x * y)(scale)

    # 3 e^x e^2x + x
    assert wrap(d2(f))(0.4) == pytest.approx(9 * np.exp(1.2) + 1)


@pytest.mark.parametrize("wrap", [identity, wg.jit])
def test_grad_inside_vmap(wrap):
    xs = np.stack([X, X * 2, X - 1])
    got = wrap(wg.vmap(wg.grad(scalar)))(xs)
    np.testing.assert_allclose(got, [wg.grad(scalar)(x) for x in xs], rtol=1e-13)
    values, grads = wrap(wg.vmap(wg.value_and_grad(scalar)))(xs)
    np.testing.assert_allclose(values, [scalar(x) for x in xs], rtol=1e-13)
    np.testing.assert_allclose(grads, got, rtol=1e-13)
    hessians = wrap(wg.vmap(wg.hessian(scalar)))(xs)
    np.testing.assert_allclose(hessians, [wg.hessian(scalar)(x) for x in xs], rtol=1e-12)


@pytest.mark.parametrize("wrap", [identity, wg.jit])
def test_vmap_inside_grad(wrap):
    """The gradient of a sum over examples is the sum of the examples' gradients."""
    xs = np.stack([X, X * 2, X - 1])
    w = np.array([1.0, -2.0, 0.5])

    def loss(w):
        return np.sum(wg.vmap(lambda x: np.tanh(x @ w) * w[0])(xs))

    got = wrap(wg.grad(loss))(w)
    each = wg.vmap(wg.grad(lambda w, x: np.tanh(x @ w) * w[0]), in_axes=(None, 0))(w, xs)
    np.testing.assert_allclose(got, each.sum(axis=0), rtol=1e-13)
    np.testing.assert_allclose(got, numeric_jacobian(loss, w), rtol=1e-8)


@pytest.mark.parametrize("wrap", [identity, wg.jit])
def test_grad_of_vmap_of_grad(wrap):
    xs = np.linspace(0.1, 1.5, 4)
    penalty = lambda a: np.sum(wg.vmap(wg.grad(lambda x: np.sin(a * x) * x))(xs) ** 2)  # noqa: E731
    np.testing.assert_allclose(
        wrap(wg.grad(penalty))(1.3),
        numeric_jacobian(lambda a: penalty(a[0]), np.array([1.3]))[0],
        rtol=1e-7,
    )


def test_jit_inside_other_transformations():
    f = wg.jit(scalar)
    np.testing.assert_allclose(wg.grad(f)(X), wg.grad(scalar)(X), rtol=1e-13)
    np.testing.assert_allclose(wg.hessian(f)(X), wg.hessian(scalar)(X), rtol=1e-12)
    np.testing.assert_allclose(wg.jvp(f, (X,), (X,))[1], wg.grad(scalar)(X) @ X, rtol=1e-13)
    xs = np.stack([X, 2 * X])
    np.testing.assert_allclose(wg.vmap(wg.grad(f))(xs), wg.vmap(wg.grad(scalar))(xs), rtol=1e-13)
    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(scalar)(X), rtol=1e-13)


def test_jit_over_a_closure_of_an_outer_value():
    def f(a):
        inner = wg.jit(lambda x: np.sum(np.sin(a * x)))
        return inner(X) * a

    expected = np.sum(np.sin(1.5 * X)) + 1.5 * np.sum(X * np.cos(1.5 * X))
    assert wg.grad(f)(1.5) == pytest.approx(expected)


def test_nested_vmap():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(4, 3)
    outer = wg.vmap(wg.vmap(lambda x, y: x @ y, in_axes=(None, 0)), in_axes=(0, None))
    np.testing.assert_allclose(outer(a, b), a @ b.T)
    table = wg.vmap(wg.vmap(lambda x, y: np.outer(x, y), (0, None), 1), (None, 0), 2)(a, b)
    assert table.shape == (3, 2, 4, 3)
    np.testing.assert_allclose(table, np.einsum("im,jn->mijn", a, b))


def test_minimax():
    """GradBench's *saddle* in small: the derivative of a minimum found by an inner derivative."""

    def best(x):
        y = 0.0 * x
        for _ in range(60):
            y = y - 0.1 * wg.grad(lambda y, x=x: (y - np.sin(x)) ** 2 + y**4 / 4)(y)
        return y

    def value(x):
        y = best(x)
        return (y - np.sin(x)) ** 2 + y**4 / 4 + x * y

    h = 1e-5
    for d in (forward, reverse):
        assert d(value)(0.8) == pytest.approx((value(0.8 + h) - value(0.8 - h)) / (2 * h), rel=1e-7)


def test_in_place_updates_under_nested_derivatives():
    def f(x):
        y = np.zeros(4, like=x)
        y[0] = x[0]
        for i in range(1, 4):
            y[i] = np.sin(y[i - 1]) * x[i % 3]
            y[:i] += x[i % 3] ** 2
        return np.sum(y * y)

    h = wg.hessian(f)(X)
    np.testing.assert_allclose(h, numeric_jacobian(wg.grad(f), X), rtol=1e-6, atol=1e-7)
    for name in (
        "reverse over reverse",
        "forward over forward",
        "reverse over forward",
        "vmap of hvp",
    ):
        np.testing.assert_allclose(HESSIANS[name](f)(X), h, rtol=1e-11, atol=1e-12)
