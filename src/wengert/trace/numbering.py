"""Value numbering: operations that compute the same bits share a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.ir.graph import Value
from wengert.ir.keys import key
from wengert.ops.base import Op
from wengert.ops.control import barrier
from wengert.trace.tracer import OPERATOR, Tracer

__all__ = ["number"]


def number(op: Op, inputs: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """Return a dictionary key that an operation shares with those that compute the same bits.

    None where it is to be computed again each time. Operations are pure and values never change (an
    update in place gives a handle another value), so equal keys mean equal results. Value numbering
    is due to Cocke and Schwartz, *Programming Languages and Their Compilers*, 1970.
    """
    if type(op) is not Op or op is barrier:
        return None
    marks: list[Any] = [op, attrs is OPERATOR]
    for x in inputs:
        if type(x) is Value:
            marks.append(x)
        elif type(x) is Tracer:  # of an outer trace
            marks.append(x._var)
        elif isinstance(x, np.ndarray):
            return None  # it may change
        else:
            marks.append(key(x))
    if attrs:
        marks.append(tuple([(name, key(a)) for name, a in attrs.items()]))
    return tuple(marks)
