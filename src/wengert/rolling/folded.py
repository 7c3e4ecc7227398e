"""A loop whose trips were taken in while Python ran them, written as one `scan`.

`roll` finds loops in what was recorded trip by trip. Here what a trip does is known, and what its
operands are in all trips, so that no trip but one is ever written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ir.graph import Const, Graph, Value, aval_of
from wengert.ir.keys import key
from wengert.ir.simplify import simplify
from wengert.rolling.body import LoopWriter
from wengert.rolling.limits import Limits
from wengert.rolling.table import Table, masked
from wengert.rolling.wiring import CARRIED, FIXED, ROW, Wiring
from wengert.rolling.writer import RefusedError, Writer

__all__ = ["written"]

Rolled = Callable[[Graph, Limits], tuple[Graph, list[Any]]]


def written(loop: Any, limits: Limits, rolled: Rolled) -> Graph | None:
    """Return a graph with a loop as one operation; None where it is better left as it is.

    Parameters
    ----------
    loop : wengert.trace.repeated.Loop
    limits : Limits
        For the loops in its trips.
    rolled : callable
        Rolls these.

    Returns
    -------
    Graph
        From what comes from outside to the results that are used, by result and then by trip.
    """
    table = Table(Graph(_inputs(loop), loop.nodes, []))
    wiring = _wired(table, loop)
    outer = Writer(lambda x: Const(x, fixed=True))
    outer.spare = 8 + loop.trips * len(loop.nodes) // 4
    writer = _Given(table, wiring, outer, table.operand, lambda g: rolled(g, limits), loop.used)
    try:
        found = writer.write()
    except RefusedError:
        return None
    numbers = [wiring.made * t + k for k, trips in loop.used.items() for t in trips]
    outputs = [outer.read(found[number]) for number in numbers]
    return simplify(Graph(loop.inputs, outer.nodes, outputs), differentiable=True)


class _Given(LoopWriter):
    """Writes a loop of which it is told what is used of it."""

    def __init__(
        self, table: Table, loop: Wiring, outer: Writer, operand: Callable[[int], Any],
        rolled: Callable[[Graph], tuple[Graph, list[Any]]], used: dict[int, list[int]],
    ) -> None:  # fmt: skip
        self._given_used = used
        super().__init__(table, loop, outer, operand, rolled)

    def _used_outside(self) -> dict[int, list[int]]:
        return self._given_used


def _inputs(loop: Any) -> list[Value]:
    """Return all values that the nodes of a trip do not make."""
    found = dict.fromkeys(loop.inputs)
    made = {v for node in loop.nodes for v in node.outputs}
    for node in loop.nodes:
        found.update(dict.fromkeys(x for x in node.inputs if type(x) is Value and x not in made))
    return list(found)


def _wired(table: Table, loop: Any) -> Wiring:
    n, made = loop.trips, len(table.values)
    columns = [c for there in loop.columns for c in there]
    operands = np.zeros((n, len(columns)), np.int64)
    kinds = np.zeros(len(columns), np.int64)
    relative = np.zeros(len(columns), np.int64)
    for i, c in enumerate(columns):
        if c.kind == "carried":
            kinds[i], relative[i] = CARRIED, c.what - c.lag * made
            operands[:, i] = made * np.arange(n) + relative[i]
            for back, x in enumerate(c.begins, 1):
                operands[c.lag - back, i] = table._number(x)
        elif c.kind == "fixed" or _is_same(c.what):
            x = c.what if c.kind == "fixed" else c.what[0]
            kinds[i], operands[:, i] = FIXED, table._number(x)
            relative[i] = operands[0, i]
        else:
            kinds[i], operands[:, i] = ROW, [table._number(x) for x in c.what]
    return Wiring(0, len(loop.nodes), n, 0, made, operands, kinds, relative, _places(table, loop))


def _is_same(xs: list[Any]) -> bool:
    """Whether numbers or arrays are the same in each trip."""
    first = xs[0]
    if all(x is first for x in xs):
        return True
    if type(first) is Const:
        return False
    k = key(first)
    return all(key(x) == k for x in xs)


def _places(table: Table, loop: Any) -> Any:
    """Return the integers of all index templates in each trip."""
    n = loop.trips
    places = np.tile(table.places, (n, 1))
    for j, specs in loop.specs.items():
        start, stop = int(table.at[j]), int(table.at[j + 1])
        shape = aval_of(loop.nodes[j].inputs[0]).shape
        places[:, start:stop] = [masked(spec, shape)[1] for spec in specs]
    return places
