"""Pytrees: nested lists, tuples, dicts and registered classes whose leaves are arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import optree

from wengert.classes import flattened as flattened
from wengert.errors import InputError, MutationError, ShapeError, user_line
from wengert.follow.functions import call as call_followed
from wengert.ir.graph import Value
from wengert.ops.base import PythonComplex, PythonFloat, Traced, dtype_of, shape_of
from wengert.ops.convert import convert
from wengert.ops.leaves import checked

__all__ = ["Selection", "apart", "flatten", "map_leaves", "own", "select", "unwrap"]


def flatten(tree: Any) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
    """Return the leaves of a pytree, and the function that puts leaves back into its form."""
    if isinstance(tree, (Traced, np.ndarray, np.generic, float)):
        return [tree], _only
    leaves, spec = flattened(tree)
    return leaves, spec.unflatten


def _only(leaves: Sequence[Any]) -> Any:
    return leaves[0]


def map_leaves(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply `f` to the leaves of a pytree."""
    if isinstance(tree, (Traced, np.ndarray, np.generic, float)) and not rest:
        return f(tree)
    flattened(tree)
    return optree.tree_map(f, tree, *rest)


class Selection:
    """The arguments that are differentiated, as flat leaves.

    Parameters
    ----------
    args : tuple
        Of the call.
    argnums : int or sequence of int
    name : str
        Of the transformation, for messages.
    f : callable, optional
        The function, whose signature says which keyword a position is.
    kwargs : dict, optional
        Of the call.
    argnames : str or sequence of str, optional
        In place of `argnums`.
    allow_int : bool
        Whether integers and Booleans among the leaves are constants with a derivative of zero.
    """

    __slots__ = ("args", "constants", "counts", "leaves", "names", "places", "rebuilds", "single")

    def __init__(
        self,
        args: tuple[Any, ...],
        argnums: int | Sequence[int],
        name: str,
        f: Callable[..., Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        argnames: str | Sequence[str] | None = None,
        allow_int: bool = False,
    ) -> None:
        kwargs = kwargs or {}
        wanted: Any = argnums if argnames is None else argnames
        self.single = not isinstance(wanted, Iterable) or isinstance(wanted, str)
        self.names: tuple[str, ...] | None = None if argnames is None else tuple(wanted)
        self.places: list[int | str] = []
        for i in (wanted,) if self.single else tuple(wanted):
            place = _argument(f, i, wanted, args, kwargs, name)
            if place in self.places:
                what = "argnums" if argnames is None else "argnames"
                raise InputError(
                    f"{name}: {what}={wanted!r} names argument {place} twice" + user_line()
                )
            self.places.append(place)
        self.args = args
        self.leaves: list[Any] = []
        self.constants: dict[int, Any] = {}
        self.counts = []
        self.rebuilds = []
        for i in self.places:
            given = kwargs[i] if isinstance(i, str) else args[i]
            leaves, rebuild = flatten(given)
            for k, x in enumerate(leaves):
                if allow_int and _is_whole(x):
                    self.constants[len(self.leaves)] = x
                    x = np.zeros(np.shape(x))
                self.leaves.append(_leaf(x, k, name, i, given))
            self.counts.append(len(leaves))
            self.rebuilds.append(rebuild)

    @property
    def argnums(self) -> list[int]:
        """The positions of the arguments that were passed by position."""
        return [i for i in self.places if not isinstance(i, str)]

    def call(self, f: Callable[..., Any], leaves: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Call `f` with the selected arguments' leaves replaced."""
        args = list(self.args)
        given = list(leaves)
        for k, x in self.constants.items():
            given[k] = x
        start = 0
        for i, n, rebuild in zip(self.places, self.counts, self.rebuilds, strict=True):
            made = rebuild(given[start : start + n])
            if isinstance(i, str):
                kwargs = {**kwargs, i: made}
            else:
                args[i] = made
            start += n
        out = call_followed(f, args, kwargs)
        for x in leaves:
            if getattr(x, "_version", 0):
                others = [x for i, x in enumerate(self.args) if i not in self.places]
                named = [x for k, x in kwargs.items() if k not in self.places]
                apart(leaves, self.leaves, flatten((others, named))[0])
                break
        return out

    def pack(self, leaves: Sequence[Any]) -> Any:
        """Put one value a leaf into the form of the selected arguments."""
        packed = []
        start = 0
        for n, rebuild in zip(self.counts, self.rebuilds, strict=True):
            packed.append(rebuild(leaves[start : start + n]))
            start += n
        if self.single:
            return packed[0]
        if self.names is not None:
            return dict(zip(self.names, packed, strict=True))
        return tuple(packed)


def apart(handles: Sequence[Any], given: Sequence[Any], others: Sequence[Any] = ()) -> None:
    """Check that no argument that was updated in place shares memory with another one.

    Each is an array of its own while it is traced, so the update would not be seen by the other.

    Raises
    ------
    MutationError
    """
    for k, (h, x) in enumerate(zip(handles, given, strict=True)):
        if getattr(h, "_version", 0) and any(
            _overlap(x, y) for y in (*given[:k], *given[k + 1 :], *others)
        ):
            raise MutationError(
                f"an argument of shape {h.shape} was updated in place, and another argument shares "
                f"memory with it, which would have to see the update. Pass a copy, or begin with "
                f"x = x.copy()." + user_line()
            )


def _overlap(x: Any, y: Any) -> bool:
    if isinstance(x, Traced) and isinstance(y, Traced):
        clock = x._clock  # type: ignore[attr-defined]
        return x is y or (clock is not None and clock is y._clock)  # type: ignore[attr-defined]
    if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray):
        return False
    try:
        return np.shares_memory(x, y, 10_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


select = Selection
"""Pick the arguments to differentiate, and check that they are floating-point."""


def _argument(
    f: Callable[..., Any] | None,
    i: Any,
    wanted: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    name: str,
) -> int | str:
    """Return where an argument stands in a call: its position, or its keyword."""
    n = len(args)
    if isinstance(i, str):
        if i in kwargs:
            return i
        names = _parameters(f)
        if i in names[:n]:
            return names.index(i)
        raise InputError(
            f"{name}: argnames names {i!r}, which this call does not give"
            + (f"; the arguments are {', '.join(names)}" if names and i not in names else "")
            + user_line()
        )
    if not isinstance(i, (bool, np.bool_)) and isinstance(i, (int, np.integer)):
        if -n <= i < n:
            return int(i) % n
        names = _parameters(f)
        if 0 <= i < len(names) and names[i] in kwargs:
            return names[i]
    raise InputError(
        f"{name}: argnums={wanted!r} does not name a positional argument; the "
        f"function was called with {n} positional argument{'s' if n != 1 else ''}"
        + ("; pass what is differentiated by position, or name it in argnames" if n == 0 else "")
        + user_line()
    )


def _parameters(f: Callable[..., Any] | None) -> list[str]:
    """Return the names of what can be passed by position, in order."""
    if f is None:
        return []
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # of compiled code
        return []
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _is_whole(x: Any) -> bool:
    return not isinstance(x, (float, complex)) and dtype_of(x).kind in "iub"


def strong(x: Any) -> Any:
    """Return a traced Python number as one of NumPy's scalars; anything else as it is."""
    if not isinstance(x, Traced):
        return x
    var = x._var  # type: ignore[attr-defined]
    if type(var) is Value and type(var.data) in (float, complex, int, bool):
        x = convert(x, dtype=var.dtype)
        x._trace.numbers.add(x._var)
    return x


def _place(tree: Any, k: int) -> str:
    """Say where leaf number `k` stands in a pytree: ``['layers'][0]``; empty for a single leaf."""
    return optree.tree_accessors(tree)[k].codify("")


def _leaf(x: Any, k: int, name: str, argnum: int | str, tree: Any) -> Any:
    if type(x) is np.ndarray and x.dtype.kind in "fc":
        return x
    if isinstance(x, (float, complex)) and not isinstance(x, np.generic):
        return PythonFloat(x) if isinstance(x, float) else PythonComplex(x)
    x = checked(x, f"{name}: argument {argnum}{_place(tree, k)}")
    if not isinstance(x, (Traced, np.generic, np.ndarray)):
        what = type(x).__name__
        x = np.asarray(x)
        if x.dtype.kind not in "biufc":
            raise InputError(
                f"{name} takes arrays and numbers, but argument {argnum}{_place(tree, k)} is a "
                f"{what}. Pass what it holds, or leave it out of argnums." + user_line()
            )
    if dtype_of(x).kind not in "fc":
        raise InputError(
            f"{name} takes floating-point inputs, but argument {argnum}{_place(tree, k)} has "
            f"dtype {dtype_of(x)}. Write 3.0 instead of 3, convert it with x.astype(float), or "
            "leave it out of argnums." + user_line()
        )
    return strong(x)


def primal(x: Any, name: str) -> Any:
    """Return a leaf of a point, which `jvp` and `vjp` take, as an array, scalar or traced value.

    Raises
    ------
    InputError
        For what is neither a number nor a plain array.
    """
    if type(x) is np.ndarray and x.dtype.kind in "fc":
        return x
    x = checked(x, f"{name}: an argument")
    if isinstance(x, (Traced, np.ndarray)):
        return strong(x)
    if type(x) is float:
        return PythonFloat(x)
    if type(x) is complex:
        return PythonComplex(x)
    made = np.asarray(x)
    if made.dtype.kind not in "biufc":
        raise InputError(
            f"{name} takes arrays and numbers, and pytrees of them, but an argument holds a "
            f"{type(x).__name__}. Bind it with a lambda or functools.partial." + user_line()
        )
    return made[()]


def read_only(x: Any) -> Any:
    """Return a view of an array that cannot be written to; other leaves as they are."""
    if not isinstance(x, np.ndarray):
        return x
    view = x.view()
    view.flags.writeable = False
    return view


def renewed(x: Any) -> Any:
    """Return a copy of an array; other leaves as they are."""
    return np.array(x) if isinstance(x, np.ndarray) else x


def unwrap(tree: Any, trace: Any) -> Any:
    """Replace the values of one trace in a pytree by what they stand for one level down."""

    def lowered(x: Any) -> Any:
        if isinstance(x, Traced):
            x._refresh()  # type: ignore[attr-defined]
            if x._trace is trace:
                return x._var.data  # type: ignore[attr-defined]
        return x

    return map_leaves(lowered, tree)


def frozen(x: Any) -> Any:
    """Return a traced value as a new handle, which later updates in place of `x` do not move."""
    if not isinstance(x, Traced):
        return x
    x._refresh()  # type: ignore[attr-defined]
    return type(x)(x._trace, x._var)  # type: ignore[call-arg, attr-defined]


def own(arrays: Sequence[Any], likes: Sequence[Any], taken: Sequence[Any] = ()) -> list[Any]:
    """Make results the caller's own: zeros for None, copies of views and of shared arrays."""
    seen = {id(x) for x in taken}
    made = []
    for x, like in zip(arrays, likes, strict=True):
        if x is None:
            x = np.zeros(shape_of(like), dtype_of(like))
            if isinstance(like, np.generic):
                x = x[()]
        elif type(x) is np.ndarray:
            if id(x) in seen or x.base is not None or not x.flags.writeable:
                x = x.copy()
            seen.add(id(x))
        made.append(frozen(x))
    return made


def same_form(
    got: Any, want: Any, what: str
) -> tuple[list[Any], list[Any], Callable[[Sequence[Any]], Any]]:
    """Flatten two pytrees that must have the same form, shapes and dtypes.

    Raises
    ------
    ShapeError, InputError
        Naming each leaf that differs.
    """
    wanted, rebuild = flatten(want)
    given, _ = flatten(got)
    if optree.tree_structure(got) != optree.tree_structure(want):
        raise ShapeError(
            f"{what} must have the form of the value it belongs to:\n  expected {_form(want)}\n"
            f"  got      {_form(got)}" + user_line()
        )
    made = []
    for i, (g, w) in enumerate(zip(given, wanted, strict=True)):
        g = strong(g) if isinstance(g, (Traced, np.ndarray)) else np.asarray(g)
        if shape_of(g) != shape_of(w):
            raise ShapeError(
                f"{what}{_place(want, i) if len(wanted) > 1 else ''} has shape {shape_of(g)}, but "
                f"the value it belongs to has shape {shape_of(w)}" + user_line()
            )
        kind, want_kind = dtype_of(g).kind, dtype_of(w).kind
        if want_kind in "fc" and dtype_of(g) != dtype_of(w):
            if (kind == "c" and want_kind == "f") or kind not in "fciub":
                raise InputError(
                    f"{what}{_place(want, i) if len(wanted) > 1 else ''} has dtype {dtype_of(g)}, "
                    f"but the value it belongs to has {dtype_of(w)}" + user_line()
                )
            g = g.astype(dtype_of(w))
        made.append(g)
    return made, wanted, rebuild


def _form(tree: Any) -> str:
    return str(
        map_leaves(lambda x: _Aval(f"{dtype_of(x)}[{','.join(map(str, shape_of(x)))}]"), tree)
    )


class _Aval(str):
    """A text that shows itself without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Return the text."""
        return str(self)
