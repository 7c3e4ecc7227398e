"""A code object rewritten so that tables decide what it calls and what its operators mean.

Each call ``f(...)`` of the code becomes ``calls[f](...)``, and each ``a[i]`` that is read becomes
``subscripts[a, i]``. Before the other instructions that run methods of the user's own classes, or
write into arrays, a table is asked for the operands: ``a + b``, ``x.name``, ``for x in xs``.
Nothing else changes: names, lines, columns, handlers of exceptions and nested functions stay, so
that tracebacks, debuggers and coverage show the user's own file.
"""

from __future__ import annotations

import dis
import sys
import threading
from array import array
from collections.abc import Mapping
from types import CodeType, ModuleType
from typing import Any

from wengert.follow.loops import Body, loops_of
from wengert.follow.tables import Tables

__all__ = ["BUSY", "is_rewritten", "original", "rewritten"]

_MADE: dict[tuple[int, int], tuple[CodeType, CodeType | None]] = {}
"""Of each code object that was looked at, by its id and that of the tables: itself, and its
rewritten form."""

_ORIGINALS: dict[int, tuple[CodeType, CodeType]] = {}
"""Of each rewritten code object, by its id: itself, and what it was made from."""

_BY: dict[int, int] = {}
"""Of a rewritten code object: the id of the tables that it asks."""

_SOURCES: dict[int, array[int]] = {}
"""Of a rewritten code object: for each instruction, the number of the one of the original that it
belongs to."""

_OFFSETS: dict[int, dict[int, int]] = {}
"""Of a rewritten code object: from the offsets of its instructions to those of the original."""


class _Busy(threading.local):
    on = False


BUSY = _Busy()
"""Whether code is being rewritten in this thread, which no part of the user's program does."""

_SEPARATE_NULL = sys.version_info >= (3, 13)
"""Whether the place of ``self`` lies above the callable on the stack, instead of below it."""


def rewritten(
    code: CodeType, tables: Tables, namespace: Mapping[str, Any] | None = None
) -> CodeType | None:
    """Return a code object that asks the tables; the same one each time.

    Parameters
    ----------
    code : CodeType
        Of a function. One that is rewritten already is returned itself.
    tables : Tables
    namespace : mapping, optional
        The globals of the function. No table is asked about attributes of modules among them.

    Returns
    -------
    CodeType or None
        None where the code cannot be rewritten.
    """
    found = _MADE.get((id(code), id(tables)))
    if found is None:
        if id(code) in _ORIGINALS:
            own = _BY[id(code)] == id(tables)
            return code if own else rewritten(_ORIGINALS[id(code)][1], tables, namespace)
        found = _MADE[id(code), id(tables)] = (code, _rewrite(code, tables, namespace or {}))
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


def _rewrite(code: CodeType, tables: Tables, namespace: Mapping[str, Any]) -> CodeType | None:
    outer, BUSY.on = BUSY.on, True
    try:
        import bytecode  # takes 20 ms, which a program that follows nothing does not pay

        body = bytecode.Bytecode.from_code(code)
        writer = _Writer(bytecode.Instr, tables, namespace, _stores(code))
        body[:], sources = writer.instructions(Body(list(body), _numbers(body), code))
        made = body.to_code()
    except Exception:
        return None  # an instruction that the library does not know: the function runs as it is
    finally:
        BUSY.on = outer
    _keep(made, code, sources, tables)
    return made


def _keep(made: CodeType, code: CodeType, sources: list[int], tables: Tables) -> None:
    """Note what code was made from."""
    _ORIGINALS[id(made)] = (made, code)
    _BY[id(made)] = id(tables)
    _SOURCES[id(made)] = array("l", sources)


def _numbers(body: Any) -> list[int]:
    """Return the number of each instruction; what is none has that of the next one."""
    found, n = [], 0
    for x in body:
        found.append(n)
        n += hasattr(x, "opcode")
    return found


class _TripWriter:
    """Writes the instructions of a trip, so that tables decide whether anything has an effect."""

    def __init__(self, tables: Tables, namespace: Mapping[str, Any]) -> None:
        self._tables, self._namespace = tables, namespace

    def __call__(self, body: Body) -> list[tuple[Any, int]]:
        """Return the written instructions, each with the number of the user's."""
        import bytecode

        writer = _Writer(bytecode.Instr, self._tables, self._namespace, False)
        written, sources = writer.instructions(body)
        numbers = iter(sources)
        return [(x, next(numbers) if hasattr(x, "opcode") else 0) for x in written]

    def finish(self, made: Any, sources: list[int], code: CodeType) -> CodeType:
        """Return the code object of a trip."""
        trip: CodeType = made.to_code()
        _keep(trip, code, sources, self._tables)
        return trip


