"""`check_derivatives` accepts right derivatives and finds wrong ones, with their place."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.errors import DerivativeMismatchError, InputError
from wengert.testing import check_derivatives, numerical_derivative

rng = np.random.default_rng(7)
V, M = rng.normal(size=5), rng.normal(size=(3, 4))
Z = rng.normal(size=4) + 1j * rng.normal(size=4)


def mlp(params, x):
    for w, b in params[:-1]:
        x = np.tanh(x @ w + b)
    w, b = params[-1]
    return np.mean((x @ w + b) ** 2)


LAYERS = [(rng.normal(size=(3, 8)), np.zeros(8)), (rng.normal(size=(8, 2)), np.ones(2))]
RIGHT = {
    "scalar": (lambda x: np.sin(x) * x, (0.7,)),
    "python float": (lambda x: x**3, (2.0,)),
    "vector": (lambda x: np.exp(x) * np.cumsum(x), (V,)),
    "several": (lambda a, b, c: a @ b + c, (M, M.T, 1.5)),
    "pytree": (
        lambda d: {"y": d["w"] @ d["x"][0], "z": [d["b"] * 2]},
        ({"w": M, "x": (V[:4],), "b": 1.0},),
    ),
    "network": (mlp, (LAYERS, rng.normal(size=(6, 3)))),
    "integer power": (lambda x, n: x**n, (V, 3)),
    "int as count": (lambda x, n: sum(x * k for k in range(n)), (V, 4)),
    "text and None": (lambda x, how, y: getattr(np, how)(x), (V, "cos", None)),
    "integer array": (lambda x, i: x[i] * i, (V, np.array([0, 2, 2]))),
    "indexing": (lambda x: x[::2] * x[1], (V,)),
    "branch": (lambda x: x * 2 if x[0] > 100 else np.sin(x), (V,)),
    "kinks away": (lambda x: np.abs(x) + np.maximum(x, 0.01), (np.array([-1.0, 2.0, 0.5]),)),
    "sort": (lambda x: np.sort(x) * np.arange(5), (V,)),
    "norm": (lambda x: np.linalg.norm(x), (V,)),
    "inverse": (np.linalg.inv, (M[:, :3],)),
    "logdet": (lambda x: np.linalg.slogdet(x)[1], (M[:, :3],)),
    "not analytic in its code": (lambda x: np.abs(x * (1 + 1j)) ** 2, (V,)),
    "complex result": (lambda x: np.exp(1j * x), (V,)),
    "complex": (lambda z: np.exp(z) * z, (Z,)),
    "complex, not analytic": (lambda z: np.conj(z) * np.abs(z) ** 2, (Z,)),
    "complex to real": (lambda z: np.sum(np.real(z) * np.imag(z) ** 2), (Z,)),
    "complex contraction": (lambda z, m: m @ z, (Z, M)),
    "float32": (lambda x: np.tanh(x) @ x, (V.astype(np.float32),)),
    "float32 of mixed": (lambda x, y: x * y, (V.astype(np.float32), V)),
    "complex64": (lambda z: z * np.conj(z) * z, (Z.astype(np.complex64),)),
    "single inside": (lambda x: np.exp(x.astype(np.float32)), (V,)),
    "large values": (lambda x: x**2, (V * 1e8,)),
    "small values": (lambda x: np.log(x), (np.abs(V) * 1e-6,)),
    "spread values": (lambda x: np.sqrt(x) * x[0], (np.array([1e-6, 1.0, 1e6]),)),
    "near a wall": (lambda x: np.log(1 - x), (np.array([0.9999, 0.5, -3.0]),)),
    "zero": (lambda x: x * np.cos(x), (np.zeros(3),)),
    "linear": (lambda x: 2 * x, (V,)),
    "piecewise constant": (lambda x: np.floor(x) + 0 * x, (V,)),
    "constant": (lambda x: np.ones(2), (V,)),
    "empty": (lambda x: np.sum(x * 2), (np.zeros((0, 3)),)),
    "empty result": (lambda x: x[:0], (V,)),
    "large input": (lambda x: np.sum(np.sin(x) ** 2) * x[:3], (rng.normal(size=2000),)),
    "large matrix": (lambda x, y: x @ y, (rng.normal(size=(40, 30)), rng.normal(size=30))),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(name):
    f, args = RIGHT[name]
    report = check_derivatives(f, *args)
    assert report.ok
    assert report.worst.error <= report.worst.tolerance


@pytest.mark.parametrize(
    "name", ["scalar", "vector", "inverse", "float32", "complex, not analytic"]
)
def test_third_order(name):
    f, args = RIGHT[name]
    assert "order 3: reverse mode" in str(check_derivatives(f, *args, order=3))


@pytest.mark.parametrize("name", ["vector", "network", "inverse", "complex", "pytree"])
@pytest.mark.parametrize("seed", range(5))
def test_right_derivatives_pass_with_every_seed(name, seed):
    f, args = RIGHT[name]
    check_derivatives(f, *args, seed=seed)


def with_rule(function, derivative):
    """Give an elementwise function a derivative, as a tangent rule."""

    @wg.custom_jvp
    def f(x):
        return function(x)

    f.defjvp(lambda primals, tangents: (f(primals[0]), tangents[0] * derivative(primals[0])))
    return f


def off_at(place, amount):
    def derivative(x):
        factor = np.ones(np.shape(x))
        factor[place] += amount
        return np.cos(x) * factor

    return derivative


def only_second_wrong(x):
    """cos(x), whose own derivative is taken for zero."""
    return wg.stop_gradient(np.cos(x))


WRONG = {
    "off by 1e-3": (with_rule(np.sin, lambda x: np.cos(x) * 1.001), V, "at argument 0"),
    "off by 1e-7": (with_rule(np.sin, lambda x: np.cos(x) * (1 + 1e-7)), V, "at argument 0"),
    "off by 1e-3 in float32": (
        with_rule(np.sin, lambda x: np.cos(x) * np.float32(1.001)),
        V.astype(np.float32),
        "at argument 0",
    ),
    "one entry": (with_rule(np.sin, off_at(2, 1e-3)), V, r"at argument 0, index \[2\]"),
    "one matrix entry": (
        with_rule(np.sin, off_at((1, 3), -1e-3)),
        M,
        r"at argument 0, index \[1, 3\]",
    ),
    "one of many": (
        with_rule(np.sin, off_at(1234, 1e-3)),
        rng.normal(size=5000),
        r"at argument 0, index \[1234\]",
    ),
    "sign": (with_rule(np.sin, lambda x: -np.cos(x)), V, "at argument 0"),
    "missing": (with_rule(np.sin, lambda x: 0 * x), V, "at argument 0"),
    "spurious": (with_rule(np.round, lambda x: 1 + 0 * x), V, "at argument 0"),
    "conjugated": (with_rule(lambda z: z**2, lambda z: np.conj(2 * z)), Z, "at argument 0"),
    "NaN": (with_rule(np.sin, lambda x: np.cos(x) * np.nan), V, "got nan"),
    "second order": (with_rule(np.sin, only_second_wrong), V, "FAIL second order: reverse mode"),
    "at a kink": (np.abs, np.zeros(2), "FAIL"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_rules_are_found(name):
    f, x, message = WRONG[name]
    with pytest.raises(DerivativeMismatchError, match=message):
        check_derivatives(f, x)


def pullback_only(bwd):
    @wg.custom_vjp
    def f(x, y):
        return np.sin(x) * y

    f.defvjp(lambda x, y: (np.sin(x) * y, (x, y)), bwd)
    return f


def test_custom_pullbacks_are_checked_in_reverse_mode():
    right = pullback_only(lambda s, ct: (ct * np.cos(s[0]) * s[1], ct * np.sin(s[0])))
    report = check_derivatives(right, V, V + 1)
    names = [c.name.split(" against")[0] for c in report.checks]
    # Its gradient is ordinary code, which has both modes.
    second = [name for name in names if name.startswith("second order: ")]
    assert [name for name in names if name not in second] == ["reverse mode"]
    assert {"second order: forward mode", "second order: reverse mode"} <= set(second)
    swapped = pullback_only(lambda s, ct: (ct * np.sin(s[0]), ct * np.cos(s[0]) * s[1]))
    with pytest.raises(DerivativeMismatchError, match="reverse mode"):
        check_derivatives(swapped, V, V + 1)


def test_the_place_of_a_wrong_entry_in_a_tree():
    wrong = with_rule(np.sin, off_at((0, 1), 1e-2))

    def f(params, x):
        return np.sum(wrong(params["layers"][1]["w"])) + np.sum(params["b"]) * x

    params = {"layers": [{"w": M}, {"w": M + 1}], "b": V}
    with pytest.raises(
        DerivativeMismatchError, match=r"at argument 0\['layers'\]\[1\]\['w'\], index \[0, 1\]"
    ):
        check_derivatives(f, params, 2.0)


def test_the_imaginary_part_is_named():
    @wg.custom_vjp
    def f(z):
        return z * 2

    f.defvjp(lambda z: (z * 2, ()), lambda _, ct: (2 * ct + 0.1j * np.real(ct),))
    with pytest.raises(DerivativeMismatchError, match=r"argument 0 \(imaginary part\)"):
        check_derivatives(f, 1.0 + 2.0j)


def test_report():
    report = check_derivatives(WRONG["one entry"][0], V, raises=False)
    assert not report.ok
    lines = str(report).splitlines()
    assert lines[0] == "f: derivatives DISAGREE"
    assert lines[1].startswith("  ok   forward against reverse (dot product)")
    assert lines[2].startswith("  FAIL forward mode against complex step")
    assert "at result, index [2]: got " in lines[3]
    worst = report.worst
    assert not worst.ok
    assert worst.got / worst.expected == pytest.approx(1.001)
    assert max(map(len, lines)) < 110
    assert str(check_derivatives(np.sin, V)).startswith("sin: derivatives agree\n  ok")


def test_tolerance_can_be_set():
    f = with_rule(np.sin, lambda x: np.cos(x) * (1 + 1e-5))
    assert check_derivatives(f, V, rtol=1e-4, order=1).ok
    assert not check_derivatives(f, V, rtol=1e-6, order=1, raises=False).ok


@pytest.mark.parametrize(
    ("f", "args", "message"),
    [
        (np.sin, (3,), "needs a floating-point argument; write 3.0 instead of 3"),
        (np.argmax, (V,), "has not a floating-point result"),
        (lambda x: np.log(x) + 1, (-np.ones(2),), "has not a finite result"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
def test_nothing_to_check(f, args, message):
    with pytest.raises(InputError, match=message):
        check_derivatives(f, *args)


def test_large_inputs_are_sampled():
    calls = 0

    def f(x):
        nonlocal calls
        calls += 1
        return np.sum(np.cos(x) ** 2)

    check_derivatives(f, rng.normal(size=20_000))
    assert calls < 600


NUMERICAL = [
    (np.exp, V, np.exp(V), "complex step", 1e-15),
    (np.abs, V, np.sign(V), "differences", 1e-12),
    (lambda x: np.sum(np.abs(x) ** 3), V, np.sum(3 * V * np.abs(V)), "differences", 1e-10),
    (lambda x: np.real(x * (1 + 1j)) ** 2, V, 2 * V, "differences", 1e-10),
    (np.exp, V.astype(np.float32), np.exp(V), "differences", 1e-4),
    (np.log, np.abs(V) * 1e-9, 1e9 / np.abs(V), "complex step", 1e-15),
    (np.square, Z, 2 * Z, "differences", 1e-10),
]


@pytest.mark.parametrize(("f", "x", "expected", "method", "tolerance"), NUMERICAL)
def test_numerical_derivatives(f, x, expected, method, tolerance):
    value, error, how = numerical_derivative(f, x, np.ones_like(x))
    assert how == method
    np.testing.assert_allclose(value, expected, rtol=tolerance)
    assert np.all(np.abs(value - expected) <= 10 * error + 1e-15 * np.abs(expected))
