"""Native code in long-running, threaded and forking programs."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import warnings
import weakref
from pathlib import Path
from typing import Any

import native_oracle as oracle
import numpy as np
import pytest

import wengert as wg
from wengert.llvm import engine
from wengert.llvm.cache import Cache, default_folder

STATUS = Path("/proc/self/statm")


def resident() -> int:
    """Return the memory that this process has in use, in bytes."""
    gc.collect()
    return int(STATUS.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def compile_many(count: int, start: int = 0) -> None:
    """Compile and run graphs that all differ."""
    x = np.linspace(0, 1, 20)
    for k in range(start, start + count):

        def f(z: Any, k: int = k) -> Any:
            return np.sum(np.sin(z * float(k)) + z), z @ z

        graph, leaves = oracle.recorded(wg.grad(lambda z: f(z)[0] + f(z)[1]), x)
        oracle.compiled(graph).run(leaves)


def grown(count: int) -> int:
    compile_many(60)
    before = resident()
    compile_many(count, 1000)
    return resident() - before


linux = pytest.mark.skipif(not STATUS.exists(), reason="reads /proc")


@linux
def test_plans_are_released():
    """Each takes about 100 kB while it lives."""
    assert grown(80) < 4 << 20


@linux
@pytest.mark.slow
def test_ten_thousand_plans_are_released():
    # llvmlite keeps 1.5 kB of each pass builder; of the plans themselves, nothing stays
    assert grown(10_000) < 24 << 20


def test_a_plan_goes_with_its_last_reference():
    graph, leaves = oracle.recorded(lambda x: np.exp(x), np.ones(3))
    program = oracle.compiled(graph)
    program.run(leaves)
    gone = weakref.ref(program._compiled)
    del program
    gc.collect()
    assert gone() is None


def test_plans_in_reference_cycles_are_released():
    """The collector finds them in any order; LLVM's objects must go in theirs."""
    before = gc.get_threshold()
    gc.set_threshold(50, 2, 2)
    try:
        for k in range(60):
            graph, leaves = oracle.recorded(lambda x, k=k: np.exp(x * k), np.ones(3))
            program: Any = oracle.compiled(graph)
            program.run(leaves)
            program.itself = program._compiled.owner = program
    finally:
        gc.set_threshold(*before)


def test_results_outlive_their_plan():
    graph, leaves = oracle.recorded(lambda x: np.exp(x) @ x, np.ones((30, 30)))
    (y,) = oracle.compiled(graph).run(leaves)
    gc.collect()
    compile_many(5)
    np.testing.assert_allclose(y, np.e * 30)


# --- threads --------------------------------------------------------------------------------------
def work(x: Any, w: Any) -> Any:
    """Loops, a product, a call of NumPy, an update and a decision."""
    y = np.tanh(x @ w) + np.cumsum(x, axis=0)
    if np.sum(x) > 0:
        y = y * 2
    return np.sum(y * y, axis=0), np.sort(y, axis=1)[::-1], np.sum(np.exp(-y))


def in_threads(count: int, f: Any) -> list[Any]:
    """Run ``f(k)`` in threads that start together; return what they return."""
    found: list[Any] = [None] * count
    ready = threading.Barrier(count)

    def run(k: int) -> None:
        ready.wait()
        try:
            found[k] = f(k)
        except BaseException as error:
            found[k] = error

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for y in found:
        if isinstance(y, BaseException):
            raise y
    return found


def test_threads_share_a_plan():
    rng = np.random.default_rng(0)
    inputs = [
        (rng.normal(size=(40, 40)) * (1 if k % 2 else -1), rng.normal(size=(40, 40)))
        for k in range(8)
    ]
    f = wg.jit(work, backend="native")
    want = [f(*args) for args in inputs]

    def run(k: int) -> int:
        for repeat in range(60):
            j = (k + repeat) % 8
            for got, y in zip(f(*inputs[j]), want[j], strict=True):
                oracle.same_bits(got, y)
        return k

    assert in_threads(4, run) == [0, 1, 2, 3]


def test_threads_compile_at_once():
    def run(k: int) -> Any:
        f = wg.jit(lambda x: np.sin(x) * k + np.sum(x), backend="native")
        return [f(np.full(n, 0.5))[0] for n in (1, 5, 50)]

    for k, found in enumerate(in_threads(4, run)):
        np.testing.assert_allclose(found, [np.sin(0.5) * k + n / 2 for n in (1, 5, 50)])


def test_threads_call_a_new_function_together():
    calls = wg.jit(work, backend="native")
    x = np.ones((6, 6))
    want = work(x, x)
    for found in in_threads(4, lambda k: calls(x, x)):
        for got, y in zip(found, want, strict=True):
            oracle.close(got, y, 1e3)


