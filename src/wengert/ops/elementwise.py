"""Elementwise operations: NumPy's ufuncs, SciPy's special functions, `select` and `convert`.

A row reads ``row(ufunc, rules...)``: a rule ``lambda t, y, x: t * dy/dx`` per argument.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import DerivativeError
from wengert.ir.graph import Aval, aval_of
from wengert.ops import patterns, slopes
from wengert.ops.base import (
    ZERO,
    Derivative,
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
from wengert.ops.rows import batch_elementwise, flops_each, infer_ufunc, plain, promotable
from wengert.ops.slopes import ROOT_HALF
from wengert.ops.special import ufunc_of
from wengert.ops.special import ufuncs as sp

__all__ = ["UFUNCS", "convert", "promotable", "select"]

UFUNCS: dict[np.ufunc, Op] = {}
"""The operation that each NumPy or SciPy ufunc stands for."""

LN2 = float(np.log(2.0))
LN10 = float(np.log(10.0))
TWO_OVER_SQRT_PI = float(2 / np.sqrt(np.pi))
SQRT_TWO_PI = float(np.sqrt(2 * np.pi))
SPECIAL = 20
"""Operations of a special function: ten multiply-adds, as the rational approximation of ``erf`` has
in Moshier's Cephes library, which SciPy uses. It is no gate of a circuit, as exp and log are."""


def row(
    ufunc: np.ufunc,
    *rules: Any,
    derivative: Derivative | None = None,
    evaluate: Callable[..., Any] | None = None,
    name: str | None = None,
    counts: str = "transcendental",
    flops: int = 1,
    residual: bool = True,
    pattern: Any = patterns.elementwise,
) -> Op:
    """Register a ufunc with a rule per argument."""
    kind = derivative if derivative is not None else Scale(rules) if rules else ZERO
    op = register(
        Op(
            name or ufunc.__name__,
            evaluate or ufunc,
            infer=infer_ufunc(ufunc),
            derivative=kind,
            batch=batch_elementwise,
            flops=flops_each(flops),
            counts=counts,
            pattern=patterns.nothing if kind is ZERO else pattern,
            residual=residual,
            ufunc=ufunc,
            python=_PYTHON.get(ufunc) if name is None else None,
        )
    )
    if name is None:
        UFUNCS[ufunc] = op
    return op


_PYTHON: dict[np.ufunc, Callable[..., Any]] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul,
    np.divide: operator.truediv, np.power: operator.pow, np.float_power: operator.pow,
    np.floor_divide: operator.floordiv, np.remainder: operator.mod,
    np.negative: operator.neg, np.positive: operator.pos, np.absolute: abs,
    np.invert: operator.invert, np.bitwise_and: operator.and_, np.bitwise_or: operator.or_,
    np.bitwise_xor: operator.xor, np.left_shift: operator.lshift,
    np.right_shift: operator.rshift, np.less: operator.lt, np.less_equal: operator.le,
    np.greater: operator.gt, np.greater_equal: operator.ge, np.equal: operator.eq,
    np.not_equal: operator.ne,
}  # fmt: skip
"""The operators of Python that ufuncs stand for."""


def _where(condition: Any, a: Any, b: Any) -> Any:
    return np.where(condition, a, b)


def _gap(a: Any, b: Any) -> Any:
    """Return ``a - b``, and 0 where both are the same infinity."""
    return np.where((a == b) & np.isinf(a), 0, a - b)


def _no_rule(name: str, argument: str) -> Callable[..., Any]:
    """Refuse a derivative that has no closed form, rather than take it for zero."""

    def rule(*_: Any) -> Any:
        raise DerivativeError(f"{name} has no derivative with respect to its argument {argument}")

    return rule


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


