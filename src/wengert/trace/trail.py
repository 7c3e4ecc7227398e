"""What a trace has recorded again and again is recorded once more with less work.

The trips of a Python loop apply the same operations to operands that lie as far back in each trip.
A trail notices that from the operations themselves (`wengert.trace.expected`), and from then on
expects the next one. What is as expected needs no look-up of an equal operation, no rule of shapes
and no walk to the user's line: all of this was settled by the operations of the trips before.
Whatever else comes is recorded in the ordinary way. So a recording is the same as without a trail,
but for the user's line where another one applies the same operations, and for operations on numbers
that happen to equal those of another one of the same trip.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from wengert.ir.graph import Const, Node, Place, Value
from wengert.ops.base import Op
from wengert.trace import alarm, expected
from wengert.trace.active import ACTIVE
from wengert.trace.expected import Given, Noted, Step, agreed, period_of, steps_of
from wengert.trace.folding import Fold
from wengert.trace.lazy import LARGE, LazyValue, lazy_aval
from wengert.trace.numbering import number
from wengert.trace.repeated import can_fold
from wengert.trace.tracer import Tracer

__all__ = ["RecorderTrail", "TapeTrail", "Trail"]

_new: Any = tuple.__new__

PATIENCE = 4
"""Periods that did not hold for long, after which a trace expects nothing any more.

