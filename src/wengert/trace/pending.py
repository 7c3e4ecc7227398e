"""Values that a recording leaves uncomputed until a decision of Python needs them.

A compiled function is recorded to be run later; what its large arrays contain while it is recorded
matters only to guards. Nor does a compiled program warn of an overflow, so nothing is lost but a
warning at the first call. Where NumPy is told to raise, nothing waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.errors import GraphError
from wengert.ir.build import infer
from wengert.ir.graph import SLOT, Aval, Const, Node, Value, aval_of
from wengert.ops import contract, control, shape  # noqa: F401 (they fill the table)
from wengert.ops.base import TABLE, Op
from wengert.ops.elementwise import convert
from wengert.ops.index import getitem, index_add, index_set
from wengert.ops.reduce import reduce_sum

__all__ = ["Pending", "may_fail", "promised"]

LARGE = 1 << 15
"""Bytes from which an array is worth the work of inferring what it would be (a few microseconds
each, as much as computing a small one)."""

SILENT = {"ignore", "warn"}
"""States of NumPy's error handling under which operations on large arrays may wait."""

_ARRAYS = frozenset(
    TABLE[name]
    for name in (
        "reshape", "transpose", "broadcast_to", "concatenate", "contract", "select", "convert",
        "sum", "max", "min", "getitem", "index_add", "index_set", "stop_gradient",
    )
)  # fmt: skip
"""Operations, besides elementwise ones, that cannot fail once their shapes fit."""

_SAFE = frozenset(
    {
        *("maximum_part", "minimum_part", "fmax_part", "fmin_part", "real", "imag"),
        *("complex_angle", "exponent", "barrier", "nonzero", "prod", "logsumexp", "any", "all"),
        *("argmax", "argmin", "fft", "rfft", "irfft", "cumsum", "recurrence", "cumprod", "cummax"),
        *("cummin", "sort", "argsort", "partition", "argpartition", "searchsorted", "hermitian"),
    }
)
"""Others that cannot fail either."""

_INDEXED = {getitem: 1, index_add: 2, index_set: 2}


class Pending(Value):
    """A value of known shape and dtype that is computed when its data is first read."""

    __slots__ = ("_computed", "_known", "_trace", "node", "strides")

    def __init__(self, aval: Aval, trace: Any) -> None:
        self._aval = aval
        self._trace = trace
        self._known = False
        self._computed: Any = None
        self.node: Any = None
        self.strides: tuple[int, ...] | None = None  # worked out by `wengert.trace.memory`

    @property
    def data(self) -> Any:
        """The concrete value."""
        if not self._known:
            self._compute()
        return self._computed

    @property
    def is_known(self) -> bool:
        """Whether it has been computed."""
        return self._known

    def stand_for(self, node: Node) -> None:
        """Say which node computes the value."""
        self.node = node

    def _compute(self) -> None:
        """Compute this value and those that it needs, without recursion."""
        waiting: list[Pending] = [self]
        with np.errstate(all="ignore"):
            while waiting:
                value = waiting[-1]
                node = value.node
                needed = [x for x in node.inputs if type(x) is Pending and not x._known]
                if needed and not value._known:
                    waiting += needed
                    continue
                waiting.pop()
                if not value._known:
                    y = node.op.evaluate(*map(value._trace.content, node.inputs), **node.attrs)
                    value._computed, value._known = y, True


def may_fail(op: Op, inputs: Sequence[Any]) -> bool:
    """Whether an operation whose shapes fit may still raise for some numbers."""
    if op in _INDEXED:
        return len(inputs) > _INDEXED[op]
    if op.ufunc is not None:
        return op.name == "power" and all(aval_of(x).dtype.kind in "iu" for x in inputs)
    return op not in _ARRAYS and op.name not in _SAFE


def promised(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> Aval | None:
    """Return what an operation would make if it may wait; None where it is to be evaluated.

    It may where NumPy would not raise whatever the numbers are, the operation cannot fail, and an
    operand is large or waits itself.
    """
    for x in inputs:
        kind = type(x)
        if kind is Pending:
            if not x.is_known or x.aval.nbytes >= LARGE:
                break
        elif kind is Value or kind is Const:
            data = x.data
            if type(data) is np.ndarray and data.nbytes >= LARGE:
                break
    else:
        return None
    if op not in _ARRAYS and (op.ufunc is None or op.ufunc.nout > 1):
        return None
    if not SILENT.issuperset(np.geterr().values()):
        return None  # what the numbers are decides whether it raises
    first = _INDEXED.get(op)
    if first is not None:
        sizes = aval_of(inputs[0]).shape
        if not _are_within(inputs[first:], attrs["spec"], sizes):
            return None  # which evaluating it says in NumPy's words
    if not all(_is_numeric(aval_of(x).dtype) for x in inputs):
        return None
    try:
        (aval,) = infer(op, inputs, attrs)
    except GraphError:
        return None  # which evaluating it says in NumPy's words
    scalar = not aval.shape and op.ufunc is None and op not in (reduce_sum, convert)
    return None if scalar or not _is_numeric(aval.dtype) else aval


def _are_within(indices: Sequence[Any], spec: Sequence[Any], sizes: tuple[int, ...]) -> bool:
    """Whether index arrays are known, and in the range of their axes."""
    rest = iter(indices)
    axis = 0
    for i, s in enumerate(spec):
        if s is None:
            continue
        if s is Ellipsis:
            axis = len(sizes) - sum(1 for later in spec[i + 1 :] if later is not None)
            continue
        if s is SLOT:
            x = next(rest)
            if type(x) is Pending and not x.is_known:
                return False
            index = np.asarray(x.data if isinstance(x, (Value, Const)) else x)
            n = sizes[axis]
            if index.dtype.kind not in "iu":
                return False
            if index.size and not (-n <= index.min() and index.max() < n):
                return False
        axis += 1
    return True


def _is_numeric(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biufc" and dtype.isnative
