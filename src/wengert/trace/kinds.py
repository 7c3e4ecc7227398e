"""What code of the user is told when it asks what kind of object a traced value is.

``isinstance(x, np.ndarray)``, ``isinstance(x, float)``, ``np.isscalar(x)``, ``match`` statements
and `functools.singledispatch` read ``x.__class__``, and ``hasattr(x, "__len__")`` looks for a
method. The answer is that of the plain value, so that the code takes the branch that it takes
without a derivative. Code of wengert, NumPy, SciPy and optree is told what a traced value is.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import CodeType, FrameType, MethodType
from typing import Any

import numpy as np

from wengert.errors import InputError, is_users
from wengert.trace.lookups import lookups, start_of

__all__ = ["NotOfNumbers", "OfArrays", "class_of", "is_asked", "is_looked_up"]

_PLAIN = (float, int, bool, complex)
_USERS: dict[str, bool] = {}


class NotOfNumbers(InputError, AttributeError):
    """A number has no such attribute, and no such operation."""


def is_asked() -> bool:
    """Whether it is code of the user that reads an attribute of a traced value."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        name = frame.f_code.co_filename
        users = _USERS.get(name)
        if users is None:
            users = _USERS[name] = is_users(name) and "/scipy/" not in name.replace("\\", "/")
        if users:
            return True
        if "<frozen abc" not in name and frame.f_code.co_name != "isscalar":
            return False
        frame = frame.f_back
    return False


def class_of(x: Any) -> type:
    """Return the class of the plain value that a traced value stands for."""
    if x.shape or x._is_array():
        return np.ndarray
    data = x
    while hasattr(data, "_var"):
        data = data._var.data
    kind = type(data)
    if kind in _PLAIN:
        return kind
    found: type = x.dtype.type
    return found


class OfArrays:
    """A method that arrays have, and numbers have not."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, x: Any, owner: type | None = None) -> Any:
        """Bind to a traced array; where the user asks whether a number has it, it has not."""
        if x is None:
            return self.function
        if not x.shape and is_looked_up() and not x._is_array():
            raise NotOfNumbers(f"a number has no {self.function.__name__}")
        return MethodType(self.function, x)


def is_looked_up() -> bool:
    """Whether code of the user calls hasattr or getattr now, and not len, iter or the like."""
    frame = sys._getframe(2)
    code = frame.f_code
    return is_users(code.co_filename) and start_of(code, frame.f_lasti) in _lookups_by_name(code)


@functools.lru_cache(maxsize=4096)
def _lookups_by_name(code: CodeType) -> frozenset[int]:
    """Return where the instructions stand that call hasattr or getattr."""
    asked = ("hasattr", "getattr")
    uses = lookups(code).uses
    return frozenset(u.offset for u in uses if u.code is code and not u.names.isdisjoint(asked))
