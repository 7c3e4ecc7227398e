"""The algebra of dependences against dense boolean matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.sparse import rows as algebra
from wengert.sparse.rows import Space, join, union

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
            parts.append(algebra.Rows(space, shape, (algebra.Term(at),)))
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
                parts.append(algebra.Rows(space, shape, (algebra.Term(moved, term.table),)))
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
