"""Plain arrays that a recording refers to, and what happens when they are changed meanwhile.

A tape reads them again in the backward pass. NumPy code may have changed such an array in place by
then (a work buffer in a loop), so a small array is copied when it is first seen and a large one
gets a checksum, which is compared at each use and before the backward pass: a change raises, never
a wrong derivative.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import MutationError, user_line

__all__ = ["READING", "Arguments", "Captured", "checksum", "memory_of", "note_read"]

COPY_BYTES = 1 << 17
"""Arrays up to this size are copied (128 KiB: about the cost of a checksum)."""


WHOLE_BYTES = 1 << 20
"""Arguments up to this size are compared as a whole, of larger ones some entries."""

FEW_BYTES = 1 << 13
"""Arguments up to this size are compared byte by byte, larger ones by a checksum."""

SAMPLES = 1 << 10
"""About how many entries of those are compared."""

BLOCK = 1 << 14
_WEIGHTS = np.random.default_rng(1964).integers(0, 1 << 63, BLOCK, np.uint64) * 2 + 1


def checksum(x: np.ndarray[Any, Any]) -> int:
    """Return a hash of the bits of an array and of their order, near memory speed.

    Words of 64 bits, mixed so that the high bits count, are multiplied by fixed random odd weights
    and added modulo 2^64, a block after the other (Carter and Wegman, *Universal classes of hash
    functions*, 1979).
    """
    if not x.flags.c_contiguous:
        if x.flags.f_contiguous:
            x = x.T
        else:
            x = np.ascontiguousarray(x)
    data = x.reshape(-1).view(np.uint8)
    whole = data.size // 8 * 8
    words = data[:whole].view(np.uint64)
    mixed = np.empty(min(BLOCK, words.size), np.uint64)
    total = hash(data[whole:].tobytes())
    for start in range(0, words.size, BLOCK):
        block = words[start : start + BLOCK]
        part = mixed[: block.size]
        np.right_shift(block, 32, out=part)
        np.bitwise_xor(part, block, out=part)
        np.multiply(part, _WEIGHTS[: block.size], out=part)
        total = (total * 0x9E3779B97F4A7C15 + int(np.add.reduce(part))) & 0xFFFFFFFFFFFFFFFF
    return total


def samples(x: np.ndarray[Any, Any]) -> int:
    """Return a hash of some blocks of an array, spread over all of it."""
    flat = x.reshape(-1) if x.flags.c_contiguous else x.T.reshape(-1) if x.flags.f_contiguous else x
    step = max(flat.size // SAMPLES, 1) if flat.ndim == 1 else max(len(flat) // 16, 1)
    return hash((flat[::step].tobytes(), flat[-1:].tobytes()))


class Arguments:
    """Plain arguments, which a function might change behind its trace, by another name.

    Parameters
    ----------
    xs : sequence
        Arrays among them are looked at.
    whole : bool
        Whether every entry of large ones is compared, too.
    """

    __slots__ = ("marks", "xs")

    def __init__(self, xs: Sequence[Any], whole: bool = False) -> None:
        self.xs = xs
        self.marks: list[tuple[Any, Callable[[Any], Any], Any]] = []
        for x in xs:
            if isinstance(x, np.ndarray):
                mark: Callable[[Any], Any] = checksum
                if x.nbytes <= FEW_BYTES:
                    mark = np.ndarray.tobytes
                elif x.nbytes > WHOLE_BYTES and not whole:
                    mark = samples
                self.marks.append((x, mark, mark(x)))

    def verify(self, handles: Sequence[Any] = (), captured: Captured | None = None) -> None:
        """Raise if one has been changed; or its handle, where what was captured shows that, too.

        Raises
        ------
        MutationError
        """
        if captured is not None:
            for h, x in zip(handles, self.xs, strict=True):
                if getattr(h, "_version", 0) and captured.overlaps(x):
                    raise MutationError(
                        f"an argument of shape {h.shape} is updated in place, and the function "
                        f"reads an array that shares memory with it, which would have to see the "
                        f"update. Begin with x = x.copy()." + user_line()
                    )
        for x, mark, before in self.marks:
            if mark(x) != before:
                raise MutationError(
                    f"the function changes its argument of shape {x.shape} by another name, as an "
                    f"array that shares memory with it. Plain NumPy would go on with the new "
                    f"numbers, which traced values do not see. Change the argument itself, or "
                    f"pass a copy: x.copy()." + user_line()
                )


def duplicate(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return a copy with the axes in the same order, and what a stride of 0 repeats repeated."""
    if x.flags.c_contiguous:
        return x.copy()
    if 0 not in x.strides or 0 in x.shape:
        return x.copy(order="K")
    once = x[tuple([slice(None) if s else slice(1) for s in x.strides])]
    return np.broadcast_to(once.copy(order="K"), x.shape)


