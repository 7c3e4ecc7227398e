"""Which device does what of a graph: what a drawing of a candidate shades."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from wengert.devices.device_costs import sent
from wengert.devices.placement import Compute, Move, PlacedGraph
from wengert.devices.sharding import PARTIAL, Along
from wengert.devices.stages import Pipeline
from wengert.ir.graph import Graph, Value

__all__ = ["Sending", "Split", "of_placing", "of_stages"]


class Sending(NamedTuple):
    """A value that devices send to each other.

    Attributes
    ----------
    before : Value or None
        The first result of the operation before which they do; None for at the end.
    kind : str
        ``all-reduce``, ``all-gather``, ``reduce-scatter`` and so on.
    value : Value
    nbytes : int
        Sent by all devices.
    """

    before: Value | None
    kind: str
    value: Value
    nbytes: int


class Split(NamedTuple):
    """A graph, and what of it is done where.

    Attributes
    ----------
    graph : Graph
    regions : dict
        From the first result of an operation to the device that does it, or to how all of them do.
    sendings : tuple of Sending
    """

    graph: Graph
    regions: dict[Value, str]
    sendings: tuple[Sending, ...] = ()


def of_stages(line: Pipeline, cuts: Sequence[int]) -> Split:
    """Return which device of a pipeline does each operation."""
    regions = {
        step.node.outputs[0]: line.devices[bisect_right(cuts, place)].name
        for place, _, step in line.steps
        if isinstance(step, Compute)
    }
    return Split(line.placing.graph, regions)


def of_placing(placing: PlacedGraph, device: str = "") -> Split:
    """Return along which axis each operation is split, and what is sent.

    Parameters
    ----------
    placing : PlacedGraph
    device : str
        The one that does it all; empty where all of them do their parts.
    """
    regions: dict[Value, str] = {}
    sendings: list[Sending] = []
    waiting: list[Move] = []
    for step in placing.steps:
        if isinstance(step, Move):
            waiting.append(step)
            continue
        first = step.node.outputs[0]
        for move in waiting:
            nbytes = sum(sent(move, placing.weights))
            if nbytes and not device:
                sendings.append(Sending(first, move.kind, move.value, nbytes))
        waiting = []
        regions[first] = device or _said(step)
    sendings += [
        Sending(None, m.kind, m.value, n)
        for m in waiting
        if (n := sum(sent(m, placing.weights))) and not device
    ]
    return Split(placing.graph, regions, tuple(sendings))


def _said(step: Compute) -> str:
    """Say how several devices share an operation."""
    if isinstance(step.output, Along):
        return f"split along {step.output}"
    if step.output == PARTIAL:
        return "a summand on each"
    return "the same on each"
