"""What rewritten code asks: what a callable stands for, and what operators and attributes mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["TABLES_FILE", "Answers", "Pairs", "Subscripts", "Tables", "Triples"]

TABLES_FILE = __file__
"""This file: its frames stand between the user's code and what it reads."""


class Answers:
    """``answers[x]`` is what an instruction is given in the place of `x`.

    Attributes
    ----------
    kinds : dict
        For a type: a function from the object to what stands for it, or None where objects of that
        type stand for themselves.
    unknown : callable
        What is asked about an object of a type that `kinds` does not have.
    """

    __slots__ = ("kinds", "unknown")

    def __init__(self, unknown: Callable[[Any], Any] | None = None) -> None:
        self.kinds: dict[type, Callable[[Any], Any] | None] = {}
        self.unknown: Callable[[Any], Any] = unknown or _itself

    def __getitem__(self, x: Any) -> Any:
        """Return what is used in the place of `x`."""
        answer = self.kinds.get(type(x), self.unknown)
        return x if answer is None else answer(x)


def _itself(x: Any) -> Any:
    return x


class Pairs:
    """``pairs[a, b]`` are the operands that an instruction is given in the place of `a` and `b`.

    Attributes
    ----------
    plain : set of type
        Types whose operands stand for themselves, beside each other.
    unknown : callable
        What is asked about all other pairs.
    """

    __slots__ = ("plain", "unknown")

    def __init__(self, unknown: Callable[[tuple[Any, Any]], Any] | None = None) -> None:
        self.plain: set[type] = {int, float}
        self.unknown: Callable[[tuple[Any, Any]], Any] = unknown or _itself

    def __getitem__(self, pair: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return the operands."""
        a, b = pair
        if type(a) in self.plain and type(b) in self.plain:
            return pair
        found: tuple[Any, Any] = self.unknown(pair)
        return found


class Triples:
    """``triples[value, a, i]`` are the operands of ``a[i] = value``.

    Attributes
    ----------
    plain : set of type
        Types of containers that stand for themselves.
    unknown : callable
        What is asked about all others.
    """

    __slots__ = ("plain", "unknown")

    def __init__(self, unknown: Callable[[tuple[Any, Any, Any]], Any] | None = None) -> None:
        self.plain: set[type] = {list, dict}
        self.unknown: Callable[[tuple[Any, Any, Any]], Any] = unknown or _itself

    def __getitem__(self, operands: tuple[Any, Any, Any]) -> Any:
        """Return the operands."""
        return operands if type(operands[1]) in self.plain else self.unknown(operands)


class Subscripts:
    """``subscripts[a, i]`` is what ``a[i]`` means.

    Attributes
    ----------
    kinds : dict
        For a type of containers: a function of the container and the index, or None.
    unknown : callable
        What is asked about a container of a type that `kinds` does not have.
    """

    __slots__ = ("kinds", "unknown")

    def __init__(self) -> None:
        self.kinds: dict[type, Callable[[Any, Any], Any] | None] = {list: None, tuple: None}
        self.unknown: Callable[[Any, Any], Any] | None = None

    def __getitem__(self, pair: tuple[Any, Any]) -> Any:
        """Read an item."""
        container, index = pair
        answer = self.kinds.get(type(container), self.unknown)
        return container[index] if answer is None else answer(container, index)


class Tables:
    """The tables that rewritten code asks.

    Attributes
    ----------
    calls : Answers
        What is called in the place of a callable.
    calls_beside_stores : Answers
        Asked by code that writes into arrays: what NumPy makes anew may be written into.
    subscripts : Subscripts
    stores : Triples
    unknown : callable
        ``unknown(kind, name, x)`` is what stands for an object `x` of a type not met before, where
        an instruction of a kind (see `of`) is applied to it.
    unknown_pair : callable
        The same for an operator and a pair of operands.
    pure : Tables or None
        What trips of loops ask, which are to have no effects; None for these themselves.
    """

    def __init__(self, pure: Tables | None = None) -> None:
        self.pure = pure
        self.calls = Answers()
        self.calls_beside_stores = Answers()
        self.subscripts = Subscripts()
        self.stores = Triples()
        self.unknown: Callable[[str, str, Any], Any] = _third
        self.unknown_pair: Callable[[str, tuple[Any, Any]], Any] = _second
        self._answers: dict[tuple[str, str], Answers] = {}
        self._pairs: dict[str, Pairs] = {}

    def of(self, kind: str, name: str = "") -> Answers:
        """Return the table for instructions of a kind, of one operand.

        Parameters
        ----------
        kind : {"attribute", "target", "unary", "iterated", "managed", "truth"}
        name : str
            Of the attribute, or of the operator's method.
        """
        found = self._answers.get((kind, name))
        if found is None:
            found = Answers(lambda x: self.unknown(kind, name, x))
            self._answers[kind, name] = found
        return found

    def operator(self, symbol: str) -> Pairs:
        """Return the table for an operator of two operands: ``+``, ``+=``, ``<``, ``in``."""
        found = self._pairs.get(symbol)
        if found is None:
            found = self._pairs[symbol] = Pairs(lambda pair: self.unknown_pair(symbol, pair))
        return found


def _second(symbol: str, pair: Any) -> Any:
    return pair


def _third(kind: str, name: str, x: Any) -> Any:
    return x
