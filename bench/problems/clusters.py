"""Clusters of points: Gaussian mixtures and k-means, as GradBench defines them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import multigammaln

import wengert as wg
from problems.clanguage import CFunction
from problems.peers import autograd_leaves, jax, jnp, torch
from problems.record import Derivative, Goal, Limit, Problem, seeded

__all__ = ["PROBLEMS"]

GAMMA, M = 1.0, 0  # of the Wishart prior


def constant(n: int, d: int, k: int) -> float:
    """Return the terms without parameters."""
    degrees = d + M + 1
    prior = degrees * d * (math.log(GAMMA) - 0.5 * math.log(2)) - multigammaln(degrees / 2, d)
    return k * prior - 0.5 * n * d * math.log(2 * math.pi)


# --- mixture --------------------------------------------------------------------------------------
def gmm(params: Any, x: Any) -> Any:
    """Log-likelihood with Wishart prior; a row of `icf` is log-diagonal and lower triangle."""
    alphas, means, icf = params
    k, d = means.shape
    sums = np.sum(icf[:, :d], axis=1)
    columns, rows = np.triu_indices(d, 1)
    q = np.zeros((k, d, d), like=icf)
    q[:, np.arange(d), np.arange(d)] = np.exp(icf[:, :d])
    q[:, rows, columns] = icf[:, d:]
    scaled = np.einsum("kij,nkj->nki", q, x[:, None, :] - means)
    terms = alphas + sums - 0.5 * np.sum(scaled**2, axis=2)
    top = np.max(terms, axis=1, keepdims=True)
    likelihood = np.sum(top[:, 0] + np.log(np.sum(np.exp(terms - top), axis=1)))
    weights = np.max(alphas) + np.log(np.sum(np.exp(alphas - np.max(alphas))))
    prior = 0.5 * GAMMA**2 * np.sum(q**2) - M * np.sum(sums)
    return likelihood - len(x) * weights - prior + constant(len(x), d, k)


def gmm_jax(params: Any, x: Any) -> Any:
    alphas, means, icf = params
    k, d = means.shape
    sums = jnp.sum(icf[:, :d], axis=1)
    columns, rows = np.triu_indices(d, 1)
    q = jnp.zeros((k, d, d)).at[:, np.arange(d), np.arange(d)].set(jnp.exp(icf[:, :d]))
    q = q.at[:, rows, columns].set(icf[:, d:], unique_indices=True)
    scaled = jnp.einsum("kij,nkj->nki", q, x[:, None, :] - means)
    terms = alphas + sums - 0.5 * jnp.sum(scaled**2, axis=2)
    likelihood = jnp.sum(jax.nn.logsumexp(terms, axis=1))
    prior = 0.5 * GAMMA**2 * jnp.sum(q**2) - M * jnp.sum(sums)
    weights = jax.nn.logsumexp(alphas)
    return likelihood - len(x) * weights - prior + constant(len(x), d, k)


def gmm_torch(params: Any, x: Any) -> Any:
    alphas, means, icf = params
    k, d = means.shape
    sums = torch.sum(icf[:, :d], 1)
    columns, rows = torch.triu_indices(d, d, 1)
    q = torch.diag_embed(torch.exp(icf[:, :d]))
    q[:, rows, columns] = icf[:, d:]
    scaled = torch.einsum("kij,nkj->nki", q, x[:, None, :] - means)
    terms = alphas + sums - 0.5 * torch.sum(scaled**2, 2)
    likelihood = torch.sum(torch.logsumexp(terms, 1))
    prior = 0.5 * GAMMA**2 * torch.sum(q**2) - M * torch.sum(sums)
    weights = torch.logsumexp(alphas, 0)
    return likelihood - len(x) * weights - prior + constant(len(x), d, k)


def mixture(d: int, k: int, n: int) -> Problem:
    rng = seeded(d)
    params = (
        rng.standard_normal(k),
        rng.standard_normal((k, d)),
        0.3 * rng.standard_normal((k, d * (d + 1) // 2)),
    )
    return Problem(
        f"gmm d {d}, k {k}, n {n}",
        gmm,
        (params, rng.standard_normal((n, d))),
        jax=gmm_jax,
        torch=gmm_torch,
        limit=Limit("dgemm", 3 * 2.0 * n * k * d * d) if d > 50 else None,
        c=CFunction("gmm.c", (k, d, n), (np.array(constant(n, d, k)),)),
        rtol=1e-7,
        key=f"gmm-{d}",
    )


# --- k-means --------------------------------------------------------------------------------------
def kmeans(centroids: Any, points: Any) -> Any:
    """Sum of squared distances to the nearest centroid."""
    squares = np.sum(points**2, axis=1)[:, None] + np.sum(centroids**2, axis=1)
    return np.sum(np.min(squares - 2 * points @ centroids.T, axis=1))


def kmeans_jax(centroids: Any, points: Any) -> Any:
    squares = jnp.sum(points**2, axis=1)[:, None] + jnp.sum(centroids**2, axis=1)
    return jnp.sum(jnp.min(squares - 2 * points @ centroids.T, axis=1))


def kmeans_torch(centroids: Any, points: Any) -> Any:
    squares = torch.sum(points**2, 1)[:, None] + torch.sum(centroids**2, 1)
    return torch.sum(torch.min(squares - 2 * points @ centroids.T, 1).values)


def _wengert_diagonal(f: Any) -> Any:
    return lambda c, *rest: wg.jvp(lambda c: wg.grad(f)(c, *rest), (c,), (np.ones(c.shape),))


def _jax_diagonal(f: Any) -> Any:
    return lambda c, *rest: jax.jvp(lambda c: jax.grad(f)(c, *rest), (c,), (jnp.ones_like(c),))


def _torch_diagonal(f: Any) -> Any:
    def both(first: Any, *rest: Any) -> Any:
        (leaf,) = autograd_leaves(first)
        leaf.requires_grad_()
        (g,) = torch.autograd.grad(f(leaf, *rest), leaf, create_graph=True)
        return g, torch.autograd.grad(g.sum(), leaf)[0]

    return both


DIAGONAL = Derivative(_wengert_diagonal, _jax_diagonal, _torch_diagonal)
"""Gradient, and the Hessian times ones: its diagonal, because it has nothing else."""


def clusters() -> Problem:
    rng = seeded(1000)
    return Problem(
        "kmeans k 1000, n 10000, d 16",
        kmeans,
        (rng.standard_normal((1000, 16)), rng.standard_normal((10000, 16))),
        jax=kmeans_jax,
        torch=kmeans_torch,
        derivative=DIAGONAL,
        goal=Goal(value=None),
        rtol=1e-7,
    )


PROBLEMS = [mixture(10, 25, 1000), mixture(64, 100, 1000), clusters()]
