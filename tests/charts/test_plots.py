"""``.plot()`` of patterns, colourings, memory, costs and partitions: axes in, axes out."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

import wengert as wg
from wengert.devices import Device
from wengert.errors import InputError, MissingExtraError, ShapeError, UnsupportedError
from wengert.jit import plan as plans
from wengert.sparse import ColouringAlgorithm, ColouringProblem, SparsityPattern, colour


def loss(w, x, y):
    h = np.tanh(x @ w)
    return np.mean((h - y) ** 2)


ARGS = (np.full((6, 5), 0.1), np.ones((8, 6)), np.zeros((8, 5)))


def second_difference(x):
    return x[:-2] - 2 * x[1:-1] * x[1:-1] + x[2:]


def arrow(n=9):
    entries = np.eye(n, dtype=bool)
    entries[0] = entries[:, 0] = True
    return SparsityPattern.from_dense(entries)


def partition():
    devices = [Device(f"d{i}", "1GiB", 1e9, 1e9, 1e9, 1e-6) for i in range(2)]
    return wg.partition(wg.value_and_grad(loss), *ARGS, devices=devices)


def sparse_plan(mode):
    return wg.jacobian(second_difference, sparsity="auto", mode=mode).plan(np.arange(9.0))


OBJECTS = {
    "pattern": lambda: arrow(),
    "large pattern": lambda: SparsityPattern.from_coo([0, 2999], [7, 0], (3000, 2000)),
    "empty pattern": lambda: SparsityPattern.from_coo([], [], (0, 3)),
    "colouring": lambda: colour(arrow()),
    "colouring of both": lambda: colour(arrow(), ColouringProblem(partition="bidirectional")),
    "plan by colours": lambda: sparse_plan("forward"),
    "plan by accumulation": lambda: sparse_plan("accumulate"),
    "needs": lambda: wg.memory(loss, *ARGS),
    "memory": lambda: wg.jit(wg.value_and_grad(loss)).plan(*ARGS).memory,
    "memory of nothing": lambda: wg.jit(lambda x: x + 1.0).plan(np.ones(3)).memory,
    "cost": lambda: wg.cost(loss, *ARGS),
    "cost of nothing": lambda: wg.cost(lambda x: x, 2.0),
    "partition": partition,
}


@pytest.fixture
def pyplot():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pyplot

    yield pyplot
    pyplot.close("all")


@pytest.mark.parametrize("name", OBJECTS)
def test_axes_in_and_out(pyplot, name):
    shown = OBJECTS[name]()
    _, ax = pyplot.subplots()
    assert shown.plot(ax) is ax
    assert shown.plot(ax=ax) is ax
    fresh = shown.plot()
    assert fresh.figure is not ax.figure
    assert fresh.get_title()
    fresh.figure.canvas.draw()
    with pytest.raises(InputError, match="draws on axes of matplotlib"):
        shown.plot("here")


@pytest.mark.parametrize("name", OBJECTS)
def test_without_matplotlib_the_error_names_the_extra(monkeypatch, name):
    shown = OBJECTS[name]()
    for module in ("matplotlib", "matplotlib.axes"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'wengert\[plot\]'") as caught:
        shown.plot()
    assert isinstance(caught.value, ImportError)
    assert caught.value.library == "matplotlib"


@pytest.mark.parametrize("name", [name for name in OBJECTS if name != "memory of nothing"])
def test_notebooks_need_no_matplotlib(monkeypatch, name):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    html = OBJECTS[name]()._repr_html_()
    assert html.startswith('<div class="wengert">')
    assert "<table" in html or "<svg" in html
    assert "http://" not in html.replace("http://www.w3.org/2000/svg", "")


def test_plans_and_counts_in_notebooks():
    plan = wg.jit(wg.value_and_grad(loss)).plan(*ARGS)
    html = plan._repr_html_()
    for node in plan.nodes:
        assert f"<td>{node.flops:,}</td>" in html
    assert "plan of loss" in html
    assert "<svg" in wg.count(loss, *ARGS)._repr_html_()
    assert "<svg" not in wg.count(lambda x: x, 2.0)._repr_html_()


def test_long_plans_are_not_listed_in_notebooks(monkeypatch):
    monkeypatch.setattr(plans, "LISTED", 3)
    plan = wg.jit(wg.value_and_grad(loss)).plan(*ARGS)
    html = plan._repr_html_()
    assert f"its {len(plan.graph.nodes)} operations are in plan.nodes" in html
    assert "nodes" not in plan.__dict__


def test_entries_have_the_colour_of_their_product():
    """Each entry's colour is that of the product it is read from: columns first, then rows."""
    pattern = arrow()
    sides = [ColouringProblem(partition=side) for side in ("column", "row", "bidirectional")]
    for problem in (*sides, ColouringProblem("symmetric")):
        found = colour(pattern, problem)
        rows = np.repeat(np.arange(pattern.shape[0]), np.diff(found.indptr))
        for i, j, c in zip(rows, found.indices, found.entry_colours, strict=True):
            possible = set()
            if found.column_colours is not None:
                possible.add(int(found.column_colours[j]))
                if problem.structure == "symmetric":
                    possible.add(int(found.column_colours[i]))
            if found.row_colours is not None and found.row_colours[i] >= 0:
                possible.add(found.column_number + int(found.row_colours[i]))
            assert int(c) in possible - {-1}
        assert set(found.entry_colours.tolist()) == set(range(found.number))


