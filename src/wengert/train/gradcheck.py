"""The automatic gradient of a network against two independent ones.

One is a complex step. The other is the closed form, the backward recursion of the deltas: Kakade,
*The time complexity of Backprop; Auto-Diff; and the Baur-Strassen theorem*, section 2, with the
weight decay of *Dive into Deep Learning*, section 5.3. It shares no code with wengert's
derivatives, so a fault of one shows against the other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import wengert as wg
from wengert.train.model import ACTIVATIONS, LOSSES, Array, Objective, Params, flatten, views

__all__ = [
    "RECURSION_TOLERANCE",
    "GradientCheck",
    "check_gradient",
    "complex_step",
    "delta_recursion",
]


def delta_recursion(objective: Objective, params: Params, x: Array, y: Array) -> Params:
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


RECURSION_TOLERANCE = 1e-12
COMPLEX_STEP_TOLERANCE = 1e-10
_STEP = 1e-30


@dataclass(frozen=True)
class GradientCheck:
    """How far the automatic gradient is from the others.

    Parameters
    ----------
    recursion : float
        Greatest absolute difference to the closed-form recursion.
    complex_step : float
        Greatest difference to the complex step, relative to the greatest entry of the gradient.
    entries, total : int
        Entries that the complex step was taken for, and those that there are.
    """

    recursion: float
    complex_step: float
    entries: int
    total: int

    @property
    def passed(self) -> bool:
        """Whether both differences are at rounding level (float64)."""
        return self.recursion <= RECURSION_TOLERANCE and self.complex_step <= COMPLEX_STEP_TOLERANCE


def check_gradient(
    objective: Objective, params: Array, x: Array, y: Array, entries: int = 2000
) -> GradientCheck:
    """Compare wengert's gradient with the delta recursion and with the complex step.

    Parameters
    ----------
    objective : Objective
    params : array (p,)
        Where to compare (see `wengert.train.model`).
    x, y : array
        Some encoded examples. The complex step costs one evaluation an entry, so a few will do.
    entries : int
        How many entries to take the complex step for, evenly spread; all if there are fewer.
    """
    layers = views(params, objective.model.sizes)
    automatic = flatten(wg.value_and_grad(objective)(layers, x, y)[1])
    closed_form = flatten(delta_recursion(objective, layers, x, y))
    chosen = np.unique(np.linspace(0, params.size - 1, entries).round().astype(int))
    stepped = complex_step(objective, params, x, y, chosen)
    scale = np.max(np.abs(automatic)) or 1.0
    return GradientCheck(
        recursion=float(np.max(np.abs(automatic - closed_form))),
        complex_step=float(np.max(np.abs(automatic[chosen] - stepped)) / scale),
        entries=len(chosen),
        total=params.size,
    )


def complex_step(objective: Objective, params: Array, x: Array, y: Array, entries: Array) -> Array:
    """Return entries of the gradient as ``imag(J(params + i h e)) / h``, exact to rounding.

    Squire and Trapp 1998, Using complex variables to estimate derivatives of real functions.
    """
    vector = params.astype(np.complex128)
    layers = views(vector, objective.model.sizes)
    derivatives = np.empty(len(entries))
    for i, entry in enumerate(entries):
        vector[entry] += 1j * _STEP
        derivatives[i] = np.imag(objective(layers, x, y)) / _STEP
        vector[entry] = params[entry]
    return derivatives
