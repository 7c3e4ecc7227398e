"""`eval_shape`: the shapes and dtypes of a result, without computing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert import trees
from wengert.errors import ConversionError, hidden, user_line
from wengert.follow.functions import call as call_followed
from wengert.ir.graph import Aval, aval_of
from wengert.ops.base import Op, Traced
from wengert.ops.options import check_function
from wengert.trace.abstract import AbstractTape
from wengert.trace.tracer import Tracer

__all__ = ["eval_shape"]


class _Shapes(AbstractTape):
    """Follows shapes and dtypes, whatever is done with them."""

    def __init__(self) -> None:
        super().__init__("eval_shape")

    def lift(self, x: Any) -> Tracer:
        """Take a constant."""
        return self.input(aval_of(x))

    def concrete(self, var: Any, kind: str) -> Any:
        """Refuse: there are no numbers."""
        raise ConversionError(
            f"eval_shape: {kind}() of a value was asked for, and only its shape is known. Where "
            "the result depends on numbers (an if, a mask as an index, a number of steps), call "
            "the function, or pass that number as a plain int" + user_line()
        )

    def _check_linear(self, op: Op, inputs: list[Any]) -> None:
        pass


@hidden
def eval_shape(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return the shapes and dtypes of the result of a call, computing no numbers.

    Parameters
    ----------
    f : callable
        Written with NumPy.
    *args, **kwargs : pytrees
        Arrays, or shapes in their place: ``wg.eval_shape(f, wg.Shape((64, 784), float))``. Python
        numbers stay what they are.

    Returns
    -------
    pytree
        Of the form of the result, with a `Shape` in the place of each array or number.

    Raises
    ------
    ConversionError
        Where Python code decides by a number that is not known.
    """
    check_function(f, "eval_shape")
    given, rebuild = trees.flatten((args, kwargs))
    trace = _Shapes()
    try:
        positional, named = rebuild([_input(trace, x) for x in given])
        return trees.map_leaves(_shape, call_followed(f, positional, named))
    finally:
        trace.alive = False


def _input(trace: _Shapes, x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic, Traced)):
        found = aval_of(x)
        return trace.input(Aval(found.shape, found.dtype))
    if isinstance(x, Shape):
        return trace.input(Aval(x.shape, x.dtype))
    return x


def _shape(x: Any) -> Any:
    if isinstance(x, (np.ndarray, np.generic, Traced, int, float, complex)):
        aval = aval_of(x)
        return Shape(aval.shape, aval.dtype)
    return x


class Shape:
    """The shape and dtype of an array, for `eval_shape`.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype_like
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: Any = float) -> None:
        self.shape = tuple(shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)

    def __eq__(self, other: object) -> bool:
        """Whether shape and dtype are the same."""
        return isinstance(other, Shape) and (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        """Hash shape and dtype."""
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        """Show both."""
        return f"Shape({self.shape}, {self.dtype})"
