"""What the public transformations take and return: arguments, options, shapes, dtypes."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg


def polynomial(x, y, z):
    return np.sum(x**2 * y) + z**3


X, Y, Z = np.array([1.0, 2.0]), np.array([3.0, -1.0]), 2.0
GRADIENTS = (2 * X * Y, X**2, 3 * Z**2)

ARGNUMS = [
    (0, GRADIENTS[0]),
    (1, GRADIENTS[1]),
    (2, GRADIENTS[2]),
    (-1, GRADIENTS[2]),
    (-3, GRADIENTS[0]),
    ((0,), (GRADIENTS[0],)),
    ((0, 1), GRADIENTS[:2]),
    ((2, 0), (GRADIENTS[2], GRADIENTS[0])),
    ([1, -1], (GRADIENTS[1], GRADIENTS[2])),
    ((), ()),
]


def assert_same(got, expected):
    assert isinstance(got, tuple) == isinstance(expected, tuple)
    if isinstance(expected, tuple):
        assert len(got) == len(expected)
        for g, e in zip(got, expected, strict=True):
            assert_same(g, e)
    else:
        assert np.shape(got) == np.shape(expected)
        np.testing.assert_allclose(got, expected)


@pytest.mark.parametrize(("argnums", "expected"), ARGNUMS, ids=[str(a) for a, _ in ARGNUMS])
def test_argnums(argnums, expected):
    assert_same(wg.grad(polynomial, argnums=argnums)(X, Y, Z), expected)
    value, g = wg.value_and_grad(polynomial, argnums)(X, Y, Z)
    assert value == polynomial(X, Y, Z)
    assert_same(g, expected)
    for jacobian in (wg.jacfwd, wg.jacrev, wg.jacobian):
        assert_same(jacobian(polynomial, argnums=argnums)(X, Y, Z), expected)


def test_numpy_integers_as_argnums():
    assert_same(wg.grad(polynomial, argnums=np.int64(1))(X, Y, Z), GRADIENTS[1])
    assert_same(wg.grad(polynomial, argnums=tuple(np.arange(2)))(X, Y, Z), GRADIENTS[:2])


def test_keywords_are_passed_on():
    f = lambda x, *, scale=1.0, power=2: np.sum(scale * x**power)  # noqa: E731
    np.testing.assert_allclose(wg.grad(f)(X, scale=np.array([2.0, 3.0])), 2 * X * [2, 3])
    np.testing.assert_allclose(wg.grad(f)(X, power=3), 3 * X**2)
    np.testing.assert_allclose(wg.jacobian(f)(X, scale=3.0), 6 * X)
    np.testing.assert_allclose(wg.hessian(f)(X, scale=3.0), 6 * np.eye(2))


# --- has_aux --------------------------------------------------------------------------------------
def with_aux(x):
    y = np.sin(x)
    return np.sum(y), {"y": y, "first": x[0], "text": "ok", "n": 3, "none": None, "list": [y * 2]}


def test_aux_holds_plain_values():
    expected = with_aux(X)[1]
    results = [
        wg.grad(with_aux, has_aux=True)(X)[1],
        wg.value_and_grad(with_aux, has_aux=True)(X)[0][1],
        wg.jacfwd(with_aux, has_aux=True)(X)[1],
        wg.jacrev(with_aux, has_aux=True)(X)[1],
        wg.jacobian(with_aux, has_aux=True)(X)[1],
        wg.jvp(with_aux, (X,), (X,), has_aux=True)[2],
        wg.vjp(with_aux, X, has_aux=True)[2],
        wg.jit(wg.grad(with_aux, has_aux=True))(X)[1],
    ]
    for aux in results:
        assert type(aux["y"]) is np.ndarray
        np.testing.assert_allclose(aux["y"], expected["y"])
        np.testing.assert_allclose(aux["list"][0], 2 * np.sin(X))
        assert float(aux["first"]) == 1.0
        assert (aux["text"], aux["n"], aux["none"]) == ("ok", 3, None)


def test_aux_of_an_inner_derivative_belongs_to_the_outer():
    def f(x):
        g, aux = wg.grad(with_aux, has_aux=True)(x)
        return np.sum(g * aux["y"])  # sum of cos x sin x

    np.testing.assert_allclose(wg.grad(f)(X), np.cos(2 * X))


def test_aux_may_be_a_view_or_be_updated():
    def f(x):
        y = x * 2
        half = y[1:]
        y[1] = x[0] * 5
        return np.sum(y), half

    g, aux = wg.grad(f, has_aux=True)(X)
    np.testing.assert_array_equal(aux, [5])
    np.testing.assert_array_equal(g, [7, 0])


# --- shapes and dtypes ----------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_gradients_keep_the_dtype(dtype):
    x = np.array([0.5, 1.5], dtype)
    f = lambda x: np.sum(np.sin(x) * np.array([1.0, 2.0]))  # noqa: E731
    g = wg.grad(f)(x)
    assert g.dtype == dtype
    np.testing.assert_allclose(g, np.cos(x.astype(float)) * [1, 2], rtol=2e-3)
    y, t = wg.jvp(np.sin, (x,), (np.ones(2),))
    assert y.dtype == t.dtype == dtype
    assert wg.jacobian(np.sin)(x).dtype == dtype


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3,), (2, 0), (2, 3), (1, 1, 4)])
def test_shapes(shape):
    x = np.linspace(0.1, 1.0, int(np.prod(shape))).reshape(shape)
    value, g = wg.value_and_grad(lambda x: np.sum(np.exp(x)))(x)
    assert np.shape(value) == ()
    assert g.shape == shape
    np.testing.assert_allclose(g, np.exp(x))
    f = lambda x: np.stack([np.sin(x), np.cos(x)])  # noqa: E731
    for jacobian in (wg.jacfwd, wg.jacrev, wg.jacobian):
        j = jacobian(f)(x)
        assert j.shape == (2, *shape, *shape)
        n = x.size
        flat = np.concatenate([np.diag(np.cos(x.ravel())), np.diag(-np.sin(x.ravel()))])
        np.testing.assert_allclose(j.reshape(2 * n, n), flat)
    assert wg.hessian(lambda x: np.sum(np.exp(x)))(x).shape == (*shape, *shape)


def test_python_numbers():
    assert wg.grad(lambda x: x * x)(3.0) == 6
    assert wg.grad(lambda x: x * x)(np.float64(3.0)) == 6
    assert wg.grad(lambda x: 5.0)(3.0) == 0
    assert wg.grad(lambda x: abs(x) ** 3)(-2.0) == -12
    assert wg.value_and_grad(np.sin)(0.0) == (0, 1)
    assert wg.jvp(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0)) == (6, 23)


def test_independent_results_have_zero_derivatives():
    x = np.ones((2, 3))
    constant = np.arange(4.0)
    np.testing.assert_array_equal(wg.grad(lambda x: constant.sum())(x), np.zeros((2, 3)))
    for jacobian in (wg.jacfwd, wg.jacrev):
        np.testing.assert_array_equal(jacobian(lambda x: constant)(x), np.zeros((4, 2, 3)))
    y, t = wg.jvp(lambda x: constant, (x,), (x,))
    np.testing.assert_array_equal(y, constant)
    np.testing.assert_array_equal(t, np.zeros(4))
    np.testing.assert_array_equal(wg.vjp(lambda x: constant, x)[1](np.ones(4))[0], np.zeros((2, 3)))
    np.testing.assert_array_equal(wg.hessian(lambda x: np.sum(x))(x), np.zeros((2, 3, 2, 3)))


def test_integer_results_and_arguments_have_no_derivative():
    f = lambda x, n: (x * n, np.argmax(x), n + 1)  # noqa: E731
    n = np.array([2, 3])
    y, t = wg.jvp(f, (X, n), (np.ones(2), np.zeros(2)))
    np.testing.assert_array_equal(t[0], n)
    y, pull = wg.vjp(f, X, n)
    assert y[1] == 1
    gx, _ = pull((np.ones(2), 0, np.zeros(2)))
    np.testing.assert_array_equal(gx, n)
    j = wg.jacobian(lambda x, n: f(x, n)[::2], has_aux=True)(X, n)
    np.testing.assert_array_equal(j[0], np.diag(n))
    np.testing.assert_array_equal(j[1], n + 1)


def test_complex_functions():
    f = lambda z: np.sum(z**2 * (1 + 2j))  # noqa: E731
    z = np.array([1 + 1j, 2.0 - 1j])
    np.testing.assert_allclose(wg.grad(f, holomorphic=True)(z), 2 * z * (1 + 2j))
    # real result: df/da - i df/db
    g = wg.grad(lambda z: np.sum(np.abs(z) ** 2))(z)
    np.testing.assert_allclose(g, 2 * np.conj(z))


def test_jacobian_modes():
    tall, wide = lambda x: np.outer(x, x), lambda x: np.stack([np.sum(x), x[0]])
    x = np.arange(1.0, 5.0)
    for f in (tall, wide):
        expected = wg.jacfwd(f)(x)
        for mode in ("auto", "forward", "reverse"):
            np.testing.assert_allclose(wg.jacobian(f, mode=mode)(x), expected)


def test_the_pullback_can_be_called_again():
    _, pull = wg.vjp(lambda x, y: x * y, X, Y)
    for _ in range(2):
        gx, gy = pull(np.ones(2))
        np.testing.assert_array_equal(gx, Y)
        np.testing.assert_array_equal(gy, X)
        gx += 1  # ours


def test_gradients_are_writable_and_separate():
    gx, gy = wg.grad(lambda x, y: np.sum(x + y), argnums=(0, 1))(X, Y)
    gx += 1
    np.testing.assert_array_equal(gy, [1, 1])
    np.testing.assert_array_equal(X, [1, 2])
    g = wg.grad(lambda x: np.sum(np.broadcast_to(x, (3, 2))))(X)
    g *= 2
    np.testing.assert_array_equal(g, [6, 6])


def test_wrapped_functions_keep_name_and_docstring():
    def loss(x):
        """Say what it is."""
        return x

    for transform in (wg.grad, wg.value_and_grad, wg.jacobian, wg.hessian, wg.vmap, wg.jit):
        assert transform(loss).__name__ == "loss"
        assert transform(loss).__doc__ == "Say what it is."


def test_callables_without_a_name():
    import functools

    class Model:
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, x):
            return np.sum(self.scale * x**2)

        def loss(self, x):
            return self(x)

    for f in (Model(3.0), functools.partial(lambda a, x: np.sum(a * x**2), 3.0), Model(3.0).loss):
        np.testing.assert_array_equal(wg.grad(f)(X), 6 * X)
        np.testing.assert_array_equal(wg.jacobian(f)(X), 6 * X)
        np.testing.assert_array_equal(wg.vmap(wg.grad(f))(np.stack([X, Y])), [6 * X, 6 * Y])
    assert wg.grad(np.sum)(X).tolist() == [1, 1]


def test_warnings_are_those_of_the_function_itself():
    """The derivative of sqrt at 0 is infinite; only the function's own evaluation may warn."""
    assert wg.grad(np.sqrt)(0.0) == np.inf
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        wg.grad(np.log)(0.0)
