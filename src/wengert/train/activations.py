"""Activation functions: one row each, written in plain NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wengert.train.params import Array

__all__ = ["ACTIVATIONS", "Activation"]

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
