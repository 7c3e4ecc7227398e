"""Threads and processes differentiate at once without interfering."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import wengert as wg


def task(seed):
    """Nested derivatives, updates in place and branches, different for each seed."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=4)
    scale = 1.0 + seed

    def f(x):
        y = np.zeros_like(x)
        for i in range(4):
            y[i] = np.sin(scale * x[i]) if x[i] > 0 else x[i] ** 2 * scale
            y[:i] += x[i]
        return np.sum(y * y)

    g = wg.grad(f)(x)
    v = wg.hvp(f, (x,), (x,))
    inner = wg.grad(lambda a: a * wg.grad(lambda b: a * b * scale)(2.0))(3.0)
    many = wg.vmap(lambda s: wg.jvp(lambda z: np.sum(np.exp(s * z)), (x,), (x,))[1])(np.arange(3.0))
    return np.concatenate([g, v, [inner], many])


def test_threads():
    expected = [task(seed) for seed in range(8)]
    start = threading.Barrier(4)

    def worker(k):
        start.wait()
        return [[task(seed) for seed in range(8)] for _ in range(5)]

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(4) as pool:
            for rounds in pool.map(worker, range(4)):
                for got in rounds:
                    np.testing.assert_array_equal(got, expected)
    finally:
        sys.setswitchinterval(interval)


def test_threads_share_a_jitted_function():
    step = wg.jit(wg.value_and_grad(lambda x: np.sum(np.sin(x) * x) if x[0] > 0 else np.sum(x**3)))
    points = [np.full(n, sign * 0.5) for n in (2, 3, 4) for sign in (1, -1)]
    expected = [
        wg.grad(lambda x: np.sum(np.sin(x) * x) if x[0] > 0 else np.sum(x**3))(x) for x in points
    ]
    start = threading.Barrier(4)

    def worker(k):
        start.wait()
        return [step(x)[1] for _ in range(20) for x in points]

    with ThreadPoolExecutor(4) as pool:
        for grads in pool.map(worker, range(4)):
            for got, want in zip(grads, expected * 20, strict=True):
                np.testing.assert_allclose(got, want, rtol=1e-13)


def test_an_inner_derivative_in_another_thread():
    """A value traced here may be used there while its trace is alive."""

    def f(x):
        with ThreadPoolExecutor(2) as pool:
            parts = list(pool.map(lambda k: np.sum(np.sin(x * k)), (1.0, 2.0)))
        return parts[0] * parts[1]

    x = np.array([0.3, 0.8])
    a, b = np.sum(np.sin(x)), np.sum(np.sin(2 * x))
    np.testing.assert_allclose(wg.grad(f)(x), b * np.cos(x) + a * 2 * np.cos(2 * x))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_two_forked_processes():
    """Forked while this process holds a trace of its own."""
    context = multiprocessing.get_context("fork")

    def run(seed, pipe):
        pipe.send(task(seed))
        pipe.close()

    def f(x):
        y = np.sin(x)
        results = []
        workers = []
        for seed in (1, 2):
            ours, theirs = context.Pipe(duplex=False)
            worker = context.Process(target=run, args=(seed, theirs))
            worker.start()
            workers.append(worker)
            results.append(ours)
        received.extend(pipe.recv() for pipe in results)
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
        return np.sum(y)

    received = []
    np.testing.assert_allclose(wg.grad(f)(np.ones(2)), np.cos(np.ones(2)))
    np.testing.assert_array_equal(received, [task(1), task(2)])


def test_two_spawned_processes(tmp_path):
    script = tmp_path / "spawned.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing
        import numpy as np
        import wengert as wg

        def loss(x):
            return np.sum(np.sin(x) * x)

        def work(seed):
            x = np.random.default_rng(seed).normal(size=3)
            return wg.grad(loss)(x), wg.jit(wg.hessian(loss))(x)

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(2) as pool:
                for seed, (g, h) in enumerate(pool.map(work, range(4))):
                    expected = work(seed)
                    np.testing.assert_array_equal(g, expected[0])
                    np.testing.assert_array_equal(h, expected[1])
            print("same")
        """),
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "same"
