"""Where arrays live: buffers, strided views of them, and one arena for everything in between."""

from __future__ import annotations

import heapq
import math
from typing import Any, NamedTuple

import numpy as np

from wengert.ops.index import SLOT

__all__ = ["ALIGN", "Buffer", "View", "arena", "contiguous", "indexed", "reshaped", "rounded"]

ALIGN = 64
"""Bytes; a cache line, and the widest vector."""

SMALL = 4096
"""Bytes up to which a buffer gets a slot of its size instead of a place of its own."""


MANY = 10_000
"""Large buffers beyond which all get slots: placing by size takes quadratic time."""


class Buffer:
    """Memory of one array: an input, a constant, an output, or a part of the arena.

    Attributes
    ----------
    kind : str
        ``input``, ``const``, ``output`` or ``arena``.
    index : int
        Which input, constant or output.
    first, last : int
        Steps between which an arena buffer is alive, both included.
    last_read, last_write : int
        Latest steps that touch it so far, -1 for none.
    offset : int
        Place in the arena, in bytes.
    owned : bool
        Whether it is an input that may be changed: what a loop carries.
    """

    __slots__ = (
        "dtype",
        "first",
        "index",
        "kind",
        "last",
        "last_read",
        "last_write",
        "offset",
        "owned",
        "size",
        "strides",
    )

    def __init__(self, kind: str, index: int, dtype: np.dtype[Any], size: int) -> None:
        self.kind = kind
        self.index = index
        self.dtype = dtype
        self.size = size
        self.first = 1 << 60
        self.last = -1
        self.last_read = -1
        self.last_write = -1
        self.offset = 0
        self.owned = False

    @property
    def nbytes(self) -> int:
        """Bytes; booleans take one each."""
        return self.size * self.dtype.itemsize

    def read_at(self, step: int) -> None:
        """Note a step that reads it."""
        self.last_read = max(self.last_read, step)
        self.last = max(self.last, step)

    def write_at(self, step: int) -> None:
        """Note a step that writes it."""
        self.last_write = max(self.last_write, step)
        self.first = min(self.first, step)
        self.last = max(self.last, step)


class View(NamedTuple):
    """A strided part of a buffer; offset and strides in elements.

    `version` counts the updates in place after which the buffer holds what is meant.
    """

    buffer: Buffer
    offset: int
    strides: tuple[int, ...]
    shape: tuple[int, ...]
    version: int = 0

    @property
    def is_contiguous(self) -> bool:
        """Whether the elements are in C order without gaps."""
        expected = 1
        for n, s in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if n != 1 and s != expected:
                return False
            expected *= n
        return True

    def broadcast(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the strides with which the view is read over a larger shape."""
        lead = len(shape) - len(self.shape)
        return (0,) * lead + tuple(
            0 if n == 1 else s for n, s in zip(self.shape, self.strides, strict=True)
        )


def contiguous(buffer: Buffer, shape: tuple[int, ...]) -> View:
    """View a whole buffer in C order."""
    strides = []
    step = 1
    for n in reversed(shape):
        strides.append(step)
        step *= n
    return View(buffer, 0, tuple(reversed(strides)), shape)


def reshaped(view: View, shape: tuple[int, ...]) -> View | None:
    """Return the view in another shape, or None where that needs a copy."""
    if view.is_contiguous:
        new = contiguous(view.buffer, shape)
        return View(view.buffer, view.offset, new.strides, shape, view.version)
    old = [(n, s) for n, s in zip(view.shape, view.strides, strict=True) if n != 1]
    new_dims = [n for n in shape if n != 1]
    if [n for n, _ in old] == new_dims:
        strides = iter(s for _, s in old)
        filled = tuple(0 if n == 1 else next(strides) for n in shape)
        return View(view.buffer, view.offset, filled, shape, view.version)
    return None


def indexed(view: View, spec: tuple[Any, ...]) -> View | None:
    """Return a basic index of a view, or None where the template has array slots."""
    if SLOT in [s for s in spec if not isinstance(s, slice)]:
        return None
    used = sum(1 for s in spec if s is not None and s is not Ellipsis)
    if not any(s is Ellipsis for s in spec):
        spec = (*spec, Ellipsis)
    offset = view.offset
    shape: list[int] = []
    strides: list[int] = []
    axis = 0
    for s in spec:
        if s is None:
            shape.append(1)
            strides.append(0)
            continue
        if s is Ellipsis:
            n = len(view.shape) - used
            shape += view.shape[axis : axis + n]
            strides += view.strides[axis : axis + n]
            axis += n
            continue
        size, stride = view.shape[axis], view.strides[axis]
        axis += 1
        if isinstance(s, slice):
            start, stop, step = s.indices(size)
            count = len(range(start, stop, step))
            offset += start * stride if count else 0
            shape.append(count)
            strides.append(stride * step)
        else:
            offset += (s + size if s < 0 else s) * stride
    return View(view.buffer, offset, tuple(strides), tuple(shape), view.version)


def arena(buffers: list[Buffer]) -> int:
    """Place arena buffers so that those alive together do not overlap; return the bytes needed.

    Large buffers first, by first fit in order of size (*Efficient Memory Management for Deep Neural
    Net Inference*, Pisarchyk and Lee 2020, "greedy by size"); small ones behind them, in slots of
    their size that are reused once free, so that many scalars take linear time.
    """
    large = [b for b in buffers if b.nbytes > SMALL]
    if len(large) > MANY:
        large = []
    chosen = set(map(id, large))
    total = _place_by_size(large)
    return total + _place_in_slots([b for b in buffers if id(b) not in chosen], total)


def rounded(b: Buffer) -> int:
    """Return the bytes of the arena that a buffer takes."""
    unit = ALIGN if b.nbytes > 8 else 8
    return -(-max(b.nbytes, 1) // unit) * unit


def _place_by_size(buffers: list[Buffer]) -> int:
    order = sorted(buffers, key=lambda b: (-b.nbytes, b.first))
    first = np.array([b.first for b in order], np.int64)
    last = np.array([b.last for b in order], np.int64)
    start = np.zeros(len(order), np.int64)
    end = np.zeros(len(order), np.int64)
    total = 0
    for i, b in enumerate(order):
        need = rounded(b)
        alive = np.flatnonzero((first[:i] <= b.last) & (last[:i] >= b.first))
        at = 0
        for k in alive[np.argsort(start[alive])].tolist():
            if start[k] - at >= need:
                break
            at = max(at, int(end[k]))
        b.offset = at
        start[i], end[i] = at, at + need
        total = max(total, at + need)
    return total


def _place_in_slots(buffers: list[Buffer], start: int) -> int:
    free: dict[int, list[int]] = {}
    busy: list[tuple[int, int, int]] = []  # last step, offset, size
    top = start
    for b in sorted(buffers, key=lambda b: (-rounded(b) > -ALIGN, b.first)):
        if rounded(b) < ALIGN and busy and busy[0][2] >= ALIGN:
            busy = []  # the slots of numbers come after all others
        need = rounded(b)
        while busy and busy[0][0] < b.first:
            _, offset, size = heapq.heappop(busy)
            free.setdefault(size, []).append(offset)
        slots = free.get(need)
        if slots:
            b.offset = slots.pop()
        else:
            b.offset = top
            top += need
        heapq.heappush(busy, (b.last, b.offset, need))
    return -(-(top - start) // ALIGN) * ALIGN


def elements(shape: tuple[int, ...]) -> int:
    """Return the number of elements."""
    return math.prod(shape)
