"""The derivatives and batches of `scan` and `while_loop`, made of those of their bodies.

Forward mode is the same loop with tangents carried along. Reverse mode is a loop over the trips
backwards: a tape records, in place of a `scan`, one that also stacks what the body's derivative
reads in each trip, and the pullback is a `scan` in the other direction over those stacks. A `while`
is differentiated in reverse as a `scan` of at least as many trips as it took. All results are loops
again, so derivatives of any order are.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.build import Builder
from wengert.ir.graph import Graph, Value
from wengert.ops.base import OfRegions, is_inexact, shape_of
from wengert.ops.convert import select
from wengert.ops.loops import cond, scan, while_loop, with_unread
from wengert.ops.shape import filled
from wengert.trace.recorder import active_recorder
from wengert.trace.region import RegionRecorder, example, record_region
from wengert.trace.replay import as_function
from wengert.trace.tracer import Tracer
from wengert.transform.batch import BatchTrace
from wengert.transform.regions import (
    Split,
    batched,
    once,
    over_batch,
    pushed,
    split,
    widened,
    zeros_like,
)
from wengert.transform.while_rules import pull_while, tape_inside

__all__ = ["TAPED", "Loop", "Taped", "chosen", "reordered", "results", "spread"]

Attrs = dict[str, Any]
Taping = tuple[Any, Callable[[list[Any]], list[Any]], Attrs, Callable[[list[Any]], list[Any]]]
"""What a tape records in place of a call: the operation, its operands from those of the call, its
attributes, and the results of the call from its results."""


LENGTHS = tuple([(2 + k % 2) << (2 + k // 2) for k in range(80)])
"""Numbers of trips that a `while` is recorded for on the way back: 8, 12, 16, 24, ..."""


def results(y: Any) -> list[Any]:
    """Return the results of an operation as a list."""
    return list(y) if isinstance(y, tuple) else [y]


def chosen(xs: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """Return those that are flagged."""
    return [x for x, f in zip(xs, flags, strict=True) if f]


def spread(xs: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """Put values in the places that are flagged; None in the others."""
    moving = iter(xs)
    return [next(moving) if f else None for f in flags]


def reordered(graph: Graph, inputs: Sequence[Value], outputs: Sequence[Any] | None = None) -> Graph:
    """Return the graph with its inputs, and outputs, in another order."""
    return Graph(inputs, graph.nodes, graph.outputs if outputs is None else outputs)


def or_zeros(slopes: Sequence[Any], likes: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """Return the flagged tangents or cotangents, zeros in the place of None."""
    return [
        zeros_like(x) if t is None else t for t, x, f in zip(slopes, likes, flags, strict=True) if f
    ]


class Loop:
    """How the operands of a loop, and the inputs of its body, divide into three parts."""

    def __init__(self, xs: Sequence[Any], attrs: Attrs) -> None:
        self.consts: int = attrs["consts"]
        self.carries: int = attrs.get("carries", len(xs) - self.consts)
        self.body: Graph = attrs["body"]
        self.xs = list(xs)
        self.outputs = len(self.body.outputs)

    def parts(self, xs: Sequence[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        """Return what belongs to constants, to carried values and to rows."""
        a, b = self.consts, self.consts + self.carries
        return list(xs[:a]), list(xs[a:b]), list(xs[b:])

    def examples(self, flags: Sequence[bool] = ()) -> list[Any]:
        """Return plain inputs for the body; of one example where it is a batch."""
        plain = [example(x) for x in self.xs]
        if flags:
            plain = [_first(x) if f else x for x, f in zip(plain, flags, strict=True)]
        fixed, carry, rows = self.parts(plain)
        return [*fixed, *carry, *map(_first, rows)]

    def settled(
        self, flags: Sequence[bool], step: Callable[[list[bool]], Sequence[bool]]
    ) -> list[bool]:
        """Flag carried values until what a trip carries on has no other flags.

        ``step(flags)`` says which outputs of the body are flagged when these inputs are.
        """
        flags = list(flags)
        while True:
            found = step(flags)[: self.carries]
            fixed, carry, rows = self.parts(flags)
            more = [a or b for a, b in zip(carry, found, strict=True)]
            if more == carry:
                return flags
            flags = [*fixed, *more, *rows]

    def wanted(self, flags: Sequence[bool]) -> list[bool]:
        """Ask for what is carried as it is carried in."""
        return [*self.parts(flags)[1], *[False] * (self.outputs - self.carries)]


def _first(x: Any) -> Any:
    """Return the first row of an array; ones of an empty one."""
    return x[0] if len(x) else np.ones(x.shape[1:], x.dtype)[()]


class _Pushed:
    """A loop with tangents: each part of its operands is followed by the part's tangents."""

    def __init__(self, xs: list[Any], ts: list[Any], attrs: Attrs) -> None:
        self.loop = loop = Loop(xs, attrs)
        examples = loop.examples()
        active = [t is not None and is_inexact(x) for t, x in zip(ts, xs, strict=True)]
        active = loop.settled(active, lambda flags: pushed(loop.body, flags, examples).active)
        made = pushed(loop.body, active, examples, loop.wanted(active))
        self.active, self.extra, self.graph = made.active, made.extra, made.graph
        self.of_fixed, self.of_carry, self.of_rows = loop.parts(active)
        n, e = len(active), len(made.extra)
        inputs = made.graph.inputs
        slopes = loop.parts(spread(inputs[e + n :], active))
        own = loop.parts(inputs[e : e + n])
        flags = (self.of_fixed, self.of_carry, self.of_rows)
        self.inputs = [
            *inputs[:e],
            *(v for p, t, f in zip(own, slopes, flags, strict=True) for v in (*p, *chosen(t, f))),
        ]
        given, moving = loop.parts(xs), loop.parts(ts)
        parts = [[*p, *or_zeros(t, p, f)] for p, t, f in zip(given, moving, flags, strict=True)]
        self.consts = e + len(parts[0])
        self.carries = len(parts[1])
        self.operands = [*made.extra, *parts[0], *parts[1], *parts[2]]

    def outputs(self) -> list[Any]:
        """Return the body's outputs: carried values, their tangents, rows, their tangents."""
        n, c = self.loop.outputs, self.loop.carries
        ys, slopes = self.graph.outputs[:n], spread(self.graph.outputs[n:], self.active)
        return [
            *ys[:c], *chosen(slopes[:c], self.of_carry),
            *ys[c:], *chosen(slopes[c:], self.active[c:]),
        ]  # fmt: skip


