"""Random programs with loops as people write them: in loops of a graph they give the same numbers.

The programs have loops in loops, decisions on the trip and on the data, updates in place, lists,
dictionaries, early exits, what changes from trip to trip, and numbers of trips that differ from
call to call. Of each, the value, the gradient, directional and second derivatives, batches and
batches of gradients are compared, with both backends, with what wengert computes step by step.
"""

from __future__ import annotations

import os
import warnings

import pytest
from fuzz import generate, rolled
from fuzz.outcome import Outcome
from fuzz.program import Program

import wengert as wg
from wengert.rolling.limits import ALL, rolling

PROGRAMS = 2_000
SHARE = int(os.environ.get("WENGERT_TABLE_SHARE", "20"))
"""The slow test takes one program of as many. WENGERT_TABLE_SHARE=1 takes all, which is a quarter
of an hour of work."""
BLOCK = 20


def compared(index):
    """Compare every mode of a program; return the number of comparisons and its failures."""
    source = generate.loop_program(f"0/{index}")
    outcome = Outcome(Program.parsed(source, f"loops {index}"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for outcome.check in rolled.LOOSER:
            for backend in ("numpy", "native"):
                rolled.agrees(outcome, outcome.check, backend)
    said = [f"{index}, {f.check}, call {f.call}: {f.what}" for f in outcome.failures]
    return outcome.comparisons, ["\n".join([*said, source])] if said else []


def test_a_random_program():
    comparisons, failures = compared(0)
    assert comparisons > 20
    assert not failures, failures[0]


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, PROGRAMS // SHARE, BLOCK))
def test_random_programs(first, record_property):
    made = [compared(i * SHARE) for i in range(first, min(first + BLOCK, PROGRAMS // SHARE))]
    record_property("comparisons", sum(n for n, _ in made))
    failures = [text for _, found in made for text in found]
    assert not failures, f"{len(failures)} programs of {len(made)}:\n" + "\n".join(failures)


def test_half_of_the_programs_become_loops_of_a_graph():
    found = 0
    for index in range(10):
        program = Program.parsed(generate.loop_program(f"0/{index}"))
        with rolling(ALL), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            plan = wg.jit(program.function, backend="numpy").plan(*program.args(0))
        found += any(node.op.name == "scan" for node in plan.graph.nodes)
    assert found >= 3
