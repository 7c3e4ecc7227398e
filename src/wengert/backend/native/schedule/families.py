"""Which large elementwise values have to do with each other, so that one loop for them is a gain.

A loop that computes two large arrays from nothing in common saves nothing, and holds all that both
read and make at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wengert.backend.native.scalar.lower import lowered
from wengert.ir.graph import Node, Value

__all__ = ["LARGE", "Families"]

LARGE = 1 << 18
"""Bytes from which on an array shares no loop with what it has nothing in common with."""


class Families:
    """Values that elementwise operations over one shape connect, directly or not."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._parent: dict[Value, Value] = {}
        for node in nodes:
            v = node.outputs[0]
            if v.aval.nbytes >= LARGE and lowered(node):
                for x in node.inputs:
                    if isinstance(x, Value) and x.shape == v.shape:
                        self._parent[self._root(x)] = self._root(v)

    def _root(self, v: Value) -> Value:
        parent = self._parent
        while (above := parent.get(v, v)) is not v:
            parent[v] = parent.get(above, above)
            v = above
        return v

    def of(self, v: Any) -> Value | None:
        """Return what stands for the family of a large value, None for any other."""
        return self._root(v) if isinstance(v, Value) and v.aval.nbytes >= LARGE else None

    def has(self, family: Value, values: Iterable[Value]) -> bool:
        """Whether one of the values is of a family."""
        return any(self._root(x) is family for x in values)
