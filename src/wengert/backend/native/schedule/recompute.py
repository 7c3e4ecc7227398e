"""What a loop computes again instead of reading it: a few cheap operations on what it has anyway.

To store a value in one loop and load it in another costs more than an addition or two, where what
they take is in memory already. Functions such as ``exp`` are never computed again; where nothing in
the first loop reads their value, the later one computes it instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wengert.backend.native.schedule.layout import View
from wengert.backend.native.schedule.steps import Loop, reads
from wengert.ir.graph import Node, Value
from wengert.ops.slopes import sech_squared

__all__ = ["recompute"]

OPERATIONS = 4
"""Most operations to compute again for one value."""

ELEMENTS = 1000
"""Least elements of a value that is worth it."""

Made = dict[Value, tuple[Node, list[Any]]]


def recompute(
    x: Value, loop: Loop, made: Made, home: dict[Value, Loop], stored: dict[Value, View]
) -> bool:
    """Write what computes `x` into another loop than its own, where that is cheaper than memory.

    Parameters
    ----------
    x : Value
        Elementwise, of the loop's shape, not in memory.
    loop : Loop
        A later one than that of `x`.
    made : dict
        How each elementwise value is computed: its node and operands.
    home : dict
        In which loop.
    stored : dict
        Where values are in memory, of those that are.
    """
    if loop.elements < ELEMENTS or home[x] is loop:
        return False
    order: list[Value] = []
    views: list[View] = []
    loaded: dict[Value, View] = {}
    for y, view in _near(x, made, stored):
        # not changed since its own loop, at whose end it was stored
        if y in home and view.buffer.last_write <= home[y].step:
            loaded[y] = view
    if not _collect(x, loop, home, made, order, views, loaded):
        return False
    new = {id(v.buffer) for v in views if _takes_memory(v, loop)}
    if len(new) > 1:  # x itself would be one
        return False
    for v in order:
        node, operands = made[v]
        operands = [
            loaded.get(y, y) if isinstance(y, Value) and y not in loop.inside else y
            for y in operands
        ]
        loop.items.append((node, operands))
        loop.inside.add(v)
    for view in views:
        view.buffer.read_at(loop.step)
    for v in reversed(order):
        if _is_alone(v, home[v]):
            home[v].remove(v)
            home[v] = loop
    return True


def _near(
    x: Value, made: Made, stored: dict[Value, View], depth: int = 0
) -> Iterator[tuple[Value, View]]:
    """Iterate over the values in memory that `x` is computed from, at most a few steps away."""
    for y in made[x][1] if x in made and depth < OPERATIONS else ():
        if isinstance(y, Value):
            if y in stored:
                yield y, stored[y]
            else:
                yield from _near(y, made, stored, depth + 1)


def _collect(
    x: Value,
    loop: Loop,
    home: dict[Value, Loop],
    made: Made,
    order: list[Value],
    views: list[View],
    loaded: dict[Value, View],
) -> bool:
    """List what `x` is computed from, operands first; False where it may not be again."""
    if x in loop.inside or x in order:
        return True
    if x not in made or len(order) >= OPERATIONS:
        return False
    node, operands = made[x]
    if node.op.is_slow and node.op is not sech_squared and not _is_alone(x, home[x]):
        return False
    for y in operands:
        if isinstance(y, Value):
            if y in loaded and y not in loop.inside:
                views.append(loaded[y])
            elif not _collect(y, loop, home, made, order, views, loaded):
                return False
        elif isinstance(y, View):
            if y.buffer.last_write >= home[x].step:  # changed since
                return False
            views.append(y)
    order.append(x)
    return len(order) <= OPERATIONS


def _is_alone(x: Value, loop: Loop) -> bool:
    """Whether nothing in the loop of `x` reads it."""
    return not any(x is y for item in loop.items for y in reads(item))


def _takes_memory(view: View, loop: Loop) -> bool:
    """Whether reading it means that memory stays in use, or is read, that was not before."""
    b = view.buffer
    return b.kind in ("arena", "output") and b.last_read < loop.step and b.size >= ELEMENTS
