"""Orders of elimination: published counts, brute force on small graphs, and bounds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from tests.orders.circuits import FOLDER, KNOWN

from wengert.errors import DataError, InputError, OrderError
from wengert.orders import EliminationGraph, find_order, kept, search
from wengert.orders.bounds import lower_bound
from wengert.orders.search import METHODS


def load(name, unit_free=False):
    return EliminationGraph.load(FOLDER / f"{name}.txt", unit_free)


def counts(graph):
    return [METHODS[m](graph).multiplications for m in ("forward", "reverse", "markowitz")]


@pytest.mark.parametrize("name", KNOWN)
def test_published_counts(name):
    known = KNOWN[name]
    assert counts(load(name)) == [known.forward, known.reverse, known.markowitz]
    free = [known.free_forward, known.free_reverse, known.free_markowitz]
    assert counts(load(name, True)) == free
    assert lower_bound(load(name)) == known.bound


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("name", KNOWN)
def test_little_effort_is_as_good_as_what_is_published(name, free):
    graph, known = load(name, free), KNOWN[name]
    found = find_order(graph, kept=False)
    most = known.published if not free else min(
        known.free_forward, known.free_reverse, known.free_markowitz
    )  # fmt: skip
    assert found.multiplications <= most
    assert graph.multiplications(found.order) == found.multiplications
    assert found.multiplications >= lower_bound(graph)
    assert found == find_order(graph, kept=False)  # the same on each machine


@pytest.mark.slow
@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("name", ["RoeFlux_1d", "RobotArm_6DOF"])
def test_much_effort_is_as_good_as_long_annealing(name, free):
    known = KNOWN[name]
    most = known.free_annealed if free else known.annealed
    assert find_order(load(name, free), "high", kept=False).multiplications <= most


def drawn(rng, n, inputs=2, outputs=2, free=False):
    """Return a random graph with `n` intermediate vertices."""
    edges = []
    for v in range(n):
        before = [*range(n, n + inputs), *range(v)]
        for u in rng.choice(before, min(len(before), 2), replace=False):
            edges.append((int(u), v, bool(rng.random() < 0.7)))
    onward = {u for u, _, _ in edges}
    last = n + inputs
    for v in range(n):
        if v not in onward:
            edges.append((v, last + v % outputs, bool(rng.random() < 0.7)))
    for k in range(outputs):
        edges.append((int(rng.integers(0, n)), last + k, True))
    return EliminationGraph(n, last + outputs, edges, free)


def by_hand(graph, order):
    """Count with a dictionary of edges."""
    kind = {e: g or not graph.unit_free for e, g in graph.edges.items()}
    total = 0
    for v in order:
        before = [u for u, w in kind if w == v]
        after = [w for u, w in kind if u == v]
        for u, w in itertools.product(before, after):
            total += kind[u, v] and kind[v, w]
            kind[u, w] = True if (u, w) in kind else kind[u, v] or kind[v, w]
        for u in before:
            del kind[u, v]
        for w in after:
            del kind[v, w]
    return total


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_exact_order_is_the_least_of_all(seed, free):
    graph = drawn(np.random.default_rng(seed), 6, free=free)
    every = {order: by_hand(graph, order) for order in itertools.permutations(range(6))}
    some = list(every)[::97]
    assert [graph.multiplications(o) for o in some] == [every[o] for o in some]
    found = find_order(graph, kept=False)
    assert found.optimal
    assert found.multiplications == min(every.values()) == every[found.order]
    assert lower_bound(graph) <= found.multiplications
    for method in METHODS.values():
        one = method(graph)
        assert one.multiplications == every[one.order] >= found.multiplications


def test_no_state_is_left_behind():
    graph = drawn(np.random.default_rng(7), 30, 3, 3)
    order = list(range(30))
    first = graph.multiplications(order)
    for seed in range(5):
        graph.multiplications(np.random.default_rng(seed).permutation(30))
    assert graph.multiplications(order) == first == by_hand(graph, order)


@pytest.mark.parametrize(
    ("order", "text"),
    [
        ([0, 1], "it lacks 2"),
        ([0, 1, 1], "it lacks 2; repeats 1"),
        ([0, 1, 2, 3], "names also 3"),
        ([0, 1, -1], "it lacks 2; names also -1"),
    ],
)
def test_what_is_no_permutation(order, text):
    graph = drawn(np.random.default_rng(0), 3)
    with pytest.raises(OrderError, match=text):
        graph.multiplications(order)


def test_what_is_no_sequence():
    graph = drawn(np.random.default_rng(0), 3)
    with pytest.raises(InputError, match="sequence of the vertices' numbers"):
        graph.multiplications(3)


@pytest.mark.parametrize("effort", ["much", None, 3, ["high"]])
def test_an_effort_that_is_not_known(effort):
    with pytest.raises(InputError, match="'default' or 'high'"):
        find_order(drawn(np.random.default_rng(0), 3), effort)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no edge list"),
        ("1 3 2\n1 0 1\n", "names 2 edges and has 1"),
        ("1 3 2\n1 0 1\n0 x 1\n", "no edge list"),
        ("1 3 2\n1 0 1\n0 7 1\n", "there are 3 vertices"),
        ("2 4 3\n2 1 1\n1 0 1\n0 3 1\n", "order of the program"),
        ("1 3 1\n1 0 1\n", "nothing leads on"),
        ("1 3 3\n1 0 1\n0 2 1\n2 0 1\n", "cycle"),
    ],
)
def test_files_that_are_no_graph(tmp_path, text, why):
    path = tmp_path / "graph.txt"
    path.write_text(text)
    with pytest.raises(DataError, match=why):
        EliminationGraph.load(path)


def test_a_graph_is_written_and_read(tmp_path):
    graph = load("PropaneCombustion", True)
    graph.save(tmp_path / "again.txt")
    again = EliminationGraph.load(tmp_path / "again.txt")
    assert again.key == graph.key
    assert "11 inputs, 51 intermediates, 11 outputs, 104 edges, 58 free" in str(again)
    assert again.priced(False).key != graph.key


def test_the_best_order_is_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("WENGERT_CACHE_DIR", str(tmp_path))
    graph = load("HumanHeartDipole")
    kept.forget()
    first = find_order(graph)
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) == 1
    kept.forget()
    monkeypatch.setattr(search, "_searched", None)  # nothing is searched
    assert find_order(graph) == first
    kept.forget()
    files[0].write_bytes(files[0].read_bytes()[:-3])  # damaged: there is none
    with pytest.raises(TypeError):
        find_order(graph)
    assert not files[0].exists()
    kept.forget()


def test_a_kept_order_of_another_form_is_not_taken(tmp_path, monkeypatch):
    monkeypatch.setenv("WENGERT_CACHE_DIR", str(tmp_path))
    graph = load("PropaneCombustion")
    for order in ((0, 1), (0,) * graph.intermediates):
        kept.save(graph.key, kept.Kept(order, "by hand", "high"))
        assert find_order(graph).multiplications == 88
    kept.save(graph.key, kept.Kept(tuple(range(graph.intermediates)), "by hand", "default"))
    assert find_order(graph).multiplications == 151  # taken as it is, and
    assert find_order(graph, "high").multiplications == 88  # where more effort is meant, improved
    assert find_order(graph).multiplications == 88
    kept.forget()
