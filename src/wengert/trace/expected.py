"""What a tape has recorded again and again is recorded once more with less work.

The trips of a Python loop apply the same operations to operands that lie as far back in each trip.
`Trail` notices that from the operations themselves, and from then on expects the next one. What is
as expected needs no look-up of an equal operation, no rule of shapes and no walk to the user's
line: all of this was settled by the operations of the trips before. Whatever else comes is recorded
in the ordinary way. So a recording is the same as without a trail, but for the user's line where
another one applies the same operations, and for operations that happen to equal another one of
this trip only.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.build import PLAIN, applied
from wengert.ir.graph import Const, Node, Place, Value
from wengert.ir.simplify import key
from wengert.ops.base import Op
from wengert.ops.raising import INDEXED
from wengert.trace import alarm
from wengert.trace.lazy import LARGE, LazyValue, lazy_aval, may_fail
from wengert.trace.numbering import number
from wengert.trace.tracer import OPERATOR, Tracer

__all__ = ["Trail"]

FIRST = 192
"""Operations after which a trail looks for a period first."""

LONGEST = 4096
"""The longest period, in operations."""

_new: Any = tuple.__new__
_INT = frozenset({int})
_RAISING = frozenset({"divides", "power"})
_SIMPLE = frozenset({int, str, bool, type(None)})


class Inner(NamedTuple):
    """What the recorder below appends for an expected operation.

    Attributes
    ----------
    line : tuple of (str, int)
    calls : tuple
        Of a place.
    kind : type
        Of what is computed.
    shape, dtype
        Of that, if it is an array.
    fails : bool
        Whether it is marked as one that may raise.
    evaluate : callable
    aval : Aval
    lazy : bool
        Whether it waits to be computed.
    """

    line: tuple[str, int]
    calls: Any
    kind: Any
    shape: Any
    dtype: Any
    fails: bool
    evaluate: Any
    aval: Any
    lazy: bool

    def evaluated(self, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
        """Compute the result; None where the ordinary way is to look at it."""
        try:
            y = self.evaluate(
                *[x.data if isinstance(x, (Value, Const)) else x for x in operands], **attrs
            )
        except Exception:
            return None  # the ordinary way says so
        if type(y) is not self.kind:  # of another dtype, or an array without axes
            return None
        if self.dtype is not None and (y.shape != self.shape or y.dtype != self.dtype):
            return None
        return y


class Given(NamedTuple):
    """A plain array that is an operand; in each trip it may be another one.

    Attributes
    ----------
    shape, dtype
    held : bool
        Whether the tape keeps what it is, for the derivative.
    """

    shape: tuple[int, ...]
    dtype: Any
    held: bool


class Step:
    """An operation that is expected.

    Attributes
    ----------
    op : Op
    attrs : dict
    operands : list or None
        Of each operand: how many results ago it was made, or the value itself, or the type of a
        number, or what is known of a plain array. None where the operation is to be recorded in
        the ordinary way.
    inner : Inner or None
        None where the result is an earlier one.
    result : int or Value
        That earlier one, in the form of an operand.
    flat : bool
        Whether the result has no derivative, so that the tape does not take it in.
    number : bool
        Whether it stands for a number of Python.
    """

    __slots__ = ("attrs", "flat", "inner", "number", "op", "operands", "result")

    def __init__(self, op: Op, attrs: dict[str, Any]) -> None:
        self.op = op
        self.attrs = attrs
        self.operands: list[Any] | None = None
        self.inner: Inner | None = None
        self.result: Any = None
        self.flat = self.number = False


class Noted(NamedTuple):
    """An operation that was recorded in the ordinary way."""

    op: Op
    inputs: tuple[Any, ...]
    attrs: dict[str, Any]
    result: Any
    node: Node | None
    taken: Node | None

    @property
    def fresh(self) -> bool:
        """Whether the tape has taken it in."""
        return self.taken is not None


class Trail:
    """What one tape over a recorder has recorded, and expects.

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

    def __init__(self, tape: Any, recorder: Any) -> None:
        self.tape = tape
        self.recorder = recorder
        self.made: list[Any] = []
        self.fresh: list[bool] = []
        self.steps: list[Step] = []
        self.at = 0
        self._log: list[Noted] = []
        self._look = FIRST
        self._missed = 0
        self._begun = 0

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Record an operation of the tape."""
        tape, recorder = self.tape, self.recorder
        if self.steps:
            found = self._again(op, args, attrs)
            if found is not None:
                return found
        before, below = len(tape.nodes), len(recorder.nodes)
        tape.trail = None
        try:
            y = tape.process(op, args, attrs)
        finally:
            tape.trail = self
        result = y._var if type(y) is Tracer else None
        taken = tape.nodes[-1] if len(tape.nodes) == before + 1 else None
        node = recorder.nodes[-1] if len(recorder.nodes) == below + 1 else None
        self.made.append(result)
        self.fresh.append(taken is not None or node is not None)
        if self.steps:
            self._advance()
            return y
        inputs = tuple([a._var if type(a) is Tracer else a for a in args])
        self._log.append(Noted(op, inputs, attrs, result, node, taken))
        if len(self._log) >= self._look:
            self._search()
        return y

    # --- what is expected -----------------------------------------------------------------------
    def _again(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Tracer | None:
        """Record an operation if it is the one that is expected."""
        step = self.steps[self.at]
        if step.op is not op:
            self._lose()
            return None
        operands = step.operands
        if operands is None or len(operands) != len(args):
            return None
        if attrs is not step.attrs and (attrs or step.attrs):
            agreed = _agreed(step, attrs)
            if agreed is None:
                return None
            attrs = agreed
        tape, recorder, made = self.tape, self.recorder, self.made
        n = len(made)
        new = False  # whether an operand is new, so that no equal operation can have been recorded
        inputs: list[Any] = []
        below: list[Any] = []
        lazy = False
        for a, d in zip(args, operands, strict=True):
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
        inner = step.inner
        if inner is None:
            result = step.result
            out = made[n - result] if type(result) is int else result
            if out.data is None:
                return None
        else:
            if tape.regions or not _is_calm(recorder):
                return None
            if lazy is not inner.lazy:
                return None
            moved = attrs is not step.attrs and bool(attrs)
            if lazy:
                if moved and lazy_aval(op, below, attrs) != inner.aval:
                    return None
                value: Value = LazyValue(inner.aval, recorder, is_array=inner.kind is np.ndarray)
            else:
                y = inner.evaluated(below, attrs)
                if y is None:
                    return None
                value = Value(y, inner.aval)
            mark = None
            if moved or not new:
                mark = number(op, inputs, attrs)
                if step.flat or mark in tape.known:
                    return None
            place: Any = _new(Place, inner.line)
            place.calls = inner.calls
            node = Node(op, below, attrs, (value,), place)
            recorder.nodes.append(node)
            if lazy:
                value.stand_for(node)  # type: ignore[attr-defined]
            if inner.fails:
                recorder._mark(value)
            if step.flat:
                made.append(value)
                self.fresh.append(True)
                self._advance(0)
                return Tracer(recorder, value)
            out = Value(Tracer(recorder, value))
            tape.nodes.append(Node(op, inputs, attrs, (out,), place))
            if step.number:
                tape.numbers.add(out)
            if mark is not None:
                tape.known[mark] = out
        made.append(out)
        self.fresh.append(inner is not None)
        self.at += 1
        if self.at == len(self.steps):
            self.at = self._missed = 0
        return Tracer(tape, out)

    def _advance(self, missed: int = 1) -> None:
        self._missed += missed
        self.at += 1
        if self.at == len(self.steps):
            self.at = 0
            if 2 * self._missed > len(self.steps):
                self._lose()  # most of it was not as expected after all
            self._missed = 0

    def _lose(self) -> None:
        """Expect nothing; look for a longer period next where this one has not held for long."""
        short = len(self.made) - self._begun < 4 * self._look
        self._look = min(2 * self._look, 4 * LONGEST) if short else FIRST
        self.steps = []
        self.at = self._missed = 0
        self._log = []

    # --- what repeats -----------------------------------------------------------------------------
    def _search(self) -> None:
        """Expect what has repeated up to now; look again later if nothing has."""
        log = self._log
        period = _period(log)
        if period:
            steps = self._period_of(period)
            if 2 * sum(step.operands is not None for step in steps) > period:
                self.steps, self._log = steps, []
                self.at = self._missed = 0
                self._begun = len(self.made)
                return
        if len(log) > 4 * LONGEST:
            self._log = []
        self._look = min(2 * self._look, 4 * LONGEST)

    def _period_of(self, period: int) -> list[Step]:
        """Make the steps of the last period, by what it has in common with the one before."""
        log = self._log
        start = len(self.made) - len(log)
        place: dict[Any, int] = {}
        for k, noted in enumerate(log):
            if noted.result is not None and (noted.fresh or noted.node is not None):
                place.setdefault(noted.result, k + start)
        return [
            self._step(k + start, log[k], log[k - period], period, place)
            for k in range(len(log) - period, len(log))
        ]

    def _step(self, at: int, now: Noted, last: Noted, period: int, place: dict[Any, int]) -> Step:
        """Make what is expected of two trips of an operation, which was number `at`."""
        step = Step(now.op, now.attrs)
        tape = self.tape
        if type(now.op) is not Op or now.result is None or last.result is None:
            return step
        step.number = type(now.result) is Value and now.result in tape.numbers
        if step.number and (now.op.name == "divide" or now.op.integers in _RAISING):
            return step
        if len(now.inputs) != len(last.inputs):
            return step
        operands = [
            _given(now, last, k) if type(a) is np.ndarray else _operand(a, b, at, period, place)
            for k, (a, b) in enumerate(zip(now.inputs, last.inputs, strict=True))
        ]
        if any(d is None for d in operands) or not _alike(now, last):
            return step
        if now.fresh != last.fresh or (now.node is None) != (last.node is None):
            return step
        if now.node is not None:
            step.flat = not now.fresh
            step.inner = _inner(now)
            if step.inner is None:
                return step
        elif now.fresh:
            return step
        else:  # an operation that was recorded before
            step.result = _operand(now.result, last.result, at, period, place)
            numbers = any(type(d) is type or type(d) is Given for d in operands)
            if step.result is None or numbers or _agreed(step, last.attrs) is not step.attrs:
                return step
        step.operands = operands
        return step


def _alike(a: Noted, b: Noted) -> bool:
    if INDEXED.get(a.op) == len(a.inputs):
        return True  # `_agreed` compares the indices
    return (a.attrs is OPERATOR) == (b.attrs is OPERATOR) and key_of(a.attrs) == key_of(b.attrs)


def key_of(attrs: dict[str, Any]) -> Any:
    """Return what tells attributes apart."""
    return tuple([(name, key(x)) for name, x in attrs.items()])


def _agreed(step: Step, attrs: dict[str, Any]) -> dict[str, Any] | None:
    """Return the attributes of an expected operation; None where it is another one.

    Those of the step itself if they are the same, others if integers of an index differ.
    """
    mine = step.attrs
    if attrs is OPERATOR or mine is OPERATOR or len(attrs) != len(mine):
        return mine if attrs is mine else None
    found = mine
    for name, x in attrs.items():
        y = mine.get(name)
        if x is y:
            if x is None and name not in mine:
                return None
            continue
        kind = type(x)
        if kind is not type(y):
            return None
        if kind in _SIMPLE:
            if x != y:
                return None
        elif key(x) != key(y):
            if step.inner is None or not _moves(step, x, y):
                return None
            found = attrs
    return found


def _moves(step: Step, x: Any, y: Any) -> bool:
    """Whether index templates differ in integers only."""
    operands = step.operands
    if operands is None or INDEXED.get(step.op) != len(operands):
        return False
    if type(x) is not tuple or len(x) != len(y):
        return False
    return _INT.issuperset(map(type, x)) and _INT.issuperset(map(type, y))


def _operand(a: Any, b: Any, at: int, period: int, place: dict[Any, int]) -> Any:
    """Say what an operand is in every trip, of what it was in two; None if nothing is known."""
    if not isinstance(a, Value):
        if type(a) in PLAIN or isinstance(a, np.generic):
            return type(a) if type(a) is type(b) else None
        return a if type(a) is Const and a is b else None
    if a is b:
        return a
    if not isinstance(b, Value):
        return None
    i, j = place.get(a), place.get(b)
    if i is None or j is None or at - i != at - period - j:
        return None
    return at - i


def _given(now: Noted, last: Noted, k: int) -> Given | None:
    """Say what a plain array is as an operand in every trip."""
    a, b = now.inputs[k], last.inputs[k]
    if type(b) is not np.ndarray or a.shape != b.shape or a.dtype != b.dtype:
        return None
    if now.node is None or now.taken is None or type(now.node.inputs[k]) is not Const:
        return None
    return Given(a.shape, a.dtype, type(now.taken.inputs[k]) is Tracer)


def _inner(noted: Noted) -> Inner | None:
    """Say what the recorder below is to append; None where that takes more than one node."""
    node, result = noted.node, noted.result
    if node is None or node.op is not noted.op or len(node.outputs) != 1:
        return None
    value = node.outputs[0]
    below = result.data
    if noted.fresh:  # on the tape
        if type(below) is not Tracer or below._var is not value:
            return None
    elif result is not value:
        return None
    if len(node.inputs) != len(noted.inputs) or type(node.line) is not Place:
        return None
    op = node.op
    place, calls = (node.line[0], node.line[1]), node.line.calls
    fails = may_fail(op, node.inputs)
    if type(value) is LazyValue:
        kind = np.ndarray if value.is_array else None
        return Inner(place, calls, kind, (), None, fails, None, value.aval, lazy=True)
    if type(value) is not Value:
        return None
    y = value.data
    weak = any(x.aval.weak if isinstance(x, Value) else type(x) in PLAIN for x in node.inputs)
    if type(y) in PLAIN or (y is not None and value.aval.weak):
        return None
    whole = isinstance(y, np.ndarray)
    evaluate = op.evaluate if op.by_kind or not weak else functools.partial(_applied, op)
    return Inner(
        place, calls, type(y), y.shape if whole else (), y.dtype if whole else None, fails,
        evaluate, value.aval, lazy=False,
    )  # fmt: skip


def _applied(op: Op, *values: Any, **attrs: Any) -> Any:
    return applied(op, values, attrs, False)


def _is_calm(recorder: Any) -> bool:
    """Whether nothing has changed that decides how an operation is recorded."""
    if recorder.pulled is not None or not recorder.alive or alarm.errors is None:
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


def _period(log: Sequence[Noted]) -> int:
    """Return the period with which the operations have repeated up to the last one; 0 if none.

    Of several, the one that has held for longest, so that a loop in a loop is no end of it.
    """
    names: dict[int, int] = {}
    marks = np.array([names.setdefault(id(x.op), len(names)) for x in log])
    n = len(marks)
    best, found = 0, 0
    candidates = n - 1 - np.flatnonzero(marks[:-1] == marks[-1])[::-1]
    tried = 0
    for p in candidates.tolist():
        if 3 * p > n or p > LONGEST or tried > 256:
            break
        if not np.array_equal(marks[n - min(p, 32) :], marks[n - min(p, 32) - p : n - p]):
            continue
        tried += 1
        differ = np.flatnonzero(marks[p:] != marks[:-p])
        length = n - p - (int(differ[-1]) + 1 if differ.size else 0)
        if length >= 2 * p and length + p > 1.1 * found:
            best, found = p, length + p
    return best
