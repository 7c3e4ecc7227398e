"""What cannot be differentiated raises: what was wrong, where, and what to write instead."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import scipy.special

import wengert as wg
from wengert.errors import (
    BatchedControlError,
    ConversionError,
    InputError,
    LeakedTracerError,
    MutationError,
    ShapeError,
    UnsupportedError,
    WengertError,
)

X = np.array([0.5, -1.5, 2.0])
N = np.array([1, 2, 3])


def raised(f):
    """Call `f`; return what it raises."""
    with pytest.raises(WengertError) as info:
        f()
    return info.value


def assert_says(error, kind, *parts, line):
    """Check type and text, and that the line shown is the user's: the one marked ``# <- line``."""
    assert type(error) is kind, repr(error)
    text = str(error)
    for part in parts:
        assert part in text, text
    with open(__file__, encoding="utf-8") as file:
        marked = [i for i, source in enumerate(file, 1) if source.rstrip().endswith(f"# <- {line}")]
    (number,) = marked
    assert re.search(rf"\n  at {re.escape(__file__)}:{number}: \S", text), text


# --- inputs and results of transformations --------------------------------------------------------
def test_integers_to_grad():
    e = raised(
        lambda: wg.grad(np.sum)(N)  # <- integers
    )
    assert_says(
        e, InputError, "grad(sum) takes floating-point inputs", "argument 0 has dtype int64",
        "3.0 instead of 3", "x.astype(float)", line="integers",
    )  # fmt: skip
    assert isinstance(e, TypeError)


def test_a_python_integer_to_grad():
    e = raised(
        lambda: wg.grad(lambda a, x: a * x, argnums=1)(1.0, 3)  # <- python integer
    )
    assert_says(e, InputError, "argument 1 has dtype int64", line="python integer")


def test_an_integer_inside_a_tree():
    params = {"w": np.ones(2), "opt": [1.0, {"step": 3}]}
    e = raised(
        lambda: wg.grad(lambda p: np.sum(p["w"]))(params)  # <- integer in a tree
    )
    assert_says(
        e, InputError, "argument 0['opt'][1]['step'] has dtype int64", line="integer in a tree"
    )


@pytest.mark.parametrize("x", ["text", np.array(["a"]), np.array([None]), np.array([True])])
def test_inputs_that_are_no_numbers(x):
    e = raised(
        lambda: wg.grad(np.sum)(x)  # <- no numbers
    )
    assert_says(e, InputError, "floating-point inputs, but argument 0", line="no numbers")


def test_a_result_that_is_no_scalar():
    e = raised(
        lambda: wg.grad(np.sin)(X)  # <- no scalar
    )
    assert_says(
        e, ShapeError, "grad(sin) takes a function that returns a scalar", "returned shape (3,)",
        "np.sum", "wg.jacobian", line="no scalar",
    )  # fmt: skip
    assert isinstance(e, ValueError)


@pytest.mark.parametrize(
    ("result", "part"),
    [
        (None, "returned None; does it lack a return?"),
        ((1.0, 2.0), "returned a tuple (for value and more, use has_aux=True)"),
        ({"loss": 1.0}, "returned a dict"),
        ([1.0], "returned a list"),
        ("loss", "returned a str"),
    ],
)
def test_results_that_are_no_numbers(result, part):
    def loss(x):
        return result

    e = raised(
        lambda: wg.value_and_grad(loss)(X)  # <- odd result
    )
    assert_says(e, InputError, "grad(loss)", part, line="odd result")


def test_a_complex_result():
    e = raised(
        lambda: wg.grad(lambda x: np.sum(x * 1j))(X)  # <- complex
    )
    assert_says(
        e, InputError, "returns a real scalar, but it returned complex128", "np.real", "np.abs",
        "holomorphic=True", line="complex",
    )  # fmt: skip


def test_holomorphic_with_real_inputs():
    e = raised(
        lambda: wg.grad(np.sum, holomorphic=True)(X)  # <- holomorphic
    )
    assert_says(
        e, InputError, "holomorphic=True takes complex inputs", "float64", line="holomorphic"
    )


@pytest.mark.parametrize("argnums", [2, -3, (0, 5), 1.0, "x", None, True])
def test_wrong_argnums(argnums):
    e = raised(
        lambda: wg.grad(lambda x, y: x * y, argnums=argnums)(1.0, 2.0)  # <- argnums
    )
    assert_says(
        e, InputError, f"argnums={argnums!r}", "called with 2 positional arguments", line="argnums"
    )


def test_the_same_argument_twice():
    e = raised(
        lambda: wg.grad(lambda x, y: x * y, argnums=(0, -2))(1.0, 2.0)  # <- twice
    )
    assert_says(e, InputError, "argnums=(0, -2) names argument 0 twice", line="twice")


