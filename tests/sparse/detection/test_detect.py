"""Patterns of every operation, against lists of entries and the nonzeros of dense Jacobians."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from op_cases import CASES
from oracle import inexact, leaves

import wengert as wg
from wengert.errors import DerivativeError
from wengert.ir.graph import aval_of
from wengert.matrices.patterns import jacobian_sparsity
from wengert.ops.base import TABLE, ZERO, Scale
from wengert.ops.spectral import Framed
from wengert.sparse.pattern import SparsityPattern

LOOSE = {
    # at one point another branch has no derivative
    **dict.fromkeys(("max", "min", "maximum", "minimum", "fmax", "fmin", "heaviside"), "choice"),
    "cut": "a seed that is zero",
    **dict.fromkeys(("cummax", "cummin", "sort", "partition"), "choice"),
    # a zero among the arguments, or an exponent that happens to be one
    **dict.fromkeys(("prod", "cumprod", "recurrence", "power"), "zero"),
    # the first factor of a recurrence meets no earlier result, zeros of the factors stay zero
    **dict.fromkeys(("cholesky", "qr", "eigh", "eig", "svd", "slogdet", "adjugate"), "factor"),
    **dict.fromkeys(("hermitian", "cholesky_push", "cholesky_pull"), "factor"),
    **dict.fromkeys(("scan", "while_loop", "cond"), "factor"),  # every result needs every argument
}
"""Operations whose global pattern is larger than the nonzeros at one point, and why."""

LOOSE_HERE = {"cut", "prod", "cumprod", "recurrence", "power", "heaviside"} | {
    name for name, why in LOOSE.items() if why == "factor"
}
"""Operations of which that holds of the local pattern too."""


def active(case, args):
    """Positions of the arguments that are differentiated."""
    return [i for i in case.active(args) if inexact(np.asarray(args[i]))]


def without_frame(case, y):
    """Leave out the last result of a decomposition, whose tangent is another frame."""
    return y[:-1] if isinstance(case.row.derivative, Framed) else y


def setting(case, args, closed):
    """The operation as a function of its inexact arguments, the others closed over or passed."""
    wrt = active(case, args)
    if closed:

        def f(*xs):
            given = list(args)
            for i, x in zip(wrt, xs, strict=True):
                given[i] = x
            return without_frame(case, case.row(*given, **case.attrs))

        return f, [np.asarray(args[i])[()] for i in wrt], tuple(range(len(wrt)))
    return lambda *xs: without_frame(case, case.row(*xs, **case.attrs)), list(args), tuple(wrt)


def nonzeros(f, xs, wrt):
    """The Jacobian's nonzeros, column by column in forward mode."""
    columns = []
    for i in wrt:
        x = np.asarray(xs[i])

        def g(x, i=i):
            return f(*xs[:i], x, *xs[i + 1 :])

        for j in range(x.size):
            hit = None
            for unit in (1, 1j) if x.dtype.kind == "c" else (1,):
                t = np.zeros(x.size, x.dtype)
                t[j] = unit
                found = leaves(wg.jvp(g, (x[()],), (t.reshape(x.shape)[()],), allow_int=True)[1])
                column = np.concatenate([np.ravel(y) != 0 for y in found])
                hit = column if hit is None else hit | column
            columns.append(hit)
    if not columns:
        size = sum(np.size(y) for y in leaves(f(*xs)))
        return np.zeros((size, 0), bool)
    return np.stack(columns, axis=1)


def every(differentiable):
    """All cases, or those of operations with a derivative and arguments to take it in."""
    return [
        pytest.param(case, id=str(case))
        for case in itertools.chain.from_iterable(CASES.values())
        if not differentiable or (case.row.derivative is not ZERO and active(case, case.args()))
    ]


@pytest.mark.parametrize("case", every(True))
def test_patterns_hold_the_nonzeros(case):
    args = case.args()
    f, xs, wrt = setting(case, args, closed=True)
    found = nonzeros(f, xs, wrt)
    whole = jacobian_sparsity(f, tuple(xs), {}, wrt).pattern
    here = jacobian_sparsity(f, tuple(xs), {}, wrt, local=True)
    exact = SparsityPattern.from_dense(found)
    assert whole.covers(exact)
    assert here.pattern.covers(exact)
    assert whole.covers(here.pattern)
    assert here.mismatch(*xs) is None
    if case.op not in LOOSE:
        assert whole == exact
    if case.op not in LOOSE_HERE:
        assert here.pattern == exact


@pytest.mark.share(4)
@pytest.mark.parametrize("case", every(True))
def test_what_is_not_known_is_covered(case):
    """Indices, conditions and factors are inputs too, so that nothing is known of them."""
    args = case.args()
    f, xs, wrt = setting(case, args, closed=False)
    whole = jacobian_sparsity(f, tuple(xs), {}, wrt).pattern
    for seed in (0, 1, 2):
        others = case.args(seed)
        if [np.shape(x) for x in others] == [np.shape(x) for x in args]:
            point = [np.asarray(x)[()] if inexact(np.asarray(x)) else x for x in others]
            assert whole.covers(SparsityPattern.from_dense(nonzeros(f, point, wrt)))


@pytest.mark.parametrize("case", every(True))
def test_rules_agree_with_the_listed_entries(case):
    """The structured rules give the union of what the row lists, entry by entry."""
    args = case.args()
    f, xs, wrt = setting(case, args, closed=True)
    rules = case.row.derivative.rules if isinstance(case.row.derivative, Scale) else None
    out = case.row.evaluate(*args, **case.attrs)
    outs = [aval_of(y) for y in out] if type(out) is tuple else [aval_of(out)]
    given = [x if np.asarray(x).dtype.kind in "iub" else aval_of(x) for x in args]
    blocks = []
    for i in active(case, args):
        n = np.size(args[i])
        pairs = case.row.pattern(i, tuple(outs) if len(outs) > 1 else outs[0], *given, **case.attrs)
        column = []
        for y, (rows, columns) in zip(outs, pairs if len(outs) > 1 else (pairs,), strict=True):
            block = np.zeros((y.size, n), bool)
            if y.dtype.kind in "fc" and (rules is None or rules[i] is not None):
                block[rows, columns] = True
            column.append(block)
        column = without_frame(case, column)
        blocks.append(np.concatenate(column))
    listed = SparsityPattern.from_dense(np.concatenate(blocks, axis=1))
    found = jacobian_sparsity(f, tuple(xs), {}, wrt).pattern
    known = case.op in ("select", "power", "heaviside") or case.op.endswith("_part")
    # constants say more than the list
    assert listed.covers(found)
    assert found == listed or known


@pytest.mark.parametrize("case", every(False))
def test_what_has_no_derivative_has_no_entry(case):
    args = case.args()
    xs = [x for x in args if inexact(np.asarray(x))]
    if case.row.derivative is ZERO and xs and case.op not in ("nonzero", "searchsorted"):
        f, xs, wrt = setting(case, args, closed=True)
        try:
            found = jacobian_sparsity(f, tuple(xs), {}, wrt).pattern
        except DerivativeError:
            return
        assert found.nnz == 0


def test_every_operation_has_cases():
    assert set(TABLE) <= set(CASES)
