"""Every row of the operation table, in every mode, against derivatives computed without wengert."""

from __future__ import annotations

import inspect
import itertools
import math
from typing import Any

import numpy as np
import oracle
import pytest
import scipy.special as sp
from case import Case
from op_cases import CASES

import wengert as wg
from wengert.errors import BatchedControlError, DerivativeError
from wengert.ir.graph import Aval, aval_of
from wengert.ops.base import (
    TABLE,
    ZERO,
    Fold,
    Joint,
    Jvp,
    OfRegions,
    Op,
    Scale,
    Transpose,
    dtype_of,
    shape_of,
)
from wengert.ops.index import fill
from wengert.ops.reduce import expand
from wengert.ops.spectral import Framed

BATCH = 5
DECOMPOSED = {"eigh", "eig", "svd", "qr", "pinv"}
EVERY = [case for cases in CASES.values() for case in cases]
every_case = pytest.mark.parametrize("case", EVERY, ids=str)


def parts(y: Any) -> tuple[Any, ...]:
    """Return an operation's results as a tuple."""
    return y if type(y) is tuple else (y,)


def avals(y: Any) -> Any:
    """Return what an operation's rules are told of its results."""
    return tuple(map(aval_of, y)) if type(y) is tuple else aval_of(y)


def _differentiable(case: Case) -> bool:
    args = case.args()
    y = parts(case.row.evaluate(*args, **case.attrs))
    return bool(case.active(args)) and any(dtype_of(part).kind in "fc" for part in y)


DIFFERENTIABLE = [case for case in EVERY if _differentiable(case)]
differentiable = pytest.mark.parametrize("case", DIFFERENTIABLE, ids=str)


# --- the table is complete ----------------------------------------------------------------------
def problems(op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> list[str]:
    """List what a row lacks: a field, or a derivative rule for an argument."""
    found = [
        f"{name} is missing"
        for name in ("evaluate", "infer", "batch", "flops", "pattern")
        if not callable(getattr(op, name, None))
    ]
    derivative = op.derivative
    if (
        not isinstance(derivative, Scale | Fold | Transpose | Jvp | Joint | OfRegions)
        and derivative is not ZERO
    ):
        return [*found, "derivative is missing"]
    if derivative is ZERO or isinstance(derivative, Fold | Joint):
        return found
    if isinstance(derivative, OfRegions):
        return found + [
            f"{n} is missing" for n in OfRegions.__slots__ if not hasattr(derivative, n)
        ]
    rules = derivative.rules
    if callable(rules):
        return found
    variadic = any(
        p.kind is p.VAR_POSITIONAL for p in inspect.signature(op.infer).parameters.values()
    )
    if len(rules) < len(args) or (len(rules) > len(args) and (op.ufunc or not variadic)):
        found.append(f"{len(rules)} derivative rules for {len(args)} arguments")
    lead = 1 if isinstance(derivative, Transpose) else 2
    for k, rule in enumerate(rules[: len(args)]):
        if callable(rule):
            try:
                inspect.signature(rule).bind(*(0,) * lead, *args, **attrs)
            except TypeError as error:
                found.append(f"rule {k}: {error}")
    return found


@pytest.mark.parametrize("name", TABLE)
def test_every_row_has_cases_and_all_fields(name):
    assert CASES.get(name), f"no cases for {name}: add them to op_cases.py"
    for case in CASES[name]:
        assert problems(case.row, case.args(), case.attrs) == []


def test_every_case_has_a_row():
    assert set(CASES) <= set(TABLE)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("batch", None, "batch is missing"),
        ("flops", None, "flops is missing"),
        ("derivative", None, "derivative is missing"),
        ("derivative", Scale((1,)), "1 derivative rules for 2 arguments"),
        ("derivative", Scale((1, 1, 1)), "3 derivative rules for 2 arguments"),
        ("derivative", Jvp((lambda t, y: t, None)), "rule 0: too many positional arguments"),
    ],
)
def test_a_row_that_lacks_a_field_is_seen(field, value, message):
    whole = TABLE["multiply"]
    names = set(inspect.signature(Op.__init__).parameters) - {"self", "name"}
    fields = {n: getattr(whole, n) for n in names}
    assert problems(Op("broken", **fields), (1.0, 2.0), {}) == []
    assert problems(Op("broken", **{**fields, field: value}), (1.0, 2.0), {}) == [message]