def test_only_keyword_arguments():
    e = raised(
        lambda: wg.grad(lambda x: x * x)(x=1.0)  # <- keywords
    )
    assert_says(
        e,
        InputError,
        "called with 0 positional arguments",
        "by position: x=... is a constant",
        line="keywords",
    )


def test_aux_that_is_missing():
    e = raised(
        lambda: wg.grad(np.sum, has_aux=True)(X)  # <- aux
    )
    assert_says(
        e, InputError, "has_aux=True takes a function that returns (value, aux)", line="aux"
    )


@pytest.mark.parametrize(
    ("tangent", "kind", "parts"),
    [
        (np.ones(2), ShapeError, ["has shape (2,)", "shape (3,)"]),
        (np.ones((3, 1)), ShapeError, ["has shape (3, 1)", "shape (3,)"]),
        (1.0, ShapeError, ["has shape ()", "shape (3,)"]),
        (X * 1j, InputError, ["has dtype complex128", "float64"]),
        ([X], ShapeError, ["the form", "expected", "got"]),
        (None, ShapeError, ["the form", "expected", "got", "None"]),
    ],
)
def test_tangents_that_do_not_fit(tangent, kind, parts):
    e = raised(
        lambda: wg.jvp(np.sin, (X,), (tangent,))  # <- tangent
    )
    assert_says(e, kind, "the tangent", *parts, line="tangent")
    _, push = wg.linearize(np.sin, X)
    e = raised(
        lambda: push(tangent)  # <- pushed tangent
    )
    assert_says(e, kind, "the tangent", *parts, line="pushed tangent")
    _, pull = wg.vjp(np.sin, X)
    e = raised(
        lambda: pull(tangent)  # <- cotangent
    )
    assert_says(e, kind, "the cotangent", *parts, line="cotangent")


def test_the_place_of_a_wrong_tangent_in_a_tree():
    p = {"w": X, "b": [X, X]}
    e = raised(
        lambda: wg.jvp(lambda p: p["w"], (p,), ({"w": X, "b": [X, np.ones(4)]},))  # <- tree
    )
    assert_says(e, ShapeError, "the tangent[0]['b'][1] has shape (4,)", line="tree")
    e = raised(
        lambda: wg.jvp(lambda p: p["w"], (p,), ({"w": X, "c": X},))  # <- other keys
    )
    assert_says(
        e, ShapeError, "expected ({'w': float64[3], 'b': [float64[3], float64[3]]},)",
        "got      ({'w': float64[3], 'c': float64[3]},)", line="other keys",
    )  # fmt: skip


def test_jvp_without_tuples():
    e = raised(
        lambda: wg.jvp(np.sin, X, X)  # <- no tuples
    )
    assert_says(e, InputError, "wg.jvp(f, (x,), (t,))", line="no tuples")


def test_a_different_number_of_tangents():
    e = raised(
        lambda: wg.jvp(np.multiply, (X, X), (X,))  # <- too few
    )
    assert_says(e, ShapeError, "the tangent must have the form", line="too few")


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
    "item": lambda x: x[0].item(),
    "item of an array": lambda x: x.item(1),
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


# --- control flow under vmap ----------------------------------------------------------------------
def test_branches_under_vmap():
    def branch(x):
        return x if x > 0 else -x  # <- if

    def loop(x):
        while x > 1:  # <- while
            x = x / 2
        return x

    def count(x):
        return sum(range(int(x)))  # <- int

    def mask(x):
        return np.sum(x[x > 0])  # <- mask

    for f, args, line, part in [
        (branch, X, "if", "np.where(condition, a, b) instead of if"),
        (loop, X, "while", "a fixed number of steps instead of while"),
        (count, X, "int", "differs along a vmapped axis"),
        (mask, X[:, None] * X, "mask", "np.where(mask, x, 0) instead of x[mask]"),
    ]:
        e = raised(lambda f=f, args=args: wg.vmap(f)(args))
        assert_says(e, BatchedControlError, part, line=line)
        assert isinstance(e, ValueError)
        f_of_grad = lambda x, f=f: wg.grad(lambda x: f(x) * 1.0)(x)  # noqa: E731
        assert type(raised(lambda g=f_of_grad, args=args: wg.vmap(g)(args))) is BatchedControlError


def test_a_plain_array_indexed_by_a_mapped_integer():
    def f(i):
        return X[i]  # <- plain indexed

    e = raised(lambda: wg.vmap(f)(N[:, None] - 1))
    assert_says(
        e,
        ConversionError,
        "traced array of int64",
        "np.asarray(w, like=i)[i]",
        line="plain indexed",
    )


