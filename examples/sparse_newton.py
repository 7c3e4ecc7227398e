"""A nonlinear partial differential equation by Newton's method with sparse Jacobians.

Bratu's problem, Laplacian(u) + 2 exp(u) = 0 on a square with u = 0 around it. The Jacobian of the
residual is planned once, at the first step; SciPy solves with it. Newton-CG then takes the same
steps from products alone, without any matrix.
"""

import time

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg, spsolve

import wengert as wg

SIZE, STRENGTH = 60, 2.0
SPACING = 1.0 / (SIZE + 1)


def residual(u):
    """The five-point Laplacian plus the source, at each inner point."""
    p = np.pad(u.reshape(SIZE, SIZE), 1)
    around = p[2:, 1:-1] + p[:-2, 1:-1] + p[1:-1, 2:] + p[1:-1, :-2]
    return (around - 4 * p[1:-1, 1:-1]).ravel() / SPACING**2 + STRENGTH * np.exp(u)


def energy(u):
    """Its gradient is minus the residual, so that a minimum solves the problem too."""
    p = np.pad(u.reshape(SIZE, SIZE), 1)
    slopes = np.sum((p[1:] - p[:-1]) ** 2) + np.sum((p[:, 1:] - p[:, :-1]) ** 2)
    return 0.5 * slopes / SPACING**2 - STRENGTH * np.sum(np.exp(u))


def newton(u):
    both = wg.value_and_jacobian(residual, format="csc")
    for k in range(20):
        start = time.perf_counter()
        r, jacobian = both(u)
        size = np.max(np.abs(r))
        print(f"  step {k}: |residual| {size:.1e}, {1e3 * (time.perf_counter() - start):.1f} ms")
        if size < 1e-9:
            return u, jacobian
        u = u - spsolve(jacobian, r)
    raise AssertionError("no convergence")


def newton_cg(u):
    gradient = wg.jit(wg.grad(energy))
    product = wg.jit(lambda u, v: wg.hvp(energy, (u,), (v,)))
    diagonal = wg.hessian(energy, format="csr")(u).diagonal()  # scales the products
    for _ in range(20):
        g = gradient(u)
        if np.max(np.abs(g)) < 1e-9:
            return u
        n = len(u)
        matrix = LinearOperator((n, n), matvec=lambda v, u=u: product(u, v))
        scale = LinearOperator((n, n), matvec=lambda v: v / diagonal)
        step, _ = cg(matrix, -g, rtol=1e-10, M=scale)
        u = u + step
    raise AssertionError("no convergence")


def main():
    print(f"Newton with a sparse Jacobian, {SIZE**2:,} unknowns")
    u, jacobian = newton(np.zeros(SIZE**2))
    print(f"{jacobian.nnz:,} nonzeros; the solution rises to {u.max():.6f}")
    other = newton_cg(np.zeros(SIZE**2))
    difference = np.max(np.abs(u - other))
    print(f"Newton-CG with products only: largest difference {difference:.1e}")
    return {"top": u.max(), "difference": difference, "residual": np.max(np.abs(residual(u)))}


if __name__ == "__main__":
    main()
