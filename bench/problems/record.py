"""What a problem is: a function in three libraries, its inputs, and which derivative is wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import wengert as wg
from problems.clanguage import CFunction
from problems.peers import autograd_leaves, jax, torch

__all__ = ["GRADIENT", "Derivative", "Goal", "Limit", "Problem", "seeded"]

Function = Callable[..., Any]


class Derivative(NamedTuple):
    """How each library is asked for a problem's derivative; each takes a function, returns one."""

    wengert: Function
    jax: Function
    torch: Function
    value: Function = lambda f: f
    """From the NumPy function to what the derivative's time is divided by."""


def _torch_gradient(f: Function) -> Function:
    def value_and_gradient(first: Any, *rest: Any) -> Any:
        leaves = autograd_leaves(first)
        for leaf in leaves:
            leaf.requires_grad_()
        value = f(first, *rest)
        return value, torch.autograd.grad(value, leaves)

    return value_and_gradient


GRADIENT = Derivative(wg.value_and_grad, lambda f: jax.value_and_grad(f), _torch_gradient)
"""Value and gradient for the first argument, which may be a tuple."""


class Goal(NamedTuple):
    """What is asked of wengert; None asks nothing."""

    peer: float | None = 1.0
    """Best Python peer's time over wengert's, at least."""
    first: float | None = 5.0
    """JAX's first call over wengert's, at least."""
    seconds: float | None = None
    """Time of a call, at most."""
    jax: float | None = None
    """JAX's time over wengert's, at least."""
    first_seconds: float | None = None
    """Time of the first call, at most."""
    share: float | None = None
    """Share of the limit, at least."""
    c: float | None = 1.0
    """wengert's time over C's, at most."""
    value: float | None = 3.0
    """Derivative's time over the value's, at most."""
    operation: float | None = None
    """Seconds for each operation of the derivative's graph, at most."""


class Limit(NamedTuple):
    """What bounds a problem's derivative: its work, and the measured peak that divides it."""

    peak: str  # "sgemm", "dgemm" (flops) or "triad" (bytes)
    work: float


class Problem(NamedTuple):
    """A function in plain NumPy, in JAX and in PyTorch, on the same inputs."""

    name: str
    function: Function
    args: tuple[Any, ...]
    jax: Function | None = None
    torch: Function | None = None
    derivative: Derivative = GRADIENT
    goal: Goal = Goal()
    limit: Limit | None = None
    c: CFunction | None = None
    note: str = ""
    rtol: float = 1e-8
    jax_limit: float | None = None  # seconds that JAX may take, in a process of its own
    key: str = ""  # for --only; else the name's first word


def seeded(number: int) -> np.random.Generator:
    """Return the generator of a problem's inputs."""
    return np.random.default_rng(number)
