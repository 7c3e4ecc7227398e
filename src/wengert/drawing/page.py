"""One page of HTML with a drawing in it, which needs no network.

The page places what is open by itself, as `placing` does, from the columns and orders of `levels`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from wengert.drawing.levels import Level, levels
from wengert.drawing.model import Diagram, Group, Node, Section, Snapshot
from wengert.drawing.palette import DARK, LIGHT, REGIONS, Palette
from wengert.drawing.placing import (
    FEWER,
    GAP_BAND,
    GAP_DUMMY,
    GAP_X,
    GAP_Y,
    HEAD,
    HIGHEST,
    MANY,
    PAD,
    RISE,
    ROUNDS,
)
from wengert.drawing.scene import HALO, abouts_of, chip_size, colour_of, group_size, node_size
from wengert.drawing.shapes import REGION_DASHES
from wengert.drawing.svg import svg
from wengert.drawing.text import equations, summary
from wengert.errors import UnsupportedError
from wengert.memory.profile import size_text

__all__ = ["cell", "page"]

COARSE = 2_000
"""With more nodes than this, heat maps have at most 8 rows and columns."""

EQUATIONS = 400
"""So many of each pass are on the page."""

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_KINDS = ("node", "group", "chip", "port", "dummy")
_EDGES = ("forward", "backward", "kept", "read")


def page(diagram: Diagram, title: str | None, sections: Sequence[Section]) -> str:
    """Return the page; see `Drawing.html`."""
    about = " · ".join(f"{b} {a}" for a, b in summary(diagram))
    parts = {
        "title": escape(title or diagram.name),
        "about": escape(about),
        "style": _style(),
        "sections": "\n".join(_section(s) for s in sections),
        "data": _embedded(_data(diagram)),
        "script": _file("page.js").replace("/* print.js */", _file("print.js")),
    }
    text = _file("page.html")
    pieces = text.split("@")
    return "".join(p if k % 2 == 0 else parts[p] for k, p in enumerate(pieces))


def cell(diagram: Diagram) -> str:
    """Return what a notebook shows; of a large graph with its groups closed."""
    try:
        try:
            picture = svg(diagram, "auto")
        except UnsupportedError:
            picture = svg(diagram.closed(), "auto")
    except UnsupportedError as error:
        return f"<pre>{escape(str(error))}</pre>"
    return f'<div style="overflow-x:auto">{picture}</div>'


@cache
def _file(name: str) -> str:
    return (Path(__file__).parent / "web" / name).read_text(encoding="utf-8")


def _section(s: Section) -> str:
    return f'<template class="section" data-title="{escape(s.title)}">{s.html}</template>'


def _style() -> str:
    def variables(p: Palette) -> str:
        return "".join(f"--{n}:{c};" for n, c in p._asdict().items())

    rules = "".join(f".f-{n}{{fill:var(--{n})}}.s-{n}{{stroke:var(--{n})}}" for n in LIGHT._fields)
    style = _file("page.css").replace("RULES", rules + ".f-none{fill:none}.s-none{stroke:none}")
    return style.replace("LIGHT", variables(LIGHT)).replace("DARK", variables(DARK))


def _embedded(data: Any) -> str:
    """Return JSON that may stand in a page."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


