"""The derivatives and batches of `cond`, made of those of its branches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Aval, Graph, Node, Value, aval_of
from wengert.ops.base import is_inexact, shape_of
from wengert.ops.convert import select
from wengert.ops.loops import cond, joined
from wengert.ops.shape import broadcast_to, filled
from wengert.trace.region import example
from wengert.trace.replay import as_function
from wengert.transform.loop_rules import (
    TAPED,
    Attrs,
    Taped,
    Taping,
    or_zeros,
    reordered,
    results,
    rule,
    spread,
)
from wengert.transform.regions import batched, over_batch, pushed, split

__all__: list[str] = []


def _any_of(flags: Sequence[Sequence[bool]]) -> list[bool]:
    return [any(column) for column in zip(*flags, strict=True)]


def _moving(branches: Sequence[Graph], active: Sequence[bool], examples: Sequence[Any]) -> Any:
    """Say which outputs have a derivative in any branch."""
    return _any_of([pushed(b, active, examples).active for b in branches])


def push_cond(xs: list[Any], ts: list[Any], attrs: Attrs) -> tuple[list[Any], list[Any]]:
    """Take the branch with its tangents."""
    index, operands, branches = xs[0], xs[1:], attrs["branches"]
    examples = [example(x) for x in operands]
    active = [t is not None and is_inexact(x) for t, x in zip(ts[1:], operands, strict=True)]
    wanted = _moving(branches, active, examples)
    made = [pushed(b, active, examples, wanted) for b in branches]
    extras = [m.extra for m in made]
    ys = results(
        cond(
            index, *(x for extra in extras for x in extra), *operands,
            *or_zeros(ts[1:], operands, active),
            branches=joined([m.graph for m in made], extras),
        )
    )  # fmt: skip
    n = len(wanted)
    return ys[:n], spread(ys[n:], wanted)


def tape_cond(xs: list[Any], active: list[bool], attrs: Attrs) -> Taping:
    """Return what the derivative of the branch taken reads as well."""
    operands, branches, active = xs[1:], attrs["branches"], active[1:]
    examples = [example(x) for x in operands]
    wanted = _moving(branches, active, examples)
    n = len(operands)
    parts = tuple(split(b, active, examples, [True] * n, [False] * n, wanted) for b in branches)
    extras = [p.extra for p in parts]
    slots, kinds = _slots([[aval_of(y) for y in p.first.outputs[len(wanted) :]] for p in parts])
    firsts = [
        _filling(p.first, len(wanted), places, kinds)
        for p, places in zip(parts, slots, strict=True)
    ]
    made = joined(firsts, extras)
    TAPED[made[0]] = Taped(parts, active, slots)
    extra = [x for part in extras for x in part]
    return (
        cond,
        lambda xs: [xs[0], *extra, *xs[1:]],
        {"branches": made},
        lambda ys: ys[: len(wanted)],
    )


def _slots(avals: Sequence[Sequence[Aval]]) -> tuple[list[list[int]], list[Aval]]:
    """Give the residuals of all branches places, those of different branches the same ones."""
    kinds: list[Aval] = []
    slots = []
    for mine in avals:
        taken: list[int] = []
        for a in mine:
            free = [i for i, k in enumerate(kinds) if k[:2] == a[:2] and i not in taken]
            if not free:
                kinds.append(Aval(*a[:2]))
                free = [len(kinds) - 1]
            taken.append(free[0])
        slots.append(taken)
    return slots, kinds


def _filling(graph: Graph, count: int, places: Sequence[int], kinds: Sequence[Aval]) -> Graph:
    """Return residuals in their places, zeros in the others."""
    nodes = list(graph.nodes)
    saved = dict(zip(places, graph.outputs[count:], strict=True))
    outputs = list(graph.outputs[:count])
    for i, kind in enumerate(kinds):
        if i in saved:
            outputs.append(saved[i])
            continue
        zero = kind.dtype.type(0)
        made: Any = zero
        if kind.shape:
            made = Value(aval=kind)
            nodes.append(Node(broadcast_to, (zero,), {"shape": kind.shape}, (made,)))
        outputs.append(made)
    return Graph(graph.inputs, nodes, outputs)


def pull_cond(xs: list[Any], ys: list[Any], cts: list[Any], attrs: Attrs) -> list[Any]:
    """Pull back through the branch that was taken."""
    found = TAPED[attrs["branches"][0]]
    parts, active = found.parts, found.active
    wanted = parts[0].active
    n = len(wanted)
    saved = ys[n:]
    seconds = []
    for part, places in zip(parts, found.slots, strict=True):
        start = len(part.extra) + len(active)
        inputs = list(part.second.inputs)
        own = dict(zip(places, inputs[start : start + part.residuals], strict=True))
        slots = [own.get(i) or Value(aval=aval_of(y)) for i, y in enumerate(saved)]
        seconds.append(
            reordered(part.second, [*inputs[:start], *slots, *inputs[start + part.residuals :]])
        )
    extras = [p.extra for p in parts]
    back = results(
        cond(
            *xs, *saved, *or_zeros(cts[:n], ys[:n], wanted),
            branches=joined(seconds, extras),
        )
    )  # fmt: skip
    return [None, *[None] * sum(map(len, extras)), *spread(back, active)]


def batch_cond(xs: Any, flags: Sequence[bool], attrs: Attrs) -> tuple[list[Any], list[bool]]:
    """Take one branch for the batch, or all of them where examples take different ones."""
    index, operands, branches = xs[0], list(xs[1:]), attrs["branches"]
    n = int(next(shape_of(x)[0] for x, f in zip(xs, flags, strict=True) if f))
    if flags[0]:
        return _every_branch(index, operands, list(flags[1:]), branches, n)
    examples = [
        example(x)[0] if f and n else example(x) for x, f in zip(operands, flags[1:], strict=True)
    ]
    wanted = _any_of([batched(b, flags[1:], n, examples).flags for b in branches])
    made = [batched(b, flags[1:], n, examples, wanted) for b in branches]
    extras = [m.extra for m in made]
    graphs = joined([m.graph for m in made], extras)
    ys = cond(index, *(x for e in extras for x in e), *operands, branches=graphs)
    return results(ys), list(wanted)


def _every_branch(
    index: Any, operands: list[Any], flags: list[bool], branches: Sequence[Graph], n: int
) -> tuple[list[Any], list[bool]]:
    """Run all branches, and choose for each example."""
    ys: list[Any] = []
    for k, branch in enumerate(branches):
        found, _ = over_batch(as_function(branch), operands, flags, n)
        found = [
            y if f else filled(y, shape=(n, *shape_of(y))) for y, f in zip(found, _, strict=True)
        ]
        if not ys:
            ys = found
            continue
        here = np.equal(index, k) if k < len(branches) - 1 else np.greater_equal(index, k)
        ys = [
            select(np.reshape(here, (n,) + (1,) * (len(shape_of(y)) - 1)), y, before)
            for y, before in zip(found, ys, strict=True)
        ]
    return ys, [True] * len(ys)


rule(cond.derivative, push_cond, tape_cond, pull_cond, batch_cond)
