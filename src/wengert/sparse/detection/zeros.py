"""Which entries of a value are zero for every input, because constants are.

The gradient of a function that uses a part of an intermediate result has cotangents that are zero
elsewhere: what they multiply does not matter to a second derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Protocol

import numpy as np

from wengert.ir.graph import Const, Node, Value, aval_of
from wengert.ops import patterns
from wengert.ops.convert import select
from wengert.ops.index import fill

__all__ = ["Zeros", "is_zero"]

LARGEST_CONTRACTION = 1 << 28
"""Contractions of more operations are not carried out on zeros."""


def is_zero(x: Any) -> Any:
    """Mark the entries that are zero."""
    return np.equal(x, 0)


class Known(Protocol):
    """What is needed of values."""

    def chosen(self, inputs: Sequence[Any]) -> list[Any] | None:
        """Return the operands' arrays if they are known."""

    def rely(self, inputs: Sequence[Any], function: Callable[..., Any], outcome: Any) -> None:
        """Note that the result holds where ``function(*inputs)`` is `outcome`."""


class Zeros:
    """Carries along a graph which entries are always zero; values without any are not listed."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.masks: dict[Any, Any] = {}

    def of(self, x: Any) -> Any:
        """Return a mask of the entries that are always zero, or None if there is none."""
        if isinstance(x, Value):
            return self.masks.get(x)
        if not isinstance(x, Const):
            return np.True_ if np.ndim(x) == 0 and x == 0 else None
        if x not in self.masks:
            mask = is_zero(x.data) if aval_of(x).dtype.kind in "fciub" else np.False_
            self.masks[x] = mask if np.any(mask) else None
            if self.masks[x] is not None:
                self.known.rely([x], is_zero, mask)
        return self.masks[x]

    def step(self, node: Node) -> None:
        """Find the zeros of a node's only output."""
        if len(node.outputs) == 1 and node.inputs:
            (y,) = node.outputs
            found = self._found(node)
            if found is not None and np.any(found):
                self.masks[y] = np.broadcast_to(found, y.shape)

    def _found(self, node: Node) -> Any:
        op, pattern = node.op, node.op.pattern
        if op is select:
            return _select(self, node)
        linear, together = op.linear_in(len(node.inputs))
        if pattern.is_entrywise and len(linear) > 1:
            masks = [self.of(x) for x, lin in zip(node.inputs, linear, strict=True) if lin]
            known = [m for m in masks if m is not None]
            if not known or (together and len(known) < len(masks)):
                return None
            return reduce(np.logical_and if together else np.logical_or, known)
        if op.zero_at_zero:
            return self.of(node.inputs[0])
        if any(linear) and type(pattern) in FAMILIES:
            return FAMILIES[type(pattern)](self, node)
        if type(pattern) is patterns.Moving:
            return self._moved(node, pattern)
        if type(pattern) is patterns.Writing:
            return self._written(node, pattern)
        return None

    def _full(self, x: Any) -> Any:
        mask = self.of(x)
        return np.broadcast_to(np.False_ if mask is None else mask, aval_of(x).shape)

    def _moved(self, node: Node, pattern: patterns.Moving) -> Any:
        data = node.inputs[: pattern.data]
        if all(self.of(x) is None for x in data):
            return None
        index = [] if pattern.data is None else node.inputs[pattern.data :]
        values = self.known.chosen(index)
        if values is None:
            return None
        return pattern.evaluate(*map(self._full, data), *values, **node.attrs)

    def _written(self, node: Node, pattern: patterns.Writing) -> Any:
        x, v, *index = node.inputs
        spec = node.attrs["spec"]
        values = self.known.chosen(index)
        if values is None or (self.of(x) is None and (pattern.adds or self.of(v) is None)):
            return None
        if not pattern.adds:
            return pattern.index_set(self._full(x), self._full(v), *values, spec=spec)
        other = np.array(~self._full(x))
        np.logical_or.at(other, fill(spec, tuple(values)), ~self._full(v))
        return ~other


def _select(zeros: Zeros, node: Node) -> Any:
    c, a, b = node.inputs
    first, second = zeros.of(a), zeros.of(b)
    if first is None and second is None:
        return None
    values = zeros.known.chosen([c])
    if values is None:
        return None if first is None or second is None else first & second
    choice = np.not_equal(values[0], 0)
    zeros.known.rely([c], _is_true, choice)
    return np.where(choice, zeros._full(a), zeros._full(b))


def _is_true(c: Any) -> Any:
    return np.not_equal(c, 0)


def _reduced(zeros: Zeros, node: Node) -> Any:
    mask = zeros.of(node.inputs[0])
    if mask is None:
        return None
    return np.all(mask, axis=node.attrs["axis"], keepdims=node.attrs["keepdims"])


def _running(zeros: Zeros, node: Node) -> Any:
    mask = zeros.of(node.inputs[0])
    return None if mask is None else np.logical_and.accumulate(mask, node.attrs["axis"])


def _contracted(zeros: Zeros, node: Node) -> Any:
    if all(zeros.of(x) is None for x in node.inputs):
        return None
    avals = [aval_of(x) for x in node.inputs]
    if node.op.flops(node.outputs[0].aval, *avals, **node.attrs) > LARGEST_CONTRACTION:
        return None
    there = [(~zeros._full(x)).astype(np.float32) for x in node.inputs]
    return node.op.evaluate(*there, **node.attrs) == 0


FAMILIES: dict[type, Callable[[Zeros, Node], Any]] = {
    patterns.Grouped: _reduced,
    patterns.Prefix: _running,
    patterns.Contraction: _contracted,
}
"""Of linear operations, by the family of their patterns."""
