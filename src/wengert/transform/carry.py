"""What a loop carries from trip to trip: a pytree whose form, shapes and dtypes stay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import optree

from wengert import trees
from wengert.errors import InputError, ShapeError, user_line
from wengert.ir.graph import Aval, aval_of
from wengert.ops.base import Traced, dtype_of

__all__ = ["AgainError", "Carry", "kind_of"]

_PYTHON = (bool, int, float, complex)


class AgainError(Exception):
    """A carried number has taken another dtype, so the body is to be recorded again."""


class Carry:
    """What a loop carries: leaves, and their form.

    Parameters
    ----------
    name : str
        Of the function, for messages.
    tree : pytree of arrays and numbers
    """

    def __init__(self, name: str, tree: Any) -> None:
        self.name = name
        self.leaves, self.spec = trees.flattened(tree)
        self.paths = [_path(p) for p in optree.tree_paths(tree)]
        self.weak = [type(x) in _PYTHON for x in self.leaves]
        self.leaves = [self._leaf(x, p) for x, p in zip(self.leaves, self.paths, strict=True)]

    def _leaf(self, x: Any, path: str) -> Any:
        if isinstance(x, Traced):
            return trees.frozen(x)
        made = np.array(x)[()] if not isinstance(x, np.ndarray) else np.array(x)
        if made.dtype.kind not in "fciub":
            raise InputError(
                f"{self.name} takes arrays and numbers; init{path} is of type {type(x).__name__}"
                + user_line()
            )
        return made

    def pack(self, leaves: Sequence[Any]) -> Any:
        """Put leaves into the form."""
        return self.spec.unflatten(leaves)

    def next(self, tree: Any, what: str = "the body") -> list[Any]:
        """Return the leaves of what a trip carries on, which has the form of what it was given.

        Raises
        ------
        ShapeError
            Showing both, leaf by leaf.
        """
        leaves, spec = trees.flattened(tree)
        if spec != self.spec:
            raise ShapeError(
                f"{self.name}: {what} returns a carry of another form than it is given:\n"
                f"  given    {self.spec}\n  returned {spec}" + user_line()
            )
        leaves = [x if isinstance(x, Traced) else np.asarray(x)[()] for x in leaves]
        rows = []
        differ = False
        for path, a, b in zip(self.paths, self.leaves, leaves, strict=True):
            one, two = kind_of(a), kind_of(b)
            differ = differ or one != two
            rows.append((path or "carry", one, two))
        if differ:
            shown = "".join(
                f"\n  {path}: {one}" + (f" is given, {two} returned" if one != two else " stays")
                for path, one, two in rows
            )
            raise ShapeError(
                f"{self.name}: {what} changes the shape or dtype of what it carries:{shown}\n"
                f"Give init the shape and dtype that the body returns, or convert what it returns."
                + user_line()
            )
        return leaves

    def again(self, tree: Any) -> None:
        """Ask for another recording once the first trip has shown the dtypes.

        Raises
        ------
        AgainError
        """
        if any(self.weak):
            self.settled(tree)
            raise AgainError

    @property
    def first(self) -> list[Any]:
        """The leaves for the first trip: Python numbers as such, which leave dtypes to others."""
        return [x.item() if w else x for x, w in zip(self.leaves, self.weak, strict=True)]

    def settled(self, tree: Any) -> bool:
        """Take the dtype of what the first trip returns where init is a number of Python.

        Returns
        -------
        bool
            Whether a leaf has changed, so that the trip is to be made again.
        """
        leaves, spec = trees.flattened(tree)
        if spec != self.spec:
            return False
        before = [dtype_of(x) for x in self.leaves]
        for k, y in enumerate(leaves):
            if self.weak[k]:
                x, kind = self.leaves[k], aval_of(y)
                if not kind.weak and np.result_type(x.item(), kind.dtype) == kind.dtype:
                    self.leaves[k] = kind.dtype.type(x)
        self.weak = [False] * len(leaves)
        return before != [dtype_of(x) for x in self.leaves]


def _path(path: tuple[Any, ...]) -> str:
    return "".join(f"[{part!r}]" for part in path)


def kind_of(x: Any) -> str:
    """Return the shape and dtype of a leaf, as messages show them."""
    aval = aval_of(x)
    return str(Aval(aval.shape, aval.dtype))
