"""The reference backend: one Python function of NumPy calls a graph.

A name is used again once its value is dead, and an elementwise operation writes into an argument
that dies there, so a chain of operations on a large array holds one array, not one for each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.errors import VerificationError
from wengert.ir import checking
from wengert.ir.build import typed
from wengert.ir.graph import Const, Graph, Guard, GuardMiss, Node, Value, aval_of
from wengert.ir.keys import key
from wengert.ir.liveness import last_reads
from wengert.ir.questions import QUESTIONS
from wengert.ir.regions import map_attributes
from wengert.ir.verify import verify
from wengert.ops.index import SLOT, add_into, may_be_view, set_into

__all__ = ["NumpyBackend", "NumpyProgram"]

INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}
UPDATES = {"index_add": add_into, "index_set": set_into}
"""Operations that may work in their first argument's memory, and the functions that do."""
RESERVED = {"bool", "getattr", "int", "float", "complex", "run", "o"}
RESERVED |= {"apart", "given", "held", "strong"}
"""Names that a program uses in other ways."""
LARGE = 1 << 16
"""Dead arrays of so many bytes are released at once, smaller ones when their name is used again."""


class NumpyProgram:
    """A graph as a Python function; floating-point warnings are silent, as in native code."""

    backend = "numpy"

    def __init__(self, source: str, function: Any, graph: Graph) -> None:
        self.source = source
        self.function = function
        self.graph = graph
        self.inner = False
        """Whether it is part of another program, which decides about warnings."""

    def __repr__(self) -> str:
        """Name what it is in a comment of another program."""
        return "<the function above>"

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run on arrays."""
        if self.inner:
            return self.function(*inputs)  # type: ignore[no-any-return]
        with np.errstate(all="ignore"):
            return self.function(*inputs)  # type: ignore[no-any-return]

    def loud(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run on arrays, and raise FloatingPointError where NumPy, as it is set, would warn."""
        found = {kind: "raise" if do == "warn" else "ignore" for kind, do in np.geterr().items()}
        errors: dict[str, Any] = found
        with np.errstate(**errors):
            return self.function(*inputs)  # type: ignore[no-any-return]


class NumpyBackend:
    """Compiles graphs to `NumpyProgram`."""

    name = "numpy"

    def compile(self, graph: Graph) -> NumpyProgram:
        """Write the function and let Python compile it."""
        if checking.is_on():
            verify(graph)
        writer = Writer(graph, checks=checking.is_on())
        source = writer.write()
        scope = dict(writer.scope)
        exec(compile(source, "<wengert plan>", "exec"), scope)
        regions = [
            x.source.replace("def run(", f"def {name}(", 1)
            for name, x in writer.scope.items()
            if isinstance(x, NumpyProgram)
        ]
        return NumpyProgram("\n\n".join([*regions, source]), scope["run"], graph)


class Storage:
    """Which arrays share memory with which, and when that memory is last used.

    Attributes
    ----------
    root : dict
        From each value to the one whose array holds its memory; None where that is not ours.
    last : dict
        The number of the node that uses a value, or a view of it, last.
    readonly : set
        Values that may be read-only views.
    """

    def __init__(self, graph: Graph) -> None:
        self.root: dict[Value, Value | None] = {v: v for v in graph.inputs}
        self.borrowed = set(graph.inputs)
        self.last: dict[Value, int] = {}
        self.readonly: set[Value] = set()
        for i, node in enumerate(graph.nodes):
            for x in node.inputs:
                self._use(x, i)
            for v in node.outputs:
                self.root[v] = self._memory(node, v)
        for g in graph.guards:
            self._use(g.value, g.position)
        for y in graph.outputs:
            self._use(y, len(graph.nodes))

    def _memory(self, node: Node, v: Value) -> Value | None:
        if not _shares(node):
            return v
        x = node.inputs[0]
        real = node.op.alias == "imag" and aval_of(x).dtype.kind != "c"  # zeros, which NumPy locks
        if node.op.alias == "readonly" or real or x in self.readonly:
            self.readonly.add(v)
        return self.root[x] if isinstance(x, Value) else None

    def _use(self, x: Any, i: int) -> None:
        if isinstance(x, Value):
            root = self.root[x]
            owner = x if root is None else root
            for v in (x, owner):
                self.last[v] = max(self.last.get(v, -1), i)

    def is_ours(self, x: Value) -> bool:
        """Whether the memory of `x` was made by this program."""
        root = self.root[x]
        return root is not None and root not in self.borrowed

    def dies(self, x: Value, i: int) -> bool:
        """Whether `x` owns its memory, and nobody reads that after node `i`."""
        return self.is_ours(x) and self.root[x] is x and self.last[x] <= i


