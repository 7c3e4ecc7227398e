"""Forward mode for one operation: from tangents of the arguments to the tangent of the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.ops.base import Fold, Jvp, OfRegions, Op, Scale, Traced, Transpose, dtype_of, shape_of
from wengert.ops.convert import convert, select
from wengert.ops.reduce import expand, reduce_sum
from wengert.ops.shape import filled
from wengert.transform.reach import Reach, carried, is_elementwise, joined, settled, slope_reach

__all__ = ["push", "push_within"]


def push(op: Op, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
    """Return the tangent of ``y = op(*xs, **attrs)``; None where it is zero, a tuple like `y`.

    Parameters
    ----------
    y : array or tuple of arrays
    xs : list of arrays
    ts : list of arrays or None
        None is a zero tangent.
    """
    derivative = op.derivative
    if op is select:
        ts = _chosen(xs[0], ts)
    if not isinstance(y, tuple) and 0 in shape_of(y):
        return None  # so that what is made of nothing has a zero tangent, not one of 0 * inf
    if isinstance(derivative, Fold):
        axis = attrs["axis"]
        scaled = derivative.rule(ts[0], expand(y, xs[0], axis), xs[0], **attrs)
        return reduce_sum(scaled, axis=axis, keepdims=attrs["keepdims"])
    if isinstance(derivative, OfRegions):
        slopes = derivative.push(xs, ts, attrs)[1]
        total = tuple(slopes) if isinstance(y, tuple) else slopes[0]
    elif isinstance(derivative, Transpose):
        total = _push_linear(op, derivative, y, xs, ts, attrs)
    elif isinstance(derivative, Scale | Jvp):
        total = None
        for rule, t in zip(derivative.rules, ts, strict=False):
            if t is None or rule is None:
                continue
            part = t if rule == 1 else -t if rule == -1 else rule(t, y, *xs, **attrs)
            total = part if total is None else _plus(total, part)
    else:  # custom rules
        total = derivative.push(y, xs, ts, attrs)  # type: ignore[union-attr]
    if total is None:
        return None
    if isinstance(y, tuple):
        return tuple(None if t is None else fit(t, p) for t, p in zip(total, y, strict=True))
    return fit(total, y)


def push_within(
    op: Op, y: Any, xs: list[Any], ts: list[Any], rs: list[Reach | None], attrs: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the tangent of a result and its reach; tuples where there are several results.

    Parameters
    ----------
    rs : list of Reach or None
        The reaches of the tangents.
    """
    derivative = op.derivative
    several = isinstance(y, tuple)
    if not several and 0 in shape_of(y):
        return None, None
    each = is_elementwise(op, y)
    if each and isinstance(derivative, Scale | Jvp):
        total, reach = None, None
        for k, (rule, t, r) in enumerate(zip(derivative.rules, ts, rs, strict=False)):
            if t is None or rule is None:
                continue
            part = t if rule == 1 else -t if rule == -1 else rule(t, y, *xs, **attrs)
            found = slope_reach(op, k, r, xs)
            if total is None:
                total, reach = part, found
            elif reach is not None and found is not None and reach.clean() is found.clean():
                total, reach = total + part, reach if reach.is_spoilt else found
            else:
                total = settled(reach, total) + settled(found, part)
                reach = joined(reach, found)
        return (None, None) if total is None else (fit(total, y), reach)
    if each:  # linear
        r = slope_reach(op, 0, rs[0], xs, len(ts) > 1 and ts[1] is not None)
        return push(op, y, xs, ts, attrs), r
    before = [r and r.clean() for r in rs]
    ts = [settled(r, t) for r, t in zip(rs, ts, strict=True)]
    if isinstance(derivative, Fold):
        axis = attrs["axis"]
        scaled = derivative.rule(ts[0], expand(y, xs[0], axis), xs[0], **attrs)
        r = before[0]
        if r is not None and not (op.partial or r.faint):  # the slope may be no number
            scaled = r.spoilt().settle(scaled)
        t = fit(reduce_sum(scaled, axis=axis, keepdims=attrs["keepdims"]), y)
    else:
        t = push(op, y, xs, ts, attrs)
    return t, (None,) * len(y) if several else carried(op, y, xs, ts, before, attrs)


def _chosen(condition: Any, ts: list[Any]) -> list[Any]:
    """Leave out the tangent of a branch that is taken nowhere: 0 * inf does not come of it."""
    if isinstance(condition, Traced) or ts[1] is ts[2]:
        return ts
    condition = np.asarray(condition)
    first = ts[1] if condition.any() else None
    return [ts[0], first, None if condition.all() else ts[2]]


def fit(t: Any, y: Any) -> Any:
    """Give a tangent the shape and dtype of its primal."""
    if shape_of(t) != shape_of(y):
        t = filled(t, shape=shape_of(y))
    if dtype_of(t) != dtype_of(y):
        t = convert(t, dtype=dtype_of(y))
    return t


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, tuple):
        return tuple(_sum_or_one(p, q) for p, q in zip(a, b, strict=True))
    return a + b


def _sum_or_one(p: Any, q: Any) -> Any:
    return q if p is None else p if q is None else p + q


def _push_linear(
    op: Op, derivative: Transpose, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]
) -> Any:
    rules = derivative.rules
    linear = [True] * len(xs) if callable(rules) else [r is not None for r in rules]
    total = None
    if derivative.joint:
        if any(t is not None for t in ts):
            full = [
                x if not lin else np.zeros(shape_of(x), dtype_of(x)) if t is None else t
                for x, t, lin in zip(xs, ts, linear, strict=False)
            ]
            total = op(*full, **attrs)
    else:
        for k, t in enumerate(ts):
            if t is not None and linear[k]:
                part = op(*xs[:k], t, *xs[k + 1 :], **attrs)
                total = part if total is None else total + part
    for k, rule in enumerate(derivative.jvps):
        if rule is not None and ts[k] is not None:
            part = rule(ts[k], y, *xs, **attrs)
            total = part if total is None else total + part
    return total
