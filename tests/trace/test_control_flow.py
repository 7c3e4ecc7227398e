"""Python control flow on traced values: right on every side of every branch."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

import wengert as wg


def identity(f):
    return f


WRAPPERS = [identity, wg.jit]


def both_sides(x):
    return np.sum(np.log1p(np.exp(x)) * np.tanh(x)) if x[0] > 0 else np.sum(x**2)


def chained_comparison(x):
    if (-0.5 < x[0] <= 1.0 and not x[1] > 3) or x.sum() > 100:
        return x[0] * x[1]
    return x[0] - x[1] ** 2


def data_dependent_while(x):
    """Newton's square root of the mean square; the number of steps depends on x."""
    a = np.mean(x**2)
    y = a
    steps = 0
    while np.abs(y * y - a) > 1e-12 * a:
        y = (y + a / y) / 2
        steps += 1
    return y * (1 + steps)


def collatz(x):
    y = x[0] * 1.0
    n = int(abs(x[0] * 10)) + 1
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        y = y * 1.01 + x[1]
    return y


def early_return(x):
    total = 0.0
    for v in x:
        if v < 0:
            return total
        total = total + v**3
    return total * 2


def break_and_continue(x):
    total = 0.0
    for i in range(len(x)):
        if x[i] < -1:
            continue
        total = total + x[i] * (i + 1)
        if total > 2:
            break
    else:
        total = total * 5
    return total


def recursion(x):
    if x.size == 1:
        return np.sin(x[0])
    half = x.size // 2
    left, right = recursion(x[:half]), recursion(x[half:])
    return left * right if left > right else left - right


def integer_of_a_value(x):
    return x[0] ** int(abs(x[1]) + 1) * np.sum(x[: int(abs(x[2])) + 1])


def rounding(x):
    return (
        x[0] * math.floor(abs(int(x[1] * 3))) + x[1] * round(int(x[2])) + x[0] // 0.3 * x[1] % 2.0
    )


def argmax_as_an_index(x):
    y = x * 2
    return x[x.argmax()] ** 2 + y[np.argmin(x)] * x[np.argmax(np.abs(x)) - 1]


def boolean_selection(x):
    return np.sum(x[x > 0] ** 2) + np.sum(x[(x < 0) & (x > -1)]) + x[np.nonzero(x > 0)].prod()


def iteration(x):
    return sum(v * (k + 1) for k, v in enumerate(x)) + sum(a * b for a, b in pairwise(x))


def sorting_by_key(x):
    first, *_, last = sorted(x, key=lambda v: -v)
    order = sorted(range(len(x)), key=lambda i: x[i])
    return first**2 * last + sum(x[i] * k for k, i in enumerate(order))


def python_max_and_min(x):
    return max(x[0], x[1]) * min(x) + max(x, key=abs) + abs(x[2]) + sum(x) ** 2


def where(x):
    return np.sum(np.where(x > 0, x**2, np.exp(x))) + np.select(
        [x[0] > 0, x[1] > 0], [x[1], x[0]], x[2]
    )


def exceptions(x):
    total = 0.0
    for i in range(5):
        try:
            total = total + x[i] * x[0]
        except IndexError:
            total = total * 2
    try:
        if x[0] > 0:
            raise ValueError("positive")
        total = total + x[1]
    except ValueError:
        total = total - x[1] ** 2
    finally:
        total = total * x[2]
    return total


def lookup(x):
    table = {True: lambda v: v**2, False: lambda v: np.exp(v)}
    rows = [x * 1, x * x, x * x * x]
    which = int(x[0] > 0) + int(x[1] > 0)
    return np.sum(rows[which]) + table[bool(x[2] > 0)](x[1])


def generator(x):
    def running():
        total = 0.0
        for v in x:
            total = total + v
            if total > 1.5:
                return
            yield total

    return sum(v * v for v in running()) + x[0]


def truth_of_arrays(x):
    if np.any(x > 1.0) and (x < 5).all():
        x = x * 2
    if np.allclose(x, x) and np.array_equal(x, x) and x[0] != x[1] and x[0] == x[0]:
        x = x * x
    return x.sum() if x.size and not (x == 0).any() else x[0] * 0.0


def state_in_an_object(x):
    class Walker:
        def __init__(self):
            self.place = x[0]
            self.log = []

        def step(self, v):
            self.log.append(self.place)
            self.place = self.place + v if v > 0 else self.place * v

    walker = Walker()
    for v in x:
        walker.step(v)
    return walker.place + sum(walker.log)


def printing(x):
    text = f"{x[0]:.3f} {x} {x[1]!r} {x.shape} {len(x)}"
    return np.sum(x) * len(x.shape) + (0.0 if text else x[0])


def divmod_and_friends(x):
    q, r = divmod(x[0], 0.7)
    return (
        q * x[1]
        + r * x[2]
        + (-x)[0]
        + (+x)[1]
        + abs(x)[2]
        + (2.0**x).sum()
        + (1 - x)[0] / (3 + x)[1]
    )


FUNCTIONS = [
    both_sides, chained_comparison, data_dependent_while, collatz, early_return,
    break_and_continue, recursion, integer_of_a_value, rounding, argmax_as_an_index,
    boolean_selection, iteration, sorting_by_key, python_max_and_min, where, exceptions, lookup,
    generator, truth_of_arrays, state_in_an_object, printing, divmod_and_friends,
]  # fmt: skip
POINTS = [
    np.array([1.31, 0.47, -0.62]),
    np.array([-0.23, 1.85, 2.41]),
    np.array([-1.37, -0.81, 0.93]),
    np.array([0.15, 4.73, 1.12]),
]


def differences(f, x, h=1e-6):
    return np.array([(f(x + s) - f(x - s)) / (2 * h) for s in h * np.eye(x.size)])


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_control_flow(wrap, f):
    both = wrap(wg.value_and_grad(f))
    for x in [*POINTS, *POINTS]:  # the second round meets known outcomes
        value, g = both(x)
        np.testing.assert_allclose(value, f(x), rtol=1e-13)
        np.testing.assert_allclose(g, differences(f, x), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)
def test_control_flow_forward_and_second_order(f):
    v = np.array([0.3, -0.2, 0.5])
    for x in POINTS:
        value, t = wg.jvp(f, (x,), (v,))
        np.testing.assert_allclose(value, f(x), rtol=1e-13)
        np.testing.assert_allclose(t, wg.grad(f)(x) @ v, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(
            wg.hvp(f, (x,), (v,)), differences(lambda z: wg.grad(f)(z) @ v, x), rtol=1e-4, atol=1e-4
        )


def test_each_side_of_a_branch_is_recorded_once():
    calls = []

    def f(x):
        calls.append(1)
        return np.sum(x**2) if x[0] > 0 else np.sum(np.sin(x))

    step = wg.jit(wg.grad(f))
    for x in [np.ones(2), -np.ones(2), 3 * np.ones(2), -2 * np.ones(2), np.ones(2)]:
        np.testing.assert_allclose(step(x), 2 * x if x[0] > 0 else np.cos(x))
    assert len(calls) == 2


@pytest.mark.parametrize("wrap", WRAPPERS)
def test_a_loop_whose_length_is_an_argument(wrap):
    def f(x, n):
        y = x
        for _ in range(n):
            y = np.sin(y) * x
        return np.sum(y)

    both = wrap(wg.grad(f))
    x = np.array([0.4, 1.2])
    for n in (0, 1, 5):
        np.testing.assert_allclose(both(x, n), differences(lambda z, n=n: f(z, n), x), atol=1e-8)
