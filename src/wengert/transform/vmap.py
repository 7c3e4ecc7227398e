"""`vmap`: a function written for one example, applied to many at once."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from wengert import trees
from wengert.errors import InputError, ShapeError, cause_of, user_line
from wengert.follow.functions import call as call_followed
from wengert.ops.base import Traced, shape_of
from wengert.ops.shape import filled
from wengert.trace import layout, memory
from wengert.trace.alarm import heeding
from wengert.trace.tracer import Tracer
from wengert.transform.batch import Batched, BatchTrace

__all__ = ["vmap"]


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """Return a function that applies `f` to many examples at once.

    Parameters
    ----------
    f : callable
        Written for one example.
    in_axes : int, None, or a sequence of them (or pytrees of them) a positional argument
        The axis of each argument that runs over the examples; None for one that all share.
    out_axes : int or a pytree of ints
        Where that axis stands in the results.

    Returns
    -------
    callable

    Raises
    ------
    ShapeError
        When the mapped axes differ in length.
    BatchedControlError
        When `f` branches in Python on a value that differs between examples.
    """

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        axes = in_axes if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise InputError(
                f"vmap: in_axes has {len(axes)} entries for {len(args)} arguments" + user_line()
            )
        leaves, pack = trees.flatten(args)
        flat_axes = []
        for a, arg in zip(axes, args, strict=True):
            flat_axes += _broadcast_axes(a, arg)
        flat_axes += [0] * (len(leaves) - len(flat_axes))
        leaves = [
            x if a is None else trees.primal(x, "vmap")
            for x, a in zip(leaves, flat_axes, strict=True)
        ]
        size = _batch_size(leaves, flat_axes)
        trace = BatchTrace(size, sys._getframe().f_code)
        inputs = [
            x if a is None else Tracer(trace, Batched(trees.frozen(_front(x, a)), True))
            for x, a in zip(leaves, flat_axes, strict=True)
        ]
        keywords = (
            trees.map_leaves(
                lambda x: Tracer(
                    trace, Batched(trees.frozen(_front(trees.primal(x, "vmap"), 0)), True)
                ),
                kwargs,
            )
            if kwargs
            else {}
        )
        try:
            with heeding():
                out = call_followed(f, pack(inputs), keywords)
            trees.apart(inputs, leaves)
            results, rebuild = trees.flatten(out)
            places = _broadcast_axes(out_axes, out)
            made = [_laid(_collected(y, trace, a)) for y, a in zip(results, places, strict=True)]
        except Exception as error:
            if not trace.raised or trace.raised == [error]:  # nothing was caught
                raise cause_of(error) from (
                    None if isinstance(error, ValueError) else error.__cause__
                )
        finally:
            trace.alive = False
        if trace.raised:  # a handler took the path of all examples
            batched = [a is not None for a in flat_axes]
            rows = [_front(x, a) if a else x for x, a in zip(leaves, flat_axes, strict=True)]
            return _one_by_one(f, rows, batched, pack, kwargs, size, out_axes)
        return rebuild(trees.own(made, made, leaves))

    return wrapped


def _one_by_one(
    f: Callable[..., Any],
    leaves: list[Any],
    batched: list[bool],
    pack: Callable[..., Any],
    kwargs: dict[str, Any],
    size: int,
    out_axes: Any,
) -> Any:
    """Apply `f` to one example after the other, since some raise what it catches."""
    named, pack_named = trees.flatten(kwargs)
    named = [_front(x, 0) for x in named]
    found: list[list[Any]] = [[] for _ in range(size)]
    for i, results in enumerate(found):
        row = [_example(x, i) if b else x for x, b in zip(leaves, batched, strict=True)]
        out = call_followed(f, pack(row), pack_named([_example(x, i) for x in named]))
        made, rebuild = trees.flatten(out)
        results += made
    if len({len(made) for made in found}) > 1:
        raise ShapeError("vmap: results of examples differ in form" + user_line())
    places = _broadcast_axes(out_axes, out)
    columns = zip(*found, strict=True)
    return rebuild([_laid(_stacked(ys, a)) for ys, a in zip(columns, places, strict=True)])


def _example(x: Any, i: int) -> Any:
    """Return one example, which may be changed in place."""
    row = trees.frozen(x)[i]
    return np.array(row) if isinstance(row, np.ndarray) else row


def _stacked(ys: Sequence[Any], axis: Any) -> Any:
    if axis is not None:
        shapes = {shape_of(y) for y in ys}
        if len(shapes) > 1:
            raise ShapeError(f"vmap: results of examples differ in shape: {shapes}" + user_line())
        return np.stack(ys, axis)
    if any(isinstance(y, Traced) or not np.array_equal(y, ys[0], equal_nan=True) for y in ys):
        raise ShapeError(
            "vmap: out_axes is None for a result that differs along the batch" + user_line()
        )
    return ys[0]


def _broadcast_axes(axes: Any, tree: Any) -> list[Any]:
    n = len(trees.flatten(tree)[0])
    if axes is None or isinstance(axes, int):
        return [axes] * n
    try:
        spread = list(optree.broadcast_prefix(axes, tree, none_is_leaf=True))
    except ValueError as error:
        raise InputError(
            f"vmap: in_axes or out_axes {axes!r} does not have the form of what it maps: {error}"
            + user_line()
        ) from None
    if not all(a is None or isinstance(a, int) for a in spread):
        raise InputError(
            f"vmap: in_axes and out_axes are made of int and None, not {axes!r}" + user_line()
        )
    return spread


def _batch_size(leaves: list[Any], axes: list[Any]) -> int:
    sizes = {}
    for i, (x, a) in enumerate(zip(leaves, axes, strict=True)):
        if a is None:
            continue
        shape = shape_of(x)
        if not -len(shape) <= a < len(shape):
            raise ShapeError(
                f"vmap: argument {i} of shape {shape} has no axis {a} to map over; use "
                "in_axes=None for an argument that all examples share" + user_line()
            )
        sizes[i] = shape[a]
    if not sizes:
        raise InputError("vmap: no argument is mapped; every in_axes is None" + user_line())
    if len(set(sizes.values())) > 1:
        listed = ", ".join(f"argument {i}: {n}" for i, n in sizes.items())
        raise ShapeError(f"vmap: the mapped axes differ in length ({listed})" + user_line())
    return int(next(iter(sizes.values())))


def _front(x: Any, axis: int) -> Any:
    if not isinstance(x, (Traced, np.ndarray)):
        x = np.asarray(x)
    return np.moveaxis(x, axis, 0) if axis else x


def _laid(y: Any) -> Any:
    """Return a result as an array in C order, however the batch of it came about."""
    shape = shape_of(y)
    if not shape:
        return y
    if not isinstance(y, Tracer):
        return np.ascontiguousarray(y)
    if y._view is None and layout.is_c(shape, memory.strides(y), y.dtype.itemsize):
        return y
    return np.copy(y, order="C")


def _collected(y: Any, trace: BatchTrace, axis: Any) -> Any:
    if isinstance(y, Tracer):
        y._refresh()
    if isinstance(y, Tracer) and y._trace is trace:
        data, batched = y._var.data, y._var.batched
    else:
        if isinstance(y, Tracer):
            y._check_alive()
        data, batched = y, False
    if axis is None:
        if batched:
            raise ShapeError(
                "vmap: out_axes is None for a result that differs along the batch" + user_line()
            )
        return data
    if not batched:
        data = filled(data, shape=(trace.size, *shape_of(data)))
    rank = len(shape_of(data))
    if not -rank <= axis < rank:
        raise ShapeError(
            f"vmap: out_axes={axis} is no axis of a result of shape {shape_of(data)} (the "
            "examples included)" + user_line()
        )
    return np.moveaxis(data, 0, axis) if axis else data
