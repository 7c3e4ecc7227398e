"""A linear graph taken apart into the entries of its values: one vertex for each number.

What moves data makes no vertex: an entry that is copied is the same one. So the graph of a function
that is written number by number is what its formula says, however its arguments and results are
packed. An operation without a formula of its entries has a dense block here, computed by products.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.linear.blocks import coefficients
from wengert.linear.products import dense_block
from wengert.linear.terms import NotAccumulable, is_number
from wengert.linear.values import Edge, Linear
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.ops.blocks import Labelled, Written
from wengert.ops.control import cut
from wengert.ops.convert import convert
from wengert.ops.index import SLOT, getitem, index_set
from wengert.ops.patterns import Moving
from wengert.ops.shape import concatenate, reshape
from wengert.orders.problem import MOST, EliminationGraph, eliminated

__all__ = ["ScalarGraph", "filled", "plus", "settle", "times"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


class ScalarGraph:
    """The entries of a linear graph, and the partial derivatives between them.

    Attributes
    ----------
    problem : EliminationGraph
        With free edges of +1 and -1.
    names : list of str
        Of the vertices of `problem`: the value's number and the place in it.
    """

    def __init__(self, graph: Linear) -> None:
        self.graph = graph
        self._made: dict[int, Any] = {}  # coefficients by the place of an edge in `graph.edges`
        self._whole: dict[tuple[int, Any], Any] = {}
        self._count = 0
        self._labels: list[str] = []
        self._edges: list[tuple[int, int, Any]] = []  # source, target, and 1, -1 or where it stands
        self._places: dict[int, Ints] = {}
        into: dict[int, list[tuple[int, Edge]]] = {}
        for i, e in enumerate(graph.edges):
            into.setdefault(e.target, []).append((i, e))
        for v in graph.vertices:
            if v.role == "argument":
                self._places[v.number] = self._new(math.prod(v.shape), v.number).reshape(v.shape)
            else:
                self._places[v.number] = self._entries(v.shape, v.number, into[v.number])
        self._number()

    def _new(self, n: int, number: int) -> Ints:
        first = self._count
        self._count += n
        if self._count > 4 * MOST:
            raise NotAccumulable("too many entries to take the values apart")
        self._labels += [f"{number}[{i}]" if n > 1 else str(number) for i in range(n)]
        return np.arange(first, first + n)

    def _entries(self, shape: tuple[int, ...], number: int, edges: list[tuple[int, Edge]]) -> Ints:
        """Return the vertex of each entry of a value: -1 where no argument reaches it."""
        size = math.prod(shape)
        listed = []
        for i, e in edges:
            rows, columns = e.block.entries()
            sources = self._places[e.source].reshape(-1)[columns]
            live = sources >= 0
            listed.append((i, e, rows[live], columns[live], sources[live]))
        if all(_moves(e) for _, e in edges):
            every = np.concatenate([rows for _, _, rows, _, _ in listed])
            if len(np.unique(every)) == len(every):
                found = np.full(size, -1)
                for _, _, rows, _, sources in listed:
                    found[rows] = sources
                return found.reshape(shape)
        reached = np.zeros(size, np.bool_)
        for _, _, rows, _, _ in listed:
            reached[rows] = True
        found = np.full(size, -1)
        found[reached] = self._new(int(reached.sum()), number)
        for i, e, rows, columns, sources in listed:
            sign = e.block.factor if isinstance(e.block, Labelled) and e.block.is_copy else None
            sign = 1 if _moves(e) or isinstance(e.block, Written) else sign
            for r, c, s in zip(rows.tolist(), columns.tolist(), sources.tolist(), strict=True):
                self._edges.append((s, int(found[r]), sign if sign is not None else (i, r, c)))
        return found.reshape(shape)

    def _number(self) -> None:
        """Give numbers to what lies between arguments and results, and make the problem."""
        g = self.graph
        inputs = [
            int(i) for v in g.vertices if v.role == "argument"
            for i in self._places[v.number].reshape(-1)
        ]  # fmt: skip
        leaves = set(inputs)
        onward = {s for s, _, _ in self._edges}
        self.targets: list[Ints | None] = []
        taken: set[int] = set()
        uses = Counter(
            v for k in g.results if k is not None for v in self._places[k].reshape(-1).tolist()
        )
        for number in g.results:
            if number is None:
                self.targets.append(None)
                continue
            flat = self._places[number].reshape(-1).copy()
            for k, v in enumerate(flat.tolist()):
                if v >= 0 and (v in leaves or v in onward or uses[v] > 1):
                    (flat[k],) = self._new(1, number)  # a result that is used again has a copy
                    self._edges.append((v, int(flat[k]), 1))
                taken.add(int(flat[k]))
            self.targets.append(flat)
        needed = taken - {-1}
        outputs = sorted(needed)
        for s, t, _ in sorted(self._edges, key=lambda e: -e[1]):
            if t in needed:
                needed.add(s)
        ends = {*leaves, *outputs}
        between = [v for v in range(self._count) if v in needed and v not in ends]
        order = [*between, *inputs, *outputs]
        self._index = {v: i for i, v in enumerate(order)}
        self.edges: dict[tuple[int, int], list[Any]] = {}
        listed = []
        for s, t, c in self._edges:
            if t in needed:
                edge = self._index[s], self._index[t]
                self.edges.setdefault(edge, []).append(c)
                listed.append((*edge, not (c == 1 or c == -1)))
        if len(order) > MOST:
            raise NotAccumulable("too many entries to take the values apart")
        self.problem = EliminationGraph(
            len(between), len(order), listed, unit_free=True, name=g.name
        )
        self.names = [self._labels[v] for v in order]
        self.first = len(between)

    # --- partial derivatives ----------------------------------------------------------------------
    def _partial(self, c: Any) -> Any:
        """Return a partial derivative: a number, plain or traced."""
        if isinstance(c, int):
            return c
        i, r, col = c
        e = self.graph.edges[i]
        block = e.block
        if not isinstance(block, Labelled) or block.is_matrix_free:
            if i not in self._made:
                self._made[i] = dense_block(e)
            found = self._entry(i, (r, col))
            return found if getattr(block, "choice", None) is None else Chosen(found, found)
        if i not in self._made:
            self._made[i] = coefficients(block, e.results, e.inputs, e.node.attrs)
        made = self._made[i]
        shape = shape_of(made)
        if is_number(made) or not shape:
            return made if block.choices is None else Chosen(made, made)
        at = (
            dict(zip(block.rows, np.unravel_index(r, block.result), strict=True))
            if block.rows
            else {}
        )
        at |= (
            dict(zip(block.columns, np.unravel_index(col, block.operand), strict=True))
            if block.columns
            else {}
        )
        inside = block.inside[len(block.inside) - len(shape) :]
        place = tuple(int(at[s]) if n > 1 else 0 for s, n in zip(inside, shape, strict=True))
        found = self._entry(i, place)
        return found if block.choices is None else Chosen(found, found)

    def value(self, parts: Sequence[Any]) -> Any:
        """Return the partial derivative of an edge, the sum of its parts."""
        total = self._partial(parts[0])
        for part in parts[1:]:
            total = plus(total, self._partial(part))
        return total

    def _entry(self, i: int, place: tuple[int, ...]) -> Any:
        key = (i, place)
        if key not in self._whole:
            made = self._made[i]
            self._whole[key] = (
                getitem(made, spec=place) if isinstance(made, Traced) else made[place]
            )
        return self._whole[key]

    # --- accumulation -----------------------------------------------------------------------------
    def accumulate(self, order: Sequence[int]) -> list[list[Any]]:
        """Eliminate the vertices in an order; see `LinearGraph.accumulate`."""
        c: dict[tuple[int, int], Any] = {}
        before: list[list[int]] = [[] for _ in range(self.problem.vertices)]
        after: list[list[int]] = [[] for _ in range(self.problem.vertices)]
        for (u, v), parts in self.edges.items():
            c[u, v] = self.value(parts)
            before[v].append(u)
            after[u].append(v)
        eliminated(c, before, after, order, times, plus)
        return self._results(c)

    def _results(self, c: dict[tuple[int, int], Any]) -> list[list[Any]]:
        """Put the entries that are left into arrays."""
        g = self.graph
        found = []
        for y, targets in zip(g.ys, self.targets, strict=True):
            row: list[Any] = []
            start = self.first
            for number in g.arguments:
                if number is None or targets is None:
                    row.append(None)
                    if number is None:
                        continue
                v = g.vertices[number]
                n = math.prod(v.shape)
                if targets is not None:
                    names = [self._index.get(t, -1) for t in targets.tolist()]
                    parts = {
                        k * n + i: settle(c[start + i, t])
                        for k, t in enumerate(names)
                        for i in range(n)
                        if (start + i, t) in c
                    }
                    made = filled(parts, len(names) * n, dtype_of(y)) if parts else None
                    if made is not None:
                        made = reshape(made, shape=(*shape_of(y), *v.shape))
                    row.append(made)
                start += n
            found.append(row)
        return found


class Chosen(NamedTuple):
    """A partial derivative that is no entry where something else was chosen.

    Attributes
    ----------
    value : number
    live : number
        0 where there is no entry. What is multiplied with it may be infinite there.
    """

    value: Any
    live: Any


def settle(a: Any) -> Any:
    """Return a partial derivative as a number, 0 where there is no entry."""
    return cut(a.value, a.live) if type(a) is Chosen else a


def plus(a: Any, b: Any) -> Any:
    """Add."""
    total = settle(a) + settle(b)
    if type(a) is Chosen and type(b) is Chosen:
        return Chosen(total, a.live * a.live + b.live * b.live)
    return total


def times(a: Any, b: Any) -> Any:
    """Multiply, unless a factor is 1 or -1."""
    if type(a) is Chosen or type(b) is Chosen:
        lives = [x.live for x in (a, b) if type(x) is Chosen]
        x, y = (x.value if type(x) is Chosen else x for x in (a, b))
        return Chosen(times(x, y), lives[0] if len(lives) == 1 else lives[0] * lives[1])
    for x, y in ((a, b), (b, a)):
        if isinstance(x, int) and x in (1, -1):
            return y if x == 1 else -y
    return a * b


def _moves(e: Edge) -> bool:
    """Whether an operation only copies entries."""
    op = e.node.op
    if isinstance(e.block, Written):
        return not e.block.adds
    return isinstance(op.pattern, Moving) or bool(op.identity)


def filled(parts: dict[int, Any], size: int, dtype: np.dtype[Any]) -> Any:
    """Return a flat array with some entries, zero elsewhere."""
    traced = {k: x for k, x in parts.items() if isinstance(x, Traced)}
    template = np.zeros(size, dtype)
    for k, x in parts.items():
        if k not in traced:
            template[k] = x
    if not traced:
        return template
    if size <= FEW and len(parts) * 8 >= size:
        return _side_by_side(parts, traced, template)
    places = np.array(list(traced), np.int64)
    pieces = [reshape(x, shape=(1,)) for x in traced.values()]
    data = concatenate(*pieces, axis=0) if len(pieces) > 1 else pieces[0]
    if dtype_of(data) != dtype:
        data = convert(data, dtype=dtype)
    if len(places) == size:
        order = np.argsort(places)
        return data if np.all(np.diff(places) > 0) else getitem(data, order, spec=(SLOT,))
    return index_set(template, data, places, spec=(SLOT,))


FEW = 1024
"""Entries of an array that is put together piece by piece, zeros among them."""


def _side_by_side(parts: dict[int, Any], traced: dict[int, Any], template: Any) -> Any:
    """Return a flat array: entries that are computed, and between them those that are known."""
    pieces: list[Any] = []
    start = 0
    for k in sorted(traced):
        if k > start:
            pieces.append(template[start:k])
        piece = reshape(parts[k], shape=(1,))
        pieces.append(
            piece if dtype_of(piece) == template.dtype else convert(piece, dtype=template.dtype)
        )
        start = k + 1
    if start < len(template):
        pieces.append(template[start:])
    return concatenate(*pieces, axis=0) if len(pieces) > 1 else pieces[0]
