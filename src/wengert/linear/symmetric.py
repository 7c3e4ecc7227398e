"""Hessians by elimination: a function's partial derivatives, second ones, and their products.

The second derivatives of an operation are the derivatives of its local Jacobian, which are found
without a rule of their own. `wengert.orders.symmetric` says how they are put together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.errors import InputError, user_line
from wengert.ir.graph import Value
from wengert.linear.blocks import coefficients
from wengert.linear.scalars import ScalarGraph, filled, plus, times
from wengert.linear.terms import NotAccumulable, is_number
from wengert.linear.values import Edge, Linear
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.ops.blocks import Labelled
from wengert.ops.index import getitem
from wengert.ops.shape import broadcast_to, reshape
from wengert.orders.symmetric import FoundSymmetric, SymmetricGraph, find_symmetric
from wengert.transform.linear import linearize_flat, quiet
from wengert.transform.reach import is_elementwise

__all__ = ["SecondOrder"]

Place = tuple[int, int]


class SecondOrder:
    """The graph of a function of numbers with one result, with second derivatives.

    Attributes
    ----------
    problem : SymmetricGraph

    Raises
    ------
    InputError
        For a function that returns no single number.
    NotAccumulable
        For an operation whose local Jacobian has no formula.
    """

    def __init__(self, graph: Linear) -> None:
        if len(graph.ys) != 1 or math.prod(shape_of(graph.ys[0])) != 1:
            raise InputError(
                f"{graph.name}: a Hessian is of a function that returns one number" + user_line()
            )
        self.graph = graph
        with quiet():
            self._derive(ScalarGraph(graph))

    def _derive(self, scalars: ScalarGraph) -> None:
        self.scalars = scalars
        n, size = scalars.problem.intermediates, scalars.problem.vertices
        ends = {v for v in range(n, size) if scalars.problem.neighbours[0][v]}
        values = {edge: scalars.value(parts) for edge, parts in scalars.edges.items()}
        adjoint: dict[int, Any] = dict.fromkeys(ends, 1)
        for v in (*ends, *reversed(range(n))):
            for u in scalars.problem.neighbours[0][v]:
                made = times(adjoint[v], values[u, v])
                adjoint[u] = made if u not in adjoint else plus(adjoint[u], made)
        self.seconds: dict[Place, Any] = {}
        for (u, v), second, of in self._seconds():
            made = times(second, adjoint[of])
            key = (min(u, v), max(u, v))
            known = self.seconds.get(key)
            self.seconds[key] = made if known is None else plus(known, made)
        self.values = {(u, v): c for (u, v), c in values.items() if v not in ends}
        general = {e: scalars.problem.edges[e] for e in self.values}
        self.inputs = [v for v in range(n, size) if v not in ends]
        self.problem = SymmetricGraph(n, size - len(ends), general, self.seconds, self.graph.name)

    # --- second derivatives of operations ---------------------------------------------------------
    def _seconds(self) -> Any:
        """Yield pairs of vertices, the second derivative, and the vertex that it is of."""
        entries: dict[Any, list[tuple[int, int, int, int]]] = {}
        for (u, v), parts in self.scalars.edges.items():
            for part in parts:
                if not isinstance(part, int):
                    i, row, column = part
                    e = self.graph.edges[i]
                    key = id(e.node), e.target, row
                    entries.setdefault(key, []).append((i, column, u, v))
        derived: dict[tuple[int, int], Any] = {}
        for (_, _, row), found in entries.items():
            for a, (i, column, u, v) in enumerate(found):
                for j, other, w, _ in found[a:]:
                    second = self._second(derived, (i, row, column), (j, row, other))
                    if second is None:
                        continue
                    if u == w and (i, column) != (j, other):
                        second = second + second  # the argument stands in two places
                    yield (u, w), second, v

    def _second(self, derived: dict[tuple[int, int], Any], first: Any, second: Any) -> Any:
        """Return the derivative of a partial derivative by an entry of an argument; None for 0."""
        (i, row, column), (j, _, other) = first, second
        e, f = self.graph.edges[i], self.graph.edges[j]
        if e.node.op.name == "contract":
            return 1 if i != j and _meets(e.block, f.block, row, column, other) else None
        if (i, j) not in derived:
            derived[i, j] = _derivative(e, f)
        made = derived[i, j]
        if made is None or is_number(made) or not shape_of(made):
            return made
        place = np.unravel_index(row, shape_of(made))
        place = tuple(int(k) for k in place)
        return getitem(made, spec=place) if isinstance(made, Traced) else made[place]

    # --- orders -----------------------------------------------------------------------------------
    def order(self, method: str = "default") -> FoundSymmetric:
        """Return the cheapest order that is found, or that of a method."""
        return find_symmetric(self.problem, method)

    def accumulate(
        self, order: FoundSymmetric | Sequence[int] | str = "default"
    ) -> list[list[Any]]:
        """Return the Hessian: for each argument and each argument a block.

        Parameters
        ----------
        order : FoundSymmetric, sequence of int or a method's name
        """
        if isinstance(order, str):
            order = self.order(order)
        sequence = order.order if isinstance(order, FoundSymmetric) else order
        with quiet():
            found = self.problem.accumulate(self.values, self.seconds, sequence, _Numbers)
            return self._blocks(found)

    def _blocks(self, found: dict[Place, Any]) -> list[list[Any]]:
        (y,) = self.graph.ys
        spans: list[tuple[int, tuple[int, ...]] | None] = []
        start = self.scalars.first
        for number in self.graph.arguments:
            if number is None:
                spans.append(None)
                continue
            shape = self.graph.vertices[number].shape
            spans.append((start, shape))
            start += math.prod(shape)
        rows = []
        for one in spans:
            row: list[Any] = []
            for two in spans:
                if one is None or two is None:
                    row.append(None)
                    continue
                (s, shape), (t, other) = one, two
                m, n = math.prod(shape), math.prod(other)
                parts = {
                    i * n + k: found[key]
                    for i in range(m)
                    for k in range(n)
                    if (key := (min(s + i, t + k), max(s + i, t + k))) in found
                }
                made = filled(parts, m * n, dtype_of(y))
                row.append(reshape(made, shape=(*shape, *other)))
            rows.append(row)
        return rows


class _Numbers:
    """Values of partial derivatives."""

    times = staticmethod(times)
    plus = staticmethod(plus)


def _meets(a: Any, b: Any, row: int, column: int, other: int) -> bool:
    """Whether entries of both arguments of a contraction are multiplied for an entry of it."""
    at = dict(zip(a.rows, np.unravel_index(row, a.result), strict=True)) if a.rows else {}
    for block, place in ((a, column), (b, other)):
        if not block.columns:
            continue
        for s, k in zip(block.columns, np.unravel_index(place, block.operand), strict=True):
            if at.setdefault(s, k) != k:
                return False
    return True


def _derivative(e: Edge, f: Edge) -> Any:
    """Return the derivative of the coefficients of `e` by the argument of `f`; None for none.

    Raises
    ------
    NotAccumulable
        For an operation that is not elementwise and has no constant coefficients.
    """
    block, node = e.block, e.node
    if not isinstance(block, Labelled) or block.is_matrix_free or block.choices is not None:
        raise NotAccumulable(f"{node.op.name} has no formula of second derivatives")
    if isinstance(block.factor, int):
        return None
    if not is_elementwise(node.op, e.results):
        raise NotAccumulable(f"the local Jacobian of {node.op.name} depends on more than an entry")
    place = next(k for k, x in enumerate(node.inputs) if isinstance(x, Value) and k == f.block.of.k)
    shape = shape_of(e.results)

    def of(x: Any) -> list[Any]:
        xs = list(e.inputs)
        xs[place] = x
        y = node.op(*xs, **node.attrs)
        return [coefficients(block, y, xs, node.attrs)]

    x = e.inputs[place]
    lin = linearize_flat(of, [x])
    (t,) = lin.push([np.ones(shape_of(x), dtype_of(x))[()]])
    if t is None:
        return None
    return t if shape_of(t) == shape else broadcast_to(t, shape=shape)