def test_colours_with_substitution():
    found = colour(
        arrow(), ColouringProblem("symmetric"), ColouringAlgorithm(decompression="substitution")
    )
    assert found.entry_colours.min() >= 0
    assert "colours" in found._repr_html_()


def test_a_pattern_takes_its_colouring(pyplot):
    pattern = arrow()
    ax = pattern.plot(colouring=colour(pattern))
    numbers = {str(c) for c in range(colour(pattern).number)}
    assert {t.get_text() for t in ax.texts} == numbers
    assert {t.get_text() for t in pattern.plot().texts} == numbers  # it is coloured by itself
    assert not pattern.plot(colouring=False).texts
    with pytest.raises(ShapeError, match="of another pattern"):
        pattern.plot(colouring=colour(arrow(7)))


@pytest.mark.parametrize("by", ["role", "line"])
def test_layers_of_memory_add_up(by):
    memory = wg.memory(loss, *ARGS).training
    total = np.sum(list(memory.parts(by).values()), axis=0)
    np.testing.assert_array_equal(total, memory.timeline)
    few = memory.parts(by, most=1)
    np.testing.assert_array_equal(np.sum(list(few.values()), axis=0), memory.timeline)


def test_memory_that_numpy_allocates_has_no_timeline():
    memory = wg.jit(loss, backend="numpy").plan(*ARGS).memory
    with pytest.raises(UnsupportedError, match="allocates as it goes"):
        memory.plot()
    assert "bytes in" in memory._repr_html_()


@pytest.mark.parametrize("by", ["operation", "line"])
@pytest.mark.parametrize("of", ["operations", "bytes"])
def test_bars_of_a_cost_add_up(by, of):
    cost = wg.cost(loss, *ARGS)
    bars = cost.bars(by, of, most=100)
    sums = np.sum([parts for _, parts in bars.rows], axis=0)
    forward, backward = cost.forward, cost.backward
    wanted = (
        [forward.flops, backward.flops] if of == "operations" else [forward.bytes, backward.bytes]
    )
    np.testing.assert_array_equal(sums, wanted)
    assert len(cost.bars(by, of, most=1).rows) == 1


@pytest.mark.parametrize(
    ("shown", "options"),
    [("needs", {"by": "size"}), ("cost", {"by": "file"}), ("cost", {"of": "time"}),
     ("partition", {"name": "magic"})],
)  # fmt: skip
def test_options_that_do_not_exist(pyplot, shown, options):
    (value,) = options.values()
    with pytest.raises(InputError, match=repr(value)):
        OBJECTS[shown]().plot(**options)


def test_the_schedule_takes_as_long_as_predicted():
    found = partition()
    for candidate in found.candidates:
        if not candidate.applicable:
            continue
        spans = candidate.schedule
        assert max(s.stop for s in spans) == pytest.approx(candidate.seconds)
        for device, part in enumerate(candidate.parts):
            mine = sorted(s for s in spans if len(candidate.parts) == 1 or s.device == device)
            for a, b in itertools.pairwise(mine):
                assert a.stop <= b.start * (1 + 1e-9)
            working = {"forward", "backward", "sums", "once"}
            busy = sum(s.stop - s.start for s in mine if s.kind in working)
            assert busy == pytest.approx(part.seconds)


def test_a_candidate_that_does_not_apply_says_why(pyplot):
    devices = [Device("one", "1GiB", 1e9, 1e9, 1e9)]
    found = wg.partition(wg.value_and_grad(loss), *ARGS, devices=devices)
    with pytest.raises(InputError, match="not applicable: there is one device"):
        found.plot(name="pipeline")
