"""How far functions of native code are from the exact values, in units in the last place.

The reference is computed in the next larger precision: double for single, 80 bits for double.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import native_oracle as oracle
import numpy as np
import pytest
import scipy.special as sp

BOUND = 4.0
COMPOSED = {"expit": 5.0, "log_expit": 5.0}
"""Functions made of others here, whose errors add up."""

COUNT = 20_000
WIDE = np.longdouble
wide = pytest.mark.skipif(np.finfo(WIDE).nmant < 63, reason="no larger precision here")

Array = np.ndarray[Any, Any]


def erf_series(x: Array) -> Array:
    """Sum a series of positive terms, for arguments up to 6."""
    term = total = x
    for n in range(1, 200):
        term = term * (2 * x * x) / WIDE(2 * n + 1)
        total = total + term
    return 2 / np.sqrt(WIDE(np.pi) + WIDE(1.2246467991473532e-16)) * _bell(x) * total


def _bell(x: Array) -> Array:
    """Return exp(-x**2), with the square in two parts."""
    high = x.astype(np.float32).astype(WIDE)
    return np.exp(-high * high) * np.exp(-(x - high) * (x + high))


def erfc_fraction(x: Array) -> Array:
    """Continue a fraction, for arguments from 2."""
    tail = x
    for k in range(300, 0, -1):
        tail = x + WIDE(k) / 2 / tail
    return _bell(x) / np.sqrt(WIDE(np.pi) + WIDE(1.2246467991473532e-16)) / tail


def erf(x: Array) -> Array:
    return erf_series(x) if x.dtype == WIDE else sp.erf(x)


def erfc(x: Array) -> Array:
    if x.dtype != WIDE:
        return np.where(x > 0.5, np.asarray(_erfc_wide(x.astype(WIDE)), x.dtype), 1 - sp.erf(x))
    return _erfc_wide(x)


def _erfc_wide(x: Array) -> Array:
    with np.errstate(all="ignore"):
        return np.where(x > 2, erfc_fraction(np.maximum(x, 2)), 1 - erf_series(np.minimum(x, 2)))


def expit(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def log_expit(x: Array) -> Array:
    return np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x)))


# --- where they are looked at ---------------------------------------------------------------------
Sampler = Callable[[np.random.Generator, Any], Array]


def uniform(lo: float, hi: float) -> Sampler:
    return lambda rng, f: rng.uniform(lo, hi, COUNT)


def spread(lo: float, hi: float, negative: bool = True) -> Sampler:
    """Every order of magnitude between two bounds, of both signs."""

    def draw(rng: np.random.Generator, f: Any) -> Array:
        top, bottom = min(hi, float(f.max) ** 0.95), max(lo, float(f.tiny) * 4)
        x = np.exp(rng.uniform(np.log(bottom), np.log(top), COUNT))
        return x * rng.choice([-1.0, 1.0], COUNT) if negative else x

    return draw


def exponents(lo: float, hi: float) -> Sampler:
    """Up to these shares of the largest argument without overflow."""
    return lambda rng, f: rng.uniform(lo, hi, COUNT) * np.log(float(f.max))


def turns(rng: np.random.Generator, f: Any) -> Array:
    """Next to multiples of a quarter turn, where most digits cancel."""
    return np.arange(-COUNT // 2, COUNT // 2) * (np.pi / 2)


def around_one(rng: np.random.Generator, f: Any) -> Array:
    return 1 + spread(1e-7, 0.3)(rng, f)


NEAR, SMALL, SHARE, FAR = uniform(-3, 3), spread(1e-12, 1), spread(1e-12, 0.9), spread(1, 80)
CASES: dict[str, tuple[Callable[..., Array], list[tuple[Sampler, ...]]]] = {
    "exp": (np.exp, [(exponents(-0.95, 0.99),), (NEAR,), (SMALL,)]),
    "exp2": (np.exp2, [(exponents(-1.3, 1.4),), (NEAR,)]),
    "expm1": (np.expm1, [(exponents(-0.5, 0.99),), (NEAR,), (SMALL,)]),
    "log": (np.log, [(spread(0, np.inf, False),), (around_one,)]),
    "log2": (np.log2, [(spread(0, np.inf, False),), (around_one,)]),
    "log10": (np.log10, [(spread(0, np.inf, False),), (around_one,)]),
    "log1p": (np.log1p, [(spread(1e-12, np.inf, False),), (uniform(-0.99, 2),), (SHARE,)]),
    "cbrt": (np.cbrt, [(spread(0, np.inf),)]),
    "sin": (np.sin, [(uniform(-7, 7),), (spread(1e-8, 1e4),), (spread(1e4, 1e7),), (turns,)]),
    "cos": (np.cos, [(uniform(-7, 7),), (spread(1e-8, 1e4),), (spread(1e4, 1e7),), (turns,)]),
    "tan": (np.tan, [(uniform(-7, 7),), (spread(1e-8, 1e4),), (spread(1e4, 1e7),), (turns,)]),
    "arcsin": (np.arcsin, [(uniform(-1, 1),), (SMALL,)]),
    "arccos": (np.arccos, [(uniform(-1, 1),), (SMALL,)]),
    "arctan": (np.arctan, [(NEAR,), (spread(1e-8, np.inf),)]),
    "arctan2": (np.arctan2, [(NEAR, NEAR), (spread(1e-6, 1e6), spread(1e-6, 1e6))]),
    "hypot": (np.hypot, [(NEAR, NEAR), (spread(1e-6, 1e6), spread(1e-6, 1e6))]),
    "sinh": (np.sinh, [(exponents(-0.98, 0.98),), (NEAR,), (SMALL,)]),
    "cosh": (np.cosh, [(exponents(-0.98, 0.98),), (NEAR,)]),
    "tanh": (np.tanh, [(uniform(-20, 20),), (NEAR,), (SMALL,)]),
    "arcsinh": (np.arcsinh, [(NEAR,), (spread(1e-8, np.inf),)]),
    "arccosh": (np.arccosh, [(uniform(1, 3),), (spread(1.1, np.inf, False),)]),
    "arctanh": (np.arctanh, [(uniform(-1, 1),), (SMALL,)]),
    "erf": (erf, [(uniform(-5, 5),), (SMALL,)]),
    "erfc": (erfc, [(uniform(-5, 2),), (uniform(2, 9),)]),
    "power": (np.power, [(spread(1e-3, 1e3, False), uniform(-12, 12)), (around_one, FAR)]),
    "expit": (expit, [(uniform(-80, 40),), (NEAR,)]),
    "log_expit": (log_expit, [(uniform(-80, 40),), (NEAR,)]),
}  # fmt: skip


def error(got: Array, exact: Array) -> float:
    """Return the largest distance in ulp of the results' dtype; where those overflow, none."""
    f = np.finfo(got.dtype)
    _, power = np.frexp(exact)
    ulp = np.ldexp(exact.dtype.type(1), np.maximum(power, f.minexp + 1) - f.nmant - 1)
    known = (np.abs(exact) < f.max) & np.isfinite(exact)
    assert np.isfinite(got[known]).all()
    return float(np.max(np.abs(got.astype(exact.dtype) - exact)[known] / ulp[known]))


