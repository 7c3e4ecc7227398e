"""Loops and products that threads share."""

from __future__ import annotations

import os
import threading
from typing import Any

import native_oracle as oracle
import numpy as np
import pytest
from op_cases import CASES

import wengert as wg
from wengert.backend.native.emit import gemm, module, parallel
from wengert.backend.native.run import pool
from wengert.errors import InputError
from wengert.ir.graph import Graph
from wengert.llvm import engine


@pytest.fixture(autouse=True)
def four():
    """Use four threads, whatever the machine has."""
    wg.set_threads(4)
    yield
    wg.set_threads(None)


@pytest.fixture
def small(monkeypatch):
    """Share everything that can be shared, however small."""
    monkeypatch.setattr(module, "SMALL", 0)
    monkeypatch.setattr(parallel, "SHARED_FROM", 0)
    monkeypatch.setattr(parallel, "UNITS", 1)
    monkeypatch.setattr(gemm, "SHARED_FROM", 0)
    monkeypatch.setattr(gemm, "OPERATIONS", 1)
    monkeypatch.setattr(gemm, "WIDTH", 1)


def shared(graph: Graph) -> bool:
    return parallel.PARALLEL in oracle.compiled(graph)._compiled.text


@pytest.mark.share(4)
@pytest.mark.parametrize("name", [n for n in CASES if CASES[n]])
def test_every_operation_in_parts(name: str, small: None):
    case = CASES[name][0]
    args = case.args()
    graph = oracle.one_node(name, args, case.attrs)
    for got, want in zip(*oracle.both(graph, args), strict=True):
        oracle.agree(name, got, want, args)


REDUCTIONS = ["sum", "prod", "max", "min", "any", "all"]


@pytest.mark.share(4)
@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [(0,), (1,), (0, 1), (2,), (0, 2), (0, 1, 2)], ids=str)
@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "?"])
def test_reductions_in_parts(name: str, axis: tuple[int, ...], dtype: str, small: None):
    """Whole numbers, so that sums are exact in any order."""
    if dtype == "?" and name not in ("any", "all", "sum"):
        pytest.skip("NumPy does not take booleans")
    x = np.random.default_rng(0).integers(-2, 3, (37, 5, 3)).astype(dtype)
    if dtype in ("f8", "f4") and name in ("max", "min"):
        x[7, 1, 2] = np.nan
    graph, leaves = oracle.recorded(lambda x: getattr(np, name)(x, axis=axis), x)
    assert shared(graph) or axis == (1,)
    for got, want in zip(*oracle.both(graph, leaves), strict=True):
        oracle.same_bits(got, want)


@pytest.mark.parametrize("sizes", [(70, 90, 50), (1, 300, 200), (300, 2, 100), (33, 17, 129)])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("form", ["ab", "aTb", "abT", "aTbT", "batch", "outer batch"])
def test_products_in_parts(sizes: tuple[int, ...], dtype: str, form: str, small: None):
    m, n, k = sizes
    rng = np.random.default_rng(1)
    shapes: dict[str, tuple[Any, Any, str]] = {
        "ab": ((m, k), (k, n), "ik,kj->ij"),
        "aTb": ((k, m), (k, n), "ki,kj->ij"),
        "abT": ((m, k), (n, k), "ik,jk->ij"),
        "aTbT": ((k, m), (n, k), "ki,jk->ij"),
        "batch": ((7, m, k), (7, k, n), "bik,bkj->bij"),
        "outer batch": ((m, 3, 7, k), (7, k, 3, n), "icbk,bkcj->cbij"),
    }
    left, right, spec = shapes[form]
    a, b = (rng.integers(-9, 10, s).astype(dtype) for s in (left, right))
    graph, leaves = oracle.recorded(lambda a, b: np.einsum(spec, a, b), a, b)
    for got, want in zip(*oracle.both(graph, leaves), strict=True):
        np.testing.assert_array_equal(got, want)


def layer(x: Any, w: Any) -> Any:
    z = np.tanh(x @ w)
    return np.sum(np.log1p(np.exp(z)) * z) + np.max(np.sum(z * z, axis=0))


def test_results_do_not_depend_on_the_number_of_threads():
    rng = np.random.default_rng(2)
    x, w = rng.normal(size=(700, 300)), rng.normal(size=(300, 400))
    f = wg.jit(wg.value_and_grad(layer, argnums=(0, 1)), backend="native")
    assert parallel.PARALLEL_BLAS in f.plan(x, w)._program._compiled.text
    found = []
    for n in (1, 2, 3, 4):
        wg.set_threads(n)
        for _ in range(3):
            value, (gx, gw) = f(x, w)
            found.append((value, gx.tobytes(), gw.tobytes()))
    assert all(again == found[0] for again in found)


def test_a_plan_in_several_threads_of_python():
    """One of them gets the workers, the others do their parts alone."""
    rng = np.random.default_rng(3)
    w = rng.normal(size=(200, 300))
    f = wg.jit(wg.grad(layer, argnums=1), backend="native")
    xs = [rng.normal(size=(400, 200)) for _ in range(4)]
    want = [f(x, w) for x in xs]
    wrong = []

    def work(k: int) -> None:
        for _ in range(30):
            if not np.array_equal(f(xs[k], w), want[k]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_a_fork_runs_plans_and_makes_new_ones():
    x = np.random.default_rng(4).normal(size=200_000)
    f = wg.jit(lambda x: np.sum(np.tanh(np.exp(x))), backend="native")
    want = f(x)
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            g = wg.jit(lambda x: np.sum(np.tanh(np.exp(x))) + 0.0, backend="native")
            os._exit(0 if f(x) == want and g(x) == want else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert f(x) == want


def test_blas_has_its_threads_back():
    found = gemm.threads_of_blas()
    if found is None:
        pytest.skip("not OpenBLAS")
    import ctypes

    get = ctypes.CFUNCTYPE(ctypes.c_int)(found[0])
    before = get()
    x = np.ones((400, 400))
    y = wg.jit(lambda x: x @ x, backend="native")(x)
    assert (y == 400).all()
    assert get() == before


@pytest.mark.parametrize("n", [0, -1, 1.5, "2", True])
def test_numbers_of_threads_that_make_no_sense(n: Any):
    with pytest.raises(InputError, match="at least 1"):
        wg.set_threads(n)


def test_the_number_of_threads(monkeypatch: pytest.MonkeyPatch):
    assert wg.get_threads() == 4
    wg.set_threads(None)
    monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
    assert wg.get_threads() == 3
    monkeypatch.setenv("WENGERT_NUM_THREADS", "5")
    assert wg.get_threads() == 5
    monkeypatch.setenv("WENGERT_NUM_THREADS", "many")
    assert wg.get_threads() == 3


def test_without_threads_of_the_system(monkeypatch: pytest.MonkeyPatch):
    """Everything runs in the calling thread; results are the same."""
    rng = np.random.default_rng(5)
    x, w = rng.normal(size=(700, 300)), rng.normal(size=(300, 400))
    want = wg.jit(layer)(x, w)
    monkeypatch.setattr(pool, "_create", lambda: None)
    monkeypatch.setattr(pool, "_POOL", pool._Pool())
    alone = wg.jit(layer)(x, w)
    assert pool._POOL.started == 0
    monkeypatch.undo()
    for name in (parallel.PARALLEL, parallel.PARALLEL_BLAS):
        address = pool._POOL.compiled.addresses[name]
        engine.binding().add_symbol(name, address)
    np.testing.assert_allclose(alone, want, rtol=1e-12)
