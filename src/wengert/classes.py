"""Classes whose objects are pytrees: those that are registered, dataclasses, and attrs' classes.

The arrays and floats that an object holds, alone or in lists, dicts and other such objects, are its
leaves. What else it holds (numbers of int, strings, functions) is part of its form. An object with
other leaves is made without calling ``__init__``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import optree

from wengert.errors import InputError, user_line
from wengert.ops.base import Traced

__all__ = ["adopt", "flattened", "register"]

_EVERYWHERE: Any = getattr(optree.registry, "__GLOBAL_NAMESPACE")
_LEAVES = (Traced, np.ndarray, np.inexact, float, complex)
_KNOWN: set[type] = {np.ndarray, float, int, complex, bool, str, bytes, type(None)}
"""Types of leaves, asked before."""
_LOCK = threading.Lock()
C = TypeVar("C", bound=type)


class _Rest(tuple[tuple[str, Any], ...]):
    """What an object holds besides its leaves, compared by value, and by identity where it must."""

    __slots__ = ()

    def __hash__(self) -> int:
        return hash(tuple((name, _key(x)) for name, x in self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rest) and [(n, _key(x)) for n, x in self] == [
            (n, _key(x)) for n, x in other
        ]

    def __ne__(self, other: object) -> bool:
        return not self == other


def _key(x: Any) -> Any:
    try:
        hash(x)
    except TypeError:
        return (type(x), repr(x)) if type(x) in (list, dict, set) else (type(x), id(x))
    return (type(x), x)


def register(cls: C, *, data: Sequence[str] | None = None) -> C:
    """Let the objects of a class be pytrees, whose arrays are differentiated and compiled.

    Dataclasses, classes of attrs, named tuples, lists, tuples and dicts need no registration.

    Parameters
    ----------
    cls : type
        A class of Python. As a decorator: ``@wg.register``.
    data : sequence of str, optional
        Names of the attributes that hold data. By default those that hold arrays, floats or pytrees
        of them, decided for each object.

    Returns
    -------
    type
        `cls` itself.

    Raises
    ------
    InputError
        For what is no class, or is registered.
    """
    if not isinstance(cls, type):
        raise InputError(
            f"register takes a class, not a {type(cls).__name__}: write @wg.register above it, or "
            "wg.register(Model, data=['w', 'b'])" + user_line()
        )
    names = None if data is None else tuple(data)

    def parts(x: Any) -> list[tuple[str, Any, bool]]:
        held = _held(x)
        if names is None:
            return [(name, y, _is_data(y)) for name, y in held]
        missing = [name for name in names if name not in dict(held)]
        if missing:
            raise InputError(
                f"an object of {cls.__name__} has no attribute {missing[0]!r}, which is registered "
                "as data" + user_line()
            )
        return [(name, y, name in names) for name, y in held]

    try:
        _enter(cls, parts)
    except ValueError:
        raise InputError(f"{cls.__name__} is registered already" + user_line()) from None
    return cls


def _held(x: Any) -> list[tuple[str, Any]]:
    found = dict(getattr(x, "__dict__", {}))
    for kind in type(x).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(x, name):
                found.setdefault(name, getattr(x, name))
    return list(found.items())


def _is_data(x: Any) -> bool:
    if isinstance(x, _LEAVES):
        return True
    if isinstance(x, (str, bytes, int, type(None), type)):
        return False
    return any(isinstance(y, _LEAVES) for y in flattened(x)[0])


def _enter(cls: type, parts: Callable[[Any], list[tuple[str, Any, bool]]]) -> None:
    def flatten(x: Any) -> Any:
        found = parts(x)
        names = tuple(name for name, _, is_data in found if is_data)
        rest = _Rest((name, y) for name, y, is_data in found if not is_data)
        return tuple(y for _, y, is_data in found if is_data), (names, rest), names

    def unflatten(form: Any, children: Any) -> Any:
        made: Any = object.__new__(cls)
        for name, y in (*form[1], *zip(form[0], children, strict=True)):
            object.__setattr__(made, name, y)
        return made

    optree.register_pytree_node(
        cls, flatten, unflatten, path_entry_type=optree.GetAttrEntry, namespace=_EVERYWHERE
    )


def adopt(leaves: Sequence[Any]) -> bool:
    """Register the classes of leaves that are dataclasses or attrs' objects; whether there was one.

    Parameters
    ----------
    leaves : sequence
        Of a pytree: objects of classes that are not registered.
    """
    found = False
    for x in leaves:
        kind = type(x)
        if kind in _KNOWN:
            continue
        made = dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__")
        if not made or isinstance(x, Traced):
            _KNOWN.add(kind)
            continue
        with _LOCK, contextlib.suppress(ValueError):  # where another thread was first
            _enter(kind, lambda x: [(name, y, _is_data(y)) for name, y in _held(x)])
        found = True
    return found


def flattened(tree: Any) -> tuple[list[Any], Any]:
    """Return the leaves of a pytree and its form, dataclasses and attrs' objects taken apart."""
    leaves, spec = optree.tree_flatten(tree)
    while not _KNOWN.issuperset(map(type, leaves)) and adopt(leaves):
        leaves, spec = optree.tree_flatten(tree)
    return leaves, spec
