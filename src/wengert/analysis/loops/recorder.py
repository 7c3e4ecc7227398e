"""A recorder that knows in which trip of which loop of the user's each operation is made.

Python runs the loops; the recorder follows the functions that have any, instruction by instruction.
A trip begins where the position of a function moves from a loop's head into it.
Only for reports such as `wengert.cost`: other recordings do not pay for it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Any

import numpy as np

from wengert.analysis.loops.decisions import decided
from wengert.analysis.loops.sites import BODY, TARGET, TEST, Scope, Site, Trail, has_loops, scope_of
from wengert.analysis.loops.steps import Steps
from wengert.errors import is_users, user_frame
from wengert.follow.rewrite import BUSY
from wengert.ir.graph import Graph, Place
from wengert.ops.base import Op, Traced
from wengert.trace.recorder import GraphRecorder

__all__ = ["LoopRecorder", "Trip"]


class Trip:
    """One trip of a loop.

    Attributes
    ----------
    site : Site
        The loop.
    parent : Trip or None
        The trip of the loop around it, in this function or in one that called it.
    """

    __slots__ = ("parent", "site")

    def __init__(self, site: Site, parent: Trip | None) -> None:
        self.site = site
        self.parent = parent


class LoopRecorder(GraphRecorder):
    """Records a graph whose nodes know their trips: `Place.trip` of their lines.

    Attributes
    ----------
    trips : list of Trip
        In the order in which they began, those included in which no operation was made.
    by_values : set of Site
        Loops that a decision on a traced value may have ended.
    decisions : list
        The user's line of each guard.
    watches : bool
        False where loops are not seen, since a debugger or a coverage tool follows the code.
    """

    def __init__(self) -> None:
        self._steps = Steps(self._begun, self._left, self._ignored)
        self._pulled: Place | None = None
        super().__init__(checks=False)
        self.trips: list[Trip] = []
        self.by_values: set[Site] = set()
        self.decisions: list[tuple[str, int] | None] = []
        self.watches = False
        self._root: FrameType | None = None
        self._scopes: dict[int, Scope | None] = {}
        self._plain: dict[int, bool] = {}
        self._kept: list[CodeType] = []  # so that an id stands for one of them
        self._watched: dict[FrameType, _Watch] = {}
        self._asked: dict[tuple[int, int], frozenset[Site]] = {}
        self._reads = False  # sources, whose parser has loops of its own

    def __enter__(self) -> LoopRecorder:
        """Begin recording and watching."""
        super().__enter__()
        self._root = sys._getframe(1)
        self.watches = self._steps.start()
        return self

    def __exit__(self, *error: Any) -> None:
        """End both."""
        self._steps.stop()
        self._root = None
        self._watched.clear()
        super().__exit__(*error)

    def finish(self, inputs: list[Any], outputs: list[Any]) -> Graph:
        """End recording and return the graph."""
        self._watched.clear()  # generators that wait hold arrays, which count as reachable then
        return super().finish(inputs, outputs)

    def concrete(self, var: Any, kind: str) -> Any:
        """Return the plain value, record a guard for it, and note what it decides."""
        before = len(self.guards)
        outcome = super().concrete(var, kind)
        if len(self.guards) > before:
            self.decisions.append(user_frame())
            for frame in self._frames():
                watch = self._watched.get(frame)
                if watch is not None:
                    self.by_values |= self._decided(watch.scope, frame)
        return outcome

    def _decided(self, scope: Scope, frame: FrameType) -> frozenset[Site]:
        key = id(frame.f_code), frame.f_lasti
        found = self._asked.get(key)
        if found is None:
            self._reads = True
            held = {n for n, x in frame.f_locals.items() if isinstance(x, (Traced, np.ndarray))}
            found = self._asked[key] = decided(scope, frame.f_lasti, held)
            self._reads = False
        return found

    @property
    def provenance(self) -> Place | None:
        """While a derivative is recorded: the operation that it is for."""
        return self._pulled

    @provenance.setter
    def provenance(self, place: Place | None) -> None:
        if (place is None) is not (self._pulled is None):  # a derivative runs none of the loops
            self._steps.pause(place is not None)
        self._pulled = place

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Append a node and evaluate it, out of sight."""
        if self._pulled is not None:
            return super().process(op, args, attrs)
        self._steps.pause(True)
        try:
            return super().process(op, args, attrs)
        finally:
            self._steps.pause(False)

    def trip(self) -> Trip | None:
        """Return the innermost trip of the code that runs now."""
        for frame in self._frames():
            watch = self._watched.get(frame)
            if watch is not None:
                return watch.current
        return None

    def _place(self) -> tuple[str, int] | None:
        if self.provenance is not None:
            return self.provenance
        place, trip = super()._place(), self.trip()
        if isinstance(place, Place) and trip is not None:
            place.trip = trip
        return place

    def _frames(self, depth: int = 2) -> Iterator[FrameType]:
        """Iterate over the frames from the caller's to that of the recording."""
        frame: FrameType | None = sys._getframe(depth)
        while frame is not None and frame is not self._root:
            yield frame
            frame = frame.f_back

    def _begun(self, frame: FrameType) -> Callable[[int], None] | None:
        """Follow a function that has begun, or goes on, where it has loops of the user's."""
        code = frame.f_code
        if self._reads or self._pulled is not None or BUSY.on:
            return None
        if id(code) not in self._scopes:
            self._scopes[id(code)] = scope_of(code, frame.f_globals)
        scope = self._scopes[id(code)]
        if scope is None:
            return None
        watch = self._watched.get(frame)
        if watch is None:
            watch = self._watched[frame] = _Watch(self, scope)
        caller = frame.f_back
        above = None
        while caller is not None and caller is not self._root and above is None:
            above = self._watched.get(caller)
            caller = caller.f_back
        watch.begin(None if above is None else above.current)
        return watch.step

    def _ignored(self, code: CodeType) -> bool:
        found = self._plain.get(id(code))
        if found is None:
            self._kept.append(code)
            found = not is_users(code.co_filename) or not has_loops(code)
            self._plain[id(code)] = found
        return found

    def _left(self, frame: FrameType) -> None:
        """Forget a function that has returned; one that yields goes on later."""
        if not frame.f_code.co_flags & (inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR):
            self._watched.pop(frame, None)


