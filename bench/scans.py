"""Loops as `wg.scan`: a call of the value and of the gradient, against JAX's `lax.scan` and C.

Run with ``python bench/scans.py [--only NAME,...] [--peers]``. Each program is written once, over a
module of arrays and a `scan`, so that JAX runs the same lines. ``--peers`` measures JAX, and plain
C (``gcc -O3 -march=native``) for scalar recurrences, where they are installed; results
are compared before anything is told. Nothing is cached.
"""

from __future__ import annotations

import os

os.environ.setdefault("WENGERT_CACHE_DIR", "")

import argparse
import ctypes
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import as_time

import wengert as wg

Made = tuple[Callable[[Any], Any], Any]


def seeded() -> np.random.Generator:
    """Return the same random numbers each time."""
    return np.random.default_rng(7)


# --- programs: make(xp, scan, n) returns a function to a number, and its argument ----------------
def logistic(xp: Any, scan: Any, n: int) -> Made:
    """The logistic map, a number."""

    def loss(r: Any) -> Any:
        return scan(lambda x, _: (r * x * (1 - x), None), 0.3, None, length=n)[0]

    return loss, 3.2


def euler(xp: Any, scan: Any, n: int) -> Made:
    """A pendulum by Euler's method, two numbers."""

    def loss(p: Any) -> Any:
        def step(state: Any, _: Any) -> Any:
            u, v = state
            return (u + 0.001 * v, v - 0.001 * (p[0] * u + p[1] * v)), None

        u, v = scan(step, (1.0, 0.0), None, length=n)[0]
        return u * u + v * v

    return loss, np.array([1.5, 0.01])


