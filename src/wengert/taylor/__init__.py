"""Derivatives of higher order by Taylor mode: Laplacians, diagonals of Hessians, and jets.

May import: errors, follow, ops, trees, trace, transform, sparse.colouring, sparse,
sparse.detection, jit, derivatives, matrices.
"""

from __future__ import annotations

from wengert.taylor.functions import hessian_diagonal, jet, laplacian

__all__ = ["hessian_diagonal", "jet", "laplacian"]
