"""What elementwise operations share: the shape rule of a ufunc, batching, counts, and their rows.

A row reads ``row(ufunc, rules...)``: a rule ``lambda t, y, x: t * dy/dx`` per argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wengert.ir.graph import Aval, aval_of
from wengert.ops import patterns
from wengert.ops.base import ZERO, Counts, Derivative, Op, Scale, dtype_of, register, shape_of

__all__ = [
    "LOG_OF_SUM",
    "SPECIAL",
    "UFUNCS",
    "batch_elementwise",
    "elementwise",
    "flops_each",
    "infer_ufunc",
    "plain",
    "promotable",
    "row",
    "special",
]


def infer_ufunc(ufunc: np.ufunc) -> Callable[..., Any]:
    """Make the shape rule of a ufunc: NumPy's broadcasting and promotion."""

    def infer(*xs: Any, **_: Any) -> Any:
        shape = np.broadcast_shapes(*(shape_of(x) for x in xs))
        kinds = tuple(promotable(x) for x in xs)
        try:
            dtypes = ufunc.resolve_dtypes(kinds + (None,) * ufunc.nout)[ufunc.nin :]
        except TypeError:  # ufuncs without a resolver for Python scalars (SciPy's)
            dtypes = ufunc.resolve_dtypes(tuple(dtype_of(x) for x in xs) + (None,) * ufunc.nout)[
                ufunc.nin :
            ]
        found = tuple(Aval(shape, np.dtype(d)) for d in dtypes)
        return found[0] if len(found) == 1 else found

    return infer


def promotable(x: Any) -> Any:
    """Return what takes part in NumPy's promotion: a dtype, or the type of a Python number."""
    aval = aval_of(x)
    if not aval.weak:
        return aval.dtype
    return (
        {"f": float, "c": complex, "b": bool}.get(aval.dtype.kind, int)
        if aval.dtype.kind != "b"
        else aval.dtype
    )


def batch_elementwise(
    op: Op, args: tuple[Any, ...], batched: tuple[bool, ...], attrs: dict[str, Any]
) -> Any:
    """Line up the batch axis before the axes of every argument."""
    shapes = [shape_of(a) for a in args]
    ranks = [len(s) - b for s, b in zip(shapes, batched, strict=True)]
    rank = max(ranks)
    lined = list(args)
    for k, r in enumerate(ranks):
        if r < rank and batched[k]:
            lined[k] = np.reshape(args[k], shapes[k][:1] + (1,) * (rank - r) + shapes[k][1:])
    return op(*lined, **attrs)


def flops_each(cost: int) -> Callable[..., int]:
    """Count a number of operations for each element of the result."""
    return lambda out, *xs, **attrs: cost * out.size


def plain(y: Any, x: Any) -> Any:
    """Return what was computed from a Python number as one, which does not promote."""
    return y if hasattr(x, "dtype") else y.item()


# --- rows -----------------------------------------------------------------------------------------
UFUNCS: dict[np.ufunc, Op] = {}
"""The operation that each NumPy or SciPy ufunc stands for."""


SPECIAL = {"multiply": 10, "add": 9, "transcendental": 1}
"""Operations of a special function: ten multiply-adds, as the rational approximation of ``erf`` has
in Moshier's Cephes library, which SciPy uses. It is no gate of a circuit, as exp and log are."""


LOG_OF_SUM = {"compare": 1, "add": 3, "transcendental": 2}
"""Operations of ``max(a, b) + log1p(exp(-abs(a - b)))``."""


def elementwise(
    name: str,
    evaluate: Callable[..., Any],
    *rules: Any,
    derivative: Derivative | None = None,
    counts: Counts = "transcendental",
    flops: int = 1,
    pattern: Any = patterns.elementwise,
    **rest: Any,
) -> Op:
    """Register an elementwise operation with a rule per argument, and other fields of `Op`.

    `counts` are the operations of one evaluation, or a kind, of which it takes `flops`.
    """
    kind = derivative if derivative is not None else Scale(rules) if rules else ZERO
    if isinstance(counts, Mapping):
        flops = sum(counts.values())
    fields = {
        "pattern": patterns.nothing if kind is ZERO else pattern,
        "may_raise": False,
        **rest,
    }
    return register(
        Op(
            name,
            evaluate,
            derivative=kind,
            batch=batch_elementwise,
            flops=flops_each(flops),
            counts=counts,
            **fields,
        )
    )


def row(ufunc: np.ufunc, *rules: Any, name: str = "", **rest: Any) -> Op:
    """Register what a ufunc stands for; with a name of its own, another function of its dtypes."""
    fields = {"evaluate": ufunc, "infer": infer_ufunc(ufunc), **rest}
    op = elementwise(name or ufunc.__name__, fields.pop("evaluate"), *rules, ufunc=ufunc, **fields)
    if not name:
        UFUNCS[ufunc] = op
    return op


def special(ufunc: np.ufunc, *rules: Any, name: str = "", **rest: Any) -> Op:
    """Register a special function of SciPy, which native code calls."""
    rest = {"counts": SPECIAL, "formula": "20 for each value", "native": False, **rest}
    op = row(ufunc, *rules, name=name, **rest)
    UFUNCS[ufunc] = op
    return op
