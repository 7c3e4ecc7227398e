"""Special functions, powers and functions of the slopes' rows: their derivatives by mpmath.

A case is a function of one argument (the others held) on points of its own, because mpmath takes
long for some of them, with the size of what its derivatives cancel from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
import scipy.special as sp

from wengert.ops.base import TABLE

__all__ = ["SPECIAL", "Special"]

Partial = Callable[..., Any]


def none(x: Any) -> Any:
    """Say that nothing cancels."""
    return mp.mpf(0)


@dataclass(frozen=True)
class Special:
    """A function of one argument and its derivatives.

    Parameters
    ----------
    row : str
        The row of the operation table that it is of.
    f : callable
        The function, in NumPy and SciPy.
    first, second : callable
        Its derivatives, of a number of mpmath's.
    at : tuple of float
        Where they are compared.
    bound : float or callable
        The largest error in units in the last place of the larger of the derivative and its scale.
    scale : tuple of callable
        What the first and the second derivative cancel from.
    least : float
        The smallest size of an argument; below, SciPy's own function underflows, or as said.
    """

    row: str
    f: Partial
    first: Partial
    second: Partial
    at: tuple[float, ...]
    bound: Any = 16.0
    scale: tuple[Partial, Partial] = (none, none)
    least: float = 0.0


POSITIVE = (1e-300, 1e-160, 1e-30, 1e-10, 1e-5, 1e-3, 0.1, 0.5, 0.9, 0.9999, 1.0, 1.0001, 1.4616,
            1.5, 2.0, 3.0, 7.5, 12.0, 30.0, 50.0, 100.0, 170.0)  # fmt: skip
LARGE = (1e3, 1e5, 1e10, 1e100, 1e155, 1e300)
REFLECTED = (-1e-30, -1e-5, -0.3, -0.5, -1.5, -2.3, -5.7, -20.4)
BOTH = tuple(s * x for s in (-1, 1) for x in (1e-300, 1e-8, 1e-3, 0.1, 0.9, 2.0, 5.0, 12.0, 30.0,
                                              88.0, 300.0, 700.0))  # fmt: skip
WAVES = tuple(s * x for s in (-1, 1) for x in (1e-300, 1e-8, 1e-3, 0.1, 0.9, 2.4, 5.0, 12.0, 30.0,
                                               100.0, 1e3))  # fmt: skip
BETWEEN = (1e-300, 1e-100, 1e-30, 1e-10, 1e-3, 0.02, 0.1, 0.3, 0.45, 0.5, 0.55, 0.7, 0.9, 0.98,
           1 - 2.0**-20, 1 - 2.0**-40, 1 - 2.0**-53)  # fmt: skip


def _psi(n: int) -> Partial:
    return lambda x: mp.psi(n, x)


def _gamma_first(x: Any) -> Any:
    return mp.gamma(x) * mp.psi(0, x)


def _gamma_second(x: Any) -> Any:
    return mp.gamma(x) * (mp.psi(0, x) ** 2 + mp.psi(1, x))


def _amplitude(x: Any) -> Any:
    return 1 / mp.sqrt(1 + abs(x))


def _modified(v: float, x: Any) -> Any:
    """Evaluate a modified Bessel function; mpmath's does not converge at tiny arguments."""
    if abs(x) < 1e-50:
        return (x / 2) ** abs(v) / mp.gamma(abs(v) + 1) if v == int(v) or x > 0 else mp.nan
    return mp.re(mp.besseli(v, x))


def _wave(v: float, x: Any) -> Any:
    return mp.re(mp.besselj(v, x))


def _bessel(kind: Partial, v: float, n: int) -> Partial:
    """Return a derivative by the recurrences; `sign` is that of the second term."""
    sign = 1 if kind is _modified else -1

    def first(v: float, x: Any) -> Any:
        return (kind(v - 1, x) + sign * kind(v + 1, x)) / 2

    if n == 1:
        return lambda x: first(v, x)
    return lambda x: (first(v - 1, x) + sign * first(v + 1, x)) / 2


