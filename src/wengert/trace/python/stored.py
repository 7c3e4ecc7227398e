"""Plain arrays that a traced value is written into: ``a[i] = x``, ``a += x``.

Where `a` is an array that the followed functions alone know, a handle takes its place wherever it
is kept: in variables of the functions that run, in lists, dicts and attributes. The references to
it are counted: an array that anything else refers to, a view of it for example, is left as it is,
and the write raises.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterable
from inspect import CO_OPTIMIZED
from types import CellType, FrameType, ModuleType
from typing import Any

import numpy as np

from wengert.follow.functions import TABLES, call, is_followed_file
from wengert.follow.objects import STORED, UPDATED
from wengert.follow.rewrite import is_rewritten
from wengert.trace.fresh import fresh, replace, slots
from wengert.trace.python.created import joined_lists
from wengert.trace.python.table import find
from wengert.trace.tracer import Tracer

__all__ = ["adopted"]

_ALONE: dict[str, int] = {}
"""What `sys.getrefcount` says of an operand that nothing but the question refers to."""

_WRITES_BACK = sys.version_info < (3, 13)
"""Whether variables of a frame are written back by a function of the interpreter."""


def _stored(operands: tuple[Any, Any, Any]) -> Any:
    """Return the operands of ``a[i] = value`` for a plain array."""
    value, a, index = operands
    if type(value) is not Tracer and find((value, index)) is None:
        return operands
    made = adopted(a, "stored")
    return operands if made is None else (joined_lists(value), made, index)


def _updated(pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the operands of ``a += x`` for a plain array."""
    a, x = pair
    if type(x) is not Tracer:
        return pair
    made = adopted(a, "updated")
    return pair if made is None else (made, x)


def adopted(a: Any, way: str) -> Tracer | None:
    """Return a handle that takes the place of a plain array; None where it cannot.

    Parameters
    ----------
    a : ndarray
    way : {"stored", "updated"}
        How this was asked: it decides how many references to the array are those of the question.
    """
    others = sys.getrefcount(a) - _ALONE.setdefault(way, sys.getrefcount(a))
    if not others:  # a value on the way to a place that it is stored into
        alone: Tracer = fresh(_own(a))
        return alone
    if not a.flags.writeable or not (a.base is None or _is_alone(a)):
        return None
    frames = list(_frames())
    places = []
    for frame in frames:  # no comprehension: a cell of it would be one more that holds the array
        names = _variables(frame, a)
        if names:
            places.append((frame, names))
    others -= sum(len(names) for _, names in places)
    holders = _holders(a, frames) if others else []
    if holders is None or others != sum(count for _, count in holders):
        return None
    if holders:
        kept = [holder for holder, _ in holders]
        holders.clear()
        if _is_outside(kept):
            return None
        holders = [(holder, 1) for holder in kept]
    handle: Tracer = fresh(_own(a))
    for frame, names in places:
        _write(frame, names, handle)
    for holder, _ in holders:
        replace(holder, {id(a): handle})
    return handle


def _is_alone(a: Any) -> bool:
    """Whether an array is a view of one that nothing else refers to."""
    return type(a.base) is np.ndarray and a.base.base is None and sys.getrefcount(a.base) == _BASE


_VIEW = np.zeros((1, 1)).T
_BASE = sys.getrefcount(_VIEW.base)
"""What `sys.getrefcount` says of the base of a view that nothing else refers to."""


def _own(a: Any) -> Any:
    return a if a.base is None else a.copy(order="K")


