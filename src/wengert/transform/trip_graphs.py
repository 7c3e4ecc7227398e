"""The graphs of a loop whose trip was recorded for all outcomes of the decisions in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.follow.loops import AGAIN
from wengert.ir.build import Builder, strip
from wengert.ir.graph import Aval, Graph, Value, aval_of
from wengert.ir.simplify import simplify
from wengert.ops import loops
from wengert.ops.base import TABLE, Traced
from wengert.ops.control import as_number
from wengert.ops.convert import select
from wengert.trace.trips import Path, RefusedError

__all__ = ["BAIL", "Carried", "Slot", "TripWriter", "fingerprint"]

BAIL = -1
"""The code of a trip that Python has to make; 0 where another one follows, else the exit's."""

_AND, _NOT = TABLE["logical_and"], TABLE["logical_not"]
_NOT_EQUAL, _EQUAL = TABLE["not_equal"], TABLE["equal"]
INT, BOOL = np.dtype(np.int64), np.dtype(bool)


class Slot(NamedTuple):
    """What is carried from trip to trip under a name.

    Attributes
    ----------
    aval : Aval
    number : type or None
        Of Python, where it is one of its numbers.
    start : object
        What it is before the loop.
    """

    aval: Aval
    number: type | None
    start: Any


class Carried(NamedTuple):
    """What a loop carries from trip to trip.

    Attributes
    ----------
    slots : dict of str to Slot
        What is bound before the loop.
    made : list of Slot
        What is bound when it ends, and not before.
    late : list of Slot
        What the first trip binds.
    promoted : list of str
        Names that stand for a number of Python before the loop, and for one of NumPy after a trip.
    """

    slots: dict[str, Slot]
    made: list[Slot]
    late: list[Slot]
    promoted: list[str]


def fingerprint(path: Path) -> Any:
    """Return what a path computes, in a form that can be compared."""
    nodes = [
        (n.op, [(k, _text(x)) for k, x in n.attrs.items()], [v.aval[:2] for v in n.outputs])
        for n in path.nodes
    ]
    return path.outcomes, nodes, [place for _, place in path.sure], len(path.fragile)


class _Scope:
    """A graph that is being built; values of the graphs around it become inputs."""

    def __init__(self, parent: _Scope | None = None) -> None:
        self.parent = parent
        self.b = Builder()
        self.local: dict[Value, Any] = {}
        self.captured: list[Value] = []

    def use(self, x: Any) -> Any:
        """Return what stands for a value here."""
        if not isinstance(x, Value):
            return x
        found = self.local.get(x)
        if found is None:
            assert self.parent is not None
            found = self.b.input(Aval(x.aval.shape, x.aval.dtype))
            self.captured.append(x)
            if x.aval.weak:
                found = self.b.add(as_number, found)
            self.local[x] = found
        return found

    def add(self, op: Any, *inputs: Any, **attrs: Any) -> Any:
        """Add a node; return what stands for its results in all graphs."""
        made = self.b.add(op, *map(self.use, inputs), **attrs)
        for y in made if isinstance(made, tuple) else (made,):
            self.local[y] = y
        return made


