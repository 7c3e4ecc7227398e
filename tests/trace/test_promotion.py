"""Python numbers leave the dtype of a result to arrays (NEP 50), differentiated as not."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import wengert as wg
from wengert.errors import WengertError
from wengert.ops.elementwise import UFUNCS

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")

ARRAYS = {
    **{dtype: np.ones(2, dtype) for dtype in ("f4", "f2", "c8", "i1", "u1", "?", "f8")},
    "scalar": np.float32(1),
    "0-d": np.array(1, "f4"),
}
NUMBERS = {int: 2, float: 0.5, complex: 0.5 + 0.5j, bool: True}
FUNCTIONS = {
    "where": lambda a, p: np.where(a > 0, a, p),
    "clip": lambda a, p: np.clip(a, p, 2),
    "method clip": lambda a, p: a.clip(p, 2),
    "concatenate": lambda a, p: np.concatenate([a, np.atleast_1d(p)]),
    "append": lambda a, p: np.append(a, p),
    "full_like": lambda a, p: np.full_like(a, p),
    "select": lambda a, p: np.select([a > 1, a > 0], [a, a], p),
    "dot": lambda a, p: np.dot(a, p),
    "outer": lambda a, p: np.outer(a, p),
    "inner": lambda a, p: np.inner(a, p),
    "multiply.outer": lambda a, p: np.multiply.outer(a, p),
    "interp": lambda a, p: np.interp(p, a, a),
    "nan_to_num": lambda a, p: np.nan_to_num(a, nan=p),
    "linspace": lambda a, p: np.linspace(a, p, 3),
    "operators": lambda a, p: (2 * p + 1) * a - p / a,
    "in place": lambda a, p: _updated(a, p),
    "assigned": lambda a, p: _assigned(a, p),
    "in turn": lambda a, p: np.maximum(np.add(a, p), p * p),
    "function of it": lambda a, p: np.sin(p) * a,
    "max of two": lambda a, p: np.maximum(p, 0.25) * a,
    "result_type": lambda a, p: np.zeros(3, np.result_type(a, p)),
    "safe": lambda a, p: np.add(a, p, casting="safe"),
    "trapezoid": lambda a, p: np.trapezoid(a, dx=p),
    "round": lambda a, p: round(p, 1) * a,
    "real": lambda a, p: p.real * a,
    "imag": lambda a, p: p.imag * a,
    "conjugate": lambda a, p: p.conjugate() * a,
    "absolute": lambda a, p: abs(p) * a,
    "stop_gradient": lambda a, p: wg.stop_gradient(p) * a,
    "sum": lambda a, p: sum([p, p]) * a,
    "reshape": lambda a, p: np.reshape(p, ()) * a,
    "negative": lambda a, p: -p * a,
    "method clip of one bound": lambda a, p: a.clip(p),
}


def _updated(a, p):
    y = a.copy()
    y *= p
    return y


def _assigned(a, p):
    y = a.copy()
    y[0] = p
    return y


def kinds(y):
    return [(np.shape(v), np.asarray(v).dtype) for v in _flat(y)]


def ways(f, a, p):
    """Yield values and what must have their dtypes, by differentiating the array or the number."""
    yield lambda: (wg.jit(f, backend="numpy")(a, p),)
    one = np.ones_like(a)
    if a.dtype.kind in "fc":
        yield lambda: _reversed(lambda b: f(b, p), a)
        yield lambda: wg.jvp(lambda b: f(b, p), (a,), (one,))
    if isinstance(p, (float, complex)):

        def g(q):
            return f(a, q)

        yield lambda: _reversed(g, p)
        yield lambda: wg.jvp(g, (p,), (type(p)(1),), allow_int=True)
        yield lambda: (wg.linearize(g, p, allow_int=True)[0],)
        yield lambda: wg.jit(
            lambda q: wg.jvp(g, (q,), (type(p)(1),), allow_int=True), backend="numpy"
        )(p)
        yield lambda: (wg.jit(lambda q: wg.vjp(g, q, allow_int=True)[0], backend="numpy")(p),)
    if a.dtype.kind in "fc" and isinstance(p, (float, complex)):
        yield lambda: wg.jvp(f, (a, p), (one, type(p)(1)), allow_int=True)


def _reversed(f, x):
    y, pull = wg.vjp(f, x, allow_int=True)
    if not isinstance(y, tuple) and np.asarray(y).dtype.kind in "fc":
        (ct,) = pull(np.ones_like(y))
        assert ct is None or np.asarray(ct).dtype == np.asarray(x).dtype
    return (y,)


def check(f, a, p):
    """Compare dtypes of values, tangents and cotangents with plain NumPy's of the value."""
    try:
        want = kinds(f(a, p))
    except (TypeError, ValueError, IndexError, OverflowError):
        return
    for way in ways(f, a, p):
        try:
            made = way()
        except WengertError:
            continue
        for part in made:
            if part is None or all(np.asarray(x).dtype.kind in "biu" for x in _flat(part)):
                continue
            assert kinds(part) == want, (a.dtype, a.shape, p)


def _flat(x):
    return x if isinstance(x, tuple) else (x,)


