"""Which functions are followed, and how a function of the user is called.

A function is followed into the calls that it makes: functions, methods, classes, objects that can
be called, and `functools.partial` of them. Functions of the standard library, of NumPy and of other
libraries run as they are; the tables say what stands for some of them.
"""

from __future__ import annotations

import functools
import os
import sysconfig
import threading
from collections.abc import Callable, Collection
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

from wengert.errors import public_name, shorten
from wengert.follow.rewrite import is_rewritten, rewritten
from wengert.follow.tables import Answers, Tables

__all__ = [
    "FINISH",
    "LIBRARY",
    "OF_OBJECTS",
    "PURE",
    "STAND_INS",
    "STAND_INS_BESIDE_STORES",
    "STATE",
    "TABLES",
    "call",
    "copied",
    "followed",
    "following",
    "is_followed_file",
    "is_kept",
    "is_wengerts",
    "method",
    "named",
    "unfollowed",
]

PURE = Tables()
"""What the trips of loops ask, and the functions that they call: nothing that has an effect."""

TABLES = Tables(PURE)
"""What rewritten code asks."""

STAND_INS: dict[Any, Any] = {}
"""What is called in the place of a function or class of Python or NumPy."""

STAND_INS_BESIDE_STORES: dict[Any, Any] = {}
"""The same in code that writes into arrays, looked up first."""

LIBRARY: dict[str, dict[str, Any]] = {}
"""What makes the stand-in of a function of an installed package, by the function's own name, and
then by the dotted name with which one looks it up."""

OF_OBJECTS: dict[str, dict[str, Any]] = {}
"""What makes the stand-in of a method of a compiled class, by the names of both."""

FINISH: list[Any] = []
"""How many arrays were made that may be written into; what makes the result of a call plain again;
and what does so with those that the call has left elsewhere."""

_UNFOLLOWED = "__wengert_unfollowed__"
_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_LIBRARY = tuple({os.path.join(p, "") for k, p in sysconfig.get_paths().items() if k in
                  ("stdlib", "platstdlib")})  # fmt: skip
_PACKAGES = ("site-packages", "dist-packages")
_NOT_FOLLOWED = frozenset(
    {"numpy", "scipy", "optree", "llvmlite", "rich", "bytecode", "pandas", "xarray", "matplotlib",
     "torch", "jax", "jaxlib", "autograd", "casadi", "sklearn", "sympy", "numba", "dask", "h5py",
     "pytest", "_pytest", "pluggy", "hypothesis", "IPython", "ipykernel", "mpmath", "networkx",
     "statsmodels", "tqdm", "joblib", "cloudpickle", "typing_extensions", "attr", "pydantic"}
)  # fmt: skip
_GLUE = frozenset({"contextlib.py", "dataclasses.py", "functools.py"})
"""Modules of the standard library whose functions call those of the user, and are followed."""

_FOLLOWED = (os.path.join("numpy", "polynomial", ""),)
"""Parts of those, written in Python, whose functions are followed as the user's are."""

_FILES: dict[str, bool] = {}


class _State(threading.local):
    def __init__(self) -> None:
        self.on = os.environ.get("WENGERT_FOLLOW", "1") != "0"
        self.depth = 0
        self.pure = False


STATE = _State()


def is_followed_file(name: str) -> bool:
    """Whether functions of a file are followed: those of the user are."""
    known = _FILES.get(name)
    if known is None:
        known = _FILES[name] = _is_users(name)
    return known


def is_wengerts(f: Any) -> bool:
    """Whether a function or class is one of this package."""
    code = getattr(f, "__code__", None)
    if isinstance(code, CodeType):
        return bool(code.co_filename.startswith(_HERE))
    return str(getattr(f, "__module__", "")).partition(".")[0] == "wengert"


def _is_users(name: str) -> bool:
    if name.startswith((_HERE, "<frozen", "<wengert", "<__array_function__")):
        return False
    for packages in _PACKAGES:
        _, found, inside = name.rpartition(f"{os.sep}{packages}{os.sep}")
        if found:
            if inside.startswith(_FOLLOWED):
                return True
            return inside.partition(os.sep)[0].partition(".")[0] not in _NOT_FOLLOWED
    return not name.startswith(_LIBRARY) or os.path.basename(name) in _GLUE


