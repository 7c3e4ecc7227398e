"""Programs with loops and branches, each beside the same program in plain Python.

A program is ``f(w, x)`` of a 3 x 3 matrix and a vector of 3, and returns a number. `plain` is the
same with Python's own loops, whose derivatives the other tests have checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import wengert as wg

DATA = np.random.default_rng(5).normal(size=(5, 3))


class Program:
    """A program and its twin."""

    def __init__(self, name: str, f: Any, plain: Any) -> None:
        self.name, self.f, self.plain = name, f, plain

    def __str__(self) -> str:
        """Name it in a test's id."""
        return self.name


PROGRAMS: list[Program] = []


def program(plain: Any) -> Any:
    """Pair a function with its twin in plain Python."""

    def add(f: Any) -> Any:
        PROGRAMS.append(Program(f.__name__, f, plain))
        return f

    return add


# --- scan -----------------------------------------------------------------------------------------
def _recurrent(w, x):
    h, total = x, 0.0
    for row in DATA:
        h = np.tanh(w @ h + row)
        total = total + np.sum(h**2)
    return total + h[0]


@program(_recurrent)
def recurrent(w, x):
    def step(h, row):
        h = np.tanh(w @ h + row)
        return h, np.sum(h**2)

    h, ys = wg.scan(step, x, DATA)
    return np.sum(ys) + h[0]


def _backwards(w, x):
    h, ys = {"a": x, "n": 0}, []
    for row in DATA[::-1]:
        h = {"a": np.sin(h["a"] * row + w[0]), "n": h["n"] + 1}
        ys.append(h["a"] * h["n"])
    return np.sum(np.stack(ys[::-1]) * DATA)


@program(_backwards)
def backwards(w, x):
    def step(h, row):
        h = {"a": np.sin(h["a"] * row + w[0]), "n": h["n"] + 1}
        return h, (h["a"] * h["n"], None)

    _, (ys, _) = wg.scan(step, {"a": x, "n": 0}, DATA, reverse=True)
    return np.sum(ys * DATA)


def _rows_of_an_argument(w, x):
    c = 1.0
    for row in w:
        c = c * np.sum(np.cos(row) * x) + row[0]
    return c


@program(_rows_of_an_argument)
def rows_of_an_argument(w, x):
    return wg.scan(lambda c, row: (c * np.sum(np.cos(row) * x) + row[0], None), 1.0, w)[0]


def _looked_up(w, x):
    total = 0.0
    for i in [2, 0, 1, 2]:
        total = total + np.sin(w[i, 1] * x[i]) * w[i % 2] @ x
    return total


@program(_looked_up)
def looked_up(w, x):
    def step(total, i):
        return total + np.sin(w[i, 1] * x[i]) * w[i % 2] @ x, ()

    return wg.scan(step, 0.0, np.array([2, 0, 1, 2]))[0]


def _nested(w, x):
    h, ys = x, []
    for row in DATA[:3]:
        for _ in range(2):
            h = np.tanh(w @ h) + row
        ys.append(h)
    return np.sum(np.stack(ys) ** 2)


@program(_nested)
def nested(w, x):
    def step(h, row):
        h = wg.fori_loop(0, 2, lambda _, h: np.tanh(w @ h) + row, h)
        return h, h

    return np.sum(wg.scan(step, x, DATA[:3])[1] ** 2)


def _late(w, x):
    a, b, c = x[0], x[1], x[2]
    ys = []
    for t in np.arange(4.0):
        a, b, c = b * w[0, 0], c + t, np.sin(c)
        ys.append(a)
    return a + np.sum(np.stack(ys) ** 2)


@program(_late)
def late(w, x):
    def step(carry, t):
        _, b, c = carry
        made = (b * w[0, 0], c + t, np.sin(c))
        return made, made[0]

    (a, _, _), ys = wg.scan(step, (x[0], x[1], x[2]), np.arange(4.0))
    return a + np.sum(ys**2)


def _solved(w, x):
    h = x
    for row in DATA[:3]:
        h = np.linalg.solve(3.0 * np.eye(3) + 0.1 * w, h + row)
    return h @ h