def _frames() -> Any:
    """Yield the frames of followed functions, out to where they were entered."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not call.__code__:
        if is_rewritten(frame.f_code):
            yield frame
        frame = frame.f_back


def _variables(frame: FrameType, a: Any) -> list[str]:
    """Return the names of the variables of a frame that are an array."""
    shown, code = frame.f_locals, frame.f_code
    names = []
    for k, x in shown.items():
        if x is a and k in code.co_varnames and k not in code.co_cellvars:
            names.append(k)
    if _WRITES_BACK:
        shown.clear()
    return names


def _write(frame: FrameType, names: list[str], x: Any) -> None:
    shown = frame.f_locals
    shown.update(dict.fromkeys(names, x))
    if _WRITES_BACK:
        ctypes.pythonapi.PyFrame_LocalsToFast(ctypes.py_object(frame), ctypes.c_int(0))
        shown.clear()


def _holders(a: Any, frames: list[FrameType]) -> list[tuple[Any, int]] | None:
    """Return what refers to an array, and how often; None where one of them cannot be changed."""
    found = []
    spaces = [frame.f_globals for frame in frames]
    for holder in gc.get_referrers(a):
        kind = type(holder)
        if kind is FrameType or (kind is tuple and _is_question(holder, a)):
            continue
        if kind is list:
            found.append((holder, _count(holder, a)))
        elif kind is CellType:
            found.append((holder, 1))
        elif isinstance(holder, dict):
            if any(holder is space for space in spaces) or _is_of_class(holder):
                return None
            found.append((holder, _count(holder.values(), a)))
        elif kind is tuple or isinstance(holder, type):
            return None
        else:
            found.append((holder, _count(_attributes(holder), a)))
    return found + _hidden(a, frames)


def _is_outside(holders: list[Any]) -> bool:
    """Whether code around the followed functions can reach what holds an array.

    What is from outside of them must not keep a traced value. Whatever refers to the holders is
    looked at, and what refers to that: modules, and variables of the functions further out, are
    outside. Variables of functions that run are no objects of their own for the collector.
    """
    outer = _outer_variables()
    kept: list[Any] = [holders]
    known = {id(kept), id(holders)}
    for _ in range(_DEEPEST):
        found = kept[-1]
        known.update(map(id, found))
        if not outer.isdisjoint(map(id, found)) or len(found) > _WIDEST:
            return True
        asked = tuple(found)
        known.add(id(asked))
        above = gc.get_referrers(*asked)
        wider: list[Any] = []
        for x in above:
            if id(x) in known:
                continue
            if isinstance(x, (ModuleType, type)) or (type(x) is dict and "__builtins__" in x):
                return True
            wider.append(x)
        if not wider:
            return False
        kept += [asked, wider]
        known.add(id(wider))
        del above
    return True


_DEEPEST = 12
_WIDEST = 2000


def _outer_variables() -> set[int]:
    """Return the identities of the variables of the functions that called the followed ones."""
    found: set[int] = set()
    inside = True
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        inside = inside and frame.f_code is not call.__code__
        if not inside:
            shown = frame.f_locals
            found.update(map(id, shown.values()))
            if _WRITES_BACK and frame.f_code.co_flags & CO_OPTIMIZED:
                shown.clear()
        frame = frame.f_back
    return found


def _attributes(x: Any) -> list[Any]:
    """Return the values of the attributes of an object."""
    kept = list(getattr(x, "__dict__", {}).values())
    return kept + [getattr(x, name, None) for name in slots(type(x))]


def _hidden(a: Any, frames: list[FrameType]) -> list[tuple[Any, int]]:
    """Return the dicts that refer to an array and that Python's collector does not watch.

    It leaves dicts out in which nothing can refer back to them. They are looked for in the
    variables of the functions that run, and in what those hold.
    """
    found = []
    waiting: list[Any] = []
    for frame in frames:
        shown = frame.f_locals
        waiting += shown.values()
        if _WRITES_BACK:
            shown.clear()
    seen: set[int] = set()
    while waiting and len(seen) < _MOST:
        x = waiting.pop()
        kind = type(x)
        if id(x) in seen or kind in _HOLD_NOTHING:
            continue
        seen.add(id(x))
        if isinstance(x, dict):
            if not gc.is_tracked(x) and _count(x.values(), a):
                found.append((x, _count(x.values(), a)))
            waiting += x.values()
        elif isinstance(x, (list, tuple)):
            waiting += x
        elif is_followed_file(getattr(sys.modules.get(kind.__module__), "__file__", None) or ""):
            waiting += _attributes(x)
    waiting.clear()
    return found


_MOST = 10_000
"""Objects that are looked through."""

_HOLD_NOTHING = frozenset({np.ndarray, Tracer, int, float, str, bool, complex, type(None)})


def _count(items: Iterable[Any], a: Any) -> int:
    found = 0
    for x in items:
        found += x is a
    return found


def _is_question(holder: tuple[Any, ...], a: Any) -> bool:
    return len(holder) in (2, 3) and holder[len(holder) - 2] is a and find(holder) is not None


def _is_of_class(holder: dict[Any, Any]) -> bool:
    return any(isinstance(o, type) for o in gc.get_referrers(holder))


STORED[np.ndarray] = _stored
UPDATED[np.ndarray] = _updated


def _begin() -> None:
    """Find how many references the questions themselves hold."""
    probe = Tracer(None, None)
    for ask in (
        lambda: TABLES.stores[probe, np.zeros(1), 0],
        lambda: TABLES.operator("+=")[np.zeros(1), probe],
    ):
        ask()


_begin()
