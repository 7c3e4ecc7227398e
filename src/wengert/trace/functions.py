"""Ufuncs that do more than the operations of the same name, which operators apply as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ops import elementwise as ew
from wengert.ops.base import Op, dtype_of
from wengert.ops.convert import convert
from wengert.trace.numbers import number_type

__all__ = ["by_function", "squaring"]


def _real_or_complex(op: Op, x: Any) -> Any:
    """Apply ``absolute`` or ``sign``, whose derivatives differ for complex numbers."""
    if x.dtype.kind != "c":
        return op(x)
    modulus = ew.complex_absolute(x)
    if op is ew.absolute:
        return modulus
    return x / np.where(modulus == 0, 1, modulus)


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
    return op(a, b)


by_function: dict[Op, Callable[..., Any]] = {
    ew.absolute: _real_or_complex,
    ew.UFUNCS[np.sign]: _real_or_complex,
    **dict.fromkeys((ew.add, ew.subtract, ew.multiply, ew.divide, ew.power), _arithmetic),
}
"""What stands for a ufunc, given its operation and its arguments."""


def squaring(power: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Make ``**`` square arrays of Booleans as NumPy does, which makes int8 of them."""

    def operator(self: Any, other: Any) -> Any:
        if type(other) is not int or other != 2 or self.dtype.kind != "b" or number_type(self):
            return power(self, other)
        return np.square(self) if self._is_array() else _arithmetic(ew.power, self, other)

    return operator
