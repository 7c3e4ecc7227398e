"""Decisions that rounding takes otherwise in native code than while recording."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg


def centred(x):
    return x if np.sum(x - np.mean(x)) > 0 else -x


def equal(x):
    return x * 2 if np.all(np.exp(x) * np.exp(-x) == 1) else x * 3


def settled(a):
    x, n = a * 1.0, 0
    while n < 60:
        y = 0.9 * np.cos(a * x)
        if np.array_equal(x, y):
            break
        x, n = y, n + 1
    return x


def rounded(x):
    return x * int(np.floor(1e15 * np.sum(np.sin(x)) / np.sum(np.sin(x[::-1]))) % 3)


def as_float(x):
    return x * float(wg.stop_gradient(np.sum(np.tanh(x) * np.cos(x))))


FUNCTIONS = [centred, equal, settled, rounded, as_float]


def inputs(f, seed, size=257):
    rng = np.random.default_rng(seed)
    return rng.uniform(0.1, 0.9, 5) if f is settled else rng.standard_normal(size)


def is_either(f, x, y):
    """Whether a result is that of a path which some rounding takes."""
    ways = {
        centred: (x, -x),
        equal: (2 * x, 3 * x),
        settled: (f(x),),
        rounded: (0 * x, x, 2 * x),
        as_float: (f(x),),
    }
    return any(np.allclose(y, way, rtol=1e-9, atol=1e-12) for way in ways[f])


@pytest.mark.share(4)
@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("what", ["call", "into", "plan", "gradient"])
def test_every_call_takes_one_of_the_paths(f, what):
    jitted = wg.jit(f, max_specialisations=1000)
    out = np.empty_like(inputs(f, 0))
    for seed in [*range(12), *range(4)]:
        x = inputs(f, seed)
        if what == "call":
            y = jitted(x)
        elif what == "into":
            y = jitted.into(out, x)
        elif what == "plan":
            y = wg.jit(f).plan(x)(x)
        else:
            assert np.isfinite(wg.jit(wg.grad(lambda x: np.sum(f(x))))(x)).all()
            if seed > 2:
                break
            continue
        assert is_either(f, x, y), seed
    assert jitted.cache_info().traces <= 12 + 4


def test_a_path_is_not_recorded_for_ever():
    jitted = wg.jit(centred)
    for _ in range(6):
        for seed in range(20):
            jitted(inputs(centred, seed))
    info = jitted.cache_info()
    assert info.specialisations == 2
    assert info.traces <= 6


def test_sparse_plans(tmp_path):
    def f(x):
        return x**2 if np.sum(x - np.mean(x)) > 0 else -(x**2)

    jac = wg.jacobian(f, format="csr")
    for seed in [*range(20), *range(20)]:
        x = inputs(f, seed, 50)
        np.testing.assert_allclose(np.abs(jac(x).diagonal()), np.abs(2 * x))
        if seed < 5:
            np.testing.assert_allclose(np.abs(jac.plan(x)(x).diagonal()), np.abs(2 * x))
            jac.plan(x).save(tmp_path / "plan")
            loaded = wg.load_plan(tmp_path / "plan", f)
            np.testing.assert_allclose(np.abs(loaded(x).diagonal()), np.abs(2 * x))
