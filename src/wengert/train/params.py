"""Parameters: a list of layers, and the same numbers as one flat vector.

The model and the loss see layers; the optimiser and the checkpoint see the vector, so that an
update is a few operations however many layers there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Params", "flatten", "layer_shapes", "views"]

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
