"""Derivatives at kinks, at the edge of a domain, and for complex, integer and single input.

The conventions are NumPy's for values and, where mathematics leaves a choice, the ones that
``docs/numpy.md`` states.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.special as sp

import wengert as wg
from wengert.errors import InputError

INF, NAN = np.inf, np.nan


def grads(f: Any, *xs: Any) -> list[Any]:
    """Gradients in every argument by reverse mode, checked against forward mode."""
    argnums = tuple(range(len(xs)))
    xs = tuple(np.asarray(x, float) for x in xs)
    found = wg.grad(lambda *z: np.sum(f(*z)), argnums)(*xs)
    for k in argnums:

        def alone(z: Any, k: int = k) -> Any:
            return np.sum(f(*xs[:k], z, *xs[k + 1 :]))

        basis = np.eye(xs[k].size)
        columns = [wg.jvp(alone, (xs[k],), (e.reshape(xs[k].shape),))[1] for e in basis]
        np.testing.assert_allclose(np.reshape(columns, xs[k].shape), found[k], rtol=1e-15)
    return list(found)


@pytest.mark.parametrize(
    ("f", "args", "expected"),
    [
        # ties share equally
        (np.maximum, (1.0, 1.0), (0.5, 0.5)),
        (np.minimum, (1.0, 1.0), (0.5, 0.5)),
        (np.fmax, (1.0, 1.0), (0.5, 0.5)),
        (np.fmin, (1.0, 1.0), (0.5, 0.5)),
        (np.maximum, (INF, INF), (0.5, 0.5)),
        (np.max, ([2.0, 1.0, 2.0],), ([0.5, 0.0, 0.5],)),
        (np.min, ([1.0, 1.0, 1.0, 1.0],), ([0.25] * 4,)),
        (lambda x: np.max(x, axis=0), ([[1.0, 2.0], [1.0, 3.0]],), ([[0.5, 0.0], [0.5, 1.0]],)),
        (lambda x: np.clip(x, 0.0, 1.0), ([0.0, 0.5, 1.0, 2.0],), ([0.5, 1.0, 0.5, 0.0],)),
        (np.ptp, ([2.0, 2.0],), ([0.0, 0.0],)),
        # NaN: fmax and fmin pass over it, maximum and minimum return it
        (np.fmax, (NAN, 1.0), (0.0, 1.0)),
        (np.fmin, (1.0, NAN), (1.0, 0.0)),
        (np.nansum, ([1.0, NAN],), ([1.0, 0.0],)),
        (np.nanmax, ([1.0, NAN, 0.0],), ([1.0, 0.0, 0.0],)),
        # a sort is a permutation, stable where elements tie
        (lambda x: np.sort(x) * [1.0, 2.0, 3.0], ([2.0, 1.0, 2.0],), ([2.0, 1.0, 3.0],)),
        (np.median, ([1.0, 2.0, 2.0],), ([0.0, 1.0, 0.0],)),
        (np.maximum.accumulate, ([1.0, 1.0, 0.0],), ([1.0, 2.0, 0.0],)),
        # kinks
        (np.abs, (0.0,), (0.0,)),
        (np.fabs, (0.0,), (0.0,)),
        (np.copysign, (0.0, 1.0), (0.0, 0.0)),
        (np.hypot, (0.0, 0.0), (0.0, 0.0)),
        (np.sign, (0.0,), (0.0,)),
        (np.heaviside, (0.0, 0.5), (0.0, 1.0)),
        (np.floor, (2.0,), (0.0,)),
        (np.sinc, (0.0,), (0.0,)),
        # edges of a domain
        (np.sqrt, (0.0,), (INF,)),
        (np.cbrt, (0.0,), (INF,)),
        (np.log, (0.0,), (INF,)),
        (np.arcsin, (1.0,), (INF,)),
        (np.arccos, (-1.0,), (-INF,)),
        (np.arctanh, (1.0,), (INF,)),
        (np.sqrt, (-1.0,), (NAN,)),
        (np.arctan2, (0.0, 0.0), (NAN, NAN)),
        (sp.xlogy, (0.0, 1.0), (0.0, 0.0)),
        (sp.xlogy, (0.0, 0.0), (-INF, 0.0)),
        (sp.xlog1py, (0.0, -1.0), (-INF, 0.0)),
        (sp.entr, (0.0,), (INF,)),
        # powers
        (np.power, (0.0, 0.0), (0.0, 0.0)),
        (np.power, (0.0, 1.0), (1.0, 0.0)),
        (np.power, (0.0, 2.0), (0.0, 0.0)),
        (np.power, (0.0, 0.5), (INF, 0.0)),
        (np.power, (0.0, -1.0), (-INF, NAN)),
        (np.power, (-2.0, 3.0), (12.0, NAN)),
        (lambda x: x**0, (0.0,), (0.0,)),
        (lambda x: x**1, (0.0,), (1.0,)),
        (lambda x: x**2, (0.0,), (0.0,)),
        (lambda x: x**-1, (2.0,), (-0.25,)),
        (lambda x: (-2.0) ** x, (2.0,), (NAN,)),
        (lambda x: 0.0**x, (2.0,), (0.0,)),
        (lambda x: 0**x, (0.0,), (0.0,)),
        # sums of exponentials
        (np.logaddexp, (INF, INF), (0.5, 0.5)),
        (np.logaddexp, (-INF, -INF), (0.5, 0.5)),
        (np.logaddexp2, (-INF, -INF), (0.5, 0.5)),
        (np.logaddexp, (-INF, 1.0), (0.0, 1.0)),
        (np.logaddexp, (INF, 1.0), (1.0, 0.0)),
        (np.logaddexp, (1000.0, 1000.0), (0.5, 0.5)),
        (np.logaddexp.reduce, ([-INF, -INF],), ([0.5, 0.5],)),
        (np.logaddexp.reduce, ([-INF, 3.0],), ([0.0, 1.0],)),
        (np.logaddexp.reduce, ([INF, 0.0, INF],), ([0.5, 0.0, 0.5],)),
        (np.logaddexp.reduce, ([1000.0, 1000.0],), ([0.5, 0.5],)),
        (np.logaddexp.reduce, ([5.0],), ([1.0],)),
        # products with zeros
        (np.prod, ([0.0, 2.0, 3.0],), ([6.0, 0.0, 0.0],)),
        (np.prod, ([0.0, 2.0, 0.0],), ([0.0, 0.0, 0.0],)),
        (np.cumprod, ([2.0, 0.0, 3.0],), ([1.0, 8.0, 0.0],)),
        (np.prod, ([],), ([],)),
        # remainders
        (np.remainder, (1.0, 0.1), (1.0, -9.0)),
        (np.fmod, (-7.0, 3.0), (1.0, 2.0)),
        (np.remainder, (-7.0, 3.0), (1.0, 3.0)),
        # statistics
        (np.var, ([1.0, 1.0],), ([0.0, 0.0],)),
        (np.std, ([1.0, 1.0],), ([NAN, NAN],)),
        (np.std, ([3.0],), ([0.0],)),
        (lambda x: np.sum(np.std(np.reshape(x, (2, 1)), axis=1)), ([3.0, 4.0],), ([0.0, 0.0],)),
        (lambda x: np.std(x, mean=np.zeros(1)), ([-2.0],), ([-1.0],)),
        (lambda x: np.var(x, ddof=1), ([0.0, 2.0],), ([-2.0, 2.0],)),
        (lambda x: np.var(x, where=[True, False, True]), ([0.0, 9.0, 2.0],), ([-1.0, 0.0, 1.0],)),
    ],
    ids=lambda x: getattr(x, "__name__", None) or str(x),
)
def test_gradient(f, args, expected):
    with np.errstate(all="ignore"):
        found = grads(f, *args)
    for got, want in zip(found, expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-15, atol=0)


def test_remainder_agrees_with_numpys_own_quotient():
    """1.0 / 0.1 rounds to 10, but NumPy's quotient is 9: the derivative follows the value."""
    assert np.remainder(1.0, 0.1) > 0.09
    assert wg.grad(lambda b: np.remainder(1.0, b))(0.1) == -9
    assert wg.grad(lambda b: np.fmod(1.0, b))(0.1) == -9


