"""Arrays: a fused elementwise chain, perceptrons, logsumexp, polynomial least squares."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from problems.clanguage import CFunction
from problems.peers import jax, jnp, torch
from problems.record import Goal, Limit, Problem, seeded

__all__ = ["PROBLEMS"]


# --- elementwise ----------------------------------------------------------------------------------
def chain(x: Any) -> Any:
    return np.sum(np.log(1 + np.exp(x)) * np.tanh(x))


def chain_jax(x: Any) -> Any:
    return jnp.sum(jnp.log(1 + jnp.exp(x)) * jnp.tanh(x))


def chain_torch(x: Any) -> Any:
    return torch.sum(torch.log(1 + torch.exp(x)) * torch.tanh(x))


def fused(n: int) -> Problem:
    limit = Limit("triad", 16.0 * n) if n >= 10**6 else None
    return Problem(
        f"exp, log, tanh of {n:,} numbers",
        chain,
        (seeded(n).standard_normal(n),),
        jax=chain_jax,
        torch=chain_torch,
        limit=limit,
        key=f"fused-{n}",
    )


# --- perceptron -----------------------------------------------------------------------------------
def perceptron(params: Any, x: Any, onehot: Any) -> Any:
    """Cross-entropy of a net with tanh."""
    h = x
    for w, b in params[:-1]:
        h = np.tanh(h @ w + b)
    w, b = params[-1]
    z = h @ w + b
    z = z - np.max(z, axis=1, keepdims=True)
    logsum = np.log(np.sum(np.exp(z), axis=1))
    return np.mean(logsum - np.sum(z * onehot, axis=1))


def perceptron_jax(params: Any, x: Any, onehot: Any) -> Any:
    h = x
    for w, b in params[:-1]:
        h = jnp.tanh(h @ w + b)
    w, b = params[-1]
    return -jnp.mean(jnp.sum(jax.nn.log_softmax(h @ w + b) * onehot, axis=1))


def perceptron_torch(params: Any, x: Any, onehot: Any) -> Any:
    h = x
    for w, b in params[:-1]:
        h = torch.tanh(h @ w + b)
    w, b = params[-1]
    return torch.nn.functional.cross_entropy(h @ w + b, onehot)


def net(sizes: tuple[int, ...], batch: int, **more: Any) -> Problem:
    rng = seeded(batch)
    params = tuple(
        ((rng.standard_normal((m, n)) / m**0.5).astype(np.float32), np.zeros(n, np.float32))
        for m, n in pairwise(sizes)
    )
    x = rng.standard_normal((batch, sizes[0])).astype(np.float32)
    onehot = np.eye(sizes[-1], dtype=np.float32)[rng.integers(0, sizes[-1], batch)]
    products = sum(m * n for m, n in pairwise(sizes))
    flops = 2.0 * batch * (3 * products - sizes[0] * sizes[1])  # none for the data's gradient
    return Problem(
        f"MLP {'-'.join(map(str, sizes))}, batch {batch}, float32",
        perceptron,
        (params, x, onehot),
        jax=perceptron_jax,
        torch=perceptron_torch,
        limit=Limit("sgemm", flops),
        rtol=2e-3,
        key=f"mlp-{batch}",
        **more,
    )


# --- logsumexp ------------------------------------------------------------------------------------
def logsumexp(x: Any) -> Any:
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def logsumexp_jax(x: Any) -> Any:
    return jax.nn.logsumexp(x)


def logsumexp_torch(x: Any) -> Any:
    return torch.logsumexp(x, 0)


# --- polynomial least squares ---------------------------------------------------------------------
def least_squares(x: Any, t: Any) -> Any:
    """Half the squared distance of a polynomial, by Horner's rule, from the sign of t."""
    p = 0.0
    for i in range(len(x) - 1, -1, -1):
        p = p * t + x[i]
    return np.sum((np.sign(t) - p) ** 2) / 2


def least_squares_jax(x: Any, t: Any) -> Any:
    p = jnp.polyval(x[::-1], t, unroll=16)
    return jnp.sum((jnp.sign(t) - p) ** 2) / 2


def least_squares_torch(x: Any, t: Any) -> Any:
    p = torch.linalg.vander(t, N=len(x)) @ x
    return torch.sum((torch.sign(t) - p) ** 2) / 2


PROBLEMS = [
    *(fused(n) for n in (10**3, 10**4, 10**5, 10**6, 3 * 10**6)),
    net((784, 256, 256, 10), 64),
    net((784, 1024, 1024, 10), 512, goal=Goal(share=0.9)),
    Problem(
        "llsq m 128, n 16392",
        least_squares,
        (seeded(128).standard_normal(128), np.linspace(-1, 1, 16392)),
        jax=least_squares_jax,
        torch=least_squares_torch,
        c=CFunction("llsq.c", (128, 16392)),
    ),
    Problem(
        "lse n 1.28M",
        logsumexp,
        (seeded(1).standard_normal(1_280_000),),
        jax=logsumexp_jax,
        torch=logsumexp_torch,
        limit=Limit("triad", 24.0 * 1_280_000),
        c=CFunction("lse.c", (1_280_000,)),
    ),
]
