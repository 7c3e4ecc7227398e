"""Numbers of colours: proved, published, or reached by a library that must not be better."""

from __future__ import annotations

import colouring_cases as cases
import pytest
from counting import lines

from wengert.loopc.loops import plainly
from wengert.sparse import ColouringAlgorithm, ColouringProblem, colour
from wengert.sparse.colouring.orders import ORDERS

COLUMN = ColouringProblem()
BOTH = ColouringProblem(partition="bidirectional")
SYMMETRIC = ColouringProblem("symmetric")
DIRECT = ColouringAlgorithm()
SUBSTITUTION = ColouringAlgorithm(decompression="substitution")

COUNTS = [
    # Gebremedhin, Tarafdar, Manne, Pothen (2007): rho + 1 and rho / 2 + 1 with rho off-diagonals
    ("banded, rho 10", cases.banded(60, 5), SYMMETRIC, DIRECT, 11),
    ("banded, rho 20", cases.banded(100, 10), SYMMETRIC, DIRECT, 21),
    ("banded, rho 10", cases.banded(60, 5), SYMMETRIC, SUBSTITUTION, 6),
    ("banded, rho 20", cases.banded(100, 10), SYMMETRIC, SUBSTITUTION, 11),
    ("tridiagonal", cases.banded(50, 1), SYMMETRIC, DIRECT, 3),
    ("tridiagonal", cases.banded(50, 1), SYMMETRIC, SUBSTITUTION, 2),
    ("arrowhead", cases.arrowhead(500), SYMMETRIC, DIRECT, 2),
    ("arrowhead", cases.arrowhead(500), SYMMETRIC, SUBSTITUTION, 2),
    ("arrowhead", cases.arrowhead(500), COLUMN, DIRECT, 500),
    ("arrowhead", cases.arrowhead(500), BOTH, DIRECT, 3),
    ("arrowhead", cases.arrowhead(500), BOTH, SUBSTITUTION, 3),
    # Stencils tile the plane and space: as many colours as a row has entries
    ("Brusselator 16", cases.brusselator(16), COLUMN, DIRECT, 6),
    ("Brusselator 32", cases.brusselator(32), COLUMN, DIRECT, 6),
    ("Brusselator 32", cases.brusselator(32), BOTH, DIRECT, 6),
    ("periodic Brusselator 32", cases.brusselator(32, periodic=True), COLUMN, DIRECT, 8),
    ("periodic Brusselator 30", cases.brusselator(30, periodic=True), COLUMN, DIRECT, 6),
    ("5 points", cases.grid(20, 30), COLUMN, DIRECT, 5),
    ("7 points", cases.grid(9, 10, 11), COLUMN, DIRECT, 7),
    ("9 points", cases.grid(20, 30, corners=True), COLUMN, DIRECT, 9),
    ("framed", cases.framed(100, 200), BOTH, DIRECT, 8),
]


@pytest.mark.parametrize(
    ("name", "pattern", "problem", "algorithm", "number"),
    COUNTS,
    ids=[f"{c[0]}-{c[2].structure}-{c[2].partition}-{c[3].decompression}" for c in COUNTS],
)
def test_count(name, pattern, problem, algorithm, number):
    result = colour(pattern, problem, algorithm)
    assert result.number <= number
    assert result.lower_bound <= result.number
    cases.assert_recovers(pattern, result)


def test_the_natural_order_is_bad_where_rows_and_columns_are_dense():
    natural = ColouringAlgorithm("natural", neutral=False)
    assert colour(cases.framed(100, 200), BOTH, natural).number == 101
    assert colour(cases.framed(100, 200), BOTH).number <= 8


def work(n, problem, algorithm):
    """Lines that run for an arrowhead of n rows, in Python also where code is native."""
    pattern = cases.arrowhead(n)
    with plainly():
        return lines(lambda: colour(pattern, problem, algorithm))


@pytest.mark.parametrize(
    ("problem", "algorithm"),
    [
        (SYMMETRIC, DIRECT),
        (SYMMETRIC, SUBSTITUTION),
        (COLUMN, DIRECT),
        (BOTH, DIRECT),
        (BOTH, SUBSTITUTION),
    ],
    ids=["star", "acyclic", "columns", "both", "both by substitution"],
)
def test_dense_rows_and_columns_cost_their_entries_not_the_square(problem, algorithm):
    """Four times as many entries are four times the work; it would be sixteen times the square."""
    assert 0 < work(1600, problem, algorithm) < 5 * work(400, problem, algorithm)


@pytest.mark.parametrize("order", ORDERS)
def test_so_do_all_orders(order):
    for problem, decompression in (
        (COLUMN, "direct"),
        (BOTH, "direct"),
        (SYMMETRIC, "direct"),
        (SYMMETRIC, "substitution"),
    ):
        algorithm = ColouringAlgorithm(order, decompression)
        assert 0 < work(800, problem, algorithm) < 5 * work(200, problem, algorithm)
        assert colour(cases.arrowhead(50_000), problem, algorithm).number > 0
