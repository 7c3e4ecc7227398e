"""Functions of polynomials and sets, scimath and random draws: how their tests use them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.polynomial import Chebyshev, Legendre, Polynomial
from numpy.polynomial import chebyshev as cheb
from numpy.polynomial import polynomial as poly

X = np.array([0.7, -1.3, 2.1, 0.4])
Y = np.array([1.0, 2.0, 0.5, 3.0])
M = np.arange(6.0).reshape(2, 3) + 0.5
CUBIC = np.array([1.0, -6.0, 11.0, -6.0])  # with the roots 1, 2, 3


def rng() -> Any:
    return np.random.default_rng(3)


def old() -> Any:
    return np.random.RandomState(1)


POLYNOMIALS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "polyfit": (lambda y: np.polyfit(X, y, 2), Y),
    "polyfit at": (lambda x: np.polyfit(x, Y, 1), X),
    "polyfit weights": (lambda w: np.polyfit(X, Y, 1, w=w), Y),
    "polyfit of columns": (lambda y: np.polyfit(X, np.stack([y, y * 2], 1), 1), Y),
    "polyfit covariance": (lambda y: np.polyfit(X, y, 1, cov=True)[1], Y),
    "polyfit unscaled": (lambda x: np.polyfit(x, Y, 1, cov="unscaled")[1], X),
    "polyfit full": (lambda y: np.polyfit(X, y, 1, full=True)[1], Y),
    "roots": (lambda p: np.sort(np.real(np.roots(p))), CUBIC),
    "roots, complex": (lambda p: np.abs(np.roots(p)), np.array([1.0, 2.0, 3.0])),
    "roots, zeros": (lambda p: np.real(np.roots(np.concatenate([[0.0], p, [0.0]]))),
                     np.array([1.0, -3.0, 2.0])),
    "poly": (np.poly, X),
    "poly of a matrix": (lambda x: np.poly(np.outer(x, x) + np.diag(Y)), X),
    "polydiv": (lambda u: np.concatenate(np.polydiv(u, [1.0, 2.0])), X),
    "polydiv by": (lambda v: np.concatenate(np.polydiv([3.0, 5, 2, 1], v)), np.array([1.0, 2.0])),
    "polydiv of less": (lambda u: np.concatenate(np.polydiv(u[:1], [1.0, 2.0])), X),
    "trim_zeros": (lambda x: np.trim_zeros(np.concatenate([[0.0], x, [0.0]])), X),
    "trim_zeros in front": (lambda x: np.trim_zeros(np.concatenate([[0.0], x, [0.0]]), "f"), X),
    "poly1d": (lambda c: np.poly1d(c)(2.0), X),
    "poly1d at": (lambda x: np.poly1d([1.0, 2.0, 3.0])(x), X),
    "poly1d.deriv": (lambda c: np.poly1d(c).deriv()(Y), X),
    "Polynomial": (lambda c: Polynomial(c)(Y), X),
    "Polynomial at": (lambda x: Polynomial([1.0, 2.0, 3.0])(x), X),
    "Polynomial.deriv": (lambda c: Polynomial(c).deriv()(Y), X),
    "Polynomial.integ": (lambda c: Polynomial(c).integ()(Y), X),
    "Polynomial.fit": (lambda y: Polynomial.fit(X, y, 2).convert().coef, Y),
    "Polynomial.roots": (lambda c: np.sort(Polynomial(c).roots()), CUBIC[::-1].copy()),
    "Polynomial of another": (lambda c: Polynomial(c)(Polynomial([1.0, 2.0])).coef, X),
    "product": (lambda c: (Polynomial(c) * Polynomial([1.0, 2.0])).coef, X),
    "sum": (lambda c: (Polynomial(c) + 1).coef, X),
    "power": (lambda c: (Polynomial(c) ** 2).coef, X),
    "Chebyshev": (lambda c: Chebyshev(c, domain=[-2, 3])(Y), X),
    "Chebyshev at": (lambda x: Chebyshev([1.0, 2.0, 3.0])(x), X),
    "Legendre": (lambda c: Legendre(c)(0.3), X),
    "chebval": (lambda c: cheb.chebval(Y, c), X),
    "chebvander": (lambda x: cheb.chebvander(x, 3), X),
    "cheb2poly": (cheb.cheb2poly, X),
    "polyval": (lambda c: poly.polyval(0.5, c), X),
    "polyval, tensor": (lambda x: poly.polyval(x, M), X),
    "polyval2d": (lambda x: poly.polyval2d(x, Y, M), X),
    "polyfromroots": (poly.polyfromroots, X),
    "polyroots": (lambda c: np.sort(poly.polyroots(c)), CUBIC[::-1].copy()),
    "polynomial.polyfit": (lambda y: poly.polyfit(X, y, 2), Y),
    "polynomial.polyder": (poly.polyder, X),
    "polynomial.polymul": (lambda c: poly.polymul(c, [1.0, 2.0]), X),
}  # fmt: skip

# Functions of arrays as sets, at arguments whose equality differences do not disturb
SETS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "union1d": (lambda x: np.union1d(x, [0.75, 5.0]), X),
    "setdiff1d": (lambda x: np.setdiff1d(x, [0.75]), X),
    "setdiff1d, unique": (lambda x: np.setdiff1d(x, [0.75], assume_unique=True), X),
    "setxor1d": (lambda x: np.setxor1d(x, [0.75, 9.0]), X),
    "intersect1d": (lambda x: np.intersect1d(x, np.concatenate([x[:2], [9.0]])), X),
    "intersect1d, indices": (
        lambda x: np.intersect1d(x, x[::-1], return_indices=True)[0], X
    ),
    "unique_values": (lambda x: np.unique_values(np.concatenate([x, x])), X),
    "unique_counts": (lambda x: np.unique_counts(np.concatenate([x, x])).values, X),
    "unique_inverse": (lambda x: np.unique_inverse(x).values, X),
    "unique_all": (lambda x: np.unique_all(x).values, X),
    "scimath.sqrt": (lambda x: np.abs(np.emath.sqrt(x)), X),
    "scimath.log": (lambda x: np.abs(np.emath.log(x)), X),
    "scimath.log2": (lambda x: np.abs(np.emath.log2(x)), X),
    "scimath.log10": (np.emath.log10, np.abs(X)),
    "scimath.logn": (lambda x: np.abs(np.emath.logn(3, x)), X),
    "scimath.power": (lambda x: np.abs(np.emath.power(x, 0.5)), X),
    "scimath.arccos": (lambda x: np.abs(np.emath.arccos(x)), X),
    "scimath.arcsin": (lambda x: np.abs(np.emath.arcsin(x)), X),
    "scimath.arctanh": (lambda x: np.abs(np.emath.arctanh(x)), X),
    "einsum_path": (
        lambda x: np.einsum("i,i->", x, x, optimize=np.einsum_path("i,i->", x, x)[0]), X
    ),
    "fftfreq": (lambda x: np.fft.fftfreq(4, x[0]), X),
    "rfftfreq": (lambda x: np.fft.rfftfreq(4, x[0]), X),
    "histogram of weights": (lambda w: np.histogram(X, 3, weights=w)[0], Y),
}  # fmt: skip

DRAWS: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "normal": (lambda x: rng().normal(x, 0.5), X),
    "normal scale": (lambda x: rng().normal(1.0, np.abs(x), size=(3, 4)), X),
    "normal by name": (lambda x: rng().normal(loc=x, scale=2.0), X),
    "normal of a number": (lambda x: rng().normal(x[0]), X),
    "uniform": (lambda x: rng().uniform(x, 5.0), X),
    "exponential": (lambda x: rng().exponential(x * x), X),
    "laplace": (lambda x: rng().laplace(x, 2.0), X),
    "logistic": (lambda x: rng().logistic(x), X),
    "gumbel": (lambda x: rng().gumbel(0, x * x), X),
    "lognormal": (lambda x: rng().lognormal(x, 0.3), X),
    "rayleigh": (lambda x: rng().rayleigh(x * x), X),
    "gamma": (lambda x: rng().gamma(2.0, x * x), X),
    "weibull": (lambda x: rng().weibull(1 + x * x), X),
    "multivariate_normal": (lambda x: rng().multivariate_normal(x, np.eye(4)), X),
    "permutation": (lambda x: rng().permutation(x), X),
    "choice": (lambda x: rng().choice(x, 3), X),
    "RandomState": (lambda x: old().normal(x, 2.0), X),
    "RandomState.choice": (lambda x: old().choice(x, 2, replace=False), X),
}

COVERED = {
    *(np.polyfit, np.roots, np.poly, np.polydiv, np.trim_zeros, np.union1d, np.setdiff1d),
    *(np.setxor1d, np.intersect1d, np.einsum_path),
    *(getattr(np, name) for name in (
        "unique_values", "unique_counts", "unique_inverse", "unique_all")),
    *(getattr(np.emath, name) for name in (
        "sqrt", "log", "log2", "log10", "logn", "power", "arccos", "arcsin", "arctanh")),
}  # fmt: skip
"""Functions that have a stand-in of their own."""
