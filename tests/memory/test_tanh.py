"""A tanh that the way back computes again: what is held, and that nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.backend.numpy import NumpyBackend
from wengert.ir.verify import verify
from wengert.jit import record
from wengert.jit.form import split
from wengert.memory.tanh import LARGE, twice

ROWS = LARGE // (8 * 64)


def layers(ws, x):
    h = x
    for w in ws:
        h = np.tanh(h @ w)
    return np.sum(h * h)


def guarded(ws, x):
    """Decisions between the layers."""
    h, total = x, 0.0
    for w in ws:
        h = np.tanh(h @ w)
        if h[0, 0] > -2:
            total = total + np.sum(h)
    return total


def arguments(rows):
    rng = np.random.default_rng(0)
    ws = [rng.normal(size=(64, 64)) / 8 for _ in range(4)]
    return ws, rng.normal(size=(rows, 64))


def graphs(f, rows, monkeypatch):
    """Record a gradient, with all that is kept and with what is computed again."""
    args = arguments(rows)
    leaves, form = split(args, {}, (), ())
    with monkeypatch.context() as m:
        m.setattr(record, "twice", lambda graph: graph)
        kept = record.record(wg.grad(f, (0, 1)), leaves, form).graph
    return kept, verify(twice(kept)), leaves


def tanhs(graph):
    return sum(node.op.name == "tanh" for node in graph.nodes)


@pytest.mark.parametrize("f", [layers, guarded])
def test_the_same_numbers_from_more_tanhs(f, monkeypatch):
    kept, again, leaves = graphs(f, ROWS, monkeypatch)
    assert tanhs(kept) in (3, 4)  # the last one may be read by nothing but its derivative
    assert tanhs(kept) + 2 <= tanhs(again) <= 8
    assert len(again.guards) == len(kept.guards)
    results = [NumpyBackend().compile(graph).run(leaves) for graph in (kept, again)]
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_small_arrays_are_kept(monkeypatch):
    kept, again, _ = graphs(layers, 8, monkeypatch)
    assert again is kept


def test_one_array_of_each_layer_is_held():
    args = arguments(ROWS)
    needs = wg.memory(lambda ws, x: layers(ws, x), *args).training
    assert needs.residuals <= 5.1 * LARGE
    assert needs.peak <= 7.1 * LARGE
