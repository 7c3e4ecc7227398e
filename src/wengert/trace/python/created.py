"""NumPy's functions that make arrays, which NumPy does not hand to traced values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import user_line
from wengert.follow.functions import STAND_INS
from wengert.trace.dispatch import CREATION, FUNCTIONS
from wengert.trace.fresh import fresh, made_plain
from wengert.trace.labelled import HOLDERS, numbers_of
from wengert.trace.python.table import among, find, stands_for
from wengert.trace.tracer import Tracer

__all__: list[str] = []


_FILLED: tuple[Any, ...] = (
    *(np.zeros, np.ones, np.empty, np.full),
    *(np.zeros_like, np.ones_like, np.empty_like, np.full_like),
)
_OFTEN_FILLED: tuple[Any, ...] = (
    *(np.eye, np.identity, np.arange, np.linspace, np.tri, np.diag, np.tile, np.copy),
)
_CONVERTING: tuple[Any, ...] = (
    *(np.array, np.asarray, np.asanyarray, np.ascontiguousarray, np.asfortranarray),
)


def joined_lists(x: Any) -> Any:
    """Return nested lists with traced values as one array."""
    like = find(x) if type(x) in (list, tuple) else None
    return x if like is None else FUNCTIONS[np.array](like, x)


@stands_for(np.asarray_chkfinite)
def _asarray_chkfinite(a: Any, dtype: Any = None, order: Any = None) -> Any:
    if find(a) is None:
        return np.asarray_chkfinite(a, dtype, order)
    made = STAND_INS[np.asarray](a, dtype=dtype, order=order)
    if not np.isfinite(made).all():
        raise ValueError("array must not contain infs or NaNs" + user_line())
    return made


def _filled(function: Any) -> Callable[..., Any]:
    """Stand for a function whose result is made to be written into."""

    @functools.wraps(function)
    def made(*args: Any, **kwargs: Any) -> Any:
        if "like" in kwargs or kwargs.get("dtype") is object:
            return function(*args, **kwargs)
        x = among(args, kwargs)
        if x is None:
            return fresh(function(*args, **kwargs))
        if function in CREATION and (function is np.full or x.dtype.kind in "fc"):
            kwargs = {k: joined_lists(v) for k, v in kwargs.items()}
            return FUNCTIONS[function](x, *args[:1], *map(joined_lists, args[1:]), **kwargs)
        if function is np.full_like and type(args[0]) is not Tracer:
            return FUNCTIONS[function](np.asarray(args[0]), *args[1:], **kwargs)
        y = function(*map(joined_lists, args), **kwargs)
        return fresh(y) if type(y) is np.ndarray and y.base is None else y

    return made


for _f in _FILLED:
    stands_for(_f)(_filled(_f))

for _f in _OFTEN_FILLED:
    stands_for(_f, beside_stores=True)(_filled(_f))


def _converted(function: Any, copies: bool, beside_stores: bool) -> Callable[..., Any]:
    """Stand for a function that makes an array of what it is given."""
    implementation = FUNCTIONS[function]

    @functools.wraps(function)
    def made(*args: Any, **kwargs: Any) -> Any:
        if "like" in kwargs or kwargs.get("dtype") is object:
            return function(*args, **kwargs)
        given = args[0] if args else kwargs.get("object", kwargs.get("a"))
        x = find(given)
        if x is not None:
            return implementation(x, *args, **kwargs)
        if type(given) in HOLDERS and args and isinstance(x := numbers_of(given), Tracer):
            return implementation(x, x, *args[1:], **kwargs)
        y = function(*args, **kwargs)
        new = copies or isinstance(given, (list, tuple, int, float))
        return fresh(y) if beside_stores and new and y.base is None and y is not given else y

    return made


for _f in _CONVERTING:
    for _beside in (False, True):
        stands_for(_f, beside_stores=_beside)(_converted(_f, _f is np.array, _beside))


def _reading(function: Any) -> Callable[..., Any]:
    """Stand for a function that reads the memory of an array."""

    def read(*args: Any, **kwargs: Any) -> Any:
        return function(*map(made_plain, args), **kwargs)

    return read


for _f in (memoryview, bytes, bytearray, np.frombuffer):
    stands_for(_f)(_reading(_f))