# --- processes ------------------------------------------------------------------------------------
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork():
    """A child runs the parent's plans, and compiles its own."""
    f = wg.jit(work, backend="native")
    large = wg.jit(lambda x: np.sum(np.exp(-x * x) + x), backend="native")
    x, w = np.ones((6, 6)), np.eye(6)
    many = np.linspace(0, 1, 400_000)
    want = f(x, w), large(many)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of threads in the parent
        child = os.fork()
    if not child:
        code = 1
        try:
            same = all(np.array_equal(a, b) for a, b in zip(f(x, w), want[0], strict=True))
            fresh = wg.jit(lambda z: np.cos(z) + 1, backend="native")(np.zeros(20))
            code = 0 if same and large(many) == want[1] and (fresh == 2).all() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert large(many) == want[1]


SCRIPT = """
import multiprocessing, pickle, sys
import numpy as np
import wengert as wg
from wengert.jit import jitted as jit_module
from wengert.backend.native import NativeBackend
jit_module.BACKENDS["native"] = NativeBackend

def area(x):
    return np.sum(np.exp(-x * x))

gradient = wg.jit(wg.grad(area), backend="native")

def child(x):
    return gradient(x)

if __name__ == "__main__":
    x = np.linspace(0, 1, 50)
    here = gradient(x)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        for there in pool.map(child, [x, x, x]):
            assert np.array_equal(here, there)
    print("same")
"""


def test_spawn(tmp_path: Path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    env = {
        **os.environ,
        "WENGERT_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    done = subprocess.run(
        [sys.executable, script], env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout == "same\n", done.stderr


def test_deterministic():
    """Two compilations, and any number of runs, give the same bits."""
    rng = np.random.default_rng(1)
    args = rng.normal(size=(30, 30)), rng.normal(size=(30, 30))
    graph, leaves = oracle.recorded(
        wg.value_and_grad(lambda x, w: np.sum(np.tanh(x @ w) ** 2)), *args
    )
    first, second = oracle.compiled(graph), oracle.compiled(graph)
    want = first.run(leaves)
    for program in (first, second) * 3:
        for got, y in zip(program.run(leaves), want, strict=True):
            oracle.same_bits(got, y)


def test_cached_code_is_the_same_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine, "CACHE", engine.Cache(tmp_path))
    graph, leaves = oracle.recorded(
        wg.value_and_grad(lambda x: np.sum(np.log1p(np.exp(x) @ x))), np.eye(20)
    )
    made = oracle.compiled(graph).run(leaves)
    assert list(tmp_path.iterdir())
    read = oracle.compiled(graph).run(leaves)
    for entry in tmp_path.iterdir():
        entry.write_bytes(entry.read_bytes()[:-20])
    again = oracle.compiled(graph).run(leaves)  # from damaged entries
    for a, b, c in zip(made, read, again, strict=True):
        oracle.same_bits(a, b)
        oracle.same_bits(a, c)


# --- the folder of the cache ----------------------------------------------------------------------
def test_a_variable_names_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("WENGERT_CACHE_DIR", str(tmp_path / "here"))
    assert default_folder() == tmp_path / "here"
    monkeypatch.setenv("WENGERT_CACHE_DIR", "~/there")
    assert default_folder() == Path.home() / "there"
    for empty in ("", "  "):
        monkeypatch.setenv("WENGERT_CACHE_DIR", empty)
        assert default_folder() is None
    monkeypatch.delenv("WENGERT_CACHE_DIR")
    if sys.platform.startswith("linux"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert default_folder() == tmp_path / "wengert" / "native"


def test_a_cache_that_cannot_be_used(tmp_path: Path):
    """No folder, a file in its place, a folder in an entry's place, an empty or foreign entry."""
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "key").mkdir()
    for cache in (Cache(None), Cache(tmp_path / "file"), Cache(tmp_path)):
        cache.put("key", b"code")
        assert cache.get("key") is None
    cache = Cache(tmp_path / "new")
    cache.put("key", b"code")
    assert cache.get("key") == b"code"
    for damaged in (b"", b"x" * 31, b"x" * 100):
        (tmp_path / "new" / "key").write_bytes(damaged)
        assert cache.get("key") is None
        assert not (tmp_path / "new" / "key").exists()
    cache.put("key", b"code" * (cache.limit // 4 + 1))
    assert cache.get("key") is None


def test_a_cache_stays_below_its_limit(tmp_path: Path):
    cache = Cache(tmp_path, limit=16_000)
    for k in range(100):
        cache.put(f"{k}", bytes(500))
    sizes = [e.stat().st_size for e in tmp_path.iterdir()]
    assert sum(sizes) <= cache.limit + cache.limit // 16 + 600
    assert len(sizes) > 20
    assert cache.get("99") is not None
    assert cache.get("0") is None


def test_a_second_process_takes_code_from_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(engine, "CACHE", Cache(tmp_path))
    graph, leaves = oracle.recorded(lambda x: np.exp(x) + 1, np.ones(9))
    want = oracle.compiled(graph).run(leaves)
    monkeypatch.setattr(engine, "_generated", None)  # would fail
    program = oracle.compiled(graph)
    oracle.same_bits(program.run(leaves)[0], want[0])
    assert "ret" in program.assembly()
