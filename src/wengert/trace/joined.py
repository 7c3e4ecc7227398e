"""A view of a view as one view of the base, so that a long chain costs no more than a short one.

Reading a part and permuting axes go together into one part and one permutation. A reshape that only
adds or drops axes of length 1 is such a part; two other reshapes are the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.ops.index import getitem
from wengert.ops.shape import reshape, transpose

__all__ = ["PART", "joined"]

Step = tuple[Any, dict[str, Any]]


class Part:
    """A part of an array, with permuted axes, as one operation on handles."""

    alias = "part"
    name = "view"

    def __call__(self, base: Any, *, spec: tuple[Any, ...], axes: tuple[int, ...]) -> Any:
        """Read it."""
        return transpose(getitem(base, spec=spec), axes=axes)


PART = Part()


def joined(shape: tuple[int, ...], first: Step, between: tuple[int, ...], then: Step) -> Any:
    """Return the step from a base of `shape` to a view of its view `between`, or None.

    Raises nothing; None stands for steps that do not go together.
    """
    if first[0] is reshape and then[0] is reshape:
        return then
    one, two = _part(shape, first), _part(between, then)
    if one is None or two is None:
        return None
    (spec, axes), (then_spec, then_axes) = one, two
    # Index the axes before they are permuted, then permute what is left of them.
    items, results = _through(axes, then_spec)
    made = _nested(shape, spec, items)
    if made is None:
        return None
    order = tuple(results[i] for i in then_axes)
    if not order:
        made = (*made, Ellipsis)  # an array without axes, and no number
    if order == tuple(range(len(order))):
        return getitem, {"spec": made}
    return PART, {"spec": made, "axes": order}


def _part(shape: tuple[int, ...], step: Step) -> Any:
    """Return a step as a full index, and the order of the axes that it leaves."""
    op, attrs = step
    rank = len(shape)
    if op is getitem:
        spec = full(attrs["spec"], rank)
        return spec, tuple(range(sum(type(s) is not int for s in spec)))
    if op is PART:
        return full(attrs["spec"], rank), attrs["axes"]
    if op is transpose:
        return (slice(None),) * rank, attrs["axes"]
    if op is reshape and 0 not in shape:
        new = attrs["shape"]
        if [n for n in shape if n != 1] == [n for n in new if n != 1]:
            return (*_dropped_and_added(shape, new),), tuple(range(len(new)))
    return None


def _dropped_and_added(shape: tuple[int, ...], new: tuple[int, ...]) -> list[Any]:
    spec: list[Any] = []
    rest = iter(new)
    for n in shape:
        if n == 1:
            spec.append(0)
            continue
        spec += [None for _ in iter(lambda: next(rest), n)]
        spec.append(slice(None))
    return [*spec, *[None for _ in rest]]


def full(spec: Sequence[Any], rank: int) -> tuple[Any, ...]:
    """Write an index without arrays with an item for each axis."""
    used = sum(1 for s in spec if s is not None and s is not Ellipsis)
    rest = (slice(None),) * (rank - used)
    for i, s in enumerate(spec):
        if s is Ellipsis:
            return (*spec[:i], *rest, *spec[i + 1 :])
    return (*spec, *rest)


def _through(axes: Sequence[int], spec: Sequence[Any]) -> tuple[list[list[Any]], list[int]]:
    """Index permuted axes: an item for each axis before the permutation, new axes behind the last.

    Returns the items, the new axes after those of the last axis, and for each axis of the result
    its place among what the items leave.
    """
    items: list[Any] = [None] * len(axes)
    marks: list[Any] = []  # of each axis of the result: the axis before, or None for a new one
    at = iter(axes)
    for s in spec:
        if s is None:
            marks.append(None)
        else:
            axis = next(at)
            items[axis] = s
            if type(s) is not int:
                marks.append(axis)
    left = [a for a, s in enumerate(items) if type(s) is not int]
    new = len(left)
    results = []
    for m in marks:
        results.append(left.index(m) if m is not None else new)
        new += m is None
    return [items, [None] * (new - len(left))], results


def _nested(shape: tuple[int, ...], spec: Sequence[Any], items: list[list[Any]]) -> Any:
    """Return the index of an array that reads what `items` read of the part that `spec` reads."""
    inner = iter(items[0])
    made: list[Any] = []
    axis = 0
    for s in spec:
        if type(s) is int:
            made.append(s)
            axis += 1
            continue
        t = next(inner)
        if s is None:
            if type(t) is int:
                continue  # the new axis is dropped again
            if len(range(*t.indices(1))) != 1:
                return None
            made.append(None)
            continue
        made.append(_of_slice(range(*s.indices(shape[axis])), t))
        axis += 1
    return (*made, *items[1])


def _of_slice(places: range, item: Any) -> Any:
    if type(item) is int:
        return places[item]
    kept = places[item]
    if not kept:
        return slice(0, 0)
    stop = kept.stop if kept.stop >= 0 else None
    return slice(kept.start, stop, kept.step)