# --- values, shapes and costs -------------------------------------------------------------------
REFERENCE = {
    "sum": lambda x, axis, keepdims: np.sum(x, axis, keepdims=keepdims),
    "prod": lambda x, axis, keepdims: np.prod(x, axis, keepdims=keepdims),
    "max": lambda x, axis, keepdims: np.max(x, axis, keepdims=keepdims),
    "min": lambda x, axis, keepdims: np.min(x, axis, keepdims=keepdims),
    "any": lambda x, axis, keepdims: np.any(x, axis, keepdims=keepdims),
    "all": lambda x, axis, keepdims: np.all(x, axis, keepdims=keepdims),
    "logsumexp": lambda x, axis, keepdims: sp.logsumexp(x, axis, keepdims=keepdims) if axis else x,
    "contract": lambda a, b, spec: np.einsum(spec, a, b),
    "getitem": lambda x, *index, spec: x[fill(spec, index)],
    "cumprod": lambda x, axis: np.multiply.accumulate(x, axis, dtype=np.cumprod(x, axis).dtype),
    "broadcast_to": lambda x, shape: np.broadcast_to(x, shape),
    "select": np.where,
}
"""What NumPy or SciPy says, where the row does not simply call the function."""


def index_add_loop(x: Any, v: Any, *index: Any, spec: Any) -> Any:
    y = np.array(x, np.result_type(x, v))
    np.add.at(y, fill(spec, index), v)
    return y


def recurrence_loop(a: Any, b: Any, axis: int) -> Any:
    z = np.zeros(a.shape, np.result_type(a, b))
    for i in range(a.shape[axis]):
        at = (slice(None),) * axis
        before = a[(*at, i)] * z[(*at, i - 1)] if i else 0
        z[(*at, i)] = before + b[(*at, i)]
    return z


REFERENCE |= {"index_add": index_add_loop, "recurrence": recurrence_loop}


@pytest.mark.parametrize("case", [c for c in EVERY if c.op in REFERENCE], ids=str)
def test_value(case):
    args = case.args()
    oracle.same(case.row(*args, **case.attrs), REFERENCE[case.op](*args, **case.attrs), str(case))


@every_case
def test_shape_rule(case):
    args = case.args()
    y = case.row.evaluate(*args, **case.attrs)
    expected = [(aval_of(part).shape, aval_of(part).dtype) for part in parts(y)]
    for given in (args, tuple(x if type(x) in (int, float) else aval_of(x) for x in args)):
        found = case.row.infer(*given, **case.attrs)
        found = (found,) if isinstance(found, Aval) else found
        assert [(part.shape, part.dtype) for part in found] == expected


@every_case
def test_flops_are_counted(case):
    args = case.args()
    out = avals(case.row.evaluate(*args, **case.attrs))
    flops = case.row.flops(out, *map(aval_of, args), **case.attrs)
    if case.op == "while_loop":  # data decides how many trips it takes
        assert flops is None
        return
    assert type(flops) is int
    assert flops >= 0


@pytest.mark.parametrize(
    ("name", "attrs", "shapes", "flops"),
    [
        ("contract", {"spec": "ab,bc->ac"}, [(2, 3), (3, 4)], 48),
        ("contract", {"spec": "a,b->ab"}, [(2,), (3,)], 6),
        ("sum", {"axis": (0,), "keepdims": False}, [(5, 2)], 8),
        ("multiply", {}, [(2, 1), (3,)], 6),
        ("reshape", {"shape": (6,)}, [(2, 3)], 0),
    ],
)
def test_flops_are_right(name, attrs, shapes, flops):
    given = [Aval(s, np.dtype(float)) for s in shapes]
    op = TABLE[name]
    assert op.flops(op.infer(*given, **attrs), *given, **attrs) == flops


# --- batching -----------------------------------------------------------------------------------
def draws(case: Case) -> list[tuple[Any, ...]]:
    return [case.args(seed) for seed in range(BATCH)]


def stacked(many: list[tuple[Any, ...]], which: tuple[int, ...]) -> tuple[Any, ...]:
    """Stack the draws of some arguments, and keep the first draw of the others."""
    return tuple(
        np.stack([args[i] for args in many]) if i in which else x for i, x in enumerate(many[0])
    )


