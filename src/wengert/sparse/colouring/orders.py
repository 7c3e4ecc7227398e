"""The order in which a greedy algorithm takes the vertices."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wengert.loopc.loops import Flags, Ints, compiled

__all__ = ["ORDERS", "dynamic", "largest_first"]

Array = NDArray[Any]

ORDERS = (
    "natural",
    "largest first",
    "smallest last",
    "incidence degree",
    "dynamic largest first",
    "random",
)
"""Names of orders; the sources are in `dynamic` and `largest_first`."""

_MODES = {"smallest last": 0, "dynamic largest first": 1, "incidence degree": 2}


@compiled
def _insert(v: int, key: Ints, head: Ints, after: Ints, before: Ints) -> None:
    b = key[v]
    after[v] = head[b]
    before[v] = -1
    if head[b] >= 0:
        before[head[b]] = v
    head[b] = v


@compiled
def _remove(v: int, key: Ints, head: Ints, after: Ints, before: Ints) -> None:
    if before[v] >= 0:
        after[before[v]] = after[v]
    else:
        head[key[v]] = after[v]
    if after[v] >= 0:
        before[after[v]] = before[v]


@compiled
def _change(
    v: int, step: int, key: Ints, head: Ints, after: Ints, before: Ints, done: Flags
) -> int:
    """Move a vertex to the next bucket; return its key (-1 for one that has its place)."""
    if done[v]:
        return -1
    _remove(v, key, head, after, before)
    key[v] += step
    _insert(v, key, head, after, before)
    return key[v]


@compiled
def _buckets(
    ptr: Ints,
    adj: Ints,
    tptr: Ints,
    tadj: Ints,
    twice: bool,
    dense: Flags,
    mode: int,
    key: Ints,
    head: Ints,
    after: Ints,
    before: Ints,
    done: Flags,
    order: Ints,
) -> None:
    """Order by degrees that change as vertices are taken; `key` and `done` come prepared."""
    n = len(order)
    top = 0
    left = 0
    for v in range(n - 1, -1, -1):
        if not done[v]:
            _insert(v, key, head, after, before)
            top = max(top, key[v])
            left += 1
    step = 1 if mode == 2 else -1
    low = 0
    size = left
    while left > 0:
        if mode == 0:
            while head[low] < 0:
                low += 1
            v = head[low]
        else:
            while head[top] < 0:
                top -= 1
            v = head[top]
        _remove(v, key, head, after, before)
        done[v] = True
        left -= 1
        order[left if mode == 0 else size - 1 - left] = v
        for k in range(ptr[v], ptr[v + 1]):
            w = adj[k]
            if not twice:
                now = _change(w, step, key, head, after, before, done)
                top = max(top, now)
                if now >= 0:
                    low = min(low, now)
            elif not dense[w]:
                for q in range(tptr[w], tptr[w + 1]):
                    now = _change(tadj[q], step, key, head, after, before, done)
                    top = max(top, now)
                    if now >= 0:
                        low = min(low, now)


def largest_first(degrees: Array, members: Array) -> Array:
    """Return vertices by falling degree (Welsh and Powell 1967)."""
    return members[np.argsort(-degrees[members], kind="stable")].astype(np.int32)


def dynamic(
    name: str,
    graph: tuple[Array, Array],
    back: tuple[Array, Array] | None,
    dense: Array,
    degrees: Array,
    members: Array,
) -> Array:
    """Return vertices in an order by degrees that change as vertices are taken.

    Smallest last (Matula and Beck 1983) removes a vertex of least degree and puts it last; dynamic
    largest first removes one of greatest degree and puts it first; incidence degree (Coleman and
    Moré 1983) takes the vertex with most neighbours taken. Time is linear in the edges walked.

    Parameters
    ----------
    name : str
    graph : (ptr, adj)
        Neighbours at distance 1.
    back : (ptr, adj), optional
        Where neighbours at distance 2 count, through vertices of the other side: from there back.
        A neighbour reached in two ways counts twice.
    dense : array of bool
        Vertices of the other side that are left out: all around them have the same from them.
    degrees : array
    members : array
        Vertices to be ordered.
    """
    n = len(graph[0]) - 1
    mode = _MODES[name]
    key = np.zeros(n, np.int32) if mode == 2 else degrees.astype(np.int32)
    head = np.full(int(degrees.max(initial=0)) + 2, -1, np.int32)
    done = np.ones(n, np.bool_)
    done[members] = False
    after, before = np.empty(n, np.int32), np.empty(n, np.int32)
    order = np.empty(n, np.int32)
    tptr, tadj = graph if back is None else back
    twice = back is not None
    _buckets(*graph, tptr, tadj, twice, dense, mode, key, head, after, before, done, order)
    return order[: len(members)].copy()