def test_derivatives_at_kinks_do_not_warn():
    """The function has warned; the derivative is quiet, forward and reverse."""
    x = np.array([0.0, 4.0])
    np.testing.assert_array_equal(wg.grad(lambda x: np.sum(np.sqrt(x)))(x), [INF, 0.25])
    np.testing.assert_array_equal(wg.jvp(np.sqrt, (x,), (np.ones(2),))[1], [INF, 0.25])
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        wg.grad(lambda x: np.sum(np.log(x)))(x)


def test_the_unchosen_branch_may_be_undefined():
    """The gradient of where is zero in the branch not taken, if that branch is safe."""
    x = np.array([-1.0, 4.0])
    f = lambda x: np.sum(np.where(x > 0, np.sqrt(np.where(x > 0, x, 1.0)), 0.0))  # noqa: E731
    np.testing.assert_array_equal(wg.grad(f)(x), [0.0, 0.25])


# --- complex numbers ----------------------------------------------------------------------------
Z = np.array([3 + 4j, -1 + 2j, 0.5 - 0.25j])


@pytest.mark.parametrize(
    ("f", "gradient"),
    [
        (np.abs, lambda z: np.conj(z) / np.abs(z)),
        (lambda z: np.abs(z) ** 2, lambda z: 2 * np.conj(z)),
        (np.real, np.ones_like),
        (np.imag, lambda z: -1j * np.ones_like(z)),
        (lambda z: np.real(z * np.conj(z)), lambda z: 2 * np.conj(z)),
        (lambda z: np.real(np.exp(z)), np.exp),
        (np.angle, lambda z: -1j / z),
        (lambda z: z.real * z.imag, lambda z: z.imag - 1j * z.real),
    ],
)
def test_gradient_of_a_real_function_of_complex_numbers(f, gradient):
    """df/da - i df/db at a + i b, JAX's convention."""
    np.testing.assert_allclose(wg.grad(lambda z: np.sum(f(z)))(Z), gradient(Z), rtol=1e-14)


