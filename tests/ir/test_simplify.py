"""Simplification: dead code, common subexpressions, folding, and what it must leave alone."""

from functools import partial

import numpy as np
import pytest
from counting import lines

from wengert.ir.build import Builder, evaluate
from wengert.ir.graph import Aval, Const
from wengert.ir.simplify import (
    apply_identities,
    fold_constants,
    key,
    merge_common,
    remove_dead,
    simplify,
)
from wengert.ir.text import show
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

PASSES = (fold_constants, apply_identities, merge_common, remove_dead, simplify)


def names(graph):
    return [node.op.name for node in graph.nodes]


def test_golden(read):
    graph = read(
        """
        graph(%0: f64[3], %1: f64[])
        $0: f64[3]
        %2: f64[3] = multiply(%0, 1.0)
        %3: f64[3] = sin(%2)
        %4: f64[] = exp(2.0)
        %5: f64[] = negative(%4)
        %6: f64[3] = multiply(%3, %5)
        %7: b8[] = greater(%1, 0.0)
        guard bool(%7) == True
        %8: f64[3] = sin(%0)
        %9: f64[3] = add(%6, $0)
        %10: f64[3] = add(%6, $0)
        %11: f64[3] = cos(%0)
        %12: f64[3] = subtract(%9, %10)
        %13: f64[3] = add(%12, %8)
        -> (%13, %5)
        """,
        np.ones(3),
    )
    before = show(graph)
    assert show(verify(simplify(graph))).splitlines() == [
        "graph(%0: f64[3], %1: f64[])",
        "$0: f64[3]",
        "%2: f64[3] = sin(%0)",
        "%3: f64[3] = multiply(%2, np.float64(-7.38905609893065))",
        "%4: b8[] = greater(%1, 0.0)",
        "guard bool(%4) == True",
        "%5: f64[3] = add(%3, $0)",
        "%6: f64[3] = subtract(%5, %5)",
        "%7: f64[3] = add(%6, %2)",
        "-> (%7, np.float64(-7.38905609893065))",
    ]
    assert show(graph) == before  # the original is as it was


# --- dead code ------------------------------------------------------------------------------------
def test_what_a_guard_needs_is_alive(read):
    graph = read("""
        graph(%0: f64[])
        %1: f64[] = sin(%0)
        %2: f64[] = cos(%0)
        %3: b8[] = greater(%2, 0.0)
        guard bool(%3) == True
        guard bool(%3) == True
        %4: f64[] = tan(%0)
        guard float(%0) == 1.0
        -> (%0)
        """)
    simple = verify(remove_dead(graph))
    assert names(simple) == ["cos", "greater"]
    assert [g.position for g in simple.guards] == [2, 2, 2]
    assert [g.outcome for g in simple.guards] == [True, True, 1.0]


def test_nothing_dead_gives_the_same_graph(read):
    graph = read("graph(%0: f64[])\n%1: f64[] = sin(%0)\n-> (%1)")
    assert remove_dead(graph) is graph


def test_an_operation_with_an_effect_stays():
    class Log:
        name = "log_to_file"
        effect = True
        infer = staticmethod(lambda x: x)
        evaluate = staticmethod(lambda x: x)

    b = Builder()
    x = b.input(Aval((), np.dtype(float)))
    b.add(Log, x)
    b.add(Log, x)
    b.add(TABLE["sin"], x)
    assert names(simplify(b.finish([x]))) == ["log_to_file", "log_to_file"]


# --- common subexpressions ------------------------------------------------------------------------
SAME = [(2.0, 2.0), (float("nan"), float("nan")), (np.float32(1), np.float32(1)), (1j, 1j)]
DIFFERENT = [
    (0.0, -0.0),
    (1, 1.0),
    (1, True),
    (1.0, np.float64(1.0)),
    (np.float32(1.0), np.float64(1.0)),
    (np.float64(0.0), np.float64(-0.0)),
    (complex(0.0, 0.0), complex(0.0, -0.0)),
    (0, np.int64(0)),
]


@pytest.mark.parametrize(
    ("a", "b", "count"), [(*p, 1) for p in SAME] + [(*p, 2) for p in DIFFERENT]
)
def test_scalars_are_merged_by_their_bits(a, b, count):
    build = Builder()
    x = build.input(Aval((3,), np.dtype(np.float32)))
    graph = build.finish([build.add(TABLE["arctan2"], x, s) if not isinstance(s, complex)
                          else build.add(TABLE["add"], x, s) for s in (a, b)])  # fmt: skip
    assert len(merge_common(graph).nodes) == count
    assert (key(a) == key(b)) == (count == 1)


def test_attributes_count_with_their_types():
    assert key((1,)) != key((True,)) != key((1.0,))
    assert key(slice(1, None)) == key(slice(1, None)) != key(slice(1, 5))
    assert key((slice(None), ...)) == key((slice(None), ...))
    assert key([1]) != key([1])  # not hashable: never merged


