"""Ways to split one step of a computation over several devices, counted from its graph.

Four ways are compared: one device, which may go through the batch in parts; the same program on a
part of the batch on each device; a pipeline of stages; and matrices split over the devices
(Shoeybi et al., *Megatron-LM*, 2019). All do the same step: the whole batch, the same result. They
are plans: nothing here runs on several devices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import optree

from wengert.errors import InputError, MemoryBudgetError
from wengert.ir.graph import Graph, Value
from wengert.ops.base import Traced
from wengert.ops.contract import contract
from wengert.plan.cost import Count, count_graph, names
from wengert.plan.devices import Device, checked
from wengert.plan.form import DYNAMIC, split
from wengert.plan.memory import size_text
from wengert.plan.placed import (
    Part,
    Timing,
    accumulated,
    additions,
    completions,
    late,
    measured,
    part_peak,
    seconds_of,
    sent,
    undivided,
)
from wengert.plan.placing import Compute, Move, NoPlacement, Placer, Placing, work
from wengert.plan.record import record
from wengert.plan.sharding import WHOLE, Along, share
from wengert.plan.stages import Pipeline, best_cuts

__all__ = ["Candidate", "Device", "Partition", "partition"]

MICROBATCHES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Candidate:
    """One way to do a step.

    Attributes
    ----------
    name : str
        ``one device``, ``smaller minibatch``, ``data parallel``, ``pipeline`` or ``tensor split``.
    reason : str
        Why it is not applicable; empty where it is.
    parts : tuple of Part
        For each device its operations, bytes, peak of memory, bytes sent, and seconds.
    seconds : float
        Of a step, predicted: arithmetic and memory at the devices' rates, and communication after
        it (a pipeline's stages send while others work).
    fits : bool
        Whether every device holds its part.
    least : int
        Bytes of memory of each device with which it does, or would.
    combined : int
        Additions that complete sums of which each device, or each part of the batch, has a summand.
    repeated : int
        Operations of all parts beyond those of the whole graph and the combined ones: what several
        devices compute alike. Negative where sums of fewer terms save additions.
    traffic : int
        Bytes sent in a step by all devices.
    xla : bool
        Whether XLA shardings express it: equal parts of axes. wengert does not execute it yet.
    notes : dict
        What is particular to it: the ``parts`` of the batch, ``cuts``, ``crossing``,
        ``microbatches`` and ``bubble`` of a pipeline, ``collectives`` and their bytes,
        ``inputs`` and how each is placed.
    """

    name: str
    reason: str = ""
    parts: tuple[Part, ...] = ()
    seconds: float = math.inf
    fits: bool = False
    least: int = 0
    combined: int = 0
    repeated: int = 0
    xla: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def applicable(self) -> bool:
        """Whether it can be done at all, given enough memory."""
        return not self.reason

    @property
    def flops(self) -> int:
        """Operations of all devices."""
        return sum(p.flops for p in self.parts)

    @property
    def traffic(self) -> int:
        """Bytes sent by all devices."""
        return sum(p.sent for p in self.parts)

    @property
    def peak(self) -> int:
        """Most bytes that a device holds."""
        return max((p.peak for p in self.parts), default=0)


@dataclass(frozen=True)
class Partition:
    """Candidates for splitting a step over devices.

    Attributes
    ----------
    name : str
        Of the function.
    devices : tuple of Device
    whole : Count
        Operations and bytes of the graph, undivided.
    batch : int or None
        Examples, where inputs with a common leading axis were found or named.
    candidates : tuple of Candidate
    best : Candidate
        The fastest of those that fit.
    """

    name: str
    devices: tuple[Device, ...]
    whole: Count
    batch: int | None
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The fastest candidate that fits."""
        return min((c for c in self.candidates if c.fits), key=lambda c: c.seconds)

    def __getitem__(self, name: str) -> Candidate:
        """Return a candidate by its name."""
        for c in self.candidates:
            if c.name == name:
                return c
        raise KeyError(f"{name!r} is none of " + ", ".join(repr(c.name) for c in self.candidates))

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as dicts and lists."""
        rows = []
        for c in self.candidates:
            extra = {"traffic": c.traffic, "flops": c.flops, "peak": c.peak}
            row = asdict(c) | extra
            row["seconds"] = c.seconds if c.applicable else None
            rows.append(row)
        return {
            "name": self.name,
            "devices": [asdict(d) for d in self.devices],
            "whole": asdict(self.whole),
            "batch": self.batch,
            "best": self.best.name,
            "candidates": rows,
        }

    def __str__(self) -> str:
        """Return a table for people."""
        best = self.best
        of = f", batch of {self.batch:,}" if self.batch else ""
        head = f"{self.name}: {self.whole.flops:,} operations{of}, {len(self.devices)} devices"
        if self.whole.unknown:
            head += f"\nwithout those of unknown number: {names(self.whole.unknown)}"
        columns = ("", "operations", "peak", "sent", "seconds", "")
        rows = [columns]
        tail = []
        for c in self.candidates:
            if not c.applicable:
                tail.append(f"{c.name}: not applicable, {c.reason}")
                continue
            verdict = "fits" if c.fits else f"needs {size_text(c.least)}"
            marks = [verdict, "best" if c is best else "", "XLA shardings" if c.xla else ""]
            sent_ = size_text(c.traffic)
            rows.append(
                (
                    *(c.name, f"{c.flops:,}", size_text(c.peak), sent_),
                    *(f"{c.seconds:.3g}", ", ".join(m for m in marks if m)),
                )
            )
            if _remark(c):
                tail.append(f"{c.name}: {_remark(c)}")
        widths = [max(len(r[i]) for r in rows) for i in range(len(columns))]
        lines = [
            "  ".join(
                cell.ljust(w) if i in (0, 5) else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(r, widths, strict=True))
            ).rstrip()
            for r in rows
        ]
        return "\n".join([head, *lines, *tail])


def _remark(c: Candidate) -> str:
    n = c.notes
    found = []
    if "parts" in n:
        parts = n["parts"]
        equal = max(parts) == min(parts)
        shown = (
            f"{len(parts)} of {parts[0]:,}" if equal else f"{len(parts)}, largest {max(parts):,}"
        )
        found.append(f"parts of the batch: {shown}")
    if "cuts" in n:
        found.append(
            f"cut before {', '.join(n['before'])}; {n['microbatches']} microbatches, "
            f"devices wait {n['bubble']:.0%} of the time"
        )
    if n.get("collectives"):
        found.append(", ".join(f"{k} {size_text(b)}" for k, b in sorted(n["collectives"].items())))
    return "; ".join(found)


def partition(
    f: Callable[..., Any],
    *args: Any,
    devices: Sequence[Device],
    batch: int | Sequence[int] | None = None,
    microbatches: int | None = None,
    **kwargs: Any,
) -> Partition:
    """Return ways to split one step of a function over devices, and what each costs.

    Nothing is run on a device: the function is recorded at these arguments, and everything is
    counted from its graph, each operation on its own (a compiled plan holds less at a time).

    Parameters
    ----------
    f : callable
        A function written with NumPy, usually ``wg.value_and_grad(loss)``.
    *args, **kwargs : pytrees of arrays
    devices : sequence of wengert.plan.partition.Device
        A pipeline's stages are given to them in this order. Parts of an axis are in proportion to
        their speeds.
    batch : int or sequence of int, optional
        The positional arguments whose arrays have the examples along their first axis. By default
        those after the first argument that have a first axis of the same length in common. ``()``
        for none.
    microbatches : int, optional
        Parts in which the batch goes through a pipeline; by default the fastest of 1, 2, 4, ... 32.

    Returns
    -------
    Partition
        ``candidates``, ``best``; ``partition[name]``. It prints itself.

    Raises
    ------
    InputError
        For `devices` that are none, and for `batch` arguments without a common first axis.
    MemoryBudgetError
        Where no candidate fits; `least` is the memory of each device with which one does.
    """
    devices = checked(devices)
    name = getattr(f, "__name__", None) or type(f).__name__
    graph = record(f, *split(args, kwargs)).graph
    batched, examples, why = _batched(graph, args, kwargs, batch)
    if microbatches is not None and (
        not isinstance(microbatches, (int, np.integer)) or microbatches < 1
    ):
        raise InputError(f"microbatches={microbatches!r} is no positive number.")
    search = _Search(graph, devices, batched, examples, why, microbatches)
    made = Partition(name, devices, search.whole, examples, search.candidates())
    if not any(c.fits for c in made.candidates):
        near = min((c for c in made.candidates if c.applicable), key=lambda c: c.least)
        held = ", ".join(f"{d.name} {size_text(d.size)}" for d in devices)
        raise MemoryBudgetError(
            f"these devices cannot hold their part of {name} in any way ({held}). The least that "
            f"would do is {size_text(near.least)} ({near.least:,} bytes) on each, "
            f"as {near.name!r}.",
            near.least,
        )
    return made


def _batched(
    graph: Graph, args: tuple[Any, ...], kwargs: dict[str, Any], batch: int | Sequence[int] | None
) -> tuple[tuple[Value, ...], int | None, str]:
    """Return the inputs with examples along their first axis, and how many; or why there are none.

    Raises
    ------
    InputError
    """
    spans: list[list[Value]] = []
    at = 0
    for a in args:
        leaves = [x for x in optree.tree_leaves(a) if isinstance(x, (Traced, *DYNAMIC))]
        spans.append(list(graph.inputs[at : at + len(leaves)]))
        at += len(leaves)
    arrays = [[v for v in span if v.shape] for span in spans]
    if batch is not None:
        nums = (batch,) if isinstance(batch, (int, np.integer)) else tuple(batch)
        for i in nums:
            if not isinstance(i, (int, np.integer)) or not -len(args) <= i < len(args):
                raise InputError(f"batch={batch!r}: there are {len(args)} positional arguments.")
        found = tuple(v for i in nums for v in arrays[i])
        if not nums:
            return (), None, "no input has a batch axis (batch=())"
        lengths = sorted({v.shape[0] for v in found})
        if len(lengths) != 1:
            shapes = ", ".join(str(v.shape) for v in found) or "no array"
            raise InputError(
                f"batch={batch!r} names arguments without a common first axis: {shapes}. Name "
                f"those that have the examples along it."
            )
        return found, lengths[0], ""
    by_length: dict[int, list[Value]] = {}
    for span in arrays[1:] if len(arrays) > 1 else arrays:
        lengths = sorted({v.shape[0] for v in span})
        if len(lengths) == 1 and lengths[0] > 1:
            by_length.setdefault(lengths[0], []).extend(span)
    if not by_length:
        return (), None, "no argument after the first has a batch axis; name them with batch="
    most = max(len(v) for v in by_length.values())
    (first, *more) = [k for k, v in by_length.items() if len(v) == most]
    if more:
        return (), None, f"first axes of {first} and of {more[0]}; name the batch with batch="
    return tuple(by_length[first]), first, ""


class _Search:
    """Makes the candidates for one graph."""

    def __init__(
        self,
        graph: Graph,
        devices: tuple[Device, ...],
        batched: tuple[Value, ...],
        examples: int | None,
        why: str,
        microbatches: int | None,
    ) -> None:
        self.graph, self.devices = graph, devices
        self.batched, self.examples, self.why = batched, examples, why
        self.microbatches = microbatches
        self.whole = count_graph(graph)
        self.by_batch: Placing | None = None
        self.too_late: str | None = None
        if examples and examples > 1:
            try:
                self.by_batch = self._placer((1.0, 1.0), devices[:1] * 2, follow=True).search()
            except NoPlacement as error:
                self.why = str(error)
            else:
                self.too_late = late(self.by_batch)

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
            both = (work(step, weights, d, False) for d in range(len(weights)))
            return max(x.seconds(n, b) for x, (n, b, _) in zip(devices, both, strict=True))

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

    def _alone(self, name: str, tried: list[tuple[Part, Device, dict[str, Any], int]]) -> Candidate:
        """Return the best of single devices."""
        part, device, notes, combined = min(
            tried, key=lambda t: (t[0].peak > t[1].size, t[0].seconds, -t[1].size)
        )
        return Candidate(
            name,
            parts=(part,),
            seconds=part.seconds,
            fits=part.peak <= device.size,
            least=notes.pop("least", part.peak),
            combined=combined,
            repeated=self._repeated(part.flops, combined),
            notes=notes,
        )

    def alone(self) -> Candidate:
        """One device does it all."""
        one = undivided(self.graph)
        return self._alone(
            "one device", [(accumulated(one, [1], d), d, {}, 0) for d in self.devices]
        )

    def minibatch(self) -> Candidate:
        """One device goes through the batch in parts that it can hold, and adds up."""
        name = "smaller minibatch"
        if self.by_batch is None or self.examples is None:
            return Candidate(name, self.why or "a batch of one example has no parts")
        if self.too_late:
            return Candidate(name, self.too_late)
        placing, total = self.by_batch, self.examples
        tried = []
        for d in self.devices:
            sizes = self._sizes(placing, total, d)
            part = accumulated(placing, sizes, d)
            combined = sum(additions(m, len(sizes)) for m in completions(placing))
            least = part_peak(placing, 1, total)
            tried.append((part, d, {"parts": sizes, "least": least}, combined))
        return self._alone(name, tried)

    def _sizes(self, placing: Placing, total: int, device: Device) -> tuple[int, ...]:
        """Return the parts: the fewest that fit, or as many as there are devices if one does."""
        least = max(len(self.devices), 2) if part_peak(placing, total, total) <= device.size else 2
        low, high = min(least, total), total

        def fits(k: int) -> bool:
            return part_peak(placing, -(-total // k), total) <= device.size

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
            return Candidate(name, self.why or "a batch of one example has no parts")
        if self.examples < n:
            return Candidate(name, f"{self.examples} examples cannot be shared by {n} devices")
        weights = tuple(float(d.speed) for d in self.devices)
        try:
            placing = self._placer(weights, self.devices, follow=True).search()
        except NoPlacement as error:
            return Candidate(name, str(error))
        return self._spread(name, placing, {"parts": share(self.examples, weights)})

    def tensor(self) -> Candidate:
        """Each contraction is split along an axis other than the batch."""
        name = "tensor split"
        n = len(self.devices)
        if n < 2:
            return Candidate(name, "there is one device")
        if not any(node.op is contract for node in self.graph.nodes):
            return Candidate(name, "there is no contraction")
        weights = tuple(float(d.speed) for d in self.devices)
        try:
            placing = self._placer(weights, self.devices, follow=False).search()
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

    def _spread(self, name: str, placing: Placing, notes: dict[str, Any]) -> Candidate:
        found: Timing = measured(placing, self.devices)
        flops = sum(p.flops for p in found.parts)
        n = len(self.devices)
        used = [p for p in placing.inputs.values() if isinstance(p, Along)]
        for step in placing.steps:
            if isinstance(step, Compute):
                used += [p for p in (*step.inputs, step.output) if isinstance(p, Along)]
        equal = len({d.speed for d in self.devices}) == 1
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
        )

    def pipeline(self) -> Candidate:
        """Each device has a run of the graph."""
        name, n = "pipeline", len(self.devices)
        if n < 2:
            return Candidate(name, "there is one device")
        counts: tuple[int, ...] = (1,)
        if self.by_batch is not None and self.too_late is None and self.examples is not None:
            asked = MICROBATCHES if self.microbatches is None else (self.microbatches,)
            counts = tuple(m for m in asked if m <= self.examples) or (1,)
        made = []
        for m in counts:
            line = self._line(m)
            if line.length < n:
                return Candidate(name, f"{line.length} operations have no {n} stages")
            made.append(self._staged(name, line))
        return min(made, key=lambda c: (not c.fits, c.seconds))

    def _line(self, m: int) -> Pipeline:
        if m == 1 or self.by_batch is None or self.examples is None:
            return Pipeline(undivided(self.graph), self.devices, (1,))
        return Pipeline(self.by_batch, self.devices, share(self.examples, (1.0,) * m))

    def _staged(self, name: str, line: Pipeline) -> Candidate:
        devices = self.devices

        def within(s: int, i: int, j: int) -> float:
            time = line.stage_seconds(s, i, j)
            return time if line.peak(i, j) <= devices[s].size else math.inf

        def held(parts: Sequence[Part]) -> bool:
            return all(p.peak <= d.size for p, d in zip(parts, devices, strict=True))

        # Peaks of all runs take long to find, and matter only where the fastest cuts do not fit.
        found = line.stages(best_cuts(line, line.stage_seconds)[1])
        fits, least = held(found.parts), max(p.peak for p in found.parts)
        if not fits:
            slowest, cuts = best_cuts(line, within)
            fits = slowest < math.inf
            if not fits:
                cuts = best_cuts(line, lambda s, i, j: float(line.peak(i, j)))[1]
            found = line.stages(cuts)
            least = max(p.peak for p in found.parts)
        combined = sum(additions(m, len(line.sizes)) for m in completions(line.placing))
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
        )
