"""Run a graph with NumPy, and count what each operation really gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.cost.count import Count, RunningCount, updated_in_place
from wengert.ir.build import computed, typed
from wengert.ir.graph import Const, Graph, GuardMiss, Value, aval_of
from wengert.ir.simplify import key

__all__ = ["run_counted"]

_PYTHON = {"bool": bool, "int": int, "index": int, "float": float, "complex": complex}


def run_counted(graph: Graph, inputs: Sequence[Any]) -> tuple[list[Any], Count]:
    """Evaluate a graph one operation after the other, and count from the arrays that there are.

    Nothing is taken from the shapes and dtypes that the graph was recorded with, so the count is
    a check of what is predicted from them.

    Returns
    -------
    outputs : list
    Count

    Raises
    ------
    GuardMiss
        Where a decision of Python code has another outcome than recorded.
    """
    meter = RunningCount(updated_in_place(graph))
    env: dict[Value, Any] = dict(zip(graph.inputs, inputs, strict=True))
    guards = sorted(enumerate(graph.guards), key=lambda pair: pair[1].position)

    def read(x: Any) -> Any:
        return env[x] if isinstance(x, Value) else x.data if isinstance(x, Const) else x

    def check(position: int) -> None:
        while guards and guards[0][1].position <= position:
            index, guard = guards.pop(0)
            convert = _PYTHON.get(guard.kind)
            outcome = None if convert is None else convert(env[guard.value])
            if convert is not None and key(outcome) != key(guard.outcome):
                raise GuardMiss(index, outcome)

    with np.errstate(all="ignore"):
        for i, node in enumerate(graph.nodes):
            check(i)
            xs = [read(x) for x in node.inputs]
            made = computed(node, xs)
            ys = made if isinstance(made, tuple) else (made,)
            ys = tuple(typed(y, v.aval) for y, v in zip(ys, node.outputs, strict=True))
            env.update(zip(node.outputs, ys, strict=True))
            meter.add(node, [aval_of(x) for x in xs], [aval_of(y) for y in ys])
        check(len(graph.nodes))
    return [read(y) for y in graph.outputs], meter.total()
