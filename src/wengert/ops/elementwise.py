"""Elementwise operations: NumPy's ufuncs, and the parts of complex numbers.

A row reads ``row(ufunc, rules...)``: a rule ``lambda t, y, x: t * dy/dx`` per argument.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns, slopes, special  # noqa: F401 (its rows join UFUNCS)
from wengert.ops.base import (
    ZERO,
    Jvp,
    Minus,
    Op,
    Scale,
    Transpose,
    dtype_of,
    is_differentiated,
    register,
    shape_of,
)
from wengert.ops.convert import convert
from wengert.ops.rows import (
    LOG_OF_SUM,
    UFUNCS,
    batch_elementwise,
    elementwise,
    flops_each,
    promotable,
    row,
)
from wengert.ops.ufuncs import ufuncs as sp

__all__ = ["UFUNCS", "promotable", "row"]

LN2 = float(np.log(2.0))
LN10 = float(np.log(10.0))


def _where(condition: Any, a: Any, b: Any) -> Any:
    return np.where(condition, a, b)


def _gap(a: Any, b: Any) -> Any:
    """Return ``a - b``, and 0 where both are the same infinity."""
    if any(type(x) in (int, float) and abs(x) < np.inf for x in (a, b)):
        return a - b
    return np.where((a == b) & np.isinf(a), 0, a - b)


def _power_base(t: Any, y: Any, a: Any, b: Any) -> Any:
    if type(b) in (int, float):
        if b == 2:
            return t * (2 * a)
        if b == 1:
            return t
        if b == 0:
            return t * 0
        return t * (b * a ** (b - 1))
    if dtype_of(b).kind == "b":
        return t * b
    return t * (b * a ** (b - np.logical_or(a, b)))  # a ** 0, not a ** -1, where both are zero


def _power_exponent(t: Any, y: Any, a: Any, b: Any) -> Any:
    a = float(a) if type(a) is int else a  # it may have more than 64 bits
    base = convert(np.where(a == 0, 1, a), dtype=dtype_of(y))
    return t * (y * np.log(base))


def _divided(t: Any, y: Any, a: Any, b: Any) -> Any:
    """Share t / b with the other rule, where that is not differentiated to 1 / b**2."""
    if is_differentiated(y):
        return t * slopes.over_again(a, b, y)
    return (t / b) * y


def _is_zero(x: Any) -> Any:
    return np.equal(x, 0)


def _by_zero(a: Any, b: Any) -> bool:
    """Whether a divisor can be zero."""
    return type(b) not in (int, float, complex) or b == 0


def _of_zero(a: Any, b: Any) -> bool:
    """Whether the slope of a power can be infinite at zero."""
    return type(b) not in (int, float) or (b < 1 and b != 0)


# --- arithmetic ---------------------------------------------------------------------------------
_BROADCAST = (
    "cotangents of broadcast arguments are summed, while the value is an operation or a few"
)
add = row(
    np.add,
    1,
    1,
    evaluate=operator.add,
    python=operator.add,
    integers="grows",
    counts="add",
    residual=False,
    linear=(0, 1),
    together=True,
)
subtract = row(
    np.subtract,
    1,
    -1,
    evaluate=operator.sub,
    python=operator.sub,
    integers="grows",
    counts="add",
    residual=False,
    linear=(0, 1),
    together=True,
)
multiply = row(
    np.multiply,
    lambda t, y, a, b: t * b,
    lambda t, y, a, b: t * a,
    evaluate=operator.mul,
    python=operator.mul,
    integers="grows",
    counts="multiply",
    pattern=patterns.Elementwise(zeros={0: ((1,), _is_zero), 1: ((0,), _is_zero)}),
    linear=(0, 1),
)
_DIVISION = {"multiply": 8, "add": 3}
divide = row(
    np.divide,
    lambda t, y, a, b: t / b,
    Minus(_divided),
    evaluate=operator.truediv,
    python=operator.truediv,
    counts="multiply",
    complex_counts=_DIVISION,
    pattern=patterns.Elementwise(zeros={1: ((0,), _is_zero)}),
    linear=(0,),
    steep=_by_zero,
)
_POWERS = patterns.Elementwise(
    zeros={0: ((1,), _is_zero), 1: ((0,), lambda a: _is_zero(a) | np.equal(a, 1))}
)
LARGEST_PRODUCT = 16
"""Up to this exponent a power is a product."""


def _of_power(n: int, out: Any, a: Any, b: Any) -> dict[str, int]:
    """Count ``exp(b log(a))``; of a small integer power, products by squaring.

    ``x**5`` is ``x * (x * x)**2``, three multiplications; a reciprocal is one more.
    """
    if isinstance(b, Aval):
        return {"multiply": n, "transcendental": 2 * n}
    if not 1 <= abs(b) <= LARGEST_PRODUCT or b != int(b):
        return {"transcendental": n}
    size = abs(int(b))
    return {"multiply": n * (size.bit_length() + size.bit_count() - 2 + bool(b < 0))}


def _of_float_power(n: int, out: Any, a: Any, b: Any) -> dict[str, int]:
    return (
        {"multiply": n, "transcendental": 2 * n} if isinstance(b, Aval) else {"transcendental": n}
    )


power = row(
    np.power,
    _power_base,
    _power_exponent,
    evaluate=operator.pow,
    python=operator.pow,
    integers="power",
    counts=_of_power,
    is_slow=True,
    pattern=_POWERS,
    may_raise=True,
    excess=_BROADCAST,
    ulp=6,
    steep=_of_zero,
)
negative = row(
    np.negative,
    -1,
    evaluate=operator.neg,
    python=operator.neg,
    integers="fits",
    counts="add",
    residual=False,
    linear=(0,),
)
positive = row(np.positive, 1, python=operator.pos, counts="move", residual=False, linear=(0,))
float_power = row(
    np.float_power,
    _power_base,
    _power_exponent,
    python=operator.pow,
    counts=_of_float_power,
    is_slow=True,
    pattern=_POWERS,
    excess=_BROADCAST,
    ulp=6,
    steep=_of_zero,
)
square = row(np.square, lambda t, y, x: t * (2 * x), counts="multiply")
reciprocal = row(
    np.reciprocal,
    lambda t, y, x: -((t * y) * y),
    counts="multiply",
    complex_counts=_DIVISION,
    steep=True,
)
absolute = row(
    np.absolute, lambda t, y, x: t * np.sign(x), python=abs, integers="fits", counts="add"
)
fabs = row(np.fabs, lambda t, y, x: t * np.sign(x), counts="add")
floor_divide = row(
    np.floor_divide, python=operator.floordiv, integers="divides", counts="multiply", flops=2
)
_REMAINDER = {"multiply": 2, "add": 1, "compare": 1}  # a - b floor(a / b)
remainder = row(
    np.remainder,
    1,
    lambda t, y, a, b: -(t * np.floor_divide(a, b)),
    python=operator.mod,
    integers="divides",
    counts=_REMAINDER,
    steep=_by_zero,
)
fmod = row(
    np.fmod, 1, lambda t, y, a, b: -(t * np.rint((a - y) / b)), counts=_REMAINDER, steep=_by_zero
)

# --- exponentials, logarithms, roots ------------------------------------------------------------
exp = row(np.exp, lambda t, y, x: t * y, libm="exp", ulp=6, steep=True)
exp2 = row(np.exp2, lambda t, y, x: t * (LN2 * y), libm="exp2", ulp=6, steep=True)
expm1 = row(np.expm1, lambda t, y, x: t * np.exp(x), libm="expm1", ulp=6, steep=True)
log = row(np.log, lambda t, y, x: t / x, libm="log", ulp=6, steep=True)
log2 = row(np.log2, lambda t, y, x: (t * (1 / LN2)) / x, libm="log2", ulp=6, steep=True)
log10 = row(np.log10, lambda t, y, x: (t * (1 / LN10)) / x, libm="log10", ulp=6, steep=True)
log1p = row(np.log1p, lambda t, y, x: t / (1 + x), libm="log1p", ulp=6, steep=True)
sqrt = row(np.sqrt, lambda t, y, x: t * (0.5 / y), steep=True)
cbrt = row(np.cbrt, lambda t, y, x: (t / y) / (3 * y), libm="cbrt", ulp=6, steep=True)
_LENGTH = {"multiply": 2, "add": 1, "transcendental": 1}  # sqrt(a a + b b)
hypot = row(
    np.hypot,
    lambda t, y, a, b: t * slopes.direction(a, b, y),
    lambda t, y, a, b: t * slopes.direction(b, a, y),
    counts=_LENGTH,
    libm="hypot",
    ulp=6,
)
logaddexp = row(
    np.logaddexp,
    lambda t, y, a, b: t * sp.expit(_gap(a, b)),
    lambda t, y, a, b: t * sp.expit(_gap(b, a)),
    counts=LOG_OF_SUM,
    ulp=6,
)
logaddexp2 = row(
    np.logaddexp2,
    lambda t, y, a, b: t * sp.expit(LN2 * _gap(a, b)),
    lambda t, y, a, b: t * sp.expit(LN2 * _gap(b, a)),
    counts=LOG_OF_SUM,
    ulp=6,
)


# --- trigonometry: complex arguments have factors that neither cancel nor overflow ----------------
def _is_complex(x: Any) -> bool:
    return dtype_of(x).kind == "c"


def _tan(t: Any, y: Any, x: Any) -> Any:
    return t * (slopes.sech_squared(1j * x) if _is_complex(x) else 1 + y * y)


def _arctanh(t: Any, y: Any, x: Any) -> Any:
    if _is_complex(x):
        return t * slopes.arctan_slope(1j * x)
    return t / slopes.one_minus_square(x)


_LOGARITHM = {"multiply": 8, "add": 6, "transcendental": 6}
"""Inverse functions of complex numbers: arcsin(z) is -i log(i z + sqrt(1 - z z))."""
_ANGLE = {"multiply": 1, "transcendental": 1, "compare": 1, "add": 1}  # arctan(a / b), the quadrant
sin = row(np.sin, lambda t, y, x: t * np.cos(x), libm="sin", ulp=6)
cos = row(np.cos, lambda t, y, x: -(t * np.sin(x)), libm="cos", ulp=6)
tan = row(np.tan, _tan, libm="tan", ulp=6)
arcsin = row(
    np.arcsin,
    lambda t, y, x: t / slopes.root_one_minus_square(x),
    complex_counts=_LOGARITHM,
    libm="asin",
    ulp=6,
    steep=True,
)
arccos = row(
    np.arccos,
    lambda t, y, x: -(t / slopes.root_one_minus_square(x)),
    counts={"transcendental": 1, "add": 1},  # pi / 2 - arcsin(x)
    complex_counts=_LOGARITHM,
    libm="acos",
    ulp=6,
    steep=True,
)
arctan = row(
    np.arctan,
    lambda t, y, x: t * slopes.arctan_slope(x),
    complex_counts=_LOGARITHM,
    libm="atan",
    ulp=6,
)
arctan2 = row(
    np.arctan2,
    lambda t, y, a, b: t * slopes.over_squares(b, a, np.hypot(a, b)),
    lambda t, y, a, b: -(t * slopes.over_squares(a, b, np.hypot(a, b))),
    counts=_ANGLE,
    libm="atan2",
    ulp=6,
    steep=True,
)
sinh = row(np.sinh, lambda t, y, x: t * np.cosh(x), libm="sinh", ulp=6, steep=True)
cosh = row(np.cosh, lambda t, y, x: t * np.sinh(x), libm="cosh", ulp=6, steep=True)
tanh = row(np.tanh, lambda t, y, x: t * slopes.sech_squared(x), ulp=6)
arcsinh = row(
    np.arcsinh,
    lambda t, y, x: t / slopes.root_square_plus_one(x),
    complex_counts=_LOGARITHM,
    libm="asinh",
    ulp=6,
)
arccosh = row(
    np.arccosh,
    lambda t, y, x: t / slopes.root_square_minus_one(x),
    complex_counts=_LOGARITHM,
    libm="acosh",
    ulp=6,
    steep=True,
)
arctanh = row(np.arctanh, _arctanh, complex_counts=_LOGARITHM, libm="atanh", ulp=6, steep=True)
_ufunc: np.ufunc
for _ufunc, _factor in {
    np.degrees: 180 / np.pi, np.rad2deg: 180 / np.pi,
    np.radians: np.pi / 180, np.deg2rad: np.pi / 180,
}.items():  # fmt: skip
    row(
        _ufunc,
        lambda t, y, x, factor=_factor: t * factor,
        counts="multiply",
        residual=False,
        linear=(0,),
    )


# --- choices: a tie gives half to each side, as balanced subgradients do --------------------------
def _choice(ufunc: np.ufunc, worse: np.ufunc, better: np.ufunc, first_nan: bool) -> Op:
    """Register a choice between two arguments, and the row of its derivative.

    `better` says where the first argument is chosen, `worse` where the second one is. A NaN is
    chosen where `first_nan`, else the other argument.
    """

    def part(t: Any, a: Any, b: Any) -> Any:
        chosen = better(a, b) | np.isnan(a if first_nan else b)
        return np.where(chosen, t, np.where(a == b, 0.5 * t, 0))

    part_of_first: Op = register(
        Op(
            f"{ufunc.__name__}_part",
            part,
            infer=lambda t, a, b: Aval(np.broadcast_shapes(*map(shape_of, (t, a, b))), dtype_of(t)),
            derivative=Scale((lambda s, y, t, a, b: part_of_first(s, a, b), None, None)),
            batch=batch_elementwise,
            flops=flops_each(2),
            counts={"compare": 1, "multiply": 1},
            pattern=patterns.ByArgument({0: patterns.Elementwise(choices={0: ((1, 2), worse)})}),
            may_raise=False,
        )
    )
    return row(
        ufunc,
        lambda t, y, a, b: part_of_first(t, a, b),
        lambda t, y, a, b: part_of_first(t, b, a),
        counts="compare",
        pattern=patterns.Elementwise(choices={0: ((0, 1), worse), 1: ((0, 1), better)}),
        excess=_BROADCAST,
    )


# `maximum_part(t, a, b)` is what of t belongs to a where the larger one of a and b is taken: all,
# half of it at a tie, or nothing. A comparison and a product.
maximum = _choice(np.maximum, np.less, np.greater, first_nan=True)
minimum = _choice(np.minimum, np.greater, np.less, first_nan=True)
fmax = _choice(np.fmax, np.less, np.greater, first_nan=False)
fmin = _choice(np.fmin, np.greater, np.less, first_nan=False)
copysign = row(
    np.copysign,
    lambda t, y, a, b: t * (np.sign(a) * np.sign(y)),
    None,
    counts="compare",
)
heaviside = row(
    np.heaviside,
    None,
    lambda t, y, x, h: t * (x == 0),
    counts="compare",
    pattern=patterns.Elementwise(choices={1: ((0,), lambda x: np.not_equal(x, 0))}),
)
ldexp = row(np.ldexp, lambda t, y, x, i: np.ldexp(t, i), None, counts="multiply", linear=(0,))
nextafter = row(np.nextafter, 1, None, counts="move", libm="nextafter")

# --- piecewise constant -------------------------------------------------------------------------
for _ufunc in (np.floor, np.ceil, np.trunc, np.rint, np.sign):
    row(_ufunc, counts="compare")
row(np.spacing, counts="compare", native=False)
for _ufunc, _operator in {
    np.greater: operator.gt, np.greater_equal: operator.ge, np.less: operator.lt,
    np.less_equal: operator.le, np.equal: operator.eq, np.not_equal: operator.ne,
}.items():  # fmt: skip
    row(_ufunc, counts="compare", python=_operator, integers="compares")
row(np.invert, counts="compare", python=operator.invert, integers="fits")
row(np.bitwise_and, counts="compare", python=operator.and_, integers="fits")
row(np.bitwise_or, counts="compare", python=operator.or_, integers="fits")
row(np.bitwise_xor, counts="compare", python=operator.xor, integers="fits")
row(np.left_shift, counts="compare", python=operator.lshift)
row(np.right_shift, counts="compare", python=operator.rshift)
for _ufunc in (
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.isnan, np.isinf, np.isfinite, np.signbit,
):  # fmt: skip
    row(_ufunc, counts="compare")
for _ufunc in (
    *(np.gcd, np.lcm),
    *((np.bitwise_count,) if hasattr(np, "bitwise_count") else ()),
):
    row(_ufunc, counts="compare", native=False)


# --- complex parts: real-linear maps, with the pairing Re(ct * t) as in JAX ---------------------
def _to_complex(ct: Any, x: Any) -> Any:
    return convert(ct, dtype=dtype_of(x))


def _conj(ct: Any, x: Any) -> Any:
    return np.conjugate(ct)


conjugate = row(np.conjugate, derivative=Transpose((_conj,)), counts="move", residual=False)


def _infer_real(x: Any) -> Aval:
    return Aval(shape_of(x), np.zeros((), dtype_of(x)).real.dtype)


def _part(name: str, evaluate: Callable[..., Any], rule: Callable[..., Any]) -> Op:
    return register(
        Op(
            name,
            evaluate,
            infer=_infer_real,
            derivative=Transpose((rule,)),
            batch=batch_elementwise,
            flops=lambda out, x: 0,
            counts="move",
            pattern=patterns.elementwise,
            residual=False,
            alias=name,
            may_raise=False,
            native=False,
        )
    )


real = _part("real", np.real, _to_complex)
imag = _part("imag", np.imag, lambda ct, x: -1j * _to_complex(ct, x))


def _absolute_tangent(t: Any, y: Any, x: Any) -> Any:
    a, b = np.real(x), np.imag(x)
    return np.real(t) * slopes.direction(a, b, y) + np.imag(t) * slopes.direction(b, a, y)


def _angle_tangent(t: Any, y: Any, x: Any) -> Any:
    a, b, h = np.real(x), np.imag(x), np.abs(x)
    turn = np.imag(t) * slopes.direction(a, b, h) - np.real(t) * slopes.direction(b, a, h)
    return turn / h


complex_absolute = row(
    np.absolute,
    name="complex_absolute",
    infer=_infer_real,
    python=abs,
    counts=_LENGTH,
    complex_counts=_LENGTH,
    native=False,
    derivative=Jvp((_absolute_tangent,)),
)
angle = elementwise(
    "complex_angle",
    np.angle,
    like=None,
    infer=_infer_real,
    counts=_ANGLE,
    complex_counts=_ANGLE,
    native=False,
    derivative=Jvp((_angle_tangent,)),
    steep=True,
)


exponent = register(
    Op(
        "exponent",
        lambda x: np.frexp(x)[1],
        infer=lambda x: Aval(shape_of(x), np.dtype(np.intc)),
        derivative=ZERO,
        batch=batch_elementwise,
        flops=flops_each(1),
        counts="compare",
        pattern=patterns.nothing,
        residual=False,
        may_raise=False,
        native=False,
    )
)
