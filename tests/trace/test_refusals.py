"""A refusal of wengert's that the function catches is told, eager as well."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.errors import ConversionError
from wengert.trace.alarm import RefusalCaught

pytestmark = pytest.mark.usefixtures("unfollowed")

X = np.linspace(1.0, 2.0, 3)


def caught(x):
    try:
        return math.sin(x[0]) * np.sum(x)
    except TypeError:
        return np.sum(x)


WAYS = {
    "grad": lambda f: wg.grad(f)(X),
    "value_and_grad": lambda f: wg.value_and_grad(f)(X),
    "jacobian": lambda f: wg.jacobian(f)(X),
    "hessian": lambda f: wg.hessian(f)(X),
    "jvp": lambda f: wg.jvp(f, (X,), (X,)),
    "vjp": lambda f: wg.vjp(f, X)[0],
    "vmap": lambda f: wg.vmap(f)(np.outer(X, X)),
    "vmap of grad": lambda f: wg.vmap(wg.grad(f))(np.outer(X, X)),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_that_is_caught_warns(way):
    with pytest.warns(RefusalCaught, match="catches the ConversionError") as told:
        WAYS[way](caught)
    assert len(told) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_refusal_that_is_raised_does_not_warn(way):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ConversionError):
            WAYS[way](lambda x: math.sin(x[0]) * np.sum(x))
        WAYS[way](lambda x: np.sum(x * x))
