"""The loops over vertices and edges: elimination counted, greedy orders, annealing, sets.

A graph of `size` vertices is the flat matrix ``kind``, 0 for no edge, 1 for an edge that costs
nothing (+1 or -1) and 2 for any other, with lists of predecessors and successors. The intermediate
vertices come first. To eliminate one is to multiply each pair of an edge in and an edge out.
"""

from __future__ import annotations

from wengert.loopc.loops import Floats, Ints, Longs, compiled

__all__ = ["anneal", "count", "exact", "greedy", "starting"]


@compiled
def starting(
    size: int, first: Ints, plist: Ints, pcount: Ints, slist: Ints, scount: Ints, kind: Ints
) -> None:
    """Fill lists and counts from the matrix `first`, and copy it to `kind`."""
    for v in range(size):
        pcount[v] = 0
        scount[v] = 0
    for u in range(size):
        for v in range(size):
            k = first[u * size + v]
            kind[u * size + v] = k
            if k != 0:
                slist[u * size + scount[u]] = v
                scount[u] = scount[u] + 1
                plist[v * size + pcount[v]] = u
                pcount[v] = pcount[v] + 1


@compiled
def _again(
    size: int, plist: Ints, pcount: Ints, slist: Ints, scount: Ints, kind: Ints, base: Ints,
    logged: int, log: Ints,
) -> None:  # fmt: skip
    """Put everything back to the beginning: `base` holds lists and counts as they were."""
    while logged > 0:
        logged -= 2
        kind[log[logged]] = log[logged + 1]
    at = 0
    for v in range(size):
        n = base[at]
        at += 1
        pcount[v] = n
        for i in range(n):
            plist[v * size + i] = base[at]
            at += 1
    for v in range(size):
        n = base[at]
        at += 1
        scount[v] = n
        for i in range(n):
            slist[v * size + i] = base[at]
            at += 1


@compiled
def _cost(v: int, size: int, plist: Ints, pcount: Ints, slist: Ints, scount: Ints, kind: Ints) -> int:  # fmt: skip # noqa: E501
    """Return how many multiplications the elimination of `v` takes."""
    before = 0
    for a in range(pcount[v]):
        if kind[plist[v * size + a] * size + v] == 2:
            before += 1
    after = 0
    for b in range(scount[v]):
        if kind[v * size + slist[v * size + b]] == 2:
            after += 1
    return before * after


@compiled
def _eliminate(
    v: int, size: int, plist: Ints, pcount: Ints, slist: Ints, scount: Ints, kind: Ints, log: Ints,
    logged: int,
) -> int:  # fmt: skip
    """Eliminate a vertex; return how much of `log` is in use."""
    for a in range(pcount[v]):
        p = plist[v * size + a]
        kp = kind[p * size + v]
        for b in range(scount[v]):
            s = slist[v * size + b]
            at = p * size + s
            old = kind[at]
            made = max(kp, kind[v * size + s])
            if old == 0:
                slist[p * size + scount[p]] = s
                scount[p] = scount[p] + 1
                plist[s * size + pcount[s]] = p
                pcount[s] = pcount[s] + 1
            else:
                made = 2
            if made != old:
                log[logged] = at
                log[logged + 1] = old
                logged += 2
                kind[at] = made
    for a in range(pcount[v]):
        p = plist[v * size + a]
        i = 0
        while slist[p * size + i] != v:
            i += 1
        last = scount[p] - 1
        slist[p * size + i] = slist[p * size + last]
        scount[p] = last
    for b in range(scount[v]):
        s = slist[v * size + b]
        i = 0
        while plist[s * size + i] != v:
            i += 1
        last = pcount[s] - 1
        plist[s * size + i] = plist[s * size + last]
        pcount[s] = last
    pcount[v] = 0
    scount[v] = 0
    return logged


@compiled
def count(
    order: Ints, limit: int, size: int, plist: Ints, pcount: Ints, slist: Ints, scount: Ints,
    kind: Ints, base: Ints, log: Ints,
) -> int:  # fmt: skip
    """Return the multiplications of an order; more than `limit` where it gave up.

    The state is that of the beginning, before and after.
    """
    total = 0
    logged = 0
    i = 0
    while i < len(order) and total <= limit:
        v = order[i]
        total += _cost(v, size, plist, pcount, slist, scount, kind)
        logged = _eliminate(v, size, plist, pcount, slist, scount, kind, log, logged)
        i += 1
    _again(size, plist, pcount, slist, scount, kind, base, logged, log)
    return total


