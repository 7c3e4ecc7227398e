"""The algebra of dependences against dense boolean matrices."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert import grad, jit
from wengert.sparse.detection import rows as algebra
from wengert.sparse.detection.detect import detect
from wengert.sparse.detection.rows import Space, join, union

N = 7
SHAPES = [(), (1,), (4,), (2, 3), (3, 1, 2), (0, 2)]


def dense(rows):
    """The boolean matrix that a dependence stands for, after checking how it is compressed."""
    indptr, indices = rows.csr()
    m = len(indptr) - 1
    assert m == np.prod(rows.shape, dtype=int)
    found = np.zeros((m, N), bool)
    for i in range(m):
        part = indices[indptr[i] : indptr[i + 1]]
        assert np.all(np.diff(part) > 0)
        found[i, part] = True
    return found


@st.composite
def dependences(draw, shape, space):
    """Random unions of arrays of numbers and rows of tables."""
    m = int(np.prod(shape))
    rows = space.nothing(shape)
    parts = [rows]
    for _ in range(draw(st.integers(0, 5))):
        if draw(st.booleans()):
            at = draw(st.lists(st.integers(-1, N - 1), min_size=m, max_size=m))
            at = np.array(at, space.dtype).reshape(shape)
            parts.append(algebra.Rows(space, shape, (algebra.RowsTerm(at),)))
        else:
            size = draw(st.integers(1, 4))
            labels = draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=12))
            columns = draw(st.lists(st.integers(0, N - 1), min_size=len(labels),
                                    max_size=len(labels)))  # fmt: skip
            table = space.listed(np.array(labels), np.array(columns), (size,))
            at = draw(st.lists(st.integers(-1, size - 1), min_size=m, max_size=m))
            at = np.array(at, np.int64).reshape(shape)
            for term in table.terms:
                moved = np.where(at < 0, -1, term.at[at])
                parts.append(algebra.Rows(space, shape, (algebra.RowsTerm(moved, term.table),)))
    return union(parts)


@pytest.fixture(params=[1 << 25, 3], ids=["listed", "products"], autouse=True)
def longest(request, monkeypatch):
    monkeypatch.setattr(algebra, "LONGEST_LIST", request.param)


@settings(max_examples=150)
@given(st.data())
def test_operations_against_dense_matrices(data):
    space = Space(N)
    shape = data.draw(st.sampled_from(SHAPES))
    a, b = data.draw(dependences(shape, space)), data.draw(dependences(shape, space))
    da, db = dense(a), dense(b)
    m = len(da)
    grid = np.arange(m).reshape(shape)
    np.testing.assert_array_equal(dense(union([a, b])), da | db)
    np.testing.assert_array_equal(dense(a.compact()), da)

    mask = np.array(data.draw(st.lists(st.booleans(), min_size=m, max_size=m)), bool)
    np.testing.assert_array_equal(dense(a.without(mask.reshape(shape))), da & ~mask[:, None])

    wide = (2, *shape)
    np.testing.assert_array_equal(dense(a.broadcast(wide)), np.concatenate([da, da]))
    np.testing.assert_array_equal(
        dense(a.broadcast(wide).reduced(range(len(wide)))), da.any(axis=0)[None]
    )

    both = join([a, b], lambda xs: np.stack(xs), wide)
    np.testing.assert_array_equal(dense(both), np.concatenate([da, db]))

    k = data.draw(st.integers(1, 5))
    labels = np.array(data.draw(st.lists(st.integers(0, k - 1), min_size=m, max_size=m)), int)
    found = np.zeros((k, N), bool)
    np.logical_or.at(found, labels, da)
    np.testing.assert_array_equal(dense(a.grouped(labels.reshape(shape), (k,))), found)

    if m:
        source = np.array(data.draw(st.lists(st.integers(0, m - 1), min_size=k, max_size=k)), int)
        target = np.array(data.draw(st.lists(st.integers(0, 2), min_size=k, max_size=k)), int)
        found = np.zeros((3, N), bool)
        np.logical_or.at(found, target, da[source])
        np.testing.assert_array_equal(dense(a.gathered(target, source, (3,))), found)

    for axis in range(len(shape)):
        cube = da.reshape(*shape, N)
        np.testing.assert_array_equal(
            dense(a.reduced([axis])), cube.any(axis=axis, keepdims=True).reshape(-1, N)
        )
        running = np.logical_or.accumulate(cube, axis=axis)
        np.testing.assert_array_equal(dense(a.prefix(axis)), running.reshape(-1, N))
        flipped = a.moved(lambda x, axis=axis: np.flip(x, axis), shape)
        np.testing.assert_array_equal(dense(flipped), da[np.flip(grid, axis).reshape(-1)])


@pytest.mark.parametrize("count", [3, 10, 40])
def test_many_terms_become_one_table(count):
    space = Space(N)
    rng = np.random.default_rng(count)
    cells = [rng.random((5, N)) < 0.3 for _ in range(count)]
    parts = [space.listed(*np.nonzero(c), (5,)) for c in cells]
    whole = union(parts)
    assert not whole.is_long
    np.testing.assert_array_equal(dense(whole), np.any(cells, axis=0))
    joined = join(parts, lambda xs: np.concatenate(xs), (5 * count,))
    np.testing.assert_array_equal(dense(joined), np.concatenate(cells))


def test_equal_tables_are_one():
    space = Space(N)
    a, b = (space.listed(np.array([0, 1, 1]), np.array([2, 3, 4]), (2,)) for _ in range(2))
    assert a.terms[0].table is b.terms[0].table
    assert len(union([a, b]).terms) == 1


def test_dense_rows_are_kept_once():
    space = Space(N)
    cells = np.ones((6, N), bool)
    cells[2, 3] = False
    rows = space.listed(*np.nonzero(cells), (6,))
    assert rows.terms[0].table.height == 2
    np.testing.assert_array_equal(dense(rows), cells)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (1, 2)])
@pytest.mark.parametrize("kinds", [1, 2, 5])
@pytest.mark.parametrize("tables", [0, 1, 2])
def test_groups_of_the_same_entries_are_united_once(monkeypatch, axes, kinds, tables):
    """With the same result as when each group is united on its own."""
    rng = np.random.default_rng(kinds)
    space, shape = Space(N), (30, 20, 14)
    parts = []
    for k in range(3):
        lines = rng.integers(-1, N, (kinds, *(shape[i] for i in axes)))
        kept = tuple(shape[i] for i in range(3) if i not in axes)
        at = lines[rng.integers(0, kinds, kept)] if k == 0 else lines[parts[0][0]]
        if k == 0:
            parts.append((rng.integers(0, kinds, kept),))
            at = lines[parts[0][0]]
        at = np.moveaxis(at, range(len(kept), 3), axes)
        if k <= tables:
            height = [space.listed(rng.integers(0, N, 30), rng.integers(0, N, 30), (N,))]
            (term,) = height[0].terms
            moved = np.where(at < 0, -1, term.at[at])
            parts.append(algebra.Rows(space, shape, (algebra.RowsTerm(moved, term.table),)))
        else:
            parts.append(algebra.Rows(space, shape, (algebra.RowsTerm(at.astype(space.dtype)),)))
    value = algebra.Rows(space, shape, tuple(t for p in parts[1:] for t in p.terms))
    united = []
    whole = algebra.Rows.grouped
    monkeypatch.setattr(
        algebra.Rows,
        "grouped",
        lambda self, *rest: united.append(np.prod(self.shape)) or whole(self, *rest),
    )
    monkeypatch.setattr(algebra, "ALIKE", 1)
    found = value.reduced(axes)
    assert max(united) <= kinds * np.prod([shape[i] for i in axes])
    monkeypatch.setattr(algebra, "ALIKE", 1 << 60)
    want = value.reduced(axes)
    assert found.shape == want.shape
    np.testing.assert_array_equal(dense(found), dense(want))


def test_groups_that_differ_are_not_taken_for_the_same(monkeypatch):
    monkeypatch.setattr(algebra, "ALIKE", 1)
    rng = np.random.default_rng(0)
    space = Space(N)
    at = rng.integers(-1, N, (40, 9)).astype(space.dtype)
    at[1::2] = at[::2]
    at[5, 3] = (at[5, 3] + 2) % N
    value = algebra.Rows(space, at.shape, (algebra.RowsTerm(at), algebra.RowsTerm(at[:, ::-1])))
    want = np.zeros((40, N), bool)
    for i in range(40):
        want[i, at[i][at[i] >= 0]] = True
    np.testing.assert_array_equal(dense(value.reduced((1,))), want)


@pytest.mark.parametrize("axis", [0, 1])
def test_the_nearest_of_many(axis):
    """Detection of k-means' Hessian takes memory for its values, not for all pairs of inputs."""
    k, n, d = 200, 2000, 8
    rng = np.random.default_rng(0)
    points, centroids = rng.standard_normal((n, d)), rng.standard_normal((k, d))

    def nearest(c):
        squares = np.sum(points**2, axis=1)[:, None] + np.sum(c**2, axis=1) - 2 * points @ c.T
        return np.sum(np.min(squares if axis else squares.T, axis=axis))

    graph = jit(grad(nearest)).plan(centroids).graph
    tracemalloc.start()
    found = detect(graph)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.pattern.nnz == k * d
    assert peak < 20 * n * k * 8  # all pairs are n * k * d * 24 bytes, and sorted
