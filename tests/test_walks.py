"""Calls pass the functions that the page on architecture names, in its order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tools.walks.__main__ import residuals, rosenbrock
from tools.walks.walk import Walk, walk

import wengert as wg
from wengert.ir import checking

PAGE = Path(__file__).resolve().parents[1] / "docs" / "architecture.md"


def sections() -> dict[str, list[str]]:
    """Return the functions that each section of the page names, in order."""
    found = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        if title.startswith("The life"):
            found[title] = re.findall(r"`([\w.<> ]+:[\w.<>]+)`", text)
    return found


@pytest.fixture(scope="module")
def walks() -> Iterator[dict[str, Walk]]:
    x = np.linspace(0.5, 1.5, 6)
    compiled = wg.jit(wg.grad(rosenbrock))
    checked = checking.turn(False)  # a checked program enters more functions
    yield {
        "The life of `jit(grad(f))(x)`: the first call": walk(compiled, x),
        "The life of `jit(grad(f))(x)`: the second call": walk(compiled, x),
        'The life of `jacobian(f, sparsity="auto")(x)`': walk(
            wg.jacobian(residuals, sparsity="auto", format="csr"), x
        ),
    }
    checking.turn(checked)


def test_the_page_tells_of_these_calls(walks):
    assert set(sections()) == set(walks)
    assert all(len(hops) >= 3 for hops in sections().values())


@pytest.mark.parametrize("title", sections())
def test_a_call_passes_the_functions_of_its_section(walks, title):
    assert walks[title].passes(sections()[title]) is None


def test_the_second_call_is_short(walks):
    second = walks["The life of `jit(grad(f))(x)`: the second call"]
    inside = [hop for hop in second.hops if not hop.startswith("<")]
    assert inside == ["jit.planned_function:PlannedFunction.__call__"]
    assert len(second.hops) <= 3


def test_a_later_call_of_a_sparse_jacobian_is_short():
    x = np.linspace(0.5, 1.5, 6)
    jacobian = wg.jacobian(residuals, sparsity="auto", format="csr")
    checked = checking.turn(False)
    for _ in range(2):  # planned, compiled
        jacobian(x)
    later = walk(jacobian, x)
    checking.turn(checked)
    assert len(later.hops) <= 6


def test_a_walk_out_of_order_is_told():
    found = Walk(["a:f", "b:g", "a:h"])
    assert found.passes(["a:f", "a:h"]) is None
    assert found.passes(["b:g", "a:f"]) == "a:f"
    assert found.modules == 2
