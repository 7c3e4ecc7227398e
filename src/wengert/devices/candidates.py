"""Ways to do a step on several devices, and what each costs: the answer, which prints itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from wengert.cost.count import Count, names
from wengert.devices.device import Device
from wengert.devices.device_costs import Part
from wengert.devices.schedule import Span
from wengert.devices.split import Split
from wengert.errors import InputError, user_line
from wengert.memory.profile import size_text
from wengert.tables import align

__all__ = ["Candidate", "Partition", "listed"]


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
    schedule : tuple of wengert.devices.schedule.Span
        What each device does when, as predicted.
    split : wengert.devices.split.Split or None
        The graph, and what of it is done where: `wengert.draw` of a candidate shades it.
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
    schedule: tuple[Span, ...] = ()
    split: Split | None = field(default=None, repr=False, compare=False)

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

    def plot(self, ax: Any = None, *, name: str | None = None) -> Any:
        """Draw what each device does when, as a Gantt chart, with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.
        name : str, optional
            Of a candidate; the best one by default.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib: ``pip install 'wengert[plot]'``.
        InputError
            For a name that no candidate has, or of one that is not applicable.
        """
        from wengert.charts.axes import axes_for
        from wengert.charts.gantt import plot_gantt

        gantt = self.gantt(name)
        size = (8.0, 1.8 + 0.45 * len(gantt.rows))
        return plot_gantt(axes_for(ax, "partition.plot()", size), gantt)

    def gantt(self, name: str | None = None) -> Any:
        """Return what `plot` draws, as data: a `wengert.charts.gantt.Gantt`."""
        from wengert.charts.gantt import Gantt, Task
        from wengert.charts.words import seconds

        known = [c.name for c in self.candidates if c.applicable]
        if name is not None and name not in known:
            why = {c.name: c.reason for c in self.candidates}.get(name, "")
            raise InputError(
                (f"{name!r} is not applicable: {why}. " if why else "")
                + f"name={name!r} is none of {', '.join(map(repr, known))}" + user_line()
            )  # fmt: skip
        chosen = self.best if name is None else self[name]
        names = [d.name for d in self.devices]
        tasks = [Task(*span) for span in chosen.schedule]
        title = f"{self.name}: {chosen.name}, {seconds(chosen.seconds)} a step"
        return Gantt(names, tasks, title)

    def _repr_html_(self) -> str:
        """Return the candidates and the Gantt chart of the best one, for a notebook."""
        from wengert.charts.gantt import svg_gantt
        from wengert.charts.html import figure, fragment, paragraphs, table

        rows, tail = self._rows()
        gantt = self.gantt()
        return fragment(
            paragraphs(self._head().splitlines()),
            table(rows[0], rows[1:], left=(0, 5)),
            paragraphs(tail),
            figure(svg_gantt(gantt), gantt.title),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all of it as dicts and lists, None for what is infinite."""
        rows = []
        for c in self.candidates:
            extra = {"traffic": c.traffic, "flops": c.flops, "peak": c.peak}
            row = asdict(replace(c, split=None)) | extra
            del row["split"]
            row["seconds"] = c.seconds if c.applicable else None
            rows.append(row)
        return {
            "name": self.name,
            "devices": [
                {k: None if v == math.inf else v for k, v in asdict(d).items()}
                for d in self.devices
            ],
            "whole": asdict(self.whole),
            "batch": self.batch,
            "arguments": self.arguments,
            "best": self.best.name,
            "candidates": rows,
        }

    def __str__(self) -> str:
        """Return a table for people."""
        rows, tail = self._rows()
        return "\n".join([self._head(), align(rows, left=(0, 5)), *tail])

    def _head(self) -> str:
        of = f", batch of {self.batch:,} ({listed(self.arguments)})" if self.batch else ""
        n = len(self.devices)
        head = f"{self.name}: {self.whole.flops:,} operations{of}, {n} device{'s' * (n > 1)}"
        if self.whole.unknown:
            head += f"\nwithout those of unknown number: {names(self.whole.unknown)}"
        return head

    def _rows(self) -> tuple[list[tuple[str, ...]], list[str]]:
        """Return the table of candidates, its head first, and remarks below it."""
        best = self.best
        rows: list[tuple[str, ...]] = [("", "operations", "peak", "sent", "seconds", "")]
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
        return rows, tail


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


def listed(arguments: Sequence[int | str]) -> str:
    """Name arguments by position or keyword."""
    word = "argument" if len(arguments) == 1 else "arguments"
    return f"{word} {', '.join(map(str, arguments))}"
