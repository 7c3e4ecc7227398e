"""Loops within a memory budget: trips are run again, with the same bits, in as much as is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wengert as wg
from wengert.backend.native.run.footprint import footprint
from wengert.backend.numpy import NumpyBackend
from wengert.errors import MemoryBudgetError
from wengert.ir.graph import Graph
from wengert.memory.loops import divisible, in_segments

W = 0.3 * np.cos(np.arange(16.0)).reshape(4, 4)


def rows(n: int) -> Any:
    return np.sin(np.arange(4.0 * n)).reshape(n, 4)


def plain(n: int, reverse: bool) -> Callable[[Any], Any]:
    """Carry alone."""
    return lambda w: np.sum(
        wg.scan(lambda h, r: (np.tanh(w @ h + r), None), w[0], rows(n), reverse=reverse)[0]
    )


def stacked(n: int, reverse: bool) -> Callable[[Any], Any]:
    """Results of each trip that are read in the same order, whose cotangents come as rows."""

    def f(w):
        def step(h, r):
            h = np.tanh(w @ h) * r
            return h, (np.sum(h**2), h)

        h, (squares, all_) = wg.scan(step, w[1], rows(n), reverse=reverse)
        return np.sum(h) + np.sum(np.sin(squares)) + np.sum(all_ * rows(n)[::-1])

    return f


def of_rows(n: int, reverse: bool) -> Callable[[Any], Any]:
    """The derivative for the rows."""
    return lambda w: np.sum(
        wg.scan(
            lambda c, r: ((c[0] * r[0] + r[1], np.sin(c[1] * c[0])), c[1] * r[2]),
            (w[0, 0], w[0, 1]), np.resize(w, (n, 4)) + rows(n), reverse=reverse,
        )[1] ** 2
    )  # fmt: skip


def twice(n: int, reverse: bool) -> Callable[[Any], Any]:
    """Two loops, one after the other."""

    def f(w):
        h, ys = wg.scan(lambda h, r: (np.sin(w @ h) + r, h[0]), w[0], rows(n), reverse=reverse)
        return wg.scan(lambda c, y: (np.tanh(c * y) + h[1], None), 1.0, ys, reverse=reverse)[0]

    return f


def nested(n: int, reverse: bool) -> Callable[[Any], Any]:
    """A loop in the body."""

    def f(w):
        def step(h, r):
            return wg.fori_loop(0, 3, lambda i, h: np.sin(w @ h) * r, h), h[2]

        h, ys = wg.scan(step, w[0], rows(n), reverse=reverse)
        return np.sum(h) + np.sum(ys)

    return f


PROGRAMS = [plain, stacked, of_rows, twice, nested]
every = pytest.mark.parametrize("program", PROGRAMS)


def graph_of(f: Callable[[Any], Any], x: Any) -> Graph:
    graph: Graph = wg.jit(wg.grad(f)).plan(x).graph
    return graph


@every
@pytest.mark.parametrize("reverse", [False, True])
def test_loops_in_segments_of_any_length_have_the_same_results(program, reverse):
    for n in (2, 3, 8):
        graph = graph_of(program(n, reverse), W)
        want = NumpyBackend().compile(graph).run([W])
        lengths = [[k] for k in range(1, n)] + [[k, j] for k in range(3, n) for j in (1, 2)]
        for pair in divisible(graph):
            for k in lengths:
                found = NumpyBackend().compile(in_segments(graph, pair, k)).run([W])
                for a, b in zip(found, want, strict=True):
                    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("program", [plain, stacked, twice, nested])
def test_budgets_are_kept_exactly_with_the_same_bits(program):
    f = program(300, False)
    full = wg.jit(wg.grad(f))
    whole = full.plan(W).memory.peak
    last = 0
    for share in (0.8, 0.65):
        budget = int(share * whole)
        tight = wg.jit(wg.grad(f), memory_budget=budget)
        plan = tight.plan(W)
        assert plan.memory.peak <= budget
        assert plan.memory.peak == footprint(plan.graph).peak
        assert plan.memory.extra_flops > last
        last = plan.memory.extra_flops
        np.testing.assert_array_equal(tight(W), full(W))


def test_a_tenth_of_the_tape_of_many_trips():
    n = 100_000

    def f(r):
        return wg.fori_loop(0, n, lambda i, x: r * x * (1 - x), 0.3)

    full = wg.jit(wg.grad(f))
    tape = full.plan(3.1).memory.peak
    forward = 3 * n
    found = {}
    for part in (2, 10, 100):
        tight = wg.jit(wg.grad(f), memory_budget=tape // part)
        memory = tight.plan(3.1).memory
        assert memory.peak <= tape // part
        assert tight(3.1) == full(3.1)
        found[part] = memory.extra_flops / forward
    # all trips but those whose stacks are kept are run again, once
    assert 0.5 <= found[2] < 0.55
    assert 0.9 <= found[10] < 0.95
    assert 0.98 <= found[100] <= 1


def test_trips_are_run_again_more_than_once_where_memory_is_short():
    def f(r):
        return wg.fori_loop(0, 20_000, lambda i, x: r * x * (1 - x), 0.3)

    full = wg.jit(wg.grad(f))
    with pytest.raises(MemoryBudgetError) as error:
        wg.jit(wg.grad(f), memory_budget=64)(3.1)
    least = int(str(error.value).split("memory_budget=")[1].split()[0])
    assert least < 2 * 8 * 20_000**0.5  # less than one division can do
    tight = wg.jit(wg.grad(f), memory_budget=least)
    assert tight(3.1) == full(3.1)
    assert 1 < tight.plan(3.1).memory.extra_flops / 60_000 < 3


def test_while_loops_keep_to_a_budget_too():
    def f(x):
        return wg.while_loop(lambda c: c[1] < 500, lambda c: (np.sin(c[0]) * x, c[1] + 1), (x, 0))[
            0
        ]

    full = wg.jit(wg.grad(f))
    tight = wg.jit(wg.grad(f), memory_budget=full.plan(1.5).memory.peak // 4)
    assert tight(1.5) == full(1.5)


def test_a_loop_of_unknown_length_can_stand_in_a_program_within_a_budget():
    def f(x):
        y = wg.while_loop(lambda c: np.sum(c**2) > 0.3, lambda c: np.sin(c) * 0.8, x)
        for _ in range(6):
            y = np.tanh(y + x)
        return np.sum(y)

    x = np.linspace(0.1, 1.0, 100)
    whole = wg.jit(wg.grad(f))
    for part in (0.4, 0.6, 0.8, 0.9):
        within = wg.jit(wg.grad(f), memory_budget=int(whole.plan(x).memory.peak * part))
        try:
            found = within(x)
        except MemoryBudgetError:
            continue
        np.testing.assert_allclose(found, whole(x), rtol=1e-12)
