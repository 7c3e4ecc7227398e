"""NumPy's functions on traced values: NumPy's results, and derivatives made without wengert."""

from __future__ import annotations

import runpy
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import optree
import oracle
import pytest
from numpy_cases import METHODS, QUESTIONS, USES
from numpy_use import Use
from operator_cases import INDEXING, UFUNC_OPTIONS
from rest_cases import COVERED as REST

import wengert as wg
from wengert.errors import UnsupportedError
from wengert.trace.dispatch import FUNCTIONS, UFUNC_METHODS

BATCH = 4
OWN_FILE = {"numpy.linalg", "numpy.fft"}
"""Modules whose functions have their own test files."""


def named(function: Any) -> str:
    return function if isinstance(function, str) else function.__name__


RECORDS: list[tuple[str, Use]] = [
    *((f"{named(f)}-{i}", use) for f, uses in USES.items() for i, use in enumerate(uses)),
    *((f"{u}.{m}-{i}", use) for (u, m), uses in METHODS.items() for i, use in enumerate(uses)),
    *((f"index-{i}", use) for i, use in enumerate(INDEXING)),
    *((f"ufunc-{i}", use) for i, use in enumerate(UFUNC_OPTIONS)),
]
each = pytest.mark.parametrize("use", [u for _, u in RECORDS], ids=[n for n, _ in RECORDS])


# --- completeness -------------------------------------------------------------------------------
def test_every_function_has_a_use():
    covered = set(USES) | set(QUESTIONS) | REST
    missing = [
        f"{f.__module__}.{f.__name__}"
        for f in FUNCTIONS
        if f not in covered and getattr(f, "__module__", "") not in OWN_FILE
    ]
    assert sorted(missing) == [], "add uses of these to numpy_cases.py"


def test_every_ufunc_method_has_a_use():
    known = {("any ufunc" if u is None else u.__name__, m) for u, m in UFUNC_METHODS}
    assert known == set(METHODS)


def test_every_use_is_of_a_supported_function():
    assert [named(f) for f in (*USES, *QUESTIONS) if f not in FUNCTIONS] == []


# --- values and derivatives ---------------------------------------------------------------------
def numpys(use: Use, args: tuple[Any, ...]) -> Any:
    """Return NumPy's own result."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return use.f(*args)


def tangents(args: tuple[Any, ...]) -> tuple[Any, ...]:
    rng = np.random.default_rng(3)
    return tuple(oracle.tangent(rng, x) for x in args)


def directions(args: tuple[Any, ...], ts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Zeros for integer arguments, as wengert takes them."""
    return tuple(
        np.zeros(x.shape, x.dtype) if t is None else t for x, t in zip(args, ts, strict=True)
    )