def _quantile(x: Any) -> Any:
    """Return the quantile of the normal distribution."""
    y = mp.mpf(sp.ndtri(float(x)))
    for _ in range(8):  # Newton's method, in the logarithm where the tail is far
        low = mp.erfc(-y / mp.sqrt(2)) / 2
        density = mp.exp(-y * y / 2) / mp.sqrt(2 * mp.pi)
        y -= low * mp.log(low / x) / density if x < 0.5 else (low - x) / density
    return y


def _ndtri_first(x: Any) -> Any:
    return mp.sqrt(2 * mp.pi) * mp.exp(_quantile(x) ** 2 / 2)


def _ndtri_second(x: Any) -> Any:
    y = _quantile(x)
    return y * 2 * mp.pi * mp.exp(y**2)


def _erfinv(x: Any) -> Any:
    if abs(x) < 0.5:
        return mp.erfinv(x)
    return mp.sign(x) * -_quantile((1 - abs(x)) / 2) / mp.sqrt(2)


def _erfinv_first(x: Any) -> Any:
    return mp.sqrt(mp.pi) / 2 * mp.exp(_erfinv(x) ** 2)


def _erfinv_second(x: Any) -> Any:
    y = _erfinv(x)
    return mp.pi / 2 * y * mp.exp(2 * y * y)


def _sinc(n: int) -> Partial:
    def value(x: Any) -> Any:
        if x == 0:
            return mp.mpf(0) if n == 1 else -(mp.pi**2) / 3
        if abs(x) < 1e-50:
            return -(mp.pi**2) / 3 * (x if n == 1 else 1)
        z = mp.pi * x
        s, c = mp.sin(z), mp.cos(z)
        if n == 1:
            return mp.pi * (c / z - s / z**2)
        return mp.pi**2 * (-s / z - 2 * c / z**2 + 2 * s / z**3)

    return value


def _row(name: str) -> Partial:
    """Call a row of the table by its name: those of `wengert.ops.slopes` are no ufuncs."""
    return lambda *xs: TABLE[name](*xs)


SMALL = tuple(s * x for s in (-1, 1) for x in (1e-300, 1e-9, 1e-5, 3e-4, 4e-4, 1e-3, 0.01, 0.03,
                                               0.1, 0.3, 0.45, 0.5, 0.7, 1.0, 1.5, 10.3,
                                               1e3))  # fmt: skip


def _power_cases() -> dict[str, Special]:
    """Return powers by the base, exponents held, and by the exponent, bases held."""
    found = {}
    bases = (1e-300, 1e-150, 1e-20, 1e-3, 0.5, 0.999, 1.0, 1.001, 2.0, 30.0, 1e20, 1e150, 1e300)
    for b in (-400.5, -3.0, -1.0, -0.5, 2.0**-60, 0.3125, 1.0, 1.5, 2.0, 3.0, 25.0, 300.0):
        at = (*bases, *(-x for x in bases)) if b == int(b) else bases
        for name, f in (("power", np.power), ("float_power", np.float_power)):
            found[f"{name} {b:g}"] = Special(
                name, lambda x, f=f, b=b: f(x, np.asarray(b, x.dtype)),
                lambda x, b=b: b * mp.power(x, mp.mpf(b) - 1),
                lambda x, b=b: mp.mpf(b) * (mp.mpf(b) - 1) * mp.power(x, mp.mpf(b) - 2),
                at, lambda x: 16 + min(abs(float(mp.log(abs(x)))), 800.0),
                least=1e-15 if 0 < b < 1e-9 else 0.0,  # x**(b - 2) overflows below
            )  # fmt: skip
    exponents = (-1e3, -300.0, -20.0, -1.0, -1e-5, -1e-30, 0.0, 1e-30, 1e-5, 0.5, 1.0, 20.0, 1e3)
    for a in (2.0**-100, 2.0**-10, 0.75, 1.0, 1.125, 3.0, 2.0**100):
        found[f"power of {a:g}"] = Special(
            "power", lambda x, a=a: np.power(np.asarray(a, x.dtype), x),
            lambda x, a=a: mp.power(a, x) * mp.log(a),
            lambda x, a=a: mp.power(a, x) * mp.log(a) ** 2,
            exponents, lambda x, a=a: 16 + min(abs(float(x * mp.log(a))), 800.0),
        )  # fmt: skip
    return found


