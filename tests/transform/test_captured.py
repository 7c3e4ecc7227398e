"""Arrays that change between their use and the backward pass, with and without `checkpoint`.

A derivative is that of what the forward pass computed, or a `MutationError`: never another one.
"""

from __future__ import annotations

import types

import numpy as np
import pytest

import wengert as wg
from wengert.errors import MutationError
from wengert.trace import capture

X = np.array([0.3, -0.4, 0.9])
SMALL = 3
LARGE = capture.COPY_BYTES // 8 + 3  # not copied, but watched
HUGE = capture.WHOLE_BYTES // 8 + 3

plain = lambda f: f  # noqa: E731
KEEP = {"plain": plain, "checkpoint": wg.checkpoint}


def weights(n):
    return np.linspace(0.5, 1.5, n)


# --- what reads the array, and what happens to it afterwards --------------------------------------
USES = {
    "x + w": lambda x, w: x + w,
    "w - x": lambda x, w: w - x,
    "x * w": lambda x, w: x * w,
    "x / w": lambda x, w: x / w,
    "w ** x": lambda x, w: w**x,
    "maximum": lambda x, w: np.maximum(x, w),
    "where": lambda x, w: np.where(w > 1, x, w),
    "index": lambda x, w: x[np.argsort(w)],
    "dot": lambda x, w: np.broadcast_to(x @ w, x.shape),
    "store": lambda x, w: (lambda y: (y.__setitem__(slice(0, 2), w[:2]), y)[1])(x * 1.0),
    "concatenate": lambda x, w: np.concatenate([x, w])[1:-2],
    "asarray": lambda x, w: np.asarray(w, like=x) * x,
    "a view": lambda x, w: x * w[::-1],
    "of a copy": lambda x, w: x * (2 * w),
}
CHANGES = {
    "all": lambda w: w.__setitem__(slice(None), 9.0),
    "one": lambda w: w.__setitem__(1, 9.0),
    "negated": lambda w: np.negative(w, out=w),
    "through a view": lambda w: w[::-1].__setitem__(0, 7.0),
    "sorted": lambda w: w[::-1].sort(),
    "drawn": lambda w: np.random.default_rng(0).standard_normal(out=w),
    "not a number": lambda w: w.fill(np.nan),
}
TAKE = {
    "grad": lambda f, x: wg.grad(f)(x),
    "vjp": lambda f, x: wg.vjp(f, x)[1](1.0)[0],
    "linearize": lambda f, x: np.array([wg.linearize(f, x)[1](e) for e in np.eye(len(x))]),
    "hessian": lambda f, x: wg.hessian(f)(x),
    "hvp": lambda f, x: wg.hvp(f, (x,), (np.ones(len(x)),)),
    "vmap": lambda f, x: wg.vmap(wg.grad(f))(np.stack([x, 2 * x])),
    "jit": lambda f, x: wg.jit(wg.grad(f))(x),
    "jit in NumPy": lambda f, x: wg.jit(wg.grad(f), backend="numpy")(x),
}


def changing(use, change, n, keep):
    """A function that changes an array after its use, and the same one without the change."""

    def make(changes):
        def f(x):
            w = weights(n)

            def block(x):
                x = x if n == SMALL else np.sum(x) + np.zeros(n, like=x)
                z = USES[use](np.sin(x), w)
                if changes:
                    CHANGES[change](w)
                return z * np.cos(z)

            return np.sum(keep(block)(x) ** 2)

        return f

    return make(True), make(False)


PAIRS = [(use, list(CHANGES)[(i + j) % len(CHANGES)]) for i, use in enumerate(USES) for j in (0, 3)]


