"""How a NumPy function is used in a test: a plain function that calls it, and its arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from case import Draw, real


@dataclass(frozen=True)
class Use:
    """A call of a NumPy function.

    Parameters
    ----------
    f : callable
        Takes the drawn arrays.
    draws : tuple of callables
        Each draws one array.
    batched : bool
        Whether ``vmap`` applies: the result's shape does not depend on the values.
    single : bool
        Whether the result in single precision has NumPy's dtype.
    """

    f: Callable[..., Any]
    draws: tuple[Draw, ...]
    batched: bool = True
    single: bool = True

    def args(self, seed: int = 0) -> tuple[Any, ...]:
        """Draw the arrays."""
        rng = np.random.default_rng([7, seed])
        return tuple(np.asarray(draw(rng)) for draw in self.draws)


def use(f: Callable[..., Any], *draws: Any, **flags: bool) -> Use:
    """Call `f` on arrays; a shape stands for numbers between -2 and 2."""
    return Use(f, tuple(real(shape=d) if isinstance(d, tuple) else d for d in draws), **flags)


def options(function: Any, draw: Any, *every: Any, **flags: bool) -> list[Use]:
    """Call a function of one array with sets of arguments: a tuple, or a dict of keywords."""

    def called(given: Any) -> Callable[..., Any]:
        if isinstance(given, dict):
            return lambda x: function(x, **given)
        return lambda x: function(x, *given)

    return [use(called(given), draw, **flags) for given in every]


def into(function: Any, shape: tuple[int, ...], result: tuple[int, ...], **given: Any) -> Use:
    """Call a function with ``out=``: an array made like the traced one."""

    def f(x: Any) -> Any:
        out = np.zeros(result, like=x)
        function(x, out=out, **given)
        return out * 2

    return use(f, shape, single=False)


def changed(update: Callable[..., None]) -> Callable[..., Any]:
    """Make a function of an update in place: of a copy of its first argument."""

    def f(x: Any, *rest: Any) -> Any:
        y = np.copy(x)
        update(y, *rest)
        return y * 1

    return f
