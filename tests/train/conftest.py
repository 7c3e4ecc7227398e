"""Small problems that the tests of training share."""

from __future__ import annotations

import numpy as np
import pytest

from wengert.train import MLP, Config, Objective


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def table_file(tmp_path, rng):
    """Write a CSV of two features and a class that depends on them; return its path."""
    x = rng.normal(size=(120, 2))
    label = np.where(x[:, 0] + 0.5 * x[:, 1] > 0, "yes", "no")
    lines = [f"{a},{b},{c}" for (a, b), c in zip(x, label, strict=True)]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(["a,b,label", *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def small_config(table_file):
    """Settings under which every part of a state matters: moments, order, schedule, best epoch."""
    return Config(
        data=str(table_file),
        target="label",
        hidden=(5,),
        activation="tanh",
        epochs=6,
        batch=16,
        lr=0.02,
        schedule="cosine",
        weight_decay=1e-3,
        validation=0.2,
        seed=3,
    )


@pytest.fixture
def make_case(rng):
    """Return a function giving an objective, parameters with biases, and encoded examples."""

    def make(activation="tanh", hidden=(5, 4), task="classification", weight_decay=0.1, rows=7):
        outputs = 3 if task == "classification" else 2
        model = MLP((6, *hidden, outputs), activation)
        params = model.init(rng)
        for layer in params:
            layer["b"] += rng.normal(size=layer["b"].shape)
        x = rng.normal(size=(rows, 6))
        if task == "classification":
            y = np.eye(outputs)[rng.integers(outputs, size=rows)]
        else:
            y = rng.normal(size=(rows, outputs))
        return Objective(model, task, weight_decay), params, x, y

    return make
