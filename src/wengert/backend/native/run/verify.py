"""The verifier of native programs: what each step reads was written before, and is still there.

`verify` follows the steps of a program that has its places in the arena, in the order in which they
run, without running them. It proves that

- every element that a step reads lies in its buffer, and was written before, in the version that is
  meant: as it was after so many updates in place. So what is updated in place is dead, or an error;
- a buffer of the arena is not read once another one was written over it, and no step writes over
  what it reads;
- nothing is written to inputs and captured arrays, and every result is written as a whole;
- the parts of a step that threads share cover it exactly once, and write apart from each other;
- BLAS takes every call: it computes nothing at all where it does not like a dimension.

It believes what the steps say that they do, so it does not see faults in the code of a loop: the
tests compare results, with memory that is full of signalling NaNs before each run.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

import numpy as np

from wengert.backend.native.emit.gemm import Product, call
from wengert.backend.native.emit.kernel import Kernel
from wengert.backend.native.emit.module import Module
from wengert.backend.native.emit.parallel import Parts
from wengert.backend.native.schedule.layout import Buffer, View
from wengert.backend.native.schedule.steps import (
    Compact,
    Contraction,
    Gather,
    Host,
    IndexTerm,
    Loop,
    Network,
    Reduce,
    Repeat,
    Scan,
    Search,
    Sort,
    Update,
)
from wengert.errors import VerificationError
from wengert.ir.graph import Value

__all__ = ["verify"]

Dims = list[tuple[int, int]]
"""Axes as pairs of length and stride, in elements."""


def verify(module: Module, peak: int) -> None:
    """Check a module that is written, and whose buffers have their places.

    Parameters
    ----------
    module : Module
    peak : int
        Bytes of the arena.

    Raises
    ------
    VerificationError
        Naming the step, the buffer and what is wrong with it.
    """
    _Verifier(module, peak).run()


class _State:
    """What is known of a buffer while the steps are followed.

    Attributes
    ----------
    whole : bool
        Whether every element is written.
    mask : array of bool or None
        Which elements are, while not all of them are.
    version : int
        Updates in place so far.
    lost : Buffer or None
        What was written over it.
    """

    __slots__ = ("buffer", "lost", "mask", "version", "whole")

    def __init__(self, buffer: Buffer, whole: bool) -> None:
        self.buffer = buffer
        self.whole = whole or buffer.size == 0
        self.mask: np.ndarray[Any, Any] | None = None
        self.version = 0
        self.lost: Buffer | None = None

    def write(self, offset: int, dims: Dims) -> None:
        """Note elements that are written."""
        if self.whole:
            return
        dims = sorted((d for d in dims if d[0] != 1), key=lambda d: d[1])
        step = 1
        for n, stride in dims:
            if stride != step:
                break
            step *= n
        if step == self.buffer.size and math.prod(n for n, _ in dims) == step:
            self.whole, self.mask = True, None
            return
        if self.mask is None:
            self.mask = np.zeros(self.buffer.size, bool)
        _seen(self.mask, offset, dims)[...] = True

    def has(self, offset: int, dims: Dims) -> bool:
        """Whether elements are written."""
        if not self.whole and self.mask is not None and self.mask.all():
            self.whole, self.mask = True, None
        if self.whole:
            return True
        return self.mask is not None and bool(_seen(self.mask, offset, dims).all())


def _seen(mask: Any, offset: int, dims: Dims) -> Any:
    shape, strides = tuple(n for n, _ in dims), tuple(s for _, s in dims)
    return np.ndarray(shape, bool, mask, offset, strides)


class _Arena:
    """Which buffer the bytes of the arena belong to: the one that was written last."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.owners: list[Buffer] = []

    def claim(self, b: Buffer) -> list[Buffer]:
        """Give a buffer its bytes; return those that lose some."""
        start, end = b.offset, b.offset + b.nbytes
        i = bisect.bisect_right(self.starts, start)
        if i and self.owners[i - 1].offset + self.owners[i - 1].nbytes > start:
            i -= 1
        j = i
        while j < len(self.owners) and self.owners[j].offset < end:
            j += 1
        lost = self.owners[i:j]
        self.starts[i:j] = [start]
        self.owners[i:j] = [b]
        return lost


