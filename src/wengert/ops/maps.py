"""Linear maps whose matrix is not at hand: solvers with a factor, or by iteration.

A map is an attribute of the operation, and a constant: the right-hand side is what is
differentiated. Its derivative is the map itself, in reverse mode the transposed one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ir.literal import Opaque
from wengert.ops import patterns
from wengert.ops.base import Op, Transpose, dtype_of, shape_of
from wengert.ops.linalg import batch_columns, row

__all__ = ["LinearMap", "linear_map"]


class LinearMap(Opaque):
    """A square linear map.

    Parameters
    ----------
    text : str
        What a graph that is printed shows.
    order : int
    dtype : numpy.dtype
    apply, transposed : callable
        From an array of shape (order, columns) to another one.
    """

    __slots__ = ("_turned", "apply", "dtype", "order", "transposed")

    def __init__(
        self,
        text: str,
        order: int,
        dtype: Any,
        apply: Callable[[Any], Any],
        transposed: Callable[[Any], Any],
    ) -> None:
        super().__init__(text)
        self.order = order
        self.dtype = np.dtype(dtype)
        self.apply = apply
        self.transposed = transposed
        self._turned: LinearMap | None = None

    def __repr__(self) -> str:
        """Show what it does."""
        return f"<{self.text}>"

    @property
    def T(self) -> LinearMap:
        """The transposed map."""
        if self._turned is None:
            text = self.text.removesuffix(".T") if self.text.endswith(".T") else f"{self.text}.T"
            made = LinearMap(text, self.order, self.dtype, self.transposed, self.apply)
            self._turned, made._turned = made, self
        return self._turned


def _evaluate(b: Any, *, of: LinearMap) -> Any:
    dtype = np.result_type(of.dtype, b.dtype)
    if b.ndim == 2:
        return np.asarray(of.apply(b.astype(dtype, copy=False)), dtype)
    out = np.empty(b.shape, dtype)
    for i in np.ndindex(b.shape[:-2]):
        out[i] = of.apply(b[i].astype(dtype, copy=False))
    return out


def _infer(b: Any, *, of: LinearMap) -> Aval:
    return Aval(shape_of(b), np.result_type(of.dtype, dtype_of(b)))


linear_map: Op = row(
    "linear_map",
    _evaluate,
    infer=_infer,
    derivative=Transpose((lambda ct, b, *, of: linear_map(ct, of=of.T),)),
    batch=batch_columns,
    flops=lambda out, b, **_: 2 * shape_of(b)[-2] * np.prod(shape_of(b), dtype=int).item(),
    residual=False,
    formula="2n^2 for each right-hand side, as if the inverse were at hand",
)
linear_map.pattern = patterns.within_column
