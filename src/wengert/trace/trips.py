"""Recording one trip of a loop: what it does for each outcome of the decisions in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import noticing
from wengert.follow.functions import STATE
from wengert.ir.graph import Const, Node, Value
from wengert.ops.control import as_number
from wengert.trace import views
from wengert.trace.capture import COPY_BYTES, checksum, duplicate
from wengert.trace.fresh import is_younger, now
from wengert.trace.numbers import NUMBERS, number_type
from wengert.trace.region import RegionRecorder
from wengert.trace.tracer import Tracer

__all__ = ["Path", "RefusedError", "TripRecorder", "explored", "is_touched", "shared"]

MOST = 24
"""How many paths through a trip are recorded."""


class RefusedError(Exception):
    """A loop is not run as one operation."""


class Path:
    """What a trip does for some outcomes of its decisions.

    Attributes
    ----------
    nodes : list of Node
    forks : list of (value, bool, int)
        Each decision: its value, its outcome, and how many nodes there were before it.
    counts : list of int
        For each decision: how much had come from outside before it.
    sure : list of (value, int)
        What has to hold, where Python's operators on its numbers do what NumPy's do.
    fragile : list of Value
        What may raise, when it is computed.
    outside : dict
        What comes from outside: by its identity, itself and the input that stands for it.
    end : object
        What the function of a trip returned; None where it was refused.
    """

    def __init__(self, inputs: list[Tracer], recorder: TripRecorder, end: Any) -> None:
        self.inputs = [t._var for t in inputs]
        self.nodes: list[Node] = recorder.nodes
        self.forks = recorder.forks
        self.counts = recorder.counts
        self.sure = recorder.sure
        self.fragile = recorder.fragile
        self.outside = recorder.outside
        self.end = end

    @property
    def outcomes(self) -> tuple[bool, ...]:
        """The outcomes of the decisions."""
        return tuple(outcome for _, outcome, _ in self.forks)


class TripRecorder(RegionRecorder):
    """Records a trip, with given outcomes of the first decisions in it.

    Parameters
    ----------
    plan : sequence of bool
        The outcomes; further ones are those of the example.
    """

    def __init__(self, plan: Sequence[bool]) -> None:
        super().__init__("a loop")
        self.checks = True
        self.folds = True
        self.plan = plan
        self.forks: list[tuple[Value, bool, int]] = []
        self.counts: list[int] = []
        self.sure: list[tuple[Value, int]] = []
        self.fragile: list[Value] = []
        self._decided: dict[Any, bool] = {}
        self._numbers: dict[Any, Tracer] = {}
        """Of values from outside that stand for numbers of Python: what does so here."""

    def inner(self, a: Tracer) -> Tracer:
        """Return the value of this trip that stands for a traced value."""
        made = super().inner(a)
        if a._trace is self or made is a or number_type(a) is None:
            return made
        found = self._numbers.get(made._var)
        if found is None:
            found = self._numbers[made._var] = as_number(made)
        return found

    def concrete(self, var: Any, kind: str) -> Any:
        """Answer by the plan where a value differs by trip."""
        for strong, weak in self._numbers.items():
            if weak._var is var:
                var = strong
        if type(var) is Const or any(value is var for _, value, _ in self.outside.values()):
            return super().concrete(var, kind)
        if kind != "bool" or var.shape:
            raise RefusedError(f"{kind}() of what differs by trip")
        if var not in self._decided:
            k = len(self.forks)
            found = self.plan[k] if k < len(self.plan) else bool(var.data)
            self._decided[var] = found
            self.forks.append((var, found, len(self.nodes)))
            self.counts.append(len(self.outside))
        return self._decided[var]

    def asks(self, question: Any, *inputs: Any) -> bool:
        """Note what has to hold."""
        y = self.value(question, *inputs)
        if not isinstance(y, Value):
            return bool(y)
        self.sure.append((y, len(self.nodes)))
        return True

    def holds(self, condition: Tracer) -> None:
        """Note what has to hold for a loop in the trip."""
        self.sure.append((self.inner(condition)._var, len(self.nodes)))

    def _mark(self, value: Value) -> None:
        if self.alarm.is_covered():
            raise RefusedError("an operation that may raise, where a handler waits")
        self.fragile.append(value)

    def output(self, y: Any) -> Any:
        """Return what stands in a graph for a result."""
        if isinstance(y, Tracer):
            return self.inner(y)._var
        if isinstance(y, np.ndarray):
            return self.refer(y)
        return np.asarray(y)[()] if type(y) in NUMBERS else y


def explored(
    run: Callable[[TripRecorder, list[Tracer]], Any], examples: Sequence[Any]
) -> list[Path]:
    """Record a trip for all outcomes of the decisions in it.

    Parameters
    ----------
    run : callable
        Runs a trip, given the recorder and the inputs.
    examples : sequence
        Values of the inputs.

    Raises
    ------
    RefusedError
        Where there are too many.
    """
    waiting: list[tuple[bool, ...]] = [()]
    found: list[Path] = []
    while waiting:
        plan = waiting.pop()
        if len(found) == MOST:
            raise RefusedError("too many paths through a trip")
        path = _path(run, examples, plan)
        found.append(path)
        outcomes = path.outcomes
        for k in range(len(plan), len(outcomes)):
            waiting.append((*outcomes[:k], not outcomes[k]))
    return found


def _path(run: Any, examples: Sequence[Any], plan: Sequence[bool]) -> Path:
    recorder = TripRecorder(plan)
    outer, STATE.pure = STATE.pure, True
    end, begun = None, now()
    try:
        with noticing(), recorder, views.watched() as moved, np.errstate(all="ignore"):
            inputs = [recorder.input(x) for x in examples]
            try:
                end = run(recorder, inputs)
            except Exception as error:
                WHY.append(error)
                del WHY[:-8]
            if recorder.refusal is not None or recorder.custom:
                end = None
    finally:
        STATE.pure = outer
    for _, trace, var in moved:
        if trace is not recorder and trace.level < recorder.level and not is_younger(var, begun):
            raise RefusedError("an update in place")
    if len(recorder.forks) < len(plan):
        raise RefusedError("a trip that is not the same again")
    return Path(inputs, recorder, end)


WHY: list[Exception] = []
"""What refused the last paths, for those who look for the reason."""


def shared(x: Any) -> tuple[Any, Any]:
    """Return an array, or the handle that it is a view of, and what tells whether it changes."""
    if isinstance(x, Tracer):
        handle = views.root(x)
        return handle, handle._version
    return x, duplicate(x) if x.nbytes <= COPY_BYTES else checksum(x)


def is_touched(entry: tuple[Any, Any]) -> bool:
    """Whether an array has changed since `shared` returned this."""
    x, mark = entry
    if isinstance(x, Tracer):
        return bool(x._version != mark)
    if isinstance(mark, np.ndarray):
        return bool(mark.tobytes() != x.tobytes())
    return bool(checksum(x) != mark)
