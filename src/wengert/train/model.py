"""The multilayer perceptron: hidden layers with biases, and an affine output layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wengert.train.activations import ACTIVATIONS
from wengert.train.errors import SettingsError
from wengert.train.params import Array, Params, layer_shapes

__all__ = ["MLP"]


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
