"""What loops and branches run, drawn as boxes within boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from wengert.cost.count import count_nodes
from wengert.drawing.bodies import Ran
from wengert.drawing.derivatives import local_derivative
from wengert.drawing.formulas import Writer, sign_of
from wengert.drawing.grouping import Grouping
from wengert.drawing.model import Node
from wengert.drawing.sources import place_of
from wengert.ir import graph as ir
from wengert.ir.graph import Graph, Value
from wengert.ir.regions import each

__all__ = ["Around", "Regions"]

MOST = 400
"""Loops whose bodies have more operations are drawn as the loop alone."""

Link = Callable[[str, str, str, Any], None]
"""From source, target, kind and abstract value to an edge."""


class Around(NamedTuple):
    """What is known of an operation that has regions.

    Attributes
    ----------
    id, group, stage : str
    order, times : int
        How often it was differentiated, and how often it runs itself.
    ran : mapping
        How its regions ran, by its first result and their number.
    names : sequence of str
        Of its operands; empty for those without.
    """

    id: str
    group: str
    stage: str
    order: int
    times: int
    ran: Mapping[tuple[Value, int], Ran]
    names: Sequence[str]


class Regions:
    """Adds the nodes and edges of regions to those of a drawing."""

    def __init__(self, nodes: list[Node], link: Link, grouping: Grouping) -> None:
        self.nodes = nodes
        self.link = link
        self.grouping = grouping

    def draw(self, node: ir.Node, around: Around) -> list[list[str]]:
        """Draw what a node runs; return where each of its operands is read, empty for by itself."""
        graphs = list(each(node))
        reads: list[list[str]] = [[] for _ in node.inputs]
        if not graphs or sum(_size(g) for _, g in graphs) > MOST:
            return reads
        counted = {id(g): n for g, n in node.op.runs(**node.attrs)}
        for number, (name, region) in enumerate(graphs):
            ran = around.ran.get((node.outputs[0], number))
            runs = ran.total if ran is not None else counted.get(id(region))
            label = _label(node, name, number, len(graphs), runs)
            trips = () if ran is None else ran.trips
            box = self.grouping.body(node, around.group, number, label, runs or 0, trips)
            first = len(node.inputs) - len(region.inputs)  # a branch's index comes before
            names = _names(node, around.names)[first:]
            starts = self._body(f"{around.id}.{number}", region, box, names, ran,
                                around, around.times * max(runs or 1, 1))  # fmt: skip
            for k, start in enumerate(starts, first):
                if start:
                    reads[k].append(start)
        return reads

    def _body(
        self, me: str, region: Graph, box: str, names: Sequence[str], ran: Ran | None,
        around: Around, times: int,
    ) -> list[str]:  # fmt: skip
        """Draw a region; return the node of each of its inputs, empty where nothing reads it."""
        counts, charges = count_nodes(region)
        stage, order = around.stage, around.order
        shots = {} if ran is None else ran.shots
        places: dict[Any, str] = {}
        starts = []
        symbols = {v: (n, rf"\mathrm{{{n}}}") for v, n in zip(region.inputs, names, strict=True)}
        writer = Writer({v: n for n in region.nodes for v in n.outputs}, symbols)
        read = {x for n in region.nodes for x in n.inputs if isinstance(x, Value)}
        kind = "backward" if order else "forward"
        for k, v in enumerate(region.inputs):
            if v not in read and v not in region.outputs:
                starts.append("")
                continue
            here = places[v] = f"{me}.v{k}"
            starts.append(here)
            found = shots.get(v, ())
            self.nodes.append(
                Node(here, "variable", symbols[v][0], stage, order, "value", "", tuple(v.shape),
                     ir.dtype_name(v.dtype), v.aval.nbytes, group=box,
                     value=found[0] if found else None, trips=found)
            )  # fmt: skip
        for i, node in enumerate(region.nodes):
            here = f"{me}.o{i}"
            charge = charges[counts[i]]
            file, line, function, source = place_of(node.line)
            out = node.outputs[0]
            text, tex = writer.defined(out)
            found = shots.get(out, ())
            reads = self.draw(
                node, Around(here, box, stage, order, times, {} if ran is None else ran.inner,
                             [writer.names[x][0] if isinstance(x, Value) and x in writer.names
                              else "" for x in node.inputs])
            )  # fmt: skip
            self.nodes.append(
                Node(here, "operator", sign_of(node), stage, order, "", node.op.name,
                     tuple(out.shape), ir.dtype_name(out.dtype),
                     sum(v.aval.nbytes for v in node.outputs), times * charge.flops,
                     times * charge.read, times * charge.written, None, text, tex,
                     local_derivative(node), file, line, function, source, box,
                     value=found[0] if found else None, trips=found)
            )  # fmt: skip
            for x, targets in zip(node.inputs, reads, strict=True):
                if isinstance(x, Value) and x in places:
                    for target in targets or [here]:
                        self.link(places[x], target, kind, x.aval)
            places.update((v, here) for v in node.outputs)
        for y in region.outputs:
            if isinstance(y, Value) and y in places:
                self.link(places[y], around.id, kind, y.aval)
        return starts


def _size(graph: Graph) -> int:
    return len(graph.nodes) + sum(_size(g) for n in graph.nodes for _, g in each(n))


def _label(node: ir.Node, name: str, number: int, several: int, runs: int | None) -> str:
    """Say what a region is, and how often it ran."""
    kind = {"while_loop": "while"}.get(node.op.name, node.op.name)
    if node.op.name == "cond":
        taken = "" if runs is None or several < 2 else ", taken" if runs else ", not taken"
        return f"cond: branch {number}{taken}"
    times = "" if runs is None else f" × {runs:,}"
    return f"{kind}: {name}{times}" if several > 1 else f"{kind}{times}"


def _names(node: ir.Node, given: Sequence[str]) -> list[str]:
    """Name the inputs of a body: what a loop carries, its rows, and by their names outside."""
    consts = node.attrs.get("consts", 0)
    carries = node.attrs.get("carries", len(node.inputs) - consts)
    found = []
    for k, name in enumerate(given):
        if node.op.name == "cond":
            found.append(name or f"p{k - 1}")
        elif k < consts:
            found.append(name or f"p{k}")
        elif k < consts + carries:
            found.append(_numbered("carry", k - consts, carries))
        else:
            row = f"{name}[t]" if name else "row"
            rest = len(given) - consts - carries
            found.append(row if name else _numbered(row, k - consts - carries, rest))
    return found


def _numbered(name: str, k: int, several: int) -> str:
    below = str(k + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
    return f"{name}{below}" if several > 1 else name
