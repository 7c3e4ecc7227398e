"""Groups of a drawing: calls of the user's functions, trips of loops, bodies, what is redone."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from wengert.drawing.model import Group, Node
from wengert.drawing.repeats import runs
from wengert.drawing.sources import function_at
from wengert.ir import graph as ir
from wengert.ir.graph import Graph, Place

__all__ = ["Grouping"]

ALIKE = 4
"""From so many equal trips on, those between the first and the last are one closed box."""

MANY = 60
"""More trips or calls in a group are bundled."""

OPEN = 160
"""With more nodes than this, groups are closed, the innermost ones first."""

PART = 2_000
"""A group with more nodes than this of its own is cut into parts."""

BLOCK = 100
"""Nodes of such a part."""


class Grouping:
    """Finds the group of each node.

    Attributes
    ----------
    loops : bool
        Whether loops were seen.
    """

    def __init__(self, graph: Graph, stages: Mapping[int, str]) -> None:
        self._made: dict[Any, Group] = {}
        self._ids: dict[str, Group] = {}
        self._of: dict[int, str] = {}
        self._trips: dict[Any, dict[int, int]] = {}
        self.loops = False
        self._segment = 0
        before = ""
        for node in graph.nodes:
            stage = stages[id(node)]
            self._segment += stage == "again" and before == "backward"
            before = stage
            self._of[id(node)] = self._place(node, stage)

    def of(self, node: ir.Node) -> str:
        """Return the innermost group of a node."""
        return self._of[id(node)]

    def body(
        self, node: ir.Node, parent: str, number: int, label: str, times: int,
        trips: tuple[int, ...],
    ) -> str:  # fmt: skip
        """Make a box for what a loop or a branch runs."""
        kind = "branch" if node.op.name == "cond" else "body"
        file, line = (node.line[0], node.line[1]) if node.line else ("", 0)
        me = self._group((id(node), number), label, kind, parent, file, line, times)
        self._ids[me] = replace(self._ids[me], trips=trips)
        return me

    def _group(
        self, key: Any, label: str, kind: str, parent: str, file: str, line: int, times: int = 1
    ) -> str:
        found = self._made.get(key)
        if found is None:
            me = f"g{len(self._made)}"
            found = self._made[key] = Group(me, label, kind, parent, file, line, times)
            self._ids[me] = found
        return found.id

    def _place(self, node: ir.Node, stage: str) -> str:
        place = node.line
        if not isinstance(place, Place):
            return ""
        trips = []
        trip = place.trip
        while trip is not None:
            trips.append(trip)
            trip = trip.parent
        trips.reverse()
        here = ""
        frames = list(reversed(place.calls))
        for depth, (file, function, line) in enumerate(frames):
            if depth:
                caller = frames[depth - 1]
                name = function.rpartition(".")[2]
                if not name.startswith("<"):
                    key = here, caller[0], caller[2], function
                    here = self._group(key, f"{name}()", "function", here, file, line)
            while trips and _within(trips[0].site, file, line):
                here = self._trip(here, trips.pop(0))
        for trip in trips:
            here = self._trip(here, trip)
        if stage == "again":
            here = self._group(
                (here, "again", self._segment), "computed again", "again", here, *place[:2]
            )
        return here

    def _trip(self, here: str, trip: Any) -> str:
        self.loops = True
        site = trip.site
        where = f"{os.path.basename(site.file)}:{site.line}"
        loop = self._group((here, site), site.source.rstrip(":") or where, "loop", here, *site[:2])
        known = self._trips.setdefault(loop, {})
        number = known.setdefault(id(trip), len(known))
        return self._group((loop, id(trip)), f"trip {number + 1}", "trip", loop, *site[:2])

    # --- the tree, once the nodes are known -------------------------------------------------------
    def groups(self, nodes: list[Node]) -> tuple[Group, ...]:
        """Return the groups, outer ones first; nodes of large groups are given parts."""
        self._flatten(nodes)
        self._merge(nodes)
        self._count_trips()
        self._fold(nodes)
        self._bundle()
        self._cut(nodes)
        self._close(nodes)
        return tuple(_sorted(self._ids))

    def repeat(self, nodes: list[Node], readers: Mapping[str, Sequence[str]]) -> None:
        """Make groups of the links of equal chains, and one box of those in their middle."""
        kinds = {n.id: n.kind for n in nodes}
        sources: dict[str, list[str]] = {}
        for a, targets in readers.items():
            for b in targets:
                sources.setdefault(b, []).append(a)
        makers = {
            n.id: [
                m for a in sources.get(n.id, ())
                for m in (sources.get(a, ()) if kinds[a] == "variable" else (a,))
            ]
            for n in nodes if n.kind == "operator"
        }  # fmt: skip
        own: dict[str, list[Node]] = {}
        for n in nodes:
            if n.kind == "operator" and n.order == 0 and n.stage == "forward" and "." not in n.id:
                own.setdefault(n.group, []).append(n)
        link_of: dict[str, str] = {}
        for parent, members in own.items():
            if parent and self._ids[parent].kind == "body":
                continue
            for run in runs(members, makers):
                first = members[run.start]
                key = parent, "repeat", first.id
                label = f"the same × {run.times}"
                box = self._group(key, label, "repeat", parent, first.file, first.line, run.times)
                links = []
                for k in range(run.times):
                    at = run.start + k * run.length
                    link = self._group((box, k), f"part {k + 1}", "trip", box,
                                       members[at].file, members[at].line)  # fmt: skip
                    links.append(self._ids[link])
                    link_of |= {n.id: link for n in members[at : at + run.length]}
                self._chain(box, links[1:-1])
        if link_of:
            self._move(nodes, link_of, sources)

    def _move(
        self, nodes: list[Node], link_of: dict[str, str], sources: Mapping[str, Sequence[str]]
    ) -> None:
        """Put operators into their links, with their variables and with what is for them."""
        parents = {n.id: n.group for n in nodes}
        for k, n in enumerate(nodes):
            link = link_of.get(n.id)
            if link is None and n.kind == "variable":
                made = [m for m in sources.get(n.id, ()) if m in link_of]
                link = link_of[made[0]] if made else None
            elif link is None and n.primal in link_of and parents[n.primal] == n.group:
                link = link_of[n.id] = link_of[n.primal]
            if link is not None:
                nodes[k] = replace(n, group=link)

    def settle(self, nodes: list[Node], readers: dict[str, list[str]]) -> None:
        """Put inputs and constants into the group in which alone they are read."""
        of = {n.id: n.group for n in nodes}
        for k, n in enumerate(nodes):
            if n.group or n.role not in ("input", "constant") or n.id not in readers:
                continue
            paths = [self._path(of[r]) for r in readers[n.id]]
            common = ""
            for level in zip(*paths, strict=False):
                if len(set(level)) > 1:
                    break
                common = level[0]
            if common:
                nodes[k] = replace(n, group=common)

    def _path(self, group: str) -> list[str]:
        """Return the groups around a group and itself, outer ones first."""
        found = []
        while group:
            found.append(group)
            group = self._ids[group].parent
        return found[::-1]

    def _merge(self, nodes: list[Node]) -> None:
        """Make one of a group and the only thing in it, where that is a call of a function."""
        own = {n.group for n in nodes}
        for g in list(self._ids.values()):
            inner = [c for c in self._ids.values() if c.parent == g.id]
            if g.id in own or len(inner) != 1 or g.kind not in ("trip", "function"):
                continue
            child = inner[0]
            if child.kind not in ("function", "trip"):
                continue
            label = f"{g.label}: {child.label}"
            del self._ids[child.id]
            self._ids[g.id] = replace(self._ids[g.id], label=label)
            for c in list(self._ids.values()):
                if c.parent == child.id:
                    self._ids[c.id] = replace(c, parent=g.id)
            for k, n in enumerate(nodes):
                if n.group == child.id:
                    nodes[k] = replace(n, group=g.id)
            own = {n.group for n in nodes}

    def _flatten(self, nodes: list[Node]) -> None:
        """Remove groups that have no nodes."""
        used = {n.group for n in nodes}
        changed = True
        while changed:
            changed = False
            children: dict[str, int] = {}
            for g in self._ids.values():
                children[g.parent] = children.get(g.parent, 0) + 1
            for g in list(self._ids.values()):
                if g.id not in used and not children.get(g.id):
                    del self._ids[g.id]
                    changed = True

    def _count_trips(self) -> None:
        for g in list(self._ids.values()):
            if g.kind == "loop":
                times = sum(t.parent == g.id for t in self._ids.values())
                self._ids[g.id] = replace(g, times=times, label=f"{g.label}  × {times}")

    def _fold(self, nodes: list[Node]) -> None:
        """Put equal trips or calls between the first and the last into one box."""
        marks = self._marks(nodes)
        by_parent: dict[str, list[Group]] = {}
        for g in self._ids.values():
            if g.kind in ("trip", "function"):
                by_parent.setdefault(g.parent, []).append(g)
        for loop, trips in by_parent.items():
            if loop and self._ids[loop].kind == "chain":
                continue
            run: list[Group] = []
            ends: list[Group | None] = [*trips, None]
            for trip in ends:
                if trip is not None and run and marks[trip.id] == marks[run[0].id]:
                    run.append(trip)
                    continue
                if len(run) >= ALIKE:
                    self._chain(loop, run[1:-1])
                run = [] if trip is None else [trip]

    def _chain(self, loop: str, middle: Sequence[Group]) -> None:
        me = f"g{len(self._made)}"
        first = middle[0]
        made = Group(me, f"× {len(middle)} alike", "chain", loop, first.file, first.line,
                     len(middle), True)  # fmt: skip
        self._made[me] = self._ids[me] = made
        for g in middle:
            self._ids[g.id] = replace(g, parent=me)

    def _bundle(self) -> None:
        """Put many trips or calls into boxes of some, so that a box that opens shows few."""
        children: dict[str, list[Group]] = {}
        for g in self._ids.values():
            if g.kind in ("trip", "function"):
                children.setdefault(g.parent, []).append(g)
        for parent, found in children.items():
            if len(found) <= MANY:
                continue
            size = math.ceil(math.sqrt(len(found)))
            for k in range(0, len(found), size):
                some = found[k : k + size]
                me = f"g{len(self._made)}"
                label = f"{some[0].label.partition(':')[0]} … {some[-1].label.partition(':')[0]}"
                made = Group(
                    me, label, "chain", parent, some[0].file, some[0].line, len(some), True
                )
                self._made[me] = self._ids[me] = made
                for g in some:
                    self._ids[g.id] = replace(g, parent=me)

    def _marks(self, nodes: Sequence[Node]) -> dict[str, Any]:
        """Return what is in each group: operations and shapes, in order."""
        own: dict[str, list[Any]] = {}
        for n in nodes:
            mark = n.kind, n.op, n.stage, n.shape, n.dtype, n.line
            here = n.group
            while here:
                own.setdefault(here, []).append(mark)
                here = self._ids[here].parent
        labels = {g.id: g.label if g.kind == "function" else "" for g in self._ids.values()}
        return {g: (labels[g], *found) for g, found in own.items()}

    def _cut(self, nodes: list[Node]) -> None:
        """Cut what has too many nodes of its own into parts, in the order of the program."""
        own: dict[str, list[int]] = {}
        for k, n in enumerate(nodes):
            own.setdefault(n.group, []).append(k)
        places = {n.id: n for n in nodes}
        for parent, members in own.items():
            if len(members) <= PART:
                continue
            steps = []
            for k in members:
                n = nodes[k]
                of = places.get(n.primal)
                steps.append(of.step if of is not None else n.step if n.order == 0 else -2)
            ranked = sorted(range(len(members)), key=lambda i: (steps[i], i))
            parts: dict[int, str] = {}
            for at, i in enumerate(ranked):
                part = at // BLOCK
                if part not in parts:
                    me = f"g{len(self._made)}"
                    first = nodes[members[i]]
                    made = Group(me, f"part {part + 1}", "part", parent, first.file, first.line)
                    self._made[me] = self._ids[me] = made
                    parts[part] = me
                nodes[members[i]] = replace(nodes[members[i]], group=parts[part])

    def _close(self, nodes: Sequence[Node]) -> None:
        """Close groups, the innermost ones first, until few enough nodes are to be seen."""
        depth = {g: self._depth(g) for g in self._ids}
        hidden = {g.id for g in self._ids.values() if g.closed}

        def shown() -> int:
            count = 0
            for n in nodes:
                here = n.group
                while here and here not in hidden:
                    here = self._ids[here].parent
                count += not here
            return count

        total = shown()
        levels = sorted(set(depth.values()), reverse=True)
        for level in levels:
            if total <= OPEN:
                break
            for g, d in depth.items():
                if d == level:
                    hidden.add(g)
            total = shown()
        within: dict[str, int] = {}
        for n in nodes:
            here = n.group
            while here:
                within[here] = within.get(here, 0) + 1
                here = self._ids[here].parent
        for group in self._ids.values():  # a closed box that is opened shows few nodes as well
            if group.parent in hidden and within.get(group.parent, 0) > OPEN:
                hidden.add(group.id)
        for me in hidden:
            self._ids[me] = replace(self._ids[me], closed=True)

    def _depth(self, g: str) -> int:
        found = 0
        while g:
            found, g = found + 1, self._ids[g].parent
        return found


def _within(site: Any, file: str, line: int) -> bool:
    """Whether a loop stands in the function that a line belongs to."""
    return bool(site.file == file and function_at(file, site.line) == function_at(file, line))


def _sorted(groups: dict[str, Group]) -> list[Group]:
    found: list[Group] = []
    seen: set[str] = set()

    def add(g: Group) -> None:
        if g.id in seen:
            return
        if g.parent:
            add(groups[g.parent])
        seen.add(g.id)
        found.append(g)

    for g in groups.values():
        add(g)
    return found
