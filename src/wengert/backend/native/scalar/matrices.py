"""Systems of a few equations in registers, by elimination with partial pivoting as in LAPACK.

Where a pivot is no larger than rounding, or something is not finite, generated code stops, and the
program runs in NumPy, which raises or goes on as it always does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.backend.native.scalar.cells import STRUCTURE, TooLarge
from wengert.ir.graph import Node, aval_of
from wengert.llvm.code import TYPES, number

__all__ = ["ORDER"]

ORDER = 4
"""Largest order of a matrix that is eliminated in registers."""


def _size(w: Any, x: str, dtype: np.dtype[Any]) -> str:
    name = f"llvm.fabs.{'f64' if dtype.itemsize == 8 else 'f32'}"
    found: str = w.code.call(name, dtype, x)
    return found


def _matrix(w: Any, x: Any, dtype: np.dtype[Any]) -> Any:
    """Return the registers of a matrix."""
    aval = aval_of(x)
    if aval.ndim != 2 or not 0 < aval.shape[0] <= ORDER or aval.dtype != dtype or dtype.kind != "f":
        raise TooLarge
    return np.array(w.cells(x, dtype), object)


def _eliminated(w: Any, a: Any, b: Any, dtype: np.dtype[Any]) -> tuple[Any, Any, str]:
    """Write the elimination; return the upper matrix, the right sides and the sign of the swaps."""
    code, n = w.code, len(a)
    w.spend(6 * n**3 + 4 * n * n * b.shape[1])
    largest = number(0, dtype)
    for x in a.reshape(-1):
        size = _size(w, x, dtype)
        largest = code.select(dtype, code.compare("gt", dtype, size, largest), size, largest)
    least = code.binary("fmul", dtype, largest, number(n * np.finfo(dtype).eps, dtype))
    sign = number(1, dtype)
    for k in range(n):
        for i in range(k + 1, n):
            sizes = _size(w, a[i, k], dtype), _size(w, a[k, k], dtype)
            swap = code.compare("gt", dtype, *sizes)
            minus = code.emit(f"fneg {TYPES[dtype]} {sign}")
            sign = code.select(dtype, swap, minus, sign)
            for m in (a, b):
                for j in range(k if m is a else 0, m.shape[1]):
                    one, two = m[i, j], m[k, j]
                    m[k, j] = code.select(dtype, swap, one, two)
                    m[i, j] = code.select(dtype, swap, two, one)
        # also where one of them is NaN
        size = _size(w, a[k, k], dtype)
        w.stop_if(code.emit(f"fcmp ule {TYPES[dtype]} {size}, {least}"))
        for i in range(k + 1, n):
            factor = code.binary("fdiv", dtype, a[i, k], a[k, k])
            for m in (a, b):
                for j in range(k + 1 if m is a else 0, m.shape[1]):
                    part = code.binary("fmul", dtype, factor, m[k, j])
                    m[i, j] = code.binary("fsub", dtype, m[i, j], part)
    return a, b, sign


def _solved(w: Any, a: Any, b: Any, dtype: np.dtype[Any]) -> Any:
    """Write the solution of a system for each right side."""
    code, n = w.code, len(a)
    a, b, _ = _eliminated(w, a, b, dtype)
    for k in reversed(range(n)):
        for j in range(b.shape[1]):
            y = b[k, j]
            for i in range(k + 1, n):
                part = code.binary("fmul", dtype, a[k, i], b[i, j])
                y = code.binary("fsub", dtype, y, part)
            b[k, j] = code.binary("fdiv", dtype, y, a[k, k])
    return b


def _identity(n: int, dtype: np.dtype[Any]) -> Any:
    made = np.empty((n, n), object)
    made[...] = number(0, dtype)
    for i in range(n):
        made[i, i] = number(1, dtype)
    return made


def _solve(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    a, b = node.inputs
    if aval_of(b).ndim != 2 or aval_of(b).dtype != dtype:
        raise TooLarge
    return _solved(w, _matrix(w, a, dtype), np.array(w.cells(b, dtype), object), dtype)


def _inv(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    a = _matrix(w, node.inputs[0], dtype)
    return _solved(w, a, _identity(len(a), dtype), dtype)


def _det(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    a, _, y = _eliminated(w, _matrix(w, node.inputs[0], dtype), np.empty((ORDER, 0), object), dtype)
    for k in range(len(a)):
        y = w.code.binary("fmul", dtype, y, a[k, k])
    made = np.empty((), object)
    made[()] = y
    return made


def _adjugate(w: Any, node: Node, dtype: np.dtype[Any]) -> Any:
    """Multiply the inverse by the determinant, where the matrix is well conditioned."""
    code = w.code
    a = _matrix(w, node.inputs[0], dtype)
    determinant = w.cells(node.inputs[1], dtype)[()]
    inverse = _solved(w, a.copy(), _identity(len(a), dtype), dtype)
    norms = [_norm(w, m, dtype) for m in (a, inverse)]
    condition = code.binary("fmul", dtype, *norms)
    bound = number(1 / math.sqrt(np.finfo(dtype).eps), dtype)
    w.stop_if(code.emit(f"fcmp uge {TYPES[dtype]} {condition}, {bound}"))
    made = np.empty(a.shape, object)
    for i in np.ndindex(*a.shape):
        made[i] = code.binary("fmul", dtype, determinant, inverse[i])
    return made


def _norm(w: Any, m: Any, dtype: np.dtype[Any]) -> str:
    """Write the largest sum of a row's sizes."""
    code = w.code
    largest = number(0, dtype)
    for row in m:
        total = number(0, dtype)
        for x in row:
            total = code.binary("fadd", dtype, total, _size(w, x, dtype))
        larger = code.emit(f"fcmp ugt {TYPES[dtype]} {total}, {largest}")
        largest = code.select(dtype, larger, total, largest)
    return largest


STRUCTURE.update({"solve": _solve, "inv": _inv, "det": _det, "adjugate": _adjugate})
