"""The choice among the ways to compute a dense Jacobian: all that decides is here.

Where a recording is at work (`wengert.jit`), each way that can be the cheapest is recorded, the
time of what was recorded is predicted as native code runs it (`wengert.matrices.work`), and the
cheapest is taken; what only the others need is dropped with all that no result needs. Without a
recording a call computes once, with NumPy: the two sweeps are compared by what their operations
touch, and where both are long the nonzeros are carried, if there are few, or coloured.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from wengert.cost.count import count_graph
from wengert.cost.operation import count_operation
from wengert.errors import DerivativeError, UnsupportedError, user_line
from wengert.ir.graph import Const, Graph, Node, Value, aval_of
from wengert.ir.simplify import simplify
from wengert.linear.terms import NotAccumulable
from wengert.matrices.compare import as_time
from wengert.matrices.rates import rates
from wengert.matrices.ways import EVERY, WAYS, Blocks, Point
from wengert.matrices.work import work_and_peak
from wengert.ops.base import ZERO, dtype_of
from wengert.orders.order import Order
from wengert.tables import align
from wengert.trace.recorder import GraphRecorder, active_recorder
from wengert.trace.tracer import Tracer

__all__ = ["Candidate", "Choice", "blocks_of"]

HOPELESS = 3.0
"""A sweep whose rough estimate is so many times that of the other is not recorded."""

LONG = 2000
"""Operations beyond which one sweep is recorded only: others would take long to record."""

SHORT = 1e-6
"""Seconds below which a call takes longer than what it computes, so that no way is better."""

LENGTHY = 2.5e5
"""Nanoseconds, roughly, of a sweep with NumPy from which on a call looks for nonzeros first."""

FEW = 16
"""Rows or columns below which colours are not looked for."""

CLOSE = 1.25
"""Times the least time that a Jacobian can take: a way that is so near it is taken at once."""


class Candidate(NamedTuple):
    """A way to compute a matrix.

    Attributes
    ----------
    mode : str
    seconds : float or None
        Predicted, with the function's value; None where it was not derived.
    flops, bytes : int
        Operations, and bytes read and written by each of them.
    note : str
        Why it was not derived, or does not suit.
    order : Order or None
        Of elimination.
    peak : int
        Bytes of the results and of all that is held between at once.
    """

    mode: str
    seconds: float | None
    flops: int = 0
    bytes: int = 0
    note: str = ""
    order: Order | None = None
    peak: int = 0


class Choice(NamedTuple):
    """What was chosen for a matrix, and among what.

    Attributes
    ----------
    name : str
        Of the matrix.
    shape : (int, int)
    mode : str
        The way taken.
    why : str
    candidates : tuple of Candidate
        In order of predicted time; those without one are last.
    value : Candidate
        The function alone.
    """

    name: str
    shape: tuple[int, int]
    mode: str
    why: str
    candidates: tuple[Candidate, ...]
    value: Candidate

    @property
    def order(self) -> Order | None:
        """The order of elimination that was taken, if one was."""
        return next((c.order for c in self.candidates if c.mode == self.mode), None)

    def __str__(self) -> str:
        """Return a table for people."""
        m, n = self.shape
        rows = [("", "way", "predicted", "operations", "beside the value's", "bytes", "peak", "")]
        for c in self.candidates:
            mark = "->" if c.mode == self.mode else ""
            if c.seconds is None:
                rows.append((mark, c.mode, "-", "-", "-", "-", "-", c.note))
                continue
            more = f"{c.flops - self.value.flops:,}"
            way = "" if c.order is None else f"order of {c.order.level}, {c.order.method}"
            counted = f"{c.flops:,}", more, f"{c.bytes:,}", f"{c.peak:,}"
            rows.append((mark, c.mode, as_time(c.seconds), *counted, way))
        first = f"{self.name}, {m:,} x {n:,}: {self.mode}, {self.why}"
        return "\n".join([first, align(rows, left=(0, 1, 7))])


def blocks_of(point: Point, mode: str | Order, name: str) -> Blocks:
    """Return the blocks of a Jacobian, computed in the given mode or in the cheapest way.

    Raises
    ------
    UnsupportedError
        For a mode that does not suit the function.
    """
    if isinstance(mode, Order):
        point.order, mode = mode, "eliminate"
    if mode != "auto":
        try:
            return EVERY[mode](point)
        except NotAccumulable as unfit:
            raise UnsupportedError(
                f"{name}: mode={mode!r} does not suit this function: {unfit}. mode='auto' takes "
                f"the cheapest way that does." + user_line()
            ) from None
    if len({dtype_of(x) for x in (*point.leaves, *point.ys)}) > 1:
        # Sweeps of either direction have another dtype: what decides must not be what they cost.
        return _in_order(point, point.columns <= point.rows)
    recorder = active_recorder()
    if recorder is None or not _is_recorded(point, recorder):
        return _at_once(point)
    return _Trial(point, recorder, name).best()


def _is_recorded(point: Point, recorder: GraphRecorder) -> bool:
    """Whether what is done with the function's values is recorded."""
    return any(True for _ in _values([*point.leaves, *point.ys], recorder))


