"""Arrays that followed code makes, and may write traced values into.

`FRESH` is a trace without derivatives below all others: it computes with plain arrays. A handle of
it stands for a plain array until a traced value is written into it; from then on it belongs to that
value's trace, as every handle does after an update in place.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from wengert.ir.graph import Value
from wengert.ops.base import Op, RegionOp
from wengert.ops.index import index_set
from wengert.trace.record import Trace
from wengert.trace.tracer import Tracer

__all__ = ["FRESH", "FreshValue", "fixed", "fresh", "is_fresh", "is_younger", "made_plain", "now"]


class FreshValue(Value):
    """A plain array.

    Attributes
    ----------
    shared : bool
        Whether something else may read its memory, so that it never changes.
    serial : int
        How many were made before.
    """

    __slots__ = ("serial", "shared")

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.shared = False
        self.serial = next(_SERIALS)


_SERIALS = itertools.count()


def now() -> int:
    """Return a number that `is_younger` compares with."""
    return next(_SERIALS)


def is_younger(var: Any, than: int) -> bool:
    """Whether a value is one of such an array, made later than `now` returned a number."""
    return type(var) is FreshValue and var.serial > than


class _Fresh(Trace):
    """Computes with plain arrays, and makes handles of the arrays that come out."""

    kinds = (FreshValue,)

    def __init__(self) -> None:
        super().__init__()
        self.level = 0

    def lift(self, x: Any) -> Tracer:
        """Make a new array into a handle."""
        return Tracer(self, FreshValue(x))

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Evaluate an operation."""
        if op is index_set and self._in_place(args, attrs):
            return Tracer(self, args[0]._var)
        values = [self.read(a) if type(a) is Tracer else a for a in args]
        y = op(*values, **attrs) if isinstance(op, RegionOp) else op.evaluate(*values, **attrs)
        if type(y) is tuple:
            return tuple([self._made(part, args) for part in y])
        return self._made(y, args)

    def _made(self, y: Any, args: tuple[Any, ...]) -> Any:
        if type(y) is not np.ndarray or y.dtype.kind not in "fiubc":
            return y
        if y.base is not None or any(type(a) is Tracer and a._var.data is y for a in args):
            made = self.lift(y)
            made._var.shared = True
            for a in args:
                if type(a) is Tracer:
                    a._var.shared = True
            return made
        return self.lift(y)

    @staticmethod
    def _in_place(args: tuple[Any, ...], attrs: dict[str, Any]) -> bool:
        """Write plain numbers into an array that nothing else reads, if they fit as they are."""
        target, value, *index = args
        if type(target) is not Tracer or type(target._var) is not FreshValue or index:
            return False
        if target._clock is not None or target._var.shared or type(value) is Tracer:
            return False
        spec = attrs["spec"]
        target._var.data[spec if len(spec) != 1 else spec[0]] = value
        return True

    def without(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return arguments for another trace, with plain arrays in place of handles of this one."""
        return tuple([made_plain(a) for a in args])

    @staticmethod
    def plain(a: Tracer) -> Any:
        """Return the plain array of a handle, read-only: a write into it would be lost."""
        view = made_plain(a).view()
        view.flags.writeable = False
        return view

    def read(self, a: Tracer) -> Any:
        """Return the plain array of a handle."""
        a._refresh()
        return a._var.data

    def concrete(self, var: Any, kind: str) -> Any:
        """Return the plain value."""
        return var.data


FRESH = _Fresh()
"""The one trace of such arrays. It does not end."""

COUNT = [0]
"""How many handles `fresh` made."""


def fresh(x: Any) -> Any:
    """Return a handle of a new plain array of numbers that nothing else refers to."""
    if type(x) is not np.ndarray or x.dtype.kind not in "fiubc":
        return x
    COUNT[0] += 1
    return FRESH.lift(x)


def fixed(x: np.ndarray[Any, Any]) -> Tracer:
    """Return a handle of a plain array that others may read, to read it with traced indices."""
    handle = FRESH.lift(x)
    handle._var.shared = True
    return handle


def is_fresh(x: Any) -> bool:
    """Whether something is a handle that stands for a plain array."""
    return type(x) is Tracer and x._trace is FRESH


def made_plain(x: Any) -> Any:
    """Return the plain array of a handle that no traced value was written into."""
    if not is_fresh(x):
        return x
    x._refresh()
    if x._trace is not FRESH:
        return x
    x._var.shared = True
    return x._var.data
