"""A program at the arguments of one call, as a function of those that can be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import optree

from fuzz.program import Program, Raised, leaves, run
from fuzz.values import relaid, wave


def is_smooth(x: Any) -> bool:
    """Whether a leaf of the arguments can be differentiated."""
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind in "fc")


def is_real(y: Any) -> bool:
    """Whether a leaf of the results, traced or not, is made of real floating-point numbers."""
    return np.dtype(getattr(y, "dtype", type(y))).kind == "f"


def loss(out: Any) -> Any:
    """Weigh all floating-point results into one real number."""
    total = 0.0
    for k, y in enumerate(leaves(out)):
        if is_real(y):
            total = total + np.sum(y * wave(np.shape(y), 5 + k))
        elif np.dtype(getattr(y, "dtype", type(y))).kind == "c":
            total = total + np.sum(np.real(y * wave(np.shape(y), 5 + k, "c16")))
    return total


def smooth_places(args: tuple[Any, ...]) -> tuple[int, ...]:
    """Return the arguments that consist of floating-point numbers only."""
    trees = [leaves(a) for a in args]
    return tuple(i for i, xs in enumerate(trees) if xs and all(map(is_smooth, xs)))


class At:
    """A program at the arguments of one call: its loss as a function of the smooth arguments."""

    def __init__(self, program: Program, call: int) -> None:
        self.program = program
        self.call = call
        self.args = program.args(call)
        self.places = smooth_places(self.args)
        self.smooth = [self.args[i] for i in self.places]

    def with_smooth(self, smooth: Iterable[Any]) -> tuple[Any, ...]:
        args = list(self.args)
        for i, x in zip(self.places, smooth, strict=True):
            args[i] = x
        return tuple(args)

    def out(self, smooth: Any) -> Any:
        return self.program.function(*self.with_smooth(smooth))

    def loss(self, smooth: Any) -> Any:
        return loss(self.out(smooth))

    def direction(self, k: int) -> list[Any]:
        n = iter(range(k, k + 1000))

        def along(x: Any) -> Any:
            if isinstance(x, float):
                return float(wave((), next(n)))
            return relaid(wave(x.shape, next(n), x.dtype.str), x)

        return list(optree.tree_map(along, self.smooth))

    def moved(self, s: Any, t: Any) -> Any:
        def move(x: Any, d: Any) -> Any:
            if isinstance(x, float) or isinstance(s, complex):
                return x + s * d
            return relaid(x + s * d, x)

        return optree.tree_map(move, self.smooth, t)

    def line(self, f: Callable[[Any], Any], t: Any) -> Callable[[Any], Any]:
        """Return ``s -> f(smooth + s t)``, which raises where `f` does and keeps NumPy quiet."""

        def along(s: Any) -> Any:
            got = run(f, self.moved(s, t))
            if isinstance(got, Raised):
                raise ValueError("no value here") from got.error
            return got

        return along


def dot(a: Any, b: Any) -> Any:
    """Pair a gradient with a tangent: the real part of the sum of products."""
    pairs = zip(leaves(a), leaves(b), strict=True)
    return sum((np.real(np.sum(np.asarray(x) * np.asarray(y))) for x, y in pairs), 0.0)


def dot_traced(a: Any, b: Any) -> Any:
    """Pair a traced gradient with a plain tangent."""
    pairs = zip(leaves(a), leaves(b), strict=True)
    return sum((np.real(np.sum(x * y)) for x, y in pairs), 0.0)
