"""What rewritten code asks: what a callable stands for, and what ``a[i]`` means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["TABLES_FILE", "Calls", "Subscripts", "Tables"]

TABLES_FILE = __file__
"""This file: its frames stand between the user's code and what it reads."""


class Calls:
    """``calls[f]`` is what is called in the place of `f`.

    Attributes
    ----------
    kinds : dict
        For a type of callables: a function from the callable to what stands for it, or None where
        callables of that type stand for themselves.
    unknown : callable
        What is asked about a callable of a type that `kinds` does not have.
    """

    __slots__ = ("kinds", "unknown")

    def __init__(self) -> None:
        self.kinds: dict[type, Callable[[Any], Any] | None] = {}
        self.unknown: Callable[[Any], Any] = _itself

    def __getitem__(self, f: Any) -> Any:
        """Return what is called in the place of `f`."""
        answer = self.kinds.get(type(f), self.unknown)
        return f if answer is None else answer(f)


def _itself(f: Any) -> Any:
    return f


class Subscripts:
    """``subscripts[a, i]`` is what ``a[i]`` means.

    Attributes
    ----------
    kinds : dict
        For a type of containers: a function of the container and the index.
    """

    __slots__ = ("kinds",)

    def __init__(self) -> None:
        self.kinds: dict[type, Callable[[Any, Any], Any]] = {}

    def __getitem__(self, pair: tuple[Any, Any]) -> Any:
        """Read an item."""
        container, index = pair
        answer = self.kinds.get(type(container))
        return container[index] if answer is None else answer(container, index)


class Tables:
    """The tables that rewritten code asks.

    Attributes
    ----------
    calls : Calls
    calls_beside_stores : Calls
        Asked by code that writes into arrays: what NumPy makes anew may be written into.
    subscripts : Subscripts
    """

    def __init__(self) -> None:
        self.calls = Calls()
        self.calls_beside_stores = Calls()
        self.subscripts = Subscripts()
