"""Recording of shapes only: it linearises rules, so that they can be transposed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import DerivativeError
from wengert.ir.graph import Aval, Node, Value, aval_of
from wengert.ops.base import Op, Traced
from wengert.trace.record import Trace
from wengert.trace.tracer import Tracer, frozen, lower

__all__ = ["AbstractTape", "vanishes"]


def vanishes(x: Any) -> bool:
    """Whether an array has no finite entry but zeros: its values are those of the present."""
    found = np.asarray(lower(x) if isinstance(x, Traced) else x)
    return not np.any((found != 0) & np.isfinite(found))


class AbstractTape(Trace):
    """Records shapes of operations that are linear in their traced arguments.

    Parameters
    ----------
    what : str
        Whose rule it is, for error messages.
    hold : callable, optional
        For a rule of the user's: makes what the operations refer to safe from later changes. Such
        a rule is not trusted to be linear: constants that it adds must be zero.
    """

    def __init__(self, what: str, hold: Callable[[Any], Any] | None = None) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self.what = what
        self.hold = hold

    def lift(self, x: Any) -> Tracer:
        """Refuse: a constant is not linear in the tangent."""
        raise self.not_linear("storing a constant")

    def input(self, aval: Aval) -> Tracer:
        """Make a tangent of the given shape and dtype."""
        return Tracer(self, _Shape(aval))

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Append a node; nothing is evaluated."""
        if getattr(op, "inline", False):
            return op.evaluate(*args, **attrs)
        inputs = []
        avals = []
        for a in args:
            if type(a) is Tracer and a._trace is self:
                inputs.append(a._var)
                avals.append(a._var.aval)
            else:
                if isinstance(a, Tracer):
                    a = frozen(a)
                elif self.hold is not None and isinstance(a, np.ndarray):
                    a = self.hold(a)
                inputs.append(a)
                plain = type(a) in (int, float, bool, complex)
                avals.append(a if plain or isinstance(a, np.ndarray) else aval_of(a))
        self._check_linear(op, inputs)
        out = _Shape(op.infer(*avals, **attrs))
        self.nodes.append(Node(op, inputs, attrs, (out,)))
        return Tracer(self, out)

    def concrete(self, var: Any, kind: str) -> Any:
        """Refuse: a tangent has no value here."""
        raise self.not_linear(f"{kind}() of a tangent")

    def _check_linear(self, op: Op, inputs: list[Any]) -> None:
        traced = [isinstance(x, _Shape) for x in inputs]
        linear, together = op.linear_in(len(traced))
        ok = together or sum(traced) == 1
        ok = ok and all(lin for lin, t in zip(linear, traced, strict=True) if t)
        added = [together and lin and not t for lin, t in zip(linear, traced, strict=True)]
        if ok and self.hold is not None:
            ok = all(vanishes(x) for x, a in zip(inputs, added, strict=True) if a)
        if not ok:
            raise self.not_linear(op.name)

    def not_linear(self, name: str) -> DerivativeError:
        """Make the error for a rule that does that to its tangents."""
        return DerivativeError(
            f"the tangent rule of {self.what} is not linear in its tangents: it applies {name} to "
            f"them. A rule may add tangents, and multiply or contract them with values only."
        )


class _Shape(Value):
    """A value of which only shape and dtype are known; `data` stands for itself."""

    __slots__ = ()

    def __init__(self, aval: Aval) -> None:
        super().__init__(None, aval)
        self.data = self
