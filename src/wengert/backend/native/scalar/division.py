"""Division with remainder, in LLVM: NumPy's ``//``, ``%`` and `fmod`, of integers and floats.

The quotient is rounded down, and the remainder has the sign of the divisor. Integers divided by 0
give 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Node
from wengert.llvm.code import Code, intrinsic, libm, number

__all__ = ["DIVISIONS"]

Dtype = np.dtype[Any]
Lowering = Callable[[Code, Sequence[str], Dtype, Node], str]


def _unlike(code: Code, dtype: Dtype, a: str, b: str) -> str:
    """Write whether exactly one of two numbers is below zero."""
    zero = number(0, dtype)
    return code.emit(
        f"xor i1 {code.compare('lt', dtype, a, zero)}, {code.compare('lt', dtype, b, zero)}"
    )


def _divmod(code: Code, dtype: Dtype, a: str, b: str) -> tuple[str, str, str]:
    """Write C's quotient and remainder of integers without overflow, and whether b is 0."""
    by_zero = code.compare("eq", dtype, b, "0")
    least = str(np.iinfo(dtype).min)
    wraps = code.emit(
        f"and i1 {code.compare('eq', dtype, a, least)}, {code.compare('eq', dtype, b, '-1')}"
    )
    divisor = code.select(dtype, code.emit(f"or i1 {by_zero}, {wraps}"), "1", b)
    quotient = code.binary("sdiv", dtype, a, divisor)  # least // -1 wraps to least
    return quotient, code.binary("srem", dtype, a, divisor), by_zero


def _fmod(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    if dtype.kind == "f":
        return code.call(libm("fmod", dtype), dtype, *xs)
    return _divmod(code, dtype, *xs)[1]


def _remainder(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    _, b = xs
    m = _fmod(code, xs, dtype, node)
    add = "fadd" if dtype.kind == "f" else "add"
    zero = code.compare("eq", dtype, m, number(0, dtype))
    moved = code.select(dtype, _unlike(code, dtype, m, b), code.binary(add, dtype, m, b), m)
    if dtype.kind == "i":
        return code.select(dtype, zero, "0", moved)
    return code.select(
        dtype, zero, code.call(intrinsic("copysign", dtype), dtype, number(0, dtype), b), moved
    )


def _floor_divide(code: Code, xs: Sequence[str], dtype: Dtype, node: Node) -> str:
    a, b = xs
    if dtype.kind == "i":
        q, r, by_zero = _divmod(code, dtype, a, b)
        exact = code.compare("eq", dtype, r, "0")
        lower = code.select(dtype, _unlike(code, dtype, a, b), code.binary("sub", dtype, q, "1"), q)
        return code.select(dtype, by_zero, "0", code.select(dtype, exact, q, lower))
    zero, one, half = (number(x, dtype) for x in (0, 1, 0.5))
    ratio = code.binary("fdiv", dtype, a, b)
    m = code.call(libm("fmod", dtype), dtype, a, b)
    q = code.binary("fdiv", dtype, code.binary("fsub", dtype, a, m), b)
    moves = code.emit(f"and i1 {code.compare('ne', dtype, m, zero)}, {_unlike(code, dtype, m, b)}")
    q = code.select(dtype, moves, code.binary("fsub", dtype, q, one), q)
    down = code.call(intrinsic("floor", dtype), dtype, q)
    rest = code.binary("fsub", dtype, q, down)
    up = code.binary("fadd", dtype, down, one)
    whole = code.select(dtype, code.compare("gt", dtype, rest, half), up, down)
    none = code.call(intrinsic("copysign", dtype), dtype, zero, ratio)
    whole = code.select(dtype, code.compare("eq", dtype, q, zero), none, whole)
    return code.select(dtype, code.compare("eq", dtype, b, zero), ratio, whole)


DIVISIONS: dict[str, Lowering] = {
    "fmod": _fmod,
    "remainder": _remainder,
    "floor_divide": _floor_divide,
}
