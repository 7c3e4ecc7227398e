"""Plain arrays that change in place after a traced operation has read them: right, or refused."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.errors import MutationError
from wengert.trace.capture import COPY_BYTES, checksum

SMALL = 8
LARGE = COPY_BYTES // 8 + 13


def scaled(w):
    w *= 0.5


def refilled(w):
    w[...] = np.arange(w.size)[::-1]


def sorted_(w):
    w.sort()


def reversed_(w):
    w[:] = w[::-1].copy()


def swapped(w):
    w[1], w[2] = w[2], w[1]


def one_bit(w):
    w.view(np.uint64)[-2] ^= 1


def rolled(w):
    w[:] = np.roll(w, 7 * 11)


CHANGES = [scaled, refilled, sorted_, reversed_, swapped, one_bit, rolled]


def loop(change):
    def f(x, w):
        total = 0.0
        for _ in range(3):
            total = total + np.sum(x * w) + np.sum(np.sin(x * w))
            change(w)
        return total

    return f


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_a_work_buffer_changed_in_a_loop(n, change):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=n), rng.normal(size=n)
    expected = np.zeros(n)
    v = w.copy()
    for _ in range(3):
        expected += v + v * np.cos(x * v)
        change(v)
    if n == LARGE:
        with pytest.raises(MutationError, match=r"Write w = w \* 0.5 instead of w \*= 0.5") as info:
            wg.grad(loop(change))(x, w.copy())
        assert f"shape ({n},)" in str(info.value)
    else:
        g = wg.grad(loop(change))(x, w.copy())
        np.testing.assert_allclose(g, expected, rtol=1e-12, atol=1e-12)
    _, t = wg.jvp(lambda x: loop(change)(x, w.copy()), (x,), (np.ones(n),))
    np.testing.assert_allclose(t, expected.sum(), rtol=1e-9)


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_a_buffer_restored_before_the_end(n):
    """The content matters at each use, not only at the end."""
    x, w = np.linspace(1, 2, n), np.ones(n)

    def f(x):
        y = x * w
        w[:] = 3.0
        y = y * np.sum(x * w)
        w[:] = 1.0
        return np.sum(y)

    try:
        g = wg.grad(f)(x)
    except MutationError:
        assert n == LARGE
    else:
        np.testing.assert_allclose(g, np.full(n, 2 * 3 * x.sum()))


def test_a_view_of_a_changed_buffer():
    w = np.arange(1.0, 5.0)

    def f(x):
        y = np.sum(x[:2] * w[:2])
        w[:] = 0.0
        return y

    np.testing.assert_array_equal(wg.grad(f)(np.ones(4)), [1, 2, 0, 0])


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_an_index_array_changed_after_its_use(n):
    index = np.arange(n)

    def f(x):
        y = x[index] * np.arange(n)
        index[:] = 0
        z = np.zeros_like(x)
        z[index[:2]] = y[:2]
        return np.sum(y) + 0 * np.sum(z)

    try:
        g = wg.grad(f)(np.ones(n))
    except MutationError:
        assert n == LARGE
    else:
        np.testing.assert_array_equal(g, np.arange(n))


def test_a_mask_changed_after_its_use():
    mask = np.array([True, False, True])

    def f(x):
        y = np.where(mask, x, 2 * x)
        mask[:] = False
        return np.sum(y)

    np.testing.assert_array_equal(wg.grad(f)(np.ones(3)), [1, 2, 1])


def test_a_subclass_is_watched(tmp_path):
    """Arrays mapped from a file are a subclass of ndarray."""
    w = np.memmap(tmp_path / "w", dtype=float, mode="w+", shape=(3,))
    w[:] = [1, 2, 3]

    def f(x):
        y = np.sum(x * w)
        w[:] = 0
        return y

    np.testing.assert_array_equal(wg.grad(f)(np.ones(3)), [1, 2, 3])


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_the_point_changes_between_vjp_and_its_pullback(n):
    """As in an optimiser that updates its parameters in place."""
    x = np.linspace(0.0, 1.0, n)
    y, pullback = wg.vjp(np.exp, x)
    _, push = wg.linearize(lambda x: x**3, x)
    expected = np.exp(x)
    slope = 3 * x**2
    y *= 7.0
    np.testing.assert_allclose(pullback(np.ones(n))[0], expected)
    x += 1.0
    for apply, want in [(lambda v: pullback(v)[0], expected), (push, slope)]:
        try:
            got = apply(np.ones(n))
        except MutationError:
            assert n == LARGE
        else:
            np.testing.assert_allclose(got, want)


def test_the_point_changes_between_vjp_and_its_pullback_nested():
    def f(x):
        z = x * 1.0
        y, pullback = wg.vjp(np.exp, z)
        z *= 0.0
        y *= 5.0
        return np.sum(pullback(x)[0]) + 0 * np.sum(y)  # sum of x exp(x)

    x = np.linspace(0.0, 1.0, 4)
    np.testing.assert_allclose(wg.grad(f)(x), (1 + x) * np.exp(x))


def test_a_cotangent_or_result_is_the_callers_own():
    ct = np.ones(3)
    _, pullback = wg.vjp(lambda x: x, np.zeros(3))
    (g,) = pullback(ct)
    g += 5
    np.testing.assert_array_equal(ct, 1)
    np.testing.assert_array_equal(pullback(ct)[0], 1)
    x = np.ones(3)
    stopped = []

    def f(x):
        c = wg.stop_gradient(x)
        c += 1  # a plain array of ours
        stopped.append(c)
        return np.sum(x * x + c)

    np.testing.assert_array_equal(wg.grad(f)(x), [2, 2, 2])
    np.testing.assert_array_equal(x, 1)
    np.testing.assert_array_equal(stopped[0], 2)


def test_a_plain_array_copied_into_a_traced_one_is_not_shared():
    def f(x):
        w = np.array([1.0, 2.0, 3.0])
        y = np.zeros_like(x)
        np.copyto(y, w)
        z = np.zeros_like(x)
        z[:] = w
        w[:] = 0.0
        return np.sum(x * y * z)

    x = np.ones(3)
    expected = [1, 4, 9]
    np.testing.assert_array_equal(wg.grad(f)(x), expected)
    np.testing.assert_array_equal(wg.jvp(f, (x,), (x,))[1], sum(expected))
    np.testing.assert_array_equal(wg.vmap(f)(x[None]), [14])


def test_an_input_updated_in_place_keeps_its_derivative():
    """The function may use its argument as work space; the caller's array stays as it was."""

    def f(x):
        x *= x
        x[0] = x[1] * 3
        return x

    x = np.array([2.0, 3.0, 4.0])
    jacobian = [[0, 18, 0], [0, 6, 0], [0, 0, 8]]
    for transform in (wg.jacfwd, wg.jacrev):
        np.testing.assert_array_equal(transform(f)(x), jacobian)
    np.testing.assert_array_equal(wg.grad(lambda x: np.sum(f(x)))(x), np.sum(jacobian, axis=0))
    np.testing.assert_array_equal(wg.vjp(f, x)[1](np.ones(3))[0], np.sum(jacobian, axis=0))
    np.testing.assert_array_equal(wg.linearize(f, x)[1](np.ones(3)), np.sum(jacobian, axis=1))
    np.testing.assert_array_equal(x, [2, 3, 4])


