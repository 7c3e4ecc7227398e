"""The builder, and the functions that rebuild and run a graph."""

import numpy as np
import pytest

from wengert.errors import GraphError
from wengert.ir.build import Builder, evaluate, map_graph, results, strip, substitute
from wengert.ir.graph import Aval, Const, Graph, Guard, Node, Value
from wengert.ir.text import show
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

F64, F32 = np.dtype(np.float64), np.dtype(np.float32)


def small():
    b = Builder()
    x = b.input(Aval((3,), F64))
    y = b.add(TABLE["multiply"], x, 2.0)
    b.guard(b.add(TABLE["any"], y, axis=(0,), keepdims=False), "bool", True)
    return b.finish([b.add(TABLE["sin"], y), 1.0])


# --- building -------------------------------------------------------------------------------------
def test_a_built_graph_is_well_formed():
    assert str(verify(small())).splitlines() == [
        "graph(%0: f64[3])",
        "%1: f64[3] = multiply(%0, 2.0)",
        "%2: b8[] = any(%1) axis=(0,) keepdims=False",
        "guard bool(%2) == True",
        "%3: f64[3] = sin(%1)",
        "-> (%3, 1.0)",
    ]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (F32, 2.0, "f32[4]"),  # a Python scalar takes the array's dtype
        (F32, np.float64(2.0), "f64[4]"),
        (np.dtype(np.int8), 1, "i8[4]"),
        (np.dtype(np.int8), 1.0, "f64[4]"),
        (F32, 1j, "c64[4]"),
        (np.dtype(bool), True, "b8[4]"),
    ],
)
def test_dtypes_follow_numpy(left, right, expected):
    b = Builder()
    y = b.add(TABLE["add"], b.input(Aval((4,), left)), right)
    assert str(y.aval) == expected
    assert y.dtype == (np.ones(4, left) + right).dtype


def test_a_weak_input_stands_for_a_python_scalar():
    b = Builder()
    x, s = b.input(Aval((2,), F32)), b.input(1.5)
    assert s.aval == Aval((), F64, weak=True)
    assert b.add(TABLE["multiply"], x, s).dtype == F32
    c = b.add(TABLE["greater"], x, s)
    assert b.add(TABLE["select"], c, x, s).dtype == F32


def test_an_operation_with_several_results_gives_a_tuple():
    class Pair:
        name = "pair"
        evaluate = staticmethod(lambda x: (x, x + 1))
        infer = staticmethod(lambda x: (x, x))

    b = Builder()
    low, high = b.add(Pair, b.input(Aval((2,), F64)))
    (found,) = evaluate(b.finish([high]), [np.zeros(2)])
    np.testing.assert_array_equal(found, [1, 1])
    assert low.aval == high.aval


def test_an_array_is_held_by_reference_once():
    b, w = Builder(), np.ones(3)
    x = b.input(Aval((3,), F64))
    graph = b.finish([b.add(TABLE["add"], b.add(TABLE["multiply"], x, w), w), w])
    (const,) = graph.consts()
    assert const.data is w
    w[:] = 5.0
    np.testing.assert_array_equal(evaluate(graph, [np.ones(3)])[0], [10, 10, 10])


def test_nodes_carry_the_line_they_stand_for():
    b = Builder()
    b.line = ("model.py", 12)
    graph = b.finish([b.add(TABLE["sin"], b.input(1.0))])
    assert graph.nodes[0].line == ("model.py", 12)


def test_shapes_that_do_not_fit_are_refused():
    b = Builder()
    x, y = b.input(Aval((3,), F64)), b.input(Aval((4,), F64))
    with pytest.raises(GraphError, match=r"add cannot take \(f64\[3\], f64\[4\]\).*broadcast"):
        b.add(TABLE["add"], x, y)


