"""The reference backend: one Python function of NumPy calls a graph.

Names are reused once a value is dead, so memory is released as early as possible, and an elementwise
operation writes into an argument that dies there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.backend.base import GuardMiss
from wengert.ir.graph import Const, Graph, Guard, Node, Value
from wengert.ops.index import add_into, set_into

__all__ = ["NumpyBackend", "NumpyProgram"]

_INFIX = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**"}
_UPDATES = {"index_add": ("add_into", add_into), "index_set": ("set_into", set_into)}
_IDENTITY = {"stop_gradient", "barrier"}
_CHECKS = {
    "bool": "bool({})",
    "int": "int({})",
    "index": "int({})",
    "float": "float({})",
    "complex": "complex({})",
    "item": "item({})",
}


class NumpyProgram:
    """A graph as a Python function."""

    def __init__(self, source: str, function: Any) -> None:
        self.source = source
        self.function = function

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """Run on arrays."""
        return self.function(*inputs)  # type: ignore[no-any-return]


class NumpyBackend:
    """Compiles graphs to `NumpyProgram`."""

    name = "numpy"

    def compile(self, graph: Graph) -> NumpyProgram:
        """Write the function and let Python compile it."""
        writer = _Writer(graph)
        source = writer.write()
        scope = dict(writer.names)
        exec(compile(source, "<wengert plan>", "exec"), scope)  # noqa: S102
        return NumpyProgram(source, scope["run"])


class _Storage:
    """Which arrays are views of which, and when the memory under them is last used."""

    def __init__(self, graph: Graph) -> None:
        self.root: dict[Value, Value | None] = {v: None for v in graph.inputs}
        self.last: dict[Value, int] = {}
        inputs = set(graph.inputs)
        for v in graph.inputs:
            self.root[v] = v
        self.borrowed = inputs
        for i, node in enumerate(graph.nodes):
            for x in node.inputs:
                if isinstance(x, Value):
                    self._use(x, i)
            alias = node.op.alias is not None or node.op.name in _IDENTITY
            for v in node.outputs:
                first = node.inputs[0] if node.inputs else None
                self.root[v] = self.root[first] if alias and isinstance(first, Value) else None if alias else v
        end = len(graph.nodes)
        for g in graph.guards:
            self._use(g.value, g.position)
        for y in graph.outputs:
            if isinstance(y, Value):
                self._use(y, end)

    def _use(self, x: Value, i: int) -> None:
        self.last[x] = max(self.last.get(x, -1), i)
        root = self.root[x]
        if root is not None and root is not x:
            self.last[root] = max(self.last.get(root, -1), i)

    def free_at(self, x: Value, i: int) -> bool:
        """Whether the array of `x` is ours and nobody reads it after node `i`."""
        return self.root[x] is x and x not in self.borrowed and self.last[x] <= i


class _Writer:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.storage = _Storage(graph)
        self.names: dict[str, Any] = {"np": np, "GuardMiss": GuardMiss, "item": _item}
        self.slots: dict[Value, str] = {}
        self.spare: list[str] = []
        self.count = 0
        self.consts: dict[int, str] = {}
        self.lines: list[str] = []

    def write(self) -> str:
        graph = self.graph
        arguments = [self._slot(v) for v in graph.inputs]
        guards: dict[int, list[tuple[int, Guard]]] = {}
        for k, g in enumerate(graph.guards):
            guards.setdefault(g.position, []).append((k, g))
        self._checks(guards.get(0, []))
        for i, node in enumerate(graph.nodes):
            self._node(i, node)
            self._checks(guards.get(i + 1, []))
        outputs = self._outputs()
        body = "\n".join(f"    {line}" for line in self.lines)
        return f"def run({', '.join(arguments)}):\n{body}\n    return [{', '.join(outputs)}]\n"

    def _checks(self, guards: list[tuple[int, Guard]]) -> None:
        for k, g in guards:
            got = _CHECKS[g.kind].format(self._name(g.value))
            want = self._constant("g", g.outcome) if not isinstance(g.outcome, (bool, int)) else repr(g.outcome)
            self.lines.append(f"if (o := {got}) != {want}: raise GuardMiss({k}, o)")

    def _slot(self, v: Value) -> str:
        name = self.spare.pop() if self.spare else f"v{self.count}"
        if name == f"v{self.count}":
            self.count += 1
        self.slots[v] = name
        return name

    def _name(self, x: Any) -> str:
        if isinstance(x, Value):
            return self.slots[x]
        if isinstance(x, Const):
            key = id(x)
            if key not in self.consts:
                self.consts[key] = self._constant("c", x.data)
            return self.consts[key]
        if type(x) in (int, bool):
            return f"({x!r})" if x < 0 else repr(x)
        if type(x) is float and x == x and x not in (float("inf"), float("-inf")):
            return f"({x!r})"
        return self._constant("k", x)

    def _constant(self, prefix: str, x: Any) -> str:
        name = f"{prefix}{len(self.names)}"
        self.names[name] = x
        return name

    def _node(self, i: int, node: Node) -> None:
        call = self._call(i, node)
        for x in _unique(node.inputs):
            if isinstance(x, Value) and self.storage.last[x] <= i and x in self.slots:
                self.spare.append(self.slots.pop(x))
        targets = []
        for v in node.outputs:
            targets.append(self._slot(v))
        self.lines.append(f"{', '.join(targets)} = {call}" if len(targets) > 1 else f"{targets[0]} = {call}")
        for v in node.outputs:
            if v not in self.storage.last:  # never read
                self.spare.append(self.slots.pop(v))

    def _call(self, i: int, node: Node) -> str:
        op = node.op
        args = [self._name(x) for x in node.inputs]
        if op.name in _IDENTITY:
            return args[0]
        if op.name in _UPDATES and self._owned(i, node.inputs[0], node.outputs[0]):
            name, function = _UPDATES[op.name]
            self.names[name] = function
            return f"{name}({', '.join(args)}{self._attrs(node)})"
        if op.ufunc is not None and not node.attrs:
            target = self._target(i, node)
            if target is not None:
                name = f"u_{op.name}"
                self.names[name] = op.ufunc
                return f"{name}({', '.join(args)}, {target})"
            if op.name in _INFIX:
                return f"{args[0]} {_INFIX[op.name]} {args[1]}"
        name = f"f_{op.name}"
        self.names[name] = op.evaluate
        return f"{name}({', '.join(args)}{self._attrs(node)})"

    def _attrs(self, node: Node) -> str:
        parts = []
        for key, value in node.attrs.items():
            plain = isinstance(value, (bool, int, str)) or (
                isinstance(value, tuple) and all(type(p) is int for p in value)
            )
            parts.append(f", {key}={value!r}" if plain else f", {key}={self._constant('a', value)}")
        return "".join(parts)

    def _owned(self, i: int, x: Any, out: Value) -> bool:
        return (
            isinstance(x, Value)
            and self.storage.free_at(x, i)
            and x.shape == out.shape
            and x.shape != ()
            and x.dtype == out.dtype
        )

    def _target(self, i: int, node: Node) -> str | None:
        """Find an argument of the same shape and dtype that dies here."""
        if len(node.outputs) != 1:
            return None
        (out,) = node.outputs
        for x in node.inputs:
            if self._owned(i, x, out):
                return self.slots[x]
        return None

    def _outputs(self) -> list[str]:
        """Name the results; a result is copied unless its memory is new and given out once."""
        given: set[Value] = set()
        made = []
        for y in self.graph.outputs:
            name = self._name(y)
            if isinstance(y, Value):
                root = self.storage.root[y]
                fresh = root is not None and root not in self.storage.borrowed and root not in given
                if root is not None:
                    given.add(root)
                if not fresh or (root is not y and self._readonly(y)):
                    name = f"np.array({name}, copy=True)[()]" if y.shape == () else f"np.array({name})"
            elif isinstance(y, Const):
                name = f"np.array({name})"
            made.append(name)
        return made

    def _readonly(self, y: Value) -> bool:
        """Whether a view may be one of NumPy's broadcast ones."""
        for node in self.graph.nodes:
            if y in node.outputs:
                first = node.inputs[0]
                if node.op.alias == "readonly":
                    return True
                return isinstance(first, Value) and self.storage.root[first] is not first and self._readonly(first)
        return False


def _unique(xs: Sequence[Any]) -> list[Any]:
    return list({id(x): x for x in xs}.values())


def _item(x: Any) -> Any:
    return x.item() if hasattr(x, "item") else x
