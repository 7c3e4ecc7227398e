"""Code under vmap and functions of NumPy that cannot be followed: what to write instead."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
from said import assert_says, raised

import wengert as wg
from wengert.errors import (
    BatchedControlError,
    ConversionError,
    InputError,
    ShapeError,
    UnsupportedError,
)

X = np.array([0.5, -1.5, 2.0])
N = np.array([1, 2, 3])


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
        (branch, X, "if", "np.where(condition, a, b) or wg.cond instead of if"),
        (loop, X, "while", "wg.while_loop, or wg.jit"),
        (count, X, "int", "differs along a vmapped axis"),
        (mask, X[:, None] * X, "mask", "np.where(mask, x, 0) instead of x[mask]"),
    ]:
        e = raised(lambda f=f, args=args: wg.vmap(f)(args))
        assert_says(e, BatchedControlError, part, line=line)
        assert isinstance(e, ValueError)
        f_of_grad = lambda x, f=f: wg.grad(lambda x: f(x) * 1.0)(x)  # noqa: E731
        assert type(raised(lambda g=f_of_grad, args=args: wg.vmap(g)(args))) is BatchedControlError


@pytest.mark.usefixtures("unfollowed")
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
        return np.sum(np.sort_complex(x))  # <- unsupported

    e = raised(lambda: wg.grad(f)(X))
    assert_says(
        e,
        UnsupportedError,
        "wengert does not differentiate numpy.sort_complex",
        "wg.custom_jvp",
        line="unsupported",
    )
    assert isinstance(e, NotImplementedError)


def test_what_to_write_instead_of_an_unsupported_function():
    def f(x):
        return np.sort_complex(x)[0]  # <- sort_complex

    assert_says(raised(lambda: wg.grad(f)(X)), UnsupportedError, "np.sort", line="sort_complex")


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

    with pytest.raises(UnsupportedError, match=r"traced arrays have no \.tofile.*NumPy"):
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
            wg.jvp(f, (X,), (X,), allow_int=True)


def test_a_traced_value_is_no_dictionary_key():
    with pytest.raises(TypeError, match="unhashable"):
        wg.grad(lambda x: {x: 1.0}[x])(1.0)


@pytest.mark.usefixtures("unfollowed")
def test_the_line_is_the_innermost_of_the_user():
    def helper(v):
        return math.exp(v)  # <- helper

    def f(x):
        return np.apply_along_axis(lambda v: v, 0, np.ones(2)).sum() + helper(x[0])

    assert_says(raised(lambda: wg.grad(f)(X)), ConversionError, line="helper")
