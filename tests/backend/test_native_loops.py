"""Loops and branches in native code against the NumPy backend: bodies x trips x dtypes x modes.

Bodies of `+ - * /`, comparisons and choices give the same bits; others are close. Each body runs
once as numbers in registers and once as loops over arrays, and everything under the verifier.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

import wengert as wg
from wengert.backend.native.run.program import NativeProgram
from wengert.backend.native.scalar import registers
from wengert.backend.numpy import NumpyBackend
from wengert.ir.build import Builder
from wengert.ops.base import TABLE
from wengert.ops.control import as_number


class Body(NamedTuple):
    """A function of an array `x` and a number of trips."""

    name: str
    f: Callable[[Any, int], Any]
    shape: tuple[int, ...] = (3,)
    exact: bool = True
    floats: bool = False  # not of integers

    def __str__(self) -> str:
        return self.name


def like(x: Any, rows: Any) -> Any:
    """Return rows of the dtype of `x`."""
    return rows.astype(x.dtype)


def logistic(x, n):
    return wg.fori_loop(0, n, lambda i, c: c * (1 - c) * x, x * 0)


def euler(x, n):
    def step(c, _):
        u, v = c
        return (u + v / 8, v - u / 8), u * v

    (u, v), rows = wg.scan(step, (x[0] / 1, x[1] / 1), None, length=n)
    return u, v, rows


def rows_and_lags(x, n):
    rows = like(x, np.outer(np.arange(n), np.ones(3, int)) - 2)
    (a, b), ys = wg.scan(lambda c, r: ((c[1], c[0] - r * c[1]), c[0][::-1]), (x, x[::-1]), rows)
    return a, b, ys


def backwards(x, n):
    rows = like(x, np.arange(3 * n).reshape(n, 3))
    return wg.scan(lambda c, r: (c + r[1] * x, c - r), x, rows, reverse=True)


def strided_rows(x, n):
    rows = like(x, np.arange(12 * n)).reshape(3, 2 * n, 2).T[1, ::-2]
    return wg.scan(lambda c, r: (c * r - x, r * x[0]), x, rows)


def constants_only(x, n):
    return wg.scan(lambda c, r: (c, x[1:] * 2), x, None, length=n)


def swapped(x, n):
    return wg.fori_loop(0, n, lambda i, c: (c[1], c[0]), (x, x * 2))


def same_twice(x, n):
    return wg.fori_loop(0, n, lambda i, c: (c[1] + x, c[1]), (x, x * 2))


def reversed_in_place(x, n):
    return wg.fori_loop(0, n, lambda i, c: c[::-1], x * 2)


def transposed(x, n):
    m = x[:, None] * (x + 1)
    return wg.fori_loop(0, n, lambda i, c: c.T - m, m)


def stored(x, n):
    def step(i, y):
        y = y.copy()
        y[i % 3] = y[i % 3 - 1] + x[0]
        return y

    return wg.fori_loop(0, n, step, x * 1)


def stored_far(x, n):
    def step(i, y):
        y = y.copy()
        y[i] = y[i - 1] - x[1]
        y[-1] += y[i]
        return y

    return wg.fori_loop(1, n + 1, step, np.zeros(40, x.dtype) + x[0])


def stored_and_kept(x, n):
    def step(c, i):
        y = c.copy()
        y[i] = c[i - 1] - x[1]
        return y, (c[:2], c)

    return wg.scan(step, np.zeros(9, x.dtype) + x[0], np.arange(n) % 9)


def looked_up(x, n):
    table = np.concatenate([x, np.arange(40, dtype=x.dtype)])
    return wg.fori_loop(0, n, lambda i, c: c - table[i - 3], x * 0)


def nested(x, n):
    def inner(c, r):
        return c + r * x, c[0] - r

    def step(c, r):
        c, ys = wg.scan(inner, c, r)
        return c, (ys, c)

    return wg.scan(step, x, like(x, np.arange(4 * n).reshape(n, 4) % 5))


def nested_counters(x, n):
    return wg.fori_loop(
        0, n, lambda i, c: wg.fori_loop(0, 3, lambda j, d: d - x + like(x, j), c), x * 2
    )


def halved(x, n):
    return wg.while_loop(
        lambda c: (c[0] > 1) & (c[1] < n), lambda c: (c[0] // 2, c[1] + 1), (np.sum(x) + 40, 0)
    )


def while_of_arrays(x, n):
    return wg.while_loop(lambda c: np.sum(c[1]) < 3 * n, lambda c: (c[0] + x, c[1] + 1), (x, x * 0))


def branches(x, n):
    def step(c, i):
        c = wg.cond(c[0] > 4, lambda c: c - 9, lambda c: c * 2 + 1, c)
        return wg.switch(i, [lambda c: c, lambda c: c[::-1], lambda c: c + x], c), c > 2

    return wg.scan(step, x, np.arange(n) % 4 - 1)


def chosen_once(x, n):
    return wg.cond(n > 2, lambda x: (x * n, x[0]), lambda x: (x[::-1], x[1] * 2), x)


def products(x, n):
    m = x[:, None] * x[::-1] - 2
    return wg.fori_loop(0, n, lambda i, c: m @ c - c, x[:, None] * x)


def folded(x, n):
    def step(c, i):
        return c + np.max(c) - i, (np.sum(c > 2), np.min(c), np.any(c > 3), np.argmax(c))

    return wg.scan(step, x, like(x, np.arange(n)))


def wide(x, n):
    return wg.scan(
        lambda c, i: (c - c[::-1] * 2 + i, c[:7]), np.resize(x, 90) * 1, like(x, np.arange(n))
    )


def bigger_products(x, n):
    m = np.resize(np.sin(np.arange(400.0)), (20, 20)).astype(x.dtype)
    return wg.fori_loop(0, n, lambda i, c: (m @ c) / (1 + np.sum(c * c)), m * x[0])


def waves(x, n):
    return wg.scan(lambda c, i: (np.sin(c) * x, np.exp(-c * c)), x, None, length=n)


def wide_waves(x, n):
    return wg.scan(
        lambda c, r: (np.tanh(c) + x[0], np.sum(np.log1p(r * r))), np.resize(x, 50) * 1,
        np.resize(np.arange(31.0), (n, 50)).astype(x.dtype),
    )  # fmt: skip


def nothing_left(x, n):
    return wg.scan(lambda c, r: (c + 1, r), x, np.zeros((n, 0), x.dtype))


BODIES = [
    Body("logistic", logistic, ()),
    Body("euler", euler, floats=True),
    *(
        Body(f.__name__, f)
        for f in (
            rows_and_lags, backwards, strided_rows, constants_only, swapped, same_twice,
            reversed_in_place, transposed, stored, stored_far, stored_and_kept, looked_up, nested,
            nested_counters, halved, while_of_arrays, branches, chosen_once, folded, wide,
            nothing_left,
        )
    ),
    Body("products", products, exact=False, floats=True),
    Body("bigger_products", bigger_products, exact=False, floats=True),
    Body("waves", waves, exact=False, floats=True),
    Body("wide_waves", wide_waves, exact=False, floats=True),
]  # fmt: skip
DTYPES = [np.float64, np.float32, np.int64, np.int32]
every = pytest.mark.parametrize("body", BODIES, ids=str)


@pytest.fixture(params=["registers", "arrays"], autouse=True)
def how(request, monkeypatch) -> Iterator[str]:
    """Write bodies as numbers in registers where they fit, or all as loops over arrays."""
    if request.param == "arrays":
        monkeypatch.setattr(registers, "INSTRUCTIONS", 0)
    return request.param


def point(body: Body, dtype: Any) -> Any:
    found = np.array([1.25, -0.5, 2.0]) if np.dtype(dtype).kind == "f" else np.array([1, -2, 3])
    return found.astype(dtype)[0 if body.shape == () else slice(None)]


def compare(body: Body, found: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            compare(body, a, b)
        return
    assert np.asarray(found).dtype == np.asarray(expected).dtype
    assert np.shape(found) == np.shape(expected)
    if body.exact:
        np.testing.assert_array_equal(found, expected)
    else:
        tolerance = 1e-10 if np.asarray(expected).dtype.itemsize == 8 else 1e-4
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@every
@pytest.mark.parametrize("dtype", DTYPES)
def test_values(body, dtype):
    if body.floats and np.dtype(dtype).kind != "f":
        pytest.skip("of floats")
    for n in (0, 1, 6) if dtype in (np.float64, np.int64) else (6,):
        x = point(body, dtype)
        native, plain = (wg.jit(lambda x, n=n: body.f(x, n), backend=b) for b in (None, "numpy"))
        assert not native.plan(x).host_calls
        for y in (x, x * 2, x):
            compare(body, native(y), plain(y))


def total(y: Any) -> Any:
    if isinstance(y, tuple):
        return sum(total(part) for part in y)
    return np.sum(y * np.float64(0.5)) if y.dtype.kind == "f" else 0.0


DERIVATIVES: dict[str, Callable[..., Any]] = {
    "grad": lambda f: wg.grad(f),
    "jvp": lambda f: lambda x: wg.jvp(f, (x,), (x * 0 + 1,)),
    "second": lambda f: wg.grad(lambda x: np.sum(wg.grad(f)(x) ** 2)),
    "vmap": lambda f: lambda x: wg.vmap(wg.grad(f))(np.stack([x, x - 1, x * 2])),
}


@every
@pytest.mark.parametrize("mode", DERIVATIVES)
def test_derivatives(body, mode):
    """Sums of cotangents may be added up in another order than NumPy's."""
    if body.f in (halved, while_of_arrays) and mode == "vmap":
        pytest.skip("the trips differ")
    loose = body._replace(exact=False)
    for n in (0, 4):
        x = point(body, np.float64)
        native, plain = (
            wg.jit(DERIVATIVES[mode](lambda x, n=n: total(body.f(x, n))), backend=b)
            for b in (None, "numpy")
        )
        for y in (x, x * 2):
            compare(loose, native(y), plain(y))


