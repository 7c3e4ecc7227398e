"""Reading first: values of which few entries are read are computed there only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import wengert as wg
from wengert.ir.graph import Value
from wengert.linear.narrow import narrowed
from wengert.transform.linear import linearize_flat

RNG = np.random.default_rng(0)
N = 600
INDEX = np.array([5, 599, 5, -3, 17])
PAIRS = np.array([[0, 7], [3, 3], [-1, 2]])
WEIGHTS = RNG.standard_normal((4, N))
ROWS = RNG.standard_normal((N, 3))
GRID = RNG.standard_normal((3, N, 2))


def rows(x: Any) -> Any:
    """An array of N rows that all arguments reach."""
    return np.sin(np.einsum("iv,i->vi", WEIGHTS, x))


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "rows": lambda x: rows(x)[INDEX],
    "negative slice": lambda x: rows(x)[40:10:-7],
    "pairs": lambda x: rows(x)[PAIRS] * 2,
    "an axis in the middle": lambda x: np.stack([rows(x)] * 2, axis=0)[:, INDEX],
    "twice": lambda x: rows(x)[INDEX] * rows(x)[3:8],
    "after broadcasting": lambda x: (rows(x) * x[0] + x)[INDEX] / np.sum(x),
    "after a column": lambda x: (rows(x)[:, 1][:, None] * x)[INDEX],
    "after a sum": lambda x: np.sum(rows(x)[:, None, :] * GRID[0][:, :, None], axis=1)[INDEX],
    "after a transpose": lambda x: rows(x).T[:, INDEX],
    "after a reshape": lambda x: rows(x).reshape(N, 2, 2)[INDEX],
    "after a concatenation": lambda x: np.concatenate([rows(x), ROWS * x[1]], axis=1)[INDEX],
    "after a product": lambda x: (rows(x) @ (WEIGHTS @ ROWS * x[2]))[INDEX],
    "after a choice": lambda x: np.where(rows(x) > 0, rows(x) * x, np.exp(x))[INDEX],
    "after cross": lambda x: np.cross(rows(x)[:, :3], x[:3])[INDEX],
    "after a filled one": lambda x: (np.broadcast_to(x, (N, 4)) * WEIGHTS.T)[INDEX],
    "after a sum along rows": lambda x: np.cumsum(rows(x), axis=0)[INDEX],
    "after a running sum": lambda x: np.cumsum(rows(x), axis=1)[INDEX],
    "after batches of matrices": lambda x: np.linalg.inv(
        np.eye(2) * 3 + np.sin(np.reshape(rows(x), (N, 2, 2)))
    )[INDEX],
    "of the argument": lambda x: np.sin(np.concatenate([x] * 400))[INDEX],
    "all of it too": lambda x: rows(x)[INDEX] + np.sum(rows(x)),
    "a norm": lambda x: (rows(x) / np.sqrt(np.sum(x**2)))[INDEX],
    "none": lambda x: rows(x)[np.zeros(0, int)],
}
LEFT = {"after a sum along rows", "all of it too", "of the argument"}
"""Functions of which all of the large values are needed."""


def linearized(f: Callable[[Any], Any], x: Any) -> Any:
    return linearize_flat(lambda x: [f(x)], [x])


def widest(lin: Any) -> int:
    """Return the size of the largest value that the results need."""
    needed = {v for v in lin.outs if v is not None}
    sizes = [0]
    for node in reversed(lin.tape.nodes):
        if needed & {*node.outputs}:
            needed.update(v for v in node.inputs if isinstance(v, Value))
            sizes += [np.size(v.data) for v in node.outputs]
    return max(sizes)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_only_what_is_read_is_computed(name: str) -> None:
    f, x = FUNCTIONS[name], np.array([0.3, -0.7, 1.2, 0.4])
    lin = linearized(f, x)
    made = narrowed(lin, [x])
    np.testing.assert_allclose(made.ys[0], lin.ys[0], rtol=1e-12)
    assert made.ys[0].shape == lin.ys[0].shape
    if name not in LEFT:
        assert widest(made) <= 1204 <= widest(lin)
    columns = [wg.jvp(f, (x,), (e,))[1] for e in np.eye(4)]
    expected = np.stack(columns, axis=-1)
    for mode in ("auto", "forward", "reverse"):
        found = wg.jacobian(f, mode=mode)(x)
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(wg.jit(wg.jacobian(f))(x), expected, rtol=1e-10, atol=1e-12)


def test_what_is_read_can_change_between_calls() -> None:
    def f(x: Any, index: Any) -> Any:
        return rows(x)[index] * x

    x = np.array([0.3, -0.7, 1.2, 0.4])
    compiled, plain = wg.jit(wg.value_and_jacobian(f)), wg.jacobian(f)
    for index in (INDEX, INDEX[::-1], INDEX + 1 - 2 * (INDEX > 0)):
        y, jacobian = compiled(x, index)
        np.testing.assert_array_equal(y, wg.jit(f)(x, index))
        np.testing.assert_allclose(jacobian, plain(x, index), rtol=1e-12)


def test_places_that_there_are_not_raise() -> None:
    def f(x: Any, index: Any) -> Any:
        return rows(x)[index]

    compiled = wg.jit(wg.jacobian(f))
    compiled(np.ones(4), INDEX)
    with pytest.raises(IndexError):
        compiled(np.ones(4), INDEX + N)


def test_small_functions_are_left() -> None:
    lin = linearized(lambda x: np.sin(x)[:2], np.ones(9))
    assert narrowed(lin, [np.ones(9)]) is lin


def test_jacobians_within_other_transformations() -> None:
    f, x = FUNCTIONS["after broadcasting"], np.array([0.3, -0.7, 1.2, 0.4])
    jacobian = wg.jacobian(f)
    expected = np.stack([jacobian(x + d) for d in np.eye(4)])
    batch = x + np.eye(4)
    np.testing.assert_allclose(wg.vmap(jacobian)(batch), expected, rtol=1e-12)
    second = wg.jacobian(jacobian)(x)
    step = 1e-6
    for k, e in enumerate(np.eye(4)):
        near = (jacobian(x + step * e) - jacobian(x - step * e)) / (2 * step)
        np.testing.assert_allclose(second[..., k], near, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("jacobian", [wg.jacfwd, wg.jacrev, lambda f: wg.jit(wg.jacobian(f))])
def test_an_empty_part_has_a_jacobian_without_rows(jacobian):
    assert jacobian(lambda x: np.diff(x[:0]))(np.ones(3)).shape == (0, 3)
