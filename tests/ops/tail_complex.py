"""Derivatives of the elementwise rows at complex arguments, in many digits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath as mp
import numpy as np
from tail_cases import INF, LN2, LN10

__all__ = ["COMPLEX", "Holomorphic", "complex_units"]

Partial = Callable[..., Any]

PARTS = (0.0, 1e-300, 1e-160, 1e-30, 1e-8, 0.3, 0.99999, 1.0, 1.5, 7.0, 25.0, 400.0, 800.0, 1e8,
         1e100, 1e160, 1e300)  # fmt: skip


@dataclass(frozen=True)
class Holomorphic:
    """A function of a complex number: its first and second derivative.

    Parameters
    ----------
    derivatives : tuple of callable
        Of a number of mpmath's.
    real, imag : float
        The largest parts of an argument: exponentials are 0 or infinite beyond, and the period of
        the others is lost in rounding.
    without : tuple of complex
        Singular points.
    bound : float
        The largest error in units of the last place of the derivative's size.
    """

    derivatives: tuple[Partial, Partial]
    real: float = INF
    imag: float = INF
    without: tuple[complex, ...] = ()
    bound: float = 32.0

    def points(self, dtype: Any) -> Any:
        """Return arguments of every size and direction."""
        info = np.finfo(dtype)
        parts = [x for x in PARTS if x == 0 or float(info.tiny) < x < float(info.max)]
        found = {
            complex(s * a, t * b)
            for a in parts for b in parts for s in (1, -1) for t in (1, -1)
            if a <= self.real and b <= self.imag
        }  # fmt: skip
        zs = np.unique(np.array(sorted(found, key=lambda z: (z.real, z.imag)), dtype))
        return zs[~np.isin(zs, self.without)]


def complex_units(got: complex, want: Any, dtype: Any) -> float:
    """Return the error in units in the last place of the size; 0 where that overflows."""
    info = np.finfo(dtype)
    size = abs(want)
    if size > float(info.max) / 4:
        return 0.0
    if got != got:
        return INF
    unit = max(size, mp.mpf(float(info.tiny))) * float(info.eps) / 2
    return float(abs(mp.mpc(got) - want) / unit)


def _below(z: Any, on_the_cut: bool) -> Any:
    """Return the square root, on its cut the limit from below: mpmath has no -0j to ask for it."""
    return -mp.sqrt(z) if on_the_cut else mp.sqrt(z)


def _cosine(z: Any) -> Any:
    """Return sqrt(1 - z) sqrt(1 + z); a real z has the imaginary part +0, as NumPy's have here."""
    return _below(1 - z, z.imag == 0 and z.real > 1) * mp.sqrt(1 + z)


def _plus(z: Any) -> Any:
    return mp.sqrt(1 + 1j * z) * _below(1 - 1j * z, z.real == 0 and z.imag < -1)


def _minus(z: Any) -> Any:
    return mp.sqrt(z - 1) * mp.sqrt(z + 1)


WIDE = 1e5

COMPLEX: dict[str, Holomorphic] = {
    "square": Holomorphic((lambda z: 2 * z, lambda z: mp.mpc(2))),
    "reciprocal": Holomorphic((lambda z: -1 / z**2, lambda z: 2 / z**3), without=(0,)),
    "exp": Holomorphic((mp.exp, mp.exp), WIDE),
    "exp2": Holomorphic((lambda z: LN2 * mp.power(2, z), lambda z: LN2**2 * mp.power(2, z)),
                        WIDE, 7.0, bound=600.0),
    "expm1": Holomorphic((mp.exp, mp.exp), WIDE),
    "log": Holomorphic((lambda z: 1 / z, lambda z: -1 / z**2), without=(0,)),
    "log2": Holomorphic((lambda z: 1 / (LN2 * z), lambda z: -1 / (LN2 * z**2)), without=(0,)),
    "log10": Holomorphic((lambda z: 1 / (LN10 * z), lambda z: -1 / (LN10 * z**2)), without=(0,)),
    "log1p": Holomorphic((lambda z: 1 / (1 + z), lambda z: -1 / (1 + z) ** 2), without=(-1,)),
    "sqrt": Holomorphic((lambda z: 1 / (2 * mp.sqrt(z)), lambda z: -1 / (4 * z * mp.sqrt(z))),
                        without=(0,)),
    "sin": Holomorphic((mp.cos, lambda z: -mp.sin(z)), imag=WIDE),
    "cos": Holomorphic((lambda z: -mp.sin(z), lambda z: -mp.cos(z)), imag=WIDE),
    "tan": Holomorphic((lambda z: 1 / mp.cos(z) ** 2, lambda z: 2 * mp.sin(z) / mp.cos(z) ** 3),
                       imag=WIDE),
    "sinh": Holomorphic((mp.cosh, mp.sinh), WIDE),
    "cosh": Holomorphic((mp.sinh, mp.cosh), WIDE),
    "tanh": Holomorphic((lambda z: 1 / mp.cosh(z) ** 2,
                         lambda z: -2 * mp.sinh(z) / mp.cosh(z) ** 3), WIDE),
    "arcsin": Holomorphic((lambda z: 1 / _cosine(z),
                           lambda z: z / (_cosine(z) * (1 - z) * (1 + z))), without=(1, -1)),
    "arccos": Holomorphic((lambda z: -1 / _cosine(z),
                           lambda z: -z / (_cosine(z) * (1 - z) * (1 + z))), without=(1, -1)),
    "arctan": Holomorphic((lambda z: 1 / (1 + z**2), lambda z: -2 * z / (1 + z**2) ** 2),
                          without=(1j, -1j)),
    "arcsinh": Holomorphic((lambda z: 1 / _plus(z), lambda z: -z / (_plus(z) * (1 + z * z))),
                           without=(1j, -1j)),
    "arccosh": Holomorphic((lambda z: 1 / _minus(z), lambda z: -z / (_minus(z) * (z * z - 1))),
                           without=(1, -1)),
    "arctanh": Holomorphic((lambda z: 1 / (1 - z**2), lambda z: 2 * z / (1 - z**2) ** 2),
                           without=(1, -1)),
}  # fmt: skip