# --- what can go wrong in a trip ------------------------------------------------------------------
@pytest.mark.parametrize("width", [(), (100,)])
def test_an_index_out_of_range_is_an_error_in_any_trip(width):
    f = wg.jit(lambda x, i: wg.fori_loop(0, 5, lambda k, c: c + x[i + k], np.zeros(width)))
    x = np.ones((9, *width))
    for i in (2, -9, 4):
        np.testing.assert_array_equal(f(x, i), np.full(width, 5.0))
    for i in (5, 8, -10):
        with pytest.raises(IndexError):
            f(x, i)


@pytest.mark.parametrize("start", [1.0, np.ones(200)], ids=["number", "array"])
def test_signals_end_loops_that_would_not_end(start):
    f = wg.jit(lambda x: wg.while_loop(lambda y: np.sum(y) > 0, lambda y: y * 1.0, x))
    f.plan(start * 0)  # which runs it
    seen = []

    def handler(*_: Any) -> None:
        seen.append(1)
        if len(seen) == 2:
            raise ZeroDivisionError("from the handler")
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    before = signal.signal(signal.SIGINT, handler)
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        with pytest.raises(ZeroDivisionError, match="from the handler"):
            f(start)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(seen) == 2
    np.testing.assert_array_equal(f(start * 0), start * 0)


