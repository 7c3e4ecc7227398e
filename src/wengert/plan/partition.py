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
from typing import Any, NamedTuple

import numpy as np
import optree

from wengert.errors import InputError, MemoryBudgetError, user_line
from wengert.ir.graph import Graph, Value
from wengert.ops.base import Traced
from wengert.ops.contract import contract
from wengert.plan.cost import Count, count_graph, names
from wengert.plan.devices import Device, checked
from wengert.plan.form import DYNAMIC, split
from wengert.plan.localgraphs import Layout, Measure
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
from wengert.plan.placing import Compute, Move, NoPlacement, Placer, Placing
from wengert.plan.record import record
from wengert.plan.sharding import WHOLE, Along, share
from wengert.plan.stages import Pipeline, best_cuts
from wengert.plan.work import Work

__all__ = ["Candidate", "Device", "Partition", "partitioned"]

MICROBATCHES = (1, 2, 4, 8, 16, 32)
ROUNDS = 32
"""Choices of cuts whose stages are laid out before the search for those that fit is given up."""


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
    arguments : tuple of int or str
        Those with the examples, by position or keyword.
    best : Candidate
        The fastest of those that fit.
    """

    name: str
    devices: tuple[Device, ...]
    whole: Count
    batch: int | None
    candidates: tuple[Candidate, ...]
    arguments: tuple[int | str, ...] = ()

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
            "arguments": self.arguments,
            "best": self.best.name,
            "candidates": rows,
        }

    def __str__(self) -> str:
        """Return a table for people."""
        best = self.best
        of = f", batch of {self.batch:,} ({_listed(self.arguments)})" if self.batch else ""
        n = len(self.devices)
        head = f"{self.name}: {self.whole.flops:,} operations{of}, {n} device{'s' * (n > 1)}"
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
            f"cut before {', '.join(n['before'])}; "
            f"{n['microbatches']} microbatch{'es' * (n['microbatches'] > 1)}, "
            f"devices wait {n['bubble']:.0%} of the time"
        )
    if n.get("collectives"):
        found.append(", ".join(f"{k} {size_text(b)}" for k, b in sorted(n["collectives"].items())))
    return "; ".join(found)


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
    found = _batched(graph, args, kwargs, batch)
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


def _check_microbatches(n: Any, found: _Batch) -> None:
    if isinstance(n, (bool, np.bool_)) or not isinstance(n, (int, np.integer)) or n < 1:
        raise InputError(f"microbatches={n!r} is no positive number of parts." + user_line())
    if n > 1 and found.examples is None:
        raise InputError(f"microbatches={n}, but {found.why}." + user_line())
    if found.examples is not None and n > found.examples:
        raise InputError(
            f"microbatches={n}, but there are {found.examples} examples (in "
            f"{_listed(found.arguments)}); give as many at most." + user_line()
        )


class _Batch(NamedTuple):
    """Inputs with examples along their first axis, how many, and in which arguments; or why not."""

    inputs: tuple[Value, ...]
    examples: int | None
    why: str
    arguments: tuple[int | str, ...] = ()


def _listed(arguments: Sequence[int | str]) -> str:
    word = "argument" if len(arguments) == 1 else "arguments"
    return f"{word} {', '.join(map(str, arguments))}"


def _batched(
    graph: Graph, args: tuple[Any, ...], kwargs: dict[str, Any], batch: int | Sequence[int] | None
) -> _Batch:
    """Find the inputs with examples along their first axis.

    Raises
    ------
    InputError
        For `batch` arguments that are none, or have no first axis in common.
    """
    spans: dict[int | str, list[Value]] = {}
    at = 0
    given: list[tuple[int | str, Any]] = list(enumerate(args))
    for name, a in given + [(k, kwargs[k]) for k in sorted(kwargs)]:
        leaves = [x for x in optree.tree_leaves(a) if isinstance(x, (Traced, *DYNAMIC))]
        spans[name] = [v for v in graph.inputs[at : at + len(leaves)] if v.shape]
        at += len(leaves)
    if batch is not None:
        single = isinstance(batch, (int, np.integer, str)) or not isinstance(batch, Sequence)
        nums = (batch,) if single else tuple(batch)  # type: ignore[arg-type]
        for i in nums:
            ours = isinstance(i, (int, np.integer)) and not isinstance(i, bool)
            if not ours or not -len(args) <= i < len(args):  # type: ignore[operator]
                raise InputError(
                    f"batch={batch!r}: there are {len(args)} positional arguments; name those with "
                    f"the examples by their numbers, from 0." + user_line()
                )
        if not nums:
            return _Batch((), None, "no input has a batch axis (batch=())")
        named = tuple(dict.fromkeys(int(i) % len(args) for i in nums))  # type: ignore[arg-type]
        found = tuple(v for i in named for v in spans[i])
        lengths = sorted({v.shape[0] for v in found})
        if len(lengths) != 1:
            shapes = ", ".join(str(v.shape) for v in found) or "no array"
            raise InputError(
                f"batch={batch!r} names arguments without a common first axis: {shapes}. Name "
                f"those that have the examples along it." + user_line()
            )
        if lengths[0] < 2:
            return _Batch((), None, f"a batch of {lengths[0]} has no parts", named)
        return _Batch(found, lengths[0], "", named)
    first = next(iter(spans), None)
    with_axis: dict[int, list[int | str]] = {}
    for name, span in spans.items():
        lengths = sorted({v.shape[0] for v in span})
        if (name != first or len([v for v in spans.values() if v]) == 1) and len(lengths) == 1:
            with_axis.setdefault(lengths[0], []).append(name)
    by_length = {n: names for n, names in with_axis.items() if n > 1}
    if not by_length:
        short = "".join(
            f" longer than {n}: {_listed(names)}" for n, names in sorted(with_axis.items())[-1:]
        )
        return _Batch(
            (), None, f"no argument after the first has a batch axis{short}; name them with batch="
        )
    counts = {n: sum(len(spans[k]) for k in names) for n, names in by_length.items()}
    most = max(counts.values())
    (length, *more) = [n for n, count in counts.items() if count == most]
    if more:
        return _Batch(
            (), None, f"first axes of {length} and of {more[0]}; name the batch with batch="
        )
    names = by_length[length]
    return _Batch(tuple(v for k in names for v in spans[k]), length, "", tuple(names))


class _Search:
    """Makes the candidates for one graph."""

    def __init__(
        self,
        graph: Graph,
        devices: tuple[Device, ...],
        found: _Batch,
        microbatches: int | None = None,
        measure: Measure | None = None,
    ) -> None:
        self.layout = Layout(measure)
        self.graph, self.devices = graph, devices
        self.batched, self.examples, self.why = found.inputs, found.examples, found.why
        self.arguments = found.arguments
        self.microbatches = microbatches
        self.whole = count_graph(graph)
        self.work = Work(graph, self.layout.stored(graph))
        self.weights = self._weights()
        self.by_batch: Placing | None = None
        self.too_late: str | None = None
        if self.examples is not None:
            try:
                self.by_batch = self._placer((1.0, 1.0), devices[:1] * 2, follow=True).search()
            except NoPlacement as error:
                self.why = str(error)
            else:
                self.too_late = late(self.by_batch)

    def _weights(self) -> tuple[float, ...]:
        """Return how much of an axis each device gets: as much as it does in a second."""
        one = undivided(self.graph)
        times = [accumulated(one, [1], d, self.work, 0).seconds for d in self.devices]
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
        peak = self._peak(one, 1, 1)
        return self._alone(
            "one device",
            [(accumulated(one, [1], d, self.work, peak), d, {}, 0) for d in self.devices],
        )

    def _peak(self, placing: Placing, part: int, batch: int) -> int:
        """Return the peak for `part` examples of a batch on one device."""
        found = self.layout.part(placing, part, batch)
        return part_peak(placing, part, batch) if found is None else found

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
            part = accumulated(placing, sizes, d, self.work, self._peak(placing, max(sizes), total))
            combined = sum(additions(m, len(sizes)) for m in completions(placing))
            least = self._peak(placing, 1, total)
            tried.append((part, d, {"parts": sizes, "least": least}, combined))
        return self._alone(name, tried)

    def _sizes(self, placing: Placing, total: int, device: Device) -> tuple[int, ...]:
        """Return the parts: the fewest that fit, or as many as there are devices if one does."""
        least = max(len(self.devices), 2) if self._peak(placing, total, total) <= device.size else 2
        low, high = min(least, total), total

        def fits(k: int) -> bool:
            return self._peak(placing, -(-total // k), total) <= device.size

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
        weights = self.weights
        try:
            placing = self._placer(weights, self.devices, follow=True).search()
        except NoPlacement as error:
            return Candidate(name, str(error))
        found = self._spread(name, placing, {"parts": share(self.examples, weights)})
        if self.whole.flops and min(p.flops for p in found.parts) >= self.whole.flops:
            return Candidate(
                name,
                f"{self.too_late or 'nothing is split along the batch'}, so every device would do "
                f"all of it; is {_listed(self.arguments)} the batch? Name it with batch=",
            )
        return found

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

    def _spread(self, name: str, placing: Placing, notes: dict[str, Any]) -> Candidate:
        found: Timing = measured(placing, self.devices, self.work, self.layout.device)
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
            return Pipeline(undivided(self.graph), self.devices, (1,), self.work, self.layout)
        sizes = share(self.examples, (1.0,) * m)
        return Pipeline(self.by_batch, self.devices, sizes, self.work, self.layout)

    def _staged(self, name: str, line: Pipeline) -> Candidate:
        devices = self.devices

        def within(s: int, i: int, j: int) -> float:
            time = line.stage_seconds(s, i, j)
            return time if line.quick_peak(i, j) <= devices[s].size else math.inf

        def held(parts: Sequence[Part]) -> bool:
            return all(p.peak <= d.size for p, d in zip(parts, devices, strict=True))

        def settled(cost: Callable[[int, int, int], float]) -> tuple[float, tuple[int, ...]]:
            # Laying out all runs takes long; those that are chosen are laid out until they stay.
            for _ in range(ROUNDS):
                least, cuts = best_cuts(line, cost)
                if least == math.inf or line.knows(cuts):
                    break
            return least, cuts

        # Peaks of all runs take long to find, and matter only where the fastest cuts do not fit.
        found = line.stages(best_cuts(line, line.stage_seconds)[1])
        fits, least = held(found.parts), max(p.peak for p in found.parts)
        if not fits:
            slowest, cuts = settled(within)
            if slowest < math.inf:
                found = line.stages(cuts)
                fits = held(found.parts)
            if not fits:
                found = line.stages(settled(lambda s, i, j: float(line.quick_peak(i, j)))[1])
                fits = held(found.parts)
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
