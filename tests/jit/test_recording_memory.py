"""What recording computes and keeps of large arrays: within a budget, what is asked for."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import wengert as wg
from wengert.errors import MemoryBudgetError
from wengert.trace.lazy import LARGE, LazyValue, Store
from wengert.trace.recorder import GraphRecorder

MIB = 1 << 20
X = np.linspace(0.1, 1.0, MIB // 16)  # half a MiB
BUDGET = 6 * MIB


def peak(call):
    """Return the bytes that a call takes at most, besides what there was."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def steps(x, n=24):
    for _ in range(n):
        x = np.tanh(x) * 1.01 + np.sin(x) * 0.1
    return x


DECISIONS = {
    "last": lambda y: y[-1] > 0,
    "max": lambda y: np.max(y) > 0,
    "norm": lambda y: np.linalg.norm(y) > 0,
    "sum": lambda y: np.sum(y) > 0,
    "all": lambda y: np.all(y > -1),
    "sorted": lambda y: np.sort(y)[3] > -1,
    # of a whole number, in which NumPy's tanh and the native one cannot differ by rounding
    "float": lambda y: float(np.floor(wg.stop_gradient(y[5]))) > -9,
}


@pytest.fixture
def needs_native(backend):
    if backend == "numpy":
        pytest.skip("NumPy keeps no budget")


@pytest.mark.share(4)
@pytest.mark.parametrize("name", DECISIONS)
@pytest.mark.parametrize("transform", [lambda f: f, wg.grad], ids=["value", "gradient"])
def test_a_budget_bounds_the_first_call(name, transform, needs_native):
    def f(x):
        y = steps(x)
        return np.sum(y) if DECISIONS[name](y) else np.sum(y * 2)

    g = transform(f)
    jitted = wg.jit(g, memory_budget=BUDGET)
    assert peak(lambda: jitted(X)) < BUDGET + 4 * MIB  # the result, and what compiling takes
    np.testing.assert_allclose(jitted(X), g(X), rtol=1e-10)
    assert jitted.cache_info().traces == 1


def test_decisions_at_each_step_within_a_budget(needs_native):
    def f(x):
        for _ in range(40):
            y = np.tanh(x) * 1.01 + np.cumsum(np.sin(x)) * 1e-9
            if np.max(np.abs(y - x)) < 1e-3:
                break
            x = y
        return np.sum(x)

    jitted = wg.jit(f, memory_budget=BUDGET)
    assert peak(lambda: jitted(X)) < BUDGET + 4 * MIB
    np.testing.assert_allclose(jitted(X), f(X), rtol=1e-10)


def test_what_no_decision_needs_is_not_computed():
    with GraphRecorder() as recorder:
        x = recorder.input(X)
        y = steps(x, 3)
        for z in (y[-1], np.max(y), np.min(y), np.sum(y), y[3] * 2, np.sqrt(y[0])):
            assert isinstance(z._var, LazyValue)
            assert not z._var.is_known
            assert not z._is_array()  # a scalar, as in NumPy
        assert bool(y[-1] > 0)
        assert np.isclose(float(np.max(y)), np.max(steps(X, 3)))


def test_the_store_lets_go_of_what_was_used_longest_ago():
    with GraphRecorder(bound=3 * X.nbytes) as recorder:
        x = recorder.input(X)
        ys = [x]
        for _ in range(6):
            ys.append(np.sin(ys[-1]))
        values = [y._var for y in ys[1:]]
        np.testing.assert_array_equal(
            values[-1].data, np.sin(np.sin(np.sin(np.sin(np.sin(np.sin(X))))))
        )
        assert [v.is_known for v in values] == [False] * 3 + [True] * 3
        np.testing.assert_array_equal(values[0].data, np.sin(X))  # computed again
        assert sum(v.is_known for v in values) == 3
        recorder.store.clear()
        assert not any(v.is_known for v in values)
    assert X.nbytes >= LARGE
    assert Store(lambda x: x, None).bound is None


def test_a_small_part_does_not_keep_the_whole_array():
    with GraphRecorder(bound=X.nbytes) as recorder:
        part = np.sin(recorder.input(X))[:10]
        assert part._var.data.base is None


POINTS = np.random.default_rng(0).standard_normal((500, 8))
CENTRES = np.random.default_rng(1).standard_normal((10, 8))


def clusters(c):
    return np.sum(np.min(np.sum((POINTS[:, None, :] - c[None]) ** 2, axis=-1), axis=1))


V = np.ones_like(CENTRES)
FULL = 500 * 10 * 8 * 8
DERIVATIVES = [
    lambda c: wg.hvp(clusters, (c,), (V,)),
    lambda c: wg.jvp(clusters, (c,), (V,))[1],
    lambda c: wg.jvp(wg.grad(clusters), (c,), (V,))[1],
    lambda c: wg.linearize(clusters, c)[1](V),
    lambda c: wg.vjp(lambda c: np.sum((POINTS[:, None] - c) ** 2, axis=(0, 1)), c)[1](V[0])[0],
]


@pytest.mark.parametrize("f", DERIVATIVES)
def test_plain_tangents_are_not_spread_while_recording(f):
    c = CENTRES
    with GraphRecorder() as recorder:
        f(recorder.input(c))
        plain = [x.data for node in recorder.nodes for x in node.inputs if hasattr(x, "fixed")]
        assert all(x.nbytes < FULL for x in plain)
    np.testing.assert_allclose(wg.jit(f)(c), f(c), rtol=1e-10)


def test_a_basis_of_tangents_is_not_spread_while_recording(needs_native):
    points = np.tile(POINTS, (5, 1))

    def f(c):
        return np.sum(np.min(np.sum((points[:, None, :] - c[None]) ** 2, axis=-1), axis=1))

    jitted = wg.jit(wg.jacfwd(f))  # a tangent of all points for each entry: 128 MB
    assert peak(lambda: jitted(CENTRES)) < 5 * FULL * CENTRES.size // 2
    np.testing.assert_allclose(jitted(CENTRES), wg.grad(f)(CENTRES), rtol=1e-10)


def test_captured_tangents_are_read_at_each_call(backend):
    v = np.ones(3)
    jitted = wg.jit(lambda x: wg.jvp(np.sin, (x,), (v,))[1], backend=backend)
    x = np.array([0.1, 0.2, 0.3])
    np.testing.assert_allclose(jitted(x), np.cos(x))
    v[:] = 2.0
    np.testing.assert_allclose(jitted(x), 2 * np.cos(x))


def test_derivatives_of_plain_values_stay_plain():
    def f(x):
        slope = wg.jvp(np.sin, (np.ones(3),), (np.ones(3),))[1]
        assert type(slope) is np.ndarray
        assert type(wg.jacobian(np.sin)(np.ones(2))) is np.ndarray
        return x * slope

    np.testing.assert_allclose(wg.jit(f)(np.ones(3)), np.cos(np.ones(3)))


def test_a_budget_that_a_captured_number_does_not_fit_into(needs_native):
    """Nothing of the function can be computed again for less: the error says what there is."""

    def f(x):
        y = steps(x)
        return (np.sum(y) if y[-1] > 0 else np.sum(y * 2)) + OFFSET

    x = np.linspace(0, 1, MIB // 8)
    want = wg.grad(f)(x)
    with pytest.raises(MemoryBudgetError, match="cannot run in 6"):
        wg.jit(wg.grad(f), memory_budget=BUDGET)(x)
    np.testing.assert_allclose(wg.jit(wg.grad(f), memory_budget=BUDGET + 4096)(x), want, rtol=1e-10)


OFFSET = 2
