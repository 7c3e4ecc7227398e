"""Loops and branches over a few numbers, written as one function whose state is in registers.

Each element of a small array is a number of its own: reshapes, slices and joins are a matter of
names, sums and small products are written out. What a loop carries are phi nodes. Rows, constants
and stacked results are in memory, at an address that moves from trip to trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.backend.native.scalar import matrices  # noqa: F401  (its rows of STRUCTURE)
from wengert.backend.native.scalar.cells import ELEMENTS, STRUCTURE, Memory, TooLarge, single
from wengert.backend.native.scalar.lower import CASTS, LOWER, loop_dtypes, lowered
from wengert.ir.graph import Const, Graph, Node, Value, aval_of
from wengert.llvm.code import BOOL, I64, MEMORY, TYPES, Code, number
from wengert.ops.expand import expansion, node_of

__all__ = ["FAILED", "INTERRUPTED", "POLL", "Memory", "TooLarge", "fits", "poll_after", "written"]

INSTRUCTIONS = 2500
"""Most instructions of all trips' bodies."""

VECTOR = 8
"""Elements from which a function such as ``exp`` is better off as a loop over arrays."""

FAILED, INTERRUPTED = 1, 2
"""What generated code writes into the byte that says why it stopped: an index out of range, or an
exception of a signal handler."""

POLL = "wengert_poll"
"""``i32 ()``: lets Python's signal handlers run; other than 0 where one raises."""

WORK = 1 << 23
"""Units of work after which a loop looks for signals: some milliseconds."""

Cells = tuple[Any, np.dtype[Any]]
"""Registers as an array of names, and the dtype of what they hold."""


