"""What one operation counts: real operations by kind, and bytes.

Conventions
-----------
An addition, multiplication, division or comparison of real numbers is one operation, a multiply-add
two, a call of ``exp`` and the like one (of the kind ``transcendental``). What is made of others is
these: ``arctan2`` is a division, an arctangent, and a comparison and an addition for the quadrant;
``arccos`` an arcsine and a difference; ``expit`` four. A special function (``erf``, ``gamma``) is
the ten multiply-adds of its rational approximation. A complex addition is two
operations, a complex multiplication six (four products and two sums), a division eleven, a call of
an elementary function five (as ``exp``: three real calls and two products), of an inverse one
twenty (a root, a logarithm, products and sums). Moving data is none.

Matrix factorisations count the leading terms of LAPACK's formulas (`FORMULAS`), half of them
multiplications; sorting counts n log2(n) comparisons; a Fourier transform 5 n log2(n) operations,
of which two fifths are multiplications (radix 2).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import DerivativeError
from wengert.ir.graph import Aval, Node, aval_of
from wengert.ops import slopes
from wengert.ops.base import TABLE, Op, RegionOp
from wengert.ops.contract import contract
from wengert.ops.decompose import eig, eigh, qr, svd
from wengert.ops.elementwise import (
    SPECIAL,
    arccos,
    arctan2,
    complex_absolute,
    divide,
    entr,
    expit,
    float_power,
    fmod,
    hypot,
    log_expit,
    logaddexp,
    logaddexp2,
    logit,
    power,
    reciprocal,
    remainder,
    xlog1py,
    xlogy,
)
from wengert.ops.elementwise import angle as complex_angle
from wengert.ops.fft import fft, irfft, rfft
from wengert.ops.hermitian import cholesky, cholesky_pull, cholesky_push
from wengert.ops.index import getitem, index_add, index_set, is_basic
from wengert.ops.linalg import (
    adjugate,
    det,
    inv,
    lu_factor,
    lu_solve,
    pinv,
    slogdet,
    solve,
    solve_triangular,
)
from wengert.ops.reduce import reduce_logsumexp

__all__ = ["FORMULAS", "KINDS", "OperationCount", "bytes_of", "count_operation"]

KINDS = ("multiply", "add", "transcendental", "compare")
"""Kinds of operations: ``multiply`` has divisions too, ``add`` subtractions and sign changes."""

LARGEST_PRODUCT = 16
"""Up to this exponent a power is a product."""

_ROOTS = (
    slopes.root_one_minus_square,
    slopes.root_square_minus_one,
    slopes.root_square_plus_one,
)
_SPECIAL = (
    *("erf", "erfc", "erfinv", "ndtr", "log_ndtr", "ndtri", "gamma", "gammaln", "psi", "zeta"),
    *("i0", "i1", "j0", "j1", "iv", "jv"),
)
FORMULAS: dict[str, str] = {
    cholesky.name: "n^3/3",
    **dict.fromkeys((cholesky_push.name, cholesky_pull.name), "about n^3, in blocks"),
    solve.name: "2n^3/3 + 2n^2 for each right-hand side",
    lu_factor.name: "2n^3/3",
    lu_solve.name: "2n^2 for each right-hand side",
    solve_triangular.name: "n^2 for each right-hand side",
    inv.name: "2n^3",
    det.name: "2n^3/3",
    slogdet.name: "2n^3/3",
    adjugate.name: "2n^3",
    pinv.name: "6mn^2 + 20n^3 + 2mn^2",
    eigh.name: "9n^3",
    eig.name: "25n^3",
    svd.name: "6mn^2 + 20n^3",
    qr.name: "2(2mn^2 - 2n^3/3)",
    fft.name: "5n log2 n",
    rfft.name: "2.5n log2 n",
    irfft.name: "2.5n log2 n",
    "sort": "n log2 n comparisons",
    "argsort": "n log2 n comparisons",
    "partition": "2n comparisons",
    "argpartition": "2n comparisons",
    "searchsorted": "log2 n comparisons for each value",
    **dict.fromkeys(_SPECIAL, f"{SPECIAL} for each value"),
}
"""Operations counted by the leading term of a formula (m >= n), not one by one."""


class OperationCount(NamedTuple):
    """Operations of one evaluation by kind, and how many of them are multiply-add pairs."""

    kinds: Mapping[str, int]
    macs: int = 0


def count_operation(
    node: Node, inputs: Sequence[Aval], outputs: Sequence[Aval]
) -> OperationCount | None:
    """Count the operations of a node whose arguments and results have these shapes and dtypes.

    Returns
    -------
    OperationCount or None
        None where the operation's row of the table does not say.
    """
    op = node.op
    if isinstance(op, RegionOp):
        return _of_regions(node)
    if op.flops is None:
        return None
    try:
        n = op.flops(outputs[0], *inputs, **node.attrs)
    except DerivativeError:
        return None
    if n is None:
        return None
    times = multiplications(node)
    if times is not None:
        kinds: Mapping[str, int] = {"multiply": times * n}
    elif op in (power, float_power) and not is_literal(node.inputs[1]):
        kinds = {"multiply": n, "transcendental": 2 * n}  # exp(b * log(a))
    elif op in _SPLIT:
        kinds = _SPLIT[op](n, outputs[0], *inputs)
    elif op.counts == "mixed":
        kinds = {"multiply": n - n // 2, "add": n // 2}
    else:
        kinds = {op.counts: n}
    macs = kinds.get("add", 0) if op.counts == "mixed" and op not in _FOURIER else 0
    if op not in _FOURIER and any(a.dtype.kind == "c" for a in inputs):
        kinds = _of_complex(op, kinds)
        macs *= 4
    return OperationCount({k: m for k, m in kinds.items() if m}, macs)


def _of_regions(node: Node) -> OperationCount | None:
    """Count all trips of a loop, the dearest branch of a choice; None where data decides."""
    kinds: Counter[str] = Counter()
    macs = 0
    for region, times in node.op.runs(**node.attrs):
        for inner in region.nodes:
            outputs = [v.aval for v in inner.outputs]
            found = count_operation(inner, [*map(aval_of, inner.inputs)], outputs)
            if found is None or times is None:
                return None
            kinds.update({k: n * times for k, n in found.kinds.items()})
            macs += found.macs * times
    return OperationCount({k: n for k, n in kinds.items() if n}, macs)


_INVERSE = ("arcsin", "arccos", "arctan", "arcsinh", "arccosh", "arctanh")
"""Of complex numbers, these are logarithms: arcsin(z) is -i log(i z + sqrt(1 - z z))."""


def _of_complex(op: Op, kinds: Mapping[str, int]) -> dict[str, int]:
    """Count the real operations of complex arithmetic."""
    if op in (complex_absolute, complex_angle):
        return dict(kinds)
    if op.name in _INVERSE:
        n = kinds["transcendental"]
        return {"multiply": 8 * n, "add": 6 * n, "transcendental": 6 * n}
    times, plus = kinds.get("multiply", 0), kinds.get("add", 0)
    products, sums = (8, 3) if op in (divide, reciprocal) else (4, 2)
    calls = kinds.get("transcendental", 0)
    return {
        **kinds,
        "multiply": products * times + 2 * calls,
        "add": sums * times + 2 * plus,
        "transcendental": 3 * calls,
    }


def multiplications(node: Node) -> int | None:
    """Return how many multiplications a small integer power is; None for other operations.

    By squaring: ``x**5`` is ``x * (x * x)**2``, three of them; a reciprocal is one more.
    """
    if node.op is not power or not is_literal(node.inputs[1]):
        return None
    b = float(node.inputs[1])
    if not 1 <= abs(b) <= LARGEST_PRODUCT or not b.is_integer():
        return None
    n = abs(int(b))
    return n.bit_length() + n.bit_count() - 2 + (b < 0)


def is_literal(x: Any) -> bool:
    """Whether an operand is a real number in the program."""
    return isinstance(x, (int, float, np.integer, np.floating))


# --- operations of several kinds ------------------------------------------------------------------
Split = Callable[..., Mapping[str, int]]


def _of_contraction(n: int, out: Aval, a: Aval, b: Aval) -> Mapping[str, int]:
    """Split a contraction: products only where nothing is summed."""
    if n == out.size:
        return {"multiply": n}
    return {"multiply": n // 2, "add": n // 2}


def _of_logsumexp(n: int, out: Aval, x: Aval) -> Mapping[str, int]:
    """Split the maximum, the differences to it, exponentials, their sum and logarithm."""
    m = min(out.size, x.size)
    return {"compare": x.size - m, "add": 2 * x.size, "transcendental": n - 3 * x.size + m}


def _each(**kinds: int) -> Split:
    """Split each evaluation into so many operations of each kind."""
    return lambda n, *_: {k: n // sum(kinds.values()) * m for k, m in kinds.items()}


def _of_butterflies(n: int, *_: Aval) -> Mapping[str, int]:
    """Split the butterflies of a radix-2 transform: 4 products and 6 sums each."""
    times = 2 * n // 5
    return {"multiply": times, "add": n - times}


_FOURIER = (fft, rfft, irfft)
_CHOICES = ("maximum", "minimum", "fmax", "fmin")
_SPLIT: dict[Op, Split] = {
    contract: _of_contraction,
    reduce_logsumexp: _of_logsumexp,
    # a - b floor(a / b)
    **dict.fromkeys((remainder, fmod), _each(multiply=2, add=1, compare=1)),
    # sqrt(a a + b b)
    **dict.fromkeys((hypot, complex_absolute), _each(multiply=2, add=1, transcendental=1)),
    # arctan(a / b), and the quadrant
    **dict.fromkeys(
        (arctan2, complex_angle), _each(multiply=1, transcendental=1, compare=1, add=1)
    ),
    arccos: _each(transcendental=1, add=1),  # pi / 2 - arcsin(x)
    # max(a, b) + log1p(exp(-abs(a - b)))
    **dict.fromkeys((logaddexp, logaddexp2, log_expit), _each(compare=1, add=3, transcendental=2)),
    expit: _each(add=2, transcendental=1, multiply=1),  # 1 / (1 + exp(-x))
    slopes.sech_squared: _each(transcendental=1, multiply=1),  # (1 / cosh(x))**2
    # e / (1 + e)**2 with e = exp(-abs(x))
    slopes.expit_slope: _each(transcendental=1, add=1, multiply=2),
    slopes.gaussian: _each(transcendental=1, add=1, multiply=1),  # exp(-x x)
    # 1 / (1 + x x), x (1 - x) and (1 - x) (1 + x)
    slopes.arctan_slope: _each(multiply=2, add=1),
    slopes.bernoulli: _each(multiply=1, add=1),
    slopes.one_minus_square: _each(multiply=1, add=2),
    # sqrt(1 - x x), sqrt(x x - 1), sqrt(x x + 1)
    **dict.fromkeys(_ROOTS, _each(multiply=1, add=1, transcendental=1)),
    logit: _each(add=1, multiply=1, transcendental=1),  # log(x / (1 - x))
    entr: _each(add=1, multiply=1, transcendental=1),  # -x log(x)
    # a log(b), and 0 where a is 0
    **dict.fromkeys((xlogy, xlog1py), _each(compare=1, multiply=1, transcendental=1)),
    **{TABLE[name]: _each(multiply=10, add=9, transcendental=1) for name in _SPECIAL},
    **{TABLE[f"{name}_part"]: _each(compare=1, multiply=1) for name in _CHOICES},
    **dict.fromkeys(_FOURIER, _of_butterflies),
}


# --- bytes ----------------------------------------------------------------------------------------
def bytes_of(
    node: Node, inputs: Sequence[Aval], outputs: Sequence[Aval], in_place: bool
) -> tuple[int, int]:
    """Return the bytes that a node reads and writes.

    A view moves none. A read by integer arrays touches the elements that it takes; an update
    touches the part that it changes, and the whole where it has to copy it first (`in_place` says
    that it has not).
    """
    op = node.op
    if op.alias is not None and is_basic(node.attrs.get("spec", ())):
        return 0, 0
    if op is getitem:
        made = outputs[0].nbytes
        return made + sum(a.nbytes for a in inputs[1:]), made
    if op in (index_add, index_set):
        whole = 0 if in_place else inputs[0].nbytes
        marks = tuple(np.broadcast_to(np.False_, a.shape).astype(np.intp) for a in inputs[2:])
        size = math.prod(getitem.infer(inputs[0], *marks, spec=node.attrs["spec"]).shape)
        part = size * outputs[0].dtype.itemsize
        read = sum(a.nbytes for a in inputs[1:]) + (part if op is index_add else 0)
        return read + whole, part + whole
    return sum(a.nbytes for a in inputs), sum(a.nbytes for a in outputs)
