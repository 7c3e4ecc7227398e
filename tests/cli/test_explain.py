"""``wengert explain`` and ``wengert draw``: tables, pages and pictures of FILE.py:FUNCTION."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from wengert.drawing.files import ENDINGS

SOURCE = """
import numpy as np
import wengert as wg

def loss(w, x, *, power=2):
    z = np.tanh(x @ w)
    return np.sum(z * z) + np.sum(w ** power)

def several(x):
    return np.sin(x) * x

def breaks(x):
    return np.sum(x @ np.ones(7))

def raises(x):
    raise RuntimeError("no such place")

gradient = wg.grad(loss)
matrix = wg.jacobian(lambda x: x[1:] * x[:-1], sparsity="auto")
"""
AT = ("--at", "np.ones((3, 2))", "--at", "np.ones((5, 3))")
NAMED = ("--at", "x=np.ones((5, 3))", "--at", "w=np.ones((3, 2))", "--at", "power=3.0")
ONE = ("--at", "np.ones(4)")
PEAK = ("--peak", "1e9,1e9")


@pytest.fixture
def cli(wengert, tmp_path):
    (tmp_path / "model.py").write_text(SOURCE)
    return wengert


def refused(result, *parts):
    code, out, err = result
    assert (code, out) == (2, "")
    assert re.match("wengert (explain|draw): ", err)
    for part in parts:
        assert part in err, err


# --- explain --------------------------------------------------------------------------------------
def test_tables_and_page(cli):
    code, out, err = cli("explain", "model.py:loss", *AT, *PEAK)
    assert (code, err) == (0, "")
    for part in (
        "cost of loss", "cheap gradient principle", "least time:", "by operation", "by line",
        "model.py:6", "z = np.tanh(x @ w)", "kept for the derivative", "residual",
        "plan of loss(f64[3,2], f64[5,3])", "native backend", "backward of", "page: loss.html\n",
    ):  # fmt: skip
        assert part in out, part
    text = Path("loss.html").read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>")
    for part in ("Cost", "Memory", "Plan", "<svg", "z = np.tanh(x @ w)", "contract"):
        assert part in text, part
    assert len(text.encode()) < 1_000_000


@pytest.mark.parametrize(
    ("function", "arguments"),
    [("loss", NAMED), ("loss", (*AT, "--argnums", "0,1")), ("loss", (*AT, "--argnums", "none")),
     ("several", ONE), ("gradient", AT)],
)  # fmt: skip
def test_kinds_of_functions(cli, function, arguments):
    code, out, err = cli("explain", f"model.py:{function}", *arguments, *PEAK)
    assert (code, err) == (0, "")
    assert out.endswith(f"page: {function}.html\n")


def test_a_sparse_matrix(cli):
    code, out, err = cli("explain", "model.py:matrix", "--at", "np.linspace(1, 2, 6)")
    assert (code, err) == (0, "")
    for part in ("plan of jacobian", "5 x 6, 10 nonzeros", "way: ", "operations", "page:"):
        assert part in out, part
    assert any("\u2800" < c < "\u28ff" for c in out)  # the pattern, in braille
    text = Path("matrix.html").read_text(encoding="utf-8")
    assert "5 x 6, 10 nonzeros" in text
    assert "Plan" in text


def test_a_page_is_replaced_and_other_files_are_not(cli):
    run = lambda *more: cli("explain", "model.py:several", *ONE, *PEAK, *more)  # noqa: E731
    assert run()[0] == run()[0] == 0
    Path("several.html").write_text("my own notes")
    refused(
        run(), "several.html: is there already and is no page of wengert explain", "-o FILE.html"
    )
    assert Path("several.html").read_text() == "my own notes"
    assert run("-o", "several.html")[0] == 0
    assert "my own notes" not in Path("several.html").read_text()


def test_pages_that_cannot_be_written(cli):
    run = lambda place: cli("explain", "model.py:several", *ONE, *PEAK, "-o", place)  # noqa: E731
    refused(run("page.svg"), "-o page.svg: the page is HTML", "wengert draw -o page.svg")
    code, _, err = run("no/where.html")
    assert code == 2
    assert "no/where.html: cannot be written (No such file or directory)" in err


@pytest.mark.parametrize("command", ["explain", "draw"])
def test_input_that_is_wrong(cli, command):
    run = lambda *arguments: cli(command, *arguments, "-o", "f.html")  # noqa: E731
    refused(run("model.py"), "name the file and the function")
    refused(run("nowhere.py:f", *ONE), "nowhere.py: there is no such file")
    refused(run("model.py:lost", *ONE), "has no function 'lost'; it defines loss, several")
    refused(run("model.py:loss"), "one --at for each argument", "loss takes w, x")
    refused(run("model.py:loss", "--at", "np.oness(3)"), "--at 'np.oness(3)': AttributeError")
    refused(run("model.py:loss", *AT, "--at", "q=1"), "there is no argument 'q'")
    refused(run("model.py:breaks", *ONE), "(4,)", "(7,)", "np.sum(x @ np.ones(7))")
    refused(run("model.py:raises", *ONE), "raised RuntimeError: no such place, at", "model.py:16")
    refused(run("model.py:loss", *AT, "--argnums", "7"), "argnums")
    assert not Path("f.html").exists()


# --- draw -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("ending", [e for e in ENDINGS if e not in (".png", ".pdf")])
def test_every_ending(cli, ending):
    code, out, err = cli("draw", "model.py:loss", *AT, "-o", f"graph{ending}")
    assert (code, err) == (0, "")
    assert out.startswith(f"drawing: graph{ending} (")
    assert "operators" in out
    assert Path(f"graph{ending}").stat().st_size > 100


def test_options_of_pictures(cli):
    draw = lambda *more: cli("draw", "model.py:loss", *NAMED, *more)  # noqa: E731
    assert (
        draw("-o", "a.svg")[0] == draw("-o", "b.svg", "--theme", "dark", "--heat", "time")[0] == 0
    )
    assert Path("a.svg").read_text() != Path("b.svg").read_text()
    refused(draw("-o", "a.dot", "--theme", "dark"), "--theme: only for pictures", "not for .dot")
    assert draw("-o", "alone.txt", "--argnums", "none")[0] == 0
    assert draw("-o", "both.txt", "--every")[0] == 0
    assert len(Path("both.txt").read_text()) > len(Path("alone.txt").read_text())


def test_drawings_that_cannot_be_written(cli):
    draw = lambda *more: cli("draw", "model.py:loss", *AT, *more)  # noqa: E731
    refused(draw("-o", "graph.bmp"), "its ending says no format", ".svg", ".mmd")
    refused(draw("-o", "graph"), "its ending says no format")
    refused(
        draw("-o", "no/graph.svg"), "no/graph.svg: cannot be written (No such file or directory)"
    )
    code, _, err = draw()
    assert code == 2
    assert "-o" in err


def test_without_matplotlib(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    refused(cli("draw", "model.py:loss", *AT, "-o", "graph.png"), "matplotlib", "wengert[plot]")
    assert cli("draw", "model.py:loss", *AT, "-o", "graph.svg")[0] == 0
