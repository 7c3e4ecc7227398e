"""Record a call of a Python function as a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import optree

from wengert.errors import MutationError, user_line
from wengert.ir.graph import Graph
from wengert.ops.base import Traced
from wengert.trace.record import GraphRecorder

__all__ = ["DYNAMIC", "Recorded", "record"]

DYNAMIC = (np.ndarray, np.generic, float, int, complex, bool)
"""Leaves that become inputs of a graph; anything else is part of the function."""


class Recorded(NamedTuple):
    """A recorded call.

    Attributes
    ----------
    graph : Graph
        From the dynamic leaves of the arguments to those of the result.
    rebuild : callable
        From the graph's outputs to the function's result.
    """

    graph: Graph
    rebuild: Callable[[Sequence[Any]], Any]


def record(
    f: Callable[..., Any], leaves: Sequence[Any], call: Callable[[Callable[..., Any], Sequence[Any]], Any]
) -> Recorded:
    """Record ``call(f, leaves)``.

    Parameters
    ----------
    f : callable
    leaves : sequence
        Arrays and scalars; each becomes an input of the graph.
    call : callable
        ``call(f, leaves)`` calls `f` with arguments made from the leaves.

    Raises
    ------
    MutationError
        When `f` changes an argument in place, which its caller would expect to see.
    """
    recorder = GraphRecorder()
    inputs = [recorder.input(x) for x in leaves]
    roots = [t._var for t in inputs]
    try:
        out = call(f, inputs)
        for t in inputs:
            if t._version and t._view is None:
                raise MutationError(
                    f"{getattr(f, '__name__', 'the function')} changes an argument of shape {t.shape} in "
                    f"place, which a compiled function does not do to its caller's arrays. Begin with "
                    f"x = x.copy(), and return the new value." + user_line()
                )
        results, spec = optree.tree_flatten(out)
        dynamic = [i for i, y in enumerate(results) if isinstance(y, (Traced, *DYNAMIC))]
        graph = recorder.finish(inputs, [results[i] for i in dynamic])
    finally:
        recorder.alive = False
    fixed = {i: y for i, y in enumerate(results) if i not in set(dynamic)}
    if not fixed:
        rebuild = _single if spec == _LEAF else spec.unflatten
    else:

        def rebuild(ys: Sequence[Any]) -> Any:
            moving = iter(ys)
            return spec.unflatten([fixed[i] if i in fixed else next(moving) for i in range(len(results))])

    return Recorded(Graph(roots, graph.nodes, graph.outputs, graph.guards), rebuild)


_LEAF = optree.tree_structure(0.0)


def _single(ys: Sequence[Any]) -> Any:
    return ys[0]
