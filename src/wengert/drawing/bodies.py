"""What the bodies of loops and branches compute, trip by trip, for those trips that are shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.drawing.model import Snapshot
from wengert.drawing.snapshots import snapshot
from wengert.ir.build import computed, evaluate
from wengert.ir.graph import Graph, Node, Value
from wengert.ir.regions import each

__all__ = ["Bodies", "Ran"]

TRIPS = 12
"""So many trips of a loop are shown: the first ones, the last one, and some in between."""

WORK = 60_000
"""So many operations of bodies are run once more for their values; later trips are not shown."""


class Ran(NamedTuple):
    """How a region ran.

    Attributes
    ----------
    total : int
        How often.
    trips : tuple of int
        The trips that are known, counted from 1, in the order in which they ran.
    shots : dict
        From a value to what it was in each of them.
    inner : dict
        What the regions in it did in its first run, by first result and number.
    """

    total: int
    trips: tuple[int, ...]
    shots: dict[Value, tuple[Snapshot, ...]]
    inner: dict[tuple[Value, int], Ran]


class Bodies:
    """Runs bodies, until there was enough work."""

    def __init__(self) -> None:
        self.left = WORK

    def run(self, node: Node, xs: Sequence[Any], ys: Sequence[Any]) -> Iterator[tuple[int, Ran]]:
        """Run the regions of a node again; give the number and the record of each.

        Parameters
        ----------
        node : Node
        xs, ys : sequence of arrays
            Its operands and its results.
        """
        kind = node.op.name
        if kind == "scan":
            yield 0, self._scan(node, xs)
        elif kind == "while_loop":
            found = dict(zip(("test", "body"), self._while(node, xs, int(ys[-1])), strict=True))
            yield from ((k, found[name]) for k, (name, _) in enumerate(each(node)))
        elif kind == "cond":
            branches = node.attrs["branches"]
            taken = min(max(int(xs[0]), 0), len(branches) - 1)
            for k, branch in enumerate(branches):
                if k == taken:
                    yield k, self._record(branch, [(1, list(xs[1:]))], 1)
                else:
                    yield k, Ran(0, (), {}, {})

    def _scan(self, node: Node, xs: Sequence[Any]) -> Ran:
        attrs, body = node.attrs, node.attrs["body"]
        length, consts, carries = attrs["length"], attrs.get("consts", 0), attrs.get("carries", 0)
        fixed, carry, rows = xs[:consts], xs[consts : consts + carries], xs[consts + carries :]
        shown = self._shown(length, len(body.nodes))
        starts = []
        for k in range(max(shown, default=0)):
            t = length - 1 - k if attrs.get("reverse") else k
            inputs = [*fixed, *carry, *(x[t] for x in rows)]
            if k + 1 in shown:
                starts.append((t + 1, inputs))
            carry = evaluate(body, inputs)[:carries]
        return self._record(body, starts, length)

    def _while(self, node: Node, xs: Sequence[Any], total: int) -> tuple[Ran, Ran]:
        test, body = node.attrs["test"], node.attrs["body"]
        consts = node.attrs.get("consts", 0)
        fixed, carry = xs[:consts], xs[consts:]
        shown = self._shown(total, len(body.nodes))
        asked, starts = [], []
        for k in range(1, max(shown, default=0) + 1):
            inputs = [*fixed, *carry]
            if k in shown:
                starts.append((k, inputs))
                asked.append((k, inputs))
            carry = evaluate(body, inputs)
        if max(shown, default=0) == total:
            asked.append((total + 1, [*fixed, *carry]))  # when it said no
        return self._record(test, asked, total + 1), self._record(body, starts, total)

    def _shown(self, total: int, nodes: int) -> set[int]:
        """Return the trips that are shown, and charge for running up to the last of them."""
        cost = nodes + 1
        most = min(total, max(self.left // cost, 1))
        self.left -= most * cost
        if most <= TRIPS:
            return set(range(1, most + 1))
        spread = np.linspace(3, most, TRIPS - 2).astype(int)
        return {1, 2, *map(int, spread)}

    def _record(self, region: Graph, starts: Sequence[tuple[int, list[Any]]], total: int) -> Ran:
        """Run a region from some of its starts, and look at every value."""
        found: dict[Value, list[Snapshot]] = {}
        inner: dict[tuple[Value, int], Ran] = {}
        for k, (_, inputs) in enumerate(starts):
            table: dict[Any, Any] = dict(zip(region.inputs, inputs, strict=True))
            for node in region.nodes:
                xs = [table[x] if isinstance(x, Value) else x for x in node.inputs]
                made = computed(node, xs)
                ys = made if isinstance(made, tuple) else (made,)
                table.update(zip(node.outputs, ys, strict=True))
                if not k:
                    inner |= {(node.outputs[0], n): ran for n, ran in self.run(node, xs, ys)}
            for v, x in table.items():
                found.setdefault(v, []).append(snapshot(x))
        shots = {v: tuple(s) for v, s in found.items()}
        return Ran(total, tuple(trip for trip, _ in starts), shots, inner)
