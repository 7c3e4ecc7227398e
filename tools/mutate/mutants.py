"""The changes that a source file allows, each as the text of the whole changed file."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

SWAPS: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
LEFT_OUT = {"flops", "counts", "pattern", "name"}
"""Keyword arguments whose values are costs and names, which other tests are about."""


class Mutant(NamedTuple):
    """One change: where, in words what, and the syntax tree of the changed file."""

    line: int
    column: int
    what: str
    tree: ast.Module

    @property
    def key(self) -> str:
        return f"{self.line}:{self.column} {self.what}"


def _changes(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield what may stand in the place of an expression, with a description."""
    old = ast.unparse(node)
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPS:
            made = copy.copy(node)
            made.op = SWAPS[type(node.op)]()
            yield f"{old} -> {ast.unparse(made)}", made
        if isinstance(node.op, ast.Mult | ast.Div | ast.Add | ast.Sub):
            yield f"{old} -> {ast.unparse(node.left)}", node.left
    elif isinstance(node, ast.BoolOp):
        made = copy.copy(node)
        made.op = SWAPS[type(node.op)]()
        yield f"{old} -> {ast.unparse(made)}", made
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in SWAPS:
        made = copy.copy(node)
        made.ops = [SWAPS[type(node.ops[0])]()]
        yield f"{old} -> {ast.unparse(made)}", made
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.Not):
        yield f"{old} -> {ast.unparse(node.operand)}", node.operand
    elif isinstance(node, ast.IfExp):
        yield f"{old} -> {ast.unparse(node.orelse)}", node.orelse
        yield f"{old} -> {ast.unparse(node.body)}", node.body
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield f"{old} -> {not node.value}", ast.Constant(not node.value)
        elif isinstance(node.value, int | float):
            yield f"{old} -> {node.value + 1}", ast.Constant(node.value + 1)


def _places(node: Any, path: list[Any], inside: bool) -> Iterator[tuple[Any, list[Any]]]:
    """Yield the expressions inside functions, with the path to each; no messages, types, costs."""
    if isinstance(node, list):
        for i, value in enumerate(node):
            yield from _places(value, [*path, i], inside)
        return
    if not isinstance(node, ast.AST) or isinstance(node, ast.Raise | ast.JoinedStr | ast.arguments):
        return
    if isinstance(node, ast.keyword) and node.arg in LEFT_OUT:
        return
    if inside and isinstance(node, ast.expr):
        yield node, path
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        body = isinstance(node, ast.FunctionDef | ast.Lambda) and field == "body"
        yield from _places(value, [*path, field], inside or body)
    if inside and isinstance(node, ast.If | ast.While):
        yield node, path


def _put(tree: ast.Module, path: list[Any], made: Any) -> ast.Module:
    tree = copy.deepcopy(tree)
    node: Any = tree
    for step in path[:-1]:
        node = node[step] if isinstance(step, int) else getattr(node, step)
    made = copy.deepcopy(made)
    old = node[path[-1]] if isinstance(path[-1], int) else getattr(node, path[-1])
    ast.copy_location(made, old)
    if isinstance(path[-1], int):
        node[path[-1]] = made
    else:
        setattr(node, path[-1], made)
    return ast.fix_missing_locations(tree)


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every change of a source file, in the order of the text."""
    tree = ast.parse(source)
    for node, path in _places(tree, [], False):
        if isinstance(node, ast.If | ast.While):
            test = node.test
            if not isinstance(test, ast.Compare | ast.UnaryOp | ast.Constant):
                changed = ast.UnaryOp(ast.Not(), copy.deepcopy(test))
                what = f"{ast.unparse(test)} -> not ({ast.unparse(test)})"
                yield Mutant(
                    test.lineno, test.col_offset, what, _put(tree, [*path, "test"], changed)
                )
            continue
        for what, made in _changes(node):
            yield Mutant(node.lineno, node.col_offset, what, _put(tree, path, made))


def names(source: str, line: int) -> set[str]:
    """Return the names of the rows that a line belongs to, the users of a helper included."""
    statements = ast.parse(source).body
    (own,) = [s for s in statements if s.lineno <= line <= (s.end_lineno or s.lineno)]
    found = _called(own)
    if isinstance(own, ast.FunctionDef):
        users = [s for s in statements if s is not own and own.name in _mentioned(s)]
        found |= set().union(*map(_called, users))
    return found


def _mentioned(statement: ast.stmt) -> set[str]:
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}


def _called(statement: ast.stmt) -> set[str]:
    """Return what a statement is called: the names it binds, and the function that a row is of."""
    found = set()
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        found.add(statement.name)
    if isinstance(statement, ast.Assign):
        found |= {t.id for t in statement.targets if isinstance(t, ast.Name)}
    for node in ast.walk(statement):
        if isinstance(node, ast.Call) and node.args:
            first = node.args[0]
            if isinstance(first, ast.Attribute):
                found.add(first.attr)
            elif isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.add(first.value)
    return found
