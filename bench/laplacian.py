"""The Laplacian of a network with 50 inputs, of a batch: wengert beside JAX and PyTorch in one run.

Run with ``python bench/laplacian.py [--only NAME,...] [--seconds S] [--peers]``. The network is a
multilayer perceptron with tanh, written once over a module of arrays. JAX has four ways: the
forward Laplacian written by hand for this network, the trace of a Hessian, forward mode of forward
mode along each axis, and `jax.experimental.jet` along each axis; PyTorch has two of these, by
`torch.func`. Each is compiled where it can be (PyTorch's run as they are), all of it along the
batch at once. Results are compared before anything is told. A figure is the least processor time
of a call, of many in turns, with one thread each: other work on the machine hardly changes it.
"""

from __future__ import annotations

import os

os.environ.setdefault("WENGERT_CACHE_DIR", "")
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import argparse
import itertools
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from timing import as_time

import wengert as wg

INPUTS = 50
CASES = {
    "3 x 64, batch 64": (64, 64, np.float64),
    "3 x 256, batch 64": (256, 64, np.float64),
    "3 x 256, batch 64, float32": (256, 64, np.float32),
    "3 x 256, batch 256": (256, 256, np.float64),
    "3 x 512, batch 16": (512, 16, np.float64),
    "3 x 64, one point": (64, 1, np.float64),
}
"""The width of three hidden layers, the examples, and the numbers."""

Net = Callable[[Any], Any]
Ways = dict[str, Callable[[Any], Any]]


def network(xp: Any, weights: Any, biases: Any) -> Net:
    """Return the function of one example."""

    def net(x: Any) -> Any:
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            x = xp.tanh(x @ w + b)
        return (x @ weights[-1] + biases[-1])[0]

    return net


def drawn(width: int, batch: int, dtype: Any) -> tuple[list[Any], list[Any], Any]:
    """Return weights, biases and examples."""
    rng = np.random.default_rng(0)
    sizes = (INPUTS, width, width, width, 1)
    weights = [rng.standard_normal(s) / s[0] ** 0.5 for s in itertools.pairwise(sizes)]
    biases = [0.1 * rng.standard_normal(n) for n in sizes[1:]]
    cast = [[np.asarray(x, dtype) for x in part] for part in (weights, biases)]
    return cast[0], cast[1], np.asarray(rng.standard_normal((batch, INPUTS)), dtype)


def ours(weights: Any, biases: Any, x: Any) -> Ways:
    """Return wengert's ways."""
    net = network(np, weights, biases)
    return {"wengert": wg.jit(wg.vmap(wg.laplacian(net)))}


def jax_ways(weights: Any, biases: Any, x: Any) -> Ways:
    """Return JAX's ways."""
    import jax
    import jax.numpy as jnp
    from jax.experimental.jet import jet

    jax.config.update("jax_enable_x64", True)
    net = network(jnp, [jnp.asarray(w) for w in weights], [jnp.asarray(b) for b in biases])
    axes = jnp.eye(INPUTS, dtype=x.dtype)
    zeros = jnp.zeros(INPUTS, x.dtype)

    def slope(x: Any, v: Any) -> Any:
        return jax.jvp(net, (x,), (v,))[1]

    def twice(x: Any) -> Any:
        return jnp.sum(jax.vmap(lambda v: jax.jvp(lambda x: slope(x, v), (x,), (v,))[1])(axes))

    def jets(x: Any) -> Any:
        return jnp.sum(jax.vmap(lambda v: jet(net, (x,), ((v, zeros),))[1][1])(axes))

    def by_hand(x: Any) -> Any:
        """Carry the value, its slopes and its Laplacian through the layers of this network."""
        slopes, total = axes, zeros
        for w, b in zip(weights[:-1], biases[:-1], strict=True):
            x, slopes, total = jnp.tanh(x @ w + b), slopes @ w, total @ w
            slope = 1 - x * x
            total = slope * (total - 2 * x * jnp.sum(slopes * slopes, 0))
            slopes = slope * slopes
        return (total @ weights[-1])[0]

    each = {
        "JAX, forward Laplacian by hand": by_hand,
        "JAX, trace of the Hessian": lambda x: jnp.trace(jax.hessian(net)(x)),
        "JAX, jvp of jvp": twice,
        "JAX, jet": jets,
    }
    made = {name: jax.jit(jax.vmap(f)) for name, f in each.items()}
    return {name: lambda x, g=g: g(x).block_until_ready() for name, g in made.items()}


def torch_ways(weights: Any, biases: Any, x: Any) -> Ways:
    """Return PyTorch's ways."""
    import torch
    from torch.func import hessian, jvp, vmap

    torch.set_num_threads(1)
    net = network(torch, [torch.tensor(w) for w in weights], [torch.tensor(b) for b in biases])
    axes = torch.eye(INPUTS, dtype=torch.tensor(x).dtype)

    def slope(x: Any, v: Any) -> Any:
        return jvp(net, (x,), (v,))[1]

    def twice(x: Any) -> Any:
        return vmap(lambda v: jvp(lambda x: slope(x, v), (x,), (v,))[1])(axes).sum()

    each = {
        "PyTorch, trace of the Hessian": lambda x: torch.trace(hessian(net)(x)),
        "PyTorch, jvp of jvp": twice,
    }
    made = {name: vmap(f) for name, f in each.items()}
    return {name: lambda x, g=g: g(torch.from_numpy(x)).numpy() for name, g in made.items()}


def least(ways: Ways, x: Any, seconds: float) -> dict[str, float]:
    """Return the least processor time of a call, each way, all in turns."""
    found = dict.fromkeys(ways, math.inf)
    spent = dict.fromkeys(ways, 0.0)
    calls = dict.fromkeys(ways, 0)
    while waiting := [k for k in ways if spent[k] < seconds or calls[k] < 3]:
        for name in waiting:
            start = time.process_time()
            ways[name](x)
            once = time.process_time() - start
            found[name] = min(found[name], once)
            spent[name] += once
            calls[name] += 1
    return found


def measured(case: str, seconds: float, peers: bool) -> dict[str, float]:
    """Return the seconds of a call, each way."""
    width, batch, dtype = CASES[case]
    weights, biases, x = drawn(width, batch, dtype)
    ways = ours(weights, biases, x)
    for more in (jax_ways, torch_ways) if peers else ():
        ways |= more(weights, biases, x)
    expected = np.asarray(ways["wengert"](x))
    for name, run in ways.items():
        tol = 1e-9 if dtype == np.float64 else 1e-3
        np.testing.assert_allclose(np.asarray(run(x)), expected, rtol=tol, atol=tol, err_msg=name)
    return least(ways, x, seconds)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases, separated by semicolons")
    parser.add_argument("--seconds", type=float, default=2.0, help="for each way")
    parser.add_argument("--peers", action="store_true", help="measure JAX and PyTorch too")
    given = parser.parse_args()
    wg.set_threads(1)
    rows = {
        case: measured(case, given.seconds, given.peers)
        for case in CASES
        if not given.only or case in given.only.split(";")
    }
    names = list(next(iter(rows.values())))
    table = Table("hidden layers", *names, box=None)
    for case, times in rows.items():
        own = times["wengert"]
        peers = [f"{as_time(times[n])} ({times[n] / own:.1f})" for n in names[1:]]
        table.add_row(case, as_time(own), *peers)
    Console(width=200).print(table)


if __name__ == "__main__":
    main()
