"""Every row of the operation table in Taylor mode, against forward mode nested in forward mode."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import CASES, Case

import wengert as wg
from wengert.ops.base import dtype_of, shape_of

ORDER = 3


def _results(y):
    return y if type(y) is tuple else (y,)


def _differentiable(case: Case) -> bool:
    args = case.args()
    y = _results(case.row.evaluate(*args, **case.attrs))
    return bool(case.active(args)) and any(dtype_of(part).kind in "fc" for part in y)


EVERY = [case for cases in CASES.values() for case in cases if _differentiable(case)]
every_case = pytest.mark.parametrize("case", EVERY, ids=str)
FIRST = {case.op: case for case in reversed(EVERY)}
of_each = pytest.mark.parametrize(
    "case",
    [c if c is FIRST[c.op] else pytest.param(c, marks=pytest.mark.slow) for c in EVERY],
    ids=str,
)
"""The first case of each operation, the others among the slow tests."""


def function(case):
    """Return the operation as a function of what it is differentiated by, and these arguments."""
    args = case.args()
    active = case.active(args)

    def f(*xs):
        full = list(args)
        for k, x in zip(active, xs, strict=True):
            full[k] = x
        found = _results(case.row(*full, **case.attrs))
        return [np.real(y) ** 2 + y for y in found if dtype_of(y).kind in "fc"]

    return f, tuple(args[k] for k in active)


def directions(xs, seed=0):
    rng = np.random.default_rng([seed, 11])
    made = []
    for x in xs:
        t = rng.uniform(-0.4, 0.4, shape_of(x))
        if dtype_of(x).kind == "c":
            t = t + 1j * rng.uniform(-0.4, 0.4, shape_of(x))
        made.append(np.asarray(t, dtype_of(x))[()])
    return tuple(made)


def nested(f, xs, v, order):
    """Return the derivatives along a straight line, by forward mode of forward mode."""
    found = []
    for _ in range(order):
        f = (lambda g: lambda *xs: wg.jvp(g, xs, v, allow_int=True)[1])(f)
        found.append(f(*xs))
    return found


def same(got, want, tol=1e-9):
    for a, b in zip(got, want, strict=True):
        scale = max(1.0, float(np.max(np.abs(b), initial=0.0, where=np.isfinite(b))))
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol * scale)
        assert dtype_of(a) == dtype_of(b)
        assert shape_of(a) == shape_of(b)


@every_case
def test_derivatives_along_a_line(case):
    f, xs = function(case)
    v = directions(xs)
    zeros = tuple(0 * t for t in v)
    _, terms = wg.jet(f, xs, [[t, *[z] * (ORDER - 1)] for t, z in zip(v, zeros, strict=True)])
    for got, want in zip(terms, nested(f, xs, v, ORDER), strict=True):
        same(got, want)


@of_each
def test_second_derivatives_along_the_axes(case):
    f, xs = function(case)
    if any(dtype_of(x).kind == "c" for x in xs) or sum(map(np.size, xs)) > 20:
        pytest.skip("of few real numbers")
    places = tuple(range(len(xs)))
    axes = []
    for k, x in enumerate(xs):
        for i in range(np.size(x)):
            v = [np.zeros(shape_of(y), dtype_of(y)) for y in xs]
            v[k].reshape(-1)[i] = 1
            axes.append(nested(f, xs, tuple(t[()] for t in v), 2)[1])
    total = [sum(parts) for parts in zip(*axes, strict=True)]
    if not axes:
        return
    same(wg.laplacian(f, places)(*xs), total)
    diagonal = wg.hessian_diagonal(f, places)(*xs)
    for row, parts in zip(diagonal, zip(*axes, strict=True), strict=True):
        flat = [
            np.reshape(d, (*shape_of(parts[0]), np.size(x))) for d, x in zip(row, xs, strict=True)
        ]
        flat = np.concatenate(flat, -1)
        same([flat], [np.stack(parts, -1)])
