"""The integer program against a search through all plans, and against chains' dynamic program."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.memory.chain import Chain, Stage
from wengert.memory.milp import Event, Item, relax, replay, solve


def searched(items, events, budget):
    """Return the lowest cost of any plan (Dijkstra over what is held)."""
    n = len(items)
    size = lambda held: sum(items[i].size for i in held)  # noqa: E731
    # (event, next item that may be computed, held)
    queue, done, count = [(0.0, 0, (0, 0, frozenset()))], set(), 0
    while queue:
        cost, _, state = heapq.heappop(queue)
        if state in done:
            continue
        done.add(state)
        e, k, held = state
        if e == len(events):
            return cost
        event = events[e]
        following = [(cost, (e, k, held - {x})) for x in held]
        if k < n and set(items[k].reads) <= held:
            new = held | {k}
            if event.before + size(held) + items[k].size * (k not in held) <= budget:
                following.append((cost + items[k].cost, (e, k + 1, new)))
        if k < n and e:
            following.append((cost, (e, k + 1, held)))
        if event.needs <= held and event.during + size(held) <= budget and (e or k == n):
            following.append((cost, (e + 1, 0, held)))
        for c, nxt in following:
            count += 1
            heapq.heappush(queue, (c, count, nxt))
    return math.inf


@st.composite
def problems(draw):
    n = draw(st.integers(1, 5))
    items = []
    for i in range(n):
        reads = draw(st.sets(st.integers(0, i - 1), max_size=2)) if i else set()
        items.append(
            Item(float(draw(st.integers(1, 9))), draw(st.integers(1, 4)), tuple(sorted(reads)))
        )
    events = [
        Event(
            frozenset(draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=2))),
            before := draw(st.integers(0, 2)),
            before + draw(st.integers(0, 2)),
        )
        for _ in range(draw(st.integers(1, 4)))
    ]
    events[0] = events[0]._replace(before=0)
    return items, events


@settings(max_examples=40, deadline=None)
@given(problems(), st.integers(2, 18))
def test_optimal(problem, budget):
    items, events = problem
    best = searched(items, events, budget)
    found = solve(items, events, budget, 20)
    if found is None:
        assert best == math.inf
    else:
        assert found.cost == pytest.approx(best)
        assert found.bound <= best * (1 + 1e-6)


@pytest.mark.parametrize("budget", [2, 3, 4, 6])
def test_chains_agree_with_their_dynamic_program(budget):
    n = 7
    items = [Item(1.0, 1, (i - 1,) if i else ()) for i in range(n)]
    events = [Event(frozenset({i}), 0, 0) for i in reversed(range(n))]
    found = solve(items, events, budget, 20)
    chain = Chain([Stage(1.0, 1, forward=1, forward_all=1)] * n, budget)
    assert np.isfinite(chain.costs[-1])
    assert found.cost == pytest.approx(chain.costs[-1])


@settings(max_examples=80, deadline=None)
@given(problems(), st.integers(2, 18))
def test_bounds_are_below_the_optimum(problem, budget):
    """The linear programs never claim more than the best plan of all computes again."""
    items, events = problem
    best = searched(items, events, budget)
    found = relax(items, events, budget, 20)
    assert found.bound >= 0
    if best < math.inf:
        assert found.fits
        assert found.bound <= (best - sum(x.cost for x in items)) * (1 + 1e-6) + 1e-9


@pytest.mark.parametrize("budget", [3, 4, 6, 8])
def test_bounds_of_chains(budget):
    n = 10
    items = [Item(1.0, 1, (i - 1,) if i else ()) for i in range(n)]
    events = [Event(frozenset({i}), 0, 0) for i in reversed(range(n))]
    chain = Chain([Stage(1.0, 1, forward=1, forward_all=1)] * n, budget)
    bound = relax(items, events, budget).bound
    assert n - budget - 1e-3 <= bound <= chain.costs[-1] - n  # what does not fit, once


@settings(max_examples=80, deadline=None)
@given(problems(), st.data())
def test_what_is_not_held_is_there_when_it_is_read(problem, data):
    items, events = problem
    held = frozenset(data.draw(st.sets(st.integers(0, len(items) - 1))))
    there = {*held, *events[0].needs}
    for event, again in zip(events, replay(items, events, held), strict=True):
        there &= held | event.needs  # all else is let go when the event before has run
        for i in again:
            assert set(items[i].reads) <= there
            there.add(i)
        assert event.needs <= there
    assert replay(items, events, frozenset(range(len(items)))) == [[]] * len(events)
