"""The options of `jit`: which backend, and how exact."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.errors import InputError

X = np.linspace(0.1, 2, 37)


def f(x):
    return np.sum((x * 2 + 1) / (x * x + 1) / 3.0)


def test_the_default_is_native(backend):
    assert wg.jit(f).plan(X).backend == backend
    assert wg.jit(f, backend="numpy").plan(X).backend == "numpy"


def test_other_dtypes_run_in_numpy():
    jitted = wg.jit(lambda z: z * 2)
    np.testing.assert_array_equal(jitted(X + 1j), X * 2 + 2j)
    assert jitted.plan(X + 1j).backend == "numpy"


# --- fast mathematics -----------------------------------------------------------------------------
def test_fastmath(backend):
    if backend == "numpy":
        pytest.skip("is for native code")
    fast = wg.jit(wg.value_and_grad(f), fastmath=True)
    exact = wg.jit(wg.value_and_grad(f))
    for got, want in zip(fast(X), exact(X), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-13)
    assert " fast " in fast.plan(X).llvm()
    assert " fast " not in exact.plan(X).llvm()


def test_fastmath_in_numpy():
    with pytest.raises(InputError, match=r"fastmath=True is for native code.*not backend='numpy"):
        wg.jit(f, backend="numpy", fastmath=True)


def test_floating_point_warnings():
    """As in a derivative, there are none: the plain function gives them."""
    jitted = wg.jit(lambda x: np.log(x) / np.cumsum(x) + np.sort(1 / x) * 1e-300)
    jitted(np.ones(2))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(jitted(np.array([-1e-320, -1.0]))[1])
