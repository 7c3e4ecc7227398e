"""Orders of elimination for Hessians, where each step serves a vertex and its adjoint at once.

The graph of a gradient is that of the function and its mirror image: for each vertex v there is an
adjoint, for each edge from u to v one from the adjoint of v to that of u with the same value, and
second derivatives lead from vertices to adjoints. To eliminate a vertex and its adjoint together
keeps the symmetry, so every product is computed once and not twice. In the order of reverse mode
this is edge pushing (Gower and Mello, *A new framework for the computation of Hessians*, 2012).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from wengert.errors import InputError, user_line
from wengert.orders.problem import checked

__all__ = ["FoundSymmetric", "SymmetricGraph", "find_symmetric"]

Edges = dict[tuple[int, int], Any]


class FoundSymmetric(NamedTuple):
    """An order for a Hessian, and what it takes.

    Attributes
    ----------
    order : tuple of int
    multiplications : int
    method : str
    """

    order: tuple[int, ...]
    multiplications: int
    method: str

    def __str__(self) -> str:
        """Return a line for people."""
        return f"{self.method}: {self.multiplications:,} multiplications"


class SymmetricGraph:
    """A function's graph without cycles, and the second derivatives between its vertices.

    Parameters
    ----------
    intermediates : int
        The vertices before this number, in the order of the program; all others are inputs.
    vertices : int
    edges : mapping of (source, target) to bool
        Whether the partial derivative is other than +1 and -1, which cost nothing.
    seconds : iterable of (int, int)
        Pairs of vertices with a second derivative, each once.
    name : str
    """

    def __init__(
        self,
        intermediates: int,
        vertices: int,
        edges: Mapping[tuple[int, int], bool],
        seconds: Iterable[tuple[int, int]],
        name: str = "",
    ) -> None:
        self.intermediates, self.vertices, self.name = intermediates, vertices, name
        self.edges = dict(edges)
        self.seconds = {pair(u, v) for u, v in seconds}

    @cached_property
    def key(self) -> str:
        """A hash of the graph."""
        text = f"{self.intermediates} {self.vertices} {sorted(self.edges.items())} "
        return hashlib.sha256((text + str(sorted(self.seconds))).encode()).hexdigest()[:32]

    def multiplications(self, order: Sequence[int]) -> int:
        """Return the multiplications that an order takes.

        Raises
        ------
        OrderError
            Where it does not name each intermediate vertex once.
        """
        counted = _Counted()
        walk = Symmetric(self.edges, dict.fromkeys(self.seconds, True), counted)
        for v in checked(order, self.intermediates).tolist():
            walk.eliminate(v)
        return counted.spent

    def accumulate(self, edges: Edges, seconds: Edges, order: Sequence[int], algebra: Any) -> Edges:
        """Eliminate the vertices in an order, with values.

        Parameters
        ----------
        edges, seconds : dict
            Partial derivatives, and second derivatives times the adjoint of what they are of.
        order : sequence of int
        algebra : object
            ``times(a, b)`` and ``plus(a, b)``.

        Returns
        -------
        dict of (int, int) to value
            The entries of the Hessian that are not zero by structure, each pair of inputs once.
        """
        walk = Symmetric(edges, seconds, algebra)
        for v in checked(order, self.intermediates).tolist():
            walk.eliminate(v)
        return walk.seconds

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{self.name or 'symmetric graph'}: {self.vertices - self.intermediates} inputs, "
            f"{self.intermediates} intermediates, {len(self.edges)} edges, "
            f"{len(self.seconds)} second derivatives"
        )

    __repr__ = __str__


def pair(u: int, v: int) -> tuple[int, int]:
    """Return two vertices in order."""
    return (u, v) if u <= v else (v, u)


class _Counted:
    """Multiplications, for values that are True where a factor is other than +1 and -1."""

    def __init__(self) -> None:
        self.spent = 0

    def times(self, a: bool, b: bool) -> bool:
        """Return what a product is."""
        self.spent += a and b
        return a or b

    def plus(self, a: bool, b: bool) -> bool:
        """Return what a sum is."""
        return True


class Symmetric:
    """What is left while vertices and their adjoints are eliminated."""

    def __init__(self, edges: Mapping[tuple[int, int], Any], seconds: Edges, algebra: Any) -> None:
        self.algebra = algebra
        self.edges, self.seconds = dict(edges), dict(seconds)
        self.before: dict[int, set[int]] = {}
        self.after: dict[int, set[int]] = {}
        self.beside: dict[int, set[int]] = {}
        for u, v in self.edges:
            self.after.setdefault(u, set()).add(v)
            self.before.setdefault(v, set()).add(u)
        for u, v in self.seconds:
            self.beside.setdefault(u, set()).add(v)
            self.beside.setdefault(v, set()).add(u)

    def price(self, v: int) -> int:
        """Return about how many multiplications the elimination of a vertex would take now."""
        n, near = len(self.before.get(v, ())), self.beside.get(v, set())
        own = v in near
        return n * (len(self.after.get(v, ())) + len(near) - own) + own * (n + n * (n + 1) // 2)

    def near(self, v: int) -> set[int]:
        """Return the vertices that have to do with a vertex."""
        none: set[int] = set()
        return self.before.get(v, none) | self.after.get(v, none) | self.beside.get(v, none)

    def _add(self, u: int, v: int, value: Any) -> None:
        key = pair(u, v)
        known = self.seconds.get(key)
        self.seconds[key] = value if known is None else self.algebra.plus(known, value)
        self.beside.setdefault(u, set()).add(v)
        self.beside.setdefault(v, set()).add(u)

    def eliminate(self, v: int) -> None:
        """Eliminate a vertex and its adjoint."""
        times, plus = self.algebra.times, self.algebra.plus
        into = sorted(self.before.pop(v, ()))
        first = {u: self.edges.pop((u, v)) for u in into}
        for w in sorted(self.after.pop(v, ())):
            last = self.edges.pop((v, w))
            self.before[w].discard(v)
            for u in into:
                made = times(first[u], last)
                known = self.edges.get((u, w))
                self.edges[u, w] = made if known is None else plus(known, made)
                self.before[w].add(u)
                self.after[u].add(w)
        for u in into:
            self.after[u].discard(v)
        own = self.seconds.pop((v, v), None)
        others = self.beside.pop(v, set()) - {v}
        for p in sorted(others):
            value = self.seconds.pop(pair(v, p))
            self.beside[p].discard(v)
            for u in into:
                made = times(first[u], value)
                self._add(u, p, made if u != p else plus(made, made))
        if own is None:
            return
        for k, u in enumerate(into):
            half = times(first[u], own)
            for q in into[: k + 1]:
                self._add(u, q, times(half, first[q]))


def _cheapest_first(graph: SymmetricGraph) -> list[int]:
    walk = Symmetric(graph.edges, dict.fromkeys(graph.seconds, True), _Counted())
    prices = {v: walk.price(v) for v in range(graph.intermediates)}
    order = []
    while prices:
        v = min(prices, key=lambda v: (prices[v], -v))
        changed = walk.near(v)
        walk.eliminate(v)
        order.append(v)
        del prices[v]
        for w in changed:
            if w in prices:
                prices[w] = walk.price(w)
    return order


METHODS: dict[str, Callable[[SymmetricGraph], Sequence[int]]] = {
    "edge pushing": lambda g: range(g.intermediates)[::-1],
    "forward": lambda g: range(g.intermediates),
    "cheapest first": _cheapest_first,
}
"""Orders by rule."""


def find_symmetric(graph: SymmetricGraph, method: str = "default") -> FoundSymmetric:
    """Return an order, or the cheapest of those that the rules give.

    Parameters
    ----------
    graph : SymmetricGraph
    method : {"default", "edge pushing", "forward", "cheapest first"}
    """
    if method != "default" and method not in METHODS:
        known = ", ".join(map(repr, ("default", *METHODS)))
        raise InputError(f"method must be one of {known}, not {method!r}" + user_line())
    chosen = METHODS if method == "default" else {method: METHODS[method]}
    found = []
    for name, rule in chosen.items():
        order = tuple(rule(graph))
        found.append(FoundSymmetric(order, graph.multiplications(order), name))
    return min(found, key=lambda f: f.multiplications)
