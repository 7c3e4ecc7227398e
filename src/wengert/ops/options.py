"""Checks of the options that users give, made before anything else is done with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from wengert.errors import InputError, user_line

__all__ = ["check_flag", "check_function", "check_places", "integers", "names"]


def check_function(f: Any, name: str) -> None:
    """Require something that can be called.

    Raises
    ------
    InputError
    """
    if not callable(f):
        raise InputError(
            f"{name} takes a function, not a {type(f).__name__}: write wg.{name}(f)(x), not "
            f"wg.{name}(f(x))" + user_line()
        )


def check_flag(x: Any, name: str, option: str) -> None:
    """Require True or False.

    Raises
    ------
    InputError
    """
    if not isinstance(x, (bool, np.bool_)):
        raise InputError(f"{name}: {option} must be True or False, not {x!r}" + user_line())


def integers(x: Any, name: str, option: str) -> tuple[int, ...]:
    """Return an option that is an int or a sequence of them as a tuple.

    Raises
    ------
    InputError
        For anything else; also where a number stands there twice.
    """
    listed = x if isinstance(x, Iterable) and not isinstance(x, (str, bytes)) else (x,)
    found = []
    for i in listed:
        if isinstance(i, (bool, np.bool_)) or not isinstance(i, (int, np.integer)):
            raise InputError(
                f"{name}: {option}={x!r} is not an int or a sequence of int" + user_line()
            )
        found.append(int(i))
    if len(set(found)) != len(found):
        raise InputError(f"{name}: {option}={x!r} names an argument twice" + user_line())
    return tuple(found)


def names(x: Any, name: str, option: str) -> tuple[str, ...]:
    """Return an option that is a string or a sequence of them as a tuple.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(x, str):
        return (x,)
    listed = tuple(x) if isinstance(x, Iterable) else (None,)
    if not all(isinstance(k, str) for k in listed):
        raise InputError(
            f"{name}: {option} must be a string or a sequence of strings, not {x!r}" + user_line()
        )
    return listed


def check_places(f: Callable[..., Any], argnums: Any, name: str, **flags: Any) -> None:
    """Check what every derivative is given: a function, positions of arguments, and flags.

    Raises
    ------
    InputError
    """
    check_function(f, name)
    integers(argnums, name, "argnums")
    for option, x in flags.items():
        check_flag(x, name, option)