def _values(found: Sequence[Any], recorder: GraphRecorder) -> Any:
    """Yield the values of a recorder that traced arrays are made of, through other traces."""
    waiting = list(found)
    while waiting:
        x = waiting.pop()
        if not isinstance(x, Tracer):
            continue
        x._refresh()
        if x._trace is recorder:
            yield x._var
            continue
        waiting += [getattr(x._var, part, None) for part in ("data", "tangent")]


# --- without a recording --------------------------------------------------------------------------
def _at_once(point: Point) -> Blocks:
    """Compute with NumPy: the nonzeros where sweeps are long and there are few, else one sweep."""
    forward, reverse = rough(point)
    is_long = min(forward, reverse) >= LENGTHY and min(point.rows, point.columns) >= FEW
    if is_long and point.chunk is None and len(point.lin.tape.nodes) <= LONG:
        point.most = point.rows * point.columns // 8
        for mode in ("accumulate", "coloured"):
            with contextlib.suppress(NotAccumulable):
                return WAYS[mode](point)
    return _in_order(point, forward <= reverse)


def _in_order(point: Point, forward: bool) -> Blocks:
    """Return what one sweep computes, or the other where the first is not possible."""
    first, second = ("forward", "reverse") if forward else ("reverse", "forward")
    try:
        return WAYS[first](point)
    except DerivativeError:  # a custom rule for the other direction only
        return WAYS[second](point)


def rough(point: Point) -> tuple[float, float]:
    """Return about how many nanoseconds the two sweeps take with NumPy."""
    n, m = point.columns * point.examples, point.rows * point.examples
    active: set[Any] = set(point.lin.roots)
    forward = reverse = 0.0
    for node in point.lin.tape.nodes:
        if type(node) is not Node:
            continue
        places = [x for x in node.inputs if isinstance(x, Value) and x in active]
        if not places or node.op.derivative is ZERO:
            continue
        active.update(node.outputs)
        ins = [aval_of(x) for x in node.inputs]
        outs = [v.aval for v in node.outputs]
        touched = sum(a.size for a in outs)
        before = sum(x.aval.size for x in places)
        flops = 0
        if node.op.macs:
            found = count_operation(node, ins, outs)
            flops = sum(found.kinds.values()) if found is not None else 0
        each = 0.05 * flops * len(places)
        forward += 2000 + n * (touched * len(places) + each)
        reverse += 2000 + m * (max(before, touched) + each)
    entries = n * point.rows
    return forward + entries, reverse + 0.3 * entries


