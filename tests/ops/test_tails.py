"""Derivatives in both tails, at both infinities and beside special points, against mpmath."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from tail_cases import BINARY, PRECISION, UNARY, Tail, pairs_of, points, units

import wengert as wg
from wengert.ops.base import TABLE


def gradients(op: Any, nin: int = 1) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return derivatives of a row by every way: the arguments taken, and the function."""

    def along(f: Any, k: int) -> Any:
        def g(*xs: Any) -> Any:
            def one(z: Any) -> Any:
                return f(*xs[:k], z, *xs[k + 1 :])

            return wg.jvp(one, (xs[k],), (np.ones_like(xs[k]),))[1]

        return g

    def back(f: Any, k: int) -> Any:
        return wg.grad(lambda *xs: np.sum(f(*xs)), k)

    found: dict[str, tuple[tuple[int, ...], Any]] = {}
    for i in range(nin):
        found[f"forward {i}"] = (i,), along(op, i)
        found[f"reverse {i}"] = (i,), back(op, i)
        for j in range(nin):
            found[f"reverse over reverse {i}{j}"] = (i, j), back(back(op, i), j)
            found[f"forward over reverse {i}{j}"] = (i, j), along(back(op, i), j)
            found[f"reverse over forward {i}{j}"] = (i, j), back(along(op, i), j)
            found[f"forward over forward {i}{j}"] = (i, j), along(along(op, i), j)
    return found


def wanted(tail: Tail, x: float, order: int) -> Any:
    """Return the derivative at a number; None where nothing is promised."""
    k = order - 1
    if math.isinf(x):
        limit = tail.limits[k if x < 0 else 2 + k]
        return None if math.isnan(limit) else mp.mpf(limit)
    if tail.domain(x):
        return (tail.first, tail.second)[k](mp.mpf(x))
    return mp.mpf(tail.at[x][k]) if x in tail.at else None


def failures(tail: Tail, xs: Any, got: Any, order: int, more: float = 0.0) -> list[Any]:
    """List the points where a derivative is not within the bound."""
    tiny = float(np.finfo(xs.dtype).tiny)
    found = []
    for x, y in zip(xs.tolist(), got.tolist(), strict=True):
        want = wanted(tail, x, order)
        if want is None or (tail.flush and abs(want) < tiny and abs(y) <= tiny):
            continue
        if x == 0 and math.copysign(1, x) < 0 and abs(y) == abs(want):
            continue  # at -0 an infinite limit may have either sign
        error = units(y, want, xs.dtype.type)
        if error > more + (tail.bound(x) if callable(tail.bound) else tail.bound):
            found.append((x, y, float(want), error))
    return found


DTYPES = pytest.mark.parametrize("dtype", [np.float64, np.float32])


@DTYPES
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_argument(name: str, dtype: Any) -> None:
    xs = points(dtype)
    with mp.workdps(PRECISION), np.errstate(all="ignore"):
        for way, (wrt, f) in gradients(TABLE[name]).items():
            got = f(xs)
            assert got.dtype == dtype
            assert failures(UNARY[name], xs, got, len(wrt)) == [], way


NATIVE = ["tanh", "expit", "log_expit", "expm1", "erf", "arctan", "arcsin", "arcsinh", "arctanh",
          "log1p", "sqrt", "cbrt", "reciprocal", "arccosh"]  # fmt: skip


@DTYPES
@pytest.mark.parametrize("name", NATIVE)
def test_native_code(name: str, dtype: Any) -> None:
    xs = points(dtype)
    with mp.workdps(PRECISION), np.errstate(all="ignore"):
        for way, (wrt, f) in gradients(TABLE[name]).items():
            if way.startswith("reverse"):
                got = wg.jit(f)(xs)
                assert failures(UNARY[name], xs, got, len(wrt), 8.0) == [], way


@DTYPES
@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_arguments(name: str, dtype: Any) -> None:
    pairs = pairs_of(dtype)
    a, b = pairs.T.copy()
    with mp.workdps(PRECISION), np.errstate(all="ignore"):
        for way, (wrt, f) in gradients(TABLE[name], 2).items():
            formula, bound = BINARY[name][tuple(sorted(wrt))]
            got = f(a, b)
            found = []
            for p, q, y in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
                want, scale = formula(mp.mpf(p), mp.mpf(q))
                error = units(y, want, dtype, scale)
                if error > bound:
                    found.append((p, q, y, float(want), error))
            assert found == [], way


def test_every_row_with_an_elementwise_derivative_of_its_own_is_here() -> None:
    """Or is polynomial, a choice, or a special function that test_table.py measures."""
    from wengert.ops.base import Scale

    plain = {
        *("add", "subtract", "multiply", "negative", "positive", "absolute", "fabs", "remainder"),
        *("fmod", "copysign", "heaviside", "ldexp", "nextafter", "select", "degrees", "radians"),
        *("rad2deg", "deg2rad", "maximum", "minimum", "fmax", "fmin", "power", "float_power"),
        *("maximum_part", "minimum_part", "fmax_part", "fmin_part", "xlogy", "xlog1py"),
        *("gamma", "gammaln", "psi", "zeta", "iv", "jv", "i0", "i1", "j0", "j1", "erfinv", "ndtri"),
        *("sech_squared", "expit_slope", "gaussian", "arctan_slope", "one_minus_square"),
        *("bernoulli", "root_one_minus_square", "root_square_minus_one", "root_square_plus_one"),
        *("over_squares", "direction", "hazard", "excess"),
    }
    rows = {name for name, op in TABLE.items() if isinstance(op.derivative, Scale)}
    assert rows - plain == {*UNARY, *BINARY} & rows
