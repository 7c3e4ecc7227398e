"""Forward and reverse mode agree on what is finite, at every row's awkward points and beyond masks.

Whoever differentiates one function in two modes must not find NaN in one and a number in the other.
`REASONS` lists the rows that are exempt, with the reason.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from case import Case
from edges import FILLS, UNBOUNDED, different, filled, forward, reverse
from op_cases import CASES

import wengert as wg
from wengert.ops.base import Scale, dtype_of
from wengert.trace.replay import as_function

PRODUCTS = (
    "an infinite or NaN number among the data is multiplied by zeros, in a sum over another axis"
)
REASONS: dict[str, str] = {
    "contract": PRODUCTS,
    "cumprod": PRODUCTS,
    "prod": PRODUCTS,
    "multiply": PRODUCTS,
    "recurrence": PRODUCTS,
    "det": "the products of minors overflow in another order",
    "qr": "a singular matrix has no factors to differentiate, and LAPACK's of zeros are arbitrary",
    "pinv": "LAPACK's pseudo-inverse of infinities is NaN in parts",
    "eigh": "eigenvectors of repeated eigenvalues are not determined",
    "svd": "singular vectors of repeated singular values are not determined",
    "eig": "repeated eigenvalues have no derivative, and defective ones no eigenvectors",
    "complex_angle": "a turn by a subnormal number overflows",
    "slogdet": "a singular matrix has no logarithm to differentiate",
    "scan": "tangents of several carries are added within the body",
    "while_loop": "tangents of several carries are added within the body",
    "cond": "tangents of several arguments are added within the branch",
}
"""Rows whose two modes may disagree where a matrix is singular or data are not finite."""


def _smooth_cases() -> list[Case]:
    found = []
    for cases in CASES.values():
        for case in cases:
            args = case.args()
            y = case.row.evaluate(*args, **case.attrs)
            if any(dtype_of(p).kind in "fc" for p in (y if type(y) is tuple else (y,))):
                size = sum(np.size(args[i]) for i in case.active(args))
                if case.active(args) and size <= 12 and case.op not in REASONS:
                    found.append(case)
    return found


SMOOTH = _smooth_cases()
QUICK = [c for k, c in enumerate(SMOOTH) if k % 16 == 0]


def _as_function(case: Case, fill: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Return a row as a function of its active arguments, and those with another content."""
    args = list(case.args())
    active = case.active(tuple(args))
    for i in active:
        args[i] = filled(args[i], fill)

    def f(*zs: Any) -> Any:
        given = list(args)
        for i, z in zip(active, zs, strict=True):
            given[i] = z
        return case.row(*given, **case.attrs)

    return f, tuple(args[i] for i in active)


def _inexact(y: Any) -> list[Any]:
    return [p for p in (y if isinstance(y, tuple) else (y,)) if dtype_of(p).kind in "fc"]


def _disagree(case: Case, fill: str) -> str:
    f, xs = _as_function(case, fill)
    with np.errstate(all="ignore"):
        found = []
        for mode in (forward, reverse):
            try:
                found.append(mode(f, xs))
            except Exception as error:  # LAPACK did not converge, no closed form
                found.append(type(error).__name__)
    if any(isinstance(part, str) for part in found):
        return "" if found[0] == found[1] else f"{fill}: {found}"
    strict = all(np.asarray(x).dtype.kind == "f" for x in xs)
    why = different(*found, strict, fill not in UNBOUNDED)
    return f"{fill}: {why}" if why else ""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "case", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in SMOOTH], ids=str
)
def test_a_row_at_its_edges(case):
    assert [w for fill in FILLS if (w := _disagree(case, fill))] == []


