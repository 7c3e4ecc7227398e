"""Products of matrices by SciPy's BLAS, called by pointer.

A product is a function of a part's number: a range of its batch, or of the rows or columns of the
result, so that threads can share it. While they do, BLAS uses one thread in each; small products
are one call, in one thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
from typing import Any, NamedTuple

import numpy as np

from wengert.backend.native.schedule.products import LARGEST
from wengert.backend.native.schedule.steps import Contraction
from wengert.errors import VerificationError
from wengert.llvm import engine
from wengert.llvm.code import number

__all__ = [
    "Gemm",
    "Product",
    "call",
    "operations",
    "product",
    "symbols",
    "threads_of_blas",
]

ALONE = 500_000
"""Operations up to which OpenBLAS uses one thread by itself."""

SHARED_FROM = 4_000_000
"""Operations from which a product is shared by threads: some 50 us."""

OPERATIONS = 2_000_000
"""Least operations of a part."""

WIDTH = 64
"""Least rows or columns of a part: each part packs all of the other operand."""

MOST = 16
"""Matrices of a batch from which none of them is divided."""

CORES = max(2, os.cpu_count() or 1)
"""Parts of a large product: of the machine, so that a setting does not change results."""


class Gemm(NamedTuple):
    """What a call of ``gemm`` is told of one product of a batch, in Fortran's terms.

    Fortran's matrices are ours transposed, so the second operand comes first.

    Attributes
    ----------
    first, second : str
        "N", or "T" for an operand that is read transposed.
    m, n, k : int
        Columns and rows of the result, and depth.
    lda, ldb, ldc : int
        Leading dimensions: elements from one column of Fortran's to the next.
    """

    first: str
    second: str
    m: int
    n: int
    k: int
    lda: int
    ldb: int
    ldc: int

    def fault(self) -> str | None:
        """Say what of the call BLAS refuses, upon which it would compute nothing; or None."""
        least = {
            "lda": self.m if self.first == "N" else self.k,
            "ldb": self.k if self.second == "N" else self.n,
            "ldc": self.m,
        }
        for name in ("m", "n", "k", "lda", "ldb", "ldc"):
            value = getattr(self, name)
            if not max(least.get(name, 0), 1) <= value <= LARGEST:
                return f"{name} is {value} of {self}"
        return None


class Product(NamedTuple):
    """A product as code.

    Attributes
    ----------
    text : str
        A definition of ``@KERNEL(ptr frame, i64 part)``; the frame holds three pointers.
    pieces : int
        Ranges of rows or columns into which each matrix of the result is divided.
    grain : int
        Rows or columns of each but the last.
    wide : int
        Rows or columns that are divided.
    parts : int
        Pieces of all matrices of the batch.
    threaded : bool
        Whether BLAS has to be told to use one thread in each part.
    """

    text: str
    pieces: int
    grain: int
    wide: int
    parts: int
    threaded: bool


def call(p: Contraction) -> Gemm:
    """Return what ``gemm`` is told of a product."""
    m, n, k = p.sizes
    ra, ca, rb, cb, rc = p.strides
    first, lda = ("N", rb) if cb == 1 and rb >= n else ("T", cb)
    second, ldb = ("N", ra) if ca == 1 and ra >= k else ("T", ca)
    return Gemm(first, second, n, m, k, lda, ldb, rc)


def operations(p: Contraction) -> int:
    """Return the operations of a product; a multiply-add is 2."""
    return int(2 * math.prod(p.sizes) * math.prod(size for size, *_ in p.batch))


def product(p: Contraction, externals: dict[str, str]) -> Product:
    """Write a product."""
    m, n, k = p.sizes
    batch = math.prod(size for size, *_ in p.batch)
    each = 2 * m * n * k
    wide = max(m, n)
    pieces = 1
    if batch < MOST and batch * each >= SHARED_FROM:
        pieces = max(1, min(-(-CORES // batch), each // OPERATIONS, wide // WIDTH))
    grain = wide
    if pieces > 1:
        grain = -(-wide // (16 * pieces)) * 16
        pieces = -(-wide // grain)
    threaded = each > ALONE or batch * each >= SHARED_FROM
    text = _text(p, externals, pieces, m >= n, grain)
    return Product(text, pieces, grain, wide, batch * pieces, threaded)


class _Lines:
    """Instructions of a function."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.count = 0

    def emit(self, text: str) -> str:
        self.count += 1
        name = f"%v{self.count}"
        self.lines.append(f"{name} = {text}")
        return name

    def slot(self, kind: str, value: str) -> str:
        """Return the address of a number: Fortran takes all arguments by reference."""
        slot = self.emit(f"alloca {kind}")
        self.lines.append(f"store {kind} {value}, ptr {slot}")
        return slot


