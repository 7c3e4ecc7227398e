"""Gradients without compilation: wengert, HIPS autograd and PyTorch on the same functions.

Run with ``make bench`` or ``python bench/eager.py``. Every function is written in plain NumPy once
and given to wengert and, with autograd's own NumPy, to autograd; PyTorch gets its own idiom. All
run in one process on the same inputs with the same number of threads.
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

import wengert as wg

sys.path.insert(0, str(Path(__file__).parent))
from timing import medians


class Case(NamedTuple):
    """A function to differentiate with respect to its first argument."""

    name: str
    function: Callable[..., Any]  # function(np, *args)
    torch_function: Callable[..., Any]  # function(torch, *args)
    args: tuple[Any, ...]


rng = np.random.default_rng(0)


# --- the functions --------------------------------------------------------------------------------
def mlp(np: Any, params: Any, x: Any, onehot: Any) -> Any:
    """Cross-entropy of a 784-256-256-10 perceptron."""
    h = x
    for w, b in params[:-1]:
        h = np.tanh(h @ w + b)
    w, b = params[-1]
    z = h @ w + b
    top = np.max(z, axis=1, keepdims=True)
    logsum = top[:, 0] + np.log(np.sum(np.exp(z - top), axis=1))
    return np.mean(logsum - np.sum(z * onehot, axis=1))


def mlp_torch(torch: Any, params: Any, x: Any, onehot: Any) -> Any:
    """Cross-entropy of the same perceptron."""
    h = x
    for w, b in params[:-1]:
        h = torch.tanh(h @ w + b)
    w, b = params[-1]
    z = h @ w + b
    return torch.mean(torch.logsumexp(z, 1) - torch.sum(z * onehot, 1))


def gmm(np: Any, params: Any, x: Any) -> Any:
    """Log-likelihood of a Gaussian mixture with factored precision matrices (GradBench's gmm)."""
    alphas, means, icf = params
    d = means.shape[1]
    logdiag = icf[:, :d]
    sums = np.sum(logdiag, axis=1)
    lower = np.reshape(icf[:, d:] @ PLACE[d], (-1, d, d))
    centered = np.reshape(x, (-1, 1, d)) - means
    scaled = np.exp(logdiag) * centered + np.einsum("kij,nkj->nki", lower, centered)
    inner = alphas + sums - 0.5 * np.sum(scaled**2, axis=2)
    top = np.max(inner, axis=1, keepdims=True)
    slse = np.sum(top[:, 0] + np.log(np.sum(np.exp(inner - top), axis=1)))
    atop = np.max(alphas)
    wishart = 0.5 * (np.sum(np.exp(logdiag) ** 2) + np.sum(icf[:, d:] ** 2)) - np.sum(sums)
    return slse - x.shape[0] * (atop + np.log(np.sum(np.exp(alphas - atop)))) + wishart


def gmm_torch(torch: Any, params: Any, x: Any) -> Any:
    """Log-likelihood of the same mixture."""
    alphas, means, icf = params
    d = means.shape[1]
    logdiag = icf[:, :d]
    sums = torch.sum(logdiag, 1)
    lower = torch.reshape(icf[:, d:] @ torch.as_tensor(PLACE[d]), (-1, d, d))
    centered = x[:, None, :] - means
    scaled = torch.exp(logdiag) * centered + torch.einsum("kij,nkj->nki", lower, centered)
    inner = alphas + sums - 0.5 * torch.sum(scaled**2, 2)
    slse = torch.sum(torch.logsumexp(inner, 1))
    wishart = 0.5 * (torch.sum(torch.exp(logdiag) ** 2) + torch.sum(icf[:, d:] ** 2)) - torch.sum(
        sums
    )
    return slse - x.shape[0] * torch.logsumexp(alphas, 0) + wishart


def _place(d: int) -> Any:
    """Matrix that puts the entries of a strictly lower triangle into a flat d x d matrix."""
    rows, columns = np.tril_indices(d, -1)
    place = np.zeros((len(rows), d * d))
    place[np.arange(len(rows)), rows * d + columns] = 1
    return place


PLACE = {10: _place(10)}


def logsumexp(np: Any, x: Any) -> Any:
    """Stable log of a sum of exponentials."""
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


def logsumexp_torch(torch: Any, x: Any) -> Any:
    """PyTorch's own."""
    return torch.logsumexp(x, 0)


def scalar(np: Any, x: Any) -> Any:
    """200 operations on numbers."""
    y = x
    for i in range(50):
        y = np.sin(y) * x + y / (1.0 + i)
    return y


def recurrent(np: Any, params: Any, xs: Any) -> Any:
    """A recurrent net of 24 steps, width 32, batch 16."""
    w, u, b = params
    h = (
        np.zeros((xs.shape[1], w.shape[0]))
        if np.__name__ != "torch"
        else np.zeros((xs.shape[1], w.shape[0]), dtype=xs.dtype)
    )
    total = 0.0
    for t in range(xs.shape[0]):
        h = np.tanh(h @ w + xs[t] @ u + b)
        total = total + (h * h).sum()
    return total


def cases() -> list[Case]:
    """Make the inputs."""
    sizes = (784, 256, 256, 10)
    params = [
        ((rng.standard_normal((m, n)) / m**0.5).astype(np.float32), np.zeros(n, np.float32))
        for m, n in itertools.pairwise(sizes)
    ]
    x = rng.standard_normal((64, 784)).astype(np.float32)
    onehot = np.eye(10, dtype=np.float32)[rng.integers(0, 10, 64)]
    mixture = (
        rng.standard_normal(25),
        rng.standard_normal((25, 10)),
        0.3 * rng.standard_normal((25, 55)),
    )
    points = rng.standard_normal((1000, 10))
    cell = (0.1 * rng.standard_normal((32, 32)), 0.1 * rng.standard_normal((8, 32)), np.zeros(32))
    steps = rng.standard_normal((24, 16, 8))
    return [
        Case("MLP 784-256-256-10, batch 64, float32", mlp, mlp_torch, (params, x, onehot)),
        Case("gmm d 10, k 25, n 1000", gmm, gmm_torch, (mixture, points)),
        Case("logsumexp of 10^5", logsumexp, logsumexp_torch, (rng.standard_normal(100_000),)),
        Case("200 scalar operations", scalar, scalar, (0.7,)),
        Case("recurrent, 24 steps", recurrent, recurrent, (cell, steps)),
    ]


# --- contestants ----------------------------------------------------------------------------------
def with_wengert(case: Case) -> Callable[[], Any]:
    """Take the gradient with wengert, traced afresh on each call."""
    g = wg.grad(lambda first, *rest: case.function(np, first, *rest))
    return lambda: g(*case.args)


def with_autograd(case: Case) -> Callable[[], Any]:
    """Take the gradient with HIPS autograd."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import autograd
        import autograd.numpy as anp
    g = autograd.grad(lambda first, *rest: case.function(anp, first, *rest))
    return lambda: g(*case.args)


def with_torch(case: Case) -> Callable[[], Any]:
    """Take the gradient with PyTorch, inputs converted once."""
    import torch

    torch.set_num_threads(2)

    def tensor(x: Any, free: bool) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(tensor(item, free) for item in x)
        made = torch.tensor(x, dtype=torch.float64) if isinstance(x, float) else torch.tensor(x)
        return made.requires_grad_() if free else made

    def leaves(x: Any) -> list[Any]:
        return [p for item in x for p in leaves(item)] if isinstance(x, (list, tuple)) else [x]

    first, *rest = (tensor(a, i == 0) for i, a in enumerate(case.args))
    flat = leaves(first)
    return lambda: torch.autograd.grad(case.torch_function(torch, first, *rest), flat)


def flat(x: Any) -> list[Any]:
    """Return the arrays of nested lists."""
    return (
        [a for item in x for a in flat(item)] if isinstance(x, (list, tuple)) else [np.asarray(x)]
    )


def main() -> int:
    """Print the table; the exit status says whether wengert is ahead of autograd everywhere."""
    table = Table(title="gradient without compilation, milliseconds a call (median)")
    for column in (
        "function",
        "wengert",
        "autograd",
        "PyTorch",
        "autograd / wengert",
        "PyTorch / wengert",
    ):
        table.add_column(column, justify="left" if column == "function" else "right")
    behind = []
    for case in cases():
        runs = {
            "wengert": with_wengert(case),
            "autograd": with_autograd(case),
            "PyTorch": with_torch(case),
        }
        results = {name: flat(run()) for name, run in runs.items()}
        for name, got in results.items():
            for a, b in zip(got, results["wengert"], strict=True):
                np.testing.assert_allclose(
                    a, b, rtol=2e-3 if b.dtype == np.float32 else 1e-8, atol=1e-6, err_msg=name
                )
        t = medians(runs)
        ratio = t["autograd"] / t["wengert"]
        if ratio < 1:
            behind.append(case.name)
        table.add_row(
            case.name,
            *(f"{1e3 * t[name]:.3f}" for name in runs),
            f"{ratio:.2f}",
            f"{t['PyTorch'] / t['wengert']:.2f}",
        )
    Console(width=120).print(table)
    if behind:
        print("slower than autograd on:", ", ".join(behind))
    return bool(behind)


if __name__ == "__main__":
    raise SystemExit(main())
