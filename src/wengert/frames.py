"""The user's place in the code, and what is called there.

An error names the user's own line: the innermost frame that is not of wengert, nor of NumPy, nor
of another installed library, nor of Python's. What stands between that line and wengert was called
there, and is named as the user would look it up.
"""

from __future__ import annotations

import ast
import dis
import functools
import itertools
import linecache
import os
import re
import sys
import sysconfig
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, ModuleType, TracebackType
from typing import Any, NamedTuple, ParamSpec, TypeVar

__all__ = [
    "USERS",
    "Called",
    "called",
    "heed_warnings",
    "hidden",
    "is_heeding",
    "is_library",
    "is_users",
    "retold",
    "shorten",
    "user_frame",
    "user_line",
    "users_code",
]

P = ParamSpec("P")
R = TypeVar("R")

HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_SKIPPED = (
    *(f"{os.sep}{name}{os.sep}" for name in ("numpy", "optree")),
    f"{os.sep}contextlib.py",
    *("<frozen", "<__array_function__"),
)
_SITES = tuple(f"{os.sep}{name}{os.sep}" for name in ("site-packages", "dist-packages"))
_PYTHONS = tuple(
    {os.path.join(p, "") for k, p in sysconfig.get_paths().items() if k in ("stdlib", "platstdlib")}
)
USERS: dict[str, bool] = {}
"""Whether a file holds code of the user, by its name: asked for each recorded operation."""


def is_users(name: str) -> bool:
    """Whether a file of this name is outside of wengert and NumPy."""
    users = USERS.get(name)
    if users is None:
        users = not name.startswith(HERE) and not any(part in name for part in _SKIPPED)
        USERS[name] = users
    return users


@contextmanager
def users_code(name: str) -> Iterator[None]:
    """Take a file for code of the user inside the block, so that its lines are named."""
    before = USERS.get(name)
    USERS[name] = True
    try:
        yield
    finally:
        if before is None:
            USERS.pop(name, None)
        else:
            USERS[name] = before


def is_library(name: str) -> bool:
    """Whether a file of this name belongs to Python or to an installed package."""
    return name.startswith(_PYTHONS) or any(part in name for part in _SITES)


def user_line() -> str:
    """Return ``' at FILE:LINE: source'`` of the user's innermost frame.

    Returns
    -------
    str
        Text to append to a message; empty when there is no such frame.
    """
    place = user_frame()
    if place is None:
        return ""
    name, number = place
    source = linecache.getline(name, number).strip()
    return f"\n  at {name}:{number}: {source}" if source else f"\n  at {name}:{number}"


def user_frame() -> tuple[str, int] | None:
    """Return ``(file name, line number)`` of the user's innermost frame."""
    frame, _ = _found(sys._getframe(1))
    return None if frame is None else (frame.f_code.co_filename, frame.f_lineno)


def _found(frame: FrameType | None) -> tuple[FrameType | None, FrameType | None]:
    """Return the user's innermost frame, and that of the library function which it called.

    Where all is code of installed packages, the innermost frame outside of wengert and NumPy is
    taken for the user's.
    """
    outer: FrameType | None = None
    library: FrameType | None = None
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((HERE, "<frozen", "<__array_function__")):
            if is_users(name) and not is_library(name):
                return frame, library
            if outer is None and is_users(name):
                outer = frame
            library = frame
        frame = frame.f_back
    return outer, None


class Called(NamedTuple):
    """What the user's line does at the moment.

    Attributes
    ----------
    name : str
        Of the function, as one would look it up: ``scipy.special.softmax``, ``float``; empty for an
        operator, an index, or a method of an array.
    text : str
        The expression as it stands in the source, on one line; empty where there is no source.
    kind : {"call", "store", "index", "operator", ""}
    """

    name: str
    text: str
    kind: str


def called() -> Called:
    """Return what the user's line calls at the moment."""
    frame, library = _found(sys._getframe(1))
    if frame is None:
        return Called("", "", "")
    text = _segment(frame)
    kind = _kind(frame.f_code, frame.f_lasti)
    name = ""
    if text and kind == "call":
        try:
            parsed: Any = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError):
            parsed = None
        if isinstance(parsed, ast.Call):
            name = _looked_up(parsed.func, frame)
    if library is not None and (not name or "._" in name):
        name = _of_frame(library)
    return Called(name, text, kind)


_KINDS = {
    "STORE_SUBSCR": "store",
    "STORE_SLICE": "store",
    "BINARY_SUBSCR": "index",
    "BINARY_OP": "operator",
    "COMPARE_OP": "operator",
    "FORMAT_VALUE": "text",
    "FORMAT_SIMPLE": "text",
    "FORMAT_WITH_SPEC": "text",
}


def _kind(code: CodeType, at: int) -> str:
    while at > 0 and code.co_code[at] == 0:  # the interpreter's notes behind an instruction
        at -= 2
    name = dis.opname[code.co_code[at]] if 0 <= at < len(code.co_code) else ""
    if name.startswith(("CALL", "PRECALL")):
        return "call"
    return _KINDS.get(name, "")


