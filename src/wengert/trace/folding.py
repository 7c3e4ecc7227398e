"""Trips of a Python loop that are recorded as one loop while they run.

Where a trail (`wengert.trace.trail`) expects every operation of a trip, nothing of it needs to be
recorded but what differs by trip: numbers, plain arrays, and integers of indices. A `Fold` takes in
such trips. What they compute waits (`Folded`, `LazyValue` without a node). When another operation
comes, or something asks for a number, the fold is closed: its whole trips become one `scan`, what
is left over is recorded in the ordinary way, and each value that is still in use is tied to what
was recorded for it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Const, Node, Value
from wengert.ops.base import Op
from wengert.ops.convert import convert
from wengert.trace import alarm, expected, memory
from wengert.trace.active import ACTIVE
from wengert.trace.expected import Noted, agreed, first_trip
from wengert.trace.lazy import Folded, LazyValue
from wengert.trace.repeated import (
    MOVING,
    PLAIN,
    STILL,
    Fixed,
    Loop,
    Outside,
    Rows,
    Step,
    Writing,
    best_start,
    placed,
)
from wengert.trace.replay import as_function
from wengert.trace.tracer import Tracer

__all__ = ["Fold"]

_new: Any = object.__new__
_INT = frozenset({int})

LEAST = 1000
"""Operations that whole trips stand for, from which they become a loop; others are recorded."""

TRIPS = 8
"""The least number of trips of a loop."""

WORTH = 50
"""How many operations of whole trips are worth one that is left over before or after them: trips
that are recorded one by one can often be rolled without a rest."""

HELD = 64
"""Values of past trips that are in use, from which a loop is recorded trip by trip: what is done
with so many of them is often a loop as well, which is found when all trips are there."""

_set_data: Any = vars(Value)["data"].__set__


class Fold:
    """Takes in the trips of a loop, in the place of the trail of a tape or recorder.

    Parameters
    ----------
    trail : Trail
        What expects the trips; it goes on afterwards.
    steps : sequence of Step
        A trip.
    log : list of Noted
        What was recorded before, of several trips. The loop begins with those that are alike.

    Attributes
    ----------
    made : list
        Values of operations, in order; the first is that of number `first`. Those of the log have
        negative numbers.
    at, trips : int
        Of which step the next operation is, and how many trips were taken in whole.
    kept : list of (int, Value)
        Operations whose values are out of reach of those to come, and were in use then.
    """

    def __init__(self, trail: Any, steps: Sequence[expected.Step], log: list[Noted]) -> None:
        self.trail = trail
        self.trace, self.recorder = trail.trace, trail.recorder
        self.tape = self.trace is not self.recorder
        period = len(steps)
        self.expected = steps
        self.log = log[:]
        self.steps = [Step(s, log[k - period].result) for k, s in enumerate(steps)]
        self.by_aval = {id(s.aval): s for s in self.steps if s.aval is not None}
        back = max((d for s in steps for d in self._distances(s)), default=0)
        self.before = len(trail.made)
        self.keep = max(back, period, 16)
        self.made = [noted.result for noted in log[-self.keep :]]
        self.first = -len(self.made)
        self.at = self.trips = 0
        self.kept: list[tuple[int, Any]] = []
        self.ended = False
        self.errors: Any = alarm.errors
        self.calm = alarm.errors()
        self.trace.trail = self
        ACTIVE.folds.append(self)
        if self.tape:
            self.trace.shape, self.trace.holds_array = self.shape, self.holds_array

    # --- what is expected -------------------------------------------------------------------------
    @staticmethod
    def _distances(step: expected.Step) -> list[int]:
        found = [d for d in step.operands or () if type(d) is int]
        return [*found, step.result] if type(step.result) is int else found

    # --- recording --------------------------------------------------------------------------------
    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Take in an operation of the trace; close if it is not the one that is expected."""
        step = self.steps[self.at]
        made = self.made
        if op is not step.op or not self._fits(step, args, attrs, made):
            self.close()
            return self.trace.process(op, args, attrs)
        if step.aval is None:
            result = step.result
            value = made[-result] if type(result) is int else result
        elif self.tape:
            value = _new(Folded)
            value._aval = step.aval
        else:
            value = _new(LazyValue)
            value._aval, value._trace, value._known, value._part = (
                step.aval,
                self.trace,
                False,
                None,
            )
            value._computed = value.node = value.strides = None
            value.is_array = step.is_array
        made.append(value)
        self.at += 1
        if self.at == len(self.steps):
            self.at = 0
            self.trips += 1
            self._prune()
        return Tracer(self.trace, value)

    def _fits(
        self, step: Step, args: tuple[Any, ...], attrs: dict[str, Any], made: list[Any]
    ) -> bool:
        """Whether an operation is the one that is expected; note what differs by trip."""
        if len(args) != step.number or self.errors() is not self.calm:
            return False
        for a, d in zip(args, step.operands):  # noqa: B905  they are as many
            if type(a) is Tracer:
                if type(d) is int:
                    if a._var is not made[-d]:
                        return False
                elif type(d) is not Fixed or a._var is not d.var:
                    return False
                elif d.trace is None:
                    d.trace = a._trace
                elif type(d.var) is Const:
                    self.recorder._as_seen(d.var)
                if a._view is not None and a._view.tick != a._clock[0]:
                    return False
            elif type(d) is not Rows or type(a) is not d.kind:
                return False
            else:
                if d.given is not None:
                    if a.shape != d.given.shape or a.dtype != d.given.dtype:
                        return False
                    if a.strides != d.strides:
                        if d.strides is not None:
                            return False
                        d.strides = a.strides
                    a = self.recorder.refer(a)
                d.values.append(a)
        form = step.form
        if form == PLAIN:
            if attrs is step.attrs or not (attrs or step.attrs):
                return True
            return agreed(step.expected, attrs) is step.attrs
        spec = attrs["spec"]
        if spec != step.spec:
            if form == STILL or not _INT.issuperset(map(type, spec)):
                return False
            sizes = args[0]._trace.shape(args[0]._var)
            if len(spec) != len(step.spec) or not _INT.issuperset(map(type, step.spec)):
                return False
            for i, n in zip(spec, sizes, strict=False):
                if not -n <= i < n:
                    return False  # which NumPy says in its words
        if form == MOVING:
            step.specs.append(spec)
        return True

    def _prune(self) -> None:
        """Let go of what is out of reach; keep what the program still holds."""
        made, first, steps = self.made, self.first, self.steps
        cut = max(len(made) - self.keep, 0)
        kept, period = self.kept, len(steps)
        for k in range(cut):
            v = made[k]
            if sys.getrefcount(v) > _ALONE and first + k >= 0 and steps[(first + k) % period].aval:
                kept.append((first + k, v))
        del made[:cut]
        self.first = first + cut
        if len(kept) >= HELD:
            kept[:] = [(k, v) for k, v in kept if sys.getrefcount(v) > _ALONE_KEPT]
            if len(kept) >= HELD:
                self.close(expecting=True)

    # --- questions that need no numbers -----------------------------------------------------------
    def shape(self, var: Any) -> tuple[int, ...]:
        """Return the shape of a value of the tape."""
        if type(var) is Folded:
            return var._aval.shape  # type: ignore[union-attr]
        return type(self.trace).shape(self.trace, var)  # type: ignore[no-any-return]

    def holds_array(self, var: Any) -> bool:
        """Whether a value without axes is an array in NumPy."""
        if type(var) is Folded:
            return bool(self.by_aval[id(var._aval)].is_array)
        return type(self.trace).holds_array(self.trace, var)  # type: ignore[no-any-return]

    def like(self, var: Any) -> Any:
        """Return the value of a trip before that lies in memory as this one does."""
        step = self.by_aval.get(id(var._aval))
        return None if step is None else step.like

    # --- the end ----------------------------------------------------------------------------------
    def drop(self) -> None:
        """Forget all: the recording is given up."""
        if not self.ended:
            self.ended = True
            ACTIVE.folds.remove(self)
            self.trace.trail = None
            if self.tape:
                del self.trace.shape, self.trace.holds_array

    def close(self, expecting: bool = False) -> None:
        """Record what was taken in; `expecting` says that further trips are to be expected."""
        if self.ended:
            return
        self.drop()
        trail, stop = self.trail, self.trips * len(self.steps) + self.at
        for k, step in enumerate(self.steps):
            step.cut(self.trips + (k < self.at))
        with np.errstate(all="ignore"):  # what is made of it now is not what raised
            looped = self.trips * len(self.steps) >= LEAST and self._looped()
            if not looped:
                trail.begin_again()
                self.trace.trail = trail
                self._unfold(0, stop, self._held(), trail)
        self.trace.trail = trail.going_on(looped, self.expected, expecting)

    def _held(self) -> dict[int, Any]:
        """Return the values that are in use, by when they were made."""
        kept, made, first, steps = self.kept, self.made, self.first, self.steps
        for k in range(max(-first, 0), len(made)):
            if steps[(first + k) % len(steps)].aval is None:
                made[k] = None  # which another operation has made
        found: dict[int, Any] = {}
        for k in range(len(kept)):
            at, v = kept[k]
            if sys.getrefcount(v) > _ALONE_KEPT:
                found[at] = v
        for k in range(max(-first, 0), len(made)):
            v = made[k]
            if sys.getrefcount(v) > _ALONE:
                found.setdefault(first + k, v)
        return {k: v for k, v in found.items() if v is not None and steps[k % len(steps)].aval}

    def source(self, at: int, start: int = 0) -> Any:
        """Return which operation made an operand, or the value itself if it is from before.

        Parameters
        ----------
        at : int
            The number of an operation.
        start : int
            That of the first one of the loop.
        """
        period = len(self.steps)
        while at >= start:
            step = self.steps[at % period]
            if step.aval is not None:
                return at
            if type(step.result) is not int:
                return step.result
            at -= step.result
        return self.log[at].result

    def _looped(self) -> bool:
        """Record whole trips as a loop, and the rest of the last one; say whether that went."""
        period, stop = len(self.steps), self.trips * len(self.steps) + self.at
        start = first_trip(self.expected, self.log, best_start(self.expected, stop % period))
        n = (stop - start) // period
        whole = start + n * period
        held = self._held()
        used = {k: v for k, v in held.items() if k < whole}
        for k in range(max(whole, 0), stop):
            for d in self.steps[k % period].operands:
                at = self.source(k - d, start) if type(d) is int else None
                if type(at) is int and 0 <= at < whole:
                    used.setdefault(at, self.made[at - self.first])
        order = [(start + k) % period for k in range(period)]
        numbers = {j: i for i, j in enumerate(j for j in order if self.steps[j].aval is not None)}
        early = sum(k < whole - period for k in used)
        if start > 0 or n < TRIPS or whole < 0 or early >= HELD or len(used) >= 4 * HELD:
            return False
        left = min(self.before + start, 4 * period) + stop - whole
        if n * period < WORTH * left:
            return False
        outside = Outside(self)
        writing = Writing(self, start, n, numbers, outside)
        nodes, columns, specs = writing.trip()
        wanted: dict[int, list[int]] = {}
        for k in sorted(used):
            wanted.setdefault(numbers[k % period], []).append((k - start) // period)
        graph = self.recorder.taken_in(Loop(nodes, columns, specs, n, wanted, outside.inputs))
        if graph is None:
            return False
        trace = self.trace
        line = next((s.inner for s in self.steps if s.inner is not None), None)
        before = len(self.recorder.nodes)
        ys = as_function(graph)(*outside.handles)
        if not all(isinstance(y, Tracer) and y._trace is trace for y in ys):
            return False
        self._placed(before, line)
        offset = {i: order.index(j) for j, i in numbers.items()}
        ordered = [start + t * period + offset[i] for i, ts in wanted.items() for t in ts]
        for k, y in zip(ordered, ys, strict=True):
            self._tie(used[k], y, self.steps[k % period])
        self._unfold(max(whole, 0), stop, held)
        self.recorder.rerolled = True  # trips before are of no use now
        return True

    def _placed(self, start: int, inner: Any) -> None:
        """Give nodes the line of the loop, and not that of what came after it."""
        if inner is not None:
            for node in self.recorder.nodes[start:]:
                node.line = placed(inner)

    def _unfold(self, start: int, stop: int, held: dict[int, Any], trail: Any = None) -> None:
        """Record operations one by one; `trail` is told which values they make."""
        trace, period = self.trace, len(self.steps)
        handles: dict[int, Any] = {}

        def handle(at: int) -> Any:
            x = self.source(at)  # of those before, the values are there
            if type(x) is not int:
                return Tracer(trace, x)
            return Tracer(trace, self.made[x - self.first]) if x < start else handles[x]

        for k in range(start, stop):
            t, j = divmod(k, period)
            step = self.steps[j]
            if step.aval is None and trail is None:
                continue
            args = []
            for d in step.operands:
                if type(d) is int:
                    args.append(handle(k - d))
                elif type(d) is Fixed:
                    args.append(Tracer(d.trace or trace, d.var))
                else:
                    x = d.values[t]
                    args.append(x.data if type(x) is Const else x)
            attrs = step.attrs
            if step.form == MOVING:
                attrs = {**attrs, "spec": step.specs[t]}
            before = len(self.recorder.nodes)
            y = trace.process(step.op, tuple(args), attrs)
            self._placed(before, step.inner)
            if step.aval is None:
                continue
            if k in held:
                self._tie(held[k], y, step)
                y = Tracer(trace, held[k])
                if trail is not None:
                    trail.stands_for(held[k])
            handles[k] = y
            handles.pop(k - 2 * self.keep - 1, None)

    def _tie(self, value: Any, y: Any, step: Step) -> None:
        """Let a value that waited be what was recorded for it."""
        made, trace = y._var, self.trace
        last = trace.nodes[-1]
        if self.tape:
            value.__class__ = Value
            _set_data(value, made.data)
        else:
            value.strides = memory.of_value(made)
        if type(last) is Node and last.outputs == (made,):
            last.outputs = (value,)
            mark = next(reversed(trace.known), None)
            if trace.known and trace.known[mark] is made:
                trace.known[mark] = value
        else:
            last = Node(convert, (made,), {"dtype": step.aval.dtype}, (value,), step.place())
            trace.nodes.append(last)
        if not self.tape:
            value.stand_for(last)
            if type(made) is Value:
                value.keep(made.data)


def _count_made() -> int:
    made = [_new(Folded)]
    most = 0
    for k in range(1):
        v = made[k]
        most = max(most, sys.getrefcount(v))
    return most


def _count_kept() -> int:
    kept = [(0, _new(Folded))]
    most = 0
    for k in range(1):
        _, v = kept[k]
        most = max(most, sys.getrefcount(v))
    return most


_ALONE, _ALONE_KEPT = _count_made(), _count_kept()