def memory_of(x: np.ndarray[Any, Any]) -> int:
    """Return the identity of the array that owns the memory of `x`."""
    while isinstance(x.base, np.ndarray):
        x = x.base
    return id(x)


class _Reading(threading.local):
    """The sets, of recordings at work in this thread, of the memory that was read as it is."""

    def __init__(self) -> None:
        self.sets: list[set[int]] = []


READING = _Reading()


def note_read(x: Any) -> None:
    """Note that a recording reads the content of plain arrays, in nested lists too."""
    if isinstance(x, np.ndarray):
        READING.sets[-1].add(memory_of(x))
    elif isinstance(x, (list, tuple)):
        for y in x:
            note_read(y)


class Captured:
    """The plain arrays seen by one recording."""

    __slots__ = ("copies", "watched")

    def __init__(self) -> None:
        self.copies: dict[int, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]] = {}
        self.watched: dict[int, tuple[np.ndarray[Any, Any], Callable[..., int], int]] = {}

    def keep(self, x: np.ndarray[Any, Any], sampled: bool = False) -> np.ndarray[Any, Any]:
        """Return an array that still holds the present content of `x` in the backward pass.

        `sampled` is for arguments, which a function can change through another name only: of a
        large one, parts are compared.
        """
        key = id(x)
        if x.nbytes <= COPY_BYTES:
            found = self.copies.get(key)
            if found is not None and _same(found[1], x):
                return found[1]
            copy = duplicate(x)
            self.copies[key] = (x, copy)
            return copy
        if not x.flags.writeable and x.base is None:
            return x
        seen = self.watched.get(key)
        if seen is None:
            mark = samples if sampled and x.nbytes > WHOLE_BYTES else checksum
            self.watched[key] = (x, mark, mark(x))
            return x
        _, mark, before = seen
        if mark(x) != before:
            _changed(x)
        if mark is samples and not sampled:
            self.watched[key] = (x, checksum, checksum(x))
        return x

    def overlaps(self, x: Any) -> bool:
        """Whether an array seen here, other than `x` itself, shares memory with it."""
        if not isinstance(x, np.ndarray):
            return False
        seen: list[Any] = [found[0] for found in (*self.copies.values(), *self.watched.values())]
        return any(y is not x and _share(x, y) for y in seen)

    def verify(self) -> None:
        """Raise if a watched array was changed since it was seen.

        Raises
        ------
        MutationError
        """
        for x, mark, before in self.watched.values():
            if mark(x) != before:
                _changed(x)


def _share(x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> bool:
    try:
        return np.shares_memory(x, y, 10_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    """Whether two arrays have the same bits; NaN equals itself, and 0.0 is not -0.0."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def _changed(x: np.ndarray[Any, Any]) -> None:
    raise MutationError(
        f"a plain array of shape {x.shape} and dtype {x.dtype} was changed in place after a traced "
        f"operation had used it, so its derivative would be wrong. Write w = w * 0.5 instead of "
        f"w *= 0.5, or give the operation a copy."
    )
