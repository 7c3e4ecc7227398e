"""Choosing between values and converting their dtype: `select` and `convert`."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.ir.graph import Aval, aval_of
from wengert.ops import patterns
from wengert.ops.base import Op, Scale, Transpose, dtype_of, register, shape_of
from wengert.ops.rows import batch_elementwise

__all__ = ["convert", "select"]


def _infer_select(c: Any, a: Any, b: Any) -> Aval:
    shape = np.broadcast_shapes(shape_of(c), shape_of(a), shape_of(b))
    return Aval(
        shape,
        np.result_type(
            *(x if aval_of(x).weak and not hasattr(x, "shape") else dtype_of(x) for x in (a, b))
        ),
    )


def _is_true(c: Any) -> Any:
    return np.not_equal(c, 0)


_BRANCHES = patterns.Elementwise(choices={1: ((0,), np.logical_not), 2: ((0,), _is_true)})
select = register(
    Op(
        "select",
        np.where,
        infer=_infer_select,
        derivative=Scale(
            (None, lambda t, y, c, a, b: np.where(c, t, 0), lambda t, y, c, a, b: np.where(c, 0, t))
        ),
        batch=batch_elementwise,
        flops=lambda out, *xs: out.size,
        counts="compare",
        pattern=patterns.ByArgument(dict.fromkeys((1, 2), _BRANCHES)),
        linear=(1, 2),
        together=True,
        returns="array",
        by_kind=True,
        may_raise=False,
        waits=True,
    )
)


def _convert(x: Any, *, dtype: Any, order: tuple[int, ...] | None = None) -> Any:
    """Copy as another dtype, with the axes from slow to fast in `order`; as they are if None."""
    if isinstance(x, (np.ndarray, np.generic)):
        if x.dtype.kind == "c" and dtype.kind not in "cb":
            x = x.real
        if order is not None:
            return x.transpose(order).astype(dtype, order="C").transpose(np.argsort(order))
        return x.astype(dtype)
    return dtype.type(x)


def _batch_convert(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    order = attrs.get("order")
    if order is not None:
        attrs = {**attrs, "order": (0, *(a + 1 for a in order))}
    return op(*args, **attrs)


convert: Op = register(
    Op(
        "convert",
        _convert,
        infer=lambda x, *, dtype, order=None: Aval(shape_of(x), dtype),
        derivative=Transpose((lambda ct, x, *, dtype, **_: convert(ct, dtype=dtype_of(x)),)),
        batch=_batch_convert,
        flops=lambda out, x, **_: 0,
        counts="move",
        pattern=patterns.elementwise,
        residual=False,
        returns="same",
        by_kind=True,
        may_raise=False,
        waits=True,
    )
)
