"""Values that a recording leaves uncomputed until a decision of Python needs them.

A compiled function is recorded to be run later; what its large arrays contain while it is recorded
matters only to guards. Nor does a compiled program warn of an overflow, so nothing is lost but a
warning at the first call. Where NumPy is told to raise, nothing waits.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import GraphError, LeakedTracerError
from wengert.ir.build import applied, infer
from wengert.ir.graph import SLOT, Aval, Const, Node, Value, aval_of
from wengert.ops.base import Op
from wengert.ops.raising import INDEXED
from wengert.trace.active import ACTIVE

__all__ = ["LARGE", "WAITING", "Folded", "LazyValue", "Store", "is_array", "lazy_aval", "may_fail"]

LARGE = 1 << 15
"""Bytes from which an array is worth the work of inferring what it would be (a few microseconds
each, as much as computing a small one)."""

SILENT = {"ignore", "warn"}
"""States of NumPy's error handling under which operations on large arrays may wait."""


class LazyValue(Value):
    """A value of known shape and dtype that is computed when its data is read.

    What was computed may be let go, to be computed again.

    Attributes
    ----------
    is_array : bool
        Whether it is an array in NumPy though it has no axes.
    """

    __slots__ = ("_computed", "_known", "_part", "_trace", "is_array", "node", "strides")

    def __init__(
        self, aval: Aval, trace: Any, part: int | None = None, is_array: bool = False
    ) -> None:
        self._aval = aval
        self._trace = trace
        self._known = False
        self._computed: Any = None
        self.node: Any = None
        self.strides: tuple[int, ...] | None = None  # worked out by `wengert.trace.memory`
        self._part = part
        self.is_array = is_array

    @property
    def data(self) -> Any:
        """The concrete value."""
        if not self._known:
            self._compute()
        elif self.aval.nbytes >= LARGE:
            self._trace.store.used(self)
        return self._computed

    @property
    def is_known(self) -> bool:
        """Whether it has been computed."""
        return self._known

    def stand_for(self, node: Node) -> None:
        """Say which node computes the value."""
        self.node = node

    def keep(self, y: Any) -> None:
        """Take what the value is; the store may let go of it, or of others."""
        if self._trace.store.bound is not None and type(y) is np.ndarray:
            self.strides = y.strides
            y = apart(y)
        self._computed, self._known = y, True
        if self.aval.nbytes >= LARGE:
            self._trace.store.made(self)

    def let_go(self) -> None:
        """Forget what was computed."""
        self._computed, self._known = None, False

    def _compute(self) -> None:
        """Compute this value and those that it needs, without recursion."""
        if self.node is None:
            self._trace.settle()
        store = self._trace.store
        waiting: list[LazyValue] = []
        operands: list[list[LazyValue]] = []

        def wait(value: LazyValue) -> None:
            node = value.node
            waiting.append(value)
            operands.append([x for x in node.inputs if type(x) is LazyValue])
            store.pinned.update(operands[-1])

        wait(self)
        try:
            with np.errstate(all="ignore"):
                while waiting:
                    value = waiting[-1]
                    needed = [x for x in operands[-1] if not x._known]
                    if needed and not value._known:
                        for x in needed:
                            wait(x)
                        continue
                    if not value._known:
                        node = value.node
                        y = applied(node.op, [*map(store.content, node.inputs)], node.attrs, False)
                        if value._part is None:
                            value.keep(y)
                        else:
                            for v, part in zip(node.outputs, y, strict=True):
                                if type(v) is LazyValue and not v._known:
                                    v.keep(part)
                    waiting.pop()
                    store.pinned.subtract(operands.pop())
        finally:
            store.pinned.clear()


class Folded(Value):
    """A value of a tape that nothing has been recorded for yet.

    It becomes an ordinary `Value` when the fold (`wengert.trace.folding`) is closed, at the latest
    when its data is read.
    """

    __slots__ = ()

    @property
    def data(self) -> Any:
        """The value below."""
        for fold in ACTIVE.folds[::-1]:
            fold.close()
            if type(self) is not Folded:
                return self.data
        raise LeakedTracerError("a value of a loop that was not recorded to its end is used")


WAITING = frozenset({LazyValue, Folded})
"""Values of which shape and dtype are known before their data is."""


def apart(y: Any) -> Any:
    """Return a copy of a small part of an array, which would keep the whole one alive."""
    if type(y) is np.ndarray and type(y.base) is np.ndarray and 2 * y.nbytes < y.base.nbytes:
        return y.copy(order="K")
    return y


class Store:
    """What a recording has computed of its large arrays, within a bound.

    Attributes
    ----------
    bound : int or None
        Bytes that are kept, besides what the computation under way needs: those used last.
    pinned : Counter
        Values that a computation under way needs, and how often.
    """

    def __init__(self, content: Callable[[Any], Any], bound: int | None) -> None:
        self.content = content
        self.bound = bound
        self.pinned: Counter[LazyValue] = Counter()
        self._held: dict[LazyValue, None] = {}  # in order of use
        self._bytes = 0

    def made(self, value: LazyValue) -> None:
        """Hold an array that was computed; let go of others, used longest ago, past the bound."""
        self._held[value] = None
        self._bytes += value.aval.nbytes
        if self.bound is None or self._bytes <= self.bound:
            return
        for old in list(self._held):
            if self._bytes <= self.bound:
                break
            if old is not value and self.pinned[old] <= 0:
                del self._held[old]
                self._bytes -= old.aval.nbytes
                old.let_go()

    def used(self, value: LazyValue) -> None:
        """Note that an array was read."""
        if value in self._held:
            del self._held[value]
            self._held[value] = None

    def clear(self) -> None:
        """Let go of all."""
        for value in self._held:
            value.let_go()
        self._held.clear()
        self._bytes = 0


def may_fail(op: Op, inputs: Sequence[Any]) -> bool:
    """Whether an operation whose shapes fit may still raise for some numbers."""
    if op in INDEXED:
        return len(inputs) > INDEXED[op]
    if op.like is not None:  # integers to negative integer powers raise
        return op.may_raise and all(aval_of(x).dtype.kind in "iu" for x in inputs)
    return op.may_raise


def lazy_aval(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> Aval | None:
    """Return what an operation would make if it may wait; None where it is to be evaluated.

    It may where NumPy would not raise whatever the numbers are, the operation cannot fail, and an
    operand is large or waits itself.
    """
    for x in inputs:
        kind = type(x)
        if kind is LazyValue:
            if not x.is_known or x.aval.nbytes >= LARGE:
                break
        elif kind is Value or kind is Const:
            data = x.data
            if type(data) is np.ndarray and data.nbytes >= LARGE:
                break
    else:
        return None
    if not (op.waits if op.like is None else op.like.nout == 1):
        return None
    if not SILENT.issuperset(np.geterr().values()):
        return None  # what the numbers are decides whether it raises
    first = INDEXED.get(op)
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
    return aval if _is_numeric(aval.dtype) else None


def is_array(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> bool:
    """Whether NumPy makes an array of what may wait, and no scalar, where there are no axes."""
    if op.like is not None:
        return False
    kind = op.makes(attrs)
    if kind != "same":
        return kind == "array"
    x = inputs[0]
    if type(x) is LazyValue:
        return x.is_array or bool(x.shape)
    return isinstance(x.data if isinstance(x, (Value, Const)) else x, np.ndarray)


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
            if type(x) is LazyValue and not x.is_known:
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
