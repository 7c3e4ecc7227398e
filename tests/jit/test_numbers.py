"""Python numbers mean the same compiled as not: first call, later calls, both backends."""

from __future__ import annotations

import itertools
import operator

import numpy as np
import pytest

import wengert as wg
from wengert.ops.elementwise import UFUNCS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

VALUES = {
    float: (2.5, -1.5, 0.0, -0.0, 1.0, 1e200, np.inf, np.nan),
    int: (3, 0, -2, 1, 2**40),
    bool: (True, False),
    complex: (1 + 2j, 0j, -1.5 + 0j),
}
BINARY = (
    *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and_", "or_", "xor"),
    *("lshift", "rshift", "lt", "le", "gt", "ge", "eq", "ne"),
)
KINDS = tuple(itertools.product(VALUES, repeat=2))


def result(f, args):
    try:
        return f(*args)
    except (ArithmeticError, TypeError, ValueError) as error:
        return type(error)


def same(got, want):
    """The same value and type, or the same exception."""
    if isinstance(want, type) or isinstance(got, type):
        return got is want
    if type(got) is not type(want):
        return False
    if isinstance(want, int) or not np.issubdtype(np.asarray(want).dtype, np.number):
        return bool(np.all(got == want))
    return np.allclose(got, want, rtol=1e-13, equal_nan=True)


def check(f, calls, backend):
    jitted = wg.jit(f, backend=backend, max_specialisations=1000)
    for args in calls:
        got, want = result(jitted, args), result(f, args)
        assert same(got, want), (args, got, want)


@pytest.mark.share(4)
@pytest.mark.parametrize("name", BINARY)
def test_operators(name, backend):
    f = getattr(operator, name)
    for a, b in KINDS:
        calls = list(itertools.product(VALUES[a], VALUES[b]))
        if name == "lshift" or (name == "pow" and a is b is int):
            calls = [c for c in calls if not (type(c[1]) is int and c[1] > 100)]
        check(lambda x, y: f(x, y), calls[:25], backend)


@pytest.mark.parametrize("f", [operator.neg, operator.pos, operator.invert, abs])
def test_operators_of_one_number(f, backend):
    for values in VALUES.values():
        check(lambda x: f(x), [(v,) for v in values], backend)


@pytest.mark.share(4)
@pytest.mark.parametrize("ufunc", [u for u in UFUNCS if u.nin < 3], ids=lambda u: u.__name__)
def test_functions_of_numpy(ufunc):
    for kinds in itertools.product(VALUES, repeat=ufunc.nin):
        calls = list(itertools.product(*(VALUES[k] for k in kinds)))[:: 1 + (ufunc.nin > 1)][:10]
        check(lambda *xs: ufunc(*xs), calls, "native")


PROGRAMS = [
    lambda p: ((p > 0) + (p > -1)) * p,
    lambda p: ~(p > 0) * p,
    lambda p: ((2 * p + 1 > 0) + (p * p > -1) + (p > 5)) * p,
    lambda p: np.where(p > 0, p, -p) * (-(p < 1)),
    lambda p: (1 + p > 0) * p + (abs(p) > 0.1) * 2 + (-p < 0),
    lambda p: 1 / (p - 0.7) if p != 0.7 else p,
    lambda p: sum([p, p * 2, 3]) - max(p, 2) * min(p, 0.5),
    lambda p: (p // 0.3) + p % 0.3 + round(p > 0.5) * p,
    lambda p: np.sin(p) ** 2 + p**2 + p**0.5 if p > 0 else -p * 2,
]


@pytest.mark.parametrize("f", PROGRAMS)
def test_values_under_every_transformation(f):
    ways = [
        lambda p: wg.vjp(f, p, allow_int=True)[0],
        lambda p: wg.jvp(f, (p,), (1.0,), allow_int=True)[0],
        lambda p: wg.linearize(f, p, allow_int=True)[0],
        lambda p: wg.value_and_grad(f)(p)[0],
    ]
    ways += [f, *ways]
    jitted = [wg.jit(way) for way in ways]
    for p in (0.7, -0.7, 3.0, 0.7):
        for way in (*ways, *jitted):
            np.testing.assert_allclose(way(p), f(p), rtol=1e-13)


def test_integers_have_no_bound(backend):
    square = wg.jit(lambda n: n * n, backend=backend)
    assert [square(n) for n in (3, 2**40, 5, 2**200, -(2**40))] == [
        n * n for n in (3, 2**40, 5, 2**200, -(2**40))
    ]
    power = wg.jit(lambda n, k: n**k, backend=backend)
    for n, k in ((3, 4), (3, 50), (2, -1), (3, 4), (10, 18), (10, 19), (0, 0), (7, 30)):
        assert same(power(n, k), n**k)
    steps = wg.jit(lambda x, t: x * (1 - 0.9**t) / (t + 1), backend=backend)
    for t in range(1, 20):
        np.testing.assert_allclose(steps(np.ones(2), t), np.ones(2) * (1 - 0.9**t) / (t + 1))
    assert steps.cache_info().traces == 1  # a counter is data


@pytest.mark.parametrize("order", ["abc", "cba", "bac"])
def test_a_division_by_zero_is_caught(order, backend):
    def ratio(a, b):
        try:
            return a / b
        except ZeroDivisionError:
            return a * 10

    calls = {"a": (1.0, 2.0), "b": (1.0, 0.0), "c": (3, 0)}
    jitted = wg.jit(ratio, backend=backend)
    for which in order * 2:
        assert same(jitted(*calls[which]), ratio(*calls[which]))


GRADIENTS = [
    (lambda x: x**2, 1e200, 2e200),
    (lambda x: x**0.5, 0.0, np.inf),
    (lambda x: x**-2, 0.0, -np.inf),
    (lambda x: 1 / x, 0.0, -np.inf),
    (lambda x: np.arctan2(x, x + 1), 2.0, 1 / 13),
    (np.prod, 3.5, 1.0),
    (np.median, 3.5, 1.0),
    (np.transpose, 3.5, 1.0),
    (lambda x: np.flip(x), 3.5, 1.0),
    (lambda x: np.tensordot(x, 2.0, axes=0), 3.5, 2.0),
    (lambda x: x // 1 * x, 3.5, 3.0),
]


@pytest.mark.parametrize(("f", "x", "want"), GRADIENTS)
def test_gradients_are_those_of_numpys_scalars(f, x, want, backend):
    gradient, jitted = wg.grad(f), wg.jit(wg.grad(f), backend=backend)
    np.testing.assert_allclose(gradient(x), want)
    for _ in range(2):
        np.testing.assert_allclose(jitted(x), want)
    later = wg.jit(wg.grad(f), backend=backend)
    later(1.0)
    np.testing.assert_allclose(later(x), want)
