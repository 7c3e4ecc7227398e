"""Loops and branches as cases of the operation table: operands and regions."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import wengert as wg  # noqa: F401  (importing it fills the table)
from wengert.ir.text import parse
from wengert.ops.base import TABLE


def region(text: str) -> Any:
    """Read a region."""
    return parse(dedent(text).strip(), TABLE)


ROLL = region("""
    graph(%0: f64[3], %1: f64[3], %2: i64[], %3: f64[3])
    %4: f64[3] = multiply(%1, %0)
    %5: f64[3] = add(%4, %3)
    %6: f64[3] = sin(%5)
    %7: i64[] = add(%2, 1)
    %8: f64[3] = multiply(%6, %3)
    %9: f64[] = sum(%8) axis=(0,) keepdims=False
    -> (%6, %7, %9, %2)
    """)
"""A constant, a carried vector and a counter, rows; a sum and the counter for each trip."""

LATE = region("""
    graph(%0: f64[], %1: f64[], %2: f64[])
    %3: f64[] = add(%0, %1)
    %4: f64[] = multiply(%1, %2)
    -> (%3, %4, %1)
    """)
"""What is carried reaches the first carried value only after several trips."""

POWERS = region("""
    graph(%0: f64[2,2], %1: i64[2], %2: f64[2,2], %3: f64[])
    %4: f64[2,2] = contract(%2, %0) spec='ab,bc->ac'
    %5: f64[2] = getitem(%4, %1) spec=[0, @]
    %6: f64[2,2] = multiply(%4, %3)
    %7: f64[2,2] = tanh(%6)
    -> (%7, %5)
    """)

NESTED = region("""
    graph(%0: f64[], %1: f64[3])
    %2: f64[] = scan(%0, %1) body={
      graph(%0: f64[], %1: f64[])
      %2: f64[] = multiply(%0, %1)
      %3: f64[] = cos(%2)
      -> (%3)
    } length=3 consts=0 carries=1 reverse=False
    -> (%2, %2)
    """)

GROW = region("""
    graph(%0: f64[2], %1: f64[2], %2: f64[])
    %3: f64[2] = multiply(%1, %0)
    %4: f64[2] = exp(%3)
    %5: f64[2] = add(%1, %4)
    %6: f64[] = add(%2, 1.0)
    -> (%5, %6)
    """)
LARGE = region("""
    graph(%0: f64[2], %1: f64[2], %2: f64[])
    %3: f64[] = sum(%1) axis=(0,) keepdims=False
    %4: b8[] = less(%3, 9.0)
    -> (%4)
    """)
FEW = region("""
    graph(%0: f64[2], %1: f64[2], %2: f64[])
    %3: b8[] = less(%2, 2.5)
    -> (%3)
    """)
BRANCHES = (
    region("""
    graph(%0: f64[2], %1: f64[])
    -> (%0, np.float64(0.0), np.int64(1))
    """),
    region("""
    graph(%0: f64[2], %1: f64[])
    %2: f64[2] = exp(%0)
    %3: f64[2] = multiply(%2, %1)
    %4: f64[] = sum(%3) axis=(0,) keepdims=False
    -> (%3, %4, np.int64(2))
    """),
    region("""
    graph(%0: f64[2], %1: f64[])
    %2: f64[] = sin(%1)
    %3: f64[2] = multiply(%0, %2)
    -> (%3, %2, np.int64(3))
    """),
)