def _dims(view: View, shape: tuple[int, ...]) -> Dims:
    """Return the axes that a view is walked along in a loop over `shape`."""
    strides = view.strides if view.shape == shape else view.broadcast(shape)
    return list(zip(shape, strides, strict=True))


def _placed(terms: Sequence[IndexTerm]) -> Dims:
    return [(t.size, t.stride) for t in terms]


def _kept(dims: Iterable[tuple[int, int]]) -> Dims:
    """Leave out axes along which nothing moves."""
    return [(n, s) for n, s in dims if n != 1 and s]


def _is_apart(dims: Dims) -> bool:
    """Whether all elements of a walk are different ones."""
    reach = 0
    for n, stride in sorted((d for d in dims if d[0] != 1), key=lambda d: abs(d[1])):
        if abs(stride) <= reach:
            return False
        reach += abs(stride) * (n - 1)
    return True


class _Verifier:
    """Follows the steps of a program."""

    def __init__(self, module: Module, peak: int) -> None:
        self.module = module
        self.schedule = module.schedule
        self.peak = peak
        self.states: dict[int, _State] = {}
        self.arena = _Arena()
        self.step = -1
        self.read: set[int] = set()  # buffers of the current step, by id
        self.written: set[int] = set()

    def fail(self, what: str, b: Buffer | None = None) -> NoReturn:
        """Raise, naming the step and the buffer."""
        steps = self.schedule.steps
        where = "the end"
        if 0 <= self.step < len(steps):
            where = f"step {self.step} of {len(steps)}, {_described(steps[self.step])}"
        told = "" if b is None else f" of {_named(b, self.schedule)}"
        raise VerificationError(f"native program, at {where}: {what}{told}")

    def run(self) -> None:
        """Follow all steps, and check the guards and results."""
        guards = list(self.schedule.guards)
        if any(a[0] > b[0] for a, b in itertools.pairwise(guards)):
            self.fail("the guards are not in the order of their steps")
        for k, step in enumerate(self.schedule.steps):
            if step.step != k:
                self.fail(f"step {step.step} stands at place {k}")
            while guards and guards[0][0] <= k:
                self.guard(guards.pop(0)[1])
            self.step = k
            self.read.clear()
            self.written.clear()
            if isinstance(step, Loop):
                self.loop(step)
            elif isinstance(step, Contraction):
                self.product(step)
            elif isinstance(step, Repeat):
                self.repeat(step)
            else:
                self.host(step)
        self.step = len(self.schedule.steps)
        self.read.clear()
        self.written.clear()
        for _, view in guards:
            self.guard(view)
        if len(self.schedule.results) != len(self.schedule.graph.outputs):
            self.fail("results are missing")
        for k, view in enumerate(self.schedule.results):
            b = view.buffer
            kept = (
                b.owned and self.schedule.carried[b.index] == k and b.size == math.prod(view.shape)
            )
            own = kept or (b.kind, b.index) == ("output", k)
            if not own or not view.is_contiguous or view.offset:
                self.fail(f"result {k} is not an output of its own", b)
            self.reads(view, _dims(view, view.shape))

    def guard(self, view: View) -> None:
        """Check that what a guard asks for is there."""
        self.reads(view, _dims(view, view.shape))

    # --- memory -----------------------------------------------------------------------------------
    def state(self, b: Buffer) -> _State:
        """Return what is known of a buffer."""
        found = self.states.get(id(b))
        if found is None:
            found = self.states[id(b)] = _State(b, b.kind in ("input", "const"))
        return found

    def within(self, view: View, dims: Dims) -> None:
        """Check that a walk stays in its buffer."""
        if any(n == 0 for n, _ in dims):
            return
        b = view.buffer
        low = high = view.offset
        for n, stride in dims:
            if stride > 0:
                high += (n - 1) * stride
            else:
                low += (n - 1) * stride
        least, most = 0, b.size - 1
        if b.kind == "const":
            data = self.schedule.consts[b.index].data
            far = [
                (n - 1) * (s // b.dtype.itemsize)
                for n, s in zip(data.shape, data.strides, strict=True)
            ]
            least, most = sum(f for f in far if f < 0), sum(f for f in far if f > 0)
        if low < least or high > most:
            self.fail(f"elements {low} to {high} are outside of {least} to {most}", b)

    def reads(self, view: View, dims: Dims) -> None:
        """Check elements that are read."""
        if any(n == 0 for n, _ in dims):
            return
        b = view.buffer
        self.within(view, dims)
        dims = _kept(dims)
        self.read.add(id(b))
        if b.kind in ("input", "const") and not b.owned:
            return
        state = self.state(b)
        if state.lost is not None:
            self.fail(f"{_named(state.lost, self.schedule)} was written over what is read", b)
        if not state.has(view.offset, dims):
            self.fail("elements that are read were never written", b)
        if view.version != state.version:
            self.fail(f"version {view.version} is read, and {state.version} is there", b)

    def writes(self, view: View, dims: Dims) -> None:
        """Note elements that are written."""
        b = view.buffer
        if b.kind in ("input", "const") and not b.owned:
            self.fail("what is not ours is written to", b)
        if any(n == 0 for n, _ in dims):
            return
        self.within(view, dims)
        if b.kind == "arena" and not 0 <= b.offset <= self.peak - b.nbytes:
            self.fail(f"{b.nbytes} bytes at {b.offset} are outside of the arena", b)
        state = self.state(b)
        if view.version != state.version:
            self.fail(f"version {view.version} is written, and {state.version} is there", b)
        if b.kind == "arena":
            for other in self.arena.claim(b):
                if other is b:
                    continue
                if id(other) in self.read or id(other) in self.written:
                    self.fail(f"{_named(other, self.schedule)} is written over in use", b)
                self.state(other).lost = b
        if state.lost is not None:
            self.fail(f"{_named(state.lost, self.schedule)} was written in between parts", b)
        self.written.add(id(b))
        state.write(view.offset, dims)

    def fills(self, b: Buffer) -> None:
        """Note a buffer that is written as a whole."""
        self.writes(View(b, 0, (1,), (b.size,), self.state(b).version), [(b.size, 1)])

    # --- steps ------------------------------------------------------------------------------------
    def loop(self, loop: Loop) -> None:
        """Follow a loop: what it reads, then what it writes; numbers are in the order of items."""
        straight = loop.shape == ()
        inside: set[Value] = set()
        writes: list[tuple[View, Dims]] = []
        updates: list[tuple[View, Dims]] = []
        fills: list[Buffer] = []
        for item in loop.items:
            if isinstance(item, tuple):
                self.operands(item[1], loop, inside)
                inside.update(item[0].outputs)
            elif isinstance(item, Reduce):
                self.operands([item.x], loop, inside)
                fills.append(item.out.buffer)
                self.within(item.out, _dims(item.out, loop.shape))
            elif isinstance(item, Scan):
                self.operands(item.xs, loop, inside)
                inside.add(item.out)
                stored = any(x is item.out and v == item.memory for x, v in loop.stores)
                if item.memory is not None and not stored:
                    self.fail("what a scan goes on from is not stored", item.memory.buffer)
            elif isinstance(item, Gather):
                self.terms(item.index, loop, inside)
                self.reads(item.source, _dims(item.source, loop.shape) + _placed(item.index))
                inside.add(item.out)
            elif isinstance(item, Update):
                self.operands([item.x], loop, inside)
                self.terms(item.index, loop, inside)
                dims = _dims(item.target, loop.shape) + _placed(item.index)
                self.within(item.target, dims)
                if item.add:
                    self.reads(item.target, dims)
                    self.read.discard(id(item.target.buffer))
                updates.append((item.target, dims))
            elif isinstance(item, Search):
                self.operands([item.v], loop, inside)
                self.reads(item.a, _dims(item.a, item.a.shape))
                inside.add(item.out)
            elif isinstance(item, Network):
                shape = loop.shape
                source, target = item.steps
                self.reads(item.source, [*_dims(item.source, shape), (item.length, source)])
                writes.append((item.target, [*_dims(item.target, shape), (item.length, target)]))
            elif isinstance(item, Sort):
                for k, view in enumerate(item.views):
                    dims = [*_dims(view, loop.shape), (item.length, 1)]
                    if k == 0:
                        self.reads(view, dims)
                        self.read.discard(id(view.buffer))  # sorted where it is
                    writes.append((view, dims))
            elif isinstance(item, Compact):
                self.operands([item.x], loop, inside)
                fills += [item.out.buffer, item.counter.buffer]
            else:
                self.fail(f"{type(item).__name__} is not known to the verifier")
            if straight:
                self.change(writes, updates, fills)
        for x, stored_at in loop.stores:
            self.operands([x], loop, inside)
            writes.append((stored_at, _dims(stored_at, loop.shape)))
        if not straight:
            for b in itertools.chain((v.buffer for v, _ in (*writes, *updates)), fills):
                if id(b) in self.read and 0 not in loop.shape:
                    self.fail("a loop reads what it writes", b)
        self.change(writes, updates, fills)
        shared = self.module.shared.get(loop.step)
        if shared is not None:
            self.shared(loop, self.module.written[loop.step], shared)

    def change(self, writes: list[Any], updates: list[Any], fills: list[Buffer]) -> None:
        """Note what a loop, or one of its items, writes."""
        for b in fills:
            self.fills(b)
        for view, dims in writes:
            self.writes(view, dims)
        for view, dims in updates:
            self.writes(view, dims)
            if not self.state(view.buffer).has(0, [(view.buffer.size, 1)]):
                self.fail("what is updated in place was never written as a whole", view.buffer)
            self.state(view.buffer).version += 1
        for done in (writes, updates, fills):
            done.clear()

    def operands(self, xs: Iterable[Any], loop: Loop, inside: set[Value]) -> None:
        """Check what a loop's items take."""
        for x in xs:
            if isinstance(x, View):
                self.reads(x, _dims(x, loop.shape))
            elif isinstance(x, Value) and x not in inside:
                self.fail("a value is used in a loop that does not have it")

    def terms(self, terms: Sequence[IndexTerm], loop: Loop, inside: set[Value]) -> None:
        """Check the integers of an index; those that are not checked are looked at."""
        for t in terms:
            self.operands([t.x], loop, inside)
            if t.checked:
                continue
            if not isinstance(t.x, View) or t.x.buffer.kind != "const":
                self.fail("an index that may change is not checked")
            data = self.schedule.consts[t.x.buffer.index].data
            if data.size and not 0 <= data.min() <= data.max() < t.size:
                self.fail("an index that is not checked is out of range", t.x.buffer)

    def host(self, step: Host) -> None:
        """Follow a call of NumPy, whose results are copied into memory apart from all others."""
        for x in step.operands:
            if isinstance(x, View):
                self.reads(x, _dims(x, x.shape))
        for view in step.outs:
            self.writes(view, _dims(view, view.shape))

    def repeat(self, step: Repeat) -> None:
        """Follow a loop or a branch: its operands and results here, its regions on their own.

        What a trip reads of what is carried was written before the loop or by the trip before it,
        and each region is checked to write all of its results.
        """
        for x in step.operands:
            if isinstance(x, View):
                self.reads(x, _dims(x, x.shape))
        for view in step.spare:
            self.writes(view, _dims(view, view.shape))
        for view in step.outs:
            self.writes(view, _dims(view, view.shape))
        if step.scratch is not None:
            self.fills(step.scratch)
        repeated = self.module.repeats[step.step]
        for region in repeated.regions:
            if step.scratch is None or repeated.peak > step.scratch.size:
                self.fail(f"a region takes {repeated.peak} bytes, more than there are")
            _Verifier(region, repeated.peak).run()
        self.places(step)

    def places(self, step: Repeat) -> None:
        """Check that a region and what is around it mean the same memory."""
        attrs, name = step.node.attrs, step.node.op.name
        for region in self.module.repeats[step.step].regions:
            buffers = {b.index: b for b in region.schedule.buffers if b.kind == "input"}
            given = step.operands[1:] if name == "cond" else step.operands
            rows = attrs["consts"] + attrs["carries"] if name == "scan" else len(given)
            for i, x in enumerate(given):
                shape = x.shape if i < rows else x.shape[1:]
                if i >= rows and x.shape[0] != attrs["length"]:
                    self.fail(f"{attrs['length']} trips over {x.shape[0]} rows", x.buffer)
                strides = x.strides if i < rows else x.strides[1:]
                if not View(x.buffer, 0, strides, shape).is_contiguous:
                    self.fail("a region gets an array with gaps", x.buffer)
                if buffers[i].size != math.prod(shape) or buffers[i].dtype != x.buffer.dtype:
                    self.fail("a region gets another array than it takes", x.buffer)
        for k, (a, b) in enumerate(zip(step.spare, step.outs, strict=False)):
            owned = self.module.repeats[step.step].regions[-1].schedule.results[k].buffer.owned
            if owned != (a.buffer is b.buffer) or a.buffer.size != b.buffer.size:
                self.fail("trips do not take turns where they should", b.buffer)
        if name == "scan":
            for view in step.outs[attrs["carries"] :]:
                if view.shape[0] != attrs["length"]:
                    self.fail(f"{attrs['length']} trips into {view.shape[0]} rows", view.buffer)

    def product(self, p: Contraction) -> None:
        """Follow a call of BLAS."""
        m, n, k = p.sizes
        ra, ca, rb, cb, rc = p.strides
        fault = call(p).fault()
        if fault is not None:
            self.fail(f"BLAS does not take a call: {fault}")
        walks = list(zip(*([size, *strides] for size, *strides in p.batch), strict=True))
        sizes, along = (walks[0], walks[1:]) if walks else ((), ((), (), ()))
        batch = [list(zip(sizes, strides, strict=True)) for strides in along]
        self.reads(p.a, [*batch[0], (m, ra), (k, ca)])
        self.reads(p.b, [*batch[1], (k, rb), (n, cb)])
        out = [*batch[2], (m, rc), (n, 1)]
        if not _is_apart(out):
            self.fail("the entries of a product are written over each other", p.out.buffer)
        self.writes(p.out, out)
        found = self.module.products[p.step]
        self.pieces(found, math.prod(sizes), m if m >= n else n)

    def pieces(self, p: Product, batch: int, wide: int) -> None:
        """Check that the parts of a product are all of it."""
        if p.wide != wide or p.parts != batch * p.pieces:
            self.fail(f"{p.parts} parts are not {batch} products in {p.pieces} pieces")
        self.cover(p.pieces, p.grain, wide)

    def cover(self, number: int, grain: int, total: int) -> None:
        """Check that ranges of `grain` cover ``range(total)`` exactly once, none of them empty."""
        if number < 1 or not (number - 1) * grain < total <= number * grain:
            self.fail(f"{number} parts of {grain} do not make {total}")

    def shared(self, loop: Loop, kernel: Kernel, found: Parts) -> None:
        """Check that the parts of a loop are all of it, and write apart from each other."""
        self.cover(found.number, found.grain, kernel.outer)
        outermost = kernel.groups[0]
        n, last = kernel.outer, outermost[-1]
        partial = {id(r) for r, _ in found.partial.values()}
        for r, buffer in found.partial.values():
            if buffer.size != found.number * r.out.buffer.size:
                self.fail(f"{found.number} parts of a reduction do not fit", buffer)
            self.fills(buffer)
        written: list[View] = [target for _, target in loop.stores]
        for item in loop.items:
            if isinstance(item, Reduce) and id(item) not in partial:
                written.append(item.out)
            elif isinstance(item, Update):
                if item.index:
                    self.fail("parts of a loop look up what they write", item.target.buffer)
                written.append(item.target)
            elif isinstance(item, Network):
                written.append(item.target)
            elif isinstance(item, Sort):
                written += item.views
            elif isinstance(item, Compact) or (isinstance(item, Scan) and item.axis in outermost):
                self.fail("a loop is shared whose turns follow from each other")
        for view in written:
            strides = dict(
                enumerate(view.broadcast(loop.shape) if view.shape != loop.shape else view.strides)
            )
            near = [(loop.shape[a], s) for a, s in strides.items() if a not in outermost]
            if not _is_apart([(n, strides[last]), *_kept(near)]):
                self.fail("parts of a loop write to the same elements", view.buffer)


def _named(b: Buffer, schedule: Any) -> str:
    """Name a buffer."""
    like = schedule.made_for.get(id(b))
    aval = f", made for {like.aval}" if isinstance(like, Value) else ""
    place = f"{b.nbytes} bytes at {b.offset}" if b.kind == "arena" else str(b.index)
    return f"{b.kind} {place} ({b.size} of {b.dtype}{aval})"


def _described(step: Any) -> str:
    """Say what a step does."""
    if isinstance(step, Host):
        return f"NumPy's {step.node.op.name}"
    if isinstance(step, Repeat):
        return f"a {step.node.op.name}"
    if isinstance(step, Contraction):
        return f"a product of {step.sizes}"
    items = [x[0].op.name if isinstance(x, tuple) else type(x).__name__ for x in step.items]
    more = ", ..." if len(items) > 8 else ""
    return f"a loop over {step.shape} with {', '.join(items[:8])}{more}"