def test_arrays_are_merged_by_reference_only():
    b, w = Builder(), np.ones(3)
    x = b.input(Aval((3,), np.dtype(float)))
    first, second = Const(w), Const(w.copy())
    graph = b.finish([b.add(TABLE["add"], x, c) for c in (first, second, first)])
    assert len(merge_common(graph).nodes) == 2


def test_what_comes_from_a_barrier_is_computed_again(read):
    graph = read("""
        graph(%0: f64[3])
        %1: f64[3] = sin(%0)
        %2: f64[3] = barrier(%0)
        %3: f64[3] = sin(%2)
        %4: f64[3] = barrier(%0)
        %5: f64[3] = sin(%4)
        -> (%1, %3, %5)
        """)
    assert simplify(graph).nodes == graph.nodes


def test_several_results_are_merged_together():
    class Pair:
        name = "pair"
        infer = staticmethod(lambda x: (x, x))
        evaluate = staticmethod(lambda x: (x, x + 1))

    b = Builder()
    x = b.input(Aval((2,), np.dtype(float)))
    low, _ = b.add(Pair, x)
    _, high = b.add(Pair, x)
    simple = verify(simplify(b.finish([low, high])))
    assert len(simple.nodes) == 1
    assert simple.outputs == simple.nodes[0].outputs


# --- folding --------------------------------------------------------------------------------------
def test_folding_keeps_dtypes(read, same_bits):
    graph = read("""
        graph(%0: f32[2])
        %1: f32[] = convert(0.1) dtype=f32
        %2: f32[] = multiply(%1, 3)
        %3: f64[] = multiply(2.0, 0.5)
        %4: f64[2] = add(%0, %3)
        %5: f32[2] = add(%0, %2)
        -> (%1, %2, %3, %4, %5)
        """)
    simple = verify(fold_constants(graph))
    assert names(simple) == ["add", "add"]
    assert simple.outputs[1] == np.float32(0.1) * 3
    assert type(simple.outputs[2]) is np.float64
    x = [np.ones(2, np.float32)]
    same_bits(evaluate(simple, x), evaluate(graph, x))


@pytest.mark.parametrize(
    "node",
    [
        "%1: f64[] = divide(1.0, 0.0)",  # raises ZeroDivisionError
        "%1: f64[] = divide(np.float64(1.0), 0.0)",  # warns
        "%1: f64[] = log(-1.0)",
        "%1: f64[] = exp(1000.0)",
        "%1: i64[] = power(10, 1000000000)",  # has no end
        "%1: f64[1000000] = broadcast_to(0.0) shape=(1000000,)",  # large
        "%1: f64[] = barrier(np.float64(2.0))",
        "%1: f64[2] = add($0, 1.0)",  # what the array holds may change
    ],
)
def test_what_is_left_to_the_run(node, read):
    consts = ("$0: f64[2]\n", [np.ones(2)]) if "$0" in node else ("", [])
    graph = read(f"graph()\n{consts[0]}{node}\n-> (%1)", *consts[1])
    assert simplify(graph).nodes == graph.nodes


def test_a_changed_array_is_seen(read):
    w = np.ones(2)
    graph = simplify(read("graph()\n$0: f64[2]\n%1: f64[2] = add($0, 1.0)\n-> (%1)", w))
    w[:] = 5.0
    np.testing.assert_array_equal(evaluate(graph, [])[0], [6.0, 6.0])


def test_a_guard_never_loses_its_value(read):
    graph = read("""
        graph(%0: f64[])
        %1: f64[] = multiply(%0, 1)
        guard float(%1) == 2.0
        %2: f64[] = exp(np.float64(1.0))
        guard float(%2) == 2.7
        -> (%1)
        """)
    simple = verify(simplify(graph))
    assert names(simple) == ["exp"]
    assert [g.value for g in simple.guards] == [simple.inputs[0], simple.nodes[0].outputs[0]]
    assert [g.position for g in simple.guards] == [0, 1]


# --- cost -----------------------------------------------------------------------------------------
def large(n):
    b = Builder()
    x = y = b.input(Aval((), np.dtype(float)))
    for i in range(n // 4):
        z = b.add(TABLE["multiply"], b.add(TABLE["sin"], y), 1.5 + i)
        y = b.add(TABLE["add"], b.add(TABLE["multiply"], z, 1.0), x)
    return b.finish([y])


def test_the_work_grows_as_the_number_of_nodes():
    assert len(simplify(large(10_000)).nodes) == 7_500
    counts = [lines(partial(simplify, large(n))) for n in (1_000, 4_000)]
    assert 0 < counts[1] < 4.5 * counts[0]


@pytest.mark.parametrize("one_pass", PASSES)
def test_a_second_time_changes_nothing(one_pass):
    once = one_pass(large(100))
    assert show(one_pass(once)) == show(once)
