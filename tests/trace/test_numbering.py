"""Under jit, the same operation on the same values is recorded and differentiated once."""

import numpy as np
import pytest

import wengert as wg
from wengert.jit.form import split
from wengert.jit.record import record


def graph_of(f, *args):
    return record(f, *split(args, {})).graph


def determinant(a):
    def minor(rows, columns):
        if not rows:
            return 1.0
        total = 0.0
        for j, column in enumerate(columns):
            term = a[rows[0], column] * minor(rows[1:], columns[:j] + columns[j + 1 :])
            total = total + term if j % 2 == 0 else total - term
        return total

    n = list(range(a.shape[0]))
    return minor(n, n)


@pytest.mark.parametrize("n", [2, 4, 6])
def test_a_determinant_by_minors_records_each_minor_once(n):
    a = np.random.default_rng(n).standard_normal((n, n))
    value = graph_of(determinant, a)
    both = graph_of(wg.value_and_grad(determinant), a)
    products = n * 2 ** (n - 1)  # a minor of k columns takes k of them
    assert len(value.nodes) <= 2 * products + n * n
    assert len(both.nodes) <= 4 * len(value.nodes)
    y, g = wg.jit(wg.value_and_grad(determinant))(a)
    np.testing.assert_allclose(y, np.linalg.det(a), rtol=1e-10)
    np.testing.assert_allclose(g, np.linalg.det(a) * np.linalg.inv(a).T, rtol=1e-8)


def twice(x):
    y = np.sin(x)
    z = np.sin(x)
    y[0] = 5.0
    return np.sum(y * z)


def with_views(x):
    y, z = x * 2.0, x * 2.0
    u, v = y[1:], z[1:]
    u[0] = 7.0
    return np.sum(y * x) + np.sum(v * x[1:])


def with_zeros(x):
    return np.sum(x * 0.0 / np.abs(x * -0.0 + 1.0)) + np.sum(
        np.copysign(x, -0.0) + np.copysign(x, 0.0)
    )


def with_kinds(x):
    return np.sum((x * 1).astype(np.float64) + x * 1.0 + x * True)


def with_checkpoint(x):
    inner = wg.checkpoint(lambda x: np.sum(np.sin(x) * np.sin(x)))
    return inner(x) + np.sum(np.sin(x)) + inner(x) * np.sum(np.sin(x))


def with_held_array(x):
    w = np.arange(3.0)
    y = x * w
    w[0] = 9.0
    return np.sum(y + x * w)


def with_guard(x):
    return np.sum(np.sin(x) if np.sin(x)[0] > 0 else np.cos(x) + np.sin(x))


def with_inner_grad(x):
    return np.sum(np.sin(x) * wg.grad(lambda y: np.sum(np.sin(y) * np.sin(x)))(x))


def with_vmap(x):
    return np.sum(wg.vmap(lambda s: np.sin(s) * np.sin(s) + x[0] * np.sin(x[0]))(x))


FUNCTIONS = [
    twice, with_views, with_zeros, with_kinds, with_checkpoint, with_held_array, with_guard,
    with_inner_grad, with_vmap,
]  # fmt: skip
DERIVATIVES = {
    "value": lambda f: f,
    "grad": wg.grad,
    "hessian": wg.hessian,
    "grad of grad": lambda f: wg.grad(lambda x: np.sum(wg.grad(f)(x) ** 2)),
    "jacfwd": wg.jacfwd,
}


@pytest.mark.parametrize("kind", DERIVATIVES)
@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_results_are_those_of_no_numbering(f, kind):
    x = np.array([0.5, -1.5, 2.0])
    derivative = DERIVATIVES[kind](f)
    np.testing.assert_allclose(wg.jit(derivative)(x), derivative(x), rtol=1e-13, atol=1e-13)


def test_updates_of_equal_values_stay_apart():
    def f(x):
        y, z = x + 1.0, x + 1.0
        y[0] = 100.0
        return y, z

    y, z = wg.jit(f)(np.zeros(2))
    assert y.tolist() == [100.0, 1.0]
    assert z.tolist() == [1.0, 1.0]


def test_equal_results_are_arrays_of_their_own():
    y, z = wg.jit(lambda x: (x + 1.0, x + 1.0))(np.zeros(2))
    y[0] = 5.0
    assert z.tolist() == [1.0, 1.0]
