"""Random programs with loops as people write them, for rolled and unrolled graphs to agree on.

A program is a list of steps, drawn once from its seed and then interpreted, so that the function
is the same each time it is called. `program(seed)` returns a function of five numbers and a point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import wengert as wg

SIZE = 3


class State:
    """What a program's loops change."""

    def __init__(self, x: Any, n: int) -> None:
        self.x = x
        self.s = [x[0], x[1] * 0.5, 0.3]
        self.v = x[1:4] * np.array([1.0, -0.5, 0.25])
        self.y = np.zeros(n + 2, like=x)
        self.y[0] = x[2]
        self.y[1] = x[3] * 0.7
        self.grid = np.zeros((n + 2, SIZE), like=x)
        self.kept: list[Any] = []
        self.named = {"a": x[4], "b": 1.0}


Step = Callable[[State, int], Any]


class Draw:
    """Draws the steps of a program."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.trips = int(self.rng.integers(4, 14))
        self.table = self.rng.random(64) + 0.2
        self.rows = self.rng.random((64, SIZE))
        self.matrix = self.rng.random((SIZE, SIZE)) * 0.4

    def number(self) -> Callable[[State, int], Any]:
        """Draw a number that a trip reads."""
        k = int(self.rng.integers(3))
        c = float(self.rng.random() + 0.1)
        table = self.table
        return self._one_of(
            lambda st, t: c,
            lambda st, t: t * c,
            lambda st, t: float(table[t]),
            lambda st, t: table[t],
            lambda st, t: st.x[k],
            lambda st, t: st.x[t % 5],
            lambda st, t: st.s[k],
            lambda st, t: st.y[t],
            lambda st, t: st.y[t + 1] * c,
            lambda st, t: st.named["a"],
            lambda st, t: t + 2,
            lambda st, t: 1 / (t + 1),
            lambda st, t: st.v[k],
            lambda st, t: st.grid[t, k],
            lambda st, t: np.sum(st.v * table[t : t + SIZE]),
        )

    def vector(self) -> Callable[[State, int], Any]:
        """Draw a vector that a trip reads."""
        rows, matrix = self.rows, self.matrix
        return self._one_of(
            lambda st, t: st.v,
            lambda st, t: rows[t],
            lambda st, t: st.grid[t],
            lambda st, t: st.x[1:4],
            lambda st, t: matrix @ st.v,
            lambda st, t: st.v[::-1] * rows[2],
            lambda st, t: st.y[t : t + 3] if t < self.trips - 2 else st.y[-3:],
            lambda st, t: np.stack([st.s[0], st.s[1], st.x[0]]),
        )

    def joined(self) -> Callable[[Any, Any], Any]:
        """Draw an operation on two numbers or vectors that keeps them small."""
        return self._one_of(
            lambda a, b: a + 0.3 * b,
            lambda a, b: np.sin(a) * b,
            lambda a, b: a - np.tanh(b),
            lambda a, b: 0.5 * a + np.cos(b),
            lambda a, b: a / (1 + b**2),
            lambda a, b: np.maximum(a, b),
            lambda a, b: np.where(b > 0.4, a, -0.5 * a),
            lambda a, b: 0.9 * b,
            lambda a, b: np.tanh(a * b) + 0.1,
        )

    def step(self, depth: int = 0) -> Step:
        """Draw something that a trip does."""
        k = int(self.rng.integers(3))
        number, vector, joined = self.number(), self.vector(), self.joined()
        other = self.number()
        kinds: list[Callable[[], Step]] = [
            lambda: _set_number(k, number, joined),
            lambda: _set_number(k, number, joined),
            lambda: _set_vector(vector, joined),
            lambda: lambda st, t: st.kept.append(joined(number(st, t), 0.5)),
            lambda: _store(number, joined),
            lambda: _store_row(vector, joined),
            lambda: _add(number, k),
            lambda: lambda st, t: st.named.__setitem__("a", joined(st.named["a"], number(st, t))),
            lambda: _swap(k),
            lambda: _alternate(self.step(depth), self.step(depth), 2 + k % 2),
            lambda: _at_trip(self.step(depth), int(self.rng.integers(10))),
            lambda: _decide(k, number, other, joined),
            lambda: _lag(number, joined),
        ]
        if depth < 2:
            kinds += [lambda: self.loop(depth + 1)] * 2
        return kinds[int(self.rng.integers(len(kinds)))]()

    def loop(self, depth: int) -> Step:
        """Draw a loop in a loop."""
        steps = [self.step(depth) for _ in range(int(self.rng.integers(1, 3)))]
        trips = min(int(self.rng.integers(2, 6)), self.trips)
        ragged = self.rng.random() < 0.2

        def run(st: State, t: int) -> None:
            for i in range(min(t, trips) if ragged else trips):
                for step in steps:
                    step(st, i)

        return run

    def _one_of(self, *choices: Any) -> Any:
        return choices[int(self.rng.integers(len(choices)))]


def _set_number(k: int, number: Any, joined: Any) -> Step:
    def run(st: State, t: int) -> None:
        st.s[k] = joined(st.s[k], number(st, t))

    return run


def _set_vector(vector: Any, joined: Any) -> Step:
    def run(st: State, t: int) -> None:
        st.v = joined(st.v, vector(st, t))

    return run


def _store(number: Any, joined: Any) -> Step:
    def run(st: State, t: int) -> None:
        st.y[t + 2] = joined(st.y[t + 1], number(st, t)) + 0.1 * st.y[t]

    return run


def _store_row(vector: Any, joined: Any) -> Step:
    def run(st: State, t: int) -> None:
        st.grid[t + 1] = joined(st.grid[t], vector(st, t))

    return run


def _add(number: Any, k: int) -> Step:
    def run(st: State, t: int) -> None:
        if k == 0:
            st.y[t] += number(st, t)
        elif k == 1:
            st.grid[t, 1] += number(st, t)
        else:
            st.v[1] = st.v[1] * 0.5 + number(st, t)

    return run


def _swap(k: int) -> Step:
    def run(st: State, t: int) -> None:
        st.s[k], st.s[0] = st.s[0], st.s[k]

    return run


def _alternate(one: Step, two: Step, period: int) -> Step:
    return lambda st, t: one(st, t) if t % period else two(st, t)


def _at_trip(step: Step, at: int) -> Step:
    def run(st: State, t: int) -> None:
        if t == at:
            step(st, t)

    return run


def _decide(k: int, number: Any, other: Any, joined: Any) -> Step:
    def run(st: State, t: int) -> None:
        if st.s[k] > 0.2:
            st.s[k] = joined(st.s[k], number(st, t))
        else:
            st.s[k] = 0.5 + joined(other(st, t), st.s[k])

    return run


def _lag(number: Any, joined: Any) -> Step:
    def run(st: State, t: int) -> None:
        before = st.kept[-2] if len(st.kept) > 1 else st.x[1]
        st.kept.append(joined(before, number(st, t)))

    return run


def program(seed: int) -> tuple[Callable[[Any], Any], np.ndarray[Any, Any]]:
    """Return a function of five numbers, and a point."""
    draw = Draw(seed)
    steps = [draw.step() for _ in range(int(draw.rng.integers(1, 5)))]
    n = draw.trips
    leaves = draw.rng.random() < 0.2
    ends = int(draw.rng.integers(n))

    def f(x: Any) -> Any:
        st = State(x, n)
        for t in range(n):
            for step in steps:
                step(st, t)
            if leaves and t == ends:
                break
        kept = np.sum(np.stack(st.kept)) if st.kept else 0.0
        total = st.s[0] + st.s[1] * st.s[2] + np.sum(st.v**2) + kept + np.sum(np.sin(st.y))
        return total + st.named["a"] + np.sum(st.grid * st.grid)

    return f, draw.rng.random(5) * 0.8 + 0.1


def modes(f: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """Return what is made of a function; each takes a point and a direction."""
    return {
        "value": lambda x, d: f(x),
        "grad": lambda x, d: wg.grad(f)(x),
        "jvp": lambda x, d: wg.jvp(f, (x,), (d,)),
        "second": lambda x, d: wg.jvp(wg.grad(f), (x,), (d,)),
        "vmap": lambda x, d: wg.vmap(f)(np.stack([x, d + x, x - d])),
        "vmap of grad": lambda x, d: wg.vmap(wg.grad(f))(np.stack([x, d + x])),
    }
