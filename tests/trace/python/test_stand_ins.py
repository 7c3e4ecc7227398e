"""Functions as people write them: each is differentiated as it stands, in every mode."""

from __future__ import annotations

import cmath
import dataclasses
import functools
import gc
import itertools
import math
import statistics

import numpy as np
import pytest

import wengert as wg
from wengert.chains import chain_gradient
from wengert.errors import BatchedControlError

X = np.array([0.7, 1.3])
TABLE = np.array([1.0, 2.0, 4.0, 8.0])
FUNCTIONS = {}


def case(f):
    FUNCTIONS[f.__name__] = f
    return f


class Model:
    """Keeps an array that it fills."""

    def __init__(self, k):
        self.k = k
        self.h = np.zeros(3)

    def step(self, x):
        self.h[1] = x[0] * self.k
        return np.array([self.h[1], x[1]])

    def __call__(self, x):
        return self.step(x) * math.exp(x[1])


@dataclasses.dataclass
class Spring:
    stiffness: float
    length: float = 1.0

    def energy(self, x):
        return 0.5 * self.stiffness * math.pow(x - self.length, 2)


@functools.lru_cache
def knots(n):
    return np.arange(n) + 1.0


@functools.lru_cache
def cached_square(x):
    return x * x


def power(x, n):
    return 1.0 if n == 0 else float(x) * power(x, n - 1)


def decorated(f):
    @functools.wraps(f)
    def wrapper(*args):
        return f(*[float(a) for a in args])

    return wrapper


@decorated
def product(a, b):
    return math.sqrt(a) * b


def collected(xs):
    for x in xs:
        yield math.atan(x)


@case
def array_of_numbers(x):
    return np.sum(np.array([x[0], x[1] ** 2, 3.0]) ** 2)


@case
def nested_array(x):
    return np.linalg.det(np.array([[x[0], 1.0], [2.0, x[1]]]))


@case
def asarray_first(x):
    x = np.asarray(x, dtype=float)
    return x @ np.atleast_1d(x)


@case
def filled(x):
    y = np.zeros(4)
    for i in range(4):
        y[i] = x[i % 2] * i
    return y @ y


@case
def filled_like(x):
    y = np.empty_like(TABLE)
    y[:2] = x
    y[2:] = 1.0
    z = np.zeros_like(x)
    z += x * y[:2]
    return np.sum(y * y) + np.sum(z)


@case
def filled_matrix(x):
    a = np.eye(2)
    a[0, 1] = x[0]
    a[1, 0] = 0.1 * x[1]
    return np.linalg.slogdet(a)[1]


@case
def filled_copy(x):
    y = TABLE.copy()
    y[1] = x[0]
    w = np.array([1.0, 2.0])
    w[0] *= x[1]
    return y @ y + w.sum()


@case
def filled_before_and_after(x):
    y = np.full(3, 2.0)
    y[0] = 5.0
    y[1] = x[0]
    y[2] += y[1] * y[0]
    view = y[1:]
    view *= x[1]
    return y.sum()


@case
def recurrence(x):
    y = np.zeros(6)
    y[0], y[1] = x
    for i in range(2, 6):
        y[i] = math.sin(y[i - 1]) + y[i - 2]
    return y[-1]


@case
def object_with_state(x):
    return np.sum(Model(x[1]).step(x)) + np.sum(Model(2.0)(x))


@case
def dataclass(x):
    return Spring(x[0]).energy(x[1])


@case
def list_arguments(x):
    return np.mean([x[0], x[0] + 2 * x[1]]) * np.max([x[0], 1.0]) + np.dot([x[0], 1.0], [x[1], 2])


@case
def row_and_column(x):
    return np.r_[x, 1.0, x[0]] @ TABLE + np.sum(np.c_[x, x**2] * np.c_[x, x])


@case
def mathematics(x):
    a, b = x
    return (
        math.hypot(a, b) + math.atan2(a, b) + math.log(a, 3) + math.log1p(b) + math.expm1(a)
        + math.erf(a) + math.gamma(b) + math.lgamma(b) + math.degrees(a) + math.cosh(b)
        + math.copysign(a, -1) + math.fmod(b, a) + math.dist([a, b], [0.0, 1.0])
        + math.prod([a, b, 2]) + math.fsum([a, b]) + math.remainder(b, a) + math.cbrt(a)
        + math.modf(b)[0] + math.fabs(-a) + math.exp2(a) + math.tanh(b)
    )  # fmt: skip


