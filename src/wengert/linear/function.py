"""What users call to see the linear graph of a function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert import trees
from wengert.errors import UnsupportedError, user_line
from wengert.linear.graph import LinearGraph
from wengert.linear.terms import NotAccumulable
from wengert.linear.values import rely_on
from wengert.ops.base import Traced
from wengert.ops.options import check_places
from wengert.transform.linear import linearize_flat

__all__ = ["linear_graph"]


def linear_graph(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, merged: bool = True
) -> Callable[..., LinearGraph]:
    """Return a function that linearises `f` at its arguments.

    Parameters
    ----------
    f : callable
        A function of arrays that returns arrays.
    argnums : int or sequence of int
        The arguments that are differentiated.
    merged : bool
        Whether the same operation of the same values is one value, as in a compiled function. False
        keeps what is written twice apart.

    Returns
    -------
    callable
        ``linear_graph(f)(*args)`` is a `LinearGraph`: the values between the arguments and the
        results, and the local Jacobians between them, with their structure. It prints itself.
        ``.order(effort)`` finds the cheapest order in which to multiply them, and
        ``.accumulate(order)`` does that.

    Raises
    ------
    UnsupportedError
        By the call, where `f` has what a linear graph does not hold: a loop, complex numbers, or a
        derivative of the user's own.
    """
    check_places(f, argnums, "linear_graph", merged=merged)
    name = getattr(f, "__name__", "f")

    @functools.wraps(f)
    def linearise(*args: Any, **kwargs: Any) -> LinearGraph:
        chosen = trees.select(args, argnums, f"linear_graph({name})")

        def flat(*leaves: Any) -> list[Any]:
            results, _ = trees.flatten(chosen.call(f, leaves, kwargs))
            return [
                y if isinstance(y, (Traced, np.ndarray)) else np.asarray(y)[()] for y in results
            ]

        try:
            graph = LinearGraph(linearize_flat(flat, chosen.leaves), name, merged)
        except NotAccumulable as unfit:
            raise UnsupportedError(
                f"linear_graph({name}): {unfit}, which a linear graph does not hold. Use "
                f"wg.jacobian, wg.jvp or wg.vjp" + user_line()
            ) from None
        rely_on(graph.indices)
        return graph

    return linearise
