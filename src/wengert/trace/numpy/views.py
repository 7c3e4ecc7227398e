"""NumPy's functions that return diagonals and windows as views."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from wengert.errors import user_line
from wengert.ops.index import SLOT, index_set
from wengert.trace import views
from wengert.trace.numpy.table import axis_index, implements, refuse, traced

__all__ = ["diagonal_view"]


# --- diagonals ------------------------------------------------------------------------------------
def _diagonal(a: Any, offset: int, axis1: int, axis2: int) -> Any:
    a = np.moveaxis(a, (axis1, axis2), (-2, -1))
    return a[(..., *_places(a.shape, offset))]


def _places(shape: tuple[int, ...], offset: int) -> tuple[Any, Any]:
    m, n = shape[-2:]
    i = np.arange(max(min(m + min(offset, 0), n - max(offset, 0)), 0))
    return i - min(offset, 0), i + max(offset, 0)


def _along_diagonal(shape: Any, own: Any, attrs: dict[str, Any]) -> Any:
    i, j = attrs["axis1"] % len(shape), attrs["axis2"] % len(shape)
    return (*(s for k, s in enumerate(own) if k not in (i, j)), own[i] + own[j])


def _set_diagonal(base: Any, new: Any, *, offset: int, axis1: int, axis2: int) -> Any:
    moved = np.moveaxis(base, (axis1, axis2), (-2, -1))
    moved = index_set(moved, new, *_places(moved.shape, offset), spec=(Ellipsis, SLOT, SLOT))
    return np.moveaxis(moved, (-2, -1), (axis1, axis2))


_READ_ONLY = views.Along("diagonal", _diagonal, np.diagonal, _along_diagonal)
_WRITEABLE = views.Along("diagonal", _diagonal, np.diagonal, _along_diagonal, _set_diagonal)


@implements(np.diagonal)
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Stand for `numpy.diagonal`, a read-only view."""
    return diagonal_view(traced(a), offset, axis1, axis2, _READ_ONLY)


def diagonal_view(a: Any, offset: int, axis1: int, axis2: int, view: Any = _WRITEABLE) -> Any:
    """Return a diagonal as a view, which einsum's can be written into."""
    i, j = axis_index(axis1, a.ndim), axis_index(axis2, a.ndim)
    if i == j:
        raise ValueError("axis1 and axis2 cannot be the same" + user_line())
    attrs = {"offset": operator.index(offset), "axis1": i, "axis2": j}
    return views.attach(view(a, **attrs), a, view, attrs)


# --- windows --------------------------------------------------------------------------------------
def _windows(x: Any, sizes: tuple[int, ...], along: tuple[int, ...]) -> Any:
    for n, axis in zip(sizes, along, strict=True):
        starts = np.arange(x.shape[axis] - n + 1)[:, None] + np.arange(n)
        x = np.moveaxis(np.take(x, starts, axis=axis), axis + 1, -1)
    return x


_WINDOWS = views.Along(
    "lib.stride_tricks.sliding_window_view",
    _windows,
    lambda x, sizes, along: np.lib.stride_tricks.sliding_window_view(x, sizes, along),
    lambda shape, own, attrs: (*own, *(own[a] for a in attrs["along"])),
)


@implements(np.lib.stride_tricks.sliding_window_view)
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:
    """Stand for `numpy.lib.stride_tricks.sliding_window_view`, a read-only view."""
    refuse("lib.stride_tricks.sliding_window_view", writeable=(writeable, False))
    x = traced(x)
    sizes = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    along = tuple(range(x.ndim)) if axis is None else tuple(np.atleast_1d(axis).tolist())
    if any(n < 0 for n in sizes):
        raise ValueError(f"window_shape {sizes} has a negative size" + user_line())
    if len(sizes) != len(along):
        raise ValueError(
            f"sliding_window_view: window_shape {sizes} has {len(sizes)} sizes for {len(along)} "
            f"axes of an array of shape {x.shape}; give a size for each, or axis=" + user_line()
        )
    along = tuple(axis_index(a, x.ndim) for a in along)
    left = list(x.shape)
    for n, a in zip(sizes, along, strict=True):
        left[a] -= n - 1
        if left[a] < 1:
            raise ValueError(
                f"a window of {n} is larger than axis {a} of an array of shape {x.shape}"
                + user_line()
            )
    attrs = {"sizes": tuple(int(n) for n in sizes), "along": along}
    return views.attach(_WINDOWS(x, **attrs), x, _WINDOWS, attrs)
