"""Every rule for every row of the operation table: its parts, computed apart, make the whole."""

from __future__ import annotations

import math

import numpy as np
import pytest
from op_cases import CASES

from wengert.devices.sharding import PARTIAL, WHOLE, rules
from wengert.ir.graph import SLOT, Const, Node, Value, aval_of
from wengert.ops.base import TABLE
from wengert.ops.index import getitem, index_add
from wengert.ops.shape import broadcast_to, reshape

ROWS = [(name, i) for name, cases in sorted(CASES.items()) for i in range(len(cases))]

INDEXING = (getitem, index_add, TABLE["index_set"])


def pieces(x, place, groups, cut, rng):
    """Split an operand into what two devices hold of it."""
    if place == WHOLE:
        return [x, x]
    if place == PARTIAL:
        noise = rng.normal(size=np.shape(x)).astype(np.asarray(x).dtype)
        return [noise, x - noise]
    assert x.shape[place] % groups == 0
    at = cut * (x.shape[place] // groups)
    return np.split(x, [at], axis=place)


def run(node, rule, rng):
    """Compute a node as the rule says, and put its result together."""
    groups = math.gcd(*rule.lengths) if rule.lengths else 1
    cut = (groups + 1) // 2
    data = [x.data if isinstance(x, (Value, Const)) else x for x in node.inputs]
    parts = [
        pieces(np.asarray(x) if isinstance(p, int) else x, p, groups, cut, rng)
        for x, p in zip(data, rule.inputs, strict=True)
    ]
    if node.op in INDEXING and isinstance(rule.inputs[0], int):
        for k, x in enumerate(node.inputs):  # what counts an axis of parts counts that of each
            counts = isinstance(x, Const) and np.array_equal(x.data.ravel(), np.arange(x.data.size))
            if counts and isinstance(rule.inputs[k], int):
                parts[k] = [p - np.min(p) for p in parts[k]]
    out = node.outputs[0].shape
    results = []
    for d in (0, 1):
        attrs = dict(node.attrs)
        if node.op in (reshape, broadcast_to):
            shape = list(out)
            if isinstance(rule.output, int):
                shape[rule.output] = (cut, groups - cut)[d] * (out[rule.output] // groups)
            attrs["shape"] = tuple(shape)
        results.append(node.op.evaluate(*(p[d] for p in parts), **attrs))
    if rule.output == WHOLE:
        return results[0]
    if rule.output == PARTIAL:
        return results[0] + results[1]
    return np.concatenate(results, axis=rule.output)


def check(node, rng):
    """Check all rules of a node; return how many are no repetition of the whole."""
    data = [x.data if isinstance(x, (Value, Const)) else x for x in node.inputs]
    want = node.op.evaluate(*data, **node.attrs)
    found = rules(node)
    assert found[0].is_whole
    single = any(aval_of(x).dtype.itemsize == 4 for x in (*data, node.outputs[0]))
    near = {"rtol": 1e-5, "atol": 1e-6} if single else {"rtol": 1e-8, "atol": 1e-10}
    for rule in found[1:]:
        if rule.lengths and math.gcd(*rule.lengths) < 2:
            continue
        with np.errstate(all="ignore"):
            got = run(node, rule, rng)
        np.testing.assert_allclose(got, want, **near, err_msg=f"{node.op}: {rule}")
    return len(found) - 1


def node_of(op, args, attrs, constant=()):
    inputs = [
        Const(x) if k in constant else Value(x) if isinstance(x, np.ndarray) else x
        for k, x in enumerate(args)
    ]
    made = op.evaluate(*args, **attrs)
    outputs = made if isinstance(made, tuple) else (made,)
    return Node(op, inputs, attrs, tuple(Value(aval=aval_of(y)) for y in outputs))


@pytest.mark.parametrize(("name", "i"), ROWS, ids=[f"{n}-{i}" for n, i in ROWS])
def test_rules_of_every_row(name, i):
    case = CASES[name][i]
    rng = np.random.default_rng(7)
    args = [draw(rng) for draw in case.draws]
    check(node_of(TABLE[case.op], args, case.attrs), rng)


COUNT = np.arange(6)[:, None]
PICK = np.array([[2], [0], [1], [2], [3], [3]])
X = np.random.default_rng(3).normal(size=(6, 4))
INDEXED = {
    "count both": (getitem, (X, COUNT, PICK), (SLOT, SLOT), (1, 2)),
    "count one": (getitem, (X, COUNT, PICK), (SLOT, SLOT), (1,)),
    "rows": (getitem, (X, np.array([3, 3, 0, 1])), (SLOT, Ellipsis), ()),
    "not a count": (getitem, (X, COUNT[::-1].copy(), PICK), (SLOT, SLOT), (1,)),
    "a shifted count": (getitem, (X, COUNT - 1, PICK), (SLOT, SLOT), (1,)),
    "columns": (getitem, (X, np.array([3, 0])), (slice(None), SLOT), (1,)),
    "add at a count": (index_add, (X, X[:, :1].copy(), COUNT, PICK), (SLOT, SLOT), (2,)),
    "add at any": (index_add, (X, X[:4].copy(), np.array([1, 1, 5, 2])), (SLOT,), ()),
    "set at a count": (TABLE["index_set"], (X, X[:, :1].copy(), COUNT, PICK), (SLOT, SLOT), (2,)),
}


@pytest.mark.parametrize("name", INDEXED)
def test_rules_of_indexing(name):
    op, args, spec, constant = INDEXED[name]
    check(node_of(op, args, {"spec": spec}, constant), np.random.default_rng(7))


SPLIT = "add multiply exp sum max contract transpose reshape broadcast_to concatenate cumsum sort"


@pytest.mark.parametrize("name", SPLIT.split())
def test_these_can_be_split(name):
    """The check above sees rules that split something."""
    rng = np.random.default_rng(7)
    found = [
        r
        for case in CASES[name]
        for r in rules(node_of(TABLE[name], [draw(rng) for draw in case.draws], case.attrs))
    ]
    assert any(r.lengths for r in found)


RESHAPES = [((6, 4), (24,)), ((24,), (6, 4)), ((2, 3, 4), (6, 4)), ((6, 4), (4, 6)),
            ((6, 4), (2, 3, 4)), ((6, 1, 4), (6, 4)), ((4, 6), (1, 8, 3))]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), RESHAPES)
def test_reshapes(old, new):
    x = np.arange(math.prod(old), dtype=float).reshape(old)
    assert check(node_of(reshape, (x,), {"shape": new}), np.random.default_rng(7)) >= 2


@pytest.mark.parametrize("lead", [(), (6,)])
def test_systems_of_equations(lead):
    """Many systems are split along them or their right-hand sides, not along the unknowns."""
    rng = np.random.default_rng(7)
    a = np.eye(4) + rng.normal(size=(*lead, 4, 4)) / 10
    lower = {"lower": True, "transposed": False}
    for name, attrs in (("solve", {}), ("solve_triangular", lower)):
        node = node_of(TABLE[name], (a, rng.normal(size=(6, 4, 2))), attrs)
        assert check(node, rng) == 2
        assert [r.output for r in rules(node)] == ["whole", 0, 2]
