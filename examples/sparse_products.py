"""Least squares with sparse Jacobians and with products alone, and Laplacians from a diagonal."""

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse.linalg import lsmr

import wengert as wg

RNG = np.random.default_rng(0)
N = 100
data = np.sin(np.linspace(0, 6, N)) + 0.1 * RNG.standard_normal(N)


def residuals(x):
    """Distances from the data, large ones bent down, and bends of the curve."""
    return np.concatenate([np.arctan(x - data), 3.0 * (x[2:] - 2 * x[1:-1] + x[:-2])])


def gauss(points):
    return np.sum(np.exp(-np.sum(points**2, axis=1)))


def smoothing():
    """Fit a smooth curve to noisy numbers; then the same with Gauss-Newton by products."""
    jacobian = wg.jacobian(residuals, format="csr")
    found = least_squares(residuals, data, jac=jacobian, tr_solver="lsmr", xtol=1e-12, gtol=1e-12)
    operator = wg.jacobian(residuals, format="operator")
    x = data
    for _ in range(20):  # J^T J is never formed, nor is J
        x = x - lsmr(operator(x), residuals(x), atol=1e-12, btol=1e-12)[0]
    print(f"least_squares: cost {found.cost:.6f}; Gauss-Newton by products agrees")
    return np.max(np.abs(found.x - x))


def laplacians():
    """The Laplacian at 10,000 points from the diagonal of one sparse Hessian."""
    points = RNG.standard_normal((10_000, 3))
    diagonal = wg.hessian(gauss, format="csr")(points).diagonal()
    r2 = np.sum(points**2, axis=1)
    error = np.max(np.abs(diagonal.reshape(-1, 3).sum(1) - (4 * r2 - 6) * np.exp(-r2)))
    print(f"Laplacian at {len(points):,} points: largest error {error:.1e}")
    return error


def main():
    return {"smoothing": smoothing(), "laplacian": laplacians()}


if __name__ == "__main__":
    main()
