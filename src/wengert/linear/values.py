"""What a linear graph consists of: values, and the local Jacobians between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Const, Node, Value
from wengert.linear.terms import NotAccumulable
from wengert.ops.base import ZERO, dtype_of, shape_of
from wengert.ops.blocks import Block, Zero
from wengert.ops.control import cut
from wengert.ops.spectral import Framed
from wengert.tables import align
from wengert.trace.active import ACTIVE
from wengert.trace.numbering import number
from wengert.trace.region import RegionRecorder
from wengert.trace.tracer import Tracer
from wengert.transform.linear import Linearized

__all__ = ["Edge", "Linear", "Vertex", "rely_on"]


class Vertex:
    """A value that the arguments reach and that reaches a result.

    Attributes
    ----------
    number : int
    name : str
        The operation that made it; ``argument`` where none did.
    shape : tuple of int
    role : {"argument", "intermediate", "result"}
    line : (str, int) or None
        Where the user's code computed it, where that is known.
    """

    __slots__ = ("line", "name", "number", "role", "shape", "value")

    def __init__(self, number: int, name: str, value: Value, role: str, line: Any = None) -> None:
        self.number, self.name, self.role, self.line = number, name, role, line
        self.value = value
        self.shape = shape_of(value.data)

    def __repr__(self) -> str:
        """Return a line."""
        return f"{self.number}: {self.name} {self.shape}, {self.role}"


class Edge:
    """A local Jacobian: of `target` with respect to `source`.

    Attributes
    ----------
    source, target : int
        Numbers of vertices.
    block : Block
        Its structure.
    node : Node
        The operation.
    """

    __slots__ = ("block", "node", "part", "source", "target")

    def __init__(self, source: int, target: int, block: Block, node: Node, part: int | None):
        self.source, self.target = source, target
        self.block, self.node, self.part = block, node, part

    @property
    def inputs(self) -> list[Any]:
        """The arguments of the operation."""
        return [x.data if isinstance(x, Value) else x for x in self.node.inputs]

    @property
    def results(self) -> Any:
        """What the operation made: a tuple where that is several."""
        outs = self.node.outputs
        return outs[0].data if self.part is None else tuple([v.data for v in outs])

    def __repr__(self) -> str:
        """Return a line."""
        return f"{self.source} -> {self.target}: {self.block}"


class Linear:
    """What is left of a function when it is linearised at a point.

    Parameters
    ----------
    lin : Linearized

    Attributes
    ----------
    vertices : list of Vertex
        The arguments that are differentiated, then the values in the order of the program.
    edges : list of Edge
        By their targets.
    ys : list
        The function's results.
    results : list of int or None
        The vertex of each result; None where no argument reaches it.
    indices : list of arrays
        The arrays of integers that the places of entries may depend on.
    """

    def __init__(self, lin: Linearized, name: str = "f", merged: bool = True) -> None:
        self.lin, self.name = lin, name
        nodes, results = _merged(lin) if merged else (lin.tape.nodes, lin.outs)
        self.ys = lin.ys
        self.vertices: list[Vertex] = []
        self.edges: list[Edge] = []
        self.indices: list[Any] = []
        self._numbers: dict[Value, int] = {}
        needed = _needed(lin.roots, nodes, results)
        outs = {v for v in results if v is not None}
        self.arguments: list[int | None] = []
        for v in lin.roots:
            known = v in needed
            self.arguments.append(self._add("argument", v, "argument") if known else None)
        for node in nodes:
            if type(node) is not Node:
                if any(v in needed for v in _outputs(node)):
                    raise NotAccumulable("a loop is one operation")
                continue
            if any(v in needed for v in node.outputs):
                self._node(node, needed, outs)
        self.results = [None if v is None else self._numbers.get(v) for v in results]

    def _add(self, name: str, value: Value, role: str, line: Any = None) -> int:
        place = len(self.vertices)
        if dtype_of(value.data).kind != "f":
            raise NotAccumulable(f"{name} makes {dtype_of(value.data)}")
        self.vertices.append(Vertex(place, name, value, role, line))
        self._numbers[value] = place
        return place

    def _node(self, node: Node, needed: set[Value], outs: set[Value]) -> None:
        op = node.op
        if op.derivative is ZERO:
            return
        if op is cut:
            raise NotAccumulable("a derivative has zeros by structure")
        if getattr(op, "custom", False):
            raise NotAccumulable(f"{op.name} has a derivative of its own")
        active = [
            k for k, v in enumerate(node.inputs) if isinstance(v, Value) and v in self._numbers
        ]
        if not active:
            return
        if isinstance(op.derivative, Framed):  # what is infinite cancels in whole sweeps only
            raise NotAccumulable(f"the vectors of equal values of {op.name} are not determined")
        xs = [self._plain(v.data if isinstance(v, Value) else v) for v in node.inputs]
        several = len(node.outputs) > 1
        y = tuple(v.data for v in node.outputs) if several else node.outputs[0].data
        if op.local_jacobian is None:
            raise NotAccumulable(f"{op.name} has no local Jacobian")
        found: list[tuple[int, Any]] = []
        for k in active:
            found.append((k, op.local_jacobian(k, y, *xs, **node.attrs)))
        for i, v in enumerate(node.outputs):
            blocks = [(k, b[i] if several else b) for k, b in found]
            blocks = [(k, b) for k, b in blocks if not isinstance(b, Zero)]
            if v not in needed or not blocks:
                continue
            role = "result" if v in outs else "intermediate"
            target = self._add(op.name, v, role, node.line)
            for k, block in blocks:
                source = self._numbers[node.inputs[k]]
                self.edges.append(Edge(source, target, block, node, i if several else None))

    def _plain(self, x: Any) -> Any:
        """Return an operand, an array of integers as it is now: places of entries depend on it.

        Raises
        ------
        NotAccumulable
            Where such an array is computed from the arguments.
        """
        while isinstance(x, Tracer) and dtype_of(x).kind in "iu" and shape_of(x):
            if type(x._var) is Const:
                x = x._var.data
                break
            outside = x._trace.outside if isinstance(x._trace, RegionRecorder) else {}
            found = [kept for kept, value, _ in outside.values() if value is x._var]
            if not found:
                raise NotAccumulable("an index depends on the arguments")
            x = found[0]  # what a loop's body closes over
        if isinstance(x, np.ndarray) and x.dtype.kind in "iu":
            self.indices.append(x)
        return x

    # --- for people -------------------------------------------------------------------------------
    def __str__(self) -> str:
        """Return a table: each value, and the local Jacobians that lead to it."""
        rows = []
        into: dict[int, list[Edge]] = {}
        for e in self.edges:
            into.setdefault(e.target, []).append(e)
        for v in self.vertices:
            for i, edge in enumerate([*into.get(v.number, ())] or [None]):
                about = (str(v.number), v.name, str(v.shape), v.role) if i == 0 else ("",) * 4
                rows.append((*about, *(("", "", "") if edge is None else _of_edge(edge))))
        head = ("value", "made by", "shape", "role", "from", "local Jacobian", "entries")
        n = sum(v.role == "argument" for v in self.vertices)
        first = (
            f"linear graph of {self.name}: {n} argument{'s' * (n != 1)}, "
            f"{len(self.vertices) - n} values, {len(self.edges)} local Jacobians"
        )
        return "\n".join([first, align([head, *rows], left=range(6))])

    __repr__ = __str__


def _of_edge(e: Edge) -> tuple[str, str, str]:
    m, n = e.block.shape
    free = ", matrix-free" if e.block.is_matrix_free and e.block.kind != "matrix-free" else ""
    return str(e.source), f"{e.block.kind}{free}, {m:,} x {n:,}", f"{e.block.nnz:,}"


def _outputs(node: Any) -> Sequence[Value]:
    found: Any = getattr(node, "outputs", None)
    if found is None:
        raise NotAccumulable("a loop is one operation")
    return found  # type: ignore[no-any-return]


def rely_on(arrays: Sequence[Any]) -> None:
    """Let the recorder at work, if any, hold only where arrays of integers are as they are now."""
    recorders = [r for r in ACTIVE.recorders if not isinstance(r, RegionRecorder)]
    if not recorders:
        return
    for x in arrays:
        if x.flags.writeable:
            bool(np.all(np.equal(recorders[-1].constant(x), x.copy())))


def _merged(lin: Linearized) -> tuple[list[Any], list[Value | None]]:
    """Return the nodes and results of a tape in which what is computed twice is one value.

    A tape under a recorder is like that, so the graph of a function is the same under `jit`.
    """
    same: dict[Value, Value] = {}
    known: dict[Any, Value] = {}
    nodes: list[Any] = []
    for node in lin.tape.nodes:
        if type(node) is not Node:
            return lin.tape.nodes, lin.outs
        inputs = [same.get(x, x) if isinstance(x, Value) else x for x in node.inputs]
        if any(x is not y for x, y in zip(inputs, node.inputs, strict=True)):
            node = Node(node.op, inputs, node.attrs, node.outputs, node.line)
        # an array is held by the tape, and has the content that it had
        marked = [_Held(x) if isinstance(x, np.ndarray) else x for x in inputs]
        mark = number(node.op, marked, node.attrs) if len(node.outputs) == 1 else None
        earlier = None if mark is None else known.get(mark)
        if earlier is not None:
            same[node.outputs[0]] = earlier
            continue
        if mark is not None:
            known[mark] = node.outputs[0]
        nodes.append(node)
    return nodes, [None if v is None else same.get(v, v) for v in lin.outs]


class _Held:
    """An array by its identity."""

    __slots__ = ("array",)

    def __init__(self, array: Any) -> None:
        self.array = array

    def __eq__(self, other: object) -> bool:
        return type(other) is _Held and other.array is self.array

    def __hash__(self) -> int:
        return id(self.array)


def _needed(
    roots: Sequence[Value], nodes: Sequence[Any], results: Sequence[Value | None]
) -> set[Value]:
    """Return the values that the arguments reach and that reach a result."""
    reached = set(roots)
    for node in nodes:
        if type(node) is not Node:
            raise NotAccumulable("a loop is one operation")
        if node.op.derivative is ZERO:
            continue
        if any(isinstance(v, Value) and v in reached for v in node.inputs):
            reached.update(v for v in node.outputs if dtype_of(v.data).kind in "fc")
    wanted = {v for v in results if v is not None and v in reached}
    for node in reversed(nodes):
        if any(v in wanted for v in node.outputs):
            wanted.update(v for v in node.inputs if isinstance(v, Value) and v in reached)
    return wanted
