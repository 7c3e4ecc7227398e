"""Loops and branches as operations: `scan`, `while_loop` and `cond`, whose bodies are regions.

The operands of a loop are its constants, then what it carries from trip to trip, then (of a `scan`)
the rows of which each trip gets one. A body takes them in that order, and returns what is carried
to the next trip, then the row that the trip adds to each stacked result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.errors import ShapeError
from wengert.ir.build import evaluate
from wengert.ir.graph import Aval, Graph, Node, Value, aval_of
from wengert.ops import patterns
from wengert.ops.base import OfRegions, RegionOp, register

__all__ = ["FASTER", "cond", "joined", "one", "scan", "while_loop", "with_unread"]


def one(ys: Sequence[Any]) -> Any:
    """Return a single result alone, as operations do."""
    return ys[0] if len(ys) == 1 else tuple(ys)


def with_unread(graph: Graph, at: int, more: Sequence[Any]) -> Graph:
    """Give a region further inputs like those arrays, which it does not read."""
    unread = [Value(aval=_strong(aval_of(x))) for x in more]
    return Graph([*graph.inputs[:at], *unread, *graph.inputs[at:]], graph.nodes, graph.outputs)


def joined(graphs: Sequence[Graph], extras: Sequence[Sequence[Any]]) -> tuple[Graph, ...]:
    """Give each branch the first inputs of all branches; it reads its own."""
    made = []
    for k, graph in enumerate(graphs):
        before = [x for extra in extras[:k] for x in extra]
        after = [x for extra in extras[k + 1 :] for x in extra]
        graph = with_unread(graph, len(extras[k]), after)
        made.append(with_unread(graph, 0, before))
    return tuple(made)


def _runner(region: Any) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return what runs a region: its program, where a backend has put one in its place."""
    if isinstance(region, Graph):
        return lambda xs: evaluate(region, xs)
    return region.run  # type: ignore[no-any-return]


def _graph(region: Any) -> Graph:
    return region if isinstance(region, Graph) else region.graph


def _kept(x: Any) -> Any:
    """Return a result, in C order, that shares memory with no operand."""
    return np.array(x, order="C")[()] if isinstance(x, np.ndarray) else x


def _same(what: str, found: Sequence[Any], expected: Sequence[Value]) -> None:
    """Check operands against a region's inputs.

    Raises
    ------
    ShapeError
    """
    got = [aval_of(x)[:2] for x in found]
    want = [v.aval[:2] for v in expected]
    if got != want:
        shown = ", ".join(f"{Aval(*a)}" for a in got)
        needed = ", ".join(f"{Aval(*a)}" for a in want)
        raise ShapeError(f"{what} gets ({shown}) and takes ({needed})")


def _strong(aval: Aval) -> Aval:
    return Aval(aval.shape, aval.dtype)


def _batch(op: Any, args: Sequence[Any], batched: Sequence[bool], attrs: dict[str, Any]) -> Any:
    """Give all results a batch axis; a batch trace asks which of them need one."""
    ys, flags = op.derivative.batched(args, batched, attrs)
    n = next(np.shape(a)[0] for a, b in zip(args, batched, strict=True) if b)
    return one(
        [y if f else np.repeat(np.asarray(y)[None], n, 0) for y, f in zip(ys, flags, strict=True)]
    )


def _flops(runs: Callable[..., Any]) -> Callable[..., Any]:
    def count(_: Any, *__: Any, **attrs: Any) -> int | None:
        """Add up what the regions count; None where data decides how often they run."""
        total = 0
        for region, times in runs(**attrs):
            for node in region.nodes:
                outs = [v.aval for v in node.outputs]
                n = node.op.flops(one(outs), *map(aval_of, node.inputs), **node.attrs)
                if n is None or times is None:
                    return None
                total += n * times
        return total

    return count


