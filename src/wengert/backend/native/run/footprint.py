"""What a graph needs of memory as native code, known exactly before anything is compiled."""

from __future__ import annotations

from wengert.backend.base import Footprint, Held
from wengert.backend.native.emit.module import Module
from wengert.backend.native.emit.tabled import LONG, Tabled
from wengert.backend.native.schedule.layout import arena, rounded
from wengert.backend.native.schedule.schedule import Schedule
from wengert.ir.graph import Graph, Value

__all__ = ["footprint", "laid_out"]


def laid_out(graph: Graph, fast: bool = False) -> tuple[Schedule, Module, int]:
    """Schedule a graph and place its arrays; return the bytes of the arena too.

    Raises
    ------
    Unsupported
        For a graph that native code cannot hold.
    """
    schedule = Schedule(graph)
    kind = Tabled if len(schedule.steps) >= LONG else Module
    module = kind(schedule, fast)  # adds what threads need for parts of results
    return schedule, module, arena([b for b in schedule.buffers if b.kind == "arena"])


def footprint(graph: Graph, fast: bool = False) -> Footprint:
    """Return what a program of this graph holds between its inputs and outputs, and when.

    Raises
    ------
    Unsupported
        As `laid_out`.
    """
    schedule, _, peak = laid_out(graph, fast)
    held = []
    for b in schedule.buffers:
        if b.kind != "arena":
            continue
        like = schedule.made_for.get(id(b))
        value = like if isinstance(like, Value) else None
        shape = value.shape if value is not None else (b.size,)
        held.append(Held(value, shape, str(b.dtype), rounded(b), b.first, b.last))
    return Footprint(peak, len(schedule.steps), tuple(held))
