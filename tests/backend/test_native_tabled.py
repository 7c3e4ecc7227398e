"""Long programs run from a table of calls, whose machine code does not grow with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import wengert as wg
from wengert.backend.native.emit import parallel
from wengert.backend.native.run import footprint

X = np.linspace(-1.0, 1.0, 6).reshape(2, 3)


def recurrent(n: int) -> Any:
    """Return a loop over vectors, products, and numbers that differ by trip."""

    def f(w: Any) -> Any:
        h = np.zeros(3)
        total = 0.0
        for t in range(n):
            h = np.tanh(h @ w + np.cos(t)) * np.exp(-t / 7)
            total = total + np.sum(h * h) / (t + 3)
        return total

    return f


def branching(x: Any) -> Any:
    for t in range(20):
        x = x * 1.1 if x[0, 0] > t / 20 - 1 else x - 0.3
    return np.sum(x, axis=0), int(x[0, 1]), float(x[1, 1]) * x


def indexed(x: Any, i: Any) -> Any:
    y = x[:, i] + x[i, 0]
    x = x.copy()
    x[i] = np.sum(y)
    x[0, i] += 2.5
    return x, y


def hosts(x: Any) -> Any:
    y = x @ x.T + 3 * np.eye(2)
    for t in range(3):
        y = np.linalg.inv(y) * (t + 1.7) + np.sin(y)
    return y


FUNCTIONS = {
    "branches": (branching, (X,)),
    "branches the other way": (branching, (-X,)),
    "numbers": (lambda x: np.sum(x) * 3.7 + x[0, 1] ** 3 / 0.3, (X,)),
    "single precision": (lambda x: x * np.float32(0.3) + 7, (X.astype(np.float32),)),
    "whole numbers": (lambda x: (x * 7 + 3, x > 2), (np.arange(6),)),
    "indices": (indexed, (X, 1)),
    "calls of NumPy": (hosts, (X,)),
    "a captured array": (lambda x: x @ np.arange(12.0).reshape(3, 4) + np.ones(4), (X,)),
    "nothing": (lambda x: x, (X,)),
    "no elements": (lambda x: (np.sum(x[:0]), x[:, :0] * 2), (X,)),
    "not contiguous": (lambda x: x * 2 + x[0], (X.T,)),
    "a scalar": (lambda x: np.sin(x) * 0.7, (0.4,)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_values(name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(footprint, "LONG", 0)
    f, args = FUNCTIONS[name]
    jitted = wg.jit(f, backend="native")
    for _ in range(2):
        got, want = jitted(*args), f(*args)
        if not isinstance(want, tuple):
            got, want = (got,), (want,)
        for a, b in zip(got, want, strict=True):
            assert type(a) is type(b)
            np.testing.assert_allclose(
                a, b, rtol=1e-6 if np.size(b) and np.asarray(b).dtype == np.float32 else 1e-12
            )


def test_an_index_out_of_range(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(footprint, "LONG", 0)
    jitted = wg.jit(lambda x, i: x[:, i] * 2.0, backend="native")
    jitted(X, 1)
    with pytest.raises(IndexError):
        jitted(X, 3)


def test_threads_share_steps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(footprint, "LONG", 0)
    assert parallel.SHARED_FROM < 10 * 300_000
    x = np.linspace(0.1, 3.0, 300_000).reshape(3, -1)

    def f(x: Any, i: Any) -> Any:
        y = np.log(x) * 1.3
        return np.sum(y, axis=0)[::1000], np.max(y), np.exp(y[:, i]), y @ y.T

    for got, want in zip(wg.jit(f, backend="native")(x, i := np.arange(50)), f(x, i), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11)


def test_gradients():
    w = np.random.default_rng(3).standard_normal((3, 3)) / 2
    f = recurrent(30)
    got = wg.jit(wg.value_and_grad(f), backend="native")(w)
    want = wg.value_and_grad(f)(w)
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13)


def test_machine_code_does_not_grow_with_the_trips():
    w = np.eye(3) / 2
    few, many = (wg.jit(wg.grad(recurrent(n)), backend="native").plan(w).llvm() for n in (25, 75))
    assert len(many) < 1.1 * len(few)


def test_numbers_by_trip_are_no_part_of_the_code():
    def f(x: Any, scale: float) -> Any:
        for t in range(100):
            x = np.sin(x[::-1]) * (scale + t)
        return x

    codes = {
        wg.jit(f, static_argnames="scale", backend="native").plan(np.ones(5), scale=s).llvm()
        for s in (1.5, 2.5)
    }
    assert len(codes) == 1
