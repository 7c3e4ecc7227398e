"""The questions that a program asks of its values, each in one place.

A guard is a question whose answer Python code went on with while it was recorded. Other kinds of
guards are no decisions: they stand for an exception that an operation may raise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["EFFECTS", "QUESTIONS", "RAISES", "TESTS", "Question"]


class Question(NamedTuple):
    """A kind of guard.

    Attributes
    ----------
    ask : callable
        From an array or a scalar to the Python object that is compared; None where nothing is.
    text : str
        How a program in Python asks it; empty where nothing is compared.
    exact : bool
        Whether answers that are equal are the same; others are compared bit by bit.
    error : (type, str) or None
        What plain Python raises where the answer is another one. Such a guard holds in every plan.
    decides : bool
        Whether Python code chooses by the answer.
    """

    ask: Callable[[Any], Any]
    text: str = ""
    exact: bool = False
    error: tuple[type[Exception], str] | None = None
    decides: bool = True


def _nothing(x: Any) -> None:
    return None


def _item(x: Any) -> Any:
    return x.item() if hasattr(x, "item") else x


RAISES = "raises"
"""The kind of guard of an operation that may raise: computed although nothing uses the result."""

QUESTIONS = {
    "bool": Question(bool, "bool({0})", exact=True),
    "int": Question(int, "int({0})", exact=True),
    "index": Question(lambda x: x.__index__(), "int({0})", exact=True),
    "float": Question(float, "float({0})"),
    "complex": Question(complex, "complex({0})"),
    "item": Question(_item, "getattr({0}, 'item', lambda: {0})()"),
    # Tests of indices and exponents that nothing else reads.
    "inside": Question(
        bool, "bool({0})", True, (IndexError, "an index is out of range"), decides=False
    ),
    "natural": Question(
        bool, "bool({0})", True,
        (ValueError, "integers to negative integer powers are not allowed"), decides=False,
    ),
    # The value was computed without an exception, which a handler is waiting for.
    "done": Question(_nothing, decides=False),
    RAISES: Question(_nothing, decides=False),
}  # fmt: skip
"""By kind."""

TESTS = {kind: q.error for kind, q in QUESTIONS.items() if q.error is not None}
"""Kinds of guards that hold in every plan of a function, and what plain Python raises elsewhere."""

EFFECTS = frozenset(kind for kind, q in QUESTIONS.items() if not q.decides)
"""Kinds of guards that stand for an exception, and not for a decision of Python code."""