SPECIAL: dict[str, Special] = {
    "gamma": Special("gamma", sp.gamma, _gamma_first, _gamma_second, (*POSITIVE, *REFLECTED), 64.0,
                     (lambda x: abs(mp.gamma(x)), none)),
    "gammaln": Special("gammaln", sp.gammaln, _psi(0), _psi(1), (*POSITIVE, *LARGE, *REFLECTED),
                       32.0, (lambda x: mp.mpf(1), none)),
    "psi": Special("psi", sp.psi, _psi(1), _psi(2), (*POSITIVE, *LARGE, *REFLECTED), 32.0,
                   (none, lambda x: abs(mp.psi(1, x)))),
    "zeta": Special("zeta", lambda x: sp.zeta(2.5, x), lambda x: -2.5 * mp.zeta(3.5, x),
                    lambda x: 8.75 * mp.zeta(4.5, x), (*POSITIVE, 1e3, 1e5), 32.0),
    "erfinv": Special("erfinv", sp.erfinv, _erfinv_first, _erfinv_second,
                      tuple(s * x for s in (-1, 1) for x in BETWEEN), 32.0),
    "ndtri": Special("ndtri", sp.ndtri, _ndtri_first, _ndtri_second, BETWEEN, 32.0),
    "i0": Special("i0", sp.i0, _bessel(_modified, 0, 1), _bessel(_modified, 0, 2), BOTH),
    "i1": Special("i1", sp.i1, _bessel(_modified, 1, 1), _bessel(_modified, 1, 2), BOTH,
                  least=1e-100),
    "j0": Special("j0", sp.j0, _bessel(_wave, 0, 1), _bessel(_wave, 0, 2), WAVES, 600.0,
                  (_amplitude, _amplitude)),
    "j1": Special("j1", sp.j1, _bessel(_wave, 1, 1), _bessel(_wave, 1, 2), WAVES, 600.0,
                  (_amplitude, _amplitude)),
    "iv": Special("iv", lambda x: sp.iv(3.0, x), _bessel(_modified, 3, 1),
                  _bessel(_modified, 3, 2), BOTH, 64.0, least=1e-100),
    "iv of a fraction": Special("iv", lambda x: sp.iv(2.5, x), _bessel(_modified, 2.5, 1),
                                _bessel(_modified, 2.5, 2), tuple(x for x in BOTH if x > 0), 64.0,
                                least=1e-100),
    "jv": Special("jv", lambda x: sp.jv(3.0, x), _bessel(_wave, 3, 1),
                  _bessel(_wave, 3, 2), WAVES, 600.0, (_amplitude, _amplitude)),
    "jv of a fraction": Special("jv", lambda x: sp.jv(2.5, x), _bessel(_wave, 2.5, 1),
                                _bessel(_wave, 2.5, 2), tuple(x for x in WAVES if x > 0),
                                600.0, (_amplitude, _amplitude)),
    "xlogy a": Special("xlogy", lambda x: sp.xlogy(x, np.asarray(3.0, x.dtype)),
                       lambda x: mp.log(3), none, BOTH),
    "xlogy b": Special("xlogy", lambda x: sp.xlogy(np.asarray(0.7, x.dtype), x),
                       lambda x: mp.mpf(0.7) / x, lambda x: -mp.mpf(0.7) / x**2,
                       (*POSITIVE, *LARGE)),
    "xlog1py a": Special("xlog1py", lambda x: sp.xlog1py(x, np.asarray(1e-20, x.dtype)),
                         lambda x: mp.log1p(mp.mpf(1e-20)), none, BOTH),
    "xlog1py b": Special("xlog1py", lambda x: sp.xlog1py(np.asarray(0.75, x.dtype), x),
                         lambda x: mp.mpf(0.75) / (1 + x), lambda x: -mp.mpf(0.75) / (1 + x) ** 2,
                         (*POSITIVE, *LARGE, -1e-5, -0.5, -1 + 2.0**-20)),
    "sinc": Special("sin", np.sinc, _sinc(1), _sinc(2), SMALL, 64.0,
                    (lambda x: mp.mpf(1) * min(abs(x), 1), lambda x: mp.mpf(1))),
    **_power_cases(),
}  # fmt: skip
