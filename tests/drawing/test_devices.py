"""Plans for several devices: the regions of each are shaded, and what is sent is an operation."""

from __future__ import annotations

import numpy as np
import pytest
from examples import sin_of_product, split

import wengert as wg
from wengert.drawing.scene import scene
from wengert.errors import InputError


@pytest.fixture(scope="module")
def pipeline():
    return split("pipeline")


def test_a_pipeline_is_shaded_by_device(pipeline):
    plan, d = pipeline
    assert d.regions == ("left", "right")
    for part in plan["pipeline"].parts:
        done = [n for n in d.nodes if n.kind == "operator" and n.region == part.device]
        assert sum(n.flops for n in done) == part.flops
        assert {n.order for n in done} == {0, 1}  # the way back of a layer is where the layer is


def test_a_split_says_along_which_axis_and_what_is_sent():
    plan, d = split("tensor split")
    assert any(r.startswith("split along axis") for r in d.regions)
    sent = [n for n in d.nodes if n.region == "sent between devices"]
    assert sum(n.read for n in sent) == plan["tensor split"].traffic
    collectives = plan["tensor split"].notes["collectives"]
    assert {n.label for n in sent} == set(collectives)
    assert {n.id for n in sent} <= {e.target for e in d.edges}
    assert {n.id for n in sent} & {e.source for e in d.edges}  # but those of results


def test_shades_are_in_the_picture_and_told_apart_in_grey(pipeline):
    _, d = pipeline
    s = scene(d)
    shades = [b for b in s.boxes if b.fill.startswith("region")]
    assert len(shades) == sum(bool(n.region) for n in d.nodes)
    assert len({b.dash for b in shades}) == 2
    assert {"left", "right"} <= {t.text for t in s.texts}
    nodes = [(b.x, b.y) for b in s.shapes if b.key in d.by_id]
    assert all((b.x, b.y) in nodes for b in shades)


def test_texts_say_where(pipeline):
    _, d = pipeline
    assert "(left)" in d.text()
    assert "fillcolor" in d.dot()
    assert "classDef region1 " in d.mermaid()


def test_of_a_partition_the_best_way_is_drawn(pipeline):
    plan, _ = pipeline
    assert wg.draw(plan).name == f"{plan.name}: {plan.best.name}"


def test_what_is_not_applicable_is_not_drawn(pipeline):
    plan, _ = pipeline
    with pytest.raises(InputError, match="data parallel is not applicable: "):
        wg.draw(plan["data parallel"])
    with pytest.raises(InputError, match="is a plan for devices already"):
        wg.draw(plan, argnums=0)


def test_others_have_no_shades():
    d = wg.draw(sin_of_product, 0.7, np.float64(1.3))
    assert d.regions == ()
    assert "region" not in d.dot()
