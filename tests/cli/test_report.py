"""``wengert report RUN``: the page of a training run."""

from __future__ import annotations

import html.parser
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from wengert.cli.main import main
from wengert.report.training import read_run

QUICK = ["--hidden", "8,5", "--epochs", "5", "--batch", "20", "--lr", "0.02", "--no-report"]
PEAK = ("--peak", "1e11,1e10")
VOID = {"meta", "link", "br", "path", "rect", "polyline", "polygon", "circle"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Train a classifier, a regression and one without validation, each in a folder, once."""
    place = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 3))
    kind = np.where(x.sum(axis=1) > 0, "up", "down")
    lines = [f"{a},{b},{c},{k}" for (a, b, c), k in zip(x, kind, strict=True)]
    kinds, numbers = place / "kinds.csv", place / "numbers.csv"
    kinds.write_text("\n".join(["a,b,c,label", *lines]) + "\n", encoding="utf-8")
    np.savetxt(numbers, x, delimiter=",", header="a,b,c", comments="")
    for name, data, target, more in (
        ("run", kinds, "label", ()),
        ("regression", numbers, "a", ()),
        ("blind", kinds, "label", ("--validation", "0")),
    ):
        arguments = ["--data", data, "--target", target, *QUICK, *more, "--out", place / name]
        assert main(["train", *map(str, arguments)]) == 0
    kinds.unlink()  # a report does not need them
    numbers.unlink()
    return place


@pytest.fixture
def run(wengert, folders, tmp_path, capsys):
    """Copy the runs into the test's folder; return the command line."""
    for folder in folders.iterdir():
        shutil.copytree(folder, tmp_path / folder.name)
    (tmp_path / "points.csv").touch()
    capsys.readouterr()
    return wengert


class Page(html.parser.HTMLParser):
    """The elements of a page, its texts by element, and whether all are closed."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.texts = [], [], {}
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.open and data.strip():
            self.texts.setdefault(self.open[-1], []).append(data.strip())


def refused(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("wengert report: ")
    assert err.count("\n") == 1, err
    for part in parts:
        assert part in err


def test_the_page_has_all_of_the_run(run):
    code, out, err = run("report", "run", *PEAK)
    assert (code, out, err) == (0, "report: run/report.html\n", "")
    text = Path("run/report.html").read_text(encoding="utf-8")
    page = Page(text)
    headings = page.texts["h2"]
    for name in ("Loss and accuracy", "Results and settings", "Costs", "Memory", "Throughput"):
        assert name in headings
    summary = json.loads(Path("run/summary.json").read_text())
    assert f"{summary['test']['accuracy']:.2%}" in page.texts["dd"]
    assert "3 - 8 - 5 - 2" in page.texts["td"]
    assert f"{3 * 8 + 8 + 8 * 5 + 5 + 5 * 2 + 2:,}" in page.texts["td"]
    assert any("model.py:" in t for t in page.texts["th"])  # the lines of the network
    assert len(text.encode()) < 1_000_000


def test_the_page_asks_for_nothing(run):
    run("report", "run", *PEAK)
    text = Path("run/report.html").read_text(encoding="utf-8")
    page = Page(text)
    places = [
        v for _, a in page.elements for k, v in a.items() if k in ("src", "href", "xlink:href")
    ]
    assert all(v.startswith(("#", "data:")) for v in places)
    assert not re.search(r"url\((?!#|&quot;#|data:)", text)
    assert "@import" not in text
    names = set(re.findall(r"https?://[^\"'<>& ]+", text))
    assert names <= {"http://www.w3.org/2000/svg"}


def test_the_page_is_accessible(run):
    run("report", "run", *PEAK)
    page = Page(Path("run/report.html").read_text(encoding="utf-8"))
    tags = [tag for tag, _ in page.elements]
    assert tags.count("h1") == tags.count("main") == 1
    (html_,) = [a for tag, a in page.elements if tag == "html"]
    assert html_["lang"] == "en"
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for tag, a in page.elements if tag == "a"]
    assert set(targets) <= set(ids)
    for tag, attributes in page.elements:
        if tag == "svg":
            assert attributes["role"] == "img"
        if tag == "th":
            assert attributes["scope"] in ("row", "col")
    assert len(page.texts["title"]) > tags.count("svg")  # each drawing has a name


def test_another_file(run):
    code, out, _ = run("report", "run", "-o", "page.html", *PEAK)
    assert (code, out) == (0, "report: page.html\n")
    assert not Path("run/report.html").exists()
    refused(
        run("report", "run", "-o", "no/where/page.html", *PEAK),
        "no/where/page.html: cannot be written",
    )


def test_a_run_that_was_interrupted(run):
    Path("run/summary.json").unlink()
    assert run("report", "run", *PEAK)[0] == 0
    text = Path("run/report.html").read_text(encoding="utf-8")
    assert "has not been finished" in text
    assert "validation accuracy" in text


def test_regression(run):
    assert run("report", "regression", *PEAK)[0] == 0
    text = Path("regression/report.html").read_text(encoding="utf-8")
    assert "test R²" in text
    assert "root mean squared error" in text


def test_without_validation(run):
    assert run("report", "blind", *PEAK)[0] == 0
    page = Page(Path("blind/report.html").read_text(encoding="utf-8"))
    assert "nan" not in page.texts["td"]


def test_folders_that_are_no_run(run, tmp_path):
    refused(run("report", "nowhere"), "nowhere: there is no such folder", "runs/DATA-001")
    Path("empty").mkdir()
    refused(run("report", "empty"), "empty: holds no run (no config.json)")
    refused(run("report", "points.csv"), "holds no run")
    Path("fresh").mkdir()
    shutil.copy("run/config.json", "fresh")
    refused(run("report", "fresh"), "no epoch of this run was finished", "--out fresh --resume")
    Path("run/weights.npz").unlink()
    refused(run("report", "run"), "weights.npz: is missing", "--resume")
    np.savez("run/weights.npz", w0=np.ones(3), b0=np.ones(2), classes=np.array([]))
    refused(
        run("report", "run"), "weights.npz: cannot be read as weights (the arrays are no layers)"
    )
    Path("run/weights.npz").write_text("nothing")
    refused(run("report", "run"), "weights.npz: cannot be read as weights")


def test_a_summary_that_is_damaged(run):
    Path("run/summary.json").write_text("[1]")
    refused(run("report", "run"), "summary.json: cannot be read as the results of a run")


def test_what_a_run_tells(run):
    found = read_run(Path("run"))
    assert found.sizes == (3, 8, 5, 2)
    assert found.classification
    assert [m.epoch for m in found.history] == [1, 2, 3, 4, 5]
    objective, (layers, x, y) = found.step
    assert x.shape == (20, 3)
    assert y.shape == (20, 2)
    assert np.isfinite(objective(layers, x, y))
