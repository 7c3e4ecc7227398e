"""Writing a loop: its body as a region, and one `scan` in the place of all its trips.

Every operation of the body is one that each trip had, on the same operands, so results keep every
bit. What a trip reads of an array at places that move in equal steps is a row of that array; what
it writes there, where nothing else of the loop reads it, is written at once after the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import SLOT, Const, Graph, Guard, Node, Value, aval_of
from wengert.ops.base import TABLE
from wengert.ops.control import as_number
from wengert.ops.index import getitem
from wengert.ops.loops import scan
from wengert.rolling.decisions import first_other, only_computes
from wengert.rolling.stores import Stores, found_stores
from wengert.rolling.table import AT, INDEXED, Run, Table, masked
from wengert.rolling.wiring import CARRIED, FIXED, Wiring
from wengert.rolling.writer import RefusedError, Row, Writer, strong

__all__ = ["LoopWriter"]

POWERS = frozenset({"power", "float_power", "left_shift", "right_shift", "ldexp"})
"""Operations that are computed otherwise where an operand is a number in the program."""

EXACT = frozenset({"add", "subtract", "multiply", "divide", "maximum", "minimum"})
"""Operations that take a Python integer beside floating-point numbers as the float it is."""


class _Carry(NamedTuple):
    """A value handed on from trip to trip: what it begins with, and inputs of the body.

    Of the inputs the first is what the trip before made, the second what the one before that did.
    """

    begins: list[int]
    inputs: list[Value]


class LoopWriter:
    """Writes one loop.

    Parameters
    ----------
    table : Table
    loop : Wiring
    outer : Writer
        Where the scan goes.
    operand : callable
        From the number of an operand to what stands for it in the new graph.
    rolled : callable
        Rolls the loops within the body: returns a graph, and arrays that are its first inputs.
    """

    def __init__(
        self,
        table: Table,
        loop: Wiring,
        outer: Writer,
        operand: Callable[[int], Any],
        rolled: Callable[[Graph], tuple[Graph, list[Any]]],
    ) -> None:
        self.table = table
        self.loop = loop
        self.outer = outer
        self.operand = operand
        self.rolled = rolled
        self.inner = Writer(_no_constant)
        self.local: dict[int, Any] = {}
        self.fixed: dict[int, tuple[Value, Any]] = {}
        self.rows: dict[Any, tuple[Value, Any]] = {}
        self.carries: dict[int, list[_Carry]] = {}
        self.numbers: dict[Value, Value] = {}
        self.asked: list[tuple[Any, bool]] = []
        """The decisions of a trip, and what they were."""
        self.used = self._used_outside()
        self.backwards = self._goes_backwards()
        self.stores: list[Stores] = found_stores(table, loop, self.used)
        self.silent = {u.item for s in self.stores for u in s.updates}

    # --- what is used of it -----------------------------------------------------------------------
    def _used_outside(self) -> dict[int, list[int]]:
        """Return the trips of which each value is used after the loop."""
        table, loop = self.table, self.loop
        later = np.concatenate([table.operands[table.begin[loop.stop] :], table.results])
        end = loop.base + loop.made * loop.trips
        numbers = np.unique(later[(later >= loop.base) & (later < end)]) - loop.base
        found: dict[int, list[int]] = {}
        for number in numbers.tolist():
            t, k = divmod(number, loop.made)
            found.setdefault(k, []).append(t)
        return found

    def _goes_backwards(self) -> bool:
        """Whether more of what a trip reads lies before what the last one read than after."""
        loop, forward = self.loop, 0
        for c in np.flatnonzero(loop.kinds > CARRIED):
            one, two = (self.operand(int(loop.operands[t, c])) for t in (0, 1))
            if type(one) is Row and type(two) is Row and one.source is two.source:
                forward += 1 if two.place > one.place else -1
        if loop.places.size:
            moved = loop.places[1] - loop.places[0]
            forward += int((moved > 0).sum() - (moved < 0).sum())
        return forward < 0

    # --- the loop ---------------------------------------------------------------------------------
    def write(self) -> dict[int, Any]:
        """Write the scan; return what stands for the values that are used outside.

        Raises
        ------
        RefusedError
            Where the trips are better left as they are.
        """
        loop, outer, inner = self.loop, self.outer, self.inner
        outer.line = next((x.line for x in self._items() if type(x) is Node), None)
        for j in range(loop.period):
            if j not in self.silent:
                self._item(j)
        if self.asked:
            only_computes(self._items())
        finals, stacks = self._results()
        handed = [(k, c) for k, cs in self.carries.items() for c in cs]
        begins: list[Any] = []
        ends: list[Any] = []
        inputs: list[Value] = []
        at: dict[int, int] = {}
        for k, carry in handed:
            for number, x in zip(carry.begins, carry.inputs, strict=True):
                begins.append(outer.strong(outer.read(self.operand(number))))
                inputs.append(x)
            at.setdefault(k, len(ends))
            ends += [self._strong(self.local[k]), *carry.inputs[:-1]]
        for k in finals:
            if k not in at:
                y = self._strong(self.local[k])
                at[k] = len(ends)
                begins.append(self._zeros(y))
                inputs.append(Value(aval=y.aval))
                ends.append(y)
        stacks = {mark: self._strong(x) for mark, x in stacks.items()}
        ys = list(dict.fromkeys(stacks.values()))
        fixed, rows = list(self.fixed.values()), list(self.rows.values())
        body = Graph(
            [*(v for v, _ in fixed), *inputs, *(v for v, _ in rows)], inner.nodes, [*ends, *ys]
        )
        body, arrays = self.rolled(body)
        extra = [outer.constant(x) for x in arrays]
        n = loop.trips
        outputs = tuple(
            [Value(aval=strong(aval_of(y))) for y in ends]
            + [Value(aval=strong(y.aval)._replace(shape=(n, *y.shape))) for y in ys]
        )
        attrs = {
            "body": body, "length": n, "consts": len(extra) + len(fixed), "carries": len(ends),
            "reverse": self.backwards,
        }  # fmt: skip
        operands = [*extra, *(x for _, x in fixed), *begins, *(x for _, x in rows)]
        outer.nodes.append(Node(scan, tuple(operands), attrs, outputs, outer.line))
        made = dict(zip(ys, outputs[len(ends) :], strict=True))
        found = {mark: made[y] for mark, y in stacks.items()}
        self.answers = [found["asked", k] for k in range(len(self.asked))]
        return self._settled({k: outputs[i] for k, i in at.items()}, found)

    def decision(self) -> tuple[Value, tuple[bool, ...]] | None:
        """Write what one guard asks for all trips; return it, and what it stands for."""
        if not self.asked:
            return None
        n, outcomes = self.loop.trips, [outcome for _, outcome in self.asked]
        found = first_other(self.outer, self.answers, outcomes, n, self.backwards)
        return found, tuple(outcomes) * n

    def _items(self) -> Sequence[Any]:
        return self.table.items[self.loop.start : self.loop.start + self.loop.period]

    def _results(self) -> tuple[list[int], dict[Any, Any]]:
        """Return what is needed of the last trip only, and what is stacked, each under a mark."""
        loop = self.loop
        finals: list[int] = []
        stacks: dict[Any, Any] = {}
        written = {s.last for s in self.stores}
        for k, trips in self.used.items():
            if k in written:
                continue
            if trips == [loop.trips - 1]:
                finals.append(k)
            else:
                stacks[k] = self.local[k]
        for k, (x, _) in enumerate(self.asked):
            stacks["asked", k] = x
        for c in [u.value for s in self.stores for u in s.updates]:
            if loop.kinds[c] == CARRIED:
                stacks["value", c] = self._value_of(c)
        return finals, stacks

    def _settled(self, ends: dict[int, Any], stacks: dict[Any, Any]) -> dict[int, Any]:
        """Return what stands for each value that is used after the loop."""
        loop, found = self.loop, {}
        n, table = loop.trips, self.table
        for k, trips in self.used.items():
            aval = table.values[loop.base + k].aval
            for t in trips:
                number = loop.base + loop.made * t + k
                if k in stacks:
                    found[number] = Row(stacks[k], n - 1 - t if self.backwards else t, (), aval)
                elif k in ends:
                    found[number] = self.outer.weak(ends[k]) if aval.weak else ends[k]
        for s in self.stores:
            x = self.outer.read(self.operand(s.begins))
            for u in s.updates:
                x = self._stored(x, u, stacks)
            found[loop.base + loop.made * (n - 1) + s.last] = x
        return found

    def _stored(self, x: Any, u: Any, stacks: dict[Any, Any]) -> Any:
        """Write what all trips store."""
        loop, node = self.loop, self._items()[u.item]
        n, c = loop.trips, u.value
        if loop.kinds[c] == FIXED:
            value = self.outer.read(self.operand(int(loop.relative[c])))
            shape = aval_of(value).shape
            if len(shape) > u.rank - u.lead:
                shape = u.part(shape)
                value = self.outer.shaped(value, (*shape[: u.lead], 1, *shape[u.lead :]))
        else:
            value = stacks.get(("value", c))
            if value is None:
                v = self._row(c, node)
                value = next(y for x, y in self.rows.values() if x is v)
            value = self.outer.shaped(value, (n, *u.part(aval_of(value).shape[1:])))
            if u.lead:
                value = self.outer.emit(TABLE["transpose"], value, axes=u.order)
        return self.outer.emit(node.op, x, value, spec=u.whole(n, self.backwards))

    def _zeros(self, y: Value) -> Any:
        zero = y.aval.dtype.type(0)
        if not y.shape:
            return zero
        return self.outer.emit(TABLE["broadcast_to"], zero, shape=y.shape)

    def _strong(self, x: Any) -> Any:
        if not isinstance(x, Value):
            raise RefusedError("a result of a trip that is a number")
        if x.aval.weak and x not in self.numbers:
            self.numbers[x] = self.inner.strong(x)
        return self.numbers.get(x, x)

    # --- the body ---------------------------------------------------------------------------------
    def _item(self, j: int) -> None:
        table, loop, at = self.table, self.loop, self.loop.start + j
        node = table.items[at]
        if isinstance(node, Guard):
            c = int(table.begin[at] - table.begin[loop.start])
            self.asked.append((self._value_of(c), bool(node.outcome)))
            return
        self.inner.line = node.line
        first = int(table.first[at] - table.first[loop.start])
        columns = range(*(int(b - table.begin[loop.start]) for b in table.begin[at : at + 2]))
        places = loop.places[:, slice(*(table.at[at : at + 2] - table.at[loop.start]))]
        attrs, more = node.attrs, list[tuple[int, Value]]()
        if places.size and (places != places[0]).any():
            if self._is_row_read(node, columns[0], places, first):
                return
            attrs, more = self._moving(node, places)
        inputs = [self._value_of(c, node) for c in columns]
        if more:
            inputs = _merged(node, attrs["spec"], inputs, more)
        outputs = tuple(Value(aval=v.aval) for v in node.outputs)
        self.inner.nodes.append(Node(node.op, tuple(inputs), attrs, outputs, node.line))
        self.local.update(zip(range(first, first + len(outputs)), outputs, strict=True))

    def _value_of(self, c: int, node: Node | None = None) -> Any:
        """Return what stands in the body for the operand of a column."""
        loop = self.loop
        kind, number = loop.kinds[c], int(loop.relative[c])
        if kind == FIXED:
            return self._of_all(number, node)
        if kind == CARRIED:
            return self.local[number] if number >= 0 else self._carried(c, number, node)
        return self._row(c, node)

    def _of_all(self, number: int, node: Node | None) -> Any:
        """Return the input for what is the same in each trip, or the number that it is."""
        x = self.outer.read(self.operand(number))
        aval = aval_of(x)
        if not isinstance(x, (Value, Const)):
            return x
        if number not in self.fixed:
            self.fixed[number] = Value(aval=strong(aval)), self.outer.strong(x)
        return self._given(self.fixed[number][0], aval.weak, node)

    def _given(self, v: Value, weak: bool, node: Node | None) -> Value:
        """Return what an input of the body is for a node."""
        if not weak or (node is not None and _is_of_doubles(node)):
            return v
        if v not in self.numbers:
            self.numbers[v] = y = Value(aval=aval_of(0.0)._replace(dtype=v.dtype))
            self.inner.nodes.insert(0, Node(as_number, (v,), {}, (y,), self.inner.line))
        return self.numbers[v]

    def _carried(self, c: int, number: int, node: Node | None) -> Any:
        loop = self.loop
        k, lag = number % loop.made, -(number // loop.made)
        begins = [int(loop.operands[lag - i, c]) for i in range(1, lag + 1)]
        aval = self.table.values[loop.base + k].aval
        self._refuse_exponents([self.operand(b) for b in begins], node)
        there = self.carries.setdefault(k, [])
        for carry in there:
            if all(a == b for a, b in zip(carry.begins, begins, strict=False)):
                break
        else:
            carry = _Carry([], [])
            there.append(carry)
        for begin in begins[len(carry.begins) :]:
            carry.begins.append(begin)
            carry.inputs.append(Value(aval=strong(aval)))
        return self._given(carry.inputs[lag - 1], aval.weak, node)

    def _row(self, c: int, node: Node | None) -> Any:
        """Return the input for what differs by trip."""
        entries = [self.operand(int(k)) for k in self.loop.operands[:, c]]
        plain = [not isinstance(x, (Value, Const, Row)) for x in entries]
        self._refuse_exponents(entries, node)
        aval = aval_of(entries[0].aval if type(entries[0]) is Row else entries[0])
        if aval.weak and aval.dtype.kind == "i":
            if not all(plain) or node is None or not _takes_floats(node, entries):
                raise RefusedError("Python integers that differ by trip")
            entries = [float(x) for x in entries]
            aval = aval_of(1.0)
        if aval.weak and aval.dtype.kind != "f":
            raise RefusedError("numbers of Python that differ by trip")
        mark = (tuple(self.loop.operands[:, c].tolist()), aval)
        return self._given(self._input(mark, entries, strong(aval)), aval.weak, node)

    def _refuse_exponents(self, entries: Sequence[Any], node: Node | None) -> None:
        plain = any(not isinstance(x, (Value, Const, Row)) for x in entries)
        if plain and node is not None and node.op.name in POWERS:
            raise RefusedError("numbers that an operation may treat as special")

    def _input(self, mark: Any, entries: list[Any], aval: Any) -> Value:
        if mark not in self.rows:
            if self.backwards:
                entries = entries[::-1]
            self.rows[mark] = Value(aval=aval), self.outer.column(entries, aval)
        return self.rows[mark][0]

    # --- indices that move ------------------------------------------------------------------------
    def _is_row_read(self, node: Node, c: int, places: Any, first: int) -> bool:
        """Make an input of what each trip reads of one array at another place."""
        if node.op is not getitem or len(node.inputs) > 1 or self.loop.kinds[c] != FIXED:
            return False
        source = self.outer.read(self.operand(int(self.loop.relative[c])))
        template = masked(node.attrs["spec"], aval_of(source).shape)[0]
        aval = node.outputs[0].aval
        rows = [self.outer.row_of(source, filled(template, p), aval) for p in places.tolist()]
        if any(r is None for r in rows):
            return False
        mark = ("read", source, places.tobytes(), repr(template), aval)
        self.local[first] = self._given(self._input(mark, rows, strong(aval)), aval.weak, None)
        return True

    def _moving(self, node: Node, places: Any) -> tuple[dict[str, Any], list[tuple[int, Value]]]:
        """Make operands of the integers of an index that differ by trip.

        Returns
        -------
        attrs : dict
        more : list of (int, Value)
            Index arrays, and the places in the template where they belong.
        """
        spec = node.attrs["spec"]
        template = masked(spec, aval_of(node.inputs[0]).shape)[0]
        kinds = [k for k, s in enumerate(template) if s is AT or type(s) is Run]
        new, more = list(filled(template, places[0].tolist())), []
        for k, column in zip(kinds, places.T, strict=True):
            if (column == column[0]).all():
                continue
            s = template[k]
            if type(s) is Run and any(x is AT or x is SLOT for x in template):
                raise RefusedError("a slice that moves, beside an index array")
            if type(s) is Run and sum(type(x) is Run for x in template) > 1:
                raise RefusedError("slices that move")
            index = column if s is AT else column[:, None] + np.arange(s[1])
            new[k] = SLOT
            more.append((k, self._indices(index)))
        return {**node.attrs, "spec": tuple(new)}, more

    def _indices(self, index: Any) -> Value:
        """Make an input of indices, or of arrays of them."""
        mark = ("place", index.tobytes(), index.shape)
        if mark not in self.rows:
            ordered = np.ascontiguousarray(index[::-1] if self.backwards else index)
            ordered.flags.writeable = False
            self.rows[mark] = Value(aval=aval_of(index[0])), self.outer.constant(ordered)
        return self.rows[mark][0]


def _no_constant(x: Any) -> Any:
    raise RefusedError("an array in the body of a loop")


def _is_of_doubles(node: Node) -> bool:
    """Whether a number of Python among the operands may be one of NumPy as well."""
    avals = [aval_of(x) for x in node.inputs]
    return (
        node.op.ufunc is not None
        and not node.outputs[0].aval.weak
        and all(a.dtype == np.float64 or (a.weak and a.dtype.kind == "i") for a in avals)
        and any(a.dtype == np.float64 and not a.weak for a in avals)
    )


def _takes_floats(node: Node, entries: Sequence[Any]) -> bool:
    return (
        node.op.name in EXACT
        and node.outputs[0].dtype == np.float64
        and not node.outputs[0].aval.weak
        and all(type(x) is int and abs(x) < 2**53 for x in entries)
    )


def _merged(
    node: Node, spec: tuple[Any, ...], inputs: list[Any], more: Sequence[tuple[int, Value]]
) -> list[Any]:
    """Put new index arrays among those that are there, in the order of the template."""
    before = INDEXED[node.op]
    there, new = iter(inputs[before:]), dict(more)
    slots = [k for k, s in enumerate(spec) if s is SLOT]
    return [*inputs[:before], *(new[k] if k in new else next(there) for k in slots)]


def filled(template: tuple[Any, ...], places: Sequence[int]) -> tuple[Any, ...]:
    """Put integers into a template."""
    rest = iter(places)
    return tuple(
        int(next(rest)) if s is AT
        else slice(k := int(next(rest)), k + s[1]) if type(s) is Run
        else s
        for s in template
    )  # fmt: skip