@pytest.mark.share(4)
@pytest.mark.parametrize("ufunc", [u for u in UFUNCS if u.nin > 1], ids=lambda u: u.__name__)
def test_ufuncs(ufunc):
    for a, p in itertools.product(ARRAYS.values(), NUMBERS.values()):
        for k in range(ufunc.nin):
            check(lambda b, q, k=k: ufunc(*[q if i == k else b for i in range(ufunc.nin)]), a, p)


@pytest.mark.share(4)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    for a, p in itertools.product(ARRAYS.values(), NUMBERS.values()):
        check(FUNCTIONS[name], a, p)


EDGES = [0.0, -1.0, -0.5, 1e300, np.inf]


@pytest.mark.parametrize("ufunc", [u for u in UFUNCS if u.nin == 2], ids=lambda u: u.__name__)
def test_rules_take_numbers_as_numpy_does(ufunc):
    """A rule divides by zero, and takes roots of negative numbers, without raising."""
    a = np.array([0.5, 2.0])
    for p, swapped in itertools.product(EDGES, (False, True)):
        f = (lambda q: np.sum(ufunc(q, a))) if swapped else (lambda q: np.sum(ufunc(a, q)))
        try:
            want = (
                wg.grad(f)(np.float64(p)),
                wg.jvp(f, (np.float64(p),), (np.float64(1),), allow_int=True)[1],
            )
        except (WengertError, TypeError):
            continue
        got = wg.grad(f)(p), wg.jvp(f, (p,), (1.0,), allow_int=True)[1]
        np.testing.assert_allclose(got, want)


def mixed(p, a):
    return np.sum(np.maximum(p * p, a) * p + np.where(a > 1, p, a) + np.clip(a, p, 2.0))


X = np.array([1, 2, 3], "f4")


@pytest.mark.parametrize(
    "way",
    [
        lambda: wg.grad(mixed)(0.5, X),
        lambda: wg.grad(wg.checkpoint(mixed))(0.5, X),
        lambda: wg.grad(lambda p: wg.checkpoint(mixed)(p, X) + 0 * np.sum(X * p))(0.5),
        lambda: wg.jacfwd(mixed)(0.5, X),
        lambda: wg.linearize(lambda p: mixed(p, X), 0.5)[1](1.0),
        lambda: wg.jit(wg.grad(mixed), backend="numpy")(0.5, X),
        lambda: wg.jit(wg.grad(mixed), backend="native")(0.5, X),
        lambda: wg.jit(wg.grad(wg.checkpoint(mixed)))(0.5, X),
        lambda: wg.vmap(wg.grad(mixed), in_axes=(None, 0))(0.5, np.stack([X, X]))[0],
    ],
)
def test_derivatives_are_those_of_double_precision(way):
    want = wg.grad(mixed)(0.5, X.astype(float))
    np.testing.assert_allclose(way(), want, rtol=1e-6)


@pytest.mark.parametrize("transform", [wg.hessian, lambda f: wg.grad(wg.grad(f))])
@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_second_derivatives(transform, backend):
    def f(p):
        return np.sum((p * X + np.sin(p)) ** 2 * p)

    want = transform(lambda p: np.sum((p * X.astype(float) + np.sin(p)) ** 2 * p))(0.5)
    for way in (transform(f), wg.jit(transform(f), backend=backend)):
        np.testing.assert_allclose(way(0.5), want, rtol=1e-6)


BOOLEANS = [np.array([True, False]), np.bool_(True), True]
OF_BOOLEANS = {
    "power": lambda b: np.power(b, 2),
    "power of itself": lambda b: np.power(b, b),
    "power by True": lambda b: np.power(b, True),
    "power by int8": lambda b: np.power(b, np.int8(2)),
    "operator": lambda b: b**2,
    "conjugate": lambda b: b.conjugate(),
    "np.conjugate": np.conjugate,
    "square": np.square,
    "reciprocal": np.reciprocal,
    "absolute": np.abs,
    "floor": lambda b: b // 2,
    "remainder": lambda b: b % 2,
    "shift": lambda b: b << 1,
}


@pytest.mark.parametrize("name", OF_BOOLEANS)
@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_booleans_make_what_numpy_makes_of_them(name, backend):
    f = OF_BOOLEANS[name]
    for b in BOOLEANS:
        got, want = wg.jit(f, backend=backend)(b), f(b)
        assert type(got) is type(want)
        assert np.asarray(got).dtype == np.asarray(want).dtype
        assert np.array_equal(got, want)


@pytest.mark.parametrize("ufunc", [np.add, np.subtract, np.multiply, np.divide, np.power])
@pytest.mark.parametrize("swapped", [False, True])
def test_functions_make_numpys_numbers_of_pythons_complex_ones(ufunc, swapped):
    f = (lambda x: ufunc(x, 2j)) if swapped else (lambda x: ufunc(2j, x))
    g = lambda x: f(x) * np.ones(2, "c8")  # noqa: E731  (which a Python number leaves as it is)
    x = np.float64(0.5)
    for h in (f, g):
        want = h(x)
        for got in (
            wg.vjp(h, x, allow_int=True)[0],
            wg.jvp(h, (x,), (x,), allow_int=True)[0],
            wg.jit(h, backend="numpy")(x),
            wg.jit(h, backend="native")(x),
            wg.vmap(h)(np.array([0.5]))[0],
        ):
            assert type(got) is type(want)
            assert got.dtype == want.dtype
