"""Accumulated Jacobians of every operation and of NumPy's functions, against dense ones."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy_cases import METHODS, USES
from op_cases import CASES
from operator_cases import INDEXING

import wengert as wg
from wengert.errors import UnsupportedError
from wengert.ir.build import evaluate
from wengert.matrices.planner import Planner
from wengert.matrices.program import Request
from wengert.ops.base import ZERO

RULED = {
    *("add", "subtract", "multiply", "divide", "negative", "square", "exp", "sin", "tanh", "sqrt"),
    *("sum", "reshape", "transpose", "broadcast_to", "concatenate", "getitem", "contract"),
    *("select", "prod", "logsumexp", "max", "maximum"),
}
"""Operations that accumulation suits in all their cases."""

FRAMED = {"eigh", "svd", "eigh_along", "svd_along"}
"""Decompositions whose last result is a frame, whose tangent is another frame."""


def real(xs):
    return all(np.asarray(x).dtype.kind != "c" for x in xs)


def planner(f, mode, n, probe=True):
    request = Request(f, "jacobian", tuple(range(n)), None, mode, False, False, None, probe, "f")
    return lambda *xs: Planner(request, xs, {}).program()


def dense(f, xs):
    """The dense Jacobian in forward mode, as a matrix."""
    nums = tuple(range(len(xs)))
    blocks = wg.jacfwd(lambda *a: leaves(f(*a)), nums)(*xs)
    if not blocks:
        return np.zeros((0, sum(np.size(x) for x in xs)))
    sizes = [np.size(x) for x in xs]
    rows = [
        np.concatenate([np.reshape(b, (-1, k)) for b, k in zip(row, sizes, strict=True)], axis=1)
        for row in blocks
        if all(k for k in sizes)
    ]
    return np.concatenate(rows) if rows else None


def leaves(y):
    return list(y) if isinstance(y, (tuple, list)) else [y]


def check(f, xs, others, modes):
    """Compare at the point of planning, and run the graph at another."""
    wanted = dense(f, xs)
    if wanted is None:
        return set()
    ways = set()
    for mode in modes:
        try:
            found = planner(f, mode, len(xs))(*xs)
        except UnsupportedError:  # mode="accumulate"
            continue
        ways.add(found.mode)
        for point, expected in ((xs, wanted), (others, None)):
            if point is others and (found.graph.guards or not found.holds(xs)):
                continue
            with np.errstate(all="ignore"):
                *_, data = found.run(lambda inputs, g=found.graph: evaluate(g, inputs), point)
            matrix = found.pattern.tocsr(data).toarray()
            expected = dense(f, point) if expected is None else expected
            np.testing.assert_allclose(matrix, expected, rtol=2e-4, atol=2e-5, equal_nan=True)
    return ways


def cases():
    for case in itertools.chain.from_iterable(CASES.values()):
        args = case.args()
        wrt = [i for i in case.active(args) if np.asarray(args[i]).dtype.kind == "f"]
        if case.row.derivative is not ZERO and wrt and real(args):
            yield pytest.param(case, id=str(case))


@pytest.mark.share(4)
@pytest.mark.parametrize("case", list(cases()))
def test_operations(case):
    args, second = case.args(), case.args(1)
    wrt = [i for i in case.active(args) if np.asarray(args[i]).dtype.kind == "f"]

    def f(*xs):
        given = list(args)
        for i, x in zip(wrt, xs, strict=True):
            given[i] = x
        y = case.row(*given, **case.attrs)
        return y[:-1] if case.op in FRAMED else y

    out = f(*[args[i] for i in wrt])
    if any(np.asarray(y).dtype.kind != "f" for y in leaves(out)):
        pytest.skip("complex, or without derivative")
    ways = check(
        f, [np.asarray(args[i]) for i in wrt], [np.asarray(second[i]) for i in wrt],
        ("auto", "forward", "reverse"),
    )  # fmt: skip
    if case.op in RULED and ways:
        assert "accumulate" in ways


USED = [
    *((getattr(f, "__name__", str(f)), uses) for f, uses in USES.items()),
    *((f"{ufunc}.{method}", uses) for (ufunc, method), uses in METHODS.items()),
    ("index", INDEXING),
]


@pytest.mark.parametrize(
    "use", [pytest.param(u, id=f"{name}-{i}") for name, uses in USED for i, u in enumerate(uses)]
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_functions_of_numpy(use):
    args, second = use.args(), use.args(1)
    wrt = [i for i, x in enumerate(args) if x.dtype.kind == "f" and x.size]
    if not wrt or not real(args):
        pytest.skip("nothing to differentiate")

    def f(*xs):
        given = list(args)
        for i, x in zip(wrt, xs, strict=True):
            given[i] = x
        return [y for y in leaves(use.f(*given)) if np.ndim(y) is not None]

    with np.errstate(all="ignore"):
        out = f(*[args[i] for i in wrt])
    if any(np.asarray(y).dtype.kind not in "f" for y in out):
        pytest.skip("not real")
    check(f, [args[i] for i in wrt], [second[i] for i in wrt], ("auto",))


def test_contractions_of_lists_only():
    """A read of one line makes lists of entries, which are then contracted."""
    w = np.arange(20.0)

    def f(x):
        line = (np.resize(x, (20, 9)).T[::-1] @ w)[0]
        return np.resize(3 * x, 20) @ np.resize(2 * x, 20) / (1 + line**2)

    x = np.random.default_rng(0).standard_normal(6)
    found = wg.hessian(f, format="csr")(x).toarray()
    np.testing.assert_allclose(found, wg.hessian(f)(x), rtol=1e-9, atol=1e-12)


BY_LENGTHS = [
    lambda x: x * 2 if np.mean(x[:0]) > 0 else x,
    lambda x: x + np.where(x > 0, 0, np.sum(x[:0]) / len(x[:0])),
    lambda x: x * np.broadcast_to(0.5, x.shape) ** -1.0 + 1 / np.broadcast_to(2.0, x.shape),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("f", BY_LENGTHS)
def test_numbers_divide_by_zero_as_numpys_do(f):
    x = np.array([0.5, 2.0, 3.0])
    plan = wg.jacobian(f, format="csr").plan(x)
    np.testing.assert_array_equal(plan(x).toarray(), wg.jacfwd(f)(x))


@pytest.mark.parametrize("cut", [1, 2, 5])
@pytest.mark.parametrize("lead", [1, 2, 3])
@pytest.mark.parametrize("line", [2, 3])
def test_parts_of_different_numbers_of_columns(cut, lead, line):
    """A joined coefficient is none where its part has no column, whatever is added to it later."""

    def f(x):
        x = np.sum(np.sin(x)[:, None] * x[None, :lead], axis=1)
        x = x[np.arange(len(x)) // line] + x**2
        return np.concatenate([x[cut:], x[:cut]]) * x

    x = np.random.default_rng(3).random(6)
    found = wg.jacobian(f, format="csr", mode="accumulate")(x).toarray()
    np.testing.assert_allclose(found, wg.jacfwd(f)(x), rtol=1e-12, atol=1e-14)
