"""What a compiled graph will do, step by step: the quantities that its time is predicted from.

The steps are those of native code, so loops are fused here as they are when they run. Each step
adds to a few quantities: elements by kind of operation, bytes, elements that are read out of order,
operations of BLAS and of LAPACK. What each of them takes is a matter of the machine
(`wengert.matrices.rates`).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from wengert.backend.native.schedule.layout import View, arena
from wengert.backend.native.schedule.schedule import Schedule, Unsupported
from wengert.backend.native.schedule.steps import (
    Compact,
    Contraction,
    Gather,
    Host,
    Loop,
    Network,
    Reduce,
    Repeat,
    Scan,
    Search,
    Sort,
    Update,
    reads,
)
from wengert.cost.count import count_graph
from wengert.cost.operation import count_operation
from wengert.ir.graph import Graph, Node, aval_of

__all__ = ["QUANTITIES", "Work", "work_and_peak", "work_of"]

QUANTITIES = {
    "step": "a loop or a call, however short",
    "line": "the innermost run of a loop",
    "simple": "an addition, multiplication or comparison of an element",
    "divide": "a division or a root of an element",
    "call": "an exponential or the like of an element",
    "byte": "a byte read or written in order",
    "apart": "an element read or written at a distance from the one before",
    "lookup": "an element whose place is looked up",
    "number": "an operation on single numbers",
    "number_call": "an exponential or the like of a single number",
    "product": "an operation of BLAS",
    "host": "a call of NumPy between native parts",
    "host_flop": "an operation of LAPACK or NumPy",
    "host_byte": "a byte that NumPy reads or writes",
}
"""What is counted, with what each is."""

Sums = defaultdict[str, float]
Work = dict[str, float]
"""How much there is of each quantity."""

ROOTS = frozenset({"divide", "sqrt", "reciprocal", "floor_divide", "remainder", "fmod", "hypot"})


def work_of(graph: Graph) -> Work:
    """Return the quantities of a graph, as native code runs it.

    A graph that native code does not take is counted as NumPy runs it, operation by operation.
    """
    return work_and_peak(graph)[0]


def work_and_peak(graph: Graph) -> tuple[Work, int]:
    """Return the quantities of a graph, and the bytes of its results and all between at most.

    For a graph that native code does not take, the bytes are those of the results.
    """
    made: defaultdict[str, float] = defaultdict(float)
    try:
        schedule = Schedule(graph)
    except Unsupported:
        count = count_graph(graph)
        made["host"] = len(graph.nodes)
        made["host_flop"] = count.flops
        made["host_byte"] = count.bytes
        return dict(made), sum(aval_of(y).nbytes for y in graph.outputs)
    _add(made, schedule.steps, 1)
    return dict(made), _between(schedule) + sum(b.nbytes for b in schedule.outputs)


def _between(schedule: Schedule) -> int:
    """Return the bytes of what is neither argument nor result, those of trips once."""
    regions = [r for step in schedule.steps if isinstance(step, Repeat) for r in step.regions]
    own = arena([b for b in schedule.buffers if b.kind == "arena"])
    return own + max(map(_between, regions), default=0)


def _add(made: Sums, steps: Iterable[Any], times: float) -> None:
    for step in steps:
        made["step"] += times
        if isinstance(step, Loop):
            _loop(made, step, times)
        elif isinstance(step, Contraction):
            m, n, k = step.sizes
            calls = math.prod([size for size, *_ in step.batch])
            made["step"] += times * (calls - 1)
            # a product with a short side reads more than it multiplies
            made["product"] += times * calls * 2.0 * max(m, 4) * max(n, 4) * max(k, 4)
            made["byte"] += times * calls * 8.0 * (m * k + k * n + m * n)
        elif isinstance(step, Repeat):
            _repeat(made, step, times)
        elif isinstance(step, Host):
            _host(made, step.node, times)


def _kind(node: Node) -> tuple[str, float]:
    """Return what an operation on an element is, and how many there are."""
    name = node.op.name
    if name in ROOTS:
        return "divide", 1.0
    found = count_operation(node, [_element(x) for x in node.inputs], [_element(node.outputs[0])])
    if found is None:
        return "call", 1.0
    calls = found.kinds.get("transcendental", 0)
    if calls:
        return "call", float(calls)
    return "simple", float(max(sum(found.kinds.values()), 0.5))


def _element(x: Any) -> Any:
    aval = aval_of(x)
    return type(aval)((), aval.dtype)


def _loop(made: Sums, loop: Loop, times: float) -> None:
    n = loop.elements
    if n <= 1:
        for item in loop.items:
            if type(item) is tuple:
                kind, count = _kind(item[0])
                made["number_call" if kind == "call" else "number"] += times * count
            else:
                made["number"] += times
        made["number"] += times * len(loop.stores)
        return
    views: dict[Any, tuple[View, int]] = {}
    looked = 0
    for item in loop.items:
        if type(item) is tuple:
            kind, count = _kind(item[0])
            made[kind] += times * n * count
        elif isinstance(item, (Reduce, Scan)):
            made["simple"] += times * n
        elif isinstance(item, (Gather, Update)):
            if item.index:
                looked += 1
        elif isinstance(item, (Sort, Search, Network, Compact)):
            made["lookup"] += times * n * 8
        for x in reads(item):
            if isinstance(x, View):
                _note(views, x)
        for name in ("out", "target", "source"):
            x = getattr(item, name, None)
            if isinstance(x, View) and not getattr(item, "index", ()):
                _note(views, x)
    for _, target in loop.stores:
        _note(views, target)
    inner = _innermost(loop, [v for v, _ in views.values()])
    made["lookup"] += times * n * looked
    made["line"] += times * n / max(loop.shape[inner], 1)
    for view, _ in views.values():
        stride = abs(view.strides[inner]) if len(view.strides) == len(loop.shape) else 1
        itemsize = view.buffer.dtype.itemsize
        span = math.prod([s for s, t in zip(loop.shape, view.strides, strict=False) if t] or [1])
        if stride in (0, 1):
            made["byte"] += times * itemsize * span
        else:
            made["apart"] += times * n


def _note(views: dict[Any, tuple[View, int]], x: View) -> None:
    views[id(x.buffer), x.offset, x.strides] = x, 0


def _innermost(loop: Loop, views: list[View]) -> int:
    """Return the axis along which most of what a loop reads and writes lies in order."""
    rank = len(loop.shape)

    def far(axis: int) -> tuple[int, int]:
        wide = [v for v in views if len(v.strides) == rank and abs(v.strides[axis]) > 1]
        return len(wide), -axis

    axes = [a for a in range(rank) if loop.shape[a] > 1] or [rank - 1]
    return min(axes, key=far)


def _repeat(made: Sums, step: Repeat, times: float) -> None:
    node = step.node
    for region, trips in node.op.runs(**node.attrs):
        each = times * (trips if trips is not None else 10)
        if step.regions:
            continue
        for inner in region.nodes:
            outputs = [v.aval for v in inner.outputs]
            found = count_operation(inner, [aval_of(x) for x in inner.inputs], outputs)
            calls = 1 if found is None else found.kinds.get("transcendental", 0)
            rest = 0 if found is None else sum(found.kinds.values()) - calls
            made["number_call"] += each * calls
            made["number"] += each * max(rest, 0.5)
    for scheduled in step.regions:
        trips = max((t or 10 for _, t in node.op.runs(**node.attrs)), default=1)
        _add(made, scheduled.steps, times * trips)


def _host(made: Sums, node: Node, times: float) -> None:
    inputs = [aval_of(x) for x in node.inputs]
    outputs = [v.aval for v in node.outputs]
    found = count_operation(node, inputs, outputs)
    made["host"] += times
    if found is not None:
        made["host_flop"] += times * sum(found.kinds.values())
    made["host_byte"] += times * sum(a.nbytes for a in (*inputs, *outputs))
