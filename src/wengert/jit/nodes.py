"""The operations of a plan as data: where each comes from, what it costs and holds."""

from __future__ import annotations

import linecache
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from wengert.cost.count import count_nodes
from wengert.ir.graph import Const, Graph, Node, Place, Value, aval_of
from wengert.memory.profile import Memory, residual_values

__all__ = ["PlanNode", "nodes_of"]


class PlanNode(NamedTuple):
    """One operation of a plan.

    Attributes
    ----------
    number : int
        Its place in the order in which the plan runs.
    op : str
        The row of the operation table.
    inputs : tuple
        What it reads: the number of another node, ``("input", i)`` for an argument of the graph,
        ``("constant", aval)`` for a captured array, or a number of the program.
    shapes, dtypes : tuple
        Of its results.
    stage : str
        ``value``; ``backward`` or ``tangent`` for what only a derivative needs; ``again`` for what
        the backward pass computes again.
    primal : int or None
        The node whose derivative it computes, or that it computes again, where that is in the plan.
    file, line, function : str, int, str
        Of the user's code; of a derivative, those of what is differentiated. Empty and 0 where
        they are not known.
    calls : tuple of (str, str, int)
        File, function and line of the calls that led there, innermost first.
    flops : int
        Operations; a multiply-add is 2.
    kinds : mapping
        Operations by kind.
    read, written : int
        Bytes.
    nbytes : int
        Bytes of the results.
    held : tuple of int or None
        The first and the last step of the program in which memory holds them; None for what stays
        in registers, shares the memory of another array, or runs in NumPy.
    kept : bool
        Whether the function computes it and its derivative reads it.
    """

    number: int
    op: str
    inputs: tuple[Any, ...]
    shapes: tuple[tuple[int, ...], ...]
    dtypes: tuple[str, ...]
    stage: str
    primal: int | None
    file: str
    line: int
    function: str
    calls: tuple[tuple[str, str, int], ...]
    flops: int
    kinds: Mapping[str, int]
    read: int
    written: int
    nbytes: int
    held: tuple[int, int] | None
    kept: bool

    @property
    def source(self) -> str:
        """The line of the user's source."""
        return linecache.getline(self.file, self.line).strip() if self.file else ""

    @property
    def made(self) -> str:
        """Dtypes and shapes of the results: ``float64[64,10]``."""
        return ", ".join(
            f"{d}[{','.join(map(str, s))}]" for d, s in zip(self.dtypes, self.shapes, strict=True)
        )

    @property
    def place(self) -> str:
        """``name.py:12``; empty where the line is not known."""
        return f"{os.path.basename(self.file)}:{self.line}" if self.file else ""

    def cells(self) -> tuple[str, ...]:
        """Return a row of a table: number, operation, result, part, costs, kept, and the line."""
        of = f" of {self.primal}" if self.primal is not None else ""
        return (
            *(f"{self.number}", self.op, self.made, self.stage + of, f"{self.flops:,}"),
            *(f"{self.read + self.written:,}", "kept" if self.kept else "", self.place),
            self.source,
        )

    def __str__(self) -> str:
        """Return a line for people."""
        place = f", {self.place}" if self.file else ""
        of = f" of {self.primal}" if self.primal is not None else ""
        return (
            f"{self.number}: {self.op} -> {self.made}, {self.stage}{of}, {self.flops:,} "
            f"operations, {self.read + self.written:,} bytes{place}"
        )


def nodes_of(graph: Graph, memory: Memory) -> tuple[PlanNode, ...]:
    """Describe the nodes of a graph, which a program with this use of memory runs."""
    numbers: dict[Any, Any] = {v: ("input", i) for i, v in enumerate(graph.inputs)}
    places: dict[int, int] = {}
    for i, node in enumerate(graph.nodes):
        numbers.update((v, i) for v in node.outputs)
        if isinstance(node.line, Place) and node.line.stage == "value":
            places[id(node.line)] = i
        elif isinstance(node.line, Place):
            places.setdefault(id(node.line), i)
    each, charges = count_nodes(graph)
    spans = memory.spans
    kept = residual_values(graph, {v for node in graph.nodes for v in node.outputs})
    found = []
    for i, node in enumerate(graph.nodes):
        charge = charges[each[i]]
        place = node.line
        stage, primal = "value", None
        calls: tuple[tuple[str, str, int], ...] = ()
        if isinstance(place, Place):
            stage, calls = place.stage, place.calls
            primal = places.get(id(place.primal)) if place.primal is not None else None
        held = [spans[v] for v in node.outputs if v in spans]
        found.append(
            PlanNode(
                i,
                node.op.name,
                tuple([_operand(x, numbers) for x in node.inputs]),
                tuple([v.shape for v in node.outputs]),
                tuple([str(v.dtype) for v in node.outputs]),
                stage,
                primal,
                place[0] if place else "",
                place[1] if place else 0,
                calls[0][1] if calls else "",
                calls,
                charge.flops,
                dict(charge.kinds),
                charge.read,
                charge.written,
                _nbytes(node),
                (min(a for a, _ in held), max(b for _, b in held)) if held else None,
                any(v in kept for v in node.outputs),
            )
        )
    return tuple(found)


def _operand(x: Any, numbers: Mapping[Any, Any]) -> Any:
    if isinstance(x, Value):
        return numbers[x]
    return ("constant", str(aval_of(x))) if isinstance(x, Const) else x


def _nbytes(node: Node) -> int:
    return sum(v.aval.nbytes for v in node.outputs)
