"""`wg.map` with several rows at once."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.errors import InputError


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 9])
def test_map_takes_several_rows_at_once(batch_size, jit):
    xs = {"a": np.linspace(0.0, 1.0, 21).reshape(7, 3), "b": np.arange(7.0)}
    f = lambda x: (x["a"] * np.sum(x["a"]), {"c": np.sin(x["b"])})  # noqa: E731
    run = lambda xs: wg.map(f, xs, batch_size=batch_size)  # noqa: E731
    made, wanted = (wg.jit(run) if jit else run)(xs), wg.map(f, xs)
    np.testing.assert_allclose(made[0], wanted[0], rtol=1e-14)
    np.testing.assert_allclose(made[1]["c"], wanted[1]["c"], rtol=1e-14)


@pytest.mark.parametrize("batch_size", [0, -2, 1.5, True, "2"])
def test_map_refuses_what_is_no_size(batch_size):
    with pytest.raises(InputError, match="batch_size must be a positive int"):
        wg.map(np.sin, np.ones(3), batch_size=batch_size)
