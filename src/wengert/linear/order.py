"""From a linear graph to an order, and from an order to the Jacobian."""

from __future__ import annotations

from typing import Any

from wengert.errors import InputError, OrderError, user_line
from wengert.linear.scalars import ScalarGraph
from wengert.orders.order import Cost, Order
from wengert.orders.problem import EliminationGraph, checked
from wengert.orders.search import EFFORTS, METHODS, Found, find_order

__all__ = ["Cost", "Order", "accumulated", "order_given", "order_of"]


def order_of(scalars: ScalarGraph, effort: str) -> Order:
    """Return an order by an effort or a method; see `LinearGraph.order`."""
    if not isinstance(effort, str) or effort not in (*EFFORTS, *METHODS):
        known = ", ".join(f"'{name}'" for name in (*EFFORTS, *METHODS))
        raise InputError(f"effort must be one of {known}, not {effort!r}" + user_line())
    problem = scalars.problem
    found = METHODS[effort](problem) if effort in METHODS else find_order(problem, effort)
    return _described(problem, found)


def _described(problem: EliminationGraph, found: Found) -> Order:
    times, plus = problem.operations(found.order)
    cost = Cost(times, plus, 24 * (times + plus))
    return Order(found.order, "entries", found.method, cost, problem.key, found.optimal)


def order_given(scalars: ScalarGraph, order: Any) -> Order:
    """Return an order with its cost, once it is known to be one of this graph.

    Raises
    ------
    OrderError
    """
    problem = scalars.problem
    if isinstance(order, Order):
        if order.key != problem.key:
            raise OrderError(
                f"the order was found for another graph than that of {problem.name}: another "
                f"function, or other shapes, or a function that records other operations each time "
                f"(a random choice, a counter). Ask wg.linear_graph(f)(...).order() for one"
                + user_line()
            )
        sequence: Any = order.sequence
    else:
        sequence = order
    given = checked(sequence, problem.intermediates)
    sequence = tuple(given.tolist())
    if isinstance(order, Order) and order.method != "given":
        return order
    return _described(problem, Found(sequence, 0, "given"))


def accumulated(scalars: ScalarGraph, order: Any) -> list[list[Any]]:
    """Run an order; see `LinearGraph.accumulate`."""
    found = order_of(scalars, order) if isinstance(order, str) else order_given(scalars, order)
    return scalars.accumulate(found.sequence)
