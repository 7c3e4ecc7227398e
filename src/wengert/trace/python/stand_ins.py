"""Methods of plain arrays that are given traced values, and copies that are written into."""

from __future__ import annotations

from types import BuiltinFunctionType, MethodType
from typing import Any

import numpy as np

from wengert.follow.functions import OF_OBJECTS, STAND_INS, STAND_INS_BESIDE_STORES, TABLES, method
from wengert.trace.fresh import fixed, fresh, is_fresh, made_plain
from wengert.trace.python import (  # noqa: F401  (they fill the tables)
    asked,
    created,
    indexed,
    labels,
    protocols,
    pure,
    statistic,
    stored,
)
from wengert.trace.python.builtin import _CACHED, cached, vectorized
from wengert.trace.python.drawn import drawn
from wengert.trace.python.listed import listed
from wengert.trace.python.table import among

__all__: list[str] = []


_READING = frozenset(
    {"choose", "clip", "compress", "dot", "repeat", "reshape", "searchsorted", "take", "round"}
)
"""Methods of arrays that compute with their arguments and change nothing."""


def _beside(f: Any) -> Any:
    """Return what stands for a method of a plain array that may be given traced values."""
    if f.__name__ not in _READING:
        return f

    def call(*args: Any, **kwargs: Any) -> Any:
        if among(args, kwargs) is None:
            return f(*args, **kwargs)
        return made_plain(getattr(fixed(f.__self__), f.__name__)(*args, **kwargs))

    return call


def _drawing(f: Any) -> Any:
    """Return what stands for a method that draws, perhaps into an array that was just made."""

    def call(*args: Any, **kwargs: Any) -> Any:
        handles = [x for x in (*args, *kwargs.values()) if is_fresh(x)]
        if not handles:
            if among(args, kwargs) is not None:
                return drawn(f, args, kwargs)
            return f(*args, **kwargs)
        arrays = {id(h): made_plain(h).copy() for h in handles}
        y = f(
            *[arrays.get(id(x), x) for x in args],
            **{k: arrays.get(id(x), x) for k, x in kwargs.items()},
        )
        for h in handles:
            h[...] = arrays[id(h)]
        return next((h for h in handles if arrays[id(h)] is y), y)

    return call


_GENERATORS = (np.random.Generator, np.random.RandomState)


def _builtin(f: Any) -> Any:
    kind = type(f.__self__)
    if kind is np.ndarray:
        return _beside(f)
    if kind.__name__ in OF_OBJECTS and f.__name__ in (made := OF_OBJECTS[kind.__name__]):
        return made[f.__name__](f)
    return STAND_INS.get(f, f)


def _builtin_beside_stores(f: Any) -> Any:
    kind = type(f.__self__)
    if kind is np.ndarray:
        if f.__name__ in ("copy", "astype"):
            return lambda *args, **kwargs: _new(f, f(*args, **kwargs))
        return _beside(f)
    if kind.__name__ in OF_OBJECTS:
        return _builtin(f)
    return STAND_INS_BESIDE_STORES.get(f) or STAND_INS.get(f, f)


def _bound(m: Any) -> Any:
    return _drawing(m) if type(m.__self__) in _GENERATORS else method(m)


def _new(f: Any, y: Any) -> Any:
    return y if y is f.__self__ or y.base is not None else fresh(y)


for _calls, _answer in (
    (TABLES.calls, _builtin),
    (TABLES.calls_beside_stores, _builtin_beside_stores),
):
    _calls.kinds[BuiltinFunctionType] = _answer
    _calls.kinds[MethodType] = _bound
    _calls.kinds[np.ufunc] = listed
    _calls.kinds[type(np.sum)] = listed
    _calls.kinds[_CACHED] = cached
    _calls.kinds[np.vectorize] = vectorized


def _dispatched(f: Any) -> Any:
    """Return what stands for a dispatched function in code that writes into arrays."""
    return STAND_INS_BESIDE_STORES.get(f) or listed(f)


TABLES.calls_beside_stores.kinds[type(np.sum)] = _dispatched
