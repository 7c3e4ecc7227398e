"""The least time of a graph on a machine: its arithmetic, and its bytes, whichever takes longer.

Williams, Waterman and Patterson, *Roofline: an insightful visual performance model*, Communications
of the ACM 52, 2009; loop by loop, since loops run one after the other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from wengert.cost.count import NodeCount
from wengert.devices.machine import Machine
from wengert.devices.traffic import in_loops
from wengert.ir.graph import Graph, Value

__all__ = ["Roofline", "roofline"]


@dataclass(frozen=True)
class Roofline:
    """The least time that a machine needs.

    Attributes
    ----------
    seconds : float
        Sum over the loops of native code, each of which reads an array once and leaves what it
        makes and uses up in registers; as `alone` where native code cannot lay out the program.
    alone : float
        The same with each operation on its own, as NumPy runs them.
    compute, memory : float
        Seconds for all the arithmetic, and for all the bytes of the loops.
    machine : Machine
    """

    seconds: float
    alone: float
    compute: float
    memory: float
    machine: Machine

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{self.seconds:.3g} s at least ({self.compute:.3g} s of arithmetic, "
            f"{self.memory:.3g} s of memory), {self.alone:.3g} s with each operation on its own; "
            f"{self.machine}"
        )


def roofline(
    graph: Graph,
    each: Sequence[int],
    charges: Sequence[NodeCount],
    stored: Collection[Value] | None,
    machine: Machine,
) -> Roofline:
    """Return the least time of a graph.

    Parameters
    ----------
    graph : Graph
    each : sequence of int
        Of each node, the number of its charge.
    charges : sequence of NodeCount
    stored : collection of Value or None
        What native code has in memory besides inputs, captured arrays and outputs; None where it
        does not lay the graph out.
    machine : Machine
    """
    times = [machine.seconds(c.flops, c.read + c.written) for c in charges]
    alone = sum(n * times[k] for k, n in Counter(each).items())
    flops = sum(n * charges[k].flops for k, n in Counter(each).items())
    compute = flops / machine.flops
    if stored is None:
        moved = sum(n * (charges[k].read + charges[k].written) for k, n in Counter(each).items())
        return Roofline(alone, alone, compute, moved / machine.bandwidth, machine)
    work: dict[int, tuple[int, int]] = {}
    for (loop, nbytes), k in zip(in_loops(graph, stored), each, strict=True):
        before = work.get(loop, (0, 0))
        own = charges[k].read + charges[k].written if nbytes is None else nbytes
        work[loop] = before[0] + charges[k].flops, before[1] + own
    seconds = sum(machine.seconds(*pair) for pair in work.values())
    memory = sum(nbytes for _, nbytes in work.values()) / machine.bandwidth
    return Roofline(seconds, alone, compute, memory, machine)