@wide
@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("name", CASES)
def test_accuracy(name: str, dtype: str):
    """In vectors."""
    reference, domains = CASES[name]
    larger = WIDE if dtype == "f8" else np.float64
    rng = np.random.default_rng(0)
    for samplers in domains:
        xs = [draw(rng, np.finfo(dtype)).astype(dtype) for draw in samplers]
        (got,) = oracle.compiled(oracle.one_node(name, xs)).run(xs)
        with np.errstate(all="ignore"):
            exact = np.asarray(reference(*(x.astype(larger) for x in xs)))
        assert exact.dtype == larger
        found = error(got, exact)
        assert found <= COMPOSED.get(name, BOUND), f"{found:.2f} ulp"


@wide
@pytest.mark.parametrize("name", CASES)
def test_accuracy_of_short_loops(name: str):
    """One number at a time."""
    reference, domains = CASES[name]
    rng = np.random.default_rng(1)
    for samplers in domains:
        xs = [draw(rng, np.finfo(float))[:3] for draw in samplers]
        program = oracle.compiled(oracle.one_node(name, xs))
        for _ in range(100):
            xs = [rng.choice(x, 3) * rng.uniform(0.9, 1.0) for x in xs]
            with np.errstate(all="ignore"):
                exact = np.asarray(reference(*(x.astype(WIDE) for x in xs)))
            if np.isfinite(exact).all():
                assert error(program.run(xs)[0], exact) <= COMPOSED.get(name, BOUND)
