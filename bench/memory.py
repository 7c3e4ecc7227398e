"""Memory budgets: the gradient of 24 layers of tanh(h W), width 256, batch 16384, float32.

One activation is 16 MiB. Each contestant runs in a process of its own: the resident memory that a
run takes more than what was there before it, inputs, code and earlier results included, is what the
table calls measured. Gradients (6 MiB) are part of it. Contestants that know their own peak state
it too: wengert's plan, XLA's memory analysis.

``--mlp`` sets side by side what prediction and training of perceptrons take: by formula, as
predicted before anything is compiled, and as measured in a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import itertools
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


def measured(run: Callable[[], Any]) -> tuple[Any, int]:
    """Return the result of a run, and the bytes that the process took more while it ran."""
    gc.collect()
    before = resident("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:  # the most so far is what there is now
        file.write("5")
    result = run()
    return result, resident("VmHWM") - before


def one(name: str, rows: int, runs: int) -> dict[str, Any]:
    """Measure a contestant in this process."""
    make, how = CONTESTANTS[name]
    warm, _ = make(64, how)  # code and pools of threads
    warm()
    run, found = make(rows, how)
    result, found["measured"] = measured(run)
    found["check"] = float(sum(np.abs(np.asarray(g, np.float64)).sum() for g in result))
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    found["seconds"] = min(times)
    return found


# --- training against prediction ------------------------------------------------------------------
NETWORKS = {"one hidden layer": (784, 256, 16), "two hidden layers": (784, 256, 256, 10)}


def perceptron(ws: Any, x: Any, y: Any) -> Any:
    """Return the squared error of a tanh perceptron, with weight decay."""
    h = x
    for w in ws[:-1]:
        h = np.tanh(h @ w)
    o = h @ ws[-1]
    return np.sum((o - y) ** 2) / len(x) + 0.05 * sum(np.sum(w**2) for w in ws)


def batch(name: str, rows: int) -> tuple[Any, Any, Any]:
    """Return weights, inputs and targets of a network, in float32."""
    rng = np.random.default_rng(0)
    widths = NETWORKS[name]
    ws = [
        (rng.standard_normal((a, b)) / np.sqrt(a)).astype(np.float32)
        for a, b in itertools.pairwise(widths)
    ]
    x = rng.standard_normal((rows, widths[0]), np.float32)
    return ws, x, rng.standard_normal((rows, widths[-1]), np.float32)


def formula(name: str, rows: int, training: bool) -> int:
    """Return the bytes that a run takes besides parameters and inputs, numbers in between aside.

    Prediction holds two neighbouring layers of the same width at most, ``x W`` and its tanh.
    Training holds ``x W`` of each hidden layer until its backward pass, and where all are held,
    also two arrays of one layer: cotangents, or the tanh of the layer before, computed again. It
    returns a gradient as large as the parameters.
    """
    widths = NETWORKS[name]
    layer = 4 * rows * widths[1]
    if not training:
        return 2 * layer
    hidden = len(widths) - 2
    return (hidden + 2) * layer + 4 * sum(a * b for a, b in itertools.pairwise(widths))


def one_mlp(name: str, kind: str, rows: int) -> dict[str, int]:
    """Compare formula, prediction and measurement, in this process."""
    import wengert as wg

    training = kind == "training"
    compiled = wg.jit(wg.value_and_grad(perceptron) if training else perceptron)
    compiled(*batch(name, 64))  # the code that compiles, and BLAS's own memory
    args = batch(name, rows)
    needs = wg.memory(perceptron, *args)
    memory = needs.training if training else needs.prediction
    plan = compiled.plan(*args)
    assert plan.memory == memory
    plan._program._arenas.clear()  # the block of memory that planning's run has left
    _, taken = measured(lambda: compiled(*args))
    return {
        "formula": formula(name, rows, training),
        "predicted": (memory.peak or 0) + memory.outputs,
        "measured": taken,
        "parameters": needs.parameters,
        "inputs": needs.inputs,
        "residuals": memory.residuals,
    }


def compare_mlps(rows: int, as_json: bool) -> None:
    """Print what perceptrons take, side by side."""
    found = []
    for name in NETWORKS:
        for kind in ("prediction", "training"):
            options = [f"--mlp={name}", f"--kind={kind}", f"--rows={rows}"]
            done = started(options, giving=True)
            if done.returncode:
                raise SystemExit(done.stderr)
            row = json.loads(done.stdout.splitlines()[-1])
            found.append({"network": name, "kind": kind, "rows": rows, **row})
    if as_json:
        print(json.dumps(found, indent=1))
        return
    table = Table("", "", *(f"{x}, MiB" for x in ("formula", "predicted", "measured")))
    table.title = f"a run of a tanh perceptron with weight decay, {rows} rows, float32"
    for row in found:
        widths = "-".join(map(str, NETWORKS[row["network"]]))
        sizes = (f"{row[k] / MIB:.1f}" for k in ("formula", "predicted", "measured"))
        table.add_row(f"{widths}", row["kind"], *sizes)
    Console(width=100).print(table)


# --- the commands ---------------------------------------------------------------------------------
def started(options: list[str], giving: bool) -> subprocess.CompletedProcess[str]:
    """Run this script in a process of its own; `giving` has it return freed arrays at once."""
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(MIB)} if giving else None
    command = [sys.executable, __file__, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=env)


def compare(names: list[str], rows: int, runs: int, as_json: bool) -> None:
    """Print what contestants take for the gradient of the chain."""
    table = Table("", "stated, MiB", "measured, MiB", "done again, forward passes", "seconds")
    table.title = f"gradient of {LAYERS} layers of tanh(h W), {rows} x {WIDTH}, float32"
    rowed: list[dict[str, Any]] = []
    for name in names:
        options = ["--one", name, f"--rows={rows}"]
        # Memory with freed arrays given back at once, time with the allocator's own ways.
        done = [
            started([*options, "--runs=1"], giving=True),
            started([*options, f"--runs={runs}"], giving=False),
        ]
        failed = next((d for d in done if d.returncode), None)
        if failed is not None:
            reason = (failed.stderr.strip().splitlines() or ["?"])[-1]
            rowed.append({"name": name, "failed": reason})
            table.add_row(name, "", f"failed: {reason[:60]}", "", "")
            continue
        found, timed = (json.loads(d.stdout.splitlines()[-1]) for d in done)
        found["seconds"] = timed["seconds"]
        rowed.append({"name": name, **found})
        table.add_row(
            name,
            f"{found['stated'] / MIB:.1f}" if "stated" in found else "",
            f"{found['measured'] / MIB:.0f}",
            f"{found['extra']:.2f}" if "extra" in found else "",
            f"{found['seconds']:.2f}",
        )
    if as_json:
        print(json.dumps(rowed, indent=1))
        return
    Console(width=120).print(table)
    checks = [row["check"] for row in rowed if "check" in row]
    if checks:
        spread = (max(checks) - min(checks)) / max(checks)
        print(f"gradients differ by {spread:.1e} in their sums")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="of the batch; 16384, and 65536 with --mlp")
    parser.add_argument("--runs", type=int, default=3, help="timed runs; the fastest counts")
    parser.add_argument("--one", help="measure one contestant in this process")
    parser.add_argument("--only", default="", help="contestants whose name has this")
    parser.add_argument(
        "--mlp", nargs="?", const="", help="perceptrons instead: training against prediction"
    )
    parser.add_argument("--kind", help="with the name of a network: measure it in this process")
    parser.add_argument("--json", action="store_true", help="print the figures, in bytes")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one, args.rows or 16384, args.runs)))
    elif args.mlp is None:
        names = [name for name in CONTESTANTS if args.only in name]
        compare(names, args.rows or 16384, args.runs, args.json)
    elif args.kind:
        print(json.dumps(one_mlp(args.mlp, args.kind, args.rows or 65536)))
    else:
        compare_mlps(args.rows or 65536, args.json)


if __name__ == "__main__":
    main()
