"""CONTRIBUTING's recipe for an elementwise function is all that it takes."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import recipe
import scipy.special as sp
import tail_cases

import wengert as wg
from wengert.ops import rows
from wengert.ops.base import TABLE

TESTS = Path(__file__).resolve().parents[1]
GENERATED = (
    *("ops/test_table.py", "ops/test_tails.py", "ops/test_blocks.py", "ops/test_as_function.py"),
    *("backend/test_native.py", "linear/test_accumulate.py", "sparse/detection/test_detect.py"),
)
"""Tests that are generated from the operation table, or from the table that the recipe adds to."""


@pytest.fixture
def carried_out():
    tables = (TABLE, rows.UFUNCS, tail_cases.UNARY)
    before = [dict(table) for table in tables]
    recipe.carry_out()
    yield
    for table, content in zip(tables, before, strict=True):
        table.clear()
        table.update(content)


def test_the_row_is_one_line_and_its_test_one_entry() -> None:
    row, entry = recipe.printed()
    assert row.count("\n") == 0
    assert entry.count("Tail(") == 1
    assert "exp1" not in TABLE


def test_generated_tests_pass_for_the_new_row() -> None:
    """In a process of its own: values, both modes, second order, batches, native code, patterns."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "recipe", "-p", "no:cacheprovider"]
    command += ["-n", "0", "-k", "exp1", *(str(TESTS / name) for name in GENERATED)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=TESTS.parent,
        env=with_path(TESTS / "ops"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) passed", done.stdout)
    assert found is not None
    assert int(found.group(1)) >= 50, done.stdout[-500:]


def with_path(folder: Path) -> dict[str, str]:
    found = dict(os.environ)
    found["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [found.get("PYTHONPATH")])])
    return found


X = np.array([0.3, 0.9, 2.2])


@pytest.mark.usefixtures("carried_out")
def test_all_that_follows_from_the_row() -> None:
    """Beside what tables of tests know: programs, costs, sparse matrices and the page."""
    slope = -np.exp(-X) / X
    np.testing.assert_allclose(wg.grad(lambda x: np.sum(sp.exp1(x)))(X), slope, rtol=1e-14)
    np.testing.assert_allclose(wg.vmap(wg.grad(sp.exp1))(X), slope, rtol=1e-14)
    for backend in ("native", "numpy"):
        f = wg.jit(wg.value_and_grad(lambda x: np.sum(sp.exp1(x))), backend=backend)
        value, found = f(X)
        np.testing.assert_allclose(found, slope, rtol=1e-14)
        np.testing.assert_allclose(value, sp.exp1(X).sum(), rtol=1e-14)
    plan = wg.jit(wg.grad(lambda x: np.sum(sp.exp1(x) ** 2))).plan(X)
    assert plan.host_calls == {"exp1": 1}
    made = wg.jacobian(sp.exp1, sparsity="auto", format="csr")(X)
    np.testing.assert_allclose(made.toarray(), np.diag(slope), rtol=1e-14)
    assert made.nnz == 3
    cost, like = wg.count(sp.exp1, X), wg.count(sp.erfc, X)
    assert cost.by_kind == like.by_kind
    assert cost.by_op == {"exp1": like.by_op["erfc"]}
    assert "exp1" in page()


def page() -> str:
    """Return the list of functions that the documentation would have."""
    written = runpy.run_path(str(TESTS.parent / "docs" / "make_numpy.py"))
    return str(written["page"]())
