"""From a loop of the schedule to an LLVM function.

The function takes a pointer for each buffer that it touches, none of which overlap, and the bounds
of its outermost loop, so that a range of it can run on each core.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.backend.native.emit.items import WRITERS, memory
from wengert.backend.native.emit.nest import LANES, Nest
from wengert.backend.native.emit.scan import first_of, identity
from wengert.backend.native.scalar.lower import CASTS, LOWER, loop_dtypes
from wengert.backend.native.schedule.layout import Buffer, View
from wengert.backend.native.schedule.steps import (
    Compact,
    Gather,
    IndexTerm,
    Loop,
    Reduce,
    Scan,
    Update,
)
from wengert.ir.graph import Node, Value
from wengert.llvm.code import BOOL, I64, TYPES, Code, number

__all__ = ["Kernel", "Place", "kernel"]


LARGE = 1 << 15
"""Iterations from which a loop with calls is worth more time to compile."""

FEW = 256
"""Elements up to which filling memory is no vector's work."""

SHORT = 50
"""Operations up to which straight-line code gets a pointer to each of its numbers."""

COMMON = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
"""Numbers that are part of the code where others are read through a pointer."""

MARKS = """\
!0 = distinct !{!0, !1}
!1 = !{!"llvm.loop.unroll.disable"}
!2 = distinct !{!2, !3}
!3 = !{!"llvm.loop.interleave.count", i32 1}
!4 = distinct !{!4, !5}
!5 = !{!"llvm.loop.vectorize.enable", i1 false}"""
"""Metadata of loops."""

TOGETHER, SINGLE, SCALAR = (f", !llvm.loop !{i}" for i in (0, 2, 4))
"""Loops that are not unrolled, that take one vector at a time, and that take none. LLVM would take
several vectors at a time, and write all that follows for each number of them: most of the time to
compile, and a gain for sums, which are kept in registers, and calls, which overlap."""


Place = Buffer | bytes | None


class Kernel:
    """A function in LLVM assembly and how it is called.

    Attributes
    ----------
    text : str
        A definition of ``@KERNEL``.
    arguments : list of (Place, int)
        What the pointer arguments point to: a buffer and an offset in elements, the arena (None)
        and an offset in bytes, or a number that the function reads (its bytes).
        Offsets are not in the text, so that loops over different parts of memory share a function.
    outer : int
        Iterations of the outermost loop; 1 for straight-line code.
    inner : int
        Iterations inside each of them.
    parallel : bool
        Whether ranges of the outermost loop are independent, up to `partial`.
    partial : list of (int, Reduce)
        Reductions over the outermost axis, with the positions of their targets among the pointer
        arguments: ranges that run at once need a target each.
    indexed : bool
        Whether it takes one more pointer, to a byte that it sets where an index is out of range.
    groups : list of list of int
        The axes of the loop's shape that each loop of the nest walks.
    """

    __slots__ = ("arguments", "groups", "indexed", "inner", "outer", "parallel", "partial", "text")

    def __init__(
        self,
        text: str,
        arguments: list[tuple[Place, int]],
        outer: int,
        inner: int,
        parallel: bool,
        partial: list[tuple[int, Reduce]],
        indexed: bool,
        groups: list[list[int]],
    ) -> None:
        self.text = text
        self.arguments = arguments
        self.outer = outer
        self.inner = inner
        self.parallel = parallel
        self.partial = partial
        self.indexed = indexed
        self.groups = groups


def kernel(loop: Loop, externals: dict[str, str], fast: str = "", apart: bool = False) -> Kernel:
    """Write the function of a loop.

    With `apart`, short straight-line code gets a pointer to each number, and other numbers than the
    most common ones come through pointers as well, so that more loops share a function.
    """
    return _Writer(loop, externals, fast, apart).write()


