"""Ordinary Python loops over time: what the first gradient takes, and each one after it.

Run with ``python bench/loops.py [--only NAME,...] [--sizes N,...] [--peers] [--limit SECONDS]``.
Each program is a Python loop in NumPy as people write it (``loop_programs.py``); with ``--peers``,
JAX has the same as a `lax.scan`, PyTorch the same loop, C (``loop_peers.py``) the recurrence and
its adjoint by hand, where they are installed; gradients are compared before anything is told.
``bytes`` and ``nodes`` are the peak memory and the operations of the gradient's program. Every row
is measured with nothing cached. First results are seconds of processors, calls the least of a few.
A program whose first gradient took longer than the limit is not tried at larger sizes.
"""

from __future__ import annotations

import os

os.environ.setdefault("WENGERT_CACHE_DIR", "")

import argparse
import importlib.util
import shutil
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from loop_peers import TORCH, of_c
from loop_programs import PROGRAMS, Program
from rich.console import Console
from rich.table import Table
from timing import as_time

import wengert as wg


# --- measuring ------------------------------------------------------------------------------------
def _timed(f: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    y = f()
    return time.perf_counter() - start, y


def _worked(f: Callable[[], Any]) -> tuple[float, Any]:
    """Take the time of processors, which other work on the machine does not add to."""
    start = time.process_time()
    y = f()
    return time.process_time() - start, y


def _least(f: Callable[[], Any], rounds: int = 5) -> float:
    once = _timed(f)[0]
    return min(_timed(f)[0] for _ in range(rounds if once < 2 else 1))


def _leaves(x: Any) -> list[Any]:
    if isinstance(x, (list, tuple)):
        return [leaf for part in x for leaf in _leaves(part)]
    return [np.asarray(x)]


def measure(name: str, program: Program, n: int, peers: bool) -> dict[str, float]:
    """Return the seconds of a program's first gradient and of those after it, and of the peers."""
    f, x = program.make(n)
    found = {"plain": _timed(lambda: f(x))[0]}
    found["eager"] = _timed(lambda: wg.grad(f)(x))[0]
    gradient = wg.jit(wg.grad(f))
    found["first"], got = _worked(lambda: gradient(x))
    value = wg.jit(f)
    found["value first"] = _worked(lambda: value(x))[0]
    found["value"] = _least(lambda: value(x))
    found["call"] = _least(lambda: gradient(x))
    if peers and program.peer is not None:
        import jax

        jax.config.update("jax_enable_x64", True)
        peer = jax.jit(jax.grad(program.peer(n)))
        run = lambda: jax.block_until_ready(peer(x))  # noqa: E731
        found["JAX first"], want = _worked(run)
        found["JAX call"] = _least(run)
        plain = jax.jit(program.peer(n))
        found["JAX value"] = _least(lambda: jax.block_until_ready(plain(x)))
        for a, b in zip(_leaves(got), _leaves(want), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
    plan = gradient.plan(x)
    found["bytes"], found["nodes"] = plan.memory.peak, len(plan.graph.nodes)
    if peers:
        others(name, n, x, got, found)
    return found


def others(name: str, n: int, x: Any, got: Any, found: dict[str, float]) -> None:
    """Measure PyTorch and C."""
    made = of_c(name, n, x) if shutil.which("gcc") else None
    if made is not None:
        agree(got, made[1]())
        found["C value"], found["C gradient"] = _least(made[0]), _least(made[1])
    if name not in TORCH or importlib.util.find_spec("torch") is None:
        return
    import torch

    torch.set_num_threads(1)
    f = TORCH[name](n, torch)
    leaves = [torch.tensor(a, requires_grad=True) for a in _leaves(x)]
    pairs = list(zip(leaves[::2], leaves[1::2], strict=False))
    point = pairs if isinstance(x, list) else leaves[0]
    agree(got, [a.numpy() for a in torch.autograd.grad(f(point), leaves)])
    found["PyTorch"] = _least(lambda: torch.autograd.grad(f(point), leaves), 2)
    with torch.no_grad():
        found["PyTorch value"] = _least(lambda: f(point), 2)


def agree(got: Any, want: Any) -> None:
    """Compare gradients."""
    for a, b in zip(_leaves(got), _leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8)


def shown(name: str, x: float) -> str:
    """Return a figure as text."""
    return f"{x:,}" if name in ("bytes", "nodes") else as_time(x)


def main() -> None:
    """Measure what was asked for and print the table."""
    parser = argparse.ArgumentParser(description="Gradients of ordinary Python loops.")
    parser.add_argument("--only", default=",".join(PROGRAMS), help="programs, with commas")
    parser.add_argument("--sizes", help="trips, with commas, instead of each program's own")
    parser.add_argument("--peers", action="store_true", help="compare with JAX, PyTorch and C")
    parser.add_argument("--limit", type=float, default=60.0, help="seconds of a first gradient")
    options = parser.parse_args()
    if options.peers and importlib.util.find_spec("torch") is not None:
        importlib.import_module("torch")  # it cannot be loaded after LLVM
    columns = ["plain", "eager", "first", "call", "value first", "value"]
    columns += ["JAX first", "JAX call", "JAX value"] * options.peers
    columns += ["PyTorch", "PyTorch value", "C gradient", "C value"] * options.peers
    table = Table("program", "trips", *columns)
    wg.jit(wg.grad(lambda x: np.sum(np.exp(x))))(np.ones(3))  # LLVM is loaded
    for name in options.only.split(","):
        program = PROGRAMS[name]
        sizes = map(int, options.sizes.split(",")) if options.sizes else program.sizes
        for n in sizes:
            found = measure(name, program, n, options.peers)
            table.add_row(name, f"{n:,}", *(as_time(found.get(c)) for c in columns))
            print(name, n, *(f"{k}={shown(k, v)}" for k, v in found.items()), flush=True)
            if found["first"] > options.limit:
                break
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
