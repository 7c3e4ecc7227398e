"""The record that reverse mode and linearisation walk.

A tape holds operations with a derivative on values that depend on the inputs. What is piecewise
constant comes back as a plain value, so a comparison costs nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from wengert.errors import (
    cause_of,
    retold,
)
from wengert.ir.graph import Node, Value
from wengert.ops.base import ZERO, Op, RegionOp
from wengert.ops.convert import convert
from wengert.trace.active import ACTIVE
from wengert.trace.alarm import heeding
from wengert.trace.capture import (
    Captured,
)
from wengert.trace.folding import Fold
from wengert.trace.lazy import Folded
from wengert.trace.numbering import number
from wengert.trace.numbers import (
    NUMBERS,
    beside_arrays,
    check_operands,
    compared,
    is_number,
    plain_number,
    weak_value,
)
from wengert.trace.record import Trace
from wengert.trace.recorder import GraphRecorder, active_recorder
from wengert.trace.refused import number_refused
from wengert.trace.taped import taped
from wengert.trace.tracer import OPERATOR, Tracer, frozen_or_same
from wengert.trace.trail import TapeTrail, Trail

__all__ = ["Tape", "active_tapes"]


def active_tapes() -> list[Tape]:
    """Return the tapes that are recording in this thread, outermost first."""
    for fold in ACTIVE.folds[::-1]:
        fold.close()
    return ACTIVE.tapes


class Tape(Trace):
    """The record that reverse mode and linearisation walk."""

    differentiates = True
    kinds = (Value, Folded)

    def __init__(self) -> None:
        super().__init__()
        self.nodes: list[Any] = []
        self.captured = Captured()
        self.heeding = heeding()
        self.weak: dict[Value, Value] = {}
        # Only below a recorder, where an operation costs more than to look for it.
        self.recorder = active_recorder()
        self.known: dict[Any, Value] | None = None if self.recorder is None else {}
        self.trail: Trail | Fold | None = None
        if type(self.recorder) is GraphRecorder and self.recorder.store.bound is None:
            self.trail = TapeTrail(self, self.recorder)
        self.regions = 0
        """How many functions under `wengert.checkpoint` are at work: what they do is done again, so
        every array that they read is kept."""

    def hold(self, x: Any) -> Any:
        """Return an array that still has its present content in the backward pass, or raises."""
        if not isinstance(x, np.ndarray):
            return frozen_or_same(x)
        recorder = active_recorder()
        if recorder is None or recorder.level > self.level:
            return self.captured.keep(x)
        return recorder.constant(x)  # a reference, so that a compiled derivative sees later changes

    def __enter__(self) -> Tape:
        """Begin recording."""
        ACTIVE.tapes.append(self)
        self.heeding.__enter__()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End recording: values of this tape cannot be used any more."""
        if type(self.trail) is Fold:
            self.trail.drop() if error is not None else self.trail.close()
        ACTIVE.tapes.pop()
        self.alive = False
        self.trail = None
        self.heeding.__exit__(kind, error, traceback)
        if error is not None and cause_of(error) is not error:
            raise cause_of(error) from None

    def input(self, x: Any, kept: bool = False) -> Tracer:
        """Make an argument into a value of this trace; `kept` as in `linearize_flat`."""
        if isinstance(x, np.ndarray):
            made = Tracer(self, Value(self.captured.keep(x, sampled=not kept)))
            made._layout = x.strides  # a copy that is kept may have no gaps
            return made
        value = Value(frozen_or_same(plain_number(x)))
        if is_number(x):
            self.numbers.add(value)
        return Tracer(self, value)

    def lift(self, x: Any) -> Tracer:
        """Make a constant into a value of this trace."""
        return Tracer(self, Value(self.hold(x)))

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Evaluate one level down, and append a node where there is a derivative."""
        if not self.alive:
            raise self.leaked()
        if self.trail is not None:
            return self.trail.process(op, args, attrs)
        if type(op) is RegionOp:
            return taped(self, op, args, attrs)
        is_flat = op.derivative is ZERO
        numbers = self.numbers
        inputs: list[Any] = []
        values: list[Any] = []
        nested = numeric = False
        other = not numbers  # whether an operand is no differentiated number of Python
        for a in args:
            kind = type(a)
            if kind is Tracer:
                if a._view is not None:
                    a._refresh()
                if a._trace is self:
                    a = a._var
                    inputs.append(a)
                    if a in numbers:
                        numeric = True
                    else:
                        other = True
                    a = a.data
                    if a is None:
                        raise self.let_go()
                    if type(a) is Tracer:
                        nested = True
                    values.append(a)
                    continue
                if not a._trace.alive:
                    raise a._trace.leaked()
                a = Tracer(a._trace, a._var)
            elif (
                isinstance(a, np.ndarray)
                and (op.residual or self.regions or a.dtype.kind in "iub")
                and not is_flat
            ):
                a = self.hold(a)
            inputs.append(a)
            values.append(a)
            if kind not in NUMBERS:
                nested = nested or type(a) is Tracer
                other = other or not is_number(a)
        if numeric and other:
            inputs = beside_arrays(self, op, inputs, weak_value)
            values = [x.data if type(x) is Value else x for x in inputs]
        known = self.known
        mark = line = None
        pythons = not other and attrs is OPERATOR  # Python's operator on numbers of Python
        if pythons:
            check_operands(op, values)
        if known is not None and not is_flat:
            mark = number(op, inputs, attrs)
            earlier = None if mark is None else known.get(mark)
            if earlier is not None and earlier.data is not None:  # not let go by wg.checkpoint
                return Tracer(self, earlier)
        if type(op) is not Op and getattr(op, "custom", False):
            hold = frozen_or_same if self.regions else self.hold  # there it is called again
            y = op.derivative.begin(op, values, hold)  # type: ignore[union-attr]
        else:
            try:
                y = op(*values, **attrs) if nested else op.evaluate(*values, **attrs)
            except RuntimeWarning:
                if nested:
                    raise
                y = retold(partial(op.evaluate, *values, **attrs))
        if is_flat:
            return compared(op, y) if pythons else y
        if known is not None and self.recorder.nodes:  # type: ignore[union-attr]
            line = self.recorder.nodes[-1].line  # type: ignore[union-attr]
        if type(y) is tuple:
            outputs = tuple(Value(part) for part in y)
            self.nodes.append(Node(op, inputs, attrs, outputs, line))
            return tuple(
                Tracer(self, v) if v.dtype.kind in "fc" else part
                for v, part in zip(outputs, y, strict=True)
            )
        if op is convert and y.dtype.kind not in "fc":
            return y
        out = Value(y)
        if pythons:  # of Python numbers, an operator makes another one
            numbers.add(out)
        self.nodes.append(Node(op, inputs, attrs, (out,), line))
        if mark is not None and known is not None:
            known[mark] = out
        return Tracer(self, out)

    def concrete(self, var: Any, kind: str) -> Any:
        """Return the plain value, unless a derivative would be lost."""
        data = var.data
        if kind in ("float", "complex", "item"):
            raise number_refused()
        return data._plain(kind) if isinstance(data, Tracer) else data
