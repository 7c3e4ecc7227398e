"""What is expected of the next operation that is recorded, where the last ones repeat.

`period_of` finds after how many operations a recording has repeated itself, `steps_of` says what
the operations of a period have in common with those of the one before: the operation and its
attributes, how far back its operands were made, what it makes, and the user's line.
`wengert.trace.trail` records by that.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.ir.build import PLAIN, applied
from wengert.ir.graph import Const, Node, Place, Value, aval_of
from wengert.ir.keys import key
from wengert.ops.base import Op
from wengert.ops.raising import INDEXED
from wengert.trace.lazy import LazyValue, may_fail
from wengert.trace.tracer import OPERATOR, Tracer

__all__ = [
    "FIRST",
    "LONGEST",
    "Given",
    "Noted",
    "Step",
    "agreed",
    "first_trip",
    "period_of",
    "steps_of",
]

FIRST = 192
"""Operations after which a trail looks for a period first."""

LONGEST = 4096
"""The longest period, in operations."""

_INT = frozenset({int})
_RAISING = frozenset({"divides", "power"})
_FLOATS = frozenset({float, np.float64})
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


def steps_of(log: Sequence[Noted], period: int, numbers: Any) -> list[Step]:
    """Make the steps of the last period, by what it has in common with the one before.

    Parameters
    ----------
    log : sequence of Noted
    period : int
    numbers : set of Value
        Those that stand for numbers of Python.
    """
    place: dict[Any, int] = {}
    for k, noted in enumerate(log):
        if noted.result is not None and (noted.fresh or noted.node is not None):
            place.setdefault(noted.result, k)
    return [
        _step(k, log[k], log[k - period], period, place, numbers)
        for k in range(len(log) - period, len(log))
    ]


def _step(
    at: int, now: Noted, last: Noted, period: int, place: dict[Any, int], numbers: Any
) -> Step:
    """Make what is expected of two trips of an operation, which was number `at`."""
    step = Step(now.op, now.attrs)
    if type(now.op) is not Op or now.result is None or last.result is None:
        return step
    step.number = type(now.result) is Value and now.result in numbers
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
        if now.node.outputs[0].aval != last.node.outputs[0].aval:  # type: ignore[union-attr]
            return step  # which grows from trip to trip
        step.flat = not now.fresh
        step.inner = _inner(now)
        if step.inner is None:
            return step
    elif now.fresh:
        return step
    else:  # an operation that was recorded before
        step.result = _operand(now.result, last.result, at, period, place)
        plain = any(type(d) is type or type(d) is Given for d in operands)
        if step.result is None or plain or agreed(step, last.attrs) is not step.attrs:
            return step
    step.operands = operands
    if INDEXED.get(now.op) == len(now.inputs) and agreed(step, last.attrs) is None:
        step.operands = None  # the part that it reads or writes differs by more than its place
    return step


def _alike(a: Noted, b: Noted) -> bool:
    if INDEXED.get(a.op) == len(a.inputs):
        return True  # `agreed` compares the indices
    return (a.attrs is OPERATOR) == (b.attrs is OPERATOR) and key_of(a.attrs) == key_of(b.attrs)


def first_trip(steps: Sequence[Step], log: Sequence[Noted], phase: int) -> int:
    """Return with which operation of a log trips begin that are all as expected.

    Parameters
    ----------
    steps : sequence of Step
        A trip.
    log : sequence of Noted
        What came before the first of these steps; the last one has number -1.
    phase : int
        The step that a trip is to begin with.

    Returns
    -------
    int
        Its number; not negative where no whole trip is as expected.
    """
    period, n = len(steps), len(log)
    back = 0
    while back < n and _is_as_expected(steps, -back - 1, log, None):
        back += 1
    strict = start = -back + (phase + back) % period
    while start - period >= -n:  # earlier trips may read something else from before the loop
        there = start - period
        for k in range(there, strict):
            if not _is_as_expected(steps, k, log, there):
                return start
        start = there
    return start


def _is_as_expected(
    steps: Sequence[Step], at: int, log: Sequence[Noted], start: int | None
) -> bool:
    """Whether an operation of a log is as expected, but for what was made before a loop's start."""
    step, noted = steps[at % len(steps)], log[at]
    if noted.op is not step.op or step.operands is None or agreed(step, noted.attrs) is None:
        return False
    if len(noted.inputs) != len(step.operands) or noted.result is None:
        return False
    if step.inner is None:
        if type(step.result) is not int:
            return noted.result is step.result
        return noted.node is None and _is_made_by(at - step.result, noted.result, log)
    node = noted.node
    if node is None or noted.fresh is step.flat or node.op is not step.op:
        return False
    if len(node.inputs) != len(noted.inputs) or node.outputs[0].aval != step.inner.aval:
        return False
    return all(
        _is_given(a, below, d)
        if type(d) is not int
        else _is_like(steps, at - d, below)
        if start is not None and at - d < start
        else _is_made_by(at - d, a, log)
        for a, below, d in zip(noted.inputs, node.inputs, step.operands, strict=True)
    )


def _is_made_by(at: int, x: Any, log: Sequence[Noted]) -> bool:
    return at >= -len(log) and log[at].result is x


def _is_given(a: Any, below: Any, d: Any) -> bool:
    """Whether an operand that no trip makes is as expected."""
    if type(d) is not Given:
        return a is d or type(a) is d
    is_array = type(a) is np.ndarray and type(below) is Const
    return bool(is_array and a.shape == d.shape and a.dtype == d.dtype)


def _is_like(steps: Sequence[Step], at: int, x: Any) -> bool:
    """Whether an operand from before a loop is like what an operation of the loop makes."""
    step = steps[at % len(steps)]
    while step.inner is None:
        if type(step.result) is not int:
            return False
        at -= step.result
        step = steps[at % len(steps)]
    if not isinstance(x, (Value, Const)) and type(x) not in _FLOATS:
        return False
    return bool(aval_of(x)[:2] == step.inner.aval[:2])


def key_of(attrs: dict[str, Any]) -> Any:
    """Return what tells attributes apart."""
    return tuple([(name, key(x)) for name, x in attrs.items()])


def agreed(step: Step, attrs: dict[str, Any]) -> dict[str, Any] | None:
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
    if result is not value:  # of the tape above
        below = result.data
        if not noted.fresh or type(below) is not Tracer or below._var is not value:
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


def period_of(log: Sequence[Noted]) -> int:
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
