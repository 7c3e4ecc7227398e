"""What follows a rolled loop reads its results, also in bodies of loops that are operations."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.rolling.limits import ALL, rolling

X = np.linspace(0.1, 1.0, 4)
BEFORE = {
    "once": lambda x: x * 1.0,
    "twice": lambda x: x * 2.0,
    "function": np.cos,
    "product": lambda x: np.sin(x) * x,
    "negative": lambda x: -x,
}
AFTER = {
    "scan": lambda c, x: wg.scan(lambda a, r: (a * c[0] + r, a), 1.0, x)[0],
    "map": lambda c, x: np.sum(wg.map(lambda r: c[0] * r, x)),
    "while": lambda c, x: wg.while_loop(lambda a: a < 5.0, lambda a: a + 1.0 + c[1] ** 2, x[0]),
    "sum": lambda c, x: np.sum(c * x),
    "running sum": lambda c, x: np.sum(np.cumsum(c) * 1.0),
}
TRANSFORMS = {
    "value": lambda f: f,
    "gradient": wg.grad,
    "Hessian": wg.hessian,
    "forward": lambda f: wg.jacfwd(wg.grad(f)),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize("before", BEFORE)
def test_results_of_a_loop_are_read_afterwards(before, after, transform):
    def f(x):
        c = BEFORE[before](x)
        for _ in range(6):
            c = np.sin(c)
        return AFTER[after](c, x)

    derivative = TRANSFORMS[transform](f)
    with rolling(ALL):
        np.testing.assert_allclose(
            wg.jit(derivative, backend="numpy")(X), derivative(X), rtol=1e-10, atol=1e-12
        )