def test_an_outer_traced_array_updated_while_an_inner_derivative_uses_it():
    def f(x):
        w = x * 1.0

        def g(y):
            z = np.sum(y * w)
            w[0] = 0.0  # after its use: z keeps the old value
            return z * y[1]

        return np.sum(wg.grad(g)(np.array([1.0, 2.0])) * w)

    # grad g = w y1 + (w . y) e1 at w = x; times w = (0, x1)
    x = np.array([3.0, 5.0])
    h = lambda x: (2 * x[1] + x[0] + 2 * x[1]) * x[1]  # noqa: E731
    step = 1e-6 * np.eye(2)
    expected = [(h(x + s) - h(x - s)) / 2e-6 for s in step]
    np.testing.assert_allclose(wg.grad(f)(x), expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.complex128, np.int8, bool])
@pytest.mark.parametrize("shape", [(100_003,), (50_000, 3), (315_392,), (4096, 77)])
def test_checksum_tells_changes(shape, dtype):
    rng = np.random.default_rng(1)

    def fresh():
        y = rng.normal(size=shape) * 50
        return y > 0 if dtype is bool else y.astype(dtype)

    x = fresh()
    before = checksum(x)
    assert checksum(x.copy()) == before
    flat = x.reshape(-1)
    for i in (0, 1, flat.size // 2, flat.size - 1):
        old = flat[i]
        flat[i] = not old if dtype is bool else old + 1
        assert checksum(x) != before
        flat[i] = old
    assert checksum(x) == before
    if dtype is not bool:
        x *= 2
        assert checksum(x) != before
        x[:] = fresh()
    for order in (np.roll(np.arange(shape[0]), 7), rng.permutation(shape[0])):
        before = checksum(x)
        x[:] = x[order]
        assert checksum(x) != before
    assert checksum(x[::2]) != checksum(x[1::2])
    assert checksum(x.T) == checksum(x)


def test_a_plain_array_that_discards_imaginary_parts_says_so_as_numpy_does():
    def f(y):
        b = np.zeros(3)
        b[1] = np.exp(0.3j)
        return b * y

    for function in (f, lambda y: wg.vjp(f, y)[0], wg.jit(f)):
        with pytest.warns(np.exceptions.ComplexWarning):
            np.testing.assert_allclose(function(2.0), [0, 2 * np.cos(0.3), 0])
