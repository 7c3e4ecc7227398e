"""Random sequences of in-place updates, views and aliases, against NumPy itself."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wengert as wg
from wengert.errors import BatchedControlError, MutationError

SHAPES = [(6,), (3, 4), (2, 2, 3), (4, 1), (1, 5)]
COPY = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # reshape has copy= since
LAYOUTS = {
    "C": lambda x: x,
    "F": lambda x: np.asfortranarray(x),
    "T": lambda x: x.T,
    "reversed": lambda x: x[::-1, ::-1],
    "gaps": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "gaps F": lambda x: np.repeat(x.T, 2, axis=0)[::2],
    "columns": lambda x: np.repeat(x.T, 3, axis=1)[:, ::3].T,
}
"""A matrix of the same numbers, or its transpose, that lies in memory in another way."""
VIEWS = {
    "slice": lambda h, a, b: h[a % (len(h) + 1) :],
    "stride": lambda h, a, b: h[:: 1 + a % 3],
    "reverse": lambda h, a, b: h[..., ::-1],
    "row": lambda h, a, b: h[a % len(h)] if h.ndim > 1 and len(h) else h[:],
    "column": lambda h, a, b: h[..., b % h.shape[-1]] if h.ndim > 1 and h.shape[-1] else h[...],
    "T": lambda h, a, b: h.T,
    "swapaxes": lambda h, a, b: np.swapaxes(h, 0, -1),
    "reshape": lambda h, a, b: h.reshape(-1),
    "ravel": lambda h, a, b: np.ravel(h),
    "split": lambda h, a, b: h.reshape(2, -1) if h.size % 2 == 0 else h.reshape(1, -1),
    "newaxis": lambda h, a, b: h[:, None],
    "0d": lambda h, a, b: h[(*np.unravel_index(a % h.size, h.shape), ...)] if h.size else h,
    "real": lambda h, a, b: h.real,
    "reshape F": lambda h, a, b: h.reshape(-1, order="F"),
    "reshape A": lambda h, a, b: h.reshape(-1, order="A"),
    "ravel K": lambda h, a, b: np.ravel(h, "K"),
    "ravel A": lambda h, a, b: h.ravel("A"),
    "tall": lambda h, a, b: h.reshape(-1, 2) if h.size % 2 == 0 else h.reshape(-1, 1),
    "backwards": lambda h, a, b: h[::-1],
    "moved": lambda h, a, b: np.moveaxis(h, a % h.ndim, b % h.ndim),
    "rolled": lambda h, a, b: np.rollaxis(h, a % h.ndim),
    "einsum T": lambda h, a, b: np.einsum("...ij->...ji", h) if h.ndim > 1 else h,
    "einsum diagonal": lambda h, a, b: (
        np.einsum("ii...->i...", h[: min(h.shape[:2]), : min(h.shape[:2])])
        if h.ndim > 1 and h.size
        else h
    ),
    "squeeze": lambda h, a, b: np.squeeze(h) if h.size > 1 else h,
    "rotated": lambda h, a, b: np.rot90(h, a) if h.ndim > 1 else h,
    "whole": lambda h, a, b: h[...],
    "no copy": lambda h, a, b: h.astype(float, order="F" if a % 2 else "C", copy=False),
    "asarray F": lambda h, a, b: np.asarray(h, order="F" if a % 2 else "C", like=h),
    "conj": lambda h, a, b: h.conj(),
    "alias": lambda h, a, b: h,
    "asarray": lambda h, a, b: np.asarray(h, like=h),
}
COPIES = {
    "copy": lambda h, a, b: h.copy(),
    "K copy": lambda h, a, b: np.copy(h),
    "F copy": lambda h, a, b: h.copy("F"),
    "A copy": lambda h, a, b: np.copy(h, order="A"),
    "flatten K": lambda h, a, b: h.flatten("K"),
    "True": lambda h, a, b: h[True] if h.ndim < 3 else h * 1,
    "reshape copy": lambda h, a, b: h.reshape(h.shape[::-1], copy=True) if COPY else h * 1,
    "padded": lambda h, a, b: np.pad(h, 1, mode="edge") if h.size else h * 1,
    "rounded": lambda h, a, b: np.where(np.round(h, 1) > 0.123, h, h * 0.5),
    "tensordot": lambda h, a, b: np.tensordot(h, h, axes=0) / 4 if h.ndim < 2 else h.T * h.T,
    "einsum K": lambda h, a, b: np.einsum("ij,kj->ki", h, h) / 4 if h.ndim == 2 else h * 1,
    "gradient": lambda h, a, b: np.gradient(h, axis=0) if len(h) > 1 else h * 1,
    "broadcast": lambda h, a, b: h.T + h[..., :1].T if h.shape[-1] else h * 1,
    "sin": lambda h, a, b: np.sin(h),
    "fancy": lambda h, a, b: h[[a % len(h), b % len(h)]] if len(h) else h + 0.0,
    "mask": lambda h, a, b: h[h > 0.123],
    "flatten": lambda h, a, b: h.flatten(),
    "zeros": lambda h, a, b: np.zeros_like(h),
    "0-d": lambda h, a, b: np.array(h.sum() / 4, like=h),
    "where": lambda h, a, b: np.where(h > 0.123, h, h * 2),
    "repeat": lambda h, a, b: np.repeat(h, 2, axis=-1),
    "take": lambda h, a, b: np.take(h, [0, 0], axis=-1) if h.shape[-1] else h * 2,
    "roll": lambda h, a, b: np.roll(h, a, axis=-1),
    "sorted": lambda h, a, b: np.sort(h, axis=0),
    "tile": lambda h, a, b: np.tile(h, 2),
    "joined": lambda h, a, b: np.concatenate([h, h], axis=-1),
    "stack": lambda h, a, b: np.stack([h, h], axis=-1) if h.ndim < 3 else h + 1,
    "pad": lambda h, a, b: np.pad(h, 1),
    "cumsum": lambda h, a, b: np.cumsum(h, axis=0) / 4,
    "sum": lambda h, a, b: h.sum(axis=0, keepdims=True) / 4,
    "mean": lambda h, a, b: h - h.mean() if h.size else h * 1,
    "matmul": lambda h, a, b: h @ np.swapaxes(h, -1, -2) / 4 if h.ndim > 1 else np.outer(h, h),
    "einsum": lambda h, a, b: np.einsum("...i,...j->...ji", h, h) if h.ndim < 3 else h + 1,
    "fancy axis": lambda h, a, b: h[..., [0, -1]] if h.shape[-1] else h * 2,
    "two arrays": lambda h, a, b: h[[0, -1], [0]] if h.ndim > 1 and h.size else h * 2,
    "maximum": lambda h, a, b: np.maximum(h.T, 0.123),
    "C copy": lambda h, a, b: h.T.copy(),
    "F sum": lambda h, a, b: h.T + h.T,
    "mixed": lambda h, a, b: h + np.ones(h.shape[::-1]).T,
    "zeros F": lambda h, a, b: np.zeros_like(h.T),
    "asarray": lambda h, a, b: np.array(h, like=h),
    "clip": lambda h, a, b: np.clip(h, -0.777, 0.777),
    "astype": lambda h, a, b: h.astype(float),
    "diff": lambda h, a, b: np.diff(h, axis=-1, prepend=0.5),
    "delete": lambda h, a, b: np.delete(h, 0, axis=-1) if h.shape[-1] else h * 2,
    "broadcast copy": lambda h, a, b: (
        np.array(np.broadcast_to(h, (2, *h.shape)), like=h) if h.ndim < 3 else h * 2
    ),
}


def scalar(handles, k):
    h = handles[k % len(handles)]
    return h.reshape(-1)[k % h.size] if h.size else 0.75


def add(h, v, a, b):
    h += v


def scale(h, v, a, b):
    h *= 0.5


def subtract_product(h, v, a, b):
    h -= h * v


def add_to_itself(h, v, a, b):
    h[1:] += h[:-1]


def set_one(h, v, a, b):
    if h.size:
        h[tuple(int(i) for i in np.unravel_index(a % h.size, h.shape))] = v * v


def set_slice(h, v, a, b):
    h[a % (len(h) + 1) : b % (len(h) + 1) : 1 + a % 2] = v


def set_mask(h, v, a, b):
    h[h > 0.123] = v


def scale_mask(h, v, a, b):
    h[h < -0.123] *= 0.5


def set_repeated(h, v, a, b):
    n = len(h)
    if n and h.ndim == 1:
        h[np.array([a, b, a, -1]) % n] = np.stack([v, v * 2, v * 3, v * 4])


def add_at(h, v, a, b):
    if len(h):
        np.add.at(h, np.array([a, b, a]) % len(h), v)


def sine_out(h, v, a, b):
    np.sin(h, out=h)


def out_where(h, v, a, b):
    np.multiply(h, v, out=h, where=h > 0.123)


def copyto(h, v, a, b):
    np.copyto(h, v)


def fill(h, v, a, b):
    h.fill(v)


def sort(h, v, a, b):
    h.sort(axis=a % h.ndim)


def swap(h, v, a, b):
    if len(h):
        i, j = a % len(h), b % len(h)
        h[i], h[j] = h[j], h[i]


def flat(h, v, a, b):
    if h.size:
        h.flat[a % h.size] = v


def rows(h, v, a, b):
    for row in h:
        row *= 0.5  # a name for a number where h is a vector


UPDATES = [
    add, scale, subtract_product, add_to_itself, set_one, set_slice, set_mask, scale_mask,
    set_repeated, add_at, sine_out, out_where, copyto, fill, sort, swap, flat, rows,
]  # fmt: skip
ZERO_D = {add, scale, subtract_product, sine_out, copyto, fill}
MAKERS = {**VIEWS, **COPIES}


def run(program, x):
    """Run a program on plain or traced arrays; return all that it made."""
    shape, steps = program
    start = x.copy("K").T if x.ndim > 1 else x.reshape(-1)[: int(np.prod(shape))].reshape(shape)
    return follow(steps, [start.copy("K")])


def follow(steps, handles):
    """Take the steps of a program on arrays; return all that it made."""
    for name, k, a, b in steps:
        h = handles[k % len(handles)]
        if name in MAKERS:
            made = MAKERS[name](h, a, b) if h.ndim else h
            handles.append(made if made.size <= 64 else h)
        else:
            update = UPDATES[name]
            if h.ndim or update in ZERO_D:
                update(h, scalar(handles, a + b), a, b)
    return np.concatenate([np.ravel(h) for h in handles])


number = st.integers(0, 11)
names = [list(VIEWS)] * 3 + [list(COPIES)] * 2 + [range(len(UPDATES))] * 4
step = st.tuples(st.one_of(*map(st.sampled_from, names)), number, number, number)
programs = st.tuples(st.sampled_from(SHAPES), st.lists(step, min_size=3, max_size=14))


def check(program):
    x = np.random.default_rng(5).uniform(-1, 1, 12)
    f = lambda x: run(program, x)  # noqa: E731
    value = f(x)
    y, pullback = wg.vjp(f, x, allow_int=True)
    np.testing.assert_allclose(y, value, rtol=1e-13, atol=1e-14)
    weights = np.random.default_rng(6).normal(size=value.shape)
    (g,) = pullback(weights)
    h = 1e-6
    expected = [weights @ (f(x + s) - f(x - s)) / (2 * h) for s in h * np.eye(x.size)]
    np.testing.assert_allclose(g, expected, rtol=1e-5, atol=1e-5)
    y, t = wg.jvp(f, (x,), (weights.sum() + x,), allow_int=True)
    np.testing.assert_allclose(y, value, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(weights @ t, g @ (weights.sum() + x), rtol=1e-8, atol=1e-8)
    # Refused: a mask or a place in sorted order; a reshape that copies.
    with contextlib.suppress(BatchedControlError, MutationError):
        np.testing.assert_allclose(wg.vmap(f)(x[None])[0], value, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(wg.jit(f)(x), value, rtol=1e-12, atol=1e-12)


def check_layouts(program, layouts, backend):
    """Compare on matrices that lie in memory in several ways, one after the other."""
    x = np.random.default_rng(5).uniform(-1, 1, (3, 4))
    f = lambda x: run(program, x)  # noqa: E731
    compiled, gradient = wg.jit(f, backend=backend), wg.jit(wg.grad(lambda x: np.sum(f(x) ** 2)))
    for name in layouts:
        y = LAYOUTS[name](x)
        value = f(y)
        np.testing.assert_allclose(compiled(y), value, rtol=1e-12, atol=1e-12)
        got, pullback = wg.vjp(f, y, allow_int=True)
        np.testing.assert_allclose(got, value, rtol=1e-13, atol=1e-14)
        (g,) = pullback(2 * value)
        np.testing.assert_allclose(gradient(y), g, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            wg.jvp(f, (y,), (y,), allow_int=True)[0], value, rtol=1e-13, atol=1e-14
        )
        with contextlib.suppress(BatchedControlError, MutationError):
            rows = wg.vmap(f)(np.stack([y * 0.5, y]))
            np.testing.assert_allclose(rows[1], value, rtol=1e-12, atol=1e-12)


layouts = st.lists(st.sampled_from(list(LAYOUTS)), min_size=2, max_size=3)
backends = st.sampled_from(["native", "numpy"])


@given(programs, layouts, backends)
@settings(max_examples=8)
def test_random_updates_of_other_layouts(program, layouts, backend):
    check_layouts(program, layouts, backend)


@pytest.mark.slow
@given(programs, layouts, backends)
@settings(max_examples=400)
def test_many_random_updates_of_other_layouts(program, layouts, backend):
    check_layouts(program, layouts, backend)


@given(programs)
@settings(max_examples=40)
def test_random_updates(program):
    check(program)


@pytest.mark.slow
@given(programs)
@settings(max_examples=3000)
def test_many_random_updates(program):
    check(program)
