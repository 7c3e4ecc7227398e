"""The gradient of the multilayer perceptron against PyTorch's."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

pytestmark = pytest.mark.peers

NAMES = {
    "tanh": lambda torch, a: torch.tanh(a),
    "relu": lambda torch, a: torch.relu(a),
    "sigmoid": lambda torch, a: torch.sigmoid(a),
    "gelu": lambda torch, a: torch.nn.functional.gelu(a, approximate="tanh"),
    "softplus": lambda torch, a: torch.nn.functional.softplus(a),
    "identity": lambda torch, a: a,
}


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("activation", NAMES)
def test_gradient_is_pytorchs(make_case, activation, task):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: make test-peers")
    objective, params, x, y = make_case(activation, task=task)
    leaves = [
        {name: torch.tensor(array, requires_grad=True) for name, array in layer.items()}
        for layer in params
    ]
    z = torch.tensor(x)
    for i, layer in enumerate(leaves):
        a = z @ layer["w"] + layer["b"]
        z = NAMES[activation](torch, a) if i < len(leaves) - 1 else a
    target = torch.tensor(y)
    if task == "classification":
        loss = torch.nn.functional.cross_entropy(z, target)
    else:
        loss = 0.5 * ((z - target) ** 2).sum(dim=1).mean()
    squares = sum((layer["w"] ** 2).sum() for layer in leaves)
    loss = loss + 0.5 * objective.weight_decay * squares
    loss.backward()

    value, grads = wg.value_and_grad(objective)(params, x, y)
    assert float(value) == pytest.approx(loss.item(), rel=1e-13)
    for layer, reference in zip(grads, leaves, strict=True):
        for name, array in layer.items():
            np.testing.assert_allclose(array, reference[name].grad.numpy(), rtol=0, atol=1e-12)
