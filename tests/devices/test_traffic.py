"""Bytes that fused loops move, by hand; and the time that follows from them, against runs."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.analysis.memory_use import _laid_out
from wengert.devices.device_costs import undivide
from wengert.devices.device_graph import Layout
from wengert.devices.partition import Device
from wengert.devices.traffic import Work
from wengert.jit.form import split
from wengert.jit.record import record

N = 1000
X = np.linspace(0, 1, N)
W = np.ones((N, 20))
BYTES = {
    "one loop": (lambda x: np.sin(x) * x + x * x, (X,), 2 * X.nbytes),
    "one sum": (lambda x: np.sum(np.sin(x) * x), (X,), X.nbytes + 8),
    "two arrays": (lambda x, y: x * y + y, (X, X), 3 * X.nbytes),
    "a slice": (lambda x: 2 * x[: N // 2] + 1, (X,), X.nbytes),
    "a product": (lambda w, x: np.tanh(x @ w), (W, X), X.nbytes + W.nbytes + 3 * 20 * 8),
    "rows": (lambda w: w[np.array([1, 5])] * 2.0, (W,), 2 * 2 * 20 * 8),
}


def bytes_of(graph, stored):
    work = Work(graph, stored)
    return sum(work(step, (1.0,), 0)[1] for step in undivide(graph).steps)


@pytest.mark.parametrize("name", BYTES)
def test_bytes_of_loops(name):
    f, args, want = BYTES[name]
    graph = record(f, *split(args, {})).graph
    fused = bytes_of(graph, Layout(_laid_out).stored(graph))
    assert abs(fused - want) <= 2 * 20 * 8
    assert fused <= bytes_of(graph, None) == wg.cost(f, *args, argnums=()).bytes


def test_operations_are_those_of_the_count():
    f, args, _ = BYTES["a product"]
    graph = record(f, *split(args, {})).graph
    work = Work(graph, set())
    flops = sum(work(step, (1.0,), 0)[0] for step in undivide(graph).steps)
    assert flops == wg.cost(f, *args, argnums=()).flops


def test_half_of_a_batch_moves_half():
    x = np.ones((10, 6))
    graph = record(lambda x: np.sin(x) * x, *split((x,), {})).graph
    both = undivide(graph).steps
    assert [Work(graph, set()).of_part(s, 5, 10) for s in both] == [
        Work(graph, set())(s, (1.0,), 0) for s in both
    ]  # nothing of it is split
    device = Device("a", "1GiB", 1e9, 1e9, 1e9)
    plan = wg.partition(lambda x: np.sin(x) * x, x, devices=[device])
    assert plan["smaller minibatch"].parts[0].bytes == plan["one device"].parts[0].bytes
