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

Matrix factorisations count the leading terms of LAPACK's formulas (`Op.formula`), half of them
multiplications; sorting counts n log2(n) comparisons; a Fourier transform 5 n log2(n) operations,
of which two fifths are multiplications (radix 2).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import DerivativeError
from wengert.ir.graph import Aval, Node, aval_of
from wengert.ops.base import Op, RegionOp
from wengert.ops.index import getitem, index_add, index_set, is_basic

__all__ = ["KINDS", "OperationCount", "bytes_of", "count_operation"]

KINDS = ("multiply", "add", "transcendental", "compare")
"""Kinds of operations: ``multiply`` has divisions too, ``add`` subtractions and sign changes."""


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
    if callable(op.counts):
        given = [x if is_literal(x) else a for x, a in zip(node.inputs, inputs, strict=True)]
        kinds = dict(op.counts(n, outputs[0], *given))
    elif op.counts == "mixed":
        kinds = {"multiply": n - n // 2, "add": n // 2}
    else:
        kinds = dict(op.kinds)
        total = sum(kinds.values())
        for kind in kinds:
            kinds[kind] *= n // total
    macs = kinds.get("add", 0) if op.macs else 0
    if op.complex_counts is not op.counts and any(a.dtype.kind == "c" for a in inputs):
        kinds = dict(_of_complex(op, n, kinds))
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


def _of_complex(op: Op, n: int, kinds: Mapping[str, int]) -> Mapping[str, int]:
    """Count the real operations of complex arithmetic."""
    if isinstance(op.complex_counts, Mapping):
        times = n // sum(op.kinds.values())
        return {k: times * m for k, m in op.complex_counts.items()}
    times, plus = kinds.get("multiply", 0), kinds.get("add", 0)
    calls = kinds.get("transcendental", 0)
    return {
        **kinds,
        "multiply": 4 * times + 2 * calls,
        "add": 2 * times + 2 * plus,
        "transcendental": 3 * calls,
    }


def is_literal(x: Any) -> bool:
    """Whether an operand is a real number in the program."""
    return isinstance(x, (int, float, np.integer, np.floating))


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
