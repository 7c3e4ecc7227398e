"""Loops of a code object, found in its source: where a trip begins, and what decides their end.

Instructions know the text that they were compiled from, columns included (PEP 657), and the text
says which loop they stand in and whether as its target, its test or its body. Nothing is read off
the layout of the byte code, which differs between versions of Python.
"""

from __future__ import annotations

import ast
import dis
import functools
import linecache
import os
import sys
from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any, NamedTuple, TypeAlias

__all__ = [
    "BODY",
    "TARGET",
    "TEST",
    "Region",
    "Scope",
    "Site",
    "Span",
    "Trail",
    "has_loops",
    "scope_of",
    "site_of",
    "span_of",
    "within",
]

TARGET, TEST, BODY = range(3)
"""Parts of a loop that run once a trip: what `for` assigns, what `while` asks, and the rest."""

Span: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
Trail: TypeAlias = tuple[tuple[int, int], ...]
"""Number of a region and part, for each loop around an instruction, the outermost first."""

_BACK = frozenset(
    number
    for name, number in dis.opmap.items()
    if "BACKWARD" in name and "NO_INTERRUPT" not in name
)
_SILENT = frozenset({"FOR_ITER", "NOP", "RESUME", "CACHE", "EXTENDED_ARG", "JUMP_FORWARD",
                     "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"})  # fmt: skip
"""Instructions whose place says nothing: those that close a loop bear that of its head."""

_COMPREHENSIONS: dict[str, type[ast.expr]] = {
    "<listcomp>": ast.ListComp,
    "<setcomp>": ast.SetComp,
    "<dictcomp>": ast.DictComp,
    "<genexpr>": ast.GeneratorExp,
}
_SCOPES: tuple[type[ast.AST], ...] = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef, ast.GeneratorExp,
)  # fmt: skip
if sys.version_info < (3, 12):  # later, their code stands in the function around them (PEP 709)
    _SCOPES += (ast.ListComp, ast.SetComp, ast.DictComp)


class Site(NamedTuple):
    """A loop in the user's source.

    Attributes
    ----------
    file : str
    line, column : int
    source : str
        Its first line.
    """

    file: str
    line: int
    column: int
    source: str

    @property
    def place(self) -> str:
        """``name.py:12``."""
        return f"{os.path.basename(self.file)}:{self.line}"


class Region(NamedTuple):
    """Where a loop stands in the text.

    Attributes
    ----------
    site : Site
    whole : tuple
        The statement, or the comprehension that the loop is a part of.
    parts : tuple
        Texts of each of its parts.
    start : int
        The first instruction of the body of a loop without a test; -1 where there is one.
    """

    site: Site
    whole: Span
    parts: tuple[tuple[Span, ...], ...]
    start: int = -1


class Scope(NamedTuple):
    """The loops of a code object.

    Attributes
    ----------
    node : ast.AST
        The function or comprehension.
    file : str
    regions : tuple of Region
    trails : list of Trail or None
        For each code unit; None for an instruction whose place says nothing.
    spans : list of Span or None
        Its text.
    """

    node: ast.AST
    file: str
    regions: tuple[Region, ...]
    trails: list[Trail | None]
    spans: list[Span | None]


def has_loops(code: CodeType) -> bool:
    """Whether there is a jump back in the code."""
    return not _BACK.isdisjoint(code.co_code[::2])


def scope_of(code: CodeType, names: dict[str, Any]) -> Scope | None:
    """Return the loops of a code object; None where the source or a place in it is not known.

    Parameters
    ----------
    code : CodeType
    names : dict
        Global names of the function, through which some loaders give the source.
    """
    file = code.co_filename
    linecache.checkcache(file)
    tree = _parsed("".join(linecache.getlines(file, names)))
    spans = [_span(p) for p in code.co_positions()]
    node = None if tree is None else _node_of(tree, code, [s for s in spans if s])
    if node is None:
        return None
    regions = list(_regions(node, file))
    if not regions:
        return None
    shared: dict[Trail, Trail] = {}
    trails: list[Trail | None] = [None] * len(spans)
    wholes = {r.whole for r in regions}
    for instruction in dis.get_instructions(code):
        k = instruction.offset // 2
        span = spans[k]
        if instruction.opname not in _SILENT and span is not None and span not in wholes:
            trail = _trail(regions, span)
            trails[k] = shared.setdefault(trail, trail)
    for i, region in enumerate(regions):
        if not region.parts[TARGET] and not any((i, TEST) in (t or ()) for t in trails):
            start = next((2 * k for k, t in enumerate(trails) if (i, BODY) in (t or ())), -1)
            regions[i] = region._replace(start=start)
    return Scope(node, file, tuple(regions), trails, spans)


