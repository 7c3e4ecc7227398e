"""Optimisers against steps computed by hand."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from wengert.train import OPTIMIZERS, SCHEDULES, SGD, Adam, Momentum
from wengert.train.optim import init, update


def steps(optimizer, gradients, rate, x=1.0):
    """Return the values of a scalar parameter after each step."""
    params, values = np.array(x), []
    state = init(optimizer, params)
    for g in gradients:
        params, state = update(optimizer, params, np.array(g), state, rate)
        values.append(float(params))
    return values


def test_sgd_by_hand():
    assert steps(SGD(), [2.0, -1.0], rate=0.1) == pytest.approx([0.8, 0.9])


def test_momentum_by_hand():
    # v = -0.2, then 0.9 * -0.2 - 0.1 * 1 = -0.28
    assert steps(Momentum(0.9), [2.0, 1.0], rate=0.1) == pytest.approx([0.8, 0.52])


def test_adam_by_hand():
    """Kingma and Ba 2015, algorithm 1, as it stands there."""
    gradients, rate = [2.0, -1.0, 0.5, 0.25], 0.1
    theta, m, v, expected = 1.0, 0.0, 0.0, []
    for t, g in enumerate(gradients, start=1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.999**t)
        theta -= rate * m_hat / (np.sqrt(v_hat) + 1e-8)
        expected.append(theta)
    assert expected[0] == pytest.approx(0.9)  # the first step is the learning rate
    assert steps(Adam(), gradients, rate) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_update_of_a_tree_is_pure(name, rng):
    optimizer = OPTIMIZERS[name]()
    params = [{"w": rng.normal(size=(2, 3)), "b": rng.normal(size=3)}]
    grads = [{"w": rng.normal(size=(2, 3)), "b": rng.normal(size=3)}]
    state = init(optimizer, params)
    before = copy.deepcopy((params, grads, state.slots))
    new, new_state = update(optimizer, params, grads, state, 0.1)
    new, new_state = update(optimizer, new, grads, new_state, 0.1)
    np.testing.assert_equal((params, grads, state.slots), before)
    assert state.t == 0
    assert new_state.t == 2
    for key in ("w", "b"):  # leaf by leaf as if it were alone
        alone, single = params[0][key], init(optimizer, params[0][key])
        for _ in range(2):
            alone, single = update(optimizer, alone, grads[0][key], single, 0.1)
        np.testing.assert_array_equal(new[0][key], alone)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_finds_the_minimum_of_a_quadratic(name):
    optimizer, x = OPTIMIZERS[name](), np.array([3.0, -2.0])
    state, curvature = init(optimizer, x), np.array([1.0, 4.0])
    for _ in range(500):
        x, state = update(optimizer, x, curvature * x, state, 0.05)
    np.testing.assert_allclose(x, 0.0, atol=1e-3)


def test_schedules():
    assert [SCHEDULES["constant"](s) for s in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]
    assert [SCHEDULES["cosine"](s) for s in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.0])
