"""When each device does what in a step, as it is predicted: what a Gantt chart shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["BACKWARD", "FORWARD", "ONCE", "SUMS", "Clock", "Span", "flow", "laid_end_to_end"]

FORWARD, BACKWARD, SUMS, ONCE = "forward", "backward", "sums", "once"


class Span(NamedTuple):
    """What one device does for a while.

    Attributes
    ----------
    device : int
        Its number among the devices.
    start, stop : float
        Seconds from the beginning of the step.
    kind : str
        ``forward``, ``backward``, ``sums`` (additions that complete partial sums), ``once`` (what a
        pipeline does for the batch and not for each microbatch), or a communication: ``transfer``,
        ``all-reduce``, ``all-gather``, ``reduce-scatter``, ``all-to-all``.
    name : str
        The number of the microbatch or part, from 1; empty where there is one.
    """

    device: int
    start: float
    stop: float
    kind: str
    name: str = ""


def laid_end_to_end(
    device: int, work: Sequence[tuple[str, float, str]], start: float = 0.0
) -> list[Span]:
    """Return the spans of what one device does one after the other: kind, seconds and name."""
    spans = []
    for kind, seconds, name in work:
        if seconds:
            spans.append(Span(device, start, start + seconds, kind, name))
        start += seconds
    return spans


class Clock:
    """Time on devices that work side by side and wait for each other where they communicate.

    Attributes
    ----------
    computed, communication : float
        Seconds in which some device works, and in which all communicate.
    spent : list of float
        Seconds that each device works.
    spans : list of Span
        Up to the last meeting.
    """

    def __init__(self, devices: int) -> None:
        self.computed = self.communication = 0.0
        self.spent = [0.0] * devices
        self.spans: list[Span] = []
        self._doing: list[list[tuple[str, float, str]]] = [[] for _ in range(devices)]
        self._segment = [0.0] * devices

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return self.computed + self.communication

    def work(self, device: int, kind: str, seconds: float) -> None:
        """Let a device work."""
        self.spent[device] += seconds
        self._segment[device] += seconds
        doing = self._doing[device]
        if doing and doing[-1][0] == kind:
            seconds += doing.pop()[1]
        doing.append((kind, seconds, ""))

    def meet(self, kind: str, seconds: float) -> None:
        """Wait for the slowest device, and communicate."""
        for device, doing in enumerate(self._doing):
            self.spans += laid_end_to_end(device, doing, self.now)
            doing.clear()
        self.computed += max(self._segment)
        self._segment = [0.0] * len(self._segment)
        for device in range(len(self._doing)):
            self.spans += laid_end_to_end(device, [(kind, seconds, "")], self.now)
        self.communication += seconds


def flow(
    times: Sequence[tuple[float, float]], microbatches: int, kind: str, start: float
) -> tuple[list[Span], float]:
    """Let microbatches go through the stages in order, and return the spans and the end.

    Parameters
    ----------
    times : sequence of (float, float)
        For each stage, in the order in which microbatches reach it, seconds of work and of the
        transfer to the next stage: before the work on the way there, after it on the way back.
    microbatches : int
    kind : str
        `FORWARD` or `BACKWARD`; on the way back the last stage comes first.
    start : float
    """
    last = len(times) - 1
    spans: list[Span] = []
    free = [start] * len(times)
    for k in range(microbatches):
        ready, name = start, str(k + 1) if microbatches > 1 else ""
        for s, (work, transfer) in enumerate(times):
            device = s if kind == FORWARD else last - s
            begin = max(ready, free[s])
            first, second = (("transfer", transfer), (kind, work))
            order = (first, second) if kind == FORWARD else (second, first)
            spans += laid_end_to_end(device, [(what, t, name) for what, t in order], begin)
            ready = free[s] = begin + work + transfer
    return spans, max(free, default=start)
