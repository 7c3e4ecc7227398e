"""Recording of what is compiled: every operation, with the guards under which the record holds."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import FrameType
from typing import Any

import numpy as np

from wengert.errors import (
    LeakedTracerError,
    MutationError,
    heed_warnings,
    is_users,
    user_line,
)
from wengert.follow.rewrite import original
from wengert.ir.build import applied
from wengert.ir.graph import Const, Graph, Guard, Node, Place, Value, aval_of
from wengert.ir.questions import QUESTIONS, RAISES
from wengert.ops.base import Op, RegionOp
from wengert.ops.convert import convert
from wengert.trace.active import ACTIVE
from wengert.trace.alarm import Alarm
from wengert.trace.capture import (
    COPY_BYTES,
    READING,
    checksum,
    duplicate,
    memory_of,
    note_read,
)
from wengert.trace.folding import Fold
from wengert.trace.lazy import LARGE, LazyValue, Store, apart, is_array, lazy_aval, may_fail
from wengert.trace.numbering import number
from wengert.trace.numbers import (
    NUMBERS,
    are_numbers,
    by_operator,
)
from wengert.trace.places import Calls
from wengert.trace.reachable import is_unreachable
from wengert.trace.record import Trace
from wengert.trace.taped import waiting
from wengert.trace.tracer import OPERATOR, Tracer
from wengert.trace.trail import RecorderTrail, Trail

__all__ = ["GraphRecorder", "OuterValueError", "active_recorder"]


def active_recorder() -> GraphRecorder | None:
    """Return the innermost recorder of graphs at work in this thread."""
    recorders: list[GraphRecorder] = ACTIVE.recorders
    return recorders[-1] if recorders else None


class OuterValueError(LeakedTracerError):
    """A recorded function closes over a value of an enclosing trace, so it cannot be compiled."""


def _at_work() -> list[Any]:
    """Return ``(code, offset)`` of the instructions of the user's code that are being executed."""
    found = []
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if is_users(frame.f_code.co_filename):
            found.append(original(frame.f_code, frame.f_lasti))
        frame = frame.f_back
    return found


