"""Wide pictures on sheets of paper: cut between columns into strips, which stand above each other.

The first strip is the lowest one, so that inputs stay in the lower left and the result in the upper
right. A line that is cut ends in a number, and goes on from the same number in the next strip.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from wengert.drawing import captions
from wengert.drawing.captions import Caption
from wengert.drawing.model import Diagram
from wengert.drawing.placing import Placing
from wengert.drawing.scene import graph
from wengert.drawing.shapes import Line, Scene, Shape, Text, arrow, fitted, width_of
from wengert.errors import InputError, user_line

__all__ = ["PAPERS", "Sheet", "sheets"]

PAPERS = {"A4": (210.0, 297.0), "A3": (297.0, 420.0), "letter": (215.9, 279.4)}
"""Width and height of sheets, upright, in millimetres."""

EDGE = 10.0
"""Left free around a sheet, in millimetres."""

LEAST = 0.67
"""Names have 6 points then, and shapes and bytes 4.5; sheets are added before less is taken."""

ASIDE = 40.0
"""Room for numbers at a cut."""

BETWEEN = 22.0
HEAD = 26.0
"""Room between strips, and for the name of a box."""

NARROWEST = 300.0
"""Of strips."""

STUB = 60.0
"""A narrower end of a box, which is cut off, is left out."""

PILL = 14.0
LEAD = 20.0
"""From the top of a legend to the middle of its first row."""

MOST, PATIENCE = 24, 3
"""So many strips are tried, and so many more once names are large enough."""

GRID = 96 / 25.4
"""Units of a picture in a millimetre."""

EMPTY = Placing(0.0, 0.0, {}, [])

Point = tuple[float, float]


class Sheet(NamedTuple):
    """A page.

    Attributes
    ----------
    scene : Scene
        Its shapes; width and height are those of the page.
    scale : float
        Of the shapes.
    w, h : float
        Of the page, in millimetres.
    """

    scene: Scene
    scale: float
    w: float
    h: float


class _Strip(NamedTuple):
    """What is between two cuts: its size, and its shapes from the upper left corner on."""

    w: float
    h: float
    scene: Scene


class _Plan(NamedTuple):
    """How a picture is put on pages of one orientation; the greater, the better."""

    legible: bool
    fewness: tuple[int, int]
    scale: float
    w: float
    h: float
    pages: list[list[_Strip | Caption]]


def sheets(
    drawing: Diagram, paper: str, heat: str = "operations", equations: bool = False
) -> list[Sheet]:
    """Return a picture as sheets of paper.

    Parameters
    ----------
    drawing : Diagram
    paper : str
        ``A4``, ``A3`` or ``letter``.
    heat, equations
        As of `scene`.

    Raises
    ------
    InputError
        For a paper that is not known.
    UnsupportedError
        Where more is to be seen than a picture can hold.
    """
    named = {name.lower(): size for name, size in PAPERS.items()}
    if str(paper).lower() not in named:
        raise InputError(
            f"paper={paper!r} is not known; write one of: {', '.join(map(repr, PAPERS))}"
            + user_line()
        )
    short, long = named[str(paper).lower()]
    made = graph(drawing, heat)
    used = {line.stroke for line in made.lines}
    best: _Plan | None = None
    since = 0
    for cuts in _cuts(made):
        strips = _strips(made, cuts)
        plans = []
        for w, h in ((long, short), (short, long)):
            width = (w - 2 * EDGE) * GRID / LEAST
            blocks: list[_Strip | Caption] = [captions.title(drawing, width), *strips]
            if equations:
                blocks.append(captions.equations(drawing, width))
            blocks.append(captions.legend(drawing, used, heat, width))
            plans.append(_planned(blocks, w, h))
        plan = max(plans, key=lambda p: p[:3])
        if best is None or plan[:3] > best[:3]:
            best, since = plan, 0
        since += 1
        if best.legible and since > PATIENCE:
            break
    assert best is not None
    return [
        Sheet(_page(page, drawing.name, made, best), best.scale, best.w, best.h)
        for page in best.pages
    ]


def _planned(blocks: list[_Strip | Caption], w: float, h: float) -> _Plan:
    """Distribute blocks over as few pages as there can be, and take the greatest scale for them."""
    room = (w - 2 * EDGE) * GRID, (h - 2 * EDGE) * GRID
    most = min(1.0, room[0] / max(b.w for b in blocks), room[1] / max(b.h for b in blocks))
    scales = sorted({most, *(s for k in range(12) if (s := LEAST + k * (1 - LEAST) / 11) < most)})
    whole = room[1] / (sum(b.h for b in blocks) + BETWEEN * (len(blocks) - 1))
    if LEAST <= whole < most:
        scales.append(whole)
    pages, scale = min(
        ((_filled(blocks, room[1] / s), s) for s in scales), key=lambda t: (len(t[0]), -t[1])
    )
    fewness = -len(pages), -sum(isinstance(b, _Strip) for b in blocks)
    return _Plan(scale >= LEAST, fewness, scale, w, h, pages)


def _filled(blocks: list[_Strip | Caption], room: float) -> list[list[_Strip | Caption]]:
    """Put as many blocks on each page as its height takes."""
    pages: list[list[_Strip | Caption]] = []
    left = -1.0
    for b in blocks:
        if b.h > left + 1e-6:
            pages.append([])
            left = room
        pages[-1].append(b)
        left -= b.h + BETWEEN
    return pages


def _page(page: list[_Strip | Caption], name: str, made: Scene, plan: _Plan) -> Scene:
    """Return the shapes of a page: its strips from the bottom to the top, captions around them."""
    w, h = plan.w * GRID / plan.scale, plan.h * GRID / plan.scale
    found = Scene(w, h, [], [], [], [], name, made.placing)
    edge = EDGE * GRID / plan.scale
    strips = [b for b in page if isinstance(b, _Strip)]
    turned = iter(reversed(strips))
    y = edge
    for b in page:
        block = next(turned) if isinstance(b, _Strip) else b
        if isinstance(block, _Strip):
            x = edge + (w - 2 * edge - max(s.w for s in strips)) / 2
            inner = block.scene
            found.boxes.extend(s._replace(x=s.x + x, y=s.y + y) for s in inner.boxes)
            found.add(inner.lines, inner.shapes, inner.texts, x, y)
        else:
            lead = LEAD if block.lines or block.shapes else 0.0
            found.add(block.lines, block.shapes, block.texts, edge - captions.MARGIN, y + lead)
        y += block.h + BETWEEN
    return found


# --- where it is cut ------------------------------------------------------------------------------
def _cuts(made: Scene) -> Iterator[list[float]]:
    """Return the cuts into one strip, two, three and so on, each as narrow as can be."""
    spans = sorted((s.x - s.w / 2, s.x + s.w / 2) for s in made.shapes if s.key)
    gaps, end = [], float("inf")
    for left, right in spans:
        if left > end + 8:
            gaps.append((left + end) / 2)
        end = right if end == float("inf") else max(end, right)
    yield []
    if not spans:
        return
    before = 0
    low, high = spans[0][0], end
    ends = [*gaps, high]
    for count in range(2, MOST + 1):
        least, most = (high - low) / count, high - low
        for _ in range(20):  # by bisection
            middle = (least + most) / 2
            cuts = _greedy(low, ends, middle)
            fits = cuts is not None and len(cuts) < count
            least, most = (least, middle) if fits else (middle, most)
        cuts = _greedy(low, ends, most)
        if cuts is None or len(cuts) <= before:
            continue
        before = len(cuts)
        yield cuts
        if most < NARROWEST:
            break


def _greedy(low: float, ends: Sequence[float], most: float) -> list[float] | None:
    """Return the cuts of strips that are no wider; None where a column is."""
    cuts, start, last = [], low, low
    for e in ends:
        if e - start > most:
            if last == start or e - last > most:
                return None
            cuts.append(last)
            start = last
        last = e
    return cuts


# --- strips ---------------------------------------------------------------------------------------
def _strips(made: Scene, cuts: Sequence[float]) -> list[_Strip]:
    """Cut a picture."""
    inf = float("inf")
    lows, highs = [-inf, *cuts], [*cuts, inf]
    shapes: list[list[Shape]] = [[] for _ in lows]
    texts: list[list[Text]] = [[] for _ in lows]
    lines: list[list[Line]] = [[] for _ in lows]
    where = {s.key: bisect_right(cuts, s.x) for s in made.shapes if s.key}
    for s in made.shapes:
        shapes[bisect_right(cuts, s.x)].append(s)
    names: dict[str, Text] = {}
    for t in made.texts:
        if t.of in where:
            texts[where[t.of]].append(t)
        else:
            names[t.of] = t
    crossings: list[list[tuple[float, Line]]] = [[] for _ in cuts]
    for line in made.lines:
        for k, points, is_end in _pieces(line.points, cuts):
            part = line._replace(points=points, head=line.head if is_end else ())
            lines[k].append(part)
        for k, x in enumerate(cuts):
            crossings[k].extend((y, line) for y in _meetings(line.points, x))
    numbers = _numbered(crossings)
    return [
        _strip(k, lows[k], highs[k], made.boxes, names, shapes[k], texts[k], lines[k],
               numbers[k - 1] if k else {}, numbers[k] if k < len(cuts) else {})
        for k in range(len(lows))
    ]  # fmt: skip


def _strip(
    k: int, low: float, high: float, boxes: list[Shape], names: dict[str, Text],
    shapes: list[Shape], texts: list[Text], lines: list[Line],
    before: dict[int, tuple[float, list[float], Line]],
    after: dict[int, tuple[float, list[float], Line]],
) -> _Strip:  # fmt: skip
    """Put a strip together: what is in it, the parts of the boxes around it, and the numbers."""
    left = low if k else min((s.x - s.w / 2 for s in shapes), default=0.0) - 4
    right = high if high < float("inf") else max(s.x + s.w / 2 for s in shapes) + 4
    for b in boxes:  # that begin or end here
        if not k and b.x + b.w / 2 > left:
            left = min(left, b.x - b.w / 2)
        if high == float("inf") and b.x - b.w / 2 < right:
            right = max(right, b.x + b.w / 2)
    spots = [(s.x, s.y - s.h / 2, s.y + s.h / 2) for s in shapes]
    spots += [(x, y, y) for line in lines for x, y in _samples(line.points)]
    shown, found = [], []
    for b in sorted(boxes, key=lambda b: b.w * b.h):  # inner ones first
        x0, x1 = max(left, b.x - b.w / 2), min(right, b.x + b.w / 2)
        y0, y1 = b.y - b.h / 2, b.y + b.h / 2
        inside = [s for s in spots if x0 <= s[0] <= x1 and y0 <= s[1] and s[2] <= y1]
        cut = x0 > b.x - b.w / 2 or x1 < b.x + b.w / 2
        if not inside or (cut and x1 - x0 < STUB):
            continue
        y0 = max(y0, min(s[1] for s in inside) - HEAD)
        y1 = min(y1, max(s[2] for s in inside) + 10)
        spots.append(((x0 + x1) / 2, y0, y1))
        shown.append(b._replace(x=(x0 + x1) / 2, y=(y0 + y1) / 2, w=x1 - x0, h=y1 - y0,
                                r=0.0 if cut else b.r))  # fmt: skip
        if b.key in names:
            t = names[b.key]
            label = t.text if x0 <= b.x - b.w / 2 else f"… {t.text}"
            found.append(t._replace(x=x0 + 9, y=y0 + 12, text=fitted(label, x1 - x0 - 16)))
    top = min((s[1] for s in spots), default=0.0) - 4
    low_ = max((s[2] for s in spots), default=0.0) + 4
    made = Scene(0, 0, shown[::-1], [*lines], [*shapes], [*texts, *found], "", EMPTY)
    ends = [(left, -1.0, before), (right, 1.0, after)]
    for x, side, numbers in ends:
        ys = _spread([y for y, _, _ in numbers.values()])
        top = min([top, *(y - PILL for y in ys)])
        low_ = max([low_, *(y + PILL for y in ys)])
        for y, (number, (_, meetings, line)) in zip(ys, numbers.items(), strict=True):
            _pill(made, x, side, y, number, meetings, line)
    aside = (ASIDE if before else 0.0), (ASIDE if after else 0.0)
    w, h = right - left + sum(aside), low_ - top
    moved = Scene(w, h, [], [], [], [], "", EMPTY)
    x, y = aside[0] - left, -top
    moved.boxes.extend(s._replace(x=s.x + x, y=s.y + y) for s in made.boxes)
    moved.add(made.lines, made.shapes, made.texts, x, y)
    return _Strip(w, h, moved)


def _pill(
    made: Scene, x: float, side: float, y: float, number: int, meetings: list[float], line: Line
) -> None:
    """Lead lines from a cut to their number, or from it to them."""
    far = x + side * (ASIDE - 20)
    for at in meetings:
        curve = ((x, at), (x + side * 10, at), (far - side * 10, y), (far, y))
        to_left = line.points[0][0] > line.points[-1][0]
        points = curve if (side > 0) != to_left else curve[::-1]
        head = arrow(points) if (side > 0) != to_left else ()
        made.lines.append(line._replace(points=points, head=head, title=""))
    w = max(PILL, width_of(str(number), 8.5) + 8)
    middle = far + side * w / 2
    made.shapes.append(Shape(middle, y, w, PILL, 7.0, "paper", line.stroke, 1.0, 1.0, "", "",
                             line.title))  # fmt: skip
    made.texts.append(Text(middle, y, str(number), 8.5, "ink"))


def _numbered(
    crossings: list[list[tuple[float, Line]]],
) -> list[dict[int, tuple[float, list[float], Line]]]:
    """Give a number to each value that is led through each cut: its height, lines and colour."""
    found, number = [], 0
    for cut in crossings:
        here: dict[tuple[str, str], tuple[list[float], Line]] = {}
        for y, line in cut:
            here.setdefault((line.of, line.stroke), ([], line))[0].append(y)
        rows = sorted((sum(ys) / len(ys), ys, line) for ys, line in here.values())
        found.append({number + k: row for k, row in enumerate(rows, 1)})
        number += len(rows)
    return found


def _spread(goals: Sequence[float]) -> list[float]:
    """Return heights with room between them, as near to the goals, which rise, as can be."""
    groups: list[list[float]] = []
    for k, y in enumerate(goals):
        groups.append([y - k * (PILL + 2), 1.0])
        while len(groups) > 1 and groups[-2][0] >= groups[-1][0]:
            (a, m), (b, n) = groups.pop(-2), groups.pop()
            groups.append([(a * m + b * n) / (m + n), m + n])
    flat = [y for y, n in groups for _ in range(int(n))]
    return [y + k * (PILL + 2) for k, y in enumerate(flat)]


# --- curves ---------------------------------------------------------------------------------------
def _pieces(
    points: tuple[Point, ...], cuts: Sequence[float]
) -> list[tuple[int, tuple[Point, ...], bool]]:
    """Return the parts of a curve by strip, and whether each is where the curve ends."""
    found: list[tuple[int, list[Point]]] = []
    for k in range(0, len(points) - 1, 3):
        for piece in _divided(points[k : k + 4], cuts):
            strip = bisect_right(cuts, _at(piece, 0.5)[0])
            if found and found[-1][0] == strip:
                found[-1][1].extend(piece[1:])
            else:
                found.append((strip, list(piece)))
    return [(k, tuple(p), n == len(found) - 1) for n, (k, p) in enumerate(found)]


def _divided(curve: Sequence[Point], cuts: Sequence[float]) -> list[tuple[Point, ...]]:
    """Divide a cubic curve where it meets cuts."""
    times = sorted(t for x in cuts for t in _times(curve, x))
    rest, done, found = tuple(curve), 0.0, []
    for t in times:
        first, rest = _split(rest, (t - done) / (1 - done))
        done = t
        found.append(first)
    return [*found, rest]


def _times(curve: Sequence[Point], x: float) -> list[float]:
    """Return the parameters, between 0 and 1, at which a cubic curve meets an upright line."""
    a, b, c, d = (p[0] for p in curve)
    if min(a, b, c, d) > x or max(a, b, c, d) < x:
        return []
    grid = [_x(curve, k / 16) - x for k in range(17)]
    found = []
    for k, (u, v) in enumerate(pairwise(grid)):
        if (u < 0) != (v < 0):
            low, high = k / 16, (k + 1) / 16
            for _ in range(30):
                middle = (low + high) / 2
                if (_x(curve, middle) - x < 0) == (u < 0):
                    low = middle
                else:
                    high = middle
            if 1e-6 < low < 1 - 1e-6:
                found.append(low)
    return found


def _meetings(points: tuple[Point, ...], x: float) -> list[float]:
    """Return the heights at which a curve meets an upright line."""
    return [
        _at(points[k : k + 4], t)[1]
        for k in range(0, len(points) - 1, 3)
        for t in _times(points[k : k + 4], x)
    ]


def _samples(points: tuple[Point, ...]) -> list[Point]:
    return [_at(points[k : k + 4], t / 4) for k in range(0, len(points) - 1, 3) for t in range(5)]


def _x(curve: Sequence[Point], t: float) -> float:
    return _at(curve, t)[0]


def _at(curve: Sequence[Point], t: float) -> Point:
    u = 1 - t
    weights = u**3, 3 * u * u * t, 3 * u * t * t, t**3
    return (
        sum(w * p[0] for w, p in zip(weights, curve, strict=True)),
        sum(w * p[1] for w, p in zip(weights, curve, strict=True)),
    )


def _split(curve: Sequence[Point], t: float) -> tuple[tuple[Point, ...], tuple[Point, ...]]:
    """Divide a cubic curve in two (de Casteljau)."""

    def between(p: Point, q: Point) -> Point:
        return p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])

    a, b, c, d = curve
    ab, bc, cd = between(a, b), between(b, c), between(c, d)
    abc, bcd = between(ab, bc), between(bc, cd)
    m = between(abc, bcd)
    return (a, ab, abc, m), (m, bcd, cd, d)
