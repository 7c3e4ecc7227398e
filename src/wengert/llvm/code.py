"""Instructions of LLVM assembly, and the types of numbers in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.llvm.engine import WIDE, lanes

__all__ = [
    "BOOL",
    "F32",
    "F64",
    "I32",
    "I64",
    "MEMORY",
    "TYPES",
    "Code",
    "intrinsic",
    "libm",
    "number",
]

TYPES: dict[np.dtype[Any], str] = {
    np.dtype(np.float64): "double",
    np.dtype(np.float32): "float",
    np.dtype(np.int64): "i64",
    np.dtype(np.int32): "i32",
    np.dtype(np.bool_): "i1",
}
"""Dtypes that native code computes with, and their LLVM types in registers."""

F64, F32, I64, I32, BOOL = TYPES

MEMORY = TYPES | {BOOL: "i8"}
"""Their LLVM types in memory."""


class Code:
    """Instructions of one function, as text.

    Attributes
    ----------
    lines : list of str
    externals : dict
        Names of functions called, with their declarations.
    length : int
        Iterations of the loop around them; 0 for straight-line code.
    """

    def __init__(self, externals: dict[str, str], fast: str = "") -> None:
        self.lines: list[str] = []
        self.externals = externals
        self.fast = fast
        self.length = 0
        self._count = 0

    def fresh(self) -> str:
        """Return a new register."""
        self._count += 1
        return f"%t{self._count}"

    def emit(self, text: str) -> str:
        """Write ``register = text`` and return the register."""
        name = self.fresh()
        self.lines.append(f"{name} = {text}")
        return name

    def line(self, text: str) -> None:
        """Write an instruction without a result."""
        self.lines.append(text)

    def call(self, name: str, dtype: np.dtype[Any], *args: str, result: str | None = None) -> str:
        """Call a function of numbers of one type."""
        t = TYPES[dtype]
        out = result or t
        if (
            0 < lanes(name) <= self.length
        ):  # the loop may run in vectors: the rest after them agrees
            name = WIDE + name
        self.externals.setdefault(name, f"declare {out} @{name}({', '.join([t] * len(args))})")
        return self.emit(f"call {self.fast}{out} @{name}({', '.join(f'{t} {a}' for a in args)})")

    def binary(self, instruction: str, dtype: np.dtype[Any], a: str, b: str) -> str:
        """Write an arithmetic instruction."""
        return self.emit(f"{instruction} {TYPES[dtype]} {a}, {b}")

    def compare(self, predicate: str, dtype: np.dtype[Any], a: str, b: str) -> str:
        """Write a comparison; `predicate` is one of eq, ne, lt, le, gt, ge."""
        if dtype.kind == "f":
            return self.emit(
                f"fcmp {'une' if predicate == 'ne' else 'o' + predicate} {TYPES[dtype]} {a}, {b}"
            )
        sign = "" if predicate in ("eq", "ne") else "u" if dtype.kind == "b" else "s"
        return self.emit(f"icmp {sign}{predicate} {TYPES[dtype]} {a}, {b}")

    def isnan(self, dtype: np.dtype[Any], a: str) -> str:
        """Write a test for NaN."""
        return self.emit(f"fcmp uno {TYPES[dtype]} {a}, {a}")

    def select(self, dtype: np.dtype[Any], c: str, a: str, b: str) -> str:
        """Choose between two numbers."""
        t = TYPES[dtype]
        return self.emit(f"select i1 {c}, {t} {a}, {t} {b}")

    def cast(self, x: str, source: np.dtype[Any], target: np.dtype[Any]) -> str:
        """Convert a number as NumPy's ``astype`` does."""
        if source == target:
            return x
        s, t = TYPES[source], TYPES[target]
        if target == BOOL:
            return self.compare("ne", source, x, number(0, source))
        if source == BOOL:
            return self.emit(f"{'uitofp' if target.kind == 'f' else 'zext'} i1 {x} to {t}")
        if source.kind == "f" and target.kind == "f":
            return self.emit(f"{'fptrunc' if target == F32 else 'fpext'} {s} {x} to {t}")
        if source.kind == "f":
            return self.emit(f"freeze {t} " + self.emit(f"fptosi {s} {x} to {t}"))
        if target.kind == "f":
            return self.emit(f"sitofp {s} {x} to {t}")
        return self.emit(f"{'trunc' if target == I32 else 'sext'} {s} {x} to {t}")


def number(x: Any, dtype: np.dtype[Any]) -> str:
    """Write a constant."""
    if dtype.kind == "f":
        value = np.float64(np.asarray(x).astype(dtype))
        return f"0x{np.asarray(value).view(np.uint64).item():016X}"
    if dtype == BOOL:
        return "true" if x else "false"
    return str(int(np.asarray(x).astype(dtype)))


def intrinsic(name: str, dtype: np.dtype[Any]) -> str:
    """Return the name of LLVM's intrinsic function of floats."""
    return f"llvm.{name}.{'f64' if dtype == F64 else 'f32'}"


def libm(name: str, dtype: np.dtype[Any]) -> str:
    """Return the name of a function of C's library of floats."""
    return name if dtype == F64 else name + "f"