def runge_kutta(f: Callable[[Any], Any], y: Any, h: float) -> Any:
    """Take one classical step."""
    k1 = f(y)
    k2 = f(y + h / 2 * k1)
    k3 = f(y + h / 2 * k2)
    k4 = f(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


def lorenz(xp: Any, scan: Any, n: int) -> Made:
    """Lorenz's equations by Runge and Kutta, a vector of 3."""

    def loss(p: Any) -> Any:
        def f(y: Any) -> Any:
            a, b, c = y[0], y[1], y[2]
            return xp.stack([p[0] * (b - a), a * (p[1] - c) - b, a * b - p[2] * c])

        y = scan(lambda y, _: (runge_kutta(f, y, 0.001), None), xp.ones(3), None, length=n)[0]
        return xp.sum(y)

    return loss, np.array([10.0, 28.0, 8 / 3])


def chain(xp: Any, scan: Any, n: int) -> Made:
    """A chain of 1,000 equations by Runge and Kutta."""

    def loss(x: Any) -> Any:
        def f(y: Any) -> Any:
            return xp.concatenate([x[:1], x[1:] * y[:-1]])

        y = scan(lambda y, _: (runge_kutta(f, y, 2 / n), None), xp.ones(1000), None, length=n)[0]
        return xp.mean(y)

    return loss, seeded().random(1000)


def garch(xp: Any, scan: Any, n: int) -> Made:
    """The likelihood of GARCH(1, 1)."""
    r = seeded().standard_normal(n) * 0.01

    def loss(p: Any) -> Any:
        def step(state: Any, x: Any) -> Any:
            variance, total = state
            total = total + xp.log(variance) + x * x / variance
            return (p[0] + p[1] * x * x + p[2] * variance, total), None

        return 0.5 * scan(step, (1e-4, 0.0), r)[0][1]

    return loss, np.array([1e-6, 0.1, 0.85])


def kalman(xp: Any, scan: Any, n: int) -> Made:
    """The likelihood of a Kalman filter of 4 states and 2 observations, with solves."""
    rng = seeded()
    seen = rng.standard_normal((n, 2))
    h = rng.standard_normal((2, 4))

    def loss(a: Any) -> Any:
        def step(state: Any, z: Any) -> Any:
            m, p, total = state
            m, p = a @ m, a @ p @ a.T + 0.1 * xp.eye(4)
            s = h @ p @ h.T + 0.5 * xp.eye(2)
            e = z - h @ m
            k = xp.linalg.solve(s, h @ p).T
            total = total + e @ xp.linalg.solve(s, e) + xp.log(xp.linalg.det(s))
            return (m + k @ e, p - k @ h @ p, total), None

        return scan(step, (xp.zeros(4), xp.eye(4), 0.0), seen)[0][2]

    return loss, 0.9 * np.eye(4) + 0.02 * rng.standard_normal((4, 4))


def hmm(xp: Any, scan: Any, n: int) -> Made:
    """The forward algorithm of a hidden Markov model of 8 states, with logarithms."""
    rng = seeded()
    seen = rng.standard_normal(n)

    def loss(p: Any) -> Any:
        table = p["moves"] - xp.log(xp.sum(xp.exp(p["moves"]), axis=1, keepdims=True))

        def step(alpha: Any, y: Any) -> Any:
            top = xp.max(alpha)
            moved = xp.log(xp.exp(alpha - top) @ xp.exp(table)) + top
            return moved - 0.5 * (y - p["means"]) ** 2, None

        alpha = scan(step, xp.zeros(8), seen)[0]
        top = xp.max(alpha)
        return top + xp.log(xp.sum(xp.exp(alpha - top)))

    return loss, {"moves": rng.standard_normal((8, 8)), "means": np.linspace(-2, 2, 8)}


def lstm(xp: Any, scan: Any, n: int) -> Made:
    """Two layers of an LSTM, 14 wide."""
    rng = seeded()
    xs = rng.standard_normal((n, 14))
    gates = [(rng.standard_normal((28, 56)) * 0.3, np.zeros(56)) for _ in range(2)]

    def loss(params: Any) -> Any:
        def step(state: Any, pair: Any) -> Any:
            x, target = pair
            new = []
            for (w, b), (h, c) in zip(params, state, strict=True):
                z = xp.concatenate([x, h]) @ w + b
                f, u, o = (1 / (1 + xp.exp(-z[14 * k : 14 * k + 14])) for k in range(3))
                c = c * f + u * xp.tanh(z[42:])
                x = o * xp.tanh(c)
                new.append((x, c))
            return new, xp.sum((x - target) ** 2)

        zeros = [(xp.zeros(14), xp.zeros(14)) for _ in params]
        return xp.sum(scan(step, zeros, (xs[:-1], xs[1:]))[1]) / n

    return loss, gates


def heat(xp: Any, scan: Any, n: int) -> Made:
    """The explicit heat equation on 64 x 64 points."""

    def loss(u: Any) -> Any:
        def step(u: Any, _: Any) -> Any:
            inner = u[1:-1, 1:-1]
            around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
            return xp.pad(inner + 0.2 * (around - 4 * inner), 1), None

        return xp.sum(scan(step, u, None, length=n)[0] ** 2)

    return loss, seeded().random((64, 64))


def newton(xp: Any, scan: Any, n: int) -> Made:
    """Square roots by Newton's method, each to a tolerance, in a `while` within the loop."""

    def loss(x: Any) -> Any:
        def step(total: Any, k: Any) -> Any:
            y = scan(lambda y, _: (0.5 * (y + x * k / y), None), x + k, None, length=8)[0]
            return total + y, None

        return scan(step, 0.0, np.arange(1.0, n + 1))[0]

    return loss, 2.0


PROGRAMS: dict[str, tuple[Callable[..., Made], tuple[int, ...]]] = {
    "logistic": (logistic, (1000, 100_000, 1_000_000)),
    "euler": (euler, (100_000,)),
    "lorenz": (lorenz, (100, 1000)),
    "chain": (chain, (100, 1000)),
    "garch": (garch, (2000,)),
    "kalman": (kalman, (500,)),
    "hmm": (hmm, (2000,)),
    "lstm": (lstm, (1024,)),
    "heat": (heat, (500,)),
    "newton": (newton, (1000,)),
}

C = {
    "logistic": """
double value(const double *r, long n) {
    double x = 0.3;
    for (long t = 0; t < n; t++) x = *r * x * (1 - x);
    return x;
}
double gradient(const double *r, long n, double *g, double *tape) {
    double x = 0.3, a = 1, s = 0;
    for (long t = 0; t < n; t++) { tape[t] = x; x = *r * x * (1 - x); }
    for (long t = n - 1; t >= 0; t--) {
        double y = tape[t];
        s += a * y * (1 - y);
        a *= *r * (1 - 2 * y);
    }
    *g = s;
    return x;
}""",
    "euler": """
double value(const double *p, long n) {
    double u = 1, v = 0;
    for (long t = 0; t < n; t++) {
        double w = u + 0.001 * v;
        v = v - 0.001 * (p[0] * u + p[1] * v);
        u = w;
    }
    return u * u + v * v;
}
double gradient(const double *p, long n, double *g, double *tape) {
    double u = 1, v = 0, a, b, s0 = 0, s1 = 0;
    for (long t = 0; t < n; t++) {
        tape[2 * t] = u; tape[2 * t + 1] = v;
        double w = u + 0.001 * v;
        v = v - 0.001 * (p[0] * u + p[1] * v);
        u = w;
    }
    a = 2 * u; b = 2 * v;
    for (long t = n - 1; t >= 0; t--) {
        double c = -0.001 * b;
        s0 += c * tape[2 * t]; s1 += c * tape[2 * t + 1];
        double d = a + c * p[0];
        b = b + 0.001 * a + c * p[1];
        a = d;
    }
    g[0] = s0; g[1] = s1;
    return u * u + v * v;
}""",
    "garch": """
#include <math.h>
#include <stdlib.h>
static double *r;
void data(const double *x, long n) { r = malloc(8 * n); for (long t = 0; t < n; t++) r[t] = x[t]; }
double value(const double *p, long n) {
    double v = 1e-4, s = 0;
    for (long t = 0; t < n; t++) {
        s += log(v) + r[t] * r[t] / v;
        v = p[0] + p[1] * r[t] * r[t] + p[2] * v;
    }
    return 0.5 * s;
}
double gradient(const double *p, long n, double *g, double *tape) {
    double v = 1e-4, s = 0, a = 0, g0 = 0, g1 = 0, g2 = 0;
    for (long t = 0; t < n; t++) {
        tape[t] = v;
        s += log(v) + r[t] * r[t] / v;
        v = p[0] + p[1] * r[t] * r[t] + p[2] * v;
    }
    for (long t = n - 1; t >= 0; t--) {
        double w = tape[t], q = r[t] * r[t];
        g0 += a; g1 += a * q; g2 += a * w;
        a = a * p[2] + 0.5 * (1 - q / w) / w;
    }
    g[0] = g0; g[1] = g1; g[2] = g2;
    return 0.5 * s;
}""",
}


# --- measuring ------------------------------------------------------------------------------------
def _timed(f: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    y = f()
    return time.perf_counter() - start, y


def _least(f: Callable[[], Any], seconds: float = 0.5) -> float:
    """Return the least time of a call, of as many as take so long."""
    found = [_timed(f)[0]]
    end = time.perf_counter() + seconds
    while len(found) < 3 or (time.perf_counter() < end and len(found) < 2000):
        found.append(_timed(f)[0])
    return min(found)


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, dict):
        return _leaves([x[k] for k in sorted(x)])
    if isinstance(x, (list, tuple)):
        return [leaf for part in x for leaf in _leaves(part)]
    return [np.asarray(x)]


def _close(a: Any, b: Any) -> None:
    for x, y in zip(_leaves(a), _leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-8)


def measure(name: str, n: int, peers: bool) -> dict[str, Any]:
    """Return the seconds of a program's first calls and later ones, and those of the peers."""
    make, _ = PROGRAMS[name]
    found: dict[str, Any] = {}
    f, x = make(np, wg.scan, n)
    made = {"value": wg.jit(f), "gradient": wg.jit(wg.grad(f))}
    got = {}
    for kind, g in made.items():
        found[f"{kind} first"], got[kind] = _timed(lambda g=g: g(x))
        found[kind] = _least(lambda g=g: g(x))
    found["memory"] = made["gradient"].plan(x).memory.peak
    if not peers:
        return found
    _jax(name, n, got, found)
    if name in C and shutil.which("gcc"):
        _c(name, n, x, got, found)
    return found


def _jax(name: str, n: int, got: dict[str, Any], found: dict[str, Any]) -> None:
    try:
        import jax
    except ImportError:
        return
    jax.config.update("jax_enable_x64", True)
    f, x = PROGRAMS[name][0](jax.numpy, jax.lax.scan, n)
    for kind, g in {"value": jax.jit(f), "gradient": jax.jit(jax.grad(f))}.items():
        run = lambda g=g: jax.block_until_ready(g(x))  # noqa: E731
        found[f"JAX {kind} first"], want = _timed(run)
        if name != "logistic" or n <= 1000:  # a chaotic map has no digits in common
            _close(got[kind], want)
        found[f"JAX {kind}"] = _least(run)


def _c(name: str, n: int, x: Any, got: dict[str, Any], found: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "f.c"), Path(folder, "f.so")
        source.write_text(C[name])
        flags = ["-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC"]
        subprocess.run(["gcc", *flags, str(source), "-o", str(library), "-lm"], check=True)
        lib = ctypes.CDLL(str(library))
    point, count = np.atleast_1d(np.asarray(x, float)), ctypes.c_long(n)
    out, tape = np.zeros(point.size), np.zeros(2 * n)
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in (point, out, tape)]
    if name == "garch":
        rows = seeded().standard_normal(n) * 0.01
        lib.data(ctypes.c_void_p(rows.ctypes.data), count)
    for function in (lib.value, lib.gradient):
        function.restype = ctypes.c_double
    _close(lib.value(pointers[0], count), got["value"])
    found["C value"] = _least(lambda: lib.value(pointers[0], count))
    found["C gradient"] = _least(lambda: lib.gradient(pointers[0], count, pointers[1], pointers[2]))
    _close(out, np.atleast_1d(got["gradient"]))


def main() -> None:
    """Measure what was asked for and print the table."""
    parser = argparse.ArgumentParser(description="Loops as scans.")
    parser.add_argument("--only", default=",".join(PROGRAMS), help="programs, with commas")
    parser.add_argument("--peers", action="store_true", help="compare with JAX and C")
    options = parser.parse_args()
    kinds = ["value", "gradient"]
    columns = [*kinds, *(f"{k} first" for k in kinds)]
    if options.peers:
        columns += [f"{who} {k}" for who in ("JAX", "C") for k in kinds]
    table = Table("program", "trips", *columns)
    wg.jit(wg.grad(lambda x: np.sum(np.exp(x))))(np.ones(3))  # LLVM is loaded
    for name in options.only.split(","):
        for n in PROGRAMS[name][1]:
            found = measure(name, n, options.peers)
            table.add_row(name, f"{n:,}", *(as_time(found.get(c)) for c in columns))
            texts = (f"{k}={as_time(v) if k != 'memory' else v}" for k, v in found.items())
            print(name, n, *texts, flush=True)
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