def unfollowed(f: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function, so that the code of it is run as it stands.

    By default wengert runs a copy of the functions that it differentiates or compiles, in which
    ``np.zeros``, ``math.exp``, ``float`` and the like take traced values. A marked function is
    called itself, and its own calls are not followed. ``WENGERT_FOLLOW=0`` in the environment does
    this to all functions.

    Parameters
    ----------
    f : callable
        A function of Python.

    Returns
    -------
    callable
        `f` itself.
    """
    setattr(f, _UNFOLLOWED, True)
    return f


def call(f: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a function of the user, and follow it into the calls that it makes."""
    if not FINISH or not STATE.on:
        return f(*args, **kwargs)
    count, finish, leave = FINISH
    before = count[0]
    STATE.depth += 1
    try:
        out = (PURE if STATE.pure else TABLES).calls[f](*args, **kwargs)
    except Exception as error:
        shorten(error)
        raise
    finally:
        STATE.depth -= 1
    if count[0] != before:
        out = finish(out)
    if not STATE.depth:
        leave()
    return out


def following(f: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that calls `f`, and follows it."""

    def calls(*args: Any, **kwargs: Any) -> Any:
        return call(f, args, kwargs)

    return named(calls, f)


def named(made: Callable[..., Any], f: Any) -> Callable[..., Any]:
    """Give a function the name and the docstring of another.

    `functools.wraps` has a loop, which those who watch the loops of the user would see.
    """
    made.__name__ = getattr(f, "__name__", type(f).__name__)
    made.__doc__ = getattr(f, "__doc__", None)
    return made


def followed(f: Any) -> Any:
    """Return what is called in the place of `f` by code that is followed."""
    return (PURE if STATE.pure else TABLES).calls[f] if STATE.on else f


def _function(f: FunctionType) -> Any:
    code = f.__code__
    if is_rewritten(code):
        return f
    if f in STAND_INS:
        return STAND_INS[f]
    return _copied(f, code)


def _function_beside_stores(f: FunctionType) -> Any:
    return STAND_INS_BESIDE_STORES[f] if f in STAND_INS_BESIDE_STORES else _function(f)


def copied(f: FunctionType) -> Any:
    """Return a copy of a function that asks the tables; None where it is not followed."""
    made = _function(f)
    return None if made is f and not is_rewritten(f.__code__) else made


def _copied(f: FunctionType, code: CodeType) -> Any:
    """Return a copy of a function that asks the tables."""
    if not is_followed_file(code.co_filename):
        found = LIBRARY.get(f.__name__)
        made = None if found is None else found.get(public_name(f))
        return f if made is None else made(f)
    own = rewritten(code, TABLES, f.__globals__)
    if own is None or hasattr(f, _UNFOLLOWED):
        return f
    copy = FunctionType(own, f.__globals__, f.__name__, f.__defaults__, f.__closure__)
    copy.__kwdefaults__ = f.__kwdefaults__
    return copy


def method(m: MethodType) -> Any:
    """Return what is called in the place of a bound method."""
    inner = m.__func__
    if type(inner) is not FunctionType:
        return m
    made = _function(inner)
    return m if made is inner else MethodType(made, m.__self__)


def _class(kind: Any) -> Any:
    found = STAND_INS.get(kind)
    if found is not None:
        return found
    creates = type(kind).__call__
    if creates is not type.__call__:  # of a metaclass
        made = _function(creates) if type(creates) is FunctionType else creates
        return kind if made is creates else MethodType(made, kind)
    new, begin = kind.__new__, kind.__init__
    made = _function(new) if type(new) is FunctionType else new
    begun = _function(begin) if type(begin) is FunctionType else begin
    if made is new and begun is begin:
        return kind
    return functools.partial(_constructed, kind, made, begun)


def _constructed(kind: Any, new: Any, begin: Any, /, *args: Any, **kwargs: Any) -> Any:
    """Make an object of a class as calling the class does."""
    made = new(kind) if new is object.__new__ else new(kind, *args, **kwargs)
    if isinstance(made, kind) and begin(made, *args, **kwargs) is not None:
        raise TypeError("__init__() should return None")
    return made


def _partial(p: functools.partial[Any]) -> Any:
    made = TABLES.calls[p.func]
    return p if made is p.func else functools.partial(made, *p.args, **p.keywords)


def _static(f: staticmethod[Any, Any]) -> Any:
    return TABLES.calls[f.__func__]


def _builtin(f: Any) -> Any:
    return STAND_INS.get(f, f)


def _builtin_beside_stores(f: Any) -> Any:
    return STAND_INS_BESIDE_STORES.get(f) or STAND_INS.get(f, f)


def is_kept(kind: type, table: Collection[type]) -> bool:
    """Whether a table may keep a type, and with it all that its methods refer to.

    A class that a function makes anew in each call would otherwise outlive the call.
    """
    return "<locals>" not in kind.__qualname__ and len(table) < 1 << 12


def _unknown(f: Any) -> Any:
    """Decide about a callable of a type that was not met before."""
    kind = type(f)
    answer: Any = None
    if isinstance(f, type):
        answer = _class
    else:
        begin = getattr(kind, "__call__", None)  # noqa: B004
        if type(begin) is FunctionType and is_followed_file(begin.__code__.co_filename):
            answer = _object
    for calls in (TABLES.calls, TABLES.calls_beside_stores):
        if is_kept(kind, calls.kinds):
            calls.kinds[kind] = answer
    return f if answer is None else answer(f)


def _object(f: Any) -> Any:
    begin: Any = type(f).__call__
    return MethodType(_function(begin), f)


def _begin(calls: Answers, function: Any, builtin: Any) -> None:
    calls.unknown = _unknown
    calls.kinds.update(
        {
            FunctionType: function,
            MethodType: method,
            type: _class,
            functools.partial: _partial,
            staticmethod: _static,
            BuiltinFunctionType: builtin,
        }
    )


_begin(TABLES.calls, _function, _builtin)
_begin(TABLES.calls_beside_stores, _function_beside_stores, _builtin_beside_stores)
