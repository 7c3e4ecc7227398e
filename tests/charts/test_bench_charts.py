"""The charts of docs/benchmarks.md say what its tables say."""

from __future__ import annotations

import pytest
from bench import charts

DRAWN = charts.drawn()


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart_is_that_of_the_table(name):
    path = charts.FOLDER / name
    assert path.exists(), "run `python bench/charts.py`"
    assert path.read_text(encoding="utf-8") == DRAWN[name], "run `python bench/charts.py`"
    assert f"(charts/{name})" in charts.PAGE.read_text(encoding="utf-8")
    assert len(DRAWN[name]) < 20_000


def test_there_are_no_others():
    assert {path.name for path in charts.FOLDER.iterdir()} == set(DRAWN)


def test_tables_are_read():
    text = """
## Speed: `bench/fast.py`

| a | b, c |
|---|---|
| one | 2 us, 3 ms |
| | - |

| x |
|---|
| 1 |
"""
    found = charts.tables(text)["fast"]
    assert found[0] == [["a", "b, c"], ["one", "2 us, 3 ms"], ["one", "-"]]
    assert found[1] == [["x"], ["1"]]


@pytest.mark.parametrize(
    ("text", "value"),
    [("1,024 us", 1.024e-3), ("2.5 s", 2.5), ("(1.5)", 1.5), ("-", None), ("over 25 s", None)],
)
def test_numbers_are_read(text, value):
    assert charts.number(text) == (None if value is None else pytest.approx(value))


def test_ratios_of_cells():
    row = ["f", "2 ms, 4 us", "6 ms, 2 us"]
    assert charts.ratio(2, 1)(row) == pytest.approx(3)
    assert charts.ratio(2, 1, 1)(row) == pytest.approx(0.5)
    assert charts.ratio(2, 1, 2)(row) is None
    assert charts.ratio(9, 1)(row) is None


def test_every_table_has_a_chart():
    found = charts.tables(charts.PAGE.read_text(encoding="utf-8"))
    drawn = {(c.script, c.table) for c in charts.CHARTS.values()} | {("memory", 0)}
    assert {(script, k) for script, rows in found.items() for k in range(len(rows))} == drawn


def test_numbers_in_brackets():
    assert charts.bracket(1)(["f", "1.99 ms (1.5)"]) == 1.5
    assert charts.bracket(1)(["f", "-"]) is None
    assert charts.inverse(1)(["f", "0.5"]) == 2
