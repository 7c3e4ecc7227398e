"""Put the functions of a changed file in the place of those that exist in this process."""

from __future__ import annotations

import ast
import gc
from types import CodeType, FunctionType


def _pairs(old: CodeType, new: CodeType) -> list[tuple[CodeType, CodeType]]:
    """Return the code objects that differ, innermost too, in pairs."""
    found = [] if old == new else [(old, new)]
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (old, new)]
    for a, b in zip(*inner, strict=True):
        found += _pairs(a, b)
    return found


def _functions() -> list[FunctionType]:
    """Return all living functions, also those that tests have frozen, which are not listed."""
    frozen = gc.get_freeze_count()
    gc.unfreeze()
    found = [f for f in gc.get_objects() if isinstance(f, FunctionType)]
    if frozen:
        gc.freeze()
    return found


def plant(path: str, source: str, tree: ast.Module) -> bool:
    """Change every living function of the file; whether there was one to change.

    Raises
    ------
    ValueError
        When the number of captured variables changes, which a living closure cannot follow.
    """
    old, new = (compile(x, path, "exec", dont_inherit=True) for x in (source, tree))
    changed = dict(_pairs(old, new))
    changed.pop(old, None)
    found = False
    for function in _functions():
        code = changed.get(function.__code__)  # equal code of another file compares equal too
        if code is not None and function.__code__.co_filename == path:
            function.__code__ = code
            found = True
    return found
