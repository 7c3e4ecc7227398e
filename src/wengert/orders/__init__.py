"""Orders of accumulation: in which sequence the chain rule is applied, and what that costs.

Algorithms on weighted graphs and chains; they see numbers and never a recorded function.
May import: errors, loopc.
"""

from __future__ import annotations

from wengert.orders.chain import ChainPlan, Factor, plan_chain
from wengert.orders.order import Cost, Order
from wengert.orders.problem import EliminationGraph
from wengert.orders.search import Found, find_order

__all__ = [
    "ChainPlan",
    "Cost",
    "EliminationGraph",
    "Factor",
    "Found",
    "Order",
    "find_order",
    "plan_chain",
]
