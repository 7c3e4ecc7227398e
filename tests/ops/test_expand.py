"""Rows that are written with others compute the same, and nothing of them is left."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import CASES

from wengert.ir.build import Builder, evaluate
from wengert.ir.verify import verify
from wengert.llvm.code import TYPES
from wengert.ops.base import TABLE
from wengert.ops.expand import EXPANSIONS, expanded, expansion

FOLDED = ("sum", "prod", "any", "all", "max", "min")
GIVEN = [(name, x, {}) for name in FOLDED for x in (2.5, np.float32(0.0), np.True_)]
GIVEN = [(name, x, {"axis": (), "keepdims": False}) for name, x, _ in GIVEN]
GIVEN += [
    (name, np.array([[True, False], [False, False]]), {"axis": (axis,), "keepdims": True})
    for name in ("max", "min")
    for axis in (0, 1)
]
GIVEN += [
    (name, case.args()[0], case.attrs)
    for name in EXPANSIONS
    for case in CASES[name]
    if case.args()[0].dtype in TYPES
]


@pytest.mark.parametrize(("name", "x", "attrs"), GIVEN, ids=lambda x: x if type(x) is str else "")
def test_what_is_expanded_computes_the_same(name, x, attrs):
    b = Builder()
    graph = b.finish([b.add(TABLE[name], b.input(x), **attrs)])
    found = verify(expanded(graph, TYPES))
    assert all(expansion(node, TYPES) is None for node in found.nodes)
    ((want,), (got,)) = (evaluate(g, [x]) for g in (graph, found))
    assert np.asarray(got).dtype == np.asarray(want).dtype
    np.testing.assert_allclose(got, want, rtol=1e-14)
