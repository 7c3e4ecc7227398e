"""Compiled functions whose recorded loops are rolled give what unrolled ones give."""

from __future__ import annotations

import os

import numpy as np
import pytest
from tests.rolling.programs import modes, program
from tests.rolling.test_roll import LOOPS, D, X

import wengert as wg
from wengert.errors import BatchedControlError
from wengert.rolling.limits import ALL, rolling

BLOCKS = 10 if os.environ.get("WENGERT_TABLE_SHARE") == "1" else 2
"""Blocks of random programs; WENGERT_TABLE_SHARE=1 takes all, which is half an hour of work."""


def found(f, backend, limits, *args):
    with rolling(limits):
        plan = wg.jit(f, backend=backend).plan(*args)
    return plan(*args), plan.graph


def compare(f, backend, *args):
    """Compare both programs of a function; return the rolled one's graph."""
    a, _ = found(f, backend, None, *args)
    b, graph = found(f, backend, ALL, *args)
    for y, z in zip(wg.trees.flatten(a)[0], wg.trees.flatten(b)[0], strict=True):
        # Loops of numbers and of arrays take other functions for sin, and programs amplify that.
        np.testing.assert_allclose(y, z, rtol=1e-11 if backend == "numpy" else 1e-6, atol=1e-10)
        assert np.asarray(y).dtype == np.asarray(z).dtype
    return graph


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("make", LOOPS, ids=lambda f: f.__name__)
def test_both_backends_run_rolled_loops(make, backend):
    graph = compare(modes(make(10))["grad"], backend, X, D)
    assert "scan" in [n.op.name for n in graph.nodes]


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_random_programs_agree(block, backend):
    for seed in range(5000 + 10 * block, 5006 + 10 * block):
        f, x = program(seed)
        for mode, g in modes(f).items():
            try:
                compare(g, backend, x, D)
            except BatchedControlError:
                assert "vmap" in mode


@pytest.mark.parametrize("backend", ["numpy", "native"])
def test_decisions_lead_to_another_program(backend):
    def f(x):
        y, trips = x, 0
        while y > 1.0:
            y, trips = y * 0.7, trips + 1
        for _ in range(12):
            y = np.sin(y) + 0.1
        return y * trips

    with rolling(ALL):
        compiled = wg.jit(f, backend=backend)
        for x in (10.0, 3.0, 10.0, 0.5, 40.0, 10.0):
            np.testing.assert_allclose(compiled(np.float64(x)), f(np.float64(x)), rtol=1e-12)


def early(x):
    """Ends when it is large enough, and does something else for a while."""
    y, trips = x[0], 0
    for t in range(40):
        if y > 2 + x[1]:
            break
        y = np.sin(y) + x[2] if y < x[3] + 0.02 * t else y * (1.1 + 0.01 * x[4])
        trips += 1
    return y * trips


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("mode", ["value", "grad", "jvp"])
def test_each_path_through_the_decisions_of_a_loop_has_its_program(mode, backend):
    f = modes(early)[mode]
    rng = np.random.default_rng(8)
    points = [X, *(rng.random((6, 5)) * 1.5)]
    with rolling(ALL):
        compiled = wg.jit(f, backend=backend)
        for x in [*points, *points, *reversed(points)]:
            found, wanted = compiled(x, D), f(x, D)
            for a, b in zip(wg.trees.flatten(found)[0], wg.trees.flatten(wanted)[0], strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)
    info = compiled.cache_info()
    assert info.fallbacks == 0
    assert info.traces == info.specialisations <= len(points)


def test_a_plan_says_what_it_holds_for():
    def f(x):
        y = x
        for _ in range(20):
            y = y * 1.1 if y > 0 else y - 1
        return y

    with rolling(ALL):
        plan = wg.jit(f).plan(1.0)
    assert "each of 20 decisions in a loop is as it was recorded" in str(plan)
    with pytest.raises(wg.errors.PlanMismatchError, match="otherwise at number 1"):
        plan(-1.0)


def test_limits_are_those_of_the_innermost_block():
    f = LOOPS[0](12)
    with rolling(None), rolling(ALL):
        inner = wg.jit(f, backend="numpy").plan(X)
    with rolling(ALL), rolling(None):
        outer = wg.jit(f, backend="numpy").plan(X)
    assert len(inner.graph.nodes) < len(outer.graph.nodes)


def test_a_budget_and_decisions_go_together():
    def f(x):
        y = x
        for _ in range(60):
            y = np.sin(y) * 1.01 if y[0] > -5 else y * 0
        return np.sum(y)

    with rolling(ALL):
        gradient = wg.jit(wg.grad(f), memory_budget="64KiB")
        for x in (X, -10 * X - 10, X):
            np.testing.assert_allclose(gradient(x), wg.grad(f)(x), rtol=1e-12)
