"""Loops that are taken in while they run give what loops recorded trip by trip give."""

import numpy as np
import pytest

import wengert as wg
from wengert.rolling.limits import Limits, rolling
from wengert.trace import expected, folding

X = np.array([0.7, 0.4, -0.3, 0.9, 0.5])
TABLE = np.linspace(0.2, 0.9, 40)
ROWS = np.cos(np.arange(120.0)).reshape(40, 3)
N = 30


@pytest.fixture(autouse=True)
def early(monkeypatch):
    """Take in short loops, too."""
    monkeypatch.setattr(expected, "FIRST", 6)
    monkeypatch.setattr(folding, "LEAST", 8)
    monkeypatch.setattr(folding, "TRIPS", 3)
    monkeypatch.setattr(folding, "HELD", 12)
    monkeypatch.setattr(folding, "WORTH", 0)
    with np.errstate(all="ignore"):  # warnings are errors here, which nothing may wait for
        yield


@pytest.fixture
def looped(monkeypatch):
    """How many folds became loops, and how many were recorded trip by trip."""
    found = {True: 0, False: 0}
    close = folding.Fold._looped

    def counted(self):
        made = close(self)
        found[made] += 1
        return made

    monkeypatch.setattr(folding.Fold, "_looped", counted)
    return found


def numbers(x):
    s, p = x[0], x[1]
    for t in range(N):
        s, p = np.sin(s) * TABLE[t] + p / (t + 2.0), 0.9 * p + 0.1 * s * t
    return s * p


def vectors(x):
    v, w = x[:3], np.ones(3)
    for t in range(N):
        v, w = np.tanh(v * ROWS[t] + w), 0.5 * v
    return np.sum(v * w)


def reads(x):
    s = x[0]
    for t in range(N):
        s = np.cos(s) + x[t % 5] * x[4]
    return s


def lags(x):
    last = [x[0], x[1], x[2]]
    for t in range(N):
        last = [*last[1:], np.sin(last[0]) + TABLE[t] * last[2]]
    return sum(last)


def nested(x):
    v = x[1:4]
    for t in range(12):
        for _ in range(3):
            v = np.sqrt(1 + v * v) - 0.3 * v[::-1]
        v = v * TABLE[t]
    return np.sum(v)


def updated(x):
    u = x[:4]
    for _ in range(N):
        u = u.copy()
        u[1:] = 0.5 * u[:-1] + np.sin(u[1:])
    return np.sum(u**2)


def some_kept(x):
    v, kept = x[:3], []
    for t in range(N):
        v = np.sin(v) + 0.1
        if t % 10 == 3:
            kept.append(v)
    return sum(np.sum(k) for k in kept) * np.sum(v)


def all_kept(x):
    y = [x[0]]
    for t in range(N):
        y.append(np.sin(y[-1]) * x[1] + TABLE[t])
    return np.sum(np.stack(y) ** 2)


def looks(x):
    v = x[:3]
    for t in range(N):
        v = np.tanh(v) * 1.5 + ROWS[t]
        if t == 17:
            assert "Traced" in str(v)
    return np.sum(v)


def differs_once(x):
    v = x[:3]
    for t in range(2 * N):
        v = np.exp(-v) if t == 40 else np.sin(v) + 0.2
    return np.sum(v)


def two(x):
    v = x[:3]
    for _ in range(N):
        v = np.sin(v) + 0.2
    w = np.sum(v) * x
    for t in range(N):
        w = np.cos(w) * TABLE[t]
    return np.sum(v) * np.sum(w)


def singles(x):
    v = x.astype(np.float32)
    for t in range(N):
        v = v * 0.5 + np.float32(TABLE[t]) * np.sin(v)
    return np.sum(v)


LOOPS = [
    numbers, vectors, reads, lags, nested, updated, some_kept, all_kept, looks, differs_once, two,
    singles,
]  # fmt: skip
MODES = {
    "value": lambda f: lambda x: f(x),
    "grad": wg.grad,
    "jvp": lambda f: lambda x: wg.jvp(f, (x,), (np.cos(x),)),
    "hvp": lambda f: lambda x: wg.hvp(f, (x,), (np.cos(x),)),
    "vmap": lambda f: lambda x: wg.vmap(wg.grad(f))(np.stack([x, 0.9 * x])),
}


def results(f, limits, x=X, backend="numpy"):
    with rolling(limits):
        compiled = wg.jit(f, backend=backend)
        first = compiled(x)
        return wg.trees.flatten([first, compiled(0.8 * x)])[0], compiled


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("f", LOOPS, ids=lambda f: f.__name__)
def test_results_are_those_of_single_trips(f, mode):
    ys, _ = results(MODES[mode](f), Limits())
    zs, _ = results(MODES[mode](f), None)
    for y, z in zip(ys, zs, strict=True):
        np.testing.assert_allclose(y, z, rtol=1e-5 if f is singles else 1e-10, atol=1e-12)
        assert y.dtype == z.dtype


