"""Decisions that Python took in the trips of a loop, as one guard.

A guard in a loop asks in each trip. The answers are stacked, and one guard after the loop asks for
the first that is another one than in the recording. Until then the loop has gone on as recorded;
what it made is dropped where a decision differs, so no operation in it may raise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Node, Value
from wengert.ops.base import TABLE
from wengert.rolling.writer import RefusedError, Writer

__all__ = ["Decisions", "first_other", "only_computes"]

Decisions = tuple[bool, ...] | None
"""What one guard stands for: the outcomes of those in the trips of a loop; None for itself."""

SAFE = frozenset(
    {
        *("reshape", "transpose", "broadcast_to", "concatenate", "contract", "select", "convert"),
        *("sum", "max", "min", "getitem", "index_add", "index_set", "stop_gradient", "as_number"),
        *("maximum_part", "minimum_part", "real", "imag", "any", "all", "argmax", "argmin"),
        *("prod", "cumsum", "cumprod", "logsumexp", "sort", "argsort"),
    }
)
"""Operations, besides those on floating-point numbers one by one, that raise for no numbers."""


RAISES = frozenset({"divide", "power", "floor_divide", "remainder", "float_power"})
"""Operators that raise for some numbers of Python."""


def only_computes(items: Sequence[Any]) -> None:
    """Check that a loop can go on after a decision that would have ended it.

    Raises
    ------
    RefusedError
    """
    for node in items:
        if not isinstance(node, Node) or node.op.name in SAFE:
            continue
        divides = node.op.name in RAISES and any(v.aval.weak for v in node.outputs)
        if divides or node.op.ufunc is None or any(v.dtype.kind not in "fb" for v in node.outputs):
            raise RefusedError("an operation that may raise, beside a decision")


def first_other(
    writer: Writer, stacks: Sequence[Any], outcomes: Sequence[bool], n: int, backwards: bool
) -> Value:
    """Return which of all decisions is the first with another outcome; their number if none is.

    Parameters
    ----------
    writer : Writer
    stacks : sequence
        Of each decision of a trip, the answers in all trips.
    outcomes : sequence of bool
        What they were in the recording.
    n : int
        Trips.
    backwards : bool
        Whether the last trip is the first of a stack.
    """
    wrong = []
    for y, outcome in zip(stacks, outcomes, strict=True):
        if backwards:
            y = writer.emit(TABLE["getitem"], y, spec=(slice(None, None, -1),))
        if outcome:
            y = writer.emit(TABLE["logical_not"], y)
        wrong.append(writer.shaped(y, (n, 1)))
    flat = wrong[0] if len(wrong) == 1 else writer.emit(TABLE["concatenate"], *wrong, axis=1)
    total = n * len(wrong)
    flat = writer.shaped(flat, (total,))
    numbers = np.arange(total)
    numbers.flags.writeable = False
    places = writer.emit(TABLE["select"], flat, writer.constant(numbers), np.int64(total))
    return writer.emit(TABLE["min"], places, axis=(0,), keepdims=False)
