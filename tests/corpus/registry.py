"""The functions of the corpus, and the points at which they are tried."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

FUNCTIONS: dict[str, Entry] = {}


@dataclasses.dataclass(frozen=True)
class Entry:
    """A function, its points, and which of its arguments it is differentiated for."""

    function: Any
    points: tuple[tuple[Any, ...], ...]
    argnums: tuple[int, ...]


def at(*points, name=None, argnums=None):
    """Note at which points a function is tried, and return the function itself.

    A point is a list for a function of one array, a number for a function of one number, and a
    tuple of arguments for all others. Lists stand for arrays of floats. Without `argnums`, all
    arguments that are floats or have floats in them are differentiated.
    """

    def note(f):
        made = tuple(
            tuple(map(_argument, p)) if type(p) is tuple else (_argument(p),) for p in points
        )
        chosen = argnums
        if chosen is None:
            chosen = tuple(i for i, a in enumerate(made[0]) if _has_floats(a))
        module = f.__module__.rpartition(".")[2]
        key = f"{module}.{name or f.__name__}"
        assert key not in FUNCTIONS, key
        FUNCTIONS[key] = Entry(f, made, chosen)
        return f

    return note


def _argument(x):
    return np.array(x, dtype=float) if type(x) is list else x


def _has_floats(x):
    if isinstance(x, dict):
        return any(map(_has_floats, x.values()))
    if isinstance(x, np.ndarray):
        return x.dtype.kind == "f"
    return type(x) is float
