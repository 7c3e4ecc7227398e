"""Terms: the parts of a value's Jacobian that `wengert.linear.accumulate` carries along.

A term of a value of shape ``s`` has a column and a coefficient for each entry of ``(w, *s)``, or,
where most of those would be empty, for each of a list of entries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.graph import Const
from wengert.ops.base import Op, Traced, shape_of
from wengert.ops.convert import select
from wengert.ops.index import SLOT, getitem
from wengert.ops.reduce import reduce_sum
from wengert.ops.shape import concatenate, filled, reshape, transpose

__all__ = [
    "SPARSE",
    "JacobianTerm",
    "NotAccumulable",
    "align",
    "as_list",
    "copy_entries",
    "is_number",
    "join",
    "keep_entries",
    "merge",
    "move",
    "place",
    "scale",
    "sum_over",
    "uniform",
    "whole",
]

Ints = np.ndarray[Any, Any]


class NotAccumulable(Exception):
    """A function that this way of accumulation does not suit."""

    is_signal = True  # to the planner, and no failure of the function that it passes through


class JacobianTerm(NamedTuple):
    """A part of a value's Jacobian.

    Attributes
    ----------
    coefficient : float, or array that broadcasts to (w, *shape)
        Anything where there is no entry.
    columns : int array that broadcasts to (w, *shape)
        One more than the column of each entry, 0 where there is none.
    clean : bool
        Whether an array of coefficients is zero where there is no entry.
    rows : int array or None
        For a list of entries: where each stands in the flat value. Then `columns` has the same
        shape ``(e,)``, and so has `coefficient` unless it is a number.
    """

    coefficient: Any
    columns: Ints
    clean: bool = True
    rows: Ints | None = None


# --- coefficients ---------------------------------------------------------------------------------
def is_number(c: Any) -> bool:
    """Whether coefficients are one number, the same for all entries."""
    return not isinstance(c, (Traced, np.ndarray))


def uniform(x: Any) -> Any:
    """Return the number that an array repeats without storing it more than once, else the array."""
    if isinstance(x, Traced):
        var = x._var  # type: ignore[attr-defined]
        data = var.data if type(var) is Const else None
    else:
        data = x
    if not isinstance(data, np.ndarray) or data.size < 2 or data.dtype != np.float64:
        return x
    steps = [step for step, n in zip(data.strides, data.shape, strict=True) if n > 1]
    if not any(steps) and not data.flags.writeable:
        return data.flat[0]  # of NumPy: 1 / 0 is infinite, and no exception
    return x


def _sum(x: Any, axis: int) -> Any:
    return reduce_sum(x, axis=(axis,), keepdims=True)


def whole(c: Any, shape: tuple[int, ...]) -> Any:
    """Broadcast coefficients to a shape."""
    return c if shape_of(c) == shape else filled(c, shape=shape)


def _lined(x: Any, rank: int) -> Any:
    """Give an array of one axis for the places and those of a value `rank` axes for the value."""
    have = shape_of(x)
    if len(have) == rank + 1:
        return x
    return reshape(x, shape=(have[0], *(1,) * (rank + 1 - len(have)), *have[1:]))


# --- lists of entries -----------------------------------------------------------------------------
SPARSE = 4
"""Terms of which less than one in so many places has an entry become lists."""


def as_list(t: JacobianTerm, shape: tuple[int, ...]) -> JacobianTerm:
    """Return a term of a value as a list of its entries."""
    if t.rows is not None:
        return t
    w, size = t.columns.shape[0], math.prod(shape)
    flat = np.broadcast_to(t.columns, (w, *shape)).reshape(-1)
    c = t.coefficient if is_number(t.coefficient) else reshape(
        whole(t.coefficient, (w, *shape)), shape=(w * size,)
    )  # fmt: skip
    place = np.flatnonzero(flat)
    if len(place) == len(flat):
        return JacobianTerm(c, flat, True, np.tile(np.arange(size), w))
    return JacobianTerm(
        c if is_number(c) else _take(c, place), flat[place], True, place % max(size, 1)
    )


def _take(c: Any, places: Ints) -> Any:
    """Return some entries of a flat array."""
    n = len(places)
    if n and places[-1] - places[0] + 1 == n and np.all(np.diff(places) == 1):
        if n == shape_of(c)[0]:
            return c
        return getitem(c, spec=(slice(int(places[0]), int(places[-1]) + 1),))
    return getitem(c, places, spec=(SLOT,))


def place(t: JacobianTerm, where: Ints) -> JacobianTerm:
    """Move each entry of a list to another place, by the places' numbers."""
    assert t.rows is not None
    return t._replace(rows=np.ravel(where)[t.rows])


