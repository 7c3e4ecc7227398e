"""Coordinates: columns from the left to the right, rising, and each group a box around its level.

In a column the order stays and the distances are at least those asked for; subject to that, each
item is as near as can be to the mean of what it is linked with. That is isotonic regression, solved
by pooling adjacent violators (Barlow and others, *Statistical inference under order restrictions*,
1972). The page does the same, in `page.js`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

from wengert.drawing.levels import Item, Level, Link

__all__ = ["Box", "Placed", "Placing", "place"]

GAP_X = 34.0
GAP_Y = 16.0
GAP_BAND = 26.0
GAP_DUMMY = 9.0
PAD = 16.0
HEAD = 20.0
"""Distances: between columns and items, around what is in a group, and above it for its name."""

RISE = 0.2
HIGHEST = 900.0
"""How much columns rise to the right, for each unit of length, and in all."""

ROUNDS = 14
FEWER = 8
MANY = 3_000
"""How often a level is gone through, and one of so many items."""

_THIN = ("dummy", "port")


class Box(NamedTuple):
    """A rectangle by its centre."""

    x: float
    y: float
    w: float
    h: float


class Lift(NamedTuple):
    """How much a level rises up to a place from the left, in straight pieces.

    Columns of open groups do not rise, because what is in them does.
    """

    xs: list[float]
    ys: list[float]

    def __call__(self, x: float) -> float:
        xs, ys = self.xs, self.ys
        k = min(max(bisect_right(xs, x), 1), len(xs) - 1)
        wide = xs[k] - xs[k - 1]
        part = (x - xs[k - 1]) / wide if wide else 0.0
        return ys[k - 1] + part * (ys[k] - ys[k - 1])


class Placed(NamedTuple):
    """A level with coordinates, of its own: the upper left corner is (0, 0).

    Attributes
    ----------
    w, h : float
    boxes : list of Box
        For each item.
    ports : dict
        The height of each port.
    lift : Lift
    halves : list of float
        Half of the width of each column.
    """

    w: float
    h: float
    boxes: list[Box]
    ports: dict[str, float]
    lift: Lift
    halves: list[float]


class Path(NamedTuple):
    """A link with coordinates.

    Attributes
    ----------
    link : Link
    curve : list of (float, float)
        The first point, then cubic pieces of three points each, in the direction of the arrow.
    head : bool
        Whether it ends at something that can be seen, where an arrow is due.
    """

    link: Link
    curve: list[tuple[float, float]]
    head: bool


class Placing(NamedTuple):
    """All open levels with coordinates in the picture.

    Attributes
    ----------
    w, h : float
    boxes : dict
        Of nodes, groups and chips, by key.
    paths : list of Path
    """

    w: float
    h: float
    boxes: dict[str, Box]
    paths: list[Path]


Size = Callable[[str, str], tuple[float, float]]
"""From key and kind to width and height."""


def place(found: Mapping[str, Level], size: Size, is_open: Callable[[str], bool]) -> Placing:
    """Give everything that can be seen its place."""
    placed: dict[str, Placed] = {}

    def inside(group: str) -> Placed:
        made = placed.get(group)
        if made is None:
            level = found[group]
            inner = {i.key: inside(i.key) for i in level.items
                     if i.kind == "group" and is_open(i.key)}  # fmt: skip
            made = placed[group] = _placed(level, size, inner, bool(group))
        return made

    top = inside("")
    boxes: dict[str, Box] = {}
    paths: list[Path] = []
    stack = [("", 0.0, 0.0)]
    while stack:
        group, x, y = stack.pop()
        level, here = found[group], placed[group]
        for item, box in zip(level.items, here.boxes, strict=True):
            moved = Box(box.x + x, box.y + y, box.w, box.h)
            if item.kind in ("node", "group", "chip"):
                boxes[item.key] = moved
            if item.kind == "group" and is_open(item.key):
                stack.append((item.key, moved.x - moved.w / 2, moved.y - moved.h / 2))
        for link in level.links:
            paths.append(_path(level, here, link, placed, is_open, x, y))
    return Placing(top.w, top.h, boxes, paths)


def _placed(level: Level, size: Size, inner: Mapping[str, Placed], boxed: bool) -> Placed:
    items, columns = level.items, level.columns
    sizes = []
    for item in items:
        if item.key in inner:
            sizes.append((inner[item.key].w, inner[item.key].h))
        elif item.kind in ("port", "dummy"):
            sizes.append((0.0, 0.0))
        else:
            sizes.append(size(item.key, item.kind))
    xs: list[float] = []
    halves = [max((sizes[i][0] for i in column), default=0.0) / 2 for column in columns]
    x = 0.0
    for k, column in enumerate(columns):
        width = 2 * halves[k]
        ends = k in (0, len(columns) - 1) and all(items[i].kind == "port" for i in column)
        crowd = min(26.0, 2.0 * max(0, len(column) - 4))
        x += width / 2 if k else 0.0
        xs.append(x)
        x += width / 2 + (PAD + 6 if ends and k == 0 else GAP_X + crowd)
    ys = _heights(level, sizes, inner)
    lift = _lift(level, halves, inner, xs)
    at = _aside(level, sizes, halves, xs)
    ys = [y - lift(x) for x, y in zip(at, ys, strict=True)]
    left = min((x - w / 2 for x, (w, _) in zip(at, sizes, strict=True)), default=0.0)
    right = max((x + w / 2 for x, (w, _) in zip(at, sizes, strict=True)), default=0.0)
    top = min((y - h / 2 for y, (_, h) in zip(ys, sizes, strict=True)), default=0.0)
    low = max((y + h / 2 for y, (_, h) in zip(ys, sizes, strict=True)), default=0.0)
    pad, head = (PAD, HEAD + PAD / 2) if boxed else (0.0, 0.0)
    w, h = right - left + 2 * pad, low - top + head + pad
    boxes = []
    ports = {}
    for item, x, y, (iw, ih) in zip(items, at, ys, sizes, strict=True):
        cx, cy = x - left + pad, y - top + head
        if item.kind == "port":
            cx = 0.0 if item.key.split(":")[1][0] == "l" else w
            ports[item.key] = cy
        boxes.append(Box(cx, cy, iw, ih))
    lift = Lift([x - left + pad for x in lift.xs], lift.ys)
    return Placed(w, h, boxes, ports, lift, halves)


def _aside(
    level: Level, sizes: list[tuple[float, float]], halves: list[float], xs: list[float]
) -> list[float]:
    """Return where items are: in the middle of the column, or at the side of what they are for."""
    before, after = set(), set()
    for link in level.links:
        after.add(link.path[0])
        before.add(link.path[-1])
    found = []
    for i, item in enumerate(level.items):
        spare = halves[item.column] - sizes[i][0] / 2
        if item.kind != "node" or (i in before) == (i in after):
            spare = 0.0
        found.append(xs[item.column] + (spare if i in after else -spare))
    return found


def _lift(level: Level, halves: list[float], inner: Mapping[str, Placed], xs: list[float]) -> Lift:
    """Return how the columns of a level rise."""
    at, up, found, last = [], [], 0.0, None
    for column, x, half in zip(level.columns, xs, halves, strict=True):
        level_ground = any(level.items[i].key in inner for i in column)
        found += 0.0 if last is None else x - half - last
        at.append(x - half)
        up.append(found)
        found += 0.0 if level_ground else 2 * half
        at.append(x + half)
        up.append(found)
        last = x + half
    at, up = at or [0.0], up or [0.0]
    rise = RISE if found * RISE <= HIGHEST else HIGHEST / found
    return Lift(
        [at[0] - 1e4, *at, at[-1] + 1e4], [rise * u for u in (up[0] - 1e4, *up, up[-1] + 1e4)]
    )


def _heights(
    level: Level, sizes: list[tuple[float, float]], inner: Mapping[str, Placed]
) -> list[float]:
    """Return the height of each item's centre, before columns rise."""
    items, columns = level.items, level.columns
    near: list[list[tuple[int, float, float, float]]] = [[] for _ in items]
    for link in level.links:
        for a, b in zip(link.path, link.path[1:], strict=False):
            p = _offset(inner, items[a].key, link.start) if a == link.path[0] else 0.0
            q = _offset(inner, items[b].key, link.end) if b == link.path[-1] else 0.0
            long = items[a].kind == "dummy", items[b].kind == "dummy"
            pull = 6.0 if all(long) else 2.5 if any(long) else 1.0
            if link.kind == "kept":
                pull *= 0.6
            if items[a].column == items[b].column:
                continue
            near[a].append((b, q - p, pull, 1.0))
            near[b].append((a, p - q, pull, -1.0))
    ys = [0.0] * len(items)
    offsets = [_offsets(column, items, sizes) for column in columns]
    for column, shifts in zip(columns, offsets, strict=True):
        _stack(column, shifts, ys, [0.0] * len(column), [1.0] * len(column))
    rounds = ROUNDS if len(items) < MANY else FEWER
    for turn in range(rounds):
        final = turn >= rounds - 4
        side = -1.0 if turn % 2 == 0 else 1.0
        pairs = list(zip(columns, offsets, strict=True))
        for column, shifts in pairs if turn % 2 == 0 else reversed(pairs):
            goal: list[float] = []
            weight: list[float] = []
            for i in column:
                total = sought = 0.0
                for j, shift, w, to in near[i]:
                    if final or to == side:
                        total += w
                        sought += w * (ys[j] + shift)
                goal.append(sought / total if total else ys[i])
                weight.append(total or 0.05)
            _stack(column, shifts, ys, goal, weight)
    return ys


