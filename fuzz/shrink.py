"""The smallest program that still fails in the same way.

Works on the syntax tree, so it needs to know nothing about how programs are generated: leave out
statements, replace a block by its body, an expression by one of its parts, an argument by a
simpler one; keep what still fails. (The idea is delta debugging: Zeller and Hildebrandt, IEEE
Transactions on Software Engineering 28, 2002.)
"""

from __future__ import annotations

import ast
import contextlib
import copy
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

Fails = Callable[[str], bool]

SECONDS = 5.0
"""How long a smaller program may take. One without the statement that ends its loop has no end."""

MODULES = ("np", "special", "scipy", "copy", "functools", "itertools", "wg")


def shrunk(source: str, fails: Fails, seconds: float) -> str:
    """Return a smaller program for which `fails` still holds.

    Parameters
    ----------
    source : str
        A program that fails.
    fails : callable
        Whether a text is a program that fails in the same way.
    seconds : float
        After which the best one so far is returned.
    """
    end = time.monotonic() + seconds
    best = ast.unparse(ast.parse(source))
    seen = {best}
    progress = True
    while progress:
        progress = False
        for candidate in smaller(best):
            if time.monotonic() > end:
                return _laid_out(best)
            if candidate not in seen:
                seen.add(candidate)
                if _in_time(fails, candidate):
                    best, progress = candidate, True
                    break
    return _laid_out(best)


class LateError(BaseException):
    """A program takes too long. No handler of exceptions in it is to take this."""


