"""What it costs to follow a function: its first gradient, and each one after it.

Run with ``python bench/following.py [--only NAME,...] [--rounds N]``. Each program is one that can
be differentiated as it stands, without being followed. It is run both ways, in turns, and the
shortest times are compared. The last column counts the functions that are rewritten by the calls
after the first one: none.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import as_time

import wengert as wg
from wengert.follow import rewrite
from wengert.follow.functions import STATE

X = np.linspace(0.1, 0.9, 6)


def rosenbrock(x: Any) -> Any:
    """Operations on a few small arrays."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def scalars(x: Any) -> Any:
    """A loop over numbers."""
    total = 0.0
    for i in range(30):
        total = total + np.sin(x[i % 6]) * x[(i + 1) % 6] - 0.5 * total
    return total


def pendulum(x: Any) -> Any:
    """Steps of a state of two numbers."""
    angle, speed = x[0], x[1]
    for _ in range(30):
        speed = speed - 0.01 * (9.81 * np.sin(angle) + 0.1 * speed)
        angle = angle + 0.01 * speed
    return angle * speed


class Network:
    """Layers that are kept in an object."""

    def __init__(self, width: int = 20) -> None:
        rng = np.random.default_rng(0)
        self.weights = [rng.standard_normal((width, 6)), rng.standard_normal((1, width))]
        self.biases = [rng.standard_normal(width), rng.standard_normal(1)]
        self.steps = 5

    def layer(self, x: Any, k: int) -> Any:
        """Return what a layer makes of its input."""
        return np.tanh(self.weights[k] @ x + self.biases[k])

    def __call__(self, x: Any) -> Any:
        total = 0.0
        for k in range(self.steps):
            total = total + np.sum(self.layer(self.layer(x * k, 0), 1))
        return total


def helpers(x: Any) -> Any:
    """Small functions that call each other."""

    def square(v: Any) -> Any:
        return v * v

    def distance(a: Any, b: Any) -> Any:
        return np.sqrt(square(a[0] - b[0]) + square(a[1] - b[1]))

    points = [x[0:2], x[2:4], x[4:6]]
    return sum(distance(a, b) for a in points for b in points if a is not b)


def large(x: Any) -> Any:
    """Operations on large arrays."""
    y = np.linspace(0.0, 1.0, 50_000)
    for v in x:
        y = np.tanh(y * v + 0.1)
    return np.mean(y**2)


PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "rosenbrock": rosenbrock,
    "scalars": scalars,
    "pendulum": pendulum,
    "network": Network(),
    "helpers": helpers,
    "large": large,
}


def timed(f: Callable[[Any], Any], on: bool) -> float:
    """Return the processor's seconds of one gradient."""
    before, STATE.on = STATE.on, on
    try:
        gradient = wg.grad(f)
        start = time.process_time()
        gradient(X)
        return time.process_time() - start
    finally:
        STATE.on = before


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="names, with commas between")
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    table = Table("program", "plain tracing", "followed", "ratio", "first", "rewritten again")
    for name, f in PROGRAMS.items():
        if options.only and name not in options.only.split(","):
            continue
        timed(f, on=False)
        first = timed(f, on=True)
        known = len(rewrite._ORIGINALS)
        times: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(options.rounds):
            for on in times:
                times[on].append(timed(f, on))
        plain, followed = min(times[False]), min(times[True])
        again = len(rewrite._ORIGINALS) - known
        table.add_row(
            name, as_time(plain), as_time(followed), f"{followed / plain:.2f}", as_time(first),
            str(again),
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
