from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wengert.train import (
    MLP,
    Config,
    Dataset,
    DivergedError,
    Objective,
    evaluate,
    fit,
    held_out_metrics,
    prepare,
    split,
    train,
)
from wengert.train.model import views


def linear_problem(rng, n=200):
    x = rng.normal(size=(n, 3))
    y = 2.0 * x[:, 0] - x[:, 2] + 5.0
    parts = split(Dataset("plane", x, y, ()), rng)
    return Objective(MLP((3, 1)), "regression"), parts


def test_a_linear_model_learns_a_plane(rng):
    objective, parts = linear_problem(rng)
    config = Config(epochs=80, batch=20, lr=0.05, optimizer="momentum")
    state = fit(objective, parts.train, parts.validation, config)
    loss, r2 = evaluate(objective, views(state.best_params, objective.model.sizes), parts.test)
    assert loss < 1e-10
    assert r2 == pytest.approx(1.0, abs=1e-9)


def test_callbacks_see_every_step_and_epoch(rng):
    objective, parts = linear_problem(rng)
    rows = len(parts.train)
    config = Config(epochs=2, batch=rows // 3)  # the last batch is a small one
    steps, epochs = [], []
    fit(
        objective,
        parts.train,
        parts.validation,
        config,
        on_step=lambda epoch, step, loss: steps.append((epoch, step)),
        on_epoch=lambda state: epochs.append((state.epoch, len(state.history))),
    )
    per_epoch = -(-rows // config.batch)
    assert steps == [(e, s) for e in (1, 2) for s in range(1, per_epoch + 1)]
    assert epochs == [(1, 1), (2, 2)]


def test_training_loss_is_the_mean_over_the_examples(rng):
    """With a vanishing learning rate, the steps' mean is the loss of the whole part."""
    objective, parts = linear_problem(rng)
    decaying = replace(objective, weight_decay=0.5)
    config = Config(epochs=1, batch=32, lr=1e-300, optimizer="sgd")
    state = fit(decaying, parts.train, None, config)
    loss, _ = evaluate(objective, views(state.params, objective.model.sizes), parts.train)
    assert state.history[0].train_loss == pytest.approx(loss, rel=1e-12)


def test_states_stay_as_they_were(rng):
    objective, parts = linear_problem(rng)
    kept = []
    config = Config(epochs=4, batch=20)
    fit(
        objective,
        parts.train,
        None,
        config,
        on_epoch=lambda s: kept.append((s, s.params.copy(), [m.copy() for m in s.optimizer.slots])),
    )
    for state, params, slots in kept:
        np.testing.assert_array_equal(state.params, params)
        np.testing.assert_array_equal(state.optimizer.slots, slots)


def test_early_stopping_keeps_the_best_epoch(rng):
    """Labels without any relation to the examples: the validation loss soon rises."""
    x = rng.normal(size=(80, 20))
    data = Dataset("noise", x, rng.integers(2, size=80), ("a", "b"))
    parts = split(data, rng, validation=0.3)
    objective = Objective(MLP((20, 30, 2), "tanh"), "classification")
    config = Config(epochs=500, batch=10, lr=0.01, patience=5)
    states = []
    state = fit(objective, parts.train, parts.validation, config, on_epoch=states.append)
    losses = [m.validation_loss for m in state.history]
    assert state.epoch == state.best_epoch + 5 < 500
    assert state.best_epoch == 1 + int(np.argmin(losses))
    np.testing.assert_array_equal(state.best_params, states[state.best_epoch - 1].params)


def test_cosine_schedule_is_in_the_history(rng):
    objective, parts = linear_problem(rng)
    config = Config(epochs=4, lr=0.01, schedule="cosine")
    state = fit(objective, parts.train, None, config)
    rates = [m.lr for m in state.history]
    assert rates == pytest.approx(0.005 * (1 + np.cos(np.pi * np.arange(4) / 4)))


def test_divergence_is_reported(rng):
    objective, parts = linear_problem(rng)
    config = Config(epochs=200, batch=20, lr=1e6, optimizer="sgd")
    with pytest.raises(DivergedError, match=r"the loss is \w+ in epoch \d+: .* \(now 1e\+06\)"):
        fit(objective, parts.train, parts.validation, config)


def test_the_seed_decides_bit_for_bit(small_config):
    one, again, other = (
        train(prepare(replace(small_config, seed=seed))).params for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_regression_metrics_are_in_the_targets_unit(rng, tmp_path):
    x = rng.normal(size=(300, 2))
    y = 1000.0 * x[:, 0] + 50.0 * rng.normal(size=300)
    np.savez(tmp_path / "line.npz", X=x, y=y)
    data = str(tmp_path / "line.npz")
    problem = prepare(Config(data=data, hidden=(), epochs=60, lr=0.01, batch=25))
    metrics = held_out_metrics(problem, train(problem))
    assert metrics["rmse"] == pytest.approx(50.0, rel=0.3)
    assert metrics["r2"] > 0.99
