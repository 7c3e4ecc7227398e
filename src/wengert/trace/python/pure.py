"""What a trip of a loop may do where it is run otherwise than by Python: nothing with an effect.

The code of a trip, and of the functions that it calls, asks these tables (`follow.functions.PURE`).
They know what only computes, and refuse all else.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from types import BuiltinFunctionType, EllipsisType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from wengert.follow.functions import PURE, STAND_INS, TABLES, is_followed_file, is_wengerts
from wengert.follow.loops import is_pure
from wengert.follow.rewrite import original, rewritten
from wengert.trace.active import ACTIVE
from wengert.trace.dispatch import FUNCTIONS
from wengert.trace.tracer import Tracer

__all__ = ["EffectError"]


class EffectError(Exception):
    """Something in a trip may have an effect, or is not known to have none."""


_ARRAYS = (Tracer, np.ndarray, np.generic)
_KNOWN = (
    *_ARRAYS, int, float, complex, str, bytes, tuple, list, dict, range, slice, type(None),
    EllipsisType, np.dtype,
)  # fmt: skip

_METHODS = frozenset(
    {
        *("all", "any", "argmax", "argmin", "argsort", "astype", "clip", "conj", "conjugate"),
        *("copy", "cumprod", "cumsum", "diagonal", "dot", "flatten", "item", "max", "mean", "min"),
        *("nonzero", "prod", "ravel", "repeat", "reshape", "round", "searchsorted", "squeeze"),
        *("std", "sum", "swapaxes", "take", "tolist", "trace", "transpose", "var"),
    }
)
_ATTRIBUTES = frozenset({"T", "mT", "real", "imag", "shape", "ndim", "size", "dtype", "nbytes"})
_OF_CONTAINERS = frozenset({"get", "items", "keys", "values", "index", "count"})
_MATHS = [f for f in vars(math).values() if isinstance(f, BuiltinFunctionType)]
_MAKING: list[Any] = [np.array, np.asarray, np.zeros, np.empty, np.arange]
_BUILTINS: frozenset[Any] = frozenset(
    [abs, min, max, sum, len, round, pow, divmod, isinstance, any, all, sorted, *_MATHS, *_MAKING]
)
_CREATING: frozenset[Any] = frozenset(
    {np.ones, np.full, np.eye, np.identity, np.linspace, np.stack}
)
_CLASSES = frozenset(
    {float, int, bool, complex, range, tuple, list, zip, enumerate, reversed, slice}
)
_ITERATORS = (zip, enumerate, reversed)
_WRITING = frozenset(
    {"copyto", "put", "place", "putmask", "fill_diagonal", "put_along_axis", "save"}
)
_OF_UFUNCS = frozenset({"reduce", "accumulate", "outer", "reduceat"})
_MADE: list[Any] = []
"""Iterators that trips have made themselves; the newest of them."""


def _refuse(what: str) -> EffectError:
    return EffectError(what)


# --- calls ----------------------------------------------------------------------------------------
def _called(f: Any) -> Any:
    """Return what is called in the place of something that has no effect."""
    kind = type(f)
    if not callable(f):
        return f  # the iterator of a comprehension, whose own code asks these tables
    if kind is FunctionType:
        return _function(f)
    if kind is MethodType:
        return _method(f)
    if kind is functools.partial:
        return functools.partial(_called(f.func), *f.args, **f.keywords)
    if kind is BuiltinFunctionType:
        if not _is_pure_builtin(f):
            raise _refuse(f.__name__)
    elif isinstance(f, type):
        if f not in _CLASSES and not issubclass(f, np.generic):
            raise _refuse(f.__name__)
    elif kind is type(np.sum):
        if f not in FUNCTIONS or f.__name__ in _WRITING:
            raise _refuse(f.__name__)
    elif kind is not np.ufunc and not is_wengerts(kind):
        raise _refuse(kind.__name__)
    return _checked(f, TABLES.calls[f])


def _is_pure_builtin(f: Any) -> bool:
    of = f.__self__
    if isinstance(of, (np.ndarray, np.generic)):
        return f.__name__ in _METHODS
    if isinstance(of, np.ufunc):
        return f.__name__ in _OF_UFUNCS
    if type(of) in (tuple, list, dict, str):
        return f.__name__ in _OF_CONTAINERS
    return f in _BUILTINS


def _checked(f: Any, made: Any) -> Callable[..., Any]:
    """Let a call refuse arrays that it writes into, and functions that it would call."""
    most = f.nin if isinstance(f, np.ufunc) else None
    own = is_wengerts(f) or is_wengerts(type(f))

    def call(*args: Any, **kwargs: Any) -> Any:
        if kwargs.get("out") is not None or (most is not None and len(args) > most):
            raise _refuse("out")
        if not own:
            for x in (*args, *kwargs.values()):
                if callable(x) and not isinstance(x, (type, *_ARRAYS)):
                    raise _refuse("a function that is given a function")
        y = made(*args, **kwargs)
        if isinstance(y, _ITERATORS):
            _MADE[:] = [*_MADE[-16:], y]
        return y

    return call


def _function(f: FunctionType) -> Any:
    if is_wengerts(f):
        return f
    code, _ = original(f.__code__, 0)
    if f in _CREATING:
        return _checked(f, STAND_INS.get(f, f))
    if f in STAND_INS or not is_followed_file(code.co_filename) or not is_pure(code):
        raise _refuse(f.__name__)
    own = rewritten(code, PURE, f.__globals__)
    if own is None or hasattr(f, "__wengert_unfollowed__"):
        raise _refuse(f.__name__)
    copy = FunctionType(own, f.__globals__, f.__name__, f.__defaults__, f.__closure__)
    copy.__kwdefaults__ = f.__kwdefaults__
    return copy


def _method(m: MethodType) -> Any:
    inner = m.__func__
    if isinstance(m.__self__, Tracer):
        if m.__name__ not in _METHODS:
            raise _refuse(m.__name__)
        return _checked(m, m)
    if type(inner) is not FunctionType:
        raise _refuse(m.__name__)
    return MethodType(_function(inner), m.__self__)


# --- operands -------------------------------------------------------------------------------------
def _pair(symbol: str, pair: tuple[Any, Any]) -> tuple[Any, Any]:
    for x in pair:
        if not isinstance(x, _KNOWN) and symbol not in ("==", "!="):
            raise _refuse(f"{symbol} of {type(x).__name__}")
        if type(x).__module__ not in _MODULES and not isinstance(x, _ARRAYS):
            raise _refuse(f"{symbol} of {type(x).__name__}")
    left = pair[0]
    if symbol[-1] == "=" and symbol not in ("==", "!=", "<=", ">="):
        held = isinstance(left, Tracer) and (left.shape or left._is_array())
        if held or isinstance(left, (np.ndarray, list)):
            raise _refuse("an update in place")
    return TABLES.operator(symbol)[_beside(*pair)]


def _beside(a: Any, b: Any) -> tuple[Any, Any]:
    """Return operands of one trace: numbers of Python from outside are such ones in the trip."""
    trip = ACTIVE.recorders[-1] if ACTIVE.recorders else None
    if isinstance(a, Tracer) and isinstance(b, Tracer) and a._trace is not b._trace:
        if a._trace is trip and b._trace.level < trip.level:
            return a, trip.inner(b)
        if b._trace is trip and a._trace.level < trip.level:
            return trip.inner(a), b
    return a, b


_MODULES = frozenset({"builtins", "numpy", "numpy.dtypes"})


def _operand(kind: str, name: str, x: Any) -> Any:
    if kind == "attribute":
        _attribute(x, name)
    elif kind == "iterated":
        iterators = any(x is made for made in _MADE)
        if not iterators and type(x) not in (list, tuple, range, dict, np.ndarray, Tracer):
            raise _refuse(f"a loop over {type(x).__name__}")
    elif not isinstance(x, _KNOWN) or type(x).__module__ not in (*_MODULES, Tracer.__module__):
        raise _refuse(f"{name or kind} of {type(x).__name__}")
    return TABLES.of(kind, name)[x]


def _attribute(x: Any, name: str) -> None:
    """Refuse an attribute that a function computes."""
    if isinstance(x, _ARRAYS):
        if name not in _METHODS and name not in _ATTRIBUTES:
            raise _refuse(name)
        return
    if isinstance(x, (ModuleType, type, np.ufunc)) or is_wengerts(type(x)):
        return
    if type(x) in (tuple, list, dict, str, int, float, complex, bool):
        return
    kind = type(x)
    if any(
        "__getattribute__" in c.__dict__ or "__getattr__" in c.__dict__ for c in kind.__mro__[:-1]
    ):
        raise _refuse(name)
    found = next((c.__dict__[name] for c in kind.__mro__ if name in c.__dict__), None)
    fine = found is None or type(found) in (FunctionType, int, float, str, type(None), np.ndarray)
    if not fine and type(found).__name__ not in ("_tuplegetter", "member_descriptor"):
        raise _refuse(name)


def _item(container: Any, index: Any) -> Any:
    if type(container) not in (dict, str, range, np.ndarray, Tracer):
        raise _refuse(f"an item of {type(container).__name__}")
    return TABLES.subscripts[container, index]


def _stored(_: Any) -> Any:
    raise _refuse("a store")


for _calls in (PURE.calls, PURE.calls_beside_stores):
    _calls.unknown = _called
PURE.unknown = _operand
PURE.unknown_pair = _pair
PURE.subscripts.unknown = _item
PURE.stores.plain = set()
PURE.stores.unknown = _stored
