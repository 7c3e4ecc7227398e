"""The training loop, and where a run stands after an epoch.

The state is all that is needed to go on as if the run had never stopped. The loop does minibatches
and early stopping; it prints nothing and writes no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

import wengert as wg
from wengert.errors import DivergedError
from wengert.train import optim
from wengert.train.config import Config
from wengert.train.data import Part
from wengert.train.model import LOSSES, MLP, Array, Objective, Params, flatten, views
from wengert.train.optim import OPTIMIZERS, SCHEDULES, OptimizerState

__all__ = ["Metrics", "OnEpoch", "OnStep", "State", "evaluate", "fit", "generators", "start"]


class Metrics(NamedTuple):
    """What is measured once an epoch.

    Losses are without weight decay. ``train_loss`` is the mean over the epoch's steps; the other
    two are of the validation part after the epoch, NaN without one. ``validation_score`` is the
    accuracy, or R^2 for regression.
    """

    epoch: int
    lr: float
    train_loss: float
    validation_loss: float
    validation_score: float

    @property
    def monitored(self) -> float:
        """The loss that decides on the best epoch and on early stopping."""
        return self.train_loss if np.isnan(self.validation_loss) else self.validation_loss


@dataclass(frozen=True)
class State:
    """A run after ``epoch`` epochs. No array of it is ever changed.

    Parameters
    ----------
    epoch : int
        Epochs finished.
    params : array (p,)
        All weights and biases (see `wengert.train.model`).
    optimizer : OptimizerState
    rng : dict
        State of the bit generator that orders the examples.
    history : tuple of Metrics
    best_epoch : int
        The epoch of the lowest monitored loss so far; 0 before the first.
    best_params : array (p,)
        The parameters after that epoch.
    """

    epoch: int
    params: Array
    optimizer: OptimizerState
    rng: dict[str, Any]
    history: tuple[Metrics, ...]
    best_epoch: int
    best_params: Array

    def is_finished(self, config: Config) -> bool:
        """Whether all epochs are done, or the last `patience` of them brought nothing."""
        waited = self.epoch - self.best_epoch
        return self.epoch >= config.epochs or 0 < config.patience <= waited


def generators(seed: int) -> tuple[np.random.Generator, ...]:
    """Return independent generators for the split, the initial weights and the order."""
    return tuple(np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(3))


def start(model: MLP, config: Config) -> State:
    """Return the state before the first epoch."""
    _, weights, order = generators(config.seed)
    params = flatten(model.init(weights))
    zeros = optim.init(OPTIMIZERS[config.optimizer](), params)
    return State(0, params, zeros, dict(order.bit_generator.state), (), 0, params)


OnStep = Callable[[int, int, float], None]
"""Called after each step with the epoch and the step, both from 1, and the step's loss."""
OnEpoch = Callable[[State], None]
"""Called with the state after each epoch."""


def fit(
    objective: Objective,
    train: Part,
    validation: Part | None,
    config: Config,
    *,
    state: State | None = None,
    on_step: OnStep | None = None,
    on_epoch: OnEpoch | None = None,
) -> State:
    """Minimise an objective over minibatches.

    Parameters
    ----------
    objective : Objective
    train : Part
        The examples that are learnt from.
    validation : Part or None
        Decides on the best epoch and on early stopping; without it, the training loss does.
    config : Config
        Of which ``epochs``, ``batch``, ``lr``, ``schedule``, ``optimizer``, ``patience`` and
        ``seed`` count here.
    state : State, optional
        Where to go on; a new run by default. A run that stopped at any state and goes on from
        it ends in the same state, bit for bit, as one that never stopped.
    on_step, on_epoch : callable, optional
        May raise, for instance `KeyboardInterrupt`, to end the training.

    Returns
    -------
    State
        After the last epoch.

    Raises
    ------
    DivergedError
        The loss is infinite or not a number.
    """
    trainer = _Trainer(objective, train, validation, config)
    state = start(objective.model, config) if state is None else state
    while not state.is_finished(config):
        # A loss that overflows is an error of its own below, so NumPy need not warn of it.
        with np.errstate(over="ignore", invalid="ignore"):
            state = trainer.epoch(state, on_step)
        if on_epoch:
            on_epoch(state)
    return state


