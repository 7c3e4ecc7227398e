"""``a[i]`` where `a` is a plain array and `i` is traced, and ``np.r_[...]`` of traced values."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.errors import UnsupportedError, user_line
from wengert.follow.functions import TABLES
from wengert.trace.fresh import fixed, made_plain
from wengert.trace.python.created import joined_lists
from wengert.trace.python.table import find, stands_for
from wengert.trace.tracer import Tracer

__all__: list[str] = []


def _read(a: Any, index: Any) -> Any:
    """Read an item of a plain array; a traced index is an index, and no decision of Python."""
    if type(index) is Tracer or (type(index) is tuple and find(index) is not None):
        return made_plain(fixed(a)[index])
    return a[index]


def _pieces(r: Any, key: Any) -> list[Any]:
    made = []
    for part in key if type(key) is tuple else (key,):
        if isinstance(part, str):
            raise UnsupportedError(
                f"np.r_ and np.c_ with the directive {part!r} are not supported on traced values; "
                "write np.concatenate or np.stack with axis=" + user_line()
            )
        if type(part) is slice:
            made.append(r[part])
        else:
            made.append(np.atleast_1d(joined_lists(part)))
    return made


def _row(r: Any, key: Any) -> Any:
    if find(key) is None:
        return r[key]
    return np.concatenate(_pieces(np.r_, key), axis=-1 if r is not np.r_ else 0)


def _column(c: Any, key: Any) -> Any:
    if find(key) is None:
        return c[key]
    pieces = [p[:, None] if p.ndim == 1 else p for p in _pieces(np.r_, key)]
    return np.concatenate(pieces, axis=-1)


@stands_for(np.ndenumerate)
def _ndenumerate(arr: Any) -> Any:
    arr = joined_lists(arr)
    if type(arr) is not Tracer:
        return np.ndenumerate(arr)
    return ((index, arr[index]) for index in np.ndindex(arr.shape))


TABLES.subscripts.kinds[np.ndarray] = _read
TABLES.subscripts.kinds[type(np.r_)] = _row
TABLES.subscripts.kinds[type(np.c_)] = _column
