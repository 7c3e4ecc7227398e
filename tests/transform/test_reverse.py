"""Nodes that a reverse pass makes know the line and the operation that they are for."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import wengert as wg
from wengert.errors import DerivativeError
from wengert.ir.graph import BackwardPlace
from wengert.jit.form import split
from wengert.jit.record import record


def nodes_of(f, *args):
    return record(f, *split(args, {})).graph.nodes


def first_line(f):
    return f.__code__.co_firstlineno


def smooth(x):
    y = np.sin(x)
    z = y * np.exp(x)
    return np.sum(z)


def test_each_node_is_for_an_operation_of_the_user():
    nodes = nodes_of(wg.grad(smooth), np.ones(3))
    start = first_line(smooth)
    found = {
        (n.op.name, n.line.op, n.line[1] - start)
        for n in nodes
        if isinstance(n.line, BackwardPlace)
    }
    # cos(x) exp(x) + z: the cotangent of exp(x) times exp(x) is z, which is there already
    assert found == {("cos", "sin", 1), ("multiply", "sin", 1), ("add", "sin", 1)}
    assert {n.line[0] for n in nodes} == {__file__}
    early = {n.op.name for n in nodes if not isinstance(n.line, BackwardPlace)}
    assert early == {"sin", "exp", "multiply"}


def test_rules_that_are_transposed_are_for_their_operation():
    def f(a):
        return np.sum(np.linalg.cholesky(a))

    late = [n for n in nodes_of(wg.grad(f), np.eye(3)) if isinstance(n.line, BackwardPlace)]
    assert {"cholesky"} <= {n.line.op for n in late} <= {"cholesky", "sum"}
    assert {n.line[1] for n in late} == {first_line(f) + 1}


def test_what_is_computed_again_is_for_its_reverse_pass():
    def part(x):
        return np.sin(np.exp(x))

    def f(x):
        return np.sum(wg.checkpoint(part)(wg.checkpoint(part)(x)))

    nodes = nodes_of(wg.grad(f), np.ones(3))
    again = {n.op.name for n in nodes if isinstance(n.line, BackwardPlace)}
    assert {"barrier", "exp", "cos"} <= again
    cost = wg.cost(f, np.ones(3))
    plain = wg.cost(lambda x: np.sum(part(part(x))), np.ones(3))
    assert cost.flops_forward == plain.flops_forward
    assert cost.flops_backward > plain.flops_backward


def test_an_outer_reverse_pass_is_for_lines_too():
    def f(x):
        return np.sum(wg.grad(lambda t: np.sum(t**3))(x) ** 2)

    places = {n.line for n in nodes_of(wg.grad(f), np.ones(3))}
    assert all(place[0] == __file__ for place in places)


def test_lines_are_found_again_after_an_error():
    @wg.custom_vjp
    def fails(x):
        return x * 2.0

    def rule(saved, ct):
        raise DerivativeError("not today")

    fails.defvjp(lambda x: (x * 2.0, None), rule)

    def f(x):
        with contextlib.suppress(DerivativeError):
            wg.grad(lambda t: np.sum(fails(t)))(x)
        return np.cos(x)

    (node,) = [n for n in nodes_of(f, np.ones(2)) if n.op.name == "cos"]
    assert not isinstance(node.line, BackwardPlace)
    with pytest.raises(DerivativeError, match="not today"):
        wg.cost(lambda x: np.sum(fails(x)), np.ones(2))


NOTHING = [
    lambda x: np.sqrt(x) * x[:0],
    lambda x: x[1:1] / x,
    lambda x: np.log(x) + np.zeros((0, 1)),
    lambda x: np.nanstd(x[:1]) * x[:0],
]


@pytest.mark.parametrize("f", NOTHING)
def test_what_nothing_is_made_of_has_the_derivative_zero(f):
    """Not zero times the infinite slope of a square root at zero."""
    x = np.zeros(1)
    with np.errstate(all="ignore"):
        for way in (wg.jacrev, wg.jacfwd, wg.jacobian):
            assert way(f)(x).shape == (*f(x).shape, 1)
        for g in (wg.grad(lambda x: np.sum(f(x))), wg.jit(wg.grad(lambda x: np.sum(f(x))))):
            assert g(x).tolist() == [0]
        assert wg.jvp(lambda x: np.sum(f(x)), (x,), (np.ones(1),))[1] == 0
