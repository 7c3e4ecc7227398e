"""Arrays that are filled part by part: each store costs its part, forward and in reverse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from native_oracle import recorded

import wengert as wg
from wengert.backend.native.schedule.schedule import Schedule
from wengert.backend.native.schedule.steps import Loop, Update

P = np.array([0.4, 0.8])


def recurrence(n: int) -> Any:
    def f(a: Any) -> Any:
        y = np.zeros(n, like=a)
        y[0] = a[0]
        for i in range(1, n):
            y[i] = np.sin(y[i - 1]) * a[1] + 1 / i
        return np.sum(y**2)

    return f


def added(n: int) -> Any:
    def f(a: Any) -> Any:
        y = np.ones(n, like=a)
        for i in range(2, n):
            y[i] += y[i - 1] * y[i - 2] * a[0]
            y[i - 2] *= a[1]
        return np.sum(np.tanh(y))

    return f


def rows(n: int) -> Any:
    def f(a: Any) -> Any:
        y = np.zeros((n, 6), like=a)
        y[0, ::2] = a[0]
        for i in range(1, n):
            y[i, 1:] = np.cos(y[i - 1, :-1]) * a[1]
            y[i, 0] = y[i - 1, -1] - a[0]
        return np.sum(y * y)

    return f


def factor(n: int) -> Any:
    def f(a: Any) -> Any:
        m = np.exp(-np.abs(np.subtract.outer(np.arange(n), np.arange(n))) * a[0]) + a[1] * np.eye(n)
        x = np.zeros((n, n), like=a)
        for i in range(n):
            for j in range(i + 1):
                s = m[i, j] - x[i, :j] @ x[j, :j]
                x[i, j] = np.sqrt(s) if i == j else s / x[j, j]
        return np.sum(np.log(np.diag(x)))

    return f


def decided(n: int) -> Any:
    def f(a: Any) -> Any:
        y = np.zeros(n, like=a)
        y[0] = a[0]
        for i in range(1, n):
            y[i] = y[i - 1] * 2
            if y[i] > 5:
                y[i] = y[i] - 5 * a[1]
        return np.sum(y) * float(y[-1])

    return f


def kept(n: int) -> Any:
    """Earlier states of the array are results, too: they must not change afterwards."""

    def f(a: Any) -> Any:
        y = np.zeros(n, like=a)
        part = y[1:3]
        seen = []
        for i in range(n):
            y[i] = a[i % 2] + i
            seen += [y[0] * 1, part.copy(), y[max(i - 1, 0)] + 0]
        return (*seen, y, part)

    return f


LOOPS = [recurrence, added, rows, factor]


def copies(f: Any, *args: Any) -> int:
    """Count the loops that copy an array beside those with updates."""
    graph, _ = recorded(f, *args)
    steps = Schedule(graph).steps
    return sum(isinstance(s, Loop) and not s.items and bool(s.stores) for s in steps)


@pytest.mark.parametrize("make", [*LOOPS, decided], ids=lambda f: f.__name__)
def test_values_and_gradients(make: Any):
    f = make(7)
    for g in (f, wg.grad(f)):
        if g is not f and make is decided:
            continue  # float() loses the derivative
        for args in ((P,), (P[::-1].copy(),)):
            np.testing.assert_allclose(
                wg.jit(g, backend="native")(*args), g(*args), rtol=1e-10, atol=1e-12
            )


def test_second_order():
    f = recurrence(6)
    np.testing.assert_allclose(
        wg.jit(wg.hessian(f), backend="native")(P), wg.hessian(f)(P), rtol=1e-10, atol=1e-12
    )


def test_what_is_kept_does_not_change():
    f = kept(5)
    for got, want in zip(wg.jit(f, backend="native")(P), f(P), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("make", LOOPS, ids=lambda f: f.__name__)
def test_stores_copy_nothing(make: Any):
    for g in (make, lambda n: wg.grad(make(n))):
        assert copies(g(6), P) == copies(g(12), P)


def test_numbers_are_stored_in_one_loop():
    steps = Schedule(recorded(wg.grad(recurrence(40)), P)[0]).steps
    assert len(steps) < 10
    assert sum(isinstance(x, Update) for s in steps for x in s.items) > 80
