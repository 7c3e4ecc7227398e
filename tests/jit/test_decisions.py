"""Python decisions on traced values: every path is right, and recorded once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from jit_use import A, B, assert_same, branch

import wengert as wg
from wengert.jit.planned_function import TooManySpecialisations


def nested_branches(x):
    if x[0] > 0:
        return np.sin(x) if x[1] > 0 else np.cos(x)
    return x * 2 if x[1] > 0 else x * 3


def early_return(x):
    y = x * 2
    if y.sum() < 0:
        return y
    y = y + 1
    if np.all(y > 2):
        return np.sum(y)
    return y**2


def halve_until_small(x):
    steps = 0
    while np.linalg.norm(x) > 1:
        x = x / 2
        steps += 1
    return x, steps


def newton(a):
    x = a
    while abs(x * x - a) > 1e-12 * a:
        x = (x + a / x) / 2
    return x


def count_from_int(x):
    total = 0.0
    for i in range(int(x[0])):
        total = total + x[1] * i
    return total


def count_from_argument(x, n):
    for _ in range(n):
        x = np.sin(x)
    return x


def prefix(x, n):
    return x[:n] * 2


def window(x, n):
    return x[n : n + 2]


def rounded(x):
    return x * round(float(np.floor(x[0])))


def boolean_operators(x):
    if (x[0] > 0 and x[1] > 0) or not x[0] < 5:
        return x + 1
    return x - 1


def comparison_chain(x):
    return x if 0 < x[0] < 1 else -x


def mask(x):
    return x[x > 0] * 2


def mask_total(x):
    return np.sum(x[np.abs(x) < 1] ** 2)


def assert_inside(x):
    assert np.all(np.isfinite(x))
    return np.cumsum(x)


def any_of(x):
    return x / 2 if any(v > 1 for v in x) else x


def shape_from_data(x, n):
    return np.ones((n, 2)) * x[0]


def string_choice(x, kind):
    return {"sin": np.sin, "cos": np.cos}[kind](x)


def maybe(x, y=None):
    return x if y is None else x * y


DECISIONS = [
    (branch, [(A,), (B,), (A * 2,), (B * 3,)], 2),
    (nested_branches, [(A,), (B,), (-A,), (-B,), (A * 2,)], 4),
    (early_return, [(A,), (-A,), (A + 5,), (A + 6,), (B,)], 3),
    (halve_until_small, [(A,), (A * 4,), (A * 64,), (A / 8,), (A * 4.1,)], 1),
    (count_from_int, [(A + 3,), (A + 4,), (A + 3.2,), (A,)], 3),
    (count_from_argument, [(A, 3), (B, 3), (A, 0), (A, 2)], 3),
    (prefix, [(A, 1), (A, 2), (B, 1), (B, np.int64(1))], 3),
    (window, [(A, 0), (A, 1), (B, 1)], 2),
    (rounded, [(A + 1,), (A + 2,), (A + 1.1,)], 2),
    (boolean_operators, [(A,), (B,), (np.array([9.5, -7.0, -0.3]),), (-A,), (A + 9,)], 3),
    (comparison_chain, [(A,), (B,), (A + 1,)], 3),
    (mask, [(A,), (B,), (A[::-1].copy(),), (-A,)], 2),
    (mask_total, [(A,), (A * 2,), (B * 0.1,), (B,)], 3),
    (assert_inside, [(A,), (B,)], 1),
    (any_of, [(A,), (A + 1,), (B,), (B - 1,)], 3),
    (shape_from_data, [(A, 1), (A, 3), (B, 3)], 2),
    (string_choice, [(A, "sin"), (A, "cos"), (B, "sin")], 2),
    (maybe, [(A,), (A, B), (B, None), (B, 2.0), (B, 3)], 5),
    (newton, [(2.0,), (9.0,), (2.1,)], None),
]


@pytest.mark.parametrize(
    ("f", "points", "paths"), DECISIONS, ids=lambda x: getattr(x, "__name__", "")
)
def test_every_path_is_right_and_recorded_once(f, points, paths):
    jitted = wg.jit(f)
    for args in points:
        assert_same(jitted(*args), f(*args))
    traces = jitted.cache_info().traces
    if paths is not None:
        assert traces == paths
    for args in points[::-1] + points:
        assert_same(jitted(*args), f(*args))
    assert jitted.cache_info().traces == traces == jitted.cache_info().specialisations


@pytest.mark.parametrize(
    "f",
    [branch, nested_branches, early_return, mask_total, halve_until_small],
    ids=lambda f: f.__name__,
)
def test_gradients_on_both_sides_of_each_branch(f):
    def total(x):
        y = f(x)
        return np.sum(y[0] if isinstance(y, tuple) else y)

    plain, jitted = wg.grad(total), wg.jit(wg.grad(total))
    for x in (A, B, -A, -B, A * 4, A + 5, A, B):
        assert_same(jitted(x), plain(x))
    assert jitted.cache_info().traces <= 4


def test_an_index_from_data_needs_no_guard():
    def f(x):
        return x[x.argmax()] * 2 + x[np.argsort(x)[0]]

    jitted = wg.jit(f)
    for x in (A, B, A[::-1].copy(), B[::-1].copy()):
        assert_same(jitted(x), f(x))
    assert jitted.cache_info().traces == 1


def test_an_integer_array_indexes_without_a_guard():
    def f(x, i):
        return x[i] ** 2

    jitted = wg.jit(f)
    for i in (np.array(0), np.array(2)):
        assert_same(jitted(A, i), f(A, i))
    assert jitted.cache_info().traces == 1


def test_a_mask_is_guarded_by_its_count_only():
    jitted = wg.jit(mask)
    for x in (np.array([1.0, -1, -1, 2]), np.array([-1.0, 3, 4, -1]), np.array([5.0, -1, -1, 6])):
        assert_same(jitted(x), mask(x))
    assert jitted.cache_info().traces == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.0, 0.0, 1.5])
def test_float_outcomes_are_compared_by_their_bits(value):
    jitted = wg.jit(lambda x: np.copysign(1.0, float(x)))
    for v in (value, 0.0, -0.0, value, np.nan):
        x = np.float64(v)
        assert jitted(x) == np.copysign(1.0, v)
    traces = jitted.cache_info().traces
    assert jitted(np.float64(value)) == np.copysign(1.0, value)
    assert jitted.cache_info().traces == traces <= 4


def test_exceptions_leave_the_cache_usable():
    def f(x):
        if x[0] < 0:
            raise KeyError("negative")
        if x[0] > 10:
            return np.linalg.inv(np.zeros((2, 2)) * x[0])
        return x * 2

    jitted = wg.jit(f)
    for _ in range(2):
        assert_same(jitted(A), A * 2)
        with pytest.raises(KeyError, match="negative"):
            jitted(-A)
        with pytest.raises(np.linalg.LinAlgError):
            jitted(A + 10)
    assert jitted.cache_info().specialisations == 1


# --- too many paths -------------------------------------------------------------------------------
def test_past_the_limit_one_warning_and_right_results():
    def f(x, n):
        return np.sum(x) * sum(range(n)), x

    jitted = wg.jit(f, max_specialisations=3)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for n in [*range(6), *range(6)]:
            assert_same(jitted(A, n), f(A, n))
    (warning,) = seen
    assert warning.category is TooManySpecialisations
    assert "f takes more than 3 different paths" in str(warning.message)
    assert "np.where" in str(warning.message)
    assert warning.filename == __file__
    assert jitted.cache_info() == (3, 1, 3, 1)


def test_without_compilation_the_promises_hold():
    def f(x, n):
        if int(n) == 2:
            x[0] = 5.0
        return x

    jitted = wg.jit(f, max_specialisations=1)
    x = A.copy()
    jitted(x, 0)
    with pytest.warns(TooManySpecialisations):
        y = jitted(x, 1)
    y[:] = 7.0
    np.testing.assert_array_equal(x, A)
    with pytest.raises(ValueError, match="changes an argument"):
        jitted(x, 2)
    np.testing.assert_array_equal(x, A)


def test_a_function_without_decisions_never_reaches_the_limit():
    jitted = wg.jit(lambda x: x * 2, max_specialisations=1)
    for n in range(4):
        assert_same(jitted(np.ones(n)), np.full(n, 2.0))
    assert jitted.cache_info().fallbacks == 0
