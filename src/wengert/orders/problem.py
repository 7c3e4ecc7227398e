"""Elimination graphs: who depends on whom, which edges cost, and the orders' costs."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from wengert.errors import DataError, InputError, OrderError, user_line
from wengert.orders import loops

__all__ = ["EliminationGraph", "checked", "eliminated"]

Ints = np.ndarray[Any, np.dtype[np.int32]]

MOST = 1200
"""Vertices of the largest graph that orders are searched for."""


class EliminationGraph:
    """A directed graph without cycles, whose intermediate vertices are eliminated.

    The Jacobian's entries are the edges from inputs to outputs that are left in the end. To
    eliminate a vertex takes a multiplication for each pair of an edge that leads to it and one that
    leads away (Griewank and Reese, *On the calculation of Jacobian matrices by the Markowitz rule*,
    1991).

    Parameters
    ----------
    intermediates : int
        They are the vertices before this number, in the order of the program.
    vertices : int
    edges : sequence of (source, target, general)
        An edge that is not general stands for +1 or -1, and costs nothing where `unit_free` is set,
        until it merges with another. Edges between the same vertices are merged.
    unit_free : bool
        Whether products with such edges are free.
    name : str
    """

    def __init__(
        self,
        intermediates: int,
        vertices: int,
        edges: Iterable[tuple[int, int, bool]],
        unit_free: bool = False,
        name: str = "",
    ) -> None:
        self.intermediates, self.vertices = intermediates, vertices
        self.unit_free, self.name = unit_free, name
        found: dict[tuple[int, int], bool] = {}
        for u, v, general in edges:
            if not (0 <= u < vertices and 0 <= v < vertices):
                raise DataError(
                    f"an edge from {u} to {v}, but there are {vertices} vertices" + user_line()
                )
            found[u, v] = True if (u, v) in found else bool(general)
        self.edges: dict[tuple[int, int], bool] = found
        self._check()

    def _check(self) -> None:
        n = self.intermediates
        into, out = {v for _, v in self.edges}, {u for u, _ in self.edges}
        for v in range(n):
            if v not in into or v not in out:
                raise DataError(
                    f"vertex {v} is an intermediate one, but nothing leads "
                    f"{'to it' if v not in into else 'on from it'}" + user_line()
                )
        if any(u >= v for u, v in self.edges if u < n and v < n):
            raise DataError(
                "intermediate vertices must be numbered in the order of the program: each edge "
                "between two of them leads to the greater number" + user_line()
            )
        if any(u == v or (u in into and u >= n) for u, v in self.edges):
            raise DataError("the graph has a cycle, or goes on from an output" + user_line())

    @classmethod
    def load(cls, path: str | os.PathLike[str], unit_free: bool | None = None) -> EliminationGraph:
        """Read an edge list.

        Its first line has the numbers of intermediates, vertices and edges; each other line a
        source, a target, and 1 where the edge is general.

        Parameters
        ----------
        path : path
        unit_free : bool, optional
            By default, whether the list has an edge that is not general.

        Raises
        ------
        DataError
            For a file that is not such a list.
        """
        try:
            rows = [
                [int(word) for word in line.split()]
                for line in Path(path).read_text(encoding="utf-8").splitlines()
                if line.strip()
            ]
            n, size, count = rows[0]
            edges = [(u, v, bool(general)) for u, v, general in rows[1:]]
        except (ValueError, IndexError) as error:
            raise DataError(
                f"{path} is no edge list ({error}). Its first line has the numbers of "
                f"intermediates, vertices and edges, each other one a source, a target and 0 or 1"
                + user_line()
            ) from None
        if len(edges) != count:
            raise DataError(f"{path} names {count} edges and has {len(edges)}" + user_line())
        free = any(not g for _, _, g in edges) if unit_free is None else unit_free
        return cls(n, size, edges, free, Path(path).name.split(".")[0])

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the edge list that `load` reads."""
        head = f"{self.intermediates} {self.vertices} {len(self.edges)}"
        lines = [f"{u} {v} {int(g)}" for (u, v), g in self.edges.items()]
        Path(path).write_text("\n".join([head, *lines, ""]), encoding="utf-8")

    def priced(self, unit_free: bool) -> EliminationGraph:
        """Return the same graph, with edges of +1 and -1 free or not."""
        edges = [(u, v, g) for (u, v), g in self.edges.items()]
        return EliminationGraph(self.intermediates, self.vertices, edges, unit_free, self.name)

    # --- what it says -----------------------------------------------------------------------------
    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """The vertices that nothing leads to."""
        into = {v for _, v in self.edges}
        return tuple(v for v in range(self.intermediates, self.vertices) if v not in into)

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """The vertices that nothing leads on from, and that something leads to."""
        into = {v for _, v in self.edges}
        return tuple(v for v in range(self.intermediates, self.vertices) if v in into)

    @cached_property
    def key(self) -> str:
        """A hash of the graph and of what counts."""
        text = f"{self.intermediates} {self.vertices} {self.unit_free} " + " ".join(
            f"{u}>{v}{'' if g else '~'}" for (u, v), g in sorted(self.edges.items())
        )
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @cached_property
    def reaching(self) -> tuple[Ints, Ints]:
        """For each vertex, the number of inputs that lead to it and of outputs that it leads to."""
        before = [0] * self.vertices
        after = [0] * self.vertices
        for i, v in enumerate(self.inputs):
            before[v] = 1 << i
        for i, v in enumerate(self.outputs):
            after[v] = 1 << i
        of, on = self.neighbours
        for v in (*range(self.intermediates), *self.outputs):
            for u in of[v]:
                before[v] |= before[u]
        for v in (*reversed(range(self.intermediates)), *self.inputs):
            for w in on[v]:
                after[v] |= after[w]
        counts = [np.array([x.bit_count() for x in xs], np.int32) for xs in (before, after)]
        return counts[0], counts[1]

    @cached_property
    def neighbours(self) -> tuple[list[list[int]], list[list[int]]]:
        """The predecessors and the successors of each vertex."""
        of: list[list[int]] = [[] for _ in range(self.vertices)]
        on: list[list[int]] = [[] for _ in range(self.vertices)]
        for u, v in self.edges:
            of[v].append(u)
            on[u].append(v)
        return of, on

    def __str__(self) -> str:
        """Return a line for people."""
        return (
            f"{self.name or 'elimination graph'}: {len(self.inputs)} inputs, "
            f"{self.intermediates} intermediates, {len(self.outputs)} outputs, "
            f"{len(self.edges)} edges"
            + (f", {sum(not g for g in self.edges.values())} free" if self.unit_free else "")
        )

    __repr__ = __str__

    def accumulate(
        self, values: Mapping[tuple[int, int], Any], order: Sequence[int]
    ) -> dict[tuple[int, int], Any]:
        """Eliminate the vertices in an order, with values of the edges.

        Parameters
        ----------
        values : mapping of (source, target) to number
            The partial derivatives.
        order : sequence of int

        Returns
        -------
        dict of (input, output) to number
            The entries of the Jacobian that are not zero by structure.
        """
        checked(order, self.intermediates)
        of, on = (list(map(list, lists)) for lists in self.neighbours)
        return eliminated(dict(values), of, on, order, lambda a, b: a * b, lambda a, b: a + b)

    # --- what an order costs ----------------------------------------------------------------------
    def multiplications(self, order: Sequence[int]) -> int:
        """Return the multiplications that an order of elimination takes.

        Parameters
        ----------
        order : sequence of int
            All intermediate vertices, each once.

        Raises
        ------
        OrderError
            For anything else.
        """
        return self.state.count(checked(order, self.intermediates))

    def operations(self, order: Sequence[int]) -> tuple[int, int]:
        """Return the multiplications and additions of an order.

        A product that meets an edge is an addition. Their number does not depend on prices.
        """
        given = checked(order, self.intermediates)
        of, on = (list(map(set, lists)) for lists in self.neighbours)
        additions = 0
        for v in given.tolist():
            for u in of[v]:
                on[u].discard(v)
                additions += len(on[u] & on[v])
                on[u] |= on[v]
            for w in on[v]:
                of[w].discard(v)
                of[w] |= of[v]
        return self.state.count(given), additions

    @cached_property
    def state(self) -> State:
        """The arrays that the compiled loops work on."""
        return State(self)