def poll_after(work: int) -> int:
    """Return the trips, a power of two, after which a loop looks for signals."""
    return 1 << max(0, (WORK // max(work, 1)).bit_length() - 1)


def fits(node: Node) -> bool:
    """Whether a loop or a branch is for registers."""
    code = Code({})
    before: list[Any] = []
    operands = [
        Memory("%p", x.aval.dtype, (1,) * x.aval.ndim, x.aval.shape, before)
        if isinstance(x, (Value, Const))
        else x
        for x in node.inputs
    ]
    try:
        written(code, node, operands, ["%o"] * len(node.outputs))
    except TooLarge:
        return False
    return True


def written(code: Code, node: Node, operands: Sequence[Any], outs: Sequence[str]) -> list[str]:
    """Write a loop or a branch; return the instructions of its function's body.

    Parameters
    ----------
    code : Code
    node : Node
    operands : sequence of Memory or number
    outs : sequence of str
        Addresses of the results.

    Raises
    ------
    TooLarge
    """
    writer = _Writer(code)
    start: list[Any] = []
    lines: list[Any] = ["br label %start", "start:", start]
    for x in operands:
        if isinstance(x, Memory):
            x.before = start
    writer.lines = lines
    code.lines = lines
    made = writer.outermost(node, operands, outs)
    for address, cells, v in zip(outs, made, node.outputs, strict=True):
        if cells is not None:
            writer.store(address, cells, v.dtype)
    code.line("ret void")
    return _flat(lines)


def _flat(lines: list[Any]) -> list[str]:
    found: list[str] = []
    for x in lines:
        if isinstance(x, list):
            found += _flat(x)
        else:
            found.append(x)
    return found


class _Writer:
    def __init__(self, code: Code) -> None:
        self.code = code
        self.lines: list[Any] = []
        self.table: dict[Value, Cells | Memory] = {}
        self.left = INSTRUCTIONS

    # --- values -----------------------------------------------------------------------------------
    def spend(self, n: int) -> None:
        """Count instructions.

        Raises
        ------
        TooLarge
        """
        self.left -= n
        if self.left < 0:
            raise TooLarge

    def name(self) -> str:
        """Return what no label has."""
        return self.code.fresh()[1:]

    def found(self, x: Any) -> Cells | Memory | None:
        """Return where an operand is; None for a number."""
        return self.table[x] if isinstance(x, Value) else None

    def cells(self, x: Any, dtype: np.dtype[Any]) -> Any:
        """Return the registers of an operand, of a dtype."""
        found = x if isinstance(x, (Memory, tuple)) else self.found(x)
        if found is None:
            return self.numbers(x, dtype)
        regs, have = self.loaded(found) if isinstance(found, Memory) else found
        if have == dtype:
            return regs
        self.spend(regs.size)
        made = np.empty(regs.shape, object)
        for i in np.ndindex(*regs.shape):
            made[i] = self.code.cast(regs[i], have, dtype)
        return made

    def numbers(self, x: Any, dtype: np.dtype[Any]) -> Any:
        """Return numbers that are part of the code."""
        if not isinstance(x, Const):
            return single(number(x, dtype))
        made = np.empty(x.data.shape, object)
        for i in np.ndindex(*made.shape):
            made[i] = number(x.data[i], dtype)
        return made

    def loaded(self, x: Memory) -> Cells:
        """Load all elements, once."""
        if x.cells is None:
            made = np.empty(x.shape, object)
            if made.size > ELEMENTS:
                raise TooLarge
            self.spend(2 * made.size)
            kept, self.code.lines = self.code.lines, x.before
            for i in np.ndindex(*x.shape):
                far = x.offset + sum(a * b for a, b in zip(i, x.strides, strict=True))
                made[i] = self.load(x, far)
            self.code.lines = kept
            x.cells = made
        return x.cells, x.dtype

    def load(self, x: Memory, far: int) -> str:
        """Load one element."""
        code, kind = self.code, MEMORY[x.dtype]
        address = x.pointer
        if far:
            address = code.emit(f"getelementptr inbounds {kind}, ptr {address}, i64 {far}")
        y = code.emit(f"load {kind}, ptr {address}")
        return code.emit(f"trunc i8 {y} to i1") if x.dtype == BOOL else y

    def store(self, address: str, cells: Any, dtype: np.dtype[Any]) -> None:
        """Store registers in C order."""
        code, kind = self.code, MEMORY[dtype]
        if cells.size > ELEMENTS:
            raise TooLarge
        self.spend(2 * cells.size)
        for k, x in enumerate(cells.reshape(-1)):
            to = (
                code.emit(f"getelementptr inbounds {kind}, ptr {address}, i64 {k}")
                if k
                else address
            )
            if dtype == BOOL:
                x = code.emit(f"zext i1 {x} to i8")
            code.line(f"store {kind} {x}, ptr {to}")

    # --- regions ----------------------------------------------------------------------------------
    def region(self, graph: Graph, xs: Sequence[Cells | Memory]) -> list[Any]:
        """Write the operations of a region; return the registers of its outputs."""
        self.table.update(zip(graph.inputs, xs, strict=True))
        for node in graph.nodes:
            self.node(node)
        return [self.cells(y, aval_of(y).dtype) for y in graph.outputs]

    def node(self, node: Node) -> None:
        """Write one operation."""
        name = node.op.name
        if any(v.aval.size > ELEMENTS or v.dtype not in TYPES for v in node.outputs):
            raise TooLarge
        if node.op.identity:
            (v,) = node.outputs
            x = node.inputs[0]
            self.table[v] = self.found(x) or (self.cells(x, v.dtype), v.dtype)
        elif name in LOOPS:
            made = self.control(node)
            for v, cells in zip(node.outputs, made, strict=True):
                self.table[v] = cells, v.dtype
        elif expansion(node, TYPES) is not None:
            self.expanded(node)
        elif name in STRUCTURE:
            (v,) = node.outputs
            cells = STRUCTURE[name](self, node, v.dtype)
            assert cells.shape == v.shape
            self.table[v] = cells, v.dtype
        elif lowered(node):
            self.elementwise(node)
        else:
            raise TooLarge

    def expanded(self, node: Node) -> None:
        """Write the operations that stand for one."""

        def write(name: str, *operands: Any, **attrs: Any) -> Any:
            made = node_of(name, operands, attrs)
            self.node(made)
            return made.outputs[0]

        how = expansion(node, TYPES)
        assert how is not None
        (v,) = node.outputs
        y = how(write, node)
        self.table[v] = self.cells(y, v.dtype), v.dtype

    def elementwise(self, node: Node) -> None:
        """Write an operation on each element."""
        dtypes = loop_dtypes(node)
        assert dtypes is not None
        arguments, out = dtypes
        (v,) = node.outputs
        slow = node.op.is_slow
        if slow and v.aval.size >= VECTOR:
            raise TooLarge
        self.spend(v.aval.size * (8 if slow else 1))
        xs: list[Any] = [
            np.broadcast_to(self.cells(x, d), v.shape)
            for x, d in zip(node.inputs, arguments, strict=True)
        ]
        made = np.empty(v.shape, object)
        code = self.code
        for i in np.ndindex(*v.shape):
            one = [x[i] for x in xs]
            if node.op.name in CASTS:
                made[i] = code.cast(one[0], arguments[0], out)
            elif node.op.name == "select":
                made[i] = code.select(out, *one)
            else:
                dtype = arguments[0] if node.op.name != "ldexp" else out
                made[i] = LOWER[node.op.name](code, one, dtype, node)
        self.table[v] = made, out

    def apply(self, name: str, dtype: np.dtype[Any], a: str, b: str) -> str:
        """Write an operation of two numbers of a dtype."""
        self.spend(1)
        return LOWER[name](self.code, (a, b), dtype, Node(None, (), {}, ()))

    # --- control ----------------------------------------------------------------------------------
    def outermost(self, node: Node, xs: Sequence[Any], outs: Sequence[str]) -> list[Any]:
        """Write the whole function's loop or branch; None for results that are stored already."""
        if node.op.name == "scan":
            return self.scan(node, xs, outs[node.attrs["carries"] :])
        return self.control(node, xs)

    def control(self, node: Node, xs: Sequence[Any] | None = None) -> list[Any]:
        """Write a loop or a branch, whose operands are values where they are not given."""
        if xs is None:
            xs = [self.found(x) or x for x in node.inputs]
        if node.op.name == "scan":
            if len(node.attrs["body"].outputs) > node.attrs["carries"]:
                raise TooLarge  # there is no memory for a stack
            return self.scan(node, xs, [])
        return self.repeat(node, xs) if node.op.name == "while_loop" else self.branch(node, xs)

    def given(self, xs: Sequence[Any], inputs: Sequence[Value]) -> list[Cells | Memory]:
        """Return operands for a region, numbers as registers."""
        return [
            x if isinstance(x, (Memory, tuple)) else (single(number(x, v.dtype)), v.dtype)
            for x, v in zip(xs, inputs, strict=True)
        ]

    def scan(self, node: Node, xs: Sequence[Any], stacks: Sequence[str]) -> list[Any]:
        """Write a loop of a known number of trips."""
        code, attrs = self.code, node.attrs
        body, length, a = attrs["body"], attrs["length"], attrs["consts"]
        b = a + attrs["carries"]
        fixed = self.given(xs[:a], body.inputs[:a])
        if not all(isinstance(x, Memory) for x in xs[b:]):
            raise TooLarge
        loop = _Loop(self, xs[a:b], body.inputs[a:b])
        code.line(f"%more{loop.n} = icmp slt i64 %t{loop.n}, {length}")
        code.line(f"br i1 %more{loop.n}, label %trip{loop.n}, label %done{loop.n}")
        code.line(f"trip{loop.n}:")
        i = f"%t{loop.n}"
        if attrs["reverse"]:
            i = code.emit(f"sub nsw i64 {length - 1}, {i}")
        loads: list[Any] = []
        rows = [self.row(x, i, loads) for x in xs[b:]]
        code.lines.append(loads)  # type: ignore[arg-type]
        made = self.region(body, [*fixed, *loop.carried(), *rows])
        for stack, cells, v in zip(stacks, made[b - a :], body.outputs[b - a :], strict=True):
            aval = aval_of(v)
            far = code.emit(f"mul nsw i64 {i}, {aval.size}")
            to = code.emit(f"getelementptr inbounds {MEMORY[aval.dtype]}, ptr {stack}, i64 {far}")
            self.store(to, cells, aval.dtype)
        loop.end(made[: b - a])
        return [*loop.state, *[None] * len(stacks)]

    def row(self, x: Memory, i: str, before: list[Any]) -> Memory:
        """Return the row of a trip."""
        code = self.code
        address = x.pointer
        if x.strides[0]:
            far = code.emit(f"mul nsw i64 {i}, {x.strides[0]}")
            address = code.emit(
                f"getelementptr inbounds {MEMORY[x.dtype]}, ptr {address}, i64 {far}"
            )
        return Memory(address, x.dtype, x.strides[1:], x.shape[1:], before, x.offset)

    def repeat(self, node: Node, xs: Sequence[Any]) -> list[Any]:
        """Write a loop that goes on while its condition holds."""
        code, attrs = self.code, node.attrs
        test, body, a = attrs["test"], attrs["body"], attrs["consts"]
        fixed = self.given(xs[:a], body.inputs[:a])
        loop = _Loop(self, xs[a:], body.inputs[a:])
        (more,) = self.region(test, [*fixed, *loop.carried()])
        code.line(f"br i1 {more[()]}, label %trip{loop.n}, label %done{loop.n}")
        code.line(f"trip{loop.n}:")
        loop.end(self.region(body, [*fixed, *loop.carried()]))
        return [*loop.state, single(f"%t{loop.n}")]

    def branch(self, node: Node, xs: Sequence[Any]) -> list[Any]:
        """Write a choice between regions."""
        code = self.code
        branches: Sequence[Graph] = node.attrs["branches"]
        kind = aval_of(node.inputs[0]).dtype
        if kind not in TYPES:
            raise TooLarge
        index = self.cells(xs[0], kind)[()]
        index = code.cast(index, kind, I64)
        n = self.name()
        last = len(branches) - 1
        made, ends = [], []
        for k, graph in enumerate(branches):
            if k < last:
                here = code.emit(f"icmp sle i64 {index}, {k}")
                code.line(f"br i1 {here}, label %case{n}.{k}, label %after{n}.{k}")
            else:
                code.line(f"br label %case{n}.{k}")
            code.line(f"case{n}.{k}:")
            early: list[Any] = []
            code.lines.append(early)  # type: ignore[arg-type]
            given = self.given(xs[1:], graph.inputs)
            # what a branch loads is known in that branch only
            given = [self.again(x, early) if isinstance(x, Memory) else x for x in given]
            ys = self.region(graph, given)
            made.append(
                [np.broadcast_to(y, v.shape) for y, v in zip(ys, node.outputs, strict=True)]
            )
            code.line(f"br label %end{n}.{k}")
            code.line(f"end{n}.{k}:")
            code.line(f"br label %join{n}")
            ends.append(f"%end{n}.{k}")
            if k < last:
                code.line(f"after{n}.{k}:")
        code.line(f"join{n}:")
        return [
            self.chosen([ys[j] for ys in made], ends, v.dtype) for j, v in enumerate(node.outputs)
        ]

    def again(self, x: Memory, before: list[Any]) -> Memory:
        """Return an array whose loads are known elsewhere; those that there are serve."""
        made = Memory(x.pointer, x.dtype, x.strides, x.shape, before, x.offset)
        made.cells = x.cells
        return made

    def chosen(self, many: list[Any], ends: list[str], dtype: np.dtype[Any]) -> Any:
        """Write what registers are after several branches."""
        made = np.empty(many[0].shape, object)
        self.spend(made.size)
        for i in np.ndindex(*made.shape):
            pairs = ", ".join(f"[ {ys[i]}, {e} ]" for ys, e in zip(many, ends, strict=True))
            made[i] = self.code.emit(f"phi {TYPES[dtype]} {pairs}")
        return made

    # --- indices ----------------------------------------------------------------------------------
    def stop_if(self, outside: str) -> None:
        """Tell that an index is out of range, and return."""
        code, n = self.code, self.name()
        code.line(f"br i1 {outside}, label %out{n}, label %in{n}")
        code.line(f"out{n}:")
        code.line(f"store i8 {FAILED}, ptr %bad")
        code.line("ret void")
        code.line(f"in{n}:")

    def position(self, x: Any, size: int) -> str:
        """Return an index, counted from the front; it is in range after this."""
        kind = aval_of(x).dtype
        if aval_of(x).shape or kind not in TYPES or kind.kind != "i":
            raise TooLarge
        code = self.code
        self.spend(6)
        i = code.cast(self.cells(x, kind)[()], kind, I64)
        below = code.emit(f"icmp slt i64 {i}, 0")
        wrapped = code.emit(f"add nsw i64 {i}, {size}")
        i = code.emit(f"select i1 {below}, i64 {wrapped}, i64 {i}")
        self.stop_if(code.emit(f"icmp uge i64 {i}, {size}"))
        return i


class _Loop:
    """What all loops have: the trip's number, and what is carried, as phi nodes."""

    def __init__(self, writer: _Writer, xs: Sequence[Any], inputs: Sequence[Value]) -> None:
        code = writer.code
        self.writer = writer
        self.n = n = writer.name()
        self.dtypes = [v.dtype for v in inputs]
        self.starts = [
            np.broadcast_to(writer.cells(x, v.dtype), v.shape)
            for x, v in zip(writer.given(xs, inputs), inputs, strict=True)
        ]
        if sum(x.size for x in self.starts) > 4 * ELEMENTS:
            raise TooLarge
        self.left = writer.left
        code.line(f"br label %before{n}")
        code.line(f"before{n}:")
        code.line(f"br label %head{n}")
        code.line(f"head{n}:")
        code.line(f"%t{n} = phi i64 [ 0, %before{n} ], [ %n{n}, %next{n} ]")
        self.phis: list[Any] = []
        code.lines.append(self.phis)  # type: ignore[arg-type]
        self.state = []
        for x in self.starts:
            names = np.empty(x.shape, object)
            for i in np.ndindex(*x.shape):
                names[i] = code.fresh()
            self.state.append(names)

    def carried(self) -> list[Cells]:
        """Return what a trip starts from."""
        return list(zip(self.state, self.dtypes, strict=True))

    def end(self, ys: Sequence[Any]) -> None:
        """Write the end of a trip, and look for signals now and then."""
        code, n = self.writer.code, self.n
        for y, x, names, dtype in zip(ys, self.starts, self.state, self.dtypes, strict=True):
            after = np.broadcast_to(y, x.shape)
            for i in np.ndindex(*x.shape):
                pair = f"[ {x[i]}, %before{n} ], [ {after[i]}, %next{n} ]"
                self.phis.append(f"{names[i]} = phi {TYPES[dtype]} {pair}")
        code.line(f"%n{n} = add nsw i64 %t{n}, 1")
        code.lines += polled(code, n, poll_after(self.left - self.writer.left), f"next{n}")
        code.line(f"br label %head{n}")
        code.line(f"done{n}:")


def polled(code: Code, n: str, trips: int, on: str) -> list[str]:
    """Write a look for signals after each so many trips; it goes on at the label `on`."""
    code.externals.setdefault(POLL, f"declare i32 @{POLL}() cold")
    return [
        f"%m{n} = and i64 %n{n}, {trips - 1}",
        f"%z{n} = icmp eq i64 %m{n}, 0",
        f"br i1 %z{n}, label %poll{n}, label %{on}",
        f"poll{n}:",
        f"%s{n} = call i32 @{POLL}()",
        f"%w{n} = icmp eq i32 %s{n}, 0",
        f"br i1 %w{n}, label %{on}, label %stop{n}",
        f"stop{n}:",
        f"store i8 {INTERRUPTED}, ptr %bad",
        "ret void",
        f"{on}:",
    ]


LOOPS = {"scan", "while_loop", "cond"}
