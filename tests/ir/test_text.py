"""The text form: golden texts, round trips, and errors that name the place."""

from textwrap import dedent

import numpy as np
import pytest

from wengert.errors import GraphError
from wengert.ir.build import Builder, evaluate
from wengert.ir.graph import SLOT, Aval, Const
from wengert.ir.text import parse, show
from wengert.ops.base import TABLE

GOLDEN = dedent("""
    graph(%0: f64[5], %1: ~f64[], %2: i64[2])
    $0: f64[1000,10]
    $1: f32[]
    guard index(%2) == 3
    %3: f64[5] = multiply(%0, 2.0)
    %4: b8[] = greater(%1, -0.0)
    guard bool(%4) == True
    guard float(%1) == nan
    %5: f64[1000,10] = convert($0) dtype=f64
    %6: f64[1000] = sum(%5) axis=(1,) keepdims=False
    %7: f64[1000,1] = getitem(%6) spec=[..., None]
    %8: f64[2,1] = getitem(%7, %2) spec=[@, :]
    %9: f64[5] = power(%3, np.float32(0.1))
    %10: c128[5] = add(%9, complex(nan, -inf))
    %11: f64[] = getitem(%9) spec=[3]
    -> (%10, $1, %11, True, $0)
    """).strip()


def test_golden_round_trip():
    arrays = [np.ones((1000, 10)), np.array(1, np.float32)]
    graph = parse(GOLDEN, TABLE, arrays)
    assert show(graph) == GOLDEN == str(graph)
    assert graph.consts()[0].data is arrays[0]
    assert [(g.kind, g.position) for g in graph.guards] == [("index", 0), ("bool", 2), ("float", 2)]
    assert graph.nodes[4].attrs == {"spec": (Ellipsis, None)}
    assert graph.nodes[5].attrs["spec"][0] is SLOT
    assert type(graph.nodes[6].inputs[1]) is np.float32


def test_names_are_free_and_comments_and_blank_lines_are_skipped():
    graph = parse(
        """
        # a half
        graph(%x: f64[3])      # the input

        %half: f64[3] = divide(%x, 2.0)   # it's halved
        -> (%half)
        """,
        TABLE,
    )
    assert show(graph).splitlines()[1] == "%1: f64[3] = divide(%0, 2.0)"
    np.testing.assert_array_equal(evaluate(graph, [np.ones(3)])[0], [0.5, 0.5, 0.5])


def test_a_sharp_in_a_string_is_no_comment():
    class Tag:
        name = "tag"

    text = "graph(%0: f64[])\n%1: f64[] = tag(%0) label='a # b' other=\"it's\"\n-> (%1)"
    assert show(parse(text, {"tag": Tag})) == text


def test_the_users_lines_are_shown_as_comments():
    b = Builder()
    b.line = ("model.py", 7)
    graph = b.finish([b.add(TABLE["sin"], b.input(Aval((2,), np.dtype(float))))])
    text = show(graph, lines=True)
    assert text.splitlines()[1] == "%1: f64[2] = sin(%0)  # model.py:7"
    assert show(parse(text, TABLE)) == show(graph)


def test_several_results_on_a_line():
    class Pair:
        name = "pair"

    text = "graph(%0: f64[2])\n%1: f64[2], %2: i64[] = pair(%0)\n-> (%2, %1)"
    graph = parse(text, {"pair": Pair})
    assert len(graph.nodes[0].outputs) == 2
    assert show(graph) == text


def test_the_same_array_is_one_constant():
    c = Const(np.ones(2))
    graph = parse("graph()\n$0: f64[2]\n%0: f64[2] = add($0, $0)\n-> (%0, $0)", TABLE, [c])
    assert graph.consts() == [c]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", (1, 1), "expected the line of inputs 'graph(...)', found the end of the line"),
        ("%0 = sin(1.0)", (1, 1), "expected the line of inputs 'graph(', found '%0'"),
        ("graph(%0: f64[])", (1, 17), "expected a line of outputs '-> (...)'"),
        ("graph(%0 f64[])", (1, 10), "expected ':', found 'f64[])'"),
        ("graph(%0: g64[])", (1, 11), "expected a dtype such as f64, found 'g64[])'"),
        ("graph(%0: f64[x])", (1, 14), "expected a shape such as [3,2], found '[x])'"),
        ("graph(%0: f64[], %0: f64[])", (1, 18), "%0 is defined already"),
        ("graph()\nnonsense", (2, 1), "expected a node '%...', a constant '$...', a guard"),
        ("graph(%0: f64[])\n%1: f64[] = sine(%0)", (2, 13), "did you mean 'sin'?"),
        ("graph(%0: f64[])\n%1: f64[] = sin(%7)", (2, 17), "%7 is not defined before this line"),
        ("graph(%0: f64[])\n%1: f64[] = sin(%1)", (2, 17), "%1 is not defined before this line"),
        ("graph(%0: f64[])\n%1: f64[] = sin(None)", (2, 17), "expected a value %..., a constant"),
        ("graph(%0: f64[])\n%1: f64[] = sin(%0", (2, 19), "expected ',' or ')'"),
        ("graph(%0: f64[])\n%1: f64[] = sin(%0) axis=", (2, 26), "expected a number"),
        ("graph(%0: f64[])\n%1: f64[] = sin(%0) axis", (2, 25), "expected '='"),
        ("graph(%0: f64[])\n%1: f64[] = sin(%0) = 3", (2, 21), "expected the end of the line"),
        ("graph(%0: f64[])\n%1: f64[], %1: f64[] = sin(%0)", (2, 21), "%1 is defined twice"),
        ("graph(%0: f64[])\nguard bool(1.0) == True", (2, 15), "a guard is about a value"),
        ("graph(%0: f64[])\nguard bool(%0) = True", (2, 16), "expected '==', found '='"),
        ("graph()\n-> ()\n-> ()", (3, 1), "expected nothing after the line of outputs"),
        ("graph()\n$0: f64[2]\n-> ()", (2, 1), "no array was given for $0"),
    ],
)
def test_errors_name_line_column_and_what_was_expected(text, place, message):
    with pytest.raises(GraphError) as caught:
        parse(text, TABLE)
    found = str(caught.value)
    assert found.startswith(f"line {place[0]}, column {place[1]}: ")
    assert message in found
    if text:
        assert text.splitlines()[place[0] - 1] in found  # the line itself is shown


def test_given_arrays_have_to_fit():
    text = "graph()\n$0: f64[2]\n-> ($0)"
    with pytest.raises(GraphError, match=r"the array given for \$0 is f32\[2\], not f64\[2\]"):
        parse(text, TABLE, [np.ones(2, np.float32)])
    with pytest.raises(GraphError, match="2 constants were given, but the text has 1"):
        parse(text, TABLE, [np.ones(2), np.ones(2)])