def eliminated(
    c: dict[tuple[int, int], Any],
    before: list[list[int]],
    after: list[list[int]],
    order: Sequence[int],
    times: Callable[[Any, Any], Any],
    plus: Callable[[Any, Any], Any],
) -> dict[tuple[int, int], Any]:
    """Eliminate vertices: change the edges `c` and the lists of neighbours; return the edges.

    ``times(first, second)`` multiplies an edge with one that follows it.
    """
    for v in order:
        for u in before[v]:
            first = c.pop((u, v))
            after[u].remove(v)
            for w in after[v]:
                made = times(first, c[v, w])
                if (u, w) in c:
                    c[u, w] = plus(c[u, w], made)
                else:
                    c[u, w] = made
                    before[w].append(u)
                    after[u].append(w)
        for w in after[v]:
            del c[v, w]
            before[w].remove(v)
        before[v], after[v] = [], []
    return c


def checked(order: Sequence[int], n: int) -> Ints:
    """Return an order as an array.

    Raises
    ------
    OrderError
        Where it is no permutation of the numbers below `n`.
    """
    try:
        given = [int(v) for v in order]
    except (TypeError, ValueError):
        raise InputError(
            f"an order is a sequence of the vertices' numbers, not {type(order).__name__}"
            + user_line()
        ) from None
    seen = set(given)
    if len(given) != n or seen != set(range(n)):
        twice = sorted({v for v in seen if given.count(v) > 1})
        lacking = [v for v in range(n) if v not in seen]
        beyond = sorted(v for v in seen if not 0 <= v < n)
        why = [
            f"{what} {', '.join(map(str, some[:8]))}{' ...' if len(some) > 8 else ''}"
            for what, some in (("it lacks", lacking), ("repeats", twice), ("names also", beyond))
            if some
        ]
        raise OrderError(
            f"an order names each of the {n} intermediate vertices once, and this one does not: "
            f"{'; '.join(why)}. Change the places of the vertices in an order, not the vertices"
            + user_line()
        )
    return np.array(given, np.int32)


