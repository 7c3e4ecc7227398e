"""Results written into the caller's arrays: straight where that is safe, and never wrongly."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import wengert as wg
from wengert.errors import InputError, PlanMismatchError, ShapeError
from wengert.jit.into import share

X = np.arange(1.0, 7.0).reshape(2, 3)
W = np.full((2, 3), 2.0)


def f(x, y):
    return {"product": x @ y.T, "sum": np.sum(x * y, axis=0), "number": np.sum(x)}


def empty(like):
    return {k: np.full(np.shape(y), -9.0) for k, y in like.items()}


@pytest.fixture(params=["native", "numpy"])
def backend(request):
    return request.param


def test_results_are_in_the_arrays(backend):
    jitted = wg.jit(f, backend=backend)
    want = f(X, W)
    for call in (jitted.into, jitted.into, jitted.plan(X, W).into):
        out = empty(want)
        assert call(out, X, W) is out
        for k, y in want.items():
            np.testing.assert_allclose(out[k], y)


def test_large_results_are_not_allocated():
    jitted = wg.jit(lambda x: (np.exp(x), x * 2))
    x = np.zeros(100_000)
    out = np.empty_like(x), np.empty_like(x)
    jitted.into(out, x)
    tracemalloc.start()
    jitted.into(out, x)
    peak = tracemalloc.get_traced_memory()[1]
    jitted(x)
    assert peak < 20_000 < 2 * x.nbytes < tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["argument", "reversed", "transposed", "shifted"])
def test_an_argument_as_the_result(name, backend):
    def step(x):
        return x[::-1].T + np.cumsum(x, axis=1) * 2 + np.sum(x)

    jitted = wg.jit(step, backend=backend)
    block = np.arange(20.0)
    x = block[:9].reshape(3, 3)
    out = {
        "argument": x,
        "reversed": x[::-1],
        "transposed": x.T,
        "shifted": block[4:13].reshape(3, 3),
    }[name]
    for _ in range(2):
        want = step(x.copy())
        jitted.into(out, x)
        np.testing.assert_allclose(out, want)


def test_a_captured_array_as_the_result(backend):
    w = np.arange(4.0)
    jitted = wg.jit(lambda x: (w + x)[::-1] * 2, backend=backend)
    for _ in range(3):
        want = (w + 1)[::-1] * 2
        jitted.into(w, np.ones(4))
        np.testing.assert_array_equal(w, want)


@pytest.mark.parametrize(
    "out",
    [np.zeros((4, 6))[::2, ::2], np.zeros((3, 2)).T, np.zeros(49, np.uint8)[1:].view(float)],
    ids=["spaced", "fortran", "unaligned"],
)
def test_layouts(out, backend):
    out = out.reshape(2, 3) if out.ndim == 1 else out
    wg.jit(np.exp, backend=backend).into(out, X)
    np.testing.assert_allclose(out, np.exp(X))


def test_interleaved_results(backend):
    both = np.zeros(6)
    wg.jit(lambda x: (x, x * 2), backend=backend).into((both[::2], both[1::2]), np.arange(3.0))
    np.testing.assert_array_equal(both, [0, 0, 1, 2, 2, 4])


def test_other_paths(backend):
    jitted = wg.jit(lambda x: x * 2 if x[0] > 0 else x * 3, backend=backend)
    out = np.zeros(2)
    for sign in (1, -1, 1, -1):
        x = np.array([1.0, 2]) * sign
        np.testing.assert_array_equal(jitted.into(out, x), x * (2 if sign > 0 else 3))
    assert jitted.cache_info().traces == 2
    with pytest.raises(PlanMismatchError, match="holds where"):
        jitted.plan(np.ones(2)).into(out, -np.ones(2))


def test_numbers_and_what_is_no_array(backend):
    jitted = wg.jit(lambda x, n: (x[0] * 2, n * 2, "text", x > 0), backend=backend)
    out = np.zeros(()), np.zeros((), int), None, np.zeros(3, bool)
    out = (out[0], out[1], "anything", out[3])
    got = jitted.into(out, np.array([1.0, -1, 1]), 3)
    assert (float(got[0]), int(got[1]), got[3].tolist()) == (2.0, 6, [True, False, True])


class Model:
    @wg.jit
    def apply(self, x):
        return x * 2


def test_a_method():
    out = np.zeros(2)
    Model().apply.into(out, np.ones(2))
    np.testing.assert_array_equal(out, 2)


READONLY = np.zeros(3)
READONLY.flags.writeable = False
ONE = np.zeros(4)
WRONG = [
    (np.zeros(3), ShapeError, r"must have the form of its result"),
    ((np.zeros(3), np.zeros(4)), ShapeError, r"out\[1\] of g has shape \(4,\).* \(3,\)"),
    ((np.zeros(3), 2.0), InputError, r"out\[1\] of g is a float; .*np.empty\(\(3,\), 'float64'\)"),
    ((np.zeros(3, "f4"), np.zeros(3)), InputError, r"out\[0\] of g has dtype float32.*float64"),
    ((np.zeros(3), READONLY), InputError, r"out\[1\] of g is read-only"),
    ((ONE[:3], ONE[1:]), InputError, "share memory with each other"),
]


@pytest.mark.parametrize(("out", "error", "message"), WRONG, ids=range(len(WRONG)))
@pytest.mark.parametrize("calls", [0, 1])
def test_what_does_not_fit(out, error, message, calls, backend):
    def g(x):
        return x, x * 2

    jitted = wg.jit(g, backend=backend)
    for _ in range(calls):
        jitted(np.ones(3))
    with pytest.raises(error, match=message):
        jitted.into(out, np.ones(3))
    with pytest.raises(error, match=message):
        jitted.plan(np.ones(3)).into(out, np.ones(3))


def test_traced_arguments():
    jitted = wg.jit(lambda x: x * 2)
    with pytest.raises(InputError, match="into takes plain arrays"):
        wg.grad(lambda x: np.sum(jitted.into(np.zeros(3), x)))(np.ones(3))


def test_share():
    block = np.zeros(10)
    assert share([block[:5]], [block[4:]])
    assert not share([block[:5]], [block[5:]])
    assert share([block[:5], block[4:]], [])
    assert not share([], [block, block])
    assert not share([block[:2], block[8:]], [block[2:8], block[3:4], 1.0])
    assert share([block[4:5]], [block])
    assert not share([block[:0]], [block])
