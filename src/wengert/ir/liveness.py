"""When each value of a graph is read last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from wengert.ir.graph import Node, Value

__all__ = ["last_reads"]


def last_reads(nodes: Sequence[Node], ends: Iterable[Any] = ()) -> dict[Value, int]:
    """Return the number of the node that reads each value last.

    Parameters
    ----------
    nodes : sequence of Node
        In the order in which they run.
    ends : iterable of operands
        Read after all nodes, such as the outputs: the values among them get the number of nodes.
    """
    last: dict[Value, int] = {}
    for i, node in enumerate(nodes):
        last.update((x, i) for x in node.inputs if isinstance(x, Value))
    last.update((x, len(nodes)) for x in ends if isinstance(x, Value))
    return last
