"""Draw the graphs that explain backpropagation in textbooks, and those of larger functions.

It writes the pictures of `docs/pictures`, pages beside them, and compares the graph of second
derivatives with that of the first. `python examples/pictures.py FOLDER` keeps the files.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import wengert as wg

LAM = 0.1
draws = np.random.default_rng(20).normal


def objective(W1, b, W2, x, y):
    z = W1 @ x + b
    h = np.tanh(z)
    o = W2 @ h
    L = 0.5 * np.sum((o - y) ** 2)
    s = LAM / 2 * (np.sum(W1**2) + np.sum(W2**2))
    J = L + s
    return J  # noqa: RET504  (it has a name in the picture)


def sin_of_product(x, y):
    return np.sin(x * y)


def two_nodes(w, b, x, y):
    h1 = np.logaddexp(0.0, w[0] * x + b[0])
    h2 = np.logaddexp(0.0, w[1] * x + b[1])
    out = w[2] * h1 + w[3] * h2 + b[2]
    return np.sum((out - y) ** 2)


def network(weights, x):
    for W in weights:
        x = np.tanh(W @ x)
    return np.sum(x**2)


def cell(W, x, h, c):  # of an LSTM (Hochreiter and Schmidhuber, 1997)
    i, f, o, g = np.split(W @ np.concatenate([x, h]), 4)
    i, f, o = (1 / (1 + np.exp(-z)) for z in (i, f, o))
    return np.sum(o * np.tanh(f * c + i * np.tanh(g)))


def main(folder=None):
    point = [draws(size=s) for s in ((4, 3), 4, (2, 4), 3, 2)]
    drawings = {
        "objective": wg.draw(objective, *point, argnums=(0, 1, 2)),
        "sin": wg.draw(sin_of_product, 0.7, 1.3, argnums=(0, 1)),
        "network": wg.draw(network, list(draws(size=(8, 4, 4))), draws(size=4)),
        "two_nodes": wg.draw(two_nodes, *(draws(size=n) for n in (4, 3, 5, 5)), argnums=(0, 1)),
        "cell": wg.draw(cell, *(draws(size=n) for n in ((12, 5), 2, 3, 3))),
    }
    with tempfile.TemporaryDirectory() as unkept:
        for name, drawing in drawings.items():
            path = Path(folder or unkept, f"{name}.svg")
            drawing.save(path, theme="auto", equations=name == "objective")
            print(f"{name}: {len(drawing.nodes)} nodes, {drawing.save(path.with_suffix('.html'))}")
        drawing.save(path.with_stem("cell"), theme="auto", paper="A4")
    print(drawings["objective"].equations())
    orders = {
        "value": wg.draw(objective, *point, argnums=()),
        "value and gradient": wg.draw(wg.value_and_grad(objective), *point),
        "Hessian": wg.draw(wg.hessian(objective), *point),
    }
    for name, drawing in orders.items():
        print(f"{name}: {dict(drawing.summary())}")
    return {"drawings": drawings, "orders": orders}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
