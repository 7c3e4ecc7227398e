"""Sparse derivatives: patterns, colouring, compression and recovery."""

from __future__ import annotations

from wengert.sparse.colouring import (
    ColouringAlgorithm,
    ColouringProblem,
    ColouringResult,
    colour,
)
from wengert.sparse.pattern import SparsityPattern

__all__ = [
    "ColouringAlgorithm",
    "ColouringProblem",
    "ColouringResult",
    "SparsityPattern",
    "colour",
]
