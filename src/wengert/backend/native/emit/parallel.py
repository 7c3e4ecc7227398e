"""Loops in parts: which ones are large enough for several threads, and the code that shares them.

A loop's parts are ranges of its outermost axis. They depend on its sizes alone, never on how many
threads there are, so that results are the same bits on any number of them. A reduction over the
outermost axis leaves one result for each part, and those are combined in order.
"""

from __future__ import annotations

from typing import NamedTuple

from wengert.backend.native.emit.kernel import Kernel
from wengert.backend.native.schedule.layout import Buffer
from wengert.backend.native.schedule.steps import Loop, Reduce
from wengert.ir.graph import Node
from wengert.llvm.code import TYPES

__all__ = ["PARALLEL", "PARALLEL_BLAS", "Parts", "combination", "is_large", "parts", "task"]

PARALLEL = "wengert_parallel"
"""What generated code calls: ``void (ptr task, ptr frame, i64 count)``."""

PARALLEL_BLAS = "wengert_parallel_blas"
"""The same for tasks that call BLAS, which then uses one thread in each."""

SHARED_FROM = 200_000
"""Units of work from which a loop is shared: 50 us, ten times what waking a thread can cost."""

UNITS = 100_000
"""Least units of work of a part."""

MOST = 16
"""Parts of a loop."""

HEAVY = 10
"""Units of a transcendental function; an addition, a load and a store are one."""


class Parts(NamedTuple):
    """How a loop is shared.

    Attributes
    ----------
    number : int
    grain : int
        Iterations of the outermost axis in each part but the last.
    partial : dict
        Positions of pointer arguments that go to memory of one part, with the reduction and the
        buffer that holds the results of all parts.
    """

    number: int
    grain: int
    partial: dict[int, tuple[Reduce, Buffer]]


def is_large(loop: Loop) -> bool:
    """Whether a loop has enough work for several threads."""
    return loop.elements * _weight(loop) >= SHARED_FROM


def parts(loop: Loop, kernel: Kernel) -> Parts | None:
    """Decide how a loop is shared; None where one thread does it."""
    if not kernel.parallel or kernel.outer < 2 or not is_large(loop):
        return None
    iterations = kernel.outer * kernel.inner
    work = iterations * _weight(loop)
    count = min(MOST, work // UNITS, kernel.outer)
    scratch = sum(r.out.buffer.size for _, r in kernel.partial)
    if scratch:
        count = min(count, MOST // 2, iterations // (4 * scratch))
    if count < 2:
        return None
    grain = -(-kernel.outer // count)
    if grain > 512:
        grain = -(-grain // 64) * 64  # whole cache lines
    count = -(-kernel.outer // grain)
    if count < 2:
        return None
    partial = {}
    for position, r in kernel.partial:
        buffer = Buffer("arena", 0, r.out.buffer.dtype, count * r.out.buffer.size)
        buffer.write_at(loop.step)
        buffer.read_at(loop.step)
        partial[position] = (r, buffer)
    return Parts(count, grain, partial)


def _weight(loop: Loop) -> int:
    """Units of work of one iteration."""
    units = len(loop.stores)
    for item in loop.items:
        heavy = isinstance(item, tuple) and _is_heavy(item[0])
        units += HEAVY if heavy else 1
    return units


def _is_heavy(node: Node) -> bool:
    return bool(node.op.is_slow)


def task(name: str, kernel: Kernel, called: str, found: Parts) -> str:
    """Write the function of one part: it finds the kernel's pointers in a frame."""
    lines = [
        f"%lo = mul nsw i64 %i, {found.grain}",
        f"%end = add nsw i64 %lo, {found.grain}",
        f"%less = icmp slt i64 %end, {kernel.outer}",
        f"%hi = select i1 %less, i64 %end, i64 {kernel.outer}",
    ]
    given = []
    for j in range(len(kernel.arguments) + kernel.indexed):
        lines.append(f"%f{j} = getelementptr ptr, ptr %frame, i64 {j}")
        lines.append(f"%a{j} = load ptr, ptr %f{j}")
        pointer = f"%a{j}"
        if j in found.partial:
            r, _ = found.partial[j]
            size = r.out.buffer.nbytes
            lines.append(f"%o{j} = mul nsw i64 %i, {size}")
            lines.append(f"%b{j} = getelementptr i8, ptr %a{j}, i64 %o{j}")
            pointer = f"%b{j}"
        given.append(f"ptr {pointer}, ")
    lines.append(f"call void @{called}({''.join(given)}i64 %lo, i64 %hi)")
    body = "\n".join(f"  {line}" for line in lines)
    head = f"define internal void @{name}(ptr %frame, i64 %i) noinline optnone nounwind"
    return f"{head} {{\n{body}\n  ret void\n}}"


def combination(r: Reduce, externals: dict[str, str]) -> tuple[str, str]:
    """Write the function that combines the results of parts; return its name and text."""
    kind, dtype = r.kind, r.dtype
    t = "i8" if dtype.kind == "b" else TYPES[dtype]
    name = f"combine_{kind}_{t}"
    if kind in ("sum", "prod"):
        plus, times = ("fadd", "fmul") if dtype.kind == "f" else ("add", "mul")
        text = f"{plus if kind == 'sum' else times} {t} %a, %b"
    elif kind in ("any", "all"):
        text = f"{'or' if kind == 'any' else 'and'} {t} %a, %b"
    else:
        function = (
            f"llvm.{kind}imum.{'f64' if t == 'double' else 'f32'}"
            if dtype.kind == "f"
            else f"llvm.s{kind}.{t}"
        )
        externals.setdefault(function, f"declare {t} @{function}({t}, {t})")
        text = f"call {t} @{function}({t} %a, {t} %b)"
    body = f"""\
define internal void @{name}(ptr noalias %out, ptr noalias %in, i64 %count, i64 %size) nounwind {{
entry:
  %whole = mul i64 %size, {dtype.itemsize}
  call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %in, i64 %whole, i1 false)
  br label %next
next:
  %p = phi i64 [ 1, %entry ], [ %p1, %done ]
  %more = icmp slt i64 %p, %count
  br i1 %more, label %part, label %end
part:
  %skip = mul i64 %p, %size
  br label %head
head:
  %i = phi i64 [ 0, %part ], [ %i1, %body ]
  %c = icmp slt i64 %i, %size
  br i1 %c, label %body, label %done
body:
  %j = add nsw i64 %skip, %i
  %pa = getelementptr inbounds {t}, ptr %out, i64 %i
  %pb = getelementptr inbounds {t}, ptr %in, i64 %j
  %a = load {t}, ptr %pa
  %b = load {t}, ptr %pb
  %x = {text}
  store {t} %x, ptr %pa
  %i1 = add nsw i64 %i, 1
  br label %head
done:
  %p1 = add nsw i64 %p, 1
  br label %next
end:
  ret void
}}"""
    externals.setdefault(
        "llvm.memcpy.p0.p0.i64", "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)"
    )
    return name, body
