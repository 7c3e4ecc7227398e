"""Greedy colourings in several orders, the best kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wengert.sparse.colouring import greedy
from wengert.sparse.colouring.lattice import lattice
from wengert.sparse.colouring.orders import ORDERS, dynamic, largest_first

__all__ = ["Attempt", "Effort", "Graph", "one_side", "symmetric_bound", "two_coloured"]

Array = NDArray[Any]

DENSE = 128
"""A row with more entries than this is kept in a table while its columns are coloured."""
RANDOM = 3
"""Random orders tried."""
STALE = 24
"""Passes of iterated greedy without a better result before it ends."""


@dataclass
class Effort:
    """What may still be spent on looking for fewer colours, in edges walked."""

    left: int

    def spend(self, work: int) -> bool:
        """Take `work` if it is there; say whether it was."""
        if work > self.left:
            return False
        self.left -= work
        return True


@dataclass(frozen=True)
class Attempt:
    """A colouring: of each vertex (-1 for none), what it costs, and the order that it came from.

    The cost is the number of colours, weighted where rows and columns have some.
    """

    colour: Array
    cost: float
    order: str


FirstFit: TypeAlias = Callable[[Array, float], Attempt]
"""Colours vertices in an order, and may stop at a cost."""


@dataclass(frozen=True)
class Graph:
    """Adjacency of a graph, without loops.

    Attributes
    ----------
    ptr, adj : array of int32
    split : int
        Vertices before this one are of the first side; 0 where the graph has no sides.
    """

    ptr: Array
    adj: Array
    split: int = 0

    @property
    def size(self) -> int:
        """Number of vertices."""
        return len(self.ptr) - 1

    @property
    def degrees(self) -> Array:
        """Of the vertices."""
        return np.diff(self.ptr)


def _improve(
    first_fit: FirstFit,
    also: Iterable[FirstFit],
    order_of: Callable[[str], Array],
    orders: Iterable[str],
    special: Callable[[float], Attempt | None],
    bound: float,
    work: int,
    effort: Effort,
    rng: np.random.Generator,
    split: int = 0,
) -> Attempt:
    """Try orders until a lower bound is met or the effort is spent; the first is always tried.

    `also` are other ways to colour in an order, tried for each one after `first_fit`.
    """
    names = list(orders)
    every = names == ["best"]
    if every:
        names = [*ORDERS, *["random"] * (RANDOM - 1)]
    best = first_fit(order_of(names[0]), np.inf)
    best = Attempt(best.colour, best.cost, names[0])
    if not every or best.cost <= bound:
        return best
    found = special(best.cost)
    if found is not None and found.cost < best.cost:
        best = found
    also = list(also)
    ways: list[tuple[FirstFit, str]] = [(way, names[0]) for way in also]
    ways += [(way, name) for name in names[1:] for way in (first_fit, *also)]
    winner = first_fit
    for way, name in ways:
        # An order by degrees moves vertices between lists, at several times a step's price.
        if best.cost <= bound or not effort.spend(4 * work):
            break
        attempt = way(order_of(name), best.cost)
        if attempt.cost < best.cost:
            best = Attempt(attempt.colour, attempt.cost, name)
            winner = way
    return _iterate(winner, best, bound, work, effort, rng, split)


def _iterate(
    first_fit: FirstFit,
    best: Attempt,
    bound: float,
    work: int,
    effort: Effort,
    rng: np.random.Generator,
    split: int,
) -> Attempt:
    """Colour again, whole colour classes at a time in another order.

    Culberson and Luo (1996), Exploring the k-colorable landscape with iterated greedy: where
    classes are independent sets the number never grows.
    """
    now = best
    stale = 0
    turn = 0
    while best.cost > bound and stale < STALE and effort.spend(2 * work):
        members = np.flatnonzero(now.colour >= 0)
        classes = now.colour[members]
        if split:  # those of one side before those of the other
            classes = classes + np.where(members >= split, int(classes.max(initial=-1)) + 1, 0)
        sizes = np.bincount(classes)
        number = len(sizes)
        rank = (-np.arange(number), -sizes, rng.permutation(number))[turn % 3]
        turn += 1
        order = members[np.lexsort((classes, rank[classes]))].astype(np.int32)
        now = first_fit(order, np.inf)
        stale += 1
        if now.cost < best.cost:
            best = Attempt(now.colour, now.cost, f"{best.order.split(',')[0]}, iterated")
            stale = 0
    return best


def _orders(
    graph: tuple[Array, Array],
    back: tuple[Array, Array] | None,
    dense: Array,
    degrees: Array,
    members: Array,
    rng: np.random.Generator,
) -> Callable[[str], Array]:
    def order_of(name: str) -> Array:
        if name == "natural":
            return members
        if name == "random":
            return rng.permutation(members)
        if name == "largest first":
            return largest_first(degrees, members)
        return dynamic(name, graph, back, dense, degrees, members)

    return order_of


def _all_different(size: int, members: Array) -> Attempt:
    """Colour where a full row, or a dense matrix, leaves no choice."""
    colour = np.full(size, -1, np.int32)
    colour[members] = np.arange(len(members))
    return Attempt(colour, len(members), "natural")


def one_side(
    graph: Graph, back: Graph, orders: Iterable[str], effort: Effort, seed: int
) -> tuple[Attempt, int]:
    """Partial distance-2 colouring of one side of a bipartite graph.

    Parameters
    ----------
    graph, back : Graph
        From the vertices to be coloured to the other side, and back.
    orders : iterable of str
    effort : Effort
    seed : int

    Returns
    -------
    Attempt
        Vertices without edges have no colour.
    int
        The lower bound: the greatest degree on the other side.
    """
    rng = np.random.default_rng(seed)
    widths = back.degrees
    bound = int(widths.max(initial=0))
    dense = widths > DENSE
    stored = int(widths[dense].sum(dtype=np.int64))
    table_size = 1 << (2 * stored).bit_length() if stored else 1
    members = np.flatnonzero(graph.degrees > 0).astype(np.int32)
    if bound == len(members):
        return _all_different(graph.size, members), bound
    # Neighbours at distance 2, one for each way to them. A dense row adds the same to all in it.
    around = np.where(dense, 0, widths)
    reached = np.concatenate([[0], np.cumsum(around[graph.adj], dtype=np.int64)])
    degrees = reached[graph.ptr[1:]] - reached[graph.ptr[:-1]]
    work = int(reached[-1]) + 4 * stored + graph.size

    def first_fit(order: Array, limit: float) -> Attempt:
        colour = np.full(graph.size, -1, np.int32)
        number = greedy.distance2(
            graph.ptr, graph.adj, back.ptr, back.adj, order, dense,
            int(min(limit, graph.size + 1)), colour,
            np.full(graph.size + 1, -1, np.int32), np.zeros(back.size, np.int32),
            np.zeros(table_size, np.int64),
        )  # fmt: skip
        return Attempt(colour, number, "")

    def special(best: float) -> Attempt | None:
        colour = lattice(
            back.ptr, back.adj, (back.size, graph.size), False, bound, int(best), effort.left // 8
        )
        return None if colour is None else Attempt(colour, int(colour.max()) + 1, "lattice")

    order_of = _orders((graph.ptr, graph.adj), (back.ptr, back.adj), dense, degrees, members, rng)
    return _improve(first_fit, (), order_of, orders, special, bound, work, effort, rng), bound


def two_coloured(
    graph: Graph,
    members: Array,
    kind: str,
    orders: Iterable[str],
    bound: float,
    effort: Effort,
    seed: int,
    finish: Callable[[Array], tuple[Array, float]] | None = None,
    whole: tuple[Array, Array] | None = None,
    limit: float = np.inf,
) -> Attempt:
    """Star or acyclic colouring of a graph, on two sides where it has them.

    Parameters
    ----------
    graph : Graph
    members : array
        Vertices to be coloured; all others are neutral.
    kind : "star" or "acyclic"
    orders, bound, effort, seed
        As in `one_side`.
    finish : callable, optional
        Takes colours, and returns better ones and what they cost.
    whole : (ptr, idx), optional
        The symmetric matrix of the graph with its diagonal, if stencils are to be looked for.
    limit : float
        A result that costs as much is not wanted.

    Returns
    -------
    Attempt
        At infinite cost if every order reached the limit.
    """
    rng = np.random.default_rng(seed)
    n, edges = graph.size, len(graph.adj)
    if not graph.split and bound == len(members):
        return _all_different(n, members)
    degrees = graph.degrees
    none = np.zeros(1, np.bool_)

    def first_fit(order: Array, best: float, rule: int = 0) -> Attempt:
        neutral = np.ones(n, np.bool_)
        neutral[order] = False
        colour, mark = np.full(n, -1, np.int32), np.full(n + 1, -1, np.int32)
        used, place = np.zeros(n, np.int32), np.zeros(n + 1, np.int32)
        slots = [np.empty(edges, np.int32) for _ in range(3)]
        # Colours may yet be taken away by `finish`.
        best = min(best, limit)
        most = int(min(best if finish is None else 4 * best + 16, n + 1))
        given = (graph.ptr, graph.adj, order, neutral, graph.split > 0)
        space = (colour, mark, used, *slots)
        if kind == "star":
            hub = np.zeros(edges, np.bool_)
            number = greedy.star(*given, rule, most, *space, hub, place)
        else:
            slots[2].fill(-1)
            number = greedy.acyclic(*given, most, *space, np.empty(edges, np.int32), place)
        if number >= most:
            return Attempt(colour, np.inf, "")
        if finish is not None:
            return Attempt(*finish(colour), "")
        return Attempt(colour, number, "")

    def special(best: float) -> Attempt | None:
        if whole is None:
            return None
        colour = lattice(*whole, (n, n), True, int(bound), int(best), effort.left // 8)
        return None if colour is None else Attempt(colour, int(colour.max()) + 1, "lattice")

    order_of = _orders((graph.ptr, graph.adj), None, none, degrees, members, rng)
    work = 4 * edges + n
    # With two sides, colours of neighbours cannot be compared.
    rules = () if kind == "acyclic" else (1,) if graph.split else (1, 2)
    also = [partial(first_fit, rule=rule) for rule in rules]
    return _improve(
        first_fit, also, order_of, orders, special, bound, work, effort, rng, graph.split
    )


def forest_bound(vertices: int, edges: int) -> int:
    """Return the least k for which k colours can do: any two classes span a forest.

    Then there are at most ``(k - 1) * vertices - k * (k - 1) / 2`` edges.
    """
    k = 1 if vertices else 0
    while k < vertices and edges > (k - 1) * vertices - k * (k - 1) // 2:
        k += 1
    return k


def clique_bound(graph: Graph, starts: int = 8, widest: int = 256) -> int:
    """Return the size of a clique that a greedy search finds."""
    if not len(graph.adj):
        return 1
    degrees = graph.degrees
    fit = np.flatnonzero((degrees > 0) & (degrees <= widest))
    if not len(fit):
        return 2
    best = 2
    widest_of = fit[degrees[fit] == degrees[fit].max()]
    for v in (*fit[len(fit) // 2 :][:starts], *widest_of[:starts]):
        candidates = graph.adj[graph.ptr[v] : graph.ptr[v + 1]]
        size = 1
        while len(candidates):
            w = candidates[0]
            size += 1
            # Looked up one by one: the neighbour may be a dense row.
            around = graph.adj[graph.ptr[w] : graph.ptr[w + 1]]
            at = np.minimum(np.searchsorted(around, candidates), max(len(around) - 1, 0))
            candidates = candidates[around[at] == candidates]
        best = max(best, size)
    return best


def symmetric_bound(graph: Graph, kind: str, members: int) -> int:
    """Return a number of colours that a star or acyclic colouring of a graph cannot be below.

    Parameters
    ----------
    graph : Graph
    kind : "star" or "acyclic"
    members : int
        Vertices to be coloured: those with neighbours, and some without.
    """
    if not members:
        return 0
    degrees = graph.degrees
    bound = max(forest_bound(members, len(graph.adj) // 2), clique_bound(graph))
    if kind == "star" and bound == 2:
        ends = np.repeat(degrees, degrees)
        if np.any((ends > 1) & (degrees[graph.adj] > 1)):
            return 3  # a path on four vertices, or a triangle
    return bound