def _offset(inner: Mapping[str, Placed], key: str, port: str) -> float:
    """Return how far below the centre of an open group a port is."""
    box = inner.get(key)
    return box.ports.get(port, box.h / 2) - box.h / 2 if box is not None and port else 0.0


def _offsets(column: list[int], items: list[Item], sizes: list[tuple[float, float]]) -> list[float]:
    """Return how far below the first item each one is at least."""
    found = []
    at = 0.0
    before = -1
    for i in column:
        if before >= 0:
            at += (sizes[before][1] + sizes[i][1]) / 2 + _gap(items[before], items[i])
        found.append(at)
        before = i
    return found


def _stack(
    column: list[int], offsets: list[float], ys: list[float], goal: list[float],
    weight: list[float],
) -> None:  # fmt: skip
    """Place a column as near to its goals as its order and distances allow."""
    weights: list[float] = []
    sums: list[float] = []
    counts: list[int] = []
    for w, aim, shift in zip(weight, goal, offsets, strict=True):
        total, n = w * (aim - shift), 1
        while weights and sums[-1] * w >= total * weights[-1]:
            w += weights.pop()
            total += sums.pop()
            n += counts.pop()
        weights.append(w)
        sums.append(total)
        counts.append(n)
    k = 0
    for w, total, n in zip(weights, sums, counts, strict=True):
        base = total / w
        for _ in range(n):
            ys[column[k]] = base + offsets[k]
            k += 1


