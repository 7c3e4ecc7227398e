"""Tapes of loops are rolled before they are walked backwards, and derivatives stay the same."""

from __future__ import annotations

import os

import numpy as np
import pytest
from tests.rolling.programs import modes, program
from tests.rolling.test_roll import LOOPS, D, X, scans, size

import wengert as wg
from wengert.rolling.limits import ALL, rolling

BLOCKS = 20 if os.environ.get("WENGERT_TABLE_SHARE") == "1" else 3
"""Blocks of random programs; WENGERT_TABLE_SHARE=1 takes all, which is half an hour of work."""

N = 12


def compiled(f, backend="numpy"):
    """A compiled function all of whose loops are rolled at the first call."""
    jitted = wg.jit(f, backend=backend)

    def call(*args):
        with rolling(ALL):
            return jitted(*args)

    call.jitted = jitted
    return call


def graph_of(f, *args):
    with rolling(ALL):
        return wg.jit(f, backend="numpy").plan(*args).graph


def agree(f, *points, argnums=0, backend="numpy"):
    gradient = compiled(wg.grad(f, argnums), backend)
    for args in points:
        found, wanted = gradient(*args), wg.grad(f, argnums)(*args)
        for a, b in zip(wg.trees.flatten(found)[0], wg.trees.flatten(wanted)[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-11)
            assert np.asarray(a).dtype == np.asarray(b).dtype


@pytest.mark.parametrize("make", LOOPS, ids=lambda f: f.__name__)
def test_a_gradient_is_two_loops(make):
    f = make(N)
    agree(f, (X,), (X * 0.8,))
    graph = graph_of(wg.grad(f), X)
    assert {n.attrs["reverse"] for n in scans(graph)} == {False, True}


@pytest.mark.parametrize("make", LOOPS, ids=lambda f: f.__name__)
def test_the_size_of_a_gradient_does_not_depend_on_the_trips(make):
    sizes = [size(graph_of(wg.grad(make(n)), X)) for n in (12, 24)]
    assert sizes[1] <= sizes[0] + 4


@pytest.mark.parametrize("seed", range(200, 212))
def test_random_programs(seed):
    f, x = program(seed)
    agree(f, (x,), (x * 0.9,))


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_many_random_programs(block):
    for seed in range(20_000 + 50 * block, 20_050 + 50 * block):
        f, x = program(seed)
        agree(f, (x,), (x * 0.9,))


@pytest.mark.parametrize("make", LOOPS[:6], ids=lambda f: f.__name__)
def test_second_derivatives(make):
    f = make(N)
    agree(lambda x: np.sum(wg.grad(f)(x) ** 2), (X,))


@pytest.mark.parametrize("mode", ["second", "vmap of grad"])
@pytest.mark.parametrize("make", LOOPS[:7], ids=lambda f: f.__name__)
def test_tapes_over_other_transformations(make, mode):
    sizes = []
    for n in (12, 24):
        f = modes(make(n))[mode]
        found, wanted = compiled(f)(X, D), f(X, D)
        for a, b in zip(wg.trees.flatten(found)[0], wg.trees.flatten(wanted)[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
        sizes.append(size(graph_of(f, X, D)))
    assert sizes[1] <= sizes[0] + 4


@pytest.mark.parametrize("make", LOOPS[:7], ids=lambda f: f.__name__)
def test_vjp_and_linearize(make):
    def both(n):
        f = make(n)

        def g(x, d):
            y, pull = wg.vjp(lambda x: (f(x), f(x) * x[0]), x)
            z, push = wg.linearize(f, x)
            return y, pull((d[0], d[1])), z, push(d)

        return g

    found, wanted = compiled(both(12))(X, D), both(12)(X, D)
    for a, b in zip(wg.trees.flatten(found)[0], wg.trees.flatten(wanted)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    sizes = [size(graph_of(both(n), X, D)) for n in (12, 24)]
    assert sizes[1] <= sizes[0] + 8


def test_python_numbers_come_back_as_such():
    def f(r):
        y = 0.3
        for _ in range(N):
            y = r * y * (1 - y)
        return y

    for g in (f, wg.grad(f), wg.value_and_grad(f), wg.grad(wg.grad(f))):
        found, wanted = compiled(g)(3.2), g(3.2)
        for a, b in zip(wg.trees.flatten(found)[0], wg.trees.flatten(wanted)[0], strict=True):
            assert type(a) is type(b)
            np.testing.assert_allclose(a, b, rtol=1e-11)


def test_value_and_aux_come_with_it():
    def f(x):
        y, kept = x[0], []
        for _ in range(N):
            y = np.sin(y) * x[1]
            kept.append(y)
        return y, (kept[3], "text", len(kept))

    call = compiled(wg.value_and_grad(f, has_aux=True))
    (y, aux), g = call(X)
    (z, other), h = wg.value_and_grad(f, has_aux=True)(X)
    np.testing.assert_allclose([y, aux[0], *g], [z, other[0], *h], rtol=1e-13)
    assert aux[1:] == other[1:]


def test_several_arguments_in_a_tree():
    def f(p, x):
        h = p["h"]
        for t in range(N):
            h = np.tanh(p["w"] @ h + x[t])
        return np.sum(h * h)

    rng = np.random.default_rng(1)
    p = {"h": rng.random(3), "w": rng.random((3, 3)) * 0.5}
    agree(f, (p, rng.random((N, 3))), argnums=(0, 1))


def test_an_array_that_is_filled_anew_each_trip_is_read_as_it_was():
    """Nothing linear keeps such an array, so only the recording knows what it held."""

    def f(x):
        buffer, y = np.zeros(5), x
        for t in range(N):
            buffer[:] = t * 0.1
            y = np.sin(y + buffer)
        return np.sum(y)

    agree(f, (X,))


def test_arrays_from_outside_are_read_at_each_call():
    data = np.random.default_rng(2).random((N, 5))

    def f(x):
        y = x
        for row in data:
            y = np.tanh(y * row + row)
        return np.sum(y)

    call = compiled(wg.grad(f))
    np.testing.assert_allclose(call(X), wg.grad(f)(X), rtol=1e-12)
    data *= 0.5
    np.testing.assert_allclose(call(X), wg.grad(f)(X), rtol=1e-12)


def test_what_is_not_differentiated_stays_so():
    def f(x):
        y = x[0]
        for t in range(N):
            y = np.sin(y) * x[1] + wg.stop_gradient(y * x[2]) + t * np.floor(x[3] * 5)
        return y

    agree(f, (X,))


def test_a_derivative_of_its_own_is_kept():
    @wg.custom_vjp
    def twice(x):
        return 2 * x

    twice.defvjp(lambda x: (2 * x, None), lambda _, ct: (7.0 * ct,))

    def f(x):
        y = x[0]
        for _ in range(6):
            y = np.sin(twice(y)) + x[1]
        return y

    agree(f, (X,))


def test_checkpoints_are_kept():
    @wg.checkpoint
    def step(y, x):
        return np.sin(y) * x[1]

    def f(x):
        y = x[0]
        for _ in range(N):
            y = step(y, x)
        return y

    agree(f, (X,))


def test_decisions_choose_among_programs():
    def f(x):
        y, n = x[0], 0
        while y < 3.0:
            y, n = y * (1 + x[1]), n + 1
        for _ in range(N):
            y = np.sin(y) + x[2] if y > 0.5 else np.cos(y)
        return y * n

    agree(f, (X,), (X * 0.5,), (X,), (X * 2,))


def test_masks_and_choices_by_trip():
    def f(x):
        y = x
        for t in range(N):
            y = np.where(y > 0.1 * t, np.sin(y), y * x[0])
            y = np.maximum(y, 0.05 * t) + np.sort(y)[0]
        return np.sum(y)

    agree(f, (X,))


def test_products_and_factorisations():
    rng = np.random.default_rng(3)
    a = rng.random((4, 4)) * 0.2

    def f(s):
        m = a @ a.T + s * np.eye(4)
        y = np.ones(4) * s
        for _ in range(N):
            y = np.linalg.solve(m, y) + s
            m = m + 0.1 * np.outer(y, y)
        return np.sum(y) + np.sum(np.linalg.cholesky(m))

    agree(f, (1.3,), (2.0,))


def test_what_may_raise_is_computed_once():
    a = np.random.default_rng(4).random((3, 3)) * 0.2

    def f(s):
        y = np.ones(3)
        for _ in range(N):
            y = np.linalg.solve(a + s * np.eye(3), y) + s
        return np.sum(y)

    graph = graph_of(wg.grad(f), 1.5)
    assert not graph.guards
    assert len(graph.nodes) < 20


def test_complex_numbers():
    def f(x):
        z = x[0] + 1j * x[1]
        for _ in range(N):
            z = z * z * 0.3 + (x[2] + 0.1j)
        return np.real(z) + np.abs(z)

    agree(f, (X,))


def test_both_backends():
    for make in LOOPS[:5]:
        agree(make(N), (X,), (X * 0.7,), backend="native")


def test_without_a_recording_nothing_is_rolled():
    f = LOOPS[0](N)
    with rolling(ALL):
        np.testing.assert_array_equal(wg.grad(f)(X), wg.grad(f)(X))