# --- within one -----------------------------------------------------------------------------------
class _Trial:
    """Records ways one after the other, and predicts what they take."""

    def __init__(self, point: Point, recorder: GraphRecorder, name: str) -> None:
        self.point = point
        self.recorder = recorder
        self.name = name
        self.found: list[Candidate] = []
        self.blocks: dict[str, Blocks] = {}
        self.guards: dict[str, list[Any]] = {}
        self.value = self._predicted("value", point.ys)

    def best(self) -> Blocks:
        """Return the blocks of the cheapest way."""
        point = self.point
        entries = point.rows * point.columns
        floor = (self.value.seconds or 0) + rates().seconds({"byte": 8.0 * entries})
        forward, reverse = rough(point)
        first, second = ("forward", "reverse") if forward <= reverse else ("reverse", "forward")
        is_long = len(point.lin.tape.nodes) > LONG
        self.derive(first)
        if not self.blocks:
            self.derive(second)
        elif max(forward, reverse) >= HOPELESS * min(forward, reverse):
            note = "not derived: it takes many times longer"
            self.found.append(Candidate(second, None, note=note))
        elif is_long:
            note = "not derived: the function is long, and this is no faster by a rough estimate"
            self.found.append(Candidate(second, None, note=note))
        else:
            self.derive(second)
        least = min((c.seconds for c in self.found if c.seconds is not None), default=math.inf)
        if point.chunk is not None:
            note = "not derived: chunk_size= is for sweeps"
        elif least <= CLOSE * floor:
            note = "not derived: the least time that a Jacobian can take is reached"
        elif least <= SHORT:
            note = "not derived: a call takes longer than what it computes"
        elif is_long:
            note = "not derived: the function is long"
        else:
            note = ""
        self._others(note)
        if not self.blocks:
            return WAYS[first](point)  # raises what it raised
        order = sorted(self.found, key=lambda c: math.inf if c.seconds is None else c.seconds)
        taken = order[0]
        self.recorder.guards += self.guards[taken.mode]
        self.recorder.notes.append(
            Choice(
                self.name,
                (point.rows, point.columns),
                taken.mode,
                _why(order),
                tuple(order),
                self.value,
            )
        )
        return self.blocks[taken.mode]

    def _others(self, note: str) -> None:
        """Record what is no sweep, unless a note says why not."""
        point = self.point
        rest = ["eliminate", "accumulate", "coloured"]
        if point.scalar is not None:
            rest.insert(1, "symmetric")
        for mode in rest:
            why = note
            entries = point.order is not None and point.order.level == "entries"
            if mode == "accumulate" and "eliminate" in self.blocks and entries:
                why = why or "not derived: it is one of the orders of eliminating entries"
            if mode == "coloured" and "accumulate" in self.blocks:
                why = why or "not derived: accumulation carries the same nonzeros"
            if mode == "coloured" and entries:
                why = why or "not derived: products for each colour are orders of elimination too"
            if mode == "coloured" and min(point.rows, point.columns) < FEW:
                why = why or "not derived: one product for each row or column is few"
            if mode == "symmetric" and not entries:
                why = why or "does not suit: its values are arrays and not numbers"
            if why:
                self.found.append(Candidate(mode, None, note=why))
            else:
                self.derive(mode)

    def derive(self, mode: str) -> None:
        """Record a way."""
        recorder = self.recorder
        before = len(recorder.guards)
        try:
            blocks = EVERY[mode](self.point)
            made = self._predicted(mode, [b for row in blocks for b in row])
        except NotAccumulable as unfit:
            made = Candidate(mode, None, note=f"does not suit: {unfit}")
        except DerivativeError as error:  # a custom rule for the other direction only
            made = Candidate(mode, None, note=str(error).splitlines()[0])
        except Exception as error:  # what a sweep raises, the function's own rules do
            if mode in ("forward", "reverse"):
                raise
            made = Candidate(mode, None, note=f"failed: {type(error).__name__}: {error}"[:120])
        if made.seconds is not None:
            self.blocks[mode] = blocks
            if mode == "eliminate":
                made = made._replace(order=self.point.order)
        # Decisions of a way hold where it is taken; the others are dropped with it.
        self.guards[mode] = recorder.guards[before:]
        del recorder.guards[before:]
        self.found.append(made)

    def _predicted(self, mode: str, results: Sequence[Any]) -> Candidate:
        graph = _part(self.recorder, [*results, *self.point.ys], self.point)
        count = count_graph(graph)
        work, peak = work_and_peak(graph)
        return Candidate(mode, rates().seconds(work), count.flops, count.bytes, peak=peak)


def _why(order: Sequence[Candidate]) -> str:
    """Say why the first of some candidates was taken."""
    others = [c for c in order[1:] if c.seconds is not None]
    if not others:
        return "the only way that was derived"
    first, second = order[0].seconds, others[0].seconds
    assert first is not None
    assert second is not None
    return f"predicted {second / max(first, 1e-12):.2g} times as fast as {others[0].mode}"


def _part(recorder: GraphRecorder, results: Sequence[Any], point: Point) -> Graph:
    """Return what was recorded for some results, from the arguments on, simplified."""
    outputs = list(dict.fromkeys(_values(results, recorder)))
    ends: set[Any] = set(_values(point.leaves, recorder))
    needed = {y for y in outputs if isinstance(y, Value)} - ends
    kept: list[Node] = []
    free: dict[Any, None] = {}
    for node in reversed(recorder.nodes):
        if needed.isdisjoint(node.outputs):
            continue
        kept.append(node)
        needed.update(x for x in node.inputs if isinstance(x, Value) and x not in ends)
    made = {v for node in kept for v in node.outputs}
    for node in kept:
        free.update((x, None) for x in node.inputs if isinstance(x, Value) and x not in made)
    kept.reverse()
    outputs = [y for y in outputs if isinstance(y, (Value, Const))]
    free.update((y, None) for y in outputs if isinstance(y, Value) and y not in made)
    return simplify(Graph(list(free), kept, outputs, []))
