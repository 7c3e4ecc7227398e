"""Greedy colouring: one pass over the vertices in a given order.

All of it works on arrays: ``ptr`` and ``adj`` are a graph's adjacency (the neighbours of ``v`` are
``adj[ptr[v]:ptr[v + 1]]``), colours count from 0, and -1 is no colour.
"""

from __future__ import annotations

from wengert.loopc.loops import Flags, Ints, Longs, compiled

__all__ = ["acyclic", "distance2", "star", "transpose"]


@compiled
def transpose(
    ptr: Ints, idx: Ints, rows: int, columns: int, tptr: Ints, tidx: Ints, place: Ints
) -> bool:
    """Transpose a pattern; False if its indices are out of range, repeated or out of order.

    ``place[k]`` is where entry ``k`` of the transpose stands in the pattern.
    """
    for i in range(rows):
        before = -1
        for k in range(ptr[i], ptr[i + 1]):
            j = idx[k]
            if j <= before or j >= columns:
                return False
            before = j
            tptr[j + 1] += 1
    for j in range(columns):
        tptr[j + 1] += tptr[j]
    # Each start moves on as its row fills, and ends as the next one's start.
    for i in range(rows):
        for k in range(ptr[i], ptr[i + 1]):
            j = idx[k]
            t = tptr[j]
            tidx[t] = i
            place[t] = k
            tptr[j] = t + 1
    for j in range(columns, 0, -1):
        tptr[j] = tptr[j - 1]
    tptr[0] = 0
    return True


@compiled
def _find(table: Longs, key: int) -> int:
    """Return where a key of an open hash table is, or the free place where it belongs."""
    mask = len(table) - 1
    at = ((key * 2654435761) >> 12) & mask
    while table[at] != 0 and table[at] != key:
        at = (at + 1) & mask
    return at


@compiled
def distance2(
    ptr: Ints,
    idx: Ints,
    tptr: Ints,
    tidx: Ints,
    order: Ints,
    dense: Flags,
    limit: int,
    colour: Ints,
    mark: Ints,
    low: Ints,
    table: Longs,
) -> int:
    """Partial distance-2 colouring of one side of a bipartite graph, first fit.

    Gebremedhin, Manne, Pothen (2005), What color is your Jacobian?, Algorithm 3.2, which is Curtis,
    Powell and Reid (1974) with orders. The colours around a dense vertex of the other side are kept
    in a hash table, so that it is not walked once per neighbour: what takes time is the number of
    its edges, not their square.

    Parameters
    ----------
    ptr, idx
        From the vertices to be coloured to the other side; `tptr`, `tidx` back.
    order
        Vertices; those left out stay without a colour.
    dense
        Vertices of the other side to be kept in the table.
    limit
        Give up at this many colours.
    colour
        The result, all -1 at first.
    mark, low, table
        Workspace: -1 for each possible colour, 0 for each vertex of the other side, and zeros, a
        power of two in number and at least twice the edges of dense vertices.

    Returns
    -------
    int
        The number of colours; `limit` where it gave up.
    """
    base = len(mark)
    number = 0
    for t in range(len(order)):
        v = order[t]
        c = 0
        crowded = False
        for k in range(ptr[v], ptr[v + 1]):
            w = idx[k]
            if dense[w]:
                crowded = True
                c = max(c, low[w])
            else:
                for q in range(tptr[w], tptr[w + 1]):
                    other = colour[tidx[q]]
                    if other >= 0:
                        mark[other] = v
        while True:
            while mark[c] == v:
                c += 1
            if not crowded:
                break
            free = True
            for k in range(ptr[v], ptr[v + 1]):
                w = idx[k]
                if dense[w] and table[_find(table, w * base + c + 1)] != 0:
                    free = False
                    break
            if free:
                break
            c += 1
        colour[v] = c
        number = max(number, c + 1)
        if number >= limit:
            return limit
        if crowded:
            for k in range(ptr[v], ptr[v + 1]):
                w = idx[k]
                if dense[w]:
                    key = w * base + c + 1
                    table[_find(table, key)] = key
                    while table[_find(table, w * base + low[w] + 1)] != 0:
                        low[w] += 1
    return number


@compiled
def _slot(ptr: Ints, used: Ints, shade: Ints, w: int, c: int) -> int:
    """Return the place of colour `c` among those around `w`, or the place after them."""
    s = ptr[w]
    end = s + used[w]
    while s < end and shade[s] != c:
        s += 1
    return s


@compiled
def _open(v: int, sides: bool, ptr: Ints, used: Ints, shade: Ints, mark: Ints, place: Ints) -> None:
    """Note where each colour around `v` is; without sides, `v` may have none of them."""
    for s in range(ptr[v], ptr[v] + used[v]):
        place[shade[s]] = s
        if not sides:
            mark[shade[s]] = v


@compiled
def _first_free(mark: Ints, v: int) -> int:
    """Return the smallest colour that is not marked as one that `v` must not have."""
    c = 0
    while mark[c] == v:
        c += 1
    return c


