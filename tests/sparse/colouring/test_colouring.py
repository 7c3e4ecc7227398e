"""Every kind of colouring against its definition, on random patterns."""

from __future__ import annotations

from itertools import product

import colouring_cases as cases
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from wengert.errors import InputError, ShapeError
from wengert.loopc.loops import plainly
from wengert.sparse import ColouringAlgorithm, ColouringProblem, ColouringResult, colour
from wengert.sparse.colouring.orders import ORDERS

COLUMN = ColouringProblem()
ROW = ColouringProblem(partition="row")
BOTH = ColouringProblem(partition="bidirectional")
SYMMETRIC = ColouringProblem("symmetric")
SUBSTITUTION = "substitution"

orders = st.sampled_from(["best", *ORDERS])


@settings(max_examples=150)
@given(cases.patterns(), orders, st.integers(0, 3))
def test_columns_and_rows(pattern, order, seed):
    algorithm = ColouringAlgorithm(order, seed=seed)
    by_columns = colour(pattern, COLUMN, algorithm)
    by_rows = colour(pattern, ROW, algorithm)
    dense = pattern.toarray()
    cases.assert_distance2(dense, by_columns.column_colours)
    cases.assert_distance2(dense.T, by_rows.row_colours)
    for result in (by_columns, by_rows):
        assert result.lower_bound <= result.number
        cases.assert_recovers(pattern, result)


@settings(max_examples=150)
@given(cases.symmetric_patterns(), orders, st.integers(0, 3))
def test_symmetric(pattern, order, seed):
    dense = pattern.toarray()
    for neutral in (False, True):
        star = colour(pattern, SYMMETRIC, ColouringAlgorithm(order, seed=seed, neutral=neutral))
        colours = star.column_colours
        assert cases.is_bicolouring(dense, colours, colours)
        algorithm = ColouringAlgorithm(order, SUBSTITUTION, seed=seed, neutral=neutral)
        acyclic = colour(pattern, SYMMETRIC, algorithm)
        if not neutral or dense.diagonal().all():
            assert cases.is_star(dense, colours)
            assert cases.is_acyclic(dense, acyclic.column_colours)
        for result in (star, acyclic):
            assert result.lower_bound <= result.number
            cases.assert_recovers(pattern, result)


@settings(max_examples=150)
@given(cases.patterns(), orders, st.sampled_from([0.5, 1.0, 3.0]), st.booleans())
def test_both_ways(pattern, order, weight, neutral):
    options = {"row_weight": weight, "neutral": neutral}
    star = colour(pattern, BOTH, ColouringAlgorithm(order, **options))
    assert cases.is_bicolouring(pattern.toarray(), star.row_colours, star.column_colours)
    acyclic = colour(pattern, BOTH, ColouringAlgorithm(order, SUBSTITUTION, **options))
    for result in (star, acyclic):
        assert result.lower_bound <= result.number
        cases.assert_recovers(pattern, result)
    if order == "best" and weight == 1.0 and neutral:
        one_way = min(colour(pattern, problem).number for problem in (COLUMN, ROW))
        assert star.number <= one_way


def every_colouring(n: int, colours: int, first: int = 0) -> list[tuple[int, ...]]:
    return list(product(range(first, colours), repeat=n))


@settings(max_examples=40)
@given(cases.symmetric_patterns(most=5), st.booleans())
def test_the_bound_of_symmetric_patterns_is_one(pattern, substitution):
    """No colouring of all the vertices that touch an entry is below it (-1 is not tried)."""
    dense = pattern.toarray()
    valid = cases.is_acyclic if substitution else cases.is_star
    touched = dense[np.ix_(dense.any(0), dense.any(0))]
    least = next(
        number
        for number in range(len(dense) + 1)
        if any(valid(touched, colours) for colours in every_colouring(len(touched), number))
    )
    decompression = SUBSTITUTION if substitution else "direct"
    algorithm = ColouringAlgorithm(decompression=decompression, neutral=False)
    result = colour(pattern, SYMMETRIC, algorithm)
    assert result.lower_bound <= least <= result.number


@settings(max_examples=40)
@given(cases.symmetric_patterns(most=4))
def test_the_bound_of_symmetric_patterns_with_neutral_vertices_is_one(pattern):
    dense = pattern.toarray()
    least = min(
        len(set(colours) - {-1})
        for colours in every_colouring(len(dense), len(dense), -1)
        if cases.is_bicolouring(dense, colours, colours)
    )
    result = colour(pattern, SYMMETRIC)
    assert result.lower_bound <= least <= result.number


