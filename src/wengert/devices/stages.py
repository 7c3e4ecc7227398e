"""Cut a graph into stages for a pipeline of devices, the slowest of them as fast as it can be.

A stage is a run of the forward pass in program order, with the operations of the backward pass that
belong to it. The cuts are found by dynamic programming over their positions (Narayanan et al.,
*PipeDream*, SOSP 2019); the batch goes through in microbatches, all forward and then all backward
(Huang et al., *GPipe*, NeurIPS 2019).
"""

from __future__ import annotations

import bisect
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from wengert.devices.device import Device
from wengert.devices.device_costs import Key, Part, additions, eager, outputs_of, part_size, peak_of
from wengert.devices.device_graph import Layout
from wengert.devices.placement import Compute, Move, PlacedGraph, Step
from wengert.devices.schedule import BACKWARD, FORWARD, ONCE, Span, flow, laid_end_to_end
from wengert.devices.sharding import PARTIAL, WHOLE, Along
from wengert.devices.traffic import Work
from wengert.ir.graph import Const, Node, Value
from wengert.memory.profile import is_backward

__all__ = ["POSITIONS", "Pipeline", "Stages", "best_cuts", "positions"]

POSITIONS = 48
"""Places for a cut that are tried; of a longer graph, in as many runs of it where fewest bytes
cross."""


class Stages(NamedTuple):
    """A pipeline.

    Attributes
    ----------
    cuts : tuple of int
        Positions in the forward pass before which it is cut.
    parts : tuple of Part
    crossing : tuple of (int, int)
        For each cut the bytes that cross it forward and backward, for the whole batch.
    microbatches : int
    slowest : float
        Seconds of the slowest stage for the whole batch, with the transfers over its first cut.
    seconds : float
    bubble : float
        Share of the time in which a device waits, on average.
    schedule : tuple of Span
        When each device does what.
    """

    cuts: tuple[int, ...]
    parts: tuple[Part, ...]
    crossing: tuple[tuple[int, int], ...]
    microbatches: int
    slowest: float
    seconds: float
    bubble: float
    schedule: tuple[Span, ...] = ()


def positions(nodes: Sequence[Node], parameters: Collection[Value]) -> dict[int, int]:
    """Return for each node (by its id) its position in the forward pass, from 0 on.

    That of the program; but what is computed from parameters alone stands where they are first
    read. A node of the backward pass stands where the operation does whose cotangent it carries,
    and never after what it reads of the backward pass.
    """
    ours = set(parameters)
    alone: dict[Value, int] = {}  # where what is made of parameters can stand
    early: list[int] = []
    forward = [n for n in nodes if not is_backward(n)]
    for i, node in enumerate(forward):
        reads = _values(node)
        alone.update((x, i) for x in reads if x in ours and x not in alone)
        free = bool(reads) and all(x in alone for x in reads)
        early.append(max(alone[x] for x in reads) if free else i)
        if free:
            alone.update(dict.fromkeys(node.outputs, early[i]))
    order = sorted(range(len(forward)), key=lambda i: (early[i], i))
    found = {id(forward[i]): k for k, i in enumerate(order)}
    maker: dict[Value, Node] = {}
    users: dict[Value, list[Node]] = {}
    places: dict[object, list[int]] = {}
    for node in (forward[i] for i in order):
        maker.update((v, node) for v in node.outputs)
        for x in {*_values(node), *node.outputs}:
            users.setdefault(x, []).append(node)
        places.setdefault(_kind(node, node.op.name), []).append(found[id(node)])
    for node in nodes:
        if not is_backward(node):
            continue
        reads = _values(node)
        makers = [maker[x] for x in reads if x in maker]
        limit = min((found[id(n)] for n in makers if is_backward(n)), default=len(forward) - 1)
        kind = _kind(node, getattr(node.line, "op", ""))
        touching = [
            found[id(n)]
            for x in reads
            for n in users.get(x, ())
            if _kind(n, n.op.name) == kind and found[id(n)] <= limit
        ]
        alike = places.get(kind, [])
        before = bisect.bisect_right(alike, limit)
        own = max(touching) if touching else alike[before - 1] if before else None
        if own is None:
            own = max((found[id(n)] for n in makers), default=limit)
        found[id(node)] = min(own, limit)
        maker.update((v, node) for v in node.outputs)
    return found


