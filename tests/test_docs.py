"""Every code block of the documentation runs, and prints what the documentation says.

The ```python blocks of a file are run in order, in one namespace; a ```text block that follows one
is what it prints. Numbers may differ in their last digits, and ``...`` stands for anything. A block
that begins with ``# NAME.py`` is written to that file too. A block whose title names another
library is run by ``test_coming_from.py``. Of ```console blocks, lines that begin with ``$ wengert``
are run, and the line below one is the first line that it prints.
"""

from __future__ import annotations

import contextlib
import io
import linecache
import re
import shlex
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from wengert.cli import main as cli
from wengert.jit import jitted as compilation
from wengert.ops import base, elementwise
from wengert.orders import search
from wengert.trace import dispatch

ROOT = Path(__file__).resolve().parents[1]
FILES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```([^\n]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PEERS = {
    "coming-from/autograd": "autograd",
    "coming-from/casadi": "casadi",
    "coming-from/jax": "jax",
    "coming-from/pytorch": "torch",
}
NEEDS = {"reports": "matplotlib", "pandas": "pandas"}
NUMBER = re.compile(r"[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?")
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix().removeprefix("docs/").removesuffix(".md")


class Block(NamedTuple):
    kind: str
    code: str
    line: int


def blocks(text: str) -> list[Block]:
    return [
        Block(m.group(1), m.group(2), text.count("\n", 0, m.start()) + 1)
        for m in BLOCK.finditer(text)
    ]


def assert_same_text(got: str, expected: str, place: str) -> None:
    """Compare text exactly up to white space, and numbers up to rounding."""
    got, expected = (" ".join(s.replace("[ ", "[").split()) for s in (got, expected))
    pattern = ".*".join(NUMBER.sub("#", part).translate(ESCAPES) for part in expected.split("..."))
    shape = re.fullmatch(pattern, NUMBER.sub("#", got))
    assert shape, f"{place}\nprinted:\n{got}\nexpected:\n{expected}"
    if "..." in expected:
        return
    numbers = [
        [float(n.replace(",", "").rstrip(".") or 0) for n in NUMBER.findall(s)]
        for s in (got, expected)
    ]
    np.testing.assert_allclose(*numbers, rtol=1e-6, atol=1e-12, err_msg=place)


ESCAPES = {ord(c): "\\" + c for c in r"\.^$*+?{}[]|()"}


@pytest.fixture
def tables_restored():
    """Take out again what the recipes add."""
    tables = (
        base.TABLE,
        elementwise.UFUNCS,
        dispatch.FUNCTIONS,
        compilation.BACKENDS,
        search.METHODS,
    )
    before = [dict(table) for table in tables]
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


@pytest.mark.usefixtures("tables_restored")
@pytest.mark.parametrize("path", FILES, ids=name)
def test_code_of(path, tmp_path, monkeypatch):
    if name(path) in NEEDS:
        pytest.importorskip(NEEDS[name(path)])
    monkeypatch.chdir(tmp_path)
    scope = {"__name__": f"docs_{path.stem}"}
    found = blocks(path.read_text(encoding="utf-8"))
    for i, block in enumerate(found):
        place = f"{path.name}, line {block.line}"
        if block.kind == "python":
            printed = run_python(block, path, scope)
            if i + 1 < len(found) and found[i + 1].kind == "text":
                assert_same_text(printed, found[i + 1].code, place)
        elif block.kind == "console":
            run_console(block, place)
        elif block.kind != f'python title="{PEERS.get(name(path))}"':
            assert block.kind in ("text", "bibtex"), f"{place}: a block of kind {block.kind}"


def run_python(block: Block, path: Path, scope: dict[str, object]) -> str:
    first = block.code.partition("\n")[0]
    name = re.fullmatch(r"# (\w+\.py)", first)
    if name:
        Path(name.group(1)).write_text(block.code, encoding="utf-8")
    lines = "\n" * block.line + block.code  # so that an error shows the line of the document
    file = f"{path.name}:{block.line}"
    linecache.cache[file] = (len(lines), None, lines.splitlines(keepends=True), file)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(lines, file, "exec"), scope)
    return printed.getvalue()


def run_console(block: Block, place: str) -> None:
    lines = block.code.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if not line.startswith("$ wengert "):
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            assert cli.main(shlex.split(line, comments=True)[2:]) == 0, f"{place}: {line}"
        if below and not below.startswith("$"):
            assert_same_text(printed.getvalue().splitlines()[0], below, place)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_links_of(path):
    text = CODE.sub("", BLOCK.sub("", path.read_text(encoding="utf-8")))
    for target in LINK.findall(text):
        if not target.startswith(("http:", "https:")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_numbers_are_compared():
    assert_same_text("a [ 1.00000001  2.]", "a [1. 2.]", "")
    assert_same_text("x = 3, file q:12", "x = 3, ...", "")
    for wrong in ("a 1.1", "b 1.0", "a 1.0 2"):
        with pytest.raises(AssertionError):
            assert_same_text(wrong, "a 1.0", "")
