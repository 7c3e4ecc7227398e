"""Cumulative operations: what they begin with, and how a value follows from the one before."""

from __future__ import annotations

from wengert.backend.native.scalar.folds import identity, step
from wengert.backend.native.schedule.steps import Scan
from wengert.ir.graph import Node
from wengert.llvm.code import TYPES, Code, number

__all__ = ["first_of", "identity", "scanned"]


def first_of(scan: Scan) -> str:
    """Return what a cumulative operation begins with, so that the first value is as it was."""
    dtype = scan.out.dtype
    if scan.kind == "recurrence":
        return number(0, dtype)
    start = identity(scan.kind, dtype)
    if scan.kind == "cumsum" and dtype.kind == "f":
        start = -0.0  # 0 would turn a first -0 into 0
    return number(start, dtype)


def scanned(code: Code, scan: Scan, last: str, xs: list[str]) -> str:
    """Write the value that follows `last`."""
    dtype = scan.out.dtype
    t, real = TYPES[dtype], dtype.kind == "f"
    if scan.kind == "cumsum":
        return code.emit(f"{'fadd' if real else 'add'} {t} {last}, {xs[0]}")
    if scan.kind == "cumprod":
        return code.emit(f"{'fmul' if real else 'mul'} {t} {last}, {xs[0]}")
    if scan.kind == "recurrence":
        times = code.emit(f"{'fmul' if real else 'mul'} {t} {xs[0]}, {last}")
        return code.emit(f"{'fadd' if real else 'add'} {t} {times}, {xs[1]}")
    return step(scan.kind)(code, (last, xs[0]), dtype, Node(None, (), {}, ()))
