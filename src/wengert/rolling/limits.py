"""From when on loops are rolled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["ALL", "Limits", "current", "rolling"]


class Limits(NamedTuple):
    """From when on a loop is rolled.

    Attributes
    ----------
    trips : int
        The least number of trips.
    saved : int
        The least number of operations that go.
    nodes : int
        Shorter graphs are left as they are.
    """

    trips: int = 4
    saved: int = 64
    nodes: int = 100_000


ALL = Limits(3, 4, 8)
"""Rolls whatever can be rolled."""

_LIMITS: list[Limits | None] = [Limits()]


def current() -> Limits | None:
    """Return the limits for now; None where nothing is rolled."""
    return _LIMITS[-1]


@contextlib.contextmanager
def rolling(limits: Limits | None) -> Iterator[None]:
    """Roll from other limits on, or not at all (None), within a block."""
    _LIMITS.append(limits)
    try:
        yield
    finally:
        _LIMITS.pop()
