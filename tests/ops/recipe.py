"""A plugin of pytest that carries out CONTRIBUTING's recipe for an elementwise function.

It adds the row and the entry of the table of tests that the recipe prints, before tests are
collected. So the tests that are generated from tables try the new row as all others.
"""

from __future__ import annotations

import re
from pathlib import Path

import tail_cases

from wengert.ops import special

PAGE = Path(__file__).resolve().parents[2] / "CONTRIBUTING.md"


def printed() -> tuple[str, str]:
    """Return the line of the source and the entry of the tests that the recipe prints."""
    text = PAGE.read_text(encoding="utf-8")
    (row,) = re.findall(r"^exp1 = special\(.*\)$", text, re.MULTILINE)
    (entry,) = re.findall(r'^"exp1": Tail\(.*?\),$', text, re.MULTILINE | re.DOTALL)
    return row, entry


def carry_out() -> None:
    """Add what the recipe adds."""
    row, entry = printed()
    exec(row, vars(special))
    tail_cases.UNARY.update(eval(f"{{{entry}}}", vars(tail_cases)))


def pytest_configure() -> None:
    """Add it before tests are collected."""
    carry_out()