def keep_entries(t: JacobianTerm, keep: Ints) -> JacobianTerm:
    """Keep some entries of a list."""
    assert t.rows is not None
    if keep.all():
        return t
    places = np.flatnonzero(keep)
    c = t.coefficient
    return JacobianTerm(
        c if is_number(c) else _take(c, places), t.columns[places], True, t.rows[places]
    )


def copy_entries(t: JacobianTerm, source: Ints) -> JacobianTerm:
    """Return a list for a value whose entries are copies of those of another, by their numbers."""
    assert t.rows is not None
    flat = np.ravel(source)
    order = np.argsort(flat, kind="stable")
    first = np.searchsorted(flat[order], t.rows, "left")
    count = np.searchsorted(flat[order], t.rows, "right") - first
    entry = np.repeat(np.arange(len(t.rows)), count)
    within = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count, count)
    c = t.coefficient
    if not is_number(c) and not (len(entry) == len(t.rows) and np.all(count == 1)):
        c = _take(c, entry)
    return JacobianTerm(c, t.columns[entry], True, order[np.repeat(first, count) + within])


def _scale_list(t: JacobianTerm, p: Any, shape: tuple[int, ...]) -> JacobianTerm:
    assert t.rows is not None
    c = t.coefficient
    if isinstance(p, (Traced, np.ndarray)) and math.prod(shape_of(p)) == 1:
        p = reshape(p, shape=(1,))
        product = p * c if not is_number(c) else filled(p * c, shape=t.rows.shape)
        return t._replace(coefficient=product)
    if isinstance(p, (Traced, np.ndarray)):
        p = _take(reshape(whole(p, shape), shape=(math.prod(shape),)), t.rows)
        return t._replace(coefficient=p if is_number(c) and c == 1.0 else c * p)
    return t._replace(coefficient=float(p) * c)


# --- multiplying ----------------------------------------------------------------------------------
def scale(t: JacobianTerm, p: Any, shape: tuple[int, ...], before: tuple[int, ...]) -> JacobianTerm:
    """Multiply by a partial derivative of a result, of its shape or one that broadcasts to it.

    `before` is the shape of the value that the term belongs to.
    """
    if t.rows is not None:
        if before != shape:
            source = np.broadcast_to(np.arange(math.prod(before)).reshape(before), shape)
            t = copy_entries(t, source)
        return _scale_list(t, p, shape)
    rank = len(shape)
    c, cols, clean, _ = t
    cols = _lined(cols, rank)
    if not is_number(c):
        c = _lined(c, rank)
    if shape_of(p) == () and not isinstance(p, Traced):
        p = float(p)
    elif isinstance(p, (Traced, np.ndarray)):
        have = shape_of(p)
        p = reshape(p, shape=((1,) * (rank + 1 - len(have)) + have)) if have else p
    if is_number(c) and c == 1.0:
        product = p
    elif is_number(p) and p == 1:
        product = c
    elif is_number(p) and p == -1:
        product = -c
    elif is_number(c) and c == -1.0:
        product = -p
    else:
        product = c * p
    if isinstance(product, Traced) and shape_of(product) == ():
        product = reshape(product, shape=(1,) * (rank + 1))
    if is_number(product):
        return JacobianTerm(float(product), cols)
    # A number says nothing of where there is no entry.
    clean = clean and (not is_number(c) or bool(np.all(cols)))
    return JacobianTerm(product, cols, clean)


def align(x: Any, have: str, want: str, lead: int) -> Any:
    """Give an array axes for all the labels wanted, of length 1 for those it does not have."""
    order = [have.index(s) for s in want if s in have]
    axes = (*range(lead), *(i + lead for i in order))
    if axes != tuple(range(len(axes))):
        x = transpose(x, axes=axes)
    sizes = iter(shape_of(x)[lead:])
    return reshape(x, shape=(*shape_of(x)[:lead], *(next(sizes) if s in have else 1 for s in want)))


