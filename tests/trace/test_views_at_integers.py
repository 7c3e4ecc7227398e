"""Reads at traced integers are views, as in NumPy: writes through them are seen by their base."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

X = np.array([[0.25, 0.5, 1.0], [2.0, -1.0, 3.0]])
W = np.arange(6.0).reshape(2, 3)


def row_times(t, i):
    u = t[i]
    u *= 3


def base_afterwards(t, i):
    u = t[i]
    t[...] = t * 2
    u += 1


def part_of_a_column(t, i):
    t[:, i][1:] = t[0, 0]


def row_of_the_transpose(t, i):
    t.T[i][0] = 7.0


def after_an_ellipsis(t, i):
    u = t[..., i]
    u[::-1][0] *= 2


def with_an_axis_more(t, i):
    t[None, i][0, 1] = 5.0


def copy_of_rows(t, i):
    t[[0, 1]][i][:] = 0.0


def reshaped(t, i):
    t[i].reshape(3, 1)[1] = 9.0


def mask_without_axes(t, i):
    t[i][np.array(True)] = 0.0


def at(t, i):
    np.add.at(t[i], (0,), 0.5)


def index_that_changes(t, i):
    k = i + 0
    u = t[k]
    k *= 0
    u[:] = 1.0


UPDATES = [
    row_times, base_afterwards, part_of_a_column, row_of_the_transpose, after_an_ellipsis,
    with_an_axis_more, copy_of_rows, reshaped, mask_without_axes, at, index_that_changes,
]  # fmt: skip


def function(update):
    def f(x):
        t = x + 1.0
        update(t, np.argmax(x[:, 0]))
        return np.sum(np.sin(t) * W)

    return f


@pytest.mark.parametrize("update", UPDATES)
def test_updates_are_seen(update):
    f = function(update)
    for x in (X, X[::-1].copy(), np.asfortranarray(X)):
        want = f(x)
        g = wg.grad(f)(x)
        np.testing.assert_allclose(
            np.sum(g * W), np.imag(f(x + 1e-30j * W)) / 1e-30, rtol=1e-10
        )  # complex step
        for backend in ("native", "numpy"):
            j = wg.jit(wg.value_and_grad(f), backend=backend)
            for _ in range(2):
                value, gradient = j(x)
                np.testing.assert_allclose(value, want, rtol=1e-12)
                np.testing.assert_allclose(gradient, g, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("update", UPDATES)
def test_updates_are_seen_in_a_batch(update):
    f = function(update)
    batch = np.stack([X, X[::-1], 2 * X])
    np.testing.assert_allclose(wg.vmap(f)(batch), [f(x) for x in batch], rtol=1e-12)
