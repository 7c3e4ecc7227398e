"""Arrays that a loop writes into, entry by entry, and that nothing in it reads.

The entries are stacked instead, and written at once after the loop. Where a trip writes at several
places, each entry still gets its writes in the order in which the trips made them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import Node, aval_of
from wengert.ops.index import index_add, index_set
from wengert.rolling.table import AT, Run, Table, masked
from wengert.rolling.wiring import CARRIED, FIXED, Wiring
from wengert.rolling.writer import in_steps, sliced

__all__ = ["Stores", "Update", "found_stores"]

UPDATES = (index_add, index_set)


class Update(NamedTuple):
    """What a trip writes.

    Attributes
    ----------
    item : int
        Which of the trip's items writes.
    value : int
        The column of the operand that is written.
    axis : int
        Which place of the template moves; those before it are integers or full slices.
    lead : int
        How many full slices stand before it.
    start, step : int
        Where it is in the first trip, and how far it moves.
    spec : tuple
        The template in the first trip.
    rank : int
        Axes of what a trip writes.
    """

    item: int
    value: int
    axis: int
    lead: int
    start: int
    step: int
    spec: tuple[Any, ...]
    rank: int

    def whole(self, n: int, backwards: bool) -> tuple[Any, ...]:
        """Return the template of what all trips write, in the order of the stacked values."""
        start, step = self.start, self.step
        if backwards:
            start, step = start + step * (n - 1), -step
        return (*self.spec[: self.axis], sliced(start, step, n), *self.spec[self.axis + 1 :])

    def part(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of a value with as many axes as the place where it is written."""
        return (*(1,) * (self.rank - len(shape)), *shape)

    @property
    def order(self) -> tuple[int, ...]:
        """The order of the axes of stacked values in the place where they are written."""
        k = self.lead
        return (*range(1, k + 1), 0, *range(k + 1, self.rank + 1))


class Stores(NamedTuple):
    """An array that is written into.

    Attributes
    ----------
    begins : int
        The number of the operand that it is before the loop.
    last : int
        Which of a trip's values it is after the trip.
    updates : list of Update
        In the order in which an entry gets them.
    """

    begins: int
    last: int
    updates: list[Update]


def found_stores(table: Table, loop: Wiring, used: dict[int, list[int]]) -> list[Stores]:
    """Find the arrays that can be written after the loop.

    Parameters
    ----------
    table : Table
    loop : Wiring
    used : dict
        The trips of which each value is used outside.
    """
    offset = table.begin[loop.start : loop.start + loop.period + 1] - table.begin[loop.start]
    firsts = table.first[loop.start : loop.start + loop.period] - table.first[loop.start]
    carried = np.flatnonzero(loop.kinds == CARRIED)
    readers: dict[int, list[int]] = {}
    for c in carried.tolist():
        readers.setdefault(int(loop.relative[c]) % loop.made, []).append(c)
    update_at: dict[int, int] = {}  # from the column of the array to the item that updates it
    for j in range(loop.period):
        node = table.items[loop.start + j]
        if type(node) is Node and node.op in UPDATES and len(node.inputs) == 2:
            update_at[int(offset[j])] = j
    found = []
    for c, j in update_at.items():
        if loop.kinds[c] != CARRIED or not -loop.made <= loop.relative[c] < 0:
            continue
        chain = _chain(j, int(loop.relative[c]) % loop.made, firsts, readers, update_at, loop)
        if chain is None:
            continue
        updates = [_update(table, loop, i, int(offset[i])) for i in chain]
        last = int(firsts[chain[-1]])
        outside = [used.get(int(firsts[i])) for i in chain[:-1]]
        if any(u is None for u in updates) or any(outside):
            continue
        if used.get(last, [loop.trips - 1]) != [loop.trips - 1]:
            continue
        if len({(u.step, u.axis) for u in updates if u}) > 1:
            continue
        if len({str(u.spec[: u.axis]) for u in updates if u}) > 1:
            continue
        ordered = sorted(
            (u for u in updates if u), key=lambda u: (-Fraction(u.start, u.step), u.item)
        )
        found.append(Stores(int(loop.operands[0, c]), last, ordered))
    return found


def _chain(
    j: int,
    end: int,
    firsts: Any,
    readers: dict[int, list[int]],
    update_at: dict[int, int],
    loop: Wiring,
) -> list[int] | None:
    """Return the updates of a trip from the one that reads the last trip's array to its last."""
    chain = [j]
    while int(firsts[chain[-1]]) != end:
        there = readers.get(int(firsts[chain[-1]]), [])
        if len(there) != 1 or there[0] not in update_at or loop.relative[there[0]] < 0:
            return None
        chain.append(update_at[there[0]])
    return chain if len(readers.get(end, [])) == 1 else None


def _update(table: Table, loop: Wiring, j: int, column: int) -> Update | None:
    """Describe an update, if its place moves along one axis, behind integers only."""
    at = loop.start + j
    node = table.items[at]
    assert type(node) is Node
    places = loop.places[:, slice(*(table.at[at : at + 2] - table.at[loop.start]))]
    array, value = node.inputs
    template, first = masked(node.attrs["spec"], aval_of(array).shape)
    moving = np.flatnonzero((places != places[:1]).any(0))
    if len(moving) != 1:
        return None
    kinds = [k for k, s in enumerate(template) if s is AT or type(s) is Run]
    axis = kinds[int(moving[0])]
    steps = in_steps(places[:, moving[0]])
    before = template[:axis]
    if (
        steps is None
        or template[axis] is not AT
        or any(s is not AT and s != slice(None) for s in before)
    ):
        return None
    lead = sum(s is not AT for s in before)
    spec = _written(template, first)
    rank = len(_part(aval_of(array).shape, spec))
    taken = aval_of(value)
    if len(taken.shape) > rank or (taken.weak and taken.dtype != aval_of(array).dtype):
        return None
    if loop.kinds[column + 1] == FIXED and not taken.weak and taken.dtype != aval_of(array).dtype:
        return None
    return Update(j, column + 1, axis, lead, *steps, spec, rank)


def _written(template: tuple[Any, ...], places: list[int]) -> tuple[Any, ...]:
    rest = iter(places)
    return tuple(
        next(rest) if s is AT
        else slice(k := next(rest), k + s[1]) if type(s) is Run
        else s
        for s in template
    )  # fmt: skip


def _part(shape: tuple[int, ...], spec: tuple[Any, ...]) -> tuple[int, ...]:
    return np.broadcast_to(np.zeros(()), shape)[spec].shape  # type: ignore[no-any-return]