@program(_solved)
def solved(w, x):
    def step(h, row):
        return np.linalg.solve(3.0 * np.eye(3) + 0.1 * w, h + row), None

    h, _ = wg.scan(step, x, DATA[:3])
    return h @ h


def _updated(w, x):
    y = x
    for i in range(3):
        y = y.copy()
        y[i] = y[i - 1] * w[i, 0] + np.sin(y[i])
    return np.sum(y**2)


@program(_updated)
def updated(w, x):
    def step(i, y):
        y = y.copy()
        y[i] = y[i - 1] * w[i, 0] + np.sin(y[i])
        return y

    return np.sum(wg.fori_loop(0, 3, step, x) ** 2)


def _mapped(w, x):
    return np.sum(np.stack([np.exp(-np.sum((row - x) ** 2)) for row in w]) ** 2)


@program(_mapped)
def mapped(w, x):
    return np.sum(wg.map(lambda row: np.exp(-np.sum((row - x) ** 2)), w) ** 2)


def _stopped(w, x):
    h = x
    for _ in range(3):
        h = np.tanh(w @ h) * wg.stop_gradient(h) + x
    return np.sum(h)


@program(_stopped)
def stopped(w, x):
    return np.sum(wg.fori_loop(0, 3, lambda _, h: np.tanh(w @ h) * wg.stop_gradient(h) + x, x))


def _sums(w, x):
    return np.sum(np.cumsum(w * x, 0) * DATA[:3]) + np.sum(np.cumprod(np.cos(x)))


@program(_sums)
def sums(w, x):
    whole = wg.associative_scan(np.add, w * x)
    return np.sum(whole * DATA[:3]) + np.sum(wg.associative_scan(np.multiply, np.cos(x)))


# --- while and branches ---------------------------------------------------------------------------
def _root(w, x):
    a = 2.0 + np.sum(x**2)
    y = a
    while abs(y * y - a) > 1e-6 * a:
        y = 0.5 * (y + a / y)
    return y * w[0, 0]


@program(_root)
def root(w, x):
    a = 2.0 + np.sum(x**2)
    y = wg.while_loop(lambda y: abs(y * y - a) > 1e-6 * a, lambda y: 0.5 * (y + a / y), a)
    return y * w[0, 0]


def _grown(w, x):
    k, h = 0, np.exp(0.1 * x)
    while np.sum(h) < 20.0:
        k, h = k + 1, h * (1.2 + 0.3 * np.sin(w[0]))
    return np.sum(h * w[1]) + k


@program(_grown)
def grown(w, x):
    k, h = wg.while_loop(
        lambda c: np.sum(c[1]) < 20.0,
        lambda c: (c[0] + 1, c[1] * (1.2 + 0.3 * np.sin(w[0]))),
        (0, np.exp(0.1 * x)),
    )
    return np.sum(h * w[1]) + k


def _chosen(w, x):
    if x[0] > 0:
        return np.sum(np.sin(w @ x))
    return np.sum(w * 2.0) * x[1]


@program(_chosen)
def chosen(w, x):
    return wg.cond(x[0] > 0, lambda x: np.sum(np.sin(w @ x)), lambda x: np.sum(w * 2.0) * x[1], x)


def _switched(w, x):
    k = int(np.floor(2 * np.abs(x[0])))
    return [np.sum(x**2), np.sin(w[0] @ x), x[2] * w[1, 1]][min(k, 2)]


@program(_switched)
def switched(w, x):
    k = np.floor(2 * np.abs(x[0])).astype(int)
    arms = (lambda x: np.sum(x**2), lambda x: np.sin(w[0] @ x), lambda x: x[2] * w[1, 1])
    return wg.switch(k, arms, x)


def _branches_in_a_loop(w, x):
    h = x
    for row in DATA:
        h = np.tanh(w @ h) if np.sum(h) * row[0] > 0 else h * np.cos(row)
    return np.sum(h**2)


@program(_branches_in_a_loop)
def branches_in_a_loop(w, x):
    def step(h, row):
        return wg.cond(
            np.sum(h) * row[0] > 0,
            lambda h: np.tanh(w @ h),
            lambda h: h * np.cos(row),
            h,
        ), None

    return np.sum(wg.scan(step, x, DATA)[0] ** 2)
