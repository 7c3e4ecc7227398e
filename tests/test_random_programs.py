"""Random programs of 50 operations: their derivatives against complex steps and differences.

A program is a list of instructions over a list of arrays; each appends an array. Values are brought
back to size about 1 after each operation, so that errors do not hide.
"""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st
from twice import twice

import wengert as wg

LENGTH = 50
LARGEST = 36


def in_place_set(x, y, k):
    z = x.copy()
    z[k % len(z)] = y.reshape(-1)[0] * 0.5
    return z


def in_place_add(x, y, k):
    z = x * 1.0
    z[k % len(z) :] += y.reshape(-1)[-1]
    z *= 1.25
    return z


def in_place_shift(x, y, k):
    z = x.copy()
    z[1:] -= 0.5 * z[:-1]
    z[..., ::2] *= 0.75
    return z


def in_place_views(x, y, k):
    z = x.copy()
    v = z.reshape(-1)
    v[::2] = np.sin(v[::2])
    z.T[...] = z.T + 0.25
    return v.reshape(x.shape) * z


def in_place_buffer(x, y, k):
    z = np.zeros((3, *x.shape), x.dtype, like=x)
    z[0] = x
    for i in (1, 2):
        z[i] = np.sin(z[i - 1]) + z[0] * 0.3
    return z.reshape(-1)


def in_place_add_at(x, y, k):
    z = np.zeros(4, x.dtype, like=x)
    flat = x.reshape(-1)
    np.add.at(z, np.arange(flat.size) % 4, flat)
    return z


def in_place_out(x, y, k):
    z = np.zeros_like(x)
    np.multiply(x, 0.5, out=z)
    np.cos(z, out=z)
    np.add(z, x, out=z)
    return z


def plain_buffer(x, y, k):
    w = np.linspace(0.5, 1.5, x.size).reshape(x.shape)
    z = x * w
    w *= 0.5
    return z - x * w


def augmented(x, y, k):
    total = np.sum(x)
    kept = total
    total *= 0.5
    total += y.reshape(-1)[k % y.size]
    return np.stack([total, kept])


