"""What code of the user is told when it asks what kind of object a traced value is.

``isinstance(x, np.ndarray)``, ``isinstance(x, float)``, ``np.isscalar(x)``, ``match`` statements
and `functools.singledispatch` read ``x.__class__``, and ``hasattr(x, "__len__")`` looks for a
method. The answer is that of the plain value, so that the code takes the branch that it takes
without a derivative. Code of wengert, NumPy, SciPy and optree is told what a traced value is.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType, MethodType
from typing import Any

import numpy as np

from wengert.errors import InputError, is_users, user_line
from wengert.follow.rewrite import original
from wengert.follow.tables import TABLES_FILE
from wengert.trace.lookups import lookups, start_of
from wengert.trace.numbers import number_type

__all__ = [
    "INNER",
    "OF_NUMBERS",
    "NotOfNumbers",
    "OfArrays",
    "OfNumPy",
    "attribute_of_number",
    "class_of",
    "deny",
    "is_asked",
    "is_library",
    "is_looked_up",
    "is_users_file",
    "kept_from_numbers",
]

OF_NUMBERS = frozenset({"real", "imag", "conjugate"})
"""Attributes that arrays have, and Python's numbers too."""
_USERS: dict[str, bool] = {}
INNER: set[str] = set()
"""Files of wengert whose code has asked. It does at every isinstance, so it is answered quickly."""

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_ASKING = ("/scipy/", "/pandas/", "/xarray/")
"""Packages that are told what a traced value is: they take arrays of other libraries."""


class NotOfNumbers(InputError, AttributeError):
    """A number has no such attribute, and no such operation."""


def is_users_file(name: str) -> bool:
    """Whether code of a file is told of plain values in the place of traced ones."""
    users = _USERS.get(name)
    if users is None:
        slashed = name.replace("\\", "/")
        users = is_users(name) and not any(part in slashed for part in _ASKING)
        users = _USERS[name] = users or "/numpy/polynomial/" in slashed
        if not users and name.startswith(_HERE):
            INNER.add(name)
    return users


def is_library(frame: FrameType) -> bool:
    """Whether code of SciPy or another such package asks, which gets plain arrays as they are."""
    name = frame.f_code.co_filename.replace("\\", "/")
    return any(part in name for part in _ASKING)


def is_asked(depth: int = 2) -> bool:
    """Whether it is code of the user that reads an attribute of a traced value."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None:
        name = frame.f_code.co_filename
        if is_users_file(name):
            return True
        between = "<frozen abc" in name or name == TABLES_FILE or frame.f_code.co_name == "isscalar"
        if not between:
            return False
        frame = frame.f_back
    return False


def class_of(x: Any) -> type:
    """Return the class of the plain value that a traced value stands for."""
    if x.shape or x._is_array():
        return np.ndarray
    found: type = number_type(x) or x.dtype.type
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


def deny(x: Any, name: str, depth: int = 3) -> None:
    """Refuse an attribute of NumPy where the user's code asks a traced Python number for it.

    ``getattr(x, "dtype", type(x))`` has an answer, because ``type(x)`` is none that NumPy knows.

    Raises
    ------
    NotOfNumbers
    """
    if not is_asked(depth) or (name == "dtype" and is_looked_up(depth)):
        return
    kind = number_type(x)
    if kind is not None:
        raise NotOfNumbers(
            f"{kind.__name__!r} object has no attribute {name!r}: the argument is a number of "
            f"Python, traced or not. Use a function of NumPy (np.shape(x), np.sum(x)), or pass "
            f"np.float64(x) or np.array(x)" + user_line()
        )


class OfNumPy:
    """An attribute that NumPy's arrays and scalars have, and Python's numbers have not."""

    def __init__(self, name: str, held: Any) -> None:
        self.name = name
        self.held = held
        self.__doc__ = held.__doc__

    def __get__(self, x: Any, owner: type | None = None) -> Any:
        """Read the attribute of a traced array."""
        if x is None:
            return self.held if not isinstance(self.held, property) else self
        if not x._trace.shape(x._var):
            deny(x, self.name)
        return self.held.__get__(x, owner)

    def __set__(self, x: Any, value: Any) -> None:
        """Set what NumPy lets one set."""
        setter = getattr(self.held, "__set__", None)
        if setter is None:
            raise AttributeError(f"attribute {self.name!r} of a traced array is read-only")
        setter(x, value)


def kept_from_numbers(kind: type) -> None:
    """Hide the public attributes of traced arrays that Python's numbers do not have."""
    for name, held in list(vars(kind).items()):
        if name.startswith("_") or name in OF_NUMBERS or not hasattr(np.ndarray, name):
            continue
        if name not in _READ_OFTEN:
            setattr(kind, name, OfNumPy(name, held))


_READ_OFTEN = frozenset({"shape", "dtype", "ndim", "size"})
"""Properties that look themselves, because every operation reads them."""


def attribute_of_number(x: Any, name: str) -> Any:
    """Return an attribute that Python's numbers have and arrays have not: that of the number.

    Raises
    ------
    AttributeError
        Where there is none.
    """
    kind = number_type(x)
    if kind is None and not x._is_array():
        kind = x.dtype.type
    if kind is None or name.startswith("_") or not hasattr(kind, name):
        raise AttributeError(f"a traced array has no attribute {name!r}", name=name, obj=x)
    if name == "is_integer":
        return lambda: bool(np.equal(np.floor(x), x)) and bool(np.isfinite(x))
    if callable(getattr(kind, name)):
        return lambda *args, **options: getattr(kind(x), name)(*args, **options)
    return getattr(kind(x), name)


def is_looked_up(depth: int = 2) -> bool:
    """Whether code of the user calls hasattr or getattr now, and not len, iter or the like."""
    frame = sys._getframe(depth)
    if not is_users(frame.f_code.co_filename):
        return False
    code, at = original(frame.f_code, frame.f_lasti)
    return start_of(code, at) in _lookups_by_name(code)


@functools.lru_cache(maxsize=4096)
def _lookups_by_name(code: CodeType) -> frozenset[int]:
    """Return where the instructions stand that call hasattr or getattr."""
    asked = ("hasattr", "getattr")
    uses = lookups(code).uses
    return frozenset(u.offset for u in uses if u.code is code and not u.names.isdisjoint(asked))
