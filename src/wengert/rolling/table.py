"""A graph as arrays of numbers, so that what repeats in it is found by comparing numbers.

The items of a table are the nodes and guards of a graph in program order. Two items have the same
mark where they apply the same operation with the same attributes to operands of the same shapes and
dtypes; which operands, and at which integer places of an index, are numbers of their own.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.ir.graph import Aval, Graph, Guard, Node, Value, aval_of
from wengert.ir.keys import key
from wengert.ir.simplify import is_kept
from wengert.ops.raising import INDEXED

__all__ = ["AT", "INDEXED", "Run", "Table", "masked"]

AT = "at"
"""Stands for an integer in an index template whose integers are taken out."""


class Run(tuple[str, int]):
    """Stands for a slice of consecutive entries whose start is taken out; holds its length."""

    __slots__ = ()


def masked(spec: tuple[Any, ...], shape: tuple[int, ...]) -> tuple[tuple[Any, ...], list[int]]:
    """Take the integers out of an index template.

    Parameters
    ----------
    spec : tuple
    shape : tuple of int
        Of the array that is indexed.

    Returns
    -------
    template : tuple
        With `AT` for integers, which all count from the beginning of their axis, and `Run` for
        slices of consecutive entries.
    places : list of int
        What was taken out, in order.
    """
    template: list[Any] = []
    places: list[int] = []
    axis = 0
    for k, s in enumerate(spec):
        if s is Ellipsis:
            rest = sum(1 for other in spec[k + 1 :] if other is not None)
            axis = len(shape) - rest
            template.append(s)
            continue
        if s is None:
            template.append(s)
            continue
        n = shape[axis]
        if type(s) is int and -n <= s < n:
            template.append(AT)
            places.append(s % n)
        elif _is_run(s, n):
            template.append(Run(("run", s.stop - s.start)))
            places.append(s.start)
        else:
            template.append(s)
        axis += 1
    return tuple(template), places


def _is_run(s: Any, n: int) -> bool:
    return (
        type(s) is slice
        and type(s.start) is int
        and type(s.stop) is int
        and s.step in (None, 1)
        and 0 <= s.start < s.stop <= n
        and s.stop - s.start < n
    )


class Table:
    """A graph as arrays.

    Attributes
    ----------
    items : list of Node or Guard
    marks : array of int
        Equal for items that may be the same step of different trips.
    values : list of Value
        What the nodes make, in order; the number of a value is its place here.
    first : array of int
        Of each item (and of the end): the number of its first result.
    outside : list
        Operands that are not made by nodes: inputs, constants, scalars. Operand -1 - k is
        ``outside[k]``.
    operands : array of int
        The operands of all items, one after the other.
    begin : array of int
        Of each item (and of the end): where its operands begin.
    places : array of int
        The integers of all index templates.
    at : array of int
        Of each item (and of the end): where its integers begin.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.items: list[Node | Guard] = _items(graph)
        self.values: list[Value] = []
        self.outside: list[Any] = []
        self._known: dict[Any, int] = {}
        self._avals: dict[Any, int] = {}
        self._same_avals: dict[int, tuple[Aval, int]] = {}
        self._attrs: dict[Any, tuple[int, list[int]]] = {}
        self._templates: dict[Any, int] = {}
        self._of_value: dict[Value, int] = {}
        self._aval_numbers: list[int] = []
        self._outside_avals: list[int] = []
        self._marks: dict[Any, int] = {}
        for x in graph.inputs:
            self._number(x)
        marks: list[int] = []
        operands: list[int] = []
        places: list[int] = []
        first, begin, at = [0], [0], [0]
        for item in self.items:
            if isinstance(item, Node):
                made = tuple([self._aval(v.aval) for v in item.outputs])
                marks.append(self._mark(item, made, operands, places))
                for v, aval in zip(item.outputs, made, strict=True):
                    self._of_value[v] = len(self.values)
                    self.values.append(v)
                    self._aval_numbers.append(aval)
            else:
                marks.append(self._asked(item))
                operands.append(self._number(item.value))
            first.append(len(self.values))
            begin.append(len(operands))
            at.append(len(places))
        self.marks = np.array(marks, np.int64)
        self.first = np.array(first, np.int64)
        self.operands = np.array(operands, np.int64)
        self.begin = np.array(begin, np.int64)
        self.places = np.array(places, np.int64)
        self.at = np.array(at, np.int64)
        self.results = np.array(
            [self._of_value[y] for y in graph.outputs if y in self._of_value], np.int64
        )

    def operand(self, number: int) -> Any:
        """Return the operand with a number."""
        return self.values[number] if number >= 0 else self.outside[-1 - number]

    def _number(self, x: Any) -> int:
        if type(x) is Value:
            found = self._of_value.get(x)
            if found is not None:
                return found
        k = key(x)
        found = self._known.get(k)
        if found is None:
            self.outside.append(x)
            self._outside_avals.append(self._aval(aval_of(x)))
            found = self._known[k] = -len(self.outside)
        return found

    def _aval(self, aval: Aval) -> int:
        found = self._same_avals.get(id(aval))
        if found is None:
            number = self._avals.setdefault(aval, len(self._avals))
            found = self._same_avals[id(aval)] = aval, number  # held, so that its id stays its own
        return found[1]

    def _asked(self, guard: Guard) -> int:
        """Return the mark of a guard; one that asks for more than yes or no is like no other."""
        is_bool = guard.kind == "bool" and guard.value.aval[:2] == ((), np.dtype(bool))
        mark = ("guard", bool(guard.outcome)) if is_bool else id(guard)
        return self._marks.setdefault(mark, len(self._marks))

    def _mark(
        self, node: Node, made: tuple[int, ...], operands: list[int], places: list[int]
    ) -> int:
        of_value, of_known, of_outside = self._of_value, self._aval_numbers, self._outside_avals
        numbers = []
        for x in node.inputs:
            n = of_value.get(x) if type(x) is Value else None
            numbers.append(self._number(x) if n is None else n)
        operands += numbers
        op, attrs = node.op, node.attrs
        if is_kept(op):
            return self._marks.setdefault(id(node), len(self._marks))
        marked = -1
        if attrs:
            shape = aval_of(node.inputs[0]).shape if op in INDEXED else None
            known = self._attrs.get((id(attrs), shape))  # the graph holds the attributes
            if known is None:
                template, found = _marked(attrs, shape)
                number = self._templates.setdefault(template, len(self._templates))
                known = self._attrs[id(attrs), shape] = number, found
            marked, found = known
            places += found
        kinds = tuple([of_known[n] if n >= 0 else of_outside[-1 - n] for n in numbers])
        return self._marks.setdefault((op, marked, kinds, made), len(self._marks))


def _marked(attrs: Any, shape: tuple[int, ...] | None) -> tuple[Any, list[int]]:
    """Return what attributes have in common in all trips, and the integers that may differ."""
    if shape is None:
        return tuple([(name, key(a)) for name, a in sorted(attrs.items())]), []
    template, found = masked(attrs["spec"], shape)
    return key(template), found


def _items(graph: Graph) -> list[Node | Guard]:
    """Put guards between the nodes."""
    if not graph.guards:
        return list(graph.nodes)
    items: list[Node | Guard] = []
    waiting = iter(sorted(graph.guards, key=lambda g: g.position))
    guard = next(waiting, None)
    for k, node in enumerate(graph.nodes):
        while guard is not None and guard.position <= k:
            items.append(guard)
            guard = next(waiting, None)
        items.append(node)
    while guard is not None:
        items.append(guard)
        guard = next(waiting, None)
    return items
