"""Nothing crashes, hangs or is lost: each program here runs in a process of its own.

They run with ``-X faulthandler``, so that a crash shows where it was.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import gc, os, random, signal, sys, threading, time
import numpy as np
import wengert as wg

def made(k):
    "A function whose code no other number gives."
    def f(x):
        y = np.tanh(x * (k + 0.5)) + np.cumsum(x)
        return np.sum(np.sort(y * y)) if y[0] > 0 else np.sum(y)
    return wg.jit(wg.value_and_grad(f), backend="native")

X = np.linspace(0.1, 1, 11)
"""


def run(program: str, folder: Path | None, *, seconds: float = 120, code: int = 0) -> str:
    """Run a program; return what it prints."""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "WENGERT_CACHE_DIR": "" if folder is None else str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore::DeprecationWarning", "-c",
         START + program],
        env=env, capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-4000:]
    return done.stdout


posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


def test_threads_compile_and_run():
    """The same functions and others at once, while the collector runs all the time."""
    printed = run(
        """
gc.set_threshold(50, 2, 2)
sys.setswitchinterval(1e-5)
shared = [made(k) for k in range(3)]
wrong = []

def work(t):
    rng = random.Random(t)
    for i in range(12):
        k = rng.randrange(3)
        f = shared[k] if rng.random() < 0.6 else made(100 * t + i)
        n = rng.choice((3, 11))
        y, g = f(X[:n])
        f.itself = [f]  # a cycle
        if f is shared[k] and not np.isclose(y, want[k, n]):
            wrong.append((k, n, y))

want = {(k, n): made(k)(X[:n])[0] for k in range(3) for n in (3, 11)}
threads = [threading.Thread(target=work, args=(t,)) for t in range(4)]
for t in threads: t.start()
for t in threads: t.join()
print(wrong)
""",
        None,
    )
    assert printed == "[]\n"


@posix
def test_forks_while_threads_compile(tmp_path: Path):
    """A child finds no lock held by a thread that it does not have."""
    printed = run(
        """
stop = threading.Event()

def compiling(t):
    k = 0
    while not stop.is_set():
        k += 1
        made(1000 * t + k)(X)

threads = [threading.Thread(target=compiling, args=(t,)) for t in range(2)]
for t in threads: t.start()
f = made(-1)
want = f(X)[0]
codes = []
for k in range(8):
    child = os.fork()
    if not child:
        same = f(X)[0] == want and made(-2 - k)(X)[0] != want
        os._exit(0 if same else 3)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
stop.set()
for t in threads: t.join()
print(codes)
""",
        tmp_path,
    )
    assert printed == f"{[0] * 8}\n"


EXITS = {
    "cycles": "kept = [made(k) for k in range(5)]\nfor f in kept: f(X); f.others = kept\n",
    "frozen": "gc.freeze()\nkept = [made(k) for k in range(5)]\nfor f in kept: f(X)\ngc.freeze()\n",
    "module": "import builtins\nf = builtins.kept = made(1)\nf(X)\n",
    "at exit": "import atexit\nf = made(1)\nf(X)\natexit.register(lambda: f(X[:4]))\n",
    "running": """
f = made(1)
f(X)
def forever():
    while True: f(X)
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.1)
""",
    "compiling": """
def forever():
    k = 0
    while True:
        k += 1
        made(k)(X)
for _ in range(2): threading.Thread(target=forever, daemon=True).start()
time.sleep(0.3)
""",
}


@pytest.mark.share(6)
@pytest.mark.parametrize("name", EXITS)
def test_the_interpreter_ends(name: str):
    """With plans alive, and with threads that run or compile."""
    assert run(EXITS[name] + "print('end')\n", None) == "end\n"


@posix
@pytest.mark.parametrize("steps", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_an_interrupt_leaves_nothing_broken(tmp_path: Path, steps: int):
    """Wherever it comes: while recording, in LLVM, or while code is written to the cache."""
    printed = run(
        f"""
steps = {steps}
"""
        + """
def long(k):
    def f(x):
        a, b = x[0], x[1]
        for i in range(steps):
            a, b = np.sin(a * b) + 0.01 * k, np.cos(b - a * (0.01 + 0.001 * i))
        return a + b
    return wg.jit(wg.grad(f), backend="native")

from wengert.llvm import engine
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
x = X[:2]
long(-1)(x)
begin = time.perf_counter()
long(0)(x)
whole = time.perf_counter() - begin
rng = random.Random(0)
seen = 0
for k in range(1, 61):
    if seen == 4:
        break
    f = long(k)
    try:
        timer = threading.Timer(
            rng.uniform(0, whole), lambda: os.kill(os.getpid(), signal.SIGINT)
        )
        timer.start()
        f(x)
        whole *= 0.8  # too late
    except KeyboardInterrupt:
        seen += 1
    try:
        timer.join()
        time.sleep(0.01)
    except KeyboardInterrupt:
        pass
    assert not engine._LOCK._is_owned()
    got = f(x)
    want = wg.grad(f._f.__wrapped__)(x)
    assert np.allclose(got, want), (got, want)
    assert not [n for n in os.listdir(engine.CACHE.folder) if n.startswith(".")]
print(seen == 4)
""",
        tmp_path,
    )
    assert printed == "True\n"


@pytest.mark.slow
def test_processes_share_a_small_cache(tmp_path: Path):
    """They add, read and remove entries at once."""
    program = """
from wengert.llvm import engine
engine.CACHE.limit = 60_000
for k in range(30):
    k = (k * 7 + len(sys.argv)) % 12
    y, g = made(k)(X)
    want = np.tanh(X * (k + 0.5)) + np.cumsum(X)
    assert np.isclose(y, np.sum(want * want)), k
engine.CACHE._shrink()
print(sum(e.stat().st_size for e in os.scandir(engine.CACHE.folder)) <= 2 * engine.CACHE.limit)
"""
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "WENGERT_CACHE_DIR": str(tmp_path),
    }
    children = [
        subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", START + program, *["x"] * k],
            env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for k in range(3)
    ]  # fmt: skip
    for child in children:
        out, err = child.communicate(timeout=120)
        assert out == "True\n", err[-4000:]
