"""Short ways into and out of a compiled function, as plain Python written for one form of call.

Taking a pytree apart, comparing its form and putting another one together takes longer than a small
program runs. For arrays, numbers, None, lists, tuples and dicts, two functions are written out: one
that checks the arguments of a call and picks the data from them, and one that makes the result. All
other forms take the long way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from operator import itemgetter
from types import BuiltinFunctionType
from typing import Any

import numpy as np

from wengert.jit.form import Form
from wengert.trace.alarm import CALM, errors, stops

__all__ = ["OUTPUT", "Match", "builder", "matcher", "never"]

Match = Callable[[tuple[Any, ...], dict[str, Any]], list[Any] | None]
"""From a call's arguments to its data; None where they may be of another form or signature."""

OUTPUT = object()
"""Stands for an output of the program among the leaves of a result."""

LEAVES = 200
"""Leaves up to which code is written."""

_PLAIN = (str, int, bool, bytes, type(None))  # equal ones of one type cannot be told apart
_NUMBERS = (float, int, bool, complex)


class _Slot:
    """The place of a leaf in a pytree."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class _Other(Exception):
    """A form that takes the long way."""


class _Scope(dict[str, Any]):
    """Names of what the written code uses."""

    def hold(self, x: Any) -> str:
        """Return a name for a value, or its literal."""
        if type(x) in (int, str, bool, type(None)):
            return repr(x)
        name = f"k{len(self)}"
        self[name] = x
        return name


def never(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
    """Match nothing."""
    return None


# --- arguments ------------------------------------------------------------------------------------
def matcher(
    form: Form,
    leaves: Sequence[Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    laid: bool = False,
    state: Any = None,
) -> Match:
    """Write the function that recognises calls like this one.

    Parameters
    ----------
    form : Form
        Of the call.
    leaves : sequence
        Its data.
    args, kwargs
        The call itself, on which the function is tried.
    laid : bool
        Whether arrays must lie in memory as these do.
    state : State, optional
        What the function looked up; calls match while it is the same.

    Returns
    -------
    callable
        Returns the data of ``(args, kwargs)``, or None: then the call may be of this form or not.
    """
    if len(leaves) > LEAVES:
        return never
    try:
        source, scope = _Matcher(leaves, laid).write(form, state)
    except _Other:
        return never
    match: Match = _made(source, scope, "match")
    stopped = stops()
    got = match(args, kwargs)
    if got is None and (stopped or (state is not None and not state.test())):
        return match
    if got is None or len(got) != len(leaves):
        return never
    return match if all(a is b for a, b in zip(got, leaves, strict=True)) else never


class _Matcher:
    def __init__(self, leaves: Sequence[Any], laid: bool) -> None:
        self.leaves = leaves
        self.laid = laid
        self.lines: list[str] = []
        self.scope = _Scope(ndarray=np.ndarray, errors=errors, calm=CALM, warnings=warnings)
        self.names: dict[int, str] = {}
        self.count = 0

    def write(self, form: Form, state: Any = None) -> tuple[str, _Scope]:
        places: list[Any] = [_Slot(i) for i in range(len(self.leaves))]
        args, kwargs = form.spec.unflatten(form._all(places))
        static = {k: s.value for k, s in form.static}
        named = {**kwargs, **{k: v for k, v in static.items() if isinstance(k, str)}}
        if errors is not None:
            self.lines.append(  # where floating-point errors may raise
                "if errors() is not calm[0] or warnings.filters != calm[1]: return None"
            )
        if not args:
            self.require("not args")  # others are counted as they are unpacked
        self.require(f"len(kwargs) == {len(named)}" if named else "not kwargs")
        if form.order[:1] != (None,):
            self.require(f"(*kwargs,) == {form.order[0]!r}")
        parts = self.unpack("args", len(args))
        for i, (name, x) in enumerate(zip(parts, args, strict=True)):
            self.same(name, static[i]) if i in static else self.check(name, x)
        for k, x in named.items():
            name = self.fresh(f"kwargs[{k!r}]")
            self.same(name, x) if k in static else self.check(name, x)
        if state is not None:
            self.require(f"{self.scope.hold(state)}.test()")
        if len(self.names) != len(self.leaves):  # some are in an object of a registered class
            raise _Other
        found = ", ".join(self.names[i] for i in range(len(self.leaves)))
        body = "\n".join(f"        {line}" for line in self.lines)
        return (
            f"def match(args, kwargs):\n    try:\n{body}\n        return [{found}]\n"
            f"    except (KeyError, ValueError):\n        return None\n"
        ), self.scope

    def require(self, test: str) -> None:
        self.lines.append(f"if not ({test}): return None")

    def fresh(self, value: str) -> str:
        name = f"v{self.count}"
        self.count += 1
        self.lines.append(f"{name} = {value}")
        return name

    def unpack(self, name: str, n: int) -> list[str]:
        parts = [f"v{self.count + i}" for i in range(n)]
        self.count += n
        if parts:
            self.lines.append(f"{', '.join(parts)}, = {name}")
        return parts

    def check(self, name: str, x: Any) -> None:
        """Require that a variable has the form and signature of `x`."""
        kind = type(x)
        if kind is _Slot:
            self.names[x.number] = name
            self.leaf(name, self.leaves[x.number])
        elif kind in (list, tuple):
            self.require(f"type({name}) is {kind.__name__} and len({name}) == {len(x)}")
            for part, y in zip(self.unpack(name, len(x)), x, strict=True):
                self.check(part, y)
        elif kind is dict:
            self.require(f"type({name}) is dict and len({name}) == {len(x)}")
            for k, y in x.items():
                if type(k) not in (str, int):
                    raise _Other
                self.check(self.fresh(f"{name}[{k!r}]"), y)
            if len(x) > 1:
                self.require(f"(*{name},) == {tuple(x)!r}")
        else:
            self.same(name, x)

    def leaf(self, name: str, x: Any) -> None:
        kind = type(x)
        if kind in _NUMBERS:
            self.require(f"type({name}) is {kind.__name__}")
        elif kind is np.ndarray:
            dtype = self.scope.hold(x.dtype)
            self.require(
                f"type({name}) is ndarray and ({name}.dtype is {dtype} or {name}.dtype == {dtype}) "
                f"and {name}.shape == {x.shape!r}"
            )
            if self.laid and x.flags.c_contiguous:
                self.require(f"{name}.flags.c_contiguous")
            elif self.laid:
                self.require(f"{name}.strides == {x.strides!r}")
        elif isinstance(x, (np.number, np.bool_)):
            self.require(f"type({name}) is {self.scope.hold(kind)}")
        else:
            raise _Other

    def same(self, name: str, x: Any) -> None:
        """Require a value that the program depends on."""
        kind = type(x)
        if x is None:
            self.require(f"{name} is None")
        elif kind in _PLAIN:
            self.require(f"type({name}) is {kind.__name__} and {name} == {self.scope.hold(x)}")
        elif _is_fixed(x):
            self.require(f"{name} is {self.scope.hold(x)}")
        else:
            raise _Other


def _is_fixed(x: Any) -> bool:
    """Whether an object is equal to itself only, or cannot change."""
    kind = type(x)
    if kind is tuple:
        return all(_is_fixed(y) for y in x)
    if kind in _PLAIN or kind in _NUMBERS or kind is BuiltinFunctionType:
        return True
    inherited: tuple[Any, ...] = (object.__hash__, object.__eq__)
    return (kind.__hash__, kind.__eq__) == inherited


# --- results --------------------------------------------------------------------------------------
def builder(spec: Any, still: Sequence[Any]) -> Callable[[Sequence[Any]], Any] | None:
    """Write the function that makes a result from a program's outputs.

    Parameters
    ----------
    spec : optree.PyTreeSpec
        Of the result.
    still : sequence
        The leaves of the result, `OUTPUT` in the place of each that is an output.

    Returns
    -------
    callable or None
        None where the long way is to be taken.
    """
    if len(still) > LEAVES:
        return None
    count = 0
    places: list[Any] = []
    for x in still:
        places.append(_Slot(count) if x is OUTPUT else x)
        count += x is OUTPUT
    scope = _Scope()
    try:
        result = spec.unflatten(places)
        if type(result) is _Slot:
            return itemgetter(0)  # without a frame of Python
        if type(result) is tuple and len(result) > 1 and all(type(x) is _Slot for x in result):
            return tuple
        text = _expression(result, scope)
    except _Other:
        return None
    make: Callable[[Sequence[Any]], Any] = _made(f"def make(ys): return {text}\n", scope, "make")
    return make


def _expression(x: Any, scope: _Scope) -> str:
    kind = type(x)
    if kind is _Slot:
        return f"ys[{x.number}]"
    if kind is list:
        return f"[{', '.join(_expression(y, scope) for y in x)}]"
    if kind is tuple:
        return f"({''.join(_expression(y, scope) + ', ' for y in x)})"
    if kind is dict:
        items = [f"{scope.hold(k)}: {_expression(y, scope)}" for k, y in x.items()]
        return f"{{{', '.join(items)}}}"
    if x is None or kind in _PLAIN:
        return scope.hold(x)
    raise _Other


def _made(source: str, scope: dict[str, Any], name: str) -> Any:
    exec(compile(source, "<wengert call>", "exec"), scope)
    return scope[name]
