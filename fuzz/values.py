"""Arrays that a program's text can name: numbers from a formula, in a layout by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

__all__ = ["LAYOUTS", "Pair", "Point", "laid", "relaid", "wave"]


@dataclass
class Pair:
    """A container that programs put traced values into."""

    first: Any
    second: Any


class Point(NamedTuple):
    """Another one, which cannot be changed."""

    x: Any
    y: Any


def wave(shape: tuple[int, ...], k: int = 0, dtype: str = "f8") -> Any:
    """Return distinct numbers between -1 and 1 (integers up to 4), other ones for each k."""
    dtype = np.dtype(dtype)
    i = np.arange(math.prod(shape), dtype=float)
    x = np.sin(0.7 + 2.3 * k + (1.7 + 0.13 * (k % 5)) * i)
    if dtype.kind == "c":
        x = x + 1j * np.cos(1.9 * i + k)
    if dtype.kind == "b":
        return (x > 0).reshape(shape)
    if dtype.kind in "iu":
        x = np.rint(4 * x) if dtype.kind == "i" else np.rint(2 + 2 * x)
    return x.astype(dtype).reshape(shape)


def _strided(x: Any) -> Any:
    wide = np.zeros(tuple(2 * n for n in x.shape), x.dtype)
    wide[tuple(slice(None, None, 2) for _ in x.shape)] = x
    return wide[tuple(slice(None, None, 2) for _ in x.shape)]


def _offset(x: Any) -> Any:
    wide = np.zeros((*x.shape[:-1], x.shape[-1] + 3), x.dtype)
    wide[..., 1:-2] = x
    return wide[..., 1:-2]


def _read_only(x: Any) -> Any:
    x = np.array(x)
    x.flags.writeable = False
    return x


def _reversed(x: Any) -> Any:
    every = (slice(None, None, -1),) * np.ndim(x)
    return x[every].copy()[every]


LAYOUTS = {
    "C": lambda x: x,
    "F": lambda x: np.asfortranarray(x) if x.ndim else x,
    "reversed": _reversed,
    "strided": lambda x: _strided(x) if x.ndim else x,
    "offset": lambda x: _offset(x) if x.ndim else x,
    "read-only": _read_only,
    "swapped": lambda x: np.swapaxes(np.swapaxes(x, 0, -1).copy(), 0, -1) if x.ndim > 1 else x,
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape) if x.ndim and len(x) else x,
    "broadcast last": lambda x: (
        np.broadcast_to(x[..., :1], x.shape) if x.ndim and x.shape[-1] else x
    ),
}


def laid(layout: str, x: Any) -> Any:
    """Return an array equal to `x` (but for the broadcast ones) in another layout of memory."""
    return LAYOUTS[layout](x)


def relaid(values: Any, like: Any) -> Any:
    """Return `values` with the strides of `like`; of a broadcast array, with its order of axes."""
    values = np.asarray(values, like.dtype)
    if not like.size or any(
        s == 0 and n > 1 for s, n in zip(like.strides, like.shape, strict=True)
    ):
        return np.copy(values, order="K")
    low, high = np.lib.array_utils.byte_bounds(like)
    start = like.__array_interface__["data"][0] - low
    out: Any = np.ndarray(like.shape, like.dtype, bytearray(high - low), start, like.strides)
    out[...] = values
    return out
