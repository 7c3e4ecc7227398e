"""Gradients of chains: as of the unrolled loop, in as many steps as theory says, no file left."""

from __future__ import annotations

import errno
import itertools
import os
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import wengert as wg
from wengert import chains
from wengert.chains import chain_gradient, disk_positions, forward_steps
from wengert.memory.binomial import runs

STATE = {"x": np.array([0.3, -0.7, 1.1]), "v": (np.array([[0.1], [0.2]]), np.float64(0.5))}
PARAMS = [np.array([[0.2, 0.1, -0.3], [0.4, 0.0, 0.2], [-0.1, 0.3, 0.1]]), np.float64(0.9)]


def step(state, params, k):
    w, a = params
    m, s = state["v"]
    x = np.tanh(w @ state["x"] + s * np.cos(0.1 * k))
    return {"x": x, "v": (a * m + 0.1 * np.sum(x) * m**2, a * s + 0.01 * np.sum(m))}


def loss(state):
    return np.sum(state["x"] ** 2) + np.sum(state["v"][0]) * state["v"][1]


def unrolled(step, loss, state, n, params):
    def f(state, params):
        for k in range(n):
            state = step(state, params, k)
        return loss(state)

    return wg.value_and_grad(f, (0, 1))(state, params)


def same(got, want):
    a, b = (wg.chains.trees.flatten(t)[0] for t in (got, want))
    assert len(a) == len(b)
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-13)
        assert np.shape(x) == np.shape(y)
        assert np.asarray(x).dtype == np.asarray(y).dtype


def counted(step):
    calls = []

    def f(state, params, k):
        calls.append(k)
        return step(state, params, k)

    return f, calls


@pytest.fixture
def open_files():
    """Return a function that counts what this process holds open or mapped under a folder."""

    def count(folder):
        if not os.path.isdir("/proc/self/fd"):
            pytest.skip("needs /proc")
        mapped = Path("/proc/self/maps").read_text().count(str(folder))
        names = []
        for fd in os.listdir("/proc/self/fd"):
            try:
                names.append(os.readlink(f"/proc/self/fd/{fd}"))
            except OSError:
                continue
        return mapped + sum(str(folder) in name for name in names)

    return count


@pytest.mark.parametrize("disk", [False, True])
@pytest.mark.parametrize("slots", [1, 3, 50])
@pytest.mark.parametrize("n", [0, 1, 2, 7, 23])
def test_equals_the_unrolled_loop(n, slots, disk, tmp_path):
    where = {"disk": tmp_path, "disk_slots": 3} if disk else {}
    f, calls = counted(step)
    value, gradient, counts = chain_gradient(
        f, loss, STATE, n, params=PARAMS, slots=slots, compiled=False, **where
    )
    same((value, gradient), unrolled(step, loss, STATE, n, PARAMS))
    assert counts.forward_steps == len(calls)
    if not counts.disk_slots:
        assert len(calls) == runs(n, slots)
    assert len(calls) <= runs(n, slots)
    assert len(calls) == forward_steps(n, slots, disk_positions(n, slots, 3 if disk else 0))
    assert counts.disk_bytes_written == counts.disk_slots * 8 * 6 == counts.disk_bytes_read
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("jitted", [False, True])
def test_compiled_once(jitted, monkeypatch, tmp_path):
    made = []
    monkeypatch.setattr(chains, "jit", lambda f: made.append(wg.jit(f)) or made[-1])
    f = wg.jit(step) if jitted else step
    want = unrolled(step, loss, STATE, 17, PARAMS)
    for _ in range(2):
        got = chain_gradient(f, loss, STATE, 17, params=PARAMS, slots=2, disk=tmp_path)
        assert got.counts.disk_slots
        same(got[:2], want)
    assert [m.cache_info().specialisations for m in made] == ([1] if jitted else [1, 1])


