"""Pytrees for users: nested lists, tuples, dicts and objects whose leaves are arrays and numbers.

`wengert.register` says which classes have parts. None is a part without leaves.

>>> params = {"w": np.ones((2, 3)), "b": [0.0, 1.0]}
>>> wg.tree.map(np.shape, params)
{'b': [(), ()], 'w': (2, 3)}
>>> flat, unravel = wg.tree.ravel(params)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optree

from wengert import trees
from wengert.errors import InputError, ShapeError, user_line
from wengert.ops.base import Traced, dtype_of, shape_of

__all__ = ["leaves", "map", "ravel"]


def leaves(tree: Any) -> list[Any]:
    """Return the leaves of a pytree, dicts in the order of their sorted keys."""
    return trees.flatten(tree)[0]


def map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply a function to each leaf of a pytree, and return a pytree of the same form.

    Parameters
    ----------
    f : callable
        Of one leaf of each tree.
    tree : pytree
    *rest : pytrees
        Of the same form: ``wg.tree.map(lambda p, g: p - 0.1 * g, params, grads)``.

    Returns
    -------
    pytree

    Raises
    ------
    ShapeError
        When the forms differ.
    InputError
        When `f` is no function.
    """
    if not callable(f):
        raise InputError(
            f"tree.map takes a function first, not a {type(f).__name__}: "
            "wg.tree.map(lambda p: 2 * p, params)" + user_line()
        )
    form = trees.flattened(tree)[1]
    for other in rest:
        found = trees.flattened(other)[1]
        if found != form:
            raise ShapeError(
                f"tree.map takes trees of one form:\n  first {form}\n  other {found}" + user_line()
            )
    return trees.map_leaves(f, tree, *rest)


def ravel(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """Return all numbers of a pytree as one array, and the function that puts them back.

    Both work on traced values: a function of a pytree becomes one of a vector, as `scipy.optimize`
    needs it.

    Parameters
    ----------
    tree : pytree
        Of arrays and numbers.

    Returns
    -------
    flat : ndarray
        With one axis, in C order, of the dtype in which all fit.
    unravel : callable
        From such an array to a pytree of the form, shapes and dtypes of `tree`.

    Raises
    ------
    InputError
        For a leaf that is no array or number.
    """
    given, form = trees.flattened(tree)
    for k, x in enumerate(given):
        if not isinstance(x, (Traced, np.ndarray, np.generic, int, float, complex)):
            place = optree.tree_accessors(tree)[k].codify("tree")
            raise InputError(
                f"tree.ravel takes arrays and numbers, and {place} is a {type(x).__name__}"
                + user_line()
            )
    shapes = [shape_of(x) for x in given]
    dtypes = [dtype_of(x) for x in given]
    ends = np.cumsum([0, *(int(np.prod(s)) for s in shapes)])
    flat = np.concatenate([np.ravel(x) for x in given]) if given else np.zeros(0)

    def unravel(x: Any) -> Any:
        if shape_of(x) != (int(ends[-1]),):
            raise ShapeError(
                f"unravel takes an array of shape ({ends[-1]},), not {shape_of(x)}" + user_line()
            )
        parts = [
            np.reshape(x[a:b], s).astype(d)
            for a, b, s, d in zip(ends[:-1], ends[1:], shapes, dtypes, strict=True)
        ]
        return form.unflatten(parts)

    return flat, unravel
