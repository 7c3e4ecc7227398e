"""A graph as a function: its operations are applied again, to arrays or to traced values.

`as_function` gives a graph to every transformation. `wengert.ir.build.evaluate` says what a graph
means for arrays; here each operation is bound as one in the user's code is, so a trace sees it.
Who records it notes the line of the user's code that the operation had in the graph.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import GraphError
from wengert.ir.build import computed, typed
from wengert.ir.graph import Const, Graph, Node, Place, Value
from wengert.ops.base import Traced
from wengert.trace.numbers import NUMBERS, is_number
from wengert.trace.recorder import GraphRecorder, active_recorder
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
        if len(inputs) != len(graph.inputs):
            raise GraphError(f"the graph has {len(graph.inputs)} inputs, not {len(inputs)}")
        table: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))

        def read(x: Any) -> Any:
            return table[x] if isinstance(x, Value) else x.data if isinstance(x, Const) else x

        recorder = active_recorder()
        if recorder is None:
            _apply(graph, table, read)
        else:
            outer = recorder.replayed
            try:
                _apply(graph, table, read, recorder)
            finally:
                recorder.replayed = outer
        return [read(y) for y in graph.outputs]

    return function


def _apply(
    graph: Graph,
    table: dict[Value, Any],
    read: Callable[[Any], Any],
    recorder: GraphRecorder | None = None,
) -> None:
    """Apply the nodes of a graph, and tell who records this which line each of them had."""
    for node in graph.nodes:
        if recorder is not None:
            recorder.replayed = node.line if isinstance(node.line, Place) else None
        made = _bound(node, [read(x) for x in node.inputs])
        results = made if isinstance(made, tuple) else (made,)
        table.update(zip(node.outputs, results, strict=True))


def _bound(node: Node, xs: list[Any]) -> Any:
    """Apply a node's operation as the user's code would."""
    op = node.op
    if not any(isinstance(x, Traced) for x in xs):
        made = computed(node, xs)
        if isinstance(made, tuple):
            return tuple(typed(y, v.aval) for y, v in zip(made, node.outputs, strict=True))
        return typed(made, node.outputs[0].aval)
    if not op.by_kind:
        xs = [np.asarray(x)[()] if type(x) in NUMBERS else x for x in xs]
    if not node.attrs and node.outputs[0].aval.weak and all(map(_is_weak, xs)):
        top = max((x for x in xs if isinstance(x, Tracer)), key=lambda x: x._trace.level)
        return top._trace.process(op, tuple(xs), OPERATOR)  # an operator of Python numbers
    return op(*xs, **node.attrs)


def _is_weak(x: Any) -> bool:
    return type(x) in NUMBERS or is_number(x)
