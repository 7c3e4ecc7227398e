"""Memory budgets: the gradient of 24 layers of tanh(h W), width 256, batch 16384, float32.

One activation is 16 MiB. Each contestant runs in a process of its own: the resident memory that a
run takes more than what was there before it, inputs, code and earlier results included, is what the
table calls measured. Gradients (6 MiB) are part of it. Contestants that know their own peak state
it too: wengert's plan, XLA's memory analysis.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

LAYERS, WIDTH = 24, 256
MIB = 1 << 20
BUDGETS = (None, 200, 150, 120, 90)


def inputs(rows: int) -> tuple[list[Any], Any]:
    """Return the weights and the batch."""
    rng = np.random.default_rng(0)
    ws = [rng.normal(size=(WIDTH, WIDTH)).astype(np.float32) / 16 for _ in range(LAYERS)]
    return ws, rng.normal(size=(rows, WIDTH)).astype(np.float32)


Made = tuple[Callable[[], Any], dict[str, Any]]


def with_wengert(rows: int, budget: str) -> Made:
    """Return a run within a budget, and what the plan says."""
    import wengert as wg

    def loss(ws: Any, x: Any) -> Any:
        h = x
        for w in ws:
            h = np.tanh(h @ w)
        return np.sum(h)

    ws, x = inputs(rows)
    began = time.perf_counter()
    derivative = wg.jit(wg.grad(loss), memory_budget=None if budget == "None" else budget)
    plan = derivative.plan(ws, x)
    planning = time.perf_counter() - began
    forward = wg.jit(loss).plan([w[:] for w in ws], x[:16]).flops * rows // 16
    plan._program._arenas.clear()  # the block of memory that planning's run has left
    said = {
        "stated": plan.memory.peak,
        "extra": plan.memory.extra_flops / forward,
        "planning": planning,
    }
    return lambda: derivative(ws, x), said


def with_torch(rows: int, how: str) -> Made:
    """Return a run as it is, in segments of so many layers, or compiled with a budget."""
    import torch
    from torch.utils.checkpoint import checkpoint

    ws, x = inputs(rows)
    ts = [torch.tensor(w, requires_grad=True) for w in ws]
    tx = torch.tensor(x)

    def part(h: Any, *ws: Any) -> Any:
        for w in ws:
            h = torch.tanh(h @ w)
        return h

    size = int(how) if how.isdigit() else LAYERS

    def loss(h: Any, ws: Any) -> Any:
        for i in range(0, LAYERS, size):
            now = ws[i : i + size]
            h = checkpoint(part, h, *now, use_reentrant=False) if how.isdigit() else part(h, *now)
        return h.sum()

    if how.startswith("budget"):
        import torch._functorch.config

        torch._functorch.config.activation_memory_budget = float(how.removeprefix("budget"))
        loss = torch.compile(loss)

    def run() -> Any:
        for t in ts:
            t.grad = None
        loss(tx, ts).backward()
        return [t.grad.numpy() for t in ts]

    return run, {}


def with_xla(rows: int, how: str) -> Made:
    """Return a run as it is, or with ``jax.checkpoint`` around each so many layers."""
    import jax
    import jax.numpy as jnp

    ws, x = inputs(rows)

    def part(h: Any, ws: Any) -> Any:
        for w in ws:
            h = jnp.tanh(h @ w)
        return h

    size = int(how) if how.isdigit() else LAYERS
    step = jax.checkpoint(part) if how.isdigit() else part

    def loss(ws: Any, x: Any) -> Any:
        h = x
        for i in range(0, LAYERS, size):
            h = step(h, ws[i : i + size])
        return h.sum()

    js, jx = [jnp.asarray(w) for w in ws], jnp.asarray(x)
    compiled = jax.jit(jax.grad(loss)).lower(js, jx).compile()
    stated = compiled.memory_analysis().temp_size_in_bytes
    return lambda: jax.block_until_ready(compiled(js, jx)), {"stated": stated}


CONTESTANTS: dict[str, tuple[Callable[[int, str], Made], str]] = {
    **{
        f"wengert, {'no budget' if b is None else f'{b} MiB'}": (
            with_wengert,
            "None" if b is None else f"{b}MiB",
        )
        for b in BUDGETS
    },
    "PyTorch": (with_torch, ""),
    **{f"PyTorch, by hand, {k} layers": (with_torch, str(k)) for k in (4, 5, 6)},
    **{f"PyTorch, activation_memory_budget {k}": (with_torch, f"budget{k}") for k in (0.5, 0.2)},
    "XLA": (with_xla, ""),
    **{f"XLA, jax.checkpoint, {k} layers": (with_xla, str(k)) for k in (1, 5)},
}


def resident(key: str) -> int:
    """Return a figure of this process in bytes: ``VmRSS`` now, ``VmHWM`` at most."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def one(name: str, rows: int, runs: int) -> dict[str, Any]:
    """Measure a contestant in this process."""
    make, how = CONTESTANTS[name]
    warm, _ = make(64, how)  # code and pools of threads
    warm()
    run, found = make(rows, how)
    gc.collect()
    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    result = run()
    found["measured"] = resident("VmHWM") - before
    found["check"] = float(sum(np.abs(np.asarray(g, np.float64)).sum() for g in result))
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    found["seconds"] = min(times)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=16384)
    parser.add_argument("--runs", type=int, default=3, help="timed runs; the fastest counts")
    parser.add_argument("--one", help="measure one contestant in this process")
    parser.add_argument("--only", default="", help="contestants whose name has this")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.rows, args.runs)))
        return
    table = Table("", "stated, MiB", "measured, MiB", "done again, forward passes", "seconds")
    table.title = f"gradient of {LAYERS} layers of tanh(h W), {args.rows} x {WIDTH}, float32"
    checks = []
    for name in CONTESTANTS:
        if args.only not in name:
            continue
        command = [sys.executable, __file__, "--one", name, f"--rows={args.rows}"]
        # Memory with freed arrays given back at once, time with the allocator's own ways.
        giving = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(MIB)}
        done = [
            subprocess.run(
                [*command, f"--runs={runs}"],
                capture_output=True,
                text=True,
                check=False,
                env=env,
            )
            for runs, env in ((1, giving), (args.runs, None))
        ]
        if any(d.returncode for d in done):
            reason = done[0].stderr.strip().splitlines()[-1:] or ["?"]
            table.add_row(name, "", f"failed: {reason[0][:60]}", "", "")
            continue
        found, timed = (json.loads(d.stdout.splitlines()[-1]) for d in done)
        found["seconds"] = timed["seconds"]
        checks.append(found["check"])
        table.add_row(
            name,
            f"{found['stated'] / MIB:.1f}" if "stated" in found else "",
            f"{found['measured'] / MIB:.0f}",
            f"{found['extra']:.2f}" if "extra" in found else "",
            f"{found['seconds']:.2f}",
        )
    Console(width=120).print(table)
    if checks:
        spread = (max(checks) - min(checks)) / max(checks)
        print(f"gradients differ by {spread:.1e} in their sums")


if __name__ == "__main__":
    main()
