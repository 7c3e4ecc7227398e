"""The automatic gradient equals the closed-form recursion of the deltas."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.train import ACTIVATIONS, LOSSES, gradcheck
from wengert.train.gradcheck import check_gradient
from wengert.train.model import flatten

HIDDEN = [(), (5,), (5, 4), (5, 4, 3)]


@pytest.mark.parametrize("task", LOSSES)
@pytest.mark.parametrize("hidden", HIDDEN, ids=lambda h: f"{len(h)} hidden")
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_is_that_of_the_recursion(make_case, activation, hidden, task):
    """Kakade, The time complexity of Backprop, section 2; with biases and weight decay."""
    objective, params, x, y = make_case(activation, hidden, task)
    value, grads = wg.value_and_grad(objective)(params, x, y)
    assert value == objective(params, x, y)
    expected = gradcheck.delta_recursion(objective, params, x, y)
    for layer, reference in zip(grads, expected, strict=True):
        np.testing.assert_allclose(layer["w"], reference["w"], rtol=0, atol=1e-12)
        np.testing.assert_allclose(layer["b"], reference["b"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_compiled_gradient_is_that_of_the_recursion(make_case, activation):
    objective, params, x, y = make_case(activation)
    step = wg.jit(wg.value_and_grad(objective))
    expected = flatten(gradcheck.delta_recursion(objective, params, x, y))
    for _ in range(2):
        np.testing.assert_allclose(flatten(step(params, x, y)[1]), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("task", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_gradient_check_passes(make_case, activation, task):
    objective, params, x, y = make_case(activation, task=task)
    check = check_gradient(objective, flatten(params), x, y)
    assert check.entries == check.total == flatten(params).size
    assert check.recursion <= 1e-12
    assert check.complex_step <= 1e-12
    assert check.passed


def test_gradient_check_fails_for_a_wrong_gradient(make_case, monkeypatch):
    objective, params, x, y = make_case()
    right = gradcheck.delta_recursion

    def wrong(*args):
        grads = right(*args)
        grads[0]["w"][0, 0] += 1e-9
        return grads

    monkeypatch.setattr(gradcheck, "delta_recursion", wrong)
    check = check_gradient(objective, flatten(params), x, y)
    assert not check.passed
    assert check.recursion == pytest.approx(1e-9, rel=1e-3)


def test_one_hidden_layer_with_weight_decay(rng):
    """Dive into Deep Learning, section 5.3: dJ/dW2 = dL/do h^T + lambda W2, and so for W1.

    There the examples are columns, and there are no biases.
    """
    w1, w2 = rng.normal(size=(4, 3)), rng.normal(size=(2, 4))
    x, y, decay = rng.normal(size=3), rng.normal(size=2), 0.3

    def objective(w1, w2):
        o = w2 @ np.tanh(w1 @ x)
        decayed = 0.5 * decay * (np.sum(w1**2) + np.sum(w2**2))
        return 0.5 * np.sum((o - y) ** 2) + decayed

    h = np.tanh(w1 @ x)
    dl_do = w2 @ h - y
    dj_dz = (w2.T @ dl_do) * (1 - h**2)
    d1, d2 = wg.grad(objective, argnums=(0, 1))(w1, w2)
    np.testing.assert_allclose(d2, np.outer(dl_do, h) + decay * w2, rtol=0, atol=1e-12)
    np.testing.assert_allclose(d1, np.outer(dj_dz, x) + decay * w1, rtol=0, atol=1e-12)