@compiled
def star(
    ptr: Ints,
    adj: Ints,
    order: Ints,
    neutral: Flags,
    sides: bool,
    rule: int,
    limit: int,
    colour: Ints,
    mark: Ints,
    used: Ints,
    shade: Ints,
    first: Ints,
    count: Ints,
    hub: Flags,
    place: Ints,
) -> int:
    """Star colouring: neighbours differ, and no path on four vertices has two colours.

    Gebremedhin, Tarafdar, Manne, Pothen (2007), New acyclic and star coloring algorithms,
    Algorithm 4.1, and for two sides Montoison, Dalle, Gebremedhin (2025), Revisiting sparse matrix
    coloring and bicoloring. Here each vertex keeps the distinct colours around it (slots), with
    one neighbour of that colour and how many there are: a vertex is walked by its colours, never by
    its neighbours, so a dense row costs as many steps as it has entries.

    Parameters
    ----------
    ptr, adj
        The graph, without loops.
    order
        Vertices to be coloured.
    neutral
        Vertices that never get a colour: their neighbours all differ.
    sides
        Whether the graph is bipartite with colours of its own on each side, so that neighbours
        need not differ.
    rule
        0 is the algorithm named. Two others take no account of much that does no harm, and still
        end with fewer colours now and then: 1 keeps vertices apart that share a neighbour without
        a colour yet (Gebremedhin, Manne, Pothen 2005, Algorithm 4.1), and 2 besides lets two
        vertices of one colour share a neighbour only if its colour is less (restricted star
        colouring, section 4 there; for graphs without sides).
    limit
        Give up at this many colours.
    colour, mark
        -1 for each vertex (the result), and for each possible colour.
    used
        0 for each vertex: its number of slots, from ``ptr[v]`` on.
    shade, first, count, hub
        One for each edge, for slots: the colour, a neighbour of that colour, how many there are,
        and whether that one neighbour has more neighbours of this vertex's colour.
    place
        Workspace, one for each colour.

    Returns
    -------
    int
        The number of colours (with two sides, the greater of both numbers); `limit` where it gave
        up.
    """
    number = 0
    for t in range(len(order)):
        v = order[t]
        _open(v, sides, ptr, used, shade, mark, place)
        for k in range(ptr[v], ptr[v + 1]):
            w = adj[k]
            a = colour[w]
            if neutral[w] or (a < 0 and rule > 0):
                for s in range(ptr[w], ptr[w] + used[w]):
                    mark[shade[s]] = v
            elif a >= 0 and rule == 2:
                for s in range(ptr[w], ptr[w] + used[w]):
                    if shade[s] < a:
                        mark[shade[s]] = v
            elif a >= 0:
                # v is between two vertices of one colour, or next to an end of a longer path.
                middle = count[place[a]] > 1
                for s in range(ptr[w], ptr[w] + used[w]):
                    if middle or (count[s] == 1 and hub[s]):
                        mark[shade[s]] = v
        c = _first_free(mark, v)
        colour[v] = c
        number = max(number, c + 1)
        if number >= limit:
            return limit
        for k in range(ptr[v], ptr[v + 1]):
            w = adj[k]
            s = _slot(ptr, used, shade, w, c)
            if s == ptr[w] + used[w]:
                used[w] += 1
                shade[s] = c
                first[s] = v
                count[s] = 1
                hub[s] = False
            else:
                count[s] += 1
            a = colour[w]
            if a >= 0:
                if count[place[a]] > 1:
                    hub[s] = True
                if count[s] > 1:
                    hub[place[a]] = True
                if count[s] == 2:
                    hub[_slot(ptr, used, shade, first[s], a)] = True
    return number


@compiled
def _root(parent: Ints, s: int) -> int:
    while parent[s] != s:
        parent[s] = parent[parent[s]]
        s = parent[s]
    return s


@compiled
def acyclic(
    ptr: Ints,
    adj: Ints,
    order: Ints,
    neutral: Flags,
    sides: bool,
    limit: int,
    colour: Ints,
    mark: Ints,
    used: Ints,
    shade: Ints,
    parent: Ints,
    seen: Ints,
    via: Ints,
    place: Ints,
) -> int:
    """Acyclic colouring: neighbours differ, and no cycle has two colours.

    Gebremedhin, Tarafdar, Manne, Pothen (2007), New acyclic and star coloring algorithms,
    Algorithm 3.1. All edges from a vertex to neighbours of one colour lie in one tree of two
    colours, so slots (see `star`) and not edges are the members of the disjoint sets.

    Parameters and result are those of `star`, with, for each edge (for slots):

    parent, seen, via
        The disjoint sets; -1 where no vertex looked at the set yet; the neighbour through which
        one did.
    """
    number = 0
    for t in range(len(order)):
        v = order[t]
        _open(v, sides, ptr, used, shade, mark, place)
        for k in range(ptr[v], ptr[v + 1]):
            w = adj[k]
            if neutral[w]:
                for s in range(ptr[w], ptr[w] + used[w]):
                    mark[shade[s]] = v
            elif colour[w] >= 0:
                for s in range(ptr[w], ptr[w] + used[w]):
                    if mark[shade[s]] != v:
                        tree = _root(parent, s)
                        if seen[tree] != v:
                            seen[tree] = v
                            via[tree] = w
                        elif via[tree] != w:
                            mark[shade[s]] = v
        c = _first_free(mark, v)
        colour[v] = c
        number = max(number, c + 1)
        if number >= limit:
            return limit
        for k in range(ptr[v], ptr[v + 1]):
            w = adj[k]
            s = _slot(ptr, used, shade, w, c)
            if s == ptr[w] + used[w]:
                used[w] += 1
                shade[s] = c
                parent[s] = s
            if colour[w] >= 0:
                parent[_root(parent, s)] = _root(parent, place[colour[w]])
    return number
