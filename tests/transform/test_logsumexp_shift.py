"""The shift of a logarithm of a sum of exponentials has no derivative; nothing else is left out."""

import numpy as np
import pytest
import scipy.special as sp

import wengert as wg
from wengert.jit.form import split
from wengert.jit.record import record
from wengert.transform import reverse

X = np.random.default_rng(0).standard_normal((3, 3))


def whole(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def rows(x):
    top = np.max(x, axis=1, keepdims=True)
    return np.sum(np.sin(top[:, 0] + np.log(np.sum(np.exp(x - top), axis=1))))


def columns(x):
    top = np.max(x, axis=0)
    return np.sum(np.sin(np.log(np.sum(np.exp(x - top), axis=0)) + top))


def kept(x):
    top = np.max(x, axis=1, keepdims=True)
    return np.sum(np.sin(top + np.log(np.sum(np.exp(x - top), axis=1, keepdims=True))))


def log_softmax(x):
    z = x - np.max(x, axis=1, keepdims=True)
    return np.sum(np.sin(z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))))


CANCELLED = [whole, rows, columns, kept, log_softmax]


def wrong_axis(x):
    top = np.max(x, axis=1)
    return np.sum(np.sin(top + np.log(np.sum(np.exp(x - top), axis=1))))


def other_sum(x):
    top = np.max(x, axis=1)
    return np.sum(np.sin(top + np.log(np.sum(np.exp(x - top[:, None]), axis=0))))


def with_two(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)) + 2)


def used_again(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top))) + top**2


def power_used_again(x):
    top = np.max(x)
    e = np.exp(x - top)
    return top + np.log(np.sum(e)) + np.sum(e[0])


def total_used_again(x):
    top = np.max(x)
    s = np.sum(np.exp(x - top))
    return top + np.log(s) + s


def logarithm_twice(x):
    top = np.max(x)
    y = np.log(np.sum(np.exp(x - top)))
    return (top + y) * y


def of_another(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(2 * x - top)))


def shift_only(x):
    top = np.max(x)
    return np.log(np.sum(np.exp(x - top)))


def backwards(x):
    top = np.max(x, axis=1)
    return np.sum(np.sin(top[::-1] + np.log(np.sum(np.exp(x - top[:, None]), axis=1))))


def lost_shift(x):
    top = np.max(x)
    return top * np.log(np.sum(np.exp(x - top)))


def through_checkpoint(x):
    top = np.max(x)
    return wg.checkpoint(lambda x: top + np.log(np.sum(np.exp(x - top))) * 2.0)(x)


KEPT = [
    wrong_axis, other_sum, with_two, used_again, power_used_again, total_used_again,
    logarithm_twice, of_another, shift_only, backwards, lost_shift, through_checkpoint,
]  # fmt: skip


def operations(f):
    return {n.op.name for n in record(wg.grad(f), *split((X,), {})).graph.nodes}


@pytest.mark.parametrize("f", CANCELLED, ids=lambda f: f.__name__)
def test_a_shift_has_no_derivative(f):
    assert "equal" not in operations(f)


@pytest.mark.parametrize("f", KEPT, ids=lambda f: f.__name__)
def test_another_maximum_has_one(f):
    assert "equal" in operations(f) or f is through_checkpoint


DERIVATIVES = [wg.grad, wg.hessian, lambda f: wg.grad(lambda x: np.sum(wg.grad(f)(x) ** 2))]


@pytest.mark.parametrize("derivative", DERIVATIVES, ids=["grad", "hessian", "second"])
@pytest.mark.parametrize("f", CANCELLED + KEPT, ids=lambda f: f.__name__)
def test_derivatives_are_those_without_it(f, derivative, monkeypatch):
    got = derivative(f)(X)
    monkeypatch.setattr(reverse, "find_shifts", lambda nodes, seeds: set())
    np.testing.assert_allclose(got, derivative(f)(X), rtol=1e-12, atol=1e-13)


def test_a_shift_that_is_also_a_result_keeps_its_derivative():
    def f(x):
        top = np.max(x)
        return top + np.log(np.sum(np.exp(x - top))), top

    _, back = wg.vjp(f, X)
    (got,) = back((np.float64(2.0), np.float64(3.0)))
    want = 2.0 * sp.softmax(X) + 3.0 * (np.max(X) == X)
    np.testing.assert_allclose(got, want, rtol=1e-13)


@pytest.mark.parametrize("entry", [np.inf, np.nan, -np.inf])
@pytest.mark.parametrize("f", CANCELLED, ids=lambda f: f.__name__)
def test_nan_and_infinity_stay(f, entry, monkeypatch):
    x = X.copy()
    x[1, 1] = entry
    with np.errstate(all="ignore"):
        got = wg.grad(f)(x)
        monkeypatch.setattr(reverse, "find_shifts", lambda nodes, seeds: set())
        want = wg.grad(f)(x)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)
