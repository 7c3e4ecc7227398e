"""Arguments and results of transformations that cannot be used: what, where, and what to write."""

from __future__ import annotations

import numpy as np
import pytest
from said import assert_says, raised

import wengert as wg
from wengert.errors import (
    InputError,
    ShapeError,
)

X = np.array([0.5, -1.5, 2.0])
N = np.array([1, 2, 3])


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


NO_NUMBERS = [
    ("text", "takes arrays and numbers, but argument 0 is a str"),
    (np.array([True]), "floating-point inputs, but argument 0"),
    (np.array(["a"]), "argument 0 is an array of dtype <U1"),
    (np.array([None]), "argument 0 is an array of Python objects"),
]


@pytest.mark.parametrize(("x", "text"), NO_NUMBERS)
def test_inputs_that_are_no_numbers(x, text):
    e = raised(
        lambda: wg.grad(np.sum)(x)  # <- no numbers
    )
    assert_says(e, InputError, text, line="no numbers")


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


@pytest.mark.parametrize("argnums", [1.0, "x", None, True, (0, "y"), [[0]]])
def test_argnums_of_a_wrong_type(argnums):
    e = raised(lambda: wg.grad(lambda x: x, argnums=argnums))  # <- type
    assert_says(e, InputError, f"argnums={argnums!r}", "a sequence of int", line="type")


@pytest.mark.parametrize("argnums", [2, -3, (0, 5)])
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
        lambda: wg.grad(lambda *, x: x * x)(x=1.0)  # <- keywords
    )
    assert_says(
        e,
        InputError,
        "called with 0 positional arguments",
        "by position, or name it in argnames",
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