# --- scan -----------------------------------------------------------------------------------------
def _parts(xs: Sequence[Any], consts: int, carries: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Return constants, carried values and rows."""
    return list(xs[:consts]), list(xs[consts : consts + carries]), list(xs[consts + carries :])


def _scan(
    *xs: Any, body: Any, length: int, consts: int = 0, carries: int = 0, reverse: bool = False
) -> Any:
    run, graph = _runner(body), _graph(body)
    fixed, carry, rows = _parts(xs, consts, carries)
    stacked = [np.empty((length, *v.shape), v.dtype) for v in map(aval_of, graph.outputs[carries:])]
    for t in range(length - 1, -1, -1) if reverse else range(length):
        made = run([*fixed, *carry, *(x[t] for x in rows)])
        carry = list(made[:carries])
        for y, row in zip(stacked, made[carries:], strict=True):
            y[t] = row
    return one([*map(_kept, carry), *stacked])


def _infer_scan(
    *xs: Any, body: Any, length: int, consts: int = 0, carries: int = 0, reverse: bool = False
) -> Any:
    fixed, carry, rows = _parts(xs, consts, carries)
    avals = [aval_of(x) for x in rows]
    for a in avals:
        if a.shape[:1] != (length,):
            raise ShapeError(f"a scan of {length} trips over rows of an array {a}")
    inner = [Aval(a.shape[1:], a.dtype) for a in avals]
    _same("the body of a scan", [*fixed, *carry, *inner], body.inputs)
    _same("the next trip", body.outputs[:carries], body.inputs[consts : consts + carries])
    made = [aval_of(y) for y in body.outputs]
    return one(
        [
            *map(_strong, made[:carries]),
            *(Aval((length, *a.shape), a.dtype) for a in made[carries:]),
        ]
    )


def _pruned_scan(node: Node, is_read: Sequence[bool]) -> Node | None:
    """Leave out stacked results and carried values that nothing reads, and operands for them."""
    attrs, body = node.attrs, node.attrs["body"]
    consts, carries = attrs["consts"], attrs["carries"]
    kept = {k for k, r in enumerate(is_read) if r}
    while True:  # a carried value is needed where a kept result of the next trip reads it
        read = _read_by(body, [body.outputs[k] for k in sorted(kept)])
        more = {k for k in range(carries) if body.inputs[consts + k] in read} | kept
        if more == kept:
            break
        kept = more
    outputs = sorted(kept)
    carried = [k for k in outputs if k < carries]
    needed = [
        i
        for i, v in enumerate(body.inputs)
        if (i - consts in kept if consts <= i < consts + carries else v in read)
    ]
    if len(outputs) == len(node.outputs) and len(needed) == len(node.inputs):
        return None
    region = Graph(
        [body.inputs[i] for i in needed],
        [n for n in body.nodes if not read.isdisjoint(n.outputs)],
        [body.outputs[k] for k in outputs],
    )
    smaller = {
        **attrs,
        "body": region,
        "consts": sum(i < consts for i in needed),
        "carries": len(carried),
    }
    inputs = tuple(node.inputs[i] for i in needed)
    return Node(node.op, inputs, smaller, tuple(node.outputs[k] for k in outputs), node.line)


def _read_by(graph: Graph, outputs: Sequence[Any]) -> set[Any]:
    """Return the values that some outputs depend on."""
    alive = {y for y in outputs if isinstance(y, Value)}
    for node in reversed(graph.nodes):
        if not alive.isdisjoint(node.outputs):
            alive.update(x for x in node.inputs if isinstance(x, Value))
    return alive


def _runs_scan(*, body: Any, length: int, **_: Any) -> list[tuple[Any, int | None]]:
    return [(body, length)]


scan = register(
    RegionOp(
        "scan",
        _scan,
        infer=_infer_scan,
        derivative=OfRegions(),
        batch=_batch,
        flops=_flops(_runs_scan),
        pattern=patterns.dense,
        runs=_runs_scan,
        prune=_pruned_scan,
    )
)


# --- while ----------------------------------------------------------------------------------------
LONG = 200
"""After how many trips, over all runs of a loop, a program is made of one that is recorded."""

FASTER: list[Callable[[Graph, Graph, int], Callable[[Sequence[Any]], Sequence[Any]] | None]] = []
"""What makes such a program, given the test, the body, and how many operands are constants."""

KEPT = 64
"""For how many loops, those met last, trips are counted and programs kept."""


class _Runs:
    """The trips of a loop so far, and its program once there is one."""

    def __init__(self, test: Graph, body: Graph) -> None:
        self.graphs = test, body  # alive, so that no others have their identities
        self.trips = 0
        self.program: Callable[[Sequence[Any]], Sequence[Any]] | None = None


_RUNS: dict[tuple[int, int, int], _Runs] = {}


def _runs_of(test: Any, body: Any, consts: int) -> _Runs | None:
    """Return what is known of the runs of a loop; None where its regions are programs."""
    if not FASTER or not isinstance(body, Graph) or not isinstance(test, Graph):
        return None
    key = id(test), id(body), consts
    found = _RUNS.pop(key, None) or _Runs(test, body)
    _RUNS[key] = found
    while len(_RUNS) > KEPT:
        _RUNS.pop(next(iter(_RUNS)), None)
    return found


def _while(*xs: Any, test: Any, body: Any, consts: int = 0) -> Any:
    ask, run = _runner(test), _runner(body)
    fixed, carry = list(xs[:consts]), list(xs[consts:])
    trips = 0
    known = _runs_of(test, body, consts)
    while ask([*fixed, *carry])[0]:
        if known is not None:
            if known.trips == LONG:
                known.program = FASTER[0](test, body, consts)
            known.trips += 1
            if known.program is not None:
                *carry, more = known.program([*fixed, *carry])
                return one([*map(_kept, carry), np.int64(trips + more)])
        carry = list(run([*fixed, *carry]))
        trips += 1
    return one([*map(_kept, carry), np.int64(trips)])


def _infer_while(*xs: Any, test: Any, body: Any, consts: int = 0) -> Any:
    _same("the condition of a while loop", xs, test.inputs)
    _same("the body of a while loop", xs, body.inputs)
    _same("the next trip", body.outputs, body.inputs[consts:])
    if aval_of(test.outputs[0])[:2] != ((), np.dtype(bool)):
        raise ShapeError(f"the condition of a while loop is {aval_of(test.outputs[0])}, not b8[]")
    return one([*(_strong(aval_of(y)) for y in body.outputs), Aval((), np.dtype(np.int64))])


def _runs_while(*, test: Any, body: Any, **_: Any) -> list[tuple[Any, int | None]]:
    return [(test, None), (body, None)]


while_loop = register(
    RegionOp(
        "while_loop",  # its last result is the number of trips
        _while,
        infer=_infer_while,
        derivative=OfRegions(),
        batch=_batch,
        flops=_flops(_runs_while),
        pattern=patterns.dense,
        runs=_runs_while,
    )
)


# --- cond -----------------------------------------------------------------------------------------
def _cond(index: Any, *xs: Any, branches: tuple[Any, ...]) -> Any:
    k = min(max(int(index), 0), len(branches) - 1)
    return one([_kept(y) for y in _runner(branches[k])(xs)])


def _infer_cond(index: Any, *xs: Any, branches: tuple[Any, ...]) -> Any:
    kind = aval_of(index)
    if kind.shape or kind.dtype.kind not in "biu":
        raise ShapeError(f"the index of a branch is {kind}, not an integer or a boolean")
    made = [_strong(aval_of(y)) for y in branches[0].outputs]
    for k, branch in enumerate(branches):
        _same(f"branch {k}", xs, branch.inputs)
        other = [_strong(aval_of(y)) for y in branch.outputs]
        if other != made:
            shown = [", ".join(map(str, avals)) for avals in (made, other)]
            raise ShapeError(f"branch 0 makes ({shown[0]}), and branch {k} ({shown[1]})")
    return one(made)


def _runs_cond(*, branches: tuple[Any, ...]) -> list[tuple[Any, int | None]]:
    """Return the dearest branch, or one whose operations are not counted."""

    def flops(branch: Graph) -> float:
        found = _flops(lambda: [(branch, 1)])(None)
        return np.inf if found is None else found

    return [(max(branches, key=flops), 1)]


cond = register(
    RegionOp(
        "cond",
        _cond,
        infer=_infer_cond,
        derivative=OfRegions(),
        batch=_batch,
        flops=_flops(_runs_cond),
        pattern=patterns.dense,
        runs=_runs_cond,
    )
)
