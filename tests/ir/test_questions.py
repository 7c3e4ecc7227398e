"""Every question that a guard asks: all that run graphs ask it, and get the same answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wengert.backend.native import NativeBackend
from wengert.backend.numpy import NumpyBackend
from wengert.ir.build import evaluate
from wengert.ir.graph import Graph, Guard, GuardMiss, Value, aval_of
from wengert.ir.keys import key
from wengert.ir.questions import EFFECTS, QUESTIONS, TESTS

ANSWERS = {
    "bool": [(np.True_, np.False_), (True, False), (2.5, 0.0), (np.float32(0), np.float32(-1))],
    "int": [(np.int64(3), np.int64(-4)), (2.5, -1.5), (np.float32(7.5), np.float32(8)), (3, 4)],
    "index": [(np.int64(3), np.int64(-4)), (3, 4), (True, False)],
    "float": [(0.5, 0.25), (np.float64(0.0), np.float64(-0.0)), (np.int32(3), np.int32(4)),
              (np.float64(1.0), np.float64(math.nan))],
    "complex": [(0.5, 0.25), (np.float32(0.5), np.float32(-0.5))],
    "item": [(np.float32(0.5), np.float32(0.25)), (np.int64(3), np.int64(4)), (0.5, 1.5)],
    "inside": [(np.True_, np.False_)],
    "natural": [(np.True_, np.False_)],
}  # fmt: skip
"""By kind, what was recorded and what is found later."""

RUNS = {
    "evaluate": lambda graph: lambda inputs: evaluate(graph, inputs, decide=True),
    "numpy": lambda graph: NumpyBackend().compile(graph).run,
    "native": lambda graph: NativeBackend().compile(graph).run,
}
CASES = [(kind, *pair) for kind, pairs in ANSWERS.items() for pair in pairs]


def test_every_question_that_compares_something_has_a_case():
    assert set(ANSWERS) == {kind for kind, q in QUESTIONS.items() if q.text}
    assert set(TESTS) < EFFECTS
    assert not {kind for kind, q in QUESTIONS.items() if q.decides and not q.text}


@pytest.mark.parametrize("way", RUNS)
@pytest.mark.parametrize(("kind", "given", "other"), CASES)
def test_questions_are_answered_alike(kind, given, other, way):
    x = Value(aval=aval_of(given))
    graph = Graph([x], [], [x], [Guard(x, kind, QUESTIONS[kind].ask(given), 0)])
    run = RUNS[way](graph)
    assert run([given])[0] == given
    with pytest.raises(GuardMiss) as missed:
        run([other])
    assert missed.value.index == 0
    assert key(missed.value.outcome) == key(QUESTIONS[kind].ask(other))


@pytest.mark.parametrize("way", RUNS)
@pytest.mark.parametrize("kind", sorted(set(QUESTIONS) - set(ANSWERS)))
def test_what_was_only_computed_is_not_compared(kind, way):
    x = Value(aval=aval_of(1.0))
    graph = Graph([x], [], [x], [Guard(x, kind, None, 0)])
    assert RUNS[way](graph)([2.0])[0] == 2.0
