"""Ordinary loops that traced values end, as operations: `while`, and `for` with `break`.

Under `jit`, followed code asks at the head of such a loop (`follow.loops`) whether it is to be run
otherwise. A trip is recorded for all outcomes of the decisions in it (`trace.trips`), by code that
refuses what may have an effect (`trace.python.pure`); so the recording is what every trip does. It
becomes one `while_loop`. What a path does that was refused, or that raises, is left to Python: the
loop ends there, a guard after it asks, and the recording for that outcome is made trip by trip.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import FrameType, FunctionType
from typing import Any

import numpy as np
import optree

from wengert import trees
from wengert.follow.loops import AGAIN, ASK, ITEM, MORE, RETURNED, Loop
from wengert.ir.graph import Aval, Graph, Value
from wengert.ops import loops
from wengert.ops.base import Traced, dtype_of, shape_of
from wengert.ops.control import as_number
from wengert.trace import memory, views
from wengert.trace.active import ACTIVE
from wengert.trace.fresh import is_fresh
from wengert.trace.layout import is_c
from wengert.trace.numbers import NUMBERS, as_python, holds, number_type
from wengert.trace.region import example
from wengert.trace.tracer import Tracer
from wengert.trace.trips import Path, RefusedError, TripRecorder, explored, shared
from wengert.transform.trip_graphs import BAIL, Carried, Slot, TripWriter, fingerprint

__all__ = ["answer"]

TRIES = 3
"""How often in a recording it is tried to make an operation of a loop."""

_INT = np.dtype(np.int64)


def answer(loop: Loop, iterator: Any, frame: FrameType) -> tuple[Any, ...] | None:
    """Run a loop as one operation, where that is what Python would do.

    Returns
    -------
    tuple or None
        What the names of ``loop.stored`` are after the loop, and the number of the exit. None where
        Python is to go on.
    """
    recorders = ACTIVE.recorders
    if not recorders or not recorders[-1].folds:
        return None
    recorder = recorders[-1]
    tried = recorder.unfolded.get(loop, 0)
    if tried >= TRIES or recorder.alarm.hears():
        return None
    try:
        return _Folded(loop, iterator, frame, recorder).run()
    except Exception as error:
        recorder.unfolded[loop] = tried + (TRIES if isinstance(error, NotDecidedError) else 1)
        WHY.append(error)
        del WHY[:-8]
        return None


class NotDecidedError(RefusedError):
    """No traced value decides when a loop ends."""


WHY: list[Exception] = []
"""Why the last loops were left to Python."""

ASK[:] = [answer]


class _Folded:
    """One loop, at its head."""

    def __init__(self, loop: Loop, iterator: Any, frame: FrameType, recorder: Any) -> None:
        self.loop, self.recorder = loop, recorder
        self.scope = dict(frame.f_locals)
        self.globals = frame.f_globals
        self.slots: dict[str, Slot] = {}
        self.still: dict[str, Any] = {}
        self.late = sorted(n for n in loop.carried if n not in self.scope)
        self.promoted: set[str] = set()
        for name in sorted(loop.carried - set(self.late)):
            self._hold(name, self.scope[name])
        self.items: range | None = None
        if loop.is_for:
            self.items = _rest(iterator)
            self.slots[MORE] = Slot(Aval((), _INT), None, np.int64(0))
        self.names = list(self.slots)
        self.bound_late: list[Slot] = []
        self.made: list[Slot] = []
        self.spec: Any = None

    def _hold(self, name: str, x: Any) -> None:
        if isinstance(x, Tracer):
            x._refresh()
        if isinstance(x, (Tracer, np.ndarray, np.generic)) or type(x) in NUMBERS:
            kind = number_type(x)
            if dtype_of(x).kind not in "fciub":
                raise RefusedError(f"{name} is of dtype {dtype_of(x)}")
            if kind is int and not isinstance(x, Tracer) and abs(x) > 2**62:
                raise RefusedError(f"{name} is too large")
            self.slots[name] = Slot(Aval(tuple(shape_of(x)), dtype_of(x)), kind, x)
        else:
            self.still[name] = x

    # --- recording --------------------------------------------------------------------------------
    def _examples(self) -> list[Any]:
        found = []
        for slot in self.slots.values():
            x = example(slot.start)
            found.append(x if slot.number is None else slot.number(x))
        return found

    def _run(self, recorder: TripRecorder, inputs: list[Tracer]) -> Any:
        """Run a trip; return its exit and what is carried, as values of the recorder."""
        given = dict(zip(self.names, inputs, strict=True))
        scope, at, after = {**self.scope, **given}, None, None
        if self.items is not None:
            at = given[MORE]
            scope[MORE] = at < len(self.items)
            scope[ITEM] = as_number(at * self.items.step + self.items.start)
            after = at + 1
        trip = self.loop.trip(self.scope)
        f = FunctionType(trip.code, self.globals)
        k, bound = f(**{name: scope[name] for name in trip.names})
        if self.items is not None:
            bound[MORE] = after if k == AGAIN else at
        if any(bound[name] is not x for name, x in self.still.items()):
            raise RefusedError("a name stands for something else in each trip")
        outputs = [self._output(recorder, bound[n], s, n) for n, s in self.slots.items()]
        self._are_apart([bound[n] for n in (*self.slots, *self.late) if n in bound])
        late = [self._left(recorder, bound[n]) if n in bound else None for n in self.late]
        if k == AGAIN:
            if None in late:
                raise RefusedError("a name that only some trips bind")
            return k, outputs, None, late
        names = sorted(self.loop.made)
        form = [bound[n] for n in names]
        if k == len(self.loop.exits):
            form = [bound[RETURNED]]
        leaves, spec = trees.flattened(form)
        return k, outputs, (spec, [self._left(recorder, y) for y in leaves]), late

    def _are_apart(self, ys: list[Any]) -> None:
        """Refuse two names of one array, of which a later update in place would change both."""
        arrays = [y for y in ys if isinstance(y, (Tracer, np.ndarray)) and shape_of(y)]
        roots = [views.root(y) if isinstance(y, Tracer) else y for y in arrays]
        if len({id(x) for x in roots}) < len(roots):
            raise RefusedError("two names of one array")

    def _output(self, recorder: TripRecorder, y: Any, slot: Slot, name: str) -> Any:
        made, aval, number = self._left(recorder, y)
        if (aval, number) != (slot.aval, slot.number):
            if aval == slot.aval and number is None:
                self.promoted.add(name)
            raise RefusedError(f"{name} is {aval} {number} after a trip, {slot} before")
        return made

    def _left(self, recorder: TripRecorder, y: Any) -> tuple[Any, Aval, type | None]:
        if not isinstance(y, (Tracer, np.ndarray, np.generic)) and type(y) not in NUMBERS:
            raise RefusedError(f"{type(y).__name__} comes out of a trip")
        number = number_type(y)
        if dtype_of(y).kind not in "fciub":
            raise RefusedError("a dtype")
        if len(shape_of(y)) > 1 and not _is_in_order(y):
            raise RefusedError("an array in another order of memory")
        aval = Aval(tuple(shape_of(y)), dtype_of(y))
        return recorder.output(y), aval, number

    # --- the operation ----------------------------------------------------------------------------
    def run(self) -> tuple[Any, ...]:
        """Make the operation, and return what the names are after it."""
        paths = self._paths()
        again = [p for p in paths if p.end is not None and p.end[0] == AGAIN]
        ends = [p for p in paths if p.end is not None and p.end[0] != AGAIN]
        if not again or not ends:
            raise NotDecidedError("no trip goes on, or none ends")
        self._take_late(again, ends)
        self._left_behind(ends)
        exits = sorted({p.end[0] for p in ends if p.end is not None})
        promoted = sorted(self.promoted)
        carried = Carried(self.slots, self.made, self.bound_late, promoted)
        writer = TripWriter(carried, paths, exits)
        captured, test, body, coded = writer.graphs()
        if not _is_decided(test, body, captured, [s.start for s in self.slots.values()]):
            raise NotDecidedError("no traced value decides")
        consts = [x for x, _, _ in captured]
        starts = [_start(s) for s in self.slots.values()]
        starts += [_zeros(s.aval) for s in (*self.made, *self.bound_late)]
        starts += [np.bool(False)] * len(promoted) + [np.int64(0)] * coded
        ys = loops.while_loop(*consts, *starts, test=test, body=body, consts=len(consts))
        *ys, trips = ys
        least = writer.least()
        if least:
            self._ask(np.greater_equal(trips, least))
        heads = {h.end[0] for h in writer.heads if h.end is not None}
        exits.sort(key=heads.__contains__)  # the code stays 0 where the test at the head ends it
        chosen = self._exit(ys.pop(), exits) if coded else exits[-1]
        for _ in promoted:
            is_bound = ys.pop()
            if not _differs(is_bound):  # in a batch no number is one of Python's
                self._ask(is_bound)
        self._watch(ys)
        return self._after(ys, chosen)

    def _watch(self, ys: list[Any]) -> None:
        """Note arrays that have other names, or would have in a loop without trips."""
        seen: Any = self.recorder
        for x in (*[s.start for s in self.slots.values()], *ys):
            if isinstance(x, (Tracer, np.ndarray)) and shape_of(x):
                seen.shared.append(shared(x))

    def _paths(self) -> list[Path]:
        """Record a trip; again where numbers of Python become others in the first one.

        ``t = 0.0`` before a loop that adds NumPy's scalars is a number of Python in its first trip
        only. Where that makes no difference to what is computed, it is one of NumPy's from the
        start, and a loop without trips is left to Python.
        """
        paths = explored(self._run, self._examples())
        while self.promoted:
            before = [fingerprint(p) for p in paths]
            for name in self.promoted:
                self.slots[name] = self.slots[name]._replace(number=None)
            known, self.promoted = self.promoted, set()
            paths = explored(self._run, self._examples())
            if [fingerprint(p) for p in paths] != before:
                raise RefusedError("a number that becomes another kind of number")
            if not self.promoted:
                self.promoted = known
                break
            self.promoted |= known
        return paths

    def _take_late(self, again: list[Path], ends: list[Path]) -> None:
        """Take the form of names that are not bound before the first trip."""
        for k, name in enumerate(self.late):
            found = {p.end[3][k][1:] for p in (*again, *ends) if p.end and p.end[3][k] is not None}
            if len(found) != 1:
                raise RefusedError(f"{name} is something else in each trip")
            aval, number = found.pop()
            self.bound_late.append(Slot(aval, number, None))

    def _ask(self, condition: Any) -> None:
        """Ask what has to hold, or leave the loop to Python."""
        if isinstance(self.recorder, TripRecorder):
            self.recorder.holds(condition)
        elif not holds(condition):
            raise RefusedError("trips that Python makes")

    def _left_behind(self, ends: list[Path]) -> None:
        """Take the form of what is bound only after the loop; another one is left to Python."""
        for p in ends:
            assert p.end is not None
            spec, leaves = p.end[2]
            if p.end[0] == len(self.loop.exits) and self.loop.made:
                raise RefusedError("a loop that returns, or binds what is read after it")
            form = spec, [(aval, number) for _, aval, number in leaves]
            if self.spec is None:
                self.spec = form
                self.made = [Slot(aval, number, None) for aval, number in form[1]]
            elif self.spec != form and leaves:
                raise RefusedError("exits that leave something else")

    def _exit(self, code: Any, exits: Sequence[int]) -> int:
        self._ask(np.not_equal(code, BAIL))
        for k in exits[:-1]:
            if holds(np.equal(code, k + 1)):
                return k
        return exits[-1]

    def _after(self, ys: list[Any], chosen: int) -> tuple[Any, ...]:
        found = dict(self.still)
        for (name, slot), y in zip(self.slots.items(), ys, strict=False):
            found[name] = y if slot.number is None else as_python(y)
        left = [
            y if s.number is None else as_python(y)
            for y, s in zip(ys[len(self.slots) :], (*self.made, *self.bound_late), strict=True)
        ]
        leaves = left[: len(self.made)]
        found.update(zip(self.late, left[len(self.made) :], strict=True))
        names = sorted(self.loop.made)
        found.update(dict.fromkeys(names))
        found[RETURNED] = None
        if self.spec is not None:
            form = optree.tree_unflatten(self.spec[0], leaves)
            if chosen == len(self.loop.exits):
                found[RETURNED] = form[0]
            else:
                found.update(zip(names, form, strict=True))
        return (*[found[name] for name in self.loop.stored], chosen)


def _differs(x: Any) -> bool:
    """Whether a value differs along a batch."""
    while isinstance(x, Tracer):
        if getattr(x._var, "batched", False):
            return True
        x = x._var.data
    return False


def _start(slot: Slot) -> Any:
    x = slot.start
    if is_fresh(x):
        return np.array(x._var.data)[()]
    if isinstance(x, Traced):
        return trees.frozen(x)
    return np.array(x)[()] if slot.number is None else slot.aval.dtype.type(x)


def _zeros(aval: Aval) -> Any:
    return np.zeros(aval.shape, aval.dtype)[()]


def _rest(iterator: Any) -> range:
    """Return what is left of an iterator over a range."""
    if type(iterator) is not type(iter(range(0))):
        raise NotDecidedError("a loop over something else than a range")
    made: Any = iterator.__reduce__()
    items: range = made[1][0]
    return items[made[2] or 0 :] if len(made) > 2 else items


def _is_in_order(y: Any) -> bool:
    """Whether an array lies in memory as the results of an operation do."""
    return is_c(tuple(shape_of(y)), memory.strides(y), dtype_of(y).itemsize)


def _is_decided(test: Graph, body: Graph, captured: Sequence[Any], starts: Sequence[Any]) -> bool:
    """Whether traced values decide how often a loop runs."""
    n = len(captured)
    traced = [isinstance(x, Traced) for x, _, _ in captured]
    traced += [isinstance(x, Traced) for x in starts]
    traced += [False] * (len(body.inputs) - len(traced))
    while True:
        moved = _reached(body, traced)
        more = [a or b for a, b in zip(traced[n:], moved, strict=True)]
        if more == traced[n:]:
            return _reached(test, traced)[0]
        traced[n:] = more


def _reached(graph: Graph, flags: Sequence[bool]) -> list[bool]:
    found = {v for v, f in zip(graph.inputs, flags, strict=True) if f}
    for node in graph.nodes:
        if any(isinstance(x, Value) and x in found for x in node.inputs):
            found.update(node.outputs)
    return [isinstance(y, Value) and y in found for y in graph.outputs]