def combinations(case: Case) -> list[tuple[int, ...]]:
    """Every choice of arguments to batch; Python scalars stay as they are."""
    arrays = [i for i, x in enumerate(case.args()) if hasattr(x, "dtype")]
    return [c for n in range(1, len(arrays) + 1) for c in itertools.combinations(arrays, n)]


@every_case
def test_batching_equals_a_loop(case):
    many = draws(case)
    for which in combinations(case):
        args = stacked(many, which)
        flags = tuple(i in which for i in range(len(args)))
        if case.op == "nonzero":
            with pytest.raises(BatchedControlError, match="different number of elements"):
                case.row.batch(case.row, args, flags, case.attrs)
            return
        got = case.row.batch(case.row, args, flags, case.attrs)
        rows = [
            case.row(*(a[k] if f else a for a, f in zip(args, flags, strict=True)), **case.attrs)
            for k in range(BATCH)
        ]
        expected = [np.stack(part) for part in zip(*map(parts, rows), strict=True)]
        if case.op == "while_loop":  # the batch goes on until its last example ends
            expected[-1] = np.full(BATCH, max(expected[-1]))
        oracle.same(got, expected, f"batched {which}", 1e4 if case.op in DECOMPOSED else 1e2)


# --- first derivatives --------------------------------------------------------------------------
def without_frame(case: Case, y: Any) -> Any:
    """Leave out the last result of a decomposition, whose tangent is another frame."""
    return y[:-1] if isinstance(case.row.derivative, Framed) else y


class Setting:
    """A case as a function of its active arguments, with random tangents and a cotangent."""

    def __init__(self, case: Case, seed: int = 0, change: Any = lambda x: x) -> None:
        self.case = case
        self.args = tuple(change(x) for x in case.args(seed))
        self.active = case.active(self.args)
        self.xs = tuple(self.args[i] for i in self.active)
        rng = np.random.default_rng([seed, 1])
        self.ts = self.directions(rng)
        self.y = without_frame(case, case.row(*self.args, **case.attrs))
        found = [oracle.tangent(rng, part) for part in parts(self.y)]
        self.cts = tuple(
            np.zeros(np.shape(p)) if c is None else c
            for c, p in zip(found, parts(self.y), strict=True)
        )
        self.ct = self.cts if type(self.y) is tuple else self.cts[0]

    def directions(self, rng: np.random.Generator) -> tuple[Any, ...]:
        """Draw tangents."""
        return tuple(oracle.tangent(rng, x) for x in self.xs)

    def f(self, *xs: Any) -> Any:
        """Apply the operation."""
        args = list(self.args)
        for i, x in zip(self.active, xs, strict=True):
            args[i] = x
        return without_frame(self.case, self.case.row(*args, **self.case.attrs))

    def expected(self) -> list[Any]:
        """Return the derivative along the tangents, without wengert."""
        if not self.case.smooth:  # constant by definition
            return [np.zeros(np.shape(part)) for part in parts(self.y)]
        real = all(x.dtype.kind == "f" for x in self.args if hasattr(x, "dtype"))
        step = oracle.complex_step if self.case.analytic and real else oracle.differences
        return step(self.f, self.xs, self.ts)


@differentiable
def test_jvp(case):
    s = Setting(case)
    y, t = wg.jvp(s.f, s.xs, s.ts, allow_int=True)
    oracle.same(y, s.y)
    assert [p.dtype for p in parts(t)] == [np.asarray(p).dtype for p in parts(y)]
    oracle.close(t, s.expected(), case.tol)
    for k, x in enumerate(s.xs):  # one argument at a time
        alone = [t if i == k else np.zeros_like(t) for i, t in enumerate(s.ts)]
        _, one = wg.jvp(lambda z, k=k: s.f(*s.xs[:k], z, *s.xs[k + 1 :]), (x,), (s.ts[k],))
        oracle.close(one, wg.jvp(s.f, s.xs, alone, allow_int=True)[1], 1e-13)


