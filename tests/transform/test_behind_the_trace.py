"""Arguments that a function changes by another name, which its trace does not see: never silent."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.errors import MutationError

SIZES = [4, 3000, 200_000]  # compared byte by byte, by a checksum, and larger than 1 MiB


def call(mode, f, x):
    if mode == "jvp":
        return wg.jvp(f, (x,), (np.ones_like(x),))
    if mode == "vjp":
        return wg.vjp(f, x)
    return mode(f)(x)


MODES = [wg.grad, wg.jit, lambda f: wg.jit(wg.grad(f)), "jvp", "vjp"]
COMPILED = [wg.jit, lambda f: wg.jit(wg.value_and_grad(f))]
ALIASES = {
    "itself": lambda x: x,
    "a view": lambda x: x[1:],
    "reversed": lambda x: x[::-1],
}


def aliased(alias, n):
    x = np.linspace(1.0, 2.0, n)
    w = ALIASES[alias](x)

    def f(v):
        y = np.sum(v**2)
        w[n // 2] = 7.0
        return y + np.sum(v**3)

    return f, x


@pytest.mark.parametrize("alias", list(ALIASES))
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("n", SIZES[:2])
def test_a_write_by_another_name(n, mode, alias):
    f, x = aliased(alias, n)
    with pytest.raises(MutationError, match="by another name"):
        call(mode, f, x)


@pytest.mark.parametrize("mode", COMPILED)
def test_a_single_entry_of_a_large_argument_of_compiled_code(mode):
    f, x = aliased("a view", SIZES[2])
    with pytest.raises(MutationError, match="by another name"):
        mode(f)(x)


@pytest.mark.parametrize("mode", [wg.grad, wg.jacrev, "vjp"])
def test_an_update_that_a_captured_array_would_see(mode):
    x = np.array([1.0, 2.0, 3.0])
    w = x[1:]

    def f(v):
        v *= 2
        return np.sum(v[1:] ** 2 * w)

    with pytest.raises(MutationError, match="shares memory"):
        call(mode, f, x)


def test_other_updates_are_fine():
    x, w = np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0])

    def f(v):
        v *= 2
        w[0] += 1.0
        return np.sum(v * w)

    np.testing.assert_array_equal(wg.grad(f)(x), [10.0, 10.0, 12.0])
    _, pull = wg.vjp(lambda v: np.sum(v**2), x)
    x[0] = 50.0  # the caller's, after the function has run
    np.testing.assert_array_equal(pull(1.0)[0], [2.0, 4.0, 6.0])
