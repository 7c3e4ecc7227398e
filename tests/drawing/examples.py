"""Functions that are drawn: those of the literature on derivatives, and larger ones."""

from __future__ import annotations

import numpy as np

import wengert as wg
from wengert.devices import Device

RNG = np.random.default_rng(20)
lam = 0.1


def weight_decay(W1, W2, x, y):
    z = W1 @ x
    h = np.tanh(z)
    o = W2 @ h
    L = 0.5 * np.sum((o - y) ** 2)
    s = lam / 2 * (np.sum(W1**2) + np.sum(W2**2))
    J = L + s
    return J  # noqa: RET504


def with_bias(W1, b, W2, x, y):
    z = W1 @ x + b
    h = np.tanh(z)
    o = W2 @ h
    L = 0.5 * np.sum((o - y) ** 2)
    s = lam / 2 * (np.sum(W1**2) + np.sum(W2**2))
    J = L + s
    return J  # noqa: RET504


def two_nodes(w, b, x, y):
    h1 = np.log1p(np.exp(w[0] * x + b[0]))
    h2 = np.log1p(np.exp(w[1] * x + b[1]))
    out = w[2] * h1 + w[3] * h2 + b[2]
    L = np.sum((out - y) ** 2)
    return L  # noqa: RET504


def sin_of_product(x, y):
    return np.sin(x * y)


def layer(W, b, h):
    a = W @ h + b
    return np.tanh(a)


def mlp(params, x, y):
    h = x
    for W, b in params:
        h = layer(W, b, h)
    return np.mean((h - y) ** 2)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell(W, U, b, x, h, c):
    gates = W @ x + U @ h + b
    n = h.shape[0]
    i = sigmoid(gates[:n])
    f = sigmoid(gates[n : 2 * n])
    g = np.tanh(gates[2 * n : 3 * n])
    o = sigmoid(gates[3 * n :])
    c = f * c + i * g
    h = o * np.tanh(c)
    return h, c


def lstm(W, U, b, x, h, c):
    h, c = cell(W, U, b, x, h, c)
    return np.sum(h * c)


def softmax(s):
    e = np.exp(s - np.max(s, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def attention(Wq, Wk, Wv, X):
    Q = X @ Wq
    K = X @ Wk
    V = X @ Wv
    A = softmax(Q @ K.T / np.sqrt(K.shape[-1]))
    Y = A @ V
    return np.sum(Y**2)


def straight(n):
    """Make a function of `n` operations without loops or calls."""
    rng = np.random.default_rng(0)
    lines = ["def long(x):", "    a, b, c = x[0], x[1], x[2]"]
    for _ in range(n // 2):
        p, q, r = rng.permutation(list("abc"))
        lines.append(f"    {p} = np.{rng.choice(['sin', 'cos', 'tanh'])}({q}) * {r}")
    names = {"np": np}
    exec("\n".join([*lines, "    return a + b + c"]), names)
    return names["long"]


def stepped(x, n=60):
    """Have many operations in a loop of calls."""
    for k in range(n):
        x = x + 0.01 * np.sin(x) * np.cos(k * 0.1)
    return np.sum(x)


def looped(x):
    def body(c, w):
        c = np.tanh(w * c)
        return c, c

    return np.sum(wg.scan(body, x, np.linspace(0.5, 1.0, 30))[1])


def root(a):
    def goes_on(s):
        return np.abs(s[0] ** 2 - a) > 1e-9

    def step(s):
        return 0.5 * (s[0] + a / s[0]), s[1] + 1

    return wg.while_loop(goes_on, step, (a, 0))[0]


def chosen(x):
    return np.sum(wg.cond(np.sum(x) > 0, lambda x: np.sin(x) * x, lambda x: -x, x))


def nested(x, W, rows):
    def outer(h, r):
        def inner(h, _):
            return np.tanh(W @ h) + r, None

        return wg.scan(inner, h, None, length=4)[0], np.sum(h)

    return np.sum(wg.scan(outer, x, rows)[1])


def residuals(x):
    return np.sin(x[1:]) * x[:-1] ** 2


def recomputed(x):
    return np.sum(wg.checkpoint(lambda y: np.tanh(np.sin(y)) * y)(x))


def split(name="tensor split", microbatches=1):
    """Draw a step of a small network on two devices."""
    rates = {"speed": 1e10, "bandwidth": 1e10, "link": 1e9}
    devices = [Device(d, memory="1MiB", **rates) for d in ("left", "right")]
    params = [normal((16, 16), 16) for _ in range(3)]
    args = params, *normal((16, 64), (16, 64))
    plan = wg.partition(wg.value_and_grad(wide), *args, devices=devices, batch=(),
                        microbatches=microbatches)  # fmt: skip
    return plan, wg.draw(plan[name])


def wide(params, x, y):
    for W, b in params:
        x = np.tanh(W @ x + b[:, None])
    return np.mean((x - y) ** 2)


def normal(*shapes):
    return tuple(RNG.normal(size=s) for s in shapes)


ARGUMENTS = {
    "weight_decay": (weight_decay, normal((4, 3), (2, 4), 3, 2), (0, 1)),
    "with_bias": (with_bias, normal((4, 3), 4, (2, 4), 3, 2), (0, 1, 2)),
    "two_nodes": (two_nodes, normal(4, 3, 5, 5), (0, 1)),
    "sin_of_product": (sin_of_product, (0.7, 1.3), (0, 1)),
    "mlp": (mlp, ([normal((5, 5), 5) for _ in range(8)], *normal(5, 5)), 0),
    "lstm": (lstm, normal((12, 2), (12, 3), 12, 2, 3, 3), (0, 1, 2)),
    "attention": (attention, normal((4, 4), (4, 4), (4, 4), (6, 4)), (0, 1, 2)),
}
"""Function, arguments, and which of them are differentiated, by name."""

X = np.linspace(0.1, 1.0, 8)
OTHERS = {
    "scan": lambda: wg.draw(looped, 0.5),
    "while": lambda: wg.draw(root, 2.0),
    "branch": lambda: wg.draw(chosen, np.arange(3.0) - 0.5),
    "nested": lambda: wg.draw(nested, np.ones(3), 0.5 * np.eye(3), np.linspace(0.0, 1.0, 20)),
    "sparse": lambda: wg.draw(wg.jacobian(residuals, sparsity="auto"), X),
    "plan": lambda: wg.draw(wg.jit(wg.grad(looped)).plan(0.5)),
    "again": lambda: wg.draw(wg.grad(recomputed), X),
    "hessian": lambda: wg.draw(wg.hessian(weight_decay), *ARGUMENTS["weight_decay"][1]),
    "twice": lambda: wg.draw(wg.grad(wg.grad(lambda x: np.sin(x) ** 3)), 0.4),
    "devices": lambda: split()[1],
    "nothing": lambda: wg.draw(lambda x: None, 1.0),
}
"""Drawings of what is no function to be differentiated, by name."""


def drawn(name):
    """Draw an example."""
    if name in OTHERS:
        return OTHERS[name]()
    f, args, nums = ARGUMENTS[name]
    return wg.draw(f, *args, argnums=nums)


ALL = [*ARGUMENTS, *OTHERS]