def _shares(node: Node) -> bool:
    """Whether the result may share memory with the first argument."""
    op = node.op
    if op.alias == "getitem":
        return may_be_view(node.inputs[1:])
    return op.identity or op.alias is not None


def _apart(out: Any, others: Sequence[Any]) -> None:
    """Check that memory about to be written over is not that of arrays which are still read."""
    if not isinstance(out, np.ndarray):
        return
    for x in others:
        if isinstance(x, np.ndarray) and np.shares_memory(out, x):
            raise VerificationError(
                f"a NumPy program writes into an array of shape {out.shape} whose memory "
                f"an array of shape {x.shape} still has"
            )


class _Reads:
    """When each value of a graph is read last, told from the graph alone.

    `Storage` knows of views as well, and allows what is written in place. This does not, and so the
    memory itself can be looked at.
    """

    def __init__(self, graph: Graph) -> None:
        self.last = last_reads(graph.nodes, (*graph.inputs, *graph.outputs))
        for g in graph.guards:
            self.last[g.value] = max(self.last.get(g.value, -1), g.position)
        self.held = [x for node in graph.nodes for x in node.inputs if isinstance(x, Const)]


class Writer:
    """Writes the Python function of a graph.

    Parameters
    ----------
    graph : Graph
    checks : bool
        Whether the function looks at the memory of everything that it writes in place.
    """

    def __init__(self, graph: Graph, checks: bool = False) -> None:
        self.graph = graph
        self.reads = _Reads(graph) if checks else None
        self.storage = Storage(graph)
        self.scope: dict[str, Any] = {
            "GuardMiss": GuardMiss,
            "apart": _apart,
            "key": key,
            "own": _own,
            "strong": _strong,
            "typed": typed,
        }
        # Of constants and functions, by id; `scope` keeps them alive.
        self.names: dict[int, str] = {}
        self.expiring: dict[int, list[Value]] = {}
        for v, i in self.storage.last.items():
            self.expiring.setdefault(i, []).append(v)
        self.slots: dict[Value, str] = {}
        self.spare: list[str] = []
        self.count = 0
        self.numbers: Counter[str] = Counter()
        self.constants: list[str] = []
        self.lines: list[str] = []

    def write(self) -> str:
        """Return the source."""
        graph = self.graph
        arguments = [f"{self._slot(v)}" for v in graph.inputs]
        if self.reads is not None:
            self.lines.append(f"given = [{', '.join(arguments)}]")
            self.scope["held"] = [x.data for x in self.reads.held]
        guards: dict[int, list[tuple[int, Guard]]] = {}
        for k, g in enumerate(graph.guards):
            guards.setdefault(g.position, []).append((k, g))
        self._check(guards.get(0, []))
        for i, node in enumerate(graph.nodes):
            self._node(i, node)
            self._check(guards.get(i + 1, []))
        results = ", ".join(self._outputs())
        types = [f"    # {a}: {v.aval}" for a, v in zip(arguments, graph.inputs, strict=True)]
        types += [f"    # {n} = {_shown(self.scope[n])}" for n in self.constants]
        body = "\n".join([*types, *(f"    {line}" for line in self.lines)])
        return f"def run({', '.join(arguments)}):\n{body}\n    return [{results}]\n"

    # --- statements -------------------------------------------------------------------------------
    def _node(self, i: int, node: Node) -> None:
        """Write one node; then the names of what died are free again."""
        call, target = self._call(i, node)
        if self.reads is not None and target is not None:
            self._check_apart(i, target)
        freed = [x for x in self.expiring.pop(i, ()) if x is not target and x in self.slots]
        freed += [] if target is None else [target]  # the result takes its name
        large = {self.slots[x]: None for x in freed if self._is_large(x)}
        self.spare += [self.slots.pop(x) for x in freed]
        targets = [self._slot(v) for v in node.outputs]
        self.lines.append(f"{', '.join(targets)} = {call}  # {_remark(node)}")
        for v in node.outputs:
            if v not in self.storage.last:  # never read
                if self._is_large(v):
                    large[self.slots[v]] = None
                self.spare.append(self.slots.pop(v))
        dead = [name for name in large if name in self.spare]
        if dead:
            self.lines.append(f"del {', '.join(dead)}")

    def _check_apart(self, i: int, target: Value) -> None:
        """Compare the memory that node `i` writes over with all that is read later."""
        assert self.reads is not None
        last = self.reads.last
        later = [name for v, name in self.slots.items() if last.get(v, -1) > i and v is not target]
        if last[target] > i:
            raise VerificationError(f"node {i} of a NumPy program writes over what is read later")
        self.lines.append(f"apart({self.slots[target]}, [*given, *held, {', '.join(later)}])")

    def _is_large(self, x: Value) -> bool:
        root = self.storage.root[x]
        return root is not None and root not in self.storage.borrowed and root.aval.nbytes >= LARGE

    def _check(self, guards: list[tuple[int, Guard]]) -> None:
        for k, g in guards:
            question = QUESTIONS[g.kind]
            if not question.text:
                continue
            got = question.text.format(self._name(g.value))
            if question.exact:
                test = f"(o := {got}) != {g.outcome!r}"
            else:
                test = f"key(o := {got}) != {self._constant('g', key(g.outcome))}"
            self.lines.append(f"if {test}: raise GuardMiss({k}, o)")

    def _outputs(self) -> list[str]:
        """Name the results; a result is copied unless its memory is ours and given out once."""
        given: set[Value | None] = set()
        made = []
        for y in self.graph.outputs:
            name = self._name(y)
            if not aval_of(y).weak:
                root = self.storage.root[y] if isinstance(y, Value) else None
                if (
                    isinstance(y, Value) and (root in given or not self._can_give(y))
                ) or isinstance(y, Const):
                    name = f"own({name})"
                given.add(root)
            made.append(name)
        return made

    def _can_give(self, y: Value) -> bool:
        """Whether the caller may have the array itself: writeable, and not part of a larger one."""
        root = self.storage.root[y]
        if root is None or not self.storage.is_ours(y) or y in self.storage.readonly:
            return False
        return root.aval.nbytes <= y.aval.nbytes

    # --- expressions ------------------------------------------------------------------------------
    def _call(self, i: int, node: Node) -> tuple[str, Value | None]:
        """Return the expression of a node, and the argument whose memory it writes into."""
        op = node.op
        args = [self._name(x) for x in node.inputs]
        if op.identity:
            return args[0], None
        if op.name in UPDATES and self._works_in(node.inputs[0], i, node):
            function = UPDATES[op.name]
            return self._apply(function, args, node, function.__name__), node.inputs[0]
        if not op.by_kind:
            args = [
                f"strong({a})" if aval_of(x).weak else a
                for a, x in zip(args, node.inputs, strict=True)
            ]
        if op.ufunc is not None and not node.attrs:
            for x in node.inputs:
                if self._owns_result(x, i, node):
                    return self._apply(op.ufunc, [*args, f"out={self.slots[x]}"], node), x
            if op.name in INFIX and not self._has_numbers_only(node):
                return f"{args[0]} {INFIX[op.name]} {args[1]}", None
        if op.name == "getitem":
            index = _subscript(node.attrs["spec"], args[1:])
            if index is not None:
                return f"{args[0]}[{index}]", None
        if self._has_numbers_only(node):
            return self._of_numbers(node, args), None
        return self._apply(op.evaluate, args, node), None

    def _has_numbers_only(self, node: Node) -> bool:
        return all(aval_of(x).weak for x in node.inputs)

    def _of_numbers(self, node: Node, args: list[str]) -> str:
        """Write an operation on Python numbers, of which Python and NumPy make different ones."""
        op, out = node.op, node.outputs[0].aval
        if out.weak and op.python is not None:
            if op.name in INFIX:
                return f"{args[0]} {INFIX[op.name]} {args[1]}"
            return self._apply(op.python, args, node)
        call = self._apply(op.ufunc or op.evaluate, args, node)
        return call if len(node.outputs) > 1 else f"typed({call}, {self._constant('a', out)})"

    def _apply(self, function: Any, args: list[str], node: Node, called: str = "") -> str:
        name = self.names.get(id(function))
        if name is None:
            name = called or node.op.name
            while name in self.scope or name in RESERVED:
                name += "_"
            self.scope[name] = function
            self.names[id(function)] = name
        return f"{name}({', '.join([*args, *self._attrs(node)])})"

    def _attrs(self, node: Node) -> list[str]:
        parts = []
        for k, value in map_attributes(node.attrs, self._region).items():
            plain = isinstance(value, (bool, int, str)) or (
                isinstance(value, tuple) and all(type(p) is int for p in value)
            )
            parts.append(f"{k}={value!r}" if plain else f"{k}={self._constant('a', value)}")
        return parts

    def _region(self, graph: Graph) -> NumpyProgram:
        """Compile the body of a loop or a branch, to be a function of its own."""
        program = NumpyBackend().compile(graph)
        program.inner = True
        self._constant("body", program)
        return program

    def _owns_result(self, x: Any, i: int, node: Node) -> bool:
        """Whether the result may be written into the memory of `x`, which dies here."""
        out = node.outputs[0]
        return (
            isinstance(x, Value)
            and len(node.outputs) == 1
            and x.aval == out.aval
            and out.shape != ()  # may be a scalar, which has no memory
            and self.storage.dies(x, i)
        )

    def _works_in(self, x: Any, i: int, node: Node) -> bool:
        """As above, for an update, whose other arguments must not share memory with `x`."""
        root = self.storage.root
        rest = [root[v] for v in node.inputs[1:] if isinstance(v, Value)]
        return self._owns_result(x, i, node) and x not in rest

    # --- names ------------------------------------------------------------------------------------
    def _slot(self, v: Value) -> str:
        if self.spare:
            name = self.spare.pop()
        else:
            name = f"v{self.count}"
            self.count += 1
        self.slots[v] = name
        return name

    def _name(self, x: Any) -> str:
        if isinstance(x, Value):
            return self.slots[x]
        if isinstance(x, Const):
            return self._constant("c", x.data)
        plain = type(x) in (int, bool) or (type(x) is float and np.isfinite(x))
        if not plain:
            return self._constant("k", x)
        text = repr(x)
        return f"({text})" if text.startswith("-") else text

    def _constant(self, prefix: str, x: Any) -> str:
        if id(x) not in self.names:
            name = f"{prefix}{self.numbers[prefix]}"
            self.numbers[prefix] += 1
            self.constants.append(name)
            self.scope[name] = x
            self.names[id(x)] = name
        return self.names[id(x)]


