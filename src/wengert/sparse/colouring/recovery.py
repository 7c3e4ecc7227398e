"""How the entries of a matrix are recovered from its compressed products.

Compressed by columns, a matrix gives one number for each pair (row, column colour): the sum of the
row's entries in columns of that colour. By rows likewise. All these numbers stand in one array,
those by columns first::

    columns[c, i] at c * m + i        rows[c, j] at offset + c * n + j

An entry alone in its sum is read off (direct); the others are solved for one after the other
(substitution).
"""

from __future__ import annotations

from wengert.loopc.loops import Flags, Floats, Ints, Longs, compiled

__all__ = ["direct", "equations", "schedule", "substitute", "unique"]


@compiled
def unique(ptr: Ints, idx: Ints, colour: Ints, count: Ints, alone: Flags) -> None:
    """Mark entries whose column's colour is the only such one in their row.

    Parameters
    ----------
    ptr, idx
        The matrix by rows.
    colour
        Of columns; -1 for none.
    count
        Workspace: 0 for each colour.
    alone
        The result, one for each entry.
    """
    for i in range(len(ptr) - 1):
        for k in range(ptr[i], ptr[i + 1]):
            c = colour[idx[k]]
            if c >= 0:
                count[c] += 1
        for k in range(ptr[i], ptr[i + 1]):
            c = colour[idx[k]]
            alone[k] = c >= 0 and count[c] == 1
        for k in range(ptr[i], ptr[i + 1]):
            c = colour[idx[k]]
            if c >= 0:
                count[c] = 0


@compiled
def direct(
    ptr: Ints,
    idx: Ints,
    columns: Ints,
    rows: Ints,
    by_column: Flags,
    by_row: Flags,
    offset: int,
    source: Longs,
) -> int:
    """Choose for each entry the number that it is read from; return an entry without one, or -1.

    A column's is preferred where there are both.
    """
    m = len(ptr) - 1
    n = len(columns)
    for i in range(m):
        for k in range(ptr[i], ptr[i + 1]):
            j = idx[k]
            if by_column[k]:
                source[k] = columns[j] * m + i
            elif by_row[k]:
                source[k] = offset + rows[i] * n + j
            else:
                return k
    return -1


@compiled
def equations(ptr: Ints, idx: Ints, colour: Ints, slot: Ints, first: int, member: Ints) -> int:
    """Give numbers to the sums that a row's entries are in, one for each colour in it.

    Parameters
    ----------
    ptr, idx, colour
        As in `unique`.
    slot
        Workspace: -1 for each colour.
    first
        The first number to be given.
    member
        The result: for each entry its sum, -1 where its column has no colour.

    Returns
    -------
    int
        The number after the last one given.
    """
    number = first
    for i in range(len(ptr) - 1):
        for k in range(ptr[i], ptr[i + 1]):
            c = colour[idx[k]]
            member[k] = -1
            if c >= 0:
                if slot[c] < 0:
                    slot[c] = number
                    number += 1
                member[k] = slot[c]
        for k in range(ptr[i], ptr[i + 1]):
            c = colour[idx[k]]
            if c >= 0:
                slot[c] = -1
    return number


@compiled
def schedule(
    one: Ints,
    two: Ints,
    twin: Ints,
    total: int,
    left: Ints,
    pending: Longs,
    queue: Ints,
    entry: Ints,
    by: Ints,
    other: Ints,
) -> int:
    """Order entries so that each is the last unknown of one of its sums when its turn comes.

    For colourings whose two-coloured subgraphs are forests this is the elimination of leaves
    (Gebremedhin, Tarafdar, Pothen, Walther 2009, Efficient computation of sparse Hessians using
    coloring and automatic differentiation, section 3.2); it finds any triangular order there is.

    Parameters
    ----------
    one, two
        For each entry, the sums that it is in; -1 for none.
    twin
        For each entry, the one with the same value: itself, or the transposed one.
    left, pending
        Workspace, for each sum: 0. How many unknowns it has, and the exclusive or of them.
    queue
        Workspace, one for each sum.
    entry, by, other
        The result: an entry, the sum that gives it, and the one that it is taken from, or -1.

    Returns
    -------
    int
        How many entries were ordered.
    """
    for k in range(len(one)):
        if twin[k] >= k:
            if one[k] >= 0:
                left[one[k]] += 1
                pending[one[k]] ^= k
            if two[k] >= 0 and two[k] != one[k]:
                left[two[k]] += 1
                pending[two[k]] ^= k
    tail = 0
    for s in range(len(left)):
        if left[s] == 1:
            queue[tail] = s
            tail += 1
    done = 0
    head = 0
    while head < tail:
        s = queue[head]
        head += 1
        if left[s] == 1:
            k = pending[s]
            o = two[k] if one[k] == s else one[k]
            left[s] = 0
            entry[done] = k
            by[done] = s
            other[done] = -1
            if o >= 0 and o != s:
                left[o] -= 1
                pending[o] ^= k
                if left[o] >= 1:
                    other[done] = o
                if left[o] == 1:
                    queue[tail] = o
                    tail += 1
            done += 1
    return done


@compiled
def substitute(sums: Floats, entry: Ints, by: Ints, other: Ints, twin: Ints, out: Floats) -> None:
    """Solve for entries in the order of `schedule`; `sums` is used up."""
    for t in range(len(entry)):
        k = entry[t]
        value = sums[by[t]]
        out[k] = value
        out[twin[k]] = value
        if other[t] >= 0:
            sums[other[t]] -= value
