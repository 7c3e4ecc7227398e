"""First and second derivatives of the elementwise rows in many digits, by mpmath, and their bounds.

A row is ``name: Tail(first, second, limits, bound)``. What `bound` states is the largest error in
units in the last place; a formula bounds what grows with the argument.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mpmath as mp
import numpy as np

INF, NAN = float("inf"), float("nan")
Partial = Callable[..., Any]

PRECISION = 120
"""Digits of mpmath: more than the 17 lost by 1 - tanh(20)**2, thrice."""


mp.mp.dps = PRECISION


@dataclass(frozen=True)
class Tail:
    """A function of one argument and its derivatives.

    Parameters
    ----------
    first, second : callable
        The derivatives, of a number of mpmath's inside the domain.
    domain : callable
        Whether the function is real and smooth at a finite number.
    limits : tuple of float
        First and second derivative at -inf and at inf: (first, second, first, second).
    at : dict
        First and second derivative at points where `domain` does not hold.
    bound : float or callable
        Units in the last place; of a callable, at the point.
    flush : bool
        Whether a derivative below the smallest normal number may be anything down to 0.
    drawn : (float, float) or None
        Between which numbers `op_cases` draws its arguments, where it does not say so itself.
    """

    first: Partial
    second: Partial
    domain: Callable[[float], bool] = lambda x: True
    limits: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    at: dict[float, tuple[float, float]] = field(default_factory=dict)
    bound: Any = 8.0
    flush: bool = False
    drawn: tuple[float, float] | None = None


def positive(x: float) -> bool:
    """Whether a number is above 0."""
    return x > 0


def inside(x: float) -> bool:
    """Whether a number is between -1 and 1."""
    return -1 < x < 1


def squared(x: float) -> float:
    """Bound exp(-x**2): the rounding of x**2 is multiplied by its size."""
    return 16 + min(x * x, 800.0)


def grown(x: float) -> float:
    """Bound exp(x): a rounding of x is multiplied by its size."""
    return 8 + min(abs(x), 800.0)


def _sech2(x: Any) -> Any:
    return 1 / mp.cosh(x) ** 2 if abs(x) < 1e5 else mp.mpf(0)


def _slope(x: Any) -> Any:
    """Return the derivative of the logistic function."""
    return 1 / (2 * mp.cosh(x / 2)) ** 2 if abs(x) < 1e5 else mp.mpf(0)


def _exp(x: Any) -> Any:
    return mp.exp(x) if x > -1e5 else mp.mpf(0)


def _cosh(x: Any) -> Any:
    return mp.cosh(x) if abs(x) < 1e5 else mp.inf


def _sinh(x: Any) -> Any:
    return mp.sinh(x) if abs(x) < 1e5 else mp.sign(x) * mp.inf


def _up(x: Any) -> Any:
    return _exp(x) if x < 1e5 else mp.inf


def _logistic(x: Any) -> Any:
    return 1 / (1 + _up(-x))


def _gauss(x: Any) -> Any:
    return _exp(-x * x)


def _log_ndtr(x: Any) -> tuple[Any, Any]:
    """Return the derivatives of log of the normal distribution: the ratio r, and -r (x + r)."""
    density = mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi) if x < 1e10 else mp.mpf(0)
    if x < -1e10:  # the continued fraction's first terms
        r = -x - 1 / x + 2 / x**3
        return r, -r * (-1 / x + 2 / x**3)
    r = density / (mp.erfc(-x / mp.sqrt(2)) / 2)
    return r, -r * (x + r)


ROOT_PI, LN2, LN10 = mp.sqrt(mp.pi), mp.log(2), mp.log(10)


def _erfcx(x: Any) -> tuple[Any, Any, Any]:
    """Return exp(x**2) erfc(x) and its derivatives, by the continued series where x is large."""
    if x > 1e20:
        return 1 / (x * ROOT_PI), -1 / (x**2 * ROOT_PI), 2 / (x**3 * ROOT_PI)
    y = mp.exp(x * x) * mp.erfc(x)
    slope = 2 * x * y - 2 / ROOT_PI
    return y, slope, 2 * y + 2 * x * slope


UNARY: dict[str, Tail] = {
    "square": Tail(lambda x: 2 * x, lambda x: mp.mpf(2), limits=(-INF, 2.0, INF, 2.0)),
    "reciprocal": Tail(
        lambda x: -1 / x**2, lambda x: 2 / x**3, lambda x: x != 0,
        at={0.0: (-INF, INF)},
    ),
    "exp": Tail(_up, _up, limits=(0.0, 0.0, INF, INF)),
    "exp2": Tail(
        lambda x: LN2 * _up(x * LN2), lambda x: LN2**2 * _up(x * LN2), limits=(0.0, 0.0, INF, INF)
    ),
    "expm1": Tail(_up, _up, limits=(0.0, 0.0, INF, INF)),
    "log": Tail(lambda x: 1 / x, lambda x: -1 / x**2, positive, (NAN, NAN, 0.0, 0.0),
                {0.0: (INF, -INF)}),
    "log2": Tail(lambda x: 1 / (LN2 * x), lambda x: -1 / (LN2 * x**2), positive,
                 (NAN, NAN, 0.0, 0.0), {0.0: (INF, -INF)}),
    "log10": Tail(lambda x: 1 / (LN10 * x), lambda x: -1 / (LN10 * x**2), positive,
                  (NAN, NAN, 0.0, 0.0), {0.0: (INF, -INF)}),
    "log1p": Tail(lambda x: 1 / (1 + x), lambda x: -1 / (1 + x) ** 2, lambda x: x > -1,
                  (NAN, NAN, 0.0, 0.0), {-1.0: (INF, -INF)}),
    "sqrt": Tail(lambda x: 1 / (2 * mp.sqrt(x)), lambda x: -1 / (4 * x * mp.sqrt(x)), positive,
                 (NAN, NAN, 0.0, 0.0), {0.0: (INF, -INF)}),
    "cbrt": Tail(lambda x: 1 / (3 * mp.cbrt(abs(x)) ** 2),
                 lambda x: -2 * mp.sign(x) / (9 * abs(x) * mp.cbrt(abs(x)) ** 2),
                 lambda x: x != 0, bound=12.0),
    "sin": Tail(mp.cos, lambda x: -mp.sin(x), limits=(NAN,) * 4),
    "cos": Tail(lambda x: -mp.sin(x), lambda x: -mp.cos(x), limits=(NAN,) * 4),
    "tan": Tail(lambda x: 1 + mp.tan(x) ** 2, lambda x: 2 * mp.tan(x) * (1 + mp.tan(x) ** 2),
                limits=(NAN,) * 4),
    "arcsin": Tail(lambda x: 1 / mp.sqrt(1 - x**2), lambda x: x / (1 - x**2) ** 1.5, inside,
                   (NAN,) * 4, {1.0: (INF, INF), -1.0: (INF, -INF)}),
    "arccos": Tail(lambda x: -1 / mp.sqrt(1 - x**2), lambda x: -x / (1 - x**2) ** 1.5, inside,
                   (NAN,) * 4, {1.0: (-INF, -INF), -1.0: (-INF, INF)}),
    "arctan": Tail(lambda x: 1 / (1 + x**2), lambda x: -2 * x / (1 + x**2) ** 2, flush=True),
    "sinh": Tail(_cosh, _sinh, limits=(INF, -INF, INF, INF)),
    "cosh": Tail(_sinh, _cosh, limits=(-INF, INF, INF, INF)),
    "tanh": Tail(_sech2, lambda x: -2 * mp.tanh(x) * _sech2(x) if abs(x) < 1e5 else mp.mpf(0)),
    "arcsinh": Tail(lambda x: 1 / mp.sqrt(1 + x**2), lambda x: -x / (1 + x**2) ** 1.5),
    "arccosh": Tail(lambda x: 1 / mp.sqrt(x**2 - 1), lambda x: -x / (x**2 - 1) ** 1.5,
                    lambda x: x > 1, (NAN, NAN, 0.0, 0.0), {1.0: (INF, -INF)}),
    "arctanh": Tail(lambda x: 1 / (1 - x**2), lambda x: 2 * x / (1 - x**2) ** 2, inside,
                    (NAN,) * 4, {1.0: (INF, INF), -1.0: (INF, -INF)}),
    "erf": Tail(lambda x: 2 / ROOT_PI * _gauss(x), lambda x: -4 * x / ROOT_PI * _gauss(x),
                bound=squared),
    "erfc": Tail(lambda x: -2 / ROOT_PI * _gauss(x), lambda x: 4 * x / ROOT_PI * _gauss(x),
                 bound=squared),
    "erfcx": Tail(lambda x: _erfcx(x)[1], lambda x: _erfcx(x)[2], lambda x: x > -20, bound=64.0,
                  limits=(NAN, NAN, 0.0, 0.0), drawn=(-2.0, 2.0)),
    "ndtr": Tail(lambda x: _gauss(x / mp.sqrt(2)) / mp.sqrt(2 * mp.pi),
                 lambda x: -x * _gauss(x / mp.sqrt(2)) / mp.sqrt(2 * mp.pi), bound=squared),
    "log_ndtr": Tail(lambda x: _log_ndtr(x)[0], lambda x: _log_ndtr(x)[1],
                     limits=(INF, -1.0, 0.0, 0.0), bound=squared),
    "expit": Tail(_slope, lambda x: -_slope(x) * mp.tanh(x / 2) if abs(x) < 1e5 else mp.mpf(0)),
    "log_expit": Tail(lambda x: _logistic(-x), lambda x: -_slope(x), limits=(1.0, 0.0, 0.0, 0.0),
                      flush=True),
    "logit": Tail(lambda x: 1 / (x * (1 - x)), lambda x: (2 * x - 1) / (x * (1 - x)) ** 2,
                  lambda x: 0 < x < 1, (NAN,) * 4, {0.0: (INF, -INF), 1.0: (INF, INF)}),
    "entr": Tail(lambda x: -mp.log(x) - 1, lambda x: -1 / x, positive, (NAN, NAN, -INF, 0.0),
                 {0.0: (INF, -INF)}),
}  # fmt: skip


# --- points ---------------------------------------------------------------------------------------
def points(dtype: Any) -> Any:
    """Return numbers that reach into both tails, to both infinities, and beside 0 and 1."""
    info = np.finfo(dtype)
    one = dtype(1)
    tiny, largest = float(info.tiny), float(info.max)
    beside = [float(np.nextafter(one, dtype(0))), float(np.nextafter(one, dtype(2)))]
    sizes = [
        0.0, float(info.smallest_subnormal), 37 * float(info.smallest_subnormal), tiny, 3 * tiny,
        tiny**0.5, tiny**0.51, tiny**0.4, tiny ** (1 / 3), 1e-20, 1e-10, 1e-8, 1e-5, 1e-3, 0.1,
        0.3, 0.5, 0.625, 0.9, 0.999, 1 - 1e-5, *beside, 1.0, 1 + 1e-5, 1.1, 1.5, 2.0, 3.0, 5.0,
        8.0, 9.010914, 12.0, 15.0, 18.0, 20.0, 25.0, 30.0, 37.5, 40.0, 44.0, 60.0, 88.0, 95.0,
        104.0, 150.0, 300.0, 350.0, 360.0, 372.0, 700.0, 709.0, 720.0, 740.0, 750.0, 1100.0, 1e4,
        1e5, 1e8, 1e10, 1e16, largest**0.25, largest ** (1 / 3), largest**0.4, largest**0.49,
        largest**0.51, largest**0.75, largest / 3, largest, INF,
    ]  # fmt: skip
    found = np.array(sizes, dtype)
    return np.unique(np.concatenate([-found, found]))


def units(got: Any, want: Any, dtype: Any, scale: Any = 0) -> float:
    """Return the error of a number in units in the last place of the right one."""
    if mp.isnan(want):
        return 0.0 if np.isnan(got) else INF
    if np.isnan(got):
        return INF
    info = np.finfo(dtype)
    if abs(want) > float(info.max) * (1 + float(info.eps) / 4):
        near = abs(want) < float(info.max) * (1 + 1000 * float(info.eps))
        fine = np.isinf(got) or (near and abs(got) > float(info.max) * 0.999)
        return 0.0 if fine and (got > 0) == (want > 0) else INF
    if np.isinf(got):
        return 0.0 if abs(want) > float(info.max) * (1 - 1000 * float(info.eps)) else INF
    size = max(abs(want), scale, mp.mpf(float(info.tiny)))
    unit = mp.mpf(2) ** (mp.floor(mp.log(size, 2)) - info.nmant)
    return float(abs(mp.mpf(float(got)) - want) / unit)


# --- two arguments --------------------------------------------------------------------------------
def pairs_of(dtype: Any) -> Any:
    """Return pairs of numbers of every size, equal ones and far apart ones among them."""
    info = np.finfo(dtype)
    top, low = float(info.max) ** 0.9, float(info.tiny) ** 0.9
    middle = [1e-3, 0.5, 1.0, 3.0, 25.0, 40.0]
    sizes = [low, low**0.6, *middle, top**0.6, top]
    pairs = [(p * i, q * j) for p in sizes for q in sizes for i in (1, -1) for j in (1, -1)]
    return np.array(pairs, dtype)


def _mixed(a: Any, b: Any) -> tuple[Any, Any]:
    """Return the second derivative of arctan2 by both, and its scale."""
    return (a * a - b * b) / (a * a + b * b) ** 2, 1 / (a * a + b * b)


def _gap(a: Any, b: Any) -> Any:
    return max(min(a - b, mp.mpf(10) ** 5), -(mp.mpf(10) ** 5))


BINARY: dict[str, dict[tuple[int, ...], tuple[Callable[..., Any], float]]] = {
    "arctan2": {
        (0,): (lambda a, b: (b / (a * a + b * b), 0), 8.0),
        (1,): (lambda a, b: (-a / (a * a + b * b), 0), 8.0),
        (0, 0): (lambda a, b: (-2 * a * b / (a * a + b * b) ** 2, 0), 16.0),
        (0, 1): (_mixed, 16.0),
        (1, 1): (lambda a, b: (2 * a * b / (a * a + b * b) ** 2, 0), 16.0),
    },
    "hypot": {
        (0,): (lambda a, b: (a / mp.hypot(a, b), 0), 8.0),
        (1,): (lambda a, b: (b / mp.hypot(a, b), 0), 8.0),
        (0, 0): (lambda a, b: (b * b / mp.hypot(a, b) ** 3, 0), 16.0),
        (0, 1): (lambda a, b: (-a * b / mp.hypot(a, b) ** 3, 0), 16.0),
        (1, 1): (lambda a, b: (a * a / mp.hypot(a, b) ** 3, 0), 16.0),
    },
    "logaddexp": {
        (0,): (lambda a, b: (_logistic(_gap(a, b)), 0), 16.0),
        (1,): (lambda a, b: (_logistic(_gap(b, a)), 0), 16.0),
        (0, 0): (lambda a, b: (_slope(_gap(a, b)), 0), 16.0),
        (0, 1): (lambda a, b: (-_slope(_gap(a, b)), 0), 16.0),
        (1, 1): (lambda a, b: (_slope(_gap(a, b)), 0), 16.0),
    },
    "logaddexp2": {  # the rounding of gap * log(2) is multiplied by its size
        (0,): (lambda a, b: (_logistic(LN2 * _gap(a, b)), 0), 80.0),
        (1,): (lambda a, b: (_logistic(LN2 * _gap(b, a)), 0), 80.0),
        (0, 0): (lambda a, b: (LN2 * _slope(LN2 * _gap(a, b)), 0), 80.0),
        (0, 1): (lambda a, b: (-LN2 * _slope(LN2 * _gap(a, b)), 0), 80.0),
        (1, 1): (lambda a, b: (LN2 * _slope(LN2 * _gap(a, b)), 0), 80.0),
    },
    "divide": {
        (0,): (lambda a, b: (1 / b, 0), 4.0),
        (1,): (lambda a, b: (-a / b**2, 0), 4.0),
        (0, 0): (lambda a, b: (mp.mpf(0), 0), 0.0),
        (0, 1): (lambda a, b: (-1 / b**2, 0), 4.0),
        (1, 1): (lambda a, b: (2 * a / b**3, 0), 8.0),
    },
}
"""By the arguments that a derivative is taken in: the derivative with the scale of what it cancels
from, and the bound in units in the last place of the larger of the two."""
