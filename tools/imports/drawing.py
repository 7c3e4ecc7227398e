"""Imports between the folders of the package, read from the source, and their drawings."""

from __future__ import annotations

import ast
import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tools.imports.layers import LAYERS

__all__ = [
    "SRC",
    "arrows",
    "as_mermaid",
    "as_text",
    "folder",
    "imported",
    "layers_as_text",
    "modules",
    "named_modules",
    "wrong",
]

SRC = Path(__file__).resolve().parents[2] / "src"
PACKAGE = "wengert"


def _module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@functools.cache
def modules() -> dict[str, Path]:
    """Return the file of each module of the package."""
    return {_module_name(path): path for path in sorted((SRC / PACKAGE).rglob("*.py"))}


@functools.cache
def parsed(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(modules()[module].read_text(encoding="utf-8"))


def folder(module: str) -> str:
    """Return the folder of a module; a module at the top is a folder of its own.

    ``wengert.ir.graph`` is in ``ir``, ``wengert.errors`` in ``errors``, ``wengert`` in ``""``.
    """
    inner = module.removeprefix(PACKAGE).lstrip(".")
    if modules()[module].name == "__init__.py" or "." not in inner:
        return inner
    return inner.rpartition(".")[0]


def _absolute(module: str, node: ast.ImportFrom) -> str:
    """Return the dotted name of what ``from ... import`` names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    base = module.split(".")
    if modules()[module].name != "__init__.py":
        base = base[:-1]
    base = base[: len(base) - (node.level - 1)]
    return ".".join(base + ([node.module] if node.module else []))


def named_modules(module: str, node: ast.AST) -> Iterator[str]:
    """Yield the modules that one import statement names, whether or not they are wengert's."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = _absolute(module, node)
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            yield inner if inner in modules() else source


@functools.cache
def imported(module: str) -> frozenset[str]:
    """Return every wengert module that a module imports, inside functions too."""
    found = {name for node in ast.walk(parsed(module)) for name in named_modules(module, node)}
    return frozenset({name for name in found if name.split(".")[0] == PACKAGE} - {module})


def arrows() -> Counter[tuple[str, str]]:
    """Count the imports from each folder to each other one."""
    found: Counter[tuple[str, str]] = Counter()
    for module in modules():
        for target in imported(module):
            ends = folder(module), folder(target)
            if ends[0] != ends[1]:
                found[ends] += 1
    return found


def wrong() -> list[str]:
    """Return the imports that the layers do not allow."""
    return [
        f"{module} imports {target}"
        for module in modules()
        for target in sorted(imported(module))
        if folder(target) != folder(module) and folder(target) not in LAYERS[folder(module)]
    ]


def layers_as_text() -> str:
    """Return the table of layers, the lowest first: each folder, and what it may import."""
    width = max(map(len, LAYERS))
    rows = []
    for name, allowed in LAYERS.items():
        order = [other for other in LAYERS if other in allowed]
        shown = ", ".join(other or PACKAGE for other in order) or "nothing"
        rows.append(f"{name or PACKAGE:{width}}  {shown}")
    return "\n".join(rows)


def as_text() -> str:
    """Return a line for each folder, the lowest first: its size, and how often it imports which."""
    found = arrows()
    width = max(map(len, LAYERS))
    rows = []
    for name in LAYERS:
        own = [module for module in modules() if folder(module) == name]
        lines = sum(len(modules()[m].read_text(encoding="utf-8").splitlines()) for m in own)
        shown = ", ".join(f"{to or PACKAGE} {found[name, to]}" for to in LAYERS if found[name, to])
        rows.append(f"{name or PACKAGE:{width}}  {len(own):2} files {lines:5} lines  -> {shown}")
    return "\n".join(rows)


def as_mermaid() -> str:
    """Return the arrows as a Mermaid flowchart; an arrow that a longer path implies is left out."""
    direct: dict[str, set[str]] = {name: set() for name in LAYERS}
    for (start, end), _ in arrows().items():
        direct[start].add(end)

    @functools.cache
    def below(name: str) -> frozenset[str]:
        return frozenset(direct[name]).union(*(below(other) for other in direct[name]))

    rows = ["flowchart BT"]
    for name, ends in direct.items():
        implied = set().union(*(below(other) for other in ends))
        rows += [
            f"  {end.replace('.', '_')} --> {(name or PACKAGE).replace('.', '_')}"
            for end in LAYERS
            if end in ends - implied
        ]
    return "\n".join(rows)
