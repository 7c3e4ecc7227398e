"""Plain data as text: how scalars and attributes are written, and the reader that takes them back.

Everything round-trips exactly: the sign of zero, the bits of a NaN, a NumPy scalar's dtype, and
``True``, ``1``, ``1.0`` and ``np.float64(1.0)`` are told apart.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from wengert.errors import GraphError
from wengert.ir.graph import SLOT, Slot, dtype_name

__all__ = ["Opaque", "Reader", "is_plain", "is_scalar", "write"]

NUMBERS = "fciub"
"""Kinds of dtype that can be computed with: floating, complex, integer, unsigned, bool."""


class Opaque:
    """An attribute that has no text to be read back, such as a factor of a sparse matrix.

    Parameters
    ----------
    text : str
        What stands for it in a graph that is printed.
    """

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


# --- writing --------------------------------------------------------------------------------------
def write(x: Any) -> str:
    """Return the text of a scalar or an attribute.

    Raises
    ------
    GraphError
        For what is not plain data.
    """
    if x is None or x is True or x is False or type(x) is int or isinstance(x, (str, Slot)):
        return repr(x)
    if x is Ellipsis:
        return "..."
    if type(x) in (float, complex) or isinstance(x, (np.generic, np.dtype)):
        return _number(x)
    if isinstance(x, slice):
        return f"slice({write(x.start)}, {write(x.stop)}, {write(x.step)})"
    if type(x) is tuple:
        return _sequence(x)
    if isinstance(x, Opaque):
        return f"<{x.text}>"
    raise GraphError(
        f"{x!r} of type {type(x).__name__} is not plain data: a scalar, a string, a dtype, None, "
        f"an index template, or a tuple of these"
    )


def is_plain(x: Any) -> bool:
    """Whether `x` is data that the text form can hold."""
    try:
        write(x)
    except GraphError:
        return False
    return True


def is_scalar(x: Any) -> bool:
    """Whether `x` is a plain Python or NumPy number."""
    if isinstance(x, np.generic):
        return x.dtype.kind in NUMBERS
    return type(x) in (bool, int, float, complex)


def _number(x: Any) -> str:
    if isinstance(x, np.dtype):
        if x.kind not in NUMBERS:
            raise GraphError(f"an array of dtype {x} cannot be computed with")
        return dtype_name(x)
    if type(x) is float:
        return _real(np.float64(x))
    if type(x) is complex:
        return f"complex({_real(np.float64(x.real))}, {_real(np.float64(x.imag))})"
    if x.dtype.kind not in NUMBERS:
        raise GraphError(f"{x!r} is not a number")
    if x.dtype.kind == "c":
        return f"np.{x.dtype.name}({_real(x.real)}, {_real(x.imag)})"
    return f"np.{x.dtype.name}({_real(x) if x.dtype.kind == 'f' else write(x.item())})"


def _real(x: Any) -> str:
    """Return the shortest text that reads back to the same bits."""
    if np.isnan(x):
        bits = x.tobytes()
        return "nan" if bits == type(x)("nan").tobytes() else f"nan[{bits.hex()}]"
    text = str(x)
    return text if type(x)(text) == x else repr(float(x))


def _sequence(x: tuple[Any, ...]) -> str:
    if any(isinstance(part, (slice, Slot)) or part is None or part is Ellipsis for part in x):
        return f"[{', '.join(_slice(p) if _is_index(p) else write(p) for p in x)}]"
    return f"({', '.join(map(write, x))}{',' if len(x) == 1 else ''})"


def _is_index(x: Any) -> bool:
    """Whether `x` is a slice of plain integers, which is written with colons."""
    return isinstance(x, slice) and all(
        part is None or type(part) is int for part in (x.start, x.stop, x.step)
    )


def _slice(x: slice) -> str:
    start, stop, step = ("" if part is None else str(part) for part in (x.start, x.stop, x.step))
    return f"{start}:{stop}" + (f":{step}" if step else "")


# --- reading --------------------------------------------------------------------------------------
SPACE = re.compile(r"[ \t]*")
REAL = re.compile(r"-?(inf|nan(\[(?P<bits>[0-9a-f]+)\])?|\d+(\.\d*)?(e[+-]?\d+)?)(?![\w.])")
SLICE = re.compile(r"(-?\d+)?[ ]*:[ ]*(-?\d+)?(?:[ ]*:[ ]*(-?\d+)?)?")
STRING = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
DTYPE = re.compile(r"(?P<order>[<>]?)(?P<kind>[fciub])(?P<bits>\d+)(?!\w)")
NUMPY = re.compile(r"np\.(?P<name>[a-z]+\d*)\(")
NAMED = {"None": None, "True": True, "False": False, "...": Ellipsis, "@": SLOT}


class Reader:
    """Reads one line of text from left to right; an error names the place and what was expected.

    Parameters
    ----------
    text : str
    number : int
        The line's number in its file, counted from 1.
    region : callable, optional
        Reads a region, whose opening brace was taken.
    """

    def __init__(
        self, text: str, number: int = 1, region: Callable[[Reader], Any] | None = None
    ) -> None:
        self.text = text
        self.number = number
        self.at = 0
        self.region = region

    def fail(self, expected: str) -> NoReturn:
        """Raise for the text at the present place."""
        self.skip()
        rest = self.text[self.at :]
        found = "the end of the line" if not rest else repr(rest.split(" ")[0][:20])
        self.reject(f"expected {expected}, found {found}")

    def reject(self, message: str) -> NoReturn:
        """Raise with a message about the present place."""
        raise GraphError(
            f"line {self.number}, column {self.at + 1}: {message}\n"
            f"  {self.text}\n  {' ' * self.at}^"
        )

    def skip(self) -> None:
        """Go past spaces."""
        self.at = SPACE.match(self.text, self.at).end()  # type: ignore[union-attr]

    def sees(self, mark: str) -> bool:
        """Whether `mark` comes next."""
        self.skip()
        return self.text.startswith(mark, self.at)

    def accept(self, mark: str) -> bool:
        """Take `mark` if it comes next."""
        found = self.sees(mark)
        self.at += len(mark) * found
        return found

    def expect(self, mark: str, name: str = "") -> None:
        """Take `mark`, which has to come next."""
        if not self.accept(mark):
            self.fail(f"{name} {mark!r}".strip())

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Take what matches a pattern if it comes next."""
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def need(self, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
        """Take what matches a pattern, which has to come next."""
        return self.match(pattern) or self.fail(expected)

    def end(self) -> None:
        """Demand that the line ends here."""
        self.skip()
        if self.at < len(self.text):
            self.fail("the end of the line")

    def items(self, close: str, item: Any) -> tuple[Any, ...]:
        """Read items with commas between them up to the closing mark."""
        found = []
        while not self.accept(close):
            found.append(item())
            if not self.accept(",") and not self.sees(close):
                self.fail(f"',' or {close!r}")
        return tuple(found)

    def dtype(self) -> np.dtype[Any]:
        """Read a dtype such as ``f64``."""
        return self._dtype(self.need(DTYPE, "a dtype such as f64"))

    def literal(self, expected: str = "a number, a string, a dtype or a tuple") -> Any:
        """Read what `write` wrote."""
        for mark, value in NAMED.items():
            if self.accept(mark):
                return value
        if self.region is not None and self.accept("{"):
            return self.region(self)
        if self.accept("("):
            return self.items(")", self.literal)
        if self.accept("["):
            return self.items("]", self._index)
        if self.accept("slice("):
            return slice(*self.items(")", self.literal))
        if self.accept("complex("):
            return complex(*self._parts(2, np.dtype(float)))
        if (found := self.match(NUMPY)) is not None:
            return self._scalar(found)
        if (found := self.match(STRING)) is not None:
            return ast.literal_eval(found[0])
        if (found := self.match(DTYPE)) is not None:
            return self._dtype(found)
        return self._plain_number(self.need(REAL, expected))

    def _index(self) -> Any:
        found = self.match(SLICE)
        if found is None:
            return self.literal("an index")
        return slice(*(None if part is None else int(part) for part in found.groups()))

    def _plain_number(self, found: re.Match[str]) -> Any:
        text = found[0]
        if found["bits"] is not None:
            return float(self._from_bits(found, np.dtype(float)))
        return float(text) if any(c in text for c in ".ein") else int(text)

    def _real(self, dtype: np.dtype[Any]) -> Any:
        found = self.need(REAL, "a real number")
        return dtype.type(found[0]) if found["bits"] is None else self._from_bits(found, dtype)

    def _from_bits(self, found: re.Match[str], dtype: np.dtype[Any]) -> Any:
        if len(found["bits"]) != 2 * dtype.itemsize:
            self.reject(f"a NaN of {dtype} has {2 * dtype.itemsize} hexadecimal digits")
        return np.frombuffer(bytes.fromhex(found["bits"]), dtype)[0]

    def _parts(self, count: int, dtype: np.dtype[Any]) -> tuple[Any, ...]:
        parts = self.items(")", lambda: self._real(dtype))
        if len(parts) != count:
            self.reject(f"{count} numbers belong here, not {len(parts)}")
        return parts

    def _dtype(self, found: re.Match[str]) -> np.dtype[Any]:
        size, rest = divmod(int(found["bits"]), 8)
        try:
            if rest:
                raise TypeError
            return np.dtype(f"{found['order']}{found['kind']}{size}")
        except TypeError:
            self.reject(f"there is no dtype {found[0]}")

    def _scalar(self, found: re.Match[str]) -> Any:
        try:
            dtype = np.dtype(found["name"])
            if dtype.kind not in NUMBERS:
                raise TypeError
        except TypeError:
            self.reject(f"there is no type of number np.{found['name']}")
        if dtype.kind == "f":
            return self._parts(1, dtype)[0]
        if dtype.kind != "c":
            return dtype.type(*self.items(")", self.literal))
        made = np.empty((), dtype)
        made.real, made.imag = self._parts(2, made.real.dtype)
        return made[()]
