"""Products of every layout, of sizes on both sides of each threshold, beside NumPy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import native_oracle as oracle
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import wengert as wg
from wengert.backend.native.emit import gemm
from wengert.backend.native.emit.gemm import ALONE, MOST, OPERATIONS, SHARED_FROM, WIDTH
from wengert.backend.native.run.footprint import laid_out
from wengert.backend.native.schedule import products
from wengert.backend.native.schedule.layout import Buffer, View
from wengert.backend.native.schedule.products import BLAS_FROM
from wengert.backend.native.schedule.steps import Contraction
from wengert.ir.build import Builder
from wengert.ops.base import TABLE

Layout = tuple[Callable[[int, int], tuple[int, ...]], Callable[[Any], Any]]

LAYOUTS: dict[str, Layout] = {
    "C": (lambda r, c: (r, c), lambda x: x),
    "transposed": (lambda r, c: (c, r), lambda x: x.T),
    "rows reversed": (lambda r, c: (r, c), lambda x: x[::-1]),
    "columns reversed": (lambda r, c: (r, c), lambda x: x[:, ::-1]),
    "both reversed": (lambda r, c: (r, c), lambda x: x[::-1, ::-1]),
    "transposed, rows reversed": (lambda r, c: (c, r), lambda x: x.T[::-1]),
    "transposed, columns reversed": (lambda r, c: (c, r), lambda x: x.T[:, ::-1]),
    "every other row": (lambda r, c: (2 * r, c), lambda x: x[::2]),
    "every other column": (lambda r, c: (r, 2 * c), lambda x: x[:, ::2]),
    "middle": (lambda r, c: (r + 2, c + 3), lambda x: x[1:-1, 2:-1]),
    "middle, rows reversed": (lambda r, c: (r + 2, c + 3), lambda x: x[-2:0:-1, 2:-1]),
    "one row": (lambda r, c: (c,), None),
    "one column": (lambda r, c: (r, 1), None),
    "one number": (lambda r, c: (1, 1), None),
    "windows": (lambda r, c: (r + c - 1,), None),
    "windows, transposed": (lambda r, c: (r + c - 1,), None),
    "windows reversed": (lambda r, c: (r + c - 1,), None),
    "windows of stride": (lambda r, c: (2 * r + c - 2,), None),
    "two axes of rows": (lambda r, c: (r // 2, 2, c), lambda x: x.reshape(-1, x.shape[-1])),
}
"""The shape of an array, and how a matrix of r rows and c columns is seen in it."""


def seen(name: str, x: Any, r: int, c: int) -> Any:
    """See an array as a matrix."""
    if name in ("one row", "one column", "one number"):
        return np.broadcast_to(x, (r, c))
    if name == "windows":
        return sliding_window_view(x, c)
    if name == "windows, transposed":
        return sliding_window_view(x, r).T
    if name == "windows reversed":
        return sliding_window_view(x, c)[::-1]
    if name == "windows of stride":
        return sliding_window_view(x, c)[::2]
    return LAYOUTS[name][1](x)


def made(name: str, r: int, c: int, seed: int, dtype: Any = float) -> Any:
    """Make the array of a layout, of small whole numbers, so that sums are exact in any order."""
    shape = LAYOUTS[name][0](r, c)
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


def check(f: Callable[..., Any], *args: Any) -> Any:
    """Compare a compiled function with the plain one, bit for bit; return the graph."""
    graph, leaves = oracle.recorded(f, *args)
    (got,) = oracle.compiled(graph).run(leaves)
    oracle.same_bits(got, f(*args), zeros=False)
    return graph


def by_blas(graph: Any) -> list[Contraction]:
    """Return the products of a graph that BLAS computes."""
    return [s for s in laid_out(graph)[0].steps if isinstance(s, Contraction)]


R, C = 26, 22
"""A product of this size is one of BLAS's."""


@pytest.mark.share(4)
@pytest.mark.parametrize("right", LAYOUTS)
@pytest.mark.parametrize("left", LAYOUTS)
def test_layouts(left: str, right: str):
    a, b = made(left, C, R, 1), made(right, R, C, 2)
    graph = check(lambda a, b: seen(left, a, C, R) @ seen(right, b, R, C), a, b)
    assert len(by_blas(graph)) == 1