def test_gradient_of_abs_at_complex_zero_is_zero():
    assert wg.grad(np.abs)(0j) == 0
    assert wg.grad(lambda z: np.abs(np.sign(z)))(0j) == 0


@pytest.mark.parametrize("f", [np.exp, np.sin, np.sqrt, np.log, np.square, np.tanh, np.reciprocal])
def test_holomorphic_derivative(f):
    found = wg.grad(lambda z: np.sum(f(z)), holomorphic=True)(Z)
    step = 1e-5
    np.testing.assert_allclose(found, (f(Z + step) - f(Z - step)) / (2 * step), rtol=1e-8)
    np.testing.assert_allclose(
        found, (f(Z + 1j * step) - f(Z - 1j * step)) / (2j * step), rtol=1e-8
    )


def test_complex_conventions_equal_jaxs():
    """The values that JAX 0.10 gives for these functions, recorded."""
    z = 0.5 + 0.25j
    assert wg.grad(np.abs)(3 + 4j) == pytest.approx(0.6 - 0.8j)
    assert wg.grad(np.angle)(3 + 4j) == pytest.approx(-0.16 - 0.12j)
    assert wg.grad(lambda z: np.real(z**2))(z) == pytest.approx(2 * z)
    assert wg.grad(lambda x: np.abs(x * (1 + 2j)))(2.0) == pytest.approx(5**0.5)


# --- dtypes -------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.complex64, np.complex128])
def test_a_python_scalar_does_not_promote(kind):
    x = np.array([0.5, 0.25], kind)
    for f in (lambda x: 2 * x + 1.5, lambda x: x**2 / 3, lambda x: 2.0**x, lambda x: 1 - 1 / x):
        y, t = wg.jvp(f, (x,), (x,))
        (ct,) = wg.vjp(f, x)[1](y)
        assert (y.dtype, t.dtype, ct.dtype) == (kind, kind, kind)


def test_promotion_is_numpys():
    single, double = np.ones(2, np.float32), np.ones(2)
    y, pull = wg.vjp(np.multiply, single, double)
    assert y.dtype == np.float64
    assert [c.dtype for c in pull(double)] == [np.float32, np.float64]
    y, _ = wg.vjp(lambda x: x + np.float64(1), single)  # a NumPy scalar has a dtype of its own
    assert y.dtype == np.float64
    y, _ = wg.vjp(lambda x: x * np.arange(2), single)
    assert y.dtype == (single * np.arange(2)).dtype
    y, _ = wg.vjp(lambda x: x * 1j, single)
    assert y.dtype == np.complex64


