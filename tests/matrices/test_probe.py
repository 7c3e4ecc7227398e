"""The soundness probe: patterns made wrong on purpose are caught, and the culprit is named."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.errors import ShapeError, SparsityError
from wengert.linear import accumulate
from wengert.matrices.probe import disagreement, missing_entries
from wengert.ops.base import TABLE
from wengert.sparse.detection import rules
from wengert.sparse.pattern import SparsityPattern

X = np.random.default_rng(1).random(6)


def chain(x):
    return np.tanh(x[1:] * x[:-1]) + np.cumsum(x)[:5]


def jacobian_of(f, x):
    return SparsityPattern.from_dense(wg.jacobian(f)(x))


@pytest.mark.parametrize("mode", ["auto", "forward", "reverse", "both"])
@pytest.mark.parametrize("entry", [(0, 0), (2, 3), (4, 5)])
def test_a_given_pattern_that_lacks_an_entry(mode, entry):
    f = lambda x: np.tanh(x[1:] * x[:-1])  # noqa: E731
    wanted = wg.jacobian(f)(X)
    wanted[entry] = 0
    with pytest.raises(SparsityError, match="given pattern is wrong") as e:
        wg.jacobian(f, sparsity=wanted, format="csr", mode=mode)(X)
    assert f"{entry}" in str(e.value)
    assert "sparsity='auto'" in str(e.value)
    assert isinstance(e.value, ValueError)


def test_without_the_probe_nothing_is_said():
    wanted = np.diag(np.ones(6))
    wg.jacobian(lambda x: x * x[0], sparsity=wanted, format="csr", probe=False)(X)


def test_a_given_pattern_of_the_wrong_shape():
    for mode in ("auto", "forward", "reverse"):
        with pytest.raises(ShapeError, match=r"shape \(6, 6\).*5 entries of the result.*6 entries"):
            wg.jacobian(chain, sparsity=np.eye(6), format="csr", mode=mode)(X)
    with pytest.raises(ShapeError, match="gradient"):
        wg.hessian(lambda x: np.sum(x**3), sparsity=np.eye(5), format="csr")(X)


def test_a_hessian_pattern_that_is_not_symmetric_lacks_entries():
    f = lambda x: np.sum(x[1:] * x[:-1] ** 2)  # noqa: E731
    triangle = np.tril(wg.hessian(f)(X))
    for mode in ("auto", "forward"):
        with pytest.raises((SparsityError, ShapeError)):
            wg.hessian(f, sparsity=triangle, format="csr", mode=mode)(X)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize("name", ["tanh", "multiply"])
def test_a_wrong_rule_of_an_operation_is_named(monkeypatch, mode, name):
    """As a row of the table that claims that its result depends on nothing."""
    found = rules.spread

    def spread(walk, node, parts):
        made = found(walk, node, parts)
        if node.op.name == name:
            return [walk.space.nothing(y.shape) for y in node.outputs]
        return made

    monkeypatch.setattr("wengert.sparse.detection.detect.spread", spread)
    with pytest.raises(SparsityError, match=f"operation '{name}'.*is wrong") as e:
        wg.jacobian(chain, format="csr", mode=mode)(X)
    assert "test_probe.py" in str(e.value)


def test_a_wrong_accumulation_is_named(monkeypatch):
    """As a sum that forgets its last term."""
    found = accumulate.sum_over

    def summed(terms, *rest):
        return [t._replace(columns=np.where(t.columns == 3, 0, t.columns))
                for t in found(terms, *rest)]  # fmt: skip

    monkeypatch.setattr(accumulate, "sum_over", summed)
    f = lambda x: np.sin(x) * np.sum(x**2)  # noqa: E731
    with pytest.raises(SparsityError, match="operation 'sum'"):
        wg.jacobian(f, format="csr", mode="accumulate")(X)


def test_wrong_numbers_are_caught_too(monkeypatch):
    from wengert.matrices import planner as matrix

    monkeypatch.setattr(matrix, "assemble", lambda entries, p, dtype, place: np.ones(p.nnz))
    with pytest.raises(SparsityError, match="although the pattern of each operation holds"):
        wg.jacobian(np.sin, format="csr")(X)


def test_a_straight_through_rule_is_no_silent_zero():
    """Elsewhere this gives a Jacobian of zeros."""

    @wg.custom_vjp
    def straight(x):
        return np.round(x)

    straight.defvjp(lambda x: (np.round(x), None), lambda _, ct: (ct,))
    np.testing.assert_array_equal(wg.jacobian(straight, format="csr")(X).toarray(), np.eye(6))


@pytest.mark.parametrize("measure", [np.abs, np.i0, np.square, np.cos], ids=lambda f: f.__name__)
@pytest.mark.parametrize("mode", ["auto", "forward", "reverse"])
def test_what_stands_for_one_call_is_not_compared_at_other_points(measure, mode):
    """Where the handler was not needed, the function has another number of results."""

    def f(x):
        try:
            return np.ravel(x[:2][np.argmax(measure(x))])
        except IndexError:
            return x * 2.0

    matrix = wg.jacobian(f, format="csr", mode=mode)
    for x in (np.array([0.86, 0.15, -0.97]), np.array([0.86, 0.15, -0.9]), np.array([0.9, 0.1, 0])):
        dense = wg.jacfwd(f)(x)
        np.testing.assert_array_equal(matrix(x).toarray(), dense)


def test_what_is_compared():
    f = lambda x: [np.sin(x), x[:2] * x[3]]  # noqa: E731
    dense = np.concatenate([np.diag(np.cos(X)), np.zeros((2, 6))])
    dense[6:, :2], dense[6:, 3] = X[3] * np.eye(2), X[:2]
    pattern = SparsityPattern.from_dense(dense)
    data = dense[dense != 0]
    assert disagreement(f, [X], pattern, data) is None
    less = SparsityPattern.from_dense(dense * (np.arange(6) != 3))
    wrong = disagreement(f, [X], less, dense[:, [0, 1, 2, 4, 5]][dense[:, [0, 1, 2, 4, 5]] != 0])
    np.testing.assert_array_equal(wrong, [3, 6, 7])
    assert missing_entries(f, [X], less, wrong) == [(3, 3), (6, 3), (7, 3)]
    data[0] = np.nan
    assert disagreement(f, [X], pattern, data) is None  # what is not finite is not compared


def test_every_operation_has_a_pattern_to_blame():
    assert all(op.pattern is not None for op in TABLE.values())
