"""What elementwise operations share: the shape rule of a ufunc, batching, counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ir.graph import Aval, aval_of
from wengert.ops.base import Op, dtype_of, shape_of

__all__ = ["batch_elementwise", "flops_each", "infer_ufunc", "plain", "promotable"]


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
