"""The decision tree finds the specialisation that holds, or says that there is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wengert.ir.graph import Graph, Guard, GuardMiss, Value
from wengert.jit.specialise import DecisionTree, Leaf


class FakePlan:
    def __init__(self, outcomes):
        value = Value(aval=None)
        self.graph = Graph([], [], [], [Guard(value, "item", o, 0) for o in outcomes])


def leaf(outcomes, path):
    """A specialisation for some outcomes; `path` maps inputs to the outcomes they lead to."""

    def run(inputs):
        for k, (want, got) in enumerate(zip(outcomes, path(inputs), strict=False)):
            if not (want == got or (want != want and got != got)):
                raise GuardMiss(k, got)
        return tuple(outcomes)

    return Leaf(FakePlan(outcomes), run, tuple)


def collatz(n):
    found = []
    while n > 1:
        found.append(n % 2)
        n = n // 2 if n % 2 == 0 else 3 * n + 1
    return [*found, -1]


def unary(n):
    return [True] * n + [False]


def digits(n):
    return [int(d) for d in f"{n:04d}"]


@pytest.mark.parametrize("path", [collatz, unary, digits], ids=lambda f: f.__name__)
@given(numbers=st.lists(st.integers(1, 60), max_size=40))
def test_every_path_is_added_once(path, numbers):
    tree = DecisionTree()
    for n in numbers:
        found = tree.run(n)
        if found is None:
            tree.add(leaf(path(n), path))
        else:
            assert list(found[1]) == path(n)
    assert tree.size == len({tuple(path(n)) for n in numbers})
    for n in numbers:
        found = tree.run(n)
        assert found is not None
        assert list(found[1]) == path(n) == [g.outcome for g in found[0].plan.graph.guards]


def test_the_last_one_is_tried_first():
    runs = []

    def path(n):
        runs.append(n)
        return digits(n)

    tree = DecisionTree()
    for n in (1, 2, 1001, 1002):
        tree.add(leaf(digits(n), path))
    runs.clear()
    for _ in range(5):
        tree.run(1001)
    assert len(runs) <= 3 + 4


def test_empty():
    assert DecisionTree().run(3) is None


def test_no_decisions():
    tree = DecisionTree()
    tree.add(leaf([], lambda n: []))
    assert tree.run(3)[1] == ()


def test_adding_twice_counts_once():
    tree = DecisionTree()
    for _ in range(2):
        tree.add(leaf([1, 2], lambda n: [1, 2]))
    assert tree.size == 1


@pytest.mark.parametrize(
    "outcomes", [[float("nan")], [0.0], [-0.0], [1], [1.0], [True], [np.float64(1)]]
)
def test_outcomes_are_told_apart_by_bits(outcomes):
    others = [float("nan"), 0.0, -0.0, 1, 1.0, True, 2]
    tree = DecisionTree()
    for o in others:
        tree.add(leaf([o], lambda n: outcomes))
    assert tree.size == len(others)


def test_a_recording_finds_its_twin():
    """A new recording with the outcomes of a known specialisation is that specialisation."""
    tree = DecisionTree()
    leaves = [leaf(outcomes, lambda n: []) for outcomes in ([True, 1], [True, 2], [False])]
    assert tree.find(leaves[0].plan.graph) is None
    for made in leaves:
        tree.add(made)
    for outcomes, expected in (([True, 2], 1), ([False], 2), ([True, 1], 0)):
        assert tree.find(FakePlan(outcomes).graph) is leaves[expected]
    for outcomes in ([True, 3], [True], [False, 1], []):
        assert tree.find(FakePlan(outcomes).graph) is None, "another, a shorter and a longer path"
