"""What is true of an operation stands in its row, and not in tables elsewhere."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import wengert
from wengert.ops.base import TABLE, Op

SRC = Path(wengert.__file__).resolve().parent
ELSEWHERE = ("wengert.ops", "wengert.backend.", "wengert.rolling.", "wengert.trace.python.")
"""Rows; what backends register for them, which tests/backend walks; rolling, whose tables may
become fields yet; and what stands for functions of Python, which has names of its own."""

ALLOWED = {
    "names of NumPy's functions and methods, some of which rows have too": {
        "wengert.trace.dispatch._BY_REFERENCE", "wengert.trace.numpy.methods._FUNCTIONS",
        "wengert.trace.views._SHARING", "wengert.trace.kinds.OF_NUMBERS",
        "wengert.trace.lookups.VIEWS", "wengert.trace.lookups.WALKING",
        "wengert.trace.lookups.EFFECTS", "wengert.trace.labelled._REDUCTIONS",
    },
    "what to tell people": {
        "wengert.analysis.nans._DOMAINS", "wengert.analysis.nans._REPEATED",
        "wengert.trace.refused._NUMPYS",
    },
    "how formulas are written for people": {
        "wengert.drawing.naming._LAST",  # what Python's operators may have been simplified to
        *(f"wengert.drawing.derivatives.{name}" for name in ("_EXPLICIT", "_LINEAR")),
        *(
            f"wengert.drawing.formulas.{name}"
            for name in ("SIGNS", "_COMPARED", "_GREEK", "_KNOWN", "_NAMES", "_RULES", "_SHAPE")
        ),
    },
    "names of functions of C": {"wengert.llvm.engine._VECTOR"},
    "kinds of operations": {"wengert.cost.operation.KINDS", "wengert.transform.regions.CHEAP"},
    "what takes processors longer than a product": {"wengert.matrices.work.ROOTS"},
    "rewrites, each of which is a rule": {"wengert.ir.identities.IDENTITIES"},
    "what the graph of a loop is made with": {
        "wengert.transform.trip_graphs.(_AND, _NOT)",
        "wengert.transform.trip_graphs.(_NOT_EQUAL, _EQUAL)",
    },
    "what a loop may run before it knows that it is needed": {
        "wengert.transform.trip_graphs.SAFE",
    },
    "what NumPy's functions do beside applying a row": {
        "wengert.trace.functions.by_function", "wengert.trace.numpy.reduce._OF_BOOLEANS",
        "wengert.trace.numpy.reduce._OF_TRUTH", "wengert.trace.memory._MOVES",
        "wengert.trace.sizes._MOVES",
    },
}  # fmt: skip
"""Tables with names of rows, by the reason why they are no facts of rows."""


def tables() -> Iterator[str]:
    """Find collections of two rows or more at the top level of modules."""
    for found in pkgutil.walk_packages(wengert.__path__, "wengert."):
        if found.name.endswith("__main__") or found.name.startswith(ELSEWHERE):
            continue
        module = importlib.import_module(found.name)
        source = Path(str(module.__file__)).read_text(encoding="utf-8")
        for statement in ast.parse(source).body:
            if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.value is None:
                continue
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            name = ast.unparse(target)
            if name != "__all__" and rows_in(statement.value, sys.modules[found.name]) >= 2:
                yield f"{found.name}.{name}"


def rows_in(value: ast.AST, module: Any) -> int:
    """Count the rows of the table, and the names of rows, in an expression."""
    count = 0
    for x in ast.walk(value):
        if isinstance(x, ast.Constant):
            count += isinstance(x.value, str) and x.value in TABLE
        elif isinstance(x, ast.Name):
            count += isinstance(getattr(module, x.id, None), Op)
        elif isinstance(x, ast.Attribute) and isinstance(x.value, ast.Name):
            count += isinstance(getattr(getattr(module, x.value.id, None), x.attr, None), Op)
    return count


def test_facts_of_rows_stand_in_rows() -> None:
    """A table found here is a field that `Op` lacks."""
    found = set(tables())
    allowed = set().union(*ALLOWED.values())
    assert found <= allowed, f"make these fields of the rows: {sorted(found - allowed)}"


def test_tables_are_found() -> None:
    value = ast.parse("{'tanh': 1, 'sinh': 2, 'nothing': 3}", mode="eval").body
    assert rows_in(value, sys) == 2
    allowed = set().union(*ALLOWED.values())
    assert allowed - set(tables()) <= {
        "wengert.trace.lookups.VIEWS",
        "wengert.trace.lookups.EFFECTS",
    }
