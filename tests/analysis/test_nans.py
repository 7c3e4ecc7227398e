"""The operation that first makes NaN or infinity is found, in the function and its derivative."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.analysis.nans import NanReport
from wengert.errors import NonFiniteError

X = np.array([4.0, 0.0, 1.0])


def logarithm(x):
    y = x - 1
    return np.sum(np.log(y) * x)  # <- log


def root(x):
    y = np.sqrt(x)  # <- root
    return np.sum(y)


def kink(x):
    r = np.sqrt(np.sum((x - X) ** 2))  # <- kink
    return r**3


def masked(x):
    return np.sum(np.where(x > 0, np.sqrt(x - 1), 0.0))


def overflow(x):
    return np.sum(np.exp(x * 1000))


def twice(x):
    return np.sum(x**1.5)


def inside(x):
    y = 1 / x
    return np.sum(np.where(x == 0, 0.0, np.sin(y)))


def step(c, t):
    u = c - 0.5
    v = np.sqrt(u)  # <- step
    return v, c


def repeated(x):
    return np.sum(wg.scan(step, x, np.arange(5.0))[0])


def twice_repeated(x):
    return np.sum(wg.fori_loop(0, 3, lambda i, c: wg.scan(step, c, np.arange(2.0))[0] + 0.2, x))


def slope(c, t):
    r = np.sqrt(c * t)  # <- slope
    return r + 1, None


def backwards(x):
    return np.sum(wg.scan(slope, x, np.arange(3.0), reverse=True)[0])


def until(x):
    return np.sum(wg.while_loop(lambda c: np.max(c) < 1e300, np.exp, x))


def either(x):
    return wg.cond(np.sum(x) > 0, lambda x: np.sum(np.log(x)), np.sum, x)


# in the bodies of loops and branches: operation, stage, what it differentiates, trips
INSIDE = {
    "a trip": (repeated, X + 1, ("sqrt", "value", "", (2,))),
    "a loop in a loop": (twice_repeated, X - X + 1.2, ("sqrt", "value", "", (2, 0))),
    "the way back": (backwards, X + 1, ("divide", "backward", "sqrt", (0,))),
    "compiled": (wg.jit(wg.grad(repeated)), X + 1, ("sqrt", "value", "", (2,))),
    "while": (until, X, ("exp", "value", "", (2,))),
    "a branch": (either, X, ("log", "value", "", ())),
    "second order": (wg.hessian(repeated), X + 1, ("sqrt", "value", "", (2,))),
}


# function, point, and: operation, stage, what it differentiates, element, whether a result is wrong
FOUND = {
    "forward": (logarithm, X, ("log", "value", "", (1,), True)),
    "slope": (root, X, ("divide", "backward", "sqrt", (1,), True)),
    "zero times infinity": (kink, X, ("divide", "backward", "sqrt", (), True)),
    "masked": (masked, X + np.array([0, -3, 1]), ("sqrt", "value", "", (1,), False)),
    "overflow": (overflow, X, ("exp", "value", "", (0,), True)),
    "a derivative": (wg.hessian(twice), X, ("power", None, None, (1,), True)),
    "compiled": (wg.jit(wg.grad(root)), X, ("divide", "backward", "sqrt", (1,), True)),
    "left out": (inside, X, ("divide", "value", "", (1,), False)),
    "a vector": (np.sqrt, X, ("divide", "backward", "sqrt", (1,), True)),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_is_found(name):
    f, x, (op, stage, of, element, reaches) = FOUND[name]
    found = wg.find_nan(f, x)
    assert isinstance(found, NanReport)
    assert (found.op, found.element, found.reaches) == (op, element, reaches)
    assert found.stage == (stage or found.stage)
    assert of is None or found.of == of
    assert not np.isfinite(found.made)
    assert found.why


@pytest.mark.parametrize("name", INSIDE)
def test_what_is_found_in_bodies(name):
    f, x, (op, stage, of, trips) = INSIDE[name]
    found = wg.find_nan(f, x)
    assert (found.op, found.stage, found.of, found.trips) == (op, stage, of, trips)
    assert found.file == __file__
    assert not trips or "in trip" in str(found)


@pytest.mark.parametrize(("f", "mark"), [(repeated, "step"), (backwards, "slope")])
def test_the_line_is_that_of_the_body(f, mark):
    assert wg.find_nan(f, X + 1).source.endswith(f"# <- {mark}")


@pytest.mark.parametrize(("f", "mark"), [(logarithm, "log"), (root, "root"), (kink, "kink")])
def test_the_line_is_the_users(f, mark):
    found = wg.find_nan(f, X)
    assert found.file == __file__
    assert found.source.endswith(f"# <- {mark}")
    assert found.source in str(found)


def test_nothing_is_found():
    assert wg.find_nan(np.sum, X) is None
    assert wg.find_nan(lambda x, name: np.sum(x) if name == "a" else x, X, "a") is None
    assert wg.find_nan(lambda n: n + 1, 3) is None


def test_numbers_that_are_given():
    bad = np.array([1.0, np.nan])
    assert "number 0 of the arguments' arrays and numbers, at (1,)" in str(wg.find_nan(np.sum, bad))
    assert "a captured array" in str(wg.find_nan(lambda x: np.sum(x * bad), X[:2]))


def test_the_double_where():
    """The derivative is right as it stands; the report says so."""
    f = lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))  # noqa: E731
    np.testing.assert_array_equal(wg.grad(f)(X), [0.25, 0.0, 0.5])
    found = wg.find_nan(f, X - np.array([0, 1, 0]))
    assert not found.reaches
    assert "leaves it out" in found.why
    assert "np.where(m, g(np.where(m, x, 1.0)), 0.0)" in wg.find_nan(root, X).why


def test_vectors_of_repeated_eigenvalues():
    found = wg.find_nan(lambda x: np.linalg.eigh(np.eye(2) * x[0])[1][0, 1], X)
    assert found.of == "eigh"
    assert "repeated eigenvalues" in found.why


@pytest.mark.parametrize("wrap", [lambda f: f, wg.jit], ids=["eager", "jit"])
def test_debug_nans(wrap):
    step = wrap(wg.grad(kink))
    assert np.isnan(step(X)).all()
    with wg.debug_nans():
        with pytest.raises(NonFiniteError, match="first made by divide, in its derivative") as info:
            step(X)
        assert isinstance(info.value, FloatingPointError)
        np.testing.assert_allclose(step(X + 1), 3 * np.sqrt(3) * np.ones(3), rtol=1e-14)
        assert np.isinf(wrap(wg.grad(root))(X)[1])
        with wg.debug_nans(infinities=True), pytest.raises(NonFiniteError, match="infinity"):
            wrap(wg.grad(root))(X)
        assert np.isinf(wrap(wg.grad(root))(X)[1])
    assert np.isnan(step(X)).all()
