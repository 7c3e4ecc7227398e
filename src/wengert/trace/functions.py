"""Ufuncs that do more than the operations of the same name, which operators apply as well."""

from __future__ import annotations

import operator as operators
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ops import elementwise as ew
from wengert.ops.base import Op, Traced, dtype_of
from wengert.ops.convert import convert
from wengert.trace.numbers import number_type
from wengert.trace.sizes import is_same, remember, scaled, square

__all__ = ["by_function", "raised", "scaled_by", "size_of", "squaring"]


def _real_or_complex(op: Op, x: Any) -> Any:
    """Apply ``sign``, whose derivative differs for complex numbers."""
    if x.dtype.kind != "c":
        return op(x)
    modulus = ew.complex_absolute(x)
    return x / np.where(modulus == 0, 1, modulus)


def size_of(x: Any, op: Op = ew.absolute) -> Any:
    """Apply ``absolute``, whose derivative differs for complex numbers, or ``fabs``."""
    is_modulus = op is ew.absolute and x.dtype.kind == "c"  # fabs of complex numbers raises
    return remember((ew.complex_absolute if is_modulus else op)(x), x)


def _arithmetic(op: Op, a: Any, b: Any) -> Any:
    """Apply what Python computes itself of its complex numbers and of float64, a kind of float."""
    kinds = number_type(a), number_type(b)
    if complex in kinds and None in kinds:
        double = np.dtype(np.complex128)
        if kinds[0] is complex and dtype_of(b) == np.float64:
            a = convert(a, dtype=double)
        elif kinds[1] is complex and dtype_of(a) == np.float64:
            b = convert(b, dtype=double)
    elif op is ew.power and kinds == (None, int) and dtype_of(a).kind == "b":
        a = convert(a, dtype=np.dtype(np.int64))  # the operator makes int8 of Booleans
    if op is ew.multiply and isinstance(a, Traced) and isinstance(b, Traced) and is_same(a, b):
        return square(a, lambda x: op(x, x), np.square)
    if op is ew.multiply or op is ew.divide:
        if isinstance(a, Traced) and a._size is not None:  # type: ignore[attr-defined]
            return scaled_by(op, op(a, b), a, b)
        if op is ew.multiply and isinstance(b, Traced) and b._size is not None:  # type: ignore[attr-defined]
            return scaled(op(a, b), b, "times", a)
        return op(a, b)
    return raised(op, a, b, np.power) if op is ew.power else op(a, b)


def scaled_by(op: Op, made: Any, a: Any, b: Any) -> Any:
    """Let a product of a size and a number, or a quotient, know that it is one."""
    if op is ew.multiply or op is ew.divide:
        return scaled(made, a, "times" if op is ew.multiply else "over", b)
    return made


def raised(power: Callable[[Any, Any], Any], a: Any, b: Any, again: Callable[..., Any]) -> Any:
    """Apply ``power``, which makes or squares a square root where the exponent says so.

    `again` does the same for values that need not be traced.
    """
    if type(b) in _EXPONENTS and isinstance(a, Traced):
        if b == 2:
            return square(a, lambda x: power(x, b), lambda x: again(x, b))
        if b == 0.5:
            return remember(power(a, b), a, root=True)
    return power(a, b)


_EXPONENTS = (int, float, np.float64, np.float32, np.int64)


by_function: dict[Op, Callable[..., Any]] = {
    ew.absolute: lambda op, x: size_of(x, op),
    ew.UFUNCS[np.fabs]: lambda op, x: size_of(x, op),
    ew.hypot: lambda op, a, b: remember(op(a, b), a, b),
    ew.sqrt: lambda op, x: remember(op(x), x, root=True),
    ew.square: lambda op, x: square(x, op, np.square),
    ew.float_power: lambda op, a, b: raised(op, a, b, np.float_power),
    ew.UFUNCS[np.sign]: _real_or_complex,
    **dict.fromkeys((ew.add, ew.subtract, ew.multiply, ew.divide, ew.power), _arithmetic),
}
"""What stands for a ufunc, given its operation and its arguments."""


def squaring(power: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Make ``**`` square arrays of Booleans as NumPy does, which makes int8 of them."""

    def operator(self: Any, other: Any) -> Any:
        if type(other) is not int or other != 2 or self.dtype.kind != "b" or number_type(self):
            return raised(power, self, other, operators.pow)
        return np.square(self) if self._is_array() else _arithmetic(ew.power, self, other)

    return operator
