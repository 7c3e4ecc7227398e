"""What the user's source says: the variable that a statement assigns, and where functions begin."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import optree

from wengert.ir.graph import Place

__all__ = ["Statement", "argument_names", "function_at", "place_of", "statement_at", "variables_of"]

Spot = tuple[str, str, int]


class Statement(NamedTuple):
    """A statement of the user's.

    Attributes
    ----------
    start, end : int
        Its lines.
    target : str
        The variable that it assigns, alone; else empty.
    returns : bool
        Whether its value is that of the function.
    last : str
        What is done last for its value: the sign of an operator, or the name of a function.
    """

    start: int
    end: int
    target: str
    returns: bool
    last: str = ""


class _Index(NamedTuple):
    statements: dict[int, Statement]
    functions: dict[int, tuple[int, str]]


@functools.lru_cache(maxsize=64)
def _index(file: str) -> _Index:
    """Read a file: for each line its innermost statement, and its innermost function."""
    statements: dict[int, Statement] = {}
    functions: dict[int, tuple[int, str]] = {}
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return _Index(statements, functions)
    for node in ast.walk(tree):  # outer ones first
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                functions[line] = node.lineno, node.name
        if isinstance(node, ast.stmt) and not hasattr(node, "body"):
            found = _statement(node)
            for line in range(found.start, found.end + 1):
                if line in statements and statements[line].start < found.start:
                    statements[line] = found
                statements.setdefault(line, found)
    return _Index(statements, functions)


def _statement(node: ast.stmt) -> Statement:
    target = last = ""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target, last = _name(node.targets[0]), _last(node.value)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        target, last = _name(node.target), _last(node.value)
    elif isinstance(node, ast.AugAssign):
        target, last = _name(node.target), type(node.op).__name__
    end = node.end_lineno or node.lineno
    return Statement(node.lineno, end, target, isinstance(node, ast.Return), last)


def _last(value: ast.expr) -> str:
    """Return what is done last for the value of an expression."""
    if isinstance(value, (ast.BinOp, ast.UnaryOp)):
        return type(value.op).__name__
    if isinstance(value, ast.Call):
        f = value.func
        return f.attr if isinstance(f, ast.Attribute) else f.id if isinstance(f, ast.Name) else ""
    return ""


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def statement_at(spot: Spot) -> Statement | None:
    """Return the statement at ``(file, function, line)``; a lambda returns what it computes."""
    file, function, line = spot
    last = function.rpartition(".")[2]
    if last == "<lambda>":
        return Statement(line, line, "", True)
    if last.startswith("<") and last != "<module>":
        return None
    return _index(file).statements.get(line)


def function_at(file: str, line: int) -> int:
    """Return the line where the function around a line begins; 0 for none."""
    return _index(file).functions.get(line, (0, ""))[0]


def place_of(place: Any) -> tuple[str, int, str, str]:
    """Return file, line, function and text of the line that an operation was recorded at."""
    if not place or not place[0]:
        return "", 0, "", ""
    file, line = place[0], place[1]
    calls = place.calls if isinstance(place, Place) else ()
    return file, line, calls[0][1] if calls else "", linecache.getline(file, line).strip()


def argument_names(
    f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[str]:
    """Return a name for each leaf of a call: ``x``, ``params["W"]``, ``layers[0][1]``."""
    tops: list[str] = []
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for k in range(len(args)):
        p = parameters[min(k, len(parameters) - 1)] if parameters else None
        if p is None:
            tops.append(f"x{k}")
        elif p.kind is p.VAR_POSITIONAL:
            tops.append(f"{p.name}[{k - len(parameters) + 1}]" if len(args) > 1 else p.name)
        else:
            tops.append(p.name)
    names: list[str] = []
    for top, x in (*zip(tops, args, strict=True), *sorted(kwargs.items())):
        paths = optree.tree_paths(x)
        names += [top + "".join(f"[{p!r}]" for p in path).replace("'", "") for path in paths]
    return names


def variables_of(f: Any) -> list[tuple[str, Any]]:
    """Return the variables that a function sees outside of itself, by name."""
    while hasattr(f, "__wrapped__"):
        f = f.__wrapped__
    f = getattr(f, "__func__", f)
    code = getattr(f, "__code__", None)
    if code is None:
        return []
    found = [(n, getattr(f, "__globals__", {}).get(n)) for n in code.co_names]
    for name, cell in zip(code.co_freevars, f.__closure__ or (), strict=True):
        try:
            found.append((name, cell.cell_contents))
        except ValueError:
            continue
    return [(n, x) for n, x in found if x is not None]


def leaves_named(named: Sequence[tuple[str, Any]]) -> dict[int, str]:
    """Return names of the arrays among variables, by the id of each."""
    found: dict[int, str] = {}
    for name, x in named:
        tree: Any = x
        if isinstance(x, (list, tuple, dict)):
            for path, leaf in zip(optree.tree_paths(tree), optree.tree_leaves(tree), strict=True):
                text = name + "".join(f"[{p!r}]" for p in path).replace("'", "")
                found.setdefault(id(leaf), text)
        else:
            found.setdefault(id(x), name)
    return found
