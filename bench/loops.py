"""Ordinary Python loops over time: what the first gradient takes, and each one after it.

Run with ``python bench/loops.py [--only NAME,...] [--sizes N,...] [--peers] [--limit SECONDS]``.
Each program is a Python loop in NumPy as people write it; with ``--peers``, JAX has the same as a
`lax.scan`, and its gradient is compared before anything is told. Every row is measured with nothing
cached. A program whose first gradient took longer than the limit is not tried at larger sizes.
"""

from __future__ import annotations

import os

os.environ.setdefault("WENGERT_CACHE_DIR", "")

import argparse
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import as_time

import wengert as wg


class Program(NamedTuple):
    """A loop.

    Attributes
    ----------
    make : callable
        ``make(n)`` returns a function with a number as its result, and its argument.
    sizes : tuple of int
        Trips.
    peer : callable, optional
        ``peer(n)`` returns the function for JAX.
    """

    make: Callable[[int], tuple[Callable[[Any], Any], Any]]
    sizes: tuple[int, ...]
    peer: Callable[[int], Callable[[Any], Any]] | None = None


def seeded() -> np.random.Generator:
    """Return the same random numbers each time."""
    return np.random.default_rng(7)


# --- programs -------------------------------------------------------------------------------------
def lstm(n: int) -> tuple[Callable[[Any], Any], Any]:
    """Two layers of an LSTM, 14 wide, as a program that predicts the next element."""
    rng = seeded()
    xs = rng.standard_normal((n, 14))
    gates = [(rng.standard_normal((28, 56)) * 0.3, np.zeros(56)) for _ in range(2)]

    def loss(params: Any) -> Any:
        state = [(np.zeros(14), np.zeros(14)) for _ in params]
        total = 0.0
        for t in range(n - 1):
            x = xs[t]
            for i, (w, b) in enumerate(params):
                h, c = state[i]
                z = np.concatenate([x, h]) @ w + b
                f, u, o = (1 / (1 + np.exp(-z[14 * k : 14 * k + 14])) for k in range(3))
                c = c * f + u * np.tanh(z[42:])
                x = o * np.tanh(c)
                state[i] = x, c
            total = total + np.sum((x - xs[t + 1]) ** 2)
        return total / n

    return loss, gates


def lstm_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    xs = seeded().standard_normal((n, 14))

    def loss(params: Any) -> Any:
        def step(state: Any, pair: Any) -> Any:
            x, target = pair
            new = []
            for (w, b), (h, c) in zip(params, state, strict=True):
                z = jnp.concatenate([x, h]) @ w + b
                f, u, o = jnp.split(jax.nn.sigmoid(z[:42]), 3)
                c = c * f + u * jnp.tanh(z[42:])
                x = o * jnp.tanh(c)
                new.append((x, c))
            return new, jnp.sum((x - target) ** 2)

        zeros = [(jnp.zeros(14), jnp.zeros(14)) for _ in params]
        return jnp.sum(jax.lax.scan(step, zeros, (xs[:-1], xs[1:]))[1]) / n

    return loss