# --- scan -----------------------------------------------------------------------------------------
def push_scan(xs: list[Any], ts: list[Any], attrs: Attrs) -> tuple[list[Any], list[Any]]:
    """Carry tangents along."""
    made = _Pushed(xs, ts, attrs)
    body = reordered(made.graph, made.inputs, made.outputs())
    ys = results(
        scan(
            *made.operands,
            **{**attrs, "body": body, "consts": made.consts, "carries": made.carries},
        )
    )
    c, n = made.loop.carries, made.loop.outputs
    carried, stacked = ys[: made.carries], ys[made.carries :]
    return (
        [*carried[:c], *stacked[: n - c]],
        [*spread(carried[c:], made.of_carry), *spread(stacked[n - c :], made.active[c:])],
    )


class Taped(NamedTuple):
    """What the pullback of a taped loop or branch needs to know.

    Attributes
    ----------
    parts : tuple of Split
        Of the body, or of each branch.
    active : list of bool
        Which operands of the call have cotangents.
    slots : list of list of int
        Of each branch, the place of each of its residuals among all.
    """

    parts: tuple[Split, ...]
    active: list[bool]
    slots: list[list[int]]


TAPED: weakref.WeakKeyDictionary[Graph, Taped] = weakref.WeakKeyDictionary()
"""Of the region of each taped call (the first one)."""