class TripWriter:
    """Writes the test and the body of a loop."""

    def __init__(self, loop: Carried, paths: list[Path], exits: Sequence[int]) -> None:
        self.loop, self.paths, self.exits = loop, paths, exits
        self.outside: dict[Any, tuple[Any, Value, Any]] = {}
        self.same: dict[Any, Any] = {}
        for k, path in enumerate(paths):
            for other in paths[:k]:
                self._join(other, path)
            for mark, entry in path.outside.items():
                if mark not in self.same:
                    self.same[mark] = mark
                    self.outside[mark] = entry
        self.coded = True

    def _join(self, first: Path, path: Path) -> None:
        """Take arrays and values for the same that paths make anew at the same place.

        Until they decide otherwise, paths do the same to the same values: what comes from outside
        and is another object in each was made by the path itself, of what does not differ by trip.
        """
        pairs = zip(first.outcomes, path.outcomes, strict=False)
        depth = next(k for k, (a, b) in enumerate(pairs) if a is not b)
        count = min(first.counts[depth], path.counts[depth])
        for a, b in list(zip(first.outside.items(), path.outside.items(), strict=False))[:count]:
            (mark, (x, _, _)), (other, (y, _, _)) = a, b
            if mark != other and other not in self.same and _are_alike(x, y):
                self.same[other] = self.same[mark]

    def graphs(self) -> tuple[list[Any], Graph, Graph, bool]:
        """Return what comes from outside, the test, the body, and whether a code is carried."""
        paths, first = self.paths, 0
        heads: list[tuple[Path, bool]] = []
        while len(paths) > 1:
            found = self._clean(paths, first)
            if found is None or (heads and heads[0][0].end[0] != found.end[0]):
                break
            heads.append((found, found.forks[first][1]))
            paths = [p for p in paths if p is not found]
            first += 1
        self.heads = [h for h, _ in heads]
        going_on = all(p.end is not None and p.end[0] == AGAIN and not p.sure for p in paths)
        self.coded = not heads or not going_on
        body = self._graph(lambda scope: self._body(scope, paths, first))
        test = self._graph(lambda scope: [self._test(scope, [h for _, h in heads], paths[0])])
        return list(self.outside.values()), test, body, self.coded

    def least(self) -> int:
        """Return how many trips it takes until what the first one binds is bound."""
        found = 0
        for p in self.paths:
            if p.end is not None and p.end[0] != AGAIN and None in p.end[3]:
                found = max(found, 1 if p in self.heads else 2)
        return found

    def _graph(self, write: Any) -> Graph:
        scope = _Scope()
        self.given = [
            scope.b.input(Aval(v.aval.shape, v.aval.dtype)) for _, v, _ in self.outside.values()
        ]
        self.carried = [scope.b.input(s.aval) for s in self.loop.slots.values()]
        self.made = [scope.b.input(s.aval) for s in (*self.loop.made, *self.loop.late)]
        self.bound = [scope.b.input(Aval((), BOOL)) for _ in self.loop.promoted]
        self.code = scope.b.input(Aval((), INT)) if self.coded else None
        own = [*self.given, *self.carried, *self.made, *self.bound, self.code]
        scope.local.update({v: v for v in own if v is not None})
        self.inputs = []
        for v, slot in zip(self.carried, self.loop.slots.values(), strict=True):
            self.inputs.append(v if slot.number is None else scope.add(as_number, v))
        graph = scope.b.finish([scope.use(y) for y in write(scope)])
        return strip(simplify(graph, differentiable=True))

    def _clean(self, paths: list[Path], k: int) -> Path | None:
        """Return the path that leaves at a decision at the head, and has done nothing."""
        if any(len(p.forks) <= k for p in paths):
            return None
        at = paths[0].forks[k][2]
        for p in paths:
            if p.sure and p.sure[0][1] <= at:
                return None
        for outcome in (False, True):
            group = [p for p in paths if p.forks[k][1] is outcome]
            if len(group) == 1 and len(group[0].forks) == k + 1 and self._is_clean(group[0], at):
                others = [p for p in paths if p is not group[0]]
                nodes = paths[0].nodes[:at]
                if k and not all(_is_safe(n) for n in nodes):
                    return None
                return group[0] if others else None
        return None

    def _is_clean(self, p: Path, at: int) -> bool:
        if p.end is None or p.end[0] == AGAIN or self.loop.made:
            return False
        same = all(a is b for a, b in zip(p.end[1], p.inputs, strict=True))
        return same and not p.fragile and not any(x is not None for x in p.end[3])

    def _env(self, paths: list[Path]) -> dict[int, dict[Value, Any]]:
        given = dict(zip(self.outside, self.given, strict=True))
        return {
            id(p): {
                **dict(zip(p.inputs, self.inputs, strict=True)),
                **{v: given[self.same[mark]] for mark, (_, v, _) in p.outside.items()},
            }
            for p in paths
        }

    def _test(self, scope: _Scope, outcomes: Sequence[bool], path: Path) -> Any:
        going = scope.add(_EQUAL, self.code, np.int64(0)) if self.coded else None
        env = self._env([path])
        at = 0
        for k, left in enumerate(outcomes):
            var, _, stop = path.forks[k]
            self._nodes(scope, [path], env, at, stop)
            at = stop
            flag = self._flag(scope, env[id(path)][var])
            flag = scope.add(_NOT, flag) if left else flag
            going = flag if going is None else scope.add(_AND, going, flag)
        return going

    def _flag(self, scope: _Scope, x: Any) -> Any:
        if aval_of(x).dtype.kind != "b":
            return scope.add(_NOT_EQUAL, x, aval_of(x).dtype.type(0))
        return scope.add(_NOT_EQUAL, x, False) if aval_of(x).weak else x

    def _body(self, scope: _Scope, paths: list[Path], first: int) -> list[Any]:
        return self._written(scope, paths, self._env(paths), first, 0, None)

    def _nodes(self, scope: _Scope, paths: list[Path], env: Any, start: int, stop: int) -> None:
        """Write operations that paths have in common."""
        first = paths[0]
        for k in range(start, stop):
            node = first.nodes[k]
            inputs = [env[id(first)].get(x, x) if isinstance(x, Value) else x for x in node.inputs]
            scope.b.line = node.line
            made = scope.add(node.op, *inputs, **node.attrs)
            made = made if isinstance(made, tuple) else (made,)
            for p in paths:
                other = p.nodes[k]
                if p is not first and not _are_equal(node, other, env[id(first)], env[id(p)]):
                    raise RefusedError("a trip that is not the same again")
                env[id(p)].update(zip(other.outputs, made, strict=True))

    def _written(
        self, scope: _Scope, paths: list[Path], env: Any, depth: int, at: int, fine: Any
    ) -> list[Any]:
        """Write what is left of paths, and return what is carried on."""
        first = paths[0]
        ends = depth == len(first.forks)
        stop = len(first.nodes) if ends else first.forks[depth][2]
        self._nodes(scope, paths, env, at, stop)
        for var, place in first.sure:
            if at < place <= stop:
                flag = self._flag(scope, env[id(first)][var])
                fine = flag if fine is None else scope.add(_AND, fine, flag)
        if ends:
            return self._leaf(scope, first, env[id(first)], fine)
        flag = self._flag(scope, env[id(first)][first.forks[depth][0]])
        groups = [[p for p in paths if p.forks[depth][1] is outcome] for outcome in (False, True)]
        if not all(groups):
            raise RefusedError("a path that was not recorded")
        for k, group in enumerate(groups):
            if self._is_refused(group, depth) and all(map(_is_safe, _rest_of(groups[1 - k], stop))):
                flag = scope.add(_NOT, flag) if k else flag
                fine = flag if fine is None else scope.add(_AND, fine, flag)
                return self._written(scope, groups[1 - k], env, depth + 1, stop, fine)
        if all(len(g) == 1 and not _rest_of(g, stop) for g in groups):
            no, yes = [self._written(scope, g, env, depth + 1, stop, fine) for g in groups]
            return [
                a if a is b else scope.add(select, flag, a, b) for a, b in zip(yes, no, strict=True)
            ]
        return self._branch(scope, groups, env, depth, stop, flag, fine)

    def _branch(
        self, scope: _Scope, groups: Any, env: Any, depth: int, stop: int, flag: Any, fine: Any
    ) -> list[Any]:
        """Write a decision as a `cond`."""
        inner = [_Scope(scope), _Scope(scope)]
        made = []
        for s, group in zip(inner, groups, strict=True):
            ys = self._written(s, group, env, depth + 1, stop, fine)
            made.append([s.use(y) for y in ys])
        regions = [s.b.finish(ys) for s, ys in zip(inner, made, strict=True)]
        captured = [s.captured for s in inner]
        branches = loops.joined(regions, captured)
        operands = [v for c in captured for v in c]
        ys = scope.add(loops.cond, flag, *operands, branches=branches)
        return list(ys) if isinstance(ys, tuple) else [ys]

    def _is_refused(self, group: list[Path], depth: int) -> bool:
        return len(group) == 1 and group[0].end is None and len(group[0].forks) == depth + 1

    def _leaf(self, scope: _Scope, path: Path, env: dict[Value, Any], fine: Any) -> list[Any]:
        if path.end is None:
            kept = [*self.carried, *self.made]
            return [*kept, *self.bound, np.int64(BAIL)]
        k, outputs, left, late = path.end

        def read(y: Any, aval: Aval) -> Any:
            y = env[y] if isinstance(y, Value) else y
            return aval.dtype.type(y) if not isinstance(y, Value) and not aval.shape else y

        ys = [read(y, s.aval) for y, s in zip(outputs, self.loop.slots.values(), strict=True)]
        before = len(self.loop.made)
        if left is not None and left[1]:
            ys += [read(y, aval) for y, aval, _ in left[1]]
        else:
            ys += self.made[:before]
        for x, v in zip(late, self.made[before:], strict=True):
            ys.append(v if x is None else read(*x[:2]))
        names = list(self.loop.slots)
        for name, v in zip(self.loop.promoted, self.bound, strict=True):
            place = names.index(name)
            ys.append(v if outputs[place] is path.inputs[place] else np.bool(True))
        if not self.coded:
            return ys
        code: Any = np.int64(0 if k == AGAIN else k + 1)
        if fine is not None:
            code = scope.add(select, fine, code, np.int64(BAIL))
        return [*ys, code]


