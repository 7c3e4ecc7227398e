"""In the tables of docs/coming-from, both columns of a row give the same value.

A page defines its functions twice: in a block of Python for wengert, and in one with the peer's
name as its title. A cell holds lines of code, of which the last is an expression; what follows them
in the cell is not evaluated.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import scipy.sparse

PAGES = sorted((Path(__file__).resolve().parents[1] / "docs" / "coming-from").glob("[!i]*.md"))
BLOCK = re.compile(r'^```python(?: title="(\w+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
CODE = r"(`[^`|]+`(?:<br>`[^`|]+`)*)"
ROW = re.compile(rf"^\| {CODE}[^|]* \| {CODE}[^|]* \|$", re.MULTILINE)


class Page(NamedTuple):
    setup: str
    peer: str
    peers_setup: str
    rows: list[tuple[str, str]]


def read(path: Path) -> Page:
    text = path.read_text("utf-8")
    blocks = dict(BLOCK.findall(text))
    ((peer, peers_setup),) = ((title, code) for title, code in blocks.items() if title)
    rows = [row for row in ROW.findall(text) if row[0] != "`torch.func`"]  # the head of a table
    return Page(blocks[""], peer, peers_setup, rows)


def evaluate(setup: str, cell: str) -> Any:
    scope: dict[str, Any] = {}
    exec(setup, scope)
    *statements, expression = cell.strip("`").split("`<br>`")
    for statement in statements:
        exec(statement, scope)
    return eval(expression, scope)


def arrays(tree: Any) -> list[np.ndarray]:
    """Return the leaves of a result as arrays."""
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in arrays(part)]
    if scipy.sparse.issparse(tree):
        return [tree.toarray()]
    if hasattr(tree, "detach"):
        return [tree.detach().numpy()]
    return [np.asarray(tree)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_row_is_read(path):
    rows = [line for line in path.read_text("utf-8").splitlines() if line.startswith("| ")]
    heads = path.read_text("utf-8").count("|---|---|")
    assert len(read(path).rows) == len(rows) - heads > 10


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_our_column_gives_values(path):
    page = read(path)
    for _, ours in page.rows:
        for leaf in arrays(evaluate(page.setup, ours)):
            assert leaf.dtype.kind in "fcbi", ours


@pytest.fixture
def settings_restored():
    """Take back what the pages set: double precision."""
    yield
    if jax := sys.modules.get("jax"):
        jax.config.update("jax_enable_x64", False)
    if torch := sys.modules.get("torch"):
        torch.set_default_dtype(torch.float32)


@pytest.mark.peers
@pytest.mark.usefixtures("settings_restored")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the peers' own
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_both_columns_give_the_same(path):
    page = read(path)
    pytest.importorskip(page.peer)
    for theirs, ours in page.rows:
        expected = arrays(evaluate(page.peers_setup, theirs))
        got = arrays(evaluate(page.setup, ours))
        if page.peer == "casadi":  # where all are matrices
            expected, got = ([np.ravel(np.squeeze(a)) for a in part] for part in (expected, got))
        assert [a.shape for a in got] == [a.shape for a in expected], ours
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12, err_msg=f"{theirs}, {ours}")
