"""The gradient of a multilayer perceptron in closed form: the backward recursion of the deltas.

Kakade, *The time complexity of Backprop; Auto-Diff; and the Baur-Strassen theorem*, section 2,
with the weight decay of *Dive into Deep Learning*, section 5.3. It shares no code with wengert's
derivatives, which is what makes it worth comparing them with.
"""

from __future__ import annotations

import numpy as np

from wengert.train.activations import ACTIVATIONS
from wengert.train.losses import LOSSES, Objective
from wengert.train.params import Array, Params

__all__ = ["gradient"]


def gradient(objective: Objective, params: Params, x: Array, y: Array) -> Params:
    """Return the gradient of ``objective(params, x, y)`` for ``params``.

    Forward: ``a[l] = z[l-1] @ w[l] + b[l]`` and ``z[l] = h(a[l])``, all stored. Backward:
    ``delta[l] = h'(a[l]) * (delta[l+1] @ w[l+1].T)``, and then ``dJ/dw[l] = z[l-1].T @ delta[l]
    + weight_decay * w[l]`` and ``dJ/db[l] = sum(delta[l])``, summed over the examples.
    """
    h = ACTIVATIONS[objective.model.activation]
    inputs, activations = [x], []  # z[0], z[1], ... and a[1], a[2], ...
    for layer in params:
        activations.append(inputs[-1] @ layer["w"] + layer["b"])
        inputs.append(h.function(activations[-1]))

    delta = LOSSES[objective.task].delta(activations[-1], y)
    gradients: Params = []
    for i in reversed(range(len(params))):
        w = params[i]["w"]
        gradients.append(
            {"w": inputs[i].T @ delta + objective.weight_decay * w, "b": np.sum(delta, axis=0)}
        )
        if i:
            delta = h.derivative(inputs[i], activations[i - 1]) * (delta @ w.T)
    return gradients[::-1]
