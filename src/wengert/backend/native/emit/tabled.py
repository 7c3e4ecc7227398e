"""Long programs: what runs is a table of calls, and machine code only what differs among them.

A program that records a loop trip by trip calls the same few functions again and again, with other
memory. As instructions, those calls take LLVM more time than the functions do, and time that grows
faster than their number. In a table they take none: a record names a function and the places that
it works on, and one small function walks the records. The code then depends on what a trip does,
and not on how many there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.backend.native.emit.gemm import Product, threads_of_blas
from wengert.backend.native.emit.kernel import Kernel
from wengert.backend.native.emit.module import DATA, OUT_OF_RANGE, Module
from wengert.backend.native.emit.parallel import PARALLEL, PARALLEL_BLAS, Parts, combination
from wengert.backend.native.schedule.layout import Buffer
from wengert.backend.native.schedule.schedule import Schedule
from wengert.ir.graph import RAISES
from wengert.llvm.code import MEMORY

__all__ = ["LONG", "Tabled"]

LONG = 64
"""Steps from which a program is a table."""

ABSOLUTE, ARENA, FIRST = 0, 1, 2
"""What a place counts from: nothing, the arena, and from 2 on the data of inputs and outputs."""

WALK = """\
define internal i64 @walk(ptr %bases, ptr %table, ptr %frame) noinline nounwind {
entry:
  %count = load i64, ptr %table
  %first = getelementptr i64, ptr %table, i64 1
  br label %head
head:
  %k = phi i64 [ 0, %entry ], [ %k1, %called ]
  %r = phi ptr [ %first, %entry ], [ %next, %called ]
  %more = icmp slt i64 %k, %count
  br i1 %more, label %record, label %done
record:
  %which = load i64, ptr %r
  %rn = getelementptr i64, ptr %r, i64 1
  %n = load i64, ptr %rn
  %ra = getelementptr i64, ptr %r, i64 2
  %a = load i64, ptr %ra
  %rb = getelementptr i64, ptr %r, i64 3
  %b = load i64, ptr %rb
  %places = getelementptr i64, ptr %r, i64 4
  br label %fill
fill:
  %j = phi i64 [ 0, %record ], [ %j1, %place ]
  %p = phi ptr [ %places, %record ], [ %p1, %place ]
  %left = icmp slt i64 %j, %n
  br i1 %left, label %place, label %call
place:
  %base = load i64, ptr %p
  %po = getelementptr i64, ptr %p, i64 1
  %offset = load i64, ptr %po
  %pb = getelementptr i64, ptr %bases, i64 %base
  %start = load i64, ptr %pb
  %address = add i64 %start, %offset
  %f = getelementptr i64, ptr %frame, i64 %j
  store i64 %address, ptr %f
  %j1 = add nsw i64 %j, 1
  %p1 = getelementptr i64, ptr %p, i64 2
  br label %fill
call:
  %slot = getelementptr ptr, ptr @functions, i64 %which
  %function = load ptr, ptr %slot
  %code = call i64 %function(ptr %frame, i64 %a, i64 %b)
  %stop = icmp ne i64 %code, 0
  br i1 %stop, label %stopped, label %called
called:
  %next = phi ptr [ %p, %call ]
  %k1 = add nsw i64 %k, 1
  br label %head
stopped:
  ret i64 %code
done:
  ret i64 0
}"""


class Tabled(Module):
    """A module whose calls are in tables."""

    apart = True

    def __init__(self, schedule: Schedule, fast: bool) -> None:
        super().__init__(schedule, fast)
        self.callers: dict[str, str] = {}  # names of the functions that records call, by their text
        self.order: dict[str, int] = {}
        self.parts: list[list[Any]] = []  # records, one list for each run of native steps
        self.numbers: list[bytes] = []
        self.widest = 1

    def _begin(self) -> None:
        self.records: list[Any] = []
        self.calls = 0

    def _end(self) -> None:
        self.segments.append(("native", "run"))
        self.parts.append([self.calls, *self.records])

    def _finish(self) -> None:
        graph = self.schedule.graph
        inputs, outputs = len(graph.inputs), len(self.schedule.outputs)
        self.lines = []
        for i in range(inputs):
            self._check_input(i)
        bases = ["ptr null", "ptr %arena"]
        for name in [f"in{i}" for i in range(inputs)] + [f"out{i}" for i in range(outputs)]:
            data = self._emit(f"getelementptr i8, ptr %{name}, i64 {DATA}")
            bases.append("ptr " + self._emit(f"load ptr, ptr {data}"))
        for i, base in enumerate(bases):
            place = self._emit(f"getelementptr ptr, ptr %bases, i64 {i}")
            self.lines.append(f"store {base}, ptr {place}")
        code = self._emit("call i64 @walk(ptr %bases, ptr %consts, ptr %frame)")
        body = "\n".join(f"  {x}" if not x.endswith(":") else x for x in self.lines)
        names = ", ".join(f"ptr @{name}" for name in self.callers.values())
        table = f"[{len(self.callers)} x ptr]"
        self.functions += [
            *(text.replace("@CALLER", f"@{name}", 1) for text, name in self.callers.items()),
            f"@functions = internal constant {table} [{names}]",
            WALK,
            f"define i64 @run({self._parameters()}) noinline optnone nounwind {{\n"
            f"  %bases = alloca [{len(bases)} x ptr]\n  %frame = alloca [{self.widest} x ptr]\n"
            f"{body}\n  ret i64 {code}\n}}",
        ]

    def tables(self, consts: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Return the table of each run of native steps, and what else must stay in memory."""
        numbers = np.frombuffer(b"".join(self.numbers), np.int64)
        starts = {"const": [c.ctypes.data for c in consts], "number": [numbers.ctypes.data]}
        made = []
        for part in self.parts:
            flat = [starts[x[0]][x[1]] + x[2] if isinstance(x, tuple) else x for x in part]
            made.append(np.array(flat, np.int64))
        return [*made, numbers]

    # --- records ----------------------------------------------------------------------------------
    def _record(self, text: str, places: list[Any], a: int = 0, b: int = 0) -> None:
        """Add a call of a function of a frame and two numbers."""
        name = self.callers.setdefault(text, f"call{len(self.callers)}")
        at = self.order.setdefault(name, len(self.order))
        self.records += [at, len(places), a, b]
        for base, offset in places:
            self.records += [base, offset]
        self.calls += 1
        self.widest = max(self.widest, len(places))

    def _place(self, b: Buffer | None, offset: int = 0) -> tuple[int, Any]:
        if b is None:
            return ARENA, 0
        offset *= b.dtype.itemsize
        if b.kind == "arena":
            return ARENA, b.offset + offset
        if b.kind == "const":
            return ABSOLUTE, ("const", b.index, offset)
        before = len(self.schedule.graph.inputs) if b.kind == "output" else 0
        return FIRST + before + b.index, offset

    def _places(self, k: Kernel) -> list[Any]:
        places = []
        for b, offset in k.arguments:
            if isinstance(b, bytes):
                places.append((ABSOLUTE, ("number", 0, 8 * len(self.numbers))))
                self.numbers.append(b)
            else:
                places.append(self._place(b, offset))
        return places

    def _run_kernel(self, k: Kernel, name: str, outer: int) -> None:
        given = "".join(f"ptr %a{j}, " for j in range(len(k.arguments)))
        lines = _loads(len(k.arguments))
        if k.indexed:
            lines += ["%bad = alloca i8", "store i8 0, ptr %bad"]
            given += "ptr %bad, "
        lines.append(f"call void @{name}({given}i64 0, i64 %b)")
        if k.indexed:
            lines += ["%x = load i8, ptr %bad", "%ok = icmp eq i8 %x, 0"]
            lines.append(f"%code = select i1 %ok, i64 0, i64 {OUT_OF_RANGE}")
        self._record(_caller(lines, "%code" if k.indexed else "0"), self._places(k), 0, outer)

    def _run_parts(self, k: Kernel, called: str, found: Parts) -> None:
        places = self._places(k)
        for i, (_, buffer) in found.partial.items():
            places[i] = self._place(buffer)
        lines = []
        if k.indexed:
            # the byte that tells of an index out of range is behind the other places
            lines += ["%bad = alloca i8", "store i8 0, ptr %bad"]
            lines.append(f"%slot = getelementptr ptr, ptr %frame, i64 {len(places)}")
            lines.append("store ptr %bad, ptr %slot")
            self.widest = max(self.widest, len(places) + 1)
        lines.append(self._parallel(PARALLEL, called))
        if k.indexed:
            lines += ["%x = load i8, ptr %bad", "%ok = icmp eq i8 %x, 0"]
            lines.append(f"%code = select i1 %ok, i64 0, i64 {OUT_OF_RANGE}")
        self._record(_caller(lines, "%code" if k.indexed else "0"), places, found.number)
        for r, buffer in found.partial.values():
            combine, text = combination(r, self.externals)
            self.combinations.setdefault(combine, text)
            size = r.out.buffer.size
            lines = _loads(2) + [f"call void @{combine}(ptr %a0, ptr %a1, i64 %a, i64 %b)"]
            places = [self._place(r.out.buffer), self._place(buffer)]
            self._record(_caller(lines), places, found.number, size)

    def _parallel(self, how: str, called: str) -> str:
        self.threaded = True
        self.externals.setdefault(how, f"declare void @{how}(ptr, ptr, i64)")
        return f"call void @{how}(ptr @{called}, ptr %frame, i64 %a)"

    def _run_product(self, found: Product, called: str, buffers: list[Buffer]) -> None:
        if found.threaded and threads_of_blas() is not None:
            lines = [self._parallel(PARALLEL_BLAS, called)]
        elif found.parts == 1:
            lines = [f"call void @{called}(ptr %frame, i64 0)"]
        else:
            lines = [
                "br label %head",
                "head:",
                "%i = phi i64 [ 0, %entry ], [ %n, %body ]",
                "%c = icmp slt i64 %i, %a",
                "br i1 %c, label %body, label %done",
                "body:",
                f"call void @{called}(ptr %frame, i64 %i)",
                "%n = add nsw i64 %i, 1",
                "br label %head",
                "done:",
            ]
        self._record(_caller(lines), [self._place(b) for b in buffers], found.parts)

    def _check(self, k: int, view: Any) -> None:
        if self.schedule.graph.guards[k].kind in ("done", RAISES):
            return
        lines, count = self.lines, self.count
        self.lines, self.count = [], 0
        x = self._emit(f"load {MEMORY[view.buffer.dtype]}, ptr %a0")
        self._compare(k, view.buffer.dtype, x, "%a")
        text = _caller(_loads(1) + self.lines)
        self.lines, self.count = lines, count
        self._record(text, [self._place(view.buffer, view.offset)], k + 1)


def _loads(n: int) -> list[str]:
    """Write how the pointers of a frame get into registers."""
    lines = []
    for j in range(n):
        lines.append(f"%f{j} = getelementptr ptr, ptr %frame, i64 {j}")
        lines.append(f"%a{j} = load ptr, ptr %f{j}")
    return lines


def _caller(lines: list[str], code: str = "0") -> str:
    body = "\n".join(f"  {x}" if not x.endswith(":") else x for x in lines)
    return (
        f"define internal i64 @CALLER(ptr %frame, i64 %a, i64 %b) noinline optnone nounwind {{\n"
        f"entry:\n{body}\n  ret i64 {code}\n}}"
    )
