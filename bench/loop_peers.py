"""PyTorch and plain C for the programs of ``loops.py``: what their users write."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from loop_programs import runge_kutta, seeded
from scans import C

__all__ = ["TORCH", "of_c"]


def lstm(n: int, torch: Any) -> Callable[[Any], Any]:
    """Two layers of an LSTM, as in ``loop_programs.py``."""
    xs = torch.tensor(seeded().standard_normal((n, 14)))

    def loss(params: Any) -> Any:
        state = [(torch.zeros(14, dtype=xs.dtype),) * 2 for _ in params]
        total = 0.0
        for t in range(n - 1):
            x = xs[t]
            for i, (w, b) in enumerate(params):
                h, c = state[i]
                z = torch.cat([x, h]) @ w + b
                f, u, o = torch.sigmoid(z[:42]).reshape(3, 14)
                c = c * f + u * torch.tanh(z[42:])
                x = o * torch.tanh(c)
                state[i] = x, c
            total = total + torch.sum((x - xs[t + 1]) ** 2)
        return total / n

    return loss


def ode(n: int, torch: Any) -> Callable[[Any], Any]:
    """A chain of linear equations by Runge-Kutta."""

    def loss(x: Any) -> Any:
        y = torch.ones_like(x)
        for _ in range(n):
            y = runge_kutta(lambda y: torch.cat([x[:1], x[1:] * y[:-1]]), y, 2 / n)
        return torch.mean(y)

    return loss


def garch(n: int, torch: Any) -> Callable[[Any], Any]:
    """The likelihood of GARCH(1, 1)."""
    r = seeded().standard_normal(n) * 0.01
    squares = (r**2).tolist()

    def loss(p: Any) -> Any:
        variance = torch.tensor(np.var(r))
        total = 0.0
        for x in squares:
            total = total + torch.log(variance) + x / variance
            variance = p[0] + p[1] * x + p[2] * variance
        return 0.5 * total

    return loss


def heat(n: int, torch: Any) -> Callable[[Any], Any]:
    """The explicit heat equation."""

    def loss(u: Any) -> Any:
        for _ in range(n):
            inner = u[1:-1, 1:-1]
            around = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2]
            u = u.clone()
            u[1:-1, 1:-1] = inner + 0.2 * (around - 4 * inner)
        return torch.sum(u**2)

    return loss


def sinkhorn(n: int, torch: Any) -> Callable[[Any], Any]:
    """The cost of a transport, by Sinkhorn's iteration."""
    rng = seeded()
    _, y = rng.random((40, 2)), torch.tensor(rng.random((40, 2)))

    def loss(x: Any) -> Any:
        cost = torch.sum((x[:, None] - y) ** 2, dim=2)
        k = torch.exp(-cost / 0.1)
        u = torch.ones(40, dtype=x.dtype)
        for _ in range(n):
            v = 1 / (k.T @ u)
            u = 1 / (k @ v)
        return torch.sum(u[:, None] * k * v * cost)

    return loss


def logistic(n: int, torch: Any) -> Callable[[Any], Any]:
    """The logistic map."""
    del torch

    def loss(r: Any) -> Any:
        x = 0.3
        for _ in range(n):
            x = r * x * (1 - x)
        return x

    return loss


TORCH = {f.__name__: f for f in (lstm, ode, garch, heat, sinkhorn, logistic)}
"""Programs for PyTorch without compilation, whose `torch.compile` unrolls loops of Python."""

_SOURCES = {
    "logistic": C["logistic"],
    "garch": C["garch"]
    .replace("static double *r;", "static double *r, first;")
    .replace(
        "void data(const double *x, long n) {", "void data(const double *x, long n) { first = x[n];"
    )
    .replace("double v = 1e-4", "double v = first"),
}


def of_c(name: str, n: int, x: Any) -> tuple[Callable[[], float], Callable[[], Any]] | None:
    """Return the value and the hand-written adjoint in C; None where there is no such program."""
    if name not in _SOURCES:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "f.c"), Path(folder, "f.so")
        source.write_text(_SOURCES[name])
        flags = ["-O3", "-march=native", "-ffp-contract=off", "-shared", "-fPIC"]
        subprocess.run(["gcc", *flags, str(source), "-o", str(library), "-lm"], check=True)
        lib = ctypes.CDLL(str(library))
    point, count = np.atleast_1d(np.asarray(x, float)), ctypes.c_long(n)
    out, tape = np.zeros(point.size), np.zeros(2 * n)
    pointers = [a.ctypes.data_as(ctypes.c_void_p) for a in (point, out, tape)]  # which hold them
    lib.value.restype = lib.gradient.restype = ctypes.c_double
    if name == "garch":
        r = seeded().standard_normal(n) * 0.01
        rows = np.append(r, np.var(r))
        lib.data(ctypes.c_void_p(rows.ctypes.data), count)

    def value() -> float:
        made: float = lib.value(pointers[0], count)
        return made

    def gradient() -> Any:
        lib.gradient(pointers[0], count, pointers[1], pointers[2])
        return out.copy() if np.ndim(x) else float(out[0])

    return value, gradient
