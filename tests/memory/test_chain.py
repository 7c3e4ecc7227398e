"""Chains: schedules run by a simulator, and compared with a search through all there are."""

from __future__ import annotations

import heapq
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.errors import InputError
from wengert.memory.binomial import advances
from wengert.memory.chain import Chain, Stage


def uniform(length):
    return [Stage(1.0, 1)] * length


def backward_reads(stages, s):
    x = stages[s]
    return {(kind, s) for kind, read in (("out", x.needs_out), ("saved", x.saved)) if read}


def simulated(stages, schedule, budget):
    """Run a schedule; return its cost, once every rule is seen to hold.

    What is kept is taken to be let go as soon as no later action reads it.
    """
    reads = []  # of each action: what it needs
    for kind, s in schedule:
        if kind == "back":
            reads.append(backward_reads(stages, s))
        else:
            reads.append({("out", s - 1)} if s else set())
    size = lambda item: stages[item[1]].out if item[0] == "out" else stages[item[1]].saved  # noqa: E731
    there: set[tuple[str, int]] = set()
    cost, last, most = 0.0, len(stages), 0
    for i, (kind, s) in enumerate(schedule):
        assert reads[i] <= there, (schedule, i)
        if kind == "back":
            assert s == last - 1
            last = s
            most = max(most, sum(map(size, there)) + stages[s].backward)
        else:
            cost += stages[s].cost
            there.add(("out", s))
            if kind == "all" and stages[s].saved:
                there.add(("saved", s))
            needed = set()
            for k in range(len(schedule) - 1, i, -1):
                what, u = schedule[k]
                if what != "back":
                    needed -= {("out", u)} | ({("saved", u)} if what == "all" else set())
                needed |= reads[k]
            there &= needed
            most = max(most, sum(map(size, there)))
    assert last == 0
    assert most <= budget
    return cost


def searched(stages, budget):
    """Return the lowest cost of any schedule at all (Dijkstra over what is held)."""
    n = len(stages)
    start = (n, frozenset())
    queue = [(0.0, 0, start)]
    done = set()
    count = 0
    size = lambda h: sum(stages[s].out if k == "out" else stages[s].saved for k, s in h)  # noqa: E731
    while queue:
        cost, _, state = heapq.heappop(queue)
        if state in done:
            continue
        done.add(state)
        last, held = state
        if not last:
            return cost
        following = [(cost, (last, held - {x})) for x in held]
        t = last - 1
        needs = backward_reads(stages, t)
        if needs <= held and size(held) + stages[t].backward <= budget:
            following.append((cost, (t, frozenset(x for x in held if x[1] < t))))
        for s in range(last):
            if s and ("out", s - 1) not in held:
                continue
            for extra in ({("out", s)}, {("out", s), ("saved", s)}):
                new = held | extra
                if size(new) <= budget:
                    following.append((cost + stages[s].cost, (last, new)))
        for c, nxt in following:
            count += 1
            heapq.heappush(queue, (c, count, nxt))
    return math.inf


@pytest.mark.parametrize("slots", [1, 2, 3, 5])
@pytest.mark.parametrize("length", [1, 2, 5, 10, 30])
def test_uniform_chains_are_binomial(length, slots):
    """A step's backward pass needs the state before it; the last state is never needed."""
    chain = Chain(uniform(length - 1), slots)
    expected = advances(length, slots)
    got = chain.costs[slots // chain.unit]
    assert got == expected


stages = st.builds(
    Stage,
    st.integers(1, 9).map(float),
    st.integers(1, 4),
    st.sampled_from([0, 0, 1, 3]),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(stages, min_size=1, max_size=7), st.integers(1, 30))
def test_schedules_keep_to_the_budget(chain, budget):
    """The price that the program states is what the schedule costs when it is run."""
    chain = [x._replace(forward=x.out, forward_all=x.out + x.saved) for x in chain]
    found = Chain(chain, budget)
    assert (np.diff(found.costs[np.isfinite(found.costs)]) <= 0).all()
    if not np.isfinite(found.costs[-1]):
        with pytest.raises(InputError, match="cannot be run"):
            found.schedule(budget)
        return
    assert simulated(chain, found.schedule(budget), budget) == found.costs[-1]


@settings(max_examples=40, deadline=None)
@given(st.lists(stages, min_size=1, max_size=4), st.integers(2, 14))
def test_costs_against_all_schedules(chain, budget):
    """Never below the least cost there is, and equal to it where nothing is kept but results."""
    chain = [x._replace(forward=x.out, forward_all=x.out + x.saved) for x in chain]
    best = searched(chain, budget)
    assert Chain(chain, budget).costs[-1] >= best
    same = [x._replace(out=1, saved=0, needs_out=True, forward=1, forward_all=1) for x in chain]
    assert Chain(same, budget).costs[-1] == searched(same, budget)


@st.composite
def passed_on(draw):
    """Values of the stages of a chain: (stage that makes it, last stage that reads it, size)."""
    n = draw(st.integers(2, 7))
    made = [(s, s + 1, draw(st.integers(1, 3))) for s in range(n)]
    for _ in range(draw(st.integers(0, 5))):
        a = draw(st.integers(0, n - 2))
        made.append((a, draw(st.integers(a + 1, n)), draw(st.integers(1, 3))))
    return n, made


@settings(max_examples=80, deadline=None)
@given(passed_on(), st.integers(2, 40))
def test_what_stages_pass_on_is_held_once(problem, budget):
    """A schedule keeps to its budget where values that several results have are held once."""
    n, values = problem
    numbers = range(len(values))
    size = lambda held: sum(values[i][2] for i in held)  # noqa: E731
    made = [{i for i in numbers if values[i][0] == s} for s in range(n)]
    out = [{i for i in numbers if values[i][0] <= s < values[i][1]} for s in range(n)]
    shared = np.array([[size(out[a] & out[b]) for b in range(n)] for a in range(n)])
    chain = [Stage(1.0, size(out[s]), 0, True, size(made[s]), size(made[s])) for s in range(n)]
    found = Chain(chain, budget, shared)
    assert (found.costs <= Chain(chain, budget).costs).all()
    if not np.isfinite(found.costs[-1]):
        return
    schedule = found.schedule(budget)
    reads = [made[s] if kind == "back" else (out[s - 1] if s else set()) for kind, s in schedule]
    there: set[int] = set()
    for i, (kind, s) in enumerate(schedule):
        assert reads[i] <= there
        if kind != "back":
            there |= made[s]
        assert size(there) <= budget
        needed: set[int] = set()
        for k in range(len(schedule) - 1, i, -1):
            what, u = schedule[k]
            needed = (needed - made[u] if what != "back" else needed) | reads[k]
        there &= needed
    assert sum(kind != "back" for kind, _ in schedule) == found.cost(budget)
