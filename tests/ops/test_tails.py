"""Derivatives in both tails, at both infinities and beside special points, against mpmath."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from tail_cases import BINARY, PRECISION, UNARY, Tail, pairs_of, points, units
from tail_complex import COMPLEX, complex_units
from tail_special import SPECIAL

import wengert as wg
from wengert.ops.base import TABLE, Scale


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


OF_PARTS = {
    "complex_absolute": ("hypot", lambda a, b: np.abs(a + 1j * b)),
    "complex_angle": ("arctan2", lambda b, a: np.angle(a + 1j * b)),
}
"""Rows of complex numbers as functions of their parts, and the row that these are like."""


@pytest.mark.share(4)
@DTYPES
@pytest.mark.parametrize("name", [*BINARY, *OF_PARTS])
def test_functions_of_two_arguments(name: str, dtype: Any) -> None:
    pairs = pairs_of(dtype)
    like, function = OF_PARTS.get(name) or (name, TABLE[name])
    if name in OF_PARTS:  # derivatives that overflow are not numbers where they are complex
        pairs = pairs[np.max(np.abs(pairs), axis=1) > np.finfo(dtype).tiny ** 0.4]
    a, b = pairs.T.copy()
    with mp.workdps(PRECISION), np.errstate(all="ignore"):
        for way, (wrt, f) in gradients(function, 2).items():
            formula, bound = BINARY[like][tuple(sorted(wrt))]
            got = f(a, b)
            found = []
            for p, q, y in zip(a.tolist(), b.tolist(), got.tolist(), strict=True):
                want, scale = formula(mp.mpf(p), mp.mpf(q))
                error = units(y, want, dtype, scale)
                if error > bound:
                    found.append((p, q, y, float(want), error))
            assert found == [], way


@DTYPES
@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_and_powers(name: str, dtype: Any) -> None:
    case = SPECIAL[name]
    at, info = np.array(case.at), np.finfo(dtype)
    size = np.abs(at)
    inside = (size >= max(info.tiny, case.least)) & (size <= info.max)
    xs = np.unique(at[(at == 0) | inside].astype(dtype))
    xs = xs[(np.abs(xs) != 1) | np.isin(xs, at)]  # what is rounded to 1
    wants: dict[Any, Any] = {}
    with mp.workdps(40), np.errstate(all="ignore"):
        for way, (wrt, f) in gradients(case.f).items():
            k = len(wrt) - 1
            found = []
            for x, y in zip(xs.tolist(), f(xs).tolist(), strict=True):
                if (x, k) not in wants:
                    at = mp.mpf(x)
                    wants[x, k] = mp.mpf((case.first, case.second)[k](at)), case.scale[k](at)
                want, scale = wants[x, k]
                error = units(y, want, dtype, scale)
                if error > (case.bound(x) if callable(case.bound) else case.bound):
                    found.append((x, y, float(want), error))
            assert found == [], way


@pytest.mark.share(5)
@DTYPES
@pytest.mark.parametrize("name", COMPLEX)
def test_complex_arguments(name: str, dtype: Any) -> None:
    """Far out in both directions, on the axes, and beside the branch points."""
    case = COMPLEX[name]
    kind = np.result_type(dtype, np.complex64)
    zs = case.points(kind)
    one = np.ones_like(zs)

    def forward(f: Any) -> Any:
        return lambda z: wg.jvp(f, (z,), (one,))[1]

    def reverse(f: Any) -> Any:
        return lambda z: wg.grad(lambda z: np.sum(f(z)), holomorphic=True)(z)

    op = TABLE[name]
    firsts, both = (forward(op), reverse(op)), (forward, reverse)
    with mp.workdps(60), np.errstate(all="ignore"):
        for order, functions in enumerate((firsts, [g(f) for g in both for f in firsts])):
            wants = [case.derivatives[order](mp.mpc(z)) for z in zs.tolist()]
            for k, f in enumerate(functions):
                got = f(zs)
                assert got.dtype == kind
                found = []
                for z, y, want in zip(zs.tolist(), got.tolist(), wants, strict=True):
                    error = complex_units(y, want, dtype)
                    if error > case.bound:
                        found.append((z, y, complex(want), error))
                assert found == [], (order, k)


@DTYPES
@pytest.mark.parametrize("gap", [0.0, 1.0, 20.0, 60.0, 95.0, 300.0, 700.0])
def test_weights_beside_1(gap: float, dtype: Any) -> None:
    """The second derivatives of logsumexp: ``w_i (1 if i = j else 0) - w_i w_j``."""
    x = np.array([gap, 0.25, -0.75], dtype)
    with mp.workdps(PRECISION), np.errstate(all="ignore"):
        e = [mp.exp(mp.mpf(v) - mp.mpf(gap)) for v in x.tolist()]
        w = [v / sum(e) for v in e]
        basis = np.eye(3, dtype=dtype)
        for way in (
            wg.hessian(np.logaddexp.reduce)(x),
            wg.jacrev(wg.grad(np.logaddexp.reduce))(x),
            wg.jacfwd(wg.jacfwd(np.logaddexp.reduce))(x),
            np.stack([wg.grad(lambda x, t=t: wg.jvp(np.logaddexp.reduce, (x,), (t,))[1])(x)
                      for t in basis]),
            wg.jit(wg.hessian(np.logaddexp.reduce))(x),
        ):  # fmt: skip
            for i in range(3):
                for j in range(3):
                    rest = sum(w[k] for k in range(3) if k != i)
                    want = w[i] * rest if i == j else -w[i] * w[j]
                    assert units(way[i, j], want, dtype) <= 16 + gap, (i, j)


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 2)])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_weights_of_nothing(shape: tuple[int, ...], axis: Any) -> None:
    x = np.zeros(shape)

    def f(x: Any) -> Any:
        return np.sum(np.logaddexp.reduce(x, axis=axis))

    assert f(x) == wg.jvp(f, (x,), (x,))[0] == wg.jit(f)(x) == wg.jit(f, backend="numpy")(x)
    for g in (wg.grad(f)(x), wg.jit(wg.grad(f))(x), wg.hvp(f, (x,), (x,))):
        assert g.shape == shape


def test_rows_of_python_numbers_give_python_numbers() -> None:
    """They do not promote float32 arrays that they meet afterwards."""
    for name in ("sech_squared", "expit_slope", "gaussian", "hazard", "excess", "excess_slope"):
        assert type(TABLE[name](0.5)) is float


PLAIN = {
    "linear, or a choice: its factor is a constant, a sign, 0, 1/2 or 1": {
        "add", "subtract", "negative", "positive", "absolute", "fabs", "remainder", "fmod",
        "copysign", "heaviside", "ldexp", "nextafter", "select", "degrees", "radians", "rad2deg",
        "deg2rad", "maximum", "minimum", "fmax", "fmin", "maximum_part", "minimum_part",
        "fmax_part", "fmin_part", "as_number", "instead",
    },
    "its factor is its other argument": {"multiply"},
    "test_spectral.py measures it in what it is for": {"over_separations"},
    "a derivative of a row that is here, whose second derivative is its first": {
        "sech_squared", "expit_slope", "gaussian", "arctan_slope", "one_minus_square", "bernoulli",
        "root_one_minus_square", "root_square_minus_one", "root_square_plus_one", "over_squares",
        "over_again", "direction", "hazard", "excess", "excess_slope", "erfinv_slope",
        "ndtri_slope",
    },
}  # fmt: skip
"""Rows with an elementwise derivative that no table measures, by the reason."""


def test_every_row_with_an_elementwise_derivative_is_measured_or_has_a_reason() -> None:
    rows = {name for name, op in TABLE.items() if isinstance(op.derivative, Scale)}
    measured = {*UNARY, *BINARY, *(c.row for c in SPECIAL.values())}
    plain = set().union(*PLAIN.values())
    assert not plain & measured
    assert rows == plain | measured


def test_every_function_of_complex_numbers_is_measured_at_them() -> None:
    """Of NumPy; what takes two arguments is made of products, exponentials and logarithms."""
    others = {"negative", "positive", "absolute", "sign"}
    takes = {
        name
        for name, op in TABLE.items()
        if isinstance(op.derivative, Scale)
        and op.ufunc is getattr(np, name, ())
        and op.ufunc.nin == 1
        and any(t[0] in "FD" for t in op.ufunc.types)
    }
    assert takes - others == set(COMPLEX)
