"""Sparse derivatives: colouring, compression and recovery."""

from __future__ import annotations

from wengert.sparse.colouring import (
    ColouringAlgorithm,
    ColouringProblem,
    ColouringResult,
    colour,
)

__all__ = ["ColouringAlgorithm", "ColouringProblem", "ColouringResult", "colour"]
