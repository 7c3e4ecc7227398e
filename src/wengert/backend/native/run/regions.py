"""Bodies of loops and branches, compiled once, for the calls that run them trip by trip."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wengert.backend.native.schedule.schedule import Unsupported
from wengert.backend.native.schedule.steps import Host
from wengert.backend.numpy import NumpyBackend
from wengert.ir.graph import Graph, Node
from wengert.ir.regions import each, map_attributes

__all__ = ["with_programs"]


def with_programs(step: Host, make: Callable[[Graph], Any]) -> Host:
    """Return a host call whose regions are programs; in NumPy where native code cannot hold one."""
    node = step.node
    if not any(each(node)):
        return step

    def program(region: Graph) -> Any:
        try:
            return make(region)
        except Unsupported:
            return NumpyBackend().compile(region)

    attrs = map_attributes(node.attrs, program)
    return Host(
        step.step,
        Node(node.op, node.inputs, attrs, node.outputs, node.line),
        step.operands,
        step.outs,
    )
