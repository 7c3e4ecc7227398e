"""A linear function given as code: recorded once on shapes, applied in both directions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import DerivativeError
from wengert.ir.graph import Aval, Value
from wengert.ops.base import dtype_of, shape_of
from wengert.trace.abstract import AbstractTape, vanishes
from wengert.trace.tracer import Tracer
from wengert.transform.linear import forward
from wengert.transform.reach import Tangents
from wengert.transform.reverse import Cotangents, backward, seeded

__all__ = ["LinearRule"]


class LinearRule:
    """A rule of the user's, linear in its arguments, as a list of operations on shapes.

    Parameters
    ----------
    name : str
        Of the function that the rule is of, for error messages.
    rule : callable
        ``rule(*tangents)``, a tuple of results; None is zero.
    likes : list
        Arrays with the shapes and dtypes of the tangents.
    hold : callable
        Makes what the operations refer to safe from later changes.

    Attributes
    ----------
    error : DerivativeError or None
        Why the rule is not linear.
    """

    def __init__(
        self,
        name: str,
        rule: Callable[..., Sequence[Any]],
        likes: Sequence[Any],
        hold: Callable[[Any], Any],
    ) -> None:
        self._tape = tape = AbstractTape(name, hold)
        ts = [tape.input(Aval(shape_of(x), dtype_of(x))) for x in likes]
        self._roots = [t._var for t in ts]
        self._outs: list[Value | None] = []
        self.error: DerivativeError | None = None
        try:
            for y in rule(*ts):
                if isinstance(y, Tracer):
                    y._refresh()
                if isinstance(y, Tracer) and y._trace is tape:
                    self._outs.append(y._var)
                    continue
                if y is not None and not vanishes(y):
                    raise tape.not_linear("a constant")
                self._outs.append(None)
        except DerivativeError as error:
            self.error = error
        finally:
            tape.alive = False

    def pull(self, cotangents: Sequence[Any], wanted: Sequence[bool]) -> list[Any]:
        """Return cotangents of the arguments; None is zero, on both sides."""
        self._check()
        cts = Cotangents()
        for v, ct in zip(self._outs, cotangents, strict=True):
            if v is not None and ct is not None:
                seeded(cts, v, ct)
        backward(self._tape.nodes, cts)
        return [
            cts.table.get(r) if asked else None
            for r, asked in zip(self._roots, wanted, strict=True)
        ]

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """Return the results for some arguments; None in an argument is zero."""
        self._check()
        table = Tangents()
        for r, t in zip(self._roots, tangents, strict=True):
            table.start(r, t)
        forward(self._tape.nodes, table)
        return [None if v is None else table.get(v, np.zeros(v.shape, v.dtype)) for v in self._outs]

    def _check(self) -> None:
        if self.error is not None:
            raise self.error