def _gap(a: Item, b: Item) -> float:
    if a.band != b.band:
        return GAP_BAND
    if a.kind in _THIN or b.kind in _THIN:
        return GAP_DUMMY
    return GAP_Y


def _path(
    level: Level, here: Placed, link: Link, placed: Mapping[str, Placed],
    is_open: Callable[[str], bool], x: float, y: float,
) -> Path:  # fmt: skip
    """Lead a link from one end through its columns to the other."""
    items, boxes, lift = level.items, here.boxes, here.lift
    a, b = link.path[0], link.path[-1]
    end = a if link.back else b
    head = items[end].kind not in ("port", "dummy") and not (
        items[end].kind == "group" and is_open(items[end].key)
    )
    if items[a].column == items[b].column and len(link.path) == 2:
        column = level.columns[items[a].column]
        low, high = sorted((column.index(a), column.index(b)))
        free = all(items[i].kind == "dummy" for i in column[low + 1 : high])
        side = None if free else boxes[a].x + here.halves[items[a].column]
        curve = _upright(boxes[a], boxes[b], side)
    else:
        points = []
        for n, i in enumerate(link.path):
            box = boxes[i]
            if 0 < n < len(link.path) - 1:
                half = here.halves[items[i].column]
                points.append((box.x - half, box.x + half, box.y + lift(box.x)))
                continue
            side, port = (1, link.start) if n == 0 else (-1, link.end)
            cx, cy = box.x + side * box.w / 2, box.y
            if items[i].kind == "group" and is_open(items[i].key) and port:
                inner = placed[items[i].key]
                cy += inner.ports.get(port, inner.h / 2) - box.h / 2
            points.append((cx, cx, cy + lift(cx)))
        curve = _curve(points)
        curve = [(px, py - lift(px)) for px, py in curve]
    curve = [(px + x, py + y) for px, py in curve]
    return Path(link, curve[::-1] if link.back else curve, head)


def _curve(points: list[tuple[float, float, float]]) -> list[tuple[float, float]]:
    """Return a curve through flat stretches: left end, right end and height of each."""
    curve = [(points[0][1], points[0][2])]
    for (_, x0, y0), (x1, x2, y1) in pairwise(points):
        m = (x0 + x1) / 2
        if x1 < x0 + 4:  # to something further left
            curve += [(x0 + 24, y0), (x1 - 24, y1), (x1, y1)]
            continue
        curve += [(m, y0), (m, y1), (x1, y1)]
        if x2 > x1:
            curve += [(x1 + (x2 - x1) / 3, y1), (x1 + 2 * (x2 - x1) / 3, y1), (x2, y1)]
    return curve


def _upright(a: Box, b: Box, side: float | None) -> list[tuple[float, float]]:
    """Return a curve between two boxes of a column, or around it where a side is given."""
    if side is not None:
        x0, x1, far = a.x + a.w / 2, b.x + b.w / 2, side + 18
        return [(x0, a.y), (far, a.y), (far, b.y), (x1, b.y)]
    down = 1 if b.y > a.y else -1
    y0, y1 = a.y + down * a.h / 2, b.y - down * b.h / 2
    third = (y1 - y0) / 3
    return [(a.x, y0), (a.x, y0 + third), (b.x, y1 - third), (b.x, y1)]
