"""Scalar code: straight lines of operations, Rosenbrock's function, a determinant by minors."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from problems.peers import jnp, torch
from problems.record import Goal, Problem, seeded

__all__ = ["PROBLEMS"]


# --- straight-line code ---------------------------------------------------------------------------
def straight_line(n: int, sin: Any, exp: Any) -> Callable[..., Any]:
    """Return a drawn function of 4 numbers that takes `n` operations; values stay below 4."""
    rng = seeded(n)
    draws: list[tuple[Any, ...]] = []
    count = 0
    while count < n:
        kind = int(rng.integers(10))
        draws.append((kind, *map(int, rng.integers(4, size=3)), float(rng.uniform(1.5, 2.5))))
        count += 4 if kind < 4 else 3

    def f(x: Any) -> Any:
        xs = [x[0], x[1], x[2], x[3]]
        s = list(xs)
        total = xs[0]
        for kind, a, b, c, k in draws:
            if kind == 0:
                s[a] = sin(s[b] * k + xs[c])
            elif kind == 1:
                s[a] = exp(-s[b] * s[b])
            elif kind < 4:
                s[a] = s[b] / (s[c] * s[c] + k)
            elif kind < 6:
                s[a] = s[b] * s[c] * 0.25
            elif kind < 8:
                s[a] = (s[b] - s[c]) * 0.5
            else:
                s[a] = (s[b] + xs[c]) * 0.5
            total = total + s[a]
        return total

    return f


def straight(n: int, **more: Any) -> Problem:
    if jnp is not None:
        more.setdefault("jax", straight_line(n, jnp.sin, jnp.exp))
    return Problem(
        f"straight line, {n:,} operations",
        straight_line(n, np.sin, np.exp),
        (np.array([0.3, -0.2, 0.5, 0.1]),),
        torch=torch and straight_line(n, torch.sin, torch.exp),
        goal=Goal(first=20.0, operation=1.5e-9, first_seconds=30.0),
        key=f"straight-{n}",
        **more,
    )


# --- Rosenbrock -----------------------------------------------------------------------------------
def rosenbrock(x: Any) -> Any:
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_jax(x: Any) -> Any:
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_torch(x: Any) -> Any:
    return torch.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def rosenbrock_of(n: int) -> Problem:
    return Problem(
        f"Rosenbrock in {n} variables",
        rosenbrock,
        (seeded(n).standard_normal(n),),
        jax=rosenbrock_jax,
        torch=rosenbrock_torch,
        goal=Goal(seconds=4e-6, jax=3.0),
        key=f"rosenbrock-{n}",
    )


# --- determinant by minors ------------------------------------------------------------------------
def determinant(a: Any) -> Any:
    """Expand along the first row, recursively, over lists of the rows and columns that are left."""

    def minor(rows: list[int], columns: list[int]) -> Any:
        if len(rows) == 1:
            return a[rows[0], columns[0]]
        total = 0.0
        for j, column in enumerate(columns):
            term = a[rows[0], column] * minor(rows[1:], columns[:j] + columns[j + 1 :])
            total = total + term if j % 2 == 0 else total - term
        return total

    everything = list(range(a.shape[0]))
    return minor(everything, everything)


def laplace_tables(n: int) -> list[tuple[Any, Any, Any]]:
    """Return for each size of minor: its columns, the smaller minors that it needs, and signs.

    Unrolled, the recursion is 110,000 operations, which neither XLA nor PyTorch's dispatch can take
    in good time. Their version computes each minor of the last rows once, all of one size together.
    """
    tables = []
    smaller = {(): 0}
    for size in range(1, n + 1):
        subsets = list(itertools.combinations(range(n), size))
        columns = np.array(subsets)
        needed = np.array([[smaller[s[:j] + s[j + 1 :]] for j in range(size)] for s in subsets])
        tables.append((columns, needed, (-1.0) ** np.arange(size)))
        smaller = {s: i for i, s in enumerate(subsets)}
    return tables


TABLES = laplace_tables(8)


def determinant_jax(a: Any) -> Any:
    minors = jnp.ones(1)
    for row, (columns, needed, signs) in zip(range(7, -1, -1), TABLES, strict=True):
        minors = jnp.sum(signs * a[row][columns] * minors[needed], axis=1)
    return minors[0]


TORCH_TABLES = torch and [tuple(torch.as_tensor(t) for t in table) for table in TABLES]


def determinant_torch(a: Any) -> Any:
    minors = torch.ones(1, dtype=torch.float64)
    for row, (columns, needed, signs) in zip(range(7, -1, -1), TORCH_TABLES, strict=True):
        minors = torch.sum(signs * a[row][columns] * minors[needed], 1)
    return minors[0]


PROBLEMS = [
    straight(1_000),
    straight(10_000, jax_limit=120.0),
    straight(100_000, jax=None),
    rosenbrock_of(2),
    rosenbrock_of(100),
    Problem(
        "det 8x8 by minors",
        determinant,
        (seeded(8).standard_normal((8, 8)),),
        jax=determinant_jax,
        torch=determinant_torch,
        note="ours as written, 110,000 operations; theirs each minor once, by size",
    ),
]
