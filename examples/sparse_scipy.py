"""SciPy's solvers fed with sparse derivatives: stiff equations, and a minimum under constraints."""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import NonlinearConstraint, minimize

import wengert as wg

N = 100


def brusselator(t, w):
    """Reaction and diffusion on a line, 2 N stiff equations."""
    u, v = w[:N], w[N:]

    def spread(z, edge):
        p = np.concatenate([[edge], z, [edge]])
        return (p[2:] - 2 * z + p[:-2]) * (N + 1) ** 2 / 50

    return np.concatenate(
        [1 + u**2 * v - 4 * u + spread(u, 1.0), 3 * u - u**2 * v + spread(v, 3.0)]
    )


def stiff():
    jacobian = wg.jacobian(brusselator, argnums=1, format="csc")
    wave = 1 + np.sin(2 * np.pi * np.arange(1, N + 1) / (N + 1))
    start = np.concatenate([wave, np.full(N, 3.0)])
    ends, calls = [], []
    for given in ({"jac": jacobian}, {}):
        count = 0

        def equations(t, w):
            nonlocal count
            count += 1
            return brusselator(t, w)

        options = {"method": "BDF", "rtol": 1e-8, "atol": 1e-8, **given}
        ends.append(solve_ivp(equations, (0.0, 2.0), start, **options).y[:, -1])
        calls.append(count)
    print(f"solve_ivp: {calls[0]} evaluations, {calls[1]} with SciPy's differences")
    return np.max(np.abs(ends[0] - ends[1])), calls


def links(x):
    """The squared lengths of a chain's links, between (0, 0) and (1, 0)."""
    a, b = (np.pad(z, 1, constant_values=(0, e)) for z, e in ((x[:20], 1), (x[20:], 0)))
    return np.diff(a) ** 2 + np.diff(b) ** 2


def weighted(x, w):
    return np.dot(w, links(x))


def hanging_chain():
    """Links of fixed length between two points, at the lowest energy."""
    n, length = 20, 1.5 / 21
    energy = lambda x: np.sum(x[n:])  # noqa: E731
    constraint = NonlinearConstraint(
        links, length**2, length**2,
        jac=wg.jacobian(links, format="csr"), hess=wg.hessian(weighted, format="csr"),
    )  # fmt: skip
    t = np.arange(1, n + 1) / (n + 1)
    start = np.concatenate([t, -0.5 * np.sin(np.pi * t)])
    found = minimize(
        energy, start, method="trust-constr", jac=wg.grad(energy),
        hess=wg.hessian(energy, format="csr"), constraints=[constraint],
        options={"gtol": 1e-8, "xtol": 1e-10, "maxiter": 500},
    )  # fmt: skip
    print(f"trust-constr: lowest point {found.x[n:].min():.4f} after {found.nit} steps")
    return found.constr_violation, np.max(np.abs(found.x[:n] + found.x[n - 1 :: -1] - 1))


def main():
    return {"stiff": stiff(), "chain": hanging_chain()}


if __name__ == "__main__":
    main()
