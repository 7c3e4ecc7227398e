"""The form of a call: which parts of its arguments are data, and which are part of the program.

Arrays and numbers are data, and become inputs of a graph. Everything else decides which program
runs: the nesting of lists and dicts, strings and other objects among the arguments, and the
arguments that are named static.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import optree

from wengert.errors import InputError, MutationError, user_line
from wengert.follow.functions import call as call_followed
from wengert.ir.graph import aval_of
from wengert.ir.keys import key
from wengert.ops.base import Traced
from wengert.ops.leaves import is_data, plain
from wengert.trees import flattened

__all__ = ["DYNAMIC", "Fixed", "Form", "Laid", "bare", "laid_like", "layouts", "signature", "split"]

DYNAMIC = (np.ndarray, np.generic, float, int, complex, bool)
"""Leaves that become inputs of a graph; anything else is part of the function."""

_NUMBERS = frozenset({float, int, bool, complex})


class Fixed:
    """A part of a call that the program depends on, compared by value, else by identity.

    ``1``, ``1.0`` and ``True`` are three, and so are tuples of them.
    """

    __slots__ = ("_key", "value")

    def __init__(self, value: Any) -> None:
        self.value = value
        self._key: Any
        if isinstance(value, np.ndarray):  # of text or dates
            self.value = value = value.copy()
            self._key = (value.dtype, value.shape, value.tobytes())
            return
        try:
            hash(value)
        except TypeError:
            self._key = (type(value), id(value))  # kept alive by `value`
        else:
            self._key = (type(value), key(value))

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fixed) and bool(self._key == other._key)

    def __repr__(self) -> str:
        """Show the value."""
        return repr(self.value)


class Form(NamedTuple):
    """What a specialisation depends on, besides the shapes and dtypes of its inputs.

    Attributes
    ----------
    spec : optree.PyTreeSpec
        Of ``(args, kwargs)``, with None in the places of static arguments.
    fixed : tuple
        ``(number of the leaf, Fixed)`` for leaves that are not data.
    static : tuple
        ``(position or keyword, Fixed)`` for static arguments.
    order : tuple
        Keywords in the order in which they were given, None where the function cannot see it; then
        the keys of each dict among the arguments, in the order in which they were inserted, which
        ``for k in d`` shows. `spec` has them sorted.
    """

    spec: Any
    fixed: tuple[tuple[int, Fixed], ...]
    static: tuple[tuple[int | str, Fixed], ...]
    order: tuple[Any, ...] = ()

    def call(self, f: Callable[..., Any], leaves: Sequence[Any]) -> Any:
        """Call `f` with arguments of this form whose data are `leaves`.

        Raises
        ------
        MutationError
            When `f` replaces an item of a list or dict among its arguments, which its caller would
            expect to see.
        """
        tree = self.spec.unflatten(self._all(leaves))
        before, form = optree.tree_flatten(tree)
        args, kwargs = list(tree[0]), dict(tree[1])
        for k, s in self.static:
            if isinstance(k, int):
                args[k] = s.value
            else:
                kwargs[k] = s.value
        out = call_followed(f, args, kwargs)
        after, left = optree.tree_flatten(tree)
        same = len(before) == len(after)
        same = same and all(a is b for a, b in zip(before, after, strict=True))
        if not same or left != form:
            raise MutationError(
                f"{getattr(f, '__name__', 'the function')} changes "
                f"{'an object' if same else 'a list or dict'} among its arguments in place, which "
                f"a compiled function does not do to its caller's. Make a new one, and return "
                f"it." + user_line()
            )
        return out

    def _all(self, leaves: Sequence[Any]) -> list[Any]:
        made = list(leaves)
        for i, s in self.fixed:  # in increasing order
            made.insert(i, s.value)
        return made

    def describe(self, leaves: Sequence[Any]) -> dict[str, str]:
        """Return a line of text for each leaf and static argument, by its place in the call."""
        still = {i for i, _ in self.fixed}
        shown = [
            _shown(x) if i in still else str(aval_of(x)) for i, x in enumerate(self._all(leaves))
        ]
        made = {_place(path): text for path, text in zip(self.spec.paths(), shown, strict=True)}
        made.update({_argument(k): repr(s.value) for k, s in self.static})
        return made


def _shown(x: Any) -> str:
    text = repr(x)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _argument(k: int | str) -> str:
    return f"argument {k}" if isinstance(k, int) else f"argument {k}="


def _place(path: tuple[Any, ...]) -> str:
    return _argument(path[1]) + "".join(f"[{p!r}]" for p in path[2:])


def split(
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    nums: Sequence[int] = (),
    names: Sequence[str] = (),
    ordered: bool = True,
) -> tuple[list[Any], Form]:
    """Split a call into its data and its form.

    Parameters
    ----------
    args, kwargs
        The arguments.
    nums, names
        Positions (negative ones from the end) and keywords of static arguments.
    ordered : bool
        Whether the function can see the order of its keywords (``**kwargs``).

    Raises
    ------
    InputError
        For a static argument that cannot be hashed.
    """
    static: list[tuple[int | str, Fixed]] = []
    given = tuple(kwargs) if ordered and len(kwargs) > 1 else None
    if not ordered:
        kwargs = {k: kwargs[k] for k in sorted(kwargs)}
    if nums or names:
        where = sorted({i % len(args) for i in nums if -len(args) <= i < len(args)})
        static = [(i, _static(i, args[i])) for i in where]
        static += [(k, _static(k, kwargs[k])) for k in sorted(names) if k in kwargs]
        args = tuple(None if i in where else a for i, a in enumerate(args))
        kwargs = {k: v for k, v in kwargs.items() if k not in names}
    leaves: list[Any]
    leaves, spec = flattened((args, kwargs))
    data = []
    fixed = []
    for i, x in enumerate(leaves):
        if is_data(x):
            data.append(plain(x))
        else:
            fixed.append((i, Fixed(x)))
    order: list[Any] = [given]
    _orders((args, tuple(kwargs.values())), order)
    return data, Form(spec, tuple(fixed), tuple(static), tuple(order))


def _orders(x: Any, found: list[Any]) -> None:
    """Find the order of the keys of each dict in a tree."""
    kind = type(x)
    if kind is dict or isinstance(x, dict):
        if len(x) > 1:
            found.append(tuple(map(Fixed, x)))
        for y in x.values():
            _orders(y, found)
    elif kind is tuple or kind is list:
        for y in x:
            if type(y) is not np.ndarray:
                _orders(y, found)


def _static(place: int | str, x: Any) -> Fixed:
    if not isinstance(x, (Traced, Hashable)):
        raise InputError(
            f"static {_argument(place)} is a {type(x).__name__}, which cannot be compared with "
            f"those of later calls. Give a tuple instead of a list, or let it be "
            f"data." + user_line()
        )
    return Fixed(x)


def signature(x: Any) -> Any:
    """Return what a specialisation depends on in one piece of data.

    Python numbers stand for their type, arrays for shape and dtype; an array without axes is told
    from a scalar, because it can be changed in place.
    """
    kind = type(x)
    if kind in _NUMBERS:
        return kind
    return (x.shape, x.dtype) if isinstance(x, np.ndarray) else (kind, x.dtype)


class Laid(NamedTuple):
    """The key of a signature whose programs depend on how its arrays lie in memory."""

    key: Any
    layouts: tuple[Any, ...]


def bare(key: Any) -> Any:
    """Return the signature and the state of a key."""
    return key.key if type(key) is Laid else key


def layouts(leaves: Sequence[Any]) -> tuple[Any, ...]:
    """Return how the arrays among data lie in memory: None for C order, else their strides.

    A specialisation depends on it where its recording does (`Recorded.laid`).
    """
    return tuple([_layout(x) if isinstance(x, np.ndarray) else None for x in leaves])


def _layout(x: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    if x.flags.c_contiguous:
        return None
    return tuple([0 if n == 1 else s for n, s in zip(x.shape, x.strides, strict=True)])


def laid_like(y: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return an array with the numbers of `y` that lies in memory as `x` does."""
    if x.flags.c_contiguous:
        return y
    steps = [(s, s * (n - 1)) for n, s in zip(x.shape, x.strides, strict=True)]
    before = -sum(last for s, last in steps if s < 0)
    after = sum(last for s, last in steps if s > 0)
    memory = np.zeros(before + after + x.itemsize, np.uint8)
    made: np.ndarray[Any, Any] = np.ndarray(x.shape, x.dtype, memory, before, x.strides)
    made[...] = y
    return made
