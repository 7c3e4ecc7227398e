"""Operations along one axis: cumulative sums and products, sorting, searching."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import (
    ZERO,
    Derivative,
    Jvp,
    Op,
    Transpose,
    dtype_of,
    register,
    shape_of,
)
from wengert.ops.index import SLOT, count, getitem

__all__ = [
    "CUMULATIVE",
    "argpartition",
    "argsort",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "partition",
    "recurrence",
    "searchsorted",
    "sort",
    "take_along",
]


def _batch_axis(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    n = next(shape_of(a)[0] for a, b in zip(args, batched, strict=True) if b)
    lined = [
        a if b else np.broadcast_to(a, (n, *shape_of(a)))
        for a, b in zip(args, batched, strict=True)
    ]
    return op(*lined, **{**attrs, "axis": attrs["axis"] + 1})


CUMULATIVE: dict[np.ufunc, Op] = {}
"""The cumulative operation of each ufunc that has a row."""


def _along(
    name: str,
    evaluate: Callable[..., Any],
    derivative: Derivative,
    *,
    counts: str,
    pattern: Any = patterns.prefix,
    flops: Callable[..., int] | None = None,
    dtype: Callable[[Any], Any] = lambda given: given,
    folds: np.ufunc | None = None,
    formula: str = "",
) -> Op:
    op = register(
        Op(
            name,
            evaluate,
            infer=lambda x, *rest, **attrs: Aval(
                shape_of(x), np.dtype(dtype(np.result_type(dtype_of(x), *map(dtype_of, rest))))
            ),
            derivative=derivative,
            batch=_batch_axis,
            flops=flops or (lambda out, *xs, **_: out.size),
            counts=counts,
            pattern=patterns.nothing if derivative is ZERO else pattern,
            residual=isinstance(derivative, Jvp) or name == "recurrence",
            may_raise=False,
            folds=folds,
            formula=formula,
        )
    )
    if folds is not None:
        CUMULATIVE[folds] = op
    return op


def _steps(out: Aval, *_: Any, axis: int) -> int:
    """Count one operation for each element but the first of every line."""
    return out.size - out.size // out.shape[axis] if out.size else 0


def _flip(x: Any, axis: int) -> Any:
    return x[(slice(None),) * axis + (slice(None, None, -1),)]


def _accumulated(dtype: Any) -> Any:
    """Return the dtype in which NumPy adds up: at least the default integer."""
    return np.add.reduce(np.zeros(1, dtype)).dtype


def _pull_cumsum(ct: Any, x: Any, *, axis: int) -> Any:
    return _flip(cumsum(_flip(ct, axis), axis=axis), axis)


cumsum = _along(
    "cumsum",
    lambda x, *, axis: np.cumsum(x, axis),
    Transpose((_pull_cumsum,)),
    counts="add",
    flops=_steps,
    dtype=_accumulated,
    folds=np.add,
)


def _shifted(y: Any, axis: int, first: float) -> Any:
    """Delay by one position along `axis`, starting with `first`."""
    head = list(shape_of(y))
    if not head[axis]:
        return y
    head[axis] = 1
    part = y[(slice(None),) * axis + (slice(None, -1),)]
    return np.concatenate([np.full(head, first, dtype_of(y)), part], axis=axis)


def _recurrence(a: Any, b: Any, *, axis: int) -> Any:
    """Solve ``z[i] = a[i] z[i-1] + b[i]`` along `axis`, with ``z[-1] = 0``."""
    with np.errstate(all="ignore"):
        p = np.cumprod(a, axis)
        scale = np.abs(p)
    bound = np.sqrt(np.finfo(p.dtype).max)
    if p.size and scale.min() > 1 / bound and scale.max() < bound:
        return p * np.cumsum(b / p, axis)
    a, b = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    z = np.empty(np.broadcast_shapes(a.shape, b.shape), np.result_type(a, b))
    last: Any = 0
    for i in range(len(z)):
        last = z[i] = a[i] * last + b[i]
    return np.moveaxis(z, 0, axis)


def _pull_recurrence(ct: Any, a: Any, b: Any, *, axis: int) -> Any:
    return _flip(recurrence(_shifted(_flip(a, axis), axis, 0.0), _flip(ct, axis), axis=axis), axis)


recurrence: Op = _along(
    "recurrence",
    _recurrence,
    Transpose(
        (None, _pull_recurrence),
        jvps=(
            lambda t, y, a, b, *, axis: recurrence(a, t * _shifted(y, axis, 0.0), axis=axis),
            None,
        ),
    ),
    counts="mixed",
    pattern=patterns.ByArgument({0: patterns.Prefix(first=False), 1: patterns.prefix}),
    flops=lambda out, *xs, **_: 2 * out.size,
)

cumprod = _along(
    "cumprod",
    lambda x, *, axis: np.cumprod(x, axis),
    Jvp((lambda t, y, x, *, axis: recurrence(x, t * _shifted(y, axis, 1.0), axis=axis),)),
    counts="multiply",
    flops=_steps,
    dtype=_accumulated,
    folds=np.multiply,
)


def take_along(x: Any, order: Any, axis: int) -> Any:
    """Gather along one axis by an integer array of the same rank; other axes broadcast."""
    rank = len(shape_of(order))
    index = [count((n,) + (1,) * (rank - 1 - i)) for i, n in enumerate(shape_of(x))]
    index[axis] = order
    return getitem(x, *index, spec=(SLOT,) * rank)


def _argcummax(x: Any, y: Any, axis: int) -> Any:
    """Return the position whose value each running extremum holds."""
    n = shape_of(x)[axis]
    positions = np.arange(n).reshape((n,) + (1,) * (len(shape_of(x)) - 1 - axis))
    fresh = np.where(x == y, positions, 0)
    return np.maximum.accumulate(fresh, axis=axis)


def _running(name: str, ufunc: np.ufunc) -> Op:
    def order(x: Any, *, axis: int) -> Any:
        return _argcummax(x, ufunc.accumulate(x, axis), axis)

    return _along(
        name,
        lambda x, *, axis: ufunc.accumulate(x, axis),
        Jvp((lambda t, y, x, *, axis: take_along(t, _argcummax(x, y, axis), axis),)),
        counts="compare",
        pattern=patterns.Permuting(order, earlier=True),
        folds=ufunc,
    )


cummax = _running("cummax", np.maximum)
cummin = _running("cummin", np.minimum)


def _sorting_flops(out: Any, *xs: Any, axis: int, **_: Any) -> int:
    n = out.shape[axis] if out.shape else 1
    return int(out.size * max(math.ceil(math.log2(max(n, 1))), 1))


sort = _along(
    "sort",
    lambda x, *, axis: np.sort(x, axis, kind="stable"),
    Jvp((lambda t, y, x, *, axis: take_along(t, argsort(x, axis=axis), axis),)),
    counts="compare",
    flops=_sorting_flops,
    formula="n log2 n comparisons",
    pattern=patterns.Permuting(lambda x, *, axis: np.argsort(x, axis, kind="stable")),
)
argsort: Op = _along(
    "argsort",
    lambda x, *, axis: np.argsort(x, axis, kind="stable"),
    ZERO,
    counts="compare",
    flops=_sorting_flops,
    formula="n log2 n comparisons",
    dtype=lambda given: np.intp,
)
partition = _along(
    "partition",
    lambda x, *, axis, kth: np.partition(x, kth, axis),
    Jvp((lambda t, y, x, *, axis, kth: take_along(t, argpartition(x, axis=axis, kth=kth), axis),)),
    counts="compare",
    flops=lambda out, *xs, **_: 2 * out.size,
    formula="2n comparisons",
    pattern=patterns.Permuting(lambda x, *, axis, kth: np.argpartition(x, kth, axis)),
)
argpartition: Op = _along(
    "argpartition",
    lambda x, *, axis, kth: np.argpartition(x, kth, axis),
    ZERO,
    counts="compare",
    flops=lambda out, *xs, **_: 2 * out.size,
    formula="2n comparisons",
    dtype=lambda given: np.intp,
)


def _batch_search(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    a, v = args
    if not batched[0]:
        return op(a, v, **attrs)
    n = shape_of(a)[0]
    pieces = [op(a[i], v[i] if batched[1] else v, **attrs) for i in range(n)]
    return np.stack(pieces)


searchsorted = register(
    Op(
        "searchsorted",
        lambda a, v, *, side: np.searchsorted(a, v, side),
        infer=lambda a, v, *, side: Aval(shape_of(v), np.dtype(np.intp)),
        derivative=ZERO,
        batch=_batch_search,
        flops=lambda out, a, v, **_: (
            out.size * max(math.ceil(math.log2(max(shape_of(a)[0], 1))), 1)
        ),
        counts="compare",
        formula="log2 n comparisons for each value",
        pattern=patterns.nothing,
        residual=False,
        may_raise=False,
    )
)