# --- arithmetic ---------------------------------------------------------------------------------
add = row(np.add, 1, 1, evaluate=operator.add, counts="add", residual=False)
subtract = row(np.subtract, 1, -1, evaluate=operator.sub, counts="add", residual=False)
multiply = row(
    np.multiply,
    lambda t, y, a, b: t * b,
    lambda t, y, a, b: t * a,
    evaluate=operator.mul,
    counts="multiply",
    pattern=patterns.Elementwise(zeros={0: ((1,), _is_zero), 1: ((0,), _is_zero)}),
)
divide = row(
    np.divide,
    lambda t, y, a, b: t / b,
    Minus(_divided),
    evaluate=operator.truediv,
    counts="multiply",
    pattern=patterns.Elementwise(zeros={1: ((0,), _is_zero)}),
)
_POWERS = patterns.Elementwise(
    zeros={0: ((1,), _is_zero), 1: ((0,), lambda a: _is_zero(a) | np.equal(a, 1))}
)
power = row(np.power, _power_base, _power_exponent, evaluate=operator.pow, pattern=_POWERS)
negative = row(np.negative, -1, evaluate=operator.neg, counts="add", residual=False)
positive = row(np.positive, 1, counts="move", residual=False)
float_power = row(np.float_power, _power_base, _power_exponent, pattern=_POWERS)
square = row(np.square, lambda t, y, x: t * (2 * x), counts="multiply")
reciprocal = row(np.reciprocal, lambda t, y, x: -((t * y) * y), counts="multiply")
absolute = row(np.absolute, lambda t, y, x: t * np.sign(x), counts="add")
fabs = row(np.fabs, lambda t, y, x: t * np.sign(x), counts="add")
floor_divide = row(np.floor_divide, counts="multiply", flops=2)
remainder = row(
    np.remainder, 1, lambda t, y, a, b: -(t * np.floor_divide(a, b)), counts="multiply", flops=4
)
fmod = row(np.fmod, 1, lambda t, y, a, b: -(t * np.rint((a - y) / b)), counts="multiply", flops=4)

