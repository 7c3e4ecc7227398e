"""Draw the graphs that explain backpropagation in textbooks, and those of larger functions.

Squares are variables and circles operators; the gradient comes back below the function. The example
writes the pictures of `docs/pictures`, the pages beside them, and compares the graph of the second
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


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell(W, U, b, x, h, c):
    """Do a step of an LSTM (Hochreiter and Schmidhuber, 1997), and add up what it returns."""
    gates = W @ x + U @ h + b
    n = h.shape[0]
    i, f = sigmoid(gates[:n]), sigmoid(gates[n : 2 * n])
    g, o = np.tanh(gates[2 * n : 3 * n]), sigmoid(gates[3 * n :])
    c = f * c + i * g
    h = o * np.tanh(c)
    return np.sum(h * c)


def main(folder=None):
    W1, b, W2, x, y = (draws(size=s) for s in ((4, 3), 4, (2, 4), 3, 2))
    square = [draws(size=(4, 4)) for _ in range(8)]
    drawings = {
        "objective": wg.draw(objective, W1, b, W2, x, y, argnums=(0, 1, 2)),
        "sin": wg.draw(sin_of_product, 0.7, 1.3, argnums=(0, 1)),
        "network": wg.draw(network, square, draws(size=4)),
        "cell": wg.draw(cell, *(draws(size=s) for s in ((12, 2), (12, 3), 12, 2, 3, 3))),
        "two_nodes": wg.draw(two_nodes, *(draws(size=n) for n in (4, 3, 5, 5)), argnums=(0, 1)),
    }
    with tempfile.TemporaryDirectory() as unkept:
        for name, drawing in drawings.items():
            path = Path(folder or unkept) / f"{name}.svg"
            paper = "A4" if name == "cell" else None  # as it is to be printed
            drawing.save(path, theme="auto", equations=name == "objective", paper=paper)
            print(f"{name}: {len(drawing.nodes)} nodes, {drawing.save(path.with_suffix('.html'))}")
    print(drawings["objective"].equations())
    orders = {
        "value": wg.draw(objective, W1, b, W2, x, y, argnums=()),
        "value and gradient": wg.draw(wg.value_and_grad(objective), W1, b, W2, x, y),
        "Hessian": wg.draw(wg.hessian(objective), W1, b, W2, x, y),
    }
    for name, drawing in orders.items():
        print(f"{name}: {dict(drawing.summary())}")
    return {"drawings": drawings, "orders": orders}


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
