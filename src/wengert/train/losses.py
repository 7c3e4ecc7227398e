"""Losses, and the objective that training minimises: mean loss plus weight decay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wengert.train.model import MLP
from wengert.train.params import Array, Params

__all__ = ["LOSSES", "Loss", "Objective", "softmax_cross_entropy", "squared_error"]


def softmax_cross_entropy(a: Array, y: Array) -> Array:
    """Return the mean over the rows of ``-sum(y * log(softmax(a)))``.

    Parameters
    ----------
    a : array (n, classes)
        Scores; may be of any size, as their greatest is subtracted first.
    y : array (n, classes)
        Probabilities of the classes, for instance one-hot rows. Each row sums to 1.
    """
    shifted = a - np.max(a, axis=1, keepdims=True)
    log_normaliser = np.log(np.sum(np.exp(shifted), axis=1))
    mean: Array = (np.sum(log_normaliser) - np.sum(y * shifted)) / a.shape[0]
    return mean


def squared_error(a: Array, y: Array) -> Array:
    """Return the mean over the rows of half the squared distance of ``a`` and ``y``.

    Parameters
    ----------
    a, y : array (n, outputs)
    """
    difference = a - y
    mean: Array = 0.5 * np.sum(difference * difference) / a.shape[0]
    return mean


def _softmax_delta(a: Array, y: Array) -> Array:
    e = np.exp(a - np.max(a, axis=1, keepdims=True))
    delta: Array = (e / np.sum(e, axis=1, keepdims=True) - y) / a.shape[0]
    return delta


@dataclass(frozen=True)
class Loss:
    """A loss ``function(a, y)`` and its closed-form derivative ``delta(a, y)`` for ``a``.

    Only the closed-form recursion uses the derivative.
    """

    function: Callable[[Array, Array], Array]
    delta: Callable[[Array, Array], Array]


LOSSES: dict[str, Loss] = {
    "classification": Loss(softmax_cross_entropy, _softmax_delta),
    "regression": Loss(squared_error, lambda a, y: (a - y) / a.shape[0]),
}
"""The loss of each task."""


@dataclass(frozen=True)
class Objective:
    """``J = L + s``: mean loss and ``s = weight_decay / 2`` times the squared weights.

    Biases do not decay. Call it as ``objective(params, x, y)``; it is plain NumPy.

    Parameters
    ----------
    model : MLP
    task : str
        A key of `LOSSES`.
    weight_decay : float
    """

    model: MLP
    task: str
    weight_decay: float = 0.0

    def __call__(self, params: Params, x: Array, y: Array) -> Array:
        """Return ``J``, a 0-d array or scalar."""
        loss = LOSSES[self.task].function(self.model(params, x), y)
        return loss + self.penalty(params) if self.weight_decay else loss

    def penalty(self, params: Params) -> Array:
        """Return ``s``, the part of ``J`` that does not depend on the examples."""
        squares = sum(np.sum(layer["w"] * layer["w"]) for layer in params)
        penalty: Array = (0.5 * self.weight_decay) * squares
        return penalty
