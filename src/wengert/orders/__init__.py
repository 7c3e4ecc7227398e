"""Orders of accumulation: in which sequence the chain rule is applied, and what that costs.

Algorithms on weighted graphs and chains; they see numbers and never a recorded function.
May import: errors, llvm, loopc.
"""

from __future__ import annotations

from wengert.orders.bounds import lower_bound
from wengert.orders.chain import ChainPlan, Factor, plan_chain
from wengert.orders.edges import FoundEdges, find_edges
from wengert.orders.faces import FoundFaces, find_faces
from wengert.orders.order import Cost, Order
from wengert.orders.problem import EliminationGraph
from wengert.orders.search import Found, find_order
from wengert.orders.symmetric import FoundSymmetric, SymmetricGraph, find_symmetric

__all__ = [
    "ChainPlan",
    "Cost",
    "EliminationGraph",
    "Factor",
    "Found",
    "FoundEdges",
    "FoundFaces",
    "FoundSymmetric",
    "Order",
    "SymmetricGraph",
    "find_edges",
    "find_faces",
    "find_order",
    "find_symmetric",
    "lower_bound",
    "plan_chain",
]