def _stores(code: CodeType) -> bool:
    """Whether code writes into items or attributes, or updates in place."""
    for x in dis.get_instructions(code):
        if x.opname in ("STORE_SUBSCR", "STORE_SLICE", "STORE_ATTR"):
            return True
        if x.opname == "BINARY_OP" and x.argrepr.endswith("="):
            return True
    return False


_UNARY = {
    "UNARY_NEGATIVE": "__neg__",
    "UNARY_INVERT": "__invert__",
    "UNARY_POSITIVE": "__pos__",
}
_INTRINSIC_POSITIVE = 5
_SYMBOLS = ("+", "&", "//", "<<", "@", "*", "%", "|", "**", ">>", "-", "/", "^")
"""Operators of two operands, by number; those that update in place follow."""

_SUBSCRIPT = 26
_COMPARED = ("<", "<=", "==", "!=", ">", ">=")
_DECIDED = frozenset({"COMPARE_OP", "IS_OP", "CONTAINS_OP", "TO_BOOL", "UNARY_NOT"})
"""Instructions that leave a truth value, or an array."""

_ITERATING = frozenset(
    {"GET_ITER", "GET_YIELD_FROM_ITER", "UNPACK_SEQUENCE", "UNPACK_EX", "LIST_EXTEND"}
)