@pytest.mark.share(4)
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts_of_captured_arrays(name: str, dtype: str):
    """A captured array has strides of its own, which the program reads as they are."""
    held = seen(name, made(name, R, C, 1, dtype), R, C)
    x = made("C", C, R, 2, dtype)
    check(lambda x: x @ held, x)
    check(lambda x: held @ x, x)
    check(lambda x: x.T[::-1] @ held.T, x.T[:C].copy())


@pytest.mark.parametrize("name", LAYOUTS)
def test_derivatives(name: str):
    a, w = made(name, R, C, 1) / 8, made("C", C, C, 2) / 8

    def f(a, w):
        return np.sum(np.tanh(seen(name, a, R, C) @ w) ** 2)

    want = wg.grad(f, argnums=(0, 1))(a, w)
    graph, leaves = oracle.recorded(wg.grad(f, argnums=(0, 1)), a, w)
    for got, exact in zip(oracle.compiled(graph).run(leaves), want, strict=True):
        oracle.close(got, exact, 1e4)


def sides(limit: int, unit: int) -> tuple[int, int, int]:
    """Return how many units stay below a limit, just reach it, and go beyond."""
    least = -(-limit // unit)
    return max(least - 1, 1), least, least + 1


SIZES = [
    *((20, 20, k) for k in sides(BLAS_FROM, 400)),
    *((50, 50, k) for k in sides(ALONE, 2 * 50 * 50)),
    *((40, 40, k) for k in sides(SHARED_FROM, 2 * 40 * 40)),
    *((m, 3, 11_000) for m in (WIDTH - 1, WIDTH, WIDTH + 1)),
    *((m, 200, 200) for m in (*sides(2 * OPERATIONS, 2 * 200 * 200), 2 * WIDTH - 1, 2 * WIDTH)),
    *((200, n, 200) for n in (*sides(2 * OPERATIONS, 2 * 200 * 200), 2 * WIDTH - 1, 2 * WIDTH)),
    (4_000, 2, 2_000), (2, 4_000, 2_000), (2, 2, 1_000_000), (1, 2_000, 2_000), (2_000, 1, 2_000),
    (2_000, 2_000, 1), (3, 1, 7), (1, 1, 5_000), (0, 30, 30), (30, 0, 30), (30, 30, 0),
]  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(sizes: tuple[int, int, int]):
    m, n, k = sizes
    a, b = made("C", m, k, 1), made("C", k, n, 2)
    check(lambda a, b: a @ b, a, b)
    check(lambda a, b: a.T @ b, a.T.copy(), b)
    check(lambda a, b: a @ b[::-1], a.astype("f4"), b.astype("f4"))


BATCHES = [
    *((batch, 80, 80, 80) for batch in (1, 2, 3, 4, MOST - 1, MOST, MOST + 1)),
    *((batch, 100, 100, 64) for batch in sides(SHARED_FROM, 2 * 100 * 100 * 64)),
    (3, 2 * WIDTH, 130, 130), (3, 50, 2 * WIDTH - 1, 170), (0, 30, 30, 30), (2, 30, 30, 0),
]  # fmt: skip


@pytest.mark.parametrize("sizes", BATCHES, ids=str)
def test_batches(sizes: tuple[int, int, int, int]):
    batch, m, n, k = sizes
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-4, 5, (batch, *s)).astype(float) for s in ((m, k), (k, n)))
    check(lambda a, b: a @ b, a, b)
    check(lambda a, b: a[::-1] @ np.flip(b, 1), a, b)
    check(lambda a, b: a @ np.swapaxes(b, -1, -2), a, np.swapaxes(b, -1, -2).copy())
    if batch:
        check(lambda a, b: np.broadcast_to(a[0], a.shape) @ b, a, b)
        check(lambda a, b: a @ np.broadcast_to(b[:, :1], b.shape), a, b)


