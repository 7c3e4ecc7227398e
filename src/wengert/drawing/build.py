"""From a recorded graph to the nodes, edges and groups of a drawing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from wengert.cost.count import NodeCount, count_nodes
from wengert.devices.split import Split
from wengert.drawing.collect import Collected
from wengert.drawing.derivatives import local_derivative
from wengert.drawing.formulas import Writer, number_of, sign_of
from wengert.drawing.grouping import Grouping
from wengert.drawing.model import Diagram, Edge, Equation, Node, Snapshot
from wengert.drawing.naming import name_values, stages_of
from wengert.drawing.regions import Around, Regions
from wengert.drawing.snapshots import snapshot
from wengert.drawing.sources import place_of
from wengert.ir import graph as ir
from wengert.ir.graph import Const, Graph, Place, Value, aval_of
from wengert.memory.profile import size_text

__all__ = ["build"]

SENT = "sent between devices"


def build(
    found: Collected,
    f: Callable[..., Any] | None = None,
    every: bool = False,
    split: Split | None = None,
) -> Diagram:
    """Return the drawing of what was collected.

    Parameters
    ----------
    found : Collected
    f : callable, optional
        The user's function, whose variables are known by name.
    every : bool
        Draw a square for each value, and not only for those that have a name in the source.
    split : Split, optional
        Which device does what.
    """
    return _Builder(found, f, every, split).drawing()


class _Builder:
    def __init__(
        self, found: Collected, f: Callable[..., Any] | None, every: bool, split: Split | None
    ) -> None:
        self.found = found
        self.split = split
        self.graph = found.graph
        self.every = every
        self.named = name_values(found, f, every)
        self.makers = {v: node for node in self.graph.nodes for v in node.outputs}
        self.writer = Writer(self.makers, self.named.symbols, self.named.part)
        self.written = 0
        """How many of its long parts have equations."""
        self.nodes: list[Node] = []
        self.edges: dict[tuple[str, str, str], Edge] = {}
        self.lines: list[Equation] = []
        self.stages = stages_of(self.graph)
        self.grouping = Grouping(self.graph, self.stages)
        self.order = _orders(self.graph, self.stages)
        for me, n in self.order.items():
            if n and self.stages[me] in ("forward", "tangent"):  # of results of the way back
                self.stages[me] = "backward"
        self.back = {n for n, stage in self.stages.items() if stage in ("backward", "again")}
        self.place: dict[Any, str] = {}
        """Where a value comes from: its variable, or else its operator."""
        self.operators: dict[int, str] = {}
        self.at: dict[str, int] = {}
        """Where operators stand among the nodes."""
        self.regions = Regions(self.nodes, self._link, self.grouping)

    def drawing(self) -> Diagram:
        graph, found = self.graph, self.found
        each_count, charges = count_nodes(graph)
        kept = self._kept()
        for v in (*graph.inputs, *graph.consts()):
            if v in self.named.symbols:
                self._variable(v, None, -1, kept)
        primals = self._primals()
        for i, node in enumerate(graph.nodes):
            charge = charges[each_count[i]]
            self._send(node.outputs[0])
            self._operator(i, node, charge, primals.get(id(node)), kept)
        self._send(None)
        for name, tex, role, y in self.named.extra:
            self._extra(name, tex, role, y)
        self.lines.sort(key=lambda e: e.stage != "forward")
        readers: dict[str, list[str]] = {}
        for e in self.edges.values():
            readers.setdefault(e.source, []).append(e.target)
        self.grouping.repeat(self.nodes, readers)
        self.grouping.settle(self.nodes, readers)
        groups = self.grouping.groups(self.nodes)
        notes = () if found.trips or not self.grouping.loops else ("loops are not told apart",)
        return Diagram(
            found.name if found.name != "<lambda>" else "f",
            tuple(self.nodes),
            tuple(self.edges.values()),
            groups,
            tuple(self.lines),
            notes,
        )

    # --- nodes ------------------------------------------------------------------------------------
    def _region(self, out: Value) -> str:
        return "" if self.split is None else self.split.regions.get(out, "")

    def _send(self, before: Value | None) -> None:
        """Draw what devices send to each other before an operation."""
        for k, sending in enumerate(self.split.sendings if self.split else ()):
            v = sending.value
            if sending.before is not before or v not in self.place:
                continue
            me, maker = f"s{k}", self.makers.get(v)
            stage = "forward" if maker is None else self.stages[id(maker)]
            order = 0 if maker is None else self.order[id(maker)]
            at = self.nodes[-1].step if maker is None else self.found.graph.nodes.index(maker)
            self.nodes.append(
                Node(me, "operator", sending.kind, stage, order, "", sending.kind, tuple(v.shape),
                     ir.dtype_name(v.dtype), v.aval.nbytes, read=sending.nbytes,
                     formula=f"{sending.kind}: {size_text(sending.nbytes)} between devices",
                     group="" if maker is None else self.grouping.of(maker), region=SENT, step=at,
                     value=self.found.values.get(v))
            )  # fmt: skip
            self._link(self.place[v], me, "backward" if order else "forward", v.aval)
            self.place[v] = me

    def _names(self, node: ir.Node) -> list[str]:
        known = self.named.symbols
        return [
            known[x][0] if isinstance(x, (Value, Const)) and x in known else "" for x in node.inputs
        ]

    def _operator(
        self, i: int, node: ir.Node, charge: NodeCount, primal: str | None, kept: set[Any]
    ) -> None:
        me, found = f"o{i}", self.found
        self.operators[id(node)] = me
        file, line, function, source = place_of(node.line)
        out = node.outputs[0]
        expression = self.writer.of(out, top=True)
        text, tex = expression.text, expression.latex
        if expression.factor != 1.0 or not text:
            text, tex = self.writer.defined(out)
        self._write_parts()
        seconds = found.seconds[i] if found.seconds else None
        stage = self.stages[id(node)]
        value = found.values.get(out)
        ct = found.cotangents.get(out)
        group = self.grouping.of(node)
        reads = self.regions.draw(
            node,
            Around(me, group, stage, self.order[id(node)], 1, found.bodies, self._names(node)),
        )
        self.at[me] = len(self.nodes)
        self.nodes.append(
            Node(
                me, "operator", sign_of(node), stage, self.order[id(node)], "", node.op.name,
                tuple(out.shape), ir.dtype_name(out.dtype),
                sum(v.aval.nbytes for v in node.outputs), charge.flops, charge.read,
                charge.written, seconds, text, tex,
                local_derivative(node), file, line, function, source, group, primal or "",
                any(v in kept and v not in self.named.symbols for v in node.outputs), i, value,
                self._shot(ct), region=self._region(out),
            )
        )  # fmt: skip
        for x, targets in zip(node.inputs, reads, strict=True):
            for target in targets or [me]:
                self._edge(x, target, node)
        for v in node.outputs:
            self.place[v] = me
            if v in self.named.symbols:
                self._variable(v, node, i, kept)

    def _variable(self, v: Any, node: ir.Node | None, step: int, kept: set[Any]) -> None:
        name, tex = self.named.symbols[v]
        role = self.named.roles[v]
        me = f"v{len(self.nodes)}"
        aval = aval_of(v)
        stage = "forward" if node is None else self.stages[id(node)]
        order = 0 if node is None else self.order[id(node)]
        file, line, function, source = ("", 0, "", "") if node is None else place_of(node.line)
        text, latex = ("", "") if node is None else self.writer.defined(v)
        self._write_parts()
        ct = self.found.cotangents.get(v)
        self.nodes.append(
            Node(
                me, "variable", name, stage, order, role, "", tuple(aval.shape),
                ir.dtype_name(aval.dtype), aval.nbytes, formula=text, latex=latex, file=file,
                line=line, function=function, source=source,
                group="" if node is None else self.grouping.of(node),
                kept=v in kept, step=step, value=self.found.values.get(v), cotangent=self._shot(ct),
                region="" if node is None else self._region(node.outputs[0]),
            )
        )  # fmt: skip
        if node is not None:
            self._link(self.place[v], me, self._kind(node, node), aval)
            back = id(node) in self.back
            self.lines.append(
                Equation("backward" if back else "forward", me, f"{name} = {text}",
                         f"{tex} = {latex}")
            )  # fmt: skip
        self.place[v] = me

    def _extra(self, name: str, tex: str, role: str, y: Any) -> None:
        """Draw a result that is a number, or a value that has another name already."""
        number = number_of(y)
        stage = "forward" if role == "result" else "backward"
        if number is not None:
            text, latex = f"{number:.6g}", f"{number:.6g}"
        elif isinstance(y, (Value, Const)) and y in self.named.symbols:
            text, latex = self.named.symbols[y]
        else:
            text, latex = self.writer.defined(y)
            self._write_parts()
        me = f"v{len(self.nodes)}"
        is_drawn = role != "cotangent" and y in self.place
        line = Equation(stage, me if is_drawn else "", f"{name} = {text}", f"{tex} = {latex}")
        if number is not None and stage == "backward":
            first = next((k for k, e in enumerate(self.lines) if e.stage == "backward"), None)
            self.lines.insert(len(self.lines) if first is None else first, line)
        else:
            self.lines.append(line)
        if not is_drawn:
            return
        aval = aval_of(y)
        shot = self.found.values.get(y) if isinstance(y, (Value, Const)) else snapshot(y)
        source = next(n for n in reversed(self.nodes) if n.id == self.place[y])
        self.nodes.append(
            Node(me, "variable", name, stage, int(stage == "backward"), role, "", tuple(aval.shape),
                 ir.dtype_name(aval.dtype), aval.nbytes, formula=text, latex=latex, value=shot,
                 group=source.group, step=source.step)
        )  # fmt: skip
        self._link(self.place[y], me, stage, aval)

    def _write_parts(self) -> None:
        """Add the equations of long parts of formulas, which have names, before those with them."""
        while self.written < len(self.writer.parts):
            x, (name, tex) = self.writer.parts[self.written]
            self.written += 1
            text, latex = self.writer.defined(x)
            maker = self.makers[x]
            stage = "backward" if id(maker) in self.back else "forward"
            me = self.operators[id(maker)]
            at = self.at[me]
            self.nodes[at] = replace(
                self.nodes[at], formula=f"{name} = {text}", latex=f"{tex} = {latex}"
            )
            self.lines.append(Equation(stage, me, f"{name} = {text}", f"{tex} = {latex}"))

    # --- edges ------------------------------------------------------------------------------------
    def _edge(self, x: Any, target: str, node: ir.Node) -> None:
        if not isinstance(x, (Value, Const)) or x not in self.place:
            return
        maker = self.makers.get(x) if isinstance(x, Value) else None
        self._link(self.place[x], target, self._kind(maker, node), aval_of(x))

    def _link(self, source: str, target: str, kind: str, aval: Any) -> None:
        key = source, target, kind
        if key not in self.edges:
            self.edges[key] = Edge(
                source, target, kind, tuple(aval.shape), ir.dtype_name(aval.dtype), aval.nbytes
            )

    def _kind(self, maker: ir.Node | None, reader: ir.Node) -> str:
        """Return the kind of an edge between what makes a value and what reads it."""
        stage = self.stages[id(reader)]
        before = "" if maker is None else self.stages[id(maker)]
        if id(reader) not in self.back or before == "again" or (not before and stage == "again"):
            return "forward"
        if maker is None:
            return "read"
        return "backward" if id(maker) in self.back else "kept"

    # --- what is known of values ------------------------------------------------------------------
    def _shot(self, ct: Any) -> Snapshot | None:
        if ct is None:
            return None
        return self.found.values.get(ct) if isinstance(ct, (Value, Const)) else snapshot(ct)

    def _kept(self) -> set[Any]:
        """Return the values of the way there that the way back reads."""
        kept = set()
        for node in self.graph.nodes:
            if id(node) in self.back:
                for x in node.inputs:
                    maker = self.makers.get(x) if isinstance(x, Value) else None
                    if maker is not None and id(maker) not in self.back:
                        kept.add(x)
        return kept

    def _primals(self) -> dict[int, str]:
        """Return the operator whose derivative each node is part of."""
        at: dict[int, str] = {}
        for i, node in enumerate(self.graph.nodes):
            if isinstance(node.line, Place):
                at.setdefault(id(node.line), f"o{i}")
        found = {
            id(n): at[id(n.line.primal)]
            for n in self.graph.nodes
            if isinstance(n.line, Place) and id(n.line.primal) in at
        }
        for i, n in enumerate(self.graph.nodes):
            if self.stages[id(n)] == "again" and at.get(id(n.line), f"o{i}") != f"o{i}":
                found.setdefault(id(n), at[id(n.line)])
        return found


def _orders(graph: Graph, stages: Mapping[int, str]) -> dict[int, int]:
    """Return how often each node was differentiated: 0, or one more than what it is for.

    What is computed of derivatives, and is none itself, counts as they do.
    """
    found: dict[int, int] = {}
    made: dict[Value, int] = {}
    for node in graph.nodes:
        n, place = 0, node.line
        while isinstance(place, Place) and place.primal is not None:
            n += place.stage in ("backward", "again")
            place = place.primal
        if stages[id(node)] == "backward":
            n = max(n, 1)
        elif stages[id(node)] == "again":
            n = max(n - 1, 0)  # it goes the way of what it computes again
        if stages[id(node)] != "again":
            n = max([n, *(made.get(x, 0) for x in node.inputs if isinstance(x, Value))])
        found[id(node)] = n
        made.update(dict.fromkeys(node.outputs, n))
    return found
