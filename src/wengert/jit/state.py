"""What a recording looked up outside of its arguments, and whether it is still as it was.

A recording computes with what globals, variables of enclosing functions, defaults, attributes of
objects and the content of plain arrays were when it was made. `State` takes what the code of a
function, and of those that it calls, can look up (`wengert.jit.reachable`), and writes one Python
function that compares it: objects by identity; numbers, strings, lists, dicts and sets by value;
arrays by identity, and by content where the recording read it other than as an operand that the
graph refers to.
"""

from __future__ import annotations

import marshal
import random
import types
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.keys import key
from wengert.jit.pins import pinned
from wengert.jit.reachable import CONTAINERS, VALUES, Place, Walk
from wengert.ops.base import Traced
from wengert.trace.capture import COPY_BYTES, checksum, memory_of
from wengert.trace.lookups import start_of

__all__ = ["State", "States"]

_BUFFERS = ("array", "bytearray", "memoryview", "mmap")
_FORMS = (list, tuple, set, frozenset, dict)

PACKING = 2
"""Version of marshal's format: numbers in binary, and no references, which depend on who else holds
an object."""


class Held(NamedTuple):
    """An array that is looked up.

    Attributes
    ----------
    array : ndarray
    names : frozenset of str
        Under which the code finds it; none for an item of a list, dict or tuple.
    """

    array: np.ndarray[Any, Any]
    names: frozenset[str]


