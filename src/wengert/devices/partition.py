"""Ways to split one step of a computation over several devices, counted from its graph.

Four ways are compared: one device, which may go through the batch in parts; the same program on a
part of the batch on each device; a pipeline of stages; and matrices split over the devices
(Shoeybi et al., *Megatron-LM*, 2019). All do the same step: the whole batch, the same result. They
are plans: nothing here runs on several devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wengert.cost.count import count_graph
from wengert.devices.batches import Batch, find_batch
from wengert.devices.candidates import Candidate, Partition, listed
from wengert.devices.device import Device, checked
from wengert.devices.device_costs import (
    Part,
    Timing,
    accumulate_parts,
    accumulate_schedule,
    additions,
    completing_moves,
    late_move,
    measure,
    part_peak,
    seconds_of,
    sent,
    undivide,
)
from wengert.devices.device_graph import Layout, Measure
from wengert.devices.placement import Compute, Move, NoPlacement, PlacedGraph, Placer
from wengert.devices.sharding import WHOLE, Along, share
from wengert.devices.split import of_placing, of_stages
from wengert.devices.stages import Pipeline, Stages, best_cuts
from wengert.devices.traffic import Work
from wengert.errors import InputError, MemoryBudgetError, user_line
from wengert.ir.graph import Graph
from wengert.jit.form import split
from wengert.jit.record import record
from wengert.memory.profile import size_text
from wengert.ops.contract import contract

__all__ = ["Candidate", "Device", "Partition", "partitioned"]

MICROBATCHES = (1, 2, 4, 8, 16, 32)
ROUNDS = 32
"""Choices of cuts whose stages are laid out before the search for those that fit is given up."""


def partitioned(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    devices: Sequence[Device],
    batch: int | Sequence[int] | None = None,
    microbatches: int | None = None,
    measure: Measure | None = None,
) -> Partition:
    """Return what `wengert.partition` does; memory is laid out by `measure`, or counted.

    Raises
    ------
    InputError, MemoryBudgetError
        As `wengert.partition`.
    """
    devices = checked(devices)
    name = getattr(f, "__name__", None) or type(f).__name__
    graph = record(f, *split(args, kwargs)).graph
    found = find_batch(graph, args, kwargs, batch)
    if microbatches is not None:
        _check_microbatches(microbatches, found)
    search = _Search(graph, devices, found, microbatches, measure)
    made = Partition(
        name, devices, search.whole, found.examples, search.candidates(), found.arguments
    )
    if not any(c.fits for c in made.candidates):
        near = min((c for c in made.candidates if c.applicable), key=lambda c: c.least)
        held = ", ".join(f"{d.name} {size_text(d.size)}" for d in devices)
        where = "on each" if len(near.parts) > 1 else "on one of them"
        raise MemoryBudgetError(
            f"these devices cannot hold their part of {name} in any way ({held}). The least that "
            f"would do is {size_text(near.least)} ({near.least:,} bytes) {where}, "
            f"as {near.name!r}." + user_line(),
            near.least,
        )
    return made


def _check_microbatches(n: Any, found: Batch) -> None:
    if isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError(f"microbatches={n!r} is no positive number of parts." + user_line())
    if n > 1 and found.examples is None:
        raise InputError(f"microbatches={n}, but {found.why}." + user_line())
    if found.examples is not None and n > found.examples:
        raise InputError(
            f"microbatches={n}, but there are {found.examples} examples (in "
            f"{listed(found.arguments)}); give as many at most." + user_line()
        )


class _Search:
    """Makes the candidates for one graph."""

    def __init__(
        self,
        graph: Graph,
        devices: tuple[Device, ...],
        found: Batch,
        microbatches: int | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.layout = Layout(measure)
        self.graph, self.devices = graph, devices
        self.batched, self.examples, self.why = found.inputs, found.examples, found.why
        self.arguments, self.parameters = found.arguments, found.parameters
        self.microbatches = microbatches
        self.whole = count_graph(graph)
        self.work = Work(graph, self.layout.stored(graph))
        self.weights = self._weights()
        self._held: dict[int, int] = {}
        self.by_batch: PlacedGraph | None = None
        self.too_late: str | None = None
        if self.examples is not None:
            try:
                self.by_batch = self._placer((1.0, 1.0), devices[:1] * 2, follow=True).search()
            except NoPlacement as error:
                self.why = str(error)
            else:
                self.too_late = late_move(self.by_batch)

    def _weights(self) -> tuple[float, ...]:
        """Return how much of an axis each device gets: as much as it does in a second."""
        one = undivide(self.graph)
        times = [accumulate_parts(one, [1], d, self.work, 0).seconds for d in self.devices]
        if not all(times):
            return tuple(float(d.speed) for d in self.devices)
        return tuple(min(times) / t for t in times)

    def candidates(self) -> tuple[Candidate, ...]:
        """Return all of them."""
        return (
            self.alone(),
            self.minibatch(),
            self.data_parallel(),
            self.pipeline(),
            self.tensor(),
        )

    def _placer(
        self, weights: tuple[float, ...], devices: Sequence[Device], *, follow: bool
    ) -> Placer:
        def seconds(step: Compute) -> float:
            both = (self.work(step, weights, d) for d in range(len(weights)))
            return max(x.seconds(n, b) for x, (n, b) in zip(devices, both, strict=True))

        def transfer(move: Move) -> tuple[float, int]:
            time = seconds_of(move, devices, weights)
            time += additions(move, len(weights)) / len(weights) / min(d.speed for d in devices)
            return time, sum(sent(move, weights))

        if follow:
            assert self.examples is not None
            pinned = {
                v: Along(0, self.examples) if v in self.batched else WHOLE
                for v in self.graph.inputs
            }
            return Placer(self.graph, weights, seconds, transfer, pinned=pinned, follow=True)
        barred = dict.fromkeys(self.batched, 0)
        for step in self.by_batch.steps if self.by_batch else ():
            if isinstance(step, Compute) and isinstance(step.output, Along):
                barred.update((v, step.output.axis) for v in step.node.outputs)
        return Placer(self.graph, weights, seconds, transfer, barred=barred)

    def _repeated(self, flops: int, combined: int) -> int:
        return flops - self.whole.flops - combined

    def _alone(
        self,
        name: str,
        placing: PlacedGraph,
        tried: list[tuple[Part, Device, dict[str, Any], int]],
    ) -> Candidate:
        """Return the best of single devices."""
        number, (part, device, notes, combined) = min(
            enumerate(tried),
            key=lambda t: (t[1][0].peak > t[1][1].size, t[1][0].seconds, -t[1][1].size),
        )
        sizes = notes.get("parts", (1,))
        return Candidate(
            name,
            parts=(part,),
            seconds=part.seconds,
            fits=part.peak <= device.size,
            least=notes.pop("least", part.peak),
            combined=combined,
            repeated=self._repeated(part.flops, combined),
            notes=notes,
            schedule=accumulate_schedule(placing, sizes, device, self.work, number),
            split=of_placing(placing, device.name),
        )

    def alone(self) -> Candidate:
        """One device does it all."""
        one = undivide(self.graph)
        peak = self._peak(one, 1, 1)
        return self._alone(
            "one device",
            one,
            [(accumulate_parts(one, [1], d, self.work, peak), d, {}, 0) for d in self.devices],
        )

    def _peak(self, placing: PlacedGraph, part: int, batch: int) -> int:
        """Return the peak for `part` examples of a batch on one device."""
        found = self.layout.part(placing, part, batch)
        return part_peak(placing, part, batch) if found is None else found

    def _largest(self, placing: PlacedGraph, sizes: Sequence[int]) -> int:
        """Return the most that a part holds; kernels differ, so it need not be the largest part."""
        return max(self._peak(placing, n, sum(sizes)) for n in set(sizes))

    def minibatch(self) -> Candidate:
        """One device goes through the batch in parts that it can hold, and adds up."""
        name = "smaller minibatch"
        if self.by_batch is None or self.examples is None:
            return Candidate(name, self.why)
        if self.too_late:
            return Candidate(name, self.too_late)
        placing, total = self.by_batch, self.examples
        tried = []
        for d in self.devices:
            sizes = self._sizes(placing, total, d)
            part = accumulate_parts(placing, sizes, d, self.work, self._largest(placing, sizes))
            combined = sum(additions(m, len(sizes)) for m in completing_moves(placing))
            least = self._peak(placing, 1, total)
            tried.append((part, d, {"parts": sizes, "least": least}, combined))
        return self._alone(name, placing, tried)

    def _sizes(self, placing: PlacedGraph, total: int, device: Device) -> tuple[int, ...]:
        """Return the parts: the fewest that fit, or as many as there are devices if one does."""
        least = max(len(self.devices), 2) if self._peak(placing, total, total) <= device.size else 2
        low, high = min(least, total), total

        def fits(k: int) -> bool:
            return self._largest(placing, share(total, (1.0,) * k)) <= device.size

        while low < high:
            k = (low + high) // 2
            if fits(k):
                high = k
            else:
                low = k + 1
        return share(total, (1.0,) * low)

    def data_parallel(self) -> Candidate:
        """Each device does the same for its part of the batch."""
        name = "data parallel"
        n = len(self.devices)
        if n < 2:
            return Candidate(name, "there is one device")
        if self.by_batch is None or self.examples is None:
            return Candidate(name, self.why)
        if self.examples < n:
            return Candidate(name, f"{self.examples} examples cannot be shared by {n} devices")
        try:
            found = self._shared(name, self.weights)
            if not found.fits:
                shares = self._held_shares(self.examples)
                found = self._shared(name, tuple(map(float, shares))) if shares else found
        except NoPlacement as error:
            return Candidate(name, str(error))
        if self.whole.flops and min(p.flops for p in found.parts) >= self.whole.flops:
            return Candidate(
                name,
                f"{self.too_late or 'nothing is split along the batch'}, so every device would do "
                f"all of it; is {listed(self.arguments)} the batch? Name it with batch=",
            )
        return found

    def _shared(self, name: str, weights: tuple[float, ...]) -> Candidate:
        assert self.examples is not None
        placing = self._placer(weights, self.devices, follow=True).search()
        return self._spread(name, placing, {"parts": share(self.examples, weights)})

    def _held_shares(self, total: int) -> list[int] | None:
        """Return shares of the batch that every device holds, the rest by rate; None if none do."""
        most = [self._most(d, total) for d in self.devices]
        if sum(most) < total or not all(most):
            return None
        shares = [0] * len(most)
        free, rest = list(range(len(most))), total
        while True:
            given = share(rest, tuple(self.weights[i] for i in free))
            over = [i for i, n in zip(free, given, strict=True) if n > most[i]]
            for i in over:
                shares[i] = most[i]
            rest -= sum(shares[i] for i in over)
            free = [i for i in free if i not in over]
            if not over:
                for i, n in zip(free, given, strict=True):
                    shares[i] = n
            if not over or not free or rest < len(free):
                return shares if sum(shares) == total and all(shares) else None

    def _most(self, device: Device, total: int) -> int:
        """Return how many of the examples a device holds."""

        def peak(part: int) -> int:
            if part not in self._held:
                assert self.by_batch is not None
                placing = replace(self.by_batch, weights=(float(part), float(total - part)))
                found = measure(placing, [device] * 2, self.work, self.layout.device)
                self._held[part] = found.parts[0].peak
            return self._held[part]

        low, high = 0, total - 1
        while low < high:
            k = (low + high + 1) // 2
            low, high = (k, high) if peak(k) <= device.size else (low, k - 1)
        return low

    def tensor(self) -> Candidate:
        """Each contraction is split along an axis other than the batch."""
        name = "tensor split"
        n = len(self.devices)
        if n < 2:
            return Candidate(name, "there is one device")
        if not any(node.op is contract for node in self.graph.nodes):
            return Candidate(name, "there is no contraction")
        try:
            placing = self._placer(self.weights, self.devices, follow=False).search()
        except NoPlacement as error:
            return Candidate(name, str(error))
        shared = [
            any(isinstance(p, Along) for p in (*s.inputs, s.output))
            for s in placing.steps
            if isinstance(s, Compute) and s.node.op is contract
        ]
        if not any(shared):
            return Candidate(name, f"no contraction has an axis for {n} devices besides the batch")
        return self._spread(name, placing, {"contractions": (sum(shared), len(shared))})

    def _spread(self, name: str, placing: PlacedGraph, notes: dict[str, Any]) -> Candidate:
        found: Timing = measure(placing, self.devices, self.work, self.layout.device)
        flops = sum(p.flops for p in found.parts)
        n = len(self.devices)
        used = [p for p in placing.inputs.values() if isinstance(p, Along)]
        for step in placing.steps:
            if isinstance(step, Compute):
                used += [p for p in (*step.inputs, step.output) if isinstance(p, Along)]
        equal = len(set(placing.weights)) == 1
        return Candidate(
            name,
            parts=found.parts,
            seconds=found.seconds,
            fits=all(p.peak <= d.size for p, d in zip(found.parts, self.devices, strict=True)),
            least=max(p.peak for p in found.parts),
            combined=found.combined,
            repeated=self._repeated(flops, found.combined),
            xla=equal and all(p.groups % n == 0 for p in used),
            notes={
                **notes,
                "collectives": found.collectives,
                "communication": found.communication,
                "inputs": tuple(str(placing.inputs[v]) for v in self.graph.inputs),
            },
            schedule=found.schedule,
            split=of_placing(placing),
        )

    def pipeline(self) -> Candidate:
        """Each device has a run of the graph."""
        name, n = "pipeline", len(self.devices)
        if n < 2:
            return Candidate(name, "there is one device")
        counts: tuple[int, ...] = (1,)
        if (self.microbatches or 1) > 1 and (self.by_batch is None or self.too_late):
            return Candidate(
                name, f"no {self.microbatches} microbatches: {self.too_late or self.why}"
            )
        if self.by_batch is not None and self.too_late is None and self.examples is not None:
            asked = MICROBATCHES if self.microbatches is None else (self.microbatches,)
            counts = tuple(m for m in asked if m <= self.examples) or (1,)
        made = []
        for m in counts:
            line = self._line(m)
            if line.length < n:
                return Candidate(name, f"{line.length} operations have no {n} stages")
            made.append(self._staged(name, line))
        return min(made, key=lambda c: (not c.fits, c.seconds if c.fits else c.least))

    def _line(self, m: int) -> Pipeline:
        if m == 1 or self.by_batch is None or self.examples is None:
            return Pipeline(
                undivide(self.graph), self.devices, (1,), self.work, self.parameters, self.layout
            )
        sizes = share(self.examples, (1.0,) * m)
        return Pipeline(self.by_batch, self.devices, sizes, self.work, self.parameters, self.layout)

    def _staged(self, name: str, line: Pipeline) -> Candidate:
        devices = self.devices

        full: dict[tuple[int, int], int] = {}

        def holds(i: int, j: int, size: int) -> bool:
            # Stages that begin alike are tried from the shortest on: beyond one that is too large
            # all are, and finding out of each takes long.
            if j >= full.get((i, size), math.inf):
                return False
            if line.quick_peak(i, j) > size:
                full[i, size] = j
                return False
            return True

        def within(s: int, i: int, j: int) -> float:
            return line.stage_seconds(s, i, j) if holds(i, j, devices[s].size) else math.inf

        def held(parts: Sequence[Part]) -> bool:
            return all(p.peak <= d.size for p, d in zip(parts, devices, strict=True))

        def settled(cost: Callable[[int, int, int], float]) -> Stages | None:
            # Laying out all runs takes long; those that are chosen are laid out until they stay.
            cuts: tuple[int, ...] = ()
            for _ in range(ROUNDS):
                full.clear()
                least, cuts = best_cuts(line, cost)
                if least == math.inf:
                    return None
                if line.knows(cuts):
                    break
            return line.stages(cuts)

        def largest(stages: Stages) -> int:
            return max(p.peak for p in stages.parts)

        # Peaks of all runs take long to find, and matter only where the fastest cuts do not fit.
        found = line.stages(best_cuts(line, line.stage_seconds)[1])
        if not held(found.parts):
            fitting = settled(within)
            if fitting is not None and held(fitting.parts):
                found = fitting
            else:
                limit = largest(found)
                smallest = settled(
                    lambda s, i, j: float(line.quick_peak(i, j)) if holds(i, j, limit) else math.inf
                )
                found = min((found, smallest or found), key=largest)
        fits, least = held(found.parts), largest(found)
        combined = sum(additions(m, len(line.sizes)) for m in completing_moves(line.placing))
        flops = sum(p.flops for p in found.parts)
        return Candidate(
            name,
            parts=found.parts,
            seconds=found.seconds,
            fits=fits,
            least=least,
            combined=combined,
            repeated=self._repeated(flops, combined),
            notes={
                "cuts": found.cuts,
                "before": tuple(line.name(c) for c in found.cuts),
                "crossing": found.crossing,
                "microbatches": found.microbatches,
                "slowest": found.slowest,
                "bubble": found.bubble,
            },
            schedule=found.schedule,
            split=of_stages(line, found.cuts),
        )
