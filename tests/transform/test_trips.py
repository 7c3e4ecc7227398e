"""Loops of Python that traced values end: one recording holds for any number of trips."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import wengert as wg
from wengert.errors import MutationError

POINTS = (2.0, 5.0, 17.0, 1.2, 9.0, 0.7, 3.3)


def newton(a):
    x = a
    while abs(x * x - a) > 1e-12 * a:
        x = 0.5 * (x + a / x)
    return x


def capped(a):
    x = a
    for _ in range(50):
        y = 0.5 * (x + a / x)
        if abs(y - x) < 1e-9:
            break
        x = y
    return y


def returning(a):
    x = a
    while True:
        y = 0.5 * (x + a / x)
        if abs(y - x) < 1e-9:
            return y
        x = y


def counted(a):
    n, x = 0, a
    while x > 1.5 and n < 20:
        x = x / 1.3
        n += 1
    return x * n + n


def otherwise(a):
    x = np.array([a, 2 * a])
    while np.sum(x) > 1.5:
        x = 0.9 * np.sin(x)
    else:
        x = x + 1
    return x[0] * x[1]


def branching(a):
    x, total = a, 0.0
    while x > 0.1:
        if x > 2:
            x = x - 0.7
        else:
            x = x * 0.5
            if total > 3:
                continue
        total = total + x
    return total


def calling(a):
    def f(x):
        return x * x - a

    x = a + 1
    while abs(f(x)) > 1e-10:
        x = x - f(x) / wg.grad(f)(x)
    return x


def nested(a):
    x = a
    for _ in range(100):
        y = x
        while y > 1.0:
            y = y * 0.5
        x = x * 1.1 + y
        if x > 20:
            break
    return x


def bisected(a):
    low, high = 0.0, a + 1.0
    steps = 0
    while high - low > 1e-6:
        middle = (low + high) / 2
        if middle * middle > a:
            high = middle
        else:
            low = middle
        steps += 1
    return a * (low + high) / 2 + steps


def searched(a):
    for k in range(3, 60, 4):
        if math.sqrt(k) * 0.7 > a:
            return a * k
    return -a


def solved(a):
    x = np.array([1.0, a])
    while np.linalg.norm(x) > 0.1:
        x = 0.4 * np.linalg.solve(np.eye(2) + 0.1 * np.outer(x, x), x)
    return np.sum(x)


def broken(a):
    x, n = a, 0
    while x > 0.3 and n < 6:
        n += 1
        if abs(x - 1) < 0.2:
            break
        x = 0.8 * x
    else:
        x = x + 1.0
    return x * n


def kept(a):
    x, y, n = a, 0.0, 0
    while n < 5 and a * n < 30:
        n += 1
        for _ in range(10):
            y = 0.7 * x + 0.1
            x = 0.8 * x
            if x - y < 0.2 * a:
                break
            x = 0.9 * x + 0.01
    return x + 3 * y


def comprehending(a):
    x, places = a, [0.1, 0.3, 0.5]
    while x > 0.2:
        x = 0.2 * x + sum(0.1 * abs(x - p) for p in places) - 0.1 * len([2 * p for p in places])
    return x


FOLDED = {
    newton: 1, capped: 1, returning: 1, counted: 1, otherwise: 1, branching: 1, calling: 1,
    nested: 1, bisected: 1, searched: 2, solved: 1, broken: 2, kept: 3, comprehending: 1,
}  # fmt: skip


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("backend", "kind"),
    [
        ("numpy", float),
        pytest.param("numpy", np.float64, marks=slow),
        pytest.param("native", float, marks=slow),
        pytest.param("native", np.float64, marks=slow),
    ],
)
@pytest.mark.parametrize("f", FOLDED, ids=lambda f: f.__name__)
def test_any_number_of_trips_is_one_recording(f, kind, backend):
    jitted = wg.jit(f, backend=backend)
    for a in map(kind, POINTS):
        y = jitted(a)
        np.testing.assert_allclose(y, f(a), rtol=1e-13)
        assert type(y) is type(f(a))
    assert jitted.cache_info().traces <= FOLDED[f]


MODES = {
    "reverse": wg.grad,
    "forward": lambda f: lambda a: wg.jvp(f, (a,), (1.0,))[1],
    "second": lambda f: wg.grad(wg.grad(f)),
    "forward over reverse": lambda f: lambda a: wg.jvp(wg.grad(f), (a,), (1.0,))[1],
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "f",
    [f if f is newton else pytest.param(f, marks=slow) for f in FOLDED],
    ids=lambda f: f.__name__,
)
def test_derivatives(f, mode):
    plain = MODES[mode](f)
    jitted = wg.jit(plain)
    for a in POINTS[::2]:
        np.testing.assert_allclose(jitted(a), plain(a), rtol=1e-11, atol=1e-13)
    limit = 1 if mode == "forward" else 3
    assert f is nested or jitted.cache_info().traces <= max(limit, FOLDED[f])


@slow
@pytest.mark.parametrize("f", [newton, branching, otherwise], ids=lambda f: f.__name__)
def test_batches_of_loops(f):
    points = np.array(POINTS)
    expected = [f(a) for a in points]
    np.testing.assert_allclose(wg.jit(wg.vmap(f))(points), expected, rtol=1e-12)
    slopes = [wg.grad(f)(a) for a in points]
    np.testing.assert_allclose(wg.jit(wg.vmap(wg.grad(f)))(points), slopes, rtol=1e-10)


# --- what is left to Python -----------------------------------------------------------------------
LOG: list[Any] = []


class Counter:
    """Counts trips."""

    trips = 0


def eighth(a):
    kept, n = [], 0
    x = a
    while x > 1.5:
        x = x / 1.1
        n += 1
        if n == 8:
            kept.append(x)
    return x + sum(kept)


def test_an_eighth_trip_that_does_something_else_is_one_more_recording():
    jitted = wg.jit(eighth)
    for a in (1.6, 2.0, 1.7, 1.9):
        assert jitted(a) == eighth(a)
    assert jitted.cache_info().traces == 1
    assert jitted(4.0) == eighth(4.0)
    assert jitted.cache_info().traces == 2
    assert jitted(1.8) == eighth(1.8)
    assert jitted.cache_info().traces == 2


def appending(a):
    x, seen = a, []
    while x > 1.5:
        x = x * 0.8
        seen.append(x)
    return np.sum(np.array(seen)) + len(seen) if seen else x


def storing(a):
    x, table = a, {}
    while x > 1.5:
        x = x * 0.8
        table["last"] = x
    return table.get("last", a)


def on_an_object(a):
    c = Counter()
    x = a
    while x > 1.5:
        x = x * 0.8
        c.trips += 1
    return x * c.trips


def on_a_global(a):
    x = a
    while x > 1.5:
        x = x * 0.8
        LOG.append(1)
    return x


def with_a_closure(a):
    x = a

    def read():
        return x

    while read() > 1.5:
        x = x * 0.8
    return x + read()


def in_place(a):
    x = np.array([a, 1.0])
    while np.sum(x) > 1.5:
        x *= 0.8
    return np.sum(x)


def under_another_name(a):
    y = np.array([a, 1.0]) * 1.0
    x = y
    while np.sum(x) > 2.4:
        x = x * 0.8
    x[0] = 7.0
    return np.sum(y * 2) + np.sum(x)


def two_names(a):
    x = np.array([a, 1.0])
    y = x
    while np.sum(x) > 1.5:
        x = x * 0.8
        y = x
    y[0] = 3.0
    return np.sum(x)


def caught(a):
    x, n = a, 0
    while x > 1.5:
        try:
            x = x * 0.8 / (n - 3)
        except ZeroDivisionError:
            x = x * 0.5
        n += 1
    return x * n


def iterating(a):
    x, rows = a, iter([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05])
    while x > 1.5:
        x = x * next(rows)
    return x + next(rows)


def looked_up(a):
    x = a
    while x > 1.5:
        x = x * 0.8
    return locals()["x"]


def changing_kind(a):
    x, found = a, None
    while x > 1.5:
        x = x * 0.8
        if found is None and x < 4:
            found = x
    return x if found is None else found * x


OTHERS = [
    eighth, appending, storing, on_an_object, on_a_global, with_a_closure, in_place,
    under_another_name, two_names, caught, iterating, looked_up, changing_kind,
]  # fmt: skip


@pytest.mark.parametrize("order", [0, pytest.param(1, marks=slow), pytest.param(2, marks=slow)])
@pytest.mark.parametrize("f", OTHERS, ids=lambda f: f.__name__)
def test_what_has_effects_is_right(f, order):
    plain = f
    for _ in range(order):
        plain = wg.grad(plain)
    for backend in ("numpy", "native")[: 1 + bool(order)]:
        jitted = wg.jit(plain, backend=backend)
        for a in map(np.float64, (2.0, 4.0, 1.0, 9.0, 2.1)):
            del LOG[:]
            expected = plain(a)
            np.testing.assert_allclose(jitted(a), expected, rtol=1e-12)


def test_effects_happen_once_while_recording():
    del LOG[:]
    wg.jit(on_a_global)(4.0)
    recorded = len(LOG)
    del LOG[:]
    on_a_global(4.0)
    assert recorded == len(LOG)


def dividing(a):
    x, n = a, 5
    while x > 0.5:
        n -= 1
        x = x * 0.5 + 1 / n
    return x


def test_what_python_raises_is_raised():
    jitted = wg.jit(dividing)
    assert jitted(0.25) == dividing(0.25)
    for a in (300.0, 4.0):
        with pytest.raises(ZeroDivisionError):
            dividing(a)
        with pytest.raises(ZeroDivisionError):
            jitted(a)


def test_arguments_stay_as_they_are():
    def f(a, x):
        while np.sum(x) > 3:
            x = x * 0.5
        x[0] = a
        return np.sum(x)

    x = np.array([4.0, 4.0])
    jitted = wg.jit(f)
    assert jitted(1.0, x) == f(1.0, x.copy())
    with pytest.raises(MutationError):
        jitted(1.0, np.array([1.0, 1.0]))


def test_floating_point_errors_that_raise_are_raised():
    def f(x):
        with np.errstate(all="raise"):
            while x > 1e-300:
                x = x * x / np.float64(1e10)
        return x

    with pytest.raises(FloatingPointError):
        wg.jit(f)(np.float64(1.0))


def test_numbers_of_python_stay_numbers_of_python():
    def f(a, n):
        while n < 40:
            n = n * 3
            if a * n > 30.0:
                break
        return n // 2, a * n

    jitted = wg.jit(f)
    for a in (1.0, 4.0, 0.1):
        found = jitted(a, 2)
        assert found == f(a, 2)
        assert list(map(type, found)) == [int, float]
    assert jitted.cache_info().traces == 1


def test_the_program_is_a_loop():
    plan = wg.jit(newton).plan(2.0)
    assert [n.op.name for n in plan.graph.nodes].count("while_loop") == 1
    assert not plan.host_calls
