"""What NumPy warns of while wengert computes is told at the user's line, as without wengert."""

from __future__ import annotations

import inspect
import warnings
from collections import Counter

import numpy as np
import pytest

import wengert as wg

X = np.array([0.0, -1.0, 2.0])


def filled(x):
    y = np.zeros(3)
    for i in range(3):
        y[i] = x[i] ** -1.0
    return np.sum(y)


def updated(x):
    y = x.copy()
    y /= 0.0
    return np.sum(y)


FUNCTIONS = {
    "log": lambda x: np.sum(np.log(x)),
    "divide": lambda x: np.sum(1 / x),
    "power": lambda x: np.sum(x**0.5),
    "exp": lambda x: np.sum(np.exp(x * 1e4)),
    "a number": lambda x: x[0] / np.float64(0.0),
    "sum": lambda x: np.sum(x * np.array([1.0, np.inf, np.inf])),
    "dot": lambda x: np.dot(x * 1e200, x * 1e200),
    "cast": lambda x: np.sum((x * 1e6).astype(np.float16).astype(float)),
    "remainder": lambda x: np.sum(x % 0.0),
    "where": lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0)),
    "norm": lambda x: np.sum(x / np.linalg.norm(x * 0)),
    "filled": filled,
    "updated": updated,
}

WAYS = {
    "grad": lambda f: wg.grad(f)(X),
    "jit": lambda f: wg.jit(f)(X),
    "jit grad": lambda f: wg.jit(wg.grad(f))(X),
    "jvp": lambda f: wg.jvp(f, (X,), (X,)),
    "vmap": lambda f: wg.vmap(f)(np.stack([X, X])),
    "linearize": lambda f: wg.linearize(f, X),
    "hessian": lambda f: wg.hessian(f)(X),
}


def told(run, action="always"):
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter(action)
        run()
    return seen


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_line_is_the_users(name, way):
    f = FUNCTIONS[name]
    lines, first = inspect.getsourcelines(f)
    seen = told(lambda: WAYS[way](f))
    assert seen or (name, way) == ("dot", "vmap")  # which is computed by BLAS
    for w in seen:
        assert w.filename == __file__
        assert first <= w.lineno < first + len(lines)
    if way in ("grad", "jit", "linearize"):
        plain = told(lambda: f(X.copy()))
        texts = [Counter(str(w.message) for w in found) for found in (seen, plain)]
        assert texts[0] == texts[1]


def test_each_line_is_told_once_where_python_shows_one_of_a_kind():
    def f(x):
        return np.sum(np.log(x)) - np.sum(1 / x)

    def again():
        for _ in range(3):
            wg.grad(f)(np.array([0.0]))
            wg.jit(f)(np.array([0.0]))

    globals().pop("__warningregistry__", None)
    assert len(told(again, "default")) == 2


def test_filters_of_the_user_hold():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message="divide by zero encountered in log")
        assert wg.value_and_grad(lambda x: np.log(x))(0.0)[0] == -np.inf
        with pytest.raises(RuntimeWarning, match="divide by zero encountered in"):
            wg.grad(lambda x: np.divide(1.0, x))(0.0)

    def calm(x):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.log(x)

    assert told(lambda: wg.grad(calm)(0.0)) == []


def test_no_other_code_is_concerned():
    wg.grad(np.sum)(X)
    seen = told(lambda: np.log(0.0 * X))
    assert [w.filename for w in seen] == [__file__]
    assert warnings.showwarning is warnings._showwarning_orig