def _segment(frame: FrameType) -> str:
    """Return the source of the expression that a frame is at, on one line."""
    code = frame.f_code
    at = next(itertools.islice(code.co_positions(), max(frame.f_lasti, 0) // 2, None), None)
    if at is None or None in at:
        return ""
    first, last, begin, end = (int(n or 0) for n in at)
    lines = [linecache.getline(code.co_filename, n) for n in range(first, last + 1)]
    if not all(lines):
        return ""
    coded = [line.encode() for line in lines]
    coded[-1] = coded[-1][:end]
    coded[0] = coded[0][begin:]
    return " ".join(part.decode(errors="replace").strip() for part in coded)


def _looked_up(node: ast.expr, frame: FrameType) -> str:
    """Return the dotted name of what a function's expression stands for in a frame."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.reverse()
    for names in (frame.f_locals, frame.f_globals, frame.f_builtins):
        if node.id in names:
            found = names[node.id]
            break
    else:
        return ""
    while parts and isinstance(found, ModuleType) and parts[0] in vars(found):
        inner = vars(found)[parts[0]]
        if not isinstance(inner, ModuleType):
            return f"{found.__name__}.{'.'.join(parts)}"
        found = inner
        parts.pop(0)
    if isinstance(found, ModuleType):
        return ".".join([found.__name__, *parts])
    if not parts:
        return public_name(found)
    owner = public_name(found if isinstance(found, type) else type(found))
    if owner.startswith(("wengert.", "numpy.ndarray")):  # a method of an array, traced or not
        return ""
    return ".".join([owner, *parts])


def public_name(found: Any) -> str:
    """Return the dotted name of a function or class, without the private modules on the way."""
    name = getattr(found, "__qualname__", None) or getattr(found, "__name__", type(found).__name__)
    module: Any = getattr(found, "__module__", None)
    if isinstance(module, str):
        return _public(module, str(name))
    owner = getattr(found, "__self__", None)  # of a method of a compiled class
    if owner is not None and not isinstance(owner, ModuleType):
        return f"{public_name(type(owner))}.{getattr(found, '__name__', '')}"
    return str(name)


def _public(module: str, name: str) -> str:
    parts = list(itertools.takewhile(lambda part: not part.startswith("_"), module.split(".")))
    if parts in (["builtins"], [""], []):
        return name
    return ".".join([*parts, name])


def _of_frame(frame: FrameType) -> str:
    module = str(frame.f_globals.get("__name__", ""))
    name = frame.f_code.co_qualname.partition(".<locals>")[0]
    owner, _, method = name.rpartition(".")
    held = frame.f_locals.get("self")
    if owner and held is not None:  # a class that the user knows, not a base of it
        owner = public_name(type(held))
        return owner if method == "__init__" else f"{owner}.{method}"
    return _public(module, owner if method == "__init__" else name)


# --- warnings -------------------------------------------------------------------------------------
_EVALUATING = re.compile(
    r"wengert\.(ir\.build|trace\.(tape|fresh|expected)|ops\.(base|reduce|contract|convert))\Z"
)
"""Modules that compute in NumPy on behalf of the user's line, and catch what it warns of."""
_HEEDING: Any = ("error", None, RuntimeWarning, _EVALUATING, 0)
_TELLING: Any = ("always", None, RuntimeWarning, None, 0)


def heed_warnings() -> None:
    """Have NumPy's warnings in wengert's own evaluations raised, so that `retold` can tell them.

    Python would show them at a line of wengert, and each text only once. The filter that does it
    names the modules that evaluate, and concerns no other code. It has to be the first one.
    """
    filters: Any = warnings.filters
    if not filters or filters[0] is not _HEEDING:
        if _HEEDING in filters:
            filters.remove(_HEEDING)
        filters.insert(0, _HEEDING)


def is_heeding(item: Any) -> bool:
    """Whether a filter is the one of `heed_warnings`."""
    return item is _HEEDING


def retold(compute: Callable[[], R], place: tuple[str, int] | None = None) -> R:
    """Compute again what raised a warning, and warn at the user's line.

    Parameters
    ----------
    compute : callable
        Has no effects.
    place : tuple of str and int, optional
        File and line; by default those of the user's innermost frame.
    """
    told: list[Warning] = []
    filters: Any = warnings.filters
    shows = warnings.showwarning
    filters.insert(0, _TELLING)
    warnings.showwarning = lambda message, *_: told.append(message)
    try:
        made = compute()
    finally:
        warnings.showwarning = shows
        filters.remove(_TELLING)
    frame, _ = _found(sys._getframe(1))
    where = frame.f_globals if frame is not None else globals()
    if place is None:
        place = (__file__, 0) if frame is None else (frame.f_code.co_filename, frame.f_lineno)
    registry = where.setdefault("__warningregistry__", {})
    for message in told:
        warnings.warn_explicit(
            message, type(message), *place, module=where.get("__name__"), registry=registry
        )
    return made


# --- tracebacks -----------------------------------------------------------------------------------
def shorten(error: BaseException) -> None:
    """Take the frames of wengert out of the traceback of an error, and of what caused it.

    ``WENGERT_TRACEBACK=full`` in the environment leaves them in. After this, a bare ``raise`` adds
    no frame of its own.
    """
    if os.environ.get("WENGERT_TRACEBACK") == "full":
        return
    found: BaseException | None = error
    for _ in range(8):
        if found is None:
            return
        found.__traceback__ = _shown(found.__traceback__)
        found = found.__cause__ or found.__context__


def _shown(traceback: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    inside = False  # wengert's own: a frame of contextlib under one of wengert belongs to it
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if name.startswith(HERE):
            inside = True
        elif not (inside and name.endswith("contextlib.py")):
            inside = False
            kept.append(traceback)
        traceback = traceback.tb_next
    shown: TracebackType | None = None
    for t in reversed(kept):
        shown = TracebackType(shown, t.tb_frame, t.tb_lasti, t.tb_lineno)
    return shown


def hidden(f: Callable[P, R]) -> Callable[P, R]:
    """Return a function that raises what `f` raises, without the frames of wengert."""

    @functools.wraps(f)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return f(*args, **kwargs)
        except Exception as error:
            shorten(error)
            raise

    return call
