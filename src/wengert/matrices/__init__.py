"""Matrices of derivatives, dense and sparse: what users call, and the plans behind it."""

from __future__ import annotations

from wengert.matrices.functions import (
    MatrixFunction,
    hessian,
    jacobian,
    load_plan,
    value_and_jacobian,
)
from wengert.matrices.plan import MatrixPlan

__all__ = [
    "MatrixFunction",
    "MatrixPlan",
    "hessian",
    "jacobian",
    "load_plan",
    "value_and_jacobian",
]
