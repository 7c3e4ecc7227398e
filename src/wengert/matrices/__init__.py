"""Jacobians and Hessians, dense and sparse: what users call, and the plans behind it.

A plan has a pattern, a colouring, a program, and a probe that tells a wrong pattern.
May import: errors, naming, tables, files, charts, follow, llvm, ir, ops, trees, trace, transform,
sparse.colouring, sparse, sparse.detection, orders, linear, cost, memory, backend,
backend.native.schedule, backend.native, jit, derivatives.
"""

from __future__ import annotations

from wengert.matrices.dense import jacfwd, jacrev
from wengert.matrices.functions import (
    MatrixFunction,
    hessian,
    jacobian,
    load_plan,
    value_and_jacobian,
)
from wengert.matrices.plan import MatrixPlan
from wengert.matrices.rates import calibrate

__all__ = [
    "MatrixFunction",
    "MatrixPlan",
    "calibrate",
    "hessian",
    "jacfwd",
    "jacobian",
    "jacrev",
    "load_plan",
    "value_and_jacobian",
]
