"""Where the elements are that an index with integer arrays names (NumPy's advanced indexing).

The result's axes are the index arrays' common axes and one for every slice and None. Along all but
the first the elements lie at regular steps, so an index becomes a strided view over the result's
shape, plus an `IndexTerm` for each integer array: the number that it holds times the stride of its
axis.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from wengert.backend.native.schedule.layout import View
from wengert.backend.native.schedule.steps import IndexTerm
from wengert.ir.graph import SLOT, Const, Value, aval_of

__all__ = ["Place", "located", "spread"]

WIDEST = np.iinfo(np.int32).max


class Place(NamedTuple):
    """Elements of an array: a regular part over the result's shape, and what is looked up.

    `wide` is the common shape of the index arrays, whose axes begin at the result's axis `at`.
    """

    view: View
    terms: tuple[IndexTerm, ...]
    wide: tuple[int, ...]
    at: int


def located(base: View, spec: tuple[Any, ...], index: tuple[Any, ...]) -> Place | None:
    """Place an index with integer arrays; None where only NumPy can tell what it means.

    Parameters
    ----------
    base : View
        The array indexed.
    spec : tuple
        Template with a `SLOT` for each of `index`.
    index : tuple of Value, Const or int

    Returns
    -------
    Place or None
        Integers that cannot change are looked up at once: where they are regular they become
        strides, and where one is out of range the answer is None, for NumPy to raise. The operands
        of terms have their own shape; `spread` brings them to the result's.
    """
    wide = np.broadcast_shapes(*(aval_of(i).shape for i in index))
    offset, shape, strides, arrays, at = _walk(base, spec, index)
    full = (*shape[:at], *wide, *shape[at:])
    steps = [*strides[:at], *(0,) * len(wide), *strides[at:]]
    terms = []
    for x, axis in arrays:
        size, stride = base.shape[axis], base.strides[axis]
        fixed = _fixed(x)
        if fixed is None:
            if 0 in full or size == 0:
                return None  # nothing is read, but NumPy still looks at the index
            terms.append(IndexTerm(x, size, stride, True))
            continue
        if 0 in wide:
            continue
        if fixed.min() < -size or fixed.max() >= size:
            return None
        fixed = np.where(fixed < 0, fixed + size, fixed)
        regular = _regular(fixed)
        if regular is None:
            narrow = fixed.astype(np.int32 if size <= WIDEST else np.int64)
            terms.append(IndexTerm(Const(narrow), size, stride, False))
            continue
        first, rates = regular
        offset += first * stride
        lead = len(wide) - len(rates)
        for k, rate in enumerate(rates):
            steps[at + lead + k] += rate * stride
    view = View(base.buffer, offset, tuple(steps), full, base.version)
    return Place(view, tuple(terms), wide, at)


def _walk(
    base: View, spec: tuple[Any, ...], index: tuple[Any, ...]
) -> tuple[int, list[int], list[int], list[tuple[Any, int]], int]:
    """Split an index into offset, axes and strides of its slices, arrays, and the arrays' place."""
    used = sum(1 for s in spec if s is not None and s is not Ellipsis)
    if not any(s is Ellipsis for s in spec):
        spec = (*spec, Ellipsis)
    offset, axis, at = base.offset, 0, -1
    shape: list[int] = []
    strides: list[int] = []
    arrays: list[tuple[Any, int]] = []
    given = iter(index)
    apart = False  # whether something that is not an array follows one
    for s in spec:
        if s is SLOT or isinstance(s, (int, np.integer)):  # beside arrays, integers are arrays too
            arrays.append((next(given) if s is SLOT else s, axis))
            axis += 1
            at = len(shape) if at < 0 else 0 if apart else at
            continue
        apart = at >= 0
        if s is None:
            shape.append(1)
            strides.append(0)
        elif s is Ellipsis:
            n = len(base.shape) - used
            shape += base.shape[axis : axis + n]
            strides += base.strides[axis : axis + n]
            axis += n
        else:
            picked = range(*s.indices(base.shape[axis]))
            offset += picked.start * base.strides[axis] if len(picked) else 0
            shape.append(len(picked))
            strides.append(base.strides[axis] * picked.step)
            axis += 1
    return offset, shape, strides, arrays, at


def _fixed(x: Any) -> np.ndarray[Any, Any] | None:
    """Return the integers of an index that cannot change between runs.

    Constants are held by reference and read at each run, unless they are read-only.
    """
    if isinstance(x, Value):
        return None
    if not isinstance(x, Const):
        return np.asarray(x, np.int64)
    held: Any = x.data
    while isinstance(held, np.ndarray):
        if held.flags.writeable:
            return None
        held = held.base
    return None if held is not None else np.asarray(x.data, np.int64)


def _regular(x: np.ndarray[Any, Any]) -> tuple[int, tuple[int, ...]] | None:
    """Return the first number and the step along each axis, or None where it is not regular."""
    rates = []
    made = np.zeros((), np.int64)
    first = x[(0,) * x.ndim]
    for axis, n in enumerate(x.shape):
        near = x[(0,) * axis + (min(n, 2) - 1,) + (0,) * (x.ndim - axis - 1)]
        rates.append(int(near - first))
        line = np.arange(n).reshape((n,) + (1,) * (x.ndim - axis - 1))
        made = made + rates[-1] * line
    return (int(first), tuple(rates)) if np.array_equal(first + made, x) else None


def spread(view: View, place: Place) -> View:
    """Read an index array over the shape of the result."""
    inner = view.broadcast(place.wide)
    shape = place.view.shape
    rest = len(shape) - place.at - len(inner)
    strides = (0,) * place.at + inner + (0,) * rest
    return View(view.buffer, view.offset, strides, shape, view.version)