def test_integers_and_booleans_have_no_derivative():
    x = np.array([1.5, -0.5])
    assert wg.grad(lambda x: np.sum(x * (x > 0)))(x).tolist() == [1.0, 0.0]
    assert wg.grad(lambda x: np.sum(x.astype(int) * 1.0))(x).tolist() == [0.0, 0.0]
    assert wg.grad(lambda x: np.sum(np.floor(x) * x))(x).tolist() == [1.0, -1.0]
    y, t = wg.jvp(lambda x: np.argsort(x), (x,), (x,), allow_int=True)
    assert y.dtype == t.dtype == np.intp
    assert not t.any()
    with pytest.raises(InputError, match="floating-point"):
        wg.grad(lambda i: i * 1.0)(3)
    with pytest.raises(InputError, match="dtype bool"):
        wg.grad(np.sum)(np.array([True]))
    y, pull = wg.vjp(lambda i, x: x[i], np.array([1, 0]), x)
    assert pull(np.array([1.0, 2.0]))[1].tolist() == [2.0, 1.0]


def test_special_functions_of_the_table_are_traced():
    """What SciPy computes by a ufunc is differentiated, Python wrappers around one too."""
    assert wg.grad(lambda x: sp.zeta(2.0, x))(1.0) == pytest.approx(-2 * sp.zeta(3.0))
    assert wg.grad(sp.gammaln)(1.0) == pytest.approx(-np.euler_gamma)
    assert wg.grad(wg.grad(sp.psi))(1.0) == pytest.approx(-2 * sp.zeta(3.0))
    assert wg.grad(sp.i1)(0.0) == 0.5
    assert wg.grad(sp.j1)(0.0) == 0.5


@pytest.mark.parametrize(
    ("f", "order", "x", "expected"),
    [
        (lambda x: np.logaddexp(0.0, x), 2, 0.0, 0.25),
        (lambda x: np.logaddexp2(0.0, x), 2, 0.0, np.log(2) / 4),
        (sp.i0, 4, 0.0, 3 / 8),
        (sp.i1, 3, 0.0, 3 / 8),
        (sp.j0, 4, 0.0, 3 / 8),
        (sp.j1, 3, 0.0, -3 / 8),
    ],
)
def test_higher_derivatives_where_a_rule_takes_a_limit(f, order, x, expected):
    """A rule that is patched at a point has to be right beside it too, for the next derivative."""
    for _ in range(order):
        f = wg.grad(f)
    assert f(x) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("f", "at", "expected"),
    [
        (lambda a, b: a**b, (2.0, 0.0), 0.5),
        (sp.xlogy, (0.0, 2.0), 0.5),
        (sp.xlog1py, (0.0, 2.0), 1 / 3),
    ],
)
def test_mixed_derivatives_where_a_rule_takes_a_limit(f, at, expected):
    assert wg.grad(wg.grad(f, 0), 1)(*at) == pytest.approx(expected)
    assert wg.grad(wg.grad(f, 1), 0)(*at) == pytest.approx(expected)


NOTHING = np.array([False, False])


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.cbrt(np.sum(x[NOTHING])),
        lambda x: np.cbrt(np.sum(x[2:])),
        lambda x: np.sqrt(np.sum(x, where=NOTHING)),
        lambda x: np.sqrt(np.sum(x[x > 5])),
        lambda x: np.cbrt(np.sum(np.where(NOTHING, x, 0))),
        lambda x: np.power(np.sum(np.where(x < 5, 0, x)), 0.5),
        lambda x: np.log(np.prod(np.sin(x[:0])) - 1),
        lambda x: np.angle(np.sum(x) * 0.0) * np.sum(x),
    ],
)
def test_what_depends_on_nothing_has_derivative_zero_in_both_modes(f):
    """Also where what is made of it has an infinite derivative."""
    x = np.array([1.0, 2.0])
    with np.errstate(all="ignore"):
        for found in (
            wg.grad(f)(x), wg.jacfwd(f)(x), wg.jvp(f, (x,), (np.ones(2),))[1],
            wg.jacfwd(wg.grad(f))(x), wg.grad(lambda x: wg.jvp(f, (x,), (np.ones(2),))[1])(x),
        ):  # fmt: skip
            np.testing.assert_array_equal(found, 0.0)


def test_the_angle_of_real_numbers_is_piecewise_constant():
    x = np.array([0.0, 1.0, -1.0])
    f = lambda x: np.angle(x) * x  # noqa: E731
    expected = [0.0, 0.0, np.pi]
    np.testing.assert_allclose(wg.jvp(f, (x,), (np.ones(3),))[1], expected)
    np.testing.assert_allclose(wg.grad(lambda x: np.sum(f(x)))(x), expected)
