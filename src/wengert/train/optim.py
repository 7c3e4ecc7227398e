"""Optimisers and learning-rate schedules: a method is data and one update rule.

An optimiser steps one array in place (`Optimizer.step`); `update` makes of that a pure function
of any tree of arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import optree

from wengert.train.model import Array

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "Adam",
    "Momentum",
    "Optimizer",
    "OptimizerState",
    "init",
    "update",
]


class Optimizer(Protocol):
    """A first-order method, with as many state arrays of the parameters' shape as `slots`."""

    @property
    def slots(self) -> int:
        """Number of state arrays, each zero at first."""

    def step(self, x: Array, g: Array, slots: list[Array], t: int, rate: float) -> None:
        """Take step number ``t`` (from 1): change ``x`` and ``slots`` in place.

        The gradient ``g`` is used as scratch memory and holds nothing useful afterwards.
        """


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent: ``x -= rate * g``."""

    slots = 0

    def step(self, x: Array, g: Array, slots: list[Array], t: int, rate: float) -> None:
        """See `Optimizer.step`."""
        g *= rate
        x -= g


@dataclass(frozen=True)
class Momentum:
    """Heavy-ball momentum: ``v = beta * v - rate * g``, ``x += v`` (Polyak 1964)."""

    beta: float = 0.9
    slots = 1

    def step(self, x: Array, g: Array, slots: list[Array], t: int, rate: float) -> None:
        """See `Optimizer.step`."""
        (v,) = slots
        v *= self.beta
        g *= rate
        v -= g
        x += v


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015, algorithm 1): steps scaled by running moments of the gradient."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    slots = 2

    def step(self, x: Array, g: Array, slots: list[Array], t: int, rate: float) -> None:
        """See `Optimizer.step`."""
        m, v = slots
        m *= self.beta1
        m += (1.0 - self.beta1) * g
        np.multiply(g, g, out=g)
        g *= 1.0 - self.beta2
        v *= self.beta2
        v += g
        # The bias corrections of m and v, taken out of the elementwise work.
        root = math.sqrt(1.0 - self.beta2**t)
        np.sqrt(v, out=g)
        g += self.epsilon * root
        np.divide(m, g, out=g)
        g *= rate * root / (1.0 - self.beta1**t)
        x -= g


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {"sgd": SGD, "momentum": Momentum, "adam": Adam}

SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "cosine": lambda done: 0.5 * (1.0 + math.cos(math.pi * done)),
}
"""Factor of the learning rate, from the share of the run that is done (0 to 1)."""


@dataclass(frozen=True)
class OptimizerState:
    """The number of steps taken, and one tree like the parameters for each slot."""

    t: int
    slots: tuple[Any, ...]


def init(optimizer: Optimizer, params: Any) -> OptimizerState:
    """Return the state before the first step."""
    zeros = tuple(optree.tree_map(np.zeros_like, params) for _ in range(optimizer.slots))
    return OptimizerState(0, zeros)


def update(
    optimizer: Optimizer, params: Any, grads: Any, state: OptimizerState, rate: float
) -> tuple[Any, OptimizerState]:
    """Return the parameters and the state after one step; the arguments stay as they are.

    Parameters
    ----------
    optimizer : Optimizer
    params, grads : tree of arrays
        Of the same structure and shapes.
    state : OptimizerState
        From `init` or the previous `update`.
    rate : float
        The learning rate.

    Examples
    --------
    >>> x = {"x": np.array([1.0])}
    >>> new, state = update(SGD(), x, {"x": np.array([2.0])}, init(SGD(), x), rate=0.1)
    >>> new
    {'x': array([0.8])}
    """
    copied = [optree.tree_map(np.array, tree) for tree in (params, grads, *state.slots)]
    leaves = zip(*(optree.tree_leaves(tree) for tree in copied), strict=True)
    for x, g, *slots in leaves:
        optimizer.step(x, g, slots, state.t + 1, rate)
    return copied[0], OptimizerState(state.t + 1, tuple(copied[2:]))
