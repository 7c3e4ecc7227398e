from __future__ import annotations

import numpy as np
import pytest
from scipy import special

import wengert as wg
from wengert.train import ACTIVATIONS, MLP, Objective, SettingsError, softmax_cross_entropy
from wengert.train.model import flatten, squared_error, views


def test_cross_entropy_is_scipys_log_softmax(rng):
    a = 5 * rng.normal(size=(8, 4))
    y = np.eye(4)[rng.integers(4, size=8)]
    expected = -np.mean(np.sum(y * special.log_softmax(a, axis=1), axis=1))
    assert softmax_cross_entropy(a, y) == pytest.approx(expected, rel=1e-14)


def test_cross_entropy_gradient_is_softmax_minus_target(rng):
    a = rng.normal(size=(8, 4))
    y = special.softmax(rng.normal(size=(8, 4)), axis=1)  # any probabilities, not only one-hot
    np.testing.assert_allclose(
        wg.grad(softmax_cross_entropy)(a, y), (special.softmax(a, axis=1) - y) / 8, atol=1e-15
    )


def test_cross_entropy_of_huge_scores_is_finite():
    a = np.array([[1e4, -1e4, 0.0], [-1e300, 0.0, 1e300]])
    y = np.eye(3)[[0, 2]]
    assert softmax_cross_entropy(a, y) == 0.0
    np.testing.assert_array_equal(wg.grad(softmax_cross_entropy)(a, y), np.zeros((2, 3)))


def test_squared_error(rng):
    a, y = rng.normal(size=(2, 5, 3))
    assert squared_error(a, y) == pytest.approx(0.5 * np.mean(np.sum((a - y) ** 2, axis=1)))
    np.testing.assert_allclose(wg.grad(squared_error)(a, y), (a - y) / 5, rtol=0, atol=1e-15)


def test_weight_decay_leaves_biases_alone(make_case):
    objective, params, x, y = make_case(weight_decay=0.2)
    plain = Objective(objective.model, objective.task)
    squares = sum(np.sum(layer["w"] ** 2) for layer in params)
    assert objective(params, x, y) - plain(params, x, y) == pytest.approx(0.1 * squares)


CLOSED_FORMS = {
    "tanh": np.tanh,
    "relu": lambda a: np.clip(a, 0, None),
    "sigmoid": special.expit,
    "gelu": lambda a: a * special.expit(np.sqrt(8 / np.pi) * (a + 0.044715 * a**3)),
    "softplus": lambda a: np.logaddexp(a, 0),
    "identity": np.copy,
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_the_closed_form(name):
    a = np.linspace(-30, 30, 101)
    np.testing.assert_allclose(
        ACTIVATIONS[name].function(a), CLOSED_FORMS[name](a), rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_derivative(name):
    """At 0 too, which decides the tie of relu."""
    a = np.concatenate([np.linspace(-6, 6, 48), [0.0]])
    h = ACTIVATIONS[name]
    automatic = wg.grad(lambda a: np.sum(h.function(a)))(a)
    np.testing.assert_allclose(automatic, h.derivative(h.function(a), a), rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_keeps_nan(name):
    assert np.isnan(ACTIVATIONS[name].function(np.array([np.nan]))).all()


def test_model_shapes_and_errors(rng):
    model = MLP((3, 4, 2), "tanh")
    params = model.init(rng)
    assert [layer["w"].shape for layer in params] == [(3, 4), (4, 2)]
    assert model(params, rng.normal(size=(5, 3))).shape == (5, 2)
    with pytest.raises(SettingsError, match="unknown activation 'swish'; there are tanh, relu"):
        MLP((3, 2), "swish")
    with pytest.raises(SettingsError, match="at least an input and an output width"):
        MLP((3,))


def test_views_share_memory_with_the_vector(rng):
    sizes = (3, 4, 2)
    vector = flatten(MLP(sizes).init(rng))
    layers = views(vector, sizes)
    np.testing.assert_array_equal(flatten(layers), vector)
    vector += 1.0
    np.testing.assert_array_equal(flatten(layers), vector)
    with pytest.raises(ValueError, match="have 26 parameters, not 5"):
        views(np.zeros(5), sizes)