# --- moving ---------------------------------------------------------------------------------------
def move(
    op: Op, t: JacobianTerm, shape: tuple[int, ...], index: list[Any], plain: list[Any], attrs: Any
) -> JacobianTerm:
    """Return a term of an operation that copies entries of its argument, which has that shape.

    `plain` holds the integers of the index.
    """
    if t.rows is not None:
        return copy_entries(
            t, op.evaluate(np.arange(math.prod(shape)).reshape(shape), *plain, **attrs)
        )
    w = t.columns.shape[0]
    batched = (True, *(False for _ in index))
    cols = np.broadcast_to(t.columns, (w, *shape))
    cols = np.asarray(op.batch(op, (cols, *plain), batched, attrs))
    c = t.coefficient
    if not is_number(c):
        c = whole(c, (shape_of(c)[0], *shape))
        c = op.batch(op, (c, *index), batched, attrs)
    return JacobianTerm(c, cols, t.clean)


def join(
    ts: list[list[JacobianTerm]], shapes: list[tuple[int, ...]], axis: int
) -> list[JacobianTerm]:
    """Join the first term of each part, the second of each, and so on."""
    sizes = [shape[axis] for shape in shapes]
    out = (*shapes[0][:axis], sum(sizes), *shapes[0][axis + 1 :])
    numbered = np.split(np.arange(math.prod(out)).reshape(out), np.cumsum(sizes)[:-1], axis)
    found = []
    whole_terms = []
    for terms, where, shape in zip(ts, numbered, shapes, strict=True):
        these = []
        for t in terms:
            dense = t.rows is None and (
                t.columns.shape[0] == 1 or math.prod(shape) * SPARSE >= math.prod(out)
            )
            if dense:
                these.append(t)
            else:
                found.append(place(as_list(t, shape), where))
        whole_terms.append(these)
    ts = whole_terms
    for i in range(max(len(terms) for terms in ts)):
        present: list[JacobianTerm | None] = [terms[i] if i < len(terms) else None for terms in ts]
        w = max(t.columns.shape[0] for t in present if t is not None)
        dtype = next(t.columns.dtype for t in present if t is not None)
        cols = []
        for one, shape in zip(present, shapes, strict=True):
            part = np.zeros((w, *shape), dtype)
            if one is not None:
                part[: one.columns.shape[0]] = one.columns
            cols.append(part)
        numbers = {t.coefficient for t in present if t is not None and is_number(t.coefficient)}
        arrays = any(t is not None and not is_number(t.coefficient) for t in present)
        c: Any
        if not arrays and len(numbers) == 1:
            (c,) = numbers
        else:
            parts = []
            for one, where, shape in zip(present, cols, shapes, strict=True):
                if one is None or is_number(one.coefficient):
                    value = 0.0 if one is None else one.coefficient
                    parts.append(np.where(where != 0, value, 0.0))
                    continue
                part_c = one.coefficient
                if one.columns.shape[0] != w and shape_of(part_c)[0] != 1:
                    raise NotAccumulable("concatenate of values of different kinds")
                parts.append(whole(part_c, (w, *shape)))
            c = concatenate(*parts, axis=axis + 1)
        # Coefficients of a part with fewer columns are repeated where it has no entry.
        clean = all(t is None or (t.clean and t.columns.shape[0] == w) for t in present)
        found.append(JacobianTerm(c, np.concatenate(cols, axis=axis + 1), clean))
    return found


# --- merging --------------------------------------------------------------------------------------
def merge(terms: list[JacobianTerm], shape: tuple[int, ...]) -> list[JacobianTerm]:
    """Add up terms whose columns agree; those that cancel go."""
    found: list[JacobianTerm] = []
    for t in terms:
        for i, s in enumerate(found):
            both = _together(s, t, shape)
            if both is not None:
                found[i] = both
                break
        else:
            found.append(t)
    return [t for t in found if not (is_number(t.coefficient) and t.coefficient == 0.0)]


