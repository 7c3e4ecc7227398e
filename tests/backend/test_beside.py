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
