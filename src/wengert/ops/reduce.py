"""Reductions. `axis` is a tuple of non-negative ints; `keepdims` keeps the reduced axes as 1."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import (
    ZERO,
    Counts,
    Derivative,
    Fold,
    Op,
    Transpose,
    dtype_of,
    register,
    shape_of,
)
from wengert.ops.shape import filled, reshape

__all__ = [
    "REDUCTIONS",
    "argmax",
    "argmin",
    "expand",
    "neutral",
    "reduce_all",
    "reduce_any",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
]


def reduced(shape: tuple[int, ...], axis: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """Return the shape that a reduction leaves."""
    if keepdims:
        return tuple(1 if i in axis else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in axis)


def expand(y: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """Give a reduction's result its reduced axes back, as axes of length 1."""
    kept = reduced(shape_of(x), axis, True)
    return y if shape_of(y) == kept else reshape(y, shape=kept)


def _batch_reduction(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    axis = attrs["axis"]
    shifted = axis + 1 if isinstance(axis, int) else tuple(a + 1 for a in axis)
    return op(args[0], **{**attrs, "axis": shifted})


REDUCTIONS: dict[np.ufunc, Op] = {}
"""The reduction by each ufunc that has a row."""


def neutral(ufunc: np.ufunc, dtype: np.dtype[Any]) -> Any:
    """Return what a reduction by a ufunc begins with: it changes no other number of the dtype."""
    if ufunc.identity is not None:
        return ufunc.identity
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return info.min if ufunc is np.maximum else info.max
    ends = (False, True) if dtype.kind == "b" else (-np.inf, np.inf)
    return ends[ufunc is not np.maximum]


def _reduction(
    name: str,
    evaluate: Callable[..., Any],
    derivative: Derivative,
    dtype: Callable[[Any], Any],
    folds: np.ufunc,
    counts: Counts = "add",
    flops: Callable[..., int] | None = None,
    pattern: Any = patterns.grouped,
    waits: bool = False,
    is_slow: bool = False,
) -> Op:
    REDUCTIONS[folds] = op = register(
        Op(
            name,
            evaluate,
            infer=lambda x, *, axis, keepdims: Aval(
                reduced(shape_of(x), axis, keepdims), np.dtype(dtype(x))
            ),
            derivative=derivative,
            batch=_batch_reduction,
            flops=flops or (lambda out, x, **_: max(math.prod(shape_of(x)) - out.size, 0)),
            counts=counts,
            pattern=patterns.nothing if derivative is ZERO else pattern,
            residual=isinstance(derivative, Fold),
            may_raise=False,
            folds=folds,
            waits=waits,
            is_slow=is_slow,
        )
    )
    return op


_add: Any = np.add.reduce
_max: Any = np.maximum.reduce
_logaddexp: Any = np.logaddexp.reduce


def _sum(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    if len(axis) == 1:
        return _add(x, axis[0], keepdims=keepdims)
    return _add(x, axis, keepdims=keepdims)


def _sum_dtype(x: Any) -> Any:
    return np.add.reduce(np.zeros(1, dtype_of(x))).dtype


def _spread(ct: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return filled(ct if keepdims else expand(ct, x, axis), shape=shape_of(x))


reduce_sum = _reduction("sum", _sum, Transpose((_spread,)), _sum_dtype, np.add, waits=True)


def _tied(t: Any, y: Any, x: Any, *, axis: tuple[int, ...], **_: Any) -> Any:
    """Share the derivative equally among the entries that attain the extremum.

    The others are left out, where t may be no number. Beside a NaN nothing attains it: NaN.
    """
    hit = x == y
    count = np.sum(hit.astype(dtype_of(t)), axis=axis, keepdims=True)
    return np.where(hit, t / count, 0 / count)


def _native_dtype(x: Any) -> Any:
    return dtype_of(x).newbyteorder("=")


reduce_max = _reduction(
    "max",
    lambda x, *, axis, keepdims: np.maximum.reduce(x, axis, keepdims=keepdims),
    Fold(_tied),
    _native_dtype,
    np.maximum,
    counts="compare",
    pattern=patterns.Grouped(np.less),
    waits=True,
)
reduce_min = _reduction(
    "min",
    lambda x, *, axis, keepdims: np.minimum.reduce(x, axis, keepdims=keepdims),
    Fold(_tied),
    _native_dtype,
    np.minimum,
    counts="compare",
    pattern=patterns.Grouped(np.greater),
    waits=True,
)


def _others(x: Any, axis: tuple[int, ...]) -> Any:
    """Return, at each position, the product of all the others along `axis`; exact with zeros.

    Prefix products times suffix products: 3 n - 6 multiplications, no division.
    """
    kept = tuple(i for i in range(len(shape_of(x))) if i not in axis)
    order = (*kept, *axis)
    moved = np.transpose(x, order)
    head = shape_of(moved)[: len(kept)]
    flat = np.reshape(moved, (*head, math.prod(shape_of(moved)[len(kept) :])))
    n = shape_of(flat)[-1]
    if n == 0:
        return x
    if n == 1:
        return np.ones(shape_of(x), dtype_of(x))
    before = np.cumprod(flat[..., :-1], axis=-1)
    after = np.cumprod(flat[..., :0:-1], axis=-1)[..., ::-1]
    middle = before[..., :-1] * after[..., 1:]
    others = np.concatenate([after[..., :1], middle, before[..., -1:]], axis=-1)
    back = np.argsort(order)
    return np.transpose(np.reshape(others, shape_of(moved)), tuple(int(i) for i in back))


reduce_prod = _reduction(
    "prod",
    lambda x, *, axis, keepdims: np.multiply.reduce(x, axis, keepdims=keepdims),
    Fold(lambda t, y, x, *, axis, **_: t * _others(x, axis)),
    lambda x: np.multiply.reduce(np.ones(1, dtype_of(x))).dtype,
    np.multiply,
    counts="multiply",
)


def _logsumexp(x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    """Evaluate stably: shift by the maximum; -inf where all entries are."""
    if dtype_of(x).kind == "c" or 0 in shape_of(x):
        return _logaddexp(x, axis, keepdims=keepdims)
    top = _max(x, axis, keepdims=True)
    shift = np.where(np.isfinite(top), top, 0)
    work = np.asarray(np.subtract(x, shift))
    with np.errstate(divide="ignore"):
        y = np.log(_add(np.exp(work, out=work), axis, keepdims=True)) + shift
    return y if keepdims else y.reshape(reduced(np.shape(x), axis, False))[()]


def _softmax(t: Any, y: Any, x: Any, *, axis: tuple[int, ...], **_: Any) -> Any:
    """Weigh by the softmax; equal infinities share.

    The largest entry is subtracted with its derivative. So the tangent of a weight w near 1 is made
    of what the others change, and does not cancel as ``w - w**2`` does.
    """
    if 0 in shape_of(x):
        return t * x
    top = np.max(x, axis=axis, keepdims=True)
    w = np.exp(np.where((x == top) & np.isinf(x), 0, x - top))
    return (t / np.sum(w, axis=axis, keepdims=True)) * w


def _of_logsumexp(n: int, out: Aval, x: Aval) -> dict[str, int]:
    """Count the maximum, the differences to it, exponentials, their sum and logarithm."""
    m = min(out.size, x.size)
    return {"compare": x.size - m, "add": 2 * x.size, "transcendental": n - 3 * x.size + m}


reduce_logsumexp = _reduction(
    "logsumexp",
    _logsumexp,
    Fold(_softmax),
    lambda x: np.result_type(dtype_of(x), np.float16) if dtype_of(x).kind in "fc" else np.float64,
    np.logaddexp,
    counts=_of_logsumexp,
    is_slow=True,
    flops=lambda out, x, **_: 4 * math.prod(shape_of(x)),
)

reduce_any = _reduction(
    "any", lambda x, *, axis, keepdims: np.logical_or.reduce(x, axis, keepdims=keepdims), ZERO,
    lambda x: np.bool_, np.logical_or, counts="compare",
)  # fmt: skip
reduce_all = _reduction(
    "all", lambda x, *, axis, keepdims: np.logical_and.reduce(x, axis, keepdims=keepdims), ZERO,
    lambda x: np.bool_, np.logical_and, counts="compare",
)  # fmt: skip


def _arg(name: str, evaluate: Callable[..., Any]) -> Op:
    def infer(x: Any, *, axis: int, keepdims: bool) -> Aval:
        return Aval(reduced(shape_of(x), (axis,), keepdims), np.dtype(np.intp))

    return register(
        Op(
            name,
            lambda x, *, axis, keepdims: evaluate(x, axis=axis, keepdims=keepdims),
            infer=infer,
            derivative=ZERO,
            batch=_batch_reduction,
            flops=lambda out, x, **_: math.prod(shape_of(x)),
            counts="compare",
            pattern=patterns.nothing,
            residual=False,
            may_raise=False,
        )
    )


argmax = _arg("argmax", np.argmax)
argmin = _arg("argmin", np.argmin)
