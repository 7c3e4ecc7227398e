"""Tables on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from wengert.report.terminal import show_lines, show_table

HEAD = ("operation", "count", "line", "source")
ROWS = [
    ("contract", "1,234,567", "model.py:12", "z = np.tanh(x @ w + b) * np.sum(np.exp(x), axis=-1)"),
    ("sum", "8", "model.py:13", "return np.sum(z)"),
]


def printed(width, terminal, *arguments, **options):
    file = io.StringIO()
    console = Console(file=file, width=width, force_terminal=terminal, color_system=None)
    show_table(console, *arguments, **options)
    return file.getvalue()


def test_a_file_gets_whole_plain_lines():
    text = printed(40, False, "by line", HEAD, ROWS, left=(0, 2, 3))
    assert text.splitlines() == [
        "by line",
        "operation      count  line         source",
        f"contract   1,234,567  model.py:12  {ROWS[0][3]}",
        f"sum                8  model.py:13  {ROWS[1][3]}",
        "",
    ]


@pytest.mark.parametrize("width", [30, 60, 80, 120, 200])
def test_a_terminal_gets_lines_that_fit(width):
    text = printed(width, True, "by line", HEAD, ROWS, left=(0, 2, 3))
    assert all(len(line) <= width for line in text.splitlines())
    assert "1,234,567" in text  # numbers are never cut
    assert ("model.py:12" in text) == (width > 30)
    assert (ROWS[0][3] in text) == (width == 120 or width == 200)
    if width == 80:
        assert "z = np.tanh(x @ w" in text
        assert "…" in text


def test_two_columns_fold():
    rows = [("check", "passed in 2,000 of 50,826 entries, which were drawn by chance")]
    text = printed(40, True, "results", (), rows, left=(0, 1))
    assert "…" not in text
    assert "chance" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_no_rows_no_table(terminal):
    assert printed(80, terminal, "loops", HEAD, []) == ""


def test_lines_are_folded_on_a_terminal_only():
    words = "word " * 30
    for terminal, folded in ((True, True), (False, False)):
        file = io.StringIO()
        show_lines(Console(file=file, width=40, force_terminal=terminal), [words.strip()])
        assert (len(file.getvalue().splitlines()) > 1) == folded
