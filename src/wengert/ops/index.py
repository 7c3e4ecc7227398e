"""Indexing: reading (`getitem`), adding into (`index_add`) and replacing (`index_set`) a part.

The index is split into a template `spec`, a tuple of slices, None, Ellipsis, ints and `Slot`
marks, and the integer arrays that fill the slots, which are ordinary arguments. Boolean masks are
turned into integers before they come here.

The cotangent of a read is added into one accumulator of the array's shape (`accumulate`), so ``n``
reads of an array of length ``n`` cost O(n), not O(n^2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import SLOT, Aval
from wengert.ops import patterns
from wengert.ops.base import Op, Transpose, dtype_of, like_shape, register, shape_of
from wengert.ops.shape import match

__all__ = ["SLOT", "count", "fill", "getitem", "index_add", "index_set", "is_basic", "may_be_view"]


def is_basic(spec: tuple[Any, ...]) -> bool:
    """Whether the index has no array part, so that NumPy returns a view."""
    return SLOT not in spec


def may_be_view(index: Sequence[Any]) -> bool:
    """Whether NumPy may return a view of what is read at these index arrays.

    It does so without any, and for integers, which a traced index stands for; an array with axes
    makes a copy.
    """
    return all(shape_of(i) == () for i in index)


def count(shape: tuple[int, ...]) -> Any:
    """Return the positions of an array, numbered; read-only, so that backends may rely on them."""
    numbers = np.arange(math.prod(shape))
    numbers.flags.writeable = False
    return numbers.reshape(shape)


def fill(spec: tuple[Any, ...], index: tuple[Any, ...]) -> tuple[Any, ...]:
    """Put the integer arrays into their places."""
    if not index:
        return spec
    arrays = iter(index)
    return tuple(next(arrays) if s is SLOT else s for s in spec)


def _getitem(x: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    if len(index) == 1 and len(spec) > 1 and spec[-1] is Ellipsis and spec[-2] is SLOT:
        axis = len(spec) - 2
        if all(s == slice(None) for s in spec[:axis]):
            # As in NumPy's take, repeat and delete, the result is row-major; x[:, i] would not be.
            return x.take(index[0], axis=axis)
    return x[fill(spec, index)]


def _shape_probe(shape: tuple[int, ...]) -> Any:
    return np.broadcast_to(np.zeros((), np.bool_), shape)


def _infer(x: Any, *index: Any, spec: tuple[Any, ...]) -> Aval:
    marks = tuple(np.zeros(shape_of(i), np.intp) for i in index)
    return like_shape(_shape_probe(shape_of(x))[fill(spec, marks)].shape, x)


def _accumulate(acc: Any, ct: Any, x: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    return index_add(acc, ct, *index, spec=spec)


def _pull_getitem(ct: Any, x: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    return index_add(np.zeros(shape_of(x), dtype_of(ct)), ct, *index, spec=spec)


def _normal_spec(spec: tuple[Any, ...], rank: int) -> list[Any]:
    """Write Ellipsis and missing trailing axes as full slices."""
    used = sum(1 for s in spec if s is not None and s is not Ellipsis)
    fullness = [slice(None)] * (rank - used)
    if Ellipsis in [s for s in spec if isinstance(s, type(Ellipsis))]:
        at = next(i for i, s in enumerate(spec) if s is Ellipsis)
        return [*spec[:at], *fullness, *spec[at + 1 :]]
    return [*spec, *fullness]


def _batch_index(
    spec: tuple[Any, ...],
    rank: int,
    index: tuple[Any, ...],
    index_batched: tuple[bool, ...],
    n: int,
) -> tuple[tuple[Any, ...], tuple[Any, ...], int]:
    """Index a batch.

    Return the template, the arrays, and how many axes stand before the result's index axes (0 where
    they already lead).
    """
    normal = _normal_spec(spec, rank)
    # Plain integers beside arrays take part in NumPy's advanced indexing: make them arrays too.
    arrays, marks, given = [], [], iter(zip(index, index_batched, strict=True))
    for s in normal:
        if s is SLOT:
            arrays.append(next(given))
            marks.append(SLOT)
        elif isinstance(s, (int, np.integer)):
            arrays.append((np.asarray(s), False))
            marks.append(SLOT)
        else:
            marks.append(s)
    places = [i for i, m in enumerate(marks) if m is SLOT]
    together = places[-1] - places[0] + 1 == len(places)
    width = max(len(shape_of(a)) - b for a, b in arrays)
    first = count((n,) + (1,) * width)
    lined: list[Any] = [first]
    for a, b in arrays:
        shape = shape_of(a)
        if b:
            a = np.reshape(a, shape[:1] + (1,) * (width - len(shape) + 1) + shape[1:])
        lined.append(a)
    before = sum(1 for m in marks[: places[0]]) if together else 0
    # None adds an axis, a slice keeps one: each stands for one axis of the result.
    return (SLOT, *marks), tuple(lined), before


def _leading(shape_rank: int, width: int, before: int) -> list[int]:
    """Permutation that moves the index axes 1..width behind `before` of the following axes."""
    rest = list(range(1 + width, shape_rank))
    return [0, *rest[:before], *range(1, 1 + width), *rest[before:]]


def _index_width(arrays: tuple[Any, ...]) -> int:
    return max((len(shape_of(a)) for a in arrays), default=1) - 1


def _shared_index(spec: tuple[Any, ...], rank: int, index: tuple[Any, ...]) -> tuple[Any, int]:
    """Index a batch by what all examples share: the batch is one more full slice.

    Return the template, and how many index axes come before the batch in the result: NumPy puts
    them first where slices stand between the arrays.
    """
    normal = _normal_spec(spec, rank)
    places = [i for i, s in enumerate(normal) if s is SLOT or isinstance(s, (int, np.integer))]
    apart = bool(index) and places[-1] - places[0] + 1 != len(places)
    width = max((len(shape_of(a)) for a in index), default=0)
    return (slice(None), *normal), width if apart else 0


def _batch_take(op: Op, x: Any, index: Any, spec: tuple[Any, ...], rank: int) -> Any:
    """Read a batch along one axis at places that all examples share; None where that is not all.

    Each example's memory is laid out as NumPy lays out a single one: what decides whether its
    reshape is a view.
    """
    normal = _normal_spec(spec, rank)
    axis = normal.index(SLOT)
    if any(s is not SLOT and s != slice(None) for s in normal):
        return None
    if axis == 0 or spec == (*normal[: axis + 1], Ellipsis):
        return op(x, index, spec=(slice(None), *normal[: axis + 1], Ellipsis))
    # NumPy puts the axes of the index outside of the slices before them.
    order = (0, axis + 1, *range(1, axis + 1), *range(axis + 2, rank + 1))
    y = op(np.transpose(x, order), index, spec=(slice(None), SLOT, Ellipsis))
    return np.transpose(y, _leading(len(shape_of(y)), len(shape_of(index)), axis))


def _batch_getitem(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    x, *index = args
    spec = attrs["spec"]
    n = next(shape_of(a)[0] for a, b in zip(args, batched, strict=True) if b)
    if not batched[0]:
        return _gather_unbatched(op, x, tuple(index), tuple(batched[1:]), spec)
    rank = len(shape_of(x)) - 1
    if not index:
        return op(x, spec=(slice(None), *_normal_spec(spec, rank)))
    if len(index) == 1 and not batched[1]:
        y = _batch_take(op, x, index[0], spec, rank)
        if y is not None:
            return y
    spec, arrays, before = _batch_index(spec, rank, tuple(index), tuple(batched[1:]), n)
    y = op(x, *arrays, spec=spec)
    if before:
        width = _index_width(arrays)
        y = np.transpose(y, _leading(len(shape_of(y)), width, before))
    return y


def _gather_unbatched(
    op: Op, x: Any, index: tuple[Any, ...], batched: tuple[bool, ...], spec: tuple[Any, ...]
) -> Any:
    """Read a shared array at batched indices: the batch is one more index axis, moved to front."""
    marks, arrays, before = _batch_index(spec, len(shape_of(x)), index, batched, 1)
    y = op(x, *arrays[1:], spec=marks[1:])
    if before:
        y = np.transpose(y, (before, *range(before), *range(before + 1, len(shape_of(y)))))
    return y


getitem = register(
    Op(
        "getitem",
        _getitem,
        infer=_infer,
        derivative=Transpose(
            (_pull_getitem, *(None,) * 32),
            accumulate=_accumulate,
        ),
        batch=_batch_getitem,
        flops=lambda out, *xs, **_: 0,
        counts="move",
        pattern=patterns.Moving(_getitem, data=1, partial=True),
        residual=False,
        alias="getitem",
        returns=lambda *, spec: "array" if ... in spec else "scalar",
        waits=True,
    )
)


def _batch_update(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    x, v, *index = args
    spec = attrs["spec"]
    n = next(shape_of(a)[0] for a, b in zip(args, batched, strict=True) if b)
    if not batched[0]:
        x = np.broadcast_to(x, (n, *shape_of(x)))
    rank = len(shape_of(x)) - 1
    part = _infer_part(x, index, batched[2:], spec)
    shape = shape_of(v)[1:] if batched[1] else shape_of(v)
    shape = shape[max(len(shape) - len(part), 0) :]  # NumPy takes more leading axes of length 1
    lined = (n if batched[1] else 1, *(1,) * (len(part) - len(shape)), *shape)
    if not any(batched[2:]):
        spec, lead = _shared_index(spec, rank, tuple(index))
        if lead or (batched[1] and lined != shape_of(v)):
            v = np.reshape(v, lined)
        if lead:
            v = np.transpose(v, (*range(1, lead + 1), 0, *range(lead + 1, len(lined))))
        return op(x, v, *index, spec=spec)
    spec, arrays, before = _batch_index(spec, rank, tuple(index), tuple(batched[2:]), n)
    v = np.broadcast_to(np.reshape(v, lined), (n, *part))
    if before:
        width = _index_width(arrays)
        order = _leading(1 + len(part), width, before)
        v = np.transpose(v, tuple(int(i) for i in np.argsort(order)))
    return op(x, v, *arrays, spec=spec)


def _infer_part(x: Any, index: Any, batched: Any, spec: tuple[Any, ...]) -> tuple[int, ...]:
    """Shape of one example's indexed part, for a batched `x`."""
    one = Aval(shape_of(x)[1:], dtype_of(x))
    marks = tuple(
        np.zeros(shape_of(i)[1:] if b else shape_of(i), np.intp)
        for i, b in zip(index, batched, strict=True)
    )
    return _infer(one, *marks, spec=spec).shape


