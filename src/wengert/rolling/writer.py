"""Writing nodes: rows of arrays that are read when something needs them, and columns of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.build import infer
from wengert.ir.graph import SLOT, Aval, Const, Node, Value, aval_of
from wengert.ir.keys import key
from wengert.ops.base import TABLE
from wengert.ops.control import as_number
from wengert.ops.index import getitem
from wengert.rolling.table import AT, Run, masked

__all__ = ["RefusedError", "Row", "Writer", "in_steps", "sliced", "strong", "together"]


DEAR = 256
"""Bytes of a single value that is stacked which cost as much as another operation."""


class RefusedError(Exception):
    """A stretch that looks like a loop is better left as it is."""


class Row(NamedTuple):
    """An array that is part of another along its first axis, and may never be read by itself.

    Attributes
    ----------
    source : Value or Const
    place : int
        Along the first axis; not negative.
    rest : tuple
        The index template of the further axes.
    aval : Aval
        Of the array; its shape may be another one of the same size.
    """

    source: Any
    place: int
    rest: tuple[Any, ...]
    aval: Aval


def strong(aval: Aval) -> Aval:
    """Return what is known of an array of the same kind that is no number of Python."""
    return Aval(aval.shape, aval.dtype)


class Writer:
    """Appends nodes.

    Parameters
    ----------
    constant : callable
        Makes an operand of an array that nobody changes.
    """

    def __init__(self, constant: Callable[[np.ndarray[Any, Any]], Any]) -> None:
        self.nodes: list[Node] = []
        self.constant = constant
        self.line: Any = None
        self.spare = 0
        """How many single values may be stacked."""
        self._made: dict[Any, Any] = {}

    def emit(self, op: Any, *inputs: Any, **attrs: Any) -> Value:
        """Append a node and return what it makes."""
        (aval,) = infer(op, inputs, attrs)
        value = Value(aval=aval)
        self.nodes.append(Node(op, inputs, attrs, (value,), self.line))
        return value

    def once(self, mark: Any, make: Callable[[], Any]) -> Any:
        """Return what was made under a mark before, or make it."""
        found = self._made.get(mark)
        if found is None:
            found = self._made[mark] = make()
        return found

    def row_of(self, source: Any, spec: tuple[Any, ...], aval: Aval) -> Row | None:
        """Return what is read of an array as a row of it, if it is one.

        Where full slices stand before the integer, it is a row of the transposed array.
        """
        template, places = masked(spec, aval_of(source).shape)
        if SLOT in spec:
            return None
        k = 0
        while k < len(template) and template[k] == slice(None):
            k += 1
        if k == len(template):
            return None
        s = template[k]
        if s is not AT and not (type(s) is Run and s[1] == 1):
            return None
        if k:
            axes = (k, *range(k), *range(k + 1, len(aval_of(source).shape)))
            source = self.once(
                ("front", source, k), lambda: self.emit(TABLE["transpose"], source, axes=axes)
            )
        return Row(source, places[0], (*spec[:k], *spec[k + 1 :]), aval)

    # --- single values ----------------------------------------------------------------------------
    def read(self, x: Any) -> Any:
        """Return an operand for a row."""
        if type(x) is not Row:
            return x
        mark = ("read", x.source, x.place, key(x.rest), x.aval)
        return self.once(mark, lambda: self._read(x))

    def _read(self, x: Row) -> Value:
        y = self.emit(getitem, x.source, spec=(x.place, *x.rest))
        if y.shape != x.aval.shape:
            y = self.emit(TABLE["reshape"], y, shape=x.aval.shape)
        return self.weak(y) if x.aval.weak else y

    def weak(self, x: Any) -> Any:
        """Make a number of Python."""
        return self.emit(as_number, x)

    def strong(self, x: Any) -> Any:
        """Make an array of a number of Python, which is of one type whatever it is."""
        aval = aval_of(x)
        if not aval.weak:
            return x
        if aval.dtype.kind not in "fb":
            raise RefusedError("a Python number of another kind, such as an integer")
        if isinstance(x, Value):
            return self.emit(TABLE["convert"], x, dtype=aval.dtype)
        return aval.dtype.type(x)

    def shaped(self, x: Any, shape: tuple[int, ...]) -> Any:
        """Return an array in another shape."""
        return x if aval_of(x).shape == shape else self.emit(TABLE["reshape"], x, shape=shape)

    # --- columns ----------------------------------------------------------------------------------
    def column(self, entries: Sequence[Any], aval: Aval) -> Any:
        """Stack operands and rows, all of one shape and dtype, along a new first axis."""
        if all(type(x) is Row for x in entries):
            whole = self._of_one(entries)
            if whole is not None:
                return whole
        shape = aval.shape
        parts: list[Any] = []
        k = 0
        while k < len(entries):
            n = together(entries, k)
            part = entries[k : k + n]
            x = part[0]
            if type(x) is Row:
                found = self._of_one(part)
                assert found is not None
                parts.append(found)
            elif type(x) is Const:
                parts.append(self._of_constants(part))
            elif not isinstance(x, Value):
                parts.append(self.constant(_fixed(np.array(part, aval.dtype))))
            else:
                self.spare -= aval.nbytes // DEAR
                parts.append(self.shaped(self.strong(x), (1, *shape)))
            k += n
        if len(parts) == 1:
            return parts[0]
        self.spare -= len(parts)
        if self.spare < 0:
            raise RefusedError("operands that lie apart")
        return self.emit(TABLE["concatenate"], *parts, axis=0)

    def _of_constants(self, part: Sequence[Const]) -> Any:
        """Stack arrays that are held by reference: one is written for all that cannot change."""
        if part[0].fixed:
            return self.constant(_fixed(np.stack([x.data for x in part])))
        if len(part) > 1:
            x, y = part[0].data, part[1].data
            step = _address(y) - _address(x)
            return Const(
                np.lib.stride_tricks.as_strided(x, (len(part), *x.shape), (step, *x.strides))
            )
        return self.shaped(part[0], (1, *part[0].aval.shape))

    def _of_one(self, rows: Sequence[Row]) -> Any:
        """Stack rows of one array."""
        first = rows[0]
        if any(x.source is not first.source or x.aval != first.aval for x in rows):
            return None
        if all(x.rest == first.rest for x in rows):
            index = np.array([x.place for x in rows])
            return self._taken(first.source, index, first.rest, first.aval)
        shape = aval_of(first.source).shape
        if not all(len(x.rest) == len(shape) - 1 and _integers(x.rest) for x in rows):
            return None
        flat = self.once(
            ("flat", first.source),
            lambda: self.emit(TABLE["reshape"], first.source, shape=(int(np.prod(shape)),)),
        )
        places = np.array([(x.place, *(i % n for i, n in zip(x.rest, shape[1:], strict=True)))
                           for x in rows])  # fmt: skip
        index = np.ravel_multi_index(tuple(places.T), shape)
        return self._taken(flat, index, (), first.aval)

    def _taken(self, source: Any, index: Any, rest: tuple[Any, ...], aval: Aval) -> Any:
        mark = ("taken", source, index.tobytes(), key(rest), strong(aval))
        return self.once(mark, lambda: self._take(source, index, rest, aval))

    def _take(self, source: Any, index: Any, rest: tuple[Any, ...], aval: Aval) -> Any:
        n = len(index)
        y = source
        found = in_steps(index)
        if found is None:
            y = self.emit(getitem, y, self.constant(_fixed(index)), spec=(SLOT,))
        elif found[1] != 1 or n != aval_of(source).shape[0]:
            y = self.emit(getitem, y, spec=(sliced(*found, n),))
        if any(s != slice(None) and s is not Ellipsis for s in rest):
            y = self.emit(getitem, y, spec=(slice(None), *rest))
        return self.shaped(y, (n, *aval.shape))


def in_steps(index: Any) -> tuple[int, int] | None:
    """Return start and step of numbers in equal steps, which are not 0."""
    step = int(index[1] - index[0]) if len(index) > 1 else 1
    if step == 0 or (np.diff(index) != step).any():
        return None
    return int(index[0]), step


def sliced(start: int, step: int, n: int) -> slice:
    """Return the slice that takes `n` entries in equal steps."""
    stop = start + step * n
    return slice(start, None if stop < 0 else stop, None if step == 1 else step)


def _integers(rest: tuple[Any, ...]) -> bool:
    return all(type(s) is int for s in rest)


def _fixed(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    x.flags.writeable = False
    return x


def together(entries: Sequence[Any], k: int) -> int:
    """Return how many entries from `k` on can be stacked at once."""
    x = entries[k]
    n = 1
    if type(x) is Const:
        while k + n < len(entries) and _continue(entries[k : k + n + 1]):
            n += 1
        return n
    if type(x) is not Row:
        while (
            not isinstance(x, Value)
            and k + n < len(entries)
            and not isinstance(entries[k + n], (Value, Const, Row))
        ):
            n += 1
        return n
    step = None
    while k + n < len(entries):
        y = entries[k + n]
        if type(y) is not Row or y.source is not x.source or y.rest != x.rest or y.aval != x.aval:
            break
        moved = y.place - entries[k + n - 1].place
        if moved == 0 or (step is not None and moved != step):
            break
        step = moved
        n += 1
    return n


def _continue(entries: Sequence[Any]) -> bool:
    """Whether the last of some arrays can be stacked with those before it without a copy."""
    x, y = entries[-2:]
    if type(y) is not Const or x.fixed != y.fixed:
        return False
    if x.fixed:
        return True
    a, b, c = entries[0].data, entries[-2].data, y.data
    if _owner(a) is not _owner(c) or c.strides != a.strides or _owner(a) is None:
        return False
    step = _address(c) - _address(b)
    return len(entries) == 2 or step == _address(entries[1].data) - _address(a)


def _address(x: np.ndarray[Any, Any]) -> int:
    return int(x.__array_interface__["data"][0])


def _owner(x: Any) -> Any:
    """Return the array that owns the memory of a view; None where that is no array."""
    while isinstance(x, np.ndarray) and x.base is not None:
        x = x.base
    return x if isinstance(x, np.ndarray) else None
