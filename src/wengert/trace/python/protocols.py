"""Built-in functions that run methods of the user's own classes: ``len(x)``, ``sum(xs)``."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

from wengert.follow.functions import STAND_INS, TABLES, followed
from wengert.follow.objects import apply, attribute, iterated, special, truth
from wengert.trace.python import builtin, maths  # noqa: F401  (whose stand-ins are called here)

__all__: list[str] = []

_function: Any


# --- functions of one object ----------------------------------------------------------------------
def _of_method(function: Any, name: str) -> None:
    """Let a method of the first argument be followed."""
    plain = STAND_INS.get(function, function)

    def call(*args: Any, **kwargs: Any) -> Any:
        found = special(type(args[0]), name) if args else None
        return plain(*args, **kwargs) if found is None else found(*args, **kwargs)

    STAND_INS[function] = call


for _function, _name in (
    (len, "__len__"), (abs, "__abs__"), (round, "__round__"), (next, "__next__"),
    (float, "__float__"), (int, "__int__"), (complex, "__complex__"), (str, "__str__"),
    (repr, "__repr__"), (format, "__format__"), (reversed, "__reversed__"),
    (math.floor, "__floor__"), (math.ceil, "__ceil__"), (math.trunc, "__trunc__"),
):  # fmt: skip
    _of_method(_function, _name)


def _bool(*args: Any) -> bool:
    return truth(args[0]) if len(args) == 1 else bool(*args)


STAND_INS[bool] = _bool


# --- functions that iterate -----------------------------------------------------------------------
def _iterating(function: Any, first: int = 0, alone: bool = False) -> None:
    """Let the iteration over arguments be followed.

    Parameters
    ----------
    function : callable
    first : int
        The first of those arguments.
    alone : bool
        Whether it iterates only where it is given one argument.
    """
    plain = STAND_INS.get(function, function)

    def call(*args: Any, **kwargs: Any) -> Any:
        if not alone or len(args) == 1:
            args = (*args[:first], *map(iterated, args[first:]))
        return plain(*args, **kwargs)

    STAND_INS[function] = call


for _function in (list, tuple, set, frozenset, any, all, zip, itertools.chain, itertools.product):
    _iterating(_function)
for _function in (iter, enumerate, math.fsum, itertools.pairwise, itertools.accumulate):
    _iterating(_function, alone=True)
for _function in (map, filter, itertools.starmap, itertools.takewhile, functools.reduce):
    _iterating(_function, first=1)


# --- functions that apply operators ---------------------------------------------------------------
def _compares(items: Any) -> bool:
    kinds = set(map(type, items))
    return any(special(k, name) is not None for k in kinds for name in ("__lt__", "__gt__"))


def _order(a: Any, b: Any) -> int:
    return -1 if truth(apply("<", a, b)) else int(truth(apply("<", b, a)))


def _ordering(function: Any) -> None:
    plain = STAND_INS.get(function, function)
    ordered = functools.cmp_to_key(_order)

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 1:
            args = (list(iterated(args[0])),)
        items = args[0] if len(args) == 1 else args
        key = kwargs.get("key")
        if key is None and _compares(items):
            kwargs["key"] = ordered
        return plain(*args, **kwargs)

    STAND_INS[function] = call


for _function in (sorted, min, max):
    _ordering(_function)


def _sum(items: Any, /, start: Any = 0) -> Any:
    items = list(iterated(items))
    kinds = {type(start), *map(type, items)}
    if not any(special(k, name) is not None for k in kinds for name in ("__add__", "__radd__")):
        return sum(items, start)
    for x in items:
        start = apply("+", start, x)
    return start


STAND_INS[sum] = _sum


def _operator(function: Any, symbol: str) -> None:
    def call(a: Any, b: Any, /) -> Any:
        return function(*TABLES.operator(symbol)[a, b])

    STAND_INS[function] = call


for _symbol, _name in (
    ("+", "add"), ("-", "sub"), ("*", "mul"), ("/", "truediv"), ("//", "floordiv"), ("%", "mod"),
    ("**", "pow"), ("@", "matmul"), ("<", "lt"), ("<=", "le"), ("==", "eq"), ("!=", "ne"),
    (">", "gt"), (">=", "ge"), ("+=", "iadd"), ("-=", "isub"), ("*=", "imul"), ("/=", "itruediv"),
):  # fmt: skip
    _operator(getattr(operator, _name), _symbol)

STAND_INS[operator.getitem] = lambda a, i, /: TABLES.subscripts[a, i]
STAND_INS[operator.neg] = lambda x, /: operator.neg(TABLES.of("unary", "__neg__")[x])


# --- objects that call methods by name ------------------------------------------------------------
def _by_name(f: Any) -> Callable[..., Any]:
    name, *args = f.__reduce__()[1]
    return lambda x: followed(attribute(x, name))(*args)


def _attributes(f: Any) -> Callable[..., Any]:
    names = f.__reduce__()[1]

    def read(x: Any, path: str) -> Any:
        return functools.reduce(attribute, path.split("."), x)

    if len(names) == 1:
        return lambda x: read(x, names[0])
    return lambda x: tuple([read(x, path) for path in names])


for _calls in (TABLES.calls, TABLES.calls_beside_stores):
    _calls.kinds[operator.methodcaller] = _by_name
    _calls.kinds[operator.attrgetter] = _attributes