def matrix(x, n=3):
    """Cut or repeat into a matrix of n columns."""
    return np.resize(x, (max(x.size // n, 1), n))


def square(x):
    return 3 * np.eye(3) + 0.5 * np.resize(x, (3, 3))


def loop(x, y, k):
    total = y.reshape(-1)[0]
    for v in x.reshape(-1)[: 2 + k % 4]:
        total = np.sin(total + v)
    return np.stack([total, x.reshape(-1)[0]])


ANALYTIC = {
    "keep": lambda x, y, k: x,
    "sin": lambda x, y, k: np.sin(x),
    "cos": lambda x, y, k: np.cos(1.5 * x),
    "tanh": lambda x, y, k: np.tanh(x),
    "arctan": lambda x, y, k: np.arctan(x / 2),
    "arcsinh": lambda x, y, k: np.arcsinh(x / 3),
    "exp": lambda x, y, k: np.exp(-x * x),
    "expm1": lambda x, y, k: np.expm1(0.5 * np.tanh(x)),
    "log1p": lambda x, y, k: np.log1p(x * x),
    "log": lambda x, y, k: np.log(2 + np.sin(x)),
    "sqrt": lambda x, y, k: np.sqrt(1 + x**2),
    "square": lambda x, y, k: np.square(x) - 0.5,
    "reciprocal": lambda x, y, k: np.reciprocal(2 + np.cos(x)),
    "negative": lambda x, y, k: -x + 0.1,
    "sinh": lambda x, y, k: np.sinh(np.tanh(x)),
    "cosh": lambda x, y, k: np.cosh(np.tanh(x)) - 1.2,
    "erf": lambda x, y, k: scipy.special.erf(x),
    "integer power": lambda x, y, k: x ** (2 + k % 3) * 0.5,
    "real power": lambda x, y, k: (1.5 + np.sin(x)) ** 0.7,
    "power": lambda x, y, k: (1.5 + np.sin(x)) ** np.sum(y * 0.1),
    "add": lambda x, y, k: x + np.sum(y),
    "subtract": lambda x, y, k: x - y.reshape(-1)[0],
    "multiply": lambda x, y, k: x * np.mean(y),
    "divide": lambda x, y, k: x / (2 + np.sin(y.reshape(-1)[-1])),
    "broadcast": lambda x, y, k: x.reshape(-1)[:4][:, None] * y.reshape(-1)[:5],
    "reverse operators": lambda x, y, k: 1.0 - 2.0 / (3 + x**2) + 2.0**x,
    "matmul": lambda x, y, k: matrix(x) @ matrix(y).T,
    "vector": lambda x, y, k: matrix(x) @ np.resize(y, 3),
    "dot": lambda x, y, k: np.dot(np.resize(x, 4), np.resize(y, 4)) * np.resize(x, 2),
    "outer": lambda x, y, k: np.outer(x.reshape(-1)[:5], y.reshape(-1)[:4]),
    "einsum": lambda x, y, k: np.einsum("ij,kj,j->ik", matrix(x), matrix(y), np.resize(x, 3)),
    "tensordot": lambda x, y, k: np.tensordot(matrix(x), matrix(y), axes=([1], [1])),
    "kron": lambda x, y, k: np.kron(np.resize(x, (2, 2)), np.resize(y, (2, 1))),
    "solve": lambda x, y, k: np.linalg.solve(square(x), np.resize(y, 3)),
    "inverse": lambda x, y, k: np.linalg.inv(square(x)) * 3,
    "determinant": lambda x, y, k: np.linalg.det(square(x)) / 27 * np.resize(y, 2),
    "sum": lambda x, y, k: (
        np.sum(x, axis=k % x.ndim) * 0.5 if x.ndim > 1 else np.resize(np.sum(x), 2)
    ),
    "mean": lambda x, y, k: x - np.mean(x, axis=0, keepdims=True),
    "prod": lambda x, y, k: np.prod(0.9 + 0.2 * x, axis=-1, keepdims=True),
    "cumsum": lambda x, y, k: np.cumsum(x, axis=k % x.ndim) * 0.5,
    "cumprod": lambda x, y, k: np.cumprod(0.9 + 0.2 * x.reshape(-1)[:6]),
    "logsumexp": lambda x, y, k: np.log(np.sum(np.exp(x), axis=-1)).reshape(-1),
    "norm": lambda x, y, k: x / np.sqrt(0.5 + np.sum(x * x)),
    "reshape": lambda x, y, k: x.reshape((-1, 2) if x.size % 2 == 0 else (1, -1)),
    "transpose": lambda x, y, k: np.swapaxes(x, 0, -1).copy(),
    "ravel": lambda x, y, k: np.ravel(x)[::-1],
    "roll": lambda x, y, k: np.roll(x, k, axis=-1),
    "concatenate": lambda x, y, k: np.concatenate([x.reshape(-1), y.reshape(-1)]),
    "stack": lambda x, y, k: np.stack([np.resize(x, 4), np.resize(y, 4)], axis=k % 2),
    "split": lambda x, y, k: np.split(np.resize(x, 6), 3)[k % 3] * y.reshape(-1)[0],
    "tile, repeat": lambda x, y, k: np.tile(np.resize(x, 3), 2) + np.repeat(np.resize(y, 2), 3),
    "pad": lambda x, y, k: np.pad(x.reshape(-1), (1, k % 3), mode="constant", constant_values=0.3),
    "element": lambda x, y, k: x[k % len(x)] * y.reshape(-1)[0] + x[0],
    "stride": lambda x, y, k: x[..., ::2] + x[..., :1],
    "gather": lambda x, y, k: x.reshape(-1)[np.array([0, k % x.size, -1, 0])],
    "newaxis": lambda x, y, k: x[:, None] if x.ndim == 1 else x[None, 0],
    "take": lambda x, y, k: np.take(x, [k % len(x), 0], axis=0),
    "where": lambda x, y, k: np.where(
        np.arange(x.size).reshape(x.shape) % 2 == k % 2, x, np.sin(x) * 2
    ),
    "diagonal": lambda x, y, k: np.diag(square(x), 0) + np.trace(square(y)) / 9,
    "triangle": lambda x, y, k: (
        np.tril(matrix(x)) + np.diag(np.resize(y, 3))[: matrix(x).shape[0]][:1]
    ),
    "diff": lambda x, y, k: np.diff(np.resize(x, 5)),
    "trapezoid": lambda x, y, k: np.trapezoid(np.resize(x, (2, 4)), dx=0.5),
    "loop": loop,
    "augmented": augmented,
    "set": in_place_set,
    "add in place": in_place_add,
    "shift": in_place_shift,
    "views": in_place_views,
    "buffer": in_place_buffer,
    "add.at": in_place_add_at,
    "out": in_place_out,
    "plain buffer": plain_buffer,
}
REAL = {
    "hypot": lambda x, y, k: np.hypot(x, 1 + y.reshape(-1)[0] ** 2),
    "arctan2": lambda x, y, k: np.arctan2(x, 2 + np.sum(y) ** 2),
    "logaddexp": lambda x, y, k: np.logaddexp(x, y.reshape(-1)[0]),
    "var": lambda x, y, k: (
        np.var(x, axis=0, keepdims=True) + np.std(np.resize(y, 5) + np.arange(5.0)) * 0.1
    ),
    "linalg.norm": lambda x, y, k: np.resize(np.linalg.norm(x) + 0.3, 2),
    "slogdet": lambda x, y, k: np.linalg.slogdet(square(x))[1] * np.resize(y, 2),
    "cholesky": lambda x, y, k: np.linalg.cholesky(square(x) @ square(x).T),
    "logaddexp.reduce": lambda x, y, k: np.logaddexp.reduce(x, axis=0).reshape(-1),
    "cbrt": lambda x, y, k: np.cbrt(2 + np.sin(x)),
    "float_power": lambda x, y, k: np.float_power(1.5 + np.cos(x), 1.3),
}
OPERATIONS = {**ANALYTIC, **REAL}


def run(program, x):
    """Run a program on a vector; return a scalar that depends on everything it made."""
    values = [x]
    for name, i, j, k in program:
        a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
        y = OPERATIONS[name](a, b, k)
        if y.size > LARGEST:
            y = y.reshape(-1)[:LARGEST]
        if y.ndim == 0 or y.size == 0:
            y = np.stack([np.sum(y), a.reshape(-1)[0]])
        if y.ndim > 3:
            y = y.reshape(len(y), -1)
        values.append(y / np.sqrt(1 + np.mean(y * y)))
    return sum(np.sum(v * np.cos(np.arange(v.size)).reshape(v.shape)) for v in values)


def complex_step(f, x, v):
    return f(x + 1e-30j * v).imag / 1e-30


def richardson(f, x, v):
    """Central differences with steps h and h/2, extrapolated."""
    rough, fine = ((f(x + h * v) - f(x - h * v)) / (2 * h) for h in (1e-3, 5e-4))
    return (4 * fine - rough) / 3


def instructions(names):
    small = st.integers(0, 7)
    return st.lists(
        st.tuples(st.sampled_from(list(names)), small, small, small),
        min_size=LENGTH,
        max_size=LENGTH,
    )


def check(program, reference, tolerance):
    rng = np.random.default_rng(8)
    x, v = rng.uniform(-1, 1, size=(2, 6))
    f = lambda x: run(program, x)  # noqa: E731
    expected = reference(f, x, v)
    scale = tolerance * (1 + abs(expected))
    value, g = wg.value_and_grad(f)(x)
    np.testing.assert_allclose(value, f(x), rtol=1e-11, atol=1e-12)
    assert abs(g @ v - expected) < scale
    unit = np.eye(6)[2]
    assert abs(g[2] - reference(f, x, unit)) < tolerance * (1 + abs(g[2]))
    y, t = wg.jvp(f, (x,), (v,), allow_int=True)
    np.testing.assert_allclose(y, value, rtol=1e-12, atol=1e-13)
    assert abs(t - expected) < scale
    many = np.stack([x, v])
    np.testing.assert_allclose(wg.vmap(wg.grad(f))(many)[0], g, rtol=1e-8, atol=1e-9)
    tangents = wg.vmap(lambda z: wg.jvp(f, (z,), (v,), allow_int=True)[1])(many)
    np.testing.assert_allclose(tangents[0], t, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(tangents[1], wg.grad(f)(v) @ v, rtol=1e-7, atol=1e-8)


def check_second_order(program):
    rng = np.random.default_rng(9)
    x, v = rng.uniform(-1, 1, size=(2, 6))
    f = lambda x: run(program, x)  # noqa: E731
    expected = richardson(lambda z: wg.grad(f)(z), x, v)
    got = wg.hvp(f, (x,), (v,))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5 * (1 + np.abs(expected).max()))
    reverse = wg.grad(lambda z: wg.grad(f)(z) @ v)(x)
    np.testing.assert_allclose(reverse, got, rtol=1e-7, atol=1e-8 * (1 + np.abs(got).max()))


def test_the_pool():
    assert len(OPERATIONS) >= 40


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_operation_alone(name):
    """So that a failure above is found in one operation first."""
    reference = complex_step if name in ANALYTIC else richardson
    for k in range(4):
        program = [("broadcast", 0, 0, k), (name, 0, 1, k), ("sin", 0, 0, 0), (name, 1, 2, k + 1)]
        check(program, reference, 1e-12 if name in ANALYTIC else 1e-7)
    check_second_order(program)


@given(instructions(ANALYTIC))
@settings(max_examples=15)
def test_against_complex_steps(program):
    check(program, complex_step, 1e-10)


@given(instructions(OPERATIONS))
@settings(max_examples=12)
def test_against_differences(program):
    check(program, richardson, 1e-6)


def check_compiled(program):
    x = np.linspace(-0.9, 1.1, 6)
    f = lambda x: run(program, x)  # noqa: E731
    value, g = wg.jit(wg.value_and_grad(f))(x)
    np.testing.assert_allclose(value, f(x), rtol=1e-10)
    np.testing.assert_allclose(g, wg.grad(f)(x), rtol=1e-8, atol=1e-9)


programs = instructions(OPERATIONS)
test_second_order, test_many_of_second_order = twice(check_second_order, 8, 100, programs)
test_compiled, test_many_compiled = twice(check_compiled, 4, 60, programs)


@pytest.mark.slow
@given(instructions(OPERATIONS))
@settings(max_examples=1000)
def test_many_against_differences(program):
    check(program, richardson, 1e-6)


@pytest.mark.slow
@given(instructions(ANALYTIC))
@settings(max_examples=1000)
def test_many_against_complex_steps(program):
    check(program, complex_step, 1e-10)