# --- memory and size ------------------------------------------------------------------------------
def chained(n: int) -> Any:
    return lambda x: np.sum(
        wg.scan(lambda c, _: (np.tanh(c) * x[::-1], None), x, None, length=n)[0]
    )


@pytest.mark.parametrize("transform", [lambda f: f, wg.grad])
def test_memory_is_known_and_code_does_not_grow_with_trips(transform):
    x = np.linspace(0, 1, 80)
    few, many = (wg.jit(transform(chained(n))).plan(x) for n in (4, 400))
    loops = [n for n in many.graph.nodes if n.op.name == "scan"]
    stacks = sum(v.aval.nbytes for n in loops for v in n.outputs)
    assert few.llvm().count("\n") == many.llvm().count("\n")
    assert 0 <= many.memory.peak - max(many.memory.timeline) < 64  # rounded up to a cache line
    assert many.memory.peak <= stacks + 4 * few.memory.peak


def test_an_array_that_is_stored_into_stays_where_it_is(how):
    def f(x):
        def step(i, y):
            y = y.copy()
            y[i] = y[i - 1] * x
            return y

        return wg.fori_loop(1, 5000, step, np.ones(5000))

    plan = wg.jit(f).plan(0.9)
    assert plan.memory.peak < 1000  # the result is in the output, and there is no second one
    np.testing.assert_array_equal(plan(0.9), np.multiply.accumulate(np.r_[1.0, np.full(4999, 0.9)]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_of_python_in_bodies_cost_no_call(dtype):
    """They have 64 bits, and leave the dtypes of others as they are."""
    inner = Builder()
    c, x = inner.input(np.zeros((), dtype)), inner.input(np.zeros((), dtype))
    number = inner.add(as_number, x)
    half = inner.add(TABLE["multiply"], c, number)
    wide = inner.add(TABLE["convert"], number, dtype=np.dtype(np.float64))
    body = inner.finish([inner.add(TABLE["convert"], half, dtype=np.dtype(dtype)), wide])
    outer = Builder()
    start, rows = outer.input(np.zeros((), dtype)), outer.input(np.zeros(3, dtype))
    graph = outer.finish(
        outer.add(
            TABLE["scan"], start, rows, body=body, length=3, consts=0, carries=1, reverse=False
        )
    )
    xs = [np.asarray(3, dtype), np.array([1, 2, 3], dtype)]
    program = NativeProgram(graph)
    assert not program.host_calls
    for a, b in zip(program.run(xs), NumpyBackend().compile(graph).run(xs), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_array_equal(a, b)


def test_a_trip_that_needs_numpy_runs_in_python():
    def step(i, y):
        return np.linalg.solve(np.outer(y, y) + np.eye(9), y)

    plan = wg.jit(lambda x: wg.fori_loop(0, 3, step, x)).plan(np.ones(9))
    assert plan.host_calls == {"scan": 1}


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_small_systems_in_registers(n, how):
    """Also those that need swaps; a singular one is an error, or a determinant of 0."""

    def f(x):
        def step(c, r):
            m = x * r[:, None] + np.eye(n)[::-1] * r[0]
            y = np.linalg.solve(m, c) + np.linalg.inv(m) @ c
            return y, (np.linalg.det(m), y)

        return wg.scan(step, x[0], rows)

    rows = np.random.default_rng(n).standard_normal((5, n))
    xs = [np.random.default_rng(k).standard_normal((n, n)) for k in range(3)]
    for transform in (lambda f: f, lambda f: wg.grad(lambda z: total(f(z)))):
        native, plain = (wg.jit(transform(f), backend=b) for b in (None, "numpy"))
        for x in xs:
            compare(BODIES[-1], native(x), plain(x))
        if how == "registers":
            assert not native.plan(xs[0]).host_calls
    # both rows, or all numbers, are the same
    singular = wg.jit(lambda x: wg.fori_loop(0, 2, lambda i, c: np.linalg.solve(x, c), x[0]))
    determinant = wg.jit(
        wg.grad(lambda x: wg.fori_loop(0, 2, lambda i, c: c * np.linalg.det(x), 1.0))
    )
    ones = np.ones((n, n)) if n > 1 else np.zeros((1, 1))
    singular(np.eye(n))
    determinant(np.eye(n))
    with pytest.raises(np.linalg.LinAlgError):
        singular(ones)
    np.testing.assert_allclose(determinant(ones), np.zeros((n, n)), atol=1e-12)
    assert np.isnan(singular(np.full((n, n), np.nan))).all()
