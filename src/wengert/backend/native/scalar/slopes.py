"""Hyperbolic tangent, logistic function and the derivatives in `wengert.ops.slopes`, in LLVM.

A function and its derivative are computed from one exponential, ``exp(-2 abs(x))`` or
``exp(-abs(x))``, which LLVM computes once where both are in a loop. It neither overflows nor
cancels: ``tanh`` is ``1 - 2 e / (1 + e)`` and its derivative ``4 e / (1 + e)**2``. Near 0, where
that cancels, ``tanh`` is Lambert's continued fraction ``x / (1 + z / (3 + z / (5 + ...)))`` with
``z = x**2``, cut off where the rest is below the rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Node
from wengert.llvm.code import F64, Code, intrinsic, libm, number

__all__ = ["SLOPES"]

Dtype = np.dtype[Any]
Lowering = Callable[[Code, Sequence[str], Dtype, Node], str]

NEAR = 0.55
"""Where `tanh` passes from the continued fraction to the exponential."""
# tanh(x) = x - x z A(z) / B(z); relative errors of 1e-18 and 2e-10 at `NEAR`
FRACTIONS = {
    8: ((675675, 45045, 594, 1), (2027025, 945945, 51975, 630, 1)),
    4: ((315, 14), (945, 420, 15)),
}


def _of(name: str, code: Code, dtype: Dtype, *xs: str) -> str:
    """Call a function of libm or an intrinsic."""
    of = name.removeprefix("llvm.")
    return code.call(libm(of, dtype) if of == name else intrinsic(of, dtype), dtype, *xs)


def _times(code: Code, dtype: Dtype, *xs: str) -> str:
    y, *rest = xs
    for x in rest:
        y = code.binary("fmul", dtype, y, x)
    return y


def _plus(code: Code, dtype: Dtype, x: str, y: str) -> str:
    return code.binary("fadd", dtype, x, y)


def _polynomial(code: Code, dtype: Dtype, z: str, coefficients: Sequence[float]) -> str:
    *rest, top = coefficients
    y = number(top, dtype)
    for c in reversed(rest):
        y = _plus(code, dtype, _times(code, dtype, y, z), number(c, dtype))
    return y


def _decay(code: Code, dtype: Dtype, x: str, rate: float) -> tuple[str, str, str]:
    """Write abs(x), e = exp(-rate abs(x)) and 1 + e."""
    size = _of("llvm.fabs", code, dtype, x)
    e = _of("exp", code, dtype, _times(code, dtype, size, number(-rate, dtype)))
    return size, e, _plus(code, dtype, e, number(1, dtype))


def _inverse(code: Code, dtype: Dtype, x: str) -> str:
    return code.binary("fdiv", dtype, number(1, dtype), x)


def _tanh(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    size, e, whole = _decay(code, dtype, xs[0], 2.0)
    near = code.compare("lt", dtype, size, number(NEAR, dtype))
    over, under = FRACTIONS[dtype.itemsize]
    z = _times(code, dtype, size, size)
    part = _times(code, dtype, size, z, _polynomial(code, dtype, z, over))
    part = code.select(dtype, near, part, _plus(code, dtype, e, e))
    below = code.select(dtype, near, _polynomial(code, dtype, z, under), whole)
    top = code.select(dtype, near, size, number(1, dtype))
    y = code.binary("fsub", dtype, top, code.binary("fdiv", dtype, part, below))
    return _of("llvm.copysign", code, dtype, y, xs[0])


def _sech_squared(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    _, e, whole = _decay(code, dtype, xs[0], 2.0)
    r = _inverse(code, dtype, whole)
    return _times(code, dtype, e, r, r, number(4, dtype))


def _expit(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    _, e, whole = _decay(code, dtype, xs[0], 1.0)
    r = _inverse(code, dtype, whole)
    zero = number(0, dtype)
    below = code.compare("lt", dtype, xs[0], zero)
    y = _times(code, dtype, code.select(dtype, below, e, number(1, dtype)), r)
    # SciPy's is 1 / (1 + exp(-x)), 0 where that exponential overflows
    least = number(-np.log(np.finfo(dtype).max), dtype)
    return code.select(dtype, code.compare("lt", dtype, xs[0], least), zero, y)


def _expit_slope(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    _, e, whole = _decay(code, dtype, xs[0], 1.0)
    r = _inverse(code, dtype, whole)
    return _times(code, dtype, e, r, r)


def _gaussian(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    return _of("exp", code, dtype, code.emit(_negation(dtype, _times(code, dtype, xs[0], xs[0]))))


def _negation(dtype: Dtype, x: str) -> str:
    return f"fneg {'double' if dtype == F64 else 'float'} {x}"


def _arctan_slope(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    square = _times(code, dtype, xs[0], xs[0])
    return _inverse(code, dtype, _plus(code, dtype, square, number(1, dtype)))


def _one_minus_square(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    one = number(1, dtype)
    minus = code.binary("fsub", dtype, one, xs[0])
    return _times(code, dtype, minus, _plus(code, dtype, xs[0], one))


def _bernoulli(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    return _times(code, dtype, xs[0], code.binary("fsub", dtype, number(1, dtype), xs[0]))


def _is_infinite(code: Code, dtype: Dtype, x: str) -> str:
    return code.compare("eq", dtype, _of("llvm.fabs", code, dtype, x), number(np.inf, dtype))


def _over_squares(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    a, _, h = xs
    y = code.binary("fdiv", dtype, code.binary("fdiv", dtype, a, h), h)
    return code.select(dtype, _is_infinite(code, dtype, h), number(0, dtype), y)


def _direction(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    a, b, h = xs
    at_zero = code.compare("eq", dtype, h, number(0, dtype))
    y = code.select(dtype, at_zero, number(0, dtype), code.binary("fdiv", dtype, a, h))
    size = _of("llvm.fabs", code, dtype, b)
    bounded = code.compare("lt", dtype, size, number(np.inf, dtype))
    ends = code.emit(f"and i1 {_is_infinite(code, dtype, a)}, {bounded}")
    return code.select(dtype, ends, _of("llvm.copysign", code, dtype, number(1, dtype), a), y)


def _over_again(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    return code.binary("fdiv", dtype, xs[2], xs[1])


def _root_one_minus_square(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    return _of("llvm.sqrt", code, dtype, _one_minus_square(code, xs, dtype, node))


def _root_square_minus_one(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    one = number(1, dtype)
    low = _of("llvm.sqrt", code, dtype, code.binary("fsub", dtype, xs[0], one))
    return _times(code, dtype, low, _of("llvm.sqrt", code, dtype, _plus(code, dtype, xs[0], one)))


def _root_square_plus_one(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    return _of("hypot", code, dtype, xs[0], number(1, dtype))


SLOPES: dict[str, Lowering] = {
    "tanh": _tanh,
    "sech_squared": _sech_squared,
    "expit": _expit,
    "expit_slope": _expit_slope,
    "gaussian": _gaussian,
    "arctan_slope": _arctan_slope,
    "one_minus_square": _one_minus_square,
    "bernoulli": _bernoulli,
    "over_squares": _over_squares,
    "direction": _direction,
    "over_again": _over_again,
    "root_one_minus_square": _root_one_minus_square,
    "root_square_minus_one": _root_square_minus_one,
    "root_square_plus_one": _root_square_plus_one,
}
"""Lowerings by the name of the operation; all take floating-point numbers only."""
