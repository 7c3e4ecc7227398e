"""What the tests of the graph share: reading a verified graph from text, and comparing bits."""

from __future__ import annotations

from textwrap import dedent

import numpy as np
import pytest

import wengert as wg  # noqa: F401  (importing it fills the table)
from wengert.ir.text import parse
from wengert.ir.verify import verify
from wengert.ops.base import TABLE


def bits(x):
    """Shape, dtype and bytes, with every NaN in one bit pattern."""
    x = np.array(x)
    parts = x.view(x.real.dtype) if x.dtype.kind == "c" and x.ndim else x
    if x.dtype.kind == "c" and not x.ndim:
        parts = np.array([x.real, x.imag])
    if parts.dtype.kind == "f":
        parts = np.where(np.isnan(parts), np.array(np.nan, parts.dtype), parts)
    return x.shape, x.dtype, parts.tobytes()


@pytest.fixture(scope="session")
def same_bits():
    """Assert that two lists of arrays agree bit for bit, NaN payloads aside."""

    def check(found, expected):
        assert [bits(x) for x in found] == [bits(x) for x in expected]

    return check


@pytest.fixture(scope="session")
def read():
    """Read a graph from indented text and verify it."""
    return lambda text, *consts: verify(parse(dedent(text).strip(), TABLE, consts))
