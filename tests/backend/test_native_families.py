"""Which large arrays share a loop: those that have to do with each other, and where values go."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.backend.native.schedule.families import LARGE
from wengert.backend.native.schedule.schedule import Schedule
from wengert.backend.native.schedule.steps import Loop

WIDTH = 64
ROWS = LARGE // (8 * WIDTH)


def loops(f, *args):
    """Return the loops over arrays of a compiled function that do something."""
    steps = Schedule(wg.jit(f).plan(*args).graph).steps
    return [s for s in steps if isinstance(s, Loop) and s.shape and (s.items or s.stores)]


def arrays(rows, count=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(rows, WIDTH)) for _ in range(count)]


@pytest.mark.parametrize(
    ("f", "large", "small"),
    [
        (lambda a, b: (np.sin(a), np.cos(b)), 2, 1),
        (lambda a, b: (np.sin(a), np.cos(a)), 1, 1),
        (lambda a, b: np.sin(a) * np.cos(b), 1, 1),
        (lambda a, b: np.exp(np.sin(np.tan(a))) + np.exp(np.cos(b)), 1, 1),
        (lambda a, b: (np.sum(a * a), np.sum(b * b)), 2, 1),
        (lambda a, b: np.sum(a * a) + np.sum(a * b), 1, 1),
        (lambda a, b: (a + 1, b + 1, a * b), 1, 1),
        (lambda a, b: (a + 1, b + 1, np.sin(a), np.sin(b)), 2, 1),
    ],
)
def test_what_has_nothing_in_common_shares_a_loop_only_where_it_is_small(f, large, small):
    assert len(loops(f, *arrays(ROWS))) == large
    assert len(loops(f, *arrays(ROWS - 1))) == small
    for rows in (ROWS, ROWS - 1):
        args = arrays(rows)
        got, want = wg.jit(f)(*args), f(*args)
        for a, b in zip(np.atleast_1d(got), np.atleast_1d(want), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_a_value_that_only_a_later_loop_reads_is_computed_there():
    """The exponential is not held while the products are computed, and computed once."""
    a, w = arrays(ROWS, 1)[0], np.eye(WIDTH)

    def f(a, w):
        h, s = np.sin(a), np.exp(a)
        return (h @ w @ w) * s

    plan = wg.jit(f).plan(a, w)
    schedule = Schedule(plan.graph)
    places = [
        s.step
        for s in schedule.steps
        if isinstance(s, Loop)
        for item in s.items
        if item[0].op.name == "exp"
    ]
    assert places == [schedule.steps[-1].step]
    assert plan.memory.peak == 2 * a.nbytes
    np.testing.assert_allclose(plan(a, w), f(a, w), rtol=1e-12, atol=1e-12)


def test_a_value_that_its_loop_needs_stays_there():
    a, w = arrays(ROWS, 1)[0], np.eye(WIDTH)

    def f(a, w):
        s = np.exp(a)
        return ((s + 1) @ w @ w) * s

    made = [s for s in loops(f, a, w) if any(x[0].op.name == "exp" for x in s.items)]
    assert len(made) == 1
    assert made[0].stores
    np.testing.assert_allclose(wg.jit(f)(a, w), f(a, w), rtol=1e-12, atol=1e-12)


def test_a_value_is_not_moved_past_a_change_of_what_it_reads():
    a, w = arrays(ROWS, 1)[0], np.eye(WIDTH)

    def f(a, w):
        c = a + 1
        h = np.sin(c)
        s = np.exp(c)
        c[::2] = 0
        return (h @ w) * s + c

    for _ in range(2):
        np.testing.assert_allclose(wg.jit(f)(a, w), f(a.copy(), w), rtol=1e-12, atol=1e-12)
