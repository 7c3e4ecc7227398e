"""What cannot be differentiated raises: what was wrong, where, and what to write instead."""

from __future__ import annotations

import math

import numpy as np
import pytest
from said import assert_says, raised

import wengert as wg
from wengert.errors import (
    ConversionError,
    InputError,
    LeakedTracerError,
    MutationError,
    ShapeError,
)

pytestmark = pytest.mark.usefixtures("unfollowed")

X = np.array([0.5, -1.5, 2.0])
N = np.array([1, 2, 3])


# --- values forced out of the trace ---------------------------------------------------------------
def test_functions_of_the_math_module():
    def f(x):
        return math.sin(x[0])  # <- math

    assert_says(
        raised(lambda: wg.grad(f)(X)), ConversionError, "a function of the math module",
        "np.sin(x) instead of math.sin(x)", "wg.stop_gradient(x)", line="math",
    )  # fmt: skip
    assert_says(raised(lambda: wg.jvp(f, (X,), (X,))), ConversionError, "math.sin(x)", line="math")
    assert_says(raised(lambda: wg.vmap(f)(X[:, None])), ConversionError, "math.sin(x)", line="math")
    assert_says(raised(lambda: wg.hessian(f)(X)), ConversionError, "math.sin(x)", line="math")


CONVERSIONS = {
    "float": lambda x: float(x[0]),
    "complex": lambda x: complex(x[0]),
    "pow": lambda x: math.pow(2.0, x[0]),
    "fsum": lambda x: math.fsum([x[0], x[1]]),
}


@pytest.mark.parametrize("name", CONVERSIONS)
def test_conversions_to_plain_numbers(name):
    def f(x):
        return CONVERSIONS[name](x) * np.sum(x)

    for run in (lambda: wg.grad(f)(X), lambda: wg.jvp(f, (X,), (X,))):
        e = raised(run)
        assert type(e) is ConversionError
        assert "wg.stop_gradient(x)" in str(e)
        assert f"at {__file__}" in str(e)


def test_a_number_is_taken_out_on_purpose():
    def f(x):
        return float(wg.stop_gradient(x[0])) * math.sin(wg.stop_gradient(x[1])) * np.sum(x)

    np.testing.assert_allclose(wg.grad(f)(X), np.full(3, 0.5 * np.sin(-1.5)))


def test_storing_into_a_plain_array():
    def element(x):
        y = np.zeros(3)
        y[0] = x[0]  # <- store element
        return np.sum(y)

    def part(x):
        y = np.zeros(3)
        y[:2] = x[:2]  # <- store part
        return np.sum(y)

    def masked(x):
        y = np.zeros(3)
        y[x > 0] = x[x > 0]  # <- store masked
        return np.sum(y)

    for f, line in [(element, "store element"), (part, "store part"), (masked, "store masked")]:
        for run in (lambda f=f: wg.grad(f)(X), lambda f=f: wg.jvp(f, (X,), (X,))):
            assert_says(
                raised(run),
                ConversionError,
                "into a plain array",
                "np.zeros(shape, like=x)",
                line=line,
            )


def test_updating_a_plain_array():
    def added(x):
        y = np.zeros(3)
        y += x  # <- plain +=
        return np.sum(y)

    def out(x):
        y = np.zeros(3)
        np.multiply(x, 2, out=y)  # <- plain out
        return np.sum(y)

    def out_of_a_function(x):
        y = np.zeros(())
        np.sum(x, out=y)  # <- plain out of sum
        return y

    for f, line in [(added, "plain +="), (out, "plain out")]:
        assert_says(
            raised(lambda f=f: wg.grad(f)(X)), ConversionError, "plain array of shape (3,)",
            "y = y + x instead of y += x", "np.zeros(shape, like=x)", line=line,
        )  # fmt: skip
    assert_says(
        raised(lambda: wg.grad(out_of_a_function)(X)), ConversionError,
        "out= is a plain array of shape ()",
        "np.zeros(shape, like=x)", line="plain out of sum",
    )  # fmt: skip


def test_writing_functions_on_plain_arrays():
    def add_at(x):
        y = np.zeros(3)
        np.add.at(y, [0, 1], x[:2])  # <- add.at
        return np.sum(y)

    def copyto(x):
        y = np.zeros(3)
        np.copyto(y, x)  # <- copyto
        return np.sum(y)

    for f, name in [(add_at, "add.at"), (copyto, "copyto")]:
        e = raised(lambda f=f: wg.grad(f)(X))
        assert_says(e, ConversionError, name, "np.zeros(shape, like=x)", line=name)


def test_collecting_with_array_and_asarray():
    def array(x):
        return np.sum(np.array([x[0], x[1] ** 2]))  # <- np.array

    def asarray(x):
        return np.sum(np.asarray(x) ** 2)  # <- np.asarray

    def through_a_list(x):
        return np.linalg.norm([x[0], x[1]])  # <- list

    for f, line in [(array, "np.array"), (asarray, "np.asarray"), (through_a_list, "list")]:
        for run in (lambda f=f: wg.grad(f)(X), lambda f=f: wg.jvp(f, (X,), (X,))):
            e = raised(run)
            assert type(e) is ConversionError
            assert "np.stack([...])" in str(e)
            assert_says(e, ConversionError, line=line)