def runge_kutta(f: Callable[[Any], Any], y: Any, h: float) -> Any:
    """Take one classical step."""
    k1 = f(y)
    k2 = f(y + h / 2 * k1)
    k3 = f(y + h / 2 * k2)
    k4 = f(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def ode(n: int) -> tuple[Callable[[Any], Any], Any]:
    """A chain of 50 linear equations, y_i' = x_i y_(i-1)."""

    def loss(x: Any) -> Any:
        y = np.ones(x.shape)
        for _ in range(n):
            y = runge_kutta(lambda y: np.concatenate([x[:1], x[1:] * y[:-1]]), y, 2 / n)
        return np.mean(y)

    return loss, seeded().random(50)


def ode_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    def loss(x: Any) -> Any:
        def step(y: Any, _: Any) -> Any:
            f = lambda y: jnp.concatenate([x[:1], x[1:] * y[:-1]])  # noqa: E731
            return runge_kutta(f, y, 2 / n), None

        return jnp.mean(jax.lax.scan(step, jnp.ones(x.shape), None, length=n)[0])

    return loss


def sir(n: int) -> tuple[Callable[[Any], Any], Any]:
    """An epidemic in three numbers, fitted to what was observed."""
    seen = np.abs(np.sin(np.linspace(0, 3, n))) * 0.2

    def loss(p: Any) -> Any:
        def f(y: Any) -> Any:
            s, i, _ = y
            new, well = p[0] * s * i, p[1] * i
            return np.array([-new, new - well, well], like=p)

        y = np.array([0.99, 0.01, 0.0])
        total = 0.0
        for t in range(n):
            y = runge_kutta(f, y, 20 / n)
            total = total + (y[1] - seen[t]) ** 2
        return total

    return loss, np.array([1.5, 0.4])


def garch(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The likelihood of GARCH(1, 1)."""
    r = seeded().standard_normal(n) * 0.01

    def loss(p: Any) -> Any:
        omega, alpha, beta = p[0], p[1], p[2]
        variance = np.var(r)
        total = 0.0
        for t in range(n):
            total = total + np.log(variance) + r[t] ** 2 / variance
            variance = omega + alpha * r[t] ** 2 + beta * variance
        return 0.5 * total

    return loss, np.array([1e-6, 0.1, 0.85])


def garch_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    r = seeded().standard_normal(n) * 0.01

    def loss(p: Any) -> Any:
        def step(variance: Any, x: Any) -> Any:
            return p[0] + p[1] * x**2 + p[2] * variance, jnp.log(variance) + x**2 / variance

        return 0.5 * jnp.sum(jax.lax.scan(step, jnp.var(r), r)[1])

    return loss


def bodies(n: int) -> tuple[Callable[[Any], Any], Any]:
    """Five bodies under gravity, by leapfrog, each pair by itself."""
    rng = seeded()
    mass = rng.random(5) + 0.5

    def loss(start: Any) -> Any:
        x = [start[0, i] for i in range(5)]
        v = [start[1, i] for i in range(5)]
        for _ in range(n):
            force = [np.zeros(3) for _ in range(5)]
            for i in range(5):
                for j in range(i):
                    d = x[j] - x[i]
                    pull = d / (np.sum(d * d) + 0.01) ** 1.5
                    force[i] = force[i] + mass[j] * pull
                    force[j] = force[j] - mass[i] * pull
            v = [a + 0.01 * f for a, f in zip(v, force, strict=True)]
            x = [a + 0.01 * b for a, b in zip(x, v, strict=True)]
        return sum(np.sum(a * a) for a in x)

    return loss, rng.standard_normal((2, 5, 3))


def heat(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The explicit heat equation on 32 x 32 points."""

    def loss(u: Any) -> Any:
        for _ in range(n):
            inner = u[1:-1, 1:-1]
            around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
            u = u.copy()
            u[1:-1, 1:-1] = inner + 0.2 * (around - 4 * inner)
        return np.sum(u**2)

    return loss, seeded().random((32, 32))


def heat_jax(n: int) -> Callable[[Any], Any]:
    """Scan over the same steps."""
    import jax
    import jax.numpy as jnp

    def loss(u: Any) -> Any:
        def step(u: Any, _: Any) -> Any:
            inner = u[1:-1, 1:-1]
            around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
            return u.at[1:-1, 1:-1].set(inner + 0.2 * (around - 4 * inner)), None

        return jnp.sum(jax.lax.scan(step, u, None, length=n)[0] ** 2)

    return loss


def logistic(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The logistic map, a number."""

    def loss(r: Any) -> Any:
        x = 0.3
        for _ in range(n):
            x = r * x * (1 - x)
        return x

    return loss, 3.2


def stored(n: int) -> tuple[Callable[[Any], Any], Any]:
    """A recurrence whose values are stored in an array, one by one."""

    def loss(a: Any) -> Any:
        y = np.zeros(n, like=a)
        y[0] = a[0]
        for i in range(1, n):
            y[i] = np.sin(y[i - 1]) * a[1] + 1 / i
        return np.sum(y**2)

    return loss, np.array([0.5, 0.9])


def listed(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The same recurrence with a list."""

    def loss(a: Any) -> Any:
        y = [a[0]]
        for i in range(1, n):
            y.append(np.sin(y[i - 1]) * a[1] + 1 / i)
        return np.sum(np.stack(y) ** 2)

    return loss, np.array([0.5, 0.9])


def cholesky(n: int) -> tuple[Callable[[Any], Any], Any]:
    """The Cholesky factor of a matrix, by hand, number by number; `n` is its order."""
    a = seeded().standard_normal((n, n))

    def loss(a: Any) -> Any:
        factor = np.zeros((n, n), like=a)
        for i in range(n):
            for j in range(i + 1):
                s = a[i, j] - np.dot(factor[i, :j], factor[j, :j])
                factor[i, j] = np.sqrt(s) if i == j else s / factor[j, j]
        return 2 * np.sum(np.log(np.diag(factor)))

    return loss, a @ a.T / n + np.eye(n)


PROGRAMS = {
    "lstm": Program(lstm, (16, 32, 64, 128, 256, 384), lstm_jax),
    "ode": Program(ode, (50, 100, 200, 400), ode_jax),
    "sir": Program(sir, (50, 100, 200)),
    "garch": Program(garch, (500, 2000), garch_jax),
    "bodies": Program(bodies, (15, 60)),
    "heat": Program(heat, (100, 500), heat_jax),
    "logistic": Program(logistic, (1000, 10_000)),
    "stored": Program(stored, (250, 1000, 2000)),
    "listed": Program(listed, (250, 1000, 2000)),
    "cholesky": Program(cholesky, (10, 20, 45)),
}


# --- measuring ------------------------------------------------------------------------------------
def _timed(f: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    y = f()
    return time.perf_counter() - start, y


def _least(f: Callable[[], Any], rounds: int = 5) -> float:
    once = _timed(f)[0]
    return min(_timed(f)[0] for _ in range(rounds if once < 2 else 1))


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)):
        return [leaf for part in x for leaf in _leaves(part)]
    return [np.asarray(x)]


def measure(program: Program, n: int, peers: bool) -> dict[str, float]:
    """Return the seconds of a program's first gradient and of those after it, and of the peers."""
    f, x = program.make(n)
    found = {"plain": _timed(lambda: f(x))[0]}
    found["eager"] = _timed(lambda: wg.grad(f)(x))[0]
    gradient = wg.jit(wg.grad(f))
    found["first"], got = _timed(lambda: gradient(x))
    found["call"] = _least(lambda: gradient(x))
    if peers and program.peer is not None:
        import jax

        jax.config.update("jax_enable_x64", True)
        peer = jax.jit(jax.grad(program.peer(n)))
        run = lambda: jax.block_until_ready(peer(x))  # noqa: E731
        found["JAX first"], want = _timed(run)
        found["JAX call"] = _least(run)
        for a, b in zip(_leaves(got), _leaves(want), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    return found


def main() -> None:
    """Measure what was asked for and print the table."""
    parser = argparse.ArgumentParser(description="Gradients of ordinary Python loops.")
    parser.add_argument("--only", default=",".join(PROGRAMS), help="programs, with commas")
    parser.add_argument("--sizes", help="trips, with commas, instead of each program's own")
    parser.add_argument("--peers", action="store_true", help="compare with JAX's scan")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a first gradient")
    options = parser.parse_args()
    columns = ["plain", "eager", "first", "call"]
    columns += ["JAX first", "JAX call"] * options.peers
    table = Table("program", "trips", *columns)
    wg.jit(wg.grad(lambda x: np.sum(np.exp(x))))(np.ones(3))  # LLVM is loaded
    for name in options.only.split(","):
        program = PROGRAMS[name]
        sizes = map(int, options.sizes.split(",")) if options.sizes else program.sizes
        for n in sizes:
            found = measure(program, n, options.peers)
            table.add_row(name, f"{n:,}", *(as_time(found.get(c)) for c in columns))
            print(name, n, *(f"{k}={as_time(v)}" for k, v in found.items()), flush=True)
            if found["first"] > options.limit:
                break
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
