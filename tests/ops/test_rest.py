"""NumPy's functions of polynomials and sets, scimath and random draws, against plain NumPy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from rest_cases import DRAWS, POLYNOMIALS, SETS, X, rng

import wengert as wg
from wengert.errors import ConversionError, UnsupportedError

CASES = {**POLYNOMIALS, **SETS, **DRAWS}


@pytest.mark.parametrize("name", CASES)
def test_values_and_derivatives(name):
    f, x = CASES[name]
    want = np.asarray(f(x.copy()))
    weights = np.cos(np.arange(want.size)).reshape(want.shape)
    y, pull = wg.vjp(f, x.copy(), allow_int=True)
    np.testing.assert_allclose(y, want, rtol=1e-12, atol=1e-12)
    assert np.asarray(y).dtype == want.dtype
    assert np.shape(y) == want.shape
    ct = weights.astype(want.dtype) if want.shape else want.dtype.type(weights)
    (g,) = pull(ct)
    h = 1e-6
    steps = [np.sum(weights * (f(x + h * e) - f(x - h * e))) / (2 * h) for e in np.eye(x.size)]
    np.testing.assert_allclose(g, steps, rtol=2e-4, atol=1e-5)
    _, t = wg.jvp(f, (x,), (np.ones(x.size),), allow_int=True)
    np.testing.assert_allclose(np.sum(weights * t), np.sum(g), rtol=1e-6, atol=1e-8)
    if name not in DRAWS:
        compiled = wg.jit(wg.grad(lambda x: np.sum(weights * f(x))))
        np.testing.assert_allclose(compiled(x), g, rtol=1e-6, atol=1e-8)


def test_a_function_that_draws_runs_without_compilation():
    source = rng()
    f = wg.jit(wg.grad(lambda x: np.sum(source.normal(x, 2.0) ** 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first, second = f(X), f(X)
    assert not np.allclose(first, second)


def test_named_tuples_are_numpys():
    def f(x):
        found = np.unique_all(x)
        assert type(found) is type(np.unique_all(np.ones(1)))
        eigen = np.linalg.eigh(np.outer(x, x))
        assert type(eigen) is type(np.linalg.eigh(np.eye(2)))
        assert type(np.linalg.svd(np.outer(x, x))) is type(np.linalg.svd(np.eye(2)))
        assert type(np.linalg.slogdet(np.eye(4) + np.outer(x, x))) is type(
            np.linalg.slogdet(np.eye(2))
        )
        assert type(np.linalg.qr(np.outer(x, x))) is type(np.linalg.qr(np.eye(2)))
        return np.sum(found.values) + eigen.eigenvalues[-1]

    np.testing.assert_allclose(wg.grad(f)(X), 1 + 2 * X)
    y, pull = wg.vjp(np.linalg.eigh, np.diag(X), allow_int=True)
    assert type(y) is type(np.linalg.eigh(np.eye(2)))
    np.testing.assert_allclose(np.diag(pull(y._replace(eigenvectors=np.zeros((4, 4))))[0]), X)


REFUSED = {
    "gamma": (lambda x: rng().gamma(x * x), UnsupportedError, "the shape has none"),
    "poisson": (lambda x: rng().poisson(x * x), ConversionError, "draws of poisson have no deriv"),
    "binomial": (lambda x: rng().binomial(3, x * 0), ConversionError, "draws of binomial have no"),
    "covariance": (lambda x: rng().multivariate_normal(X, np.outer(x, x)), UnsupportedError,
                   "np.linalg.cholesky"),
    "chosen by traced probabilities": (
        lambda x: rng().choice(x, p=x * x / np.sum(x * x)), UnsupportedError, "probabilities have"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    f, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        wg.grad(lambda x: np.sum(f(x)))(X)


def test_derivatives_on_the_cuts_of_complex_functions():
    """The side is told by the sign of a part that is 0, in NumPy's values and in derivatives."""
    for f in (np.arcsin, np.arccos, np.arcsinh, np.arctanh, np.arccosh, np.arctan, np.sqrt, np.log):
        for zero in (0.0, -0.0):
            for v in (2.1, -2.1):
                for make, d in (
                    (lambda u, zero=zero: np.complex128(complex(u, zero)), 1.0 + 0j),
                    (lambda u, zero=zero: np.complex128(complex(zero, u)), 1j),
                ):
                    step = (f(make(v + 1e-6)) - f(make(v - 1e-6))) / 2e-6
                    got = wg.jvp(f, (np.array(make(v)),), (np.array(d),), allow_int=True)[1]
                    np.testing.assert_allclose(got, step, rtol=1e-6, atol=1e-9)
