"""Binomial schedules: executed by a simulator that knows nothing of how they are made."""

from __future__ import annotations

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wengert.errors import InputError
from wengert.memory.binomial import actions, advances, reach, repetitions, runs

RUNS = {
    (10, 2): 30, (10, 3): 25, (20, 3): 65, (56, 3): 266, (56, 5): 196, (100, 3): 590,
    (100, 5): 416, (100, 10): 322, (1000, 10): 4636, (1000, 20): 3747,
}  # fmt: skip


def simulated(steps, slots):
    """Run a schedule; return the steps advanced, the most states held, and the order reversed."""
    held: dict[int, int] = {}
    present = 0
    advanced = most = 0
    order = []
    for a in actions(steps, slots):
        if a.kind == "store":
            assert present is not None
            assert a.slot not in held
            held[a.slot] = present
        elif a.kind == "restore":
            present = held[a.slot]
        elif a.kind == "free":
            del held[a.slot]
        elif a.kind == "advance":
            assert present == a.start < a.stop
            present = a.stop
            advanced += a.stop - a.start
        else:
            assert a.kind == "reverse"
            assert present == a.start == a.stop - 1
            order.append(a.start)
            present = None
        most = max(most, len(held))
    assert not held
    return advanced, most, order


@functools.cache
def optimum(steps, slots):
    """Fewest advances, over all places of the next state held (one of `slots` holds the first)."""
    if steps <= 1:
        return 0
    if slots == 1:
        return steps * (steps - 1) // 2
    return min(k + optimum(steps - k, slots - 1) + optimum(k, slots) for k in range(1, steps))


@pytest.mark.parametrize(("chain", "expected"), RUNS.items())
def test_counts_of_the_literature(chain, expected):
    assert runs(*chain) == expected
    advanced, most, order = simulated(*chain)
    assert advanced + chain[0] == expected
    assert most <= chain[1]
    assert order == list(reversed(range(chain[0])))


@given(st.integers(0, 400), st.integers(1, 12))
def test_schedules_do_what_they_say(steps, slots):
    advanced, most, order = simulated(steps, slots)
    assert order == list(reversed(range(steps)))
    assert most <= slots
    assert advanced == advances(steps, slots)


@given(st.integers(0, 40), st.integers(1, 6))
def test_no_schedule_advances_less(steps, slots):
    assert advances(steps, slots) == optimum(steps, slots)


@given(st.integers(1, 5000), st.integers(1, 30))
def test_repetitions_are_the_least(steps, slots):
    r = repetitions(steps, slots)
    assert reach(slots, r) >= steps
    assert r == 0 or reach(slots, r - 1) < steps


@pytest.mark.parametrize(("steps", "slots"), [(-1, 3), (5, 0), (5, -2)])
def test_impossible_chains_are_refused(steps, slots):
    with pytest.raises(InputError, match="takes one place"):
        actions(steps, slots)
