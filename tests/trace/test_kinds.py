"""Questions about the type of an argument have the answers of the plain argument."""

from __future__ import annotations

import functools
import numbers

import numpy as np
import pytest

import wengert as wg
from wengert.errors import UnsupportedError

X = np.array([1.0, 2.0])

QUESTIONS = {
    "ndarray": lambda x: isinstance(x, np.ndarray),
    "float": lambda x: isinstance(x, float),
    "int or float": lambda x: isinstance(x, (int, float)),
    "int": lambda x: isinstance(x, int),
    "list or tuple": lambda x: isinstance(x, (list, tuple)),
    "ndarray or list": lambda x: isinstance(x, (np.ndarray, list)),
    "Number": lambda x: isinstance(x, numbers.Number),
    "Real": lambda x: isinstance(x, numbers.Real),
    "isscalar": np.isscalar,
    "ndim": lambda x: np.ndim(x) == 0,
    "iterable": np.iterable,
    "hasattr __len__": lambda x: hasattr(x, "__len__"),
    "hasattr __iter__": lambda x: hasattr(x, "__iter__"),
    "getattr __len__": lambda x: getattr(x, "__len__", None) is not None,
    "hasattr nonsense": lambda x: hasattr(x, "nonsense"),
    "__class__": lambda x: x.__class__ is np.ndarray,
}
ARGUMENTS = {
    "float": 2.0,
    "float64": np.float64(2.0),
    "float32": np.float32(2.0),
    "0-d": np.array(2.0),
    "1-d": X,
    "2-d": np.eye(2),
}
WAYS = {
    "grad": lambda f, x: wg.grad(f)(x),
    "jvp": lambda f, x: wg.jvp(f, (x,), (x,)),
    "vjp": lambda f, x: wg.vjp(f, x),
    "jit": lambda f, x: wg.jit(f)(x),
    "jit grad": lambda f, x: wg.jit(wg.grad(f))(x),
    "hessian": lambda f, x: wg.hessian(f)(x),
}


@pytest.mark.share(4)
@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("kind", list(ARGUMENTS))
@pytest.mark.parametrize("name", list(QUESTIONS))
def test_answers(name, kind, way):
    ask, x = QUESTIONS[name], ARGUMENTS[kind]
    for _ in range(20):  # CPython rewrites code that runs often
        answers = [ask(x)]
    wanted = answers.pop()

    def f(x):
        answers.append(ask(x))
        return np.sum(x * 1.0)

    for _ in range(3):
        WAYS[way](f, x)
    assert set(answers) == {wanted}


@functools.singledispatch
def dispatched(x):
    return 0.0 * x


@dispatched.register
def _(x: np.ndarray):
    return np.sum(x) * 2


@dispatched.register
def _(x: float):
    return x * 3


def matched(x):
    match x:
        case np.ndarray():
            return np.sum(x) * 2
        case float():
            return x * 3
    return 0.0 * x


@pytest.mark.parametrize("f", [dispatched, matched])
def test_code_that_chooses_by_type(f):
    assert wg.grad(f)(X).tolist() == [2, 2]
    assert wg.grad(f)(2.0) == 3
    assert wg.jit(wg.grad(f))(2.0) == 3
    assert wg.vmap(f)(X).tolist() == [3, 6]


@pytest.mark.parametrize("ask", [len, iter, list, tuple, sum, lambda x: [*x], lambda x: 1 in x])
def test_what_numbers_cannot_do(ask):
    for x in (2.0, np.float64(2.0)):
        with pytest.raises(TypeError):
            wg.grad(lambda x: ask(x) and x)(x)


@pytest.mark.parametrize("name", ["tobytes", "byteswap", "tofile", "ctypes", "__array_interface__"])
def test_attributes_that_arrays_have_and_traced_ones_have_not(name):
    with pytest.raises(UnsupportedError, match=f"no .{name}"):
        wg.grad(lambda x: np.sum(x) if hasattr(x, name) else np.sum(0 * x))(X)
