"""The text form of a graph, printed and parsed.

::

    graph(%0: f64[3], %1: f64[])
    $0: f64[1000,3]
    %2: f64[1000] = contract($0, %0) spec='ij,j->i'
    %3: b8[] = greater(%1, 0.0)
    guard bool(%3) == True
    %4: f64[999] = getitem(%2) spec=[1:]
    -> (%4, %1)

A line per node: the values it makes with their shapes and dtypes, the operation, its inputs and
its attributes. ``~f64[]`` is a Python scalar, which has no dtype of its own in NumPy's promotion.
Arrays held by reference are ``$0``, ``$1``, ...: the header gives their shapes, and `parse` is
given the arrays themselves. A guard stands after the nodes that ran before the decision. What
follows ``#`` is a comment. Parsing a printed graph and printing it again gives the same text.

A region, which is a graph among a node's attributes, stands between braces on lines of its own,
and names its values from ``%0`` on::

    %2: f64[], %3: f64[9] = scan(%0, %1) body={
      graph(%0: f64[], %1: f64[])
      %2: f64[] = multiply(%0, %1)
      -> (%2, %2)
    } length=9
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wengert.ir.graph import Aval, Const, Graph, Guard, Node, Value
from wengert.ir.literal import Reader, is_scalar, write
from wengert.ir.regions import is_region

__all__ = ["Names", "parse", "show"]


# --- printing -------------------------------------------------------------------------------------
class Names:
    """Names of a graph's values and arrays in the order of definition: ``%0``, ``$0``."""

    def __init__(self, graph: Graph) -> None:
        self.names: dict[int, str] = {}
        self.graph = graph  # keeps the ids valid
        for value in graph.values():
            self.names.setdefault(id(value), f"%{len(self.names)}")
        for k, const in enumerate(graph.consts()):
            self.names[id(const)] = f"${k}"

    def operand(self, x: Any) -> str:
        """Return the text of what a node reads; ``%?`` for a value that is not of the graph."""
        if isinstance(x, (Value, Const)):
            return self.names.get(id(x), "%?" if isinstance(x, Value) else "$?")
        return write(x)

    def typed(self, x: Value | Const) -> str:
        """Return a name with its shape and dtype."""
        return f"{self.operand(x)}: {x.aval}"

    def node(self, node: Node) -> str:
        """Return a node's line."""
        made = ", ".join(map(self.typed, node.outputs))
        call = f"{node.op.name}({', '.join(map(self.operand, node.inputs))})"
        attrs = "".join(f" {name}={_attribute(name, a)}" for name, a in node.attrs.items())
        return f"{made} = {call}{attrs}"

    def guard(self, guard: Guard) -> str:
        """Return a guard's line."""
        return f"guard {guard.kind}({self.operand(guard.value)}) == {write(guard.outcome)}"


def _attribute(name: str, x: Any) -> str:
    """Return an attribute's text; an index template always stands in brackets."""
    if is_region(x):
        return f"({', '.join(map(_braced, x))},)" if isinstance(x, tuple) else _braced(x)
    text = write(x)
    if name == "spec" and isinstance(x, tuple) and text.startswith("("):
        return f"[{text[1:-1].removesuffix(',')}]"
    return text


def _braced(region: Graph) -> str:
    """Return a region's lines between braces."""
    return "{\n" + "\n".join(f"  {line}" for line in show(region).splitlines()) + "\n}"


def show(graph: Graph, *, lines: bool = False) -> str:
    """Return a graph's text form.

    Parameters
    ----------
    graph : Graph
    lines : bool
        Add the user's file and line to each node, as a comment.

    Raises
    ------
    GraphError
        For an attribute that is not plain data.
    """
    names = Names(graph)
    text = [f"graph({', '.join(map(names.typed, graph.inputs))})"]
    text += map(names.typed, graph.consts())
    guards = sorted(graph.guards, key=lambda g: g.position)
    done = 0
    for k, node in enumerate([*graph.nodes, None]):
        while done < len(guards) and guards[done].position <= k:
            text.append(names.guard(guards[done]))
            done += 1
        if node is not None:
            comment = f"  # {node.line[0]}:{node.line[1]}" if lines and node.line else ""
            text.append(names.node(node) + comment)
    text.append(f"-> ({', '.join(map(names.operand, graph.outputs))})")
    return "\n".join(text)


# A graph prints itself, but graph.py stands below this module and cannot import it.
Graph.__str__ = show  # type: ignore[assignment, method-assign]


# --- parsing --------------------------------------------------------------------------------------
NAME = re.compile(r"[%$]\w+")
WORD = re.compile(r"[A-Za-z_]\w*")
COMMENT = re.compile(r"""((?:[^#'"]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")*)(#.*)?$""")
SHAPE = re.compile(r"\[((?:\d+(?:,\d+)*)?)\]")


def parse(text: str, table: Mapping[str, Any], consts: Sequence[Any] = ()) -> Graph:
    """Read a graph from its text form.

    Parameters
    ----------
    text : str
    table : mapping of str to operation
        The operations by name.
    consts : sequence of arrays or Const
        What ``$0``, ``$1``, ... stand for, in the order of the header.

    Raises
    ------
    GraphError
        Naming the line, the column and what was expected there. Shapes are taken as they are
        written; `wengert.ir.verify` checks them.
    """
    lines = text.splitlines()
    parser = _Parser(table, [c if isinstance(c, Const) else Const(c) for c in consts])
    parser.code = _code(lines)
    for number, code in parser.code:
        parser.line(Reader(code, number, parser.region))
    return parser.finish(Reader(lines[-1] if lines else "", max(len(lines), 1)))