@pytest.mark.parametrize("f", [numbers, vectors, updated, some_kept, singles])
@pytest.mark.parametrize("mode", ["value", "grad"])
def test_trips_become_one_operation(f, mode, looped):
    _, compiled = results(MODES[mode](f), Limits())
    assert looped[True] >= 1
    nodes = compiled.plan(X).graph.nodes
    assert "scan" in [n.op.name for n in nodes]


def test_what_is_recorded_does_not_grow_with_the_trips():
    appended = []
    for n in (100, 400):

        def f(v, n=n):
            for _ in range(n):
                v = np.sin(v) * 1.1 + 0.1
            return np.sum(v)

        with rolling(Limits()):
            gradient = wg.jit(wg.grad(f), backend="numpy")
            appended.append(len(gradient.plan(X).graph.nodes))
    assert appended[0] == appended[1] < 40


def test_many_values_that_stay_in_use_end_it(looped):
    results(wg.grad(all_kept), Limits())
    assert looped == {True: 0, False: 1}


def test_an_index_out_of_range_raises_in_its_trip():
    reached = []

    def f(x):
        s = x[0]
        for t in range(N):
            reached.append(t)
            s = np.sin(s) + x[t // 5]
        return s

    with rolling(Limits()), pytest.raises(IndexError):
        wg.jit(wg.grad(f))(X)
    assert reached[-1] == 25


def test_plain_arrays_that_change_count_as_they_were(looped):
    def f(x):
        row, v = np.zeros(3), x[:3]
        for t in range(N):
            row[:] = ROWS[t]
            v = np.sin(v) + row
        return np.sum(v)

    ys, _ = results(wg.grad(f), Limits())
    zs, _ = results(wg.grad(f), None)
    np.testing.assert_allclose(ys[0], zs[0], rtol=1e-12)


@pytest.mark.filterwarnings("ignore::wengert.jit.fallback.NotCompiled")
def test_errors_that_raise_are_seen():
    def f(x):
        s = x[0]
        for t in range(N):
            if t < 20:
                s = s * 0.5 + 1
            else:
                with np.errstate(all="raise"):
                    s = s * 1e200 + 1
        return s

    with rolling(Limits()), pytest.raises(FloatingPointError):
        wg.jit(wg.grad(f))(X)


def test_a_value_of_a_loop_that_failed_says_so():
    seen = []

    def f(x):
        v = x
        for t in range(N):
            v = np.sin(v) * TABLE[t]
            seen.append(v)
            del seen[:-1]
        raise KeyError("stop")

    with rolling(Limits()), pytest.raises(KeyError):
        wg.jit(wg.grad(f))(X)
    with pytest.raises(wg.errors.LeakedTracerError):
        np.sum(seen[0])


def test_after_a_scan_and_in_a_checkpoint():
    def body(v):
        for t in range(N):
            v = np.sin(v) * TABLE[t]
        return v

    def f(x):
        v, _ = wg.scan(lambda c, _: (np.sin(c), None), x, length=5)
        v = wg.checkpoint(body)(v)
        for t in range(N):
            v = np.cos(v) * TABLE[t]
        v, _ = wg.scan(lambda c, _: (np.sin(c), None), v, length=5)
        return np.sum(v)

    ys, _ = results(wg.grad(f), Limits())
    zs, _ = results(wg.grad(f), None)
    np.testing.assert_allclose(ys[0], zs[0], rtol=1e-12)


def as_scan(x):
    v, _ = wg.scan(lambda v, row: (np.tanh(v * row) + 0.1, None), x[:3], ROWS)
    return np.sum(v)


def as_loop(x):
    v = x[:3]
    for row in ROWS:
        v = np.tanh(v * row) + 0.1
    return np.sum(v)


def pair_as_scan(x):
    def step(pair, _):
        a, b = pair
        return (np.sin(a) * b, 0.9 * b + a * 0.01), None

    (a, b), _ = wg.scan(step, (x[0], x[1]), None, length=N)
    return a * b


def pair_as_loop(x):
    a, b = x[0], x[1]
    for _ in range(N):
        a, b = np.sin(a) * b, 0.9 * b + a * 0.01
    return a * b


@pytest.mark.parametrize(("loop", "scan"), [(as_loop, as_scan), (pair_as_loop, pair_as_scan)])
@pytest.mark.parametrize("mode", ["value", "grad"])
def test_the_program_is_that_of_a_scan_of_the_same_body(loop, scan, mode):
    with rolling(Limits()):
        one, other = (wg.jit(MODES[mode](f)).plan(X).graph for f in (loop, scan))
    assert one.text == other.text
