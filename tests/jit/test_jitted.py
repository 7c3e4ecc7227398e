"""A jitted function as an object: threads, pickles, plans, and what it says."""

from __future__ import annotations

import pickle
import sys
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from jit_use import A, B, assert_same, branch

import wengert as wg
from wengert.errors import ConversionError, InputError, LeakedTracerError


def test_threads_share_one_function():
    def f(x, n):
        y = x
        for _ in range(n):
            y = np.sin(y) if y[0] > 0.2 else np.cos(y)
        return np.sum(y), y

    jitted = wg.jit(wg.value_and_grad(lambda x, n: f(x, n)[0]))
    plain = wg.value_and_grad(lambda x, n: f(x, n)[0])
    jobs = [(A + k % 5, k % 4) for k in range(200)]
    barrier = threading.Barrier(8)

    def work(start):
        barrier.wait()
        return [jitted(*job) for job in jobs[start::8]]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(8)))
    for start in range(8):
        for got, job in zip(found[start], jobs[start::8], strict=True):
            assert_same(got, plain(*job))
    info = jitted.cache_info()
    assert info.specialisations <= info.traces
    for job in jobs:
        jitted(*job)
    assert jitted.cache_info() == info


def test_random_numbers_are_passed_as_arguments():
    rng = np.random.default_rng(0)
    passed = wg.jit(lambda x, noise: x + noise)
    assert np.any(passed(A, rng.normal(size=3)) != passed(A, rng.normal(size=3)))
    assert "random numbers" in wg.jit.__doc__


def test_what_cannot_be_followed():
    import math

    kept = []
    with pytest.raises(ConversionError, match="plain NumPy array"):
        wg.jit(wg.unfollowed(lambda x: np.asarray(x)))(A)
    assert_same(wg.jit(lambda x: np.asarray(x))(A), A)
    wg.jit(lambda x: kept.append(x))(A)
    with pytest.raises(LeakedTracerError):
        kept[0] + 1
    assert wg.jit(lambda x: math.sin(x[0]) * x)(A)[1] == math.sin(0.5) * 2.0


@wg.jit
def module_level(x):
    return x * 2


def plain_function(x):
    return x * 3


jitted_plain = wg.jit(plain_function, max_specialisations=5)


@pytest.mark.parametrize(("f", "factor"), [(module_level, 2), (jitted_plain, 3)])
def test_pickle(f, factor, monkeypatch):

    # Test modules are not importable by name; stand in for one that is.
    module = types.ModuleType(__name__)
    module.module_level, module.plain_function = module_level, plain_function
    monkeypatch.setitem(sys.modules, __name__, module)
    g = pickle.loads(pickle.dumps(f))
    assert_same(g(A), A * factor)
    assert (g is f) == (f is module_level)
    assert g._options == f._options


def test_looks():
    jitted = wg.jit(branch)
    assert jitted.__name__ == "branch"
    assert repr(jitted).startswith("<jit of branch: CacheInfo(traces=0")
    jitted(A)
    jitted.clear_cache()
    assert jitted.cache_info() == (1, 0, 0, 0)
    assert_same(jitted(A), branch(A))


def test_a_plan_is_kept():
    jitted = wg.jit(branch)
    plan = jitted.plan(A)
    assert jitted.plan(A) is plan
    assert_same(jitted(A), branch(A))
    assert jitted.cache_info().traces == 1
    assert jitted.plan(B) is not plan
    with pytest.raises(InputError, match=r"branch\.plan takes plain arrays"):
        wg.grad(lambda x: jitted.plan(x))(A)


def test_nothing_of_the_recording_is_kept_alive():
    import gc
    import weakref

    seen = []

    def f(x):
        y = x * 2
        seen.append(weakref.ref(y._var.data))
        return np.sum(y)

    jitted = wg.jit(f)
    jitted(np.ones(1000))
    gc.collect()
    assert seen[0]() is None
