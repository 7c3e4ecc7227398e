"""Laplacians, diagonals of Hessians and jets: against Hessians, closed forms and mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

import wengert as wg
from wengert.analysis.cost import count_function as count
from wengert.errors import InputError, ShapeError

RNG = np.random.default_rng(3)
W1, W2, W3 = (RNG.standard_normal(s) / 2 for s in ((5, 7), (7, 7), (7,)))
X = np.array([0.4, -0.7, 1.3, 0.2, -0.1])
V = np.array([1.0, 0.5, -1.0, 0.25, 2.0])


def mlp(x):
    return np.tanh(np.tanh(x @ W1) @ W2) @ W3


def matrix(x):
    return np.outer(x, x) + np.diag(np.arange(1.0, 6.0))


def stepped(x):
    y = 0.3
    for a in x:
        y = np.sin(y * a) + y
    return y


def scanned(x):
    return wg.scan(lambda c, a: (np.sin(c * a) + c, c * a), 0.3, x)[0]


def until(x):
    return wg.while_loop(lambda c: np.abs(c) < 5.0, lambda c: c * (1.5 + x[0]) + x[1], x[2])


def branched(x):
    return wg.cond(x[0] > 0, lambda x: np.sum(x**3), lambda x: np.prod(x), x)


def written(x):
    y = np.zeros(3, like=x)
    y[0] = x[0] * x[1]
    y[1:] = x[2:4] ** 3
    y[1] += np.exp(x[4])
    return np.sum(y * y[::-1])


@wg.custom_jvp
def softmax_sum(x):
    top = np.max(x)
    return top + np.log(np.sum(np.exp(x - top)))


@softmax_sum.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    y = softmax_sum(x)
    return y, np.sum(np.exp(x - y) * t)


@wg.custom_vjp
def cubed(x):
    return x**3


cubed.defvjp(lambda x: (x**3, x), lambda x, ct: (3 * ct * x**2,))


@wg.custom_jvp
def with_a_buffer(x):
    return np.sum(x**4)


@with_a_buffer.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    w = np.ones(5)
    part = x * w  # the same operation on the same array as below, with other numbers in it
    w[:] = 3.0
    return with_a_buffer(x), np.sum((part + x * w) * x * x * t)


SCALARS = {
    "mlp": mlp,
    "a rule with a buffer": with_a_buffer,
    "quotients": lambda x: np.sum(x / np.sum(x**2)),
    "norm": np.linalg.norm,
    "powers": lambda x: np.sum(np.abs(x) ** x[0]),
    "logsumexp": lambda x: np.log(np.sum(np.exp(x))),
    "solve": lambda x: np.sum(np.linalg.solve(matrix(x), x)),
    "det": lambda x: np.linalg.det(matrix(x)),
    "cholesky": lambda x: np.sum(np.linalg.cholesky(matrix(x))),
    "eigenvalues": lambda x: np.sum(np.linalg.eigvalsh(matrix(x)) ** 3),
    "sorted": lambda x: np.sort(x) @ np.arange(5.0) ** 2 + np.max(x) ** 3,
    "cumulated": lambda x: np.sum(np.cumprod(x) * np.cumsum(x)),
    "spectrum": lambda x: np.sum(np.abs(np.fft.fft(x**2)) ** 2),
    "masked": lambda x: np.sum(np.where(x > 0, np.sqrt(np.where(x > 0, x, 0.0)), x**3)),
    "einsum": lambda x: np.einsum("i,i,j,ij->", x, np.sin(x), x, W2[:5, :5]),
    "written": written,
    "stepped": stepped,
    "scanned": scanned,
    "until": until,
    "branched": branched,
    "custom jvp": lambda x: softmax_sum(x * x),
    "custom vjp": lambda x: np.sum(cubed(np.sin(x))),
    "checkpoint": wg.checkpoint(lambda x: np.sum(np.sin(x) ** 2) * x[0]),
    "linear": np.sum,
    "constant": lambda x: 2.0,
}
QUICK = {
    "mlp", "quotients", "logsumexp", "solve", "masked", "written", "scanned", "branched",
    "custom jvp", "custom vjp", "a rule with a buffer", "constant",
}  # fmt: skip


def slow_but(quick, names):
    """Return names, those that are not quick among the slow tests."""
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in names]


every_scalar = pytest.mark.parametrize("name", slow_but(QUICK, SCALARS))


@every_scalar
def test_against_the_hessian(name):
    f = SCALARS[name]
    hessian = np.zeros((5, 5)) if name == "constant" else wg.hessian(f)(X)
    tol = {"rtol": 1e-10, "atol": 1e-10}
    for way in (lambda g: g, wg.jit):
        np.testing.assert_allclose(way(wg.laplacian(f))(X), np.trace(hessian), **tol)
        np.testing.assert_allclose(way(wg.hessian_diagonal(f))(X), np.diag(hessian), **tol)
    np.testing.assert_allclose(wg.laplacian(f, chunk_size=2)(X), np.trace(hessian), **tol)
    np.testing.assert_allclose(wg.hessian_diagonal(f, chunk_size=3)(X), np.diag(hessian), **tol)


def slope_of(g):
    return lambda t: wg.jvp(g, (t,), (1.0,))[1]


@every_scalar
def test_jets_along_a_curve(name):
    """The derivatives of f along a curve are those of a function of one number."""
    f = SCALARS[name]
    terms = [V, V[::-1] * 0.5, V**2 * 0.3]

    def g(t):
        return f(X + terms[0] * t + terms[1] * t**2 / 2 + terms[2] * t**3 / 6)

    expected = []
    for _ in terms:
        g = slope_of(g)
        expected.append(g(0.0))
    for way in (lambda k: k, wg.jit):
        y, got = way(lambda x: wg.jet(f, (x,), (terms,)))(X)
        np.testing.assert_allclose(y, f(X), rtol=1e-12)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


NESTED = (
    "mlp", "quotients", "solve", "masked", "scanned", "until", "branched", "checkpoint",
    "custom jvp", "custom vjp",
)  # fmt: skip


@pytest.mark.parametrize("name", slow_but({"mlp", "masked", "scanned", "custom jvp"}, NESTED))
def test_nested_in_other_transformations(name):
    f = SCALARS[name]

    def trace(x):
        return np.trace(wg.hessian(f)(x))

    lap = wg.laplacian(f)
    tol = {"rtol": 1e-8, "atol": 1e-8}
    np.testing.assert_allclose(wg.grad(lap)(X), wg.grad(trace)(X), **tol)
    np.testing.assert_allclose(wg.jvp(lap, (X,), (V,))[1], wg.jvp(trace, (X,), (V,))[1], **tol)
    batch = np.stack([X, X + 0.1, 0.5 * X])
    for g in (wg.vmap(lap), wg.jit(wg.vmap(lap))):
        np.testing.assert_allclose(g(batch), [trace(x) for x in batch], **tol)
    np.testing.assert_allclose(wg.jit(wg.grad(lap))(X), wg.grad(trace)(X), **tol)


def test_laplacian_of_a_laplacian():
    """Of a wave sin(k x), it is -k**2 of the wave each time."""
    k = np.array([1.0, -2.0, 0.5, 1.5, 3.0])

    def wave(x):
        return np.sin(k @ x)

    np.testing.assert_allclose(wg.laplacian(wg.laplacian(wave))(X), (k @ k) ** 2 * wave(X))


# --- closed forms ---------------------------------------------------------------------------------
def test_harmonic_functions_have_laplacian_zero():
    x = np.array([0.3, -1.2, 0.8])
    np.testing.assert_allclose(wg.laplacian(lambda x: 1 / np.linalg.norm(x))(x), 0, atol=1e-14)
    np.testing.assert_allclose(wg.laplacian(lambda x: np.log(np.hypot(*x)))(x[:2]), 0, atol=1e-14)
    np.testing.assert_allclose(
        wg.laplacian(lambda x: np.exp(x[0]) * np.cos(x[1]))(x), 0, atol=1e-14
    )


def test_complex_results():
    k = np.array([1.0, 2.0, 3.0])
    x = np.array([0.1, 0.2, 0.3])

    def wave(x):
        return np.exp(1j * (k @ x))

    np.testing.assert_allclose(wg.laplacian(wave)(x), -14 * wave(x))
    np.testing.assert_allclose(wg.hessian_diagonal(wave)(x), -(k**2) * wave(x))
    np.testing.assert_allclose(
        wg.laplacian(lambda x: np.abs(np.exp((1 + 1j) * x[0])))(x), np.exp(0.1)
    )


def test_vectors_and_pytrees():
    tree = {"a": np.array([1.0, 2.0]), "b": [np.full((2, 2), 0.5), 3.0]}

    def f(p):
        return {"s": np.sum(p["a"] ** 3) * p["b"][1] ** 2, "m": np.sin(p["b"][0])}

    lap = wg.laplacian(f)(tree)
    np.testing.assert_allclose(lap["s"], 6 * 3 * 9 + 2 * 9)
    np.testing.assert_allclose(lap["m"], -np.sin(np.full((2, 2), 0.5)))
    diagonal = wg.hessian_diagonal(f)(tree)
    np.testing.assert_allclose(diagonal["s"]["a"], 6 * tree["a"] * 9)
    np.testing.assert_allclose(diagonal["s"]["b"][1], 18)
    assert diagonal["m"]["b"][0].shape == (2, 2, 2, 2)
    np.testing.assert_allclose(np.sum(diagonal["m"]["b"][0], axis=(2, 3)), lap["m"])

    def g(x, y, n):
        return np.sum(x**2) * np.sum(y**3) * n

    x, y = np.arange(3.0), np.ones(2)
    np.testing.assert_allclose(wg.laplacian(g, 1)(x, y, 2), 5 * 6 * 2 * 2)
    np.testing.assert_allclose(wg.laplacian(g, (0, 1))(x, y, 2), 6 * 2 * 2 + 5 * 6 * 2 * 2)
    both = wg.hessian_diagonal(g, (0, 1))(x, y, 2)
    np.testing.assert_allclose(both[0], [8, 8, 8])
    np.testing.assert_allclose(both[1], [60, 60])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtypes_and_kinds(dtype):
    x = X.astype(dtype)
    w = W1.astype(dtype)
    assert wg.laplacian(lambda x: np.tanh(x @ w))(x).dtype == dtype
    assert wg.hessian_diagonal(lambda x: np.sum(np.tanh(x @ w)))(x).dtype == dtype
    assert isinstance(wg.laplacian(mlp)(X), np.float64)
    assert wg.laplacian(lambda t: t**3)(2.0) == 12.0
    assert wg.hessian_diagonal(np.sum)(np.zeros(0)).shape == (0,)
    assert wg.laplacian(np.sum)(np.zeros(0)) == 0


def test_infinite_slopes_where_nothing_arrives():
    x = np.array([0.0, 4.0])
    inner = wg.laplacian(lambda x: np.sum(np.sqrt(np.where(x > 0, x, 0.0))))
    np.testing.assert_allclose([inner(x), wg.jit(inner)(x)], -1 / 32)
    for f, expected in ((np.sqrt, [-np.inf, -1 / 32]), (lambda x: x**1.5, [np.inf, 0.375])):
        diagonal = wg.hessian_diagonal(lambda x, f=f: np.sum(f(x)))
        np.testing.assert_allclose(diagonal(x), expected)
        np.testing.assert_allclose(wg.jit(diagonal)(x), expected)


# --- orders ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("f", "exact"),
    [
        (lambda x: np.tanh(np.sin(x) * np.exp(x) / (1 + x**2)),
         lambda x: mpmath.tanh(mpmath.sin(x) * mpmath.exp(x) / (1 + x**2))),
        (lambda x: np.sqrt(1 + x) * np.log(2 + x),
         lambda x: mpmath.sqrt(1 + x) * mpmath.log(2 + x)),
        (lambda x: np.arctan(x) ** 2.5, lambda x: mpmath.atan(x) ** 2.5),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", [4, 15])
def test_high_orders(f, exact, order):
    """A rule that is asked for each order anew would take 2**order steps."""
    _, got = wg.jet(f, (0.3,), [[1.0] + [0.0] * (order - 1)])
    with mpmath.workdps(50):
        terms = mpmath.taylor(exact, mpmath.mpf(0.3), order)[1:]
    expected = [float(c * mpmath.factorial(k + 1)) for k, c in enumerate(terms)]
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_a_curve_that_begins_at_rest():
    """exp(t**2) has the derivatives 0, 2, 0, 12 at 0."""
    y, terms = wg.jet(np.exp, (0.0,), [[0.0, 2.0, 0.0, 0.0]])
    assert (y, [float(t) for t in terms]) == (1.0, [0.0, 2.0, 0.0, 12.0])


def test_several_arguments_and_constants():
    def f(a, b, n):
        return {"y": a * b["c"] ** n}

    y, (first, second) = wg.jet(
        f, (2.0, {"c": np.array([1.0, 3.0])}, 2),
        [(1.0, 0.5), ({"c": np.ones(2)}, {"c": np.zeros(2)}), (0, 0)],
    )  # fmt: skip
    c = np.array([1.0, 3.0])
    np.testing.assert_allclose(y["y"], 2 * c**2)
    np.testing.assert_allclose(first["y"], c**2 + 4 * c)
    np.testing.assert_allclose(second["y"], 0.5 * c**2 + 2 * 2 * c + 2 * 2)


def test_what_python_decides_and_changes():
    def f(x):
        y = x.copy()
        y[1] = y[0] * y[2]
        return np.sum(y**3) if x[0] > 0 else np.sum(y**4)

    for x in (X, -X):
        np.testing.assert_allclose(wg.laplacian(f)(x), np.trace(wg.hessian(f)(x)), rtol=1e-12)
    compiled = wg.jit(wg.laplacian(f))
    for x in (X, -X, X):
        np.testing.assert_allclose(compiled(x), np.trace(wg.hessian(f)(x)), rtol=1e-12)
    assert wg.laplacian(lambda x: np.sum(x**2) if x.size else None)(X) == 10


# --- costs ----------------------------------------------------------------------------------------
def test_a_laplacian_takes_a_fraction_of_a_hessian():
    n = 30
    w = [RNG.standard_normal((n, n)) for _ in range(3)]

    def net(x):
        for a in w:
            x = np.tanh(x @ a)
        return np.sum(x)

    x = RNG.standard_normal(n)
    value, lap = count(net, x).flops, count(wg.laplacian(net), x).flops
    full = count(lambda x: np.trace(wg.hessian(net)(x)), x).flops
    assert lap < (n + 3) * value
    assert 1.8 * lap < full


# --- errors ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("made", [wg.laplacian, wg.hessian_diagonal])
def test_what_is_refused(made):
    with pytest.raises(InputError, match="takes a function"):
        made(3.0)
    with pytest.raises(InputError, match="floating-point"):
        made(np.sum)(np.arange(3))
    with pytest.raises(InputError, match="int64, which has no derivative"):
        made(np.argmax)(X)
    with pytest.raises(InputError, match="the real and the imaginary part"):
        made(np.sum)(X + 1j)
    with pytest.raises(InputError, match="chunk_size"):
        made(np.sum, chunk_size=0)
    with pytest.raises(InputError, match="argnums"):
        made(np.sum, 2)(X)


def test_what_a_jet_refuses():
    with pytest.raises(InputError, match="takes sequences"):
        wg.jet(np.sin, X, [[X]])
    with pytest.raises(InputError, match="all equally long"):
        wg.jet(np.add, (X, X), [[X], [X, X]])
    with pytest.raises(InputError, match="all equally long"):
        wg.jet(np.sin, (X,), (X,))
    with pytest.raises(ShapeError, match="order 2"):
        wg.jet(np.sin, (X,), [[X, X[:2]]])
    with pytest.raises(InputError, match="takes a function"):
        wg.jet(X, (X,), [[X]])


# --- loops ----------------------------------------------------------------------------------------
def recurrent(x):
    def step(h, a):
        h = np.tanh(h @ W2[:4, :4] + a * x[3])
        return h, np.sum(h**2)

    h, ys = wg.scan(step, np.tanh(x[:3] @ W2[:3, :4]), x)
    return np.sum(h) + np.prod(ys) * x[1]


def counted(x):
    n, c = wg.scan(lambda s, a: ((s[0] + 1, s[1] * a + s[0]), None), (0, 1.0), x)[0]
    return c * n


LOOPS = {
    "recurrent": recurrent,
    "in each other": lambda x: wg.scan(
        lambda c, a: (wg.fori_loop(0, 3, lambda i, d: np.sin(d * a) + d, c), c), 0.3, x
    )[0],
    "backwards": lambda x: np.sum(
        wg.scan(lambda c, a: (c * a + 1.0, c * x), 1.0, x, reverse=True)[1] ** 2
    ),
    "beside an integer": counted,
    "with branches": lambda x: wg.scan(
        lambda c, a: (wg.cond(a > 0, lambda c: c * c + a, np.sin, c), None), 0.5, x
    )[0],
    "with masks": lambda x: wg.scan(
        lambda c, a: (c * np.where(a > 0, np.sqrt(np.where(a > 0, a, 0.0)), 1.0), None),
        0.5, np.concatenate([x, np.zeros(1)]),
    )[0],
    "a constant that moves": lambda x: wg.scan(
        lambda c, a: (c * np.sum(x**2) + a, None), 0.5, np.arange(3.0)
    )[0],
    "carried from nothing": lambda x: wg.scan(
        lambda c, _: (c * 0.9 + x, None), np.zeros(5), None, length=4
    )[0] @ x**2,
    "no trip": lambda x: wg.scan(lambda c, a: (c * a, None), x[0] ** 2, np.zeros(0))[0],
}  # fmt: skip


@pytest.mark.parametrize(
    "name", slow_but({"with masks", "a constant that moves", "beside an integer"}, LOOPS)
)
def test_loops(name):
    f = LOOPS[name]
    hessian, tol = wg.hessian(f)(X), {"rtol": 1e-10, "atol": 1e-12}
    for way in (lambda g: g, wg.jit):
        np.testing.assert_allclose(way(wg.laplacian(f))(X), np.trace(hessian), **tol)
        np.testing.assert_allclose(way(wg.hessian_diagonal(f))(X), np.diag(hessian), **tol)
    twice = wg.vmap(wg.laplacian(f))(np.stack([X, X]))
    np.testing.assert_allclose(twice, np.trace(hessian), **tol)

    def along(t):
        return f(X + t * V)

    _, terms = wg.jet(f, (X,), ([V, 0 * V, 0 * V],))
    for got in terms:
        along = slope_of(along)
        np.testing.assert_allclose(got, along(0.0), rtol=1e-9, atol=1e-10)


def test_a_loop_of_high_order_carries_each_order_once():
    def f(t):
        return wg.scan(lambda c, _: (np.sin(c) + t, None), t, None, length=5)[0]

    order = 12
    _, got = wg.jet(f, (0.3,), [[1.0] + [0.0] * (order - 1)])

    def exact(t):
        c = t
        for _ in range(5):
            c = mpmath.sin(c) + t
        return c

    with mpmath.workdps(60):
        terms = mpmath.taylor(exact, mpmath.mpf(0.3), order)[1:]
    expected = [float(c * mpmath.factorial(k + 1)) for k, c in enumerate(terms)]
    np.testing.assert_allclose(got, expected, rtol=1e-8)
