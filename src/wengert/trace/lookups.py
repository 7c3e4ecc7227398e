"""What a function looks up outside of its arguments, read from its bytecode.

A recording holds while the names that the code loads (globals, variables of enclosing functions,
attributes) stand for what they stood for. Here the loads are found, and what the code does with
each: the stack is followed with entries that say where a value came from. What cannot be followed
counts as read.
"""

from __future__ import annotations

import bisect
import dis
import functools
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

__all__ = ["Lookups", "Use", "lookups", "start_of"]

HARMLESS = frozenset({"shape", "ndim", "size", "dtype", "itemsize", "nbytes"})
"""Attributes of an array that do not read its content."""

VIEWS = frozenset({"T", "mT", "real"})
"""Attributes that show the same memory."""

ASKING = frozenset({"len", "isinstance", "id", "type", "hasattr", "callable", "print", "repr"})
"""Built-in functions that do not read the content of an array."""

WALKING = frozenset({"enumerate", "zip", "reversed", "sorted", "sum", "min", "max", "any", "all"})
"""Built-in functions that go through the items of what they are given and keep nothing else."""

EFFECTS = frozenset({"append", "extend", "insert", "add", "appendleft", "write", "flush"})
"""Methods that are called for their effect: they return None, or nothing that is used."""

REFLECTIVE = frozenset(
    {"getattr", "hasattr", "vars", "dir", "__dict__", "asdict", "astuple", "fields", "eval", "exec",
     "attrgetter", "methodcaller", "getmembers", "__getattribute__", "copy", "deepcopy", "replace"}
)  # fmt: skip
"""Names of what looks attributes up by strings: code with one of them may read any attribute."""


class Entry(NamedTuple):
    """Where a value on the stack came from.

    Attributes
    ----------
    names : frozenset of str
        Under which the code found it: of a variable, or of the attribute looked up last.
    parts : tuple of Entry
        What it was computed from, by one operation.
    """

    names: frozenset[str] = frozenset()
    parts: tuple[Entry, ...] = ()


UNKNOWN = Entry()


class Use(NamedTuple):
    """What an instruction does with a value that was looked up.

    Attributes
    ----------
    names : frozenset of str
    code : CodeType
    offset : int
        Of the instruction.
    kind : {"read", "walked", "asked", "effect"}
        ``walked`` where the items are read, and nothing else can be done with their container;
        ``asked`` where the content of an array is not read; ``effect`` where nothing that is read
        decides a result: a list that is appended to, a counter.
    """

    names: frozenset[str]
    code: CodeType
    offset: int
    kind: str


class Lookups(NamedTuple):
    """What one code object, and those nested in it, look up.

    Attributes
    ----------
    globals : frozenset of str
    attributes : frozenset of str
        Every name of an attribute, and of a global.
    strings : frozenset of str
        Constants that may be names of attributes, where the code looks attributes up by string.
    reflective : bool
        Whether attributes may be looked up by string.
    uses : tuple of Use
    """

    globals: frozenset[str]
    attributes: frozenset[str]
    strings: frozenset[str]
    reflective: bool
    uses: tuple[Use, ...]


@functools.lru_cache(maxsize=4096)
def lookups(code: CodeType) -> Lookups:
    """Return what a code object looks up, nested functions included."""
    found: set[str] = set()
    names: set[str] = set()
    strings: set[str] = set()
    uses: list[Use] = []
    for part in _nested(code):
        names.update(part.co_names)
        strings.update(c for c in part.co_consts if isinstance(c, str) and c.isidentifier())
        strings.update(
            k for c in part.co_consts if isinstance(c, tuple) for k in c if isinstance(k, str)
        )
        for x in dis.get_instructions(part):
            if x.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                found.add(str(x.argval))
        uses += _Stack(part).uses
    reflective = bool(names & REFLECTIVE)
    return Lookups(
        frozenset(found), frozenset(names), frozenset(strings if reflective else ()), reflective,
        tuple(uses),
    )  # fmt: skip


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for x in code.co_consts:
        if isinstance(x, CodeType):
            yield from _nested(x)