class _Writer:
    def __init__(
        self, loop: Loop, externals: dict[str, str], fast: str, apart: bool = False
    ) -> None:
        self.loop = loop
        self.nest = Nest(loop)
        self.dims = self.nest.dims
        self.apart = apart
        self.short = apart and len(loop.items) <= SHORT
        self.code = Code(externals, fast)
        self.arguments: dict[Any, tuple[Place, int, str]] = {}
        self.registers: dict[Value, tuple[str, np.dtype[Any]]] = {}
        self.loads: dict[Any, str] = {}
        self.views: list[tuple[int, ...]] = []
        self.index: list[str] = []
        self.accumulators: list[tuple[Reduce, str, str]] = []
        self.checked = any(
            term.checked
            for item in loop.items
            if isinstance(item, (Gather, Update))
            for term in item.index
        )
        self.scans: list[Scan] = []  # those along the innermost axis
        self.outside: list[str] = []  # registers that tell whether an index is out of range

    # --- the nest ---------------------------------------------------------------------------------
    def write(self) -> Kernel:
        loop = self.loop
        code = self.code
        code.length = self.dims[-1] if self.dims else 0
        inner_reduced = [
            item
            for item in loop.items
            if isinstance(item, Reduce) and self.dims and self.nest.strides(item.out)[-1] == 0
        ]
        self.scans = [
            item
            for item in loop.items
            if isinstance(item, Scan)
            and self.dims
            and self.nest.walked_by(item.axis) == len(self.dims) - 1
        ]
        compacts = [item for item in loop.items if isinstance(item, Compact)]
        for c in compacts:
            code.line(f"store i64 0, ptr {self.address(c.counter, [0] * len(self.dims))}")
        self._initialise()
        self._open_loops(inner_reduced)
        for item in loop.items:
            if isinstance(item, Reduce):
                self._reduce(item)
            elif type(item) in WRITERS:
                WRITERS[type(item)](self, item)
            else:
                self._node(*item)
        for x, target in loop.stores:
            self._store(target, self.value(x, target.buffer.dtype))
        self._close_loops()
        alias = "" if self.short and not self.dims else " noalias"  # numbers of one array
        arguments = ", ".join(f"ptr{alias} {n}" for _, _, n in self.arguments.values())
        joined = arguments + (", " if arguments else "")
        for c in compacts:
            found = code.emit(f"load i64, ptr {self.address(c.counter, [0] * len(self.dims))}")
            self._stop_if(code.emit(f"icmp ne i64 {found}, {c.out.shape[1]}"))
        indexed = self.checked or bool(compacts)
        if indexed:
            joined += "ptr noalias %bad, "
        text = "\n".join(
            [
                f"define internal void @KERNEL({joined}i64 %lo, i64 %hi) noinline nounwind {{",
                "entry:",
            ]
            + [f"  {line}" if not line.endswith(":") else line for line in code.lines]
            + ["  ret void", "}"]
        )
        inner = 1
        for n in self.dims[1:]:
            inner *= n
        used = [(b, offset) for b, offset, _ in self.arguments.values()]
        outer = self.dims[0] if self.dims else 1
        sums = self.nest.outermost_sums()
        position = {key: i for i, key in enumerate(self.arguments)}
        partial = [(position[id(r.out.buffer), 0], r) for r in sums or ()]
        groups = self.nest.groups
        return Kernel(text, used, outer, inner, sums is not None, partial, indexed, groups)

    def _open_loops(self, inner_reduced: list[Reduce]) -> None:
        code = self.code
        for d, n in enumerate(self.dims):
            if d == len(self.dims) - 1:
                starts = [(r, *self._identity(r)) for r in inner_reduced]
            i = f"%i{d}"
            before = "entry" if d == 0 else f"body{d - 1}"
            code.line(f"br label %head{d}")
            code.line(f"head{d}:")
            first = "%lo" if d == 0 else "0"
            code.line(
                f"{i} = phi i64 [ {first}, %{self._entry_of(d, before)} ], [ %n{d}, %latch{d} ]"
            )
            if d == len(self.dims) - 1:
                for k, (r, identity, t) in enumerate(starts):
                    code.line(
                        f"%acc{k} = phi {t} [ {identity}, %{self._entry_of(d, before)} ], "
                        f"[ %new{k}, %latch{d} ]"
                    )
                    self.accumulators.append((r, f"%acc{k}", f"%new{k}"))
                for k, scan in enumerate(self.scans):
                    t = TYPES[scan.out.dtype]
                    start = first_of(scan)
                    code.line(
                        f"%before{k} = phi {t} [ {start}, %{self._entry_of(d, before)} ], "
                        f"[ %after{k}, %latch{d} ]"
                    )
                if self.checked:
                    code.line(
                        f"%missed = phi i1 [ false, %{self._entry_of(d, before)} ], "
                        f"[ %misses, %latch{d} ]"
                    )
            bound = "%hi" if d == 0 else str(n)
            code.line(f"%c{d} = icmp slt i64 {i}, {bound}")
            code.line(f"br i1 %c{d}, label %body{d}, label %done{d}")
            code.line(f"body{d}:")
            self.index.append(i)

    def _entry_of(self, d: int, default: str) -> str:
        return self.preheader if d == 0 else default

    def _close_loops(self) -> None:
        code = self.code
        for d in range(len(self.dims) - 1, -1, -1):
            code.line(f"br label %latch{d}")
            code.line(f"latch{d}:")
            if self.checked and d == len(self.dims) - 1:
                misses = "%missed"
                for x in self.outside:
                    misses = code.emit(f"or i1 {misses}, {x}")
                code.line(f"%misses = or i1 {misses}, false")
            code.line(f"%n{d} = add nsw i64 %i{d}, 1")
            code.line(f"br label %head{d}{self._mark(d)}")
            code.line(f"done{d}:")
            self.index.pop()
            if d == len(self.dims) - 1:
                if self.checked:
                    self._stop_if("%missed")
                for r, acc, _ in self.accumulators:
                    self._accumulate(r, acc)

    def _mark(self, d: int) -> str:
        """Say how LLVM is to write a loop.

        A short innermost one, whose elements fill vectors, is not unrolled: that would leave the
        next loop to be vectorised, with elements far apart.
        """
        if d < len(self.dims) - 1:
            return ""
        sums = any(isinstance(item, Reduce) for item in self.loop.items)
        slow = any(isinstance(x, tuple) and x[0].op.is_slow for x in self.loop.items)
        if (sums and not slow) or (slow and self.loop.elements >= LARGE):
            return ""  # better off several at a time
        self.code.externals.setdefault("llvm.loop", MARKS)
        if d and not sums and LANES <= self.dims[d] <= 16 * LANES:
            return TOGETHER
        return SINGLE

    # --- memory -----------------------------------------------------------------------------------
    def _pointer(self, buffer: Buffer, offset: int = 0) -> tuple[str, int]:
        """Return a pointer argument and the offset that is left to add."""
        rest = 0
        if id(buffer) in self.nest.pinned:
            offset, rest = 0, offset
        key = (id(buffer), offset)
        found = self.arguments.get(key)
        if found is None:
            found = (buffer, offset, f"%p{len(self.arguments)}")
            self.arguments[key] = found
        return found[2], rest

    def _in_arena(self, byte: int) -> str:
        """Address a number in the arena: straight-line code has too many for arguments."""
        if self.short:
            name = f"%p{len(self.arguments)}"
            return self.arguments.setdefault((0, byte), (None, byte, name))[2]
        found = self.arguments.setdefault((0, 0), (None, 0, "%arena"))
        return self.code.emit(f"getelementptr inbounds i8, ptr {found[2]}, i64 {byte}")

    def address(self, view: View, strides: list[int] | None = None) -> str:
        code = self.code
        if not self.dims and view.buffer.kind == "arena":
            return self._in_arena(view.buffer.offset + view.offset * view.buffer.dtype.itemsize)
        strides = self.nest.strides(view) if strides is None else strides
        pointer, rest = self._pointer(view.buffer, view.offset)
        terms = []
        for i, s in zip(self.index, strides, strict=False):
            if s == 1:
                terms.append(i)
            elif s:
                terms.append(code.emit(f"mul nsw i64 {i}, {s}"))
        total = str(rest)
        for t in terms:
            total = t if total == "0" else code.emit(f"add nsw i64 {t}, {total}")
        if total == "0":
            return pointer
        return code.emit(
            f"getelementptr inbounds {memory(view.buffer.dtype)}, ptr {pointer}, i64 {total}"
        )

    def at(self, address: str, far: str | int, dtype: np.dtype[Any]) -> str:
        """Return the address of an element that is `far` from another."""
        if far in (0, "0"):
            return address
        return self.code.emit(f"getelementptr inbounds {memory(dtype)}, ptr {address}, i64 {far}")

    def load_from(self, address: str, dtype: np.dtype[Any]) -> str:
        code = self.code
        x = code.emit(f"load {memory(dtype)}, ptr {address}")
        return code.emit(f"trunc i8 {x} to i1") if dtype == BOOL else x

    def _load(self, view: View) -> str:
        strides = self.nest.strides(view)
        key = (id(view.buffer), view.offset, tuple(strides))
        found = self.loads.get(key)
        if found is None:
            found = self.load_from(self.address(view, strides), view.buffer.dtype)
            self.loads[key] = found
        return found

    def store_to(self, address: str, x: str, dtype: np.dtype[Any]) -> None:
        code = self.code
        if dtype == BOOL:
            x = code.emit(f"zext i1 {x} to i8")
        code.line(f"store {memory(dtype)} {x}, ptr {address}")

    def _store(self, view: View, x: str) -> None:
        self.store_to(self.address(view), x, view.buffer.dtype)

    # --- values -----------------------------------------------------------------------------------
    def _operand(self, x: Any, like: np.dtype[Any]) -> tuple[str, np.dtype[Any]]:
        """Return a register or a constant, and its dtype."""
        if isinstance(x, Value):
            return self.registers[x]
        if isinstance(x, View):
            return self._load(x), x.buffer.dtype
        if self.apart and like.kind == "f" and x not in COMMON:
            return self._given(number(x, like), like), like
        return number(x, like), like

    def _given(self, text: str, dtype: np.dtype[Any]) -> str:
        """Read a number that the caller of the function has, so that it is not part of it."""
        held = np.array([int(text, 16)], np.uint64).view(np.float64).astype(dtype).tobytes()
        held = held.ljust(8, b"\0")
        key = (held, dtype)
        found = self.loads.get(key)
        if found is None:
            name = f"%p{len(self.arguments)}"
            self.arguments[key] = (held, 0, name)
            found = self.loads[key] = self.load_from(name, dtype)
        return found

    def value(self, x: Any, dtype: np.dtype[Any]) -> str:
        """Return a register or a constant of a dtype."""
        found, have = self._operand(x, dtype)
        return self.code.cast(found, have, dtype)

    def _node(self, node: Node, operands: list[Any]) -> None:
        dtypes = loop_dtypes(node)
        assert dtypes is not None
        arguments, out = dtypes
        xs = []
        for x, dtype in zip(operands, arguments, strict=True):
            xs.append(self.value(x, dtype))
        if node.op.name in CASTS:
            y = self.code.cast(xs[0], arguments[0], out)
        elif node.op.name == "select":
            y = self.code.select(out, xs[0], xs[1], xs[2])
        else:
            y = LOWER[node.op.name](
                self.code, xs, arguments[0] if node.op.name != "ldexp" else out, node
            )
        self.registers[node.outputs[0]] = (y, out)

    # --- reductions -------------------------------------------------------------------------------
    def _identity(self, r: Reduce) -> tuple[str, str]:
        return number(identity(r.kind, r.dtype), r.dtype), TYPES[r.dtype]

    def _initialise(self) -> None:
        """Fill the targets of reductions with the identity, over the axes that stay."""
        code = self.code
        self.preheader = "entry"
        for k, item in enumerate(self.loop.items):
            if not isinstance(item, Reduce):
                continue
            buffer = item.out.buffer
            identity, _ = self._identity(item)
            if item.dtype == BOOL:
                identity = "1" if identity == "true" else "0"
            pointer = (
                self._in_arena(buffer.offset)
                if not self.dims and buffer.kind == "arena"
                else self._pointer(buffer)[0]
            )
            kind = memory(buffer.dtype)
            strides = self.nest.strides(item.out)
            if self.dims and strides[0] != 0 and self.dims[0]:
                # each range of the outermost loop clears its own part
                block = buffer.size // self.dims[0]
                first = code.emit(f"mul nsw i64 %lo, {block}")
                last = code.emit(f"mul nsw i64 %hi, {block}")
            else:
                first, last = "0", str(buffer.size)
            if (first, last) == ("0", "1"):
                code.line(f"store {kind} {identity}, ptr {pointer}")
                continue
            code.externals.setdefault("llvm.loop", MARKS)
            few = SCALAR if buffer.size <= FEW else ""
            here = self.preheader
            code.line(f"br label %fill{k}")
            code.line(f"fill{k}:")
            code.line(f"%f{k} = phi i64 [ {first}, %{here} ], [ %fn{k}, %fillbody{k} ]")
            code.line(f"%fc{k} = icmp slt i64 %f{k}, {last}")
            code.line(f"br i1 %fc{k}, label %fillbody{k}, label %filled{k}")
            code.line(f"fillbody{k}:")
            code.line(f"%fp{k} = getelementptr inbounds {kind}, ptr {pointer}, i64 %f{k}")
            code.line(f"store {kind} {identity}, ptr %fp{k}")
            code.line(f"%fn{k} = add nsw i64 %f{k}, 1")
            code.line(f"br label %fill{k}{few}")
            code.line(f"filled{k}:")
            self.preheader = f"filled{k}"

    def _combine(self, r: Reduce, a: str, b: str, into: str | None = None) -> str:
        """Write ``a (+) b``; sums may be reordered, which is what lets them run in vectors."""
        code = self.code
        t = TYPES[r.dtype]
        if r.kind in ("sum", "prod"):
            name = (
                ("fadd" if r.kind == "sum" else "fmul")
                if r.dtype.kind == "f"
                else ("add" if r.kind == "sum" else "mul")
            )
            flags = " reassoc" if r.dtype.kind == "f" else ""
            text = f"{name}{flags} {t} {a}, {b}"
        elif r.kind in ("any", "all"):
            text = f"{'or' if r.kind == 'any' else 'and'} i1 {a}, {b}"
        else:
            if r.dtype.kind == "f":
                name = f"llvm.{r.kind}imum.{'f64' if t == 'double' else 'f32'}"
            else:
                name = f"llvm.s{r.kind}.{t}"
            code.externals.setdefault(name, f"declare {t} @{name}({t}, {t})")
            signless = "nsz " if r.dtype.kind == "f" else ""  # NumPy's order of 0 and -0 varies
            text = f"call {signless}{t} @{name}({t} {a}, {t} {b})"
        if into is None:
            return code.emit(text)
        code.line(f"{into} = {text}")
        return into

    def _reduce(self, r: Reduce) -> None:
        value = self.value(r.x, r.dtype)
        for item, acc, new in self.accumulators:
            if item is r:
                self._combine(r, acc, value, new)
                return
        self._accumulate(r, value)

    def _accumulate(self, r: Reduce, value: str) -> None:
        strides = self.nest.strides(r.out)
        address = self.address(r.out, strides[: len(self.index)])
        self.store_to(address, self._combine(r, self.load_from(address, r.dtype), value), r.dtype)

    # --- indices ----------------------------------------------------------------------------------
    def looked_up(self, view: View, terms: tuple[IndexTerm, ...]) -> str:
        """Compute the address that integers name.

        A number out of range is replaced by 0 and remembered, without a branch, so that the loop
        can run in vectors.
        """
        code = self.code
        address = self.address(view)
        total = ""
        for t in terms:
            value, have = self._operand(t.x, I64)
            i = code.cast(value, have, I64)
            if t.checked:
                below = code.emit(f"icmp slt i64 {i}, 0")
                wrapped = code.emit(f"add nsw i64 {i}, {t.size}")
                i = code.emit(f"select i1 {below}, i64 {wrapped}, i64 {i}")
                outside = code.emit(f"icmp uge i64 {i}, {t.size}")
                i = code.emit(f"select i1 {outside}, i64 0, i64 {i}")
                if self.dims:
                    self.outside.append(outside)
                else:
                    self._stop_if(outside)
            part = i if t.stride == 1 else code.emit(f"mul nsw i64 {i}, {t.stride}")
            total = code.emit(f"add nsw i64 {total}, {part}") if total else part
        if not total:
            return address
        kind = memory(view.buffer.dtype)
        return code.emit(f"getelementptr inbounds {kind}, ptr {address}, i64 {total}")

    def _stop_if(self, outside: str) -> None:
        """Tell that an index is out of range, and return."""
        code = self.code
        name = code.fresh()[1:]
        code.line(f"br i1 {outside}, label %out{name}, label %in{name}")
        code.line(f"out{name}:")
        code.line("store i8 1, ptr %bad")
        code.line("ret void")
        code.line(f"in{name}:")