@case
def parts_of_a_number(x):
    part, power = math.frexp(x[0] * x[1])
    return math.ldexp(part, power + 1) + math.floor(x[1]) * x[0]


@case
def complex_numbers(x):
    z = cmath.exp(1j * x[0]) * complex(x[1], 2.0)
    r, phi = cmath.polar(z)
    return z.real + abs(cmath.sqrt(z)) + r * phi + cmath.phase(z)


@case
def mapped(x):
    total = functools.reduce(lambda a, b: a * b, [2 * v for v in x])
    last = list(itertools.accumulate(x, lambda a, b: math.sin(a) * b))[-1]
    return total + sum(map(math.sin, x)) + last + sum(collected(x))


@case
def chosen(x):
    largest = max(x, key=lambda v: math.cos(v))
    return largest * sorted(x, reverse=True)[0] + min(x[0], x[1]) + abs(-x[0])


@case
def moments(x):
    data = [x[0], x[1], 3.0]
    return statistics.mean(data) * statistics.stdev(data) + statistics.median(data) ** 2


@case
def vectorized(x):
    return np.vectorize(lambda t: math.cos(t) if t < 1 else t)(x).sum()


@case
def along_an_axis(x):
    return np.apply_along_axis(lambda r: math.exp(r[0]) * r, 0, x).sum()


@case
def from_an_iterator(x):
    return np.fromiter((v**2 for v in x), float).sum() + np.append(x, x[0]).sum()


@case
def caches(x):
    return knots(2) @ x + cached_square(x[0])


@case
def recursion(x):
    return power(x[0], 4) * product(x[0], x[1])


@case
def asks_for_its_kind(x):
    if type(x) is np.ndarray and isinstance(x, np.ndarray):
        return np.float64(x[0]) * x[1]
    return 0 * x[0]


@case
def plain_arrays_read_at_traced_places(x):
    return TABLE[np.argmax(x)] * x[0] + TABLE.dot(np.repeat(x, 2)) + TABLE.take(np.argmin(x)) * x[1]


@case
def plain_arrays_stay_plain(x):
    mask = np.zeros(2, dtype=bool)
    mask[1] = True
    order = np.zeros(2, dtype=int)
    order[0] = 1
    weights = np.ones(2)
    weights[0] = np.interp(0.5, [0.0, 1.0], weights)
    return x[mask].sum() * x[order][0] + weights @ x + TABLE[order].sum() * x[0]


# Views that are made before a traced value is written into what they are views of.
def early_view(f):
    def function(x):
        y = np.zeros((3, 2))
        return f(y, x)

    function.__name__ = f"early_{f.__name__}"
    FUNCTIONS[function.__name__] = function
    return f


@early_view
def row(y, x):
    r = y[1]
    y[1] = x
    return (r * r).sum() + np.sin(r).sum() - r[0] + abs(r[1])


@early_view
def transposed(y, x):
    t, flat = y.T, y.ravel()
    y[1] = x
    return (2 * t).sum() + np.sum(t) + t.mean() + np.dot(flat, np.arange(6.0))


@early_view
def view_of_a_view(y, x):
    r = y[1]
    q = r[:1]
    y[1] = x
    z = np.zeros(2)
    z[:] = r
    return (q + q).sum() * float(r[1]) + z @ z


@early_view
def rows_that_are_written(y, x):
    rows = [y[k] for k in range(3)]
    for k in range(3):
        rows[k][:] = x * k
    return (y @ np.ones(2)).sum() + sum(r.sum() for r in rows)


@early_view
def row_in_functions(y, x):
    r = y[1]
    y[1] = x
    column = r.reshape(2, 1)
    return (
        math.exp(r[0]) + max(r) + np.array([r[0], r[1]]).sum() + np.concatenate([r, r]).sum()
        + np.where(r > 1, r, 0).sum() + r.copy().sum() + (column @ column.T).sum()
    )  # fmt: skip