def tape_scan(xs: list[Any], active: list[bool], attrs: Attrs) -> Taping:
    """Stack what the derivative reads in each trip."""
    loop = Loop(xs, attrs)
    examples = loop.examples()
    active = loop.settled(active, lambda flags: pushed(loop.body, flags, examples).active)
    fixed, carry, rows = loop.parts(active)
    kept = [*[True] * len(fixed), *[False] * len(carry), *[True] * len(rows)]
    summed = [*fixed, *[False] * (len(xs) - loop.consts)]
    made = split(loop.body, active, examples, kept, summed, loop.wanted(active))
    body = reordered(made.first, made.first.inputs)
    TAPED[body] = Taped((made,), active, [])
    taped = {**attrs, "body": body, "consts": loop.consts + len(made.extra)}
    return scan, lambda xs: [*made.extra, *xs], taped, lambda ys: ys[: loop.outputs]


def pull_scan(xs: list[Any], ys: list[Any], cts: list[Any], attrs: Attrs) -> list[Any]:
    """Run the trips backwards."""
    found = TAPED[attrs["body"]]
    (made,), active = found.parts, found.active
    e = len(made.extra)
    loop = Loop(xs[e:], {**attrs, "consts": attrs["consts"] - e})
    fixed, _, rows = loop.parts(loop.xs)
    of_fixed, of_carry, of_rows = loop.parts(active)
    c, n = loop.carries, len(made.active)
    # The second graph takes: extra, the body's inputs, residuals, cotangents, sums.
    inputs = list(made.second.inputs)
    at = [e, e + len(active), e + len(active) + made.residuals]
    own, saved = loop.parts(inputs[at[0] : at[1]]), inputs[at[1] : at[2]]
    slopes, sums = inputs[at[2] : at[2] + sum(made.active)], inputs[at[2] + sum(made.active) :]
    slopes = spread(slopes, made.active)
    grads = loop.parts(spread(made.second.outputs, active))
    ends = or_zeros(cts[:c], ys[:c], made.active[:c])
    starts = [zeros_like(x) for x in chosen(fixed, of_fixed)]
    body = reordered(
        made.second,
        [
            *inputs[:e], *own[0],
            *chosen(slopes[:c], made.active[:c]), *sums,
            *own[2], *saved, *chosen(slopes[c:], made.active[c:]),
        ],  # what is carried is among the residuals where it is read
        [*chosen(grads[1], of_carry), *chosen(grads[0], of_fixed), *chosen(grads[2], of_rows)],
    )  # fmt: skip
    back = results(
        scan(
            *xs[:e], *fixed, *ends, *starts,
            *rows, *ys[n:], *or_zeros(cts[c:n], ys[c:n], made.active[c:]),
            body=body,
            length=attrs["length"],
            consts=e + loop.consts,
            carries=len(ends) + len(starts),
            reverse=not attrs["reverse"],
        )
    )  # fmt: skip
    a, b = len(ends), len(ends) + len(starts)
    return [
        *[None] * e,
        *spread(back[a:b], of_fixed),
        *spread(back[:a], of_carry),
        *spread(back[b:], of_rows),
    ]


def _count(xs: Sequence[Any], flags: Sequence[bool]) -> int:
    return int(next(shape_of(x)[0] for x, f in zip(xs, flags, strict=True) if f))


def _carried(loop: Loop, flags: Sequence[bool], carry: Sequence[bool], n: int) -> list[Any]:
    """Return the carried operands, along the batch where a trip carries on what is."""
    had = loop.parts(flags)[1]
    return [
        filled(x, shape=(n, *shape_of(x))) if f and not h else x
        for x, f, h in zip(loop.parts(loop.xs)[1], carry, had, strict=True)
    ]