SEVERAL = ("eigh", "svd", "eig", "qr", "pinv")
"""Rows whose results are not determined, or LAPACK's."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["native", "numpy"])
@pytest.mark.parametrize(
    "case",
    [
        c if k % 32 == 0 else pytest.param(c, marks=pytest.mark.slow)
        for k, c in enumerate(c for c in SMOOTH if c.op not in SEVERAL)
    ],
    ids=str,
)
def test_a_compiled_row_at_its_edges(case, backend):
    """A compiled pullback is finite, infinite and NaN where the eager one is."""
    f, _ = _as_function(case, "beside")

    def pulled(*xs: Any) -> Any:
        ys, pull = wg.vjp(lambda *z: _inexact(f(*z)), *xs)
        return pull([np.ones_like(y) for y in ys])

    compiled = wg.jit(pulled, backend=backend)
    for fill in FILLS:
        xs = _as_function(case, fill)[1]
        with np.errstate(all="ignore"):
            found = []
            for g in (pulled, compiled):
                try:
                    found.append(g(*xs))
                except Exception as error:  # LAPACK did not converge, no closed form
                    found.append(type(error).__name__)
        if any(isinstance(part, str) for part in found):
            assert found[0] == found[1], fill
            continue
        for a, b in zip(*found, strict=True):
            np.testing.assert_array_equal(np.isnan(a), np.isnan(b), err_msg=fill)
            np.testing.assert_array_equal(np.isinf(a), np.isinf(b), err_msg=fill)


def test_rows_that_are_exempt_exist():
    assert set(REASONS) <= set(CASES)


# --- masks before and after a row -----------------------------------------------------------------
INSIDE = np.array([True, False, True])
UNARY = sorted(
    {c.op for c in SMOOTH if isinstance(c.row.derivative, Scale) and len(c.draws) == 1}
    - {"as_number"}
)
HIDING: dict[str, Callable[[Any, Any], Any]] = {
    "where after": lambda f, x: np.where(INSIDE, f(x), 0.0),
    "where before": lambda f, x: f(np.where(INSIDE, x, 0.0)),
    "read": lambda f, x: f(x)[[0, 2, 0]],
    "slice": lambda f, x: f(x)[::2],
    "mask": lambda f, x: f(x)[INSIDE],
    "concatenate": lambda f, x: f(np.concatenate([x[:1], np.zeros(1), x[2:]])),
    "reshape": lambda f, x: np.where(INSIDE[:, None], f(x.reshape(3, 1)), 0.0).sum(1),
    "broadcast": lambda f, x: np.where(INSIDE, f(x * np.ones((2, 3))), 0.0),
    "sum": lambda f, x: f(np.sum(np.where(INSIDE[:, None], 0.0, np.outer(x, [1.0, 2.0])), axis=1)),
    "product": lambda f, x: f(np.diag([1.0, 1.0, 1.0]) @ np.where(INSIDE, 0.0, x)),
    "running sum": lambda f, x: f(np.cumsum(np.where(INSIDE, 0.0, x))),
    "maximum": lambda f, x: f(np.maximum(x - 2.0, 0.0)),
    "sort": lambda f, x: np.sort(f(x))[:1],
    "largest": lambda f, x: np.max(f(np.abs(x))),
    "least of padded": lambda f, x: f(np.min(np.pad(np.abs(x) + 0.25, 1), keepdims=True)),
    "largest of padded": lambda f, x: f(np.max(np.pad(-np.abs(x) - 0.25, 1), keepdims=True)),
    "written": lambda f, x: f(_written(x)),
    "twice": lambda f, x: np.where(INSIDE, f(np.where(INSIDE, x, 0.0)), x),
}
"""Ways to leave out entries of what a function is given or returns."""


def _written(x: Any) -> Any:
    z = np.zeros(3, like=x)
    z[0] = x[0]
    return z


def _hidden(op: str, way: str) -> Callable[[Any], Any]:
    row = CASES[op][0].row
    return functools.partial(HIDING[way], row)


AT = (np.array([0.5, 0.0, 0.25]), np.array([0.5, 1.0, 0.5]), np.array([0.5, -1.0, 0.75]),
      np.array([0.5, np.inf, 0.5]), np.array([0.5, np.nan, 0.5]))  # fmt: skip
STEEP = ("sqrt", "log", "reciprocal")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", HIDING)
@pytest.mark.parametrize(
    "op", [op if op in STEEP else pytest.param(op, marks=pytest.mark.slow) for op in UNARY]
)
def test_what_is_left_out_stays_out(op, way):
    """Eagerly, compiled and in both modes the same is finite, at numbers beside the edges too."""
    f = _hidden(op, way)
    compiled = wg.jit(wg.jacrev(f)), wg.jit(wg.jacfwd(f))
    for x in AT:
        with np.errstate(all="ignore"):
            first = wg.jacfwd(f)(x)
            others = [wg.jacrev(f)(x)]
            if op in STEEP[:3]:
                others += [g(x) for g in compiled]
        for other in others:
            seeds = op in STEEP or bool(np.all(np.isfinite(x)))
            if not seeds and way == "product":
                continue  # the matrix has zeros, which the infinite number meets
            assert different(first, other, strict=False, seeds=seeds) == "", x


SLOW_STEEP = [pytest.param(op, marks=pytest.mark.slow) for op in ("cbrt", "log", "reciprocal")]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("op", ["sqrt", "arccos", *SLOW_STEEP])
@pytest.mark.parametrize("way", ["where after", "where before", "read", "slice", "mask", "twice"])
def test_what_is_left_out_is_zero_at_first_and_second_order(op, way):
    """The entry in the middle, at the edge of the domain, has derivative 0 where it is hidden."""
    edge = {"arccos": 1.0}.get(op, 0.0)
    x = np.array([0.5, edge, 0.25])
    f = _hidden(op, way)

    def total(x: Any) -> Any:
        return np.sum(f(x) ** 2)

    kept = [0, 2]
    safe = np.array([0.5, 0.3, 0.25])
    for g in (
        wg.grad(total), wg.jacfwd(total), wg.hessian(total), wg.jacrev(wg.grad(total)),
        wg.jacfwd(wg.jacfwd(total)), wg.jit(wg.grad(total)), wg.jit(wg.hessian(total)),
        wg.jit(wg.jacfwd(total)),
    ):  # fmt: skip
        with np.errstate(all="ignore"):
            found, expected = g(x), g(safe)
        if way != "twice":
            assert np.all(found[1] == 0), g
            assert np.all(found[..., 1] == 0), g
        pick = np.ix_(*[kept] * found.ndim)
        np.testing.assert_allclose(found[pick], expected[pick], rtol=1e-12)


def test_a_slope_of_zero_is_not_left_out():
    """0 * inf stays NaN where the 0 is a number: the derivative of cbrt(x**3) is 1."""
    with np.errstate(all="ignore"):
        for f in (lambda x: np.cbrt(x**3), lambda x: np.sqrt(x * x), lambda x: np.sqrt(x**2)):
            for g in (wg.grad(f), wg.jacfwd(f), wg.jit(wg.grad(f)), wg.jit(wg.jacfwd(f))):
                assert np.isnan(g(0.0))


def test_data_that_are_missing_do_not_spoil_a_gradient():
    data = np.array([1.0, np.nan, 3.0])

    def misfit(w: Any) -> Any:
        return np.sum(np.where(np.isnan(data), 0.0, (w * data - 1.0) ** 2))

    def read(w: Any) -> Any:
        return np.sum((w * data - 1.0)[~np.isnan(data)] ** 2)

    w = np.array([2.0, 2.0, 2.0])
    for f in (misfit, read):
        for g in (wg.grad(f), wg.jacfwd(f), wg.jit(wg.grad(f)), wg.jit(wg.jacfwd(f))):
            np.testing.assert_allclose(g(w), [2.0, 0.0, 30.0])


def test_batches_leave_out_what_examples_do():
    x = np.array([[0.0, 4.0], [1.0, 0.0]])

    def f(x: Any) -> Any:
        return np.sum(np.where(x > 0, np.sqrt(x), 0.0))

    expected = [[0.0, 0.25], [0.5, 0.0]]
    for g in (wg.vmap(wg.grad(f)), wg.jit(wg.vmap(wg.grad(f))), wg.vmap(wg.jacfwd(f))):
        np.testing.assert_array_equal(g(x), expected)
    np.testing.assert_array_equal(wg.grad(lambda x: np.sum(wg.vmap(f)(x)))(x), expected)


def test_a_region_that_is_computed_again_leaves_out_the_same():
    x = np.array([0.0, 4.0])
    f = wg.checkpoint(lambda x: np.where(x > 0, np.sqrt(x), 0.0))
    np.testing.assert_array_equal(wg.grad(lambda x: np.sum(f(x)))(x), [0.0, 0.25])
    np.testing.assert_array_equal(wg.jacfwd(lambda x: np.sum(f(x)))(x), [0.0, 0.25])


def test_masks_are_those_of_the_moment_at_which_they_are_used():
    """A mask or an index that the function changes afterwards is still what it was."""
    x = np.array([0.0, 4.0])

    def f(x: Any) -> Any:
        mask = np.array([False, True])
        y = np.where(mask, x, 0.0)
        mask[:] = True
        return np.sum(np.sqrt(y))

    np.testing.assert_array_equal(wg.jacfwd(f)(x), [0.0, 0.25])
    assert wg.jvp(f, (x,), (np.ones(2),), allow_int=True)[1] == 0.25
    np.testing.assert_array_equal(wg.grad(f)(x), [0.0, 0.25])


def test_a_seed_of_zero_gives_zero_beside_a_pole():
    """A column of a Jacobian, and a row, is infinite in its own entry only."""
    x = np.array([0.0, 4.0])
    expected = [[np.inf, 0.0], [0.0, 0.25]]
    for g in (wg.jacfwd(np.sqrt), wg.jacrev(np.sqrt), wg.jacobian(np.sqrt)):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(g(x), expected)
            np.testing.assert_array_equal(wg.jit(g)(x), expected)


MAPS: dict[str, Callable[[Any], Any]] = {
    "root": np.sqrt,
    "quotient": lambda x: x * np.log(x) / (1.0 + x[::-1]),
    "product": lambda x: np.sqrt(x[1:] * x[:-1]),
    "branch": lambda x: np.where(x > 2.0, np.sqrt(x), np.log(x)),
    "sums": lambda x: np.cumsum(np.log(x)) ** 0.5,
    "matrix": lambda x: np.log(np.array([[1.0, 2.0], [3.0, 4.0]]) @ np.sqrt(x)),
    "largest": lambda x: np.sqrt(np.max(np.log(x)) + np.maximum(x, 3.0)),
    "written": lambda x: np.log(np.concatenate([x, x[:1]]))[np.array([2, 1, 1])],
}
"""Functions of two numbers above 1, with slopes that can be infinite elsewhere."""

SEEDED: dict[str, Callable[..., Any]] = {
    "push": lambda f, x, s: np.sum(wg.jvp(f, (x,), (s,), allow_int=True)[1]),
    "linear": lambda f, x, s: np.sum(wg.linearize(f, x, allow_int=True)[1](s) ** 1),
    "pull": lambda f, x, s: np.sum(
        wg.vjp(f, x, allow_int=True)[1](np.sum(s) * np.ones(len(f(x))))[0]
    ),
    "compiled": lambda f, x, s: np.sum(
        wg.jit(lambda x, s: wg.jvp(f, (x,), (s,), allow_int=True)[1])(x, s)
    ),
}
"""Numbers that are linear in a seed."""


def _turned(g: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, s: np.transpose(g(x, s))


@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("way", SEEDED)
def test_the_derivative_by_a_seed_is_the_slope_at_zero_too(way, name, dtype):
    """What is cut is linear in the seed, so its derivatives are the same at any seed."""
    x, zero, one = (np.array(v, dtype) for v in ([1.25, 4.0], [0.0, 0.0], [1.0, 1.0]))

    def h(x: Any, s: Any) -> Any:
        return SEEDED[way](MAPS[name], x, s)

    by_seed = [wg.grad(h, argnums=1), wg.jacfwd(h, argnums=1), wg.jacrev(h, argnums=1)]
    mixed = [
        wg.jacfwd(wg.grad(h, argnums=1)),
        wg.jacrev(wg.grad(h, argnums=1)),
        _turned(wg.jacfwd(wg.grad(h), argnums=1)),
        _turned(wg.jacrev(wg.grad(h), argnums=1)),
        _turned(wg.jacfwd(wg.jacfwd(h), argnums=1)),
    ]
    expected = [by_seed[0](x, one), mixed[0](x, one)]
    assert all(np.any(e != 0) for e in expected)
    for group, value in zip((by_seed, mixed), expected, strict=True):
        for g in group:
            np.testing.assert_allclose(g(x, zero), value, rtol=1e-5)
        np.testing.assert_allclose(wg.jit(group[-2])(x, zero), value, rtol=1e-5)


def test_a_graph_is_differentiated_by_its_seeds():
    x = np.array([1.25, 4.0])
    made = wg.jit(lambda x, s: wg.jvp(np.sqrt, (x,), (s,))[1]).plan(x, np.ones(2))
    recorded = as_function(made.graph)

    def f(x: Any, s: Any) -> Any:
        return np.sum(recorded(x, s)[0])

    zero = np.zeros(2)
    np.testing.assert_allclose(wg.grad(f, argnums=1)(x, zero), 0.5 * x**-0.5)
    np.testing.assert_allclose(wg.jacfwd(f, argnums=1)(x, zero), 0.5 * x**-0.5)
    expected = np.diag(-0.25 * x**-1.5)
    np.testing.assert_allclose(wg.jacfwd(wg.grad(f), argnums=1)(x, zero), expected)
    np.testing.assert_allclose(wg.jacrev(wg.grad(f), argnums=1)(x, zero), expected)


def test_a_long_chain_of_masks_and_writes():
    """Marks of thousands of updates are found without recursion."""
    n = 3000

    def f(x: Any) -> Any:
        y = np.log(x)
        total = 0.0
        for i in range(1, n):
            total = total + y[i] * y[i]
        return total

    x = np.full(n, np.e)
    x[0] = 0.0
    with np.errstate(all="ignore"):
        found = wg.grad(f)(x)
    assert found[0] == 0
    np.testing.assert_allclose(found[1:], 2 / np.e)


def test_a_branch_within_a_loop():
    x = np.array([0.0, 16.0])

    def f(x: Any) -> Any:
        carry = wg.scan(lambda c, _: (np.where(c > 0, np.sqrt(c), 0.0), None), x, None, length=2)[0]
        return np.sum(carry)

    for g in (wg.grad(f), wg.jacfwd(f), wg.jit(wg.grad(f)), wg.jit(wg.jacfwd(f))):
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(g(x), [0.0, 0.25 * 16**-0.75])


@pytest.mark.parametrize("sparsity", [None, "auto"])
def test_entries_of_matrices(sparsity):
    x = np.array([0.0, 4.0, 1.0])
    ways = {
        "after": lambda x: np.where(x > 0, np.sqrt(x), 0.0),
        "before": lambda x: np.cbrt(np.where(x > 0, x, 0.0)),
        "product": lambda x: np.where(x > 0, x * np.log(x), 0.0),
    }
    for f in ways.values():
        dense = wg.jacfwd(f)(np.array([0.5, 4.0, 1.0]))
        dense[0, 0] = 0.0
        with np.errstate(all="ignore"):
            g = wg.jacobian(f, sparsity=sparsity)
            for _ in range(2):
                found = g(x)
                found = found.toarray() if scipy.sparse.issparse(found) else found
                np.testing.assert_allclose(found, dense, atol=1e-15)


def test_a_spread_that_is_clipped_away():
    """The standard deviation of numbers that a clip makes equal does not move."""
    x = np.array([0.2, 0.5, 3.0])

    def f(x: Any) -> Any:
        return np.nanstd(np.clip(x, 0.75, 0.75))

    for g in (wg.grad(f), wg.jacfwd(f), wg.jit(wg.grad(f)), wg.jit(wg.jacfwd(f))):
        np.testing.assert_array_equal(g(x), np.zeros(3))
