"""The module of a schedule: its kernels, and a function for each run of native steps."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.backend.native.emit.gemm import Product, operations, product, symbols, threads_of_blas
from wengert.backend.native.emit.kernel import Kernel, Place, kernel
from wengert.backend.native.emit.parallel import (
    PARALLEL,
    PARALLEL_BLAS,
    Parts,
    combination,
    is_large,
    parts,
    task,
)
from wengert.backend.native.emit.repeated import Repeated
from wengert.backend.native.scalar.registers import FAILED, INTERRUPTED, POLL
from wengert.backend.native.schedule.layout import Buffer, View
from wengert.backend.native.schedule.schedule import Schedule
from wengert.backend.native.schedule.steps import Contraction, Host, Loop, Reduce, Repeat
from wengert.ir.graph import Guard
from wengert.ir.questions import QUESTIONS, TESTS
from wengert.llvm import engine
from wengert.llvm.code import MEMORY, number

__all__ = ["NOT_CONTIGUOUS", "OUT_OF_RANGE", "POLL", "STOPPED", "Module"]

# Offsets in NumPy's PyArrayObject (stable since NumPy 1.7): data, then flags.
DATA, FLAGS = 16, 64
CONTIGUOUS_ALIGNED = 0x101

SMALL = 10_000
"""Iterations below which no loop is shared between threads."""

STRAIGHT = 500
"""Numbers computed one by one from which they get a module without LLVM's passes: they are in the
form that those would bring them to, in more time than it gains."""

VECTOR = 4
"""Iterations from which a loop may run in vectors."""

RARE = 500
"""Loops that together have less than this part of the work are compiled without optimisation."""

NOT_CONTIGUOUS = -1
"""What native code returns before anything else where an input's layout is not the usual one."""

OUT_OF_RANGE = -1 - FAILED
"""What native code returns where an index is out of range."""

STOPPED = -1 - INTERRUPTED
"""What native code returns where a handler of a signal raised an exception."""

FAST = "reassoc nnan ninf nsz arcp contract afn "
"""What floating-point instructions may do where asked for."""


def _rare(steps: list[Any]) -> set[int]:
    """Return the loops that take next to no time beside the others."""
    work = {
        step.step: step.elements * (len(step.items) + len(step.stores))
        for step in steps
        if isinstance(step, Loop) and step.shape
    }
    products = sum(operations(p) for p in steps if isinstance(p, Contraction)) // 16
    allowed = (sum(work.values()) + products) // RARE
    found = set()
    for step in sorted(work, key=work.__getitem__):
        allowed -= work[step]
        if allowed < 0:
            break
        found.add(step)
    return found


def _joined(parts: list[str], externals: dict[str, str]) -> str:
    """Return the text of a module."""
    return engine.external_declarations(externals) + "\n" + "\n\n".join(parts) + "\n"


def _declaration(text: str) -> str:
    """Return the declaration of a function, for another module, from its definition."""
    head = text.partition("{")[0]
    name, _, arguments = head.partition("(")
    kinds = [a.split()[0] for a in arguments.partition(")")[0].split(", ")]
    return f"declare void {name.split()[-1]}({', '.join(kinds)}) nounwind"


