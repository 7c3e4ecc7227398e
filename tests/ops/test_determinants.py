"""The determinant is a polynomial: it has every derivative everywhere, at singular matrices too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.linalg as la
import pytest
from matrices import normal, of_rank

import wengert as wg


def leibniz(a: Any) -> Any:
    """Expand the determinant along the first row."""
    n = a.shape[-1]
    if n == 1:
        return a[0, 0]
    rest = [[j for j in range(n) if j != i] for i in range(n)]
    return sum((-1) ** i * a[0, i] * leibniz(a[1:][:, rest[i]]) for i in range(n))


POINTS = {
    **{f"rank {r}": of_rank(r, 4) for r in range(5)},
    "identity": np.eye(4),
    "zero": np.zeros((4, 4)),
    "nearly singular": of_rank(3, 4) + 1e-12 * np.eye(4),
    "equal rows": np.array([[1.0, 2, 3], [1, 2, 3], [4, 5, 7]]),
}


@pytest.mark.parametrize("point", POINTS)
def test_determinant_everywhere(point: str) -> None:
    a = POINTS[point]
    np.testing.assert_allclose(wg.grad(la.det)(a), wg.grad(leibniz)(a), atol=1e-11)
    np.testing.assert_allclose(wg.hessian(la.det)(a), wg.hessian(leibniz)(a), atol=1e-10)
    np.testing.assert_allclose(wg.jacrev(wg.grad(la.det))(a), wg.hessian(leibniz)(a), atol=1e-10)


@pytest.mark.parametrize("point", ["identity", "rank 4", "rank 3"])
def test_third_derivative_of_the_determinant(point: str) -> None:
    a, t = POINTS[point], normal(4, 4, seed=2)

    def third(f: Callable[..., Any]) -> Any:
        return wg.hvp(lambda a: wg.hvp(f, (a,), (t,))[0, 1], (a,), (t,))

    np.testing.assert_allclose(third(la.det), third(leibniz), atol=1e-9)


def test_determinant_of_a_batch_with_singular_matrices() -> None:
    a = np.stack([POINTS["rank 4"], POINTS["rank 3"], POINTS["rank 2"]])
    g = wg.grad(lambda a: np.sum(la.det(a)))(a)
    np.testing.assert_allclose(g, [wg.grad(leibniz)(x) for x in a], atol=1e-11)
    c = of_rank(2, 3, complex)
    g = wg.grad(la.det, holomorphic=True)(c)
    np.testing.assert_allclose(g, wg.grad(leibniz, holomorphic=True)(c), atol=1e-11)
    with np.errstate(invalid="ignore"):
        assert np.isnan(wg.grad(la.det)(np.full((2, 2), np.nan))).all()


def test_second_derivative_of_determinants_of_a_batch() -> None:
    a = np.stack([POINTS["rank 4"], POINTS["rank 3"], POINTS["rank 2"]])
    t = normal(*a.shape, seed=4)
    got = wg.hvp(lambda a: np.sum(la.det(a)), (a,), (t,))
    want = [wg.hvp(leibniz, (x,), (u,)) for x, u in zip(a, t, strict=True)]
    np.testing.assert_allclose(got, want, atol=1e-10)


def test_a_determinant_that_has_few_digits_left() -> None:
    """The determinant is subnormal, its derivative is not."""
    small = 1.1234567890123e-157
    g = wg.grad(la.det)(np.diag([small, small, 1.0]))
    np.testing.assert_allclose(np.diag(g), [small, small, 0.0], rtol=1e-12, atol=1e-300)


def test_log_determinant_of_a_singular_matrix_has_no_derivative() -> None:
    a = np.stack([np.eye(2), np.zeros((2, 2))])
    g = wg.grad(lambda a: np.sum(la.slogdet(a)[1]))(a)
    np.testing.assert_array_equal(g[0], np.eye(2))
    assert np.isnan(g[1]).all()
