"""Reverse mode of a `while` whose number of trips is not known while it is recorded.

Such a loop stands in the body of another one, and takes another number of trips each time. Its way
forward keeps what is carried at the start of every s-th trip, in `SLOTS` places: where they are
full, every other one is let go and s doubles. The way back goes through the trips from the last
one, and runs those since the kept one again for each: not at all where there are as many places as
trips, and otherwise s / 2 of them on average. Bodies are differentiated as those of `scan` are.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import Graph, Value, aval_of
from wengert.ops.base import shape_of
from wengert.ops.loops import cond, while_loop, with_unread
from wengert.trace.region import example, record_region
from wengert.trace.replay import as_function
from wengert.transform.regions import Split, once, split, zeros_like

__all__ = ["KEPT", "Kept", "pull_while", "tape_inside"]

BYTES = 1 << 16
"""What the places for one loop take, about."""


class Kept(NamedTuple):
    """What the pullback of such a loop needs to know.

    Attributes
    ----------
    made : Split
        Of the body.
    active : list of bool
        Which operands have cotangents.
    body : Graph
    consts : int
        How many operands do not change, of the loop as it was written.
    slots : int
    """

    made: Split
    active: list[bool]
    body: Graph
    consts: int
    slots: int


KEPT: weakref.WeakKeyDictionary[Graph, Kept] = weakref.WeakKeyDictionary()
"""Of the body of each taped loop."""


def _slots(carry: Sequence[Any]) -> int:
    size = sum(aval_of(x).dtype.itemsize * int(np.prod(shape_of(x))) for x in carry)
    return int(2 ** np.clip(np.log2(BYTES / max(size, 1)) // 1, 3, 8))


def _row(stack: Any, k: Any) -> Any:
    return stack[k]


def tape_inside(
    xs: list[Any], active: Sequence[bool], attrs: dict[str, Any], settled: Callable[..., list[bool]]
) -> Any:
    """Return what a tape records for a loop in the body of another one.

    Parameters
    ----------
    settled : callable
        Flags what is carried, given the flags of the operands and examples of them.
    """
    test, body, consts = attrs["test"], attrs["body"], attrs["consts"]
    examples = [example(x) for x in xs]
    active = settled(active, examples)
    carry = examples[consts:]
    n, slots = len(carry), _slots(carry)
    kept, summed = [True] * len(xs), [*active[:consts], *[False] * n]
    wanted = active[consts:]
    made = split(body, active, examples, kept, summed, wanted)

    def step(*ys: Any) -> list[Any]:
        fixed, now, (t, s), stacks = _parts(ys, consts, n)
        full = t == s * slots
        stacks = _halved(full, stacks, slots)
        s = np.where(full, 2 * s, s)
        place = np.where(t % s == 0, t // s, slots)
        for k, x in enumerate(now):
            stack = np.copy(stacks[k])
            stack[place] = x
            stacks[k] = stack
        return [*as_function(body)(*fixed, *now), t + 1, s, *stacks]

    zero, one = np.int64(0), np.int64(1)
    stacks = [np.zeros((slots + 1, *np.shape(x)), aval_of(x).dtype) for x in carry]

    def make() -> Any:
        return record_region("a loop", step, [*examples, zero, one, *stacks], own=True)

    region = once(("keep", body.text, consts, slots), make)
    e = len(region.captured)
    KEPT[region.graph] = Kept(made, list(active), body, consts, slots)
    ask = Graph(
        [*test.inputs, *[Value(aval=aval_of(x)) for x in (zero, one, *stacks)]],
        test.nodes,
        test.outputs,
    )
    taped = {
        "test": with_unread(ask, 0, region.captured),
        "body": region.graph,
        "consts": e + consts,
    }
    # The number of trips is the last result, as it is of the loop that was written.
    return (
        while_loop,
        lambda xs: [*region.captured, *xs, zero, one, *stacks],
        taped,
        lambda ys: [*ys[:n], ys[-1]],
    )


def _parts(ys: Sequence[Any], consts: int, n: int) -> tuple[Any, Any, Any, list[Any]]:
    a, b = consts, consts + n
    return ys[:a], list(ys[a:b]), ys[b : b + 2], list(ys[b + 2 :])


def _halved(full: Any, stacks: list[Any], slots: int) -> list[Any]:
    """Let every other place go, where all are taken."""

    def halve(*xs: Any) -> list[Any]:
        return [np.concatenate([x[:slots:2], x[slots // 2 :]]) for x in xs]

    key = ("halve", slots, tuple([(shape_of(x), aval_of(x).dtype.str) for x in stacks]))
    plain = [np.zeros(shape_of(x), aval_of(x).dtype) for x in stacks]
    less = once(key, lambda: record_region("a loop", halve, plain, own=True)).graph
    same = [Value(aval=aval_of(x)) for x in stacks]
    made = cond(full, *stacks, branches=(Graph(same, [], same), less))
    return list(made) if isinstance(made, tuple) else [made]


def pull_while(xs: list[Any], ys: list[Any], cts: list[Any], attrs: dict[str, Any]) -> list[Any]:
    """Run the trips backwards, each after those that lead to it from a state that was kept."""
    made, active, body, consts, _ = KEPT[attrs["body"]]
    e = attrs["consts"] - consts
    n = len(body.outputs)
    fixed = xs[e : e + consts]
    trips, s, stacks = ys[n], ys[n + 1], ys[n + 2 : -1]
    of_fixed, of_carry = active[:consts], active[consts:]
    starts = [
        zeros_like(y) if c is None else c
        for y, c, f in zip(ys[:n], cts[:n], made.active, strict=True)
        if f
    ]
    sums = [zeros_like(x) for x, f in zip(fixed, of_fixed, strict=True) if f]
    m, extra = len(starts), list(made.extra)

    def forward(*zs: Any) -> list[Any]:
        own, k, now = zs[:consts], zs[consts + 1], zs[consts + 2 :]
        return [k + 1, *as_function(body)(*own, *now)]

    def going(*zs: Any) -> list[Any]:
        return [zs[consts + 1] < zs[consts]]

    def back(*zs: Any) -> list[Any]:
        more, zs = list(zs[: len(extra)]), zs[len(extra) :]
        own, (s, *stacks) = list(zs[:consts]), zs[consts : consts + 1 + n]
        t, slopes = zs[consts + 1 + n] - 1, list(zs[consts + 2 + n :])
        place = t // s
        now = [_row(stack, place) for stack in stacks]
        inputs = [*map(example, own), np.int64(1), np.int64(0), *map(example, now)]
        run = record_region("a loop", forward, inputs, own=True)
        ask = record_region("a loop", going, inputs, own=True)
        c = len(run.captured)
        found = while_loop(
            *run.captured, *own, t, place * s, *now,
            test=with_unread(ask.graph, 0, run.captured), body=run.graph, consts=c + consts + 1,
        )  # fmt: skip
        now = list(found)[1:-1]
        done = as_function(made.first)(*more, *own, *now)
        grads = as_function(made.second)(*more, *own, *now, *done[n:], *slopes)
        moving = iter(grads)
        by = [next(moving) if a else None for a in active]
        return [
            t,
            *[g for g, f in zip(by[consts:], of_carry, strict=True) if f],
            *[g for g, f in zip(by[:consts], of_fixed, strict=True) if f],
        ]

    operands = [*extra, *fixed, s, *stacks, trips, *starts, *sums]
    plain = [example(x) for x in operands]
    a = len(extra) + consts + 1 + n

    def left(*zs: Any) -> list[Any]:
        return [zs[a] > 0]

    run = record_region("a loop", back, plain, own=True)
    ask = record_region("a loop", left, plain, own=True)
    found = while_loop(
        *run.captured, *operands,
        test=with_unread(ask.graph, 0, run.captured), body=run.graph, consts=len(run.captured) + a,
    )  # fmt: skip
    slopes = iter(list(found)[1:-1])
    to_carry = [next(slopes) if f else None for f in of_carry]
    to_fixed = [next(slopes) if f else None for f in of_fixed]
    assert m == sum(of_carry), "what is carried on has the flags of what is carried in"
    return [*[None] * e, *to_fixed, *to_carry, *[None] * (2 + len(stacks))]
