"""Whether repeated operations of a recording become loops before it is compiled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from wengert.ir.graph import Graph
from wengert.rolling.roll import Limits, roll

__all__ = ["rolled", "rolling"]

_LIMITS: list[Limits | None] = [Limits()]


def rolled(graph: Graph) -> Graph:
    """Return a graph with loops in the place of what repeats, where that is worth it."""
    limits = _LIMITS[-1]
    return graph if limits is None else roll(graph, limits)


@contextlib.contextmanager
def rolling(limits: Limits | None) -> Iterator[None]:
    """Roll from other limits on, or not at all (None), within a block."""
    _LIMITS.append(limits)
    try:
        yield
    finally:
        _LIMITS.pop()
