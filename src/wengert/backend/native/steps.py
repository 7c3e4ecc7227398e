"""The steps that a graph is scheduled into."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.backend.native.layout import View
from wengert.ir.graph import Node, Value

__all__ = ["Contraction", "Host", "Loop", "Reduce", "Update"]


class Loop:
    """A loop nest over `shape`: elementwise nodes, reductions, updates, and what is stored."""

    def __init__(self, step: int, shape: tuple[int, ...]) -> None:
        self.step = step
        self.shape = shape
        self.items: list[Any] = []  # Node, Reduce, Update in order
        self.inside: set[Value] = set()
        self.stores: list[tuple[Any, View]] = []

    @property
    def elements(self) -> int:
        """Iterations of the nest."""
        return math.prod(self.shape)


class Reduce:
    """A reduction of a loop's value into memory."""

    def __init__(
        self, kind: str, x: Any, axis: tuple[int, ...], out: View, dtype: np.dtype[Any]
    ) -> None:
        self.kind = kind
        self.x = x
        self.axis = axis
        self.out = out
        self.dtype = dtype


class Update:
    """A loop's value added into, or replacing, a part of memory; `index` are integer operands."""

    def __init__(
        self, add: bool, x: Any, target: View, spec: Any = None, index: tuple[Any, ...] = ()
    ) -> None:
        self.add = add
        self.x = x
        self.target = target
        self.spec = spec
        self.index = index


class Contraction:
    """A product of two arrays by BLAS: rows, columns and depth with strides."""

    def __init__(
        self,
        step: int,
        a: View,
        b: View,
        out: View,
        sizes: tuple[int, ...],
        strides: Any,
        batch: Any,
    ) -> None:
        self.step = step
        self.a = a
        self.b = b
        self.out = out
        self.sizes = sizes
        self.strides = strides
        self.batch = batch


class Host:
    """A node that NumPy evaluates."""

    def __init__(self, step: int, node: Node, operands: list[Any], outs: list[View]) -> None:
        self.step = step
        self.node = node
        self.operands = operands
        self.outs = outs