@compiled
def greedy(
    order: Ints, given: int, rule: int, weight: Longs, tie: Ints, size: int, plist: Ints,
    pcount: Ints, slist: Ints, scount: Ints, kind: Ints, base: Ints, log: Ints, left: Ints,
) -> int:  # fmt: skip
    """Complete an order whose first `given` vertices stand; return its multiplications.

    Rule 0 takes the vertex with the least product of its degrees (Markowitz), rule 1 the least
    difference of its cost to `weight` (relative Markowitz), rule 2 the least cost. Among equals the
    first in `tie`.
    """
    n = len(order)
    total = 0
    logged = 0
    for v in range(n):
        left[v] = 1
    for i in range(given):
        v = order[i]
        left[v] = 0
        total += _cost(v, size, plist, pcount, slist, scount, kind)
        logged = _eliminate(v, size, plist, pcount, slist, scount, kind, log, logged)
    for i in range(given, n):
        chosen = -1
        least = 0
        for t in range(n):
            v = tie[t]
            if left[v] == 1:
                if rule == 0:
                    c = pcount[v] * scount[v]
                else:
                    c = _cost(v, size, plist, pcount, slist, scount, kind)
                if rule == 1:
                    c -= weight[v]
                if chosen < 0 or c < least:
                    chosen = v
                    least = c
        order[i] = chosen
        left[chosen] = 0
        total += _cost(chosen, size, plist, pcount, slist, scount, kind)
        logged = _eliminate(chosen, size, plist, pcount, slist, scount, kind, log, logged)
    _again(size, plist, pcount, slist, scount, kind, base, logged, log)
    return total


@compiled
def anneal(
    order: Ints, best: Ints, state: Longs, start: Ints, stop: Ints, allowed: Floats, size: int,
    plist: Ints, pcount: Ints, slist: Ints, scount: Ints, kind: Ints, base: Ints, log: Ints,
) -> None:  # fmt: skip
    """Try moves of one vertex to another place; keep those that add no more than is allowed.

    Parameters
    ----------
    order, best
        The present order and the best one yet.
    state
        Their multiplications, present and best.
    start, stop
        For each move, from where to where.
    allowed
        For each move, the multiplications that it may add.
    """
    for t in range(len(start)):
        a = start[t]
        b = stop[t]
        v = order[a]
        step = 1 if a < b else -1
        i = a
        while i != b:
            order[i] = order[i + step]
            i += step
        order[b] = v
        limit = state[0] + int(allowed[t])
        found = count(order, limit, size, plist, pcount, slist, scount, kind, base, log)
        if found <= limit:
            state[0] = found
            if found < state[1]:
                state[1] = found
                for k in range(len(order)):
                    best[k] = order[k]
        else:
            i = b
            while i != a:
                order[i] = order[i - step]
                i -= step
            order[a] = v


@compiled
def _reached(
    mask: int, n: int, size: int, ptr: Ints, end: Ints, general: Ints, backwards: bool,
    every: Longs, costly: Longs,
) -> None:  # fmt: skip
    """Find the neighbours on one side of each vertex, once the vertices of `mask` are gone."""
    for t in range(n):
        v = n - 1 - t if backwards else t
        some = 0
        more = 0
        for e in range(ptr[v], ptr[v + 1]):
            d = end[e]
            if d < n and ((mask >> d) & 1) == 1:
                new = every[d]
                gen = new if general[e] == 1 else costly[d]
            else:
                new = 1 << d
                gen = new if general[e] == 1 else 0
            more = more | gen | (some & new)
            some = some | new
        every[v] = some
        costly[v] = more


@compiled
def _bits(x: int) -> int:
    """Return how many bits are set."""
    n = 0
    while x != 0:
        x = x & (x - 1)
        n += 1
    return n


@compiled
def exact(
    n: int, size: int, pptr: Ints, pend: Ints, pgen: Ints, sptr: Ints, send: Ints, sgen: Ints,
    bound: int, least: Ints, came: Ints, pall: Longs, pcost: Longs, sall: Longs, scost: Longs,
) -> int:  # fmt: skip
    """Find the least multiplications of all orders; `came` holds the last vertex of each set.

    What is left after a set of vertices is gone does not depend on their order, so the best order
    of a set ends with one of its vertices after the best order of the others (Held and Karp).
    `least` begins above `bound` everywhere but at the empty set. Sets that take more than `bound`
    are passed over.
    """
    for mask in range(1 << n):
        have = least[mask]
        if have <= bound:
            _reached(mask, n, size, pptr, pend, pgen, False, pall, pcost)
            _reached(mask, n, size, sptr, send, sgen, True, sall, scost)
            for v in range(n):
                if ((mask >> v) & 1) == 0:
                    total = have + _bits(pcost[v]) * _bits(scost[v])
                    other = mask | (1 << v)
                    if total < least[other]:
                        least[other] = total
                        came[other] = v
    return least[(1 << n) - 1]