@differentiable
def test_vjp_is_the_transpose_of_jvp(case):
    s = Setting(case)
    y, t = wg.jvp(s.f, s.xs, s.ts, allow_int=True)
    primal, pullback = wg.vjp(s.f, *s.xs, allow_int=True)
    oracle.same(primal, y)
    cts = pullback(s.ct)
    assert [(c.shape, c.dtype) for c in cts] == [(x.shape, x.dtype) for x in s.xs]
    oracle.close(
        oracle.pairing(cts, s.ts),
        oracle.pairing(s.cts, parts(t)),
        1e-11 if case.tol < 1e-6 else 1e-6,
    )
    for k, x in enumerate(s.xs):  # one argument at a time
        _, pull = wg.vjp(lambda z, k=k: s.f(*s.xs[:k], z, *s.xs[k + 1 :]), x)
        oracle.close(pull(s.ct)[0], cts[k], 1e-13)


@differentiable
def test_vmap_of_jvp_and_vjp_equal_a_loop(case):
    settings = [Setting(case, seed) for seed in range(3)]
    first = settings[0]
    xs, ts = (
        tuple(np.stack(part) for part in zip(*(getattr(s, n) for s in settings), strict=True))
        for n in ("xs", "ts")
    )
    cts = tuple(np.stack(part) for part in zip(*(s.cts for s in settings), strict=True))
    cts = cts if type(first.y) is tuple else cts[0]

    def forward(xs: Any, ts: Any) -> Any:
        return wg.jvp(first.f, xs, ts, allow_int=True)

    def backward(xs: Any, ct: Any) -> Any:
        return wg.vjp(first.f, *xs, allow_int=True)[1](ct)

    for f, second in ((forward, ts), (backward, cts)):
        got = oracle.leaves(wg.vmap(f)(xs, second))
        for k, s in enumerate(settings):
            loop = f(s.xs, s.ts if f is forward else s.ct)
            oracle.close([g[k] for g in got], loop, 1e-11, f.__name__)


# --- second derivatives -------------------------------------------------------------------------
@pytest.mark.parametrize("case", [c for c in DIFFERENTIABLE if c.smooth and c.tol < 1e-6], ids=str)
def test_second_order(case):
    """Forward over reverse against differences of reverse, and against reverse over forward."""
    s = Setting(case)
    us = s.directions(np.random.default_rng(2))

    def pulled(*xs: Any) -> Any:
        return wg.vjp(s.f, *xs, allow_int=True)[1](s.ct)

    def pushed(*xs: Any) -> Any:
        return wg.jvp(s.f, xs, s.ts, allow_int=True)[1]

    _, forward_over_reverse = wg.jvp(pulled, s.xs, us, allow_int=True)
    oracle.close(forward_over_reverse, oracle.differences(pulled, s.xs, us), 1e-7)
    reverse_over_forward = wg.vjp(pushed, *s.xs, allow_int=True)[1](s.ct)
    left = oracle.pairing(forward_over_reverse, s.ts)
    oracle.close(oracle.pairing(reverse_over_forward, us), left, 1e-10)
    _, forward_over_forward = wg.jvp(pushed, s.xs, us, allow_int=True)
    oracle.close(oracle.pairing(s.cts, parts(forward_over_forward)), left, 1e-10)


# --- precision ----------------------------------------------------------------------------------
SINGLE = [case for case in DIFFERENTIABLE if case.narrow]


@pytest.mark.parametrize("case", SINGLE, ids=str)
def test_single_precision_stays_single(case):
    low = Setting(case, change=oracle.narrow)
    high = Setting(case, change=lambda x: oracle.widen(oracle.narrow(x)))
    out, t = wg.jvp(low.f, low.xs, low.ts, allow_int=True)
    cts = wg.vjp(low.f, *low.xs, allow_int=True)[1](low.ct)
    for found in (out, t):
        assert [p.dtype for p in parts(found)] == [p.dtype for p in parts(low.y)]
    assert [c.dtype for c in cts] == [x.dtype for x in low.xs]
    ts = [oracle.widen(t) for t in low.ts]
    oracle.close(t, wg.jvp(high.f, high.xs, ts, allow_int=True)[1], 5e-4)
    wide = tuple(c.astype(p.dtype) for c, p in zip(low.cts, parts(high.y), strict=True))
    wide = wide if type(high.y) is tuple else wide[0]
    oracle.close(cts, wg.vjp(high.f, *high.xs, allow_int=True)[1](wide), 5e-4)