def test_arguments_of_vmap():
    cases = [
        (
            lambda: wg.vmap(np.add)(np.ones(3), np.ones(4)),
            ShapeError,
            "argument 0: 3, argument 1: 4",
        ),
        (lambda: wg.vmap(np.sin)(1.0), ShapeError, "argument 0 of shape () has no axis 0"),
        (
            lambda: wg.vmap(np.sin, in_axes=2)(np.ones((3, 3))),
            ShapeError,
            "shape (3, 3) has no axis 2",
        ),
        (lambda: wg.vmap(np.sin, in_axes=None)(X), InputError, "every in_axes is None"),
        (
            lambda: wg.vmap(np.add, in_axes=(0,))(X, X),
            InputError,
            "in_axes has 1 entries for 2 arguments",
        ),
        (
            lambda: wg.vmap(np.sin, out_axes=None)(X),
            ShapeError,
            "out_axes is None for a result that differs",
        ),
        (lambda: wg.vmap(np.sin, out_axes=1)(X), ShapeError, "out_axes"),
        (lambda: wg.vmap(lambda x: x, in_axes=({"a": 0},))(X), InputError, "in_axes"),
        (lambda: wg.vmap(np.sin, in_axes=0.5)(X), InputError, "in_axes"),
    ]
    for run, kind, part in cases:
        e = raised(run)
        assert type(e) is kind
        assert part in str(e)
        assert f"at {__file__}:" in str(e)


# --- what is not supported ------------------------------------------------------------------------
def test_an_unsupported_function():
    def f(x):
        return np.sum(np.roots(x))  # <- roots

    e = raised(lambda: wg.grad(f)(X))
    assert_says(
        e,
        UnsupportedError,
        "wengert does not differentiate numpy.roots",
        "wg.custom_jvp",
        line="roots",
    )
    assert isinstance(e, NotImplementedError)


def test_what_is_near_an_unsupported_function():
    def f(x):
        return np.sort_complex(x)[0]  # <- sort_complex

    assert_says(raised(lambda: wg.grad(f)(X)), UnsupportedError, "numpy.sort.", line="sort_complex")


def test_unsupported_ufuncs():
    def special(x):
        return np.sum(scipy.special.kve(1, x))  # <- kve

    def method(x):
        return np.sum(scipy.special.kve.outer(x, x))  # <- outer

    def at(x):
        y = x * 1.0
        np.multiply.at(y, [0, 0], 2.0)  # <- multiply.at
        return np.sum(y)

    for f, line, name in [
        (special, "kve", "kve"), (method, "outer", "kve"), (at, "multiply.at", "numpy.multiply.at")
    ]:  # fmt: skip
        e = raised(lambda f=f: wg.grad(f)(X))
        assert_says(e, UnsupportedError, "does not differentiate", name, line=line)


def test_unsupported_options():
    def where_without_out(x):
        return np.sum(np.exp(x, where=x > 0))  # <- where=

    def mode(x):
        return np.sum(np.pad(x, 1, mode="linear_ramp"))  # <- pad

    cases = [
        (where_without_out, "where=", "np.where(mask, np.exp(...), default)"),
        (mode, "pad", "'linear_ramp'"),
    ]
    for f, line, part in cases:
        assert_says(raised(lambda f=f: wg.grad(f)(X)), UnsupportedError, part, line=line)


def test_an_unknown_method():
    def f(x):
        return x.tofile("somewhere")

    with pytest.raises(AttributeError, match=r"traced arrays have no \.tofile.*NumPy"):
        wg.grad(f)(X)


def test_numpys_own_errors_stay():
    """What plain NumPy refuses is refused with a message that names the shapes."""
    for f, kind in [
        (lambda x: np.sum(x + np.ones(4)), ValueError),
        (lambda x: x[7], IndexError),
        (lambda x: np.sum(x[0, 0]), IndexError),
        (lambda x: np.sum(x @ np.ones(4)), ValueError),
        (lambda x: np.sum(x.reshape(2, 2)), ValueError),
        (lambda x: np.sum(x, axis=3), ValueError),
        (lambda x: x[0.5], IndexError),
        (lambda x: np.sum(np.concatenate([x, x[None]])), ValueError),
        (lambda x: len(x[0]), TypeError),
        (lambda x: sum(v for v in x[0]), TypeError),
        (lambda x: 1.0 if x else 0.0, ValueError),
        (lambda x: x[0] + "a", TypeError),
        (lambda x: x[0] + None, TypeError),
    ]:
        with pytest.raises(kind):
            f(X)
        with pytest.raises(kind):
            wg.grad(f)(X)
        with pytest.raises(kind):
            wg.jvp(f, (X,), (X,))


def test_a_traced_value_is_no_dictionary_key():
    with pytest.raises(TypeError, match="unhashable"):
        wg.grad(lambda x: {x: 1.0}[x])(1.0)


def test_the_line_is_the_innermost_of_the_user():
    def helper(v):
        return math.exp(v)  # <- helper

    def f(x):
        return np.apply_along_axis(lambda v: v, 0, np.ones(2)).sum() + helper(x[0])

    assert_says(raised(lambda: wg.grad(f)(X)), ConversionError, line="helper")
