"""Exceptions as decisions: what a recording notices of operations that raise.

Python code may catch an exception, and go on in another way than it does for other numbers. A
recording stands for other calls only where nothing that was caught depended on numbers. `Alarm`
says why it does not: an operation raised; a traced value could not be followed, where plain values
could; floating-point errors raise, which a compiled program does not see.

Whether code is covered by a handler is read off its table of exceptions (CPython's
``InternalDocs/exception_handling.md`` gives its form).
"""

from __future__ import annotations

import dis
import functools
import sys
import warnings
from collections.abc import Iterator, Sequence
from types import CodeType, FrameType
from typing import Any

import numpy as np

from wengert.errors import GraphError, TraceError, is_heeding, is_users, noticing
from wengert.ir.build import infer

__all__ = [
    "ALWAYS",
    "CALM",
    "Alarm",
    "RefusalCaught",
    "armed",
    "errors",
    "is_covered",
    "state",
    "stops",
]

_VARIABLE: Any = getattr(np._core.umath, "_extobj_contextvar", None)  # type: ignore[attr-defined]
errors: Any = None if _VARIABLE is None else _VARIABLE.get
"""Returns what decides about floating-point errors here, the same object until that changes."""

_STOPPING = {"raise", "call", "log"}
"""What NumPy may do about a floating-point error that a program can notice."""

ALWAYS = ("followed", "errors", "random")
"""Reasons that do not depend on the numbers of a call, so they hold at each."""

_HANDLER = dis.opmap.get("PUSH_EXC_INFO")
_COVERED: dict[CodeType, tuple[tuple[int, int], ...]] = {}


def state() -> Any:
    """Return what decides about floating-point errors; another value may decide otherwise."""
    filters = warnings.filters
    found = np.geterr() if errors is None else errors()
    return found, filters, filters[0] if filters else None


def armed() -> str:
    """Say what makes a floating-point error raise here.

    Returns
    -------
    str
        ``errstate``, ``warnings`` (which are errors), or empty.
    """
    kinds = set(np.geterr().values())
    if not kinds.isdisjoint(_STOPPING):
        return "errstate"
    return "warnings" if "warn" in kinds and _warnings_raise() else ""


def _warnings_raise() -> bool:
    for item in warnings.filters:
        action, message, category, module, line = item
        if not is_heeding(item) and issubclass(RuntimeWarning, category):
            if action == "error":
                return True
            if message is None and module is None and not line:
                return False
    return False


CALM: list[Any] = [object(), []]
"""What decided about floating-point errors when they were seen last not to raise: NumPy's
settings, and a copy of Python's filters of warnings."""

FILTERS = [True]
"""Whether filters that make errors of NumPy's warnings stop compiled runs, as settings do. Tests,
all of which run under such filters, turn this off."""


def stops() -> str:
    """Say what makes a floating-point error raise here, like `armed`; quick where nothing does."""
    found = None if errors is None else errors()
    filters = warnings.filters
    if found is CALM[0] and filters == CALM[1]:
        return ""
    what = armed()
    if what == "errstate" or (what and FILTERS[0]):
        return what
    if found is not None:
        CALM[0], CALM[1] = found, list(filters)
    return ""


class RefusalCaught(UserWarning):
    """A function caught the exception by which wengert says what it cannot follow."""


class heeding(noticing):
    """Warns at its end where a refusal was caught inside, unless an outer block sees to that."""

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """End."""
        super().__exit__(kind, error, traceback)
        if not self.errors:
            return
        if not self.passed_on() and error is None:
            refusal = self.errors[-1]
            warnings.warn(
                f"the function catches the {type(refusal).__name__} by which wengert says what it "
                f"cannot follow; plain values would not have raised it, so what was differentiated "
                f"or mapped may be another function. It said: {refusal}",
                RefusalCaught,
                stacklevel=4,
            )


