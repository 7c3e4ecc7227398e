"""Squares of sizes have their second derivatives where the size is 0 and has none itself."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wengert as wg


def squared_in_place(x):
    r = np.abs(x)
    r **= 2
    return np.sum(r)


def times_itself_in_place(x):
    r = np.abs(x)
    r *= r
    return np.sum(r)


def changed_meanwhile(x):
    x = x.copy()
    r = np.abs(x)
    x += 5.0
    return np.sum(r**2)


def once(size, use):
    def f(x):
        r = size(x)
        return use(r)

    return f


def rows(x):
    return np.linalg.norm(np.reshape(x, (2, 1)), axis=1)


def number(x):
    return np.linalg.norm(x)


SQUARES = {
    "abs ** 2": lambda x: np.sum(np.abs(x) ** 2),
    "abs * abs": lambda x: np.sum(abs(x) * abs(x)),
    "multiply": once(abs, lambda r: np.sum(np.multiply(r, r))),
    "square": lambda x: np.sum(np.square(np.fabs(x))),
    "float_power": lambda x: np.sum(np.float_power(np.abs(x), 2)),
    "power": lambda x: np.sum(np.power(np.abs(x), 2.0)),
    "in place": squared_in_place,
    "in place by itself": times_itself_in_place,
    "changed meanwhile": changed_meanwhile,
    "hypot": lambda x: np.hypot(x[0], x[1]) ** 2,
    "complex": lambda x: np.abs(x[0] + 1j * x[1]) ** 2,
    "norm": lambda x: np.linalg.norm(x) ** 2,
    "norm of a list": lambda x: np.linalg.norm([x[0], x[1]]) ** 2,
    "norm * norm": lambda x: np.linalg.norm(x) * np.linalg.norm(x),
    "vector_norm": lambda x: np.linalg.vector_norm(x) ** 2,
    "matrix": lambda x: np.linalg.norm(np.reshape(x, (1, 2)), "fro") ** 2,
    "rows": lambda x: np.sum(rows(x) ** 2),
    "new axis": lambda x: np.sum(rows(x)[:, None] ** 2),
    "transposed": lambda x: np.sum(rows(x)[:, None].T ** 2),
    "entries": once(rows, lambda r: r[0] ** 2 + r[-1] ** 2),
    "kept axis": lambda x: np.sum(np.linalg.norm(x, axis=0, keepdims=True) ** 2),
    "root of a sum": lambda x: np.sqrt(np.sum(x**2)) ** 2,
    "power of a half": lambda x: ((x @ x) ** 0.5) ** 2,
    "deviation": lambda x: 2 * np.std(x) ** 2 + 0.5 * (x[0] + x[1]) ** 2,
    "matmul": once(np.abs, lambda r: r @ r),
    "dot": once(np.abs, lambda r: np.dot(r, r)),
    "vdot": once(np.abs, lambda r: np.vdot(r, r)),
    "inner": once(np.abs, lambda r: np.inner(r, r)),
    "over a width": lambda x: -8 * np.exp(-((np.linalg.norm(x) / 2.0) ** 2) / 2),
    "times a number": lambda x: np.sum((2 * -np.abs(x) * 0.5) ** 2),
    "over a traced number": lambda x: 4 * (np.linalg.norm(x) / (2.0 + x[0])) ** 2,
    "math.hypot": lambda x: math.hypot(x[0], x[1]) ** 2,
    "math.dist": lambda x: math.dist(x, (0.0, 0.0)) ** 2,
    "float": lambda x: float(np.linalg.norm(x)) ** 2,
    "item": lambda x: abs(x[0].item()) ** 2 + abs(x.item(1)) ** 2,
    "loop": lambda x: sum(np.abs(x[i]) ** 2 for i in range(2)),
    "scan": lambda x: wg.scan(lambda c, v: (c + np.abs(v) ** 2, None), 0.0 * x[0], x)[0],
    "batch": lambda x: np.sum(wg.vmap(lambda v: np.abs(v) ** 2)(x)),
    "checkpoint": lambda x: wg.checkpoint(lambda v: np.linalg.norm(v) ** 2)(x),
    "jit": lambda x: wg.jit(lambda v: np.linalg.norm(v) ** 2)(x),
}
MODES = {
    "forward over reverse": wg.hessian,
    "reverse over reverse": lambda f: wg.jacrev(wg.grad(f)),
    "forward over forward": lambda f: wg.jacfwd(wg.jacfwd(f)),
    "compiled": lambda f: wg.jit(wg.hessian(f)),
    "batched": lambda f: lambda x: wg.vmap(wg.hessian(f))(x[None])[0],
    "sparse": lambda f: lambda x: wg.hessian(f, format="csr")(x).toarray(),
}


@pytest.mark.share(6, by=lambda name, mode: mode)
@pytest.mark.parametrize("mode", list(MODES))
@pytest.mark.parametrize("name", list(SQUARES))
def test_the_second_derivative_at_0(name, mode):
    f = SQUARES[name]
    np.testing.assert_allclose(MODES[mode](f)(np.zeros(2)), 2 * np.eye(2), atol=1e-12)


@pytest.mark.share(3)
@pytest.mark.parametrize("name", list(SQUARES))
def test_values_and_derivatives_elsewhere(name):
    f, x, v = SQUARES[name], np.array([0.3, -1.2]), np.array([0.7, 0.4])
    y, g = wg.value_and_grad(f)(x)
    np.testing.assert_allclose(y, f(x), rtol=1e-15)
    step = 1e-6 * v
    np.testing.assert_allclose(g @ v, (f(x + step) - f(x - step)) / 2e-6, rtol=1e-7)
    np.testing.assert_array_equal(wg.grad(f)(np.zeros(2)), 0.0)


@pytest.mark.parametrize("x", [0.0, -1.5, np.float32(0.0), np.float32(2.5)])
def test_numbers_stay_what_they_are(x):
    for f in (lambda x: abs(x) ** 2, lambda x: abs(x) * abs(x), lambda x: np.hypot(x, 0.0) ** 2):
        y, slope = wg.value_and_grad(f)(x)
        plain = f(np.float64(x)) if type(x) is float else f(x)
        assert (type(y), y, slope) == (type(plain), plain, 2 * x)
        assert wg.grad(wg.grad(f))(x) == 2.0 == wg.jit(wg.grad(wg.grad(f)))(x)


def test_a_root_has_no_derivative_where_it_is_not():
    with np.errstate(invalid="ignore"):
        assert np.isnan(wg.grad(lambda x: np.sqrt(x) ** 2)(-1.0))
    assert wg.grad(lambda x: np.sqrt(x) ** 2)(0.0) == 1.0
    assert wg.grad(lambda x: np.sqrt(x) ** 2)(np.inf) == 1.0


def test_sizes_keep_the_derivatives_of_what_is_large():
    f = lambda x: np.hypot(x[0], x[1]) ** 2 / 1e200  # noqa: E731
    np.testing.assert_allclose(wg.grad(f)(np.array([3e150, 4e150])), [6e-50, 8e-50])


def test_a_size_that_changed_is_none():
    def f(x):
        r = np.abs(x)
        r[0] = x[0] * 3.0
        return np.sum(r**2)

    np.testing.assert_allclose(wg.hessian(f)(np.zeros(2)), np.diag([18.0, 0.0]))


def test_compiled_code_does_without():
    plain = str(wg.jit(lambda x: np.linalg.norm(x) ** 2).plan(np.ones(3)).graph)
    assert "instead" not in plain
    gradient = wg.jit(wg.grad(lambda x: np.sum(np.abs(x) ** 2))).plan(np.ones(3)).graph
    assert [n.op.name for n in gradient.nodes] in (["add"], ["multiply"])
