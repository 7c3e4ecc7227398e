"""The forward part of a derivative as stages that can be run again, and graphs that do so.

Nothing is decided here: `wengert.memory.remat` chooses schedules, `Segments` says what each stage
needs, and writes the graph that a schedule stands for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from wengert.errors import DerivativeError
from wengert.ir.graph import Graph, Guard, Node, Value, aval_of
from wengert.memory.chain import SLOTS, Chain, Stage
from wengert.memory.milp import Event, Item
from wengert.memory.profile import is_backward

__all__ = ["SMALL", "Segments", "first_backward", "operations"]

STAGES = 64
"""Most stages: the time that planning takes grows with their third power."""

SMALL = 4096
"""Bytes up to which a value is not worth computing again."""


def first_backward(graph: Graph) -> int | None:
    """Return the first node that a reverse pass made, None without one."""
    return next((i for i, n in enumerate(graph.nodes) if is_backward(n)), None)


class Segments:
    """A graph as a chain of stages, and the way back from a schedule to a graph.

    Attributes
    ----------
    stages : list of Stage
        Empty where there is nothing to win.
    """

    def __init__(self, graph: Graph, footprint: Any) -> None:
        self.graph = graph
        self.stages: list[Stage] = []
        self.maker: dict[Value, int] = {v: i for i, n in enumerate(graph.nodes) for v in n.outputs}
        start = first_backward(graph)
        if start is None:
            return
        self.start = start
        self.operations = [_operations(n) for n in graph.nodes[:start]]
        self.size: dict[Value, int] = {}  # of the arrays in memory
        for h in footprint.held:
            if h.value in self.maker:
                self.size[h.value] = max(h.nbytes, self.size.get(h.value, 0))
        fixed = {
            v for n in graph.nodes[:start] if getattr(n.op, "effect", False) for v in n.outputs
        }
        fixed.update(y for y in graph.outputs if isinstance(y, Value))
        fixed.update(g.value for g in graph.guards)
        self.fixed = fixed
        self.items = [
            v
            for n in graph.nodes[:start]
            for v in n.outputs
            if self.size.get(v, 0) > SMALL and v not in fixed
        ]
        self._find_uses()
        self._cut()

    def _find_uses(self) -> None:
        """Note where each array in memory is read, directly or on the way through registers."""
        graph, stored = self.graph, set(self.items)
        self.reads: list[frozenset[Value]] = []
        # What reading a value takes that is not in memory itself. Numbers are kept, so that a sum
        # of them does not need what the first one was made from.
        self.through: dict[Value, frozenset[Value]] = {}
        self.last_forward: dict[Value, int] = dict.fromkeys(stored, -1)
        self.first_backward: dict[Value, int] = {}
        self.last_use: dict[Value, int] = {}
        later = {v for v in self.size if self.maker[v] >= self.start}
        for i, node in enumerate(graph.nodes):
            found: set[Value] = set()
            for x in node.inputs:
                if not isinstance(x, Value):
                    continue
                if x in stored or x in later:
                    found.add(x)
                else:
                    found |= self.through.get(x, frozenset())
            reads = frozenset(found)
            self.reads.append(reads)
            for v in node.outputs:
                kept = v.aval.nbytes <= SMALL and node.op.alias is None
                self.through[v] = frozenset() if kept else reads
            for x in reads:
                self.last_use[x] = i
                if i < self.start:
                    self.last_forward[x] = i
                else:
                    self.first_backward.setdefault(x, i)

    def _cut(self) -> None:
        """Choose where stages end, and say what each needs."""
        if not self.items:
            return
        places = self._places()
        self.ends = places
        bounds = [-1, *places]
        self.made: list[list[Value]] = []  # by stage
        self.out: list[list[Value]] = []
        for a, b in zip(bounds, places, strict=False):
            self.made.append([v for v in self.items if a < self.maker[v] <= b])
            self.out.append([v for v in self.items if self.maker[v] <= b < self.last_forward[v]])
        end = len(self.graph.nodes)
        first = end
        self.begins: list[int] = []
        for made in self.made:
            first = min([first, *(self.first_backward.get(v, end) for v in made)])
            self.begins.append(first)
        held = self._held_by_backward()
        made_at = np.zeros(end + 1, np.int64)
        for v, nbytes in self.size.items():
            made_at[self.maker[v]] += nbytes
        costs = [self.cost(i) for i in range(self.start)]
        for s, (a, b) in enumerate(zip(bounds, places, strict=False)):
            begin, stop = self.begins[s], self.begins[s - 1] if s else end
            made, out = self.made[s], set(self.out[s])
            kept = [v for v in made if v in self.first_backward]
            saved = [v for v in kept if v not in out]
            self.stages.append(
                Stage(
                    sum(costs[a + 1 : b + 1]),
                    sum(self.size[v] for v in out),
                    sum(self.size[v] for v in saved),
                    any(v in out for v in kept),
                    self._most(s, a, b, ()),
                    self._most(s, a, b, kept),
                    int(max(held[begin:stop], default=0)),
                    int(held[begin] - made_at[begin]) if s + 1 < len(places) and begin < end else 0,
                )
            )

    def chains(self, peak: int) -> list[Chain]:
        """Return the schedules of the stages, up to the one that runs nothing again.

        Where stages pass on what later ones read, also those that take it for held once for each
        stage: a worse estimate, up to `peak`, in which such arrays are computed again sooner.
        """
        n = len(self.stages)
        shared = np.zeros((n, n), np.int64)
        for a, out in enumerate(self.out):
            for b in range(a + 1, n):
                shared[a, b] = sum(self.size[v] for v in out if self.last_forward[v] > self.ends[b])
        most = held = 0
        for s, x in enumerate(self.stages):
            kept = x.saved + x.out - int(shared[s - 1, s] if s else 0)
            most = max(most, held + self.stages[-1].held + x.forward_all, held + kept + x.backward)
            held += kept
        chains = [Chain(self.stages, most + most // SLOTS * 4, shared)]
        if shared.any():
            chains.append(Chain(self.stages, peak))
        return chains

    def _places(self) -> list[int]:
        """Return the last node of each stage: where little is alive, not too many."""
        change = np.zeros(self.start + 1, np.int64)
        for v in self.items:
            if self.last_forward[v] > self.maker[v]:
                change[self.maker[v]] += self.size[v]
                change[self.last_forward[v]] -= self.size[v]
        alive = np.cumsum(change)[: self.start]
        made = sorted({self.maker[v] for v in self.items})
        ends = sorted({*(i for i in made if i < self.start - 1), self.start - 1})
        if len(ends) > STAGES:
            # by turns the place with the most alive goes, of those between neighbours
            share = -(-len(ends) // STAGES)
            groups = [ends[i : i + share] for i in range(0, len(ends), share)]
            ends = [min(g, key=lambda i: (alive[i], -i)) for g in groups[:-1]]
            ends.append(self.start - 1)
        return ends

    def _most(self, s: int, a: int, b: int, kept: Sequence[Value]) -> int:
        """Return the most that stage `s` holds while it runs, its input aside."""
        stay = {*kept, *self.out[s]}
        most = 0
        for i in range(a + 1, b + 1):
            alive = [
                v
                for v in self.made[s]
                if self.maker[v] <= i and (v in stay or self.last_forward[v] >= i)
            ]
            most = max(most, sum(self.size[v] for v in alive))
        return most

    def _held_by_backward(self) -> Any:
        """Return the bytes of the backward pass's own arrays at each node."""
        change = np.zeros(len(self.graph.nodes) + 2, np.int64)
        for v, nbytes in self.size.items():
            if self.maker[v] >= self.start:
                change[self.maker[v]] += nbytes
                change[self.last_use.get(v, self.maker[v]) + 1] -= nbytes
        return np.cumsum(change)

    def cost(self, i: int) -> float:
        """Return a forward node's operations, and a little for each byte: no run is free."""
        made = sum(v.aval.nbytes for v in self.graph.nodes[i].outputs)
        return self.operations[i] + 1e-3 * made

    @property
    def is_chain(self) -> bool:
        """Whether no stage passes more than one array on."""
        return all(len(out) <= 1 for out in self.out)

    @property
    def forward(self) -> float:
        """Operations of the forward pass."""
        return max(sum(x.cost for x in self.stages), 1.0)

    def program(self) -> tuple[list[Item], list[Event], list[int]]:
        """Return the items, the events of the backward pass, and the node each begins at."""
        number = {v: i for i, v in enumerate(self.items)}
        costs: list[float] = [0.0] * len(self.items)
        through: dict[Value, float] = {}  # of what is computed in registers on the way
        for i, node in enumerate(self.graph.nodes[: self.start]):
            cost = self.cost(i)
            for x in node.inputs:
                if isinstance(x, Value) and x not in number:
                    cost += through.get(x, 0.0)
            for v in node.outputs:
                if v in number:
                    costs[number[v]] = cost
                elif v not in self.size:
                    through[v] = cost
        items = [
            Item(
                costs[k],
                self.size[v],
                tuple(sorted(number[x] for x in self.reads[self.maker[v]] if x in number)),
            )
            for v, k in number.items()
        ]
        held = self._held_by_backward()
        groups: list[tuple[int, set[int]]] = []
        for i in range(self.start, len(self.graph.nodes)):
            needs = {number[x] for x in self.reads[i] if x in number}
            if needs and (not groups or not needs <= groups[-1][1]):
                groups.append((i, needs))
        ends = [i for i, _ in groups[1:]] + [len(self.graph.nodes)] * bool(groups)
        events = [
            Event(frozenset(needs), int(held[i - 1]) if k else 0, int(max(held[i:end])))
            for k, ((i, needs), end) in enumerate(zip(groups, ends, strict=True))
        ]
        return items, events, [i for i, _ in groups]

    def shares(self) -> list[float]:
        """Return operations of each item, such that any set of them takes as many or more.

        What several items are computed from in registers is shared between them: where they are
        computed again together, it runs once.
        """
        number = {v: i for i, v in enumerate(self.items)}
        within: dict[Value, frozenset[int]] = {}  # nodes in registers on the way to a value
        runs: list[frozenset[int]] = [frozenset()] * len(self.items)
        for i, node in enumerate(self.graph.nodes[: self.start]):
            found = {i}
            for x in node.inputs:
                if isinstance(x, Value):
                    found |= within.get(x, frozenset())
            for v in node.outputs:
                if v in number:
                    runs[number[v]] = frozenset(found)
                elif self.through[v]:
                    within[v] = frozenset(found)
        times = Counter(k for nodes in runs for k in nodes)
        return [sum(self.operations[k] / times[k] for k in nodes) for nodes in runs]

    def insert(self, again: list[list[int]], starts: list[int]) -> tuple[Graph, int]:
        """Compute items again before the nodes that `starts` names.

        Returns
        -------
        Graph
        int
            Operations done again.
        """
        writer = _Writer(self)
        writer.forward()
        bounds = [*starts, len(self.graph.nodes)]
        writer.backward(self.start, bounds[0])
        for numbers, start, stop in zip(again, bounds, bounds[1:], strict=False):
            writer.renew([self.items[i] for i in numbers])
            writer.backward(start, stop)
        return writer.graph(), writer.extra

    # --- the way back -----------------------------------------------------------------------------
    def follow(self, schedule: Iterable[tuple[str, int]]) -> tuple[Graph, int]:
        """Do what a schedule says; returned is what `insert` returns."""
        writer = _Writer(self)
        writer.forward()
        seen: set[int] = set()
        writer_at = self.start
        for kind, s in schedule:
            if kind != "back" and s not in seen:
                seen.add(s)  # the first run is there already
                continue
            if writer_at == self.start:
                writer.backward(self.start, self.begins[-1])
                writer_at = self.begins[-1]
            if kind == "back":
                stop = self.begins[s - 1] if s else len(self.graph.nodes)
                writer.backward(self.begins[s], stop)
            else:
                writer.again(s, kind == "all")
        return writer.graph(), writer.extra