def differences(f, x, h=1e-6):
    return np.array([(f(x + e) - f(x - e)) / (2 * h) for e in h * np.eye(len(x))])


def second(f, x):
    return np.array([differences(lambda y, i=i: wg.grad(f)(y)[i], x) for i in range(len(x))])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_written(name):
    f = FUNCTIONS[name]
    expected = differences(f, X)
    np.testing.assert_allclose(wg.grad(f)(X), expected, rtol=1e-6, atol=1e-7)
    value, gradient = wg.value_and_grad(f)(X)
    np.testing.assert_allclose(value, f(X), rtol=1e-14)
    assert type(gradient) is np.ndarray
    np.testing.assert_allclose(wg.jacfwd(f)(X), expected, rtol=1e-6, atol=1e-7)
    _, t = wg.jvp(f, (X,), (np.ones(2),))
    np.testing.assert_allclose(t, expected.sum(), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled(name):
    f = FUNCTIONS[name]
    near = X * 1.01
    for compiled, plain in ((wg.jit(f), f), (wg.jit(wg.grad(f)), wg.grad(f))):
        for x in (X, X, near):
            np.testing.assert_allclose(compiled(x), plain(x), rtol=1e-12)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_order(name):
    f = FUNCTIONS[name]
    np.testing.assert_allclose(wg.hessian(f)(X), second(f, X), rtol=1e-5, atol=1e-6)


DECIDING = {"chosen", "early_row_in_functions", "parts_of_a_number", "vectorized"}
"""Functions that decide by each number."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_batches(name):
    f = FUNCTIONS[name]
    rows = np.stack([X, X * 1.01])
    try:
        found = wg.vmap(wg.grad(f))(rows)
    except BatchedControlError:
        assert name in {
            "chosen",
            "early_row_in_functions",
            "parts_of_a_number",
            "vectorized",
        }  # which decide by each number
        return
    np.testing.assert_allclose(found, [wg.grad(f)(r) for r in rows], rtol=1e-12)


ERRORS = {
    "sqrt": (lambda x: math.sqrt(x), -1.0),
    "log": (lambda x: math.log(x), 0.0),
    "acos": (lambda x: math.acos(x), 2.0),
    "exp": (lambda x: math.exp(x), 1000.0),
    "pow": (lambda x: math.pow(x, 0.5), -1.0),
    "gamma": (lambda x: math.gamma(x), -2.0),
    "sin": (lambda x: math.sin(x), math.inf),
    "float of an array": (lambda x: float(np.array([x, x])), 1.0),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_python_raises_is_raised(name):
    f, x = ERRORS[name]
    with pytest.raises(Exception) as plain:  # noqa: PT011
        f(x)
    good = wg.jit(f) if name.startswith("float") else compiled_at_half(f)
    for run in (wg.grad(f), wg.jit(f), wg.jit(wg.grad(f)), good):
        with pytest.raises(plain.type):
            run(x)


def compiled_at_half(f):
    """Return a compiled function that has met a number that it has a value for."""
    compiled = wg.jit(f)
    compiled(0.5)
    return compiled


def test_results_are_plain():
    def f(x):
        y = np.zeros(2)
        y[0] = 1.0
        return np.sum(x), {"a": y, "b": [np.ones(2)], "c": np.zeros(())}

    for run in (wg.grad(f, has_aux=True), wg.jit(wg.grad(f, has_aux=True))):
        _, aux = run(X)
        assert type(aux["a"]) is np.ndarray
        assert type(aux["b"][0]) is np.ndarray
        np.testing.assert_array_equal(aux["a"], [1.0, 0.0])
    y = wg.vmap(lambda x: (x, np.zeros(2)))(X)[1]
    assert type(y) is np.ndarray


@wg.unfollowed
def converted(y):
    return np.asarray(y)


def test_arrays_that_are_filled_reach_other_code():
    seen = []

    def f(x):
        y = np.zeros(2)
        y[1] = 2.0
        seen.append(converted(y))
        np.testing.assert_array_equal(y, [0.0, 2.0])
        assert y.tobytes() == np.array([0.0, 2.0]).tobytes()
        assert isinstance(y, np.ndarray)
        y[0] = x[0]
        return y @ y

    np.testing.assert_allclose(wg.grad(f)(X), [2 * X[0], 0.0])
    assert type(seen[0]) is np.ndarray
    assert not seen[0].flags.writeable  # what is written into it would be lost


def test_earlier_copies_do_not_move():
    def f(x):
        y = np.zeros(3)
        a = y + 1
        b = y[:2]
        c = y.copy()
        y[0] = 3.0
        y[1] = x[0]
        return np.sum(a) * x[0] + np.sum(b * c[:2]) + np.sum(b) * x[1]

    np.testing.assert_allclose(wg.grad(f)(X), [3.0 + X[1], 3.0 + X[0]])


def test_a_loop_fills_without_copies_where_nothing_is_traced():
    def f(x):
        y = np.zeros(20_000)
        for i in range(len(y)):
            y[i] = i
        return y[3] * x

    assert wg.grad(f)(2.0) == 3.0


class Keeper:
    """Keeps what it makes while it is differentiated."""

    shared = None
    __slots__ = ("__dict__", "weights")

    def __call__(self, x):
        self.weights = np.ones(3)
        self.grids = [np.zeros(2) + 1.0, {"a": np.full(3, 2.0)}]
        Keeper.shared = np.zeros(3)
        STORE["made"] = np.zeros(3)
        STORE["made"][1] = 2.0
        return (self.weights + STORE["made"] + self.grids[1]["a"]) @ x


STORE = {}


@pytest.mark.parametrize("take", [wg.grad, lambda f: wg.jit(wg.grad(f)), wg.jit])
def test_what_a_function_keeps_are_arrays(take):
    gc.unfreeze()  # so that the class is among what the collector knows
    keeper = Keeper()
    cell = None

    def f(x):
        nonlocal cell
        cell = np.zeros(2)
        return keeper(x)

    take(f)(np.ones(3))
    kept = (keeper.weights, keeper.grids[0], keeper.grids[1]["a"], Keeper.shared, STORE["made"])
    assert [type(a) for a in (*kept, cell)] == [np.ndarray] * 6
    np.testing.assert_array_equal(STORE["made"], [0.0, 2.0, 0.0])
    np.testing.assert_array_equal(keeper(np.ones(3)), 11.0)


def test_what_was_recorded_does_not_move():
    def f(x):
        y = np.ones(3)
        _, pull = wg.vjp(lambda v: np.sum(v**2), y)
        y[0] = 5.0
        return np.sum(pull(1.0)[0]) * x

    assert wg.grad(f)(2.0) == 6.0


def test_results_belong_to_the_caller():
    def f(x):
        y = np.ones(3)
        return np.sum(x * y), y

    _, pull, y = wg.vjp(f, X[0], has_aux=True)
    y[:] = 100.0
    assert pull(1.0)[0] == 3.0


WITHIN = {
    "a compiled function": lambda f: wg.grad(wg.jit(f)),
    "checkpoint": lambda f: wg.grad(wg.checkpoint(f)),
    "checkpoint, compiled": lambda f: wg.jit(wg.grad(wg.checkpoint(f))),
    "vjp": lambda f: lambda x: wg.vjp(f, x)[1](1.0)[0],
    "linearize": lambda f: lambda x: np.array([wg.linearize(f, x)[1](v) for v in np.eye(2)]),
    "sparse": lambda f: (
        lambda x: wg.jacobian(lambda x: np.array([f(x)]), format="csr")(x).toarray()[0]
    ),
    "scan": lambda f: wg.grad(
        lambda x: wg.scan(lambda c, _: (c, f(c)), x, None, length=1)[1].sum()
    ),
    "chain": lambda f: (
        lambda x: chain_gradient(
            lambda s, p, k: s * f(p), lambda s: s, 1.0, 1, params=x, slots=1, compiled=False
        ).gradient[1]
    ),
}


@pytest.mark.share(3)
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("way", WITHIN)
def test_within_others(way, name):
    f = FUNCTIONS[name]
    np.testing.assert_allclose(WITHIN[way](f)(X), wg.grad(f)(X), rtol=1e-9, atol=1e-12)
