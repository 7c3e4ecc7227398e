"""The native program of a graph: one call from Python, with NumPy for what has no native code."""

from __future__ import annotations

import ctypes
import functools
from collections import Counter
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any

import numpy as np

from wengert.backend.base import Footprint
from wengert.backend.native.emit.module import NOT_CONTIGUOUS, OUT_OF_RANGE, POLL, STOPPED
from wengert.backend.native.emit.parallel import PARALLEL_BLAS
from wengert.backend.native.run import interrupts, pool
from wengert.backend.native.run.footprint import footprint, laid_out
from wengert.backend.native.run.regions import with_programs
from wengert.backend.native.run.verify import verify
from wengert.backend.native.schedule.layout import ALIGN, View
from wengert.backend.native.schedule.steps import Host
from wengert.backend.numpy import NumpyBackend
from wengert.ir import checking
from wengert.ir.build import computed, typed
from wengert.ir.graph import Const, Graph, GuardMiss, Value
from wengert.ir.questions import QUESTIONS
from wengert.llvm import engine

__all__ = ["NativeProgram"]

QUICK = 100
"""Inputs and outputs up to which a function of their own is written."""


class NativeProgram:
    """A graph as native code.

    Attributes
    ----------
    peak : int
        Bytes of the arena: everything but inputs, constants and outputs.
    host : tuple of str
        Operations that NumPy evaluates.
    host_calls : Counter
        How often each of them is called.
    """

    backend = "native"
    takes_outputs = True
    _empty: Any = staticmethod(np.empty)  # makes an output

    def __init__(self, graph: Graph, *, fast: bool = False) -> None:
        self.graph = graph
        self._fast = fast
        schedule, module, self.peak = laid_out(graph, fast)
        self._consts = [c.data for c in schedule.consts]
        self._outputs = sorted(schedule.outputs, key=lambda b: b.index)
        self._guards = schedule.guards
        self.host_calls = Counter(s.node.op.name for s in schedule.steps if isinstance(s, Host))
        self.host = tuple(sorted(self.host_calls))
        modules = module.write()
        if checking.is_on():
            verify(module, self.peak)
        if module.threaded:
            pool.ready(blas=PARALLEL_BLAS in module.externals)
        if POLL in module.externals:
            interrupts.ready()
        names = list(dict.fromkeys(name for kind, name in module.segments if kind == "native"))
        self._compiled = engine.compile_modules(modules, names)
        n = len(graph.inputs) + len(self._outputs)
        signature = ctypes.CFUNCTYPE(
            ctypes.c_int64, *[ctypes.py_object] * n, ctypes.c_void_p, ctypes.c_void_p
        )
        self._tables = module.tables(self._consts)
        addresses = iter([t.ctypes.data for t in self._tables])
        self._segments: list[Any] = [
            (signature(self._compiled.addresses[s]), next(addresses))
            if kind == "native"
            else with_programs(s, lambda region: type(self)(region, fast=fast))
            for kind, s in module.segments
        ]
        self._arenas: list[tuple[Any, int]] = []
        self._scalars = [(i, v.dtype) for i, v in enumerate(graph.inputs) if v.shape == ()]
        self._shapes = [(y.aval.shape, y.aval.dtype) for y in graph.outputs]
        arrays, like = _arrays(graph)
        self._scalar_outputs = [
            (i, y.aval.weak, like.get(y, -1))
            for i, y in enumerate(graph.outputs)
            if y.aval.shape == () and y not in arrays and not isinstance(y, Const)
        ]
        self._only: Any = None
        self._table_address = 0
        if len(self._segments) == 1:
            self._only, self._table_address = self._segments[0]

    def footprint(self) -> Footprint:
        """Return what is in the arena and when, made once more from the graph."""
        return footprint(self.graph, self._fast)

    @property
    def source(self) -> str:
        """Readable Python of the same graph."""
        return NumpyBackend().compile(self.graph).source

    def llvm(self) -> str:
        """Return the LLVM assembly, optimised."""
        return self._compiled.optimised()

    def assembly(self) -> str:
        """Return the machine code as assembly."""
        return self._compiled.assembly()

    # --- running ----------------------------------------------------------------------------------
    def run(self, inputs: Sequence[Any], outs: list[Any] | None = None) -> Sequence[Any]:
        """Run on arrays; outputs are new, or those given, contiguous and apart from all others.

        With outputs given, a result that is not in its output is returned instead of it.
        """
        given = inputs
        if self._scalars:
            inputs = list(inputs)
            try:
                for i, dtype in self._scalars:
                    inputs[i] = np.asarray(inputs[i], dtype)
            except OverflowError:  # an int of Python beyond 64 bits
                return self._numpy(given)
        if outs is None:
            outs = [self._empty(shape, dtype) for shape, dtype in self._shapes]
        try:
            memory = self._take()
        except IndexError:
            memory = self._new_arena()
        try:
            if self._only is not None:
                code = self._only(*inputs, *outs, memory[1], self._table_address)
            else:
                code = self._steps(inputs, outs, memory)
            if code and code != NOT_CONTIGUOUS:
                stopped: Sequence[Any] = self._stopped(code, inputs, outs, memory)
                return stopped
        finally:
            self._arenas.append(memory)
        if code:
            return self.run([_contiguous(x) for x in given], outs)
        for i, weak, like in self._scalar_outputs:
            if like >= 0 and isinstance(given[like], np.ndarray):
                continue
            outs[i] = outs[i].item() if weak else outs[i][()]
        return outs

    def _take(self) -> tuple[Any, int]:
        """Return memory of an earlier run; raises IndexError where there is none."""
        return self._arenas.pop()

    def quick(self) -> Callable[[Sequence[Any]], Sequence[Any]]:
        """Return a function from inputs to outputs, without loops over them if they are few.

        It holds the program, which does not hold it: a program and its memory go with their user.
        """
        if self._only is None or len(self.graph.inputs) + len(self._shapes) > QUICK:
            return self.run
        scope: dict[str, Any] = {
            "ndarray": np.ndarray, "asarray": np.asarray, "empty": self._empty,
            "native": self._only, "table": self._table_address, "new": self._new_arena,
            "take": self._arenas.pop if type(self)._take is NativeProgram._take else self._take,
            "give": self._arenas.append, "numpy": self._numpy, "unusual": self._unusual,
        }  # fmt: skip
        scope |= {f"d{i}": dtype for i, dtype in self._scalars}
        for i, (shape, dtype) in enumerate(self._shapes):
            scope[f"s{i}"], scope[f"t{i}"] = shape, dtype
        text = _text(
            len(self.graph.inputs), tuple([i for i, _ in self._scalars]), len(self._shapes),
            tuple(self._scalar_outputs),
        )  # fmt: skip
        exec(text, scope)
        quick: Callable[[Sequence[Any]], Sequence[Any]] = scope.pop("quick")
        return quick

    def _unusual(
        self,
        code: int,
        given: Sequence[Any],
        inputs: Sequence[Any],
        outs: list[Any],
        memory: tuple[Any, int],
    ) -> Sequence[Any]:
        """Do what follows where native code has not made the outputs."""
        try:
            if code != NOT_CONTIGUOUS:
                stopped: Sequence[Any] = self._stopped(code, inputs, outs, memory)
                return stopped
        finally:
            self._arenas.append(memory)
        return self.run([_contiguous(x) for x in given], outs)

    def _numpy(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run in NumPy, for what native code leaves to it: numbers it cannot hold, and errors."""
        return NumpyBackend().compile(self.graph).run(inputs)

    def _new_arena(self) -> tuple[Any, int]:
        block = np.empty(self.peak + ALIGN, np.uint8)
        address = block.ctypes.data
        shift = -address % ALIGN
        return block[shift : shift + self.peak], address + shift

    def _steps(self, inputs: Sequence[Any], outs: list[Any], memory: tuple[Any, int]) -> int:
        for segment in self._segments:
            if isinstance(segment, Host):
                with np.errstate(all="ignore"):
                    self._call_host(segment, inputs, outs, memory)
                continue
            native, table = segment
            code = native(*inputs, *outs, memory[1], table)
            if code:
                return int(code)
        return 0

    def _call_host(
        self, step: Host, inputs: Sequence[Any], outs: list[Any], memory: tuple[Any, int]
    ) -> None:
        operands = [
            self._array(x, inputs, outs, memory) if isinstance(x, View) else x
            for x in step.operands
        ]
        operands = [
            (x.item() if _is_weak(y) else x[()]) if isinstance(x, np.ndarray) and x.ndim == 0 else x
            for x, y in zip(operands, step.node.inputs, strict=True)
        ]
        y = computed(step.node, operands)
        for view, part in zip(step.outs, y if isinstance(y, tuple) else (y,), strict=True):
            self._array(view, inputs, outs, memory)[...] = part

    def _array(
        self, view: View, inputs: Sequence[Any], outs: list[Any], memory: tuple[Any, int]
    ) -> Any:
        """Return a view as an array."""
        b = view.buffer
        if b.kind == "arena":
            base: Any = memory[0]
            start = b.offset
        else:
            base = {"input": inputs, "output": outs, "const": self._consts}[b.kind][b.index]
            start = 0
        size = b.dtype.itemsize
        strides = tuple(s * size for s in view.strides)
        if b.kind == "const":
            start_view = np.lib.stride_tricks.as_strided(
                base.reshape(-1)[:1] if base.size else base, (1,)
            )
            del start_view
            return _const_view(base, view)
        return np.ndarray(view.shape, b.dtype, base, start + view.offset * size, strides)

    def _stopped(
        self, code: int, inputs: Sequence[Any], outs: list[Any], memory: tuple[Any, int]
    ) -> Any:
        if code == OUT_OF_RANGE:
            return self._numpy(inputs)  # raises as NumPy does, or misses a guard before
        if code == STOPPED:
            interrupts.raised()
        index = code - 1
        guard = self.graph.guards[index]
        value = self._array(self._guards[index][1], inputs, outs, memory)[()]
        raise GuardMiss(index, QUESTIONS[guard.kind].ask(typed(value, guard.value.aval)))


@functools.lru_cache(maxsize=256)
def _text(
    inputs: int,
    scalars: tuple[int, ...],
    outputs: int,
    finished: tuple[tuple[int, bool, int], ...],
) -> CodeType:
    """Return the code of `NativeProgram.quick`, which programs of the same form share.

    Parameters
    ----------
    inputs, outputs : int
        How many there are.
    scalars : tuple of int
        Inputs that may be numbers.
    finished : tuple of (int, bool, int)
        Outputs that become numbers, whether Python's, and the input of whose kind they are, or -1.
    """
    given = [f"i{i}" for i in range(inputs)]
    taken = [f"j{i}" if i in scalars else x for i, x in enumerate(given)]
    outs = [f"o{i}" for i in range(outputs)]
    made = list(outs)
    for i, weak, like in finished:
        number = f"o{i}.item()" if weak else f"o{i}[()]"
        made[i] = f"o{i} if isinstance(i{like}, ndarray) else {number}" if like >= 0 else number
    lines = ["def quick(inputs):"]
    if given:
        lines.append(f"    {', '.join(given)}, = inputs")
    if scalars:
        lines += ["    try:", *[f"        j{i} = asarray(i{i}, d{i})" for i in scalars]]
        lines.append("    except OverflowError: return numpy(inputs)")
    lines += [f"    o{i} = empty(s{i}, t{i})" for i in range(outputs)]
    lines += ["    try: memory = take()", "    except IndexError: memory = new()"]
    operands = ", ".join([*taken, *outs, "memory[1]", "table"])
    lines.append(f"    code = native({operands})")
    called = f"code, inputs, [{', '.join(taken)}], [{', '.join(outs)}], memory"
    lines.append(f"    if code: return unusual({called})")
    lines += ["    give(memory)", f"    return [{', '.join(made)}]"]
    return compile("\n".join(lines), "<wengert program>", "exec")


def _contiguous(x: Any) -> Any:
    return np.require(x, requirements=["C", "A"]) if isinstance(x, np.ndarray) else x


def _const_view(base: Any, view: View) -> Any:
    """Return a strided part of a constant, whose own strides the view already has."""
    size = base.dtype.itemsize
    pointer = base.ctypes.data + view.offset * size
    flat = (ctypes.c_char * 1).from_address(pointer) if base.size else b""
    del flat
    holder = np.lib.stride_tricks.as_strided(
        base, view.shape, tuple(s * size for s in view.strides)
    )
    if view.offset == 0:
        return holder
    lowest = np.ndarray((), base.dtype, (ctypes.c_char * size).from_address(pointer))
    return np.lib.stride_tricks.as_strided(
        lowest, view.shape, tuple(s * size for s in view.strides)
    )


def _arrays(graph: Graph) -> tuple[set[Any], dict[Any, int]]:
    """Return values without axes that NumPy makes arrays of, not scalars.

    And those that are of the kind of an input, with the number of that input.
    """
    found: set[Any] = set()
    like: dict[Any, int] = {v: i for i, v in enumerate(graph.inputs) if v.shape == ()}
    for node in graph.nodes:
        x = node.inputs[0] if node.inputs else None
        makes = node.op.returns if type(node.op.returns) is str else node.op.makes(node.attrs)
        if makes == "same" and isinstance(x, Value) and x in like:
            like.update((v, like[x]) for v in node.outputs)
        if makes == "array" or (makes == "same" and x in found):
            found.update(v for v in node.outputs if v.shape == ())
    return found, like


def _is_weak(x: Any) -> bool:
    return isinstance(x, Value) and x.aval.weak