class _Writer:
    """Writes the instructions of one code object, with the questions put in.

    Attributes
    ----------
    sources : list of int
        For each instruction that was written, the number of the one that it belongs to.
    """

    def __init__(
        self, make: Any, tables: Tables, namespace: Mapping[str, Any], stores: bool
    ) -> None:
        self._make = make
        self._tables = tables
        self._namespace = namespace
        self._calls = tables.calls_beside_stores if stores else tables.calls
        self._trips = _TripWriter(tables.pure or tables, namespace)
        self._written: list[Any] = []
        self._last: list[Any] = []
        self._moved: Any = None
        self._at: Any = None
        self.sources: list[int] = []

    def instructions(self, body: Body) -> tuple[list[Any], list[int]]:
        """Return the instructions of a body with the questions put in, and their sources."""
        loops, after = loops_of(body, self._trips)
        places = {id(x): k for k, x in enumerate(body.items) if type(x).__name__ == "Label"}
        for k, (x, number) in enumerate(zip(body.items, body.numbers, strict=True)):
            if not isinstance(x, self._make):
                self._written.append(x)
                continue
            self._at = x.location
            if k in loops:
                asked = loops[k].question(self._new, k, places, after)
                self._written += asked
                self.sources += [number for m in asked if isinstance(m, self._make)]
            made = self._made(x)
            self._written += made
            self.sources += [number - (m is not x and m is self._moved) for m in made]
            self._last.append(x)
        return self._written, self.sources

    def _made(self, x: Any) -> list[Any]:
        """Return what is written for one instruction."""
        kind = x.name
        if kind == "LOAD_CONST" and isinstance(x.arg, CodeType):
            inner = rewritten(x.arg, self._tables, self._namespace)
            return [x if inner is None else self._new("LOAD_CONST", inner)]
        if kind == "LOAD_METHOD" or (kind == "LOAD_ATTR" and x.arg[0] is True):
            name = x.arg if kind == "LOAD_METHOD" else x.arg[1]
            read = self._new("LOAD_ATTR", name if kind == "LOAD_METHOD" else (False, name))
            return [*self._attribute(name), *self._beside_null(read)]
        if kind == "LOAD_SUPER_ATTR" and x.arg[0] is True:
            return self._beside_null(self._new("LOAD_SUPER_ATTR", (False, *x.arg[1:])), after=True)
        if kind in ("PRECALL", "CALL", "CALL_KW"):
            if kind == "CALL" and self._follows("PRECALL"):
                return [x]
            depth = x.arg + 1 + _SEPARATE_NULL + (kind == "CALL_KW")
            names = [self._taken()] if self._follows("KW_NAMES") else []
            return [*self._callable(depth), *names, x]
        if kind == "CALL_FUNCTION_EX":
            depth = 4 if sys.version_info >= (3, 14) else 2 + bool(x.arg & 1) + _SEPARATE_NULL
            return [*self._callable(depth), x]
        if kind == "BINARY_SUBSCR" or (kind == "BINARY_OP" and x.arg == _SUBSCRIPT):
            return self._read_item(x)
        if kind == "BINARY_SLICE":
            return [self._new("BUILD_SLICE", 2), *self._read_item(self._subscript())]
        if kind == "STORE_SLICE":
            asked = self._asked(self._tables.stores, 3)
            return [self._new("BUILD_SLICE", 2), *asked, self._new("STORE_SUBSCR")]
        if kind in ("JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP"):  # of Python 3.11
            jump = self._new(f"POP_JUMP_FORWARD_{kind[5:-7]}", x.arg)
            asked = self._asked(self._tables.of("truth"))
            return [self._new("COPY", 1), *asked, jump, self._new("POP_TOP")]
        return [*self._before(x), x]

    def _before(self, x: Any) -> list[Any]:
        """Return the question about the operands of an instruction, if there is one."""
        kind, of = x.name, self._tables.of
        if kind == "LOAD_ATTR":
            return self._attribute(x.arg if isinstance(x.arg, str) else x.arg[1])
        if kind == "STORE_ATTR":
            return self._asked(of("target", x.arg))
        if kind == "STORE_SUBSCR":
            return self._asked(self._tables.stores, 3)
        if kind == "BINARY_OP":
            n = int(x.arg)
            symbol = _SYMBOLS[n] if n < len(_SYMBOLS) else _SYMBOLS[n - len(_SYMBOLS)] + "="
            return self._asked(self._tables.operator(symbol), 2)
        if kind == "COMPARE_OP":
            return self._asked(self._tables.operator(_COMPARED[int(x.arg) & 15]), 2)
        if kind == "CONTAINS_OP":
            return self._asked(self._tables.operator("in"), 2)
        if kind in _UNARY:
            return self._asked(of("unary", _UNARY[kind]))
        if kind == "CALL_INTRINSIC_1" and x.arg == _INTRINSIC_POSITIVE:
            return self._asked(of("unary", "__pos__"))
        if kind in _ITERATING and not self._follows("LOAD_CONST"):
            return self._asked(of("iterated"))
        if kind == "BEFORE_WITH":
            return self._asked(of("managed"))
        if self._decides(kind) and not (self._last and self._last[-1].name in _DECIDED):
            return self._asked(of("truth"))
        return []

    @staticmethod
    def _decides(kind: str) -> bool:
        """Whether an instruction asks an object whether it is true."""
        if _SEPARATE_NULL:
            return kind == "TO_BOOL"
        jumps = kind.startswith("POP_JUMP") and kind.endswith(("IF_TRUE", "IF_FALSE"))
        return jumps or kind == "UNARY_NOT"

    def _attribute(self, name: str) -> list[Any]:
        """Return the question before an attribute is read, unless it is one of a module."""
        last = self._last[-1] if self._last else None
        if last is not None and last.name == "LOAD_GLOBAL":
            of = last.arg if isinstance(last.arg, str) else last.arg[1]
            if isinstance(self._namespace.get(of), ModuleType):
                return []
        return self._asked(self._tables.of("attribute", name))

    def _asked(self, table: Any, operands: int = 1) -> list[Any]:
        """Return the instructions that replace the operands on the stack by those of a table."""
        new = self._new
        asked = [new("LOAD_CONST", table), new("SWAP", 2), self._subscript()]
        if operands == 1:
            return asked
        apart = [new("UNPACK_SEQUENCE", operands), new("SWAP", operands)]
        return [new("BUILD_TUPLE", operands), *asked, *apart]

    def _callable(self, depth: int) -> list[Any]:
        """Return the instructions that replace the callable at a depth of the stack."""
        swap = [self._new("SWAP", depth)] if depth > 1 else []
        return [*swap, *self._asked(self._calls), *swap]

    def _read_item(self, x: Any) -> list[Any]:
        new = self._new
        table = new("LOAD_CONST", self._tables.subscripts)
        return [new("BUILD_TUPLE", 2), table, new("SWAP", 2), x]

    def _beside_null(self, read: Any, after: bool = False) -> list[Any]:
        """Return what reads a method, as a callable that is no method of what lies beside it."""
        null = self._new("PUSH_NULL")
        if _SEPARATE_NULL:
            return [read, null]
        return [read, null, self._new("SWAP", 2)] if after else [null, self._new("SWAP", 2), read]

    def _new(self, name: str, *arg: Any) -> Any:
        return self._make(name, *arg, location=self._at)

    def _subscript(self) -> Any:
        if sys.version_info >= (3, 14):
            return self._new("BINARY_OP", _SUBSCRIPT)
        return self._new("BINARY_SUBSCR")

    def _follows(self, name: str) -> bool:
        return bool(self._last) and self._last[-1].name == name

    def _taken(self) -> Any:
        """Take back the instruction that was written last, to write it again further on."""
        self.sources.pop()
        self._moved = self._written.pop()
        return self._moved


def _aligned(code: CodeType, made: CodeType) -> dict[int, int]:
    """Return where each instruction of a rewritten code object was in the original."""
    ours = [x for x in dis.get_instructions(made) if x.opname not in ("CACHE", "EXTENDED_ARG")]
    theirs = [x for x in dis.get_instructions(code) if x.opname not in ("CACHE", "EXTENDED_ARG")]
    sources = _SOURCES[id(made)]
    return {x.offset: theirs[k].offset for x, k in zip(ours, sources, strict=True)}
