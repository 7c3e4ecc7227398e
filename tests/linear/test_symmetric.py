"""Hessians by elimination in pairs: counted, in any order, equal to forward over reverse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wengert as wg
from wengert.errors import InputError, OrderError, UnsupportedError
from wengert.orders import SymmetricGraph, find_symmetric

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((5, 4)), RNG.standard_normal((3, 5))


def arm(q: Any) -> Any:
    a, b, c = q[0], q[0] + q[1], q[0] + q[1] + q[2]
    x = np.cos(a) + 0.7 * np.cos(b) + 0.4 * np.cos(c) * q[3]
    y = np.sin(a) + 0.7 * np.sin(b) + 0.4 * np.sin(c)
    return np.arctan2(y, x) ** 2 + (x * x + y * y) / q[3]


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "product": lambda x: x[0] * x[1] * x[2] * x[3],
    "twice the same": lambda x: (x[0] * x[0]) * np.exp(x[1] * x[1]) + x[2] ** 3 / x[3],
    "quotients": lambda x: x[0] / x[1] + (x[2] / x[3]) ** x[1],
    "arm": arm,
    "net": lambda x: np.sum(np.tanh(B @ np.tanh(A @ x)) ** 2),
    "chain of sums": lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
    "form": lambda x: x @ A[:4] @ x + np.sum(x) / np.sqrt(np.sum(x * x)),
    "linear": lambda x: np.sum(A @ x),
    "one argument left out": lambda x: np.sin(x[0]) * x[2] + 3.0,
    "an argument alone": lambda x: x[1],
    "in place": lambda x: wg.grad(lambda z: np.sum(np.sin(z) * z[::-1]))(x)[0] * x[1],
}
X = np.array([0.7, 1.3, 0.4, 1.9])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_order_gives_the_hessian(name: str) -> None:
    f = FUNCTIONS[name]
    expected = wg.hessian(f, mode="forward")(X)
    graph = wg.linear_graph(f)(X)
    n = graph.second.problem.intermediates
    orders: list[Any] = ["default", "edge pushing", "forward", "cheapest first"]
    orders += [RNG.permutation(n) for _ in range(2)]
    for order in orders:
        ((found,),) = graph.hessian(order)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(wg.hessian(f, mode="symmetric")(X), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["twice the same", "net", "form"])
def test_it_is_compiled(name: str) -> None:
    f = FUNCTIONS[name]
    compiled = wg.jit(wg.hessian(f, mode="symmetric"))
    expected = wg.hessian(f, mode="forward")(X)
    np.testing.assert_allclose(compiled(X), expected, rtol=1e-9, atol=1e-12)


def test_symmetry_halves_the_work() -> None:
    for name in ("product", "arm", "chain of sums"):
        f = FUNCTIONS[name]
        both = wg.linear_graph(wg.grad(f))(X).cost("markowitz", level="entries").multiplications
        assert wg.linear_graph(f)(X).second.order().multiplications <= 0.75 * both


def test_edge_pushing_of_a_product_is_counted_by_hand() -> None:
    """Of x1 x2 x3: v = x1 x2, y = v x3; pushing (v, x3) takes a product for each of x1 and x2."""
    graph = SymmetricGraph(1, 4, {(1, 0): True, (2, 0): True}, [(0, 3), (1, 2)], "product")
    found = find_symmetric(graph, "edge pushing")
    assert (found.order, found.multiplications) == ((0,), 2)
    assert str(found) == "edge pushing: 2 multiplications"
    square = SymmetricGraph(1, 3, {(1, 0): True, (2, 0): False}, [(0, 0)])
    assert square.multiplications([0]) == 3  # c w, (c w) c, w c: the other factor is 1


def test_several_arguments_and_batches() -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sin(a[0] * b[1]) + a[1] ** 2 * b[0]

    a, b = X[:2], X[2:]
    found = wg.hessian(f, (0, 1), mode="symmetric")(a, b)
    expected = wg.hessian(f, (0, 1), mode="forward")(a, b)
    for row, other in zip(found, expected, strict=True):
        for block, wanted in zip(row, other, strict=True):
            np.testing.assert_allclose(block, wanted, rtol=1e-12, atol=1e-14)
    many = RNG.random((6, 4)) + 0.5
    made = wg.vmap(wg.hessian(arm, mode="symmetric"))(many)
    np.testing.assert_allclose(made, wg.vmap(wg.hessian(arm, mode="forward"))(many), rtol=1e-9)
    third = wg.jacobian(wg.hessian(FUNCTIONS["quotients"], mode="symmetric"))(X)
    expected = wg.jacobian(wg.hessian(FUNCTIONS["quotients"], mode="forward"))(X)
    np.testing.assert_allclose(third, expected, rtol=1e-8)


def test_the_plan_compares_it() -> None:
    def arms(q: Any) -> Any:
        return arm(q) * arm(1.1 * q) + arm(0.9 * q) * arm(q + 0.1)

    plan = wg.hessian(arms).plan(X)
    taken = {c.mode: c.seconds for c in plan.candidates}
    assert None not in (taken["symmetric"], taken["eliminate"], taken["forward"])
    assert taken["symmetric"] < taken["eliminate"]
    short = wg.hessian(lambda x: x[0] * x[1]).plan(X)
    assert "symmetric" in {c.mode for c in short.candidates}


def test_what_does_not_suit_is_refused() -> None:
    graph = wg.linear_graph(arm)(X)
    with pytest.raises(OrderError, match="once"):
        graph.hessian([0])
    with pytest.raises(InputError, match="'edge pushing'"):
        graph.second.order("deep")
    with pytest.raises(InputError, match="one number"):
        wg.linear_graph(np.sin)(X).hessian()
    with pytest.raises(UnsupportedError, match="second derivatives"):
        wg.linear_graph(lambda x: np.sum(np.where(x > 1, x**2, x)))(X).hessian()
    with pytest.raises(InputError, match="mode must be"):
        wg.jacobian(np.sin, mode="symmetric")
    with pytest.raises(UnsupportedError, match="arrays and not numbers"):
        wg.hessian(lambda x: np.sum(np.tanh(np.ones((90, 4)) @ x)), mode="symmetric")(X)
    with pytest.raises(InputError, match="sparsity"):
        wg.hessian(arm, mode="symmetric", format="csr")
