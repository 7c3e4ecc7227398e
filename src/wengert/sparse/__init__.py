"""Sparsity patterns, and what is read off them.

A pattern is a boolean matrix; `detection` finds it in a graph, `colouring` compresses it.
May import: errors, charts, sparse.colouring.
"""

from __future__ import annotations

from wengert.sparse.colouring.colouring import colour
from wengert.sparse.colouring.problem import ColouringAlgorithm, ColouringProblem
from wengert.sparse.colouring.result import ColouringResult
from wengert.sparse.pattern import SparsityPattern

__all__ = [
    "ColouringAlgorithm",
    "ColouringProblem",
    "ColouringResult",
    "SparsityPattern",
    "colour",
]