def _values(node: Node) -> list[Value]:
    return [x for x in node.inputs if isinstance(x, Value)]


def _kind(node: Node, op: str) -> tuple[object, ...]:
    return (*(node.line or ("", 0)), op)


def _is_late(placed: tuple[int, bool, Step]) -> bool:
    return placed[1]


class Pipeline:
    """A placed graph to be cut.

    Parameters
    ----------
    placing : PlacedGraph
        With the batch split; undivided for one microbatch.
    devices : sequence of Device
        One for each stage, in order.
    sizes : sequence of int
        Examples in each microbatch.
    work : Work
    parameters : collection of Value, optional
        The inputs that are no data; what is computed from them alone is done where they are.
    layout : Layout, optional
        Says what stages hold; without it, it is counted.
    """

    def __init__(
        self,
        placing: PlacedGraph,
        devices: Sequence[Device],
        sizes: Sequence[int],
        work: Work,
        parameters: Collection[Value] = (),
        layout: Layout | None = None,
    ) -> None:
        self.work = work
        self.layout = layout or Layout(None)
        self.placing, self.devices, self.sizes = placing, tuple(devices), tuple(sizes)
        graph = placing.graph
        at = positions(graph.nodes, parameters)
        self.length = sum(not is_backward(n) for n in graph.nodes)
        self.steps: list[tuple[int, bool, Step]] = []
        self.producer: dict[Key, tuple[int, bool]] = {}
        self.readers: dict[Key, list[tuple[int, bool]]] = {}
        inputs = set(graph.inputs)
        source: dict[Key, Key] = {}
        for step in eager(placing.steps):
            if isinstance(step, Move):
                key, made = (step.value, step.source), (step.value, step.target)
                place = self.producer.get(key, (0, False))
                if step.kind == "slice":
                    source[made] = source.get(key, key)
                else:
                    self.producer[made] = place
                self.steps.append((*place, step))
                continue
            place = (at[id(step.node)], is_backward(step.node))
            self.steps.append((*place, step))
            for x, p in zip(step.node.inputs, step.inputs, strict=True):
                if isinstance(x, Value) and x not in inputs:
                    key = source.get((x, p), (x, p))
                    self.readers.setdefault(key, []).append(place)
            self.producer.update({(v, step.output): place for v in step.node.outputs})
        self._costs()
        self._crossings()
        self.places = self._open_positions()
        self._peaks: dict[tuple[int, int], int] = {}
        self._quick: dict[tuple[int, int], int] = {}

    def _size(self, key: Key) -> int:
        return part_size(key, max(self.sizes), sum(self.sizes))

    def _costs(self) -> None:
        """Add up operations, bytes and, for each device, seconds at each position."""
        n, k = self.length, len(self.sizes)
        total, times = sum(self.sizes), Counter(self.sizes)
        self.flops, self.bytes = [0] * n, [0] * n
        zero = [0.0] * n
        self.once = [list(zero) for _ in self.devices]
        self.passes = [[list(zero), list(zero)] for _ in self.devices]
        for place, backward, step in self.steps:
            if isinstance(step, Move):
                extra = additions(step, k)
                self.flops[place] += extra
                for d, device in enumerate(self.devices):
                    self.once[d][place] += extra / device.speed
                continue
            repeated = k == 1 or step.output != WHOLE
            for s in times:
                runs = times[s] if repeated else int(s == self.sizes[0])
                if not runs:
                    continue
                flops, nbytes = self.work.of_part(step, s, total)
                self.flops[place] += runs * flops
                self.bytes[place] += runs * nbytes
                for d, device in enumerate(self.devices):
                    time = device.seconds(flops, nbytes)
                    # A pipeline goes at the pace of its largest microbatch.
                    if not repeated:
                        self.once[d][place] += time
                    elif s == max(self.sizes):
                        self.passes[d][backward][place] += time

    def _crossings(self) -> None:
        """Find the bytes that cross each position, forward and backward, and of how many values."""
        n, k = self.length, len(self.sizes)
        self.cross = [[0, 0] for _ in range(n + 1)]
        for key, readers in self.readers.items():
            place, _ = self.producer[key]
            times = k if key[1] == PARTIAL else 1
            nbytes = key[0].aval.nbytes * times
            for c in range(place + 1, max(p for p, _ in readers) + 1):
                self.cross[c][0] += nbytes
            for c in range(min(p for p, _ in readers) + 1, place + 1):
                self.cross[c][1] += nbytes

    def _open_positions(self) -> list[int]:
        inner = list(range(1, self.length))
        if len(inner) > POSITIONS:
            ends = [i * len(inner) // POSITIONS for i in range(POSITIONS + 1)]
            runs = [inner[i:j] for i, j in itertools.pairwise(ends)]
            inner = [min(run, key=lambda c: sum(self.cross[c])) for run in runs]
        return [0, *inner, self.length]

    def name(self, c: int) -> str:
        """Return the operation at a position, and its line."""
        for place, backward, step in self.steps:
            if place == c and not backward and isinstance(step, Compute):
                line = step.node.line
                return f"{step.node.op.name}" + (f" in line {line[1]}" if line else "")
        return f"position {c}"

    def transfer(self, c: int, s: int, way: int) -> float:
        """Return the seconds for one microbatch over the cut before stage `s`."""
        if s == 0 or not self.cross[c][way]:
            return 0.0
        a, b = self.devices[s - 1], self.devices[s]
        each = self.cross[c][way] / len(self.sizes)
        return each / min(a.link, b.link) + max(a.latency, b.latency)

    def stage_seconds(self, s: int, i: int, j: int) -> float:
        """Return the seconds of a stage for all of the batch, with the transfers before it."""
        forward, backward = self.pass_seconds(s, i, j)
        return len(self.sizes) * (forward + backward) + sum(self.once[s][i:j])

    def pass_seconds(self, s: int, i: int, j: int) -> tuple[float, float]:
        """Return the seconds of one microbatch, forward and backward."""
        there, back = (sum(self.passes[s][w][i:j]) + self.transfer(i, s, w) for w in (0, 1))
        return there, back

    def peak(self, i: int, j: int) -> int:
        """Return the most bytes that a stage holds, laid out as native code would do it.

        Values that its backward pass reads are there for all microbatches, the others for one; and
        an accumulator for each partial sum. Where native code cannot hold it, it is counted.
        """
        if (i, j) not in self._peaks:
            found = self.layout.stage(
                self.placing,
                self._inside(i, j),
                self._outputs(i, j),
                self.sizes,
                lambda key: self.producer.get(key, (0, False))[1],
            )
            self._peaks[i, j] = self._counted(i, j) if found is None else found
        return self._peaks[i, j]

    def quick_peak(self, i: int, j: int) -> int:
        """Return `peak` where it is known, else what its operations hold one by one."""
        if (i, j) in self._peaks:
            return self._peaks[i, j]
        if (i, j) not in self._quick:
            self._quick[i, j] = self._counted(i, j)
        return self._quick[i, j]

    def knows(self, cuts: Sequence[int]) -> bool:
        """Find the peaks of these stages; return whether all were known before."""
        runs = list(itertools.pairwise([0, *cuts, self.length]))
        known = all(run in self._peaks for run in runs)
        for run in runs:
            self.peak(*run)
        return known

    def _inside(self, i: int, j: int) -> list[Step]:
        """Return the steps of a stage, all forward and then all backward."""
        return [s for _, _, s in sorted((t for t in self.steps if i <= t[0] < j), key=_is_late)]

    def _outputs(self, i: int, j: int) -> list[Key]:
        """Return what a stage keeps or sends: outputs, and what other stages read."""
        sent = [
            key
            for key, readers in self.readers.items()
            if i <= self.producer[key][0] < j and not all(i <= p < j for p, _ in readers)
        ]
        return [*outputs_of(self.placing), *sent]

    def _counted(self, i: int, j: int) -> int:
        """Return what the operations of a stage hold, each value until its last use."""
        inputs = set(self.placing.graph.inputs)
        inside = sorted((t for t in self.steps if i <= t[0] < j), key=_is_late)
        steps = [step for _, _, step in inside]
        made = {v for t in steps if isinstance(t, Compute) for v in t.node.outputs}
        held: dict[Key, int] = {}
        kept: set[Key] = set()
        constants: dict[int, int] = {}
        for _, backward, step in inside:
            if isinstance(step, Move):
                if step.source == PARTIAL and len(self.sizes) > 1:
                    held[step.value, step.target] = step.value.aval.nbytes
                continue
            for x, p in zip(step.node.inputs, step.inputs, strict=True):
                if isinstance(x, Const):
                    constants[id(x)] = x.aval.nbytes
                elif isinstance(x, Value) and x in inputs:
                    first = self.placing.inputs[x]
                    held[x, first] = x.aval.nbytes
                elif isinstance(x, Value) and backward and isinstance(p, Along):
                    place = self.producer.get((x, p))
                    if place is None or not place[1]:
                        kept.add((x, p))
        ends = [y for y in outputs_of(self.placing) if y[0] in made]
        more = len(self.sizes) - 1
        extra = sum(v.aval.nbytes - self._size((v, p)) for v, p in kept)
        peak = peak_of(steps, held, ends, self._size, sum(constants.values()))
        return peak + (extra if more else 0)

    def stages(self, cuts: Sequence[int]) -> Stages:
        """Return what a choice of cuts costs."""
        bounds = [0, *cuts, self.length]
        runs = list(itertools.pairwise(bounds))
        passes = [self.pass_seconds(s, i, j) for s, (i, j) in enumerate(runs)]
        once = [sum(self.once[s][i:j]) for s, (i, j) in enumerate(runs)]
        more = len(self.sizes) - 1
        seconds = max(once)
        for way in (0, 1):
            times = [p[way] for p in passes]
            seconds += sum(times) + more * max(times)
        crossing = tuple((self.cross[c][0], self.cross[c][1]) for c in cuts)
        parts = []
        for s, (i, j) in enumerate(runs):
            ahead = crossing[s][0] if s < len(cuts) else 0
            behind = crossing[s - 1][1] if s else 0
            spent = (more + 1) * sum(
                sum(self.passes[s][w][i:j]) for w in (0, 1)
            ) + once[s]  # fmt: skip
            parts.append(
                Part(
                    self.devices[s].name,
                    sum(self.flops[i:j]),
                    sum(self.bytes[i:j]),
                    self.peak(i, j),
                    ahead + behind,
                    spent,
                )
            )
        busy = sum(p.seconds for p in parts) / len(parts)
        slowest = max(self.stage_seconds(s, i, j) for s, (i, j) in enumerate(runs))
        return Stages(
            tuple(cuts),
            tuple(parts),
            crossing,
            more + 1,
            slowest,
            seconds,
            1 - busy / seconds if seconds else 0.0,
            tuple(self._schedule(runs, once)),
        )

    def _schedule(self, runs: Sequence[tuple[int, int]], once: Sequence[float]) -> list[Span]:
        """Return when each stage does what: all microbatches forward, then all backward."""
        n = len(self.sizes)
        there, back = (
            [(sum(self.passes[s][w][i:j]), self.transfer(i, s, w)) for s, (i, j) in enumerate(runs)]
            for w in (0, 1)
        )
        spans, turn = flow(there, n, FORWARD, 0.0)
        more, end = flow(back[::-1], n, BACKWARD, turn)
        spans += more
        for s, seconds in enumerate(once):
            spans += laid_end_to_end(s, [(ONCE, seconds, "")], end)
        return spans


def best_cuts(
    pipeline: Pipeline, cost: Callable[[int, int, int], float]
) -> tuple[float, tuple[int, ...]]:
    """Return the cuts whose largest cost of a stage is least, and that cost.

    Parameters
    ----------
    pipeline : Pipeline
    cost : callable
        ``cost(stage, start, stop)``; infinite for what cannot be.
    """
    places, n = pipeline.places, len(pipeline.devices)
    best: dict[int, tuple[float, float, tuple[int, ...]]] = {0: (0.0, 0.0, ())}
    for s in range(n):
        after: dict[int, tuple[float, float, tuple[int, ...]]] = {}
        for i, (most, total, cuts) in best.items():
            for j in places:
                if j <= i or (s == n - 1) != (j == pipeline.length):
                    continue
                one = cost(s, i, j)
                found = (max(most, one), total + one, (*cuts, j))
                if j not in after or found < after[j]:
                    after[j] = found
        best = after
    if pipeline.length not in best:
        return float("inf"), ()
    most, _, cuts = best[pipeline.length]
    return most, cuts[:-1]
