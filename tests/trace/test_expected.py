"""A tape that expects what repeats records what it would record otherwise."""

import warnings

import numpy as np
import pytest
from tests.rolling.programs import program

import wengert as wg
from wengert.rolling.limits import rolling
from wengert.trace import expected, trail

X = np.array([0.7, 0.4, -0.3, 0.9, 0.5])
N = 60


@pytest.fixture(params=["expecting", "plainly"])
def first(request, monkeypatch):
    """After how few operations a trail looks for a period."""
    monkeypatch.setattr(expected, "FIRST", 6 if request.param == "expecting" else 10**9)
    return request.param


def recorded(f, x, first, monkeypatch):
    """The graph that is recorded, and its result."""
    monkeypatch.setattr(expected, "FIRST", first)
    with rolling(None), np.errstate(all="ignore"):
        compiled = wg.jit(f, backend="numpy")
        return compiled.plan(x).graph, compiled(x)


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_are_recorded_alike(seed, monkeypatch):
    f, x = program(seed)

    def batched(x):
        return wg.vmap(wg.grad(f))(np.stack([x, 0.9 * x]))

    def second(x):
        return wg.hvp(f, (x,), (np.cos(x),))

    for mode in (wg.grad(f), *([f, second, batched] if seed % 8 == 0 else [])):
        graph, y = recorded(mode, x, 6, monkeypatch)
        other, z = recorded(mode, x, 10**9, monkeypatch)
        assert abs(len(graph.nodes) - len(other.nodes)) <= 0.02 * len(other.nodes)
        for a, b in zip(wg.trees.flatten(y)[0], wg.trees.flatten(z)[0], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def lagged(x):
    y = [x[0], x[1], x[2]]
    for t in range(3, N):
        y.append(np.sin(y[t - 3]) * x[t % 5] + y[t - 1] / t)
    return sum(y)


def swapped(x):
    a, b = x[:2], x[2:4]
    for _ in range(N):
        a, b = b * 0.9, a + b
    return np.sum(a * b)


def viewed(x):
    y = np.zeros((N, 2), like=x)
    for t in range(1, N):
        row = y[t]
        row[0] = np.cos(y[t - 1, 1]) + x[0]
        row += x[1:3]
    return np.sum(y**2)


def restless(x):
    """Trips that change their operands, their operations, and the kinds of numbers."""
    s = x[0]
    for t in range(N):
        s = s * (1 if t % 7 == 0 else 0.5) + x[t % 3]
        if t == 31:
            s = s + np.float32(2)
        if 40 < t < 45:
            s = np.tanh(s)
    return s


def masked(x):
    s = x
    for t in range(N):
        s = np.where(s > t / N, s * 0.9, s + x)
    return np.sum(s)


def nested(x):
    s = x[0]
    for i in range(8):
        for j in range(9 if i < 5 else 4):
            s = s + np.exp(-x[j % 5] * s) / (i + 1)
        s = s * x[1]
    return s


TABLE = np.random.default_rng(3).random((N + 1, 3)) - 0.5
MATRIX = np.random.default_rng(4).random((3, 3)) * 0.5


def given(x):
    """Plain arrays, the same one in each trip and another one in each."""
    y = x[:3]
    for t in range(N):
        y = np.tanh(MATRIX @ y + TABLE[t]) * TABLE[0] - np.concatenate([TABLE[t][:1], y[1:]])
    return np.sum(y)


def filled(x):
    """An array that is large enough to wait, filled entry by entry."""
    y = np.zeros(5000, like=x)
    y[0] = x[0]
    for t in range(1, N):
        y[t] = np.sin(y[t - 1]) * x[1] + 1 / t
    return np.sum(y[:N] ** 2)


def shared(x):
    """A value that each trip computes again, and one of the trip before."""
    s, last = x[0], x[1]
    for _ in range(N):
        s, last = s * np.exp(x[2]) + np.sin(last), s - np.sin(last)
    return s * last


@pytest.mark.parametrize(
    "f",
    [lagged, swapped, viewed, restless, masked, nested, given, filled, shared],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("transform", [wg.grad, lambda f: f], ids=["grad", "value"])
def test_loops_are_recorded_alike(transform, f, monkeypatch):
    graph, y = recorded(transform(f), X, 6, monkeypatch)
    other, z = recorded(transform(f), X, 10**9, monkeypatch)
    if f is not nested:  # whose number of the inner trip happens to equal another's
        assert [n.op for n in graph.nodes] == [n.op for n in other.nodes]
        assert [n.line for n in graph.nodes] == [n.line for n in other.nodes]
    np.testing.assert_allclose(y, z, rtol=1e-12)
    np.testing.assert_allclose(y, transform(f)(X), rtol=1e-10)


@pytest.mark.parametrize(
    "f", [lagged, swapped, masked, viewed, given, filled], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("transform", [wg.grad, lambda f: f], ids=["grad", "value"])
def test_most_of_a_loop_is_expected(transform, f, monkeypatch):
    seen = []
    kind = trail.TapeTrail if transform is wg.grad else trail.RecorderTrail
    again = kind._again
    monkeypatch.setattr(kind, "_again", lambda *a: seen.append(again(*a)) or seen[-1])
    recorded(transform(f), X, 12, monkeypatch)
    assert sum(y is not None for y in seen) > 0.5 * len(seen) > 40


def test_numbers_of_python_stay_what_they_are(monkeypatch):
    def f(r):
        x, k = 0.3, np.float32(1.5)
        for t in range(N):
            x = r * x * (1 - x) + 1 / (t + 2)
            x = x / (1 + x**2)
        return x * k  # of a Python number and a float32: a float32

    for transform in (wg.grad, wg.value_and_grad):
        monkeypatch.setattr(expected, "FIRST", 6)
        found = wg.jit(transform(f))(0.7)
        monkeypatch.setattr(expected, "FIRST", 10**9)
        wanted = wg.jit(transform(f))(0.7)
        for a, b in zip(wg.trees.flatten(found)[0], wg.trees.flatten(wanted)[0], strict=True):
            assert (type(a), getattr(a, "dtype", None)) == (type(b), getattr(b, "dtype", None))
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_plain_arrays_that_change(first):
    def f(x):
        y, w = x[0], np.ones(3)
        for t in range(N):
            w = w * 0.9 if t % 2 else np.roll(w, 1)
            y = y * 0.5 + np.sum(w * x[:3]) / (t + 1)
        return y

    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(f)(X))


def test_an_index_out_of_range_is_raised(first):
    def f(x):
        y = x[0]
        for t in range(N):
            y = y * x[1] + x[t] * 0.5
        return y

    with pytest.raises(IndexError, match="out of bounds"):
        wg.jit(wg.grad(f))(X)
    assert np.isfinite(wg.jit(wg.grad(f))(np.full(N, 0.5))).all()


def test_an_exception_that_is_caught(first):
    def f(x):
        y = x[0]
        for t in range(N):
            try:
                y = y * x[1] + x[t]
            except IndexError:
                y = y * 0.5
        return y

    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(f)(X))


def test_error_states_of_a_few_trips(first):
    def f(x):
        y, caught = x[0], 0
        for t in range(N):
            with np.errstate(divide="raise" if t == 50 else "ignore"):
                try:
                    y = y * 0.5 + 1 / (t - 50 + 0 * y)
                except FloatingPointError:
                    caught += 1
        return y + caught

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert wg.jit(f)(X) == f(X)
        np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(f)(X))


