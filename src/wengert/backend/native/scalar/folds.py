"""What reductions and cumulative operations apply again and again, and begin with."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.backend.native.scalar.lower import LOWER, Lowering
from wengert.ops.base import TABLE
from wengert.ops.reduce import neutral

__all__ = ["identity", "step"]


def identity(name: str, dtype: np.dtype[Any]) -> Any:
    """Return what an operation of the table begins with."""
    return neutral(TABLE[name].folds, dtype)


def step(name: str) -> Lowering:
    """Return the instructions that bring in one more element."""
    return LOWER[TABLE[name].folds.__name__]