# --- exponentials, logarithms, roots ------------------------------------------------------------
exp = row(np.exp, lambda t, y, x: t * y)
exp2 = row(np.exp2, lambda t, y, x: t * (LN2 * y))
expm1 = row(np.expm1, lambda t, y, x: t * np.exp(x))
log = row(np.log, lambda t, y, x: t / x)
log2 = row(np.log2, lambda t, y, x: (t * (1 / LN2)) / x)
log10 = row(np.log10, lambda t, y, x: (t * (1 / LN10)) / x)
log1p = row(np.log1p, lambda t, y, x: t / (1 + x))
sqrt = row(np.sqrt, lambda t, y, x: t * (0.5 / y))
cbrt = row(np.cbrt, lambda t, y, x: (t / y) / (3 * y))
hypot = row(
    np.hypot,
    lambda t, y, a, b: t * slopes.direction(a, b, y),
    lambda t, y, a, b: t * slopes.direction(b, a, y),
    flops=4,
)
logaddexp = row(
    np.logaddexp,
    lambda t, y, a, b: t * sp.expit(_gap(a, b)),
    lambda t, y, a, b: t * sp.expit(_gap(b, a)),
    flops=6,
)
logaddexp2 = row(
    np.logaddexp2,
    lambda t, y, a, b: t * sp.expit(LN2 * _gap(a, b)),
    lambda t, y, a, b: t * sp.expit(LN2 * _gap(b, a)),
    flops=6,
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


sin = row(np.sin, lambda t, y, x: t * np.cos(x))
cos = row(np.cos, lambda t, y, x: -(t * np.sin(x)))
tan = row(np.tan, _tan)
arcsin = row(np.arcsin, lambda t, y, x: t / slopes.root_one_minus_square(x))
arccos = row(np.arccos, lambda t, y, x: -(t / slopes.root_one_minus_square(x)), flops=2)
arctan = row(np.arctan, lambda t, y, x: t * slopes.arctan_slope(x))
arctan2 = row(
    np.arctan2,
    lambda t, y, a, b: t * slopes.over_squares(b, a, np.hypot(a, b)),
    lambda t, y, a, b: -(t * slopes.over_squares(a, b, np.hypot(a, b))),
    flops=4,
)
sinh = row(np.sinh, lambda t, y, x: t * np.cosh(x))
cosh = row(np.cosh, lambda t, y, x: t * np.sinh(x))
tanh = row(np.tanh, lambda t, y, x: t * slopes.sech_squared(x))
arcsinh = row(np.arcsinh, lambda t, y, x: t / slopes.root_square_plus_one(x))
arccosh = row(np.arccosh, lambda t, y, x: t / slopes.root_square_minus_one(x))
arctanh = row(np.arctanh, _arctanh)
degrees = row(np.degrees, lambda t, y, x: t * (180 / np.pi), counts="multiply", residual=False)
rad2deg = row(np.rad2deg, lambda t, y, x: t * (180 / np.pi), counts="multiply", residual=False)
radians = row(np.radians, lambda t, y, x: t * (np.pi / 180), counts="multiply", residual=False)
deg2rad = row(np.deg2rad, lambda t, y, x: t * (np.pi / 180), counts="multiply", residual=False)


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
            counts="compare",
            pattern=patterns.ByArgument({0: patterns.Elementwise(choices={0: ((1, 2), worse)})}),
        )
    )
    return row(
        ufunc,
        lambda t, y, a, b: part_of_first(t, a, b),
        lambda t, y, a, b: part_of_first(t, b, a),
        counts="compare",
        pattern=patterns.Elementwise(choices={0: ((0, 1), worse), 1: ((0, 1), better)}),
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
ldexp = row(np.ldexp, lambda t, y, x, i: np.ldexp(t, i), None, counts="multiply")
nextafter = row(np.nextafter, 1, None, counts="move")

# --- piecewise constant -------------------------------------------------------------------------
for _ufunc in (np.floor, np.ceil, np.trunc, np.rint, np.sign, np.spacing):
    row(_ufunc, counts="compare")
for _ufunc in (
    np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.isnan, np.isinf, np.isfinite, np.signbit,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, np.left_shift, np.right_shift,
    np.gcd, np.lcm, *((np.bitwise_count,) if hasattr(np, "bitwise_count") else ()),
):  # fmt: skip
    row(_ufunc, counts="compare")


# --- special functions --------------------------------------------------------------------------
erf = row(sp.erf, lambda t, y, x: t * (TWO_OVER_SQRT_PI * slopes.gaussian(x)), flops=SPECIAL)
erfc = row(sp.erfc, lambda t, y, x: -(t * (TWO_OVER_SQRT_PI * slopes.gaussian(x))), flops=SPECIAL)
erfinv = row(sp.erfinv, lambda t, y, x: t * slopes.erfinv_slope(x, y), flops=SPECIAL)
expit = row(sp.expit, lambda t, y, x: t * slopes.expit_slope(x), flops=4)
logit = row(sp.logit, lambda t, y, x: t / slopes.bernoulli(x), flops=3)
log_expit = row(sp.log_expit, lambda t, y, x: t * sp.expit(-x), flops=6)
gamma = row(sp.gamma, lambda t, y, x: t * (y * sp.psi(x)), flops=SPECIAL)
gammaln = row(sp.gammaln, lambda t, y, x: t * sp.psi(x), flops=SPECIAL)
psi = row(sp.psi, lambda t, y, x: t * sp.zeta(2.0, x), flops=SPECIAL)
zeta = row(
    ufunc_of("zeta", 2),
    _no_rule("zeta", "0"),
    lambda t, y, s, x: -(t * (s * sp.zeta(s + 1, x))),
    name="zeta",
    flops=SPECIAL,
)
UFUNCS[zeta.ufunc] = zeta  # type: ignore[index]
xlogy = row(
    sp.xlogy,
    lambda t, y, a, b: t * plain(np.log(b), b),
    lambda t, y, a, b: t * (a / np.where((a == 0) & (b == 0), 1, b)),
    flops=3,
)
xlog1py = row(
    sp.xlog1py,
    lambda t, y, a, b: t * plain(np.log1p(b), b),
    lambda t, y, a, b: t * (a / np.where((a == 0) & (b == -1), 1, 1 + b)),
    flops=3,
)
entr = row(sp.entr, lambda t, y, x: -(t * (np.log(x) + 1)), flops=3)
ndtr = row(
    sp.ndtr, lambda t, y, x: t * (slopes.gaussian(ROOT_HALF * x) / SQRT_TWO_PI), flops=SPECIAL
)
log_ndtr = row(sp.log_ndtr, lambda t, y, x: t * slopes.hazard(x), flops=SPECIAL)
ndtri = row(sp.ndtri, lambda t, y, x: t * slopes.ndtri_slope(x, y), flops=SPECIAL)
iv = row(
    sp.iv,
    _no_rule("iv", "v (the order)"),
    lambda t, y, v, x: t * (0.5 * (sp.iv(v - 1, x) + sp.iv(v + 1, x))),
    flops=SPECIAL,
)
jv = row(
    sp.jv,
    _no_rule("jv", "v (the order)"),
    lambda t, y, v, x: t * (0.5 * (sp.jv(v - 1, x) - sp.jv(v + 1, x))),
    flops=SPECIAL,
)
i0 = row(sp.i0, lambda t, y, x: t * sp.i1(x), flops=SPECIAL)
i1 = row(sp.i1, lambda t, y, x: t * (0.5 * (sp.i0(x) + sp.iv(2.0, x))), flops=SPECIAL)
j0 = row(sp.j0, lambda t, y, x: -(t * sp.j1(x)), flops=SPECIAL)
j1 = row(sp.j1, lambda t, y, x: t * (0.5 * (sp.j0(x) - sp.jv(2.0, x))), flops=SPECIAL)


# --- complex parts: real-linear maps, with the pairing Re(ct * t) as in JAX ---------------------
def _to_complex(ct: Any, x: Any) -> Any:
    return convert(ct, dtype=dtype_of(x))


def _conj(ct: Any, x: Any) -> Any:
    return np.conjugate(ct)


conjugate = row(np.conjugate, derivative=Transpose((_conj,)), counts="move", residual=False)


def _part(name: str, evaluate: Callable[..., Any], rule: Callable[..., Any]) -> Op:
    return register(
        Op(
            name,
            evaluate,
            infer=lambda x: Aval(shape_of(x), np.zeros((), dtype_of(x)).real.dtype),
            derivative=Transpose((rule,)),
            batch=batch_elementwise,
            flops=lambda out, x: 0,
            counts="move",
            pattern=patterns.elementwise,
            residual=False,
            alias=name,
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
    flops=4,
    derivative=Jvp((_absolute_tangent,)),
)
complex_absolute.python = abs
angle = row(
    np.arctan2,  # only for its name and shape rule; see below
    name="complex_angle",
    flops=4,
    derivative=Jvp((_angle_tangent,)),
)
angle.evaluate = np.angle
angle.ufunc = angle.like = None
angle.infer = lambda x: Aval(shape_of(x), np.zeros((), dtype_of(x)).real.dtype)
complex_absolute.infer = angle.infer


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
    )
)


