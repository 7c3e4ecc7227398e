"""Chains of Jacobians: published optima, a search of all that can be done, and the recurrence."""

from __future__ import annotations

import heapq
import itertools

import numpy as np
import pytest

from wengert.errors import ShapeError
from wengert.loopc.loops import plainly
from wengert.orders import plan_chain

PUBLISHED = [
    ([(3, 3, 29), (1, 3, 14), (2, 1, 7)], 56, 150, 100, 123),
    ([(4, 2, 100), (8, 4, 100)], 400, 400, 1600, 664),
    ([(2, 4, 100), (32, 2, 100)], 600, 800, 6400, 656),
    ([(4, 8, 100), (2, 4, 100)], 400, 1600, 400, 664),
    ([(2, 32, 100), (4, 2, 100)], 600, 6400, 800, 656),
    ([(2, 4, 100), (4, 2, 100)], 432, 800, 800, 432),
]


@pytest.mark.parametrize(("factors", "best", "tangent", "adjoint", "multiplied"), PUBLISHED)
def test_published_chains(factors, best, tangent, adjoint, multiplied):
    plan = plan_chain(factors)
    assert plan.multiplications == best
    assert (plan.tangent, plan.adjoint, plan.accumulated) == (tangent, adjoint, multiplied)
    with plainly():
        assert plan_chain(factors) == plan


def drawn(rng, count, widest=20):
    sizes = rng.integers(1, widest, count + 1)
    return [
        (int(m), int(n), int(rng.integers(max(m, n), m * n * 3 + 2)))
        for n, m in itertools.pairwise(sizes)
    ]


def searched(factors):
    """Return the least cost of all sequences of steps (Dijkstra).

    A state says which factors lie in a matrix that is known. A step finds the entries of a factor,
    multiplies two matrices side by side, or takes a factor beside a matrix into it.
    """
    count = len(factors)
    first = tuple((k, k, False) for k in range(count))
    queue, seen = [(0, first)], set()
    while queue:
        cost, state = heapq.heappop(queue)
        if state in seen:
            continue
        seen.add(state)
        if len(state) == 1 and state[0][2]:
            return cost
        for k, (i, j, known) in enumerate(state):
            if not known:
                m, n, edges = factors[i]
                made = (*state[:k], (i, j, True), *state[k + 1 :])
                heapq.heappush(queue, (cost + edges * min(m, n), made))
            if k + 1 == len(state):
                continue
            low, high, other = state[k + 1]
            made = (*state[:k], (i, high, True), *state[k + 2 :])
            if known and other:
                more = factors[high][0] * factors[low][1] * factors[i][1]
            elif known:
                more = factors[i][1] * factors[low][2]
            elif other:
                more = factors[high][0] * factors[i][2]
            else:
                continue
            heapq.heappush(queue, (cost + more, made))
    raise AssertionError


@pytest.mark.parametrize("seed", range(12))
def test_short_chains_are_as_good_as_anything(seed):
    rng = np.random.default_rng(seed)
    factors = drawn(rng, seed % 8 + 1)
    assert plan_chain(factors).multiplications == searched(factors)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_twelve_factors(seed):
    factors = drawn(np.random.default_rng(seed), 12)
    assert plan_chain(factors).multiplications == searched(factors)


def recurrence(factors):
    count = len(factors)
    m, n, e = (np.array(x, object) for x in zip(*factors, strict=True))
    work = [0, *np.cumsum(e)]
    cost = {(i, i): e[i] * min(m[i], n[i]) for i in range(count)}
    for span in range(1, count):
        for i in range(count - span):
            j = i + span
            cost[i, j] = min(
                min(
                    cost[i, k - 1] + cost[k, j] + m[j] * n[k] * n[i],
                    cost[i, k - 1] + n[i] * (work[j + 1] - work[k]),
                    cost[k, j] + m[j] * (work[k] - work[i]),
                )
                for k in range(i + 1, j + 1)
            )
    return cost[0, count - 1]


def test_long_chains():
    rng = np.random.default_rng(1)
    factors = drawn(rng, 60, 100)
    assert plan_chain(factors).multiplications == recurrence(factors)
    plan = plan_chain(drawn(rng, 500, 200))
    assert plan.multiplications * 10 < min(plan.tangent, plan.adjoint)


def test_what_is_written_down():
    assert plan_chain([(3, 3, 29), (1, 3, 14), (2, 1, 7)]).brackets == "(J3 (J2 . J1))"
    assert plan_chain([(4, 2, 100), (8, 4, 100)]).brackets == "(J2 * J1)"
    text = str(plan_chain([(2, 4, 100), (4, 2, 100)]))
    assert "432 multiplications" in text
    assert "(J2 J1)" in text
    assert plan_chain([(4, 2, 10)]).brackets == "J1"


@pytest.mark.parametrize(
    ("factors", "why"), [([], "at least one"), ([(3, 2, 5), (4, 2, 5)], "has 2 columns, but")]
)
def test_what_is_no_chain(factors, why):
    with pytest.raises(ShapeError, match=why):
        plan_chain(factors)
