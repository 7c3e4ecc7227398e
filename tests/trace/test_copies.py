"""Copies of traced values, made by whatever makes copies, keep their derivative."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest

import wengert as wg
from wengert.errors import ConversionError

X = np.array([1.0, 2.0])


@dataclasses.dataclass
class Layer:
    w: object
    name: str = "layer"


class Node:
    def __init__(self, w):
        self.w = w


COPIES = {
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "x.copy": lambda x: x.copy(),
    "np.copy": np.copy,
    "x.__copy__": lambda x: x.__copy__(),
    "deepcopy of a list": lambda x: copy.deepcopy([x, {"a": x}])[1]["a"],
    "deepcopy of an object": lambda x: copy.deepcopy(Node(x)).w,
    "deepcopy of a memo": lambda x: copy.deepcopy((x, x))[1],
    "asdict": lambda x: dataclasses.asdict(Layer(x))["w"],
    "astuple": lambda x: dataclasses.astuple(Layer(x))[0],
    "replace": lambda x: dataclasses.replace(Layer(x), name="other").w * 1.0,
}


def separate(make):
    """Later updates in place of either are not seen by the other."""

    def f(x):
        x = x * 1.0
        y = make(x)
        y[0] = 5.0
        x *= 3.0
        return np.sum(x * y)

    return f


@pytest.mark.parametrize("name", list(COPIES))
@pytest.mark.parametrize("compiled", [False, True])
def test_copies(name, compiled):
    f = separate(COPIES[name])
    run = wg.jit if compiled else (lambda f: f)
    value, g = run(wg.value_and_grad(f))(X)
    assert value == f(X) == 27
    assert g.tolist() == [15, 12]
    assert run(wg.jacfwd(f))(X).tolist() == [15, 12]


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_of_numbers_and_under_vmap(make):
    assert wg.grad(lambda x: make(x) ** 2)(3.0) == 6
    assert wg.vmap(lambda x: make(x) ** 2)(X).tolist() == [1, 4]
    assert wg.hessian(lambda x: np.sum(make(make(x) ** 3)))(X).tolist() == [[6, 0], [0, 12]]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_are_refused(protocol):
    for wrap in (lambda x: x, lambda x: {"a": x}, Layer):
        with pytest.raises(ConversionError, match="cannot be pickled"):
            wg.grad(lambda x, wrap=wrap: pickle.dumps(wrap(x), protocol))(X)
