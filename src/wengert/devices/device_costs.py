"""What a placed graph costs on each device: operations, bytes, the peak of memory, and traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from wengert.devices.device import Device
from wengert.devices.placement import Compute, Move, PlacedGraph, Step, local
from wengert.devices.schedule import (
    BACKWARD,
    FORWARD,
    ONCE,
    SUMS,
    Clock,
    Span,
    laid_end_to_end,
)
from wengert.devices.sharding import PARTIAL, WHOLE, Along, Placement
from wengert.devices.traffic import Work
from wengert.ir.graph import Graph, Node, Value, aval_of
from wengert.memory.profile import is_backward
from wengert.ops.index import is_basic

__all__ = [
    "Part",
    "Timing",
    "accumulate_parts",
    "accumulate_schedule",
    "additions",
    "completing_moves",
    "late_move",
    "measure",
    "part_peak",
    "part_size",
    "peak_of",
    "sent",
    "undivide",
]

Key = tuple[Value, Placement]


@dataclass(frozen=True)
class Part:
    """What one device does of a step.

    Attributes
    ----------
    device : str
    flops : int
        Operations, with the additions that complete partial sums.
    bytes : int
        Bytes read and written in its memory, by each fused loop.
    peak : int
        Most bytes held at a time: inputs and captured arrays, outputs, and everything between.
    sent : int
        Bytes sent to other devices.
    seconds : float
        Of arithmetic, without waiting and communication.
    """

    device: str
    flops: int
    bytes: int
    peak: int
    sent: int
    seconds: float


class Timing(NamedTuple):
    """Parts of a step, its seconds, those of communication, and operations that are repeated.

    With what moves for each kind of communication, in bytes, and when each device does what.
    """

    parts: tuple[Part, ...]
    seconds: float
    communication: float
    combined: int
    collectives: dict[str, int]
    schedule: tuple[Span, ...] = ()


def sent(move: Move, weights: tuple[float, ...]) -> list[int]:
    """Return the bytes that each device sends: each slice goes straight to where it is wanted.

    Over all devices it is ``n - 1`` times the bytes of the value for a gather and for a reduction
    that scatters its result, and twice that for one whose result every device gets, which a ring
    sends as well.
    """
    n = len(weights)
    aval = move.value.aval
    total = aval.nbytes
    if move.kind == "slice":
        return [0] * n
    if move.kind == "all-gather":
        return [(n - 1) * local(aval, move.source, weights, d).nbytes for d in range(n)]
    if move.kind == "reduce-scatter":
        return [total - local(aval, move.target, weights, d).nbytes for d in range(n)]
    if move.kind == "all-reduce":
        own = [(total * (d + 1)) // n - (total * d) // n for d in range(n)]
        return [total - x + (n - 1) * x for x in own]
    own = [local(aval, move.source, weights, d).nbytes for d in range(n)]
    aims = [local(aval, move.target, weights, d).nbytes for d in range(n)]
    return [own[d] - own[d] * aims[d] // total for d in range(n)]


def additions(move: Move, parts: int) -> int:
    """Return the additions that complete a partial sum of so many parts."""
    if move.source != PARTIAL:
        return 0
    aval = move.value.aval
    return (parts - 1) * aval.size * (2 if aval.dtype.kind == "c" else 1)


def seconds_of(move: Move, devices: Sequence[Device], weights: tuple[float, ...]) -> float:
    """Return the time of a transfer: of the slowest link, and a latency for each round."""
    if move.kind == "slice" or len(devices) < 2:
        return 0.0
    rounds = (len(devices) - 1) * (2 if move.kind == "all-reduce" else 1)
    slowest = max(sent(move, weights)) / min(d.link for d in devices)
    return slowest + rounds * max(d.latency for d in devices)


def eager(steps: Iterable[Step]) -> list[Step]:
    """Complete each partial sum as soon as it is made."""
    steps = list(steps)
    moves: dict[Value, list[Move]] = {}
    for step in steps:
        if isinstance(step, Move) and step.source == PARTIAL:
            moves.setdefault(step.value, []).append(step)
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Move) and step.source == PARTIAL:
            continue
        found.append(step)
        if isinstance(step, Compute) and step.output == PARTIAL:
            found.extend(m for v in step.node.outputs for m in moves.get(v, ()))
    return found


def peak_of(
    steps: Iterable[Step],
    held: Mapping[Key, int],
    outputs: Iterable[Key],
    size: Any,
    constants: int = 0,
) -> int:
    """Return the most bytes that are held at a time, each value until its last use.

    Parameters
    ----------
    steps : iterable of Move or Compute
    held : dict
        Bytes of what is held from the beginning to the end.
    outputs : iterable
        Values and placements that are held from where they are made.
    size : callable
        Bytes of a value in a placement.
    constants : int
        Bytes of captured arrays.
    """
    steps = list(steps)
    root: dict[Key, Key] = {}
    first: dict[Key, int] = dict.fromkeys(held, 0)
    last: dict[Key, int] = {}

    def read(key: Key, i: int) -> Key:
        key = root.get(key, key)
        first.setdefault(key, i)  # received from elsewhere
        last[key] = i
        return key

    later = _later(steps)
    for i, step in enumerate(steps):
        if isinstance(step, Move):
            source = read((step.value, step.source), i)
            target = (step.value, step.target)
            if target in held:
                last[target] = i
            elif step.kind == "slice" or (step.kind == "all-reduce" and source not in later[i]):
                root[target] = source  # in place
            else:
                first.setdefault(target, i)
                last.setdefault(target, i)
            continue
        node = step.node
        keys = [
            read((x, p), i)
            for x, p in zip(node.inputs, step.inputs, strict=True)
            if isinstance(x, Value)
        ]
        is_view = node.op.alias is not None and is_basic(node.attrs.get("spec", ()))
        for v in node.outputs:
            if is_view and isinstance(node.inputs[0], Value):
                root[v, step.output] = keys[0]
            else:
                first[v, step.output] = last[v, step.output] = i
    end = len(steps)
    last.update((k, end) for k in held)
    for y in outputs:
        key = root.get(y, y)
        if key in first:
            last[key] = end
    change = [0] * (end + 2)
    for key, i in first.items():
        nbytes = held[key] if key in held else size(key)
        change[i] += nbytes
        change[last.get(key, i) + 1] -= nbytes
    most = level = 0
    for c in change[:-1]:
        level += c
        most = max(most, level)
    return most + constants


def _later(steps: Sequence[Step]) -> dict[int, set[Key]]:
    """Return for each move the partial sums that are still read after it."""
    found: dict[int, set[Key]] = {}
    seen: set[Key] = set()
    for i in reversed(range(len(steps))):
        step = steps[i]
        if isinstance(step, Move):
            found[i] = set(seen) if step.source == PARTIAL else set()
            seen.add((step.value, step.source))
        else:
            pairs = zip(step.node.inputs, step.inputs, strict=True)
            seen |= {(x, p) for x, p in pairs if isinstance(x, Value) and p == PARTIAL}
    return found


def outputs_of(placing: PlacedGraph) -> list[Key]:
    """Return the outputs in their placements."""
    pairs = zip(placing.graph.outputs, placing.outputs, strict=True)
    return [(y, p) for y, p in pairs if isinstance(y, Value)]


def constants_of(graph: Graph) -> int:
    """Return the bytes of the captured arrays; every device has them."""
    return sum(aval_of(c).nbytes for c in graph.consts())


def measure(
    placing: PlacedGraph,
    devices: Sequence[Device],
    work: Work,
    laid_out: Callable[[PlacedGraph, int], int | None] = lambda *_: None,
) -> Timing:
    """Return what each device does where all run the same program on their parts.

    Parameters
    ----------
    placing : PlacedGraph
    devices : sequence of Device
    work : Work
    laid_out : callable, optional
        ``laid_out(placing, d)``: the peak of a device, None where it is not known but counted.
    """
    weights, n = placing.weights, len(devices)
    flops, nbytes, traffic = [0] * n, [0] * n, [0] * n
    clock = Clock(n)
    combined = 0
    collectives: dict[str, int] = {}
    for step in placing.steps:
        if isinstance(step, Move):
            moved = sent(step, weights)
            if step.kind == "slice":
                continue
            clock.meet(step.kind, seconds_of(step, devices, weights))
            collectives[step.kind] = collectives.get(step.kind, 0) + sum(moved)
            extra = additions(step, n)
            combined += extra
            for d in range(n):
                traffic[d] += moved[d]
                done = extra * (d + 1) // n - extra * d // n
                flops[d] += done
                clock.work(d, SUMS, done / devices[d].speed)
            continue
        kind = BACKWARD if is_backward(step.node) else FORWARD
        for d in range(n):
            count, moved_bytes = work(step, weights, d)
            flops[d] += count
            nbytes[d] += moved_bytes
            clock.work(d, kind, devices[d].seconds(count, moved_bytes))
    clock.meet("", 0.0)
    constants = constants_of(placing.graph)
    ends = outputs_of(placing)
    parts = []
    for d in range(n):

        def size(key: Key, d: int = d) -> int:
            return local(key[0].aval, key[1], weights, d).nbytes

        peak = laid_out(placing, d)
        if peak is None:
            held = {(v, p): size((v, p)) for v, p in placing.inputs.items()}
            peak = peak_of(eager(placing.steps), held, ends, size, constants)
        parts.append(Part(devices[d].name, flops[d], nbytes[d], peak, traffic[d], clock.spent[d]))
    schedule = tuple(clock.spans)
    return Timing(tuple(parts), clock.now, clock.communication, combined, collectives, schedule)


# --- one part of the batch after the other --------------------------------------------------------
def late_move(placing: PlacedGraph) -> str | None:
    """Say why the parts cannot be done one after the other; None where they can.

    They can where no part needs what is completed from all of them.
    """
    whole: set[Value] = set()
    for i, step in enumerate(placing.steps):
        if isinstance(step, Move):
            if step.kind == "all-reduce":
                whole.add(step.value)
            elif step.kind == "all-gather":
                reader = next(
                    s.node
                    for s in placing.steps[i:]
                    if isinstance(s, Compute) and step.value in s.node.inputs
                )
                return f"{reader.op.name} reads all of the batch at once{_line(reader)}"
            continue
        node = step.node
        reads = [
            x
            for x, p in zip(node.inputs, step.inputs, strict=True)
            if isinstance(x, Value) and x in whole and p != PARTIAL
        ]
        if reads and step.output != WHOLE:
            return f"{node.op.name} needs a sum over all of the batch{_line(node)}"
        if reads:
            whole.update(node.outputs)
    return None


def _line(node: Node) -> str:
    return f" (line {node.line[1]} of {node.line[0]})" if node.line and node.line[1] else ""


def completing_moves(placing: PlacedGraph) -> list[Move]:
    """Return the moves that complete partial sums."""
    return [s for s in placing.steps if isinstance(s, Move) and s.source == PARTIAL]


def accumulate_parts(
    placing: PlacedGraph, sizes: Sequence[int], device: Device, work: Work, peak: int
) -> Part:
    """Return what one device does that goes through the batch in parts, and adds up.

    Parameters
    ----------
    placing : PlacedGraph
        With the batch split; `late_move` says None of it.
    sizes : sequence of int
        Examples in each part.
    device : Device
    work : Work
    peak : int
        Most bytes that it holds.
    """
    k, total = len(sizes), sum(sizes)
    times = Counter(sizes)
    flops = nbytes = 0
    seconds = 0.0
    for step in placing.steps:
        if isinstance(step, Move):
            extra = additions(step, k)
            flops += extra
            seconds += extra / device.speed
            continue
        repeated = step.output != WHOLE
        for s in times:
            count, moved = work.of_part(step, s, total)
            runs = times[s] if repeated else int(s == sizes[0])
            flops += runs * count
            nbytes += runs * moved
            seconds += runs * device.seconds(count, moved)
    return Part(device.name, flops, nbytes, peak, 0, seconds)


def accumulate_schedule(
    placing: PlacedGraph, sizes: Sequence[int], device: Device, work: Work, number: int
) -> tuple[Span, ...]:
    """Return when one device, of this number, does each part of the batch; see `accumulate_parts`.

    What is done once for all parts comes first, and the sums of the parts last.
    """
    total = sum(sizes)
    each: dict[int, list[float]] = {s: [0.0, 0.0] for s in sizes}
    once = sums = 0.0
    for step in placing.steps:
        if isinstance(step, Move):
            sums += additions(step, len(sizes)) / device.speed
            continue
        late = is_backward(step.node)
        if step.output == WHOLE and len(sizes) > 1:
            once += device.seconds(*work.of_part(step, sizes[0], total))
            continue
        for s, both in each.items():
            both[late] += device.seconds(*work.of_part(step, s, total))
    tasks = [(ONCE, once, "")]
    for k, s in enumerate(sizes, 1):
        name = str(k) if len(sizes) > 1 else ""
        tasks += [(FORWARD, each[s][0], name), (BACKWARD, each[s][1], name)]
    return tuple(laid_end_to_end(number, [*tasks, (SUMS, sums, "")]))


def part_size(key: Key, part: int, batch: int) -> int:
    """Return the bytes of a value for `part` examples of a batch; all of it for 0."""
    value, placement = key
    nbytes = value.aval.nbytes
    return nbytes * part // batch if isinstance(placement, Along) and part else nbytes


def part_peak(placing: PlacedGraph, part: int, batch: int) -> int:
    """Return the peak for `part` examples of a batch, of which only these are on the device.

    Where they are not all, what is added up over the parts is held throughout, and so is what
    every part reads of what is computed once.
    """
    held = {(v, p): part_size((v, p), part, batch) for v, p in placing.inputs.items()}
    if part < batch:
        held.update({(m.value, WHOLE): m.value.aval.nbytes for m in completing_moves(placing)})
        made: set[Value] = set()
        for step in placing.steps:
            if isinstance(step, Move):
                continue
            if step.output == WHOLE:
                made.update(step.node.outputs)
                continue
            for x, p in zip(step.node.inputs, step.inputs, strict=True):
                if isinstance(x, Value) and x in made and p == WHOLE:
                    held[x, p] = x.aval.nbytes
    return peak_of(
        eager(placing.steps),
        held,
        outputs_of(placing),
        lambda key: part_size(key, part, batch),
        constants_of(placing.graph),
    )


def undivide(graph: Graph) -> PlacedGraph:
    """Return the program of one device."""
    made = PlacedGraph(graph, (1.0,))
    made.inputs = dict.fromkeys(graph.inputs, WHOLE)
    made.outputs = [WHOLE] * len(graph.outputs)
    made.steps = [Compute(n, (WHOLE,) * len(n.inputs), WHOLE) for n in graph.nodes]
    return made
