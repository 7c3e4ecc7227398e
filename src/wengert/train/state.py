"""Where a run stands after an epoch: all that is needed to go on as if it had never stopped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from wengert.train import optim
from wengert.train.config import Config
from wengert.train.model import MLP
from wengert.train.optim import OPTIMIZERS, OptimizerState
from wengert.train.params import Array, flatten

__all__ = ["Metrics", "State", "generators", "start"]


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
        All weights and biases (see `wengert.train.params`).
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
