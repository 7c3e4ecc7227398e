"""The layout holds: imports point one way, files stay short, optional libraries stay optional."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from tools.imports import drawing
from tools.imports.layers import LAYERS

MAX_LINES = 600

OPTIONAL = {
    *("asdex", "autograd", "casadi", "jax", "jaxlib", "matplotlib", "numba"),
    *("pandas", "sklearn", "tensorflow", "torch"),
}
ON_DEMAND = OPTIONAL | {"llvmlite"}  # a dependency, but eager derivatives do not wait for LLVM
ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
MODULES = drawing.modules()
FOLDERS = sorted({drawing.folder(m) for m in MODULES})
PACKAGES = sorted(
    {drawing.folder(m) for m, path in MODULES.items() if path.name == "__init__.py"} - {""}
)


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


def test_every_folder_has_its_line_in_the_table():
    assert set(FOLDERS) == set(LAYERS)


def test_every_line_of_the_table_points_up():
    seen: set[str] = set()
    for name, allowed in LAYERS.items():
        assert allowed <= seen, f"{name} may import {allowed - seen}, which stands below it"
        seen.add(name)


def test_every_arrow_of_the_table_is_used():
    arrows = drawing.arrows()
    unused = [(n, to) for n in LAYERS for to in LAYERS[n] - {"errors"} if not arrows[n, to]]
    assert not unused


def test_every_imported_wengert_module_exists():
    missing = [
        f"{module} imports {target}"
        for module in MODULES
        for target in sorted(drawing.imported(module))
        if target not in MODULES
    ]
    assert not missing


def test_imports_point_one_way():
    assert drawing.wrong() == []


def test_no_import_cycle():
    try:
        TopologicalSorter({m: drawing.imported(m) for m in MODULES}).prepare()
    except CycleError as error:
        pytest.fail("import cycle: " + " <- ".join(error.args[1]))


@pytest.mark.parametrize("package", PACKAGES)
def test_every_folder_says_what_lives_there_and_what_it_may_import(package):
    path = drawing.SRC / "wengert" / package.replace(".", "/") / "__init__.py"
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    words = " ".join(said.split())
    order = [other or "wengert" for other in LAYERS if other in LAYERS[package]]
    assert f"May import: {', '.join(order) or 'nothing of the package'}." in words
    assert len(said.splitlines()) >= 3


def test_the_documentation_prints_the_table():
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert drawing.layers_as_text() in text, "paste what `python -m tools.imports --layers` prints"


def test_the_drawings_have_every_folder():
    for text in (drawing.as_text(), drawing.as_mermaid()):
        shown = text.replace(".", "_")
        assert all((name or "wengert").replace(".", "_") in shown for name in LAYERS)


@pytest.mark.parametrize("module", MODULES)
def test_optional_libraries_are_imported_on_demand(module):
    names = {
        name.split(".")[0]
        for node in top_level(drawing.parsed(module).body)
        for name in drawing.named_modules(module, node)
    }
    assert not names & ON_DEMAND, "import it inside the function that needs it"


def test_dependencies_are_what_the_package_imports():
    nodes = [node for m in MODULES for node in ast.walk(drawing.parsed(m))]
    absolute = [n for n in nodes if isinstance(n, ast.ImportFrom) and not n.level]
    names = [str(n.module) for n in absolute]
    names += [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
    roots = {name.split(".")[0] for name in names}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = {re.split("[<>=]", line)[0] for line in project["dependencies"]}
    assert roots - set(sys.stdlib_module_names) - OPTIONAL - {"wengert"} == required


@pytest.mark.parametrize("module", MODULES)
def test_no_file_is_too_long(module):
    lines = len(MODULES[module].read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_LINES, f"{module} has {lines} lines: split it by idea"


def test_no_other_file_is_too_long():
    found = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("tests", "tools", "fuzz", "bench", "examples")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert not {name: lines for name, lines in found.items() if lines > MAX_LINES}


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
        (name,) = drawing.named_modules(module, ast.parse(text).body[0])
        assert name.startswith(expected)
    body = ast.parse("if TYPE_CHECKING:\n import jax\ntry:\n import torch\nexcept E:\n pass").body
    names = [name for node in top_level(body) for name in drawing.named_modules(module, node)]
    assert names == ["torch"]
