"""Strides worked out without data are NumPy's; steps that are joined read the same."""

from __future__ import annotations

import numpy as np
import pytest

from wengert.ops.index import getitem
from wengert.ops.shape import reshape, transpose
from wengert.trace import layout
from wengert.trace.joined import joined


def some_array(rng):
    """Return an array of up to three axes, with gaps, permuted, reversed, broadcast or empty."""
    shape = rng.integers(0 if rng.random() < 0.1 else 1, 5, rng.integers(0, 4))
    x = np.arange(float(np.prod(shape + 2))).reshape(shape + 2)
    x = x[tuple(slice(n) if rng.random() < 0.5 else slice(2, None) for n in shape)]
    x = (np.array(x) if rng.random() < 0.5 else x).transpose(rng.permutation(x.ndim))
    if rng.random() < 0.3:
        x = x[tuple(slice(None, None, int(rng.choice([1, -1, 2, -2]))) for _ in x.shape)]
    if rng.random() < 0.2:
        x = np.broadcast_to(x, [2 if n == 1 else n for n in x.shape])
    return x.transpose(rng.permutation(x.ndim)) if rng.random() < 0.3 else x


def agree(strides, y):
    """Assert that strides are those of an array, along axes where they mean anything."""
    if 0 not in y.shape:
        pairs = zip(y.shape, strides, y.strides, strict=True)
        assert all(n == 1 or a == b for n, a, b in pairs), (y.shape, strides, y.strides)


def part(rng, shape):
    """Return an index without arrays."""
    spec = []
    for n in shape:
        if rng.random() < 0.2:
            spec.append(None)
        low, high = (None if rng.random() < 0.5 else int(i) for i in rng.integers(-3, 4, 2))
        whole = slice(low, high, int(rng.choice([1, 2, -1, -2])))
        spec.append(int(rng.integers(-n, n)) if n and rng.random() < 0.3 else whole)
    return (*spec[:-1], Ellipsis) if rng.random() < 0.3 else tuple(spec)


def shape_of_reshape(rng, size):
    made = []
    while size > 1 and len(made) < 3:
        made.append(int(rng.choice([d for d in range(1, size + 1) if size % d == 0])))
        size //= made[-1]
    return (*made, size)


@pytest.mark.parametrize("seed", range(8))
def test_strides_are_numpys(seed):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        x, z = np.asarray(some_array(rng)), np.asarray(some_array(rng))
        shape, own = x.shape, x.strides
        assert layout.is_c(shape, own, 8) == x.flags.c_contiguous
        assert layout.is_f(shape, own, 8) == x.flags.f_contiguous
        agree(layout.compact(shape, layout.kept(own), 8), np.copy(x))
        spec = part(rng, shape)
        y = x[spec]
        if isinstance(y, np.ndarray):
            agree(layout.indexed(shape, own, spec), y)
        new = shape_of_reshape(rng, x.size)
        y = np.reshape(x, new)
        found = layout.reshaped(shape, own, new, 8)
        assert (found is not None) == (y.size == 0 or np.shares_memory(x, y))
        if found is not None:
            agree(found, y)
        try:
            y = np.add(x, z)
        except ValueError:
            continue
        if y.shape:
            order = layout.iterated(y.shape, [(shape, own), (z.shape, z.strides)])
            agree(layout.compact(y.shape, order, 8), y)


def some_step(rng, y):
    kind = rng.integers(0, 3)
    if kind == 0:
        return getitem, {"spec": part(rng, y.shape)}
    if kind == 1:
        return transpose, {"axes": tuple(int(i) for i in rng.permutation(y.ndim))}
    new = [n for n in y.shape if n != 1]
    for _ in range(rng.integers(0, 3)):
        new.insert(rng.integers(0, len(new) + 1), 1)
    return reshape, {"shape": tuple(new)}


@pytest.mark.parametrize("seed", range(4))
def test_joined_steps_read_the_same(seed):
    rng = np.random.default_rng(seed)
    count = 0
    for _ in range(400):
        x = np.arange(24.0).reshape(rng.permutation([2, 3, 4, 1]))
        step = some_step(rng, x)
        y = step[0](x, **step[1])
        for _ in range(4):
            if not isinstance(y, np.ndarray):
                break
            then = some_step(rng, y)
            both = joined(x.shape, step, y.shape, then)
            if both is None:
                break
            y, step = then[0](y, **then[1]), both
            np.testing.assert_array_equal(step[0](x, **step[1]), y)
            count += 1
    assert count > 400
