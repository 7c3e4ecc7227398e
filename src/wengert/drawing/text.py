"""Texts of a drawing: plain, DOT and Mermaid, with the same nodes and edges, and the equations."""

from __future__ import annotations

from collections.abc import Callable

from wengert.drawing.model import Diagram, Group, Node
from wengert.drawing.palette import LIGHT, REGIONS
from wengert.memory.profile import size_text

__all__ = ["dot", "equations", "mermaid", "summary", "text"]

_COLOURS = {"forward": "#0072B2", "backward": "#C14E00", "kept": "#00785A", "read": "#8a6d00"}


def summary(drawing: Diagram) -> list[tuple[str, str]]:
    """Return what a drawing shows in numbers."""
    operators = [n for n in drawing.nodes if n.kind == "operator"]
    there: list[Node] = []
    back: list[Node] = []
    for n in operators:
        if "." in n.id:  # of the body of a loop, which counts with its operator
            continue
        (there if n.order == 0 and n.stage == "forward" else back).append(n)
    kept = {e.source: e.nbytes for e in drawing.edges if e.kind == "kept"}
    rows = [("operators", f"{len(operators):,}")]
    if back:
        rows.append(("operations forward", f"{sum(n.flops for n in there):,}"))
        rows.append(("backward", f"{sum(n.flops for n in back):,}"))
        rows.append(("kept", size_text(sum(kept.values()))))
    else:
        rows.append(("operations", f"{sum(n.flops for n in there):,}"))
    if all(n.seconds is not None for n in operators if n.step >= 0) and operators:
        rows.append(("in NumPy", _seconds(sum(n.seconds or 0.0 for n in operators))))
    return rows


