"""Arrays in few numbers, for pages that are to stay small."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.drawing.model import Snapshot

__all__ = ["snapshot"]

HEAT = 16
"""Rows and columns of a heat map, at most."""


def snapshot(x: Any) -> Snapshot:
    """Return the least, mean and greatest number of an array, and a small map of it."""
    x = np.asarray(x)
    dtype = str(x.dtype)
    if x.dtype.kind == "c":
        x = np.abs(x)
    if x.dtype.kind not in "fiub" or not x.size:
        return Snapshot(x.shape, dtype, None, None, None, ())
    if x.size == 1:
        number = float(x.reshape(())[()])
        return Snapshot(x.shape, dtype, number, number, number, ())
    y = x.astype(float, copy=False)
    with np.errstate(all="ignore"):
        return Snapshot(
            x.shape, dtype, float(y.min()), float(y.mean()), float(y.max()), heat_map(y)
        )


def heat_map(x: Any) -> tuple[tuple[float, ...], ...]:
    """Average an array over blocks, so that at most `HEAT` rows and columns are left."""
    grid = x.reshape(1, -1) if x.ndim <= 1 else x.reshape(-1, x.shape[-1])
    for axis in (0, 1):
        n = grid.shape[axis]
        if n > HEAT:
            edges = np.linspace(0, n, HEAT + 1).astype(int)
            sums = np.add.reduceat(grid, edges[:-1], axis=axis)
            sizes = np.diff(edges)
            grid = sums / (sizes[:, None] if axis == 0 else sizes)
    return tuple(tuple(float(f"{y:.3g}") for y in row) for row in grid)
