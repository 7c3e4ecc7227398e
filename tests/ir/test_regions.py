"""Graphs among the attributes of a node: text, verification, simplification, keys."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import pytest

from wengert.errors import GraphError
from wengert.ir.graph import Aval, Const, Graph, Guard, Node, Value
from wengert.ir.keys import key
from wengert.ir.regions import each, map_regions
from wengert.ir.simplify import merge_common, simplify
from wengert.ir.text import parse, show
from wengert.ir.verify import verify
from wengert.ops.base import TABLE

SCALAR = Aval((), np.dtype(float))


class Repeat:
    """An operation with regions."""

    name = "repeat"
    infer = staticmethod(lambda *xs, **_: SCALAR)


REPEAT = Repeat()
OPS = {**TABLE, "repeat": REPEAT}

GOLDEN = dedent("""
    graph(%0: f64[])
    %1: f64[] = repeat(%0) body={
      graph(%0: f64[])
      %1: f64[] = repeat(%0) arms=({
        graph(%0: f64[])
        -> (%0)
      }, {
        graph(%0: f64[])
        %1: f64[] = sin(%0)
        -> (%1)
      },) tag='a # {'
      -> (%1)
    } times=3
    -> (%1)
    """).strip()


def one(region, *consts):
    """A graph of one node with a region."""
    x, y = Value(aval=SCALAR), Value(aval=SCALAR)
    return Graph([x], [Node(REPEAT, (x, *consts), {"body": region}, (y,))], [y])


def read(text):
    return parse(dedent(text).strip(), OPS)


def test_regions_print_and_parse():
    graph = parse(GOLDEN, OPS)
    assert show(graph) == GOLDEN == graph.text
    assert [name for name, _ in each(graph.nodes[0])] == ["body"]
    (body,) = [g for _, g in each(graph.nodes[0])]
    assert [len(g.nodes) for _, g in each(body.nodes[0])] == [0, 1]
    assert graph.nodes[0].attrs["times"] == 3
    verify(graph)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("graph()\n%0: f64[] = repeat() body={\n  graph()", "the lines of a region"),
        ("graph()\n%0: f64[] = repeat() body={ graph()", "the end of the line"),
        ("graph()\n%0: f64[] = repeat() body={\n  graph()\n}", "outputs '->"),
        ("graph()\n%0: f64[] = repeat() body={\n graph()\n -> (%0)\n}\n-> ()", "%0 is not defined"),
    ],
)
def test_errors_in_regions_name_the_place(text, message):
    with pytest.raises(GraphError, match=message):
        parse(text, OPS)


def test_the_verifier_goes_into_regions():
    x, y = Value(aval=SCALAR), Value(aval=SCALAR)
    broken = Graph([], [Node(TABLE["sin"], (x,), {}, (y,))], [y])
    with pytest.raises(GraphError, match=r"in the region body of repeat: .*not defined before"):
        verify(one(broken))


def test_a_region_is_closed():
    held = Graph([], [], [Const(np.ones(2))])
    with pytest.raises(GraphError, match="the region body of repeat is not closed: it holds"):
        verify(one(held))
    x = Value(aval=SCALAR)
    decided = Graph([x], [], [x], [Guard(x, "bool", True, 0)])
    with pytest.raises(GraphError, match="not closed: it has guards"):
        verify(one(decided))


def test_simplification_goes_into_regions():
    region = read("""
        graph(%0: f64[])
        %1: f64[] = cos(%0)
        %2: f64[] = multiply(%0, 1.0)
        -> (%2)
        """)
    graph = one(region)
    simpler = simplify(graph)
    assert len(graph.nodes[0].attrs["body"].nodes) == 2
    assert simpler.nodes[0].attrs["body"].nodes == ()


def test_equal_regions_are_one_computation():
    text = "graph(%0: f64[])\n%1: f64[] = sin(%0)\n-> (%1)"
    first, second, other = read(text), read(text), read(text.replace("sin", "cos"))
    assert key(first) == key(second) != key(other)
    x = Value(aval=SCALAR)
    ys = [Value(aval=SCALAR) for _ in range(3)]
    nodes = [
        Node(REPEAT, (x,), {"body": body}, (y,))
        for body, y in zip((first, second, other), ys, strict=True)
    ]
    a, b, c = merge_common(Graph([x], nodes, ys)).outputs
    assert a is b is not c


def test_a_pass_that_changes_nothing_keeps_the_graph():
    graph = parse(GOLDEN, OPS)
    assert map_regions(graph, lambda region: region) is graph
    empty = read("graph(%0: f64[])\n-> (%0)")
    assert map_regions(graph, lambda region: empty).nodes[0].attrs["body"] is empty
