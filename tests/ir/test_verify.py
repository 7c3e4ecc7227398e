"""The verifier finds each way in which a graph can be broken."""

import numpy as np
import pytest

from wengert.errors import GraphError
from wengert.ir.graph import Aval, Const, Graph, Guard, Node, Value
from wengert.ir.text import parse
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

F64 = Aval((3,), np.dtype(float))
SCALAR = Aval((), np.dtype(float))
SIN, SUM, ADD = TABLE["sin"], TABLE["sum"], TABLE["add"]


def value(aval=F64):
    return Value(aval=aval)


def chain():
    """Three values x, sin(x), sin(sin(x)), with their nodes."""
    x, y, z = value(), value(), value()
    return x, y, z, Node(SIN, (x,), {}, (y,)), Node(SIN, (y,), {}, (z,))


def test_a_sound_graph_comes_back():
    x, y, z, first, second = chain()
    graph = Graph([x], [first, second], [z, y, x, 2.0], [Guard(y, "done", None, 1)])
    assert verify(graph) is graph


def test_a_value_read_before_it_is_defined():
    x, _, z, first, second = chain()
    with pytest.raises(GraphError, match=r"read %2: f64\[3\], which is not defined before\n.*sin"):
        verify(Graph([x], [second, first], [z]))


def test_a_value_of_another_graph():
    x, _, _, first, _ = chain()
    with pytest.raises(GraphError, match=r"outputs read %\?: f64\[3\], which is not defined"):
        verify(Graph([x], [first], [value()]))


def test_a_value_defined_twice():
    x, y, _, first, _ = chain()
    with pytest.raises(GraphError, match=r"the node's outputs define %1: f64\[3\] a second time"):
        verify(Graph([x], [first, Node(SIN, (x,), {}, (y,))], [y]))
    with pytest.raises(GraphError, match="the graph's inputs define %0"):
        verify(Graph([x, x], [], [x]))


def test_an_array_that_is_weak():
    x = value(F64._replace(weak=True))
    with pytest.raises(GraphError, match=r"%0: ~f64\[3\] is weak, as only a Python scalar is"):
        verify(Graph([x], [], [x]))


@pytest.mark.parametrize("x", [3.0, Const(np.ones(3)), None])
def test_an_input_that_is_not_a_value(x):
    with pytest.raises(GraphError, match=r"the graph's inputs hold .* which is not a value"):
        verify(Graph([x], [], []))


@pytest.mark.parametrize(
    ("aval", "message"),
    [
        (Aval((4,), F64.dtype), r"sin makes f64\[3\] of these inputs, not f64\[4\]"),
        (Aval((3,), np.dtype(np.float32)), r"sin makes f64\[3\] of these inputs, not f32\[3\]"),
    ],
)
def test_a_wrong_shape_or_dtype(aval, message):
    x, y = value(), value(aval)
    with pytest.raises(GraphError, match=message):
        verify(Graph([x], [Node(SIN, (x,), {}, (y,))], [y]))


def test_inputs_that_the_operation_cannot_take():
    x, y, z = value(), value(Aval((4,), F64.dtype)), value()
    with pytest.raises(GraphError, match=r"add cannot take \(f64\[3\], f64\[4\]\)"):
        verify(Graph([x, y], [Node(ADD, (x, y), {}, (z,))], [z]))


def test_attributes_that_are_missing():
    x, y = value(), value(SCALAR)
    with pytest.raises(GraphError, match=r"sum cannot take .*keepdims"):
        verify(Graph([x], [Node(SUM, (x,), {"axis": (0,)}, (y,))], [y]))


def test_a_wrong_number_of_results():
    x, y, z = value(), value(), value()
    with pytest.raises(GraphError, match="sin makes 1 results, not 2"):
        verify(Graph([x], [Node(SIN, (x,), {}, (y, z))], [y]))


def test_an_attribute_that_is_not_plain_data():
    x, y = value(), value(SCALAR)
    node = Node(SUM, (x,), {"axis": [0], "keepdims": False}, (y,))
    with pytest.raises(GraphError, match=r"attribute axis is a list, not plain data\n.*sum"):
        verify(Graph([x], [node], [y]))


def test_an_array_that_is_not_held_by_reference():
    x, y = value(), value()
    with pytest.raises(GraphError, match=r"hold a ndarray, .*Const\(array\)"):
        verify(Graph([x], [Node(ADD, (x, np.ones(3)), {}, (y,))], [y]))
    with pytest.raises(GraphError, match="the graph's outputs hold a str"):
        verify(Graph([x], [], ["x"]))


def test_a_guard_on_a_value_that_comes_later():
    x, y, z, first, second = chain()
    with pytest.raises(GraphError, match=r"'guard bool\(%2\) == True' at 1: .* not defined there"):
        verify(Graph([x], [first, second], [z], [Guard(z, "bool", True, 1)]))
    verify(Graph([x], [first, second], [z], [Guard(y, "bool", True, 1)]))


@pytest.mark.parametrize("positions", [(3,), (-1,), (2, 1)])
def test_a_guard_at_no_position(positions):
    x, _, z, first, second = chain()
    guards = [Guard(x, "bool", True, p) for p in positions]
    with pytest.raises(GraphError, match=r"positions .* are not in order"):
        verify(Graph([x], [first, second], [z], guards))


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        (Guard(2.0, "bool", True, 0), "not defined there"),
        (Guard(None, "boolean", True, 0), "no kind of guard 'boolean'"),
        (Guard("x", "int", object(), 0), "a guard's outcome is a object"),
    ],
)
def test_a_guard_that_is_malformed(guard, message):
    x = value()
    guard = guard._replace(value=x) if guard.value == "x" else guard
    with pytest.raises(GraphError, match=message):
        verify(Graph([x], [], [x], [guard]))


def test_the_error_names_the_users_line():
    x, y = value(), value(SCALAR)
    node = Node(SIN, (x,), {}, (y,), (__file__, 2))
    with pytest.raises(GraphError) as caught:
        verify(Graph([x], [node], [y]))
    assert str(caught.value) == (
        f"sin makes f64[3] of these inputs, not f64[]\n  in %1: f64[] = sin(%0)\n  at {__file__}:2"
    )
    node = Node(SIN, (x,), {}, (y,), (__file__, 1))
    with pytest.raises(GraphError, match="The verifier finds each way"):
        verify(Graph([x], [node], [y]))


def test_parsing_does_not_check_shapes_but_verifying_does():
    graph = parse("graph(%0: f64[3])\n%1: f64[4] = sin(%0)\n-> (%1)", TABLE)
    with pytest.raises(GraphError, match=r"in %1: f64\[4\] = sin\(%0\)"):
        verify(graph)
