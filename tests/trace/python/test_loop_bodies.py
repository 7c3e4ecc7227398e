"""The functions of math in bodies of loops and branches that are compiled."""

from __future__ import annotations

import math

import numpy as np
import pytest

import wengert as wg
from wengert.trace.region import RegionControlError


def scanned(x):
    def body(c, k):
        return math.sin(c) * x + math.sqrt(k), math.exp(c) + math.log(k) + math.pow(k, x)

    c, ys = wg.scan(body, 0.3, np.arange(1.0, 5.0))
    return c + ys.sum()


def repeated(x):
    def step(s):
        return s[0] + math.cos(s[1]) ** 2, math.log(s[1] + 1.5) * x

    return wg.while_loop(lambda s: s[0] < 3, step, (0.0, x))[1]


def branched(x):
    return wg.cond(x > 0.6, lambda x: math.log(x), lambda x: math.acos(x), x)


def mapped(x):
    return np.sum(wg.vmap(lambda v: math.atanh(v * x))(np.array([0.1, 0.3])))


@pytest.mark.parametrize("f", [scanned, repeated, branched, mapped])
def test_compiled(f):
    for g in (f, wg.jacfwd(f)):
        compiled = wg.jit(g)
        for x in (0.5, 0.7, 0.5):
            np.testing.assert_allclose(compiled(x), g(x), rtol=1e-12)


def test_gradients_of_scans():
    np.testing.assert_allclose(
        wg.jit(wg.grad(scanned))(0.5), (scanned(0.500001) - scanned(0.499999)) / 2e-6, rtol=1e-6
    )


def test_outside_of_the_domain():
    """A compiled body gives NaN where Python raises; functions outside of loops raise."""

    def f(x):
        return wg.scan(lambda c, _: (math.sqrt(c) - 1.0, c), x, None, length=3)[1]

    with pytest.raises(ValueError, match="math domain error"):
        f(0.5)
    with np.errstate(invalid="ignore"):
        assert np.isnan(wg.jit(f)(0.5)[-1])
    with pytest.raises(ValueError, match="math domain error"):
        wg.jit(lambda x: math.sqrt(x - 1.0))(0.5)


def test_bodies_that_wait_for_the_exception_are_refused():
    def f(x):
        def body(c, _):
            try:
                return math.sqrt(c) - 1.0, c
            except ValueError:
                return 0.0 * c, c

        return wg.scan(body, x, None, length=3)[1]

    with pytest.raises(RegionControlError):
        wg.jit(f)(0.5)
