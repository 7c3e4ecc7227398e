"""What the functions of `loops` take and return, read from their annotations."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

__all__ = ["ARRAYS", "REGISTERS", "ArrayKind", "Function", "Signature", "find_global", "last_name"]


class ArrayKind(NamedTuple):
    """What a kind of array holds: its dtype, LLVM's type in memory, and the kind of an element."""

    dtype: np.dtype[Any]
    memory: str
    element: str


ARRAYS = {
    "Ints": ArrayKind(np.dtype(np.int32), "i32", "int"),
    "Longs": ArrayKind(np.dtype(np.int64), "i64", "int"),
    "Flags": ArrayKind(np.dtype(np.bool_), "i8", "bool"),
    "Floats": ArrayKind(np.dtype(np.float64), "double", "float"),
}
"""Kinds of arrays, by the name of the annotation."""
REGISTERS = {"int": "i64", "bool": "i1", "float": "double"}
"""Kinds of numbers, and LLVM's types of them."""


class Function(Protocol):
    """What is translated: a Python function with its signature, and a name for the native one."""

    plain: Callable[..., Any]

    @property
    def symbol(self) -> str: ...  # noqa: D102
    @property
    def signature(self) -> Signature: ...  # noqa: D102
    def tree(self) -> tuple[ast.FunctionDef, int, str]: ...  # noqa: D102


@dataclass(frozen=True)
class Signature:
    """Types of a function: kinds of `ARRAYS` or of numbers.

    Attributes
    ----------
    parameters : tuple of (name, kind)
    result : str
        "int", "bool", "float" or "None".
    written : frozenset of str
        Parameters whose elements are assigned to, here or in a function called.
    """

    parameters: tuple[tuple[str, str], ...]
    result: str
    written: frozenset[str]

    @classmethod
    def of(cls, plain: Callable[..., Any]) -> Signature:
        """Read the annotations of a function.

        Raises
        ------
        TypeError
            If one is missing or is none of the kinds.
        """
        where = f"{plain.__module__}.{plain.__qualname__}"
        parameters = []
        for name in inspect.signature(plain).parameters:
            kind = last_name(plain.__annotations__.get(name))
            if kind not in ARRAYS and kind not in REGISTERS:
                known = ", ".join([*ARRAYS, *REGISTERS])
                raise TypeError(
                    f"{where}: {name} needs one of {known} "
                    "(by name: `from __future__ import annotations`)"
                )
            parameters.append((name, kind))
        result = last_name(plain.__annotations__.get("return"))
        if result != "None" and result not in REGISTERS:
            raise TypeError(f"{where} must return int, bool, float or None")
        source = ast.parse(textwrap.dedent(_source(plain)))
        written = {
            node.value.id
            for node in ast.walk(source)
            if isinstance(node, ast.Subscript)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
        }
        for call in (node for node in ast.walk(source) if isinstance(node, ast.Call)):
            target = find_global(plain, call.func)
            if hasattr(target, "signature") and target.plain is not plain:
                inner: Signature = target.signature
                for (name, _), given in zip(inner.parameters, call.args, strict=False):
                    if name in inner.written and isinstance(given, ast.Name):
                        written.add(given.id)
        return cls(tuple(parameters), result, frozenset(written))


def _source(plain: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(plain)
    except OSError:
        return ""


def last_name(annotation: Any) -> str:
    """Return the last name of an annotation, which is a string under future annotations."""
    return str(annotation).split(".")[-1]


def find_global(plain: Callable[..., Any], node: ast.expr) -> Any:
    """Return what a name, or a module's attribute, is outside a function; None if nothing."""
    if isinstance(node, ast.Name):
        return getattr(plain, "__globals__", {}).get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(find_global(plain, node.value), node.attr, None)
    return None
