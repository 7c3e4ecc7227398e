"""What is made of a program with loops by every mode, in loops of a graph and without them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optree

import wengert as wg
from fuzz.compare import is_sure
from fuzz.outcome import Outcome
from fuzz.point import At, loss, smooth_places
from fuzz.program import Raised, leaves, run
from wengert.rolling.limits import ALL, rolling

CALLS = (0, 1, 3, 0)
"""The calls of a rolled function: recorded, with other numbers, other signs and trips, and back."""


ROWS = (1.0, 0.5, -1.0)
"""Factors of the smooth arguments in the rows of a batch."""


def modes(o: Outcome) -> dict[str, Callable[..., Any]]:
    """Return the modes by name: each a function of a program's arguments."""
    f = o.program.function
    places = smooth_places(o.program.args(0))
    tangents = tuple(At(o.program, 0).direction(3))

    def split(args: Any, made: Callable[..., Any]) -> Any:
        """Call `made` with a function of the smooth arguments, and with these."""

        def part(*smooth: Any) -> Any:
            full = list(args)
            for i, x in zip(places, smooth, strict=True):
                full[i] = x
            return f(*full)

        return made(part, tuple(args[i] for i in places))

    def gradient(part: Callable[..., Any]) -> Callable[..., Any]:
        return wg.grad(lambda *xs: loss(part(*xs)), tuple(range(len(places))))

    def batch(xs: Any) -> Any:
        return optree.tree_map(lambda x: np.stack([x * s for s in ROWS]), xs)

    return {
        "value": f,
        "grad": lambda *args: split(args, lambda part, xs: gradient(part)(*xs)),
        "jvp": lambda *args: split(args, lambda part, xs: wg.jvp(part, xs, tangents)),
        "second": lambda *args: split(args, lambda part, xs: wg.jvp(gradient(part), xs, tangents)),
        "vmap": lambda *args: split(args, lambda part, xs: wg.vmap(part)(*batch(xs))),
        "vmap of grad": lambda *args: split(
            args, lambda part, xs: wg.vmap(gradient(part))(*batch(xs))
        ),
    }


LOOSER = {
    "value": 1.0,
    "jvp": 100.0,
    "grad": 100.0,
    "second": 1e3,
    "vmap": 1.0,
    "vmap of grad": 100.0,
}


def is_tame(o: Outcome, call: int) -> bool:
    """Whether neither the function of a call nor of a row of its batch leaves the finite numbers.

    Where one does, a derivative may be NaN or what is left of it, by the order of its products.
    """
    at = At(o.program, call)
    for factor in ROWS:
        args = at.with_smooth(optree.tree_map(lambda x: x * factor, at.smooth))  # noqa: B023
        try:
            with np.errstate(over="raise", invalid="raise", divide="raise"):
                o.program.plain(*args)
        except FloatingPointError:
            return False
        except Exception:
            continue
    return True


def agrees(o: Outcome, mode: str, backend: str) -> bool:
    """Compare a mode of a program in which every repetition is a loop with its eager result.

    Returns whether there was anything to compare.
    """
    made = modes(o)[mode]
    compiled = wg.jit(made, backend=backend)
    compared = False
    for call in CALLS:
        want = run(made, *o.program.args(call))
        if isinstance(want, Raised):
            continue
        if mode != "value" and not (all(map(is_sure, leaves(want))) and is_tame(o, call)):
            continue
        with rolling(ALL):
            got = run(compiled, *o.program.args(call))
        compared = True
        o.compare(call, got, want, made, looser=LOOSER[mode])
    return compared
