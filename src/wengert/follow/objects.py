"""Objects of the user's own classes: their operators, properties and protocols are followed.

Python runs ``a + b``, ``x.name`` and ``for v in xs`` by methods of the classes of the operands.
Where such a method is a function of the user, a copy of it that asks the tables is run before the
instruction, which is then given an object with the result.
"""

from __future__ import annotations

import collections
import functools
import operator
from collections.abc import Callable, Iterator
from types import FunctionType, SimpleNamespace
from typing import Any

from wengert.follow.functions import TABLES, copied, is_kept

__all__ = ["apply", "attribute", "iterated", "special", "truth"]

OPERATORS: dict[str, tuple[str, str]] = {
    "+": ("__add__", "__radd__"),
    "-": ("__sub__", "__rsub__"),
    "*": ("__mul__", "__rmul__"),
    "/": ("__truediv__", "__rtruediv__"),
    "//": ("__floordiv__", "__rfloordiv__"),
    "%": ("__mod__", "__rmod__"),
    "**": ("__pow__", "__rpow__"),
    "@": ("__matmul__", "__rmatmul__"),
    "&": ("__and__", "__rand__"),
    "|": ("__or__", "__ror__"),
    "^": ("__xor__", "__rxor__"),
    "<<": ("__lshift__", "__rlshift__"),
    ">>": ("__rshift__", "__rrshift__"),
    "<": ("__lt__", "__gt__"),
    "<=": ("__le__", "__ge__"),
    "==": ("__eq__", "__eq__"),
    "!=": ("__ne__", "__ne__"),
    ">": ("__gt__", "__lt__"),
    ">=": ("__ge__", "__le__"),
}
"""The methods that Python calls for an operator: of the left operand, and of the right one."""

_PLAIN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "**": operator.pow, "@": operator.matmul,
    "&": operator.and_, "|": operator.or_, "^": operator.xor, "<<": operator.lshift,
    ">>": operator.rshift, "<": operator.lt, "<=": operator.le, "==": operator.eq,
    "!=": operator.ne, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


_COMPARISONS = frozenset({"<", "<=", "==", "!=", ">", ">="})


_SEQUENCES = (str, bytes, bytearray, list, tuple, collections.deque)
"""Types whose operators are tried last: they concatenate and repeat, and are no numbers."""


class Done:
    """An operand of which an operator makes the result that was computed already."""

    __slots__ = ("result",)

    def __init__(self, result: Any) -> None:
        self.result = result


def _result(done: Done, *_: Any) -> Any:
    return done.result


for _forward, _ in OPERATORS.values():
    setattr(Done, _forward, _result)
    setattr(Done, f"__i{_forward[2:]}", _result)
for _name in ("__neg__", "__pos__", "__invert__", "__contains__"):
    setattr(Done, _name, _result)


class _Stored:
    """What an item or an attribute is stored into, that was stored already."""

    __slots__ = ()

    def __setitem__(self, index: Any, value: Any) -> None: ...

    def __setattr__(self, name: str, value: Any) -> None: ...


class _Managed:
    """A context manager whose methods are followed."""

    def __init__(self, manager: Any, enter: Any, leave: Any) -> None:
        self._manager, self._enter, self._leave = manager, enter, leave

    def __enter__(self) -> Any:
        return self._enter(self._manager)

    def __exit__(self, *raised: Any) -> Any:
        return self._leave(self._manager, *raised)


class _Settable:
    """What an attribute is stored into where a function of the user does so."""

    __slots__ = ("_set",)
    _set: Callable[[str, Any], None]

    def __init__(self, store: Callable[[str, Any], None]) -> None:
        object.__setattr__(self, "_set", store)

    def __setattr__(self, name: str, value: Any) -> None:
        self._set(name, value)


def special(kind: type, name: str) -> Any:
    """Return the copy of a method of a class that is followed; None where it is none of the user's.

    Parameters
    ----------
    kind : type
        Of the object: Python looks special methods up on it.
    name : str
    """
    for c in kind.__mro__:
        found = c.__dict__.get(name)
        if found is not None:
            return copied(found) if type(found) is FunctionType else None
    return None


def _defined(kind: type, name: str) -> Any:
    """Return what a class or one of its bases defines under a name; None for nothing."""
    return next((c.__dict__[name] for c in kind.__mro__ if name in c.__dict__), None)


