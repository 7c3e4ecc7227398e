"""How results of jitted functions are compared, two points, and a function with two paths."""

from __future__ import annotations

import numpy as np
import optree

A, B = np.array([0.5, 2.0, -0.3]), np.array([-0.5, 1.0, 0.2])


def assert_same(got, expected):
    """The same form, types, dtypes, shapes and values."""
    leaves, form = optree.tree_flatten(got)
    wanted, wanted_form = optree.tree_flatten(expected)
    assert form == wanted_form
    for g, w in zip(leaves, wanted, strict=True):
        assert type(g) is type(w), f"{type(g)} instead of {type(w)}"
        if isinstance(w, (np.ndarray, np.generic)):
            assert g.dtype == w.dtype
            assert g.shape == w.shape
            np.testing.assert_allclose(g, w, rtol=1e-6 if w.dtype.itemsize < 8 else 1e-13)
        else:
            assert g == w


def branch(x):
    return x**2 if x[0] > 0 else np.exp(x)