Looking for them takes a third of the time of recording."""

LOOPS = 3
"""Loops that a trace takes in. Further ones are recorded trip by trip: what comes again and again
is a loop in a loop, of which all trips are to look alike."""


class Trail:
    """What a trace has recorded, and expects.

    Parameters
    ----------
    trace : Tape or GraphRecorder
    recorder : GraphRecorder
        The trace itself, or the one below.

    Attributes
    ----------
    made : list
        The value of each operation, in order; None where it made several, or none.
    fresh : list of bool
        Whether it was made by that operation, and not by an equal one before.
    steps : list of Step
        A period, empty while nothing is expected.
    at : int
        Which of them is next.
    """

    def __init__(self, trace: Any, recorder: Any) -> None:
        self.trace = trace
        self.recorder = recorder
        self.made: list[Any] = []
        self.fresh: list[bool] = []
        self.steps: list[Step] = []
        self.at = 0
        self._log: list[Noted] = []
        self._look = expected.FIRST
        self._missed = 0
        self._odd: set[int] = set()
        self._begun = 0
        self._failures = 0
        self._ended = False
        self._folds = 0
        self._short = 0
        self._awaited = 0

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Record an operation of the trace."""
        trace, recorder = self.trace, self.recorder
        if self.steps:
            step = self.steps[self.at]
            if step.op is not op:
                self._lose()
            elif step.operands is not None and len(step.operands) == len(args):
                found = self._again(step, args, attrs)
                if found is not None:
                    self._advance(0)
                    return found
        before, below = len(trace.nodes), len(recorder.nodes)
        trace.trail = None
        try:
            y = trace.process(op, args, attrs)
        finally:
            trace.trail = None if self._ended else self
        result = y._var if type(y) is Tracer else None
        taken = trace.nodes[-1] if len(trace.nodes) == before + 1 else None
        node = recorder.nodes[-1] if len(recorder.nodes) == below + 1 else None
        self.made.append(result)
        self.fresh.append(taken is not None or node is not None)
        if self.steps:
            self._odd.add(len(self.made) - 1)
            self._advance(1)
            return y
        inputs = tuple([a._var if type(a) is Tracer else a for a in args])
        self._log.append(Noted(op, inputs, attrs, result, node, taken))
        if len(self._log) >= self._look:
            self._search()
        return y

    def _again(self, step: Step, args: tuple[Any, ...], attrs: dict[str, Any]) -> Tracer | None:
        """Record an operation if it is the one that is expected."""
        raise NotImplementedError

    def _append(
        self, step: Step, below: list[Any], attrs: dict[str, Any], lazy: bool
    ) -> Value | None:
        """Append a node to the recorder, if its operands make what is expected."""
        inner, recorder = step.inner, self.recorder
        if inner is None or lazy is not inner.lazy or not _is_calm(recorder):
            return None
        if lazy:
            moved = (attrs is not step.attrs and bool(attrs)) or self._is_odd(step)
            if moved and lazy_aval(step.op, below, attrs) != inner.aval:
                return None
            value: Value = LazyValue(inner.aval, recorder, is_array=inner.kind is np.ndarray)
        else:
            y = inner.evaluated(below, attrs)
            if y is None:
                return None
            value = Value(y, inner.aval)
        place: Any = _new(Place, inner.line)
        place.calls = inner.calls
        node = Node(step.op, below, attrs, (value,), place)
        recorder.nodes.append(node)
        if lazy:
            value.stand_for(node)  # type: ignore[attr-defined]
        if inner.fails:
            recorder._mark(value)
        return value

    def _is_odd(self, step: Step) -> bool:
        """Whether an operand was made by an operation that was not the expected one."""
        odd, n = self._odd, len(self.made)
        return bool(odd) and any(type(d) is int and n - d in odd for d in step.operands or ())

    def _advance(self, missed: int) -> None:
        self._missed += missed
        self.at += 1
        if self.at == len(self.steps):
            self.at = 0
            if 2 * self._missed > len(self.steps):
                self._lose()  # most of it was not as expected after all
            self._missed = 0

    def _may_fold(self, steps: list[Step]) -> bool:
        """Whether trips may be taken in from now on, and not recorded one by one."""
        recorder, period = self.recorder, len(steps)
        if recorder.taken_in is None or self._folds == LOOPS or period <= 2 * self._short:
            return False
        is_tape = self.trace is not recorder
        return (
            len(ACTIVE.tapes) == is_tape
            and not (is_tape and self.trace.regions)
            and _is_calm(recorder)
            and can_fold(steps, is_tape)
        )

    def begin_again(self) -> None:
        """Expect nothing while a fold records what it took in, which is noted as all is."""
        self.steps = []
        self._look = 1 << 62

    def stands_for(self, value: Any) -> None:
        """Take another value for the result of the operation that was recorded last."""
        self.made[-1] = value
        self._log[-1] = self._log[-1]._replace(result=value)

    def going_on(self, looped: bool, steps: list[Step], expecting: bool) -> Trail | None:
        """Go on after a fold.

        Parameters
        ----------
        looped : bool
            Whether what it took in was enough for a loop.
        steps : list of Step
            A trip.
        expecting : bool
            Whether more of these are to be expected.
        """
        if looped:
            self._folds += 1
            self._lose()
            self.made, self.fresh, self._begun = [], [], 0
            self._look = expected.FIRST
        else:
            self._short = max(self._short, len(steps))
            self._look = min(2 * len(self._log), 4 * expected.LONGEST)
            if expecting:
                self.steps, self._log, self._begun = steps, [], len(self.made)
                self.at = self._missed = 0
        return None if self._ended else self

    def _lose(self) -> None:
        """Expect nothing; look for a longer period next where this one has not held for long."""
        short = len(self.made) - self._begun < 4 * self._look
        self._failed(short)
        self._look = min(2 * self._look, 4 * expected.LONGEST) if short else expected.FIRST
        self.steps = []
        self.at = self._missed = 0
        self._odd = set()
        self._log = []

    def _failed(self, again: bool) -> None:
        """Look for nothing any more where that was in vain several times in a row."""
        self._failures = self._failures + 1 if again else 0
        if self._failures == PATIENCE:
            self._ended = True
            self.trace.trail = None

    def _search(self) -> None:
        """Expect what has repeated up to now; look again later if nothing has."""
        log = self._log
        period = period_of(log)
        if period:
            steps = steps_of(log, period, self.trace.numbers)
            known = sum(step.operands is not None for step in steps)
            if 2 * known > period:
                if self._may_fold(steps):
                    Fold(self, steps, log)
                    return
                early = len(log) < 6 * period != 6 * self._awaited
                if known < period and early and self.recorder.taken_in is not None:
                    self._awaited = period  # first trips often differ in what they read
                    self._look = len(log) + 2 * period
                    return
                self.steps, self._log = steps, []
                self.at = self._missed = 0
                self._begun = n = len(self.made)
                self._odd = {n - period + k for k, s in enumerate(steps) if s.operands is None}
                return
        if len(log) > 4 * expected.LONGEST:
            self._log = []
            self._failed(True)
        self._look = min(2 * self._look, 4 * expected.LONGEST)