# --- operators ------------------------------------------------------------------------------------
def _pair(symbol: str, pair: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return the operands for an operator; see `Tables.unknown_pair`."""
    a, b = pair
    ta, tb = type(a), type(b)
    if symbol == "in":
        found = special(tb, "__contains__")
        if found is not None:
            return None, Done(found(b, a))
        items = iterated(b)
        if items is not b:
            return None, Done(any(x is a or truth(apply("==", x, a)) for x in items))
        _known("in", ta, tb)
        return pair
    plain = symbol[:-1] if symbol not in OPERATORS else symbol
    if plain != symbol:
        update = special(ta, f"__i{OPERATORS[plain][0][2:]}")
        if update is not None:
            made = update(a, b)
            if made is not NotImplemented:
                return Done(made), None
    forward, backward = OPERATORS[plain]
    ours = special(ta, forward), special(tb, backward)
    if ours == (None, None) and not (plain == "!=" and (_equals(ta) or _equals(tb))):
        _known(symbol, ta, tb)
        return pair
    made = _applied(plain, a, b, ours)
    return pair if made is NotImplemented else (Done(made), None)


def _known(symbol: str, *kinds: type) -> None:
    """Note types whose operands stand for themselves."""
    table = TABLES.operator(symbol)
    for kind in kinds:
        if is_kept(kind, table.plain) and not _is_followed(symbol, kind):
            table.plain.add(kind)


def _is_followed(symbol: str, kind: type) -> bool:
    """Whether an operator may run a function of the user for an operand of a type."""
    if kind is Done:
        return True
    if symbol == "in":
        names = ["__contains__", "__iter__", "__getitem__", "__eq__"]
    elif symbol in OPERATORS:
        names = [*OPERATORS[symbol], "__eq__"]
    elif kind in UPDATED:
        return True
    else:
        forward, backward = OPERATORS[symbol[:-1]]
        names = [forward, backward, f"__i{forward[2:]}"]
    return any(special(kind, name) is not None for name in names)


UPDATED: dict[type, Callable[[tuple[Any, Any]], tuple[Any, Any]]] = {}
"""For a type of the left operand of an update in place: what is asked for the operands."""


def _equals(kind: type) -> Any:
    return special(kind, "__eq__")


def _applied(symbol: str, a: Any, b: Any, ours: tuple[Any, Any]) -> Any:
    """Apply an operator as Python does, with methods that are followed."""
    forward, backward = OPERATORS[symbol]
    ta, tb = type(a), type(b)
    tries = [(ours[0], forward, a, b)]
    compares = symbol in _COMPARISONS
    if ta is not tb or compares:
        right = (ours[1], backward, b, a)
        derived = tb is not ta and issubclass(tb, ta)
        if derived and not compares:  # which the right operand must define anew
            derived = _defined(tb, backward) is not _defined(ta, backward)
        tries.insert(0, right) if derived else tries.append(right)
    for method, name, x, y in tries:
        if method is None and symbol == "!=" and (equals := _equals(type(x))) is not None:
            made = equals(x, y)
            made = made if made is NotImplemented else not truth(made)
        elif method is not None:
            made = method(x, y)
        else:
            later = symbol in "+*" and isinstance(x, _SEQUENCES)
            own = None if later else _defined(type(x), name)
            made = NotImplemented if own is None else own(x, y)
        if made is not NotImplemented:
            return made
    if symbol in ("==", "!="):
        return (a is b) is (symbol == "==")
    return NotImplemented


def apply(symbol: str, a: Any, b: Any) -> Any:
    """Return what an operator makes of two operands in code that is followed."""
    a, b = TABLES.operator(symbol)[a, b]
    return a.result if type(a) is Done else _PLAIN[symbol](a, b)


# --- other instructions ---------------------------------------------------------------------------
def _answer(kind: str, name: str, x: Any) -> Any:
    """Return what stands for an operand; see `Tables.unknown`."""
    kinds = TABLES.of(kind, name).kinds
    found = _ANSWERS[kind](type(x), name)
    if type(x) not in kinds and is_kept(type(x), kinds):
        again = _of_property(name) if kind == "attribute" else lambda x: _answer(kind, name, x)
        kinds[type(x)] = None if found is None else again
    return x if found is None else found(x)


def _of_property(name: str) -> Callable[[Any], Any]:
    """Return what answers for an attribute: with few calls, because properties call each other."""

    def answer(x: Any) -> Any:
        found = _defined(type(x), name)
        if type(found) is property and type(found.fget) is FunctionType:
            get = copied(found.fget)
            if get is not None and special(type(x), "__getattribute__") is None:
                return SimpleNamespace(**{name: get(x)})
        return _answer("attribute", name, x)

    return answer


def _unary(kind: type, name: str) -> Any:
    found = special(kind, name)
    return None if found is None else lambda x: Done(found(x))


def _truth(kind: type, name: str) -> Any:
    found = special(kind, "__bool__")
    if found is not None:
        return found
    length = special(kind, "__len__") if "__bool__" not in dir(kind) else None
    return None if length is None else lambda x: length(x) > 0


def _iterated(kind: type, name: str) -> Any:
    begin, step = special(kind, "__iter__"), special(kind, "__next__")
    if begin is not None:
        return lambda x: _followed_steps(begin(x))
    if step is not None:
        return _followed_steps
    item = special(kind, "__getitem__") if not hasattr(kind, "__iter__") else None
    return None if item is None else functools.partial(_items, item)


def _followed_steps(x: Any) -> Any:
    step = special(type(x), "__next__")
    return x if step is None else _steps(step, x)


def _steps(step: Any, x: Any) -> Iterator[Any]:
    while True:
        try:
            made = step(x)
        except StopIteration:
            return
        yield made


def _items(item: Any, x: Any) -> Iterator[Any]:
    i = 0
    while True:
        try:
            made = item(x, i)
        except IndexError:
            return
        yield made
        i += 1


def _managed(kind: type, name: str) -> Any:
    enter, leave = special(kind, "__enter__"), special(kind, "__exit__")
    if enter is None and leave is None:
        return None
    enter, leave = enter or kind.__enter__, leave or kind.__exit__  # type: ignore[attr-defined]
    return lambda x: _Managed(x, enter, leave)


def _attribute(kind: type, name: str) -> Any:
    """Return what reads an attribute of objects of a type, where a function of the user does."""
    if issubclass(kind, type) or name in ("__class__", "__dict__"):
        return None
    reads = special(kind, "__getattribute__")
    if reads is not None:
        return lambda x: _holding(name, reads(x, name))
    missing = special(kind, "__getattr__")
    found = _defined(kind, name)
    get = None if found is None else _getter(found)
    if get is not None:
        computed = isinstance(found, property) or hasattr(type(found), "__set__")
        return functools.partial(_read, name, get, computed)
    return None if missing is None else functools.partial(_missing, name, missing)


def _getter(found: Any) -> Any:
    """Return a function that computes an attribute, where a function of the user does."""
    if type(found) is property:
        return copied(found.fget) if type(found.fget) is FunctionType else None
    if isinstance(found, functools.cached_property):
        return _caching(found)
    get = special(type(found), "__get__")
    return None if get is None else lambda x: get(found, x, type(x))


def _caching(found: functools.cached_property[Any]) -> Any:
    compute: Any = copied(found.func) if type(found.func) is FunctionType else None

    def get(x: Any) -> Any:
        made = x.__dict__[found.attrname] = compute(x)
        return made

    return None if compute is None else get


def _read(name: str, get: Any, computed: bool, x: Any) -> Any:
    if not computed and name in getattr(x, "__dict__", ()):
        return x
    return _holding(name, get(x))


def _missing(name: str, get: Any, x: Any) -> Any:
    try:
        return _holding(name, object.__getattribute__(x, name))
    except AttributeError:
        return _holding(name, get(x, name))


def _holding(name: str, value: Any) -> Any:
    return SimpleNamespace(**{name: value})


def _target(kind: type, name: str) -> Any:
    if issubclass(kind, type):
        return None
    stores = special(kind, "__setattr__")
    if stores is not None:
        return lambda x: _Settable(functools.partial(stores, x))
    found = _defined(kind, name)
    if isinstance(found, property) and type(found.fset) is FunctionType:
        setter = copied(found.fset)
        if setter is not None:
            return lambda x: _Settable(lambda _, value: setter(x, value))
    put = None if found is None else special(type(found), "__set__")
    return None if put is None else lambda x: _Settable(lambda _, value: put(found, x, value))


_ANSWERS: dict[str, Callable[[type, str], Any]] = {
    "unary": _unary,
    "truth": _truth,
    "iterated": _iterated,
    "managed": _managed,
    "attribute": _attribute,
    "target": _target,
}


def iterated(x: Any) -> Any:
    """Return what code that is followed iterates over in the place of an object."""
    return TABLES.of("iterated")[x]


def truth(x: Any) -> bool:
    """Whether an object is true."""
    return bool(TABLES.of("truth")[x])


def attribute(x: Any, name: str) -> Any:
    """Return an attribute of an object."""
    return getattr(TABLES.of("attribute", name)[x], name)


# --- items ----------------------------------------------------------------------------------------
def _item(container: Any, index: Any) -> Any:
    """Read an item of a container of a type not met before."""
    kind = type(container)
    found = None if isinstance(container, type) else special(kind, "__getitem__")
    if found is None and is_kept(kind, TABLES.subscripts.kinds):
        TABLES.subscripts.kinds[kind] = None
    return container[index] if found is None else found(container, index)


def _store(operands: tuple[Any, Any, Any]) -> Any:
    """Return the operands of ``a[i] = value`` where `a` is of no type of Python."""
    value, container, index = operands
    answer = STORED.get(type(container))
    if answer is not None:
        return answer(operands)
    found = special(type(container), "__setitem__")
    if found is None:
        if is_kept(type(container), TABLES.stores.plain):
            TABLES.stores.plain.add(type(container))
        return operands
    found(container, index, value)
    return None, _Stored(), None


STORED: dict[type, Callable[[tuple[Any, Any, Any]], Any]] = {}
"""For a type of containers: what is asked for the operands of ``a[i] = value``."""


def _asked_pair(symbol: str, pair: tuple[Any, Any]) -> tuple[Any, Any]:
    if symbol in OPERATORS or symbol == "in" or type(pair[0]) not in UPDATED:
        return _pair(symbol, pair)
    kind = type(pair[1])
    if kind not in UPDATED and kind not in TABLES.operator(symbol).plain:
        return _pair(symbol, UPDATED[type(pair[0])](pair))
    return UPDATED[type(pair[0])](pair)


TABLES.unknown = _answer
TABLES.unknown_pair = _asked_pair
TABLES.subscripts.unknown = _item
TABLES.stores.unknown = _store
