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
from wengert.backend.native.emit.module import DATA, Module
from wengert.backend.native.emit.parallel import PARALLEL, PARALLEL_BLAS, Parts, combination
from wengert.backend.native.schedule.layout import Buffer
from wengert.backend.native.schedule.schedule import Schedule
from wengert.ir.questions import QUESTIONS
from wengert.llvm.code import MEMORY

__all__ = ["LONG", "Tabled"]

LONG = 64
"""Steps from which a program is a table."""

ABSOLUTE, ARENA, FIRST = 0, 1, 2
"""What a place counts from: nothing, the arena, and from 2 on the data of inputs and outputs."""

WALK = """\
define internal i64 @walk(ptr %bases, ptr %table, ptr %arena) noinline nounwind {
entry:
  %size = load i64, ptr %table
  %first = getelementptr i64, ptr %table, i64 1
  %end = getelementptr i64, ptr %first, i64 %size
  br label %head
head:
  %r = phi ptr [ %first, %entry ], [ %next, %call ]
  %done = icmp eq ptr %r, %end
  br i1 %done, label %ended, label %call
call:
  %which = load i64, ptr %r
  %rn = getelementptr i64, ptr %r, i64 1
  %length = load i64, ptr %rn
  %next = getelementptr i64, ptr %r, i64 %length
  %slot = getelementptr ptr, ptr @functions, i64 %which
  %function = load ptr, ptr %slot
  %code = call i64 %function(ptr %r, ptr %arena, ptr %bases)
  %stop = icmp ne i64 %code, 0
  br i1 %stop, label %ended, label %head
ended:
  %result = phi i64 [ 0, %head ], [ %code, %call ]
  ret i64 %result
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

    def _begin(self) -> None:
        self.records: list[Any] = []

    def _end(self) -> None:
        self.segments.append(("native", "run"))
        self.parts.append([len(self.records), *self.records])

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
        code = self._emit("call i64 @walk(ptr %bases, ptr %consts, ptr %arena)")
        body = "\n".join(f"  {x}" if not x.endswith(":") else x for x in self.lines)
        names = ", ".join(f"ptr @{name}" for name in self.callers.values())
        table = f"[{len(self.callers)} x ptr]"
        self.functions += [
            *(text.replace("@CALLER", f"@{name}", 1) for text, name in self.callers.items()),
            f"@functions = internal constant {table} [{names}]",
            WALK,
            f"define i64 @run({self._parameters()}) noinline optnone nounwind {{\n"
            f"  %bases = alloca [{len(bases)} x ptr]\n{body}\n  ret i64 {code}\n}}",
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
    def _record(self, lines: list[str], places: list[Any], more: list[int], code: str) -> None:
        """Add a call of a function, which finds its places, and further numbers, in the record."""
        found = []
        for j, (base, _) in enumerate(places):
            found.append(f"%f{j} = getelementptr i64, ptr %r, i64 {j + 2}")
            if base == ABSOLUTE:
                found.append(f"%a{j} = load ptr, ptr %f{j}")
                continue
            found.append(f"%o{j} = load i64, ptr %f{j}")
            start = "%arena"
            if base != ARENA:
                start = f"%b{j}"
                found.append(f"%s{j} = getelementptr ptr, ptr %bases, i64 {base}")
                found.append(f"%b{j} = load ptr, ptr %s{j}")
            found.append(f"%a{j} = getelementptr i8, ptr {start}, i64 %o{j}")
        for j in range(len(more)):
            found.append(f"%fm{j} = getelementptr i64, ptr %r, i64 {len(places) + j + 2}")
            found.append(f"%m{j} = load i64, ptr %fm{j}")
        body = "\n".join(f"  {x}" if not x.endswith(":") else x for x in [*found, *lines])
        text = (
            f"define internal i64 @CALLER(ptr %r, ptr %arena, ptr %bases) nounwind {{\n"
            f"entry:\n{body}\n  ret i64 {code}\n}}"
        )
        name = self.callers.setdefault(text, f"call{len(self.callers)}")
        at = self.order.setdefault(name, len(self.order))
        self.records += [at, 2 + len(places) + len(more), *(x for _, x in places), *more]

    def _place(self, b: Buffer | None, offset: int = 0) -> tuple[int, Any]:
        if b is None:
            return ARENA, offset
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
        before, after, code = _watched(k)
        given = "".join(f"ptr %a{j}, " for j in range(len(k.arguments)))
        given += "ptr %bad, " if k.indexed else ""
        call = f"call void @{name}({given}i64 0, i64 {outer})"
        self._record([*before, call, *after], self._places(k), [], code)

    def _run_parts(self, k: Kernel, called: str, found: Parts) -> None:
        places = self._places(k)
        for i, (_, buffer) in found.partial.items():
            places[i] = self._place(buffer)
        before, after, code = _watched(k)
        given = [f"%a{j}" for j in range(len(places))] + ["%bad"] * k.indexed
        lines = [*before, *_framed(given), self._parallel(PARALLEL, called, found.number), *after]
        self._record(lines, places, [], code)
        for r, buffer in found.partial.values():
            combine, text = combination(r, self.externals)
            self.combinations.setdefault(combine, text)
            sizes = f"i64 {found.number}, i64 {r.out.buffer.size}"
            places = [self._place(r.out.buffer), self._place(buffer)]
            self._record([f"call void @{combine}(ptr %a0, ptr %a1, {sizes})"], places, [], "0")

    def _parallel(self, how: str, called: str, parts: int) -> str:
        self.threaded = True
        self.externals.setdefault(how, f"declare void @{how}(ptr, ptr, i64)")
        return f"call void @{how}(ptr @{called}, ptr %frame, i64 {parts})"

    def _run_product(self, found: Product, called: str, buffers: list[Buffer]) -> None:
        lines = _framed(["%a0", "%a1", "%a2"])
        if found.threaded and threads_of_blas() is not None:
            lines.append(self._parallel(PARALLEL_BLAS, called, found.parts))
        elif found.parts == 1:
            lines.append(f"call void @{called}(ptr %frame, i64 0)")
        else:
            lines += [
                "br label %head",
                "head:",
                "%i = phi i64 [ 0, %entry ], [ %n, %body ]",
                f"%c = icmp slt i64 %i, {found.parts}",
                "br i1 %c, label %body, label %done",
                "body:",
                f"call void @{called}(ptr %frame, i64 %i)",
                "%n = add nsw i64 %i, 1",
                "br label %head",
                "done:",
            ]
        self._record(lines, [self._place(b) for b in buffers], [], "0")

    def _check(self, k: int, view: Any) -> None:
        if not QUESTIONS[self.schedule.graph.guards[k].kind].text:
            return
        kept = self.lines, self.count
        self.lines, self.count = [], 0
        x = self._emit(f"load {MEMORY[view.buffer.dtype]}, ptr %a0")
        self._compare(k, view.buffer.dtype, x, "%m0")
        self._record(self.lines, [self._place(view.buffer, view.offset)], [k + 1], "0")
        self.lines, self.count = kept


def _watched(k: Kernel) -> tuple[list[str], list[str], str]:
    """Write what stands around the call of a loop that tells of indices out of range."""
    if not k.indexed:
        return [], [], "0"
    after = [
        "%x = load i8, ptr %bad",
        "%ok = icmp eq i8 %x, 0",
        "%wide = zext i8 %x to i64",
        "%why = sub i64 -1, %wide",
        "%code = select i1 %ok, i64 0, i64 %why",
    ]
    return ["%bad = alloca i8", "store i8 0, ptr %bad"], after, "%code"


def _framed(pointers: list[str]) -> list[str]:
    """Write pointers where the parts of a step find them."""
    lines = [f"%frame = alloca [{len(pointers)} x ptr]"]
    for j, p in enumerate(pointers):
        lines += [f"%t{j} = getelementptr ptr, ptr %frame, i64 {j}", f"store ptr {p}, ptr %t{j}"]
    return lines
