"""The module of a schedule: its kernels, and a function for each run of native steps."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np

from wengert.backend.native import engine
from wengert.backend.native.code import number
from wengert.backend.native.kernel import kernel
from wengert.backend.native.layout import Buffer, View
from wengert.backend.native.schedule import Schedule
from wengert.backend.native.steps import Contraction, Loop
from wengert.ir.graph import Guard

__all__ = ["OUT_OF_RANGE", "Module"]

# Offsets in NumPy's PyArrayObject (stable since NumPy 1.7): data, then flags.
DATA, FLAGS = 16, 64
CONTIGUOUS_ALIGNED = 0x101

OUT_OF_RANGE = -2
"""What native code returns where an index is out of range."""


class Module:
    """Writes a schedule as LLVM assembly.

    Attributes
    ----------
    segments : list
        What runs, in order: ``("native", name of a function)`` or ``("host", Host)``.
    straight : int
        Numbers computed one by one.
    """

    def __init__(self, schedule: Schedule, fast: bool) -> None:
        self.schedule = schedule
        self.externals: dict[str, str] = {}
        self.fast = "reassoc nnan ninf nsz arcp contract afn " if fast else ""
        self.kernels: dict[str, str] = {}
        self.segments: list[tuple[str, Any]] = []
        self.functions: list[str] = []
        self.lines: list[str] = []
        self.count = 0
        self.straight = 0

    def write(self) -> str:
        """Return the assembly."""
        schedule = self.schedule
        guards = list(enumerate(schedule.guards))
        self._begin()
        for step in schedule.steps:
            guards = self._checks(guards, step.step)
            if isinstance(step, Loop):
                self._loop(step)
            elif isinstance(step, Contraction):
                self._product(step)
            else:
                self._end()
                self.segments.append(("host", step))
                self._begin()
        self._checks(guards, 1 << 60)
        self._end()
        parts = [
            text.replace("@KERNEL", f"@{name}", 1) for text, name in self.kernels.items()
        ] + self.functions
        return engine.external_declarations(self.externals) + "\n" + "\n\n".join(parts) + "\n"

    def _begin(self) -> None:
        self.lines = []
        self.pointers: dict[tuple[int, int], str] = {}
        if not self.segments and not self.functions:
            for i in range(len(self.schedule.graph.inputs)):
                self._check_input(i)

    def _end(self) -> None:
        graph = self.schedule.graph
        arguments = [f"ptr %in{i}" for i in range(len(graph.inputs))]
        arguments += [f"ptr %out{i}" for i in range(len(self.schedule.outputs))]
        arguments += ["ptr %arena", "ptr %consts"]
        name = f"run{len(self.functions)}"
        self.functions.append(
            f"define i64 @{name}({', '.join(arguments)}) nounwind {{\n"
            + "\n".join(f"  {x}" if not x.endswith(":") else x for x in self.lines)
            + "\n  ret i64 0\n}"
        )
        self.segments.append(("native", name))

    def _fresh(self) -> str:
        self.count += 1
        return f"%e{self.count}"

    def _emit(self, text: str) -> str:
        name = self._fresh()
        self.lines.append(f"{name} = {text}")
        return name

    def _check_input(self, i: int) -> None:
        flags = self._emit(
            "load i32, ptr " + self._emit(f"getelementptr i8, ptr %in{i}, i64 {FLAGS}")
        )
        both = self._emit(f"and i32 {flags}, {CONTIGUOUS_ALIGNED}")
        ok = self._emit(f"icmp eq i32 {both}, {CONTIGUOUS_ALIGNED}")
        self.count += 1
        n = self.count
        self.lines += [
            f"br i1 {ok}, label %ok{n}, label %bad{n}",
            f"bad{n}:",
            "ret i64 -1",
            f"ok{n}:",
        ]

    def _pointer(self, b: Buffer | None, offset: int = 0) -> str:
        if b is None:
            return "%arena"
        key = (id(b), offset)
        found = self.pointers.get(key)
        if found is not None:
            return found
        if offset:
            base = self._pointer(b)
            found = self._emit(f"getelementptr i8, ptr {base}, i64 {offset * b.dtype.itemsize}")
        elif b.kind == "arena":
            found = self._emit(f"getelementptr i8, ptr %arena, i64 {b.offset}")
        elif b.kind == "const":
            found = self._emit(
                "load ptr, ptr " + self._emit(f"getelementptr ptr, ptr %consts, i64 {b.index}")
            )
        else:
            name = f"%{'in' if b.kind == 'input' else 'out'}{b.index}"
            found = self._emit(
                "load ptr, ptr " + self._emit(f"getelementptr i8, ptr {name}, i64 {DATA}")
            )
        self.pointers[key] = found
        return found

    def _loop(self, loop: Loop) -> None:
        if not loop.items and not loop.stores:
            return
        k = kernel(loop, self.externals, self.fast)
        if loop.shape == ():
            self.straight += len(loop.items)
        name = self.kernels.setdefault(k.text, f"k{len(self.kernels)}")
        pointers = "".join(f"ptr {self._pointer(b, offset)}, " for b, offset in k.arguments)
        outer = 0 if 0 in loop.shape and not k.outer else k.outer
        if not k.indexed:
            self.lines.append(f"call void @{name}({pointers}i64 0, i64 {outer})")
            return
        bad = self._slot("i8", "0")
        self.lines.append(f"call void @{name}({pointers}ptr {bad}, i64 0, i64 {outer})")
        ok = self._emit("icmp eq i8 " + self._emit(f"load i8, ptr {bad}") + ", 0")
        self._unless(ok, OUT_OF_RANGE)

    def _unless(self, ok: str, code: int) -> None:
        """Return `code` where `ok` does not hold."""
        self.count += 1
        n = self.count
        self.lines += [
            f"br i1 {ok}, label %ok{n}, label %bad{n}",
            f"bad{n}:",
            f"ret i64 {code}",
            f"ok{n}:",
        ]

    def _product(self, p: Contraction) -> None:
        dtype = p.out.buffer.dtype
        name = "wengert_dgemm" if dtype == np.float64 else "wengert_sgemm"
        blas_symbols()
        self.externals.setdefault(name, f"declare void @{name}({', '.join(['ptr'] * 13)})")
        m, n, k = p.sizes
        ra, ca, rb, cb, rc = p.strides
        kind = "double" if dtype == np.float64 else "float"
        flag_b, ldb = ("N", rb) if cb == 1 else ("T", cb)
        flag_a, lda = ("N", ra) if ca == 1 else ("T", ca)
        slots = {
            "fb": self._slot("i8", str(ord(flag_b))),
            "fa": self._slot("i8", str(ord(flag_a))),
            "n": self._slot("i32", str(n)),
            "m": self._slot("i32", str(m)),
            "k": self._slot("i32", str(k)),
            "one": self._slot(kind, number(1, np.dtype(np.float64))),
            "zero": self._slot(kind, number(0, np.dtype(np.float64))),
            "lda": self._slot("i32", str(max(lda, 1))),
            "ldb": self._slot("i32", str(max(ldb, 1))),
            "ldc": self._slot("i32", str(max(rc, 1))),
        }
        a, b, c = self._pointer(p.a.buffer), self._pointer(p.b.buffer), self._pointer(p.out.buffer)
        offsets = [str(p.a.offset), str(p.b.offset), "0"]
        opened = []
        for size, sa, sb, sc in p.batch:
            self.count += 1
            d = self.count
            before = f"before{d}"
            self.lines += [
                f"br label %{before}",
                f"{before}:",
                f"br label %bh{d}",
                f"bh{d}:",
                f"%bi{d} = phi i64 [ 0, %{before} ], [ %bn{d}, %bl{d} ]",
                f"%bc{d} = icmp slt i64 %bi{d}, {size}",
                f"br i1 %bc{d}, label %bb{d}, label %bd{d}",
                f"bb{d}:",
            ]
            for j, s in enumerate((sa, sb, sc)):
                offsets[j] = self._emit(
                    f"add i64 {offsets[j]}, " + self._emit(f"mul i64 %bi{d}, {s}")
                )
            opened.append(d)
        pa, pb, pc = (
            self._emit(f"getelementptr {kind}, ptr {x}, i64 {o}")
            for x, o in zip((a, b, c), offsets, strict=True)
        )
        order = [
            slots["fb"],
            slots["fa"],
            slots["n"],
            slots["m"],
            slots["k"],
            slots["one"],
            pb,
            slots["ldb"],
            pa,
            slots["lda"],
            slots["zero"],
            pc,
            slots["ldc"],
        ]
        self.lines.append(f"call void @{name}({', '.join(f'ptr {x}' for x in order)})")
        for d in reversed(opened):
            self.lines += [
                f"br label %bl{d}",
                f"bl{d}:",
                f"%bn{d} = add i64 %bi{d}, 1",
                f"br label %bh{d}",
                f"bd{d}:",
            ]

    def _slot(self, kind: str, value: str) -> str:
        slot = self._emit(f"alloca {kind}")
        self.lines.append(f"store {kind} {value}, ptr {slot}")
        return slot

    def _checks(self, guards: list[Any], step: int) -> list[Any]:
        """Compare the guards whose values are known before `step`."""
        while guards and guards[0][1][0] <= step:
            k, (_, view) = guards.pop(0)
            self._check(k, view)
        return guards

    def _check(self, k: int, view: View) -> None:
        guard = self.schedule.graph.guards[k]
        dtype = view.buffer.dtype
        kind = (
            "i8"
            if dtype.kind == "b"
            else {"f8": "double", "f4": "float", "i8": "i64", "i4": "i32"}[dtype.str[1:]]
        )
        address = self._emit(
            f"getelementptr {kind}, ptr {self._pointer(view.buffer)}, i64 {view.offset}"
        )
        x = self._emit(f"load {kind}, ptr {address}")
        if guard.kind == "bool":
            zero = "0.0" if dtype.kind == "f" else "0"
            test = self._emit(
                f"{'fcmp une' if dtype.kind == 'f' else 'icmp ne'} {kind} {x}, {zero}"
            )
            ok = self._emit(f"icmp eq i1 {test}, {'true' if guard.outcome else 'false'}")
        elif guard.kind in ("float", "complex") or dtype.kind == "f":
            ok = self._same_float(x, kind, dtype, guard)
        else:
            ok = self._emit(f"icmp eq {kind} {x}, {int(guard.outcome)}")
        self._unless(ok, k + 1)

    def _same_float(self, x: str, kind: str, dtype: np.dtype[Any], guard: Guard) -> str:
        """Compare a float bit for bit with the outcome of a guard; a NaN is like another."""
        outcome = guard.outcome.real
        if dtype.kind != "f":
            x = self._emit(f"{'uitofp' if dtype.kind == 'b' else 'sitofp'} {kind} {x} to double")
            kind, dtype = "double", np.dtype(np.float64)
        elif guard.kind in ("int", "index"):  # exact: the outcome was a float of this dtype
            whole, name = self._intrinsic("trunc", kind), number(outcome, dtype)
            return self._emit(
                f"fcmp oeq {kind} {name}, " + self._emit(f"call {kind} @{whole}({kind} {x})")
            )
        if outcome != outcome:
            return self._emit(f"fcmp uno {kind} {x}, {x}")
        bits = "i64" if kind == "double" else "i32"
        given = self._emit(f"bitcast {kind} {x} to {bits}")
        return self._emit(
            f"icmp eq {bits} {given}, "
            + self._emit(f"bitcast {kind} {number(outcome, dtype)} to {bits}")
        )

    def _intrinsic(self, name: str, kind: str) -> str:
        """Declare an intrinsic of a float and return its name."""
        full = f"llvm.{name}.{'f64' if kind == 'double' else 'f32'}"
        self.externals.setdefault(full, f"declare {kind} @{full}({kind})")
        return full


@functools.cache
def blas_symbols() -> None:
    """Make SciPy's BLAS known to LLVM."""
    import scipy.linalg.cython_blas as blas

    name = ctypes.pythonapi.PyCapsule_GetName
    name.restype, name.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    for routine in ("dgemm", "sgemm"):
        capsule = blas.__pyx_capi__[routine]
        engine.binding().add_symbol(f"wengert_{routine}", pointer(capsule, name(capsule)))
