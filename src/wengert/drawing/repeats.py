"""Equal chains that no loop and no call made: code that repeats itself, unrolled programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from wengert.drawing.model import Node

__all__ = ["Run", "runs"]

LEAST, SINGLE = 4, 8
"""So many equal links make a chain; of links that are one operation, more."""

LONGEST = 60
"""Operations of a link, at most."""


class Run(NamedTuple):
    """A chain of equal links.

    Attributes
    ----------
    start, length, times : int
        The number of its first operator, the operators of a link, and the number of links.
    """

    start: int
    length: int
    times: int


def runs(operators: Sequence[Node], makers: Mapping[str, Sequence[str]]) -> list[Run]:
    """Find chains of equal links among operators in the order of the program.

    Parameters
    ----------
    operators : sequence of Node
    makers : mapping
        From an operator to those whose values it reads.

    Returns
    -------
    list of Run
        From the first to the last; they do not overlap.
    """
    marks = _numbered([(n.op, n.label, n.shape, n.dtype) for n in operators])
    found: list[Run] = []
    free = [(0, len(marks))]
    while free:
        low, high = free.pop()
        best = _best(operators, marks, low, high, makers)
        if best is not None:
            found.append(best)
            free += [(low, best.start), (best.start + best.length * best.times, high)]
    return sorted(found)


def _numbered(marks: Sequence[Any]) -> list[int]:
    known: dict[Any, int] = {}
    return [known.setdefault(m, len(known)) for m in marks]


def _best(
    operators: Sequence[Node], marks: Sequence[int], low: int, high: int,
    makers: Mapping[str, Sequence[str]],
) -> Run | None:  # fmt: skip
    """Return the chain with the most operators; of equal ones that with the shortest links."""
    best: Run | None = None
    for length in range(1, min(LONGEST, (high - low) // LEAST) + 1):
        least = SINGLE if length == 1 else LEAST
        i = low
        while i + length * least <= high:
            j = i
            while j + length < high and marks[j] == marks[j + length]:
                j += 1
            times = (j - i) // length + 1
            if times >= least:
                run = Run(i, length, times)
                if (best is None or length * times > best.length * best.times) and _is_chain(
                    operators, run, makers
                ):
                    best = run
            i = max(j, i) + 1
    return best


def _is_chain(operators: Sequence[Node], run: Run, makers: Mapping[str, Sequence[str]]) -> bool:
    """Whether each link reads what the one before made."""
    ids = [n.id for n in operators[run.start : run.start + run.length * run.times]]
    before: set[str] = set(ids[: run.length])
    for k in range(1, run.times):
        link = ids[k * run.length : (k + 1) * run.length]
        if not any(m in before for i in link for m in makers.get(i, ())):
            return False
        before = set(link)
    return True
