"""What a signature says of its arguments, static ones and their order; the options of `jit`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from wengert.errors import InputError, user_line
from wengert.memory.profile import size_of

__all__ = ["bytes_of", "refuse_options", "refuse_unknown", "sees_order", "static_places"]


def static_places(
    f: Callable[..., Any], name: str, nums: Sequence[int], names: Sequence[str]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Return the positions and the keywords of the static arguments, as far as each has them.

    Raises
    ------
    InputError
        For an argument that `f` does not have.
    """
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):  # built-in functions
        return tuple(nums), tuple(names)
    kinds = {p.kind for p in parameters}
    placed = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    keywords = {p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)}
    n = len(placed)
    for i in nums:
        if not -n <= i < n and inspect.Parameter.VAR_POSITIONAL not in kinds:
            raise InputError(
                f"static_argnums={i} does not name an argument of {name}, which takes {n}"
            )
    for k in names:
        if k not in keywords and inspect.Parameter.VAR_KEYWORD not in kinds:
            raise InputError(f"static_argnames={k!r} does not name an argument of {name}")
    if inspect.Parameter.VAR_POSITIONAL not in kinds:
        nums = [i % n for i in nums]
    positions = {*nums, *(placed.index(k) for k in names if k in placed)}
    both = {*names, *(placed[i] for i in nums if 0 <= i < n and placed[i] in keywords)}
    return tuple(sorted(positions)), tuple(sorted(both))


def sees_order(f: Callable[..., Any]) -> bool:
    """Whether a function can see the order of the keywords that it is called with."""
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # built-in functions
        return True
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)


_RENAMED = {"limit": "max_specialisations"}


def refuse_unknown(name: str, options: Mapping[str, Any]) -> None:
    """Raise for an option that does not exist, with its present name if it was renamed.

    Raises
    ------
    InputError
    """
    for option in options:
        if option in _RENAMED:
            text = f"{option}= is now {_RENAMED[option]}=; write {name}(f, {_RENAMED[option]}=...)"
        else:
            text = f"there is no option {option}="
        raise InputError(f"{name}: {text}" + user_line())


def refuse_options(name: str, **options: Any) -> None:
    """Raise for options of `jit` that mean nothing for a sparse matrix, which compiles itself.

    Raises
    ------
    InputError
    """
    for option, x in options.items():
        if x and x != "native":
            raise InputError(
                f"{name} makes a sparse matrix and compiles itself, to native code; {option}= has "
                f"no effect on that. Leave out wg.jit or its options" + user_line()
            )


def bytes_of(memory_budget: int | str) -> int:
    """Return a memory budget in bytes.

    Raises
    ------
    InputError
        For what is no size.
    """
    try:
        if isinstance(memory_budget, (bool, np.bool_)):
            raise ValueError
        size = size_of(memory_budget)
        if size < 0:
            raise ValueError
        return size
    except (ValueError, TypeError, OverflowError):
        raise InputError(
            f'memory_budget={memory_budget!r} is not a size: a number of bytes, or "150MiB"'
            + user_line()
        ) from None