SAFE = frozenset(
    {
        *("reshape", "transpose", "broadcast_to", "concatenate", "contract", "select", "convert"),
        *("sum", "max", "min", "getitem", "stop_gradient", "as_number", "any", "all", "filled"),
        *("maximum_part", "minimum_part", "real", "imag", "prod", "cumsum", "index_add"),
    }
)
"""Operations, besides those on floating-point numbers one by one, that end and never raise."""


def _are_alike(x: Any, y: Any) -> bool:
    if isinstance(x, Traced) and isinstance(y, Traced):
        return aval_of(x) == aval_of(y)
    if not isinstance(x, np.ndarray) or not isinstance(y, np.ndarray):
        return False
    return bool(x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes())


def _is_safe(node: Any) -> bool:
    return node.op.name in SAFE or node.op.ufunc is not None


def _rest_of(paths: Sequence[Path], start: int) -> list[Any]:
    """Return the operations that are left of paths."""
    return [node for p in paths for node in p.nodes[start:]]


def _are_equal(a: Any, b: Any, of_a: dict[Value, Any], of_b: dict[Value, Any]) -> bool:
    """Whether two nodes compute the same."""
    if a.op is not b.op or len(a.inputs) != len(b.inputs) or a.attrs.keys() != b.attrs.keys():
        return False
    for x, y in zip(a.inputs, b.inputs, strict=True):
        x = of_a.get(x, x) if isinstance(x, Value) else x
        y = of_b.get(y, y) if isinstance(y, Value) else y
        if x is not y and (isinstance(x, Value) or isinstance(y, Value) or repr(x) != repr(y)):
            return False
    return all(_text(x) == _text(b.attrs[k]) for k, x in a.attrs.items())


def _text(x: Any) -> Any:
    if isinstance(x, Graph):
        return x.text
    return tuple(map(_text, x)) if isinstance(x, tuple) else repr(x)
