"""Binomial checkpointing of uniform chains: reverse many steps while few states are held.

A chain of `steps` equal steps is reversed from its last step to its first. Each step needs the
state before it, and there is room for `slots` states, the initial one included. Griewank and
Walther (2000), *Algorithm 799: revolve*, ACM Transactions on Mathematical Software 26(1): the
schedule that advances least splits a chain by binomial coefficients.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from wengert.errors import InputError

__all__ = ["Action", "actions", "advances", "reach", "repetitions", "runs"]


class Action(NamedTuple):
    """One action of a schedule.

    Attributes
    ----------
    kind : str
        ``store`` the present state in `slot`; ``restore`` it from there; ``advance`` from the state
        before step `start` to the one before step `stop`; ``free`` the `slot`; ``reverse`` step
        `start` (`stop` is one more), with the present state as the one before it.
    start, stop : int
        Steps; where one has no meaning it is the step that the present state is before.
    slot : int
        -1 where there is none.
    """

    kind: str
    start: int
    stop: int
    slot: int = -1


def reach(slots: int, repeats: int) -> int:
    """Return the longest chain that can be reversed with no step run more than `repeats` times.

    That is ``C(slots + repeats, slots)``; the run that belongs to reversing a step is not counted.
    """
    return math.comb(slots + repeats, slots)


def repetitions(steps: int, slots: int) -> int:
    """Return the least r with ``C(slots + r, slots) >= steps``.

    Raises
    ------
    InputError
        For a negative number of steps, or no slot for the initial state.
    """
    _check(steps, slots)
    r = 0
    while reach(slots, r) < steps:
        r += 1
    return r


def advances(steps: int, slots: int) -> int:
    """Return how many steps the best schedule advances: ``r l - C(s + r, r - 1)``.

    The run that belongs to reversing a step is not counted; see `runs`.
    """
    r = repetitions(steps, slots)
    return r * steps - (math.comb(slots + r, r - 1) if r else 0)


def runs(steps: int, slots: int) -> int:
    """Return how often the best schedule runs a step forward, reversing included."""
    return advances(steps, slots) + steps


def actions(steps: int, slots: int) -> Iterator[Action]:
    """Yield the schedule that reverses a chain with the fewest advances.

    Parameters
    ----------
    steps : int
        Length of the chain.
    slots : int
        States that can be held at a time, the initial one included; at least one.

    Yields
    ------
    Action
        The first stores the initial state, the last frees it. The present state is lost by
        ``reverse``. Memory and time between actions are constant in `steps`, but for the stack of
        the states held.

    Raises
    ------
    InputError
        As `repetitions`.
    """
    _check(steps, slots)
    return _actions(steps, slots)


def _actions(steps: int, slots: int) -> Iterator[Action]:
    if not steps:
        return
    held = [0]  # the steps that held states are before, by slot
    at, stop = 0, steps
    yield Action("store", 0, 0, 0)
    while True:
        while stop - at > 1 and len(held) < slots:
            split = at + _split(stop - at, slots - len(held) + 1)
            yield Action("advance", at, split)
            at = split
            if stop - at == 1:
                break  # reversed at once
            yield Action("store", at, at, len(held))
            held.append(at)
        if stop - at > 1:
            yield Action("advance", at, stop - 1)
        yield Action("reverse", stop - 1, stop)
        stop -= 1
        while held and held[-1] == stop:
            yield Action("free", stop, stop, len(held) - 1)
            held.pop()
        if not held:
            return
        at = held[-1]
        yield Action("restore", at, at, len(held) - 1)


def _split(length: int, slots: int) -> int:
    """Return how far to advance before the next state is held, with `slots` for the whole part.

    Any number between the bounds of Griewank and Walther's theorem is best; this is the largest.
    """
    r = repetitions(length, slots)
    # What is behind the split has one slot less and r repetitions, what is before it r - 1.
    return min(length - reach(slots - 1, r - 1), reach(slots, r - 1))


def _check(steps: int, slots: int) -> None:
    if steps < 0 or slots < 1:
        raise InputError(
            f"a chain of {steps} steps with room for {slots} states cannot be reversed: the number "
            f"of steps is 0 or more, and the initial state takes one place"
        )
