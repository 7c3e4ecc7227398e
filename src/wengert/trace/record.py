"""Traces: what appends every operation on its values to a record.

`wengert.trace.tape` records what a derivative needs, `wengert.trace.recorder` what is compiled.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from wengert.errors import (
    LeakedTracerError,
    heed_warnings,
    user_line,
)
from wengert.ir.graph import Value
from wengert.ops.base import Op
from wengert.trace.tracer import Tracer

__all__ = [
    "LEVELS",
    "Trace",
]

LEVELS = itertools.count(1)
"""Levels of traces: one begun later has a higher one, so inner derivatives are told from outer."""


class Trace:
    """What every trace can do; `process` says what an operation on its values means."""

    kinds: tuple[type, ...] = (Value,)
    differentiates = False

    def __init__(self) -> None:
        heed_warnings()
        self.level = next(LEVELS)
        self.alive = True
        self.numbers: set[Any] = set()  # values that stand for Python numbers

    def shape(self, var: Any) -> tuple[int, ...]:
        """Return the shape that the user sees."""
        try:
            return var.data.shape  # type: ignore[no-any-return]
        except AttributeError:
            if var.data is None:
                raise self.let_go() from None
            return np.shape(var.data)

    @staticmethod
    def let_go() -> LeakedTracerError:
        """Make the error for a value whose array was let go by `wg.checkpoint`."""
        return LeakedTracerError(
            "a value computed inside a function under wg.checkpoint was used outside of it "
            "without being returned (it was kept in an object or a closure). Return it from that "
            "function instead." + user_line()
        )

    def describe(self, var: Any) -> str:
        """Show a value."""
        return repr(var.data) if self.alive else "from a trace that has ended"

    def leaked(self) -> LeakedTracerError:
        """Make the error for a value that outlived its trace."""
        return LeakedTracerError(
            "a traced value was used after the function that it was traced in had returned (it was "
            "kept in a global, a closure or an object). Return it from the function instead, for "
            "example with has_aux=True." + user_line()
        )

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Apply an operation to arguments of which at least one belongs to this trace."""
        raise NotImplementedError

    def lift(self, x: Any) -> Tracer:
        """Make a constant into a value of this trace."""
        raise NotImplementedError

    def concrete(self, var: Any, kind: str) -> Any:
        """Return the plain value for a conversion of the given kind."""
        raise NotImplementedError

    def holds_array(self, var: Any) -> bool:
        """Whether a value without axes is an array in NumPy, updated in place, and no scalar."""
        data = var.data
        return data._is_array() if isinstance(data, Tracer) else isinstance(data, np.ndarray)
