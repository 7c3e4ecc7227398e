"""Each function of the corpus is differentiated as it stands, and compared with differences."""

from __future__ import annotations

import importlib
import pathlib

import numpy as np
import optree
import pytest
from corpus.registry import FUNCTIONS

import wengert as wg

for _file in sorted(pathlib.Path(__file__).parent.glob("[a-z]*.py")):
    if not _file.stem.startswith("test_"):
        importlib.import_module(f"corpus.{_file.stem}")

STEPS = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))
"""A difference of fourth order."""


def flat(x):
    """Return the numbers in a result, as one array."""
    parts = [np.ravel(np.asarray(leaf)) for leaf in optree.tree_leaves(x)]
    return np.concatenate(parts) if parts else np.zeros(0)


class Case:
    """A function at a point, as a function of one flat array and as it is."""

    def __init__(self, entry, point):
        self.f, self.args, self.argnums = entry.function, entry.points[point], entry.argnums
        chosen = tuple(self.args[i] for i in self.argnums)
        leaves, self.tree = optree.tree_flatten(chosen)
        self.leaves = leaves
        self.x = flat(chosen)
        self.y = self.plain(self.x)
        y = self.f(*self.copies())
        scalar = np.ndim(y) == 0 and not isinstance(y, (tuple, list))
        self.argument = self.argnums if len(self.argnums) > 1 else self.argnums[0]
        self.derivative = (wg.grad if scalar else wg.jacrev)(self.f, self.argument)

    def copies(self):
        """Return the arguments; a function may write into its own."""
        return optree.tree_map(lambda a: a.copy() if isinstance(a, np.ndarray) else a, self.args)

    def at(self, x):
        """Return the arguments with other numbers."""
        made, start = [], 0
        for leaf in self.leaves:
            part = x[start : start + np.size(leaf)].reshape(np.shape(leaf))
            made.append(part.copy() if isinstance(leaf, np.ndarray) else float(part))
            start += np.size(leaf)
        args = list(self.copies())
        for i, a in zip(self.argnums, optree.tree_unflatten(self.tree, made), strict=True):
            args[i] = a
        return tuple(args)

    def plain(self, x):
        """Call the function itself."""
        return flat(self.f(*self.at(x)))

    def first(self, x):
        """Return the derivative as a flat array: results times arguments."""
        return self.matrix(self.derivative(*self.at(x)))

    def matrix(self, derivative):
        """Return a derivative in the tree of the arguments as a matrix."""
        parts, n = optree.tree_leaves(derivative), len(self.leaves)
        assert len(parts) % n == 0
        rows = []
        for k in range(0, len(parts), n):
            blocks = [
                np.reshape(p, (-1, np.size(a)))
                for p, a in zip(parts[k : k + n], self.leaves, strict=True)
            ]
            rows.append(np.concatenate(blocks, axis=1))
        return np.concatenate(rows)

    def along(self, transform, direction):
        """Return the tangent of a function of the arguments along a direction."""
        primals = self.at(self.x)
        tangents = self.at(direction)
        chosen = [primals[i] for i in self.argnums]

        def of_chosen(*given):
            args = list(primals)
            for i, a in zip(self.argnums, given, strict=True):
                args[i] = a
            return transform(*args)

        return wg.jvp(of_chosen, tuple(chosen), tuple(tangents[i] for i in self.argnums))


def difference(f, x, direction, scale):
    h = 1e-4 * scale
    return sum(w * f(x + k * h * direction) for k, w in STEPS) / h


def close(found, expected, rtol, rounding=0.0):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    scale = max(1.0, np.max(np.abs(expected), initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * scale + rounding)


def rounding_of(values):
    """Return how far a difference of values is off because they are rounded."""
    return 1e-10 * np.max(np.abs(values), initial=0.0)


POINTS = [
    pytest.param(name, k, id=f"{name}-{k}")
    for name, entry in FUNCTIONS.items()
    for k in range(len(entry.points))
]
quick = pytest.mark.share(12)


def test_there_are_enough():
    assert len(FUNCTIONS) >= 200


@quick
@pytest.mark.parametrize(("name", "point"), POINTS)
def test_as_it_stands(name, point):
    case = Case(FUNCTIONS[name], point)
    x, scale = case.x, np.maximum(0.1, np.abs(case.x))
    plain = case.f(*case.copies())
    found = case.first(x)
    basis = np.diag(scale)
    expected = np.stack([difference(case.plain, x, e, 1.0) for e in basis], axis=1) / scale
    close(found, expected, 3e-7, rounding_of(case.y))
    direction = scale * np.cos(np.arange(len(x)) + 1.0)
    value, tangent = case.along(case.f, direction)
    assert optree.tree_structure(value) == optree.tree_structure(plain)
    close(flat(value), flat(plain), 1e-13)
    close(flat(tangent), found @ direction, 1e-10)


@quick
@pytest.mark.parametrize(("name", "point"), POINTS)
def test_second_order(name, point):
    case = Case(FUNCTIONS[name], point)
    x, scale = case.x, np.maximum(0.1, np.abs(case.x))
    direction = scale * np.cos(np.arange(len(x)) + 1.0)
    _, tangent = case.along(case.derivative, direction)
    close(case.matrix(tangent), difference(case.first, x, direction, 1.0), 3e-6)


@quick
@pytest.mark.parametrize("name", FUNCTIONS)
def test_compiled(name):
    """One compiled function meets all the points, and the first one again."""
    cases = [Case(FUNCTIONS[name], k) for k in range(len(FUNCTIONS[name].points))]
    first = cases[0]
    value, derivative = wg.jit(first.f), wg.jit(first.derivative)
    for case in [*cases, cases[0]]:
        plain = case.f(*case.copies())
        found = value(*case.copies())
        assert optree.tree_structure(found) == optree.tree_structure(plain)
        assert flat(found).dtype == flat(plain).dtype
        close(flat(found), flat(plain), 1e-12)
        close(case.matrix(derivative(*case.copies())), case.first(case.x), 1e-9)