def evaluate(objective: Objective, params: Params, part: Part) -> tuple[float, float]:
    """Return the mean loss, without weight decay, and the score of a model on some examples.

    The score is the accuracy for classification and R^2 for regression.
    """
    a = objective.model(params, part.x)
    loss = float(LOSSES[objective.task].function(a, part.y))
    if objective.task == "classification":
        return loss, float(np.mean(np.argmax(a, axis=1) == np.argmax(part.y, axis=1)))
    spread = float(np.sum((part.y - np.mean(part.y, axis=0)) ** 2))
    residual = float(np.sum((part.y - a) ** 2))
    return loss, 1.0 - residual / spread if spread else math.nan


class _Trainer:
    """One epoch of training as a function of the state before it."""

    def __init__(
        self, objective: Objective, train: Part, validation: Part | None, config: Config
    ) -> None:
        self.objective, self.config = objective, config
        self.train, self.validation = train, validation
        self.optimizer = OPTIMIZERS[config.optimizer]()
        self.value_and_grad = wg.jit(wg.value_and_grad(objective))
        self._compile()

    def _compile(self) -> None:
        """Run each batch size once, so that a resumed run meets the same code at its first step.

        A first call may compute its value while recording, and need not round like later ones.
        """
        params = start(self.objective.model, self.config).params
        layers = views(params, self.objective.model.sizes)
        rows = len(self.train)
        for size in {min(self.config.batch, rows), rows % self.config.batch} - {0}:
            self.value_and_grad(layers, self.train.x[:size], self.train.y[:size])

    def epoch(self, state: State, on_step: OnStep | None) -> State:
        """Return the state after one more epoch."""
        config, sizes = self.config, self.objective.model.sizes
        rng = np.random.default_rng()
        rng.bit_generator.state = state.rng
        number = state.epoch + 1
        rate = config.lr * SCHEDULES[config.schedule](state.epoch / config.epochs)

        vector, slots = state.params.copy(), [slot.copy() for slot in state.optimizer.slots]
        gradient = np.empty_like(vector)
        layers, gradients = views(vector, sizes), views(gradient, sizes)
        total, t = 0.0, state.optimizer.t
        order = rng.permutation(len(self.train))
        for step, first in enumerate(range(0, len(order), config.batch), start=1):
            rows = order[first : first + config.batch]
            loss = self._gradient(layers, rows, gradients)
            _check_finite(loss, number, rate)
            t += 1
            self.optimizer.step(vector, gradient, slots, t, rate)
            total += loss * len(rows)
            if on_step:
                on_step(number, step, loss)

        metrics = self._measure(number, rate, total / len(order), layers)
        best = state.best_epoch == 0 or (
            metrics.monitored < state.history[state.best_epoch - 1].monitored
        )
        return State(
            epoch=number,
            params=vector,
            optimizer=OptimizerState(t, tuple(slots)),
            rng=dict(rng.bit_generator.state),
            history=(*state.history, metrics),
            best_epoch=number if best else state.best_epoch,
            best_params=vector if best else state.best_params,
        )

    def _gradient(self, layers: Params, rows: Array, out: Params) -> float:
        """Write the gradient at some rows into the layers ``out``, and return their mean loss."""
        x, y = self.train.x.take(rows, axis=0), self.train.y.take(rows, axis=0)
        value, grads = self.value_and_grad(layers, x, y)
        if self.objective.weight_decay:
            value = value - self.objective.penalty(layers)
        for target, layer in zip(out, grads, strict=True):
            for name, array in layer.items():
                target[name][...] = array
        return float(value)

    def _measure(self, epoch: int, rate: float, train_loss: float, layers: Params) -> Metrics:
        if not self.validation:
            return Metrics(epoch, rate, train_loss, math.nan, math.nan)
        loss, score = evaluate(self.objective, layers, self.validation)
        _check_finite(loss, epoch, rate)
        return Metrics(epoch, rate, train_loss, loss, score)


def _check_finite(loss: float, epoch: int, rate: float) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"the loss is {loss} in epoch {epoch}: the steps are too long; "
            f"lower the learning rate (now {rate:g})"
        )