class Alarm:
    """Watches one recording.

    Attributes
    ----------
    why : str
        ``raised``, ``followed``, ``errors``, ``integers`` or ``random``; empty where the recording
        stands for other calls.
    error : Exception or None
        The exception of an operation that was raised last.
    """

    def __init__(self) -> None:
        self.why = ""
        self.error: BaseException | None = None
        self._state: Any = None
        self._armed = self._first = ""
        self._root: CodeType | None = None
        self._noticing: Any = None

    def start(self, root: FrameType) -> None:
        """Begin, in the frame from which the function is called."""
        self._root = root.f_code
        self._state = state()
        self._armed = self._first = armed()
        self._noticing = noticing()
        self._noticing.__enter__()

    def stop(self, error: BaseException | None) -> None:
        """End; `error` is what the function raised."""
        seen: list[TraceError] = self._noticing.errors
        self._noticing.__exit__(None, None, None)
        if error is None and seen and not self.why:
            self.why, self.error = "followed", seen[-1]

    def look(self) -> None:
        """Note where floating-point errors raise, or a handler may see a warning that is one."""
        now = state()
        if now != self._state:
            self._state, self._armed = now, armed()
            if self._armed and self._armed != self._first:
                self.why = "errors"
        if self._armed == "errstate" or (self._armed and is_covered(self._root, warned=True)):
            self.why = "errors"

    def hears(self) -> bool:
        """Whether a floating-point error here raises what a handler may see."""
        now = armed()
        return now == "errstate" or bool(now and is_covered(self._root, warned=True))

    def failed(self, op: Any, inputs: Sequence[Any], attrs: dict[str, Any]) -> None:
        """Note that an operation raised, unless shapes and dtypes alone say that it does."""
        try:
            infer(op, inputs, attrs)
        except GraphError:
            return
        self.refused("raised", sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1])

    def refused(self, why: str, error: BaseException | None = None) -> None:
        """Note why the recording does not stand for other calls."""
        self.why, self.error = why, error

    def is_covered(self) -> bool:
        """Whether a handler of the recorded function may catch what is raised here."""
        return is_covered(self._root)


def is_covered(root: CodeType | None, warned: bool = False) -> bool:
    """Whether a handler of the user may catch what is raised here.

    Parameters
    ----------
    root : code or None
        Of a frame; handlers above it do not count.
    warned : bool
        Whether what is raised is a warning that was turned into an error.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not root:
        code = frame.f_code
        if is_users(code.co_filename):
            at = frame.f_lasti
            if any(start <= at < stop for start, stop in covered(code)) and (
                not warned or _catches_warnings(code)
            ):
                return True
        frame = frame.f_back
    return False


def covered(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Return the ranges of instructions, in bytes, that ``try`` or ``with`` covers."""
    found = _COVERED.get(code)
    if found is None:
        table = getattr(code, "co_exceptiontable", None)
        if table is None or _HANDLER is None:  # of another implementation: nothing is known
            found = ((0, sys.maxsize),)
        else:
            found = tuple(_ranges(table, code.co_code))
        _COVERED[code] = found
    return found


@functools.lru_cache(maxsize=1 << 10)
def _catches_warnings(code: CodeType) -> bool:
    """Whether a handler in this code names a class of warnings, or catches anything."""
    last: list[Any] = []
    for x in dis.get_instructions(code):
        if x.opname == "CHECK_EXC_MATCH" and any(y.argval in _WARNINGS for y in last[-12:]):
            return True
        if x.opname == "POP_TOP" and last and last[-1].opname == "PUSH_EXC_INFO":
            return True  # except without a class
        last.append(x)
    return _HANDLER is None


_WARNINGS = {"RuntimeWarning", "Warning", "Exception", "BaseException"}


def _ranges(table: bytes, instructions: bytes) -> Iterator[tuple[int, int]]:
    rest = iter(table)

    def number() -> int:
        byte = next(rest)
        value = byte & 63
        while byte & 64:
            byte = next(rest)
            value = value << 6 | byte & 63
        return value

    for _ in range(len(table)):
        try:
            start, length, target, _ = number(), number(), number(), number()
        except StopIteration:
            return
        if instructions[2 * target] == _HANDLER:  # others only clean up and raise again
            yield 2 * start, 2 * (start + length)