@pytest.mark.parametrize(
    "spec", ["ij,jk->ik", "ij,jk->ki", "ji,jk->ki", "bij,bjk->bik", "bij,bjk->ikb", "bij,bjk->ibk",
             "bij,bjk->kbi", "ibj,jkb->kib", "ij,bjk->bik", "ij,bjk->ikb", "abj,jcd->abcd",
             "abj,jcd->cdab", "abj,jcd->acbd", "aij,bij->ab", "ija,bji->ba"],
)  # fmt: skip
@pytest.mark.parametrize("flip", [None, 0, 1, -1], ids=str)
def test_results_of_every_order(spec: str, flip: int | None):
    """What is multiplied and what comes out, in axes of any order."""
    sizes = dict(zip("abcdijk", (3, 5, 4, 6, 20, 21, 22), strict=True))
    rng = np.random.default_rng(0)
    shapes = [[sizes[s] for s in term] for term in spec.partition("->")[0].split(",")]
    args = [rng.integers(-4, 5, shape).astype(float) for shape in shapes]

    def f(a: Any, b: Any) -> Any:
        return np.einsum(spec, a if flip is None else np.flip(a, flip), b)

    check(f, *args)


def test_dimensions_that_blas_cannot_count():
    """Rows too far apart for 32 bits are copied, a depth beyond them is a loop's."""
    far = products.LARGEST + 1
    assert products.walkable(3, 4, far - 1, 1)
    assert not products.walkable(3, 4, far, 1)
    assert not products.walkable(3, 4, 1, far)
    for depth, calls in ((2_000, 1), (far, 0)):
        b = Builder()
        wide = b.add(TABLE["broadcast_to"], b.input(np.zeros((2, 1))), shape=(2, depth))
        graph = b.finish([b.add(TABLE["contract"], wide, wide, spec="ik,jk->ij")])
        assert len(by_blas(graph)) == calls


LEGAL = [
    ((5, 4, 3), (3, 1, 4, 1, 4)),
    ((5, 4, 3), (1, 5, 1, 3, 4)),
    ((5, 4, 3), (30, 1, 1, 30, 40)),
]
ILLEGAL = [
    ((5, 4, 3), (2, 1, 4, 1, 4), "ldb is 1"),
    ((5, 4, 3), (3, 1, -4, 1, 4), "lda is 1"),
    ((5, 4, 3), (0, 1, 4, 1, 4), "ldb is 1"),
    ((5, 4, 3), (3, 1, 4, 1, 3), "ldc is 3"),
    ((5, 4, 0), (3, 1, 4, 1, 4), "k is 0"),
    ((5, 4, 2**31), (2**31, 1, 4, 1, 4), "k is 2147483648"),
]


def told(sizes: Any, strides: Any) -> gemm.Gemm:
    nothing = View(Buffer("arena", 0, np.dtype(float), 0), 0, (), ())
    return gemm.call(Contraction(0, nothing, nothing, nothing, sizes, strides, []))


@pytest.mark.parametrize(("sizes", "strides"), LEGAL, ids=str)
def test_legal_calls(sizes: Any, strides: Any):
    assert told(sizes, strides).fault() is None


@pytest.mark.parametrize(("sizes", "strides", "fault"), ILLEGAL, ids=str)
def test_illegal_calls_are_told(sizes: Any, strides: Any, fault: str):
    found = told(sizes, strides).fault()
    assert found is not None
    assert found.startswith(fault)


def test_the_thresholds_are_in_the_sizes():
    """A threshold that moves takes the sizes along; each has sizes on both sides."""
    work = [2 * m * n * k for m, n, k in SIZES]
    for limit in (2 * BLAS_FROM, ALONE, SHARED_FROM, 2 * OPERATIONS):
        assert min(work) < limit < max(work)
    assert products.BLAS_FROM == BLAS_FROM


def test_results_too_far_apart_for_blas():
    """Rows of the result that are further apart than 32 bits can say get an order of their own."""
    b = Builder()
    many = (products.LARGEST + 1) // 8
    x, y = (
        b.add(TABLE["broadcast_to"], b.input(np.zeros((1, *shape))), shape=(many, *shape))
        for shape in ((40, 30), (30, 20))
    )
    graph = b.finish([b.add(TABLE["contract"], x, y, spec="bij,bjk->ibk")])
    (found,) = by_blas(graph)
    assert gemm.call(found).fault() is None
    assert many * 20 > products.LARGEST