class _Strings:
    """Texts that occur often, once each."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        return self.known.setdefault(text, len(self.known))


def _data(diagram: Diagram) -> dict[str, Any]:
    """Return what the page knows."""
    strings = _Strings()
    number = {n.id: k for k, n in enumerate(diagram.nodes)}
    groups = {"": 0} | {g.id: k for k, g in enumerate(diagram.groups, 1)}
    about = abouts_of(diagram, {g.id: g for g in diagram.groups})
    kept = {e.source: e.nbytes for e in diagram.edges if e.kind == "kept"}
    coarse = len(diagram.nodes) > COARSE
    found = levels(diagram)
    places = {g: {i.key: k for k, i in enumerate(level.items) if i.key}
              for g, level in found.items()}  # fmt: skip

    passes = [
        [e for e in diagram.lines if (e.stage == "backward") is back] for back in (False, True)
    ]
    shown = tuple(e for lines in passes for e in lines[:EQUATIONS])

    def level(g: str) -> Any:
        return _level(found[g], places, number, groups, kept)

    return {
        "name": diagram.name,
        "nodes": [_node(n, number, groups, strings, coarse) for n in diagram.nodes],
        "edges": [
            [number[e.source], number[e.target], _EDGES.index(e.kind)] for e in diagram.edges
        ],
        "groups": [[0, 0, 0, 0, 0, 0, 0, 0, 0]]
        + [_group(g, groups, about[g.id], strings) for g in diagram.groups],
        "regions": [
            [strings(r), REGION_DASHES[k % REGIONS]] for k, r in enumerate(diagram.regions)
        ],
        "bodies": _bodies(diagram, number, groups),
        "levels": [level(g) for g in groups],
        "lines": [
            [[number.get(e.node, -1), e.text] for e in lines[:EQUATIONS]] for lines in passes
        ],
        "counts": list(map(len, passes)),
        "latex": equations(replace(diagram, lines=shown), latex=True),
        "sizes": {str(number[s]): size_text(n) for s, n in kept.items()},
        "place": [
            PAD,
            HEAD,
            GAP_X,
            GAP_Y,
            GAP_BAND,
            GAP_DUMMY,
            RISE,
            HIGHEST,
            ROUNDS,
            FEWER,
            MANY,
            *HALO,
        ],
        "strings": list(strings.known),
    }


def _node(
    n: Node, number: dict[str, int], groups: dict[str, int], strings: _Strings, coarse: bool
) -> list[Any]:
    w, h = node_size(n)
    seconds = None if n.seconds is None else float(f"{n.seconds:.3g}")
    return [
        n.label, int(n.kind == "operator"), n.order, strings(n.stage), strings(n.role),
        strings(n.op), strings("×".join(map(str, n.shape))), strings(n.dtype), n.nbytes, n.flops,
        n.read + n.written, seconds, strings(n.formula), strings(n.derivative),
        strings(os.path.basename(n.file)),
        n.line, strings(n.function), strings(n.source), groups[n.group], number.get(n.primal, -1),
        int(n.kept), n.step, None if n.trips else _shot(n.value, coarse),
        _shot(n.cotangent, coarse), round(w, 1), round(h, 1), strings(colour_of(n)),
        [_shot(s, coarse) for s in n.trips] if n.trips else 0, strings(n.region),
    ]  # fmt: skip


def _shot(s: Snapshot | None, coarse: bool) -> Any:
    """Return least, mean and greatest number, and the map with a letter for each of 64 levels."""
    if s is None:
        return None
    numbers = [None if x is None or x != x or abs(x) == float("inf") else float(f"{x:.7g}")
               for x in (s.low, s.mean, s.high)]  # fmt: skip
    if s.low is not None and None in numbers:
        numbers = [str(x) for x in (s.low, s.mean, s.high)]  # type: ignore[misc]
    heat = s.heat
    if coarse and heat:
        rows, columns = -(-len(heat) // 8), -(-len(heat[0]) // 8)
        heat = tuple(row[::columns] for row in heat[::rows])
    if not heat:
        return [*numbers]
    flat = [x for row in heat for x in row]
    finite = [x for x in flat if x == x and abs(x) != float("inf")]
    most = max(map(abs, finite), default=0.0) or 1.0
    signed = min(finite, default=0.0) < 0
    low, span = (-most, 2 * most) if signed else (0.0, most)
    letters = "".join(
        _LETTERS[min(63, max(0, round(63 * (x - low) / span)))]
        if x == x and abs(x) != float("inf") else "!"
        for x in flat
    )  # fmt: skip
    return [*numbers, len(heat[0]), letters, int(signed)]


def _group(g: Group, groups: dict[str, int], about: str, strings: _Strings) -> list[Any]:
    w, h = group_size(g, about)
    file = os.path.basename(g.file)
    return [
        strings(g.label), strings(g.kind), groups[g.parent], strings(file), g.line, g.times,
        int(g.closed), round(w, 1), round(h, 1), strings(about),
    ]  # fmt: skip


def _bodies(
    diagram: Diagram, number: dict[str, int], groups: dict[str, int]
) -> dict[str, list[Any]]:
    """Return the operator that each body belongs to, and its trips."""
    owners: dict[str, str] = {}
    for n in diagram.nodes:
        if "." in n.id:  # else an input that is read there alone
            owners.setdefault(n.group, n.id.rpartition(".")[0].rpartition(".")[0])
    return {
        str(groups[g.id]): [number[owners[g.id]], g.trips]
        for g in diagram.groups
        if g.kind in ("body", "branch") and g.id in owners
    }


def _level(
    level: Level, places: dict[str, dict[str, int]], number: dict[str, int],
    groups: dict[str, int], kept: dict[str, int],
) -> list[Any]:  # fmt: skip
    """Return items, columns and links by numbers; a dummy is its band alone."""
    items: list[Any] = []
    for i in level.items:
        if i.kind == "dummy":
            items.append(i.band)
            continue
        entry: list[Any] = [_KINDS.index(i.kind), 0, i.band]
        if i.kind == "node":
            entry[1] = number[i.key]
        elif i.kind == "group":
            entry[1] = groups[i.key]
        elif i.kind == "chip":
            entry[1] = number[i.key[2:]]
            entry.append(round(chip_size(kept[i.key[2:]])[0], 1))
        else:
            entry[1] = int(i.key.split(":")[1][0] == "r")
        items.append(entry)
    links = []
    for link in level.links:
        a, b = level.items[link.path[0]], level.items[link.path[-1]]
        start = places[a.key].get(link.start, -1) if a.kind == "group" else -1
        end = places[b.key].get(link.end, -1) if b.kind == "group" else -1
        links.append(
            [list(link.path), start, end, _EDGES.index(link.kind), int(link.back),
             number[link.source]]
        )  # fmt: skip
    return [items, level.columns, links]
