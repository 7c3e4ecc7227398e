"""The check that the tests of tracing share: traced code does what NumPy does with plain arrays."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg


def differences(f, x, weights, h=1e-6):
    """Gradient of ``sum(weights * f(x))`` by central differences of runs on plain arrays."""
    g = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = h
        g[i] = np.sum(weights * (f(x + step) - f(x - step))) / (2 * h)
    return g


def agrees(f, x, *, batched=True, compiled=True, tolerance=1e-6):
    """Assert that `f` gives the same values traced as plain, and the gradient that follows.

    `f` takes an array that it does not change, and returns an array.
    """
    given = x.copy()
    value = np.array(f(x.copy()))
    y, pullback = wg.vjp(f, given, allow_int=True)
    np.testing.assert_array_equal(y, value)
    np.testing.assert_array_equal(given, x, err_msg="the caller's array was changed")
    rng = np.random.default_rng(0)
    weights = rng.normal(size=value.shape)
    (g,) = pullback(weights)
    expected = differences(lambda z: np.array(f(z)), x, weights)
    np.testing.assert_allclose(g, expected, rtol=tolerance, atol=tolerance)
    direction = rng.normal(size=x.shape)
    y, t = wg.jvp(f, (given,), (direction,), allow_int=True)
    np.testing.assert_array_equal(y, value)
    np.testing.assert_allclose(np.sum(weights * t), np.sum(g * direction), rtol=1e-9, atol=1e-9)
    if batched:
        many = np.stack([x, x + 0.125, x - 0.0625])
        np.testing.assert_allclose(wg.vmap(f)(many), [f(z.copy()) for z in many], rtol=1e-12)
    if compiled and hasattr(wg, "jit"):
        np.testing.assert_allclose(wg.jit(f)(given), value, rtol=1e-12)
        compiled_g = wg.jit(wg.grad(lambda z: np.sum(weights * f(z))))(given)
        np.testing.assert_allclose(compiled_g, g, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(given, x, err_msg="the caller's array was changed")


@pytest.fixture(scope="session")
def check_agreement():
    return agrees
