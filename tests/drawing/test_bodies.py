"""Bodies of loops and branches: boxes in boxes, with the values of each trip that is shown."""

from __future__ import annotations

import examples
import numpy as np
import pytest

import wengert as wg
from wengert.drawing.bodies import TRIPS


def inside(drawing, label, op):
    """The one operator of that kind in the group of that name."""
    (group,) = [g for g in drawing.groups if g.label == label]
    (node,) = [n for n in drawing.nodes if n.group == group.id and n.op == op]
    return group, node


def test_a_scan_has_the_values_of_its_trips():
    d = wg.draw(examples.looped, 0.5, argnums=())
    group, tanh = inside(d, "scan × 30", "tanh")
    assert (group.trips[:2], group.trips[-1], len(group.trips)) == ((1, 2), 30, TRIPS)
    c, want = 0.5, {}
    for t, w in enumerate(np.linspace(0.5, 1.0, 30), 1):
        want[t] = c = np.tanh(w * c)
    found = {t: s.mean for t, s in zip(group.trips, tanh.trips, strict=True)}
    assert found == pytest.approx({t: want[t] for t in found}, rel=1e-12)
    assert tanh.value == tanh.trips[0]


def test_the_way_back_goes_through_the_trips_from_the_last_one():
    d = wg.draw(examples.looped, 0.5)
    (back,) = [g for g in d.groups if g.kind == "body" and g.trips[0] == 30]
    assert back.trips[-1] == 1
    nodes = [n for n in d.nodes if n.group == back.id]
    assert all(n.stage == "backward" for n in nodes)
    last = [n for n in nodes if n.op == "multiply"][-1]
    assert last.trips[-1].mean == pytest.approx(wg.grad(examples.looped)(0.5))


def test_a_while_loop_says_how_often_it_ran():
    d = wg.draw(examples.root, 2.0, argnums=())
    test, ask = inside(d, "while: test × 5", "greater")
    body, half = inside(d, "while: body × 4", "multiply")
    assert [s.mean for s in ask.trips] == [1, 1, 1, 1, 0]
    assert [s.mean for s in half.trips] == pytest.approx([3 / 2, 17 / 12, 577 / 408, 2**0.5])
    assert (test.times, body.times) == (5, 4)
    assert any(e.source == "v0" and e.target.startswith("o0.1.") for e in d.edges)


def test_the_way_back_of_a_while_loop_is_the_way_back():
    d = wg.draw(examples.root, 2.0)
    made = [n for n in d.nodes if n.kind == "operator" and "." not in n.id and n.order == 1]
    assert {n.op for n in made} >= {"scan", "add"}
    (gradient,) = [n for n in d.nodes if n.role == "gradient"]
    assert gradient.value.mean == pytest.approx(0.5 / 2**0.5)


def test_a_branch_that_is_not_taken_has_no_values():
    d = wg.draw(examples.chosen, np.arange(3.0) - 0.5, argnums=())
    taken = next(g for g in d.groups if g.label == "cond: branch 1, taken")
    other = next(g for g in d.groups if g.label == "cond: branch 0, not taken")
    assert all(n.value for n in d.nodes if n.group == taken.id)
    assert not any(n.value for n in d.nodes if n.group == other.id)
    d = wg.draw(lambda x: wg.cond(x > 0, np.sin, np.cos, x), -1.0, argnums=())
    (cos,) = [n for n in d.nodes if n.op == "cos"]
    assert cos.value.mean == pytest.approx(np.cos(-1.0))


def test_loops_in_loops_are_boxes_in_boxes():
    d = examples.drawn("nested")
    groups = {g.id: g for g in d.groups}
    inner = [g for g in d.groups if g.label == "scan × 4"]
    assert [groups[g.parent].label for g in inner] == ["scan × 20", "scan × 20"]
    (product,) = [n for n in d.nodes if n.op == "contract" and n.group == inner[0].id]
    assert product.flops == 20 * 4 * (2 * 9)
    assert product.trips[0].mean == pytest.approx(0.5)
    names = {n.label for n in d.nodes if n.group in groups and groups[n.group].kind == "body"}
    assert names >= {"W", "rows[t]", "carry"}


def test_long_loops_are_run_again_in_part(monkeypatch):
    monkeypatch.setattr("wengert.drawing.bodies.WORK", 1_000)

    def f(x):
        return wg.scan(lambda c, _: (c + 1.0, None), x, None, length=2_000)[0]

    d = wg.draw(f, 0.0, argnums=())
    (group,) = d.groups
    assert (group.times, group.trips[-1]) == (2_000, 500)
