"""Loops and branches in plain Python, under the names that wengert gives them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

NO_ROWS = "a loop without trips shows no form of its results"
OTHER_BRANCH = "a branch raises, which may be one that is not taken"


def _kinds(tree: Any) -> Any:
    """Return the form, shapes and dtypes of what a loop carries; of Python's numbers, no dtype."""
    found, spec = optree.tree_flatten(tree)
    return spec, [(np.shape(x), None if _is_weak(x) else np.asarray(x).dtype) for x in found]


def _is_weak(x: Any) -> bool:
    return type(x) in (bool, int, float, complex)


def _stays(before: Any, after: Any) -> Any:
    """Return what is carried on, if it is of the same kind; numbers of Python as NumPy's."""
    (spec, kinds), (other, others) = _kinds(before), _kinds(after)
    if spec != other:
        raise ValueError("the carry changes its form")
    for (shape, dtype), (new_shape, new_dtype) in zip(kinds, others, strict=True):
        if shape != new_shape or (dtype is not None and dtype != new_dtype):
            raise ValueError(f"the carry changes from {dtype} {shape} to {new_dtype} {new_shape}")
    return optree.tree_map(lambda x: np.asarray(x)[()] if _is_weak(x) else x, after)


def _new(x: Any) -> Any:
    """Return a result as wengert does: a new array in C order, or a scalar."""
    return np.array(x, order="C")[()] if isinstance(x, np.ndarray) else x


def scan(
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
) -> tuple[Any, Any]:
    rows = optree.tree_leaves(xs)
    n = len(rows[0]) if rows else int(length or 0)
    if not n or any(len(x) != n for x in rows):
        raise ValueError(NO_ROWS)
    carry, ys = init, []
    for t in reversed(range(n)) if reverse else range(n):
        new, y = f(carry, optree.tree_map(lambda x, t=t: x[t], xs))
        carry = _stays(carry, new)
        ys.append(y)
    if reverse:
        ys.reverse()
    stacked = optree.tree_map(lambda *parts: _new(np.stack(parts)), *ys)
    return optree.tree_map(_new, carry), stacked


def map_rows(f: Callable[[Any], Any], xs: Any) -> Any:
    return scan(lambda carry, x: (carry, f(x)), (), xs)[1]


def fori_loop(lower: int, upper: int, f: Callable[[int, Any], Any], init: Any) -> Any:
    carry = init
    for i in range(lower, upper):
        carry = _stays(carry, f(i, carry))
    return optree.tree_map(_new, carry)


def while_loop(test: Callable[[Any], Any], body: Callable[[Any], Any], init: Any) -> Any:
    carry = init
    while test(carry):
        carry = _stays(carry, body(carry))
    return optree.tree_map(_new, carry)


def cond(p: Any, f: Callable[..., Any], g: Callable[..., Any], *xs: Any) -> Any:
    return _chosen(0 if p else 1, (f, g), xs)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *xs: Any) -> Any:
    return _chosen(min(max(int(index), 0), len(branches) - 1), branches, xs)


def _chosen(index: int, branches: Sequence[Callable[..., Any]], xs: tuple[Any, ...]) -> Any:
    """Run all branches, because a recording does, and return the result of one."""
    try:
        made = [branch(*xs) for branch in branches]
    except Exception as error:
        raise ValueError(OTHER_BRANCH) from error
    return optree.tree_map(_new, made[index])


def associative_scan(f: Callable[[Any, Any], Any], xs: Any) -> Any:
    rows = [optree.tree_map(lambda x, t=t: x[t], xs) for t in range(len(optree.tree_leaves(xs)[0]))]
    if not rows:
        raise ValueError(NO_ROWS)
    return optree.tree_map(lambda *parts: np.stack(parts), *itertools.accumulate(rows, f))


def vmap(f: Callable[..., Any], in_axes: Any = 0) -> Callable[..., Any]:
    def rows(*args: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
        mapped = [x if a is None else np.moveaxis(x, a, 0) for x, a in zip(args, axes, strict=True)]
        sizes = [len(x) for x, a in zip(mapped, axes, strict=True) if a is not None]
        if not min(sizes):
            raise ValueError(NO_ROWS)
        found = [
            f(*[x if a is None else x[i] for x, a in zip(mapped, axes, strict=True)])
            for i in range(sizes[0])
        ]
        return optree.tree_map(lambda *parts: _new(np.stack(parts)), *found)

    return rows


class Plain:
    """Stands for the module ``wg`` in a program that is run in plain NumPy."""

    scan = staticmethod(scan)
    map = staticmethod(map_rows)
    fori_loop = staticmethod(fori_loop)
    while_loop = staticmethod(while_loop)
    cond = staticmethod(cond)
    switch = staticmethod(switch)
    vmap = staticmethod(vmap)
    checkpoint = staticmethod(lambda f: f)
    associative_scan = staticmethod(associative_scan)
