"""`SparsityPattern`: made, converted, compared, printed, and refused."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sps
from hypothesis import given
from hypothesis import strategies as st

from wengert.errors import InputError, ShapeError
from wengert.sparse.pattern import HEIGHT, WIDTH, SparsityPattern, index_dtype


@st.composite
def matrices(draw, square=False):
    m = draw(st.integers(0, 9))
    n = m if square else draw(st.integers(0, 9))
    cells = draw(st.lists(st.booleans(), min_size=m * n, max_size=m * n))
    return np.array(cells, bool).reshape(m, n)


@given(matrices())
def test_every_way_to_make_one_and_back(dense):
    p = SparsityPattern.from_dense(dense)
    rows, columns = np.nonzero(dense)
    assert p == SparsityPattern(p.indptr, p.indices, p.shape)
    assert p == SparsityPattern.from_coo(rows[::-1], columns[::-1], dense.shape)
    twice = np.concatenate([rows, rows]), np.concatenate([columns, columns])
    assert p == SparsityPattern.from_coo(*twice, dense.shape)
    for kind in (sps.csr_array, sps.csc_array, sps.coo_array):
        assert p == SparsityPattern.from_scipy(kind(dense))
    for found in (p.tocsr(), p.tocsc(), p.tocoo()):
        np.testing.assert_array_equal(found.toarray(), dense)
    np.testing.assert_array_equal(p.todense(), dense)
    assert p.nnz == dense.sum()
    assert p.density == (dense.mean() if dense.size else 0)
    assert p.bandwidth == np.abs(rows - columns).max(initial=0)
    np.testing.assert_array_equal(p.rows, np.sort(rows))
    assert copy.deepcopy(p) == p == pickle.loads(pickle.dumps(p))
    assert hash(p) == hash(copy.copy(p))


@given(matrices(square=True), st.data())
def test_transpose_union_and_order(a, data):
    b = np.array(data.draw(st.lists(st.booleans(), min_size=a.size, max_size=a.size)), bool)
    b = b.reshape(a.shape)
    p, q = SparsityPattern.from_dense(a), SparsityPattern.from_dense(b)
    assert SparsityPattern.from_dense(a.T) == p.T
    assert p | q == SparsityPattern.from_dense(a | b)
    assert p.covers(q) == bool(np.all(a | ~b))
    assert p.is_symmetric == bool(np.all(a == a.T))
    assert (p == q) == bool(np.all(a == b))
    assert (p | p.T).is_symmetric


@given(matrices())
def test_the_picture_shows_each_block(dense):
    lines = str(SparsityPattern.from_dense(dense)).splitlines()
    bits = sum(bin(ord(c) - 0x2800).count("1") for line in lines[1:] for c in line[1:-1])
    assert bits == (dense.sum() if dense.size else 0)


def test_a_large_picture_is_small():
    n = 10**5
    diagonal = SparsityPattern(np.arange(n + 1), np.arange(n), (n, n))
    head, *lines = str(diagonal).splitlines()
    assert head == "SparsityPattern: 100000 x 100000, 100000 nonzeros (0.001 %), bandwidth 0"
    assert len(lines) <= HEIGHT
    assert max(map(len, lines)) <= WIDTH + 2
    assert len(str(SparsityPattern.from_dense(np.ones((1, 10**4)))).splitlines()) == 2


def test_pictures():
    p = SparsityPattern.from_dense(np.eye(8) + np.eye(8, k=3))
    assert repr(p) == "<SparsityPattern: 8 x 8, 13 nonzeros (20.3 %), bandwidth 3>"
    assert str(p).splitlines()[1:] == ["⎡⠑⢌⠢⡀⎤", "⎣⠀⠀⠑⢌⎦"]
    assert repr(SparsityPattern.from_coo([0], [0], (1, 1))).endswith(
        "1 nonzero (100 %), bandwidth 0>"
    )


def test_it_is_immutable():
    p = SparsityPattern.from_dense(np.eye(2))
    with pytest.raises(AttributeError, match="immutable"):
        p.shape = (3, 3)
    with pytest.raises(AttributeError, match="immutable"):
        del p.indices
    for x in (p.indptr, p.indices, p.tocsr().indices):
        with pytest.raises(ValueError, match="read-only"):
            x[0] = 1
    given_ = np.arange(2)
    q = SparsityPattern([0, 1, 2], given_, (2, 2))
    given_[0] = 1
    assert q == p


def test_the_arrays_of_a_filled_matrix_are_shared():
    p = SparsityPattern.from_dense(np.eye(3))
    a = p.tocsr(np.array([1.0, 2.0, 3.0]))
    assert a.indices is p.indices or np.shares_memory(a.indices, p.indices)
    np.testing.assert_array_equal(a.toarray(), np.diag([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: SparsityPattern([0, 1], [0], (2, 2)), ShapeError, "length 3"),
        (lambda: SparsityPattern([0, 1, 1], [0, 1], (2, 2)), ShapeError, "rise from 0"),
        (lambda: SparsityPattern([0, 2, 1, 2], [0, 1], (3, 2)), ShapeError, "rise from 0"),
        (lambda: SparsityPattern([0, 1, 2], [0, 2], (2, 2)), ShapeError, "column 2 is out"),
        (lambda: SparsityPattern([0, 2], [1, 0], (1, 2)), ShapeError, "increasing"),
        (lambda: SparsityPattern([0, 2], [1, 1], (1, 2)), ShapeError, "increasing"),
        (lambda: SparsityPattern([0, 0, 2], [1, 1], (2, 2)), ShapeError, "increasing"),
        (lambda: SparsityPattern([0.0, 1.0], [0], (1, 1)), InputError, "integers"),
        (lambda: SparsityPattern([0], [], (0, -1)), ShapeError, r"not \(0, -1\)"),
        (lambda: SparsityPattern([0], [], 3), ShapeError, "not 3"),
        (lambda: SparsityPattern.from_coo([0, 5], [0, 0], (2, 2)), ShapeError, "row 5"),
        (lambda: SparsityPattern.from_coo([0], [0, 1], (2, 2)), ShapeError, "equal length"),
        (lambda: SparsityPattern.from_coo([0], [-1], (2, 2)), ShapeError, "column -1"),
        (lambda: SparsityPattern.from_dense(np.ones(3)), ShapeError, "matrix"),
        (lambda: SparsityPattern.from_scipy(np.eye(2)), InputError, "from_dense"),
        (lambda: SparsityPattern.from_dense(np.eye(2)) | SparsityPattern.from_dense(np.eye(3)),
         ShapeError, "unite"),
        (lambda: SparsityPattern.from_dense(np.eye(2)).tocsr(np.ones(3)), ShapeError, "2 nonzeros"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()


def test_index_dtypes():
    assert index_dtype(5, 2**31 - 1) is np.int32
    assert index_dtype(5, 2**31) is np.int64


def test_it_is_a_public_name():
    import wengert.sparse

    assert wengert.sparse.SparsityPattern is SparsityPattern
