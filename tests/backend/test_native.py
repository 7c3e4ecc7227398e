"""Native code against NumPy: every row of the operation table, in every mode."""

from __future__ import annotations

import re
from typing import Any

import native_oracle as oracle
import numpy as np
import pytest
from case import Case
from op_cases import CASES

import wengert as wg
from wengert.backend.native.emit.module import STRAIGHT
from wengert.backend.native.run.footprint import laid_out
from wengert.backend.native.scalar.lower import LOWER
from wengert.backend.native.schedule.schedule import Schedule
from wengert.backend.native.schedule.steps import Host
from wengert.ir.build import Builder
from wengert.ir.verify import verify
from wengert.ops.base import TABLE, dtype_of
from wengert.ops.rows import batch_elementwise

EVERY = [case for cases in CASES.values() for case in cases]


def changed(x: Any) -> Any:
    """Return an argument in single precision."""
    return x.astype(np.float32) if getattr(x, "dtype", None) == np.float64 else x


@pytest.mark.share(6, by=lambda case: case.op)
@pytest.mark.parametrize("case", EVERY, ids=str)
def test_a_row(case: Case):
    """In double and in single precision, which are two parts of one graph."""
    versions = [case.args()]
    if case.narrow and any(getattr(x, "dtype", None) == np.float64 for x in versions[0]):
        versions.append(tuple(map(changed, versions[0])))
    b = Builder()
    calls = [[b.input(x) for x in args] for args in versions]
    found = [b.add(case.row, *xs, **case.attrs) for xs in calls]
    ys = [y for made in found for y in (made if type(made) is tuple else (made,))]
    got, want = oracle.both(verify(b.finish(ys)), [x for args in versions for x in args])
    assert len(got) == len(want) == len(ys)
    for k, (x, y) in enumerate(zip(got, want, strict=True)):
        oracle.agree(case.op, x, y, versions[k * len(versions) // len(ys)])


def differentiable(case: Case) -> bool:
    args = case.args()
    y = case.row.evaluate(*args, **case.attrs)
    out = y if type(y) is tuple else (y,)
    return bool(case.active(args)) and any(dtype_of(part).kind in "fc" for part in out)


@pytest.mark.share(6, by=lambda case: case.op)
@pytest.mark.parametrize("case", [c for c in EVERY if differentiable(c)], ids=str)
def test_its_derivatives(case: Case):
    """Tangents and cotangents, in one graph with the result."""
    args = case.args()
    active = case.active(args)
    rng = np.random.default_rng(1)
    xs = tuple(args[i] for i in active)
    ts = tuple(np.asarray(rng.normal(size=np.shape(x)), x.dtype)[()] for x in xs)
    y = case.row.evaluate(*args, **case.attrs)
    out = y if type(y) is tuple else (y,)
    cts = tuple(np.asarray(rng.normal(size=np.shape(p)), dtype_of(p))[()] for p in out)

    def f(*zs: Any) -> Any:
        whole = list(args)
        for i, z in zip(active, zs, strict=True):
            whole[i] = z
        return case.row(*whole, **case.attrs)

    def derivatives(xs: Any, ts: Any, cts: Any) -> Any:
        y, t = wg.jvp(f, xs, ts)
        return y, t, wg.vjp(f, *xs)[1](cts if type(y) is tuple else cts[0])

    graph, leaves = oracle.recorded(derivatives, xs, ts, cts)
    got, want = oracle.both(graph, leaves)
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        oracle.close(a, b, 1e3, f"{case.op}, result {k}", scale=1.0)


def has_empty(graph: Any) -> bool:
    return any(0 in x.shape for x in (*graph.inputs, *graph.outputs))


def test_every_elementwise_row_has_native_code_or_says_that_it_has_none():
    rows = {name for name, op in TABLE.items() if op.batch is batch_elementwise}
    assert rows - NOT_NATIVE | {"as_number", "convert"} == set(LOWER)


def test_what_runs_in_numpy_is_known():
    """Nothing drops out of native code unseen."""
    host = set()
    for name, cases in CASES.items():
        for case in cases:
            graph = oracle.one_node(name, case.args(), case.attrs)
            if oracle.is_native(graph):
                host |= {
                    step.node.op.name
                    for step in Schedule(graph).steps
                    if isinstance(step, Host) and not (name in EMPTY and has_empty(graph))
                }
    assert host == HOST, host ^ HOST


NOT_NATIVE = {name for name, op in TABLE.items() if not op.native}
OTHER_DTYPES = {"bitwise_count", "complex_absolute", "complex_angle", "imag", "real"}
"""Rows whose arguments or results have no dtype of native code."""

LINALG = {
    *("cholesky", "eigh", "svd", "qr", "pinv", "solve_triangular", "inv", "det", "adjugate"),
    *("slogdet", "solve", "lu_solve", "lu_factor", "hermitian", "cholesky_push", "cholesky_pull"),
    "linear_map",
}
EMPTY = {
    *("max", "min", "logsumexp", "argmax", "argmin", "sort", "argsort", "searchsorted"),
    *("getitem", "index_add", "index_set"),
}
"""Operations that NumPy evaluates where an array is empty."""

SPECTRAL = {
    *("eigh_agree", "eigh_along", "eigh_chosen", "eigh_pull", "eigh_push", "eigh_turned"),
    *("svd_agree", "svd_along", "svd_chosen", "svd_pull", "svd_push", "svd_turned"),
    "over_separations",
}
HOST = {*LINALG, *SPECTRAL, "partition", "argpartition", "power"}
HOST |= NOT_NATIVE - OTHER_DTYPES
"""Operations that NumPy evaluates inside a native program, at least for some of their cases."""


# --- levels of optimisation -----------------------------------------------------------------------
def numbers_beside_arrays(count: int) -> Any:
    """Return a function with so many operations on numbers, and loops over an array."""

    def f(x: Any, s: Any) -> Any:
        a = s
        for _ in range(count // 2):
            a = a * s + 1
        y = np.exp(-x * x) * a
        return np.sum(y * y), np.sqrt(x + s), a

    return f


@pytest.mark.parametrize("count", [STRAIGHT - 10, STRAIGHT + 10, 3 * STRAIGHT])
def test_loops_run_in_vectors_whatever_stands_beside_them(count: int):
    f = numbers_beside_arrays(count)
    x, s = np.linspace(0.0, 1.0, 1000), np.float64(0.3)
    graph, leaves = oracle.recorded(f, x, s)
    program = oracle.compiled(graph)
    vectors = re.findall(r"fmul <(\d+) x double>", program.llvm())
    assert all(int(n) > 1 for n in vectors)
    assert vectors
    for got, want in zip(program.run(leaves), f(x, s), strict=True):
        oracle.close(got, want, 1e4)


@pytest.mark.parametrize(
    ("count", "arrays", "levels"),
    [(STRAIGHT - 10, True, [2]), (STRAIGHT + 10, True, [2, 1]), (STRAIGHT + 10, False, [1])],
)
def test_levels_are_of_loops(count: int, arrays: bool, levels: list[int]):
    """Passes run over loops; over numbers that are computed one by one only where they are few."""
    f = numbers_beside_arrays(count)
    given = (np.linspace(0.0, 1.0, 1000), np.float64(0.3))
    graph, _ = oracle.recorded(f if arrays else (lambda x, s: f(1.0, s)[2]), *given)
    _, module, _ = laid_out(graph)
    assert [level for _, level in module.write()] == levels
    assert (module.straight > STRAIGHT) == (levels != [2])
