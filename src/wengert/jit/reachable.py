"""What the code of functions can look up outside of their arguments.

`Walk` begins with some functions and goes through globals, variables of enclosing functions,
defaults and attributes of objects (`wengert.trace.lookups` reads a function's code). It does not
follow the code of installed libraries.
"""

from __future__ import annotations

import enum
import functools
import random
import sys
import sysconfig
import types
from collections import deque
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import is_users
from wengert.jit.pins import is_alone
from wengert.ops.base import Traced
from wengert.trace.lookups import WALKING, Lookups, lookups

__all__ = ["CONTAINERS", "VALUES", "Place", "Walk"]

_LIBRARIES = tuple({p for n in ("stdlib", "platstdlib") if (p := sysconfig.get_paths().get(n))})
_SITE = ("site-packages", "dist-packages", "<frozen")
VALUES = (bool, int, float, complex, str, bytes, type(None), np.generic, enum.Enum, type(...))
"""What is compared by value."""

CONTAINERS = (list, tuple, dict, set, frozenset, deque)
_INERT = (types.BuiltinFunctionType, np.ufunc, np.dtype, range, slice, types.MethodWrapperType,
          types.CodeType, property)  # fmt: skip
_GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
_CALLERS = ("numpy", "functools", "builtins", "operator", "scipy")
_NAMESPACES = (types.SimpleNamespace,)


@functools.lru_cache(maxsize=4096)
def _is_followed(filename: str) -> bool:
    """Whether the code of a file is the user's, and not wengert's or of an installed library."""
    if not is_users(filename) or any(part in filename for part in _SITE):
        return False
    return not filename.startswith(_LIBRARIES)


def _of_library(kind: type) -> bool:
    """Whether a class is defined in an installed library."""
    for method in vars(kind).values():
        if isinstance(method, types.FunctionType):
            return not _is_followed(method.__code__.co_filename)
    module = _module(kind.__module__)
    return module is None or not _is_followed(getattr(module, "__file__", None) or "<frozen")


def _module(name: str) -> Any:
    """Return an imported module."""
    return sys.modules.get(name)


class Place(NamedTuple):
    """Where something is looked up: an object, how, under which name, and what is there.

    ``inside`` is an attribute that library code reads, or code that looks up by strings. ``alone``
    says that only this place leads to a variable and to what is in it.
    """

    holder: Any
    how: str
    name: str
    value: Any
    at: int = 0
    alone: bool = False


