"""Derivatives of elementwise functions that have rows of their own.

Written in terms of the function's value, some derivatives cancel: ``1 - y*y`` of ``tanh`` is
rounding error where y is near 1, though the derivative is a normal number. Others overflow or
underflow because they square their argument. Each of these is evaluated in a way that does neither,
and so is *its* derivative, in terms of these rows again.

The limits at infinities are those of mathematics. Where NumPy's arithmetic would give inf * 0, the
argument is taken for the largest finite number: `bounded`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import Op, Scale, dtype_of, register, shape_of
from wengert.ops.rows import batch_elementwise, flops_each, infer_ufunc, plain
from wengert.ops.ufuncs import ufuncs as sp

__all__ = [
    "arctan_slope",
    "bernoulli",
    "direction",
    "erfinv_slope",
    "excess",
    "excess_slope",
    "expit_slope",
    "gaussian",
    "hazard",
    "ndtri_slope",
    "one_minus_square",
    "over_again",
    "over_squares",
    "root_one_minus_square",
    "root_square_minus_one",
    "root_square_plus_one",
    "sech_squared",
]

ROOT_TWO_OVER_PI = float(np.sqrt(2 / np.pi))
ROOT_HALF = float(np.sqrt(0.5))
ROOT_HALF_PI = float(np.sqrt(np.pi / 2))
HALF_ROOT_PI = float(np.sqrt(np.pi) / 2)


def slope(
    name: str,
    like: np.ufunc,
    evaluate: Callable[..., Any],
    *rules: Any,
    counts: Mapping[str, int],
    native: bool = True,
    ulp: float = 0,
    steep: bool = False,
) -> Op:
    """Register an elementwise operation with the dtypes of a ufunc."""

    def evaluated(*xs: Any) -> Any:
        y = evaluate(*xs)
        return y if any(hasattr(x, "dtype") for x in xs) else plain(y, 0.0)

    infer = infer_ufunc(like)
    return register(
        Op(
            name,
            evaluated,
            infer=lambda *xs: Aval(
                np.broadcast_shapes(*map(shape_of, xs)), infer(*xs[: like.nin]).dtype
            ),
            derivative=Scale(rules),
            batch=batch_elementwise,
            flops=flops_each(sum(counts.values())),
            counts=counts,
            pattern=patterns.elementwise,
            like=like,
            may_raise=False,
            native=native,
            ulp=ulp,
            steep=steep,
        )
    )


def bounded(x: Any) -> Any:
    """Return `x`, and the largest finite number of its sign for an infinity."""
    if dtype_of(x).kind == "c":
        return x
    largest = float(np.finfo(dtype_of(x)).max)
    if not hasattr(x, "dtype"):
        return min(max(x, -largest), largest)
    return np.minimum(np.maximum(x, -largest), largest)


def _is_complex(x: Any) -> bool:
    return dtype_of(x).kind == "c"


# --- exponential decay ----------------------------------------------------------------------------
def _sech_squared(x: Any) -> Any:
    r = 1 / np.cosh(x)
    y = r * r
    if dtype_of(x).kind != "c":
        return y
    # 1 / cosh is exact where cosh is finite; beyond, the other exponential does not count
    far = np.abs(np.real(x)) > (40 if y.dtype == np.complex64 else 340)
    if not np.any(far):
        return y
    side = np.where(np.real(x) < 0, x, -x)
    return np.where(far, 4 * np.exp(2 * np.where(far, side, 0)), y).astype(y.dtype)[()]


# 1 / cosh(x)**2: the derivative of tanh.
sech_squared: Op = slope(
    "sech_squared",
    np.tanh,
    _sech_squared,
    lambda t, y, x: t * (-2 * (np.tanh(x) * y)),
    counts={"transcendental": 1, "multiply": 1},  # (1 / cosh(x))**2
    ulp=12,  # the square of what is within 4
)


def _expit_slope(x: Any) -> Any:
    e = np.exp(-np.abs(x))
    d = 1 + e
    return (e / d) / d


# 1 / (2 cosh(x / 2))**2: the derivative of the logistic function.
expit_slope: Op = slope(
    "expit_slope",
    sp.expit,
    _expit_slope,
    lambda t, y, x: -(t * (np.tanh(0.5 * x) * y)),
    counts={"transcendental": 1, "add": 1, "multiply": 2},  # e / (1 + e)**2, e = exp(-abs(x))
    ulp=12,
)

# exp(-x**2)
gaussian: Op = slope(
    "gaussian",
    np.exp,
    lambda x: np.exp(-(x * x)),
    lambda t, y, x: t * (-2 * (bounded(x) * y)),
    counts={"transcendental": 1, "add": 1, "multiply": 1},
    ulp=6,
)


def _complex_arctan_slope(x: Any) -> Any:
    """Evaluate to the last place beside i and -i too, and without overflow."""
    a, b = np.real(x), np.imag(x)
    found = 1 / (((1 - b) * (1 + b) + a * a) + 2j * (a * b))
    far = np.abs(a) + np.abs(b) > float(np.finfo(found.dtype).max) ** 0.25
    return np.where(far, (1 / x) / x, found).astype(found.dtype)[()] if np.any(far) else found


# --- rational functions ---------------------------------------------------------------------------
# 1 / (1 + x**2): the derivative of arctan.
arctan_slope: Op = slope(
    "arctan_slope",
    np.arctan,
    lambda x: _complex_arctan_slope(x) if _is_complex(x) else 1 / (1 + x * x),
    lambda t, y, x: t * (-2 * ((bounded(x) * y) * y)),
    counts={"multiply": 2, "add": 1},
)

# 1 - x**2, to the last place beside 1 too.
one_minus_square: Op = slope(
    "one_minus_square",
    np.sin,
    lambda x: (1 - x) * (1 + x),
    lambda t, y, x: t * (-2 * x),
    counts={"multiply": 1, "add": 2},  # (1 - x) (1 + x)
)

_ROOT = {"multiply": 1, "add": 1, "transcendental": 1}


def _root_of_product(x: Any) -> Any:
    """Return sqrt(1 - x) sqrt(1 + x) of complex numbers.

    On the cuts, the side is told by the sign of an imaginary part that is 0, which a difference
    from 1 + 0j keeps, and a sum with it does not.
    """
    return np.sqrt(-(x - 1)) * np.sqrt(x - -1)


def _turned(x: Any) -> Any:
    """Return i x with the signs of zeros."""
    made = np.empty_like(x)
    made.real, made.imag = -x.imag, x.real
    return made


# sqrt(1 - x**2), to the last place beside 1 too.
root_one_minus_square: Op = slope(
    "root_one_minus_square",
    np.sqrt,
    lambda x: _root_of_product(x) if _is_complex(x) else np.sqrt((1 - x) * (1 + x)),
    lambda t, y, x: -(t * (x / y)),
    counts=_ROOT,
    steep=True,
)

# sqrt(x**2 - 1) and sqrt(x**2 + 1), which do not overflow.
root_square_minus_one: Op = slope(
    "root_square_minus_one",
    np.sqrt,
    lambda x: np.sqrt(x - 1) * np.sqrt(x - -1),
    lambda t, y, x: t * (bounded(x) / y),
    counts=_ROOT,
    steep=True,
)
root_square_plus_one: Op = slope(
    "root_square_plus_one",
    np.sqrt,
    lambda x: _root_of_product(_turned(x)) if _is_complex(x) else np.hypot(x, 1),
    lambda t, y, x: t * (bounded(x) / y),
    counts=_ROOT,
    ulp=6,
)

# x (1 - x)
bernoulli: Op = slope(
    "bernoulli",
    np.sin,
    lambda x: x * (1 - x),
    lambda t, y, x: t * (1 - 2 * x),
    counts={"multiply": 1, "add": 1},
)


# --- pairs of numbers -----------------------------------------------------------------------------
# h is hypot(a, b): data that belongs to them, with no derivative of its own.
def _spread(y: Any, b: Any) -> Any:
    """Give a result the axes of an argument that its value does not depend on."""
    shape = np.broadcast_shapes(np.shape(y), np.shape(b))
    return y if shape == np.shape(y) else np.array(np.broadcast_to(y, shape))


def _over_squares(a: Any, b: Any, h: Any) -> Any:
    y = _spread((a / h) / h, b)
    if np.all(np.isfinite(h)):
        return y
    return np.where(np.isinf(h), 0 * y.real.dtype.type(0), y).astype(y.dtype)[()]


# a / (a**2 + b**2): a derivative of arctan2. With c = b / (a**2 + b**2) its own derivatives are
# c**2 - y**2 and -2 y c.
over_squares: Op = slope(
    "over_squares",
    np.hypot,
    _over_squares,
    lambda t, y, a, b, h: _difference_of_squares(t, over_squares(b, a, h), y),
    lambda t, y, a, b, h: t * (-2 * (y * over_squares(b, a, h))),
    None,
    counts={"multiply": 2},
    steep=True,
)


def _difference_of_squares(t: Any, c: Any, y: Any) -> Any:
    return t * ((c - y) * (c + y))


def _direction(a: Any, b: Any, h: Any) -> Any:
    with np.errstate(invalid="ignore", divide="ignore"):
        y = _spread(a / h, b)
    if np.all(np.isfinite(y)):
        return y
    found = np.where(h == 0, 0, y)
    found = np.where(np.isinf(a) & np.isfinite(b), np.sign(a), found)
    return found.astype(y.dtype)[()]


# a / hypot(a, b), 0 at the origin: a derivative of hypot. With c = b / hypot(a, b) its own
# derivatives are c**2 / h and -y c / h.
direction: Op = slope(
    "direction",
    np.hypot,
    _direction,
    lambda t, y, a, b, h: _over_size(t * np.square(direction(b, a, h)), h),
    lambda t, y, a, b, h: -_over_size(t * (y * direction(b, a, h)), h),
    None,
    counts={"multiply": 1},
    steep=True,
)


# a / b**2, from y = a / b, data that belongs to them: a derivative of the quotient.
over_again: Op = slope(
    "over_again",
    np.divide,
    lambda a, b, y: _spread(np.divide(y, b), a).astype(dtype_of(y), copy=False),
    lambda t, s, a, b, y: (t / b) / b,
    lambda t, s, a, b, y: t * (-2 * (s / b)),
    None,
    counts={"multiply": 1},
    steep=True,
)


def _over_size(t: Any, h: Any) -> Any:
    return t / np.where(h == 0, 1, h)


# --- the normal distribution ----------------------------------------------------------------------
# The density over the distribution: the derivative of log_ndtr.
hazard: Op = slope(
    "hazard",
    sp.log_ndtr,
    lambda x: ROOT_TWO_OVER_PI / sp.erfcx(-ROOT_HALF * x),
    lambda t, y, x: -(t * (bounded(y) * bounded(excess(x)))),
    counts={"multiply": 12, "add": 9, "transcendental": 1},  # of erfcx, a product and a quotient
    native=False,
)

FRACTION_FROM = -4.0
"""Below, the continued fraction; above, x + hazard(x) loses less than 5 bits."""
LEVELS = 40


def _excess(x: Any) -> Any:
    """Evaluate ``1 / (u + 2 / (u + 3 / (u + ...)))`` at u = -x (Laplace's continued fraction)."""
    y = np.asarray(x + hazard(x))
    low = np.asarray(x) < FRACTION_FROM
    if low.any():
        u, rest = _fraction(np.asarray(x, y.dtype)[low])
        y[low] = 1 / (u + rest)
    return y[()]


def _fraction(x: Any) -> tuple[Any, Any]:
    """Return u = -x and ``2 / (u + 3 / (u + ...))``."""
    u = -bounded(x)
    rest = 0 * u
    for k in range(LEVELS, 1, -1):
        rest = k / (u + rest)
    return u, rest


def _excess_slope(x: Any) -> Any:
    """Evaluate ``1 - hazard(x) excess(x)``: ``e (r - e)`` with e = 1 / (u + r), r the fraction."""
    y = np.asarray(1 - hazard(x) * excess(x))
    low = np.asarray(x) < FRACTION_FROM
    if low.any():
        u, rest = _fraction(np.asarray(x, y.dtype)[low])
        e = 1 / (u + rest)
        y[low] = e * (rest - e)
    return y[()]


def _over_tail(factor: float, y: Any, rest: Any) -> Any:
    """Return ``factor erfcx(abs(y)) / rest``, inf where nothing rests."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = factor * sp.erfcx(np.abs(y)) / rest
    return found if np.all(rest) else np.where(rest == 0, np.inf, found).astype(found.dtype)[()]


_TAIL = {"multiply": 12, "add": 10, "transcendental": 1}

# The derivatives of y = erfinv(x), exp(y**2) sqrt(pi) / 2, and of y = ndtri(x). No square is in an
# exponent, because erfc(y) is 1 - x. y is data that belongs to x.
erfinv_slope: Op = slope(
    "erfinv_slope",
    sp.erfinv,
    lambda x, y: _over_tail(HALF_ROOT_PI, y, 1 - np.abs(x)),
    lambda t, s, x, y: t * (2 * ((y * s) * s)),
    None,
    counts=_TAIL,
    native=False,
    steep=True,
)
ndtri_slope: Op = slope(
    "ndtri_slope",
    sp.ndtri,
    lambda x, y: _over_tail(ROOT_HALF_PI, ROOT_HALF * y, np.minimum(x, 1 - x)),
    lambda t, s, x, y: t * ((y * s) * s),
    None,
    counts=_TAIL,
    native=False,
    steep=True,
)

# x + hazard(x), which goes to -1/x far to the left.
excess: Op = slope(
    "excess",
    sp.log_ndtr,
    _excess,
    lambda t, y, x: t * excess_slope(x),
    counts={"multiply": 12, "add": 10, "transcendental": 1},
    native=False,
)
excess_slope: Op = slope(
    "excess_slope",
    sp.log_ndtr,
    _excess_slope,
    lambda t, y, x: t * (hazard(x) * (np.square(excess(x)) - y)),
    counts={"multiply": 13, "add": 11, "transcendental": 1},
    native=False,
)