class _Watch:
    """Follows the instructions of one call of a function.

    Attributes
    ----------
    current : Trip or None
        The innermost trip that the function is in; its caller's where it is in no loop.
    """

    __slots__ = ("_base", "_offset", "_recorder", "_trail", "_trips", "current", "scope")

    def __init__(self, recorder: LoopRecorder, scope: Scope) -> None:
        self.scope = scope
        self.current: Trip | None = None
        self._recorder = recorder
        self._base: Trip | None = None
        self._trail: Trail = ()
        self._offset = -1
        self._trips: list[Trip | None] = []
        """For each loop of the trail."""

    def begin(self, base: Trip | None) -> None:
        """Note the trip of the caller."""
        self._base = base
        self._settle()

    def step(self, offset: int) -> None:
        """Follow one instruction."""
        trail = self.scope.trails[offset >> 1]
        if trail is not None:
            if trail is not self._trail or (offset <= self._offset and trail):
                self._move(trail, offset)
            self._offset = offset

    def _move(self, trail: Trail, offset: int) -> None:
        before, trips = self._trail, self._trips
        back = offset <= self._offset
        same = True
        for depth, (number, part) in enumerate(trail):
            same = same and depth < len(before) and before[depth][0] == number
            if not same:
                del trips[depth:]
                trips.append(None)
            if self._begins(depth, number, part, before[depth][1] if same else -1, back, offset):
                del trips[depth:]
                trip = Trip(self.scope.regions[number].site, self._around(trips))
                trips.append(trip)
                self._recorder.trips.append(trip)
                same = False
        del trips[len(trail) :]
        self._trail = trail
        self._settle()

    def _begins(self, depth: int, number: int, part: int, was: int, back: bool, at: int) -> bool:
        """Whether a trip of a loop begins at a move from a part of it (-1: outside) to another."""
        region = self.scope.regions[number]
        if part == TARGET:
            return was != TARGET or (back and depth == len(self._trail) - 1)
        if part != BODY or region.parts[TARGET]:
            return False
        if was != BODY:
            return True
        return back and at == region.start and not self._is_inner(depth + 1, at)

    def _is_inner(self, depth: int, at: int) -> bool:
        """Whether a jump to the head of a body is that of the loop which the body begins with."""
        inner = self._trail[depth : depth + 1]
        trail = self.scope.trails[at >> 1] or ()
        return (
            bool(inner)
            and inner[0][1] == BODY
            and trail[depth : depth + 1] == ((inner[0][0], TEST),)
        )

    def _around(self, trips: list[Trip | None]) -> Trip | None:
        return next((t for t in reversed(trips) if t is not None), self._base)

    def _settle(self) -> None:
        self.current = self._around(self._trips)