class State:
    """What a function looks up, as it is now.

    Parameters
    ----------
    f : callable
    fixed : iterable
        Objects among its arguments that are part of the program.

    Attributes
    ----------
    test : callable
        Whether everything is as it was; takes nothing.
    is_empty : bool
        Whether there is nothing to compare.
    traced : bool
        Whether a traced value is among what is looked up.
    source : str
        What the last recording has drawn random numbers from.
    """

    def __init__(self, f: Callable[..., Any], fixed: Iterable[Any] = ()) -> None:
        found = Walk()
        for x in (f, *fixed):
            found.visit(x)
        found.follow()
        self.uses = found.uses
        self.traced = found.traced
        self.generators = found.generators
        self._lines: list[str] = []
        self._scope: dict[str, Any] = {
            "same": _same, "packed": marshal.dumps, "frozen": _frozen, "raw": _raw,
            "checksum": checksum,
        }  # fmt: skip
        self._names: dict[int, str] = {}
        self.arrays: dict[int, Held] = {}
        self._marks: dict[int, Any] = {}
        self._content: set[int] = set()
        ignored, walked = found.ignored(), found.walked()
        for p in found.places:
            if p.name not in ignored:
                self._compare(p, p.alone and p.name in walked)
        for x in fixed:
            self._compare_value(self._hold(x), x, frozenset(), given=True)
        self.is_empty = not self._lines and not self.arrays
        self.test: Callable[[], bool] = self._written()
        self._before: list[Any] = []
        self.source = ""

    # --- what is compared -------------------------------------------------------------------------
    def _hold(self, x: Any) -> str:
        name = self._names.get(id(x))
        if name is None:
            name = self._names[id(x)] = f"k{len(self._names)}"
            self._scope[name] = x  # which keeps it alive, so that its identity is its own
        return name

    def _compare(self, p: Place, stays: bool) -> None:
        if stays and type(p.value) in _FORMS and _is_plain(p.value) and _holds_still(p.value):
            pin = self._hold(pinned(p.holder, p.value))
            self._lines.append(f"{pin}.cell.cell_contents is {pin}.held")
            return
        holder = self._hold(p.holder)
        where = {
            "cell": f"{holder}.cell_contents",
            "global": f"{holder}[{p.name!r}]",
            "attribute": f"{holder}.{p.name}",
            "inside": f"{holder}.{p.name}",
            "default": f"{holder}.__defaults__[{p.at}]",
            "kwdefault": f"{holder}.__kwdefaults__[{p.name!r}]",
            "args": f"{holder}.args",
            "keywords": f"{holder}.keywords",
        }[p.how]
        names = frozenset() if p.how in ("inside", "args", "keywords") else frozenset({p.name})
        self._compare_value(where, p.value, names)

    def _compare_value(
        self, where: str, x: Any, names: frozenset[str], given: bool = False
    ) -> None:
        if isinstance(x, types.ModuleType):
            return
        if isinstance(x, VALUES):
            if not given:
                k = self._hold(x)
                self._lines.append(f"({where} is {k} or same({where}, {k}))")
            return
        if not given:
            self._lines.append(f"{where} is {self._hold(x)}")
        if isinstance(x, np.ndarray):
            if not given:  # a given one is of text, a copy
                self._keep(x, names)
        elif isinstance(x, CONTAINERS):
            text = _packed(x)
            if text is not None:
                if given or not _is_still(x):
                    self._lines.append(f"packed({where}, {PACKING}) == {self._hold(text)}")
            elif not isinstance(x, tuple) or x:
                self._lines.append(f"frozen({where}) == {self._hold(_frozen(x))}")
                self._items(x)
        elif (content := _raw(x)) is not None:
            self._lines.append(f"raw({where}) == {self._hold(content)}")

    def _items(self, x: Any, around: tuple[int, ...] = ()) -> None:
        around = (*around, id(x))
        for y in x.values() if isinstance(x, dict) else x:
            self._hold(y)
            if isinstance(y, np.ndarray):
                self._keep(y, frozenset())
            elif isinstance(y, CONTAINERS) and id(y) not in around:
                self._items(y, around)

    def _keep(self, x: np.ndarray[Any, Any], names: frozenset[str]) -> None:
        old = self.arrays.get(id(x))
        self.arrays[id(x)] = Held(x, names | old.names if old is not None else names)
        self._hold(x)

    def _written(self) -> Callable[[], bool]:
        lines = list(self._lines)
        for i in self._content:
            x, mark = self.arrays[i].array, self._marks[i]
            k = self._hold(x)
            read = f"checksum({k})" if isinstance(mark, int) else f"{k}.tobytes()"
            lines.append(f"{read} == {self._hold(mark)}")
        text = " and ".join(lines) or "True"
        exec(
            compile(
                f"def test():\n    try: return {text}\n"
                f"    except (KeyError, ValueError, AttributeError): return False\n",
                "<wengert state>", "exec",
            ),
            self._scope,
        )  # fmt: skip
        test: Callable[[], bool] = self._scope["test"]
        return test

    @property
    def guard(self) -> State | None:
        """The state where there is something to compare, else None."""
        return None if self.is_empty else self

    # --- around a recording -----------------------------------------------------------------------
    def begin(self) -> None:
        """Note what a recording starts with: the content of arrays, where random numbers are."""
        for i, held in self.arrays.items():
            if i not in self._content:
                self._marks[i] = _mark(held.array)
        self._before = [_position(g) for g in self._drawn_from()]

    def _drawn_from(self) -> list[Any]:
        return [np.random, random, *self.generators]

    def drawn(self) -> str:
        """Say what random numbers were drawn from since the recording began; empty for nothing."""
        for g, before in zip(self._drawn_from(), self._before, strict=False):
            if _position(g) != before:
                return g.__name__ if isinstance(g, types.ModuleType) else f"a {type(g).__name__}"
        return ""

    def settle(self, sites: dict[int, set[Any]], plainly: set[int]) -> None:
        """Compare the content of those arrays from now on that a recording has read as they were.

        Parameters
        ----------
        sites : dict
            For the memory of an array, the instructions at work when it became an operand.
        plainly : set
            The memory of arrays that NumPy functions were given beside traced values.
        """
        added = False
        for i, held in self.arrays.items():
            if i not in self._content and self._is_read(held, sites, plainly):
                x = held.array
                if x.flags.writeable or x.base is not None:
                    self._content.add(i)
                    added = True
        if added:
            self.test = self._written()

    def _is_read(self, held: Held, sites: dict[int, set[Any]], plainly: set[int]) -> bool:
        at = memory_of(held.array)
        if at in plainly:
            return True
        seen = sites.get(at)
        if seen is not None:
            seen = {(code, start_of(code, offset)) for code, offset in seen}
        if not held.names:
            return seen is None
        reads = [u for u in self.uses if u.kind in ("read", "walked")]
        uses = [u for u in reads if not held.names.isdisjoint(u.names)]
        if seen is None:
            return bool(uses)
        return any((u.code, u.offset) not in seen for u in uses)