def test_decisions_are_taken_as_ever(first):
    def f(x):
        y = x[0]
        for _ in range(N):
            y = y * 1.1 + 0.01
            if y > x[4]:
                y = y - x[1]
        return y

    compiled = wg.jit(wg.grad(f))
    for scale in (1.0, 0.3, 2.0):
        np.testing.assert_allclose(compiled(X * scale), wg.grad(f)(X * scale))


def test_a_value_that_is_let_go_is_not_read_again(first):
    def step(y, x):
        for _ in range(10):
            y = np.sin(y) * x
        return y

    def f(x):
        y = x
        for _ in range(12):
            y = wg.checkpoint(step)(y, x)
        return np.sum(y)

    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(f)(X))


def test_a_derivative_within_a_loop(first):
    def inner(y, a):
        for _ in range(10):
            y = np.tanh(y * a)
        return y

    def f(x):
        y = x[0]
        for _ in range(8):
            y = y - 0.1 * wg.grad(inner)(y, x[1])
        return y

    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(f)(X), rtol=1e-10)
    np.testing.assert_allclose(wg.jit(wg.hessian(f))(X), wg.hessian(f)(X), rtol=1e-8, atol=1e-10)


def test_a_trail_that_expects_in_vain_ends(monkeypatch):
    """Where nothing repeats, it looks for a period some times, and no more."""
    monkeypatch.setattr(expected, "FIRST", 6)
    monkeypatch.setattr(expected, "LONGEST", 8)
    operations = [np.sin, np.cos, np.tanh, np.arctan, np.square, np.abs, np.exp, np.negative]
    order = np.random.default_rng(3).integers(0, len(operations), 600)
    ended = []
    made = trail.Trail._failed

    def noted(self, again):
        made(self, again)
        ended.append(self._ended)

    monkeypatch.setattr(trail.Trail, "_failed", noted)

    def f(x):
        y = x
        for k in order.tolist():
            y = np.sin(operations[k](y))
        return np.sum(y)

    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(f)(X), rtol=1e-12)
    assert any(ended)


def rising_slices(x):
    c, b = x * 1.0, np.zeros(20)
    for t in range(20):
        c = 0.5 * c + 0.1 * c**2
        b[: t + 1] += 0.1 * np.sum(c)
    return b


def falling_slices(x):
    c, b = x * 1.0, np.zeros(20, like=x)
    for t in range(19, -1, -1):
        c = 0.5 * c + 0.1 * c**2
        b[t:] += 0.1 * np.sum(c)
    return b


def longer_arrays(x):
    c = x * 1.0
    for _ in range(20):
        c = np.concatenate([c * 0.9, np.sin(c[:1]) + 0.1])
    return c


@pytest.mark.parametrize("backend", ["numpy", "native"])
@pytest.mark.parametrize("f", [rising_slices, falling_slices, longer_arrays])
def test_what_grows_from_trip_to_trip_is_not_expected(f, backend):
    x = np.random.default_rng(0).random((3, 4))
    for made in (
        lambda x: f(x[0]),
        wg.vmap(f),
        wg.grad(lambda x: np.sum(wg.vmap(f)(x) ** 2)),
        lambda x: wg.jvp(lambda r: f(r[0]), (x,), (x,))[1],
    ):
        compiled = wg.jit(made, backend=backend)
        for scale in (1.0, 0.7):
            np.testing.assert_allclose(compiled(x * scale), made(x * scale), rtol=1e-11, atol=1e-13)