class Module:
    """Writes a schedule as LLVM assembly.

    Attributes
    ----------
    segments : list
        What runs, in order: ``("native", name of a function)`` or ``("host", Host)``.
    straight : int
        Numbers computed one by one, once it is written.
    threaded : bool
        Whether threads share any step.
    """

    apart = False
    """Whether kernels are written so that the same one serves as many places as possible."""

    def __init__(self, schedule: Schedule, fast: bool, outer: Module | None = None) -> None:
        self.schedule = schedule
        self.externals: dict[str, str] = {} if outer is None else outer.externals
        self.fast = FAST if fast else ""
        self.kernels: dict[str, str] = {} if outer is None else outer.kernels
        self.combinations: dict[str, str] = {} if outer is None else outer.combinations
        self.segments: list[tuple[str, Any]] = []
        self.functions: list[str] = []
        self.lines: list[str] = []
        self.count = 0
        self.straight = 0
        self.frame = 0
        self.threaded = False
        loops = [step for step in schedule.steps if isinstance(step, Loop)]
        self.rare = _rare(schedule.steps)
        self.written: dict[int, Kernel] = {}  # before the buffers have their places
        self.shared: dict[int, Parts] = {}
        self.products: dict[int, Product] = {}
        # names of the kernels that LLVM's passes gain from
        self.vectors: set[str] = set() if outer is None else outer.vectors
        for step in loops:
            if any(isinstance(x, Reduce) for x in step.items) and self._may_share(step):
                self._share(step)
        self.repeats = {
            step.step: Repeated(step, self) for step in schedule.steps if isinstance(step, Repeat)
        }

    def _may_share(self, loop: Loop) -> bool:
        return loop.elements >= SMALL and is_large(loop)

    def _share(self, loop: Loop) -> None:
        """Decide whether a loop runs in parts, which takes memory for the results of reductions.

        All others can wait until the module is written: many graphs are laid out and never run.
        """
        k = self.written[loop.step] = kernel(loop, self.externals, self.fast, self.apart)
        found = parts(loop, k)
        if found is not None:
            self.shared[loop.step] = found
            self.schedule.buffers += [buffer for _, buffer in found.partial.values()]

    def write(self) -> list[engine.Module]:
        """Return the assembly, once the buffers have their places.

        Where much is computed number by number, loops over arrays are in a module of their own, so
        that LLVM's passes, which they need, do not run over the rest, which they do not change.
        """
        schedule = self.schedule
        guards = list(enumerate(schedule.guards))
        self._begin()
        for step in schedule.steps:
            guards = self._checks(guards, step.step)
            if not isinstance(step, Host):
                self._native(step)
            else:
                self._end()
                self.segments.append(("host", step))
                self._begin()
        self._checks(guards, 1 << 60)
        self._end()
        self._finish()
        loops: list[str] = []
        rest: list[str] = []
        for text, name in self.kernels.items():
            (loops if name in self.vectors else rest).append(text.replace("@KERNEL", f"@{name}", 1))
        loops += self.combinations.values()
        rest += self.functions
        if self.straight <= STRAIGHT:
            return [(_joined([*loops, *rest], self.externals), 2)]
        if not loops:
            return [(_joined(rest, self.externals), 1)]
        seen = [text.replace("define internal", "define", 1) for text in loops]
        called = [_declaration(text) for text in loops]
        named = set(re.findall(r"@([\w.$]+)", "\n".join(loops))) | {"llvm.loop"}
        of_loops = {k: v for k, v in self.externals.items() if k in named}
        of_rest = {k: v for k, v in self.externals.items() if not k.startswith(engine.WIDE)}
        return [(_joined(seen, of_loops), 2), (_joined([*called, *rest], of_rest), 1)]

    def region(self, schedule: Schedule) -> Region:
        """Return what writes the schedule of a region of a node."""
        return Region(schedule, bool(self.fast), self)

    def _native(self, step: Any) -> None:
        """Write a step that needs no Python."""
        if isinstance(step, Loop):
            self._loop(step)
        elif isinstance(step, Contraction):
            self._product(step)
        else:
            self._repeat(step)

    def _repeat(self, step: Repeat) -> None:
        k = self.repeats[step.step].kernel()
        name = self.kernels.setdefault(k.text, f"k{len(self.kernels)}")
        if not step.regions:
            self.vectors.add(name)
        self._run_kernel(k, name, 1)

    def _begin(self) -> None:
        self.lines = []
        self.frame = 0
        self.pointers: dict[tuple[int, int], str] = {}
        if not self.segments and not self.functions:
            for i in range(len(self.schedule.graph.inputs)):
                self._check_input(i)

    def _end(self) -> None:
        name = f"run{len(self.functions)}"
        self.functions.append(
            f"define i64 @{name}({self._parameters()}) noinline optnone nounwind {{\n"
            + (f"  %frame = alloca [{self.frame} x ptr]\n" if self.frame else "")
            + "\n".join(f"  {x}" if not x.endswith(":") else x for x in self.lines)
            + "\n  ret i64 0\n}"
        )
        self.segments.append(("native", name))

    def _finish(self) -> None:
        """Write what all runs of native steps share: nothing here."""

    def _parameters(self) -> str:
        arguments = [f"ptr %in{i}" for i in range(len(self.schedule.graph.inputs))]
        arguments += [f"ptr %out{i}" for i in range(len(self.schedule.outputs))]
        return ", ".join([*arguments, "ptr %arena", "ptr %consts"])

    def tables(self, consts: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """Return what each run of native steps is given last: where the constants are."""
        table = np.array([c.ctypes.data for c in consts] or [0], np.int64)
        return [table] * sum(kind == "native" for kind, _ in self.segments)

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
            f"ret i64 {NOT_CONTIGUOUS}",
            f"ok{n}:",
        ]

    def _pointer(self, b: Place, offset: int = 0) -> str:
        assert not isinstance(b, bytes)
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
        if loop.step not in self.written and self._may_share(loop):
            self._share(loop)
        shared = self.shared.get(loop.step)
        k = self.written.get(loop.step) or kernel(loop, self.externals, self.fast, self.apart)
        text = k.text
        if loop.step in self.rare:
            text = text.replace(" noinline ", " noinline optnone ", 1)
        if loop.shape == () and text not in self.kernels:
            self.straight += len(loop.items)
        name = self.kernels.setdefault(text, f"k{len(self.kernels)}")
        if loop.elements >= VECTOR and loop.step not in self.rare:
            self.vectors.add(name)
        if shared:
            text = task("KERNEL", k, name, shared)
            self._run_parts(k, self.kernels.setdefault(text, f"k{len(self.kernels)}"), shared)
        else:
            self._run_kernel(k, name, 0 if 0 in loop.shape and not k.outer else k.outer)

    def _run_kernel(self, k: Kernel, name: str, outer: int) -> None:
        """Write the call of a loop."""
        bad = self._slot("i8", "0") if k.indexed else None
        pointers = [self._pointer(b, offset) for b, offset in k.arguments]
        given = "".join(f"ptr {p}, " for p in ([*pointers, bad] if bad else pointers))
        self.lines.append(f"call void @{name}({given}i64 0, i64 {outer})")
        self._check_index(bad)

    def _check_index(self, bad: str | None) -> None:
        if bad:
            found = self._emit(f"load i8, ptr {bad}")
            code = self._emit(f"sub i64 -1, {self._emit(f'zext i8 {found} to i64')}")
            self._unless(self._emit(f"icmp eq i8 {found}, 0"), code)

    def _run_parts(self, k: Kernel, called: str, found: Parts) -> None:
        """Write a loop that threads share."""
        bad = self._slot("i8", "0") if k.indexed else None
        pointers = [
            self._pointer(*((found.partial[i][1], 0) if i in found.partial else argument))
            for i, argument in enumerate(k.arguments)
        ]
        if bad:
            pointers.append(bad)
        self._fill_frame(pointers)
        self._call_parallel(PARALLEL, called, found.number)
        for r, buffer in found.partial.values():
            combine, text = combination(r, self.externals)
            self.combinations.setdefault(combine, text)
            out = self._pointer(r.out.buffer)
            self.lines.append(
                f"call void @{combine}(ptr {out}, ptr {self._pointer(buffer)}, "
                f"i64 {found.number}, i64 {r.out.buffer.size})"
            )
        self._check_index(bad)

    def _unless(self, ok: str, code: int | str) -> None:
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
        symbols()
        found = self.products[p.step] = product(p, self.externals)
        called = self.kernels.setdefault(found.text, f"k{len(self.kernels)}")
        self._run_product(found, called, [x.buffer for x in (p.a, p.b, p.out)])

    def _run_product(self, found: Product, called: str, buffers: list[Buffer]) -> None:
        """Write the call of a product."""
        self._fill_frame([self._pointer(b) for b in buffers])
        if found.threaded and threads_of_blas() is not None:
            self._call_parallel(PARALLEL_BLAS, called, found.parts)
            return
        if found.parts == 1:
            self.lines.append(f"call void @{called}(ptr %frame, i64 0)")
            return
        self.count += 1
        d = self.count
        self.lines += [
            f"br label %before{d}",
            f"before{d}:",
            f"br label %head{d}",
            f"head{d}:",
            f"%i{d} = phi i64 [ 0, %before{d} ], [ %n{d}, %body{d} ]",
            f"%c{d} = icmp slt i64 %i{d}, {found.parts}",
            f"br i1 %c{d}, label %body{d}, label %done{d}",
            f"body{d}:",
            f"call void @{called}(ptr %frame, i64 %i{d})",
            f"%n{d} = add nsw i64 %i{d}, 1",
            f"br label %head{d}",
            f"done{d}:",
        ]

    def _fill_frame(self, pointers: list[str]) -> None:
        """Store pointers where the parts of a step find them."""
        self.frame = max(self.frame, len(pointers))
        for i, p in enumerate(pointers):
            place = self._emit(f"getelementptr ptr, ptr %frame, i64 {i}")
            self.lines.append(f"store ptr {p}, ptr {place}")

    def _call_parallel(self, how: str, called: str, parts: int) -> None:
        """Run the parts of a step in threads."""
        self.threaded = True
        self.externals.setdefault(how, f"declare void @{how}(ptr, ptr, i64)")
        self.lines.append(f"call void @{how}(ptr @{called}, ptr %frame, i64 {parts})")

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
        if not QUESTIONS[guard.kind].text:
            return
        dtype = view.buffer.dtype
        kind = MEMORY[dtype]
        address = self._emit(
            f"getelementptr {kind}, ptr {self._pointer(view.buffer)}, i64 {view.offset}"
        )
        self._compare(k, dtype, self._emit(f"load {kind}, ptr {address}"), k + 1)

    def _compare(self, k: int, dtype: np.dtype[Any], x: str, code: int | str) -> None:
        """Return `code` where a number has another outcome than a guard."""
        guard = self.schedule.graph.guards[k]
        kind = MEMORY[dtype]
        if guard.kind == "bool" or guard.kind in TESTS:
            zero = "0.0" if dtype.kind == "f" else "0"
            test = self._emit(
                f"{'fcmp une' if dtype.kind == 'f' else 'icmp ne'} {kind} {x}, {zero}"
            )
            ok = self._emit(f"icmp eq i1 {test}, {'true' if guard.outcome else 'false'}")
        elif guard.kind in ("float", "complex") or dtype.kind == "f":
            ok = self._same_float(x, kind, dtype, guard)
        else:
            ok = self._emit(f"icmp eq {kind} {x}, {int(guard.outcome)}")
        self._unless(ok, code)

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


