"""Elementwise operations of native code at special values, at every length of a vector loop."""

from __future__ import annotations

import itertools
from typing import Any

import native_oracle as oracle
import numpy as np
import pytest

from wengert.backend.native.scalar.lower import LOWER
from wengert.ir.build import Builder
from wengert.ir.verify import verify
from wengert.ops.base import TABLE, Op

FLOATS = [np.dtype(np.float64), np.dtype(np.float32)]
DTYPES = [*FLOATS, *map(np.dtype, (np.int64, np.int32, np.bool_))]
LENGTHS = (1, 3, 8, 17, 1000, None)
"""Fewer than a vector, one, vectors and a rest; None for all pairs of special values."""

UFUNCS = [
    name
    for name in LOWER
    if name in TABLE and TABLE[name].ufunc is not None and name not in ("power", "ldexp")
]

TIES = {"fmax", "fmin"}
"""Operations for which NumPy's choice between 0 and -0 depends on where they stand in an array."""


def special(dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Zeros, infinities, NaN, the limits of a dtype, and places where functions change method."""
    if dtype.kind == "b":
        return np.array([False, True])
    if dtype.kind == "i":
        i = np.iinfo(dtype)
        near = [0, 1, 2, 3, 7, -1, -2, -3, -7, 31, 32, 63, 64, 100000, -100000]
        return np.array([*near, i.max, i.min, i.max - 1, i.min + 1], dtype)
    f = np.finfo(dtype)
    wide = [
        f.max,
        f.max / 2,
        f.tiny,
        f.tiny * 3.3,
        f.smallest_subnormal,
        f.smallest_subnormal * 12345,
    ]
    wide += [
        f.eps,
        1 - f.epsneg,
        1 + f.eps,
        np.sqrt(f.max),
        np.inf,
        2.0**31,
        2.0**63,
        2.0**24 + 2,
        1e15,
    ]
    round_ = [
        0.0,
        0.1,
        0.5,
        1.0,
        1.5,
        2.0,
        2.5,
        3.0,
        4.5,
        7.0,
        10.0,
        20.0,
        30.0,
        100.0,
        1e-3,
        123456.789,
    ]
    edges = [np.pi, np.pi / 2, np.e, 88.0, 89.0, 103.9, 104.0, 709.0, 710.0, 745.0, 746.0, 1e22]
    half = np.array([*round_, *wide, *edges]).astype(dtype)
    return np.array([*half, *-half, np.nan], dtype)


def grid(dtype: np.dtype[Any], arity: int, length: int | None) -> list[np.ndarray[Any, Any]]:
    """Every combination of special values, or some of them, in an order without a pattern."""
    values = special(dtype)
    combined = [
        np.array(x, dtype) for x in zip(*itertools.product(values, repeat=arity), strict=True)
    ]
    order = np.random.default_rng(0).permutation(len(combined[0]))
    return [np.resize(x[order], length or len(order)) for x in combined]


def accepts(op: Op, dtypes: Any) -> bool:
    """Whether NumPy has a loop for these arguments that makes a dtype of native code."""
    try:
        found = op.ufunc.resolve_dtypes((*dtypes, None))
    except TypeError:
        return False
    return found[-1] in oracle.NATIVE


def fused(names: list[str], xs: list[np.ndarray[Any, Any]]) -> Any:
    """Run several operations in one loop, natively and in NumPy."""
    b = Builder()
    inputs = [b.input(x) for x in xs]
    graph = verify(b.finish([b.add(TABLE[name], *inputs) for name in names]))
    oracle.compiled(graph)
    return oracle.both(graph, xs)


@pytest.mark.share(4)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("arity", [1, 2])
def test_ufuncs(arity: int, dtype: np.dtype[Any], length: int | None):
    names = [
        n for n in UFUNCS if TABLE[n].ufunc.nin == arity and accepts(TABLE[n], (dtype,) * arity)
        and not (n == "reciprocal" and dtype.kind != "f")
    ]  # fmt: skip
    xs = grid(dtype, arity, length)
    for name, got, want in zip(names, *fused(names, xs), strict=True):
        if name in TIES:
            oracle.same_bits(got, want, name, zeros=False)
        else:
            oracle.agree(name, got, want)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("arity", [1, 2])
def test_a_result_does_not_depend_on_its_place(arity: int, dtype: np.dtype[Any]):
    """In a vector or after the last one, a number has the same bits."""
    names = [
        n for n in UFUNCS if TABLE[n].ufunc.nin == arity and accepts(TABLE[n], (dtype,) * arity)
    ]
    xs = grid(dtype, arity, 499)  # a prime, so that every number meets every lane
    twice = [np.concatenate([x] * 3) for x in xs]
    long, _ = fused(names, twice)
    for name, y in zip(names, long, strict=True):
        oracle.same_bits(y[499:998], y[:499], name)
        oracle.same_bits(y[998:], y[:499], name)


POWERS = (0, 1, 2, 3, 4, 5, -1, -2, 0.5, -0.5, 1.5, 2.0, 0.0, np.float64(0.5), np.float64(2.0))


@pytest.mark.share(4)
@pytest.mark.parametrize("dtype", DTYPES[:4], ids=str)
@pytest.mark.parametrize("length", [None, 3, ()])
def test_powers(dtype: np.dtype[Any], length: Any):
    """Constant exponents, of arrays and of scalars; for those NumPy has its own ways."""
    for exponent in POWERS:
        if dtype.kind == "i" and exponent < 0:
            continue  # NumPy refuses
        for name in ("power", "float_power"):
            values = special(dtype)
            runs = values if length == () else [values if length is None else values[:length]]
            graph = None
            for x in runs:
                if graph is None:
                    b = Builder()
                    graph = verify(b.finish([b.add(TABLE[name], b.input(x), exponent)]))
                    program = oracle.compiled(graph)
                (got,) = program.run([x])
                with np.errstate(all="ignore"):
                    want = TABLE[name].evaluate(x, exponent)
                if np.asarray(want).dtype.kind == "f":
                    oracle.near(got, want, 6, f"{x!r} ** {exponent!r}")
                else:
                    oracle.same_bits(got, want, f"{x!r} ** {exponent!r}")


def test_arrays_of_powers():
    for dtype in FLOATS:
        xs = grid(dtype, 2, None)
        got, want = oracle.both(oracle.one_node("power", xs), xs)
        oracle.near(got[0], want[0], 6)


@pytest.mark.parametrize("source", DTYPES, ids=str)
def test_conversions(source: np.dtype[Any]):
    """Floats outside the range of an integer included."""
    x = np.resize(special(source), 500)
    b = Builder()
    v = b.input(x)
    graph = b.finish([b.add(TABLE["convert"], v, dtype=d) for d in DTYPES])
    for got, want in zip(*oracle.both(verify(graph), [x]), strict=True):
        oracle.same_bits(got, want, f"{source} to {want.dtype}")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_selections(dtype: np.dtype[Any]):
    a, b = grid(dtype, 2, None)
    for condition in (a == b, a.astype(bool), a, np.True_):
        graph = oracle.one_node("select", [condition, a, b])
        got, want = oracle.both(graph, [condition, a, b])
        oracle.same_bits(got[0], want[0])


@pytest.mark.parametrize("pair", [*itertools.product(DTYPES, repeat=2)], ids=str)
def test_mixed_dtypes(pair: Any):
    names = (
        "add",
        "multiply",
        "maximum",
        "less",
        "equal",
        "divide",
        "power",
        "bitwise_and",
        "floor_divide",
    )
    names = [
        n for n in names if accepts(TABLE[n], pair) and not (n == "power" and pair[1].kind == "i")
    ]
    xs = [np.resize(special(d), 97) for d in pair]
    for name, got, want in zip(names, *fused(names, xs), strict=True):
        oracle.agree(name, got, want)


SCALARS = [
    *(0, 1, -3, 2**31, True, 0.5, -0.0, np.inf, np.nan),
    *(np.float32(0.1), np.int32(-1), np.int64(2**40)),
]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_scalars_beside_arrays(dtype: np.dtype[Any]):
    """Numbers of Python have no dtype; one that a comparison cannot hold is compared exactly."""
    x = np.resize(special(dtype), 33)
    for number in (*SCALARS, 2**63, 2**70, -(2**70)):
        b = Builder()
        v = b.input(x)
        found = []
        for name in ("add", "multiply", "less", "greater_equal", "not_equal", "maximum"):
            try:
                with np.errstate(all="ignore"):
                    TABLE[name].evaluate(x, number)
            except (TypeError, OverflowError):
                continue
            found += [b.add(TABLE[name], v, number), b.add(TABLE[name], number, v)]
        found = [y for y in found if y.dtype in oracle.NATIVE]
        if found:
            got, want = oracle.both(verify(b.finish(found)), [x])
            for p, q in zip(got, want, strict=True):
                oracle.same_bits(p, q, f"{number!r}")


def test_ldexp():
    for dtype, whole in itertools.product(FLOATS, (np.int32, np.int64)):
        i = np.iinfo(whole)
        x, n = map(
            np.array,
            zip(
                *itertools.product(special(dtype), [0, 1, -1, 60, -1080, 2000, i.max, i.min]),
                strict=True,
            ),
        )
        args = [x.astype(dtype), n.astype(whole)]
        got, want = oracle.both(oracle.one_node("ldexp", args), args)
        oracle.same_bits(got[0], want[0])


@pytest.mark.share(4)
@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "any", "all"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_reductions_of_special_values(name: str, dtype: np.dtype[Any]):
    """A NaN or an infinity goes through wherever it stands; zeros of both signs are equal."""
    rng = np.random.default_rng(2)
    for length, axis in itertools.product((1, 2, 7, 8, 33, 200), (0, 1)):
        x = (
            rng.integers(0, 3, (5, length)).astype(dtype)
            if axis
            else rng.integers(0, 3, (length, 5)).astype(dtype)
        )
        if dtype.kind == "f":
            for row, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
                x[(row, -1) if axis else (-1, row)] = value
        got, want = oracle.both(
            oracle.one_node(name, [x], {"axis": (axis,), "keepdims": False}), [x]
        )
        if dtype.kind == "f" and name in ("sum", "prod"):
            oracle.close(got[0], want[0], 100, scale=1.0)
        else:
            oracle.same_bits(got[0], want[0], zeros=False)
