"""Place the values of a graph on several devices that all run the same program on their parts.

The search goes through the graph in program order and keeps, of all ways to place the values that
are still to be read, the cheapest ones: dynamic programming over the frontier, exact as long as
there are fewer of them than its width.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from wengert.devices.sharding import PARTIAL, WHOLE, Along, Placement, Rule, rules, share
from wengert.ir.graph import Aval, Const, Graph, Node, Value
from wengert.ir.liveness import last_reads
from wengert.ops.contract import contract
from wengert.ops.shape import broadcast_to

__all__ = ["Compute", "Move", "NoPlacement", "PlacedGraph", "Placer", "local"]

WIDTH = 48
"""Ways to place the frontier that are kept."""
EFFORT = 6000
"""Product of that and the number of nodes beyond which fewer are kept."""

UNWANTED = 1e6
"""Seconds added for gathering data that is to stay split: only where nothing else is possible."""


class NoPlacement(Exception):
    """The values cannot be placed; the reason is for people."""


class Move(NamedTuple):
    """A value that gets another placement, by what `kind` of communication."""

    kind: str
    value: Value
    source: Placement
    target: Placement


class Compute(NamedTuple):
    """A node, with the placements of its operands and of its results."""

    node: Node
    inputs: tuple[Placement, ...]
    output: Placement


Step = Move | Compute


def local(aval: Aval, placement: Placement, weights: tuple[float, ...], d: int) -> Aval:
    """Return the shape of what device `d` holds of a value."""
    if not isinstance(placement, Along):
        return aval
    each = aval.shape[placement.axis] // placement.groups
    shape = list(aval.shape)
    shape[placement.axis] = share(placement.groups, weights)[d] * each
    return aval._replace(shape=tuple(shape))


@dataclass
class PlacedGraph:
    """A program for several devices.

    Attributes
    ----------
    steps : list of Move or Compute
    inputs : dict
        The first placement of each input.
    outputs : list
        Of each output, the placement that it has in the end.
    """

    graph: Graph
    weights: tuple[float, ...]
    steps: list[Step] = field(default_factory=list)
    inputs: dict[Value, Placement] = field(default_factory=dict)
    outputs: list[Placement] = field(default_factory=list)


class _State(NamedTuple):
    cost: float
    traffic: int
    places: dict[Value, frozenset[Placement]]
    last: Any  # (state before, steps) as a chain


class Placer:
    """Search for placements.

    Parameters
    ----------
    graph : Graph
    weights : sequence of float
        How much of a split axis each device gets.
    seconds : callable
        ``seconds(step, d)`` for a `Compute`.
    transfer : callable
        ``transfer(move)`` returns seconds and bytes.
    pinned : dict
        Placements of inputs; the others are stored as their first use wants them.
    follow : bool
        Split only what depends on a split input, and complete partial sums on every device: the
        same program on parts of the data.
    barred : dict
        An axis of a value along which it is not split.
    """

    def __init__(
        self,
        graph: Graph,
        weights: Sequence[float],
        seconds: Callable[[Compute], float],
        transfer: Callable[[Move], tuple[float, int]],
        *,
        pinned: Mapping[Value, Placement] | None = None,
        follow: bool = False,
        barred: Mapping[Value, int] | None = None,
    ) -> None:
        self.graph, self.weights = graph, tuple(weights)
        self.seconds, self.transfer = seconds, transfer
        self.pinned, self.follow, self.barred = dict(pinned or {}), follow, dict(barred or {})
        self.inputs = set(graph.inputs)
        self.groups = {p.groups for p in self.pinned.values() if isinstance(p, Along)}
        self._seconds: dict[Any, float] = {}
        self._moves: dict[Any, tuple[float, int]] = {}
        self.flat = _unbatched(graph)

    def search(self) -> PlacedGraph:
        """Return the cheapest placement found.

        Raises
        ------
        NoPlacement
        """
        graph = self.graph
        width = max(4, min(WIDTH, EFFORT // max(len(graph.nodes), 1)))
        last = last_reads(graph.nodes, graph.outputs)
        start = {v: frozenset([p]) for v, p in self.pinned.items()}
        states = [_State(0.0, 0, start, None)]
        for i, node in enumerate(graph.nodes):
            ways = self._ways(node)
            best: dict[Any, _State] = {}
            for state in states:
                for step, state_after in self._expanded(state, node, ways):
                    places = {v: p for v, p in state_after.places.items() if last.get(v, -1) > i}
                    key = frozenset(places.items())
                    known = best.get(key)
                    if known is None or state_after[:2] < known[:2]:
                        best[key] = state_after._replace(places=places, last=step)
            if not best:
                raise NoPlacement(f"{node.op.name} cannot be placed")
            states = heapq.nsmallest(width, best.values(), key=lambda s: s[:2])
        return self._finished(min((self._completed(s) for s in states), key=lambda s: s[:2]))

    def _ways(self, node: Node) -> list[Rule]:
        """Return the rules that may be used: a contraction is split where it can be."""
        found = rules(node)
        n = len(self.weights)
        wide = [
            r for r in found if r.lengths and math.gcd(*r.lengths) >= n and self._is_open(node, r)
        ]
        if node.op is contract and not self.follow and wide:
            return wide
        return [r for r in found if not r.lengths] + wide

    def _is_open(self, node: Node, rule: Rule) -> bool:
        out = self.barred.get(node.outputs[0])
        if isinstance(rule.output, int) and rule.output == out:
            return False
        return not any(
            isinstance(p, int) and isinstance(x, Value) and self.barred.get(x) == p
            for x, p in zip(node.inputs, rule.inputs, strict=True)
        )

    def _expanded(
        self, state: _State, node: Node, ways: list[Rule]
    ) -> Iterator[tuple[Any, _State]]:
        for rule in ways:
            for groups in self._groups(state, node, rule):
                found = self._applied(state, node, rule, groups)
                if found is not None:
                    yield found

    def _groups(self, state: _State, node: Node, rule: Rule) -> set[int]:
        if not rule.lengths:
            return {0}
        whole = math.gcd(*rule.lengths)
        if self.follow:
            return {g for g in self.groups if whole % g == 0}
        found = {whole}
        for x, p in zip(node.inputs, rule.inputs, strict=True):
            if isinstance(x, Value) and isinstance(p, int):
                for q in state.places.get(x, ()):
                    if isinstance(q, Along) and q.axis == p and whole % q.groups == 0:
                        found.add(q.groups)
        return found

    def _applied(
        self, state: _State, node: Node, rule: Rule, groups: int
    ) -> tuple[Any, _State] | None:
        wanted = tuple(Along(p, groups) if isinstance(p, int) else p for p in rule.inputs)
        out = rule.output
        made: Placement = Along(out, groups) if isinstance(out, int) else out
        places = state.places
        if not self._splits_parameters(node, wanted):
            return None
        moves: list[Move] = []
        cost, traffic = state.cost, state.traffic
        for x, p in zip(node.inputs, wanted, strict=True):
            if not isinstance(x, Value):
                if p == PARTIAL and not _is_zero(x):
                    return None
                continue
            have = places.get(x, frozenset())
            if p in have:
                continue
            if not have and x in self.inputs:
                if p == PARTIAL:
                    return None
            else:
                move = self._move(x, have, p)
                if move is None:
                    return None
                moves.append(move)
                seconds, nbytes = self._cost(move)
                cost += seconds
                traffic += nbytes
            places = {**places, x: have | {p}}
        step = Compute(node, wanted, made)
        key = (id(node), wanted, made)
        if key not in self._seconds:
            self._seconds[key] = self.seconds(step)
        places = {**places, **{v: frozenset([made]) for v in node.outputs}}
        chain = (state.last, moves, step, places)
        return chain, _State(cost + self._seconds[key], traffic, places, None)

    def _splits_parameters(self, node: Node, wanted: Sequence[Placement]) -> bool:
        """Whether a contraction with a matrix among the inputs reads a slice of it.

        Reading it whole would split the work, but each device would have to hold all of it.
        """
        if self.follow or node.op is not contract:
            return True
        ours = [
            p
            for x, p in zip(node.inputs, wanted, strict=True)
            if isinstance(x, Value)
            and x in self.inputs
            and x not in self.barred
            and len(x.shape) > 1
            and max(x.shape) >= len(self.weights)
        ]
        return not ours or any(isinstance(p, Along) for p in ours)

    def _cost(self, move: Move) -> tuple[float, int]:
        if move not in self._moves:
            seconds, nbytes = self.transfer(move)
            if self.follow and move.kind == "all-gather":
                seconds += UNWANTED
            self._moves[move] = seconds, nbytes
        return self._moves[move]

    def _move(self, x: Value, have: frozenset[Placement], want: Placement) -> Move | None:
        """Return the cheapest way to a placement, None where there is none."""
        if want == PARTIAL:
            return None
        if WHOLE in have:
            if self.follow and x not in self.flat:
                return None
            return Move("slice", x, WHOLE, want)
        found = []
        for p in sorted(have, key=str):
            if want == WHOLE:
                found.append(Move("all-reduce" if p == PARTIAL else "all-gather", x, p, want))
            elif not self.follow:
                found.append(Move("reduce-scatter" if p == PARTIAL else "all-to-all", x, p, want))
        return min(found, key=self._cost, default=None)

    def _completed(self, state: _State) -> _State:
        """Complete the partial sums among the outputs."""
        moves: list[Move] = []
        cost, traffic, places = state.cost, state.traffic, state.places
        for y in self.graph.outputs:
            if not isinstance(y, Value) or places.get(y) != frozenset([PARTIAL]):
                continue
            options = [Move("all-reduce", y, PARTIAL, WHOLE)]
            if not self.follow:
                options += [
                    Move("reduce-scatter", y, PARTIAL, Along(a, k))
                    for a, k in enumerate(y.shape)
                    if k >= len(self.weights) and self.barred.get(y) != a
                ]
            move = min(options, key=self._cost)
            seconds, nbytes = self._cost(move)
            cost, traffic = cost + seconds, traffic + nbytes
            moves.append(move)
            places = {**places, y: frozenset([PARTIAL, move.target])}
        return _State(cost, traffic, places, (state.last, moves, None, places))

    def _finished(self, state: _State) -> PlacedGraph:
        links = []
        chain = state.last
        while chain is not None:
            links.append(chain)
            chain = chain[0]
        made = PlacedGraph(self.graph, self.weights)
        made.inputs = dict(self.pinned)
        for _, moves, step, _ in reversed(links):
            made.steps.extend(moves)
            if step is not None:
                for x, p in zip(step.node.inputs, step.inputs, strict=True):
                    if isinstance(x, Value) and x in self.inputs:
                        made.inputs.setdefault(x, p)
                made.steps.append(step)
        for x in self.graph.inputs:
            made.inputs.setdefault(x, WHOLE)
        for y in self.graph.outputs:
            found = state.places.get(y, frozenset()) if isinstance(y, Value) else frozenset()
            made.outputs.append(min(found - {PARTIAL}, key=str, default=WHOLE))
        return made


def _is_zero(x: Any) -> bool:
    data = x.data if isinstance(x, Const) else x
    return not np.any(data)


def _unbatched(graph: Graph) -> set[Value]:
    """Return the values that repeat others, or are made of such: a slice of them costs nothing."""
    found: set[Value] = set()
    for node in graph.nodes:
        operands = [x for x in node.inputs if isinstance(x, Value)]
        if node.op is broadcast_to or (operands and found.issuperset(operands)):
            found.update(node.outputs)
    return found