class TapeTrail(Trail):
    """Of a tape whose values are those of a recorder."""

    def _again(self, step: Step, args: tuple[Any, ...], attrs: dict[str, Any]) -> Tracer | None:
        """Record an operation on both if it is the one that is expected."""
        if attrs is not step.attrs and (attrs or step.attrs):
            found = agreed(step, attrs)
            if found is None:
                return None
            attrs = found
        tape, recorder, made = self.trace, self.recorder, self.made
        n = len(made)
        new = False  # whether an operand is new, so that no equal operation can have been recorded
        lazy = False
        inputs: list[Any] = []
        below: list[Any] = []
        for a, d in zip(args, step.operands, strict=True):  # type: ignore[arg-type]
            if type(a) is Tracer:
                if a._view is not None:
                    a._refresh()
                x = a._var
                if type(d) is int:
                    if x is not made[n - d]:
                        return None
                    new = new or self.fresh[n - d]
                elif x is not d:
                    return None
                if a._trace is tape:
                    inputs.append(x)
                    a = x.data
                    if type(a) is not Tracer:
                        return None
                else:
                    inputs.append(Tracer(a._trace, x))
                x = a._var
                if type(x) is not Value:
                    if type(x) is not LazyValue:
                        return None
                    lazy = lazy or not x.is_known or x.aval.nbytes >= LARGE
                if a._trace is not recorder:
                    return None
                below.append(x)
            elif type(a) is d:
                inputs.append(a)
                below.append(a)
            elif type(d) is Given and type(a) is np.ndarray:
                if a.shape != d.shape or a.dtype != d.dtype:
                    return None
                const = recorder.refer(a)
                inputs.append(Tracer(recorder, const) if d.held else a)
                below.append(const)
            else:
                return None
        if step.inner is None:  # it was recorded before
            out = made[n - step.result] if type(step.result) is int else step.result
            if out.data is None:
                return None
            made.append(out)
            self.fresh.append(False)
            return Tracer(tape, out)
        if tape.regions:
            return None
        mark = None
        if not new or (attrs is not step.attrs and attrs):
            mark = number(step.op, inputs, attrs)
            if step.flat or mark in tape.known:
                return None
        value = self._append(step, below, attrs, lazy)
        if value is None:
            return None
        self.fresh.append(True)
        if step.flat:
            made.append(value)
            return Tracer(recorder, value)
        out = Value(Tracer(recorder, value))
        tape.nodes.append(Node(step.op, inputs, attrs, (out,), recorder.nodes[-1].line))
        if step.number:
            tape.numbers.add(out)
        if mark is not None:
            tape.known[mark] = out
        made.append(out)
        return Tracer(tape, out)


class RecorderTrail(Trail):
    """Of a recorder."""

    def _again(self, step: Step, args: tuple[Any, ...], attrs: dict[str, Any]) -> Tracer | None:
        """Record an operation if it is the one that is expected."""
        if attrs is not step.attrs and (attrs or step.attrs):
            found = agreed(step, attrs)
            if found is None:
                return None
            attrs = found
        recorder, made = self.recorder, self.made
        n = len(made)
        new = lazy = False
        below: list[Any] = []
        for a, d in zip(args, step.operands, strict=True):  # type: ignore[arg-type]
            if type(a) is Tracer:
                if a._view is not None:
                    a._refresh()
                x = a._var
                if type(d) is int:
                    if x is not made[n - d]:
                        return None
                    new = new or self.fresh[n - d]
                elif x is not d:
                    return None
                if type(x) is not Value:
                    if type(x) is LazyValue:
                        lazy = lazy or not x.is_known or x.aval.nbytes >= LARGE
                    elif type(x) is Const:
                        recorder._as_seen(x)
                    else:
                        return None
                if a._trace is not recorder:
                    return None
                below.append(x)
            elif type(a) is d:
                below.append(a)
            elif type(d) is Given and type(a) is np.ndarray:
                if a.shape != d.shape or a.dtype != d.dtype:
                    return None
                below.append(recorder.refer(a))
            else:
                return None
        if step.inner is None:
            out = made[n - step.result] if type(step.result) is int else step.result
            made.append(out)
            self.fresh.append(False)
            return Tracer(recorder, out)
        mark = None
        if not new or (attrs is not step.attrs and attrs):
            mark = number(step.op, below, attrs)
            if mark in recorder.known:
                return None
        value = self._append(step, below, attrs, lazy)
        if value is None:
            return None
        if mark is not None:
            recorder.known[mark] = value
        made.append(value)
        self.fresh.append(True)
        return Tracer(recorder, value)


def _is_calm(recorder: Any) -> bool:
    """Whether nothing has changed that decides how an operation is recorded."""
    if recorder.provenance is not None or not recorder.alive or alarm.errors is None:
        return False
    watch = recorder.alarm
    errors, filters, first = watch._state
    now = warnings.filters
    return (
        not watch._armed
        and now is filters
        and alarm.errors() is errors
        and (now[0] if now else None) is first
    )
