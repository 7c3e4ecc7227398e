"""Memory reports: equal to the native arena, to formulas, and to what the process really takes."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import wengert as wg
from wengert.errors import UnsupportedError
from wengert.memory.profile import Memory, size_text

BENCH = Path(__file__).parents[2] / "bench" / "memory.py"

RNG = np.random.default_rng(0)
N, D, H, Q = 512, 784, 256, 16  # a minibatch, and the widths of the seed text's network


def mlp(ws, x, y):
    """The network of the seed text (exercise 3): one hidden layer, weight decay."""
    h = np.tanh(x @ ws[0])
    o = h @ ws[1]
    loss = np.sum((o - y) ** 2) / len(x)
    return loss + 0.05 * (np.sum(ws[0] ** 2) + np.sum(ws[1] ** 2))


def data(dtype=np.float32):
    ws = [RNG.normal(size=(D, H)).astype(dtype) / 30, RNG.normal(size=(H, Q)).astype(dtype) / 16]
    return ws, RNG.normal(size=(N, D)).astype(dtype), RNG.normal(size=(N, Q)).astype(dtype)


SMALL = 1024
"""Bytes of the numbers in between, such as the parts of the loss."""


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_seed_texts_network(dtype):
    """Text 004, exercise 3: the footprint of training and of prediction, by formula."""
    ws, x, y = data(dtype)
    item = np.dtype(dtype).itemsize
    needs = wg.memory(mlp, ws, x, y)
    assert needs.parameters == item * (D * H + H * Q)
    assert needs.inputs == item * (N * D + N * Q)
    # prediction: z = x W1 and h = tanh(z) at once; o after z is gone
    assert 0 <= needs.prediction.peak - item * (2 * N * H) <= SMALL
    assert needs.prediction.residuals == 0
    # training keeps z and h, and o - y or what it is made from
    assert 0 <= needs.training.residuals - item * (2 * N * H + N * Q) <= SMALL
    # at most: z with the cotangents of h and of z
    assert 0 <= needs.training.peak - item * (3 * N * H) <= SMALL
    assert needs.training.outputs == item * (1 + D * H + H * Q)
    plans = wg.jit(mlp).plan(ws, x, y), wg.jit(wg.value_and_grad(mlp)).plan(ws, x, y)
    for need, plan in zip((needs.prediction, needs.training), plans, strict=True):
        assert need == plan.memory
        assert need.peak == plan._program.peak
        assert need.timeline == plan.memory.timeline


def test_who_holds_what():
    ws, x, y = data()
    memory = wg.jit(wg.grad(mlp)).plan(ws, x, y).memory
    lines = {(a.op, a.role): a.line for a in memory.arrays if a.nbytes > SMALL}
    start = mlp.__code__.co_firstlineno
    assert lines["tanh", "residual"] == (__file__, start + 2)
    assert {a.line[1] - start for a in memory.arrays if a.nbytes > SMALL} <= {2, 3, 4}
    assert all(a.role == "backward" for a in memory.arrays if a.line and a.first > 3)
    assert "tanh" in memory.table()
    assert "h = np.tanh(x @ ws[0])" in memory.table()


def test_the_timeline_has_the_peak():
    ws, x, y = data()
    memory = wg.jit(wg.value_and_grad(mlp)).plan(ws, x, y).memory
    assert max(memory.timeline) <= memory.peak
    assert max(memory.timeline) == sum(a.nbytes for a in memory.alive)
    assert memory.workspace + memory.residuals >= memory.peak
    drawn = memory.chart(width=20, height=4).splitlines()
    assert len(drawn) == 5
    assert drawn[0].startswith(f"{size_text(max(memory.timeline)):>10}")
    assert all(len(line) <= 31 for line in drawn)
    assert "█" in drawn[0]


def test_printed():
    ws, x, y = data()
    text = str(wg.memory(mlp, ws, x, y))
    assert text.splitlines()[1].split() == ["parameters", "800.0", "KiB", "800.0", "KiB"]
    assert "residuals" in text


def test_nothing_in_between():
    memory = wg.jit(lambda x: x + 1).plan(np.ones(3)).memory
    assert memory.alive == ()
    assert memory.chart() == "nothing is held in between"
    in_numpy = wg.jit(lambda x: x + 1j).plan(np.ones(3)).memory
    assert (in_numpy.peak, in_numpy.workspace, in_numpy.arrays) == (None, None, ())
    assert Memory(1, 2, 3, 4).timeline == ()
    with pytest.raises(UnsupportedError, match="complex128"):
        wg.memory(lambda x: np.sum(np.abs(x * 1j)), np.ones(3))


def test_threads_and_lines_are_counted():
    """Sorting needs memory of its own, and so do sums that threads share."""

    def f(x):
        return np.sum(np.sort(np.sin(x)) * x)

    plan = wg.jit(wg.grad(f)).plan(np.linspace(0, 9, 50_000))
    assert max(plan.memory.timeline) <= plan.memory.peak == plan._program.peak


MEASURED = """
    import resource, sys
    import numpy as np, wengert as wg

    def f(ws, x):
        h = x
        for w in ws:
            h = np.tanh(h @ w)
        return np.sum(h)

    def resident():
        with open("/proc/self/status") as file:
            return {k: int(v.split()[0]) for k, v in (l.split(":") for l in file) if "Vm" in k}

    def program(rows, budget):
        ws = [np.full((256, 256), 1e-3, np.float32) for _ in range(24)]
        x = np.ones((rows, 256), np.float32)
        F = wg.jit(wg.value_and_grad(f), memory_budget=budget)
        return F.plan(ws, x), ws, x

    program(64, None)  # the code that compiles is in memory
    small = program(8192, {budget})
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = resident()["VmRSS"]
    plan, ws, x = small
    plan._program._arenas.clear()
    before = resident()["VmRSS"]
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    plan(ws, x)
    print(1024 * (resident()["VmHWM"] - before), plan.memory.peak + plan.memory.outputs)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize("budget", [None, 120 << 20, 60 << 20])
def test_measured(budget):
    """What the process takes more in a run is what was predicted: within 5 % or 8 MiB."""
    code = textwrap.dedent(MEASURED).replace("{budget}", str(budget))
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    measured, predicted = map(int, out.stdout.split())
    assert abs(measured - predicted) <= max(0.05 * predicted, 8 << 20)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_training_and_prediction_measured():
    """Text 004, exercise 3: formula, prediction and measurement, each pair in a fresh process."""
    command = [sys.executable, str(BENCH), "--mlp", "--rows=32768", "--json"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {(row["network"], row["kind"]): row for row in json.loads(out.stdout)}
    assert len(found) == 4
    for row in found.values():
        assert row["predicted"] > 60 << 20
        assert 0 <= row["predicted"] - row["formula"] <= SMALL
        allowed = max(0.05 * row["predicted"], 8 << 20)
        assert abs(row["measured"] - row["predicted"]) <= allowed, row
        assert (row["residuals"] > 0) == (row["kind"] == "training")
    for name in {name for name, _ in found}:
        assert found[name, "training"]["measured"] > 1.4 * found[name, "prediction"]["measured"]
