"""Loops in bytecode: where they begin and end, and one trip of each as a function of its own.

A loop whose trips compute, and bind local names, and do nothing else, may be run otherwise than by
Python (`wengert.transform.trips`). In the code that is rewritten such a loop has a question at its
head, ``loop[iterator]``. The answer is None, and Python goes on; or what the names stand for after
the loop, and the way by which it ends. The function of a trip consists of the loop's own
instructions: it takes the names that are bound at the head, and returns how the trip ended, and
all that is bound then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from types import CodeType
from typing import Any, NamedTuple

__all__ = [
    "AGAIN",
    "ASK",
    "ITEM",
    "MORE",
    "RETURNED",
    "Body",
    "Loop",
    "Trip",
    "is_pure",
    "loops_of",
]

AGAIN = -1
"""How a trip ends that another one follows."""

ASK: list[Callable[[Any, Any, Any], Any]] = []
"""What answers for a loop, its iterator, and the frame that is at its head."""

MORE, ITEM, RETURNED = ".more", ".item", ".returned"
"""Names of a trip: whether a ``for`` loop has another item, that item, what ``return`` returns."""

_OLD = sys.version_info < (3, 12)
_IF_FALSE = "POP_JUMP_FORWARD_IF_FALSE" if _OLD else "POP_JUMP_IF_FALSE"
_IF_NONE = "POP_JUMP_FORWARD_IF_NONE" if _OLD else "POP_JUMP_IF_NONE"
_OF_CELLS = ("LOAD_DEREF", "STORE_DEREF", "LOAD_CLOSURE")
_FOLDS = sys.version_info < (3, 14)

_OF_GENERATORS = frozenset({"RETURN_GENERATOR", "YIELD_VALUE"})
_REFLECTIVE = frozenset({"locals", "vars", "dir", "eval", "exec", "_getframe", "currentframe"})
"""Names of what reads local names that the instructions do not."""

_PLAIN = frozenset(
    {
        *("LOAD_CONST", "LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_LOAD_FAST", "STORE_FAST"),
        *("STORE_FAST_STORE_FAST", "STORE_FAST_LOAD_FAST", "LOAD_GLOBAL", "LOAD_DEREF"),
        *("STORE_DEREF", "LOAD_CLOSURE", "LOAD_ATTR", "LOAD_METHOD", "BINARY_OP", "COMPARE_OP"),
        *("IS_OP", "CONTAINS_OP", "UNARY_NEGATIVE", "UNARY_NOT", "UNARY_INVERT", "UNARY_POSITIVE"),
        *("CALL_INTRINSIC_1", "BINARY_SUBSCR", "BINARY_SLICE", "BUILD_TUPLE", "BUILD_LIST"),
        *("BUILD_SLICE", "BUILD_MAP", "BUILD_CONST_KEY_MAP", "UNPACK_SEQUENCE", "SWAP", "COPY"),
        *("POP_TOP", "NOP", "PUSH_NULL", "PRECALL", "KW_NAMES", "CALL", "CALL_KW", "RESUME"),
        *("CALL_FUNCTION_EX", "RETURN_VALUE", "RETURN_CONST", "JUMP_FORWARD", "JUMP_BACKWARD"),
        *("GET_ITER", "FOR_ITER", "END_FOR", "MAKE_FUNCTION", "SET_FUNCTION_ATTRIBUTE", "TO_BOOL"),
        *("LIST_APPEND", "LIST_EXTEND", "LIST_TO_TUPLE", "JUMP_IF_TRUE_OR_POP", "MAKE_CELL"),
        *("JUMP_IF_FALSE_OR_POP", "RAISE_VARARGS", "LOAD_ASSERTION_ERROR", "COPY_FREE_VARS"),
    }
)
"""Instructions that read, compute, bind names of the function, or decide."""


def _is_instruction(x: Any) -> bool:
    return hasattr(x, "opcode")


def _is_label(x: Any) -> bool:
    return type(x).__name__ == "Label"


def _is_plain(x: Any) -> bool:
    """Whether an instruction changes nothing but the stack and what local names stand for."""
    return x.name in _PLAIN or x.name.startswith("POP_JUMP")


def _reads(x: Any) -> tuple[str, ...]:
    """Return the local names that an instruction reads."""
    if x.name in ("LOAD_FAST", "LOAD_FAST_CHECK"):
        return (x.arg,)
    if x.name in ("LOAD_DEREF", "LOAD_CLOSURE"):
        return (x.arg.name,)
    if x.name == "LOAD_FAST_LOAD_FAST":
        return tuple(x.arg)
    return (x.arg[1],) if x.name == "STORE_FAST_LOAD_FAST" else ()


def _writes(x: Any) -> tuple[str, ...]:
    """Return the local names that an instruction binds."""
    if x.name == "STORE_FAST":
        return (x.arg,)
    if x.name == "STORE_DEREF":
        return (x.arg.name,)
    if x.name == "STORE_FAST_STORE_FAST":
        return tuple(x.arg)
    return (x.arg[0],) if x.name == "STORE_FAST_LOAD_FAST" else ()


class Body(NamedTuple):
    """Instructions in which loops are looked for.

    Attributes
    ----------
    items : list
        Instructions and labels.
    numbers : list of int
        For each, the number of the user's instruction that it is.
    code : CodeType
        The user's.
    after : frozenset of str
        Names that are read after all of them.
    """

    items: list[Any]
    numbers: list[int]
    code: CodeType
    after: frozenset[str] = frozenset()


class Trip(NamedTuple):
    """The function of one trip.

    Attributes
    ----------
    code : CodeType
    names : tuple of str
        Of its parameters.
    """

    code: CodeType
    names: tuple[str, ...]


class _Snapshot:
    """``snapshot[k]`` is `k`, and what is bound in the frame that asks."""

    def __getitem__(self, k: int) -> tuple[int, dict[str, Any]]:
        return k, dict(sys._getframe(1).f_locals)


_SNAPSHOT = _Snapshot()


class Place(NamedTuple):
    """Where a loop is among the items of a body: from `head` to before `stop`.

    Where its test is written again at its end, as some versions of Python do, `stop` is where that
    begins. `depth` is how many iterators lie on the stack at the head, its own among them; None
    where something else may.
    """

    head: int
    stop: int
    tested: bool
    depth: int | None


class Loop:
    """A loop of a code object.

    Attributes
    ----------
    is_for : bool
    carried : frozenset of str
        Names that a trip may read from the trip before, or leave as they are.
    made : frozenset of str
        Names that are bound in each trip before they are read, and are read after the loop.
    read : frozenset of str
        Names that a trip reads, and that no trip binds.
    exits : list
        The labels where the loop is left.
    returns : bool
        Whether ``return`` leaves it, too: the last way to do so.
    is_counted : bool
        Whether nothing but the end of what it iterates over ends it.
    """

    def __init__(self, body: Body, place: Place, write: Any) -> None:
        self.code = body.code
        self._items = body.items[place.head : place.stop]
        self._numbers = body.numbers[place.head : place.stop]
        self._depth, self._write = place.depth or 0, write
        self.is_for = self._items[0].name == "FOR_ITER"
        self._heads = list(_labels_before(body.items, place.head))
        instructions = list(filter(_is_instruction, self._items))
        inside = {id(x) for x in (*self._items, *self._heads)}
        targets = {id(x.arg): x.arg for x in instructions if _is_label(x.arg)}
        self.exits = [x for k, x in targets.items() if k not in inside]
        self.returns = any(x.name.startswith("RETURN") for x in instructions)
        leaving = [x for x in instructions if _is_label(x.arg) and id(x.arg) not in inside]
        self.is_counted = self.is_for and len(leaving) == 1 and not self.returns
        others = [*body.items[: place.head], *body.items[place.stop :]]
        assigned = {n for x in instructions for n in _writes(x)}
        after = {n for x in others if _is_instruction(x) for n in _reads(x)} | body.after
        after &= assigned
        alive = self._alive(after)
        self.carried = frozenset(alive & assigned)
        self.made = frozenset(after - alive)
        self.read = frozenset({n for x in instructions for n in _reads(x)} - assigned)
        self._cells = sorted({x.arg.name for x in instructions if x.name in _OF_CELLS})
        self._trips: dict[frozenset[str], Trip] = {}

    def _alive(self, after: set[str]) -> set[str]:
        """Return the names whose value at the head may be read: in a trip, or after the loop."""
        items, n = self._items, len(self._items)
        places = {id(x): k for k, x in enumerate(items) if _is_label(x)}
        places.update((id(x), 0) for x in self._heads)
        alive: list[set[str]] = [set() for _ in range(n + 1)]
        while True:
            before = [set(x) for x in alive]
            alive[n] = set(alive[0])
            for k in range(n - 1, -1, -1):
                x, found = items[k], alive[k + 1]
                if _is_instruction(x):
                    found = set() if _ends(x) else set(found)
                    if _is_label(x.arg):
                        at = places.get(id(x.arg))
                        found |= after if at is None else alive[at]
                    found = (found - set(_writes(x))) | set(_reads(x))
                alive[k] = set(found)
            if alive == before:
                return alive[0]

    def __getitem__(self, iterator: Any) -> Any:
        """Answer for the frame that is at the head of the loop."""
        return ASK[0](self, iterator, sys._getframe(1)) if ASK else None

    # --- the question -----------------------------------------------------------------------------
    @property
    def stored(self) -> list[str]:
        """The names that are bound after the loop, in the order of an answer."""
        return sorted(self.carried | self.made) + ([RETURNED] if self.returns else [])

    def question(self, make: Any, here: int, places: dict[int, int], after: Any) -> list[Any]:
        """Return the instructions that ask at the head, and go on after the loop.

        Parameters
        ----------
        make : callable
            ``make(name, arg)``, an instruction.
        here : int
            Where the question stands.
        places : dict
            Where each label stands.
        after : dict
            For the label where a ``for`` loop ends, the one where its iterator is gone.
        """
        from bytecode import Label

        on = Label()
        subject = make("COPY", 2) if self.is_for else make("LOAD_CONST", None)
        asked = [make("LOAD_CONST", self), subject, make("BINARY_SUBSCR"), make("COPY", 1)]
        asked += [make(_IF_NONE, on), make("UNPACK_SEQUENCE", len(self.stored) + 1)]
        asked += [self._store(make, name) for name in self.stored]
        if self.is_for:
            asked += [make("SWAP", 2), make("POP_TOP")]
        for k, label in enumerate(self.exits):
            other = Label()
            back = places.get(id(label), here) < here
            jump = "JUMP_BACKWARD" if back else "JUMP_FORWARD"
            asked += [make("COPY", 1), make("LOAD_CONST", k), make("IS_OP", 0)]
            asked += [make(_IF_FALSE, other), make("POP_TOP")]
            asked += [make(jump, after.get(id(label), label)), other]
        asked += [make("POP_TOP")] * (1 + self._depth - self.is_for if self.returns else 0)
        asked += [make("LOAD_FAST", RETURNED)] if self.returns else []
        return [*asked, make("RETURN_VALUE"), on, make("POP_TOP")]

    def _store(self, make: Any, name: str) -> Any:
        from bytecode.instr import CellVar

        cell = name in self._cells
        return make("STORE_DEREF", CellVar(name)) if cell else make("STORE_FAST", name)

    # --- one trip ---------------------------------------------------------------------------------
    def trip(self, bound: Iterable[str]) -> Trip:
        """Return the function of a trip, given the names that are bound at its head."""
        names = frozenset(bound) & (self.carried | self.read)
        found = self._trips.get(names)
        if found is None:
            found = self._trips[names] = self._made_trip(names)
        return found

    def _made_trip(self, names: frozenset[str]) -> Trip:
        import bytecode
        from bytecode import Instr, Label
        from bytecode.instr import CellVar

        at, number = self._items[0].location, self._numbers[0]

        def make(name: str, *arg: Any) -> Any:
            return Instr(name, *arg, location=at)

        again, left = Label(), [Label() for _ in self.exits]
        new = {id(x): Label() for x in self._items if _is_label(x)}
        new.update((id(x), again) for x in self._heads)
        new.update((id(x), y) for x, y in zip(self.exits, left, strict=True))
        items: list[Any] = []
        for x in self._items:
            if _is_label(x):
                items.append(new[id(x)])
            elif _is_label(x.arg):
                out = new[id(x.arg)] is again or new[id(x.arg)] in left
                name = x.name.replace("BACKWARD", "FORWARD") if out else x.name
                items.append(Instr(name, new[id(x.arg)], location=x.location))
            elif x.name in _OF_CELLS:
                items.append(Instr(x.name, CellVar(x.arg.name), location=x.location))
            else:
                items.append(x.copy())
        made = bytecode.Bytecode()
        lines: list[int] = []

        def put(source: int, *several: Any) -> None:
            made.extend(several)
            lines.extend([source] * sum(map(_is_instruction, several)))

        def end(k: int, source: int) -> None:
            put(source, make("LOAD_CONST", _SNAPSHOT), make("LOAD_CONST", k))
            put(source, make("BINARY_SUBSCR"), make("RETURN_VALUE"))

        put(number, *[make("MAKE_CELL", CellVar(name)) for name in self._cells])
        put(number, make("RESUME", 0), *[make("LOAD_CONST", None) for _ in range(self._depth)])
        args = sorted(names)
        start = 0
        if self.is_for:
            args += [MORE, ITEM]
            put(number, make("LOAD_FAST", MORE), make(_IF_FALSE, items[0].arg))
            put(number, make("LOAD_FAST", ITEM))
            start = 1
        after = self.carried | self.made
        for x, source in self._write(Body(items[start:], self._numbers[start:], self.code, after)):
            if not _is_instruction(x) or not x.name.startswith("RETURN"):
                put(source, x)
                continue
            if x.name == "RETURN_CONST":
                put(source, make("LOAD_CONST", x.arg))
            put(source, make("STORE_FAST", RETURNED))
            end(len(self.exits), source)
        for k, label in ((AGAIN, again), *enumerate(left)):
            put(number, label)
            end(k, number)
        made.name = self.code.co_name
        made.filename, made.first_lineno = self.code.co_filename, self.code.co_firstlineno
        made.argcount, made.argnames = len(args), args
        made.flags = bytecode.CompilerFlags.OPTIMIZED | bytecode.CompilerFlags.NEWLOCALS
        made.cellvars = self._cells
        return Trip(self._write.finish(made, lines, self.code), tuple(args))


def is_pure(code: CodeType, nested: bool = False) -> bool:
    """Whether the instructions of a function have no effects but those of what they call.

    Parameters
    ----------
    nested : bool
        Whether it may be a generator, whose items are taken where it is made.
    """
    import bytecode

    items: list[Any] = list(bytecode.Bytecode.from_code(code))
    found = [x for x in items if _is_instruction(x)]
    own = all(_is_plain(x) or (nested and x.name in _OF_GENERATORS) for x in found)
    cells = all(type(x.arg).__name__ == "CellVar" for x in found if x.name == "STORE_DEREF")
    tries = any(type(x).__name__ == "TryBegin" for x in items)
    return own and cells and not tries and _are_pure(code.co_consts)


def _are_pure(constants: Iterable[Any]) -> bool:
    """Whether all functions among constants are pure."""
    return all(is_pure(c, True) for c in constants if isinstance(c, CodeType))


# --- where they are -------------------------------------------------------------------------------
def loops_of(body: Body, write: Any) -> tuple[dict[int, Loop], dict[int, Any]]:
    """Return the loops of a body that something other than Python may run.

    Parameters
    ----------
    body : Body
        Labels are put in behind ``for`` loops.
    write : callable
        Rewrites the instructions of a trip.

    Returns
    -------
    loops : dict of int to Loop
        By the places where a trip begins.
    after : dict
        For the label where a ``for`` loop ends, the one where its iterator is gone.
    """
    if not _FOLDS or not _REFLECTIVE.isdisjoint(body.code.co_names):
        return {}, {}
    after = _labels_after(body)
    found: dict[int, Loop] = {}
    for place in _places(body.items):
        items = body.items[place.head : place.stop]
        if not all(_is_label(x) or (_is_instruction(x) and _is_plain(x)) for x in items):
            continue
        constants = [x.arg for x in items if _is_instruction(x) and x.name == "LOAD_CONST"]
        if not _keeps_cells(body, place, items) or not _are_pure(constants):
            continue
        loop = Loop(body, place, write)
        if not loop.exits and not loop.returns:
            continue
        if loop.is_counted:
            continue  # its trips are known beforehand
        if loop.returns and place.depth is None:
            continue
        found[place.head] = loop
        if place.tested:
            found[place.stop] = loop
    return found, after


def _labels_before(items: list[Any], at: int) -> Iterable[Any]:
    while at and _is_label(items[at - 1]):
        at -= 1
        yield items[at]


def _labels_after(body: Body) -> dict[int, Any]:
    """Put a label behind the instructions that take the iterator of a loop off the stack."""
    from bytecode import Label

    found: dict[int, Any] = {}
    k = 0
    while k < len(body.items):
        if _is_instruction(body.items[k]) and body.items[k].name == "END_FOR":
            ended = list(_labels_before(body.items, k))
            k += 1 + (sys.version_info >= (3, 13))
            label = Label()
            body.items.insert(k, label)
            body.numbers.insert(k, 0)
            found.update((id(x), label) for x in ended)
        k += 1
    return found


def _keeps_cells(body: Body, place: Place, items: list[Any]) -> bool:
    """Whether no function made elsewhere sees the variables that a trip binds."""
    bound = [x.arg for x in items if _is_instruction(x) and x.name == "STORE_DEREF"]
    if any(type(x).__name__ != "CellVar" for x in bound):
        return False
    names = {x.name for x in bound}
    others = [*body.items[: place.head], *body.items[place.stop :]]
    seen = [x for x in others if _is_instruction(x) and x.name == "LOAD_CLOSURE"]
    return not any(x.arg.name in names for x in seen)


def _places(items: list[Any]) -> list[Place]:
    """Return where loops are: what jumps back to a label goes round."""
    at = {id(x): k for k, x in enumerate(items) if _is_label(x)}
    back: dict[int, list[int]] = {}
    for k, x in enumerate(items):
        if _is_instruction(x) and _is_label(x.arg) and at.get(id(x.arg), k) < k:
            back.setdefault(_first(items, at[id(x.arg)]), []).append(k)
    found: list[Place] = []
    heads: set[int] = set()
    for head, jumps in sorted(back.items(), reverse=True):
        tested = _tested(items, head, jumps[-1])
        if tested is not None:
            heads.add(head)
            found.append(Place(*tested, True, None))
    taken = {p.head for p in found}
    for head, jumps in back.items():
        if head not in heads and head not in taken:
            found.append(Place(head, jumps[-1] + 1, False, None))
    return [p._replace(depth=_depth(items, p, at)) for p in found if _is_closed(items, p, at)]


def _first(items: list[Any], k: int) -> int:
    """Return where the instruction after a label is."""
    while _is_label(items[k]):
        k += 1
    return k


def _tested(items: list[Any], head: int, last: int) -> tuple[int, int] | None:
    """Return where the test of a ``while`` begins, before its body and again at its end."""
    a, b = last, head
    if items[a].name == "JUMP_BACKWARD":
        a -= 1
    start = stop = None
    while True:
        b -= 1
        while b >= 0 and _is_label(items[b]):
            b -= 1
        while a > head and (_is_label(items[a]) or items[a].name == "JUMP_BACKWARD"):
            a -= 1
        if b < 0 or a < head or not _are_same(items[a], items[b]):
            break
        start, stop = b, a
        a -= 1
    return None if start is None or stop is None else (start, stop)


def _are_same(x: Any, y: Any) -> bool:
    if not _is_instruction(x) or not _is_instruction(y) or x.location != y.location:
        return False
    if x.location is None or x.location.lineno is None:
        return False
    if _is_label(x.arg) and _is_label(y.arg):
        return "POP_JUMP" in x.name and "POP_JUMP" in y.name
    return bool(x.name == y.name and type(x.arg) is type(y.arg) and x.arg == y.arg)


def _is_closed(items: list[Any], p: Place, at: dict[int, int]) -> bool:
    """Whether a loop is entered at its head only."""
    starts = {id(x) for x in _labels_before(items, p.head)}
    for k, x in enumerate(items):
        if not _is_instruction(x) or not _is_label(x.arg):
            continue
        target = at.get(id(x.arg), len(items))
        inside = p.head <= target <= p.stop if p.tested else p.head <= target < p.stop
        own = p.head <= k < p.stop or (p.tested and k >= p.stop)
        if inside and not own and id(x.arg) not in starts:
            return False
    return True


def _depth(items: list[Any], place: Place, at: dict[int, int]) -> int | None:
    """Count the iterators on the stack at the head of a loop; None where it is not known."""
    opened = iterators = 0
    for x in items[: place.head + 1]:
        kind = type(x).__name__
        opened += (kind == "TryBegin") - (kind == "TryEnd")
        if _is_instruction(x) and x.name == "FOR_ITER":
            iterators += at.get(id(x.arg), len(items)) > place.head
    return None if opened else iterators


def _ends(x: Any) -> bool:
    """Whether the instruction after this one is not executed next."""
    return x.name in ("JUMP_FORWARD", "JUMP_BACKWARD", "RAISE_VARARGS") or x.name.startswith(
        "RETURN"
    )