# --- the text -------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=64)
def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source) if source.strip() else None
    except (SyntaxError, ValueError, RecursionError):  # of another language, or not the source
        return None


def _span(position: Sequence[int | None]) -> Span | None:
    line, last, column, end = position
    if line is None or last is None or column is None or end is None:
        return None
    return (line, column), (last, end)


def span_of(node: Any) -> Span:
    """Return the text of a node."""
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def within(inner: Span, outer: Span) -> bool:
    """Whether a text is a part of another one."""
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _trail(regions: Sequence[Region], span: Span) -> Trail:
    """Return the loops around a text, and the part of each that it is in."""
    return tuple(
        (i, part)
        for i, region in enumerate(regions)
        for part, texts in enumerate(region.parts)
        if any(within(span, text) for text in texts)
    )


def _node_of(tree: ast.Module, code: CodeType, spans: Sequence[Span]) -> ast.AST | None:
    """Find the function or comprehension that a code object was compiled from."""
    if not spans:
        return None
    first = (code.co_firstlineno, 0)
    inside = [s for s in spans if s[0] != first and s[1] > s[0] and s[1][1] > 0]
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if code.co_name in _COMPREHENSIONS:
            fits = isinstance(node, _COMPREHENSIONS[code.co_name])
        elif code.co_name == "<lambda>":
            fits = isinstance(node, ast.Lambda)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            head = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            fits = node.name == code.co_name and head == code.co_firstlineno
        else:
            continue
        if fits and all(within(s, span_of(node)) for s in inside):
            found.append(node)
    return min(found, key=lambda n: _extent(span_of(n)), default=None)


def _extent(span: Span) -> tuple[int, int]:
    return span[1][0] - span[0][0], span[1][1] - span[0][1]


def _regions(node: ast.AST, file: str, inside: bool = False) -> Iterator[Region]:
    """Yield the loops in a text, but not those of functions inside, the outermost first."""
    children: list[ast.AST] = list(ast.iter_child_nodes(node))
    is_comprehension = type(node) in _COMPREHENSIONS.values()
    if inside and isinstance(node, _SCOPES):  # the first iterable is the outer scope's
        children = [node.generators[0].iter] if is_comprehension else []  # type: ignore[attr-defined]
    elif is_comprehension:
        yield from _of_comprehension(node, file)
        children = _parts_of_comprehension(node, inside)
    elif isinstance(node, (ast.For, ast.AsyncFor)):
        texts = ((span_of(node.target),), (), (_block(node.body),))
        yield Region(site_of(node, file), span_of(node), texts)
    elif isinstance(node, ast.While):
        asked = ((), (span_of(node.test),), (_block(node.body),))
        yield Region(site_of(node, file), span_of(node), asked)
    for child in children:
        yield from _regions(child, file, True)


def _of_comprehension(node: Any, file: str) -> Iterator[Region]:
    """Yield a loop for each ``for`` of a comprehension, which holds those to its right."""
    for i, clause in enumerate(node.generators):
        later = [x for c in node.generators[i + 1 :] for x in (c.target, c.iter, *c.ifs)]
        body = tuple(span_of(x) for x in (*_made(node), *clause.ifs, *later))
        texts = ((span_of(clause.target),), (), body)
        yield Region(site_of(clause.target, file), span_of(node), texts)


def _parts_of_comprehension(node: Any, with_first: bool) -> list[ast.AST]:
    """List what the code of a comprehension evaluates, the first iterable where it does that."""
    found = [x for c in node.generators for x in (c.iter, *c.ifs)]
    return [*_made(node), *found[not with_first :]]


def _made(node: Any) -> list[ast.AST]:
    return [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]


def _block(body: Sequence[ast.stmt]) -> Span:
    return span_of(body[0])[0], span_of(body[-1])[1]


def site_of(node: Any, file: str) -> Site:
    """Return the loop of a statement, or of the target of a comprehension's ``for``."""
    return Site(file, node.lineno, node.col_offset, linecache.getline(file, node.lineno).strip())