class _Stack:
    """Follows the values on the stack through one code object, instruction after instruction."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.uses: list[Use] = []
        self.stack: list[Entry] = []
        self.local: dict[str, frozenset[str]] = {}
        for x in dis.get_instructions(code):
            self.step(x)

    def pop(self, n: int = 1) -> list[Entry]:
        taken = [self.stack.pop() if self.stack else UNKNOWN for _ in range(n)]
        return taken[::-1]

    def push(self, *entries: Entry) -> None:
        self.stack.extend(entries)

    def use(self, entries: list[Entry], offset: int, kind: str = "read") -> None:
        for e in entries:
            if e.names:
                self.uses.append(Use(e.names, self.code, offset, kind))

    def step(self, x: dis.Instruction) -> None:
        op, arg = x.opname, x.arg or 0
        name = str(x.argval)
        if op in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF", "LOAD_CLASSDEREF"):
            if op == "LOAD_GLOBAL" and arg & 1:
                self.push(UNKNOWN)
            builtin = op == "LOAD_GLOBAL" and name in WALKING
            self.push(Entry(frozenset({name, "(walks)"} if builtin else {name})))
        elif op in ("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_BORROW", "LOAD_FAST_AND_CLEAR"):
            self.push(Entry(self.local.get(name, frozenset({name}))))
        elif op in ("LOAD_ATTR", "LOAD_METHOD"):
            self.attribute(x, name)
        elif op in ("STORE_FAST", "STORE_DEREF", "STORE_GLOBAL", "STORE_NAME"):
            self.store(x, name, self.pop()[0])
        elif op == "STORE_ATTR":
            value, _ = self.pop(2)
            self.store(x, name, value)
        elif op == "SWAP":
            if len(self.stack) >= arg:
                s = self.stack
                s[-1], s[-arg] = s[-arg], s[-1]
        elif op == "COPY":
            self.push(self.stack[-arg] if len(self.stack) >= arg else UNKNOWN)
        elif op in ("BINARY_SUBSCR", "BINARY_SLICE") or (op == "BINARY_OP" and x.argrepr == "[]"):
            base, *index = self.pop(3 if op == "BINARY_SLICE" else 2)
            self.use(index, x.offset)
            self.push(Entry(base.names))
        elif op in ("CALL", "CALL_KW"):
            *callee, _ = self.pop(arg + 2 + (op == "CALL_KW")), None
            self.call(x, callee[0])
        elif op == "IS_OP":
            self.use(self.pop(2), x.offset, "asked")
            self.push(UNKNOWN)
        elif op == "POP_TOP":
            self.pop()
        else:
            self.other(x)

    def attribute(self, x: dis.Instruction, name: str) -> None:
        (base,) = self.pop()
        method = x.opname == "LOAD_METHOD" or (
            x.opname == "LOAD_ATTR" and x.argval != x.argrepr and "NULL" in x.argrepr
        )
        if name in VIEWS:
            self.push(Entry(base.names | {name}))
            return
        if name in HARMLESS:
            self.use([base], x.offset, "asked")
        elif name in EFFECTS:
            self.use([base], x.offset, "effect")
        else:
            self.use([base], x.offset)
        if method:
            self.push(UNKNOWN)
        self.push(Entry(frozenset({name})))

    def store(self, x: dis.Instruction, name: str, value: Entry) -> None:
        if x.opname == "STORE_FAST":
            self.local[name] = value.names | {name}
            self.use(list(value.parts), x.offset)
            return
        rest = [e for e in value.parts if name not in e.names]
        counted = [e for e in value.parts if name in e.names]
        self.use(counted, x.offset, "effect")
        self.use(rest, x.offset)
        self.use([Entry(value.names)], x.offset)

    def call(self, x: dis.Instruction, taken: list[Entry]) -> None:
        names = frozenset().union(*[e.names for e in taken[:2]])
        kind = "asked" if names & ASKING else "walked" if "(walks)" in names else "read"
        self.use(taken, x.offset, kind)
        self.push(UNKNOWN)

    def other(self, x: dis.Instruction) -> None:
        op, arg = x.opname, x.arg or 0
        if op in _QUIET:
            return
        if op.startswith("LOAD") or op == "PUSH_NULL":
            self.push(*[UNKNOWN] * max(_effect(x), 0))
            return
        taken: list[Entry]
        if op in ("BINARY_OP", "COMPARE_OP", "CONTAINS_OP"):
            taken = self.pop(2)
        elif op.startswith("UNARY") or op in ("GET_ITER", "TO_BOOL", "RETURN_VALUE"):
            taken = self.pop(1)
        elif op in ("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET", "BUILD_STRING", "BUILD_SLICE"):
            held = frozenset().union(*[e.names for e in self.pop(arg)])
            self.push(Entry(held))  # what is built holds them
            return
        else:  # whatever it takes: all that the stack is known to hold
            taken, self.stack = self.stack, []
        if op == "BINARY_OP":  # whether it is a counter is seen where the result is stored
            stored = _next(self.code, x.offset)
            if stored in ("STORE_DEREF", "STORE_GLOBAL", "STORE_ATTR", "SWAP"):
                self.push(Entry(frozenset(), tuple(taken)))
                return
        self.use(taken, x.offset, "walked" if op == "GET_ITER" else "read")
        if op.startswith(("BINARY", "COMPARE", "CONTAINS", "UNARY", "GET_ITER", "TO_B")):
            self.push(UNKNOWN)


_QUIET = frozenset({"RESUME", "NOP", "CACHE", "PRECALL", "KW_NAMES", "MAKE_CELL", "COPY_FREE_VARS",
                    "EXTENDED_ARG", "RETURN_GENERATOR", "NOT_TAKEN"})  # fmt: skip


def _effect(x: dis.Instruction) -> int:
    try:
        return dis.stack_effect(x.opcode, x.arg)
    except ValueError:
        return 1


@functools.lru_cache(maxsize=1024)
def _order(code: CodeType) -> tuple[list[int], list[str]]:
    """Return where the instructions of a code object start, and what they are."""
    found = [x for x in dis.get_instructions(code) if x.opname != "CACHE"]
    return [x.offset for x in found], [x.opname for x in found]


def _next(code: CodeType, offset: int) -> str:
    starts, kinds = _order(code)
    i = bisect.bisect_right(starts, offset)
    return kinds[i] if i < len(kinds) else ""


def start_of(code: CodeType, offset: int) -> int:
    """Return where the instruction starts that a frame is at; its caches belong to it.

    Python 3.11 calls some functions in the instruction that prepares the call.
    """
    starts, kinds = _order(code)
    i = max(bisect.bisect_right(starts, offset) - 1, 0)
    return starts[i + 1] if kinds[i] == "PRECALL" else starts[i]
