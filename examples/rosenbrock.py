"""Minimise the Rosenbrock function with SciPy, fed with exact derivatives.

Without them, L-BFGS-B calls the function once for each variable and step, until its limit of
15,000 calls. With the gradient it needs about one call a step. With Hessian-vector products,
Newton's method is open too.
"""

import numpy as np
from scipy.optimize import minimize

import wengert as wg

N = 50


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


value_and_grad = wg.jit(wg.value_and_grad(rosenbrock))
hvp = wg.jit(lambda x, v: wg.hvp(rosenbrock, (x,), (v,)))


class Counted:
    """A function that counts its calls."""

    def __init__(self, function):
        self.function = function
        self.calls = 0

    def __call__(self, *args):
        self.calls += 1
        return self.function(*args)


def main():
    start = np.full(N, -1.0)
    runs = {}
    print("method                     calls of f   products H v   |x - 1|")
    for name, gradient, second, tolerance in (
        ("L-BFGS-B, differences", False, False, {}),
        ("L-BFGS-B, gradient", True, False, {}),
        ("Newton-CG, gradient + hvp", True, True, {"xtol": 1e-9}),
        ("trust-ncg, gradient + hvp", True, True, {"gtol": 1e-6}),
    ):
        fun, product = Counted(value_and_grad if gradient else rosenbrock), Counted(hvp)
        found = minimize(
            fun,
            start,
            method=name.split(",")[0],
            jac=gradient or None,
            hessp=product if second else None,
            options={"maxiter": 2000, **tolerance},
        )
        error = np.linalg.norm(found.x - 1.0)
        print(f"{name:<26} {fun.calls:>10} {product.calls:>14} {error:>9.1e}")
        runs[name] = (fun.calls, error)

    x = np.linspace(-1.0, 1.0, N)
    full = wg.hessian(rosenbrock)(x)
    difference = np.max(np.abs(full @ start - hvp(x, start)))
    band = np.max(np.abs(np.triu(full, 2)))
    print(f"hvp against hessian @ v: {difference:.1e}; largest entry off the three bands: {band}")
    return {"runs": runs, "difference": difference}


if __name__ == "__main__":
    main()