@each
def test_value_and_derivative(use):
    args = use.args()
    expected = numpys(use, args)
    ts = tangents(args)
    y, t = wg.jvp(use.f, args, directions(args, ts), allow_int=True)
    oracle.same(y, expected, "the value under jvp")
    rows = [oracle.leaves(t), oracle.leaves(y)]
    assert all(a.dtype == b.dtype for a, b in zip(*rows, strict=True) if b.dtype.kind in "fc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        slopes = oracle.differences(use.f, args, ts)
    holes = [np.where(np.isfinite(w), g, w) for g, w in zip(oracle.leaves(t), slopes, strict=True)]
    low = any(x.dtype in (np.float32, np.complex64) for x in oracle.leaves(y))
    oracle.close(holes, slopes, 2e-2 if low else 1e-7, "the tangent")

    primal, pullback = wg.vjp(use.f, *args, allow_int=True)
    oracle.same(primal, expected, "the value under vjp")
    rng = np.random.default_rng(4)
    cts = [oracle.tangent(rng, v) for v in oracle.leaves(y)]
    pulled = pullback(_like(y, cts))
    active = [(c, t) for c, t in zip(pulled, ts, strict=True) if t is not None]
    assert [c.dtype for c, _ in active] == [x.dtype for x in args if oracle.inexact(x)]
    left = oracle.pairing([c for c, _ in active], [t for _, t in active])
    oracle.close(
        left, oracle.pairing(cts, oracle.leaves(t)), 1e-5 if low else 1e-11, "the cotangent"
    )


def _like(y: Any, cts: list[Any]) -> Any:
    """Give cotangents the form of a result; zeros for integer parts."""
    flat, spec = optree.tree_flatten(y)
    filled = [
        np.zeros(np.shape(v), np.asarray(v).dtype) if c is None else c
        for c, v in zip(cts, flat, strict=True)
    ]
    return spec.unflatten(filled)


@pytest.mark.parametrize(
    "use", [u for _, u in RECORDS if u.batched], ids=[n for n, u in RECORDS if u.batched]
)
def test_vmap_equals_a_loop(use):
    many = [use.args(seed) for seed in range(BATCH)]
    stacked = tuple(np.stack(parts) for parts in zip(*many, strict=True))
    got = oracle.leaves(wg.vmap(use.f)(*stacked))
    for k, args in enumerate(many):
        oracle.same([g[k] for g in got], numpys(use, args), f"example {k}")


@pytest.mark.parametrize(
    "use", [u for _, u in RECORDS if u.single], ids=[n for n, u in RECORDS if u.single]
)
def test_single_precision_has_numpys_dtypes(use):
    args = tuple(oracle.narrow(x) for x in use.args())
    expected = oracle.leaves(numpys(use, args))
    ts = directions(args, tangents(args))
    y, t = wg.jvp(use.f, args, ts, allow_int=True)
    assert [v.dtype for v in oracle.leaves(y)] == [v.dtype for v in expected]
    assert [v.dtype for v in oracle.leaves(t)] == [v.dtype for v in expected]
    oracle.close(y, expected, 1e-4)
    primal, pullback = wg.vjp(use.f, *args, allow_int=True)
    cts = pullback(_like(primal, [oracle.tangent(np.random.default_rng(0), v) for v in expected]))
    assert all(c.dtype == x.dtype for c, x in zip(cts, args, strict=True) if oracle.inexact(x))


# --- answers that are no arrays -----------------------------------------------------------------
ANSWERS = [
    (f"{named(f)}-{i}", ask) for f, every in QUESTIONS.items() for i, ask in enumerate(every)
]


@pytest.mark.parametrize("ask", [a for _, a in ANSWERS], ids=[n for n, _ in ANSWERS])
def test_answer(ask):
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    heard = []

    def f(x: Any) -> Any:
        heard.append(ask(x))
        return np.sum(x)

    wg.grad(f)(x)
    wg.jvp(f, (x,), (x,), allow_int=True)
    assert heard == [ask(x)] * 2


# --- errors -------------------------------------------------------------------------------------
X = np.ones((2, 3))


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda x: np.sum(x, axis=2), np.exceptions.AxisError),
        (lambda x: np.max(x, axis=-3), np.exceptions.AxisError),
        (lambda x: np.sum(x, axis=(0, 0)), ValueError),
        (lambda x: np.cumsum(x, axis=5), np.exceptions.AxisError),
        (lambda x: np.sort(x, axis=2), np.exceptions.AxisError),
        (lambda x: np.transpose(x, (0, 0)), ValueError),
        (lambda x: np.moveaxis(x, 0, 7), np.exceptions.AxisError),
        (lambda x: np.expand_dims(x, 9), np.exceptions.AxisError),
        (lambda x: np.squeeze(x, axis=0), ValueError),
        (lambda x: np.concatenate([x, np.ones((2, 4))]), ValueError),
        (lambda x: np.stack([x, x[0]]), ValueError),
        (lambda x: np.reshape(x, (4, 2)), ValueError),
        (lambda x: np.reshape(x, (-1, -1)), ValueError),
        (lambda x: np.broadcast_to(x, (3, 3)), ValueError),
        (lambda x: x @ x, ValueError),
        (lambda x: np.einsum("ij,jk", x, x), ValueError),
        (lambda x: np.split(x, 2, axis=1), ValueError),
        (lambda x: x + np.ones(4), ValueError),
        (lambda x: x[5], IndexError),
        (lambda x: x[:, :, 0], IndexError),
        (lambda x: x[[7]], IndexError),
        (lambda x: x[0.5], IndexError),
        (lambda x: np.take(x, [9]), IndexError),
        (lambda x: np.max(x[:0]), ValueError),
        (lambda x: np.argmax(x[:0]), ValueError),
        (lambda x: np.max(x, where=x > 0), ValueError),
        (lambda x: np.repeat(x, [1, 2], axis=1), ValueError),
        (lambda x: np.quantile(x, 1.5), ValueError),
        (lambda x: np.partition(x, 9), ValueError),
        (lambda x: np.lib.stride_tricks.sliding_window_view(x, 2), ValueError),
        (lambda x: np.lib.stride_tricks.sliding_window_view(x, (9, 1)), ValueError),
        (lambda x: np.lib.stride_tricks.sliding_window_view(x, (-1, 1)), ValueError),
    ],
)
def test_what_numpy_refuses_is_refused(call, error):
    with pytest.raises(error):
        call(X)
    with pytest.raises(error):
        wg.grad(lambda x: np.sum(call(x)))(X)


def test_the_page_of_functions_is_current():
    docs = Path(__file__).resolve().parents[2] / "docs"
    written = runpy.run_path(str(docs / "make_numpy.py"))["page"]()
    assert (docs / "numpy.md").read_text(encoding="utf-8") == written, "run docs/make_numpy.py"


def test_an_unknown_function_is_named():
    with pytest.raises(UnsupportedError, match=r"numpy\.busday_count"):
        wg.grad(lambda x: np.busday_count(x, x))(1.0)
