"""Where NumPy would hold the elements of an array: strides, worked out without any data.

Whether a reshape is a view or a copy, and what ``order="K"`` and ``order="A"`` mean, depends on
strides. A layout is a tuple of them, in bytes; those of axes of length 1 mean nothing. Results of
operations are laid out as NumPy's iterator would lay them out (``nditer_constr.c``,
``npyiter_find_best_axis_ordering``), copies as ``PyArray_NewLikeArray`` would.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "compact",
    "indexed",
    "is_c",
    "is_f",
    "iterated",
    "kept",
    "kept_like",
    "reshaped",
    "row_major",
    "same_order",
    "spread",
]

Layout = tuple[int, ...]
Shape = tuple[int, ...]


def compact(shape: Shape, order: Sequence[int], size: int) -> Layout:
    """Return the strides of an array without gaps whose axes go from slow to fast in `order`."""
    strides = [0] * len(shape)
    for axis in reversed(order):
        strides[axis] = size
        size *= max(shape[axis], 1)
    return tuple(strides)


def row_major(shape: Shape, size: int) -> Layout:
    """Return the strides of an array in C order, of elements of `size` bytes."""
    strides = []
    for n in reversed(shape):
        strides.append(size)
        size *= n or 1
    return tuple(strides[::-1])


def is_c(shape: Shape, layout: Layout, size: int) -> bool:
    """Whether elements lie in C order without gaps."""
    if 0 in shape:
        return True
    for n, s in zip(reversed(shape), reversed(layout), strict=True):
        if n != 1:
            if s != size:
                return False
            size *= n
    return True


def is_f(shape: Shape, layout: Layout, size: int) -> bool:
    """Whether elements lie in Fortran order without gaps."""
    return is_c(shape[::-1], layout[::-1], size)


def kept(layout: Layout) -> list[int]:
    """Return the axes from slow to fast, as a copy in the order of the memory has them."""
    return sorted(range(len(layout)), key=lambda i: -abs(layout[i]))


def iterated(shape: Shape, operands: Sequence[tuple[Shape, Layout]]) -> list[int]:
    """Return the axes from slow to fast, as NumPy's iterator over these operands has them."""
    rank = len(shape)
    lined = []
    for own, layout in operands:
        if len(own) > 0:
            lead = rank - len(own)
            lined.append(
                [0] * lead + [0 if n == 1 else abs(s) for n, s in zip(own, layout, strict=True)]
            )
    order = list(range(rank - 1, -1, -1))  # from fast to slow
    for i in range(1, rank):
        place = i
        axis = order[i]
        for j in range(i - 1, -1, -1):
            ambiguous, swaps = True, False
            for strides in lined:
                slow, fast = strides[axis], strides[order[j]]
                if slow and fast:
                    if fast <= slow:
                        swaps = False  # where operands disagree, C order wins
                    elif ambiguous:
                        swaps = True
                    ambiguous = False
            if not ambiguous:
                if not swaps:
                    break
                place = j
        if place != i:
            order.insert(place, order.pop(i))
    return order[::-1]


def same_order(shape: Shape, a: Layout, b: Layout) -> bool:
    """Whether operations on arrays laid out like this give results in one order."""
    if a == b:
        return True
    axes = [i for i, n in enumerate(shape) if n != 1]
    if any((a[i] == 0) != (b[i] == 0) for i in axes):
        return False
    by_a = sorted(axes, key=lambda i: -abs(a[i]))
    by_b = sorted(axes, key=lambda i: -abs(b[i]))
    return by_a == by_b or 0 in shape


def kept_like(shape: Shape, a: Layout, b: Layout) -> bool:
    """Whether copies of arrays laid out like this have one order of axes."""
    axes = [i for i, n in enumerate(shape) if n != 1]
    return 0 in shape or sorted(axes, key=lambda i: -abs(a[i])) == sorted(
        axes, key=lambda i: -abs(b[i])
    )


def reshaped(shape: Shape, layout: Layout, new: Shape, size: int) -> Layout | None:
    """Return the layout of a reshape that is a view; None where NumPy copies.

    After ``_attempt_nocopy_reshape`` of NumPy's ``shape.c``: runs of axes whose products agree are
    matched, and the old axes of a run must lie without gaps.
    """
    if 0 in shape:
        return row_major(new, size)
    old = [(n, s) for n, s in zip(shape, layout, strict=True) if n != 1]
    made = [0] * len(new)
    i = j = 0
    while i < len(old) and j < len(new):
        last_i, last_j = i + 1, j + 1
        p, q = old[i][0], new[j]
        while p != q:
            if q < p:
                q *= new[last_j]
                last_j += 1
            else:
                p *= old[last_i][0]
                last_i += 1
        for k in range(i, last_i - 1):
            if old[k][1] != old[k + 1][0] * old[k + 1][1]:
                return None
        step = old[last_i - 1][1]
        for k in range(last_j - 1, j - 1, -1):
            made[k] = step
            step *= new[k]
        i, j = last_i, last_j
    for k in range(j, len(new)):  # axes of length 1
        made[k] = made[k - 1] if k else size
    return tuple(made)


def indexed(shape: Shape, layout: Layout, spec: Sequence[object]) -> Layout:
    """Return the layout of a part that is a view: `spec` has no arrays."""
    used = sum(1 for s in spec if s is not None and s is not Ellipsis)
    made: list[int] = []
    axis = 0
    for s in spec:
        if s is None:
            made.append(0)
        elif s is Ellipsis:
            stop = axis + len(shape) - used
            made += layout[axis:stop]
            axis = stop
        else:
            if isinstance(s, slice):
                made.append(layout[axis] * s.indices(shape[axis])[2])
            axis += 1
    return (*made, *layout[axis:])


def spread(shape: Shape, layout: Layout, new: Shape) -> Layout:
    """Return the layout of ``numpy.broadcast_to``."""
    lead = len(new) - len(shape)
    return (0,) * lead + tuple(
        s if n == m else 0 for n, s, m in zip(shape, layout, new[lead:], strict=True)
    )
