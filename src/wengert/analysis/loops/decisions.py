"""Which loops a decision on a traced value can end, read off the source.

A decision ends a loop that asks it: in the test of ``while``, in the iterable of ``for``, or in an
``if`` that leaves the loop. It may also be kept in a variable that is asked later (``done = err <
tol``), so names are followed: what is assigned from a decision, or where one was taken, and what is
assigned from that. This errs on the side of more loops.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from typing import Any

from wengert.analysis.loops.sites import Scope, Site, Span, site_of, span_of, within

__all__ = ["decided"]

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_HEADS = (ast.For, ast.AsyncFor, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_ASSIGNMENTS = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.NamedExpr)


def decided(scope: Scope, offset: int, arrays: Collection[str] = ()) -> frozenset[Site]:
    """Return the loops that a decision taken at an instruction can end.

    Parameters
    ----------
    scope : Scope
    offset : int
        Of the instruction, in bytes: the comparison, or the call that the decision was taken in.
    arrays : collection of str
        Names that hold arrays. They hold no decision: whatever is asked of them is another one.
    """
    span = scope.spans[offset // 2]
    return frozenset() if span is None else _Search(scope, arrays).run(span)


class _Search:
    def __init__(self, scope: Scope, arrays: Collection[str]) -> None:
        self.arrays = arrays
        self.file = scope.file
        self.found: set[Site] = set()
        self.names: set[str] = set()
        self.parts = [(scope.node, ()), *_inside(scope.node, ())]

    def run(self, span: Span) -> frozenset[Site]:
        """Follow names until there are no new ones."""
        for node, loops in self.parts:
            if any(within(span, span_of(x)) for x in _asked(node)):
                self._takes(node, loops)
            elif isinstance(node, _HEADS) and span == span_of(node):  # its iterator, as it goes on
                for loop in getattr(node, "generators", [node]):
                    self._takes(loop, loops)
        known = -1
        while known < len(self.names):
            known = len(self.names)
            for node, loops in self.parts:
                if any(self._mentions(x) for x in _asked(node)):
                    self._takes(node, loops)
        return frozenset(self.found)

    def _takes(self, node: Any, loops: tuple[Any, ...]) -> None:
        """Note what a decision taken by a statement can end, and which names hold it."""
        if isinstance(node, _ASSIGNMENTS):
            self._assigned(node)
            return
        if isinstance(node, _LOOPS):
            self.found.add(site_of(node, self.file))
        elif isinstance(node, ast.comprehension):
            self.found.add(site_of(node.target, self.file))
            return
        asks = not isinstance(node, _LOOPS)  # a loop's test ends that loop only
        for inner, around in _inside(node, loops):
            if isinstance(inner, _ASSIGNMENTS):
                self._assigned(inner)
            elif asks and isinstance(inner, ast.Return):
                self.found.update(site_of(x, self.file) for x in loops)
            elif asks and around and around == loops and self._leaves(inner, around[-1]):
                self.found.add(site_of(around[-1], self.file))

    @staticmethod
    def _leaves(node: ast.AST, loop: ast.AST) -> bool:
        """Whether a statement ends a loop, or keeps one from what its test waits for."""
        kept = isinstance(node, ast.Continue) and isinstance(loop, ast.While)
        return kept or isinstance(node, ast.Break)

    def _assigned(self, node: Any) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for x in ast.walk(target):
                if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store):
                    self.names.add(x.id)
                elif isinstance(x, ast.Attribute) and isinstance(x.ctx, ast.Store):
                    self.names.add(ast.unparse(x))
                elif isinstance(x, ast.Subscript):
                    self.names.add(ast.unparse(x.value))

    def _mentions(self, node: ast.AST) -> bool:
        """Whether one of the names is read, and not for its shape only, which is decided before."""
        if isinstance(node, ast.Name):
            return node.id in self.names and node.id not in self.arrays
        if isinstance(node, ast.Attribute):
            if node.attr in ("shape", "size", "ndim", "dtype"):
                return False
            if ast.unparse(node) in self.names:
                return True
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("len", "np.shape", "np.size"):
            return False
        return any(self._mentions(x) for x in ast.iter_child_nodes(node))


def _asked(node: Any) -> list[ast.AST]:
    """List what a statement evaluates to decide, or to assign."""
    if isinstance(node, (ast.If, ast.While)):
        return [node.test]
    if isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
        return [node.iter]
    if isinstance(node, ast.Match):
        return [node.subject, *(c.guard for c in node.cases if c.guard is not None)]
    if isinstance(node, _ASSIGNMENTS) and node.value is not None:
        return [node.value]
    return []


def _inside(node: Any, loops: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield the nodes in a statement, and the loops around each that it can leave."""
    around = (*loops, node) if isinstance(node, _LOOPS) else loops
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, _FUNCTIONS):
                inner = around if name == "body" else loops
                yield child, inner
                yield from _inside(child, inner)
