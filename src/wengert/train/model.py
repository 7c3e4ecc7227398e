"""The multilayer perceptron: parameters, activations, layers, losses and the objective.

Parameters are a list of layers, and the same numbers as one flat vector. The model and the loss see
layers; the optimiser and the checkpoint see the vector, so that an update is a few operations
however many layers there are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wengert.errors import SettingsError

__all__ = [
    "ACTIVATIONS",
    "LOSSES",
    "MLP",
    "Activation",
    "Array",
    "Loss",
    "Objective",
    "Params",
    "flatten",
    "layer_shapes",
    "softmax_cross_entropy",
    "squared_error",
    "views",
]

Array = NDArray[Any]
Params = list[dict[str, Array]]
"""One ``{"w": (inputs, outputs), "b": (outputs,)}`` per layer."""


def layer_shapes(sizes: Sequence[int]) -> list[dict[str, tuple[int, ...]]]:
    """Return the shapes of the weights and biases between consecutive layers.

    Parameters
    ----------
    sizes : sequence of int
        Width of each layer, the input first and the output last.
    """
    return [{"w": (m, n), "b": (n,)} for m, n in pairwise(sizes)]


def views(vector: Array, sizes: Sequence[int]) -> Params:
    """Return the layers as views of a flat vector: a change of one is a change of the other.

    Parameters
    ----------
    vector : array (p,)
        Contiguous; all weights and biases, layer after layer, weights before biases.
    sizes : sequence of int
        Width of each layer.
    """
    needed = sum((m + 1) * n for m, n in pairwise(sizes))
    if vector.size != needed:
        raise ValueError(f"layers {tuple(sizes)} have {needed} parameters, not {vector.size}")
    layers, start = [], 0
    for shapes in layer_shapes(sizes):
        layer = {}
        for name, shape in shapes.items():
            stop = start + math.prod(shape)
            layer[name] = vector[start:stop].reshape(shape)
            start = stop
        layers.append(layer)
    return layers


def flatten(params: Params) -> Array:
    """Return all weights and biases as one new vector, in the order that `views` reads."""
    return np.concatenate([layer[name].ravel() for layer in params for name in ("w", "b")])


_GELU_SCALE = math.sqrt(2.0 / math.pi)
_GELU_CUBIC = 0.044715
_SQRT2 = math.sqrt(2.0)


@dataclass(frozen=True)
class Activation:
    """An elementwise function ``z = h(a)`` with its derivative and a fitting initial scale.

    Parameters
    ----------
    function : callable
        ``h(a)``. Holds for complex ``a`` too, so that the complex step can check derivatives.
    derivative : callable
        ``h'(a)``, called as ``derivative(z, a)``. Only the closed-form recursion uses it.
    gain : float
        Initial weights have variance ``gain**2 / inputs``, which keeps the size of the signal
        about the same from layer to layer (He et al. 2015, Delving Deep into Rectifiers).
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array]
    gain: float


def _sigmoid(a: Array) -> Array:
    return 0.5 + 0.5 * np.tanh(0.5 * a)  # exp(-a) would overflow


def _softplus(a: Array) -> Array:
    positive = np.maximum(a, 0.0)
    return positive + np.log1p(np.exp(a - 2.0 * positive))  # a - 2 max(a, 0) is -|a|


def _gelu_argument(a: Array) -> Array:
    return _GELU_SCALE * (a + _GELU_CUBIC * a * a * a)


def _gelu(a: Array) -> Array:
    # The tanh form of Hendrycks and Gimpel 2016, Gaussian Error Linear Units.
    return 0.5 * a * (1.0 + np.tanh(_gelu_argument(a)))


def _gelu_derivative(z: Array, a: Array) -> Array:
    t = np.tanh(_gelu_argument(a))
    slope = _GELU_SCALE * (1.0 + 3.0 * _GELU_CUBIC * a * a)
    return 0.5 * (1.0 + t) + 0.5 * a * (1.0 - t * t) * slope


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(np.tanh, lambda z, a: 1.0 - z * z, gain=5.0 / 3.0),
    # At the tie a = 0 the derivative is 1/2, as everywhere for np.maximum in wengert.
    "relu": Activation(
        lambda a: np.maximum(a, 0.0), lambda z, a: np.heaviside(a, 0.5), gain=_SQRT2
    ),
    "sigmoid": Activation(_sigmoid, lambda z, a: z * (1.0 - z), gain=1.0),
    "gelu": Activation(_gelu, _gelu_derivative, gain=_SQRT2),
    "softplus": Activation(_softplus, lambda z, a: _sigmoid(a), gain=_SQRT2),
    "identity": Activation(lambda a: a, lambda z, a: np.ones_like(a), gain=1.0),
}


@dataclass(frozen=True)
class MLP:
    """A multilayer perceptron: ``a = z @ w + b``, ``z = h(a)``, and the last ``a`` is returned.

    Parameters
    ----------
    sizes : tuple of int
        Width of each layer, the input first and the output last; ``(64, 32, 10)`` has one
        hidden layer, ``(64, 10)`` none.
    activation : str
        A key of `wengert.train.ACTIVATIONS`.

    Examples
    --------
    >>> model = MLP((64, 32, 10), "tanh")
    >>> params = model.init(np.random.default_rng(0))
    >>> model(params, np.zeros((5, 64))).shape
    (5, 10)
    """

    sizes: tuple[int, ...]
    activation: str = "relu"

    def __post_init__(self) -> None:
        if len(self.sizes) < 2 or min(self.sizes) < 1:
            raise SettingsError(
                f"layer widths {self.sizes}: at least an input and an output width are needed, "
                "each 1 or more"
            )
        if self.activation not in ACTIVATIONS:
            raise SettingsError(
                f"unknown activation {self.activation!r}; there are {', '.join(ACTIVATIONS)}"
            )

    def init(self, rng: np.random.Generator) -> Params:
        """Return normal weights, of the activation's variance, and zero biases (float64)."""
        gain = ACTIVATIONS[self.activation].gain
        return [
            {
                "w": rng.normal(0.0, gain / np.sqrt(shapes["w"][0]), shapes["w"]),
                "b": np.zeros(shapes["b"]),
            }
            for shapes in layer_shapes(self.sizes)
        ]

    def __call__(self, params: Params, x: Array) -> Array:
        """Return the activations of the output layer.

        Parameters
        ----------
        params : list of dict
            As `init` returns them.
        x : array (n, inputs)
            One example a row.

        Returns
        -------
        array (n, outputs)
        """
        h = ACTIVATIONS[self.activation].function
        z = x
        for layer in params[:-1]:
            z = h(z @ layer["w"] + layer["b"])
        return z @ params[-1]["w"] + params[-1]["b"]


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
