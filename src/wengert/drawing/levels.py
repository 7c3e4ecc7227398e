"""Levels: what stands beside each other in one group, and in which column and order.

A drawing is a tree of groups, and each group is placed on its own: its nodes and inner groups are
the items of a level. An edge that leaves a group passes through a port at its side. Columns and
orders do not depend on which groups are open, so the page keeps them and only moves what is there.

The method is that of layers (Sugiyama, Tagawa and Toda, *Methods for visual understanding of
hierarchical system structures*, 1981): columns by longest paths, orders by barycentres. What
differs from general libraries is that the derivative of an operation stands below it: the way back
is laid out from the right to the left, in the columns of what it is for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush
from typing import Any, NamedTuple

from wengert.drawing.model import Diagram, Edge, Node

__all__ = ["Item", "Level", "Link", "levels"]

SWEEPS = 8
MANY = 4_000
"""Steps of links from which on crossings are not counted, and long links are not led around."""

FAR = 6
"""Links over more columns than this are direct then."""


class Item:
    """Something in a column of a level.

    Attributes
    ----------
    key : str
        The id of a node or a group; of a chip ``k:`` and the id of the node whose value is kept; of
        a port its side, ``in:`` or ``out:`` and the id of a node.
    kind : str
        ``node``, ``group``, ``chip``, ``port`` or ``dummy`` (an edge on its way through a column).
    band : int
        0 for the way there, 1 for what is kept and for groups with both, 2 for the way back.
    column, place : int
        The column, and the place in it from above.
    """

    __slots__ = ("band", "column", "key", "kind", "place", "rank")

    def __init__(self, key: str, kind: str, band: int, rank: Any = ()) -> None:
        self.key = key
        self.kind = kind
        self.band = band
        self.rank = rank
        self.column = 0
        self.place = 0.0


class Link(NamedTuple):
    """An edge, or the part of it, in one level, from the left to the right.

    Attributes
    ----------
    path : tuple of int
        Items: the ends, and dummies in between.
    start, end : str
        At which node (of a group: behind which port) it starts and ends.
    kind : str
        As of an `Edge`.
    back : bool
        Whether the arrow points to the left.
    source : str
        The node whose value it carries.
    """

    path: tuple[int, ...]
    start: str
    end: str
    kind: str
    back: bool
    source: str


class Level(NamedTuple):
    """What is in a group.

    Attributes
    ----------
    items : list of Item
    links : list of Link
    columns : list of list of int
        Items by column, from above.
    """

    items: list[Item]
    links: list[Link]
    columns: list[list[int]]


def levels(drawing: Diagram) -> dict[str, Level]:
    """Return the level of each group; ``""`` is the top."""
    return _Levels(drawing).found


class _Levels:
    def __init__(self, drawing: Diagram) -> None:
        self.nodes = drawing.by_id
        self.parent = {g.id: g.parent for g in drawing.groups}
        self.keys = _ranks(drawing)
        self.members: dict[str, dict[str, Item]] = {g.id: {} for g in drawing.groups}
        self.members[""] = {}
        self.drafts: dict[str, dict[tuple[Any, ...], list[Any]]] = {g: {} for g in self.members}
        self._paths: dict[str, list[str]] = {}
        self._fill(drawing)
        kept = {e.source for e in drawing.edges if e.kind == "kept"}
        for source in sorted(kept):
            self._chip(source)
        for edge in drawing.edges:
            self._connect(edge, kept)
        mates = [(n.primal, n.id) for n in drawing.nodes if n.primal]
        self.found = {g: self._level(g, mates) for g in self.members}

    # --- items ------------------------------------------------------------------------------------
    def _fill(self, drawing: Diagram) -> None:
        ranks: dict[str, list[Any]] = {}
        orders: dict[str, set[int]] = {}
        for n in drawing.nodes:
            self.members[n.group][n.id] = Item(n.id, "node", _band(n), self.keys[n.id])
            for g in self.path(n.group):
                ranks.setdefault(g, []).append(self.keys[n.id])
                orders.setdefault(g, set()).add(_band(n))
        for group in drawing.groups:
            me = group.id
            if me in ranks:
                band = 1 if len(orders[me]) > 1 else next(iter(orders[me]))
                self.members[group.parent][me] = Item(me, "group", band, min(ranks[me]))

    def path(self, group: str) -> list[str]:
        """Return a group and those around it, the innermost first, without the top."""
        found = self._paths.get(group)
        if found is None:
            found = []
            here = group
            while here:
                found.append(here)
                here = self.parent[here]
            self._paths[group] = found
        return found

    def _chip(self, source: str) -> None:
        group = self.nodes[source].group
        rank = (*self.keys[source][:1], 0.5, 0)
        self.members[group][f"k:{source}"] = Item(f"k:{source}", "chip", 1, rank)
        self._draft(group, source, f"k:{source}", "", "", "kept", False, source)

    # --- links ------------------------------------------------------------------------------------
    def _draft(
        self, level: str, a: str, b: str, start: str, end: str, kind: str, back: bool, source: str
    ) -> None:
        left, right = ((b, end), (a, start)) if back else ((a, start), (b, end))
        key = left[0], right[0], left[1], right[1], back
        self.drafts[level].setdefault(key, [*key, kind, source])

    def _connect(self, edge: Edge, kept: set[str]) -> None:
        """Lead an edge out of the groups of its source and into those of its target."""
        u, v = self.nodes[edge.source], self.nodes[edge.target]
        same = u.order == v.order
        back = same and u.order % 2 == 1
        outer = [*self.path(u.group), ""]
        inner = [*self.path(v.group), ""]
        common = next(g for g in outer if g in set(inner))
        start = f"k:{u.id}" if edge.kind == "kept" and u.id in kept else u.id
        here, mark = start, ""
        side = ("l" if back else "r") + f"{_band(u) if same else 1}"
        for g in outer[: outer.index(common)]:
            port = f"out:{side}:{start}"
            self._port(g, port, side)
            self._draft(g, here, port, mark, "", edge.kind, back, u.id)
            here, mark = g, port
        there, end = v.id, ""
        entry = ("r" if back else "l") + f"{_band(u) if same else 1}"
        for g in inner[: inner.index(common)]:
            port = f"in:{entry}:{start}"
            self._port(g, port, entry)
            self._draft(g, port, there, "", end, edge.kind, back, u.id)
            there, end = g, port
        self._draft(common, here, there, mark, end, edge.kind, back, u.id)

    def _port(self, group: str, key: str, side: str) -> None:
        if key not in self.members[group]:
            rank = (float("inf") if side[0] == "r" else float("-inf"), 0, 0)
            self.members[group][key] = Item(key, "port", int(side[1]), rank)

    # --- one level --------------------------------------------------------------------------------
    def _level(self, group: str, mates: Sequence[tuple[str, str]]) -> Level:
        members = self.members[group]
        items = list(members.values())
        number = {key: k for k, key in enumerate(members)}
        ends = [(number[d[0]], number[d[1]]) for d in self.drafts[group].values()]
        pairs = [
            (number[a], number[b]) for a, b in mates if a in number and b in number
        ] if any(i.band >= 2 for i in items) else []  # fmt: skip
        _columns(items, ends, pairs)
        links = []
        far = _farthest(items, ends)
        for (a, b), draft in zip(ends, self.drafts[group].values(), strict=True):
            _, _, start, end, back, kind, source = draft
            span = items[b].column - items[a].column
            # against the order, or very far in a large level: it stays a direct line
            path = _threaded(items, a, b, kind) if 0 <= span <= far else (a, b)
            links.append(Link(path, start, end, kind, back, source))
        columns = _orders(items, links)
        return Level(items, links, columns)


def _band(n: Node) -> int:
    if n.stage == "again":
        return 1
    return 0 if n.order == 0 else 2 * n.order if n.order < 3 else 6


def _ranks(drawing: Diagram) -> dict[str, tuple[Any, ...]]:
    """Return where nodes stand from the left to the right: derivatives by what they are for."""
    nodes = drawing.by_id
    found: dict[str, tuple[Any, ...]] = {}
    makers: dict[str, str] = {}
    readers: dict[str, list[str]] = {}
    for e in drawing.edges:
        makers.setdefault(e.target, e.source)
        readers.setdefault(e.source, []).append(e.target)
    position = {n.id: k for k, n in enumerate(drawing.nodes)}
    steps: dict[str, float] = {}
    for n in drawing.nodes:  # makers before readers
        if n.order == 0 and n.stage != "again":
            steps[n.id] = position[n.id]
            continue
        p: Node | None = nodes[n.id.partition(".")[0]]  # the operation that a body belongs to
        while p is not None and (p.order or p.stage == "again") and p.primal:
            p = nodes.get(p.primal)
        if p is not None and p.order == 0 and p.stage != "again":
            steps[n.id] = position[p.id]
        else:
            steps[n.id] = steps.get(makers.get(n.id, ""), len(position))
    for n in drawing.nodes:
        sign = -1 if n.order % 2 else 1
        found[n.id] = steps[n.id], n.order, sign * position[n.id]
    for n in drawing.nodes:  # an input stands where it is read first
        if n.role in ("input", "constant") and n.id in readers:
            first = min(steps[r] for r in readers[n.id])
            found[n.id] = first - 0.5, 0, position[n.id]
    return found


# --- columns --------------------------------------------------------------------------------------
def _columns(items: list[Item], ends: Sequence[tuple[int, int]], mates: Any) -> None:
    """Give each item its column: longest paths, then each as near to what reads it as it can be."""
    wanted = []
    for a, b in ends:
        x, y = items[a], items[b]
        boxed = {"group", "port"} & {x.kind, y.kind}
        wanted.append((a, b, int(x.band == y.band or bool(boxed))))
    order = _linear(items, [*wanted, *((a, b, 0) for a, b in mates)])
    place = {k: i for i, k in enumerate(order)}
    after: dict[int, list[tuple[int, int]]] = {k: [] for k in order}
    before: dict[int, list[tuple[int, int]]] = {k: [] for k in order}
    for a, b, least in (*wanted, *((a, b, 0) for a, b in mates)):
        if place[a] < place[b]:
            after[a].append((b, least))
            before[b].append((a, least))
    column = dict.fromkeys(order, 0)
    inner = [k for k in order if items[k].kind != "port"]
    for k in inner:
        column[k] = max((column[a] + n for a, n in before[k] if items[a].kind != "port"), default=0)
    target: dict[int, int] = {}
    for a, b in mates:
        target[a] = max(target.get(a, 0), column[b])
    for k in reversed(inner):
        limit = min(
            (column[b] - n for b, n in after[k] if items[b].kind != "port"), default=column[k]
        )
        free = not [a for a, _ in before[k] if items[a].kind != "port"]
        if (items[k].band == 0 and not free) or items[k].kind == "chip":
            goal = target.get(k, column[k])
            if items[k].kind == "chip":
                goal = column[k]
            column[k] = max(column[k], min(limit, goal))
        elif free:
            column[k] = max(column[k], limit)
    low = min((column[k] for k in inner), default=0)
    high = max((column[k] for k in inner), default=0)
    sides = {"l": low - 1, "r": high + 1}
    for k in order:
        if items[k].kind == "port":
            column[k] = sides[items[k].key.split(":")[1][0]]
    first = min(column.values(), default=0)
    for k in order:
        items[k].column = column[k] - first


def _linear(items: list[Item], wanted: Sequence[tuple[int, int, int]]) -> list[int]:
    """Return the items from the left to the right; a cycle is cut before its item of least rank."""
    ranked = sorted(range(len(items)), key=lambda k: (items[k].rank, items[k].key))
    place = {k: i for i, k in enumerate(ranked)}
    after: dict[int, list[int]] = {}
    waits = dict.fromkeys(ranked, 0)
    for a, b, _ in wanted:
        if a != b:
            after.setdefault(a, []).append(b)
            waits[b] += 1
    free = [place[k] for k in ranked if not waits[k]]
    heapify(free)
    found: list[int] = []
    done: set[int] = set()
    at = 0
    while len(found) < len(ranked):
        if free:
            k = ranked[heappop(free)]
        else:
            while ranked[at] in done:
                at += 1
            k = ranked[at]
        if k in done:
            continue
        done.add(k)
        found.append(k)
        for b in after.get(k, ()):
            waits[b] -= 1
            if not waits[b] and b not in done:
                heappush(free, place[b])
    return found


def _farthest(items: Sequence[Item], ends: Sequence[tuple[int, int]]) -> int:
    """Return over how many columns links are led around what stands there."""
    spans = [abs(items[b].column - items[a].column) for a, b in ends]
    return max(spans, default=0) if sum(spans) <= MANY else FAR


def _threaded(items: list[Item], a: int, b: int, kind: str) -> tuple[int, ...]:
    """Return the path of a link, with a new dummy in each column between its ends."""
    x, y = items[a], items[b]
    if y.column - x.column < 2:
        return a, b
    band = x.band if x.band == y.band else 1 if kind in ("kept", "read") else min(x.band, y.band)
    path = [a]
    for column in range(x.column + 1, y.column):
        dummy = Item("", "dummy", band)
        dummy.column = column
        path.append(len(items))
        items.append(dummy)
    return (*path, b)


# --- orders ---------------------------------------------------------------------------------------
def _orders(items: list[Item], links: Sequence[Link]) -> list[list[int]]:
    """Order the columns, so that few links cross."""
    columns: list[list[int]] = [[] for _ in range(1 + max((i.column for i in items), default=0))]
    steps = [s for link in links for s in zip(link.path, link.path[1:], strict=False)]
    left: list[list[int]] = [[] for _ in items]
    right: list[list[int]] = [[] for _ in items]
    for a, b in steps:
        if items[a].column < items[b].column:
            right[a].append(b)
            left[b].append(a)
    for k, item in enumerate(items):
        columns[item.column].append(k)
    for column in columns:
        column.sort(key=lambda k: (items[k].band, str(items[k].rank), k))
    _number(items, columns)
    best, least = [list(c) for c in columns], _crossings(items, steps)
    for sweep in range(SWEEPS):
        ordered: Iterable[list[int]] = columns if sweep % 2 == 0 else reversed(columns)
        near = left if sweep % 2 == 0 else right
        for column in ordered:
            middle = {
                k: sum(items[a].place for a in near[k]) / len(near[k])
                if near[k] else items[k].place
                for k in column
            }  # fmt: skip
            column.sort(key=lambda k: (items[k].band, middle[k]))
            _number(items, [column])
        if len(steps) > MANY:
            best = [list(c) for c in columns]
            continue
        found = _crossings(items, steps)
        if found < least:
            best, least = [list(c) for c in columns], found
    _number(items, best)
    return best


def _number(items: list[Item], columns: Sequence[list[int]]) -> None:
    for column in columns:
        n = len(column)
        for i, k in enumerate(column):
            items[k].place = (i + 0.5) / n


def _crossings(items: Sequence[Item], steps: Sequence[tuple[int, int]]) -> int:
    """Count how often links between neighbouring columns cross."""
    if len(steps) > MANY:
        return 0
    by_column: dict[int, list[tuple[float, float]]] = {}
    for a, b in steps:
        if items[a].column < items[b].column:
            by_column.setdefault(items[a].column, []).append((items[a].place, items[b].place))
    total = 0
    for found in by_column.values():
        found.sort()
        seen: list[float] = []
        for _, y in found:
            at = bisect_right(seen, y)
            total += len(seen) - at
            seen.insert(at, y)
    return total