def test_a_float_stored_into_integers():
    def f(x):
        n = np.zeros(3, dtype=int, like=x)
        n[0] = x[0]  # <- into integers
        return np.sum(n)

    def g(x):
        n = np.zeros(3, dtype=int, like=x)
        n += x  # <- added to integers
        return np.sum(n)

    assert_says(
        raised(lambda: wg.grad(f)(X)), ConversionError,
        "float64 value was stored into an array of int64",
        "dtype=float", line="into integers",
    )  # fmt: skip
    assert_says(
        raised(lambda: wg.grad(g)(X)), InputError, "cannot store float64 into an array of int64",
        "dtype=float64", line="added to integers",
    )  # fmt: skip


def test_a_shape_that_does_not_fit_in_place():
    def f(x):
        y = x * 1.0
        y += np.ones((2, 3))  # <- too large
        return np.sum(y)

    assert_says(
        raised(lambda: wg.grad(f)(X)), ShapeError,
        "shape (2, 3) does not fit an array of shape (3,)",
        "y = y + ...", line="too large",
    )  # fmt: skip


def test_a_read_only_view():
    def spread(x):
        y = np.broadcast_to(x, (2, 3))
        y[0] = 1.0  # <- broadcast
        return np.sum(y)

    def diagonal(x):
        d = np.diagonal(np.outer(x, x))
        d += 1  # <- diagonal
        return np.sum(d)

    for f, line in [(spread, "broadcast"), (diagonal, "diagonal")]:
        e = raised(lambda f=f: wg.grad(f)(X))
        assert_says(e, MutationError, "read-only view", "y = y.copy()", line=line)


# --- leaked values --------------------------------------------------------------------------------
KEPT = {}


def keep_in_a_global(x):
    KEPT["x"] = x * 2
    return np.sum(x)


class Logger:
    def __init__(self):
        self.values = []

    def loss(self, x):
        self.values.append(np.sum(x))
        return np.sum(x)


def leak_through_a_global():
    wg.grad(keep_in_a_global)(X)
    return KEPT.pop("x")


def leak_through_an_object():
    logger = Logger()
    wg.grad(logger.loss)(X)
    return logger.values[0]


def leak_through_a_closure():
    seen = []

    def f(x):
        seen.append(x)
        return np.sum(x)

    wg.jvp(f, (X,), (X,))
    return seen[0]


def leak_through_vmap():
    seen = []
    wg.vmap(lambda x: seen.append(x) or x)(X)
    return seen[0]


def leak_through_jit():
    seen = []
    wg.jit(lambda x: seen.append(x) or x)(X)
    return seen[0]


def leak_of_a_view():
    seen = []

    def f(x):
        y = x * 2
        seen.append(y[1:])
        y *= 2
        return np.sum(y)

    wg.grad(f)(X)
    return seen[0]


LEAKS = [
    leak_through_a_global, leak_through_an_object, leak_through_a_closure, leak_through_vmap,
    leak_through_jit, leak_of_a_view,
]  # fmt: skip
USES = {
    "operator": lambda t: t + 1,
    "function": lambda t: np.sin(t),
    "reduction": lambda t: np.sum(t),
    "comparison": lambda t: t > 0,
    "index": lambda t: t[...],
    "float": lambda t: float(t.reshape(-1)[0]) if t.shape else float(t),
    "asarray": lambda t: np.asarray(t),
    "update": lambda t: t.fill(0.0),
    "in another derivative": lambda t: wg.grad(lambda x: np.sum(x * np.sum(t)))(X),
    "as its result": lambda t: wg.grad(lambda x: t if t.shape == () else t.reshape(-1)[0])(X),
    "as a result of jvp": lambda t: wg.jvp(lambda x: t, (X,), (X,)),
    "as a result of vjp": lambda t: wg.vjp(lambda x: t, X),
    "as a result of vmap": lambda t: wg.vmap(lambda x: t)(X),
    "as an input": lambda t: wg.grad(np.sum)(t),
}


@pytest.mark.parametrize("leak", LEAKS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", USES)
def test_leaked_values(name, leak):
    t = leak()
    e = raised(lambda: USES[name](t))
    assert type(e) is LeakedTracerError
    assert "after the function that it was traced in had returned" in str(e)
    assert "has_aux=True" in str(e)
    assert isinstance(e, RuntimeError)
    assert f"at {__file__}:" in str(e)


def test_the_line_of_a_leaked_value():
    t = leak_through_a_global()
    e = raised(
        lambda: np.exp(t) * 2  # <- leaked
    )
    assert_says(e, LeakedTracerError, "kept in a global, a closure or an object", line="leaked")


def test_a_generator_that_outlives_its_trace():
    made = []

    def f(x):
        made.append(v * 2 for v in x)
        return np.sum(x)

    wg.grad(f)(X)
    with pytest.raises(LeakedTracerError, match=r"at .*test_errors\.py"):
        next(made[0])


def test_a_leaked_value_can_be_printed():
    t = leak_through_a_global()
    assert "has ended" in repr(t)
    assert t.shape == (3,)


def test_an_inner_value_stored_into_an_outer_array():
    def f(x):
        log = np.zeros(1, like=x)

        def inner(y):
            log[0] = y * 2
            return y * y

        return wg.grad(inner)(x[0]) * log[0]

    assert type(raised(lambda: wg.grad(f)(X))) is LeakedTracerError