def _together(s: JacobianTerm, t: JacobianTerm, shape: tuple[int, ...]) -> JacobianTerm | None:
    """Return the sum of two terms as one, if their columns agree where both have one."""
    a, b = s.columns, t.columns
    if s.rows is not None or t.rows is not None:
        if s.rows is None or t.rows is None or a.shape != b.shape:
            return None
        if not (np.array_equal(a, b) and np.array_equal(s.rows, t.rows)):
            return None
        return s._replace(coefficient=s.coefficient + t.coefficient)
    if a is b or (a.shape == b.shape and np.array_equal(a, b)):
        return _sum_of(s, t, a)
    if a.shape[0] != b.shape[0]:
        return None
    some, other = np.broadcast_arrays(a, b)
    here, there = some != 0, other != 0
    meet = here & there
    if np.any(some[meet] != other[meet]):
        return None
    cols = np.where(here, some, other)
    numbers = is_number(s.coefficient) and is_number(t.coefficient)
    if not meet.any():
        if numbers and s.coefficient == t.coefficient:
            return JacobianTerm(s.coefficient, cols)
        return None
    return _sum_of(JacobianTerm(_mask(s, here), cols), JacobianTerm(_mask(t, there), cols), cols)


def _sum_of(s: JacobianTerm, t: JacobianTerm, columns: Ints) -> JacobianTerm:
    """Add coefficients of terms with the same columns."""
    clean = (s.clean and t.clean) or bool(np.all(columns))
    a, b = s.coefficient, t.coefficient
    if is_number(a) != is_number(b):
        clean = clean and bool(np.all(columns))
    return JacobianTerm(a + b, columns, clean)


def _mask(t: JacobianTerm, here: Ints) -> Any:
    """Return coefficients that are zero where there is no entry."""
    c = t.coefficient
    if (t.clean and not is_number(c)) or here.all():
        return c
    return np.where(here, c, 0.0) if is_number(c) else select(here, c, 0.0)


# --- sums ----------------------------------------------------------------------------------------
def sum_over(
    terms: Sequence[JacobianTerm],
    shape: tuple[int, ...],
    axis: tuple[int, ...],
    out: tuple[int, ...],
) -> list[JacobianTerm]:
    """Sum a value of the given shape over axes, to a value of shape `out`.

    Along those where the column changes, they become places of their own.
    """
    keep_entries = [a for a in range(len(shape)) if a not in axis]
    found = []
    places = np.arange(math.prod(out)).reshape(
        tuple(1 if a in axis else n for a, n in enumerate(shape))
    )
    for t in terms:
        if t.rows is not None:
            found.append(place(t, np.broadcast_to(places, shape)))
            continue
        c, cols, clean, _ = t
        added = [a for a in axis if cols.shape[a + 1] == 1]
        apart = [a for a in axis if a not in added]
        if is_number(c):
            c = c * math.prod(shape[a] for a in added)
        else:
            for a in added:
                c = c * shape[a] if shape_of(c)[a + 1] == 1 else _sum(c, a + 1)
        # From (w, *shape) to (w, *apart, *kept, *added) to (w * apart, *kept or *out).
        order = (0, *(a + 1 for a in (*apart, *keep_entries, *added)))
        lead = (cols.shape[0], *(shape[a] for a in apart))

        def ending(x: Any) -> tuple[int, ...]:
            if len(out) == len(shape):  # keepdims
                return tuple(1 if a in axis else shape_of(x)[a + 1] for a in range(len(shape)))
            return tuple(shape_of(x)[a + 1] for a in keep_entries)

        cols_end = ending(cols)
        cols = np.transpose(cols, order).reshape(math.prod(lead), *cols_end)
        if not is_number(c):
            end = ending(c)
            if order != tuple(range(len(order))):
                c = transpose(c, axes=order)
            have = shape_of(c)[: len(lead)]
            if any(n != 1 for n in have):
                c = whole(c, (*lead, *shape_of(c)[len(lead) :]))
                have = lead
            if shape_of(c) != (math.prod(have), *end):
                c = reshape(c, shape=(math.prod(have), *end))
        found.append(JacobianTerm(c, cols, clean))
    return merge(found, out)
