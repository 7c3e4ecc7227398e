"""Taylor mode through `scan`: a loop that carries the derivatives of what it carried.

The general way, by the slope of a loop, is a loop of twice as much for each order. Here the body
itself is run in Taylor mode, so a loop of order d carries d + 1 values for one. Where only sums of
the highest derivatives over many curves are wanted, the body carries those sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import Graph, aval_of
from wengert.ir.regions import lines
from wengert.ops.base import is_inexact, shape_of
from wengert.ops.loops import scan
from wengert.ops.shape import filled
from wengert.trace.region import record_region
from wengert.trace.replay import as_function
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace
from wengert.transform.loop_rules import Attrs, Loop, results
from wengert.transform.regions import once, zeros_like

__all__ = ["along_batch", "scanned", "summed"]

Run = Callable[[Any, Sequence[Any], Sequence[Any], int, BatchTrace | None], Any]
"""``run(f, primals, terms, order, batch)`` returns results and their derivatives."""


def along_batch(t: Any, batch: BatchTrace) -> tuple[Any, bool]:
    """Return what a value of a batch is underneath, and whether the batch is its axis 0."""
    if isinstance(t, Tracer):
        t._refresh()
        if t._trace is batch:
            return t._var.data, t._var.batched
    return t, False


def summed(t: Any, batch: BatchTrace) -> Any:
    """Return the sum over a batch."""
    data, batched = along_batch(t, batch)
    return np.sum(data, axis=0) if batched else batch.size * data


class _Body(NamedTuple):
    """A body in Taylor mode: its inputs are those of the body, then the terms of the active ones.

    Its outputs are those of the body, then the terms of the active ones.
    """

    graph: Graph
    active: tuple[bool, ...]
    extra: list[Any]


class _Scan:
    """A scan along curves; `size` is the number of curves whose highest derivatives are summed."""

    def __init__(
        self, xs: list[Any], attrs: Attrs, order: int, batch: BatchTrace | None, run: Run
    ) -> None:
        self.loop = Loop(xs, attrs)
        self.attrs, self.order, self.batch, self.run = attrs, order, batch, run
        self.examples = self.loop.examples()

    def _is_shared(self, m: int) -> bool:
        """Whether the derivative of order m is one for all curves."""
        return self.batch is None or m == self.order

    def _zeros(self, x: Any, m: int) -> Any:
        lead = () if self._is_shared(m) or self.batch is None else (self.batch.size,)
        aval = aval_of(x)
        return np.zeros((*lead, *aval.shape), aval.dtype)[()]

    def body(self, flags: Sequence[bool], wanted: Sequence[bool]) -> _Body:
        """Record the body in Taylor mode, where these inputs move."""
        region, n, order = self.loop.body, len(flags), self.order
        flags, wanted = tuple(flags), tuple(wanted)
        size = None if self.batch is None else self.batch.size

        def make() -> _Body:
            active: list[bool] = []

            def f(*flat: Any) -> list[Any]:
                batch = None if size is None else BatchTrace(size)
                given = iter(flat[n:])
                terms = [
                    [self._inside(next(given), m, batch) for m in range(1, order + 1)]
                    if moves
                    else [None] * order
                    for moves in flags
                ]
                ys, found = self.run(as_function(region), flat[:n], terms, order, batch)
                active[:] = [
                    is_inexact(y) and (w or any(t is not None for t in ts))
                    for y, ts, w in zip(ys, found, wanted, strict=True)
                ]
                outs = list(ys)
                for y, ts, moves in zip(ys, found, active, strict=True):
                    if moves:
                        outs += [self._outside(t, y, m + 1, batch) for m, t in enumerate(ts)]
                if batch is not None:
                    batch.alive = False
                return outs

            plain = [
                self._zeros(x, m)
                for x, moves in zip(self.examples, flags, strict=True)
                if moves
                for m in range(1, order + 1)
            ]
            made = record_region("a loop", f, [*self.examples, *plain], own=True)
            return _Body(made.graph, tuple(active), made.captured)

        return once(("taylor", region.text, lines(region), flags, wanted, order, size), make)

    def _inside(self, t: Any, m: int, batch: BatchTrace | None) -> Any:
        return t if batch is None or self._is_shared(m) else Tracer(batch, Batched(t, True))

    def _outside(self, t: Any, y: Any, m: int, batch: BatchTrace | None) -> Any:
        if batch is None or self._is_shared(m):
            return zeros_like(y) if t is None else t
        lead = (batch.size, *shape_of(y))
        if t is None:
            return filled(zeros_like(y), shape=lead)
        data, batched = along_batch(t, batch)
        return data if batched else filled(data, shape=lead)

    def _operand(self, t: Any, x: Any, m: int, row: bool) -> Any:
        """Return a derivative as an operand: of rows, the batch is behind the trips."""
        if self.batch is None or self._is_shared(m):
            return zeros_like(x) if t is None else t
        t = self._outside(t, x, m, self.batch)
        return np.swapaxes(t, 0, 1) if row else t

    def results(self, terms: Sequence[Sequence[Any]]) -> tuple[list[Any], list[list[Any]]]:
        """Return the results of the loop and their derivatives; None is zero."""
        loop, order = self.loop, self.order
        moves = [any(t is not None for t in ts) for ts in terms]
        none = [False] * loop.outputs
        flags = loop.settled(moves, lambda flags: self.body(flags, none).active)
        made = self.body(flags, loop.wanted(flags))
        e, n = len(made.extra), len(flags)
        inputs = made.graph.inputs
        slopes = iter(inputs[e + n :])
        groups = [[next(slopes) for _ in range(order)] if f else [] for f in flags]
        places = loop.parts(range(n))
        sides: list[tuple[list[Any], list[Any]]] = [([], []), ([], []), ([], [])]
        for side, part in zip(sides, places, strict=True):
            for i in part:
                side[0].append(inputs[e + i])
                side[1].append(loop.xs[i])
            for i in part:
                side[0].extend(groups[i])
                for m, _ in enumerate(groups[i]):
                    t = terms[i][m]
                    side[1].append(self._operand(t, loop.xs[i], m + 1, part is places[2]))
        outs = iter(made.graph.outputs[loop.outputs :])
        ends = [[next(outs) for _ in range(order)] if f else [] for f in made.active]
        c, ys = loop.carries, made.graph.outputs[: loop.outputs]
        outputs = [
            *ys[:c], *(t for ts in ends[:c] for t in ts),
            *ys[c:], *(t for ts in ends[c:] for t in ts),
        ]  # fmt: skip
        body = Graph(
            [*inputs[:e], *(v for side in sides for v in side[0])], made.graph.nodes, outputs
        )
        found = iter(
            results(
                scan(
                    *made.extra, *(x for side in sides for x in side[1]),
                    **{
                        **self.attrs,
                        "body": body,
                        "consts": e + len(sides[0][0]),
                        "carries": len(sides[1][0]),
                    },
                )
            )
        )  # fmt: skip
        values: list[Any] = []
        slopes_out: list[list[Any]] = []
        for rows, outputs_of in ((False, range(c)), (True, range(c, loop.outputs))):
            values += [next(found) for _ in outputs_of]
            for j in outputs_of:
                slopes_out.append(
                    [self._result(next(found), m, rows) for m in range(1, order + 1)]
                    if made.active[j]
                    else [None] * order
                )
        return values, slopes_out

    def _result(self, t: Any, m: int, row: bool) -> Any:
        if self.batch is None or self._is_shared(m):
            return t
        return Tracer(self.batch, Batched(np.swapaxes(t, 0, 1) if row else t, True))


def scanned(
    xs: list[Any],
    terms: Sequence[Sequence[Any]],
    attrs: Attrs,
    order: int,
    batch: BatchTrace | None,
    run: Run,
) -> tuple[list[Any], list[list[Any]]]:
    """Return the results of a scan along curves, and their derivatives.

    Parameters
    ----------
    xs : list of arrays
        The operands.
    terms : sequence of sequences
        Their derivatives of orders 1 to `order`; None is zero.
    attrs : dict
    order : int
    batch : BatchTrace or None
        Of many curves, whose highest derivatives are summed.
    run : callable
        Runs a function in Taylor mode.
    """
    return _Scan(xs, attrs, order, batch, run).results(terms)
