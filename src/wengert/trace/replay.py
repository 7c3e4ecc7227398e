"""A graph as a function: its operations are applied again, to arrays or to traced values.

`as_function` gives a graph to every transformation. `wengert.ir.build.evaluate` says what a graph
means for arrays; here each operation is bound as one in the user's code is, so a trace sees it.
Who records it notes the line of the user's code that the operation had in the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ir.build import evaluate, results
from wengert.ir.graph import Graph, Node, Place
from wengert.ops.base import Traced
from wengert.trace.active import ACTIVE
from wengert.trace.numbers import NUMBERS, is_number
from wengert.trace.tracer import OPERATOR, Tracer

__all__ = ["as_function"]


def as_function(graph: Graph) -> Callable[..., list[Any]]:
    """Return the function that a graph stands for.

    Parameters
    ----------
    graph : Graph
        Its guards are not asked again: the function is the recorded path.

    Returns
    -------
    callable
        ``f(*inputs)`` returns the list of outputs. Inputs are arrays, scalars or traced values, so
        `grad`, `jvp`, `vmap`, `jit` and the like apply to it. An array that the graph holds by
        reference is read anew at each call.

    Raises
    ------
    GraphError
        By the function, for a wrong number of inputs.
    """

    def function(*inputs: Any) -> list[Any]:
        recorder = ACTIVE.recorders[-1] if ACTIVE.recorders else None
        if recorder is None:
            return evaluate(graph, inputs, _bound)
        outer = recorder.replayed

        def placed(node: Node, xs: list[Any]) -> tuple[Any, ...]:
            """Tell who records this which line the node had."""
            recorder.replayed = node.line if isinstance(node.line, Place) else None
            return _bound(node, xs)

        try:
            return evaluate(graph, inputs, placed)
        finally:
            recorder.replayed = outer

    return function


def _bound(node: Node, xs: list[Any]) -> tuple[Any, ...]:
    """Apply a node's operation as the user's code would."""
    op = node.op
    if not any(isinstance(x, Traced) for x in xs):
        return results(node, xs)
    if not op.by_kind:
        xs = [np.asarray(x)[()] if type(x) in NUMBERS else x for x in xs]
    if not node.attrs and node.outputs[0].aval.weak and all(map(_is_weak, xs)):
        top = max((x for x in xs if isinstance(x, Tracer)), key=lambda x: x._trace.level)
        made = top._trace.process(op, tuple(xs), OPERATOR)  # an operator of Python numbers
    else:
        made = op(*xs, **node.attrs)
    return made if isinstance(made, tuple) else (made,)


def _is_weak(x: Any) -> bool:
    return type(x) in NUMBERS or is_number(x)
