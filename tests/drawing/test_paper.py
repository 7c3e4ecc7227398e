"""Pictures on sheets of paper: legible, whole, and every line that is cut goes on."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from examples import drawn, straight

import wengert as wg
from wengert.drawing.paper import EDGE, GRID, sheets
from wengert.drawing.scene import graph
from wengert.drawing.shapes import width_of
from wengert.errors import InputError

WIDE = ["mlp", "lstm", "attention", "two_nodes", "with_bias", "hessian", "straight"]


@pytest.fixture(scope="module")
def drawings():
    found = {name: drawn(name) for name in WIDE if name != "straight"}
    return found | {"straight": wg.draw(straight(24), np.ones(3))}


@pytest.fixture(scope="module")
def printed(drawings):
    return {name: sheets(d, "A4") for name, d in drawings.items()}


@pytest.mark.parametrize("name", WIDE)
def test_everything_is_on_a_sheet_once(drawings, printed, name):
    want = Counter(s.key for s in graph(drawings[name]).shapes if s.key)
    found = Counter(s.key for page in printed[name] for s in page.scene.shapes if s.key)
    assert found == want
    want = Counter(t.text for t in graph(drawings[name]).texts if t.of in found)
    found = Counter(t.text for page in printed[name] for t in page.scene.texts if t.of in found)
    assert found == want


@pytest.mark.parametrize("name", WIDE)
def test_names_have_six_points(printed, name):
    """And shapes and bytes 4, within the margins of the page."""
    for page in printed[name]:
        points = page.scale * 72 / 96
        assert 12 * points >= 6
        assert min(t.size for t in page.scene.texts) * points >= 4
        edge = EDGE * GRID / page.scale - 0.5
        assert page.scene.w * page.scale == pytest.approx(page.w * GRID)
        for s in page.scene.shapes:
            assert edge <= s.x - s.w / 2
            assert s.x + s.w / 2 <= page.scene.w - edge
            assert edge <= s.y - s.h / 2
            assert s.y + s.h / 2 <= page.scene.h - edge


@pytest.mark.parametrize("name", WIDE)
def test_labels_do_not_overlap(printed, name):
    for page in printed[name]:
        labels = []
        for t in page.scene.texts:
            w, h = width_of(t.text, t.size, t.bold), 0.9 * t.size
            x = t.x if t.anchor == "start" else t.x - w / 2
            labels.append((x, x + w, t.y - h / 2, t.y + h / 2, t.text))
        labels.sort()
        for k, a in enumerate(labels):
            for b in labels[k + 1 :]:
                if b[0] > a[1]:
                    break
                assert min(a[1], b[1]) - max(a[0], b[0]) <= 0.5 or (
                    min(a[3], b[3]) - max(a[2], b[2]) <= 0.5
                ), (a[4], b[4])


@pytest.mark.parametrize("name", ["mlp", "lstm", "attention"])
def test_a_line_that_is_cut_goes_on_at_its_number(printed, name):
    numbers = Counter(
        t.text for page in printed[name] for t in page.scene.texts if re.fullmatch(r"\d+", t.text)
        and t.size == 8.5
    )  # fmt: skip
    assert len(numbers) > 5
    assert set(numbers.values()) == {2}


def test_a_picture_that_fits_is_not_cut(printed):
    for name in ("with_bias", "two_nodes"):
        (page,) = printed[name]
        assert page.w > page.h  # across
        assert not any(t.size == 8.5 for t in page.scene.texts)


def test_the_first_strip_is_below_the_second(drawings, printed):
    d = drawings["attention"]
    a = next(n.id for n in d.nodes if n.label == "X")
    b = next(n.id for n in d.nodes if n.role == "result")
    pages = [{s.key: s for s in page.scene.shapes} for page in printed["attention"]]
    (first,) = [k for k, page in enumerate(pages) if a in page]
    (last,) = [k for k, page in enumerate(pages) if b in page]
    assert first < last or pages[first][a].y > pages[last][b].y


def test_svg_has_the_size_of_its_sheets(drawings):
    text = drawings["mlp"].svg(paper="a4", equations=True)
    w, h = re.search(r'width="([\d.]+)mm" height="([\d.]+)mm"', text).groups()
    assert float(w) in (210, 297)
    assert float(h) % (507 - float(w)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("form", ["png", "pdf"])
def test_matplotlib_writes_the_sheets(drawings, printed, form, tmp_path):
    pytest.importorskip("matplotlib")
    path = drawings["attention"].save(tmp_path / f"graph.{form}", paper="A4")
    data = path.read_bytes()
    if form == "pdf":
        assert len(re.findall(rb"/Type /Page\b", data)) == len(printed["attention"])
        box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", data).groups()
        want = [printed["attention"][0].w, printed["attention"][0].h]
        assert [float(x) / 72 * 25.4 for x in box] == pytest.approx(want, rel=1e-3)
    else:
        assert data.startswith(b"\x89PNG")


def test_an_unknown_paper_lists_those_that_are_known(drawings):
    with pytest.raises(InputError, match=r"paper='A9' is not known; write one of: 'A4', 'A3'"):
        drawings["mlp"].svg(paper="A9")