def batch_scan(
    xs: Sequence[Any], flags: Sequence[bool], attrs: Attrs
) -> tuple[list[Any], list[bool]]:
    """Run each trip for all examples at once."""
    n, loop = _count(xs, flags), Loop(xs, attrs)
    examples = loop.examples(flags)
    found = loop.settled(flags, lambda flags: batched(loop.body, flags, n, examples).flags)
    made = batched(loop.body, found, n, examples, loop.wanted(found))
    fixed, _, rows = loop.parts(loop.xs)
    rows = [
        np.swapaxes(x, 0, 1) if f else x for x, f in zip(rows, loop.parts(flags)[2], strict=True)
    ]
    ys = results(
        scan(
            *made.extra, *fixed, *_carried(loop, flags, loop.parts(found)[1], n), *rows,
            **{**attrs, "body": made.graph, "consts": loop.consts + len(made.extra)},
        )
    )  # fmt: skip
    c = loop.carries
    stacked = [
        np.swapaxes(y, 0, 1) if f else y for y, f in zip(ys[c:], made.flags[c:], strict=True)
    ]
    return [*ys[:c], *stacked], list(made.flags)


# --- while ----------------------------------------------------------------------------------------
def push_while(xs: list[Any], ts: list[Any], attrs: Attrs) -> tuple[list[Any], list[Any]]:
    """Carry tangents along; the condition does not read them."""
    made = _Pushed(xs, ts, attrs)
    test, loop = attrs["test"], made.loop
    ask = [Value(aval=v.aval) for v in made.inputs]
    e, c = len(made.extra), loop.carries
    ask[e : e + loop.consts] = test.inputs[: loop.consts]
    ask[made.consts : made.consts + c] = test.inputs[loop.consts :]
    ys = results(
        while_loop(
            *made.operands,
            test=reordered(test, ask),
            body=reordered(made.graph, made.inputs, made.outputs()),
            consts=made.consts,
        )
    )
    return [*ys[:c], ys[-1]], [*spread(ys[c:-1], made.of_carry), None]


def tape_while(xs: list[Any], active: list[bool], attrs: Attrs) -> Taping:
    """Count the trips, and record a scan of as many; under `jit`, of some more.

    A compiled program is for all numbers of trips from one of `LENGTHS` to the next: in trips
    beyond the last one, what is carried stays as it is. So it does where examples of a batch end
    before others.
    """
    trips = results(while_loop(*xs, **attrs))[-1]
    carries = len(xs) - attrs["consts"]
    batch = any(map(_is_batched, xs))
    if _is_inside(trips):

        def settled(flags: Sequence[bool], examples: Sequence[Any]) -> list[bool]:
            loop = Loop(xs, attrs)
            return loop.settled(flags, lambda flags: pushed(loop.body, flags, examples).active)

        return tape_inside(xs, active, attrs, settled)  # type: ignore[no-any-return]
    length = None if batch else _length(trips)
    rolled = {
        "body": attrs["body"] if length is None and not batch else _guarded(attrs),
        "length": int(trips) if length is None else length,
        "consts": attrs["consts"],
        "carries": carries,
        "reverse": False,
    }
    op, operands, taped, finish = tape_scan(xs, active, rolled)
    return op, operands, taped, lambda ys: [*finish(ys), trips]


def _length(trips: Any) -> int | None:
    """Return for how many trips a program is recorded; None where there is no program."""
    if not isinstance(trips, Tracer) or active_recorder() is None:
        return None
    return LENGTHS[min(int(np.searchsorted(LENGTHS, trips)), len(LENGTHS) - 1)]


def _is_inside(trips: Any) -> bool:
    """Whether a number of trips is another one in each run of the body that is being recorded."""
    recorder = active_recorder()
    x = trips
    while isinstance(x, Tracer):
        if x._trace is recorder and isinstance(recorder, RegionRecorder):
            return True
        x = x._var.data
    return False


def _is_batched(x: Any) -> bool:
    """Whether a value differs along a batch of a trace underneath."""
    while isinstance(x, Tracer):
        x._refresh()
        if isinstance(x._trace, BatchTrace) and x._var.batched:
            return True
        x = x._var.data
    return False


