"""A code object rewritten so that tables decide what it calls and what it subscripts.

Each call ``f(...)`` of the code becomes ``calls[f](...)``, and each ``a[i]`` that is read becomes
``subscripts[a, i]``. Nothing else changes: names, lines, columns, handlers of exceptions and
nested functions stay, so that tracebacks, debuggers and coverage show the user's own file.
"""

from __future__ import annotations

import dis
import sys
import threading
from types import CodeType
from typing import Any

from wengert.follow.tables import Tables

__all__ = ["BUSY", "is_rewritten", "original", "rewritten"]

_MADE: dict[int, tuple[CodeType, CodeType | None]] = {}
"""Of each code object that was looked at, by its id: itself, and its rewritten form."""

_ORIGINALS: dict[int, tuple[CodeType, CodeType]] = {}
"""Of each rewritten code object, by its id: itself, and what it was made from."""

_OFFSETS: dict[int, dict[int, int]] = {}
"""Of a rewritten code object: from the offsets of its instructions to those of the original."""


class _Busy(threading.local):
    on = False


BUSY = _Busy()
"""Whether code is being rewritten in this thread, which no part of the user's program does."""

_SEPARATE_NULL = sys.version_info >= (3, 13)
"""Whether the place of ``self`` lies above the callable on the stack, instead of below it."""


def rewritten(code: CodeType, tables: Tables) -> CodeType | None:
    """Return a code object that asks the tables; the same one each time.

    Parameters
    ----------
    code : CodeType
        Of a function. One that is rewritten already is returned itself.
    tables : Tables

    Returns
    -------
    CodeType or None
        None where the code cannot be rewritten.
    """
    found = _MADE.get(id(code))
    if found is None:
        if id(code) in _ORIGINALS:
            return code
        found = _MADE[id(code)] = (code, _rewrite(code, tables))
    return found[1]


def original(code: CodeType, offset: int) -> tuple[CodeType, int]:
    """Return the user's code object and the place in it that a frame is at.

    Parameters
    ----------
    code : CodeType
        The frame's.
    offset : int
        The frame's ``f_lasti``.
    """
    found = _ORIGINALS.get(id(code))
    if found is None:
        return code, offset
    offsets = _OFFSETS.get(id(code))
    if offsets is None:
        offsets = _OFFSETS[id(code)] = _aligned(found[1], code)
    while offset not in offsets and offset >= 0:
        offset -= 2
    return found[1], offsets.get(offset, 0)


def is_rewritten(code: CodeType) -> bool:
    """Whether a code object is one that was made here."""
    return id(code) in _ORIGINALS


def _rewrite(code: CodeType, tables: Tables) -> CodeType | None:
    outer, BUSY.on = BUSY.on, True
    try:
        import bytecode  # takes 20 ms, which a program that follows nothing does not pay

        body = bytecode.Bytecode.from_code(code)
        calls = tables.calls_beside_stores if _stores(code) else tables.calls
        body[:] = _instructions(bytecode.Instr, body, calls, tables)
        made = body.to_code()
    except Exception:
        return None  # an instruction that the library does not know: the function runs as it is
    finally:
        BUSY.on = outer
    _keep(code, made)
    return made


def _keep(code: CodeType, made: CodeType) -> None:
    _ORIGINALS[id(made)] = (made, code)


def _stores(code: CodeType) -> bool:
    """Whether code writes into items, or updates in place."""
    for x in dis.get_instructions(code):
        if x.opname in ("STORE_SUBSCR", "STORE_SLICE"):
            return True
        if x.opname == "BINARY_OP" and x.argrepr.endswith("="):
            return True
    return False


def _instructions(make: Any, body: Any, calls: Any, tables: Tables) -> list[Any]:
    """Return the instructions of a body with the questions put in."""
    found: list[Any] = []
    for x in body:
        if not isinstance(x, make):
            found.append(x)
            continue
        kind, at = x.name, x.location

        def new(name: str, *arg: Any, at: Any = at) -> Any:
            return make(name, *arg, location=at)

        if kind == "LOAD_CONST" and isinstance(x.arg, CodeType):
            inner = rewritten(x.arg, tables)
            found.append(x if inner is None else new("LOAD_CONST", inner))
        elif kind == "LOAD_METHOD" or (kind == "LOAD_ATTR" and x.arg[0] is True):
            name = x.arg if kind == "LOAD_METHOD" else x.arg[1]
            attribute = new("LOAD_ATTR", name if kind == "LOAD_METHOD" else (False, name))
            if _SEPARATE_NULL:
                found += [attribute, new("PUSH_NULL")]
            else:
                found += [new("PUSH_NULL"), new("SWAP", 2), attribute]
        elif kind in ("PRECALL", "CALL", "CALL_KW"):
            if kind == "CALL" and _follows(found, "PRECALL"):
                found.append(x)
                continue
            depth = x.arg + 1 + _SEPARATE_NULL + (kind == "CALL_KW")
            asked = _question(new, depth, calls)
            names = [found.pop()] if _follows(found, "KW_NAMES") else []
            found += [*asked, *names, x]
        elif kind == "CALL_FUNCTION_EX":
            depth = 4 if sys.version_info >= (3, 14) else 2 + bool(x.arg & 1) + _SEPARATE_NULL
            found += [*_question(new, depth, calls), x]
        elif kind == "BINARY_SUBSCR" or (kind == "BINARY_OP" and x.arg == 26):
            found += [
                new("BUILD_TUPLE", 2),
                new("LOAD_CONST", tables.subscripts),
                new("SWAP", 2),
                x,
            ]
        else:
            found.append(x)
    return found


def _follows(found: list[Any], name: str) -> bool:
    return bool(found) and getattr(found[-1], "name", "") == name


def _question(new: Any, depth: int, calls: Any) -> list[Any]:
    """Return the instructions that replace what lies at a depth of the stack by ``calls[it]``."""
    swap = [new("SWAP", depth)] if depth > 1 else []
    read = new("BINARY_SUBSCR") if sys.version_info < (3, 14) else new("BINARY_OP", 26)
    return [*swap, new("LOAD_CONST", calls), new("SWAP", 2), read, *swap]


def _aligned(code: CodeType, made: CodeType) -> dict[int, int]:
    """Return where each instruction of a rewritten code object was in the original.

    The rewritten one has the same instructions in the same order, and others between them; those
    belong to the next one of the original.
    """
    ours = [x for x in dis.get_instructions(made) if x.opname not in ("CACHE", "EXTENDED_ARG")]
    theirs = [x for x in dis.get_instructions(code) if x.opname not in ("CACHE", "EXTENDED_ARG")]
    offsets: dict[int, int] = {}
    i = 0
    for x in theirs:
        waiting = []
        while i < len(ours) and not _same(x, ours[i]):
            waiting.append(ours[i].offset)
            i += 1
        if i == len(ours):
            break
        for offset in [*waiting, ours[i].offset]:
            offsets[offset] = x.offset
        i += 1
    return offsets


def _same(x: Any, y: Any) -> bool:
    """Whether an instruction of the original is this one of the rewritten code.

    What is put in before an instruction never contains one of its kind.
    """
    wanted = "LOAD_ATTR" if x.opname == "LOAD_METHOD" else x.opname
    return bool(y.opname == wanted)
