"""Backpropagation written out, against wengert's gradient of the same network.

The recursion is that of Kakade's lecture note on backprop and the Baur-Strassen theorem: a[l+1] =
W z[l] + b and z = h(a) forward; delta[l] = h'(a[l]) * (W^T delta[l+1]) and dL/dW = delta z^T
backward.
"""

from itertools import pairwise

import numpy as np

import wengert as wg
from wengert.analysis.cost import count_function

rng = np.random.default_rng(0)
sizes = (30, 40, 20, 1)
params = [
    (rng.standard_normal((n, m)) / np.sqrt(m), 0.1 * rng.standard_normal(n))
    for m, n in pairwise(sizes)
]
x = rng.standard_normal(30)
y = 0.7


def loss(params):
    z = x
    for w, b in params[:-1]:
        z = np.tanh(w @ z + b)
    w, b = params[-1]
    return 0.5 * (y - (w @ z + b)[0]) ** 2


def backprop(params):
    """Return the gradient by the recursion."""
    z, a = [x], []
    for w, b in params:
        a.append(w @ z[-1] + b)
        z.append(np.tanh(a[-1]))
    delta = -(y - a[-1])  # the output is the last activation itself
    gradients = []
    for layer in reversed(range(len(params))):
        gradients.insert(0, (np.outer(delta, z[layer]), delta))
        if layer:
            w, _ = params[layer]
            delta = (1.0 - z[layer] ** 2) * (w.T @ delta)
    return gradients


def main():
    ours, by_hand = wg.grad(loss)(params), backprop(params)
    worst = 0.0
    for layer, (got, expected) in enumerate(zip(ours, by_hand, strict=True), 1):
        errors = [np.max(np.abs(g - e)) for g, e in zip(got, expected, strict=True)]
        print(f"layer {layer}: largest difference in W {errors[0]:.1e}, in b {errors[1]:.1e}")
        worst = max(worst, *errors)

    value, both = count_function(loss, params), count_function(wg.value_and_grad(loss), params)
    ratio = both.flops / value.flops
    print(f"value: {value}")
    print(f"value and gradient: {both}")
    print(f"ratio {ratio:.2f}; the theorem says at most 5")
    return {"worst": worst, "ratio": ratio}


if __name__ == "__main__":
    main()