def _seconds(t: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if t >= size:
            return f"{t / size:.3g} {unit}"
    return f"{t / 1e-9:.3g} ns"


def _typed(n: Node) -> str:
    return f"{n.dtype}[{','.join(map(str, n.shape))}]"


def text(drawing: Diagram) -> str:
    """Return a line for each node: what it is, what it computes, and what it reads."""
    reads: dict[str, list[str]] = {}
    for e in drawing.edges:
        mark = {"kept": " (kept)", "read": " (read)"}.get(e.kind, "")
        reads.setdefault(e.target, []).append(f"{e.source}{mark}")
    lines = [f"{drawing.name}: " + ", ".join(f"{b} {a}" for a, b in summary(drawing))]

    def line(n: Node, indent: str) -> str:
        mark = "[ ]" if n.kind == "variable" else "( )"
        arrow = "" if n.id not in reads else f"  <- {', '.join(reads[n.id])}"
        cost = f", {n.flops:,} operations" if n.kind == "operator" else ""
        kept = f", kept {size_text(n.nbytes)}" if n.kept else ""
        what = f" = {n.formula}" if n.formula else ""
        stage = "" if n.stage == "forward" else f" {n.stage}"
        where = f" ({n.region})" if n.region else ""
        return (
            f"{indent}{mark} {n.id}{stage} {n.label}: {_typed(n)}{what}{where}{cost}{kept}{arrow}"
        )

    def begin(g: Group, indent: str) -> str:
        return f"{indent}{g.label}:"

    lines += _tree(drawing, line, begin, lambda indent: "")
    return "\n".join(x for x in lines if x)


def _tree(
    drawing: Diagram,
    node: Callable[[Node, str], str],
    begin: Callable[[Group, str], str],
    end: Callable[[str], str],
    first: str = "  ",
) -> list[str]:
    """Write nodes within their groups, in the order of the program."""
    inner: dict[str, list[Group | Node]] = {}
    placed: set[str] = set()
    groups = {g.id: g for g in drawing.groups}

    def put(g: Group) -> None:
        if g.id not in placed:
            placed.add(g.id)
            if g.parent:
                put(groups[g.parent])
            inner.setdefault(g.parent, []).append(g)

    for n in drawing.nodes:
        if n.group:
            put(groups[n.group])
        inner.setdefault(n.group, []).append(n)
    lines: list[str] = []

    def walk(group: str, indent: str) -> None:
        for x in inner.get(group, ()):
            if isinstance(x, Node):
                lines.append(node(x, indent))
            else:
                lines.append(begin(x, indent))
                walk(x.id, indent + "  ")
                lines.append(end(indent))

    walk("", first)
    return lines


def dot(drawing: Diagram) -> str:
    """Return a drawing in the language of Graphviz."""

    def quoted(s: str) -> str:
        return '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'

    def node(n: Node, indent: str) -> str:
        shape = "box" if n.kind == "variable" else "ellipse"
        colour = _COLOURS["forward" if n.order == 0 else "backward"]
        label = quoted(n.label + (f"\n{_typed(n)}" if n.kind == "variable" else ""))
        label = label.replace("\n", "\\n")
        tip = quoted(n.formula)
        fill = ""
        if n.region:
            tint = LIGHT[
                LIGHT._fields.index(f"region{drawing.regions.index(n.region) % REGIONS + 1}")
            ]
            fill = f", style=filled, fillcolor={quoted(tint + '4d')}"
            tip = quoted(f"{n.region}: {n.formula}")
        return (
            f"{indent}{quoted(n.id)} [label={label}, shape={shape}, color={quoted(colour)}, "
            f"tooltip={tip}{fill}];"
        )

    def begin(g: Group, indent: str) -> str:
        return f"{indent}subgraph {quoted('cluster_' + g.id)} {{ label={quoted(g.label)};"

    lines = [
        f"digraph {quoted(drawing.name)} {{",
        '  rankdir=LR; node [fontname="Helvetica", fontsize=11]; edge [arrowsize=0.6];',
        *_tree(drawing, node, begin, lambda indent: f"{indent}}}"),
    ]
    for e in drawing.edges:
        style = {"kept": ", style=dotted", "read": ", style=dotted", "backward": ", style=dashed"}
        size = f", label={quoted(size_text(e.nbytes))}" if e.kind == "kept" else ""
        lines.append(
            f"  {quoted(e.source)} -> {quoted(e.target)} "
            f"[color={quoted(_COLOURS[e.kind])}{style.get(e.kind, '')}{size}];"
        )
    return "\n".join([*lines, "}"]) + "\n"


def mermaid(drawing: Diagram) -> str:
    """Return a drawing as a Mermaid flowchart."""

    def name(i: str) -> str:
        return i.replace(".", "_")

    def quoted(s: str) -> str:
        for a, b in (("&", "&amp;"), ('"', "&quot;"), ("<", "&lt;"), (">", "&gt;"), ("#", "&num;")):
            s = s.replace(a, b)
        return f'"{s}"'

    def node(n: Node, indent: str) -> str:
        label = quoted(n.label).removesuffix('"') + (
            f'<br/>{_typed(n)}"' if n.kind == "variable" else '"'
        )
        ends = ("[", "]") if n.kind == "variable" else ("((", "))")
        stage = "forward" if n.order == 0 else "backward"
        return f"{indent}{name(n.id)}{ends[0]}{label}{ends[1]}:::{stage}"

    def begin(g: Group, indent: str) -> str:
        return f"{indent}subgraph {g.id}[{quoted(g.label)}]"

    lines = ["flowchart LR", *_tree(drawing, node, begin, lambda indent: f"{indent}end")]
    for e in drawing.edges:
        arrow = {"forward": "-->", "backward": "==>", "kept": "-.->", "read": "-.->"}[e.kind]
        size = f"|{quoted(size_text(e.nbytes))}|" if e.kind == "kept" else ""
        lines.append(f"  {name(e.source)} {arrow}{size} {name(e.target)}")
    lines.append(f"  classDef forward stroke:{_COLOURS['forward']}")
    lines.append(f"  classDef backward stroke:{_COLOURS['backward']}")
    for k, region in enumerate(drawing.regions):
        tint = LIGHT[LIGHT._fields.index(f"region{k % REGIONS + 1}")]
        members = ",".join(name(n.id) for n in drawing.nodes if n.region == region)
        lines += [f"  classDef region{k} fill:{tint}4d", f"  class {members} region{k}"]
    return "\n".join(lines) + "\n"


def equations(drawing: Diagram, latex: bool = False) -> str:
    """Return the equations of both passes."""
    parts = []
    for stage, title in (("forward", "forward"), ("backward", "backward")):
        found = [e for e in drawing.lines if e.stage == stage]
        if not found:
            continue
        if latex:
            rows = " \\\\\n".join("  " + e.latex.replace(" = ", " &= ", 1) for e in found)
            parts.append(f"% {title}\n\\begin{{align*}}\n{rows}\n\\end{{align*}}")
        else:
            parts.append("\n".join([title, *("  " + e.text for e in found)]))
    return "\n\n".join(parts) + ("\n" if latex else "")