@pytest.mark.share(3)
@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("take", TAKE)
@pytest.mark.parametrize(("use", "change"), PAIRS)
def test_small_arrays_are_as_they_were(use, change, take, keep):
    f, without = changing(use, change, SMALL, KEEP[keep])
    np.testing.assert_allclose(TAKE[take](f, X), TAKE[take](without, X), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("keep", KEEP)
@pytest.mark.parametrize("take", ["grad", "vjp", "jit"])
@pytest.mark.parametrize("change", ["all", "one", "drawn"])
@pytest.mark.parametrize("use", ["x + w", "x * w", "store", "asarray", "a view", "index"])
def test_large_arrays_are_as_they_were_or_refused(use, change, take, keep):
    f, without = changing(use, change, LARGE, KEEP[keep])
    try:
        got = TAKE[take](f, X)
    except MutationError:
        return
    np.testing.assert_allclose(got, TAKE[take](without, X), rtol=1e-9)


def test_a_large_one_is_refused_under_checkpoint():
    f, _ = changing("x + w", "one", LARGE, wg.checkpoint)
    with pytest.raises(MutationError, match="was changed in place after a traced operation"):
        wg.grad(f)(X)


# --- where the array comes from -------------------------------------------------------------------
HELD = weights(3)
OBJECT = types.SimpleNamespace(w=weights(3))


def from_a_global(x):
    HELD[:] = 1.0
    y = wg.checkpoint(lambda x: np.sin(x + HELD) * HELD)(x)
    HELD[:] = 5.0
    return y


def from_an_object(x):
    OBJECT.w[:] = 1.0
    y = wg.checkpoint(lambda x: np.sin(x + OBJECT.w) * OBJECT.w)(x)
    OBJECT.w[:] = 5.0
    return y


def rebound(x):
    OBJECT.w = np.ones(3)
    y = wg.checkpoint(lambda x: np.sin(x + OBJECT.w) * OBJECT.w)(x)
    OBJECT.w = np.full(3, 5.0)
    return y


def a_number(x):
    OBJECT.n = 1.0
    y = wg.checkpoint(lambda x: np.sin(x + OBJECT.n) * OBJECT.n)(x)
    OBJECT.n = 5.0
    return y


def as_an_argument(x):
    w = np.ones(3)
    y = wg.checkpoint(lambda x, w: np.sin(x + w) * w)(x, w)
    w[:] = 5.0
    return y


def as_a_keyword(x):
    w = {"w": np.ones(3)}
    y = wg.checkpoint(lambda x, p: np.sin(x + p["w"]) * p["w"])(x, p=w)
    w["w"][:] = 5.0
    return y


def nested(x):
    w = np.ones(3)
    inner = wg.checkpoint(lambda x: np.sin(x + w) * w)
    y = wg.checkpoint(lambda x: inner(x))(x)
    w[:] = 5.0
    return y


def between_blocks(x):
    w = np.ones(3)
    y = wg.checkpoint(lambda x: np.sin(x + w) * w)(x)
    w[:] = 2.0
    z = wg.checkpoint(lambda x: x + w)(y)
    w[:] = 5.0
    return z


PLACES = [
    from_a_global, from_an_object, rebound, a_number, as_an_argument, as_a_keyword, nested,
    between_blocks,
]  # fmt: skip


@pytest.mark.parametrize("take", TAKE)
@pytest.mark.parametrize("f", PLACES, ids=lambda f: f.__name__)
def test_wherever_the_array_comes_from(f, take):
    got = TAKE[take](lambda x: np.sum(f(x) ** 2), X)
    shift = 2.0 if f is between_blocks else 0.0
    want = TAKE[take](lambda x: np.sum((np.sin(x + 1.0) + shift) ** 2), X)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


# --- noise ----------------------------------------------------------------------------------------
def dropout(x, rng, buffer):
    rng.random(out=buffer)
    mask = buffer > 0.3
    return np.tanh(x * mask + 0.1 * buffer)


@pytest.mark.parametrize("take", TAKE)
def test_layers_that_draw_into_one_buffer(take):
    def network(keep):
        def f(x):
            rng, buffer = np.random.default_rng(1), np.empty(3)
            for _ in range(4):
                x = keep(dropout)(x, rng, buffer)
            return np.sum(x)

        return f

    np.testing.assert_allclose(
        TAKE[take](network(wg.checkpoint), X), TAKE[take](network(plain), X), rtol=1e-9
    )


def test_numbers_drawn_inside_are_not_drawn_again():
    rng = np.random.default_rng(1)
    drawn = []

    def block(x):
        drawn.append(rng.standard_normal(3))
        return np.sin(x * drawn[-1])

    y, g = wg.value_and_grad(lambda x: np.sum(wg.checkpoint(block)(x)))(X)
    (noise,) = drawn
    np.testing.assert_allclose(g, np.cos(X * noise) * noise)
    np.testing.assert_allclose(y, np.sum(np.sin(X * noise)))


# --- arguments ------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", [SMALL, LARGE, HUGE])
@pytest.mark.parametrize(
    "take",
    [
        lambda f, x: wg.grad(f)(x),
        lambda f, x: wg.value_and_grad(f)(x)[1],
        lambda f, x: wg.vjp(f, x)[1](1.0)[0],
        lambda f, x: wg.grad(wg.checkpoint(f))(x),
    ],
)
def test_arguments_that_the_function_changes_behind_its_back(take, n):
    """By the name that the caller has for the same array."""
    x0 = weights(n)

    def f(x):
        y = np.sum(x**2 * 3)
        x0[...] = 5.0
        return y

    with pytest.raises(MutationError, match=r"changed in place|by another name"):
        take(f, x0)


@pytest.mark.parametrize("n", [SMALL, LARGE])
def test_arguments_that_the_caller_changes_before_the_pullback(n):
    x = weights(n)
    _, pull = wg.vjp(lambda x: np.sum(x**2), x)
    _, push = wg.linearize(lambda x: np.sum(x**2), x)
    x *= 3.0
    for derivative in (lambda: pull(1.0)[0], lambda: push(np.ones(n))):
        try:
            got = derivative()
        except MutationError:
            assert n > SMALL
            continue
        want = 2 * weights(n)
        np.testing.assert_allclose(got, want if np.ndim(got) else want.sum())


def test_the_same_bits():
    """A sign of zero and a NaN are changes too, and an array that stays is copied once."""
    kept = capture.Captured()
    x = np.array([0.0, np.nan])
    first = kept.keep(x)
    assert kept.keep(x) is first
    x[0] = -0.0
    second = kept.keep(x)
    assert second is not first
    assert np.signbit(second[0])
    assert not np.signbit(first[0])
    part = np.arange(12.0).reshape(3, 4)[:, ::2]
    assert kept.keep(part) is kept.keep(part)


# --- views that are out of date -------------------------------------------------------------------
def stale(make, x):
    a = x * 1.0
    v = make(a)
    a *= 2.0
    return a, v


MAKE = {
    "reversed": lambda a: a[::-1],
    "part": lambda a: a[:2],
    "column": lambda a: a[:, None],
    "reshaped": lambda a: a.reshape(1, 3),
    "view of a view": lambda a: a[::-1][1:],
}


@pytest.mark.parametrize("take", ["grad", "hessian", "vmap", "jit", "vjp"])
@pytest.mark.parametrize("how", ["argument", "closure", "base"])
@pytest.mark.parametrize("view", MAKE)
def test_views_brought_up_to_date_inside(view, how, take):
    """They keep shape and values afterwards, whoever read them first."""

    def f(keep):
        def f(x):
            a, v = stale(MAKE[view], x)
            block = keep(lambda *u: np.sin(u[0] if u else v) * np.cos(u[0] if u else v))
            z = block(v) if how == "argument" else block()
            if how == "base":
                keep(lambda: a.__setitem__(0, a[1] * 3))()
            assert v.ndim == MAKE[view](X).ndim
            assert v.shape == MAKE[view](X).shape
            return np.sum(z) * np.sum(v * v) + np.sum(a) / v.size

        return f

    got, want = TAKE[take](f(wg.checkpoint), X), TAKE[take](f(plain), X)
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)