def _text(p: Contraction, externals: dict[str, str], pieces: int, by_rows: bool, grain: int) -> str:
    """Write the function of a part: one call of ``gemm``."""
    dtype = p.out.buffer.dtype
    name = "wengert_dgemm" if dtype == np.float64 else "wengert_sgemm"
    kind = "double" if dtype == np.float64 else "float"
    externals.setdefault(name, f"declare void @{name}({', '.join(['ptr'] * 13)})")
    m, n, k = p.sizes
    ra, _, _, cb, rc = p.strides
    code = _Lines()
    offsets = [str(p.a.offset), str(p.b.offset), "0"]

    def move(which: int, i: str, stride: int) -> None:
        if stride:
            step = code.emit(f"mul nsw i64 {i}, {stride}")
            offsets[which] = code.emit(f"add nsw i64 {offsets[which]}, {step}")

    rest, rows, columns = "%part", str(m), str(n)
    if pieces > 1:
        piece = code.emit(f"urem i64 {rest}, {pieces}")
        rest = code.emit(f"udiv i64 {rest}, {pieces}")
        low = code.emit(f"mul nsw i64 {piece}, {grain}")
        left = code.emit(f"sub nsw i64 {m if by_rows else n}, {low}")
        less = code.emit(f"icmp slt i64 {left}, {grain}")
        width = code.emit(f"select i1 {less}, i64 {left}, i64 {grain}")
        width = code.emit(f"trunc i64 {width} to i32")
        if by_rows:
            rows = width
            move(0, low, ra)
            move(2, low, rc)
        else:
            columns = width
            move(1, low, cb)
            move(2, low, 1)
    for size, *strides in reversed(p.batch):
        i = code.emit(f"urem i64 {rest}, {size}")
        rest = code.emit(f"udiv i64 {rest}, {size}")
        for which, stride in enumerate(strides):
            move(which, i, stride)
    pointers = []
    for j, offset in enumerate(offsets):
        place = code.emit(f"getelementptr ptr, ptr %frame, i64 {j}")
        base = code.emit(f"load ptr, ptr {place}")
        pointers.append(code.emit(f"getelementptr {kind}, ptr {base}, i64 {offset}"))
    a, b, c = pointers
    told = call(p)
    fault = told.fault()
    if fault is not None:  # BLAS would compute nothing, and say so on the terminal only
        raise VerificationError(f"BLAS does not take a call: {fault}")
    given = [
        code.slot("i8", str(ord(told.first))),
        code.slot("i8", str(ord(told.second))),
        code.slot("i32", columns),
        code.slot("i32", rows),
        code.slot("i32", str(k)),
        code.slot(kind, number(1, np.dtype(np.float64))),
        b,
        code.slot("i32", str(told.lda)),
        a,
        code.slot("i32", str(told.ldb)),
        code.slot(kind, number(0, np.dtype(np.float64))),
        c,
        code.slot("i32", str(told.ldc)),
    ]
    code.lines.append(f"call void @{name}({', '.join(f'ptr {x}' for x in given)})")
    body = "\n".join(f"  {line}" for line in code.lines)
    head = "define internal void @KERNEL(ptr %frame, i64 %part) noinline optnone nounwind"
    return f"{head} {{\n{body}\n  ret void\n}}"


@functools.cache
def symbols() -> None:
    """Make SciPy's BLAS known to LLVM."""
    import scipy.linalg.cython_blas as blas

    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    for routine in ("dgemm", "sgemm"):
        capsule = blas.__pyx_capi__[routine]
        engine.binding().add_symbol(f"wengert_{routine}", pointer(capsule, name(capsule)))


@functools.cache
def threads_of_blas() -> tuple[int, int] | None:
    """Return the addresses of the functions that get and set how many threads BLAS uses.

    None where it is not OpenBLAS: it then has its own way to share a product.
    """
    import scipy.linalg.cython_blas as blas

    library: Any = None
    with contextlib.suppress(OSError):
        library = ctypes.CDLL(blas.__file__)  # its symbols, and those of what it links to
    for prefix in ("scipy_openblas", "openblas"):
        try:
            found = [getattr(library, f"{prefix}_{verb}_num_threads") for verb in ("get", "set")]
        except AttributeError:
            continue
        get, put = (ctypes.cast(f, ctypes.c_void_p).value for f in found)
        if get and put:
            return get, put
    return None
