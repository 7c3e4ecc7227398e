"""Operations along an axis in native code: extrema, cumulative ones, sorting and searching."""

from __future__ import annotations

from typing import Any

import native_oracle as oracle
import numpy as np
import pytest

import wengert as wg
from wengert.ir.build import Builder
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

DTYPES = [np.dtype(t) for t in ("f8", "f4", "i4", "?")]
SHAPES = [(1,), (300,), (6, 1), (3, 4, 5), (2, 40, 3)]


def data(shape: tuple[int, ...], dtype: np.dtype[Any], seed: int = 0) -> Any:
    """Return numbers with many ties; of floats some are infinite, NaN, or zeros of either sign."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, shape).astype(dtype)
    if dtype.kind == "f":
        special = rng.integers(0, 12, shape)
        for k, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
            x[special == k] = value
    elif dtype.kind == "i":
        x[rng.integers(0, 6, shape) == 0] = np.iinfo(dtype).min
    return x


def check(name: str, args: Any, **attrs: Any) -> None:
    """Compare an operation between chains of elementwise ones, bit for bit."""
    b = Builder()
    xs = [b.add(TABLE["stop_gradient"], b.input(x)) for x in args]
    y = b.add(TABLE[name], *xs, **attrs)
    graph = verify(b.finish([y, b.add(TABLE["equal"], y, y)]))
    assert oracle.compiled(graph).host == ()
    for got, want in zip(*oracle.both(graph, args), strict=True):
        oracle.same_bits(got, want, f"{name} {[x.shape for x in args]} {attrs}")


@pytest.mark.share(4)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_positions_of_extrema(name: str, dtype: np.dtype[Any]):
    for shape in SHAPES:
        for axis in range(len(shape)):
            check(name, [data(shape, dtype)], axis=axis, keepdims=bool(axis % 2))


@pytest.mark.share(4)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin"])
def test_cumulative(name: str, dtype: np.dtype[Any]):
    for shape in SHAPES:
        for axis in range(len(shape)):
            check(name, [data(shape, dtype)], axis=axis)


@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_along_strides(reverse: bool):
    """Of a view, and into a chain that goes on."""

    def f(x: Any) -> Any:
        y = x.T[:, ::-1] if reverse else x.T
        return np.cumsum(y * 2.0, axis=0) + 1.0, np.cumsum(y, axis=1)[:, ::-1] * 3.0

    graph, leaves = oracle.recorded(f, data((5, 7), np.dtype("f8")))
    for got, want in zip(*oracle.both(graph, leaves), strict=True):
        oracle.same_bits(got, want)


def test_recurrence_follows_its_definition():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 6, 4))
    for axis in (0, 1):
        graph = oracle.one_node("recurrence", [a, b], {"axis": axis})
        got = np.moveaxis(oracle.compiled(graph).run([a, b])[0], axis, 0)
        z = np.zeros(got.shape[1:])
        for x, p, q in zip(got, np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0), strict=True):
            z = p * z + q
            oracle.same_bits(x, z)


@pytest.mark.share(4)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["sort", "argsort"])
@pytest.mark.parametrize("length", [1, 2, 7, 8, 100])
def test_sorting(name: str, dtype: np.dtype[Any], length: int):
    """Stable, with NaN last: the permutation is unique."""
    check(name, [data((length,), dtype)], axis=0)
    if length < 100:
        check(name, [data((5, length), dtype, 2)], axis=1)
        check(name, [data((2, length, 3), dtype, 3)], axis=1)


@pytest.mark.parametrize("name", ["sort", "argsort"])
def test_sorting_of_views(name: str):
    def f(x: Any) -> Any:
        sort = np.sort if name == "sort" else np.argsort
        return [
            sort(y, axis=axis, kind="stable") for y in (x.T[::-1], x[::2, ::-1]) for axis in (0, 1)
        ]

    for shape in ((6, 8), (30, 12), (9, 25)):
        graph, leaves = oracle.recorded(f, data(shape, np.dtype("f8")))
        for got, want in zip(*oracle.both(graph, leaves), strict=True):
            oracle.same_bits(got, want)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("side", ["left", "right"])
def test_searching(dtype: np.dtype[Any], side: str):
    for n in (1, 2, 3, 31):
        a = np.sort(data((n,), dtype))
        for shape in ((), (3, 4)):
            check("searchsorted", [a, data(shape, dtype, 7)], side=side)


@pytest.mark.parametrize("shape", [(40,), (3, 5), (2, 1, 6)])
def test_masks(shape: tuple[int, ...]):
    for dtype in DTYPES:
        x = data(shape, dtype)
        check("nonzero", [x], size=int(np.count_nonzero(x)))


def test_a_mask_that_selects_another_number_is_recorded_anew():
    f = wg.jit(lambda x: np.sum(x[x > 0] ** 2), backend="native")
    for x in ([1.0, -2.0, 3.0], [1.0, 2.0, 3.0], [-1.0, -2.0, -3.0], [4.0, -1.0, 5.0]):
        y = np.array(x)
        assert f(y) == np.sum(y[y > 0] ** 2)
