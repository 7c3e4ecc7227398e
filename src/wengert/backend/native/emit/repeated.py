"""The functions of loops and branches whose regions are schedules of their own.

The function of a step takes pointers to the operands, to the results and to the memory of the
regions. Its instructions are those that the regions' schedules have, once for each region, with
pointers that move: rows by their size, what is carried from one place to the other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wengert.backend.native.emit.kernel import Kernel, Place
from wengert.backend.native.scalar.registers import Memory, poll_after, polled, written
from wengert.backend.native.schedule.layout import Buffer, View, arena
from wengert.backend.native.schedule.steps import Contraction, Loop, Repeat
from wengert.llvm.code import I64, MEMORY, Code

__all__ = ["Repeated"]

COPY = "llvm.memcpy.p0.p0.i64"
FETCH = "llvm.prefetch.p0"

FETCHED = 1 << 13, 1 << 18
"""Bytes of the rows that are fetched: smaller ones are near, and larger ones would not stay so."""

LINES = 8
"""Lines of the cache that are asked for at once."""


class Repeated:
    """A step as code.

    Attributes
    ----------
    regions : list of Module
    peak : int
        Bytes of the arena that they share.
    """

    def __init__(self, step: Repeat, module: Any) -> None:
        self.step = step
        self.module = module
        self.regions = [module.region(schedule) for schedule in step.regions]
        self.peak = 0
        if step.scratch is not None:
            sizes = [arena([b for b in s.buffers if b.kind == "arena"]) for s in step.regions]
            self.peak = step.scratch.size = max(sizes)

    def kernel(self) -> Kernel:
        """Write the function."""
        text, arguments = self._in_memory() if self.step.regions else self._in_registers()
        return Kernel(text, arguments, 1, 1, False, [], True, [])

    def _text(self, arguments: Sequence[str], lines: Sequence[str], how: str) -> str:
        given = "".join(f"{a}, " for a in arguments)
        body = "\n".join(f"  {x}" if not x.endswith(":") else x for x in lines)
        head = f"define internal void @KERNEL({given}ptr noalias %bad, i64 %lo, i64 %hi)"
        return f"{head} noinline {how}nounwind {{\nentry:\n{body}\n}}"

    def _in_registers(self) -> tuple[str, list[tuple[Place, int]]]:
        step = self.step
        code = Code(self.module.externals, self.module.fast)
        arguments: list[tuple[Place, int]] = []
        operands: list[Any] = []
        for x in step.operands:
            if isinstance(x, View):
                name = f"%x{len(arguments)}"
                operands.append(Memory(name, x.buffer.dtype, x.strides, x.shape, []))
                arguments.append((x.buffer, x.offset))
            else:
                operands.append(x)
        names = [f"%x{i}" for i in range(len(arguments))]
        outs = [f"%y{k}" for k in range(len(step.outs))]
        arguments += [(out.buffer, 0) for out in step.outs]
        lines = written(code, step.node, operands, outs)
        return self._text([f"ptr noalias {n}" for n in (*names, *outs)], lines, ""), arguments

    # --- in memory --------------------------------------------------------------------------------
    def _in_memory(self) -> tuple[str, list[tuple[Place, int]]]:
        self.count = 0
        self.lines: list[str] = []
        self.before: list[str] = []
        self.frame = 0
        self.given: list[tuple[Place, int]] = []
        self.consts: dict[int, str] = {}
        step = self.step
        operands = [self._argument(x.buffer, x.offset) for x in step.operands]
        outs = [self._argument(x.buffer, 0) for x in step.outs]
        spare = [self._argument(x.buffer, 0) for x in step.spare]
        assert step.scratch is not None
        self.arena = self._argument(step.scratch, 0)
        write = {"scan": self._scan, "while_loop": self._while, "cond": self._cond}
        write[step.node.op.name](operands, outs, spare)
        self.lines.append("ret void")
        if self.frame:
            self.before.append(f"%frame = alloca [{self.frame} x ptr]")
        names = [f"ptr %p{i}" for i in range(len(self.given))]
        return self._text(names, [*self.before, *self.lines], "optnone "), self.given

    def _argument(self, b: Buffer, offset: int) -> str:
        self.given.append((b, offset))
        return f"%p{len(self.given) - 1}"

    def _emit(self, text: str) -> str:
        self.count += 1
        name = f"%r{self.count}"
        self.lines.append(f"{name} = {text}")
        return name

    def _region(self, k: int, inputs: Sequence[str], outs: Sequence[str]) -> None:
        """Write a region between the lines."""
        region = self.regions[k]
        names = {("input", i): x for i, x in enumerate(inputs)}
        names |= {("output", i): x for i, x in enumerate(outs)}
        self.lines += region.inside(self, names)
        self.frame = max(self.frame, region.frame)

    def constant(self, b: Buffer) -> str:
        """Return the pointer to a constant, which comes as an argument."""
        found = self.consts.get(b.index)
        if found is None:
            found = self.consts[b.index] = self._argument(b, 0)
        return found

    def _moved(self, pointer: str, i: str, bytes_: int) -> str:
        """Return the address of a row."""
        if not bytes_:
            return pointer
        return self._emit(
            f"getelementptr i8, ptr {pointer}, i64 " + self._emit(f"mul nsw i64 {i}, {bytes_}")
        )

    def _open(self, starts: Sequence[str], spare: Sequence[str]) -> list[tuple[str, str]]:
        """Begin a loop; return where each carried value is, and where the next one goes."""
        self.lines += ["br label %before", "before:", "br label %head", "head:"]
        self.lines.append("%t = phi i64 [ 0, %before ], [ %nL, %next ]")
        places = []
        for k, (a, b) in enumerate(zip(starts, spare, strict=True)):
            if self._stays(k):
                places.append((a, a))
                continue
            self.lines.append(f"%a{k} = phi ptr [ {a}, %before ], [ %b{k}, %next ]")
            self.lines.append(f"%b{k} = phi ptr [ {b}, %before ], [ %a{k}, %next ]")
            places.append((f"%a{k}", f"%b{k}"))
        return places

    def _stays(self, k: int) -> bool:
        return self.step.spare[k].buffer is self.step.outs[k].buffer

    def _close(self, outs: Sequence[str], places: list[tuple[str, str]]) -> None:
        """End a loop; what is carried comes to where it is to be in the end."""
        code = Code(self.module.externals)
        work = sum(map(_work, self.step.regions))
        self.lines.append("%nL = add nsw i64 %t, 1")
        self.lines += polled(code, "L", poll_after(work), "next")
        self.lines += ["br label %head", "done:"]
        for k, (place, _) in enumerate(places):
            out = self.step.outs[k]
            size = math.prod(out.shape) * out.buffer.dtype.itemsize
            if self._stays(k) or not size:
                continue
            self.module.externals.setdefault(COPY, f"declare void @{COPY}(ptr, ptr, i64, i1)")
            self.lines += [
                f"%e{k}L = icmp eq ptr {place}, {outs[k]}",
                f"br i1 %e{k}L, label %kept{k}, label %copy{k}",
                f"copy{k}:",
                f"call void @{COPY}(ptr {outs[k]}, ptr {place}, i64 {size}, i1 false)",
                f"br label %kept{k}",
                f"kept{k}:",
            ]

    def _scan(self, operands: list[str], outs: list[str], spare: list[str]) -> None:
        attrs = self.step.node.attrs
        a, carries = attrs["consts"], attrs["carries"]
        b = a + carries
        places = self._open(outs[:carries], spare)
        self.lines.append(f"%more = icmp slt i64 %t, {attrs['length']}")
        self.lines.append("br i1 %more, label %trip, label %done")
        self.lines.append("trip:")
        i = self._emit(f"sub nsw i64 {attrs['length'] - 1}, %t") if attrs["reverse"] else "%t"
        rows = [
            self._moved(p, i, x.strides[0] * x.buffer.dtype.itemsize)
            for p, x in zip(operands[b:], self.step.operands[b:], strict=True)
        ]
        made = [
            self._moved(p, i, math.prod(x.shape[1:]) * x.buffer.dtype.itemsize)
            for p, x in zip(outs[carries:], self.step.outs[carries:], strict=True)
        ]
        for k, (row, x) in enumerate(zip(made, self.step.outs[carries:], strict=True)):
            self._fetch(k, row, math.prod(x.shape[1:]) * x.buffer.dtype.itemsize)
        now, later = [p for p, _ in places], [p for _, p in places]
        self._region(0, [*operands[:a], *now, *rows], [*later, *made])
        self._close(outs, places)

    def _fetch(self, k: int, row: str, nbytes: int) -> None:
        """Ask for the memory of a result's row, which a trip writes here and there."""
        if not FETCHED[0] <= nbytes <= FETCHED[1]:
            return
        self.module.externals.setdefault(FETCH, f"declare void @{FETCH}(ptr, i32, i32, i32)")
        self.lines += [f"br label %near{k}", f"near{k}:", f"br label %fetching{k}"]
        self.lines += [f"fetching{k}:", f"%f{k} = phi i64 [ 0, %near{k} ], [ %g{k}, %fetching{k} ]"]
        for line in range(LINES):
            at = f"%f{k}" if not line else self._emit(f"add nsw i64 %f{k}, {64 * line}")
            place = self._emit(f"getelementptr i8, ptr {row}, i64 {at}")
            self.lines.append(f"call void @{FETCH}(ptr {place}, i32 1, i32 2, i32 1)")
        self.lines += [
            f"%g{k} = add nsw i64 %f{k}, {64 * LINES}",
            f"%h{k} = icmp slt i64 %g{k}, {nbytes}",
            f"br i1 %h{k}, label %fetching{k}, label %fetched{k}",
            f"fetched{k}:",
        ]

    def _while(self, operands: list[str], outs: list[str], spare: list[str]) -> None:
        a = self.step.node.attrs["consts"]
        carries = len(operands) - a
        places = self._open(outs[:carries], spare)
        now, later = [p for p, _ in places], [p for _, p in places]
        self.before.append("%answer = alloca i8")
        self._region(0, [*operands[:a], *now], ["%answer"])
        more = self._emit("icmp ne i8 " + self._emit("load i8, ptr %answer") + ", 0")
        self.lines.append(f"br i1 {more}, label %trip, label %done")
        self.lines.append("trip:")
        self._region(1, [*operands[:a], *now], later)
        self._close(outs, places)
        self.lines.append(f"store i64 %t, ptr {outs[carries]}")

    def _cond(self, operands: list[str], outs: list[str], spare: list[str]) -> None:
        index = self.step.operands[0]
        dtype = index.buffer.dtype
        found = self._emit(f"load {MEMORY[dtype]}, ptr {operands[0]}")
        if dtype != I64:
            how = "zext" if dtype.kind == "b" else "sext"
            found = self._emit(f"{how} {MEMORY[dtype]} {found} to i64")
        last = len(self.regions) - 1
        for k in range(last + 1):
            if k < last:
                here = self._emit(f"icmp sle i64 {found}, {k}")
                self.lines.append(f"br i1 {here}, label %case{k}, label %after{k}")
            else:
                self.lines.append(f"br label %case{k}")
            self.lines.append(f"case{k}:")
            self._region(k, operands[1:], outs)
            self.lines.append("br label %joined")
            if k < last:
                self.lines.append(f"after{k}:")
        self.lines.append("joined:")


def _work(schedule: Any) -> int:
    """Return about how many units of work a run of a schedule is, at least 1."""
    total = 1
    for step in schedule.steps:
        if isinstance(step, Loop):
            total += step.elements * (len(step.items) + len(step.stores))
        elif isinstance(step, Contraction):
            total += math.prod(step.sizes) * math.prod(size for size, *_ in step.batch)
        elif isinstance(step, Repeat):
            trips = step.node.attrs.get("length", 1)
            total += trips * max(100, *map(_work, step.regions), 0)
    return total
