"""Local Jacobians as blocks: of every row, against Jacobians column by column."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
from case import Case
from op_cases import CASES

from wengert.ir.graph import aval_of
from wengert.linear.blocks import densify
from wengert.ops.base import TABLE, ZERO, OfRegions, dtype_of
from wengert.ops.blocks import Block
from wengert.ops.index import SLOT
from wengert.transform.forward import push

KINDS = {
    *("zero", "diagonal", "broadcast", "reduction", "permutation", "gather", "scatter"),
    *("contraction", "block", "dense", "triangle", "sparse", "matrix-free"),
}
FRAMED = {"eigh", "svd", "eigh_along", "svd_along"}
"""Decompositions whose last result is a frame: its tangent is another frame."""


def blocks(case: Case) -> list[tuple[int, int | None, Block, Any, tuple[Any, ...]]]:
    """Return each argument, each result (None for a single one) and their block."""
    args = case.args()
    y = case.row.evaluate(*args, **case.attrs)
    found = []
    for k in case.active(args):
        made = case.row.local_jacobian(k, y, *args, **case.attrs)
        if type(made) is tuple:
            made = made[:-1] if case.op in FRAMED else made
            found += [(k, i, block, y, args) for i, block in enumerate(made)]
        else:
            found.append((k, None, made, y, args))
    return found


def by_columns(case: Case, k: int, part: int | None, y: Any, xs: tuple[Any, ...]) -> Any:
    """Push the unit vectors of an argument, one after the other."""
    size, shape = np.size(xs[k]), np.shape(xs[k])
    out = y if part is None else y[part]
    columns = []
    for i in range(size):
        t = np.zeros(size, dtype_of(xs[k]))
        t[i] = 1
        ts: list[Any] = [None] * len(xs)
        ts[k] = t.reshape(shape)[()]
        found = push(case.row, y, list(xs), ts, case.attrs)
        found = found if part is None or found is None else found[part]
        columns.append(np.zeros(np.shape(out)) if found is None else found)
    return np.stack([np.ravel(c) for c in columns], 1) if columns else np.zeros((np.size(out), 0))


def differentiable(case: Case) -> bool:
    args = case.args()
    y = case.row.evaluate(*args, **case.attrs)
    out = y if type(y) is tuple else (y,)
    row = case.row
    return (
        row.derivative is not ZERO
        and bool(case.active(args))
        and any(dtype_of(part).kind in "fc" for part in out)
    )


EVERY = [case for cases in CASES.values() for case in cases if differentiable(case)]


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_a_block_is_the_jacobian(case: Case) -> None:
    """Its formula gives the Jacobian; its entries hold all nonzeros, and are counted right."""
    for k, part, block, y, xs in blocks(case):
        assert block.kind in KINDS
        rows, columns = block.entries()
        assert block.nnz == len(set(zip(rows.tolist(), columns.tolist(), strict=True)))
        assert block.shape == (np.size(y if part is None else y[part]), np.size(xs[k]))
        assert f"{block.shape[0]:,} x {block.shape[1]:,}" in str(block)
        want = by_columns(case, k, part, y, xs)
        there = np.zeros(block.shape, bool)
        there[rows, columns] = True
        assert not np.any(want[~there]), str(block)
        if block.is_matrix_free and isinstance(case.row.derivative, OfRegions):
            continue
        made = densify(block, y, xs, case.attrs, part)
        np.testing.assert_allclose(
            made, want, rtol=1e-12, atol=1e-12 * np.max(abs(want), initial=1)
        )


def test_blocks_of_abstract_values_are_those_of_arrays() -> None:
    """Only shapes and dtypes are read, but of indices."""
    for case in EVERY:
        if case.row.name in ("getitem", "index_add", "index_set"):
            continue
        args = case.args()
        y = case.row.evaluate(*args, **case.attrs)
        out = tuple(map(aval_of, y)) if type(y) is tuple else aval_of(y)
        avals = [aval_of(x) if hasattr(x, "shape") else x for x in args]
        for k in case.active(args):
            one = case.row.local_jacobian(k, y, *args, **case.attrs)
            other = case.row.local_jacobian(k, out, *avals, **case.attrs)
            assert str(one) == str(other)


def test_every_kind_of_block_has_a_row() -> None:
    found = Counter(block.kind for case in EVERY for *_, block, _, _ in blocks(case))
    assert set(found) == KINDS


X, W, V = np.ones((3, 4)), np.ones((4, 5)), np.ones(4)
LABELLED: dict[str, tuple[Any, ...]] = {
    "x @ w by x": ("contract", 0, (X, W), {"spec": "ij,jk->ik"}),
    "x @ w by w": ("contract", 1, (X, W), {"spec": "ij,jk->ik"}),
    "x @ v by v": ("contract", 1, (X, V), {"spec": "ij,j->i"}),
    "x @ v by x": ("contract", 0, (X, V), {"spec": "ij,j->i"}),
    "outer": ("contract", 0, (V, np.ones(3)), {"spec": "i,j->ij"}),
    "tanh": ("tanh", 0, (X,), {}),
    "negative": ("negative", 0, (X,), {}),
    "row added": ("add", 1, (X, V), {}),
    "row multiplied": ("multiply", 1, (X, V), {}),
    "sum": ("sum", 0, (X,), {"axis": (1,), "keepdims": False}),
    "all of it": ("sum", 0, (X,), {"axis": (0, 1), "keepdims": True}),
    "max": ("max", 0, (X,), {"axis": (0,), "keepdims": False}),
    "transpose": ("transpose", 0, (X,), {"axes": (1, 0)}),
    "spread": ("broadcast_to", 0, (V,), {"shape": (2, 3, 4)}),
    "inverse": ("inv", 0, (np.eye(4),), {}),
    "inverses": ("inv", 0, (np.ones((2, 3, 3)),), {}),
    "scaled inverses": ("multiply", 0, (np.ones((2, 3, 3)), np.ones(3)), {}),
}
LISTED: dict[str, tuple[Any, ...]] = {
    "flat": ("reshape", 0, (X,), {"shape": (12,)}),
    "square": ("reshape", 0, (np.ones(12),), {"shape": (3, 4)}),
    "running sum": ("cumsum", 0, (X,), {"axis": 1}),
    "sorted": ("sort", 0, (X,), {"axis": 0}),
    "taken": ("getitem", 0, (X, np.array([2, 0, 2])), {"spec": (SLOT,)}),
    "added": ("index_add", 1, (X, X, np.array([2, 0, 2])), {"spec": (SLOT,)}),
    "below": ("concatenate", 1, (X, X), {"axis": 0}),
    "nothing": ("floor", 0, (X,), {}),
}


def made(name: str) -> tuple[Any, Any, Any, Any]:
    op, k, args, attrs = (LABELLED | LISTED)[name]
    rng = np.random.default_rng(0)
    args = tuple(rng.normal(size=x.shape) if x.dtype == float else x for x in args)
    y = TABLE[op].evaluate(*args, **attrs)
    return TABLE[op].local_jacobian(k, y, *args, **attrs), y, args, attrs


PAIRS = [
    (a, b)
    for a, b in itertools.product(LABELLED | LISTED, LABELLED | LISTED)
    if made(a)[0].operand == made(b)[0].result
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_product_is_told_before_it_is_computed(first: str, second: str) -> None:
    """It holds the nonzeros, and no more than the structure of its factors demands."""
    a, b = made(first), made(second)
    told = a[0].times(b[0])
    there = structure(a[0]) @ structure(b[0])
    assert told.shape == there.shape
    assert told.nnz == np.count_nonzero(there)
    assert f"{told.nnz:,} entries" in str(told)
    assert told.flops >= 0
    assert bool(told.products) is ((a[0].is_matrix_free or b[0].is_matrix_free) and told.nnz > 0)
    if told.sizes:
        want = densify(*a) @ densify(*b)
        shape = (*a[0].result, *b[0].operand)
        assert tuple(told.sizes[s] for s in (*told.rows, *told.columns)) == shape
        names = told.rows + told.columns
        grid = np.indices(shape).reshape(len(shape), -1)
        same = np.ones(grid.shape[1], bool)
        for i, j in itertools.combinations(range(len(names)), 2):
            if names[i] == names[j]:
                same &= grid[i] == grid[j]
        assert not np.any(want.reshape(-1)[~same])


def test_products_of_what_has_no_formula_are_applications() -> None:
    """A batch of inverses is pushed through at once: a column for each entry of one of them."""
    told = made("inverses")[0].times(made("scaled inverses")[0])
    assert told.products == 9
    assert told.flops == 9 * 2 * 2 * 3**3
    assert made("running sum")[0].times(made("tanh")[0]).products == 12
    assert made("row multiplied")[0].shape == (12, 4)
    assert made("running sum")[0].times(made("row multiplied")[0]).products == 4
    assert made("sum")[0].times(made("running sum")[0]).products == 3


def structure(block: Block) -> Any:
    made = np.zeros(block.shape, np.int64)
    made[block.entries()] = 1
    return made


COUNTS = [
    ("x @ w by x", "tanh", 3 * 4 * 5, 0),  # each entry of w by each slope
    ("tanh", "tanh", 12, 0),
    ("negative", "tanh", 0, 0),
    ("sum", "tanh", 0, 0),  # a sum of a diagonal is a row of its entries
    ("max", "tanh", 12, 0),
    ("tanh", "row added", 0, 0),
    ("tanh", "row multiplied", 12, 0),
]


@pytest.mark.parametrize("count", COUNTS, ids=str)
def test_the_operations_of_a_product(count: tuple[Any, ...]) -> None:
    first, second, times, plus = count
    told = made(first)[0].times(made(second)[0])
    assert (told.multiplications, told.additions, told.flops) == (times, plus, times + plus)


def test_a_chain_of_matrices_costs_what_matrices_cost() -> None:
    """The Jacobian of W2 W1 x by x is the product of the matrices."""
    x, w1, w2 = np.ones(7), np.ones((5, 7)), np.ones((3, 5))
    spec = {"spec": "ij,j->i"}
    one = TABLE["contract"].local_jacobian(1, w1 @ x, w1, x, **spec)
    two = TABLE["contract"].local_jacobian(1, w2 @ w1 @ x, w2, w1 @ x, **spec)
    told = two.times(one)
    assert told.multiplications == 3 * 5 * 7
    assert told.additions == 3 * 4 * 7
    assert told.nnz == 3 * 7
    assert str(two) == "contract, argument 1: dense, 3 x 5, 15 entries"
