"""Eliminating edges and faces: never worse than vertices, and the same Jacobian."""

from __future__ import annotations

import numpy as np
import pytest
from tests.orders.circuits import KNOWN
from tests.orders.test_search import drawn, load

from wengert.errors import OrderError
from wengert.orders import find_edges, find_faces, find_order, lower_bound
from wengert.orders.edges import eliminate_edges
from wengert.orders.faces import Dual


def values_of(graph, seed=0):
    rng = np.random.default_rng(seed)
    return {e: rng.uniform(0.5, 1.5) * rng.choice([-1, 1]) for e in graph.edges}


def by_paths(graph, values):
    """Sum over all paths, from each input on."""
    found = {}
    n = graph.intermediates
    for i in graph.inputs:
        total = {i: 1.0}
        for v in (*range(n), *graph.outputs):
            parts = [total[u] * values[u, v] for u in graph.neighbours[0][v] if u in total]
            if parts:
                total[v] = sum(parts)
        found |= {(i, w): total[w] for w in graph.outputs if w in total}
    return found


def same(made, wanted):
    assert made.keys() == wanted.keys()
    for e, x in wanted.items():
        assert made[e] == pytest.approx(x, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", KNOWN)
def test_every_order_of_the_circuits_makes_the_jacobian(name):
    graph = load(name)
    values = values_of(graph)
    wanted = by_paths(graph, values)
    n = graph.intermediates
    orders = [range(n), range(n)[::-1], find_order(graph, kept=False).order]
    orders.append(np.random.default_rng(0).permutation(n))
    for order in orders:
        same(graph.accumulate(values, order), wanted)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_edges_and_faces_are_never_worse(seed, free):
    graph = drawn(np.random.default_rng(seed), 8, 2, 3, free)
    values = values_of(graph, seed)
    wanted = by_paths(graph, values)
    vertices = find_order(graph, kept=False)
    edges = find_edges(graph, begin=vertices)
    assert edges.multiplications <= vertices.multiplications
    made, count = eliminate_edges(values, edges.steps, graph.intermediates, lambda a, b: a * b)
    same(made, wanted)
    assert free or count == edges.multiplications
    faces = find_faces(graph, begin=edges)
    assert faces.multiplications <= edges.multiplications


def test_faces_make_the_jacobian():
    rng = np.random.default_rng(5)
    graph = drawn(rng, 7, 2, 2)
    values = values_of(graph)
    dual = Dual(graph, values)
    while pairs := dual.faces():
        dual.eliminate(*pairs[int(rng.integers(0, len(pairs)))])
    same(dual.result(), by_paths(graph, values))
    assert dual.count >= 0


def test_no_bound_is_above_what_is_found():
    for seed in range(3):
        for free in (False, True):
            graph = drawn(np.random.default_rng(seed), 9, 3, 2, free)
            assert lower_bound(graph) <= find_faces(graph).multiplications


def test_steps_that_do_not_fit():
    graph = drawn(np.random.default_rng(0), 3)
    values = values_of(graph)
    times = lambda a, b: a * b  # noqa: E731
    with pytest.raises(OrderError, match="no edge from 0 to 0"):
        eliminate_edges(values, [(0, 0, True)], 3, times)
    with pytest.raises(OrderError, match="leave edges"):
        eliminate_edges(values, [], 3, times)