def test_a_value_of_another_graph_is_refused():
    b, other = Builder(), Builder().input(Aval((3,), F64))
    with pytest.raises(GraphError, match=r"sin reads a value f64\[3\] that is not of this graph"):
        b.add(TABLE["sin"], other)
    with pytest.raises(GraphError, match="the result reads a value"):
        b.finish([other])
    with pytest.raises(GraphError, match="a guard reads a value"):
        b.guard(other, "bool", True)


# --- rebuilding -----------------------------------------------------------------------------------
def test_map_graph_keeps_what_the_step_keeps():
    graph = small()
    again = map_graph(graph, lambda node, emit: None)
    assert again is not graph
    assert again.nodes == graph.nodes
    assert show(again) == show(graph)


def test_map_graph_replaces_and_inserts():
    graph = small()
    before = show(graph)

    def twice(node, emit):
        """Write 2 * x as x + x."""
        if node.op.name != "multiply":
            return None
        x = node.inputs[0]
        y = Value(aval=node.outputs[0].aval)
        emit(Node(TABLE["add"], (x, x), {}, (y,)))
        return (y,)

    made = verify(map_graph(graph, twice))
    assert "%1: f64[3] = add(%0, %0)" in show(made)
    assert made.guards[0].position == 2
    assert show(graph) == before
    x = np.array([1.0, np.nan, -0.0])
    np.testing.assert_array_equal(evaluate(made, [x])[0], evaluate(graph, [x])[0])


def test_map_graph_refuses_to_lose_a_guard():
    graph = small()
    with pytest.raises(GraphError, match="cannot be checked"):
        map_graph(graph, lambda node, emit: (True,) if node.op.name == "any" else None)


def test_substitute_binds_inputs(read):
    graph = read("""
        graph(%0: f64[3], %1: f64[])
        %2: f64[3] = multiply(%0, %1)
        -> (%2, %1)
        """)
    bound = verify(substitute(graph, {graph.inputs[1]: np.float64(3.0)}))
    assert show(bound).splitlines() == [
        "graph(%0: f64[3])",
        "%1: f64[3] = multiply(%0, np.float64(3.0))",
        "-> (%1, np.float64(3.0))",
    ]
    with pytest.raises(GraphError, match=r"an input f64\[3\] cannot be substituted by f64\[2\]"):
        substitute(graph, {graph.inputs[0]: Const(np.ones(2))})
    with pytest.raises(GraphError, match="only inputs can be substituted"):
        substitute(graph, {graph.nodes[0].outputs[0]: 1.0})


def test_strip_drops_data_only():
    x, y = Value(np.arange(3.0)), Value(np.sin(np.arange(3.0)))
    graph = Graph(
        [x], [Node(TABLE["sin"], (x,), {}, (y,), ("f.py", 3))], [y], [Guard(x, "done", None, 0)]
    )
    bare = verify(strip(graph))
    assert show(bare, lines=True) == show(graph, lines=True)
    assert all(value.data is None for value in bare.values())
    assert x.data is not None


# --- running --------------------------------------------------------------------------------------
def test_evaluate_runs_the_nodes_in_order():
    seen = []

    def watched(node, xs):
        seen.extend(results(node, xs))
        return results(node, xs)

    y, one = evaluate(small(), [np.array([0.0, 1.0, 2.0])], watched)
    np.testing.assert_array_equal(y, np.sin([0.0, 2.0, 4.0]))
    assert one == 1.0
    assert len(seen) == 3


def test_evaluate_counts_its_inputs():
    with pytest.raises(GraphError, match="the graph has 1 inputs, not 2"):
        evaluate(small(), [1.0, 2.0])


def test_a_result_has_the_dtype_that_the_graph_says():
    """Python's own arithmetic on two plain scalars gives a float; the graph says float64."""
    b = Builder()
    x = b.input(Aval((2,), F32))
    s = b.add(TABLE["multiply"], 2.0, 3.0)
    graph = b.finish([s, b.add(TABLE["add"], x, s)])
    found = evaluate(graph, [np.zeros(2, np.float32)])
    assert [type(found[0]), found[1].dtype] == [np.float64, F64]
    assert [y.dtype for y in graph.outputs] == [F64, F64]
