"""From a linear graph to an order, and from an order to the Jacobian."""

from __future__ import annotations

from typing import Any

from wengert.errors import InputError, OrderError, user_line
from wengert.linear.arrays import ArrayGraph
from wengert.linear.scalars import ScalarGraph
from wengert.orders.order import Cost, Order
from wengert.orders.problem import checked
from wengert.orders.search import EFFORTS, METHODS, Found, find_order
from wengert.orders.structured import RULES, find_structured
from wengert.transform.linear import quiet

__all__ = ["accumulated", "order_given", "order_of"]

Graph = ScalarGraph | ArrayGraph


def _key(graph: Graph) -> str:
    return graph.problem.key if isinstance(graph, ScalarGraph) else graph.key


def order_of(graph: Graph, effort: str) -> Order:
    """Return an order by an effort or a method; see `LinearGraph.order`."""
    rules = METHODS if isinstance(graph, ScalarGraph) else RULES
    if not isinstance(effort, str) or effort not in (*EFFORTS, *rules):
        known = ", ".join(f"'{name}'" for name in (*EFFORTS, *rules))
        raise InputError(f"effort must be one of {known}, not {effort!r}" + user_line())
    if isinstance(graph, ScalarGraph):
        problem = graph.problem
        found = METHODS[effort](problem) if effort in METHODS else find_order(problem, effort)
        return _of_numbers(graph, found)
    if effort in RULES:
        sequence = RULES[effort](graph.problem)
        if sequence is None:
            raise InputError(
                f"effort='{effort}': no value lies on all paths from arguments to results. Use "
                f"effort='default'" + user_line()
            )
        return _of_arrays(graph, sequence, effort)
    return _of_arrays(graph, *find_structured(graph.problem, effort, graph.key))


def _of_numbers(graph: ScalarGraph, found: Found) -> Order:
    times, plus = graph.problem.operations(found.order)
    cost = Cost(times, plus, 24 * (times + plus), 0.5 * (times + plus))
    return Order(found.order, "entries", found.method, cost, _key(graph), found.optimal)


def _of_arrays(graph: ArrayGraph, sequence: list[int], method: str) -> Order:
    work = graph.work(sequence)
    cost = Cost(work.multiplications, work.additions, 8 * work.moved, work.time)
    return Order(tuple(sequence), "arrays", method, cost, _key(graph))


def order_given(graph: Graph, order: Any) -> Order:
    """Return an order with its cost, once it is known to be one of this graph.

    Raises
    ------
    OrderError
    """
    if isinstance(order, Order):
        if order.key != _key(graph):
            raise OrderError(
                f"the order was found for another graph than that of {graph.graph.name}: another "
                f"function, or other shapes, or a function that records other operations each time "
                f"(a random choice, a counter). Ask wg.linear_graph(f)(...).order() for one"
                + user_line()
            )
        sequence: Any = order.sequence
    else:
        sequence = order
    given = checked(sequence, graph.problem.intermediates).tolist()
    if isinstance(order, Order) and order.method != "given":
        return order
    if isinstance(graph, ScalarGraph):
        return _of_numbers(graph, Found(tuple(given), 0, "given"))
    return _of_arrays(graph, given, "given")


def accumulated(graph: Graph, order: Any) -> list[list[Any]]:
    """Run an order; see `LinearGraph.accumulate`."""
    found = order_of(graph, order) if isinstance(order, str) else order_given(graph, order)
    with quiet():
        return graph.accumulate(found.sequence)