class GraphRecorder(Trace):
    """The record that is compiled: every operation, and a guard for each decision of Python.

    Attributes
    ----------
    store : Store
        The large arrays that were computed.
    checks : bool
        Whether operators of Python numbers are followed by what they hold under (`trace.numbers`).
    custom : bool
        Whether a function with a derivative of its own was met. The record holds what it computes,
        so derivatives must not be read off it.
    laid : bool
        Whether something was decided by the layout of memory: the record then holds for arguments
        that are laid out like those that it was made with.
    sites : dict or None
        For the memory of each plain array: the instructions of the user's code that were at work
        when it became an operand. None where nobody asks.
    rolls : object
        From when on the loops of what is recorded are rolled (`wengert.rolling.limits.Limits`).
    folds : bool
        Whether a loop that a traced value ends may become one operation.
    unfolded : dict
        For each loop that could not: how often that was tried.
    shared : list
        Arrays that go into and come out of such loops (`wengert.trace.trips.shared`): if they are
        updated in place later on, other names of them are to change, too.
    taken_in : callable or None
        Writes a loop that was taken in while it ran (`wengert.trace.repeated.Loop`) as a graph;
        None where loops are recorded trip by trip.
    rerolled : bool
        Whether that was done already, so that what was recorded trip by trip is left over.
    notes : list
        What was decided while recording, for those who look at the result.
    provenance : Place or None
        While a derivative is recorded: the operation whose cotangent is being carried back, or
        whose tangent is pushed forward.
    replayed : Place or None
        While the operations of a graph are applied again: that of the one being applied.
    """

    def __init__(self, checks: bool = True, bound: int | None = None) -> None:
        super().__init__()
        self.store = Store(self.content, bound)
        self.checks = checks
        self.nodes: list[Node] = []
        self.guards: list[Guard] = []
        self.consts: dict[int, tuple[np.ndarray[Any, Any], Const, Any]] = {}
        self.entries: dict[int, tuple[np.ndarray[Any, Any], Const, Any]] = {}
        self.custom = False
        self.laid = False
        self.sites: dict[int, set[Any]] | None = None
        self.rolls: Any = None
        self.taken_in: Any = None
        self.rerolled = False
        self.provenance: Place | None = None
        self.replayed: Place | None = None
        self.folds = False
        self.unfolded: dict[Any, int] = {}
        self.shared: list[Any] = []
        self.calls = Calls()
        self.known: dict[Any, Value | tuple[Value, ...]] = {}
        self.notes: list[Any] = []
        self.alarm = Alarm()
        self.trail: Trail | Fold | None = None
        if type(self) is GraphRecorder and bound is None:
            self.trail = RecorderTrail(self, self)

    def __enter__(self) -> GraphRecorder:
        """Begin recording."""
        ACTIVE.recorders.append(self)
        frame = sys._getframe(1)
        while frame.f_code.co_name == "__enter__" and frame.f_back is not None:
            frame = frame.f_back
        self.alarm.start(frame)
        self.calls.start(frame)
        heed_warnings()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """End recording: values of this recorder cannot be used any more."""
        if type(self.trail) is Fold:
            self.trail.drop()
        ACTIVE.recorders.pop()
        self.alarm.stop(error)
        self.calls.stop()
        self.alive = False
        self.trail = None

    def constant(self, x: np.ndarray[Any, Any]) -> Tracer:
        """Return a traced value that stands for the present content of a plain array."""
        return Tracer(self, self.refer(x))

    def input(self, x: Any) -> Tracer:
        """Make an input of the graph with an example value."""
        return Tracer(self, Value(x))

    def lift(self, x: Any) -> Tracer:
        """Make a constant into a value of this trace."""
        if not isinstance(x, np.ndarray):
            x = np.asarray(x)
        private = x.copy(order="K")
        out = Value(private)
        self.nodes.append(
            Node(convert, (Const(private, fixed=True),), {"dtype": x.dtype}, (out,), self._place())
        )
        return Tracer(self, out)

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Append a node and evaluate it, or find the earlier one that computes the same."""
        if not self.alive:
            raise self.leaked()
        if self.trail is not None:
            if self.provenance is None:
                return self.trail.process(op, args, attrs)
            self.settle()
        if type(op) is not Op and getattr(op, "inline", False):
            self.custom = True
            return op.evaluate(*args, **attrs)
        inputs: list[Any] = []
        for a in args:
            kind = type(a)
            if kind is Tracer:
                if a._view is not None:
                    a._refresh()
                if a._trace is not self:
                    raise self.outer(a)
                var = a._var
                if type(var) is Const:
                    self._as_seen(var)
                inputs.append(var)
            elif kind is np.ndarray:
                inputs.append(self.refer(a))
            else:
                inputs.append(a)
        mark = number(op, inputs, attrs)
        made = self.known.get(mark)
        if made is None:
            made = self._evaluated(op, inputs, attrs)
            if mark is not None and type(made) not in NUMBERS:
                self.known[mark] = made
        if type(made) is tuple:
            return tuple([Tracer(self, v) for v in made])
        return made if type(made) in NUMBERS else Tracer(self, made)

    # --- what Python's operators on Python numbers are recorded with ---
    def append(self, op: Op, inputs: Sequence[Any], y: Any) -> Value:
        """Append the node of an operator of Python, which made `y`."""
        value = Value(y)
        self.nodes.append(Node(op, tuple(inputs), OPERATOR, (value,), self._place()))
        return value

    def value(self, op: Any, *inputs: Any, **attrs: Any) -> Any:
        """Record a function of NumPy applied to values."""
        y = op(*[Tracer(self, x) if isinstance(x, Value) else x for x in inputs], **attrs)
        return y._var if type(y) is Tracer else y

    def asks(self, question: Any, *inputs: Any) -> bool:
        """Ask something of values, as a guard."""
        y = self.value(question, *inputs)
        return bool(self.concrete(y, "bool") if isinstance(y, Value) else y)

    def content(self, x: Any) -> Any:
        """Return the concrete value of an operand, with the content that it was recorded with."""
        if type(x) is Const and id(x) in self.entries:
            self._as_seen(x)
        return x.data if isinstance(x, (Value, Const)) else x

    def shape(self, var: Any) -> tuple[int, ...]:
        """Return the shape that the user sees."""
        return var.shape if type(var) is LazyValue else super().shape(var)

    def holds_array(self, var: Any) -> bool:
        """Whether a value without axes is an array in NumPy, updated in place, and no scalar."""
        if type(var) is LazyValue:
            return var.is_array or bool(var.shape)
        return super().holds_array(var)

    def _place(self) -> tuple[str, int] | None:
        """Return the user's line that a node made now stands for."""
        if self.provenance is not None:
            return self.provenance
        return self.calls.here() if self.replayed is None else self.replayed.copy()

    def _evaluated(self, op: Op, inputs: list[Any], attrs: dict[str, Any]) -> Any:
        """Evaluate an operation and append its node; return its value, or a tuple of values."""
        self.alarm.look()
        aval = lazy_aval(op, inputs, attrs)
        if aval is not None:
            array = not aval.shape and is_array(op, inputs, attrs)
            lazy = LazyValue(aval, self, is_array=array)
            node = Node(op, tuple(inputs), attrs, (lazy,), self._place())
            lazy.stand_for(node)
            self.nodes.append(node)
            if may_fail(op, inputs):
                self._mark(lazy)
            return lazy
        if type(op) is RegionOp:  # a loop may take long
            return waiting(self, op, inputs, attrs)
        if attrs is OPERATOR and are_numbers(inputs):
            return by_operator(self, op, inputs)
        values = [x.data if isinstance(x, (Value, Const)) else x for x in inputs]
        try:
            y = applied(op, values, attrs, False)
        except Exception:
            self.alarm.failed(op, inputs, attrs)
            raise
        several = type(y) is tuple
        outputs = tuple(
            [self._value_of(part, k) for k, part in enumerate(y)]
            if several
            else [self._value_of(y, None)]
        )
        node = Node(op, tuple(inputs), attrs, outputs, self._place())
        for v in outputs:
            if type(v) is LazyValue:
                v.stand_for(node)
        self.nodes.append(node)
        if may_fail(op, inputs):
            self._mark(outputs[0])
        return outputs if several else outputs[0]

    def _mark(self, value: Value) -> None:
        """Note that a value was computed without an exception, which a run may raise."""
        if self.alarm.is_covered():
            self.guards.append(Guard(value, "done", None, len(self.nodes)))
        elif (
            self.checks and self.provenance is None
        ):  # what only a derivative does is not the user's
            self.guards.append(Guard(value, RAISES, None, len(self.nodes)))

    def _value_of(self, y: Any, part: int | None) -> Value:
        """Make the value of what was computed; one that may be let go where memory is bounded."""
        if self.store.bound is None:
            return Value(y)
        if type(y) is not np.ndarray or y.nbytes < LARGE:
            return Value(apart(y))
        made = LazyValue(aval_of(y), self, part)
        made.keep(y)
        return made

    @staticmethod
    def outer(a: Any) -> LeakedTracerError:
        """Make the error for a value of another trace."""
        if not a._trace.alive:
            ended: Trace = a._trace
            return ended.leaked()
        return OuterValueError(
            "a function under jit closes over a value that an enclosing transformation traces; "
            "pass it as an argument" + user_line()
        )

    def refer(self, x: np.ndarray[Any, Any]) -> Const:
        """Refer to a plain array; a change since it was last seen makes another constant."""
        if self.sites is not None:
            self.sites.setdefault(memory_of(x), set()).update(_at_work())
        found = self.consts.get(id(x))
        if found is not None:
            if self._unchanged(found):
                return found[1]
            self._settle(found)
        const = Const(x)
        mark = duplicate(x) if x.nbytes <= COPY_BYTES else checksum(x)
        self.consts[id(x)] = self.entries[id(const)] = (x, const, mark)
        return const

    def _as_seen(self, const: Const) -> None:
        """Make sure that a constant has the content that its array had when it was referred to."""
        entry = self.entries[id(const)]
        if const.data is entry[0] and not self._unchanged(entry):
            self._settle(entry)

    @staticmethod
    def _unchanged(entry: tuple[np.ndarray[Any, Any], Const, Any]) -> bool:
        x, _, mark = entry
        if isinstance(mark, np.ndarray):
            return mark.tobytes() == x.tobytes()
        return bool(checksum(x) == mark)

    @staticmethod
    def _settle(entry: tuple[np.ndarray[Any, Any], Const, Any]) -> None:
        """Give a constant the content that the array had when it was used."""
        x, const, mark = entry
        if not isinstance(mark, np.ndarray):
            raise MutationError(
                f"a plain array of shape {x.shape} was changed in place while the function was "
                f"traced under jit. Write w = w * 0.5 instead of w *= 0.5." + user_line()
            )
        const.data = mark
        const.fixed = True

    def concrete(self, var: Any, kind: str) -> Any:
        """Return the plain value and record a guard for it."""
        if type(var) is Const:
            if READING.sets:
                note_read(var.data)
            return QUESTIONS[kind].ask(var.data)
        data = var.data
        try:
            outcome = QUESTIONS[kind].ask(data)
        except (ValueError, OverflowError) as error:  # of NaN, of infinity
            if not var.shape:
                self.alarm.refused("raised", error)
            raise
        self.guards.append(Guard(var, kind, outcome, len(self.nodes)))
        return outcome

    def finish(self, inputs: list[Tracer], outputs: list[Any]) -> Graph:
        """End recording and return the graph.

        Parameters
        ----------
        inputs : list of Tracer
            As made by `input`, in order.
        outputs : list
            Traced values, arrays or scalars.
        """
        self.settle()
        self.trail = None  # which refers to arrays that nothing else may refer to
        for entry in self.consts.values():
            if not self._unchanged(entry):
                self._settle(entry)
        for entry in self.entries.values():
            if is_unreachable(entry):
                entry[1].fixed = True
        made = []
        for y in outputs:
            if isinstance(y, Tracer):
                y._refresh()
                if y._trace is not self:
                    raise self.outer(y)
                made.append(y._var)
            else:
                made.append(Const(y) if isinstance(y, np.ndarray) else y)
        self.alive = False
        return Graph([t._var for t in inputs], self.nodes, made, self.guards)

    def settle(self) -> None:
        """Record what a fold has taken in."""
        if type(self.trail) is Fold:
            self.trail.close()

    def forget(self) -> None:
        """Let go of what was recorded, which values refer to in a circle, once it is of no use."""
        self.nodes, self.guards, self.known = [], [], {}
