"""Names of a graph's values: those that the user's source gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wengert.drawing.collect import Collected
from wengert.drawing.formulas import latex_name, number_of
from wengert.drawing.sources import leaves_named, statement_at, variables_of
from wengert.ir.graph import Graph, Node, Place, Value
from wengert.ops.base import TABLE

__all__ = ["Named", "name_values", "stage_of", "stages_of"]

_BELOW = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


class Named:
    """The symbols of a graph.

    Attributes
    ----------
    symbols : dict
        From a value or a constant to its name as text and as LaTeX.
    roles : dict
        From a value to ``input``, ``constant``, ``value``, ``result`` or ``gradient``.
    of : dict
        From a cotangent to the value that it belongs to.
    extra : list
        Results that are another's value again, or a plain number: ``(name, latex, role, output)``.
    """

    def __init__(self) -> None:
        self.symbols: dict[Any, tuple[str, str]] = {}
        self.roles: dict[Any, str] = {}
        self.of: dict[Any, Any] = {}
        self.extra: list[tuple[str, str, str, Any]] = []
        self.used: dict[str, int] = {}
        self.several: set[str] = set()
        self.parts = 0

    def expect(self, names: Iterable[str]) -> None:
        """Let names that occur several times have numbers from the first on."""
        counts = Counter(names)
        self.several = {name for name, n in counts.items() if n > 1}

    def part(self) -> tuple[str, str]:
        """Return a name for a part of formulas, as text and as LaTeX."""
        while True:
            self.parts += 1
            text = f"t{str(self.parts).translate(_BELOW)}"
            if text not in self.used:
                self.used[text] = 1
                return text, f"t_{{{self.parts}}}"

    def give(self, x: Any, name: str, role: str) -> None:
        """Name a value, with a number behind it where the name is taken."""
        if x in self.symbols:
            return
        text = self.fresh(name)
        self.symbols[x] = text, latex_name(text)
        self.roles[x] = role

    def fresh(self, name: str) -> str:
        """Return a name that nothing else has."""
        n = self.used[name] = self.used.get(name, 0) + 1
        if n == 1 and name not in self.several:
            return name
        text = f"{name}{str(n).translate(_BELOW)}" if not name[-1:].isdigit() else f"{name}_{n}"
        return text if text not in self.used else self.fresh(name)


def stage_of(node: Node) -> str:
    """Return the pass that a node was recorded in."""
    if not isinstance(node.line, Place):
        return "forward"
    return "forward" if node.line.stage == "value" else node.line.stage


def stages_of(graph: Graph) -> dict[int, str]:
    """Return the pass that each node belongs to.

    What has the place of an earlier operation, and stands on the way back, is computed again.
    """
    found: dict[int, str] = {}
    places: set[int] = set()
    is_back = False
    for node in graph.nodes:
        stage = stage_of(node)
        is_back = is_back or stage == "backward"
        if stage == "forward" and is_back and id(node.line) in places:
            stage = "again"
        places.add(id(node.line))
        found[id(node)] = stage
    return found


def name_values(found: Collected, f: Callable[..., Any] | None, every: bool) -> Named:
    """Name the inputs, what statements assign, the results, and the cotangents of all these."""
    named = Named()
    graph = found.graph
    for v, name in zip(graph.inputs, found.arguments, strict=True):
        named.give(v, name, "input")
    outside = leaves_named(variables_of(f)) if f is not None else {}
    constants = [c for c in graph.consts() if number_of(c) is None]
    for k, c in enumerate(constants):
        named.give(c, outside.get(id(c.data), f"c{k}" if len(constants) > 1 else "c"), "constant")
    assigned = _assigned(graph)
    named.expect(assigned.values())
    made = {v: node for node in graph.nodes for v in node.outputs}
    for node in graph.nodes:
        target = assigned.get(id(node))
        if target and stage_of(node) == "forward" and node.outputs[0] not in graph.outputs:
            named.give(node.outputs[0], target, "value")
    _name_results(named, found, assigned, made)
    if every:
        count = 0
        for node in graph.nodes:
            for v in node.outputs:
                if stage_of(node) == "forward" and v not in named.symbols:
                    count += 1
                    named.give(v, f"v{count}", "value")
    _name_cotangents(named, found, made)
    return named


def _name_results(
    named: Named, found: Collected, assigned: Mapping[int, str], made: Mapping[Any, Node]
) -> None:
    """Name what the function returns; its gradients come later."""
    outputs = list(zip(found.graph.outputs, found.results, strict=True))
    results = [y for y, role in outputs if role == "result"]
    shown = found.name.replace("<lambda>", "y") if found.name == "<lambda>" else found.name
    for k, y in enumerate(results):
        several = len(results) > 1
        node = made.get(y) if isinstance(y, Value) else None
        name = (assigned.get(id(node)) if node is not None else None) or (
            f"{shown}[{k}]" if several else shown
        )
        if isinstance(y, Value) and y not in named.symbols:
            named.give(y, name, "result")
        else:
            text = named.fresh(name)
            named.extra.append((text, latex_name(text), "result", y))


def _name_cotangents(named: Named, found: Collected, made: Mapping[Any, Node]) -> None:
    results = [y for y, role in zip(found.graph.outputs, found.results, strict=True)
               if role == "result"]  # fmt: skip
    top = named.symbols.get(results[0]) if results and isinstance(results[0], Value) else None
    top = top or (named.extra[0][:2] if named.extra else ("y", "y"))
    if len(results) > 1:
        top = "y", "y"
    gradients: dict[str, Any] = {}
    for y, role, of in zip(found.graph.outputs, found.results, found.of, strict=True):
        if role == "gradient":
            gradients[of] = y
    for v, ct in found.cotangents.items():
        if v not in named.symbols or named.roles[v] == "result":
            continue
        name, tex = named.symbols[v]
        text = f"∂{top[0]}/∂{name}"
        latex = rf"\frac{{\partial {top[1]}}}{{\partial {tex}}}"
        role = "gradient" if gradients.get(name) is ct and named.roles[v] == "input" else "value"
        gradients.pop(name, None) if role == "gradient" else None
        maker = made.get(ct) if isinstance(ct, Value) else None
        if maker is None or stage_of(maker) == "forward" or ct in named.symbols:
            named.extra.append((text, latex, "gradient" if role == "gradient" else "cotangent", ct))
            continue
        named.symbols[ct] = text, latex
        named.roles[ct] = role
        named.of[ct] = v
    for name, ct in gradients.items():  # of arguments that do not matter, or matter in a constant
        text = f"∂{top[0]}/∂{name}"
        latex = rf"\frac{{\partial {top[1]}}}{{\partial {latex_name(name)}}}"
        if isinstance(ct, Value) and ct not in named.symbols:
            named.symbols[ct] = text, latex
            named.roles[ct] = "gradient"
        else:
            named.extra.append((text, latex, "gradient", ct))


def _assigned(graph: Graph) -> dict[int, str]:
    """Return the variables that statements assign, by the ids of the nodes that make them.

    A statement's value is made by the last operation of its run; where that is what a function
    returns, it is assigned by the statement that called it.
    """
    forward = [n for n in graph.nodes if stage_of(n) == "forward" and isinstance(n.line, Place)]
    found: dict[int, str] = {}
    keys: Sequence[list[Any]] = [_frames(n) for n in forward]
    for i, node in enumerate(forward):
        following = keys[i + 1] if i + 1 < len(forward) else []
        for depth in range(len(keys[i]) - 1, -1, -1):  # innermost first
            if following[: depth + 1] == keys[i][: depth + 1]:
                break  # the statement goes on
            statement = keys[i][depth][-1]
            if statement is None or not (statement.target or statement.returns):
                break
            if statement.target:
                if _may_end(node, statement.last):
                    found[id(node)] = statement.target
                break
    return found


_LAST = {
    "Add": {"add", "subtract", "logical_or"},
    "Sub": {"subtract", "add", "negative"},
    "Mult": {"multiply", "negative", "square", "divide", "logical_and", "power"},
    "Div": {"divide", "multiply", "negative", "reciprocal"},
    "MatMult": {"contract", "multiply", "sum", "transpose", "reshape"},
    "Pow": {"power", "square", "sqrt", "multiply", "divide", "reciprocal", "exp2"},
    "USub": {"negative", "multiply", "subtract"},
}
"""Operations that an operator of Python may end with, simplified ones among them."""


def _may_end(node: Node, last: str) -> bool:
    """Whether an operation can be the last one of a statement; a plan may do without that one."""
    name = node.op.name
    if last in _LAST:
        return name in _LAST[last]
    return last not in TABLE or name == last


def _frames(node: Node) -> list[Any]:
    """Return the statements that led to a node, outermost first, with the trip."""
    place = node.line
    assert isinstance(place, Place)
    frames = []
    for spot in reversed(place.calls):
        statement = statement_at(spot)
        frames.append((spot[0], spot[1], statement))
    return [(id(place.trip), *frame) for frame in frames]
