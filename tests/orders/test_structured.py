"""Orders where products cost what matrices of their shapes cost, against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from wengert.orders import kept
from wengert.orders.structured import (
    RULES,
    StructuredGraph,
    bracketed,
    find_structured,
    minimum_cut,
    separators,
    waist,
)


class Matrices:
    """Kinds are shapes of dense matrices."""

    def times(self, a, b):
        assert a[1] == b[0]
        return (a[0], b[1]), float(a[0] * a[1] * b[1])

    def plus(self, a, b):
        assert a == b
        return a, 0.1 * a[0] * a[1]

    def end(self, a):
        return 0.0


def graph_of(sizes, pairs, n):
    """Return a graph whose vertices have sizes: `n` intermediate ones first."""
    kinds = {(u, v): (sizes[v], sizes[u]) for u, v in pairs}
    return StructuredGraph(n, len(sizes), kinds, Matrices(), sizes)


def chain(sizes):
    """Return a chain from the first size to the last."""
    n = len(sizes) - 2
    names = [n, *range(n), n + 1]
    return graph_of([*sizes[1:-1], sizes[0], sizes[-1]], list(itertools.pairwise(names)), n)


def drawn(rng, n):
    sizes = rng.integers(1, 9, n + 2).tolist()
    pairs = {(n, 0)}
    for v in range(1, n):
        pairs |= {(int(u), v) for u in rng.choice([n, *range(v)], 2)}
    ends = {u for u, _ in pairs}
    pairs |= {(v, n + 1) for v in range(n) if v not in ends or rng.random() < 0.1}
    return graph_of(sizes, sorted(pairs), n)


def least(graph):
    return min(graph.cost(o) for o in itertools.permutations(range(graph.intermediates)))


@pytest.mark.parametrize("seed", range(8))
def test_chains_are_bracketed_best(seed):
    rng = np.random.default_rng(seed)
    graph = chain(rng.choice([1, 2, 5, 9, 20], seed % 4 + 4).tolist())
    order = bracketed(graph)
    assert sorted(order) == list(range(graph.intermediates))
    assert separators(graph) == list(range(graph.intermediates))
    assert graph.cost(order) == least(graph)


@pytest.mark.parametrize("seed", range(12))
def test_what_is_found_is_the_least_of_all(seed):
    graph = drawn(np.random.default_rng(seed), 5)
    order, _ = find_structured(graph)
    assert graph.cost(order) == pytest.approx(least(graph))
    for rule in RULES.values():
        other = rule(graph)
        assert other is None or sorted(other) == list(range(5))


@pytest.mark.parametrize("seed", range(6))
def test_brackets_around_parts(seed):
    """Wide parts between narrow values: no worse than either sweep, and no worse than both ways."""
    rng = np.random.default_rng(seed)
    n, width = 12, {3: 1, 7: 1}
    sizes = [width.get(v, int(rng.integers(4, 20))) for v in range(n)] + [30, 30]
    pairs = {(n, 0), (n, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6), (6, 7)}
    pairs |= {(7, 8), (7, 9), (8, 10), (9, 10), (10, 11), (11, n + 1), (4, 5)}
    graph = graph_of(sizes, sorted(pairs), n)
    assert {3, 7} <= set(separators(graph))
    cost = graph.cost(bracketed(graph))
    assert cost <= graph.cost(range(n))
    assert cost <= graph.cost(range(n)[::-1])
    assert cost < 0.5 * min(graph.cost(range(n)), graph.cost(range(n)[::-1]))


@pytest.mark.parametrize("seed", range(8))
def test_the_cut_separates_and_is_the_narrowest(seed):
    graph = drawn(np.random.default_rng(seed), 6)
    cut = minimum_cut(graph)

    def separates(gone):
        reached, stack = {6}, [6]
        while stack:
            for w in graph.after[stack.pop()]:
                if w not in gone and w not in reached:
                    reached.add(w)
                    stack.append(w)
        return 7 not in reached

    sets = [set(c) for k in range(7) for c in itertools.combinations(range(6), k)]
    widths = [sum(graph.widths[v] for v in s) for s in sets if separates(s)]
    if not widths:  # an edge leads past all of them
        assert cut == set()
        return
    assert separates(cut)
    assert sum(graph.widths[v] for v in cut) == min(widths)
    assert sorted(waist(graph)) == list(range(6))


def test_much_effort_is_no_worse_and_kept():
    kept.forget()
    graph = drawn(np.random.default_rng(3), 14)
    first, _ = find_structured(graph, "default", "a graph")
    better, method = find_structured(graph, "high", "a graph")
    assert graph.cost(better) <= graph.cost(first)
    assert find_structured(graph, "default", "a graph") == (better, method)
    kept.forget()