def _subscript(spec: tuple[Any, ...], names: Sequence[str]) -> str | None:
    """Write an index as Python does; None where it has parts that are not plain."""
    given = iter(names)
    parts = []
    for s in spec:
        if s is SLOT:
            parts.append(next(given))
        elif s is Ellipsis:
            parts.append("...")
        elif isinstance(s, slice) and all(
            type(p) in (int, type(None)) for p in (s.start, s.stop, s.step)
        ):
            start, stop, step = ("" if p is None else str(p) for p in (s.start, s.stop, s.step))
            parts.append(f"{start}:{stop}:{step}" if step else f"{start}:{stop}")
        elif s is None or type(s) is int:
            parts.append(repr(s))
        else:
            return None
    return (
        ", ".join(parts) + ("," if len(parts) == 1 and spec[0] is SLOT else "") if parts else "()"
    )


def _remark(node: Node) -> str:
    shown = ", ".join(str(v.aval) for v in node.outputs)
    return (
        shown if node.line is None else f"{shown}  {os.path.basename(node.line[0])}:{node.line[1]}"
    )


def _shown(x: Any) -> str:
    """Show a constant of the program in a comment."""
    if isinstance(x, np.ndarray):
        return f"{aval_of(x)} held by reference"
    return repr(x) if callable(x) or "\n" not in repr(x) else type(x).__name__


def _strong(x: Any) -> Any:
    """Return a Python number as NumPy's functions take it."""
    return np.asarray(x)[()]


def _own(x: Any) -> Any:
    """Return a copy of an array; a scalar cannot be changed."""
    return np.array(x) if isinstance(x, np.ndarray) else x
