"""Random programs of views, products and updates: compiled ones are NumPy's, bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from random_layouts import Program

import wengert as wg
from wengert.backend.native.emit import gemm, module, parallel
from wengert.backend.native.schedule import layout, products

THRESHOLDS = [
    (products, "BLAS_FROM", 30),
    (gemm, "SHARED_FROM", 1000),
    (gemm, "OPERATIONS", 500),
    (gemm, "WIDTH", 2),
    (gemm, "CORES", 5),
    (parallel, "SHARED_FROM", 200),
    (parallel, "UNITS", 50),
    (module, "SMALL", 0),
    (module, "STRAIGHT", 1),
    (layout, "SMALL", 64),
]
"""What decides how something is computed, and values that small arrays go beyond."""


@pytest.fixture(params=["low", "as they are"])
def thresholds(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make small arrays take the ways of large ones."""
    if request.param == "low":
        for place, name, value in THRESHOLDS:
            assert getattr(place, name) > value or name == "CORES"
            monkeypatch.setattr(place, name, value)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("backend", ["native", "numpy"])
def test_programs(seed: int, backend: str, thresholds: None):
    """The first call, a later one, and one with other numbers, of which some are positions."""
    program = Program(seed)
    jitted = wg.jit(lambda *xs: program.run(xs), backend=backend)
    other = program.draw(seed + 1_000_000)
    for inputs in (program.inputs, program.inputs, other):
        for got, want in zip(jitted(*inputs), program.run(inputs), strict=True):
            said = "\n".join(program.text)
            assert (np.shape(got), np.asarray(got).dtype) == (want.shape, want.dtype), said
            np.testing.assert_array_equal(got, want, err_msg=said)
