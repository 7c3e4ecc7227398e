"""The layout holds: imports point one way, files stay short, optional libraries stay optional."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[1] / "src"
MAX_LINES = 650

CORE = {"errors", "ir", "ops", "trace", "transform", "sparse", "plan", "backend", "trees"}
# Each part of the package, and the parts that it may import. "" is the package's own __init__.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "ir": {"errors"},
    "ops": {"errors", "ir"},
    "trees": {"errors", "ir", "ops"},
    "trace": {"errors", "ir", "ops"},
    "transform": {"errors", "ir", "ops", "trees", "trace"},
    # Colouring's loops over integers are compiled by the native backend, which sees no sparsity.
    "sparse": {"errors", "ir", "ops", "trees", "trace", "transform", "backend"},
    "plan": {"errors", "ir", "ops", "trees", "trace", "transform", "sparse"},
    "backend": {"errors", "ir", "ops"},
    "naming": set(),
    "backends": {"errors", "backend"},
    "compile": CORE | {"naming", "backends"},
    "api": CORE | {"compile"},
    "matrices": CORE | {"compile", "api"},
    "costs": CORE | {"compile", "api"},
    "analysis": CORE | {"compile", "api"},
    "chains": CORE | {"compile", "api"},
    "testing": CORE | {"compile", "api", ""},
    "interop": CORE | {"compile", "api", ""},
    "train": CORE | {"compile", "api", ""},
    "": CORE | {"compile", "api", "matrices", "costs", "analysis", "testing", "interop", "train"},
    "report": CORE
    | {"compile", "api", "matrices", "costs", "analysis", "testing", "interop", "train", ""},
    "__main__": {"report"},
}
OPTIONAL = {
    *("asdex", "autograd", "casadi", "jax", "jaxlib", "llvmlite", "matplotlib", "numba"),
    *("pandas", "sklearn", "tensorflow", "torch"),
}


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = sorted((SRC / "wengert").rglob("*.py"))
TREES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in FILES}
PACKAGES = {module_name(path) for path in FILES if path.name == "__init__.py"}


def part(module: str) -> str:
    """``wengert.ir.graph`` belongs to the part ``ir``, ``wengert`` to the part ``""``."""
    return [*module.split("."), ""][1]


def absolute(module: str, node: ast.ImportFrom) -> str:
    """Return the dotted name of what ``from ... import`` names, relative dots resolved."""
    if not node.level:
        return node.module or ""
    base = module.split(".")
    if module not in PACKAGES:
        base = base[:-1]
    base = base[: len(base) - (node.level - 1)]
    return ".".join(base + ([node.module] if node.module else []))


def named_modules(module: str, node: ast.AST) -> Iterator[str]:
    """Yield the modules that one import statement names, whether or not they are wengert's."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        source = absolute(module, node)
        for alias in node.names:
            inner = f"{source}.{alias.name}"
            yield inner if inner in TREES else source


def internal_imports(module: str) -> set[str]:
    """Every wengert module that ``module`` imports, inside functions too."""
    found = {name for node in ast.walk(TREES[module]) for name in named_modules(module, node)}
    return {name for name in found if name.split(".")[0] == "wengert"} - {module}


def top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported (not those for type checkers)."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from top_level(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            for field in ("body", "orelse", "finalbody"):
                yield from top_level(getattr(node, field, []))
            for handler in getattr(node, "handlers", []):
                yield from top_level(handler.body)


def wrong_arrows() -> list[str]:
    return [
        f"{module} imports {target}"
        for module in TREES
        for target in sorted(internal_imports(module))
        if part(target) != part(module) and part(target) not in ALLOWED[part(module)]
    ]


def test_every_part_of_the_package_has_its_row():
    assert {part(module) for module in TREES} <= set(ALLOWED)


def test_every_imported_wengert_module_exists():
    missing = [
        f"{module} imports {target}"
        for module in TREES
        for target in sorted(internal_imports(module))
        if target not in TREES
    ]
    assert not missing


def test_imports_point_one_way():
    assert wrong_arrows() == []


def test_nothing_imports_the_report():
    seen = [m for m in TREES for t in internal_imports(m) if part(t) == "report"]
    assert {part(module) for module in seen} <= {"report", "__main__"}


def test_no_import_cycle():
    try:
        TopologicalSorter({m: internal_imports(m) for m in TREES}).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize("module", TREES)
def test_optional_libraries_are_imported_on_demand(module):
    names = {
        name.split(".")[0]
        for node in top_level(TREES[module].body)
        for name in named_modules(module, node)
    }
    assert not names & OPTIONAL, "import it inside the function that needs it"


@pytest.mark.parametrize("path", FILES, ids=[module_name(path) for path in FILES])
def test_no_file_is_too_long(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{path.name} has {lines} lines: split it by idea"


def test_the_scan_sees_what_it_must():
    """Relative, absolute and nested imports all resolve; type-checking blocks are not run."""
    module = "wengert.errors"
    resolve = [
        ("from .ir import graph", "wengert.ir"),
        ("from . import ir", "wengert.ir"),
        ("from wengert.ir import graph", "wengert.ir"),
        ("import wengert.ir", "wengert.ir"),
    ]
    for text, expected in resolve:
        (name,) = named_modules(module, ast.parse(text).body[0])
        assert name.startswith(expected)
    body = ast.parse("if TYPE_CHECKING:\n import jax\ntry:\n import torch\nexcept E:\n pass").body
    names = [name for node in top_level(body) for name in named_modules(module, node)]
    assert names == ["torch"]
