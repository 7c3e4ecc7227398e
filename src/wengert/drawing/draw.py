"""`wg.draw`: a function, or its derivative, as a drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wengert.devices.candidates import Candidate, Partition
from wengert.drawing.drawing import Drawing
from wengert.drawing.recording import drawn
from wengert.errors import InputError, user_line

__all__ = ["draw"]


def draw(
    f: Callable[..., Any],
    *args: Any,
    argnums: int | Sequence[int] | None = None,
    every: bool = False,
    **kwargs: Any,
) -> Drawing:
    """Return a drawing of what a function computes, and of its derivative.

    Squares are variables, circles are operators. The function goes from the lower left to the upper
    right; its derivative, in another colour, comes back below it. Green edges are what is kept for
    the way back, with its bytes.

    Parameters
    ----------
    f : callable
        A function written with NumPy. Or one made by `grad`, `value_and_grad`, `jacobian`, `jit`
        and so on, or a plan (without arguments): what it runs is drawn as it is. Of what
        `partition` returns, or one of its candidates, the devices are shaded.
    *args, **kwargs : pytrees of arrays
        The values and the cotangents at this point are part of the drawing, and so is the time of
        each operation, measured with NumPy.
    argnums : int or sequence of int, optional
        The positional arguments to differentiate, the first one by default (nothing, where it holds
        integers); ``()`` draws the function alone. The cotangent of a result with axes is 1
        everywhere.
    every : bool
        Whether each value is a square, and not only those that have a name in the source.

    Returns
    -------
    Drawing
        ``save("graph.svg")`` writes it by the ending: SVG, PNG, PDF, HTML (a page to look through
        with the mouse or the keyboard), DOT, Mermaid, text or LaTeX. ``equations()`` are those of
        both passes. It prints itself, and shows itself in notebooks.

    Raises
    ------
    InputError
        For `argnums` that names no floating-point argument, or is given for a derivative.
    """
    given: Any = f
    planned = isinstance(given, (Partition, Candidate)) or hasattr(given, "graph")
    if not callable(given) and not planned:
        raise InputError(
            f"draw takes a function and its arguments, or a plan, not {type(given).__name__}; "
            f"write wg.draw(f, x)" + user_line()
        )
    return drawn(f, args, kwargs, argnums, every)
