"""Operations that move or copy elements: reshape, transpose, broadcast, concatenate."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import Op, Traced, Transpose, dtype_of, like_shape, register, shape_of
from wengert.ops.convert import convert

__all__ = ["broadcast_to", "concatenate", "filled", "match", "reshape", "sum_to", "transpose"]

SMALL = 4096
"""Elements up to which `filled` fills."""


def _reshape(x: Any, *, shape: tuple[int, ...]) -> Any:
    return x.reshape(shape) if hasattr(x, "reshape") else np.reshape(x, shape)


def _batch_reshape(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    (x,) = args
    return op(x, shape=(shape_of(x)[0], *attrs["shape"]))


def no_flops(out: Any, *xs: Any, **attrs: Any) -> int:
    """Return 0: nothing is computed."""
    return 0


reshape: Op = register(
    Op(
        "reshape",
        _reshape,
        infer=lambda x, *, shape: like_shape(shape, x),
        derivative=Transpose((lambda ct, x, *, shape: reshape(ct, shape=shape_of(x)),)),
        batch=_batch_reshape,
        flops=no_flops,
        counts="move",
        pattern=patterns.Moving(_reshape),
        residual=False,
        alias="reshape",
        returns="array",
        may_raise=False,
        waits=True,
    )
)


def inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """Return the inverse of a permutation."""
    back = [0] * len(axes)
    for i, a in enumerate(axes):
        back[a] = i
    return tuple(back)


def _transpose(x: Any, *, axes: tuple[int, ...]) -> Any:
    return x.transpose(axes)


def _permuted(
    result: tuple[int, ...], operand: tuple[int, ...], *, axes: tuple[int, ...]
) -> tuple[str, str]:
    columns = patterns.repeated(operand, operand)[0]
    return "".join(columns[a] for a in axes), columns


transpose: Op = register(
    Op(
        "transpose",
        _transpose,
        infer=lambda x, *, axes: like_shape([shape_of(x)[a] for a in axes], x),
        derivative=Transpose((lambda ct, x, *, axes: transpose(ct, axes=inverse(axes)),)),
        batch=lambda op, args, batched, attrs: op(
            args[0], axes=(0, *(a + 1 for a in attrs["axes"]))
        ),
        flops=no_flops,
        counts="move",
        pattern=patterns.Moving(_transpose, labels=_permuted),
        residual=False,
        alias="transpose",
        returns="same",
        may_raise=False,
        waits=True,
    )
)


def _broadcast_to(x: Any, *, shape: tuple[int, ...]) -> Any:
    if type(x) is np.ndarray and x.flags.c_contiguous and x.size:
        lead = len(shape) - x.ndim
        strides = [0] * lead
        for n, m, s in zip(x.shape, shape[lead:], x.strides, strict=True):
            strides.append(s if n == m else 0)
        # As np.broadcast_to, in a tenth of its time.
        made: Any = np.ndarray(shape, x.dtype, x, 0, strides)
        made.flags.writeable = False
        return made
    return np.broadcast_to(x, shape)


def _spread(result: tuple[int, ...], operand: tuple[int, ...], **_: Any) -> tuple[str, str]:
    return patterns.repeated(result, operand)


def _batch_broadcast(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    (x,) = args
    n, *rest = shape_of(x)
    shape = attrs["shape"]
    x = reshape(x, shape=(n, *(1,) * (len(shape) - len(rest)), *rest))
    return op(x, shape=(n, *shape))


broadcast_to = register(
    Op(
        "broadcast_to",
        _broadcast_to,
        infer=lambda x, *, shape: like_shape(shape, x),
        derivative=Transpose((lambda ct, x, *, shape: sum_to(ct, shape_of(x)),)),
        batch=_batch_broadcast,
        flops=no_flops,
        counts="move",
        pattern=patterns.Moving(_broadcast_to, labels=_spread),
        residual=False,
        alias="readonly",
        returns="array",
        may_raise=False,
        waits=True,
    )
)


def filled(x: Any, shape: tuple[int, ...]) -> Any:
    """Return `x` spread over a shape, for a rule; its strides do not matter.

    Filling a small array is faster than making NumPy's view without strides.
    """
    if not isinstance(x, Traced) and math.prod(shape) <= SMALL:
        out = np.empty(shape, dtype_of(x))
        out[...] = x
        return out
    return broadcast_to(x, shape=shape)


def _concatenate(*xs: Any, axis: int) -> Any:
    return np.concatenate(xs, axis=axis)


def _infer_concatenate(*xs: Any, axis: int) -> Aval:
    shape = list(shape_of(xs[0]))
    shape[axis] = sum(shape_of(x)[axis] for x in xs)
    return Aval(tuple(shape), np.result_type(*(dtype_of(x) for x in xs)))


def _split_cotangent(ct: Any, *xs: Any, axis: int) -> list[Any]:
    pieces, start = [], 0
    before = (slice(None),) * axis
    for x in xs:
        stop = start + shape_of(x)[axis]
        pieces.append(ct[(*before, slice(start, stop))])
        start = stop
    return pieces


def _batch_concatenate(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    n = next(shape_of(a)[0] for a, b in zip(args, batched, strict=True) if b)
    lined = [
        a if b else broadcast_to(a, shape=(n, *shape_of(a)))
        for a, b in zip(args, batched, strict=True)
    ]
    return op(*lined, axis=attrs["axis"] + 1)


concatenate = register(
    Op(
        "concatenate",
        _concatenate,
        infer=_infer_concatenate,
        derivative=Transpose(_split_cotangent, joint=True),
        batch=_batch_concatenate,
        flops=no_flops,
        counts="move",
        pattern=patterns.Moving(_concatenate, partial=True),
        residual=False,
        may_raise=False,
        waits=True,
    )
)


def sum_to(ct: Any, shape: tuple[int, ...]) -> Any:
    """Sum `ct` over the axes along which an array of `shape` was broadcast to it.

    Where an array is assigned to a place, it may have more axes of length 1 in front.
    """
    have = shape_of(ct)
    if have == shape:
        return ct
    lead = max(len(have) - len(shape), 0)
    kept = shape[max(len(shape) - len(have), 0) :]
    axes = tuple(range(lead)) + tuple(
        i + lead for i, n in enumerate(kept) if n == 1 and have[i + lead] != 1
    )
    if axes:
        ct = np.add.reduce(ct, axes[0] if len(axes) == 1 else axes)
    return ct if shape_of(ct) == shape else reshape(ct, shape=shape)


def match(ct: Any, x: Any) -> Any:
    """Bring a cotangent to the shape and dtype of the argument that it belongs to."""
    kind = type(ct)
    if kind is type(x) and (
        kind is np.float64 or (kind is np.ndarray and ct.shape == x.shape and ct.dtype is x.dtype)
    ):
        return ct
    if shape_of(ct) != shape_of(x):
        ct = sum_to(ct, shape_of(x))
    if dtype_of(ct) is not dtype_of(x) and dtype_of(ct) != dtype_of(x):
        ct = convert(ct, dtype=dtype_of(x))
    return ct
