"""Vectors that a loop computes, put beside each other: the loop writes them where they belong."""

import numpy as np
import pytest

import wengert as wg
from wengert.backend.native.schedule.schedule import Schedule
from wengert.backend.native.schedule.steps import Loop

X = np.random.default_rng(3).standard_normal((9, 4))


def changed_before(x):
    y = np.sin(x[:, 0])
    column = y[:, None].copy()
    y[2] = 5.0
    return np.concatenate([column, y[:, None]], axis=1)


def changed_under_a_view(x):
    y = np.sin(x[:, 0])
    column = y[:, None]
    y[2] = 5.0
    return np.concatenate([column, 2 * column], axis=1)


def read_elsewhere_too(x):
    a, b = np.sin(x[:, 0]), x[:, 1] * x[:, 2]
    both = np.stack([a, b, a + b], axis=1)
    return both, np.sum(a), both @ np.ones(3), a[::-1]


FUNCTIONS = {
    "columns": lambda x: np.stack([np.sin(x[:, 0]), x[:, 1] * 2, x[:, 0] * x[:, 2]], axis=1),
    "rows": lambda x: np.stack([np.sin(x[:, 0]), x[:, 1] * 2, x[:, 0] * x[:, 2]]),
    "the same twice": lambda x: np.stack([np.exp(x[:, 0])] * 2, axis=1),
    "in the middle": lambda x: np.stack([np.sin(x), np.cos(x)], axis=1),
    "arguments between": lambda x: np.stack([np.sin(x[:, 0]), x[:, 1]], axis=1),
    "numbers": lambda x: np.stack([np.sin(x[0, 0]), x[0, 1], x[0, 0] * x[-1, 0]]),
    "of numbers, as columns": lambda x: np.concatenate(
        [np.sin(x[:1, :1]), np.cos(x[:1, 1])[:, None]], axis=1
    ),
    "two axes more": lambda x: np.concatenate(
        [np.sin(x[:, 0])[None, :, None], np.cos(x[:, 1])[None, :, None]], axis=2
    ),
    "reshaped twice": lambda x: np.concatenate(
        [np.sin(x[:, 0])[:, None][None].reshape(-1, 1), x[:, :1]], axis=1
    ),
    "changed before": changed_before,
    "changed under a view": changed_under_a_view,
    "read elsewhere too": read_elsewhere_too,
    "returned itself": lambda x: np.sin(x[:, 0])[:, None],
    "read by a later loop": lambda x: (
        np.exp(np.sin(x[:, 0])[:, None] * 2) / np.sum(np.exp(np.sin(x[:, 0])[:, None] * 2))
    ),
    "read by loops of two shapes": lambda x: (
        (2 + x[:, 0])[None] / np.sum(x) + (2 + x[:, 0]) / np.max((2 + x[:, 0])[:, None])
    ),
    "summed": lambda x: np.sum(np.sin(x[:, 0])[:, None] * x, axis=0),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("rows", [1, 9, 1500])
def test_the_results_are_numpys(name, rows):
    f = FUNCTIONS[name]
    x = np.resize(X, (rows, 4)) + np.arange(rows)[:, None] / 100
    if "changed" in name and rows < 3:
        pytest.skip("it has no third row")
    expected, found = f(x), wg.jit(f)(x)
    if not isinstance(expected, tuple):
        expected, found = (expected,), (found,)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_one_loop_writes_all_columns():
    plan = wg.jit(FUNCTIONS["columns"]).plan(X)
    loops = [s for s in Schedule(plan.graph).steps if isinstance(s, Loop)]
    assert len(loops) == 1
    assert len(loops[0].stores) == 3
    assert plan.memory.peak == 0


def put_behind(x, further, again=False):
    """Rows of a loop, and others behind them."""
    rows = wg.scan(lambda c, row: (c, np.sin(row) * np.ones((40, 30))), (), x)[1]
    more = np.concatenate([rows, further(x)])
    return (more, rows[1] * 2) if again else more


@pytest.mark.parametrize(
    ("further", "again"),
    [
        (lambda x: np.cos(x[:2, :1, None]) * np.ones((2, 40, 30)), False),
        (lambda x: np.cos(x[:2, :1, None]) * np.ones((2, 40, 30)), True),
        (lambda x: np.ones((1, 40, 30)), False),
        (lambda x: np.zeros((0, 40, 30)), False),
        (lambda x: wg.scan(lambda c, r: (c, r[0] * np.ones((40, 30))), (), x)[1], False),
    ],
)
def test_rows_of_a_loop_stay_where_they_are(further, again):
    x = X[:, :1]

    def f(x):
        return put_behind(x, further, again)

    for y, expected in zip(wg.tree.leaves(wg.jit(f)(x)), wg.tree.leaves(f(x)), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-14)


def test_rows_that_are_changed_later_are_copied():
    def f(x):
        rows = wg.scan(lambda c, row: (c, np.sin(row) * np.ones(400)), (), x)[1]
        more = np.concatenate([rows, np.ones((2, 400))])
        more[0] = 5.0
        return more, np.sum(rows)

    x = X[:, :1]
    for y, expected in zip(wg.jit(f)(x), f(x), strict=True):
        np.testing.assert_allclose(y, expected, rtol=1e-14)


@pytest.mark.parametrize("trips", [3, 4])
def test_what_a_loop_carries_can_have_others_behind_it(trips):
    def f(x):
        last = wg.scan(lambda c, row: (c[::-1] * row, ()), x[:, 0], x[:trips, 1])[0]
        return np.concatenate([last, np.cos(x[:2, 0])])

    np.testing.assert_allclose(wg.jit(f)(X), f(X), rtol=1e-14)
