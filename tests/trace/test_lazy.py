"""Large arrays are recorded uncomputed; decisions compute what they need."""

import numpy as np
import pytest

import wengert as wg
from wengert.ops.base import TABLE
from wengert.trace.lazy import LazyValue
from wengert.trace.recorder import GraphRecorder

N = 1 << 13


def rough(x):
    y = np.sin(x) * x[::-1] + x**3
    z = np.concatenate([y[1:], y[:1]]).reshape(2, -1).T @ np.array([1.0, 2.0])
    return np.sum(np.maximum(z, 0.0)) / np.sum(np.exp(-(y**2))) + np.mean(np.where(y > 0, y, z[0]))


def recorded(f, x, watch):
    """Record `f` with its results, and show the recorder to `watch`."""
    with GraphRecorder() as recorder:
        t = recorder.input(x)
        y = f(t)
        watch(recorder)
        return recorder.finish([t], [y])


def waiting(recorder):
    return [v for n in recorder.nodes for v in n.outputs if type(v) is LazyValue]


def test_a_derivative_waits_and_is_what_was_promised():
    x = np.random.default_rng(0).standard_normal(N)
    seen = []

    def watch(recorder):
        found = waiting(recorder)
        seen.extend(found)
        assert len(found) > 10
        assert sum(not v.is_known for v in found) > 10
        for v in found:
            data = v.data
            assert (np.shape(data), data.dtype) == v.aval[:2]
            if not v.shape:
                assert not isinstance(data, np.ndarray)

    recorded(wg.grad(rough), x, watch)
    assert seen
    np.testing.assert_allclose(wg.jit(wg.grad(rough))(x), wg.grad(rough)(x), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "derivative",
    [wg.grad, lambda f: wg.grad(lambda x: np.sum(wg.grad(f)(x) ** 2)), wg.value_and_grad],
)
def test_results_are_the_same(derivative):
    x = np.random.default_rng(1).standard_normal(N)
    wanted, got = derivative(rough)(x), wg.jit(derivative(rough))(x)
    for a, b in zip(np.atleast_1d(wanted[0]), np.atleast_1d(got[0]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_a_decision_on_a_derivative_computes_it():
    def f(x):
        g = wg.grad(rough)(x)
        return x - g if g[0] > 0 else x + g

    x = np.random.default_rng(2).standard_normal(N)
    for point in (x, -x):
        np.testing.assert_allclose(wg.jit(f)(point), f(point), rtol=1e-12)


def test_updates_and_views_of_a_derivative():
    def f(x):
        g = wg.grad(rough)(x)
        m = g.reshape(2, -1).T
        m[0] = 1.0
        m.reshape(-1)[3] = 2.0
        return g, m.ravel()

    x = np.random.default_rng(3).standard_normal(N)
    for a, b in zip(wg.jit(f)(x), f(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15)


def test_nothing_waits_where_numpy_is_told_to_raise():
    x = np.zeros(N)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError, match="divide by zero"):
        wg.jit(wg.grad(lambda x: np.sum(np.log(x))))(x)
    assert (wg.jit(lambda x: np.log(x))(x) == -np.inf).all()


@pytest.mark.parametrize("i", [N, -N - 1])
def test_indices_out_of_range_raise_at_once(i):
    with pytest.raises(IndexError, match="out of bounds"):
        wg.jit(lambda x: np.sin(x)[np.array([0, i])])(np.zeros(N))


def test_lookups_in_range_wait():
    place = np.array([0, -1, 5])

    def watch(recorder):
        assert not any(v.is_known for v in waiting(recorder))

    recorded(lambda x: np.sum(np.sin(x)[place] * 2.0), np.zeros(N), watch)


def test_an_array_changed_after_its_use_is_seen_as_it_was():
    w = np.ones(4000)

    def f(x):
        g = wg.grad(lambda x: np.sum(np.sin(x) * w))(x)
        w[0] = 5.0
        return g * 2.0 if g[0] > 0.5 else g

    x = np.zeros(4000)
    assert wg.jit(f)(x)[0] == 2.0


def test_operations_that_may_fail_do_not_wait():
    names = {name for name, op in TABLE.items() if op.waits}
    assert "contract" in names
    assert not names & {"solve", "inv", "cholesky", "svd", "nonzero", "det"}
