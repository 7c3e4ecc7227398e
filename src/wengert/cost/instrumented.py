"""Run a graph with NumPy, and count what each operation really gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.cost.count import Count, RunningCount, updated_in_place
from wengert.ir.build import evaluate, results
from wengert.ir.graph import Graph, Node, aval_of

__all__ = ["run_counted"]


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

    def counted(node: Node, xs: list[Any]) -> tuple[Any, ...]:
        ys = results(node, xs)
        meter.add(node, [aval_of(x) for x in xs], [aval_of(y) for y in ys])
        return ys

    with np.errstate(all="ignore"):
        outputs = evaluate(graph, inputs, counted, decide=True)
    return outputs, meter.total()
