"""Arrays that followed code makes, and may write traced values into.

`FRESH` is a trace without derivatives below all others: it computes with plain arrays. A handle of
it stands for a plain array until a traced value is written into it; from then on it belongs to that
value's trace, as every handle does after an update in place.
"""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import weakref
from collections.abc import Iterator
from functools import partial
from types import CellType, FrameType
from typing import Any

import numpy as np

from wengert.errors import retold
from wengert.ir.graph import Value
from wengert.ops.base import Op, RegionOp
from wengert.ops.index import index_set
from wengert.trace.record import Trace
from wengert.trace.tracer import Tracer
from wengert.trace.views import View

__all__ = [
    "FRESH",
    "FreshValue",
    "fixed",
    "fresh",
    "is_fresh",
    "is_younger",
    "leave_plain",
    "made_plain",
    "now",
    "replace",
    "slots",
]


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


def _alone() -> int:
    """Return what `sys.getrefcount` says of a value that one handle refers to."""
    handle = Tracer(None, FreshValue(None))
    return sys.getrefcount(handle._var)


_ALONE = _alone()


class _Fresh(Trace):
    """Computes with plain arrays, and makes handles of the arrays that come out."""

    kinds = (FreshValue,)

    def __init__(self) -> None:
        super().__init__()
        self.level = 0

    def lift(self, x: Any) -> Tracer:
        """Make a new array into a handle."""
        made = Tracer(self, FreshValue(x))
        handles = _MADE.handles
        if len(handles) > _MANY:
            handles[:] = [ref for ref in handles if ref() is not None]
        handles.append(weakref.ref(made))
        return made

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Evaluate an operation."""
        if op is index_set and self._in_place(args, attrs):
            return Tracer(self, args[0]._var)
        values = [self.read(a) if type(a) is Tracer else a for a in args]
        try:
            y = op(*values, **attrs) if isinstance(op, RegionOp) else op.evaluate(*values, **attrs)
        except RuntimeWarning:
            y = retold(partial(op.evaluate, *values, **attrs))
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
        if sys.getrefcount(target._var) > _ALONE:
            return False  # another handle, or a recording, stands for what is there now
        spec = attrs["spec"]
        try:
            target._var.data[spec if len(spec) != 1 else spec[0]] = value
        except RuntimeWarning:  # which is told where the operation is evaluated
            return False
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


class _Made(threading.local):
    def __init__(self) -> None:
        self.handles: list[weakref.ref[Tracer]] = []


_MANY = 1 << 14
_MADE = _Made()
"""The handles that were made in this thread since `leave_plain` was called."""

COUNT = [0]
"""How many handles `fresh` made."""


def leave_plain() -> None:
    """Put plain arrays in the places of handles that outlive the call of a followed function.

    A function may keep what it made: in an attribute, a global, a cache. What it keeps is an array.
    Places that cannot be written (tuples), and objects that `gc.freeze` has set apart, keep the
    handle, which computes as an array does.
    """
    if not _MADE.handles:
        return
    kept = [h for h in (ref() for ref in _MADE.handles) if h is not None and h._trace is FRESH]
    _MADE.handles.clear()
    if not kept:
        return
    arrays = {id(h): made_plain(h) for h in kept}
    for holder in gc.get_referrers(*kept):
        if holder is not kept:
            replace(holder, arrays)


def replace(holder: Any, arrays: dict[int, Any]) -> None:
    """Replace what an object holds, by identity."""
    if type(holder) is list:
        for i, x in enumerate(holder):
            if id(x) in arrays:
                holder[i] = arrays[id(x)]
    elif isinstance(holder, dict):
        owners = [o for o in gc.get_referrers(holder) if isinstance(o, type)]
        for k, x in [(k, arrays[id(x)]) for k, x in holder.items() if id(x) in arrays]:
            if owners:  # the attributes of a class, which Python caches
                setattr(owners[0], k, x)
            else:
                dict.__setitem__(holder, k, x)
    elif type(holder) is CellType:
        holder.cell_contents = arrays.get(id(holder.cell_contents), holder.cell_contents)
    elif type(holder) not in (tuple, FrameType, View, Tracer):
        for name in (*getattr(holder, "__dict__", ()), *slots(type(holder))):
            found = getattr(holder, name, None)
            if id(found) in arrays:
                object.__setattr__(holder, name, arrays[id(found)])


def slots(kind: type) -> Iterator[str]:
    """Yield the names of the attributes of a class that are no entries of a dict."""
    for c in kind.__mro__:
        names = c.__dict__.get("__slots__", ())
        yield from (names,) if isinstance(names, str) else names


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