class Region(Module):
    """Writes the schedule of a region as instructions of the function that it is part of.

    Memory is what that function says: a pointer for each input, output and constant, and one for
    the region's part of the arena.
    """

    def inside(self, function: Any, names: dict[tuple[str, int], str]) -> list[str]:
        """Return the instructions.

        Parameters
        ----------
        function : Repeated
            Its number of registers goes on from here.
        names : dict
            Pointers of inputs and outputs, by kind and index.
        """
        self.lines = []
        self.frame = 0
        self.pointers = {}
        self.names = names
        self.function = function
        self.count = function.count
        for step in self.schedule.steps:
            self._native(step)
        function.count = self.count
        function.module.straight += self.straight
        function.module.threaded |= self.threaded
        self.straight = 0
        return self.lines

    def _pointer(self, b: Place, offset: int = 0) -> str:
        if b is None:
            return str(self.function.arena)
        assert not isinstance(b, bytes)
        key = (id(b), offset)
        found = self.pointers.get(key)
        if found is not None:
            return found
        if offset:
            base = self._pointer(b)
            found = self._emit(f"getelementptr i8, ptr {base}, i64 {offset * b.dtype.itemsize}")
        elif b.kind == "arena":
            found = self._emit(f"getelementptr i8, ptr {self.function.arena}, i64 {b.offset}")
        elif b.kind == "const":
            found = self.function.constant(b)
        else:
            found = self.names[b.kind, b.index]
        self.pointers[key] = found
        return found

    def _slot(self, kind: str, value: str) -> str:
        return "%bad"

    def _check_index(self, bad: str | None) -> None:
        if bad:
            ok = self._emit("icmp eq i8 " + self._emit(f"load i8, ptr {bad}") + ", 0")
            self._unless(ok, OUT_OF_RANGE)

    def _unless(self, ok: str, code: int | str) -> None:
        """Return where something went wrong: the function's caller looks why."""
        self.count += 1
        n = self.count
        self.lines += [
            f"br i1 {ok}, label %ok{n}, label %bad{n}",
            f"bad{n}:",
            "ret void",
            f"ok{n}:",
        ]
