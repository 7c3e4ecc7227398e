"""Pictures: nothing overlaps, arrows go where they should, and the files are what they say."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from examples import ALL, ARGUMENTS, drawn, stepped, straight

import wengert as wg
from wengert.drawing.palette import DARK, LIGHT, mixed
from wengert.drawing.scene import scene
from wengert.drawing.shapes import width_of

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def scenes():
    found = {name: scene(drawn(name)) for name in ALL}
    return found | {"straight": scene(wg.draw(straight(120), np.ones(3)))}


CASES = [*ALL, "straight"]


def overlap(a, b):
    return min(a[1] - b[0], b[1] - a[0], a[3] - b[2], b[3] - a[2])


def rectangle(s):
    return s.x - s.w / 2, s.x + s.w / 2, s.y - s.h / 2, s.y + s.h / 2


@pytest.mark.parametrize("name", CASES)
def test_nodes_do_not_overlap(scenes, name):
    found = {}
    for s in scenes[name].shapes:
        if s.key:
            found[s.key] = rectangle(s)
    boxes = sorted(found.values())
    for k, a in enumerate(boxes):
        for b in boxes[k + 1 :]:
            if b[0] > a[1]:
                break
            assert overlap(a, b) <= 0.5, (a, b)


@pytest.mark.parametrize("name", CASES)
def test_labels_do_not_overlap_and_stay_within_their_nodes(scenes, name):
    s = scenes[name]
    labels = []
    for t in s.texts:
        w, h = width_of(t.text, t.size, t.bold), 0.9 * t.size
        x0 = t.x if t.anchor == "start" else t.x - w / 2
        labels.append((x0, x0 + w, t.y - h / 2, t.y + h / 2, t))
    labels.sort(key=lambda t: t[:4])
    for k, a in enumerate(labels):
        assert a[0] >= 0
        assert a[1] <= s.w
        for b in labels[k + 1 :]:
            if b[0] > a[1]:
                break
            assert overlap(a, b) <= 0.5, (a[4].text, b[4].text)
    shapes = {x.key: rectangle(x) for x in [*s.boxes, *s.shapes] if x.key}
    for x0, x1, y0, y1, t in labels:
        if t.of:
            box = shapes[t.of]
            assert x0 >= box[0] - 0.5
            assert x1 <= box[1] + 0.5
            assert y0 >= box[2] - 0.5
            assert y1 <= box[3] + 0.5


@pytest.mark.parametrize("name", [*ARGUMENTS, "straight", "scan", "sparse"])
def test_arrows_go_right_and_up_and_those_of_the_way_back_left(scenes, name):
    right = up = back = count = ways = 0
    for path in scenes[name].placing.paths:
        (x0, y0), (x1, y1) = path.curve[0], path.curve[-1]
        if path.link.kind == "forward":
            count += 1
            right += x1 > x0
            up += y1 <= y0 + 12
        elif path.link.kind == "backward":
            ways += 1
            back += x1 < x0
    assert right >= 0.97 * count
    assert up >= 0.6 * count
    assert back >= 0.95 * ways


@pytest.mark.parametrize("name", ["weight_decay", "mlp", "attention", "lstm"])
def test_the_result_is_in_the_upper_right(scenes, name):
    f, args, nums = ARGUMENTS[name]
    d = wg.draw(f, *args, argnums=nums)
    boxes = scenes[name].placing.boxes
    result = next(n for n in d.nodes if n.role == "result")
    others = [boxes[n.id] for n in d.nodes if n.id in boxes and n.order == 0]
    assert boxes[result.id].x == max(b.x for b in others)
    inputs = [boxes[n.id] for n in d.nodes if n.role == "input" and n.id in boxes]
    assert all(b.x < boxes[result.id].x and b.y > boxes[result.id].y for b in inputs)


@pytest.mark.parametrize("theme", ["light", "dark", "auto"])
def test_svg_is_well_formed_and_needs_nothing_else(theme):
    f, args, nums = ARGUMENTS["mlp"]
    d = wg.draw(f, *args, argnums=nums)
    text = d.svg(theme=theme)
    root = ElementTree.fromstring(text)
    keys = {e.get("data-key") for e in root.iter(f"{SVG}rect")} - {None}
    shown = {n.id for n in d.nodes if n.id in keys}
    assert len(shown) > 30
    rest = text.replace("http://www.w3.org/2000/svg", "")
    assert "http" not in rest
    assert "<script" not in rest
    assert ("prefers-color-scheme" in text) is (theme == "auto")


def luminance(colour):
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    parts = np.where(parts <= 0.03928, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return parts @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("palette", [LIGHT, DARK])
def test_colours_have_contrast(palette):
    """WCAG 2.1: 4.5 for text, 3 for lines."""
    paper = luminance(palette.paper)
    for name, least in (
        ("ink", 7), ("faint", 4.5), ("forward", 4.5), ("backward", 4.5), ("kept", 4.5), ("read", 3),
        ("second", 3),
    ):  # fmt: skip
        found = luminance(getattr(palette, name))
        ratio = (max(found, paper) + 0.05) / (min(found, paper) + 0.05)
        assert ratio >= least, name


@pytest.mark.parametrize("palette", [LIGHT, DARK])
@pytest.mark.parametrize("colour", ["forward", "backward", "again", "second"])
def test_signs_can_be_read_on_the_hottest_circle(palette, colour):
    back = luminance(mixed(palette.paper, getattr(palette, colour), 0.56))
    ink = luminance(palette.ink)
    assert (max(ink, back) + 0.05) / (min(ink, back) + 0.05) >= 4.5


@pytest.mark.parametrize("name", ["weight_decay", "with_bias", "two_nodes", "sin_of_product"])
def test_textbook_pictures_can_be_read_on_a4(scenes, name):
    """Across the page, names have 6 points and shapes and bytes 4."""
    s = scenes[name]
    points = min(1.0, 277 / 25.4 * 96 / s.w, 190 / 25.4 * 96 / s.h) * 72 / 96
    assert 12 * points >= 6
    assert min(t.size for t in s.texts) * points >= 4


def test_passes_differ_without_colours():
    f, args, nums = ARGUMENTS["weight_decay"]
    s = scene(wg.draw(f, *args, argnums=nums))
    dashes = {line.stroke: line.dash for line in s.lines}
    assert len({dashes[kind] for kind in ("forward", "backward", "kept", "read")}) == 4


@pytest.mark.parametrize(("form", "start"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_pictures_of_matplotlib(form, start, tmp_path):
    pytest.importorskip("matplotlib")
    f, args, nums = ARGUMENTS["sin_of_product"]
    for theme in ("light", "dark"):
        path = wg.draw(f, *args, argnums=nums).save(tmp_path / f"graph.{form}", theme=theme)
        assert path.read_bytes().startswith(start)


def test_heat_is_that_of_the_most_expensive():
    f, args, nums = ARGUMENTS["attention"]
    d = wg.draw(f, *args, argnums=nums)
    for heat in ("operations", "time", "bytes"):
        s = scene(d, heat)
        most = max(
            (x for x in s.shapes if x.key in d.by_id), key=lambda x: x.opacity * (x.opacity < 1)
        )
        cost = {
            "operations": lambda n: n.flops, "time": lambda n: n.seconds or 0,
            "bytes": lambda n: n.read + n.written,
        }[heat]  # fmt: skip
        assert cost(d.by_id[most.key]) == max(cost(n) for n in d.nodes)


def test_large_graphs_are_closed_by_function():
    d = wg.draw(stepped, 0.3)
    assert len(d.nodes) > 500
    s = scene(d)
    assert len(s.placing.boxes) < 200
    assert d.opened("for k in range(n)  × 60").svg()
    chain = next(g for g in d.groups if g.kind == "chain")
    assert all(g.closed for g in d.groups if g.parent == chain.id)


def test_many_trips_are_bundled():
    """So that a box that is opened shows some dozens, and a page stays quick."""
    d = wg.draw(stepped, 0.3, n=200)
    children = {}
    for g in d.groups:
        children.setdefault(g.parent, []).append(g)
    assert max(map(len, children.values())) <= 60
    (outer,) = [g for g in d.groups if g.label == "× 196 alike"]
    bundles = children[outer.id]
    assert sum(g.times for g in bundles) == 196
    assert bundles[0].label == "trip 3 … trip 16"