class Walk:
    """Goes through what functions can reach: `visit` each of them, then `follow`.

    Attributes
    ----------
    places : list of Place
        Where the code looks something up.
    uses : list
        What the code does with names (`wengert.trace.lookups`).
    generators : list
        Generators of random numbers that were met.
    traced : bool
        Whether a traced value was met.
    """

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.uses: list[Any] = []
        self.generators: list[Any] = []
        self.traced = False
        self._names: set[str] = set()
        self._all = False
        self._seen: dict[int, Any] = {}
        self._objects: list[tuple[Any, set[str]]] = []
        self._classes: list[tuple[type, set[str]]] = []

    def visit(self, x: Any) -> None:
        """Go through a function or an object, unless it was met before."""
        if isinstance(x, (*VALUES, *_INERT)) or id(x) in self._seen:
            return
        if isinstance(x, Traced):
            self.traced = True
            return
        self._seen[id(x)] = x
        if isinstance(x, np.ndarray):
            return
        if isinstance(x, types.FunctionType):
            self._function(x)
        elif isinstance(x, types.MethodType):
            self.visit(x.__func__)
            self.visit(x.__self__)
        elif isinstance(x, functools.partial):
            self.visit(x.func)
            if x.args:
                self.found(x, "args", "", x.args)
            if x.keywords:
                self.found(x, "keywords", "", x.keywords)
        elif isinstance(x, (staticmethod, classmethod, functools.cached_property)):
            self.visit(getattr(x, "__func__", None) or x.func)  # type: ignore[union-attr]
        elif isinstance(x, dict):
            for y in x.values():
                self.visit(y)
        elif isinstance(x, CONTAINERS):
            for y in x:
                self.visit(y)
        elif isinstance(x, _GENERATORS):
            self.generators.append(x)
        elif isinstance(x, types.ModuleType):
            if _is_followed(getattr(x, "__file__", None) or "<frozen"):
                self._objects.append((x, set()))
        elif (
            callable(x)
            and not isinstance(x, type)
            and type(x).__module__.partition(".")[0] in _CALLERS
        ):
            self.visit(getattr(x, "__wrapped__", None))
            self.visit(getattr(x, "pyfunc", None))  # of numpy.vectorize
        elif isinstance(x, type):
            if not _of_library(x):
                self._classes.append((x, set()))
        elif type(x).__module__.partition(".")[0] == "wengert":
            self._wrapper(x)
        else:
            self._objects.append((x, set()))
            for base in type(x).__mro__[:-1]:
                self.visit(base)

    def found(
        self, holder: Any, how: str, name: str, value: Any, at: int = 0, alone: bool = False
    ) -> None:
        """Note that `value` is looked up in `holder`, and go through it."""
        self.places.append(Place(holder, how, name, value, at, alone))
        self._seen.setdefault(id(holder), holder)
        self.visit(value)

    def _function(self, f: types.FunctionType) -> None:
        code = f.__code__
        alone = [is_alone(f, i) for i in range(len(code.co_freevars))]
        self.visit(getattr(f, "__wrapped__", None))
        cells = list(zip(code.co_freevars, f.__closure__ or (), strict=True))
        if not _is_followed(code.co_filename):
            for _, cell in cells:
                x = _content(cell)
                if callable(x) or isinstance(x, Traced):
                    self.visit(x)
            return
        look: Lookups = lookups(code)
        self.uses += look.uses
        self._names |= look.attributes | look.strings
        self._all = self._all or look.reflective
        for (name, cell), private in zip(cells, alone, strict=True):
            x = _content(cell)
            if x is not _EMPTY:
                self.found(cell, "cell", name, x, alone=private)
        for name in look.globals:
            if name in f.__globals__:
                self.found(f.__globals__, "global", name, f.__globals__[name])
        names = code.co_varnames[: code.co_argcount]
        given = f.__defaults__ or ()
        for at, x in enumerate(given):
            self.found(f, "default", names[len(names) - len(given) + at], x, at)
        for name, x in (f.__kwdefaults__ or {}).items():
            self.found(f, "kwdefault", name, x)

    def _wrapper(self, x: Any) -> None:
        """Go through one of wengert's own objects: to the functions that it calls."""
        self.visit(getattr(x, "__wrapped__", None))
        for y in list(getattr(x, "__dict__", {}).values()):
            for z in y if isinstance(y, tuple) else (y,):
                if isinstance(z, (types.FunctionType, types.MethodType, functools.partial)):
                    self.visit(z)

    def follow(self) -> None:
        """Look up the names that were found on the objects that were found, until all are."""
        count = -1
        while count != (count := len(self.places) + len(self._seen) + len(self._names)):
            for x, done in list(self._objects):
                self._attributes(x, done)
            for c, done in list(self._classes):
                self._class(c, done)

    def _attributes(self, x: Any, done: set[str]) -> None:
        own = getattr(x, "__dict__", None)
        own = own if isinstance(own, dict) else {}
        slots = [n for c in type(x).__mro__ for n in _slots(c) if n not in own and hasattr(x, n)]
        whole = not isinstance(x, (*_NAMESPACES, types.ModuleType)) and _of_library(type(x))
        wanted = (
            own.keys()
            if whole or (self._all and not isinstance(x, types.ModuleType))
            else (self._names & own.keys())
        )
        for base in type(x).__mro__[:-1]:  # what an attribute set later would hide
            for name in self._names & vars(base).keys() - own.keys() - done:
                value = vars(base)[name]
                if not callable(value) and not hasattr(type(value), "__get__"):
                    done.add(name)
                    self.found(x, "attribute", name, getattr(x, name))
        for name in [*wanted, *(n for n in slots if whole or self._all or n in self._names)]:
            if name in done or not name.isidentifier():
                continue
            done.add(name)
            if isinstance(getattr(type(x), name, None), property):
                continue
            how = "inside" if whole or self._all else "attribute"
            self.found(x, how, name, own[name] if name in own else getattr(x, name))

    def _class(self, c: type, done: set[str]) -> None:
        for name, x in list(vars(c).items()):
            if name in done:
                continue
            dunder = name.startswith("__") and name.endswith("__")
            if name not in self._names and not (dunder and name not in _UNRELATED):
                continue
            done.add(name)
            if isinstance(x, property):
                self.visit(x.fget)
            elif isinstance(
                x, (types.FunctionType, staticmethod, classmethod, functools.cached_property)
            ) or type(x).__module__.startswith("wengert"):
                self.visit(x)
            elif not dunder and not hasattr(type(x), "__get__"):
                self.found(c, "attribute", name, x)

    def ignored(self) -> set[str]:
        """Return the names of what is changed for the effect only, and never read."""
        return {n for n, k in self._kinds().items() if k == {"effect"}}

    def walked(self) -> set[str]:
        """Return the names of what is walked through only, neither changed nor handed on."""
        hidden = {p.name for p in self.places if p.how in ("global", "cell")}
        if self._all or "locals" in self._names or not WALKING.isdisjoint(hidden):
            return set()
        return {n for n, k in self._kinds().items() if k <= {"walked", "asked"}}

    def _kinds(self) -> dict[str, set[str]]:
        kinds: dict[str, set[str]] = {}
        for u in self.uses:
            for n in u.names:
                kinds.setdefault(n, set()).add(u.kind)
        return kinds


_EMPTY = object()
_UNRELATED = {"__repr__", "__str__", "__del__", "__reduce__", "__getstate__", "__setstate__",
              "__doc__", "__dict__", "__weakref__", "__annotations__"}  # fmt: skip


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return _EMPTY


def _slots(c: type) -> Iterable[str]:
    found = vars(c).get("__slots__", ())
    return (found,) if isinstance(found, str) else found