def _guarded(attrs: Attrs) -> Graph:
    """Return the body, doing nothing where the condition does not hold."""
    test, body, consts = attrs["test"], attrs["body"], attrs["consts"]
    still = [Value(aval=v.aval) for v in body.inputs]
    b = Builder()
    xs = [b.input(v.aval) for v in test.inputs]
    table: dict[Any, Any] = dict(zip(test.inputs, xs, strict=True))

    def read(x: Any) -> Any:
        return table[x] if isinstance(x, Value) else x

    for node in test.nodes:
        made = b.add(node.op, *map(read, node.inputs), **node.attrs)
        table.update(zip(node.outputs, results(made), strict=True))
    branches = (Graph(still, [], still[consts:]), body)
    return b.finish(results(b.add(cond, read(test.outputs[0]), *xs, branches=branches)))


def batch_while(
    xs: Sequence[Any], flags: Sequence[bool], attrs: Attrs
) -> tuple[list[Any], list[bool]]:
    """Go on until the last example ends; those that have ended stay as they are."""
    n, loop = _count(xs, flags), Loop(xs, attrs)
    body, test = loop.body, attrs["test"]
    examples = loop.examples(flags)
    found = loop.settled(flags, lambda flags: batched(body, flags, n, examples).flags)
    if batched(test, found, n, examples).flags[0]:
        found = [*found[: loop.consts], *[True] * loop.carries]
        asked, made = _masked(test, body, found, n, examples, loop.consts)
    else:
        asked = batched(test, found, n, examples)[::2]
        made = batched(body, found, n, examples, loop.wanted(found))[::2]
    carry = loop.parts(found)[1]
    (ask, first), (run, second) = asked, made
    ys = results(
        while_loop(
            *first, *second, *loop.parts(loop.xs)[0], *_carried(loop, flags, carry, n),
            test=with_unread(ask, len(first), second),
            body=with_unread(run, 0, first),
            consts=len(first) + len(second) + loop.consts,
        )
    )  # fmt: skip
    return ys, [*carry, False]


def _masked(
    test: Graph,
    body: Graph,
    flags: list[bool],
    n: int,
    examples: Sequence[Any],
    consts: int,
) -> tuple[tuple[Graph, list[Any]], tuple[Graph, list[Any]]]:
    """Return whether any example goes on, and a trip of those that do, with arrays they read."""

    def holds(xs: Sequence[Any]) -> Any:
        (y,), _ = over_batch(as_function(test), xs, flags, n)
        return y

    def step(*xs: Any) -> list[Any]:
        going = holds(xs)
        ys, found = over_batch(as_function(body), xs, flags, n)
        ys = [
            y if f else filled(y, shape=(n, *shape_of(y))) for y, f in zip(ys, found, strict=True)
        ]
        return [
            select(np.reshape(going, (n,) + (1,) * (len(shape_of(y)) - 1)), y, x)
            for y, x in zip(ys, xs[consts:], strict=True)
        ]

    def make() -> Any:
        wide = widened(examples, flags, n)
        found = (
            record_region("a loop", lambda *xs: [np.any(holds(xs))], wide, own=True),
            record_region("a loop", step, wide, own=True),
        )
        return tuple((region.graph, region.captured) for region in found)

    key = ("mask", test.text, body.text, tuple(flags), n)
    return once(key, make)  # type: ignore[no-any-return]


# --- the rows of the table ------------------------------------------------------------------------
def rule(derivative: Any, push: Any, taped: Any, pull: Any, along: Any) -> None:
    """Give an operation with regions its rules."""
    assert isinstance(derivative, OfRegions)
    derivative.push, derivative.taped = push, taped
    derivative.pull, derivative.batched = pull, along


rule(scan.derivative, push_scan, tape_scan, pull_scan, batch_scan)
rule(while_loop.derivative, push_while, tape_while, pull_while, batch_while)
