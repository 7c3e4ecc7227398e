"""A case of an operation, and how its arguments are drawn.

A case draws its arguments afresh from a seed, so that a batch can be made of several draws.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from oracle import inexact

from wengert.ops.base import TABLE, Op

Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Case:
    """Arguments and attributes of one operation.

    Parameters
    ----------
    op : str
    draws : tuple of callables
        Each draws one argument from a random generator.
    attrs : dict
    analytic : bool
        Whether a complex step gives the derivative.
    smooth : bool
        Whether differences give the derivative.
    wrt : tuple of int or None
        The arguments to differentiate; all that are floating-point for None.
    narrow : bool
        Whether the case makes sense in single precision.
    """

    op: str
    draws: tuple[Draw, ...]
    attrs: dict[str, Any] = field(default_factory=dict)
    analytic: bool = False
    smooth: bool = True
    wrt: tuple[int, ...] | None = None
    narrow: bool = True
    tol: float = 1e-8

    @property
    def row(self) -> Op:
        """The row of the table."""
        return TABLE[self.op]

    def args(self, seed: int = 0) -> tuple[Any, ...]:
        """Draw the arguments."""
        rng = np.random.default_rng([zlib.crc32(self.op.encode()), seed])
        return tuple(draw(rng) for draw in self.draws)

    def active(self, args: tuple[Any, ...]) -> tuple[int, ...]:
        """Positions of the arguments that are differentiated."""
        if self.wrt is not None:
            return self.wrt
        return tuple(i for i, x in enumerate(args) if inexact(x))

    def __str__(self) -> str:
        """Name the case in a test's id."""

        def shown(x: Any) -> str:
            if not hasattr(x, "dtype"):
                return repr(x)
            return f"{x.dtype.kind}{x.dtype.itemsize}{list(x.shape)}".replace(" ", "")

        attrs = "".join(f"-{k}={v!r}" for k, v in self.attrs.items()).replace(" ", "")
        return f"{self.op}-{'-'.join(shown(x) for x in self.args())}{attrs}"


# --- how arguments are drawn --------------------------------------------------------------------
def real(
    lo: float = -2.0, hi: float = 2.0, shape: tuple[int, ...] = (), dtype: Any = float
) -> Draw:
    """Uniform between two bounds."""
    return lambda rng: np.asarray(rng.uniform(lo, hi, shape), dtype)[()]


def quadrant(shape: tuple[int, ...] = ()) -> Draw:
    """Complex numbers inside the unit circle, away from every branch cut."""
    return lambda rng: (rng.uniform(0.4, 0.9, shape) * np.exp(1j * rng.uniform(0.3, 1.2, shape)))[
        ()
    ]


def apart(shape: tuple[int, ...] = (), offset: float = 0.0) -> Draw:
    """Distinct numbers in random order, a quarter apart and never near an integer."""

    def draw(rng: np.random.Generator) -> Any:
        n = int(np.prod(shape, dtype=int))
        return (rng.permutation(n).reshape(shape) / 4 - n / 8 + 0.06 + offset)[()]

    return draw


def signed(shape: tuple[int, ...] = ()) -> Draw:
    """Numbers of both signs, away from zero."""
    return lambda rng: (rng.uniform(0.4, 1.6, shape) * rng.choice([-1.0, 1.0], shape))[()]


def integers(lo: int = 0, hi: int = 5, shape: tuple[int, ...] = (), dtype: Any = np.int64) -> Draw:
    """Integers, ``lo <= i < hi``."""
    return lambda rng: np.asarray(rng.integers(lo, hi, shape), dtype)[()]


def mask(shape: tuple[int, ...] = ()) -> Draw:
    """Booleans, both of them where there is more than one."""
    size = int(np.prod(shape, dtype=int))
    return lambda rng: ((rng.permutation(size) + rng.integers(2)) % 2 == 0).reshape(shape)[()]


def constant(x: Any) -> Draw:
    """Return a draw that is always this array."""
    return lambda rng: x


def fixed(*values: Any) -> Draw:
    """Always the same: an array of the values, or a Python scalar for a single one."""
    return lambda rng: values[0] if len(values) == 1 else np.array(values)
