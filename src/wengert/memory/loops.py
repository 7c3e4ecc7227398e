"""Budgets of loops: trips that are run again in the reverse pass, segment by segment.

A reverse pass of a loop is a second loop that reads what the first one stacked in each trip. To
hold less, the trips are divided into segments of equal length. The forward loop keeps what it
carries at the start of each segment, and the stacks of the last segment, which is reversed first.
The reverse loop goes over the other segments: it runs one again, now with its stacks, and reverses
it. With ``n`` trips in segments of ``k`` that is ``n / k`` carried states and ``k`` rows of the
stacks, and ``n - k`` trips run again. Where even the best ``k`` holds too much, the pair of loops
within a segment is divided in its turn, which runs the trips once more. Griewank and Walther's
schedules (Algorithm 799 of ACM TOMS, `wengert.memory.binomial`) place single checkpoints better
where memory is very short, but their trips are no loop of constant length.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from wengert.ir.build import infer
from wengert.ir.graph import Aval, Graph, Node, Value, aval_of
from wengert.ir.simplify import simplify
from wengert.ops.base import TABLE
from wengert.ops.loops import scan

__all__ = ["Divided", "Pair", "divided", "divisible", "in_segments"]

LEVELS = 4
"""Most times that trips are run again."""

TRIES = 12
"""Lengths of segments that are laid out exactly, of each depth."""


class Divided(NamedTuple):
    """A graph whose loops run trips again.

    Attributes
    ----------
    graph : Graph
    peak : int
        Bytes, exactly.
    extra : int
        Operations done again.
    """

    graph: Graph
    peak: int
    extra: int


class Pair(NamedTuple):
    """A loop, the loop that reverses it, and the stacks that only the latter reads.

    `dropped` are places among the results of the first one.
    """

    first: Node
    back: Node
    dropped: tuple[int, ...]

    @property
    def length(self) -> int:
        """Trips."""
        return int(self.first.attrs["length"])

    @property
    def row(self) -> int:
        """Bytes of the stacks in each trip."""
        return sum(self.first.outputs[k].aval.nbytes for k in self.dropped) // max(self.length, 1)

    @property
    def state(self) -> int:
        """Bytes that are carried."""
        return sum(v.aval.nbytes for v in self.first.outputs[: self.first.attrs["carries"]])


def operations(graph: Graph) -> int:
    """Count the operations of a graph, as far as they are known."""
    total = 0
    for node in graph.nodes:
        outs = [v.aval for v in node.outputs]
        y = outs[0] if len(outs) == 1 else tuple(outs)
        total += node.op.flops(y, *map(aval_of, node.inputs), **node.attrs) or 0
    return total


def divisible(graph: Graph) -> list[Pair]:
    """Return the pairs of loops of a graph, those with the largest stacks first."""
    users: dict[Value, set[int]] = {}
    for k, node in enumerate(graph.nodes):
        for x in node.inputs:
            if isinstance(x, Value):
                users.setdefault(x, set()).add(k)
    kept = {y for y in graph.outputs if isinstance(y, Value)} | {g.value for g in graph.guards}
    maker = {v: node for node in graph.nodes for v in node.outputs if node.op is scan}
    found = []
    for k, back in enumerate(graph.nodes):
        if back.op is not scan:
            continue
        start = back.attrs["consts"] + back.attrs["carries"]
        fixed = set(back.inputs[:start])
        for first in dict.fromkeys(maker[x] for x in back.inputs[start:] if x in maker):
            same = first.attrs["length"] == back.attrs["length"]
            if not same or first.attrs["reverse"] == back.attrs["reverse"]:
                continue
            dropped = tuple(
                i
                for i, v in enumerate(first.outputs)
                if i >= first.attrs["carries"]
                and users.get(v) == {k}
                and v not in kept
                and v not in fixed
            )
            if dropped:
                found.append(Pair(first, back, dropped))
    return sorted(found, key=lambda p: -p.row * p.length)


def divided(graph: Graph, budget: int, measure: Callable[[Graph], Any]) -> Divided | None:
    """Return an equal graph within a budget whose loops run trips again; else the smallest.

    None where there is no loop to divide. The loops are divided one after the other, the one with
    the largest stacks first, as far as is needed.
    """
    before = operations(graph)
    best: Divided | None = None
    tried = 0
    while True:
        pairs = divisible(graph)[tried:]
        if not pairs:
            return best
        found = _least_again(graph, pairs[0], budget, measure)
        if found is None or (best is not None and found.peak >= best.peak):
            tried += 1
            continue
        best = found._replace(extra=operations(found.graph) - before)
        if best.peak <= budget:
            return best
        graph, tried = best.graph, 0


def _least_again(
    graph: Graph, pair: Pair, budget: int, measure: Callable[[Graph], Any]
) -> Divided | None:
    """Divide one pair of loops, as seldom as the budget allows."""
    n = pair.length
    smallest: Divided | None = None
    for depth in range(1, LEVELS + 1):
        fewest = _balanced(pair, depth)
        if fewest[-1] < 2 or fewest[0] >= n:
            break

        def made(lengths: Sequence[int]) -> Divided:
            new = in_segments(graph, pair, lengths)
            return Divided(new, measure(new).peak, 0)

        found = made(fewest)
        if smallest is None or found.peak < smallest.peak:
            smallest = found
        if found.peak > budget:
            continue
        # the longest last segment that fits, which is what need not be run again
        low, high = fewest[0], n - 1
        for _ in range(TRIES):
            if high - low < max(2, low // 50):
                break
            middle = round(math.sqrt(low * high)) if high > 4 * low else (low + high) // 2
            middle = min(max(middle, low + 1), high)
            tried = made([middle, *_inner(middle, fewest, depth)])
            if tried.peak <= budget:
                found, low = tried, middle
            else:
                high = middle - 1
        return found
    return smallest


def _balanced(pair: Pair, depth: int) -> list[int]:
    """Return lengths of segments, and of those in them, for which the least is held."""
    ratio = max(pair.state, 1) / max(pair.row, 1)
    n = pair.length
    # n / k1 + k1 / k2 + ... states and k rows: equal steps, the last one in rows
    last = max(2, round((n * ratio**depth) ** (1 / (depth + 1)))) if ratio < n else n
    step = max((n / last) ** (1 / depth), 1.0)
    return [max(last, round(n / step ** (i + 1))) for i in range(depth - 1)] + [last]


def _inner(length: int, fewest: Sequence[int], depth: int) -> list[int]:
    """Return the lengths within segments that are longer than the fewest."""
    return [min(k, max(length // 2, 2)) for k in fewest[1:]] if depth > 1 else []


# --- graphs ---------------------------------------------------------------------------------------
def in_segments(graph: Graph, pair: Pair, lengths: Sequence[int]) -> Graph:
    """Return a graph with a pair of loops divided into segments of some length, and so on."""
    nodes: list[Node] = []
    position = {}
    writer = _Writer(pair, lengths)
    for k, node in enumerate(graph.nodes):
        position[k] = len(nodes)
        if node is pair.first:
            nodes += writer.forward()
        elif node is pair.back:
            nodes += writer.backward()
        else:
            nodes.append(node)
    position[len(graph.nodes)] = len(nodes)
    guards = [g._replace(position=position[g.position]) for g in graph.guards]
    made = Graph(graph.inputs, nodes, graph.outputs, guards)
    if writer.rest:
        for left in divisible(made):
            if left.back is writer.left_back and left.length > writer.rest[0]:
                return in_segments(made, left, writer.rest)
    return simplify(made)


class _Writer:
    """Writes the two loops of a pair in segments."""

    def __init__(self, pair: Pair, lengths: Sequence[int]) -> None:
        self.pair = pair
        self.rest = list(lengths[1:])
        k = lengths[0]
        # the last segment keeps its stacks; it is about as long as the others
        self.segments = max(1, -(-(pair.length - k) // k))
        self.length = max(1, -(-(pair.length - k) // self.segments))
        if self.segments * self.length >= pair.length:
            self.length = (pair.length - 1) // self.segments
        self.left = pair.length - self.segments * self.length
        self.nodes: list[Node] = []
        self.last: dict[Value, Value] = {}  # rows of the last segment, of each dropped stack
        self.states: list[Value] = []
        self.rows: list[tuple[Value, Value]] = []
        self.left_back = pair.back  # what reverses the last segment

    def add(self, op: Any, *inputs: Any, **attrs: Any) -> list[Value]:
        """Write a node."""
        outputs = tuple(Value(aval=a) for a in infer(op, inputs, attrs))
        self.nodes.append(Node(op, inputs, attrs, outputs, self.line))
        return list(outputs)

    def named(self, x: Value, name: Value) -> None:
        """Give the result of the last node the name that others know it by."""
        node = self.nodes[-1]
        outputs = tuple(name if v is x else v for v in node.outputs)
        self.nodes[-1] = Node(node.op, node.inputs, node.attrs, outputs, node.line)

    def parts(self, x: Any, reverse: bool) -> tuple[Value, Value]:
        """Return the rows of a loop's segments, an axis for each, and those that are left."""
        at = self.left if reverse else self.segments * self.length
        low, high = (
            self.add(TABLE["getitem"], x, spec=(s,))[0]
            for s in (slice(0, at, 1), slice(at, self.pair.length, 1))
        )
        many, left = (high, low) if reverse else (low, high)
        shape = (self.segments, self.length, *many.shape[1:])
        return self.add(TABLE["reshape"], many, shape=shape)[0], left

    def whole(self, many: Value, left: Value, reverse: bool, name: Value) -> None:
        """Put together the rows of segments and those that are left, under a name."""
        shape = (self.segments * self.length, *many.shape[2:])
        (flat,) = self.add(TABLE["reshape"], many, shape=shape)
        both = (left, flat) if reverse else (flat, left)
        (y,) = self.add(TABLE["concatenate"], *both, axis=0)
        self.named(y, name)

    def forward(self) -> list[Node]:
        """Return the nodes of the forward loop."""
        first = self.pair.first
        self.nodes, self.line = [], first.line
        attrs = first.attrs
        body, a, c, back = attrs["body"], attrs["consts"], attrs["carries"], attrs["reverse"]
        kept = [k for k in range(c, len(first.outputs)) if k not in self.pair.dropped]
        rows = [self.parts(x, back) for x in first.inputs[a + c :]]
        fixed, carry, segment = self._inputs(body, a, c, [many for many, _ in rows])
        inner = self._loop(body, kept, c)
        made = _Region([*fixed, *carry, *segment])
        ys = made.add(
            scan, *fixed, *carry, *segment,
            **{**attrs, "body": inner, "length": self.length},
        )  # fmt: skip
        outer = made.finish([*ys[:c], *carry, *ys[c:]])
        found = self.add(
            scan, *first.inputs[: a + c], *(many for many, _ in rows),
            **{**attrs, "body": outer, "length": self.segments},
        )  # fmt: skip
        self.states, stacks = found[c : 2 * c], found[2 * c :]
        self.rows = rows
        left = self.add(
            scan, *first.inputs[:a], *found[:c], *(part for _, part in rows),
            **{**attrs, "length": self.left},
        )  # fmt: skip
        for v, name in zip(left[:c], first.outputs[:c], strict=True):
            self.named(v, name)
        self.last = {first.outputs[k]: left[k] for k in self.pair.dropped}
        for k, many in zip(kept, stacks, strict=True):
            self.whole(many, left[k], back, first.outputs[k])
        return self.nodes

    def backward(self) -> list[Node]:
        """Return the nodes of the reverse loop."""
        first, node = self.pair.first, self.pair.back
        self.nodes, self.line = [], node.line
        attrs = node.attrs
        a, c = attrs["consts"], attrs["carries"]
        own = [x for x in node.inputs[a + c :] if not self._is_dropped(x)]
        # rows are in the order of the forward loop, which the reverse one takes from its end
        order = first.attrs["reverse"]
        cut = {x: self.parts(x, order) for x in dict.fromkeys(own)}
        left = self.add(
            scan, *node.inputs[: a + c],
            *(self.last[x] if self._is_dropped(x) else cut[x][1] for x in node.inputs[a + c :]),
            **{**attrs, "length": self.left},
        )  # fmt: skip
        self.left_back = self.nodes[-1]
        outer, operands, rows = self._reversed(a, c, cut)
        found = self.add(
            scan, *operands, *left[:c], *rows,
            **{**attrs, "body": outer, "length": self.segments, "consts": len(operands)},
        )  # fmt: skip
        for v, name in zip(found[:c], node.outputs[:c], strict=True):
            self.named(v, name)
        for many, part, name in zip(found[c:], left[c:], node.outputs[c:], strict=True):
            self.whole(many, part, order, name)
        return self.nodes

    def _reversed(
        self, a: int, c: int, cut: dict[Any, tuple[Value, Value]]
    ) -> tuple[Graph, list[Any], list[Any]]:
        """Return the body that runs a segment again and reverses it, its constants and its rows."""
        first, node = self.pair.first, self.pair.back
        f, g = first.attrs["consts"], first.attrs["carries"]
        inputs = [Value(aval=v.aval) for v in node.attrs["body"].inputs[:a]]
        again, state, segment = self._inputs(
            first.attrs["body"], f, g, [many for many, _ in self.rows]
        )
        carry = [Value(aval=v.aval) for v in node.attrs["body"].inputs[a : a + c]]
        own = {x: _row(many) for x, (many, _) in cut.items()}
        made = _Region([*inputs, *again, *carry, *state, *segment, *own.values()])
        body = self._loop(first.attrs["body"], list(self.pair.dropped), g)
        stacked = made.add(
            scan, *again, *state, *segment,
            **{**first.attrs, "body": body, "length": self.length},
        )[g:]  # fmt: skip
        names = {first.outputs[k]: v for k, v in zip(self.pair.dropped, stacked, strict=True)}
        ys = made.add(
            scan, *inputs, *carry,
            *(names[x] if x in names else own[x] for x in node.inputs[a + c :]),
            **{**node.attrs, "length": self.length},
        )  # fmt: skip
        graph = made.finish(ys)
        if self.rest:
            graph = simplify(graph)
            pairs = divisible(graph)
            if pairs and pairs[0].length > self.rest[0]:
                graph = in_segments(graph, pairs[0], self.rest)
        operands = [*node.inputs[:a], *first.inputs[:f]]
        rows = [*self.states, *(many for many, _ in self.rows), *(many for many, _ in cut.values())]
        return graph, operands, rows

    def _is_dropped(self, x: Any) -> bool:
        return isinstance(x, Value) and x in self.last

    def _loop(self, body: Graph, kept: Sequence[int], carries: int) -> Graph:
        """Return a body with some of its rows only."""
        outputs = [*body.outputs[:carries], *(body.outputs[k] for k in kept)]
        return Graph(body.inputs, body.nodes, outputs)

    def _inputs(
        self, body: Graph, a: int, c: int, rows: Sequence[Value]
    ) -> tuple[list[Value], list[Value], list[Value]]:
        """Return inputs like the constants and carried values of a body, and rows of segments."""
        like = [Value(aval=_strong(v.aval)) for v in body.inputs[: a + c]]
        return like[:a], like[a:], [_row(x) for x in rows]


class _Region:
    """Writes the graph of a region."""

    def __init__(self, inputs: Sequence[Value]) -> None:
        self.inputs = inputs
        self.nodes: list[Node] = []

    def add(self, op: Any, *inputs: Any, **attrs: Any) -> list[Value]:
        """Write a node."""
        outputs = tuple(Value(aval=a) for a in infer(op, inputs, attrs))
        self.nodes.append(Node(op, inputs, attrs, outputs))
        return list(outputs)

    def finish(self, outputs: Sequence[Value]) -> Graph:
        """Return the graph."""
        return Graph(self.inputs, self.nodes, outputs)


def _row(x: Value) -> Value:
    return Value(aval=Aval(x.shape[1:], x.dtype))


def _strong(aval: Aval) -> Aval:
    return Aval(aval.shape, aval.dtype)