@pytest.mark.parametrize("case", SINGLE, ids=str)
def test_rules_do_not_promote(case):
    """A rule's own result is in single precision, with no conversion afterwards."""
    s = Setting(case, change=oracle.narrow)
    y = s.y
    derivative = case.row.derivative
    if isinstance(derivative, Fold):
        t = np.ones(s.xs[0].shape, s.xs[0].dtype)
        kept = expand(y, s.xs[0], case.attrs["axis"])
        assert dtype_of(derivative.rule(t, kept, s.xs[0], **case.attrs)) == y.dtype
    if isinstance(derivative, Scale) and y.dtype in (np.float32, np.complex64):
        for k, i in enumerate(s.active):
            rule = derivative.rules[i]
            if callable(rule):
                t = np.ones(y.shape, y.dtype)
                assert dtype_of(rule(t, y, *s.args)) == y.dtype, f"argument {k}"


# --- sparsity -----------------------------------------------------------------------------------
LOOSE = {
    *("max", "min", "cummax", "cummin", "sort", "partition", "maximum", "minimum", "fmax", "fmin"),
    *("select", "cut", "heaviside", "prod", "cumprod", "recurrence", "power", "index_set"),
    *("cholesky", "solve_triangular", "solve", "lu_solve", "adjugate", "slogdet", *DECOMPOSED),
    *("maximum_part", "minimum_part", "fmax_part", "fmin_part"),
    *("hermitian", "cholesky_push", "cholesky_pull", "eigh_push", "eigh_pull"),
    *("scan", "while_loop", "cond"),
}
"""Rows whose pattern holds for every argument, and is larger than the nonzeros at one."""


Entries = set[tuple[int, int, int]]


def pattern(case: Case, args: tuple[Any, ...], k: int) -> Entries:
    """Entries ``(result, row, column)`` of the Jacobian that can differ from zero."""
    out = avals(case.row.evaluate(*args, **case.attrs))
    given = [x if dtype_of(x).kind in "iub" else aval_of(x) for x in args]
    found = case.row.pattern(k, out, *given, **case.attrs)
    several = type(out) is tuple and case.row.derivative is not ZERO
    entries = set()
    for r, (i, j) in enumerate(found if several else (found,)):
        m, n = (out[r] if type(out) is tuple else out).size, aval_of(args[k]).size
        pairs = list(zip(i.tolist(), j.tolist(), strict=True))
        assert all(0 <= a < m and 0 <= b < n for a, b in pairs), "an entry outside the Jacobian"
        entries |= {(r, a, b) for a, b in pairs}
    return entries


def nonzeros(s: Setting, k: int) -> Entries:
    """Entries of the Jacobian that differ from zero, column by column."""
    found = set()
    x = s.xs[k]
    for j, unit in itertools.product(range(x.size), (1, 1j) if x.dtype.kind == "c" else (1,)):
        t = np.zeros(x.size, x.dtype)
        t[j] = unit
        ts = [t.reshape(x.shape) if i == k else np.zeros_like(z) for i, z in enumerate(s.xs)]
        columns = parts(wg.jvp(s.f, s.xs, ts, allow_int=True)[1])
        found |= {
            (r, int(i), j) for r, column in enumerate(columns) for i in np.flatnonzero(column)
        }
    return found


@differentiable
def test_pattern_covers_the_jacobian(case):
    s = Setting(case)
    for k, i in enumerate(s.active):
        claimed, actual = pattern(case, s.args, i), nonzeros(s, k)
        assert actual <= claimed
        if case.op not in LOOSE and case.row.derivative is not ZERO:
            assert claimed == actual or _constant(case, i)


def _constant(case: Case, k: int) -> bool:
    """Whether the row has no derivative in this argument at all."""
    rules = getattr(case.row.derivative, "rules", ())
    return not callable(rules) and len(rules) > k and rules[k] is None


@every_case
def test_pattern_of_a_constant_is_empty(case):
    if case.row.derivative is ZERO:
        args = case.args()
        for k in range(len(args)):
            assert pattern(case, args, k) == set()


def test_what_has_no_derivative_says_so():
    with pytest.raises(DerivativeError, match="zeta"):
        wg.grad(lambda s: TABLE["zeta"](s, 2.0))(3.0)


def test_shapes_and_sizes_vary():
    """The cases reach 0-d, empty, broadcast and higher-rank arguments in every family."""
    for name in ("add", "sum", "contract", "getitem", "reshape", "sort"):
        shapes = {shape_of(x) for case in CASES[name] for x in case.args()}
        assert any(math.prod(s) == 0 for s in shapes), name
        assert max(map(len, shapes)) >= 2, name
