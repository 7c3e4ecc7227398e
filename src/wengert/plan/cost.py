"""What a function costs, counted on its graph before it runs.

A multiply and an add are two operations; a call of ``exp`` and the like is one, and is also listed
apart. Moving data counts no operations, and a view moves no data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.errors import DerivativeError
from wengert.ir.graph import Graph, Node, aval_of
from wengert.ops.elementwise import power
from wengert.ops.index import is_basic
from wengert.plan.form import split
from wengert.plan.record import record

__all__ = ["Count", "count", "count_graph"]

LARGEST_PRODUCT = 16
"""Up to this exponent a power is a product."""


@dataclass(frozen=True)
class Count:
    """Operations of one evaluation.

    Attributes
    ----------
    flops : int
        All operations.
    by_kind : dict
        ``add``, ``multiply``, ``transcendental``, ``compare``, ``mixed`` (contractions and
        factorisations): operations of each.
    by_op : dict
        Operations of each row of the operation table.
    bytes : int
        Bytes of all arrays read and written, each operation on its own.
    unknown : tuple of str
        Operations whose count is not known.
    """

    flops: int
    by_kind: dict[str, int] = field(default_factory=dict)
    by_op: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return a line for people."""
        kinds = ", ".join(f"{k} {n:,}" for k, n in sorted(self.by_kind.items()) if n)
        unknown = f"; unknown: {', '.join(self.unknown)}" if self.unknown else ""
        shown = f" ({kinds})" if kinds else ""
        return f"{self.flops:,} operations{shown}, {self.bytes:,} bytes{unknown}"


def count_graph(graph: Graph) -> Count:
    """Count the operations of a graph."""
    kinds: Counter[str] = Counter()
    ops: Counter[str] = Counter()
    unknown = set()
    moved = 0
    for node in graph.nodes:
        avals = [aval_of(x) for x in node.inputs]
        outs = [v.aval for v in node.outputs]
        if not _is_view(node):
            moved += sum(a.nbytes for a in avals) + sum(a.nbytes for a in outs)
        try:
            n = node.op.flops(outs[0], *avals, **node.attrs)
        except DerivativeError:
            unknown.add(node.op.name)
            continue
        times = _multiplications(node)
        kinds[node.op.counts if times is None else "multiply"] += n if times is None else times * n
        ops[node.op.name] += n if times is None else times * n
    return Count(sum(ops.values()), dict(kinds), dict(ops), moved, tuple(sorted(unknown)))


def _multiplications(node: Node) -> int | None:
    """Return how many multiplications a small integer power is; None for other operations.

    By squaring: ``x**5`` is ``x * (x * x)**2``, three of them; a reciprocal is one more.
    """
    if node.op is not power or len(node.inputs) != 2:
        return None
    if not isinstance(node.inputs[1], (int, float, np.integer, np.floating)):
        return None
    b = float(node.inputs[1])
    if not 1 <= abs(b) <= LARGEST_PRODUCT or not b.is_integer():
        return None
    n = abs(int(b))
    return n.bit_length() + n.bit_count() - 2 + (b < 0)


def _is_view(node: Node) -> bool:
    return node.op.alias is not None and is_basic(node.attrs.get("spec", ()))


def count(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Count:
    """Count the operations of ``f(*args, **kwargs)``.

    Parameters
    ----------
    f : callable
        Any function, a transformed one as well.
    *args, **kwargs : pytrees of arrays

    Returns
    -------
    Count
    """
    return count_graph(record(f, *split(args, kwargs)).graph)