def test_a_step_with_many_paths_is_reversed_without_compilation():
    drive = np.linspace(0.0, 1.0, 40)

    def driven(x, p, k):
        return np.sin(p * x) + drive[k]

    def total(x):
        return np.sum(x)

    x, p = np.array([0.2, 0.4]), np.array([1.1, 0.9])
    got = chain_gradient(driven, total, x, 40, params=p, slots=4)
    same(got[:2], unrolled(driven, total, x, 40, p))


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_dtypes(dtype, tmp_path):
    x = np.array([0.3, 0.5], dtype) * (1 + 1j if dtype is np.complex128 else 1)
    p = np.array([0.7, -0.2], dtype)

    def f(x, p, k):
        return x * p + np.sin(x)

    def size(x):
        return np.sum(np.abs(x) ** 2)

    value, (gx, gp), _ = chain_gradient(f, size, x, 9, params=p, slots=1, disk=tmp_path)
    want, (wx, wp) = unrolled(f, size, x, 9, p)
    rtol = 1e-4 if dtype is np.float32 else 1e-10
    for a, b in ((value, want), (gx, wx), (gp, wp)):
        np.testing.assert_allclose(a, b, rtol=rtol)
        assert a.dtype == b.dtype


def test_ten_thousand_steps(tmp_path):
    def f(x, p, k):
        return x + 1e-3 * np.sin(p * x)

    x, p = np.array([0.5, 1.5]), np.array([1.0, 0.5])
    f = wg.jit(f)
    memory = chain_gradient(f, np.sum, x, 10_000, params=p, slots=20)
    both = chain_gradient(f, np.sum, x, 10_000, params=p, memory=20 * 16, disk=tmp_path)
    assert memory.counts.forward_steps == runs(10_000, 20) == 47_976
    assert both.counts.slots == 20
    assert both.counts.forward_steps < 3 * 10_000
    same(memory[:2], both[:2])
    h = 1e-5

    def end(p):
        y = x
        for k in range(10_000):
            y = f(y, p, k)
        return np.sum(y)

    e = np.array([h, 0.0])
    slope = (end(p + e) - end(p - e)) / (2 * h)
    np.testing.assert_allclose(memory.gradient[1][0], slope, rtol=1e-7)


def test_the_peak_grows_with_the_slots_and_not_with_the_steps(tmp_path):
    def f(x, p, k):
        return x + p * np.sin(x)

    def peak(n, slots, disk=None):
        tracemalloc.start()
        try:
            chain_gradient(f, np.sum, x, n, params=np.float64(0.01), slots=slots, disk=disk)
            return tracemalloc.get_traced_memory()[1] / x.nbytes
        finally:
            tracemalloc.stop()

    x = np.ones(100_000)
    peak(3, 1)
    few = peak(20, 3)
    assert few < 3 + 12
    np.testing.assert_allclose(peak(60, 3), few, atol=0.5)
    np.testing.assert_allclose(peak(60, 3, tmp_path), few, atol=0.5)
    np.testing.assert_allclose(peak(60, 13), few + 10, atol=0.5)


def test_a_compiled_step_serves_many_shapes(monkeypatch):
    made = []
    monkeypatch.setattr(chains, "jit", lambda f: made.append(wg.jit(f)) or made[-1])
    f = wg.jit(lambda x, p, k: np.sin(x) * p)
    for size in range(1, chains.PATHS + 4):
        chain_gradient(f, np.sum, np.ones(size), 3, params=np.ones(size), slots=2)
    (kept,) = made
    assert kept.cache_info().signatures == chains.PATHS + 3


@given(st.integers(0, 400), st.integers(1, 12), st.one_of(st.none(), st.integers(0, 500)))
def test_a_disk_never_costs_steps(n, slots, disk_slots):
    starts = disk_positions(n, slots, disk_slots)
    assert starts[0] == 0
    assert all(a < b < n for a, b in itertools.pairwise(starts))
    assert forward_steps(n, slots, starts) <= runs(n, slots)
    assert forward_steps(n, slots, starts) <= 3 * n or disk_slots is not None
    assert disk_slots is None or len(starts) <= disk_slots + 1


