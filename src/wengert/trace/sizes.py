"""Squares of sizes: ``abs(x)**2``, ``hypot(a, b)**2``, ``norm(x)**2``, ``sqrt(s)**2``.

They are smooth where the size is not, at 0, and the chain rule, which goes through the size, does
not find their derivatives there. So the result of such a function remembers what it is the size
of, until it changes; its square has the derivatives of a sum of squares, or of `s`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from wengert.ops.base import Traced
from wengert.ops.control import instead, stop_gradient
from wengert.trace.numbers import as_python, number_type

__all__ = ["carried", "equal", "is_same", "remember", "scaled", "square", "squared"]

_MOVES = ("getitem", "reshape", "transpose")
_PLAIN = (int, slice, type(None), type(Ellipsis))


class Size(NamedTuple):
    """What a result is the size of.

    Attributes
    ----------
    var : object
        What the result stood for when it was made.
    parts : tuple of Tracer
        The vector, or the number whose root it is.
    root : bool
        Which of the two.
    key : tuple
        Equal for two results that are the same size.
    steps : tuple
        What was done with it since, one after the other: a part was read, ``("read", index)``; it
        was multiplied or divided by a number, ``("times", c)``, ``("over", c)``.
    """

    var: Any
    parts: tuple[Any, ...]
    root: bool
    key: Any
    steps: tuple[tuple[str, Any], ...] = ()


def remember(y: Any, *parts: Any, root: bool = False, key: Any = ()) -> Any:
    """Let a result know of what it is the size.

    Parameters
    ----------
    y : Tracer
        Returned.
    *parts : arrays
        A vector whose size `y` is; or the number whose square root it is, and what that was made
        from.
    root : bool
        Which of the two.
    key : tuple, optional
        Of a root: how it was made, where its first part is made anew each time.
    """
    if isinstance(y, Traced) and y._trace.level:
        still = tuple([_still(x) for x in parts if isinstance(x, Traced)])
        key = key, tuple([id(x._var) for x in (still[1:] if key else still)])
        y._size = Size(y._var, still, root, key)  # type: ignore[attr-defined]
    return y


def _still(x: Any) -> Any:
    """Return a handle of what another stands for now."""
    x._refresh()
    return type(x)(x._trace, x._var)


def carried(part: Any, y: Any, index: Any) -> Any:
    """Let what was read from a size know that it is one."""
    plain = type(index) in _PLAIN or (
        type(index) is tuple and all(type(i) in _PLAIN for i in index)
    )
    return _after(part, y, *(() if index == () else (("read", index),))) if plain else part


def scaled(made: Any, y: Any, step: str, c: Any) -> Any:
    """Let a size that was multiplied (``times``) or divided (``over``) by a number know of it."""
    if isinstance(c, Traced):
        return _after(made, y, (step, _still(c)))
    return _after(made, y, (step, c)) if np.ndim(c) == 0 else made


def equal(made: Any, y: Any) -> Any:
    """Let what is equal to a value know that it is a size, if that is one."""
    return made if y._size is None else _after(made, y)


def _after(made: Any, y: Any, *steps: tuple[str, Any]) -> Any:
    size = y._size
    if isinstance(made, Traced) and made._view is None and size.var is y._var:
        new = size._replace(var=made._var, steps=(*size.steps, *steps))  # type: ignore[attr-defined]
        made._size = new  # type: ignore[attr-defined]
    return made


def is_same(a: Any, b: Any) -> bool:
    """Whether two results are the same size, which was computed twice."""
    if a is b:
        return True
    x, y = a._size, b._size
    if x is None or y is None or x.steps or y.steps:
        return False
    return bool(x.var is a._var and y.var is b._var and x.key == y.key and x.root == y.root)


def square(y: Any, usual: Callable[[Any], Any], again: Callable[[Any], Any]) -> Any:
    """Return the square of a traced value, with its derivatives where `y` has none.

    Parameters
    ----------
    y : Tracer
    usual : callable
        Makes the square of a value that is not known to be a size.
    again : callable
        Makes the square of any value.
    """
    other = squared(y)
    if other is None:
        return usual(y)
    made = instead(again(stop_gradient(y)), other)
    return as_python(made) if number_type(y) else made


def squared(y: Any) -> Any:
    """Return what `y` is the square root of; None where that is not known."""
    view = y._view
    if view is not None:
        y._refresh()
        other = squared(view.base) if view.op.alias in _MOVES else None
        return None if other is None else view.op(other, **view.attrs)
    size = y._size
    if size is None or size.var is not y._var:
        return None
    total = size.parts[0] if size.root else sum(map(_squares, size.parts))
    for step, value in size.steps:
        if step == "read":
            total = total[value]
        else:
            total = total * (value * value) if step == "times" else total / (value * value)
    if size.root:  # it has no derivative where there is no root
        return total * np.where(np.isnan(stop_gradient(y)), np.nan, 1)
    return total


def _squares(x: Any) -> Any:
    if x.dtype.kind != "c":
        return x * x
    a, b = np.real(x), np.imag(x)
    return a * a + b * b
