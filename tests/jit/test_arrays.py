"""Arrays from outside are read at each call; arguments stay, and results are the caller's own."""

from __future__ import annotations

import numpy as np
import optree
import pytest
from jit_use import A, B, assert_same

import wengert as wg
from wengert.errors import MutationError


@pytest.mark.parametrize("size", [3, 40_000])
def test_captured_arrays_are_read_at_each_call(size):
    w = np.arange(float(size))
    f = wg.jit(lambda x: np.sum(x * w) + np.sum(x + w))
    g = wg.jit(wg.grad(lambda x: np.sum(x * w)))
    x = np.ones(size)
    assert f(x) == 2 * np.sum(w) + size
    np.testing.assert_array_equal(g(x), w)
    w[1] = 100.0
    assert f(x) == 2 * np.sum(w) + size
    np.testing.assert_array_equal(g(x), w)
    assert f.cache_info().traces == 1


def test_a_view_of_a_captured_array_is_read_at_each_call():
    w = np.arange(6.0)
    f = wg.jit(lambda x: x + w[::2] + w.reshape(3, 2)[:, 1])
    f(A)
    w += 10
    assert_same(f(A), A + w[::2] + w[1::2])


def test_a_work_buffer_changed_while_recording():
    buffer = np.zeros(3)

    def f(x):
        total = x * 0
        for i in range(4):
            buffer[:] = i
            total = total + buffer * x
        buffer[:] = -1
        return total

    jitted = wg.jit(f)
    for _ in range(3):
        assert_same(jitted(A), 6 * A)


def test_a_large_work_buffer_changed_while_recording():
    buffer = np.zeros(40_000)

    def f(x):
        buffer[0] = 1
        y = x * buffer
        buffer[0] = 2
        return y + x * buffer

    with pytest.raises(
        MutationError, match=r"plain array of shape \(40000,\) was changed in place"
    ):
        wg.jit(f)(np.ones(40_000))


CHANGES = [
    (lambda x: x.__setitem__(0, 1.0), (A,), r"argument of shape \(3,\) in place.*x = x.copy\(\)"),
    (lambda x: np.add(x, 1, out=x), (A,), r"argument of shape \(3,\)"),
    (lambda x: x[1:].fill(0.0), (A,), r"argument of shape \(3,\)"),
    (lambda x: x.sort(), (A,), r"argument of shape \(3,\)"),
    (lambda d: d["w"].__imul__(2), ({"w": A},), r"argument of shape \(3,\)"),
    (lambda d: d.__setitem__("w", d["w"] * 2), ({"w": A},), "changes a list or dict among its arg"),
    (lambda d: d.pop("w"), ({"w": A, "b": B},), "changes a list or dict"),
    (lambda xs: xs.append(xs[0]), ([A],), "changes a list or dict"),
]


@pytest.mark.parametrize(("f", "args", "message"), CHANGES)
def test_changing_an_argument_raises(f, args, message):
    before = [x.copy() for x in optree.tree_leaves(args)]
    with pytest.raises(MutationError, match=f"(?s){message}"):
        wg.jit(f)(*args)
    for x, y in zip(optree.tree_leaves(args), before, strict=True):
        np.testing.assert_array_equal(x, y)


def test_changing_a_copy_or_an_own_dict_is_fine():
    def f(x, d, **kwargs):
        y = x.copy()
        y[0] = x[1]
        d = dict(d)
        d["new"] = y * 2
        kwargs.pop("a")
        return y, d

    assert_same(wg.jit(f)(A, {"w": B}, a=A), f(A, {"w": B}, a=A))


W = np.arange(3.0)
SHARED = [
    lambda x: x,
    lambda x: (x, x),
    lambda x: (x * 2,) * 2,
    lambda x: W,
    lambda x: (W, W, W[:2]),
    lambda x: x[1:],
    lambda x: x[::-1],
    lambda x: x.reshape(3, 1),
    lambda x: np.broadcast_to(x, (2, 3)),
    lambda x: np.broadcast_to(x * 2, (2, 3)),
    lambda x: (np.stack([x, x]).T, np.stack([x, x])[0]),
    lambda x: wg.stop_gradient(x),
    lambda x: [y := x + 1, y[1:], y.reshape(1, 3), y],
    lambda x: np.real(x),
    lambda x: x.astype(float, copy=False),
    wg.grad(np.sum),
    wg.grad(lambda x: np.sum(W * x)),
    lambda x: wg.vjp(np.sin, x)[0],
    wg.jacobian(lambda x: x),
    wg.vmap(lambda t: t),
    lambda x: wg.custom_jvp(lambda z: z).f(x),
]


@pytest.mark.parametrize("f", SHARED, ids=range(len(SHARED)))
def test_results_are_the_callers_own(f):
    """Changing a result in place changes nothing else."""
    jitted = wg.jit(f)
    x = A.copy()
    expected = [np.array(y) for y in optree.tree_leaves(f(A.copy()))]
    for _ in range(3):
        results = optree.tree_leaves(jitted(x))
        assert len(results) == len(expected)
        for k, y in enumerate(results):
            np.testing.assert_allclose(y, expected[k], rtol=1e-15)
            assert y.flags.writeable
            y[...] = -77.0 - k
        for k, y in enumerate(results):
            assert np.all(y == -77.0 - k)
        np.testing.assert_array_equal(x, A)
        np.testing.assert_array_equal(W, np.arange(3.0))


def test_a_small_result_does_not_keep_a_large_array_alive():
    y = wg.jit(lambda x: (x * 2)[:2])(np.ones(10_000))
    assert y.base is None or y.base.nbytes <= y.nbytes