def _mark(x: np.ndarray[Any, Any]) -> Any:
    return x.tobytes() if x.nbytes <= COPY_BYTES else checksum(x)


def _position(g: Any) -> Any:
    if isinstance(g, np.random.Generator):
        return _comparable(g.bit_generator.state)
    if g is np.random or isinstance(g, np.random.RandomState):
        return _comparable(g.get_state(legacy=False))
    return g.getstate()


def _comparable(x: Any) -> Any:
    """Return the state of a generator in a form that ``==`` compares: arrays as their bytes."""
    if isinstance(x, dict):
        return {k: _comparable(v) for k, v in x.items()}
    return x.tobytes() if isinstance(x, np.ndarray) else x


def _same(x: Any, y: Any) -> bool:
    return type(x) is type(y) and bool(key(x) == key(y))


def _packed(x: Any) -> bytes | None:
    """Return the content of a container of numbers, strings and such containers; None for others.

    Items are told by their types too, and dicts by the order of their keys. Byte strings are not
    among them, which marshal does not tell from arrays.
    """
    return marshal.dumps(x, PACKING) if _is_plain(x) else None


def _is_plain(x: Any) -> bool:
    try:
        return _is_plain_inside(x)
    except RecursionError:  # it holds itself
        return False


def _is_plain_inside(x: Any) -> bool:
    kind = type(x)
    if kind in (int, float, str, bool, complex, type(None)):
        return True
    if kind in _FORMS[:-1]:
        return all(map(_is_plain_inside, x))
    return kind is dict and all(map(_is_plain_inside, x)) and all(map(_is_plain_inside, x.values()))


def _is_still(x: Any) -> bool:
    """Whether what `_is_plain` accepts cannot change."""
    kind = type(x)
    return kind not in (list, set, dict) and (
        kind not in (tuple, frozenset) or all(map(_is_still, x))
    )


def _holds_still(x: Any) -> bool:
    return all(map(_is_still, x.values() if type(x) is dict else x))


def _frozen(x: Any, around: tuple[int, ...] = ()) -> Any:
    """Return the content of a container, objects and arrays by identity.

    `around` holds the identities of the containers around `x`; one that holds itself ends there.
    """
    if not isinstance(x, (dict, set, frozenset, *CONTAINERS)):
        return (type(x), key(x)) if isinstance(x, VALUES) else id(x)
    if id(x) in around:
        return type(x), around.index(id(x))
    around = (*around, id(x))
    if isinstance(x, dict):
        return type(x), tuple([(_frozen(k, around), _frozen(y, around)) for k, y in x.items()])
    parts = (_frozen(y, around) for y in x)
    return type(x), frozenset(parts) if isinstance(x, (set, frozenset)) else tuple(parts)


def _raw(x: Any) -> Any:
    """Return the content of an object that holds an array of another kind; None for others."""
    kind = type(x)
    if isinstance(x, (Traced, type)):
        return None
    if kind.__name__ in _BUFFERS and kind.__module__ in ("builtins", "array", "mmap"):
        return bytes(x)
    if hasattr(kind, "__array__") or hasattr(kind, "__array_interface__"):
        try:
            y = np.asarray(x)
            return (y.dtype, y.shape, y.tobytes()) if y.dtype.kind != "O" else None
        except Exception:  # such as a tensor on a device
            return None
    return None


# --- by signature ---------------------------------------------------------------------------------
class States:
    """The states that a function was recorded in, by signature."""

    MOST = 8
    """Kept for one signature; the one not used for longest is forgotten."""

    def __init__(self, f: Callable[..., Any]) -> None:
        self.f = f
        self._known: dict[Any, list[State]] = {}
        self.count: dict[Any, int] = {}

    def find(self, base: Any, fixed: Iterable[Any]) -> tuple[State, State | None]:
        """Return the state that holds now, a new one if none does, and one that is forgotten."""
        known = self._known.get(base)
        if known is None:
            known = self._known.setdefault(base, [])
        for state in known:
            if state.test():
                return state, None
        state = State(self.f, fixed)
        if state.traced:
            return state, None
        self.count[base] = self.count.get(base, 0) + 1
        known.append(state)
        return state, known.pop(0) if len(known) > self.MOST else None

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()
        self.count.clear()
