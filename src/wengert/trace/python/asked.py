"""Questions about what kind of object a traced value is, asked by built-in functions."""

from __future__ import annotations

import abc
import typing
from types import UnionType
from typing import Any

from wengert.errors import UnsupportedError, user_line
from wengert.follow.objects import attribute
from wengert.trace.kinds import class_of
from wengert.trace.python.table import stands_for
from wengert.trace.tracer import Tracer

__all__: list[str] = []

_NOTHING = object()


@stands_for(type)
def _type(*args: Any) -> Any:
    if len(args) == 1 and type(args[0]) is Tracer:
        return class_of(args[0])
    return type(*args)


@stands_for(isinstance)
def _isinstance(x: Any, kinds: Any, /) -> bool:
    if type(x) is not Tracer:
        return isinstance(x, kinds)
    if type(kinds) in (tuple, UnionType):
        return any(_isinstance(x, k) for k in getattr(kinds, "__args__", kinds))
    if type(kinds) not in _ASKING_THE_CLASS:
        return isinstance(x, kinds)
    try:  # an abstract base class would look at the class of the traced value, too
        return issubclass(class_of(x), kinds)
    except TypeError:  # a protocol with attributes
        return isinstance(x, kinds)


_ASKING_THE_CLASS = (type, abc.ABCMeta, type(typing.Protocol))
"""Classes of classes that say the same of an object as of its class."""


@stands_for(hasattr)
def _hasattr(x: Any, name: Any, /) -> bool:
    if type(x) is Tracer:
        return _has(class_of(x), name) and _of_traced(x, name) is not _NOTHING
    return _get(x, name, _NOTHING) is not _NOTHING


@stands_for(getattr)
def _getattr(x: Any, name: Any, /, *default: Any) -> Any:
    if type(x) is not Tracer:
        return _get(x, name, *default)
    if _has(class_of(x), name):
        return _of_traced(x, name)
    if default:
        return default[0]
    raise AttributeError(f"{class_of(x).__name__!r} object has no attribute {name!r}")


def _has(kind: type, name: Any) -> bool:
    return type(name) is not str or any(name in c.__dict__ for c in kind.__mro__)


def _of_traced(x: Tracer, name: Any) -> Any:
    """Read an attribute that the plain value has."""
    try:
        return getattr(x, name)
    except AttributeError:
        raise UnsupportedError(
            f"traced arrays have no .{name}, which the plain value has; take the value out of the "
            f"derivative with wg.stop_gradient(x)" + user_line()
        ) from None


def _get(x: Any, name: Any, *default: Any) -> Any:
    """Return an attribute of an object, by a function of the user that is followed."""
    if type(name) is not str:
        return getattr(x, name, *default)
    try:
        return attribute(x, name)
    except AttributeError:
        if default:
            return default[0]
        raise