# --- choosing and converting ----------------------------------------------------------------------
def _infer_select(c: Any, a: Any, b: Any) -> Aval:
    shape = np.broadcast_shapes(shape_of(c), shape_of(a), shape_of(b))
    return Aval(
        shape,
        np.result_type(
            *(x if aval_of(x).weak and not hasattr(x, "shape") else dtype_of(x) for x in (a, b))
        ),
    )


def _is_true(c: Any) -> Any:
    return np.not_equal(c, 0)


_BRANCHES = patterns.Elementwise(choices={1: ((0,), np.logical_not), 2: ((0,), _is_true)})
select = register(
    Op(
        "select",
        np.where,
        infer=_infer_select,
        derivative=Scale(
            (None, lambda t, y, c, a, b: np.where(c, t, 0), lambda t, y, c, a, b: np.where(c, 0, t))
        ),
        batch=batch_elementwise,
        flops=lambda out, *xs: out.size,
        counts="compare",
        pattern=patterns.ByArgument(dict.fromkeys((1, 2), _BRANCHES)),
    )
)


def _convert(x: Any, *, dtype: Any, order: tuple[int, ...] | None = None) -> Any:
    """Copy as another dtype, with the axes from slow to fast in `order`; as they are if None."""
    if isinstance(x, (np.ndarray, np.generic)):
        if x.dtype.kind == "c" and dtype.kind not in "cb":
            x = x.real
        if order is not None:
            return x.transpose(order).astype(dtype, order="C").transpose(np.argsort(order))
        return x.astype(dtype)
    return dtype.type(x)


def _batch_convert(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    order = attrs.get("order")
    if order is not None:
        attrs = {**attrs, "order": (0, *(a + 1 for a in order))}
    return op(*args, **attrs)


convert: Op = register(
    Op(
        "convert",
        _convert,
        infer=lambda x, *, dtype, order=None: Aval(shape_of(x), dtype),
        derivative=Transpose((lambda ct, x, *, dtype, **_: convert(ct, dtype=dtype_of(x)),)),
        batch=_batch_convert,
        flops=lambda out, x, **_: 0,
        counts="move",
        pattern=patterns.elementwise,
        residual=False,
    )
)
