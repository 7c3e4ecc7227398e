"""The problems of bench/native.py, in the order of its table."""

from __future__ import annotations

from problems import clusters, dense, geometry, scalar, sequence
from problems.record import Problem

__all__ = ["PROBLEMS"]

PROBLEMS: list[Problem] = [
    *scalar.PROBLEMS,
    *dense.PROBLEMS,
    *clusters.PROBLEMS,
    *geometry.PROBLEMS,
    *sequence.PROBLEMS,
]
