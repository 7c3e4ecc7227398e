"""The documentation site has every public name, and its links lead to pages."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from tools.docs import hooks

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize("module", ["errors", "testing", "sparse", "chains", "train"])
def test_a_module_has_a_page(module):
    assert f"::: wengert.{module}\n" in (REFERENCE / f"{module}.md").read_text("utf-8")


def test_every_public_name_is_in_the_reference():
    listed = re.findall(
        r"^::: wengert\.(\w+)$", (REFERENCE / "wengert.md").read_text("utf-8"), re.M
    )
    names = importlib.import_module("wengert").__all__
    modules = {"errors", "tree"}  # one has its own page; the functions of the other are listed
    assert sorted(listed) == sorted(set(names) - modules)


def test_what_the_reference_names_exists():
    for page in REFERENCE.glob("*.md"):
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text("utf-8"), re.M):
            try:
                importlib.import_module(name)
            except ModuleNotFoundError:
                module, _, attribute = name.rpartition(".")
                assert hasattr(importlib.import_module(module), attribute), name


@pytest.mark.parametrize(
    ("page", "text", "expected"),
    [
        ("index.md", "[a](docs/cost.md), [b](examples)", "[a](cost.md), [b](examples/index.md)"),
        ("index.md", "[a](docs/guides/fit.md#x)", "[a](guides/fit.md#x)"),
        ("sparse.md", "[a](../examples/kepler.py)", "[a](examples/kepler.md)"),
        ("guides/fit.md", "[a](../../CHANGELOG.md)", "[a](../changelog.md)"),
        ("guides/fit.md", "[a](../sparse.md#way)", "[a](../sparse.md#way)"),
        ("cost.md", "[a](../bench), [b](https://x.org)", "a, [b](https://x.org)"),
        ("cost.md", "```\n[a](../bench)\n```\n[a](../bench)", "```\n[a](../bench)\n```\na"),
        ("cost.md", "`[a](../bench)`, [a](../bench)", "`[a](../bench)`, a"),
        ("cost.md", "[`a` b](../examples)", "[`a` b](examples/index.md)"),
        ("cost.md", "[a](absent.md)", "[a](absent.md)"),  # mkdocs warns of it
    ],
)
def test_links_lead_to_pages(page, text, expected):
    assert hooks.linked(text, page) == expected


@pytest.mark.parametrize(
    ("html", "fetched"),
    [
        ('<script src="https://cdn.org/x.js">', True),
        ('<link rel="stylesheet" href="//fonts.org/x.css">', True),
        ("<link href=https://fonts.org/x.css rel=stylesheet>", True),
        ('<img alt="a" src="http://x.org/y.png">', True),
        ('<a href="https://x.org">', False),
        ('<script src="assets/x.js">', False),
        ('<link rel="next" href="https://x.org">', False),
    ],
)
def test_what_a_browser_would_fetch_is_found(html, fetched):
    assert bool(hooks.FETCHED.findall(html)) == fetched