def test_a_saddle_point_matrix_needs_products_for_one_block_only():
    """The columns of a block with nothing on its diagonal come from the other block's rows."""
    constraints = cases.csr(np.arange(10)[:, None] == np.arange(30) // 3)
    hessian = cases.banded(30, 2)
    pattern = cases.csr(sp.block_array([[hessian, constraints.T], [constraints, None]]))
    with_all = colour(pattern, SYMMETRIC, ColouringAlgorithm(neutral=False))
    without = colour(pattern, SYMMETRIC)
    assert (with_all.number, without.number) == (6, 5)
    assert (without.column_colours[30:] == -1).sum() >= 9
    cases.assert_recovers(pattern, without)


@settings(max_examples=60)
@given(st.integers(3, 9), st.integers(3, 9), st.booleans(), st.integers(0, 2**32 - 1))
def test_stencils_with_holes(a, b, corners, seed):
    """Grids that look regular and are not: a colouring of the regular one may not do."""
    rng = np.random.default_rng(seed)
    pattern = cases.grid(a, b, corners=corners)
    for _ in range(rng.integers(3)):
        i, j = rng.integers(a * b, size=2)
        pattern = cases.csr(pattern + sp.coo_array(([1, 1], ([i, j], [j, i])), shape=(a * b,) * 2))
    keep = np.flatnonzero(rng.random(a * b) < rng.choice([0.9, 1]))
    if not len(keep):
        return
    pattern = cases.csr(pattern[keep][:, keep])
    dense = pattern.toarray() != 0
    cases.assert_distance2(dense, colour(pattern).column_colours)
    assert cases.is_star(dense, colour(pattern, SYMMETRIC).column_colours)


@settings(max_examples=30)
@given(cases.patterns(most=3))
def test_the_bound_both_ways_is_one(pattern):
    dense = pattern.toarray()
    m, n = dense.shape
    least = min(
        len(set(both[:m]) - {-1}) + len(set(both[m:]) - {-1})
        for both in every_colouring(m + n, 3, -1)
        if cases.is_bicolouring(dense, both[:m], both[m:])
    )
    result = colour(pattern, BOTH)
    assert result.lower_bound <= least <= result.number


@pytest.mark.parametrize(
    ("weight", "numbers"),
    [(0.1, (0, 8)), (1, (2, 1)), (20, (8, 0))],
    ids=["cheap", "equal", "dear"],
)
def test_rows_are_coloured_where_that_is_cheap(weight, numbers):
    result = colour(cases.arrowhead(8), BOTH, ColouringAlgorithm(row_weight=weight))
    assert (result.column_number, result.row_number) == numbers
    assert result.lower_bound == 3


PROBLEMS = [
    (COLUMN, "direct"),
    (ROW, "direct"),
    (BOTH, "direct"),
    (BOTH, SUBSTITUTION),
    (SYMMETRIC, "direct"),
    (SYMMETRIC, SUBSTITUTION),
]
NAMES = [f"{p.structure}-{p.partition}-{d}" for p, d in PROBLEMS]


@pytest.mark.parametrize(("problem", "decompression"), PROBLEMS, ids=NAMES)
@pytest.mark.parametrize("order", ["best", *ORDERS])
def test_compiled_loops_and_plain_python_agree(problem, decompression, order):
    algorithm = ColouringAlgorithm(order, decompression, effort=1 << 12)
    patterns = [cases.grid(4, 5, periodic=True), cases.arrowhead(150), cases.banded(9, 2)]
    for pattern in patterns:
        native = colour(pattern, problem, algorithm)
        cases.assert_recovers(pattern, native)
        with plainly():
            plain = colour(pattern, problem, algorithm)
            cases.assert_recovers(pattern, plain)
        for name in ("column_colours", "row_colours"):
            np.testing.assert_array_equal(getattr(native, name), getattr(plain, name))
        assert str(native) == str(plain)


@pytest.mark.parametrize(("problem", "decompression"), PROBLEMS, ids=NAMES)
@pytest.mark.parametrize("size", [0, 1, 4])
def test_patterns_without_entries(problem, decompression, size):
    empty = sp.csr_array((size, size))
    result = colour(empty, problem, ColouringAlgorithm(decompression=decompression))
    assert result.number == result.lower_bound == 0
    assert result.decompress().shape == (0,)
    assert result.seeds_columns().shape == (0, size)
    assert result.column_groups == ()


@pytest.mark.parametrize("order", ["natural", "best"])
def test_dense_rows_share_a_table(order):
    """Several dense rows, overlapping or not, whose columns are kept apart through the table."""
    rng = np.random.default_rng(5)
    dense = rng.random((40, 900)) < 0.004
    dense[3, :400] = dense[7, 300:] = dense[20, ::3] = True
    pattern = cases.csr(dense)
    result = colour(pattern, COLUMN, ColouringAlgorithm(order))
    cases.assert_distance2(dense, result.column_colours)
    assert result.number <= 620
    cases.assert_recovers(pattern, result)


def test_seeds_and_groups_say_the_same():
    result = colour(cases.banded(9, 1))
    seeds = result.seeds_columns(np.float32)
    assert seeds.dtype == np.float32
    for seed, group in zip(seeds, result.column_groups, strict=True):
        np.testing.assert_array_equal(np.flatnonzero(seed), group)
    np.testing.assert_array_equal(seeds.sum(0), 1)
    np.testing.assert_array_equal(result.seeds_columns(start=1, stop=9), seeds[1:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("decompression", ["direct", SUBSTITUTION])
def test_dtypes_are_kept(dtype, decompression):
    pattern = cases.banded(12, 2)
    matrix = (pattern * (3 if dtype is np.float32 else 2)).astype(dtype)
    if dtype is np.complex128:
        matrix *= 1 - 2j
    result = colour(pattern, SYMMETRIC, ColouringAlgorithm(decompression=decompression))
    data = result.decompress((result.seeds_columns(dtype) @ matrix.T).astype(dtype))
    assert data.dtype == dtype
    np.testing.assert_array_equal(data, matrix.data)


def test_results_share_their_index_arrays():
    result = colour(cases.banded(9, 1))
    assert result.gather is result.gather
    assert result.indices is result.indices


def test_a_result_prints_itself():
    text = str(colour(cases.arrowhead(9), BOTH))
    assert "2 column, 1 row colours (at least 3)" in text
    assert "nonsymmetric 9 x 9, 25 entries" in text


def test_every_form_of_a_pattern():
    array = cases.banded(6, 1)
    expected = colour(array).column_colours
    wide = (array.indptr.astype(np.int64), array.indices.astype(np.int64), array.shape)
    doubled = sp.coo_array(
        (np.ones(2 * array.nnz), (np.tile(array.tocoo().row, 2), np.tile(array.indices, 2))),
        shape=array.shape,
    )
    for form in (array.tocsc(), array.tocoo(), wide, doubled, array[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(colour(form).column_colours, expected)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: ColouringProblem("upper"), InputError, "'nonsymmetric', 'symmetric'"),
        (lambda: ColouringProblem("symmetric", "row"), InputError, "partition='column'"),
        (lambda: ColouringAlgorithm("fastest"), InputError, "'smallest last'"),
        (lambda: ColouringAlgorithm(row_weight=0), InputError, "positive"),
        (lambda: colour([[1]]), InputError, "not list"),
        (lambda: colour(([0, 1], [0.5], (1, 1))), InputError, "integers"),
        (lambda: colour(([0, 1], [1], (1, 1))), ShapeError, "below 1"),
        (lambda: colour(([0, 1], [-1], (1, 1))), ShapeError, "from 0 to 0"),
        (lambda: colour(([0, 2], [1, 0], (1, 2))), ShapeError, "must rise"),
        (lambda: colour(([0, 2], [1, 1], (1, 2))), ShapeError, "sum_duplicates"),
        (lambda: colour(([0, 2, 1], [1], (2, 2))), ShapeError, "must not fall"),
        (lambda: colour(([0, 1], [1], (2, 2))), ShapeError, "in 3 steps"),
        (lambda: colour(([0, 1, 1], [1], (2, 2)), SYMMETRIC), ShapeError, "not symmetric"),
        (lambda: colour(([0, 1], [1], (1, 2)), SYMMETRIC), ShapeError, "not symmetric"),
        (
            lambda: colour(cases.banded(3, 1), ROW, ColouringAlgorithm(decompression=SUBSTITUTION)),
            InputError,
            "decompression='direct'",
        ),
        (lambda: colour(cases.banded(3, 1)).decompress(), ShapeError, r"columns.*\(3, 3\)"),
        (
            lambda: colour(cases.banded(3, 1)).decompress(np.ones((3, 3)), np.ones((1, 3))),
            ShapeError,
            r"rows must have shape \(0, 3\)",
        ),
    ],
)
def test_errors_say_what_is_wrong(make, error, words):
    with pytest.raises(error, match=words):
        make()


@pytest.mark.parametrize("decompression", ["direct", SUBSTITUTION])
def test_colours_that_do_not_recover_the_matrix_are_found_out(decompression):
    """A wrong colouring raises: it never gives wrong entries."""
    good = colour(cases.banded(9, 2), SYMMETRIC, ColouringAlgorithm(decompression=decompression))
    bad = ColouringResult(
        good.problem, good.algorithm, good.shape, good.indptr, good.indices,
        good.column_colours % 2, None, good.lower_bound, good.order,
    )  # fmt: skip
    with pytest.raises(AssertionError, match="recover"):
        bad.decompress(bad.seeds_columns() @ cases.banded(9, 2).T)
