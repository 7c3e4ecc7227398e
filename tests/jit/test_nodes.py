"""The nodes of a plan as data: their source, stage, primal, costs and memory."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import wengert as wg

X, W = np.linspace(0.1, 0.9, 300), np.linspace(-1.0, 1.0, 120_000).reshape(400, 300)


def layer(x: Any, w: Any) -> Any:
    return np.tanh(w @ x)


def loss(x: Any, w: Any) -> Any:
    y = layer(x, w)
    return np.sum(np.exp(y) * y)


def line_of(text: str) -> int:
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    (found,) = [i for i, line in enumerate(lines, 1) if line.strip() == text]
    return found


TANH = "return np.tanh(w @ x)"
CALL = "y = layer(x, w)"


def by_op(plan: Any, op: str, stage: str = "value") -> Any:
    (found,) = [n for n in plan.nodes if n.op == op and n.stage == stage]
    return found


@pytest.fixture(scope="module", params=["native", "numpy"])
def plan(request: Any) -> Any:
    return wg.jit(wg.value_and_grad(loss), backend=request.param).plan(X, W)


def test_nodes_are_those_of_the_graph(plan: Any) -> None:
    assert [n.number for n in plan.nodes] == list(range(len(plan.graph.nodes)))
    assert [n.op for n in plan.nodes] == [n.op.name for n in plan.graph.nodes]
    for n, node in zip(plan.nodes, plan.graph.nodes, strict=True):
        assert n.shapes == tuple(v.shape for v in node.outputs)
        assert n.nbytes == sum(v.aval.nbytes for v in node.outputs)
        assert all(x < n.number for x in n.inputs if type(x) is int and n.op != "power")
        assert str(n).startswith(f"{n.number}: {n.op} -> ")


def test_what_it_costs_adds_up(plan: Any) -> None:
    assert sum(n.flops for n in plan.nodes) == plan.cost.flops
    assert sum(n.read + n.written for n in plan.nodes) == plan.cost.bytes
    kinds: Counter[str] = Counter()
    for n in plan.nodes:
        kinds.update(n.kinds)
    assert {k: m for k, m in kinds.items() if k != "move"} == plan.cost.by_kind


def test_the_source_of_a_node(plan: Any) -> None:
    """File, line and function, and the calls that led there."""
    node = by_op(plan, "tanh")
    assert (node.file, node.line, node.function) == (__file__, line_of(TANH), "layer")
    assert node.source == TANH
    here = __file__
    assert node.calls == ((here, "layer", line_of(TANH)), (here, "loss", line_of(CALL)))
    assert Path(here).name in str(node)


def test_a_derivative_names_its_primal(plan: Any) -> None:
    tanh, slope = by_op(plan, "tanh"), by_op(plan, "sech_squared", "backward")
    assert slope.primal == tanh.number
    assert slope.calls == tanh.calls
    assert tanh.primal is None
    backward = [n for n in plan.nodes if n.stage == "backward"]
    assert backward
    assert all(plan.nodes[n.primal].stage == "value" for n in backward if n.primal is not None)
    assert by_op(plan, "exp").kept
    assert not by_op(plan, "sum").kept


def test_where_memory_holds_it() -> None:
    made = wg.jit(wg.value_and_grad(loss)).plan(X, W)
    held = [n for n in made.nodes if n.held is not None]
    assert bool(held) is (made.memory.peak is not None)
    steps = len(made.memory.timeline)
    assert all(0 <= n.held[0] <= n.held[1] <= steps for n in held)
    assert not any(n.held for n in wg.jit(loss, backend="numpy").plan(X, W).nodes)


def test_tangents_and_what_is_computed_again() -> None:
    x = X[:5]
    hessian = wg.jit(wg.hessian(lambda x: np.sum(np.tanh(x) ** 3))).plan(x)
    stages = Counter(n.stage for n in hessian.nodes)
    assert stages["tangent"]
    assert stages["backward"]
    inner = wg.checkpoint(lambda x: np.exp(np.sin(x)) * np.cos(x))
    again = wg.jit(wg.grad(lambda x: np.sum(inner(x) ** 2))).plan(x)
    redone = [n for n in again.nodes if n.stage == "again" and n.op == "sin"]
    assert len(redone) == 1
    assert again.nodes[redone[0].primal].op == "sin"


def test_a_recursive_function_names_all_calls() -> None:
    def power(x: Any, n: int) -> Any:
        return x if n == 0 else np.sin(power(x, n - 1))

    nodes = wg.jit(lambda x: power(x, 4)).plan(0.5).nodes
    depths = [len(n.calls) for n in nodes if n.op == "sin"]
    assert sorted(depths) == [2, 3, 4, 5]
    assert all(n.function.endswith("power") for n in nodes if n.op == "sin")