@pytest.mark.parametrize("when", [0, 11, 40])
@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_after_an_error(error, when, tmp_path, open_files):
    calls = 0
    during = []

    def failing(state, params, k):
        nonlocal calls
        during.append(open_files(tmp_path))
        if calls == when:
            raise error("stop")
        calls += 1
        return step(state, params, k)

    with pytest.raises(error, match="stop") as caught:
        chain_gradient(
            failing, loss, STATE, 20, params=PARAMS, slots=1, disk=tmp_path, compiled=False
        )
    assert during[-1]  # so the count can see the file
    assert not open_files(tmp_path)  # though the traceback is alive
    assert caught.value.args == ("stop",)
    if error is RuntimeError:
        assert "of a chain of 20" in caught.value.__notes__[0]
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_after_success(tmp_path, open_files):
    got = chain_gradient(step, loss, STATE, 20, params=PARAMS, slots=1, disk=tmp_path)
    assert got.counts.disk_slots == 9
    assert not open_files(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_full_disk(tmp_path, monkeypatch, open_files):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    f, calls = counted(step)
    with pytest.raises(OSError, match=r"no room for 9 states of 48 bytes, 432 bytes in all") as e:
        chain_gradient(f, loss, STATE, 20, params=PARAMS, slots=1, disk=tmp_path)
    assert e.value.errno == errno.ENOSPC
    assert not calls
    assert not open_files(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_no_files(tmp_path, monkeypatch):
    def refused(**_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refused)
    f, calls = counted(step)
    with pytest.raises(PermissionError, match="no file can be made in the folder disk=") as e:
        chain_gradient(f, loss, STATE, 20, params=PARAMS, slots=1, disk=tmp_path)
    assert e.value.filename == str(tmp_path)
    assert not calls


def test_bytes_as_a_float():
    assert chain_gradient(step, loss, STATE, 5, params=PARAMS, memory=1e3).counts.slots == 20


def test_room_is_taken_without_posix(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    got = chain_gradient(step, loss, STATE, 20, params=PARAMS, slots=1, disk=tmp_path)
    assert got.counts.disk_slots
    same(got[:2], unrolled(step, loss, STATE, 20, PARAMS))


def test_steps_may_change_their_state_in_place_but_not_the_parameters():
    def inplace(x, p, k):
        x *= p
        x += 0.1
        return x

    def pure(x, p, k):
        return x * p + 0.1

    x, p = np.array([0.2, 0.4]), np.array([1.1, 0.9])
    got = chain_gradient(inplace, np.sum, x, 9, params=p, slots=2)
    same(got[:2], unrolled(pure, np.sum, x, 9, p))
    assert x.tolist() == [0.2, 0.4]

    def greedy(x, p, k):
        p *= 0.5
        return x * p

    with pytest.raises(ValueError, match="read-only"):
        chain_gradient(greedy, np.sum, x, 9, params=p, slots=2)


def test_one_buffer_for_all_results():
    buffer = np.empty(2)

    @wg.unfollowed
    def f(x, p, k):
        if type(x) is np.ndarray:  # not a traced value
            return np.multiply(np.sin(x), p, out=buffer)
        return np.sin(x) * p

    x, p = np.array([0.2, 0.4]), np.array([1.1, 0.9])
    got = chain_gradient(f, np.sum, x, 9, params=p, slots=2)
    same(got[:2], unrolled(lambda x, p, k: np.sin(x) * p, np.sum, x, 9, p))


def test_a_step_that_is_not_a_function_is_refused():
    random = np.random.default_rng(0)

    def noisy(x, p, k):
        return x * p + random.normal()

    with pytest.raises(wg.errors.InputError, match=r"step \d+ of 9 returned another state"):
        chain_gradient(noisy, np.sum, np.ones(2), 9, params=np.ones(2), slots=2, compiled=False)


@pytest.mark.filterwarnings("ignore::wengert.jit.fallback.NotCompiled")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("compiled", [False, True])
def test_little_noise_is_noise(compiled, dtype):
    """Far below what compiled code may be off by, and above what is rounding."""
    random = np.random.default_rng(0)
    size = np.dtype(dtype).type(np.finfo(dtype).eps ** 0.5)

    def noisy(x, p, k):
        return x * p + size * random.normal(size=2).astype(dtype)

    x = np.ones(2, dtype)
    with pytest.raises(wg.errors.InputError, match=r"step \d+ of 9 returned another state"):
        chain_gradient(noisy, np.sum, x, 9, params=x, slots=2, compiled=compiled)


def test_rounding_is_no_noise():
    """Compiled code is off by more than usual here, and the step is a function all the same."""
    x = np.linspace(0.5, 1, 50, dtype="f4")
    f, calls = counted(lambda x, p, k: np.sin(x))
    run = chains._Run(f, np.sum, chains._Form(x), 9, (), False)
    y = np.sin(x)
    assert run._same([y], [x], 0, [y * np.float32(1.001)])
    assert calls == [0, 0]
    assert run.ran == 0  # a look is no part of what the chain took
    assert not run._same([y], [x], 0, [y * np.float32(1.1)])


X = np.ones(3)
BAD_STEPS = {
    "form": (lambda x, p, k: (x,), wg.errors.ShapeError, "result of step 0 must have the form"),
    "shape": (lambda x, p, k: x[1:], wg.errors.ShapeError, r"step 0 has shape \(2,\)"),
    "dtype": (lambda x, p, k: x.astype("f4"), wg.errors.ShapeError, "step 0 has dtype float32"),
    "later": (lambda x, p, k: x[: 3 - (k == 2)], wg.errors.ShapeError, r"step 2 has shape"),
    "last": (lambda x, p, k: x[: 3 - (k == 4)], wg.errors.ShapeError, r"step 4 has shape"),
}


@pytest.mark.parametrize("name", BAD_STEPS)
def test_steps_that_change_the_form(name):
    bad, error, message = BAD_STEPS[name]
    with pytest.raises(error, match=message):
        chain_gradient(bad, np.sum, X, 5, slots=2)


BAD_CALLS = {
    "neither": ({}, TypeError, "either slots="),
    "both": ({"slots": 2, "memory": 100}, TypeError, "either slots="),
    "no slot": ({"slots": 0}, TypeError, "slots is a whole number, at least 1, not 0"),
    "slots": ({"slots": 2.0}, TypeError, "slots is a whole number"),
    "size": ({"memory": "much"}, TypeError, "memory='much' is not a size"),
    "small": ({"memory": 23}, MemoryError, "has no room for one"),
    "no disk": ({"slots": 2, "disk_slots": 2}, TypeError, "disk_slots needs disk="),
    "path": ({"slots": 2, "disk": 3}, TypeError, "disk=3 is not the path of a folder"),
    "endless": ({"memory": "infGB"}, TypeError, "memory='infGB' is not a size"),
    "masked": (
        {"slots": 2, "state": np.ma.array([1.0, 2.0], mask=[0, 1])},
        TypeError,
        "mask would be lost",
    ),
    "folder": ({"slots": 2, "disk": "nowhere/at/all"}, TypeError, "is not a folder"),
    "params": ({"slots": 2, "params": 3}, TypeError, "params has one of dtype int64"),
    "n": ({"slots": 2, "n": -1}, TypeError, "n is a whole number, at least 0"),
    "state": ({"slots": 2, "state": np.arange(3)}, TypeError, "state has one of dtype int64"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_calls_that_do_not_fit(name):
    options, error, message = BAD_CALLS[name]
    state, n = options.get("state", X), options.get("n", 5)
    rest = {k: v for k, v in options.items() if k not in ("state", "n")}
    with pytest.raises(error, match=message):
        chain_gradient(lambda x, p, k: x, np.sum, state, n, **rest)


def test_it_is_not_differentiated_silently():
    def chain(x, p, k):
        return x * p

    def outer(x):
        return chain_gradient(chain, np.sum, x, 4, params=X, slots=2).value

    def captured(p):
        return chain_gradient(lambda x, _, k: x * p, np.sum, X, 4, slots=2).value

    def in_the_loss(p):
        return chain_gradient(chain, lambda x: np.sum(x * p), X, 4, params=X, slots=2).value

    for f in (outer, captured, in_the_loss, wg.jit(outer)):
        if f is not outer:
            f = wg.grad(f)
        with pytest.raises(wg.errors.InputError, match="cannot be differentiated or compiled"):
            wg.grad(f)(X)