class State:
    """The graph as the loops want it, and the room that they work in."""

    def __init__(self, graph: EliminationGraph) -> None:
        size = graph.vertices
        if size > MOST:
            raise OrderError(
                f"the graph has {size:,} vertices, and orders are counted for graphs of up to "
                f"{MOST:,}" + user_line()
            )
        self.graph, self.size = graph, size
        first = np.zeros((size, size), np.int32)
        for (u, v), general in graph.edges.items():
            first[u, v] = 2 if general or not graph.unit_free else 1
        self.plist, self.slist, self.kind = np.zeros((3, size * size), np.int32)
        self.log = np.zeros(4 * size * size, np.int32)
        self.pcount, self.scount, self.left = np.zeros((3, size), np.int32)
        loops.starting(
            size, first.reshape(-1), self.plist, self.pcount, self.slist, self.scount, self.kind
        )
        parts = []
        for lists, counts in ((self.plist, self.pcount), (self.slist, self.scount)):
            for v in range(size):
                parts.append([counts[v], *lists[v * size : v * size + counts[v]]])
        self.base = np.concatenate([*parts, []]).astype(np.int32)
        self._walked = (
            size, self.plist, self.pcount, self.slist, self.scount, self.kind, self.base, self.log,
        )  # fmt: skip

    def count(self, order: Ints, limit: int = 1 << 60) -> int:
        """Return the multiplications of an order."""
        return int(loops.count(order, limit, *self._walked))

    def greedy(self, given: Sequence[int], rule: int, tie: Ints) -> tuple[int, Ints]:
        """Complete an order; return its multiplications and itself."""
        order = np.zeros(self.graph.intermediates, np.int32)
        order[: len(given)] = given
        before, after = self.graph.reaching
        weight = before.astype(np.int64) * after
        total = loops.greedy(order, len(given), rule, weight, tie, *self._walked, self.left)
        return int(total), order

    def anneal(
        self, order: Ints, best: Ints, costs: Any, start: Ints, stop: Ints, allowed: Any
    ) -> None:
        """Try moves; see `wengert.orders.loops.anneal`."""
        loops.anneal(order, best, costs, start, stop, allowed, *self._walked)
