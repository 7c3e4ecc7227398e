"""Differentiated numbers of Python raise for a handler where Python's operators raise."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

FAILING = {
    "divide": (lambda x: 1.0 / (x - 3.0), 3.0),
    "divide itself": (lambda x: x / (x - 3.0), 3.0),
    "by zero": (lambda x: x / 0, 3.0),
    "floor": (lambda x: x // (x - 3.0) + x, 3.0),
    "remainder": (lambda x: x % (x - 3.0), 3.0),
    "negative power": (lambda x: (x - 3.0) ** -1, 3.0),
    "negative root": (lambda x: (x - 3.0) ** -0.5, 3.0),
    "too large": (lambda x: x**2, 1e200),
}
WAYS = {
    "grad": lambda f: wg.grad(f),
    "jvp": lambda f: lambda x: wg.jvp(f, (x,), (1.0,))[1],
    "vjp": lambda f: lambda x: wg.vjp(f, x)[1](1.0)[0],
    "jit": lambda f: wg.jit(wg.grad(f)),
    "grad of grad": lambda f: wg.grad(wg.grad(f)),
    "jacobian": lambda f: wg.jacobian(f),
    **{
        f"sparse, {mode}": lambda f, mode=mode: (
            lambda x: wg.jacobian(f, format="csr", mode=mode)(x).toarray()[0, 0]
        )
        for mode in ("auto", "accumulate", "forward", "reverse")
    },
    "jet": lambda f: lambda x: wg.jet(f, (x,), ((1.0, 0.0),))[1][0],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FAILING)
def test_the_exception_is_pythons(name, way):
    f, x = FAILING[name]

    def handled(x):
        try:
            return f(x)
        except (ZeroDivisionError, OverflowError):
            return x * 3.0

    want = 0.0 if way == "grad of grad" else 3.0
    assert handled(x) == 3.0 * x
    assert WAYS[way](handled)(x) == want


@pytest.mark.parametrize("way", WAYS)
def test_a_handler_takes_its_path(way):
    def f(x):
        try:
            return 2.0 / (x - 3.0)
        except ZeroDivisionError:
            return 5.0 * x * x

    derivative = WAYS[way](f)
    second = way == "grad of grad"
    for x, want in ((3.0, 10.0 if second else 30.0), (4.0, 4.0 if second else -2.0)):
        assert derivative(x) == want
    assert derivative(3.0) == (10.0 if second else 30.0)


def test_a_handler_around_the_derivative_sees_nothing():
    try:
        with np.errstate(all="ignore"):
            slope = wg.grad(lambda x: 1 / x)(0.0)
    except ZeroDivisionError:
        slope = None
    assert slope == -np.inf


def test_numpys_scalars_do_not_raise():
    with np.errstate(all="ignore"):
        assert np.isinf(wg.value_and_grad(lambda x: x[0] / (x[0] - 3.0))(np.array([3.0]))[0])
        assert np.isnan(wg.grad(lambda x: np.sum((-x) ** 0.5))(np.array([3.0]))[0])


def test_numbers_made_by_float():
    def f(x):
        try:
            return float(x.sum()) / 0 * x.sum()
        except ZeroDivisionError:
            return x.sum()

    x = np.array([1.0, 2.0])
    for run in (wg.grad(f), wg.jit(wg.grad(f)), wg.jacfwd(f)):
        np.testing.assert_array_equal(run(x), [1.0, 1.0])
    np.testing.assert_array_equal(wg.vmap(f)(x[:, None]), x)