def _in_time(fails: Fails, source: str) -> bool:
    """Whether a program fails in the same way, and ends."""
    if threading.current_thread() is not threading.main_thread():
        return fails(source)
    before = signal.signal(signal.SIGALRM, _late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        with contextlib.suppress(LateError):
            return fails(source)
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def _late(*_: Any) -> None:
    raise LateError


def _laid_out(source: str) -> str:
    """Return the text with one call a line."""
    module = ast.parse(source)
    *before, calls = module.body
    assert isinstance(calls, ast.Assign)
    assert isinstance(calls.value, ast.List)
    lines = "".join(f"    {ast.unparse(call)},\n" for call in calls.value.elts)
    return "\n\n\n".join([*map(ast.unparse, before), f"calls = [\n{lines}]"]) + "\n"


def _calls(tree: ast.Module) -> list[Any]:
    """Return the path to the list of calls, which ends a program's text."""
    return ["body", len(tree.body) - 1, "value"]


def smaller(source: str) -> Iterator[str]:
    """Yield simpler programs, those that promise most first."""
    tree = ast.parse(source)
    for rewrite in REWRITES:
        yield from rewrite(tree)


def _edited(tree: ast.Module, edit: Callable[[ast.AST], None], path: list[Any]) -> str:
    """Apply an edit to a copy of the tree, at the node that a path leads to."""
    made = copy.deepcopy(tree)
    node: Any = made
    for step in path:
        node = node[step] if isinstance(step, int) else getattr(node, step)
    edit(node)
    return ast.unparse(ast.fix_missing_locations(made))


def _walk(node: Any, path: list[Any]) -> Iterator[tuple[Any, list[Any]]]:
    """Yield each node with the path that leads to it, outer nodes first."""
    if isinstance(node, ast.AST):
        yield node, path
        for field, value in ast.iter_fields(node):
            yield from _walk(value, [*path, field])
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _walk(value, [*path, i])


def _blocks(tree: ast.Module) -> Iterator[tuple[list[ast.stmt], str, list[Any]]]:
    """Yield each list of statements, the field that holds it and the path of its owner."""
    for node, path in _walk(tree, []):
        if isinstance(node, ast.Module):
            continue
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block, field, path


def _without_calls(tree: ast.Module) -> Iterator[str]:
    """Leave out calls, but for one."""
    calls = tree.body[-1]
    assert isinstance(calls, ast.Assign)
    assert isinstance(calls.value, ast.List)
    for i in reversed(range(len(calls.value.elts))):
        if len(calls.value.elts) > 1:
            yield _edited(tree, lambda node, i=i: node.elts.pop(i), _calls(tree))  # type: ignore


def _without_blocks(tree: ast.Module) -> Iterator[str]:
    """Leave out runs of statements: halves of a block, quarters, single ones, the last first."""
    for block, field, path in _blocks(tree):
        size = max(1, len(block) // 2)
        while size:
            for start in range(len(block) - size, -1, -size):

                def cut(
                    node: Any, start: int = start, size: int = size, field: str = field
                ) -> None:
                    kept = getattr(node, field)
                    del kept[start : start + size]
                    if not kept and field == "body":
                        kept.append(ast.Pass())

                if not (size == len(block) == 1 and isinstance(block[0], ast.Pass)):
                    yield _edited(tree, cut, path)
            size //= 2
    for i, statement in enumerate(tree.body[:-1]):
        if isinstance(statement, ast.Assign):
            yield _edited(tree, lambda module, i=i: module.body.pop(i), [])  # type: ignore


def _unwrapped(tree: ast.Module) -> Iterator[str]:
    """Replace a compound statement by its body."""
    for block, field, path in _blocks(tree):
        for i, statement in enumerate(block):
            bodies = [
                getattr(statement, name)
                for name in ("body", "orelse", "finalbody")
                if not isinstance(statement, ast.FunctionDef) and getattr(statement, name, None)
            ]
            bodies += [handler.body for handler in getattr(statement, "handlers", [])]
            for body in bodies:

                def put(node: Any, i: int = i, body: Any = body, field: str = field) -> None:
                    getattr(node, field)[i : i + 1] = copy.deepcopy(body)

                yield _edited(tree, put, path)


def _without_arguments(tree: ast.Module) -> Iterator[str]:
    """Leave out a parameter of the program, and its argument in every call."""
    (index,) = (
        i for i, s in enumerate(tree.body) if isinstance(s, ast.FunctionDef) and s.name == "program"
    )
    function = tree.body[index]
    assert isinstance(function, ast.FunctionDef)
    for k in range(len(function.args.args)):
        if len(function.args.args) == 1:
            return

        def drop(module: Any, k: int = k) -> None:
            module.body[index].args.args.pop(k)
            for call in module.body[-1].value.elts:
                call.body.elts.pop(k)

        yield _edited(tree, drop, [])


def _parts(tree: ast.Module) -> Iterator[str]:
    """Replace an expression by a part of it, and leave out arguments and elements."""
    calls = _calls(tree)
    for node, path in _walk(tree, []):
        if (
            not isinstance(node, ast.expr)
            or not path
            or isinstance(getattr(node, "ctx", None), ast.Store)
        ):
            continue
        in_calls = path[:3] == calls
        if path == calls or (in_calls and path[-1] == "body" and isinstance(node, ast.Tuple)):
            continue  # the calls, and the arguments of one
        if isinstance(
            node,
            ast.Call
            | ast.BinOp
            | ast.Subscript
            | ast.Attribute
            | ast.UnaryOp
            | ast.Tuple
            | ast.Dict
            | ast.Compare
            | ast.BoolOp
            | ast.IfExp
            | ast.List,
        ):
            for part in _operands(node):
                yield _replaced(tree, path, part)
        if isinstance(node, ast.Call):
            for i in range(len(node.keywords)):
                yield _edited(tree, lambda call, i=i: call.keywords.pop(i), path)  # type: ignore
        if isinstance(node, ast.Tuple | ast.List) and len(node.elts) > 1 and not in_calls:
            for i in range(len(node.elts)):
                yield _edited(tree, lambda made, i=i: made.elts.pop(i), path)  # type: ignore


def _operands(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the expressions inside one that could stand in its place."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and not _is_module(node.func.value):
            yield node.func.value
        yield from (a for a in node.args if not isinstance(a, ast.Constant))
    else:
        for child in ast.iter_child_nodes(node):
            if (
                isinstance(child, ast.expr)
                and not isinstance(child, ast.Slice)
                and not _is_module(child)
            ):
                yield child


def _is_module(node: ast.AST) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id in MODULES


def _replaced(tree: ast.Module, path: list[Any], part: ast.expr) -> str:
    """Return the text with the expression at a path replaced."""
    made = copy.deepcopy(tree)
    node: Any = made
    for step in path[:-1]:
        node = node[step] if isinstance(step, int) else getattr(node, step)
    if isinstance(path[-1], int):
        node[path[-1]] = copy.deepcopy(part)
    else:
        setattr(node, path[-1], copy.deepcopy(part))
    return ast.unparse(ast.fix_missing_locations(made))


def _constants(tree: ast.Module) -> Iterator[str]:
    """Bring numbers nearer to 0, sizes of arrays included, and put names in place of numbers."""
    for node, path in _walk(tree, []):
        if not isinstance(node, ast.Constant) or type(node.value) not in (int, float):
            continue
        value = node.value
        simpler = [1, 2, value // 2] if type(value) is int else [1.0, 0.5, round(value, 1)]
        for other in simpler:
            if 0 < abs(other) < abs(value):
                yield _replaced(tree, path, ast.Constant(other))


def _inlined(tree: ast.Module) -> Iterator[str]:
    """Put an expression in place of the name that was given to it."""
    for block, field, path in _blocks(tree):
        for i, statement in enumerate(block):
            if not isinstance(statement, ast.Assign) or not isinstance(
                statement.targets[0], ast.Name
            ):
                continue

            def put(owner: Any, i: int = i, field: str = field) -> None:
                made = getattr(owner, field)
                assign = made.pop(i)
                name = assign.targets[0].id
                made[i:] = [_Renamed(name, assign.value).visit(s) for s in made[i:]]

            if len(block) > 1:
                yield _edited(tree, put, path)


class _Renamed(ast.NodeTransformer):
    def __init__(self, name: str, value: ast.expr) -> None:
        self.name, self.value = name, value

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id == self.name and isinstance(node.ctx, ast.Load):
            return copy.deepcopy(self.value)
        return node


REWRITES = (
    _without_calls, _without_blocks, _unwrapped, _without_arguments, _inlined, _parts, _constants,
)  # fmt: skip
