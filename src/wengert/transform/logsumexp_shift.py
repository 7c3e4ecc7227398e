"""Maxima whose derivative cancels: the shift in ``m + log(sum(exp(x - m)))``.

A sum of exponentials is computed relative to its largest term ``m`` so that it does not overflow.
The result does not depend on `m`, so its cotangent is zero up to rounding: what comes from adding
`m` back is taken away through the subtraction. Finding that out by computing it takes two passes
over `x`. (Blanchard, Higham and Higham, *Accurately computing the log-sum-exp and softmax
functions*, 2021.)
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from wengert.ir.graph import Node, Value
from wengert.ops import elementwise as ew
from wengert.ops.index import getitem
from wengert.ops.reduce import reduce_max, reduce_sum
from wengert.ops.shape import reshape

__all__ = ["find_shifts"]


def find_shifts(nodes: Sequence[Any], seeds: Collection[Value]) -> set[int]:
    """Return the ids of the maxima on a tape whose cotangent is zero.

    Parameters
    ----------
    nodes : sequence of Node or Segment
    seeds : collection of Value
        Values that have a cotangent from outside these nodes.
    """
    maxima = [n for n in nodes if type(n) is Node and n.op is reduce_max]
    if not maxima:
        return set()
    uses: dict[Value, list[Any]] = {}
    for node in nodes:
        inputs = node.inputs if type(node) is Node else node.external
        for v in dict.fromkeys(x for x in inputs if isinstance(x, Value)):
            uses.setdefault(v, []).append(node)
    search = _Search(uses, seeds)
    return {id(n) for n in maxima if search.is_shift(n)}


class _Search:
    """Follows values from node to node."""

    def __init__(self, uses: dict[Value, list[Any]], seeds: Collection[Value]) -> None:
        self.uses = uses
        self.seeds = seeds

    def is_shift(self, top: Node) -> bool:
        """Whether a maximum is used as the shift of a logarithm of a sum of exponentials only."""
        x = top.inputs[0]
        users = self._users(top.outputs[0])
        kept = tuple(1 if i in top.attrs["axis"] else n for i, n in enumerate(x.shape))
        minus = [(n, m) for n, m in users if _is(n, ew.subtract, x, m)]
        if (
            len(minus) != 1
            or not _lines_up(minus[0][1], kept)
            or minus[0][0].outputs[0].shape != x.shape
        ):
            return False
        (shifted,) = minus[0][0].outputs
        rest = [(n, m) for n, m in users if n is not minus[0][0]]
        below = self._users(shifted)
        powers = [n for n, v in below if n is not None and n.op is ew.exp and v is shifted]
        if len(powers) != 1:
            return False
        logarithm = self._log_sum(powers[0], top.attrs["axis"])
        if logarithm is None:
            return False
        ends = self._users(logarithm)
        if len(ends) != 1:
            return False
        (end, found) = ends[0]
        if len(rest) == 1 and len(below) == 1:  # m + log(sum(exp(x - m)))
            added, m = rest[0]
            same = end is added and m.shape == found.shape
            return same and (_is(end, ew.add, m, found) or _is(end, ew.add, found, m))
        # (x - m) - log(sum(exp(x - m)))
        softmax = _is(end, ew.subtract, shifted, found) and _lines_up(found, kept)
        return not rest and len(below) == 2 and softmax

    def _log_sum(self, power: Node, axis: tuple[int, ...]) -> Value | None:
        """Return the logarithm of the sum over `axis` of what a node makes, if that is its use."""
        total = self._only(power.outputs[0])
        if total is None or total.op is not reduce_sum or total.attrs["axis"] != axis:
            return None
        users = self._users(total.outputs[0])
        if len(users) != 1 or users[0][0] is None or users[0][0].op is not ew.log:
            return None
        value: Value = users[0][0].outputs[0]
        return value

    def _only(self, v: Value) -> Node | None:
        users = self.uses.get(v, [])
        return users[0] if len(users) == 1 and v not in self.seeds and _plain(users[0]) else None

    def _users(self, v: Value) -> list[tuple[Any, Value]]:
        """Return the nodes that read a value, other shapes of it included, and what they read.

        The node is None for a use that is not followed.
        """
        found: list[tuple[Any, Value]] = [(None, v)] if v in self.seeds else []
        for node in self.uses.get(v, []):
            if not _plain(node):
                found.append((None, v))
            elif _is_other_shape(node):
                found += self._users(node.outputs[0])
            else:
                found.append((node, v))
        return found


def _plain(node: Any) -> bool:
    return type(node) is Node and len(node.outputs) == 1


def _is(node: Any, op: Any, a: Any, b: Any) -> bool:
    """Whether a node is ``op(a, b)``."""
    return node is not None and node.op is op and node.inputs[0] is a and node.inputs[1] is b


def _lines_up(v: Value, kept: tuple[int, ...]) -> bool:
    """Whether a value broadcasts as one of shape `kept` does."""
    return _without_leading_ones(v.shape) == _without_leading_ones(kept)


def _without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    at = next((i for i, n in enumerate(shape) if n != 1), len(shape))
    return shape[at:]


def _is_other_shape(node: Node) -> bool:
    """Whether a node has the elements of its first argument, in order, in another shape."""
    if node.op is reshape:
        return True
    if node.op is not getitem or len(node.inputs) > 1:
        return False
    whole = all(not isinstance(s, slice) or s == slice(None) for s in node.attrs["spec"])
    return whole and node.outputs[0].aval.size == node.inputs[0].aval.size