def _index_add(acc: Any, v: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    return add_into(np.array(acc, np.result_type(acc, v)), v, *index, spec=spec)


def add_into(acc: Any, v: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    """Add `v` into ``acc[index]`` in place; repeated indices add up."""
    if not index:
        acc[spec] += v
    elif len(index) == 1 and len(spec) == 1 and acc.ndim == 1 and acc.dtype == np.float64:
        where = np.asarray(index[0])
        if where.size * 4 < acc.size or np.shape(v) != where.shape or where.size == 0:
            np.add.at(acc, where, v)
        else:
            flat = where.ravel()
            flat = np.where(flat < 0, flat + acc.size, flat)
            if flat.min() < 0 or flat.max() >= acc.size:  # np.bincount would not say so
                np.add.at(acc, where, v)
            acc += np.bincount(flat, np.ravel(v), acc.size)
    else:
        np.add.at(acc, fill(spec, index), v)
    return acc


def set_into(x: Any, v: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    """Replace ``x[index]`` by `v` in place."""
    x[fill(spec, index)] = v
    return x


def _index_set(x: Any, v: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    return set_into(np.array(x), v, *index, spec=spec)


def _pull_added(ct: Any, x: Any, v: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    return match(getitem(ct, *index, spec=spec), v)


def _winners(shape: tuple[int, ...], index: tuple[Any, ...], spec: tuple[Any, ...]) -> Any:
    """Mark the written positions that were not overwritten by a later repeated index."""
    numbers = np.full(shape, -1, np.int64)
    part = getitem(numbers, *index, spec=spec)
    own = count(shape_of(part))
    last = index_set(numbers, own, *index, spec=spec)
    return getitem(last, *index, spec=spec) == own


def _pull_set_value(ct: Any, x: Any, v: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    part = getitem(ct, *index, spec=spec)
    if index:
        part = np.where(_winners(shape_of(x), index, spec), part, 0)
    return match(part, v)


def _pull_set_base(ct: Any, x: Any, v: Any, *index: Any, spec: tuple[Any, ...]) -> Any:
    return match(index_set(ct, 0, *index, spec=spec), x)


def _infer_add(acc: Any, v: Any, *index: Any, spec: tuple[Any, ...]) -> Aval:
    plain = type(v) in (bool, int, float, complex)  # takes part in promotion without a dtype
    return Aval(shape_of(acc), np.result_type(dtype_of(acc), v if plain else dtype_of(v)))


index_add = register(
    Op(
        "index_add",
        _index_add,
        infer=_infer_add,
        derivative=Transpose((lambda ct, *xs, spec: ct, _pull_added, *(None,) * 32), joint=True),
        batch=_batch_update,
        flops=lambda out, acc, v, *index, spec: math.prod(_infer(acc, *index, spec=spec).shape),
        counts="add",
        pattern=patterns.Writing(_getitem, _index_set, adds=True),
        residual=False,
        returns="array",
        by_kind=True,
        waits=True,
    )
)

index_set = register(
    Op(
        "index_set",
        _index_set,
        infer=lambda x, v, *index, spec: like_shape(shape_of(x), x),
        derivative=Transpose((_pull_set_base, _pull_set_value, *(None,) * 32), joint=True),
        batch=_batch_update,
        flops=lambda out, *xs, **_: 0,
        counts="move",
        pattern=patterns.Writing(_getitem, _index_set, adds=False),
        residual=False,
        returns="array",
        by_kind=True,
        waits=True,
    )
)
