"""Kinds of operations and bytes: against numbers that count themselves, and against formulas."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
from op_cases import CASES

from wengert.cost.operation import KINDS, bytes_of, count_operation
from wengert.ir.build import Builder
from wengert.ir.graph import SLOT, Aval, aval_of
from wengert.ops.base import TABLE

EVERY = [case for cases in CASES.values() for case in cases]


def node_of(op, *args, **attrs):
    builder = Builder()
    given = [x if isinstance(x, (int, float)) else builder.input(aval_of(x)) for x in args]
    builder.add(TABLE[op], *given, **attrs)
    (node,) = builder.finish([]).nodes
    return node, [aval_of(x) for x in node.inputs], [v.aval for v in node.outputs]


def counted(op, *args, **attrs):
    return count_operation(*node_of(op, *args, **attrs))


def test_every_row_says_what_it_counts():
    """No row is unknown, no kind is unheard of, and kinds add up to a whole."""
    for case in EVERY:
        found = counted(case.op, *case.args(), **case.attrs)
        if case.op == "while_loop":  # data decides how many trips it takes
            assert found is None
            continue
        assert found is not None, str(case)
        assert set(found.kinds) <= {*KINDS, "move"}, str(case)
        assert all(type(n) is int and n > 0 for n in found.kinds.values()), str(case)


class Number:
    """A number that counts the arithmetic that is done with it."""

    done: ClassVar = Counter()

    def __init__(self, value):
        self.value = Fraction(value)

    def _made(self, kind, value):
        Number.done[kind] += 1
        return Number(value)

    def __add__(self, other):
        return self._made("add", self.value + other.value)

    def __radd__(self, start):
        return self._made("add", self.value + start)

    def __sub__(self, other):
        return self._made("add", self.value - other.value)

    def __mul__(self, other):
        return self._made("multiply", self.value * other.value)

    def __truediv__(self, other):
        return self._made("multiply", self.value / other.value)

    def __neg__(self):
        return self._made("add", -self.value)

    def __abs__(self):
        return self._made("add", abs(self.value))


def numbers(*shape):
    size = int(np.prod(shape))
    made = np.empty(size, object)
    made[:] = [Number(i + 1) for i in range(size)]
    return made.reshape(shape)


COUNTED = [
    ("add", [(4, 3), (3,)], {}),
    ("subtract", [(2, 1), (3,)], {}),
    ("multiply", [(5,), (2, 1)], {}),
    ("divide", [(4,), ()], {}),
    ("negative", [(2, 3)], {}),
    ("absolute", [(7,)], {}),
    ("sum", [(4, 5)], {"axis": (1,), "keepdims": False}),
    ("sum", [(4, 5)], {"axis": (0, 1), "keepdims": True}),
    ("prod", [(3, 4)], {"axis": (0,), "keepdims": False}),
    ("cumsum", [(6, 2)], {"axis": 0}),
    ("cumprod", [(2, 5)], {"axis": 1}),
    ("contract", [(4,), (5,)], {"spec": "a,b->ab"}),
    ("contract", [(4, 3), (4, 3)], {"spec": "ab,ab->ab"}),
    ("reshape", [(4, 3)], {"shape": (12,)}),
    ("concatenate", [(4, 3), (2, 3)], {"axis": 0}),
    ("index_set", [(5,), (2,)], {"spec": (slice(0, 2),)}),
]


@pytest.mark.parametrize(("op", "shapes", "attrs"), COUNTED, ids=lambda x: str(x))
def test_numbers_that_count_themselves(op, shapes, attrs):
    """What NumPy does with each number is what the table says, kind by kind."""
    Number.done = Counter()
    TABLE[op].evaluate(*(numbers(*s) for s in shapes), **attrs)
    predicted = counted(op, *(np.ones(s) for s in shapes), **attrs).kinds
    assert Number.done == {k: n for k, n in predicted.items() if k != "move"}


@pytest.mark.parametrize(
    ("spec", "shapes"), [("ab,bc->ac", [(2, 3), (3, 4)]), ("abc,acd->abd", [(2, 3, 4), (2, 4, 2)])]
)
def test_products_of_a_contraction(spec, shapes):
    """Multiplications are exact; the convention counts a sum for each, the first one too."""
    Number.done = Counter()
    x, y = (numbers(*s) for s in shapes)
    np.einsum(spec, x, y)
    found = counted("contract", *(np.ones(s) for s in shapes), spec=spec)
    outs = np.einsum(spec, *(np.ones(s) for s in shapes)).size
    assert found.kinds["multiply"] == found.macs == Number.done["multiply"]
    assert found.kinds["add"] in (Number.done["add"], Number.done["add"] + outs)


def test_complex_arithmetic_is_counted_in_real_operations():
    z = np.ones(3, complex)
    assert counted("add", z, z).kinds == {"add": 6}
    assert counted("multiply", z, z).kinds == {"multiply": 12, "add": 6}
    assert counted("divide", z, z).kinds == {"multiply": 24, "add": 9}
    assert counted("exp", z).kinds == {"transcendental": 9, "multiply": 6}
    m = np.ones((4, 4), complex)
    found = counted("contract", m, m, spec="ab,bc->ac")
    assert sum(found.kinds.values()) == 8 * 4**3
    assert found.macs == 4 * 4**3
    assert counted("complex_absolute", z).kinds == {"multiply": 6, "add": 3, "transcendental": 3}


N = 30
LAPACK = [
    ("cholesky", [(N, N)], {"lower": True}, N**3 / 3),
    ("lu_factor", [(N, N)], {}, 2 * N**3 / 3),
    ("solve", [(N, N), (N, 1)], {}, 2 * N**3 / 3 + 2 * N**2),
    ("solve", [(5, N, N), (5, N, 7)], {}, 5 * (2 * N**3 / 3 + 7 * 2 * N**2)),
    ("solve_triangular", [(N, N), (N, 2)], {"lower": True, "transposed": False}, 2 * N**2),
    ("inv", [(N, N)], {"strict": True}, 2 * N**3),
    ("det", [(N, N)], {}, 2 * N**3 / 3),
    ("slogdet", [(N, N)], {}, 2 * N**3 / 3),
    ("qr", [(N, 12)], {}, 2 * (2 * N * 12**2 - 2 * 12**3 / 3)),
    ("svd", [(N, 12)], {}, 6 * N * 12**2 + 20 * 12**3),
    ("eigh", [(N, N)], {"lower": True}, 9 * N**3),
    ("eig", [(N, N)], {}, 25 * N**3),
]


@pytest.mark.parametrize(("op", "shapes", "attrs", "flops"), LAPACK, ids=lambda x: str(x))
def test_factorisations(op, shapes, attrs, flops):
    """The leading terms of LAPACK Working Note 41 and of Golub and Van Loan; half are products."""
    rng = np.random.default_rng(0)
    args = [rng.normal(size=s) for s in shapes]
    if op in ("cholesky", "eigh"):
        args[0] = args[0] @ args[0].T + N * np.eye(N)
    row = TABLE[op]
    made = row.evaluate(*args, **attrs)
    outs = [aval_of(y) for y in (made if isinstance(made, tuple) else (made,))]
    assert row.flops(outs[0], *map(aval_of, args), **attrs) == pytest.approx(flops, abs=1)
    found = counted(op, *args, **attrs)
    assert sum(found.kinds.values()) == pytest.approx(flops, abs=1)
    assert abs(found.kinds["multiply"] - found.kinds["add"]) <= 1
    assert row.formula


COMPOUND = [
    ("remainder", 2, {"multiply": 2, "add": 1, "compare": 1}),
    ("hypot", 2, {"multiply": 2, "add": 1, "transcendental": 1}),
    ("logaddexp", 2, {"compare": 1, "add": 3, "transcendental": 2}),
    ("xlogy", 2, {"compare": 1, "multiply": 1, "transcendental": 1}),
    ("arctan2", 2, {"multiply": 1, "add": 1, "transcendental": 1, "compare": 1}),
    ("arccos", 1, {"add": 1, "transcendental": 1}),
    ("expit", 1, {"multiply": 1, "add": 2, "transcendental": 1}),
    ("erf", 1, {"multiply": 10, "add": 9, "transcendental": 1}),
    ("maximum_part", 3, {"compare": 1, "multiply": 1}),
    ("power", 2, {"multiply": 1, "transcendental": 2}),
    ("exp", 1, {"transcendental": 1}),
    ("square", 1, {"multiply": 1}),
    ("maximum", 2, {"compare": 1}),
]


@pytest.mark.parametrize(("op", "arguments", "each"), COMPOUND, ids=lambda x: str(x))
def test_functions_made_of_several_operations(op, arguments, each):
    found = counted(op, *[np.ones((2, 5))] * arguments)
    assert found.kinds == {k: 10 * n for k, n in each.items()}


def test_logsumexp_and_fourier_transforms():
    found = counted("logsumexp", np.ones((6, 5)), axis=(1,), keepdims=False)
    assert found.kinds == {"compare": 24, "add": 60, "transcendental": 36}
    found = counted("fft", np.ones(64), axis=(0,), inverse=False, norm=None)
    assert found.kinds == {"multiply": 2 * 64 * 6, "add": 3 * 64 * 6}


F8 = np.dtype(float)


@pytest.mark.parametrize(
    ("op", "args", "attrs", "in_place", "expected"),
    [
        ("add", [(4, 3), (3,)], {}, False, (8 * 15, 8 * 12)),
        ("transpose", [(4, 3)], {"axes": (1, 0)}, False, (0, 0)),
        ("getitem", [(100,)], {"spec": (slice(0, 3),)}, False, (0, 0)),
        ("index_add", [(100,), (3,)], {"spec": (slice(0, 3),)}, True, (48, 24)),
        ("index_add", [(100,), (3,)], {"spec": (slice(0, 3),)}, False, (848, 824)),
        ("index_set", [(100,), (3,)], {"spec": (slice(0, 3),)}, True, (24, 24)),
    ],
    ids=lambda x: str(x),
)
def test_bytes(op, args, attrs, in_place, expected):
    node, inputs, outputs = node_of(op, *(np.ones(s) for s in args), **attrs)
    assert bytes_of(node, inputs, outputs, in_place) == expected


def test_a_gather_reads_what_it_takes():
    node, inputs, outputs = node_of("getitem", np.ones((1000, 2)), np.arange(3), spec=(SLOT,))
    assert outputs == [Aval((3, 2), F8)]
    assert bytes_of(node, inputs, outputs, False) == (48 + 24, 48)