def _code(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Iterate over the lines that are not empty, with their numbers and without comments."""
    for number, line in enumerate(lines, 1):
        found = COMMENT.match(line)
        code = line if found is None else found[1]
        if code.strip():
            yield number, code.rstrip()


class _Parser:
    """Takes a graph's lines one after the other."""

    def __init__(self, table: Mapping[str, Any], consts: list[Const]) -> None:
        self.table = table
        self.consts = consts
        self.env: dict[str, Value | Const] = {}
        self.used = 0
        self.inputs: list[Value] | None = None
        self.nodes: list[Node] = []
        self.guards: list[Guard] = []
        self.outputs: tuple[Any, ...] | None = None
        self.code: Iterator[tuple[int, str]] = iter(())
        """The lines to come; a region takes those up to its closing brace."""

    def region(self, r: Reader) -> Graph:
        """Read a region from the lines after an opening brace; `r` goes on behind the closing."""
        r.end()
        inner = _Parser(self.table, [])
        inner.code = self.code
        for number, code in self.code:
            at = Reader(code, number, inner.region)
            if at.accept("}"):
                r.text, r.number, r.at = at.text, at.number, at.at
                return inner.finish(Reader("}", number))
            inner.line(at)
        return r.fail("the lines of a region, and '}' behind them")

    def line(self, r: Reader) -> None:
        """Read one line."""
        if self.outputs is not None:
            r.fail("nothing after the line of outputs '-> (...)'")
        if self.inputs is None:
            r.expect("graph(", "the line of inputs")
            self.inputs = list(r.items(")", lambda: self._define(r, "%")))
        elif r.accept("->"):
            r.expect("(")
            self.outputs = r.items(")", lambda: self._operand(r))
        elif r.accept("guard "):
            self._guard(r)
        elif r.sees("$"):
            self._const(r)
        elif r.sees("%"):
            self._node(r)
        else:
            r.fail("a node '%...', a constant '$...', a guard or the outputs '-> (...)'")
        r.end()

    def finish(self, r: Reader) -> Graph:
        """Return the graph."""
        r.at = len(r.text)
        if self.inputs is None:
            r.fail("the line of inputs 'graph(...)'")
        if self.outputs is None:
            r.fail("a line of outputs '-> (...)'")
        if self.used < len(self.consts):
            r.reject(f"{len(self.consts)} constants were given, but the text has {self.used}")
        return Graph(self.inputs, self.nodes, self.outputs, self.guards)

    def _const(self, r: Reader) -> None:
        at = r.at
        name, aval = self._typed(r, "$")
        if self.used == len(self.consts):
            r.at = at
            r.reject(f"no array was given for {name}: pass it in parse(..., consts=[...])")
        const = self.consts[self.used]
        if const.aval != aval:
            r.at = at
            r.reject(f"the array given for {name} is {const.aval}, not {aval}")
        self.used += 1
        self.env[name] = const

    def _node(self, r: Reader) -> None:
        outputs = dict([self._typed(r, "%")])
        while r.accept(","):
            name, aval = self._typed(r, "%")
            if name in outputs:
                r.reject(f"{name} is defined twice")
            outputs[name] = aval
        r.expect("=")
        op = self._operation(r)
        r.expect("(")
        inputs = r.items(")", lambda: self._operand(r))
        attrs = self._attributes(r)
        values = tuple(Value(aval=aval) for aval in outputs.values())
        self.env.update(zip(outputs, values, strict=True))
        self.nodes.append(Node(op, inputs, attrs, values))

    def _operation(self, r: Reader) -> Any:
        r.skip()
        at = r.at
        name = r.need(WORD, "the name of an operation")[0]
        if name not in self.table:
            r.at = at
            r.reject(f"there is no operation {name!r}{_suggestion(name, self.table)}")
        return self.table[name]

    def _attributes(self, r: Reader) -> dict[str, Any]:
        attrs: dict[str, Any] = {}
        while (found := r.match(WORD)) is not None:
            r.expect("=")
            attrs[found[0]] = r.literal()
        return attrs

    def _guard(self, r: Reader) -> None:
        kind = r.need(WORD, "a kind of guard such as bool")[0]
        r.expect("(")
        value = self._operand(r)
        if not isinstance(value, Value):
            r.reject("a guard is about a value %...")
        r.expect(")")
        r.expect("==")
        self.guards.append(Guard(value, kind, r.literal(), len(self.nodes)))

    def _define(self, r: Reader, mark: str) -> Value:
        name, aval = self._typed(r, mark)
        value = self.env[name] = Value(aval=aval)
        return value

    def _typed(self, r: Reader, mark: str) -> tuple[str, Aval]:
        """Read a new name with its shape and dtype."""
        r.skip()
        at = r.at
        if not r.sees(mark):
            r.fail(f"a name {mark}...")
        name = r.need(NAME, f"a name {mark}...")[0]
        if name in self.env:
            r.at = at
            r.reject(f"{name} is defined already")
        r.expect(":")
        weak = r.accept("~")
        dtype = r.dtype()
        sizes = r.need(SHAPE, "a shape such as [3,2]")[1]
        return name, Aval(tuple(map(int, sizes.split(","))) if sizes else (), dtype, weak)

    def _operand(self, r: Reader) -> Any:
        r.skip()
        at = r.at
        found = r.match(NAME)
        if found is None:
            x = r.literal("a value %..., a constant $... or a number")
            if not is_scalar(x):
                r.at = at
                r.fail("a value %..., a constant $... or a number")
            return x
        if found[0] not in self.env:
            r.at = at
            r.reject(f"{found[0]} is not defined before this line")
        return self.env[found[0]]


def _suggestion(name: str, table: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(name, table, 1)
    return f"; did you mean {close[0]!r}?" if close else ""