class _Writer:
    """Writes a graph in which values are computed again.

    Attributes
    ----------
    extra : int
        Operations done again so far.
    """

    def __init__(self, split: Segments) -> None:
        self.split = split
        self.out: list[Node] = []
        self.latest: dict[Value, Value] = {}
        self.moved: dict[int, int] = {}
        self.extra = 0

    def now(self, x: Any) -> Any:
        """Return the latest version of a value; outputs are never computed again."""
        return self.latest.get(x, x) if isinstance(x, Value) else x

    def forward(self) -> None:
        """Write the forward part as it is."""
        self.out += self.split.graph.nodes[: self.split.start]
        self.moved = {i: i for i in range(self.split.start + 1)}

    def graph(self) -> Graph:
        """Return what was written."""
        g = self.split.graph
        guards = [Guard(x.value, x.kind, x.outcome, self.moved[x.position]) for x in g.guards]
        return Graph(g.inputs, self.out, [self.now(y) for y in g.outputs], guards)

    def backward(self, start: int, stop: int) -> None:
        """Write backward nodes, which read the latest versions."""
        split = self.split
        local: dict[Value, Value] = {}
        for i in range(start, stop):
            node = split.graph.nodes[i]
            inputs = tuple(self._read(x, local, fresh=False) for x in node.inputs)
            same = all(a is b for a, b in zip(inputs, node.inputs, strict=True))
            self.out.append(
                node if same else Node(node.op, inputs, node.attrs, node.outputs, node.line)
            )
            self.moved[i + 1] = len(self.out)

    def again(self, s: int, everything: bool) -> None:
        """Run a stage again, for its result or for all that its backward pass reads."""
        split = self.split
        made = set(split.made[s])
        wanted = {v for v in split.out[s] if v in made}
        if everything:
            wanted |= {v for v in made if v in split.first_backward}
        for v in reversed(split.made[s]):  # what they are made from, in this stage
            if v in wanted:
                wanted |= split.reads[split.maker[v]] & made
        self.renew([v for v in split.made[s] if v in wanted])

    def renew(self, values: Sequence[Value]) -> None:
        """Compute values again, in this order, from the latest versions of what they read."""
        local: dict[Value, Value] = {}
        for v in values:
            if v not in local:
                self._copy(self.split.maker[v], local, fresh=True)
            self.latest[v] = local[v]

    def _read(self, x: Any, local: dict[Value, Value], fresh: bool) -> Any:
        """Return an operand: the latest version of what is in memory, else computed from those."""
        i = self._inner(x, local, fresh)
        if i is not None:
            self._copy(i, local, fresh)
        return self._operand(x, local)

    def _copy(self, i: int, local: dict[Value, Value], fresh: bool) -> None:
        """Write a forward node again, and before it what it reads through registers."""
        stack = [(i, False)]
        split = self.split
        while stack:
            k, ready = stack.pop()
            node = split.graph.nodes[k]
            if node.outputs[0] in local:
                continue
            if not ready:
                stack.append((k, True))
                for x in node.inputs:
                    inner = self._inner(x, local, fresh)
                    if inner is not None:
                        stack.append((inner, False))
                continue
            inputs = tuple(self._operand(x, local) for x in node.inputs)
            outputs = tuple(Value(aval=v.aval) for v in node.outputs)
            self.out.append(Node(node.op, inputs, node.attrs, outputs, node.line))
            self.extra += split.operations[k]
            local.update(zip(node.outputs, outputs, strict=True))

    def _operand(self, x: Any, local: dict[Value, Value]) -> Any:
        if not isinstance(x, Value):
            return x
        return local[x] if x in local else self.latest.get(x, x)

    def _inner(self, x: Any, local: dict[Value, Value], fresh: bool) -> int | None:
        """Return the node of an operand that has to be written again first."""
        split = self.split
        if not isinstance(x, Value) or x in local or x in self.latest or x in split.fixed:
            return None
        i = split.maker.get(x)
        if i is None or i >= split.start or x in split.size:
            return None
        reads = split.through[x]
        if x.aval.nbytes <= SMALL and not reads:
            return None
        if not fresh and not any(v in self.latest for v in reads):
            return None
        return i


def operations(graph: Graph) -> int:
    """Return the operations of a graph, as far as they are known."""
    return sum(map(_operations, graph.nodes))


def _operations(node: Node) -> int:
    outs = [v.aval for v in node.outputs]
    try:
        found = node.op.flops(outs[0], *[aval_of(x) for x in node.inputs], **node.attrs)
    except DerivativeError:
        found = None
    # Not known where data decide how long a loop runs: what it makes, at least.
    return sum(a.size for a in outs) if found is None else int(found)
