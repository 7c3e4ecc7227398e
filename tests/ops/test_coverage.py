"""The page of what each function does is what trying each function gives."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
ROW = re.compile(r"^\| `(.+?)` \|", re.MULTILINE)


def test_every_function_has_a_row():
    made = runpy.run_path(str(DOCS / "make_coverage.py"))
    rows = ROW.findall((DOCS / "coverage.md").read_text(encoding="utf-8"))
    assert rows == list(made["cases"]()), "run python docs/make_coverage.py"
    assert len(rows) > 300


@pytest.mark.slow
def test_the_page_is_what_trying_gives():
    made = runpy.run_path(str(DOCS / "make_coverage.py"))
    page = (DOCS / "coverage.md").read_text(encoding="utf-8")
    assert page == made["page"](), "run python docs/make_coverage.py"
    refused = [line for line in page.splitlines() if "| no |" in line or line.endswith("no |")]
    assert refused == []
