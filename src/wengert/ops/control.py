"""Operations that steer differentiation, and the one whose result's shape depends on data."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from wengert.errors import BatchedControlError, user_line
from wengert.ir.graph import Aval, aval_of
from wengert.ops import patterns
from wengert.ops.base import (
    ZERO,
    Joint,
    Op,
    Scale,
    Traced,
    Transpose,
    dtype_of,
    register,
    shape_of,
)
from wengert.ops.rows import batch_elementwise
from wengert.ops.shape import no_flops

__all__ = [
    "as_number",
    "barrier",
    "cut",
    "instead",
    "is_settled",
    "nonzero",
    "refuse_batched_mask",
    "stop_gradient",
]

stop_gradient = register(
    Op(
        "stop_gradient",
        # A copy: it is the user's, who may change it in place.
        lambda x: x.copy(order="K") if isinstance(x, np.ndarray) else x,
        infer=aval_of,
        derivative=ZERO,
        batch=batch_elementwise,
        flops=no_flops,
        counts="move",
        pattern=patterns.nothing,
        residual=False,
        returns="same",
        by_kind=True,
        identity=True,
        may_raise=False,
        waits=True,
    )
)


def _with_axes(y: Any, other: Any) -> Any:
    shape = np.broadcast_shapes(shape_of(y), shape_of(other))
    return +y if shape == shape_of(y) else np.array(np.broadcast_to(y, shape))


def _infer_with_axes(y: Any, other: Any) -> Aval:
    shape = np.broadcast_shapes(shape_of(y), shape_of(other))
    return aval_of(y) if shape == shape_of(y) else Aval(shape, dtype_of(y))


# A value, with the derivatives of another expression of the same: of ``x * x`` for the value
# ``abs(x)**2``, whose parts have none at 0.
instead = register(
    Op(
        "instead",
        _with_axes,
        infer=_infer_with_axes,
        derivative=Scale((None, 1)),
        batch=batch_elementwise,
        flops=no_flops,
        counts="move",
        pattern=patterns.ByArgument({1: patterns.elementwise}),
        residual=False,
        returns="same",
        by_kind=True,
        may_raise=False,
    )
)

# The identity, which simplification never removes or merges: what is computed from its result is
# computed again, so a recomputation in the backward pass is not undone.
barrier = register(
    Op(
        "barrier",
        lambda x: x,
        infer=aval_of,
        derivative=Transpose((lambda ct, x: ct,)),
        batch=batch_elementwise,
        flops=no_flops,
        counts="move",
        pattern=patterns.elementwise,
        residual=False,
        returns="same",
        by_kind=True,
        identity=True,
        kept=True,
        may_raise=False,
    )
)


def _number(x: Any) -> Any:
    return x.item() if isinstance(x, (np.ndarray, np.generic)) else x


as_number = register(
    Op(
        "as_number",  # a scalar as a number of Python, which leaves dtypes to others in promotion
        _number,
        infer=lambda x: aval_of(_number(np.zeros((), dtype_of(x)))),
        derivative=Scale((1,)),  # a tangent is no Python number
        batch=lambda op, args, batched, attrs: args[0],
        flops=no_flops,
        counts="move",
        pattern=patterns.elementwise,
        residual=False,
        linear=(0,),
        by_kind=True,
        may_raise=False,
    )
)


class _OfSeed(Joint):
    """What is cut is linear in a seed, so its tangent is too: 0 where the seed is 0 and stays 0.

    A cotangent is not, before it is multiplied by the seed. So it is cut by what is known never to
    be differentiated only: a mask, or plain numbers.
    """

    __slots__ = ()

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        t, moves = ts[0], ts[1] is not None
        return t if t is None or moves else cut(t, xs[1])

    def pull(
        self, ct: Any, y: Any, xs: list[Any], wanted: list[bool], attrs: dict[str, Any]
    ) -> Any:
        return {0: ct if wanted[1] or not is_settled(xs[1]) else cut(ct, xs[1])}


def is_settled(seed: Any) -> bool:
    """Whether nobody differentiates by the seed of a `cut`, now or later."""
    return not isinstance(seed, Traced) or bool(dtype_of(seed) == np.bool_)


# What an operation makes of a tangent or cotangent, 0 where the mask is false, or where the seed is
# 0 that it comes from: there 0 * inf would stand. Nothing flows to the seed. A derivative with
# respect to the seed itself goes through what is cut, because ``t * slope`` has the derivative
# `slope` at t = 0.
cut: Op = register(
    Op(
        "cut",
        lambda part, seed: np.where(np.not_equal(seed, 0), part, 0)[()],
        infer=lambda part, seed: Aval(
            np.broadcast_shapes(shape_of(part), shape_of(seed)), dtype_of(part)
        ),
        derivative=_OfSeed(),
        batch=batch_elementwise,
        flops=no_flops,  # a number or 0 is moved, and nothing computed
        counts="move",
        pattern=patterns.ByArgument({0: patterns.elementwise}),
        partial=True,
        may_raise=False,
        waits=True,
    )
)


def refuse_batched_mask(*_: Any) -> NoReturn:
    """Raise: a mask that differs along a batch has no single shape to select."""
    raise BatchedControlError(
        "a boolean mask that differs along a vmapped axis selects a different number of elements "
        "for each example. Use np.where(mask, x, 0) instead of x[mask]." + user_line()
    )


nonzero = register(
    Op(
        "nonzero",
        lambda mask, *, size: np.stack(np.nonzero(mask)),
        infer=lambda mask, *, size: Aval((len(shape_of(mask)), size), np.dtype(np.intp)),
        derivative=ZERO,
        batch=refuse_batched_mask,
        flops=lambda out, mask, **_: aval_of(mask).size,
        counts="compare",
        pattern=patterns.nothing,
        residual=False,
        may_raise=False,
    )
)
